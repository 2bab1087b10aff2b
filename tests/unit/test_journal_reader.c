/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/history/spool.h"
#include "src/state/journal.h"
#include "src/state/journal_reader.h"

#define PAGE 512

struct fixture {
	char folder[64];
	int dir_fd;
	struct spool *spool;
	struct journal *journal;
	uint64_t lsn;
	uint64_t chains[64]; /* after record i, 0: before all */

	uint64_t from;
	struct journal_end end;
	size_t seen;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	const struct journal_start start = {0};

	assert_non_null(f);
	(void)snprintf(f->folder, sizeof f->folder, "/tmp/rowtail-reader-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->dir_fd = open(f->folder, O_RDONLY | O_DIRECTORY);
	assert_true(f->dir_fd >= 0);
	assert_int_equal(spool_open_at(f->dir_fd, PAGE, false, &f->spool, &f->err),
			 ST_OK);
	assert_int_equal(journal_open(f->dir_fd, PAGE, f->spool, &start, NULL, NULL,
				      &f->journal, &f->err),
			 ST_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	DIR *names = opendir(f->folder);
	const struct dirent *entry;

	journal_close(f->journal);
	spool_close(f->spool);
	while (names && (entry = readdir(names))) {
		(void)unlinkat(f->dir_fd, entry->d_name, 0);
	}
	(void)closedir(names);
	(void)close(f->dir_fd);
	(void)rmdir(f->folder);
	free(f);
	return 0;
}

/* Append `count` records of one page each, LSN 1, 2, ... */
static void append(struct fixture *f, int count, bool sync)
{
	for (int i = 0; i < count; i++) {
		struct journal_page page = {.page_no = 1};
		struct journal_record record = {.kind = JOURNAL_COMMIT,
						.lsn = ++f->lsn,
						.page_count = 1,
						.pages = &page,
						.page_total = 1};
		uint8_t image[PAGE];

		assert_int_equal(spool_alloc(f->spool, &page.slot, &f->err), ST_OK);
		memset(image, (int)f->lsn, PAGE);
		assert_int_equal(spool_put(f->spool, page.slot, image, &f->err), ST_OK);
		assert_int_equal(
		    journal_append(f->journal, &record, &f->chains[f->lsn], &f->err),
		    ST_OK);
		if (sync) {
			assert_int_equal(journal_sync(f->journal, &f->err), ST_OK);
		}
	}
}

static enum status visit(void *context, const struct journal_found *found,
			 struct error *err)
{
	struct fixture *f = context;

	(void)err;
	f->seen++;
	assert_int_equal(found->record.lsn, f->from + f->seen);
	assert_int_equal(found->record.pages[0].page_no, 1);
	assert_int_equal(journal_entry_get(found->bytes, 0).page.page_no, 1);
	assert_true(found->chain == f->chains[found->record.lsn]);
	return ST_OK;
}

static enum status read_from(struct fixture *f, uint64_t lsn)
{
	const struct journal_reading how = {
	    .start = {.lsn = lsn, .chain = f->chains[lsn]},
	    .checks_images = true,
	    .visit = visit,
	    .context = f};
	struct journal_files files = {
	    .dir_fd = f->dir_fd, .folder = f->folder, .page_size = PAGE};
	enum status status = journal_files_list(&files, &f->err);

	assert_int_equal(status, ST_OK);
	f->seen = 0;
	f->from = lsn;
	status = journal_read(&files, &how, &f->end, &f->err);
	journal_files_clear(&files);
	return status;
}

static int open_log(const struct fixture *f, off_t *size)
{
	int fd = openat(f->dir_fd, "log-0000000000000000", O_RDWR);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	*size = st.st_size;
	return fd;
}

static void flip(const struct fixture *f, off_t offset)
{
	off_t size;
	int fd = open_log(f, &size);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, offset < 0 ? size + offset : offset), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, offset < 0 ? size + offset : offset), 1);
	(void)close(fd);
}

