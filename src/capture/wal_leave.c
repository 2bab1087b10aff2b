/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/file_io.h"
#include "src/capture/wal_hold_parts.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "src/base/lock_bytes.h"
#include "src/base/log.h"
#include "src/capture/db_users.h"

#define ASK_NS  (2 * NS_PER_MS)  /* to try a lock that others take for an instant */
#define BUSY_NS (20 * NS_PER_MS) /* to try a checkpoint */
#define SPIN_NS (20 * NS_PER_US)

#define WAL_SALT_AT 16 /* in its header, src/capture/wal_frame.h */

static bool lock_byte(int fd, off_t at, short type)
{
	struct flock lock = {
	    .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

	return fcntl(fd, F_SETLK, &lock) == 0;
}

/* Whoever begins to use the database file takes the pending byte for an instant. */
static bool keep_openers_out(const struct wal_hold *h)
{
	int64_t until = clock_mono_ns() + ASK_NS;

	while (!lock_byte(h->db->names.db_fd, LOCK_DB_PENDING, F_WRLCK)) {
		if (clock_mono_ns() >= until) {
			return false;
		}
		clock_sleep_ns(SPIN_NS);
	}
	return true;
}

static void let_openers_in(const struct wal_hold *h)
{
	(void)lock_byte(h->db->names.db_fd, LOCK_DB_PENDING, F_UNLCK);
}

/* Is the WAL that we have open what its header says? */
static bool is_wal_whole(const struct wal_hold *h,
			 const struct wal_index_header *header)
{
	int64_t frame_bytes = (int64_t)h->db->page_size + WAL_FRAME_HEADER_BYTES;
	uint8_t bytes[WAL_HEADER_BYTES];
	struct stat st;

	return fstat(h->db->wal_fd, &st) == 0 &&
	       st.st_size >=
		   WAL_HEADER_BYTES + (int64_t)header->frame_count * frame_bytes &&
	       file_read_exactly(h->db->wal_fd, bytes, sizeof bytes, 0) &&
	       memcmp(bytes + WAL_SALT_AT, header->salt, sizeof header->salt) == 0;
}

static bool is_backfilled(const struct wal_hold *h,
			  const struct wal_index_header *header)
{
	return wal_index_backfilled(&h->db->index) >= header->frame_count;
}

/* Nobody else reads or writes, and our readers have ended: bring all into the file. */
static bool backfill_all(struct wal_hold *h, const struct wal_index_header *header)
{
	int64_t until = clock_mono_ns() + BUSY_NS;
	int rc;

	checkpoint_vfs_limit(h->db->vfs, 0);
	if (is_backfilled(h, header)) {
		return true;
	}
	if (header->frame_count > 0 && !is_wal_whole(h, header)) {
		return false;
	}
	do {
		rc = sqlite3_wal_checkpoint_v2(h->db->checkpointer, "main",
					       SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	} while ((rc & 0xff) == SQLITE_BUSY && clock_mono_ns() < until);
	return rc == SQLITE_OK && is_backfilled(h, header);
}

enum other_wal { WAL_OURS, WAL_EMPTY, WAL_OTHER };

/* What is at the name of the WAL. Empty: nobody has committed to another one. */
static enum other_wal at_wal_name(const struct wal_hold *h)
{
	struct stat st;

	if (stat(h->db->names.wal_path, &st) != 0) {
		return WAL_EMPTY;
	}
	if (st.st_dev == h->db->names.wal.device &&
	    st.st_ino == h->db->names.wal.inode) {
		return WAL_OURS;
	}
	return st.st_size == 0 ? WAL_EMPTY : WAL_OTHER;
}

/*
 * The -shm of somebody who has opened the database since ours lost its name: locked, so
 * that he is within no transaction. -1: he is, or there is none.
 */
static int lock_new_shm(const struct wal_hold *h)
{
	int64_t until = clock_mono_ns() + BUSY_NS;
	struct flock all = {.l_type = F_WRLCK,
			    .l_whence = SEEK_SET,
			    .l_start = LOCK_SHM_START,
			    .l_len = LOCK_SHM_LEN};
	int fd = open(h->db->names.shm_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	while (fd >= 0 && fcntl(fd, F_SETLK, &all) != 0) {
		if (clock_mono_ns() >= until) {
			(void)close(fd);
			return -1;
		}
		clock_sleep_ns(SPIN_NS);
	}
	return fd;
}

/* Its user then reads anew what it has read: SQLite makes the header again. */
static void wipe_new_shm(int fd)
{
	static const uint8_t nothing[2 * WAL_INDEX_HEADER_BYTES];

	if (pwrite(fd, nothing, sizeof nothing, 0) != (ssize_t)sizeof nothing) {
		log_debug("hold: the new -shm cannot be written");
	}
}

/* Both files have lost their names: a process that comes now has another wal-index, and
 * only the lock on the database file in common with us. */
static bool complete_alone(struct wal_hold *h, const struct wal_index_header *header)
{
	bool is_done = false;
	int new_shm = -1;

	if (db_shm_is_used(h->db->names.shm_fd) || !keep_openers_out(h)) {
		return false;
	}
	if (!db_file_is_used(h->db->db_fd) || (new_shm = lock_new_shm(h)) >= 0) {
		is_done = at_wal_name(h) != WAL_OTHER && backfill_all(h, header);
	}
	if (new_shm >= 0) {
		if (is_done) {
			wipe_new_shm(new_shm);
		}
		(void)close(new_shm);
	}
	let_openers_in(h);
	return is_done;
}

/*
 * -wal or -shm has lost its name, and what is committed and not in the file would be
 * lost with it. As long as nobody has committed since, it is brought into the file, as
 * the close of the last connection would have done. Where others have the same
 * wal-index, that is a checkpoint like any other.
 */
static void complete_file(struct wal_hold *h)
{
	struct wal_index_header header;
	bool is_done;

	if (at_wal_name(h) == WAL_OTHER || !wal_index_read(&h->db->index, &header)) {
		return;
	}
	is_done = db_names_has_shm(&h->db->names) ? backfill_all(h, &header)
						  : complete_alone(h, &header);
	log_debug("hold: what was in the WAL is%s in the file", is_done ? "" : " not");
}

/* Set the length of the WAL with our inode to 0. */
static bool cut_wal(const struct wal_hold *h)
{
	int fd = open(h->db->names.wal_path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	bool is_cut = fd >= 0 && fstat(fd, &st) == 0 &&
		      st.st_dev == h->db->names.wal.device &&
		      st.st_ino == h->db->names.wal.inode && ftruncate(fd, 0) == 0;

	if (fd >= 0) {
		(void)close(fd);
	}
	return is_cut;
}

/* Was all that is in the WAL there before another file took the name of ours? That
 * changed the ctime of ours. */
static bool is_wal_older(const struct wal_hold *h)
{
	struct stat wal;
	struct stat now;

	if (fstat(h->db->wal_fd, &wal) != 0 || stat(h->db->names.path, &now) != 0) {
		return false;
	}
	return wal.st_mtim.tv_sec < now.st_ctim.tv_sec ||
	       (wal.st_mtim.tv_sec == now.st_ctim.tv_sec &&
		wal.st_mtim.tv_nsec < now.st_ctim.tv_nsec);
}

static bool is_old_header(const struct wal_hold *h,
			  const struct wal_index_header *header, bool may_write)
{
	return wal_index_same(header, &h->header) || (may_write && is_wal_older(h));
}

/*
 * Another database is in the place of ours, or was copied over it, and whoever opens it
 * finds our WAL and wal-index beside it. What they have is in the old file (with
 * `may_write` it is brought there): so they are emptied, as if the old one had been
 * closed. Under all locks nobody is within a transaction; who is between two of them
 * reads anew.
 */
static void forget_wal(struct wal_hold *h, bool may_write)
{
	const struct wal_index *index = &h->db->index;
	struct wal_index_header header;
	struct wal_index_header now;

	if (db_shm_is_used(h->db->names.shm_fd) || !wal_index_read(index, &header) ||
	    !is_old_header(h, &header, may_write) ||
	    (!is_backfilled(h, &header) && !(may_write && backfill_all(h, &header)))) {
		return;
	}
	if (!wal_index_lock_all(index)) {
		return;
	}
	if (wal_index_read(index, &now) && wal_index_same(&now, &header) &&
	    cut_wal(h) && wal_index_restart(index)) {
		log_debug("hold: the WAL of the file that was replaced is emptied");
	}
	wal_index_unlock_all(index);
}

void hold_leave(struct wal_hold *h)
{
	hold_drop_lock(h);
	wal_gate_open(&h->gate);
	if (h->state != HOLD_LOST || h->db->degraded) {
		return;
	}
	for (int i = 0; i < 2; i++) {
		(void)sqlite3_reset(h->db->read[i]);
	}
	if (h->was_changed) {
		forget_wal(h, false);
	} else if (h->fault == NAMES_DB) {
		forget_wal(h, true);
	} else if (h->fault == NAMES_WAL || h->fault == NAMES_SHM) {
		complete_file(h);
	}
}
