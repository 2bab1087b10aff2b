/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/quote.h"
#include "src/capture/wal_hold_parts.h"

#include <assert.h>
#include <stdlib.h>

#include "src/capture/db_users.h"

/* Frames of the WAL. */
#define NATURAL_FRAMES   500  /* a handover is due at the next quiet moment */
#define NATURAL_STEP     300  /* more until the next try */
#define NATURAL_LAST     2000 /* the writer waits for the disk, not for us */
#define PASS_FRAMES      800  /* without a quiet moment: a handover at the gate, and */
#define PASS_BULK_FRAMES 2000 /* ... where transactions have BULK_FRAMES and more */
#define BULK_FRAMES      8
#define ESCALATE_FRAMES  12000 /* the write lock, where allowed */

#define NATURAL_TRIES 4 /* checkpoints in one try */
#define NATURAL_FAILS 3 /* tries in a row: then only in longer pauses */

#define QUIET_NS       (300 * NS_PER_US) /* without a commit: a quiet moment; as long */
#define MARK_LATEST_NS (1 * NS_PER_MS)   /* the mark moves on though commits go on */
#define IDLE_NS        (200 * NS_PER_MS) /* a handover although the WAL is short */
#define ALONE_NS       (2 * NS_PER_MS)   /* the same when nobody else is there */
#define ALONE_LOOK_NS  (5 * NS_PER_MS)   /* between two looks at who else is there */
#define TRUNCATE_NS    (1 * NS_PER_S)    /* alone without a commit: empty the WAL */
#define CUT_GAP_NS     (20 * NS_PER_MS) /* ... or when it was closed; then twice that */
#define TORN_NS        (50 * NS_PER_MS) /* an unreadable header is recovered */
#define NAMES_LOOK_NS  (50 * NS_PER_MS) /* between two looks at the names, */
#define GIVEN_LOOK_NS  (1 * NS_PER_S)   /* ... and at the path as it was given */
#define ASIDE_NS       (5 * NS_PER_MS)  /* another slot, in case ours is waited for */
#define GAP_MOST_NS    (10 * NS_PER_MS) /* between commits; a pause counts as this */
#define ZERO_TICK_NS   (50 * NS_PER_MS)
#define REST_AFTER_NS  (2 * NS_PER_S)    /* without a commit, or anything told: */
#define REST_TICK_NS   (500 * NS_PER_MS) /* the same */
#define MARK_TICK_NS   (10 * NS_PER_MS)

static bool look_alone(struct wal_hold *h, int64_t now)
{
	if (now - h->alone_ns >= ALONE_LOOK_NS) {
		h->alone_ns = now;
		h->is_alone = !db_file_is_used(h->db->db_fd);
	}
	return h->is_alone;
}

/* Has nobody else the database open, as far as can be seen? Takes milliseconds. */
static bool is_alone(const struct wal_hold *h)
{
	return db_is_alone(h->db->db_fd, h->db->shm_fd);
}

/*
 * Should the WAL be emptied? As soon as somebody has closed the database: a file that
 * is put in its place would meet what is in the WAL. A process that opens and closes in
 * a loop would wait for that each time, so it is done less often while that goes on.
 */
static bool is_cut_due(struct wal_hold *h, int64_t now)
{
	if (now - h->news_ns >= TRUNCATE_NS) {
		h->cut_gap_ns = 0;
		return now >= h->truncate_ns;
	}
	if (!h->was_left || now < h->truncate_ns) {
		return false;
	}
	h->cut_gap_ns = h->cut_gap_ns == 0 ? CUT_GAP_NS : 2 * h->cut_gap_ns;
	return true;
}

/* How long until the next try after one of those. */
static int64_t cut_gap(const struct wal_hold *h)
{
	return h->cut_gap_ns == 0 || h->cut_gap_ns > TRUNCATE_NS ? TRUNCATE_NS
								 : h->cut_gap_ns;
}

/* Has nothing happened for a while, and will it be told when something does? */
static bool may_rest(const struct wal_hold *h, int64_t now)
{
	const struct wal_watch *watch = h->settings.watch;

	return !h->is_deaf && !wal_watch_is_blind(watch) && h->torn_ns == 0 &&
	       now - h->news_ns >= REST_AFTER_NS &&
	       now - wal_watch_heard_ns(watch) >= REST_AFTER_NS;
}

/* In ZERO with nothing new. */
static enum status rest(struct wal_hold *h, int64_t now, struct error *err)
{
	struct stat wal;
	enum status status = hold_check_baseline(h, err);

