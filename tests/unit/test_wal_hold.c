/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/capture/db_open.h"
#include "src/capture/wal_frame.h"
#include "src/capture/wal_hold.h"
#include "tests/lib/capture_rig.h"

#define FIRST_SLOT (WAL_LOCK_READ0 + 1)
#define LAST_SLOT  (WAL_LOCK_READ0 + 4)

/* The disk, in place of the C library's, for SQLite as well: how long the one of the
 * machine takes is none of these tests' business. */
static atomic_llong disk_ns; /* a sync takes so long */

int fdatasync(int fd)
{
	int64_t wait = atomic_load(&disk_ns);

	(void)fd;
	if (wait > 0) {
		clock_sleep_ns(wait);
	}
	return 0;
}

/* A hold whose taker only counts. */
struct fixture {
	struct rig_folder folder;
	struct db_handles db;
	struct wal_watch *watch;
	struct wal_hold *hold;
	bool is_full;           /* the taker has no room */
	int refuse;             /* ... so often at a gate that is shut */
	enum status refuse_for; /* ... and for this reason */
	int refused;
	uint32_t generation;      /* of the last call */
	uint32_t taken;           /* frames of it */
	uint32_t backfilled;      /* what wal_hold_backfilled said then */
	uint32_t backfilled_most; /* of all calls */
	unsigned long total;      /* frames of all */
	unsigned long commits;
};

static int shm_lock(sqlite3_file *file, int lock, int flags)
{
	return file->pMethods->xShmLock(file, lock, 1, flags);
}

/* How many read-mark slots are locked exclusively by a connection other than this. */
static int slots_shut(sqlite3 *db)
{
	struct wal_index index;
	struct error err;
	int shut = 0;

	assert_int_equal(wal_index_init(&index, db, &err), ST_OK);
	for (int lock = FIRST_SLOT; lock <= LAST_SLOT; lock++) {
		if (shm_lock(index.file, lock, SQLITE_SHM_LOCK | SQLITE_SHM_SHARED) ==
		    SQLITE_OK) {
			(void)shm_lock(index.file, lock,
				       SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED);
		} else {
			shut++;
		}
	}
	return shut;
}

