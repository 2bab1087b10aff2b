/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/preload/clock_ahead.c -- a wall clock that is CLOCK_AHEAD_S seconds ahead:
 * preloaded into a program, it sees what is due later.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *t)
{
	const char *ahead = getenv("CLOCK_AHEAD_S");
	long answer = syscall(SYS_clock_gettime, clock, t);

	if (answer == 0 && clock == CLOCK_REALTIME && ahead) {
		t->tv_sec += atol(ahead);
	}
	return (int)answer;
}
