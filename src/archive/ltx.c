/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/ltx.h"

#include <inttypes.h>
#include <lz4.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "btree/db_header.h"
#include "src/base/bytes.h"
#include "src/base/clock.h"
#include "src/base/crc64.h"

#define WINDOW_BYTES (256u << 10) /* more than any frame or entry of the index */
#define LEB128_BYTES 10u
#define LENGTH_BYTES 4u
#define PAGE_BYTES   65536u
#define WAL_BYTES    24u /* of a header, about the WAL */

struct ltx_reader {
	struct storage_file *file;
	struct ltx_header header;
	uint64_t crc;
	uint32_t last_page; /* that was read; 0: none */
	bool is_ended;
	uint64_t database_checksum; /* 0: none, or not read yet */

	/* Of the file, the bytes from `offset` on that are in memory and not yet used.
	 */
	uint64_t offset;
	uint8_t *window;
	size_t cap; /* of a file that is smaller only as much as that */
	size_t at;
	size_t end;

	uint32_t block_len; /* of the last page, behind which `at` is; 0: a frame */

	/* Hash and count of what the index must say. */
	XXH3_state_t *entries;
	uint64_t entry_count;

	LZ4F_dctx *frames; /* made for the first LZ4 frame; NULL before */
	uint8_t page[PAGE_BYTES];
};

enum status ltx_corrupt(const char *name, const char *what, uint64_t offset,
			struct error *err)
{
	return error_set(err, ST_CORRUPT, "%s: %s at byte %" PRIu64 "; " LTX_ADVICE,
			 name, what, offset);
}

/* "`what` at byte N": the file is damaged. */
static enum status corrupt(const struct ltx_reader *r, const char *what,
			   struct error *err)
{
	return ltx_corrupt(r->file->name, what, r->offset, err);
}

/* ---- bytes ---- */

/* Have `len` bytes, WINDOW_BYTES at most, at window + at. ST_END: the file is shorter.
 */
static enum status have(struct ltx_reader *r, size_t len, struct error *err)
{
	size_t got;
	enum status status;

	if (r->end - r->at >= len) {
		return ST_OK;
	}
	if (len > r->cap) {
		return ST_END;
	}
	memmove(r->window, r->window + r->at, r->end - r->at);
	r->end -= r->at;
	r->at = 0;
	status = storage_file_read(r->file, r->window + r->end, r->cap - r->end,
				   r->offset + r->end, &got, err);
	if (status == ST_OK) {
		r->end += got;
		status = r->end >= len ? ST_OK : ST_END;
	}
	return status;
}

/* The same; a file that is shorter is damaged. */
static enum status need(struct ltx_reader *r, size_t len, struct error *err)
{
	enum status status = have(r, len, err);

	return status == ST_END ? corrupt(r, "ends too early", err) : status;
}

static const uint8_t *bytes_of(const struct ltx_reader *r)
{
	return r->window + r->at;
}

static void use(struct ltx_reader *r, size_t len)
{
	r->at += len;
	r->offset += len;
}

/* Used, and part of the checksum. */
static void use_sum(struct ltx_reader *r, size_t len)
{
	r->crc = crc64_add(r->crc, bytes_of(r), len);
	use(r, len);
}

/* ---- the header ---- */

/* What is wrong with a header; NULL: nothing. */
static const char *header_fault(const struct ltx_header *h, const uint8_t *bytes,
				const struct archive_file *expected)
{
	uint64_t before = get_u64be(bytes + 40);
	bool has_checksum = !(h->flags & LTX_NO_CHECKSUM);

	if ((h->flags & ~LTX_NO_CHECKSUM) != 0) {
		return "has flags of a newer format";
	}
	if (!db_page_size_is_valid(h->page_size)) {
		return "has no page size";
	}
	if (h->min_txid == 0 || h->min_txid > h->max_txid) {
		return "has no range of TXIDs";
	}
	if (h->min_txid != expected->min_txid || h->max_txid != expected->max_txid) {
		return "has other TXIDs than its name";
	}
	if (has_checksum && h->min_txid > 1 ? !(before & LTX_CHECKSUM_BIT)
					    : before != 0) {
		return "has a wrong checksum of the database before it";
	}
	return NULL;
}

/* A node of somebody else looks like one once in 65,000 times, and has a WAL. */
static void read_note(struct ltx_header *h, const uint8_t *bytes)
{
	static const uint8_t no_wal[WAL_BYTES] = {0};
	uint64_t node = get_u64be(bytes + 72);
	uint32_t rest_ns = (uint32_t)(node >> 28) & ((1u << 20) - 1);

	if (node >> 48 == LTX_NOTE_MARK && rest_ns < NS_PER_MS &&
	    memcmp(bytes + 48, no_wal, sizeof no_wal) == 0) {
		h->has_note = true;
		h->rest_ns = rest_ns;
		h->transactions = (uint32_t)node & LTX_TRANSACTIONS_MOST;
		h->has_catch_up = (node >> 27 & 1) != 0;
	}
}

