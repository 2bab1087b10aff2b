/* SPDX-License-Identifier: Apache-2.0 */
#include "src/decode/dirty_pages.h"

#include <string.h>

#include "btree/db_header.h"
#include "btree/ptrmap.h"

#define WHOLE_LEAST 64u /* a small database is often written whole */

/* Has it all pages of the database? That of the lock byte is never there. */
static bool is_whole(const struct captured_txn *txn)
{
	return txn->page_count >= WHOLE_LEAST && txn->page_total + 1 >= txn->page_count;
}

static enum status is_as_before(struct view *view, uint32_t page_no, bool *same,
				struct error *err)
{
	struct page_source *old = view_old(view), *new = view_new(view);
	struct page_ref old_ref = {0}, new_ref = {0};
	enum status status;

	*same = false;
	if (page_no > old->page_count) {
		return ST_OK;
	}
	status = page_get(old, page_no, &old_ref, err);
	if (status != ST_OK) {
		return status;
	}
	status = page_get(new, page_no, &new_ref, err);
	if (status == ST_OK) {
		*same = memcmp(old_ref.bytes, new_ref.bytes, old->page_size) == 0;
		page_put(new, &new_ref);
	}
	page_put(old, &old_ref);
	return status;
}

static bool is_of_no_tree(const struct page_source *new, uint32_t page_no,
			  bool any_ptrmap)
{
	return page_no > new->page_count ||
	       page_no == db_lock_byte_page(new->page_size) ||
	       (any_ptrmap &&
		ptrmap_is_ptrmap_page(page_no, new->page_size, new->usable_size));
}

enum status dirty_pages_collect(struct view *view, const struct captured_txn *txn,
				bool any_ptrmap, struct page_marks *marks,
				size_t *left_out, struct error *err)
{
	const struct page_source *old = view_old(view), *new = view_new(view);
	bool compares = old->page_size == new->page_size &&
			old->usable_size == new->usable_size &&is_whole(txn);
	enum status status = ST_OK;
	bool same = false;

	page_marks_empty(marks);
	*left_out = 0;
	for (size_t i = 0; status == ST_OK && i < txn->page_total; i++) {
		uint32_t page_no = txn->pages[i].page_no;

		if (is_of_no_tree(new, page_no, any_ptrmap)) {
			continue;
		}
		if (compares) {
			status = is_as_before(view, page_no, &same, err);
		}
		if (status == ST_OK && same) {
			(*left_out)++;
		} else if (status == ST_OK) {
			status = page_marks_add_dirty(marks, page_no, err);
		}
	}
	return status;
}