	if (status == ST_OK) {
		status = hold_take_baseline(h, err);
	}
	if (status == ST_OK && now - h->mark_ns >= ZERO_TICK_NS && !may_rest(h, now)) {
		/* It may be a mark after all, which a restart would wait for; not where
		 * that was tried since anything happened. */
		status = hold_unless_retry(hold_take_turn(h, err));
	}
	if (status != ST_OK || h->state != HOLD_ZERO || h->db->degraded ||
	    !is_cut_due(h, now)) {
		return status;
	}
	h->was_left = false;
	h->truncate_ns = now + ZERO_TICK_NS;
	if (fstat(h->db->wal_fd, &wal) != 0 || wal.st_size == 0 ||
	    !look_alone(h, now)) {
		return ST_OK;
	}
	h->truncate_ns = now + cut_gap(h);
	return is_alone(h) ? hold_cut(h, err) : ST_OK;
}

/*
 * How long without a commit is a moment in which a handover may succeed: as long as the
 * checkpoint will take, because the next commit undoes it.
 */
static int64_t quiet_enough(const struct wal_hold *h)
{
	if (h->failed_tries >= NATURAL_FAILS) {
		return 2 * QUIET_MOST_NS;
	}
	if (h->pass_ns < QUIET_NS) {
		return QUIET_NS;
	}
	return h->pass_ns < QUIET_MOST_NS ? h->pass_ns : QUIET_MOST_NS;
}

/*
 * How much longer the checkpoint lock is kept where syncs are slow: a commit in a WAL
 * this long begins a checkpoint, which would sync, come to an end at our mark, and be
 * begun again by the next commit.
 */
static int64_t slow_disk(const struct wal_hold *h)
{
	int64_t wait = h->db->vfs ? 4 * checkpoint_vfs_sync_ns(h->db->vfs) : 0;

	return wait < IDLE_NS ? wait : IDLE_NS;
}

/*
 * Take another slot. A checkpoint of the application that waits with its busy handler
 * waits for a slot to be free, not for its mark to move on, and may have decided to
 * before we were in it; it has the checkpoint lock and the write lock all that time. Of
 * slots with equal marks a reader takes the last one.
 */
static enum status step_aside(struct wal_hold *h, struct error *err)
{
	(void)wal_gate_push(&h->gate);
	wal_gate_mark(&h->gate, h->mark_frame);
	wal_gate_open(&h->gate);
	return hold_take_turn(h, err);
}

/* A quiet moment is enough for a handover. */
static bool is_natural(const struct wal_hold *h, uint32_t frames)
{
	return frames >= NATURAL_FRAMES && frames < NATURAL_LAST &&
	       frames >= h->next_try;
}

static uint32_t pass_frames(const struct wal_hold *h)
{
	return h->is_bulk ? PASS_BULK_FRAMES : PASS_FRAMES;
}

/* Has the gate failed so often that only the write lock is left? */
static bool is_last_resort(const struct wal_hold *h)
{
	return h->settings.escalate && h->header.frame_count >= ESCALATE_FRAMES &&
	       h->failed_shuts >= GATE_FAILS;
}

/* A handover without a quiet moment, or with the write lock. The more tries have
 * failed, the later is the next one; but soon, where only a few milliseconds were
 * lacking. */
static enum status pass(struct wal_hold *h, struct error *err)
{
	uint32_t step = pass_frames(h);
	enum status status;

	h->next_pass = h->header.frame_count + (step << h->failed_passes);
	status = is_last_resort(h) ? hold_escalate(h, err) : hold_pass(h, err);
	if (h->is_disk_slow) {
		h->next_pass = h->header.frame_count + step / 2;
	}
	return status;
}

/* In MARK: is it time to hand over? */
static enum status work(struct wal_hold *h, int64_t now, struct error *err)
{
	uint32_t frames = h->header.frame_count;
	uint32_t backfilled = wal_index_backfilled(&h->db->index);
	int64_t quiet = now - h->news_ns;
	bool all_captured = h->captured == frames;
	bool was_closed = h->was_closed;

	h->was_closed = h->was_closed && !all_captured;
	if (all_captured && backfilled == frames) {
		hold_drop_lock(h);
		return hold_take_turn(h, err);
	}
	if (all_captured && !h->db->degraded && now >= h->not_before) {
		if (quiet >= quiet_enough(h) && is_natural(h, frames)) {
			h->next_try = frames + NATURAL_STEP;
			h->failed_tries++;
			return hold_attempt(h, NATURAL_TRIES, err);
		}
		if (quiet >= IDLE_NS ||
		    ((quiet >= ALONE_NS || was_closed) && look_alone(h, now))) {
			return hold_attempt(h, NATURAL_TRIES, err);
		}
		if (frames >= h->next_pass && frames >= pass_frames(h)) {
			return pass(h, err);
		}
	}
	if (quiet >= quiet_enough(h) + slow_disk(h) || h->db->degraded) {
		hold_drop_lock(h);
	} else if (frames >= TAKE_FRAMES) {
		hold_want_lock(h);
	}
	if (h->mark_frame < h->captured &&
	    (quiet >= MARK_NS || now - h->mark_ns >= MARK_LATEST_NS)) {
		return hold_take_turn(h, err);
	}
	if (all_captured && !h->db->degraded && quiet >= ASIDE_NS &&
	    now - h->mark_ns >= ASIDE_NS) {
		return step_aside(h, err);
	}
	return ST_OK;
}

