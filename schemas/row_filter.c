/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/row_filter.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/view_vfs.h"
#include "src/base/stop.h"
#include "src/base/utf8.h"

/* Virtual machine steps between two looks at stop_requested, and how many of them one
 * row may take: minutes. */
#define STEPS_PER_TICK 100000
#define TICKS_MAX      20000
/* Of a value, in bytes: what a text could have SQLite make is otherwise a GiB each. */
#define LENGTH_MAX (64 << 20)

struct row_filter {
	const struct table *table;
	struct view_vfs *vfs;
	sqlite3 *db;
	sqlite3_stmt *statement;
	/* The row that is asked for; borrowed. */
	int64_t rowid;
	const struct value *key;
	uint32_t ticks;
};

static enum status no_memory(struct error *err)
{
	return error_no_memory(err, "a filter of rows");
}

/* SQLite's complaint, or the reason behind it. */
static enum status failed(const struct row_filter *filter, struct error *err)
{
	const struct error *source = view_vfs_error(filter->vfs);
	int rc = sqlite3_errcode(filter->db);

	if (source) {
		*err = *source;
		return err->status;
	}
	if (rc == SQLITE_NOMEM) {
		return no_memory(err);
	}
	if (rc == SQLITE_INTERRUPT && stop_requested) {
		return error_set(err, ST_STOPPED, "stopped");
	}
	return error_set(err, ST_CONFIG, "filter of table %s: %s",
			 SHORT_NAME(filter->table->name),
			 rc == SQLITE_INTERRUPT ? "it takes too long for one row"
						: sqlite3_errmsg(filter->db));
}

static enum status refuse(const struct row_filter *filter, const char *why,
			  struct error *err)
{
	return error_set(err, ST_CONFIG, "filter of table %s: %s",
			 SHORT_NAME(filter->table->name), why);
}

/* ---- what the statement asks us ---- */

static int is_too_long(void *context)
{
	struct row_filter *filter = context;

	return stop_requested || ++filter->ticks > TICKS_MAX;
}

static uint32_t key_count(const struct table *table)
{
	return table->without_rowid ? table->tree_key_count : 1;
}

static unsigned char encoding_of(const struct table *table)
{
	return table->encoding == TEXT_UTF8      ? SQLITE_UTF8
	       : table->encoding == TEXT_UTF16LE ? SQLITE_UTF16LE
						 : SQLITE_UTF16BE;
}

/* rowtail_key(anything, place): a value of the key. Whoever wrote the filter can call
 * it, too. */
static void give_key(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	const struct row_filter *filter = sqlite3_user_data(context);
	sqlite3_int64 place = sqlite3_value_int64(arguments[count - 1]);
	const struct value *value;

	if (!filter->key || place < 0 || place >= key_count(filter->table)) {
		sqlite3_result_null(context);
		return;
	}
	value = &filter->key[place];
	switch (value->class) {
	case VALUE_INTEGER:
		sqlite3_result_int64(context, value->integer);
		break;
	case VALUE_REAL:
		sqlite3_result_double(context, value->real);
		break;
	case VALUE_TEXT:
		sqlite3_result_text64(context, (const char *)value->bytes, value->len,
				      SQLITE_TRANSIENT, encoding_of(filter->table));
		break;
	case VALUE_BLOB:
		sqlite3_result_blob64(context, value->bytes, value->len,
				      SQLITE_TRANSIENT);
		break;
	case VALUE_NULL:
	default:
		sqlite3_result_null(context);
		break;
	}
}

/* ---- the statement ---- */

/* A name by which the rowid can be had; NULL: columns have taken all of them. */
static const char *rowid_name(const struct table *table)
{
	static const char *const names[] = {"rowid", "_rowid_", "oid"};

	for (uint32_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].is_rowid) {
			return table->columns[i].name;
		}
	}
	for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
		uint32_t i = 0;

		while (i < table->column_count &&
		       sqlite3_stricmp(table->columns[i].name, names[n]) != 0) {
			i++;
		}
		if (i == table->column_count) {
			return names[n];
		}
	}
	return NULL;
}

/* The collation of the tree: there are no two rows that it calls equal. */
static const char *collation_name(enum collation collation)
{
	return collation == COLLATION_NOCASE  ? "NOCASE"
	       : collation == COLLATION_RTRIM ? "RTRIM"
					      : "BINARY";
}

#define ROWS  "\"rowtail rows\""
#define PLACE "\"rowtail place\""

/* SELECT 1 of the row asked for. */
static void add_row(sqlite3_str *sql, const struct table *table)
{
	sqlite3_str_appendf(sql, "SELECT 1 FROM main.\"%w\" NOT INDEXED WHERE ",
			    table->name);
	if (!table->without_rowid) {
		sqlite3_str_appendf(sql, "\"%w\" = rowtail_key(" PLACE ", 0)",
				    rowid_name(table));
	}
	for (uint32_t i = 0; i < table->tree_key_count; i++) {
		sqlite3_str_appendf(
		    sql, "%s\"%w\" COLLATE %s IS rowtail_key(" PLACE ", %u)",
		    i > 0 ? " AND " : "", table->columns[table->stored[i]].name,
		    collation_name(table->tree_key[i].collation), i);
	}
}

