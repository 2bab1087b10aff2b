/* SPDX-License-Identifier: Apache-2.0 */
/* src/state/state_dir_look.c -- a state directory that is only looked at. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file_io.h"
#include "src/base/quote.h"
#include "src/state/state_dir.h"
#include "src/state/state_dir_parts.h"
#include "src/state/state_lock.h"

/* ---- the lock ---- */

/* For reading: the lock file is there, and nobody may take it from now on. */
static enum status share_lock(struct state_dir *dir, bool shared, struct error *err)
{
	struct flock all = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

	dir->lock_fd = openat(dir->fd, STATE_LOCK_FILE,
			      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (dir->lock_fd < 0 && errno == ENOENT) {
		return error_set(err, ST_CONFIG,
				 "%s is no state directory of rowtail: " STATE_INSTEAD,
				 quote(dir->path).text);
	}
	if (dir->lock_fd < 0) {
		return state_dir_file_error(dir, STATE_LOCK_FILE, "opened", err);
	}
	if (shared && fcntl(dir->lock_fd, F_OFD_SETLK, &all) != 0) {
		return errno == EAGAIN || errno == EACCES
			   ? state_dir_in_use(dir, err)
			   : state_dir_file_error(dir, STATE_LOCK_FILE, "locked", err);
	}
	return ST_OK;
}

long state_dir_holder(const struct state_dir *dir)
{
	struct flock all = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	long pid;

	if (fcntl(dir->lock_fd, F_OFD_GETLK, &all) != 0 || all.l_type == F_UNLCK) {
		return 0;
	}
	pid = state_lock_pid(dir->lock_fd);
	return pid > 0 ? pid : -1;
}

enum status state_dir_check_free(const struct state_dir *dir, struct error *err)
{
	return state_dir_holder(dir) != 0 ? state_dir_in_use(dir, err) : ST_OK;
}

bool state_dir_is_following(const struct state_dir *dir)
{
	return state_dir_holder(dir) != 0 && state_lock_is_following(dir->lock_fd);
}

/* ---- the position ---- */

/* As state_dir_open reads it, and nothing is made; a process at work may have half
 * written a record. */
static enum status look_at_position(struct state_dir *dir, struct error *err)
{
	uint8_t bytes[POSITION_FULL];
	ssize_t len;

	dir->position_fd = openat(dir->fd, STATE_POSITION_FILE,
				  O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (dir->position_fd < 0) {
		return errno == ENOENT && !dir->has_meta
			   ? ST_OK
			   : state_dir_file_error(dir, STATE_POSITION_FILE, "opened",
						  err);
	}
	len = file_read_at(dir->position_fd, bytes, sizeof bytes, 0);
	if (len < 0) {
		return state_dir_file_error(dir, STATE_POSITION_FILE, "read", err);
	}
	if (!state_dir_pick_position(dir, bytes, (size_t)len) && dir->has_meta) {
		return state_dir_damaged(dir, STATE_POSITION_FILE, "checksum", err);
	}
	return ST_OK;
}

/* Was something acknowledged? That comes after meta. */
bool state_dir_was_in_use(struct state_dir *dir)
{
	struct error ignored;
	bool is_used;

	is_used = look_at_position(dir, &ignored) == ST_OK &&
		  (dir->position.change_id > 0 || dir->position.messages > 0);
	dir->position = (struct state_position){0};
	dir->put = dir->position;
	dir->sequence = 0;
	if (dir->position_fd >= 0) {
		(void)close(dir->position_fd);
		dir->position_fd = -1;
	}
	return is_used;
}

/* ---- opening ---- */

static enum status open_shared(struct state_dir *dir, bool shared, struct error *err)
{
	enum status status;

	dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->fd < 0 && errno == ENOENT) {
		return error_set(err, ST_CONFIG, "%s: there is no such state directory",
				 quote(dir->path).text);
	}
	if (dir->fd < 0) {
		return state_folder_error(dir->path, errno, err);
	}
	status = share_lock(dir, shared, err);
	if (status == ST_OK) {
		status = state_dir_read_meta(dir, err);
	}
	return status == ST_OK ? look_at_position(dir, err) : status;
}

enum status state_dir_read(const char *path, bool shared, struct state_dir **out,
			   bool *is_new, struct error *err)
{
	struct state_dir *dir = state_dir_new(path);
	enum status status;

	if (!dir) {
		return error_no_memory(err, "the state directory");
	}
	status = open_shared(dir, shared, err);
	if (status != ST_OK) {
		state_dir_close(dir);
		return status;
	}
	*is_new = !dir->has_meta;
	*out = dir;
	return ST_OK;
}

/* Of the lock: it may be missing, and is made then. */
static enum status look_at_lock(struct state_dir *dir, struct error *err)
{
	if (faccessat(dir->fd, STATE_LOCK_FILE, R_OK | W_OK, AT_EACCESS) != 0) {
		return errno == ENOENT ? ST_OK
				       : state_folder_error(dir->path, errno, err);
	}
	return share_lock(dir, false, err);
}

/* One that is not there, or was never whole, is made anew by who opens it. */
static enum status look_at_start(struct state_dir *dir, struct error *err)
{
	struct stat st;
	bool is_made = fstatat(dir->fd, STATE_POSITION_FILE, &st, AT_SYMLINK_NOFOLLOW)
			   ? errno == ENOENT
			   : st.st_size < POSITION_STRIDE + POSITION_BEFORE;
	enum status status = look_at_position(dir, err);

	return is_made ? ST_OK : status;
}

static enum status look(struct state_dir *dir, struct error *err)
{
	enum status status = state_folder_look(dir->path, &dir->fd, err);

	if (status != ST_OK || dir->fd < 0) {
		return status;
	}
	status = look_at_lock(dir, err);
	if (status == ST_OK) {
		status = state_dir_read_meta(dir, err);
	}
	if (status == ST_OK && dir->has_meta) {
		return look_at_start(dir, err);
	}
	return status == ST_OK && state_dir_was_in_use(dir)
		   ? state_dir_damaged(dir, STATE_META_FILE, "missing", err)
		   : status;
}

enum status state_dir_look(const char *path, const char *database_path,
			   struct state_dir **out, bool *is_new, struct error *err)
{
	struct state_dir *dir = state_dir_new(path);
	enum status status;

	*out = NULL;
	*is_new = true;
	if (dir) {
		dir->database_path = strdup(database_path);
	}
	status = dir && dir->database_path
		     ? look(dir, err)
		     : error_no_memory(err, "the state directory");
	if (status != ST_OK || dir->fd < 0) {
		state_dir_close(dir);
		return status;
	}
	*is_new = !dir->has_meta;
	*out = dir;
	return ST_OK;
}
