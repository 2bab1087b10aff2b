/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/decode/likeness.h -- is a table that is gone the one that came under another
 * name?
 *
 * OWNERSHIP  Nothing is kept.
 * THREADS    One thread at a time.
 * ERRORS     ST_CORRUPT names the page; those of the page sources; ST_NOMEM.
 */
#ifndef LIKENESS_H
#define LIKENESS_H

#include <stdint.h>

#include "btree/page_marks.h"
#include "btree/page_source.h"
#include "schemas/table.h"

/* The two moments, and what changed in between. */
struct likeness_sides {
	struct page_source *old_view;
	struct page_source *new_view;
	const struct page_marks *marks;
};

/* How much the trees of two tables look like one: 0 not at all; 1 they have an equal
 * row, or both are empty under one root; else 2 plus the pages that they share. */
enum status likeness_of(const struct likeness_sides *sides,
			const struct table *old_table, const struct table *new_table,
			uint64_t *out, struct error *err) MUST_CHECK;

#endif
