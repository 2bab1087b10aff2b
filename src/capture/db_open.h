/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/db_open.h -- the connections to the followed database, and whether it is
 * fit.
 *
 * Four connections and three descriptors of our own:
 *
 *   reader[0], reader[1]  take turns holding the WAL: each has one statement,
 *                         `PRAGMA schema_version`, that keeps a read transaction
 *                         open from its first step to its reset (no schema is
 *                         parsed)
 *   checkpointer          runs SQLite's checkpoints, synchronous=FULL; through a VFS
 *                         that can give its syncs a deadline
 *   locker                never in a transaction; raw locks of the wal-index
 *   db_fd                 the database file: opened before the first connection,
 *                         closed after the last (closing it drops SQLite's locks)
 *   wal_fd                the WAL; carries no locks
 *   shm_fd                -shm, to lock it before SQLite does (src/capture/db_join.h);
 *                         closed after the last connection, too
 *
 * All run with SQLITE_DBCONFIG_WRITABLE_SCHEMA (never DEFENSIVE): a schema that this
 * SQLite cannot parse must not stop it. None ever writes a page of its own making,
 * none waits (no busy timeout), none checkpoints by itself, not even when it is the
 * last to close: SQLite would do so under an exclusive lock, at which applications that
 * come just then stumble, and would delete -wal and -shm by their names, which are
 * those of an application that has lost its locks (src/capture/db_users.h) or made new
 * ones.
 *
 * OWNERSHIP  db_open fills, db_close frees; storage is the caller's.
 * THREADS    One at a time.
 * ERRORS     ST_UNFIT (exit 3): one line that names the file and says what to do.
 *            ST_STOPPED, ST_IO, ST_NOMEM.
 */
#ifndef DB_OPEN_H
#define DB_OPEN_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "src/base/status.h"
#include "src/capture/checkpoint_vfs.h"
#include "src/capture/db_names.h"
#include "src/capture/wal_index.h"

struct db_handles {
	const char *path;     /* with links resolved; SQLite's, borrowed */
	const char *wal_path; /* borrowed likewise */
	uint32_t page_size;   /* bytes */
	bool degraded;        /* readable only: no checkpoints, no locks of ours */
	int db_fd;
	int wal_fd;
	int shm_fd; /* of src/capture/db_join.h; -1: we may not write it */
	sqlite3 *reader[2];
	sqlite3_stmt *read[2];
	struct checkpoint_vfs *vfs; /* of the checkpointer */
	sqlite3 *checkpointer;
	sqlite3_stmt *probe; /* the same statement on `checkpointer` */
	sqlite3 *locker;
	struct wal_index index; /* through `locker` */
	struct db_names names;  /* where others find the files */
};

/* How long db_open may wait. */
struct db_patience {
	/* Turns true when waiting should end; NULL: any signal that is handled ends it.
	 */
	const _Atomic int *stop;
	bool is_short; /* for an application to be there: 4 s, then ST_UNFIT */
};

/*
 * Check `path` and open everything; it is borrowed until db_close. A database that
 * another process has locked exclusively is tried for 4 s; where rowtail must not be
 * the first to open it, it waits as long as `patience` allows. It says so on stderr in
 * both cases. Nothing is left open on failure.
 */
enum status db_open(const char *path, const struct db_patience *patience,
		    struct db_handles *out, struct error *err) MUST_CHECK;

/* Close in the order that keeps SQLite's locks right. Takes handles that are all zero,
 * but the descriptors must be -1 where they are not open. */
void db_close(struct db_handles *db);

#endif