enum status ltx_header_read(const uint8_t *bytes, const char *name,
			    const struct archive_file *expected, struct ltx_header *out,
			    struct error *err)
{
	const char *fault;

	if (memcmp(bytes, "LTX1", 4) != 0) {
		return ltx_corrupt(name, "is no LTX file", 0, err);
	}
	*out = (struct ltx_header){
	    .flags = get_u32be(bytes + 4),
	    .page_size = get_u32be(bytes + 8),
	    .page_count = get_u32be(bytes + 12),
	    .min_txid = get_u64be(bytes + 16),
	    .max_txid = get_u64be(bytes + 24),
	    .time_ms = (int64_t)get_u64be(bytes + 32),
	};
	read_note(out, bytes);
	fault = header_fault(out, bytes, expected);
	return fault ? ltx_corrupt(name, fault, 0, err) : ST_OK;
}

enum status ltx_header_of(struct storage *storage, const struct archive_file *file,
			  struct ltx_header *out, struct error *err)
{
	uint8_t bytes[LTX_HEADER_BYTES];
	struct storage_file *opened;
	size_t got;
	enum status status = storage_file_open(storage, file, &opened, err);

	if (status != ST_OK) {
		return status;
	}
	status = storage_file_read(opened, bytes, sizeof bytes, 0, &got, err);
	if (status == ST_OK && got < sizeof bytes) {
		status = ltx_corrupt(opened->name, "is cut off", got, err);
	}
	if (status == ST_OK) {
		status = ltx_header_read(bytes, opened->name, file, out, err);
	}
	storage_file_close(opened);
	return status;
}

int64_t ltx_time_ns(const struct ltx_header *header, const struct archive_file *file)
{
	int64_t said = header->time_ms;

	if (header->has_note && said >= 0 && said < INT64_MAX / NS_PER_MS) {
		return said * NS_PER_MS + header->rest_ns;
	}
	if (file->time_ns / NS_PER_MS == said) {
		return file->time_ns;
	}
	return said >= 0 && said < INT64_MAX / NS_PER_MS ? said * NS_PER_MS
							 : file->time_ns;
}

enum status ltx_check_count(const char *name, uint32_t page_count, uint64_t bytes,
			    struct error *err)
{
	/* Each page but that of the lock byte was in a file once. */
	return page_count <= bytes / LTX_HEAD_BYTES + 1
		   ? ST_OK
		   : error_set(err, ST_CORRUPT,
			       "%s says that the database has %" PRIu32
			       " pages, but the archive has fewer; " LTX_ADVICE,
			       name, page_count);
}

enum status ltx_check_page_size(const char *name, uint32_t page_size, uint32_t later,
				struct error *err)
{
	return page_size == later
		   ? ST_OK
		   : error_set(err, ST_CORRUPT,
			       "%s has pages of %" PRIu32 " bytes, a later one of "
			       "%" PRIu32 "; " LTX_ADVICE,
			       name, page_size, later);
}

static enum status read_header(struct ltx_reader *r,
			       const struct archive_file *expected, struct error *err)
{
	enum status status = need(r, LTX_HEADER_BYTES, err);

	if (status == ST_OK) {
		status = ltx_header_read(bytes_of(r), r->file->name, expected,
					 &r->header, err);
	}
	if (status == ST_OK) {
		use_sum(r, LTX_HEADER_BYTES);
	}
	return status;
}

/* ---- pages ---- */

/* Note what the index must say of a frame. */
static void expect_entry(struct ltx_reader *r, uint64_t page_no, uint64_t offset,
			 uint64_t len)
{
	const uint64_t entry[3] = {page_no, offset, len};

	(void)XXH3_64bits_update(r->entries, entry, sizeof entry);
	r->entry_count++;
}

/* An LZ4 block with its length before it. */
static enum status read_block(struct ltx_reader *r, struct error *err)
{
	enum status status = need(r, LENGTH_BYTES, err);
	uint32_t page_size = r->header.page_size;
	uint32_t len;

	if (status != ST_OK) {
		return status;
	}
	len = get_u32be(bytes_of(r));
	if (len == 0 || len > (uint32_t)LZ4_COMPRESSBOUND(page_size)) {
		return corrupt(r, "has a page of an impossible length", err);
	}
	use_sum(r, LENGTH_BYTES);
	status = need(r, len, err);
	if (status != ST_OK) {
		return status;
	}
	if (LZ4_decompress_safe((const char *)bytes_of(r), (char *)r->page, (int)len,
				(int)page_size) != (int)page_size) {
		return corrupt(r, "has a page that does not decompress", err);
	}
	use(r, len);
	r->block_len = len;
	return ST_OK;
}

