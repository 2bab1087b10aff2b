/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/told_tables.h -- the tables that an audit log tells of, and what it says
 * of their making.
 *
 * OWNERSHIP told_tables_clear; one of zeros, too. Tables stay where they are until
 *          then.
 * THREADS  One thread at a time.
 * ERRORS   ST_NOMEM, also where there are more tables or columns than SQLite can have.
 */
#ifndef TOLD_TABLES_H
#define TOLD_TABLES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/audit/event.h"
#include "src/base/status.h"

struct told_column {
	char *name;
	uint32_t id; /* of its values */
};

struct told_table {
	char *name;
	uint32_t id;       /* of its rows: another one once they are forgotten */
	uint32_t bag_id;   /* of those without a key */
	bool is_whole;     /* every row that is there was told */
	bool is_bag_whole; /* the same of those without a key */
	bool is_compared;  /* the database has it, and its rows are compared */
	bool is_left_out;  /* the settings leave it out now */
	json_t *key_names; /* an array; NULL: no line had a key */
	char *ddl;         /* NULL: not known */
	struct told_column *columns;
	size_t column_count, column_cap;
	size_t column_next; /* is asked for next, as lines have them in one order */
};

struct told_tables {
	struct told_table **list;
	size_t count, cap;
	struct told_table *last; /* that was asked for; NULL: none */
	uint32_t last_id;
};

void told_tables_clear(struct told_tables *tables);

/* NULL: no line names it. ASCII case is ignored. */
struct told_table *told_tables_find(const struct told_tables *tables, const char *name);
/* The same, and it is there from now on; NULL: memory ran out. */
struct told_table *told_tables_get(struct told_tables *tables, const char *name);

/* The column's id. 0: there is none, or, with `may_add`, memory ran out. */
uint32_t told_table_column(struct told_tables *tables, struct told_table *table,
			   const char *name, bool may_add);
/* Its name; "": it is forgotten. */
const char *told_table_column_name(const struct told_table *table, uint32_t id);

/* What is known of its rows without a key is forgotten: they have other rowids now. */
void told_table_forget_bags(struct told_tables *tables, struct told_table *table);

/* Lines of a table's definition, and of rowtail's settings. */
enum status told_tables_schema(struct told_tables *tables,
			       const struct audit_event *event,
			       struct error *err) MUST_CHECK;
void told_tables_settings(struct told_tables *tables, const struct audit_event *event);

#endif
