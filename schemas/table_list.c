/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/table_list.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/schema_rows.h"
#include "src/base/array.h"

static enum status no_memory(struct error *err)
{
	(void)error_no_memory(err, "a list of tables");
	return ST_NOMEM;
}

void table_list_init(struct table_list *list)
{
	*list = (struct table_list){0};
}

void table_list_clear(struct table_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->tables[i].name);
	}
	free(list->tables);
	table_list_init(list);
}

/* A row of PRAGMA table_list: schema, name, type, ncol, wr, strict. */
static enum status add_listed(struct table_list *list, sqlite3_stmt *row,
			      struct error *err)
{
	const char *type = sandbox_text(row, 2);
	struct listed_table *table;

	if (!array_room(&list->tables, &list->cap, list->count + 1,
			sizeof *list->tables)) {
		return no_memory(err);
	}
	table = &list->tables[list->count];
	*table = (struct listed_table){0};
	table->column_count = (uint32_t)sqlite3_column_int(row, 3);
	table->is_virtual = strcmp(type, "virtual") == 0;
	table->is_view = strcmp(type, "view") == 0;
	table->is_shadow = strcmp(type, "shadow") == 0;
	table->without_rowid = sqlite3_column_int(row, 4) != 0;
	table->strict = sqlite3_column_int(row, 5) != 0;
	table->name = strdup(sandbox_text(row, 1));
	if (!table->name) {
		return no_memory(err);
	}
	list->count++;
	return ST_OK;
}

/* What stands behind "<owner>_" in `name`, NULL if it does not begin so. */
static const char *suffix_of(const struct listed_table *owner, const char *name)
{
	size_t len = strlen(owner->name);

	return sqlite3_strnicmp(owner->name, name, (int)len) == 0 && name[len] == '_'
		   ? name + len + 1
		   : NULL;
}

static void mark_owners(struct table_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct listed_table *owner = &list->tables[i];

		if (!owner->is_virtual) {
			continue;
		}
		for (size_t k = 0; k < list->count && !owner->has_shadows; k++) {
			owner->has_shadows = list->tables[k].is_shadow &&
					     suffix_of(owner, list->tables[k].name);
		}
	}
}

static int compare_tables(const void *a, const void *b)
{
	const struct listed_table *left = a;
	const struct listed_table *right = b;

	return schema_name_compare(left->name, right->name);
}

enum status table_list_read(struct table_list *list, struct sandbox *sandbox,
			    struct error *err)
{
	sqlite3_stmt *rows = NULL;
	enum status st;

	sandbox->ticks = 0;
	st = sandbox_prepare(sandbox, sqlite3_mprintf("PRAGMA main.table_list"), &rows,
			     err);
	while (st == ST_OK) {
		st = sandbox_step(sandbox, rows, err);
		if (st == ST_OK) {
			st = add_listed(list, rows, err);
		}
	}
	(void)sqlite3_finalize(rows);
	if (st != ST_END) {
		return st;
	}
	if (list->count > 0) {
		qsort(list->tables, list->count, sizeof *list->tables, compare_tables);
	}
	mark_owners(list);
	return ST_OK;
}

static int compare_name(const void *name, const void *table)
{
	return schema_name_compare(name, ((const struct listed_table *)table)->name);
}

const struct listed_table *table_list_find(const struct table_list *list,
					   const char *name)
{
	return list->count == 0 ? NULL
				: bsearch(name, list->tables, list->count,
					  sizeof *list->tables, compare_name);
}

/* True for a name ending that virtual table modules use which this SQLite lacks; some
 * of them number their tables. */
static bool is_shadow_suffix(const char *suffix)
{
	static const char *const known[] = {
	    "auxiliary",      "chunks",       "config",       "content", "data",
	    "docsize",        "idx",          "info",         "node",    "parent",
	    "rowid",          "rowids",       "segdir",       "stat",    "segments",
	    "metadatachunks", "metadatatext", "vector_chunks"};
	const char digits[] = "0123456789";
	size_t len = strcspn(suffix, digits);

	if (suffix[len + strspn(suffix + len, digits)] != '\0') {
		return false;
	}
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (strlen(known[i]) == len &&
		    sqlite3_strnicmp(suffix, known[i], (int)len) == 0) {
			return true;
		}
	}
	return false;
}

bool table_list_is_shadow(const struct table_list *list, const char *name)
{
	const struct listed_table *table = table_list_find(list, name);

	if (table && table->is_shadow) {
		return true;
	}
	for (size_t i = 0; i < list->count; i++) {
		const struct listed_table *owner = &list->tables[i];
		const char *suffix;

		if (!owner->is_virtual || owner->has_shadows) {
			continue;
		}
		suffix = suffix_of(owner, name);
		if (suffix && is_shadow_suffix(suffix)) {
			return true;
		}
	}
	return false;
}
