/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/parent_map.h"

#include <stdlib.h>
#include <string.h>

#include "btree/cell.h"
#include "btree/db_header.h"
#include "btree/freelist.h"
#include "btree/page.h"
#include "btree/tree_walk.h"

void parent_map_init(struct parent_map *map)
{
	*map = (struct parent_map){0};
}

void parent_map_clear(struct parent_map *map)
{
	free(map->parents);
	free(map->overflow);
	parent_map_init(map);
}

enum status parent_map_grow(struct parent_map *map, uint32_t page_count,
			    struct error *err)
{
	size_t need = ((size_t)page_count + 1 + 63) / 64 * 64;
	size_t cap;
	uint32_t *parents;
	uint64_t *overflow;

	if (page_count < map->limit) {
		return ST_OK;
	}
	cap = need + need / 8 / 64 * 64;
	if (cap > UINT32_MAX - 63) {
		cap = need;
	}
	parents = realloc(map->parents, cap * sizeof *parents);
	if (!parents) {
		return error_set(err, ST_NOMEM,
				 "out of memory for the parents of %u pages",
				 page_count);
	}
	map->parents = parents;
	overflow = realloc(map->overflow, cap / 64 * sizeof *overflow);
	if (!overflow) {
		return error_set(err, ST_NOMEM,
				 "out of memory for the parents of %u pages",
				 page_count);
	}
	map->overflow = overflow;
	for (size_t i = map->limit; i < cap; i++) {
		parents[i] = map->is_filled ? PARENT_FREE : PARENT_UNKNOWN;
	}
	memset(overflow + map->limit / 64, 0,
	       (cap - map->limit) / 64 * sizeof *overflow);
	map->limit = (uint32_t)cap;
	return ST_OK;
}

static void set_free(void *context, uint32_t page_no)
{
	parent_map_set(context, page_no, PARENT_FREE, false);
}

static enum status set_child(struct parent_map *map, uint32_t child, uint32_t parent,
			     struct error *err)
{
	if (parent_map_get(map, child) != PARENT_UNKNOWN) {
		return error_set(err, ST_CORRUPT,
				 "page %u is pointed to by page %u and from elsewhere",
				 child, parent);
	}
	parent_map_set(map, child, parent, false);
	return ST_OK;
}

/* Enter the children of interior page `page_no`, which stands `height` above the
 * leaves, and of every interior page below it. The recursion is as deep as the
 * tree, at most TREE_MAX_HEIGHT. */
static enum status fill_below(struct parent_map *map, struct page_source *source,
			      uint32_t page_no, unsigned height, struct error *err)
{
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
		if (status == ST_OK && child > source->page_count) {
			status =
			    error_set(err, ST_CORRUPT,
				      "page %u has the child page %u of a database of "
				      "%u pages",
				      page_no, child, source->page_count);
		}
		if (status == ST_OK) {
			status = set_child(map, child, page_no, err);
		}
		if (status == ST_OK && height > 1) {
			status = fill_below(map, source, child, height - 1, err);
		}
	}
	page_put(source, &ref);
	return status;
}

enum status parent_map_fill(struct parent_map *map, struct page_source *source,
			    const uint32_t *roots, size_t root_count, struct error *err)
{
	struct db_header header;
	struct page_ref ref = {0};
	/* The caller may have grown the map past this view, for the one after it. */
	uint32_t last =
	    map->limit > source->page_count ? map->limit - 1 : source->page_count;
	enum status status;

	parent_map_clear(map);
	status = parent_map_grow(map, last, err);
	if (status == ST_OK) {
		status = page_get(source, 1, &ref, err);
	}
	if (status != ST_OK) {
		return status;
	}
	status = db_header_read(ref.bytes, &header, err);
	page_put(source, &ref);
	if (status == ST_OK) {
		status = freelist_walk(source, &header, set_free, map, err);
	}
	parent_map_set(map, db_lock_byte_page(source->page_size), PARENT_FREE, false);
	for (uint32_t page_no = source->page_count + 1; page_no < map->limit;
	     page_no++) {
		parent_map_set(map, page_no, PARENT_FREE, false);
	}
	for (size_t i = 0; status == ST_OK && i < root_count; i++) {
		status = set_child(map, roots[i], PARENT_ROOT, err);
	}
	for (size_t i = 0; status == ST_OK && i < root_count; i++) {
		unsigned height = 0;

		status = tree_height(source, roots[i], &height, err);
		if (status == ST_OK && height > 0) {
			status = fill_below(map, source, roots[i], height, err);
		}
	}
	map->is_filled = status == ST_OK;
	return status;
}

/* Enter the first overflow page of every cell of b-tree page `page_no`. */
static enum status scan_cells(struct parent_map *map, struct page_source *source,
			      const uint8_t *bytes, uint32_t page_no, struct error *err)
{
	struct page page;
	struct cell cell;
	enum status status =
	    page_parse(bytes, page_no, source->usable_size, &page, err);

	if (status != ST_OK || (page.is_table && !page.is_leaf)) {
		return status;
	}
	for (uint32_t i = 0; i < page.cell_count; i++) {
		status = cell_read(&page, i, &cell, err);
		if (status != ST_OK) {
			return status;
		}
		if (cell.overflow_page) {
			parent_map_set(map, cell.overflow_page, page_no, true);
		}
	}
	return ST_OK;
}

/* Every overflow page whose owner is known leads to the ones behind it. */
static void follow_chains(struct parent_map *map, const uint32_t *next,
			  uint32_t page_count)
{
	for (uint32_t page_no = 1; page_no <= page_count; page_no++) {
		uint32_t at = page_no;

		if (!parent_map_is_overflow(map, page_no)) {
			continue;
		}
		while (next[at] != 0 && next[at] <= page_count &&
		       parent_map_get(map, next[at]) == PARENT_UNKNOWN) {
			parent_map_set(map, next[at], at, true);
			at = next[at];
		}
	}
	for (uint32_t page_no = 1; page_no <= page_count; page_no++) {
		if (parent_map_get(map, page_no) == PARENT_UNKNOWN) {
			parent_map_set(map, page_no, PARENT_FREE, false);
		}
	}
}

static enum status scan_pages(struct parent_map *map, struct page_source *source,
			      struct error *err)
{
	enum status status = ST_OK;
	uint32_t *next = calloc((size_t)source->page_count + 1, sizeof *next);

	if (!next) {
		return error_set(err, ST_NOMEM, "out of memory for overflow chains");
	}
	for (uint32_t page_no = 1; status == ST_OK && page_no <= source->page_count;
	     page_no++) {
		uint32_t parent = parent_map_get(map, page_no);
		struct page_ref ref = {0};

		if (parent == PARENT_FREE) {
			continue;
		}
		status = page_get(source, page_no, &ref, err);
		if (status != ST_OK) {
			break;
		}
		if (parent == PARENT_UNKNOWN || parent_map_is_overflow(map, page_no)) {
			next[page_no] = get_u32be(ref.bytes);
		} else {
			status = scan_cells(map, source, ref.bytes, page_no, err);
		}
		page_put(source, &ref);
	}
	if (status == ST_OK) {
		follow_chains(map, next, source->page_count);
		map->is_complete = true;
	}
	free(next);
	return status;
}

enum status parent_map_complete(struct parent_map *map, struct page_source *source,
				const uint32_t *roots, size_t root_count,
				struct error *err)
{
	enum status status = parent_map_fill(map, source, roots, root_count, err);

	return status == ST_OK ? scan_pages(map, source, err) : status;
}
