/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/wal_hold_parts.h"

#include <unistd.h>

#include "src/base/log.h"
#include "src/base/metrics.h"

/* Frames of the WAL. */
#define GATE_FRAMES      150   /* what is left to backfill when the gate is shut, and */
#define GATE_MOST_FRAMES 8000  /* ... what may be: a large commit may have come */
#define GATE_LAST_FRAMES 50000 /* ... where the disk is as fast as that */
#define SYNC_FRAMES      2000  /* from here on syncs there may take longer, and */
#define URGENT_FRAMES    4000  /* ... transactions are waited for longer */
#define SMALL_PASS       16    /* of a checkpoint that hands over, mostly */

#define GATE_PASSES 3 /* checkpoints before the gate is shut */

#define BUSY_PASS_NS  (2 * NS_PER_MS)   /* tries of a checkpoint that is busy */
#define BUSY_WRITE_NS (20 * NS_PER_MS)  /* the same while we hold the write lock */
#define WRITE_LOCK_NS (100 * NS_PER_MS) /* tries of the write lock */
#define LIMITED_NS    (3 * NS_PER_MS)   /* wait for readers, with the write lock */
#define GATE_NS       (1 * NS_PER_MS)   /* a writer is awaited between two commits: */
#define GATE_MOST_NS  (20 * NS_PER_MS)  /* this and two commits, up to this; for each */
#define GATE_FRAME_NS (10 * NS_PER_US)  /* ... frame so long from URGENT_FRAMES on, */
#define GATE_LAST_NS  (200 * NS_PER_MS) /* ... up to this */
#define STALL_NS      (1 * NS_PER_S)    /* a writer may have to wait there so long */
#define BUSY_GATE_NS  (200 * NS_PER_MS) /* tries of a checkpoint there */
#define SLOW_NS       (50 * NS_PER_MS)  /* checkpoints do not gain on the writer */
#define SPIN_NS       (5 * NS_PER_US)
#define BACK_OFF_MIN  (10 * NS_PER_MS)
#define BACK_OFF_MAX  (2 * NS_PER_S)

/* Put the next try off for a while, longer each time. */
static void put_off(struct wal_hold *h, int64_t now)
{
	h->back_off = h->back_off == 0 ? BACK_OFF_MIN : 2 * h->back_off;
	if (h->back_off > BACK_OFF_MAX) {
		h->back_off = BACK_OFF_MAX;
	}
	h->not_before = now + h->back_off;
}

/* Learn what a checkpoint of a few frames takes: quickly when it is less than thought,
 * slowly when it is more, for a disk is slow at times. */
static void count_pass(struct wal_hold *h, uint32_t backfilled, int64_t took)
{
	if (backfilled - h->last_pass <= SMALL_PASS) {
		h->pass_ns += (took - h->pass_ns) / (took < h->pass_ns ? 1 : 8);
	}
}

/*
 * Learn how much may be left to the gate. A writer that is faster than the disk has to
 * wait for it there: its own checkpoints would make it wait as well.
 */
static void count_speed(struct wal_hold *h, uint32_t done, int64_t took)
{
	int64_t most = done * STALL_NS / (took + 1);

	if (done >= GATE_FRAMES) {
		h->gate_most =
		    (uint32_t)(most < GATE_LAST_FRAMES ? most : GATE_LAST_FRAMES);
	}
	if (h->gate_most < GATE_MOST_FRAMES) {
		h->gate_most = GATE_MOST_FRAMES;
	}
}

/*
 * SQLite's PASSIVE checkpoint up to our mark; tried for `busy_ns` while another one is
 * at work. ST_RETRY: its syncs were not done by `until_ns` (0: no deadline), and it
 * counts for nothing. Sets is_limited: a long reader of the application keeps it from
 * going so far.
 */
static enum status checkpoint(struct wal_hold *h, int64_t busy_ns, int64_t until_ns,
			      struct error *err)
{
	int64_t start = clock_mono_ns();
	enum status status = hold_check_names(h, &h->header, err);
	bool keeps_lock = h->holds_lock;
	int in_log = 0;
	int backfilled = 0;
	int rc;

