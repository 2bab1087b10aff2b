/* SPDX-License-Identifier: Apache-2.0 */
#include "src/wal_hold.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/wal_frame.h"
#include "src/wal_gate.h"

/* Frames of the WAL. */
#define NATURAL_FRAMES   500  /* a handover is due at the next quiet moment */
#define NATURAL_STEP     300  /* more until the next try */
#define TAKE_FRAMES      800  /* the checkpoint lock is ours from here */
#define PASS_FRAMES      800  /* without a quiet moment: a handover at the gate, and */
#define PASS_BULK_FRAMES 2000 /* ... where transactions have BULK_FRAMES and more */
#define BULK_FRAMES      8
#define GATE_FRAMES      150   /* what is left to backfill when the gate is shut, and */
#define GATE_MOST_FRAMES 8000  /* ... what may be: a large commit may have come */
#define URGENT_FRAMES    4000  /* transactions are waited for longer */
#define ESCALATE_FRAMES  12000 /* the write lock, where allowed */
#define SMALL_PASS       16    /* of a checkpoint that hands over, mostly */

#define NATURAL_TRIES 4 /* checkpoints in one try */
#define NATURAL_FAILS 3 /* tries in a row: then only in longer pauses */
#define GATE_PASSES   3 /* checkpoints before the gate is shut */
#define GATE_FAILS    2 /* each failure doubles the frames to the next try, so often */

#define QUIET_NS       (300 * NS_PER_US) /* without a commit: a quiet moment; as long */
#define QUIET_MOST_NS  (2 * NS_PER_MS)   /* as a checkpoint takes, between these two */
#define MARK_NS        (50 * NS_PER_US)  /* ... and the mark may move on */
#define MARK_LATEST_NS (1 * NS_PER_MS)   /* the mark moves on though commits go on */
#define IDLE_NS        (200 * NS_PER_MS) /* a handover although the WAL is short */
#define ALONE_NS       (2 * NS_PER_MS)   /* the same when nobody else is there */
#define ALONE_LOOK_NS  (5 * NS_PER_MS)   /* between two looks at who else is there */
#define TRUNCATE_NS    (1 * NS_PER_S)    /* alone without a commit: empty the WAL */
#define TORN_NS        (50 * NS_PER_MS)  /* an unreadable header is recovered */
#define BUSY_PASS_NS   (2 * NS_PER_MS)   /* tries of a checkpoint that is busy */
#define BUSY_WRITE_NS  (20 * NS_PER_MS)  /* the same while we hold the write lock */
#define WRITE_LOCK_NS  (100 * NS_PER_MS) /* tries of the write lock */
#define MOVED_LOOK_NS  (50 * NS_PER_MS)  /* between two looks at the path */
#define LIMITED_NS     (3 * NS_PER_MS)  /* readers are waited for with the write lock */
#define ASIDE_NS       (5 * NS_PER_MS)  /* another slot, in case ours is waited for */
#define GATE_NS        (1 * NS_PER_MS)  /* a writer is awaited between two commits: */
#define GATE_MOST_NS   (20 * NS_PER_MS) /* this and two commits, up to this; for each */
#define GATE_FRAME_NS  (10 * NS_PER_US) /* ... frame so long from URGENT_FRAMES on */
#define SPIN_NS        (5 * NS_PER_US)
#define ZERO_TICK_NS   (50 * NS_PER_MS)
#define MARK_TICK_NS   (10 * NS_PER_MS)
#define BACK_OFF_MIN   (10 * NS_PER_MS)
#define BACK_OFF_MAX   (2 * NS_PER_S)

/* A generation that is over: enough to know it again. */
struct past_generation {
	bool is_known;
	uint8_t salt[8];
	uint32_t last_frame;
	uint8_t frame_header[WAL_FRAME_HEADER_BYTES];
	uint32_t page_sum[2];
};

struct wal_hold {
	struct db_handles *db;
	struct wal_hold_settings settings;
	enum hold_state state;
	int holder;          /* the reader that stands in the way */
	bool may_restart;    /* the holder may be in slot 0 */
	uint32_t mark_frame; /* its mark is at most this */

