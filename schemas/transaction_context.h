/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/transaction_context.h -- who did it, and why: the row that a transaction
 * wrote into the table of transaction.context.table.
 *
 * Rows come before those of all other tables, by rowid; the last one counts. Deletes
 * say nothing. In a transaction that stands for several of the application's nobody can
 * tell whose row it is: there are only candidates, the last CONTEXT_CANDIDATES.
 *
 *     audit line   ,"by":ROW              and  ,"context_rows":N  with more than one
 *                  ,"context_candidates":[ROW,…]  where nobody can tell, if there are
 *     Debezium     ,"context":ROW|null    always; the other two as above
 *
 * With schemas the three are always there, and rows are strings
 * (io.debezium.data.Json): what the table's columns are changes no schema. Masks count,
 * types of the schema do not.
 *
 * OWNERSHIP  transaction_context_clear; the storage is the caller's, all zero.
 * THREADS    One thread at a time.
 * ERRORS     Out of memory: false, or as in buffer_ok.
 */
#ifndef SCHEMAS_TRANSACTION_CONTEXT_H
#define SCHEMAS_TRANSACTION_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/change.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

struct table_plan;

#define CONTEXT_CANDIDATES 16

struct transaction_context {
	uint64_t rows; /* that were written */
	struct buffer
	    list[CONTEXT_CANDIDATES]; /* row i is in [i % CONTEXT_CANDIDATES] */
};

void transaction_context_clear(struct transaction_context *context);

/* A transaction begins. */
void transaction_context_begin(struct transaction_context *context);
/* A changed row of the table. */
bool transaction_context_add(struct transaction_context *context,
			     const struct table_plan *plan,
			     const struct change *change) MUST_CHECK;

/* The row that counts, as JSON; NULL: there is none. Borrowed. */
const struct buffer *transaction_context_row(const struct transaction_context *context);

/* Append the fields of an audit line; `is_joined`: the transaction stands for several.
 */
void transaction_context_add_by(const struct transaction_context *context,
				bool is_joined, struct buffer *b);
/* Append those of Debezium's values. */
void transaction_context_add_fields(const struct transaction_context *context,
				    bool is_joined, bool with_schemas,
				    struct buffer *b);

/* Append the value of one of them; with schemas rows are strings. */
enum context_part { CONTEXT_ROW, CONTEXT_ROWS, CONTEXT_LAST_ROWS, CONTEXT_PARTS };
void transaction_context_add_one(const struct transaction_context *context,
				 enum context_part part, bool is_joined,
				 bool with_schemas, struct buffer *b);

/*
 * As Debezium has logical messages, for a transaction that has a context and nothing
 * else: append the key {"prefix":TABLE}, and what stands behind the source block,
 * ,"op":"m","ts_ms":…,"ts_us":…,"ts_ns":…,"message":{"prefix":TABLE,"content":BASE64}}
 * where the content is the row as JSON.
 */
void transaction_context_add_key(const char *table, struct buffer *b);
void transaction_context_add_message(const struct transaction_context *context,
				     const char *table, int64_t now_ns,
				     struct buffer *b);

#endif
