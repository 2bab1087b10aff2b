/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/page_marks.h"

#include "btree/db_header.h"
#include "btree/ptrmap.h"

void page_marks_init(struct page_marks *marks)
{
	page_set_init(&marks->dirty);
	page_set_init(&marks->marked);
	page_set_init(&marks->holders);
	page_set_init(&marks->roots);
	marks->edge_count = 0;
}

void page_marks_clear(struct page_marks *marks)
{
	page_set_clear(&marks->dirty);
	page_set_clear(&marks->marked);
	page_set_clear(&marks->holders);
	page_set_clear(&marks->roots);
}

void page_marks_empty(struct page_marks *marks)
{
	page_set_empty(&marks->dirty);
	page_set_empty(&marks->marked);
	page_set_empty(&marks->holders);
	page_set_empty(&marks->roots);
	marks->edge_count = 0;
}

enum status page_marks_add_dirty(struct page_marks *marks, uint32_t page_no,
				 struct error *err)
{
	return page_set_add(&marks->dirty, page_no, NULL, err);
}

/* One step up: the page that points to `page_no` in the old view. */
struct owner {
	uint32_t parent; /* PARENT_ROOT, PARENT_FREE or a page number */
	bool is_overflow;
};

static enum status owner_from_ptrmap(struct page_source *old, uint32_t page_no,
				     struct owner *owner, struct error *err)
{
	enum ptrmap_kind kind;
	enum status status;

	owner->is_overflow = false;
	if (page_no == 1) {
		owner->parent = PARENT_ROOT;
		return ST_OK;
	}
	if (page_no > old->page_count || page_no == db_lock_byte_page(old->page_size) ||
	    ptrmap_is_ptrmap_page(page_no, old->page_size, old->usable_size)) {
		owner->parent = PARENT_FREE;
		return ST_OK;
	}
	status = ptrmap_read(old, page_no, &kind, &owner->parent, err);
	if (status != ST_OK) {
		return status;
	}
	if (kind == PTRMAP_ROOT) {
		owner->parent = PARENT_ROOT;
	} else if (kind == PTRMAP_FREE) {
		owner->parent = PARENT_FREE;
	} else {
		owner->is_overflow = kind != PTRMAP_BTREE;
	}
	return ST_OK;
}

static enum status owner_from_map(struct page_source *old, struct parent_map *map,
				  uint32_t page_no, struct owner *owner,
				  struct error *err)
{
	bool points = true;
	enum status status = ST_OK;

	owner->is_overflow = parent_map_is_overflow(map, page_no);
	if (owner->is_overflow && page_no <= old->page_count) {
		status = parent_map_points(map, old, page_no, &points, err);
	}
	owner->parent =
	    page_no > old->page_count ? PARENT_FREE : parent_map_get(map, page_no);
	owner->is_overflow = owner->is_overflow && points;
	return status;
}

static enum status owner_of(struct page_source *old, struct parent_map *map,
			    uint32_t page_no, struct owner *owner, struct error *err)
{
	return map ? owner_from_map(old, map, page_no, owner, err)
		   : owner_from_ptrmap(old, page_no, owner, err);
}

/* A dirty page that nobody is known to point to can only be an overflow page. */
static enum status has_unknown(const struct page_marks *marks, struct page_source *old,
			       struct parent_map *map, bool *found, struct error *err)
{
	enum status status = ST_OK;

	*found = false;
	for (size_t i = 0; status == ST_OK && !*found && i < marks->dirty.count; i++) {
		if (marks->dirty.pages[i] <= old->page_count) {
			status = parent_map_doubts(map, old, marks->dirty.pages[i],
						   found, err);
		}
	}
	return status;
}

static void add_edge(struct page_marks *marks, uint32_t parent, uint32_t child)
{
	if (marks->edge_count < MARK_EDGES_MAX) {
		marks->edges[marks->edge_count] = (struct mark_edge){parent, child};
	}
	marks->edge_count++;
}

uint32_t page_marks_only_child(const struct page_marks *marks, uint32_t page_no)
{
	uint32_t child = 0;

	if (marks->edge_count > MARK_EDGES_MAX) {
		return 0;
	}
	for (size_t i = 0; i < marks->edge_count; i++) {
		if (marks->edges[i].parent == page_no) {
			if (child != 0) {
				return 0;
			}
			child = marks->edges[i].child;
		}
	}
	return child;
}

/* Mark `page_no` and what is above it, up to a page that is marked already. */
static enum status climb_from(struct page_marks *marks, struct page_source *old,
			      struct parent_map *map, uint32_t page_no,
			      struct error *err)
{
	bool is_new;
	enum status status = page_set_add(&marks->marked, page_no, &is_new, err);

	while (status == ST_OK && is_new) {
		struct owner owner;

		status = owner_of(old, map, page_no, &owner, err);
		if (status != ST_OK || owner.parent == PARENT_FREE) {
			break;
		}
		if (owner.parent == PARENT_ROOT) {
			return page_set_add(&marks->roots, page_no, NULL, err);
		}
		if (owner.is_overflow) {
			status = page_set_add(&marks->holders, owner.parent, NULL, err);
		} else {
			add_edge(marks, owner.parent, page_no);
		}
		page_no = owner.parent;
		if (status == ST_OK) {
			status = page_set_add(&marks->marked, page_no, &is_new, err);
		}
	}
	return status;
}

enum status page_marks_climb(struct page_marks *marks, struct page_source *old,
			     struct parent_map *map, struct map_trees *trees,
			     struct error *err)
{
	bool unknown = false;
	enum status status = ST_OK;

	if (map && !map->is_complete) {
		status = has_unknown(marks, old, map, &unknown, err);
	}
	if (status == ST_OK && unknown) {
		status = parent_map_complete(map, old, trees, err);
	}
	for (size_t i = 0; status == ST_OK && i < marks->dirty.count; i++) {
		status = climb_from(marks, old, map, marks->dirty.pages[i], err);
	}
	return status;
}
