/* SPDX-License-Identifier: Apache-2.0 */
#include "src/decode/decoder.h"

#include <stdlib.h>
#include <string.h>

#include "btree/page_marks.h"
#include "btree/ptrmap.h"
#include "btree/tree_diff.h"
#include "btree/tree_walk.h"
#include "schemas/table_rename.h"
#include "src/base/array.h"
#include "src/base/utf8.h"
#include "src/decode/dirty_pages.h"
#include "src/decode/likeness.h"
#include "src/decode/row_diff.h"
#include "src/decode/vacuum.h"

/* A tree to compare. */
struct tree_work {
	const struct table *old_table; /* NULL: not there before */
	const struct table *new_table; /* NULL: it is gone, no rows come of it */
	uint32_t old_root;             /* 0: none */
	uint32_t new_root;
};

struct decoder {
	struct view *view;
	const struct table_filter *filter;
	struct decoder_events events;
	struct catalog *catalog;
	uint32_t *roots; /* of the catalog's trees; catalog->root_count of them */
	size_t root_cap;
	struct map_trees trees; /* the same, those of captured tables first */
	struct parent_map map;  /* not filled: as needed */
	bool map_is_stale;      /* to be made anew after this transaction */
	bool distrusts_ptrmap;  /* one of its pages is damaged */
	struct page_set named;  /* roots of damaged trees that were told; 0: freelist */
	struct page_marks marks;
	size_t left_out; /* pages of the transaction that are as before: not in marks */
	struct tree_diff diff;
	struct row_diff rows;
	struct page_set matched; /* roots of old trees that the new catalog still has */
	struct table_renames renames; /* that the schema itself tells */
	/* Tables of the old catalog that the new one lacks. */
	const struct table **gone;
	size_t gone_count;
	struct tree_work *work;
	size_t work_count;
	size_t work_cap;
	struct ddl_reports reports;
};

static bool is_captured(const struct table *table)
{
	return table && !table->left_out;
}

static enum status list_roots(struct decoder *decoder, struct error *err)
{
	const struct catalog *catalog = decoder->catalog;
	size_t needed = 0;
	size_t others = catalog->root_count;
	uint32_t *roots;

	if (!array_room(&decoder->roots, &decoder->root_cap, catalog->root_count + 1,
			sizeof *roots)) {
		return error_no_memory(err, "root pages");
	}
	roots = decoder->roots;
	for (size_t i = 0; i < catalog->root_count; i++) {
		bool is_needed = is_captured(catalog->roots[i].table);

		roots[is_needed ? needed++ : --others] = catalog->roots[i].root_page;
	}
	decoder->trees.roots = roots;
	decoder->trees.count = catalog->root_count;
	decoder->trees.needed = needed;
	return ST_OK;
}

/* Tell of damage that stops nothing; `root` as in struct map_trees. */
static void tell_damage(void *context, uint32_t root, const struct error *why)
{
	struct decoder *decoder = context;
	const struct tree_root *tree = catalog_root(decoder->catalog, root);
	const char *name = tree ? tree->name : "";
	enum damaged_part part = root == 0 ? DAMAGED_FREELIST : DAMAGED_INDEX;
	struct error unused;
	bool is_new = false;

	if (root == 1 || /* what is wrong with the schema is said when it is read */
	    page_set_add(&decoder->named, root, &is_new, &unused) != ST_OK || !is_new) {
		return;
	}
	if (tree && catalog_find(decoder->catalog, name) &&
	    catalog_find(decoder->catalog, name)->root_page == root) {
		part = DAMAGED_TABLE;
	}
	decoder->events.damaged(decoder->events.context, part, name, why);
}

/* At open every tree must at least have a path from its root to a leaf, if it is one
 * that is needed. */
static enum status check_roots(struct decoder *decoder, struct error *err)
{
	const struct catalog *catalog = decoder->catalog;

	for (size_t i = 0; i < catalog->root_count; i++) {
		const struct tree_root *root = &catalog->roots[i];
		unsigned height;
		enum status status =
		    tree_height(view_old(decoder->view), root->root_page, &height, err);

		if (status == ST_CORRUPT && !is_captured(root->table)) {
			tell_damage(decoder, root->root_page, err);
		} else if (status != ST_OK) {
			return status == ST_CORRUPT
				   ? error_wrap(err, "table %s", SHORT_NAME(root->name))
				   : status;
		}
	}
	return ST_OK;
}

