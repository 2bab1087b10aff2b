/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/tree_diff.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "btree/overflow.h"
#include "btree/tree_walk.h"
#include "src/base/array.h"

static void side_init(struct tree_side *side)
{
	*side = (struct tree_side){0};
	page_set_init(&side->units);
	page_set_init(&side->visited);
}

static void side_clear(struct tree_side *side)
{
	free(side->rows.items);
	free(side->next.items);
	page_set_clear(&side->units);
	page_set_clear(&side->visited);
	side_init(side);
}

void tree_diff_init(struct tree_diff *diff)
{
	*diff = (struct tree_diff){0};
	side_init(&diff->old_side);
	side_init(&diff->new_side);
}

void tree_diff_clear(struct tree_diff *diff)
{
	side_clear(&diff->old_side);
	side_clear(&diff->new_side);
}

void tree_diff_begin(struct tree_diff *diff, struct page_source *old,
		     struct page_source *new, const struct page_marks *marks,
		     struct parent_map *map, bool same_roots)
{
	diff->old_side.source = old;
	diff->new_side.source = new;
	diff->marks = marks;
	diff->map = map;
	diff->keeps_shapes = same_roots;
	if (!same_roots) {
		memset(diff->shapes, 0, sizeof diff->shapes);
	}
	page_set_empty(&diff->old_side.visited);
	page_set_empty(&diff->new_side.visited);
}

void tree_diff_end(struct tree_diff *diff)
{
	const struct page_set *left = &diff->old_side.visited;

	for (size_t i = 0; diff->map && i < left->count; i++) {
		if (!page_set_has(&diff->new_side.visited, left->pages[i]) &&
		    !parent_map_is_overflow(diff->map, left->pages[i])) {
			parent_map_set(diff->map, left->pages[i], PARENT_FREE, false);
		}
	}
}

static enum status items_add(struct tree_items *list, uint32_t page_no, int32_t cell,
			     struct error *err)
{
	if (!array_room(&list->items, &list->cap, list->count + 1,
			sizeof *list->items)) {
		return error_no_memory(err, "the pages of a transaction");
	}
	list->items[list->count++] = (struct tree_item){page_no, cell};
	return ST_OK;
}

static bool is_marked(const struct tree_diff *diff, uint32_t page_no)
{
	return page_set_has(&diff->marks->marked, page_no);
}

bool tree_diff_cell_same(const struct tree_diff *diff, const struct cell *a,
			 const struct cell *b)
{
	return leaf_common_cell_same(diff->marks, a, b);
}

/* ---- leaves that stand on both sides ---- */

bool tree_diff_known_common(const struct tree_diff *diff, uint32_t page_no,
			    struct leaf_common *out)
{
	const struct known_common *known = &diff->known[page_no % KNOWN_COMMON];

	if (known->run != diff->run || known->page_no != page_no) {
		return false;
	}
	*out = (struct leaf_common){known->prefix, known->suffix};
	return true;
}

struct leaf_common tree_diff_leaf_common(struct tree_diff *diff,
					 const struct page *old_page,
					 const struct page *new_page)
{
	uint32_t page_no = old_page->page_no;
	struct leaf_common common;

	if (!tree_diff_known_common(diff, page_no, &common)) {
		common = leaf_common_find(diff->marks, old_page, new_page);
		diff->known[page_no % KNOWN_COMMON] =
		    (struct known_common){.run = diff->run,
					  .page_no = page_no,
					  .prefix = (uint16_t)common.prefix,
					  .suffix = (uint16_t)common.suffix};
	}
	return common;
}

/* ---- opening pages ---- */

/* A pinned, parsed page of one side that has been checked to fit the walk. */
struct opened {
	struct page_ref ref;
	struct page page;
};

/* A page belongs to one place in one tree. */
static enum status visit(struct tree_side *side, uint32_t page_no, struct error *err)
{
	bool is_new;
	enum status status = page_set_add(&side->visited, page_no, &is_new, err);

