/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/state_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/fault.h"

struct state_file_name state_file_path(struct state_folder folder, const char *name)
{
	struct state_file_name path;

	(void)snprintf(path.text, sizeof path.text, "%s/%s", folder.path, name);
	return path;
}

struct owned_place state_file_place(struct state_folder folder, const char *name,
				    const struct state_file_name *path)
{
	return (struct owned_place){.dir_fd = folder.fd,
				    .name = name,
				    .path = path->text,
				    .instead = STATE_INSTEAD,
				    .closed = OWNED_PRIVATE};
}

enum status state_file_error(struct state_folder folder, const char *name,
			     const char *what, struct error *err)
{
	int reason = errno;
	struct state_file_name path = state_file_path(folder, name);

	return error_set_errno(err, reason, "%s cannot be %s", quote(path.text).text,
			       what);
}

/* The error for a folder that this user may not use or make: who may not do what. */
static enum status no_permission(const char *path, int reason, struct error *err)
{
	char *copy = strdup(path);
	const char *parent = copy ? dirname(copy) : ".";
	unsigned user = (unsigned)geteuid();
	struct stat st;

	if (lstat(path, &st) == 0) {
		error_set(
		    err, ST_CONFIG,
		    "the state directory %s cannot be used by user %u, it belongs "
		    "to user %u (mode %04o): run rowtail as that user, "
		    "or " STATE_INSTEAD,
		    quote(path).text, user, (unsigned)st.st_uid,
		    (unsigned)(st.st_mode & 07777));
	} else if (stat(parent, &st) != 0) {
		error_set(
		    err, ST_CONFIG,
		    "the state directory %s cannot be reached by user %u, a folder "
		    "above it is closed to that user: open that, or give --state a "
		    "folder that this user may write to",
		    quote(path).text, user);
	} else {
		error_set(
		    err, ST_CONFIG,
		    "the state directory %s cannot be made: user %u may not write "
		    "in %s, which belongs to user %u (mode %04o; %s): allow that, "
		    "or give --state a folder that this user may write to",
		    quote(path).text, user, quote(parent).text, (unsigned)st.st_uid,
		    (unsigned)(st.st_mode & 07777), strerror(reason));
	}
	free(copy);
	return ST_CONFIG;
}

/* What keeps a folder from being used: another --state helps, or not. */
enum status state_folder_error(const char *path, int reason, struct error *err)
{
	switch (reason) {
	case ENOTDIR:
	case EEXIST:
		return error_set(err, ST_CONFIG,
				 "%s is not a directory; " STATE_INSTEAD,
				 quote(path).text);
	case ENOENT:
		return error_set(
		    err, ST_CONFIG,
		    "the state directory %s cannot be made: there is no "
		    "folder to make it in; make that first or " STATE_INSTEAD,
		    quote(path).text);
	case EACCES:
	case EPERM:
		return no_permission(path, reason, err);
	case EROFS:
	case ELOOP:
	case ENAMETOOLONG:
		error_set_errno(err, reason,
				"the state directory %s cannot be used (" STATE_INSTEAD
				")",
				quote(path).text);
		return err->status = ST_CONFIG;
	default:
		return error_set_errno(err, reason, "%s cannot be opened",
				       quote(path).text);
	}
}

/* The folder itself: by no link, and ours. */
enum status state_folder_open(const char *path, int *fd, struct error *err)
{
	struct owned_place place = {.dir_fd = AT_FDCWD,
				    .name = path,
				    .path = path,
				    .instead = STATE_INSTEAD,
				    .closed = OWNED_PRIVATE};
	enum status status = owned_folder_open(&place, true, fd, NULL, err);

	return status == ST_IO ? state_folder_error(path, err->sys_errno, err) : status;
}

/* log- and 16 hexadecimal digits. */
static bool is_segment(const char *name)
{
	return strncmp(name, "log-", 4) == 0 && strlen(name) == 20 &&
	       strspn(name + 4, "0123456789abcdefABCDEF") == 16;
}

/* Files without which a first start can do, and which it makes anew. */
static bool is_leftover(const char *name)
{
	static const char *const names[] = {STATE_META_NEW_FILE,
					    STATE_POSITION_FILE,
					    "shadow",
					    "hashes",
					    "frames",
					    "error",
					    "error.new",
					    "log.new",
					    "settings",
					    "settings.new",
					    "snapshots",
					    "snapshots.new"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(name, names[i]) == 0) {
			return true;
		}
	}
	return is_segment(name);
}

/* Names that any folder may have: not ours, and no reason to refuse it. */
static bool is_of_any_folder(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	       strcmp(name, "lost+found") == 0 || /* of a volume that is mounted here */
	       /* Of an audit log, which is not lost with a first start, or put back. */
	       strncmp(name, "audit-key", strlen("audit-key")) == 0;
}

