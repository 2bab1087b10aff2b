/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/tree_walk.h -- the shape of a whole b-tree.
 *
 * FORMAT   fileformat2.html section 1.6: all leaves of a b-tree are at one depth.
 * THREADS  One thread per page source.
 */
#ifndef BTREE_TREE_WALK_H
#define BTREE_TREE_WALK_H

#include "btree/page.h"
#include "btree/page_source.h"

/* SQLite refuses deeper trees (BTCURSOR_MAX_DEPTH); with two children a page the
 * page numbers would run out long before. */
#define TREE_MAX_HEIGHT 20

/*
 * Levels of interior pages above the leaves of the tree at `root` (0: the root is
 * a leaf). Follows the first child of each page. ST_CORRUPT past TREE_MAX_HEIGHT.
 */
enum status tree_height(struct page_source *source, uint32_t root, unsigned *height,
			struct error *err) MUST_CHECK;

/*
 * Call `visit` for every cell that holds a row of the tree at `root`, in key
 * order: cells of leaves, and of interior pages too in an index b-tree. The page
 * stays pinned during the call; a status other than ST_OK ends the walk and is
 * handed on. A page that is reached twice, a page kind that does not fit and leaves at
 * differing depths are ST_CORRUPT; the walk never takes more pages than the database
 * has.
 */
enum status tree_walk_rows(struct page_source *source, uint32_t root,
			   enum status (*visit)(void *context, const struct page *page,
						uint32_t cell_index, struct error *err),
			   void *context, struct error *err) MUST_CHECK;

/*
 * The same, from the first row behind a place on. `is_passed` says of a cell whether
 * its key is at the place or before it; it is asked of a few cells of each page on the
 * way down, also of the cells of interior pages of a table b-tree, which have a key and
 * no row. Pages before the place are not read.
 */
enum status tree_walk_rows_after(
    struct page_source *source, uint32_t root,
    enum status (*is_passed)(void *context, const struct page *page,
			     uint32_t cell_index, bool *passed, struct error *err),
    enum status (*visit)(void *context, const struct page *page, uint32_t cell_index,
			 struct error *err),
    void *context, struct error *err) MUST_CHECK;

/* Call `visit` with the cell of the last row of the tree at `root`, if it has one. A
 * page on the way that does not fit or is empty, as the root alone may be, is
 * ST_CORRUPT. */
enum status tree_last_row(struct page_source *source, uint32_t root,
			  enum status (*visit)(void *context, const struct page *page,
					       uint32_t cell_index, struct error *err),
			  void *context, struct error *err) MUST_CHECK;

#endif
