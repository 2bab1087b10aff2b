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
#include "src/base/file_io.h"
#include "src/base/lock_bytes.h"
#include "src/base/quote.h"
#include "src/base/sqlite_guard.h"
#include "src/capture/db_users.h"
#include "src/capture/wal_index.h"

#define PAGE_BYTES 4096

#define ALONE_NS      (10 * NS_PER_MS) /* without anybody, before we come first, */
#define ACTIVE_NS     (50 * NS_PER_MS) /* ... or this where the file was written */
#define RECENT_NS     (2 * NS_PER_S)   /* ... not longer ago than that */
#define ON_THE_WAY_NS (80 * NS_PER_MS) /* to wait for one with the first lock */
#define SPIN_NS       (20 * NS_PER_US)

static bool lock(int fd, short type, off_t at, off_t len)
{
	struct flock lock = {
	    .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = len};

	return fcntl(fd, F_SETLK, &lock) == 0;
}

/* A lock, or making a file longer, has failed: others are in the way (ST_RETRY), or
 * `what`. */
static enum status failed(const char *path, const char *what, struct error *err)
{
	if (errno == EACCES || errno == EAGAIN || errno == EINTR) {
		return error_set(err, ST_RETRY, "%s: is locked", quote(path).text);
	}
	return error_set_errno(err, errno, "%s%s", quote(path).text, what);
}

#define NO_LOCK ": cannot be locked"

/* As SQLite does it: the pending byte keeps those out whom somebody waits for. */
static enum status share_database(const char *path, int db_fd, struct error *err)
{
	enum status status = ST_OK;

	if (!lock(db_fd, F_RDLCK, LOCK_DB_PENDING, 1) ||
	    !lock(db_fd, F_RDLCK, LOCK_DB_SHARED, LOCK_DB_SHARED_LEN)) {
		status = failed(path, NO_LOCK, err);
	}
	(void)lock(db_fd, F_UNLCK, LOCK_DB_PENDING, 1);
	return status;
}

/* -shm as SQLite makes it: with the mode of the database, and for root its owner.
 * Never cut: somebody may have it mapped. -1: errno. */
