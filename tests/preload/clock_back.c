/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/preload/clock_back.c -- a wall clock that is an hour behind once the file
 * CLOCK_BACK is there: preloaded into a program, its clock is set back while it runs.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *t)
{
	const char *path = getenv("CLOCK_BACK");
	long answer = syscall(SYS_clock_gettime, clock, t);

	if (answer == 0 && clock == CLOCK_REALTIME && path && access(path, F_OK) == 0) {
		t->tv_sec -= 3600;
	}
	return (int)answer;
}