enum status decoder_open(struct view *view, const struct table_filter *filter,
			 const struct decoder_events *events, struct decoder **out,
			 struct error *err)
{
	struct decoder *decoder = calloc(1, sizeof *decoder);
	enum status status;

	if (!decoder) {
		return error_no_memory(err, "decoding");
	}
	decoder->view = view;
	decoder->filter = filter;
	decoder->events = *events;
	parent_map_init(&decoder->map);
	page_marks_init(&decoder->marks);
	tree_diff_init(&decoder->diff);
	row_diff_init(&decoder->rows);
	page_set_init(&decoder->matched);
	page_set_init(&decoder->named);
	decoder->trees.damaged = tell_damage;
	decoder->trees.context = decoder;
	table_renames_init(&decoder->renames);
	status =
	    catalog_read(view_old(view), filter, NULL, NULL, &decoder->catalog, err);
	if (status == ST_OK) {
		status = check_roots(decoder, err);
	}
	if (status == ST_OK) {
		status = events->catalog(events->context, decoder->catalog, NULL, err);
	}
	if (status == ST_OK) {
		status = list_roots(decoder, err);
	}
	if (status != ST_OK) {
		decoder_close(decoder);
		return status;
	}
	*out = decoder;
	return ST_OK;
}

void decoder_close(struct decoder *decoder)
{
	if (!decoder) {
		return;
	}
	catalog_close(decoder->catalog);
	parent_map_clear(&decoder->map);
	page_marks_clear(&decoder->marks);
	tree_diff_clear(&decoder->diff);
	row_diff_clear(&decoder->rows);
	page_set_clear(&decoder->matched);
	page_set_clear(&decoder->named);
	table_renames_clear(&decoder->renames);
	free(decoder->gone);
	free(decoder->work);
	ddl_reports_clear(&decoder->reports);
	free(decoder->roots);
	free(decoder);
}

const struct catalog *decoder_catalog(const struct decoder *decoder)
{
	return decoder->catalog;
}

void decoder_use_view(struct decoder *decoder, struct view *view)
{
	decoder->view = view;
	parent_map_clear(&decoder->map);
}

/* ---- the transaction's pages ---- */

static bool has_ptrmap(const struct db_header *header)
{
	return header->largest_root != 0;
}

/* Are parents looked up in the derived map? */
static bool uses_map(const struct decoder *decoder, const struct db_header *header)
{
	return !has_ptrmap(header) || decoder->distrusts_ptrmap;
}

static enum status read_header(struct page_source *source, struct db_header *header,
			       struct error *err)
{
	struct page_ref ref = {0};
	enum status status = page_get(source, 1, &ref, err);

	if (status == ST_OK) {
		status = db_header_read(ref.bytes, header, err);
		page_put(source, &ref);
	}
	return status;
}

/* ---- the schema ---- */

static bool touches_schema_pages(const struct catalog *catalog,
				 const struct captured_txn *txn)
{
	for (size_t i = 0; i < catalog->schema_page_count; i++) {
		if (catalog->schema_pages[i] != 1 &&
		    captured_txn_has_page(txn, catalog->schema_pages[i])) {
			return true;
		}
	}
	return false;
}

/* Did page 1 change in a way that the catalog depends on? */
static enum status page_one_changed(struct decoder *decoder, bool *changed,
				    struct error *err)
{
	struct page_source *old = view_old(decoder->view);
	struct page_source *new = view_new(decoder->view);
	struct page_ref old_ref = {0}, new_ref = {0};
	enum status status = page_get(old, 1, &old_ref, err);

	if (status != ST_OK) {
		return status;
	}
	status = page_get(new, 1, &new_ref, err);
	if (status == ST_OK) {
		struct db_header header;

		status = db_header_read(new_ref.bytes, &header, err);
		if (status == ST_OK) {
			const struct db_header *was = &decoder->catalog->header;

			*changed = header.schema_cookie != was->schema_cookie ||
				   header.encoding != was->encoding ||
				   has_ptrmap(&header) != has_ptrmap(was) ||
				   memcmp(old_ref.bytes + DB_HEADER_SIZE,
					  new_ref.bytes + DB_HEADER_SIZE,
					  old->page_size - DB_HEADER_SIZE) != 0;
		}
		page_put(new, &new_ref);
	}
	page_put(old, &old_ref);
	return status;
}

