/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "btree/db_header.h"
#include "src/base/bytes.h"
#include "tests/lib/temp_database.h"

static void fill(uint8_t *bytes)
{
	memset(bytes, 0, DB_HEADER_SIZE);
	memcpy(bytes, "SQLite format 3", 16);
	put_u16be(bytes + 16, 4096);
	bytes[DB_WRITE_FORMAT] = 2;
	bytes[DB_READ_FORMAT] = 2;
	memcpy(bytes + 21, "\x40\x20\x20", 3);
	put_u32be(bytes + 56, 1);
}

static void expect_corrupt(const uint8_t *bytes, const char *word)
{
	struct db_header h = {.page_size = 7};
	struct error err;

	assert_int_equal(db_header_read(bytes, &h, &err), ST_CORRUPT);
	assert_int_equal(err.status, ST_CORRUPT);
	assert_non_null(strstr(err.text, word));
	assert_int_equal(h.page_size, 7);
}

static void test_every_field_is_read_from_its_place(void **state)
{
	uint8_t bytes[DB_HEADER_SIZE];
	struct db_header h;
	struct error err;

	(void)state;
	fill(bytes);
	bytes[20] = 12;
	put_u32be(bytes + 24, 0x01020304);
	put_u32be(bytes + 28, 0x11121314);
	put_u32be(bytes + 32, 0x21222324);
	put_u32be(bytes + 36, 0x31323334);
	put_u32be(bytes + 40, 0x41424344);
	put_u32be(bytes + 44, 4);
	put_u32be(bytes + 52, 0x51525354);
	put_u32be(bytes + 56, 3);
	put_u32be(bytes + 64, 1);
	assert_int_equal(db_header_read(bytes, &h, &err), ST_OK);
	assert_int_equal(h.page_size, 4096);
	assert_int_equal(h.usable_size, 4084);
	assert_int_equal(h.write_format, 2);
	assert_int_equal(h.read_format, 2);
	assert_int_equal(h.change_counter, 0x01020304);
	assert_int_equal(h.page_count, 0x11121314);
	assert_int_equal(h.freelist_trunk, 0x21222324);
	assert_int_equal(h.freelist_count, 0x31323334);
	assert_int_equal(h.schema_cookie, 0x41424344);
	assert_int_equal(h.schema_format, 4);
	assert_int_equal(h.largest_root, 0x51525354);
	assert_int_equal(h.encoding, TEXT_UTF16BE);
	assert_int_equal(h.incremental_vacuum, 1);
}

static void test_other_magic_is_refused(void **state)
{
	uint8_t bytes[DB_HEADER_SIZE];

	(void)state;
	fill(bytes);
	bytes[15] = ' ';
	expect_corrupt(bytes, "SQLite format 3");
	memset(bytes, 0, sizeof bytes);
	expect_corrupt(bytes, "SQLite format 3");
}

static void test_page_sizes_are_powers_of_two_from_512_to_65536(void **state)
{
	uint8_t bytes[DB_HEADER_SIZE];
	struct db_header h;
	struct error err;

	(void)state;
	fill(bytes);
	for (uint32_t raw = 0; raw < 65536; raw++) {
		uint32_t size = raw == 1 ? 65536 : raw;
		bool good = size >= 512 && (size & (size - 1)) == 0;

		put_u16be(bytes + 16, (uint16_t)raw);
		if (good) {
			assert_int_equal(db_header_read(bytes, &h, &err), ST_OK);
			assert_int_equal(h.page_size, size);
		} else {
			expect_corrupt(bytes, "page size");
		}
	}
}

static void test_usable_size_is_at_least_480(void **state)
{
	uint8_t bytes[DB_HEADER_SIZE];
	struct db_header h;
	struct error err;

	(void)state;
	fill(bytes);
	put_u16be(bytes + 16, 512);
	bytes[20] = 32;
	assert_int_equal(db_header_read(bytes, &h, &err), ST_OK);
	assert_int_equal(h.usable_size, 480);
	bytes[20] = 33;
	expect_corrupt(bytes, "reserved");
	put_u16be(bytes + 16, 1024);
	bytes[20] = 255;
	assert_int_equal(db_header_read(bytes, &h, &err), ST_OK);
	assert_int_equal(h.usable_size, 1024 - 255);
}

static void test_other_payload_fractions_are_refused(void **state)
{
	uint8_t bytes[DB_HEADER_SIZE];

	(void)state;
	for (int i = 21; i <= 23; i++) {
		fill(bytes);
		bytes[i]++;
		expect_corrupt(bytes, "fractions");
	}
}

static void test_encoding_is_one_of_three_and_0_reads_as_utf8(void **state)
{
	uint8_t bytes[DB_HEADER_SIZE];
	struct db_header h;
	struct error err;

	(void)state;
	fill(bytes);
	put_u32be(bytes + 56, 0);
	assert_int_equal(db_header_read(bytes, &h, &err), ST_OK);
	assert_int_equal(h.encoding, TEXT_UTF8);
	put_u32be(bytes + 56, 2);
	assert_int_equal(db_header_read(bytes, &h, &err), ST_OK);
	assert_int_equal(h.encoding, TEXT_UTF16LE);
	put_u32be(bytes + 56, 4);
	expect_corrupt(bytes, "encoding");
	put_u32be(bytes + 56, 0x01000001);
	expect_corrupt(bytes, "encoding");
}

static void test_header_says_what_sqlite_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < DATABASE_SHAPES; i++) {
		struct database_shape shape = database_shape(i);
		struct temp_database t;
		struct memory_source *source;
		const struct db_header *h;

		shape.encoding = i % 2 ? "UTF-16be" : "UTF-16le";
		temp_database_open(&t, &shape);
		temp_database_fill(&t, 50);
		source = temp_database_read(&t);
		h = memory_source_header(source);
		assert_int_equal(h->page_size, shape.page_size);
		assert_int_equal(h->usable_size, shape.page_size - shape.reserved);
		assert_int_equal(h->page_count,
				 temp_database_number(&t, "pragma page_count"));
		assert_int_equal(h->freelist_count,
				 temp_database_number(&t, "pragma freelist_count"));
		assert_int_equal(h->schema_cookie,
				 temp_database_number(&t, "pragma schema_version"));
		assert_int_equal(h->largest_root != 0, shape.auto_vacuum != 0);
		assert_int_equal(h->incremental_vacuum, shape.auto_vacuum == 2);
		assert_int_equal(h->encoding, i % 2 ? TEXT_UTF16BE : TEXT_UTF16LE);
		memory_source_close(source);
		temp_database_close(&t);
	}
}

static void test_lock_byte_lies_on_the_page_of_1_gib(void **state)
{
	(void)state;
	assert_int_equal(db_lock_byte_page(512), 2097153);
	assert_int_equal(db_lock_byte_page(4096), 262145);
	assert_int_equal(db_lock_byte_page(65536), 16385);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_field_is_read_from_its_place),
	    cmocka_unit_test(test_other_magic_is_refused),
	    cmocka_unit_test(test_page_sizes_are_powers_of_two_from_512_to_65536),
	    cmocka_unit_test(test_usable_size_is_at_least_480),
	    cmocka_unit_test(test_other_payload_fractions_are_refused),
	    cmocka_unit_test(test_encoding_is_one_of_three_and_0_reads_as_utf8),
	    cmocka_unit_test(test_header_says_what_sqlite_says),
	    cmocka_unit_test(test_lock_byte_lies_on_the_page_of_1_gib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
