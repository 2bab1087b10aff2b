/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/preload/slow_lock.c -- a scheduler that stops a program at the worst moment:
 * preloaded into it, each exclusive lock that it gets on a byte of a file is followed
 * by SLOW_LOCK_US microseconds of sleep.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

static void slow_down(void)
{
	const char *us = getenv("SLOW_LOCK_US");
	long wait = us ? atol(us) : 0;
	struct timespec t = {wait / 1000000, wait % 1000000 * 1000};

	while (wait > 0 && nanosleep(&t, &t) != 0) {
	}
}

static int call_next(const char *name, int fd, int cmd, void *argument)
{
	int (*next)(int, int, ...);
	int answer;

	*(void **)&next = dlsym(RTLD_NEXT, name);
	answer = next(fd, cmd, argument);
	if (cmd == F_SETLK && answer == 0 &&
	    ((const struct flock *)argument)->l_type == F_WRLCK) {
		slow_down();
	}
	return answer;
}

int fcntl(int fd, int cmd, ...)
{
	va_list more;
	void *argument;

	va_start(more, cmd);
	argument = va_arg(more, void *);
	va_end(more);
	return call_next("fcntl", fd, cmd, argument);
}

int fcntl64(int fd, int cmd, ...)
{
	va_list more;
	void *argument;

	va_start(more, cmd);
	argument = va_arg(more, void *);
	va_end(more);
	return call_next("fcntl64", fd, cmd, argument);
}
