/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/catalog.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "btree/page.h"
#include "schemas/description.h"
#include "schemas/schema_rows.h"
#include "schemas/table_filter.h"
#include "src/base/utf8.h"

/* Two hashes of everything that a description comes from. */
struct signature {
	uint64_t a, b;
};

/* What is kept of each table. */
struct entry {
	struct table table; /* a copy of the description's, with root page and filter */
	const struct schema_row *row;
	struct description *description;
	struct signature signature;
	char *undecided; /* a reason to be left out; NULL: there is none of that kind */
};

/* What a catalog has beside what its readers see. */
struct whole_catalog {
	struct catalog public; /* first: what is handed out points to it */
	struct schema_rows schema;
	struct entry *entries; /* one for each of public.tables, in the same order */
	struct signature virtual_tables; /* of their rows */
	char unparsable[80];             /* a reason to be left out */
};

static const struct whole_catalog *whole(const struct catalog *catalog)
{
	return (const struct whole_catalog *)(const void *)catalog;
}

static enum status no_memory(struct error *err)
{
	(void)error_set(err, ST_NOMEM, "out of memory for a catalog");
	return ST_NOMEM;
}

void catalog_close(struct catalog *catalog)
{
	struct whole_catalog *w = (struct whole_catalog *)(void *)catalog;

	if (!catalog) {
		return;
	}
	for (size_t i = 0; i < catalog->table_count; i++) {
		description_release(w->entries[i].description);
		free(w->entries[i].undecided);
	}
	free(w->entries);
	free(catalog->tables);
	free(catalog->roots);
	schema_rows_clear(&w->schema);
	free(w);
}

/* --- tables and their signatures -------------------------------------------------- */

static bool is_type(const struct schema_row *row, const char *type)
{
	return strcmp(row->type, type) == 0;
}

/* Make room for what is kept of each table, and find the rows that are tables. They
 * stand together, in the order of their names. */
static enum status collect_tables(struct whole_catalog *w, struct error *err)
{
	struct catalog *c = &w->public;
	size_t first = 0;
	size_t count = 0;

	for (size_t i = 0; i < c->row_count; i++) {
		if (is_type(&c->rows[i], "table") && count++ == 0) {
			first = i;
		}
	}
	w->entries = calloc(count + 1, sizeof *w->entries);
	c->tables = calloc(count + 1, sizeof(struct table *));
	if (!w->entries || !c->tables) {
		return no_memory(err);
	}
	for (size_t i = 0; i < count; i++) {
		w->entries[i].row = &c->rows[first + i];
		c->tables[i] = &w->entries[i].table;
	}
	c->table_count = count;
	return ST_OK;
}

