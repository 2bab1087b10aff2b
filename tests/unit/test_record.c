/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "btree/overflow.h"
#include "btree/record.h"
#include "tests/lib/full_walk.h"
#include "tests/lib/temp_database.h"

#define MAX 16

/* Decode the bytes from a block of exactly their size. The text values die with it. */
static enum status read_block(const void *bytes, size_t len, struct value *values,
			      uint32_t max, uint32_t *count, uint8_t **block)
{
	struct error err;
	enum status status;

	*block = malloc(len ? len : 1);
	assert_non_null(*block);
	memcpy(*block, bytes, len);
	status = record_read(*block, len, values, max, count, &err);
	assert_true(status == ST_OK || (status == ST_CORRUPT && err.text[0]));
	return status;
}

static void expect_corrupt(const void *bytes, size_t len)
{
	struct value values[MAX];
	uint32_t count = 77;
	uint8_t *block;

	assert_int_equal(read_block(bytes, len, values, MAX, &count, &block),
			 ST_CORRUPT);
	assert_int_equal(count, 77);
	free(block);
}

/* One value of `type` with `len` body bytes behind `lead` zero-length values. */
static struct value read_one(uint8_t type, const void *body, size_t len, size_t lead)
{
	uint8_t bytes[64] = {0};
	struct value values[MAX];
	uint32_t count;
	uint8_t *block;

	bytes[0] = (uint8_t)(2 + lead);
	bytes[1 + lead] = type;
	memcpy(bytes + 2 + lead, body, len);
	assert_int_equal(read_block(bytes, 2 + lead + len, values, MAX, &count, &block),
			 ST_OK);
	assert_int_equal(count, lead + 1);
	free(block);
	return values[lead];
}

static void test_integers_of_every_size_keep_their_sign(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 3, 4, 6, 8};

	(void)state;
	for (uint8_t type = 1; type <= 6; type++) {
		for (size_t lead = 0; lead < 10; lead++) {
			static const uint8_t first[] = {0x80, 0xff, 0x7f, 0x00};

			for (size_t f = 0; f < sizeof first; f++) {
				uint8_t body[8] = {first[f], 2, 3, 4, 5, 6, 7, 8};
				int64_t want = (int8_t)body[0];
				struct value v;

				for (size_t i = 1; i < sizes[type]; i++) {
					want = want * 256 + body[i];
				}
				v = read_one(type, body, sizes[type], lead);
				assert_int_equal(v.class, VALUE_INTEGER);
				assert_true(v.integer == want);
			}
		}
	}
}

static void test_constants_and_null_take_no_bytes(void **state)
{
	(void)state;
	for (size_t lead = 0; lead < 10; lead++) {
		assert_int_equal(read_one(0, "", 0, lead).class, VALUE_NULL);
		assert_int_equal(read_one(8, "", 0, lead).class, VALUE_INTEGER);
		assert_int_equal(read_one(8, "", 0, lead).integer, 0);
		assert_int_equal(read_one(9, "", 0, lead).class, VALUE_INTEGER);
		assert_int_equal(read_one(9, "", 0, lead).integer, 1);
	}
}

static void test_reals_are_read_and_nan_is_null(void **state)
{
	struct value v = read_one(7, "\x3f\xf8\0\0\0\0\0\0", 8, 0);

	(void)state;
	assert_int_equal(v.class, VALUE_REAL);
	assert_true(v.real == 1.5);
	v = read_one(7, "\x7f\xf0\0\0\0\0\0\0", 8, 0);
	assert_int_equal(v.class, VALUE_REAL);
	assert_true(v.real > 1e308);
	v = read_one(7, "\x80\0\0\0\0\0\0\0", 8, 0);
	assert_int_equal(v.class, VALUE_REAL);
	assert_true(1 / v.real < 0);
	assert_int_equal(read_one(7, "\x7f\xf8\0\0\0\0\0\0", 8, 0).class, VALUE_NULL);
	assert_int_equal(read_one(7, "\xff\xf0\0\0\0\0\0\1", 8, 9).class, VALUE_NULL);
}

