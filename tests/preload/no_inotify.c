/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/preload/no_inotify.c -- a system that has no inotify left: preloaded into a
 * program, it gets EMFILE.
 */
#include <errno.h>

int inotify_init(void);
int inotify_init1(int flags);

int inotify_init(void)
{
	errno = EMFILE;
	return -1;
}

int inotify_init1(int flags)
{
	(void)flags;
	return inotify_init();
}
