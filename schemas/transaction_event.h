/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/transaction_event.h -- BEGIN and END (provide.transaction.metadata).
 *
 *     key    {"id":"LSN"}
 *     BEGIN  {"status":"BEGIN","id":"LSN","event_count":null,
 *             "data_collections":null,"ts_ms":N}
 *     END    {"status":"END","id":"LSN","event_count":N,"data_collections":
 *             [{"data_collection":TABLE,"event_count":N},…],"ts_ms":N}
 *
 * ts_ms is that of the transaction's source block. Counts are of c, u and d events
 * that were emitted; tombstones are not counted.
 *
 * THREADS  No shared state.
 * ERRORS   Out of memory shows in buffer_ok.
 */
#ifndef SCHEMAS_TRANSACTION_EVENT_H
#define SCHEMAS_TRANSACTION_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/buffer.h"

/* What one table has in a transaction. */
struct transaction_collection {
	size_t name_offset; /* of the name as a JSON string, quotes included */
	size_t name_len;
	uint64_t event_count;
};

/* Append the key of both. */
void transaction_event_add_key(struct buffer *b, uint64_t lsn);

void transaction_event_add_begin(struct buffer *b, uint64_t lsn, int64_t ts_ms);

/* `names` is what the collections' offsets count from; they are printed in order. */
void transaction_event_add_end(struct buffer *b, uint64_t lsn, int64_t ts_ms,
			       const char *names,
			       const struct transaction_collection *collections,
			       size_t count);

#endif
