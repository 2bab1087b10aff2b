/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/full_walk.h -- every page and cell of a b-tree, the plain way.
 *
 * Tests compare the program's own, cleverer walks with it, and fuzzing drives it
 * through hostile files: depth and number of pages are limited.
 *
 * THREADS  One thread per page source.
 */
#ifndef TESTS_LIB_FULL_WALK_H
#define TESTS_LIB_FULL_WALK_H

#include <stdint.h>

#include "btree/cell.h"
#include "btree/page_source.h"
#include "btree/ptrmap.h"

struct full_walk {
	struct page_source *source;
	void *context;
	uint32_t pages_left; /* ST_CORRUPT when it is used up; counted down */
	/*
	 * Each page, with what its ptrmap entry should be. The root's parent is 0.
	 * May be NULL.
	 */
	void (*page)(void *context, uint32_t page_no, enum ptrmap_kind kind,
		     uint32_t parent);
	/* Each cell in key order, a table's interior cells too. May be NULL. */
	enum status (*cell)(void *context, const struct page *page,
			    const struct cell *cell, struct error *err);
};

enum status full_walk_tree(struct full_walk *walk, uint32_t root,
			   struct error *err) MUST_CHECK;

#endif
