/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/freelist.h"

#include "src/base/bytes.h"

/* Byte offsets in a trunk page. */
enum { AT_NEXT = 0, AT_COUNT = 4, AT_LEAVES = 8 };

/* Page 1 is never free. */
static enum status check_range(const struct page_source *source, uint32_t page_no,
			       uint32_t trunk, struct error *err)
{
	if (page_no < 2 || page_no > source->page_count) {
		return error_set(err, ST_CORRUPT,
				 "freelist trunk %u: page %u is not one of 2 to %u",
				 trunk, page_no, source->page_count);
	}
	return ST_OK;
}

/* Visit the leaves of the trunk page in `bytes`. */
static enum status walk_leaves(struct page_source *source, uint32_t trunk,
			       const uint8_t *bytes,
			       void (*visit)(void *context, uint32_t page_no),
			       void *context, uint64_t *seen, struct error *err)
{
	uint32_t count = get_u32be(bytes + AT_COUNT);

	if (count > (source->usable_size - AT_LEAVES) / 4) {
		return error_set(err, ST_CORRUPT,
				 "freelist trunk %u: %u leaves do not fit", trunk,
				 count);
	}
	*seen += count;
	if (*seen > source->page_count) {
		return error_set(err, ST_CORRUPT,
				 "freelist trunk %u: the list is longer than the "
				 "database of %u pages",
				 trunk, source->page_count);
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t leaf = get_u32be(bytes + AT_LEAVES + 4 * (size_t)i);
		enum status status = check_range(source, leaf, trunk, err);

		if (status != ST_OK) {
			return status;
		}
		visit(context, leaf);
	}
	return ST_OK;
}

enum status freelist_walk(struct page_source *source, const struct db_header *header,
			  void (*visit)(void *context, uint32_t page_no), void *context,
			  struct error *err)
{
	uint32_t trunk = header->freelist_trunk;
	uint32_t previous = 0;
	uint64_t seen = 0;

	while (trunk != 0) {
		struct page_ref ref = {0};
		enum status status = check_range(source, trunk, previous, err);

		if (status == ST_OK) {
			status = page_get(source, trunk, &ref, err);
		}
		if (status != ST_OK) {
			return status;
		}
		seen++;
		visit(context, trunk);
		status =
		    walk_leaves(source, trunk, ref.bytes, visit, context, &seen, err);
		previous = trunk;
		trunk = get_u32be(ref.bytes + AT_NEXT);
		page_put(source, &ref);
		if (status != ST_OK) {
			return status;
		}
	}
	return ST_OK;
}
