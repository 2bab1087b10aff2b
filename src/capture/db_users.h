/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/db_users.h -- who else has the database open.
 *
 * Every SQLite that has read a database in WAL mode holds a shared lock on the file
 * and one on -shm. An application that opens and closes one of the two by other means
 * (a backup, a hash, a copy made in its own process) has cancelled its lock there
 * without knowing, and goes on. So a lock proves that somebody is there, and no lock
 * proves nothing; who has -shm mapped is there as well. Of those three an application
 * in another PID namespace that has lost both locks shows none.
 *
 * THREADS  Any.
 */
#ifndef DB_USERS_H
#define DB_USERS_H

#include <stdbool.h>

#include "src/capture/db_names.h"

/* Another process holds a lock on the database file, of which `fd` is any descriptor.
 * Cheap. */
bool db_file_is_used(int fd);

/*
 * A process that we may look at, but this one, has the -shm mapped of which `fd` is a
 * descriptor. Reads /proc/PID/maps of all processes: some milliseconds.
 */
bool db_shm_is_mapped(int fd);

/* As far as can be seen, no other process has the database open: no locks on both
 * files, no mapping of -shm. `db_fd` and `shm_fd` are any
 * descriptors on the two; -1 of -shm: it cannot be seen. Takes as long as that. */
bool db_is_alone(int db_fd, int shm_fd, const struct db_names *names);

#endif
