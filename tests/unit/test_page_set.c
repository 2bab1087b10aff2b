/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "btree/page_set.h"

static void add(struct page_set *set, uint32_t page_no, bool is_new)
{
	struct error err;
	bool added = !is_new;

	assert_int_equal(page_set_add(set, page_no, &added, &err), ST_OK);
	assert_int_equal(added, is_new);
	assert_true(page_set_has(set, page_no));
}

static void test_empty_set_has_no_page(void **state)
{
	struct page_set set;

	(void)state;
	page_set_init(&set);
	assert_false(page_set_has(&set, 0));
	assert_false(page_set_has(&set, 1));
	assert_false(page_set_has(&set, UINT32_MAX));
	assert_int_equal(set.count, 0);
	page_set_empty(&set);
	page_set_clear(&set);
}

static void test_members_are_listed_once_in_the_order_of_adding(void **state)
{
	static const uint32_t want[] = {7, 3, 64, 63, 1000000};
	struct page_set set;

	(void)state;
	page_set_init(&set);
	for (size_t i = 0; i < 5; i++) {
		add(&set, want[i], true);
	}
	for (size_t i = 0; i < 5; i++) {
		add(&set, want[i], false);
	}
	assert_int_equal(set.count, 5);
	assert_memory_equal(set.pages, want, sizeof want);
	assert_false(page_set_has(&set, 62));
	assert_false(page_set_has(&set, 65));
	assert_false(page_set_has(&set, 999999));
	page_set_clear(&set);
}

static void test_added_may_be_null(void **state)
{
	struct page_set set;
	struct error err;

	(void)state;
	page_set_init(&set);
	assert_int_equal(page_set_add(&set, 5, NULL, &err), ST_OK);
	assert_true(page_set_has(&set, 5));
	page_set_clear(&set);
}

static void test_emptied_set_forgets_all_and_can_be_filled_again(void **state)
{
	struct page_set set;

	(void)state;
	page_set_init(&set);
	for (uint32_t i = 1; i < 500; i++) {
		add(&set, i * 3, true);
	}
	page_set_empty(&set);
	assert_int_equal(set.count, 0);
	for (uint32_t i = 0; i < 1600; i++) {
		assert_false(page_set_has(&set, i));
	}
	add(&set, 3, true);
	assert_int_equal(set.count, 1);
	page_set_clear(&set);
	assert_false(page_set_has(&set, 3));
	assert_null(set.bits);
	assert_null(set.pages);
	add(&set, 3, true);
	page_set_clear(&set);
}

static void test_random_set_agrees_with_a_plain_array(void **state)
{
	static bool plain[70000];
	struct page_set set;
	uint32_t seed = 12345;
	size_t count = 0;

	(void)state;
	page_set_init(&set);
	for (int i = 0; i < 20000; i++) {
		uint32_t page_no;

		seed = seed * 1664525 + 1013904223;
		page_no = (seed >> 8) % 70000;
		count += !plain[page_no];
		add(&set, page_no, !plain[page_no]);
		plain[page_no] = true;
	}
	assert_int_equal(set.count, count);
	for (uint32_t p = 0; p < 70000; p++) {
		assert_int_equal(page_set_has(&set, p), plain[p]);
	}
	page_set_clear(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_empty_set_has_no_page),
	    cmocka_unit_test(test_members_are_listed_once_in_the_order_of_adding),
	    cmocka_unit_test(test_added_may_be_null),
	    cmocka_unit_test(test_emptied_set_forgets_all_and_can_be_filled_again),
	    cmocka_unit_test(test_random_set_agrees_with_a_plain_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
