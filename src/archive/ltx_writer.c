/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/ltx_writer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "btree/db_header.h"
#include "src/base/buffer.h"
#include "src/base/bytes.h"
#include "src/base/clock.h"
#include "src/base/crc64.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"

#define WINDOW_BYTES (256u << 10)
#define STEP_BYTES   (8u << 20) /* that are on their way to the disk at once */
#define PAGE_BYTES   65536u
#define FRAME_BYTES  (LTX_HEAD_BYTES + 4u) /* before a block */
#define LEB128_BYTES 10u

struct ltx_writer {
	int fd;
	const char *path;
	struct ltx_header header;
	uint64_t crc;
	uint32_t last_page; /* that was written; 0: none */

	/* The last bytes of the file, from `offset` on, that are not written yet. */
	uint64_t offset;
	uint64_t written_out; /* up to here the kernel has been asked to write */
	uint8_t *window;
	size_t len;

	/* Of each frame what was added to the page number, and its bytes. */
	struct buffer frames;

	void *lz4;
	uint8_t *zeros; /* a page of them */
};

/* ---- bytes ---- */

static enum status flush(struct ltx_writer *w, struct error *err)
{
	bool is_ok =
	    w->len == 0 || file_write_at(w->fd, w->window, w->len, (off_t)w->offset);

	w->offset += w->len;
	w->len = 0;
	while (is_ok && w->offset - w->written_out >= STEP_BYTES) {
		w->written_out += STEP_BYTES;
		is_ok = file_write_out(w->fd, (off_t)w->written_out, STEP_BYTES);
	}
	return is_ok ? ST_OK
		     : error_set_errno(err, errno, "%s cannot be written",
				       quote(w->path).text);
}

/* Room for `len` more in the window. */
static enum status make_room(struct ltx_writer *w, size_t len, struct error *err)
{
	return WINDOW_BYTES - w->len >= len ? ST_OK : flush(w, err);
}

/* Append what is part of the checksum as it stands. There is room. */
static void add(struct ltx_writer *w, const uint8_t *bytes, size_t len)
{
	memcpy(w->window + w->len, bytes, len);
	w->crc = crc64_add(w->crc, bytes, len);
	w->len += len;
}

static size_t put_leb128(uint8_t *p, uint64_t v)
{
	size_t len = 0;

	for (; v >= 0x80; v >>= 7) {
		p[len++] = (uint8_t)(v | 0x80);
	}
	p[len++] = (uint8_t)v;
	return len;
}

static uint64_t take_leb128(const uint8_t **p)
{
	uint64_t v = 0;
	unsigned shift = 0;

	do {
		v |= (uint64_t)(**p & 0x7f) << shift;
		shift += 7;
	} while (*(*p)++ & 0x80);
	return v;
}

static void put_u64be(uint8_t *p, uint64_t v)
{
	put_u32be(p, (uint32_t)(v >> 32));
	put_u32be(p + 4, (uint32_t)v);
}

/* ---- pages ---- */

/* A file that has the whole database lacks no page before `page_no`. */
static enum status check_whole(const struct ltx_writer *w, uint64_t page_no,
			       struct error *err)
{
	uint64_t wanted = (uint64_t)w->last_page + 1;

	if (wanted == db_lock_byte_page(w->header.page_size)) {
		wanted++;
	}
	if (w->header.min_txid > 1 || page_no <= wanted) {
		return ST_OK;
	}
	return error_set(err, ST_CORRUPT,
			 "%s would have the whole database, but page %" PRIu64
			 " of %" PRIu32 " is missing: it is not written",
			 quote(w->path).text, wanted, w->header.page_count);
}

/* Before a frame: may it be written? Its room is there then. */
static enum status begin_frame(struct ltx_writer *w, uint32_t page_no,
			       struct error *err)
{
	enum status status;

	assert(page_no > w->last_page && page_no <= w->header.page_count);
	assert(page_no != db_lock_byte_page(w->header.page_size));
	status = check_whole(w, page_no, err);
	return status == ST_OK
		   ? make_room(w, FRAME_BYTES + LZ4_COMPRESSBOUND(PAGE_BYTES), err)
		   : status;
}

/* The block lies in the window, behind its head, which is written now. */
static enum status end_frame(struct ltx_writer *w, uint32_t page_no,
			     const uint8_t *bytes, uint32_t block_len,
			     struct error *err)
{
	uint8_t *head = w->window + w->len;
	uint8_t entry[2 * LEB128_BYTES];
	size_t len;

	put_u32be(head, page_no);
	put_u16be(head + 4, LTX_BLOCK);
	put_u32be(head + LTX_HEAD_BYTES, block_len);
	w->crc = crc64_add(w->crc, head, FRAME_BYTES);
	w->crc = crc64_add(w->crc, bytes, w->header.page_size);
	w->len += FRAME_BYTES + block_len;
	len = put_leb128(entry, page_no - w->last_page);
	len += put_leb128(entry + len, FRAME_BYTES + block_len);
	buffer_add(&w->frames, entry, len);
	w->last_page = page_no;
	return buffer_ok(&w->frames)
		   ? ST_OK
		   : error_no_memory(err, "the index of %s", quote(w->path).text);
}

