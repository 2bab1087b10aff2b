/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/changesets.h -- what a connection changes, told by SQLite's session
 * extension and sent through a pipe, as an application would do it that tells its own
 * changes.
 *
 * In the pipe each transaction is its length (8 bytes, of this machine's order) and its
 * changeset, as sqlite3session_changeset makes it. Not every SQLite has the extension
 * (Debian's has): without it changesets_open fails. What fails ends the program.
 */
#ifndef TESTS_LIB_CHANGESETS_H
#define TESTS_LIB_CHANGESETS_H

#ifndef SQLITE_ENABLE_SESSION
#define SQLITE_ENABLE_SESSION        1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#endif
#include <sqlite3.h>

/* So that a program that could use it runs with a SQLite that lacks it. */
#pragma weak sqlite3session_create
#pragma weak sqlite3session_attach
#pragma weak sqlite3session_changeset
#pragma weak sqlite3session_delete
#pragma weak sqlite3changeset_start
#pragma weak sqlite3changeset_next
#pragma weak sqlite3changeset_op
#pragma weak sqlite3changeset_pk
#pragma weak sqlite3changeset_old
#pragma weak sqlite3changeset_new
#pragma weak sqlite3changeset_finalize

struct changesets;

/* Of all tables of `db`, which is borrowed, into the named pipe `path`; waits until
 * somebody reads it. */
struct changesets *changesets_open(sqlite3 *db, const char *path);
void changesets_close(struct changesets *sets);

/* Before a transaction, and after its commit; nothing for NULL. */
void changesets_begin(struct changesets *sets);
void changesets_send(struct changesets *sets);

#endif
