/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/clock.h -- wall clock and monotonic clock, in nanoseconds.
 *
 * THREADS  Any.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_US 1000LL
#define NS_PER_MS 1000000LL
#define NS_PER_S  1000000000LL
#define NS_PER_H  (3600 * NS_PER_S)

static inline int64_t clock_ns_of(struct timespec t)
{
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static inline struct timespec clock_timespec(int64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
				 .tv_nsec = (long)(ns % NS_PER_S)};
}

/* Since the Unix epoch. */
static inline int64_t clock_wall_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return clock_ns_of(t);
}

/* Since an arbitrary point; never goes back. */
static inline int64_t clock_mono_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return clock_ns_of(t);
}

static inline void clock_sleep_ns(int64_t ns)
{
	struct timespec t = clock_timespec(ns);

	(void)nanosleep(&t, NULL);
}

#endif
