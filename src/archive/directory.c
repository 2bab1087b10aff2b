/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"

#define DIGITS     16u                       /* of a TXID */
#define NAME_BYTES (2 * DIGITS + 1 + 4 + 1u) /* MIN-MAX.ltx and the NUL */

struct directory {
	struct storage base;
	int ltx_fd; /* ROOT/ltx */
	char *root;
};

struct directory_file {
	struct storage_file base;
	int fd;
};

static struct directory *directory_of(struct storage *storage)
{
	return (struct directory *)(void *)storage;
}

/* ---- names ---- */

/* Lower-case hex digits alone: Litestream takes no others. */
static bool read_txid(const char *digits, uint64_t *txid)
{
	*txid = 0;
	for (unsigned i = 0; i < DIGITS; i++) {
		char c = digits[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) {
			return false;
		}
		*txid = *txid << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return true;
}

static bool read_name(const char *name, struct archive_file *file)
{
	return strlen(name) == NAME_BYTES - 1 && name[DIGITS] == '-' &&
	       strcmp(name + 2 * DIGITS + 1, ".ltx") == 0 &&
	       read_txid(name, &file->min_txid) &&
	       read_txid(name + DIGITS + 1, &file->max_txid) && file->min_txid > 0 &&
	       file->min_txid <= file->max_txid;
}

/* ---- listing ---- */

/* A file may be removed while its level is listed. */
static enum status add_entry(struct directory *d, int level_fd, unsigned level,
			     const char *name, struct archive_list *list,
			     struct error *err)
{
	struct archive_file file = {.level = level};
	struct stat st;

	if (!read_name(name, &file)) {
		return ST_OK;
	}
	if (fstatat(level_fd, name, &st, 0) != 0) {
		return errno == ENOENT
			   ? ST_OK
			   : error_set_errno(err, errno, "%s/ltx/%u/%s cannot be read",
					     quote(d->root).text, level, name);
	}
	if (!S_ISREG(st.st_mode)) {
		return ST_OK;
	}
	file.size = (uint64_t)st.st_size;
	file.time_ns = clock_ns_of(st.st_mtim);
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
					 quote(d->root).text, level);
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
	fd = openat(d->ltx_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		return errno == ENOENT || errno == ENOTDIR
			   ? ST_OK
			   : error_set_errno(err, errno, "%s/ltx/%u cannot be listed",
					     quote(d->root).text, level);
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
	char path[NAME_BYTES + 12];
	struct stat st;

	if (!f) {
		return error_no_memory(err, "a file of an archive");
	}
	f->base.storage = storage;
	(void)snprintf(path, sizeof path, "%u/%016" PRIx64 "-%016" PRIx64 ".ltx",
		       file->level, file->min_txid, file->max_txid);
	(void)snprintf(f->base.name, sizeof f->base.name, "%.*s/ltx/%s",
		       (int)(sizeof f->base.name - sizeof path - 8),
		       quote(d->root).text, path);
	f->fd = openat(d->ltx_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
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
	ssize_t n = offset <= INT64_MAX - len
			? file_read_at(f->fd, bytes, len, (off_t)offset)
			: 0;

	if (n < 0) {
		return error_set_errno(err, errno, "%s cannot be read", file->name);
	}
	*got = (size_t)n;
	return ST_OK;
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

	if (d->ltx_fd >= 0) {
		(void)close(d->ltx_fd);
	}
	free(d->root);
	free(d);
}

/* ROOT is there, but not ROOT/ltx. */
static enum status no_archive(const struct directory *d, int root_fd, struct error *err)
{
	const char *name = strrchr(d->root, '/');

	name = name ? name + 1 : d->root;
	if (faccessat(root_fd, "generations", F_OK, 0) == 0) {
		return error_set(err, ST_CONFIG,
				 "%s was written by Litestream 0.3, whose format is "
				 "another: restore it with Litestream 0.3",
				 quote(d->root).text);
	}
	if (strcmp(name, "ltx") == 0) {
		return error_set(err, ST_CONFIG,
				 "%s has no folder ltx: give the folder above it",
				 quote(d->root).text);
	}
	return error_set(err, ST_CONFIG,
			 "%s has no folder ltx, so it is no archive: give the folder "
			 "that a replica of Litestream was written to",
			 quote(d->root).text);
}

static enum status open_folders(struct directory *d, struct error *err)
{
	int root_fd = open(d->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum status status = ST_OK;

	if (root_fd < 0) {
		int why = errno;

		(void)error_set_errno(err, why, "%s cannot be opened as an archive",
				      quote(d->root).text);
		if (why == ENOENT || why == ENOTDIR) {
			err->status = ST_CONFIG;
			(void)error_add(err, "; give the folder that it lies in");
		}
		return err->status;
	}
	d->ltx_fd = openat(root_fd, "ltx", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->ltx_fd < 0 && errno == ENOENT) {
		status = no_archive(d, root_fd, err);
	} else if (d->ltx_fd < 0) {
		status = error_set_errno(err, errno, "%s/ltx cannot be opened",
					 quote(d->root).text);
	}
	(void)close(root_fd);
	return status;
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

enum status directory_open(const char *root, struct storage **storage,
			   struct error *err)
{
	static const struct storage_calls calls = {
	    .list = list_level,
	    .open = open_file,
	    .read = read_file,
	    .close_file = close_file,
	    .close = close_directory,
	};
	struct directory *d = calloc(1, sizeof *d);
	enum status status;

	if (!d) {
		return error_no_memory(err, "an archive");
	}
	d->base.calls = &calls;
	d->ltx_fd = -1;
	d->root = dup_root(root);
	status = d->root ? open_folders(d, err) : error_no_memory(err, "an archive");
	if (status != ST_OK) {
		close_directory(&d->base);
		return status;
	}
	*storage = &d->base;
	return ST_OK;
}
