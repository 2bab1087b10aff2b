/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/decode/row_match.h -- rows of the old tree that wait for a row of the new tree
 * with the same identity.
 *
 * A hash table from the 64-bit hash of an identity to the row's place. The caller
 * compares the rows themselves. Past a few megabytes it lies in an unlinked
 * temporary file instead of memory, so that a transaction that moves every key
 * of a large table needs no more memory than a small one.
 *
 * OWNERSHIP  row_match_init / row_match_clear; entries live until then, or until
 *            row_match_empty.
 * THREADS    One thread at a time.
 */
#ifndef ROW_MATCH_H
#define ROW_MATCH_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

/* Where a row stands: its page, and the number of the cell there. */
struct row_place {
	uint32_t page_no; /* 0: nowhere */
	uint32_t cell;
};

struct row_match_entry {
	uint64_t hash;
	struct row_place old_place; /* page_no 0: the entry is empty */
	struct row_place new_place; /* page_no 0: not matched */
};

struct row_match {
	struct row_match_entry *entries;
	size_t cap; /* a power of two, or 0 */
	size_t count;
	size_t mapped_bytes; /* 0: on the heap */
};

void row_match_init(struct row_match *match);
void row_match_clear(struct row_match *match); /* frees */
void row_match_empty(struct row_match *match);

enum status row_match_add(struct row_match *match, uint64_t hash,
			  struct row_place old_place, struct error *err) MUST_CHECK;

/*
 * Entries with `hash`, one after the other: start with `*at` = 0, and go on with the
 * same `*at`. NULL when there are no more.
 */
struct row_match_entry *row_match_next(const struct row_match *match, uint64_t hash,
				       size_t *at);

#endif
