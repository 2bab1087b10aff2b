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
#include "src/base/bytes.h"
#include "tests/lib/full_walk.h"
#include "tests/lib/temp_database.h"

#define PAGE 512u
#define ROOM (PAGE - 4)

/* Pages 1 to `count`, each filled with its number and leading to the next. */
static struct memory_source *make_chain(uint32_t count)
{
	uint8_t *bytes = malloc((size_t)count * PAGE);
	struct memory_source *source;
	struct error err;

	assert_non_null(bytes);
	for (uint32_t i = 0; i < count; i++) {
		memset(bytes + (size_t)i * PAGE, (int)(i + 1), PAGE);
		put_u32be(bytes + (size_t)i * PAGE, i + 1 < count ? i + 2 : 0);
	}
	assert_int_equal(memory_source_from_pages(bytes, (size_t)count * PAGE, PAGE,
						  PAGE, &source, &err),
			 ST_OK);
	free(bytes);
	return source;
}

/* A cell of 10 local bytes and `rest` in the chain from page 2. */
static struct cell chained_cell(uint64_t rest)
{
	return (struct cell){
	    .local = (const uint8_t *)"0123456789",
	    .local_len = 10,
	    .payload_len = 10 + rest,
	    .overflow_page = rest ? 2 : 0,
	};
}

static void test_payload_without_overflow_is_not_copied(void **state)
{
	struct memory_source *source = make_chain(1);
	struct cell cell = chained_cell(0);
	struct buffer scratch;
	const uint8_t *bytes;
	struct error err;

	(void)state;
	buffer_init(&scratch);
	assert_int_equal(
	    payload_read(memory_source_pages(source), &cell, &scratch, &bytes, &err),
	    ST_OK);
	assert_ptr_equal(bytes, cell.local);
	assert_null(scratch.bytes);
	assert_int_equal(memory_source_gets(source), 0);
	buffer_clear(&scratch);
	memory_source_close(source);
}

static void test_payload_is_put_together_from_its_chain(void **state)
{
	static const uint32_t rests[] = {1, ROOM - 1, ROOM, ROOM + 1, 3 * ROOM};
	struct memory_source *source = make_chain(5);
	struct buffer scratch;

	(void)state;
	buffer_init(&scratch);
	for (size_t i = 0; i < sizeof rests / sizeof rests[0]; i++) {
		struct cell cell = chained_cell(rests[i]);
		uint64_t before = memory_source_gets(source);
		const uint8_t *bytes;
		struct error err;

		assert_int_equal(payload_read(memory_source_pages(source), &cell,
					      &scratch, &bytes, &err),
				 ST_OK);
		assert_memory_equal(bytes, "0123456789", 10);
		for (uint32_t k = 0; k < rests[i]; k++) {
			assert_int_equal(bytes[10 + k], 2 + k / ROOM);
		}
		assert_int_equal(memory_source_gets(source) - before,
				 payload_overflow_count(&cell, PAGE));
	}
	buffer_clear(&scratch);
	memory_source_close(source);
}

static void test_overflow_count_rounds_up(void **state)
{
	static const struct {
		uint64_t rest;
		uint32_t count;
	} samples[] = {{0, 0},        {1, 1},
		       {ROOM, 1},     {ROOM + 1, 2},
		       {2 * ROOM, 2}, {INT32_MAX - 10, (INT32_MAX - 10) / ROOM + 1}};

	(void)state;
	for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
		struct cell cell = chained_cell(samples[i].rest);

		assert_int_equal(payload_overflow_count(&cell, PAGE), samples[i].count);
	}
}

/* Page 2's link is `link` and must make a payload of three pages corrupt. */
static void check_bad_link(uint32_t link)
{
	struct memory_source *source = make_chain(5);
	struct cell cell = chained_cell(3 * ROOM);
	struct buffer scratch;
	const uint8_t *bytes = NULL;
	struct error err;

	buffer_init(&scratch);
	put_u32be(memory_source_edit(source, 2), link);
	assert_int_equal(
	    payload_read(memory_source_pages(source), &cell, &scratch, &bytes, &err),
	    ST_CORRUPT);
	assert_null(bytes);
	buffer_clear(&scratch);
	memory_source_close(source);
}

static void test_chain_that_ends_early_or_leaves_the_database_is_corrupt(void **state)
{
	(void)state;
	check_bad_link(0);
	check_bad_link(6);
	check_bad_link(UINT32_MAX);
}

static void test_looping_chain_ends_with_the_payload(void **state)
{
	struct memory_source *source = make_chain(5);
	struct cell cell = chained_cell(5 * ROOM);
	struct buffer scratch;
	const uint8_t *bytes;
	struct error err;

	(void)state;
	buffer_init(&scratch);
	put_u32be(memory_source_edit(source, 3), 2);
	assert_int_equal(
	    payload_read(memory_source_pages(source), &cell, &scratch, &bytes, &err),
	    ST_OK);
	assert_int_equal(memory_source_gets(source), 5);
	buffer_clear(&scratch);
	memory_source_close(source);
}

static void test_payload_larger_than_the_database_allocates_nothing(void **state)
{
	struct memory_source *source = make_chain(5);
	struct cell cell = chained_cell(INT32_MAX - 10);
	struct buffer scratch;
	const uint8_t *bytes;
	struct error err;

	(void)state;
	buffer_init(&scratch);
	assert_int_equal(
	    payload_read(memory_source_pages(source), &cell, &scratch, &bytes, &err),
	    ST_CORRUPT);
	assert_null(scratch.bytes);
	assert_int_equal(memory_source_gets(source), 0);
	memory_source_close(source);
}

