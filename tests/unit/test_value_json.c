/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "schemas/value_json.h"

/* ---- helpers ---- */

static uint64_t random_state = 0x9E3779B97F4A7C15u;

/* xorshift: the same numbers in every run. */
static uint64_t random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* What random tests are divided by: under valgrind they take minutes. */
static unsigned shortened(void)
{
	return getenv("ROWTAIL_TEST_WRAPPED") ? 10 : 1;
}

/* The value as JSON, terminated, in `b`. */
static const char *json_of(struct buffer *b, const struct value *value,
			   enum text_encoding encoding, enum binary_mode mode)
{
	buffer_reset(b);
	json_add_value(b, value, encoding, mode);
	buffer_add_char(b, '\0');
	assert_true(buffer_ok(b));
	return b->bytes;
}

/* Of exactly `len` bytes on the heap, so that a sanitizer sees one read too many. */
static void check_text(const char *text, size_t len, enum text_encoding encoding,
		       const char *expected)
{
	uint8_t *exact = malloc(len ? len : 1);
	struct value value = {
	    .class = VALUE_TEXT, .len = (uint32_t)len, .bytes = exact};
	struct buffer b;

	assert_non_null(exact);
	memcpy(exact, text, len);
	buffer_init(&b);
	assert_string_equal(json_of(&b, &value, encoding, BINARY_BASE64), expected);
	buffer_clear(&b);
	free(exact);
}

#define CHECK_UTF8(text, expected) \
	check_text((text), sizeof(text) - 1, TEXT_UTF8, (expected))

static void check_blob(const char *bytes, size_t len, enum binary_mode mode,
		       const char *expected)
{
	struct value value = {
	    .class = VALUE_BLOB, .len = (uint32_t)len, .bytes = (const uint8_t *)bytes};
	struct buffer b;

	buffer_init(&b);
	assert_string_equal(json_of(&b, &value, TEXT_UTF8, mode), expected);
	buffer_clear(&b);
}

static void check_integer(int64_t v, const char *expected)
{
	struct value value = {.class = VALUE_INTEGER, .integer = v};
	struct buffer b;

	buffer_init(&b);
	assert_string_equal(json_of(&b, &value, TEXT_UTF8, BINARY_BASE64), expected);
	buffer_clear(&b);
}

static void check_real(double v, const char *expected)
{
	struct value value = {.class = VALUE_REAL, .real = v};
	struct buffer b;

	buffer_init(&b);
	assert_string_equal(json_of(&b, &value, TEXT_UTF8, BINARY_BASE64), expected);
	buffer_clear(&b);
}

/* ---- numbers ---- */

static void test_integers_print_all_64_bits(void **state)
{
	(void)state;
	check_integer(0, "0");
	check_integer(-1, "-1");
	check_integer(INT64_MAX, "9223372036854775807");
	check_integer(INT64_MIN, "-9223372036854775808");
}

static void test_integers_print_right_at_every_power_of_ten(void **state)
{
	char expected[32];
	char got[32];
	uint64_t v = 1;

	(void)state;
	for (unsigned i = 0; i < 20; i++, v *= 10) {
		for (uint64_t n = v - 1; n != v + 2; n++) {
			(void)snprintf(expected, sizeof expected, "%llu",
				       (unsigned long long)n);
			*json_put_u64(got, n) = '\0';
			assert_string_equal(got, expected);
		}
	}
}

static void test_random_integers_print_as_printf_does(void **state)
{
	char expected[32];
	char got[32];

	(void)state;
	for (unsigned i = 0; i < 100000 / shortened(); i++) {
		int64_t v = (int64_t)(random_u64() >> (random_u64() % 64));

		v = i & 1 ? v : -v;
		(void)snprintf(expected, sizeof expected, "%lld", (long long)v);
		*json_put_i64(got, v) = '\0';
		assert_string_equal(got, expected);
	}
}

