/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/archive/pages.h"
#include "tests/lib/ltx_file.h"

#define PAGE 512u
#define MANY 40000u /* pages: an index of some pieces */

static uint8_t fill_of(uint32_t page_no)
{
	return (uint8_t)(page_no % 251 + 1);
}

/* A whole database; of it, page `hole` (0: none) is in no file. */
static void make_whole(struct ltx_file *file, uint32_t hole)
{
	struct ltx_fill *fills = calloc(MANY + 1, sizeof *fills);
	const struct ltx_spec spec = {.level = 9,
				      .min_txid = 1,
				      .max_txid = 1,
				      .page_size = PAGE,
				      .page_count = MANY,
				      .pages = fills};
	size_t count = 0;

	assert_non_null(fills);
	for (uint32_t n = 1; n <= MANY; n++) {
		if (n != hole) {
			fills[count++] = (struct ltx_fill){n, fill_of(n)};
		}
	}
	ltx_file_make(file, &spec);
	file->spec.pages = NULL;
	free(fills);
}

/* A storage that counts what is read of it. */
struct counting {
	struct storage base;
	struct storage_calls calls;
	struct storage *inner;
	uint64_t bytes;
};

struct counted_file {
	struct storage_file base;
	struct storage_file *inner;
};

static struct counting *counting_of(struct storage *storage)
{
	return (struct counting *)(void *)storage;
}

static enum status list_level(struct storage *storage, unsigned level,
			      struct archive_list *list, struct error *err)
{
	struct storage *inner = counting_of(storage)->inner;

	return inner->calls->list(inner, level, list, err);
}

static enum status open_file(struct storage *storage, const struct archive_file *file,
			     struct storage_file **out, struct error *err)
{
	struct counted_file *f = calloc(1, sizeof *f);
	enum status status;

	assert_non_null(f);
	status = storage_file_open(counting_of(storage)->inner, file, &f->inner, err);
	assert_int_equal(status, ST_OK);
	f->base = *f->inner;
	f->base.storage = storage;
	*out = &f->base;
	return ST_OK;
}

static enum status read_file(struct storage_file *file, void *bytes, size_t len,
			     uint64_t offset, size_t *got, struct error *err)
{
	struct counted_file *f = (struct counted_file *)(void *)file;

	counting_of(file->storage)->bytes += len;
	return storage_file_read(f->inner, bytes, len, offset, got, err);
}

static void close_file(struct storage_file *file)
{
	storage_file_close(((struct counted_file *)(void *)file)->inner);
	free(file);
}

static struct archive_pages *open_pages(struct counting *c,
					struct memory_storage *storage)
{
	const struct when when = {.kind = WHEN_LATEST};
	struct archive_list list = {0};
	struct archive_pages *pages;
	struct plan plan;
	struct error err;

	*c = (struct counting){.inner = memory_storage_base(storage),
			       .calls = {.list = list_level,
					 .open = open_file,
					 .read = read_file,
					 .close_file = close_file}};
	c->base.calls = &c->calls;
	assert_int_equal(storage_list(&c->base, &list, &err), ST_OK);
	assert_int_equal(plan_init(&plan, &list, &when, &err), ST_OK);
	assert_int_equal(archive_pages_open(&c->base, &plan, &pages, &err), ST_OK);
	plan_clear(&plan);
	archive_list_clear(&list);
	return pages;
}

static void check_page(struct archive_pages *pages, uint32_t page_no)
{
	uint8_t page[PAGE];
	struct error err;

	if (archive_pages_read(pages, page_no, page, &err) != ST_OK) {
		fail_msg("page %u: %s", page_no, err.text);
	}
	assert_int_equal(page[0], fill_of(page_no));
	assert_int_equal(page[PAGE - 1], fill_of(page_no));
}

