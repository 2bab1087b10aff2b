/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schemas/name_adjustment.h"

static void check(const char *name, enum name_adjustment mode, bool is_field,
		  const char *expected)
{
	struct buffer b;

	buffer_init(&b);
	name_adjustment_add(&b, name, mode, is_field);
	buffer_add_char(&b, '\0');
	assert_true(buffer_ok(&b));
	assert_string_equal(b.bytes, expected);
	buffer_clear(&b);
}

static void test_none_leaves_names_alone(void **state)
{
	(void)state;
	check("1 a-\xC3\xA9.", NAMES_AS_THEY_ARE, true, "1 a-\xC3\xA9.");
}

/* "a-b c" is from records of Debezium's PostgreSQL connector. */
static void test_avro_makes_underscores(void **state)
{
	(void)state;
	check("a-b c", NAMES_AVRO, true, "a_b_c");
	check("srv1.a-b", NAMES_AVRO, false, "srv1.a_b");
	check("srv1.a", NAMES_AVRO, true, "srv1_a");
	check("2nd", NAMES_AVRO, true, "_2nd");
	check("a_1", NAMES_AVRO, true, "a_1");
	check(".a", NAMES_AVRO, false, "_a");
	check("\xF0\x9F\x98\x80", NAMES_AVRO, true, "__"); /* two UTF-16 units */
	check("", NAMES_AVRO, true, "");
}

static void test_avro_unicode_names_each_unit(void **state)
{
	(void)state;
	check("a-b c", NAMES_AVRO_UNICODE, true, "a_u002db_u0020c");
	check("a_b", NAMES_AVRO_UNICODE, true, "a_u005fb");
	check("2nd", NAMES_AVRO_UNICODE, true, "_u0032nd");
	check("\xCE\xB1", NAMES_AVRO_UNICODE, true, "_u3b1");
	check("\xF0\x9F\x98\x80", NAMES_AVRO_UNICODE, true, "_ud83d_ude00");
	check("srv-1.a", NAMES_AVRO_UNICODE, false, "srv_u002d1.a");
	check("a\xFF", NAMES_AVRO_UNICODE, true, "a_ufffd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_none_leaves_names_alone),
	    cmocka_unit_test(test_avro_makes_underscores),
	    cmocka_unit_test(test_avro_unicode_names_each_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