	if (status == ST_OK && !is_new) {
		return error_set(err, ST_CORRUPT, "page %u stands twice in its b-trees",
				 page_no);
	}
	return status;
}

static enum status open_page(struct tree_side *side, uint32_t page_no, unsigned height,
			     struct opened *out, struct error *err)
{
	enum status status = visit(side, page_no, err);

	out->ref.bytes = NULL;
	if (status != ST_OK) {
		return status;
	}
	status = page_get(side->source, page_no, &out->ref, err);
	if (status != ST_OK) {
		return status;
	}
	status = page_parse(out->ref.bytes, page_no, side->source->usable_size,
			    &out->page, err);
	if (status == ST_OK && (out->page.is_leaf != (height == 0) ||
				out->page.is_table != side->is_table)) {
		status =
		    error_set(err, ST_CORRUPT,
			      "page %u is of kind %d, which does not fit its b-tree",
			      page_no, (int)out->page.kind);
	}
	if (status != ST_OK) {
		page_put(side->source, &out->ref);
	}
	return status;
}

/* The overflow chain of a cell on page `holder` of the new tree. */
struct chain_entry {
	struct tree_diff *diff;
	uint32_t holder;
};

/* Enter one page of the chain into the parent map. The walk ends at a page outside the
 * marked set: what is behind it has kept its place in the chain. */
static enum status enter_overflow(void *context, uint32_t page_no, uint32_t previous,
				  struct error *err)
{
	struct chain_entry *entry = context;

	parent_map_set(entry->diff->map, page_no, previous ? previous : entry->holder,
		       true);
	(void)err;
	return is_marked(entry->diff, page_no) ? ST_OK : ST_END;
}

/* Enter what cells [from, to) of the new tree's page `page` point to. */
static enum status enter_range(struct tree_diff *diff, const struct page *page,
			       uint32_t from, uint32_t to, struct error *err)
{
	struct chain_entry entry = {diff, page->page_no};

	for (uint32_t i = from; i < to; i++) {
		struct cell cell;
		enum status status = cell_read(page, i, &cell, err);

		if (status == ST_OK && cell.overflow_page) {
			status = overflow_walk(diff->new_side.source, &cell,
					       enter_overflow, &entry, err);
		}
		if (status != ST_OK && status != ST_END) {
			return status;
		}
	}
	return ST_OK;
}

/* Can what cells of `page_no` point to have changed? Where auto_vacuum moves a page in
 * the middle of an overflow chain the page with the cell is not written. */
static bool must_enter(const struct tree_diff *diff, uint32_t page_no)
{
	return diff->map && (page_set_has(&diff->marks->dirty, page_no) ||
			     page_set_has(&diff->marks->holders, page_no));
}

/* Enter what the cells of a page point to, if that can have changed. */
static enum status enter_cells(struct tree_diff *diff, const struct page *page,
			       struct error *err)
{
	if ((page->is_table && !page->is_leaf) || !must_enter(diff, page->page_no)) {
		return ST_OK;
	}
	return enter_range(diff, page, 0, page->cell_count, err);
}

/* Child `index` joins the next level, and after it the cell that follows it. */
static enum status emit(struct tree_diff *diff, struct tree_side *side,
			const struct page *page, uint32_t index, struct error *err)
{
	uint32_t child;
	enum status status = page_child(page, index, &child, err);

	if (status != ST_OK) {
		return status;
	}
	if (diff->map && side == &diff->new_side) {
		parent_map_set(diff->map, child, page->page_no, false);
	}
	return items_add(&side->next, child, TREE_ITEM_PAGE, err);
}

static enum status emit_cell(struct tree_side *side, const struct page *page,
			     uint32_t index, struct error *err)
{
	if (side->is_table || index >= page->cell_count) {
		return ST_OK;
	}
	return items_add(&side->next, page->page_no, (int32_t)index, err);
}

