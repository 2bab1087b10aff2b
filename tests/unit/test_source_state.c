/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/file_io.h"
#include "src/capture/source_state.h"
#include "src/capture/wal_frame.h"
#include "tests/lib/capture_rig.h"

#define PAGE_SIZE 1024

/* A database with a WAL of several commits; an earlier run has come to frame 3. */
struct fixture {
	struct rig_folder folder;
	sqlite3 *app;
	struct db_handles db;
	struct wal_index_header header;
	struct wal_place end;
	uint8_t page[PAGE_SIZE];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct stat st;

	rig_folder_init(&f->folder, PAGE_SIZE);
	f->app = rig_open_with_wal(&f->folder);
	f->db = (struct db_handles){.path = f->folder.path,
				    .page_size = PAGE_SIZE,
				    .db_fd = open(f->folder.path, O_RDONLY | O_CLOEXEC),
				    .wal_fd = open(f->folder.wal, O_RDWR | O_CLOEXEC)};
	assert_int_equal(fstat(f->db.wal_fd, &st), 0);
	f->header.page_size = PAGE_SIZE;
	f->header.frame_count = (uint32_t)((st.st_size - WAL_HEADER_BYTES) /
					   (PAGE_SIZE + WAL_FRAME_HEADER_BYTES));
	assert_true(f->header.frame_count > 4);
	assert_int_equal(pread(f->db.wal_fd, f->header.salt, 8, 16), 8);
	memcpy(f->end.salt, f->header.salt, sizeof f->end.salt);
	f->end.frame = 3;
	assert_true(
	    wal_frame_proof(f->db.wal_fd, PAGE_SIZE, 3, f->page, &f->end.proof));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)close(f->db.db_fd);
	(void)close(f->db.wal_fd);
	(void)sqlite3_close(f->app);
	rig_folder_clear(&f->folder);
	free(f);
	return 0;
}

/* The frame after which there is news; -1: none is proven. */
static int64_t found(struct fixture *f, bool is_untouched)
{
	uint32_t frame;

	return source_find_end(&f->db, &f->header, &f->end, is_untouched, f->page,
			       &frame)
		   ? (int64_t)frame
		   : -1;
}

static void test_the_frame_of_the_end_still_stands_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(found(f, false), 3);
	f->header.frame_count = 3;
	assert_int_equal(found(f, false), 3);
}

/* Its writer died, and another one has written other frames in the same places. */
static void test_another_frame_stands_there(void **state)
{
	struct fixture *f = *state;
	uint8_t byte;
	off_t at = WAL_HEADER_BYTES + 3 * (PAGE_SIZE + WAL_FRAME_HEADER_BYTES) - 1;

	assert_int_equal(pread(f->db.wal_fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(f->db.wal_fd, &byte, 1, at), 1);
	assert_int_equal(found(f, false), -1);
	/* Frames of before the end are among them: not all of it is news. */
	assert_int_equal(found(f, true), -1);
}

static void test_frames_up_to_the_end_are_gone(void **state)
{
	struct fixture *f = *state;

	f->header.frame_count = 2;
	assert_int_equal(found(f, false), -1);
	assert_int_equal(found(f, true), -1);
}

static void
test_a_new_wal_is_all_news_where_the_file_is_as_a_clean_stop_left_it(void **state)
{
	struct fixture *f = *state;

	f->end.salt[0] ^= 1;
	assert_int_equal(found(f, true), 0);
	assert_int_equal(found(f, false), -1);
}

static void test_after_an_end_with_an_empty_wal(void **state)
{
	struct fixture *f = *state;

	f->end.frame = 0;
	assert_int_equal(found(f, true), 0);
	assert_int_equal(found(f, false), -1);
}

static void test_an_end_that_could_not_be_proven(void **state)
{
	struct fixture *f = *state;

	f->end.proof = 0;
	assert_int_equal(found(f, false), -1);
	assert_int_equal(found(f, true), -1);
}

static void test_a_wal_of_another_page_size(void **state)
{
	struct fixture *f = *state;

	f->header.page_size = 2 * PAGE_SIZE;
	assert_int_equal(found(f, false), -1);
}

/* ---- how large the database is ---- */

static void test_pages_are_counted_where_no_frame_tells_it(void **state)
{
	struct fixture *f = *state;
	struct error err;
	uint32_t pages = 0;
	struct stat st;

	assert_int_equal(sqlite3_wal_checkpoint_v2(
			     f->app, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(fstat(f->db.db_fd, &st), 0);
	assert_int_equal(source_page_count(&f->db, &pages, &err), ST_OK);
	assert_int_equal(pages, st.st_size / PAGE_SIZE);
	assert_int_equal(truncate(f->folder.path, st.st_size - PAGE_SIZE), 0);
	assert_int_equal(source_page_count(&f->db, &pages, &err), ST_UNFIT);
	assert_non_null(strstr(err.text, "is cut off"));
}

/* An old SQLite that writes no count leaves the one of a newer one there. */
static void test_a_count_of_another_writer_does_not_hold(void **state)
{
	struct fixture *f = *state;
	uint8_t head[100];
	uint32_t pages = 0;
	struct error err;

	assert_int_equal(sqlite3_wal_checkpoint_v2(
			     f->app, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL),
			 SQLITE_OK);
	assert_true(file_read_exactly(f->db.db_fd, head, sizeof head, 0));
	head[31] = 200; /* pages, by the header */
	assert_int_equal(
	    source_count_pages("db", head, PAGE_SIZE, 3 * PAGE_SIZE, &pages, &err),
	    ST_UNFIT);
	head[27] = (uint8_t)(head[27] + 1); /* changes: somebody else counted on */
	assert_int_equal(
	    source_count_pages("db", head, PAGE_SIZE, 3 * PAGE_SIZE, &pages, &err),
	    ST_OK);
	assert_int_equal(pages, 3);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_the_frame_of_the_end_still_stands_there),
	    CASE(test_another_frame_stands_there),
	    CASE(test_frames_up_to_the_end_are_gone),
	    CASE(test_a_new_wal_is_all_news_where_the_file_is_as_a_clean_stop_left_it),
	    CASE(test_after_an_end_with_an_empty_wal),
	    CASE(test_an_end_that_could_not_be_proven),
	    CASE(test_a_wal_of_another_page_size),
	    CASE(test_pages_are_counted_where_no_frame_tells_it),
	    CASE(test_a_count_of_another_writer_does_not_hold),
	};
#undef CASE

	rig_set_program(argv[0]);
	if (rig_is_child(argc, argv)) {
		return rig_child(argc, argv);
	}
	if (argc > 1) {
		cmocka_set_test_filter(argv[1]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
