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

/* Why the table is left out; NULL: it is wanted. */
static const char *reason_for(const struct table_filter *filter, const char *name,
			      bool is_system)
{
	const char *reason = "untouched";
	struct error err;

	if (table_filter_reason(filter, name, is_system, &reason, &err) != ST_OK) {
		print_error("%s\n", err.text);
		fail();
	}
	return reason;
}

static void check_include(const char *list, const char *name, int is_wanted)
{
	struct table_filter *filter = open_filter(list, NULL);
	const char *reason = reason_for(filter, name, false);

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
	assert_null(reason_for(filter, "orders", false));
	assert_string_equal(reason_for(filter, "log_1", false),
			    "in table.exclude.list");
	assert_string_equal(reason_for(filter, "TMP", false), "in table.exclude.list");
	assert_non_null(reason_for(filter, "sqlite_stat1", true));
	table_filter_close(filter);
}

static void test_system_tables_are_named_plainly(void **state)
{
	struct table_filter *filter = open_filter("sqlite_.*,.*", NULL);

	(void)state;
	assert_non_null(reason_for(filter, "sqlite_sequence", true));
	assert_null(reason_for(filter, "orders", false));
	table_filter_close(filter);
	filter = open_filter(".*, SQLITE_sequence", NULL);
	assert_null(reason_for(filter, "sqlite_sequence", true));
	assert_non_null(reason_for(filter, "sqlite_stat1", true));
	table_filter_close(filter);
	/* A pattern with a metacharacter names nothing, even if it matches one name. */
	filter = open_filter("docs_conten[t]", NULL);
	assert_non_null(reason_for(filter, "docs_content", true));
	table_filter_close(filter);
	filter = open_filter(NULL, "sqlite_sequence");
	assert_non_null(reason_for(filter, "sqlite_sequence", true));
	table_filter_close(filter);
}

