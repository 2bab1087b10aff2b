/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of identity (src/decode/row_diff.h), on two states of a database in memory:
 * what a transaction did is read as text, "d ROWID:KEY" and so on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/decode/row_diff.h"
#include "tests/lib/catalog_fixture.h"

struct rig {
	struct catalog_fixture f;  /* as it is now */
	struct memory_source *old; /* as it was */
	struct catalog *old_catalog;
	struct parent_map map;
	struct page_marks marks;
	struct tree_diff diff;
	struct row_diff rows;
	char text[4096];
	bool rowids_may_move;
};

static void rig_open(struct rig *rig, const char *setup)
{
	*rig = (struct rig){0};
	fixture_open(&rig->f, setup);
	fixture_read(&rig->f, NULL);
	parent_map_init(&rig->map);
	page_marks_init(&rig->marks);
	tree_diff_init(&rig->diff);
	row_diff_init(&rig->rows);
}

static void rig_close(struct rig *rig)
{
	row_diff_clear(&rig->rows);
	tree_diff_clear(&rig->diff);
	page_marks_clear(&rig->marks);
	parent_map_clear(&rig->map);
	catalog_close(rig->old_catalog);
	memory_source_close(rig->old);
	fixture_close(&rig->f);
}

/* What is now becomes what was, `sql` what is. */
static void rig_change(struct rig *rig, const char *sql)
{
	struct error err;

	rig->old = rig->f.source;
	rig->f.source = NULL;
	rig->old_catalog = rig->f.catalog;
	rig->f.catalog = NULL;
	fixture_run(&rig->f, "%s", sql);
	fixture_take(&rig->f);
	assert_int_equal(catalog_read(memory_source_pages(rig->f.source), NULL,
				      rig->old_catalog, NULL, &rig->f.catalog, &err),
			 ST_OK);
}

static void mark(struct rig *rig)
{
	struct page_source *old = memory_source_pages(rig->old);
	struct page_source *new = memory_source_pages(rig->f.source);
	uint32_t roots[16];
	size_t count = rig->old_catalog->root_count;
	struct map_trees trees = {.roots = roots, .count = count, .needed = count};
	struct error err;

	assert_true(count <= 16);
	for (size_t i = 0; i < count; i++) {
		roots[i] = rig->old_catalog->roots[i].root_page;
	}
	for (uint32_t page_no = 1; page_no <= new->page_count; page_no++) {
		const uint8_t *was = memory_source_edit(rig->old, page_no);

		if (!was || memcmp(was, memory_source_edit(rig->f.source, page_no),
				   new->page_size) != 0) {
			assert_int_equal(
			    page_marks_add_dirty(&rig->marks, page_no, &err), ST_OK);
		}
	}
	assert_int_equal(parent_map_fill(&rig->map, old, &trees, &err), ST_OK);
	assert_int_equal(parent_map_grow(&rig->map, new->page_count, &err), ST_OK);
	assert_int_equal(page_marks_climb(&rig->marks, old, &rig->map, &trees, &err),
			 ST_OK);
	tree_diff_begin(&rig->diff, old, new, &rig->marks, &rig->map, false);
}

static void print_value(char *text, size_t room, const struct value *value)
{
	switch (value->class) {
	case VALUE_NULL:
		(void)snprintf(text, room, "null");
		break;
	case VALUE_INTEGER:
		(void)snprintf(text, room, "%lld", (long long)value->integer);
		break;
	case VALUE_REAL:
		(void)snprintf(text, room, "%.1f", value->real);
		break;
	case VALUE_TEXT:
		(void)snprintf(text, room, "'%.*s'", (int)value->len, value->bytes);
		break;
	case VALUE_BLOB:
		(void)snprintf(text, room, "x'%.*s'", (int)value->len, value->bytes);
		break;
	}
}

static void add_row(struct rig *rig, const struct value *values)
{
	size_t used = strlen(rig->text);

	for (uint32_t i = 0; i < rig->rows.pair.new_table->column_count; i++) {
		if (i > 0) {
			strcat(rig->text, ",");
		}
		used = strlen(rig->text);
		print_value(rig->text + used, sizeof rig->text - used - 64, &values[i]);
	}
}

