/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/decode/vacuum.h -- was that transaction a VACUUM?
 *
 * VACUUM renumbers the rows of tables without a key. It is known by a changed schema
 * cookie, schema rows that are equal but for root pages, an empty freelist, and a frame
 * for every page that a tree can have.
 *
 * THREADS  No shared state.
 */
#ifndef VACUUM_H
#define VACUUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "btree/page_source.h"
#include "schemas/catalog.h"

/* `was` and `is` are the catalogs before and after it, `written` is how many pages that
 * can belong to a tree it wrote, and `page_count` how many there are after it. */
bool vacuum_is_likely(const struct catalog *was, const struct catalog *is,
		      size_t written, uint32_t page_count,
		      const struct page_source *new);

#endif
