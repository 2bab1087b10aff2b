/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/wal_hold_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/metrics.h"
#include "src/base/quote.h"

/* The moves that src/capture/wal_hold.h draws. What is lost stays lost. */
static const bool moves[HOLD_STATES][HOLD_STATES] = {
    [HOLD_MARK] = {[HOLD_ZERO] = true, [HOLD_LOST] = true},
    [HOLD_ZERO] = {[HOLD_MARK] = true, [HOLD_LOST] = true},
};

const char *wal_hold_state_name(enum hold_state state)
{
	static const char *const names[HOLD_STATES] = {
	    [HOLD_MARK] = "MARK", [HOLD_ZERO] = "ZERO", [HOLD_LOST] = "LOST"};

	return names[state];
}

bool wal_hold_may_move(enum hold_state from, enum hold_state to)
{
	return moves[from][to];
}

void hold_move(struct wal_hold *h, enum hold_state state)
{
	if (h->state == state) {
		return;
	}
	assert(wal_hold_may_move(h->state, state));
	log_debug("hold: %s -> %s at frame %u of generation %u",
		  wal_hold_state_name(h->state), wal_hold_state_name(state),
		  (unsigned)h->captured, (unsigned)h->generation);
	h->state = state;
}

enum status hold_lost(struct wal_hold *h, struct error *err, const char *what)
{
	hold_move(h, HOLD_LOST);
	return error_set(err, ST_LOST, "%s: %s", quote(h->db->path).text, what);
}

/* Is the WAL too short for `header`, though no restart has cut it since that was read?
 */
static bool is_cut(const struct wal_hold *h, const struct wal_index_header *header,
		   int64_t wal_bytes)
{
	int64_t frame_bytes = (int64_t)h->db->page_size + WAL_FRAME_HEADER_BYTES;
	struct wal_index_header now;

	return header && header->frame_count > 0 &&
	       wal_bytes < WAL_HEADER_BYTES + header->frame_count * frame_bytes &&
	       wal_index_read(&h->db->index, &now) && wal_index_same(&now, header);
}

enum status hold_check_names(struct wal_hold *h, const struct wal_index_header *header,
			     struct error *err)
{
	int64_t wal_bytes;
	enum name_fault fault = db_names_look(&h->db->names, &wal_bytes);

	if (fault != NAMES_RIGHT) {
		h->fault = fault;
		return hold_lost(h, err, name_fault_text(fault));
	}
	return is_cut(h, header, wal_bytes)
		   ? hold_lost(h, err, "its -wal was cut while it was in use")
		   : ST_OK;
}

enum status hold_check_given(struct wal_hold *h, struct error *err)
{
	bool is_gone;
	bool is_wrong =
	    !db_names_leads_here(&h->db->names, &is_gone) || (is_gone && h->was_gone);

	h->was_gone = is_gone;
	return is_wrong ? hold_lost(h, err, name_fault_text(NAMES_LINK)) : ST_OK;
}

/* ---- accepting a header ---- */

/* Read the bytes that prove, later, that this generation is the same one. */
static bool read_proof(const struct wal_hold *h, uint32_t frame_no,
		       struct past_generation *out)
{
	uint8_t headers[1][WAL_FRAME_HEADER_BYTES];
	uint8_t *page = malloc(h->db->page_size);
	uint8_t *const pages[1] = {page};
	struct error unused;
	bool is_read = page && frame_no > 0 &&
		       wal_frames_read(h->db->wal_fd, h->db->page_size, frame_no, 1,
				       pages, headers, &unused) == ST_OK;

	if (is_read) {
		memcpy(out->frame_header, headers[0], sizeof out->frame_header);
		memset(out->page_sum, 0, sizeof out->page_sum);
		wal_checksum(false, page, h->db->page_size, out->page_sum);
		out->last_frame = frame_no;
	}
	free(page);
	return is_read;
}

/* Remember the generation that may be over soon. */
static void remember(struct wal_hold *h)
{
	memcpy(h->past.salt, h->header.salt, sizeof h->past.salt);
	h->past.is_known = read_proof(h, h->captured, &h->past);
}

