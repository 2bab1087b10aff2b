/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/wal_hold.h -- keeps SQLite from overwriting what is not captured yet.
 *
 * SQLite restarts the WAL from its beginning once all of it is in the database file
 * and nobody reads from it. The hold is a read transaction that stands in the way.
 * Two connections take turns, so that there is always one:
 *
 *     the other one begins -> the wal-index header is read -> everything up to it is
 *     captured, pre-images too -> the old one ends
 *
 *            first read                    everything captured is backfilled,
 *                |                         before and after the turn
 *                v                         +----------------------------+
 *          +-----------+                   |                            v
 *          |   MARK    |-------------------+                       +---------+
 *          |           |                                           |  ZERO   |
 *          +-----------+<------------------------------------------+---------+
 *            |  limits backfill to          there are frames again   |  forbids any
 *            |  what is captured;                                    |  backfill;
 *            |  forbids a restart            (names, salts or        |  allows a
 *            +---------------> LOST <------- counts out of order) ---+  restart
 *
 *     MARK -> ZERO   everything captured is backfilled, before and after the turn
 *     ZERO -> MARK   there are frames again
 *     MARK -> LOST   names, salts or counts are out of order
 *     ZERO -> LOST   the same
 *
 * MARK is a read mark in one of slots 1 to 4, ZERO is slot 0. In MARK the hold also
 * hands over: it runs the checkpoint when the writer is quiet and steps to ZERO, so
 * that the WAL stays short. Past TAKE_FRAMES without a quiet moment it keeps the
 * checkpoint lock and does all checkpoints itself, and from PASS_FRAMES on it hands
 * over at the gate (src/capture/wal_gate.h), within MARK:
 *
 *     the free slots are locked, as a reader -> everything up to a header read after
 *     that is captured -> our reader ends -> the other slots are locked as they become
 *     free -> all four: the rest is captured and backfilled -> all but one are opened,
 *     the other reader begins (ZERO, if nothing came), the last is opened
 *
 * When not all slots become free, the last two steps follow at once. Past
 * ESCALATE_FRAMES, which is reached only where the application's readers overlap all
 * the time, and where that is allowed, it takes the write lock for some milliseconds.
 *
 * INVARIANTS
 *
 * - A reader ends only after the other, or a slot of the gate, stands in the way and
 *   everything up to a header read after that is captured; the gate likewise.
 * - Only frames up to the header's frame count are read.
 * - Checkpoints of ours run only while a reader or the gate stands in the way or we
 *   hold the write lock, and only after the names were found right
 *   (src/capture/db_names.h).
 * - They go no further than what is captured, of which the header was read before the
 *   names were found right: nothing of what came after they were given to other files.
 * - Nothing is locked for longer than a call, but the checkpoint lock, and one slot
 *   where no reader could begin; nothing at all after a call that failed.
 *
 * OWNERSHIP  wal_hold_open / wal_hold_close; the handles are borrowed.
 * THREADS    The capture thread (wal_hold_open: before it runs).
 * ERRORS     ST_LOST with the reason; ST_IO, ST_NOMEM from capturing.
 */
#ifndef WAL_HOLD_H
#define WAL_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/capture/db_open.h"
#include "src/capture/wal_index.h"
#include "src/capture/wal_watch.h"
#include "src/capture/wal_writers.h"

enum hold_state { HOLD_MARK, HOLD_ZERO, HOLD_LOST };
#define HOLD_STATES 3

/* What a call of wal_hold_take did. */
struct hold_taken {
	uint32_t last_frame;    /* everything up to here is captured */
	uint32_t commits;       /* transactions */
	uint32_t commit_frames; /* commit frames of them: repeated ones count */
};

/*
 * Capture the frames after `from` up to header->frame_count of generation number
 * `generation`, as far as there is room. Fills `*taken` also on failure. ST_OK: all
 * of them; at the start perhaps not all, the others are asked for later. ST_RETRY: not
 * all; the hold stays where it is. Others end the hold.
 */
typedef enum status (*wal_hold_take)(void *context,
				     const struct wal_index_header *header,
				     uint32_t generation, uint32_t from,
				     struct hold_taken *taken, struct error *err);

struct wal_hold_settings {
	bool escalate;               /* may take the write lock */
	struct wal_watch *watch;     /* of the same files; borrowed */
	struct wal_writers *writers; /* NULL: nobody asks; borrowed */
	wal_hold_take take;
	/* Called before the WAL may be restarted: make safe what was taken, by
	 * `until_ns` of clock_mono_ns. ST_RETRY: it is not yet; with `may_outrun` only
	 * if it could not even be written, however slow the disk is. NULL: nothing to
	 * do. */
	enum status (*settle)(void *context, int64_t until_ns, bool may_outrun,
			      struct error *err);
	void *context; /* of `take` and `settle` */
};

struct wal_hold;

/*
 * Begin to hold, and capture everything that is there (`take` is called with
 * generation 0 and from 0; after ST_RETRY again, with the header as it is then).
 * ST_UNFIT when the wal-index stays unreadable.
 */
enum status wal_hold_open(struct db_handles *db,
			  const struct wal_hold_settings *settings,
			  struct wal_hold **out, struct error *err) MUST_CHECK;

/* Let go. Takes NULL. */
void wal_hold_close(struct wal_hold *hold);

/*
 * One look: capture what is new, hand over what can be. `*news`: something was
 * committed since the last look. Never waits but for the file system, some milliseconds
 * for transactions to end at the gate, and with `escalate` up to 120 ms for the write
 * lock. After a failure nothing is locked any more.
 */
enum status wal_hold_turn(struct wal_hold *hold, bool *news,
			  struct error *err) MUST_CHECK;

/*
 * The hold ends soon: what was put off for a long reader is tried with the next turn,
 * since he may have gone. Without `takes` nothing more is captured (`take` is not
 * called), so that all can go into the database file.
 */
void wal_hold_ends_soon(struct wal_hold *hold, bool takes);

/* In ZERO, and where nobody else has the database open as far as can be seen: empty the
 * WAL (src/capture/wal_cut.c). Takes milliseconds. ST_OK also if it did not come about.
 */
enum status wal_hold_cut(struct wal_hold *hold, struct error *err) MUST_CHECK;

/* How long no look is needed unless something happens to the files; at most half a
 * second. `now_ns` is of clock_mono_ns. */
int64_t wal_hold_idle_ns(const struct wal_hold *hold, int64_t now_ns);

/* Between two commits, about; a pause counts as some milliseconds. */
int64_t wal_hold_gap_ns(const struct wal_hold *hold);

/*
 * Counts the looks at which a header was read and taken into account: when it has grown
 * over a turn, wal_hold_waiting covers all that was committed before that turn.
 */
uint64_t wal_hold_looks(const struct wal_hold *hold);

/* Committed frames that are not captured for want of room. */
uint32_t wal_hold_waiting(const struct wal_hold *hold);

enum hold_state wal_hold_state(const struct wal_hold *hold);
/* As in the drawing above. */
const char *wal_hold_state_name(enum hold_state state);
/* Is there an arrow between two states that differ? */
bool wal_hold_may_move(enum hold_state from, enum hold_state to);

/*
 * For `take`, when it has captured everything up to its header: frames up to this one,
 * of that generation, of which no newer frame was captured are in the database file. It
 * was read before that header, is 0 for the first header of a generation, and never
 * more than the frame count of the header before.
 */
uint32_t wal_hold_backfilled(const struct wal_hold *hold);

#endif
