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
#include "btree/ptrmap.h"
#include "src/base/bytes.h"
#include "tests/lib/full_walk.h"
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

static void set_entry(struct memory_source *source, uint32_t page_no, int kind,
		      uint32_t parent)
{
	uint8_t *entry = memory_source_edit(source, 2) + (size_t)(page_no - 3) * 5;

	entry[0] = (uint8_t)kind;
	put_u32be(entry + 1, parent);
}

static void test_ptrmap_pages_lie_at_fixed_distances(void **state)
{
	/* 512 / 5 = 102 entries: 2, 105, 208 … */
	(void)state;
	for (uint32_t page_no = 1; page_no < 2000; page_no++) {
		bool want = page_no >= 2 && (page_no - 2) % 103 == 0;

		assert_int_equal(ptrmap_is_ptrmap_page(page_no, 512, 512), want);
		if (page_no > 2 && !want) {
			assert_int_equal(ptrmap_page_of(page_no, 512, 512),
					 2 + (page_no - 2) / 103 * 103);
		}
	}
	assert_false(ptrmap_is_ptrmap_page(0, 512, 512));
	assert_true(ptrmap_is_ptrmap_page(2 + 97, 512, 480)); /* 96 entries */
	assert_true(ptrmap_is_ptrmap_page(2 + 13108, 65536, 65536));
}

/*
 * With pages of 1024 bytes, 205 apart, one would fall on the lock-byte page:
 * 2 + 5115 * 205 = 1048577. It is the page after that.
 */
static void test_ptrmap_page_makes_way_for_the_lock_byte_page(void **state)
{
	uint32_t lock = db_lock_byte_page(1024);

	(void)state;
	assert_int_equal((lock - 2) % 205, 0);
	assert_false(ptrmap_is_ptrmap_page(lock, 1024, 1024));
	assert_true(ptrmap_is_ptrmap_page(lock + 1, 1024, 1024));
	assert_int_equal(ptrmap_page_of(lock - 1, 1024, 1024), lock - 205);
	assert_int_equal(ptrmap_page_of(lock + 2, 1024, 1024), lock + 1);
	assert_int_equal(ptrmap_page_of(lock + 204, 1024, 1024), lock + 1);
	/* The ones behind it are where they would be without it. */
	assert_true(ptrmap_is_ptrmap_page(lock + 205, 1024, 1024));
	assert_false(ptrmap_is_ptrmap_page(lock + 206, 1024, 1024));
	assert_int_equal(ptrmap_page_of(lock + 206, 1024, 1024), lock + 205);
}

static void test_lock_byte_page_among_other_entries_moves_nothing(void **state)
{
	static const uint32_t sizes[] = {512, 2048, 4096, 8192, 16384, 32768, 65536};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		uint32_t lock = db_lock_byte_page(sizes[i]);
		uint32_t stride = sizes[i] / 5 + 1;

		assert_int_not_equal((lock - 2) % stride, 0);
		assert_int_equal(ptrmap_page_of(lock + 1, sizes[i], sizes[i]),
				 (lock - 1) / stride * stride + 2);
	}
}

/* Whatever page size and reserved bytes make of the distances. */
static void test_every_page_near_the_lock_byte_has_room_for_its_entry(void **state)
{
	(void)state;
	for (uint32_t size = 512; size <= 65536; size *= 2) {
		for (uint32_t reserved = 0; reserved <= 32; reserved++) {
			uint32_t usable = size - reserved;
			uint32_t lock = db_lock_byte_page(size);

			for (uint32_t p = lock - 300; p < lock + 300; p++) {
				uint32_t map = ptrmap_page_of(p, size, usable);

				assert_int_not_equal(map, lock);
				if (p == lock || map == p) {
					continue;
				}
				assert_true(map < p);
				assert_true((p - map) * 5 <= usable);
				assert_true(ptrmap_is_ptrmap_page(map, size, usable));
			}
		}
	}
}

