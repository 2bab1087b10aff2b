/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/last_error.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "src/base/file_io.h"
#include "src/base/utf8.h"

#define NEW_FILE LAST_ERROR ".new"

void last_error_write(int dir_fd, const char *name, const char *text)
{
	char line[LAST_ERROR_TIME_BYTES + LAST_ERROR_TEXT_BYTES];
	time_t now = time(NULL);
	struct tm utc;
	size_t at, len;
	int fd;

	if (!gmtime_r(&now, &utc)) {
		return;
	}
	at = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%SZ ", &utc);
	len = utf8_cut(text, strcspn(text, "\n"), sizeof line - at - 2);
	memcpy(line + at, text, len);
	line[at + len] = '\0';
	utf8_make_safe(line);
	at = strlen(line);
	line[at++] = '\n';
	(void)unlinkat(dir_fd, NEW_FILE, 0);
	fd = openat(dir_fd, NEW_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		return;
	}
	if (write(fd, line, at) == (ssize_t)at) {
		(void)renameat(dir_fd, NEW_FILE, dir_fd, name);
	} else {
		(void)unlinkat(dir_fd, NEW_FILE, 0);
	}
	(void)close(fd);
}

void last_error_remove(int dir_fd, const char *name)
{
	(void)unlinkat(dir_fd, name, 0);
}

bool last_error_read(int dir_fd, const char *name, struct last_error *out)
{
	char line[LAST_ERROR_TIME_BYTES + LAST_ERROR_TEXT_BYTES];
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t len;

	if (fd < 0) {
		return false;
	}
	len = file_read_at(fd, line, sizeof line - 1, 0);
	(void)close(fd);
	if (len < LAST_ERROR_TIME_BYTES || line[LAST_ERROR_TIME_BYTES - 1] != ' ') {
		return false;
	}
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
	line[LAST_ERROR_TIME_BYTES - 1] = '\0';
	(void)snprintf(out->time, sizeof out->time, "%.*s", LAST_ERROR_TIME_BYTES - 1,
		       line);
	(void)snprintf(out->text, sizeof out->text, "%.*s", LAST_ERROR_TEXT_BYTES - 1,
		       line + LAST_ERROR_TIME_BYTES);
	utf8_make_safe(out->time); /* whoever wrote it */
	utf8_make_safe(out->text);
	return true;
}