static void test_doubles_print_in_their_shortest_form(void **state)
{
	(void)state;
	check_real(0.0, "0.0");
	check_real(-0.0, "-0.0");
	check_real(1.0, "1.0");
	check_real(-7.0, "-7.0");
	check_real(0.1, "0.1");
	check_real(0.1 + 0.2, "0.30000000000000004");
	check_real(12.34, "12.34");
	check_real(1234.5678, "1234.5678");
	check_real(0.00390625, "0.00390625");
	check_real(1.0 / 3.0, "0.3333333333333333");
	check_real((double)0.1f, "0.10000000149011612");
	check_real(9007199254740991.0, "9007199254740991.0");
	check_real(9007199254740992.0, "9007199254740992.0");
	check_real(123456789012345.67, "123456789012345.67");
}

static void test_doubles_print_an_exponent_when_far_from_one(void **state)
{
	(void)state;
	check_real(1e15, "1000000000000000.0");
	check_real(9.9e15, "9900000000000000.0");
	check_real(1e16, "1e16");
	check_real(12345678901234567890.0, "1.2345678901234567e19");
	check_real(1e300, "1e300");
	check_real(-1.5e-300, "-1.5e-300");
	check_real(0.00001, "0.00001");
	check_real(0.0000125, "0.0000125");
	check_real(0.000001, "1e-6");
	check_real(1.25e-7, "1.25e-7");
	check_real(1.7976931348623157e308, "1.7976931348623157e308");
	check_real(2.2250738585072014e-308, "2.2250738585072014e-308");
	check_real(5e-324, "5e-324");
	check_real(1e-320, "1e-320");
	/* A power of two whose nearest 16 digits do not read back, but others do. */
	check_real(5.940911144672375e-213, "5.940911144672375e-213");
}

static void test_infinities_are_strings_and_nan_is_null(void **state)
{
	(void)state;
	check_real((double)INFINITY, "\"Infinity\"");
	check_real(-(double)INFINITY, "\"-Infinity\"");
	check_real((double)NAN, "null");
}

static double random_double(unsigned i)
{
	uint64_t bits = random_u64();
	double v;

	switch (i % 4) {
	case 0: /* anything */
		memcpy(&v, &bits, sizeof v);
		return v;
	case 1: /* decimals as people write them */
		v = (double)(int64_t)(bits >> 30);
		return v / (double)(1 + random_u64() % 10000);
	case 2: /* between 1e-12 and 1e19 */
		v = (double)bits / 1.8446744073709552e19;
		for (i = (unsigned)(random_u64() % 32); i > 0; i--) {
			v *= 10;
		}
		return v * 1e-12;
	default: /* powers of two and their neighbours */
		bits = (bits % 2046 + 1) << 52;
		bits += random_u64() % 3;
		bits -= 1;
		memcpy(&v, &bits, sizeof v);
		return v;
	}
}

static void test_random_doubles_read_back_the_same(void **state)
{
	char text[JSON_NUMBER_MAX + 1];
	char shorter[64];

	(void)state;
	for (unsigned i = 0; i < 200000 / shortened(); i++) {
		double v = random_double(i);
		double back;
		int digits = 0;
		char *end;
		const char *p;

		if (v != v || v - v != 0) {
			continue;
		}
		end = json_put_double(text, v);
		assert_in_range(end - text, 3, JSON_NUMBER_MAX - 1);
		*end = '\0';
		back = strtod(text, &end);
		assert_true(*end == '\0');
		assert_memory_equal(&back, &v, sizeof v);
		assert_non_null(strpbrk(text, ".e"));
		/* The digits that count: without leading zeros and those at the end. */
		for (p = text; *p && *p != 'e'; p++) {
			digits += *p >= '0' && *p <= '9' && (digits > 0 || *p != '0');
		}
		while (digits > 1 && (p[-1] == '0' || p[-1] == '.')) {
			digits -= *--p == '0';
		}
		if (digits > 1) {
			(void)snprintf(shorter, sizeof shorter, "%.*e", digits - 2, v);
			assert_true(strtod(shorter, NULL) != v);
		}
	}
}

/* ---- text ---- */

