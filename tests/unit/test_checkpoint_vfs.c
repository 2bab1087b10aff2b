/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/capture/db_open.h"
#include "tests/lib/capture_rig.h"

/* The disk: in place of the C library's, for SQLite as well. */
static atomic_llong disk_ns; /* a sync takes so long */

int fdatasync(int fd)
{
	clock_sleep_ns(atomic_load(&disk_ns));
	return (int)syscall(SYS_fdatasync, fd);
}

struct fixture {
	struct rig_folder folder;
	struct db_handles db;
	pid_t app;
};

static int setup(void **state)
{
	static const struct db_patience patience;
	struct fixture *f = calloc(1, sizeof *f);
	struct error err;

	atomic_store(&disk_ns, 0);
	log_setup(LOG_ERROR, false);
	rig_folder_init(&f->folder, 4096);
	if (db_open(f->folder.path, &patience, &f->db, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	f->app =
	    rig_spawn_ready("stay", f->folder.path, "INSERT INTO t(v) VALUES(1)", NULL);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rig_kill(f->app);
	db_close(&f->db);
	rig_folder_clear(&f->folder);
	free(f);
	return 0;
}

static int checkpoint(struct fixture *f, int *backfilled)
{
	int in_log;

	return sqlite3_wal_checkpoint_v2(
	    f->db.checkpointer, "main", SQLITE_CHECKPOINT_PASSIVE, &in_log, backfilled);
}

static void test_without_a_deadline_all_is_backfilled(void **state)
{
	struct fixture *f = *state;
	int backfilled;

	assert_int_equal(checkpoint(f, &backfilled), SQLITE_OK);
	assert_true(backfilled > 0);
	assert_int_equal(wal_index_backfilled(&f->db.index), backfilled);
	assert_false(checkpoint_vfs_was_late(f->db.vfs));
}

static void test_in_time_all_is_backfilled(void **state)
{
	struct fixture *f = *state;
	int backfilled;

	checkpoint_vfs_limit(f->db.vfs, clock_mono_ns() + 600 * NS_PER_S);
	assert_int_equal(checkpoint(f, &backfilled), SQLITE_OK);
	assert_true(backfilled > 0);
	assert_false(checkpoint_vfs_was_late(f->db.vfs));
}

/* Whichever of the two syncs is late, the WAL may not be restarted. */
static void test_a_late_sync_backfills_nothing_and_breaks_nothing(void **state)
{
	struct fixture *f = *state;
	int backfilled;

	atomic_store(&disk_ns, 100 * NS_PER_MS);
	for (int ms = 5; ms <= 150; ms += 145) {
		checkpoint_vfs_limit(f->db.vfs, clock_mono_ns() + ms * NS_PER_MS);
		assert_int_equal(checkpoint(f, &backfilled), SQLITE_OK);
		assert_int_equal(backfilled, 0);
		assert_int_equal(wal_index_backfilled(&f->db.index), 0);
		assert_true(checkpoint_vfs_was_late(f->db.vfs));
	}
	assert_true(checkpoint_vfs_sync_ns(f->db.vfs) > 0);
	atomic_store(&disk_ns, 0);
	checkpoint_vfs_limit(f->db.vfs, 0);
	assert_false(checkpoint_vfs_was_late(f->db.vfs));
	assert_int_equal(checkpoint(f, &backfilled), SQLITE_OK);
	assert_true(backfilled > 0);
	assert_int_equal(rig_sql(f->folder.path, "INSERT INTO t(v) VALUES(2)"), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_without_a_deadline_all_is_backfilled,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(test_in_time_all_is_backfilled, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(
		test_a_late_sync_backfills_nothing_and_breaks_nothing, setup, teardown),
	};

	rig_set_program(argv[0]);
	if (rig_is_child(argc, argv)) {
		return rig_child(argc, argv);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
