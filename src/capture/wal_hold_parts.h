/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/wal_hold_parts.h -- what the six files of the hold share; for them
 * alone.
 *
 *     wal_duty.c ─► wal_cut.c ─► wal_handover.c ─► wal_turn.c
 *               └─► wal_leave.c ───────────────────────┘
 *
 * wal_turn.c accepts headers of the wal-index and lets the two readers take turns,
 * wal_handover.c brings what is captured into the database file, wal_cut.c empties the
 * WAL after that, wal_baseline.c notices what others write to the database file
 * meanwhile, wal_leave.c lets go of files that others cannot find any more, wal_duty.c
 * decides what is due. The rules are in src/capture/wal_hold.h.
 */
#ifndef WAL_HOLD_PARTS_H
#define WAL_HOLD_PARTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/capture/wal_frame.h"
#include "src/capture/wal_gate.h"
#include "src/capture/wal_hold.h"

#define TAKE_FRAMES 800 /* of the WAL: the checkpoint lock is ours from here */
#define GATE_FAILS  2   /* each failure doubles the frames to the next try, so often */

/* The longest that others may wait for the disk while we have the write lock; at the
 * gate it is longer where the WAL has grown long (src/capture/wal_handover.c). */
#define SYNC_MOST_NS  (20 * NS_PER_MS)
#define QUIET_MOST_NS (2 * NS_PER_MS)  /* the longest that a quiet moment has to be */
#define MARK_NS       (50 * NS_PER_US) /* without a commit: the mark may move on */
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
	bool is_ending;      /* nothing is captured any more */
	uint32_t mark_frame; /* its mark is at most this */

	struct wal_index_header header; /* the last that was accepted */
	uint32_t generation;
	uint32_t captured; /* frames of it */
	struct past_generation past;
	uint64_t looks;           /* headers accepted, whether or not there was room */
	uint32_t backfilled_seen; /* just before the last header was read */
	uint32_t backfilled;      /* the same, of the generation that is captured */

	/* Alarm: commits that the header counted against commits that were captured. */
	bool is_counted; /* all up to counted_change was captured */
	uint32_t counted_change;
	uint32_t counted_commits;
	uint32_t counted_commit_frames;

	int64_t news_ns;        /* when the header last changed */
	bool is_deaf;           /* ... and after a rest nobody had told of it */
	int64_t written_ns;     /* wall clock of the last write to the WAL before that;
				 * 0: not known */
	int64_t mark_ns;        /* when the holder began */
	int64_t torn_ns;        /* since when the header is unreadable; 0: it is not */
	int64_t names_ns;       /* when we last looked at the names */
	int64_t given_ns;       /* ... and at the path as it was given, */
	bool was_gone;          /* which led nowhere then */
	bool suspects_names;    /* the next look is now */
	int64_t alone_ns;       /* when we last looked who else is there */
	bool is_alone;          /* then */
	bool was_closed;        /* by somebody, since the last look */
	bool was_left;          /* ... since the last try to empty the WAL */
	int64_t cut_gap_ns;     /* between two such tries while it is closed often; 0 */
	bool holds_lock;        /* the checkpoint lock */
	struct wal_gate gate;   /* its slots hold as well */
	uint32_t limit;         /* where a checkpoint ended that a reader limited */
	bool is_limited;        /* the last one was, by a long reader */
	bool has_warned;        /* of a checkpoint that failed */
	uint32_t next_try;      /* frames at which a handover is tried again */
	unsigned failed_tries;  /* of natural handovers, one after the other */
	unsigned failed_passes; /* of those at the gate, at most GATE_FAILS */
	unsigned failed_shuts;  /* ... for want of a slot, at most GATE_FAILS */
	bool is_disk_slow;      /* the last syncs at the gate were late */
	int64_t settle_ns;      /* at the gate: settled by then, or not; 0: elsewhere */
	bool is_bulk;           /* transactions are large */
	int64_t gap_ns;         /* between two commits, about */
	int64_t pass_ns;        /* what a small checkpoint takes, about */
	uint32_t last_pass;     /* frames at the last checkpoint of ours */
	uint32_t next_pass;     /* frames at which a handover is forced */
	uint32_t gate_most;  /* frames that a checkpoint at the gate may have to do */
	int64_t not_before;  /* no checkpoint of ours before this time */
	int64_t back_off;    /* how far that was put off the last time */
	int64_t truncate_ns; /* no truncation before this time */

	/* While all of the WAL is in the file and our reader stands in slot 0, or at
	 * the end of it, no checkpoint has anything to write. */
	bool has_baseline;
	bool is_baseline_fresh; /* taken so soon that a write may have the same time */
	struct stat baseline;

	/* Why the hold was lost, if it was. */
	enum name_fault fault;
	bool was_changed; /* the file differs from the baseline */
};

