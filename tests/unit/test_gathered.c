/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "btree/db_header.h"
#include "src/archive/gathered.h"
#include "src/base/temp_file.h"
#include "src/storage/fd_file.h"

#define MOST 16400u /* pages of a database of these tests */

/* A database whose pages have one byte each, all over; what was cut off stays as it
 * was, as in the file of a reader that looks at no sizes. */
struct content {
	uint32_t page_count;
	uint8_t fills[MOST + 1];
};

struct rig {
	uint32_t page_size;
	uint32_t least; /* pages: sizes are drawn from here */
	uint32_t range;
	uint32_t random;
	uint64_t lsn;
	uint64_t transactions; /* of the file that is gathered */
	bool has_catch_up;
	struct spool *spool;
	struct content now;  /* the model */
	struct content base; /* as `before`, for listener_base.read */
	struct gathered gathered;
	uint8_t *image;
	struct error err;
};

static uint32_t draw(struct rig *r, uint32_t below)
{
	r->random = r->random * 1664525u + 1013904223u;
	return (r->random >> 8) % below;
}

static void rig_open(struct rig *r, uint32_t page_size, uint32_t least, uint32_t range)
{
	*r = (struct rig){
	    .page_size = page_size, .least = least, .range = range, .random = 7};
	assert_int_equal(spool_open(page_size, &r->spool, &r->err), ST_OK);
	r->image = malloc(page_size);
	assert_non_null(r->image);
	r->now.page_count = least;
	for (uint32_t n = 1; n <= least; n++) {
		r->now.fills[n] = (uint8_t)n;
	}
	gathered_init(&r->gathered);
}

static void rig_close(struct rig *r)
{
	gathered_clear(&r->gathered);
	spool_close(r->spool);
	free(r->image);
}

static uint32_t put_image(struct rig *r, uint8_t fill)
{
	uint32_t slot;

	memset(r->image, fill, r->page_size);
	assert_int_equal(spool_alloc(r->spool, &slot, &r->err), ST_OK);
	assert_int_equal(spool_put(r->spool, slot, r->image, &r->err), ST_OK);
	return slot;
}

/* One transaction, or the net effect of some: it may shrink, grow, and have no image of
 * what it gained, which are zeros then. */
static void commit(struct rig *r)
{
	struct captured_page pages[64];
	struct captured_txn txn = {.lsn = r->lsn += 1 + draw(r, 3),
				   .captured_ns = (int64_t)r->lsn,
				   .page_count_before = r->now.page_count,
				   .page_count = r->now.page_count,
				   .pages = pages};
	uint32_t low;

	if (draw(r, 3) == 0) {
		txn.page_count = r->least + draw(r, r->range);
	}
	low = txn.page_count < r->now.page_count ? txn.page_count : r->now.page_count;
	if (draw(r, 5) == 0) { /* cut off in between */
		txn.merged = 2;
		txn.low_pages = r->least + draw(r, r->range);
		low = txn.low_pages < low ? txn.low_pages : low;
	}
	for (uint32_t n = low + 1; n <= txn.page_count; n++) {
		r->now.fills[n] = 0;
	}
	for (uint32_t n = r->least > 8 ? r->least - 8 : 1;
	     n <= txn.page_count && txn.page_total < 64; n++) {
		if (n == db_lock_byte_page(r->page_size) || draw(r, 4) > 0) {
			continue;
		}
		r->now.fills[n] = (uint8_t)draw(r, 256);
		pages[txn.page_total++] =
		    (struct captured_page){n, put_image(r, r->now.fills[n])};
	}
	r->now.page_count = txn.page_count;
	txn.is_catch_up = r->lsn % 11 == 0;
	r->has_catch_up |= txn.is_catch_up;
	r->transactions += txn.merged > 0 ? txn.merged : 1;
	assert_int_equal(gathered_add(&r->gathered, &txn, &r->err), ST_OK);
}

static enum status read_base(void *context, uint32_t first, uint32_t count,
			     uint8_t *bytes, struct error *err)
{
	const struct rig *r = context;

	(void)err;
	for (uint32_t i = 0; i < count; i++) {
		assert_true(first + i != db_lock_byte_page(r->page_size));
		assert_true(first + i <= r->base.page_count);
		memset(bytes + (size_t)i * r->page_size, r->base.fills[first + i],
		       r->page_size);
	}
	return ST_OK;
}

/* The file of what is gathered, put over `content`. How many pages it has. */
static uint32_t write_and_apply(struct rig *r, const struct listener_base *base,
				struct content *content)
{
	const struct archive_file named = {.min_txid = base ? 1 : 5, .max_txid = 9};
	struct gathered_file file = {.path = "a file",
				     .header = {.page_size = r->page_size,
						.min_txid = named.min_txid,
						.max_txid = named.max_txid,
						.time_ms = 1},
				     .spool = r->spool,
				     .base = base};
	struct ltx_reader *reader = NULL;
	struct ltx_page page;
	struct fd_file opened;
	uint32_t count = 0;
	enum status status;