	struct wal_index_header header; /* the last that was accepted */
	uint32_t generation;
	uint32_t captured; /* frames of it */
	struct past_generation past;
	uint64_t looks;           /* headers accepted, whether or not there was room */
	uint32_t backfilled_seen; /* just before the last header was read */
	uint32_t backfilled;      /* the same, of the generation that is captured */

	/* Alarm: commits that the header counted against commits that were captured. */
	uint32_t counted_change;
	uint32_t counted_commits;
	uint32_t counted_commit_frames;

	int64_t news_ns;       /* when the header last changed */
	int64_t mark_ns;       /* when the holder began */
	int64_t torn_ns;       /* since when the header is unreadable; 0: it is not */
	int64_t moved_ns;      /* when we last looked whether the file is still there */
	int64_t alone_ns;      /* when we last looked who else is there */
	bool is_alone;         /* then */
	bool holds_lock;       /* the checkpoint lock */
	struct wal_gate gate;  /* its slots hold as well */
	uint32_t limit;        /* where a checkpoint ended that a reader limited */
	bool is_limited;       /* the last one was, by a long reader */
	bool has_warned;       /* of a checkpoint that failed */
	uint32_t next_try;     /* frames at which a handover is tried again */
	unsigned failed_tries; /* of natural handovers, one after the other */
	unsigned failed_passes; /* of those at the gate, at most GATE_FAILS */
	bool is_bulk;           /* transactions are large */
	int64_t gap_ns;         /* between two commits, about */
	int64_t pass_ns;        /* what a small checkpoint takes, about */
	uint32_t last_pass;     /* frames at the last checkpoint of ours */
	uint32_t next_pass;     /* frames at which a handover is forced */
	int64_t not_before;     /* no checkpoint of ours before this time */
	int64_t back_off;       /* how far that was put off the last time */
	int64_t truncate_ns;    /* no truncation before this time */

	bool has_baseline; /* nobody but SQLite may change the file now */
	struct stat baseline;
};

static const char *const state_names[] = {"mark", "zero", "lost"};

static void set_state(struct wal_hold *h, enum hold_state state)
{
	if (h->state != state) {
		log_debug("hold: %s -> %s at frame %u of generation %u",
			  state_names[h->state], state_names[state],
			  (unsigned)h->captured, (unsigned)h->generation);
		h->state = state;
	}
}

static enum status lost(struct wal_hold *h, struct error *err, const char *what)
{
	set_state(h, HOLD_LOST);
	return error_set(err, ST_LOST, "%s: %s; start rowtail again", h->db->path,
			 what);
}

static enum status check_moved(struct wal_hold *h, struct error *err)
{
	if (db_is_moved(h->db)) {
		return lost(h, err, "was replaced by another file, or removed");
	}
	return ST_OK;
}

/* --- the database file between two commits ------------------------------------------
 */

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* In ZERO no SQLite writes to the file: is it as it was? */
static enum status check_baseline(struct wal_hold *h, struct error *err)
{
	struct stat now;

	if (!h->has_baseline || fstat(h->db->db_fd, &now) != 0) {
		return ST_OK;
	}
	if (now.st_size != h->baseline.st_size ||
	    !is_same_time(&now.st_mtim, &h->baseline.st_mtim)) {
		return lost(h, err, "was changed by something other than SQLite");
	}
	return ST_OK;
}

/* --- accepting a header -------------------------------------------------------------
 */

/* The bytes that prove, later, that this generation is the same one. */
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

/* A writer that died just after a restart can leave the WAL as it was before. */
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
			   : lost(h, err,
				  "has lost commits in a crash of its writers (frames "
				  "of "
				  "the WAL are gone)");
	}
	if (h->captured == 0 && is_resurrected(h, now)) {
		from = h->past.last_frame;
		log_debug("hold: the previous generation is back at frame %u",
			  (unsigned)now->frame_count);
	} else if (!h->may_restart) {
		return lost(h, err, "had its WAL restarted in spite of the read lock");
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
	h->next_try = NATURAL_FRAMES;
	h->next_pass = PASS_FRAMES;
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

	if (!agrees && !recovered) {
		log_debug("hold: %u commits counted, %u captured (%u commit frames)",
			  (unsigned)delta, (unsigned)h->counted_commits,
			  (unsigned)h->counted_commit_frames);
		return lost(h, err, "has commits that were not captured");
	}
	h->counted_change = now->change;
	h->counted_commits = 0;
	h->counted_commit_frames = 0;
	return ST_OK;
}

