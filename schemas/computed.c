/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/computed.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "schemas/sandbox.h"
#include "src/base/log.h"
#include "src/base/utf8.h"

#define LENGTH_BASE  (64 << 20) /* bytes that any value may have */
#define LENGTH_RATIO 4          /* and this often the bytes of its row */

struct virtual_column {
	uint32_t column;    /* of the table */
	sqlite3_stmt *read; /* it alone; NULL: not prepared */
	bool is_broken;     /* cannot be prepared: always NULL */
	bool is_warned;
};

struct computed {
	const struct table *table;
	pthread_mutex_t lock; /* guards everything below */
	struct sandbox *sandbox;
	sqlite3_stmt *clear;
	sqlite3_stmt *write;
	sqlite3_stmt
	    *read_all;      /* every column that is not broken; NULL: there is none */
	struct buffer text; /* scratch for binding */
	int length_limit;   /* bytes */
	bool is_open;
	bool is_warned; /* of a row that cannot be written */
	uint32_t count;
	struct virtual_column columns[];
};

/* --- opening ---------------------------------------------------------------------- */

enum status computed_open(const struct table *table, struct computed **out,
			  struct error *err)
{
	struct computed *computed;
	uint32_t count = 0;

	for (uint32_t i = 0; i < table->column_count; i++) {
		count += table->columns[i].generated == GENERATED_VIRTUAL;
	}
	computed = calloc(1, sizeof *computed + count * sizeof computed->columns[0]);
	if (!computed) {
		return error_set(err, ST_NOMEM, "out of memory for computed columns");
	}
	if (pthread_mutex_init(&computed->lock, NULL) != 0) {
		free(computed);
		return error_set(err, ST_NOMEM, "out of memory for a mutex");
	}
	computed->table = table;
	buffer_init(&computed->text);
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].generated == GENERATED_VIRTUAL) {
			computed->columns[computed->count++].column = i;
		}
	}
	*out = computed;
	return ST_OK;
}

/* Take back what open_once made. */
static void shut(struct computed *computed)
{
	for (uint32_t i = 0; i < computed->count; i++) {
		(void)sqlite3_finalize(computed->columns[i].read);
		computed->columns[i].read = NULL;
	}
	(void)sqlite3_finalize(computed->clear);
	(void)sqlite3_finalize(computed->write);
	(void)sqlite3_finalize(computed->read_all);
	computed->clear = computed->write = computed->read_all = NULL;
	sandbox_close(computed->sandbox);
	computed->sandbox = NULL;
}

void computed_close(struct computed *computed)
{
	if (!computed) {
		return;
	}
	shut(computed);
	buffer_clear(&computed->text);
	(void)pthread_mutex_destroy(&computed->lock);
	free(computed);
}

/* --- warnings --------------------------------------------------------------------- */

static void warn_column(struct computed *computed, struct virtual_column *column,
			const char *why)
{
	if (!column->is_warned) {
		column->is_warned = true;
		log_warn("table \"%s\": generated column \"%s\" cannot be computed and "
			 "is null: %s",
			 SHORT_NAME(computed->table->name),
			 SHORT_NAME(computed->table->columns[column->column].name),
			 why);
	}
}

static void warn_table(struct computed *computed, const char *why)
{
	if (!computed->is_warned) {
		computed->is_warned = true;
		log_warn("table \"%s\": not every generated column can be computed; "
			 "one that cannot is null: %s",
			 SHORT_NAME(computed->table->name), why);
	}
}

/* --- preparing -------------------------------------------------------------------- */

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

/* SELECT of the columns [first, end) that are not broken; they are qualified so that
 * no name is ever taken for a string. */
static char *virtual_select(const struct computed *computed, uint32_t first,
			    uint32_t end)
{
	const struct table *table = computed->table;
	sqlite3_str *sql = sqlite3_str_new(NULL);
	const char *comma = "";

	sqlite3_str_appendf(sql, "SELECT ");
	for (uint32_t i = first; i < end; i++) {
		if (!computed->columns[i].is_broken) {
			uint32_t column = computed->columns[i].column;

			sqlite3_str_appendf(sql, "%st.\"%w\"", comma,
					    table->columns[column].name);
			comma = ",";
		}
	}
	sqlite3_str_appendf(sql, " FROM main.\"%w\" AS t NOT INDEXED", table->name);
	return sqlite3_str_finish(sql);
}

