/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/full_walk.h"

#include <stddef.h>

#include "btree/overflow.h"

#define DEPTH_MAX 24

struct chain {
	struct full_walk *walk;
	uint32_t page_no; /* the b-tree page with the cell */
};

static enum status count_page(struct full_walk *walk, uint32_t page_no,
			      enum ptrmap_kind kind, uint32_t parent, struct error *err)
{
	if (walk->pages_left == 0) {
		return error_set(err, ST_CORRUPT, "page %u is one too many", page_no);
	}
	walk->pages_left--;
	if (walk->page) {
		walk->page(walk->context, page_no, kind, parent);
	}
	return ST_OK;
}

static enum status count_overflow(void *context, uint32_t page_no, uint32_t previous,
				  struct error *err)
{
	struct chain *chain = context;

	return count_page(chain->walk, page_no,
			  previous ? PTRMAP_OVERFLOW_NEXT : PTRMAP_OVERFLOW_FIRST,
			  previous ? previous : chain->page_no, err);
}

static enum status walk_cell(struct full_walk *walk, const struct page *page,
			     uint32_t index, struct error *err)
{
	struct chain chain = {.walk = walk, .page_no = page->page_no};
	struct cell cell;
	enum status status = cell_read(page, index, &cell, err);

	if (status == ST_OK && cell.overflow_page) {
		status =
		    overflow_walk(walk->source, &cell, count_overflow, &chain, err);
	}
	if (status == ST_OK && walk->cell) {
		status = walk->cell(walk->context, page, &cell, err);
	}
	return status;
}

static enum status walk_page(struct full_walk *walk, uint32_t page_no, int depth,
			     struct error *err);

static enum status walk_child(struct full_walk *walk, const struct page *page,
			      uint32_t index, int depth, struct error *err)
{
	uint32_t child;
	enum status status = page_child(page, index, &child, err);

	if (status == ST_OK) {
		status = count_page(walk, child, PTRMAP_BTREE, page->page_no, err);
	}
	if (status == ST_OK) {
		status = walk_page(walk, child, depth + 1, err);
	}
	return status;
}

static enum status walk_page(struct full_walk *walk, uint32_t page_no, int depth,
			     struct error *err)
{
	struct page_ref ref = {0};
	struct page page = {0};
	enum status status;

	if (depth > DEPTH_MAX) {
		return error_set(err, ST_CORRUPT, "page %u is too deep", page_no);
	}
	status = page_get(walk->source, page_no, &ref, err);
	if (status == ST_OK) {
		status = page_parse(ref.bytes, page_no, walk->source->usable_size,
				    &page, err);
	}
	for (uint32_t i = 0; status == ST_OK && i < page.cell_count; i++) {
		if (!page.is_leaf) {
			status = walk_child(walk, &page, i, depth, err);
		}
		if (status == ST_OK) {
			status = walk_cell(walk, &page, i, err);
		}
	}
	if (status == ST_OK && !page.is_leaf) {
		status = walk_child(walk, &page, page.cell_count, depth, err);
	}
	page_put(walk->source, &ref);
	return status;
}

enum status full_walk_tree(struct full_walk *walk, uint32_t root, struct error *err)
{
	enum status status = count_page(walk, root, PTRMAP_ROOT, 0, err);

	return status == ST_OK ? walk_page(walk, root, 0, err) : status;
}
