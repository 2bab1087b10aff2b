/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/repeats.h -- what an earlier run may have handed over behind its
 * position: it is to be done again in the same order, so that the same messages have
 * the same numbers. Transactions are in the journal; at which LSNs chunks of snapshots
 * on demand came between them is in src/state/snapshot_file.h.
 *
 * OWNERSHIP  The caller's struct, repeats_init / repeats_clear.
 * THREADS    One thread at a time.
 * ERRORS     Those of the kept position.
 */
#ifndef REPEATS_H
#define REPEATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/state/kept_position.h"

struct repeats {
	struct snapshot_found asked; /* of snapshots, at the position */
	bool is_asked_lost;          /* that is older than the position */
	size_t chunks;               /* that were begun behind it */
	size_t repeated;             /* of them */
	uint64_t to_lsn;             /* transactions up to here may be handed over */
};

void repeats_init(struct repeats *repeats);
void repeats_clear(struct repeats *repeats);

/* Read it. Without `same_settings` the messages will be others anyway. `is_asked_lost`:
 * a power cut, or damage, has taken what was asked for at the position. */
enum status repeats_find(struct repeats *repeats, struct kept_position *kept,
			 bool same_settings, struct error *err) MUST_CHECK;

/* Say that it is lost, of the state directory `path`, and keep what is left. */
enum status repeats_keep_rest(const struct repeats *repeats, struct kept_position *kept,
			      const char *path, struct error *err) MUST_CHECK;

/* A chunk is to be repeated; and, at `lsn` already. */
bool repeats_has_chunk(const struct repeats *repeats);
bool repeats_owes_chunk(const struct repeats *repeats, uint64_t lsn);
/* All that is delivered is up to `lsn`: something else is to be repeated. */
bool repeats_go_on(const struct repeats *repeats, uint64_t lsn);

/* That chunk was delivered; or none of them can be. */
void repeats_done_chunk(struct repeats *repeats);
void repeats_drop_chunks(struct repeats *repeats);
/* No transaction behind `lsn` was handed over; false while a chunk is to be repeated.
 */
bool repeats_end(struct repeats *repeats, uint64_t lsn);

#endif