static enum status load_sandbox(struct computed *computed, struct error *err)
{
	const struct table *table = computed->table;
	const uint32_t root =
	    table->without_rowid ? SANDBOX_INDEX_ROOT : SANDBOX_TABLE_ROOT;
	const char *bare = bare_name(table);
	char *definition = bare_definition(table);
	enum status st;

	if (!definition) {
		return error_set(err, ST_NOMEM, "out of memory for a statement");
	}
	st = sandbox_open(table->encoding, &computed->sandbox, err);
	if (st == ST_OK) {
		st = sandbox_add(computed->sandbox, "table", bare, bare, root,
				 definition, err);
	}
	sqlite3_free(definition);
	if (st == ST_OK) {
		st = sandbox_add(computed->sandbox, "table", table->name, table->name,
				 root, table->sql, err);
	}
	if (st != ST_OK) {
		return st;
	}
	st = sandbox_check(computed->sandbox, err);
	if (st == ST_CORRUPT) {
		warn_table(computed, err->text);
	}
	return st == ST_NOMEM ? st : sandbox_load(computed->sandbox, err);
}

/* Prepare each column alone, mark the broken ones, and all others together. */
static enum status prepare_sound(struct computed *computed, struct error *err)
{
	bool has_sound = false;

	for (uint32_t i = 0; i < computed->count; i++) {
		struct virtual_column *column = &computed->columns[i];
		enum status st = sandbox_prepare(computed->sandbox,
						 virtual_select(computed, i, i + 1),
						 &column->read, err);

		if (st == ST_NOMEM) {
			return st;
		}
		if (st != ST_OK) {
			warn_column(computed, column, err->text);
		}
		column->is_broken = st != ST_OK;
		has_sound = has_sound || st == ST_OK;
	}
	if (!has_sound) {
		return ST_OK;
	}
	return sandbox_prepare(computed->sandbox,
			       virtual_select(computed, 0, computed->count),
			       &computed->read_all, err);
}

static enum status prepare(struct computed *computed, struct error *err)
{
	enum status st = load_sandbox(computed, err);

	if (st == ST_OK) {
		st = sandbox_prepare(
		    computed->sandbox,
		    sqlite3_mprintf("DELETE FROM main.%s", bare_name(computed->table)),
		    &computed->clear, err);
	}
	if (st == ST_OK) {
		st = sandbox_prepare(computed->sandbox, bare_insert(computed->table),
				     &computed->write, err);
	}
	if (st != ST_OK) {
		return st;
	}
	st = sandbox_prepare(computed->sandbox,
			     virtual_select(computed, 0, computed->count),
			     &computed->read_all, err);
	return st == ST_CORRUPT ? prepare_sound(computed, err) : st;
}

/* Prepare once; afterwards read_all is NULL if nothing can be computed. */
static enum status open_once(struct computed *computed, struct error *err)
{
	enum status st;

	if (computed->is_open) {
		return ST_OK;
	}
	st = prepare(computed, err);
	if (st == ST_OK) {
		computed->length_limit =
		    sqlite3_limit(computed->sandbox->db, SQLITE_LIMIT_LENGTH, -1);
		computed->is_open = true;
		return ST_OK;
	}
	shut(computed);
	if (st == ST_NOMEM) {
		return st;
	}
	warn_table(computed, err->text);
	computed->is_open = true;
	return ST_OK;
}

/* --- one row ---------------------------------------------------------------------- */

/* SQLite takes a byte order mark off UTF-16 text that it is given; put one before
 * text that begins with one. */
