/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "btree/varint.h"

/* Write `v` as SQLite does; returns the bytes it took. */
static size_t write_varint(uint8_t *p, uint64_t v)
{
	uint8_t groups[9];
	size_t count = 0;

	if (v >> 56) {
		p[8] = (uint8_t)v;
		v >>= 8;
		for (int i = 7; i >= 0; i--) {
			p[i] = (uint8_t)(v & 0x7f) | 0x80;
			v >>= 7;
		}
		return 9;
	}
	do {
		groups[count++] = (uint8_t)(v & 0x7f);
		v >>= 7;
	} while (v);
	for (size_t i = 0; i < count; i++) {
		p[i] = groups[count - 1 - i] | (i + 1 < count ? 0x80 : 0);
	}
	return count;
}

/* Read `v` back from a block that is exactly `spare` bytes longer than it. */
static void check_value(uint64_t v, size_t spare)
{
	uint8_t bytes[9];
	size_t len = write_varint(bytes, v);
	uint8_t *block = malloc(len + spare);
	uint64_t got = ~v;

	assert_non_null(block);
	memset(block, 0xff, len + spare);
	memcpy(block, bytes, len);
	assert_int_equal(varint_read(block, block + len + spare, &got), len);
	assert_true(got == v);
	free(block);
}

static void test_values_at_every_length_are_read(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 64; bits++) {
		uint64_t power = UINT64_C(1) << bits;

		for (size_t spare = 0; spare < 10; spare++) {
			check_value(power - 1, spare);
			check_value(power, spare);
			check_value(power + 1, spare);
			check_value(~power, spare);
			check_value(power * UINT64_C(0xb5), spare);
		}
	}
}

static void test_samples_of_the_format_are_read(void **state)
{
	static const struct {
		uint8_t bytes[9];
		size_t len;
		uint64_t value;
	} samples[] = {
	    {{0x00}, 1, 0},
	    {{0x7f}, 1, 0x7f},
	    {{0x81, 0x00}, 2, 0x80},
	    {{0x82, 0x00}, 2, 0x100},
	    {{0x80, 0x7f}, 2, 0x7f}, /* longer than it must be */
	    {{0x81, 0x91, 0xd1, 0xac, 0x78}, 5, 0x12345678},
	    {{0x81, 0x81, 0x81, 0x81, 0x01}, 5, 0x10204081},
	    {{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x05}, 9, 5},
	    {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
		const uint8_t *p = samples[i].bytes;
		uint64_t v = 99;

		assert_int_equal(varint_read(p, p + samples[i].len, &v),
				 samples[i].len);
		assert_true(v == samples[i].value);
		v = 99;
		assert_int_equal(varint_read(p, p + 9, &v), samples[i].len);
		assert_true(v == samples[i].value);
	}
}

static void test_varint_stops_at_nine_bytes(void **state)
{
	uint8_t bytes[12];
	uint64_t v;

	(void)state;
	memset(bytes, 0xff, sizeof bytes);
	assert_int_equal(varint_read(bytes, bytes + sizeof bytes, &v), 9);
	assert_true(v == UINT64_MAX);
}

static void test_varint_cut_short_leaves_the_output_alone(void **state)
{
	(void)state;
	for (size_t len = 0; len < 9; len++) {
		uint8_t *bytes = malloc(len + 1);
		uint64_t v = 77;

		assert_non_null(bytes);
		memset(bytes, 0x80, len + 1);
		assert_int_equal(varint_read(bytes, bytes + len, &v), 0);
		assert_int_equal(v, 77);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values_at_every_length_are_read),
	    cmocka_unit_test(test_samples_of_the_format_are_read),
	    cmocka_unit_test(test_varint_stops_at_nine_bytes),
	    cmocka_unit_test(test_varint_cut_short_leaves_the_output_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
