/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/overflow.h -- a payload put together from its cell and overflow chain.
 *
 * FORMAT   fileformat2.html section 1.7 "Cell Payload Overflow Pages": 4 bytes next
 *          page (0 at the end), then usable_size - 4 bytes of payload.
 * THREADS  One thread per page source.
 */
#ifndef BTREE_OVERFLOW_H
#define BTREE_OVERFLOW_H

#include "btree/cell.h"
#include "btree/page_source.h"
#include "src/base/buffer.h"

/*
 * Give the whole payload of `cell`. Without overflow `*bytes` points into the
 * page and nothing is copied; otherwise the payload is assembled in `scratch`
 * (reset first) and lives until that is touched again. Reads no more pages
 * than payload_len needs, so a looping chain cannot hang it; a chain that ends
 * early is ST_CORRUPT. A payload_len larger than the database can hold is
 * ST_CORRUPT before anything is allocated.
 */
enum status payload_read(struct page_source *source, const struct cell *cell,
			 struct buffer *scratch, const uint8_t **bytes,
			 struct error *err) MUST_CHECK;

/* Number of overflow pages that the cell's chain must have. */
uint32_t payload_overflow_count(const struct cell *cell, uint32_t usable_size);

/* Call `visit` with each page of the chain in order; it may stop the walk by
 * returning a status other than ST_OK, which is handed on. */
enum status overflow_walk(struct page_source *source, const struct cell *cell,
			  enum status (*visit)(void *context, uint32_t page_no,
					       uint32_t previous, struct error *err),
			  void *context, struct error *err) MUST_CHECK;

#endif