/* One step through an LZ4 frame; `*done` bytes of the page are there. ST_END: that was
 * its last. */
static enum status step_frame(struct ltx_reader *r, size_t *done, struct error *err)
{
	enum status status = need(r, 1, err);
	size_t room = r->header.page_size - *done;
	size_t taken = r->end - r->at;
	size_t left;

	if (status != ST_OK) {
		return status;
	}
	left = LZ4F_decompress(r->frames, r->page + *done, &room, bytes_of(r), &taken,
			       NULL);
	if (LZ4F_isError(left)) {
		return corrupt(r, "has a page that does not decompress", err);
	}
	use(r, taken);
	*done += room;
	if (left == 0) {
		return ST_END;
	}
	return taken > 0 || room > 0 ? ST_OK
				     : corrupt(r, "has a page that is too long", err);
}

/* An LZ4 frame, which says itself where it ends. */
static enum status read_frame(struct ltx_reader *r, struct error *err)
{
	uint64_t most = r->offset + LZ4F_compressFrameBound(r->header.page_size, NULL);
	enum status status = ST_OK;
	size_t done = 0;

	if (!r->frames &&
	    LZ4F_isError(LZ4F_createDecompressionContext(&r->frames, LZ4F_VERSION))) {
		return error_no_memory(err, "a page of an archive");
	}
	LZ4F_resetDecompressionContext(r->frames);
	while (status == ST_OK) {
		status = step_frame(r, &done, err);
		/* Empty blocks without end. */
		if (status == ST_OK && r->offset > most) {
			return corrupt(r, "has a page that is too long", err);
		}
	}
	if (status == ST_END) {
		status = done == r->header.page_size
			     ? ST_OK
			     : corrupt(r, "has a page that is too short", err);
	}
	return status;
}

static enum status read_page(struct ltx_reader *r, struct ltx_page *page,
			     struct error *err)
{
	uint32_t page_no = get_u32be(bytes_of(r));
	uint16_t flags = get_u16be(bytes_of(r) + 4);
	uint64_t start = r->offset;
	enum status status;

	if (page_no <= r->last_page || page_no > r->header.page_count) {
		return corrupt(r, "has a page number out of order or beyond the end",
			       err);
	}
	if (page_no == db_lock_byte_page(r->header.page_size)) {
		return corrupt(r, "has the page of the lock byte", err);
	}
	if ((flags & ~LTX_BLOCK) != 0) {
		return corrupt(r, "has a page with flags of a newer format", err);
	}
	use_sum(r, LTX_HEAD_BYTES);
	r->block_len = 0;
	status = flags & LTX_BLOCK ? read_block(r, err) : read_frame(r, err);
	if (status != ST_OK) {
		return status;
	}
	r->crc = crc64_add(r->crc, r->page, r->header.page_size);
	expect_entry(r, page_no, start, r->offset - start);
	r->last_page = page_no;
	*page = (struct ltx_page){
	    .page_no = page_no,
	    .bytes = r->page,
	    .block = r->block_len > 0 ? bytes_of(r) - r->block_len : NULL,
	    .block_len = r->block_len,
	};
	return ST_OK;
}

/* ---- index and trailer ---- */

static enum status read_leb128(struct ltx_reader *r, uint64_t *v, struct error *err)
{
	*v = 0;
	for (unsigned i = 0; i < LEB128_BYTES; i++) {
		enum status status = need(r, 1, err);
		uint8_t byte;

		if (status != ST_OK) {
			return status;
		}
		byte = *bytes_of(r);
		if (i == LEB128_BYTES - 1 && byte > 1) {
			break;
		}
		use_sum(r, 1);
		*v |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80)) {
			return ST_OK;
		}
	}
	return corrupt(r, "has a number in its index that is too long", err);
}

/* One entry, as expect_entry noted it. ST_END: the zero behind the last one. */
static enum status read_entry(struct ltx_reader *r, XXH3_state_t *found,
			      struct error *err)
{
	uint64_t entry[3];
	enum status status = read_leb128(r, &entry[0], err);

	if (status == ST_OK && entry[0] == 0) {
		return ST_END;
	}
	for (unsigned i = 1; status == ST_OK && i < 3; i++) {
		status = read_leb128(r, &entry[i], err);
	}
	if (status == ST_OK) {
		(void)XXH3_64bits_update(found, entry, sizeof entry);
	}
	return status;
}

static enum status read_index(struct ltx_reader *r, struct error *err)
{
	XXH3_state_t *found = XXH3_createState();
	uint64_t start = r->offset;
	uint64_t count = 0;
	enum status status = ST_OK;

