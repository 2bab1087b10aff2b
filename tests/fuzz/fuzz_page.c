/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile pages: the first two bytes choose the page's number and how many bytes are
 * reserved, the rest are pages of 512 bytes. The first is read as a b-tree
 * page with all its cells, children and payloads.
 */
#include <stdlib.h>

#include "btree/cell.h"
#include "btree/overflow.h"
#include "tests/lib/memory_source.h"

#define PAGE 512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct page_source *source;
	struct page page;
	struct buffer scratch;
};

static enum status visit(void *context, uint32_t page_no, uint32_t previous,
			 struct error *err)
{
	const struct run *run = context;

	(void)err;
	if (page_no == 0 || page_no > run->source->page_count ||
	    page_no == UINT32_MAX || previous > run->source->page_count) {
		abort();
	}
	return ST_OK;
}

/* Touch every byte, so that a sanitizer sees one that is not there. */
static void touch(const uint8_t *bytes, uint64_t len)
{
	volatile uint8_t sum = 0;

	for (uint64_t i = 0; i < len; i++) {
		sum = (uint8_t)(sum + bytes[i]);
	}
}

static void check_cell(struct run *run, uint32_t index)
{
	const uint8_t *bytes;
	struct cell cell;
	struct error err;

	if (cell_read(&run->page, index, &cell, &err) != ST_OK) {
		return;
	}
	if (cell.offset + cell.size > run->page.usable_size ||
	    cell.local_len > cell.payload_len ||
	    (cell.local_len < cell.payload_len) != (cell.overflow_page != 0) ||
	    (cell.left_child == 0) != run->page.is_leaf) {
		abort();
	}
	touch(cell.local, cell.local_len);
	if (payload_read(run->source, &cell, &run->scratch, &bytes, &err) == ST_OK) {
		touch(bytes, cell.payload_len);
	}
	(void)!overflow_walk(run->source, &cell, visit, run, &err);
}

static void check_page(struct run *run)
{
	uint32_t child;
	struct error err;

	for (uint32_t i = 0; i < run->page.cell_count; i++) {
		check_cell(run, i);
	}
	for (uint32_t i = 0; !run->page.is_leaf && i <= run->page.cell_count; i++) {
		if (page_child(&run->page, i, &child, &err) == ST_OK && child == 0) {
			abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory_source *memory;
	struct page_ref ref = {0};
	struct run run = {0};
	struct error err;

	if (size < 2 + PAGE ||
	    memory_source_from_pages(data + 2, size - 2, PAGE, PAGE - data[1] % 33,
				     &memory, &err) != ST_OK) {
		return 0;
	}
	run.source = memory_source_pages(memory);
	if (page_get(run.source, 1, &ref, &err) == ST_OK) {
		if (page_parse(ref.bytes, data[0] & 1 ? 1 : 2, run.source->usable_size,
			       &run.page, &err) == ST_OK) {
			check_page(&run);
		}
		page_put(run.source, &ref);
	}
	buffer_clear(&run.scratch);
	memory_source_close(memory);
	return 0;
}
