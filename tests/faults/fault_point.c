/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of src/base/fault.h, in the program that tests/faults runs.
 *
 *     ROWTAIL_KILL=NAME:COUNT   kill -9 when NAME is reached for the COUNTth time
 *     ROWTAIL_REACHED=PATH      append a line with the name of each place reached
 *     ROWTAIL_SLEEP=NAME:US     sleep so many microseconds each time NAME is reached:
 *                               what other threads do meanwhile fits into that window
 *     ROWTAIL_SLEEP=all:US      the same at every place, a random part of it
 */
#include "src/base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/faults/trace.h"

static void note(const char *path, const char *name)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	char line[128];
	int len = snprintf(line, sizeof line, "%s\n", name);

	if (fd < 0 || write(fd, line, (size_t)len) != len) {
		abort();
	}
	(void)close(fd);
}

/* Is it the COUNTth time of the name in `order`? */
static int is_due(const char *order, const char *name)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static long reached;
	size_t len = strlen(name);
	int due;

	if (strncmp(order, name, len) != 0 || order[len] != ':') {
		return 0;
	}
	(void)pthread_mutex_lock(&lock);
	due = ++reached == strtol(order + len + 1, NULL, 10);
	(void)pthread_mutex_unlock(&lock);
	return due;
}

/* Two of three times nothing, so that every order of the threads comes about. */
static long random_part(long most_us)
{
	struct timespec now;
	unsigned long mixed;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	mixed = (unsigned long)now.tv_nsec * 2654435761ul;
	mixed ^= mixed >> 17;
	return mixed % 3 == 0 ? (long)(mixed / 3 % (unsigned long)(most_us + 1)) : 0;
}

static void widen(const char *order, const char *name)
{
	const char *colon = strchr(order, ':');
	struct timespec t = {0};
	long us;

	if (!colon) {
		return;
	}
	us = strtol(colon + 1, NULL, 10);
	if (strncmp(order, "all:", 4) == 0) {
		us = random_part(us);
	} else if (strncmp(order, name, strlen(name)) != 0 ||
		   order + strlen(name) != colon) {
		us = 0;
	}
	t.tv_sec = us / 1000000;
	t.tv_nsec = us % 1000000 * 1000;
	if (us > 0) {
		(void)nanosleep(&t, NULL);
	}
}

void fault_point(const char *name)
{
	const char *order = getenv("ROWTAIL_KILL");
	const char *path = getenv("ROWTAIL_REACHED");
	const char *wide = getenv("ROWTAIL_SLEEP");
	int reason = errno;

	if (path) {
		note(path, name);
	}
	if (order && is_due(order, name)) {
		trace_stop();
		(void)kill(getpid(), SIGKILL);
	}
	if (wide) {
		widen(wide, name);
	}
	errno = reason;
}
