/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_wal_rest.c -- how far apart looks are where nobody writes
 * (src/capture/wal_duty.c). */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/capture/db_open.h"
#include "src/capture/wal_hold.h"
#include "tests/lib/capture_rig.h"

#define AFTER_NS (3 * NS_PER_S) /* nothing has happened for so long: a rest */

struct fixture {
	struct rig_folder folder;
	char other[64]; /* a file that nobody writes to */
	struct db_handles db;
	struct wal_watch *watch;
	struct wal_hold *hold;
};

static enum status take(void *context, const struct wal_index_header *header,
			uint32_t generation, uint32_t from, struct hold_taken *taken,
			struct error *err)
{
	(void)context;
	(void)generation;
	(void)err;
	taken->commit_frames = header->frame_count - from; /* at most */
	taken->last_frame = header->frame_count;
	return ST_OK;
}

static void open_with(struct fixture *f, const char *db, const char *wal,
		      const char *shm)
{
	struct wal_hold_settings settings = {.take = take, .context = f};
	struct error err;

	if (wal_watch_open(db, wal, shm, &settings.watch, &err) != ST_OK ||
	    wal_hold_open(&f->db, &settings, &f->hold, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	f->watch = settings.watch;
}

static struct fixture *make(void)
{
	static const struct db_patience patience;
	struct fixture *f = calloc(1, sizeof *f);
	struct error err;
	int fd;

	assert_non_null(f);
	log_setup(LOG_ERROR, false);
	rig_folder_init(&f->folder, 4096);
	(void)snprintf(f->other, sizeof f->other, "/tmp/test_wal_rest.XXXXXX");
	fd = mkstemp(f->other);
	assert_true(fd >= 0);
	(void)close(fd);
	if (db_open(f->folder.path, &patience, &f->db, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	return f;
}

static void drop(struct fixture *f)
{
	wal_hold_close(f->hold);
	wal_watch_close(f->watch);
	db_close(&f->db);
	rig_folder_clear(&f->folder);
	(void)unlink(f->other);
	free(f);
}

static bool turn(struct fixture *f)
{
	struct error err;
	bool news;

	if (wal_hold_turn(f->hold, &news, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	return news;
}

static void turn_until_zero(struct fixture *f)
{
	int64_t until = clock_mono_ns() + 30 * NS_PER_S;

	do {
		(void)turn(f);
		clock_sleep_ns(NS_PER_MS);
	} while (wal_hold_state(f->hold) != HOLD_ZERO && clock_mono_ns() < until);
	assert_int_equal(wal_hold_state(f->hold), HOLD_ZERO);
}

/* One commit is seen, and what it led to is over. */
static void commit(struct fixture *f)
{
	int64_t until = clock_mono_ns() + 30 * NS_PER_S;

	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(1)"), 0);
	while (!turn(f) && clock_mono_ns() < until) {
		clock_sleep_ns(NS_PER_MS);
	}
	turn_until_zero(f);
	wal_watch_drain(f->watch);
}

static int64_t tick_after(const struct fixture *f, int64_t rest_ns)
{
	return wal_hold_idle_ns(f->hold, clock_mono_ns() + rest_ns);
}

static void test_looks_are_far_apart_after_a_while_without_anything(void **state)
{
	struct fixture *f = make();
	int64_t soon, late, heard;

	(void)state;
	open_with(f, f->folder.path, f->folder.wal, f->db.names.shm_path);
	turn_until_zero(f);
	heard = wal_watch_heard_ns(f->watch);
	soon = wal_hold_idle_ns(f->hold, heard);
	late = tick_after(f, AFTER_NS);
	assert_true(soon < late);
	/* A commit, and its writes, begin the time anew. */
	commit(f);
	assert_true(wal_watch_heard_ns(f->watch) > heard);
	assert_int_equal(wal_hold_idle_ns(f->hold, wal_watch_heard_ns(f->watch)), soon);
	assert_int_equal(tick_after(f, AFTER_NS), late);
	drop(f);
}

/* As where a file system in between tells of nothing. */
static void test_nobody_rests_where_nothing_is_told(void **state)
{
	struct fixture *f = make();
	int64_t soon;

	(void)state;
	open_with(f, f->other, f->other, f->other);
	turn_until_zero(f);
	soon = wal_hold_idle_ns(f->hold, wal_watch_heard_ns(f->watch));
	assert_true(tick_after(f, AFTER_NS) > soon); /* nobody knows yet */
	clock_sleep_ns(AFTER_NS);
	commit(f);
	assert_int_equal(tick_after(f, AFTER_NS), soon);
	/* Until it is told of a commit. */
	clock_sleep_ns(AFTER_NS);
	assert_int_equal(truncate(f->other, 1), 0);
	commit(f);
	assert_true(tick_after(f, AFTER_NS) > soon);
	drop(f);
}

static void test_nobody_rests_without_a_watch(void **state)
{
	struct fixture *f = make();

	(void)state;
	open_with(f, "", "", "");
	turn_until_zero(f);
	assert_int_equal(tick_after(f, AFTER_NS),
			 wal_hold_idle_ns(f->hold, wal_watch_heard_ns(f->watch)));
	drop(f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_looks_are_far_apart_after_a_while_without_anything),
	    cmocka_unit_test(test_nobody_rests_where_nothing_is_told),
	    cmocka_unit_test(test_nobody_rests_without_a_watch),
	};

	rig_set_program(argv[0]);
	if (rig_is_child(argc, argv)) {
		return rig_child(argc, argv);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
