/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/archive/ltx_writer.h"
#include "src/base/file_io.h"
#include "src/base/temp_file.h"
#include "tests/lib/ltx_file.h"

#define PAGE_BYTES 65536u

/* Of any page: a mixture of bytes that compress and of some that do not. */
static void fill(uint8_t *page, uint32_t page_size, uint32_t page_no)
{
	uint32_t x = page_no * 2654435761u + 1;
	uint32_t random = page_no % 5 * (page_size / 4);

	for (uint32_t i = 0; i < page_size; i++) {
		x = x * 1103515245u + 12345u;
		page[i] = i < random ? (uint8_t)(x >> 16) : (uint8_t)(page_no >> 3);
	}
}

struct written {
	int fd;
	struct ltx_header header;
	struct ltx_writer *writer;
	uint64_t size;
	struct error err;
};

static void begin(struct written *w, uint32_t page_size, uint32_t page_count,
		  uint64_t min_txid)
{
	*w = (struct written){
	    .header = {.page_size = page_size,
		       .page_count = page_count,
		       .min_txid = min_txid,
		       .max_txid = 0x123456789abc,
		       .time_ms = 1700000000123,
		       .has_note = min_txid > 1,
		       .rest_ns = min_txid > 1 ? 999999 : 0,
		       .transactions = min_txid > 1 ? LTX_TRANSACTIONS_MOST : 0,
		       .has_catch_up = page_size == 4096 && min_txid > 1}};
	assert_int_equal(temp_file_open(&w->fd, &w->err), ST_OK);
	assert_int_equal(ltx_writer_open(w->fd, "out", &w->header, &w->writer, &w->err),
			 ST_OK);
}

static void finish(struct written *w)
{
	struct stat st;

	assert_int_equal(ltx_writer_finish(w->writer, &w->size, &w->err), ST_OK);
	assert_int_equal(fstat(w->fd, &st), 0);
	assert_int_equal(st.st_size, w->size);
}

static void end(struct written *w)
{
	ltx_writer_close(w->writer);
	(void)close(w->fd);
}

/* What was written, as a file of a storage. */
static struct memory_storage *stored(const struct written *w)
{
	struct memory_storage *storage = memory_storage_open();
	const struct ltx_spec name = {.min_txid = w->header.min_txid,
				      .max_txid = w->header.max_txid};
	void *bytes = malloc(w->size);

	assert_non_null(bytes);
	assert_true(file_read_exactly(w->fd, bytes, w->size, 0));
	memory_storage_add(storage, &name, bytes, w->size);
	free(bytes);
	return storage;
}

/* The reader gives the pages for which `has` says so, and nothing else. */
static void check(const struct written *w, bool (*has)(uint32_t page_no))
{
	static uint8_t wanted[PAGE_BYTES];
	struct memory_storage *storage = stored(w);
	const struct archive_file name = {.min_txid = w->header.min_txid,
					  .max_txid = w->header.max_txid};
	const struct ltx_header *header;
	struct storage_file *file;
	struct ltx_reader *reader;
	struct ltx_page page;
	struct error err;
	enum status status;
	uint32_t page_no = 0;

	assert_int_equal(
	    storage_file_open(memory_storage_base(storage), &name, &file, &err), ST_OK);
	assert_int_equal(ltx_reader_open(file, &name, &reader, &err), ST_OK);
	header = ltx_reader_header(reader);
	assert_int_equal(header->flags, LTX_NO_CHECKSUM);
	assert_int_equal(header->page_size, w->header.page_size);
	assert_int_equal(header->page_count, w->header.page_count);
	assert_int_equal(header->time_ms, w->header.time_ms);
	assert_int_equal(header->has_note, w->header.has_note);
	assert_int_equal(header->rest_ns, w->header.rest_ns);
	assert_int_equal(header->transactions, w->header.transactions);
	assert_int_equal(header->has_catch_up, w->header.has_catch_up);
	while ((status = ltx_reader_next(reader, &page, &err)) == ST_OK) {
		do {
			page_no++;
		} while (!has(page_no));
		assert_int_equal(page.page_no, page_no);
		memset(wanted, 0, header->page_size);
		if (page_no % 7 > 0) {
			fill(wanted, header->page_size, page_no);
		}
		assert_memory_equal(page.bytes, wanted, header->page_size);
	}
	assert_int_equal(status, ST_END);
	while (page_no < w->header.page_count && !has(page_no + 1)) {
		page_no++;
	}
	assert_int_equal(page_no, w->header.page_count);
	ltx_reader_close(reader);
	storage_file_close(file);
	storage_close(memory_storage_base(storage));
}

