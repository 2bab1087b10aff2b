/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/log.h"
#include "src/base/owned_file.h"
#include "src/base/quote.h"
#include "src/base/random.h"
#include "src/state/same_database.h"
#include "src/state/state_dir_parts.h"
#include "src/state/state_folder.h"
#include "src/state/state_lock.h"

#define START_AGAIN "move %s away and " STATE_BEGIN_ANEW

/* ---- files ---- */

struct state_folder state_dir_folder(const struct state_dir *dir)
{
	return (struct state_folder){.path = dir->path, .fd = dir->fd};
}

enum status state_dir_file_error(const struct state_dir *dir, const char *name,
				 const char *what, struct error *err)
{
	return state_file_error(state_dir_folder(dir), name, what, err);
}

/* The folder before what is said of one of its files. */
static enum status in_folder(const struct state_dir *dir, struct error *err)
{
	return error_wrap(err, "%s", quote(dir->path).text);
}

static enum status folder_unsynced(const struct state_dir *dir, struct error *err)
{
	return error_set_errno(err, errno, "%s cannot be synced",
			       quote(dir->path).text);
}

/* Open a file of the folder for reading and writing; what is there must be ours. */
static enum status open_or_make(const struct state_dir *dir, const char *name, int *fd,
				struct error *err)
{
	struct state_file_name path = state_file_path(state_dir_folder(dir), name);
	struct owned_place place = state_file_place(state_dir_folder(dir), name, &path);

	return owned_file_open(&place, O_RDWR | O_CREAT, fd, NULL, err);
}

enum status state_dir_damaged(const struct state_dir *dir, const char *name,
			      const char *why, struct error *err)
{
	struct state_file_name path = state_file_path(state_dir_folder(dir), name);

	return error_set(err, ST_DAMAGED, "%s is damaged (%s); " START_AGAIN,
			 quote(path.text).text, why, quote(dir->path).text);
}

/* ---- the lock ---- */

enum status state_dir_in_use(const struct state_dir *dir, struct error *err)
{
	long pid = state_lock_pid(dir->lock_fd);

	if (pid <= 0) {
		return error_set(
		    err, ST_CONFIG,
		    "%s is in use by another process; stop it or " STATE_INSTEAD,
		    quote(dir->path).text);
	}
	return error_set(err, ST_CONFIG,
			 "%s is in use by process %ld; stop it or " STATE_INSTEAD,
			 quote(dir->path).text, pid);
}

static enum status take_lock(struct state_dir *dir, struct error *err)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (open_or_make(dir, STATE_LOCK_FILE, &dir->lock_fd, err) != ST_OK) {
		return err->sys_errno == EACCES || err->sys_errno == EPERM ||
			       err->sys_errno == EROFS
			   ? state_folder_error(dir->path, err->sys_errno, err)
			   : err->status;
	}
	if (fcntl(dir->lock_fd, F_OFD_SETLK, &all) != 0) {
		if (errno == EAGAIN || errno == EACCES) {
			return state_dir_in_use(dir, err);
		}
		return state_dir_file_error(dir, STATE_LOCK_FILE, "locked", err);
	}
	state_lock_write(dir->lock_fd, false);
	FAULT_POINT("state-locked");
	return ST_OK;
}

void state_dir_note_following(const struct state_dir *dir)
{
	state_lock_write(dir->lock_fd, true);
}

/* ---- meta ---- */