static int open_shm(const char *path, int db_fd)
{
	char shm[PATH_MAX];
	struct stat database;
	struct stat st;
	mode_t mode;
	int fd;

	if (snprintf(shm, sizeof shm, "%s-shm", path) >= (int)sizeof shm) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (fstat(db_fd, &database) != 0) {
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

/* Who else has locked the byte of -shm that says it is open. */
static enum openers who_has_open(int shm_fd)
{
	struct flock lock = {.l_type = F_WRLCK,
			     .l_whence = SEEK_SET,
			     .l_start = LOCK_SHM_OPEN,
			     .l_len = 1};

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

/*
 * Make -shm as long as SQLite maps it, with room on the disk, so that a full disk is an
 * error here and not a signal later. Nothing is written: somebody may come just then
 * and write there. Where the file system has no such call a byte of each page is
 * written, as SQLite does it.
 */
static bool make_room(int shm_fd)
{
	struct stat st;

	if (fstat(shm_fd, &st) != 0) {
		return false;
	}
	if (st.st_size >= WAL_INDEX_BLOCK_BYTES) {
		return true;
	}
	if (fallocate(shm_fd, 0, 0, WAL_INDEX_BLOCK_BYTES) == 0) {
		return true;
	}
	if (errno != EOPNOTSUPP && errno != ENOSYS) {
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
	return file_read_exactly(shm_fd, header->bytes, sizeof header->bytes, 0);
}

/* Has somebody come and gone since `before`? As we were there, that one did not remove
 * the WAL, and left an index that is right. */
static bool was_made_since(int shm_fd, const struct index_header *before)
{
	struct index_header now;
	struct wal_index_header unused;

	return read_header(shm_fd, &now) && wal_index_parse(now.bytes, &unused) &&
	       memcmp(before, &now, sizeof now) != 0;
}

static enum status join_others(const char *path, int shm_fd, struct error *err)
{
	return lock(shm_fd, F_RDLCK, LOCK_SHM_OPEN, 1)
		   ? ST_OK
		   : failed(path, "-shm" NO_LOCK, err);
}

/*
 * Nobody has -shm open: its contents are of no use. With an empty WAL they become what
 * a recovery would make, so that none is needed; else the header becomes 0, and SQLite
 * makes all of it anew from the WAL.
 */
static enum status join_first(const char *path, int shm_fd,
			      const struct index_header *before, struct error *err)
{
	uint8_t start[WAL_INDEX_START_BYTES] = {0};

	if (!lock(shm_fd, F_WRLCK, LOCK_SHM_OPEN, 1)) {
		return failed(path, "-shm" NO_LOCK, err);
	}
	if (!was_made_since(shm_fd, before)) {
		if (is_wal_empty(path)) {
			wal_index_make_empty(start);
		}
		if (pwrite(shm_fd, start, sizeof start, 0) != (ssize_t)sizeof start) {
			return failed(path, "-shm: cannot be written", err);
		}
	}
	return join_others(path, shm_fd, err);
}

/* `*is_first`: nobody has it open, so that we come first; else its contents are those
 * of somebody who is there, perhaps without the lock. Without /proc nobody counts as
 * having lost it. */
static enum status prepare(const char *path, int shm_fd, struct index_header *before,
			   bool *is_first, struct error *err)
{
	enum db_mapping mapping;

	if (!read_header(shm_fd, before)) {
		*before = (struct index_header){0};
	}
	*is_first = who_has_open(shm_fd) == OPEN_TO_NOBODY;
	if (!*is_first) {
		return ST_OK;
	}
	mapping = db_shm_mapping(shm_fd);
	if (mapping == MAPPED_UNKNOWN && errno_is_limit(errno)) {
		return error_set_errno(err, errno, "%s: who has it open cannot be told",
				       quote(path).text);
	}
	*is_first = mapping != MAPPED_BY_OTHERS;
	return !*is_first || make_room(shm_fd)
		   ? ST_OK
		   : failed(path, "-shm: cannot be made longer", err);
}

/* How long nobody has to be there before we come first. On a busy machine a process
 * that opens and closes in a loop may be stopped for longer than it takes to come
 * again. */
static int64_t patience(int db_fd)
{
	struct stat st;
	int64_t written;

	if (fstat(db_fd, &st) != 0) {
		return ACTIVE_NS;
	}
	written = clock_ns_of(st.st_mtim);
	return clock_wall_ns() - written < RECENT_NS ? ACTIVE_NS : ALONE_NS;
}

/*
 * It is best to come while somebody has it open. So one that opens and closes in a loop
 * is awaited for a while. To be first takes only a moment in which nobody can get from
 * the first lock to the second one.
 */
static enum status join_shm(const char *path, int db_fd, int shm_fd, struct error *err)
{
	int64_t start = clock_mono_ns();
	int64_t alone = patience(db_fd);
	struct index_header before;
	bool is_first;
	enum status status = prepare(path, shm_fd, &before, &is_first, err);

	while (status == ST_OK) {
		enum openers openers = who_has_open(shm_fd);
		int64_t waited = clock_mono_ns() - start;

		if (openers == OPEN_TO_OTHERS ||
		    (openers == OPEN_TO_NOBODY && !is_first)) {
			return join_others(path, shm_fd, err);
		}
		if (openers == OPEN_TO_NOBODY &&
		    waited >= (db_file_is_used(db_fd) ? ON_THE_WAY_NS : alone)) {
			return join_first(path, shm_fd, &before, err);
		}
		if (waited >= 2 * ON_THE_WAY_NS) {
			return error_set(err, ST_RETRY, "%s-shm: is locked",
					 quote(path).text);
		}
		clock_sleep_ns(SPIN_NS);
	}
	return status;
}

enum status db_join(const char *path, int db_fd, int *shm_fd, struct error *err)
{
	struct stat st;
	enum status status;

	*shm_fd = -1;
	status = share_database(path, db_fd, err);
	if (status != ST_OK) {
		return status;
	}
	*shm_fd = open_shm(path, db_fd);
	if (*shm_fd < 0 && errno == ENOENT) {
		return error_set(err, ST_RETRY, "nobody has %s open", quote(path).text);
	}
	if (*shm_fd < 0 && (errno == EACCES || errno == EPERM || errno == EROFS)) {
		return ST_OK; /* SQLite may read it, and knows that it may not write */
	}
	if (*shm_fd < 0) {
		return error_set_errno(err, errno, "%s-shm: cannot be opened",
				       quote(path).text);
	}
	status = join_shm(path, db_fd, *shm_fd, err);
	if (status == ST_OK && (fstat(*shm_fd, &st) != 0 || st.st_nlink == 0)) {
		status = error_set(err, ST_RETRY, "%s-shm was just removed",
				   quote(path).text);
	}
	return status;
}

void db_leave(int db_fd)
{
	(void)lock(db_fd, F_UNLCK, LOCK_DB_START, LOCK_DB_LEN);
}
