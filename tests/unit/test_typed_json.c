/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/typed_json.h"

static struct value integer(int64_t v)
{
	return (struct value){.class = VALUE_INTEGER, .integer = v};
}

static struct value real(double v)
{
	return (struct value){.class = VALUE_REAL, .real = v};
}

static struct value bytes(enum value_class class, const char *s, size_t len)
{
	return (struct value){
	    .class = class, .len = (uint32_t)len, .bytes = (const uint8_t *)s};
}

static struct value text(const char *s)
{
	return bytes(VALUE_TEXT, s, strlen(s));
}

/* `expected` NULL: it does not fit, and is printed as null. */
static void check_in(enum text_encoding encoding, struct value value,
		     enum connect_type type, const char *expected)
{
	struct buffer b;
	char *p;

	buffer_init(&b);
	assert_true(buffer_reserve(&b, JSON_NUMBER_MAX));
	p = typed_put_value(&b, b.bytes, &value, type, encoding, BINARY_BYTES,
			    JSON_NUMBER_MAX);
	assert_non_null(p);
	*p = '\0';
	assert_string_equal(b.bytes, expected ? expected : "null");
	assert_int_equal(typed_fits(&value, type, encoding), expected != NULL);
	buffer_clear(&b);
}

static void check(struct value value, enum connect_type type, const char *expected)
{
	check_in(TEXT_UTF8, value, type, expected);
}

static void test_null_is_null_in_every_type(void **state)
{
	struct value null = {.class = VALUE_NULL};

	(void)state;
	for (int type = CONNECT_STRING; type <= CONNECT_BYTES; type++) {
		check(null, (enum connect_type)type, "null");
	}
}

static void test_int64_takes_whole_numbers(void **state)
{
	(void)state;
	check(integer(INT64_MIN), CONNECT_INT64, "-9223372036854775808");
	check(real(-2.0), CONNECT_INT64, "-2");
	check(real(-9223372036854775808.0), CONNECT_INT64, "-9223372036854775808");
	check(real(9223372036854775808.0), CONNECT_INT64, NULL);
	check(real(2.5), CONNECT_INT64, NULL);
	check(real(HUGE_VAL), CONNECT_INT64, NULL);
	check(text("12"), CONNECT_INT64, NULL);
	check(bytes(VALUE_BLOB, "12", 2), CONNECT_INT64, NULL);
}

static void test_double_takes_finite_numbers(void **state)
{
	(void)state;
	check(integer(5), CONNECT_DOUBLE, "5.0");
	check(integer(INT64_MAX), CONNECT_DOUBLE, "9.223372036854776e18");
	check(real(0.1), CONNECT_DOUBLE, "0.1");
	check(real(HUGE_VAL), CONNECT_DOUBLE, NULL);
	check(real(-HUGE_VAL), CONNECT_DOUBLE, NULL);
	check(text("0.1"), CONNECT_DOUBLE, NULL);
	check(bytes(VALUE_BLOB, "", 0), CONNECT_DOUBLE, NULL);
}

static void test_boolean_takes_what_stands_for_it(void **state)
{
	(void)state;
	check(integer(0), CONNECT_BOOLEAN, "false");
	check(integer(1), CONNECT_BOOLEAN, "true");
	check(integer(2), CONNECT_BOOLEAN, NULL);
	check(integer(-1), CONNECT_BOOLEAN, NULL);
	check(real(1.0), CONNECT_BOOLEAN, "true");
	check(real(0.5), CONNECT_BOOLEAN, NULL);
	check(text("t"), CONNECT_BOOLEAN, "true");
	check(text("False"), CONNECT_BOOLEAN, "false");
	check(text("yes"), CONNECT_BOOLEAN, NULL);
	check(text(""), CONNECT_BOOLEAN, NULL);
	check(bytes(VALUE_BLOB, "t", 1), CONNECT_BOOLEAN, NULL);
	check_in(TEXT_UTF16LE, bytes(VALUE_TEXT, "T\0", 2), CONNECT_BOOLEAN, "true");
	check_in(TEXT_UTF16BE, bytes(VALUE_TEXT, "\0f", 2), CONNECT_BOOLEAN, "false");
	check_in(TEXT_UTF16LE, bytes(VALUE_TEXT, "t\1", 2), CONNECT_BOOLEAN, NULL);
	check_in(TEXT_UTF16LE, bytes(VALUE_TEXT, "t", 1), CONNECT_BOOLEAN, NULL);
}

static void test_string_takes_everything(void **state)
{
	(void)state;
	check(integer(-7), CONNECT_STRING, "\"-7\"");
	check(real(2), CONNECT_STRING, "\"2.0\"");
	check(real(HUGE_VAL), CONNECT_STRING, "\"Infinity\"");
	check(real(-HUGE_VAL), CONNECT_STRING, "\"-Infinity\"");
	check(text("a\"b"), CONNECT_STRING, "\"a\\\"b\"");
	check(bytes(VALUE_BLOB, "\xDE\xAD", 2), CONNECT_STRING, "\"3q0=\"");
}

static void test_bytes_take_everything(void **state)
{
	(void)state;
	check(bytes(VALUE_BLOB, "\xDE\xAD", 2), CONNECT_BYTES, "\"3q0=\"");
	check(text("foo"), CONNECT_BYTES, "\"Zm9v\"");
	check(integer(5), CONNECT_BYTES, "\"NQ==\"");
	check(real(HUGE_VAL), CONNECT_BYTES, "\"SW5maW5pdHk=\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_null_is_null_in_every_type),
	    cmocka_unit_test(test_int64_takes_whole_numbers),
	    cmocka_unit_test(test_double_takes_finite_numbers),
	    cmocka_unit_test(test_boolean_takes_what_stands_for_it),
	    cmocka_unit_test(test_string_takes_everything),
	    cmocka_unit_test(test_bytes_take_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
