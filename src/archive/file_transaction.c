/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/file_transaction.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "btree/db_header.h"
#include "src/archive/ltx.h"
#include "src/archive/plan.h"
#include "src/base/array.h"
#include "src/base/clock.h"

#define BATCH_BYTES (256u << 10) /* written to the spool at once */

struct reading {
	const struct archive_file *file;
	const struct file_state *from;
	struct ltx_header header;
	struct spool *spool;
	const _Atomic int *stop;

	struct captured_page *pages;
	size_t page_total;
	size_t page_cap;

	/* The last pages, whose images are not in their slots yet. */
	uint8_t *batch;
	uint32_t *slots;
	size_t batch_total;
	size_t batch_most;
	bool spool_failed;
};

/* ---- pages ---- */

static enum status write_batch(struct reading *r, struct error *err)
{
	enum status status = ST_OK;
	uint32_t page_size = r->header.page_size;

	for (size_t i = 0; i < r->batch_total; i++) {
		uint8_t *memory = spool_memory(r->spool, r->slots[i]);

		if (memory) {
			memcpy(memory, r->batch + i * page_size, page_size);
		}
	}
	if (r->batch_total > 0) {
		status = spool_write(r->spool, r->slots, r->batch_total, r->batch, err);
		r->spool_failed = status != ST_OK;
	}
	r->batch_total = 0;
	return status;
}

/* `bytes` NULL: zeros. */
static enum status take_page(struct reading *r, uint32_t page_no, const uint8_t *bytes,
			     struct error *err)
{
	uint32_t page_size = r->header.page_size;
	uint8_t *to = r->batch + r->batch_total * page_size;
	enum status status;
	uint32_t slot;

	if (!array_room(&r->pages, &r->page_cap, r->page_total + 1, sizeof *r->pages)) {
		return error_no_memory(err, "the pages of a file");
	}
	status = spool_alloc(r->spool, &slot, err);
	if (status != ST_OK) {
		r->spool_failed = true;
		return status;
	}
	r->pages[r->page_total++] = (struct captured_page){page_no, slot};
	r->slots[r->batch_total++] = slot;
	if (bytes) {
		memcpy(to, bytes, page_size);
	} else {
		memset(to, 0, page_size);
	}
	return r->batch_total == r->batch_most ? write_batch(r, err) : ST_OK;
}

/* The file has the whole database. */
static bool is_whole(const struct reading *r)
{
	return r->file->min_txid == 1;
}

/* Pages that the database gains, from behind page `last` to before page `next`, and
 * that the file does not have. A whole database has all of them. */
static enum status fill(struct reading *r, uint32_t last, uint64_t next,
			struct error *err)
{
	bool whole = is_whole(r);
	uint64_t page_no = (uint64_t)last + 1;
	enum status status = ST_OK;

	if (!whole && page_no <= r->from->page_count) {
		page_no = (uint64_t)r->from->page_count + 1;
	}
	for (; status == ST_OK && page_no < next; page_no++) {
		if (page_no == db_lock_byte_page(r->header.page_size)) {
			continue;
		}
		if (whole || page_no > r->from->most_pages) {
			return error_set(err, ST_CORRUPT,
					 "page %" PRIu64 " of %" PRIu32
					 " is missing in %s; " LTX_ADVICE,
					 page_no, r->header.page_count,
					 archive_name(r->file).text);
		}
		status = take_page(r, (uint32_t)page_no, NULL, err);
	}
	return status;
}

static enum status take_pages(struct reading *r, struct ltx_reader *reader,
			      struct error *err)
{
	uint32_t last = 0;
	struct ltx_page page;
	enum status status;

	while ((status = ltx_reader_next(reader, &page, err)) == ST_OK) {
		if (*r->stop) {
			return error_set(err, ST_STOPPED, "stopped");
		}
		status = fill(r, last, page.page_no, err);
		if (status == ST_OK) {
			status = take_page(r, page.page_no, page.bytes, err);
		}
		if (status != ST_OK) {
			return status;
		}
		last = page.page_no;
	}
	if (status == ST_END) {
		status = fill(r, last, (uint64_t)r->header.page_count + 1, err);
	}
	return status == ST_OK ? write_batch(r, err) : status;
}

/* ---- the file ---- */

static enum status check_header(struct reading *r, struct error *err)
{
	const struct ltx_header *header = &r->header;

