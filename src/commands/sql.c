/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/sql.c -- rowtail sql: rows of a query on a database as it was.
 *
 * One statement that returns rows and writes nothing. SQLite itself would refuse to
 * write, as the pages can only be read; that it asks for nothing else either (other
 * databases, settings) is seen to by an authorizer.
 *
 * ERRORS  ST_CONFIG: the statement cannot be run, or what is asked is not there.
 *         ST_CORRUPT: the database or the archive is damaged. Those of
 *         src/commands/sql_source.h. ST_IO, ST_NOMEM. ST_CLOSED.
 */

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "schemas/text_convert.h"
#include "src/base/buffer.h"
#include "src/base/stop.h"
#include "src/command_table.h"
#include "src/commands/sql_rows.h"
#include "src/commands/sql_source.h"

#define SQL_BYTES      (1u << 20) /* of a statement on stdin, at most */
#define STEPS_PER_TICK 10000      /* of SQLite's machine, between looks at a signal */

struct sql {
	struct sql_source *source;
	sqlite3 *db;
	sqlite3_stmt *statement;
	struct sql_rows *rows;
	enum text_encoding encoding; /* in which TEXT is asked for */
	uint32_t count;              /* of columns */
	struct value *values;
	struct buffer *texts; /* of each column: UTF-8 of UTF-16 */
};

/* ---- what a statement may do ---- */

/* A pragma that tells something of what its argument names. */
static bool is_question(const char *pragma)
{
	static const char *const all[] = {
	    "table_info",  "table_xinfo",     "table_list",       "index_list",
	    "index_info",  "index_xinfo",     "foreign_key_list", "foreign_key_check",
	    "quick_check", "integrity_check",
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (strcasecmp(all[i], pragma) == 0) {
			return true;
		}
	}
	return false;
}

static int authorize(void *context, int action, const char *first, const char *second,
		     const char *database, const char *trigger)
{
	(void)context, (void)database, (void)trigger;
	if (action == SQLITE_PRAGMA) {
		return !second || (first && is_question(first)) ? SQLITE_OK
								: SQLITE_DENY;
	}
	return action == SQLITE_ATTACH || action == SQLITE_DETACH ? SQLITE_DENY
								  : SQLITE_OK;
}

static int is_stopped(void *context)
{
	(void)context;
	return stop_requested;
}

/* ---- errors ---- */

/* SQLite's complaint, or the reason that its source had behind it. */
static enum status failed(const struct sql *q, enum status status, struct error *err)
{
	const struct error *source = sql_source_error(q->source);
	int code = sqlite3_errcode(q->db);

	if (source) {
		*err = *source;
		return err->status;
	}
	if (stop_requested) {
		return error_set(err, ST_IO, "interrupted, not all rows were printed");
	}
	if (code == SQLITE_NOMEM) {
		return error_no_memory(err, "SQLite");
	}
	if (code == SQLITE_AUTH) {
		return error_set(err, ST_CONFIG,
				 "the statement is not allowed here (%s): give a "
				 "SELECT",
				 sqlite3_errmsg(q->db));
	}
	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
		status = ST_CORRUPT;
	}
	return error_set(err, status, "SQLite: %s", sqlite3_errmsg(q->db));
}

/* ---- the statement ---- */

/* Is there anything but blanks, comments and semicolons? */
static bool has_more(const struct sql *q, const char *tail)
{
	while (*tail) {
		sqlite3_stmt *next = NULL;
		const char *behind = NULL;
		int rc = sqlite3_prepare_v2(q->db, tail, -1, &next, &behind);

		(void)sqlite3_finalize(next);
		if (rc != SQLITE_OK || next || !behind || behind == tail) {
			return true;
		}
		tail = behind;
	}
	return false;
}

static enum status prepare(struct sql *q, const char *text, struct error *err)
{
	const char *tail = NULL;