/* Nobody has put into the file what is not captured: its old pages would be lost. */
static void check_backfill(struct fixture *f, uint32_t generation, uint32_t from)
{
	if (!f->hold) {
		return;
	}
	assert_true(wal_index_backfilled(&f->db.index) <= from);
	f->backfilled = wal_hold_backfilled(f->hold);
	assert_true(f->backfilled <= from);
	assert_true(generation == f->generation || f->backfilled == 0);
	if (f->backfilled > f->backfilled_most) {
		f->backfilled_most = f->backfilled;
	}
}

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
	check_backfill(f, generation, from);
	if (f->is_full) {
		return error_set(err, ST_RETRY, "full");
	}
	if (f->refused < f->refuse && slots_shut(f->db.checkpointer) == 4) {
		f->refused++;
		return error_set(err, f->refuse_for, "refused");
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
	static const struct db_patience patience;
	struct fixture *f = calloc(1, sizeof *f);
	struct wal_hold_settings settings = {
	    .escalate = escalate, .take = take, .context = f};
	struct error err;

	log_setup(getenv("RIG_VERBOSE") ? LOG_DEBUG : LOG_ERROR, false);
	rig_folder_init(&f->folder, 4096);
	if (db_open(f->folder.path, &patience, &f->db, &err) != ST_OK ||
	    /* Of no file: what it finds by looking is tested here. */
	    wal_watch_open("", "", "", &settings.watch, &err) != ST_OK ||
	    wal_hold_open(&f->db, &settings, &f->hold, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	f->watch = settings.watch;
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
	wal_watch_close(f->watch);
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

static pid_t stay_beside(struct fixture *f)
{
	return rig_spawn_ready("stay", f->folder.path, "SELECT count(*) FROM t", NULL);
}

static bool is_running(pid_t pid)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0;
}

/* While `pid` runs, look. Its exit code. */
static int turn_beside(struct fixture *f, pid_t pid)
{
	struct error err;
	bool news;

	while (is_running(pid)) {
		if (wal_hold_turn(f->hold, &news, &err) != ST_OK) {
			fail_msg("%s", err.text);
		}
		clock_sleep_ns(50 * NS_PER_US);
	}
	return rig_wait(pid);
}

/* The state with this name; HOLD_STATES: none. */
static int state_named(const char *name)
{
	int state = 0;

	while (state < HOLD_STATES &&
	       strcmp(wal_hold_state_name((enum hold_state)state), name) != 0) {
		state++;
	}
	return state;
}

/* The arrows of the manual: " * ", blanks, and "MARK -> ZERO". */
static int read_arrows(bool arrows[HOLD_STATES][HOLD_STATES])
{
	FILE *manual = fopen("src/capture/wal_hold.h", "re");
	char line[200];
	int total = 0;

	assert_non_null(manual);
	while (fgets(line, sizeof line, manual)) {
		char from[16];
		char to[16];

		if (sscanf(line, " * %15[A-Z] -> %15[A-Z] ", from, to) == 2) {
			assert_in_range(state_named(from), 0, HOLD_STATES - 1);
			assert_in_range(state_named(to), 0, HOLD_STATES - 1);
			arrows[state_named(from)][state_named(to)] = true;
			total++;
		}
	}
	(void)fclose(manual);
	return total;
}

static void test_moves_are_the_arrows_of_the_manual(void **state)
{
	bool arrows[HOLD_STATES][HOLD_STATES] = {{false}};

	(void)state;
	assert_int_equal(read_arrows(arrows), 4);
	for (int from = 0; from < HOLD_STATES; from++) {
		for (int to = 0; to < HOLD_STATES; to++) {
			assert_int_equal(wal_hold_may_move((enum hold_state)from,
							   (enum hold_state)to),
					 arrows[from][to]);
		}
	}
}

static void test_empty_wal_is_held_at_zero(void **state)
{
	turn_until(*state, HOLD_ZERO);
}

static void test_commit_leads_to_mark_and_a_pause_back_to_zero(void **state)
{
	struct fixture *f = *state;
	pid_t app = stay_beside(f);

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
	for (int i = 0; i < 75 && (f->taken == 0 ||
				   wal_index_backfilled(&f->db.index) < f->taken ||
				   wal_hold_state(f->hold) != HOLD_ZERO);
	     i++) {
		turn(f, 40);
	}
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
		/* A reader that gives up does so after 10 s. */
		assert_true(clock_mono_ns() - start < 8 * NS_PER_S);
	}
	assert_int_equal(f->commits, 30);
	assert_true(f->generation > 5);
}

/* ---- the gate ---- */

/*
 * The exit code of a writer that nobody gave BUSY; one is SQLite's own affair: whoever
 * begins to read while the header is half written takes the write lock for an instant,
 * which is a long one under valgrind.
 */
static void check_not_busy(int exit_code)
{
	assert_in_range(exit_code, 0, getenv("ROWTAIL_TEST_WRAPPED") ? 50 : 1);
}

/* Beside a writer that is never quiet for long. */
static void follow_writer(struct fixture *f, const char *commits, const char *pause_us,
			  const char *timeout_ms)
{
	pid_t app = rig_spawn("insert", f->folder.path, commits, pause_us, timeout_ms,
			      "OFF", NULL);

	int busy = turn_beside(f, app);

	check_not_busy(busy);
	turn(f, 20);
	assert_int_equal(f->commits, atol(commits) - busy);
	assert_int_equal(slots_shut(f->db.checkpointer), 0);
}

static void test_hot_writer_is_handed_over_at_the_gate(void **state)
{
	struct fixture *f = *state;

	follow_writer(f, "15000", "0", "0");
	assert_true(f->generation > 0);
}

/* How short the WAL stays `make bench` tells. */
static void test_wal_of_a_writer_that_never_pauses_is_restarted(void **state)
{
	struct fixture *f = *state;

	follow_writer(f, "8000", "50", "0");
	assert_true(f->generation > 1);
}

/* Where syncs are slow the gate is left, not held; and that is no reason for the write
 * lock, which would give BUSY. */
static void test_a_slow_disk_takes_no_write_lock(void **state)
{
	struct fixture *f = *state;

	atomic_store(&disk_ns, 60 * NS_PER_MS);
	follow_writer(f, "20000", "0", "0");
	atomic_store(&disk_ns, 0);
}

/* On one processor a writer stands still while we look, and there may be no gate. */
static void need_gate(const struct fixture *f)
{
	if (f->refused == 0) {
		print_message("not run: no writer was met while it wrote\n");
		skip();
	}
}

/* The gate is shut with something left to capture: not each time, so with some writers
 * one after the other. */
static void test_no_room_at_the_gate(void **state)
{
	struct fixture *f = *state;

	if (getenv("ROWTAIL_TEST_WRAPPED")) {
		skip(); /* a writer beside valgrind may end before there is a gate */
	}
	f->refuse = 5;
	f->refuse_for = ST_RETRY;
	for (int i = 0; i < 40 && (f->refused == 0 || f->generation == 0); i++) {
		f->commits = 0;
		follow_writer(f, "15000", "0", "0");
	}
	need_gate(f);
	assert_true(f->generation > 0);
}

static void test_error_at_the_gate_opens_it(void **state)
{
	struct fixture *f = *state;
	enum status status = ST_OK;
	struct wal_index other;
	struct error err;

	f->refuse = 1;
	f->refuse_for = ST_IO;
	for (int i = 0; i < 40 && status == ST_OK; i++) {
		pid_t app =
		    rig_spawn("insert", f->folder.path, "15000", "0", "0", "OFF", NULL);

		while (status == ST_OK && is_running(app)) {
			bool news;

			status = wal_hold_turn(f->hold, &news, &err);
			clock_sleep_ns(50 * NS_PER_US);
		}
		check_not_busy(rig_wait(app));
		/* The writer may have ended while the gate was shut. */
		for (int j = 0;
		     j < 5000 && status == ST_OK && slots_shut(f->db.checkpointer) > 0;
		     j++) {
			bool news;

			status = wal_hold_turn(f->hold, &news, &err);
			clock_sleep_ns(NS_PER_MS);
		}
		assert_int_equal(slots_shut(f->db.checkpointer), 0);
	}
	need_gate(f);
	assert_int_equal(status, ST_IO);
	assert_int_equal(wal_index_init(&other, f->db.checkpointer, &err), ST_OK);
	assert_true(wal_index_lock(&other, WAL_LOCK_CHECKPOINT));
	wal_index_unlock(&other, WAL_LOCK_CHECKPOINT);
}

/* What SQLite's lock calls of our connections go through. */
static struct {
	sqlite3_io_methods methods;
	const sqlite3_io_methods *real;
	struct fixture *f;
	sqlite3_file *locker;
	unsigned slots;     /* that are locked exclusively by the locker */
	bool is_armed;      /* the first is; the reader has not ended yet */
	uint32_t must_have; /* frames that are committed when it is */
	int turns;          /* readers that ended */
	int tears;          /* headers to make unreadable once the gate is shut */
	int torn;
	int write_locks; /* that the locker took */
	int commit_at; /* this look of ours at the wal-index is followed by a commit */
} hook;

/* As a writer that dies while it writes the header. */
static void tear_header(void)
{
	void volatile *shared = NULL;

	(void)hook.real->xShmMap(hook.locker, 0, WAL_INDEX_BLOCK_BYTES, 0, &shared);
	((volatile uint8_t *)shared)[WAL_INDEX_HEADER_BYTES + 16] ^= 0x55;
	hook.torn++;
}

static int hooked_lock(sqlite3_file *file, int lock, int n, int flags)
{
	struct wal_index_header header;
	int rc;

	if (file != hook.locker && hook.is_armed && lock >= FIRST_SLOT &&
	    flags == (SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED)) {
		hook.is_armed = false;
		hook.turns++;
		assert_true(hook.f->taken >= hook.must_have);
	}
	rc = hook.real->xShmLock(file, lock, n, flags);
	if (file == hook.locker && lock == WAL_LOCK_WRITE && rc == SQLITE_OK &&
	    flags & SQLITE_SHM_LOCK) {
		hook.write_locks++;
	}
	if (file != hook.locker || lock < FIRST_SLOT || rc != SQLITE_OK) {
		return rc;
	}
	if (flags & SQLITE_SHM_UNLOCK) {
		hook.slots &= ~(1u << lock);
		hook.is_armed = false;
		return rc;
	}
	if (hook.slots == 0 && wal_index_read(&hook.f->db.index, &header)) {
		hook.is_armed = true;
		hook.must_have = header.frame_count;
	}
	hook.slots |= 1u << lock;
	if (hook.slots == (15u << FIRST_SLOT) && hook.torn < hook.tears) {
		tear_header();
	}
	return rc;
}

static int hooked_map(sqlite3_file *file, int block, int bytes, int extend,
		      void volatile **out)
{
	int rc = hook.real->xShmMap(file, block, bytes, extend, out);

	if (file == hook.locker && hook.commit_at > 0 && --hook.commit_at == 0) {
		assert_int_equal(
		    rig_sql(hook.f->folder.path, "INSERT INTO t(v) VALUES(1)"), 0);
	}
	return rc;
}

static void hook_file(sqlite3 *db)
{
	struct wal_index index;
	struct error err;

	assert_int_equal(wal_index_init(&index, db, &err), ST_OK);
	index.file->pMethods = &hook.methods;
}

static void hook_locks(struct fixture *f)
{
	memset(&hook, 0, sizeof hook);
	hook.f = f;
	hook.locker = f->db.index.file;
	hook.real = hook.locker->pMethods;
	hook.methods = *hook.real;
	hook.methods.xShmLock = hooked_lock;
	hook.methods.xShmMap = hooked_map;
	hook_file(f->db.locker);
	hook_file(f->db.reader[0]);
	hook_file(f->db.reader[1]);
}

/*
 * A checkpoint that has read the header, and looked at the slots, before the gate had
 * them does not stop at the gate: what it may backfill must be captured by then.
 */
static void test_reader_ends_after_what_was_there_when_the_gate_began(void **state)
{
	struct fixture *f = *state;

	hook_locks(f);
	for (int i = 0; i < 20 && hook.turns <= 3; i++) { /* on a busy machine */
		f->commits = 0;
		follow_writer(f, "6000", "50", "0");
	}
	assert_true(hook.turns > 3);
}

static void test_torn_header_at_the_gate(void **state)
{
	struct fixture *f = *state;

	hook_locks(f);
	hook.tears = 3;
	for (int i = 0; i < 20 && hook.torn == 0; i++) { /* on a busy machine */
		f->commits = 0;
		follow_writer(f, "6000", "50", "5000"); /* recovery is BUSY to some */
	}
	assert_true(hook.torn > 0);
}

/* Readers that are never all gone hold a slot at each moment; also, a gate that is half
 * shut keeps the next one from coming, for which the one before it waits. */
static void test_overlapping_readers_take_the_write_lock(void **state)
{
	struct fixture *f = *state;
	pid_t readers = rig_spawn_ready("overlap", f->folder.path, "2000", NULL);
	unsigned long commits = 0;

	hook_locks(f);
	/* Once in a while the writer happens to be quiet when no reader is. */
	for (int i = 0; i < 40 && hook.write_locks == 0; i++) {
		pid_t app = rig_spawn("insert", f->folder.path, "15000", "0", "5000",
				      "OFF", NULL);

		assert_int_equal(turn_beside(f, app), 0);
		commits += 15000;
	}
	assert_true(is_running(readers));
	rig_kill(readers);
	turn(f, 20);
	assert_int_equal(f->commits, commits);
	assert_true(hook.write_locks > 0);
	assert_true(f->generation > 0);
}

static void test_overlapping_readers_are_left_alone_without_escalation(void **state)
{
	struct fixture *f = *state;
	pid_t readers = rig_spawn_ready("overlap", f->folder.path, "2000", NULL);

	hook_locks(f);
	follow_writer(f, "15000", "0", "0");
	assert_int_equal(hook.write_locks, 0);
	assert_true(is_running(readers)); /* they saw no BUSY and no PROTOCOL */
	rig_kill(readers);
	turn_until(f, HOLD_ZERO);
}

/* ---- readers and checkpoints of the application ---- */

/* An application's checkpoint waits for a slot in which it saw a reader; it must get it
 * although its commit is not in the file yet, and cannot be as long as it waits. */
/* The first slot that somebody has, LAST_SLOT + 1: nobody has any. */
static int first_taken(struct wal_index *other)
{
	int lock = FIRST_SLOT;

	while (lock <= LAST_SLOT && wal_index_lock(other, (enum wal_lock)lock)) {
		wal_index_unlock(other, (enum wal_lock)lock++);
	}
	return lock;
}

static void test_slot_is_left_when_somebody_waits_for_it(void **state)
{
	struct fixture *f = *state;
	pid_t app = stay_beside(f);
	struct wal_index other;
	struct error err;
	int lock;

	assert_int_equal(wal_index_init(&other, f->db.checkpointer, &err), ST_OK);
	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(1)"), 0);
	turn(f, 1);
	lock = first_taken(&other);
	assert_in_range(lock, FIRST_SLOT, LAST_SLOT);
	turn(f, 50);
	assert_int_equal(wal_hold_state(f->hold), HOLD_MARK);
	assert_true(wal_index_lock(&other, (enum wal_lock)lock));
	wal_index_unlock(&other, (enum wal_lock)lock);
	rig_kill(app);
}

/* Slot 0 was locked as it was stepped to: what is held is a mark, which a restart of
 * the application would wait for. */
static void test_a_mark_in_the_place_of_zero_is_given_back(void **state)
{
	struct fixture *f = *state;
	pid_t app = stay_beside(f);
	int64_t until = clock_mono_ns() + 30 * NS_PER_S;
	struct wal_index other;
	struct error err;

	assert_int_equal(wal_index_init(&other, f->db.checkpointer, &err), ST_OK);
	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(1)"), 0);
	turn(f, 1);
	assert_int_equal(rig_sql(f->folder.path, "PRAGMA wal_checkpoint(PASSIVE)"), 0);
	assert_int_equal(wal_index_backfilled(&f->db.index), f->taken);
	assert_true(wal_index_lock(&other, WAL_LOCK_READ0));
	turn_until(f, HOLD_ZERO);
	wal_index_unlock(&other, WAL_LOCK_READ0);
	assert_in_range(first_taken(&other), FIRST_SLOT, LAST_SLOT);
	while (first_taken(&other) <= LAST_SLOT && clock_mono_ns() < until) {
		turn(f, 10);
	}
	assert_int_equal(first_taken(&other), LAST_SLOT + 1);
	assert_int_equal(wal_hold_state(f->hold), HOLD_ZERO);
	rig_kill(app);
}

static void test_backfilled_is_what_was_seen_before_the_header(void **state)
{
	struct fixture *f = *state;
	pid_t app = stay_beside(f);
	uint32_t first;
	uint32_t generation;

	turn_until(f, HOLD_ZERO);
	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(1)"), 0);
	turn(f, 5);
	first = f->taken;
	assert_true(first > 0);
	assert_int_equal(f->backfilled, 0);
	assert_int_equal(rig_sql(f->folder.path, "PRAGMA wal_checkpoint(PASSIVE);"
						 "BEGIN IMMEDIATE; ROLLBACK"),
			 0);
	assert_int_equal(wal_index_backfilled(&f->db.index), first);
	/* Not handed over yet: the next commit goes to the same generation. */
	generation = f->generation;
	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(2)"), 0);
	turn(f, 5);
	assert_int_equal(f->generation, generation);
	assert_int_equal(f->backfilled, first);
	turn_until(f, HOLD_ZERO);
	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(3)"), 0);
	turn(f, 5);
	assert_int_equal(f->generation, generation + 1);
	assert_int_equal(f->backfilled, 0);
	rig_kill(app);
}

/* A restart between any two looks at the wal-index; check_backfill judges. */
static void test_restart_between_two_looks(void **state)
{
	struct fixture *f = *state;
	pid_t app = stay_beside(f);

	hook_locks(f);
	for (int i = 1; i <= 12; i++) {
		turn_until(f, HOLD_ZERO);
		clock_sleep_ns(60 * NS_PER_MS); /* a turn in slot 0 is due */
		hook.commit_at = i;
		turn(f, 20);
		assert_int_equal(hook.commit_at, 0);
		turn(f, 20); /* the commit may have taken all that time */
		assert_int_equal(f->commits, i);
	}
	assert_true(f->generation > 6);
	rig_kill(app);
}

static void test_long_reader_limits_backfill_and_is_waited_for(void **state)
{
	struct fixture *f = *state;
	pid_t reader = rig_spawn_ready("stay", f->folder.path,
				       "BEGIN; SELECT count(*) FROM t", NULL);
	pid_t app = rig_spawn("insert", f->folder.path, "8000", "0", "0", "OFF", NULL);
	int busy;

	busy = turn_beside(f, app);
	check_not_busy(busy); /* no write lock for nothing */
	turn(f, 500);
	assert_int_equal(f->commits, 8000 - busy);
	assert_int_equal(wal_hold_state(f->hold), HOLD_MARK);
	rig_kill(reader);
	turn_until(f, HOLD_ZERO);
}

/* Seen: the tries were put off for up to 2 s, a stop waits for half a second. */
static void test_a_stop_does_not_wait_for_a_reader_who_has_gone(void **state)
{
	struct fixture *f = *state;
	pid_t reader = rig_spawn_ready("stay", f->folder.path,
				       "BEGIN; SELECT count(*) FROM t", NULL);
	struct error err;
	bool news;

	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(1)"), 0);
	turn(f, 1500);
	assert_int_equal(wal_hold_state(f->hold), HOLD_MARK);
	rig_kill(reader);
	wal_hold_ends_soon(f->hold, true);
	assert_int_equal(wal_hold_turn(f->hold, &news, &err), ST_OK);
	assert_int_equal(wal_hold_state(f->hold), HOLD_ZERO);
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

/* Where the page of the last frame is in the database file. */
static off_t last_page_at(struct fixture *f)
{
	uint8_t headers[1][WAL_FRAME_HEADER_BYTES];
	uint8_t page[4096];
	uint8_t *const pages[1] = {page};
	struct wal_frame frame;
	struct error err;

	assert_int_equal(
	    wal_frames_read(f->db.wal_fd, 4096, f->taken, 1, pages, headers, &err),
	    ST_OK);
	wal_frame_parse(headers[0], &frame);
	return (off_t)(frame.page_no - 1) * 4096;
}

static bool flip_byte(const char *path, off_t at, bool keeps_time)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	uint8_t byte;

	if (fstat(fd, &st) != 0 || pread(fd, &byte, 1, at) != 1) {
		return false;
	}
	byte ^= 0xff;
	return pwrite(fd, &byte, 1, at) == 1 &&
	       (!keeps_time ||
		futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}) == 0);
}

