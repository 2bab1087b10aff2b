/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/sql_schema.h -- the statements that make the schema of one catalog of
 * that of another, around those that change rows.
 *
 * A table whose CREATE statement differs is dropped and made anew, with all its rows;
 * what hangs on it comes back at the end. Indexes, views and triggers that differ are
 * dropped before the rows change and made when all have: until then a new one could
 * forbid what an old one allowed. Virtual tables cannot be made so: their CREATE makes
 * tables of its own.
 *
 * OWNERSHIP  sql_schema_init / sql_schema_clear; the struct is the caller's. Catalogs
 *            are borrowed for the call.
 * THREADS    One thread at a time.
 * ERRORS     ST_CONFIG names what has to be done by hand. ST_NOMEM.
 */
#ifndef SQL_SCHEMA_H
#define SQL_SCHEMA_H

#include "schemas/catalog.h"
#include "src/base/buffer.h"

struct sql_schema {
	struct buffer before;       /* statements */
	struct buffer after;        /* statements */
	struct buffer remarks;      /* lines of comment, about triggers that will run */
	bool has_actions;           /* a foreign key may change rows by itself */
	bool makes_autoincrement;   /* with it SQLite makes sqlite_sequence */
	bool touches_autoincrement; /* and it drops rows there with a table */
};

void sql_schema_init(struct sql_schema *schema);
void sql_schema_clear(struct sql_schema *schema); /* frees */

/* From `was` to `is`. `is_whole`: of all tables, else of those that are captured. */
enum status sql_schema_plan(struct sql_schema *schema, const struct catalog *was,
			    const struct catalog *is, bool is_whole,
			    struct error *err) MUST_CHECK;

#endif
