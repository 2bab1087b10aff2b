/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/archive/archive_base.h"
#include "tests/lib/ltx_file.h"

#define PAGE 512u

static const _Atomic int never;

static const struct ltx_fill three_a[] = {{1, 'a'}, {2, 'a'}, {3, 'a'}, {0, 0}};
static const struct ltx_fill second_b[] = {{2, 'b'}, {0, 0}};
static const struct ltx_fill third_c[] = {{3, 'c'}, {0, 0}};
static const struct ltx_fill both[] = {{2, 'b'}, {3, 'c'}, {0, 0}};
static const struct ltx_fill third_d[] = {{3, 'd'}, {0, 0}};

/* TXID 1: aaa, 2: aba, 3: abc, 4: abd. */
struct fixture {
	struct memory_storage *memory;
	struct storage *storage;
	struct archive_base *base;
	struct view_base pages;
	_Atomic uint64_t decoded_lsn;
};

static void add(struct fixture *f, unsigned level, uint64_t min, uint64_t max,
		const struct ltx_fill *pages)
{
	const struct ltx_spec spec = {
	    .level = level,
	    .min_txid = min,
	    .max_txid = max,
	    .page_size = PAGE,
	    .page_count = 3,
	    .pages = pages,
	};

	memory_storage_make(f->memory, &spec);
}

static void take_away(struct fixture *f, unsigned level, uint64_t min, uint64_t max)
{
	const struct archive_file file = {
	    .level = level, .min_txid = min, .max_txid = max};
	struct error err;

	assert_int_equal(storage_remove(f->storage, &file, &err), ST_OK);
}

/* The base as of TXID `txid`. */
static void make(struct fixture *f, uint64_t txid)
{
	struct archive_base_settings settings = {
	    .location = "archive", .decoded_lsn = &f->decoded_lsn, .stop = &never};
	const struct when when = {.kind = WHEN_TXID, .txid = txid};
	struct archive_list list = {0};
	struct plan plan = {0};
	struct error err;

	*f = (struct fixture){.memory = memory_storage_open()};
	f->storage = settings.storage = memory_storage_base(f->memory);
	add(f, 9, 1, 1, three_a);
	add(f, 0, 2, 2, second_b);
	add(f, 0, 3, 3, third_c);
	add(f, 0, 4, 4, third_d);
	assert_int_equal(storage_list(f->storage, &list, &err), ST_OK);
	assert_int_equal(plan_init(&plan, &list, &when, &err), ST_OK);
	assert_int_equal(archive_base_open(&settings, &plan, &f->base, &err), ST_OK);
	plan_clear(&plan);
	archive_list_clear(&list);
	assert_int_equal(archive_base_page_size(f->base), PAGE);
	assert_int_equal(archive_base_page_count(f->base), 3);
	f->pages = archive_base_view(f->base);
}

static void end(struct fixture *f)
{
	archive_base_close(f->base);
	assert_int_equal(memory_storage_opened(f->memory), 0);
	storage_close(f->storage);
}

static enum status read(struct fixture *f, uint32_t page_no, uint8_t *bytes,
			struct error *err)
{
	return f->pages.read(f->pages.context, page_no, bytes, err);
}

static void expect_page(struct fixture *f, uint32_t page_no, int byte)
{
	uint8_t bytes[PAGE];
	struct error err;

	if (read(f, page_no, bytes, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	assert_int_equal(bytes[0], byte);
}

static void test_it_moves_to_the_state_that_was_decoded_last(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, 2);
	expect_page(&f, 3, 'a');
	assert_true(f.pages.move(f.pages.context, 3 - 1));
	expect_page(&f, 3, 'c');
	take_away(&f, 0, 4, 4);
	assert_false(f.pages.move(f.pages.context, 4 - 1)); /* it is not there */
	expect_page(&f, 3, 'c');
	expect_page(&f, 2, 'b');
	end(&f);
}

/* Page 3 was decoded, so nobody asks for it: the other ones are the same. */
static void test_a_state_that_is_gone_is_replaced_by_a_later_one(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, 2);
	f.decoded_lsn = 3 - 1;
	add(&f, 1, 2, 3, both);
	take_away(&f, 0, 2, 2);
	take_away(&f, 0, 3, 3);
	expect_page(&f, 2, 'b');
	expect_page(&f, 1, 'a');
	end(&f);
}

static void test_no_later_state_than_what_was_decoded_is_taken(void **state)
{
	struct fixture f;
	uint8_t bytes[PAGE];
	struct error err;

	(void)state;
	make(&f, 2);
	f.decoded_lsn = 2 - 1;
	add(&f, 1, 2, 3, both);
	take_away(&f, 0, 2, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(read(&f, 2, bytes, &err), ST_LOST);
		assert_non_null(strstr(err.text, "archive has no state from txid:2 to "
						 "txid:2 any more"));
		assert_non_null(strstr(err.text, "--from"));
	}
	f.decoded_lsn = 4 - 1; /* now the newest is that of TXID 4 */
	expect_page(&f, 2, 'b');
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_it_moves_to_the_state_that_was_decoded_last),
	    cmocka_unit_test(test_a_state_that_is_gone_is_replaced_by_a_later_one),
	    cmocka_unit_test(test_no_later_state_than_what_was_decoded_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
