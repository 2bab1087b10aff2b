/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/upkeep.h -- what src/archive/policy.h says is due is done in an archive.
 *
 * The list is kept as the archive is, so that it need not be listed again.
 *
 * OWNERSHIP  All is borrowed.
 * THREADS    One.
 * ERRORS     ST_LOST: a file was removed by somebody else: list again. ST_CORRUPT: a
 *            file is damaged, or the archive has a gap; what else is due may still be
 *            done. Others as src/archive/compaction.h. Where something was done before
 *            an error the list has it.
 */
#ifndef UPKEEP_H
#define UPKEEP_H

#include "src/archive/policy.h"

struct upkeep {
	struct storage *storage;   /* opened to be written to */
	struct archive_list *list; /* of it, sorted */
	const struct policy *policy;
	bool (*stops)(void *context); /* asked often: ends it with ST_STOPPED */
	/* A file is made or removed; may be NULL. */
	void (*told)(void *context, const struct archive_file *file, bool is_removed);
	void *context;
};

/* Rough times of a list become as right as policy needs them, without a request for
 * each file: of one that another one of levels 1 to 8 has the time is no later than
 * that one's, and stays marked as rough. ST_LOST: list again. */
enum status upkeep_settle(struct upkeep *upkeep, struct error *err) MUST_CHECK;

/* The next compaction or snapshot that is due. ST_END: none is. */
enum status upkeep_compact(struct upkeep *upkeep, int64_t now_ns,
			   struct error *err) MUST_CHECK;

/* All files that may go are removed. */
enum status upkeep_remove(struct upkeep *upkeep, int64_t now_ns,
			  struct error *err) MUST_CHECK;

#endif