/* Is the previous generation back? A writer that died just after a restart can leave
 * the WAL as it was before. */
static bool is_resurrected(const struct wal_hold *h, const struct wal_index_header *now)
{
	struct past_generation seen = {0};

	return h->past.is_known && now->frame_count >= h->past.last_frame &&
	       memcmp(now->salt, h->past.salt, sizeof now->salt) == 0 &&
	       read_proof(h, h->past.last_frame, &seen) &&
	       memcmp(seen.frame_header, h->past.frame_header,
		      sizeof seen.frame_header) == 0 &&
	       memcmp(seen.page_sum, h->past.page_sum, sizeof seen.page_sum) == 0;
}

/* Which generation the header speaks of, and from where on it is not captured. */
static enum status place(struct wal_hold *h, const struct wal_index_header *now,
			 struct error *err)
{
	uint32_t from = 0;

	if (wal_index_same_salt(now, &h->header)) {
		return now->frame_count >= h->captured
			   ? ST_OK
			   : hold_lost(
				 h, err,
				 "has lost commits in a crash of its writers (frames "
				 "of "
				 "the WAL are gone)");
	}
	if (h->captured == 0 && is_resurrected(h, now)) {
		from = h->past.last_frame;
		log_debug("hold: the previous generation is back at frame %u",
			  (unsigned)now->frame_count);
	} else if (!h->may_restart) {
		return hold_lost(h, err,
				 "had its WAL restarted in spite of the read lock");
	}
	if (h->captured > 0) {
		h->past.is_known = h->past.is_known &&
				   h->past.last_frame == h->captured &&
				   memcmp(h->past.salt, h->header.salt, 8) == 0;
	}
	h->generation++;
	h->captured = from;
	h->mark_frame = 0;
	h->limit = 0;
	h->is_limited = false;
	h->next_try = 0;
	h->next_pass = 0;
	h->last_pass = 0;
	return ST_OK;
}

/* The header counts commits; so do we. A recovery sets its count to 0. */
static enum status check_count(struct wal_hold *h, const struct wal_index_header *now,
			       struct error *err)
{
	uint32_t delta = now->change - h->counted_change;
	bool agrees = delta >= h->counted_commits && delta <= h->counted_commit_frames;
	bool recovered = now->change <= h->counted_commit_frames;

	if (!agrees && !recovered && h->is_counted) {
		log_debug("hold: %u commits counted, %u captured (%u commit frames)",
			  (unsigned)delta, (unsigned)h->counted_commits,
			  (unsigned)h->counted_commit_frames);
		return hold_lost(h, err, "has commits that were not captured");
	}
	h->is_counted = true;
	h->counted_change = now->change;
	h->counted_commits = 0;
	h->counted_commit_frames = 0;
	return ST_OK;
}

/*
 * Read how much is backfilled, then the header. Only in this order does the first say
 * what is in the file: a checkpoint leaves out a page of which it sees a newer frame
 * that it may not copy yet, and counts the older one as done all the same.
 */
bool hold_look(struct wal_hold *h, struct wal_index_header *now)
{
	h->backfilled_seen = wal_index_backfilled(&h->db->index);
	return wal_index_read(&h->db->index, now);
}

/* A restart shows its salts first and counts from 0 after that. */
static void note_backfilled(struct wal_hold *h, const struct wal_index_header *now)
{
	h->backfilled = 0;
	if (wal_index_same_salt(now, &h->header)) {
		h->backfilled = h->backfilled_seen < h->header.frame_count
				    ? h->backfilled_seen
				    : h->header.frame_count;
	}
}

void hold_hear_names(struct wal_hold *h)
{
	h->suspects_names =
	    wal_watch_names_changed(h->settings.watch) || h->suspects_names;
}

/*
 * Check the names before a commit is taken. To look them up costs more than the commit,
 * and what happens to them is told before anything that is committed after it: so they
 * are looked up when something was told, or where nothing can be. What is not told, as
 * that a folder above them was moved, is found some milliseconds later.
 */
static enum status check_told(struct wal_hold *h, const struct wal_index_header *now,
			      struct error *err)
{
	struct stat wal;

