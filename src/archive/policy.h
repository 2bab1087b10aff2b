/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/policy.h -- what is due in an archive: which files are merged, when there
 * is a new snapshot, and what may be removed.
 *
 * COMPACTION  Level N+1 is made of the files of level N that are behind its last one,
 *             when the wall clock passes a multiple of its interval: those of one
 *             interval become one file. A file alone waits for the next one. By count,
 *             too: as soon as there are POLICY_FILES of them, whatever the time, and on
 *             levels that have no interval. So a restore never needs more than some
 *             hundred files. Files that have the whole database are not merged, and
 *             nothing is across a break in a level (a change of the page size).
 * SNAPSHOTS   A whole database at each multiple of the interval, of the newest state
 *             before it, if there is one that the last snapshot does not have.
 * RETENTION   `retention` back from now each end of a file of level 1 and above can be
 *             restored, `l0_retention` back each end of a file. So:
 *             - a file of level 0 may go when it is older, and one of a higher level
 *               has what it has; not the last one;
 *             - what is before a snapshot may go when that one, and another behind it,
 *               are older: one snapshot more is kept than is needed.
 *             Only what has been in the archive for `grace` lets others go, so that a
 *             restore that has begun finds its files. Where the newest state cannot be
 *             reached nothing may go: what is there may be needed to mend it.
 *
 * Pure: no I/O and no clock.
 *
 * OWNERSHIP  Files are borrowed from the list, which stays as it is meanwhile.
 * THREADS    No shared state.
 * ERRORS     ST_NOMEM. policy_removable also ST_CORRUPT.
 */
#ifndef POLICY_H
#define POLICY_H

#include "src/archive/plan.h"

#define POLICY_FILES     100u
#define POLICY_LEVELS    8u
#define POLICY_GRACE_MIN (3600 * 1000000000LL)

struct policy {
	int64_t level_ns[POLICY_LEVELS]; /* of level 1 and up */
	unsigned level_count;
	int64_t snapshot_ns;     /* 0: no snapshots */
	int64_t retention_ns;    /* 0: for ever */
	int64_t l0_retention_ns; /* 0: for ever */
	int64_t grace_ns;
};

/* 30 s, 5 min, 1 h; a snapshot a day, 7 days; level 0 for a day; an hour of grace. */
struct policy policy_default(void);

/* What is due next: nothing (input_count 0), or that these files become one. */
struct policy_step {
	const struct archive_file **inputs; /* oldest first */
	size_t input_count;
	size_t cap;
	unsigned level; /* of the new file */
};

/* `list` is sorted; the caller clears the step, also after an error. */
enum status policy_next(const struct policy *policy, const struct archive_list *list,
			int64_t now_ns, struct policy_step *step,
			struct error *err) MUST_CHECK;
void policy_step_clear(struct policy_step *step);

/*
 * Files that may go, in the order in which they are removed, back from the newest, so
 * that whenever it ends what is left has no gap. `removable` is empty, and the caller
 * clears it, also after an error. ST_CORRUPT: the archive has a gap before its newest
 * state, or it would cost a state that shall be kept; nothing may go.
 */
enum status policy_removable(const struct policy *policy,
			     const struct archive_list *list, int64_t now_ns,
			     struct archive_list *removable,
			     struct error *err) MUST_CHECK;

#endif
