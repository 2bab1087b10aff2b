/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/file_pair.h"

#include <stdlib.h>
#include <string.h>

#include "btree/db_header.h"
#include "src/base/array.h"

/* Of each at a time: the largest page. With both files in the page cache 32 KiB take as
 * long, but 256 KiB and 1 MiB three times as long; the difference is system time. */
#define CHUNK_BYTES    (64u << 10)
#define PROGRESS_BYTES (8u << 20)

struct comparison {
	const struct file_pair *pair;
	struct page_source *old_pages, *new_pages;
	uint8_t *old_bytes, *new_bytes; /* a chunk of each */
	uint32_t *pages;                /* that differ */
	size_t page_total, page_cap;
};

static enum status add_page(struct comparison *c, uint32_t page_no, struct error *err)
{
	if (!array_room(&c->pages, &c->page_cap, c->page_total + 1, sizeof *c->pages)) {
		return error_no_memory(err, "a comparison");
	}
	c->pages[c->page_total++] = page_no;
	return ST_OK;
}

static enum status add_range(struct comparison *c, uint32_t first, uint32_t last,
			     struct error *err)
{
	uint32_t lock_page = db_lock_byte_page(c->new_pages->page_size);
	enum status status = ST_OK;

	for (uint64_t page_no = first; status == ST_OK && page_no <= last; page_no++) {
		if (page_no != lock_page) {
			status = add_page(c, (uint32_t)page_no, err);
		}
	}
	return status;
}

/* Pages `first` and following, which both have. */
static enum status compare_chunk(struct comparison *c, uint32_t first, uint32_t count,
				 struct error *err)
{
	uint32_t page_size = c->new_pages->page_size;
	uint32_t lock_page = db_lock_byte_page(page_size);
	enum status status =
	    database_file_read(c->pair->old_file, first, count, c->old_bytes, err);

	if (status == ST_OK) {
		status = database_file_read(c->pair->new_file, first, count,
					    c->new_bytes, err);
	}
	for (uint32_t i = 0; status == ST_OK && i < count; i++) {
		size_t at = (size_t)i * page_size;

		if (first + i != lock_page &&
		    memcmp(c->old_bytes + at, c->new_bytes + at, page_size) != 0) {
			status = add_page(c, first + i, err);
		}
	}
	return status;
}

static enum status compare_common(struct comparison *c, uint32_t common,
				  struct error *err)
{
	const struct file_pair *pair = c->pair;
	uint32_t page_size = c->new_pages->page_size;
	uint32_t at_once = CHUNK_BYTES / page_size;
	enum status status = ST_OK;

	for (uint32_t done = 0; status == ST_OK && done < common;) {
		uint32_t left = common - done;
		uint32_t count = left < at_once ? left : at_once;

		if (*pair->stop) {
			return error_set(err, ST_STOPPED, "stopped");
		}
		if (done % (PROGRESS_BYTES / page_size) == 0) {
			pair->progress(pair->context, done, c->new_pages->page_count);
		}
		status = compare_chunk(c, done + 1, count, err);
		done += count;
	}
	return status;
}

static enum status compare(struct comparison *c, struct error *err)
{
	uint32_t common = c->old_pages->page_count < c->new_pages->page_count
			      ? c->old_pages->page_count
			      : c->new_pages->page_count;
	enum status status = ST_OK;

	if (c->old_pages->page_size != c->new_pages->page_size ||
	    c->old_pages->usable_size != c->new_pages->usable_size) {
		common = 0;
	}
	c->old_bytes = malloc(CHUNK_BYTES);
	c->new_bytes = malloc(CHUNK_BYTES);
	if (!c->old_bytes || !c->new_bytes) {
		return error_no_memory(err, "a comparison");
	}
	status = compare_common(c, common, err);
	if (status == ST_OK) {
		status = add_range(c, common + 1, c->new_pages->page_count, err);
	}
	c->pair->progress(c->pair->context, c->new_pages->page_count,
			  c->new_pages->page_count);
	return status;
}

static struct captured_txn *make_txn(const struct comparison *c)
{
	struct captured_txn *txn = captured_txn_alloc(c->page_total, 0);

	for (size_t i = 0; txn && i < c->page_total; i++) {
		txn->pages[i] = (struct captured_page){.page_no = c->pages[i]};
	}
	if (txn) {
		txn->page_count_before = c->old_pages->page_count;
		txn->page_count = c->new_pages->page_count;
		txn->is_catch_up = true;
	}
	return txn;
}

enum status file_pair_compare(const struct file_pair *pair, struct captured_txn **out,
			      struct error *err)
{
	struct comparison c = {.pair = pair,
			       .old_pages = database_file_pages(pair->old_file),
			       .new_pages = database_file_pages(pair->new_file)};
	enum status status = compare(&c, err);

	*out = NULL;
	if (status == ST_OK) {
		*out = make_txn(&c);
		status = *out ? ST_OK : error_no_memory(err, "a comparison");
	}
	free(c.pages);
	free(c.old_bytes);
	free(c.new_bytes);
	return status;
}
