/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/row.h"

#include <inttypes.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "btree/record.h"
#include "schemas/computed.h"
#include "src/base/array.h"
#include "src/base/utf8.h"

void row_init(struct row *row)
{
	*row = (struct row){0};
	buffer_init(&row->computed);
}

void row_clear(struct row *row)
{
	free(row->values);
	free(row->stored);
	buffer_clear(&row->computed);
	row_init(row);
}

static enum status row_room(struct row *row, const struct table *table,
			    struct error *err)
{
	uint32_t need = table->column_count > table->stored_count ? table->column_count
								  : table->stored_count;

	if (!array_room(&row->values, &row->cap, need, sizeof *row->values) ||
	    !array_room(&row->stored, &row->stored_cap, need, sizeof *row->stored)) {
		return error_no_memory(err, "a row of %u columns", need);
	}
	return ST_OK;
}

/* True when a record has every column in declaration order. */
static bool is_plain(const struct table *table)
{
	return !table->without_rowid && !table->has_virtual_columns;
}

/* Move `count` stored values to their columns, for tables that are not plain. */
static void scatter(struct row *row, const struct table *table, uint32_t count)
{
	for (uint32_t i = 0; i < table->column_count; i++) {
		const struct column *column = &table->columns[i];

		if (column->storage_index < 0) {
			row->values[i].class = VALUE_NULL;
			row->values[i].len = 0;
		} else if ((uint32_t)column->storage_index < count) {
			row->values[i] = row->stored[column->storage_index];
		} else {
			row->values[i] = column->missing;
		}
	}
}

/* What SQLite does to values on their way out of a record. */
static void convert(struct value *values, const struct table *table, int64_t rowid)
{
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (values[i].class == VALUE_INTEGER &&
		    table->columns[i].affinity == AFFINITY_REAL) {
			values[i].class = VALUE_REAL;
			values[i].real = (double)values[i].integer;
		}
	}
	if (table->key_count == 1 && table->columns[table->key_columns[0]].is_rowid) {
		struct value *key = &values[table->key_columns[0]];

		key->class = VALUE_INTEGER;
		key->len = 0;
		key->integer = rowid;
	}
}

static enum status wrap(const struct table *table, int64_t rowid, struct error *err)
{
	if (table->without_rowid) {
		return error_wrap(err, "table \"%s\"", SHORT_NAME(table->name));
	}
	return error_wrap(err, "table \"%s\", rowid %" PRId64, SHORT_NAME(table->name),
			  rowid);
}

enum status row_decode(struct row *row, const struct table *table, int64_t rowid,
		       const uint8_t *payload, size_t len, struct error *err)
{
	struct value *to;
	uint32_t count;

	if (row_room(row, table, err) != ST_OK) {
		return err->status;
	}
	to = is_plain(table) ? row->values : row->stored;
	if (record_read(payload, len, to, table->stored_count, &count, err) != ST_OK) {
		return wrap(table, rowid, err);
	}
	if (to == row->stored) {
		scatter(row, table, count);
	} else {
		for (; count < table->column_count; count++) {
			to[count] = table->columns[count].missing;
		}
	}
	convert(row->values, table, rowid);
	if (table->computed && computed_fill(table->computed, rowid, row->values,
					     &row->computed, err) != ST_OK) {
		return wrap(table, rowid, err);
	}
	return ST_OK;
}

bool row_has_key(const struct table *table, const struct value *values)
{
	for (uint32_t i = 0; i < table->key_count; i++) {
		if (values[table->key_columns[i]].class == VALUE_NULL) {
			return false;
		}
	}
	return table->key_count > 0;
}

bool row_same_key(const struct table *table, const struct value *a,
		  const struct value *b)
{
	for (uint32_t i = 0; i < table->key_count; i++) {
		uint32_t column = table->key_columns[i];

		if (!value_same(&a[column], &b[column])) {
			return false;
		}
	}
	return true;
}

bool row_same(const struct table *table, const struct value *a, const struct value *b)
{
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (!value_same(&a[i], &b[i])) {
			return false;
		}
	}
	return true;
}

/* `hash` carried over one value: storage class and bytes, as value_same compares. */
static uint64_t hash_value(uint64_t hash, const struct value *value)
{
	uint64_t seed =
	    (hash + (uint64_t)value->class + 1) * UINT64_C(0x9e3779b97f4a7c15);

	switch (value->class) {
	case VALUE_INTEGER:
		return XXH3_64bits_withSeed(&value->integer, sizeof value->integer,
					    seed);
	case VALUE_REAL:
		return XXH3_64bits_withSeed(&value->real, sizeof value->real, seed);
	case VALUE_TEXT:
	case VALUE_BLOB:
		return XXH3_64bits_withSeed(value->bytes, value->len, seed);
	case VALUE_NULL:
	default:
		return seed ^ seed >> 32;
	}
}

uint64_t row_key_hash(const struct table *table, const struct value *values)
{
	uint64_t hash = 0;

	for (uint32_t i = 0; i < table->key_count; i++) {
		hash = hash_value(hash, &values[table->key_columns[i]]);
	}
	return hash;
}

uint64_t row_hash(const struct table *table, const struct value *values)
{
	uint64_t hash = 0;

	for (uint32_t i = 0; i < table->column_count; i++) {
		hash = hash_value(hash, &values[i]);
	}
	return hash;
}
