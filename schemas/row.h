/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/row.h -- a stored record to the table's column values.
 *
 * Knows what the record format alone does not: columns in storage order,
 * INTEGER PRIMARY KEY as NULL, REAL stored as an integer, records shorter than
 * the table is wide, virtual generated columns.
 *
 * OWNERSHIP  row_init / row_clear. values borrow from the payload, from the
 *            table (defaults) and from `computed` (virtual columns); they live
 *            until the payload goes or the row is decoded into again.
 * THREADS    One thread at a time.
 */
#ifndef SCHEMAS_ROW_H
#define SCHEMAS_ROW_H

#include "schemas/table.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

struct row {
	struct value *values; /* table->column_count of them, declaration order */
	struct value *stored; /* scratch: the record's own order */
	size_t cap;
	size_t stored_cap;
	struct buffer computed; /* bytes of virtual columns */
};

void row_init(struct row *row);
void row_clear(struct row *row);

/*
 * Decode a record of `table`. `rowid` is ignored for WITHOUT ROWID tables.
 * ST_CORRUPT with the table's name and rowid when the record breaks the format.
 * No allocation once the row has been used for a table as wide.
 */
enum status row_decode(struct row *row, const struct table *table, int64_t rowid,
		       const uint8_t *payload, size_t len,
		       struct error *err) MUST_CHECK;

/* True when all of the key's columns are not NULL (a key with a NULL is no key). */
bool row_has_key(const struct table *table, const struct value *values);

/* True when both rows have the same identity: value_same over the key columns.
 * Both tables must have keys over columns of the same names. */
bool row_same_key(const struct table *table, const struct value *a,
		  const struct value *b);

/* 64-bit hash of the key's identity; equal for rows that row_same_key calls equal. */
uint64_t row_key_hash(const struct table *table, const struct value *values);

/* True when every column is value_same. */
bool row_same(const struct table *table, const struct value *a, const struct value *b);

/* 64-bit hash over every column; equal for rows that row_same calls equal. */
uint64_t row_hash(const struct table *table, const struct value *values);

#endif
