/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/table_list.h -- the tables that SQLite made of a sandbox's schema rows.
 *
 * OWNERSHIP  table_list_init / table_list_clear.
 * THREADS    One thread at a time.
 * ERRORS     ST_NOMEM; ST_CORRUPT when SQLite can make nothing of the schema.
 */
#ifndef SCHEMAS_TABLE_LIST_H
#define SCHEMAS_TABLE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/sandbox.h"

struct listed_table {
	char *name;
	uint32_t column_count;
	bool is_virtual;
	bool has_shadows; /* virtual, and SQLite knows its shadow tables */
	bool is_view;
	bool is_shadow;
	bool without_rowid;
	bool strict;
};

struct table_list {
	struct listed_table *tables; /* by name */
	size_t count;
	size_t cap;
};

void table_list_init(struct table_list *list);
void table_list_clear(struct table_list *list);

/* PRAGMA table_list on a loaded sandbox, into an empty list. */
enum status table_list_read(struct table_list *list, struct sandbox *sandbox,
			    struct error *err) MUST_CHECK;

/* By name, ASCII case-insensitive. NULL when SQLite knows no such table. */
const struct listed_table *table_list_find(const struct table_list *list,
					   const char *name);

/*
 * True when SQLite calls the table a shadow table, and when it looks like one: named as
 * that of a virtual table whose module this SQLite lacks, with an ending that modules
 * are known to use.
 */
bool table_list_is_shadow(const struct table_list *list, const char *name);

#endif
