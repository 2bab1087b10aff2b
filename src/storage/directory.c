/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"
#include "src/base/temp_file.h"
#include "src/storage/archive_folder.h"
#include "src/storage/fd_file.h"
#include "src/storage/file_name.h"

struct directory {
	struct storage base;
	struct archive_folder folder;
};

struct directory_file {
	struct storage_file base;
	int fd;
};

static struct directory *directory_of(struct storage *storage)
{
	return (struct directory *)(void *)storage;
}

/* ---- listing ---- */

/* A file may be removed while its level is listed. */
static enum status add_entry(struct directory *d, int level_fd, unsigned level,
			     const char *name, struct archive_list *list,
			     struct error *err)
{
	struct archive_file file = {.level = level};
	struct stat st;

	if (!file_name_read(name, &file)) {
		return ST_OK;
	}
	if (fstatat(level_fd, name, &st, 0) != 0) {
		return errno == ENOENT
			   ? ST_OK
			   : error_set_errno(err, errno, "%s/ltx/%u/%s cannot be read",
					     quote(d->folder.root).text, level, name);
	}
	if (!S_ISREG(st.st_mode)) {
		return ST_OK;
	}
	file.size = (uint64_t)st.st_size;
	file.time_ns = clock_ns_of(st.st_mtim);
	file.stored_ns = clock_ns_of(st.st_ctim);
	return archive_list_add(list, &file, err);
}

static enum status list_entries(struct directory *d, DIR *folder, unsigned level,
				struct archive_list *list, struct error *err)
{
	enum status status = ST_OK;

	while (status == ST_OK) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(folder);
		if (!entry) {
			break;
		}
		status = add_entry(d, dirfd(folder), level, entry->d_name, list, err);
	}
	if (status == ST_OK && errno != 0) {
		status = error_set_errno(err, errno, "%s/ltx/%u cannot be listed",
					 quote(d->folder.root).text, level);
	}
	return status;
}

static enum status list_level(struct storage *storage, unsigned level,
			      struct archive_list *list, struct error *err)
{
	struct directory *d = directory_of(storage);
	char name[12];
	enum status status;
	DIR *folder;
	int fd;

	(void)snprintf(name, sizeof name, "%u", level);
	fd = openat(d->folder.ltx_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		return errno == ENOENT || errno == ENOTDIR
			   ? ST_OK
			   : error_set_errno(err, errno, "%s/ltx/%u cannot be listed",
					     quote(d->folder.root).text, level);
	}
	folder = fdopendir(fd);
	if (!folder) {
		(void)close(fd);
		return error_no_memory(err, "the list of an archive");
	}
	status = list_entries(d, folder, level, list, err);
	(void)closedir(folder);
	return status;
}

/* ---- files ---- */

static enum status open_file(struct storage *storage, const struct archive_file *file,
			     struct storage_file **out, struct error *err)
{
	struct directory *d = directory_of(storage);
	struct directory_file *f = calloc(1, sizeof *f);
	struct archive_name name = archive_name(file);
	struct stat st;

	if (!f) {
		return error_no_memory(err, "a file of an archive");
	}
	f->base.storage = storage;
	(void)snprintf(f->base.name, sizeof f->base.name, "%.*s/ltx/%s",
		       (int)(sizeof f->base.name - sizeof name - 8),
		       quote(d->folder.root).text, name.text);
	f->fd = openat(d->folder.ltx_fd, name.text,
		       O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (f->fd >= 0 && fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode)) {
		f->base.size = (uint64_t)st.st_size;
		*out = &f->base;
		return ST_OK;
	}
	if (f->fd < 0 && errno == ENOENT) {
		(void)error_set(err, ST_LOST,
				"%s was removed while the archive was read; try again",
				f->base.name);
	} else if (f->fd < 0) {
		(void)error_set_errno(err, errno, "%s cannot be opened", f->base.name);
	} else {
		(void)error_set(err, ST_IO, "%s is no regular file any more; try again",
				f->base.name);
		(void)close(f->fd);
	}
	free(f);
	return err->status;
}

static enum status read_file(struct storage_file *file, void *bytes, size_t len,
			     uint64_t offset, size_t *got, struct error *err)
{
	const struct directory_file *f = (const struct directory_file *)(void *)file;

	return fd_file_read(f->fd, file->name, bytes, len, offset, got, err);
}

static void close_file(struct storage_file *file)
{
	struct directory_file *f = (struct directory_file *)(void *)file;

	(void)close(f->fd);
	free(f);
}

/* ---- the folder ---- */

static void close_directory(struct storage *storage)
{
	struct directory *d = directory_of(storage);

	if (d->folder.ltx_fd >= 0) {
		(void)close(d->folder.ltx_fd);
	}
	if (d->folder.root_fd >= 0) {
		(void)close(d->folder.root_fd);
	}
	free(d->folder.root);
	free(d);
}

