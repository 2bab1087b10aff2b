/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/decode/snapshot.h"
#include "tests/lib/catalog_fixture.h"

struct record {
	char text[512]; /* what came: "table: rowid marker, …" */
	size_t stop_after;
	size_t rows;
	uint64_t rows_reported;
	uint64_t pages_reported;
};

static void note(struct record *record, const char *text)
{
	assert_true(strlen(record->text) + strlen(text) < sizeof record->text);
	strcat(record->text, text);
}

static enum status on_table(void *context, const struct table *table, struct error *err)
{
	(void)err;
	note(context, table->name);
	note(context, ": ");
	return ST_OK;
}

static const char *mark_name(enum snapshot_mark mark)
{
	switch (mark) {
	case SNAPSHOT_TRUE:
		return "true";
	case SNAPSHOT_FIRST:
		return "first";
	case SNAPSHOT_FIRST_IN_DATA_COLLECTION:
		return "first_in";
	case SNAPSHOT_LAST_IN_DATA_COLLECTION:
		return "last_in";
	case SNAPSHOT_LAST:
		return "last";
	default:
		return "?";
	}
}

static enum status on_change(void *context, const struct change *change,
			     struct error *err)
{
	struct record *record = context;
	char text[64];

	assert_int_equal(change->op, CHANGE_READ);
	assert_null(change->before);
	assert_non_null(change->after);
	if (record->rows++ == record->stop_after) {
		return error_set(err, ST_STOPPED, "enough");
	}
	(void)snprintf(text, sizeof text, "%lld %s, ", (long long)change->rowid,
		       mark_name(change->snapshot));
	note(record, text);
	return ST_OK;
}

static void on_progress(void *context, uint64_t rows, uint64_t pages,
			uint64_t page_count)
{
	struct record *record = context;

	assert_true(pages <= page_count);
	record->rows_reported = rows;
	record->pages_reported = pages;
}

static enum status run(struct catalog_fixture *f, struct record *record,
		       struct error *err)
{
	struct snapshot_events events = {.context = record,
					 .table = on_table,
					 .change = on_change,
					 .progress = on_progress};
	enum status status = snapshot_run(memory_source_pages(f->source), f->catalog,
					  NULL, 0, &events, err);

	assert_int_equal(memory_source_pins(f->source), 0);
	return status;
}

static void check(const char *sql, const char *expected)
{
	struct record record = {.stop_after = SIZE_MAX};
	struct catalog_fixture f;
	struct error err;

	fixture_open(&f, sql);
	fixture_read(&f, NULL);
	assert_int_equal(run(&f, &record, &err), ST_OK);
	assert_string_equal(record.text, expected);
	assert_int_equal(record.rows_reported, record.rows);
	assert_int_equal(record.pages_reported,
			 memory_source_pages(f.source)->page_count);
	fixture_close(&f);
}

static void test_snapshot_marks_first_and_last_of_all_and_of_each_table(void **state)
{
	(void)state;
	check("create table b(x); create table a(x); create table c(x);"
	      "insert into a values (1), (2), (3); insert into b values (1), (2), (3);"
	      "insert into c values (1), (2), (3)",
	      "a: 1 first, 2 true, 3 last_in, b: 1 first_in, 2 true, 3 last_in, "
	      "c: 1 first_in, 2 true, 3 last, ");
}

static void test_snapshot_of_one_row_is_last(void **state)
{
	(void)state;
	check("create table a(x); insert into a values (1)", "a: 1 last, ");
}

static void test_snapshot_of_a_table_of_one_row_is_last_in_it(void **state)
{
	(void)state;
	check("create table a(x); create table b(x); create table c(x);"
	      "insert into a values (1); insert into b values (1);"
	      "insert into c values (1), (2)",
	      "a: 1 first, b: 1 last_in, c: 1 first_in, 2 last, ");
}

static void test_snapshot_passes_empty_tables_over(void **state)
{
	(void)state;
	check("create table a(x); create table b(x); create table c(x);"
	      "insert into b values (1), (2)",
	      "b: 1 first, 2 last, ");
	check("create table a(x)", "");
	check("pragma user_version = 1", "");
}

static void test_snapshot_leaves_tables_of_sqlite_out(void **state)
{
	(void)state;
	check("create table a(id integer primary key autoincrement);"
	      "insert into a values (7); analyze",
	      "a: 7 last, ");
}

static void test_snapshot_leaves_the_context_out(void **state)
{
	struct record record = {.stop_after = SIZE_MAX};
	struct catalog_fixture f;
	struct error err;

	(void)state;
	fixture_open(&f, "create table a(x); create table who(x);"
			 "insert into a values (1); insert into who values (2)");
	fixture_read(&f, NULL);
	fixture_table(&f, "who")->is_context = true;
	assert_int_equal(run(&f, &record, &err), ST_OK);
	assert_string_equal(record.text, "a: 1 last, ");
	fixture_close(&f);
}

static void test_snapshot_ends_with_the_status_of_an_event(void **state)
{
	struct record record = {.stop_after = 1};
	struct catalog_fixture f;
	struct error err;

	(void)state;
	fixture_open(&f, "create table a(x); insert into a values (1), (2), (3)");
	fixture_read(&f, NULL);
	assert_int_equal(run(&f, &record, &err), ST_STOPPED);
	assert_string_equal(record.text, "a: 1 first, ");
	fixture_close(&f);
}

static void test_snapshot_names_the_table_of_a_broken_page(void **state)
{
	struct record record = {.stop_after = SIZE_MAX};
	struct catalog_fixture f;
	struct error err;

	(void)state;
	fixture_open(&f, "create table a(x); create table broken(x);"
			 "insert into a values (1)");
	fixture_read(&f, NULL);
	memset(memory_source_edit(f.source, fixture_table(&f, "broken")->root_page), 7,
	       16);
	assert_int_equal(run(&f, &record, &err), ST_CORRUPT);
	assert_non_null(strstr(err.text, "broken"));
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		test_snapshot_marks_first_and_last_of_all_and_of_each_table),
	    cmocka_unit_test(test_snapshot_of_one_row_is_last),
	    cmocka_unit_test(test_snapshot_of_a_table_of_one_row_is_last_in_it),
	    cmocka_unit_test(test_snapshot_passes_empty_tables_over),
	    cmocka_unit_test(test_snapshot_leaves_tables_of_sqlite_out),
	    cmocka_unit_test(test_snapshot_leaves_the_context_out),
	    cmocka_unit_test(test_snapshot_ends_with_the_status_of_an_event),
	    cmocka_unit_test(test_snapshot_names_the_table_of_a_broken_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