static int bind_utf16(struct computed *computed, int parameter,
		      const struct value *value)
{
	const uint8_t *p = value->bytes;
	const enum text_encoding encoding = computed->table->encoding;
	const uint8_t mark[] = {encoding == TEXT_UTF16LE ? 0xff : 0xfe,
				encoding == TEXT_UTF16LE ? 0xfe : 0xff};

	if (value->len < 2 ||
	    !((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff))) {
		return sqlite3_bind_text64(computed->write, parameter, (const char *)p,
					   value->len, SQLITE_STATIC,
					   (unsigned char)encoding);
	}
	buffer_reset(&computed->text);
	buffer_add(&computed->text, mark, sizeof mark);
	buffer_add(&computed->text, p, value->len);
	if (!buffer_ok(&computed->text)) {
		return SQLITE_NOMEM;
	}
	return sqlite3_bind_text64(computed->write, parameter, computed->text.bytes,
				   computed->text.len, SQLITE_TRANSIENT,
				   (unsigned char)encoding);
}

static int bind_value(struct computed *computed, int parameter,
		      const struct value *value)
{
	switch (value->class) {
	case VALUE_INTEGER:
		return sqlite3_bind_int64(computed->write, parameter, value->integer);
	case VALUE_REAL:
		return sqlite3_bind_double(computed->write, parameter, value->real);
	case VALUE_TEXT:
		if (computed->table->encoding != TEXT_UTF8) {
			return bind_utf16(computed, parameter, value);
		}
		return sqlite3_bind_text64(computed->write, parameter,
					   (const char *)value->bytes, value->len,
					   SQLITE_STATIC, SQLITE_UTF8);
	case VALUE_BLOB:
		return sqlite3_bind_blob64(computed->write, parameter, value->bytes,
					   value->len, SQLITE_STATIC);
	case VALUE_NULL:
	default:
		return sqlite3_bind_null(computed->write, parameter);
	}
}

/* Let values grow with the row, but not without bounds. */
static void limit_length(struct computed *computed, const struct value *values)
{
	uint64_t limit = 0;

	for (uint32_t i = 0; i < computed->table->stored_count; i++) {
		const struct value *value = &values[computed->table->stored[i]];

		if (value->class == VALUE_TEXT || value->class == VALUE_BLOB) {
			limit += value->len;
		}
	}
	limit = limit * LENGTH_RATIO + LENGTH_BASE;
	limit = limit < INT_MAX ? limit : INT_MAX;
	if ((int)limit != computed->length_limit) {
		computed->length_limit = (int)limit;
		(void)sqlite3_limit(computed->sandbox->db, SQLITE_LIMIT_LENGTH,
				    (int)limit);
	}
}

static int write_row(struct computed *computed, int64_t rowid,
		     const struct value *values)
{
	const struct table *table = computed->table;
	int rc;

	(void)sqlite3_step(computed->clear);
	rc = sqlite3_reset(computed->clear);
	if (rc == SQLITE_OK && !table->without_rowid) {
		rc = sqlite3_bind_int64(computed->write, 1, rowid);
	}
	for (uint32_t i = 0; i < table->stored_count && rc == SQLITE_OK; i++) {
		rc = bind_value(computed, (int)i + 2, &values[table->stored[i]]);
	}
	if (rc == SQLITE_OK) {
		(void)sqlite3_step(computed->write);
		rc = sqlite3_reset(computed->write);
	}
	return rc;
}

/* Append result column `index` to `bytes`; a pointer is kept as its offset there. */
static enum status take_value(struct computed *computed, sqlite3_stmt *read, int index,
			      struct value *out, struct buffer *bytes,
			      struct error *err)
{
	struct value value;

	if (sandbox_value(computed->sandbox, read, index, &value, err) != ST_OK) {
		return err->status;
	}
	if (value.class == VALUE_TEXT || value.class == VALUE_BLOB) {
		if (!buffer_reserve(bytes, (size_t)value.len + 1)) {
			return error_set(err, ST_NOMEM, "out of memory for a value");
		}
		sandbox_copy(computed->sandbox, &value,
			     (uint8_t *)bytes->bytes + bytes->len);
		value.integer = (int64_t)bytes->len;
		bytes->len += value.len;
	}
	*out = value;
	return ST_OK;
}