static enum status schema_changed(struct decoder *decoder,
				  const struct captured_txn *txn, bool *changed,
				  struct error *err)
{
	*changed =
	    touches_schema_pages(decoder->catalog, txn) ||
	    view_old(decoder->view)->page_size != view_new(decoder->view)->page_size;
	if (*changed || !captured_txn_has_page(txn, 1)) {
		return ST_OK;
	}
	return page_one_changed(decoder, changed, err);
}

/* ---- which trees to compare ---- */

static enum status add_work(struct decoder *decoder, const struct tree_work *work,
			    struct error *err)
{
	if (!array_room(&decoder->work, &decoder->work_cap, decoder->work_count + 1,
			sizeof *decoder->work)) {
		return error_no_memory(err, "touched tables");
	}
	decoder->work[decoder->work_count++] = *work;
	return ST_OK;
}

/* That of the context, tables by name, then trees without rows. */
static int compare_work(const void *a, const void *b)
{
	const struct tree_work *x = a;
	const struct tree_work *y = b;

	if (!x->new_table || !y->new_table) {
		return (x->new_table ? 0 : 1) - (y->new_table ? 0 : 1);
	}
	if (x->new_table->is_context != y->new_table->is_context) {
		return x->new_table->is_context ? -1 : 1;
	}
	return strcmp(x->new_table->sort_name, y->new_table->sort_name);
}

/* The schema is as it was: the trees with a marked page. */
static enum status plan_same_schema(struct decoder *decoder, struct error *err)
{
	const struct page_set *roots = &decoder->marks.roots;
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < roots->count; i++) {
		const struct tree_root *root =
		    catalog_root(decoder->catalog, roots->pages[i]);
		struct tree_work work = {0};

		if (!root || !is_captured(root->table)) {
			continue;
		}
		work.old_root = work.new_root = root->root_page;
		work.old_table = work.new_table = root->table;
		status = add_work(decoder, &work, err);
	}
	if (decoder->work_count > 1) {
		qsort(decoder->work, decoder->work_count, sizeof *decoder->work,
		      compare_work);
	}
	return status;
}

/* The table of the old catalog that `table`, whose name is new, was before; NULL if it
 * was created. Names that still stand are never candidates. */
static enum status find_renamed(struct decoder *decoder, const struct table *table,
				const struct table **out, struct error *err)
{
	const struct likeness_sides sides = {.old_view = view_old(decoder->view),
					     .new_view = view_new(decoder->view),
					     .marks = &decoder->marks};
	uint64_t best = 0;
	enum status status = ST_OK;

	*out = table_renames_old(&decoder->renames, table);
	if (*out) {
		return ST_OK;
	}
	for (size_t i = 0; status == ST_OK && i < decoder->gone_count; i++) {
		const struct table *old_table = decoder->gone[i];
		uint64_t score = 0;

		if (old_table->root_page == 0 ||
		    (!is_captured(old_table) && !is_captured(table)) ||
		    page_set_has(&decoder->matched, old_table->root_page)) {
			continue;
		}
		status = likeness_of(&sides, old_table, table, &score, err);
		if (status == ST_CORRUPT &&
		    !(is_captured(old_table) && is_captured(table))) {
			score = 0;
			status = ST_OK;
		}
		if (score > best || (score == best && score > 0 &&
				     old_table->root_page == table->root_page)) {
			best = score;
			*out = old_table;
		}
	}
	return status;
}

static enum status report_ddl(struct decoder *decoder, enum ddl what,
			      const struct table *old_table,
			      const struct table *new_table, struct error *err)
{
	if (!is_captured(old_table) && !is_captured(new_table)) {
		return ST_OK;
	}
	return ddl_reports_add(&decoder->reports, what, old_table, new_table, err);
}

static bool root_is_touched(const struct decoder *decoder, uint32_t root)
{
	return page_set_has(&decoder->marks.roots, root);
}

static bool table_is_same(const struct table *a, const struct table *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->sql, b->sql) == 0;
}

/* One table of the new catalog, and what had its name before (NULL: nothing): which one
 * it was, and whether to compare it. */
