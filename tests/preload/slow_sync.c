/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/preload/slow_sync.c -- a disk whose syncs take long: preloaded into a program,
 * each fsync and fdatasync takes SLOW_SYNC_US microseconds more. At the end the program
 * says in the file SLOW_SYNC_COUNT how many there were.
 */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/preload/slow.h"

static atomic_long count;

static int call_next(const char *name, int fd)
{
	int (*next)(int);

	*(void **)&next = dlsym(RTLD_NEXT, name);
	atomic_fetch_add(&count, 1);
	slow_down("SLOW_SYNC_US");
	return next(fd);
}

int fsync(int fd)
{
	return call_next("fsync", fd);
}

int fdatasync(int fd)
{
	return call_next("fdatasync", fd);
}

__attribute__((destructor)) static void tell(void)
{
	const char *path = getenv("SLOW_SYNC_COUNT");
	FILE *file = path ? fopen(path, "w") : NULL;

	if (file) {
		(void)fprintf(file, "%ld\n", atomic_load(&count));
		(void)fclose(file);
	}
}
