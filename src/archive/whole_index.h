/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/whole_index.h -- the index of a file with a whole database, read in
 * pieces: those where the pages stand that are asked for.
 *
 * The index of a large database has megabytes, and a query wants some pages. Entries
 * stand in the order of page numbers, so a page is looked for where it should be by its
 * number, and from there to the left or to the right. Where in a piece an entry begins
 * is not marked: it is where entries follow each other so that each frame begins
 * where the one before ends.
 *
 * OWNERSHIP  whole_index_init / whole_index_clear; the storage is the caller's.
 * THREADS    One at a time.
 * ERRORS     ST_CORRUPT, as src/archive/ltx_index.h, of pieces that are read. ST_IO,
 *            ST_LOST, ST_NOMEM.
 */
#ifndef WHOLE_INDEX_H
#define WHOLE_INDEX_H

#include "src/archive/ltx_index.h"

struct whole_piece {
	uint32_t first; /* page; 0: not read yet */
	uint32_t last;
};

struct whole_index {
	uint32_t page_size;
	uint32_t page_count; /* of the database after the file */
	uint64_t start;      /* of the index, in the file */
	uint64_t len;        /* of it with its last zero */
	struct whole_piece *pieces;
	uint32_t piece_count; /* 0: it is not in use */
	uint8_t *bytes;       /* of a piece */
};

/* Is it so long that pieces are worth it? */
bool whole_index_is_long(const struct ltx_index *index);

/* Of one that was just opened. */
enum status whole_index_init(struct whole_index *whole, const struct ltx_index *index,
			     struct error *err) MUST_CHECK;
void whole_index_clear(struct whole_index *whole);

/* Where entries go as they are read, each of them once. */
struct whole_visit {
	void (*visit)(void *context, const struct ltx_entry *entry);
	void *context;
};

/* Read the piece that has `page_no`, unless it was read before. ST_END: there is no
 * such entry. */
enum status whole_index_find(struct whole_index *whole, struct storage_file *file,
			     uint32_t page_no, struct whole_visit visit,
			     struct error *err) MUST_CHECK;

#endif
