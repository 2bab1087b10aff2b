/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/way.h -- from one state of an archive to later ones, in steps as small as
 * its files allow.
 *
 * A file leads on from a state if it begins no later than behind it and ends later. Of
 * these the next one is always that with the nearest end: single files of level 0
 * where they are left, else merged ones. No way is missed by that: a file that leads
 * on from here still leads on from the end of another that is nearer.
 *
 * OWNERSHIP  way_init / way_clear; files are borrowed from the list.
 * THREADS    No shared state.
 */
#ifndef WAY_H
#define WAY_H

#include "src/storage/storage.h"

struct way {
	const struct archive_file **ends; /* by max_txid ascending */
	size_t count;
	size_t at; /* what is before it ends no later than the last TXID asked for */
};

/* Over all files of `list`, which stays unchanged. ST_NOMEM. */
enum status way_init(struct way *way, const struct archive_list *list,
		     struct error *err) MUST_CHECK;
void way_clear(struct way *way);

/* The next file behind the state `txid` (never less than the last time) that ends at
 * `until` or before. NULL: there is none. */
const struct archive_file *way_next(struct way *way, uint64_t txid, uint64_t until);

/* The file behind a gap: the nearest one that begins later than behind `txid`. NULL: no
 * file is there. */
const struct archive_file *way_beyond(const struct way *way, uint64_t txid);

/* The smallest file that ends at `txid`. NULL: none does. */
const struct archive_file *way_last(const struct way *way, uint64_t txid);

/* The last TXID of all; 0: there is no file. */
uint64_t way_newest(const struct way *way);

#endif