/* ROOT is there, but not ROOT/ltx. */
static enum status no_archive(const struct directory *d, struct error *err)
{
	const char *name = strrchr(d->folder.root, '/');

	name = name ? name + 1 : d->folder.root;
	if (strcmp(name, "ltx") == 0) {
		return error_set(err, ST_CONFIG,
				 "%s has no folder ltx: give the folder above it",
				 quote(d->folder.root).text);
	}
	return error_set(err, ST_CONFIG,
			 "%s has no folder ltx, so it is no archive: give the folder "
			 "that a replica of Litestream was written to",
			 quote(d->folder.root).text);
}

static enum status cannot_open(const struct directory *d, const char *below, int why,
			       struct error *err)
{
	return error_set_errno(err, why, "%s%s cannot be opened as an archive",
			       quote(d->folder.root).text, below);
}

/* The folder that ROOT is in; NULL: no memory. */
static char *above_root(const struct directory *d)
{
	const char *root = d->folder.root;
	const char *slash = strrchr(root, '/');
	size_t len = slash ? (size_t)(slash - root) : 0;

	return len > 0 ? strndup(root, len) : strdup(slash ? "/" : ".");
}

/* ROOT, where nothing is yet, and its name after a power cut. */
static bool make_root(const struct directory *d)
{
	const char *root = d->folder.root;
	char *above = above_root(d);
	int fd = above ? open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	bool is_made =
	    fd >= 0 && (mkdir(root, 0700) == 0 || errno == EEXIST) && file_sync_all(fd);
	int why = errno;

	if (fd >= 0) {
		(void)close(fd);
	}
	free(above);
	errno = why;
	return is_made;
}

static enum status no_root(const struct directory *d, bool make, int why,
			   struct error *err)
{
	(void)cannot_open(d, "", why, err);
	if (why == ENOENT || why == ENOTDIR) {
		err->status = ST_CONFIG;
		(void)error_add(err, make ? "; make the folder above it first"
					  : "; give the folder that it lies in");
	}
	return err->status;
}

static enum status open_root(struct directory *d, bool make, struct error *err)
{
	int *fd = &d->folder.root_fd;

