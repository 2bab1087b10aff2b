/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/audit_clock.h -- does the wall clock, of which an audit log's lines have their
 * times, go back?
 *
 * It is compared with what it was the last time, of an earlier run with the last line,
 * and with the monotonic clock: of a clock that was set back by less than went by since
 * then the times of lines do not tell. A clock that is slowed down to be corrected is
 * no gap.
 *
 * OWNERSHIP The caller's struct, all zeros; the descriptor is borrowed.
 * THREADS   The decoding thread.
 */
#ifndef SINKS_AUDIT_CLOCK_H
#define SINKS_AUDIT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct audit_clock {
	int64_t wall_ns; /* the last time; 0: never */
	int64_t mono_ns; /* 0: in another run */
};

/* An earlier run ended with the last line of this file, if that can be read. */
void audit_clock_open(struct audit_clock *clock, int fd);

/* The clocks are read: has the wall clock gone back? `*was_ns` is what it should be at
 * least. */
bool audit_clock_is_back(struct audit_clock *clock, int64_t wall_ns, int64_t mono_ns,
			 int64_t *was_ns);

#endif
