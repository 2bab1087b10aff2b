/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/freelist.h -- pages that belong to no tree.
 *
 * FORMAT   fileformat2.html section 1.5 "The Freelist": trunk page = next trunk,
 *          count, count leaf page numbers.
 */
#ifndef BTREE_FREELIST_H
#define BTREE_FREELIST_H

#include "btree/db_header.h"
#include "btree/page_source.h"

/*
 * Call `visit` for each trunk and leaf page of the freelist. ST_CORRUPT for page
 * numbers out of range, a trunk count that does not fit the page, or more pages than
 * the database has (a loop).
 */
enum status freelist_walk(struct page_source *source, const struct db_header *header,
			  void (*visit)(void *context, uint32_t page_no), void *context,
			  struct error *err) MUST_CHECK;

#endif
