/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/clock.h"
#include "src/capture/wal_behind.h"
#include "src/capture/wal_frame.h"
#include "src/capture/wal_look.h"
#include "tests/lib/capture_rig.h"

#define PAGE_SIZE 4096

struct fixture {
	struct rig_folder folder;
	struct state_meta meta;
	struct wal_known known;
	pid_t app; /* 0: nobody has the database open */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	rig_folder_init(&f->folder, PAGE_SIZE);
	f->known.meta = &f->meta;
	f->known.lsn = 7;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->app) {
		rig_kill(f->app);
	}
	rig_folder_clear(&f->folder);
	free(f);
	return 0;
}

static void sql(struct fixture *f, const char *text)
{
	assert_int_equal(rig_sql(f->folder.path, text), 0);
}

/* Somebody who does not write has it open, so that the WAL stays. */
static void open_app(struct fixture *f)
{
	f->app =
	    rig_spawn_ready("stay", f->folder.path, "SELECT count(*) FROM t", NULL);
}

static void close_app(struct fixture *f)
{
	rig_kill(f->app);
	f->app = 0;
}

static struct wal_behind find(const struct fixture *f)
{
	struct wal_behind behind;
	struct error err;

	if (wal_behind_find(f->folder.path, &f->known, &behind, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	assert_true(behind.is_exact == (behind.why == NULL));
	return behind;
}

static void expect_exact(const struct fixture *f, uint64_t transactions)
{
	struct wal_behind behind = find(f);

	assert_true(behind.is_exact);
	assert_int_equal(behind.transactions, transactions);
	assert_true((behind.bytes > 0) == (transactions > 0));
}

static void expect_at_least(const struct fixture *f, uint64_t transactions,
			    const char *why)
{
	struct wal_behind behind = find(f);

	assert_false(behind.is_exact);
	assert_int_equal(behind.transactions, transactions);
	assert_non_null(strstr(behind.why, why));
}

/* What is committed now is known: the frame that the WAL ends with. */
static void know_all(struct fixture *f)
{
	int64_t frame_bytes = PAGE_SIZE + WAL_FRAME_HEADER_BYTES;
	int64_t len = rig_file_size(f->folder.wal);
	struct wal_place *place = &f->known.place;
	uint8_t head[WAL_HEADER_BYTES];
	uint8_t page[PAGE_SIZE];
	int fd = open(f->folder.wal, O_RDONLY);

	assert_true(len > WAL_HEADER_BYTES);
	assert_int_equal(pread(fd, head, sizeof head, 0), sizeof head);
	memcpy(place->salt, head + 16, sizeof place->salt);
	place->frame = (uint32_t)((len - WAL_HEADER_BYTES) / frame_bytes);
	assert_true(wal_frame_proof(fd, PAGE_SIZE, place->frame, page, &place->proof));
	(void)close(fd);
	f->known.captured_ns = clock_wall_ns();
}

static void test_commits_behind_the_place_are_counted(void **state)
{
	struct fixture *f = *state;
	struct wal_behind behind;

	open_app(f);
	sql(f, "INSERT INTO t(v) VALUES(1)");
	know_all(f);
	expect_exact(f, 0);
	sql(f, "INSERT INTO t(v) VALUES(2); INSERT INTO t(v) VALUES(3)");
	expect_exact(f, 2);
	/* Of many pages, and of none that is committed. */
	sql(f, "INSERT INTO t(v) SELECT zeroblob(100000)");
	sql(f, "BEGIN; PRAGMA cache_size=1; INSERT INTO t(v) SELECT zeroblob(900000); "
	       "ROLLBACK");
	expect_exact(f, 3);
	behind = find(f);
	assert_true(behind.bytes > 100000 && behind.bytes < 900000);
	assert_int_equal(behind.bytes % (PAGE_SIZE + WAL_FRAME_HEADER_BYTES), 0);
	assert_int_equal(behind.end.frame,
			 f->known.place.frame +
			     behind.bytes / (PAGE_SIZE + WAL_FRAME_HEADER_BYTES));
	/* Who reads it while nobody has it open goes by the checksums. */
	close_app(f);
	expect_exact(f, 3);
}

/* Seen: to fill a sector SQLite writes a commit's last frame again, as a commit. */
static void test_a_commit_frame_that_is_repeated_is_one_commit(void **state)
{
	struct fixture *f = *state;
	char uri[400];
	int64_t before;

	open_app(f);
	sql(f, "INSERT INTO t(v) VALUES(1)");
	know_all(f);
	before = rig_file_size(f->folder.wal);
	(void)snprintf(uri, sizeof uri, "file:%s?psow=0", f->folder.path);
	assert_int_equal(
	    rig_sql(uri, "PRAGMA synchronous=FULL; INSERT INTO t(v) VALUES(2)"), 0);
	/* There is more than its one frame. */
	assert_true(rig_file_size(f->folder.wal) - before >
		    PAGE_SIZE + WAL_FRAME_HEADER_BYTES);
	expect_exact(f, 1);
}

static void test_who_is_alone_goes_by_the_checksums(void **state)
{
	struct fixture *f = *state;
	int64_t len;
	int fd;

	open_app(f);
	sql(f, "INSERT INTO t(v) VALUES(1)");
	know_all(f);
	sql(f, "INSERT INTO t(v) VALUES(2); INSERT INTO t(v) VALUES(3)");
	close_app(f);
	expect_exact(f, 2);
	/* A crash has torn the last one. */
	len = rig_file_size(f->folder.wal);
	fd = open(f->folder.wal, O_WRONLY);
	assert_int_equal(pwrite(fd, "torn", 4, len - 100), 4);
	(void)close(fd);
	expect_exact(f, 1);
}

static void test_a_wal_that_was_begun_anew_has_more_or_less(void **state)
{
	struct fixture *f = *state;

	open_app(f);
	sql(f, "INSERT INTO t(v) VALUES(1)");
	know_all(f);
	sql(f, "INSERT INTO t(v) VALUES(2); PRAGMA wal_checkpoint(RESTART); "
	       "INSERT INTO t(v) VALUES(3)");
	expect_at_least(f, 1, "begun anew");
	/* Who holds it has had all that it had before. */
	f->known.is_held = true;
	expect_exact(f, 1);
}

static void test_behind_a_clean_stop_all_of_the_wal_is_new(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(stat(f->folder.path, &st), 0);
	meta_set_clean(&f->meta, f->known.lsn, &st);
	expect_exact(f, 0);
	open_app(f);
	sql(f, "INSERT INTO t(v) VALUES(1); INSERT INTO t(v) VALUES(2)");
	expect_exact(f, 2);
	f->known.lsn++; /* more was captured since */
	expect_at_least(f, 2, "begun anew");
	f->known.lsn--;
	sql(f, "PRAGMA wal_checkpoint(TRUNCATE)");
	expect_at_least(f, 0, "written to since");
}

static void test_a_file_that_is_older_than_the_place_has_nothing_more(void **state)
{
	struct fixture *f = *state;

	open_app(f);
	sql(f, "INSERT INTO t(v) VALUES(1)");
	know_all(f);
	sql(f, "INSERT INTO t(v) VALUES(2); PRAGMA wal_checkpoint(TRUNCATE)");
	expect_at_least(f, 0, "written to since");
	f->known.captured_ns = clock_wall_ns() + 10 * NS_PER_S;
	expect_exact(f, 0);
	/* Seen: an older file in its place has the time that it had. */
	f->known.captured_ns = clock_wall_ns() - NS_PER_S;
	{
		const struct timespec long_ago[2] = {{.tv_sec = 1000},
						     {.tv_sec = 1000}};

		assert_int_equal(utimensat(AT_FDCWD, f->folder.path, long_ago, 0), 0);
	}
	expect_at_least(f, 0, "written to since");
	f->known.captured_ns = 0;
	expect_at_least(f, 0, "written to since");
}

static void test_another_frame_in_its_place_is_no_proof(void **state)
{
	struct fixture *f = *state;

	open_app(f);
	sql(f, "INSERT INTO t(v) VALUES(1)");
	know_all(f);
	sql(f, "INSERT INTO t(v) VALUES(2)");
	f->known.place.proof++;
	expect_at_least(f, 1, "not the one that was read");
	f->known.place.frame += 1000;
	expect_at_least(f, 0, "not the one that was read");
}

static void test_what_is_no_database_any_more(void **state)
{
	struct fixture *f = *state;
	struct wal_behind behind;
	struct error err;

	sql(f, "PRAGMA journal_mode=DELETE");
	expect_at_least(f, 0, "not in WAL mode");
	assert_int_equal(unlink(f->folder.path), 0);
	assert_int_equal(wal_behind_find(f->folder.path, &f->known, &behind, &err),
			 ST_IO);
	assert_non_null(strstr(err.text, f->folder.path));
	assert_int_equal(mkdir(f->folder.path, 0700), 0);
	assert_int_equal(wal_behind_find(f->folder.path, &f->known, &behind, &err),
			 ST_UNFIT);
	assert_int_equal(rmdir(f->folder.path), 0);
}

/* ---- src/capture/wal_look.h ---- */

/* What was read of it meanwhile is of another WAL. */
static void test_a_wal_that_was_begun_anew_or_cut_since_a_look_is_noticed(void **state)
{
	struct fixture *f = *state;
	static uint8_t bytes[WAL_LOOK_BYTES];
	struct wal_look look;
	struct error err;
	int fd = open(f->folder.path, O_RDONLY);

	assert_true(fd >= 0);
	open_app(f);
	sql(f, "INSERT INTO t(v) VALUES (zeroblob(20000))");
	assert_int_equal(wal_look_open(f->folder.path, fd, bytes, &look, &err), ST_OK);
	assert_true(look.count > 0);
	assert_int_equal(wal_look_check(f->folder.path, &look, &err), ST_OK);
	sql(f, "INSERT INTO t(v) VALUES (1)"); /* only more */
	assert_int_equal(wal_look_check(f->folder.path, &look, &err), ST_OK);
	sql(f, "PRAGMA wal_checkpoint(RESTART);"
	       "INSERT INTO t(v) VALUES (zeroblob(90000))");
	assert_int_equal(wal_look_check(f->folder.path, &look, &err), ST_RETRY);
	wal_look_close(&look);
	assert_int_equal(wal_look_open(f->folder.path, fd, bytes, &look, &err), ST_OK);
	sql(f, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_int_equal(wal_look_check(f->folder.path, &look, &err), ST_RETRY);
	wal_look_close(&look);
	assert_int_equal(close(fd), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_commits_behind_the_place_are_counted),
	    TEST(test_a_commit_frame_that_is_repeated_is_one_commit),
	    TEST(test_who_is_alone_goes_by_the_checksums),
	    TEST(test_a_wal_that_was_begun_anew_has_more_or_less),
	    TEST(test_behind_a_clean_stop_all_of_the_wal_is_new),
	    TEST(test_a_file_that_is_older_than_the_place_has_nothing_more),
	    TEST(test_another_frame_in_its_place_is_no_proof),
	    TEST(test_what_is_no_database_any_more),
	    TEST(test_a_wal_that_was_begun_anew_or_cut_since_a_look_is_noticed),
	};

	if (rig_is_child(argc, argv)) {
		return rig_child(argc, argv);
	}
	rig_set_program(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
