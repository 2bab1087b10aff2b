/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/leaf_common.h -- what two versions of a leaf have in common.
 *
 * Most transactions change a few cells of a page, and the bytes of the others stand
 * where they stood: the span of bytes that differ tells, without a look at the cells.
 *
 * THREADS  No shared state.
 */
#ifndef BTREE_LEAF_COMMON_H
#define BTREE_LEAF_COMMON_H

#include <stdbool.h>

#include "btree/cell.h"
#include "btree/page.h"
#include "btree/page_marks.h"

/*
 * Cells at the start and at the end of a leaf that stands under one page number in both
 * views and that did not change at all: a row of them needs no look.
 */
struct leaf_common {
	uint32_t prefix; /* cells */
	uint32_t suffix; /* cells, not overlapping prefix in either page */
};

/* What `old_page` and `new_page`, one page number in two views, have in common: nothing
 * where an overflow page of theirs is marked, or the kinds differ. */
struct leaf_common leaf_common_find(const struct page_marks *marks,
				    const struct page *old_page,
				    const struct page *new_page);

/* True when both cells have the same bytes, and no overflow page of theirs is marked.
 */
bool leaf_common_cell_same(const struct page_marks *marks, const struct cell *a,
			   const struct cell *b);

#endif
