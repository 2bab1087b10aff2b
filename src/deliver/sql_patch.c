/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/sql_patch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "btree/db_header.h"
#include "btree/record.h"
#include "schemas/sql_text.h"
#include "schemas/table_filter.h"
#include "src/base/bytes.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"
#include "src/decode/row_diff.h"
#include "src/deliver/sql_schema.h"

#define SEQUENCE    "sqlite_sequence"
#define LITESTREAM  "_litestream_" /* statements are exact: they change these, too */
#define FLUSH_BYTES (64u << 10)

/* Places in page 1 that PRAGMAs set. */
#define AT_USER_VERSION   60
#define AT_APPLICATION_ID 68

struct sql_patch {
	struct sql_patch_settings settings;
	struct buffer text;
	struct buffer scratch;
	struct sql_schema schema;
	const struct catalog *catalog; /* the newest */
	enum text_encoding into; /* of the old state, which the statements change */
	bool has_begun;          /* there is a statement */
	bool had_sequence;       /* the old state has sqlite_sequence */
	bool sequence_changes;

	/* The table at hand; NULL: none. */
	const struct table *table;
	bool is_refilled;         /* its rowid has no name */
	bool refill_is_due;       /* and it has changed */
	const char *rowid_name;   /* NULL: it is named by its key */
	const char *rowid_column; /* the key that is the rowid; NULL: none */
	bool checks_bytes;        /* a key may be equal without being the same */
	struct buffer insert;     /* "INSERT INTO … VALUES(" */
	struct buffer name;
};

/* ---- output ---- */

static enum status flush(struct sql_patch *patch, struct error *err)
{
	struct buffer *text = &patch->text;

	if (!buffer_ok(text)) {
		return error_no_memory(err, "a statement");
	}
	errno = 0;
	if (text->len > 0 &&
	    fwrite(text->bytes, 1, text->len, patch->settings.out) != text->len) {
		return errno == EPIPE
			   ? error_set(err, ST_CLOSED, "the reader went away")
			   : error_set_errno(err, errno, "cannot write the statements");
	}
	buffer_reset(text);
	return ST_OK;
}

static enum status flush_if_full(struct sql_patch *patch, struct error *err)
{
	if (*patch->settings.stop) {
		return error_set(err, ST_STOPPED, "stopped");
	}
	return patch->text.len < FLUSH_BYTES && buffer_ok(&patch->text)
		   ? ST_OK
		   : flush(patch, err);
}

/* Before the first statement. */
static void begin(struct sql_patch *patch)
{
	struct buffer *b = &patch->text;

	if (patch->has_begun) {
		return;
	}
	patch->has_begun = true;
	buffer_add_buffer(b, &patch->schema.remarks);
	if (patch->schema.has_actions) {
		buffer_add_str(b, "-- Actions of foreign keys would change rows once "
				  "more.\nPRAGMA foreign_keys=OFF;\n");
	}
	buffer_add_str(b, "BEGIN;\nPRAGMA defer_foreign_keys=ON;\n");
}

static void add_value(struct sql_patch *patch, const struct value *value)
{
	sql_add_value(&patch->text, value, patch->table->encoding, patch->into,
		      &patch->scratch);
}

/* ---- the table at hand ---- */

static bool has_column(const struct table *table, const char *name)
{
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (strcasecmp(table->columns[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

static const char *free_rowid_name(const struct table *table)
{
	static const char *const names[] = {"rowid", "_rowid_", "oid"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!has_column(table, names[i])) {
			return names[i];
		}
	}
	return NULL;
}

static void choose_address(struct sql_patch *patch)
{
	const struct table *table = patch->table;

	patch->rowid_name = patch->rowid_column = NULL;
	patch->is_refilled = false;
	patch->checks_bytes = strcasestr(table->sql, "collate") != NULL;
	if (table->without_rowid) {
		return;
	}
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].is_rowid) {
			patch->rowid_column = table->columns[i].name;
		}
	}
	if (!patch->rowid_column) {
		patch->rowid_name = free_rowid_name(table);
		patch->is_refilled = !patch->rowid_name;
	}
}

static enum status enter(struct sql_patch *patch, const struct table *table,
			 struct error *err)
{
	struct buffer *b = &patch->insert;
	const char *comma = "";

