/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/diff_state.h -- two moments of a state directory as pages, and which of
 * them differ: what their hashes tell (src/state/state_pages.h).
 *
 * OWNERSHIP  diff_state_open / diff_state_close (takes NULL).
 * THREADS    The main thread.
 * ERRORS     ST_CONFIG: not such a moment. ST_DAMAGED. ST_IO: also if a process has
 *            gone on with the directory meanwhile. ST_NOMEM.
 */
#ifndef DIFF_STATE_H
#define DIFF_STATE_H

#include "btree/page_source.h"
#include "src/base/status.h"
#include "src/history/transaction.h"

struct diff_state;

/* From the state at `from` to that at `to`, in either order. `*txn` is the caller's:
 * captured_txn_free. */
enum status diff_state_open(const char *path, const char *from, const char *to,
			    struct diff_state **out, struct captured_txn **txn,
			    struct error *err) MUST_CHECK;
void diff_state_close(struct diff_state *state);

/* Borrowed until the close. */
struct page_source *diff_state_old(struct diff_state *state);
struct page_source *diff_state_new(struct diff_state *state);

#endif