static enum status plan_table(struct decoder *decoder, const struct table *old_table,
			      const struct table *table, struct error *err)
{
	struct tree_work work = {.new_root = table->root_page};
	bool wants_rows = is_captured(table);
	enum status status = ST_OK;

	if (table->root_page == 0) {
		decoder->map_is_stale = decoder->map_is_stale || is_captured(old_table);
		return ST_OK;
	}
	if (old_table &&
	    (old_table->root_page == 0 ||
	     (decoder->events.for_statements && !table_is_same(old_table, table)))) {
		old_table = NULL;
	} else if (!old_table && !decoder->events.for_statements) {
		status = find_renamed(decoder, table, &old_table, err);
		if (status == ST_OK) {
			status =
			    report_ddl(decoder, old_table ? DDL_RENAMED : DDL_CREATED,
				       old_table, table, err);
		}
		wants_rows = wants_rows && (!old_table || is_captured(old_table));
	} else if (old_table && strcmp(old_table->name, table->name) != 0) {
		/* In other letters; renamed twice in this transaction. */
		status = report_ddl(decoder, DDL_RENAMED, old_table, table, err);
	} else if (old_table && strcmp(old_table->sql, table->sql) != 0) {
		status = report_ddl(decoder, DDL_ALTERED, old_table, table, err);
	}
	if (status != ST_OK) {
		return status;
	}
	if (old_table) {
		/* Its pages come into the map, or have to leave it. */
		decoder->map_is_stale = decoder->map_is_stale ||
					is_captured(old_table) != is_captured(table);
		work.old_root = old_table->root_page;
		status = page_set_add(&decoder->matched, work.old_root, NULL, err);
		if (status != ST_OK || (work.old_root == work.new_root &&
					!root_is_touched(decoder, work.new_root))) {
			return status;
		}
	}
	work.old_table = old_table;
	work.new_table = table;
	return wants_rows ? add_work(decoder, &work, err) : ST_OK;
}

/* The table called like `table`, at or after *at; NULL: none. Both lists are by name,
 * and *at moves behind it. */
static const struct table *next_named(const struct catalog *catalog, size_t *at,
				      const struct table *table)
{
	int order = -1;

	for (; *at < catalog->table_count; ++*at) {
		const struct table *there = catalog->tables[*at];

		order = there == table ? 0 : strcmp(there->sort_name, table->sort_name);
		if (order >= 0) {
			break;
		}
	}
	return order == 0 ? catalog->tables[(*at)++] : NULL;
}

static enum status list_gone(struct decoder *decoder, const struct catalog *fresh,
			     struct error *err)
{
	const struct catalog *catalog = decoder->catalog;
	size_t at = 0;

	free(decoder->gone);
	decoder->gone_count = 0;
	decoder->gone = calloc(catalog->table_count + 1, sizeof(struct table *));
	if (!decoder->gone) {
		return error_no_memory(err, "tables");
	}
	for (size_t i = 0; i < catalog->table_count; i++) {
		const struct table *table = catalog->tables[i];

		if (!next_named(fresh, &at, table) && table->root_page != 0) {
			decoder->gone[decoder->gone_count++] = table;
		}
	}
	return ST_OK;
}

/* Tables that were dropped: their pages have to leave the parent map, or they would
 * stand there as children of whatever their parent becomes. */
static enum status plan_gone(struct decoder *decoder, bool has_map, struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < decoder->gone_count; i++) {
		const struct table *table = decoder->gone[i];
		struct tree_work work = {.old_root = table->root_page};

		if (page_set_has(&decoder->matched, work.old_root)) {
			continue;
		}
		status = report_ddl(decoder, DDL_DROPPED, table, NULL, err);
		if (status == ST_OK && has_map && is_captured(table)) {
			status = add_work(decoder, &work, err);
		}
	}
	return status;
}

/* All pages that the transaction wrote, those that are as before too. */
static enum status list_written(const struct captured_txn *txn, struct page_set *set,
				struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < txn->page_total; i++) {
		status = page_set_add(set, txn->pages[i].page_no, NULL, err);
	}
	return status;
}

