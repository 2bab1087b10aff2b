/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/table_filter.h"

static struct table_filter *open_filter(const char *include, const char *exclude)
{
	struct table_filter *filter = NULL;
	struct error err = {.text = ""};

	if (table_filter_open(include, exclude, &filter, &err) != ST_OK) {
		print_error("%s\n", err.text);
		fail();
	}
	return filter;
}

static void check_include(const char *list, const char *name, int is_wanted)
{
	struct table_filter *filter = open_filter(list, NULL);
	const char *reason = table_filter_reason(filter, name, false);

	if (is_wanted) {
		assert_null(reason);
	} else {
		assert_string_equal(reason, "not in table.include.list");
	}
	table_filter_close(filter);
}

static void test_patterns_match_whole_names_in_any_case(void **state)
{
	(void)state;
	check_include("orders", "orders", 1);
	check_include("orders", "ORDERS", 1);
	check_include("orders", "orders2", 0);
	check_include("orders", "my_orders", 0);
	check_include("a|orders", "orders", 1);
	check_include("a|ab", "ab", 1);
	check_include("a|ab", "abc", 0);
	check_include("orders.*", "orders_2026", 1);
	check_include("b\xc3\xa4r", "B\xc3\x84R", 1);
	check_include("", "anything", 1);
}

static void test_lists_are_split_at_commas(void **state)
{
	(void)state;
	check_include("a,b", "b", 1);
	check_include(" a , b ", "b", 1);
	check_include("a,,b,", "b", 1);
	check_include("a,b", "a,b", 0);
	check_include("a\\,b", "a,b", 1);
	check_include("x{1\\,2}", "xx", 1);
	check_include("x{1\\,2}", "xxx", 0);
	check_include("a\\\\,b", "b", 1);
	check_include("a\\\\,b", "a\\", 1);
	check_include("a\\.b", "a.b", 1);
	check_include("a\\.b", "axb", 0);
}

static void test_exclude_list(void **state)
{
	struct table_filter *filter = open_filter(NULL, "log_.*,tmp");

	(void)state;
	assert_null(table_filter_reason(filter, "orders", false));
	assert_string_equal(table_filter_reason(filter, "log_1", false),
			    "in table.exclude.list");
	assert_string_equal(table_filter_reason(filter, "TMP", false),
			    "in table.exclude.list");
	assert_non_null(table_filter_reason(filter, "sqlite_stat1", true));
	table_filter_close(filter);
}

static void test_system_tables_are_named_plainly(void **state)
{
	struct table_filter *filter = open_filter("sqlite_.*,.*", NULL);

	(void)state;
	assert_non_null(table_filter_reason(filter, "sqlite_sequence", true));
	assert_null(table_filter_reason(filter, "orders", false));
	table_filter_close(filter);
	filter = open_filter(".*, SQLITE_sequence", NULL);
	assert_null(table_filter_reason(filter, "sqlite_sequence", true));
	assert_non_null(table_filter_reason(filter, "sqlite_stat1", true));
	table_filter_close(filter);
	/* A pattern with a metacharacter names nothing, even if it matches one name. */
	filter = open_filter("docs_conten[t]", NULL);
	assert_non_null(table_filter_reason(filter, "docs_content", true));
	table_filter_close(filter);
	filter = open_filter(NULL, "sqlite_sequence");
	assert_non_null(table_filter_reason(filter, "sqlite_sequence", true));
	table_filter_close(filter);
}

static void test_no_filter_wants_all_but_system_tables(void **state)
{
	(void)state;
	assert_null(table_filter_reason(NULL, "orders", false));
	assert_non_null(table_filter_reason(NULL, "sqlite_sequence", true));
	table_filter_close(NULL);
}

static void test_a_pattern_that_does_not_compile_is_shown(void **state)
{
	struct table_filter *filter = NULL;
	struct error err;

	(void)state;
	assert_int_equal(table_filter_open("a,b(c", NULL, &filter, &err), ST_CONFIG);
	assert_null(filter);
	assert_non_null(strstr(err.text, "table.include.list"));
	assert_non_null(strstr(err.text, "\"b(c\""));
	assert_non_null(strstr(err.text, "place 4"));
	assert_int_equal(table_filter_open(NULL, "\xff", &filter, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "table.exclude.list"));
	assert_int_equal(table_filter_open("a", "b", &filter, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "table.include.list"));
	assert_non_null(strstr(err.text, "table.exclude.list"));
}

static void test_hostile_names_do_no_harm(void **state)
{
	struct table_filter *filter = open_filter("(a+)+b", NULL);
	char name[4000];

	(void)state;
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_non_null(table_filter_reason(filter, name, false));
	assert_non_null(table_filter_reason(filter, "\xff\xfe", false));
	assert_non_null(table_filter_reason(filter, "", false));
	table_filter_close(filter);
	filter = open_filter(".*", NULL);
	assert_null(table_filter_reason(filter, "", false));
	table_filter_close(filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_patterns_match_whole_names_in_any_case),
	    cmocka_unit_test(test_lists_are_split_at_commas),
	    cmocka_unit_test(test_exclude_list),
	    cmocka_unit_test(test_system_tables_are_named_plainly),
	    cmocka_unit_test(test_no_filter_wants_all_but_system_tables),
	    cmocka_unit_test(test_a_pattern_that_does_not_compile_is_shown),
	    cmocka_unit_test(test_hostile_names_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
