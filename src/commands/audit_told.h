/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/audit_told.h -- the last that an audit log tells of each row, and
 * whether a database has it.
 *
 * First all lines are taken, then rows of the database are compared: begin, a call for
 * each table and each row, end. Both may come again: lines that were written meanwhile,
 * and then the rows anew, or, while `is_settling`, none: what differed and is told by
 * now counts no more.
 *
 * Rows with a key are known by the values of their key. Those without one have a rowid
 * that VACUUM changes without a word: they are known by what is in them, and counted.
 * Of a row only columns that lines have are compared. What may have changed without a
 * line is forgotten: columns that the table's definition or the settings made others,
 * rows whose key became another one. Of a table whose making or baseline the log does
 * not have, rows without a line are `untold`, and no finding.
 *
 * FORMAT   All lies in a temporary database of SQLite, so memory does not grow with the
 *          log. A value is kept as it is, or as half its SHA-256 where it is long.
 * OWNERSHIP audit_told_open / audit_told_close; tables belong to it.
 * THREADS  One thread at a time.
 * ERRORS   ST_NOMEM; ST_IO: the temporary database, which lies in SQLITE_TMPDIR.
 */
#ifndef AUDIT_TOLD_H
#define AUDIT_TOLD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/audit/event.h"
#include "src/audit/tree.h"
#include "src/base/buffer.h"
#include "src/base/status.h"
#include "src/commands/told_store.h"
#include "src/commands/told_tables.h"

struct audit_told {
	struct told_tables tables;
	uint64_t lines; /* that were taken */
	uint64_t unreadable;
	uint64_t redacted;
	bool in_baseline; /* the last head stands among its rows */
	bool is_settling;

	/* Of the last comparison. */
	uint64_t rows;   /* of the database */
	uint64_t untold; /* of them */

	/* Private. */
	struct told_store *store;
	struct audit_hasher hasher;
	struct buffer key, row, had, value;
};

enum status audit_told_open(struct audit_told *told, struct error *err) MUST_CHECK;
void audit_told_close(struct audit_told *told); /* one of zeros, too */

/* A whole line of the log. */
enum status audit_told_take(struct audit_told *told, struct span line,
			    struct error *err) MUST_CHECK;

enum status audit_told_begin(struct audit_told *told, struct error *err) MUST_CHECK;
/* A row as it is in the database, as a line of the log would have it. */
enum status audit_told_compare(struct audit_told *told, struct told_table *table,
			       const struct audit_event *row,
			       struct error *err) MUST_CHECK;
/* There are no more rows. */
enum status audit_told_end(struct audit_told *told, struct error *err) MUST_CHECK;

struct audit_told_found {
	enum told_finding finding;
	const struct told_table *table;
	json_t *key;     /* an object; NULL: of a whole table */
	json_t *columns; /* names of those that differ; NULL: it is the row itself */
	uint64_t rows;   /* that it stands for */
};

/* Call `tell`, which may be NULL, for what differs; *count: how many rows. */
enum status
audit_told_each(struct audit_told *told,
		void (*tell)(void *context, const struct audit_told_found *found),
		void *context, uint64_t *count, struct error *err) MUST_CHECK;

#endif
