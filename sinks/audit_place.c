/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sinks/output_path.h"
#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/flock_holder.h"
#include "src/base/log.h"
#include "src/base/owned_file.h"
#include "src/base/quote.h"

/* How long another one's lock is waited for. */
#define LOCK_TRIES 50
#define LOCK_NS    (20 * NS_PER_MS)

#define TEMP       ".new" /* PATH before it is PATH */
#define TORN_BYTES 65536  /* of a file that was never whole, at most */

void audit_place_clear(struct audit_place *place)
{
	if (place->fd >= 0) {
		(void)close(place->fd);
	}
	audit_files_clear(&place->files);
	free(place->file_path);
	*place = (struct audit_place){.fd = -1};
}

static bool is_file(const char *path, const struct stat *is)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_dev == is->st_dev &&
	       st.st_ino == is->st_ino;
}

/* ---- opening ---- */

/* Ours alone. rowtail audit verify holds it for a moment, to see who does. */
static bool is_locked(int fd)
{
	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
			return true;
		}
		clock_sleep_ns(LOCK_NS);
	}
	return false;
}

static enum status is_written(const struct audit_place *place, struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "%s: another process is writing it; stop that first",
			 quote(place->path).text);
}

/* With as many names as it may have. */
static struct owned_place owned_of(const char *path, unsigned names)
{
	return (struct owned_place){.dir_fd = AT_FDCWD,
				    .name = path,
				    .path = path,
				    .instead = "name another file with --to audit:",
				    .closed = OWNED_READABLE,
				    .names = names};
}

/* Could it be opened, and locked? ST_END: there is none. */
static enum status look_at_file(struct audit_place *place,
				const struct owned_place *owned, struct error *err)
{
	struct stat st;

	if (owned_file_open(owned, O_RDONLY, &place->fd, NULL, err) != ST_OK) {
		return err->sys_errno == ENOENT ? ST_END : (err->status = ST_CONFIG);
	}
	if (faccessat(AT_FDCWD, owned->path, R_OK | W_OK, AT_EACCESS) != 0) {
		(void)error_set_errno(err, errno, "%s cannot be opened",
				      quote(owned->path).text);
		return err->status = ST_CONFIG;
	}
	return !place->is_ours && fstat(place->fd, &st) == 0 && flock_holder(&st) != 0
		   ? is_written(place, err)
		   : ST_OK;
}

/* `names` that it may have. ST_END: there is none. */
static enum status open_file(struct audit_place *place, const char *path, int flags,
			     unsigned names, bool *made, struct error *err)
{
	struct owned_place owned = owned_of(path, names);

	if (place->only_looks) {
		return look_at_file(place, &owned, err);
	}
	if (owned_file_open(&owned, O_RDWR | O_APPEND | flags, &place->fd, made, err) !=
	    ST_OK) {
		if (!(flags & O_CREAT) && err->sys_errno == ENOENT) {
			return ST_END;
		}
		err->status = errno_is_limit(err->sys_errno) ? ST_IO : ST_CONFIG;
		return err->status;
	}
	return is_locked(place->fd) ? ST_OK : is_written(place, err);
}

/* Two files are there, and either may be the log's. */
static enum status are_two(const struct audit_place *place, struct error *err)
{
	return error_set(
	    err, ST_CONFIG,
	    "%s is a file of its own, and %s is the newest of the log: nothing was "
	    "appended to either. See rowtail audit verify of both; then move away the "
	    "one that is not the log, or give another PATH",
	    quote(place->path).text, quote(place->file_path).text);
}

/* What has the name PATH is the file that is open, or one before it, or nothing. */
static enum status check_path(const struct audit_place *place, struct error *err)
{
	struct owned_place owned = owned_of(place->file_path, 2);
	struct stat own, st;

