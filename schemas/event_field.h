/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/event_field.h -- single fields of an event's envelope, as the transform
 * ExtractNewRecordState puts them into rows and headers.
 *
 *     op, ts_ms, ts_us, ts_ns                          the envelope's own
 *     version, connector, name, snapshot, db, …        of source
 *     id, total_order, data_collection_order           of transaction; null without one
 *     context, context_rows, context_candidates        with transaction.context.table
 *
 * THREADS  No shared state.
 * ERRORS   Out of memory shows in buffer_ok.
 */
#ifndef SCHEMAS_EVENT_FIELD_H
#define SCHEMAS_EVENT_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "schemas/change.h"
#include "schemas/connect_schema.h"
#include "schemas/encoder_settings.h"
#include "schemas/encoder_transaction.h"
#include "src/base/buffer.h"
#include "src/base/message.h"

enum event_field {
	EVENT_OP,
	EVENT_TS_MS,
	EVENT_TS_US,
	EVENT_TS_NS,
	EVENT_CONTEXT,
	EVENT_CONTEXT_ROWS,
	EVENT_CONTEXT_CANDIDATES,
	SOURCE_VERSION,
	SOURCE_CONNECTOR,
	SOURCE_NAME,
	SOURCE_TS_MS,
	SOURCE_SNAPSHOT,
	SOURCE_DB,
	SOURCE_SEQUENCE,
	SOURCE_TS_US,
	SOURCE_TS_NS,
	SOURCE_TABLE,
	SOURCE_CHANGE_ID,
	SOURCE_LSN,
	SOURCE_ROWID,
	TRANSACTION_ID,
	TRANSACTION_TOTAL_ORDER,
	TRANSACTION_COLLECTION_ORDER,
	EVENT_FIELDS,
};

/* Of one event; all is borrowed. */
struct event_facts {
	const struct encoder_settings *settings;
	const struct encoder_transaction *txn;
	const struct buffer *context; /* values of the three fields, in their order */
	const uint64_t *previous_lsn; /* NULL: none */
	int64_t now_ns;
	enum change_op op;
	enum snapshot_mark mark;
	const struct buffer *table; /* its name, a JSON string */
	uint64_t change_id;
	const int64_t *rowid; /* NULL: none */
	bool has_block;       /* the next two are told */
	uint64_t total_order, collection_order;
};

/* The field that people call `name`, of `parent`, "source" or "transaction" (absent:
 * they do not say, and it is looked for where Debezium does); false: there is none. */
bool event_field_find(struct span parent, struct span name, enum event_field *out);

enum connect_member event_field_type(enum event_field field);

/* Append its value, JSON. */
void event_field_add(struct buffer *b, enum event_field field,
		     const struct event_facts *facts);

#endif