	h->written_ns = 0;
	wal_watch_drain(h->settings.watch); /* after `now` was read */
	hold_hear_names(h);
	if (h->suspects_names || wal_watch_is_blind(h->settings.watch) ||
	    fstat(h->db->wal_fd, &wal) != 0 || is_cut(h, now, wal.st_size)) {
		return hold_check_names(h, now, err);
	}
	h->written_ns = clock_ns_of(wal.st_mtim);
	return ST_OK;
}

/* All up to `now` was captured. */
static void count_captured(const struct wal_hold *h, const struct wal_index_header *now)
{
	metrics_set(METRIC_WAL_BYTES,
		    WAL_HEADER_BYTES + (uint64_t)now->frame_count *
					   (h->db->page_size + WAL_FRAME_HEADER_BYTES));
	if (h->written_ns > 0) {
		metrics_took(METRIC_CAPTURE_LAG, clock_wall_ns() - h->written_ns);
	}
}

void hold_note_writers(struct wal_hold *h, const struct wal_index_header *now)
{
	struct wal_writers *writers = h->settings.writers;

	if (writers && h->captured == now->frame_count &&
	    wal_index_same(now, &h->header)) {
		wal_writers_look(writers, now);
		wal_writers_taken(writers);
	}
}

/* Capture everything up to `now`. ST_RETRY: not all of it. */
enum status hold_accept(struct wal_hold *h, const struct wal_index_header *now,
			struct error *err)
{
	struct hold_taken taken = {0};
	enum status status;

	if (wal_index_same(now, &h->header) && h->captured == now->frame_count) {
		hold_note_writers(h, now);
		h->looks++;
		return ST_OK;
	}
	status = check_told(h, now, err);
	if (status == ST_OK) {
		status = place(h, now, err);
	}
	if (status != ST_OK) {
		return status;
	}
	if (h->settings.writers) {
		wal_writers_look(h->settings.writers, now);
	}
	note_backfilled(h, now);
	h->header = *now;
	h->news_ns = clock_mono_ns(); /* a handover may have taken long */
	h->looks++;
	if (h->is_ending) {
		h->captured = now->frame_count;
		return ST_OK;
	}
	if (now->frame_count > h->captured) {
		if (now->page_size != h->db->page_size) {
			return hold_lost(h, err, "has another page size");
		}
		taken.last_frame = h->captured;
		status = h->settings.take(h->settings.context, now, h->generation,
					  h->captured, &taken, err);
		assert(taken.last_frame >= h->captured &&
		       taken.last_frame <= now->frame_count);
		h->captured = taken.last_frame;
		h->counted_commits += taken.commits;
		h->counted_commit_frames += taken.commit_frames;
		if (status == ST_OK) {
			count_captured(h, now);
		}
	}
	if (h->settings.writers && h->captured == now->frame_count) {
		wal_writers_taken(h->settings.writers);
	}
	return status == ST_OK ? check_count(h, now, err) : status;
}

/* Look, and capture everything up to the header that was read. ST_RETRY: not all. */
enum status hold_catch_up(struct wal_hold *h, struct wal_index_header *now,
			  struct error *err)
{
	return hold_look(h, now)
		   ? hold_accept(h, now, err)
		   : error_set(err, ST_RETRY, "the wal-index is being written");
}

/* ---- taking turns ---- */

/* The file has other bytes than SQLite's checkpoints leave there. */
static bool is_not_whole(int rc)
{
	return (rc & 0xff) == SQLITE_NOTADB || (rc & 0xff) == SQLITE_CORRUPT ||
	       rc == SQLITE_IOERR_SHORT_READ;
}

enum status hold_begin(struct wal_hold *h, int reader, struct error *err)
{
	sqlite3 *db = h->db->reader[reader];
	int rc = sqlite3_step(h->db->read[reader]);