	if (!found) {
		return error_no_memory(err, "a file of an archive");
	}
	(void)XXH3_64bits_reset(found);
	while ((status = read_entry(r, found, err)) == ST_OK) {
		count++;
		if (count > r->entry_count) {
			status = ST_END;
			break;
		}
	}
	if (status == ST_END &&
	    (count != r->entry_count ||
	     XXH3_64bits_digest(found) != XXH3_64bits_digest(r->entries))) {
		status = corrupt(r, "has an index that does not name its pages", err);
	}
	XXH3_freeState(found);
	if (status != ST_END) {
		return status;
	}
	status = need(r, 8, err);
	if (status == ST_OK && get_u64be(bytes_of(r)) != r->offset - start) {
		status = corrupt(r, "has an index of another length", err);
	}
	if (status == ST_OK) {
		use_sum(r, 8);
	}
	return status;
}

static enum status read_trailer(struct ltx_reader *r, struct error *err)
{
	enum status status = need(r, LTX_TRAILER_BYTES, err);
	bool has_checksum = !(r->header.flags & LTX_NO_CHECKSUM);
	uint64_t after;
	uint64_t sum;

	if (status != ST_OK) {
		return status;
	}
	after = get_u64be(bytes_of(r));
	sum = get_u64be(bytes_of(r) + 8);
	if (has_checksum ? !(after & LTX_CHECKSUM_BIT) : after != 0) {
		return corrupt(r, "has a wrong checksum of the database after it", err);
	}
	r->database_checksum = after;
	use_sum(r, 8);
	if (sum != (r->crc | LTX_CHECKSUM_BIT)) {
		return corrupt(r, "has a checksum that is not that of its content",
			       err);
	}
	use(r, 8);
	status = have(r, 1, err);
	if (status == ST_OK) {
		return corrupt(r, "goes on after its end", err);
	}
	return status == ST_END ? ST_OK : status;
}

/* Behind the last page. */
static enum status read_end(struct ltx_reader *r, struct error *err)
{
	enum status status;

	if (get_u16be(bytes_of(r) + 4) != 0) {
		return corrupt(r, "has flags behind its last page", err);
	}
	use_sum(r, LTX_HEAD_BYTES);
	status = read_index(r, err);
	if (status == ST_OK) {
		status = read_trailer(r, err);
	}
	if (status == ST_OK) {
		r->is_ended = true;
	}
	return status == ST_OK ? ST_END : status;
}

/* ---- the database's checksum ---- */

uint64_t ltx_reader_database_checksum(const struct ltx_reader *r)
{
	return r->database_checksum;
}

uint64_t ltx_database_checksum_add(uint64_t sum, uint32_t page_no, const uint8_t *bytes,
				   uint32_t page_size)
{
	uint8_t number[4];

	put_u32be(number, page_no);
	return (sum ^
		crc64_add(crc64_add(0, number, sizeof number), bytes, page_size)) |
	       LTX_CHECKSUM_BIT;
}

/* ---- the reader ---- */

enum status ltx_reader_next(struct ltx_reader *r, struct ltx_page *page,
			    struct error *err)
{
	enum status status;

	if (r->is_ended) {
		return ST_END;
	}
	status = need(r, LTX_HEAD_BYTES, err);
	if (status != ST_OK) {
		return status;
	}
	return get_u32be(bytes_of(r)) == 0 ? read_end(r, err) : read_page(r, page, err);
}

const struct ltx_header *ltx_reader_header(const struct ltx_reader *r)
{
	return &r->header;
}

enum status ltx_reader_open(struct storage_file *file,
			    const struct archive_file *expected,
			    struct ltx_reader **out, struct error *err)
{
	struct ltx_reader *r = calloc(1, sizeof *r);
	enum status status;

	if (r) {
		r->file = file;
		/* One byte more, to see whether it goes on after its end. */
		r->cap =
		    file->size < WINDOW_BYTES ? (size_t)file->size + 1 : WINDOW_BYTES;
		r->window = malloc(r->cap);
		r->entries = XXH3_createState();
	}
	if (!r || !r->window || !r->entries) {
		ltx_reader_close(r);
		return error_no_memory(err, "a file of an archive");
	}
	(void)XXH3_64bits_reset(r->entries);
	status = read_header(r, expected, err);
	if (status != ST_OK) {
		ltx_reader_close(r);
		return status;
	}
	*out = r;
	return ST_OK;
}

void ltx_reader_close(struct ltx_reader *r)
{
	if (!r) {
		return;
	}
	(void)LZ4F_freeDecompressionContext(r->frames);
	XXH3_freeState(r->entries);
	free(r->window);
	free(r);
}