	patch->table = table;
	choose_address(patch);
	buffer_reset(&patch->name);
	sql_add_name(&patch->name, table->name);
	buffer_reset(b);
	buffer_add_str(b, "INSERT INTO ");
	buffer_add_buffer(b, &patch->name);
	buffer_add_char(b, '(');
	if (patch->rowid_name) {
		buffer_add_str(b, patch->rowid_name);
		comma = ",";
	}
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].generated == GENERATED_NO) {
			buffer_add_str(b, comma);
			sql_add_name(b, table->columns[i].name);
			comma = ",";
		}
	}
	buffer_add_str(b, ") VALUES(");
	return buffer_ok(b) && buffer_ok(&patch->name)
		   ? ST_OK
		   : error_no_memory(err, "a statement");
}

/* ---- statements ---- */

static void add_insert(struct sql_patch *patch, const struct change *change)
{
	const struct table *table = patch->table;
	struct buffer *b = &patch->text;
	const char *comma = "";

	buffer_add_buffer(b, &patch->insert);
	if (patch->rowid_name) {
		buffer_add_i64(b, change->rowid);
		comma = ",";
	}
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].generated == GENERATED_NO) {
			buffer_add_str(b, comma);
			add_value(patch, &change->after[i]);
			comma = ",";
		}
	}
	buffer_add_str(b, ");\n");
}

static void add_equal(struct sql_patch *patch, const char *name,
		      const struct value *value)
{
	struct buffer *b = &patch->text;

	sql_add_name(b, name);
	buffer_add_str(b, value->class == VALUE_NULL ? " IS " : "=");
	add_value(patch, value);
	if (patch->checks_bytes && value->class == VALUE_TEXT) {
		buffer_add_str(b, " AND ");
		sql_add_name(b, name);
		buffer_add_str(b, " COLLATE BINARY=");
		add_value(patch, value);
	}
}

/* Which row: `row` are its values before. */
static void add_where(struct sql_patch *patch, int64_t rowid, const struct value *row)
{
	const struct table *table = patch->table;
	struct buffer *b = &patch->text;

	buffer_add_str(b, " WHERE ");
	if (table->without_rowid) {
		for (uint32_t i = 0; i < table->key_count; i++) {
			uint32_t column = table->key_columns[i];

			buffer_add_str(b, i > 0 ? " AND " : "");
			add_equal(patch, table->columns[column].name, &row[column]);
		}
	} else {
		if (patch->rowid_name) {
			buffer_add_str(b, patch->rowid_name);
		} else {
			sql_add_name(b, patch->rowid_column);
		}
		buffer_add_char(b, '=');
		add_value(patch,
			  &(struct value){.class = VALUE_INTEGER, .integer = rowid});
	}
	buffer_add_str(b, ";\n");
}

/* Columns that have another value; all, where only generated ones have. */
static bool is_set(const struct table *table, const struct change *change, uint32_t i,
		   bool all)
{
	return table->columns[i].generated == GENERATED_NO &&
	       !table->columns[i].is_rowid &&
	       (all || !value_same(&change->before[i], &change->after[i]));
}

static void add_update(struct sql_patch *patch, const struct change *change)
{
	const struct table *table = patch->table;
	struct buffer *b = &patch->text;
	const char *comma = " SET ";
	bool all = true;

	for (uint32_t i = 0; i < table->column_count; i++) {
		all = all && !is_set(table, change, i, false);
	}
	buffer_add_str(b, "UPDATE ");
	buffer_add_buffer(b, &patch->name);
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (is_set(table, change, i, all)) {
			buffer_add_str(b, comma);
			sql_add_name(b, table->columns[i].name);
			buffer_add_char(b, '=');
			add_value(patch, &change->after[i]);
			comma = ",";
		}
	}
	add_where(patch, change->rowid, change->before);
}

static void add_delete(struct sql_patch *patch, const struct change *change)
{
	buffer_add_str(&patch->text, "DELETE FROM ");
	buffer_add_buffer(&patch->text, &patch->name);
	add_where(patch, change->rowid, change->before);
}

/* ---- tables that are filled again ---- */

static enum status take_row(void *context, const struct change *change,
			    struct error *err)
{
	struct sql_patch *patch = context;

	add_insert(patch, change);
	return flush_if_full(patch, err);
}

/* Empty the table at hand and insert all rows that the new state has. */
static enum status refill(struct sql_patch *patch, struct error *err)
{
	struct page_source *pages = patch->settings.new_pages;
	struct table_pair pair = {.new_table = patch->table, .for_statements = true};
	struct tree_diff *diff = malloc(sizeof *diff);
	struct page_marks marks;
	struct row_diff rows;
	enum status status;

