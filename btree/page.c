/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/page.h"

#include <assert.h>

#include "btree/db_header.h"

/* Byte offsets in the page header. */
enum { AT_KIND = 0, AT_CELL_COUNT = 3, AT_RIGHT_CHILD = 8 };

#define LEAF_HEADER_SIZE     8u
#define INTERIOR_HEADER_SIZE 12u

/* Bits of the kind byte; the four kinds are the four ways to combine them. */
#define KIND_LEAF  8
#define KIND_TABLE 1

static bool kind_is_known(uint8_t kind)
{
	return kind == PAGE_TABLE_LEAF || kind == PAGE_TABLE_INTERIOR ||
	       kind == PAGE_INDEX_LEAF || kind == PAGE_INDEX_INTERIOR;
}

enum status page_parse(const uint8_t *bytes, uint32_t page_no, uint32_t usable_size,
		       struct page *out, struct error *err)
{
	uint32_t start = page_no == 1 ? DB_HEADER_SIZE : 0;
	const uint8_t *header = bytes + start;
	uint8_t kind = header[AT_KIND];
	bool is_leaf = (kind & KIND_LEAF) != 0;
	uint32_t pointers = start + (is_leaf ? LEAF_HEADER_SIZE : INTERIOR_HEADER_SIZE);
	uint32_t cell_count = get_u16be(header + AT_CELL_COUNT);

	if (!kind_is_known(kind)) {
		return error_set(err, ST_CORRUPT, "page %u: kind %u is no b-tree page",
				 page_no, kind);
	}
	if (pointers + 2 * cell_count > usable_size) {
		return error_set(err, ST_CORRUPT,
				 "page %u: the pointers of %u cells do not fit",
				 page_no, cell_count);
	}
	*out = (struct page){
	    .bytes = bytes,
	    .pointers = bytes + pointers,
	    .page_no = page_no,
	    .usable_size = usable_size,
	    .cell_count = cell_count,
	    .right_child = is_leaf ? 0 : get_u32be(header + AT_RIGHT_CHILD),
	    .kind = (enum page_kind)kind,
	    .is_leaf = is_leaf,
	    .is_table = (kind & KIND_TABLE) != 0,
	};
	return ST_OK;
}

enum status page_child(const struct page *page, uint32_t index, uint32_t *child,
		       struct error *err)
{
	uint32_t page_no = page->right_child;

	assert(!page->is_leaf && index <= page->cell_count);
	if (index < page->cell_count) {
		uint32_t offset = page_cell_offset(page, index);

		if (offset < page_cells_start(page) || offset + 4 > page->usable_size) {
			return error_set(err, ST_CORRUPT,
					 "page %u: cell %u at offset %u is not in the "
					 "cell area",
					 page->page_no, index, offset);
		}
		page_no = get_u32be(page->bytes + offset);
	}
	if (page_no == 0) {
		return error_set(err, ST_CORRUPT, "page %u: child %u is page 0",
				 page->page_no, index);
	}
	*child = page_no;
	return ST_OK;
}
