/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/db_fit.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/base/bytes.h"
#include "src/base/file_io.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/sqlite_guard.h"
#include "src/capture/db_users.h"

/* Of the header, see btree/db_header.h. */
#define AT_SCHEMA_FORMAT  44
#define AT_TEXT_ENCODING  56
#define AT_EXPANSION      72 /* zeros, up to */
#define EXPANSION_END     92
#define SCHEMA_FORMAT_MAX 4
#define TEXT_ENCODING_MAX 3

enum status db_fit_error(struct error *err)
{
	if (!errno_is_limit(err->sys_errno)) {
		err->status = ST_UNFIT;
	}
	return err->status;
}

/* ---- the file ---- */

/*
 * Is there noise where three fields of the header have few values? Damage would be in
 * one of them. Ciphers may leave the header readable up to some byte, so that the
 * system knows what kind of file it is.
 */
static bool is_encrypted(const uint8_t header[DB_HEADER_SIZE])
{
	static const uint8_t zeros[EXPANSION_END - AT_EXPANSION];

	return get_u32be(header + AT_SCHEMA_FORMAT) > SCHEMA_FORMAT_MAX &&
	       get_u32be(header + AT_TEXT_ENCODING) > TEXT_ENCODING_MAX &&
	       memcmp(header + AT_EXPANSION, zeros, sizeof zeros) != 0;
}

/* A file that is mounted alone (`docker -v app.db:/app.db`): -wal and -shm beside it
 * are others than those beside the file that was mounted. */
static bool is_mount(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH, 0, &st) == 0 &&
	       (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) &&
	       (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

enum status db_fit_open(const char *path, int *fd, struct stat *st, struct error *err)
{
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0) {
		switch (errno) {
		case ENOENT:
		case ENOTDIR:
			return error_set(
			    err, ST_UNFIT,
			    "%s: no such file; give the path of a database",
			    quote(path).text);
		case EACCES:
		case EPERM:
			return error_set(err, ST_UNFIT,
					 "%s: no permission to read; " DB_RUN_AS_OWNER,
					 quote(path).text);
		default:
			error_set_errno(err, errno, "%s: cannot be opened",
					quote(path).text);
			return db_fit_error(err);
		}
	}
	if (fstat(*fd, st) != 0) {
		return error_set_errno(err, errno, "%s: cannot be examined",
				       quote(path).text);
	}
	if (S_ISDIR(st->st_mode)) {
		return error_set(err, ST_UNFIT,
				 "%s: is a directory; give the path of a database file",
				 quote(path).text);
	}
	if (!S_ISREG(st->st_mode)) {
		return error_set(
		    err, ST_UNFIT,
		    "%s: is not a regular file; give the path of a database file",
		    quote(path).text);
	}
	if (is_mount(*fd)) {
		return error_set(
		    err, ST_UNFIT,
		    "%s: is a mount point of its own, so that its -wal here is not the "
		    "one of the application; mount the folder that it is in instead",
		    quote(path).text);
	}
	if (st->st_size == 0) {
		return error_set(
		    err, ST_UNFIT,
		    "%s: is empty; let the application create its database "
		    "first, in WAL mode",
		    quote(path).text);
	}
	return ST_OK;
}

/* The 100 bytes that every database begins with; they do not change in WAL mode
 * without being in the file as well (but for counters). */
