/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/row_filter.h -- does a row fulfil what somebody wrote in SQL?
 *
 * The text is one expression, as it could stand behind WHERE. SQLite evaluates it on
 * the view that the rows are of (schemas/view_vfs.h), so that it may ask other tables,
 * and for the row with a given key, so that the tree is never read in another order
 * than the caller's. It is one run of one statement for all rows: what a subquery gives
 * that depends on no row is found once.
 *
 * OWNERSHIP  row_filter_open / row_filter_close (takes NULL). The page source and the
 *            table are borrowed until the close.
 * THREADS    One thread at a time, the one that may use the page source.
 * ERRORS     ST_CONFIG: the text is not one expression, SQLite cannot evaluate it (its
 *            message), a value that it reads or makes is longer than 64 MiB, or rows of
 *            the table cannot be asked for by their key. The page source's own.
 *            ST_STOPPED. ST_NOMEM.
 */
#ifndef SCHEMAS_ROW_FILTER_H
#define SCHEMAS_ROW_FILTER_H

#include "btree/page_source.h"
#include "schemas/table.h"
#include "src/base/status.h"

struct row_filter;

enum status row_filter_open(struct page_source *source, const struct table *table,
			    const char *where, struct row_filter **out,
			    struct error *err) MUST_CHECK;
void row_filter_close(struct row_filter *filter);

/* Ask for the row of that rowid, or of a WITHOUT ROWID table of that key, its
 * table->tree_key_count values as they are stored. */
enum status row_filter_ask(struct row_filter *filter, int64_t rowid,
			   const struct value *key, bool *is_fulfilled,
			   struct error *err) MUST_CHECK;

#endif
