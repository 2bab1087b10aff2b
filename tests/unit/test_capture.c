/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
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

#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/base/sqlite_guard.h"
#include "src/capture/capture.h"
#include "tests/lib/capture_rig.h"

static int setup(void **state)
{
	struct rig_folder *f = malloc(sizeof *f);

	rig_folder_init(f, 4096);
	*state = f;
	return 0;
}

static int setup_small_pages(void **state)
{
	struct rig_folder *f = malloc(sizeof *f);

	rig_folder_init(f, 512);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	rig_folder_clear(*state);
	free(*state);
	return 0;
}

static void open_rig(struct rig *rig, const struct rig_folder *f)
{
	struct capture_settings settings = rig_settings(f->path);

	rig_open(rig, &settings);
}

static void test_transactions_arrive_in_order_and_whole(void **state)
{
	struct rig_folder *f = *state;
	struct rig rig;

	open_rig(&rig, f);
	assert_int_equal(rig_sql(f->path, "INSERT INTO t(v) VALUES(1);"
					  "INSERT INTO t(v) VALUES(2);"
					  "BEGIN; INSERT INTO t(v) VALUES(3);"
					  "UPDATE t SET v=4; COMMIT;"),
			 0);
	rig_catch_up(&rig);
	assert_int_equal(rig.txns, 3);
	rig_close_and_compare(&rig);
	assert_int_equal(rig_file_size(f->wal), 0);
}

static void test_what_the_wal_has_at_the_start_is_the_first_state(void **state)
{
	struct rig_folder *f = *state;
	struct rig rig;
	pid_t app =
	    rig_spawn_ready("stay", f->path,
			    "PRAGMA wal_autocheckpoint=0;"
			    "INSERT INTO t(v) VALUES(1); INSERT INTO t(v) VALUES(2);"
			    "PRAGMA wal_checkpoint(PASSIVE);"
			    "INSERT INTO t(v) VALUES(3)",
			    NULL);

	open_rig(&rig, f);
	assert_true(rig.lsn > 0);
	assert_int_equal(rig_sql(f->path, "DELETE FROM t WHERE v=1"), 0);
	rig_catch_up(&rig);
	assert_int_equal(rig.txns, 1);
	rig_kill(app);
	rig_close_and_compare(&rig);
}

static void chaos(struct rig_folder *f, struct rig *rig, int writers, int ms,
		  bool spills)
{
	pid_t pids[8];
	char seed[16];
	char time[16];

	(void)snprintf(time, sizeof time, "%d", ms);
	for (int i = 0; i < writers; i++) {
		(void)snprintf(seed, sizeof seed, "%d", 7 + i);
		pids[i] =
		    rig_spawn("chaos", f->path, seed, time, spills ? "1" : "0", NULL);
	}
	for (int i = 0; i < writers; i++) {
		assert_int_equal(rig_wait_following(rig, pids[i]), 0);
	}
	rig_catch_up(rig);
}

static void test_replica_equals_database_after_chaos(void **state)
{
	struct rig rig;

	open_rig(&rig, *state);
	chaos(*state, &rig, 3, 3000, false);
	assert_true(rig.txns > 100);
	rig_close_and_compare(&rig);
}

static void
test_replica_equals_database_with_frames_that_sqlite_left_blank(void **state)
{
	struct rig rig;

	open_rig(&rig, *state);
	chaos(*state, &rig, 2, 2000, true);
	assert_true(rig.txns > 20);
	rig_close_and_compare(&rig);
}

/* Frames in the file whose salt and checksum are zero. */
static int blank_frames(const struct rig_folder *f)
{
	static const char zero[16];
	char header[24];
	int blank = 0;
	FILE *wal = fopen(f->wal, "rb");

	assert_non_null(wal);
	assert_int_equal(fseek(wal, 32, SEEK_SET), 0);
	while (fread(header, sizeof header, 1, wal) == 1) {
		blank += memcmp(header + 8, zero, sizeof zero) == 0;
		assert_int_equal(fseek(wal, 4096, SEEK_CUR), 0);
	}
	(void)fclose(wal);
	return blank;
}