	if (fstat(place->fd, &own) != 0) {
		return error_set_errno(err, errno, "%s cannot be examined",
				       quote(place->file_path).text);
	}
	if (owned_file_check(&owned, place->fd, err) != ST_OK) {
		return err->status;
	}
	if (lstat(place->path, &st) != 0) {
		/* A second name is somebody else's then. */
		return own.st_nlink > 1 ? are_two(place, err) : ST_OK;
	}
	if (S_ISLNK(st.st_mode)) {
		return own.st_nlink > 1 ? are_two(place, err) : ST_OK;
	}
	if (st.st_dev == own.st_dev && st.st_ino == own.st_ino) {
		return ST_OK;
	}
	for (size_t i = 0; own.st_nlink == 1 && i + 1 < place->files.count; i++) {
		if (is_file(place->files.list[i].path, &st)) {
			return ST_OK;
		}
	}
	return are_two(place, err);
}

/* The list knows the file that is open. */
static enum status take_open(struct audit_place *place, struct error *err)
{
	struct audit_files *files = &place->files;
	struct audit_file *last =
	    files->count > 0 ? &files->list[files->count - 1] : NULL;

	if (!last || last->first != place->first) {
		char *path = strdup(place->file_path);

		if (!path || audit_files_add(files, path, place->first, err) != ST_OK) {
			return error_no_memory(err, "the files of the audit log");
		}
		last = &files->list[files->count - 1];
	}
	last->is_open = true;
	last->fd = place->fd;
	place->exists = true;
	return ST_OK;
}

/* What is left of a run that ended while PATH was moved on; false: somebody else's. */
static bool drop_if_ours(const struct audit_place *place, const char *temp)
{
	struct stat own, st;
	char to[PATH_MAX];
	uint64_t first;
	bool is_ours, is_compressed;
	ssize_t len;

	if (lstat(temp, &st) != 0) {
		return errno == ENOENT;
	}
	if (S_ISLNK(st.st_mode)) {
		len = readlink(temp, to, sizeof to - 1);
		to[len > 0 ? len : 0] = '\0';
		is_ours = audit_files_number(to, &first, &is_compressed) != NULL;
	} else {
		is_ours = fstat(place->fd, &own) == 0 && st.st_dev == own.st_dev &&
			  st.st_ino == own.st_ino;
		for (size_t i = 0; !is_ours && i < place->files.count; i++) {
			is_ours = is_file(place->files.list[i].path, &st);
		}
	}
	return is_ours && unlinkat(AT_FDCWD, temp, 0) == 0;
}

/* A run ended while PATH was moved on: the name that it is moved by is left. */
static enum status drop_temp(const struct audit_place *place, struct error *err)
{
	char *temp;

	if (asprintf(&temp, "%s" TEMP, place->path) < 0) {
		return error_no_memory(err, "a path");
	}
	(void)drop_if_ours(place, temp);
	free(temp);
	return ST_OK;
}

/* PATH.N of the newest. */
static enum status open_newest(struct audit_place *place, struct error *err)
{
	const struct audit_file *last = &place->files.list[place->files.count - 1];
	bool made;
	enum status status;

	if (last->is_compressed) {
		return error_set(err, ST_IO,
				 "%s is closed and compressed, and the file behind it "
				 "is not there: restore it from a backup, or give "
				 "another PATH with --accept-gap, which the new log "
				 "will tell of",
				 quote(last->path).text);
	}
	place->first = last->first;
	place->file_path = strdup(last->path);
	if (!place->file_path) {
		return error_no_memory(err, "a path");
	}
	status = open_file(place, place->file_path, 0, 3, &made, err);
	if (status == ST_END) {
		status = is_written(place, err); /* it has just gone */
	}
	if (status == ST_OK && !place->only_looks) {
		status = drop_temp(place, err);
	}
	return status == ST_OK ? check_path(place, err) : status;
}

/* The number of the first line of PATH, if that is a file of its own. */
static enum status find_own(const struct audit_place *place, bool *is_own,
			    uint64_t *first, struct error *err)
{
	struct audit_files all;
	struct stat st;
	enum status status;

	*is_own = false;
	if (lstat(place->path, &st) != 0 || !S_ISREG(st.st_mode)) {
		return ST_OK;
	}
	status = audit_files_find(place->path, &all, err);
	if (status == ST_CONFIG) { /* it is not what has its number: see check_path */
		return ST_OK;
	}
	for (size_t i = 0; status == ST_OK && i < all.count; i++) {
		if (strcmp(all.list[i].path, place->path) == 0) {
			*is_own = true;
			*first = all.list[i].first;
		}
	}
	if (status == ST_OK) {
		audit_files_clear(&all);
	}
	return status;
}

