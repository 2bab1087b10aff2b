/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/publisher.h -- changed rows to messages, messages to the sink.
 *
 * Keeps a plan (schemas/encoder.h) for each captured table of the current catalog,
 * sees to it that no two tables share a topic, and reports tables that
 * come, go, are renamed or left out: one line on stderr each.
 *
 * OWNERSHIP  publisher_open / publisher_close. Encoder and sink are borrowed.
 * THREADS    The decoding thread only.
 */
#ifndef PUBLISHER_H
#define PUBLISHER_H

#include <stdint.h>

#include "schemas/catalog.h"
#include "schemas/encoder.h"
#include "sinks/sink.h"
#include "src/decode/decoder.h"

struct publisher;
struct table_plan; /* schemas/table_plan.h */

/* `stop` ends the next message with ST_STOPPED when it becomes true. `reserved_topic`
 * (NULL: none), the sink's own, may not be a table's, nor may those of the encoder.
 * `database` is its path, for messages; borrowed. */
enum status publisher_open(struct encoder *encoder, struct sink *sink,
			   const char *database, const char *reserved_topic,
			   const _Atomic int *stop, struct publisher **out,
			   struct error *err) MUST_CHECK;
void publisher_close(struct publisher *publisher); /* takes NULL */

/* The calls of decoder_events; `context` is the publisher. */
enum status publisher_catalog(void *context, struct catalog *catalog,
			      const struct catalog *previous, struct error *err);
/* Of the table at that place of the last catalog, at the start also if that was
 * refused; NULL: it has none. Borrowed until the next one. */
const struct table_plan *publisher_plan(const struct publisher *publisher,
					size_t index);
enum status publisher_ddl(void *context, enum ddl what, const struct table *old_table,
			  const struct table *new_table, struct error *err);
void publisher_damaged(void *context, enum damaged_part part, const char *name,
		       const struct error *why);
enum status publisher_table(void *context, const struct table *table,
			    struct error *err);
enum status publisher_change(void *context, const struct change *change,
			     struct error *err);

/* At the beginning of a snapshot: tell of each table's structure, if that is wanted. */
enum status publisher_structure(struct publisher *publisher,
				struct error *err) MUST_CHECK;

/* Give the sink a heartbeat. It is in no transaction, and no mark counts it. */
enum status publisher_heartbeat(struct publisher *publisher,
				struct error *err) MUST_CHECK;

/* How far the transaction at hand is, for a later run to go on there. */
struct publisher_mark {
	uint64_t messages;     /* of it, given to the sink or left out by skip */
	uint64_t change_id;    /* where it began: encoder_change_id */
	uint64_t previous_lsn; /* and encoder_previous_lsn */
};
struct publisher_mark publisher_mark(const struct publisher *publisher);

/* The first `messages` of the next transaction are not given to the sink: it has them.
 */
void publisher_skip(struct publisher *publisher, uint64_t messages);
/* That number, until a transaction has ended. */
uint64_t publisher_skipped(const struct publisher *publisher);

/* Around each transaction. */
void publisher_begin(struct publisher *publisher,
		     const struct encoder_transaction *txn);
enum status publisher_end(struct publisher *publisher, struct error *err) MUST_CHECK;

#endif