/* Spill, savepoint, spill and overwrite, roll back to it, spill more, commit. */
static void test_committed_frames_without_checksum_are_captured(void **state)
{
	struct rig_folder *f = *state;
	struct rig rig;
	unsigned long before;
	pid_t other; /* while it has the file open the WAL is not emptied */

	assert_int_equal(
	    rig_sql(f->path,
		    "DROP INDEX tv;"
		    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
		    "WHERE i<3000) INSERT INTO t(v) SELECT randomblob(900) FROM n"),
	    0);
	other = rig_spawn_ready("stay", f->path, "SELECT count(*) FROM t", NULL);
	open_rig(&rig, f);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
		    rig_sql(
			f->path,
			"PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=10;"
			"BEGIN; UPDATE t SET v=randomblob(900) WHERE id<200;"
			"SAVEPOINT s; UPDATE t SET v=randomblob(900) WHERE id>2000;"
			"UPDATE t SET v=randomblob(900) WHERE id>2000;"
			"ROLLBACK TO s; RELEASE s;"
			"UPDATE t SET v=randomblob(900) WHERE id BETWEEN 500 AND 1900;"
			"COMMIT; INSERT INTO t VALUES(99999, 'later');"
			"DELETE FROM t WHERE id=99999"),
		    0);
		assert_true(blank_frames(f) > 0);
		before = rig.txns;
		rig_catch_up(&rig);
		assert_int_equal(rig.txns, before + 3);
	}
	rig_kill(other);
	rig_close_and_compare(&rig);
}

static void test_killed_writers_lose_nothing(void **state)
{
	struct rig_folder *f = *state;
	struct rig rig;
	char seed[16];

	open_rig(&rig, f);
	for (int i = 0; i < 30; i++) {
		pid_t pids[2];

		for (int j = 0; j < 2; j++) {
			(void)snprintf(seed, sizeof seed, "%d", 100 + 2 * i + j);
			pids[j] = rig_spawn("chaos", f->path, seed, "9000", "0", NULL);
		}
		clock_sleep_ns((20 + 7 * (i % 11)) * NS_PER_MS);
		rig_kill(pids[0]);
		rig_kill(pids[1]);
		if (i % 3 == 0) {
			rig_catch_up(&rig);
		}
	}
	rig_catch_up(&rig);
	rig_close_and_compare(&rig);
}

static void test_header_torn_by_a_dying_writer_is_recovered(void **state)
{
	struct rig_folder *f = *state;
	struct rig rig;
	pid_t writer;

	open_rig(&rig, f);
	writer = rig_spawn("chaos", f->path, "5", "3000", "0", NULL);
	for (int i = 0; i < 20; i++) {
		clock_sleep_ns(60 * NS_PER_MS);
		assert_int_equal(
		    rig_wait_following(&rig, rig_spawn("tear", f->path, NULL)), 0);
	}
	assert_int_equal(rig_wait_following(&rig, writer), 0);
	/* Nobody is there to recover this one but capture itself. */
	assert_int_equal(rig_sql(f->path, "INSERT INTO t(v) VALUES('last')"), 0);
	assert_int_equal(rig_wait(rig_spawn("tear", f->path, NULL)), 0);
	rig_catch_up(&rig);
	rig_close_and_compare(&rig);
}

/* The deadly case of a pin without pre-images: each commit is checkpointed at once. */
static void test_preimages_are_exact_though_nobody_decodes(void **state)
{
	struct rig_folder *f = *state;
	struct rig rig;
	char sql[400];
	pid_t other; /* while it has the file open the WAL is not emptied */

	assert_int_equal(
	    rig_sql(f->path,
		    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
		    "WHERE i<3000) INSERT INTO t(v) SELECT randomblob(200) FROM n"),
	    0);
	other = rig_spawn_ready("stay", f->path, "SELECT count(*) FROM t", NULL);
	open_rig(&rig, f);
	for (int i = 0; i < 60; i++) {
		(void)snprintf(sql, sizeof sql,
			       "PRAGMA wal_autocheckpoint=1;"
			       "UPDATE t SET v=randomblob(200) WHERE id%%60=%d;"
			       "DELETE FROM t WHERE id>%d; INSERT INTO k VALUES(%d,1);",
			       i, 2990 - 40 * i, i);
		assert_int_equal(rig_sql(f->path, sql), 0);
		if (i % 20 == 19) {
			assert_int_equal(rig_sql(f->path, "VACUUM"), 0);
		}
	}
	/* Restarted though nobody has taken anything. */
	rig_kill(other);
	rig_catch_up(&rig);
	assert_true(rig.txns >= 180);
	rig_close_and_compare(&rig);
}