enum status db_fit_header(const char *path, int fd, const struct stat *st,
			  uint32_t *page_size, struct error *err)
{
	static const char magic[16] = "SQLite format 3";
	uint8_t bytes[DB_HEADER_SIZE] = {0};
	struct db_header header;
	ssize_t got = file_read_at(fd, bytes, sizeof bytes, 0);

	if (got < 0) {
		error_set_errno(err, errno, "%s: cannot be read", quote(path).text);
		return db_fit_error(err);
	}
	if ((size_t)got < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0) {
		return error_set(err, ST_UNFIT, DB_NO_DATABASE, quote(path).text);
	}
	if ((size_t)got < sizeof bytes) {
		return error_set(
		    err, ST_UNFIT,
		    "%s: is cut off within its header; restore it from a backup",
		    quote(path).text);
	}
	if (is_encrypted(bytes)) {
		return error_set(
		    err, ST_UNFIT,
		    "%s: is encrypted (only the first bytes of its header can be read, "
		    "as with SQLCipher's cipher_plaintext_header_size); rowtail "
		    "cannot read encrypted databases",
		    quote(path).text);
	}
	if (db_header_read(bytes, &header, err) != ST_OK) {
		(void)error_wrap(err, "%s: is corrupt, restore it from a backup",
				 quote(path).text);
		return err->status = ST_UNFIT;
	}
	if (header.write_format == 1 && header.read_format == 1) {
		return error_set(
		    err, ST_UNFIT,
		    "%s: is not in WAL mode; run PRAGMA journal_mode=WAL on it "
		    "once (sqlite3 %s 'PRAGMA journal_mode=WAL'), then start "
		    "rowtail again",
		    quote(path).text, quote(path).text);
	}
	if (header.write_format != 2 || header.read_format != 2) {
		return error_set(
		    err, ST_UNFIT,
		    "%s: has file format %u/%u, which this version does not know; "
		    "use a newer rowtail",
		    quote(path).text, header.write_format, header.read_format);
	}
	if (st->st_size < (off_t)header.page_size) {
		return error_set(
		    err, ST_UNFIT,
		    "%s: is cut off within its first page; restore it from a "
		    "backup",
		    quote(path).text);
	}
	*page_size = header.page_size;
	return ST_OK;
}

/* ---- what is beside it ---- */

/* "<real path><suffix>", or NULL without memory. */
static char *beside(const char *real, const char *suffix)
{
	size_t len = strlen(real);
	char *path = malloc(len + strlen(suffix) + 1);

	if (path) {
		memcpy(path, real, len);
		memcpy(path + len, suffix, strlen(suffix) + 1);
	}
	return path;
}

void db_paths_clear(struct db_paths *paths)
{
	free(paths->real);
	free(paths->wal);
	free(paths->shm);
	free(paths->folder);
}

enum status db_paths_init(const char *path, struct db_paths *paths, struct error *err)
{
	char *slash;
	int most;

	*paths = (struct db_paths){0};
	paths->real = realpath(path, NULL);
	if (!paths->real) {
		error_set_errno(err, errno, "%s: cannot be resolved", quote(path).text);
		return db_fit_error(err);
	}
	most = sqlite3_vfs_find(NULL)->mxPathname - (int)sizeof "-journal";
	if (strlen(paths->real) > (size_t)most) {
		return error_set(
		    err, ST_UNFIT,
		    "%s: its path has more than the %d bytes that SQLite can open; "
		    "use a shorter one",
		    quote(path).text, most);
	}
	paths->wal = beside(paths->real, "-wal");
	paths->shm = beside(paths->real, "-shm");
	paths->folder = beside(paths->real, "");
	if (!paths->wal || !paths->shm || !paths->folder) {
		return error_no_memory(err, "the names of the database");
	}
	slash = strrchr(paths->folder, '/');
	slash[slash == paths->folder] = '\0';
	return ST_OK;
}

/* True also for what is not there: -wal and -shm come and go with the application. */
static bool is_allowed(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0 || errno == ENOENT;
}

static bool exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

/* What we may do with the file, its -wal, its -shm and its folder. */
static bool is_degraded(const struct db_paths *paths)
{
	return !is_allowed(paths->real, R_OK | W_OK) ||
	       !is_allowed(paths->folder, W_OK | X_OK) ||
	       !is_allowed(paths->wal, R_OK | W_OK) ||
	       !is_allowed(paths->shm, R_OK | W_OK);
}

enum status db_fit_rights(const char *path, const struct db_paths *paths,
			  bool *degraded, struct error *err)
{
	const char *const files[] = {paths->wal, paths->shm};

	*degraded = is_degraded(paths);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		struct stat st;

		if (stat(files[i], &st) == 0 && !S_ISREG(st.st_mode)) {
			return error_set(err, ST_UNFIT,
					 "%s: %s is not a regular file, so that nobody "
					 "can open the database in WAL mode",
					 quote(path).text, quote(files[i]).text);
		}
		if (!is_allowed(files[i], R_OK)) {
			return error_set(
			    err, ST_UNFIT,
			    "%s: no permission to read %s; " DB_RUN_AS_OWNER,
			    quote(path).text, quote(files[i]).text);
		}
	}
	return ST_OK;
}

