/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/tree_walk.h"

static enum status too_deep(uint32_t root, struct error *err)
{
	return error_set(err, ST_CORRUPT,
			 "the b-tree at page %u is more than %d levels deep", root,
			 TREE_MAX_HEIGHT);
}

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
	return too_deep(root, err);
}

struct walk {
	struct page_source *source;
	enum status (*is_passed)(void *context, const struct page *page,
				 uint32_t cell_index, bool *passed, struct error *err);
	enum status (*visit)(void *context, const struct page *page,
			     uint32_t cell_index, struct error *err);
	void *context;
	uint64_t pages_left; /* more than the database has means a loop */
	bool is_table;
};

static enum status walk_page(struct walk *walk, uint32_t page_no, unsigned height,
			     bool is_seeking, struct error *err);

static enum status does_not_fit(const struct page *page, struct error *err)
{
	return error_set(err, ST_CORRUPT,
			 "page %u is of kind %d, which does not fit its b-tree",
			 page->page_no, (int)page->kind);
}

/* The first cell of the page that is not passed; cell_count when all are. */
static enum status seek(const struct walk *walk, const struct page *page,
			uint32_t *first, struct error *err)
{
	uint32_t low = 0;
	uint32_t high = page->cell_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		bool passed;
		enum status status =
		    walk->is_passed(walk->context, page, middle, &passed, err);

		if (status != ST_OK) {
			return status;
		}
		if (passed) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	*first = low;
	return ST_OK;
}

/* The children of an interior page in order, from number `first` on; of an index b-tree
 * its cells between. */
static enum status walk_interior(struct walk *walk, const struct page *page,
				 uint32_t first, unsigned height, bool is_seeking,
				 struct error *err)
{
	enum status status = ST_OK;

	for (uint32_t i = first; status == ST_OK && i <= page->cell_count; i++) {
		uint32_t child;

		status = page_child(page, i, &child, err);
		if (status == ST_OK) {
			status = walk_page(walk, child, height - 1,
					   is_seeking && i == first, err);
		}
		if (status == ST_OK && !walk->is_table && i < page->cell_count) {
			status = walk->visit(walk->context, page, i, err);
		}
	}
	return status;
}

static enum status walk_leaf(struct walk *walk, const struct page *page, uint32_t first,
			     struct error *err)
{
	enum status status = ST_OK;

	for (uint32_t i = first; status == ST_OK && i < page->cell_count; i++) {
		status = walk->visit(walk->context, page, i, err);
	}
	return status;
}

static enum status walk_page(struct walk *walk, uint32_t page_no, unsigned height,
			     bool is_seeking, struct error *err)
{
	struct page_ref ref = {0};
	struct page page;
	uint32_t first = 0;
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
		status = does_not_fit(&page, err);
	}
	if (status == ST_OK && is_seeking) {
		status = seek(walk, &page, &first, err);
	}
	if (status == ST_OK && height > 0) {
		status = walk_interior(walk, &page, first, height, is_seeking, err);
	} else if (status == ST_OK) {
		status = walk_leaf(walk, &page, first, err);
	}
	page_put(walk->source, &ref);
	return status;
}

static enum status walk_tree(struct walk *walk, uint32_t root, struct error *err)
{
	struct page_ref ref = {0};
	struct page page;
	unsigned height;
	enum status status = tree_height(walk->source, root, &height, err);

	if (status == ST_OK) {
		status = page_get(walk->source, root, &ref, err);
	}
	if (status != ST_OK) {
		return status;
	}
	status = page_parse(ref.bytes, root, walk->source->usable_size, &page, err);
	page_put(walk->source, &ref);
	if (status != ST_OK) {
		return status;
	}
	walk->is_table = page.is_table;
	return walk_page(walk, root, height, walk->is_passed != NULL, err);
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

	return walk_tree(&walk, root, err);
}

enum status tree_walk_rows_after(
    struct page_source *source, uint32_t root,
    enum status (*is_passed)(void *context, const struct page *page,
			     uint32_t cell_index, bool *passed, struct error *err),
    enum status (*visit)(void *context, const struct page *page, uint32_t cell_index,
			 struct error *err),
    void *context, struct error *err)
{
	struct walk walk = {.source = source,
			    .is_passed = is_passed,
			    .visit = visit,
			    .context = context,
			    .pages_left = source->page_count};

	return walk_tree(&walk, root, err);
}

/* ---- the last row ---- */

/* One page of the way to the last row: `*page_no` becomes its right-most child, or 0
 * when it is a leaf, whose last row was visited. */
static enum status step_right(struct walk *walk, uint32_t *page_no, bool is_root,
			      struct error *err)
{
	struct page_ref ref = {0};
	struct page page;
	enum status status = page_get(walk->source, *page_no, &ref, err);

	if (status != ST_OK) {
		return status;
	}
	status = page_parse(ref.bytes, *page_no, walk->source->usable_size, &page, err);
	if (status == ST_OK && is_root) {
		walk->is_table = page.is_table;
	}
	if (status == ST_OK && page.is_table != walk->is_table) {
		status = does_not_fit(&page, err);
	} else if (status == ST_OK && page.cell_count == 0 && !is_root) {
		status = error_set(err, ST_CORRUPT, "page %u: empty in its b-tree",
				   *page_no);
	} else if (status == ST_OK && !page.is_leaf) {
		status = page_child(&page, page.cell_count, page_no, err);
	} else if (status == ST_OK) {
		*page_no = 0;
		if (page.cell_count > 0) {
			status =
			    walk->visit(walk->context, &page, page.cell_count - 1, err);
		}
	}
	page_put(walk->source, &ref);
	return status;
}

enum status tree_last_row(struct page_source *source, uint32_t root,
			  enum status (*visit)(void *context, const struct page *page,
					       uint32_t cell_index, struct error *err),
			  void *context, struct error *err)
{
	struct walk walk = {.source = source, .visit = visit, .context = context};
	uint32_t page_no = root;

	for (unsigned height = 0; height <= TREE_MAX_HEIGHT; height++) {
		enum status status = step_right(&walk, &page_no, height == 0, err);

		if (status != ST_OK || page_no == 0) {
			return status;
		}
	}
	return too_deep(root, err);
}
