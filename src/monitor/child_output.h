/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/monitor/child_output.h -- what a command of ours says about a run, asked from
 * within that run.
 *
 * It runs in a process of its own: one that has the database open may not open and
 * close it a second time, which drops all its locks (fcntl(2), F_SETLK).
 *
 * THREADS  Any.
 */
#ifndef MONITOR_CHILD_OUTPUT_H
#define MONITOR_CHILD_OUTPUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/buffer.h"

struct child_limits {
	int64_t ns;
	size_t bytes;
	const _Atomic bool *stop; /* set: it is killed at once */
};

/*
 * Run this program with `args` (the last one NULL; the first is its name), and add what
 * it prints, errors as well. False: it could not be run, came to a limit, or did not
 * exit with 0.
 */
bool child_output(const char *const *args, const struct child_limits *limits,
		  struct buffer *out);

#endif
