/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/archive/upkeep.h"
#include "src/base/clock.h"
#include "tests/lib/ltx_file.h"

static bool never(void *context)
{
	(void)context;
	return false;
}

/* A merge may take long, and how long its file has been there lets others go. */
static void test_a_merged_file_is_there_from_the_end_of_its_merge_on(void **state)
{
	static const struct ltx_fill fills[] = {{1, 7}, {0, 0}};
	struct memory_storage *memory = memory_storage_open();
	struct storage *storage = memory_storage_base(memory);
	struct archive_list list = {0};
	struct policy policy = {.level_ns = {10 * NS_PER_S}, .level_count = 1};
	struct upkeep upkeep = {
	    .storage = storage, .list = &list, .policy = &policy, .stops = never};
	int64_t before = clock_wall_ns();
	struct error err;

	(void)state;
	for (uint64_t txid = 1; txid <= 3; txid++) {
		memory_storage_make(
		    memory, &(struct ltx_spec){.min_txid = txid,
					       .max_txid = txid,
					       .page_size = 512,
					       .page_count = 1,
					       .pages = fills,
					       .time_ns = (int64_t)txid * NS_PER_S});
	}
	assert_int_equal(storage_list(storage, &list, &err), ST_OK);
	assert_int_equal(upkeep_compact(&upkeep, 60 * NS_PER_S, &err), ST_OK);
	assert_int_equal(list.count, 4);
	assert_int_equal(list.files[3].level, 1);
	assert_true(list.files[3].stored_ns >= before);
	archive_list_clear(&list);
	storage_close(storage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_merged_file_is_there_from_the_end_of_its_merge_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