static void test_text_and_blob_point_into_the_payload(void **state)
{
	static const uint8_t bytes[] = {5,   12 + 2 * 3, 13 + 2 * 2, 12,  13,
					'a', 'b',        'c',        'd', 'e'};
	struct value v[MAX];
	struct error err;
	uint32_t count;

	(void)state;
	assert_int_equal(record_read(bytes, sizeof bytes, v, MAX, &count, &err), ST_OK);
	assert_int_equal(count, 4);
	assert_int_equal(v[0].class, VALUE_BLOB);
	assert_int_equal(v[0].len, 3);
	assert_ptr_equal(v[0].bytes, bytes + 5);
	assert_int_equal(v[1].class, VALUE_TEXT);
	assert_int_equal(v[1].len, 2);
	assert_ptr_equal(v[1].bytes, bytes + 8);
	assert_int_equal(v[2].class, VALUE_BLOB);
	assert_int_equal(v[2].len, 0);
	assert_non_null(v[2].bytes);
	assert_int_equal(v[3].class, VALUE_TEXT);
	assert_int_equal(v[3].len, 0);
	assert_non_null(v[3].bytes);
}

static void test_long_text_has_a_long_type(void **state)
{
	uint8_t bytes[2 + 2 + 1000];
	struct value v[MAX];
	struct error err;
	uint32_t count;

	(void)state;
	memset(bytes, 'z', sizeof bytes);
	bytes[0] = 4;
	bytes[1] = 0x80 | (2013 >> 7);
	bytes[2] = 2013 & 0x7f; /* 13 + 2 * 1000 */
	bytes[3] = 0;
	assert_int_equal(record_read(bytes, sizeof bytes, v, MAX, &count, &err), ST_OK);
	assert_int_equal(count, 2);
	assert_int_equal(v[0].class, VALUE_TEXT);
	assert_int_equal(v[0].len, 1000);
	assert_int_equal(v[1].class, VALUE_NULL);
	assert_int_equal(record_read(bytes, sizeof bytes - 1, v, MAX, &count, &err),
			 ST_CORRUPT);
}

static void test_values_past_max_are_not_looked_at(void **state)
{
	static const uint8_t bytes[] = {4, 9, 9, 10}; /* the third type is reserved */
	struct value v[2];
	struct error err;
	uint32_t count = 9;

	(void)state;
	assert_int_equal(record_read(bytes, sizeof bytes, v, 2, &count, &err), ST_OK);
	assert_int_equal(count, 2);
	assert_int_equal(record_read(bytes, sizeof bytes, v, 0, &count, &err), ST_OK);
	assert_int_equal(count, 0);
	expect_corrupt(bytes, sizeof bytes);
}

static void test_record_may_have_no_values(void **state)
{
	struct value v[1];
	struct error err;
	uint32_t count = 9;

	(void)state;
	assert_int_equal(record_read((const uint8_t *)"\1", 1, v, 1, &count, &err),
			 ST_OK);
	assert_int_equal(count, 0);
}

