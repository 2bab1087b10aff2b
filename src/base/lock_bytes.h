/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/lock_bytes.h -- which bytes of its files SQLite locks, and before them in
 * -shm the header of the wal-index.
 *
 * FORMAT  os_unix.c. Locks are fcntl's, of the process: closing any descriptor of a
 *         file drops all that the process has on it.
 *
 *     the database file               -shm
 *     0x40000000 +-----------+        120 +-----------+
 *                | pending   |            | 8 bytes   |  see src/capture/wal_index.h
 *               1+-----------+        128 +-----------+
 *                | reserved  |            | open      |  shared by all who have it
 *               2+-----------+        129 +-----------+  open; exclusive: the first
 *                | shared,   |                           one makes it anew
 *                | 510 bytes |
 *             512+-----------+
 */
#ifndef LOCK_BYTES_H
#define LOCK_BYTES_H

#define LOCK_DB_START    0x40000000
#define LOCK_DB_LEN      512
#define LOCK_DB_PENDING  LOCK_DB_START
#define LOCK_DB_RESERVED (LOCK_DB_START + 1)
#define LOCK_DB_SHARED   (LOCK_DB_START + 2)

#define LOCK_DB_SHARED_LEN 510

#define LOCK_SHM_START   120
#define LOCK_SHM_LEN     8
#define LOCK_SHM_WRITE   120
#define LOCK_SHM_RECOVER 122
#define LOCK_SHM_OPEN    128

#define WAL_INDEX_HEADER_BYTES 48 /* -shm begins with two copies of it */

#endif
