/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/parent_map.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "btree/cell.h"
#include "btree/db_header.h"
#include "btree/freelist.h"
#include "btree/overflow.h"
#include "btree/page.h"
#include "btree/tree_walk.h"
#include "src/base/array.h"

void parent_map_init(struct parent_map *map)
{
	*map = (struct parent_map){0};
}

void parent_map_clear(struct parent_map *map)
{
	free(map->parents);
	free(map->overflow);
	free(map->other);
	parent_map_init(map);
}

static enum status no_memory(uint32_t page_count, struct error *err)
{
	return error_no_memory(err, "the parents of %u pages", page_count);
}

/* Give a bitmap of `old_limit` pages room for `cap`. */
static bool grow_bits(uint64_t **bits, size_t old_limit, size_t cap)
{
	uint64_t *grown = realloc(*bits, cap / 64 * sizeof *grown);

	if (!grown) {
		return false;
	}
	memset(grown + old_limit / 64, 0, (cap - old_limit) / 64 * sizeof *grown);
	*bits = grown;
	return true;
}

enum status parent_map_grow(struct parent_map *map, uint32_t page_count,
			    struct error *err)
{
	size_t need = ((size_t)page_count + 1 + 63) / 64 * 64;
	size_t cap;
	uint32_t *parents;

	if (page_count < map->limit) {
		return ST_OK;
	}
	if (need > UINT32_MAX) {
		return no_memory(page_count, err);
	}
	cap = need + need / 8 / 64 * 64;
	if (cap > UINT32_MAX - 63) {
		cap = need;
	}
	parents = realloc(map->parents, cap * sizeof *parents);
	if (!parents) {
		return no_memory(page_count, err);
	}
	map->parents = parents;
	if (!grow_bits(&map->overflow, map->limit, cap) ||
	    !grow_bits(&map->other, map->limit, cap)) {
		return no_memory(page_count, err);
	}
	for (size_t i = map->limit; i < cap; i++) {
		parents[i] = map->is_filled ? PARENT_FREE : PARENT_UNKNOWN;
	}
	assert(cap % 64 == 0 && cap > page_count && cap <= UINT32_MAX);
	map->limit = (uint32_t)cap;
	return ST_OK;
}

/* ---- filling ---- */

struct filling {
	struct parent_map *map;
	struct page_source *source;
	/* NULL: a needed tree, whose pages are entered at once. Else a list of (child,
	 * parent) that counts when the whole tree is read. */
	struct child_list *others;
};

struct child {
	uint32_t page_no;
	uint32_t parent;
};

struct child_list {
	struct child *list;
	size_t count;
	size_t cap;
};

static enum status pointed_twice(uint32_t child, uint32_t parent, struct error *err)
{
	return error_set(err, ST_CORRUPT,
			 "page %u is pointed to by page %u and from elsewhere", child,
			 parent);
}

static enum status set_child(struct parent_map *map, uint32_t child, uint32_t parent,
			     struct error *err)
{
	if (parent_map_get(map, child) != PARENT_UNKNOWN) {
		return pointed_twice(child, parent, err);
	}
	parent_map_set(map, child, parent, false);
	return ST_OK;
}

static enum status list_child(struct child_list *list, uint32_t child, uint32_t parent,
			      struct error *err)
{
	if (!array_room(&list->list, &list->cap, list->count + 1, sizeof *list->list)) {
		return error_no_memory(err, "child pages");
	}
	list->list[list->count++] = (struct child){child, parent};
	return ST_OK;
}

static enum status add_child(struct filling *filling, uint32_t child, uint32_t parent,
			     struct error *err)
{
	if (child > filling->source->page_count) {
		return error_set(err, ST_CORRUPT,
				 "page %u has the child page %u of a database of "
				 "%u pages",
				 parent, child, filling->source->page_count);
	}
	if (!filling->others) {
		return set_child(filling->map, child, parent, err);
	}
	/* A loop would be a list without end. */
	return filling->others->count > filling->source->page_count
		   ? pointed_twice(child, parent, err)
		   : list_child(filling->others, child, parent, err);
}