	assert_int_equal(temp_file_open(&file.fd, &r->err), ST_OK);
	if (gathered_write(&r->gathered, &file, &r->err) != ST_OK) {
		fail_msg("%s", r->err.text);
	}
	fd_file_init(&opened, file.fd, file.size, "a file");
	assert_int_equal(ltx_reader_open(&opened.base, &named, &reader, &r->err),
			 ST_OK);
	content->page_count = ltx_reader_header(reader)->page_count;
	while ((status = ltx_reader_next(reader, &page, &r->err)) == ST_OK) {
		assert_memory_equal(page.bytes, page.bytes + 1, r->page_size - 1);
		content->fills[page.page_no] = page.bytes[0];
		count++;
	}
	if (status != ST_END) {
		fail_msg("%s", r->err.text);
	}
	assert_int_equal(count, file.pages);
	ltx_reader_close(reader);
	(void)close(file.fd);
	return count;
}

static void expect_now(const struct rig *r, const struct content *got)
{
	assert_int_equal(got->page_count, r->now.page_count);
	for (uint32_t n = 1; n <= r->now.page_count; n++) {
		if (n != db_lock_byte_page(r->page_size) &&
		    got->fills[n] != r->now.fills[n]) {
			fail_msg("page %u is filled with %u and not with %u",
				 (unsigned)n, got->fills[n], r->now.fills[n]);
		}
	}
}

static void follow(uint32_t page_size, uint32_t least, uint32_t range, int rounds)
{
	struct rig *r = malloc(sizeof *r);
	struct content *got = malloc(sizeof *got);

	assert_true(r && got);
	rig_open(r, page_size, least, range);
	*got = r->now;
	for (int i = 0; i < rounds; i++) {
		uint32_t commits = 1 + draw(r, 6);

		gathered_begin(&r->gathered, r->now.page_count);
		r->transactions = 0;
		r->has_catch_up = false;
		for (uint32_t k = 0; k < commits; k++) {
			commit(r);
		}
		assert_int_equal(r->gathered.total, commits);
		assert_int_equal(r->gathered.transactions, r->transactions);
		assert_int_equal(r->gathered.has_catch_up, r->has_catch_up);
		assert_int_equal(r->gathered.lsn, r->lsn);
		assert_int_equal(r->gathered.time_ns, r->lsn);
		(void)write_and_apply(r, NULL, got);
		expect_now(r, got);
	}
	rig_close(r);
	free(got);
	free(r);
}

static void test_files_of_random_transactions_lead_to_each_state(void **state)
{
	(void)state;
	follow(512, 1, 40, 400);
}

static void test_the_lock_page_is_in_no_file(void **state)
{
	(void)state;
	follow(65536, db_lock_byte_page(65536) - 6, 12, 20);
}

static void whole(uint32_t page_size, uint32_t least, uint32_t range, int rounds)
{
	struct rig *r = malloc(sizeof *r);
	struct content *got = malloc(sizeof *got);

	assert_true(r && got);
	rig_open(r, page_size, least, range);
	for (int i = 0; i < rounds; i++) {
		const struct listener_base base = {.page_size = page_size,
						   .page_count = r->now.page_count,
						   .read = read_base,
						   .context = r};
		uint32_t lock = db_lock_byte_page(page_size);

		r->base = r->now;
		gathered_begin(&r->gathered, r->now.page_count);
		for (uint32_t k = draw(r, 5); k > 0; k--) {
			commit(r);
		}
		*got = (struct content){0};
		assert_int_equal(write_and_apply(r, &base, got),
				 r->now.page_count - (r->now.page_count >= lock));
		expect_now(r, got);
	}
	rig_close(r);
	free(got);
	free(r);
}

static void test_with_a_base_all_pages_are_there(void **state)
{
	(void)state;
	whole(512, 1, 40, 200);
}

static bool gives_up(void *context)
{
	(void)context;
	return true;
}

static void test_who_gives_up_ends_it(void **state)
{
	struct rig *r = malloc(sizeof *r);
	struct gathered_file file = {
	    .path = "a file",
	    .header = {.page_size = 512, .min_txid = 5, .max_txid = 9},
	    .gives_up = gives_up};

	(void)state;
	assert_non_null(r);
	rig_open(r, 512, 20, 4);
	while (r->gathered.pages.total == 0) {
		commit(r);
	}
	file.spool = r->spool;
	assert_int_equal(temp_file_open(&file.fd, &r->err), ST_OK);
	assert_int_equal(gathered_write(&r->gathered, &file, &r->err), ST_STOPPED);
	(void)close(file.fd);
	rig_close(r);
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_files_of_random_transactions_lead_to_each_state),
	    cmocka_unit_test(test_the_lock_page_is_in_no_file),
	    cmocka_unit_test(test_with_a_base_all_pages_are_there),
	    cmocka_unit_test(test_who_gives_up_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
