/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/txn_builder.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/base/array.h"
#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/capture/wal_frame.h"

/* Versions that are kept without a thought of retiring; builds for tests want few. */
#ifndef KEPT_BYTES
#define KEPT_BYTES (16u << 20)
#endif
#define RUN_MAX      128          /* pre-images read with one system call */
#define IMAGES_BYTES (256u << 10) /* written with one: not more than a cache holds */

static enum status no_memory(struct error *err)
{
	return error_no_memory(err, "captured transactions");
}

static enum status page_room(struct txn_builder *b, struct error *err)
{
	return array_room(&b->pages, &b->page_cap, b->page_total + 1, sizeof *b->pages)
		   ? ST_OK
		   : no_memory(err);
}

enum status txn_builder_init(struct txn_builder *builder, struct spool *spool,
			     const struct wal_index *index, uint32_t page_size,
			     int wal_fd, int db_fd, struct error *err)
{
	*builder = (struct txn_builder){.spool = spool,
					.index = index,
					.page_size = page_size,
					.wal_fd = wal_fd,
					.db_fd = db_fd,
					.saves_preimages = true};
	page_versions_init(&builder->versions);
	page_versions_init(&builder->open_pages);
	builder->scratch_cap = 2 * WAL_FRAMES_AT_ONCE;
	builder->scratch = calloc(builder->scratch_cap, sizeof *builder->scratch);
	builder->at_once = IMAGES_BYTES / page_size < WAL_FRAMES_AT_ONCE
			       ? IMAGES_BYTES / page_size
			       : WAL_FRAMES_AT_ONCE;
	builder->images = malloc(builder->at_once * page_size);
	return builder->scratch && builder->images ? ST_OK : no_memory(err);
}

void txn_builder_clear(struct txn_builder *builder)
{
	page_versions_clear(&builder->versions);
	page_versions_clear(&builder->open_pages);
	free(builder->retired);
	free(builder->drafts);
	free(builder->pages);
	free(builder->scratch);
	free(builder->images);
	*builder = (struct txn_builder){0};
}

/* ---- slots ---- */

static void return_scratch(struct txn_builder *b)
{
	spool_free(b->spool, b->scratch, b->scratch_total);
	b->scratch_total = 0;
}

/* Keep a slot that is not needed after all for the next frames. */
static void recycle(struct txn_builder *b, uint32_t slot)
{
	if (b->scratch_total == b->scratch_cap) {
		return_scratch(b);
	}
	b->scratch[b->scratch_total++] = slot;
}

static enum status want_scratch(struct txn_builder *b, size_t count, struct error *err)
{
	while (b->scratch_total < count) {
		enum status status =
		    spool_alloc(b->spool, &b->scratch[b->scratch_total], err);

		if (status != ST_OK) {
			return status;
		}
		b->scratch_total++;
	}
	return ST_OK;
}

/* ---- drafts ---- */

static void open_pages_reset(struct txn_builder *b)
{
	size_t used = b->page_total - b->open_start;

	if (4 * used >= b->open_pages.cap) {
		memset(b->open_pages.entries, 0,
		       b->open_pages.cap * sizeof *b->open_pages.entries);
		b->open_pages.total = 0;
	} else {
		for (size_t i = b->open_start; i < b->page_total; i++) {
			page_versions_remove(&b->open_pages, b->pages[i].page_no);
		}
	}
}

void txn_builder_discard(struct txn_builder *builder)
{
	size_t start = builder->draft_next < builder->draft_total
			   ? builder->drafts[builder->draft_next].page_start
			   : builder->open_start;

	if (builder->open_pages.total > 0) {
		open_pages_reset(builder);
	}
	for (size_t i = start; i < builder->page_total; i++) {
		recycle(builder, builder->pages[i].slot);
	}
	return_scratch(builder);
	builder->draft_next = 0;
	builder->draft_total = 0;
	builder->page_total = 0;
	builder->open_start = 0;
}

const struct draft *txn_builder_draft(const struct txn_builder *builder)
{
	return builder->draft_next < builder->draft_total
		   ? &builder->drafts[builder->draft_next]
		   : NULL;
}

static int page_order(const void *a, const void *b)
{
	uint32_t x = ((const struct draft_page *)a)->page_no;
	uint32_t y = ((const struct draft_page *)b)->page_no;

	return (x > y) - (x < y);
}

