/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/bytes.h"
#include "src/capture/txn_builder.h"
#include "src/capture/wal_frame.h"
#include "src/capture/wal_index.h"
#include "src/history/spool.h"

/* 65536: the largest, so that many megabytes are few pages. */
#define PAGE  65536
#define FRAME (PAGE + WAL_FRAME_HEADER_BYTES)

/* A WAL that is written frame by frame, and a database file of `file_pages` pages. */
struct fixture {
	int wal_fd;
	int db_fd;
	sqlite3_file file;
	struct wal_index index;
	struct wal_index_header header;
	struct spool *spool;
	struct txn_builder builder;
	uint64_t decoded;
};

static int no_map(sqlite3_file *file, int n, int size, int extend,
		  void volatile **bytes)
{
	(void)file;
	(void)n;
	(void)size;
	(void)extend;
	*bytes = NULL;
	return SQLITE_OK;
}

static const sqlite3_io_methods methods = {.iVersion = 2, .xShmMap = no_map};

static void write_page(int fd, off_t at, uint8_t content)
{
	static uint8_t page[PAGE];

	memset(page, content, sizeof page);
	assert_int_equal(pwrite(fd, page, sizeof page, at), PAGE);
}

static void file_page(struct fixture *f, uint32_t page_no, uint8_t content)
{
	write_page(f->db_fd, (off_t)(page_no - 1) * PAGE, content);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct error err;

	f->wal_fd = memfd_create("wal", MFD_CLOEXEC);
	f->db_fd = memfd_create("db", MFD_CLOEXEC);
	assert_true(f->wal_fd >= 0 && f->db_fd >= 0);
	f->file.pMethods = &methods;
	f->index.file = &f->file;
	f->header = (struct wal_index_header){.page_size = PAGE, .salt = "saltsal"};
	assert_int_equal(spool_open(PAGE, &f->spool, &err), ST_OK);
	assert_int_equal(txn_builder_init(&f->builder, f->spool, &f->index, PAGE,
					  f->wal_fd, f->db_fd, &err),
			 ST_OK);
	for (uint32_t p = 1; p <= 10; p++) {
		file_page(f, p, (uint8_t)(100 + p));
	}
	f->builder.page_count = 10;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	txn_builder_discard(&f->builder);
	txn_builder_clear(&f->builder);
	spool_close(f->spool);
	(void)close(f->wal_fd);
	(void)close(f->db_fd);
	free(f);
	return 0;
}

/* Append a frame; `commit`: pages after it, 0 when more frames follow. */
static void frame(struct fixture *f, uint32_t page_no, uint32_t commit, uint8_t content)
{
	uint8_t bytes[WAL_FRAME_HEADER_BYTES] = {0};
	off_t at = (off_t)wal_frame_offset(++f->header.frame_count, PAGE);

	put_u32be(bytes, page_no);
	put_u32be(bytes + 4, commit);
	memcpy(bytes + 8, f->header.salt, 8);
	put_u32be(bytes + 16, f->header.frame_count);
	put_u32be(bytes + 20, page_no);
	assert_int_equal(pwrite(f->wal_fd, bytes, sizeof bytes, at), sizeof bytes);
	write_page(f->wal_fd, at + WAL_FRAME_HEADER_BYTES, content);
	f->header.frame_sum[0] = f->header.frame_count;
	f->header.frame_sum[1] = page_no;
	f->header.page_count = commit;
}