/* Change a byte of the database file past its WAL; with `keeps_time` nothing but what
 * is in it tells. Another process does so, as a close here would drop our locks. */
static void write_past(struct fixture *f, off_t at, bool keeps_time)
{
	pid_t child = fork();

	if (child == 0) {
		_exit(flip_byte(f->folder.path, at, keeps_time) ? 0 : 1);
	}
	assert_int_equal(rig_wait(child), 0);
}

/* Commit a row; all of it is in the file when this returns, and nothing of the file was
 * noted yet. */
static void commit_and_rest(struct fixture *f)
{
	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(1)"), 0);
	turn(f, 1);
	turn_until(f, HOLD_ZERO);
	assert_true(f->taken > 0);
}

static void assert_written_past(enum status status, const struct error *err)
{
	assert_int_equal(status, ST_LOST);
	assert_non_null(strstr(err->text, "was written to past its WAL"));
}

static void
test_a_file_copied_over_right_after_the_checkpoint_ends_the_hold(void **state)
{
	struct fixture *f = *state;
	struct error err;
	pid_t app = stay_beside(f);

	commit_and_rest(f);
	write_past(f, last_page_at(f) + 4095, false);
	assert_written_past(turn_for(f, 3000, -1, &err), &err);
	rig_kill(app);
}

