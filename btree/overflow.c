/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/overflow.h"

#include "src/base/bytes.h"

#define NEXT_SIZE 4u /* bytes of the next page's number, before the payload */

uint32_t payload_overflow_count(const struct cell *cell, uint32_t usable_size)
{
	uint64_t rest = cell->payload_len - cell->local_len;
	uint32_t room = usable_size - NEXT_SIZE;

	return (uint32_t)((rest + room - 1) / room);
}

/* A chain cannot have more pages than the database. */
static enum status check_length(const struct page_source *source,
				const struct cell *cell, struct error *err)
{
	uint32_t count = payload_overflow_count(cell, source->usable_size);

	if (count > source->page_count) {
		return error_set(err, ST_CORRUPT,
				 "payload of %llu bytes needs %u overflow pages, the "
				 "database has %u pages",
				 (unsigned long long)cell->payload_len, count,
				 source->page_count);
	}
	return ST_OK;
}

static enum status check_link(const struct page_source *source, const struct cell *cell,
			      uint32_t page_no, struct error *err)
{
	if (page_no == 0 || page_no > source->page_count) {
		return error_set(err, ST_CORRUPT,
				 "overflow chain from page %u leads to page %u before "
				 "the end of its payload of %llu bytes",
				 cell->overflow_page, page_no,
				 (unsigned long long)cell->payload_len);
	}
	return ST_OK;
}

/* Append the payload from the chain to `scratch`, which has the room. */
static enum status read_chain(struct page_source *source, const struct cell *cell,
			      struct buffer *scratch, struct error *err)
{
	uint64_t rest = cell->payload_len - cell->local_len;
	uint32_t page_no = cell->overflow_page;
	size_t room = source->usable_size - NEXT_SIZE;

	while (rest > 0) {
		size_t len = rest < room ? (size_t)rest : room;
		struct page_ref ref = {0};
		enum status status = check_link(source, cell, page_no, err);

		if (status == ST_OK) {
			status = page_get(source, page_no, &ref, err);
		}
		if (status != ST_OK) {
			return status;
		}
		buffer_add(scratch, ref.bytes + NEXT_SIZE, len);
		page_no = get_u32be(ref.bytes);
		page_put(source, &ref);
		rest -= len;
	}
	return ST_OK;
}

enum status payload_read(struct page_source *source, const struct cell *cell,
			 struct buffer *scratch, const uint8_t **bytes,
			 struct error *err)
{
	enum status status;

	if (cell->payload_len == cell->local_len) {
		*bytes = cell->local;
		return ST_OK;
	}
	status = check_length(source, cell, err);
	if (status != ST_OK) {
		return status;
	}
	buffer_reset(scratch);
	if (!buffer_reserve(scratch, (size_t)cell->payload_len)) {
		return error_no_memory(err, "a payload of %llu bytes",
				       (unsigned long long)cell->payload_len);
	}
	buffer_add(scratch, cell->local, cell->local_len);
	status = read_chain(source, cell, scratch, err);
	if (status == ST_OK) {
		*bytes = (const uint8_t *)scratch->bytes;
	}
	return status;
}

/* The page after `page_no` in its chain. */
static enum status next_page(struct page_source *source, uint32_t page_no,
			     uint32_t *next, struct error *err)
{
	struct page_ref ref = {0};
	enum status status = page_get(source, page_no, &ref, err);

	if (status == ST_OK) {
		*next = get_u32be(ref.bytes);
		page_put(source, &ref);
	}
	return status;
}

enum status overflow_walk(struct page_source *source, const struct cell *cell,
			  enum status (*visit)(void *context, uint32_t page_no,
					       uint32_t previous, struct error *err),
			  void *context, struct error *err)
{
	uint32_t count = payload_overflow_count(cell, source->usable_size);
	uint32_t page_no = cell->overflow_page;
	uint32_t previous = 0;
	enum status status = check_length(source, cell, err);

	for (uint32_t i = 0; status == ST_OK && i < count; i++) {
		if (i > 0) {
			status = next_page(source, previous, &page_no, err);
		}
		if (status == ST_OK) {
			status = check_link(source, cell, page_no, err);
		}
		if (status == ST_OK) {
			status = visit(context, page_no, previous, err);
		}
		previous = page_no;
	}
	return status;
}
