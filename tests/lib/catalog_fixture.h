/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/catalog_fixture.h -- a database in memory, its pages, and its catalog.
 *
 * For cmocka tests: whatever goes wrong fails the test.
 */
#ifndef TESTS_LIB_CATALOG_FIXTURE_H
#define TESTS_LIB_CATALOG_FIXTURE_H

#include <sqlite3.h>

#include "schemas/catalog.h"
#include "schemas/table_filter.h"
#include "tests/lib/memory_source.h"

struct catalog_fixture {
	sqlite3 *db;
	struct memory_source *source; /* the database as fixture_read found it */
	struct catalog *catalog;
};

/* An empty database; `sql` (may be NULL) is run on it. */
void fixture_open(struct catalog_fixture *f, const char *sql);
void fixture_close(struct catalog_fixture *f);

/* Run statements, printf style as sqlite3_mprintf knows it. */
void fixture_run(struct catalog_fixture *f, const char *fmt, ...);

/* Put a row into sqlite_schema as it is: SQLite does not look at it before it reads the
 * schema again. */
void fixture_add_row(struct catalog_fixture *f, const char *type, const char *name,
		     const char *table_name, int64_t root_page, const char *sql);

/* Take the database's pages as they are now, without reading a catalog. */
void fixture_take(struct catalog_fixture *f);

/* The same, then read the catalog; the one before serves as `previous`. */
void fixture_read(struct catalog_fixture *f, const struct table_filter *filter);

/* The catalog must be refused: returns the status, and the text in `err`. */
enum status fixture_read_fails(struct catalog_fixture *f, struct error *err);

/* catalog_find that fails the test when there is no such table. */
struct table *fixture_table(struct catalog_fixture *f, const char *name);
struct column *fixture_column(struct catalog_fixture *f, const char *table,
			      const char *column);

/* Walk the table's tree and compare each decoded row with what SQLite selects, value
 * by value. Returns the number of rows. */
size_t fixture_check_rows(struct catalog_fixture *f, const char *table);

/* fixture_check_rows for every table that is not left out. */
size_t fixture_check_all(struct catalog_fixture *f);

#endif