/* PATH itself, as a copy is that was brought back, or a file whose number was removed;
 * or nothing is there. */
static enum status open_alone(struct audit_place *place, bool may_make,
			      struct error *err)
{
	bool made;
	enum status status = open_file(place, place->path, 0, 1, &made, err);

	if (status == ST_END && !may_make) {
		return ST_OK;
	}
	if (status != ST_OK && status != ST_END) {
		return status;
	}
	place->file_path = audit_files_name(place->path, place->first);
	if (!place->file_path) {
		return error_no_memory(err, "a path");
	}
	if (place->fd < 0) {
		status = open_file(place, place->file_path, O_CREAT, 1, &made, err);
		FAULT_POINT("audit-made");
	}
	return status;
}

/* `place` has its path. */
static enum status find(struct audit_place *place, bool may_make, struct error *err)
{
	const char *path = place->path;
	bool is_own;
	uint64_t first = 0, newest;
	enum status status;

	status = audit_files_list(path, &place->files, err);
	if (status != ST_OK) {
		return status;
	}
	if (find_own(place, &is_own, &first, err) != ST_OK) {
		return err->status;
	}
	newest = place->files.count > 0
		     ? place->files.list[place->files.count - 1].first
		     : 0;
	if (place->files.count == 0 || (is_own && first > newest)) {
		place->first = is_own ? first : 0;
		status = open_alone(place, may_make, err);
	} else {
		status = open_newest(place, err);
	}
	if (status == ST_OK && place->fd >= 0) {
		struct audit_files now = {0};

		/* Who had the lock until now may have begun another one. */
		status = audit_files_list(path, &now, err);
		if (status == ST_OK && now.count > 0 &&
		    now.list[now.count - 1].first > place->first) {
			status = is_written(place, err);
		}
		audit_files_clear(&now);
	}
	return status == ST_OK && place->fd >= 0 ? take_open(place, err) : status;
}

enum status audit_place_open(struct audit_place *place, const char *path, bool may_make,
			     struct error *err)
{
	*place = (struct audit_place){.path = path, .fd = -1};
	return find(place, may_make, err);
}

enum status audit_place_look(struct audit_place *place, const char *path, bool is_ours,
			     struct error *err)
{
	*place = (struct audit_place){
	    .path = path, .only_looks = true, .is_ours = is_ours, .fd = -1};
	return find(place, false, err);
}

/* ---- files that come and go ---- */

enum status audit_place_drop(struct audit_place *place, struct error *err)
{
	size_t count = place->files.count;
	const char *path = place->path;
	struct stat st;
	bool made;
	enum status status;

	if (count < 2 || place->files.list[count - 2].is_compressed ||
	    fstat(place->fd, &st) != 0 || st.st_size > TORN_BYTES) {
		return error_set(err, ST_CONFIG,
				 "%s does not begin as a file of an audit log does: "
				 "move it away if it is none, or restore it",
				 quote(place->file_path).text);
	}
	/* First the lock of the one before: nobody is at work on the new one then. */
	char *torn = place->file_path;
	int torn_fd = place->fd;

	place->fd = -1;
	place->file_path = strdup(place->files.list[count - 2].path);
	status = place->file_path ? open_file(place, place->file_path, 0, 2, &made, err)
				  : error_no_memory(err, "a path");
	if (status == ST_OK) {
		place->first = place->files.list[count - 2].first;
		FAULT_POINT("audit-before-drop");
		if (unlinkat(AT_FDCWD, torn, 0) != 0) {
			status = error_set_errno(err, errno, "%s cannot be removed",
						 quote(torn).text);
		}
		free(place->files.list[--place->files.count].path);
		log_info("%s was not whole and is begun again later", quote(torn).text);
	} else if (status == ST_END) {
		status = is_written(place, err);
	}
	(void)close(torn_fd);
	free(torn);
	if (status == ST_OK) {
		status = check_path(place, err);
	}
	place->path = path;
	return status == ST_OK ? take_open(place, err) : status;
}

