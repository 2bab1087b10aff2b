/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/journal_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/array.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"
#include "src/history/advice.h"

void journal_file_name(char name[JOURNAL_NAME_BYTES], uint64_t start_lsn)
{
	(void)snprintf(name, JOURNAL_NAME_BYTES, JOURNAL_NAME_FORMAT, start_lsn);
}

enum status journal_no_memory(struct error *err)
{
	return error_no_memory(err, "the journal");
}

enum status journal_file_error(const struct journal_files *files, const char *verb,
			       uint64_t start_lsn, int sys_errno, struct error *err)
{
	return error_set_errno(err, sys_errno, "cannot %s %s/" JOURNAL_NAME_FORMAT,
			       verb, files->folder, start_lsn);
}

enum status journal_file_damaged(const struct journal_files *files, uint64_t start_lsn,
				 uint64_t offset, const char *why, struct error *err)
{
	return error_set(err, ST_DAMAGED,
			 "%s/" JOURNAL_NAME_FORMAT " is damaged at byte %" PRIu64
			 " (%s): " STATE_MOVE_AWAY,
			 files->folder, start_lsn, offset, why);
}

int journal_file_write(int fd, const void *bytes, size_t len, uint64_t offset)
{
	return file_write_at(fd, bytes, len, (off_t)offset) ? 0 : errno;
}

int journal_file_sync(int fd)
{
	return file_sync(fd) ? 0 : errno;
}

enum status journal_files_sync(const struct journal_files *files, struct error *err)
{
	if (!file_sync_all(files->dir_fd)) {
		return error_set_errno(err, errno, "cannot sync the folder %s",
				       quote(files->folder).text);
	}
	return ST_OK;
}

int journal_file_cut(int fd, uint64_t length)
{
	return file_set_length(fd, (off_t)length) ? 0 : errno;
}

enum status journal_file_remove(const struct journal_files *files, uint64_t start_lsn,
				struct error *err)
{
	char name[JOURNAL_NAME_BYTES];

	journal_file_name(name, start_lsn);
	if (unlinkat(files->dir_fd, name, 0) < 0 && errno != ENOENT) {
		return journal_file_error(files, "remove", start_lsn, errno, err);
	}
	return ST_OK;
}

