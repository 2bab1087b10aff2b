/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/page_set.h -- a set of page numbers: one bit a page, and a list.
 *
 * The list makes clearing and walking cost what is in the set, not what the
 * database has; the bits make the test cost one load.
 *
 * OWNERSHIP  page_set_init / page_set_clear; storage of the struct is the caller's.
 * THREADS    One thread at a time.
 */
#ifndef BTREE_PAGE_SET_H
#define BTREE_PAGE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

struct page_set {
	uint64_t *bits;
	uint32_t limit;  /* page numbers below it have a bit */
	uint32_t *pages; /* members, in the order they were added */
	size_t count;
	size_t cap;
};

void page_set_init(struct page_set *set);
void page_set_clear(struct page_set *set); /* frees */
void page_set_empty(struct page_set *set); /* no members; keeps the memory */

/* ST_NOMEM is the only failure. `*added` (may be NULL): it was not a member before. */
enum status page_set_add(struct page_set *set, uint32_t page_no, bool *added,
			 struct error *err) MUST_CHECK;

static inline bool page_set_has(const struct page_set *set, uint32_t page_no)
{
	return page_no < set->limit && (set->bits[page_no >> 6] >> (page_no & 63) & 1);
}

#endif