	if (status != ST_OK) {
		return status;
	}
	hold_drop_lock(h); /* SQLite takes it itself */
	checkpoint_vfs_limit(h->db->vfs, until_ns);
	for (;;) {
		rc = sqlite3_wal_checkpoint_v2(h->db->checkpointer, "main",
					       SQLITE_CHECKPOINT_PASSIVE, &in_log,
					       &backfilled);
		if ((rc & 0xff) != SQLITE_BUSY || clock_mono_ns() - start >= busy_ns) {
			break;
		}
		clock_sleep_ns(SPIN_NS);
	}
	if (keeps_lock) {
		hold_want_lock(h);
	}
	h->is_limited = false;
	h->last_pass = h->mark_frame;
	metrics_took(METRIC_CHECKPOINT_TIME, clock_mono_ns() - start);
	if (checkpoint_vfs_was_late(h->db->vfs)) {
		metrics_count(METRIC_CHECKPOINT_FAILURES, 1);
		return error_set(err, ST_RETRY, "the disk is slow");
	}
	if (rc == SQLITE_OK) {
		int64_t took = clock_mono_ns() - start;

		metrics_count(METRIC_CHECKPOINTS, 1);
		count_pass(h, (uint32_t)backfilled, took);
		if ((uint32_t)backfilled > h->limit) {
			count_speed(h, (uint32_t)backfilled - h->limit, took);
		}
		/* A reader at the same place as the last time is a long one. */
		h->is_limited = backfilled >= 0 &&
				(uint32_t)backfilled < h->mark_frame &&
				(uint32_t)backfilled == h->limit;
		h->limit = (uint32_t)backfilled;
	} else if ((rc & 0xff) != SQLITE_BUSY) {
		metrics_count(METRIC_CHECKPOINT_FAILURES, 1);
		log_line(h->has_warned ? LOG_DEBUG : LOG_WARN, "%s: checkpoint: %s",
			 h->db->path, sqlite3_errmsg(h->db->checkpointer));
		h->has_warned = true;
		h->is_limited = true;
	}
	return ST_OK;
}

/* Wait until just after a commit: then the time to the next one is the longest. */
static void await_commit(const struct wal_hold *h)
{
	int64_t until = clock_mono_ns() + QUIET_MOST_NS;
	struct wal_index_header now;

	while (wal_index_read(&h->db->index, &now) &&
	       wal_index_same(&now, &h->header) && clock_mono_ns() < until) {
		clock_sleep_ns(SPIN_NS);
	}
}

/*
 * Bring all that is captured into the database file and step to ZERO. While commits
 * come in between, what is left each time is less.
 */
static enum status hand_over(struct wal_hold *h, int tries, int64_t busy_ns,
			     int64_t until_ns, struct error *err)
{
	int64_t slow = clock_mono_ns() + SLOW_NS;

	for (int i = 0; i < tries; i++) {
		enum status status;

		if (i > 1) {
			await_commit(h);
		}
		status = hold_take_turn(h, err);

		if (status != ST_OK || h->state == HOLD_ZERO) {
			return status;
		}
		status = checkpoint(h, busy_ns, until_ns, err);
		if (status != ST_OK) {
			return status;
		}
		if (h->is_limited || clock_mono_ns() >= slow) {
			break;
		}
	}
	return hold_take_turn(h, err);
}

/* A try of a handover; where a long reader is in the way, not again for a while. */
enum status hold_attempt(struct wal_hold *h, int tries, struct error *err)
{
	bool keeps_lock = h->holds_lock;
	enum status status;

	hold_want_lock(h); /* or the writer begins one of its own in between */
	status = hand_over(h, tries, BUSY_PASS_NS, 0, err);
	if (!keeps_lock && h->header.frame_count < TAKE_FRAMES) {
		hold_drop_lock(h); /* an application may want to run one */
	}

	if (h->is_limited && h->state != HOLD_ZERO) {
		put_off(h, clock_mono_ns());
	}
	return status;
}

/* Go back to a reader; until it reads, one slot of the gate holds. */
enum status hold_leave_gate(struct wal_hold *h, struct error *err)
{
	enum status status;