enum status ltx_writer_page(struct ltx_writer *w, uint32_t page_no,
			    const uint8_t *bytes, struct error *err)
{
	enum status status = begin_frame(w, page_no, err);
	int len;

	if (status != ST_OK) {
		return status;
	}
	bytes = bytes ? bytes : w->zeros;
	len = LZ4_compress_fast_extState(
	    w->lz4, (const char *)bytes, (char *)w->window + w->len + FRAME_BYTES,
	    (int)w->header.page_size, LZ4_COMPRESSBOUND(PAGE_BYTES), 1);
	assert(len > 0);
	return end_frame(w, page_no, bytes, (uint32_t)len, err);
}

enum status ltx_writer_block(struct ltx_writer *w, uint32_t page_no,
			     const uint8_t *bytes, const uint8_t *block,
			     uint32_t block_len, struct error *err)
{
	enum status status = begin_frame(w, page_no, err);

	assert(block_len > 0 &&
	       block_len <= (uint32_t)LZ4_COMPRESSBOUND(w->header.page_size));
	if (status != ST_OK) {
		return status;
	}
	memcpy(w->window + w->len + FRAME_BYTES, block, block_len);
	return end_frame(w, page_no, bytes, block_len, err);
}

/* ---- the end ---- */

static enum status write_index(struct ltx_writer *w, struct error *err)
{
	const uint8_t *p = (const uint8_t *)w->frames.bytes;
	const uint8_t *end = p + w->frames.len;
	uint8_t bytes[3 * LEB128_BYTES];
	uint64_t start = w->offset + w->len;
	uint64_t offset = LTX_HEADER_BYTES;
	uint64_t page_no = 0;
	enum status status = make_room(w, sizeof bytes, err);

	while (status == ST_OK && w->frames.len > 0 && p < end) {
		uint64_t frame_len;
		size_t len;

		page_no += take_leb128(&p);
		frame_len = take_leb128(&p);
		len = put_leb128(bytes, page_no);
		len += put_leb128(bytes + len, offset);
		len += put_leb128(bytes + len, frame_len);
		add(w, bytes, len);
		offset += frame_len;
		status = make_room(w, sizeof bytes, err);
	}
	if (status != ST_OK) {
		return status;
	}
	put_u64be(bytes + 1, w->offset + w->len + 1 - start);
	bytes[0] = 0;
	add(w, bytes, 9);
	return ST_OK;
}

enum status ltx_writer_finish(struct ltx_writer *w, uint64_t *size, struct error *err)
{
	static const uint8_t zeros[8];
	uint8_t sum[8];
	enum status status = check_whole(w, (uint64_t)w->header.page_count + 1, err);

	if (status == ST_OK) {
		status = make_room(w, LTX_HEAD_BYTES, err);
	}
	if (status != ST_OK) {
		return status;
	}
	add(w, zeros, LTX_HEAD_BYTES);
	status = write_index(w, err);
	if (status == ST_OK) {
		status = make_room(w, LTX_TRAILER_BYTES, err);
	}
	if (status != ST_OK) {
		return status;
	}
	add(w, zeros, sizeof zeros);
	put_u64be(sum, w->crc | LTX_CHECKSUM_BIT);
	add(w, sum, sizeof sum);
	status = flush(w, err);
	*size = w->offset;
	return status;
}

/* ---- the writer ---- */

static void write_header(struct ltx_writer *w)
{
	const struct ltx_header *h = &w->header;
	uint8_t bytes[LTX_HEADER_BYTES] = {'L', 'T', 'X', '1'};

	put_u32be(bytes + 4, LTX_NO_CHECKSUM);
	put_u32be(bytes + 8, h->page_size);
	put_u32be(bytes + 12, h->page_count);
	put_u64be(bytes + 16, h->min_txid);
	put_u64be(bytes + 24, h->max_txid);
	put_u64be(bytes + 32, (uint64_t)h->time_ms);
	if (h->has_note) {
		put_u64be(bytes + 72,
			  (uint64_t)LTX_NOTE_MARK << 48 | (uint64_t)h->rest_ns << 28 |
			      (uint64_t)h->has_catch_up << 27 | h->transactions);
	}
	add(w, bytes, sizeof bytes);
}

enum status ltx_writer_open(int fd, const char *path, const struct ltx_header *header,
			    struct ltx_writer **out, struct error *err)
{
	struct ltx_writer *w = calloc(1, sizeof *w);

	assert(db_page_size_is_valid(header->page_size));
	assert(header->min_txid > 0 && header->min_txid <= header->max_txid);
	assert(header->rest_ns < NS_PER_MS);
	assert(header->transactions <= LTX_TRANSACTIONS_MOST);
	if (w) {
		w->fd = fd;
		w->path = path;
		w->header = *header;
		buffer_init(&w->frames);
		w->window = malloc(WINDOW_BYTES);
		w->lz4 = malloc((size_t)LZ4_sizeofState());
		w->zeros = calloc(1, header->page_size);
	}
	if (!w || !w->window || !w->lz4 || !w->zeros) {
		ltx_writer_close(w);
		return error_no_memory(err, "writing %s", quote(path).text);
	}
	write_header(w);
	*out = w;
	return ST_OK;
}

void ltx_writer_close(struct ltx_writer *w)
{
	if (!w) {
		return;
	}
	buffer_clear(&w->frames);
	free(w->window);
	free(w->lz4);
	free(w->zeros);
	free(w);
}
