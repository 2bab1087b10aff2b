/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of an archive that anybody wrote, merged into a database. The input is two
 * files: its first two bytes say how long the first one is. Where the third byte is
 * odd the checksum that a file has is made right, as by a hostile writer, once it is
 * known what its pages are. What is merged is written where its size allows it, and
 * must be there in full; then the two become one file, and the second is read as the
 * transaction behind the first. All three ways come to the same database.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/archive/compaction.h"
#include "src/archive/file_transaction.h"
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

static bool never_stops(void *context)
{
	(void)context;
	return false;
}

/* What a merge has come to. */
struct merged {
	enum status status;
	uint32_t page_size;
	uint32_t page_count;
	const uint8_t *bytes; /* mapped; NULL: no page, or not written */
};

/* Both files become one: of level 9, as the first is a whole database. */
static void compact(struct storage *storage, const struct archive_list *list,
		    const struct merged *merged)
{
	const struct archive_file *inputs[] = {&list->files[0], &list->files[1]};
	struct compaction c = {.storage = storage,
			       .list = list,
			       .inputs = inputs,
			       .input_count = 2,
			       .level = 9,
			       .stops = never_stops};
	struct error err;
	enum status status = compaction_run(&c, &err);

	if (status != ST_OK && status != ST_CORRUPT) {
		abort();
	}
	if (status == ST_OK &&
	    (merged->status != ST_OK || c.page_count != merged->page_count ||
	     c.page_size != merged->page_size)) {
		abort();
	}
}

/* Each page of the transaction is the one that is merged. */
static void compare(const struct captured_txn *txn, const struct spool *spool,
		    const struct merged *merged)
{
	if (merged->status != ST_OK || txn->page_count != merged->page_count) {
		abort();
	}
	for (size_t i = 0; merged->bytes && i < txn->page_total; i++) {
		const struct captured_page *page = &txn->pages[i];

		if (page->page_no == 0 || page->page_no > txn->page_count ||
		    (i > 0 && page->page_no <= txn->pages[i - 1].page_no) ||
		    memcmp(spool_bytes(spool, page->slot),
			   merged->bytes +
			       (size_t)(page->page_no - 1) * merged->page_size,
			   merged->page_size) != 0) {
			abort();
		}
	}
}

/* The second file as the transaction behind the state that the first leads to. */
static void follow(struct storage *storage, const struct archive_list *list,
		   const struct ltx_header *first, const struct merged *merged)
{
	struct file_state state = {.txid = 1,
				   .page_size = first->page_size,
				   .page_count = first->page_count,
				   .most_pages = first->page_count};
	struct captured_txn *txn;
	struct spool *spool;
	struct error err;
	enum status status;

	if (spool_open(first->page_size, &spool, &err) != ST_OK) {
		abort();
	}
	status = file_transaction_read(storage, &list->files[1], &state, spool, &never,
				       &txn, &err);
	if (status != ST_OK && status != ST_CORRUPT) {
		abort();
	}
	if (status == ST_OK) {
		compare(txn, spool, merged);
		captured_pages_drop(txn->pages, txn->page_total, spool);
		captured_txn_free(txn);
	}
	spool_close(spool);
}

/* The head of the first file, if all of it is sound. */
static bool read_first(struct storage *storage, const struct archive_file *name,
		       struct ltx_header *header)
{
	struct storage_file *file;
	struct ltx_reader *reader = NULL;
	struct ltx_page page;
	struct error err;
	enum status status;

	if (storage_file_open(storage, name, &file, &err) != ST_OK) {
		abort();
	}
	status = ltx_reader_open(file, name, &reader, &err);
	while (status == ST_OK) {
		*header = *ltx_reader_header(reader);
		status = ltx_reader_next(reader, &page, &err);
	}
	ltx_reader_close(reader);
	storage_file_close(file);
	return status == ST_END;
}

/* The other ways to the state that was merged. */
static void try_others(const struct merge *m, const struct archive_list *list,
		       enum status status)
{
	size_t len = (size_t)m->page_count * m->page_size;
	struct merged merged = {
	    .status = status, .page_size = m->page_size, .page_count = m->page_count};
	struct ltx_header first = {0};

	if (status == ST_OK && len > 0) {
		void *bytes = mmap(NULL, len, PROT_READ, MAP_SHARED, m->fd, 0);

		if (bytes == MAP_FAILED) {
			abort();
		}
		merged.bytes = bytes;
	}
	if (read_first(m->storage, &list->files[0], &first) &&
	    (uint64_t)first.page_count * first.page_size <= OUT_BYTES) {
		follow(m->storage, list, &first, &merged);
		compact(m->storage, list, &merged);
	}
	if (merged.bytes) {
		(void)munmap((void *)(uintptr_t)merged.bytes, len);
	}
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
	if (fd >= 0 && list.count == 2) {
		try_others(&m, &list, status);
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