int journal_file_open(const struct journal_files *files, uint64_t start_lsn)
{
	char name[JOURNAL_NAME_BYTES];

	journal_file_name(name, start_lsn);
	return openat(files->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

static enum status load(const struct journal_files *files, uint64_t start_lsn, int fd,
			struct buffer *bytes, struct error *err)
{
	struct stat file;
	ssize_t got;

	if (fstat(fd, &file) < 0) {
		return journal_file_error(files, "open", start_lsn, errno, err);
	}
	if (!S_ISREG(file.st_mode)) {
		return journal_file_damaged(files, start_lsn, 0, "it is no file", err);
	}
	buffer_reset(bytes);
	if (!buffer_reserve(bytes, (size_t)file.st_size + 1)) {
		return journal_no_memory(err);
	}
	got = file_read_at(fd, bytes->bytes, (size_t)file.st_size, 0);
	if (got < 0) {
		return journal_file_error(files, "read", start_lsn, errno, err);
	}
	bytes->len = (size_t)got; /* less if it was cut meanwhile */
	return ST_OK;
}

enum status journal_file_load(const struct journal_files *files, uint64_t start_lsn,
			      struct buffer *bytes, struct error *err)
{
	char name[JOURNAL_NAME_BYTES];
	enum status status;
	int fd;

	journal_file_name(name, start_lsn);
	fd =
	    openat(files->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT) {
		return journal_file_damaged(files, start_lsn, 0, "it is missing", err);
	}
	if (fd < 0) {
		return journal_file_error(files, "open", start_lsn, errno, err);
	}
	status = load(files, start_lsn, fd, bytes, err);
	(void)close(fd);
	return status;
}

static int create_file(const struct journal_files *files, uint64_t start_lsn)
{
	int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
	char name[JOURNAL_NAME_BYTES];
	int fd;

	journal_file_name(name, start_lsn);
	fd = openat(files->dir_fd, name, flags, 0600);
	if (fd < 0 && errno == EEXIST && unlinkat(files->dir_fd, name, 0) == 0) {
		fd = openat(files->dir_fd, name, flags, 0600);
	}
	return fd;
}

enum status journal_file_create(const struct journal_files *files,
				const struct journal_header *header, int *fd,
				struct error *err)
{
	uint8_t bytes[JOURNAL_HEADER_BYTES];
	uint64_t lsn = header->start_lsn;
	struct error ignored;
	int rc;

	*fd = create_file(files, lsn);
	if (*fd < 0) {
		return journal_file_error(files, "create", lsn, errno, err);
	}
	journal_header_put(bytes, header);
	rc = journal_file_write(*fd, bytes, sizeof bytes, 0);
	if (rc != 0) {
		(void)close(*fd);
		(void)!journal_file_remove(files, lsn, &ignored);
		return journal_file_error(files, "write", lsn, rc, err);
	}
	return ST_OK;
}

int journal_file_create_new(const struct journal_files *files)
{
	journal_file_remove_new(files);
	return openat(files->dir_fd, JOURNAL_NEW_NAME,
		      O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

void journal_file_remove_new(const struct journal_files *files)
{
	(void)unlinkat(files->dir_fd, JOURNAL_NEW_NAME, 0);
}

enum status journal_file_put_new(const struct journal_files *files, uint64_t start_lsn,
				 struct error *err)
{
	char name[JOURNAL_NAME_BYTES];

	journal_file_name(name, start_lsn);
	if (renameat(files->dir_fd, JOURNAL_NEW_NAME, files->dir_fd, name) < 0) {
		return journal_file_error(files, "replace", start_lsn, errno, err);
	}
	return journal_files_sync(files, err);
}

bool journal_files_room(struct journal_files *files)
{
	return array_room(&files->segments, &files->cap, files->total + 1,
			  sizeof *files->segments);
}

void journal_segment_close(struct journal_segment *segment)
{
	if (segment->fd >= 0) {
		(void)close(segment->fd);
		segment->fd = -1;
	}
}

void journal_files_clear(struct journal_files *files)
{
	for (size_t i = 0; i < files->total; i++) {
		journal_segment_close(&files->segments[i]);
	}
	free(files->segments);
	*files = (struct journal_files){0};
}

/* The LSN in the name of a segment; false: it is none. */
static bool parse_name(const char *name, uint64_t *start_lsn)
{
	uint64_t lsn = 0;

	if (strlen(name) != JOURNAL_NAME_BYTES - 1 || strncmp(name, "log-", 4) != 0) {
		return false;
	}
	for (const char *p = name + 4; *p; p++) {
		const char *digit = strchr("0123456789abcdef", *p);

		if (!digit) {
			return false;
		}
		lsn = lsn << 4 | (uint64_t)(digit - "0123456789abcdef");
	}
	*start_lsn = lsn;
	return true;
}

static int compare_segments(const void *a, const void *b)
{
	const struct journal_segment *left = a;
	const struct journal_segment *right = b;

	return (left->start_lsn > right->start_lsn) -
	       (left->start_lsn < right->start_lsn);
}

static enum status list_names(struct journal_files *files, DIR *folder,
			      struct error *err)
{
	const struct dirent *entry;
	uint64_t start_lsn;

	while (errno = 0, (entry = readdir(folder)) != NULL) {
		if (!parse_name(entry->d_name, &start_lsn)) {
			continue;
		}
		if (!journal_files_room(files)) {
			return journal_no_memory(err);
		}
		files->segments[files->total++] =
		    (struct journal_segment){.start_lsn = start_lsn, .fd = -1};
	}
	if (errno != 0) {
		return error_set_errno(err, errno, "cannot list %s",
				       quote(files->folder).text);
	}
	if (files->total > 1) {
		qsort(files->segments, files->total, sizeof *files->segments,
		      compare_segments);
	}
	return ST_OK;
}

enum status journal_files_list(struct journal_files *files, struct error *err)
{
	int fd = openat(files->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	enum status status;

	if (!folder) {
		status = error_set_errno(err, errno, "cannot list %s",
					 quote(files->folder).text);
		if (fd >= 0) {
			(void)close(fd);
		}
		return status;
	}
	status = list_names(files, folder, err);
	(void)closedir(folder);
	return status;
}

enum status journal_files_drop(struct journal_files *files, size_t from, size_t end,
			       struct error *err)
{
	for (size_t i = from; i < end; i++) {
		enum status status =
		    journal_file_remove(files, files->segments[i].start_lsn, err);

		if (status != ST_OK) {
			return status;
		}
		journal_segment_close(&files->segments[i]);
	}
	if (end > from) {
		memmove(files->segments + from, files->segments + end,
			(files->total - end) * sizeof *files->segments);
		files->total -= end - from;
	}
	return ST_OK;
}
