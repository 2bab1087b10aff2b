/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "btree/freelist.h"
#include "src/base/bytes.h"
#include "tests/lib/temp_database.h"

#define PAGE  512u
#define PAGES 10u

static struct memory_source *make_source(void)
{
	static const uint8_t bytes[PAGE * PAGES];
	struct memory_source *source;
	struct error err;

	assert_int_equal(
	    memory_source_from_pages(bytes, sizeof bytes, PAGE, PAGE, &source, &err),
	    ST_OK);
	return source;
}

/* Make `page_no` a trunk with `count` leaves, of which the first are given. */
static void make_trunk(struct memory_source *source, uint32_t page_no, uint32_t next,
		       uint32_t count, uint32_t leaf1, uint32_t leaf2)
{
	uint8_t *bytes = memory_source_edit(source, page_no);

	put_u32be(bytes, next);
	put_u32be(bytes + 4, count);
	put_u32be(bytes + 8, leaf1);
	put_u32be(bytes + 12, leaf2);
}

struct visits {
	uint32_t pages[256];
	size_t count;
};

static void note_visit(void *context, uint32_t page_no)
{
	struct visits *visits = context;

	assert_true(visits->count < 256);
	visits->pages[visits->count++] = page_no;
}

static enum status walk(struct memory_source *source, uint32_t trunk,
			struct visits *visits)
{
	struct db_header header = {.freelist_trunk = trunk};
	struct error err;
	enum status status = freelist_walk(memory_source_pages(source), &header,
					   note_visit, visits, &err);

	for (size_t i = 0; i < visits->count; i++) {
		assert_in_range(visits->pages[i], 2, PAGES);
	}
	assert_int_equal(memory_source_pins(source), 0);
	return status;
}

static void test_no_trunk_is_an_empty_list(void **state)
{
	struct memory_source *source = make_source();
	struct visits visits = {0};

	(void)state;
	assert_int_equal(walk(source, 0, &visits), ST_OK);
	assert_int_equal(visits.count, 0);
	memory_source_close(source);
}

static void test_trunks_and_leaves_are_visited(void **state)
{
	static const uint32_t want[] = {3, 4, 9, 7, 2};
	struct memory_source *source = make_source();
	struct visits visits = {0};

	(void)state;
	make_trunk(source, 3, 7, 2, 4, 9);
	make_trunk(source, 7, 0, 1, 2, 0);
	assert_int_equal(walk(source, 3, &visits), ST_OK);
	assert_int_equal(visits.count, 5);
	assert_memory_equal(visits.pages, want, sizeof want);
	memory_source_close(source);
}

static void test_page_numbers_out_of_range_are_corrupt(void **state)
{
	static const uint32_t bad[] = {1, PAGES + 1, UINT32_MAX};
	struct memory_source *source = make_source();
	struct visits visits = {0};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(walk(source, bad[i], &visits), ST_CORRUPT);
		make_trunk(source, 3, bad[i], 0, 0, 0);
		assert_int_equal(walk(source, 3, &visits), ST_CORRUPT);
		make_trunk(source, 3, 0, 2, 4, bad[i]);
		assert_int_equal(walk(source, 3, &visits), ST_CORRUPT);
	}
	make_trunk(source, 3, 0, 1, 0, 0);
	assert_int_equal(walk(source, 3, &visits), ST_CORRUPT);
	memory_source_close(source);
}

static void test_count_that_does_not_fit_the_trunk_is_corrupt(void **state)
{
	static const uint32_t counts[] = {PAGE / 4 - 1, 0x40000000, UINT32_MAX};
	struct memory_source *source = make_source();
	struct visits visits = {0};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		make_trunk(source, 3, 0, counts[i], 4, 5);
		assert_int_equal(walk(source, 3, &visits), ST_CORRUPT);
	}
	memory_source_close(source);
}

static void test_full_trunk_is_read_to_its_last_leaf(void **state)
{
	uint8_t *bytes = calloc(200, PAGE);
	struct db_header header = {.freelist_trunk = 2};
	struct memory_source *source;
	struct visits visits = {0};
	struct error err;

	(void)state;
	assert_non_null(bytes);
	put_u32be(bytes + PAGE + 4, PAGE / 4 - 2);
	for (uint32_t i = 0; i < PAGE / 4 - 2; i++) {
		put_u32be(bytes + PAGE + 8 + (size_t)i * 4, 3 + i);
	}
	put_u32be(bytes + 2 * PAGE - 4, 201); /* out of range, and the last one */
	assert_int_equal(
	    memory_source_from_pages(bytes, 200 * PAGE, PAGE, PAGE, &source, &err),
	    ST_OK);
	free(bytes);
	assert_int_equal(freelist_walk(memory_source_pages(source), &header, note_visit,
				       &visits, &err),
			 ST_CORRUPT);
	assert_non_null(strstr(err.text, "page 201"));
	memory_source_close(source);
}

static void test_loops_end_as_corrupt(void **state)
{
	struct memory_source *source = make_source();
	struct visits visits = {0};

	(void)state;
	make_trunk(source, 3, 3, 0, 0, 0);
	assert_int_equal(walk(source, 3, &visits), ST_CORRUPT);
	visits.count = 0;
	make_trunk(source, 3, 7, 2, 4, 5);
	make_trunk(source, 7, 3, 1, 4, 5);
	assert_int_equal(walk(source, 3, &visits), ST_CORRUPT);
	memory_source_close(source);
}

static void count_page(void *context, uint32_t page_no)
{
	(void)page_no;
	++*(int64_t *)context;
}

static void test_list_is_as_long_as_sqlite_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < DATABASE_SHAPES; i++) {
		struct database_shape shape = database_shape(i);
		struct temp_database t;
		struct memory_source *source;
		int64_t count = 0;
		struct error err;

		temp_database_open(&t, &shape);
		temp_database_fill(&t, 900);
		temp_database_sql(&t, "delete from t where rowid > 200");
		source = temp_database_read(&t);
		assert_int_equal(freelist_walk(memory_source_pages(source),
					       memory_source_header(source), count_page,
					       &count, &err),
				 ST_OK);
		assert_int_equal(count, memory_source_header(source)->freelist_count);
		assert_int_equal(count,
				 temp_database_number(&t, "pragma freelist_count"));
		assert_int_equal(count > 0, shape.auto_vacuum != 1);
		memory_source_close(source);
		temp_database_close(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_trunk_is_an_empty_list),
	    cmocka_unit_test(test_trunks_and_leaves_are_visited),
	    cmocka_unit_test(test_page_numbers_out_of_range_are_corrupt),
	    cmocka_unit_test(test_count_that_does_not_fit_the_trunk_is_corrupt),
	    cmocka_unit_test(test_full_trunk_is_read_to_its_last_leaf),
	    cmocka_unit_test(test_loops_end_as_corrupt),
	    cmocka_unit_test(test_list_is_as_long_as_sqlite_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