static void test_text_escapes_what_json_demands_and_no_more(void **state)
{
	(void)state;
	CHECK_UTF8("", "\"\"");
	CHECK_UTF8("plain", "\"plain\"");
	CHECK_UTF8("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
	CHECK_UTF8("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"");
	CHECK_UTF8("\0\x01\x0b\x1f\x7f", "\"\\u0000\\u0001\\u000b\\u001f\x7f\"");
	CHECK_UTF8("Zoë \"q\" \\ 日本", "\"Zoë \\\"q\\\" \\\\ 日本\"");
	CHECK_UTF8("\xE2\x80\xA8", "\"\xE2\x80\xA8\"");
}

static void test_text_escapes_at_every_place_of_a_word(void **state)
{
	static const char specials[] = {'"', '\\', '\n', '\x80'};
	static const char *const escaped[] = {"\\\"", "\\\\", "\\n", "\xEF\xBF\xBD"};

	(void)state;
	for (size_t len = 1; len <= 24; len++) {
		for (size_t at = 0; at < len; at++) {
			for (size_t k = 0; k < sizeof specials; k++) {
				char text[32];
				char expected[64];

				memset(text, '~', sizeof text);
				text[at] = specials[k];
				(void)snprintf(expected, sizeof expected,
					       "\"%.*s%s%.*s\"", (int)at, text,
					       escaped[k], (int)(len - at - 1),
					       text + at + 1);
				check_text(text, len, TEXT_UTF8, expected);
			}
		}
	}
}

#define R "\xEF\xBF\xBD" /* U+FFFD */

static void test_broken_utf8_becomes_one_replacement_for_each_subpart(void **state)
{
	(void)state;
	CHECK_UTF8("\xFF", "\"" R "\"");
	CHECK_UTF8("\x80\xBF", "\"" R R "\"");
	CHECK_UTF8("\xC0\xAF", "\"" R R "\"");
	CHECK_UTF8("a\xC3", "\"a" R "\"");
	CHECK_UTF8("\xE6\x97", "\"" R "\"");
	CHECK_UTF8("\xE6\x97z", "\"" R "z\"");
	CHECK_UTF8("\xE0\x9F\xBF", "\"" R R R "\"");
	CHECK_UTF8("\xED\xA0\x80", "\"" R R R "\"");
	CHECK_UTF8("\xF0\x9F\x98", "\"" R "\"");
	CHECK_UTF8("\xF0\x8F\xBF\xBF", "\"" R R R R "\"");
	CHECK_UTF8("\xF4\x90\x80\x80", "\"" R R R R "\"");
	CHECK_UTF8("\xF5\x80", "\"" R R "\"");
	/* Unicode section 3.9, table 3-8 and the example before it. */
	CHECK_UTF8("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64",
		   "\"a" R R R "b" R "c" R R "d\"");
	/* The highest and lowest of each length are good. */
	CHECK_UTF8(
	    "\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF"
	    "\xBF",
	    "\"\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F"
	    "\xBF\xBF\"");
}

#define CHECK_UTF16(big, little, expected)                                          \
	do {                                                                        \
		check_text((big), sizeof(big) - 1, TEXT_UTF16BE, (expected));       \
		check_text((little), sizeof(little) - 1, TEXT_UTF16LE, (expected)); \
	} while (0)

static void test_utf16_is_converted(void **state)
{
	(void)state;
	CHECK_UTF16("", "", "\"\"");
	CHECK_UTF16("\0a\0\"\0\n\0\0", "a\0\"\0\n\0\0\0", "\"a\\\"\\n\\u0000\"");
	CHECK_UTF16("\0\xEB\x65\xE5", "\xEB\0\xE5\x65", "\"ë日\"");
	CHECK_UTF16("\xD8\x3D\xDE\x00", "\x3D\xD8\x00\xDE", "\"\xF0\x9F\x98\x80\"");
}

static void test_lone_surrogates_become_replacements(void **state)
{
	(void)state;
	CHECK_UTF16("\xD8\x3D", "\x3D\xD8", "\"" R "\"");
	CHECK_UTF16("\xDE\x00", "\x00\xDE", "\"" R "\"");
	CHECK_UTF16("\xD8\x3D\0a", "\x3D\xD8\x61\0", "\"" R "a\"");
	CHECK_UTF16("\xD8\x3D\xD8\x3D\xDE\x00", "\x3D\xD8\x3D\xD8\x00\xDE",
		    "\"" R "\xF0\x9F\x98\x80\"");
	CHECK_UTF16("\xDE\x00\xD8\x3D", "\x00\xDE\x3D\xD8", "\"" R R "\"");
	/* One byte over. */
	CHECK_UTF16("\0a\0", "a\0b", "\"a" R "\"");
}

/* Texts beyond one chunk, with what does not fit at the chunk's border. */
static void test_long_text_is_whole_across_chunks(void **state)
{
	enum { PAIRS = 3000 };
	char *text = malloc(4 * PAIRS + 1);
	char *expected = malloc(4 * PAIRS + 8);

	(void)state;
	assert_non_null(text);
	assert_non_null(expected);
	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'x', shift);
		for (size_t i = 0; i < PAIRS; i++) {
			memcpy(text + shift + 4 * i, "\xF0\x9F\x98\x80",
			       i + 1 < PAIRS ? 4 : 4 - shift);
		}
		expected[0] = '"';
		memcpy(expected + 1, text, 4 * PAIRS);
		/* The last one is cut for shifts above 0. */
		strcpy(expected + 1 + (shift ? 4 * PAIRS - 4 + shift : 4 * PAIRS),
		       shift ? R "\"" : "\"");
		check_text(text, 4 * PAIRS, TEXT_UTF8, expected);
	}
	free(expected);
	free(text);
}

