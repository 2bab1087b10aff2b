/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/encoder.h -- changes to Debezium messages.
 *
 * An appender over a per-table plan: names are escaped once, constant parts copied,
 * nothing is allocated per row. docs/events.md and docs/schemas.md have the fields,
 * their order and values. What depends on the table is in schemas/table_plan.h. With
 * schemas.enable=true each message is {"schema":…,"payload":…}; the schemas are made
 * once (schemas/connect_schema.h). Header values: enum header_form. With
 * settings.audit_lines values are those of schemas/audit_line.h, numbered alike, and a
 * transaction that stands for several ends with a line of its own.
 *
 * A transaction is encoder_begin, encoder_change for each changed row in order,
 * encoder_end. With provide.transaction.metadata the BEGIN message comes out of
 * the first encoder_change that gives an event, END out of encoder_end; a
 * transaction without events gives neither.
 *
 * With settings.transforms messages are as those leave them (schemas/transforms.h):
 * values may be flat, deletes may give no message, and yet are events that count.
 *
 * change_id counts events (not tombstones, not BEGIN and END) after the
 * filters, from 1. source.sequence has the LSN of the previous transaction
 * that gave an event.
 *
 * OWNERSHIP  The messages' bytes are the encoder's, valid until its next call.
 * THREADS    One thread at a time.
 * ERRORS     ST_NOMEM; ST_CONFIG, ST_CONVERT: see schemas/table_plan.h.
 */
#ifndef SCHEMAS_ENCODER_H
#define SCHEMAS_ENCODER_H

#include <stdbool.h>
#include <stddef.h>

#include "schemas/change.h"
#include "schemas/encoder_settings.h"
#include "schemas/encoder_transaction.h"
#include "schemas/schema_change.h"
#include "src/base/message.h"
#include "src/base/status.h"

struct encoder;
struct route; /* schemas/route.h */
struct table_plan;

enum status encoder_open(const struct encoder_settings *settings, struct encoder **out,
			 struct error *err) MUST_CHECK;
void encoder_close(struct encoder *encoder);

/* Prepare `table`, which is borrowed for the plan's lifetime. */
enum status encoder_plan(struct encoder *encoder, const struct table *table,
			 struct table_plan **out, struct error *err) MUST_CHECK;

void encoder_begin(struct encoder *encoder, const struct encoder_transaction *txn);

#define ENCODER_MESSAGES_MAX 3 /* BEGIN, the event, its tombstone */

/*
 * Encode one change into `out[0 … *count)`, in the order they are to be sent;
 * *count may be 0 (skipped operation). message.lsn and .index are filled.
 */
enum status encoder_change(struct encoder *encoder, struct table_plan *plan,
			   const struct change *change,
			   struct message out[ENCODER_MESSAGES_MAX], size_t *count,
			   struct error *err) MUST_CHECK;

/*
 * The row of the plan's table, of transaction.context.table, was changed: before the
 * first encoder_change of the transaction and all schema changes. It gives no message.
 */
enum status encoder_context(struct encoder *encoder, const struct table_plan *plan,
			    const struct change *change, struct error *err) MUST_CHECK;
/* That property; NULL: there is none. */
const char *encoder_context_table(const struct encoder *encoder);

/* The END message, that of a context alone, or *count = 0. */
enum status encoder_end(struct encoder *encoder, struct message *out, size_t *count,
			struct error *err) MUST_CHECK;

/*
 * Tell of a table that changed, in a transaction: before its rows and its BEGIN. The
 * topic is the prefix alone. *count is 0 without include.schema.changes, but for audit
 * lines. These messages have no change_id and are in no count of END.
 */
enum status encoder_schema_change(struct encoder *encoder,
				  const struct schema_change *change,
				  struct message *out, size_t *count,
				  struct error *err) MUST_CHECK;

/*
 * A sign of life, outside of transactions and in no count: topic heartbeat_prefix and
 * topic_prefix, key {"serverName":PREFIX}, value {"ts_ms":N}. Its index is
 * MESSAGE_NO_INDEX.
 */
enum status encoder_heartbeat(struct encoder *encoder, struct message *out,
			      struct error *err) MUST_CHECK;

/* Topics that no table may have; borrowed, absent when there are no such messages. */
struct encoder_topics {
	struct span transaction;
	struct span schema_change;
	struct span heartbeat;
	struct span message;
	struct span notification;
};
struct encoder_topics encoder_topics(const struct encoder *encoder);

/* What becomes of notifications, which are not the encoder's; borrowed. */
const struct route *encoder_notification_route(const struct encoder *encoder);

/* The last change_id: how many events there were after the filters. */
uint64_t encoder_change_id(const struct encoder *encoder);
/* The last transaction that gave an event, the current one included; ENCODER_NO_LSN. */
uint64_t encoder_previous_lsn(const struct encoder *encoder);
#define ENCODER_NO_LSN UINT64_MAX

/* Go on as if these had been the last. */
void encoder_restore(struct encoder *encoder, uint64_t change_id,
		     uint64_t previous_lsn);

#endif