/* Enter the children of interior page `page_no`, which stands `height` above the
 * leaves, and of every interior page below it. The recursion is as deep as the
 * tree, at most TREE_MAX_HEIGHT. */
static enum status fill_below(struct filling *filling, uint32_t page_no,
			      unsigned height, struct error *err)
{
	struct page_source *source = filling->source;
	struct page_ref ref = {0};
	struct page page;
	enum status status = page_get(source, page_no, &ref, err);

	if (status != ST_OK) {
		return status;
	}
	status = page_parse(ref.bytes, page_no, source->usable_size, &page, err);
	if (status == ST_OK && page.is_leaf) {
		status = error_set(
		    err, ST_CORRUPT,
		    "page %u is a leaf where its tree has interior pages", page_no);
	}
	for (uint32_t i = 0; status == ST_OK && i <= page.cell_count; i++) {
		uint32_t child;

		status = page_child(&page, i, &child, err);
		if (status == ST_OK) {
			status = add_child(filling, child, page_no, err);
		}
		if (status == ST_OK && height > 1) {
			status = fill_below(filling, child, height - 1, err);
		}
	}
	page_put(source, &ref);
	return status;
}

static enum status fill_tree(struct filling *filling, uint32_t root, struct error *err)
{
	unsigned height = 0;
	enum status status = tree_height(filling->source, root, &height, err);

	return status == ST_OK && height > 0 ? fill_below(filling, root, height, err)
					     : status;
}

static enum status fill_needed(struct parent_map *map, struct page_source *source,
			       struct map_trees *trees, struct error *err)
{
	struct filling filling = {.map = map, .source = source};
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < trees->needed; i++) {
		status = set_child(map, trees->roots[i], PARENT_ROOT, err);
	}
	for (size_t i = 0; status == ST_OK && i < trees->needed; i++) {
		trees->failed = trees->roots[i];
		status = fill_tree(&filling, trees->roots[i], err);
	}
	return status;
}

static void set_other(struct parent_map *map, uint32_t page_no)
{
	if (parent_map_get(map, page_no) == PARENT_UNKNOWN) {
		parent_map_set(map, page_no, PARENT_FREE, false);
		map->other[page_no >> 6] |= UINT64_C(1) << (page_no & 63);
	}
}

static void report(const struct map_trees *trees, uint32_t root,
		   const struct error *why)
{
	if (trees->damaged) {
		trees->damaged(trees->context, root, why);
	}
}

/* The tree is whole: do its pages belong to nobody else? */
static enum status enter_others(struct parent_map *map, const struct child_list *list,
				struct error *err)
{
	for (size_t i = 0; i < list->count; i++) {
		if (parent_map_get(map, list->list[i].page_no) != PARENT_UNKNOWN) {
			return pointed_twice(list->list[i].page_no,
					     list->list[i].parent, err);
		}
	}
	for (size_t i = 0; i < list->count; i++) {
		set_other(map, list->list[i].page_no);
	}
	return ST_OK;
}

static enum status fill_others(struct parent_map *map, struct page_source *source,
			       const struct map_trees *trees, struct error *err)
{
	struct child_list list = {0};
	struct filling filling = {.map = map, .source = source, .others = &list};
	enum status status = ST_OK;

	for (size_t i = trees->needed; status == ST_OK && i < trees->count; i++) {
		list.count = 0;
		set_other(map, trees->roots[i]);
		status = fill_tree(&filling, trees->roots[i], err);
		if (status == ST_OK) {
			status = enter_others(map, &list, err);
		}
		if (status == ST_CORRUPT) {
			report(trees, trees->roots[i], err);
			status = ST_OK;
		}
	}
	free(list.list);
	return status;
}

/* ---- the freelist ---- */

static void count_page(void *context, uint32_t page_no)
{
	uint64_t *count = context;

	(void)page_no;
	++*count;
}

