/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "btree/cell.h"
#include "btree/tree_walk.h"
#include "tests/lib/catalog_fixture.h"

struct rows {
	size_t count;
	size_t stop_at; /* 0: never */
	size_t interior;
	int64_t last; /* rowid */
	bool in_order;
};

static enum status count_row(void *context, const struct page *page, uint32_t index,
			     struct error *err)
{
	struct rows *rows = context;
	struct cell cell;

	assert_int_equal(cell_read(page, index, &cell, err), ST_OK);
	rows->in_order = rows->in_order && (rows->count == 0 || !page->is_table ||
					    cell.rowid > rows->last);
	rows->last = cell.rowid;
	rows->interior += page->is_leaf ? 0 : 1;
	return ++rows->count == rows->stop_at ? ST_END : ST_OK;
}

/* Tables t and w of `rows` rows on pages of 512 bytes. */
static void fill(struct catalog_fixture *f, int rows)
{
	fixture_open(f, "pragma page_size = 512; create table t(id integer primary key,"
			" a); create table w(a primary key, b) without rowid");
	fixture_run(f,
		    "with recursive c(i) as (select 1 union all select i + 1 from c "
		    "where i < %d) insert into t select i, zeroblob(60) from c where i "
		    "<= %d; insert into w select * from t",
		    rows, rows);
	fixture_read(f, NULL);
}

static enum status walk(struct catalog_fixture *f, const char *table, struct rows *rows,
			struct error *err)
{
	enum status status;

	rows->in_order = true;
	status =
	    tree_walk_rows(memory_source_pages(f->source),
			   fixture_table(f, table)->root_page, count_row, rows, err);
	assert_int_equal(memory_source_pins(f->source), 0);
	return status;
}

static unsigned height_of(struct catalog_fixture *f, const char *table)
{
	unsigned height = 99;
	struct error err;

	assert_int_equal(tree_height(memory_source_pages(f->source),
				     fixture_table(f, table)->root_page, &height, &err),
			 ST_OK);
	return height;
}

static void test_tree_height_counts_levels_above_the_leaves(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fill(&f, 1);
	assert_int_equal(height_of(&f, "t"), 0);
	fixture_close(&f);
	fill(&f, 30);
	assert_int_equal(height_of(&f, "t"), 1);
	fixture_close(&f);
	fill(&f, 2000);
	assert_in_range(height_of(&f, "t"), 2, 4);
	fixture_close(&f);
}

static void test_tree_height_ends_in_a_tree_that_loops(void **state)
{
	struct catalog_fixture f;
	struct error err;
	unsigned height;
	uint32_t root;
	uint8_t *page;

	(void)state;
	fill(&f, 30);
	root = fixture_table(&f, "t")->root_page;
	page = memory_source_edit(f.source, root);
	/* The first cell's left child. */
	page[page[12] << 8 | page[13]] = 0;
	page[(page[12] << 8 | page[13]) + 3] = (uint8_t)root;
	assert_int_equal(
	    tree_height(memory_source_pages(f.source), root, &height, &err),
	    ST_CORRUPT);
	assert_non_null(strstr(err.text, "levels deep"));
	fixture_close(&f);
}

static void test_tree_walk_gives_every_row_in_order(void **state)
{
	struct catalog_fixture f;
	struct rows rows = {0};
	struct error err;

	(void)state;
	fill(&f, 2000);
	assert_int_equal(walk(&f, "t", &rows, &err), ST_OK);
	assert_int_equal(rows.count, 2000);
	assert_int_equal(rows.interior, 0);
	assert_true(rows.in_order);
	fixture_close(&f);
}

static void test_tree_walk_gives_rows_on_interior_pages_of_an_index_tree(void **state)
{
	struct catalog_fixture f;
	struct rows rows = {0};
	struct error err;

	(void)state;
	fill(&f, 2000);
	assert_int_equal(walk(&f, "w", &rows, &err), ST_OK);
	assert_int_equal(rows.count, 2000);
	assert_true(rows.interior > 0);
	fixture_close(&f);
}

static void test_tree_walk_of_an_empty_tree_gives_nothing(void **state)
{
	struct catalog_fixture f;
	struct rows rows = {0};
	struct error err;

	(void)state;
	fill(&f, 0);
	fixture_run(&f, "delete from t");
	fixture_read(&f, NULL);
	assert_int_equal(walk(&f, "t", &rows, &err), ST_OK);
	assert_int_equal(rows.count, 0);
	fixture_close(&f);
}

