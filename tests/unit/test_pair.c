/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include "src/base/file_io.h"
#include "src/history/pair.h"
#include "src/history/view.h"

#define PAGE     512
#define PAGE_MAX 4096 /* more than one read has */

struct fixture {
	char path[64];
	uint8_t old[PAGE_MAX + 1]; /* of each page, by its number */
	struct captured_page over[8];
	struct spool *spool;
	struct pair pair;
	struct captured_txn *txn;
	uint32_t asked;
	uint32_t shown;
	uint32_t fails_at; /* asked for this page; 0: never */
	uint32_t stops_at; /* so many pages are compared; 0: never */
	_Atomic int stop;
};

static void check(enum status status, const struct error *err)
{
	if (status != ST_OK) {
		fail_msg("%s", err->text);
	}
}

static bool is_filled(const uint8_t *bytes, uint8_t byte)
{
	return bytes[0] == byte && memcmp(bytes, bytes + 1, PAGE - 1) == 0;
}

static enum status is_same(void *old, uint32_t page_no, const uint8_t *bytes,
			   bool *same, struct error *err)
{
	struct fixture *f = old;

	if (page_no == f->fails_at) {
		return error_set(err, ST_DAMAGED, "page %u", (unsigned)page_no);
	}
	assert_int_equal(page_no, f->asked + 1); /* each once, in order */
	f->asked = page_no;
	*same = is_filled(bytes, f->old[page_no]);
	return ST_OK;
}

static void show(void *context, uint32_t pages, uint32_t page_count)
{
	struct fixture *f = context;

	assert_true(pages >= f->shown && pages <= page_count);
	f->shown = pages;
	f->stop = f->stops_at > 0 && pages >= f->stops_at;
}

static void fill(struct fixture *f, uint32_t page_no, uint8_t byte)
{
	uint8_t page[PAGE];

	memset(page, byte, sizeof page);
	assert_true(file_write_at(f->pair.fd, page, PAGE, (off_t)(page_no - 1) * PAGE));
}

/* Two states alike, of `pages` pages each. */
static void make(struct fixture *f, uint32_t pages)
{
	struct error err;

	*f = (struct fixture){.path = "/tmp/rowtail-pair.XXXXXX"};
	check(spool_open(PAGE, &f->spool, &err), &err);
	f->pair = (struct pair){.page_size = PAGE,
				.old_count = pages,
				.is_same = is_same,
				.old = f,
				.fd = mkstemp(f->path),
				.new_count = pages,
				.over = f->over,
				.spool = f->spool,
				.stop = &f->stop,
				.progress = show,
				.context = f};
	assert_true(f->pair.fd >= 0);
	for (uint32_t i = 1; i <= pages; i++) {
		f->old[i] = (uint8_t)i;
		fill(f, i, (uint8_t)i);
	}
}

static void put_over(struct fixture *f, uint32_t page_no, uint8_t byte)
{
	struct captured_page *page = &f->over[f->pair.over_total++];
	uint8_t bytes[PAGE];
	struct error err;

	page->page_no = page_no;
	memset(bytes, byte, sizeof bytes);
	check(spool_alloc(f->spool, &page->slot, &err), &err);
	check(spool_put(f->spool, page->slot, bytes, &err), &err);
}

static void compare(struct fixture *f)
{
	struct error err;

	check(pair_compare(&f->pair, &f->txn, &err), &err);
	assert_int_equal(f->txn->page_count_before, f->pair.old_count);
	assert_int_equal(f->txn->page_count, f->pair.new_count);
	assert_int_equal(f->shown, f->pair.new_count);
	/* Nothing else has a slot. */
	assert_int_equal(spool_used_bytes(f->spool), f->txn->page_total * PAGE);
}

static void check_page(const struct fixture *f, size_t i, uint32_t page_no,
		       uint8_t byte)
{
	assert_true(i < f->txn->page_total);
	assert_int_equal(f->txn->pages[i].page_no, page_no);
	assert_true(is_filled(spool_bytes(f->spool, f->txn->pages[i].slot), byte));
}

static void end(struct fixture *f)
{
	captured_txn_free(f->txn);
	spool_close(f->spool);
	if (f->pair.fd >= 0) {
		(void)close(f->pair.fd);
	}
	(void)unlink(f->path);
}

static void test_states_alike_differ_in_nothing(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, 5);
	put_over(&f, 2, 2);
	compare(&f);
	assert_int_equal(f.txn->page_total, 0);
	assert_int_equal(f.asked, 5);
	end(&f);
}

