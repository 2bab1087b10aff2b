/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/whole_index.h"

#include <stdlib.h>

#include "btree/db_header.h"

#ifndef PIECE_BYTES /* tests have a smaller one */
#define PIECE_BYTES (64u << 10)
#endif
#define ENTRY_BYTES 30u                   /* of an entry, at most */
#define PROOF       4u                    /* entries that must follow each other */
#define BEHIND      (PROOF * ENTRY_BYTES) /* a piece that are read with it */
_Static_assert(PIECE_BYTES > 2 * ENTRY_BYTES, "each piece has an entry");

/* What is read of a piece: from its place in the index on. */
struct part {
	const struct whole_index *whole;
	const char *name;
	uint64_t place;
	size_t piece_len; /* entries that begin before this are of the piece */
	size_t len;       /* bytes, the next ones included */
};

static enum status corrupt(const struct part *part, size_t at, struct error *err)
{
	return ltx_corrupt(part->name, "has an index that does not name its pages",
			   part->whole->start + part->place + at, err);
}

/* ---- entries ---- */

static bool read_number(const struct part *part, size_t *at, uint64_t *v)
{
	*v = 0;
	for (unsigned i = 0; i < 10 && *at < part->len; i++) {
		uint8_t byte = part->whole->bytes[(*at)++];

		if (i == 9 && byte > 1) {
			return false;
		}
		*v |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80)) {
			return true;
		}
	}
	return false;
}

/* The entry at `*at`, which is moved behind it; false: none that can be. */
static bool read_entry(const struct part *part, size_t *at, struct ltx_entry *entry)
{
	const struct whole_index *w = part->whole;
	uint64_t frames_end = w->start - LTX_HEAD_BYTES;
	uint64_t v[3];

	for (unsigned i = 0; i < 3; i++) {
		if (!read_number(part, at, &v[i])) {
			return false;
		}
	}
	if (v[0] == 0 || v[0] > w->page_count ||
	    v[0] == db_lock_byte_page(w->page_size) || v[1] < LTX_HEADER_BYTES ||
	    v[1] > frames_end || v[2] <= LTX_HEAD_BYTES || v[2] > LTX_FRAME_MOST ||
	    v[2] > frames_end - v[1]) {
		return false;
	}
	*entry = (struct ltx_entry){
	    .page_no = (uint32_t)v[0], .offset = v[1], .len = (uint32_t)v[2]};
	return true;
}

/* `at` is where the index has its last zero. */
static bool is_end(const struct part *part, size_t at)
{
	return part->place + at + 1 == part->whole->len && part->whole->bytes[at] == 0;
}

static bool follows(const struct ltx_entry *before, const struct ltx_entry *entry)
{
	return entry->page_no > before->page_no &&
	       entry->offset == before->offset + before->len;
}

/* Do entries begin at `at`? Not in the middle of a number: at the rest of a page number
 * what follows would fit, too. */
static bool is_start(const struct part *part, size_t at)
{
	struct ltx_entry before;
	struct ltx_entry entry;

	if ((part->whole->bytes[at - 1] & 0x80) || !read_entry(part, &at, &before)) {
		return false;
	}
	for (unsigned i = 1; i < PROOF && !is_end(part, at); i++) {
		if (!read_entry(part, &at, &entry) || !follows(&before, &entry)) {
			return false;
		}
		before = entry;
	}
	return true;
}

/* ---- pieces ---- */

static enum status visit_entries(const struct part *part, size_t at,
				 struct whole_piece *piece, struct whole_visit visit,
				 struct error *err)
{
	struct whole_piece found = {0};
	struct ltx_entry before = {.offset = LTX_HEADER_BYTES};
	struct ltx_entry entry;

	while (at < part->piece_len && !is_end(part, at)) {
		bool is_first = found.first == 0 && part->place > 0;

		if (!read_entry(part, &at, &entry) ||
		    (!is_first && !follows(&before, &entry))) {
			return corrupt(part, at, err);
		}
		found.first = found.first ? found.first : entry.page_no;
		found.last = entry.page_no;
		before = entry;
		visit.visit(visit.context, &entry);
	}
	if (found.first == 0) {
		return corrupt(part, at, err);
	}
	*piece = found;
	return ST_OK;
}