/* Somebody writes the header, or died doing so. */
static enum status wait_for_header(struct wal_hold *h, int64_t now, struct error *err)
{
	hold_drop_lock(h); /* a recovery needs it */
	if (h->torn_ns == 0) {
		h->torn_ns = now;
	}
	if (now - h->torn_ns < TORN_NS) {
		return ST_OK;
	}
	h->torn_ns = now;
	return hold_unless_retry(
	    hold_take_turn(h, err)); /* SQLite recovers as it begins to read */
}

/* Measure the time between commits: what has come since the last look that saw some. */
static void count_gap(struct wal_hold *h, const struct wal_index_header *header,
		      int64_t now)
{
	uint32_t commits = header->change - h->header.change;
	if (commits > 0 && commits < (1u << 20)) {
		int64_t gap = (now - h->news_ns) / commits;

		gap = gap < GAP_MOST_NS ? gap : GAP_MOST_NS;
		h->gap_ns += (gap - h->gap_ns) / 8;
		if (header->frame_count > h->header.frame_count) {
			uint32_t frames = header->frame_count - h->header.frame_count;

			h->is_bulk = frames / commits >= BULK_FRAMES;
		}
	}
	h->news_ns = now;
}

/*
 * Who rests relies on being told of writes. Where a commit comes after a rest and
 * nothing was told, as where another machine or a file system in between writes the
 * files, there is none until one was told again.
 */
static void check_hearing(struct wal_hold *h, int64_t now)
{
	struct wal_watch *watch = h->settings.watch;

	if (now - h->news_ns >= REST_AFTER_NS) {
		wal_watch_drain(watch);
		h->is_deaf = now - wal_watch_heard_ns(watch) >= REST_AFTER_NS;
	}
}

/* Can others still find the files that we have open? */
static enum status look_at_names(struct wal_hold *h, int64_t now,
				 const struct wal_index_header *header,
				 struct error *err)
{
	enum status status;

	if (now - h->names_ns < NAMES_LOOK_NS) {
		return ST_OK;
	}
	h->names_ns = now;
	status = hold_check_names(h, header, err);
	if (status == ST_OK && now - h->given_ns >= GIVEN_LOOK_NS) {
		h->given_ns = now;
		status = hold_check_given(h, err);
	}
	return status;
}

/* Until this commit nobody had anything to write to the file: is it as it was? After a
 * recovery, which counts from 0, somebody may have had. */
static enum status check_until(struct wal_hold *h,
			       const struct wal_index_header *header, struct error *err)
{
	bool is_next = header->change > h->header.change &&
		       (!wal_index_same_salt(header, &h->header) ||
			h->backfilled_seen == h->header.frame_count);

	return is_next ? hold_check_baseline(h, err) : ST_OK;
}

/* What the watch was told of: a name that changed, or that somebody closed the
 * database. If that was the last one, what it committed is brought into the file. */
static void note_events(struct wal_hold *h)
{
	hold_hear_names(h);
	if (wal_watch_was_closed(h->settings.watch)) {
		h->was_closed = true;
		h->was_left = true;
		h->alone_ns = 0;
	}
}

static enum status turn(struct wal_hold *hold, bool *news, struct error *err)
{
	int64_t now = clock_mono_ns();
	struct wal_index_header header;
	enum status status = ST_OK;

	*news = false;
	note_events(hold);
	if (hold->suspects_names) { /* before the memory is touched: -shm may be cut */
		hold->suspects_names = false;
		hold->names_ns = 0;
		status = look_at_names(hold, now, NULL, err);
		if (status != ST_OK) {
			return status;
		}
	}
	if (!hold_look(hold, &header)) {
		return wait_for_header(hold, now, err);
	}
	hold->torn_ns = 0;
	if (wal_gate_holds(&hold->gate)) {
		return hold_unless_retry(hold_leave_gate(hold, err));
	}
	status = look_at_names(hold, now, &header, err);
	if (status != ST_OK) {
		return status;
	}
	if (!wal_index_same(&header, &hold->header)) {
		*news = true;
		check_hearing(hold, now);
		count_gap(hold, &header, now);
	}
	if (hold->state == HOLD_ZERO) {
		if (!*news &&
		    wal_index_backfilled(&hold->db->index) == header.frame_count) {
			hold_note_writers(hold, &header);
			hold->looks++;
			return rest(hold, now, err);
		}
		status = check_until(hold, &header, err);
		if (status == ST_OK) {
			status = hold_take_turn(hold, err);
		}
		/* If no mark can be had, slot 0 keeps the new frames as well. */
		return hold_unless_retry(
		    status == ST_RETRY ? hold_catch_up(hold, &header, err) : status);
	}
	status = hold_accept(hold, &header, err);
	if (status == ST_OK || status == ST_RETRY) {
		status = work(hold, clock_mono_ns(), err);
	}
	return hold_unless_retry(status);
}