/* Renames that the schema tells of come first: no other table can have been theirs. */
static enum status find_told_renames(struct decoder *decoder,
				     const struct catalog *fresh,
				     const struct captured_txn *txn, struct error *err)
{
	struct table_renames *renames = &decoder->renames;
	struct page_set all, *written = &decoder->marks.dirty;
	bool is_asked = decoder->gone_count > 0 && !decoder->events.for_statements;
	enum status status = ST_OK;

	page_set_init(&all);
	page_set_empty(&decoder->matched);
	renames->count = 0;
	if (is_asked && !txn->is_catch_up && decoder->left_out > 0) {
		status = list_written(txn, &all, err);
		written = &all;
	}
	if (status == ST_OK && is_asked) {
		status = table_renames_find(renames, decoder->catalog, fresh,
					    txn->is_catch_up ? NULL : written, err);
	}
	page_set_clear(&all);
	for (size_t i = 0; status == ST_OK && i < renames->count; i++) {
		status = page_set_add(&decoder->matched,
				      renames->list[i].old_table->root_page, NULL, err);
	}
	return status;
}

static enum status plan_new_schema(struct decoder *decoder, const struct catalog *fresh,
				   const struct captured_txn *txn, struct error *err)
{
	size_t at = 0;
	enum status status = list_gone(decoder, fresh, err);

	if (status == ST_OK) {
		status = find_told_renames(decoder, fresh, txn, err);
	}
	for (size_t i = 0; status == ST_OK && i < fresh->table_count; i++) {
		const struct table *table = fresh->tables[i];
		const struct table *was = next_named(decoder->catalog, &at, table);

		if (was != table || root_is_touched(decoder, table->root_page)) {
			status = plan_table(decoder, was, table, err);
		}
	}
	if (status == ST_OK) {
		status = plan_gone(decoder, uses_map(decoder, &fresh->header), err);
	}
	if (decoder->work_count > 1) {
		qsort(decoder->work, decoder->work_count, sizeof *decoder->work,
		      compare_work);
	}
	return status;
}

/* ---- the run ---- */

static enum status compare_tree(struct decoder *decoder, const struct tree_work *work,
				bool rowids_may_move, struct error *err)
{
	struct table_pair pair = {.old_table = work->old_table,
				  .new_table = work->new_table,
				  .rowids_may_move = rowids_may_move,
				  .for_statements = decoder->events.for_statements};
	enum status status =
	    tree_diff_run(&decoder->diff, work->old_root, work->new_root, err);

	if (status == ST_OK && work->new_table) {
		status = decoder->events.table(decoder->events.context, work->new_table,
					       err);
		if (status == ST_OK) {
			decoder->rows.moved = decoder->events.moved;
			status = row_diff_run(&decoder->rows, &decoder->diff, &pair,
					      decoder->events.change,
					      decoder->events.context, err);
		}
	}
	if (status == ST_CORRUPT && !work->new_table) {
		/* Nobody asks for its rows any more. */
		decoder->map_is_stale = true;
		return ST_OK;
	}
	if (status == ST_CORRUPT) {
		return error_wrap(err, "table %s", SHORT_NAME(work->new_table->name));
	}
	return status;
}

/* Name the table whose tree is damaged and is needed for the map. */
static enum status name_needed(const struct decoder *decoder, enum status status,
			       struct error *err)
{
	const struct tree_root *root =
	    catalog_root(decoder->catalog, decoder->trees.failed);

	return status == ST_CORRUPT && root
		   ? error_wrap(err, "table %s", SHORT_NAME(root->name))
		   : status;
}

/* The parent map, filled; NULL where the old view has ptrmap pages. */
static enum status prepare_map(struct decoder *decoder, const struct captured_txn *txn,
			       struct parent_map **map, struct error *err)
{
	enum status status = ST_OK;

	*map = NULL;
	if (!uses_map(decoder, &decoder->catalog->header)) {
		return ST_OK;
	}
	if (!decoder->map.is_filled) {
		decoder->trees.failed = 0;
		status = parent_map_fill(&decoder->map, view_old(decoder->view),
					 &decoder->trees, err);
	}
	if (status == ST_OK) {
		status = parent_map_grow(&decoder->map, txn->page_count, err);
	}
	*map = &decoder->map;
	return name_needed(decoder, status, err);
}

/* Mark the pages (M). Where a ptrmap page says what cannot be, the map is derived from
 * here on. */
static enum status mark_pages(struct decoder *decoder, const struct captured_txn *txn,
			      bool any_ptrmap, struct parent_map **map,
			      struct error *err)
{
	enum status status = dirty_pages_collect(
	    decoder->view, txn, any_ptrmap, &decoder->marks, &decoder->left_out, err);

