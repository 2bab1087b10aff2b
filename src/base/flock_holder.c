/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/flock_holder.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

/* A line of /proc/locks: "1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF"; of one that
 * waits: "1: -> FLOCK ...". On btrfs and overlayfs the device is another than stat's:
 * there nobody is seen. */
struct flock_line {
	long pid;
	unsigned major, minor;
	unsigned long long inode;
};

static int read_line(const char *text, struct flock_line *line)
{
	return sscanf(text, "%*d: FLOCK %*s %*s %ld %x:%x:%llu", &line->pid,
		      &line->major, &line->minor, &line->inode) == 4;
}

long flock_holder(const struct stat *st)
{
	FILE *locks = fopen("/proc/locks", "re");
	char *text = NULL;
	size_t size = 0;
	long pid = 0;

	while (locks && pid == 0 && getline(&text, &size, locks) > 0) {
		struct flock_line line;

		if (read_line(text, &line) && line.inode == st->st_ino &&
		    makedev(line.major, line.minor) == st->st_dev) {
			pid = line.pid;
		}
	}
	free(text);
	if (locks) {
		(void)fclose(locks);
	}
	return pid;
}
