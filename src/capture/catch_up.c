/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/catch_up.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/base/file_io.h"
#include "src/state/shadow.h"

#define CHUNK_BYTES (1u << 20)

static bool differs(const void *context, uint32_t page_no, const uint8_t *bytes,
		    uint32_t page_size)
{
	const struct catch_up *c = context;
	uint64_t hash;

	return !c->history->hash_at_end(c->history, page_no, &hash) ||
	       hash != shadow_hash_of(page_no, bytes, page_size);
}

/* Read `total` pages from `first` on; what lies past the end is zeros. */
static enum status read_pages(const struct catch_up *c, uint32_t page_size,
			      uint32_t first, size_t total, uint8_t *bytes,
			      struct error *err)
{
	if (!file_read_padded(c->database_fd, bytes, total * page_size,
			      (off_t)(first - 1) * page_size)) {
		return error_set_errno(err, errno, "cannot read the database file");
	}
	return ST_OK;
}

/* Compare the pages that have no frame: `framed` (ascending, `framed_total`) are
 * skipped. */
static enum status scan(struct catch_up *c, struct txn_builder *b,
			const uint32_t *framed, size_t framed_total, uint8_t *bytes,
			struct error *err)
{
	uint32_t at_once = CHUNK_BYTES / b->page_size;
	uint32_t lock_byte = db_lock_byte_page(b->page_size);
	size_t next_framed = 0;
	enum status status = ST_OK;

	if (c->progress) {
		c->progress(c->context, 0, c->page_count);
	}
	for (uint64_t first = 1; status == ST_OK && first <= c->page_count;
	     first += at_once) {
		uint64_t left = c->page_count - first + 1;
		size_t total = left < at_once ? (size_t)left : at_once;

		if (c->stop && *c->stop) {
			return error_set(err, ST_STOPPED, "stopped");
		}
		status =
		    read_pages(c, b->page_size, (uint32_t)first, total, bytes, err);
		for (size_t i = 0; status == ST_OK && i < total; i++) {
			uint32_t page_no = (uint32_t)(first + i);
			const uint8_t *page = bytes + i * b->page_size;

			while (next_framed < framed_total &&
			       framed[next_framed] < page_no) {
				next_framed++;
			}
			if (page_no != lock_byte &&
			    (next_framed == framed_total ||
			     framed[next_framed] != page_no) &&
			    differs(c, page_no, page, b->page_size)) {
				status = txn_builder_add(b, page_no, page, err);
			}
		}
		if (c->progress && status == ST_OK) {
			c->progress(c->context, (uint32_t)(first + total - 1),
				    c->page_count);
		}
	}
	return status;
}

enum status catch_up_compare(struct catch_up *catch_up, struct txn_builder *builder,
			     struct error *err)
{
	const struct draft *draft = txn_builder_draft(builder);
	uint32_t *framed = malloc((draft->page_total + 1) * sizeof *framed);
	uint8_t *bytes = malloc(CHUNK_BYTES);
	size_t framed_total = draft->page_total;
	enum status status = ST_OK;

	if (!framed || !bytes) {
		status = error_no_memory(err, "a comparison");
	}
	for (size_t i = 0; status == ST_OK && i < framed_total; i++) {
		framed[i] = builder->pages[draft->page_start + i].page_no;
	}
	if (status == ST_OK) {
		txn_builder_filter(builder, differs, catch_up);
		status = scan(catch_up, builder, framed, framed_total, bytes, err);
	}
	if (status == ST_OK) {
		txn_builder_sort(builder);
		catch_up->differ = (uint32_t)txn_builder_draft(builder)->page_total;
	}
	free(framed);
	free(bytes);
	return status;
}