static void test_broken_headers_are_corrupt(void **state)
{
	(void)state;
	expect_corrupt("", 0);
	expect_corrupt("\0", 1);           /* a header shorter than its length */
	expect_corrupt("\x81\x00", 2);     /* a header of 128 bytes in 2 */
	expect_corrupt("\x80\x01\x09", 3); /* a header of 1 byte, its length takes 2 */
	expect_corrupt("\x80", 1);         /* a length without an end */
	expect_corrupt("\x03\x00", 2);     /* header longer than the payload */
	expect_corrupt("\x02\x81\x00", 3); /* a type that leaves the header */
	expect_corrupt("\x02\x0a", 2);     /* reserved types */
	expect_corrupt("\x02\x0b\x00", 3);
	expect_corrupt("\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9);
	expect_corrupt("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10);
}

static void test_values_that_leave_the_payload_are_corrupt(void **state)
{
	static const uint8_t sizes[] = {0, 1, 2, 3, 4, 6, 8, 8};

	(void)state;
	for (uint8_t type = 1; type <= 7; type++) {
		for (uint8_t len = 0; len < sizes[type]; len++) {
			uint8_t bytes[10] = {2, type};

			expect_corrupt(bytes, 2u + len);
		}
	}
	expect_corrupt("\x02\x0e", 2);
	expect_corrupt("\x02\x0f", 2);
	expect_corrupt("\x03\x0e\x0e\x55", 4);
}

static struct value real_of(uint64_t bits)
{
	struct value v = {.class = VALUE_REAL};

	memcpy(&v.real, &bits, sizeof bits);
	return v;
}

static void test_same_values_are_of_one_class_and_equal(void **state)
{
	struct value null = {.class = VALUE_NULL, .integer = 5};
	struct value null2 = {.class = VALUE_NULL, .integer = 6};
	struct value one = {.class = VALUE_INTEGER, .integer = 1};
	struct value two = {.class = VALUE_INTEGER, .integer = 2};
	struct value real_one = {.class = VALUE_REAL, .real = 1.0};
	struct value text = {VALUE_TEXT, 3, {.bytes = (const uint8_t *)"abc"}};
	struct value text2 = {VALUE_TEXT, 3, {.bytes = (const uint8_t *)"abcd"}};
	struct value longer = {VALUE_TEXT, 4, {.bytes = (const uint8_t *)"abcd"}};
	struct value blob = {VALUE_BLOB, 3, {.bytes = (const uint8_t *)"abc"}};
	struct value zero = real_of(0);
	struct value minus_zero = real_of(UINT64_C(1) << 63);

	(void)state;
	assert_true(value_same(&null, &null2));
	assert_true(value_same(&one, &one));
	assert_false(value_same(&one, &two));
	assert_false(value_same(&one, &real_one));
	assert_false(value_same(&one, &null));
	assert_true(value_same(&real_one, &real_one));
	assert_false(value_same(&zero, &minus_zero));
	assert_true(value_same(&text, &text2));
	assert_false(value_same(&text, &longer));
	assert_false(value_same(&text, &blob));
}

/* A table beside the query that gives its rows in the same order. */
struct comparison {
	struct page_source *source;
	struct buffer scratch;
	sqlite3_stmt *rows;
};

static void check_value(const struct value *v, sqlite3_stmt *rows, int column)
{
	switch (sqlite3_column_type(rows, column)) {
	case SQLITE_NULL:
		assert_int_equal(v->class, VALUE_NULL);
		break;
	case SQLITE_INTEGER:
		assert_int_equal(v->class, VALUE_INTEGER);
		assert_true(v->integer == sqlite3_column_int64(rows, column));
		break;
	case SQLITE_FLOAT:
		assert_int_equal(v->class, VALUE_REAL);
		assert_true(v->real == sqlite3_column_double(rows, column));
		break;
	default:
		assert_int_equal(v->class,
				 sqlite3_column_type(rows, column) == SQLITE_TEXT
				     ? VALUE_TEXT
				     : VALUE_BLOB);
		assert_int_equal(v->len, sqlite3_column_bytes(rows, column));
		if (v->len > 0) {
			assert_memory_equal(v->bytes, sqlite3_column_blob(rows, column),
					    v->len);
		}
	}
}

static enum status compare_row(void *context, const struct page *page,
			       const struct cell *cell, struct error *err)
{
	struct comparison *c = context;
	struct value values[MAX];
	const uint8_t *bytes;
	uint32_t count;

	if (page->kind == PAGE_TABLE_INTERIOR) {
		return ST_OK;
	}
	assert_int_equal(sqlite3_step(c->rows), SQLITE_ROW);
	assert_int_equal(payload_read(c->source, cell, &c->scratch, &bytes, err),
			 ST_OK);
	assert_int_equal(
	    record_read(bytes, (size_t)cell->payload_len, values, MAX, &count, err),
	    ST_OK);
	assert_int_equal(count, sqlite3_column_count(c->rows));
	for (uint32_t i = 0; i < count; i++) {
		check_value(&values[i], c->rows, (int)i);
	}
	return ST_OK;
}

static void compare(struct temp_database *t, struct memory_source *source,
		    const char *tree, const char *query)
{
	struct comparison c = {.source = memory_source_pages(source)};
	struct full_walk walk = {
	    .source = c.source,
	    .context = &c,
	    .pages_left = c.source->page_count,
	    .cell = compare_row,
	};
	char root[200];
	struct error err;

	(void)snprintf(root, sizeof root,
		       "select rootpage from sqlite_schema where name='%s'", tree);
	assert_int_equal(sqlite3_prepare_v2(t->db, query, -1, &c.rows, NULL),
			 SQLITE_OK);
	assert_int_equal(
	    full_walk_tree(&walk, (uint32_t)temp_database_number(t, root), &err),
	    ST_OK);
	assert_int_equal(sqlite3_step(c.rows), SQLITE_DONE);
	sqlite3_finalize(c.rows);
	buffer_clear(&c.scratch);
}

static void test_rows_and_keys_are_what_sqlite_gives(void **state)
{
	(void)state;
	for (size_t i = 0; i < DATABASE_SHAPES; i++) {
		struct database_shape shape = database_shape(i);
		struct temp_database t;
		struct memory_source *source;

		temp_database_open(&t, &shape);
		temp_database_fill(&t, 1200);
		source = temp_database_read(&t);
		compare(&t, source, "t", "select a, b, c, d from t order by rowid");
		compare(&t, source, "t_b",
			"select b, c, rowid from t order by 1, 2, 3");
		compare(&t, source, "w", "select k, v from w order by k");
		memory_source_close(source);
		temp_database_close(&t);
	}
}

/* Headers of every length: the length counts itself. */
static void test_a_cut_record_has_the_first_values(void **state)
{
	static const uint32_t counts[] = {0,    1,     125,   126,   127,   128,
					  5461, 16380, 16381, 16382, 16384, 20000};
	static uint8_t record[3 + 20000 + 20000];
	static struct value values[20001];
	struct buffer out;
	struct error err;
	uint32_t count;

	(void)state;
	/* 20000 integers of one byte each. */
	memcpy(record, "\x81\x9c\x23", 3);
	memset(record + 3, 1, 20000);
	for (int i = 0; i < 20000; i++) {
		record[20003 + i] = (uint8_t)(i % 100);
	}
	buffer_init(&out);
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		buffer_reset(&out);
		assert_int_equal(
		    record_cut(record, sizeof record, counts[i], &out, &err), ST_OK);
		assert_int_equal(record_read((const uint8_t *)out.bytes, out.len,
					     values, 20001, &count, &err),
				 ST_OK);
		assert_int_equal(count, counts[i]);
		for (uint32_t v = 0; v < count; v++) {
			assert_int_equal(values[v].integer, v % 100);
		}
		/* Just enough of the body. */
		buffer_reset(&out);
		assert_int_equal(
		    record_cut(record, 20003 + counts[i], counts[i], &out, &err),
		    ST_OK);
		if (counts[i] > 0) {
			assert_int_equal(record_cut(record, 20002 + counts[i],
						    counts[i], &out, &err),
					 ST_CORRUPT);
		}
	}
	buffer_clear(&out);
}

static void expect_no_cut(const char *bytes, size_t len, uint32_t count)
{
	struct buffer out;
	struct error err;

	buffer_init(&out);
	assert_int_equal(record_cut((const uint8_t *)bytes, len, count, &out, &err),
			 ST_CORRUPT);
	buffer_clear(&out);
}

static void test_what_has_not_so_many_values_is_not_cut(void **state)
{
	(void)state;
	expect_no_cut("", 0, 0);
	expect_no_cut("\x00", 1, 0);
	expect_no_cut("\x02", 1, 0);
	expect_no_cut("\x02\x08", 2, 2);
	expect_no_cut("\x02\x0a", 2, 1);
	expect_no_cut("\x02\x0f", 2, 1);
	expect_no_cut("\x02\xff\x01", 3, 1);
	/* Two lengths whose sum wraps. */
	expect_no_cut("\x13\xff\xff\xff\xff\xff\xff\xff\xff\xff"
		      "\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		      19, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_integers_of_every_size_keep_their_sign),
	    cmocka_unit_test(test_constants_and_null_take_no_bytes),
	    cmocka_unit_test(test_reals_are_read_and_nan_is_null),
	    cmocka_unit_test(test_text_and_blob_point_into_the_payload),
	    cmocka_unit_test(test_long_text_has_a_long_type),
	    cmocka_unit_test(test_values_past_max_are_not_looked_at),
	    cmocka_unit_test(test_record_may_have_no_values),
	    cmocka_unit_test(test_broken_headers_are_corrupt),
	    cmocka_unit_test(test_values_that_leave_the_payload_are_corrupt),
	    cmocka_unit_test(test_same_values_are_of_one_class_and_equal),
	    cmocka_unit_test(test_a_cut_record_has_the_first_values),
	    cmocka_unit_test(test_what_has_not_so_many_values_is_not_cut),
	    cmocka_unit_test(test_rows_and_keys_are_what_sqlite_gives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