/* Number of the table called `name`; table_count when there is none. */
static size_t find_table(const struct whole_catalog *w, const char *name)
{
	size_t low = 0;
	size_t high = w->public.table_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = schema_name_compare(w->entries[middle].row->name, name);

		if (order == 0) {
			return middle;
		}
		if (order < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return w->public.table_count;
}

static void sign_text(struct signature *signature, const char *text)
{
	size_t len = text ? strlen(text) + 1 : 0;

	signature->a = XXH3_64bits_withSeed(text, len, signature->a + 1);
	signature->b = XXH3_64bits_withSeed(text, len, signature->b + UINT64_MAX / 3);
}

static void sign_row(struct signature *signature, const struct schema_row *row)
{
	sign_text(signature, row->name);
	sign_text(signature, row->sql);
}

static bool is_virtual_row(const struct schema_row *row)
{
	return is_type(row, "table") && row->root_page == 0;
}

static void sign_tables(struct whole_catalog *w)
{
	for (size_t i = 0; i < w->public.table_count; i++) {
		sign_row(&w->entries[i].signature, w->entries[i].row);
		if (is_virtual_row(w->entries[i].row)) {
			sign_row(&w->virtual_tables, w->entries[i].row);
		}
	}
	for (size_t i = 0; i < w->public.row_count; i++) {
		const struct schema_row *row = &w->public.rows[i];

		if (is_type(row, "index")) {
			size_t table = find_table(w, row->table_name);

			if (table < w->public.table_count) {
				sign_row(&w->entries[table].signature, row);
			}
		}
	}
}

static bool same_signature(const struct signature *x, const struct signature *y)
{
	return x->a == y->a && x->b == y->b;
}

/* --- descriptions ----------------------------------------------------------------- */

/* Take what `previous` knows; returns how many tables are left to describe. */
static size_t reuse(struct whole_catalog *w, const struct whole_catalog *previous)
{
	size_t left = w->public.table_count;

	if (!previous ||
	    previous->public.header.encoding != w->public.header.encoding ||
	    !same_signature(&previous->virtual_tables, &w->virtual_tables)) {
		return left;
	}
	for (size_t i = 0; i < w->public.table_count; i++) {
		size_t old = find_table(previous, w->entries[i].row->name);

		if (old < previous->public.table_count &&
		    same_signature(&previous->entries[old].signature,
				   &w->entries[i].signature)) {
			w->entries[i].description =
			    description_retain(previous->entries[old].description);
			left--;
		}
	}
	return left;
}

/* Add the rows that the tables without a description need: their own, their indexes',
 * and those of all virtual tables. */
static enum status add_rows(const struct whole_catalog *w, struct describer *describer,
			    struct error *err)
{
	for (size_t i = 0; i < w->public.table_count; i++) {
		if ((!w->entries[i].description || is_virtual_row(w->entries[i].row)) &&
		    describer_add(describer, w->entries[i].row, err) != ST_OK) {
			return err->status;
		}
	}
	for (size_t i = 0; i < w->public.row_count; i++) {
		const struct schema_row *row = &w->public.rows[i];
		size_t table;

		if (!is_type(row, "index")) {
			continue;
		}
		table = find_table(w, row->table_name);
		if (table < w->public.table_count && !w->entries[table].description &&
		    describer_add(describer, row, err) != ST_OK) {
			return err->status;
		}
	}
	return ST_OK;
}

static enum status describe_with(struct whole_catalog *w, struct describer *describer,
				 struct error *err)
{
	if (add_rows(w, describer, err) != ST_OK ||
	    describer_load(describer, err) != ST_OK) {
		return err->status;
	}
	for (size_t i = 0; i < w->public.table_count; i++) {
		if (!w->entries[i].description &&
		    description_open(describer, w->entries[i].row,
				     &w->entries[i].description, err) != ST_OK) {
			return err->status;
		}
	}
	return ST_OK;
}

static enum status describe(struct whole_catalog *w,
			    const struct whole_catalog *previous, struct error *err)
{
	struct describer *describer;
	enum status st;

	if (reuse(w, previous) == 0) {
		return ST_OK;
	}
	st = describer_open(w->public.header.encoding, &describer, err);
	if (st != ST_OK) {
		return st;
	}
	st = describe_with(w, describer, err);
	describer_close(describer);
	return st;
}

/* Is the table wanted? If a pattern of the filter gives up, nobody knows. */
static enum status ask_filter(struct entry *entry, const struct table_filter *filter,
			      struct error *err)
{
	struct table *table = &entry->table;
	enum status st = table_filter_reason(
	    filter, table->name, entry->description->is_system, &table->left_out, err);

	if (st != ST_CONFIG) {
		return st;
	}
	entry->undecided = strdup(err->text);
	table->left_out = entry->undecided;
	table->is_undecided = true;
	return entry->undecided ? ST_OK : no_memory(err);
}

static enum status leave_out(const struct whole_catalog *w, struct entry *entry,
			     const struct table_filter *filter, struct error *err)
{
	if (!entry->description->is_listed) {
		entry->table.left_out = w->unparsable;
		return ST_OK;
	}
	if (entry->description->is_virtual) {
		entry->table.left_out = "virtual table";
		return ST_OK;
	}
	return ask_filter(entry, filter, err);
}

static enum status fill_tables(struct whole_catalog *w,
			       const struct table_filter *filter, struct error *err)
{
	for (size_t i = 0; i < w->public.table_count; i++) {
		const struct description *description = w->entries[i].description;
		struct table *table = &w->entries[i].table;

		*table = description->table;
		table->root_page = w->entries[i].row->root_page;
		if (leave_out(w, &w->entries[i], filter, err) != ST_OK) {
			return err->status;
		}
		if (description->is_listed && !description->is_virtual &&
		    table->root_page == 0) {
			return error_set(err, ST_CORRUPT,
					 "table \"%s\" has no root page",
					 SHORT_NAME(table->name));
		}
	}
	/* An index counts even if SQLite cannot parse it. */
	for (size_t i = 0; i < w->public.row_count; i++) {
		const struct schema_row *row = &w->public.rows[i];
		size_t table = find_table(w, row->table_name);

		if (is_type(row, "index") && table < w->public.table_count) {
			w->entries[table].table.has_index = true;
		}
	}
	return ST_OK;
}

/* --- trees ------------------------------------------------------------------------ */

/* Kind of a tree that SQLite tells nothing of, from its root page itself. What is no
 * b-tree page passes for a table: whoever walks the tree sees it. */
static enum status read_kind(struct page_source *source, struct tree_root *root,
			     struct error *err)
{
	struct page_ref ref = {NULL, NULL};
	struct page page;
	enum status st = page_get(source, root->root_page, &ref, err);

	root->is_table_tree = true;
	if (st == ST_OK && page_parse(ref.bytes, root->root_page, source->usable_size,
				      &page, err) == ST_OK) {
		root->is_table_tree = page.is_table;
	}
	page_put(source, &ref);
	return st;
}

static enum status add_root(struct whole_catalog *w, struct page_source *source,
			    const struct schema_row *row, struct error *err)
{
	struct catalog *c = &w->public;
	struct tree_root *root = &c->roots[c->root_count++];

	root->root_page = row->root_page;
	root->name = row->name;
	if (is_type(row, "table")) {
		size_t i = find_table(w, row->name);

		if (!w->entries[i].description->is_listed) {
			return read_kind(source, root, err);
		}
		root->table = &w->entries[i].table;
		root->is_table_tree = !w->entries[i].table.without_rowid;
	}
	return ST_OK;
}

static int compare_roots(const void *a, const void *b)
{
	const struct tree_root *left = a;
	const struct tree_root *right = b;

	return (left->root_page > right->root_page) -
	       (left->root_page < right->root_page);
}

static enum status fill_roots(struct whole_catalog *w, struct page_source *source,
			      struct error *err)
{
	struct catalog *c = &w->public;

	c->roots = calloc(c->row_count + 1, sizeof *c->roots);
	if (!c->roots) {
		return no_memory(err);
	}
	c->roots[c->root_count++] = (struct tree_root){
	    .root_page = 1, .is_table_tree = true, .name = "sqlite_schema"};
	for (size_t i = 0; i < c->row_count; i++) {
		const struct schema_row *row = &c->rows[i];

		if (row->root_page > 0 &&
		    (is_type(row, "table") || is_type(row, "index")) &&
		    add_root(w, source, row, err) != ST_OK) {
			return err->status;
		}
	}
	qsort(c->roots, c->root_count, sizeof *c->roots, compare_roots);
	for (size_t i = 1; i < c->root_count; i++) {
		if (c->roots[i].root_page == c->roots[i - 1].root_page) {
			return error_set(err, ST_CORRUPT,
					 "page %" PRIu32 " is the root of \"%s\" "
					 "and of \"%s\"",
					 c->roots[i].root_page,
					 SHORT_NAME(c->roots[i - 1].name),
					 SHORT_NAME(c->roots[i].name));
		}
	}
	return ST_OK;
}

/* --- the catalog ------------------------------------------------------------------ */

static enum status fill(struct whole_catalog *w, struct page_source *source,
			const struct table_filter *filter,
			const struct whole_catalog *previous, struct error *err)
{
	struct catalog *c = &w->public;

	if (schema_rows_read(&w->schema, source, err) != ST_OK) {
		return err->status;
	}
	c->header = w->schema.header;
	c->rows = w->schema.rows;
	c->row_count = w->schema.count;
	c->schema_pages = w->schema.pages;
	c->schema_page_count = w->schema.page_count;
	(void)snprintf(w->unparsable, sizeof w->unparsable,
		       "its definition cannot be parsed by SQLite %s",
		       sqlite3_libversion());
	if (collect_tables(w, err) != ST_OK) {
		return err->status;
	}
	sign_tables(w);
	if (describe(w, previous, err) != ST_OK ||
	    fill_tables(w, filter, err) != ST_OK) {
		return err->status;
	}
	return fill_roots(w, source, err);
}

enum status catalog_read(struct page_source *source, const struct table_filter *filter,
			 const struct catalog *previous, struct catalog **out,
			 struct error *err)
{
	struct whole_catalog *w = calloc(1, sizeof *w);

	if (!w) {
		return no_memory(err);
	}
	schema_rows_init(&w->schema);
	if (fill(w, source, filter, previous ? whole(previous) : NULL, err) != ST_OK) {
		catalog_close(&w->public);
		return err->status;
	}
	*out = &w->public;
	return ST_OK;
}

struct table *catalog_find(const struct catalog *catalog, const char *name)
{
	size_t i = find_table(whole(catalog), name);

	return i < catalog->table_count ? catalog->tables[i] : NULL;
}

const struct tree_root *catalog_root(const struct catalog *catalog, uint32_t root_page)
{
	struct tree_root key = {.root_page = root_page};

	return bsearch(&key, catalog->roots, catalog->root_count,
		       sizeof *catalog->roots, compare_roots);
}
