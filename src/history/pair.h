/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/history/pair.h -- two states of one database, compared page by page: what makes
 * the new one of the old one, as one transaction.
 *
 * The new state is a database file, and images that lie over it: pages that are not in
 * the file yet. Of the old state nothing is asked but whether a page is the same;
 * hashes are enough for that. A view of the old state (src/history/view.h) with the
 * transaction laid over it is the new one.
 *
 * Each page of the file is read once, in order, and the old state is asked in order.
 * The page that holds the lock byte is in neither.
 *
 * OWNERSHIP  All is borrowed for the call, but slots: see there.
 * THREADS    No shared state.
 * ERRORS     ST_IO of the file; those of is_same and of the spool; ST_NOMEM;
 *            ST_STOPPED.
 */
#ifndef PAIR_H
#define PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/history/spool.h"
#include "src/history/transaction.h"

struct pair {
	uint32_t page_size; /* bytes, of both */

	uint32_t old_count; /* pages */
	/* Sets `*same`: is page `page_no`, which is not above old_count, `bytes`? */
	enum status (*is_same)(void *old, uint32_t page_no, const uint8_t *bytes,
			       bool *same, struct error *err);
	void *old;

	int fd;             /* the new state; past the end of the file are zeros */
	uint32_t new_count; /* pages */
	/* Images over the file, by page number ascending, each once; those above
	 * new_count are left out. */
	const struct captured_page *over;
	size_t over_total;
	struct spool *spool; /* has those, and takes what differs */

	const _Atomic int *stop; /* may be NULL */
	/* Every MiB; may be NULL. */
	void (*progress)(void *context, uint32_t pages, uint32_t page_count);
	void *context; /* of `progress` */
};

/*
 * `*out`: the pages that differ and both page counts; nothing else of it is set, and
 * its slots are its own. The slots of `over` go over to it or back to the spool, on
 * failure all of them go back. captured_txn_free.
 */
enum status pair_compare(const struct pair *pair, struct captured_txn **out,
			 struct error *err) MUST_CHECK;

#endif
