/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/ptrmap.h"

#include "btree/db_header.h"
#include "src/base/bytes.h"

#define ENTRY_SIZE 5u /* bytes: kind, then the parent's page number */
#define FIRST_PAGE 2u /* the first ptrmap page */

uint32_t ptrmap_page_of(uint32_t page_no, uint32_t page_size, uint32_t usable_size)
{
	uint32_t stride = usable_size / ENTRY_SIZE + 1; /* the entries and their page */
	uint32_t map = (page_no - FIRST_PAGE) / stride * stride + FIRST_PAGE;

	return map == db_lock_byte_page(page_size) ? map + 1 : map;
}

bool ptrmap_is_ptrmap_page(uint32_t page_no, uint32_t page_size, uint32_t usable_size)
{
	return page_no >= FIRST_PAGE &&
	       ptrmap_page_of(page_no, page_size, usable_size) == page_no;
}

/* The entry of `page_no` in its ptrmap page. */
static enum status decode(const struct page_source *source, uint32_t page_no,
			  const uint8_t *entry, enum ptrmap_kind *kind,
			  uint32_t *parent, struct error *err)
{
	uint8_t k = entry[0];
	bool has_parent = k >= PTRMAP_OVERFLOW_FIRST;
	uint32_t above = get_u32be(entry + 1);

	if (k < PTRMAP_ROOT || k > PTRMAP_BTREE) {
		return error_set(err, ST_CORRUPT,
				 "pointer map: entry of page %u has kind %u", page_no,
				 k);
	}
	if (has_parent ? above == 0 || above > source->page_count : above != 0) {
		return error_set(err, ST_CORRUPT,
				 "pointer map: parent of page %u is page %u of %u",
				 page_no, above, source->page_count);
	}
	*kind = (enum ptrmap_kind)k;
	*parent = above;
	return ST_OK;
}

enum status ptrmap_read(struct page_source *source, uint32_t page_no,
			enum ptrmap_kind *kind, uint32_t *parent, struct error *err)
{
	struct page_ref ref = {0};
	enum status status;
	uint32_t map;

	if (page_no <= FIRST_PAGE || page_no > source->page_count ||
	    page_no == db_lock_byte_page(source->page_size) ||
	    ptrmap_is_ptrmap_page(page_no, source->page_size, source->usable_size)) {
		return error_set(err, ST_CORRUPT, "pointer map: page %u has no entry",
				 page_no);
	}
	map = ptrmap_page_of(page_no, source->page_size, source->usable_size);
	status = page_get(source, map, &ref, err);
	if (status != ST_OK) {
		return status;
	}
	status = decode(source, page_no,
			ref.bytes + (size_t)(page_no - map - 1) * ENTRY_SIZE, kind,
			parent, err);
	page_put(source, &ref);
	return status;
}
