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

#include <fcntl.h>

#include "src/history/spool.h"

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

/* An image that begins and ends with `number`. */
static void put_number(struct spool *spool, uint32_t slot, uint32_t page_size,
		       uint32_t number)
{
	static uint8_t image[65536];
	struct error err;

	memcpy(image, &number, sizeof number);
	memcpy(image + page_size - sizeof number, &number, sizeof number);
	assert_int_equal(spool_put(spool, slot, image, &err), ST_OK);
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
			put_number(spool, slots[i], sizes[s], i);
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

/* Slots in any order, in several segments, in memory and not. */
static void test_images_are_written_to_the_slots_that_they_are_for(void **state)
{
	enum { AT_ONCE = 64, SIZE = 512 };
	uint32_t total = (40u << 20) / SIZE;
	uint32_t *slots = calloc(total, sizeof *slots);
	uint8_t *images = malloc((size_t)AT_ONCE * SIZE);
	struct spool *spool = open_spool(SIZE);
	unsigned seed = 5;
	struct error err;

	(void)state;
	for (uint32_t i = 0; i < total; i++) {
		slots[i] = take_slot(spool);
	}
	for (uint32_t i = 0; i < total / 16; i++) { /* runs, and breaks in them */
		uint32_t a = (uint32_t)rand_r(&seed) % total;
		uint32_t b = (uint32_t)rand_r(&seed) % total;
		uint32_t slot = slots[a];

		slots[a] = slots[b];
		slots[b] = slot;
	}
	for (uint32_t first = 0; first < total; first += AT_ONCE) {
		for (uint32_t i = 0; i < AT_ONCE; i++) {
			uint8_t *memory = spool_memory(spool, slots[first + i]);
			uint8_t *image = memory ? memory : images + (size_t)i * SIZE;

			memset(image, (int)((first + i) % 251), SIZE);
		}
		assert_int_equal(
		    spool_write(spool, slots + first, AT_ONCE, images, &err), ST_OK);
	}
	for (uint32_t i = 0; i < total; i++) {
		assert_int_equal(spool_bytes(spool, slots[i])[0], i % 251);
		assert_int_equal(spool_bytes(spool, slots[i])[SIZE - 1], i % 251);
	}
	spool_close(spool);
	free(images);
	free(slots);
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
			put_number(spool, slots[i], 4096, i);
		}
		for (uint32_t i = 0; i < total; i++) {
			assert_memory_equal(spool_bytes(spool, slots[i]) + 4092, &i, 4);
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
			put_number(spool, slot, 65536, slot);
			total++;
		} else {
			size_t at = (size_t)rand_r(&seed) % total;

			assert_memory_equal(spool_bytes(spool, held[at]), &held[at], 4);
			put_number(spool, held[at], 65536, 0xeeeeeeee);
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
		put_number(spool, slots[total], 65536, 1);
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

/* A folder with a spool that stays. */
struct kept {
	char folder[40];
	int dir_fd;
	struct spool *spool;
};

static void kept_open(struct kept *k, uint32_t page_size, bool keep)
{
	struct error err;

	spool_close(k->spool);
	k->spool = NULL;
	if (spool_open_at(k->dir_fd, page_size, keep, &k->spool, &err) != ST_OK) {
		fail_msg("spool_open_at: %s", err.text);
	}
}

static struct kept kept_set_up(void)
{
	struct kept k = {.folder = "/tmp/rowtail-spool-test-XXXXXX"};

	assert_non_null(mkdtemp(k.folder));
	k.dir_fd = open(k.folder, O_RDONLY | O_DIRECTORY);
	assert_true(k.dir_fd >= 0);
	return k;
}

static void kept_tear_down(struct kept *k)
{
	spool_close(k->spool);
	(void)unlinkat(k->dir_fd, "frames", 0);
	(void)close(k->dir_fd);
	assert_int_equal(rmdir(k->folder), 0);
}

static struct stat kept_stat(const struct kept *k)
{
	struct stat file;

	assert_int_equal(fstatat(k->dir_fd, "frames", &file, 0), 0);
	return file;
}

static void test_kept_file_has_its_images_again(void **state)
{
	static const uint32_t sizes[] = {512, 4096, 65536};
	struct kept k = kept_set_up();

	(void)state;
	for (size_t s = 0; s < 3; s++) {
		uint32_t total = (17u << 20) / sizes[s];
		uint32_t *slots = calloc(total, sizeof *slots);
		struct error err;

		kept_open(&k, sizes[s], false);
		assert_string_equal(spool_folder(k.spool), k.folder);
		for (uint32_t i = 0; i < total; i++) {
			slots[i] = take_slot(k.spool);
			put_number(k.spool, slots[i], sizes[s], i);
		}
		assert_int_equal(spool_sync(k.spool, &err), ST_OK);
		assert_int_equal(kept_stat(&k).st_mode & 0777, 0600);
		assert_int_equal(kept_stat(&k).st_size, 20 << 20); /* none in memory */
		kept_open(&k, sizes[s], true);
		assert_int_equal(spool_used_bytes(k.spool), 0);
		for (uint32_t i = 0; i < total; i += 2) {
			assert_int_equal(spool_claim(k.spool, slots[i], &err), ST_OK);
			assert_memory_equal(
			    spool_bytes(k.spool, slots[i]) + sizes[s] - 4, &i, 4);
		}
		assert_int_equal(spool_used_bytes(k.spool),
				 (uint64_t)(total + 1) / 2 * sizes[s]);
		kept_open(&k, sizes[s], false);
		assert_int_equal(kept_stat(&k).st_size, 0);
		free(slots);
	}
	kept_tear_down(&k);
}

static void test_claimed_slots_are_not_handed_out(void **state)
{
	struct kept k = kept_set_up();
	uint32_t total = (12u << 20) / 4096;
	static uint8_t is_claimed[(16u << 20) / 4096];
	unsigned seed = 5;
	uint32_t claimed = 0;
	struct error err;

	(void)state;
	kept_open(&k, 4096, false);
	for (uint32_t i = 0; i < total; i++) {
		(void)take_slot(k.spool);
	}
	kept_open(&k, 4096, true);
	for (int i = 0; i < 2000; i++) {
		uint32_t slot = (uint32_t)rand_r(&seed) % total;
		enum status status = spool_claim(k.spool, slot, &err);

		assert_int_equal(status, is_claimed[slot] ? ST_DAMAGED : ST_OK);
		claimed += status == ST_OK;
		is_claimed[slot] = 1;
		if (i % 7 == 0) {
			spool_free(k.spool, &slot, 1);
			is_claimed[slot] = 0;
			claimed--;
		}
	}
	assert_int_equal(spool_used_bytes(k.spool), (uint64_t)claimed * 4096);
	for (uint32_t i = 0; i < total - claimed; i++) {
		uint32_t slot = take_slot(k.spool);

		assert_true(slot < total);
		assert_false(is_claimed[slot]);
		is_claimed[slot] = 1;
	}
	assert_int_equal(kept_stat(&k).st_size, 12 << 20);
	assert_true(take_slot(k.spool) >= total); /* only now the file grows */
	kept_tear_down(&k);
}

static void test_slots_past_the_end_of_a_kept_file_are_not_there(void **state)
{
	static const uint32_t wrong[] = {2 * 1024, 2 * 1024 + 1, 1u << 30,
					 SPOOL_NO_SLOT - 1, SPOOL_NO_SLOT};
	struct kept k = kept_set_up();
	struct error err;
	int fd;

	(void)state;
	kept_open(&k, 4096, true); /* one that was not there is empty */
	assert_int_equal(spool_claim(k.spool, 0, &err), ST_DAMAGED);
	for (int i = 0; i < 3 * 1024; i++) {
		(void)take_slot(k.spool);
	}
	fd = openat(k.dir_fd, "frames", O_RDWR);
	assert_int_equal(ftruncate(fd, (12 << 20) - 1), 0); /* not a whole segment */
	(void)close(fd);
	kept_open(&k, 4096, true);
	assert_int_equal(spool_claim(k.spool, 2047, &err), ST_OK);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(spool_claim(k.spool, wrong[i], &err), ST_DAMAGED);
		assert_non_null(strstr(err.text, k.folder));
	}
	for (int i = 0; i < 2 * 1024; i++) {
		put_number(k.spool, take_slot(k.spool), 4096, 7);
	}
	assert_int_equal(kept_stat(&k).st_size, 12 << 20);
	kept_tear_down(&k);
}

static void test_what_nobody_claims_returns_to_the_file_system(void **state)
{
	struct kept k = kept_set_up();
	struct error err;
	uint32_t slot;

	(void)state;
	kept_open(&k, 4096, false);
	for (int i = 0; i < 8 * 1024; i++) {
		slot = take_slot(k.spool);
		put_number(k.spool, slot, 4096, 9);
	}
	assert_int_equal(spool_sync(k.spool, &err), ST_OK);
	assert_true(kept_stat(&k).st_blocks >= (32 << 20) / 512);
	kept_open(&k, 4096, true);
	assert_int_equal(spool_claim(k.spool, slot, &err), ST_OK);
	(void)take_slot(k.spool);
	assert_in_range(kept_stat(&k).st_blocks, 1, (9 << 20) / 512);
	assert_int_equal(spool_bytes(k.spool, slot)[4092], 9);
	kept_tear_down(&k);
}

static void test_frames_that_are_no_file_of_ours_are_refused(void **state)
{
	struct kept k = kept_set_up();
	struct error err;

	(void)state;
	assert_int_equal(mkfifoat(k.dir_fd, "frames", 0600), 0);
	assert_int_equal(spool_open_at(k.dir_fd, 4096, true, &k.spool, &err),
			 ST_CONFIG);
	assert_int_equal(unlinkat(k.dir_fd, "frames", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", k.dir_fd, "frames"), 0);
	assert_int_equal(spool_open_at(k.dir_fd, 4096, false, &k.spool, &err),
			 ST_CONFIG);
	assert_non_null(strstr(err.text, "/frames"));
	kept_tear_down(&k);
}

static void test_full_disk_names_the_frames(void **state)
{
	struct kept k = kept_set_up();
	struct rlimit before;
	struct rlimit low;
	struct error err;
	uint32_t slot;

	(void)state;
	kept_open(&k, 4096, false);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	low = before;
	low.rlim_cur = 1 << 20;
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	assert_int_equal(spool_alloc(k.spool, &slot, &err), ST_IO);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_non_null(strstr(err.text, k.folder));
	assert_non_null(strstr(err.text, "/frames"));
	assert_null(strstr(err.text, "TMPDIR"));
	assert_int_equal(spool_alloc(k.spool, &slot, &err), ST_OK);
	kept_tear_down(&k);
}

/* Bytes of mapped files that count as this program's memory. */
static uint64_t mapped_memory(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	uint64_t kib = 0;
	char line[200];

	assert_non_null(status);
	while (fgets(line, sizeof line, status)) {
		if (strncmp(line, "RssFile:", 8) == 0 ||
		    strncmp(line, "RssShmem:", 9) == 0) {
			kib += strtoull(strchr(line, ':') + 1, NULL, 10);
		}
	}
	(void)fclose(status);
	return kib << 10;
}

static void test_images_that_were_looked_at_do_not_stay_in_memory(void **state)
{
	enum { SIZE = 65536 };
	const uint32_t total = (200u << 20) / SIZE;
	struct spool *spool = open_spool(SIZE);
	uint32_t *slots = calloc(total, sizeof *slots);
	uint64_t before;

	(void)state;
	for (uint32_t i = 0; i < total; i++) {
		slots[i] = take_slot(spool);
		put_number(spool, slots[i], SIZE, i);
	}
	before = mapped_memory();
	for (uint32_t i = 0; i < total; i++) {
		const uint8_t *bytes = spool_bytes(spool, slots[i]);

		for (size_t k = 0; k < SIZE; k += 512) {
			assert_in_range(bytes[k], 0, 255);
		}
		assert_memory_equal(bytes, &i, sizeof i);
		assert_true(mapped_memory() < before + (80u << 20));
	}
	free(slots);
	spool_close(spool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_slots_are_distinct_and_keep_their_bytes),
	    cmocka_unit_test(test_images_are_written_to_the_slots_that_they_are_for),
	    cmocka_unit_test(
		test_freed_slots_come_back_after_their_segment_was_released),
	    cmocka_unit_test(test_random_allocation_never_hands_out_a_slot_twice),
	    cmocka_unit_test(test_preimages_are_found_until_dropped),
	    cmocka_unit_test(test_second_preimage_of_a_page_gives_way_to_the_first),
	    cmocka_unit_test(test_full_disk_is_an_error_and_freed_slots_help),
	    cmocka_unit_test(test_file_is_private_and_has_no_name),
	    cmocka_unit_test(test_folder_that_is_missing_is_named),
	    cmocka_unit_test(test_kept_file_has_its_images_again),
	    cmocka_unit_test(test_claimed_slots_are_not_handed_out),
	    cmocka_unit_test(test_slots_past_the_end_of_a_kept_file_are_not_there),
	    cmocka_unit_test(test_what_nobody_claims_returns_to_the_file_system),
	    cmocka_unit_test(test_frames_that_are_no_file_of_ours_are_refused),
	    cmocka_unit_test(test_full_disk_names_the_frames),
	    cmocka_unit_test(test_images_that_were_looked_at_do_not_stay_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