static void write_pages(struct written *w, bool (*has)(uint32_t page_no))
{
	static uint8_t page[PAGE_BYTES];

	for (uint32_t n = 1; n <= w->header.page_count; n++) {
		if (has(n)) {
			fill(page, w->header.page_size, n);
			assert_int_equal(ltx_writer_page(w->writer, n,
							 n % 7 > 0 ? page : NULL,
							 &w->err),
					 ST_OK);
		}
	}
}

static bool has_all(uint32_t page_no)
{
	(void)page_no;
	return true;
}

static bool has_some(uint32_t page_no)
{
	return page_no % 3 == 1 || (page_no > 130 && page_no < 260);
}

static bool has_none(uint32_t page_no)
{
	(void)page_no;
	return false;
}

static void test_what_is_written_is_read_with_every_page_size(void **state)
{
	(void)state;
	for (uint32_t size = 512; size <= PAGE_BYTES; size *= 2) {
		bool (*const which[])(uint32_t) = {has_all, has_some};

		for (int i = 0; i < 2; i++) {
			struct written w;

			begin(&w, size, 301, i == 0 ? 1 : 5);
			write_pages(&w, which[i]);
			finish(&w);
			check(&w, which[i]);
			end(&w);
		}
	}
}

static void test_a_file_without_pages_is_written(void **state)
{
	struct written w;

	(void)state;
	begin(&w, 4096, 30, 2);
	finish(&w);
	assert_int_equal(w.size, LTX_HEADER_BYTES + 6 + 9 + LTX_TRAILER_BYTES);
	check(&w, has_none);
	end(&w);
}

static void test_many_pages_are_written(void **state)
{
	struct written w;

	(void)state;
	begin(&w, 512, 70001, 1);
	write_pages(&w, has_all);
	finish(&w);
	check(&w, has_all);
	end(&w);
}

/* Read with its block and copied, a file is the same, byte for byte. */
static void test_a_block_that_is_given_is_copied(void **state)
{
	static const uint8_t page[512] = {1, 2, 3};
	/* One run of literals: not what the compressor would make of it. */
	uint8_t block[512 + 3] = {0xf0, 255, 512 - 15 - 255};
	struct memory_storage *storage;
	const struct archive_file name = {.min_txid = 1, .max_txid = 0x123456789abc};
	struct storage_file *file;
	struct ltx_reader *reader;
	struct ltx_page read;
	struct written w;

	(void)state;
	memcpy(block + 3, page, sizeof page);
	begin(&w, 512, 1, 1);
	assert_int_equal(
	    ltx_writer_block(w.writer, 1, page, block, sizeof block, &w.err), ST_OK);
	finish(&w);
	assert_true(w.size > 512 + LTX_HEADER_BYTES);
	storage = stored(&w);
	assert_int_equal(
	    storage_file_open(memory_storage_base(storage), &name, &file, &w.err),
	    ST_OK);
	assert_int_equal(ltx_reader_open(file, &name, &reader, &w.err), ST_OK);
	assert_int_equal(ltx_reader_next(reader, &read, &w.err), ST_OK);
	assert_memory_equal(read.bytes, page, sizeof page);
	assert_int_equal(ltx_reader_next(reader, &read, &w.err), ST_END);
	ltx_reader_close(reader);
	storage_file_close(file);
	storage_close(memory_storage_base(storage));
	end(&w);
}

static void test_a_whole_database_lacks_no_page(void **state)
{
	static const uint8_t page[PAGE_BYTES];
	struct written w;

	(void)state;
	begin(&w, 512, 9, 1);
	assert_int_equal(ltx_writer_page(w.writer, 1, page, &w.err), ST_OK);
	assert_int_equal(ltx_writer_page(w.writer, 3, page, &w.err), ST_CORRUPT);
	assert_non_null(strstr(w.err.text, "page 2 of 9 is missing"));
	end(&w);
	begin(&w, 512, 2, 1);
	assert_int_equal(ltx_writer_page(w.writer, 1, page, &w.err), ST_OK);
	assert_int_equal(ltx_writer_finish(w.writer, &w.size, &w.err), ST_CORRUPT);
	assert_non_null(strstr(w.err.text, "page 2 of 2 is missing"));
	end(&w);
}