bool db_fit_must_not_be_first(const struct db_paths *paths, bool degraded)
{
	return degraded || !sqlite_guard_may_make(paths->real);
}

bool db_paths_are_beside(const struct db_paths *paths)
{
	return exists(paths->shm) && exists(paths->wal);
}

const char *db_fit_why_not_first(bool degraded)
{
	if (degraded) {
		return "may only read it, its -wal, its -shm or its folder";
	}
	return geteuid() == 0 ? "may not give files to its owner (CAP_CHOWN)"
			      : "runs as another user than its owner";
}

enum status db_fit_nobody(const char *path, bool degraded, struct error *err)
{
	return error_set(err, ST_UNFIT,
			 "%s: no application has it open, and rowtail cannot be the "
			 "first, as it %s; " DB_RUN_AS_OWNER,
			 quote(path).text, db_fit_why_not_first(degraded));
}

static bool has_journal(const char *path)
{
	struct stat st;
	char *journal = beside(path, "-journal");
	bool is_there = journal && stat(journal, &st) == 0 && st.st_size > 0;

	free(journal);
	return is_there;
}

/* What keeps us out; the text is for the case that it stays so. */
enum status db_fit_locked(const char *path, struct error *err)
{
	if (has_journal(path)) {
		return error_set(err, ST_RETRY,
				 "%s: has a rollback journal (-journal) of a "
				 "transaction that was not ended; open it with its "
				 "application, which rolls that back, then start "
				 "rowtail again",
				 quote(path).text);
	}
	return error_set(err, ST_RETRY,
			 "%s: another process has it locked exclusively "
			 "(locking_mode=EXCLUSIVE?); end that, then start rowtail "
			 "again",
			 quote(path).text);
}

/* As SQLite sees it: a journal that begins with something, and nobody is within the
 * transaction. */
static bool has_hot_journal(const char *real, int fd)
{
	char *name = beside(real, "-journal");
	int journal =
	    name ? open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : -1;
	uint8_t first = 0;
	bool is_hot = journal >= 0 && file_read_exactly(journal, &first, 1, 0) &&
		      first != 0 && !db_file_is_reserved(fd);

	if (journal >= 0) {
		(void)close(journal);
	}
	free(name);
	return is_hot;
}

bool db_fit_is_locked(const struct db_paths *paths, int fd)
{
	return db_file_is_exclusive(fd) || has_hot_journal(paths->real, fd);
}

/* ---- what is worth a warning ---- */

const char *db_fit_network(uint32_t type)
{
	static const struct {
		uint32_t type;
		const char *name;
	} all[] = {
	    {0x6969, "NFS"},        {0x517b, "SMB"},      {0xff534d42, "CIFS"},
	    {0xfe534d42, "SMB"},    {0x00c36400, "Ceph"}, {0x5346414f, "AFS"},
	    {0x0bd00bd0, "Lustre"}, {0x01161970, "GFS2"}, {0x7461636f, "OCFS2"},
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (all[i].type == type) {
			return all[i].name;
		}
	}
	return NULL;
}

static void warn_of_network(const char *path, int fd)
{
	struct statfs fs;
	const char *name = NULL;

	if (fstatfs(fd, &fs) == 0) {
		name =
		    db_fit_network((uint32_t)((unsigned long)fs.f_type & 0xffffffff));
	}
	if (name) {
		log_warn("%s: lies on a network file system (%s): WAL mode works there "
			 "only while all that use the database are on this machine; "
			 "keep it on a disk of the machine",
			 quote(path).text, name);
	}
}

static void warn_of_names(const char *path, int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_nlink > 1) {
		log_warn(
		    "%s: has %lu names (hard links): what an application commits "
		    "that opens it by another one goes into another WAL and is not "
		    "seen; give rowtail the name that the application uses",
		    quote(path).text, (unsigned long)st.st_nlink);
	}
}

void db_fit_warn(const char *path, int fd, bool degraded)
{
	warn_of_names(path, fd);
	warn_of_network(path, fd);
	if (degraded) {
		log_warn("%s: rowtail may only read it or its -wal, -shm or folder: no "
			 "checkpoints of its own, so the WAL may grow",
			 quote(path).text);
	}
}
