/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/durable.h -- a history that a later run goes on from: a state directory.
 *
 * What is appended is written to the journal at once; a thread of its own makes it
 * durable, all that has gathered with one sync, and only then may it be taken. What
 * waits for the decoder takes no more than journal.max.bytes (src/state/backlog.h);
 * what was decoded past is kept until it is acknowledged and folded into the shadow
 * (src/state/fold.h).
 *
 * THREADS  As src/history/history.h; the calls here: the decoding thread.
 */
#ifndef DURABLE_H
#define DURABLE_H

#include "src/history/history.h"
#include "src/history/view.h"
#include "src/state/store.h"

/* `store` is borrowed, and closed after the history. */
enum status durable_open(struct store *store, uint64_t journal_max_bytes,
			 struct history **out, struct error *err) MUST_CHECK;

/* How the first copy is made. */
struct durable_base {
	struct store_copy copy;
	int stop_fd; /* for poll: readable when *copy.stop becomes true */
	/* Wait until all that is committed now was appended, and give its LSN. */
	enum status (*reach)(void *context, uint64_t *lsn, struct error *err);
	/* The position that the run begins with, at `lsn`. */
	struct state_position (*position)(void *context, uint64_t lsn);
	void *context;
};

/*
 * Of a new store, after start: copy the database while it is captured, and add what
 * came meanwhile. Takes `first`, which copy.first is.
 */
enum status durable_make_base(struct history *history, const struct durable_base *base,
			      struct captured_txn *first, struct error *err) MUST_CHECK;

/*
 * Of a store that is not new: the view as of A, which is `*lsn`. Transactions of the
 * last run that were not acknowledged come out of next, before all others.
 */
enum status durable_open_view(struct history *history, struct view **out, uint64_t *lsn,
			      struct error *err) MUST_CHECK;

#endif
