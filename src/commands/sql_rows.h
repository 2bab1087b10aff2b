/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/sql_rows.h -- rows of a query on stdout: as JSON lines, as CSV, or as a
 * table.
 *
 * Values are those of events: TEXT that is no valid text has U+FFFD, a BLOB is base64,
 * a REAL has as many digits as give the same number again. A column whose name another
 * one has, too, is "name:1", "name:2" (as SQLite names columns of a subquery), so that
 * no value hides another. NULL is null in JSON, nothing in CSV ("" is the empty text),
 * and NULL in a table. What steers a terminal is '?' in a table, and text as it is in
 * CSV.
 *
 * Before rows are written, and only then, they are checked, so that what was printed
 * stays right if a later check fails.
 *
 * A table is as wide as its first rows need; a later cell that is wider moves the rest
 * of its line. No row is kept beyond those.
 *
 * OWNERSHIP  sql_rows_open / sql_rows_close; all else is borrowed for the call.
 * THREADS    One.
 * ERRORS     ST_CLOSED: the reader has gone. ST_IO: stdout takes nothing. ST_NOMEM.
 */
#ifndef SQL_ROWS_H
#define SQL_ROWS_H

#include "btree/value.h"
#include "src/base/status.h"

enum sql_format { SQL_JSON, SQL_CSV, SQL_TABLE };

struct sql_rows;

/* Asked before something is written: what is not ST_OK is returned instead. */
struct sql_check {
	enum status (*check)(void *context, struct error *err);
	void *context;
};

/* `names` of `count` columns, in UTF-8; NULL stands for "". */
enum status sql_rows_open(enum sql_format format, const char *const *names,
			  uint32_t count, struct sql_check check, struct sql_rows **out,
			  struct error *err) MUST_CHECK;
void sql_rows_close(struct sql_rows *rows);

/* A row: as many values as there are columns; TEXT is in UTF-8. */
enum status sql_rows_put(struct sql_rows *rows, const struct value *values,
			 struct error *err) MUST_CHECK;

/* After the last row. */
enum status sql_rows_end(struct sql_rows *rows, struct error *err) MUST_CHECK;

#endif
