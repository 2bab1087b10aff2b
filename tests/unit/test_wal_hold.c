/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/db_open.h"
#include "src/wal_frame.h"
#include "src/wal_hold.h"
#include "tests/lib/capture_rig.h"

/* A hold whose taker only counts. */
struct fixture {
	struct rig_folder folder;
	struct db_handles db;
	struct wal_hold *hold;
	bool is_full;        /* the taker has no room */
	uint32_t generation; /* of the last call */
	uint32_t taken;      /* frames of it */
	unsigned long total; /* frames of all */
	unsigned long commits;
};

/* Counts commit frames as capture does, without repeats (there are none here). */
static enum status take(void *context, const struct wal_index_header *header,
			uint32_t generation, uint32_t from, struct hold_taken *taken,
			struct error *err)
{
	struct fixture *f = context;
	uint8_t headers[1][WAL_FRAME_HEADER_BYTES];
	uint8_t page[4096];
	uint8_t *const pages[1] = {page};
	struct wal_frame frame;

	taken->last_frame = from;
	if (f->is_full) {
		return error_set(err, ST_RETRY, "full");
	}
	for (uint32_t i = from + 1; i <= header->frame_count; i++) {
		if (wal_frames_read(f->db.wal_fd, 4096, i, 1, pages, headers, err) !=
		    ST_OK) {
			return err->status = ST_RETRY;
		}
		wal_frame_parse(headers[0], &frame);
		taken->commits += frame.commit != 0;
	}
	taken->commit_frames = taken->commits;
	taken->last_frame = header->frame_count;
	f->generation = generation;
	f->taken = header->frame_count;
	f->total += header->frame_count - from;
	f->commits += taken->commits;
	return ST_OK;
}

static int setup_with(void **state, bool escalate)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct wal_hold_settings settings = {
	    .escalate = escalate, .take = take, .context = f};
	struct error err;

	log_setup(getenv("RIG_VERBOSE") ? LOG_DEBUG : LOG_ERROR, false);
	rig_folder_init(&f->folder, 4096);
	if (db_open(f->folder.path, NULL, &f->db, &err) != ST_OK ||
	    wal_hold_open(&f->db, &settings, &f->hold, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, true);
}

static int setup_gentle(void **state)
{
	return setup_with(state, false);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	wal_hold_close(f->hold);
	db_close(&f->db);
	rig_folder_clear(&f->folder);
	free(f);
	return 0;
}

/* Look every 100 us for `ms`, or until the state is `until`. */
static enum status turn_for(struct fixture *f, int ms, int until, struct error *err)
{
	int64_t end = clock_mono_ns() + ms * NS_PER_MS;

	while (clock_mono_ns() < end && (int)wal_hold_state(f->hold) != until) {
		bool news;
		enum status status = wal_hold_turn(f->hold, &news, err);

		if (status != ST_OK) {
			return status;
		}
		clock_sleep_ns(100 * NS_PER_US);
	}
	return ST_OK;
}

