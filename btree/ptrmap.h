/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/ptrmap.h -- pointer-map pages of databases with auto_vacuum.
 *
 * FORMAT   fileformat2.html section 1.8 "Pointer Map or Ptrmap Pages": page 2 is
 *          the first; each holds usable_size / 5 entries (kind, parent) for the
 *          pages that follow it; one that would fall on the lock-byte page is
 *          the page after it.
 */
#ifndef BTREE_PTRMAP_H
#define BTREE_PTRMAP_H

#include <stdbool.h>

#include "btree/page_source.h"

enum ptrmap_kind {
	PTRMAP_ROOT = 1,
	PTRMAP_FREE = 2,
	PTRMAP_OVERFLOW_FIRST = 3, /* parent: the b-tree page with the cell */
	PTRMAP_OVERFLOW_NEXT = 4,  /* parent: the overflow page before */
	PTRMAP_BTREE = 5,          /* parent: the interior page above */
};

/* True for a page that is a ptrmap page in a database that has them. */
bool ptrmap_is_ptrmap_page(uint32_t page_no, uint32_t page_size, uint32_t usable_size);

/* The ptrmap page that has the entry of `page_no` (3 or above, itself no ptrmap page).
 */
uint32_t ptrmap_page_of(uint32_t page_no, uint32_t page_size, uint32_t usable_size);

/*
 * Look up `page_no`. The parent is given as 0 for PTRMAP_ROOT and PTRMAP_FREE,
 * which have none. ST_CORRUPT for an unknown kind, a parent out of range, a parent
 * where there can be none, and when asked about a ptrmap page, the lock-byte page or
 * page 1.
 */
enum status ptrmap_read(struct page_source *source, uint32_t page_no,
			enum ptrmap_kind *kind, uint32_t *parent,
			struct error *err) MUST_CHECK;

#endif