/* Close the transaction being read: pages by number, those past its end dropped. */
static enum status finish_draft(struct txn_builder *b, uint32_t page_count,
				uint32_t last_frame, uint32_t commit_total,
				struct error *err)
{
	if (!array_room(&b->drafts, &b->draft_cap, b->draft_total + 1,
			sizeof *b->drafts)) {
		return no_memory(err);
	}
	if (b->open_pages.total > 0) {
		open_pages_reset(b);
	}
	if (b->page_total - b->open_start > 1) {
		qsort(b->pages + b->open_start, b->page_total - b->open_start,
		      sizeof *b->pages, page_order);
	}
	while (b->page_total > b->open_start &&
	       b->pages[b->page_total - 1].page_no > page_count) {
		recycle(b, b->pages[--b->page_total].slot);
	}
	b->drafts[b->draft_total++] = (struct draft){
	    .page_start = b->open_start,
	    .page_total = b->page_total - b->open_start,
	    .page_count = page_count,
	    .last_frame = last_frame,
	    .commit_total = commit_total,
	};
	b->open_start = b->page_total;
	return ST_OK;
}

/* ---- frames ---- */

/* What one call of txn_builder_read knows. */
struct reading {
	const struct wal_index_header *header;
	bool as_one;
	uint64_t bytes;        /* of images that were kept */
	struct wal_frame last; /* the frame before */
	const uint8_t *last_image;
	uint32_t last_slot; /* of that */
};

static enum status differs(uint32_t frame_no, const char *what, struct error *err)
{
	return error_set(err, ST_RETRY, "frame %u of the WAL: %s", (unsigned)frame_no,
			 what);
}

/* A committed frame carries the generation's salt; or nothing at all, which SQLite
 * leaves in some frames, and then the wal-index has to confirm it. */
static enum status check_frame(const struct txn_builder *b, const struct reading *r,
			       const struct wal_frame *frame, uint32_t frame_no,
			       struct error *err)
{
	bool blank = wal_frame_is_blank(frame);
	bool is_last = frame_no == r->header->frame_count;

	if (frame->page_no == 0) {
		return differs(frame_no, "has no page number", err);
	}
	if (blank ? wal_index_frame_page(b->index, frame_no) != frame->page_no
		  : memcmp(frame->salt, r->header->salt, sizeof frame->salt) != 0) {
		return differs(frame_no, "is of another generation", err);
	}
	if (is_last && !blank &&
	    (frame->sum[0] != r->header->frame_sum[0] ||
	     frame->sum[1] != r->header->frame_sum[1])) {
		return differs(frame_no, "is not the one that the wal-index names",
			       err);
	}
	if (is_last && frame->commit == 0) {
		return differs(frame_no, "should be a commit frame", err);
	}
	return ST_OK;
}

/* With psow=0 SQLite repeats the commit frame to fill a disk sector. */
static bool is_repeat(const struct txn_builder *b, const struct reading *r,
		      const struct wal_frame *frame, const uint8_t *image)
{
	return r->last.commit != 0 && !r->as_one && b->draft_total > 0 &&
	       b->page_total == b->open_start && frame->page_no == r->last.page_no &&
	       frame->commit == r->last.commit && r->last_image &&
	       memcmp(image, r->last_image, b->page_size) == 0;
}

/* Put the frame's image into the transaction being read. */
static enum status add_page(struct txn_builder *b, struct reading *r, uint32_t page_no,
			    uint32_t frame_no, uint32_t slot, struct error *err)
{
	struct page_version *seen = page_versions_find(&b->open_pages, page_no);
	struct page_version index = {.page_no = page_no};
	enum status status;

	if (seen) {
		struct draft_page *page = &b->pages[seen->slot];

		recycle(b, page->slot);
		page->slot = slot;
		page->frame_no = frame_no;
		return ST_OK;
	}
	status = page_room(b, err);
	if (status == ST_OK) {
		status = page_versions_reserve(&b->open_pages, 1, err);
	}
	if (status != ST_OK) {
		recycle(b, slot);
		return status;
	}
	index.slot = (uint32_t)b->page_total;
	page_versions_put(&b->open_pages, &index);
	b->pages[b->page_total++] =
	    (struct draft_page){.page_no = page_no, .slot = slot, .frame_no = frame_no};
	r->bytes += b->page_size;
	return ST_OK;
}

