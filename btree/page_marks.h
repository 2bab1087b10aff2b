/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/page_marks.h -- the pages a transaction touched, and everything above them.
 *
 * dirty    D: pages with a frame in the transaction, less the lock-byte page, ptrmap
 *          pages of whichever view has them, and pages past the new page count
 * marked   M: D and the ancestors of D in the old view
 * holders  b-tree pages in M that have a marked overflow page in the old view
 * roots    roots of trees, as of the old view, that have a page in M
 *
 * For a page outside D, "is it an ancestor of D" has the same answer in the new
 * view: nothing below it changed without being in D. So one set serves both.
 *
 * THREADS  One thread at a time.
 */
#ifndef BTREE_PAGE_MARKS_H
#define BTREE_PAGE_MARKS_H

#include "btree/page_set.h"
#include "btree/page_source.h"
#include "btree/parent_map.h"

/* A marked page and the interior page above it. */
struct mark_edge {
	uint32_t parent;
	uint32_t child;
};

#define MARK_EDGES_MAX 16

struct page_marks {
	struct page_set dirty;
	struct page_set marked;
	struct page_set holders;
	struct page_set roots;
	/* Small transactions: the way from each marked page up, so that an interior
	 * page that did not change itself need not be searched for its marked child. */
	struct mark_edge edges[MARK_EDGES_MAX];
	size_t edge_count; /* past MARK_EDGES_MAX: not all are kept */
};

void page_marks_init(struct page_marks *marks);
void page_marks_clear(struct page_marks *marks); /* frees */
void page_marks_empty(struct page_marks *marks);

/* Put `page_no` into D. ST_NOMEM only. */
enum status page_marks_add_dirty(struct page_marks *marks, uint32_t page_no,
				 struct error *err) MUST_CHECK;

/*
 * Fill marked, holders and roots from dirty. `old` is the view before the
 * transaction; `map` is its derived parent map, NULL when the database has
 * ptrmap pages. When the map does not know a dirty page it is completed, once, from
 * `trees`. With a map only needed trees are climbed and have their roots in `roots`.
 */
enum status page_marks_climb(struct page_marks *marks, struct page_source *old,
			     struct parent_map *map, struct map_trees *trees,
			     struct error *err) MUST_CHECK;

/*
 * The one marked child of interior page `page_no`, where the edges tell; 0 when there
 * are several, or too many to tell.
 */
uint32_t page_marks_only_child(const struct page_marks *marks, uint32_t page_no);

#endif
