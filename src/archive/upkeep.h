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
	const volatile int *stop;
	/* A file is made or removed; may be NULL. */
	void (*told)(void *context, const struct archive_file *file, bool is_removed);
	void *context;
};

/* The next compaction or snapshot that is due. ST_END: none is. */
enum status upkeep_compact(struct upkeep *upkeep, int64_t now_ns,
			   struct error *err) MUST_CHECK;

/* All files that may go are removed. */
enum status upkeep_remove(struct upkeep *upkeep, int64_t now_ns,
			  struct error *err) MUST_CHECK;

#endif
