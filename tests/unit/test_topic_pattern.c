/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/topic_pattern.h"

static enum status open_one(const char *regex, const char *replacement,
			    struct topic_pattern **out, struct error *err)
{
	return topic_pattern_open(
	    (struct topic_pattern_text){"t.regex", regex},
	    (struct topic_pattern_text){"t.replacement", replacement}, out, err);
}

/* NULL: it does not match. */
static void check(const char *regex, const char *replacement, const char *topic,
		  const char *expected)
{
	struct topic_pattern *pattern;
	struct buffer out;
	struct error err;
	bool matches;

	if (open_one(regex, replacement, &pattern, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	buffer_init(&out);
	assert_int_equal(topic_pattern_apply(pattern,
					     (struct span){topic, strlen(topic)},
					     &matches, &out, &err),
			 ST_OK);
	assert_int_equal(matches, expected != NULL);
	buffer_add_char(&out, '\0');
	assert_string_equal(out.bytes, expected ? expected : "");
	buffer_clear(&out);
	topic_pattern_close(pattern);
}

static void check_refused(const char *regex, const char *replacement, const char *text)
{
	struct topic_pattern *pattern;
	struct error err;

	assert_int_equal(open_one(regex, replacement, &pattern, &err), ST_CONFIG);
	if (!strstr(err.text, text)) {
		fail_msg("\"%s\" has no \"%s\"", err.text, text);
	}
}

static void test_a_topic_that_matches_as_a_whole_is_replaced(void **state)
{
	(void)state;
	check("srv\\.(.*)", "$1", "srv.orders", "orders");
	check("srv\\.(.*)", "$1", "srv", NULL);
	check("rv\\.(.*)", "$1", "srv.orders", NULL);
	check("SRV\\.(.*)", "$1", "srv.orders", NULL);
	check("(?i)SRV\\.(.*)", "$1", "srv.orders", "orders");
	check(".*", "", "srv.orders", "");
	check("", "x", "srv", NULL);
}

/* As Java's replaceFirst looks for it: from the left, not for the whole again. */
static void test_what_is_found_first_is_replaced(void **state)
{
	(void)state;
	check("a|ab", "x", "ab", "xb");
	check(".*?", "x", "ab", "xab");
	check(".*", "x", "ab", "x");
	check("(?=(ab))ab|ab", "<$1>", "ab", "<ab>");
}

static void test_groups_are_named_by_number_or_by_name(void **state)
{
	(void)state;
	check("(a)(b)(c)", "$3$1$2", "abc", "cab");
	check("(a)(b)", "$0-$0", "ab", "ab-ab");
	check("(a)(b)", "$10$21", "ab", "a0b1");
	check("(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)", "$10$1", "abcdefghij", "ja");
	check("(?<first>a)(?<b2>b)", "${b2}${first}", "ab", "ba");
	check("(a)(x)?b", "[$2]$1", "ab", "[]a");
	check("ab", "\\$1\\\\", "ab", "$1\\");
	check("ab", "x\\y", "ab", "xy");
}

static void test_what_cannot_be_meant_is_refused(void **state)
{
	(void)state;
	check_refused("(a", "x", "t.regex: \"(a\" does not compile at place 3");
	check_refused("a", "$1",
		      "t.replacement: \"$1\" at place 2: the expression has "
		      "no such group");
	check_refused("(a)", "x$2", "at place 3");
	check_refused("a", "$", "place 2");
	check_refused("a", "$x", "place 2");
	check_refused("a", "${x", "not complete");
	check_refused("a", "${}", "not complete");
	check_refused("(?<x>a)", "${y}", "no group of that name");
	check_refused("a", "x\\", "at place 2: a character belongs behind");
}

static void test_a_match_that_takes_too_long_is_an_error(void **state)
{
	const struct span topic = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 36};
	struct topic_pattern *pattern;
	struct buffer out;
	struct error err;
	bool matches;

	(void)state;
	assert_int_equal(open_one("(a+)+", "x", &pattern, &err), ST_OK);
	buffer_init(&out);
	assert_int_equal(topic_pattern_apply(pattern, topic, &matches, &out, &err),
			 ST_CONFIG);
	assert_non_null(strstr(err.text, "cannot be decided"));
	assert_non_null(strstr(err.text, "t.regex"));
	buffer_clear(&out);
	topic_pattern_close(pattern);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_topic_that_matches_as_a_whole_is_replaced),
	    cmocka_unit_test(test_what_is_found_first_is_replaced),
	    cmocka_unit_test(test_groups_are_named_by_number_or_by_name),
	    cmocka_unit_test(test_what_cannot_be_meant_is_refused),
	    cmocka_unit_test(test_a_match_that_takes_too_long_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
