/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/spool.h"

static struct spool *open_spool(uint32_t page_size)
{
	struct spool *spool;
	struct error err;

	if (spool_open(page_size, &spool, &err) != ST_OK) {
		fail_msg("spool_open: %s", err.text);
	}
	return spool;
}

static uint32_t take_slot(struct spool *spool)
{
	struct error err;
	uint32_t slot;

	if (spool_alloc(spool, &slot, &err) != ST_OK) {
		fail_msg("spool_alloc: %s", err.text);
	}
	return slot;
}

static void test_slots_are_distinct_and_keep_their_bytes(void **state)
{
	static const uint32_t sizes[] = {512, 4096, 65536};

	(void)state;
	for (size_t s = 0; s < 3; s++) {
		uint32_t total = (48u << 20) / sizes[s]; /* past what lies in memory */
		struct spool *spool = open_spool(sizes[s]);
		uint32_t *slots = calloc(total, sizeof *slots);

		for (uint32_t i = 0; i < total; i++) {
			slots[i] = take_slot(spool);
			memcpy(spool_bytes(spool, slots[i]), &i, sizeof i);
			memcpy(spool_bytes(spool, slots[i]) + sizes[s] - 4, &i,
			       sizeof i);
		}
		for (uint32_t i = 0; i < total; i++) {
			const uint8_t *bytes = spool_bytes(spool, slots[i]);

			assert_memory_equal(bytes, &i, sizeof i);
			assert_memory_equal(bytes + sizes[s] - 4, &i, sizeof i);
		}
		assert_int_equal(spool_used_bytes(spool), (uint64_t)total * sizes[s]);
		spool_free(spool, slots, total);
		assert_int_equal(spool_used_bytes(spool), 0);
		free(slots);
		spool_close(spool);
	}
}

static void test_freed_slots_come_back_after_their_segment_was_released(void **state)
{
	struct spool *spool = open_spool(4096);
	uint32_t total = (80u << 20) / 4096;
	uint32_t *slots = calloc(total, sizeof *slots);
	uint32_t highest = 0;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < total; i++) {
			slots[i] = take_slot(spool);
			highest = slots[i] > highest ? slots[i] : highest;
			memset(spool_bytes(spool, slots[i]), (int)(i & 0xff), 4096);
		}
		for (uint32_t i = 0; i < total; i++) {
			assert_int_equal(spool_bytes(spool, slots[i])[4095], i & 0xff);
		}
		spool_free(spool, slots, total);
	}
	assert_true(highest < total + 2048); /* nothing was left unused */
	free(slots);
	spool_close(spool);
}

static void test_random_allocation_never_hands_out_a_slot_twice(void **state)
{
	struct spool *spool = open_spool(65536);
	uint32_t held[3000];
	size_t total = 0;
	unsigned seed = 3;

	(void)state;
	for (int i = 0; i < 60000; i++) {
		if (total < 3000 && (total == 0 || rand_r(&seed) % 100 < 52)) {
			uint32_t slot = take_slot(spool);

			held[total] = slot;
			memcpy(spool_bytes(spool, slot), &slot, sizeof slot);
			total++;
		} else {
			size_t at = (size_t)rand_r(&seed) % total;

			assert_memory_equal(spool_bytes(spool, held[at]), &held[at], 4);
			memset(spool_bytes(spool, held[at]), 0xee, 4);
			spool_free(spool, &held[at], 1);
			held[at] = held[--total];
		}
	}
	for (size_t i = 0; i < total; i++) {
		assert_memory_equal(spool_bytes(spool, held[i]), &held[i], 4);
	}
	spool_close(spool);
}

static void test_preimages_are_found_until_dropped(void **state)
{
	struct spool *spool = open_spool(512);
	struct error err;
	uint32_t slots[5001];

	(void)state;
	assert_int_equal(spool_preimage_find(spool, 1), SPOOL_NO_SLOT);
	for (uint32_t p = 1; p <= 5000; p++) {
		slots[p] = take_slot(spool);
		assert_int_equal(spool_preimage_put(spool, p * 7919, slots[p], &err),
				 ST_OK);
	}
	for (uint32_t p = 1; p <= 5000; p++) {
		assert_int_equal(spool_preimage_find(spool, p * 7919), slots[p]);
	}
	for (uint32_t p = 2; p <= 5000; p += 2) {
		uint32_t page_no = p * 7919;

		spool_preimage_drop(spool, &page_no, 1);
		spool_preimage_drop(spool, &page_no, 1);
	}
	for (uint32_t p = 1; p <= 5000; p++) {
		assert_int_equal(spool_preimage_find(spool, p * 7919),
				 p % 2 ? slots[p] : SPOOL_NO_SLOT);
	}
	assert_int_equal(spool_used_bytes(spool), 2500 * 512);
	spool_close(spool);
}

