/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/archive_compare.h -- has an archive the database that the state
 * directory has which wrote it? (--state of rowtail archive verify.)
 *
 * The state as of D is put together out of the archive, in memory page by page, and
 * each page compared with the hash that the shadow or the journal has of it. So what
 * was captured, and not only what was uploaded, is what comes back.
 *
 * OWNERSHIP  All is borrowed for the call.
 * THREADS    The main thread.
 * ERRORS     ST_CONFIG: the directory is in use, has no state yet, or is ahead of the
 *            archive. ST_DAMAGED: pages differ, or the directory is damaged.
 *            ST_CORRUPT: the archive is. ST_IO, ST_NOMEM, ST_STOPPED.
 */
#ifndef ARCHIVE_COMPARE_H
#define ARCHIVE_COMPARE_H

#include "src/storage/storage.h"

struct archive_compared {
	uint64_t lsn;   /* D */
	uint32_t pages; /* that are the same */
};

enum status archive_compare(const char *state_path, struct storage *storage,
			    const struct archive_list *list,
			    struct archive_compared *out, struct error *err) MUST_CHECK;

#endif