static void test_application_can_truncate_though_nobody_decodes(void **state)
{
	struct rig_folder *f = *state;
	struct rig rig;

	open_rig(&rig, f);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(rig_sql(f->path, "INSERT INTO t(v) VALUES(1);"
						  "PRAGMA wal_checkpoint(TRUNCATE);"),
				 0);
		assert_int_equal(rig_file_size(f->wal), 0);
	}
	rig_catch_up(&rig);
	assert_int_equal(rig.txns, 20);
	rig_close_and_compare(&rig);
}

static void test_paced_writer_without_timeout_sees_no_busy(void **state)
{
	struct rig_folder *f = *state;
	struct rig rig;
	pid_t app;

	open_rig(&rig, f);
	app = rig_spawn("insert", f->path, "2500", "700", "0", "NORMAL", NULL);
	assert_int_equal(rig_wait_following(&rig, app), 0);
	rig_catch_up(&rig);
	assert_int_equal(rig.txns, 2500);
	rig_close_and_compare(&rig);
}

static void test_programs_that_open_write_and_close_see_no_busy(void **state)
{
	struct rig_folder *f = *state;
	struct rig rig;

	open_rig(&rig, f);
	for (int i = 0; i < 150; i++) {
		pid_t app = rig_spawn("insert", f->path, "1", "0", "0", "NORMAL", NULL);

		assert_int_equal(rig_wait_following(&rig, app), 0);
	}
	rig_catch_up(&rig);
	assert_int_equal(rig.txns, 150);
	rig_close_and_compare(&rig);
}

static void test_hot_writer_is_followed(void **state)
{
	struct rig_folder *f = *state;
	struct rig rig;
	pid_t app;

	open_rig(&rig, f);
	app = rig_spawn("insert", f->path, "40000", "0", "5000", "OFF", NULL);
	assert_int_equal(rig_wait_following(&rig, app), 0);
	rig_catch_up(&rig);
	assert_int_equal(rig.txns, 40000);
	rig_close_and_compare(&rig);
}

static void test_spool_is_small_while_decoding_keeps_up(void **state)
{
	struct rig_folder *f = *state;
	struct rig rig;
	uint64_t most = 0;
	pid_t app;

	assert_int_equal(
	    rig_sql(f->path,
		    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
		    "WHERE i<20000) INSERT INTO t(v) SELECT randomblob(1000) FROM n"),
	    0);
	open_rig(&rig, f);
	for (int i = 0; i < 40; i++) {
		char sql[128];

		(void)snprintf(
		    sql, sizeof sql,
		    "UPDATE t SET v=randomblob(1000) WHERE id BETWEEN %d AND %d",
		    i * 500, i * 500 + 499);
		app = rig_spawn("sql", f->path, sql, NULL);
		assert_int_equal(rig_wait_following(&rig, app), 0);
		rig_catch_up(&rig);
		clock_sleep_ns(10 * NS_PER_MS);
		if (spool_used_bytes(rig.spool) > most) {
			most = spool_used_bytes(rig.spool);
		}
	}
	assert_true(most < 20 * 1000 * 1000); /* of 27 MB that changed */
	rig_close_and_compare(&rig);
}

static void test_copy_made_while_alone_is_complete(void **state)
{
	struct rig_folder *f = *state;
	struct rig rig;
	char command[900];

	open_rig(&rig, f);
	assert_int_equal(rig_sql(f->path, "INSERT INTO t(v) VALUES('kept')"), 0);
	rig_catch_up(&rig);
	clock_sleep_ns(300 * NS_PER_MS);
	(void)snprintf(
	    command, sizeof command,
	    "cd %s && cp app.db copy.db && test \"$(sqlite3 copy.db 'SELECT v FROM "
	    "t')\" = kept",
	    f->folder);
	assert_int_equal(system(command), 0);
	for (int i = 0; i < 40 && rig_file_size(f->wal) != 0; i++) {
		clock_sleep_ns(50 * NS_PER_MS);
	}
	assert_int_equal(rig_file_size(f->wal), 0);
	rig_close_and_compare(&rig);
}

