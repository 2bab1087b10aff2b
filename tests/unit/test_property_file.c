/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include "src/base/buffer.h"
#include "src/config/property_file.h"

/* Gathers "LINE KEY=VALUE|" for each property. */
static enum status gather(void *context, const char *key, const char *value,
			  unsigned line, struct error *err)
{
	struct buffer *b = context;

	(void)err;
	buffer_add_u64(b, line);
	buffer_add_char(b, ' ');
	buffer_add_str(b, key);
	buffer_add_char(b, '=');
	buffer_add_str(b, value);
	buffer_add_char(b, '|');
	return ST_OK;
}

static void check_bytes(const char *text, size_t len, const char *expected)
{
	struct buffer b;
	struct error err;

	buffer_init(&b);
	assert_int_equal(property_file_parse("f", text, len, gather, &b, &err), ST_OK);
	buffer_add_char(&b, '\0');
	assert_string_equal(b.bytes, expected);
	buffer_clear(&b);
}

static void check(const char *text, const char *expected)
{
	check_bytes(text, strlen(text), expected);
}

static void check_error(const char *text, size_t len, const char *expected)
{
	struct buffer b;
	struct error err;

	buffer_init(&b);
	assert_int_equal(property_file_parse("f", text, len, gather, &b, &err),
			 ST_CONFIG);
	assert_string_equal(err.text, expected);
	buffer_clear(&b);
}

static void test_separators_are_equals_colon_and_blanks(void **state)
{
	(void)state;
	check("a=b", "1 a=b|");
	check("a:b", "1 a=b|");
	check("a b", "1 a=b|");
	check("  a \t= \f b c ", "1 a=b c |");
	check("a = = b", "1 a== b|");
	check("a == b", "1 a== b|");
	check("a :=b", "1 a==b|");
	check("a", "1 a=|");
	check("a =", "1 a=|");
	check("=b", "1 =b|");
}

static void test_line_ends_of_all_systems_count_once(void **state)
{
	(void)state;
	check("a=1\nb=2\r\nc=3\rd=4", "1 a=1|2 b=2|3 c=3|4 d=4|");
	check("\n\n \r\n\ta=1\n", "4 a=1|");
	check("", "");
	check("\n", "");
}

static void test_comments_are_whole_lines(void **state)
{
	(void)state;
	check("# x = y\n! z\n  #\na=1 # not one\n", "4 a=1 # not one|");
	check("# no continuation \\\na=1", "2 a=1|");
	check("#", "");
}

static void test_backslash_at_the_end_continues_the_line(void **state)
{
	(void)state;
	check("a=b,\\\n   c,\\\r\n\td\ne=f", "1 a=b,c,d|4 e=f|");
	check("a\\\n  b=c", "1 ab=c|");
	check("a \\\n = \\\n b", "1 a=b|");
	check("a=b\\\\\nc=d", "1 a=b\\|2 c=d|"); /* an even number */
	check("a=b\\\\\\\nc", "1 a=b\\c|");
	check("a=b\\\n# no comment", "1 a=b# no comment|");
	check("a=b\\", "1 a=b|");
	check("a=b\\\n", "1 a=b|");
}

static void test_escapes_are_javas(void **state)
{
	(void)state;
	check("a=\\t\\n\\r\\f\\q\\\"\\\\", "1 a=\t\n\r\fq\"\\|");
	check("a\\ b\\=c\\:d=e", "1 a b=c:d=e|");
	check("a=\\ b", "1 a= b|");
	check("\\#a=b", "1 #a=b|");
	check("\\u0061=\\u00e9\\u65E5", "1 a=é日|");
	check("a=\\uD83D\\uDE00", "1 a=\xF0\x9F\x98\x80|");
	check("a=Zoë", "1 a=Zoë|");
}

static void test_byte_order_mark_is_skipped(void **state)
{
	(void)state;
	check("\xEF\xBB\xBF"
	      "a=b",
	      "1 a=b|");
}

static void test_errors_name_file_and_line(void **state)
{
	(void)state;
#define CHECK_ERROR(text, expected) check_error((text), sizeof(text) - 1, (expected))
	CHECK_ERROR("a=1\nb=\\u12x4", "f:2: \\u needs four hexadecimal digits");
	CHECK_ERROR("a=\\u12", "f:1: \\u needs four hexadecimal digits");
	CHECK_ERROR("a=\\\n\\\n\\u0000", "f:3: \\u0000 cannot stand in a property");
	CHECK_ERROR("a=\\uD83D", "f:1: half a surrogate pair");
	CHECK_ERROR("a=\\uD83D\\u0041", "f:1: half a surrogate pair");
	CHECK_ERROR("a=\\uDE00", "f:1: half a surrogate pair");
	CHECK_ERROR("a=x\0y", "f:1: a NUL byte cannot stand in a property");
}

static enum status refuse(void *context, const char *key, const char *value,
			  unsigned line, struct error *err)
{
	unsigned *calls = context;

	(void)key;
	(void)value;
	(void)line;
	++*calls;
	return error_set(err, ST_CONFIG, "refused");
}

static void test_an_error_of_the_taker_ends_the_parse(void **state)
{
	unsigned calls = 0;
	struct error err;

	(void)state;
	assert_int_equal(property_file_parse("f", "a=1\nb=2", 7, refuse, &calls, &err),
			 ST_CONFIG);
	assert_string_equal(err.text, "refused");
	assert_int_equal(calls, 1);
}

static void test_files_are_read(void **state)
{
	char path[] = "/tmp/rowtail-test-XXXXXX";
	int fd = mkstemp(path);
	struct buffer b;
	struct error err;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a=1\n", 4), 4);
	(void)close(fd);
	buffer_init(&b);
	assert_int_equal(property_file_load(path, gather, &b, &err), ST_OK);
	buffer_add_char(&b, '\0');
	assert_string_equal(b.bytes, "1 a=1|");
	buffer_clear(&b);
	(void)unlink(path);
	assert_int_equal(property_file_load(path, gather, &b, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(property_file_load("/tmp", gather, &b, &err), ST_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_separators_are_equals_colon_and_blanks),
	    cmocka_unit_test(test_line_ends_of_all_systems_count_once),
	    cmocka_unit_test(test_comments_are_whole_lines),
	    cmocka_unit_test(test_backslash_at_the_end_continues_the_line),
	    cmocka_unit_test(test_escapes_are_javas),
	    cmocka_unit_test(test_byte_order_mark_is_skipped),
	    cmocka_unit_test(test_errors_name_file_and_line),
	    cmocka_unit_test(test_an_error_of_the_taker_ends_the_parse),
	    cmocka_unit_test(test_files_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
