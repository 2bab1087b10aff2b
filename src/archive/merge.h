/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/merge.h -- the files of a plan become one database.
 *
 * The newest file is read first. Each page is taken from the newest file that has it,
 * unless a file in between cuts it off the end of the database: so it is written
 * once, and one file is open at a time, however many there are. Every file is read to
 * its end, and its checksum verified, also where nothing of it is needed any more.
 *
 * Pages that no file has: one that was cut off, and is inside again after a later
 * growth, is zeros, as the file system has it for SQLite. One that never had an image
 * is an error: a writer that leaves out a page has lost it. The page that holds the
 * lock byte is always zeros.
 *
 * Where the newest file has a checksum of the whole database, the result is compared
 * with it.
 *
 * OWNERSHIP  All is borrowed for the call.
 * THREADS    One.
 * ERRORS     ST_CORRUPT: a file is damaged, a page is missing, or the
 *            result is another database. ST_LOST: a file was
 *            removed meanwhile. ST_IO, ST_NOMEM. ST_STOPPED.
 */
#ifndef MERGE_H
#define MERGE_H

#include "src/archive/plan.h"
#include "src/base/progress.h"

struct merge {
	struct storage *storage;
	const struct plan *plan;
	int fd;           /* pages are written here, an empty file; -1: nowhere */
	const char *path; /* of fd, for messages */
	const _Atomic int *stop;
	struct progress *progress; /* NULL: none; counts MB of files read */
	/* Given each page of the result but that of the lock byte, once, in no order;
	 * NULL: nobody wants them. */
	enum status (*page)(void *context, uint32_t page_no, const uint8_t *bytes,
			    struct error *err);
	void *context;

	/* The result. */
	uint32_t page_size;
	uint32_t page_count;
	uint32_t zero_count; /* pages that were cut off and have no image since */
};

enum status merge_run(struct merge *merge, struct error *err) MUST_CHECK;

/* Read one file to its end and verify it; nothing is kept. */
enum status merge_verify_file(struct storage *storage, const struct archive_file *file,
			      const _Atomic int *stop, struct error *err) MUST_CHECK;

#endif
