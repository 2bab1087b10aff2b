/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "src/archive/merge.h"
#include "src/base/crc64.h"
#include "src/base/temp_file.h"
#include "tests/lib/ltx_file.h"

#define PAGE 512u
#define ALL  64 /* pages of a test, at most */

static const _Atomic int never;

/* A file of the plan: the size after it, and "1-9a 12b": pages and what fills them. */
struct step {
	uint32_t page_count;
	const char *pages;
};

static size_t read_fills(const char *text, struct ltx_fill *fills)
{
	size_t count = 0;

	while (*text) {
		unsigned first;
		unsigned last;
		char fill;
		int used;

		if (sscanf(text, "%u-%u%c%n", &first, &last, &fill, &used) != 3) {
			assert_int_equal(sscanf(text, "%u%c%n", &first, &fill, &used),
					 2);
			last = first;
		}
		text += used;
		text += *text == ' ';
		for (; first <= last; first++) {
			fills[count++] = (struct ltx_fill){first, (uint8_t)fill};
		}
	}
	fills[count] = (struct ltx_fill){0};
	return count;
}

static struct ltx_spec spec_of(const struct step *step, size_t index,
			       struct ltx_fill *fills)
{
	(void)read_fills(step->pages, fills);
	return (struct ltx_spec){
	    .min_txid = index + 1,
	    .max_txid = index + 1,
	    .page_size = PAGE,
	    .page_count = step->page_count,
	    .pages = fills,
	    .has_frames = index % 2,
	};
}

struct result {
	struct merge merge;
	char text[ALL + 1]; /* what each page is filled with; '.' zeros */
	struct error err;
};

/* Read what was written into a text. */
static void read_back(struct result *r, int fd)
{
	uint8_t page[PAGE];
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, r->merge.page_count * PAGE);
	assert_true(r->merge.page_count <= ALL);
	for (uint32_t i = 0; i < r->merge.page_count; i++) {
		assert_int_equal(pread(fd, page, PAGE, (off_t)i * PAGE), PAGE);
		for (size_t k = 1; k < PAGE; k++) {
			assert_int_equal(page[k], page[0]);
		}
		r->text[i] = page[0] ? (char)page[0] : '.';
	}
	r->text[r->merge.page_count] = '\0';
}

static enum status run(struct memory_storage *storage, const char *at, bool writes,
		       struct result *r)
{
	struct archive_list list = {0};
	struct when when;
	struct plan plan;
	enum status status;
	int fd = -1;

	*r = (struct result){0};
	assert_int_equal(when_parse(at, 0, &when, &r->err), ST_OK);
	assert_int_equal(storage_list(memory_storage_base(storage), &list, &r->err),
			 ST_OK);
	assert_int_equal(plan_init(&plan, &list, &when, &r->err), ST_OK);
	if (writes) {
		assert_int_equal(temp_file_open(&fd, &r->err), ST_OK);
	}
	r->merge = (struct merge){.storage = memory_storage_base(storage),
				  .plan = &plan,
				  .fd = fd,
				  .path = "out",
				  .stop = &never};
	status = merge_run(&r->merge, &r->err);
	assert_int_equal(memory_storage_opened(storage), 0);
	if (status == ST_OK && writes) {
		read_back(r, fd);
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	plan_clear(&plan);
	archive_list_clear(&list);
	return status;
}

static enum status merge(const struct step *steps, size_t count, struct result *r)
{
	struct memory_storage *storage = memory_storage_open();
	struct ltx_fill fills[ALL + 1];
	enum status status;

	for (size_t i = 0; i < count; i++) {
		struct ltx_spec spec = spec_of(&steps[i], i, fills);

		memory_storage_make(storage, &spec);
	}
	status = run(storage, "latest", true, r);
	storage_close(memory_storage_base(storage));
	return status;
}

#define MERGE(r, ...)                             \
	merge((const struct step[]){__VA_ARGS__}, \
	      sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step), r)

static void test_the_newest_image_of_each_page_counts(void **state)
{
	struct result r;

	(void)state;
	assert_int_equal(MERGE(&r, {5, "1-5a"}, {5, "2b 4b"}, {6, "4c 6c"}), ST_OK);
	assert_string_equal(r.text, "abaca"
				    "c");
	assert_int_equal(r.merge.zero_count, 0);
	assert_int_equal(r.merge.page_size, PAGE);
}

