/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/changed_pages.h -- which pages of an archive's database may differ
 * between two of its states: those that the files between them name.
 *
 * Of these files the headers and indexes are read, and no page. What a file from before
 * the older state names counts, too, and a page that was cut off in between counts if
 * it is inside again.
 *
 * OWNERSHIP  changed_pages_find / changed_pages_clear.
 * THREADS    One thread at a time.
 * ERRORS     ST_CORRUPT: a file is damaged, or files are missing between the two; the
 *            text names them. ST_LOST: a file has gone since it was listed. ST_IO,
 *            ST_NOMEM, ST_STOPPED.
 */
#ifndef CHANGED_PAGES_H
#define CHANGED_PAGES_H

#include "src/storage/storage.h"

struct changed_pages {
	uint64_t *bits; /* page n at bit n - 1; limit bits, the others 0 */
	uint32_t limit;
};

/* Between TXIDs `older` and `newer`, of pages 1 to `limit`. A page above the size of
 * either state is not in it for that reason alone. */
enum status changed_pages_find(struct changed_pages *changed, struct storage *storage,
			       const struct archive_list *list, uint64_t older,
			       uint64_t newer, uint32_t limit,
			       struct error *err) MUST_CHECK;
void changed_pages_clear(struct changed_pages *changed);

static inline bool changed_pages_has(const struct changed_pages *changed,
				     uint32_t page_no)
{
	return page_no - 1 < changed->limit &&
	       (changed->bits[(page_no - 1) / 64] >> ((page_no - 1) % 64) & 1) != 0;
}

#endif
