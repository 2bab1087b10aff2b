/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/sandbox.h -- a private SQLite database in memory that holds schema rows of
 * the followed database, for asking SQLite what they mean.
 *
 * The rows go into sqlite_schema as they are and are parsed the way SQLite parses a
 * schema that it finds in a file: nothing of their text is executed. SQLite never
 * sees a page of the followed database, and asking about one table of a thousand
 * costs one table. Every table's root is one of two pages made here:
 *
 *     page 2  table b-tree with one row, whose record has no columns
 *     page 3  index b-tree (WITHOUT ROWID tables) with one such record
 *
 * so that each column of the one row reads as what SQLite gives for a record that is
 * too short to have it: the column's DEFAULT, with affinity.
 *
 * OWNERSHIP  sandbox_open / sandbox_close (takes NULL). Statements on sandbox->db
 *            are finalized before.
 * THREADS    One thread at a time.
 * ERRORS     ST_NOMEM; ST_CORRUPT with SQLite's message.
 */
#ifndef SCHEMAS_SANDBOX_H
#define SCHEMAS_SANDBOX_H

#include <sqlite3.h>

#include "btree/db_header.h"
#include "btree/value.h"
#include "src/base/status.h"

#define SANDBOX_TABLE_ROOT 2
#define SANDBOX_INDEX_ROOT 3

struct sandbox {
	sqlite3 *db;
	sqlite3_stmt *add; /* until sandbox_load */
	enum text_encoding encoding;
	uint32_t
	    ticks; /* millions of steps run; a statement is interrupted when it
		    * passes 50: set it to 0 before a statement that is run often */
};

/*
 * Set a connection up for schemas that we did not make: WRITABLE_SCHEMA on and
 * DEFENSIVE off (an object that this SQLite cannot parse stops no other), unknown
 * collations compare as memcmp, no extensions, no triggers.
 */
enum status sandbox_relax(sqlite3 *db, struct error *err) MUST_CHECK;

enum status sandbox_open(enum text_encoding encoding, struct sandbox **out,
			 struct error *err) MUST_CHECK;
void sandbox_close(struct sandbox *sandbox);

/* Add a row to sqlite_schema; `sql` may be NULL (automatic index). An index row comes
 * after its table's. Texts are UTF-8. */
enum status sandbox_add(struct sandbox *sandbox, const char *type, const char *name,
			const char *table_name, uint32_t root_page, const char *sql,
			struct error *err) MUST_CHECK;

/*
 * All rows are there: does SQLite understand each of them? ST_CORRUPT with its message
 * if not. (sandbox_load keeps what it can, and makes NULL of expressions that SQLite
 * does not take.) sandbox_load follows, whatever the result.
 */
enum status sandbox_check(struct sandbox *sandbox, struct error *err) MUST_CHECK;

/*
 * All rows are there: have SQLite parse them, then forbid all but the four PRAGMAs
 * on tables and indexes, reading and writing of rows, and functions. What cannot be
 * parsed is missing from then on; that is no error.
 */
enum status sandbox_load(struct sandbox *sandbox, struct error *err) MUST_CHECK;

/* Prepare one statement made by sqlite3_mprintf; `sql` is freed, NULL is ST_NOMEM. */
enum status sandbox_prepare(struct sandbox *sandbox, char *sql, sqlite3_stmt **out,
			    struct error *err) MUST_CHECK;

/* Step to the next row: ST_OK, ST_END after the last. */
enum status sandbox_step(struct sandbox *sandbox, sqlite3_stmt *statement,
			 struct error *err) MUST_CHECK;

/* Result column `index` as UTF-8, "" for NULL; borrowed until the next step. */
const char *sandbox_text(sqlite3_stmt *statement, int index);

/* ST_NOMEM or ST_CORRUPT for SQLite's result code `rc` on `db`, with its message. */
enum status sandbox_error(sqlite3 *db, int rc, struct error *err);

/*
 * Result column `index` of the row that `statement` stands on, bytes borrowed until it
 * is stepped. TEXT comes in the machine's byte order when the database is UTF-16;
 * sandbox_copy brings it into the database's. ST_NOMEM.
 */
enum status sandbox_value(struct sandbox *sandbox, sqlite3_stmt *statement, int index,
			  struct value *out, struct error *err) MUST_CHECK;

/* Copy the bytes of a value from sandbox_value, value->len of them, to `to`. */
void sandbox_copy(const struct sandbox *sandbox, const struct value *value,
		  uint8_t *to);

#endif
