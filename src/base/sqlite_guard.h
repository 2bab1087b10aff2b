/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/sqlite_guard.h -- what SQLite must never do to the database in this process.
 *
 * SQLite does some things by itself when it opens a database first or closes it last,
 * or finds files beside it that it takes for leftovers. Each is right where all who use
 * the database keep their locks. But an application can lose its locks without knowing
 * it (src/capture/db_users.h), and another one may come at that very moment without a
 * busy timeout. So SQLite's system calls are intercepted in this process:
 *
 * - unlink of a -wal, -shm or -journal: EPERM.
 * - fcntl for an exclusive lock on a database file (pending, reserved, shared): EAGAIN.
 *   On the byte of -shm that says it is open: a shared one, as src/capture/db_join.h
 *   has done what the exclusive one is for. On the recovery byte: none, as the write
 *   lock excludes other recoveries; a reader that comes meanwhile tries again after
 *   some microseconds, and is not told SQLITE_BUSY_RECOVERY.
 * - fcntl for the write lock of -shm, exclusive or shared, which SQLite wants where it
 *   cannot read the header of the wal-index: EAGAIN, until that has been the same for
 *   5 ms. Somebody is writing the header under that lock; by the time that we got it he
 *   would be done, and his next transaction would be told SQLITE_BUSY. SQLite tries
 *   again by itself. So it cannot write to the database here either.
 * - ftruncate of -shm to 3 bytes, for want of that lock: nothing is done.
 * - open that would make a -wal or -shm which locks the application out: ENOENT.
 *
 * All of them hold for every database that SQLite opens here by its own VFS; temporary
 * files and reads are not touched.
 *
 * FORMAT   SQLite's os_unix.c: aSyscall, unixLockSharedMemory, unixLock; wal.c,
 *          walIndexReadHdr, walIndexRecover.
 * THREADS  Once, before the first connection; a second call does no harm.
 * ERRORS   ST_IO where SQLite is built so that its calls cannot be intercepted.
 */
#ifndef SQLITE_GUARD_H
#define SQLITE_GUARD_H

#include <stdbool.h>

#include "src/base/status.h"

enum status sqlite_guard(struct error *err) MUST_CHECK;
/* Until the next sqlite_guard: for databases of our own, while none of others is open.
 */
void sqlite_guard_lift(void);

/* In this thread the write lock of -shm is asked for on purpose. */
void sqlite_guard_let_write(bool may);

/*
 * Whether a -wal or -shm that we made beside the database at `path` could be used by
 * its application: we are it, or root that may give files away (SQLite gives them to
 * the owner then), or the folder gives them its group and we may write the database.
 */
bool sqlite_guard_may_make(const char *path);

#endif
