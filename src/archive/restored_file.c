/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/restored_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"

#define NOT_OVER ": nothing is restored over what is there; restore to another name"

struct restored_file {
	int folder_fd;
	int fd;
	char *path;      /* OUT, as given */
	char *temp_path; /* OUT.tmp */
	const char *name;
	const char *temp_name;
	bool is_made; /* OUT.tmp, by us */
};

/* ---- what is there ---- */

static enum status is_there(const struct restored_file *f, const char *name,
			    const char *advice, struct error *err)
{
	char path[4200];

	(void)snprintf(path, sizeof path, "%.*s%s", (int)(f->name - f->path), f->path,
		       name);
	return error_set(err, ST_CONFIG, "%s exists%s", quote(path).text, advice);
}

static const char *const suffixes[] = {"", "-wal", "-journal", "-shm"};

/* Of OUT (0) and the names that SQLite looks for beside it (1 and up): those from
 * `first` on. */
static enum status check_names(const struct restored_file *f, size_t first,
			       struct error *err)
{
	char name[300];
	struct stat st;

	for (size_t i = first; i < sizeof suffixes / sizeof *suffixes; i++) {
		(void)snprintf(name, sizeof name, "%s%s", f->name, suffixes[i]);
		if (fstatat(f->folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			return is_there(
			    f, name,
			    i == 0
				? NOT_OVER
				: ": SQLite would take it for a part of the restored "
				  "database; restore to another name",
			    err);
		}
		if (errno != ENOENT) {
			return error_set_errno(err, errno, "%s cannot be made",
					       quote(f->path).text);
		}
	}
	return ST_OK;
}

/* ---- opening ---- */

static enum status open_folder(struct restored_file *f, struct error *err)
{
	const char *slash = strrchr(f->path, '/');
	size_t len = slash ? (size_t)(slash - f->path) : 0;
	char *folder = len > 0 ? strndup(f->path, len) : strdup(slash ? "/" : ".");

	f->name = slash ? slash + 1 : f->path;
	f->temp_name = f->temp_path + (f->name - f->path);
	if (!folder) {
		return error_no_memory(err, "a restore");
	}
	f->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->folder_fd < 0) {
		(void)error_set_errno(err, errno, "the folder %s cannot be opened",
				      quote(folder).text);
		if (err->sys_errno == ENOENT || err->sys_errno == ENOTDIR) {
			err->status = ST_CONFIG;
			(void)error_add(err, "; make it first, or restore elsewhere");
		}
	}
	free(folder);
	if (f->folder_fd < 0) {
		return err->status;
	}
	if (*f->name == '\0' || strlen(f->name) > 240) {
		return error_set(err, ST_CONFIG,
				 "%s is no name of a file to restore to",
				 quote(f->path).text);
	}
	return ST_OK;
}

static enum status make_temp(struct restored_file *f, struct error *err)
{
	f->fd = openat(f->folder_fd, f->temp_name,
		       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (f->fd >= 0) {
		f->is_made = true;
		FAULT_POINT("restore-made");
		return ST_OK;
	}
	if (errno == EEXIST) {
		return is_there(f, f->temp_name,
				": another restore is writing it, or one was killed; "
				"restore to another name, or move it away",
				err);
	}
	return error_set_errno(err, errno, "%s cannot be made",
			       quote(f->temp_path).text);
}

enum status restored_file_open(const char *path, struct restored_file **out,
			       struct error *err)
{
	struct restored_file *f = calloc(1, sizeof *f);
	enum status status = ST_OK;

	if (!f) {
		return error_no_memory(err, "a restore");
	}
	f->folder_fd = -1;
	f->fd = -1;
	f->path = strdup(path);
	if (asprintf(&f->temp_path, "%s.tmp", path) < 0) {
		f->temp_path = NULL;
	}
	if (!f->path || !f->temp_path) {
		status = error_no_memory(err, "a restore");
	}
	if (status == ST_OK) {
		status = open_folder(f, err);
	}
	if (status == ST_OK) {
		status = check_names(f, 0, err);
	}
	if (status == ST_OK) {
		status = make_temp(f, err);
	}
	if (status != ST_OK) {
		restored_file_close(f);
		return status;
	}
	*out = f;
	return ST_OK;
}

int restored_file_fd(const struct restored_file *f)
{
	return f->fd;
}

const char *restored_file_path(const struct restored_file *f)
{
	return f->temp_path;
}

/* ---- the end ---- */

/* Is OUT.tmp still the file that we made? */
static bool is_ours(const struct restored_file *f)
{
	struct stat made;
	struct stat named;

	return fstat(f->fd, &made) == 0 &&
	       fstatat(f->folder_fd, f->temp_name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       made.st_dev == named.st_dev && made.st_ino == named.st_ino;
}

enum status restored_file_keep(struct restored_file *f, struct error *err)
{
	enum status status;

	if (!file_sync_all(f->fd)) {
		return error_set_errno(err, errno, "%s cannot be synced",
				       quote(f->temp_path).text);
	}
	/* OUT itself is seen to by the call that renames. */
	status = check_names(f, 1, err);
	if (status != ST_OK) {
		return status;
	}
	if (!is_ours(f)) {
		return error_set(err, ST_IO,
				 "%s was moved or replaced while it was written; try "
				 "again",
				 quote(f->temp_path).text);
	}
	FAULT_POINT("restore-before-rename");
	if (!file_rename_free(f->folder_fd, f->temp_name, f->name)) {
		return errno == EEXIST
			   ? is_there(f, f->name, NOT_OVER, err)
			   : error_set_errno(err, errno, "%s cannot be renamed",
					     quote(f->temp_path).text);
	}
	FAULT_POINT("restore-renamed");
	f->is_made = false;
	if (!file_sync_all(f->folder_fd)) {
		return error_set_errno(
		    err, errno,
		    "the folder of %s cannot be synced: after a power cut "
		    "it may not be there",
		    quote(f->path).text);
	}
	return ST_OK;
}

void restored_file_close(struct restored_file *f)
{
	if (!f) {
		return;
	}
	if (f->is_made && is_ours(f)) {
		(void)unlinkat(f->folder_fd, f->temp_name, 0);
	}
	if (f->fd >= 0) {
		(void)close(f->fd);
	}
	if (f->folder_fd >= 0) {
		(void)close(f->folder_fd);
	}
	free(f->path);
	free(f->temp_path);
	free(f);
}
