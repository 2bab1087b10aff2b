/* SPDX-License-Identifier: Apache-2.0 */
#include "src/history/pair.h"

#include <errno.h>
#include <stdlib.h>

#include "btree/db_header.h"
#include "src/base/array.h"
#include "src/base/file_io.h"

#define CHUNK_BYTES (1u << 20)

struct comparison {
	const struct pair *pair;
	uint8_t *bytes;              /* CHUNK_BYTES of the file */
	size_t over_next;            /* the first of `over` that was not come to */
	struct captured_page *pages; /* that differ */
	size_t page_total;
	size_t page_cap;
};

/* A page differs: `slot` has its bytes, or SPOOL_NO_SLOT: it gets one. */
static enum status take(struct comparison *c, uint32_t page_no, uint32_t slot,
			const uint8_t *bytes, struct error *err)
{
	struct spool *spool = c->pair->spool;
	enum status status = ST_OK;

	if (slot == SPOOL_NO_SLOT) {
		status = spool_alloc(spool, &slot, err);
		if (status != ST_OK) {
			return status;
		}
		status = spool_put(spool, slot, bytes, err);
	}
	if (status == ST_OK &&
	    !array_room(&c->pages, &c->page_cap, c->page_total + 1, sizeof *c->pages)) {
		status = error_no_memory(err, "a comparison");
	}
	if (status != ST_OK) {
		spool_free(spool, &slot, 1);
		return status;
	}
	c->pages[c->page_total++] = (struct captured_page){page_no, slot};
	return ST_OK;
}

static enum status compare_page(struct comparison *c, uint32_t page_no,
				const uint8_t *bytes, struct error *err)
{
	const struct pair *pair = c->pair;
	uint32_t slot = SPOOL_NO_SLOT;
	bool is_same = page_no == db_lock_byte_page(pair->page_size);
	enum status status = ST_OK;

	if (c->over_next < pair->over_total &&
	    pair->over[c->over_next].page_no == page_no) {
		slot = pair->over[c->over_next++].slot;
		bytes = spool_bytes(pair->spool, slot);
	}
	if (!is_same && page_no <= pair->old_count) {
		status = pair->is_same(pair->old, page_no, bytes, &is_same, err);
	}
	if (status == ST_OK && !is_same) {
		return take(c, page_no, slot, bytes, err);
	}
	if (slot != SPOOL_NO_SLOT) {
		spool_free(pair->spool, &slot, 1);
	}
	return status;
}

static enum status compare_chunk(struct comparison *c, uint32_t first, size_t total,
				 struct error *err)
{
	const struct pair *pair = c->pair;
	enum status status = ST_OK;

	if (!file_read_padded(pair->fd, c->bytes, total * pair->page_size,
			      (off_t)(first - 1) * pair->page_size)) {
		return error_set_errno(err, errno, "cannot read the database file");
	}
	for (size_t i = 0; status == ST_OK && i < total; i++) {
		status = compare_page(c, (uint32_t)(first + i),
				      c->bytes + i * pair->page_size, err);
	}
	return status;
}

static enum status compare(struct comparison *c, struct error *err)
{
	const struct pair *pair = c->pair;
	uint32_t at_once = CHUNK_BYTES / pair->page_size;
	uint32_t done = 0;
	enum status status = ST_OK;

	if (pair->progress) {
		pair->progress(pair->context, 0, pair->new_count);
	}
	while (status == ST_OK && done < pair->new_count) {
		uint32_t left = pair->new_count - done;
		uint32_t total = left < at_once ? left : at_once;

		if (pair->stop && *pair->stop) {
			return error_set(err, ST_STOPPED, "stopped");
		}
		status = compare_chunk(c, done + 1, total, err);
		done += total;
		if (pair->progress && status == ST_OK) {
			pair->progress(pair->context, done, pair->new_count);
		}
	}
	return status;
}

/* The transaction; NULL: no memory. */
static struct captured_txn *make_txn(const struct comparison *c)
{
	struct captured_txn *txn = captured_txn_alloc(c->page_total, 0);

	if (txn) {
		txn->page_count_before = c->pair->old_count;
		txn->page_count = c->pair->new_count;
		for (size_t i = 0; i < c->page_total; i++) {
			txn->pages[i] = c->pages[i];
		}
	}
	return txn;
}

enum status pair_compare(const struct pair *pair, struct captured_txn **out,
			 struct error *err)
{
	struct comparison c = {.pair = pair, .bytes = malloc(CHUNK_BYTES)};
	enum status status = c.bytes ? compare(&c, err) : ST_OK;

	*out = c.bytes && status == ST_OK ? make_txn(&c) : NULL;
	if (status == ST_OK && !*out) {
		status = error_no_memory(err, "a comparison");
	}
	if (status != ST_OK) {
		captured_pages_drop(c.pages, c.page_total, pair->spool);
	}
	captured_pages_drop(pair->over + c.over_next, pair->over_total - c.over_next,
			    pair->spool);
	free(c.pages);
	free(c.bytes);
	return status;
}