/*
 * The header, and before it how much is backfilled. Only in this order does the second
 * say what is in the file: a checkpoint leaves out a page of which it sees a newer
 * frame that it may not copy yet, and counts the older one as done all the same.
 */
static bool look(struct wal_hold *h, struct wal_index_header *now)
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

/* Capture everything up to `now`. ST_RETRY: not all of it. */
static enum status accept(struct wal_hold *h, const struct wal_index_header *now,
			  struct error *err)
{
	struct hold_taken taken = {0};
	enum status status;

	if (wal_index_same(now, &h->header) && h->captured == now->frame_count) {
		h->looks++;
		return ST_OK;
	}
	status = check_moved(h, err);
	if (status == ST_OK) {
		status = place(h, now, err);
	}
	if (status != ST_OK) {
		return status;
	}
	note_backfilled(h, now);
	h->header = *now;
	h->looks++;
	if (now->frame_count > h->captured) {
		if (now->page_size != h->db->page_size) {
			return lost(h, err, "has another page size");
		}
		taken.last_frame = h->captured;
		status = h->settings.take(h->settings.context, now, h->generation,
					  h->captured, &taken, err);
		h->captured = taken.last_frame;
		h->counted_commits += taken.commits;
		h->counted_commit_frames += taken.commit_frames;
	}
	return status == ST_OK ? check_count(h, now, err) : status;
}

/* Look, and capture everything up to the header that was read. ST_RETRY: not all. */
static enum status catch_up(struct wal_hold *h, struct wal_index_header *now,
			    struct error *err)
{
	return look(h, now)
		   ? accept(h, now, err)
		   : error_set(err, ST_RETRY, "the wal-index is being written");
}

/* --- taking turns -------------------------------------------------------------------
 */

static enum status begin(struct wal_hold *h, int reader, struct error *err)
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
		return error_set(err, ST_RETRY, "%s: %s", h->db->path,
				 sqlite3_errmsg(db));
	case SQLITE_NOMEM:
		return error_set(err, ST_NOMEM, "%s: out of memory", h->db->path);
	default:
		return error_set(err, ST_IO, "%s: %s", h->db->path, sqlite3_errmsg(db));
	}
}

static void want_lock(struct wal_hold *h)
{
	h->holds_lock =
	    h->holds_lock || wal_index_lock(&h->db->index, WAL_LOCK_CHECKPOINT);
}

static void drop_lock(struct wal_hold *h)
{
	if (h->holds_lock) {
		wal_index_unlock(&h->db->index, WAL_LOCK_CHECKPOINT);
		h->holds_lock = false;
	}
}

static void enter_zero(struct wal_hold *h)
{
	drop_lock(h);
	set_state(h, HOLD_ZERO);
	h->back_off = 0;
	h->failed_tries = 0;
	h->failed_passes = 0;
	h->not_before = 0;
	h->is_limited = false;
	remember(h);
}

/*
 * Whether the WAL may restart although a reader has begun before this header was read.
 * A restart may come between any two of the reads, and counts from 0 after its header.
 */
static bool can_restart(const struct wal_hold *h, const struct wal_index_header *now)
{
	return now->frame_count == 0 || h->backfilled_seen == now->frame_count ||
	       wal_index_backfilled(&h->db->index) == now->frame_count;
}

/*
 * The other reader takes over, and everything that it could see is captured first.
 * ST_RETRY: it did not; the old one stays.
 */
static enum status take_turn(struct wal_hold *h, struct error *err)
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
		drop_lock(h); /* to begin is to recover then, which needs it */
	}
	status = begin(h, other, err);
	if (status != ST_OK) {
		return status;
	}
	status = catch_up(h, &now, err);
	is_done = status == ST_OK && wal_index_backfilled(index) == now.frame_count;
	may_restart = status == ST_OK && can_restart(h, &now);
	if (may_restart && h->settings.settle) {
		status = h->settings.settle(h->settings.context, err);
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
		set_state(h, HOLD_MARK);
		h->has_baseline = false;
	} else if (h->state != HOLD_ZERO) {
		enter_zero(h);
	}
	return ST_OK;
}

