/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/temp_database.h -- a real database in a temporary folder.
 *
 * Whatever fails here prints why and aborts: it is the test that is broken.
 *
 * OWNERSHIP  temp_database_open / temp_database_close, which removes the folder;
 *            the storage of the struct is the caller's.
 * THREADS    One thread at a time.
 */
#ifndef TESTS_LIB_TEMP_DATABASE_H
#define TESTS_LIB_TEMP_DATABASE_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/lib/memory_source.h"

/* How the database is laid out; what is 0 is SQLite's default. */
struct database_shape {
	int page_size;
	int reserved; /* bytes at the end of each page */
	int auto_vacuum;
	const char *encoding; /* "UTF-16le"; NULL: UTF-8 */
};

struct temp_database {
	sqlite3 *db;
	char folder[256];
	char path[300];
};

/*
 * Page sizes 512, 1024, 4096 and 65536, each without and with reserved bytes, each with
 * auto_vacuum 0, 1 and 2.
 */
#define DATABASE_SHAPES 24
struct database_shape database_shape(size_t index);

void temp_database_open(struct temp_database *t, const struct database_shape *shape);
void temp_database_close(struct temp_database *t);

/* Run the statements that printf would print; for values use %Q and %q. */
void temp_database_sql(struct temp_database *t, const char *fmt, ...);

/* The one number that a query gives. */
int64_t temp_database_number(struct temp_database *t, const char *query);

/* The file as it is now; close it before the next call if memory matters. */
struct memory_source *temp_database_read(struct temp_database *t);

/*
 * Make a table without rowid, and a table `t` of `rows` rows with an index and rows
 * that overflow; delete some of it, so that there is a freelist. The same rows for the
 * same shape.
 */
void temp_database_fill(struct temp_database *t, int rows);

#endif
