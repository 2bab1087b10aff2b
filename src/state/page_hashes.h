/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/page_hashes.h -- a hash of each page of the shadow: in memory, and in the
 * file DIR/hashes.
 *
 * FORMAT     docs/state.md. What is changed in memory is flagged, and written where it
 *            stands in the file; the order of that, and syncing, is the shadow's.
 * OWNERSHIP  The struct is the caller's, begun with zeros and fd -1; page_hashes_clear
 *            closes fd.
 * THREADS    One thread at a time.
 * ERRORS     ST_IO; ST_DAMAGED: the file is not what it has to be; ST_NOMEM.
 */
#ifndef PAGE_HASHES_H
#define PAGE_HASHES_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

#define PAGE_HASHES_FILE "hashes"

struct page_hashes {
	int fd;
	uint64_t *table; /* page n at n - 1, little-endian as in the file; mapped */
	uint8_t *dirty;  /* a flag for a group of entries: it is not written */
	size_t cap;      /* entries */
};

/* Room in memory. */
enum status page_hashes_reserve(struct page_hashes *h, uint32_t page_count,
				struct error *err) MUST_CHECK;
/* The hash of a page that there is room for. */
uint64_t page_hashes_get(const struct page_hashes *h, uint32_t page_no);
void page_hashes_set(struct page_hashes *h, uint32_t page_no, uint64_t hash);

/* Read all of the file, which must have at least `page_count` entries. */
enum status page_hashes_read(struct page_hashes *h, uint32_t page_size,
			     uint32_t page_count, struct error *err) MUST_CHECK;
/* Write what changed to the file; not what lies past `page_count`. */
enum status page_hashes_write(const struct page_hashes *h, uint32_t page_count,
			      struct error *err) MUST_CHECK;
/* All that was written is on the disk: forget the flags. */
void page_hashes_are_written(struct page_hashes *h);
enum status page_hashes_write_head(const struct page_hashes *h, uint32_t page_size,
				   struct error *err) MUST_CHECK;

/* The page size in the head of the file in a folder; 0: it has none that is right, or
 * there is no file. ST_IO. */
enum status page_hashes_made_for(int dir_fd, uint32_t *page_size,
				 struct error *err) MUST_CHECK;
uint64_t page_hashes_file_bytes(uint32_t page_count);

void page_hashes_clear(struct page_hashes *h);

#endif