static void set_free(void *context, uint32_t page_no)
{
	struct parent_map *map = context;

	if (parent_map_get(map, page_no) == PARENT_UNKNOWN) {
		parent_map_set(map, page_no, PARENT_FREE, false);
	}
}

/* Pages of the freelist are FREE, if all of it can be believed. */
static enum status fill_free(struct parent_map *map, struct page_source *source,
			     const struct map_trees *trees, struct error *err)
{
	struct db_header header;
	struct page_ref ref = {0};
	uint64_t count = 0;
	enum status status = page_get(source, 1, &ref, err);

	if (status != ST_OK) {
		return status;
	}
	status = db_header_read(ref.bytes, &header, err);
	page_put(source, &ref);
	if (status != ST_OK) {
		return status;
	}
	status = freelist_walk(source, &header, count_page, &count, err);
	if (status == ST_OK && count != header.freelist_count) {
		status = error_set(err, ST_CORRUPT,
				   "the freelist has %" PRIu64 " pages, and %u "
				   "are said to be free",
				   count, header.freelist_count);
	}
	if (status == ST_OK) {
		return freelist_walk(source, &header, set_free, map, err);
	}
	if (status == ST_CORRUPT) {
		report(trees, 0, err);
		status = ST_OK;
	}
	return status;
}

/* An empty map with room, whose pages that cannot be in a tree are FREE. */
static enum status start_filling(struct parent_map *map, struct page_source *source,
				 struct error *err)
{
	/* The caller may have grown the map past this view, for the one after it. */
	uint32_t last =
	    map->limit > source->page_count ? map->limit - 1 : source->page_count;
	enum status status;

	parent_map_clear(map);
	status = parent_map_grow(map, last, err);
	if (status != ST_OK) {
		return status;
	}
	parent_map_set(map, db_lock_byte_page(source->page_size), PARENT_FREE, false);
	for (uint32_t page_no = source->page_count + 1; page_no < map->limit;
	     page_no++) {
		parent_map_set(map, page_no, PARENT_FREE, false);
	}
	return ST_OK;
}

enum status parent_map_fill(struct parent_map *map, struct page_source *source,
			    struct map_trees *trees, struct error *err)
{
	enum status status = start_filling(map, source, err);

	if (status == ST_OK) {
		status = fill_needed(map, source, trees, err);
	}
	if (status == ST_OK) {
		status = fill_others(map, source, trees, err);
	}
	if (status == ST_OK) {
		status = fill_free(map, source, trees, err);
	}
	map->is_filled = status == ST_OK;
	return status;
}

/* ---- completing ---- */

struct chain {
	struct parent_map *map;
	uint32_t holder;
};

static enum status enter_chain(void *context, uint32_t page_no, uint32_t previous,
			       struct error *err)
{
	struct chain *chain = context;

	(void)err;
	parent_map_set(chain->map, page_no, previous ? previous : chain->holder, true);
	return ST_OK;
}

/* Enter the overflow pages of every cell of b-tree page `page_no`. */
static enum status scan_cells(struct parent_map *map, struct page_source *source,
			      const uint8_t *bytes, uint32_t page_no, struct error *err)
{
	struct chain chain = {map, page_no};
	struct page page;
	struct cell cell;
	enum status status =
	    page_parse(bytes, page_no, source->usable_size, &page, err);

	if (status != ST_OK || (page.is_table && !page.is_leaf)) {
		return status;
	}
	for (uint32_t i = 0; status == ST_OK && i < page.cell_count; i++) {
		status = cell_read(&page, i, &cell, err);
		if (status != ST_OK || !cell.overflow_page) {
			continue;
		}
		status = overflow_walk(source, &cell, enter_chain, &chain, err);
		if (status == ST_CORRUPT) {
			status = ST_OK; /* nobody can read that row, nor can we */
		}
	}
	return status;
}

