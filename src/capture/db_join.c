/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/db_join.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/sqlite_guard.h"
#include "src/capture/db_users.h"
#include "src/capture/wal_index.h"

#define PENDING_BYTE 0x40000000
#define SHARED_AT    (PENDING_BYTE + 2)
#define SHARED_LEN   510
#define OPEN_BYTE    128 /* of -shm */
#define PAGE_BYTES   4096

#define ALONE_NS      (10 * NS_PER_MS) /* without anybody */
#define ON_THE_WAY_NS (30 * NS_PER_MS) /* one who has the first lock is awaited */
#define SPIN_NS       (20 * NS_PER_US)

static bool lock(int fd, short type, off_t at, off_t len)
{
	struct flock lock = {
	    .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = len};

	return fcntl(fd, F_SETLK, &lock) == 0;
}

/* As SQLite does it: the pending byte keeps those out whom somebody waits for. */
static bool share_database(int db_fd)
{
	bool is_shared = lock(db_fd, F_RDLCK, PENDING_BYTE, 1) &&
			 lock(db_fd, F_RDLCK, SHARED_AT, SHARED_LEN);

	(void)lock(db_fd, F_UNLCK, PENDING_BYTE, 1);
	return is_shared;
}

/* -shm as SQLite makes it: with the mode of the database, and for root its owner. */
/* Never cut: somebody may have it mapped. */
static int open_shm(const char *path, int db_fd)
{
	char shm[PATH_MAX];
	struct stat database;
	struct stat st;
	mode_t mode;
	int fd;

	if (snprintf(shm, sizeof shm, "%s-shm", path) >= (int)sizeof shm ||
	    fstat(db_fd, &database) != 0) {
		return -1;
	}
	mode = database.st_mode & 0777;
	fd = open(shm,
		  O_RDWR | O_CLOEXEC | O_NOFOLLOW |
		      (sqlite_guard_may_make(path) ? O_CREAT : 0),
		  mode);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 0) {
		if ((st.st_mode & 0777) != mode) {
			(void)fchmod(fd, mode);
		}
		if (geteuid() == 0) {
			(void)!fchown(fd, database.st_uid, database.st_gid);
		}
	}
	return fd;
}

enum openers { OPEN_TO_NOBODY, OPEN_TO_OTHERS, OPEN_TO_ONE };

/* Who, but us, has locked the byte of -shm. */
static enum openers who_has_open(int shm_fd)
{
	struct flock lock = {
	    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = OPEN_BYTE, .l_len = 1};

	if (fcntl(shm_fd, F_GETLK, &lock) != 0 || lock.l_type == F_WRLCK) {
		return OPEN_TO_ONE;
	}
	return lock.l_type == F_RDLCK ? OPEN_TO_OTHERS : OPEN_TO_NOBODY;
}

static bool is_wal_empty(const char *path)
{
	char wal[PATH_MAX];
	struct stat st;

	if (snprintf(wal, sizeof wal, "%s-wal", path) >= (int)sizeof wal) {
		return false;
	}
	return stat(wal, &st) == 0 ? st.st_size == 0 : errno == ENOENT;
}

/* As long as SQLite maps it; byte by byte of each page, as it does, so that a full disk
 * is an error here and not a signal later. */
static bool make_room(int shm_fd)
{
	struct stat st;

	if (fstat(shm_fd, &st) != 0) {
		return false;
	}
	for (off_t end = PAGE_BYTES; end <= WAL_INDEX_BLOCK_BYTES; end += PAGE_BYTES) {
		if (end > st.st_size && pwrite(shm_fd, "", 1, end - 1) != 1) {
			return false;
		}
	}
	return true;
}

/* Both copies of the header. */
struct index_header {
	uint8_t bytes[2 * WAL_INDEX_HEADER_BYTES];
};

static bool read_header(int shm_fd, struct index_header *header)
{
	return pread(shm_fd, header->bytes, sizeof header->bytes, 0) ==
	       (ssize_t)sizeof header->bytes;
}

