/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/bytes.h"
#include "src/capture/wal_frame.h"
#include "src/capture/wal_index.h"
#include "tests/lib/capture_rig.h"

/* A database with a WAL of several commits, kept open. */
struct fixture {
	struct rig_folder folder;
	sqlite3 *db;
	int wal_fd;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	rig_folder_init(&f->folder, 1024);
	f->db = rig_open_with_wal(&f->folder);
	f->wal_fd = open(f->folder.wal, O_RDWR | O_CLOEXEC);
	assert_true(f->wal_fd >= 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)close(f->wal_fd);
	(void)sqlite3_close(f->db);
	rig_folder_clear(&f->folder);
	free(f);
	return 0;
}

static uint32_t frames_in(const struct fixture *f)
{
	return (uint32_t)((rig_file_size(f->folder.wal) - 32) / (1024 + 24));
}

static void read_header(const struct fixture *f, uint8_t *bytes)
{
	assert_int_equal(pread(f->wal_fd, bytes, 32, 0), 32);
}

static void test_header_that_sqlite_wrote_is_read(void **state)
{
	const struct fixture *f = *state;
	struct wal_header header;
	uint8_t bytes[32];
	struct error err;

	read_header(f, bytes);
	assert_int_equal(wal_header_parse(bytes, &header, &err), ST_OK);
	assert_int_equal(header.page_size, 1024);
	assert_int_equal(header.big_endian_sums,
			 __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
	assert_memory_equal(header.salt, bytes + 16, 8);
}

static void test_any_changed_byte_of_the_header_is_corrupt(void **state)
{
	const struct fixture *f = *state;
	struct wal_header header;
	uint8_t bytes[32];
	struct error err;

	read_header(f, bytes);
	for (size_t i = 0; i < 32; i++) {
		bytes[i] ^= 0x10;
		assert_int_equal(wal_header_parse(bytes, &header, &err), ST_CORRUPT);
		bytes[i] ^= 0x10;
	}
}

static void test_checksums_of_sqlite_are_ours(void **state)
{
	const struct fixture *f = *state;
	struct wal_header header;
	uint8_t bytes[32];
	uint8_t headers[1][WAL_FRAME_HEADER_BYTES];
	uint8_t page[1024];
	uint8_t *const pages[1] = {page};
	struct wal_frame frame;
	uint32_t sum[2] = {0, 0};
	struct error err;

	read_header(f, bytes);
	assert_int_equal(wal_header_parse(bytes, &header, &err), ST_OK);
	wal_checksum(header.big_endian_sums, bytes, 24, sum);
	for (uint32_t i = 1; i <= frames_in(f); i++) {
		assert_int_equal(
		    wal_frames_read(f->wal_fd, 1024, i, 1, pages, headers, &err),
		    ST_OK);
		wal_frame_parse(headers[0], &frame);
		wal_checksum(header.big_endian_sums, headers[0], 8, sum);
		wal_checksum(header.big_endian_sums, page, 1024, sum);
		assert_int_equal(frame.sum[0], sum[0]);
		assert_int_equal(frame.sum[1], sum[1]);
		assert_memory_equal(frame.salt, header.salt, 8);
		assert_false(wal_frame_is_blank(&frame));
	}
}

static void test_other_byte_order_gives_other_sums(void **state)
{
	static const uint8_t bytes[8] = {1, 0, 0, 0, 2, 0, 0, 0};
	uint32_t big[2] = {0, 0};
	uint32_t little[2] = {0, 0};

	(void)state;
	wal_checksum(true, bytes, 8, big);
	wal_checksum(false, bytes, 8, little);
	assert_int_equal(little[0], 1);
	assert_int_equal(little[1], 3);
	assert_int_equal(big[0], 0x01000000);
	assert_int_equal(big[1], 0x03000000);
}

static void test_batch_equals_frames_read_one_by_one(void **state)
{
	const struct fixture *f = *state;
	uint32_t total = frames_in(f);
	uint8_t(*pages)[1024];
	uint8_t *list[WAL_FRAMES_AT_ONCE];
	uint8_t headers[WAL_FRAMES_AT_ONCE][WAL_FRAME_HEADER_BYTES];
	uint8_t raw[WAL_FRAME_HEADER_BYTES + 1024];
	struct error err;

	assert_in_range(total, 5, WAL_FRAMES_AT_ONCE);
	pages = malloc(total * sizeof *pages);
	for (uint32_t i = 0; i < total; i++) {
		list[i] = pages[i];
	}
	assert_int_equal(
	    wal_frames_read(f->wal_fd, 1024, 2, total - 1, list, headers, &err), ST_OK);
	for (uint32_t i = 0; i + 1 < total; i++) {
		assert_int_equal(pread(f->wal_fd, raw, sizeof raw,
				       (off_t)wal_frame_offset(i + 2, 1024)),
				 sizeof raw);
		assert_memory_equal(headers[i], raw, WAL_FRAME_HEADER_BYTES);
		assert_memory_equal(pages[i], raw + WAL_FRAME_HEADER_BYTES, 1024);
	}
	free(pages);
}

static void test_file_that_ends_inside_a_frame_is_the_end(void **state)
{
	const struct fixture *f = *state;
	uint32_t total = frames_in(f);
	uint8_t page[2][1024];
	uint8_t *const pages[2] = {page[0], page[1]};
	uint8_t headers[2][WAL_FRAME_HEADER_BYTES];
	struct error err;

	assert_int_equal(
	    wal_frames_read(f->wal_fd, 1024, total, 2, pages, headers, &err), ST_END);
	assert_int_equal(ftruncate(f->wal_fd, rig_file_size(f->folder.wal) - 1), 0);
	assert_int_equal(
	    wal_frames_read(f->wal_fd, 1024, total, 1, pages, headers, &err), ST_END);
	assert_int_equal(
	    wal_frames_read(f->wal_fd, 1024, UINT32_MAX, 1, pages, headers, &err),
	    ST_END);
}

static void test_offsets_do_not_wrap_at_4_gib(void **state)
{
	(void)state;
	assert_int_equal(wal_frame_offset(1, 4096), 32);
	assert_int_equal(wal_frame_offset(2, 4096), 32 + 4120);
	assert_true(wal_frame_offset(UINT32_MAX, 65536) ==
		    32 + UINT64_C(4294967294) * (65536 + 24));
}

static void test_frame_of_zeros_is_blank(void **state)
{
	uint8_t bytes[WAL_FRAME_HEADER_BYTES] = {0, 0, 0, 7};
	struct wal_frame frame;

	(void)state;
	wal_frame_parse(bytes, &frame);
	assert_int_equal(frame.page_no, 7);
	assert_true(wal_frame_is_blank(&frame));
	for (size_t i = 8; i < sizeof bytes; i++) {
		bytes[i] = 1;
		wal_frame_parse(bytes, &frame);
		assert_false(wal_frame_is_blank(&frame));
		bytes[i] = 0;
	}
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_header_that_sqlite_wrote_is_read),
	    CASE(test_any_changed_byte_of_the_header_is_corrupt),
	    CASE(test_checksums_of_sqlite_are_ours),
	    cmocka_unit_test(test_other_byte_order_gives_other_sums),
	    CASE(test_batch_equals_frames_read_one_by_one),
	    CASE(test_file_that_ends_inside_a_frame_is_the_end),
	    cmocka_unit_test(test_offsets_do_not_wrap_at_4_gib),
	    cmocka_unit_test(test_frame_of_zeros_is_blank),
	};
#undef CASE

	if (rig_is_child(argc, argv)) {
		return rig_child(argc, argv);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
