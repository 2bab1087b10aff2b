/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/diff_moments.h -- two states of an archive as pages, and which of them
 * differ.
 *
 * Only pages that files between the two name are compared, and of those only what
 * decoding asks for is read (src/archive/pages.h).
 *
 * OWNERSHIP  diff_moments_open / diff_moments_close (takes NULL).
 * THREADS    The main thread.
 * ERRORS     ST_CONFIG: no such archive or state. ST_CORRUPT: it is damaged, or files
 *            are missing. ST_STOPPED, ST_IO, ST_NOMEM.
 */
#ifndef DIFF_MOMENTS_H
#define DIFF_MOMENTS_H

#include "btree/page_source.h"
#include "src/config/config.h"
#include "src/history/transaction.h"

struct diff_moments;

/* From the state at `from` to that at `to`, in either order of time. `*txn` is the
 * caller's: captured_txn_free. */
enum status diff_moments_open(const struct config *config, const char *location,
			      const char *from, const char *to,
			      struct diff_moments **out, struct captured_txn **txn,
			      struct error *err) MUST_CHECK;
void diff_moments_close(struct diff_moments *moments);

/* Borrowed until the close. */
struct page_source *diff_moments_old(struct diff_moments *moments);
struct page_source *diff_moments_new(struct diff_moments *moments);

#endif
