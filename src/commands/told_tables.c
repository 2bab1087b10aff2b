/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/told_tables.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/array.h"
#include "src/commands/audit_ddl.h"

#define TABLES_MAX  65536
#define COLUMNS_MAX 32767

static void forget_columns(struct told_table *table)
{
	for (size_t i = 0; i < table->column_count; i++) {
		free(table->columns[i].name);
	}
	table->column_count = 0;
}

static void forget_bags(struct told_tables *tables, struct told_table *table,
			bool is_whole)
{
	table->bag_id = ++tables->last_id;
	table->is_bag_whole = is_whole;
}

/* `is_whole`: there are none now. */
static void forget_rows(struct told_tables *tables, struct told_table *table,
			bool is_whole)
{
	table->id = ++tables->last_id;
	table->is_whole = is_whole;
	json_decref(table->key_names);
	table->key_names = NULL;
	forget_columns(table);
	forget_bags(tables, table, is_whole);
}

void told_table_forget_bags(struct told_tables *tables, struct told_table *table)
{
	forget_bags(tables, table, false);
}

void told_tables_clear(struct told_tables *tables)
{
	for (size_t i = 0; i < tables->count; i++) {
		struct told_table *table = tables->list[i];

		forget_columns(table);
		json_decref(table->key_names);
		free(table->columns);
		free(table->ddl);
		free(table->name);
		free(table);
	}
	free(tables->list);
	*tables = (struct told_tables){0};
}

struct told_table *told_tables_find(const struct told_tables *tables, const char *name)
{
	if (tables->last && strcasecmp(tables->last->name, name) == 0) {
		return tables->last;
	}
	for (size_t i = 0; i < tables->count; i++) {
		if (strcasecmp(tables->list[i]->name, name) == 0) {
			return tables->list[i];
		}
	}
	return NULL;
}

struct told_table *told_tables_get(struct told_tables *tables, const char *name)
{
	struct told_table *table = told_tables_find(tables, name);

	tables->last = table;
	if (table || tables->count == TABLES_MAX ||
	    !array_room(&tables->list, &tables->cap, tables->count + 1,
			sizeof(struct told_table *))) {
		return table;
	}
	table = calloc(1, sizeof *table);
	if (!table || !(table->name = strdup(name))) {
		free(table);
		return NULL;
	}
	tables->list[tables->count++] = table;
	forget_rows(tables, table, false);
	return table;
}

uint32_t told_table_column(struct told_tables *tables, struct told_table *table,
			   const char *name, bool may_add)
{
	struct told_column *column;

	for (size_t n = 0; n < table->column_count; n++) {
		size_t i = (table->column_next + n) % table->column_count;

		if (strcasecmp(table->columns[i].name, name) == 0) {
			table->column_next = i + 1;
			return table->columns[i].id;
		}
	}
	if (!may_add || table->column_count == COLUMNS_MAX ||
	    !array_room(&table->columns, &table->column_cap, table->column_count + 1,
			sizeof *table->columns)) {
		return 0;
	}
	column = &table->columns[table->column_count];
	*column = (struct told_column){strdup(name), ++tables->last_id};
	table->column_count += column->name != NULL;
	return column->name ? column->id : 0;
}

const char *told_table_column_name(const struct told_table *table, uint32_t id)
{
	for (size_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].id == id) {
			return table->columns[i].name;
		}
	}
	return "";
}

/* ---- what a table became ---- */

/* The definition is another one, and lines told what rows became of it only where their
 * values differ: what may have become another column is forgotten. */
static void alter(struct told_tables *tables, struct told_table *table,
		  const struct audit_ddl *was, const struct audit_ddl *is)
{
	size_t kept = 0;

	if (!audit_ddl_keeps_key(was, is)) {
		forget_rows(tables, table, false);
		return;
	}
	for (size_t i = 0; i < table->column_count; i++) {
		if (audit_ddl_keeps(was, is, table->columns[i].name)) {
			table->columns[kept++] = table->columns[i];
		} else {
			free(table->columns[i].name);
		}
	}
	if (kept < table->column_count || was->count != is->count) {
		forget_bags(tables, table, false);
	}
	table->column_count = kept;
	json_decref(table->key_names); /* they may be called otherwise */
	table->key_names = NULL;
}

static enum status take_altered(struct told_tables *tables, struct told_table *table,
				const char *ddl, struct error *err)
{
	struct audit_ddl was = {0}, is = {0};
	enum status status = audit_ddl_read(table->ddl ? table->ddl : "", &was, err);

	if (status == ST_OK) {
		status = audit_ddl_read(ddl, &is, err);
	}
	if (status == ST_OK) {
		alter(tables, table, &was, &is);
	}
	audit_ddl_clear(&was);
	audit_ddl_clear(&is);
	return status;
}

/* The table that had the name `was` has that of `table` now, which is forgotten. */
static void rename_table(struct told_tables *tables, struct told_table *table,
			 const char *was)
{
	struct told_table *renamed = told_tables_find(tables, was);
	char *name;

	if (!renamed || renamed == table) {
		return;
	}
	name = renamed->name;
	renamed->name = table->name;
	table->name = name;
	forget_rows(tables, table, true);
	free(table->ddl);
	table->ddl = NULL;
}

enum status told_tables_schema(struct told_tables *tables,
			       const struct audit_event *event, struct error *err)
{
	const char *type = json_string_value(json_object_get(event->json, "type"));
	const char *ddl = json_string_value(json_object_get(event->json, "ddl"));
	const char *was = json_string_value(json_object_get(event->json, "was"));
	struct told_table *table = told_tables_get(tables, event->table);
	enum status status = ST_OK;

	if (!table) {
		return error_no_memory(err, "tables");
	}
	if (!type || !ddl) {
		return ST_OK;
	}
	if (strcmp(type, "renamed") == 0) {
		if (was) {
			rename_table(tables, table, was);
		}
		return ST_OK;
	}
	if (strcmp(type, "altered") == 0) {
		status = take_altered(tables, table, ddl, err);
	} else { /* created, dropped, or the baseline begins */
		forget_rows(tables, table, true);
	}
	free(table->ddl);
	table->ddl = strcmp(type, "dropped") == 0 ? NULL : strdup(ddl);
	return status;
}

/* ---- settings ---- */

static bool begins(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

/* Rows of the table that was the context, or is, are told from now on, or no more. */
static void forget_context(struct told_tables *tables, const json_t *pair)
{
	for (size_t i = 0; i < 2; i++) {
		const char *name = json_string_value(json_array_get(pair, i));
		struct told_table *table = name ? told_tables_find(tables, name) : NULL;

		if (table) {
			forget_rows(tables, table, false);
		}
	}
}

void told_tables_settings(struct told_tables *tables, const struct audit_event *event)
{
	bool rows = false, values = false;
	const char *name;
	json_t *pair;

	json_object_foreach(event->changed, name, pair)
	{
		rows = rows || begins(name, "table.") || begins(name, "message.key.") ||
		       begins(name, "skipped.") || begins(name, "snapshot.select.");
		values = values || begins(name, "column.") || begins(name, "binary.") ||
			 begins(name, "field.name.");
		if (strcmp(name, "transaction.context.table") == 0) {
			forget_context(tables, pair);
		}
	}
	for (size_t i = 0; i < tables->count; i++) {
		if (rows) {
			forget_rows(tables, tables->list[i], false);
		} else if (values) {
			forget_columns(tables->list[i]);
			forget_bags(tables, tables->list[i], false);
		}
	}
}
