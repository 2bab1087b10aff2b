/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/sql_patch.h -- changed rows as one transaction of SQL, which makes the
 * new state of the old one: the same rows, with the same rowids, storage classes and
 * bytes.
 *
 *     open ─► decoder_open, decoder_apply with sql_patch_events ─► finish ─► close
 *
 * Rows are named by rowid, or by their key WITHOUT ROWID. In a table all deletes come
 * first, and what changes a value that must be unique is a delete and an insert
 * (decoder_events.for_statements): so no statement meets a value that is still there.
 * A table whose rowid cannot be named, as it has columns of all three of its names, is
 * emptied and filled again, and so is sqlite_sequence, as inserts change it.
 *
 * The text is printed as it is found, by way of a buffer; nothing is allocated for a
 * row.
 *
 * OWNERSHIP  sql_patch_open / sql_patch_close. The page sources are borrowed.
 * THREADS    The decoding thread only.
 * ERRORS     ST_CONFIG: what statements cannot do, and what to do instead. ST_IO,
 *            ST_CLOSED of the output. ST_NOMEM. ST_STOPPED.
 */
#ifndef SQL_PATCH_H
#define SQL_PATCH_H

#include <stdbool.h>
#include <stdio.h>

#include "btree/page_source.h"
#include "src/decode/decoder.h"

struct sql_patch;

struct sql_patch_settings {
	FILE *out;     /* borrowed */
	bool is_whole; /* no table is left out: SQLite's own and views count, too */
	struct page_source *old_pages;
	struct page_source *new_pages;
	const _Atomic int *stop;
};

enum status sql_patch_open(const struct sql_patch_settings *settings,
			   struct sql_patch **out, struct error *err) MUST_CHECK;
void sql_patch_close(struct sql_patch *patch); /* takes NULL */

/* For decoder_open; `patch` is the context. */
struct decoder_events sql_patch_events(struct sql_patch *patch);

/* All changes were given. The transaction is ended with COMMIT if `ended` is ST_OK,
 * else with ROLLBACK. While the decoder is open. */
enum status sql_patch_finish(struct sql_patch *patch, enum status ended,
			     struct error *err) MUST_CHECK;

#endif
