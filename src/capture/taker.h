/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/taker.h -- takes what the hold says is committed, and gives it to the
 * history as transactions.
 *
 * At the start: the state that following begins with; or, where an earlier run has come
 * to an end, what was committed since then, as the transactions that they were where
 * that can be proven, else as one made by comparing. Then: each commit.
 *
 * OWNERSHIP  taker_init / taker_clear, also after a failed one; the caller's storage.
 * THREADS    The capture thread; before there is one, the thread that opens.
 * ERRORS     As wal_hold_settings.take: ST_RETRY, look again; ST_LOST, ST_UNFIT, ST_IO.
 */
#ifndef TAKER_H
#define TAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "src/capture/db_open.h"
#include "src/capture/txn_builder.h"
#include "src/capture/wal_hold.h"
#include "src/history/history.h"

struct taker_settings {
	struct history *history;     /* borrowed */
	const _Atomic int *stop;     /* may be NULL: ends a comparison */
	struct wal_writers *writers; /* NULL: nobody asks; borrowed */
	uint64_t hold_max_wal_bytes;
	uint64_t least_lsn; /* of a new history: LSNs begin there */
	/* While it compares, every MiB; may be NULL. */
	void (*progress)(void *context, uint32_t pages, uint32_t page_count);
	void *context;
};

struct taker {
	struct taker_settings settings;
	struct history *history;
	struct db_handles *db; /* borrowed */
	struct wal_hold *hold; /* borrowed; from its opening on */
	struct txn_builder builder;
	bool has_builder;
	struct captured_txn *first; /* the state at the start, until it is taken */
	bool is_following;          /* that is done */
	bool is_stalled;            /* no room: said so */
	bool disk_is_full;          /* that was why */
	int64_t misfit_ns;          /* since when frames differ from the wal-index; 0 */
	uint8_t *proof_page;        /* scratch */
	struct captured_txn *unappended; /* made, but the disk was full */
};

enum status taker_init(struct taker *taker, const struct taker_settings *settings,
		       struct db_handles *db, struct error *err) MUST_CHECK;
void taker_clear(struct taker *taker);

/* For wal_hold_settings: its calls `take` and `settle`, of which the taker is the
 * context. */
enum status taker_take(void *taker, const struct wal_index_header *header,
		       uint32_t generation, uint32_t from, struct hold_taken *taken,
		       struct error *err);
enum status taker_settle(void *taker, int64_t until_ns, bool may_outrun,
			 struct error *err);

#endif
