/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "btree/cell.h"
#include "tests/lib/full_walk.h"
#include "tests/lib/temp_database.h"

#define USABLE 512u
#define MOST   65536u

/* A page with one cell, whose bytes the tests write; a block of its own. */
struct made_page {
	uint8_t *bytes;
	struct page page;
};

static void make_page(struct made_page *m, int kind, uint32_t usable, uint32_t offset)
{
	uint32_t pointers = kind >= PAGE_INDEX_LEAF ? 8 : 12;
	struct error err;

	m->bytes = calloc(1, usable);
	assert_non_null(m->bytes);
	m->bytes[0] = (uint8_t)kind;
	put_u16be(m->bytes + 3, 1);
	put_u16be(m->bytes + pointers, (uint16_t)offset);
	assert_int_equal(page_parse(m->bytes, 9, usable, &m->page, &err), ST_OK);
}

/* Expect the one cell of a page to be corrupt, for a reason that has `word` in it. */
static void expect_corrupt(struct made_page *m, const char *word)
{
	struct cell cell = {.rowid = 4711};
	struct error err;

	assert_int_equal(cell_read(&m->page, 0, &cell, &err), ST_CORRUPT);
	assert_int_equal(cell.rowid, 4711);
	assert_non_null(strstr(err.text, "page 9: cell 0 at offset"));
	assert_non_null(strstr(err.text, word));
	free(m->bytes);
}

static void test_table_leaf_cell_has_rowid_and_payload(void **state)
{
	struct made_page m;
	struct cell cell;
	struct error err;

	(void)state;
	make_page(&m, PAGE_TABLE_LEAF, USABLE, 400);
	memcpy(m.bytes + 400, "\x05\x81\x00hello", 8);
	assert_int_equal(cell_read(&m.page, 0, &cell, &err), ST_OK);
	assert_int_equal(cell.rowid, 128);
	assert_int_equal(cell.left_child, 0);
	assert_int_equal(cell.payload_len, 5);
	assert_int_equal(cell.local_len, 5);
	assert_ptr_equal(cell.local, m.bytes + 403);
	assert_int_equal(cell.overflow_page, 0);
	assert_int_equal(cell.offset, 400);
	assert_int_equal(cell.size, 8);
	free(m.bytes);
}

static void test_table_interior_cell_has_child_and_rowid_only(void **state)
{
	struct made_page m;
	struct cell cell;
	struct error err;

	(void)state;
	make_page(&m, PAGE_TABLE_INTERIOR, USABLE, 400);
	memcpy(m.bytes + 400, "\0\0\0\x07\x82\x00", 6);
	assert_int_equal(cell_read(&m.page, 0, &cell, &err), ST_OK);
	assert_int_equal(cell.rowid, 256);
	assert_int_equal(cell.left_child, 7);
	assert_int_equal(cell.payload_len, 0);
	assert_int_equal(cell.local_len, 0);
	assert_int_equal(cell.overflow_page, 0);
	assert_int_equal(cell.size, 6);
	free(m.bytes);
}

static void test_index_cells_have_payload_and_no_rowid(void **state)
{
	struct made_page m;
	struct cell cell;
	struct error err;

	(void)state;
	make_page(&m, PAGE_INDEX_LEAF, USABLE, 508);
	memcpy(m.bytes + 508, "\x03xyz", 4);
	assert_int_equal(cell_read(&m.page, 0, &cell, &err), ST_OK);
	assert_int_equal(cell.rowid, 0);
	assert_int_equal(cell.left_child, 0);
	assert_int_equal(cell.payload_len, 3);
	assert_int_equal(cell.size, 4);
	free(m.bytes);

	make_page(&m, PAGE_INDEX_INTERIOR, USABLE, 504);
	memcpy(m.bytes + 504, "\0\0\1\0\x03xyz", 8);
	assert_int_equal(cell_read(&m.page, 0, &cell, &err), ST_OK);
	assert_int_equal(cell.left_child, 256);
	assert_int_equal(cell.payload_len, 3);
	assert_memory_equal(cell.local, "xyz", 3);
	assert_int_equal(cell.size, 8);
	free(m.bytes);
}

static void test_rowids_of_every_length_are_read(void **state)
{
	/* Bytes 0x80+k, then a last one; with 9 bytes the last gives all its bits. */
	(void)state;
	for (uint32_t len = 1; len <= 9; len++) {
		uint64_t want = 0;
		struct made_page m;
		struct cell cell;
		struct error err;

		make_page(&m, PAGE_TABLE_LEAF, USABLE, 100);
		m.bytes[100] = 2;
		for (uint32_t i = 1; i < len; i++) {
			m.bytes[100 + i] = (uint8_t)(0x80 + 0x70 + i);
			want = want << 7 | (0x70 + i);
		}
		m.bytes[100 + len] = 0x2a;
		want = want << (len == 9 ? 8 : 7) | 0x2a;
		assert_int_equal(cell_read(&m.page, 0, &cell, &err), ST_OK);
		assert_true(cell.rowid == (int64_t)want);
		assert_int_equal(cell.size, 3 + len);
		if (len == 9) {
			assert_true(cell.rowid < 0);
		}
		free(m.bytes);
	}
}