static void test_a_database_that_shrinks_loses_its_end(void **state)
{
	struct result r;

	(void)state;
	assert_int_equal(MERGE(&r, {8, "1-8a"}, {3, "1b"}), ST_OK);
	assert_string_equal(r.text, "baa");
	assert_int_equal(MERGE(&r, {8, "1-8a"}, {0, ""}), ST_OK);
	assert_string_equal(r.text, "");
}

static void test_pages_cut_off_do_not_come_back(void **state)
{
	struct result r;

	(void)state;
	assert_int_equal(MERGE(&r, {8, "1-8a"}, {3, "1b"}, {8, "7-8c"}), ST_OK);
	assert_string_equal(r.text, "baa...cc");
	assert_int_equal(r.merge.zero_count, 3);
	assert_int_equal(MERGE(&r, {8, "1-8a"}, {3, "1b"}, {8, "4-8c"}, {8, "5d"}),
			 ST_OK);
	assert_string_equal(r.text, "baacdccc");
	assert_int_equal(r.merge.zero_count, 0);
	/* A page written in between and cut off again. */
	assert_int_equal(MERGE(&r, {2, "1-2a"}, {4, "3-4b"}, {2, "1c"}, {3, "1d"}),
			 ST_OK);
	assert_string_equal(r.text, "da.");
}

static void test_a_page_that_no_file_has_is_an_error(void **state)
{
	struct result r;

	(void)state;
	assert_int_equal(MERGE(&r, {5, "1-5a"}, {9, "8-9b"}), ST_CORRUPT);
	assert_non_null(strstr(r.err.text, "page 6 of 9 is in no file from 0/0000000"));
	assert_non_null(strstr(r.err.text, "rowtail archive list"));
	assert_int_equal(MERGE(&r, {5, "1-3a 5a"}), ST_CORRUPT);
	assert_non_null(strstr(r.err.text, "page 4 of 5"));
}

static void test_files_that_are_not_needed_are_verified_too(void **state)
{
	struct memory_storage *storage = memory_storage_open();
	struct ltx_fill fills[ALL + 1];
	struct ltx_file file;
	struct ltx_spec spec = spec_of(&(struct step){2, "1-2a"}, 0, fills);
	struct result r;

	(void)state;
	ltx_file_make(&file, &spec);
	/* Of the checksum. */
	*ltx_file_at(&file, file.bytes.len - 1) ^= 1;
	memory_storage_add(storage, &spec, file.bytes.bytes, file.bytes.len);
	ltx_file_clear(&file);
	spec = spec_of(&(struct step){2, "1-2b"}, 1, fills);
	memory_storage_make(storage, &spec);
	assert_int_equal(run(storage, "latest", true, &r), ST_CORRUPT);
	assert_non_null(strstr(r.err.text, "checksum that is not that of its content"));
	storage_close(memory_storage_base(storage));
}

static void test_page_sizes_do_not_mix(void **state)
{
	struct memory_storage *storage = memory_storage_open();
	struct ltx_fill fills[ALL + 1];
	struct ltx_spec spec = spec_of(&(struct step){2, "1-2a"}, 0, fills);
	struct result r;

	(void)state;
	memory_storage_make(storage, &spec);
	spec = spec_of(&(struct step){2, "1b"}, 1, fills);
	spec.page_size = 1024;
	memory_storage_make(storage, &spec);
	assert_int_equal(run(storage, "latest", true, &r), ST_CORRUPT);
	assert_non_null(strstr(r.err.text, "has pages of 512 bytes, a later one of"));
	/* Before the change it can still be restored. */
	assert_int_equal(run(storage, "txid:1", true, &r), ST_OK);
	assert_string_equal(r.text, "aa");
	storage_close(memory_storage_base(storage));
}

/* A small file that says it is of a database of 256 TB. */
static void test_a_size_that_the_files_cannot_have_is_an_error(void **state)
{
	struct memory_storage *storage = memory_storage_open();
	struct ltx_fill fills[ALL + 1];
	struct ltx_spec spec = spec_of(&(struct step){UINT32_MAX, "1a"}, 0, fills);
	struct result r;

	(void)state;
	spec.page_size = 65536;
	memory_storage_make(storage, &spec);
	assert_int_equal(run(storage, "latest", false, &r), ST_CORRUPT);
	assert_non_null(
	    strstr(r.err.text, "4294967295 pages, but the archive has fewer"));
	assert_int_equal(run(storage, "latest", true, &r), ST_CORRUPT);
	storage_close(memory_storage_base(storage));
}

/* Past 1 GiB: the page that holds the lock byte is in no file, and is missed by nobody.
 */