static void test_tree_walk_hands_on_the_status_of_the_visit(void **state)
{
	struct catalog_fixture f;
	struct rows rows = {.stop_at = 77};
	struct error err;

	(void)state;
	fill(&f, 2000);
	assert_int_equal(walk(&f, "t", &rows, &err), ST_END);
	assert_int_equal(rows.count, 77);
	fixture_close(&f);
}

static void test_tree_walk_finds_a_page_reached_twice(void **state)
{
	struct catalog_fixture f;
	struct rows rows = {0};
	struct error err;
	uint8_t *page;

	(void)state;
	fill(&f, 30);
	page = memory_source_edit(f.source, fixture_table(&f, "t")->root_page);
	/* Every cell's child is that of the first one, many times over. */
	for (int i = 0; i < 200; i++) {
		page[12 + 2 * i] = page[12];
		page[13 + 2 * i] = page[13];
	}
	page[3] = 0;
	page[4] = 200;
	assert_int_equal(walk(&f, "t", &rows, &err), ST_CORRUPT);
	fixture_close(&f);
}

static void test_tree_walk_refuses_a_leaf_of_the_other_kind(void **state)
{
	struct catalog_fixture f;
	struct rows rows = {0};
	struct error err;
	uint8_t *page;

	(void)state;
	fill(&f, 30);
	page = memory_source_edit(f.source, fixture_table(&f, "t")->root_page);
	/* The right-most child is the root of w. */
	memset(page + 8, 0, 3);
	page[11] = (uint8_t)fixture_table(&f, "w")->root_page;
	assert_int_equal(walk(&f, "t", &rows, &err), ST_CORRUPT);
	assert_non_null(strstr(err.text, "does not fit"));
	fixture_close(&f);
}

/* ---- from a place on ---- */

struct place {
	struct rows rows; /* first: count_row takes it */
	int64_t after;
	size_t asked;
	int64_t first;
	enum status answer;
};

static enum status is_passed(void *context, const struct page *page, uint32_t index,
			     bool *passed, struct error *err)
{
	struct place *place = context;
	struct cell cell;

	assert_int_equal(cell_read(page, index, &cell, err), ST_OK);
	place->asked++;
	*passed = cell.rowid <= place->after;
	return place->answer;
}

static enum status count_behind(void *context, const struct page *page, uint32_t index,
				struct error *err)
{
	struct place *place = context;
	enum status status = count_row(&place->rows, page, index, err);

	place->first = place->rows.count == 1 ? place->rows.last : place->first;
	return status;
}

static enum status walk_after(struct catalog_fixture *f, struct place *place,
			      struct error *err)
{
	enum status status;

	place->rows.in_order = true;
	status = tree_walk_rows_after(memory_source_pages(f->source),
				      fixture_table(f, "t")->root_page, is_passed,
				      count_behind, place, err);
	assert_int_equal(memory_source_pins(f->source), 0);
	return status;
}

static void test_tree_walk_after_begins_behind_any_place(void **state)
{
	struct catalog_fixture f;
	struct error err;

	(void)state;
	fill(&f, 2000);
	fixture_run(&f, "delete from t where id %% 10 = 0");
	fixture_read(&f, NULL);
	for (int64_t after = -1; after < 2003; after++) {
		struct place place = {.after = after};
		int64_t first = after < 1 ? 1 : after + 1 + ((after + 1) % 10 == 0);
		size_t left = 0;

		for (int64_t i = first; i <= 2000; i++) {
			left += i % 10 != 0;
		}
		assert_int_equal(walk_after(&f, &place, &err), ST_OK);
		assert_int_equal(place.rows.count, left);
		assert_true(place.rows.in_order);
		assert_true(left == 0 || place.first == first);
		/* A few cells of each of three pages. */
		assert_in_range(place.asked, 1, 25);
	}
	fixture_close(&f);
}

static void test_tree_walk_after_hands_on_the_status_of_who_is_asked(void **state)
{
	struct place place = {.answer = ST_STOPPED};
	struct catalog_fixture f;
	struct error err;

	(void)state;
	fill(&f, 30);
	assert_int_equal(walk_after(&f, &place, &err), ST_STOPPED);
	assert_int_equal(place.asked, 1);
	assert_int_equal(place.rows.count, 0);
	fixture_close(&f);
}