	*fd = open(d->folder.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0 && errno == ENOENT && make && make_root(d)) {
		*fd = open(d->folder.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return *fd >= 0 ? ST_OK : no_root(d, make, errno, err);
}

/* There is no ROOT/ltx. */
static enum status refuse_older(const struct directory *d, bool make, struct error *err)
{
	return faccessat(d->folder.root_fd, "generations", F_OK, 0) == 0
		   ? error_set(err, ST_CONFIG,
			       "%s was written by Litestream 0.3, whose format is "
			       "another: %s",
			       quote(d->folder.root).text,
			       make ? "give another folder"
				    : "restore it with Litestream 0.3")
		   : ST_OK;
}

/* ROOT/ltx; with `make` it is made where there is none. */
static enum status open_ltx(struct directory *d, bool make, struct error *err)
{
	int root_fd = d->folder.root_fd;
	int *fd = &d->folder.ltx_fd;

	*fd = openat(root_fd, "ltx", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd >= 0) {
		return ST_OK;
	}
	if (errno != ENOENT) {
		return cannot_open(d, "/ltx", errno, err);
	}
	if (refuse_older(d, make, err) != ST_OK) {
		return err->status;
	}
	if (!make) {
		return no_archive(d, err);
	}
	if ((mkdirat(root_fd, "ltx", 0700) != 0 && errno != EEXIST) ||
	    !file_sync_all(root_fd)) {
		return cannot_open(d, "/ltx", errno, err);
	}
	*fd = openat(root_fd, "ltx", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *fd >= 0 ? ST_OK : cannot_open(d, "/ltx", errno, err);
}

/* Without the slashes that it ends with. */
static char *dup_root(const char *root)
{
	size_t len = strlen(root);

	while (len > 1 && root[len - 1] == '/') {
		len--;
	}
	return strndup(root, len);
}

/* Nothing is open. NULL: no memory. */
static struct directory *new_directory(const char *root,
				       const struct storage_calls *calls)
{
	struct directory *d = calloc(1, sizeof *d);

	if (d) {
		d->base.calls = calls;
		d->folder.root_fd = -1;
		d->folder.ltx_fd = -1;
		d->folder.root = dup_root(root);
	}
	if (d && !d->folder.root) {
		free(d);
		return NULL;
	}
	return d;
}

static enum status open_folders(const char *root, bool make,
				const struct storage_calls *calls,
				struct storage **storage, struct error *err)
{
	struct directory *d = new_directory(root, calls);
	enum status status =
	    d ? open_root(d, make, err) : error_no_memory(err, "an archive");

	if (status == ST_OK) {
		status = open_ltx(d, make, err);
	}
	if (status != ST_OK) {
		if (d) {
			close_directory(&d->base);
		}
		return status;
	}
	*storage = &d->base;
	return ST_OK;
}

/* ---- writing ---- */

static enum status put_file(struct storage *storage, const struct archive_file *file,
			    int fd, struct error *err)
{
	return archive_folder_put(&directory_of(storage)->folder, file, fd, err);
}

static enum status remove_file(struct storage *storage, const struct archive_file *file,
			       struct error *err)
{
	return archive_folder_remove(&directory_of(storage)->folder, file, err);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Descriptors go on to name a folder that was moved away, or whose disk was taken out.
 */
static enum status check_place(struct storage *storage, struct error *err)
{
	const struct archive_folder *f = &directory_of(storage)->folder;
	struct stat root;
	struct stat ltx;
	struct stat root_there;
	struct stat ltx_there;

	if (stat(f->root, &root_there) != 0) {
		return error_set_errno(err, errno, "%s cannot be found any more",
				       quote(f->root).text);
	}
	if (fstat(f->root_fd, &root) == 0 && is_same(&root, &root_there) &&
	    fstat(f->ltx_fd, &ltx) == 0 &&
	    fstatat(f->root_fd, "ltx", &ltx_there, 0) == 0 &&
	    is_same(&ltx, &ltx_there)) {
		return ST_OK;
	}
	return error_set(err, ST_LOST, "another folder has taken the place of %s",
			 quote(f->root).text);
}

static enum status get_note(struct storage *storage, const char *name, void *bytes,
			    size_t cap, size_t *len, struct error *err)
{
	return archive_folder_get_note(&directory_of(storage)->folder, name, bytes, cap,
				       len, err);
}

static enum status put_note(struct storage *storage, const char *name,
			    const void *bytes, size_t len, struct error *err)
{
	return archive_folder_put_note(&directory_of(storage)->folder, name, bytes, len,
				       err);
}

/* Where a file can be made that has no name yet, put needs no copy of it. */
static enum status open_temp(struct storage *storage, int *fd, struct error *err)
{
	*fd = openat(directory_of(storage)->folder.ltx_fd, ".",
		     O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return *fd >= 0 ? ST_OK : temp_file_open(fd, err);
}

static const struct storage_calls read_calls = {
    .list = list_level,
    .open = open_file,
    .read = read_file,
    .close_file = close_file,
    .close = close_directory,
    .get_note = get_note,
    .check = check_place,
};

enum status directory_open(const char *root, struct storage **storage,
			   struct error *err)
{
	return open_folders(root, false, &read_calls, storage, err);
}

enum status directory_open_to_write(const char *root, bool make,
				    struct storage **storage, struct error *err)
{
	static const struct storage_calls calls = {
	    .list = list_level,
	    .open = open_file,
	    .read = read_file,
	    .close_file = close_file,
	    .close = close_directory,
	    .put = put_file,
	    .remove = remove_file,
	    .get_note = get_note,
	    .put_note = put_note,
	    .check = check_place,
	    .temp = open_temp,
	};

	return open_folders(root, make, &calls, storage, err);
}

/* ---- looking ---- */

/* Could ROOT be made? */
static enum status look_above(const struct directory *d, struct error *err)
{
	char *above = above_root(d);
	bool is_open =
	    above && faccessat(AT_FDCWD, above, W_OK | X_OK, AT_EACCESS) == 0;
	int why = errno;

	free(above);
	return is_open ? ST_OK : no_root(d, true, why, err);
}

/* What is to be made in there can be. */
static enum status look_into(const struct directory *d, int fd, struct error *err)
{
	return faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) == 0
		   ? ST_OK
		   : error_set_errno(err, errno, "%s cannot be written to",
				     quote(d->folder.root).text);
}

static enum status look(struct directory *d, bool *is_there, struct error *err)
{
	struct archive_folder *f = &d->folder;

	f->root_fd = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->root_fd < 0) {
		return errno == ENOENT ? look_above(d, err)
				       : no_root(d, true, errno, err);
	}
	f->ltx_fd = openat(f->root_fd, "ltx", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*is_there = f->ltx_fd >= 0;
	if (*is_there) {
		return look_into(d, f->ltx_fd, err);
	}
	if (errno != ENOENT) {
		return cannot_open(d, "/ltx", errno, err);
	}
	return refuse_older(d, true, err) == ST_OK ? look_into(d, f->root_fd, err)
						   : err->status;
}

enum status directory_look(const char *root, struct storage **storage,
			   struct error *err)
{
	struct directory *d = new_directory(root, &read_calls);
	bool is_there = false;
	enum status status =
	    d ? look(d, &is_there, err) : error_no_memory(err, "an archive");

	*storage = NULL;
	if (status == ST_OK && is_there) {
		*storage = &d->base;
	} else if (d) {
		close_directory(&d->base);
	}
	return status;
}
