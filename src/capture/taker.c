/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/taker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/clock.h"
#include "src/base/event_fd.h"
#include "src/base/fault.h"
#include "src/base/file_time.h"
#include "src/base/health.h"
#include "src/base/log.h"
#include "src/base/metrics.h"
#include "src/base/quote.h"
#include "src/capture/source_state.h"
#include "src/capture/wal_frame.h"
#include "src/history/pair.h"

#define MISFIT_NS (200 * NS_PER_MS) /* frames that differ from the wal-index: LOST */

/* No room for more: the hold stays, up to its own limit. */
static enum status stall(struct taker *t, const struct wal_index_header *header,
			 uint32_t from, const char *why, struct error *err)
{
	uint64_t frame_bytes = t->db->page_size + WAL_FRAME_HEADER_BYTES;
	uint64_t behind = (uint64_t)(header->frame_count - from) * frame_bytes;

	if (behind > t->settings.hold_max_wal_bytes) {
		return error_set(
		    err, ST_LOST,
		    "%s: %" PRIu64 " bytes of its WAL wait (hold.max.wal.bytes) "
		    "while %s%s",
		    quote(t->db->path).text, behind, why, t->history->slow_advice);
	}
	metrics_set(METRIC_NOT_CAPTURED_BYTES, behind);
	if (!t->is_stalled) {
		metrics_count(METRIC_STALLS, 1);
		health_say(HEALTH_CAPTURE, why);
		log_warn("%s: %s; commits wait in the WAL", quote(t->db->path).text,
			 why);
		t->is_stalled = true;
	}
	return error_set(err, ST_RETRY, "%s", why);
}

static void go_on(struct taker *t)
{
	if (t->disk_is_full) {
		log_warn("%s: there is room on the disk again, commits are captured",
			 quote(t->db->path).text);
	}
	if (t->is_stalled) {
		metrics_set(METRIC_NOT_CAPTURED_BYTES, 0);
		health_say(HEALTH_CAPTURE, NULL);
	}
	t->is_stalled = false;
	t->disk_is_full = false;
}

/* Frames that are not what the header says, for longer than a restart takes. */
static enum status misfit(struct taker *t, struct error *err)
{
	int64_t now = clock_mono_ns();
	struct error inner = *err;

	if (t->misfit_ns == 0) {
		t->misfit_ns = now;
	}
	if (now - t->misfit_ns < MISFIT_NS) {
		return ST_RETRY;
	}
	return error_set(err, ST_LOST, "%s: %.512s", quote(t->db->path).text,
			 inner.text);
}

static enum status failed(struct taker *t, enum status status,
			  const struct wal_index_header *header, uint32_t from,
			  struct error *err)
{
	if (status == ST_RETRY) {
		return misfit(t, err);
	}
	if (error_is_full(err)) {
		struct error full = *err; /* names the file or the folder */

		t->disk_is_full = true;
		return stall(t, header, from, full.text, err);
	}
	return status;
}

/* Where the transaction stands in the WAL, by which it is known again. */
static struct wal_place place_of(const struct taker *t,
				 const struct wal_index_header *header, uint32_t frame)
{
	struct wal_place place = {.frame = frame};

	memcpy(place.salt, header->salt, sizeof place.salt);
	if (!wal_frame_proof(t->db->wal_fd, t->db->page_size, frame, t->proof_page,
			     &place.proof)) {
		place.proof = 0;
	}
	return place;
}

/* Append the transaction that was made; when the disk is full it stays, to be tried
 * again. */
static enum status append(struct taker *t, struct error *err)
{
	struct captured_txn *txn = t->unappended;
	uint64_t bytes, lsn;
	enum status status;

	if (!txn) {
		return ST_OK;
	}
	FAULT_POINT("capture-made");
	bytes = txn->bytes;
	lsn = txn->lsn;
	status = t->history->append(t->history, txn, err);
	if (status == ST_OK) {
		t->unappended = NULL;
		metrics_count(METRIC_CAPTURED_TRANSACTIONS, 1);
		metrics_count(METRIC_CAPTURED_BYTES, bytes);
		metrics_set(METRIC_CAPTURED_LSN, lsn);
	}
	return status;
}

