/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/ltx_index.h"

#include <lz4.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "btree/db_header.h"
#include "src/base/bytes.h"

#define WINDOW_BYTES (64u << 10)
#define SMALL_BYTES  (8u << 10) /* a file up to this is read at once */
#define TAIL_BYTES   (4u << 10) /* of another: many an index is shorter */
#define LENGTH_BYTES 8u
#define LEB128_BYTES 10u
#define FRAME_LEAST  (LTX_HEAD_BYTES + 1)
#define BLOCK_LENGTH 4u /* before an LZ4 block */

struct ltx_index {
	struct storage_file *file;
	struct ltx_header header;
	uint64_t start;     /* of the index, in the file */
	uint64_t end;       /* behind its last entry, where its zero is */
	uint64_t next;      /* where the next frame must begin */
	uint32_t last_page; /* 0: none yet */

	/* Of the file, the bytes from `offset` on that are in memory and not yet used.
	 */
	uint64_t offset;
	size_t at;
	size_t filled;
	uint8_t window[WINDOW_BYTES];
};

static enum status corrupt(const struct ltx_index *x, const char *what,
			   struct error *err)
{
	return ltx_corrupt(x->file->name, what, x->offset, err);
}

/* ---- bytes ---- */

/* Have `len` bytes from `offset` on in the window, and no more than it can hold. */
static enum status load(struct ltx_index *x, uint64_t offset, size_t len,
			struct error *err)
{
	enum status status =
	    storage_file_read(x->file, x->window, len, offset, &x->filled, err);

	x->offset = offset;
	x->at = 0;
	if (status == ST_OK && x->filled < len) {
		status = corrupt(x, "ends too early", err);
	}
	return status;
}

/* The bytes at `offset` are the next; what of them is in the window is kept. */
static void seek(struct ltx_index *x, uint64_t offset)
{
	uint64_t first = x->offset - x->at;

	if (offset >= first && offset <= first + x->filled) {
		x->at = (size_t)(offset - first);
	} else {
		x->at = x->filled = 0;
	}
	x->offset = offset;
}

/* One byte of the index; the zero behind its end is one, too. */
static enum status read_byte(struct ltx_index *x, uint8_t *byte, struct error *err)
{
	uint64_t left = x->end + 1 - x->offset;

	if (left == 0) {
		return corrupt(x, "has an index of another length", err);
	}
	if (x->at == x->filled) {
		enum status status =
		    load(x, x->offset,
			 left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES, err);

		if (status != ST_OK) {
			return status;
		}
	}
	*byte = x->window[x->at++];
	x->offset++;
	return ST_OK;
}

static enum status read_leb128(struct ltx_index *x, uint64_t *v, struct error *err)
{
	*v = 0;
	for (unsigned i = 0; i < LEB128_BYTES; i++) {
		uint8_t byte = 0;
		enum status status = read_byte(x, &byte, err);

		if (status != ST_OK) {
			return status;
		}
		if (i == LEB128_BYTES - 1 && byte > 1) {
			break;
		}
		*v |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80)) {
			return ST_OK;
		}
	}
	return corrupt(x, "has a number in its index that is too long", err);
}

/* ---- the ends of the file ---- */

static enum status read_header(struct ltx_index *x, const struct archive_file *expected,
			       struct error *err)
{
	uint64_t size = x->file->size;
	enum status status;

	if (size <
	    LTX_HEADER_BYTES + LTX_HEAD_BYTES + 1 + LENGTH_BYTES + LTX_TRAILER_BYTES) {
		return corrupt(x, "ends too early", err);
	}
	status = load(x, 0, size <= SMALL_BYTES ? (size_t)size : LTX_HEADER_BYTES, err);
	return status == ST_OK ? ltx_header_read(x->window, x->file->name, expected,
						 &x->header, err)
			       : status;
}

/* Where the index lies: its length is before the trailer. */
static enum status find_index(struct ltx_index *x, struct error *err)
{
	uint64_t size = x->file->size;
	uint64_t behind = size - LTX_TRAILER_BYTES - LENGTH_BYTES;
	enum status status = ST_OK;
	uint64_t len;

	if (size > SMALL_BYTES) {
		status = load(x, size - TAIL_BYTES, TAIL_BYTES, err);
	}
	if (status != ST_OK) {
		return status;
	}
	seek(x, behind);
	len = get_u64be(x->window + x->at);
	if (len == 0 || len > behind - LTX_HEADER_BYTES - LTX_HEAD_BYTES) {
		return corrupt(x, "has an index of an impossible length", err);
	}
	x->start = behind - len;
	x->end = behind - 1;
	x->next = LTX_HEADER_BYTES;
	seek(x, x->start);
	return ST_OK;
}

enum status ltx_index_open(struct storage_file *file,
			   const struct archive_file *expected, struct ltx_index **out,
			   struct error *err)
{
	struct ltx_index *x = malloc(sizeof *x);
	enum status status;

	if (!x) {
		return error_no_memory(err, "a file of an archive");
	}
	/* Without the window. */
	memset(x, 0, offsetof(struct ltx_index, window));
	x->file = file;
	status = read_header(x, expected, err);
	if (status == ST_OK) {
		status = find_index(x, err);
	}
	if (status != ST_OK) {
		free(x);
		return status;
	}
	*out = x;
	return ST_OK;
}

