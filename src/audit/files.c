/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/audit/line.h"
#include "src/base/array.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"

#define LEAST_DIGITS   12
#define MOST_DIGITS    18
#define COMPARED_BYTES 65536
#define FIRST_BYTES    200 /* of a file: its first line's number is among them */

/* ---- names ---- */

char *audit_files_name_with(const char *path, uint64_t first, const char *suffix)
{
	char *name;

	return asprintf(&name, "%s.%0*" PRIu64 "%s", path, LEAST_DIGITS, first,
			suffix) < 0
		   ? NULL
		   : name;
}

char *audit_files_name(const char *path, uint64_t first)
{
	return audit_files_name_with(path, first, "");
}

const char *audit_files_number(const char *name, uint64_t *first, bool *is_compressed)
{
	const size_t zst = sizeof AUDIT_ZST - 1;
	size_t len = strlen(name), digits = 0;

	*is_compressed = len > zst && strcmp(name + len - zst, AUDIT_ZST) == 0;
	len -= *is_compressed ? zst : 0;
	while (digits < len && name[len - digits - 1] >= '0' &&
	       name[len - digits - 1] <= '9') {
		digits++;
	}
	/* In one way only: not with zeros that are not needed. */
	if (digits < LEAST_DIGITS || digits > MOST_DIGITS || len < digits + 2 ||
	    name[len - digits - 1] != '.' ||
	    (digits > LEAST_DIGITS && name[len - digits] == '0')) {
		return NULL;
	}
	*first = 0;
	for (size_t i = len - digits; i < len; i++) {
		*first = *first * 10 + (uint64_t)(name[i] - '0');
	}
	return name + len - digits - 1;
}

/* ---- the list ---- */

void audit_files_clear(struct audit_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free(files->list[i].path);
	}
	free(files->list);
	*files = (struct audit_files){0};
}

/* Takes the path over, also where it fails. */
static enum status add(struct audit_files *files, char *path, uint64_t first,
		       bool is_compressed, struct error *err)
{
	struct stat st;

	if (!path || !array_room(&files->list, &files->room, files->count + 1,
				 sizeof *files->list)) {
		free(path);
		return error_no_memory(err, "the files of an audit log");
	}
	files->list[files->count++] = (struct audit_file){
	    .path = path,
	    .first = first,
	    .is_compressed = is_compressed,
	    .bytes = stat(path, &st) == 0 ? (int64_t)st.st_size : 0};
	return ST_OK;
}

enum status audit_files_add(struct audit_files *files, char *path, uint64_t first,
			    struct error *err)
{
	return add(files, path, first, false, err);
}

/* By first line; of two with the same one the plain file comes first. */
static int compare(const void *a, const void *b)
{
	const struct audit_file *x = a, *y = b;

	if (x->first != y->first) {
		return x->first > y->first ? 1 : -1;
	}
	return (int)x->is_compressed - (int)y->is_compressed;
}

/* A compressed file whose plain one is still there does not count. */
static void sort(struct audit_files *files)
{
	size_t kept = 0;

	if (files->count == 0) {
		return;
	}
	qsort(files->list, files->count, sizeof *files->list, compare);
	for (size_t i = 1; i < files->count; i++) {
		if (files->list[i].first == files->list[kept].first) {
			free(files->list[i].path);
		} else {
			files->list[++kept] = files->list[i];
		}
	}
	files->count = kept + 1;
}

static char *join(const char *folder, size_t folder_len, const char *name)
{
	char *path;

	return asprintf(&path, "%.*s%s", (int)folder_len, folder, name) < 0 ? NULL
									    : path;
}

/* Files in a folder, "" or with a slash at its end, of the log `name`; NULL: of
 * whatever log, and `*other` if there are two. */
static enum status list_folder(const char *folder, size_t folder_len, const char *name,
			       struct audit_files *out, bool *other, struct error *err)
{
	char *path = join(folder, folder_len, folder_len > 0 ? "" : ".");
	DIR *dir = path ? opendir(path) : NULL;
	size_t base_len = name ? strlen(name) : 0;
	enum status status = ST_OK;
	const struct dirent *entry;
	char base[256] = "";

	if (!dir) {
		status = path ? error_set_errno(err, errno, "%s cannot be listed",
						quote(path).text)
			      : error_no_memory(err, "a path");
		free(path);
		return status;
	}
	free(path);
	while (status == ST_OK && (errno = 0, entry = readdir(dir)) != NULL) {
		uint64_t first;
		bool is_compressed;
		const char *at =
		    audit_files_number(entry->d_name, &first, &is_compressed);
		size_t len = at ? (size_t)(at - entry->d_name) : 0;

		if (!at || len >= sizeof base) {
			continue;
		}
		if (!name) {
			name = memcpy(base, entry->d_name, len);
			base_len = len;
		}
		if (len == base_len && memcmp(entry->d_name, name, len) == 0) {
			status = add(out, join(folder, folder_len, entry->d_name),
				     first, is_compressed, err);
		} else if (other && name == base) {
			*other = true;
		}
	}
	if (status == ST_OK && errno != 0) {
		status = error_set_errno(err, errno, "%.*s cannot be listed",
					 (int)folder_len, folder);
	}
	(void)closedir(dir);
	sort(out);
	return status;
}