	if (rc == SQLITE_ROW) {
		return ST_OK;
	}
	(void)sqlite3_reset(h->db->read[reader]);
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_PROTOCOL:
	case SQLITE_READONLY: /* degraded: no mark that can be shared right now */
	case SQLITE_CANTOPEN:
		return error_set(err, ST_RETRY, "%s: %s", quote(h->db->path).text,
				 sqlite3_errmsg(db));
	case SQLITE_NOMEM:
		return error_no_memory(err, "reading %s", quote(h->db->path).text);
	default:
		/* Seen: in the middle of a copy over it, it is "not a database". */
		return is_not_whole(sqlite3_extended_errcode(db))
			   ? hold_written_past(h, err)
			   : error_set(err, ST_IO, "%s: %s", quote(h->db->path).text,
				       sqlite3_errmsg(db));
	}
}

void hold_want_lock(struct wal_hold *h)
{
	h->holds_lock =
	    h->holds_lock || wal_index_lock(&h->db->index, WAL_LOCK_CHECKPOINT);
}

void hold_drop_lock(struct wal_hold *h)
{
	if (h->holds_lock) {
		wal_index_unlock(&h->db->index, WAL_LOCK_CHECKPOINT);
		h->holds_lock = false;
	}
}

static void enter_zero(struct wal_hold *h)
{
	hold_drop_lock(h);
	hold_move(h, HOLD_ZERO);
	h->back_off = 0;
	h->failed_tries = 0;
	h->failed_passes = 0;
	h->failed_shuts = 0;
	h->not_before = 0;
	h->is_limited = false;
	remember(h);
}

/*
 * May the WAL restart although a reader has begun before this header was read? A
 * restart may come between any two of the reads, and counts from 0 after its header.
 */
bool hold_can_restart(const struct wal_hold *h, const struct wal_index_header *now)
{
	return now->frame_count == 0 || h->backfilled_seen == now->frame_count ||
	       wal_index_backfilled(&h->db->index) == now->frame_count;
}

/*
 * Writers wait at the gate, so what is not durable by then is not waited for: it is
 * captured, which outlives everything but a power cut, and after one it is found by
 * comparing.
 */
enum status hold_settle(struct wal_hold *h, struct error *err)
{
	bool is_at_gate = h->settle_ns != 0;

	if (!h->settings.settle) {
		return ST_OK;
	}
	return h->settings.settle(h->settings.context,
				  is_at_gate ? h->settle_ns
					     : clock_mono_ns() + SYNC_MOST_NS,
				  is_at_gate, err);
}

/*
 * Let the other reader take over; everything that it could see is captured first.
 * ST_RETRY: it did not; the old one stays.
 */
enum status hold_take_turn(struct wal_hold *h, struct error *err)
{
	const struct wal_index *index = &h->db->index;
	int other = 1 - h->holder;
	struct wal_index_header before;
	struct wal_index_header now;
	bool is_readable = wal_index_read(index, &before);
	bool was_done =
	    is_readable && wal_index_backfilled(index) == before.frame_count;
	bool is_done;
	bool may_restart;
	enum status status;

	if (!is_readable) {
		hold_drop_lock(h); /* to begin is to recover then, which needs it */
	}
	status = hold_begin(h, other, err);
	if (status != ST_OK) {
		return status;
	}
	status = hold_catch_up(h, &now, err);
	is_done = status == ST_OK && wal_index_backfilled(index) == now.frame_count;
	may_restart = status == ST_OK && hold_can_restart(h, &now);
	if (may_restart) {
		status = hold_settle(h, err);
	}
	if (status != ST_OK) {
		(void)sqlite3_reset(h->db->read[other]);
		return status;
	}
	h->may_restart = may_restart;
	(void)sqlite3_reset(h->db->read[h->holder]);
	h->holder = other;
	h->mark_frame = now.frame_count;
	h->mark_ns = clock_mono_ns();
	if (!was_done || !is_done || !wal_index_same(&before, &now)) {
		hold_move(h, HOLD_MARK);
		h->has_baseline = false;
	} else if (h->state != HOLD_ZERO) {
		enter_zero(h);
	}
	return ST_OK;
}

/* ST_RETRY is no failure for most callers: the next look tries again. */
enum status hold_unless_retry(enum status status)
{
	return status == ST_RETRY ? ST_OK : status;
}