void ltx_index_close(struct ltx_index *x)
{
	free(x);
}

const struct ltx_header *ltx_index_header(const struct ltx_index *x)
{
	return &x->header;
}

uint64_t ltx_index_start(const struct ltx_index *x)
{
	return x->start;
}

uint64_t ltx_index_length(const struct ltx_index *x)
{
	return x->end + 1 - x->start;
}

/* ---- entries ---- */

static enum status check_entry(struct ltx_index *x, uint64_t page_no, uint64_t offset,
			       uint64_t len, struct error *err)
{
	uint64_t frames_end = x->start - LTX_HEAD_BYTES;

	if (page_no <= x->last_page || page_no > x->header.page_count) {
		return corrupt(x,
			       "has a page number in its index out of order or beyond "
			       "the end",
			       err);
	}
	if (page_no == db_lock_byte_page(x->header.page_size)) {
		return corrupt(x, "has the page of the lock byte", err);
	}
	if (offset != x->next || len < FRAME_LEAST || len > LTX_FRAME_MOST ||
	    len > frames_end - offset) {
		return corrupt(x, "has an index that does not name its pages", err);
	}
	return ST_OK;
}

enum status ltx_index_next(struct ltx_index *x, struct ltx_entry *entry,
			   struct error *err)
{
	uint64_t v[3] = {0};
	enum status status = read_leb128(x, &v[0], err);

	if (status == ST_OK && v[0] == 0) {
		/* A second call finds the same zero. */
		seek(x, x->offset - 1);
		return x->offset == x->end && x->next == x->start - LTX_HEAD_BYTES
			   ? ST_END
			   : corrupt(x, "has an index that does not name its pages",
				     err);
	}
	for (unsigned i = 1; status == ST_OK && i < 3; i++) {
		status = read_leb128(x, &v[i], err);
	}
	if (status == ST_OK) {
		status = check_entry(x, v[0], v[1], v[2], err);
	}
	if (status != ST_OK) {
		return status;
	}
	x->last_page = (uint32_t)v[0];
	x->next = v[1] + v[2];
	*entry = (struct ltx_entry){
	    .page_no = (uint32_t)v[0], .offset = v[1], .len = (uint32_t)v[2]};
	return ST_OK;
}

/* ---- pages ---- */

void ltx_unpacker_clear(struct ltx_unpacker *u)
{
	(void)LZ4F_freeDecompressionContext(u->frames);
	ltx_unpacker_init(u);
}

/* An LZ4 block with its length before it. */
static bool unpack_block(const uint8_t *bytes, size_t len, uint8_t *page,
			 uint32_t page_size)
{
	return len > BLOCK_LENGTH && get_u32be(bytes) == len - BLOCK_LENGTH &&
	       len - BLOCK_LENGTH <= (size_t)LZ4_COMPRESSBOUND(page_size) &&
	       LZ4_decompress_safe((const char *)bytes + BLOCK_LENGTH, (char *)page,
				   (int)(len - BLOCK_LENGTH),
				   (int)page_size) == (int)page_size;
}

/* An LZ4 frame, which must end where the index says and fill the page. */
static enum status unpack_frame(struct ltx_unpacker *u, const uint8_t *bytes,
				size_t len, uint8_t *page, uint32_t page_size,
				struct error *err)
{
	size_t used = 0;
	size_t done = 0;
	size_t left;

	if (!u->frames &&
	    LZ4F_isError(LZ4F_createDecompressionContext(&u->frames, LZ4F_VERSION))) {
		return error_no_memory(err, "a page of an archive");
	}
	LZ4F_resetDecompressionContext(u->frames);
	do {
		size_t room = page_size - done;
		size_t taken = len - used;

		left = LZ4F_decompress(u->frames, page + done, &room, bytes + used,
				       &taken, NULL);
		if (LZ4F_isError(left) || (taken == 0 && room == 0)) {
			return ST_CORRUPT;
		}
		used += taken;
		done += room;
	} while (left > 0);
	return used == len && done == page_size ? ST_OK : ST_CORRUPT;
}

enum status ltx_unpack(struct ltx_unpacker *u, const char *name,
		       const struct ltx_entry *entry, const uint8_t *frame,
		       uint8_t *page, uint32_t page_size, struct error *err)
{
	const uint8_t *bytes = frame + LTX_HEAD_BYTES;
	size_t len = entry->len - LTX_HEAD_BYTES;
	uint16_t flags = get_u16be(frame + 4);
	enum status status;

	if (get_u32be(frame) != entry->page_no) {
		return ltx_corrupt(name, "has another page than its index says",
				   entry->offset, err);
	}
	if ((flags & ~LTX_BLOCK) != 0) {
		return ltx_corrupt(name, "has a page with flags of a newer format",
				   entry->offset, err);
	}
	if (flags & LTX_BLOCK) {
		status = unpack_block(bytes, len, page, page_size) ? ST_OK : ST_CORRUPT;
	} else {
		status = unpack_frame(u, bytes, len, page, page_size, err);
	}
	return status == ST_CORRUPT
		   ? ltx_corrupt(name, "has a page that does not decompress",
				 entry->offset, err)
		   : status;
}
