/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/memory_source.h -- a database file in memory, as a page source.
 *
 * Every get returns a fresh copy of the page that put frees, so that a sanitizer
 * sees a read past the page or after the put. Closing asserts that every page
 * was put. A WAL is not read: checkpoint first.
 *
 * OWNERSHIP  memory_source_open and its siblings / memory_source_close.
 * THREADS    One thread per source.
 */
#ifndef TESTS_LIB_MEMORY_SOURCE_H
#define TESTS_LIB_MEMORY_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "btree/db_header.h"
#include "btree/page_source.h"
#include "src/base/status.h"

struct memory_source;

/* Read the database file at `path` whole. ST_IO, ST_NOMEM; ST_CORRUPT as below. */
enum status memory_source_open(const char *path, struct memory_source **out,
			       struct error *err) MUST_CHECK;

/*
 * Take a copy of a whole database file's bytes. ST_CORRUPT when the header is
 * broken or there is not one whole page; a last, incomplete page does not count.
 */
enum status memory_source_from_bytes(const uint8_t *bytes, size_t len,
				     struct memory_source **out,
				     struct error *err) MUST_CHECK;

/*
 * Take a copy of bare pages: the bytes need not begin with a database header.
 * The header that memory_source_header gives is then all zeros.
 */
enum status memory_source_from_pages(const uint8_t *bytes, size_t len,
				     uint32_t page_size, uint32_t usable_size,
				     struct memory_source **out,
				     struct error *err) MUST_CHECK;

/* Borrowed until close. */
struct page_source *memory_source_pages(struct memory_source *source);

/* The decoded header of page 1; borrowed until close. */
const struct db_header *memory_source_header(const struct memory_source *source);

/* Pages that were got and not yet put. */
size_t memory_source_pins(const struct memory_source *source);

/* How often pages were got in all. */
uint64_t memory_source_gets(const struct memory_source *source);

/* Page `page_no` for writing, to break it on purpose; NULL when there is none. */
uint8_t *memory_source_edit(struct memory_source *source, uint32_t page_no);

/* Asserts that no page is pinned; takes NULL. */
void memory_source_close(struct memory_source *source);

#endif
