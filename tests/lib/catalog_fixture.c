/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/catalog_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "btree/cell.h"
#include "btree/overflow.h"
#include "btree/record.h"
#include "btree/tree_walk.h"
#include "schemas/row.h"

static void check_ok(enum status st, const struct error *err)
{
	if (st != ST_OK) {
		print_error("%s: %s\n", status_text(st), err->text);
		fail();
	}
}

void fixture_open(struct catalog_fixture *f, const char *sql)
{
	*f = (struct catalog_fixture){0};
	assert_int_equal(sqlite3_open(":memory:", &f->db), SQLITE_OK);
	if (sql) {
		fixture_run(f, "%s", sql);
	}
}

void fixture_close(struct catalog_fixture *f)
{
	catalog_close(f->catalog);
	memory_source_close(f->source);
	assert_int_equal(sqlite3_close(f->db), SQLITE_OK);
}

void fixture_run(struct catalog_fixture *f, const char *fmt, ...)
{
	va_list args;
	char *sql, *message = NULL;

	va_start(args, fmt);
	sql = sqlite3_vmprintf(fmt, args);
	va_end(args);
	if (sqlite3_exec(f->db, sql, NULL, NULL, &message) != SQLITE_OK) {
		print_error("%s: %s\n", sql, message);
		fail();
	}
	sqlite3_free(sql);
}

void fixture_add_row(struct catalog_fixture *f, const char *type, const char *name,
		     const char *table_name, int64_t root_page, const char *sql)
{
	fixture_run(f, "PRAGMA writable_schema=ON");
	fixture_run(f, "INSERT INTO sqlite_schema VALUES(%Q,%Q,%Q,%lld,%Q)", type, name,
		    table_name, (long long)root_page, sql);
}

void fixture_take(struct catalog_fixture *f)
{
	sqlite3_int64 size;
	unsigned char *bytes = sqlite3_serialize(f->db, "main", &size, 0);
	struct error err;

	assert_non_null(bytes);
	memory_source_close(f->source);
	f->source = NULL;
	check_ok(memory_source_from_bytes(bytes, (size_t)size, &f->source, &err), &err);
	sqlite3_free(bytes);
}

void fixture_read(struct catalog_fixture *f, const struct table_filter *filter)
{
	struct catalog *previous = f->catalog;
	struct error err;

	fixture_take(f);
	f->catalog = NULL;
	check_ok(catalog_read(memory_source_pages(f->source), filter, previous, NULL,
			      &f->catalog, &err),
		 &err);
	catalog_close(previous);
	assert_int_equal(memory_source_pins(f->source), 0);
}

enum status fixture_read_fails(struct catalog_fixture *f, struct error *err)
{
	struct catalog *catalog = NULL;
	enum status st;

	st = catalog_read(memory_source_pages(f->source), NULL, NULL, NULL, &catalog,
			  err);
	assert_int_not_equal(st, ST_OK);
	assert_int_equal(st, err->status);
	assert_null(catalog);
	assert_int_equal(memory_source_pins(f->source), 0);
	return st;
}

struct table *fixture_table(struct catalog_fixture *f, const char *name)
{
	struct table *table = catalog_find(f->catalog, name);

	assert_non_null(table);
	return table;
}

struct column *fixture_column(struct catalog_fixture *f, const char *table,
			      const char *column)
{
	struct table *t = fixture_table(f, table);

	for (uint32_t i = 0; i < t->column_count; i++) {
		if (strcmp(t->columns[i].name, column) == 0) {
			return &t->columns[i];
		}
	}
	print_error("no column %s.%s\n", table, column);
	fail();
	return NULL;
}

/* ---- rows ---- */

struct row_check {
	struct catalog_fixture *f;
	const struct table *table;
	sqlite3_stmt *select;
	struct row row;
	struct buffer payload;
	uint8_t *text;
	size_t count;
};

/* A selected TEXT in the database's encoding, in `check->text`. */
static uint32_t selected_text(struct row_check *check, int index)
{
	enum text_encoding encoding = check->table->encoding;
	const uint8_t *bytes;
	size_t len;

	if (encoding == TEXT_UTF8) {
		bytes = sqlite3_column_text(check->select, index);
		len = (size_t)sqlite3_column_bytes(check->select, index);
	} else {
		bytes = sqlite3_column_text16(check->select, index);
		len = (size_t)sqlite3_column_bytes16(check->select, index);
	}
	check->text = realloc(check->text, len + 1);
	memcpy(check->text, bytes, len);
	for (size_t i = 0; encoding == TEXT_UTF16BE && i + 1 < len; i += 2) {
		check->text[i] = bytes[i + 1];
		check->text[i + 1] = bytes[i];
	}
	return (uint32_t)len;
}

