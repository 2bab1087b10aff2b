/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/journal_reader.h -- the journal as it is found at start.
 *
 * Reads the segments from S on, tells what a power cut left from what is damaged
 * (src/state/journal.h), cuts the one off and refuses the other.
 *
 * THREADS  One.
 */
#ifndef JOURNAL_READER_H
#define JOURNAL_READER_H

#include <stdint.h>

#include "src/history/spool.h"
#include "src/state/journal_file.h"

/* Where the journal begins: S of meta. */
struct journal_start {
	uint64_t lsn;
	uint64_t chain;
};

struct journal_read {
	struct spool *spool;
	const struct journal_start *start;
	enum status (*replay)(void *context, const struct journal_record *record,
			      uint64_t chain, struct error *err);
	void *context;
};

/*
 * Replay `files`, a table as journal_files_list makes it. What is left of them when it
 * returns is durable, as are the images; the last one is open for appending. `*lsn` and
 * `*chain` are those of the last record, or of S.
 */
enum status journal_read(struct journal_files *files, const struct journal_read *how,
			 uint64_t *lsn, uint64_t *chain, struct error *err) MUST_CHECK;

#endif
