/* SPDX-License-Identifier: Apache-2.0 */
/* Pages made by hand: what the map must refuse, and when it scans. Whether it is right
 * under random transactions is tested with the diff (test_tree_diff.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "btree/page_marks.h"
#include "btree/tree_walk.h"
#include "tests/lib/memory_source.h"

/* A database of one table with a three-level tree and one row with an overflow chain.
 */
static struct memory_source *make_source(void)
{
	char path[] = "/tmp/rowtail-map-XXXXXX";
	int fd = mkstemp(path);
	struct memory_source *source;
	struct error err;
	sqlite3 *db;

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(
		db,
		"pragma page_size=512; create table t(id integer primary key, a);"
		"with recursive c(i) as (select 1 union all select i+1 from c where "
		"i<5000) insert into t select i, zeroblob(60) from c;"
		"insert into t values(9000, zeroblob(3000));",
		NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(memory_source_open(path, &source, &err), ST_OK);
	unlink(path);
	return source;
}

static const uint32_t roots[] = {1, 2};
static struct map_trees all = {.roots = roots, .count = 2, .needed = 2};

static void test_fill_reads_interior_pages_only(void **state)
{
	struct memory_source *source = make_source();
	struct page_source *pages = memory_source_pages(source);
	struct parent_map map;
	struct error err;

	(void)state;
	parent_map_init(&map);
	assert_int_equal(parent_map_fill(&map, pages, &all, &err), ST_OK);
	assert_true(pages->page_count > 500);
	assert_true(memory_source_gets(source) < pages->page_count / 5);
	assert_false(map.is_complete);
	parent_map_clear(&map);
	memory_source_close(source);
}

/* The first dirty page that nobody points to makes every leaf be read. */
static void test_unknown_page_is_never_ignored(void **state)
{
	struct memory_source *source = make_source();
	struct page_source *pages = memory_source_pages(source);
	struct parent_map map;
	struct page_marks marks;
	struct error err;
	uint32_t overflow = 0;

	(void)state;
	parent_map_init(&map);
	page_marks_init(&marks);
	assert_int_equal(parent_map_fill(&map, pages, &all, &err), ST_OK);
	for (uint32_t p = 1; p <= pages->page_count; p++) {
		if (parent_map_get(&map, p) == PARENT_UNKNOWN) {
			overflow = p;
		}
	}
	assert_int_not_equal(overflow, 0);
	assert_int_equal(page_marks_add_dirty(&marks, overflow, &err), ST_OK);
	assert_int_equal(page_marks_climb(&marks, pages, &map, &all, &err), ST_OK);
	assert_true(map.is_complete);
	assert_true(page_set_has(&marks.roots, 2));
	assert_int_equal(marks.holders.count > 0, 1);
	page_marks_clear(&marks);
	parent_map_clear(&map);
	memory_source_close(source);
}

static void test_page_with_two_parents_is_corrupt(void **state)
{
	struct memory_source *source = make_source();
	struct page_source *pages = memory_source_pages(source);
	struct parent_map map;
	struct error err;
	uint8_t *root = memory_source_edit(source, 2);

	(void)state;
	/* Point the right-most child of the root to where the first child points. */
	memcpy(root + 8, root + (root[12] << 8 | root[13]), 4);
	parent_map_init(&map);
	assert_int_equal(parent_map_fill(&map, pages, &all, &err), ST_CORRUPT);
	parent_map_clear(&map);
	memory_source_close(source);
}

static void test_child_that_is_its_own_parent_is_corrupt(void **state)
{
	struct memory_source *source = make_source();
	struct page_source *pages = memory_source_pages(source);
	struct parent_map map;
	struct error err;
	uint8_t *root = memory_source_edit(source, 2);
	unsigned height;

	(void)state;
	for (unsigned i = 0; i <= (unsigned)(root[3] << 8 | root[4]); i++) {
		uint8_t *child =
		    i == (unsigned)(root[3] << 8 | root[4])
			? root + 8
			: root + (root[12 + 2 * i] << 8 | root[13 + 2 * i]);

		memcpy(child, "\0\0\0\2", 4);
	}
	assert_int_equal(tree_height(pages, 2, &height, &err), ST_CORRUPT);
	parent_map_init(&map);
	assert_int_equal(parent_map_fill(&map, pages, &all, &err), ST_CORRUPT);
	parent_map_clear(&map);
	memory_source_close(source);
}

static void test_a_map_for_more_pages_than_there_are_numbers_is_refused(void **state)
{
	struct parent_map map;
	struct error err;

	(void)state;
	parent_map_init(&map);
	assert_int_equal(parent_map_grow(&map, UINT32_MAX, &err), ST_NOMEM);
	assert_int_equal(parent_map_get(&map, 1), PARENT_FREE);
	parent_map_clear(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fill_reads_interior_pages_only),
	    cmocka_unit_test(test_unknown_page_is_never_ignored),
	    cmocka_unit_test(test_page_with_two_parents_is_corrupt),
	    cmocka_unit_test(test_child_that_is_its_own_parent_is_corrupt),
	    cmocka_unit_test(
		test_a_map_for_more_pages_than_there_are_numbers_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