	if (!diff) {
		return error_no_memory(err, "the rows of a table");
	}
	begin(patch);
	buffer_add_str(&patch->text, "DELETE FROM ");
	buffer_add_buffer(&patch->text, &patch->name);
	buffer_add_str(&patch->text, ";\n");
	page_marks_init(&marks);
	row_diff_init(&rows);
	tree_diff_init(diff);
	tree_diff_begin(diff, pages, pages, &marks, NULL, false);
	status = tree_diff_run(diff, 0, patch->table->root_page, err);
	if (status == ST_OK) {
		status = row_diff_run(&rows, diff, &pair, take_row, patch, err);
	}
	tree_diff_clear(diff);
	row_diff_clear(&rows);
	page_marks_clear(&marks);
	free(diff);
	return status;
}

static enum status leave(struct sql_patch *patch, struct error *err)
{
	enum status status = patch->refill_is_due ? refill(patch, err) : ST_OK;

	patch->refill_is_due = false;
	patch->table = NULL;
	return status;
}

/* ---- what decoding finds ---- */

/* SQLite's own tables are changed as any other. One that cannot be read would make the
 * statements incomplete. */
static enum status take_all(struct catalog *catalog, struct error *err)
{
	for (size_t i = 0; i < catalog->table_count; i++) {
		struct table *table = catalog->tables[i];

		if (!table->left_out || table->root_page == 0) {
			continue;
		}
		if (!table_filter_is_own(table->left_out) &&
		    strncmp(table->name, LITESTREAM, sizeof LITESTREAM - 1) != 0) {
			return error_set(err, ST_CONFIG,
					 "table %s cannot be read: %s; leave it out "
					 "with table.exclude.list",
					 SHORT_NAME(table->name), table->left_out);
		}
		table->left_out = NULL;
	}
	return ST_OK;
}

static enum status on_catalog(void *context, struct catalog *catalog,
			      const struct catalog *previous, struct error *err)
{
	struct sql_patch *patch = context;
	enum status status = patch->settings.is_whole ? take_all(catalog, err) : ST_OK;

	if (status != ST_OK) {
		return status;
	}
	if (!previous) {
		patch->into = catalog->header.encoding;
		patch->had_sequence = catalog_find(catalog, SEQUENCE) != NULL;
	}
	patch->catalog = catalog;
	sql_schema_clear(&patch->schema);
	status = sql_schema_plan(&patch->schema, previous ? previous : catalog, catalog,
				 patch->settings.is_whole, err);
	if (status == ST_OK && patch->schema.before.len > 0) {
		begin(patch);
		buffer_add_buffer(&patch->text, &patch->schema.before);
		patch->sequence_changes = patch->sequence_changes ||
					  patch->schema.touches_autoincrement ||
					  patch->schema.makes_autoincrement;
	}
	return status == ST_OK ? flush_if_full(patch, err) : status;
}

static enum status on_ddl(void *context, enum ddl what, const struct table *old_table,
			  const struct table *new_table, struct error *err)
{
	(void)context;
	(void)what;
	(void)old_table;
	(void)new_table;
	(void)err;
	return ST_OK;
}

/* Damage that costs no row. */
static void on_damage(void *context, enum damaged_part part, const char *name,
		      const struct error *why)
{
	(void)context;
	(void)part;
	(void)name;
	(void)why;
}

static enum status on_table(void *context, const struct table *table, struct error *err)
{
	struct sql_patch *patch = context;
	enum status status = leave(patch, err);

	return status == ST_OK ? enter(patch, table, err) : status;
}

/* ANALYZE makes these, and nobody else can. */
static bool is_statistics(const struct table *table)
{
	return strncasecmp(table->name, "sqlite_stat", 11) == 0;
}

static enum status on_change(void *context, const struct change *change,
			     struct error *err)
{
	struct sql_patch *patch = context;
	const struct table *table = patch->table;

	if (strcasecmp(table->name, SEQUENCE) == 0) {
		patch->sequence_changes = true;
		return ST_OK;
	}
	if (is_statistics(table)) {
		return ST_OK;
	}
	if (patch->is_refilled) {
		patch->refill_is_due = true;
		return ST_OK;
	}
	begin(patch);
	if (change->op == CHANGE_CREATE) {
		patch->sequence_changes =
		    patch->sequence_changes || table->has_autoincrement;
		add_insert(patch, change);
	} else if (change->op == CHANGE_UPDATE) {
		add_update(patch, change);
	} else {
		add_delete(patch, change);
	}
	return flush_if_full(patch, err);
}

