/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each check in a process of its own: a signal is for good.
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/stop.h"

/* Exit status of `child`, run in a process of its own; 1000 + signal if killed. */
static int in_child(int (*child)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct error err;

		_exit(stop_setup(&err) == ST_OK ? child() : 99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static bool is_readable(void)
{
	struct pollfd fd = {.fd = stop_fd(), .events = POLLIN};

	return poll(&fd, 1, 0) == 1 && (fd.revents & POLLIN);
}

static int stop_by(int signal_no)
{
	if (stop_requested || is_readable()) {
		return 1;
	}
	(void)raise(signal_no);
	if (!stop_requested || !is_readable()) {
		return 2;
	}
	(void)raise(signal_no); /* once more changes nothing */
	return stop_requested && is_readable() ? 7 : 3;
}

static int stop_by_interrupt(void)
{
	return stop_by(SIGINT);
}

static int stop_by_terminate(void)
{
	return stop_by(SIGTERM);
}

static int set_a_deadline(void)
{
	unsigned left;

	(void)raise(SIGTERM);
	left = alarm(0);
	return left >= 1 && left <= 4 ? 7 : 1;
}

static int keep_the_first_deadline(void)
{
	unsigned left;

	(void)raise(SIGTERM);
	(void)alarm(100);
	(void)raise(SIGTERM);
	left = alarm(0);
	return left > 4 ? 7 : 1;
}

static int reach_the_deadline(void)
{
	(void)raise(SIGALRM);
	return 1;
}

static int write_to_a_closed_pipe(void)
{
	int fds[2];

	if (pipe(fds) != 0 || close(fds[0]) != 0) {
		return 1;
	}
	return write(fds[1], "x", 1) < 0 ? 7 : 2;
}

/* Touch a file that was cut after it was mapped. */
static int touch_what_was_cut(int flags)
{
	char name[] = "/tmp/rowtail-test-XXXXXX";
	int fd = mkstemp(name);
	volatile char *bytes;

	(void)close(STDERR_FILENO); /* a line is expected */
	if (fd < 0 || unlink(name) != 0 || ftruncate(fd, 4096) != 0) {
		return 1;
	}
	bytes = mmap(NULL, 4096, PROT_READ, flags, fd, 0);
	if (bytes == MAP_FAILED || ftruncate(fd, 0) != 0) {
		return 2;
	}
	return bytes[0] == 0 ? 7 : 8;
}

static int fail_on_a_shared_file(void)
{
	return touch_what_was_cut(MAP_SHARED);
}

static int fail_on_a_private_file(void)
{
	return touch_what_was_cut(MAP_PRIVATE);
}

static int fail_on_the_bus(void)
{
	(void)raise(SIGBUS);
	return 7;
}

static int write_beyond_the_limit(void)
{
	return raise(SIGXFSZ) == 0 ? 7 : 1;
}

static int hang_up(void)
{
	struct error err;
	struct pollfd fd = {.events = POLLIN};

	if (reopen_fd() >= 0 || stop_catch_hangup(&err) != ST_OK) {
		return 1;
	}
	fd.fd = reopen_fd();
	if (reopen_requested || poll(&fd, 1, 0) != 0) {
		return 2;
	}
	(void)raise(SIGHUP);
	(void)raise(SIGHUP);
	if (!reopen_requested || poll(&fd, 1, 0) != 1 || stop_requested ||
	    is_readable()) {
		return 3;
	}
	reopen_seen();
	reopen_seen();
	return poll(&fd, 1, 0) == 0 && reopen_requested ? 7 : 4;
}

static void test_stop_hangup_is_a_wish_to_reopen(void **state)
{
	(void)state;
	assert_int_equal(in_child(hang_up), 7);
}

static void test_stop_lets_the_size_limit_be_an_error_of_write(void **state)
{
	(void)state;
	assert_int_equal(in_child(write_beyond_the_limit), 7);
}

static void test_stop_signals_set_the_flag_and_wake(void **state)
{
	(void)state;
	assert_int_equal(in_child(stop_by_interrupt), 7);
	assert_int_equal(in_child(stop_by_terminate), 7);
}

static void test_stop_has_a_deadline_that_a_second_signal_does_not_move(void **state)
{
	(void)state;
	assert_int_equal(in_child(set_a_deadline), 7);
	assert_int_equal(in_child(keep_the_first_deadline), 7);
}

static void test_stop_at_its_deadline_ends_with_exit_code_0(void **state)
{
	(void)state;
	assert_int_equal(in_child(reach_the_deadline), 0);
}

static void test_stop_lets_a_closed_pipe_be_an_error_of_write(void **state)
{
	(void)state;
	assert_int_equal(in_child(write_to_a_closed_pipe), 7);
}

static void test_stop_makes_a_bus_error_in_a_shared_file_exit_code_1(void **state)
{
	(void)state;
	assert_int_equal(in_child(fail_on_a_shared_file), 1);
}

static void test_stop_hides_no_other_bus_error(void **state)
{
	(void)state;
	assert_int_equal(in_child(fail_on_a_private_file), 1000 + SIGBUS);
	assert_int_equal(in_child(fail_on_the_bus), 1000 + SIGBUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stop_signals_set_the_flag_and_wake),
	    cmocka_unit_test(
		test_stop_has_a_deadline_that_a_second_signal_does_not_move),
	    cmocka_unit_test(test_stop_at_its_deadline_ends_with_exit_code_0),
	    cmocka_unit_test(test_stop_lets_a_closed_pipe_be_an_error_of_write),
	    cmocka_unit_test(test_stop_makes_a_bus_error_in_a_shared_file_exit_code_1),
	    cmocka_unit_test(test_stop_hides_no_other_bus_error),
	    cmocka_unit_test(test_stop_hangup_is_a_wish_to_reopen),
	    cmocka_unit_test(test_stop_lets_the_size_limit_be_an_error_of_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