static void test_the_page_of_the_lock_byte_is_not_missed(void **state)
{
	enum { LOCK = 16385, COUNT = LOCK + 3 };
	struct memory_storage *storage = memory_storage_open();
	struct ltx_fill *fills = calloc(COUNT + 1, sizeof *fills);
	struct ltx_spec spec = {.level = 9,
				.min_txid = 1,
				.max_txid = 1,
				.page_size = 65536,
				.page_count = COUNT,
				.pages = fills};
	struct result r;
	size_t count = 0;

	(void)state;
	assert_non_null(fills);
	if (getenv("ROWTAIL_TEST_WRAPPED")) { /* a minute of valgrind */
		storage_close(memory_storage_base(storage));
		free(fills);
		skip();
	}
	for (uint32_t n = 1; n <= COUNT; n++) {
		if (n != LOCK) {
			fills[count++] = (struct ltx_fill){n, 'a'};
		}
	}
	memory_storage_make(storage, &spec);
	assert_int_equal(run(storage, "latest", false, &r), ST_OK);
	assert_int_equal(r.merge.page_count, COUNT);
	assert_int_equal(r.merge.zero_count, 0);
	storage_close(memory_storage_base(storage));
	free(fills);
}

/* XOR of the checksums of all pages, each with its number before it. */
static uint64_t sum_of(const char *text)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; text[i]; i++) {
		uint8_t bytes[4 + PAGE] = {0, 0, 0, (uint8_t)(i + 1)};

		memset(bytes + 4, text[i] == '.' ? 0 : text[i], PAGE);
		sum ^= crc64_add(0, bytes, sizeof bytes);
	}
	return sum | LTX_CHECKSUM_BIT;
}

/* Litestream writes none, LiteFS does. */
static void test_the_result_is_compared_with_the_checksum_of_the_database(void **state)
{
	struct memory_storage *storage = memory_storage_open();
	const struct step steps[] = {{8, "1-8a"}, {3, "1b"}, {8, "7-8c"}};
	struct ltx_fill fills[ALL + 1];
	struct ltx_spec spec;
	struct result r;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		spec = spec_of(&steps[i], i, fills);
		spec.has_checksums = i != 1; /* they may be mixed */
		spec.checksum = sum_of("baa...cc");
		memory_storage_make(storage, &spec);
	}
	/* That of the first one is wrong, and only counts where it is the last. */
	assert_int_equal(run(storage, "latest", true, &r), ST_OK);
	assert_string_equal(r.text, "baa...cc");
	assert_int_equal(run(storage, "latest", false, &r), ST_OK);
	assert_int_equal(run(storage, "txid:2", true, &r), ST_OK);
	assert_int_equal(run(storage, "txid:1", true, &r), ST_CORRUPT);
	assert_non_null(strstr(r.err.text, "give another database than the checksum"));
	storage_close(memory_storage_base(storage));
}

static void test_a_file_is_verified_alone(void **state)
{
	struct memory_storage *storage = memory_storage_open();
	struct ltx_fill fills[ALL + 1];
	struct ltx_spec spec = spec_of(&(struct step){9, "8a"}, 4, fills);
	const struct archive_file name = {.min_txid = 5, .max_txid = 5};
	const struct archive_file other = {.min_txid = 5, .max_txid = 6};
	const _Atomic int now = 1;
	struct error err;

	(void)state;
	memory_storage_make(storage, &spec);
	assert_int_equal(
	    merge_verify_file(memory_storage_base(storage), &name, &never, &err),
	    ST_OK);
	assert_int_equal(
	    merge_verify_file(memory_storage_base(storage), &name, &now, &err),
	    ST_STOPPED);
	assert_int_equal(
	    merge_verify_file(memory_storage_base(storage), &other, &never, &err),
	    ST_LOST);
	storage_close(memory_storage_base(storage));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_newest_image_of_each_page_counts),
	    cmocka_unit_test(test_a_database_that_shrinks_loses_its_end),
	    cmocka_unit_test(test_pages_cut_off_do_not_come_back),
	    cmocka_unit_test(test_a_page_that_no_file_has_is_an_error),
	    cmocka_unit_test(test_files_that_are_not_needed_are_verified_too),
	    cmocka_unit_test(test_page_sizes_do_not_mix),
	    cmocka_unit_test(test_a_size_that_the_files_cannot_have_is_an_error),
	    cmocka_unit_test(test_the_page_of_the_lock_byte_is_not_missed),
	    cmocka_unit_test(
		test_the_result_is_compared_with_the_checksum_of_the_database),
	    cmocka_unit_test(test_a_file_is_verified_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
