/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/source_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/file_time.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/stop.h"
#include "src/capture/db_users.h"
#include "src/capture/wal_committed.h"

#define LOOK_NS     (50 * NS_PER_MS)
#define STILL_NS    NS_PER_S
#define GONE_NS     (5 * NS_PER_S)  /* how long to wait for a file that is missing */
#define PATIENCE_NS (60 * NS_PER_S) /* and for one that does not become whole */

#define SALT_BYTES  8
#define SALT_IN_SHM 32 /* src/capture/wal_index.h */
#define SALT_IN_WAL 16 /* src/capture/wal_frame.h */

/* The file at one look. */
struct seen {
	bool exists;
	struct stat st;
	bool is_whole; /* it has the pages that its header speaks of */
	bool is_used;  /* by another process, through SQLite */
	bool has_left; /* and beside it lies what is left over from another */
	bool is_kept;  /* by one that uses files that have lost their names */
};

struct source_left source_left_none(void)
{
	return (struct source_left){.db_fd = -1, .shm_fd = -1};
}

static void close_left(struct source_left *left)
{
	if (left->db_fd >= 0) {
		(void)close(left->db_fd);
	}
	if (left->shm_fd >= 0) {
		(void)close(left->shm_fd);
	}
	left->db_fd = left->shm_fd = -1;
}

static bool is_same_file(int a, int b)
{
	struct stat one;
	struct stat other;

	return fstat(a, &one) == 0 && fstat(b, &other) == 0 &&
	       one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* The wal-index speaks of the generation that is in the WAL. */
static bool fit_together(int shm_fd, int wal_fd)
{
	uint8_t in_shm[SALT_BYTES];
	uint8_t in_wal[SALT_BYTES];

	return file_read_exactly(shm_fd, in_shm, SALT_BYTES, SALT_IN_SHM) &&
	       file_read_exactly(wal_fd, in_wal, SALT_BYTES, SALT_IN_WAL) &&
	       memcmp(in_shm, in_wal, SALT_BYTES) == 0;
}

/* The one that we had; what is in it does not tell, as its user may have emptied it. */
static bool is_wal_left(int wal_fd, const struct source_left *left)
{
	struct stat st;

	return fstat(wal_fd, &st) == 0 && st.st_dev == left->wal_device &&
	       st.st_ino == left->wal_inode;
}

/* Somebody uses what is at the names, and so do we if we open it. */
static bool names_are_used(const char *path, const struct source_left *left)
{
	int shm_fd = wal_open_beside(path, "-shm");
	int wal_fd = wal_open_beside(path, "-wal");
	bool are_used = shm_fd >= 0 && wal_fd >= 0 && db_shm_is_used(shm_fd) &&
			(!is_same_file(shm_fd, left->shm_fd) ||
			 is_wal_left(wal_fd, left) || fit_together(shm_fd, wal_fd));

	if (shm_fd >= 0) {
		(void)close(shm_fd);
	}
	if (wal_fd >= 0) {
		(void)close(wal_fd);
	}
	return are_used;
}

/* The -shm that we had has another user, who does not come by the names. */
static bool is_kept(const char *path, const struct source_left *left)
{
	return !left->was_replaced && left->shm_fd >= 0 &&
	       db_shm_is_used(left->shm_fd) && !names_are_used(path, left);
}

/* The WAL is that of the file before: it was then, or became it since. */
static bool lies_beside(const char *path, struct source_left *left)
{
	int fd = left->was_replaced ? wal_open_beside(path, "-wal") : -1;
	struct stat st;
	bool lies = fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == left->wal_device &&
		    st.st_ino == left->wal_inode && st.st_size > 0;

	if (fd >= 0) {
		(void)close(fd);
	}
	if (lies && left->db_fd >= 0 && db_file_is_used(left->db_fd)) {
		left->had_frames = true;
	}
	return lies && left->had_frames;
}

static bool fits(int fd, const struct stat *st)
{
	uint8_t bytes[DB_HEADER_SIZE];
	struct db_header header;
	struct error unused;

	if (!file_read_exactly(fd, bytes, sizeof bytes, 0) ||
	    db_header_read(bytes, &header, &unused) != ST_OK) {
		return false;
	}
	return (uint64_t)st->st_size >= (uint64_t)header.page_count * header.page_size;
}

static struct seen look(const char *path, struct source_left *left)
{
	struct seen seen = {.has_left = lies_beside(path, left),
			    .is_kept = is_kept(path, left)};
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
	       a->is_kept == b->is_kept && a->st.st_dev == b->st.st_dev &&
	       a->st.st_ino == b->st.st_ino && a->st.st_size == b->st.st_size &&
	       file_time_same(&a->st.st_mtim, &b->st.st_mtim);
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
		return error_set(err, ST_LOST, "%s: was removed; put it back",
				 quote(path).text);
	}
	if (seen->has_left) {
		return error_set(
		    err, ST_LOST,
		    "%s: was replaced while %s-wal had commits of the file "
		    "before, which SQLite would take for ones of the new "
		    "file: stop the application, restore once more with "
		    "sqlite3 %s '.restore BACKUP', and start the "
		    "application",
		    path, path, path);
	}
	return error_set(err, ST_LOST,
			 "%s: is no whole database; restore it from a backup",
			 quote(path).text);
}

/* Say it once, and again if it was over in between. */
static void say_kept(const char *path, const struct seen *seen, bool *is_said)
{
	if (seen->is_kept && !*is_said) {
		log_warn(
		    "%s: a process still uses its -wal or -shm, which was removed: "
		    "what that commits gets into the file when it closes the "
		    "database; restart that application. Waiting for it",
		    quote(path).text);
	}
	*is_said = seen->is_kept;
}

/* Is there nothing more to wait for? A user of the file is known by SQLite's locks. */
static bool is_ready(const struct seen *seen, int64_t still)
{
	return seen->is_whole && !seen->is_kept &&
	       (seen->is_used || (!seen->has_left && still >= STILL_NS));
}

static enum status wait_until_ready(const char *path, struct source_left *left,
				    struct error *err)
{
	struct seen seen = look(path, left);
	int64_t since = clock_mono_ns(); /* it is as it is */
	bool is_said = false;

	for (;;) {
		int64_t still = clock_mono_ns() - since;
		struct seen now;
		enum status status;

		if (is_ready(&seen, still)) {
			return ST_OK;
		}
		say_kept(path, &seen, &is_said);
		if (!seen.is_kept && still >= (seen.exists ? PATIENCE_NS : GONE_NS)) {
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

enum status source_wait(const char *path, struct source_left *left, struct error *err)
{
	enum status status = wait_until_ready(path, left, err);

	close_left(left);
	return status;
}