	wal_gate_open_most(&h->gate);
	status = hold_take_turn(h, err);
	if (status == ST_OK) {
		wal_gate_mark(&h->gate, h->mark_frame);
		wal_gate_open(&h->gate);
	}
	return status;
}

/* Capture what came since the last look, if that is soon done: others are waiting. */
static enum status catch_up_at_gate(struct wal_hold *h, struct error *err)
{
	struct wal_index_header now;

	if (!hold_look(h, &now) ||
	    now.frame_count - h->backfilled_seen > h->gate_most) {
		return error_set(err, ST_RETRY, "too much is left for the gate");
	}
	return hold_accept(h, &now, err);
}

/*
 * Lock the slots that are free, to hold instead of the reader. As in any turn the
 * reader ends only after everything up to a header read after that is captured: a
 * checkpoint may be at work that looked at those slots before they were ours, and will
 * find the reader gone.
 */
static enum status take_gate(struct wal_hold *h, struct error *err)
{
	enum status status;

	if (h->may_restart) {
		return ST_OK; /* the mark may be one of another generation */
	}
	(void)wal_gate_push(&h->gate);
	if (!wal_gate_holds(&h->gate)) {
		return ST_OK;
	}
	wal_gate_mark(&h->gate, h->mark_frame);
	status = catch_up_at_gate(h, err);
	if (status == ST_OK) {
		(void)sqlite3_reset(h->db->read[h->holder]);
	} else {
		wal_gate_open(&h->gate);
	}
	return status;
}

/*
 * How long writers may wait at the gate for the disk. Alone they would wait for two
 * syncs every thousand frames; here they may wait the longer the more they have
 * written.
 */
static int64_t sync_budget(const struct wal_hold *h)
{
	int64_t budget = SYNC_MOST_NS;

	if (h->header.frame_count > SYNC_FRAMES) {
		budget += (h->header.frame_count - SYNC_FRAMES) * GATE_FRAME_NS;
	}
	return budget < STALL_NS ? budget : STALL_NS;
}

/* Would two syncs, as slow as the last ones, be late at the gate again? */
static bool is_too_slow(const struct wal_hold *h)
{
	return h->is_disk_slow &&
	       2 * checkpoint_vfs_bounded_ns(h->db->vfs) > sync_budget(h);
}

/* Bring the rest into the database file, and make what was captured safe, while the
 * gate is shut. */
static enum status finish_at_gate(struct wal_hold *h, struct error *err)
{
	int64_t until = clock_mono_ns() + sync_budget(h);
	enum status status = checkpoint(h, BUSY_GATE_NS, until, err);

	h->is_disk_slow = status == ST_RETRY;
	if (status == ST_OK) {
		h->settle_ns = until;
		status = hold_settle(h, err);
	}
	return status;
}

/* How long transactions may take to end: two commits, or longer when it is urgent. */
static int64_t gate_wait(const struct wal_hold *h)
{
	int64_t wait = GATE_NS + 2 * h->gap_ns;

	if (h->header.frame_count >= GATE_LAST_NS / GATE_FRAME_NS) {
		return GATE_LAST_NS;
	}
	if (h->header.frame_count >= URGENT_FRAMES) {
		return h->header.frame_count * GATE_FRAME_NS;
	}
	return wait < GATE_MOST_NS ? wait : GATE_MOST_NS;
}

/*
 * Bring the rest into the database file while no transaction can begin. The writer is
 * caught between two of them, and waits as long as its own checkpoint would last.
 */
static enum status shut_gate(struct wal_hold *h, struct error *err)
{
	int64_t until = clock_mono_ns() + gate_wait(h);
	int64_t shut_ns = 0;
	enum status status = take_gate(h, err);
	enum status left;

