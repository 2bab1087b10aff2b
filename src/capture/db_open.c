/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/db_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/base/bytes.h"
#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/sqlite_guard.h"
#include "src/capture/db_join.h"

#define LOCKED_TRIES_NS (4 * NS_PER_S)
#define SAY_NS          (300 * NS_PER_MS) /* of them go by without a word */
#define FAST_RETRY_NS   (2 * NS_PER_MS)   /* in that time, and later: */
#define RETRY_NS        (20 * NS_PER_MS)
#define WAIT_NS         (100 * NS_PER_MS)

#define RUN_AS_OWNER "run rowtail as the user that owns it, or as root"
#define NO_DATABASE                                                         \
	"%s: is not a SQLite database, or it is encrypted (rowtail cannot " \
	"read encrypted databases)"

/* Of the header, see btree/db_header.h. */
#define AT_SCHEMA_FORMAT  44
#define AT_TEXT_ENCODING  56
#define AT_EXPANSION      72 /* zeros, up to */
#define EXPANSION_END     92
#define SCHEMA_FORMAT_MAX 4
#define TEXT_ENCODING_MAX 3

/* Make the error one of the database (ST_UNFIT), unless something else is lacking. */
static enum status of_the_database(struct error *err)
{
	if (!errno_is_limit(err->sys_errno)) {
		err->status = ST_UNFIT;
	}
	return err->status;
}

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

/* Sleep; ST_STOPPED when asked to stop, or, where nobody can ask, by a signal. */
static enum status wait_a_while(int64_t ns, const _Atomic int *stop, struct error *err)
{
	struct timespec t = clock_timespec(ns);
	bool interrupted = nanosleep(&t, NULL) != 0;