/* ST_RETRY is no failure for most callers: the next look tries again. */
static enum status unless_retry(enum status status)
{
	return status == ST_RETRY ? ST_OK : status;
}

/* --- checkpoints --------------------------------------------------------------------
 */

/* Not again for a while, and longer each time. */
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
 * SQLite's PASSIVE checkpoint up to our mark; while another one is at work, for
 * `busy_ns`. Sets is_limited: a long reader of the application keeps it from going so
 * far.
 */
static enum status checkpoint(struct wal_hold *h, int64_t busy_ns, struct error *err)
{
	int64_t start = clock_mono_ns();
	enum status status = check_moved(h, err);
	bool keeps_lock = h->holds_lock;
	int in_log = 0;
	int backfilled = 0;
	int rc;

	if (status != ST_OK) {
		return status;
	}
	drop_lock(h); /* SQLite takes it itself */
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
		want_lock(h);
	}
	h->is_limited = false;
	if (rc == SQLITE_OK) {
		count_pass(h, (uint32_t)backfilled, clock_mono_ns() - start);
		/* A reader at the same place as the last time is a long one. */
		h->is_limited = backfilled >= 0 &&
				(uint32_t)backfilled < h->mark_frame &&
				(uint32_t)backfilled == h->limit;
		h->limit = (uint32_t)backfilled;
	} else if ((rc & 0xff) != SQLITE_BUSY) {
		log_line(h->has_warned ? LOG_DEBUG : LOG_WARN, "%s: checkpoint: %s",
			 h->db->path, sqlite3_errmsg(h->db->checkpointer));
		h->has_warned = true;
		h->is_limited = true;
	}
	h->last_pass = h->mark_frame;
	return ST_OK;
}

/* Until just after a commit: then the time to the next one is the longest. */
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
			     struct error *err)
{
	for (int i = 0; i < tries; i++) {
		enum status status;

		if (i > 1) {
			await_commit(h);
		}
		status = take_turn(h, err);

		if (status != ST_OK || h->state == HOLD_ZERO) {
			return status;
		}
		status = checkpoint(h, busy_ns, err);
		if (status != ST_OK) {
			return status;
		}
		if (h->is_limited) {
			break;
		}
	}
	return take_turn(h, err);
}

/* A try of a handover; where a long reader is in the way, not again for a while. */
static enum status attempt(struct wal_hold *h, int tries, struct error *err)
{
	enum status status = hand_over(h, tries, BUSY_PASS_NS, err);

	if (h->is_limited && h->state != HOLD_ZERO) {
		put_off(h, clock_mono_ns());
	}
	return status;
}

/* Back to a reader; until it reads, one slot of the gate holds. */
static enum status leave_gate(struct wal_hold *h, struct error *err)
{
	enum status status;

	wal_gate_open_most(&h->gate);
	status = take_turn(h, err);
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

	if (!look(h, &now) || now.frame_count - h->backfilled_seen > GATE_MOST_FRAMES) {
		return error_set(err, ST_RETRY, "too much is left for the gate");
	}
	return accept(h, &now, err);
}

/*
 * The slots that are free hold instead of the reader. As in any turn it ends only after
 * everything up to a header read later than that is captured: a checkpoint may be at
 * work that looked at those slots before they were ours, and will find the reader gone.
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

/* How long transactions may take to end: two commits, or longer when it is urgent. */
static int64_t gate_wait(const struct wal_hold *h)
{
	int64_t wait = GATE_NS + 2 * h->gap_ns;

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
	enum status status = take_gate(h, err);
	enum status left;

	if (status != ST_OK || !wal_gate_holds(&h->gate)) {
		return status;
	}
	while (!wal_gate_push(&h->gate) && clock_mono_ns() < until) {
	}
	if (wal_gate_push(&h->gate)) {
		status = catch_up_at_gate(h, err);
		if (status == ST_OK) {
			h->mark_frame = h->captured;
			wal_gate_mark(&h->gate, h->captured);
			status = checkpoint(h, BUSY_WRITE_NS, err);
		}
	}
	if (status != ST_OK && status != ST_RETRY) {
		return status;
	}
	left = leave_gate(h, err);
	return left == ST_OK ? status : left;
}

