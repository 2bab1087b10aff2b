/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/tree_walk.h"

enum status tree_height(struct page_source *source, uint32_t root, unsigned *height,
			struct error *err)
{
	uint32_t page_no = root;

	for (unsigned h = 0; h <= TREE_MAX_HEIGHT; h++) {
		struct page_ref ref = {0};
		struct page page;
		enum status status = page_get(source, page_no, &ref, err);

		if (status != ST_OK) {
			return status;
		}
		status =
		    page_parse(ref.bytes, page_no, source->usable_size, &page, err);
		if (status == ST_OK && !page.is_leaf) {
			status = page_child(&page, 0, &page_no, err);
		}
		page_put(source, &ref);
		if (status != ST_OK) {
			return status;
		}
		if (page.is_leaf) {
			*height = h;
			return ST_OK;
		}
	}
	return error_set(err, ST_CORRUPT,
			 "the b-tree at page %u is more than %d levels deep", root,
			 TREE_MAX_HEIGHT);
}

struct walk {
	struct page_source *source;
	enum status (*visit)(void *context, const struct page *page,
			     uint32_t cell_index, struct error *err);
	void *context;
	uint64_t pages_left; /* more than the database has means a loop */
	bool is_table;
};

static enum status walk_page(struct walk *walk, uint32_t page_no, unsigned height,
			     struct error *err);

/* The children of an interior page in order; of an index b-tree its cells between. */
static enum status walk_interior(struct walk *walk, const struct page *page,
				 unsigned height, struct error *err)
{
	enum status status = ST_OK;

	for (uint32_t i = 0; status == ST_OK && i <= page->cell_count; i++) {
		uint32_t child;

		status = page_child(page, i, &child, err);
		if (status == ST_OK) {
			status = walk_page(walk, child, height - 1, err);
		}
		if (status == ST_OK && !walk->is_table && i < page->cell_count) {
			status = walk->visit(walk->context, page, i, err);
		}
	}
	return status;
}

static enum status walk_page(struct walk *walk, uint32_t page_no, unsigned height,
			     struct error *err)
{
	struct page_ref ref = {0};
	struct page page;
	enum status status;

	if (walk->pages_left-- == 0) {
		return error_set(err, ST_CORRUPT,
				 "page %u is reached twice in its b-tree", page_no);
	}
	status = page_get(walk->source, page_no, &ref, err);
	if (status != ST_OK) {
		return status;
	}
	status = page_parse(ref.bytes, page_no, walk->source->usable_size, &page, err);
	if (status == ST_OK &&
	    (page.is_leaf != (height == 0) || page.is_table != walk->is_table)) {
		status =
		    error_set(err, ST_CORRUPT,
			      "page %u is of kind %d, which does not fit its b-tree",
			      page_no, (int)page.kind);
	}
	if (status == ST_OK && height > 0) {
		status = walk_interior(walk, &page, height, err);
	} else if (status == ST_OK) {
		for (uint32_t i = 0; status == ST_OK && i < page.cell_count; i++) {
			status = walk->visit(walk->context, &page, i, err);
		}
	}
	page_put(walk->source, &ref);
	return status;
}

enum status tree_walk_rows(struct page_source *source, uint32_t root,
			   enum status (*visit)(void *context, const struct page *page,
						uint32_t cell_index, struct error *err),
			   void *context, struct error *err)
{
	struct walk walk = {.source = source,
			    .visit = visit,
			    .context = context,
			    .pages_left = source->page_count};
	struct page_ref ref = {0};
	struct page page;
	unsigned height;
	enum status status = tree_height(source, root, &height, err);

	if (status == ST_OK) {
		status = page_get(source, root, &ref, err);
	}
	if (status != ST_OK) {
		return status;
	}
	status = page_parse(ref.bytes, root, source->usable_size, &page, err);
	page_put(source, &ref);
	if (status != ST_OK) {
		return status;
	}
	walk.is_table = page.is_table;
	return walk_page(&walk, root, height, err);
}
