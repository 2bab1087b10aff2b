/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/db_names.h -- are the files at the database's names still those that are
 * open?
 *
 * SQLite finds the database, its -wal and its -shm by name, once, and others find them
 * by the same names. When one of them is removed, replaced or cut, or a link leads
 * elsewhere, others write to files that we do not have open, and nothing tells us. So
 * the names are looked up again: device and inode are those that SQLite has open in
 * this process, and the files are as long as they have to be.
 *
 * OWNERSHIP  db_names_init fills, db_names_clear frees; paths are borrowed.
 * THREADS    One at a time.
 */
#ifndef DB_NAMES_H
#define DB_NAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "src/base/status.h"

struct file_id {
	dev_t device;
	ino_t inode;
};

struct db_names {
	const char *given;    /* as the user wrote it, links and all; borrowed */
	const char *path;     /* with links resolved; borrowed */
	const char *wal_path; /* borrowed */
	char *shm_path;
	struct file_id db;
	struct file_id wal;
	struct file_id shm;
	/* SQLite's own: for locks, never closed by us; -1: not known. */
	int db_fd; /* that may be written to */
	int shm_fd;
};

/* What is wrong with the names. */
enum name_fault {
	NAMES_RIGHT,
	NAMES_DB,   /* the database was replaced, or removed */
	NAMES_LINK, /* the path as it was given leads elsewhere */
	NAMES_WAL,  /* -wal was removed or replaced, */
	NAMES_SHM,  /* ... -shm was, */
	NAMES_CUT,  /* ... or -shm was cut */
};

/*
 * Note what is open now: `db_fd` and `wal_fd` are ours, what SQLite has open in this
 * process is found in /proc/self/fd. ST_RETRY: the names lead to other files already.
 * ST_NOMEM; ST_IO for want of a descriptor. Clear it in any case.
 */
enum status db_names_init(struct db_names *names, const char *given, const char *path,
			  const char *wal_path, int db_fd, int wal_fd,
			  struct error *err) MUST_CHECK;
void db_names_clear(struct db_names *names);

/* Look up the three names: three calls of stat. `*wal_bytes`: how long the WAL is. */
enum name_fault db_names_look(const struct db_names *names, int64_t *wal_bytes);

/* Look up the path as it was given. True: it leads to the database; or, with
 * `*is_gone`, nowhere: then the caller asks again, as a link is replaced in two steps.
 */
bool db_names_leads_here(const struct db_names *names, bool *is_gone);

/* The -shm that we have open is at its name. */
bool db_names_has_shm(const struct db_names *names);

/* What messages say of it, behind the name of the database. */
const char *name_fault_text(enum name_fault fault);

#endif
