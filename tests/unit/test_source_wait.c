/* SPDX-License-Identifier: Apache-2.0 */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_whole_file_is_taken_when_it_has_stood_still),
	    cmocka_unit_test(test_half_a_file_is_waited_for),
	    cmocka_unit_test(test_a_file_that_is_gone_is_given_up),
	};

	return cmocka_run_group_tests_name("source_wait", tests, NULL, NULL);
}
