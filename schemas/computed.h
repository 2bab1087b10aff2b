/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/computed.h -- the values of virtual generated columns.
 *
 * They are in no record, so SQLite computes them: a sandbox holds the table's own
 * definition and, on the same root page, a table of bare columns without types and
 * constraints. A row is written through the bare table, exactly as it was stored,
 * and its virtual columns are read through the other. Functions and collations of
 * the application are unknown here: a collation compares as memcmp; a column that
 * cannot be computed is NULL, with one warning for each column.
 *
 * A computed value may be as long as four times its row and 64 MiB; a longer one
 * counts as one that cannot be computed.
 *
 * OWNERSHIP  computed_open / computed_close (takes NULL). The texts that
 *            computed_open takes are borrowed until the close.
 * THREADS    Any: calls on one handle wait for each other.
 * ERRORS     ST_NOMEM only.
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
