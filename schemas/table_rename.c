/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/table_rename.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/schema_rows.h"
#include "src/base/array.h"

void table_renames_init(struct table_renames *renames)
{
	*renames = (struct table_renames){0};
}

void table_renames_clear(struct table_renames *renames)
{
	free(renames->list);
	table_renames_init(renames);
}

const struct table *table_renames_old(const struct table_renames *renames,
				      const struct table *new_table)
{
	for (size_t i = 0; i < renames->count; i++) {
		if (renames->list[i].new_table == new_table) {
			return renames->list[i].old_table;
		}
	}
	return NULL;
}

/* ---- both lists of rows side by side ---- */

/* A row whose name is gone, or has come. */
struct lone_rows {
	const struct schema_row **rows;
	size_t count;
};

struct comparison {
	const struct catalog *old;
	const struct catalog *new;
	const struct page_set *written;
	struct lone_rows gone; /* tables with rows, by rowid */
	struct lone_rows come;
	int64_t kept;     /* greatest rowid of a row that was surely not made anew */
	int64_t equal;    /* greatest rowid of a row that reads as before */
	uint32_t steps;   /* statements that changed the schema beside these tables */
	bool has_virtual; /* virtual tables came, went or changed */
};

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_table(const struct schema_row *row)
{
	return strcmp(row->type, "table") == 0;
}

static bool is_system(const struct schema_row *row)
{
	return strncmp(row->name, "sqlite_", 7) == 0;
}

/* A row stands on one side only. */
static void add_lone(struct comparison *c, struct lone_rows *lone,
		     const struct schema_row *row)
{
	bool is_gone = lone == &c->gone;

	if (is_table(row)) {
		if (row->root_page == 0) {
			c->has_virtual = true;
		} else if (!is_system(row)) {
			lone->rows[lone->count++] = row;
		}
	} else if (!row->sql) {
		return; /* an automatic index comes and goes with its table */
	} else if (!is_gone || strcmp(row->type, "view") == 0 ||
		   catalog_find(c->new, row->table_name)) {
		/* What came was made; what is gone was dropped, if not with its table.
		 */
		c->steps++;
	}
}

/* A row of one type and name on both sides. */
static void note_both(struct comparison *c, const struct schema_row *was,
		      const struct schema_row *is)
{
	bool same_sql = same_text(was->sql, is->sql);

	if (is->root_page == 0 && !same_sql && is_table(is)) {
		c->has_virtual = true;
	}
	if (was->rowid != is->rowid || was->root_page != is->root_page) {
		return;
	}
	if (c->written && is->root_page != 0 &&
	    !page_set_has(c->written, is->root_page) && is->rowid > c->kept) {
		c->kept = is->rowid;
	}
	if (same_sql && is->rowid > c->equal) {
		c->equal = is->rowid;
	}
}

static int compare_rowids(const void *a, const void *b)
{
	const struct schema_row *const *left = a;
	const struct schema_row *const *right = b;

	return ((*left)->rowid > (*right)->rowid) - ((*left)->rowid < (*right)->rowid);
}

static void compare_rows(struct comparison *c)
{
	size_t i = 0, j = 0;

	while (i < c->old->row_count || j < c->new->row_count) {
		const struct schema_row *was = c->old->rows[i];
		const struct schema_row *is = c->new->rows[j];
		int order = i == c->old->row_count   ? 1
			    : j == c->new->row_count ? -1
			    : was == is              ? 0
						     : schema_rows_compare(was, is);

		if (order == 0) {
			note_both(c, was, is);
		} else if (order < 0) {
			add_lone(c, &c->gone, was);
		} else {
			add_lone(c, &c->come, is);
		}
		i += order <= 0;
		j += order >= 0;
	}
	if (c->gone.count > 1) {
		qsort(c->gone.rows, c->gone.count, sizeof *c->gone.rows,
		      compare_rowids);
	}
}

/* ---- the SQL of a table ---- */

static const char create[] = "CREATE TABLE ";

static bool is_name_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') || c == '_' || c == '$' || (c & 0x80);
}

/* What stands behind the name in `sql`, as sqlite_schema has it; NULL if it does not
 * begin as such a text. `*is_quoted`: the name stands in double quotes. */
