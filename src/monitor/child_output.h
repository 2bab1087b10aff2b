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

#include <stdbool.h>
#include <stdint.h>

#include "src/base/buffer.h"

/*
 * Run this program with `args` (the last one NULL; the first is its name) for `most_ns`
 * at most, and add what it prints, errors as well, up to `most_bytes`. False: it could
 * not be run, took too long, or did not exit with 0.
 */
bool child_output(const char *const *args, int64_t most_ns, size_t most_bytes,
		  struct buffer *out);

#endif