/* One frame; takes `slot`. */
static enum status add_frame(struct txn_builder *b, struct reading *r,
			     uint32_t frame_no, const uint8_t *header,
			     const uint8_t *image, uint32_t slot, struct error *err)
{
	struct wal_frame frame;
	enum status status;

	wal_frame_parse(header, &frame);
	status = check_frame(b, r, &frame, frame_no, err);
	if (status != ST_OK) {
		recycle(b, slot);
		return status;
	}
	if (is_repeat(b, r, &frame, image)) {
		struct draft *repeated = &b->drafts[b->draft_total - 1];

		repeated->last_frame = frame_no;
		repeated->commit_total++;
		recycle(b, slot);
		return ST_OK;
	}
	status = add_page(b, r, frame.page_no, frame_no, slot, err);
	if (status == ST_OK && frame.commit != 0 && !r->as_one) {
		status = finish_draft(b, frame.commit, frame_no, 1, err);
	}
	r->last = frame;
	r->last_image = frame.page_no <= frame.commit ? image : NULL;
	r->last_slot = slot;
	return status;
}

/* Where image `i` of those that are on their way to `slots` is read to: in memory it is
 * there. */
static uint8_t *landing(const struct txn_builder *b, const uint32_t *slots, size_t i)
{
	uint8_t *memory = spool_memory(b->spool, slots[i]);

	return memory ? memory : b->images + i * b->page_size;
}

/* Read `count` frames from `first` on, at most at_once, into drafts. */
static enum status read_batch(struct txn_builder *b, struct reading *r, uint32_t first,
			      size_t count, struct error *err)
{
	uint8_t headers[WAL_FRAMES_AT_ONCE][WAL_FRAME_HEADER_BYTES];
	uint8_t *images[WAL_FRAMES_AT_ONCE] = {0};
	uint32_t slots[WAL_FRAMES_AT_ONCE];
	enum status status = want_scratch(b, count, err);

	if (status != ST_OK) {
		return status;
	}
	if (r->last_image) {
		r->last_image = spool_bytes(b->spool, r->last_slot);
	}
	b->scratch_total -= count;
	memcpy(slots, b->scratch + b->scratch_total, count * sizeof *slots);
	for (size_t i = 0; i < count; i++) {
		images[i] = landing(b, slots, i);
	}
	status = wal_frames_read(b->wal_fd, b->page_size, first, count, images, headers,
				 err);
	if (status == ST_END) {
		status = err->status =
		    ST_RETRY; /* the header may have changed meanwhile */
	}
	if (status == ST_OK) {
		status = spool_write(b->spool, slots, count, b->images, err);
	}
	for (size_t i = 0; i < count; i++) {
		if (status == ST_OK) {
			status = add_frame(b, r, first + (uint32_t)i, headers[i],
					   images[i], slots[i], err);
		} else {
			recycle(b, slots[i]);
		}
	}
	return status;
}

enum status txn_builder_read(struct txn_builder *builder,
			     const struct wal_index_header *header, uint32_t from,
			     uint64_t most_bytes, bool as_one, struct error *err)
{
	struct reading r = {.header = header, .as_one = as_one};
	enum status status = ST_OK;
	uint32_t next = from + 1;

	assert(!txn_builder_draft(builder));
	txn_builder_discard(builder);
	while (status == ST_OK && next <= header->frame_count && next > from) {
		uint32_t left = header->frame_count - next + 1;
		size_t count = left < builder->at_once ? left : builder->at_once;

		if (r.bytes >= most_bytes && builder->draft_total > 0 && !as_one) {
			break;
		}
		status = read_batch(builder, &r, next, count, err);
		next += (uint32_t)count;
	}
	if (status == ST_OK && as_one) {
		status = finish_draft(builder, header->page_count, header->frame_count,
				      1, err);
	}
	if (status != ST_OK) {
		txn_builder_discard(builder);
		return status;
	}
	/* A last transaction that was read in part, or repeats that may go on, are read
	 * again the next time. */
	if (next <= header->frame_count && builder->draft_total > 1) {
		builder->draft_total--;
		builder->open_start = builder->drafts[builder->draft_total].page_start;
	}
	return ST_OK;
}

/* ---- pre-images ---- */

/* Consecutive pages that are read from the database file with one call. */
struct run {
	uint32_t first;
	uint32_t total;
	uint32_t slots[RUN_MAX];
	uint64_t saved; /* bytes */
};

