/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/evaluator.h"

#include <limits.h>
#include <stdlib.h>

#include "schemas/sandbox.h"

struct virtual_column {
	uint32_t column;    /* of the table */
	sqlite3_stmt *read; /* it alone; NULL: not prepared */
	bool is_off;
};

struct evaluator {
	const struct table *table;
	struct sandbox *sandbox;
	sqlite3_stmt *clear;
	sqlite3_stmt *write;
	sqlite3_stmt *read_all; /* every column that is not off; NULL: not prepared */
	struct buffer text;     /* scratch for binding */
	uint64_t limit;         /* bytes */
	uint32_t count;
	struct virtual_column columns[];
};

/* ---- opening ---- */

uint32_t evaluator_count(const struct table *table)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < table->column_count; i++) {
		count += table->columns[i].generated == GENERATED_VIRTUAL;
	}
	return count;
}

enum status evaluator_open(const struct table *table, const bool *is_off,
			   struct evaluator **out, struct error *err)
{
	uint32_t count = evaluator_count(table);
	struct evaluator *ev = calloc(1, sizeof *ev + count * sizeof ev->columns[0]);

	if (!ev) {
		return error_no_memory(err, "computed columns");
	}
	ev->table = table;
	buffer_init(&ev->text);
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].generated == GENERATED_VIRTUAL) {
			ev->columns[ev->count].is_off = is_off && is_off[ev->count];
			ev->columns[ev->count++].column = i;
		}
	}
	*out = ev;
	return ST_OK;
}

void evaluator_close(struct evaluator *ev)
{
	if (!ev) {
		return;
	}
	for (uint32_t i = 0; i < ev->count; i++) {
		(void)sqlite3_finalize(ev->columns[i].read);
	}
	(void)sqlite3_finalize(ev->clear);
	(void)sqlite3_finalize(ev->write);
	(void)sqlite3_finalize(ev->read_all);
	sandbox_close(ev->sandbox);
	buffer_clear(&ev->text);
	free(ev);
}

/* ---- preparing ---- */

/* A name for the bare table that the table itself does not have. */
static const char *bare_name(const struct table *table)
{
	return sqlite3_stricmp(table->name, "bare") == 0 ? "bare_" : "bare";
}

/* CREATE TABLE bare(c0,c1,…), its record having the order of the table's. */
static char *bare_definition(const struct table *table)
{
	sqlite3_str *sql = sqlite3_str_new(NULL);

	sqlite3_str_appendf(sql, "CREATE TABLE %s(", bare_name(table));
	for (uint32_t i = 0; i < table->stored_count; i++) {
		sqlite3_str_appendf(sql, i ? ",c%u" : "c%u", i);
	}
	sqlite3_str_appendf(sql, table->without_rowid ? ",PRIMARY KEY(c0))WITHOUT ROWID"
						      : ")");
	return sqlite3_str_finish(sql);
}

/* Parameter 1 is the rowid, 2 + i stored value i. */
static char *bare_insert(const struct table *table)
{
	sqlite3_str *sql = sqlite3_str_new(NULL);
	bool has_rowid = !table->without_rowid;

	sqlite3_str_appendf(sql, "INSERT INTO main.%s(", bare_name(table));
	sqlite3_str_appendf(sql, has_rowid ? "rowid" : "");
	for (uint32_t i = 0; i < table->stored_count; i++) {
		sqlite3_str_appendf(sql, has_rowid || i ? ",c%u" : "c%u", i);
	}
	sqlite3_str_appendf(sql, has_rowid ? ")VALUES(?1" : ")VALUES(");
	for (uint32_t i = 0; i < table->stored_count; i++) {
		sqlite3_str_appendf(sql, has_rowid || i ? ",?%u" : "?%u", i + 2);
	}
	sqlite3_str_appendf(sql, ")");
	return sqlite3_str_finish(sql);
}

/* SELECT of the columns [first, end) that are not off, `before` it; they are qualified
 * so that no name is ever taken for a string. */
static char *virtual_select(const struct evaluator *ev, const char *before,
			    uint32_t first, uint32_t end)
{
	const struct table *table = ev->table;
	sqlite3_str *sql = sqlite3_str_new(NULL);
	const char *comma = "";

	sqlite3_str_appendf(sql, "%sSELECT ", before);
	for (uint32_t i = first; i < end; i++) {
		if (!ev->columns[i].is_off) {
			uint32_t column = ev->columns[i].column;

			sqlite3_str_appendf(sql, "%st.\"%w\"", comma,
					    table->columns[column].name);
			comma = ",";
		}
	}
	sqlite3_str_appendf(sql, "%s FROM main.\"%w\" AS t NOT INDEXED",
			    *comma ? "" : "NULL", table->name);
	return sqlite3_str_finish(sql);
}