	if (sqlite3_prepare_v2(q->db, text, -1, &q->statement, &tail) != SQLITE_OK) {
		return failed(q, ST_CONFIG, err);
	}
	if (!q->statement) {
		return error_set(err, ST_CONFIG, "no statement given: give a SELECT");
	}
	if (!sqlite3_stmt_readonly(q->statement)) {
		return error_set(err, ST_CONFIG,
				 "the statement would write, but what is asked is only "
				 "read: give a SELECT");
	}
	if (sqlite3_column_count(q->statement) == 0) {
		return error_set(err, ST_CONFIG,
				 "the statement returns no rows: give a SELECT");
	}
	return has_more(q, tail)
		   ? error_set(err, ST_CONFIG,
			       "more than one statement: give them one by one")
		   : ST_OK;
}

/* TEXT of a database in UTF-16 is asked for as it is, so that what is broken in it is
 * seen here. */
static enum status find_encoding(struct sql *q, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	const unsigned char *name = NULL;

	q->encoding = TEXT_UTF8;
	if (sqlite3_prepare_v2(q->db, "PRAGMA encoding", -1, &statement, NULL) ==
		SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW) {
		name = sqlite3_column_text(statement, 0);
	}
	if (name && strncmp((const char *)name, "UTF-16", 6) == 0) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		q->encoding = TEXT_UTF16LE;
#else
		q->encoding = TEXT_UTF16BE;
#endif
	}
	(void)sqlite3_finalize(statement);
	return name ? ST_OK : failed(q, ST_CORRUPT, err);
}

/* ---- rows ---- */

static bool read_text(struct sql *q, int column, struct value *value)
{
	static const uint8_t nothing[1];
	const void *bytes;

	value->class = VALUE_TEXT;
	if (q->encoding == TEXT_UTF8) {
		bytes = sqlite3_column_text(q->statement, column);
		value->len = (uint32_t)sqlite3_column_bytes(q->statement, column);
	} else {
		bytes = sqlite3_column_text16(q->statement, column);
		value->len = (uint32_t)sqlite3_column_bytes16(q->statement, column);
	}
	value->bytes = bytes ? bytes : nothing;
	return bytes &&
	       (q->encoding == TEXT_UTF8 ||
		text_convert(value, 1, q->encoding, TEXT_UTF8, &q->texts[column]));
}

/* False: no memory. */
static bool read_value(struct sql *q, int column, struct value *value)
{
	static const uint8_t nothing[1];
	const void *bytes;

	*value = (struct value){.class = VALUE_NULL};
	switch (sqlite3_column_type(q->statement, column)) {
	case SQLITE_INTEGER:
		value->class = VALUE_INTEGER;
		value->integer = sqlite3_column_int64(q->statement, column);
		return true;
	case SQLITE_FLOAT:
		value->class = VALUE_REAL;
		value->real = sqlite3_column_double(q->statement, column);
		return true;
	case SQLITE_TEXT:
		return read_text(q, column, value);
	case SQLITE_BLOB:
		bytes = sqlite3_column_blob(q->statement, column);
		value->class = VALUE_BLOB;
		value->len = (uint32_t)sqlite3_column_bytes(q->statement, column);
		value->bytes = bytes ? bytes : nothing;
		return bytes || value->len == 0;
	default:
		return true;
	}
}

static enum status print_row(struct sql *q, struct error *err)
{
	for (uint32_t i = 0; i < q->count; i++) {
		if (!read_value(q, (int)i, &q->values[i])) {
			return error_no_memory(err, "a row");
		}
	}
	return sql_rows_put(q->rows, q->values, err);
}

static enum status print_rows(struct sql *q, struct error *err)
{
	enum status status = ST_OK;
	int rc;

	while (status == ST_OK && (rc = sqlite3_step(q->statement)) != SQLITE_DONE) {
		if (rc != SQLITE_ROW) {
			struct error ignored;

			/* What is there is printed; the error says it is not all. */
			status = failed(q, ST_IO, err);
			(void)!sql_rows_end(q->rows, &ignored);
			return status;
		}
		status = stop_requested ? failed(q, ST_IO, err) : print_row(q, err);
	}
	return status == ST_OK ? sql_rows_end(q->rows, err) : status;
}

static enum status check_source(void *context, struct error *err)
{
	return sql_source_check(context, err);
}

/* Of the names and the room for values. */
static enum status open_rows(struct sql *q, enum sql_format format, struct error *err)
{
	const char **names;
	enum status status;