/* Children and cells [from, to) of an interior page join the next level. */
static enum status emit_range(struct tree_diff *diff, struct tree_side *side,
			      const struct page *page, uint32_t from, uint32_t to,
			      struct error *err)
{
	enum status status = ST_OK;

	for (uint32_t i = from; status == ST_OK && i < to; i++) {
		status = emit(diff, side, page, i, err);
		if (status == ST_OK) {
			status = emit_cell(side, page, i, err);
		}
	}
	return status;
}

static enum status open_alone(struct tree_diff *diff, struct tree_side *side,
			      uint32_t page_no, unsigned height, struct error *err)
{
	struct opened opened;
	enum status status = open_page(side, page_no, height, &opened, err);

	if (status != ST_OK) {
		return status;
	}
	if (side == &diff->new_side) {
		status = enter_cells(diff, &opened.page, err);
	}
	if (status == ST_OK) {
		status = emit_range(diff, side, &opened.page, 0,
				    opened.page.cell_count + 1, err);
	}
	page_put(side->source, &opened.ref);
	return status;
}

/* Entry `i` of the old page and `j` of the new one: same child, and in an index b-tree
 * the same cell behind it (none behind the last child). */
static enum status entry_same(const struct tree_diff *diff, const struct page *old_page,
			      uint32_t i, const struct page *new_page, uint32_t j,
			      uint32_t *child, bool *same, struct error *err)
{
	uint32_t new_child;
	struct cell old_cell, new_cell;
	enum status status = page_child(old_page, i, child, err);

	if (status == ST_OK) {
		status = page_child(new_page, j, &new_child, err);
	}
	if (status != ST_OK) {
		return status;
	}
	*same = *child == new_child;
	if (!*same || old_page->is_table) {
		return ST_OK;
	}
	*same = (i == old_page->cell_count) == (j == new_page->cell_count);
	if (!*same || i == old_page->cell_count) {
		return ST_OK;
	}
	status = cell_read(old_page, i, &old_cell, err);
	if (status == ST_OK) {
		status = cell_read(new_page, j, &new_cell, err);
	}
	if (status == ST_OK) {
		*same = tree_diff_cell_same(diff, &old_cell, &new_cell);
	}
	return status;
}

/* A child that both pages have in the same place: it cancels unless it is marked. */
static enum status pair_child(struct tree_diff *diff, uint32_t child, struct error *err)
{
	enum status status;

	if (!is_marked(diff, child)) {
		diff->shared_units++;
		return ST_OK;
	}
	status = items_add(&diff->old_side.next, child, TREE_ITEM_PAGE, err);
	if (status == ST_OK) {
		status = items_add(&diff->new_side.next, child, TREE_ITEM_PAGE, err);
	}
	return status;
}

/* Child of cell `index` of an interior page, or 0 if the cell lies outside the page. */
static uint32_t quick_child(const struct page *page, uint32_t index)
{
	uint32_t offset = page_cell_offset(page, index);

	return offset + 4 <= page->usable_size ? get_u32be(page->bytes + offset) : 0;
}

/* Skip over equal unmarked children of two table pages, which cancel: the next
 * child from `at` on, below `end`, that needs a look. */
static uint32_t skip_equal(struct tree_diff *diff, const struct page *old_page,
			   const struct page *new_page, uint32_t at, uint32_t end)
{
	uint32_t start = at;

	while (at < end) {
		uint32_t child = quick_child(old_page, at);

		if (child == 0 || child != quick_child(new_page, at) ||
		    is_marked(diff, child)) {
			break;
		}
		at++;
	}
	diff->shared_units += at - start;
	return at;
}

