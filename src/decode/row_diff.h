/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/decode/row_diff.h -- from the leaves that differ to the rows that changed.
 *
 * Takes what btree/tree_diff.h found for one table and gives one change per row, its
 * net effect: first every `d`, by old rowid, then `u` and `c` in one sequence by
 * new rowid (WITHOUT ROWID: in the order of the tree). The identity of a row is its
 * primary key, storage class and value; where there is none, or a part of it is NULL,
 * its rowid:
 *
 *   1. same key: nothing or `u`, whatever the rowid (REPLACE, swapped keys)
 *   2. of the rest, same rowid: `d` and `c`, joined by the other row's key
 *      where a column outside the key kept its value
 *   3. the rest: `d`, `c`
 *
 * The rows are gone through several times instead of being kept: memory is a page
 * or two, the two rows at hand, and for moved keys src/decode/row_match.h.
 *
 * OWNERSHIP  row_diff_init / row_diff_clear.
 * THREADS    One thread at a time.
 */
#ifndef ROW_DIFF_H
#define ROW_DIFF_H

#include "btree/tree_diff.h"
#include "schemas/change.h"
#include "schemas/row.h"
#include "src/decode/row_match.h"

/* One table in both views. */
struct table_pair {
	const struct table *old_table; /* NULL: the table is new */
	const struct table *new_table;
	/* Rows may have been renumbered (VACUUM, a merged transaction): a table without
	 * a key is compared by content. */
	bool rowids_may_move;
	/* Rows are paired by what a statement names them by: the rowid, and WITHOUT
	 * ROWID the key. Where an update would give a UNIQUE index another value, which
	 * another row may still have, it is a `d` and a `c`. */
	bool for_statements;
};

/* A row of one side, decoded. */
struct side_row {
	struct row row;
	struct buffer payload;
	struct buffer text;   /* old side: TEXT in the new table's encoding */
	struct value *mapped; /* old side: values in the new table's columns */
	size_t mapped_cap;
	struct buffer computed;     /* bytes of virtual columns in mapped */
	const struct value *values; /* what to use: row.values or mapped */
};

struct row_diff {
	struct tree_diff *diff;
	struct table_pair pair;
	enum status (*emit)(void *context, const struct change *change,
			    struct error *err);
	void *context;
	struct side_row old_row;
	struct side_row new_row;
	struct row_match match;
	int32_t *column_map; /* new column -> old column, -1: none */
	size_t column_map_cap;
	bool is_mapped;  /* the two sides have different columns */
	bool bytes_tell; /* equal bytes are equal rows */
	int identity;    /* enum identity in row_diff.c */
	bool by_rowid;   /* both sides are in rowid order: merge them */
	/* NULL, or called with the context: a row has another rowid than before, and no
	 * change says so; or, from INT64_MAX to INT64_MIN, nobody knows which have. */
	void (*moved)(void *context, int64_t from, int64_t to);
};

void row_diff_init(struct row_diff *rows);
void row_diff_clear(struct row_diff *rows); /* frees */

/*
 * Emit the changes of one table, after tree_diff_run(diff, …) for its trees. `emit`
 * gets each change in order; a status other than ST_OK ends the run and is handed
 * on. ST_CORRUPT names page, or table and row.
 */
enum status row_diff_run(struct row_diff *rows, struct tree_diff *diff,
			 const struct table_pair *pair,
			 enum status (*emit)(void *context, const struct change *change,
					     struct error *err),
			 void *context, struct error *err) MUST_CHECK;

#endif