static void check_value(struct row_check *check, uint32_t column)
{
	const struct value *value = &check->row.values[column];
	int index = (int)column + 1;
	struct value wanted = {.class = VALUE_NULL};

	switch (sqlite3_column_type(check->select, index)) {
	case SQLITE_INTEGER:
		wanted.class = VALUE_INTEGER;
		wanted.integer = sqlite3_column_int64(check->select, index);
		break;
	case SQLITE_FLOAT:
		wanted.class = VALUE_REAL;
		wanted.real = sqlite3_column_double(check->select, index);
		break;
	case SQLITE_TEXT:
		wanted.class = VALUE_TEXT;
		wanted.len = selected_text(check, index);
		wanted.bytes = check->text;
		break;
	case SQLITE_BLOB:
		wanted.class = VALUE_BLOB;
		wanted.bytes = sqlite3_column_blob(check->select, index);
		wanted.len = (uint32_t)sqlite3_column_bytes(check->select, index);
		wanted.bytes = wanted.len ? wanted.bytes : (const uint8_t *)"";
		break;
	default:
		break;
	}
	if (!value_same(&wanted, value)) {
		print_error("%s.%s, row %zu: class %d, length %u instead of %d, %u\n",
			    check->table->name, check->table->columns[column].name,
			    check->count, value->class, value->len, wanted.class,
			    wanted.len);
		fail();
	}
	if (value->class == VALUE_TEXT || value->class == VALUE_BLOB) {
		assert_non_null(value->bytes);
	}
}

static enum status check_row(void *context, const struct page *page, uint32_t index,
			     struct error *err)
{
	struct row_check *check = context;
	const uint8_t *payload;
	struct cell cell;

	check_ok(cell_read(page, index, &cell, err), err);
	check_ok(payload_read(memory_source_pages(check->f->source), &cell,
			      &check->payload, &payload, err),
		 err);
	check_ok(row_decode(&check->row, check->table, cell.rowid, payload,
			    (size_t)cell.payload_len, err),
		 err);
	assert_int_equal(sqlite3_step(check->select), SQLITE_ROW);
	if (!check->table->without_rowid) {
		assert_int_equal(sqlite3_column_int64(check->select, 0), cell.rowid);
	}
	for (uint32_t i = 0; i < check->table->column_count; i++) {
		check_value(check, i);
	}
	check->count++;
	return ST_OK;
}

size_t fixture_check_rows(struct catalog_fixture *f, const char *table)
{
	struct row_check check = {.f = f, .table = fixture_table(f, table)};
	struct error err;
	char *sql = sqlite3_mprintf("SELECT %s,* FROM \"%w\" NOT INDEXED %s",
				    check.table->without_rowid ? "0" : "_rowid_", table,
				    check.table->without_rowid ? "" : "ORDER BY 1");

	if (sqlite3_prepare_v2(f->db, sql, -1, &check.select, NULL) != SQLITE_OK) {
		print_error("%s: %s\n", sql, sqlite3_errmsg(f->db));
		fail();
	}
	sqlite3_free(sql);
	assert_int_equal(sqlite3_column_count(check.select),
			 check.table->column_count + 1);
	for (uint32_t i = 0; i < check.table->column_count; i++) {
		assert_string_equal(sqlite3_column_name(check.select, (int)i + 1),
				    check.table->columns[i].name);
	}
	row_init(&check.row);
	buffer_init(&check.payload);
	check_ok(tree_walk_rows(memory_source_pages(f->source), check.table->root_page,
				check_row, &check, &err),
		 &err);
	assert_int_equal(sqlite3_step(check.select), SQLITE_DONE);
	(void)sqlite3_finalize(check.select);
	row_clear(&check.row);
	buffer_clear(&check.payload);
	free(check.text);
	assert_int_equal(memory_source_pins(f->source), 0);
	return check.count;
}

size_t fixture_check_all(struct catalog_fixture *f)
{
	size_t count = 0;

	for (size_t i = 0; i < f->catalog->table_count; i++) {
		if (!f->catalog->tables[i]->left_out) {
			count += fixture_check_rows(f, f->catalog->tables[i]->name);
		}
	}
	return count;
}
