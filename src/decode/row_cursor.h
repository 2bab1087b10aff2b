/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/decode/row_cursor.h -- the rows of one side of a comparison, one after the other.
 *
 * OWNERSHIP  row_cursor_open / row_cursor_close; the storage is the caller's.
 *            The page of the row at hand is pinned.
 * THREADS    One thread at a time.
 * ERRORS     ST_CORRUPT names the page; those of the page source.
 */
#ifndef ROW_CURSOR_H
#define ROW_CURSOR_H

#include "btree/tree_diff.h"
#include "src/decode/row_match.h"

struct row_cursor {
	struct tree_diff *diff;
	struct tree_side *side;
	struct tree_side *other;
	size_t at; /* next item */
	struct page_ref ref;
	struct page page;
	uint32_t index; /* next cell of `page` */
	uint32_t end;
	bool bytes_tell; /* equal bytes are equal rows: common cells are left out */
	bool has;        /* `cell` and `place` are a row */
	struct cell cell;
	struct row_place place;
};

/* `bytes_tell`: cells that a leaf has in both views are not given. */
void row_cursor_open(struct row_cursor *cursor, struct tree_diff *diff, bool is_new,
		     bool bytes_tell);
void row_cursor_close(struct row_cursor *cursor);

/* The first row, or the next; at the end `has` is false. */
enum status row_cursor_next(struct row_cursor *cursor, struct error *err) MUST_CHECK;

/* The cell at `place` of one side, with its page pinned into `ref`, if it is ST_OK. */
enum status row_cell_get(struct tree_side *side, struct row_place place,
			 struct page_ref *ref, struct cell *cell,
			 struct error *err) MUST_CHECK;

#endif