static enum status read_piece(struct whole_index *w, struct storage_file *file,
			      uint32_t index, struct whole_visit visit,
			      struct error *err)
{
	struct part part = {
	    .whole = w, .name = file->name, .place = (uint64_t)index * PIECE_BYTES};
	uint64_t left = w->len - part.place;
	size_t got;
	size_t at = 0;
	enum status status;

	/* The last one has what is left over. */
	part.piece_len = index + 1 == w->piece_count ? (size_t)left : PIECE_BYTES;
	if (index > 0) {
		/* And the byte before, which says whether a number begins. */
		part.place--;
		part.piece_len++;
		left++;
	}
	part.len =
	    part.piece_len + BEHIND < left ? part.piece_len + BEHIND : (size_t)left;
	status = storage_file_read(file, w->bytes, part.len, w->start + part.place,
				   &got, err);
	if (status != ST_OK) {
		return status;
	}
	if (got < part.len) {
		return ltx_corrupt(file->name, "ends too early",
				   w->start + part.place + got, err);
	}
	if (index > 0) {
		at = 1;
		while (at <= ENTRY_BYTES && !is_start(&part, at)) {
			at++;
		}
		if (at > ENTRY_BYTES) {
			return corrupt(&part, 0, err);
		}
	}
	return visit_entries(&part, at, &w->pieces[index], visit, err);
}

/* So many pieces from one to the other, for so many pages between. */
static uint32_t distance(const struct whole_index *w, uint32_t pages)
{
	return (uint32_t)((uint64_t)pages * w->piece_count / w->page_count);
}

enum status whole_index_find(struct whole_index *w, struct storage_file *file,
			     uint32_t page_no, struct whole_visit visit,
			     struct error *err)
{
	uint32_t low = 0; /* it is in one of [low, high) */
	uint32_t high = w->piece_count;
	uint32_t index = high > 0 ? distance(w, page_no - 1) : 0;

	while (low < high) {
		struct whole_piece *piece;

		index = index < low ? low : index >= high ? high - 1 : index;
		piece = &w->pieces[index];
		if (piece->first == 0) {
			enum status status = read_piece(w, file, index, visit, err);

			if (status != ST_OK) {
				return status;
			}
		}
		if (page_no < piece->first) {
			uint32_t back = distance(w, piece->first - page_no) + 1;

			high = index;
			index = back < index ? index - back : 0;
		} else if (page_no > piece->last) {
			low = index + 1;
			index += distance(w, page_no - piece->last) + 1;
		} else {
			return ST_OK;
		}
	}
	return ST_END;
}

/* ---- the index ---- */

bool whole_index_is_long(const struct ltx_index *index)
{
	return ltx_index_length(index) > 2 * PIECE_BYTES;
}

enum status whole_index_init(struct whole_index *w, const struct ltx_index *index,
			     struct error *err)
{
	const struct ltx_header *header = ltx_index_header(index);
	uint64_t pieces = ltx_index_length(index) / PIECE_BYTES;

	*w = (struct whole_index){
	    .page_size = header->page_size,
	    .page_count = header->page_count,
	    .start = ltx_index_start(index),
	    .len = ltx_index_length(index),
	};
	if (header->page_count == 0 || pieces > header->page_count) {
		return error_set(err, ST_CORRUPT,
				 "an index is longer than its pages need; " LTX_ADVICE);
	}
	w->pieces = calloc(pieces, sizeof *w->pieces);
	w->bytes = malloc(1 + 2 * PIECE_BYTES + BEHIND);
	if (!w->pieces || !w->bytes) {
		whole_index_clear(w);
		return error_no_memory(err, "the index of an archive");
	}
	w->piece_count = (uint32_t)pieces;
	return ST_OK;
}

void whole_index_clear(struct whole_index *w)
{
	free(w->pieces);
	free(w->bytes);
	*w = (struct whole_index){0};
}