/*
 * Each step gives a row: 1 fulfilled, 0 not fulfilled, NULL there is no such row.
 * PLACE, which the key does not depend on, keeps SQLite from asking once for all.
 */
static char *make_statement(const struct table *table, const char *where)
{
	sqlite3_str *sql = sqlite3_str_new(NULL);

	sqlite3_str_appendall(
	    sql, "WITH RECURSIVE " ROWS "(" PLACE ") AS (VALUES(0) UNION "
		 "ALL SELECT 1 - " PLACE " FROM " ROWS ") SELECT CASE WHEN EXISTS (");
	add_row(sql, table);
	/* The line end ends a comment. */
	sqlite3_str_appendf(sql, " AND (%s\n)) THEN 1 WHEN EXISTS (", where);
	add_row(sql, table);
	sqlite3_str_appendall(sql, ") THEN 0 END FROM " ROWS);
	return sqlite3_str_finish(sql);
}

static enum status prepare(struct row_filter *filter, char *sql, struct error *err)
{
	const char *tail = NULL;
	enum status status = ST_OK;

	if (!sql) {
		return no_memory(err);
	}
	if (sqlite3_prepare_v2(filter->db, sql, -1, &filter->statement, &tail) !=
	    SQLITE_OK) {
		status = failed(filter, err);
	} else if (!filter->statement || (tail && *tail != '\0') ||
		   !sqlite3_stmt_readonly(filter->statement)) {
		status = refuse(filter, "it is not one expression", err);
	} else if (sqlite3_bind_parameter_count(filter->statement) > 0) {
		status = refuse(filter, "it has parameters", err);
	}
	sqlite3_free(sql);
	return status;
}

/*
 * The text alone behind a WHERE: what opens and closes parentheses in another order
 * than one expression does is no statement then. What is one and more than an
 * expression (GROUP BY, UNION, a second statement, a comment without an end) is none
 * between parentheses, where it is put afterwards.
 */
static enum status check_alone(struct row_filter *filter, const char *where,
			       struct error *err)
{
	char *sql = sqlite3_mprintf("SELECT 1 FROM main.\"%w\" WHERE %s\n",
				    filter->table->name, where);
	enum status status = prepare(filter, sql, err);

	(void)sqlite3_finalize(filter->statement);
	filter->statement = NULL;
	return status;
}

static enum status check_table(const struct row_filter *filter, struct error *err)
{
	const struct table *table = filter->table;

	if (!table->without_rowid && !rowid_name(table)) {
		return refuse(filter,
			      "its columns hide rowid, _rowid_ and oid, so SQLite "
			      "cannot be asked for one row",
			      err);
	}
	for (uint32_t i = 0; i < table->tree_key_count; i++) {
		if (table->tree_key[i].collation == COLLATION_OTHER) {
			return refuse(filter,
				      "its key has a collation of the application's, "
				      "so SQLite cannot be asked for one row",
				      err);
		}
	}
	return ST_OK;
}

static enum status connect(struct row_filter *filter, struct page_source *source,
			   struct error *err)
{
	int rc;

	if (view_vfs_open(source, &filter->vfs, err) != ST_OK ||
	    view_vfs_connect(filter->vfs, &filter->db, err) != ST_OK) {
		return err->status;
	}
	(void)sqlite3_limit(filter->db, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
	sqlite3_progress_handler(filter->db, STEPS_PER_TICK, is_too_long, filter);
	rc = sqlite3_create_function_v2(filter->db, "rowtail_key", 2, SQLITE_UTF8,
					filter, give_key, NULL, NULL, NULL);
	return rc == SQLITE_OK ? ST_OK : failed(filter, err);
}

enum status row_filter_open(struct page_source *source, const struct table *table,
			    const char *where, struct row_filter **out,
			    struct error *err)
{
	struct row_filter *filter = calloc(1, sizeof *filter);

	if (!filter) {
		return no_memory(err);
	}
	filter->table = table;
	if (check_table(filter, err) != ST_OK ||
	    connect(filter, source, err) != ST_OK ||
	    check_alone(filter, where, err) != ST_OK ||
	    prepare(filter, make_statement(table, where), err) != ST_OK) {
		row_filter_close(filter);
		return err->status;
	}
	*out = filter;
	return ST_OK;
}

void row_filter_close(struct row_filter *filter)
{
	if (filter) {
		(void)sqlite3_finalize(filter->statement);
		(void)sqlite3_close(filter->db);
		view_vfs_close(filter->vfs);
		free(filter);
	}
}

enum status row_filter_ask(struct row_filter *filter, int64_t rowid,
			   const struct value *key, bool *is_fulfilled,
			   struct error *err)
{
	struct value value = {.class = VALUE_INTEGER, .integer = rowid};

	filter->key = filter->table->without_rowid ? key : &value;
	filter->ticks = 0;
	if (sqlite3_step(filter->statement) != SQLITE_ROW) {
		return failed(filter, err);
	}
	if (sqlite3_column_type(filter->statement, 0) == SQLITE_NULL) {
		return refuse(filter, "SQLite does not find a row by its key", err);
	}
	*is_fulfilled = sqlite3_column_int(filter->statement, 0) != 0;
	return ST_OK;
}