static enum status read_run(const struct txn_builder *b, const struct run *run,
			    struct error *err)
{
	struct iovec vec[RUN_MAX];
	uint64_t offset = (uint64_t)(run->first - 1) * b->page_size;
	size_t want = (size_t)run->total * b->page_size;
	ssize_t got;

	for (uint32_t i = 0; i < run->total; i++) {
		vec[i] = (struct iovec){landing(b, run->slots, i), b->page_size};
	}
	got = file_read_vector(b->db_fd, vec, (int)run->total, (off_t)offset);
	if (got < 0) {
		return error_set_errno(err, errno, "cannot read the database file");
	}
	/* The file may end before: pages that were never written are zeros. A read can
	 * be short for no other reason than the end, or the last is done one by one. */
	for (size_t at = (size_t)got; at < want;
	     at += b->page_size - at % b->page_size) {
		size_t i = at / b->page_size;
		size_t in = at % b->page_size;

		if (!file_read_padded(b->db_fd, (uint8_t *)vec[i].iov_base + in,
				      b->page_size - in, (off_t)(offset + at))) {
			return error_set_errno(err, errno,
					       "cannot read the database file");
		}
	}
	return spool_write(b->spool, run->slots, run->total, b->images, err);
}

/* Save what the run has gathered, and empty it. */
static enum status flush_run(struct txn_builder *b, struct run *run, struct error *err)
{
	enum status status = run->total > 0 ? read_run(b, run, err) : ST_OK;
	uint32_t i = 0;

	while (status == ST_OK && i < run->total) {
		status =
		    spool_preimage_put(b->spool, run->first + i, run->slots[i], err);
		i += status == ST_OK;
	}
	spool_free(b->spool, run->slots + i, run->total - i);
	run->saved += (uint64_t)i * b->page_size;
	run->total = 0;
	return status;
}

/* Save page `page_no` as the database file has it, unless the spool has it already. */
static enum status save_page(struct txn_builder *b, struct run *run, uint32_t page_no,
			     struct error *err)
{
	enum status status = ST_OK;

	if (page_no == db_lock_byte_page(b->page_size) ||
	    page_versions_find(&b->versions, page_no) ||
	    spool_preimage_find(b->spool, page_no) != SPOOL_NO_SLOT) {
		return ST_OK;
	}
	if (run->total == RUN_MAX || run->total == b->at_once ||
	    run->first + run->total != page_no) {
		status = flush_run(b, run, err);
		run->first = page_no;
	}
	if (status == ST_OK) {
		status = spool_alloc(b->spool, &run->slots[run->total], err);
		run->total += status == ST_OK;
	}
	return status;
}

/* The last page that the database file has, whole or in part. */
static uint32_t file_page_count(const struct txn_builder *b)
{
	struct stat st;
	uint64_t pages;

	if (fstat(b->db_fd, &st) != 0) {
		return UINT32_MAX;
	}
	pages = ((uint64_t)st.st_size + b->page_size - 1) / b->page_size;
	return pages > UINT32_MAX ? UINT32_MAX : (uint32_t)pages;
}

static enum status save_preimages(struct txn_builder *b, const struct draft *draft,
				  uint64_t *saved, struct error *err)
{
	struct run run = {0};
	enum status status = ST_OK;

	for (size_t i = 0; i < draft->page_total && status == ST_OK; i++) {
		uint32_t page_no = b->pages[draft->page_start + i].page_no;

		if (page_no > b->page_count) {
			break;
		}
		status = save_page(b, &run, page_no, err);
	}
	if (status == ST_OK && draft->page_count < b->page_count) {
		/* Cut off. What is past the end of the file was never written. */
		uint32_t in_file = file_page_count(b);
		uint32_t last = in_file < b->page_count ? in_file : b->page_count;

		for (uint64_t p = (uint64_t)draft->page_count + 1;
		     p <= last && status == ST_OK; p++) {
			status = save_page(b, &run, (uint32_t)p, err);
		}
	}
	if (status == ST_OK) {
		status = flush_run(b, &run, err);
	} else {
		struct error unused;

		(void)!flush_run(b, &run, &unused);
	}
	*saved = run.saved;
	return status;
}

/* ---- versions ---- */

static bool may_retire(const struct txn_builder *b, const struct page_version *version,
		       uint32_t backfilled, uint64_t decoded_lsn)
{
	return version->lsn <= decoded_lsn && (version->generation != b->generation ||
					       version->frame_no <= backfilled);
}

