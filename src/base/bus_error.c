/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/bus_error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "src/base/log.h"
#include "src/base/text.h"

/*
 * All of what follows, up to bus_error_setup, runs in the handler, with no memory but
 * the stack. It interrupts an access to a mapped file and nothing else: no lock of libc
 * is held by this thread then.
 */

#define LINE_BYTES (PATH_MAX + 128)

static uintptr_t hex(const char **at)
{
	uintptr_t value = 0;

	for (;; (*at)++) {
		char c = **at;

		if (c >= '0' && c <= '9') {
			value = value * 16 + (uintptr_t)(c - '0');
		} else if (c >= 'a' && c <= 'f') {
			value = value * 16 + (uintptr_t)(c - 'a' + 10);
		} else {
			return value;
		}
	}
}

/* "start-end perms offset device inode   path": the path, if `address` is in a part of
 * a file that is mapped to be shared; else NULL. */
static const char *path_in(const char *line, uintptr_t address)
{
	const char *at = line;
	uintptr_t start = hex(&at);
	uintptr_t end = *at == '-' ? (at++, hex(&at)) : 0;
	const char *path = strchr(line, '/');

	return address >= start && address < end && strlen(at) > 5 && at[4] == 's'
		   ? path
		   : NULL;
}

/* Read the line of the mapping with `address`; false: there is none. */
static bool find_path(uintptr_t address, char line[LINE_BYTES], const char **path)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	char bytes[4096];
	size_t len = 0;
	ssize_t got;

	*path = NULL;
	while (fd >= 0 && !*path && (got = read(fd, bytes, sizeof bytes)) > 0) {
		for (ssize_t i = 0; i < got && !*path; i++) {
			if (bytes[i] != '\n') {
				line[len] = bytes[i];
				len += len < LINE_BYTES - 1;
				continue;
			}
			line[len] = '\0';
			len = 0;
			*path = path_in(line, address);
		}
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	return *path != NULL;
}

#define SHM_TEXT                                                                   \
	"%.1500s: was cut while it was in use (SIGBUS); restart the applications " \
	"that "                                                                    \
	"have this database open, then start rowtail again"
#define FRAMES_TEXT                                                                    \
	"%.1500s: was cut, or its disk cannot be read (SIGBUS); if it stays so, move " \
	"the "                                                                         \
	"state directory away and start again: a new snapshot will be taken"
#define TEMPORARY_TEXT                                                 \
	"a temporary file could not be read or written (SIGBUS); set " \
	"TMPDIR to a folder on a healthy disk with room"

static void name_file(const char *path)
{
	if (text_ends_with(path, "-shm") || text_ends_with(path, "-shm (deleted)")) {
		log_line(LOG_ERROR, SHM_TEXT, path);
	} else if (text_ends_with(path, "/frames") ||
		   text_ends_with(path, "/frames (deleted)")) {
		log_line(LOG_ERROR, FRAMES_TEXT, path);
	} else {
		log_line(LOG_ERROR, TEMPORARY_TEXT);
	}
}

static void on_bus_error(int signal_no, siginfo_t *info, void *context)
{
	char line[LINE_BYTES];
	const char *path;

	(void)context;
	if (info->si_code > 0 && find_path((uintptr_t)info->si_addr, line, &path)) {
		name_file(path);
		_exit(1);
	}
	(void)signal(signal_no, SIG_DFL);
	(void)raise(signal_no); /* when this returns */
}

enum status bus_error_setup(struct error *err)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO};

	action.sa_sigaction = on_bus_error;
	(void)sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) == 0
		   ? ST_OK
		   : error_set_errno(err, errno, "installing a signal handler");
}