/* Call `each` with the names in the folder, until it does not return ST_OK. */
static enum status each_name(struct state_folder folder,
			     enum status (*each)(struct state_folder folder,
						 const char *name, struct error *err),
			     struct error *err)
{
	int fd = openat(folder.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *names = fd < 0 ? NULL : fdopendir(fd);
	enum status status = ST_OK;

	if (!names) {
		error_set_errno(err, errno, "%s cannot be listed",
				quote(folder.path).text);
		if (fd >= 0) {
			(void)close(fd);
		}
		return ST_IO;
	}
	while (status == ST_OK) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(names);
		if (!entry) {
			if (errno != 0) {
				status =
				    error_set_errno(err, errno, "%s cannot be listed",
						    quote(folder.path).text);
			}
			break;
		}
		if (!is_of_any_folder(entry->d_name)) {
			status = each(folder, entry->d_name, err);
		}
	}
	(void)closedir(names);
	return status;
}

static enum status refuse_foreign(struct state_folder folder, const char *name,
				  struct error *err)
{
	if (is_leftover(name) || strcmp(name, STATE_LOCK_FILE) == 0 ||
	    strcmp(name, STATE_SIGNALS_SOCKET) == 0 ||
	    strcmp(name, STATE_ARCHIVE_FOLDER) == 0) {
		return ST_OK;
	}
	return error_set(
	    err, ST_CONFIG,
	    "%s is no state directory and not empty (there is %s); " STATE_INSTEAD,
	    quote(folder.path).text, quote(name).text);
}

static enum status remove_leftover(struct state_folder folder, const char *name,
				   struct error *err)
{
	if (is_leftover(name) && unlinkat(folder.fd, name, 0) != 0 && errno != ENOENT) {
		return state_file_error(folder, name, "removed", err);
	}
	FAULT_POINT("state-leftover-removed");
	return ST_OK;
}

static enum status look_at(struct state_folder folder, const char *name,
			   struct error *err)
{
	struct state_file_name path = state_file_path(folder, name);
	struct owned_place place = state_file_place(folder, name, &path);

	return is_leftover(name) || strcmp(name, STATE_LOCK_FILE) == 0 ||
		       strcmp(name, STATE_META_FILE) == 0
		   ? owned_file_look(&place, err)
		   : ST_OK;
}

static enum status check(struct state_folder folder, bool may_close, struct error *err)
{
	struct owned_place place = {
	    .path = folder.path, .instead = STATE_INSTEAD, .closed = OWNED_PRIVATE};
	enum status status = ST_OK;
	struct stat st;
	bool is_new =
	    fstatat(folder.fd, STATE_META_FILE, &st, AT_SYMLINK_NOFOLLOW) != 0;

	if (is_new && errno != ENOENT) {
		return state_folder_error(folder.path, errno, err);
	}
	if (faccessat(folder.fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
		return state_folder_error(folder.path, errno, err);
	}
	if (is_new) {
		status = each_name(folder, refuse_foreign, err);
	}
	if (status == ST_OK) {
		status = may_close ? owned_folder_close(&place, folder.fd, is_new, err)
				   : owned_folder_look(&place, folder.fd, is_new, err);
	}
	return status == ST_OK ? each_name(folder, look_at, err) : status;
}

enum status state_folder_check(struct state_folder folder, struct error *err)
{
	return check(folder, true, err);
}

/* Could it be made? */
static enum status look_above(const char *path, struct error *err)
{
	char *copy = strdup(path);
	const char *parent = copy ? dirname(copy) : NULL;
	enum status status = ST_OK;

	if (!parent) {
		return error_no_memory(err, "the state directory");
	}
	if (faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) != 0) {
		status = state_folder_error(path, errno, err);
	}
	free(copy);
	return status;
}

enum status state_folder_look(const char *path, int *fd, struct error *err)
{
	struct owned_place place = {.dir_fd = AT_FDCWD,
				    .name = path,
				    .path = path,
				    .instead = STATE_INSTEAD,
				    .closed = OWNED_PRIVATE};
	enum status status = owned_folder_open(&place, false, fd, NULL, err);

	if (status == ST_IO && err->sys_errno == ENOENT) {
		return look_above(path, err);
	}
	if (status == ST_IO) {
		return state_folder_error(path, err->sys_errno, err);
	}
	return status == ST_OK
		   ? check((struct state_folder){.path = path, .fd = *fd}, false, err)
		   : status;
}

enum status state_folder_empty(struct state_folder folder, struct error *err)
{
	return each_name(folder, remove_leftover, err);
}