static void test_small_cell_at_the_very_end_of_the_page_is_read(void **state)
{
	(void)state;
	for (uint32_t offset = USABLE - 16; offset <= USABLE - 2; offset++) {
		uint32_t len = USABLE - offset - 2;
		struct made_page m;
		struct cell cell;
		struct error err;

		make_page(&m, PAGE_TABLE_LEAF, USABLE, offset);
		m.bytes[offset] = (uint8_t)len;
		m.bytes[offset + 1] = 5;
		assert_int_equal(cell_read(&m.page, 0, &cell, &err), ST_OK);
		assert_int_equal(cell.rowid, 5);
		assert_int_equal(cell.local_len, len);
		m.bytes[offset]++;
		expect_corrupt(&m, "runs past");
	}
}

/* Where the format's words put the end of the local part. */
static uint32_t local_by_the_format(int kind, uint32_t usable, uint32_t payload)
{
	bool table = kind == PAGE_TABLE_LEAF;
	uint32_t x = table ? usable - 35 : (usable - 12) * 64 / 255 - 23;
	uint32_t m = (usable - 12) * 32 / 255 - 23;
	uint32_t k = m + (payload - m) % (usable - 4);

	return payload <= x ? payload : k <= x ? k : m;
}

static void check_local(int kind, uint32_t usable, uint32_t payload)
{
	uint32_t start = 100;
	uint32_t want = local_by_the_format(kind, usable, payload);
	struct made_page m;
	struct cell cell;
	struct error err;
	uint32_t p = start;

	make_page(&m, kind, usable, start);
	if (kind == PAGE_INDEX_INTERIOR) {
		put_u32be(m.bytes + p, 3);
		p += 4;
	}
	m.bytes[p++] = (uint8_t)(0x80 | payload >> 14);
	m.bytes[p++] = (uint8_t)(0x80 | (payload >> 7 & 0x7f));
	m.bytes[p++] = (uint8_t)(payload & 0x7f);
	if (kind == PAGE_TABLE_LEAF) {
		m.bytes[p++] = 1;
	}
	if (p + want + 4 <= usable) {
		if (want < payload) {
			put_u32be(m.bytes + p + want, 77);
		}
		assert_int_equal(cell_read(&m.page, 0, &cell, &err), ST_OK);
		assert_int_equal(cell.payload_len, payload);
		assert_int_equal(cell.local_len, want);
		assert_int_equal(cell.overflow_page, want < payload ? 77 : 0);
		assert_int_equal(cell.size,
				 p - start + want + (want < payload ? 4 : 0));
	}
	free(m.bytes);
}

static void test_local_part_follows_the_formula_at_every_length(void **state)
{
	static const int kinds[] = {PAGE_TABLE_LEAF, PAGE_INDEX_LEAF,
				    PAGE_INDEX_INTERIOR};
	static const uint32_t sizes[] = {480, 512, 1019, 4096};

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		for (size_t s = 0; s < 4; s++) {
			uint32_t step = sizes[s] > 1024 ? 7 : 1;

			for (uint32_t n = 0; n < 4 * sizes[s]; n += step) {
				check_local(kinds[k], sizes[s], n);
			}
		}
		for (uint32_t n = MOST - 80; n < MOST + 80; n++) {
			check_local(kinds[k], MOST, n);
		}
	}
}

static void test_cell_outside_the_cell_area_is_corrupt(void **state)
{
	static const uint32_t offsets[] = {0, 9, USABLE, USABLE + 1, 65535};
	struct made_page m;

	(void)state;
	for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
		make_page(&m, PAGE_TABLE_LEAF, USABLE, offsets[i]);
		expect_corrupt(&m, "not in the cell area");
	}
}

static void test_cell_cut_by_the_end_of_the_page_is_corrupt(void **state)
{
	static const int kinds[] = {PAGE_TABLE_LEAF, PAGE_TABLE_INTERIOR,
				    PAGE_INDEX_LEAF, PAGE_INDEX_INTERIOR};

	(void)state;
	for (size_t k = 0; k < 4; k++) {
		for (uint32_t left = 1; left <= 8; left++) {
			struct made_page m;

			make_page(&m, kinds[k], USABLE, USABLE - left);
			memset(m.bytes + USABLE - left, 0x81, left);
			expect_corrupt(&m, "runs past");
		}
	}
}