/* wal_hold's settle: make everything that was taken durable, or, where the disk is too
 * slow for writers to wait for it, have it at least in the journal. */
enum status taker_settle(void *context, int64_t until_ns, bool may_outrun,
			 struct error *err)
{
	struct taker *t = context;

	if (t->unappended) {
		return error_set(err, ST_RETRY, "the journal has no room");
	}
	return t->history->settle(t->history, t->builder.lsn, until_ns, may_outrun,
				  err);
}

/* Make a transaction of each draft and hand it over, while there is room. */
static enum status accept_drafts(struct taker *t, const struct wal_index_header *header,
				 struct hold_taken *taken, struct error *err)
{
	const struct draft *draft;

	while ((draft = txn_builder_draft(&t->builder)) != NULL) {
		struct captured_txn *txn;
		uint64_t preimage_bytes;
		uint32_t commit_frames = draft->commit_total;
		enum status status;

		if (!t->history->has_room(t->history)) {
			return stall(t, header, taken->last_frame,
				     "the output is slow and the spool has reached "
				     "journal.max.bytes",
				     err);
		}
		status = txn_builder_accept(&t->builder, &txn, &preimage_bytes, err);
		if (status != ST_OK) {
			return failed(t, status, header, taken->last_frame, err);
		}
		taken->commits++;
		taken->commit_frames += commit_frames;
		txn->bytes =
		    (uint64_t)txn->page_total * t->db->page_size + preimage_bytes;
		if (t->settings.writers) {
			txn->writers = wal_writers_get(t->settings.writers);
		}
		if (t->history->keeps_places) {
			txn->place = place_of(t, header, t->builder.last_frame);
		}
		t->unappended = txn;
		status = append(t, err);
		if (status != ST_OK) {
			return failed(t, status, header, taken->last_frame, err);
		}
		taken->last_frame = t->builder.last_frame;
	}
	go_on(t);
	return ST_OK;
}

/* wal_hold_take while following. */
static enum status take_news(struct taker *t, const struct wal_index_header *header,
			     uint32_t generation, uint32_t from,
			     struct hold_taken *taken, struct error *err)
{
	enum status status = ST_OK;

	if (t->builder.generation != generation) {
		t->builder.generation = generation;
		t->builder.last_frame = from;
	}
	taken->last_frame = from;
	if (t->unappended) {
		status = append(t, err);
		if (status != ST_OK) {
			return failed(t, status, header, from, err);
		}
		taken->last_frame = t->builder.last_frame;
	}
	while (status == ST_OK && taken->last_frame < header->frame_count) {
		if (!t->history->has_room(t->history)) {
			return stall(t, header, taken->last_frame,
				     "the output is slow and the spool has reached "
				     "journal.max.bytes",
				     err);
		}
		status = txn_builder_read(&t->builder, header, taken->last_frame,
					  t->history->read_bytes, false, err);
		if (status != ST_OK) {
			status = failed(t, status, header, taken->last_frame, err);
			break;
		}
		t->misfit_ns = 0;
		health_beat_on();
		status = accept_drafts(t, header, taken, err);
		txn_builder_discard(&t->builder);
		event_fd_wake(t->history->wake_fd);
	}
	if (status == ST_OK && t->history->saves_preimages) {
		txn_builder_retire(&t->builder, wal_hold_backfilled(t->hold),
				   atomic_load_explicit(&t->history->decoded_lsn,
							memory_order_acquire));
	}
	return status;
}

/* Without frames the header has no page count: take the file's. ST_RETRY: the WAL is
 * not of the file that was opened. */
static enum status complete_header(const struct taker *t,
				   struct wal_index_header *header, struct error *err)
{
	if (header->frame_count == 0) {
		return source_page_count(t->db, &header->page_count, err);
	}
	if (header->page_size != t->db->page_size) {
		return error_set(err, ST_RETRY, "%s: its WAL has another page size",
				 quote(t->db->path).text);
	}
	return ST_OK;
}

