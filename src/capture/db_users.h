/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/db_users.h -- who else has the database open.
 *
 * Every SQLite that has read a database in WAL mode holds a shared lock on the file
 * and one on -shm. An application that opens and closes one of the two by other means
 * (a backup, a hash, a copy made in its own process) has cancelled its lock there
 * without knowing, and goes on. So a lock proves that somebody is there, but no lock
 * proves nothing; a process that has -shm mapped is there as well. An application in
 * another PID namespace that has lost both locks shows none of the three.
 *
 * Where it cannot be told, somebody counts as being there.
 *
 * OWNERSHIP  Any descriptors on the files; borrowed.
 * THREADS    Any.
 */
#ifndef DB_USERS_H
#define DB_USERS_H

#include <stdbool.h>

/* Another process holds a lock on the database file. Cheap. */
bool db_file_is_used(int db_fd);

/* Another process keeps all others out of the database file. Cheap. */
bool db_file_is_exclusive(int db_fd);

/* Another process is within a transaction with a rollback journal. Cheap. */
bool db_file_is_reserved(int db_fd);

/* Another process has this -shm open, by whatever name. True for -1. Cheap. */
bool db_shm_is_used(int shm_fd);

/* Another process is within a transaction that writes, if it has its locks. True for
 * -1. Cheap. */
bool db_is_written(int shm_fd);

enum db_mapping {
	MAPPED_BY_NOBODY,
	MAPPED_BY_OTHERS,
	MAPPED_UNKNOWN, /* errno says why: no /proc, no descriptor, no memory */
};

/*
 * Whether a process that we may look at, but this one, has this -shm mapped. Reads
 * /proc/PID/maps of all processes: some milliseconds.
 */
enum db_mapping db_shm_mapping(int shm_fd);

/* As far as can be seen, no other process has the database open: no locks on both
 * files, no mapping of -shm. Takes as long as that. */
bool db_is_alone(int db_fd, int shm_fd);

#endif