static void test_entries_are_read(void **state)
{
	struct memory_source *source = make_source();
	struct page_source *pages = memory_source_pages(source);
	enum ptrmap_kind kind;
	uint32_t parent;
	struct error err;

	(void)state;
	set_entry(source, 3, PTRMAP_ROOT, 0);
	set_entry(source, 4, PTRMAP_FREE, 0);
	set_entry(source, 5, PTRMAP_OVERFLOW_FIRST, 3);
	set_entry(source, 6, PTRMAP_OVERFLOW_NEXT, 5);
	set_entry(source, PAGES, PTRMAP_BTREE, PAGES);
	assert_int_equal(ptrmap_read(pages, 3, &kind, &parent, &err), ST_OK);
	assert_int_equal(kind, PTRMAP_ROOT);
	assert_int_equal(parent, 0);
	assert_int_equal(ptrmap_read(pages, 4, &kind, &parent, &err), ST_OK);
	assert_int_equal(kind, PTRMAP_FREE);
	assert_int_equal(ptrmap_read(pages, 5, &kind, &parent, &err), ST_OK);
	assert_int_equal(kind, PTRMAP_OVERFLOW_FIRST);
	assert_int_equal(parent, 3);
	assert_int_equal(ptrmap_read(pages, 6, &kind, &parent, &err), ST_OK);
	assert_int_equal(kind, PTRMAP_OVERFLOW_NEXT);
	assert_int_equal(parent, 5);
	assert_int_equal(ptrmap_read(pages, PAGES, &kind, &parent, &err), ST_OK);
	assert_int_equal(kind, PTRMAP_BTREE);
	assert_int_equal(parent, PAGES);
	memory_source_close(source);
}

static void expect_corrupt(struct memory_source *source, uint32_t page_no)
{
	enum ptrmap_kind kind = PTRMAP_ROOT;
	uint32_t parent = 99;
	struct error err;

	assert_int_equal(
	    ptrmap_read(memory_source_pages(source), page_no, &kind, &parent, &err),
	    ST_CORRUPT);
	assert_int_equal(parent, 99);
	assert_int_equal(memory_source_pins(source), 0);
}

static void test_unknown_kinds_and_parents_out_of_range_are_corrupt(void **state)
{
	struct memory_source *source = make_source();

	(void)state;
	expect_corrupt(source, 3); /* kind 0 */
	set_entry(source, 3, 6, 4);
	expect_corrupt(source, 3);
	set_entry(source, 3, 255, 4);
	expect_corrupt(source, 3);
	for (int kind = PTRMAP_OVERFLOW_FIRST; kind <= PTRMAP_BTREE; kind++) {
		set_entry(source, 3, kind, 0);
		expect_corrupt(source, 3);
		set_entry(source, 3, kind, PAGES + 1);
		expect_corrupt(source, 3);
		set_entry(source, 3, kind, UINT32_MAX);
		expect_corrupt(source, 3);
	}
	memory_source_close(source);
}

static void test_pages_without_an_entry_are_corrupt(void **state)
{
	struct memory_source *source = make_source();

	(void)state;
	memset(memory_source_edit(source, 2), PTRMAP_ROOT, PAGE);
	expect_corrupt(source, 0);
	expect_corrupt(source, 1);
	expect_corrupt(source, 2);
	expect_corrupt(source, PAGES + 1);
	expect_corrupt(source, UINT32_MAX);
	memory_source_close(source);
}

/* A database of just over 1 GiB, of which only the ptrmap pages have bytes. */
struct sparse {
	struct page_source pages; /* first */
	uint8_t bytes[1024];
	uint32_t got;
};

static enum status sparse_get(struct page_source *pages, uint32_t page_no,
			      struct page_ref *ref, struct error *err)
{
	struct sparse *sparse = (struct sparse *)pages;

	(void)err;
	sparse->got = page_no;
	ref->bytes = sparse->bytes;
	return ST_OK;
}

static void sparse_put(struct page_source *pages, struct page_ref *ref)
{
	(void)pages;
	(void)ref;
}

static void test_lookups_around_the_lock_byte_page_go_to_the_moved_page(void **state)
{
	uint32_t lock = db_lock_byte_page(1024);
	struct sparse sparse = {
	    .pages = {.get = sparse_get,
		      .put = sparse_put,
		      .page_count = lock + 300,
		      .page_size = 1024,
		      .usable_size = 1024},
	};
	enum ptrmap_kind kind;
	uint32_t parent;
	struct error err;

	(void)state;
	sparse.bytes[0] = PTRMAP_BTREE;
	put_u32be(sparse.bytes + 1, 1234);
	assert_int_equal(ptrmap_read(&sparse.pages, lock + 2, &kind, &parent, &err),
			 ST_OK);
	assert_int_equal(sparse.got, lock + 1);
	assert_int_equal(kind, PTRMAP_BTREE);
	assert_int_equal(parent, 1234);
	assert_int_equal(ptrmap_read(&sparse.pages, lock, &kind, &parent, &err),
			 ST_CORRUPT);
	assert_int_equal(ptrmap_read(&sparse.pages, lock + 1, &kind, &parent, &err),
			 ST_CORRUPT);
}