enum status wal_hold_turn(struct wal_hold *hold, bool *news, struct error *err)
{
	enum status status = turn(hold, news, err);

	if (status != ST_OK) {
		hold_leave(hold); /* writers must not wait until it is closed */
	}
	return status;
}

void wal_hold_ends_soon(struct wal_hold *hold, bool takes)
{
	hold->is_ending = !takes;
	hold->not_before = 0;
	hold->back_off = 0;
	hold->alone_ns = 0;
}

enum status wal_hold_cut(struct wal_hold *hold, struct error *err)
{
	enum status status = ST_OK;

	if (hold->state == HOLD_ZERO && !hold->db->degraded && is_alone(hold)) {
		status = hold_cut(hold, err);
	}
	if (status != ST_OK) {
		wal_gate_open(&hold->gate);
	}
	return status;
}

int64_t wal_hold_idle_ns(const struct wal_hold *hold, int64_t now_ns)
{
	if (hold->state == HOLD_ZERO) {
		return may_rest(hold, now_ns) ? REST_TICK_NS : ZERO_TICK_NS;
	}
	if (is_natural(hold, hold->header.frame_count)) {
		return quiet_enough(hold);
	}
	return hold->mark_frame < hold->captured ? QUIET_NS : MARK_TICK_NS;
}

int64_t wal_hold_gap_ns(const struct wal_hold *hold)
{
	return hold->gap_ns;
}

uint64_t wal_hold_looks(const struct wal_hold *hold)
{
	return hold->looks;
}

uint32_t wal_hold_waiting(const struct wal_hold *hold)
{
	assert(hold->captured <= hold->header.frame_count);
	return hold->header.frame_count - hold->captured;
}

enum hold_state wal_hold_state(const struct wal_hold *hold)
{
	return hold->state;
}

uint32_t wal_hold_backfilled(const struct wal_hold *hold)
{
	return hold->backfilled;
}

/* ---- opening ---- */

/* Begin to read; then capture what is there, again if the WAL restarts meanwhile. */
static enum status take_hold(struct wal_hold *h, struct error *err)
{
	int64_t until = clock_mono_ns() + NS_PER_S;
	struct wal_index_header now;
	struct hold_taken taken;
	enum status status = ST_RETRY;

	while (status == ST_RETRY && clock_mono_ns() < until) {
		taken = (struct hold_taken){0};
		status = hold_begin(h, h->holder, err);
		if (status == ST_OK && !hold_look(h, &now)) {
			status =
			    error_set(err, ST_RETRY, "the wal-index is being written");
		}
		if (status == ST_OK) {
			h->may_restart = hold_can_restart(h, &now);
			status = h->settings.take(h->settings.context, &now, 0, 0,
						  &taken, err);
		}
		if (status == ST_RETRY) {
			(void)sqlite3_reset(h->db->read[h->holder]);
			clock_sleep_ns(NS_PER_MS / 10);
		}
	}
	if (status == ST_RETRY) {
		(void)error_wrap(err, "%s: cannot be held for reading",
				 quote(h->db->path).text);
		return err->status = ST_UNFIT;
	}
	if (status == ST_OK) {
		h->header = now;
		h->captured = taken.last_frame;
		h->is_counted = h->captured == now.frame_count;
		h->counted_change = now.change;
		h->mark_frame = now.frame_count;
		status = hold_check_names(h, &now, err);
	}
	return status;
}

enum status wal_hold_open(struct db_handles *db,
			  const struct wal_hold_settings *settings,
			  struct wal_hold **out, struct error *err)
{
	struct wal_hold *hold = calloc(1, sizeof *hold);
	enum status status;

	if (!hold) {
		return error_no_memory(err, "holding the WAL");
	}
	hold->db = db;
	hold->gate.index = &db->index;
	hold->settings = *settings;
	status = take_hold(hold, err);
	if (status != ST_OK) {
		wal_hold_close(hold);
		return status;
	}
	hold->news_ns = clock_mono_ns();
	hold_note_writers(hold, &hold->header);
	*out = hold;
	return ST_OK;
}

void wal_hold_close(struct wal_hold *hold)
{
	if (!hold) {
		return;
	}
	hold_drop_lock(hold);
	wal_gate_open(&hold->gate);
	for (int i = 0; i < 2; i++) {
		(void)sqlite3_reset(hold->db->read[i]);
	}
	free(hold);
}
