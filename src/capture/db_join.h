/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/db_join.h -- to come to a database without being in anybody's way.
 *
 * The first process that opens a database in WAL mode makes the wal-index anew, and
 * keeps all others out meanwhile: an application that comes just then, without a busy
 * timeout, is told SQLITE_BUSY. So before SQLite opens anything here, we take the two
 * shared locks that it would take, on the file and on -shm, and replace the old
 * contents of -shm, all within some microseconds in which nobody is on the way in:
 *
 *     shared lock on the file ─► somebody else has one? ─► he has -shm open, too:
 *       from here on nobody          │                      a shared lock there, and
 *       is the last to close,        │ nobody               that was all
 *       who removes -wal and -shm    ▼
 *                         -shm: under an exclusive lock its header becomes that of
 *                         an empty WAL, or unreadable (0) where the WAL is not; then
 *                         the shared lock
 *
 * A process that has its first lock and not the second is on the way in or out, and is
 * awaited for some milliseconds. One that has -shm mapped and no lock on it has lost
 * its lock (src/capture/db_users.h), and what it wrote there is left alone: SQLite
 * would cut the file under it.
 *
 * OWNERSHIP  The descriptor on -shm is the caller's, who closes it after the last
 *            connection: closing it drops SQLite's locks on -shm.
 * FORMAT     SQLite's os_unix.c, unixLock and unixLockSharedMemory.
 * THREADS    One at a time.
 * ERRORS     ST_RETRY: somebody is in the way, or -shm was just removed, or it is
 *            not there and must not be made (src/base/sqlite_guard.h). ST_IO: no
 *            descriptors, memory, locks or room on the disk; the text says which.
 */
#ifndef DB_JOIN_H
#define DB_JOIN_H

#include "src/base/status.h"

/* `path`: with links resolved. `*shm_fd`: to be closed also on failure; -1 with ST_OK:
 * we may not write it, and nothing but the file is locked. */
enum status db_join(const char *path, int db_fd, int *shm_fd,
		    struct error *err) MUST_CHECK;

/* Let go of the lock on the file, when no connection is open any more. */
void db_leave(int db_fd);

#endif
