/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/wal_frame.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <xxhash.h>

#include "btree/db_header.h"
#include "src/base/bytes.h"
#include "src/base/file_io.h"

#define WAL_MAGIC   0x377f0682u /* the lowest bit: checksums read big-endian */
#define WAL_VERSION 3007000u

static uint32_t native_u32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof v);
	return v;
}

void wal_checksum(bool big_endian, const uint8_t *bytes, size_t len, uint32_t sum[2])
{
	bool native = big_endian == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
	uint32_t a = sum[0];
	uint32_t b = sum[1];

	assert(len % 8 == 0);
	for (size_t i = 0; i < len; i += 8) {
		uint32_t x = native_u32(bytes + i);
		uint32_t y = native_u32(bytes + i + 4);

		a += (native ? x : __builtin_bswap32(x)) + b;
		b += (native ? y : __builtin_bswap32(y)) + a;
	}
	sum[0] = a;
	sum[1] = b;
}

enum status wal_header_parse(const uint8_t *bytes, struct wal_header *out,
			     struct error *err)
{
	uint32_t magic = get_u32be(bytes);
	uint32_t page_size = get_u32be(bytes + 8);
	uint32_t sum[2] = {0, 0};

	if ((magic & ~1u) != WAL_MAGIC || get_u32be(bytes + 4) != WAL_VERSION) {
		return error_set(err, ST_CORRUPT,
				 "the WAL's header has no known magic");
	}
	if (!db_page_size_is_valid(page_size)) {
		return error_set(err, ST_CORRUPT, "the WAL's header has page size %u",
				 (unsigned)page_size);
	}
	wal_checksum(magic & 1, bytes, 24, sum);
	if (sum[0] != get_u32be(bytes + 24) || sum[1] != get_u32be(bytes + 28)) {
		return error_set(err, ST_CORRUPT,
				 "the WAL's header has a wrong checksum");
	}
	out->big_endian_sums = magic & 1;
	out->page_size = page_size;
	out->checkpoint_no = get_u32be(bytes + 12);
	memcpy(out->salt, bytes + 16, sizeof out->salt);
	return ST_OK;
}

void wal_frame_parse(const uint8_t *bytes, struct wal_frame *out)
{
	out->page_no = get_u32be(bytes);
	out->commit = get_u32be(bytes + 4);
	memcpy(out->salt, bytes + 8, sizeof out->salt);
	out->sum[0] = get_u32be(bytes + 16);
	out->sum[1] = get_u32be(bytes + 20);
}

bool wal_frame_is_blank(const struct wal_frame *frame)
{
	static const uint8_t zero[8];

	return memcmp(frame->salt, zero, sizeof zero) == 0 && frame->sum[0] == 0 &&
	       frame->sum[1] == 0;
}

uint64_t wal_frame_offset(uint32_t frame_no, uint32_t page_size)
{
	return WAL_HEADER_BYTES + (uint64_t)(frame_no - 1) *
				      ((uint64_t)page_size + WAL_FRAME_HEADER_BYTES);
}

/* Drop `done` bytes from the front of the vector. */
static size_t vector_advance(struct iovec *vec, size_t at, size_t total, size_t done)
{
	while (at < total && done >= vec[at].iov_len) {
		done -= vec[at].iov_len;
		at++;
	}
	if (at < total) {
		vec[at].iov_base = (uint8_t *)vec[at].iov_base + done;
		vec[at].iov_len -= done;
	}
	return at;
}

enum status wal_frames_read(int fd, uint32_t page_size, uint32_t first, size_t count,
			    uint8_t *const pages[],
			    uint8_t headers[][WAL_FRAME_HEADER_BYTES],
			    struct error *err)
{
	struct iovec vec[2 * WAL_FRAMES_AT_ONCE];
	uint64_t offset = wal_frame_offset(first, page_size);
	size_t at = 0;

	assert(count <= WAL_FRAMES_AT_ONCE && first > 0);
	for (size_t i = 0; i < count; i++) {
		vec[2 * i] = (struct iovec){headers[i], WAL_FRAME_HEADER_BYTES};
		vec[2 * i + 1] = (struct iovec){pages[i], page_size};
	}
	while (at < 2 * count) {
		ssize_t got = file_read_vector(fd, vec + at, (int)(2 * count - at),
					       (off_t)offset);

		if (got < 0) {
			return error_set_errno(err, errno, "cannot read the WAL");
		}
		if (got == 0) {
			return error_set(err, ST_END, "the WAL ends before frame %u",
					 (unsigned)(first + count - 1));
		}
		offset += (uint64_t)got;
		at = vector_advance(vec, at, 2 * count, (size_t)got);
	}
	return ST_OK;
}

bool wal_frame_proof(int fd, uint32_t page_size, uint32_t frame_no, uint8_t *page,
		     uint64_t *proof)
{
	uint8_t headers[1][WAL_FRAME_HEADER_BYTES];
	uint8_t *const pages[1] = {page};
	struct wal_frame frame;
	struct error ignored;
	uint64_t seed;

	if (frame_no == 0 || wal_frames_read(fd, page_size, frame_no, 1, pages, headers,
					     &ignored) != ST_OK) {
		return false;
	}
	wal_frame_parse(headers[0], &frame);
	seed = XXH3_64bits(headers[0], WAL_FRAME_HEADER_BYTES);
	*proof = XXH3_64bits_withSeed(page, page_size, seed);
	return !wal_frame_is_blank(&frame);
}
