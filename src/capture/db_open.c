/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/db_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/sqlite_guard.h"
#include "src/capture/db_fit.h"
#include "src/capture/db_join.h"

#define SAY_NS        (300 * NS_PER_MS) /* of them go by without a word */
#define FAST_RETRY_NS (2 * NS_PER_MS)   /* in that time, and later: */
#define RETRY_NS      (20 * NS_PER_MS)
#define WAIT_NS       (100 * NS_PER_MS)

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

/* Waiting for an application to open the database. */
struct waiting {
	const struct db_patience *patience;
	int64_t until;
	bool was_said;
};

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
		return db_fit_nobody(path, degraded, err);
	}
	if (!waiting->was_said) {
		log_warn("%s: waiting until an application has it open (rowtail %s)",
			 quote(path).text, db_fit_why_not_first(degraded));
		waiting->was_said = true;
	}
	return ST_OK;
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
		return db_fit_locked(path, err);
	case SQLITE_NOMEM:
		return error_set(err, ST_NOMEM, "%s: %s", quote(path).text,
				 error_reason(ENOMEM).text);
	case SQLITE_NOTADB:
		return error_set(err, ST_UNFIT, DB_NO_DATABASE, quote(path).text);
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
			return db_fit_locked(path, err);
		}
		if (is_hard) {
			error_set_errno(err, reason,
					"%s: it, its -wal or its -shm cannot be opened",
					quote(path).text);
			return db_fit_error(err);
		}
		return error_set(err, ST_RETRY,
				 "%s: no permission for it, its -wal or its -shm (%s); "
				 "" DB_RUN_AS_OWNER,
				 quote(path).text, sqlite3_errstr(rc));
	default:
		if (is_hard && reason != EROFS) {
			error_set_errno(err, reason, "%s: SQLite cannot read it (%s)",
					quote(path).text, sqlite3_errstr(rc));
			return db_fit_error(err);
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
		return db_fit_locked(real, err);
	}
	if (status != ST_OK) {
		return db_fit_error(err);
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
		return db_fit_error(err);
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
static enum status open_patiently(const char *path, const struct db_paths *paths,
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
		if (must_wait && (status == ST_END || (status == ST_RETRY &&
						       !db_paths_are_beside(paths)))) {
			return ST_END;
		}
		if (status != ST_RETRY) {
			return status;
		}
		tried = clock_mono_ns() - start;
		if (tried >= DB_LOCKED_TRIES_NS) {
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

static enum status open_with_rights(const char *path, const struct db_paths *paths,
				    const struct db_patience *patience,
				    struct db_handles *db, struct error *err)
{
	struct waiting waiting = {.patience = patience,
				  .until = clock_mono_ns() + DB_LOCKED_TRIES_NS};

	for (;;) {
		enum status status = db_fit_rights(path, paths, &db->degraded, err);
		bool first_is_wrong = db_fit_must_not_be_first(paths, db->degraded);

		if (status == ST_OK && first_is_wrong && !db_paths_are_beside(paths)) {
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
	struct db_paths paths = {0};
	struct stat st;
	enum status status;

	*out = (struct db_handles){.db_fd = -1, .wal_fd = -1, .shm_fd = -1};
	status = sqlite_guard(err);
	if (status == ST_OK) {
		status = db_fit_open(path, &out->db_fd, &st, err);
	}
	if (status == ST_OK) {
		status = db_fit_header(path, out->db_fd, &st, &out->page_size, err);
	}
	if (status == ST_OK) {
		status = db_paths_init(path, &paths, err);
	}
	if (status == ST_OK) {
		status = open_with_rights(path, &paths, patience, out, err);
	}
	db_paths_clear(&paths);
	if (status != ST_OK) {
		db_close(out);
	}
	return status;
}

enum status db_open(const char *path, const struct db_patience *patience,
		    struct db_handles *out, struct error *err)
{
	int64_t until = clock_mono_ns() + DB_LOCKED_TRIES_NS;
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
		db_fit_warn(path, out->db_fd, out->degraded);
	}
	return status;
}