struct decoder_events sql_patch_events(struct sql_patch *patch)
{
	return (struct decoder_events){.context = patch,
				       .for_statements = true,
				       .catalog = on_catalog,
				       .ddl = on_ddl,
				       .damaged = on_damage,
				       .table = on_table,
				       .change = on_change};
}

/* ---- the end ---- */

/* SQLite counts there what is inserted, whatever the new state says. */
static enum status put_sequence(struct sql_patch *patch, struct error *err)
{
	const struct table *table = catalog_find(patch->catalog, SEQUENCE);
	enum status status;

	if (!patch->sequence_changes ||
	    !(patch->had_sequence || patch->schema.makes_autoincrement)) {
		return ST_OK;
	}
	if (!table) {
		begin(patch);
		buffer_add_str(&patch->text, "DELETE FROM " SEQUENCE ";\n");
		return ST_OK;
	}
	status = enter(patch, table, err);
	if (status == ST_OK) {
		patch->refill_is_due = true;
		status = leave(patch, err);
	}
	return status;
}

/* A number of page 1 that belongs to the application. */
static enum status put_number(struct sql_patch *patch, const char *pragma, size_t at,
			      struct error *err)
{
	struct page_source *old_pages = patch->settings.old_pages;
	struct page_source *new_pages = patch->settings.new_pages;
	struct page_ref was = {0}, is = {0};
	enum status status = page_get(old_pages, 1, &was, err);

	if (status == ST_OK) {
		status = page_get(new_pages, 1, &is, err);
	}
	if (status == ST_OK && memcmp(was.bytes + at, is.bytes + at, 4) != 0) {
		begin(patch);
		buffer_add_str(&patch->text, pragma);
		buffer_add_i64(&patch->text, (int32_t)get_u32be(is.bytes + at));
		buffer_add_str(&patch->text, ";\n");
	}
	page_put(new_pages, &is);
	page_put(old_pages, &was);
	return status;
}

static enum status put_rest(struct sql_patch *patch, struct error *err)
{
	enum status status = leave(patch, err);

	if (status == ST_OK) {
		status = put_sequence(patch, err);
	}
	if (status == ST_OK && patch->schema.after.len > 0) {
		begin(patch);
		buffer_add_buffer(&patch->text, &patch->schema.after);
	}
	if (status == ST_OK && patch->settings.is_whole) {
		status =
		    put_number(patch, "PRAGMA user_version=", AT_USER_VERSION, err);
	}
	if (status == ST_OK && patch->settings.is_whole) {
		status =
		    put_number(patch, "PRAGMA application_id=", AT_APPLICATION_ID, err);
	}
	return status;
}

enum status sql_patch_finish(struct sql_patch *patch, enum status ended,
			     struct error *err)
{
	struct error ignored;
	enum status status = ended == ST_OK ? put_rest(patch, err) : ended;

	if (patch->has_begun && ended != ST_CLOSED) {
		buffer_add_str(&patch->text,
			       status == ST_OK
				   ? "COMMIT;\n"
				   : "ROLLBACK;\n-- Not all changes were found.\n");
	}
	if (status != ST_OK) {
		(void)flush(patch, &ignored);
		return status;
	}
	return flush(patch, err);
}

enum status sql_patch_open(const struct sql_patch_settings *settings,
			   struct sql_patch **out, struct error *err)
{
	struct sql_patch *patch = calloc(1, sizeof *patch);

	if (!patch) {
		return error_no_memory(err, "the statements");
	}
	patch->settings = *settings;
	buffer_init(&patch->text);
	buffer_init(&patch->scratch);
	buffer_init(&patch->insert);
	buffer_init(&patch->name);
	sql_schema_init(&patch->schema);
	*out = patch;
	return ST_OK;
}

void sql_patch_close(struct sql_patch *patch)
{
	if (!patch) {
		return;
	}
	buffer_clear(&patch->text);
	buffer_clear(&patch->scratch);
	buffer_clear(&patch->insert);
	buffer_clear(&patch->name);
	sql_schema_clear(&patch->schema);
	free(patch);
}
