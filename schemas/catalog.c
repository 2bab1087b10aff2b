/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/catalog.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "btree/page.h"
#include "schemas/description.h"
#include "schemas/schema_rows.h"
#include "schemas/table_filter.h"
#include "src/base/utf8.h"

/* A table, shared by the catalogs that have it in common. */
struct entry {
	struct table table; /* first; a copy of the description's, with root page and
			     * filter */
	atomic_uint references;
	struct description *description;
	bool has_index;
	const char *reason; /* why the filter leaves it out; readers may have others */
	char *own_reason;   /* the same, if it is the entry's own */
};

/* What a catalog has beside what its readers see. */
struct whole_catalog {
	struct catalog public; /* first: what is handed out points to it */
	struct schema_rows schema;
	size_t first_table; /* public.rows from here on are public.tables */
	size_t first_index; /* and from here on indexes */
	size_t index_count;
	const struct table_filter
	    *filter; /* its address is compared only: it may be closed */
};

static const struct whole_catalog *whole(const struct catalog *catalog)
{
	return (const struct whole_catalog *)(const void *)catalog;
}

static struct entry *entry_of(const struct catalog *catalog, size_t i)
{
	return (struct entry *)(void *)catalog->tables[i];
}

static enum status no_memory(struct error *err)
{
	(void)error_no_memory(err, "a catalog");
	return ST_NOMEM;
}

static void release_entry(struct entry *entry)
{
	if (entry && atomic_fetch_sub(&entry->references, 1) == 1) {
		description_release(entry->description);
		free(entry->own_reason);
		free(entry);
	}
}

void catalog_close(struct catalog *catalog)
{
	struct whole_catalog *w = (struct whole_catalog *)(void *)catalog;

	if (!catalog) {
		return;
	}
	for (size_t i = 0; i < catalog->table_count && catalog->tables; i++) {
		release_entry(entry_of(catalog, i));
	}
	free(catalog->tables);
	free(catalog->roots);
	schema_rows_clear(&w->schema);
	free(w);
}

/* ---- rows of one type ---- */

static bool is_type(const struct schema_row *row, const char *type)
{
	return strcmp(row->type, type) == 0;
}

static bool is_virtual_row(const struct schema_row *row)
{
	return row->root_page == 0 && is_type(row, "table");
}

