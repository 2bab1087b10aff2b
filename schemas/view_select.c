/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/view_select.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schemas/view_vfs.h"
#include "src/base/buffer.h"
#include "src/base/utf8.h"

struct view_select {
	const struct table *table;
	struct view_vfs *vfs;
	sqlite3 *db;
	sqlite3_stmt *statement;
	int *result_columns;   /* by column of the table */
	struct value *values;  /* the same */
	struct buffer swapped; /* TEXT of big-endian databases */
};

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "a SELECT");
}

/* SQLite's complaint, or the reason that the page source had behind it. */
static enum status failed(const struct view_select *select, struct error *err)
{
	const struct error *source = view_vfs_error(select->vfs);

	if (source) {
		*err = *source;
		return err->status;
	}
	if (sqlite3_errcode(select->db) == SQLITE_NOMEM) {
		return out_of_memory(err);
	}
	return error_set(err, ST_CONFIG, "snapshot.select.statement.overrides.%s: %s",
			 select->table->name, sqlite3_errmsg(select->db));
}

static enum status prepare(struct view_select *select, const char *sql,
			   struct error *err)
{
	const char *tail = NULL;

	if (sqlite3_prepare_v2(select->db, sql, -1, &select->statement, &tail) !=
	    SQLITE_OK) {
		return failed(select, err);
	}
	if (!select->statement || sqlite3_column_count(select->statement) == 0 ||
	    !sqlite3_stmt_readonly(select->statement) ||
	    (tail && tail[strspn(tail, " \t\r\n;")] != '\0')) {
		return error_set(
		    err, ST_CONFIG,
		    "snapshot.select.statement.overrides.%s: not a single SELECT",
		    SHORT_NAME(select->table->name));
	}
	return ST_OK;
}

static int find_result_column(sqlite3_stmt *statement, const char *name)
{
	int count = sqlite3_column_count(statement);

	for (int i = 0; i < count; i++) {
		const char *result = sqlite3_column_name(statement, i);

		if (result && strcasecmp(result, name) == 0) {
			return i;
		}
	}
	return -1;
}

static enum status map_columns(struct view_select *select, struct error *err)
{
	const struct table *table = select->table;

	select->result_columns = calloc(table->column_count, sizeof(int));
	select->values = calloc(table->column_count, sizeof *select->values);
	if (!select->result_columns || !select->values) {
		return out_of_memory(err);
	}
	for (uint32_t i = 0; i < table->column_count; i++) {
		select->result_columns[i] =
		    find_result_column(select->statement, table->columns[i].name);
		if (select->result_columns[i] < 0) {
			return error_set(err, ST_CONFIG,
					 "snapshot.select.statement.overrides.%s: the "
					 "result lacks the column %s",
					 SHORT_NAME(table->name),
					 SHORT_NAME(table->columns[i].name));
		}
	}
	return ST_OK;
}

/* UTF-16 in the other byte order; the bytes are kept in `swapped`. */
static void add_swapped(struct view_select *select, struct value *value)
{
	for (uint32_t i = 0; i + 1 < value->len; i += 2) {
		buffer_add_char(&select->swapped, (char)value->bytes[i + 1]);
		buffer_add_char(&select->swapped, (char)value->bytes[i]);
	}
}

static void read_text(struct view_select *select, int column, struct value *value)
{
	static const uint8_t nothing[1];
	const void *bytes;

	value->class = VALUE_TEXT;
	if (select->table->encoding == TEXT_UTF8) {
		bytes = sqlite3_column_text(select->statement, column);
		value->len = (uint32_t)sqlite3_column_bytes(select->statement, column);
	} else {
		bytes = sqlite3_column_text16(select->statement, column);
		value->len =
		    (uint32_t)sqlite3_column_bytes16(select->statement, column);
	}
	value->bytes = bytes ? bytes : nothing;
}

static void read_value(struct view_select *select, int column, struct value *value)
{
	static const uint8_t nothing[1];
	const void *bytes;

	*value = (struct value){.class = VALUE_NULL};
	switch (sqlite3_column_type(select->statement, column)) {
	case SQLITE_INTEGER:
		value->class = VALUE_INTEGER;
		value->integer = sqlite3_column_int64(select->statement, column);
		break;
	case SQLITE_FLOAT:
		value->class = VALUE_REAL;
		value->real = sqlite3_column_double(select->statement, column);
		break;
	case SQLITE_TEXT:
		read_text(select, column, value);
		break;
	case SQLITE_BLOB:
		bytes = sqlite3_column_blob(select->statement, column);
		value->class = VALUE_BLOB;
		value->len = (uint32_t)sqlite3_column_bytes(select->statement, column);
		value->bytes = bytes ? bytes : nothing;
		break;
	default:
		break;
	}
}

/* sqlite3_column_text16 is in the machine's order; the encoder reads the database's. */
static bool must_swap(const struct table *table)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return table->encoding == TEXT_UTF16BE;
#else
	return table->encoding == TEXT_UTF16LE;
#endif
}

static enum status read_row(struct view_select *select, struct error *err)
{
	uint32_t count = select->table->column_count;
	size_t at = 0;

	for (uint32_t i = 0; i < count; i++) {
		read_value(select, select->result_columns[i], &select->values[i]);
	}
	if (!must_swap(select->table)) {
		return ST_OK;
	}
	buffer_reset(&select->swapped);
	for (uint32_t i = 0; i < count; i++) {
		if (select->values[i].class == VALUE_TEXT) {
			add_swapped(select, &select->values[i]);
		}
	}
	if (!buffer_ok(&select->swapped)) {
		return out_of_memory(err);
	}
	for (uint32_t i = 0; i < count; i++) {
		struct value *value = &select->values[i];

		if (value->class == VALUE_TEXT && value->len >= 2) {
			value->len &= ~UINT32_C(1);
			value->bytes = (const uint8_t *)select->swapped.bytes + at;
			at += value->len;
		}
	}
	return ST_OK;
}

static enum status run_rows(struct view_select *select,
			    enum status (*visit)(void *context,
						 const struct value *values,
						 struct error *err),
			    void *context, struct error *err)
{
	for (;;) {
		int rc = sqlite3_step(select->statement);
		enum status status;

		if (rc == SQLITE_DONE) {
			return ST_OK;
		}
		if (rc != SQLITE_ROW) {
			return failed(select, err);
		}
		status = read_row(select, err);
		if (status == ST_OK) {
			status = visit(context, select->values, err);
		}
		if (status != ST_OK) {
			return status;
		}
	}
}

enum status view_select_run(
    struct page_source *source, const struct table *table, const char *sql,
    enum status (*visit)(void *context, const struct value *values, struct error *err),
    void *context, struct error *err)
{
	struct view_select select = {.table = table};
	enum status status = view_vfs_open(source, &select.vfs, err);

	if (status != ST_OK) {
		return status;
	}
	buffer_init(&select.swapped);
	status = view_vfs_connect(select.vfs, &select.db, err);
	if (status == ST_OK) {
		status = prepare(&select, sql, err);
	}
	if (status == ST_OK) {
		status = map_columns(&select, err);
	}
	if (status == ST_OK) {
		status = run_rows(&select, visit, context, err);
	}
	(void)sqlite3_finalize(select.statement);
	(void)sqlite3_close(select.db);
	view_vfs_close(select.vfs);
	buffer_clear(&select.swapped);
	free(select.result_columns);
	free(select.values);
	return status;
}
