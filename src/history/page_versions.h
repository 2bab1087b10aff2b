/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/history/page_versions.h -- page number to the newest captured version of that
 * page.
 *
 * A hash table with open addressing. Capture keeps one over what lies in the spool,
 * and one over the transaction that it is reading (slot is then an index).
 *
 * OWNERSHIP  page_versions_init / page_versions_clear; storage is the caller's.
 * THREADS    One thread at a time.
 */
#ifndef PAGE_VERSIONS_H
#define PAGE_VERSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

struct page_version {
	uint32_t page_no; /* 0: no entry */
	uint32_t slot;
	uint32_t frame_no;   /* in its generation */
	uint32_t generation; /* counted by capture */
	uint64_t lsn;        /* of its transaction */
};

struct page_versions {
	struct page_version *entries;
	size_t cap; /* a power of two, or 0 */
	size_t total;
};

void page_versions_init(struct page_versions *versions);
void page_versions_clear(struct page_versions *versions); /* frees */

/* Room for `more` entries, so that as many puts cannot fail. */
enum status page_versions_reserve(struct page_versions *versions, size_t more,
				  struct error *err) MUST_CHECK;

/* The entry of `page_no`, or NULL. Borrowed until the next put or removal. */
struct page_version *page_versions_find(const struct page_versions *versions,
					uint32_t page_no);

/* Insert or replace; room was reserved. */
void page_versions_put(struct page_versions *versions,
		       const struct page_version *version);

/* Remove `page_no`; no-op if it has no entry. */
void page_versions_remove(struct page_versions *versions, uint32_t page_no);

#endif