	/* Of a catch-up no page is there whose bytes are equal, though another tree may
	 * have it now. */
	decoder->map_is_stale = txn->is_catch_up || decoder->left_out > 0;
	if (status == ST_OK) {
		status = prepare_map(decoder, txn, map, err);
	}
	if (status != ST_OK) {
		return status;
	}
	decoder->trees.failed = 0;
	status = page_marks_climb(&decoder->marks, view_old(decoder->view), *map,
				  &decoder->trees, err);
	if (status != ST_CORRUPT || *map) {
		return name_needed(decoder, status, err);
	}
	decoder->events.damaged(decoder->events.context, DAMAGED_POINTER_MAP, "", err);
	decoder->distrusts_ptrmap = true;
	return mark_pages(decoder, txn, any_ptrmap, map, err);
}

static enum status run_work(struct decoder *decoder, struct parent_map *map,
			    bool same_roots, bool rowids_may_move, struct error *err)
{
	const struct table *first =
	    decoder->work_count > 0 ? decoder->work[0].new_table : NULL;
	size_t at = first && first->is_context; /* before all that has the context */
	enum status status = ST_OK;

	tree_diff_begin(&decoder->diff, view_old(decoder->view),
			view_new(decoder->view), &decoder->marks, map, same_roots);
	if (at > 0) {
		status = compare_tree(decoder, &decoder->work[0], rowids_may_move, err);
	}
	if (status == ST_OK) {
		status = ddl_reports_tell(&decoder->reports, decoder->events.ddl,
					  decoder->events.context, err);
	}
	for (size_t i = at; status == ST_OK && i < decoder->work_count; i++) {
		status = compare_tree(decoder, &decoder->work[i], rowids_may_move, err);
	}
	if (status == ST_OK) {
		tree_diff_end(&decoder->diff);
	}
	return status;
}

static bool is_vacuum(const struct decoder *decoder, const struct catalog *fresh,
		      const struct captured_txn *txn)
{
	return vacuum_is_likely(decoder->catalog, fresh,
				decoder->marks.dirty.count + decoder->left_out,
				txn->page_count, view_new(decoder->view));
}

static enum status apply_new_schema(struct decoder *decoder,
				    const struct captured_txn *txn,
				    struct parent_map *map, struct error *err)
{
	struct catalog *fresh;
	enum status status =
	    catalog_read(view_new(decoder->view), decoder->filter, decoder->catalog,
			 &decoder->marks.dirty, &fresh, err);

	if (status != ST_OK) {
		return status;
	}
	if (!uses_map(decoder, &fresh->header)) {
		map = NULL;
	}
	status = decoder->events.catalog(decoder->events.context, fresh,
					 decoder->catalog, err);
	if (status == ST_OK) {
		status = plan_new_schema(decoder, fresh, txn, err);
	}
	if (status == ST_OK) {
		status = run_work(decoder, map, false,
				  txn->is_catch_up || txn->merged > 0 ||
				      is_vacuum(decoder, fresh, txn),
				  err);
	}
	decoder->map_is_stale = decoder->map_is_stale || !map;
	catalog_close(decoder->catalog);
	decoder->catalog = fresh;
	return status == ST_OK ? list_roots(decoder, err) : status;
}

enum status decoder_apply(struct decoder *decoder, const struct captured_txn *txn,
			  struct error *err)
{
	struct parent_map *map;
	struct db_header header = decoder->catalog->header;
	bool changed = false;
	enum status status = view_begin(decoder->view, txn, err);

	if (status != ST_OK) {
		return status;
	}
	decoder->work_count = 0;
	if (captured_txn_has_page(txn, 1)) {
		status = read_header(view_new(decoder->view), &header, err);
	}
	if (status == ST_OK) {
		status = mark_pages(decoder, txn,
				    has_ptrmap(&header) ||
					has_ptrmap(&decoder->catalog->header),
				    &map, err);
	}
	if (status == ST_OK) {
		status = schema_changed(decoder, txn, &changed, err);
	}
	if (status == ST_OK && changed) {
		status = apply_new_schema(decoder, txn, map, err);
	} else if (status == ST_OK) {
		status = plan_same_schema(decoder, err);
		if (status == ST_OK) {
			status = run_work(decoder, map, true,
					  txn->is_catch_up || txn->merged > 0, err);
		}
		decoder->catalog->header = header;
	}
	if (decoder->map_is_stale) {
		parent_map_clear(&decoder->map);
	}
	if (status == ST_OK) {
		view_end(decoder->view);
	}
	return status;
}