/* Somebody came and went since `before`: as we were there, he did not remove the WAL,
 * and left an index that is right. */
static bool was_made_since(int shm_fd, const struct index_header *before)
{
	struct index_header now;
	struct wal_index_header unused;

	return read_header(shm_fd, &now) && wal_index_parse(now.bytes, &unused) &&
	       memcmp(before, &now, sizeof now) != 0;
}

/*
 * Nobody has it open: what it has is of no use. With an empty WAL it becomes what a
 * recovery would make of it, so that none is needed; else its header becomes 0, and
 * SQLite makes all of it anew from the WAL.
 */
static bool join_first(const char *path, int shm_fd, const struct index_header *before)
{
	uint8_t start[WAL_INDEX_START_BYTES] = {0};

	if (!lock(shm_fd, F_WRLCK, OPEN_BYTE, 1)) {
		return false;
	}
	if (!was_made_since(shm_fd, before)) {
		if (is_wal_empty(path)) {
			wal_index_make_empty(start);
		}
		if (pwrite(shm_fd, start, sizeof start, 0) != (ssize_t)sizeof start) {
			return false;
		}
	}
	return lock(shm_fd, F_RDLCK, OPEN_BYTE, 1);
}

/* `*is_first`: as long as nobody has it open, we come first; else the contents are
 * those of somebody who is there, and has perhaps lost his lock. */
static bool prepare(int shm_fd, struct index_header *before, bool *is_first)
{
	if (!read_header(shm_fd, before)) {
		*before = (struct index_header){0};
	}
	*is_first = who_has_open(shm_fd) == OPEN_TO_NOBODY && !db_shm_is_mapped(shm_fd);
	return !*is_first || make_room(shm_fd);
}

/*
 * Best is to come while somebody has it open. So one who opens and closes in a loop is
 * awaited for a while; and to be first only a moment is needed in which nobody can get
 * from the first lock to the second one.
 */
static bool join_shm(const char *path, int db_fd, int shm_fd)
{
	int64_t start = clock_mono_ns();
	struct index_header before;
	bool is_first;

	if (!prepare(shm_fd, &before, &is_first)) {
		return false;
	}
	for (;;) {
		enum openers openers = who_has_open(shm_fd);
		int64_t waited = clock_mono_ns() - start;

		if (openers == OPEN_TO_OTHERS ||
		    (openers == OPEN_TO_NOBODY && !is_first)) {
			return lock(shm_fd, F_RDLCK, OPEN_BYTE, 1);
		}
		if (openers == OPEN_TO_NOBODY &&
		    waited >= (db_file_is_used(db_fd) ? ON_THE_WAY_NS : ALONE_NS)) {
			return join_first(path, shm_fd, &before);
		}
		if (waited >= 2 * ON_THE_WAY_NS) {
			return false;
		}
		clock_sleep_ns(SPIN_NS);
	}
}

enum status db_join(const char *path, int db_fd, int *shm_fd, struct error *err)
{
	struct stat st;

	*shm_fd = -1;
	if (!share_database(db_fd)) {
		return error_set(err, ST_RETRY, "%s: is locked", path);
	}
	*shm_fd = open_shm(path, db_fd);
	if (*shm_fd < 0 && errno == ENOENT) {
		return error_set(err, ST_RETRY, "nobody has %s open", path);
	}
	if (*shm_fd < 0) {
		return ST_OK; /* SQLite may read it, and knows that it may not write */
	}
	if (!join_shm(path, db_fd, *shm_fd)) {
		return error_set(err, ST_RETRY, "%s: is locked", path);
	}
	if (fstat(*shm_fd, &st) != 0 || st.st_nlink == 0) {
		return error_set(err, ST_RETRY, "%s-shm was just removed", path);
	}
	return ST_OK;
}

void db_leave(int db_fd)
{
	(void)lock(db_fd, F_UNLCK, PENDING_BYTE, SHARED_AT + SHARED_LEN - PENDING_BYTE);
}