/* What a full walk found about each page. */
struct found {
	enum ptrmap_kind *kinds; /* 0: not seen */
	uint32_t *parents;
};

static void note_page(void *context, uint32_t page_no, enum ptrmap_kind kind,
		      uint32_t parent)
{
	struct found *found = context;

	assert_int_equal(found->kinds[page_no], 0);
	found->kinds[page_no] = kind;
	found->parents[page_no] = parent;
}

static void note_free(void *context, uint32_t page_no)
{
	note_page(context, page_no, PTRMAP_FREE, 0);
}

static void walk_everything(struct temp_database *t, struct memory_source *source,
			    struct found *found)
{
	struct full_walk walk = {
	    .source = memory_source_pages(source),
	    .context = found,
	    .page = note_page,
	};
	sqlite3_stmt *roots;
	struct error err;

	assert_int_equal(freelist_walk(walk.source, memory_source_header(source),
				       note_free, found, &err),
			 ST_OK);
	assert_int_equal(
	    sqlite3_prepare_v2(t->db,
			       "select 1 union all select rootpage from sqlite_schema "
			       "where rootpage > 0",
			       -1, &roots, NULL),
	    SQLITE_OK);
	while (sqlite3_step(roots) == SQLITE_ROW) {
		walk.pages_left = walk.source->page_count;
		assert_int_equal(
		    full_walk_tree(&walk, (uint32_t)sqlite3_column_int(roots, 0), &err),
		    ST_OK);
	}
	sqlite3_finalize(roots);
}

/* Every page is of the map, or in a tree or on the freelist as the map says. */
static void check_map(struct temp_database *t, const struct database_shape *shape)
{
	struct memory_source *source = temp_database_read(t);
	struct page_source *pages = memory_source_pages(source);
	struct found found = {0};

	found.kinds = calloc(pages->page_count + 1u, sizeof *found.kinds);
	found.parents = calloc(pages->page_count + 1u, sizeof *found.parents);
	assert_true(found.kinds && found.parents);
	walk_everything(t, source, &found);
	for (uint32_t p = 2; p <= pages->page_count; p++) {
		enum ptrmap_kind kind;
		uint32_t parent;
		struct error err;

		if (shape->auto_vacuum &&
		    ptrmap_is_ptrmap_page(p, pages->page_size, pages->usable_size)) {
			assert_int_equal(found.kinds[p], 0);
			continue;
		}
		assert_int_not_equal(found.kinds[p], 0);
		if (shape->auto_vacuum) {
			assert_int_equal(ptrmap_read(pages, p, &kind, &parent, &err),
					 ST_OK);
			assert_int_equal(kind, found.kinds[p]);
			assert_int_equal(parent, found.parents[p]);
		}
	}
	free(found.kinds);
	free(found.parents);
	memory_source_close(source);
}

static void test_map_of_real_databases_agrees_with_a_full_walk(void **state)
{
	(void)state;
	for (size_t i = 0; i < DATABASE_SHAPES; i++) {
		struct database_shape shape = database_shape(i);
		struct temp_database t;

		temp_database_open(&t, &shape);
		temp_database_fill(&t, 1000);
		check_map(&t, &shape);
		temp_database_sql(&t, "create table more(x);"
				      "insert into more select zeroblob(b) from"
				      " (select length(d)*31 as b from t);"
				      "delete from t where rowid %% 5 < 2");
		check_map(&t, &shape);
		temp_database_close(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ptrmap_pages_lie_at_fixed_distances),
	    cmocka_unit_test(test_ptrmap_page_makes_way_for_the_lock_byte_page),
	    cmocka_unit_test(test_lock_byte_page_among_other_entries_moves_nothing),
	    cmocka_unit_test(test_every_page_near_the_lock_byte_has_room_for_its_entry),
	    cmocka_unit_test(test_entries_are_read),
	    cmocka_unit_test(test_unknown_kinds_and_parents_out_of_range_are_corrupt),
	    cmocka_unit_test(test_pages_without_an_entry_are_corrupt),
	    cmocka_unit_test(
		test_lookups_around_the_lock_byte_page_go_to_the_moved_page),
	    cmocka_unit_test(test_map_of_real_databases_agrees_with_a_full_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