/* Read every column at once; when one of them fails, `*is_done` is false and nothing in
 * `values` counts. */
static enum status read_together(struct computed *computed, struct value *values,
				 struct buffer *bytes, bool *is_done, struct error *err)
{
	enum status st = ST_OK;
	int index = 0;
	int rc = sqlite3_step(computed->read_all);

	*is_done = rc == SQLITE_ROW;
	for (uint32_t i = 0; i < computed->count && *is_done && st == ST_OK; i++) {
		const struct virtual_column *column = &computed->columns[i];

		if (!column->is_broken) {
			st = take_value(computed, computed->read_all, index++,
					&values[column->column], bytes, err);
		}
	}
	(void)sqlite3_reset(computed->read_all);
	return rc == SQLITE_NOMEM ? sandbox_error(NULL, rc, err) : st;
}

static enum status read_alone(struct computed *computed, struct virtual_column *column,
			      struct value *values, struct buffer *bytes,
			      struct error *err)
{
	uint32_t i = (uint32_t)(column - computed->columns);
	enum status st = ST_OK;
	int rc;

	values[column->column] = (struct value){.class = VALUE_NULL};
	if (column->is_broken) {
		return ST_OK;
	}
	if (!column->read &&
	    sandbox_prepare(computed->sandbox, virtual_select(computed, i, i + 1),
			    &column->read, err) != ST_OK) {
		return err->status;
	}
	computed->sandbox->ticks = 0;
	rc = sqlite3_step(column->read);
	if (rc == SQLITE_ROW) {
		st = take_value(computed, column->read, 0, &values[column->column],
				bytes, err);
	} else {
		st = sandbox_error(computed->sandbox->db, rc, err);
		if (st != ST_NOMEM) {
			warn_column(computed, column, err->text);
			st = ST_OK;
		}
	}
	(void)sqlite3_reset(column->read);
	return st;
}

static enum status read_row(struct computed *computed, struct value *values,
			    struct buffer *bytes, struct error *err)
{
	bool is_done;
	enum status st = read_together(computed, values, bytes, &is_done, err);

	if (st != ST_OK || is_done) {
		return st;
	}
	buffer_reset(bytes);
	for (uint32_t i = 0; i < computed->count && st == ST_OK; i++) {
		st = read_alone(computed, &computed->columns[i], values, bytes, err);
	}
	return st;
}

static enum status fill(struct computed *computed, int64_t rowid, struct value *values,
			struct buffer *bytes, struct error *err)
{
	int rc;

	for (uint32_t i = 0; i < computed->count; i++) {
		values[computed->columns[i].column] =
		    (struct value){.class = VALUE_NULL};
	}
	if (open_once(computed, err) != ST_OK) {
		return err->status;
	}
	if (!computed->read_all) {
		return ST_OK;
	}
	computed->sandbox->ticks = 0;
	limit_length(computed, values);
	rc = write_row(computed, rowid, values);
	if (rc != SQLITE_OK) {
		enum status st = sandbox_error(computed->sandbox->db, rc, err);

		if (st != ST_NOMEM) {
			warn_table(computed, err->text);
		}
		return st == ST_NOMEM ? st : ST_OK;
	}
	return read_row(computed, values, bytes, err);
}

enum status computed_fill(struct computed *computed, int64_t rowid,
			  struct value *values, struct buffer *bytes, struct error *err)
{
	enum status st;

	buffer_reset(bytes);
	(void)pthread_mutex_lock(&computed->lock);
	st = fill(computed, rowid, values, bytes, err);
	(void)pthread_mutex_unlock(&computed->lock);
	for (uint32_t i = 0; i < computed->count && st == ST_OK; i++) {
		struct value *value = &values[computed->columns[i].column];

		if (value->class == VALUE_TEXT || value->class == VALUE_BLOB) {
			value->bytes = (const uint8_t *)bytes->bytes + value->integer;
		}
	}
	return st;
}