/* Compare one interior page with itself in the other view. */
static enum status compare_pair(struct tree_diff *diff, const struct page *old_page,
				const struct page *new_page, struct error *err)
{
	uint32_t n_old = old_page->cell_count + 1;
	uint32_t n_new = new_page->cell_count + 1;
	uint32_t n = n_old < n_new ? n_old : n_new;
	uint32_t prefix = 0, suffix = 0, child;
	bool same = true;
	enum status status = ST_OK;

	while (status == ST_OK && prefix < n) {
		if (old_page->is_table) {
			prefix = skip_equal(diff, old_page, new_page, prefix, n - 1);
		}
		status = entry_same(diff, old_page, prefix, new_page, prefix, &child,
				    &same, err);
		if (status != ST_OK || !same) {
			break;
		}
		status = pair_child(diff, child, err);
		prefix++;
	}
	while (status == ST_OK && prefix + suffix < n) {
		status = entry_same(diff, old_page, n_old - 1 - suffix, new_page,
				    n_new - 1 - suffix, &child, &same, err);
		if (status != ST_OK || !same) {
			break;
		}
		suffix++;
	}
	if (status == ST_OK) {
		status = emit_range(diff, &diff->old_side, old_page, prefix,
				    n_old - suffix, err);
	}
	if (status == ST_OK) {
		status = emit_range(diff, &diff->new_side, new_page, prefix,
				    n_new - suffix, err);
	}
	for (uint32_t i = n_old - suffix; status == ST_OK && i < n_old; i++) {
		status = page_child(old_page, i, &child, err);
		if (status == ST_OK) {
			status = pair_child(diff, child, err);
		}
	}
	return status;
}

/* An interior page that is the same on both sides, and all but one child cancel. */
static enum status pass_through(struct tree_diff *diff, uint32_t page_no,
				uint32_t child, struct error *err)
{
	enum status status = visit(&diff->old_side, page_no, err);

	if (status == ST_OK) {
		status = visit(&diff->new_side, page_no, err);
	}
	diff->shared_units++;
	return status == ST_OK ? pair_child(diff, child, err) : status;
}

static enum status open_pair(struct tree_diff *diff, uint32_t page_no, unsigned height,
			     struct error *err)
{
	struct opened old_open, new_open;
	uint32_t child = 0;
	enum status status;

	if (!page_set_has(&diff->marks->dirty, page_no) &&
	    !page_set_has(&diff->marks->holders, page_no)) {
		child = page_marks_only_child(diff->marks, page_no);
	}
	if (child != 0) {
		return pass_through(diff, page_no, child, err);
	}
	status = open_page(&diff->old_side, page_no, height, &old_open, err);
	if (status != ST_OK) {
		return status;
	}
	status = open_page(&diff->new_side, page_no, height, &new_open, err);
	if (status == ST_OK) {
		status = enter_cells(diff, &new_open.page, err);
		if (status == ST_OK) {
			status =
			    compare_pair(diff, &old_open.page, &new_open.page, err);
		}
		page_put(diff->new_side.source, &new_open.ref);
	}
	page_put(diff->old_side.source, &old_open.ref);
	return status;
}

/* ---- one level ---- */

/* The pages of the current level (not the interior cells above it) as a set. */
static enum status collect_units(struct tree_side *side, struct error *err)
{
	enum status status = ST_OK;

	page_set_empty(&side->units);
	for (size_t i = 0; status == ST_OK && i < side->rows.count; i++) {
		if (side->rows.items[i].cell == TREE_ITEM_PAGE) {
			status = page_set_add(&side->units, side->rows.items[i].page_no,
					      NULL, err);
		}
	}
	return status;
}

/* Is there a page on either side that could cancel? Pairs from compare_pair are
 * marked, so a level in step has none. */
static bool has_unmarked(const struct tree_diff *diff, const struct tree_side *side)
{
	for (size_t i = 0; i < side->rows.count; i++) {
		if (side->rows.items[i].cell == TREE_ITEM_PAGE &&
		    !is_marked(diff, side->rows.items[i].page_no)) {
			return true;
		}
	}
	return false;
}