static void test_file_written_past_sqlite_ends_capture(void **state)
{
	struct rig_folder *f = *state;
	struct error err;
	struct rig rig;
	char command[1200];

	(void)snprintf(
	    command, sizeof command,
	    "cd %s && cp app.db backup.db && sqlite3 backup.db 'INSERT INTO t(v) "
	    "SELECT randomblob(50000) FROM (SELECT 1 UNION SELECT 2)' && "
	    "sqlite3 backup.db 'PRAGMA journal_mode=wal' >/dev/null",
	    f->folder);
	assert_int_equal(system(command), 0);
	open_rig(&rig, f);
	assert_int_equal(rig_sql(f->path, "INSERT INTO t(v) VALUES(1)"), 0);
	rig_catch_up(&rig);
	assert_int_equal(rig_run_until_error(&rig, 1800, &err), ST_OK);
	(void)snprintf(command, sizeof command, "cd %s && cp backup.db app.db",
		       f->folder);
	assert_int_equal(system(command), 0);
	assert_int_equal(rig_run_until_error(&rig, 2000, &err), ST_LOST);
	assert_non_null(strstr(err.text, "past its WAL"));
	/* The restored database is whole, though capture still has it open. */
	(void)snprintf(
	    command, sizeof command,
	    "cd %s && test \"$(sqlite3 app.db 'PRAGMA integrity_check; "
	    "INSERT INTO t(v) VALUES(9); SELECT count(*) FROM t')\" = \"ok\n3\"",
	    f->folder);
	assert_int_equal(system(command), 0);
	rig_close(&rig);
}

static void test_replaced_file_ends_capture_without_a_checkpoint(void **state)
{
	struct rig_folder *f = *state;
	struct rig rig;
	struct error err;
	char command[1200];
	char old[320];
	pid_t app = rig_spawn_ready(
	    "stay", f->path, "PRAGMA wal_autocheckpoint=0; BEGIN; SELECT * FROM t",
	    NULL);
	int64_t size;

	open_rig(&rig, f);
	assert_int_equal(rig_sql(f->path, "INSERT INTO t(v) VALUES(randomblob(20000))"),
			 0);
	rig_catch_up(&rig);
	(void)snprintf(old, sizeof old, "%s/old.db", f->folder);
	(void)snprintf(command, sizeof command,
		       "cd %s && ln app.db old.db && cp app.db b.db", f->folder);
	assert_int_equal(system(command), 0);
	size = rig_file_size(old);
	(void)snprintf(command, sizeof command, "cd %s && mv b.db app.db", f->folder);
	assert_int_equal(system(command), 0);
	assert_int_equal(rig_run_until_error(&rig, 2000, &err), ST_LOST);
	assert_non_null(strstr(err.text, "replaced"));
	rig_close(&rig);
	assert_int_equal(rig_file_size(old), size);
	assert_true(rig_file_size(f->wal) > 20000); /* nothing was taken from it */
	rig_kill(app);
}

static void test_full_spool_keeps_the_hold_and_goes_on(void **state)
{
	struct rig_folder *f = *state;
	struct capture_settings settings = rig_settings(f->path);
	static const _Atomic int never = 0;
	struct error err;
	struct rig rig;
	uint64_t lsn;

	settings.history = rig_history(200 * 1000);
	rig_open(&rig, &settings);
	assert_int_equal(
	    rig_wait(rig_spawn("insert", f->path, "500", "0", "5000", "OFF", NULL)), 0);
	/* The position can be told though there is no room to capture. */
	assert_int_equal(capture_reach_now(rig.capture, &never, &lsn, &err), ST_OK);
	assert_true(spool_used_bytes(rig.spool) < 1000 * 1000);
	assert_true(lsn >= 500);
	rig_catch_up(&rig);
	assert_int_equal(rig.txns, 500);
	rig_close_and_compare(&rig);
}

/* A limit on the size of files stands for a full disk: past what lies in memory, the
 * spool gets no more. */
static void test_full_disk_keeps_the_hold_and_goes_on(void **state)
{
	struct rig_folder *f = *state;
	struct rlimit before;
	struct rlimit low;
	struct rig rig;

	assert_int_equal(
	    rig_sql(f->path,
		    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
		    "WHERE i<400) INSERT INTO t(v) SELECT zeroblob(3000) FROM n"),
	    0);
	open_rig(&rig, f);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	low = before;
	low.rlim_cur = 8u << 20;
	for (int i = 0; i < 30; i++) {
		pid_t app =
		    rig_spawn("sql", f->path, "UPDATE t SET v=randomblob(3000)", NULL);

		if (i == 0) {
			assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
			assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
		}
		assert_int_equal(rig_wait(app), 0);
	}
	clock_sleep_ns(50 * NS_PER_MS);
	assert_true(spool_used_bytes(rig.spool) <= 41u << 20);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	rig_catch_up(&rig);
	assert_int_equal(rig.txns, 30);
	rig_close_and_compare(&rig);
}

