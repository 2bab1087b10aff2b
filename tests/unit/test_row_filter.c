/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/row_filter.h"
#include "src/base/stop.h"
#include "tests/lib/catalog_fixture.h"

static const char tables[] =
    "create table t(a, b text); insert into t values(1, 'x'), (2, 'y'), (3, null);"
    "create table other(a); insert into other values(3);"
    "create table w(k text collate nocase, l real, v, primary key(l desc, k)) without "
    "rowid; insert into w values('Ab', 2, 'p'), ('cd', 2.5, 'q');"
    "create table by_number(a integer, v, primary key(v, a)) without rowid;"
    "insert into by_number values(7, 'seven')";

static enum status ask_once(struct catalog_fixture *f, const char *table,
			    const char *where, int64_t rowid, const struct value *key,
			    bool *is_fulfilled, struct error *err)
{
	struct row_filter *filter = NULL;
	enum status status =
	    row_filter_open(memory_source_pages(f->source), fixture_table(f, table),
			    where, &filter, err);

	if (status == ST_OK) {
		status = row_filter_ask(filter, rowid, key, is_fulfilled, err);
	}
	row_filter_close(filter);
	assert_int_equal(memory_source_pins(f->source), 0);
	return status;
}

/* Rows of t that fulfil `where`, as digits. */
static void check(struct catalog_fixture *f, const char *where, const char *expected)
{
	struct row_filter *filter;
	struct error err;
	char found[4] = "";

	if (row_filter_open(memory_source_pages(f->source), fixture_table(f, "t"),
			    where, &filter, &err) != ST_OK) {
		print_error("%s: %s\n", where, err.text);
		fail();
	}
	for (int64_t rowid = 1; rowid <= 3; rowid++) {
		bool is_fulfilled;

		assert_int_equal(
		    row_filter_ask(filter, rowid, NULL, &is_fulfilled, &err), ST_OK);
		if (is_fulfilled) {
			strncat(found, &"123"[rowid - 1], 1);
		}
	}
	row_filter_close(filter);
	assert_string_equal(found, expected);
}

static void test_a_condition_is_what_sqlite_takes_it_for(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, tables);
	fixture_read(&f, NULL);
	check(&f, "a > 1", "23");
	check(&f, "a = 1 or a = 3", "13");
	check(&f, "b = 'x'", "1");
	check(&f, "b", "");
	check(&f, "a - 1", "23");
	check(&f, "null", "");
	check(&f, "1 -- all", "123");
	check(&f, "1 /* all */", "123");
	check(&f, "rowid = 2 and t.rowid = main.t.a", "2");
	check(&f, "(a = 1) or (a = 2)", "12");
	check(&f, "b like '%);%' or b = ')' or a = 1", "1");
	fixture_close(&f);
}

static void test_a_condition_may_ask_other_tables(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, tables);
	fixture_read(&f, NULL);
	check(&f, "a in (select a from other)", "3");
	check(&f, "exists (select 1 from other where other.a > t.a)", "12");
	check(&f, "a = (select max(a) from t)", "3");
	check(&f, "a < (with n(i) as (select 3) select i from n)", "12");
	fixture_close(&f);
}

/* What depends on no row is found once, not again for each row. */
static void test_a_subquery_is_run_once_for_all_rows(void **state)
{
	struct row_filter *filter;
	struct catalog_fixture f;
	bool is_fulfilled;
	struct error err;
	uint64_t first;

	(void)state;
	fixture_open(&f, tables);
	/* More than SQLite keeps of a database. */
	fixture_run(&f,
		    "with recursive c(i) as (select 4 union all select i + 1 from c "
		    "where i < 20000) insert into other select zeroblob(2000) from "
		    "c");
	fixture_read(&f, NULL);
	assert_int_equal(row_filter_open(memory_source_pages(f.source),
					 fixture_table(&f, "t"),
					 "a in (select a from other)", &filter, &err),
			 ST_OK);
	assert_int_equal(row_filter_ask(filter, 1, NULL, &is_fulfilled, &err), ST_OK);
	first = memory_source_gets(f.source);
	assert_int_equal(row_filter_ask(filter, 3, NULL, &is_fulfilled, &err), ST_OK);
	assert_true(is_fulfilled);
	assert_true(memory_source_gets(f.source) - first < 10);
	row_filter_close(filter);
	fixture_close(&f);
}