/* wal_hold_take at the start: the last frame of each page, as one transaction. */
static enum status take_first(struct taker *t, const struct wal_index_header *header,
			      struct hold_taken *taken, struct error *err)
{
	struct wal_index_header from_file = *header;
	struct wal_index_header now;
	uint64_t preimage_bytes;
	enum status status = complete_header(t, &from_file, err);

	if (status == ST_RETRY) {
		return status;
	}
	if (status == ST_OK) {
		status =
		    txn_builder_read(&t->builder, &from_file, 0, UINT64_MAX, true, err);
	}
	/* In slot 0 the WAL may have been restarted under the reading. */
	if (status == ST_OK && (!wal_index_read(&t->db->index, &now) ||
				!wal_index_same_salt(&now, header))) {
		txn_builder_discard(&t->builder);
		status = error_set(err, ST_RETRY, "the WAL was restarted");
	}
	if (status == ST_OK) {
		t->builder.page_count = 0; /* nothing is before it: no pre-images */
		status =
		    txn_builder_accept(&t->builder, &t->first, &preimage_bytes, err);
		txn_builder_discard(&t->builder);
	}
	if (status == ST_OK) {
		t->first->page_count_before = t->first->page_count;
		t->first->place = place_of(t, header, header->frame_count);
		taken->last_frame = header->frame_count;
		t->is_following = true;
	}
	if (status == ST_OK) {
		status = t->history->begin(t->history, t->first, err);
	}
	return status;
}

/* Can the file change? Only where a checkpoint has something to bring into it. */
static bool may_change(const struct taker *t, const struct wal_index_header *header)
{
	return wal_index_backfilled(&t->db->index) < header->frame_count;
}

/* A file that was written past SQLite while it was compared may be half of something.
 */
static enum status check_still(const struct taker *t, const struct stat *before,
			       struct error *err)
{
	struct stat now;

	if (fstat(t->db->db_fd, &now) == 0 && now.st_size == before->st_size &&
	    file_time_same(&now.st_mtim, &before->st_mtim)) {
		return ST_OK;
	}
	return error_set(err, ST_RETRY, "%s: was written to while it was compared",
			 quote(t->db->path).text);
}

/* For pair_compare: what the history ends with. */
static enum status is_same_at_end(void *taker, uint32_t page_no, const uint8_t *bytes,
				  bool *same, struct error *err)
{
	const struct taker *t = taker;

	(void)err;
	*same = t->history->is_same_at_end(t->history, page_no, bytes);
	return ST_OK;
}

/*
 * What differs between the end of the history and the source, in `*out`. The hold keeps
 * a mark at `header`, so that the file stands still but for pages that have a frame in
 * the WAL up to there: of those the newest one is compared. ST_RETRY: it did not stand
 * still.
 */
static enum status compare(struct taker *t, const struct wal_index_header *header,
			   const struct wal_index_header *from_file,
			   struct captured_txn **out, struct error *err)
{
	uint32_t old_count = t->builder.page_count;
	struct captured_txn *frames = NULL;
	struct wal_index_header now;
	struct stat before = {0};
	bool is_still = !may_change(t, header) && fstat(t->db->db_fd, &before) == 0;
	uint64_t unused;
	enum status status =
	    txn_builder_read(&t->builder, from_file, 0, UINT64_MAX, true, err);

	*out = NULL;
	if (status == ST_OK) {
		status = txn_builder_accept(&t->builder, &frames, &unused, err);
	}
	txn_builder_discard(&t->builder);
	if (status == ST_OK) {
		struct pair pair = {.page_size = t->db->page_size,
				    .old_count = old_count,
				    .is_same = is_same_at_end,
				    .old = t,
				    .fd = t->db->db_fd,
				    .new_count = from_file->page_count,
				    .over = frames->pages,
				    .over_total = frames->page_total,
				    .spool = t->history->spool,
				    .stop = t->settings.stop,
				    .progress = t->settings.progress,
				    .context = t->settings.context};

		status = pair_compare(&pair, out, err);
	}
	captured_txn_free(frames);
	if (status == ST_OK && is_still) {
		status = check_still(t, &before, err);
	}
	if (status == ST_OK && (!wal_index_read(&t->db->index, &now) ||
				!wal_index_same_salt(&now, header))) {
		status = error_set(err, ST_RETRY, "the WAL was restarted");
	}
	if (status != ST_OK && *out) {
		captured_pages_drop((*out)->pages, (*out)->page_total,
				    t->history->spool);
		captured_txn_free(*out);
	}
	return status;
}