static void test_one_large_transaction_trips_no_cap(void **state)
{
	struct rig_folder *f = *state;
	struct capture_settings settings = rig_settings(f->path);
	struct rig rig;

	settings.history = rig_history(200 * 1000);
	settings.hold_max_wal_bytes = 300 * 1000;
	rig_open(&rig, &settings);
	assert_int_equal(
	    rig_sql(f->path,
		    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
		    "WHERE i<5000) INSERT INTO t(v) SELECT randomblob(500) FROM n"),
	    0);
	rig_catch_up(&rig);
	assert_int_equal(rig.txns, 1);
	rig_close_and_compare(&rig);
}

static void test_wal_past_its_cap_ends_capture_naming_state(void **state)
{
	struct rig_folder *f = *state;
	struct capture_settings settings = rig_settings(f->path);
	struct error err;
	struct rig rig;
	enum status status;

	settings.history = rig_history(200 * 1000);
	settings.hold_max_wal_bytes = 500 * 1000;
	rig_open(&rig, &settings);
	assert_int_equal(
	    rig_wait(rig_spawn("insert", f->path, "1500", "0", "5000", "OFF", NULL)),
	    0);
	clock_sleep_ns(100 * NS_PER_MS);
	status = rig_run_until_error(&rig, 2000, &err);
	assert_int_equal(status, ST_LOST);
	assert_non_null(strstr(err.text, "--state"));
	assert_true(rig.txns > 10); /* all that was captured before is given out */
	rig_close(&rig);
}

static void test_repeated_commit_frames_are_one_transaction(void **state)
{
	struct rig_folder *f = *state;
	struct rig rig;
	char uri[400];

	(void)snprintf(uri, sizeof uri, "file:%s?psow=0", f->path);
	open_rig(&rig, f);
	assert_int_equal(
	    rig_sql(uri, "PRAGMA synchronous=FULL;"
			 "INSERT INTO t(v) VALUES(1); INSERT INTO t(v) VALUES(2);"
			 "INSERT INTO t(v) VALUES(3); INSERT INTO t(v) VALUES(4);"),
	    0);
	rig_catch_up(&rig);
	assert_int_equal(rig.txns, 4);
	rig_close_and_compare(&rig);
}

static void test_generation_that_comes_back_is_gone_on_with(void **state)
{
	struct rig_folder *f = *state;
	pid_t app = rig_spawn_ready("stay", f->path, "SELECT count(*) FROM t", NULL);
	struct rig rig;
	pid_t dying;

	open_rig(&rig, f);
	assert_int_equal(rig_sql(f->path, "INSERT INTO t(v) VALUES(1);"), 0);
	rig_catch_up(&rig);
	dying = rig_spawn_ready("half-restart", f->path, NULL);
	assert_int_equal(rig_wait(dying), 0);
	assert_int_equal(rig_sql(f->path, "INSERT INTO t(v) VALUES(2);"), 0);
	rig_catch_up(&rig);
	assert_int_equal(rig.txns, 2);
	rig_kill(app);
	rig_close_and_compare(&rig);
}

static void expect_unfit(const char *path, const char *word)
{
	struct capture_settings settings = rig_settings(path);
	struct capture *capture;
	struct captured_txn *first;
	struct error err;

	log_setup(LOG_ERROR, false);
	settings.history = rig_history(RIG_SPOOL_BYTES);
	assert_int_equal(capture_open(&settings, &capture, &first, &err), ST_UNFIT);
	settings.history->close(settings.history);
	if (!strstr(err.text, word) || strchr(err.text, '\n')) {
		fail_msg("'%s' is not in: %s", word, err.text);
	}
}

static void shell(const struct rig_folder *f, const char *command)
{
	char whole[1200];

	(void)snprintf(whole, sizeof whole, "cd %s && { %s; } >/dev/null", f->folder,
		       command);
	assert_int_equal(system(whole), 0);
}

