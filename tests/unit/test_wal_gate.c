/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/base/sqlite_guard.h"
#include "src/capture/db_open.h"
#include "src/capture/wal_gate.h"
#include "tests/lib/capture_rig.h"

#define NO_WAIT "PRAGMA busy_timeout=0;"
#define INSERT  "INSERT INTO t(v) VALUES(randomblob(80));"

/* A gate over a WAL in which some frames are not backfilled. */
struct fixture {
	struct rig_folder folder;
	struct db_handles db;
	struct wal_gate gate;
};

static int setup(void **state)
{
	static const struct db_patience patience;
	struct fixture *f = calloc(1, sizeof *f);
	struct error err;

	log_setup(LOG_ERROR, false);
	rig_folder_init(&f->folder, 4096);
	if (db_open(f->folder.path, &patience, &f->db, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	f->gate.index = &f->db.index;
	assert_int_equal(rig_sql(f->folder.path, INSERT INSERT), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	wal_gate_open(&f->gate);
	db_close(&f->db);
	rig_folder_clear(&f->folder);
	free(f);
	return 0;
}

static struct wal_index_header header_of(const struct fixture *f)
{
	struct wal_index_header header;

	assert_true(wal_index_read(&f->db.index, &header));
	return header;
}

static uint32_t frames(const struct fixture *f)
{
	return header_of(f).frame_count;
}

static void begin(struct fixture *f, int reader)
{
	assert_int_equal(sqlite3_step(f->db.read[reader]), SQLITE_ROW);
}

static void end(struct fixture *f, int reader)
{
	(void)sqlite3_reset(f->db.read[reader]);
}

static bool is_running(pid_t pid)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0;
}

static void shut(struct fixture *f)
{
	assert_true(wal_gate_push(&f->gate));
	wal_gate_mark(&f->gate, frames(f));
}

/* Half shut: all slots but the one that a reader was in, which has ended since. */
static void half_shut(struct fixture *f, uint32_t frame_no)
{
	begin(f, 0);
	assert_false(wal_gate_push(&f->gate));
	assert_true(wal_gate_holds(&f->gate));
	wal_gate_mark(&f->gate, frame_no);
	end(f, 0);
}

static void waits_at_the_gate(struct fixture *f, const char *sql)
{
	pid_t app;

	shut(f);
	app = rig_spawn("sql", f->folder.path, sql, NULL);
	clock_sleep_ns(100 * NS_PER_MS);
	assert_true(is_running(app));
	wal_gate_open(&f->gate);
	assert_int_equal(rig_wait(app), SQLITE_OK);
}

static void test_reader_waits_without_a_timeout(void **state)
{
	waits_at_the_gate(*state, NO_WAIT "SELECT count(*) FROM t");
}

static void test_writer_waits_without_a_timeout(void **state)
{
	waits_at_the_gate(*state, NO_WAIT INSERT);
}

static void test_write_transaction_waits_without_a_timeout(void **state)
{
	waits_at_the_gate(*state, NO_WAIT "BEGIN IMMEDIATE;" INSERT "COMMIT");
}

static void test_gate_is_not_shut_while_a_transaction_is_open(void **state)
{
	struct fixture *f = *state;
	pid_t app = rig_spawn_ready("stay", f->folder.path, "BEGIN;" INSERT, NULL);

	assert_false(wal_gate_push(&f->gate));
	assert_false(wal_gate_push(&f->gate));
	rig_kill(app);
	assert_true(wal_gate_push(&f->gate));
}

static void test_half_shut_limits_backfill_and_forbids_a_restart(void **state)
{
	struct fixture *f = *state;
	uint32_t before = frames(f) - 1; /* with frames(f) nobody would get by */
	struct wal_index_header first = header_of(f);
	struct wal_index_header last;

	half_shut(f, before);
	assert_int_equal(rig_sql(f->folder.path, NO_WAIT INSERT), 0);
	assert_true(frames(f) > before + 1);
	assert_int_equal(rig_sql(f->folder.path, "PRAGMA wal_checkpoint(PASSIVE)"), 0);
	assert_int_equal(wal_index_backfilled(&f->db.index), before);
	(void)rig_sql(f->folder.path,
		      NO_WAIT "PRAGMA wal_checkpoint(TRUNCATE);" INSERT);
	last = header_of(f);
	assert_true(wal_index_same_salt(&first, &last));
	assert_int_equal(wal_index_backfilled(&f->db.index), before);
}

static void test_shut_limits_backfill(void **state)
{
	struct fixture *f = *state;

	assert_true(wal_gate_push(&f->gate));
	wal_gate_mark(&f->gate, frames(f) - 1);
	assert_int_equal(sqlite3_wal_checkpoint_v2(f->db.checkpointer, "main",
						   SQLITE_CHECKPOINT_PASSIVE, NULL,
						   NULL),
			 SQLITE_OK);
	assert_int_equal(wal_index_backfilled(&f->db.index), frames(f) - 1);
}

static void test_one_slot_goes_on_to_hold(void **state)
{
	struct fixture *f = *state;
	struct wal_index_header first = header_of(f);
	struct wal_index_header last;

	shut(f);
	wal_gate_open_most(&f->gate);
	assert_true(wal_gate_holds(&f->gate));
	assert_int_equal(rig_sql(f->folder.path, NO_WAIT INSERT), 0);
	assert_int_equal(rig_sql(f->folder.path, "PRAGMA wal_checkpoint(PASSIVE)"), 0);
	(void)rig_sql(f->folder.path,
		      NO_WAIT "PRAGMA wal_checkpoint(TRUNCATE);" INSERT);
	last = header_of(f);
	assert_true(wal_index_same_salt(&first, &last));
	assert_true(wal_index_backfilled(&f->db.index) <= first.frame_count);
}

/* A checkpoint at work may have looked at the slots that were locked later. */
static void test_the_slot_that_holds_on_is_one_of_the_first(void **state)
{
	struct fixture *f = *state;
	unsigned first;

	half_shut(f, frames(f));
	first = f->gate.slots;
	assert_true(wal_gate_push(&f->gate));
	assert_int_not_equal(f->gate.slots & ~first, 0);
	wal_gate_open_most(&f->gate);
	assert_int_not_equal(f->gate.slots, 0);
	assert_int_equal(f->gate.slots & ~first, 0);
}

/*
 * Readers share the last of the slots with the best mark. When only that slot was free
 * for the gate, and it holds on with this mark, nobody can begin until it is opened.
 */
static void test_the_slot_that_holds_on_attracts_nobody(void **state)
{
	struct fixture *f = *state;
	pid_t readers[3];
	int64_t start;

	for (int i = 0; i < 3; i++) {
		readers[i] = rig_spawn_ready("stay", f->folder.path,
					     "BEGIN; SELECT count(*) FROM t", NULL);
		assert_int_equal(rig_sql(f->folder.path, INSERT), 0);
	}
	assert_false(wal_gate_push(&f->gate));
	assert_int_equal(f->gate.slots, 1u << 4);
	wal_gate_mark(&f->gate, frames(f));
	wal_gate_open_most(&f->gate);
	start = clock_mono_ns();
	begin(f, 0); /* gives up after 10 s */
	assert_true(clock_mono_ns() - start < 8 * NS_PER_S);
	assert_int_equal(rig_sql(f->folder.path, NO_WAIT INSERT), 0);
	end(f, 0);
	for (int i = 0; i < 3; i++) {
		rig_kill(readers[i]);
	}
}

static void test_open_gate_is_in_nobodys_way(void **state)
{
	struct fixture *f = *state;
	struct wal_gate other = {.index = &f->db.index};
	int in_log = -1;
	int done = -1;

	shut(f);
	wal_gate_open_most(&f->gate);
	wal_gate_open(&f->gate);
	assert_false(wal_gate_holds(&f->gate));
	wal_gate_open(&f->gate);
	assert_true(wal_gate_push(&other));
	wal_gate_open(&other);
	sqlite_guard_let_write(true); /* as it is an application's checkpoint */
	assert_int_equal(sqlite3_wal_checkpoint_v2(f->db.checkpointer, "main",
						   SQLITE_CHECKPOINT_TRUNCATE, &in_log,
						   &done),
			 SQLITE_OK);
	sqlite_guard_let_write(false);
	assert_int_equal(in_log, 0);
}

/* Each has a part of the slots: both give up, and one after the other gets them all. */
static void test_two_gates_do_not_block_each_other(void **state)
{
	struct fixture *f = *state;
	struct wal_index index;
	struct wal_gate other = {.index = &index};
	struct error err;

	assert_int_equal(wal_index_init(&index, f->db.checkpointer, &err), ST_OK);
	half_shut(f, frames(f));
	assert_false(wal_gate_push(&other));
	assert_true(wal_gate_holds(&other));
	assert_false(wal_gate_push(&f->gate));
	wal_gate_mark(&other, frames(f));
	wal_gate_open_most(&f->gate);
	wal_gate_open_most(&other);
	begin(f, 0);
	end(f, 0);
	wal_gate_open(&other);
	assert_true(wal_gate_push(&f->gate));
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_reader_waits_without_a_timeout),
	    CASE(test_writer_waits_without_a_timeout),
	    CASE(test_write_transaction_waits_without_a_timeout),
	    CASE(test_gate_is_not_shut_while_a_transaction_is_open),
	    CASE(test_half_shut_limits_backfill_and_forbids_a_restart),
	    CASE(test_shut_limits_backfill),
	    CASE(test_one_slot_goes_on_to_hold),
	    CASE(test_the_slot_that_holds_on_is_one_of_the_first),
	    CASE(test_the_slot_that_holds_on_attracts_nobody),
	    CASE(test_open_gate_is_in_nobodys_way),
	    CASE(test_two_gates_do_not_block_each_other),
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