	q->count = (uint32_t)sqlite3_column_count(q->statement);
	q->values = calloc(q->count, sizeof *q->values);
	q->texts = calloc(q->count, sizeof *q->texts);
	names = calloc(q->count, sizeof *names);
	if (!q->values || !q->texts || !names) {
		free(names);
		return error_no_memory(err, "a row");
	}
	for (uint32_t i = 0; i < q->count; i++) {
		names[i] = sqlite3_column_name(q->statement, (int)i);
	}
	status =
	    sql_rows_open(format, names, q->count,
			  (struct sql_check){check_source, q->source}, &q->rows, err);
	free(names);
	return status;
}

static enum status query(struct sql *q, const char *text, enum sql_format format,
			 struct error *err)
{
	enum status status = find_encoding(q, err);

	if (status == ST_OK) {
		(void)sqlite3_set_authorizer(q->db, authorize, NULL);
		sqlite3_progress_handler(q->db, STEPS_PER_TICK, is_stopped, NULL);
		status = prepare(q, text, err);
	}
	if (status == ST_OK) {
		status = open_rows(q, format, err);
	}
	if (status == ST_OK) {
		status = print_rows(q, err);
	}
	for (uint32_t i = 0; q->texts && i < q->count; i++) {
		buffer_clear(&q->texts[i]);
	}
	free(q->texts);
	free(q->values);
	sql_rows_close(q->rows);
	(void)sqlite3_finalize(q->statement);
	return status;
}

/* ---- the command ---- */

static enum status read_format(const char *name, enum sql_format *format,
			       struct error *err)
{
	if (!name) {
		*format = isatty(STDOUT_FILENO) ? SQL_TABLE : SQL_JSON;
	} else if (strcmp(name, "json") == 0) {
		*format = SQL_JSON;
	} else if (strcmp(name, "csv") == 0) {
		*format = SQL_CSV;
	} else if (strcmp(name, "table") == 0) {
		*format = SQL_TABLE;
	} else {
		return error_set(err, ST_CONFIG,
				 "--format=%s: must be json, csv or table", name);
	}
	return ST_OK;
}

/* All of stdin, and a NUL behind it. */
static enum status read_stdin(struct buffer *text, struct error *err)
{
	size_t got;

	do {
		if (!buffer_reserve(text, 4096)) {
			return error_no_memory(err, "the statement");
		}
		got = fread(text->bytes + text->len, 1, 4096, stdin);
		text->len += got;
	} while (got > 0 && text->len <= SQL_BYTES);
	if (ferror(stdin)) {
		return error_set_errno(err, errno, "stdin cannot be read");
	}
	if (text->len > SQL_BYTES) {
		return error_set(err, ST_CONFIG,
				 "the statement on stdin has more than %u bytes: give "
				 "a shorter one",
				 SQL_BYTES);
	}
	buffer_add_char(text, '\0');
	return buffer_ok(text) ? ST_OK : error_no_memory(err, "the statement");
}

static enum status run(const struct config *config, struct error *err)
{
	struct sql q = {0};
	struct buffer text;
	enum sql_format format = SQL_JSON;
	enum status status = read_format(config->format, &format, err);

	buffer_init(&text);
	if (status == ST_OK && strcmp(config->words[1], "-") == 0) {
		status = read_stdin(&text, err);
	}
	if (status == ST_OK) {
		status = stop_without_deadline(err);
	}
	if (status == ST_OK) {
		status = sql_source_open(config->words[0], config->at, config,
					 &q.source, err);
	}
	if (status == ST_OK) {
		q.db = sql_source_db(q.source);
		status = query(&q, text.len > 0 ? text.bytes : config->words[1], format,
			       err);
	}
	sql_source_close(q.source);
	buffer_clear(&text);
	return status == ST_STOPPED
		   ? error_set(err, ST_IO, "interrupted, not all rows were printed")
		   : status;
}

static const char *const forms[] = {"SOURCE STATEMENT", NULL};

const struct command sql_command = {
    .name = "sql",
    .usage = "SOURCE SQL [--at WHEN] [--format=json|csv|table]",
    .forms = forms,
    .help = "print the rows of a query on the database as it was;\n"
	    "SOURCE is an archive, a state directory or a database\n",
    .words = 2,
    .takes_at = true,
    .takes_format = true,
    .run = run,
};