/*
 * Under a writer that is never quiet: most of it is backfilled and synced first, then
 * the rest while the writer waits. If that fails, the checkpoint lock again.
 */
static enum status pass(struct wal_hold *h, struct error *err)
{
	enum status status = ST_OK;
	uint32_t rest = UINT32_MAX; /* what the last checkpoint left, frames */
	bool is_near = false;       /* or no nearer than before */

	want_lock(h); /* the writer would begin one of its own in between */
	for (int i = 0; i < GATE_PASSES && status == ST_OK && !is_near; i++) {
		if (i == 1) {
			(void)fdatasync(
			    h->db->db_fd); /* the last checkpoint does it again */
		}
		status = attempt(h, 1, err);
		if (h->state == HOLD_ZERO || h->is_limited) {
			return status;
		}
		is_near = i > 0 && (h->header.frame_count - h->limit <= GATE_FRAMES ||
				    h->header.frame_count - h->limit >= rest);
		rest = h->header.frame_count - h->limit;
	}
	if (status == ST_OK && h->captured == h->header.frame_count) {
		status = shut_gate(h, err);
	}
	if (h->state != HOLD_ZERO) {
		h->failed_passes += h->failed_passes < GATE_FAILS;
		if (!wal_gate_holds(&h->gate)) {
			want_lock(h);
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
static enum status escalate(struct wal_hold *h, struct error *err)
{
	enum status status = attempt(h, 1, err);

	if (status != ST_OK || h->state == HOLD_ZERO || h->is_limited) {
		return status;
	}
	if (spin_for_write_lock(h)) {
		int64_t until = clock_mono_ns() + LIMITED_NS;

		status = hand_over(h, 1, BUSY_WRITE_NS, err);
		/* A short reader, or another one that follows, may be in the way. */
		while (status == ST_OK && h->state != HOLD_ZERO &&
		       clock_mono_ns() < until) {
			clock_sleep_ns(MARK_NS);
			status = hand_over(h, 1, BUSY_WRITE_NS, err);
		}
		wal_index_unlock(&h->db->index, WAL_LOCK_WRITE);
	}
	if (h->state != HOLD_ZERO) {
		put_off(h, clock_mono_ns());
	}
	return status;
}

/* --- what to do now -----------------------------------------------------------------
 */

static bool look_alone(struct wal_hold *h, int64_t now)
{
	if (now - h->alone_ns >= ALONE_LOOK_NS) {
		h->alone_ns = now;
		h->is_alone = !db_is_shared(h->db);
	}
	return h->is_alone;
}

/* Everything is in the file and nobody is there: leave it as if closed. */
static enum status empty_wal(struct wal_hold *h, struct error *err)
{
	const struct wal_index *index = &h->db->index;
	struct wal_index_header now;
	enum status status = check_moved(h, err);

	if (status != ST_OK || db_is_shared(h->db)) {
		return status;
	}
	if (sqlite3_wal_checkpoint_v2(h->db->checkpointer, "main",
				      SQLITE_CHECKPOINT_TRUNCATE, NULL,
				      NULL) != SQLITE_OK) {
		return ST_OK;
	}
	/* The page count would stay in the wal-index, and be believed over a file that
	 * is put in this one's place. */
	if (wal_index_lock(index, WAL_LOCK_WRITE)) {
		if (wal_index_read(index, &now) && now.frame_count == 0) {
			wal_index_wipe(index);
		}
		wal_index_unlock(index, WAL_LOCK_WRITE);
	}
	(void)sqlite3_step(h->db->probe); /* recovers */
	(void)sqlite3_reset(h->db->probe);
	return unless_retry(take_turn(h, err));
}

/* In ZERO with nothing new. */
static enum status rest(struct wal_hold *h, int64_t now, struct error *err)
{
	struct stat wal;
	enum status status = check_baseline(h, err);

	if (status == ST_OK && now - h->mark_ns >= ZERO_TICK_NS) {
		/* It may be a mark after all, which a restart would wait for. */
		status = unless_retry(take_turn(h, err));
	}
	if (status != ST_OK || h->state != HOLD_ZERO || h->db->degraded ||
	    now - h->news_ns < TRUNCATE_NS || now < h->truncate_ns) {
		return status;
	}
	h->truncate_ns = now + ZERO_TICK_NS;
	if (h->has_baseline || !look_alone(h, now) || fstat(h->db->wal_fd, &wal) != 0) {
		return ST_OK;
	}
	if (wal.st_size > 0) {
		status = empty_wal(h, err);
		h->truncate_ns = now + TRUNCATE_NS;
	}
	if (status == ST_OK && h->state == HOLD_ZERO &&
	    fstat(h->db->wal_fd, &wal) == 0 && wal.st_size == 0) {
		h->has_baseline = fstat(h->db->db_fd, &h->baseline) == 0;
	}
	return status;
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
 * Take another slot. An application's checkpoint that waits with its busy handler waits
 * for a slot to be free, not for its mark to move on, and decided so before we were in
 * it, if it was unlucky; it has the checkpoint lock and the write lock all that time.
 * Of slots with equal marks a reader takes the last one.
 */
static enum status step_aside(struct wal_hold *h, struct error *err)
{
	(void)wal_gate_push(&h->gate);
	wal_gate_mark(&h->gate, h->mark_frame);
	wal_gate_open(&h->gate);
	return take_turn(h, err);
}

static uint32_t pass_frames(const struct wal_hold *h)
{
	return h->is_bulk ? PASS_BULK_FRAMES : PASS_FRAMES;
}

/* In MARK: is it time to hand over? */
static enum status work(struct wal_hold *h, int64_t now, struct error *err)
{
	uint32_t frames = h->header.frame_count;
	uint32_t backfilled = wal_index_backfilled(&h->db->index);
	int64_t quiet = now - h->news_ns;
	bool all_captured = h->captured == frames;

	if (all_captured && backfilled == frames) {
		drop_lock(h);
		return take_turn(h, err);
	}
	if (all_captured && !h->db->degraded && now >= h->not_before) {
		if (quiet >= quiet_enough(h) && frames >= h->next_try) {
			h->next_try = frames + NATURAL_STEP;
			h->failed_tries++;
			return attempt(h, NATURAL_TRIES, err);
		}
		if (quiet >= IDLE_NS || (quiet >= ALONE_NS && look_alone(h, now))) {
			return attempt(h, NATURAL_TRIES, err);
		}
		if (frames >= ESCALATE_FRAMES && h->settings.escalate) {
			return escalate(h, err);
		}
		if (frames >= h->next_pass && frames >= pass_frames(h)) {
			h->next_pass = frames + (pass_frames(h) << h->failed_passes);
			return pass(h, err);
		}
	}
	if (quiet >= quiet_enough(h) || h->db->degraded) {
		drop_lock(h);
	} else if (frames >= TAKE_FRAMES) {
		want_lock(h);
	}
	if (h->mark_frame < h->captured &&
	    (quiet >= MARK_NS || now - h->mark_ns >= MARK_LATEST_NS)) {
		return take_turn(h, err);
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
	drop_lock(h); /* a recovery needs it */
	if (h->torn_ns == 0) {
		h->torn_ns = now;
	}
	if (now - h->torn_ns < TORN_NS) {
		return ST_OK;
	}
	h->torn_ns = now;
	return unless_retry(
	    take_turn(h, err)); /* SQLite recovers as it begins to read */
}

/* What has come since the last look that saw something. */
static void count_gap(struct wal_hold *h, const struct wal_index_header *header,
		      int64_t now)
{
	uint32_t commits = header->change - h->header.change;
	if (commits > 0 && commits < (1u << 20)) {
		int64_t gap = (now - h->news_ns) / commits;

		h->gap_ns += (gap - h->gap_ns) / 8;
		if (header->frame_count > h->header.frame_count) {
			uint32_t frames = header->frame_count - h->header.frame_count;

			h->is_bulk = frames / commits >= BULK_FRAMES;
		}
	}
	h->news_ns = now;
}

static enum status turn(struct wal_hold *hold, bool *news, struct error *err)
{
	int64_t now = clock_mono_ns();
	struct wal_index_header header;
	enum status status = ST_OK;

	*news = false;
	if (!look(hold, &header)) {
		return wait_for_header(hold, now, err);
	}
	hold->torn_ns = 0;
	if (wal_gate_holds(&hold->gate)) {
		return unless_retry(leave_gate(hold, err));
	}
	if (now - hold->moved_ns >= MOVED_LOOK_NS) {
		hold->moved_ns = now;
		status = check_moved(hold, err);
		if (status != ST_OK) {
			return status;
		}
	}
	if (!wal_index_same(&header, &hold->header)) {
		*news = true;
		count_gap(hold, &header, now);
	}
	if (hold->state == HOLD_ZERO) {
		if (!*news &&
		    wal_index_backfilled(&hold->db->index) == header.frame_count) {
			hold->looks++;
			return rest(hold, now, err);
		}
		status = check_baseline(hold, err);
		if (status == ST_OK) {
			status = take_turn(hold, err);
		}
		/* Without a mark to be had, slot 0 keeps the new frames as well. */
		return unless_retry(status == ST_RETRY ? catch_up(hold, &header, err)
						       : status);
	}
	status = accept(hold, &header, err);
	if (status == ST_OK || status == ST_RETRY) {
		status = work(hold, clock_mono_ns(), err);
	}
	return unless_retry(status);
}

enum status wal_hold_turn(struct wal_hold *hold, bool *news, struct error *err)
{
	enum status status = turn(hold, news, err);

	if (status != ST_OK) {
		/* The hold is over; writers must not wait until it is closed. */
		drop_lock(hold);
		wal_gate_open(&hold->gate);
	}
	return status;
}

int64_t wal_hold_idle_ns(const struct wal_hold *hold)
{
	return hold->state == HOLD_ZERO ? ZERO_TICK_NS : MARK_TICK_NS;
}

uint64_t wal_hold_looks(const struct wal_hold *hold)
{
	return hold->looks;
}

uint32_t wal_hold_waiting(const struct wal_hold *hold)
{
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

/* --- opening ------------------------------------------------------------------------
 */

/* Begin to read; then capture what is there, again if the WAL restarts meanwhile. */
static enum status take_hold(struct wal_hold *h, struct error *err)
{
	int64_t until = clock_mono_ns() + NS_PER_S;
	struct wal_index_header now;
	enum status status = ST_RETRY;

	while (status == ST_RETRY && clock_mono_ns() < until) {
		struct hold_taken taken = {0};

		status = begin(h, h->holder, err);
		if (status == ST_OK && !look(h, &now)) {
			status =
			    error_set(err, ST_RETRY, "the wal-index is being written");
		}
		if (status == ST_OK) {
			h->may_restart = can_restart(h, &now);
			status = h->settings.take(h->settings.context, &now, 0, 0,
						  &taken, err);
		}
		if (status == ST_RETRY) {
			(void)sqlite3_reset(h->db->read[h->holder]);
			clock_sleep_ns(NS_PER_MS / 10);
		}
	}
	if (status == ST_RETRY) {
		(void)error_wrap(err, "%s: cannot be held for reading", h->db->path);
		return err->status = ST_UNFIT;
	}
	if (status == ST_OK) {
		h->header = now;
		h->captured = now.frame_count;
		h->counted_change = now.change;
		h->mark_frame = now.frame_count;
		status = check_moved(h, err);
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
		return error_set(err, ST_NOMEM, "out of memory");
	}
	hold->db = db;
	hold->gate.index = &db->index;
	hold->settings = *settings;
	hold->next_try = NATURAL_FRAMES;
	hold->next_pass = PASS_FRAMES;
	status = take_hold(hold, err);
	if (status != ST_OK) {
		wal_hold_close(hold);
		return status;
	}
	hold->news_ns = clock_mono_ns();
	*out = hold;
	return ST_OK;
}

void wal_hold_close(struct wal_hold *hold)
{
	if (!hold) {
		return;
	}
	drop_lock(hold);
	wal_gate_open(&hold->gate);
	for (int i = 0; i < 2; i++) {
		(void)sqlite3_reset(hold->db->read[i]);
	}
	free(hold);
}
