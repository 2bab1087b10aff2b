/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "src/base/array.h"

static void test_elements_stay_while_the_array_grows(void **state)
{
	uint32_t *list = NULL;
	size_t cap = 0;

	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		assert_true(array_room(&list, &cap, i + 1, sizeof *list));
		assert_true(cap > i);
		list[i] = i;
	}
	for (uint32_t i = 0; i < 5000; i++) {
		assert_int_equal(list[i], i);
	}
	free(list);
}

static void test_what_has_room_is_left_where_it_is(void **state)
{
	char *list = NULL;
	const char *before;
	size_t cap = 0;
	size_t had;

	(void)state;
	assert_true(array_room(&list, &cap, 0, sizeof *list));
	assert_null(list);
	assert_true(array_room(&list, &cap, 100, sizeof *list));
	before = list;
	had = cap;
	assert_true(array_room(&list, &cap, had, sizeof *list));
	assert_ptr_equal(list, before);
	assert_int_equal(cap, had);
	free(list);
}

static void test_an_array_at_least_doubles(void **state)
{
	char *list = NULL;
	size_t cap = 0;
	size_t had;

	(void)state;
	assert_true(array_room(&list, &cap, 1000, sizeof *list));
	had = cap;
	assert_true(array_room(&list, &cap, had + 1, sizeof *list));
	assert_true(cap >= 2 * had);
	free(list);
}

static void test_a_size_that_overflows_is_no_size(void **state)
{
	uint64_t *list = NULL;
	const uint64_t *before;
	size_t cap = 0;
	size_t had;

	(void)state;
	assert_true(array_room(&list, &cap, 1, sizeof *list));
	list[0] = 7;
	before = list;
	had = cap;
	/* The bytes of so many would be 8 again. */
	assert_false(
	    array_room(&list, &cap, SIZE_MAX / sizeof *list + 2, sizeof *list));
	assert_false(array_room(&list, &cap, SIZE_MAX, sizeof *list));
	assert_ptr_equal(list, before);
	assert_int_equal(cap, had);
	assert_int_equal(list[0], 7);
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_elements_stay_while_the_array_grows),
	    cmocka_unit_test(test_what_has_room_is_left_where_it_is),
	    cmocka_unit_test(test_an_array_at_least_doubles),
	    cmocka_unit_test(test_a_size_that_overflows_is_no_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
