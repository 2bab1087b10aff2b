/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/wal_gate.h -- lets no transaction begin for a moment, and nobody sees
 * BUSY.
 *
 * A transaction begins with a shared lock on one of the read-mark slots 1 to 4, or on
 * slot 0 where all is backfilled; one that writes always ends up in a slot from 1 on.
 * While all four are locked exclusively, none can begin: SQLite then tries again after
 * some microseconds, more each time, without asking its busy handler, and gives up
 * only after ten seconds. Each slot that is locked also forbids a restart of the WAL
 * and limits backfill to its mark, as a reader in it does. A transaction that begins
 * takes the slot with the highest mark that is not too high, and of equal ones the
 * last: as long as one slot is locked that has the mark to take, nobody gets past it,
 * and we do not either.
 *
 * OWNERSHIP  The wal-index is borrowed. Locked slots must be opened again.
 * THREADS    The thread that uses the connection of the wal-index.
 * FORMAT     walformat.html section 2.3 (locks); SQLite's wal.c, walTryBeginRead.
 */
#ifndef WAL_GATE_H
#define WAL_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/capture/wal_index.h"

struct wal_gate {
	const struct wal_index *index;
	unsigned slots; /* bit n: slot n is locked by us */
	unsigned first; /* one bit: this slot was among the first and is opened last */
};

/* Try to lock the slots that are not locked yet, once each, without waiting. True when
 * all are: nothing can begin, and nothing that writes is open. */
bool wal_gate_push(struct wal_gate *gate);

/* Some slot is locked. */
bool wal_gate_holds(const struct wal_gate *gate);

/* Limit backfill to `frame_no`: the mark of all slots that are locked. */
void wal_gate_mark(const struct wal_gate *gate, uint32_t frame_no);

/*
 * Open all slots but one of those that the first push locked; the hold goes on in that
 * one. Its mark is 0 then: nobody wants the slot, and nothing more is backfilled.
 */
void wal_gate_open_most(struct wal_gate *gate);
/* Open all slots that are locked. */
void wal_gate_open(struct wal_gate *gate);

#endif