static void test_unfit_files_are_named_with_what_to_do(void **state)
{
	struct rig_folder *f = *state;
	char path[400];

	static const struct {
		const char *make;
		const char *name;
		const char *word;
	} cases[] = {
	    {"true", "missing.db", "no such file"},
	    {"mkdir dir.db", "dir.db", "is a directory"},
	    {": > empty.db", "empty.db", "is empty"},
	    {"head -c 9000 /dev/urandom > noise.db", "noise.db", "encrypted"},
	    {"head -c 50 app.db > short.db", "short.db", "cut off"},
	    {"head -c 3000 app.db > page.db", "page.db", "cut off"},
	    {"head -c 8192 app.db > pages.db", "pages.db", "cut off"},
	    {"cp app.db bad.db && printf '\\003' | dd of=bad.db bs=1 seek=16 "
	     "conv=notrunc "
	     "2>/dev/null",
	     "bad.db", "corrupt"},
	    {"sqlite3 roll.db 'CREATE TABLE t(a)'", "roll.db",
	     "PRAGMA journal_mode=WAL"},
	    {"mkfifo pipe.db", "pipe.db", "regular file"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		shell(f, cases[i].make);
		(void)snprintf(path, sizeof path, "%s/%s", f->folder, cases[i].name);
		expect_unfit(path, cases[i].word);
	}
}

static void test_exclusive_lock_is_tried_and_then_named(void **state)
{
	struct rig_folder *f = *state;
	pid_t app = rig_spawn_ready("stay", f->path,
				    "PRAGMA locking_mode=EXCLUSIVE;"
				    "INSERT INTO t(v) VALUES(1)",
				    NULL);
	int64_t start = clock_mono_ns();

	expect_unfit(f->path, "locked exclusively");
	assert_true(clock_mono_ns() - start > 3 * NS_PER_S);
	rig_kill(app);
}

static void test_stop_ends_waiting_for_a_locked_database(void **state)
{
	struct rig_folder *f = *state;
	struct capture_settings settings = rig_settings(f->path);
	static const _Atomic int stop = 1;
	struct capture *capture;
	struct captured_txn *first;
	struct error err;
	pid_t app = rig_spawn_ready("stay", f->path,
				    "PRAGMA locking_mode=EXCLUSIVE;"
				    "INSERT INTO t(v) VALUES(1)",
				    NULL);

	settings.stop = &stop;
	log_setup(LOG_ERROR, false);
	settings.history = rig_history(RIG_SPOOL_BYTES);
	assert_int_equal(capture_open(&settings, &capture, &first, &err), ST_STOPPED);
	settings.history->close(settings.history);
	rig_kill(app);
}

static void test_link_to_the_database_is_followed(void **state)
{
	struct rig_folder *f = *state;
	struct capture_settings settings;
	char path[400];
	struct rig rig;

	shell(f, "mkdir elsewhere && ln -s ../app.db elsewhere/link.db");
	(void)snprintf(path, sizeof path, "%s/elsewhere/link.db", f->folder);
	settings = rig_settings(path);
	rig_open(&rig, &settings);
	assert_int_equal(rig_sql(f->path, "INSERT INTO t(v) VALUES(1)"), 0);
	rig_catch_up(&rig);
	assert_int_equal(rig.txns, 1);
	rig_close_and_compare(&rig);
}

/* A writer of another build and version: it frees pages without writing them. */
static const char apsw_script[] =
    "import apsw, random, sys\n"
    "r = random.Random(5)\n"
    "c = apsw.Connection(sys.argv[1])\n"
    "c.set_busy_timeout(5000)\n"
    "c.execute('PRAGMA wal_autocheckpoint=100')\n"
    "for i in range(1500):\n"
    "    k = r.random()\n"
    "    if k < .5:\n"
    "        c.execute('INSERT INTO t(v) VALUES(randomblob(?))', (r.randint(1, "
    "5000),))\n"
    "    elif k < .7:\n"
    "        c.execute('UPDATE t SET v=randomblob(?) WHERE id%17=?',\n"
    "                  (r.randint(1, 3000), r.randint(0, 16)))\n"
    "    elif k < .9:\n"
    "        c.execute('DELETE FROM t WHERE id%11=?', (r.randint(0, 10),))\n"
    "    elif k < .95:\n"
    "        c.execute('REPLACE INTO k VALUES(?, 1)', (str(r.randint(0, 500)),))\n"
    "    elif k < .97:\n"
    "        try: c.wal_checkpoint(None, r.randint(0, 3))\n"
    "        except apsw.BusyError: pass\n"
    "    elif k < .98:\n"
    "        c.execute('DELETE FROM t')\n"
    "    elif k < .985:\n"
    "        c.execute('VACUUM')\n"
    "    else:\n"
    "        c.execute('BEGIN; INSERT INTO t(v) VALUES(1); UPDATE t SET v=2; "
    "ROLLBACK')\n"
    "c.close()\n";

static void test_replica_equals_database_of_a_newer_sqlite(void **state)
{
	const char *python = "build/venv/bin/python";
	struct rig_folder *f = *state;
	char command[900];
	char script[320];
	struct rig rig;
	FILE *file;
	pid_t app;

	(void)snprintf(script, sizeof script, "%s/write.py", f->folder);
	file = fopen(script, "w");
	assert_non_null(file);
	assert_true(fputs(apsw_script, file) >= 0);
	assert_int_equal(fclose(file), 0);
	if (access(python, X_OK) != 0) {
		python = "python3";
	}
	(void)snprintf(command, sizeof command, "%s -c 'import apsw' 2>/dev/null",
		       python);
	if (system(command) != 0) {
		print_message("not run: %s has no apsw\n", python);
		skip();
	}
	(void)snprintf(command, sizeof command, "%s %s %s", python, script, f->path);
	open_rig(&rig, f);
	app = rig_spawn("shell", command, NULL);
	assert_int_equal(rig_wait_following(&rig, app), 0);
	rig_catch_up(&rig);
	assert_true(rig.txns > 500);
	rig_close_and_compare(&rig);
}

#define NOBODY "65534"

/* The database is root's, with these rights for others. */
static void give_rights(const struct rig_folder *f, mode_t folder, mode_t file)
{
	if (geteuid() != 0) {
		print_message("not run: only root can be two users\n");
		skip();
	}
	assert_int_equal(chmod(f->folder, folder), 0);
	assert_int_equal(chmod(f->path, file), 0);
}

static uid_t owner_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_uid;
}