static void check_parses(struct buffer *b, const struct value *value,
			 enum text_encoding encoding)
{
	json_error_t error;
	json_t *json;

	(void)json_of(b, value, encoding, BINARY_BASE64);
	json =
	    json_loadb(b->bytes, b->len - 1, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (!json) {
		fail_msg("%s in %s", error.text, b->bytes);
	}
	json_decref(json);
}

static void test_random_bytes_always_make_valid_json(void **state)
{
	uint8_t bytes[64];
	struct buffer b;

	(void)state;
	buffer_init(&b);
	for (unsigned i = 0; i < 100000 / shortened(); i++) {
		uint32_t len = (uint32_t)(random_u64() % sizeof bytes);
		struct value value = {.class = VALUE_TEXT, .len = len, .bytes = bytes};

		for (uint32_t k = 0; k < len; k++) {
			uint64_t r = random_u64();

			/* Mostly what begins and continues sequences. */
			bytes[k] = (uint8_t)(r & 0x300 ? r | 0x80 : r);
		}
		check_parses(&b, &value, TEXT_UTF8);
		check_parses(&b, &value, TEXT_UTF16LE);
		check_parses(&b, &value, TEXT_UTF16BE);
	}
	buffer_clear(&b);
}

static void test_valid_text_reads_back_the_same(void **state)
{
	static const uint32_t last[] = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
	struct buffer b;

	(void)state;
	buffer_init(&b);
	for (unsigned i = 0; i < 50000 / shortened(); i++) {
		char text[64];
		size_t len = 0;
		struct value value = {.class = VALUE_TEXT,
				      .bytes = (const uint8_t *)text};
		json_t *json;

		while (len < sizeof text - 4 && random_u64() % 16) {
			uint32_t c =
			    (uint32_t)(random_u64() % (last[random_u64() % 4] + 1));

			if (c >= 0xD800 && c < 0xE000) {
				continue;
			}
			if (c < 0x80) {
				text[len++] = (char)c;
			} else if (c < 0x800) {
				text[len++] = (char)(0xC0 | c >> 6);
				text[len++] = (char)(0x80 | (c & 63));
			} else {
				if (c < 0x10000) {
					text[len++] = (char)(0xE0 | c >> 12);
				} else {
					text[len++] = (char)(0xF0 | c >> 18);
					text[len++] = (char)(0x80 | (c >> 12 & 63));
				}
				text[len++] = (char)(0x80 | (c >> 6 & 63));
				text[len++] = (char)(0x80 | (c & 63));
			}
		}
		value.len = (uint32_t)len;
		(void)json_of(&b, &value, TEXT_UTF8, BINARY_BASE64);
		json = json_loadb(b.bytes, b.len - 1, JSON_DECODE_ANY | JSON_ALLOW_NUL,
				  NULL);
		assert_non_null(json);
		assert_int_equal(json_string_length(json), len);
		assert_memory_equal(json_string_value(json), text, len);
		json_decref(json);
	}
	buffer_clear(&b);
}

/* ---- blobs and the rest ---- */

static void test_blobs_are_base64_with_padding(void **state)
{
	(void)state;
	check_blob("", 0, BINARY_BASE64, "\"\"");
	check_blob("f", 1, BINARY_BASE64, "\"Zg==\"");
	check_blob("fo", 2, BINARY_BASE64, "\"Zm8=\"");
	check_blob("foo", 3, BINARY_BASE64, "\"Zm9v\"");
	check_blob("foobar", 6, BINARY_BASE64, "\"Zm9vYmFy\"");
	check_blob("\x00\xFF\x10", 3, BINARY_BASE64, "\"AP8Q\"");
	check_blob("\xDE\xAD\xBE\xEF", 4, BINARY_BASE64, "\"3q2+7w==\"");
	check_blob("\xFF\xFF", 2, BINARY_BASE64, "\"//8=\"");
}

static void test_blobs_follow_the_binary_mode(void **state)
{
	(void)state;
	check_blob("\xDE\xAD\xBE\xEF", 4, BINARY_BASE64_URL_SAFE, "\"3q2-7w==\"");
	check_blob("\xFF\xFF", 2, BINARY_BASE64_URL_SAFE, "\"__8=\"");
	check_blob("\xDE\xAD\xBE\xEF\x00", 5, BINARY_HEX, "\"deadbeef00\"");
	check_blob("", 0, BINARY_HEX, "\"\"");
}

static void test_null_is_null(void **state)
{
	struct value value = {.class = VALUE_NULL};
	struct buffer b;

	(void)state;
	buffer_init(&b);
	assert_string_equal(json_of(&b, &value, TEXT_UTF8, BINARY_BASE64), "null");
	buffer_clear(&b);
}

static void test_slack_is_reserved_behind_the_value(void **state)
{
	char text[5000];
	struct value values[] = {
	    {.class = VALUE_TEXT, .len = sizeof text, .bytes = (const uint8_t *)text},
	    {.class = VALUE_BLOB, .len = sizeof text, .bytes = (const uint8_t *)text},
	};

	(void)state;
	memset(text, 1, sizeof text);
	for (size_t i = 0; i < 2; i++) {
		for (uint32_t len = 0; len < sizeof text; len += 97) {
			struct buffer b;
			char *p;

			values[i].len = len;
			buffer_init(&b);
			assert_true(buffer_reserve(&b, JSON_NUMBER_MAX));
			p = json_put_value(&b, b.bytes, &values[i], TEXT_UTF8,
					   BINARY_HEX, 1000);
			assert_non_null(p);
			assert_true(b.bytes + b.cap - p >= 1000);
			buffer_clear(&b);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_integers_print_all_64_bits),
	    cmocka_unit_test(test_integers_print_right_at_every_power_of_ten),
	    cmocka_unit_test(test_random_integers_print_as_printf_does),
	    cmocka_unit_test(test_doubles_print_in_their_shortest_form),
	    cmocka_unit_test(test_doubles_print_an_exponent_when_far_from_one),
	    cmocka_unit_test(test_infinities_are_strings_and_nan_is_null),
	    cmocka_unit_test(test_random_doubles_read_back_the_same),
	    cmocka_unit_test(test_text_escapes_what_json_demands_and_no_more),
	    cmocka_unit_test(test_text_escapes_at_every_place_of_a_word),
	    cmocka_unit_test(test_broken_utf8_becomes_one_replacement_for_each_subpart),
	    cmocka_unit_test(test_utf16_is_converted),
	    cmocka_unit_test(test_lone_surrogates_become_replacements),
	    cmocka_unit_test(test_long_text_is_whole_across_chunks),
	    cmocka_unit_test(test_random_bytes_always_make_valid_json),
	    cmocka_unit_test(test_valid_text_reads_back_the_same),
	    cmocka_unit_test(test_blobs_are_base64_with_padding),
	    cmocka_unit_test(test_blobs_follow_the_binary_mode),
	    cmocka_unit_test(test_null_is_null),
	    cmocka_unit_test(test_slack_is_reserved_behind_the_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
