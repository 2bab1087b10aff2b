/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/page_source.h -- "give me page N": the one interface decoding knows.
 *
 * A source is a database frozen at one moment: every page as it was then.
 * Implemented by src/history/view.c over the spool and the database file, and by tests
 * over arrays in memory.
 *
 * OWNERSHIP  page_get pins a page; its bytes stay unchanged until page_put.
 *            Every successful get is put exactly once. A few hundred pages may
 *            be pinned at a time (not a whole tree).
 * THREADS    One thread per source.
 */
#ifndef BTREE_PAGE_SOURCE_H
#define BTREE_PAGE_SOURCE_H

#include <stdint.h>

#include "src/base/status.h"

struct page_ref {
	const uint8_t *bytes; /* page_size bytes; NULL when nothing is pinned */
	void *pin;            /* the source's own; may be NULL */
};

struct page_source {
	/*
	 * Pin page `page_no` (1-based). ST_CORRUPT when it is 0 or past
	 * page_count, ST_IO when it cannot be read; `*ref` is then untouched.
	 */
	enum status (*get)(struct page_source *source, uint32_t page_no,
			   struct page_ref *ref, struct error *err);
	void (*put)(struct page_source *source, struct page_ref *ref);
	uint32_t page_count;  /* pages in the database at this moment */
	uint32_t page_size;   /* bytes, 512 to 65536 */
	uint32_t usable_size; /* page_size less the reserved bytes, at least 480 */
};

static inline enum status page_get(struct page_source *source, uint32_t page_no,
				   struct page_ref *ref, struct error *err) MUST_CHECK;
static inline enum status page_get(struct page_source *source, uint32_t page_no,
				   struct page_ref *ref, struct error *err)
{
	return source->get(source, page_no, ref, err);
}

/* Unpin; does nothing when nothing is pinned. */
static inline void page_put(struct page_source *source, struct page_ref *ref)
{
	if (ref->bytes) {
		source->put(source, ref);
		ref->bytes = 0;
	}
}

#endif