static void follow_as_nobody(const struct rig_folder *f)
{
	char shm[320];
	pid_t follower = rig_spawn("follow", f->path, NOBODY, "5", NULL);
	pid_t app;

	(void)snprintf(shm, sizeof shm, "%s-shm", f->path);
	clock_sleep_ns(300 * NS_PER_MS);
	assert_int_equal(rig_file_size(f->wal), -1); /* it was not the first */
	assert_int_equal(rig_file_size(shm), -1);
	app = rig_spawn("insert", f->path, "3000", "10000", "0", "NORMAL", NULL);
	assert_int_equal(rig_wait(follower), 0);
	assert_int_equal(owner_of(f->wal), 0);
	assert_int_equal(owner_of(shm), 0);
	rig_kill(app);
	assert_int_equal(rig_sql(f->path, "INSERT INTO t(v) VALUES(1)"), 0);
}

static void test_who_may_only_read_follows_once_an_application_is_there(void **state)
{
	give_rights(*state, 0755, 0644);
	follow_as_nobody(*state);
}

static void test_another_user_who_may_write_is_not_the_first_either(void **state)
{
	give_rights(*state, 0777, 0666);
	follow_as_nobody(*state);
}

static void test_another_user_may_be_first_in_a_setgid_folder(void **state)
{
	struct rig_folder *f = *state;
	pid_t follower;
	pid_t app;

	give_rights(f, 02777, 0666);
	follower = rig_spawn("follow", f->path, NOBODY, "5", NULL);
	clock_sleep_ns(300 * NS_PER_MS);
	assert_true(rig_file_size(f->wal) >= 0);
	app = rig_spawn("insert", f->path, "3000", "10000", "0", "NORMAL", NULL);
	assert_int_equal(rig_wait(follower), 0);
	rig_kill(app);
}

static void test_root_leaves_the_wal_to_the_owner_of_the_database(void **state)
{
	struct rig_folder *f = *state;
	char shm[320];
	struct rig rig;

	give_rights(f, 0755, 0644);
	assert_int_equal(chown(f->path, 65534, 65534), 0);
	(void)snprintf(shm, sizeof shm, "%s-shm", f->path);
	open_rig(&rig, f);
	assert_int_equal(owner_of(f->wal), 65534);
	assert_int_equal(owner_of(shm), 65534);
	rig_close_and_compare(&rig);
}

static void test_unreadable_shared_memory_is_unfit(void **state)
{
	struct rig_folder *f = *state;
	char shm[320];
	pid_t app;

	give_rights(f, 0755, 0644);
	app = rig_spawn_ready("stay", f->path, "INSERT INTO t(v) VALUES(1)", NULL);
	(void)snprintf(shm, sizeof shm, "%s-shm", f->path);
	assert_int_equal(chmod(shm, 0600), 0);
	assert_int_equal(rig_wait(rig_spawn("follow", f->path, NOBODY, "1", NULL)),
			 10 + ST_UNFIT);
	rig_kill(app);
}

