/* SPDX-License-Identifier: Apache-2.0 */
#include "src/source_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/base/clock.h"
#include "src/db_open.h"
#include "src/stop.h"

#define LOOK_NS     (50 * NS_PER_MS)
#define STILL_NS    NS_PER_S
#define GONE_NS     (5 * NS_PER_S)  /* a missing file is waited for */
#define PATIENCE_NS (60 * NS_PER_S) /* and one that does not become whole */

/* The file at one look. */
struct seen {
	bool exists;
	struct stat st;
	bool is_whole; /* it has the pages that its header speaks of */
	bool is_used;  /* by another process, through SQLite */
	bool has_left; /* and beside it lies what is left over from another */
};

static bool lies_beside(const char *path, const struct source_left *left)
{
	char wal[PATH_MAX];
	struct stat st;

	return left->is_known &&
	       snprintf(wal, sizeof wal, "%s-wal", path) < (int)sizeof wal &&
	       stat(wal, &st) == 0 && st.st_dev == left->device &&
	       st.st_ino == left->inode && st.st_size > 0;
}

static bool fits(int fd, const struct stat *st)
{
	uint8_t bytes[DB_HEADER_SIZE];
	struct db_header header;
	struct error unused;

	if (pread(fd, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes ||
	    db_header_read(bytes, &header, &unused) != ST_OK) {
		return false;
	}
	return (uint64_t)st->st_size >= (uint64_t)header.page_count * header.page_size;
}

static struct seen look(const char *path, const struct source_left *left)
{
	struct seen seen = {.has_left = lies_beside(path, left)};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		seen.exists = errno != ENOENT;
		return seen;
	}
	seen.exists = true;
	if (fstat(fd, &seen.st) == 0) {
		seen.is_whole = fits(fd, &seen.st);
		seen.is_used = db_file_is_used(fd);
	}
	(void)close(fd);
	return seen;
}

static bool is_same(const struct seen *a, const struct seen *b)
{
	return a->exists == b->exists && a->has_left == b->has_left &&
	       a->st.st_dev == b->st.st_dev && a->st.st_ino == b->st.st_ino &&
	       a->st.st_size == b->st.st_size &&
	       a->st.st_mtim.tv_sec == b->st.st_mtim.tv_sec &&
	       a->st.st_mtim.tv_nsec == b->st.st_mtim.tv_nsec;
}

enum status source_pause(int64_t ns, struct error *err)
{
	struct pollfd fd = {.fd = stop_fd(), .events = POLLIN};

	(void)poll(&fd, 1, (int)(ns / NS_PER_MS));
	return stop_requested ? error_set(err, ST_STOPPED, "stopped") : ST_OK;
}

static enum status give_up(const char *path, const struct seen *seen, struct error *err)
{
	if (!seen->exists) {
		return error_set(err, ST_LOST, "%s: was removed; put it back", path);
	}
	if (seen->has_left) {
		return error_set(err, ST_LOST,
				 "%s: was replaced, and %s-wal is still that of the "
				 "old file: stop what uses that, remove %s-wal and "
				 "%s-shm",
				 path, path, path, path);
	}
	return error_set(err, ST_LOST,
			 "%s: is no whole database; restore it from a backup", path);
}

enum status source_wait(const char *path, const struct source_left *left,
			struct error *err)
{
	struct seen seen = look(path, left);
	int64_t since = clock_mono_ns(); /* it is as it is */

	for (;;) {
		int64_t still = clock_mono_ns() - since;
		struct seen now;
		enum status status;

		if (seen.is_whole && !seen.has_left &&
		    (still >= STILL_NS || seen.is_used)) {
			return ST_OK;
		}
		if (still >= (seen.exists ? PATIENCE_NS : GONE_NS)) {
			return give_up(path, &seen, err);
		}
		status = source_pause(LOOK_NS, err);
		if (status != ST_OK) {
			return status;
		}
		now = look(path, left);
		if (!is_same(&now, &seen)) {
			since = clock_mono_ns();
		}
		seen = now;
	}
}
