/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/row_key.h -- the key of a row in the tree of its table, and the order of
 * keys.
 *
 * A rowid table is ordered by rowid. A WITHOUT ROWID table is ordered by the values of
 * its key (table->tree_key): NULL < numbers < TEXT < BLOB, integers and reals compared
 * exactly, TEXT by the collation of its place, each place ascending or descending.
 *
 * OWNERSHIP  row_key_init / row_key_clear; the storage of the struct is the caller's.
 *            Values read from a key borrow from it.
 * THREADS    No shared state.
 */
#ifndef SCHEMAS_ROW_KEY_H
#define SCHEMAS_ROW_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "btree/db_header.h"
#include "schemas/table.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

struct row_key {
	bool is_set;
	bool is_rowid;
	int64_t rowid;
	struct buffer record; /* unless is_rowid: of the first tree_key_count values */
};

void row_key_init(struct row_key *key);
void row_key_clear(struct row_key *key); /* not set, and usable again */

/* False: no memory; `to` is then not set. */
bool row_key_copy(struct row_key *to, const struct row_key *from) MUST_CHECK;

/* Append the key to `out` for people, in UTF-8: "[5]", "['a', 2]", "[]" if it is not
 * set; at most ROW_KEY_TEXT_MAX bytes, of long keys the beginning. TEXT is in
 * `encoding`; what could steer a terminal is shown as '?'. */
#define ROW_KEY_TEXT_MAX 1024
void row_key_text(const struct row_key *key, enum text_encoding encoding,
		  struct buffer *out);

/* Is it a key of the kind that the table has? (Not: is it of this table.) */
bool row_key_fits(const struct row_key *key, const struct table *table);

/* The table->tree_key_count values of a key that is set, into an array that has room
 * for one more. ST_LOST: the key does not fit the table, which must have been made anew
 * since. */
enum status row_key_values(const struct row_key *key, const struct table *table,
			   struct value *values, struct error *err) MUST_CHECK;

/* Is the order of the table's tree one that row_key_order knows? Not if a collation is
 * the application's own, or needs UTF-8 in a database that has UTF-16. */
bool row_key_order_is_known(const struct table *table);

/* Order of two keys of a WITHOUT ROWID table whose order is known, tree_key_count
 * values each: below, equal to or above 0. */
int row_key_order(const struct table *table, const struct value *a,
		  const struct value *b);

#endif