static void drop_shared(struct tree_diff *diff, struct tree_side *side,
			const struct page_set *other)
{
	size_t kept = 0;

	for (size_t i = 0; i < side->rows.count; i++) {
		struct tree_item item = side->rows.items[i];

		if (item.cell == TREE_ITEM_PAGE && !is_marked(diff, item.page_no) &&
		    page_set_has(other, item.page_no)) {
			diff->shared_units++;
			continue;
		}
		side->rows.items[kept++] = item;
	}
	side->rows.count = kept;
}

/* Unmarked pages that stand on both sides at this height cancel. */
static enum status cancel(struct tree_diff *diff, struct error *err)
{
	enum status status;

	status = collect_units(&diff->old_side, err);
	if (status == ST_OK) {
		status = collect_units(&diff->new_side, err);
	}
	if (status == ST_OK && diff->is_one_kind &&
	    has_unmarked(diff, &diff->old_side) &&
	    has_unmarked(diff, &diff->new_side)) {
		drop_shared(diff, &diff->old_side, &diff->new_side.units);
		drop_shared(diff, &diff->new_side, &diff->old_side.units);
	}
	return status;
}

/* Interior cells pass on to the next level in their place. */
static enum status pass_cells(struct tree_side *side, size_t *at, struct error *err)
{
	enum status status = ST_OK;

	while (status == ST_OK && *at < side->rows.count &&
	       side->rows.items[*at].cell != TREE_ITEM_PAGE) {
		status = items_add(&side->next, side->rows.items[*at].page_no,
				   side->rows.items[*at].cell, err);
		(*at)++;
	}
	return status;
}

static void step_down(struct tree_side *side)
{
	struct tree_items done = side->rows;

	side->rows = side->next;
	side->next = done;
	side->next.count = 0;
}

/* Open every page of this level. A page on both sides is compared with itself where
 * the two lists are in step; out of step it is opened on each side alone, and what is
 * equal below it cancels at the next level. */
static enum status open_level(struct tree_diff *diff, unsigned height,
			      struct error *err)
{
	struct tree_side *old = &diff->old_side;
	struct tree_side *new = &diff->new_side;
	size_t i = 0, j = 0;
	enum status status = ST_OK;

	while (status == ST_OK) {
		status = pass_cells(old, &i, err);
		if (status == ST_OK) {
			status = pass_cells(new, &j, err);
		}
		if (status != ST_OK || (i == old->rows.count && j == new->rows.count)) {
			break;
		}
		if (diff->is_one_kind && i < old->rows.count && j < new->rows.count &&
		    old->rows.items[i].page_no == new->rows.items[j].page_no) {
			status =
			    open_pair(diff, old->rows.items[i].page_no, height, err);
			i++;
			j++;
		} else if (i < old->rows.count &&
			   (j == new->rows.count ||
			    !page_set_has(&new->units, old->rows.items[i].page_no) ||
			    page_set_has(&old->units, new->rows.items[j].page_no))) {
			status = open_alone(diff, old, old->rows.items[i++].page_no,
					    height, err);
		} else {
			status = open_alone(diff, new, new->rows.items[j++].page_no,
					    height, err);
		}
	}
	step_down(old);
	step_down(new);
	return status;
}

/* ---- the run ---- */

static struct tree_shape *shape_of(struct tree_diff *diff, uint32_t root)
{
	return &diff->shapes[root % TREE_SHAPES];
}

/* Height and kind of a side's tree. They can only have changed with the root page. */
static enum status measure(struct tree_diff *diff, struct tree_side *side,
			   struct error *err)
{
	struct tree_shape *shape = shape_of(diff, side->root);
	bool is_changed =
	    side == &diff->new_side && page_set_has(&diff->marks->dirty, side->root);
	struct page_ref ref = {0};
	struct page page;
	enum status status;