static void test_tree_walk_after_finds_a_page_reached_twice(void **state)
{
	struct place place = {.after = 0};
	struct catalog_fixture f;
	struct error err;
	uint8_t *page;

	(void)state;
	fill(&f, 30);
	page = memory_source_edit(f.source, fixture_table(&f, "t")->root_page);
	for (int i = 0; i < 200; i++) {
		page[12 + 2 * i] = page[12];
		page[13 + 2 * i] = page[13];
	}
	page[3] = 0;
	page[4] = 200;
	assert_int_equal(walk_after(&f, &place, &err), ST_CORRUPT);
	assert_non_null(strstr(err.text, "twice"));
	fixture_close(&f);
}

/* ---- the last row ---- */

static enum status last_row(struct catalog_fixture *f, const char *table,
			    struct rows *rows, struct error *err)
{
	enum status status =
	    tree_last_row(memory_source_pages(f->source),
			  fixture_table(f, table)->root_page, count_row, rows, err);

	assert_int_equal(memory_source_pins(f->source), 0);
	return status;
}

static void test_tree_last_row_is_the_last_one(void **state)
{
	static const int sizes[] = {1, 30, 2000};
	struct catalog_fixture f;
	struct error err;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct rows rows = {0}, in_index = {0};

		fill(&f, sizes[i]);
		assert_int_equal(last_row(&f, "t", &rows, &err), ST_OK);
		assert_int_equal(rows.count, 1);
		assert_int_equal(rows.last, sizes[i]);
		assert_int_equal(last_row(&f, "w", &in_index, &err), ST_OK);
		assert_int_equal(in_index.count, 1);
		fixture_close(&f);
	}
}

static void test_tree_last_row_of_an_empty_tree_is_none(void **state)
{
	struct catalog_fixture f;
	struct rows rows = {0};
	struct error err;

	(void)state;
	fill(&f, 0);
	fixture_run(&f, "delete from t");
	fixture_read(&f, NULL);
	assert_int_equal(last_row(&f, "t", &rows, &err), ST_OK);
	assert_int_equal(rows.count, 0);
	fixture_close(&f);
}

static void set_right_child(struct catalog_fixture *f, uint32_t page_no)
{
	uint8_t *page = memory_source_edit(f->source, fixture_table(f, "t")->root_page);

	memset(page + 8, 0, 3);
	page[11] = (uint8_t)page_no;
}

static void test_tree_last_row_refuses_what_is_no_tree(void **state)
{
	struct catalog_fixture f;
	struct rows rows = {0};
	struct error err;
	uint8_t *page;

	(void)state;
	fill(&f, 30);
	set_right_child(&f, fixture_table(&f, "t")->root_page);
	assert_int_equal(last_row(&f, "t", &rows, &err), ST_CORRUPT);
	assert_non_null(strstr(err.text, "levels deep"));
	set_right_child(&f, fixture_table(&f, "w")->root_page);
	assert_int_equal(last_row(&f, "t", &rows, &err), ST_CORRUPT);
	assert_non_null(strstr(err.text, "does not fit"));
	fixture_read(&f, NULL);
	page = memory_source_edit(f.source, fixture_table(&f, "t")->root_page);
	page = memory_source_edit(f.source, page[11]);
	page[3] = page[4] = 0;
	assert_int_equal(last_row(&f, "t", &rows, &err), ST_CORRUPT);
	assert_non_null(strstr(err.text, "empty"));
	assert_int_equal(rows.count, 0);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tree_height_counts_levels_above_the_leaves),
	    cmocka_unit_test(test_tree_height_ends_in_a_tree_that_loops),
	    cmocka_unit_test(test_tree_walk_gives_every_row_in_order),
	    cmocka_unit_test(
		test_tree_walk_gives_rows_on_interior_pages_of_an_index_tree),
	    cmocka_unit_test(test_tree_walk_of_an_empty_tree_gives_nothing),
	    cmocka_unit_test(test_tree_walk_hands_on_the_status_of_the_visit),
	    cmocka_unit_test(test_tree_walk_finds_a_page_reached_twice),
	    cmocka_unit_test(test_tree_walk_refuses_a_leaf_of_the_other_kind),
	    cmocka_unit_test(test_tree_walk_after_begins_behind_any_place),
	    cmocka_unit_test(test_tree_walk_after_hands_on_the_status_of_who_is_asked),
	    cmocka_unit_test(test_tree_walk_after_finds_a_page_reached_twice),
	    cmocka_unit_test(test_tree_last_row_is_the_last_one),
	    cmocka_unit_test(test_tree_last_row_of_an_empty_tree_is_none),
	    cmocka_unit_test(test_tree_last_row_refuses_what_is_no_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
