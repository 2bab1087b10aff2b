/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/evaluator.h -- SQLite computes the virtual generated columns of one row.
 *
 * A sandbox holds the table's own definition and, on the same root page, a table of
 * bare columns without types and constraints. A row is written through the bare table,
 * exactly as it was stored, and its virtual columns are read through the other.
 * Functions and collations of the application are unknown here: a collation compares as
 * memcmp.
 *
 * What is computed was written by somebody else, and nothing inside of SQLite bounds
 * it: neither a call of a function nor preparing a statement can be interrupted, and
 * columns that name each other grow as 2 to the power of their number. So an evaluator
 * is only used where it may take its time (schemas/compute_process.h), or for what is
 * known to be small (schemas/computed.c).
 *
 * OWNERSHIP  evaluator_open / evaluator_close (takes NULL). The table is borrowed.
 * THREADS    One thread at a time.
 * ERRORS     ST_CORRUPT with SQLite's message: a column, or all of them, cannot be
 *            computed. ST_NOMEM: memory, or a limit on it, was reached.
 */
#ifndef SCHEMAS_EVALUATOR_H
#define SCHEMAS_EVALUATOR_H

#include <stdbool.h>

#include "schemas/table.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

struct evaluator;

/* Nothing is asked of SQLite yet. `is_off` (NULL: none) says of each virtual column, in
 * the order of the table, that it is not to be computed. */
enum status evaluator_open(const struct table *table, const bool *is_off,
			   struct evaluator **out, struct error *err) MUST_CHECK;
void evaluator_close(struct evaluator *evaluator);

/* How many virtual columns the table has. */
uint32_t evaluator_count(const struct table *table);

/*
 * Prepare what all rows need. `*has_complaint`: SQLite does not understand all of the
 * definition, `*complaint` says what, and some column will be NULL.
 */
enum status evaluator_prepare(struct evaluator *evaluator, bool *has_complaint,
			      struct error *complaint, struct error *err) MUST_CHECK;

/* After evaluator_prepare: how often reading one row calls a function. */
enum status evaluator_function_calls(struct evaluator *evaluator, uint32_t *calls,
				     struct error *err) MUST_CHECK;

/* No value may be longer than that from now on. */
void evaluator_limit(struct evaluator *evaluator, uint64_t bytes);

/* Make this the row that is read from: its `values` in declaration order, of which the
 * virtual ones are not looked at; `rowid` is ignored for WITHOUT ROWID tables. */
enum status evaluator_write(struct evaluator *evaluator, int64_t rowid,
			    const struct value *values, struct error *err) MUST_CHECK;

/*
 * Compute all virtual columns that are not off: values[i] of each of them. TEXT and
 * BLOB bytes are appended to `bytes`; value.integer has their offset there. The first
 * column that fails ends it, and nothing in `values` counts.
 */
enum status evaluator_read_all(struct evaluator *evaluator, struct value *values,
			       struct buffer *bytes, struct error *err) MUST_CHECK;

/* The same for one of them, `index` counting the virtual ones. `*is_broken`: it fails,
 * and will for every row. */
enum status evaluator_read_one(struct evaluator *evaluator, uint32_t index,
			       struct value *value, struct buffer *bytes,
			       bool *is_broken, struct error *err) MUST_CHECK;

#endif
