/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <inttypes.h>

#include "src/base/buffer.h"

static void expect_text(const struct buffer *b, const char *text)
{
	assert_true(buffer_ok(b));
	assert_int_equal(b->len, strlen(text));
	assert_memory_equal(b->bytes, text, b->len);
}

static void test_appends_follow_each_other(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	assert_null(b.bytes);
	buffer_add_str(&b, "one");
	buffer_add_char(&b, ' ');
	buffer_add(&b, "two\0", 3);
	buffer_add(&b, NULL, 0);
	buffer_add_str(&b, "");
	expect_text(&b, "one two");
	buffer_clear(&b);
	assert_null(b.bytes);
	buffer_add_char(&b, 'x');
	expect_text(&b, "x");
	buffer_clear(&b);
}

static void test_buffer_grows_over_every_size(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	for (size_t i = 0; i < 10000; i++) {
		buffer_add_char(&b, (char)('a' + i % 26));
		assert_true(b.len <= b.cap);
	}
	assert_int_equal(b.len, 10000);
	for (size_t i = 0; i < 10000; i++) {
		assert_int_equal(b.bytes[i], 'a' + i % 26);
	}
	buffer_clear(&b);
}

static void test_reset_keeps_the_memory(void **state)
{
	struct buffer b;
	size_t cap;

	(void)state;
	buffer_init(&b);
	assert_true(buffer_reserve(&b, 5000));
	assert_true(b.cap >= 5000);
	assert_int_equal(b.len, 0);
	cap = b.cap;
	buffer_add_str(&b, "text");
	buffer_reset(&b);
	assert_int_equal(b.len, 0);
	assert_int_equal(b.cap, cap);
	buffer_add_str(&b, "new");
	expect_text(&b, "new");
	buffer_clear(&b);
}

static void test_failed_buffer_stays_failed_until_reset(void **state)
{
	static const char large[1000];
	struct buffer b;

	(void)state;
	buffer_init(&b);
	buffer_add_str(&b, "kept");
	assert_false(buffer_reserve(&b, SIZE_MAX)); /* the sum overflows */
	assert_false(buffer_ok(&b));
	buffer_add(&b, large, sizeof large); /* there would be memory for it */
	assert_int_equal(b.len, 4);
	buffer_add_char(&b, 'x');
	assert_false(buffer_ok(&b));
	buffer_reset(&b);
	buffer_add_str(&b, "again");
	expect_text(&b, "again");
	buffer_clear(&b);
}

static void check_number(struct buffer *b, uint64_t v)
{
	char text[32];

	buffer_reset(b);
	buffer_add_u64(b, v);
	(void)snprintf(text, sizeof text, "%" PRIu64, v);
	expect_text(b, text);
	buffer_reset(b);
	buffer_add_i64(b, (int64_t)v);
	(void)snprintf(text, sizeof text, "%" PRId64, (int64_t)v);
	expect_text(b, text);
}

static void test_numbers_are_written_as_printf_does(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	for (uint64_t v = 0; v < 12000; v++) {
		check_number(&b, v);
	}
	for (int bits = 0; bits < 64; bits++) {
		uint64_t power = UINT64_C(1) << bits;

		check_number(&b, power - 1);
		check_number(&b, power);
		check_number(&b, ~power);
	}
	for (uint64_t v = 1; v < UINT64_C(10000000000000000000); v *= 10) {
		check_number(&b, v - 1);
		check_number(&b, v);
		check_number(&b, 0 - v);
	}
	buffer_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_appends_follow_each_other),
	    cmocka_unit_test(test_buffer_grows_over_every_size),
	    cmocka_unit_test(test_reset_keeps_the_memory),
	    cmocka_unit_test(test_failed_buffer_stays_failed_until_reset),
	    cmocka_unit_test(test_numbers_are_written_as_printf_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