	side->rows.count = 0;
	side->next.count = 0;
	side->height = 0;
	if (side->root == 0) {
		return ST_OK;
	}
	if (shape->root == side->root && !is_changed) {
		side->height = shape->height;
		side->is_table = shape->is_table;
		return ST_OK;
	}
	status = tree_height(side->source, side->root, &side->height, err);
	if (status == ST_OK) {
		status = page_get(side->source, side->root, &ref, err);
	}
	if (status == ST_OK) {
		status = page_parse(ref.bytes, side->root, side->source->usable_size,
				    &page, err);
		side->is_table = status == ST_OK && page.is_table;
		page_put(side->source, &ref);
	}
	if (status == ST_OK && diff->keeps_shapes) {
		*shape = (struct tree_shape){side->root, side->height, side->is_table};
	}
	return status;
}

/* A leaf of the new tree that changed goes into the parent map; cells that it had
 * before under the same page number are there already. */
static enum status enter_leaf(struct tree_diff *diff, uint32_t page_no,
			      struct error *err)
{
	struct leaf_common common = {0, 0};
	struct opened opened, other;
	enum status status = open_page(&diff->new_side, page_no, 0, &opened, err);

	if (status != ST_OK) {
		return status;
	}
	other.ref.bytes = NULL;
	/* Two files may have pages of other sizes, and then none in common. */
	if (page_set_has(&diff->old_side.units, page_no) &&
	    diff->old_side.source->usable_size == opened.page.usable_size) {
		status = page_get(diff->old_side.source, page_no, &other.ref, err);
		if (status == ST_OK) {
			status = page_parse(other.ref.bytes, page_no,
					    opened.page.usable_size, &other.page, err);
		}
		if (status == ST_OK) {
			common = tree_diff_leaf_common(diff, &other.page, &opened.page);
		}
		page_put(diff->old_side.source, &other.ref);
	}
	if (status == ST_OK) {
		status = enter_range(diff, &opened.page, common.prefix,
				     opened.page.cell_count - common.suffix, err);
	}
	page_put(diff->new_side.source, &opened.ref);
	return status;
}

/* What is left are leaves, and none may stand twice. */
static enum status visit_leaves(struct tree_diff *diff, struct tree_side *side,
				struct error *err)
{
	bool is_new = side == &diff->new_side;
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < side->rows.count; i++) {
		uint32_t page_no = side->rows.items[i].page_no;

		if (side->rows.items[i].cell != TREE_ITEM_PAGE) {
			continue;
		}
		status = is_new && must_enter(diff, page_no)
			     ? enter_leaf(diff, page_no, err)
			     : visit(side, page_no, err);
	}
	return status;
}

enum status tree_diff_run(struct tree_diff *diff, uint32_t old_root, uint32_t new_root,
			  struct error *err)
{
	struct tree_side *old = &diff->old_side;
	struct tree_side *new = &diff->new_side;
	unsigned height;
	enum status status;

	diff->shared_units = 0;
	diff->run++;
	old->root = old_root;
	new->root = new_root;
	status = measure(diff, old, err);
	if (status == ST_OK) {
		status = measure(diff, new, err);
	}
	diff->is_one_kind = !old_root || !new_root || old->is_table == new->is_table;
	if (status == ST_OK && diff->map && new_root) {
		parent_map_set(diff->map, new_root, PARENT_ROOT, false);
	}
	height = old->height > new->height ? old->height : new->height;
	for (unsigned h = height; status == ST_OK; h--) {
		if (old_root && h == old->height) {
			status = items_add(&old->rows, old_root, TREE_ITEM_PAGE, err);
		}
		if (status == ST_OK && new_root && h == new->height) {
			status = items_add(&new->rows, new_root, TREE_ITEM_PAGE, err);
		}
		if (status == ST_OK) {
			status = cancel(diff, err);
		}
		if (status != ST_OK || h == 0) {
			break;
		}
		status = open_level(diff, h, err);
	}
	if (status == ST_OK) {
		status = visit_leaves(diff, old, err);
	}
	if (status == ST_OK) {
		status = visit_leaves(diff, new, err);
	}
	return status;
}
