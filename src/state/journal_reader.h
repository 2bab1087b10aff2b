/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/journal_reader.h -- the journal read, and nothing done to it.
 *
 * The only reader of records. A start, a merge, `status` and `verify` have it say what
 * is there, where the journal ends, and what is damaged (src/state/journal.h has the
 * rule); what each of them does about it is its own. A process may append and trim
 * meanwhile: a segment may go, or its end be half written, so who does not hold the
 * directory reads again what looks like damage.
 *
 * THREADS  No shared state.
 * ERRORS   ST_DAMAGED names the file, the place in it and what to do; ST_IO; ST_NOMEM.
 */
#ifndef JOURNAL_READER_H
#define JOURNAL_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/state/journal_file.h"

/* Where the journal begins: S of meta. */
struct journal_start {
	uint64_t lsn;
	uint64_t chain;
};

/* A record that is right; borrowed for one call. */
struct journal_found {
	struct journal_record record; /* with its pages */
	uint64_t chain;               /* after it */
	uint64_t length;              /* bytes */
	const uint8_t *bytes;         /* for journal_entry_get */
};

struct journal_reading {
	struct journal_start start;
	/* Compare images with their hashes. One that is not right ends the journal, or
	 * is damage, as a record that is not right. */
	bool checks_images;
	/* Called for each record after `start`, in order; what it returns, if not
	 * ST_OK, is returned. NULL: there may be none. */
	enum status (*visit)(void *context, const struct journal_found *found,
			     struct error *err);
	void *context;
};

/* Where it ends. */
struct journal_end {
	uint64_t lsn; /* of the last record, or of `start` */
	uint64_t chain;
	const char *torn; /* why it is there; NULL: it is the end of the last file */
};

/*
 * Read `files`, a table as journal_files_list makes it. Of each segment `length` tells
 * what counts: bytes up to the end of the last record that is right. 0: nothing of it,
 * since it ends before the start, or is behind the end, or a merged record stands in
 * its place.
 */
enum status journal_read(struct journal_files *files, const struct journal_reading *how,
			 struct journal_end *end, struct error *err) MUST_CHECK;

#endif
