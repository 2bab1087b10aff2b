/* SPDX-License-Identifier: Apache-2.0 */
/*
 * With the kernel's own events: what cannot be had here is skipped, with the reason.
 */
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

#include "src/base/log.h"
#include "src/capture/db_open.h"
#include "src/capture/wal_events.h"
#include "tests/lib/capture_rig.h"
#include "tests/lib/other_process.h"

#define FAR_AWAY (1 << 20) /* in the WAL: no frame is there */

struct fixture {
	struct rig_folder folder;
	struct db_handles db;
	struct wal_events *events;
	struct wal_writers *writers;
};

static void look(struct fixture *f)
{
	struct wal_index_header header;

	assert_true(wal_index_read(&f->db.index, &header));
	wal_writers_look(f->writers, &header);
}

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
	*state = f;
	if (wal_events_check(&err) != ST_OK) {
		print_message("%s\n", err.text);
		return 0;
	}
	assert_int_equal(wal_events_open(&f->db, &f->events, &err), ST_OK);
	f->writers = wal_events_writers(f->events);
	look(f);
	wal_writers_taken(f->writers);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	wal_events_close(f->events);
	db_close(&f->db);
	rig_folder_clear(&f->folder);
	free(f);
	return 0;
}

static struct fixture *events_of(void **state)
{
	struct fixture *f = *state;

	if (!f->events) {
		skip();
	}
	return f;
}

static bool write_to_wal(const char *path)
{
	int fd = other_open(path, "-wal");

	return pwrite(fd, "x", 1, FAR_AWAY) == 1;
}

static bool hold_write_lock(const char *path)
{
	return other_lock(other_open(path, "-shm"), F_WRLCK, LOCK_SHM_WRITE, 1);
}

static void write_myself(const struct fixture *f)
{
	int fd = open(f->folder.wal, O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, "x", 1, FAR_AWAY), 1);
	(void)close(fd);
}

static void test_another_process_is_told_and_this_one_is_not(void **state)
{
	struct fixture *f = events_of(state);
	struct other_process other;
	struct writers *writers;

	write_myself(f);
	look(f);
	assert_int_equal(f->writers->total, 0);
	assert_null(wal_writers_get(f->writers));
	wal_writers_taken(f->writers);

	other = other_start(write_to_wal, f->folder.path);
	write_myself(f);
	look(f);
	writers = wal_writers_get(f->writers);
	assert_non_null(writers);
	assert_int_equal(writers->total, 1);
	assert_int_equal(writers->list[0]->pid, other.pid);
	writers_drop(writers);
	other_end(&other);
}

static void test_who_holds_the_write_lock_stays_a_candidate(void **state)
{
	struct fixture *f = events_of(state);
	struct other_process writer = other_start(write_to_wal, f->folder.path);
	struct other_process holder = other_start(hold_write_lock, f->folder.path);

	look(f);
	wal_writers_taken(f->writers);
	assert_int_equal(f->writers->total, 1);
	other_end(&holder);
	look(f);
	wal_writers_taken(f->writers);
	assert_int_equal(f->writers->total, 0);
	other_end(&writer);
}

/* The kernel takes an event from the queue for which it finds no descriptor. */
static void test_without_descriptors_nobody_knows(void **state)
{
	struct fixture *f = events_of(state);
	struct other_process first = other_start(write_to_wal, f->folder.path);
	struct other_process second = other_start(write_to_wal, f->folder.path);
	struct writers *writers;

	other_forbid_files();
	look(f);
	other_allow_files();
	writers = wal_writers_get(f->writers);
	assert_true(f->writers->has_missed ? !writers : writers && writers->total == 2);
	writers_drop(writers);
	wal_writers_taken(f->writers);
	other_end(&second);
	other_end(&first);
	first = other_start(write_to_wal, f->folder.path);
	look(f);
	writers = wal_writers_get(f->writers);
	assert_non_null(writers);
	assert_int_equal(writers->list[writers->total - 1]->pid, first.pid);
	writers_drop(writers);
	other_end(&first);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_another_process_is_told_and_this_one_is_not),
	    TEST(test_who_holds_the_write_lock_stays_a_candidate),
	    TEST(test_without_descriptors_nobody_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
