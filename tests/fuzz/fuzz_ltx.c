/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of an archive that anybody wrote, merged into a database. The input is two
 * files: its first two bytes say how long the first one is. Where the third byte is
 * odd the checksum that a file has is made right, as by a hostile writer, once it is
 * known what its pages are. What is merged is written where its size allows it, and
 * must be there in full.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/archive/merge.h"
#include "src/base/bytes.h"
#include "src/base/crc64.h"
#include "tests/lib/ltx_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define CHOICES   3
#define OUT_BYTES (8u << 20)

static const _Atomic int never;

/* What a reader that meets the wrong checksum had come to: read with pages counted by
 * the reader itself, so that the sum is the one that it computes. */
static void sign(const struct ltx_spec *spec, uint8_t *bytes, size_t len)
{
	struct memory_storage *storage;
	const struct archive_file name = {.min_txid = spec->min_txid,
					  .max_txid = spec->max_txid};
	struct storage_file *file;
	struct ltx_reader *reader = NULL;
	struct ltx_page page;
	struct error err;
	uint64_t crc = 0;
	uint64_t at = LTX_HEADER_BYTES;

	if (len < LTX_HEADER_BYTES + LTX_TRAILER_BYTES) {
		return;
	}
	storage = memory_storage_open();
	memory_storage_add(storage, spec, bytes, len);
	if (storage_file_open(memory_storage_base(storage), &name, &file, &err) !=
	    ST_OK) {
		abort();
	}
	crc = crc64_add(0, bytes, LTX_HEADER_BYTES);
	if (ltx_reader_open(file, &name, &reader, &err) == ST_OK) {
		uint32_t page_size = ltx_reader_header(reader)->page_size;

		/* Of blocks alone: where a frame ends is not told. */
		while (at + 10 < len && get_u16be(bytes + at + 4) == LTX_BLOCK &&
		       ltx_reader_next(reader, &page, &err) == ST_OK) {
			crc = crc64_add(crc, bytes + at, LTX_HEAD_BYTES + 4);
			crc = crc64_add(crc, page.bytes, page_size);
			at += 10 + get_u32be(bytes + at + 6);
		}
	}
	if (at < len - 8) {
		crc = crc64_add(crc, bytes + at, len - 8 - at) | LTX_CHECKSUM_BIT;
		put_u32be(bytes + len - 8, (uint32_t)(crc >> 32));
		put_u32be(bytes + len - 4, (uint32_t)crc);
	}
	ltx_reader_close(reader);
	storage_file_close(file);
	storage_close(memory_storage_base(storage));
}

static void add(struct memory_storage *storage, uint64_t txid, bool is_signed,
		const uint8_t *bytes, size_t len)
{
	const struct ltx_spec spec = {.min_txid = txid, .max_txid = txid};
	uint8_t *copy = malloc(len + 1);

	if (!copy) {
		abort();
	}
	if (len > 0) {
		memcpy(copy, bytes, len);
	}
	if (is_signed) {
		sign(&spec, copy, len);
	}
	memory_storage_add(storage, &spec, copy, len);
	free(copy);
}

/* Written only if it is small: the size is what the file says. */
static bool is_small(const uint8_t *bytes, size_t len)
{
	return len >= 16 &&
	       (uint64_t)get_u32be(bytes + 8) * get_u32be(bytes + 12) <= OUT_BYTES;
}

static void merge(struct memory_storage *storage, int fd)
{
	const struct when when = {.kind = WHEN_LATEST};
	struct archive_list list = {0};
	struct plan plan;
	struct error err;
	struct stat st;
	struct merge m = {.storage = memory_storage_base(storage),
			  .plan = &plan,
			  .fd = fd,
			  .path = "out",
			  .stop = &never};
	enum status status;

	if (storage_list(m.storage, &list, &err) != ST_OK ||
	    plan_init(&plan, &list, &when, &err) != ST_OK) {
		abort();
	}
	status = merge_run(&m, &err);
	if (status != ST_OK && status != ST_CORRUPT) {
		abort();
	}
	if (status == ST_OK && fd >= 0 &&
	    (fstat(fd, &st) != 0 || st.st_size != (off_t)m.page_count * m.page_size)) {
		abort();
	}
	plan_clear(&plan);
	archive_list_clear(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct memory_storage *storage;
	size_t first;
	const uint8_t *last;
	size_t last_len;
	int fd = -1;

	if (len < CHOICES) {
		return -1;
	}
	storage = memory_storage_open();
	first = get_u16be(bytes);
	first = first < len - CHOICES ? first : len - CHOICES;
	last = bytes + CHOICES + first;
	last_len = len - CHOICES - first;
	add(storage, 1, bytes[2] & 1, bytes + CHOICES, first);
	if (last_len > 0) {
		add(storage, 2, bytes[2] & 1, last, last_len);
	} else {
		last = bytes + CHOICES;
		last_len = first;
	}
	if (is_small(last, last_len)) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	}
	merge(storage, fd);
	if (fd >= 0) {
		(void)close(fd);
	}
	storage_close(memory_storage_base(storage));
	return 0;
}
