/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile database files: header, freelist, the ptrmap entry of every page, and every
 * page as the root of a tree whose rows are decoded.
 */
#include <stdlib.h>

#include "btree/freelist.h"
#include "btree/overflow.h"
#include "btree/page_set.h"
#include "btree/record.h"
#include "tests/lib/full_walk.h"
#include "tests/lib/memory_source.h"

#define INPUT_MAX    (1u << 20)
#define COLUMNS      32
#define PAGES_IN_ALL 4000u /* visits; a small file can be a large graph */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct page_source *source;
	struct buffer scratch;
	struct page_set seen;
};

static void note_free(void *context, uint32_t page_no)
{
	struct run *run = context;
	struct error err;

	if (page_no < 2 || page_no > run->source->page_count ||
	    page_set_add(&run->seen, page_no, NULL, &err) != ST_OK) {
		abort();
	}
}

static enum status decode_cell(void *context, const struct page *page,
			       const struct cell *cell, struct error *err)
{
	struct run *run = context;
	struct value values[COLUMNS];
	const uint8_t *bytes;
	uint32_t count;
	volatile uint8_t sum = 0;

	if (page->kind == PAGE_TABLE_INTERIOR) {
		return ST_OK;
	}
	if (payload_read(run->source, cell, &run->scratch, &bytes, err) != ST_OK ||
	    record_read(bytes, (size_t)cell->payload_len, values, COLUMNS, &count,
			err) != ST_OK) {
		return ST_OK; /* on with the next: more is seen */
	}
	for (uint32_t i = 0; i < count; i++) {
		bool has_bytes =
		    values[i].class == VALUE_TEXT || values[i].class == VALUE_BLOB;

		for (uint32_t k = 0; has_bytes && k < values[i].len; k += 97) {
			sum = (uint8_t)(sum + values[i].bytes[k]);
		}
		if (!value_same(&values[i], &values[i])) {
			abort();
		}
	}
	return ST_OK;
}

static void read_map(struct run *run)
{
	for (uint32_t p = 0; p <= run->source->page_count + 1; p++) {
		enum ptrmap_kind kind;
		uint32_t parent;
		struct error err;

		if (ptrmap_read(run->source, p, &kind, &parent, &err) == ST_OK &&
		    (parent > run->source->page_count ||
		     (parent == 0) != (kind <= PTRMAP_FREE))) {
			abort();
		}
	}
}

static void walk_trees(struct run *run)
{
	uint32_t left = PAGES_IN_ALL;

	for (uint32_t root = 1; root <= run->source->page_count && left > 0; root++) {
		uint32_t count = run->source->page_count;
		uint32_t budget = count < left ? count : left;
		struct full_walk walk = {
		    .source = run->source,
		    .context = run,
		    .pages_left = budget,
		    .cell = decode_cell,
		};
		struct error err;

		(void)!full_walk_tree(&walk, root, &err);
		left -= budget - walk.pages_left;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory_source *memory;
	struct run run = {0};
	struct error err;

	if (size > INPUT_MAX ||
	    memory_source_from_bytes(data, size, &memory, &err) != ST_OK) {
		return 0;
	}
	run.source = memory_source_pages(memory);
	page_set_init(&run.seen);
	(void)!freelist_walk(run.source, memory_source_header(memory), note_free, &run,
			     &err);
	read_map(&run);
	walk_trees(&run);
	page_set_clear(&run.seen);
	buffer_clear(&run.scratch);
	memory_source_close(memory);
	return 0;
}
