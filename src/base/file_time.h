/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/file_time.h -- what the times of a file tell of its changes.
 *
 * THREADS  No shared state.
 */
#ifndef BASE_FILE_TIME_H
#define BASE_FILE_TIME_H

#include <stdbool.h>
#include <time.h>

#include "src/base/clock.h"

/* The kernel's clock for files is that coarse: a second change within it may leave the
 * time as it is. */
#define FILE_TICK_NS        (30 * NS_PER_MS)
#define FILE_TICK_COARSE_NS (2 * NS_PER_S) /* where they have no nanoseconds */

static inline int64_t file_time_tick_ns(const struct timespec *t)
{
	return t->tv_nsec ? FILE_TICK_NS : FILE_TICK_COARSE_NS;
}

static inline bool file_time_same(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

#endif