static void test_an_empty_journal_ends_at_its_start(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_from(f, 0), ST_OK);
	assert_int_equal(f->end.lsn, 0);
	assert_null(f->end.torn);
	assert_int_equal(f->seen, 0);
}

static void test_all_records_after_the_start_are_given_in_order(void **state)
{
	struct fixture *f = *state;

	append(f, 20, true);
	for (uint64_t from = 0; from <= 20; from++) {
		assert_int_equal(read_from(f, from), ST_OK);
		assert_int_equal(f->seen, 20 - from);
		assert_int_equal(f->end.lsn, 20);
		assert_int_equal(f->end.chain, f->chains[20]);
		assert_null(f->end.torn);
	}
}

static void test_a_start_of_another_journal_is_damage(void **state)
{
	struct fixture *f = *state;

	append(f, 5, true);
	f->chains[3]++;
	assert_int_equal(read_from(f, 3), ST_DAMAGED);
	f->chains[3]--;
	f->chains[0] = 7;
	assert_int_equal(read_from(f, 0), ST_DAMAGED);
}

static void test_a_cut_at_any_byte_is_an_end_and_nothing_is_changed(void **state)
{
	struct fixture *f = *state;
	off_t size;
	int fd;

	append(f, 4, false);
	fd = open_log(f, &size);
	for (off_t cut = size - 1; cut > 0; cut--) {
		struct stat st;

		assert_int_equal(ftruncate(fd, cut), 0);
		assert_int_equal(read_from(f, 0), ST_OK);
		assert_int_equal(f->end.lsn, f->seen);
		assert_true(f->end.torn ||
			    (cut - JOURNAL_HEADER_BYTES) %
				    ((size - JOURNAL_HEADER_BYTES) / 4) ==
				0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, cut);
	}
	(void)close(fd);
}

static void test_what_was_not_synced_ends_it_and_what_was_is_damage(void **state)
{
	struct fixture *f = *state;

	append(f, 6, false);
	flip(f, -20);
	assert_int_equal(read_from(f, 0), ST_OK);
	assert_int_equal(f->end.lsn, 5);
	assert_non_null(f->end.torn);
	flip(f, -20);
	assert_int_equal(journal_sync(f->journal, &f->err), ST_OK);
	append(f, 1, true); /* says that the six were durable */
	flip(f, JOURNAL_HEADER_BYTES + 10);
	assert_int_equal(read_from(f, 0), ST_DAMAGED);
	assert_non_null(strstr(f->err.text, "log-0000000000000000 is damaged"));
}

static void test_an_image_that_is_not_right_ends_it_likewise(void **state)
{
	struct fixture *f = *state;
	uint8_t image[PAGE] = {0};

	append(f, 6, false);
	assert_int_equal(spool_put(f->spool, 3, image, &f->err), ST_OK);
	assert_int_equal(read_from(f, 0), ST_OK);
	assert_int_equal(f->end.lsn, 3);
	assert_string_equal(f->end.torn, "an image is not right");
	append(f, 1, true);
	append(f, 1, false);
	assert_int_equal(read_from(f, 0), ST_DAMAGED);
}

static void test_a_missing_segment_is_damage_or_an_end(void **state)
{
	struct fixture *f = *state;

	append(f, 3, true);
	assert_int_equal(unlinkat(f->dir_fd, "log-0000000000000000", 0), 0);
	assert_int_equal(read_from(f, 0), ST_OK);
	assert_int_equal(f->end.lsn, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_an_empty_journal_ends_at_its_start),
	    T(test_all_records_after_the_start_are_given_in_order),
	    T(test_a_start_of_another_journal_is_damage),
	    T(test_a_cut_at_any_byte_is_an_end_and_nothing_is_changed),
	    T(test_what_was_not_synced_ends_it_and_what_was_is_damage),
	    T(test_an_image_that_is_not_right_ends_it_likewise),
	    T(test_a_missing_segment_is_damage_or_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
