/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/sql_schema.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "schemas/schema_rows.h"
#include "schemas/sql_text.h"
#include "src/base/utf8.h"

struct plan {
	struct sql_schema *schema;
	const struct catalog *was;
	const struct catalog *is;
	bool is_whole;
};

void sql_schema_init(struct sql_schema *schema)
{
	*schema = (struct sql_schema){0};
	buffer_init(&schema->before);
	buffer_init(&schema->after);
	buffer_init(&schema->remarks);
}

void sql_schema_clear(struct sql_schema *schema)
{
	buffer_clear(&schema->before);
	buffer_clear(&schema->after);
	buffer_clear(&schema->remarks);
}

/* A table that SQLite makes by itself. */
static bool is_own(const char *name)
{
	return strncasecmp(name, "sqlite_", 7) == 0;
}

/* ---- rows of the two schemas ---- */

static const struct schema_row *find_row(const struct catalog *catalog,
					 const char *type, const char *name)
{
	const struct schema_row key = {.type = type, .name = name};
	size_t low = 0, high = catalog->row_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (schema_rows_compare(catalog->rows[middle], &key) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low < catalog->row_count &&
		       schema_rows_compare(catalog->rows[low], &key) == 0
		   ? catalog->rows[low]
		   : NULL;
}

static bool is_type(const struct schema_row *row, const char *type)
{
	return strcmp(row->type, type) == 0;
}

/* The same thing in the other schema: of the same name, letter by letter, and text. */
static bool is_same(const struct schema_row *row, const struct schema_row *other)
{
	return other &&
	       (row == other ||
		(strcmp(row->name, other->name) == 0 &&
		 strcmp(row->table_name, other->table_name) == 0 &&
		 ((!row->sql && !other->sql) ||
		  (row->sql && other->sql && strcmp(row->sql, other->sql) == 0))));
}

static bool stands_in(const struct catalog *catalog, const struct schema_row *row)
{
	return is_same(row, find_row(catalog, row->type, row->name));
}

/* Is the table or view that an index or a trigger hangs on in both schemas? */
static bool holder_stands(const struct plan *plan, const struct schema_row *row)
{
	const struct schema_row *holder = find_row(plan->is, "table", row->table_name);

	if (!holder) {
		holder = find_row(plan->is, "view", row->table_name);
	}
	return holder && stands_in(plan->was, holder);
}

/* Is it to be dealt with at all? */
static bool is_wanted(const struct plan *plan, const struct catalog *catalog,
		      const struct schema_row *row)
{
	const struct table *table = catalog_find(catalog, row->table_name);

	if (is_own(row->name) || !row->sql) {
		return false;
	}
	return plan->is_whole || (table && !table->left_out);
}

static bool is_virtual(const struct schema_row *row)
{
	return is_type(row, "table") && row->root_page == 0;
}

/* ---- statements ---- */

static enum status refuse_virtual(const struct schema_row *row, struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "virtual table %s is not the same in both: no statements can "
			 "change it exactly; create or drop it by hand, or leave it "
			 "out with table.exclude.list",
			 SHORT_NAME(row->name));
}

static enum status add_text(struct buffer *to, const struct schema_row *row,
			    struct error *err)
{
	if (!sql_is_one_statement(row->sql)) {
		return error_set(err, ST_CONFIG,
				 "%s %s: its text in the schema is not one statement; "
				 "look at it in sqlite_schema, or leave it out with "
				 "table.exclude.list",
				 row->type, SHORT_NAME(row->name));
	}
	buffer_add_str(to, row->sql);
	/* A comment at its end would take the semicolon in. */
	buffer_add_str(to, strstr(row->sql, "--") ? "\n;\n" : ";\n");
	return ST_OK;
}

static enum status drop(struct plan *plan, const struct schema_row *row,
			struct error *err)
{
	static const char *const verbs[][2] = {{"trigger", "DROP TRIGGER "},
					       {"view", "DROP VIEW "},
					       {"index", "DROP INDEX "},
					       {"table", "DROP TABLE "}};
	struct buffer *to = &plan->schema->before;

	if (!is_wanted(plan, plan->was, row) || stands_in(plan->is, row)) {
		return ST_OK;
	}
	if (is_virtual(row)) {
		return refuse_virtual(row, err);
	}
	if (is_type(row, "index") && !holder_stands(plan, row)) {
		return ST_OK; /* it goes with its table */
	}
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (is_type(row, verbs[i][0])) {
			buffer_add_str(to, verbs[i][1]);
			sql_add_name(to, row->name);
			buffer_add_str(to, ";\n");
		}
	}
	return ST_OK;
}