static enum status load_sandbox(struct evaluator *ev, bool *has_complaint,
				struct error *complaint, struct error *err)
{
	const struct table *table = ev->table;
	const uint32_t root =
	    table->without_rowid ? SANDBOX_INDEX_ROOT : SANDBOX_TABLE_ROOT;
	const char *bare = bare_name(table);
	char *definition = bare_definition(table);
	enum status st;

	if (!definition) {
		return error_no_memory(err, "a statement");
	}
	st = sandbox_open(table->encoding, &ev->sandbox, err);
	if (st == ST_OK) {
		st = sandbox_add(ev->sandbox, "table", bare, bare, root, definition,
				 err);
	}
	sqlite3_free(definition);
	if (st == ST_OK) {
		st = sandbox_add(ev->sandbox, "table", table->name, table->name, root,
				 table->sql, err);
	}
	if (st != ST_OK) {
		return st;
	}
	st = sandbox_check(ev->sandbox, complaint);
	*has_complaint = st == ST_CORRUPT;
	if (st == ST_NOMEM) {
		*err = *complaint;
		return st;
	}
	return sandbox_load(ev->sandbox, err);
}

enum status evaluator_prepare(struct evaluator *ev, bool *has_complaint,
			      struct error *complaint, struct error *err)
{
	enum status st = load_sandbox(ev, has_complaint, complaint, err);

	if (st == ST_OK) {
		st = sandbox_prepare(
		    ev->sandbox,
		    sqlite3_mprintf("DELETE FROM main.%s", bare_name(ev->table)),
		    &ev->clear, err);
	}
	if (st == ST_OK) {
		st = sandbox_prepare(ev->sandbox, bare_insert(ev->table), &ev->write,
				     err);
	}
	return st;
}

/* Whatever SQLite calls them, its opcodes that call a function have that in their name.
 */
enum status evaluator_function_calls(struct evaluator *ev, uint32_t *calls,
				     struct error *err)
{
	sqlite3_stmt *explain = NULL;
	enum status st = sandbox_prepare(
	    ev->sandbox, virtual_select(ev, "EXPLAIN ", 0, ev->count), &explain, err);

	*calls = 0;
	while (st == ST_OK) {
		st = sandbox_step(ev->sandbox, explain, err);
		if (st == ST_OK) {
			*calls +=
			    sqlite3_strlike("%func%", sandbox_text(explain, 1), 0) == 0;
		}
	}
	(void)sqlite3_finalize(explain);
	return st == ST_END ? ST_OK : st;
}

void evaluator_limit(struct evaluator *ev, uint64_t bytes)
{
	if (bytes != ev->limit) {
		ev->limit = bytes;
		(void)sqlite3_limit(ev->sandbox->db, SQLITE_LIMIT_LENGTH,
				    bytes < INT_MAX ? (int)bytes : INT_MAX);
	}
}

/* ---- one row ---- */

/* SQLite takes a byte order mark off UTF-16 text that it is given; put one before
 * text that begins with one. */
static int bind_utf16(struct evaluator *ev, int parameter, const struct value *value)
{
	const uint8_t *p = value->bytes;
	const enum text_encoding encoding = ev->table->encoding;
	const uint8_t mark[] = {encoding == TEXT_UTF16LE ? 0xff : 0xfe,
				encoding == TEXT_UTF16LE ? 0xfe : 0xff};

	if (value->len < 2 ||
	    !((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff))) {
		return sqlite3_bind_text64(ev->write, parameter, (const char *)p,
					   value->len, SQLITE_STATIC,
					   (unsigned char)encoding);
	}
	buffer_reset(&ev->text);
	buffer_add(&ev->text, mark, sizeof mark);
	buffer_add(&ev->text, p, value->len);
	if (!buffer_ok(&ev->text)) {
		return SQLITE_NOMEM;
	}
	return sqlite3_bind_text64(ev->write, parameter, ev->text.bytes, ev->text.len,
				   SQLITE_TRANSIENT, (unsigned char)encoding);
}

