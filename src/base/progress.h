/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/progress.h -- one line on a terminal that says how far a snapshot is.
 *
 * Written to stderr only if that is a terminal, at most ten times a second, and
 * wiped when done.
 *
 * THREADS  One thread at a time.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what; /* "snapshot"; NULL: not started */
	const char *unit; /* "rows" */
	bool is_shown;    /* stderr is a terminal */
	bool is_dirty;    /* a line stands there */
	int64_t start_ns;
	int64_t last_ns;
};

void progress_start(struct progress *progress, const char *what, const char *unit,
		    bool is_wanted);
/* So many of the unit; `done` of `total` says how far it is. */
void progress_update(struct progress *progress, uint64_t count, uint64_t done,
		     uint64_t total);
void progress_end(struct progress *progress);

#endif