static enum status create_table(struct plan *plan, const struct schema_row *row,
				struct error *err)
{
	const struct table *table = catalog_find(plan->is, row->name);

	if (!is_wanted(plan, plan->is, row) || stands_in(plan->was, row)) {
		return ST_OK;
	}
	if (is_virtual(row)) {
		return refuse_virtual(row, err);
	}
	if (table && table->left_out) {
		return error_set(err, ST_CONFIG,
				 "table %s has to be created, and cannot be read: %s; "
				 "leave it out with table.exclude.list",
				 SHORT_NAME(row->name), table->left_out);
	}
	plan->schema->makes_autoincrement =
	    plan->schema->makes_autoincrement || (table && table->has_autoincrement);
	return add_text(&plan->schema->before, row, err);
}

/* What hangs on a table, or is none. */
static enum status create_rest(struct plan *plan, const struct schema_row *row,
			       struct error *err)
{
	bool hangs = !is_type(row, "view");

	if (!is_wanted(plan, plan->is, row) ||
	    (stands_in(plan->was, row) && (!hangs || holder_stands(plan, row)))) {
		return ST_OK;
	}
	return add_text(&plan->schema->after, row, err);
}

/* ---- what goes on by itself ---- */

static void note_triggers(struct plan *plan)
{
	struct buffer *to = &plan->schema->remarks;
	size_t count = 0;

	for (size_t i = 0; i < plan->is->row_count; i++) {
		const struct schema_row *row = plan->is->rows[i];
		char shown[UTF8_NAME_SIZE];

		if (is_type(row, "trigger") && is_wanted(plan, plan->is, row) &&
		    stands_in(plan->was, row) && holder_stands(plan, row)) {
			buffer_add_str(to, count++ == 0 ? "-- triggers: " : ", ");
			/* A line end would end the comment. */
			(void)snprintf(shown, sizeof shown, "%s",
				       SHORT_NAME(row->name));
			utf8_make_safe(shown);
			buffer_add_str(to, shown);
		}
	}
	if (count > 0) {
		buffer_add_str(to, "\n-- They run as these statements do, and may "
				   "change more rows; drop them before, and create\n"
				   "-- them afterwards, where that is not wanted.\n");
	}
}

static bool has_action(const char *sql)
{
	return strcasestr(sql, "references") &&
	       (strcasestr(sql, "cascade") || strcasestr(sql, "restrict") ||
		strcasestr(sql, "set"));
}

static void note_actions(struct plan *plan, const struct catalog *catalog)
{
	struct sql_schema *schema = plan->schema;

	for (size_t i = 0; i < catalog->table_count; i++) {
		const struct table *table = catalog->tables[i];

		schema->has_actions = schema->has_actions || has_action(table->sql);
		schema->touches_autoincrement =
		    schema->touches_autoincrement ||
		    (catalog == plan->was && table->has_autoincrement);
	}
}

/* ---- all of it ---- */

/* Give each row of that type to `call`. */
static enum status
each(struct plan *plan, const struct catalog *catalog, const char *type,
     enum status (*call)(struct plan *plan, const struct schema_row *row,
			 struct error *err),
     struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < catalog->row_count; i++) {
		if (is_type(catalog->rows[i], type)) {
			status = call(plan, catalog->rows[i], err);
		}
	}
	return status;
}

enum status sql_schema_plan(struct sql_schema *schema, const struct catalog *was,
			    const struct catalog *is, bool is_whole, struct error *err)
{
	static const char *const dropped[] = {"trigger", "view", "index", "table"};
	static const char *const made[] = {"index", "view", "trigger"};
	struct plan plan = {schema, was, is, is_whole};
	enum status status = ST_OK;

	note_triggers(&plan);
	note_actions(&plan, was);
	note_actions(&plan, is);
	for (size_t i = 0; status == ST_OK && i < sizeof dropped / sizeof *dropped;
	     i++) {
		status = each(&plan, was, dropped[i], drop, err);
	}
	if (status == ST_OK) {
		status = each(&plan, is, "table", create_table, err);
	}
	for (size_t i = 0; status == ST_OK && i < sizeof made / sizeof *made; i++) {
		status = each(&plan, is, made[i], create_rest, err);
	}
	if (status == ST_OK &&
	    !(buffer_ok(&schema->before) && buffer_ok(&schema->after) &&
	      buffer_ok(&schema->remarks))) {
		status = error_no_memory(err, "the statements of a schema");
	}
	return status;
}