/* Retire what may be retired; where memory is short, not now. */
static void sweep(struct txn_builder *b, uint32_t backfilled, uint64_t decoded_lsn)
{
	struct page_versions kept;
	struct error unused;

	page_versions_init(&kept);
	for (size_t i = 0; i < b->versions.cap; i++) {
		const struct page_version *version = &b->versions.entries[i];

		if (version->page_no == 0) {
			continue;
		}
		if (may_retire(b, version, backfilled, decoded_lsn) &&
		    array_room(&b->retired, &b->retired_cap, b->retired_total + 1,
			       sizeof *b->retired)) {
			b->retired[b->retired_total++] =
			    (struct captured_page){version->page_no, version->slot};
			continue;
		}
		if (page_versions_reserve(&kept, 1, &unused) != ST_OK) {
			goto put_back;
		}
		page_versions_put(&kept, version);
	}
	page_versions_clear(&b->versions);
	b->versions = kept;
	b->frames_since_sweep = 0;
	return;
put_back:
	b->retired_total = 0;
	page_versions_clear(&kept);
}

static bool sweep_is_due(const struct txn_builder *b)
{
	return (uint64_t)b->versions.total * b->page_size > KEPT_BYTES &&
	       b->frames_since_sweep >= b->versions.total / 2 && b->retired_total == 0;
}

/* The taker gives the versions of pages up that are cut off. */
static void forget_cut_off(struct txn_builder *b, uint32_t page_count)
{
	struct page_versions *versions = &b->versions;

	if (page_count >= b->page_count) {
		return;
	}
	if (b->page_count - page_count <= versions->cap) {
		for (uint32_t p = b->page_count; p > page_count; p--) {
			page_versions_remove(versions, p);
		}
		return;
	}
	for (size_t i = 0; i < versions->cap;) {
		if (versions->entries[i].page_no > page_count) {
			page_versions_remove(versions, versions->entries[i].page_no);
		} else {
			i++;
		}
	}
}

/* The draft is now the newest state of its pages. */
static void publish(struct txn_builder *b, const struct draft *draft,
		    struct captured_txn *txn)
{
	uint32_t frames = draft->last_frame - b->last_frame;

	b->lsn += frames;
	b->frames_since_sweep += frames;
	b->last_frame = draft->last_frame;
	forget_cut_off(b, draft->page_count);
	for (size_t i = 0; i < draft->page_total; i++) {
		const struct draft_page *page = &b->pages[draft->page_start + i];
		struct page_version version = {.page_no = page->page_no,
					       .slot = page->slot,
					       .frame_no = page->frame_no,
					       .generation = b->generation,
					       .lsn = b->lsn};

		if (b->saves_preimages) { /* nobody else asks for them */
			page_versions_put(&b->versions, &version);
		}
		txn->pages[i] = (struct captured_page){page->page_no, page->slot};
	}
	if (b->retired_total > 0) {
		memcpy(txn->retired, b->retired, b->retired_total * sizeof *b->retired);
		b->retired_total = 0;
	}
	txn->lsn = b->lsn;
	txn->captured_ns = clock_wall_ns();
	txn->page_count_before = b->page_count;
	txn->page_count = draft->page_count;
	b->page_count = draft->page_count;
	b->draft_next++;
}

void txn_builder_retire(struct txn_builder *builder, uint32_t backfilled,
			uint64_t decoded_lsn)
{
	if (sweep_is_due(builder)) {
		sweep(builder, backfilled, decoded_lsn);
	}
}

enum status txn_builder_accept(struct txn_builder *builder, struct captured_txn **txn,
			       uint64_t *preimage_bytes, struct error *err)
{
	const struct draft *draft = &builder->drafts[builder->draft_next];
	struct captured_txn *made;
	enum status status;

	assert(builder->draft_next < builder->draft_total);
	status = page_versions_reserve(
	    &builder->versions, builder->saves_preimages ? draft->page_total : 0, err);
	*preimage_bytes = 0;
	if (status == ST_OK && builder->saves_preimages) {
		status = save_preimages(builder, draft, preimage_bytes, err);
	}
	if (status != ST_OK) {
		return status;
	}
	made = captured_txn_alloc(draft->page_total, builder->retired_total);
	if (!made) {
		return no_memory(err);
	}
	publish(builder, draft, made);
	*txn = made;
	return ST_OK;
}
