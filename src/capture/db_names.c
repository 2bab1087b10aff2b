/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/db_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/quote.h"

#define SHM_LEAST_BYTES 32768 /* one block of the wal-index */

#define REPLACED "%s: its files were replaced while it was opened"

static struct file_id id_of(const struct stat *st)
{
	return (struct file_id){st->st_dev, st->st_ino};
}

static bool is_file(const struct file_id *id, const struct stat *st)
{
	return id->device == st->st_dev && id->inode == st->st_ino;
}

/* ---- what is open ---- */

/* `link` is `path`, or was until its name was removed. */
static bool names_path(const char *link, const char *path)
{
	size_t len = strlen(path);

	return strncmp(link, path, len) == 0 &&
	       (link[len] == '\0' || strcmp(link + len, " (deleted)") == 0);
}

/* Note one descriptor of this process. False: it is of another -wal or -shm than the
 * one at the name. */
static bool note_descriptor(struct db_names *names, int proc_fd, const char *entry)
{
	char link[PATH_MAX + sizeof " (deleted)"];
	ssize_t len = readlinkat(proc_fd, entry, link, sizeof link - 1);
	int fd = atoi(entry);
	struct stat st;

	if (len <= 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		return true;
	}
	link[len] = '\0';
	if (names_path(link, names->wal_path)) {
		return is_file(&names->wal, &st);
	}
	if (names_path(link, names->shm_path)) {
		names->shm_fd = is_file(&names->shm, &st) ? fd : names->shm_fd;
		return is_file(&names->shm, &st);
	}
	if (names_path(link, names->path)) {
		bool may_write = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;

		names->db_fd =
		    may_write && is_file(&names->db, &st) ? fd : names->db_fd;
		return is_file(&names->db, &st);
	}
	return true;
}

/* Without /proc the names are believed. */
static enum status check_open(struct db_names *names, struct error *err)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;
	bool is_right = true;

	if (!folder && errno_is_limit(errno)) {
		return error_set_errno(err, errno,
				       "%s: its open files cannot be listed",
				       quote(names->path).text);
	}
	while (folder && is_right && (entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] != '.') {
			is_right = note_descriptor(names, dirfd(folder), entry->d_name);
		}
	}
	if (folder) {
		(void)closedir(folder);
	}
	return is_right ? ST_OK
			: error_set(err, ST_RETRY, REPLACED, quote(names->path).text);
}

enum status db_names_init(struct db_names *names, const char *given, const char *path,
			  const char *wal_path, int db_fd, int wal_fd,
			  struct error *err)
{
	struct stat st;
	int64_t unused;
	enum status status;

	*names = (struct db_names){.given = given,
				   .path = path,
				   .wal_path = wal_path,
				   .db_fd = -1,
				   .shm_fd = -1};
	if (asprintf(&names->shm_path, "%s-shm", path) < 0) {
		names->shm_path = NULL;
		return error_no_memory(err, "the names of the database");
	}
	if (fstat(db_fd, &st) == 0) {
		names->db = id_of(&st);
	}
	if (fstat(wal_fd, &st) == 0) {
		names->wal = id_of(&st);
	}
	if (stat(names->shm_path, &st) == 0) {
		names->shm = id_of(&st);
	}
	status = check_open(names, err);
	if (status == ST_OK && db_names_look(names, &unused) != NAMES_RIGHT) {
		status = error_set(err, ST_RETRY, REPLACED, quote(path).text);
	}
	return status;
}

void db_names_clear(struct db_names *names)
{
	free(names->shm_path);
	names->shm_path = NULL;
	names->db_fd = -1;
	names->shm_fd = -1;
}

/* ---- looking them up ---- */

/* A name that cannot be looked up for want of a permission, or of memory, proves
 * nothing. */
static bool is_gone_by(int reason)
{
	return reason == ENOENT || reason == ENOTDIR || reason == ELOOP;
}

enum name_fault db_names_look(const struct db_names *names, int64_t *wal_bytes)
{
	struct stat st;

	*wal_bytes = INT64_MAX;
	if (stat(names->path, &st) == 0 ? !is_file(&names->db, &st)
					: is_gone_by(errno)) {
		return NAMES_DB;
	}
	if (stat(names->wal_path, &st) == 0) {
		*wal_bytes = st.st_size;
		if (!is_file(&names->wal, &st)) {
			return NAMES_WAL;
		}
	} else if (is_gone_by(errno)) {
		return NAMES_WAL;
	}
	if (stat(names->shm_path, &st) != 0) {
		return is_gone_by(errno) ? NAMES_SHM : NAMES_RIGHT;
	}
	if (!is_file(&names->shm, &st)) {
		return NAMES_SHM;
	}
	return st.st_size < SHM_LEAST_BYTES ? NAMES_CUT : NAMES_RIGHT;
}

bool db_names_leads_here(const struct db_names *names, bool *is_gone)
{
	struct stat st;

	*is_gone = false;
	if (stat(names->given, &st) == 0) {
		return is_file(&names->db, &st);
	}
	*is_gone = is_gone_by(errno);
	return true;
}

bool db_names_has_shm(const struct db_names *names)
{
	struct stat st;

	return stat(names->shm_path, &st) == 0 && is_file(&names->shm, &st);
}

const char *name_fault_text(enum name_fault fault)
{
	switch (fault) {
	case NAMES_DB:
		return "was replaced by another file, or removed";
	case NAMES_LINK:
		return "is no longer where the path leads (a link or a folder was "
		       "changed)";
	case NAMES_WAL:
		return "its -wal was removed, or replaced by another file, while it "
		       "was in use";
	case NAMES_SHM:
		return "its -shm was removed, or replaced by another file, while it "
		       "was in use";
	case NAMES_CUT:
		return "its -shm was cut while it was in use";
	default:
		return "is right";
	}
}
