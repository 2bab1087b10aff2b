/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/cell.h"

#include <assert.h>

#include "btree/varint.h"
#include "src/base/bytes.h"

#define PAGE_NO_SIZE 4u /* bytes of a page number in a cell */
#define PAYLOAD_MAX  INT32_MAX

__attribute__((cold, noinline)) static enum status cell_corrupt(const struct page *page,
								uint32_t index,
								struct error *err,
								const char *why)
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

/* Finish the cell whose fields before the payload are known and end at `p`. */
static inline enum status read_payload(const struct page *page, uint32_t index,
				       const uint8_t *p, uint64_t payload_len,
				       int64_t rowid, uint32_t left_child,
				       struct cell *out, struct error *err)
{
	uint32_t offset = page_cell_offset(page, index);
	uint32_t at = (uint32_t)(p - page->bytes);
	uint32_t room = page->usable_size - at;
	uint32_t local_len = (uint32_t)payload_len;
	uint32_t link_size = 0;
	uint32_t link = 0;

	if (payload_len > local_most(page)) {
		if (payload_len > PAYLOAD_MAX) {
			return cell_corrupt(page, index, err,
					    "payload over 2^31-1 bytes");
		}
		local_len = local_of_overflowing(page, (uint32_t)payload_len);
		link_size = PAGE_NO_SIZE;
	}
	if (local_len + link_size > room) {
		return cell_corrupt(page, index, err, "runs past the page");
	}
	if (link_size > 0) {
		link = get_u32be(p + local_len);
		if (link == 0) {
			return cell_corrupt(page, index, err,
					    "overflow page is page 0");
		}
	}
	*out = (struct cell){
	    .rowid = rowid,
	    .left_child = left_child,
	    .local = p,
	    .local_len = local_len,
	    .payload_len = payload_len,
	    .overflow_page = link,
	    .offset = offset,
	    .size = at + local_len + link_size - offset,
	};
	return ST_OK;
}

static enum status read_index_cell(const struct page *page, uint32_t index,
				   const uint8_t *p, uint32_t left_child,
				   struct cell *out, struct error *err)
{
	uint64_t payload_len;
	size_t took = varint_read(p, page->bytes + page->usable_size, &payload_len);

	if (took == 0) {
		return cell_corrupt(page, index, err, "runs past the page");
	}
	return read_payload(page, index, p + took, payload_len, 0, left_child, out,
			    err);
}

/* The cell of an interior page at `p`, which is in the cell area. */
static enum status read_interior(const struct page *page, uint32_t index,
				 const uint8_t *p, struct cell *out, struct error *err)
{
	const uint8_t *end = page->bytes + page->usable_size;
	uint32_t left_child;
	uint64_t rowid;
	size_t took;

	if ((size_t)(end - p) < PAGE_NO_SIZE) {
		return cell_corrupt(page, index, err, "runs past the page");
	}
	left_child = get_u32be(p);
	if (left_child == 0) {
		return cell_corrupt(page, index, err, "child is page 0");
	}
	if (!page->is_table) {
		return read_index_cell(page, index, p + PAGE_NO_SIZE, left_child, out,
				       err);
	}
	took = varint_read(p + PAGE_NO_SIZE, end, &rowid);
	if (took == 0) {
		return cell_corrupt(page, index, err, "runs past the page");
	}
	*out = (struct cell){
	    .rowid = (int64_t)rowid,
	    .left_child = left_child,
	    .offset = (uint32_t)(p - page->bytes),
	    .size = (uint32_t)(PAGE_NO_SIZE + took),
	};
	return ST_OK;
}

/* Any cell, checked from the start. */
__attribute__((noinline)) static enum status
read_any(const struct page *page, uint32_t index, struct cell *out, struct error *err)
{
	uint32_t offset = page_cell_offset(page, index);
	const uint8_t *p = page->bytes + offset;
	const uint8_t *end = page->bytes + page->usable_size;
	uint64_t payload_len;
	uint64_t rowid;
	size_t took;
	size_t more;

	if (offset < page_cells_start(page) || offset >= page->usable_size) {
		return cell_corrupt(page, index, err, "not in the cell area");
	}
	if (!page->is_leaf) {
		return read_interior(page, index, p, out, err);
	}
	if (!page->is_table) {
		return read_index_cell(page, index, p, 0, out, err);
	}
	took = varint_read(p, end, &payload_len);
	more = varint_read(p + took, end, &rowid);
	if (took == 0 || more == 0) {
		return cell_corrupt(page, index, err, "runs past the page");
	}
	return read_payload(page, index, p + took + more, payload_len, (int64_t)rowid,
			    0, out, err);
}

/*
 * Most rows are this: a table leaf's cell without overflow whose two varints have
 * at most 2 and 8 bytes, HEAD_MAX before the payload. All else is left to read_any.
 */
#define HEAD_MAX 10u

enum status cell_read(const struct page *page, uint32_t index, struct cell *out,
		      struct error *err)
{
	uint32_t offset = page_cell_offset(page, index);
	const uint8_t *start = page->bytes + offset;
	const uint8_t *p = start;
	uint32_t len;
	uint64_t rowid;

	assert(index < page->cell_count);
	if (page->kind != PAGE_TABLE_LEAF || offset < page_cells_start(page) ||
	    offset + HEAD_MAX > page->usable_size) {
		return read_any(page, index, out, err);
	}
	len = *p++;
	if (len >= 0x80) {
		len = (len & 0x7f) << 7 | (*p & 0x7f);
		if (*p++ >= 0x80) {
			return read_any(page, index, out, err);
		}
	}
	rowid = *p & 0x7f;
	for (int i = 0; i < 7 && *p >= 0x80; i++) {
		rowid = rowid << 7 | (*++p & 0x7f);
	}
	if (*p++ >= 0x80 || len > page->usable_size - 35 ||
	    (size_t)(p - page->bytes) + len > page->usable_size) {
		return read_any(page, index, out, err);
	}
	*out = (struct cell){
	    .rowid = (int64_t)rowid,
	    .local = p,
	    .local_len = len,
	    .payload_len = len,
	    .offset = offset,
	    .size = (uint32_t)(p - start) + len,
	};
	return ST_OK;
}
