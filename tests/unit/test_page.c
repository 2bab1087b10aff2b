/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "btree/page.h"
#include "tests/lib/full_walk.h"
#include "tests/lib/temp_database.h"

#define USABLE 512u

/* A page of its own block, so that a sanitizer sees a step past it. */
static uint8_t *new_page(uint32_t at, int kind, uint16_t cell_count)
{
	uint8_t *bytes = calloc(1, USABLE);

	assert_non_null(bytes);
	bytes[at] = (uint8_t)kind;
	put_u16be(bytes + at + 3, cell_count);
	return bytes;
}

static void test_only_the_four_kinds_are_pages(void **state)
{
	(void)state;
	for (int kind = 0; kind < 256; kind++) {
		uint8_t *bytes = new_page(0, kind, 0);
		struct page page = {.page_no = 99};
		struct error err;
		bool known = kind == 2 || kind == 5 || kind == 10 || kind == 13;
		enum status status = page_parse(bytes, 7, USABLE, &page, &err);

		assert_int_equal(status, known ? ST_OK : ST_CORRUPT);
		if (known) {
			assert_int_equal(page.page_no, 7);
			assert_int_equal(page.kind, kind);
			assert_int_equal(page.is_leaf, kind >= 10);
			assert_int_equal(page.is_table, kind == 5 || kind == 13);
		} else {
			assert_int_equal(page.page_no, 99);
			assert_non_null(strstr(err.text, "page 7"));
		}
		free(bytes);
	}
}

static void test_page_1_starts_behind_the_database_header(void **state)
{
	uint8_t *bytes = new_page(100, PAGE_TABLE_LEAF, 3);
	struct page page;
	struct error err;

	(void)state;
	assert_int_equal(page_parse(bytes, 1, USABLE, &page, &err), ST_OK);
	assert_int_equal(page.cell_count, 3);
	assert_ptr_equal(page.pointers, bytes + 108);
	assert_int_equal(page_cells_start(&page), 114);
	free(bytes);
}

/* The most cells whose pointers fit are a page, one more is not. */
static void check_most_cells(uint32_t page_no, int kind, uint32_t pointers_at)
{
	uint32_t most = (USABLE - pointers_at) / 2;

	for (uint32_t count = most - 1; count <= most + 1; count++) {
		uint8_t *bytes =
		    new_page(page_no == 1 ? 100 : 0, kind, (uint16_t)count);
		struct page page;
		struct error err;

		assert_int_equal(page_parse(bytes, page_no, USABLE, &page, &err),
				 count <= most ? ST_OK : ST_CORRUPT);
		free(bytes);
	}
}

static void test_cell_pointers_must_fit_the_page(void **state)
{
	(void)state;
	check_most_cells(2, PAGE_TABLE_LEAF, 8);
	check_most_cells(2, PAGE_INDEX_INTERIOR, 12);
	check_most_cells(1, PAGE_TABLE_LEAF, 108);
	check_most_cells(1, PAGE_TABLE_INTERIOR, 112);
}

static void test_children_are_the_cells_left_pages_and_the_right_most(void **state)
{
	uint8_t *bytes = new_page(0, PAGE_TABLE_INTERIOR, 2);
	struct page page;
	struct error err;
	uint32_t child;

	(void)state;
	put_u32be(bytes + 8, 33);
	put_u16be(bytes + 12, 500);
	put_u16be(bytes + 14, 508);
	put_u32be(bytes + 500, 11);
	put_u32be(bytes + 508, 22);
	assert_int_equal(page_parse(bytes, 2, USABLE, &page, &err), ST_OK);
	assert_int_equal(page_child(&page, 0, &child, &err), ST_OK);
	assert_int_equal(child, 11);
	assert_int_equal(page_child(&page, 1, &child, &err), ST_OK);
	assert_int_equal(child, 22);
	assert_int_equal(page_child(&page, 2, &child, &err), ST_OK);
	assert_int_equal(child, 33);
	free(bytes);
}

static void test_child_outside_the_cell_area_or_0_is_corrupt(void **state)
{
	static const uint16_t offsets[] = {0, 11, 13, 509, 512, 65535};
	uint8_t *bytes = new_page(0, PAGE_INDEX_INTERIOR, 1);
	struct page page;
	struct error err;
	uint32_t child = 5;

	(void)state;
	memset(bytes + 14, 1, USABLE - 14);
	assert_int_equal(page_parse(bytes, 2, USABLE, &page, &err), ST_OK);
	for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
		put_u16be(bytes + 12, offsets[i]);
		assert_int_equal(page_child(&page, 0, &child, &err), ST_CORRUPT);
	}
	put_u16be(bytes + 12, 200);
	put_u32be(bytes + 200, 0);
	assert_int_equal(page_child(&page, 0, &child, &err), ST_CORRUPT);
	assert_int_equal(page_child(&page, 1, &child, &err), ST_CORRUPT);
	assert_int_equal(child, 5);
	free(bytes);
}

static enum status count_row(void *context, const struct page *page,
			     const struct cell *cell, struct error *err)
{
	(void)cell;
	(void)err;
	*(int64_t *)context += page->is_leaf || !page->is_table;
	return ST_OK;
}

static void check_count(struct temp_database *t, struct memory_source *source,
			const char *tree, const char *table)
{
	char query[200];
	int64_t rows = 0;
	struct full_walk walk = {
	    .source = memory_source_pages(source),
	    .context = &rows,
	    .pages_left = memory_source_pages(source)->page_count,
	    .cell = count_row,
	};
	struct error err;
	uint32_t root;

	(void)snprintf(query, sizeof query,
		       "select rootpage from sqlite_schema where name='%s'", tree);
	root = (uint32_t)temp_database_number(t, query);
	assert_int_equal(full_walk_tree(&walk, root, &err), ST_OK);
	(void)snprintf(query, sizeof query, "select count(*) from %s", table);
	assert_int_equal(rows, temp_database_number(t, query));
}

static void test_trees_have_as_many_rows_as_sqlite_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i < DATABASE_SHAPES; i++) {
		struct database_shape shape = database_shape(i);
		struct temp_database t;
		struct memory_source *source;

		temp_database_open(&t, &shape);
		temp_database_fill(&t, 1500);
		source = temp_database_read(&t);
		check_count(&t, source, "t", "t");
		check_count(&t, source, "t_b", "t");
		check_count(&t, source, "w", "w");
		memory_source_close(source);
		temp_database_close(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_only_the_four_kinds_are_pages),
	    cmocka_unit_test(test_page_1_starts_behind_the_database_header),
	    cmocka_unit_test(test_cell_pointers_must_fit_the_page),
	    cmocka_unit_test(test_children_are_the_cells_left_pages_and_the_right_most),
	    cmocka_unit_test(test_child_outside_the_cell_area_or_0_is_corrupt),
	    cmocka_unit_test(test_trees_have_as_many_rows_as_sqlite_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
