/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random transactions on a real database; after each, what the diff of two views finds
 * must hold exactly the rows that two full walks differ in, and the derived
 * parent map must agree with one made anew.
 */
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

#include "btree/db_header.h"
#include "btree/freelist.h"
#include "btree/overflow.h"
#include "btree/ptrmap.h"
#include "btree/tree_diff.h"
#include "btree/tree_walk.h"
#include "tests/lib/memory_source.h"

#define MAX_ROOTS 16

struct fixture {
	char path[64];
	sqlite3 *db;
	uint32_t roots[MAX_ROOTS];
	size_t root_count;
	bool has_ptrmap;
};

static void sql(sqlite3 *db, const char *fmt, ...)
{
	va_list args;
	char *text, *message = NULL;

	va_start(args, fmt);
	text = sqlite3_vmprintf(fmt, args);
	va_end(args);
	if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK) {
		print_error("%s: %s\n", text, message);
		fail();
	}
	sqlite3_free(text);
}

static void read_roots(struct fixture *f)
{
	sqlite3_stmt *stmt;

	f->root_count = 0;
	f->roots[f->root_count++] = 1;
	assert_int_equal(sqlite3_prepare_v2(f->db,
					    "select rootpage from sqlite_schema where "
					    "rootpage > 0 order by 1",
					    -1, &stmt, NULL),
			 SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		assert_true(f->root_count < MAX_ROOTS);
		f->roots[f->root_count++] = (uint32_t)sqlite3_column_int(stmt, 0);
	}
	sqlite3_finalize(stmt);
}

