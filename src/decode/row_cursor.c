/* SPDX-License-Identifier: Apache-2.0 */
#include "src/decode/row_cursor.h"

void row_cursor_open(struct row_cursor *cursor, struct tree_diff *diff, bool is_new,
		     bool bytes_tell)
{
	*cursor =
	    (struct row_cursor){.diff = diff,
				.bytes_tell = bytes_tell,
				.side = is_new ? &diff->new_side : &diff->old_side,
				.other = is_new ? &diff->old_side : &diff->new_side};
}

void row_cursor_close(struct row_cursor *cursor)
{
	page_put(cursor->side->source, &cursor->ref);
}

/* How much of the leaf at hand is the same cells in the other view. */
static enum status find_common(struct row_cursor *cursor, struct leaf_common *common,
			       struct error *err)
{
	struct page_ref ref = {0};
	struct page other;
	enum status status;

	*common = (struct leaf_common){0, 0};
	if (!cursor->bytes_tell ||
	    !page_set_has(&cursor->other->units, cursor->page.page_no)) {
		return ST_OK;
	}
	if (tree_diff_known_common(cursor->diff, cursor->page.page_no, common)) {
		return ST_OK;
	}
	status = page_get(cursor->other->source, cursor->page.page_no, &ref, err);
	if (status != ST_OK) {
		return status;
	}
	status = page_parse(ref.bytes, cursor->page.page_no,
			    cursor->other->source->usable_size, &other, err);
	if (status == ST_OK) {
		bool is_new = cursor->side == &cursor->diff->new_side;

		*common =
		    tree_diff_leaf_common(cursor->diff, is_new ? &other : &cursor->page,
					  is_new ? &cursor->page : &other);
	}
	page_put(cursor->other->source, &ref);
	return status;
}

/* Pin the page of the next item and set the range of cells to give. */
static enum status cursor_enter(struct row_cursor *cursor, struct tree_item item,
				struct error *err)
{
	struct tree_side *side = cursor->side;
	struct leaf_common common;
	enum status status;

	if (!cursor->ref.bytes || cursor->page.page_no != item.page_no) {
		page_put(side->source, &cursor->ref);
		status = page_get(side->source, item.page_no, &cursor->ref, err);
		if (status == ST_OK) {
			status =
			    page_parse(cursor->ref.bytes, item.page_no,
				       side->source->usable_size, &cursor->page, err);
		}
		if (status != ST_OK) {
			return status;
		}
	}
	if (item.cell != TREE_ITEM_PAGE) {
		cursor->index = (uint32_t)item.cell;
		cursor->end = cursor->index + 1;
		return ST_OK;
	}
	if (!cursor->page.is_leaf || cursor->page.is_table != side->is_table) {
		return error_set(err, ST_CORRUPT,
				 "page %u is of kind %d, which does not fit its b-tree",
				 item.page_no, (int)cursor->page.kind);
	}
	status = find_common(cursor, &common, err);
	cursor->index = common.prefix;
	cursor->end = cursor->page.cell_count - common.suffix;
	return status;
}

enum status row_cursor_next(struct row_cursor *cursor, struct error *err)
{
	enum status status;

	while (cursor->index == cursor->end) {
		if (cursor->at == cursor->side->rows.count) {
			cursor->has = false;
			return ST_OK;
		}
		status =
		    cursor_enter(cursor, cursor->side->rows.items[cursor->at++], err);
		if (status != ST_OK) {
			return status;
		}
	}
	cursor->place = (struct row_place){cursor->page.page_no, cursor->index};
	cursor->has = true;
	return cell_read(&cursor->page, cursor->index++, &cursor->cell, err);
}

enum status row_cell_get(struct tree_side *side, struct row_place place,
			 struct page_ref *ref, struct cell *cell, struct error *err)
{
	struct page page;
	enum status status = page_get(side->source, place.page_no, ref, err);

	if (status != ST_OK) {
		return status;
	}
	status = page_parse(ref->bytes, place.page_no, side->source->usable_size, &page,
			    err);
	if (status == ST_OK && place.cell >= page.cell_count) {
		status = error_set(err, ST_CORRUPT,
				   "page %u has %u cells, and number %u is asked for",
				   place.page_no, page.cell_count, place.cell);
	}
	if (status == ST_OK) {
		status = cell_read(&page, place.cell, cell, err);
	}
	if (status != ST_OK) {
		page_put(side->source, ref);
	}
	return status;
}
