/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/column_mask.h"
#include "schemas/number_json.h"

static struct value text(const char *s, size_t len)
{
	return (struct value){
	    .class = VALUE_TEXT, .len = (uint32_t)len, .bytes = (const uint8_t *)s};
}

static struct column_mask *open_mask(const char *property)
{
	struct column_mask *mask;
	struct error err;

	if (column_mask_open(property, &mask, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	return mask;
}

static void check_limited(const char *property, struct value value,
			  enum text_encoding encoding, size_t limit,
			  const char *expected)
{
	struct column_mask *mask = open_mask(property);
	struct buffer b;
	char *p;

	buffer_init(&b);
	assert_true(buffer_reserve(&b, JSON_NUMBER_MAX));
	p = column_mask_put(mask, &b, b.bytes, &value, encoding, limit,
			    JSON_NUMBER_MAX);
	assert_non_null(p);
	*p = '\0';
	assert_string_equal(b.bytes, expected);
	buffer_clear(&b);
	column_mask_close(mask);
}

static void check(const char *property, struct value value, const char *expected)
{
	check_limited(property, value, TEXT_UTF8, 0, expected);
}

static void test_asterisks_hide_everything(void **state)
{
	(void)state;
	check("column.mask.with.4.chars", text("secret", 6), "\"****\"");
	check("column.mask.with.1.chars", (struct value){.class = VALUE_NULL}, "\"*\"");
	check("column.mask.with.0.chars", text("secret", 6), "\"\"");
}

#define SHA "column.mask.hash.SHA-256.with.salt.CzQMA0cB5K"
#define V2  "column.mask.hash.v2."

/* The first is from records of Debezium's PostgreSQL connector. The others were made
 * with Python's hashlib, of the bytes that Java's ObjectOutputStream is specified to
 * write. */
static void test_hashes_are_debeziums(void **state)
{
	char *large = malloc(70000);

	(void)state;
	check(SHA, text("x", 1),
	      "\"ba448b6624b4ea72b8dd589cc4064de06035f807c0d4b0f8c95192737e1a35d5\"");
	check(SHA, text("\xF0\x9F\x98\x80\0", 5),
	      "\"a593f4d63a9b57329801412964384a5656ed4ce9928e5359fbbf25095f75fe79\"");
	assert_non_null(large);
	memset(large, 'a', 70000);
	check(SHA, text(large, 70000),
	      "\"60553357ec7e3fcd5953d0df638e46e2c10e5154c162563e0a9d71a57b98d6ee\"");
	free(large);
}

static void test_version_two_hashes_the_bytes(void **state)
{
	(void)state;
	check(V2 "MD5.with.salt.abc", text("d", 1),
	      "\"e2fc714c4727ee9395f324cd2e7f331f\"");
	check_limited(V2 "MD5.with.salt.abc", text("d\0", 2), TEXT_UTF16LE, 0,
		      "\"e2fc714c4727ee9395f324cd2e7f331f\"");
	check_limited(V2 "MD5.with.salt.abc", text("\0d", 2), TEXT_UTF16BE, 0,
		      "\"e2fc714c4727ee9395f324cd2e7f331f\"");
	check(V2 "MD5.with.salt.ab",
	      (struct value){
		  .class = VALUE_BLOB, .len = 2, .bytes = (const uint8_t *)"cd"},
	      "\"e2fc714c4727ee9395f324cd2e7f331f\"");
	check(V2 "MD5.with.salt.a",
	      (struct value){.class = VALUE_INTEGER, .integer = 1},
	      "\"8a8bb7cd343aa2ad99b7d762030857a2\"");
}

static void test_null_has_no_hash(void **state)
{
	(void)state;
	check(SHA, (struct value){.class = VALUE_NULL}, "null");
}

static void test_a_hash_is_cut_to_the_column(void **state)
{
	(void)state;
	check_limited(SHA, text("x", 1), TEXT_UTF8, 8, "\"ba448b66\"");
	check_limited(SHA, text("x", 1), TEXT_UTF8, 64,
		      "\"ba448b6624b4ea72b8dd589cc4064de06035f807c0d4b0f8c95192737e1a3"
		      "5d5\"");
}

static void check_cut(enum text_encoding encoding, const char *s, size_t len,
		      size_t expected)
{
	struct column_mask *mask = open_mask("column.truncate.to.2.chars");
	struct value value = text(s, len);

	assert_int_equal(column_mask_cut(mask, &value, encoding).len, expected);
	column_mask_close(mask);
}

static void test_text_is_cut_between_characters(void **state)
{
	struct column_mask *mask = open_mask("column.truncate.to.2.chars");
	struct value number = {.class = VALUE_INTEGER, .integer = 12345};

	(void)state;
	check_cut(TEXT_UTF8, "", 0, 0);
	check_cut(TEXT_UTF8, "a", 1, 1);
	check_cut(TEXT_UTF8, "abc", 3, 2);
	check_cut(TEXT_UTF8, "\xC3\xA4\xF0\x9F\x98\x80z", 7, 6);
	check_cut(TEXT_UTF8, "\xFF\xFF\xFF", 3, 2);
	check_cut(TEXT_UTF16LE,
		  "\x3D\xD8\x00\xDE"
		  "a\0b\0",
		  8, 6);
	check_cut(TEXT_UTF16BE, "\xD8\x3D\xDE\x00\0a\0b", 8, 6);
	check_cut(TEXT_UTF16BE, "\0a\0", 3, 3);
	assert_int_equal(column_mask_cut(mask, &number, TEXT_UTF8).integer, 12345);
	column_mask_close(mask);
}

static void check_refused(const char *property, const char *part)
{
	struct column_mask *mask;
	struct error err;

	assert_int_equal(column_mask_open(property, &mask, &err), ST_CONFIG);
	if (!strstr(err.text, part) || strstr(err.text, "PEPPER")) {
		fail_msg("%s", err.text);
	}
}

static void test_properties_that_say_nothing_are_refused(void **state)
{
	(void)state;
	check_refused("column.mask.with.x.chars", "column.mask.with.x.chars");
	check_refused("column.mask.with.5.char", "N.chars");
	check_refused("column.mask.with..chars", "N.chars");
	check_refused("column.truncate.to.1000001.chars", "up to 1000000");
	check_refused("column.truncate.to.99999999999999999999.chars", "up to");
	check_refused("column.mask.hash.SHA-256.with.salt.", "ALGORITHM");
	check_refused("column.mask.hash.SHA-256.salt.PEPPER", "ALGORITHM");
	check_refused("column.mask.hash.NO-SUCH.with.salt.PEPPER", "NO-SUCH");
	check_refused("column.mask.hash..with.salt.PEPPER", "ALGORITHM");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_asterisks_hide_everything),
	    cmocka_unit_test(test_hashes_are_debeziums),
	    cmocka_unit_test(test_version_two_hashes_the_bytes),
	    cmocka_unit_test(test_null_has_no_hash),
	    cmocka_unit_test(test_a_hash_is_cut_to_the_column),
	    cmocka_unit_test(test_text_is_cut_between_characters),
	    cmocka_unit_test(test_properties_that_say_nothing_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
