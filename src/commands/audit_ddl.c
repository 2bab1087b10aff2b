/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/audit_ddl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schemas/sandbox.h"

void audit_ddl_clear(struct audit_ddl *ddl)
{
	for (size_t i = 0; i < ddl->count; i++) {
		free(ddl->columns[i].name);
		free(ddl->columns[i].definition);
	}
	free(ddl->columns);
	*ddl = (struct audit_ddl){0};
}

/* The name that the statement itself gives the table: one that was renamed since has
 * another. NULL: it makes none. */
static enum status find_name(struct sandbox *sandbox, char **name, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	enum status status = sandbox_prepare(
	    sandbox, sqlite3_mprintf("PRAGMA main.table_list"), &statement, err);

	*name = NULL;
	while (status == ST_OK &&
	       (status = sandbox_step(sandbox, statement, err)) == ST_OK) {
		const char *found = sandbox_text(statement, 1);

		if (strncmp(found, "sqlite_", 7) != 0 && !*name) {
			*name = strdup(found);
			status = *name ? ST_OK : error_no_memory(err, "a table");
		}
	}
	(void)sqlite3_finalize(statement);
	return status == ST_END ? ST_OK : status;
}

static enum status add_column(struct audit_ddl *ddl, sqlite3_stmt *statement,
			      struct error *err)
{
	struct audit_ddl_column *all =
	    reallocarray(ddl->columns, ddl->count + 1, sizeof *all);
	struct audit_ddl_column *column;
	bool is_computed = sqlite3_column_int(statement, 6) != 0;

	if (!all) {
		return error_no_memory(err, "columns");
	}
	ddl->columns = all;
	column = &all[ddl->count++];
	*column = (struct audit_ddl_column){
	    .name = strdup(sandbox_text(statement, 1)),
	    .key_position = sqlite3_column_int(statement, 5),
	};
	if (!is_computed &&
	    asprintf(&column->definition, "%s\n%d\n%s", sandbox_text(statement, 2),
		     sqlite3_column_int(statement, 3),
		     sandbox_text(statement, 4)) < 0) {
		column->definition = NULL;
		return error_no_memory(err, "columns");
	}
	return column->name ? ST_OK : error_no_memory(err, "columns");
}

static enum status read_columns(struct sandbox *sandbox, const char *name,
				struct audit_ddl *out, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	enum status status = sandbox_prepare(
	    sandbox, sqlite3_mprintf("PRAGMA main.table_xinfo(%Q)", name), &statement,
	    err);

	while (status == ST_OK &&
	       (status = sandbox_step(sandbox, statement, err)) == ST_OK) {
		status = add_column(out, statement, err);
	}
	(void)sqlite3_finalize(statement);
	return status == ST_END ? ST_OK : status;
}

enum status audit_ddl_read(const char *statement, struct audit_ddl *out,
			   struct error *err)
{
	struct sandbox *sandbox = NULL;
	char *name = NULL;
	enum status status = sandbox_open(TEXT_UTF8, &sandbox, err);

	*out = (struct audit_ddl){0};
	if (status == ST_OK) {
		status = sandbox_add(sandbox, "table", "t", "t", SANDBOX_TABLE_ROOT,
				     statement, err);
	}
	if (status == ST_OK) {
		status = sandbox_load(sandbox, err);
	}
	if (status == ST_OK) {
		status = find_name(sandbox, &name, err);
	}
	if (status == ST_OK && name) {
		status = read_columns(sandbox, name, out, err);
	}
	free(name);
	sandbox_close(sandbox);
	if (status != ST_OK) {
		audit_ddl_clear(out);
	}
	return status == ST_CORRUPT ? ST_OK : status;
}

const struct audit_ddl_column *audit_ddl_find(const struct audit_ddl *ddl,
					      const char *name)
{
	for (size_t i = 0; i < ddl->count; i++) {
		if (strcasecmp(ddl->columns[i].name, name) == 0) {
			return &ddl->columns[i];
		}
	}
	return NULL;
}

bool audit_ddl_keeps(const struct audit_ddl *was, const struct audit_ddl *is,
		     const char *name)
{
	const struct audit_ddl_column *a = audit_ddl_find(was, name);
	const struct audit_ddl_column *b = audit_ddl_find(is, name);

	return a && b && a->definition && b->definition &&
	       strcmp(a->definition, b->definition) == 0;
}

/* The column of the key's place; NULL: it has fewer. */
static const struct audit_ddl_column *key_column(const struct audit_ddl *ddl,
						 int position)
{
	for (size_t i = 0; i < ddl->count; i++) {
		if (ddl->columns[i].key_position == position) {
			return &ddl->columns[i];
		}
	}
	return NULL;
}

bool audit_ddl_keeps_key(const struct audit_ddl *was, const struct audit_ddl *is)
{
	for (int position = 1;; position++) {
		const struct audit_ddl_column *a = key_column(was, position);
		const struct audit_ddl_column *b = key_column(is, position);

		if (!a || !b) {
			return !a && !b && was->count > 0 && is->count > 0;
		}
		/* One of another name may be the same column, renamed. */
		if (strcmp(a->definition ? a->definition : "",
			   b->definition ? b->definition : "") != 0 ||
		    (strcasecmp(a->name, b->name) != 0 &&
		     (audit_ddl_find(is, a->name) || audit_ddl_find(was, b->name)))) {
			return false;
		}
	}
}