static void test_second_preimage_of_a_page_gives_way_to_the_first(void **state)
{
	struct spool *spool = open_spool(512);
	uint32_t first = take_slot(spool);
	uint32_t second = take_slot(spool);
	uint32_t page_no = 5;
	struct error err;

	(void)state;
	assert_int_equal(spool_preimage_put(spool, page_no, first, &err), ST_OK);
	assert_int_equal(spool_preimage_put(spool, page_no, second, &err), ST_OK);
	assert_int_equal(spool_preimage_find(spool, page_no), first);
	assert_int_equal(spool_used_bytes(spool), 512);
	spool_preimage_drop(spool, &page_no, 1);
	assert_int_equal(spool_used_bytes(spool), 0);
	spool_close(spool);
}

static void test_full_disk_is_an_error_and_freed_slots_help(void **state)
{
	struct rlimit before;
	struct rlimit low;
	struct spool *spool = open_spool(65536);
	static uint32_t slots[4096];
	struct error err;
	size_t total = 0;

	(void)state;
	/* Past a limit on file sizes posix_fallocate fails as on a full disk (EFBIG).
	 */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	low = before;
	low.rlim_cur = 8u << 20;
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	while (spool_alloc(spool, &slots[total], &err) == ST_OK) {
		memset(spool_bytes(spool, slots[total]), 1, 65536);
		total++;
		assert_in_range(total, 0, 4095);
	}
	assert_int_equal(err.status, ST_IO);
	assert_non_null(strstr(err.text, "TMPDIR"));
	assert_true(total > 0);
	spool_free(spool, &slots[total - 1], 1);
	assert_int_equal(spool_alloc(spool, &slots[total - 1], &err), ST_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(spool_alloc(spool, &slots[total], &err), ST_OK);
	spool_close(spool);
}

static void test_file_is_private_and_has_no_name(void **state)
{
	char folder[] = "/tmp/rowtail-spool-test-XXXXXX";
	const char *before = getenv("TMPDIR");
	char *kept = before ? strdup(before) : NULL;
	struct spool *spool;

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(setenv("TMPDIR", folder, 1), 0);
	spool = open_spool(4096);
	for (int i = 0; i < 10000; i++) {
		(void)take_slot(spool);
	}
	assert_int_equal(rmdir(folder), 0); /* it is empty */
	spool_close(spool);
	if (kept) {
		(void)setenv("TMPDIR", kept, 1);
		free(kept);
	} else {
		(void)unsetenv("TMPDIR");
	}
}

static void test_folder_that_is_missing_is_named(void **state)
{
	const char *before = getenv("TMPDIR");
	char *kept = before ? strdup(before) : NULL;
	struct spool *spool;
	struct error err;

	(void)state;
	assert_int_equal(setenv("TMPDIR", "/nowhere/at/all", 1), 0);
	assert_int_equal(spool_open(4096, &spool, &err), ST_IO);
	assert_non_null(strstr(err.text, "/nowhere/at/all"));
	assert_non_null(strstr(err.text, "TMPDIR"));
	if (kept) {
		(void)setenv("TMPDIR", kept, 1);
		free(kept);
	} else {
		(void)unsetenv("TMPDIR");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_slots_are_distinct_and_keep_their_bytes),
	    cmocka_unit_test(
		test_freed_slots_come_back_after_their_segment_was_released),
	    cmocka_unit_test(test_random_allocation_never_hands_out_a_slot_twice),
	    cmocka_unit_test(test_preimages_are_found_until_dropped),
	    cmocka_unit_test(test_second_preimage_of_a_page_gives_way_to_the_first),
	    cmocka_unit_test(test_full_disk_is_an_error_and_freed_slots_help),
	    cmocka_unit_test(test_file_is_private_and_has_no_name),
	    cmocka_unit_test(test_folder_that_is_missing_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
