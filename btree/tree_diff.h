/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/tree_diff.h -- where one b-tree differs between two views.
 *
 * The cost follows the change, not the size of the tree. Both trees are walked
 * from the root down, one level at a time. Pages outside the marked set
 * (btree/page_marks.h) are opaque units: one that stands on both sides at the
 * same height is the same subtree and cancels, wherever it hangs. What stands on one
 * side only is opened, and its children join the next level. What is left at the
 * leaves, and in an index b-tree the interior cells that did not cancel, holds
 * every row that can differ.
 *
 * The walk over the new tree also keeps the derived parent map up to date: it sees
 * every page that the transaction put into the tree.
 *
 * OWNERSHIP  tree_diff_init / tree_diff_clear; results live until the next run.
 * THREADS    One thread at a time.
 */
#ifndef BTREE_TREE_DIFF_H
#define BTREE_TREE_DIFF_H

#include "btree/cell.h"
#include "btree/leaf_common.h"
#include "btree/page_marks.h"

#define TREE_ITEM_PAGE (-1)

/* A page to be opened or a whole leaf (cell is TREE_ITEM_PAGE), or one cell of an
 * interior index page. */
struct tree_item {
	uint32_t page_no;
	int32_t cell;
};

struct tree_items {
	struct tree_item *items;
	size_t count;
	size_t cap;
};

/* One of the two trees. */
struct tree_side {
	struct page_source *source;
	uint32_t root; /* 0: there is no tree on this side */
	/* Results: leaves and interior cells that may differ, in key order. */
	struct tree_items rows;
	/* Scratch of the walk. */
	struct tree_items next;
	struct page_set
	    units; /* of the current level, when the sides are out of step */
	struct page_set visited; /* pages opened; on the new side kept over the
				  * trees of a transaction (tree_diff_begin) */
	unsigned height;
	bool is_table; /* table b-tree */
};

/* The answer for one leaf, kept for the run that it was asked in. */
struct known_common {
	uint64_t run;
	uint32_t page_no;
	uint16_t prefix; /* a page has fewer than 32768 cells */
	uint16_t suffix;
};

#define KNOWN_COMMON 512 /* a power of two */

/* What is known of a tree from the last time that it was measured. */
struct tree_shape {
	uint32_t root; /* 0: nothing */
	unsigned height;
	bool is_table;
};

#define TREE_SHAPES 64

struct tree_diff {
	struct tree_side old_side;
	struct tree_side new_side;
	const struct page_marks *marks;
	struct parent_map *map;
	struct tree_shape shapes[TREE_SHAPES]; /* by root page, direct-mapped */
	bool keeps_shapes;
	bool is_one_kind;      /* not a table b-tree here and an index b-tree there */
	uint64_t run;          /* number of the last one, from 1 on */
	uint64_t shared_units; /* unmarked pages that cancelled in it */
	struct known_common known[KNOWN_COMMON]; /* by page number, direct-mapped */
};

void tree_diff_init(struct tree_diff *diff);
void tree_diff_clear(struct tree_diff *diff); /* frees */

/*
 * Start a transaction: both views, its marks, and the map to keep up to date (NULL
 * with ptrmap pages). All borrowed until tree_diff_end. `same_roots`: every root page
 * is that of the same tree in both views (the schema did not change), so that what
 * is known of a tree's shape holds.
 */
void tree_diff_begin(struct tree_diff *diff, struct page_source *old,
		     struct page_source *new, const struct page_marks *marks,
		     struct parent_map *map, bool same_roots);

/*
 * Compare the tree at `old_root` in the old view with that at `new_root` in the new
 * one; 0 stands for no tree. Fills old_side.rows and new_side.rows. Trees of different
 * kinds (a table became WITHOUT ROWID) have nothing in common. ST_CORRUPT names the
 * page that breaks the format.
 */
enum status tree_diff_run(struct tree_diff *diff, uint32_t old_root, uint32_t new_root,
			  struct error *err) MUST_CHECK;

/* All trees of the transaction are done: pages that left every tree become free in the
 * map. */
void tree_diff_end(struct tree_diff *diff);

/* True when `a` and `b` are the same bytes and whatever overflow they have is the same
 * and unmarked: the rows are equal without reading the chains. */
bool tree_diff_cell_same(const struct tree_diff *diff, const struct cell *a,
			 const struct cell *b);

/*
 * What leaf `old_page` and `new_page`, one page number in both views, have in common.
 * The answer is kept for tree_diff_known_common.
 */
struct leaf_common tree_diff_leaf_common(struct tree_diff *diff,
					 const struct page *old_page,
					 const struct page *new_page);

/* An answer of tree_diff_leaf_common of this run, without the pages. False when there
 * is none, or it was not kept. */
bool tree_diff_known_common(const struct tree_diff *diff, uint32_t page_no,
			    struct leaf_common *out);

#endif
