/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/cell.h"

#include <assert.h>

#include "btree/varint.h"
#include "src/base/bytes.h"

#define PAGE_NO_SIZE 4u /* bytes of a page number in a cell */
#define PAYLOAD_MAX  INT32_MAX

static enum status cell_corrupt(const struct page *page, uint32_t index,
				struct error *err, const char *why)
{
	return error_set(err, ST_CORRUPT, "page %u: cell %u at offset %u: %s",
			 page->page_no, index, page_cell_offset(page, index), why);
}

/* Most payload bytes that stay on the page without overflow: X in the format. */
static inline uint32_t local_most(const struct page *page)
{
	return page->is_table ? page->usable_size - 35
			      : (page->usable_size - 12) * 64 / 255 - 23;
}

/* Payload bytes on the page of a payload that overflows: M and K in the format. */
static uint32_t local_of_overflowing(const struct page *page, uint32_t payload_len)
{
	uint32_t least = (page->usable_size - 12) * 32 / 255 - 23;
	uint32_t filled = least + (payload_len - least) % (page->usable_size - 4);

	return filled <= local_most(page) ? filled : least;
}

enum status cell_read(const struct page *page, uint32_t index, struct cell *out,
		      struct error *err)
{
	uint32_t offset = page_cell_offset(page, index);
	const uint8_t *start = page->bytes + offset;
	const uint8_t *end = page->bytes + page->usable_size;
	const uint8_t *p = start;
	struct cell cell = {.offset = offset};
	uint64_t rowid = 0;
	size_t took;

	assert(index < page->cell_count);
	if (offset < page_cells_start(page) || offset >= page->usable_size) {
		return cell_corrupt(page, index, err, "not in the cell area");
	}
	if (!page->is_leaf) {
		if ((size_t)(end - p) < PAGE_NO_SIZE) {
			return cell_corrupt(page, index, err, "runs past the page");
		}
		cell.left_child = get_u32be(p);
		p += PAGE_NO_SIZE;
		if (cell.left_child == 0) {
			return cell_corrupt(page, index, err, "child is page 0");
		}
	}
	if (page->is_leaf || !page->is_table) {
		took = varint_read(p, end, &cell.payload_len);
		if (took == 0) {
			return cell_corrupt(page, index, err, "runs past the page");
		}
		p += took;
		if (cell.payload_len > PAYLOAD_MAX) {
			return cell_corrupt(page, index, err,
					    "payload over 2^31-1 bytes");
		}
	}
	if (page->is_table) {
		took = varint_read(p, end, &rowid);
		if (took == 0) {
			return cell_corrupt(page, index, err, "runs past the page");
		}
		p += took;
		cell.rowid = (int64_t)rowid;
	}
	if (page->is_leaf || !page->is_table) {
		uint32_t payload_len = (uint32_t)cell.payload_len;
		bool overflows = payload_len > local_most(page);

		cell.local = p;
		cell.local_len =
		    overflows ? local_of_overflowing(page, payload_len) : payload_len;
		if (cell.local_len + (overflows ? PAGE_NO_SIZE : 0) >
		    (size_t)(end - p)) {
			return cell_corrupt(page, index, err, "runs past the page");
		}
		p += cell.local_len;
		if (overflows) {
			cell.overflow_page = get_u32be(p);
			p += PAGE_NO_SIZE;
			if (cell.overflow_page == 0) {
				return cell_corrupt(page, index, err,
						    "overflow page is page 0");
			}
		}
	}
	cell.size = (uint32_t)(p - start);
	*out = cell;
	return ST_OK;
}