static void test_pages_are_found_in_any_order(void **state)
{
	struct memory_storage *storage = memory_storage_open();
	struct archive_pages *pages;
	struct counting c;
	struct ltx_file file;

	(void)state;
	make_whole(&file, 0);
	memory_storage_add(storage, &file.spec, file.bytes.bytes, file.bytes.len);
	/* With each of them the first that is asked for. */
	for (uint32_t n = 1; n <= MANY; n += 1777) {
		pages = open_pages(&c, storage);
		check_page(pages, n);
		archive_pages_close(pages);
	}
	pages = open_pages(&c, storage);
	check_page(pages, MANY);
	check_page(pages, 1);
	for (uint32_t i = 0, n = 7; i < MANY; i++, n = (n + 12347) % MANY) {
		check_page(pages, n + 1);
	}
	archive_pages_close(pages);
	storage_close(memory_storage_base(storage));
	ltx_file_clear(&file);
}

static void test_one_page_needs_little_of_the_index(void **state)
{
	struct memory_storage *storage = memory_storage_open();
	struct archive_pages *pages;
	struct counting c;
	struct ltx_file file;

	(void)state;
	make_whole(&file, 0);
	memory_storage_add(storage, &file.spec, file.bytes.bytes, file.bytes.len);
	pages = open_pages(&c, storage);
	check_page(pages, MANY / 3);
	archive_pages_close(pages);
	assert_true(c.bytes < (file.bytes.len - file.index) * 3 / 4);
	storage_close(memory_storage_base(storage));
	ltx_file_clear(&file);
}

static void test_a_page_that_is_missing_is_an_error(void **state)
{
	const uint32_t holes[] = {1, 2, MANY / 2, MANY - 1, MANY};

	(void)state;
	for (size_t i = 0; i < sizeof holes / sizeof *holes; i++) {
		struct memory_storage *storage = memory_storage_open();
		struct archive_pages *pages;
		struct counting c;
		struct ltx_file file;
		struct error err;
		uint8_t page[PAGE];

		make_whole(&file, holes[i]);
		memory_storage_add(storage, &file.spec, file.bytes.bytes,
				   file.bytes.len);
		pages = open_pages(&c, storage);
		for (int again = 0; again < 2; again++) {
			assert_int_equal(
			    archive_pages_read(pages, holes[i], page, &err),
			    ST_CORRUPT);
			assert_non_null(strstr(err.text, "is in no file from 9/000"));
		}
		check_page(pages, holes[i] == 1 ? 2 : holes[i] - 1);
		check_page(pages, holes[i] == MANY ? 3 : holes[i] + 1);
		archive_pages_close(pages);
		storage_close(memory_storage_base(storage));
		ltx_file_clear(&file);
	}
}

/* Whatever stands in the index: the right page, or an error. */
static void test_an_index_that_was_changed_gives_no_other_page(void **state)
{
	struct ltx_file file;
	uint64_t seed = 5;
	unsigned refused = 0;

	(void)state;
	make_whole(&file, 0);
	for (unsigned round = 0; round < 200; round++) {
		struct memory_storage *storage = memory_storage_open();
		struct archive_pages *pages;
		struct counting c;
		size_t where[3];
		uint8_t was[3];

		for (size_t i = 0; i < 3; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			where[i] = file.index +
				   (seed >> 33) % (file.bytes.len - file.index - 24);
			was[i] = *ltx_file_at(&file, where[i]);
			*ltx_file_at(&file, where[i]) = (uint8_t)(seed >> 20);
		}
		memory_storage_add(storage, &file.spec, file.bytes.bytes,
				   file.bytes.len);
		pages = open_pages(&c, storage);
		for (uint32_t n = 1 + round; n <= MANY; n += 997) {
			uint8_t page[PAGE];
			struct error err;
			enum status status = archive_pages_read(pages, n, page, &err);

			assert_true(status == ST_OK || status == ST_CORRUPT);
			assert_true(status != ST_OK || page[9] == fill_of(n));
			refused += status == ST_CORRUPT;
		}
		archive_pages_close(pages);
		storage_close(memory_storage_base(storage));
		for (size_t i = 3; i > 0; i--) {
			*ltx_file_at(&file, where[i - 1]) = was[i - 1];
		}
	}
	assert_true(refused > 0);
	ltx_file_clear(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pages_are_found_in_any_order),
	    cmocka_unit_test(test_one_page_needs_little_of_the_index),
	    cmocka_unit_test(test_a_page_that_is_missing_is_an_error),
	    cmocka_unit_test(test_an_index_that_was_changed_gives_no_other_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
