/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/changesets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIPE_LEN (1 << 20) /* the most that a user may have */

struct changesets {
	sqlite3 *db;
	sqlite3_session *session; /* of the transaction that goes on, or NULL */
	int fd;
};

static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "changesets: %s: %s\n", what, why);
	exit(1);
}

struct changesets *changesets_open(sqlite3 *db, const char *path)
{
	struct changesets *sets = calloc(1, sizeof *sets);

	if (sqlite3session_create == NULL) {
		fail("SQLite", "is without the session extension");
	}
	if (sets == NULL) {
		fail(path, "out of memory");
	}
	sets->db = db;
	sets->fd = open(path, O_WRONLY | O_CLOEXEC);
	if (sets->fd < 0) {
		fail(path, strerror(errno));
	}
	fcntl(sets->fd, F_SETPIPE_SZ, PIPE_LEN); /* smaller ones do as well */
	return sets;
}

void changesets_close(struct changesets *sets)
{
	if (sets != NULL) {
		close(sets->fd);
		free(sets);
	}
}

void changesets_begin(struct changesets *sets)
{
	if (sets == NULL) {
		return;
	}
	if (sqlite3session_create(sets->db, "main", &sets->session) != SQLITE_OK ||
	    sqlite3session_attach(sets->session, NULL) != SQLITE_OK) {
		fail("session", sqlite3_errmsg(sets->db));
	}
}

static void write_all(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t done = write(fd, at, len);

		if (done < 0 && errno != EINTR) {
			fail("pipe", strerror(errno));
		}
		at += done > 0 ? done : 0;
		len -= done > 0 ? (size_t)done : 0;
	}
}

void changesets_send(struct changesets *sets)
{
	int len;
	void *bytes;
	int64_t head;

	if (sets == NULL) {
		return;
	}
	if (sqlite3session_changeset(sets->session, &len, &bytes) != SQLITE_OK) {
		fail("changeset", sqlite3_errmsg(sets->db));
	}
	head = len;
	write_all(sets->fd, &head, sizeof head);
	write_all(sets->fd, bytes, (size_t)len);
	sqlite3_free(bytes);
	sqlite3session_delete(sets->session);
	sets->session = NULL;
}
