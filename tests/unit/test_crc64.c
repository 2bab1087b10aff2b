/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/crc64.h"

#define POLYNOMIAL 0xd800000000000000u
#define BYTES      70000u

/* Bit by bit, as the definition says. */
static uint64_t slow(uint64_t crc, const uint8_t *bytes, size_t len)
{
	crc = ~crc;
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++) {
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		}
	}
	return ~crc;
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void test_check_value_of_nine_digits(void **state)
{
	(void)state;
	assert_int_equal(crc64_add(0, "123456789", 9), 0xb90956c775a41001u);
	assert_int_equal(crc64_add_portable(0, "123456789", 9), 0xb90956c775a41001u);
	assert_int_equal(slow(0, (const uint8_t *)"123456789", 9), 0xb90956c775a41001u);
}

static void test_nothing_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(crc64_add(0, "", 0), 0);
	assert_int_equal(crc64_add(77, "", 0), 77);
	assert_int_equal(crc64_add_portable(77, "", 0), 77);
}

/* Each byte and each bit counts, in both, at lengths about where they change over. */
static void test_every_length_and_alignment_is_as_bit_by_bit(void **state)
{
	uint8_t *bytes = malloc(BYTES);
	uint32_t seed = 1;

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < BYTES; i++) {
		bytes[i] = (uint8_t)next_random(&seed);
	}
	for (size_t len = 0; len <= 400; len++) {
		for (size_t at = 0; at < 17; at += len < 40 ? 1 : 5) {
			uint64_t crc = (uint64_t)next_random(&seed) << 40 | len;
			uint64_t right = slow(crc, bytes + at, len);

			assert_int_equal(crc64_add(crc, bytes + at, len), right);
			assert_int_equal(crc64_add_portable(crc, bytes + at, len),
					 right);
		}
	}
	for (int i = 0; i < 300; i++) {
		size_t len = next_random(&seed) % 5000;
		size_t at = next_random(&seed) % 3000;
		uint64_t right = slow(5, bytes + at, len);

		assert_int_equal(crc64_add(5, bytes + at, len), right);
		assert_int_equal(crc64_add_portable(5, bytes + at, len), right);
	}
	assert_int_equal(crc64_add(0, bytes, BYTES), slow(0, bytes, BYTES));
	free(bytes);
}

static void test_parts_give_what_the_whole_gives(void **state)
{
	uint8_t bytes[1000];
	uint64_t whole;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++) {
		bytes[i] = (uint8_t)(i * i);
	}
	whole = crc64_add(0, bytes, sizeof bytes);
	for (size_t cut = 0; cut <= sizeof bytes; cut += 13) {
		uint64_t crc = crc64_add(0, bytes, cut);

		assert_int_equal(crc64_add(crc, bytes + cut, sizeof bytes - cut),
				 whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_check_value_of_nine_digits),
	    cmocka_unit_test(test_nothing_changes_nothing),
	    cmocka_unit_test(test_every_length_and_alignment_is_as_bit_by_bit),
	    cmocka_unit_test(test_parts_give_what_the_whole_gives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