struct visits {
	uint32_t pages[8];
	uint32_t previous[8];
	size_t count;
	size_t stop_at; /* 0: never */
};

static enum status note_visit(void *context, uint32_t page_no, uint32_t previous,
			      struct error *err)
{
	struct visits *visits = context;

	assert_true(visits->count < 8);
	visits->pages[visits->count] = page_no;
	visits->previous[visits->count] = previous;
	if (++visits->count == visits->stop_at) {
		return error_set(err, ST_STOPPED, "enough");
	}
	return ST_OK;
}

static void test_walk_visits_the_chain_in_order(void **state)
{
	struct memory_source *source = make_chain(4);
	struct cell cell = chained_cell(3 * ROOM);
	struct visits visits = {0};
	struct error err;

	(void)state;
	assert_int_equal(overflow_walk(memory_source_pages(source), &cell, note_visit,
				       &visits, &err),
			 ST_OK);
	assert_int_equal(visits.count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(visits.pages[i], 2 + i);
		assert_int_equal(visits.previous[i], i == 0 ? 0 : 1 + i);
	}
	memory_source_close(source);
}

static void test_walk_of_a_cell_without_overflow_visits_nothing(void **state)
{
	struct memory_source *source = make_chain(2);
	struct cell cell = chained_cell(0);
	struct visits visits = {0};
	struct error err;

	(void)state;
	assert_int_equal(overflow_walk(memory_source_pages(source), &cell, note_visit,
				       &visits, &err),
			 ST_OK);
	assert_int_equal(visits.count, 0);
	memory_source_close(source);
}

static void test_walk_hands_on_what_the_visitor_returns(void **state)
{
	struct memory_source *source = make_chain(5);
	struct cell cell = chained_cell(4 * ROOM);
	struct visits visits = {.stop_at = 2};
	struct error err;

	(void)state;
	assert_int_equal(overflow_walk(memory_source_pages(source), &cell, note_visit,
				       &visits, &err),
			 ST_STOPPED);
	assert_int_equal(visits.count, 2);
	memory_source_close(source);
}

static void test_walk_never_visits_a_page_out_of_range(void **state)
{
	static const uint32_t links[] = {0, 6, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct memory_source *source = make_chain(5);
		struct cell cell = chained_cell(3 * ROOM);
		struct visits visits = {0};
		struct error err;

		put_u32be(memory_source_edit(source, 3), links[i]);
		assert_int_equal(overflow_walk(memory_source_pages(source), &cell,
					       note_visit, &visits, &err),
				 ST_CORRUPT);
		assert_int_equal(visits.count, 2);
		memory_source_close(source);
	}
}

struct sum {
	struct page_source *source;
	struct buffer scratch;
	uint64_t bytes; /* of all payloads */
	uint64_t ys;    /* bytes 'y' in them */
};

static enum status add_payload(void *context, const struct page *page,
			       const struct cell *cell, struct error *err)
{
	struct sum *sum = context;
	const uint8_t *bytes;

	if (page->kind == PAGE_TABLE_INTERIOR) {
		return ST_OK;
	}
	if (payload_read(sum->source, cell, &sum->scratch, &bytes, err) != ST_OK) {
		return err->status;
	}
	sum->bytes += cell->payload_len;
	for (uint64_t i = 0; i < cell->payload_len; i++) {
		sum->ys += bytes[i] == 'y';
	}
	return ST_OK;
}

/* Long values of 'y' in a table and in an index: not one byte may be missing. */
static void test_long_values_of_real_databases_are_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < DATABASE_SHAPES; i++) {
		struct database_shape shape = database_shape(i);
		struct sum sum = {0};
		struct full_walk walk = {.context = &sum, .cell = add_payload};
		struct temp_database t;
		struct memory_source *source;
		struct error err;
		uint64_t ys;

		temp_database_open(&t, &shape);
		temp_database_sql(&t, "create table s(v); create index s_v on s(v)");
		for (int n = 1; n < 40; n++) {
			temp_database_sql(
			    &t, "insert into s values(printf('%%.*c',%d,'y'))",
			    n * n * shape.page_size / 97);
		}
		ys = (uint64_t)temp_database_number(&t, "select sum(length(v)) from s");
		source = temp_database_read(&t);
		sum.source = walk.source = memory_source_pages(source);
		walk.pages_left = walk.source->page_count;
		for (uint64_t tree = 1; tree <= 2; tree++) {
			assert_int_equal(
			    full_walk_tree(
				&walk,
				(uint32_t)temp_database_number(
				    &t, tree == 1 ? "select rootpage from sqlite_schema"
						    " where name='s'"
						  : "select rootpage from sqlite_schema"
						    " where name='s_v'"),
				&err),
			    ST_OK);
			assert_true(sum.ys == tree * ys);
		}
		buffer_clear(&sum.scratch);
		memory_source_close(source);
		temp_database_close(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_payload_without_overflow_is_not_copied),
	    cmocka_unit_test(test_payload_is_put_together_from_its_chain),
	    cmocka_unit_test(test_overflow_count_rounds_up),
	    cmocka_unit_test(
		test_chain_that_ends_early_or_leaves_the_database_is_corrupt),
	    cmocka_unit_test(test_looping_chain_ends_with_the_payload),
	    cmocka_unit_test(test_payload_larger_than_the_database_allocates_nothing),
	    cmocka_unit_test(test_walk_visits_the_chain_in_order),
	    cmocka_unit_test(test_walk_of_a_cell_without_overflow_visits_nothing),
	    cmocka_unit_test(test_walk_hands_on_what_the_visitor_returns),
	    cmocka_unit_test(test_walk_never_visits_a_page_out_of_range),
	    cmocka_unit_test(test_long_values_of_real_databases_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