static void read_all(struct fixture *f)
{
	struct error err;

	if (txn_builder_read(&f->builder, &f->header, f->builder.last_frame, UINT64_MAX,
			     false, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
}

static struct captured_txn *accept(struct fixture *f, uint32_t backfilled)
{
	struct captured_txn *txn = NULL;
	struct error err;
	uint64_t saved;

	txn_builder_retire(&f->builder, backfilled, f->decoded);
	if (txn_builder_accept(&f->builder, &txn, &saved, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	return txn;
}

static void expect_page(struct fixture *f, const struct captured_txn *txn, size_t i,
			uint32_t page_no, uint8_t content)
{
	assert_true(i < txn->page_total);
	assert_int_equal(txn->pages[i].page_no, page_no);
	assert_int_equal(spool_bytes(f->spool, txn->pages[i].slot)[0], content);
	assert_int_equal(spool_bytes(f->spool, txn->pages[i].slot)[PAGE - 1], content);
}

static void expect_preimage(struct fixture *f, uint32_t page_no, int content)
{
	uint32_t slot = spool_preimage_find(f->spool, page_no);

	if (content < 0) {
		assert_int_equal(slot, SPOOL_NO_SLOT);
		return;
	}
	assert_int_not_equal(slot, SPOOL_NO_SLOT);
	assert_int_equal(spool_bytes(f->spool, slot)[0], content);
}

static void test_frames_are_cut_at_commits_and_the_last_of_a_page_wins(void **state)
{
	struct fixture *f = *state;
	struct captured_txn *txn;

	frame(f, 5, 0, 1);
	frame(f, 2, 0, 2);
	frame(f, 5, 10, 3);
	frame(f, 7, 10, 4);
	read_all(f);
	txn = accept(f, 0);
	assert_int_equal(txn->lsn, 3);
	assert_int_equal(txn->page_total, 2);
	expect_page(f, txn, 0, 2, 2);
	expect_page(f, txn, 1, 5, 3);
	assert_int_equal(txn->page_count_before, 10);
	free(txn);
	txn = accept(f, 0);
	assert_int_equal(txn->lsn, 4);
	expect_page(f, txn, 0, 7, 4);
	free(txn);
	assert_null(txn_builder_draft(&f->builder));
}

static void test_preimage_is_saved_with_the_first_change_only(void **state)
{
	struct fixture *f = *state;
	uint32_t page_no = 3;

	frame(f, 3, 10, 1);
	frame(f, 3, 10, 2);
	read_all(f);
	free(accept(f, 0));
	expect_preimage(f, 3, 103);
	spool_preimage_drop(f->spool, &page_no, 1);
	free(accept(f, 0)); /* the first version is the pre-image of the second */
	expect_preimage(f, 3, -1);
}

static void test_pages_that_are_cut_off_are_saved(void **state)
{
	struct fixture *f = *state;

	frame(f, 1, 6, 1);
	read_all(f);
	free(accept(f, 0));
	expect_preimage(f, 1, 101);
	expect_preimage(f, 6, -1);
	for (uint32_t p = 7; p <= 10; p++) {
		expect_preimage(f, p, (int)(100 + p));
	}
	assert_int_equal(f->builder.page_count, 6);
}

static void test_page_past_the_end_of_the_file_is_zeros(void **state)
{
	struct fixture *f = *state;

	f->builder.page_count = 14;
	assert_int_equal(ftruncate(f->db_fd, 10 * PAGE - 1), 0);
	frame(f, 10, 0, 1);
	frame(f, 12, 14, 2);
	read_all(f);
	free(accept(f, 0));
	expect_preimage(f, 10, 110);
	expect_preimage(f, 12, 0);
	assert_int_equal(
	    spool_bytes(f->spool, spool_preimage_find(f->spool, 10))[PAGE - 1], 0);
}

static void test_new_pages_have_no_preimage(void **state)
{
	struct fixture *f = *state;

	frame(f, 11, 0, 1);
	frame(f, 1, 11, 2);
	read_all(f);
	free(accept(f, 0));
	expect_preimage(f, 11, -1);
}

static void test_version_of_a_page_that_was_cut_off_is_forgotten(void **state)
{
	struct fixture *f = *state;

	frame(f, 9, 10, 1);
	frame(f, 1, 8, 2);
	frame(f, 1, 10, 3);
	frame(f, 9, 10, 4);
	read_all(f);
	for (int i = 0; i < 3; i++) {
		free(accept(f, 0));
		assert_int_equal(page_versions_find(&f->builder.versions, 9) != NULL,
				 i == 0);
	}
	free(accept(f, 0));
	assert_non_null(page_versions_find(&f->builder.versions, 9));
}

static void test_frames_past_the_new_end_are_dropped(void **state)
{
	struct fixture *f = *state;
	struct captured_txn *txn;

	frame(f, 9, 0, 1);
	frame(f, 2, 0, 2);
	frame(f, 1, 5, 3);
	read_all(f);
	txn = accept(f, 0);
	assert_int_equal(txn->page_total, 2);
	expect_preimage(f, 9, 109);
	free(txn);
	txn_builder_discard(&f->builder);
	assert_int_equal(spool_used_bytes(f->spool), (2 + 7) * PAGE);
}

static void test_state_at_the_start_is_one_transaction(void **state)
{
	struct fixture *f = *state;
	struct captured_txn *txn;
	struct error err;

	frame(f, 2, 10, 1);
	frame(f, 3, 10, 2);
	frame(f, 2, 10, 3);
	f->builder.page_count = 0;
	assert_int_equal(txn_builder_read(&f->builder, &f->header, 0, 1, true, &err),
			 ST_OK);
	txn = accept(f, 0);
	assert_int_equal(txn->page_total, 2);
	expect_page(f, txn, 0, 2, 3);
	expect_page(f, txn, 1, 3, 2);
	assert_int_equal(txn->lsn, 3);
	expect_preimage(f, 2, -1);
	free(txn);
}

static void test_repeated_commit_frame_is_folded_but_not_a_different_one(void **state)
{
	struct fixture *f = *state;
	struct captured_txn *txn;

	frame(f, 2, 10, 1);
	frame(f, 2, 10, 1);
	frame(f, 2, 10, 1);
	frame(f, 2, 10, 9); /* other image */
	frame(f, 2, 11, 9); /* other count */
	frame(f, 3, 11, 9); /* other page */
	read_all(f);
	assert_int_equal(txn_builder_draft(&f->builder)->commit_total, 3);
	txn = accept(f, 0);
	assert_int_equal(txn->lsn, 3);
	free(txn);
	for (uint64_t lsn = 4; lsn <= 6; lsn++) {
		txn = accept(f, 0);
		assert_int_equal(txn->lsn, lsn);
		free(txn);
	}
	assert_null(txn_builder_draft(&f->builder));
}

/* Pages of this size are read 4 at once: the repeats come with the next ones. The first
 * two images are the last ones that find room in memory. */
static void test_repeats_are_known_in_the_file_and_in_the_next_batch(void **state)
{
	struct fixture *f = *state;
	struct captured_txn *txn;
	struct error err;
	uint32_t slot;

	for (int i = 0; i < 8 * (4 << 20) / PAGE - 2; i++) {
		assert_int_equal(spool_alloc(f->spool, &slot, &err), ST_OK);
		assert_non_null(spool_memory(f->spool, slot));
	}
	frame(f, 4, 0, 1);
	frame(f, 3, 0, 2);
	frame(f, 2, 0, 3);
	frame(f, 5, 10, 4);
	frame(f, 5, 10, 4);
	frame(f, 5, 10, 4);
	frame(f, 6, 0, 5);
	frame(f, 5, 10, 6);
	read_all(f);
	assert_int_equal(txn_builder_draft(&f->builder)->commit_total, 3);
	txn = accept(f, 0);
	assert_int_equal(txn->lsn, 6);
	assert_int_equal(txn->page_total, 4);
	expect_page(f, txn, 0, 2, 3);
	expect_page(f, txn, 1, 3, 2);
	expect_page(f, txn, 2, 4, 1);
	expect_page(f, txn, 3, 5, 4);
	for (uint32_t p = 2; p <= 5; p++) {
		expect_preimage(f, p, (int)(100 + p));
	}
	free(txn);
	txn = accept(f, 0);
	assert_int_equal(txn->lsn, 8);
	expect_page(f, txn, 0, 5, 6);
	expect_page(f, txn, 1, 6, 5);
	assert_null(spool_memory(f->spool, txn->pages[0].slot));
	free(txn);
	assert_null(txn_builder_draft(&f->builder));
}

static void expect_misfit(struct fixture *f, const char *word)
{
	struct error err;

	assert_int_equal(
	    txn_builder_read(&f->builder, &f->header, 0, UINT64_MAX, false, &err),
	    ST_RETRY);
	assert_non_null(strstr(err.text, word));
	assert_null(txn_builder_draft(&f->builder));
	assert_int_equal(spool_used_bytes(f->spool), 0);
}

static void test_frames_that_do_not_fit_the_header_are_not_taken(void **state)
{
	struct fixture *f = *state;

	frame(f, 2, 10, 1);
	frame(f, 3, 10, 1);
	f->header.frame_sum[0] ^= 1;
	expect_misfit(f, "wal-index");
	f->header.frame_sum[0] ^= 1;
	f->header.salt[0] ^= 1;
	expect_misfit(f, "generation");
	f->header.salt[0] ^= 1;
	f->header.frame_count++;
	expect_misfit(f, "ends before");
	f->header.frame_count--;
	frame(f, 4, 0, 1);
	expect_misfit(f, "commit frame");
	frame(f, 0, 10, 1);
	expect_misfit(f, "page number");
}

static void test_reading_stops_at_a_commit_when_enough_is_read(void **state)
{
	struct fixture *f = *state;
	struct error err;
	unsigned txns = 0;

	for (uint32_t i = 0; i < 600; i++) {
		frame(f, 2 + i % 3, i % 2 ? 10 : 0, (uint8_t)i);
	}
	while (f->builder.last_frame < 600) {
		uint32_t left = (600 - f->builder.last_frame) / 2;
		size_t drafts;

		assert_int_equal(txn_builder_read(&f->builder, &f->header,
						  f->builder.last_frame, 10 * PAGE,
						  false, &err),
				 ST_OK);
		/* Two pages each; a system call may have read more of them. */
		drafts = f->builder.draft_total;
		assert_in_range(drafts, left < 5 ? left : 5,
				5 + f->builder.at_once / 2);
		while (txn_builder_draft(&f->builder)) {
			struct captured_txn *txn = accept(f, 0);

			txns++;
			assert_int_equal(txn->lsn, 2 * txns);
			for (size_t i = 0; i < txn->page_total; i++) {
				spool_free(f->spool, &txn->pages[i].slot, 1);
			}
			free(txn);
		}
		txn_builder_discard(&f->builder);
	}
	assert_int_equal(txns, 300);
}

/*
 * 300 pages of 64 KiB, a transaction each; then 200 changes of page 1, which make it
 * worth a look at what may retire. Gives the first that retires something, or the last.
 */
static struct captured_txn *after_many(struct fixture *f, uint32_t backfilled)
{
	struct captured_txn *txn = NULL;

	for (uint32_t p = 2; p <= 301; p++) {
		frame(f, p, 301, (uint8_t)p);
	}
	for (uint32_t i = 0; i < 200; i++) {
		frame(f, 1, 301, (uint8_t)i);
	}
	f->builder.page_count = 301;
	read_all(f);
	for (int i = 0; i < 300; i++) {
		txn = accept(f, 0);
		assert_int_equal(txn->retired_total, 0);
		free(txn);
	}
	txn = NULL;
	for (int i = 0; i < 200 && (!txn || txn->retired_total == 0); i++) {
		free(txn);
		txn = accept(f, backfilled);
	}
	txn_builder_discard(&f->builder);
	f->header.frame_count = f->builder.last_frame;
	return txn;
}

static void test_versions_that_are_not_decoded_do_not_retire(void **state)
{
	struct fixture *f = *state;
	struct captured_txn *txn = after_many(f, 301);

	assert_int_equal(txn->retired_total, 0);
	free(txn);
}

static void test_versions_that_are_not_backfilled_do_not_retire(void **state)
{
	struct fixture *f = *state;
	struct captured_txn *txn;

	f->decoded = 300;
	txn = after_many(f, 0);
	assert_int_equal(txn->retired_total, 0);
	free(txn);
}

static void test_versions_retire_when_decoded_and_backfilled(void **state)
{
	struct fixture *f = *state;
	struct captured_txn *txn;

	f->decoded = 200;
	txn = after_many(f, 150);
	assert_int_equal(txn->retired_total, 150); /* frames 1 to 150, pages 2 to 151 */
	for (size_t i = 0; i < txn->retired_total; i++) {
		assert_in_range(txn->retired[i].page_no, 2, 151);
		assert_null(
		    page_versions_find(&f->builder.versions, txn->retired[i].page_no));
		assert_int_equal(spool_bytes(f->spool, txn->retired[i].slot)[0],
				 (uint8_t)txn->retired[i].page_no);
	}
	assert_non_null(page_versions_find(&f->builder.versions, 152));
	free(txn);
	/* The file has it now; the next change of it needs a pre-image again. */
	for (uint32_t p = 2; p <= 151; p++) {
		file_page(f, p, (uint8_t)p);
		spool_preimage_drop(f->spool, &p, 1);
	}
	frame(f, 60, 301, 77);
	read_all(f);
	free(accept(f, 150));
	expect_preimage(f, 60, 60);
}

static void test_versions_of_a_past_generation_are_backfilled(void **state)
{
	struct fixture *f = *state;
	struct captured_txn *txn;
	size_t retired = 0;

	free(after_many(f, 0));
	f->decoded = 300;
	f->builder.generation++;
	f->builder.last_frame = 0;
	f->header.frame_count = 0;
	for (uint32_t i = 0; i < 200; i++) {
		frame(f, 1, 301, (uint8_t)i);
	}
	read_all(f);
	for (uint64_t i = 1; i <= 200; i++) {
		txn = accept(f, 0);
		assert_int_equal(txn->lsn, 500 + i);
		retired += txn->retired_total;
		free(txn);
	}
	assert_int_equal(retired, 300);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_frames_are_cut_at_commits_and_the_last_of_a_page_wins),
	    CASE(test_preimage_is_saved_with_the_first_change_only),
	    CASE(test_pages_that_are_cut_off_are_saved),
	    CASE(test_page_past_the_end_of_the_file_is_zeros),
	    CASE(test_new_pages_have_no_preimage),
	    CASE(test_version_of_a_page_that_was_cut_off_is_forgotten),
	    CASE(test_frames_past_the_new_end_are_dropped),
	    CASE(test_state_at_the_start_is_one_transaction),
	    CASE(test_repeated_commit_frame_is_folded_but_not_a_different_one),
	    CASE(test_repeats_are_known_in_the_file_and_in_the_next_batch),
	    CASE(test_frames_that_do_not_fit_the_header_are_not_taken),
	    CASE(test_reading_stops_at_a_commit_when_enough_is_read),
	    CASE(test_versions_that_are_not_decoded_do_not_retire),
	    CASE(test_versions_that_are_not_backfilled_do_not_retire),
	    CASE(test_versions_retire_when_decoded_and_backfilled),
	    CASE(test_versions_of_a_past_generation_are_backfilled),
	};
#undef CASE

	return cmocka_run_group_tests(tests, NULL, NULL);
}