/* "d 1 old", "c 1 new", "u 1 old>new", with "~other" for the other key's row. */
static enum status on_change(void *context, const struct change *change,
			     struct error *err)
{
	struct rig *rig = context;
	size_t used = strlen(rig->text);

	(void)err;
	(void)snprintf(rig->text + used, sizeof rig->text - used, "%s%c ",
		       used ? "; " : "", (int)change->op);
	if (!rig->rows.pair.new_table->without_rowid) {
		used = strlen(rig->text);
		(void)snprintf(rig->text + used, sizeof rig->text - used,
			       "%lld:", (long long)change->rowid);
	}
	if (change->before) {
		add_row(rig, change->before);
	}
	if (change->before && change->after) {
		strcat(rig->text, ">");
	}
	if (change->after) {
		add_row(rig, change->after);
	}
	if (change->other_key_row) {
		strcat(rig->text, "~");
		add_row(rig, change->other_key_row);
	}
	return ST_OK;
}

static void run(struct rig *rig, const char *expected)
{
	struct table *table = fixture_table(&rig->f, "t");
	struct table *was = catalog_find(rig->old_catalog, "t");
	struct table_pair pair = {.old_table = was,
				  .new_table = table,
				  .rowids_may_move = rig->rowids_may_move};
	struct error err = {0};
	enum status status;

	mark(rig);
	status =
	    tree_diff_run(&rig->diff, was ? was->root_page : 0, table->root_page, &err);
	if (status == ST_OK) {
		status =
		    row_diff_run(&rig->rows, &rig->diff, &pair, on_change, rig, &err);
	}
	assert_string_equal(err.text, "");
	assert_int_equal(status, ST_OK);
	assert_string_equal(rig->text, expected);
	assert_int_equal(memory_source_pins(rig->old), 0);
	assert_int_equal(memory_source_pins(rig->f.source), 0);
}

static void check(const char *setup, const char *change, const char *expected)
{
	struct rig rig;

	rig_open(&rig, setup);
	rig_change(&rig, change);
	run(&rig, expected);
	rig_close(&rig);
}

#define KEYED                                    \
	"create table t(k text primary key, v);" \
	"insert into t values ('a', 1), ('b', 2), ('c', 3);"

static void test_row_diff_gives_the_net_change(void **state)
{
	(void)state;
	check(KEYED,
	      "update t set v = 9 where k = 'b'; delete from t where k = 'a';"
	      "insert into t values ('d', 4)",
	      "d 1:'a',1; u 2:'b',2>'b',9; c 4:'d',4");
	check(KEYED, "update t set v = 9 where k = 'b'; update t set v = 2",
	      "u 1:'a',1>'a',2; u 3:'c',3>'c',2");
	check(KEYED, "update t set v = v", "");
}

static void test_row_diff_gives_all_deletes_first(void **state)
{
	(void)state;
	check(KEYED,
	      "delete from t where k in ('a', 'c'); insert into t(rowid, k, v) "
	      "values (-5, 'z', 0)",
	      "d 1:'a',1; d 3:'c',3; c -5:'z',0");
}

static void test_row_diff_of_swapped_keys_is_two_updates(void **state)
{
	(void)state;
	check(KEYED,
	      "update t set k = 'x' where k = 'a'; update t set k = 'a' where k = 'b';"
	      "update t set k = 'b' where k = 'x'",
	      "u 1:'b',2>'b',1; u 2:'a',1>'a',2");
}

static void test_row_diff_follows_a_key_to_another_rowid(void **state)
{
	(void)state;
	check(KEYED, "replace into t values ('a', 7)", "u 4:'a',1>'a',7");
	check(KEYED, "update t set rowid = 50 where k = 'b'", "");
}

