/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/durable.h -- a history that a later run goes on from: a state directory.
 *
 * What is appended is written to the journal at once; a thread of its own makes it
 * durable, all that has gathered with one sync, and only then may it be taken. What
 * waits for the decoder takes no more than journal.max.bytes (src/state/queue.h);
 * what was decoded past is kept until it is acknowledged and folded into the shadow
 * (src/state/fold.h).
 *
 * Its first view is of a copy of the database, which is made while that is captured;
 * what came meanwhile is added to it.
 *
 * THREADS  As src/history/history.h.
 */
#ifndef DURABLE_H
#define DURABLE_H

#include "src/history/history.h"
#include "src/history/view.h"
#include "src/state/state.h"

/* `state` is borrowed, and closed after the history. */
enum status durable_open(struct state *state, uint64_t journal_max_bytes,
			 struct history **out, struct error *err) MUST_CHECK;

#endif
