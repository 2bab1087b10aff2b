/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/leaf_common.h"

#include <string.h>

#define BLOCK 32u /* bytes that are compared at once */

bool leaf_common_cell_same(const struct page_marks *marks, const struct cell *a,
			   const struct cell *b)
{
	return a->payload_len == b->payload_len && a->rowid == b->rowid &&
	       a->local_len == b->local_len && a->overflow_page == b->overflow_page &&
	       !(a->overflow_page && page_set_has(&marks->marked, a->overflow_page)) &&
	       memcmp(a->local, b->local, a->local_len) == 0;
}

static inline uint64_t xor_words(const uint8_t *a, const uint8_t *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return x ^ y;
}

static inline bool is_same_block(const uint8_t *a, const uint8_t *b)
{
	return (xor_words(a, b) | xor_words(a + 8, b + 8) | xor_words(a + 16, b + 16) |
		xor_words(a + 24, b + 24)) == 0;
}

/* Offset of the first byte at or past `from` that differs, `end` if none. */
static uint32_t first_difference(const uint8_t *a, const uint8_t *b, uint32_t from,
				 uint32_t end)
{
	while (from + BLOCK <= end && is_same_block(a + from, b + from)) {
		from += BLOCK;
	}
	while (from < end && a[from] == b[from]) {
		from++;
	}
	return from;
}

/* One past the last byte below `end` that differs, `from` if none. */
static uint32_t last_difference(const uint8_t *a, const uint8_t *b, uint32_t from,
				uint32_t end)
{
	while (end >= from + BLOCK && is_same_block(a + end - BLOCK, b + end - BLOCK)) {
		end -= BLOCK;
	}
	while (end > from && a[end - 1] == b[end - 1]) {
		end--;
	}
	return end;
}

/* Cells whose bytes lie wholly outside the span [low, high) of differing bytes. */
struct stable_cells {
	uint32_t first; /* what lies below was not compared */
	uint32_t below; /* offsets below this one end before low */
	uint32_t from;  /* offsets from this one on start behind high */
};

static bool is_stable(const struct stable_cells *stable, uint32_t offset)
{
	return offset >= stable->first &&
	       (offset < stable->below || offset >= stable->from);
}

/* Where the content of both pages begins: the unallocated bytes before it are in no
 * cell, whatever they are. */
static uint32_t content_start(const struct page *old_page, const struct page *new_page)
{
	const struct page *longer =
	    old_page->cell_count > new_page->cell_count ? old_page : new_page;
	uint32_t old_start = page_content_start(old_page);
	uint32_t new_start = page_content_start(new_page);
	uint32_t start = old_start < new_start ? old_start : new_start;

	if (start > old_page->usable_size) {
		start = old_page->usable_size;
	}
	return start > page_cells_start(longer) ? start : page_cells_start(longer);
}

/*
 * The span of differing content, and from it which cell offsets are stable: cells
 * do not overlap, so every cell that starts below the last one that starts at or
 * below `low` also ends there.
 */
static struct stable_cells stable_cells(const struct page *old_page,
					const struct page *new_page)
{
	uint32_t content = content_start(old_page, new_page);
	uint32_t end = old_page->usable_size;
	uint32_t low = first_difference(old_page->bytes, new_page->bytes, content, end);
	struct stable_cells stable = {
	    .first = content,
	    .below = 0,
	    .from = last_difference(old_page->bytes, new_page->bytes, low, end)};

	if (low == end) {
		stable.below = end;
		return stable;
	}
	for (uint32_t i = 0; i < old_page->cell_count; i++) {
		uint32_t offset = page_cell_offset(old_page, i);

		if (offset <= low && offset > stable.below) {
			stable.below = offset;
		}
	}
	return stable;
}

/* Is cell `i` of the old page cell `j` of the new one? Where the span does not tell,
 * because the page's cells were moved or the cell lies between two that changed, the
 * cells themselves do. A cell that cannot be read is not the same: who reads its row
 * finds the damage. */
static bool same_cell(const struct page_marks *marks, const struct stable_cells *stable,
		      const struct page *old_page, uint32_t i,
		      const struct page *new_page, uint32_t j)
{
	uint32_t offset = page_cell_offset(old_page, i);
	struct cell old_cell, new_cell;
	struct error unused;

	if (offset == page_cell_offset(new_page, j) && is_stable(stable, offset)) {
		return true;
	}
	return cell_read(old_page, i, &old_cell, &unused) == ST_OK &&
	       cell_read(new_page, j, &new_cell, &unused) == ST_OK &&
	       leaf_common_cell_same(marks, &old_cell, &new_cell);
}

struct leaf_common leaf_common_find(const struct page_marks *marks,
				    const struct page *old_page,
				    const struct page *new_page)
{
	struct leaf_common common = {0, 0};
	struct stable_cells stable;
	uint32_t n_old = old_page->cell_count;
	uint32_t n_new = new_page->cell_count;
	uint32_t n = n_old < n_new ? n_old : n_new;

	if (page_set_has(&marks->holders, old_page->page_no) ||
	    old_page->kind != new_page->kind ||
	    old_page->usable_size != new_page->usable_size) {
		return common;
	}
	if (old_page->bytes == new_page->bytes) {
		common.prefix = n;
		return common;
	}
	stable = stable_cells(old_page, new_page);
	while (common.prefix < n && same_cell(marks, &stable, old_page, common.prefix,
					      new_page, common.prefix)) {
		common.prefix++;
	}
	while (common.prefix + common.suffix < n &&
	       same_cell(marks, &stable, old_page, n_old - 1 - common.suffix, new_page,
			 n_new - 1 - common.suffix)) {
		common.suffix++;
	}
	return common;
}
