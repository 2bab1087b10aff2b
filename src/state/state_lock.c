/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/state_lock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/file_io.h"

#define LOCK_BYTES 40
#define FOLLOWING  "following\n"

static bool read_lock(int fd, char text[LOCK_BYTES])
{
	ssize_t len = file_read_at(fd, text, LOCK_BYTES - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	return len > 0;
}

long state_lock_pid(int fd)
{
	char text[LOCK_BYTES];
	long pid = read_lock(fd, text) ? strtol(text, NULL, 10) : 0;

	/* One that only reads holds the lock without writing its pid. */
	return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno != ESRCH) ? pid : 0;
}

bool state_lock_is_following(int fd)
{
	char text[LOCK_BYTES];

	return read_lock(fd, text) && strstr(text, "\n" FOLLOWING);
}

void state_lock_write(int fd, bool is_following)
{
	char text[LOCK_BYTES];
	int len = snprintf(text, sizeof text, "%ld\n%s", (long)getpid(),
			   is_following ? FOLLOWING : "");
	off_t keep = file_write_at(fd, text, (size_t)len, 0) ? len : 0;

	if (!file_set_length(fd, keep)) {
		return;
	}
}
