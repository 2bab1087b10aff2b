/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/journal_merge.h -- whole segments of the journal become one record, their
 * net effect.
 *
 * Of each page the newest image stays, unless it was cut off later. The record carries
 * the chain of the last one that it stands for, so that what follows stays as it is.
 * It is written to DIR/log.new, which takes the place of the first of the segments by a
 * rename. A reader leaves the others out by their LSN until they are removed.
 *
 * OWNERSHIP  The folder is borrowed; struct journal_merge: journal_merge_clear.
 * THREADS    No shared state: nobody else changes these segments.
 * ERRORS     ST_IO, ST_NOMEM: nothing was changed. ST_DAMAGED.
 */
#ifndef JOURNAL_MERGE_H
#define JOURNAL_MERGE_H

#include "src/state/journal_file.h"

/* What a merge has made. */
struct journal_merge {
	uint64_t start_lsn;           /* it stands for all that came after this, */
	struct journal_record record; /* up to here; the pages are its own */
	uint32_t *freed;              /* slots that nothing needs any more */
	size_t freed_total;
};

/* The segments of `part`, the last of which ends at `end_lsn`. All of them are durable,
 * and so is the file when this returns. */
enum status journal_merge_write(struct journal_files *part, uint64_t end_lsn,
				struct journal_merge *out,
				struct error *err) MUST_CHECK;
void journal_merge_clear(struct journal_merge *merge); /* frees */

#endif
