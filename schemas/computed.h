/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/computed.h -- the values of virtual generated columns.
 *
 * They are in no record, so SQLite computes them (schemas/evaluator.h), with functions
 * and collations of its own only. A column that cannot be computed is NULL, with one
 * warning for each column, ten for each table.
 *
 * What is computed may be hostile. A table is computed here only if its definition, its
 * rows and what is computed are small; all else in a process that can be killed
 * (schemas/compute_process.h). There a row may use
 *
 *     100 ms on a processor and 50 ns more for each byte that it stores
 *     16 MiB and four times its bytes, for all that is computed of it
 *     64 MiB and sixteen times its bytes of memory, in all
 *
 * A column that takes longer is not computed any more. A table whose rows take a
 * second more than what they earn (for each column 1 ms and 50 ns a byte) has none
 * computed any more. All of this is told once.
 *
 * OWNERSHIP  computed_open / computed_close (takes NULL). The texts that
 *            computed_open takes are borrowed until the close.
 * THREADS    Any: calls on one handle wait for each other.
 * ERRORS     ST_NOMEM. ST_IO: for want of a descriptor, a process or memory none can be
 *            started; that is no reason for a value to be NULL.
 */
#ifndef SCHEMAS_COMPUTED_H
#define SCHEMAS_COMPUTED_H

#include "schemas/table.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

/* `table` is borrowed; nothing is asked of SQLite before the first computed_fill. */
enum status computed_open(const struct table *table, struct computed **out,
			  struct error *err) MUST_CHECK;
void computed_close(struct computed *computed);

/*
 * Fill values[i] of each virtual column of the row whose other `values` are there
 * (declaration order; `rowid` is ignored for WITHOUT ROWID tables). `bytes` is
 * reset and takes their TEXT and BLOB bytes, which live until it is touched again.
 */
enum status computed_fill(struct computed *computed, int64_t rowid,
			  struct value *values, struct buffer *bytes,
			  struct error *err) MUST_CHECK;

#endif