static void test_unreadable_file_is_unfit(void **state)
{
	struct rig_folder *f = *state;

	give_rights(f, 0755, 0600);
	assert_int_equal(rig_wait(rig_spawn("follow", f->path, NOBODY, "1", NULL)),
			 10 + ST_UNFIT);
}

static int time_order(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void test_each_commit_wakes_who_waits_for_it(void **state)
{
	struct rig_folder *f = *state;
	pid_t other = rig_spawn_ready("stay", f->path, "SELECT count(*) FROM t", NULL);
	int64_t late[200];
	struct error err;
	struct rig rig;
	sqlite3 *db;

	open_rig(&rig, f);
	sqlite_guard_let_write(true); /* the application is this thread */
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL), 0);
	for (int i = 0; i < 200; i++) {
		int64_t committed;

		clock_sleep_ns(5 * NS_PER_MS);
		assert_int_equal(
		    sqlite3_exec(db, "INSERT INTO t(v) VALUES(1)", NULL, NULL, NULL),
		    0);
		committed = clock_mono_ns();
		while (rig_step(&rig, &err) != ST_OK) {
			struct pollfd fd = {.fd = rig.history->wake_fd,
					    .events = POLLIN};

			assert_int_equal(poll(&fd, 1, 60000), 1);
		}
		late[i] = clock_mono_ns() - committed;
	}
	qsort(late, 200, sizeof late[0], time_order);
	print_message("commit to capture: median %ld us, 9 of 10 within %ld us\n",
		      (long)(late[100] / NS_PER_US), (long)(late[180] / NS_PER_US));
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	sqlite_guard_let_write(false);
	rig_kill(other);
	rig_close_and_compare(&rig);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_transactions_arrive_in_order_and_whole),
	    CASE(test_what_the_wal_has_at_the_start_is_the_first_state),
	    CASE(test_replica_equals_database_after_chaos),
	    cmocka_unit_test_setup_teardown(test_replica_equals_database_after_chaos,
					    setup_small_pages, teardown),
	    CASE(test_replica_equals_database_with_frames_that_sqlite_left_blank),
	    CASE(test_replica_equals_database_of_a_newer_sqlite),
	    CASE(test_committed_frames_without_checksum_are_captured),
	    CASE(test_killed_writers_lose_nothing),
	    CASE(test_header_torn_by_a_dying_writer_is_recovered),
	    CASE(test_preimages_are_exact_though_nobody_decodes),
	    CASE(test_application_can_truncate_though_nobody_decodes),
	    CASE(test_paced_writer_without_timeout_sees_no_busy),
	    CASE(test_programs_that_open_write_and_close_see_no_busy),
	    CASE(test_hot_writer_is_followed),
	    CASE(test_spool_is_small_while_decoding_keeps_up),
	    CASE(test_copy_made_while_alone_is_complete),
	    CASE(test_file_written_past_sqlite_ends_capture),
	    CASE(test_replaced_file_ends_capture_without_a_checkpoint),
	    CASE(test_full_spool_keeps_the_hold_and_goes_on),
	    CASE(test_full_disk_keeps_the_hold_and_goes_on),
	    CASE(test_one_large_transaction_trips_no_cap),
	    CASE(test_wal_past_its_cap_ends_capture_naming_state),
	    CASE(test_repeated_commit_frames_are_one_transaction),
	    CASE(test_generation_that_comes_back_is_gone_on_with),
	    CASE(test_unfit_files_are_named_with_what_to_do),
	    CASE(test_exclusive_lock_is_tried_and_then_named),
	    CASE(test_stop_ends_waiting_for_a_locked_database),
	    CASE(test_link_to_the_database_is_followed),
	    CASE(test_who_may_only_read_follows_once_an_application_is_there),
	    CASE(test_another_user_who_may_write_is_not_the_first_either),
	    CASE(test_another_user_may_be_first_in_a_setgid_folder),
	    CASE(test_root_leaves_the_wal_to_the_owner_of_the_database),
	    CASE(test_unreadable_shared_memory_is_unfit),
	    CASE(test_unreadable_file_is_unfit),
	    CASE(test_each_commit_wakes_who_waits_for_it),
	};
#undef CASE

	if (rig_is_child(argc, argv)) {
		return rig_child(argc, argv);
	}
	if (argc > 1) {
		cmocka_set_test_filter(argv[1]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
