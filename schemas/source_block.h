/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/source_block.h -- the source block of messages, in pieces that change at
 * different speeds.
 *
 *     ,"source":{"version":…,"connector":"sqlite","name":…,"ts_ms":   run
 *     7,"snapshot":"                                                  transaction
 *     false                                                           table
 *     ","db":"app","sequence":"[                                      run
 *     null,\"5\"]","ts_us":…,"ts_ns":…,"table":                       transaction
 *     "t","change_id":                                                table
 *     1                                                               event
 *     ,"lsn":5,"rowid":                                               transaction
 *
 * OWNERSHIP  source_block_clear; the storage of the struct is the caller's, all zero.
 * THREADS    One thread at a time.
 * ERRORS     Out of memory shows in source_block_ok.
 */
#ifndef SCHEMAS_SOURCE_BLOCK_H
#define SCHEMAS_SOURCE_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "schemas/change.h"
#include "schemas/encoder_settings.h"
#include "schemas/encoder_transaction.h"
#include "src/base/buffer.h"

struct source_block {
	struct buffer head;   /* ,"source":{ … "ts_ms": */
	struct buffer db;     /* ","db": … "sequence":"[ */
	struct buffer front;  /* of the transaction: up to "snapshot":" */
	struct buffer middle; /* from there to "table": */
	struct buffer end;    /* ,"lsn":5,"rowid": */
};

const char *source_block_mark(enum snapshot_mark mark); /* "first" */

/* What is the same for the whole run. */
void source_block_open(struct source_block *block,
		       const struct encoder_settings *settings);
void source_block_clear(struct source_block *block);
bool source_block_ok(const struct source_block *block);

/* A transaction begins; `previous_lsn` is NULL without one before it. */
void source_block_begin(struct source_block *block,
			const struct encoder_transaction *txn,
			const uint64_t *previous_lsn);

/* Append it up to "change_id": for the table whose name is `name`, a JSON string. */
void source_block_add(const struct source_block *block, struct buffer *b,
		      enum snapshot_mark mark, const struct buffer *name);

/* Append the whole block of a message that is no event, without the comma before it;
 * `change_id` is NULL if it has no number. */
void source_block_add_plain(const struct source_block *block, struct buffer *b,
			    bool is_snapshot, const char *table,
			    const uint64_t *change_id);

#endif