/* The first row whose type is not below `type`. */
static size_t first_of(const struct catalog *c, const char *type)
{
	size_t low = 0;
	size_t high = c->row_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(c->rows[middle]->type, type) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

/* Types in order are index, table, trigger, view; "index\1" comes before "table". */
static enum status collect_rows(struct whole_catalog *w, struct error *err)
{
	struct catalog *c = &w->public;

	w->first_index = first_of(c, "index");
	w->index_count = first_of(c, "index\1") - w->first_index;
	w->first_table = first_of(c, "table");
	c->table_count = first_of(c, "table\1") - w->first_table;
	c->tables = calloc(c->table_count + 1, sizeof(struct table *));
	return c->tables ? ST_OK : no_memory(err);
}

static const struct schema_row *table_row(const struct whole_catalog *w, size_t i)
{
	return w->public.rows[w->first_table + i];
}

/* Number of the table called `name`; table_count when there is none. */
static size_t find_table(const struct whole_catalog *w, const char *name)
{
	size_t low = 0;
	size_t high = w->public.table_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = schema_name_compare(table_row(w, middle)->name, name);

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

/* ---- what changed ---- */

/* A table that is not as it was. */
struct touched {
	const char *name;
	uint32_t hash; /* schema_name_hash of name */
	bool is_moved; /* its root page alone */
};

struct changes {
	struct touched *list; /* by name */
	size_t count;
	const char **virtuals; /* virtual tables that came, went or changed */
	size_t virtual_count;
	bool all;
};

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void touch(struct changes *changes, const struct schema_row *row, bool is_moved)
{
	bool is_table = is_type(row, "table");

	if (!is_table && (is_moved || !is_type(row, "index"))) {
		return;
	}
	changes->list[changes->count++] = (struct touched){
	    .name = is_table ? row->name : row->table_name,
	    .hash = is_table ? schema_name_hash(row->name) : row->table_hash,
	    .is_moved = is_moved};
	if (is_virtual_row(row) && !is_moved) {
		changes->virtuals[changes->virtual_count++] = row->name;
	}
}

static void touch_pair(struct changes *changes, const struct schema_row *was,
		       const struct schema_row *is)
{
	if (!same_text(was->sql, is->sql) || strcmp(was->name, is->name) != 0 ||
	    strcmp(was->table_name, is->table_name) != 0 ||
	    (was->root_page == 0) != (is->root_page == 0)) {
		touch(changes, was, false);
		touch(changes, is, false);
	} else if (was->root_page != is->root_page) {
		touch(changes, is, true);
	}
}

static int compare_touched(const void *a, const void *b)
{
	return schema_name_compare(((const struct touched *)a)->name,
				   ((const struct touched *)b)->name);
}

/* One for each table. */
static void sort_changes(struct changes *changes)
{
	size_t kept = 0;

	if (changes->count > 1) {
		qsort(changes->list, changes->count, sizeof *changes->list,
		      compare_touched);
	}
	for (size_t i = 0; i < changes->count; i++) {
		if (kept > 0 &&
		    compare_touched(&changes->list[kept - 1], &changes->list[i]) == 0) {
			changes->list[kept - 1].is_moved &= changes->list[i].is_moved;
		} else {
			changes->list[kept++] = changes->list[i];
		}
	}
	changes->count = kept;
}

/* Compare what was read anew with what stood there. */
static enum status find_changes(const struct schema_rows *schema,
				struct changes *changes, struct error *err)
{
	size_t total = schema->fresh_count + schema->stale_count;
	size_t i = 0, j = 0;

	changes->list = calloc(2 * total + 1, sizeof *changes->list);
	changes->virtuals = calloc(2 * total + 1, sizeof *changes->virtuals);
	if (!changes->list || !changes->virtuals) {
		return no_memory(err);
	}
	while (i < schema->stale_count || j < schema->fresh_count) {
		int order =
		    i == schema->stale_count ? 1
		    : j == schema->fresh_count
			? -1
			: schema_rows_compare(schema->stale[i], schema->fresh[j]);

		if (order == 0) {
			touch_pair(changes, schema->stale[i], schema->fresh[j]);
		} else {
			touch(changes, order < 0 ? schema->stale[i] : schema->fresh[j],
			      false);
		}
		i += order <= 0;
		j += order >= 0;
	}
	sort_changes(changes);
	return ST_OK;
}

static void clear_changes(struct changes *changes)
{
	free(changes->list);
	free(changes->virtuals);
}

static const struct touched *find_touched(const struct changes *changes,
					  const char *name)
{
	struct touched key = {.name = name};

	return changes->count == 0 ? NULL
				   : bsearch(&key, changes->list, changes->count,
					     sizeof *changes->list, compare_touched);
}

#define FEW 8 /* touched tables whose hashes are looked through */

/* Can the row's table be touched? Without a look at its name. */
static bool may_be_touched(const struct changes *changes, const struct schema_row *row)
{
	if (changes->all || changes->virtual_count > 0 || changes->count > FEW) {
		return true;
	}
	for (size_t i = 0; i < changes->count; i++) {
		if (changes->list[i].hash == row->table_hash) {
			return true;
		}
	}
	return false;
}

/* May `name` have become, or ceased to be, a shadow table? */
static bool is_shadow_name(const struct changes *changes, const char *name)
{
	for (size_t i = 0; i < changes->virtual_count; i++) {
		const char *owner = changes->virtuals[i];
		size_t len = strlen(owner);

		if (sqlite3_strnicmp(owner, name, (int)len) == 0 && name[len] == '_') {
			return true;
		}
	}
	return false;
}

static bool is_to_describe(const struct changes *changes, const char *name)
{
	const struct touched *touched;

	if (changes->all || is_shadow_name(changes, name)) {
		return true;
	}
	touched = find_touched(changes, name);
	return touched && !touched->is_moved;
}

/* ---- entries ---- */

/* Is the entry right for the new row, and still what the filter said? */
static bool is_shared_as_it_is(const struct entry *was, const struct schema_row *row)
{
	return was->table.root_page == row->root_page &&
	       was->table.left_out == was->reason;
}

/* Take from `previous` what did not change. Returns how many tables are to be
 * described. */
static enum status reuse(struct whole_catalog *w, const struct whole_catalog *previous,
			 const struct changes *changes, size_t *left, struct error *err)
{
	struct catalog *c = &w->public;
	size_t old = 0;

	*left = 0;
	for (size_t i = 0; i < c->table_count; i++) {
		const struct schema_row *row = table_row(w, i);
		struct entry *was, *entry;
		int order = -1;

		for (; previous && old < previous->public.table_count; old++) {
			const struct schema_row *old_row = table_row(previous, old);

			order = old_row == row
				    ? 0
				    : schema_name_compare(old_row->name, row->name);
			if (order >= 0) {
				break;
			}
		}
		was = order == 0 && !is_to_describe(changes, row->name)
			  ? entry_of(&previous->public, old)
			  : NULL;
		old += order == 0;
		if (was && previous->filter == w->filter &&
		    is_shared_as_it_is(was, row)) {
			(void)atomic_fetch_add(&was->references, 1);
			c->tables[i] = &was->table;
			continue;
		}
		entry = calloc(1, sizeof *entry);
		if (!entry) {
			return no_memory(err);
		}
		atomic_init(&entry->references, 1);
		c->tables[i] = &entry->table;
		if (was) {
			entry->description = description_retain(was->description);
			entry->has_index = was->table.has_index;
		} else {
			++*left;
		}
	}
	return ST_OK;
}

/* Add the rows that the tables without a description need: their own, their indexes',
 * and those of all virtual tables. */
static enum status add_rows(const struct whole_catalog *w, struct describer *describer,
			    struct error *err)
{
	for (size_t i = 0; i < w->public.table_count; i++) {
		if ((!entry_of(&w->public, i)->description ||
		     is_virtual_row(table_row(w, i))) &&
		    describer_add(describer, table_row(w, i), err) != ST_OK) {
			return err->status;
		}
	}
	return ST_OK;
}

static enum status add_index_rows(struct whole_catalog *w, struct describer *describer,
				  const struct changes *changes, struct error *err)
{
	for (size_t i = 0; i < w->index_count; i++) {
		const struct schema_row *row = w->public.rows[w->first_index + i];
		size_t table;

		if (!may_be_touched(changes, row)) {
			continue;
		}
		table = find_table(w, row->table_name);
		if (table == w->public.table_count ||
		    entry_of(&w->public, table)->description) {
			continue;
		}
		entry_of(&w->public, table)->has_index = true;
		if (describer_add(describer, row, err) != ST_OK) {
			return err->status;
		}
	}
	return ST_OK;
}

static enum status describe_with(struct whole_catalog *w, struct describer *describer,
				 const struct changes *changes, struct error *err)
{
	if (add_rows(w, describer, err) != ST_OK ||
	    add_index_rows(w, describer, changes, err) != ST_OK ||
	    describer_load(describer, err) != ST_OK) {
		return err->status;
	}
	for (size_t i = 0; i < w->public.table_count; i++) {
		struct entry *entry = entry_of(&w->public, i);

		if (!entry->description &&
		    description_open(describer, table_row(w, i), &entry->description,
				     err) != ST_OK) {
			return err->status;
		}
	}
	return ST_OK;
}

static enum status describe(struct whole_catalog *w,
			    const struct whole_catalog *previous,
			    const struct changes *changes, struct error *err)
{
	struct describer *describer;
	size_t left;
	enum status st = reuse(w, previous, changes, &left, err);

	if (st != ST_OK || left == 0) {
		return st;
	}
	st = describer_open(&w->public.header, &describer, err);
	if (st != ST_OK) {
		return st;
	}
	st = describe_with(w, describer, changes, err);
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
	entry->own_reason = strdup(err->text);
	table->left_out = entry->own_reason;
	table->is_undecided = true;
	return entry->own_reason ? ST_OK : no_memory(err);
}

static enum status leave_out(struct entry *entry, const struct table_filter *filter,
			     struct error *err)
{
	if (!entry->description->is_listed) {
		if (asprintf(&entry->own_reason,
			     "its definition cannot be parsed by SQLite %s",
			     sqlite3_libversion()) < 0) {
			entry->own_reason = NULL;
			return no_memory(err);
		}
		entry->table.left_out = entry->own_reason;
		return ST_OK;
	}
	if (entry->description->is_virtual) {
		entry->table.left_out = "virtual table";
		return ST_OK;
	}
	return ask_filter(entry, filter, err);
}

/* A new entry, which has its description. */
static enum status fill_entry(struct entry *entry, const struct schema_row *row,
			      const struct table_filter *filter, struct error *err)
{
	const struct description *description = entry->description;
	struct table *table = &entry->table;

	*table = description->table;
	table->root_page = row->root_page;
	/* An index counts even if SQLite cannot parse it. */
	table->has_index = table->has_index || entry->has_index;
	if (leave_out(entry, filter, err) != ST_OK) {
		return err->status;
	}
	entry->reason = table->left_out;
	if (description->is_listed && !description->is_virtual &&
	    table->root_page == 0) {
		return error_set(err, ST_CORRUPT, "table \"%s\" has no root page",
				 SHORT_NAME(table->name));
	}
	return ST_OK;
}

static bool is_new_entry(const struct entry *entry)
{
	return atomic_load(&entry->references) == 1;
}

static enum status fill_tables(struct whole_catalog *w,
			       const struct table_filter *filter, struct error *err)
{
	for (size_t i = 0; i < w->public.table_count; i++) {
		struct entry *entry = entry_of(&w->public, i);

		if (is_new_entry(entry) &&
		    fill_entry(entry, table_row(w, i), filter, err) != ST_OK) {
			return err->status;
		}
	}
	return ST_OK;
}

/* ---- trees ---- */

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

static bool has_tree(const struct schema_row *row)
{
	return row->root_page > 0 && (is_type(row, "table") || is_type(row, "index"));
}

static void set_table(struct tree_root *root, const struct entry *entry)
{
	if (entry->description->is_listed) {
		root->table = (struct table *)&entry->table;
		root->is_table_tree = !entry->table.without_rowid;
	}
}

static int compare_roots(const void *a, const void *b)
{
	const struct tree_root *left = a;
	const struct tree_root *right = b;

	return (left->root_page > right->root_page) -
	       (left->root_page < right->root_page);
}

static void sort_roots(struct tree_root *roots, size_t count)
{
	if (count > 1) {
		qsort(roots, count, sizeof *roots, compare_roots);
	}
}

/* The trees of `count` rows, by root page. */
static struct tree_root *list_roots(const struct whole_catalog *w,
				    const struct schema_row *const *rows, size_t count,
				    size_t *total)
{
	struct tree_root *roots = calloc(count + 1, sizeof *roots);

	*total = 0;
	for (size_t i = 0; roots && i < count; i++) {
		struct tree_root *root = &roots[*total];

		if (!has_tree(rows[i])) {
			continue;
		}
		*root = (struct tree_root){.root_page = rows[i]->root_page,
					   .name = rows[i]->name};
		if (w && is_type(rows[i], "table")) {
			set_table(root,
				  entry_of(&w->public, find_table(w, rows[i]->name)));
		}
		++*total;
	}
	sort_roots(roots, *total);
	return roots;
}

/* Put the roots of `previous`, less `gone`, and `come` together. */
static enum status merge_roots(struct catalog *c, const struct catalog *previous,
			       const struct tree_root *gone, size_t gone_count,
			       const struct tree_root *come, size_t come_count,
			       struct error *err)
{
	static const struct tree_root schema[] = {
	    {.root_page = 1, .is_table_tree = true, .name = "sqlite_schema"}};
	const struct tree_root *old = previous ? previous->roots : schema;
	size_t old_count = previous ? previous->root_count : 1;
	size_t g = 0, n = 0;

	c->roots = calloc(old_count + come_count + 1, sizeof *c->roots);
	if (!c->roots) {
		return no_memory(err);
	}
	for (size_t i = 0; i < old_count; i++) {
		while (n < come_count && come[n].root_page < old[i].root_page) {
			c->roots[c->root_count++] = come[n++];
		}
		while (g < gone_count && gone[g].root_page < old[i].root_page) {
			g++;
		}
		if (g == gone_count || gone[g].root_page != old[i].root_page) {
			c->roots[c->root_count++] = old[i];
		}
	}
	while (n < come_count) {
		c->roots[c->root_count++] = come[n++];
	}
	return ST_OK;
}

/* Trees whose table is another object than in the previous catalog, and those of which
 * only their own pages tell. */
static enum status renew_roots(struct whole_catalog *w, struct page_source *source,
			       struct error *err)
{
	for (size_t i = 0; i < w->public.table_count; i++) {
		const struct entry *entry = entry_of(&w->public, i);
		bool is_listed = entry->description->is_listed;
		struct tree_root *root;

		if ((is_listed && !is_new_entry(entry)) ||
		    entry->table.root_page == 0) {
			continue;
		}
		root = (struct tree_root *)catalog_root(&w->public,
							entry->table.root_page);
		if (root && is_listed) {
			set_table(root, entry);
		} else if (root && read_kind(source, root, err) != ST_OK) {
			return err->status;
		}
	}
	return ST_OK;
}

static enum status check_roots(const struct whole_catalog *w, struct error *err)
{
	const struct catalog *c = &w->public;

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
	for (size_t i = 0; i < c->schema_page_count; i++) {
		const struct tree_root *root = catalog_root(c, c->schema_pages[i]);

		if (root && root->root_page != 1) {
			return error_set(err, ST_CORRUPT,
					 "\"%s\": root page %" PRIu32
					 " belongs to the schema",
					 SHORT_NAME(root->name), root->root_page);
		}
	}
	return ST_OK;
}

static enum status fill_roots(struct whole_catalog *w, struct page_source *source,
			      const struct catalog *previous, struct error *err)
{
	const struct schema_rows *schema = &w->schema;
	size_t gone_count = 0, come_count = 0;
	struct tree_root *gone =
	    list_roots(NULL, schema->stale, schema->stale_count, &gone_count);
	struct tree_root *come =
	    list_roots(w, schema->fresh, schema->fresh_count, &come_count);
	enum status st = gone && come ? merge_roots(&w->public, previous, gone,
						    gone_count, come, come_count, err)
				      : no_memory(err);

	free(gone);
	free(come);
	if (st == ST_OK) {
		st = check_roots(w, err);
	}
	return st == ST_OK ? renew_roots(w, source, err) : st;
}

/* ---- the catalog ---- */

static enum status fill_changed(struct whole_catalog *w, struct page_source *source,
				const struct table_filter *filter,
				const struct whole_catalog *previous,
				struct changes *changes, struct error *err)
{
	enum status st = find_changes(&w->schema, changes, err);

	changes->all =
	    !previous ||
	    previous->public.header.encoding != w->public.header.encoding ||
	    previous->public.header.schema_format != w->public.header.schema_format;
	if (st == ST_OK) {
		st = describe(w, previous, changes, err);
	}
	if (st == ST_OK) {
		st = fill_tables(w, filter, err);
	}
	return st == ST_OK
		   ? fill_roots(w, source, previous ? &previous->public : NULL, err)
		   : st;
}

static enum status fill(struct whole_catalog *w, struct page_source *source,
			const struct table_filter *filter,
			const struct whole_catalog *previous,
			const struct page_set *changed, struct error *err)
{
	struct catalog *c = &w->public;
	struct changes changes = {0};
	enum status st = schema_rows_read(
	    &w->schema, source, previous ? &previous->schema : NULL, changed, err);

	if (st != ST_OK) {
		return st;
	}
	c->header = w->schema.header;
	c->rows = w->schema.rows;
	c->row_count = w->schema.count;
	c->schema_pages = w->schema.pages;
	c->schema_page_count = w->schema.page_count;
	st = collect_rows(w, err);
	if (st == ST_OK) {
		st = fill_changed(w, source, filter, previous, &changes, err);
	}
	clear_changes(&changes);
	return st;
}

enum status catalog_read(struct page_source *source, const struct table_filter *filter,
			 const struct catalog *previous, const struct page_set *changed,
			 struct catalog **out, struct error *err)
{
	struct whole_catalog *w = calloc(1, sizeof *w);

	if (!w) {
		return no_memory(err);
	}
	schema_rows_init(&w->schema);
	w->filter = filter;
	if (fill(w, source, filter, previous ? whole(previous) : NULL, changed, err) !=
	    ST_OK) {
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