/* Where a path's last part begins. */
static size_t folder_len_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash + 1 - path) : 0;
}

enum status audit_files_list(const char *path, struct audit_files *out,
			     struct error *err)
{
	size_t folder_len = folder_len_of(path);

	*out = (struct audit_files){0};
	return list_folder(path, folder_len, path + folder_len, out, NULL, err);
}

/* ---- what is at PATH ---- */

/* The number of the first line of a file; false: it does not say. */
static bool read_first(const char *path, uint64_t *first)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char bytes[FIRST_BYTES];
	struct audit_line what;
	ssize_t len = fd >= 0 ? file_read_at(fd, bytes, sizeof bytes, 0) : -1;

	if (fd >= 0) {
		(void)close(fd);
	}
	if (len <= 0) {
		return false;
	}
	audit_line_read(bytes, (size_t)len, &what);
	*first = what.number;
	return what.has_number;
}

/* Are these two files of other bytes? One that is compressed is not compared. */
static bool is_other(const struct audit_file *file, const char *path)
{
	int a = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int b = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *bytes = malloc(2 * COMPARED_BYTES);
	bool is_same = a >= 0 && b >= 0 && bytes;
	ssize_t n = 1;

	for (off_t at = 0; is_same && n > 0 && !file->is_compressed; at += n) {
		n = file_read_at(a, bytes, COMPARED_BYTES, at);
		is_same =
		    n >= 0 &&
		    file_read_at(b, bytes + COMPARED_BYTES, COMPARED_BYTES, at) == n &&
		    memcmp(bytes, bytes + COMPARED_BYTES, (size_t)n) == 0;
	}
	free(bytes);
	if (a >= 0) {
		(void)close(a);
	}
	if (b >= 0) {
		(void)close(b);
	}
	return !is_same;
}

/* PATH is a regular file: another name of one of them, or one of its own. */
static enum status place(const char *path, const struct stat *st,
			 struct audit_files *out, struct error *err)
{
	uint64_t first = 0;
	size_t at = out->count;

	for (size_t i = 0; i < out->count; i++) {
		struct stat own;

		if (stat(out->list[i].path, &own) == 0 && own.st_dev == st->st_dev &&
		    own.st_ino == st->st_ino) {
			return ST_OK;
		}
	}
	if (!read_first(path, &first)) {
		first = out->count > 0 ? out->list[out->count - 1].first : 0;
	}
	for (size_t i = 0; i < out->count; i++) {
		at = out->list[i].first == first ? i : at;
	}
	if (at < out->count && is_other(&out->list[at], path)) {
		return error_set(err, ST_CONFIG,
				 "%s and %s are two files that differ, though either "
				 "would be the same part of the log: verify each by "
				 "itself, and move away the one that is not the log",
				 quote(path).text, quote(out->list[at].path).text);
	}
	if (at < out->count) {
		free(out->list[at].path);
		out->list[at] = out->list[--out->count];
	}
	if (add(out, strdup(path), first, false, err) != ST_OK) {
		return err->status;
	}
	sort(out);
	return ST_OK;
}

static enum status find_folder(const char *path, struct audit_files *out,
			       struct error *err)
{
	size_t len = strlen(path);
	char *folder = join(path, len, len > 0 && path[len - 1] == '/' ? "" : "/");
	bool other = false;
	enum status status =
	    folder ? list_folder(folder, strlen(folder), NULL, out, &other, err)
		   : error_no_memory(err, "a path");

	free(folder);
	if (status == ST_OK && (other || out->count == 0)) {
		status = error_set(err, ST_CONFIG,
				   "%s is a folder with %s: give the PATH of --to "
				   "audit:PATH",
				   quote(path).text,
				   other ? "more than one audit log" : "no audit log");
	}
	return status;
}

enum status audit_files_find(const char *path, struct audit_files *out,
			     struct error *err)
{
	struct stat st;
	uint64_t first;
	bool is_compressed, is_there = stat(path, &st) == 0;
	int why = is_there ? 0 : errno;
	enum status status;

	*out = (struct audit_files){0};
	if (is_there && S_ISDIR(st.st_mode)) {
		status = find_folder(path, out, err);
	} else if (is_there && audit_files_number(path, &first, &is_compressed)) {
		out->is_part = true;
		status = add(out, strdup(path), first, is_compressed, err);
	} else if (is_there && !S_ISREG(st.st_mode)) {
		status = error_set(err, ST_CONFIG,
				   "%s is no file; give the PATH of --to audit:PATH",
				   quote(path).text);
	} else {
		status = audit_files_list(path, out, err);
		if (!is_there && (status != ST_OK || out->count == 0)) {
			status = error_set(
			    err, why == ENOENT ? ST_CONFIG : ST_IO, "%s: %s%s",
			    quote(path).text,
			    why == ENOENT ? "no such file" : strerror(why),
			    why == ENOENT ? "; give the PATH of --to audit:PATH" : "");
		} else if (is_there && status != ST_OK) {
			/* The folder may be one that we may not list. */
			status = add(out, strdup(path), 0, false, err);
		} else if (is_there) {
			status = place(path, &st, out, err);
		}
	}
	if (status != ST_OK) {
		audit_files_clear(out);
	}
	return status;
}