static void test_no_filter_wants_all_but_system_tables(void **state)
{
	(void)state;
	assert_null(reason_for(NULL, "orders", false));
	assert_non_null(reason_for(NULL, "sqlite_sequence", true));
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

/* A name on which "(([a-z]+_?)+[0-9]|.*password)" tries more ways than anybody waits.
 */
static const char hostile[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_password";

static void check_undecided(const char *include, const char *exclude, const char *name,
			    const char *property)
{
	struct table_filter *filter = open_filter(include, exclude);
	const char *reason = "untouched";
	struct error err;

	assert_int_equal(table_filter_reason(filter, name, false, &reason, &err),
			 ST_CONFIG);
	assert_string_equal(reason, "untouched");
	assert_non_null(strstr(err.text, property));
	assert_non_null(strstr(err.text, "cannot be decided"));
	table_filter_close(filter);
}

static void test_a_match_that_is_given_up_is_no_answer(void **state)
{
	struct table_filter *filter;
	const char *reason;
	struct error err;

	(void)state;
	check_undecided(NULL, "(([a-z]+_?)+[0-9]|.*password)", hostile,
			"table.exclude.list");
	check_undecided("(([a-z]+_?)+[0-9]|.*password)", NULL, hostile,
			"table.include.list");
	/* Whatever the pattern itself allows. */
	check_undecided(NULL, "(*LIMIT_MATCH=1).*word", hostile, "table.exclude.list");
	check_undecided(NULL, "(*LIMIT_DEPTH=1)(a|b)+(c|d)+", "ababcdcd",
			"table.exclude.list");
	check_undecided(NULL, "(*LIMIT_HEAP=0)((a|b)(?1)?)x", "aaaaaaaaaaaaaaaaaaaaaa",
			"table.exclude.list");
	check_undecided(NULL, "([a-z]_?|(?R))+[0-9]", hostile, "table.exclude.list");
	/* The text has the pattern and the name. */
	filter = open_filter(NULL, "(a+)+[0-9]");
	assert_int_equal(table_filter_reason(filter, hostile, false, &reason, &err),
			 ST_CONFIG);
	assert_non_null(strstr(err.text, "\"(a+)+[0-9]\""));
	assert_non_null(strstr(err.text, hostile));
	/* No pattern names a table of SQLite's own by chance. */
	assert_non_null(reason_for(filter, hostile, true));
	table_filter_close(filter);
}

static void test_what_another_pattern_lists_is_decided(void **state)
{
	struct table_filter *filter = open_filter(NULL, "(([a-z]+_?)+[0-9]),.*word");

	(void)state;
	assert_non_null(reason_for(filter, hostile, false));
	table_filter_close(filter);
	filter = open_filter(".*word,(([a-z]+_?)+[0-9])", NULL);
	assert_null(reason_for(filter, hostile, false));
	table_filter_close(filter);
}

static void test_names_that_are_no_text_are_matched_as_they_are_shown(void **state)
{
	struct table_filter *filter = open_filter(NULL, ".*password,x\\x{FFFD}y");

	(void)state;
	assert_non_null(reason_for(filter, "\xff\xfepassword", false));
	assert_non_null(reason_for(filter, "a\xe2\x82password", false));
	assert_non_null(reason_for(filter, "a\npassword", false));
	assert_non_null(reason_for(filter, "a\xe2\x80\xa8password", false));
	assert_non_null(reason_for(filter, "x\xf0\x9fy", false));
	assert_null(reason_for(filter, "x\xff\xffy", false));
	assert_null(reason_for(filter, "password\n", false));
	table_filter_close(filter);
}

static void test_tables_of_other_programs_are_named_plainly_too(void **state)
{
	static const char *const names[] = {"_copy_seq", "_copy_lock", NULL};
	static const char *const lists[][2] = {
	    {NULL, NULL}, {".*", NULL}, {"x", NULL}, {NULL, ".*_seq"}, {NULL, "x"}};

	(void)state;
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		struct table_filter *filter = open_filter(lists[i][0], lists[i][1]);

		table_filter_leave_out(filter, names, "of others");
		assert_string_equal(reason_for(filter, "_Copy_seq", false),
				    "of others");
		assert_string_equal(reason_for(filter, "_copy_lock", false),
				    "of others");
		table_filter_close(filter);
	}
	struct table_filter *filter = open_filter("t.*,_copy_seq", NULL);

	table_filter_leave_out(filter, names, "of others");
	assert_null(reason_for(filter, "_copy_seq", false));
	assert_string_equal(reason_for(filter, "_copy_lock", false), "of others");
	assert_null(reason_for(filter, "t_copy_lock", false));
	table_filter_close(filter);
}

static void test_long_names_are_matched(void **state)
{
	struct table_filter *filter = open_filter(NULL, ".*_id");
	static char name[60000];

	(void)state;
	memset(name, 'a', sizeof name - 1);
	assert_null(reason_for(filter, name, false));
	memcpy(name + sizeof name - 4, "_id", 3);
	assert_non_null(reason_for(filter, name, false));
	assert_null(reason_for(filter, "", false));
	table_filter_close(filter);
	filter = open_filter(".*", NULL);
	assert_null(reason_for(filter, "", false));
	table_filter_close(filter);
}

static void test_a_table_that_is_wanted_is_so_whatever_the_lists_say(void **state)
{
	struct table_filter *filter;
	const char *reason = "";
	struct error err;

	(void)state;
	assert_int_equal(table_filter_open("orders", NULL, &filter, &err), ST_OK);
	table_filter_want(filter, "who");
	assert_int_equal(table_filter_reason(filter, "WHO", false, &reason, &err),
			 ST_OK);
	assert_null(reason);
	assert_int_equal(table_filter_reason(filter, "who", true, &reason, &err),
			 ST_OK);
	assert_non_null(reason);
	assert_int_equal(table_filter_reason(filter, "whose", false, &reason, &err),
			 ST_OK);
	assert_non_null(reason);
	table_filter_close(filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_table_that_is_wanted_is_so_whatever_the_lists_say),
	    cmocka_unit_test(test_patterns_match_whole_names_in_any_case),
	    cmocka_unit_test(test_lists_are_split_at_commas),
	    cmocka_unit_test(test_exclude_list),
	    cmocka_unit_test(test_system_tables_are_named_plainly),
	    cmocka_unit_test(test_no_filter_wants_all_but_system_tables),
	    cmocka_unit_test(test_a_pattern_that_does_not_compile_is_shown),
	    cmocka_unit_test(test_a_match_that_is_given_up_is_no_answer),
	    cmocka_unit_test(test_what_another_pattern_lists_is_decided),
	    cmocka_unit_test(test_names_that_are_no_text_are_matched_as_they_are_shown),
	    cmocka_unit_test(test_tables_of_other_programs_are_named_plainly_too),
	    cmocka_unit_test(test_long_names_are_matched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