/* Compare with the source; what differs is a transaction. */
static enum status take_difference(struct taker *t,
				   const struct wal_index_header *header,
				   struct hold_taken *taken, struct error *err)
{
	struct wal_index_header from_file = *header;
	struct captured_txn *txn;
	enum status status = complete_header(t, &from_file, err);

	if (status != ST_OK) {
		return status;
	}
	log_info("comparing %" PRIu32 " pages with the state of the last run, as the "
		 "WAL has begun anew since then",
		 from_file.page_count);
	status = compare(t, header, &from_file, &txn, err);
	if (status != ST_OK) {
		return status;
	}
	log_info("%zu %s", txn->page_total,
		 txn->page_total == 1 ? "page differs" : "pages differ");
	t->builder.lsn += header->frame_count == 0;
	txn->lsn = t->builder.lsn;
	txn->captured_ns = clock_wall_ns();
	txn->is_catch_up = true;
	txn->bytes = (uint64_t)txn->page_total * t->db->page_size;
	txn->place = place_of(t, header, header->frame_count);
	FAULT_POINT("catch-up-made");
	t->unappended = txn;
	t->is_following = true;
	taken->last_frame = header->frame_count;
	status = append(t, err);
	FAULT_POINT("catch-up-journalled");
	return status;
}

/* wal_hold_take at the start, where an earlier run has come to `end`. */
static enum status take_resumed(struct taker *t, const struct wal_index_header *header,
				struct history_end end, struct hold_taken *taken,
				struct error *err)
{
	struct stat st;
	bool is_untouched =
	    fstat(t->db->db_fd, &st) == 0 && t->history->is_untouched(t->history, &st);
	uint32_t frame;
	enum status status;

	t->builder.lsn = end.lsn;
	t->builder.page_count = end.page_count;
	t->builder.last_frame = 0;
	if (!source_find_end(t->db, header, &end.place, is_untouched, t->proof_page,
			     &frame)) {
		return take_difference(t, header, taken, err);
	}
	t->builder.last_frame = frame;
	/* What is journalled now must not be taken a second time: where not all of it
	 * could be, the hold goes on from there. */
	t->is_following = true;
	status = take_news(t, header, 0, frame, taken, err);
	return status == ST_RETRY ? ST_OK : status;
}

enum status taker_take(void *context, const struct wal_index_header *header,
		       uint32_t generation, uint32_t from, struct hold_taken *taken,
		       struct error *err)
{
	struct taker *t = context;
	struct history_end end;

	if (t->is_following) {
		return take_news(t, header, generation, from, taken, err);
	}
	return t->history->find_end(t->history, &end)
		   ? take_resumed(t, header, end, taken, err)
		   : take_first(t, header, taken, err);
}

/* ---- open and close ---- */

enum status taker_init(struct taker *t, const struct taker_settings *settings,
		       struct db_handles *db, struct error *err)
{
	enum status status;

	*t = (struct taker){
	    .settings = *settings, .history = settings->history, .db = db};
	t->proof_page = malloc(db->page_size);
	if (!t->proof_page) {
		return error_no_memory(err, "capturing");
	}
	status = t->history->prepare(t->history, db->page_size, err);
	if (status != ST_OK) {
		return status;
	}
	t->has_builder = true;
	status = txn_builder_init(&t->builder, t->history->spool, &db->index,
				  db->page_size, db->wal_fd, db->db_fd, err);
	t->builder.saves_preimages = t->history->saves_preimages;
	t->builder.lsn = settings->least_lsn;
	return status;
}

void taker_clear(struct taker *t)
{
	health_say(HEALTH_CAPTURE, NULL);
	if (t->has_builder) {
		txn_builder_clear(&t->builder);
	}
	captured_txn_free(t->first);
	captured_txn_free(t->unappended);
	free(t->proof_page);
	*t = (struct taker){0};
}