static void test_payload_over_2_gib_is_corrupt(void **state)
{
	struct made_page m;
	struct cell cell;
	struct error err;

	(void)state;
	make_page(&m, PAGE_TABLE_LEAF, USABLE, 50);
	memcpy(m.bytes + 50, "\x88\x80\x80\x80\x00\x01", 6); /* 2^31 */
	expect_corrupt(&m, "2^31-1");
	make_page(&m, PAGE_INDEX_LEAF, USABLE, 50);
	memset(m.bytes + 50, 0xff, 9);
	expect_corrupt(&m, "2^31-1");

	make_page(&m, PAGE_TABLE_LEAF, USABLE, 50);
	memcpy(m.bytes + 50, "\x87\xff\xff\xff\x7f\x01", 6); /* 2^31 - 1 */
	memset(m.bytes + 56, 1, USABLE - 56);
	assert_int_equal(cell_read(&m.page, 0, &cell, &err), ST_OK);
	assert_int_equal(cell.payload_len, INT32_MAX);
	free(m.bytes);
}

static void test_page_0_as_child_or_overflow_is_corrupt(void **state)
{
	struct made_page m;

	(void)state;
	make_page(&m, PAGE_TABLE_INTERIOR, USABLE, 400);
	expect_corrupt(&m, "child is page 0");
	make_page(&m, PAGE_INDEX_INTERIOR, USABLE, 400);
	expect_corrupt(&m, "child is page 0");
	make_page(&m, PAGE_TABLE_LEAF, USABLE, 20);
	memcpy(m.bytes + 20, "\x88\x00\x01", 3);
	expect_corrupt(&m, "overflow page is page 0");
}

/* What a walk in key order has seen. */
struct order {
	int64_t last;
	uint64_t rows;
	uint64_t overflowing;
};

static enum status check_order(void *context, const struct page *page,
			       const struct cell *cell, struct error *err)
{
	struct order *order = context;

	(void)err;
	if (page->kind == PAGE_TABLE_LEAF) {
		assert_true(order->rows++ == 0 || cell->rowid > order->last);
		order->last = cell->rowid;
	} else if (page->kind == PAGE_TABLE_INTERIOR) {
		assert_true(cell->rowid >= order->last);
		assert_null(cell->local);
	} else {
		assert_int_equal(cell->rowid, 0);
	}
	assert_true(cell->offset + cell->size <= page->usable_size);
	order->overflowing += cell->overflow_page != 0;
	return ST_OK;
}

static void test_rowids_of_a_real_table_rise(void **state)
{
	(void)state;
	for (size_t i = 0; i < DATABASE_SHAPES; i++) {
		struct database_shape shape = database_shape(i);
		struct order order = {.last = INT64_MIN};
		struct full_walk walk = {.context = &order, .cell = check_order};
		struct temp_database t;
		struct memory_source *source;
		struct error err;

		temp_database_open(&t, &shape);
		temp_database_fill(&t, 900);
		temp_database_sql(&t, "insert into t(rowid, a) values"
				      "(-9223372036854775808, 0), (-1, 0), (0, 0),"
				      "(1099511627776, 0), (9223372036854775807, 0)");
		source = temp_database_read(&t);
		walk.source = memory_source_pages(source);
		walk.pages_left = walk.source->page_count;
		assert_int_equal(
		    full_walk_tree(&walk,
				   (uint32_t)temp_database_number(
				       &t, "select rootpage from sqlite_schema "
					   "where name='t'"),
				   &err),
		    ST_OK);
		assert_true(order.last == INT64_MAX);
		assert_int_equal(order.rows,
				 temp_database_number(&t, "select count(*) from t"));
		assert_true(order.overflowing > 2);
		memory_source_close(source);
		temp_database_close(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table_leaf_cell_has_rowid_and_payload),
	    cmocka_unit_test(test_table_interior_cell_has_child_and_rowid_only),
	    cmocka_unit_test(test_index_cells_have_payload_and_no_rowid),
	    cmocka_unit_test(test_rowids_of_every_length_are_read),
	    cmocka_unit_test(test_small_cell_at_the_very_end_of_the_page_is_read),
	    cmocka_unit_test(test_local_part_follows_the_formula_at_every_length),
	    cmocka_unit_test(test_cell_outside_the_cell_area_is_corrupt),
	    cmocka_unit_test(test_cell_cut_by_the_end_of_the_page_is_corrupt),
	    cmocka_unit_test(test_payload_over_2_gib_is_corrupt),
	    cmocka_unit_test(test_page_0_as_child_or_overflow_is_corrupt),
	    cmocka_unit_test(test_rowids_of_a_real_table_rise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
