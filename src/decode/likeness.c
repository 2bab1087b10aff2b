/* SPDX-License-Identifier: Apache-2.0 */
#include "src/decode/likeness.h"

#include <xxhash.h>

#include "btree/tree_diff.h"
#include "src/decode/row_cursor.h"
#include "src/decode/row_match.h"

struct comparison {
	struct tree_diff diff;
	struct row_match match; /* old rows by their bytes */
};

static enum status compare_under_rowid(struct comparison *c, struct row_cursor *old,
				       struct row_cursor *new, bool *shares,
				       struct error *err)
{
	enum status status = ST_OK;

	if (old->cell.rowid == new->cell.rowid) {
		*shares = tree_diff_cell_same(&c->diff, &old->cell, &new->cell);
	}
	if (old->cell.rowid <= new->cell.rowid) {
		int64_t rowid = old->cell.rowid;

		status = row_cursor_next(old, err);
		if (status == ST_OK && rowid == new->cell.rowid) {
			status = row_cursor_next(new, err);
		}
	} else {
		status = row_cursor_next(new, err);
	}
	return status;
}

/* Both sides are in rowid order: merge them. */
static enum status shares_under_rowid(struct comparison *c, bool *shares,
				      struct error *err)
{
	struct row_cursor old, new;
	enum status status;

	row_cursor_open(&old, &c->diff, false, false);
	row_cursor_open(&new, &c->diff, true, false);
	status = row_cursor_next(&old, err);
	if (status == ST_OK) {
		status = row_cursor_next(&new, err);
	}
	while (status == ST_OK && !*shares && old.has && new.has) {
		status = compare_under_rowid(c, &old, &new, shares, err);
	}
	row_cursor_close(&old);
	row_cursor_close(&new);
	return status;
}

static uint64_t cell_hash(const struct cell *cell)
{
	return XXH3_64bits(cell->local, cell->local_len);
}

/* Does one of the old rows that are gathered have the bytes of `cell`? */
static enum status has_old_row(struct comparison *c, const struct cell *cell,
			       bool *found, struct error *err)
{
	struct row_match_entry *entry;
	size_t at = 0;
	enum status status = ST_OK;

	while (status == ST_OK && !*found &&
	       (entry = row_match_next(&c->match, cell_hash(cell), &at))) {
		struct page_ref ref = {0};
		struct cell old;

		status =
		    row_cell_get(&c->diff.old_side, entry->old_place, &ref, &old, err);
		if (status == ST_OK) {
			*found = tree_diff_cell_same(&c->diff, &old, cell);
			page_put(c->diff.old_side.source, &ref);
		}
	}
	return status;
}

/* Without rowids: one row more or less shifts the places of all others, and the order
 * is that of collations that may be unknown. So every row is looked up by its bytes. */
static enum status shares_bytes(struct comparison *c, bool *shares, struct error *err)
{
	struct row_cursor cursor;
	enum status status;

	row_match_empty(&c->match);
	row_cursor_open(&cursor, &c->diff, false, false);
	status = row_cursor_next(&cursor, err);
	while (status == ST_OK && cursor.has) {
		status = row_match_add(&c->match, cell_hash(&cursor.cell), cursor.place,
				       err);
		if (status == ST_OK) {
			status = row_cursor_next(&cursor, err);
		}
	}
	row_cursor_close(&cursor);
	if (status != ST_OK) {
		return status;
	}
	row_cursor_open(&cursor, &c->diff, true, false);
	status = row_cursor_next(&cursor, err);
	while (status == ST_OK && cursor.has && !*shares) {
		status = has_old_row(c, &cursor.cell, shares, err);
		if (status == ST_OK) {
			status = row_cursor_next(&cursor, err);
		}
	}
	row_cursor_close(&cursor);
	return status;
}

/* A row of equal bytes stands on both sides, under its rowid where there is one. */
static enum status shares_row(struct comparison *c, bool *shares, struct error *err)
{
	*shares = false;
	return c->diff.old_side.is_table ? shares_under_rowid(c, shares, err)
					 : shares_bytes(c, shares, err);
}

/* Neither side has a row. */
static enum status are_empty(struct comparison *c, bool *empty, struct error *err)
{
	enum status status = ST_OK;

	*empty = true;
	for (int is_new = 0; status == ST_OK && is_new <= 1; is_new++) {
		struct row_cursor cursor;

		row_cursor_open(&cursor, &c->diff, is_new != 0, false);
		status = row_cursor_next(&cursor, err);
		*empty = *empty && !cursor.has;
		row_cursor_close(&cursor);
	}
	return status;
}

static enum status compare(struct comparison *c, bool is_one_root, uint64_t *out,
			   struct error *err)
{
	bool is_like = false;
	enum status status;

	if (!c->diff.is_one_kind) {
		return ST_OK; /* one of them is a table that SQLite does not list */
	}
	if (c->diff.shared_units > 0) {
		*out = 2 + c->diff.shared_units;
		return ST_OK;
	}
	status = shares_row(c, &is_like, err);
	if (status == ST_OK && !is_like && is_one_root) {
		status = are_empty(c, &is_like, err);
	}
	*out = is_like ? 1 : 0;
	return status;
}

enum status likeness_of(const struct likeness_sides *sides,
			const struct table *old_table, const struct table *new_table,
			uint64_t *out, struct error *err)
{
	struct comparison c;
	enum status status;

	*out = 0;
	if (old_table->without_rowid != new_table->without_rowid) {
		return ST_OK;
	}
	tree_diff_init(&c.diff);
	row_match_init(&c.match);
	tree_diff_begin(&c.diff, sides->old_view, sides->new_view, sides->marks, NULL,
			false);
	status =
	    tree_diff_run(&c.diff, old_table->root_page, new_table->root_page, err);
	if (status == ST_OK) {
		status =
		    compare(&c, old_table->root_page == new_table->root_page, out, err);
	}
	tree_diff_clear(&c.diff);
	row_match_clear(&c.match);
	return status;
}
