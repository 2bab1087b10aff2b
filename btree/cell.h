/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/cell.h -- one cell of a table or index b-tree page.
 *
 * FORMAT     fileformat2.html section 1.6 "B-tree Cell Format": which fields a
 *            cell has by page kind, and how much of a payload stays on the page.
 * OWNERSHIP  A cell is a view: its pointers lie in the page and die with it.
 * THREADS    No shared state.
 * ERRORS     ST_CORRUPT only; the text names page, cell and byte offset.
 */
#ifndef BTREE_CELL_H
#define BTREE_CELL_H

#include <stdint.h>

#include "btree/page.h"
#include "src/base/status.h"

struct cell {
	int64_t rowid;          /* table pages only, else 0 */
	uint32_t left_child;    /* page number; 0 on a leaf */
	const uint8_t *local;   /* borrowed: payload bytes kept on the page */
	uint32_t local_len;     /* bytes */
	uint64_t payload_len;   /* bytes, local and overflow together */
	uint32_t overflow_page; /* first page of the chain; 0 if none */
	uint32_t offset;        /* of the cell in its page */
	uint32_t size;          /* bytes of the cell on the page, all fields together */
};

/*
 * Decode cell `index` (0-based, below page->cell_count) into `*out`. On a table
 * interior page there is no payload. ST_CORRUPT leaves `*out` untouched; a
 * payload longer than 2^31-1 bytes, a cell past usable_size or among the cell
 * pointers, and a zero child or overflow page number are corrupt.
 */
enum status cell_read(const struct page *page, uint32_t index, struct cell *out,
		      struct error *err) MUST_CHECK;

#endif
