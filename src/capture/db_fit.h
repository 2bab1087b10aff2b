/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/db_fit.h -- can this database be followed? What can be told of its files
 * before anybody opens them with SQLite.
 *
 *     db_fit_open ─► db_fit_header ─► db_paths_init ─► db_fit_rights
 *
 * Files are looked at, and the database is read; nothing is written, made or locked.
 *
 * OWNERSHIP  The descriptor is the caller's: see src/capture/db_open.h for when it may
 *            be closed. db_paths_init / db_paths_clear.
 * THREADS    No shared state.
 * ERRORS     ST_UNFIT: one line that names the file and says what to do. ST_IO,
 *            ST_NOMEM.
 */
#ifndef DB_FIT_H
#define DB_FIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "src/base/clock.h"
#include "src/base/status.h"

#define DB_LOCKED_TRIES_NS (4 * NS_PER_S) /* for one that is locked exclusively */

#define DB_RUN_AS_OWNER "run rowtail as the user that owns it, or as root"
#define DB_NO_DATABASE                                                      \
	"%s: is not a SQLite database, or it is encrypted (rowtail cannot " \
	"read encrypted databases)"

/* Open it to be read: it is there, a file with something in it, and no mount point.
 * `*fd` is -1, or to be closed also after an error. */
enum status db_fit_open(const char *path, int *fd, struct stat *st,
			struct error *err) MUST_CHECK;

/* Its header: that of a database in WAL mode. */
enum status db_fit_header(const char *path, int fd, const struct stat *st,
			  uint32_t *page_size, struct error *err) MUST_CHECK;

/* With links resolved. */
struct db_paths {
	char *real;
	char *wal;
	char *shm;
	char *folder;
};

enum status db_paths_init(const char *path, struct db_paths *paths,
			  struct error *err) MUST_CHECK;
void db_paths_clear(struct db_paths *paths); /* also after an error */
/* -wal and -shm are there. */
bool db_paths_are_beside(const struct db_paths *paths);

/* `*degraded`: something may only be read, so there will be no checkpoints of ours. */
enum status db_fit_rights(const char *path, const struct db_paths *paths,
			  bool *degraded, struct error *err) MUST_CHECK;

/*
 * With another uid than the application's, and without a setgid folder, -wal and -shm
 * made by us would lock the application out (src/base/sqlite_guard.h keeps SQLite from
 * it); and who may only read cannot make them.
 */
bool db_fit_must_not_be_first(const struct db_paths *paths, bool degraded);
/* Behind "rowtail": why that is so. */
const char *db_fit_why_not_first(bool degraded);

/* ST_UNFIT: nobody has it open, and that would have to be. */
enum status db_fit_nobody(const char *path, bool degraded, struct error *err);

/* Somebody keeps us out, or a transaction that was interrupted does. Cheap. */
bool db_fit_is_locked(const struct db_paths *paths, int fd);
/* ST_RETRY: what keeps us out; the text is for the case that it stays so. */
enum status db_fit_locked(const char *path, struct error *err);

/* Make the error one of the database (ST_UNFIT), unless something else is lacking. */
enum status db_fit_error(struct error *err);

/* Of one that can be followed: what may go wrong is said in the log. */
void db_fit_warn(const char *path, int fd, bool degraded);

/* A network file system of that f_type (statfs); NULL: it is none. */
const char *db_fit_network(uint32_t type);

#endif