static void test_pages_that_differ_come_in_order_with_their_bytes(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, PAGE_MAX);
	fill(&f, 1, 200);
	fill(&f, 2050, 201);
	fill(&f, PAGE_MAX, 202);
	put_over(&f, 2049, 203);
	put_over(&f, 2051, 204);
	compare(&f);
	assert_int_equal(f.txn->page_total, 5);
	check_page(&f, 0, 1, 200);
	check_page(&f, 1, 2049, 203);
	check_page(&f, 2, 2050, 201);
	check_page(&f, 3, 2051, 204);
	check_page(&f, 4, PAGE_MAX, 202);
	end(&f);
}

/* What lies over the file counts, whatever that has. */
static void test_an_image_over_the_file_is_the_new_page(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, 3);
	fill(&f, 1, 99);
	put_over(&f, 1, 1); /* the old one again */
	put_over(&f, 3, 77);
	compare(&f);
	assert_int_equal(f.txn->page_total, 1);
	check_page(&f, 0, 3, 77);
	end(&f);
}

static void test_what_was_added_differs_unasked(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, 4);
	f.pair.old_count = 2;
	f.pair.new_count = 6; /* the file has four: the rest is zeros */
	put_over(&f, 5, 50);
	compare(&f);
	assert_int_equal(f.asked, 2);
	assert_int_equal(f.txn->page_total, 4);
	check_page(&f, 0, 3, 3);
	check_page(&f, 1, 4, 4);
	check_page(&f, 2, 5, 50);
	check_page(&f, 3, 6, 0);
	end(&f);
}

static void test_what_was_cut_off_is_in_the_count_alone(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, 4);
	f.pair.new_count = 3;
	compare(&f);
	assert_int_equal(f.txn->page_total, 0);
	end(&f);
}

#define LARGE_PAGE 65536u

static enum status is_no_lock_page(void *old, uint32_t page_no, const uint8_t *bytes,
				   bool *same, struct error *err)
{
	(void)old;
	(void)bytes;
	(void)err;
	assert_int_not_equal(page_no, (1u << 30) / LARGE_PAGE + 1);
	*same = true;
	return ST_OK;
}

static void test_the_page_of_the_lock_byte_is_in_neither(void **state)
{
	struct fixture f;
	struct error err;

	(void)state;
	make(&f, 1);
	spool_close(f.spool);
	check(spool_open(LARGE_PAGE, &f.spool, &err), &err);
	f.pair.spool = f.spool;
	f.pair.page_size = LARGE_PAGE;
	f.pair.is_same = is_no_lock_page;
	f.pair.old_count = (1u << 30) / LARGE_PAGE;
	f.pair.new_count = f.pair.old_count + 2; /* it, and one behind it */
	check(pair_compare(&f.pair, &f.txn, &err), &err);
	assert_int_equal(f.txn->page_total, 1);
	assert_int_equal(f.txn->pages[0].page_no, f.pair.new_count);
	end(&f);
}

static void test_an_image_past_the_end_is_left_out(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, 4);
	f.pair.new_count = 3;
	put_over(&f, 4, 9);
	compare(&f);
	assert_int_equal(f.txn->page_total, 0);
	end(&f);
}

/* ---- what fails ---- */

static void expect_failure(struct fixture *f, enum status status)
{
	struct error err;

	assert_int_equal(pair_compare(&f->pair, &f->txn, &err), status);
	assert_null(f->txn);
	assert_int_equal(spool_used_bytes(f->spool), 0);
	end(f);
}

static void test_a_stop_gives_all_slots_back(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, PAGE_MAX);
	fill(&f, 1, 200);
	put_over(&f, 3, 203);
	put_over(&f, PAGE_MAX, 204);
	f.stops_at = 2048;
	expect_failure(&f, ST_STOPPED);
}

static void test_an_old_state_that_fails_gives_all_slots_back(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, 5);
	put_over(&f, 1, 200);
	put_over(&f, 3, 203);
	put_over(&f, 5, 205);
	f.fails_at = 3;
	expect_failure(&f, ST_DAMAGED);
}

static void test_a_file_that_cannot_be_read_is_an_error(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, 2);
	put_over(&f, 2, 200);
	(void)close(f.pair.fd);
	f.pair.fd = -1;
	expect_failure(&f, ST_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_states_alike_differ_in_nothing),
	    cmocka_unit_test(test_pages_that_differ_come_in_order_with_their_bytes),
	    cmocka_unit_test(test_an_image_over_the_file_is_the_new_page),
	    cmocka_unit_test(test_what_was_added_differs_unasked),
	    cmocka_unit_test(test_what_was_cut_off_is_in_the_count_alone),
	    cmocka_unit_test(test_the_page_of_the_lock_byte_is_in_neither),
	    cmocka_unit_test(test_an_image_past_the_end_is_left_out),
	    cmocka_unit_test(test_a_stop_gives_all_slots_back),
	    cmocka_unit_test(test_an_old_state_that_fails_gives_all_slots_back),
	    cmocka_unit_test(test_a_file_that_cannot_be_read_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
