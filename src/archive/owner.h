/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/owner.h -- whose an archive is: a note beside its files.
 *
 *     rowtail.json, rowtail-2.json, rowtail-3.json, ...
 *     {"rowtail":1,"writer":"32 hex digits","database":"app.db","since":"TIME"}
 *
 * The last of them counts. A note is never written over: whoever takes an archive over
 * adds the next one, which of two that try it only one can, and who wrote before finds
 * it. Litestream knows nothing of notes, and is not hindered by them.
 *
 * OWNERSHIP  All is borrowed for the call.
 * THREADS    One at a time, as the storage.
 * ERRORS     ST_CONFIG: it is another's; the text says what to do. Others: as
 *            src/storage/storage.h.
 */
#ifndef OWNER_H
#define OWNER_H

#include <stdbool.h>

#include "src/storage/storage.h"

struct owner {
	struct storage *storage;
	const char *writer;   /* 32 hex digits: us */
	const char *database; /* its name, for people */
	const char *location; /* of the archive, for messages */
	bool takes_over;      /* another's, or one without a note, may become ours */

	unsigned number; /* of the last note; 0: there is none */
	bool is_ours;
};

/* Whose is it? ST_CONFIG: not ours, and we may not take it. One that has neither note
 * nor files (`has_files`) is nobody's. */
enum status owner_find(struct owner *owner, bool has_files,
		       struct error *err) MUST_CHECK;
/* After that: it is ours. */
enum status owner_take(struct owner *owner, struct error *err) MUST_CHECK;
/* Is it still? ST_CONFIG: our note has gone, or somebody has taken it over. */
enum status owner_check(const struct owner *owner, struct error *err) MUST_CHECK;
/* The half of that which has to be asked before each file is put: has nobody taken it
 * over? */
enum status owner_check_next(const struct owner *owner, struct error *err) MUST_CHECK;

#endif