static void test_row_diff_joins_both_keys_of_a_changed_key(void **state)
{
	(void)state;
	check(KEYED, "update t set k = 'z' where k = 'b'",
	      "d 2:'b',2~'z',2; c 2:'z',2~'b',2");
	/* No other column kept its value: the rowid was used again. */
	check(KEYED, "update t set k = 'z', v = 8 where k = 'b'",
	      "d 2:'b',2; c 2:'z',8");
	/* The key went elsewhere: the row under its rowid is another one. */
	check(KEYED,
	      "delete from t where k = 'c'; update t set k = 'c', v = 2 where k = 'b'",
	      "d 2:'b',2; u 2:'c',3>'c',2");
}

static void test_row_diff_tells_keys_by_class_and_bytes(void **state)
{
	(void)state;
	check("create table t(k collate nocase primary key, v);"
	      "insert into t values ('abc', 1), (1, 2), (x'61', 3)",
	      "update t set k = 'ABC' where v = 1; update t set k = 1.5 where v = 2;"
	      "update t set k = 'a' where v = 3",
	      "d 1:'abc',1~'ABC',1; d 2:1,2~1.5,2; d 3:x'a',3~'a',3; "
	      "c 1:'ABC',1~'abc',1; c 2:1.5,2~1,2; c 3:'a',3~x'a',3");
}

static void test_row_diff_of_an_integer_key_is_by_rowid(void **state)
{
	(void)state;
	check("create table t(id integer primary key, v); insert into t values (1, 5)",
	      "update t set id = 2", "d 1:1,5; c 2:2,5");
	check("create table t(id integer primary key, v); insert into t values (1, 5)",
	      "delete from t; insert into t values (1, 6)", "u 1:1,5>1,6");
}

static void test_row_diff_takes_the_rowid_where_the_key_has_a_null(void **state)
{
	(void)state;
	check("create table t(k text primary key, v);"
	      "insert into t values (null, 1), (null, 2)",
	      "update t set v = 7 where rowid = 2", "u 2:null,2>null,7");
	/* From no key to a key and back: another row, and no keys to join. */
	check("create table t(k text primary key, v); insert into t values (null, 1)",
	      "update t set k = 'a'", "d 1:null,1; c 1:'a',1");
	check("create table t(k text primary key, v); insert into t values ('a', 1)",
	      "update t set k = null", "d 1:'a',1; c 1:null,1");
}

static void test_row_diff_without_a_key_is_by_rowid(void **state)
{
	(void)state;
	check("create table t(a, b); insert into t values (1, 1), (2, 2)",
	      "update t set a = 5, b = 5 where a = 1; "
	      "update t set rowid = 9 where a = 2",
	      "d 2:2,2; u 1:1,1>5,5; c 9:2,2");
}

static void test_row_diff_compares_content_where_rowids_may_move(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, "create table t(a); insert into t values (1), (2), (2), (3)");
	rig.rowids_may_move = true;
	rig_change(&rig, "update t set rowid = rowid + 100");
	run(&rig, "");
	rig_close(&rig);
	rig_open(&rig, "create table t(a); insert into t values (1), (2), (2), (3)");
	rig.rowids_may_move = true;
	rig_change(&rig, "delete from t where rowid = 2;"
			 "update t set rowid = 200 - rowid; insert into t values (4)");
	run(&rig, "d 3:2; c 200:4");
	rig_close(&rig);
}

static void test_row_diff_of_without_rowid_is_by_key(void **state)
{
	(void)state;
	check("create table t(b, a, v, primary key(a, b)) without rowid;"
	      "insert into t values (1, 1, 'x'), (2, 1, 'y'), (1, 2, 'z')",
	      "update t set v = 'n' where a = 2; update t set b = 9 where v = 'x';"
	      "delete from t where v = 'y'",
	      "d 1,1,'x'; d 2,1,'y'; c 9,1,'x'; u 1,2,'z'>1,2,'n'");
}

static void test_row_diff_of_a_new_table_creates_all(void **state)
{
	(void)state;
	check("create table u(a)",
	      "create table t(a); insert into t values ('x'), ('y')",
	      "c 1:'x'; c 2:'y'");
}