static void open_fixture(struct fixture *f, int page_size, int auto_vacuum)
{
	int fd;

	strcpy(f->path, "/tmp/rowtail-diff-XXXXXX");
	fd = mkstemp(f->path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(sqlite3_open(f->path, &f->db), SQLITE_OK);
	sql(f->db,
	    "pragma page_size=%d; pragma auto_vacuum=%d; pragma journal_mode=delete;"
	    "pragma synchronous=off; pragma secure_delete=off;",
	    page_size, auto_vacuum);
	sql(f->db, "create table t(id integer primary key, a, b);"
		   "create index i on t(a);"
		   "create table w(a, b, c, primary key(b, a)) without rowid;"
		   "create table k(x)");
	f->has_ptrmap = auto_vacuum != 0;
	read_roots(f);
}

static void close_fixture(struct fixture *f)
{
	sqlite3_close(f->db);
	unlink(f->path);
}

static int pick(int n)
{
	return rand() % n;
}

/* A payload that now and then overflows. */
static int size_of_value(int page_size)
{
	switch (pick(12)) {
	case 0:
		return pick(page_size * 6);
	case 1:
		return page_size + pick(64) - 32;
	default:
		return pick(60);
	}
}

static void change_something(struct fixture *f, int page_size)
{
	int id = pick(800);

	switch (pick(14)) {
	case 0:
		sql(f->db, "delete from t where id between %d and %d", id,
		    id + pick(400));
		break;
	case 1:
		sql(f->db, "delete from w where a between %d and %d", id,
		    id + pick(300));
		break;
	case 2:
		sql(f->db, "update t set b=randomblob(length(b)) where id=%d", id);
		break;
	case 3: /* keeps the size: may dirty an overflow page alone */
		sql(f->db,
		    "update t set b=randomblob(length(b)) where length(b) > %d and "
		    "id between %d and %d",
		    page_size, id, id + 60);
		break;
	case 4:
		sql(f->db, "update w set c=randomblob(%d) where a between %d and %d",
		    size_of_value(page_size), id, id + pick(20));
		break;
	case 5:
		sql(f->db, "delete from k where rowid %% 7 = %d", pick(7));
		break;
	case 6:
		sql(f->db, "insert into k select randomblob(%d) from t limit %d",
		    size_of_value(page_size), pick(200));
		break;
	case 7:
		sql(f->db,
		    "insert or replace into t select value, random(), "
		    "randomblob(abs(random()) %% 80) from generate_n limit %d",
		    pick(300));
		break;
	case 8:
		sql(f->db,
		    "insert or replace into w select value, abs(random()) %% 1000, "
		    "randomblob(abs(random()) %% 90) from generate_n limit %d",
		    pick(200));
		break;
	default:
		sql(f->db,
		    "insert or replace into t values(%d, randomblob(%d), "
		    "randomblob(%d))",
		    id, pick(40), size_of_value(page_size));
		sql(f->db, "insert or replace into w values(%d, %d, randomblob(%d))",
		    id, pick(40), size_of_value(page_size));
		break;
	}
}

/* ---- sums over rows: a multiset difference that needs no sorting ---- */

struct sum {
	uint64_t rows;
	uint64_t hash;
};

static void sum_cell(struct page_source *source, const struct page *page,
		     uint32_t index, struct sum *sum)
{
	struct error err;
	struct cell cell;
	struct buffer scratch;
	const uint8_t *payload;
	uint64_t hash = 1469598103934665603u;

	buffer_init(&scratch);
	assert_int_equal(cell_read(page, index, &cell, &err), ST_OK);
	assert_int_equal(payload_read(source, &cell, &scratch, &payload, &err), ST_OK);
	hash = (hash ^ (uint64_t)cell.rowid) * 1099511628211u;
	for (uint64_t i = 0; i < cell.payload_len; i++) {
		hash = (hash ^ payload[i]) * 1099511628211u;
	}
	buffer_clear(&scratch);
	sum->rows++;
	sum->hash += hash;
}

struct walk_sum {
	struct page_source *source;
	struct sum sum;
};

static enum status visit(void *context, const struct page *page, uint32_t index,
			 struct error *err)
{
	struct walk_sum *walk = context;

	(void)err;
	sum_cell(walk->source, page, index, &walk->sum);
	return ST_OK;
}

static struct sum sum_of_tree(struct page_source *source, uint32_t root)
{
	struct walk_sum walk = {.source = source};
	struct error err;
	enum status status = tree_walk_rows(source, root, visit, &walk, &err);

	if (status != ST_OK) {
		print_error("%s\n", err.text);
		fail();
	}
	return walk.sum;
}

static struct sum sum_of_side(struct tree_side *side)
{
	struct sum sum = {0};
	struct error err;

	for (size_t i = 0; i < side->rows.count; i++) {
		struct tree_item item = side->rows.items[i];
		struct page_ref ref = {0};
		struct page page;

		assert_int_equal(page_get(side->source, item.page_no, &ref, &err),
				 ST_OK);
		assert_int_equal(page_parse(ref.bytes, item.page_no,
					    side->source->usable_size, &page, &err),
				 ST_OK);
		if (item.cell != TREE_ITEM_PAGE) {
			sum_cell(side->source, &page, (uint32_t)item.cell, &sum);
		}
		for (uint32_t c = 0; item.cell == TREE_ITEM_PAGE && c < page.cell_count;
		     c++) {
			sum_cell(side->source, &page, c, &sum);
		}
		page_put(side->source, &ref);
	}
	return sum;
}

/* What the diff left out must be equal on both sides. */
static void check_tree(struct tree_diff *diff, uint32_t root)
{
	struct error err;
	struct sum all_old, all_new, some_old, some_new;
	enum status status = tree_diff_run(diff, root, root, &err);

	if (status != ST_OK) {
		print_error("%s\n", err.text);
		fail();
	}
	all_old = sum_of_tree(diff->old_side.source, root);
	all_new = sum_of_tree(diff->new_side.source, root);
	some_old = sum_of_side(&diff->old_side);
	some_new = sum_of_side(&diff->new_side);
	assert_int_equal(all_old.rows - some_old.rows, all_new.rows - some_new.rows);
	assert_int_equal(all_old.hash - some_old.hash, all_new.hash - some_new.hash);
}

/* Every page that is in a tree has the same entry as in a map made from nothing. */
static void check_map(const struct parent_map *map, struct page_source *source,
		      struct map_trees *trees)
{
	struct parent_map fresh;
	struct error err;

	parent_map_init(&fresh);
	assert_int_equal(parent_map_complete(&fresh, source, trees, &err), ST_OK);
	for (uint32_t p = 1; p <= source->page_count; p++) {
		uint32_t want = parent_map_get(&fresh, p);
		uint32_t have = parent_map_get(map, p);

		if (want == PARENT_FREE || have == PARENT_UNKNOWN ||
		    parent_map_is_other(map, p)) {
			continue;
		}
		if (want != have || parent_map_is_overflow(map, p) !=
					parent_map_is_overflow(&fresh, p)) {
			print_error("page %u: parent %u, in truth %u\n", p, have, want);
			fail();
		}
	}
	parent_map_clear(&fresh);
}

static void add_free(void *context, uint32_t page_no)
{
	struct error err;

	assert_int_equal(page_set_add(context, page_no, NULL, &err), ST_OK);
}

static void list_free(struct page_source *source, struct page_set *pages)
{
	struct page_ref ref = {0};
	struct db_header header;
	struct error err;

	page_set_init(pages);
	assert_int_equal(page_get(source, 1, &ref, &err), ST_OK);
	assert_int_equal(db_header_read(ref.bytes, &header, &err), ST_OK);
	page_put(source, &ref);
	assert_int_equal(freelist_walk(source, &header, add_free, pages, &err), ST_OK);
}

/* What SQLite wrote: pages that differ, and those that it took from the freelist, which
 * may by chance have the bytes that were left there. */
static void collect_dirty(struct page_marks *marks, struct page_source *old,
			  struct page_source *new, bool has_ptrmap)
{
	struct page_set were_free, are_free;
	struct error err;

	list_free(old, &were_free);
	list_free(new, &are_free);
	page_marks_empty(marks);
	for (uint32_t p = 1; p <= new->page_count; p++) {
		struct page_ref a = {0}, b = {0};
		bool differs = true;

		if (has_ptrmap &&
		    ptrmap_is_ptrmap_page(p, new->page_size, new->usable_size)) {
			continue;
		}
		assert_int_equal(page_get(new, p, &b, &err), ST_OK);
		if (p <= old->page_count) {
			assert_int_equal(page_get(old, p, &a, &err), ST_OK);
			differs = memcmp(a.bytes, b.bytes, new->page_size) != 0;
			page_put(old, &a);
		}
		page_put(new, &b);
		if (differs ||
		    (page_set_has(&were_free, p) && !page_set_has(&are_free, p))) {
			assert_int_equal(page_marks_add_dirty(marks, p, &err), ST_OK);
		}
	}
	page_set_clear(&were_free);
	page_set_clear(&are_free);
}

/* ---- trees that are not needed, damaged ---- */

/* Every page of the tree, of all overflow chains too. */
static void add_pages(struct page_source *source, uint32_t page_no,
		      struct page_set *pages);

static enum status add_overflow(void *context, uint32_t page_no, uint32_t previous,
				struct error *err)
{
	(void)previous;
	return page_set_add(context, page_no, NULL, err);
}

static void add_below(struct page_source *source, const struct page *page,
		      struct page_set *pages)
{
	struct error err;

	for (uint32_t i = 0; !page->is_leaf && i <= page->cell_count; i++) {
		uint32_t child;

		assert_int_equal(page_child(page, i, &child, &err), ST_OK);
		add_pages(source, child, pages);
	}
	for (uint32_t i = 0; i < page->cell_count; i++) {
		struct cell cell;

		assert_int_equal(cell_read(page, i, &cell, &err), ST_OK);
		if ((page->is_leaf || !page->is_table) && cell.overflow_page) {
			assert_int_equal(
			    overflow_walk(source, &cell, add_overflow, pages, &err),
			    ST_OK);
		}
	}
}

static void add_pages(struct page_source *source, uint32_t page_no,
		      struct page_set *pages)
{
	struct page_ref ref = {0};
	struct page page;
	struct error err;

	assert_int_equal(page_set_add(pages, page_no, NULL, &err), ST_OK);
	assert_int_equal(page_get(source, page_no, &ref, &err), ST_OK);
	assert_int_equal(
	    page_parse(ref.bytes, page_no, source->usable_size, &page, &err), ST_OK);
	add_below(source, &page, pages);
	page_put(source, &ref);
}

/* Half a page of nonsense, a page of zeros, or one bit. */
static void damage_page(uint8_t *bytes, uint32_t page_size)
{
	uint32_t at = (uint32_t)pick((int)page_size);

	switch (pick(4)) {
	case 0:
		memset(bytes, 0, page_size);
		break;
	case 1:
		for (uint32_t i = at / 2; i < at / 2 + page_size / 2; i++) {
			bytes[i] = (uint8_t)pick(256);
		}
		break;
	case 2:
		bytes[at % 16] = (uint8_t)(bytes[at % 16] ^ 1 << pick(8));
		break;
	default:
		bytes[at] = (uint8_t)(bytes[at] ^ 1 << pick(8));
		break;
	}
}

/* Damage some pages that no needed tree has. (Freelist pages are not made lists of
 * other pages: SQLite would write over those.) */
static void damage_others(struct memory_source *memory, const struct map_trees *trees,
			  unsigned one_in)
{
	struct page_source *source = memory_source_pages(memory);
	struct page_set needed, free_pages;
	uint8_t *bytes;

	page_set_init(&needed);
	list_free(source, &free_pages);
	for (size_t i = 0; i < trees->needed; i++) {
		add_pages(source, trees->roots[i], &needed);
	}
	for (uint32_t p = 2; p <= source->page_count; p++) {
		if (!page_set_has(&needed, p) && pick((int)one_in) == 0) {
			bytes = memory_source_edit(memory, p);
			if (page_set_has(&free_pages, p)) {
				memset(bytes, pick(2) * 0xee, source->page_size);
			} else {
				damage_page(bytes, source->page_size);
			}
		}
	}
	page_set_clear(&needed);
	page_set_clear(&free_pages);
}

/* The schema's tree and some others, in any order, are the needed ones. */
static void choose_needed(struct fixture *f, struct map_trees *trees, bool all)
{
	for (size_t i = f->root_count - 1; i > 1; i--) {
		size_t j = 1 + (size_t)pick((int)i);
		uint32_t root = f->roots[i];

		f->roots[i] = f->roots[j];
		f->roots[j] = root;
	}
	*trees = (struct map_trees){
	    .roots = f->roots, .count = f->root_count, .needed = f->root_count};
	if (!all) {
		trees->needed = 1 + (size_t)pick((int)f->root_count);
	}
}

/* With `damage` some of the trees are not needed, and one in so many of their pages,
 * and of the free ones, is damaged. */
static void run_rounds(int page_size, int auto_vacuum, unsigned seed, int rounds,
		       unsigned damage)
{
	struct fixture f;
	struct memory_source *before, *after, *whole_before, *whole_after;
	struct parent_map map;
	struct page_marks marks;
	struct tree_diff diff;
	struct map_trees trees;
	struct error err;

	srand(seed);
	open_fixture(&f, page_size, auto_vacuum);
	choose_needed(&f, &trees, damage == 0);
	sql(f.db,
	    "create temp table generate_n as with recursive c(value) as (select 1 "
	    "union all select value + 1 from c where value < 400) select * from c");
	parent_map_init(&map);
	page_marks_init(&marks);
	tree_diff_init(&diff);
	assert_int_equal(memory_source_open(f.path, &before, &err), ST_OK);
	assert_int_equal(memory_source_open(f.path, &whole_before, &err), ST_OK);
	for (int round = 0; round < rounds; round++) {
		struct page_source *old = memory_source_pages(before);
		struct page_source *new;
		struct parent_map *used = f.has_ptrmap && !damage ? NULL : &map;

		sql(f.db, "begin");
		for (int i = pick(3); i >= 0; i--) {
			change_something(&f, page_size);
		}
		sql(f.db, "commit");
		if (auto_vacuum == 2 && pick(4) == 0) {
			sql(f.db, "pragma incremental_vacuum(%d)", 1 + pick(10));
		}
		assert_int_equal(memory_source_open(f.path, &after, &err), ST_OK);
		assert_int_equal(memory_source_open(f.path, &whole_after, &err), ST_OK);
		if (damage) {
			damage_others(after, &trees, damage);
		}
		new = memory_source_pages(after);
		if (used && !map.is_filled) {
			assert_int_equal(parent_map_fill(&map, old, &trees, &err),
					 ST_OK);
		}
		if (used) {
			assert_int_equal(parent_map_grow(&map, new->page_count, &err),
					 ST_OK);
		}
		collect_dirty(&marks, memory_source_pages(whole_before),
			      memory_source_pages(whole_after), f.has_ptrmap);
		assert_int_equal(page_marks_climb(&marks, old, used, &trees, &err),
				 ST_OK);
		tree_diff_begin(&diff, old, new, &marks, used, true);
		for (size_t i = 0; i < trees.needed; i++) {
			if (page_set_has(&marks.roots, f.roots[i])) {
				check_tree(&diff, f.roots[i]);
			} else {
				struct sum a = sum_of_tree(old, f.roots[i]);
				struct sum b = sum_of_tree(new, f.roots[i]);

				assert_int_equal(a.hash, b.hash);
			}
		}
		tree_diff_end(&diff);
		if (used) {
			check_map(&map, new, &trees);
		}
		memory_source_close(before);
		memory_source_close(whole_before);
		before = after;
		whole_before = whole_after;
	}
	memory_source_close(before);
	memory_source_close(whole_before);
	tree_diff_clear(&diff);
	page_marks_clear(&marks);
	parent_map_clear(&map);
	close_fixture(&f);
}

static unsigned first_seed(void)
{
	const char *text = getenv("SEED");

	return text ? (unsigned)strtoul(text, NULL, 10) : 1;
}

static void run_seeds(int page_size, int auto_vacuum)
{
	bool is_wrapped =
	    getenv("ROWTAIL_TEST_WRAPPED") != NULL; /* valgrind: minutes */

	for (unsigned i = 0; i < 3; i++) {
		unsigned seed = first_seed() + i;

		print_message("page size %d, auto_vacuum %d, SEED=%u\n", page_size,
			      auto_vacuum, seed);
		run_rounds(page_size, auto_vacuum, seed, is_wrapped ? 8 : 60, 0);
	}
}

/* Damage in trees that are not needed, in the freelist and in ptrmap pages costs
 * no row of the others. */
static void test_damage_elsewhere_costs_no_row(void **state)
{
	static const int page_sizes[] = {512, 1024, 4096};

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		unsigned seed = first_seed() + 100 + i;

		print_message("damage, SEED=%u\n", seed);
		run_rounds(page_sizes[i % 3], i % 4 == 3, seed, 40, 1 + i * 3);
	}
}

static void test_diff_finds_every_row_on_small_pages(void **state)
{
	(void)state;
	run_seeds(512, 0);
}

static void test_diff_finds_every_row_on_ordinary_pages(void **state)
{
	(void)state;
	run_seeds(4096, 0);
	run_seeds(1024, 0);
}

static void test_diff_finds_every_row_with_auto_vacuum(void **state)
{
	(void)state;
	run_seeds(512, 1);
	run_seeds(1024, 2);
}

static void test_diff_finds_every_row_on_the_largest_pages(void **state)
{
	(void)state;
	run_seeds(65536, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_diff_finds_every_row_on_small_pages),
	    cmocka_unit_test(test_diff_finds_every_row_on_ordinary_pages),
	    cmocka_unit_test(test_diff_finds_every_row_with_auto_vacuum),
	    cmocka_unit_test(test_diff_finds_every_row_on_the_largest_pages),
	    cmocka_unit_test(test_damage_elsewhere_costs_no_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