static int bind_value(struct evaluator *ev, int parameter, const struct value *value)
{
	switch (value->class) {
	case VALUE_INTEGER:
		return sqlite3_bind_int64(ev->write, parameter, value->integer);
	case VALUE_REAL:
		return sqlite3_bind_double(ev->write, parameter, value->real);
	case VALUE_TEXT:
		if (ev->table->encoding != TEXT_UTF8) {
			return bind_utf16(ev, parameter, value);
		}
		return sqlite3_bind_text64(ev->write, parameter,
					   (const char *)value->bytes, value->len,
					   SQLITE_STATIC, SQLITE_UTF8);
	case VALUE_BLOB:
		return sqlite3_bind_blob64(ev->write, parameter, value->bytes,
					   value->len, SQLITE_STATIC);
	case VALUE_NULL:
	default:
		return sqlite3_bind_null(ev->write, parameter);
	}
}

enum status evaluator_write(struct evaluator *ev, int64_t rowid,
			    const struct value *values, struct error *err)
{
	const struct table *table = ev->table;
	int rc;

	ev->sandbox->ticks = 0;
	(void)sqlite3_step(ev->clear);
	rc = sqlite3_reset(ev->clear);
	if (rc == SQLITE_OK && !table->without_rowid) {
		rc = sqlite3_bind_int64(ev->write, 1, rowid);
	}
	for (uint32_t i = 0; i < table->stored_count && rc == SQLITE_OK; i++) {
		rc = bind_value(ev, (int)i + 2, &values[table->stored[i]]);
	}
	if (rc == SQLITE_OK) {
		(void)sqlite3_step(ev->write);
		rc = sqlite3_reset(ev->write);
	}
	return rc == SQLITE_OK ? ST_OK : sandbox_error(ev->sandbox->db, rc, err);
}

/* Append result column `index` to `bytes`; a pointer is kept as its offset there. */
static enum status take_value(struct evaluator *ev, sqlite3_stmt *read, int index,
			      struct value *out, struct buffer *bytes,
			      struct error *err)
{
	struct value value;

	if (sandbox_value(ev->sandbox, read, index, &value, err) != ST_OK) {
		return err->status;
	}
	if (value.class == VALUE_TEXT || value.class == VALUE_BLOB) {
		if (!buffer_reserve(bytes, (size_t)value.len + 1)) {
			return error_no_memory(err, "a value");
		}
		sandbox_copy(ev->sandbox, &value, (uint8_t *)bytes->bytes + bytes->len);
		value.integer = (int64_t)bytes->len;
		bytes->len += value.len;
	}
	*out = value;
	return ST_OK;
}

static enum status prepare_read(struct evaluator *ev, uint32_t first, uint32_t end,
				sqlite3_stmt **read, struct error *err)
{
	return *read ? ST_OK
		     : sandbox_prepare(ev->sandbox, virtual_select(ev, "", first, end),
				       read, err);
}

static enum status step(struct evaluator *ev, sqlite3_stmt *read, struct error *err)
{
	int rc;

	ev->sandbox->ticks = 0;
	rc = sqlite3_step(read);
	return rc == SQLITE_ROW ? ST_OK : sandbox_error(ev->sandbox->db, rc, err);
}

enum status evaluator_read_all(struct evaluator *ev, struct value *values,
			       struct buffer *bytes, struct error *err)
{
	int index = 0;
	enum status st = prepare_read(ev, 0, ev->count, &ev->read_all, err);

	if (st != ST_OK) {
		return st;
	}
	st = step(ev, ev->read_all, err);
	for (uint32_t i = 0; i < ev->count && st == ST_OK; i++) {
		const struct virtual_column *column = &ev->columns[i];

		if (!column->is_off) {
			st = take_value(ev, ev->read_all, index++,
					&values[column->column], bytes, err);
		}
	}
	(void)sqlite3_reset(ev->read_all);
	return st;
}

enum status evaluator_read_one(struct evaluator *ev, uint32_t index,
			       struct value *value, struct buffer *bytes,
			       bool *is_broken, struct error *err)
{
	struct virtual_column *column = &ev->columns[index];
	enum status st = prepare_read(ev, index, index + 1, &column->read, err);

	*is_broken = st != ST_OK;
	if (st == ST_OK) {
		st = step(ev, column->read, err);
		if (st == ST_OK) {
			st = take_value(ev, column->read, 0, value, bytes, err);
		}
		(void)sqlite3_reset(column->read);
	}
	return st;
}