	if (stop ? *stop != 0 : interrupted) {
		return error_set(err, ST_STOPPED,
				 "stopped while waiting for the database");
	}
	return ST_OK;
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

static enum status open_file(const char *path, struct db_handles *db, struct stat *st,
			     struct error *err)
{
	db->db_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (db->db_fd < 0) {
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
					 "%s: no permission to read; " RUN_AS_OWNER,
					 quote(path).text);
		default:
			error_set_errno(err, errno, "%s: cannot be opened",
					quote(path).text);
			return of_the_database(err);
		}
	}
	if (fstat(db->db_fd, st) != 0) {
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
	if (is_mount(db->db_fd)) {
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
static enum status check_header(const char *path, struct db_handles *db,
				const struct stat *st, struct error *err)
{
	static const char magic[16] = "SQLite format 3";
	uint8_t bytes[DB_HEADER_SIZE] = {0};
	struct db_header header;
	ssize_t got = file_read_at(db->db_fd, bytes, sizeof bytes, 0);

	if (got < 0) {
		error_set_errno(err, errno, "%s: cannot be read", quote(path).text);
		return of_the_database(err);
	}
	if ((size_t)got < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0) {
		return error_set(err, ST_UNFIT, NO_DATABASE, quote(path).text);
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
	db->page_size = header.page_size;
	return ST_OK;
}

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

struct beside_paths {
	char *real;
	char *wal;
	char *shm;
	char *folder;
};

static void beside_clear(struct beside_paths *paths)
{
	free(paths->real);
	free(paths->wal);
	free(paths->shm);
	free(paths->folder);
}

static enum status beside_init(const char *path, struct beside_paths *paths,
			       struct error *err)
{
	char *slash;
	int most;

	*paths = (struct beside_paths){0};
	paths->real = realpath(path, NULL);
	if (!paths->real) {
		error_set_errno(err, errno, "%s: cannot be resolved", quote(path).text);
		return of_the_database(err);
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
static enum status check_rights(const char *path, const struct beside_paths *paths,
				bool *degraded, struct error *err)
{
	const char *const files[] = {paths->wal, paths->shm};

	*degraded = !is_allowed(paths->real, R_OK | W_OK) ||
		    !is_allowed(paths->folder, W_OK | X_OK);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		if (!is_allowed(files[i], R_OK)) {
			return error_set(err, ST_UNFIT,
					 "%s: no permission to read %s; " RUN_AS_OWNER,
					 quote(path).text, quote(files[i]).text);
		}
		*degraded = *degraded || !is_allowed(files[i], R_OK | W_OK);
	}
	return ST_OK;
}

/*
 * With another uid than the application's, and without a setgid folder, -wal and -shm
 * made by us would lock the application out (src/base/sqlite_guard.h keeps SQLite from
 * it); and who may only read cannot make them.
 */
static bool must_not_be_first(const struct beside_paths *paths, bool degraded)
{
	return degraded || !sqlite_guard_may_make(paths->real);
}

static bool are_beside(const struct beside_paths *paths)
{
	return exists(paths->shm) && exists(paths->wal);
}

/* Waiting for an application to open the database. */
struct waiting {
	const struct db_patience *patience;
	int64_t until;
	bool was_said;
};

static const char *why_not_first(bool degraded)
{
	if (degraded) {
		return "may only read it, its -wal, its -shm or its folder";
	}
	return geteuid() == 0 ? "may not give files to its owner (CAP_CHOWN)"
			      : "runs as another user than its owner";
}

/* One step of that wait. ST_UNFIT: it was long enough. */
static enum status wait_for_opener(const char *path, bool degraded,
				   struct waiting *waiting, struct error *err)
{
	enum status status =
	    wait_a_while(waiting->was_said ? WAIT_NS : 0, waiting->patience->stop, err);

	if (status != ST_OK) {
		return status;
	}
	if (waiting->patience->is_short && clock_mono_ns() >= waiting->until) {
		return error_set(
		    err, ST_UNFIT,
		    "%s: no application has it open, and rowtail cannot be the "
		    "first, as it %s; " RUN_AS_OWNER,
		    quote(path).text, why_not_first(degraded));
	}
	if (!waiting->was_said) {
		log_warn("%s: waiting until an application has it open (rowtail %s)",
			 quote(path).text, why_not_first(degraded));
		waiting->was_said = true;
	}
	return ST_OK;
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
static enum status locked_error(const char *path, struct error *err)
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

/*
 * ST_RETRY: it may pass, as the files beside the database come and go with those who
 * use it, between a look at them and the next step.
 */
static enum status sqlite_error(const char *path, sqlite3 *db, int rc,
				struct error *err)
{
	int reason = db ? sqlite3_system_errno(db) : 0;
	bool is_hard = errno_is_limit(reason) || reason == EIO || reason == EROFS;

	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_PROTOCOL:
		return locked_error(path, err);
	case SQLITE_NOMEM:
		return error_set(err, ST_NOMEM, "%s: %s", quote(path).text,
				 error_reason(ENOMEM).text);
	case SQLITE_NOTADB:
		return error_set(err, ST_UNFIT, NO_DATABASE, quote(path).text);
	case SQLITE_CORRUPT:
		return error_set(err, ST_UNFIT,
				 "%s: is corrupt at its start, or encrypted; if it is "
				 "not encrypted, restore it from a backup",
				 quote(path).text);
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		if (rc == SQLITE_READONLY_ROLLBACK) {
			return locked_error(path, err);
		}
		if (is_hard) {
			error_set_errno(err, reason,
					"%s: it, its -wal or its -shm cannot be opened",
					quote(path).text);
			return of_the_database(err);
		}
		return error_set(err, ST_RETRY,
				 "%s: no permission for it, its -wal or its -shm (%s); "
				 "" RUN_AS_OWNER,
				 quote(path).text, sqlite3_errstr(rc));
	default:
		if (is_hard && reason != EROFS) {
			error_set_errno(err, reason, "%s: SQLite cannot read it (%s)",
					quote(path).text, sqlite3_errstr(rc));
			return of_the_database(err);
		}
		return error_set(err, (rc & 0xff) == SQLITE_IOERR ? ST_RETRY : ST_UNFIT,
				 "%s: SQLite cannot read it: %s", quote(path).text,
				 db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
	}
}

static enum status open_connection(const char *path, bool degraded, const char *vfs,
				   sqlite3 **db, sqlite3_stmt **read, struct error *err)
{
	int flags = (degraded ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
		    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(path, db, flags, vfs);

	if (rc == SQLITE_OK) {
		(void)sqlite3_db_config(*db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, NULL);
		(void)sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		(void)sqlite3_wal_autocheckpoint(*db, 0);
		(void)sqlite3_busy_timeout(*db, 0);
		rc = sqlite3_prepare_v3(*db, "PRAGMA schema_version", -1,
					SQLITE_PREPARE_PERSISTENT, read, NULL);
	}
	return rc == SQLITE_OK ? ST_OK : sqlite_error(path, *db, rc, err);
}

/* One read, so that the connection has the WAL and the wal-index open. */
static enum status read_once(const char *path, sqlite3 *db, sqlite3_stmt *read,
			     struct error *err)
{
	int rc = sqlite3_step(read);
	enum status status = rc == SQLITE_ROW ? ST_OK : sqlite_error(path, db, rc, err);

	(void)sqlite3_reset(read);
	return status;
}

static enum status open_checkpointer(const char *real, struct db_handles *db,
				     struct error *err)
{
	enum status status = checkpoint_vfs_open(&db->vfs, err);

	if (status == ST_OK) {
		status = open_connection(real, false, checkpoint_vfs_name(db->vfs),
					 &db->checkpointer, &db->probe, err);
	}
	if (status == ST_OK) {
		status = read_once(real, db->checkpointer, db->probe, err);
	}
	if (status == ST_OK) {
		(void)sqlite3_exec(db->checkpointer, "PRAGMA synchronous=FULL", NULL,
				   NULL, NULL);
	}
	return status;
}

static enum status open_all(const char *real, struct db_handles *db, struct error *err)
{
	sqlite3_stmt *locker_read = NULL;
	enum status status = db_join(real, db->db_fd, &db->shm_fd, err);

	if (status == ST_RETRY) {
		return locked_error(real, err);
	}
	if (status != ST_OK) {
		return of_the_database(err);
	}
	for (int i = 0; i < 2 && status == ST_OK; i++) {
		status = open_connection(real, db->degraded, NULL, &db->reader[i],
					 &db->read[i], err);
		if (status == ST_OK) {
			status = read_once(real, db->reader[i], db->read[i], err);
		}
	}
	if (status == ST_OK) {
		status = open_connection(real, db->degraded, NULL, &db->locker,
					 &locker_read, err);
	}
	if (status == ST_OK) {
		status = read_once(real, db->locker, locker_read, err);
	}
	(void)sqlite3_finalize(locker_read);
	if (status == ST_OK) {
		status = wal_index_init(&db->index, db->locker, err);
	}
	if (status == ST_OK && !wal_index_is_mapped(&db->index)) {
		/* Who may only read -shm does not get it while it is nobody's. */
		return error_set(err, ST_END, "nobody has it open");
	}
	return status == ST_OK && !db->degraded ? open_checkpointer(real, db, err)
						: status;
}

static void close_connections(struct db_handles *db)
{
	for (int i = 0; i < 2; i++) {
		(void)sqlite3_finalize(db->read[i]);
		(void)sqlite3_close(db->reader[i]);
		db->read[i] = NULL;
		db->reader[i] = NULL;
	}
	(void)sqlite3_close(db->locker);
	db->locker = NULL;
	(void)sqlite3_finalize(db->probe);
	(void)sqlite3_close(db->checkpointer);
	db->probe = NULL;
	db->checkpointer = NULL;
	checkpoint_vfs_close(db->vfs); /* waits for a sync of the descriptors */
	db->vfs = NULL;
	if (db->wal_fd >= 0) {
		(void)close(db->wal_fd);
		db->wal_fd = -1;
	}
	db_names_clear(&db->names);
	if (db->shm_fd >= 0) {
		(void)close(db->shm_fd);
		db->shm_fd = -1;
	}
	if (db->db_fd >= 0) {
		db_leave(db->db_fd);
	}
}

void db_close(struct db_handles *db)
{
	close_connections(db);
	if (db->db_fd >= 0) {
		(void)close(db->db_fd);
		db->db_fd = -1;
	}
}

static enum status open_wal(const char *path, struct db_handles *db, struct error *err)
{
	db->path = sqlite3_db_filename(db->reader[0], "main");
	db->wal_path = sqlite3_filename_wal(db->path);
	db->wal_fd = open(db->wal_path, O_RDONLY | O_CLOEXEC);
	if (db->wal_fd < 0 && errno == ENOENT) {
		return error_set(err, ST_RETRY, "%s was just removed",
				 quote(db->wal_path).text);
	}
	if (db->wal_fd < 0) {
		error_set_errno(err, errno, "%s: cannot be opened",
				quote(db->wal_path).text);
		return of_the_database(err);
	}
	if (db->vfs) {
		checkpoint_vfs_use(db->vfs, db->db_fd, db->wal_fd);
	}
	return db_names_init(&db->names, path, db->path, db->wal_path, db->db_fd,
			     db->wal_fd, err);
}

/*
 * The connections, trying for 4 s while another process keeps everybody out, or what is
 * beside the file changes. ST_END: nobody is there, and somebody must be (`must_wait`).
 * ST_RETRY: the files were replaced meanwhile.
 */
static enum status open_patiently(const char *path, const struct beside_paths *paths,
				  bool must_wait, const _Atomic int *stop,
				  struct db_handles *db, struct error *err)
{
	int64_t start = clock_mono_ns();
	bool said = false;

	for (;;) {
		enum status status = open_all(paths->real, db, err);
		int64_t tried;

		if (status == ST_OK) {
			return open_wal(path, db, err);
		}
		close_connections(db);
		if (must_wait &&
		    (status == ST_END || (status == ST_RETRY && !are_beside(paths)))) {
			return ST_END;
		}
		if (status != ST_RETRY) {
			return status;
		}
		tried = clock_mono_ns() - start;
		if (tried >= LOCKED_TRIES_NS) {
			return err->status = ST_UNFIT;
		}
		if (tried >= SAY_NS && !said) {
			log_warn("%s; trying for 4 s", err->text);
			said = true;
		}
		status =
		    wait_a_while(tried < SAY_NS ? FAST_RETRY_NS : RETRY_NS, stop, err);
		if (status != ST_OK) {
			return status;
		}
	}
}

static enum status open_with_rights(const char *path, const struct beside_paths *paths,
				    const struct db_patience *patience,
				    struct db_handles *db, struct error *err)
{
	struct waiting waiting = {.patience = patience,
				  .until = clock_mono_ns() + LOCKED_TRIES_NS};

	for (;;) {
		enum status status = check_rights(path, paths, &db->degraded, err);
		bool first_is_wrong = must_not_be_first(paths, db->degraded);

		if (status == ST_OK && first_is_wrong && !are_beside(paths)) {
			status = ST_END;
		}
		if (status == ST_OK) {
			status = open_patiently(path, paths, first_is_wrong,
						patience->stop, db, err);
		}
		if (status != ST_END) {
			return status;
		}
		status = wait_for_opener(path, db->degraded, &waiting, err);
		if (status != ST_OK) {
			return status;
		}
	}
}

static enum status open_once(const char *path, const struct db_patience *patience,
			     struct db_handles *out, struct error *err)
{
	struct beside_paths paths = {0};
	struct stat st;
	enum status status;

	*out = (struct db_handles){.db_fd = -1, .wal_fd = -1, .shm_fd = -1};
	status = sqlite_guard(err);
	if (status == ST_OK) {
		status = open_file(path, out, &st, err);
	}
	if (status == ST_OK) {
		status = check_header(path, out, &st, err);
	}
	if (status == ST_OK) {
		status = beside_init(path, &paths, err);
	}
	if (status == ST_OK) {
		status = open_with_rights(path, &paths, patience, out, err);
	}
	beside_clear(&paths);
	if (status != ST_OK) {
		db_close(out);
	}
	return status;
}

static void say_names(const char *path, const struct db_handles *db)
{
	struct stat st;

	if (fstat(db->db_fd, &st) == 0 && st.st_nlink > 1) {
		log_warn(
		    "%s: has %lu names (hard links): what an application commits "
		    "that opens it by another one goes into another WAL and is not "
		    "seen; give rowtail the name that the application uses",
		    quote(path).text, (unsigned long)st.st_nlink);
	}
}

enum status db_open(const char *path, const struct db_patience *patience,
		    struct db_handles *out, struct error *err)
{
	int64_t until = clock_mono_ns() + LOCKED_TRIES_NS;
	enum status status = open_once(path, patience, out, err);

	/* Its files were removed or replaced just then, as when an application ends. */
	while (status == ST_RETRY && clock_mono_ns() < until) {
		status = wait_a_while(RETRY_NS, patience->stop, err);
		if (status == ST_OK) {
			status = open_once(path, patience, out, err);
		}
	}
	if (status == ST_RETRY) {
		return err->status = ST_UNFIT;
	}
	if (status == ST_OK) {
		say_names(path, out);
	}
	if (status == ST_OK && out->degraded) {
		log_warn("%s: rowtail may only read it or its -wal, -shm or folder: no "
			 "checkpoints of its own, so the WAL may grow",
			 quote(path).text);
	}
	return status;
}