static const char *behind_name(const char *sql, bool *is_quoted)
{
	size_t len = sizeof create - 1;
	char end;

	if (!sql || strncmp(sql, create, len) != 0) {
		return NULL;
	}
	sql += len;
	*is_quoted = *sql == '"';
	end = *sql == '[' ? ']' : *sql;
	if (*sql != '"' && *sql != '\'' && *sql != '`' && *sql != '[') {
		const char *name = sql;

		while (is_name_char(*sql)) {
			sql++;
		}
		return sql > name ? sql : NULL;
	}
	for (sql++; *sql != '\0'; sql++) {
		if (*sql != end) {
			continue;
		}
		if (end == ']' || sql[1] != end) {
			return sql + 1;
		}
		sql++;
	}
	return NULL;
}

/* Is one text the other with one stretch taken out, as ADD and DROP COLUMN do? */
static bool is_stretch_apart(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);
	size_t shorter = a_len < b_len ? a_len : b_len;
	size_t same = 0;

	while (same < shorter && a[same] == b[same]) {
		same++;
	}
	while (same < shorter && a[--a_len] == b[--b_len]) {
		same++;
	}
	return same == shorter;
}

/* ---- pairs ---- */

static const struct schema_row *gone_at(const struct comparison *c, int64_t rowid)
{
	struct schema_row key = {.rowid = rowid};
	const struct schema_row *wanted = &key;
	const struct schema_row **found =
	    c->gone.count == 0 ? NULL
			       : bsearch(&wanted, c->gone.rows, c->gone.count,
					 sizeof *c->gone.rows, compare_rowids);

	return found ? *found : NULL;
}

/* The second rule. */
static bool is_kin(const struct comparison *c, const struct schema_row *was,
		   const struct schema_row *is)
{
	bool was_quoted = false, is_quoted = false;
	const char *old_rest = behind_name(was->sql, &was_quoted);
	const char *new_rest = behind_name(is->sql, &is_quoted);

	if (!old_rest || !new_rest || !is_quoted ||
	    (was->root_page != is->root_page && c->new->header.largest_root == 0)) {
		return false;
	}
	if (strcmp(old_rest, new_rest) == 0) {
		return !was_quoted || is->rowid < c->equal;
	}
	return !was_quoted && is_stretch_apart(old_rest, new_rest);
}

static enum status add_pair(struct table_renames *renames, const struct table *old,
			    const struct table *new, struct error *err)
{
	if (!array_room(&renames->list, &renames->cap, renames->count + 1,
			sizeof *renames->list)) {
		return error_no_memory(err, "renamed tables");
	}
	renames->list[renames->count++] = (struct table_rename){old, new};
	return ST_OK;
}

/* Do the statements not suffice for one DROP and CREATE among `pairs` renames? */
static bool cookie_tells(const struct comparison *c, size_t pairs)
{
	uint32_t grown = c->new->header.schema_cookie - c->old->header.schema_cookie;

	return c->written && !c->has_virtual && grown <= pairs + c->steps;
}

static enum status find_pairs(const struct comparison *c, struct table_renames *renames,
			      struct error *err)
{
	size_t pairs = 0;
	bool all_renamed;
	enum status status = ST_OK;

	for (size_t i = 0; i < c->come.count; i++) {
		pairs += gone_at(c, c->come.rows[i]->rowid) != NULL;
	}
	all_renamed = cookie_tells(c, pairs);
	for (size_t i = 0; status == ST_OK && i < c->come.count; i++) {
		const struct schema_row *is = c->come.rows[i];
		const struct schema_row *was = gone_at(c, is->rowid);
		const struct table *old, *new;

		if (!was ||
		    !(all_renamed || is->rowid < c->kept || is_kin(c, was, is))) {
			continue;
		}
		old = catalog_find(c->old, was->name);
		new = catalog_find(c->new, is->name);
		if (old->without_rowid == new->without_rowid) {
			status = add_pair(renames, old, new, err);
		}
	}
	return status;
}

enum status table_renames_find(struct table_renames *renames, const struct catalog *old,
			       const struct catalog *new,
			       const struct page_set *written, struct error *err)
{
	struct comparison c = {.old = old, .new = new, .written = written};
	enum status status;

	renames->count = 0;
	c.gone.rows = calloc(old->table_count + 1, sizeof *c.gone.rows);
	c.come.rows = calloc(new->table_count + 1, sizeof *c.come.rows);
	if (c.gone.rows && c.come.rows) {
		compare_rows(&c);
		status = find_pairs(&c, renames, err);
	} else {
		status = error_no_memory(err, "renamed tables");
	}
	free(c.gone.rows);
	free(c.come.rows);
	return status;
}
