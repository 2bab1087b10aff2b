/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/decode/row_match.h"

static struct row_place place(uint32_t n)
{
	return (struct row_place){.page_no = n + 1, .cell = n % 7};
}

static void fill(struct row_match *match, uint32_t count)
{
	struct error err;

	for (uint32_t i = 0; i < count; i++) {
		/* Neighbours share a hash, so that chains are walked. */
		assert_int_equal(
		    row_match_add(match, (i / 2) * 0x9e3779b97f4a7c15u, place(i), &err),
		    ST_OK);
	}
}

static unsigned found(const struct row_match *match, uint32_t n)
{
	struct row_match_entry *entry;
	size_t at = 0;
	unsigned hits = 0;

	while ((entry = row_match_next(match, (n / 2) * 0x9e3779b97f4a7c15u, &at))) {
		hits +=
		    entry->old_place.page_no == n + 1 && entry->old_place.cell == n % 7;
	}
	return hits;
}

static void test_row_match_finds_every_entry_once(void **state)
{
	struct row_match match;

	(void)state;
	row_match_init(&match);
	fill(&match, 5000);
	for (uint32_t i = 0; i < 5000; i++) {
		assert_int_equal(found(&match, i), 1);
	}
	assert_int_equal(found(&match, 6000), 0);
	row_match_clear(&match);
}

static void test_row_match_is_empty_after_emptying(void **state)
{
	struct row_match match;

	(void)state;
	row_match_init(&match);
	assert_int_equal(found(&match, 1), 0);
	for (unsigned round = 0; round < 3; round++) {
		fill(&match, 10 + round * 4000);
		row_match_empty(&match);
		assert_int_equal(match.count, 0);
		assert_int_equal(found(&match, 1), 0);
	}
	row_match_clear(&match);
}

static void test_row_match_moves_to_a_file_when_large(void **state)
{
	struct row_match match;

	(void)state;
	row_match_init(&match);
	fill(&match, 400000);
	assert_true(match.mapped_bytes > 0);
	for (uint32_t i = 0; i < 400000; i += 997) {
		assert_int_equal(found(&match, i), 1);
	}
	row_match_clear(&match);
}

static void test_row_match_keeps_what_was_matched_when_it_grows(void **state)
{
	struct row_match match;
	struct row_match_entry *entry;
	size_t at = 0;

	(void)state;
	row_match_init(&match);
	fill(&match, 1);
	entry = row_match_next(&match, 0, &at);
	assert_non_null(entry);
	entry->new_place = (struct row_place){77, 3};
	fill(&match, 1000);
	at = 0;
	do {
		entry = row_match_next(&match, 0, &at);
		assert_non_null(entry);
	} while (entry->new_place.page_no != 77);
	row_match_clear(&match);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_row_match_finds_every_entry_once),
	    cmocka_unit_test(test_row_match_is_empty_after_emptying),
	    cmocka_unit_test(test_row_match_moves_to_a_file_when_large),
	    cmocka_unit_test(test_row_match_keeps_what_was_matched_when_it_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
