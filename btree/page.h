/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/page.h -- one b-tree page: header, cell pointers.
 *
 * FORMAT     fileformat2.html section 1.6 "B-tree Pages". On page 1 everything
 *            starts behind the 100 bytes of the database header.
 *
 *     +---------------------------+ header_offset (0, on page 1: 100)
 *     | 0  kind: 2 5 10 13        |
 *     | 1  first freeblock        |
 *     | 3  cell count             |
 *     | 5  start of cell content  |  0 means 65536
 *     | 7  fragmented free bytes  |
 *     | 8  right-most child       |  interior pages only
 *     +---------------------------+
 *     | cell pointers, 2 bytes    |  in key order
 *     | unallocated, cell content |  cells grow down from usable_size
 *     | reserved bytes            |
 *     +---------------------------+ page_size
 *
 * OWNERSHIP  A struct page is a view: it borrows the page's bytes.
 * THREADS    No shared state.
 */
#ifndef BTREE_PAGE_H
#define BTREE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/bytes.h"
#include "src/base/status.h"

enum page_kind {
	PAGE_INDEX_INTERIOR = 2,
	PAGE_TABLE_INTERIOR = 5,
	PAGE_INDEX_LEAF = 10,
	PAGE_TABLE_LEAF = 13,
};

struct page {
	const uint8_t *bytes;    /* borrowed */
	const uint8_t *pointers; /* borrowed: the cell pointer array */
	uint32_t page_no;        /* 1-based, for messages */
	uint32_t usable_size;    /* bytes */
	uint32_t cell_count;
	uint32_t right_child; /* 0 on leaves */
	enum page_kind kind;
	bool is_leaf;
	bool is_table; /* table b-tree; otherwise index b-tree */
};

/*
 * Look at `bytes` as b-tree page `page_no`. ST_CORRUPT when the kind is none of
 * the four or the cell pointer array does not fit; `*out` is then untouched.
 */
enum status page_parse(const uint8_t *bytes, uint32_t page_no, uint32_t usable_size,
		       struct page *out, struct error *err) MUST_CHECK;

/* Byte offset of cell `index` (0-based, below cell_count) in the page; unchecked. */
static inline uint32_t page_cell_offset(const struct page *page, uint32_t index)
{
	return get_u16be(page->pointers + 2 * (size_t)index);
}

/* The lowest byte offset that a cell can have: one past the cell pointers. */
static inline uint32_t page_cells_start(const struct page *page)
{
	return (uint32_t)(page->pointers - page->bytes) + 2 * page->cell_count;
}

/* The byte offset where cell content starts, as the header says; it may lie. */
static inline uint32_t page_content_start(const struct page *page)
{
	uint32_t start = get_u16be(page->pointers - (page->is_leaf ? 3 : 7));

	return start == 0 ? 65536 : start;
}

/*
 * Child `index` of an interior page: 0 … cell_count, the last being right_child.
 * ST_CORRUPT when the cell lies outside the page or the child is page 0.
 */
enum status page_child(const struct page *page, uint32_t index, uint32_t *child,
		       struct error *err) MUST_CHECK;

#endif