/* A row is looked up in the tree, whatever its key is ordered by. */
static void test_asking_for_a_row_reads_few_pages(void **state)
{
	static const char *const keys[] = {"k text primary key",
					   "k text primary key collate nocase",
					   "k text collate rtrim primary key desc"};
	struct value key = {
	    .class = VALUE_TEXT, .len = 5, .bytes = (const uint8_t *)"K7000"};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct catalog_fixture f;
		bool is_fulfilled;
		struct error err;

		fixture_open(&f, NULL);
		fixture_run(&f, "create table big(%s, v) without rowid", keys[i]);
		fixture_run(&f,
			    "with recursive c(i) as (select 1 union all select i + "
			    "1 from c where i < 9000) insert into big select 'K' || "
			    "i, zeroblob(400) from c");
		fixture_read(&f, NULL);
		assert_int_equal(ask_once(&f, "big", "length(v) = 400", 0, &key,
					  &is_fulfilled, &err),
				 ST_OK);
		assert_true(is_fulfilled);
		assert_int_equal(
		    ask_once(&f, "big", "v is null", 0, &key, &is_fulfilled, &err),
		    ST_OK);
		assert_false(is_fulfilled);
		/* Since the catalog, which reads a page or two. */
		assert_true(memory_source_gets(f.source) < 100);
		fixture_close(&f);
	}
}

static void refused(struct catalog_fixture *f, const char *table, const char *where,
		    const char *part)
{
	bool is_fulfilled;
	struct error err;

	if (ask_once(f, table, where, 1, NULL, &is_fulfilled, &err) != ST_CONFIG) {
		print_error("taken: %s\n", where);
		fail();
	}
	if (!strstr(err.text, part) || !strstr(err.text, table)) {
		print_error("%s: %s\n", where, err.text);
		fail();
	}
}

static void test_what_is_no_single_expression_is_refused(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, tables);
	fixture_read(&f, NULL);
	refused(&f, "t", "", "");
	refused(&f, "t", "-- nothing", "");
	refused(&f, "t", "1) or (1", "syntax error");
	refused(&f, "t", "1)) or ((1", "syntax error");
	refused(&f, "t", "1) then 1 else exists (select 1", "syntax error");
	refused(&f, "t", "1)) then 1 when exists (select 1 where (1", "syntax error");
	refused(&f, "t", "1; drop table t", "not one expression");
	refused(&f, "t", "1;", "");
	refused(&f, "t", "1; ", "");
	refused(&f, "t", "1) ; select (1", "syntax error");
	refused(&f, "t", "1 /*", "");
	refused(&f, "t", "1 /* )) */ /*", "");
	refused(&f, "t", "(1", "");
	refused(&f, "t", "1 -- )\n)", "syntax error");
	refused(&f, "t", "'1", "unrecognized token");
	refused(&f, "t", "1 group by a", "syntax error");
	refused(&f, "t", "1 order by a", "syntax error");
	refused(&f, "t", "1 limit 1", "syntax error");
	refused(&f, "t", "1 union select 1", "syntax error");
	refused(&f, "t", "1, 1", "");
	refused(&f, "t", "select 1", "syntax error");
	refused(&f, "t", "a = ?", "parameters");
	refused(&f, "t", "a = ?2", "parameters");
	refused(&f, "t", "a = :x", "parameters");
	refused(&f, "t", "count(*) > 1", "misuse of aggregate");
	refused(&f, "t", "missing = 1", "no such column: missing");
	refused(&f, "t", "a in (select x from nowhere)", "no such table: nowhere");
	refused(&f, "t", "load_extension('x')", "");
	refused(&f, "t", "abs(-9223372036854775808 + rowid - 1)", "integer overflow");
	/* Our own function gives no more than the key. */
	check(&f, "rowtail_key(0, 0) = a", "123");
	check(&f, "rowtail_key(0, 1) is null and rowtail_key(0, -1) is null", "123");
	fixture_close(&f);
}

static void test_rows_without_rowid_are_found_by_their_key(void **state)
{
	struct value key[] = {
	    {.class = VALUE_INTEGER, .integer = 2},
	    {.class = VALUE_TEXT, .len = 2, .bytes = (const uint8_t *)"Ab"}};
	struct value number[] = {
	    {.class = VALUE_TEXT, .len = 5, .bytes = (const uint8_t *)"seven"},
	    {.class = VALUE_INTEGER, .integer = 7}};
	struct catalog_fixture f;
	bool is_fulfilled;
	struct error err;

	(void)state;
	fixture_open(&f, tables);
	fixture_read(&f, NULL);
	assert_int_equal(ask_once(&f, "w", "v = 'p'", 0, key, &is_fulfilled, &err),
			 ST_OK);
	assert_true(is_fulfilled);
	assert_int_equal(ask_once(&f, "w", "v = 'q'", 0, key, &is_fulfilled, &err),
			 ST_OK);
	assert_false(is_fulfilled);
	assert_int_equal(ask_once(&f, "by_number", "v like 's%' and a = 7", 0, number,
				  &is_fulfilled, &err),
			 ST_OK);
	assert_true(is_fulfilled);
	key[0].integer = 3;
	assert_int_equal(ask_once(&f, "w", "1", 0, key, &is_fulfilled, &err),
			 ST_CONFIG);
	assert_non_null(strstr(err.text, "does not find"));
	fixture_close(&f);
}

