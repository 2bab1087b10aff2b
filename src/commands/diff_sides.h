/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/diff_sides.h -- the two states that rowtail diff compares: two database
 * files, or two moments of an archive or of a state directory.
 *
 * OWNERSHIP  The caller's struct, zeros before; diff_sides_close, also after an error.
 * THREADS    The main thread.
 * ERRORS     ST_UNFIT: not such a database. ST_RETRY: one of them is being written.
 *            ST_STOPPED, ST_IO, ST_NOMEM.
 */
#ifndef DIFF_SIDES_H
#define DIFF_SIDES_H

#include "btree/page_source.h"
#include "src/base/progress.h"
#include "src/base/status.h"
#include "src/capture/database_file.h"
#include "src/commands/diff_moments.h"
#include "src/commands/diff_state.h"
#include "src/config/config.h"
#include "src/history/transaction.h"
#include "src/history/view.h"

struct diff_sides {
	const char *old_name; /* for messages; borrowed from the configuration */
	const char *new_name;
	struct page_source *old_pages;
	struct page_source *new_pages;
	struct captured_txn *txn; /* which pages differ; its LSN and time: the new
				   * state's */
	struct progress progress;
	struct database_file *old_file; /* of files, */
	struct database_file *new_file;
	struct view *old_view; /* keep some of their pages: of a mapped file all that
				* were looked at would count as memory */
	struct view *new_view;
	struct spool *spool;          /* of the views; stays empty */
	struct diff_moments *moments; /* ... or of an archive, */
	struct diff_state *state;     /* ... or of a state directory */
};

enum status diff_sides_open(struct diff_sides *sides, const struct config *config,
			    struct error *err) MUST_CHECK;
void diff_sides_close(struct diff_sides *sides);

/* ST_RETRY: what was read may be of two states, as somebody wrote there meanwhile. */
enum status diff_sides_check(const struct diff_sides *sides,
			     struct error *err) MUST_CHECK;

#endif