enum status audit_place_begin(struct audit_place *place, uint64_t first, int *old_fd,
			      struct error *err)
{
	struct audit_place next = {.path = place->path, .fd = -1, .first = first};
	bool made;
	enum status status;

	next.file_path = audit_files_name(place->path, first);
	if (!next.file_path) {
		return error_no_memory(err, "a path");
	}
	status = open_file(&next, next.file_path, O_CREAT, 1, &made, err);
	FAULT_POINT("audit-next-made");
	if (status == ST_OK && !made) {
		status = error_set(err, ST_CONFIG,
				   "%s is there and is none of the log's: move it away",
				   quote(next.file_path).text);
	}
	if (status != ST_OK) {
		if (next.fd >= 0) {
			(void)close(next.fd);
		}
		free(next.file_path);
		return status;
	}
	*old_fd = place->fd;
	free(place->file_path);
	place->file_path = next.file_path;
	place->fd = next.fd;
	place->first = first;
	return ST_OK;
}

/* ---- names ---- */

/* In one step, whatever has the name. */
static bool move_name(const struct audit_place *place, bool as_link)
{
	const char *name = output_path_name(place->file_path);
	char *temp;
	bool is_moved;

	if (asprintf(&temp, "%s" TEMP, place->path) < 0) {
		return false;
	}
	if (!drop_if_ours(place, temp)) {
		free(temp);
		errno = EEXIST;
		return false;
	}
	is_moved = as_link ? symlink(name, temp) == 0
			   : linkat(AT_FDCWD, place->file_path, AT_FDCWD, temp, 0) == 0;
	FAULT_POINT("audit-linked");
	is_moved = is_moved && renameat(AT_FDCWD, temp, AT_FDCWD, place->path) == 0;
	if (!is_moved) {
		int why = errno;

		(void)unlinkat(AT_FDCWD, temp, 0);
		errno = why;
	}
	free(temp);
	return is_moved;
}

static bool is_link_to(const char *path, const char *name)
{
	char to[PATH_MAX];
	ssize_t len = readlink(path, to, sizeof to);

	return len >= 0 && (size_t)len == strlen(name) &&
	       memcmp(to, name, (size_t)len) == 0;
}

static enum status name_path(const struct audit_place *place, struct error *err)
{
	struct stat own, st;
	bool is_there = lstat(place->path, &st) == 0;
	bool is_link = is_there && S_ISLNK(st.st_mode);

	if (is_link && is_link_to(place->path, output_path_name(place->file_path))) {
		return ST_OK;
	}
	if (fstat(place->fd, &own) == 0 && is_there && st.st_dev == own.st_dev &&
	    st.st_ino == own.st_ino) {
		return ST_OK;
	}
	if (move_name(place, is_link) || (!is_there && move_name(place, true))) {
		return ST_OK;
	}
	if (is_there && errno == EPERM) { /* what it names may only be appended to */
		log_warn("%s stays a name of an older file, as that may only be "
			 "appended to; the log goes on in %s. Make it a symbolic link "
			 "to that, and it will be moved on",
			 quote(place->path).text, quote(place->file_path).text);
		return ST_OK;
	}
	return error_set_errno(err, errno, "%s cannot be made a name of %s",
			       quote(place->path).text, quote(place->file_path).text);
}

enum status audit_place_name(const struct audit_place *place, struct error *err)
{
	struct stat own;
	enum status status;

	if (fstat(place->fd, &own) != 0) {
		return error_set_errno(err, errno, "%s cannot be examined",
				       quote(place->file_path).text);
	}
	/* One that had the name PATH alone. */
	if (!is_file(place->file_path, &own) &&
	    linkat(AT_FDCWD, place->path, AT_FDCWD, place->file_path, 0) != 0) {
		return error_set_errno(err, errno, "%s cannot be given the name %s",
				       quote(place->path).text,
				       quote(place->file_path).text);
	}
	FAULT_POINT("audit-before-name");
	status = name_path(place, err);
	FAULT_POINT("audit-named");
	if (status == ST_OK && !output_path_sync_folder(place->path)) {
		status =
		    error_set_errno(err, errno, "the folder of %s cannot be synced",
				    quote(place->path).text);
	}
	return status;
}