/* The root of the tree that b-tree page `page_no` is in. */
static uint32_t root_of(const struct parent_map *map, uint32_t page_no)
{
	for (unsigned i = 0; i <= TREE_MAX_HEIGHT; i++) {
		uint32_t parent = parent_map_get(map, page_no);

		if (parent == PARENT_ROOT || parent >= map->limit) {
			break;
		}
		page_no = parent;
	}
	return page_no;
}

static enum status scan_pages(struct parent_map *map, struct page_source *source,
			      struct map_trees *trees, struct error *err)
{
	enum status status = ST_OK;

	for (uint32_t page_no = 1; status == ST_OK && page_no <= source->page_count;
	     page_no++) {
		uint32_t parent = parent_map_get(map, page_no);
		struct page_ref ref = {0};

		if (parent == PARENT_FREE || parent == PARENT_UNKNOWN ||
		    parent_map_is_overflow(map, page_no)) {
			continue;
		}
		status = page_get(source, page_no, &ref, err);
		if (status == ST_OK) {
			status = scan_cells(map, source, ref.bytes, page_no, err);
			page_put(source, &ref);
		}
		if (status == ST_CORRUPT) {
			trees->failed = root_of(map, page_no);
		}
	}
	return status;
}

enum status parent_map_complete(struct parent_map *map, struct page_source *source,
				struct map_trees *trees, struct error *err)
{
	enum status status = start_filling(map, source, err);

	if (status == ST_OK) {
		status = fill_needed(map, source, trees, err);
	}
	if (status == ST_OK) {
		status = scan_pages(map, source, trees, err);
	}
	for (uint32_t page_no = 1; status == ST_OK && page_no < map->limit; page_no++) {
		if (map->parents[page_no] == PARENT_UNKNOWN) {
			map->parents[page_no] = PARENT_FREE;
		}
	}
	map->is_filled = map->is_complete = status == ST_OK;
	return status;
}

/* ---- doubts ---- */

/* Does b-tree page `page` have a cell whose overflow begins at `page_no`? */
static bool holds(const struct page *page, uint32_t page_no)
{
	struct error unused;
	struct cell cell;

	if (page->is_table && !page->is_leaf) {
		return false;
	}
	for (uint32_t i = 0; i < page->cell_count; i++) {
		if (cell_read(page, i, &cell, &unused) != ST_OK ||
		    cell.overflow_page == page_no) {
			return true; /* or it cannot be made out */
		}
	}
	return false;
}

enum status parent_map_points(struct parent_map *map, struct page_source *source,
			      uint32_t page_no, bool *points, struct error *err)
{
	uint32_t parent = parent_map_get(map, page_no);
	struct page_ref ref = {0};
	struct error unused;
	struct page page;
	enum status status;

	*points = false;
	if (parent <= source->page_count) {
		status = page_get(source, parent, &ref, err);
		if (status != ST_OK) {
			return status;
		}
		if (parent_map_is_overflow(map, parent)) {
			*points = get_u32be(ref.bytes) == page_no;
		} else if (page_parse(ref.bytes, parent, source->usable_size, &page,
				      &unused) == ST_OK) {
			*points = holds(&page, page_no);
		} else {
			*points = true;
		}
		page_put(source, &ref);
	}
	if (!*points) {
		parent_map_set(map, page_no, PARENT_FREE, false);
	}
	return ST_OK;
}

enum status parent_map_doubts(struct parent_map *map, struct page_source *source,
			      uint32_t page_no, bool *doubts, struct error *err)
{
	struct page_ref ref = {0};
	struct error unused;
	struct page page;
	enum status status;

	*doubts = parent_map_get(map, page_no) == PARENT_UNKNOWN;
	if (*doubts || !parent_map_is_other(map, page_no)) {
		return ST_OK;
	}
	status = page_get(source, page_no, &ref, err);
	if (status != ST_OK) {
		return status;
	}
	if (page_parse(ref.bytes, page_no, source->usable_size, &page, &unused) ==
	    ST_OK) {
		parent_map_set(map, page_no, PARENT_FREE, false);
	} else {
		*doubts = true;
	}
	page_put(source, &ref);
	return ST_OK;
}
