/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/capture_rig.h -- a capture, a replica that follows it, and applications.
 *
 * The replica is an array of pages. Before a transaction is applied to it, every page
 * that the transaction touches or cuts off is looked up as the old view would (version
 * in the spool, pre-image, database file, pre-image again) and compared.
 *
 * Applications are processes of their own (a fork would share SQLite's locks): the test
 * program itself, started again with --child. Its main begins with
 *
 *     if (rig_is_child(argc, argv)) {
 *             return rig_child(argc, argv);
 *     }
 *
 * Whatever fails here fails the test.
 */
#ifndef TESTS_LIB_CAPTURE_RIG_H
#define TESTS_LIB_CAPTURE_RIG_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "src/capture/capture.h"

struct rig_folder {
	char folder[256];
	char path[300]; /* of the database */
	char wal[310];
};

/* A folder with a database in WAL mode, some tables in it, and nobody who has it open.
 */
void rig_folder_init(struct rig_folder *f, int page_size);
void rig_folder_clear(struct rig_folder *f); /* removes it */

int64_t rig_file_size(const char *path); /* -1: none */
/* How often this WAL was restarted: its checkpoint sequence number. */
uint32_t rig_wal_restarts(const char *wal_path);

struct rig {
	struct history *history;
	struct capture *capture;
	struct spool *spool;
	const char *path;
	uint32_t page_size;
	uint32_t page_count;
	uint8_t *pages;     /* the replica */
	uint32_t *versions; /* slot + 1; 0: none */
	size_t cap;         /* pages that there is room for */
	uint64_t lsn;       /* of the last transaction applied */
	unsigned long txns; /* applied */
	unsigned seed;
};

#define RIG_SPOOL_BYTES (UINT64_C(1) << 30)

/* A temporary history in which so many bytes may wait. The caller closes it. */
struct history *rig_history(uint64_t max_bytes);

/* Without a history: rig_open has one of its own, of RIG_SPOOL_BYTES. */
struct capture_settings rig_settings(const char *path);

/* Open and start capture; the replica is the state at the start. rig_close closes the
 * history of `settings`, too. */
void rig_open(struct rig *rig, const struct capture_settings *settings);

/* Take and check one transaction. ST_END: there is none. */
enum status rig_step(struct rig *rig, struct error *err);

/* Take all until everything that is committed now is applied. */
void rig_catch_up(struct rig *rig);

/* Take all until capture ends with an error, at most `ms`; gives it. */
enum status rig_run_until_error(struct rig *rig, int ms, struct error *err);

/* Close capture; when no one else has the file open, it must equal the replica. */
void rig_close_and_compare(struct rig *rig);
void rig_close(struct rig *rig);

/* ---- applications ---- */

void rig_set_program(const char *argv0);
bool rig_is_child(int argc, char **argv);
int rig_child(int argc, char **argv);

/* A connection that stays open, with a WAL of several commits; the caller closes it. */
sqlite3 *rig_open_with_wal(const struct rig_folder *folder);

/* Start a child with these arguments, ended by NULL. */
pid_t rig_spawn(const char *name, ...);
/* The same; returns when the child is ready. */
pid_t rig_spawn_ready(const char *name, ...);
/* Its exit code; -signal when it was killed. */
int rig_wait(pid_t pid);
/* While it runs, apply transactions. */
int rig_wait_following(struct rig *rig, pid_t pid);
void rig_kill(pid_t pid);

/* Run SQL in a process of its own, which then exits: the exit code is SQLite's. */
int rig_sql(const char *path, const char *sql);

#endif
