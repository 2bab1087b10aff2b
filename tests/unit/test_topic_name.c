/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/topic_name.h"

static void check(const char *prefix, const char *delimiter, const char *table,
		  const char *expected)
{
	struct buffer b;

	buffer_init(&b);
	buffer_add_str(&b, "before ");
	topic_name_add(&b, prefix, delimiter, table);
	buffer_add_char(&b, '\0');
	assert_true(buffer_ok(&b));
	assert_string_equal(b.bytes + strlen("before "), expected);
	buffer_clear(&b);
}

static void test_topic_name_joins_prefix_and_table(void **state)
{
	(void)state;
	check("app", ".", "orders", "app.orders");
	check("app", "-_-", "orders", "app-_-orders");
	check("app", ".", "A-Z_a.z0", "app.A-Z_a.z0");
}

static void test_topic_name_leaves_blank_parts_out(void **state)
{
	(void)state;
	check("app", ".", "", "app");
	check("", ".", "orders", "orders");
}

static void test_topic_name_replaces_each_utf16_unit(void **state)
{
	(void)state;
	/* As the reference connector wrote it. */
	check("srv1.public", ".", "Weird-Täble x.$1", "srv1.public.Weird-T_ble_x._1");
	check("p", ".", "日本", "p.__");
	check("p", ".", "a\xF0\x9F\x98\x80z", "p.a__z"); /* a surrogate pair */
	check("p", ".", "a\nb\"c\\d/e", "p.a_b_c_d_e");
}

static void test_topic_name_counts_broken_utf8_as_one_replacement_each(void **state)
{
	(void)state;
	check("p", ".", "a\xFFz", "p.a_z");
	check("p", ".", "a\xE6\x97z", "p.a_z");       /* a cut sequence is one */
	check("p", ".", "a\xED\xA0\x80z", "p.a___z"); /* a surrogate is three */
}

static void test_topic_name_is_cut_at_249(void **state)
{
	char table[400];
	char expected[TOPIC_NAME_MAX + 1];

	(void)state;
	memset(table, 'x', sizeof table);
	table[sizeof table - 1] = '\0';
	memset(expected, 'x', sizeof expected);
	memcpy(expected, "p.", 2);
	expected[TOPIC_NAME_MAX] = '\0';
	check("p", ".", table, expected);
	/* A surrogate pair across the border is cut in half. */
	memcpy(table + TOPIC_NAME_MAX - 3, "\xF0\x9F\x98\x80", 5);
	expected[TOPIC_NAME_MAX - 1] = '_';
	check("p", ".", table, expected);
}

static void test_topic_name_is_never_a_dot_or_two(void **state)
{
	(void)state;
	check(".", ".", "", "_");
	check("..", ".", "", "__");
	check("...", ".", "", "...");
	check("", ".", "..", "__");
	check("", ".", ".a", ".a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_topic_name_joins_prefix_and_table),
	    cmocka_unit_test(test_topic_name_leaves_blank_parts_out),
	    cmocka_unit_test(test_topic_name_replaces_each_utf16_unit),
	    cmocka_unit_test(
		test_topic_name_counts_broken_utf8_as_one_replacement_each),
	    cmocka_unit_test(test_topic_name_is_cut_at_249),
	    cmocka_unit_test(test_topic_name_is_never_a_dot_or_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
