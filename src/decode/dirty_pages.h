/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/decode/dirty_pages.h -- which pages of a transaction are to be looked at.
 *
 * All that can belong to a tree. But where it has every page of the database it is, as
 * a rule, no commit: Litestream writes such a file when it cannot tell what it has
 * missed, and a whole database may lie over a gap of an archive. Then most pages are
 * what they were, and those are left out before anything is made of them: this costs
 * one look at both states of each page, in the order of page numbers.
 *
 * THREADS  That of the view.
 */
#ifndef DIRTY_PAGES_H
#define DIRTY_PAGES_H

#include "btree/page_marks.h"
#include "src/history/view.h"

/*
 * Into `marks`, which are emptied; between view_begin and view_end of `txn`.
 * `any_ptrmap`: one of the two states has pointer-map pages, which are no tree's.
 * `*left_out`: how many pages are as they were. Errors of the view; ST_NOMEM.
 */
enum status dirty_pages_collect(struct view *view, const struct captured_txn *txn,
				bool any_ptrmap, struct page_marks *marks,
				size_t *left_out, struct error *err) MUST_CHECK;

#endif