	if (header->page_size != r->from->page_size && is_whole(r)) {
		return error_set(err, ST_RETRY,
				 "%s has pages of %" PRIu32 " bytes, the database had "
				 "%" PRIu32 " before",
				 archive_name(r->file).text, header->page_size,
				 r->from->page_size);
	}
	if (header->page_size != r->from->page_size) {
		return error_set(
		    err, ST_CORRUPT,
		    "%s has pages of %" PRIu32 " bytes, the database had %" PRIu32
		    " before, and only a whole database could lead over that: it is "
		    "not of this archive, or the whole database was removed; go on "
		    "behind it with another --state and --from",
		    archive_name(r->file).text, header->page_size, r->from->page_size);
	}
	return ST_OK;
}

static enum status init_batch(struct reading *r, struct error *err)
{
	r->batch_most = BATCH_BYTES / r->header.page_size;
	r->batch = malloc(BATCH_BYTES);
	r->slots = calloc(r->batch_most, sizeof *r->slots);
	return r->batch && r->slots ? ST_OK
				    : error_no_memory(err, "the pages of a file");
}

static enum status read_file(struct reading *r, struct storage_file *opened,
			     struct error *err)
{
	struct ltx_reader *reader;
	enum status status = ltx_reader_open(opened, r->file, &reader, err);

	if (status != ST_OK) {
		return status;
	}
	r->header = *ltx_reader_header(reader);
	status = check_header(r, err);
	if (status == ST_OK) {
		status = init_batch(r, err);
	}
	if (status == ST_OK) {
		status = take_pages(r, reader, err);
	}
	ltx_reader_close(reader);
	return status;
}

/* ---- the transaction ---- */

/* Of how many it is the net effect; 0: it is one, or nobody knows. */
static uint64_t merged_of(const struct reading *r)
{
	uint64_t steps = r->file->max_txid - r->from->txid;

	if (is_whole(r)) {
		return 0;
	}
	if (r->header.transactions > 0 && r->from->txid == r->file->min_txid - 1) {
		return r->header.transactions > 1 ? r->header.transactions : 0;
	}
	/* One of level 0 can have a range of TXIDs for one commit, too. */
	return steps > 1 && r->file->level > 0 ? steps : 0;
}

static enum status make(const struct reading *r, struct captured_txn **out,
			struct error *err)
{
	struct captured_txn *txn = captured_txn_alloc(r->page_total, 0);

	if (!txn) {
		return error_no_memory(err, "the pages of a file");
	}
	txn->lsn = r->file->max_txid - 1;
	txn->captured_ns = ltx_time_ns(&r->header, r->file);
	txn->page_count_before = r->from->page_count;
	txn->page_count = r->header.page_count;
	txn->is_catch_up = is_whole(r) || r->header.has_catch_up;
	txn->merged = merged_of(r);
	txn->low_pages = txn->page_count < txn->page_count_before
			     ? txn->page_count
			     : txn->page_count_before;
	txn->bytes = (uint64_t)r->page_total * r->header.page_size;
	if (r->page_total > 0) {
		memcpy(txn->pages, r->pages, r->page_total * sizeof *r->pages);
	}
	*out = txn;
	return ST_OK;
}

enum status file_transaction_read(struct storage *storage,
				  const struct archive_file *file,
				  struct file_state *state, struct spool *spool,
				  const _Atomic int *stop, struct captured_txn **out,
				  struct error *err)
{
	struct reading r = {.file = file, .from = state, .spool = spool, .stop = stop};
	struct storage_file *opened;
	enum status status = storage_file_open(storage, file, &opened, err);

	*out = NULL;
	state->spool_failed = false;
	if (status != ST_OK) {
		return status;
	}
	status = read_file(&r, opened, err);
	state->spool_failed = r.spool_failed;
	storage_file_close(opened);
	if (status == ST_OK) {
		status = make(&r, out, err);
	}
	if (status == ST_OK) {
		state->txid = file->max_txid;
		state->page_count = r.header.page_count;
		state->time_ns = (*out)->captured_ns;
		if (state->most_pages < r.header.page_count) {
			state->most_pages = r.header.page_count;
		}
	} else {
		if (status == ST_RETRY) {
			state->turn =
			    (struct page_size_turn){file->max_txid, r.header.page_size};
		}
		captured_pages_drop(r.pages, r.page_total, spool);
	}
	free(r.pages);
	free(r.batch);
	free(r.slots);
	return status;
}
