/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "src/base/file_io.h"

/* A file with the bytes 0 to 9. */
static int setup(void **state)
{
	static const uint8_t digits[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
	FILE *file = tmpfile();

	*state = file;
	return file && file_write_at(fileno(file), digits, sizeof digits, 0) ? 0 : -1;
}

static int teardown(void **state)
{
	return fclose(*state);
}

static void test_read_at_gives_what_is_there(void **state)
{
	int fd = fileno(*state);
	uint8_t bytes[20];

	assert_int_equal(file_read_at(fd, bytes, 4, 3), 4);
	assert_int_equal(bytes[0], 3);
	assert_int_equal(file_read_at(fd, bytes, sizeof bytes, 3), 7);
	assert_int_equal(file_read_at(fd, bytes, sizeof bytes, 10), 0);
	assert_int_equal(file_read_at(-1, bytes, sizeof bytes, 0), -1);
}

static void test_read_exactly_is_all_or_nothing(void **state)
{
	int fd = fileno(*state);
	uint8_t bytes[20];

	assert_true(file_read_exactly(fd, bytes, 7, 3));
	assert_int_equal(bytes[6], 9);
	errno = 0;
	assert_false(file_read_exactly(fd, bytes, 8, 3));
	assert_int_equal(errno, ENODATA);
	assert_false(file_read_exactly(-1, bytes, 1, 0));
	assert_int_equal(errno, EBADF);
}

static void test_read_padded_has_zeros_past_the_end(void **state)
{
	static const uint8_t expected[6] = {8, 9, 0, 0, 0, 0};
	static const uint8_t zeros[6];
	int fd = fileno(*state);
	uint8_t bytes[8];

	memset(bytes, 0xff, sizeof bytes);
	assert_true(file_read_padded(fd, bytes, 6, 8));
	assert_memory_equal(bytes, expected, 6);
	assert_int_equal(bytes[6], 0xff);
	assert_true(file_read_padded(fd, bytes, 6, 100));
	assert_memory_equal(bytes, zeros, 6);
	assert_false(file_read_padded(-1, bytes, 6, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_read_at_gives_what_is_there, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_read_exactly_is_all_or_nothing, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_read_padded_has_zeros_past_the_end,
					    setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