static void test_row_diff_compares_columns_by_name(void **state)
{
	(void)state;
	/* An added column has its default, a dropped one is left out. */
	check(KEYED, "alter table t add column n default 5", "");
	check(KEYED, "alter table t drop column v", "");
	check(KEYED, "alter table t rename column v to w", "");
	check(KEYED,
	      "alter table t add column n default 5; update t set n = 6 where k = 'b'",
	      "u 2:'b',2,5>'b',2,6");
	/* A rebuild in another order of columns. */
	check(KEYED,
	      "create table n(v, k text primary key); insert into n select v, k from t;"
	      "drop table t; alter table n rename to t; update t set v = 0 where v = 1",
	      "u 1:1,'a'>0,'a'");
}

static void test_row_diff_follows_a_key_from_rowid_to_without_rowid(void **state)
{
	(void)state;
	check(KEYED,
	      "create table n(k text primary key, v) without rowid;"
	      "insert into n select k, iif(k = 'b', 9, v) from t where k <> 'c';"
	      "drop table t; alter table n rename to t",
	      "d 'c',3; u 'b',2>'b',9");
}

static void test_row_diff_finds_one_old_row_for_a_key_that_was_none(void **state)
{
	(void)state;
	check("create table t(k, v); insert into t values ('a', 1), ('b', 2), ('a', 3)",
	      "create table n(k primary key, v);"
	      "insert into n(rowid, k, v) select 10, k, 4 from t group by k having "
	      "k = 'a'; drop table t; alter table n rename to t",
	      "d 2:'b',2; d 3:'a',3; u 10:'a',1>'a',4");
}

static void test_row_diff_sees_a_change_of_an_overflow_page_alone(void **state)
{
	struct rig rig;
	static const char expected[] = "u 1:";

	(void)state;
	rig_open(&rig, "pragma page_size = 512; create table t(a);"
		       "insert into t values (printf('%.*c', 1500, 'x'))");
	rig_change(&rig, "update t set a = substr(a, 1, 1499) || 'y'");
	/* The map knows nothing of overflow pages before it is made complete. */
	mark(&rig);
	assert_true(rig.map.is_complete);
	{
		struct table *table = fixture_table(&rig.f, "t");
		struct table_pair pair = {.old_table = table, .new_table = table};
		struct error err;

		assert_int_equal(
		    tree_diff_run(&rig.diff, table->root_page, table->root_page, &err),
		    ST_OK);
		assert_int_equal(
		    row_diff_run(&rig.rows, &rig.diff, &pair, on_change, &rig, &err),
		    ST_OK);
	}
	assert_memory_equal(rig.text, expected, sizeof expected - 1);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_row_diff_gives_the_net_change),
	    cmocka_unit_test(test_row_diff_gives_all_deletes_first),
	    cmocka_unit_test(test_row_diff_of_swapped_keys_is_two_updates),
	    cmocka_unit_test(test_row_diff_follows_a_key_to_another_rowid),
	    cmocka_unit_test(test_row_diff_joins_both_keys_of_a_changed_key),
	    cmocka_unit_test(test_row_diff_tells_keys_by_class_and_bytes),
	    cmocka_unit_test(test_row_diff_of_an_integer_key_is_by_rowid),
	    cmocka_unit_test(test_row_diff_takes_the_rowid_where_the_key_has_a_null),
	    cmocka_unit_test(test_row_diff_without_a_key_is_by_rowid),
	    cmocka_unit_test(test_row_diff_compares_content_where_rowids_may_move),
	    cmocka_unit_test(test_row_diff_of_without_rowid_is_by_key),
	    cmocka_unit_test(test_row_diff_of_a_new_table_creates_all),
	    cmocka_unit_test(test_row_diff_compares_columns_by_name),
	    cmocka_unit_test(test_row_diff_follows_a_key_from_rowid_to_without_rowid),
	    cmocka_unit_test(test_row_diff_finds_one_old_row_for_a_key_that_was_none),
	    cmocka_unit_test(test_row_diff_sees_a_change_of_an_overflow_page_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