/* The database has another path now: is it the same one? */
static enum status check_moved(struct state_dir *dir, const char *found,
			       size_t found_len, struct error *err)
{
	char old_path[PATH_MAX + 1];
	bool is_copy = false;
	int fd;

	(void)snprintf(old_path, sizeof old_path, "%.*s", (int)found_len, found);
	fd = openat(dir->fd, "shadow", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	dir->is_moved =
	    dir->follows_path ||
	    same_database(&dir->meta, fd, old_path, dir->database_path, &is_copy);
	if (fd >= 0) {
		(void)close(fd);
	}
	if (dir->is_moved) {
		log_info("the database of %s was %s and is %s now",
			 quote(dir->path).text, quote(old_path).text,
			 quote(dir->database_path).text);
		return ST_OK;
	}
	return error_set(err, ST_CONFIG,
			 "%.250s is of the database %.250s%s, not of %.250s; use "
			 "another --state",
			 dir->path, old_path, is_copy ? ", which is still there" : "",
			 dir->database_path);
}

static enum status check_database(struct state_dir *dir, const char *found,
				  size_t found_len, struct error *err)
{
	if (!dir->database_path) { /* for reading: whatever it is */
		dir->database_path = strndup(found, found_len);
		return dir->database_path ? ST_OK
					  : error_no_memory(err, "the state directory");
	}
	if (found_len == strlen(dir->database_path) &&
	    memcmp(found, dir->database_path, found_len) == 0) {
		return ST_OK;
	}
	return check_moved(dir, found, found_len, err);
}

static enum status meta_parse(struct state_dir *dir, const uint8_t *bytes, size_t len,
			      struct error *err)
{
	const char *path;
	size_t path_len;
	uint32_t version;
	const char *wrong =
	    meta_decode(bytes, len, &version, &dir->meta, &path, &path_len);

	if (wrong) {
		return state_dir_damaged(dir, STATE_META_FILE, wrong, err);
	}
	if (version != STATE_VERSION) {
		return error_set(
		    err, ST_CONFIG,
		    "%s has format version %u, this program needs %d; use the "
		    "rowtail that made it or another --state",
		    quote(dir->path).text, version, STATE_VERSION);
	}
	return check_database(dir, path, path_len, err);
}

enum status state_dir_read_meta(struct state_dir *dir, struct error *err)
{
	uint8_t bytes[META_MAX + 1];
	ssize_t len;
	int fd = openat(dir->fd, STATE_META_FILE,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0) {
		return errno == ENOENT
			   ? ST_OK
			   : state_dir_file_error(dir, STATE_META_FILE, "opened", err);
	}
	len = file_read_at(fd, bytes, sizeof bytes, 0);
	if (len < 0) {
		enum status status =
		    state_dir_file_error(dir, STATE_META_FILE, "read", err);

		(void)close(fd);
		return status;
	}
	(void)close(fd);
	dir->has_meta = true;
	return meta_parse(dir, bytes, (size_t)len, err);
}

/* Write and sync meta.new; when that fails nothing is left there. */
static enum status write_meta_new(const struct state_dir *dir, const uint8_t *bytes,
				  size_t len, struct error *err)
{
	bool is_written;
	int reason;
	int fd;

	if (unlinkat(dir->fd, STATE_META_NEW_FILE, 0) != 0 && errno != ENOENT) {
		return state_dir_file_error(dir, STATE_META_NEW_FILE, "removed", err);
	}
	if (open_or_make(dir, STATE_META_NEW_FILE, &fd, err) != ST_OK) {
		return err->status;
	}
	FAULT_POINT("meta-new-made");
	is_written = file_write_at(fd, bytes, len, 0) && file_sync_all(fd);
	reason = errno;
	if (close(fd) != 0 && is_written) {
		is_written = false;
		reason = errno;
	}
	if (!is_written) {
		(void)unlinkat(dir->fd, STATE_META_NEW_FILE, 0);
	}
	errno = reason;
	return is_written
		   ? ST_OK
		   : state_dir_file_error(dir, STATE_META_NEW_FILE, "written", err);
}

/* Make the name of the folder itself durable, where the folder above may be opened. */
static enum status sync_parent(const struct state_dir *dir, struct error *err)
{
	int fd = openat(dir->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum status status = ST_OK;

	if (fd < 0) {
		return ST_OK;
	}
	if (!file_sync_all(fd) && errno != EINVAL && errno != EROFS) {
		status =
		    error_set_errno(err, errno, "the folder of %s cannot be synced",
				    quote(dir->path).text);
	}
	(void)close(fd);
	return status;
}

/* Fill in what the caller leaves to us. */
static enum status complete_meta(struct state_dir *dir, struct state_meta *meta,
				 struct error *err)
{
	memcpy(meta->uuid, dir->meta.uuid, STATE_UUID_BYTES);
	if (!dir->has_meta && !random_bytes(meta->uuid, STATE_UUID_BYTES)) {
		return error_set_errno(err, errno, "no random numbers to be had");
	}
	while (meta->epoch == 0) {
		if (!random_bytes(&meta->epoch, sizeof meta->epoch)) {
			return error_set_errno(err, errno,
					       "no random numbers to be had");
		}
	}
	return ST_OK;
}

enum status state_dir_put_meta(struct state_dir *dir, const struct state_meta *meta,
			       struct error *err)
{
	struct state_meta complete = *meta;
	enum status status = complete_meta(dir, &complete, err);
	uint8_t bytes[META_MAX];

	/* Once there is a meta the files beside it count: they have to be there. */
	if (status == ST_OK && !dir->has_meta) {
		status = state_dir_sync_position(dir, err);
	}
	if (status == ST_OK && !dir->has_meta) {
		status = sync_parent(dir, err);
	}
	if (status == ST_OK) {
		status = write_meta_new(
		    dir, bytes, meta_encode(&complete, dir->database_path, bytes), err);
	}
	if (status != ST_OK) {
		return status;
	}
	FAULT_POINT("meta-new-synced");
	if (renameat(dir->fd, STATE_META_NEW_FILE, dir->fd, STATE_META_FILE) != 0) {
		return state_dir_file_error(dir, STATE_META_FILE, "replaced", err);
	}
	FAULT_POINT("meta-renamed");
	if (!file_sync_all(dir->fd)) {
		return folder_unsynced(dir, err);
	}
	dir->meta = complete;
	dir->has_meta = true;
	FAULT_POINT("meta-durable");
	return ST_OK;
}

enum status state_dir_forget(struct state_dir *dir, struct error *err)
{
	/* Without meta, a position with a number says that meta was lost. */
	const struct state_position unused = {.lsn = dir->position.lsn};
	enum status status = state_dir_put_position(dir, &unused, err);

	if (status == ST_OK && snapshot_file_forget(dir->snapshots, err) != ST_OK) {
		status = in_folder(dir, err);
	}
	if (status == ST_OK) {
		status = state_dir_sync_position(dir, err);
	}
	if (status != ST_OK) {
		return status;
	}
	if (unlinkat(dir->fd, STATE_META_FILE, 0) != 0 && errno != ENOENT) {
		return state_dir_file_error(dir, STATE_META_FILE, "removed", err);
	}
	return file_sync_all(dir->fd) ? ST_OK : folder_unsynced(dir, err);
}

/* ---- position ---- */

static bool write_position(const struct state_dir *dir,
			   const struct state_position *position, uint64_t sequence)
{
	uint8_t bytes[POSITION_BYTES];

	size_t len = position_encode(position, sequence, bytes);

	return file_write_at(dir->position_fd, bytes, len,
			     (off_t)(sequence % 2) * POSITION_STRIDE);
}

/* Both records of the file, so that it has its full size from now on. */
static enum status make_position(struct state_dir *dir, struct error *err)
{
	if (!write_position(dir, &dir->position, 0) ||
	    !write_position(dir, &dir->position, 1)) {
		return state_dir_file_error(dir, STATE_POSITION_FILE, "written", err);
	}
	dir->sequence = 1;
	FAULT_POINT("position-made");
	return ST_OK;
}

/* False: no record among the `len` bytes is right. */
bool state_dir_pick_position(struct state_dir *dir, const uint8_t *bytes, size_t len)
{
	bool is_found = position_pick(bytes, len, &dir->position, &dir->sequence);

	dir->put = dir->position;
	return is_found;
}

static enum status read_position(struct state_dir *dir, struct error *err)
{
	uint8_t bytes[POSITION_FULL];
	ssize_t len;

	if (open_or_make(dir, STATE_POSITION_FILE, &dir->position_fd, err) != ST_OK) {
		return err->status;
	}
	len = file_read_at(dir->position_fd, bytes, sizeof bytes, 0);
	if (len < 0) {
		return state_dir_file_error(dir, STATE_POSITION_FILE, "read", err);
	}
	if (state_dir_pick_position(dir, bytes, (size_t)len)) {
		return ST_OK;
	}
	if (len >= POSITION_STRIDE + POSITION_BEFORE) {
		return state_dir_damaged(dir, STATE_POSITION_FILE, "checksum", err);
	}
	return make_position(dir, err);
}

/* With the lock. */
static enum status put_position(struct state_dir *dir,
				const struct state_position *position,
				struct error *err)
{
	FAULT_POINT("position-before-record");
	if (!write_position(dir, position, dir->sequence + 1)) {
		return state_dir_file_error(dir, STATE_POSITION_FILE, "written", err);
	}
	FAULT_POINT("position-record");
	dir->put = *position;
	dir->sequence++;
	return ST_OK;
}

enum status state_dir_put_position(struct state_dir *dir,
				   const struct state_position *position,
				   struct error *err)
{
	struct state_position whole = *position;
	enum status status;

	(void)pthread_mutex_lock(&dir->lock);
	whole.unhanded_lsn = dir->put.unhanded_lsn;
	status = put_position(dir, &whole, err);
	(void)pthread_mutex_unlock(&dir->lock);
	return status;
}

/* With the lock. */
static enum status sync_position(struct state_dir *dir, struct error *err)
{
	if (dir->snapshots && snapshot_file_sync(dir->snapshots, err) != ST_OK) {
		return in_folder(dir, err);
	}
	if (dir->sync_errno == 0 && !file_sync(dir->position_fd)) {
		dir->sync_errno = errno;
	}
	if (dir->sync_errno != 0) {
		errno = dir->sync_errno;
		return state_dir_file_error(dir, STATE_POSITION_FILE, "synced", err);
	}
	dir->synced = dir->put;
	FAULT_POINT("position-synced");
	return ST_OK;
}

enum status state_dir_sync_position(struct state_dir *dir, struct error *err)
{
	enum status status;

	(void)pthread_mutex_lock(&dir->lock);
	status = sync_position(dir, err);
	(void)pthread_mutex_unlock(&dir->lock);
	return status;
}

enum status state_dir_put_unhanded(struct state_dir *dir, uint64_t lsn,
				   struct error *err)
{
	struct state_position whole;
	enum status status;

	(void)pthread_mutex_lock(&dir->lock);
	whole = dir->put;
	whole.unhanded_lsn = lsn;
	status = put_position(dir, &whole, err);
	FAULT_POINT("unhanded-put");
	if (status == ST_OK) {
		status = sync_position(dir, err);
	}
	(void)pthread_mutex_unlock(&dir->lock);
	return status;
}

/* ---- open and close ---- */

/* Without slashes at the end: with one, a link would be followed. */
static char *copy_path(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/') {
		len--;
	}
	return strndup(path, len);
}

/* NULL: no memory. */
struct state_dir *state_dir_new(const char *path)
{
	struct state_dir *dir = calloc(1, sizeof *dir);

	if (dir) {
		dir->fd = dir->lock_fd = dir->position_fd = -1;
		(void)pthread_mutex_init(&dir->lock, NULL);
		dir->path = copy_path(path);
	}
	if (dir && !dir->path) {
		free(dir);
		return NULL;
	}
	return dir;
}

static enum status open_locked(struct state_dir *dir, struct error *err)
{
	enum status status = state_folder_open(dir->path, &dir->fd, err);

	if (status == ST_OK) {
		status = state_folder_check(state_dir_folder(dir), err);
	}
	if (status == ST_OK) {
		status = take_lock(dir, err);
	}
	if (status == ST_OK) {
		status = state_dir_read_meta(dir, err);
	}
	/* A kill may have come between the renaming of meta and its sync: what is done
	 * next rests on the new one. */
	if (status == ST_OK && dir->has_meta && !file_sync_all(dir->fd)) {
		status = folder_unsynced(dir, err);
	}
	/* A first start that was killed before it made meta; or it was lost since. */
	if (status == ST_OK && !dir->has_meta) {
		status = state_dir_was_in_use(dir)
			     ? state_dir_damaged(dir, STATE_META_FILE, "missing", err)
			     : state_folder_empty(state_dir_folder(dir), err);
	}
	if (status == ST_OK) {
		status = read_position(dir, err);
	}
	if (status == ST_OK &&
	    snapshot_file_open(dir->fd, &dir->snapshots, err) != ST_OK) {
		status = in_folder(dir, err);
	}
	if (status == ST_OK && dir->is_moved) {
		struct state_meta meta = dir->meta;

		status = state_dir_put_meta(dir, &meta, err);
	}
	return status;
}

enum status state_dir_open(const char *path, const char *database_path,
			   struct state_dir **out, bool *is_new, struct error *err)
{
	return state_dir_open_for(path, database_path, false, out, is_new, err);
}

enum status state_dir_open_for(const char *path, const char *database_path,
			       bool follows_path, struct state_dir **out, bool *is_new,
			       struct error *err)
{
	struct state_dir *dir;
	enum status status;

	if (strlen(database_path) > PATH_MAX) {
		return error_set(err, ST_CONFIG,
				 "the path of the database is too long");
	}
	dir = state_dir_new(path);
	if (!dir) {
		return error_no_memory(err, "the state directory");
	}
	dir->follows_path = follows_path;
	dir->database_path = strdup(database_path);
	status = dir->database_path ? open_locked(dir, err)
				    : error_no_memory(err, "the state directory");
	if (status != ST_OK) {
		state_dir_close(dir);
		return status;
	}
	*is_new = !dir->has_meta;
	*out = dir;
	return ST_OK;
}

const char *state_dir_database(const struct state_dir *dir)
{
	return dir->database_path;
}

void state_dir_close(struct state_dir *dir)
{
	if (!dir) {
		return;
	}
	snapshot_file_close(dir->snapshots);
	if (dir->position_fd >= 0) {
		(void)close(dir->position_fd);
	}
	if (dir->lock_fd >= 0) {
		(void)close(dir->lock_fd);
	}
	if (dir->fd >= 0) {
		(void)close(dir->fd);
	}
	free(dir->database_path);
	free(dir->path);
	free(dir);
}

int state_dir_fd(const struct state_dir *dir)
{
	return dir->fd;
}

const char *state_dir_path(const struct state_dir *dir)
{
	return dir->path;
}

struct snapshot_moment state_dir_least(struct state_dir *dir)
{
	struct snapshot_moment least;

	(void)pthread_mutex_lock(&dir->lock);
	least = (struct snapshot_moment){dir->synced.lsn, dir->synced.chunks};
	(void)pthread_mutex_unlock(&dir->lock);
	return least;
}

struct snapshot_file *state_dir_snapshots(const struct state_dir *dir)
{
	return dir->snapshots;
}

const struct state_meta *state_dir_meta(const struct state_dir *dir)
{
	return &dir->meta;
}

const struct state_position *state_dir_position(const struct state_dir *dir)
{
	return &dir->position;
}

enum status state_dir_check_end(const struct state_dir *dir, uint64_t end_lsn,
				const char *torn, struct error *err)
{
	uint64_t lsn = dir->position.lsn;

	if (lsn > end_lsn) {
		return error_set(err, ST_DAMAGED,
				 "%s: its journal (log) ends at LSN %" PRIu64
				 "%s%s, before LSN %" PRIu64
				 " which was acknowledged: " STATE_MOVE_AWAY,
				 quote(dir->path).text, end_lsn, torn ? ", where " : "",
				 torn ? torn : "", lsn);
	}
	if (lsn < dir->meta.base_lsn) {
		return error_set(err, ST_DAMAGED,
				 "%s/position is damaged (LSN %" PRIu64
				 ", the shadow has %" PRIu64 "): " STATE_MOVE_AWAY,
				 dir->path, lsn, dir->meta.base_lsn);
	}
	return ST_OK;
}
