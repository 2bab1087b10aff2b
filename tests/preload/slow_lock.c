/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/preload/slow_lock.c -- a scheduler that stops a program at the worst moment:
 * preloaded into it, each exclusive lock that it gets on a byte of a file is followed
 * by SLOW_LOCK_US microseconds of sleep.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>

#include "tests/preload/slow.h"

int fcntl(int fd, int cmd, ...)
{
	int (*next)(int, int, ...);
	va_list more;
	void *argument;
	int answer;

	va_start(more, cmd);
	argument = va_arg(more, void *);
	va_end(more);
	*(void **)&next = dlsym(RTLD_NEXT, "fcntl");
	answer = next(fd, cmd, argument);
	if (cmd == F_SETLK && answer == 0 &&
	    ((const struct flock *)argument)->l_type == F_WRLCK) {
		slow_down("SLOW_LOCK_US");
	}
	return answer;
}

/* With 64-bit offsets, as SQLite has them, it is the same call by another name. */
int fcntl64(int fd, int cmd, ...) __attribute__((alias("fcntl")));