/* Past 1 GiB: 16384 pages before it, none for it, and it is not missed at the end. */
static void test_the_page_of_the_lock_byte_is_not_missed(void **state)
{
	enum { LOCK = 16385 };

	(void)state;
	for (uint32_t count = LOCK - 1; count <= LOCK + 2; count++) {
		struct written w;

		begin(&w, PAGE_BYTES, count, 1);
		for (uint32_t n = 1; n <= count; n++) {
			if (n != LOCK) {
				assert_int_equal(
				    ltx_writer_page(w.writer, n, NULL, &w.err), ST_OK);
			}
		}
		finish(&w);
		end(&w);
		if (getenv("ROWTAIL_TEST_WRAPPED")) { /* a minute of valgrind */
			skip();
		}
	}
}

/* In the place of the system's. */
static struct {
	uint64_t waited; /* up to here everything is on the disk */
	unsigned calls;
	unsigned fails_at; /* 0: never */
	int reason;
} range;

int sync_file_range(int fd, off_t offset, off_t len, unsigned flags)
{
	(void)fd;
	if (++range.calls == range.fails_at) {
		errno = range.reason;
		return -1;
	}
	if (flags & SYNC_FILE_RANGE_WAIT_AFTER) {
		assert_int_equal(offset, range.waited);
		range.waited += (uint64_t)len;
	}
	return 0;
}

static enum status write_large(struct written *w)
{
	static uint8_t page[PAGE_BYTES];
	struct stat st;
	enum status status = ST_OK;

	begin(w, PAGE_BYTES, 700, 2);
	for (uint32_t n = 1; status == ST_OK && n <= 700; n++) {
		fill(page, PAGE_BYTES, 5 * n + 4);
		status = ltx_writer_page(w->writer, n, page, &w->err);
		assert_int_equal(fstat(w->fd, &st), 0);
		assert_true((uint64_t)st.st_size - range.waited < 17u << 20);
	}
	return status;
}

static void test_a_large_file_goes_to_the_disk_by_and_by(void **state)
{
	struct written w;

	(void)state;
	memset(&range, 0, sizeof range);
	assert_int_equal(write_large(&w), ST_OK);
	finish(&w);
	assert_true(w.size > 30u << 20);
	end(&w);
	/* What failed there the sync at the end would not tell. */
	for (unsigned i = 1; i <= 3; i++) {
		memset(&range, 0, sizeof range);
		range.fails_at = i;
		range.reason = i == 2 ? ENOSPC : EIO;
		assert_int_equal(write_large(&w), ST_IO);
		assert_int_equal(w.err.sys_errno, range.reason);
		end(&w);
	}
}

static void test_a_file_that_takes_nothing_is_an_error(void **state)
{
	struct written w;
	uint8_t page[512];

	(void)state;
	begin(&w, 512, 9, 2);
	(void)close(w.fd);
	fill(page, sizeof page, 8);
	assert_int_equal(ltx_writer_page(w.writer, 8, page, &w.err), ST_OK);
	assert_int_equal(ltx_writer_finish(w.writer, &w.size, &w.err), ST_IO);
	assert_non_null(strstr(w.err.text, "out cannot be written"));
	ltx_writer_close(w.writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_written_is_read_with_every_page_size),
	    cmocka_unit_test(test_a_file_without_pages_is_written),
	    cmocka_unit_test(test_many_pages_are_written),
	    cmocka_unit_test(test_a_block_that_is_given_is_copied),
	    cmocka_unit_test(test_a_whole_database_lacks_no_page),
	    cmocka_unit_test(test_the_page_of_the_lock_byte_is_not_missed),
	    cmocka_unit_test(test_a_large_file_goes_to_the_disk_by_and_by),
	    cmocka_unit_test(test_a_file_that_takes_nothing_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
