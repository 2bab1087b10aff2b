/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/text_convert.h"

#define TEXT(s) ((const uint8_t *)(s))

static void check(enum text_encoding from, const char *text, size_t len,
		  enum text_encoding into, const char *want, size_t want_len)
{
	struct value values[3] = {
	    {.class = VALUE_INTEGER, .integer = 7},
	    {.class = VALUE_TEXT, .len = (uint32_t)len, .bytes = TEXT(text)},
	    {.class = VALUE_TEXT, .len = (uint32_t)len, .bytes = TEXT(text)}};
	struct buffer to;

	buffer_init(&to);
	assert_true(text_convert(values, 3, from, into, &to));
	assert_int_equal(values[0].integer, 7);
	for (int i = 1; i < 3; i++) {
		assert_int_equal(values[i].len, want_len);
		assert_memory_equal(values[i].bytes, want, want_len);
	}
	buffer_clear(&to);
}

#define CHECK(from, text, into, want) \
	check(from, text, sizeof text - 1, into, want, sizeof want - 1)

static void test_valid_text_is_the_same_in_every_encoding(void **state)
{
	static const char utf8[] = "a\0\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80z";
	static const char little[] = "a\0\0\0\xFC\0\xAC\x20\x3D\xD8\x00\xDEz\0";
	static const char big[] = "\0a\0\0\0\xFC\x20\xAC\xD8\x3D\xDE\x00\0z";

	(void)state;
	CHECK(TEXT_UTF8, utf8, TEXT_UTF16LE, little);
	CHECK(TEXT_UTF8, utf8, TEXT_UTF16BE, big);
	CHECK(TEXT_UTF16LE, little, TEXT_UTF8, utf8);
	CHECK(TEXT_UTF16BE, big, TEXT_UTF8, utf8);
	CHECK(TEXT_UTF16LE, little, TEXT_UTF16BE, big);
	CHECK(TEXT_UTF16BE, "", TEXT_UTF8, "");
}

static void test_what_is_broken_becomes_the_replacement_character(void **state)
{
	(void)state;
	CHECK(TEXT_UTF8, "\xFF", TEXT_UTF8, "\xEF\xBF\xBD");
	CHECK(TEXT_UTF8, "x\xE2\x82", TEXT_UTF16LE, "x\0\xFD\xFF");
	CHECK(TEXT_UTF16LE, "\x3D\xD8", TEXT_UTF8, "\xEF\xBF\xBD");
	CHECK(TEXT_UTF16LE, "\x00\xDCx\0", TEXT_UTF8, "\xEF\xBF\xBDx");
	CHECK(TEXT_UTF16BE, "\0x\0", TEXT_UTF8, "x\xEF\xBF\xBD");
	CHECK(TEXT_UTF16BE, "\xD8\x3D\0x", TEXT_UTF8, "\xEF\xBF\xBDx");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_valid_text_is_the_same_in_every_encoding),
	    cmocka_unit_test(test_what_is_broken_becomes_the_replacement_character),
	};

	return cmocka_run_group_tests_name("text_convert", tests, NULL, NULL);
}