	if (status != ST_OK || !wal_gate_holds(&h->gate)) {
		return status;
	}
	while (!wal_gate_push(&h->gate) && clock_mono_ns() < until) {
	}
	if (wal_gate_push(&h->gate)) {
		shut_ns = clock_mono_ns();
		status = catch_up_at_gate(h, err);
		if (status == ST_OK) {
			h->mark_frame = h->captured;
			wal_gate_mark(&h->gate, h->captured);
			status = finish_at_gate(h, err);
		}
		h->failed_shuts = 0;
	} else {
		h->failed_shuts += h->failed_shuts < GATE_FAILS;
		metrics_count(METRIC_GATE_FAILURES, 1);
	}
	if (status != ST_OK && status != ST_RETRY) {
		return status;
	}
	left = hold_leave_gate(h, err);
	if (shut_ns > 0) {
		metrics_took(METRIC_GATE_TIME, clock_mono_ns() - shut_ns);
	}
	h->settle_ns = 0;
	return left == ST_OK ? status : left;
}

static void sync_file(const struct wal_hold *h)
{
	int64_t start = clock_mono_ns();

	(void)fdatasync(h->db->db_fd);
	checkpoint_vfs_count(h->db->vfs, clock_mono_ns() - start);
}

/*
 * Under a writer that is never quiet: most of it is backfilled and synced first, then
 * the rest while the writer waits. A writer that is faster than the disk waits for
 * more. If it fails, the checkpoint lock is kept again.
 */
enum status hold_pass(struct wal_hold *h, struct error *err)
{
	int64_t slow = clock_mono_ns() + SLOW_NS;
	uint32_t left = UINT32_MAX; /* by the last checkpoint, frames */
	enum status status = ST_OK;
	bool is_enough = false;

	hold_want_lock(h);
	if (is_too_slow(h)) {
		return hold_attempt(h, 1, err); /* later: the WAL is not long enough */
	}
	for (int i = 0; i < GATE_PASSES && status == ST_OK && !is_enough; i++) {
		uint32_t before = left;

		status = hold_attempt(h, 1, err);
		if (h->state == HOLD_ZERO || h->is_limited) {
			hold_drop_lock(h);
			return status;
		}
		left = h->header.frame_count - h->limit;
		is_enough = i > 0 && (left <= GATE_FRAMES || left >= before ||
				      clock_mono_ns() >= slow);
		if (!is_enough) {
			sync_file(h); /* the less is left to sync at the gate */
		}
	}
	if (status == ST_OK && h->captured == h->header.frame_count) {
		status = shut_gate(h, err);
	}
	if (h->state != HOLD_ZERO) {
		h->failed_passes += !h->is_disk_slow && h->failed_passes < GATE_FAILS;
		if (!wal_gate_holds(&h->gate)) {
			hold_want_lock(h);
		}
	}
	return status;
}

static bool spin_for_write_lock(const struct wal_hold *h)
{
	int64_t until = clock_mono_ns() + WRITE_LOCK_NS;
	struct wal_index_header now;

	while (!wal_index_lock(&h->db->index, WAL_LOCK_WRITE)) {
		if (clock_mono_ns() >= until) {
			return false;
		}
		clock_sleep_ns(SPIN_NS);
	}
	/* A writer that died in the header: to begin is to recover, which needs it. */
	if (!wal_index_read(&h->db->index, &now)) {
		wal_index_unlock(&h->db->index, WAL_LOCK_WRITE);
		return false;
	}
	return true;
}

/* The last resort: nobody writes while the rest is handed over. */
enum status hold_escalate(struct wal_hold *h, struct error *err)
{
	enum status status = hold_attempt(h, 1, err);

	if (status != ST_OK || h->state == HOLD_ZERO || h->is_limited) {
		return status;
	}
	if (spin_for_write_lock(h)) {
		int64_t until = clock_mono_ns() + LIMITED_NS;
		int64_t late = clock_mono_ns() + SYNC_MOST_NS;

		status = hand_over(h, 1, BUSY_WRITE_NS, late, err);
		/* A short reader, or another one that follows, may be in the way. */
		while (status == ST_OK && h->state != HOLD_ZERO &&
		       clock_mono_ns() < until) {
			clock_sleep_ns(MARK_NS);
			status = hand_over(h, 1, BUSY_WRITE_NS, late, err);
		}
		wal_index_unlock(&h->db->index, WAL_LOCK_WRITE);
	}
	if (h->state != HOLD_ZERO) {
		put_off(h, clock_mono_ns());
	}
	return status;
}