static void turn(struct fixture *f, int ms)
{
	struct error err;

	if (turn_for(f, ms, -1, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
}

static void turn_until(struct fixture *f, enum hold_state state)
{
	struct error err;

	if (turn_for(f, 3000, (int)state, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	assert_int_equal(wal_hold_state(f->hold), state);
}

/* While `pid` runs, look. Its exit code. */
static int turn_beside(struct fixture *f, pid_t pid)
{
	struct error err;
	bool news;

	while (kill(pid, 0) == 0) {
		siginfo_t info = {0};

		if (wal_hold_turn(f->hold, &news, &err) != ST_OK) {
			fail_msg("%s", err.text);
		}
		clock_sleep_ns(50 * NS_PER_US);
		(void)waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
		if (info.si_pid == pid) {
			break;
		}
	}
	return rig_wait(pid);
}

static void test_empty_wal_is_held_at_zero(void **state)
{
	turn_until(*state, HOLD_ZERO);
}

static void test_commit_leads_to_mark_and_a_pause_back_to_zero(void **state)
{
	struct fixture *f = *state;
	pid_t app =
	    rig_spawn_ready("stay", f->folder.path, "SELECT count(*) FROM t", NULL);

	turn_until(f, HOLD_ZERO);
	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(1)"), 0);
	turn(f, 10);
	assert_int_equal(wal_hold_state(f->hold), HOLD_MARK);
	assert_true(f->taken > 0);
	assert_int_equal(wal_index_backfilled(&f->db.index), 0);
	turn_until(f, HOLD_ZERO);
	assert_int_equal(wal_index_backfilled(&f->db.index), f->taken);
	rig_kill(app);
}

static void test_alone_the_file_is_complete_at_once(void **state)
{
	struct fixture *f = *state;

	turn_until(f, HOLD_ZERO);
	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(1)"), 0);
	turn(f, 40);
	assert_int_equal(wal_hold_state(f->hold), HOLD_ZERO);
	assert_int_equal(wal_index_backfilled(&f->db.index), f->taken);
	assert_true(rig_file_size(f->folder.wal) > 0);
}

static void test_alone_for_a_second_the_wal_is_emptied(void **state)
{
	struct fixture *f = *state;
	struct wal_index_header header;

	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(1)"), 0);
	turn(f, 700);
	assert_true(rig_file_size(f->folder.wal) > 0);
	turn(f, 700);
	assert_int_equal(rig_file_size(f->folder.wal), 0);
	assert_true(wal_index_read(&f->db.index, &header));
	assert_int_equal(header.page_count, 0); /* cleared as well */
	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(2)"), 0);
	turn(f, 20);
	assert_int_equal(f->commits, 2);
}

static void test_beside_an_application_the_wal_is_left(void **state)
{
	struct fixture *f = *state;
	pid_t app =
	    rig_spawn_ready("stay", f->folder.path, "INSERT INTO t(v) VALUES(1)", NULL);

	turn(f, 1500);
	assert_int_equal(wal_hold_state(f->hold), HOLD_ZERO);
	assert_true(rig_file_size(f->folder.wal) > 0);
	rig_kill(app);
}

static void test_wal_is_not_restarted_before_it_is_captured(void **state)
{
	struct fixture *f = *state;
	struct wal_index_header header;
	uint32_t before;

	turn_until(f, HOLD_ZERO);
	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(1)"), 0);
	turn(f, 1);
	f->is_full = true;
	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(2)"), 0);
	before = f->taken;
	for (int i = 0; i < 5; i++) {
		(void)rig_sql(f->folder.path, "PRAGMA busy_timeout=0;"
					      "PRAGMA wal_checkpoint(TRUNCATE);"
					      "INSERT INTO t(v) VALUES(3)");
		turn(f, 20);
	}
	assert_int_equal(f->taken, before);
	assert_int_equal(wal_hold_state(f->hold), HOLD_MARK);
	assert_true(wal_index_backfilled(&f->db.index) <= before);
	assert_true(wal_index_read(&f->db.index, &header));
	assert_int_equal(wal_hold_waiting(f->hold), header.frame_count - before);
	f->is_full = false;
	turn_until(f, HOLD_ZERO);
	assert_int_equal(f->commits, 7);
}

static void test_zero_is_not_left_before_new_frames_are_captured(void **state)
{
	struct fixture *f = *state;
	unsigned long before;

	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(1)"), 0);
	turn(f, 100);
	turn_until(f, HOLD_ZERO);
	before = f->commits;
	f->is_full = true;
	for (int i = 0; i < 5; i++) {
		(void)rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(3);"
					      "PRAGMA busy_timeout=0;"
					      "PRAGMA wal_checkpoint(TRUNCATE);");
		turn(f, 20);
		assert_int_equal(wal_hold_state(f->hold), HOLD_ZERO);
		assert_int_equal(wal_index_backfilled(&f->db.index), 0);
	}
	f->is_full = false;
	turn(f, 20);
	assert_int_equal(f->commits, before + 5);
}

static void test_checkpoints_of_the_application_get_through(void **state)
{
	static const char *const modes[] = {"FULL", "RESTART", "TRUNCATE"};
	struct fixture *f = *state;
	char sql[200];

	for (int i = 0; i < 30; i++) {
		int64_t start = clock_mono_ns();
		pid_t app;

		(void)snprintf(sql, sizeof sql,
			       "INSERT INTO t(v) VALUES(%d);"
			       "PRAGMA wal_checkpoint(%s);",
			       i, modes[i % 3]);
		app = rig_spawn("sql", f->folder.path, sql, NULL);
		assert_int_equal(turn_beside(f, app), 0);
		assert_true(clock_mono_ns() - start < 2 * NS_PER_S);
	}
	assert_int_equal(f->commits, 30);
	assert_true(f->generation > 5);
}

static void test_hot_writer_is_handed_over_by_the_write_lock(void **state)
{
	struct fixture *f = *state;
	pid_t app =
	    rig_spawn("insert", f->folder.path, "15000", "0", "5000", "OFF", NULL);

	assert_int_equal(turn_beside(f, app), 0);
	turn(f, 20);
	assert_int_equal(f->commits, 15000);
	assert_true(f->generation > 1);
}

static void test_without_escalation_nobody_sees_busy(void **state)
{
	struct fixture *f = *state;
	pid_t app = rig_spawn("insert", f->folder.path, "8000", "0", "0", "OFF", NULL);

	assert_int_equal(turn_beside(f, app), 0);
	turn(f, 20);
	assert_int_equal(f->commits, 8000);
}

static void test_long_reader_limits_backfill_and_is_waited_for(void **state)
{
	struct fixture *f = *state;
	pid_t reader = rig_spawn_ready("stay", f->folder.path,
				       "BEGIN; SELECT count(*) FROM t", NULL);
	pid_t app = rig_spawn("insert", f->folder.path, "8000", "0", "0", "OFF", NULL);

	assert_int_equal(turn_beside(f, app), 0); /* no write lock for nothing */
	turn(f, 500);
	assert_int_equal(f->commits, 8000);
	assert_int_equal(wal_hold_state(f->hold), HOLD_MARK);
	rig_kill(reader);
	turn_until(f, HOLD_ZERO);
}

static void test_torn_header_is_recovered_when_nobody_else_does(void **state)
{
	struct fixture *f = *state;
	struct wal_index_header header;

	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(1)"), 0);
	turn(f, 10);
	assert_int_equal(rig_wait(rig_spawn("tear", f->folder.path, NULL)), 0);
	assert_false(wal_index_read(&f->db.index, &header));
	turn(f, 200);
	assert_true(wal_index_read(&f->db.index, &header));
	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(2)"), 0);
	turn(f, 20);
	assert_int_equal(f->commits, 2);
}

static void test_looks_tell_when_the_header_was_seen(void **state)
{
	struct fixture *f = *state;
	uint64_t looks;

	turn(f, 10);
	looks = wal_hold_looks(f->hold);
	turn(f, 10);
	assert_true(wal_hold_looks(f->hold) > looks);
	assert_int_equal(rig_wait(rig_spawn("tear", f->folder.path, NULL)), 0);
	looks = wal_hold_looks(f->hold);
	turn(f, 5);
	assert_int_equal(wal_hold_looks(f->hold), looks);
	turn(f, 200);
	assert_true(wal_hold_looks(f->hold) > looks);
}

static void test_removed_file_ends_the_hold(void **state)
{
	struct fixture *f = *state;
	struct error err;

	turn(f, 10);
	assert_int_equal(unlink(f->folder.path), 0);
	assert_int_equal(turn_for(f, 500, -1, &err), ST_LOST);
	assert_int_equal(wal_hold_state(f->hold), HOLD_LOST);
	assert_non_null(strstr(err.text, "replaced"));
}

static void test_wal_taken_away_ends_the_hold(void **state)
{
	struct fixture *f = *state;
	struct error err;
	char command[700];
	enum status status;

	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(1);"
						 "INSERT INTO t(v) VALUES(2);"),
			 0);
	turn(f, 1);
	/* Against all rules: cut the log, and have it recovered. */
	(void)snprintf(command, sizeof command, "truncate -s 4152 %s", f->folder.wal);
	assert_int_equal(system(command), 0);
	assert_int_equal(rig_wait(rig_spawn("tear", f->folder.path, NULL)), 0);
	status = turn_for(f, 500, -1, &err);
	assert_int_equal(status, ST_LOST);
	assert_non_null(strstr(err.text, "lost commits"));
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_empty_wal_is_held_at_zero),
	    CASE(test_commit_leads_to_mark_and_a_pause_back_to_zero),
	    CASE(test_alone_the_file_is_complete_at_once),
	    CASE(test_alone_for_a_second_the_wal_is_emptied),
	    CASE(test_beside_an_application_the_wal_is_left),
	    CASE(test_wal_is_not_restarted_before_it_is_captured),
	    CASE(test_zero_is_not_left_before_new_frames_are_captured),
	    CASE(test_checkpoints_of_the_application_get_through),
	    CASE(test_hot_writer_is_handed_over_by_the_write_lock),
	    cmocka_unit_test_setup_teardown(test_without_escalation_nobody_sees_busy,
					    setup_gentle, teardown),
	    CASE(test_long_reader_limits_backfill_and_is_waited_for),
	    CASE(test_torn_header_is_recovered_when_nobody_else_does),
	    CASE(test_looks_tell_when_the_header_was_seen),
	    CASE(test_removed_file_ends_the_hold),
	    CASE(test_wal_taken_away_ends_the_hold),
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
