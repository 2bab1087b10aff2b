/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/plan.h -- which files of an archive give the database as it was at a
 * moment.
 *
 * A state is what the last TXID of a file leads to. It can be reached from a file that
 * has the whole database (its first TXID is 1) by way of files of any level, each
 * of which begins no later than behind the last one. Where no file does, there is a
 * gap: nothing behind it can be reached, until the next whole database.
 *
 * The plan for a state begins with the newest snapshot (level 9) at or before it, or
 * with another whole database where there is none, and takes of all files that can be
 * next the one that reaches farthest. A whole database makes what came before it
 * unnecessary.
 *
 * The time of a state is the earliest time of the files that lead to it: one that was
 * compacted or that is a snapshot may say when it was made. Where a list has rough
 * times it is the time of the one of the lowest level, and its storage is asked for
 * those that are needed: a state is then found by halving, as times ascend with TXIDs.
 * No other I/O is done here.
 *
 * OWNERSHIP  plan_init / plan_clear; files are borrowed from the list.
 * THREADS    No shared state.
 * ERRORS     ST_UNFIT never; ST_CONFIG: the archive does not have that moment, the text
 *            names the nearest ones. ST_CORRUPT: a gap is before it, the text names the
 *            files on both sides. ST_NOMEM. Of a storage that is asked for times: its
 *            own, ST_LOST among them.
 */
#ifndef PLAN_H
#define PLAN_H

#include "src/archive/when.h"
#include "src/storage/file_name.h"
#include "src/storage/storage.h"

struct plan {
	const struct archive_file **files; /* oldest first; the first is whole */
	size_t count;
	size_t cap;
	uint64_t txid;   /* of the state */
	int64_t time_ns; /* of the state */
};

/* A state that the archive has, in the order of TXIDs. */
struct moment {
	uint64_t txid;
	int64_t time_ns; /* moments_ask_time where it is rough */
	bool is_reachable;
	bool time_is_rough;
	const struct archive_file *file; /* of the list: whose time it is */
};

struct moments {
	struct moment *all;
	size_t count;
};

/* All states of a list that is sorted. ST_NOMEM. */
enum status moments_init(struct moments *moments, const struct archive_list *list,
			 struct error *err) MUST_CHECK;
void moments_clear(struct moments *moments);

/* The time of one of them becomes right. Errors of the storage. */
enum status moments_ask_time(struct moment *moment, const struct archive_list *list,
			     struct error *err) MUST_CHECK;

/* A gap as a person sees it: no file leads on from `before`, and `after` begins behind
 * the next TXID. The first one whose end is above `txid`; false: there is none. */
struct gap {
	const struct archive_file
	    *before; /* NULL: nothing whole comes before `after` */
	const struct archive_file *after;
};
bool gap_find(const struct archive_list *list, const struct moments *moments,
	      uint64_t txid, struct gap *gap);

/* Files of `list`, which is sorted and stays unchanged, for the state at `when`. */
enum status plan_init(struct plan *plan, const struct archive_list *list,
		      const struct when *when, struct error *err) MUST_CHECK;
void plan_clear(struct plan *plan);

#endif
