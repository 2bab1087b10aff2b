/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/journal_scan.h -- the journal read, and nothing done to it.
 *
 * For those who look at a state directory without taking it: what src/state/journal.h
 * would cut off is only left out, and a process may append and trim meanwhile. Then a
 * segment may go, or its end be half written: what looks like damage is to be read
 * again.
 *
 * OWNERSHIP  The folder is borrowed.
 * THREADS    No shared state.
 * ERRORS     ST_DAMAGED names the file, as src/state/journal.h has it; ST_IO; ST_NOMEM.
 */
#ifndef JOURNAL_SCAN_H
#define JOURNAL_SCAN_H

#include <stdint.h>

#include "src/state/journal_reader.h"
#include "src/state/journal_record.h"

struct journal_scan {
	int dir_fd;
	const char *folder; /* for messages */
	uint32_t page_size;
	struct journal_start start;
	/* Called for every record after start.lsn, in order. `record` has all of its
	 * bytes (journal_entry_get). ST_END: it is not right, the journal ends before.
	 */
	enum status (*visit)(void *context, const struct journal_head *head,
			     const uint8_t *record, struct error *err);
	void *context;

	/* Results: the last record, and all segments. */
	uint64_t lsn;
	uint64_t chain;
	uint64_t disk_bytes;
	const char *torn; /* why it ends there; NULL: it is the end of the last file */
};

enum status journal_scan(struct journal_scan *scan, struct error *err) MUST_CHECK;

#endif
