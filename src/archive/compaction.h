/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/compaction.h -- files of an archive that follow each other become one.
 *
 * The new file leads from before the first of them to the state after the last: of each
 * page it has the newest image, none above the size that the database had later, and
 * the time of the last transaction. With a whole database as the first file it is a
 * whole database: a snapshot. The old files stay.
 *
 * Pages are copied as they were compressed, where that was as blocks. All that is read
 * is verified, and the new file is read again, before it is put into the archive. A
 * page that was cut off, and is inside again without an image, is written as zeros, as
 * a later reader can no longer see that it was cut off. One that the database gained
 * without an image is an error. Page sizes are not mixed.
 *
 * At most COMPACTION_INPUTS files are open at once; more are merged in groups first.
 * Memory is about 300 KB for each open file, and 3 bytes for each page of the result.
 *
 * OWNERSHIP  All is borrowed for the call.
 * THREADS    One.
 * ERRORS     ST_CORRUPT: a file is damaged, or a page missing, or page sizes differ.
 *            ST_LOST: a file was removed meanwhile. ST_CONFIG: it is there, with other
 *            content. ST_IO, ST_NOMEM, ST_STOPPED. Nothing is put then.
 */
#ifndef COMPACTION_H
#define COMPACTION_H

#include "src/storage/storage.h"

#define COMPACTION_INPUTS 100u

struct compaction {
	struct storage *storage;            /* opened to be written to */
	const struct archive_list *list;    /* of it, sorted */
	const struct archive_file **inputs; /* each begins no later than behind the one
					       before it, and ends after it */
	size_t input_count;
	unsigned level;  /* of the new file */
	bool is_excerpt; /* the list has not all that the database was made of, and its
			    files are ours: sizes are believed */
	bool (*stops)(void *context); /* asked often: ends it with ST_STOPPED */
	void *context;

	/* The result. */
	struct archive_file file;
	uint32_t page_size;
	uint32_t page_count; /* of the database after it */
	uint64_t zero_count; /* pages that were written as zeros */
};

enum status compaction_run(struct compaction *compaction, struct error *err) MUST_CHECK;

#endif