static void test_a_copy_within_the_tick_of_the_checkpoint_ends_the_hold(void **state)
{
	struct fixture *f = *state;
	struct error err;
	enum status status = ST_OK;
	pid_t app = stay_beside(f);

	/* A slow machine may be past the tick: so more than once. */
	for (int i = 0; i < 100 && status == ST_OK; i++) {
		off_t last;

		commit_and_rest(f);
		turn(f, 1);
		last = last_page_at(f) + 4095;
		write_past(f, last, true);
		status = turn_for(f, 5, -1, &err);
		if (status == ST_OK) {
			write_past(f, last, true);
		}
	}
	assert_written_past(status, &err);
	rig_kill(app);
}

static void test_in_the_middle_of_a_copy_the_file_is_no_database(void **state)
{
	struct fixture *f = *state;
	struct error err;
	pid_t app = stay_beside(f);

	commit_and_rest(f);
	turn(f, 100);
	/* Page 1 is not in the WAL: whoever begins to read has it from the file. */
	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(2)"), 0);
	write_past(f, 0, true);
	assert_written_past(turn_for(f, 3000, -1, &err), &err);
	rig_kill(app);
}

int main(int argc, char **argv)
{
#define CASE(name)   cmocka_unit_test_setup_teardown(name, setup, teardown)
#define GENTLE(name) cmocka_unit_test_setup_teardown(name, setup_gentle, teardown)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_moves_are_the_arrows_of_the_manual),
	    CASE(test_empty_wal_is_held_at_zero),
	    CASE(test_commit_leads_to_mark_and_a_pause_back_to_zero),
	    CASE(test_alone_the_file_is_complete_at_once),
	    CASE(test_alone_for_a_second_the_wal_is_emptied),
	    CASE(test_beside_an_application_the_wal_is_left),
	    CASE(test_wal_is_not_restarted_before_it_is_captured),
	    CASE(test_zero_is_not_left_before_new_frames_are_captured),
	    CASE(test_checkpoints_of_the_application_get_through),
	    GENTLE(test_hot_writer_is_handed_over_at_the_gate),
	    GENTLE(test_wal_of_a_writer_that_never_pauses_is_restarted),
	    CASE(test_a_slow_disk_takes_no_write_lock),
	    GENTLE(test_no_room_at_the_gate),
	    GENTLE(test_error_at_the_gate_opens_it),
	    GENTLE(test_reader_ends_after_what_was_there_when_the_gate_began),
	    GENTLE(test_torn_header_at_the_gate),
	    CASE(test_overlapping_readers_take_the_write_lock),
	    GENTLE(test_overlapping_readers_are_left_alone_without_escalation),
	    CASE(test_slot_is_left_when_somebody_waits_for_it),
	    CASE(test_a_mark_in_the_place_of_zero_is_given_back),
	    CASE(test_backfilled_is_what_was_seen_before_the_header),
	    CASE(test_restart_between_two_looks),
	    CASE(test_long_reader_limits_backfill_and_is_waited_for),
	    CASE(test_a_stop_does_not_wait_for_a_reader_who_has_gone),
	    CASE(test_torn_header_is_recovered_when_nobody_else_does),
	    CASE(test_looks_tell_when_the_header_was_seen),
	    CASE(test_removed_file_ends_the_hold),
	    CASE(test_wal_taken_away_ends_the_hold),
	    CASE(test_a_file_copied_over_right_after_the_checkpoint_ends_the_hold),
	    CASE(test_a_copy_within_the_tick_of_the_checkpoint_ends_the_hold),
	    CASE(test_in_the_middle_of_a_copy_the_file_is_no_database),
	};
#undef CASE
#undef GENTLE

	if (rig_is_child(argc, argv)) {
		return rig_child(argc, argv);
	}
	if (argc > 1) {
		cmocka_set_test_filter(argv[1]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