/* ---- src/capture/wal_baseline.c ---- */

/* In ZERO: note how the file is, if that is not yet known. ST_LOST when its pages are
 * not those of the WAL. */
enum status hold_take_baseline(struct wal_hold *h, struct error *err) MUST_CHECK;
/* ST_LOST when something other than our WAL's checkpoints has written to it since. */
enum status hold_check_baseline(struct wal_hold *h, struct error *err) MUST_CHECK;
/* ST_LOST: that has happened. */
enum status hold_written_past(struct wal_hold *h, struct error *err);

/* ---- src/capture/wal_turn.c ---- */

/* The only place where the state changes; a move that is not drawn is our own mistake.
 */
void hold_move(struct wal_hold *h, enum hold_state state);
/* ST_LOST, with the reason. */
enum status hold_lost(struct wal_hold *h, struct error *err, const char *what);
/* The next look at the names is now, if the watch was told that one has changed. */
void hold_hear_names(struct wal_hold *h);
/* ST_LOST when another file is at one of the names, or the WAL is too short for
 * `header`, which was read before; NULL: for none. */
enum status hold_check_names(struct wal_hold *h, const struct wal_index_header *header,
			     struct error *err) MUST_CHECK;
/* The same of the path as it was given, which is looked up more rarely. */
enum status hold_check_given(struct wal_hold *h, struct error *err) MUST_CHECK;

/* How much is backfilled, and after that the header. False: it is being written. */
bool hold_look(struct wal_hold *h, struct wal_index_header *now) MUST_CHECK;
/* Capture everything up to `now`. ST_RETRY: not all of it. */
enum status hold_accept(struct wal_hold *h, const struct wal_index_header *now,
			struct error *err) MUST_CHECK;
/* Who has written is looked at where nothing is new: `now` was captured. */
void hold_note_writers(struct wal_hold *h, const struct wal_index_header *now);
/* hold_look, then hold_accept. ST_RETRY also when the header is being written. */
enum status hold_catch_up(struct wal_hold *h, struct wal_index_header *now,
			  struct error *err) MUST_CHECK;

/* Let `reader` begin. ST_RETRY: it cannot now. */
enum status hold_begin(struct wal_hold *h, int reader, struct error *err) MUST_CHECK;
/* Whether the WAL may restart although a reader has begun before `now` was read. */
bool hold_can_restart(const struct wal_hold *h, const struct wal_index_header *now);
/* All that was captured is safe, or as safe as can be waited for. ST_RETRY: not yet. */
enum status hold_settle(struct wal_hold *h, struct error *err) MUST_CHECK;
/* The other reader takes over. ST_RETRY: it did not; the old one stays. */
enum status hold_take_turn(struct wal_hold *h, struct error *err) MUST_CHECK;
/* ST_OK for ST_RETRY, where the next look tries again. */
enum status hold_unless_retry(enum status status) MUST_CHECK;

/* Take the checkpoint lock, if it is free; and let go of it, if it is ours. */
void hold_want_lock(struct wal_hold *h);
void hold_drop_lock(struct wal_hold *h);

/* ---- src/capture/wal_leave.c ---- */

/*
 * After a failure: nothing is locked any more, nothing held. Where it was lost to names
 * or to a file that was written over, and where that can be done without harm to
 * anybody, what we have open is left as the close of a last connection would: all that
 * is committed is in the database file, or nothing of the old file beside a new one.
 */
void hold_leave(struct wal_hold *h);

/* ---- src/capture/wal_handover.c ---- */

/* A handover in `tries` checkpoints; where a long reader is in the way, not again for a
 * while. */
enum status hold_attempt(struct wal_hold *h, int tries, struct error *err) MUST_CHECK;
/* A handover under a writer that is never quiet, at the gate. */
enum status hold_pass(struct wal_hold *h, struct error *err) MUST_CHECK;
/* A handover with the write lock. */
enum status hold_escalate(struct wal_hold *h, struct error *err) MUST_CHECK;
/* Back to a reader, from a gate that could not be left at once. */
enum status hold_leave_gate(struct wal_hold *h, struct error *err) MUST_CHECK;

/* ---- src/capture/wal_cut.c ---- */

/*
 * In ZERO, and when nobody else has the database open: cut the WAL to nothing, and
 * leave the page count to the file. It is SQLite's own TRUNCATE, but under every lock
 * of the wal-index: nobody is in a transaction, and who begins one just then waits some
 * microseconds and is not told BUSY, as he would be at the write lock alone. ST_OK also
 * if it did not come about.
 */
enum status hold_cut(struct wal_hold *h, struct error *err) MUST_CHECK;

#endif
