/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/wal_behind.h -- what a database has that came after a place in its WAL,
 * told by somebody who only looks.
 *
 * As long as the WAL goes on from that place, its commits are counted. Once it was
 * begun anew, what stood behind the place may be in the database file, where nobody can
 * count it: unless the WAL was held all the time, or the file is as it was there.
 *
 * As src/capture/wal_frames.h finds what is committed, but nothing is mapped: whoever
 * cuts the WAL meanwhile costs no more than another look. Nothing is written, created
 * or locked.
 *
 * THREADS  No shared state; of a process that has nothing open on the database.
 * ERRORS   ST_UNFIT, ST_IO: it is not there, or cannot be read; the text names the
 *          file. ST_RETRY: it is being written all the time. ST_NOMEM.
 */
#ifndef WAL_BEHIND_H
#define WAL_BEHIND_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/history/transaction.h"
#include "src/state/meta_record.h"

struct wal_known {
	struct wal_place place;        /* up to here all is known */
	int64_t captured_ns;           /* since when, wall clock; 0: not known */
	const struct state_meta *meta; /* of a clean stop */
	uint64_t lsn;                  /* of the place */
	bool
	    is_held; /* by a process that gives up nothing of the WAL that it has not */
};

struct wal_behind {
	uint64_t transactions; /* that came after it, at least */
	uint64_t bytes;        /* of the WAL that they take */
	bool is_exact;
	const char *why;      /* not: for people; borrowed for ever */
	struct wal_place end; /* of what is committed, without a proof */
};

/* `path`: that of the database, links resolved. */
enum status wal_behind_find(const char *path, const struct wal_known *known,
			    struct wal_behind *out, struct error *err) MUST_CHECK;

#endif
