/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/config/nearest_name.h"

static void check(const char *wanted, const char *one, const char *other,
		  const char *expected)
{
	struct nearest_name n;

	nearest_name_init(&n, wanted);
	nearest_name_offer(&n, one, 0);
	nearest_name_offer(&n, other, 0);
	if (!expected) {
		assert_null(n.nearest);
		return;
	}
	assert_non_null(n.nearest);
	assert_string_equal(n.nearest, expected);
}

static void test_the_nearest_of_those_offered_is_kept(void **state)
{
	(void)state;
	check("ordrs", "orders", "others", "orders");
	check("ordrs", "others", "orders", "orders");
	check("ORDERS", "border", "orders", "orders");
	check("orders", "orders", "orders", "orders");
}

static void test_what_is_far_is_no_advice(void **state)
{
	(void)state;
	check("read.only", "signal.file", "name", NULL);
	check("t", "u", "v", NULL);
	check("", "a", "", "");
	check("abcdef", "abxxxx", "xxcdxx", NULL);
}

static void test_a_handicap_yields_to_what_is_as_near(void **state)
{
	struct nearest_name n;

	(void)state;
	nearest_name_init(&n, "topic.prefx");
	nearest_name_offer(&n, "topic.prefx1", 3);
	nearest_name_offer(&n, "topic.prefix", 0);
	assert_string_equal(n.nearest, "topic.prefix");
}

static void test_names_of_any_length_are_compared(void **state)
{
	char longer[1000];

	(void)state;
	memset(longer, 'a', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	check(longer, "a", "b", NULL);
	check("a", longer, longer, NULL);
	check(longer, longer, "b", longer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_nearest_of_those_offered_is_kept),
	    cmocka_unit_test(test_what_is_far_is_no_advice),
	    cmocka_unit_test(test_a_handicap_yields_to_what_is_as_near),
	    cmocka_unit_test(test_names_of_any_length_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
