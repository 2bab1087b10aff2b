/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
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
#include "src/capture/source_wait.h"
#include "tests/lib/temp_database.h"

static struct source_left nothing_left = {.db_fd = -1, .shm_fd = -1};

static double seconds_since(int64_t start)
{
	return (double)(clock_mono_ns() - start) / NS_PER_S;
}

static void test_a_whole_file_is_taken_when_it_has_stood_still(void **state)
{
	struct database_shape shape = database_shape(0);
	struct temp_database t;
	int64_t start;
	struct error err;

	(void)state;
	temp_database_open(&t, &shape);
	temp_database_sql(&t, "CREATE TABLE t(a)");
	sqlite3_close(t.db);
	t.db = NULL;
	start = clock_mono_ns();
	assert_int_equal(source_wait(t.path, &nothing_left, &err), ST_OK);
	assert_true(seconds_since(start) >= 1.0);
	temp_database_close(&t);
}

/* It is cut in half, and made whole after two seconds by somebody else. */
static void test_half_a_file_is_waited_for(void **state)
{
	struct database_shape shape = database_shape(0);
	struct temp_database t;
	struct stat st;
	struct error err;
	int64_t start;
	int ended;
	pid_t pid;

	(void)state;
	temp_database_open(&t, &shape);
	temp_database_fill(&t, 500);
	sqlite3_close(t.db);
	t.db = NULL;
	assert_int_equal(stat(t.path, &st), 0);
	assert_int_equal(truncate(t.path, st.st_size / 2), 0);
	start = clock_mono_ns();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		clock_sleep_ns(2 * NS_PER_S);
		_exit(truncate(t.path, st.st_size) == 0 ? 0 : 1);
	}
	assert_int_equal(source_wait(t.path, &nothing_left, &err), ST_OK);
	assert_true(seconds_since(start) >= 3.0);
	assert_int_equal(waitpid(pid, &ended, 0), pid);
	temp_database_close(&t);
}

static void test_a_file_that_is_gone_is_given_up(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(source_wait("/nonexistent/app.db", &nothing_left, &err),
			 ST_LOST);
	assert_non_null(strstr(err.text, "/nonexistent/app.db: was removed"));
}

/* ---- another process that has it open ---- */

struct user {
	pid_t pid;
	int leave_fd; /* closed: it leaves */
	struct source_left left;
};

/* It writes, empties the WAL, and leaves when it is told to, or after `ms`; -1: never.
 */
static void user_start(struct user *user, const struct temp_database *t, int ms)
{
	char name[4096];
	struct stat st;
	int told[2], leave[2];
	char byte;

	assert_int_equal(pipe(told), 0);
	assert_int_equal(pipe(leave), 0);
	user->pid = fork();
	assert_true(user->pid >= 0);
	if (user->pid == 0) {
		struct pollfd leaves = {.fd = leave[0], .events = POLLIN};
		sqlite3 *db = NULL;
		bool is_open =
		    sqlite3_open(t->path, &db) == SQLITE_OK &&
		    sqlite3_exec(db,
				 "PRAGMA journal_mode=WAL; INSERT INTO t VALUES (1);"
				 "PRAGMA wal_checkpoint(TRUNCATE)",
				 NULL, NULL, NULL) == SQLITE_OK &&
		    write(told[1], "x", 1) == 1;

		(void)close(leave[1]);
		(void)poll(&leaves, 1, ms);
		_exit(is_open && sqlite3_close(db) == SQLITE_OK ? 0 : 1);
	}
	assert_int_equal(read(told[0], &byte, 1), 1);
	(void)close(told[0]);
	(void)close(told[1]);
	(void)close(leave[0]);
	user->leave_fd = leave[1];
	user->left = source_left_none();
	(void)snprintf(name, sizeof name, "%s-shm", t->path);
	user->left.shm_fd = open(name, O_RDONLY | O_CLOEXEC);
	assert_true(user->left.shm_fd >= 0);
	(void)snprintf(name, sizeof name, "%s-wal", t->path);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_size, 0);
	user->left.wal_device = st.st_dev;
	user->left.wal_inode = st.st_ino;
}

static bool user_has_left(const struct user *user)
{
	return waitpid(user->pid, NULL, WNOHANG) == user->pid;
}

static void open_closed(struct temp_database *t)
{
	struct database_shape shape = database_shape(0);

	temp_database_open(t, &shape);
	temp_database_sql(t, "CREATE TABLE t(a)");
	sqlite3_close(t->db);
	t->db = NULL;
}

static void test_a_wal_that_its_user_has_emptied_is_no_other_wal(void **state)
{
	struct temp_database t;
	struct user user;
	struct error err;

	(void)state;
	open_closed(&t);
	user_start(&user, &t, -1);
	assert_int_equal(source_wait(t.path, &user.left, &err), ST_OK);
	assert_false(user_has_left(&user));
	(void)close(user.leave_fd);
	assert_int_equal(waitpid(user.pid, NULL, 0), user.pid);
	temp_database_close(&t);
}

static void test_a_wal_that_has_lost_its_name_is_waited_for(void **state)
{
	struct temp_database t;
	struct user user;
	struct error err;
	char name[4096], away[4200];
	int fd;

	(void)state;
	open_closed(&t);
	user_start(&user, &t, 2000);
	(void)snprintf(name, sizeof name, "%s-wal", t.path);
	(void)snprintf(away, sizeof away, "%s.away", name);
	assert_int_equal(rename(name, away), 0);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(source_wait(t.path, &user.left, &err), ST_OK);
	assert_true(user_has_left(&user));
	(void)close(user.leave_fd);
	(void)unlink(away);
	temp_database_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_whole_file_is_taken_when_it_has_stood_still),
	    cmocka_unit_test(test_half_a_file_is_waited_for),
	    cmocka_unit_test(test_a_file_that_is_gone_is_given_up),
	    cmocka_unit_test(test_a_wal_that_its_user_has_emptied_is_no_other_wal),
	    cmocka_unit_test(test_a_wal_that_has_lost_its_name_is_waited_for),
	};

	return cmocka_run_group_tests_name("source_wait", tests, NULL, NULL);
}