/* A column has another collation than the key: rows that differ by case only. */
static void test_the_keys_own_collation_finds_the_row(void **state)
{
	struct value key = {
	    .class = VALUE_TEXT, .len = 1, .bytes = (const uint8_t *)"a"};
	struct catalog_fixture f;
	bool is_fulfilled;
	struct error err;

	(void)state;
	fixture_open(&f,
		     "create table c(k text collate nocase, v, primary key(k collate "
		     "binary)) without rowid; insert into c values('A', 1), ('a', "
		     "2)");
	fixture_read(&f, NULL);
	assert_int_equal(ask_once(&f, "c", "v = 1", 0, &key, &is_fulfilled, &err),
			 ST_OK);
	assert_false(is_fulfilled);
	assert_int_equal(ask_once(&f, "c", "v = 2", 0, &key, &is_fulfilled, &err),
			 ST_OK);
	assert_true(is_fulfilled);
	fixture_close(&f);
}

static void test_columns_may_hide_the_rowid(void **state)
{
	struct catalog_fixture f;
	bool is_fulfilled;
	struct error err;

	(void)state;
	fixture_open(
	    &f, "create table one(rowid, oid); insert into one values(5, 6);"
		"create table all3(rowid, oid, _rowid_); insert into all3 "
		"values(5, 6, 7);"
		"create table key3(rowid, oid, _rowid_, \"i\"\"d\" integer primary "
		"key); insert into key3 values(5, 6, 7, 1)");
	fixture_read(&f, NULL);
	assert_int_equal(ask_once(&f, "one", "rowid = 5 and _rowid_ = 1", 1, NULL,
				  &is_fulfilled, &err),
			 ST_OK);
	assert_true(is_fulfilled);
	assert_int_equal(
	    ask_once(&f, "key3", "rowid = 5", 1, NULL, &is_fulfilled, &err), ST_OK);
	assert_true(is_fulfilled);
	refused(&f, "all3", "rowid = 5", "hide rowid");
	fixture_close(&f);
}

static int compare_any(void *context, int a_len, const void *a, int b_len,
		       const void *b)
{
	(void)context;
	(void)a;
	(void)b;
	return a_len - b_len;
}

static void test_a_key_by_the_applications_collation_cannot_be_asked_for(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, NULL);
	sqlite3_create_collation(f.db, "mine", SQLITE_UTF8, NULL, compare_any);
	fixture_run(&f,
		    "create table c(k text collate mine primary key) without rowid");
	fixture_read(&f, NULL);
	refused(&f, "c", "1", "collation of the application's");
	fixture_close(&f);
}

static void test_a_stop_ends_what_would_not_end(void **state)
{
	struct catalog_fixture f;
	bool is_fulfilled;
	struct error err;

	(void)state;
	fixture_open(&f, tables);
	fixture_read(&f, NULL);
	stop_requested = 1;
	assert_int_equal(ask_once(&f, "t",
				  "a = (with recursive c(i) as (select 1 union all "
				  "select i + 1 from c) select max(i) from c)",
				  1, NULL, &is_fulfilled, &err),
			 ST_STOPPED);
	stop_requested = 0;
	fixture_close(&f);
}

/* One of 60 MiB is fine, one of more is not. */
static void test_a_condition_cannot_make_values_without_end(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, tables);
	fixture_read(&f, NULL);
	check(&f, "length(zeroblob(62914560)) > 0", "123");
	refused(&f, "t", "length(zeroblob(67108865)) > 0", "too big");
	refused(&f, "t", "length(hex(zeroblob(62914560))) > 0", "too big");
	fixture_close(&f);
}

static void test_an_error_of_the_page_source_is_its_own(void **state)
{
	struct catalog_fixture f;
	bool is_fulfilled;
	struct error err;
	uint8_t *page;

	(void)state;
	fixture_open(&f, tables);
	fixture_run(&f,
		    "with recursive c(i) as (select 4 union all select i + 1 from c "
		    "where i < 3000) insert into t select i, i from c");
	fixture_read(&f, NULL);
	/* The right-most child lies past the end. */
	page = memory_source_edit(f.source, fixture_table(&f, "t")->root_page);
	memset(page + 8, 0x10, 4);
	assert_int_not_equal(ask_once(&f, "t", "1", 2999, NULL, &is_fulfilled, &err),
			     ST_OK);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_condition_is_what_sqlite_takes_it_for),
	    cmocka_unit_test(test_a_condition_may_ask_other_tables),
	    cmocka_unit_test(test_a_subquery_is_run_once_for_all_rows),
	    cmocka_unit_test(test_asking_for_a_row_reads_few_pages),
	    cmocka_unit_test(test_what_is_no_single_expression_is_refused),
	    cmocka_unit_test(test_rows_without_rowid_are_found_by_their_key),
	    cmocka_unit_test(test_the_keys_own_collation_finds_the_row),
	    cmocka_unit_test(test_columns_may_hide_the_rowid),
	    cmocka_unit_test(
		test_a_key_by_the_applications_collation_cannot_be_asked_for),
	    cmocka_unit_test(test_a_stop_ends_what_would_not_end),
	    cmocka_unit_test(test_a_condition_cannot_make_values_without_end),
	    cmocka_unit_test(test_an_error_of_the_page_source_is_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
