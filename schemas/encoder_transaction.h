/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/encoder_transaction.h -- what messages say of their transaction.
 *
 * THREADS  No shared state.
 */
#ifndef SCHEMAS_ENCODER_TRANSACTION_H
#define SCHEMAS_ENCODER_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/writers.h"

struct encoder_transaction {
	uint64_t lsn;
	int64_t captured_ns; /* wall clock: source.ts_* */
	bool is_snapshot;    /* no BEGIN, END and transaction block */
	bool is_catch_up;    /* every message has the header rowtail.catch_up: true */
	uint64_t merged;     /* > 0: header rowtail.merged: N */

	/* Of a catch-up, or of one that stands for several: */
	int64_t since_ns;      /* wall clock: after it; 0: not known */
	uint32_t page_count;   /* of the database that was compared */
	uint32_t pages_differ; /* of them */

	/* Who may have made it; NULL: nobody knows. Borrowed until the end of the
	 * transaction. */
	const struct writers *writers;
};

/* It stands for several of the application's, and nobody can tell which did what. */
static inline bool encoder_transaction_is_joined(const struct encoder_transaction *txn)
{
	return txn->is_catch_up || txn->merged > 0;
}

#endif
