/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/capture/process_book.h"

static int setup(void **state)
{
	struct process_book *book = malloc(sizeof *book);

	assert_non_null(book);
	process_book_init(book);
	*state = book;
	return 0;
}

static int teardown(void **state)
{
	process_book_clear(*state);
	free(*state);
	return 0;
}

static int open_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	assert_true(fd >= 0);
	return fd;
}

/* valgrind may not know them. */
static void need_pidfds(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd < 0 || syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) != 0) {
		assert_int_equal(errno, ENOSYS);
		skip();
	}
	(void)close(fd);
}

/* A process that waits, and then runs another program that does. */
static pid_t start(int *wake)
{
	int ends[2];
	pid_t pid;
	char byte;

	need_pidfds();
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(ends[1]);
		(void)!read(ends[0], &byte, 1);
		(void)execl("/bin/sleep", "sleep", "60", (char *)NULL);
		_exit(1);
	}
	(void)close(ends[0]);
	*wake = ends[1];
	return pid;
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void expect_number_alone(struct writer *writer, pid_t pid)
{
	assert_non_null(writer);
	assert_int_equal(writer->pid, pid);
	assert_null(writer->exe);
	assert_null(writer->unit);
	assert_int_equal(writer->uid, WRITER_NO_ID);
	assert_int_equal(writer->loginuid, WRITER_NO_ID);
	writer_drop(writer);
}

static void test_a_process_has_its_program_and_user(void **state)
{
	char exe[4096];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
	int wake;
	pid_t pid = start(&wake);
	struct writer *writer =
	    process_book_find(*state, (uint32_t)pid, open_pidfd(pid));
	struct writer *again =
	    process_book_find(*state, (uint32_t)pid, open_pidfd(pid));

	assert_true(len > 0);
	exe[len] = '\0';
	assert_non_null(writer);
	assert_int_equal(writer->pid, pid);
	assert_int_equal(writer->uid, getuid());
	assert_string_equal(writer->exe, exe);
	assert_ptr_equal(writer, again); /* it is not read again */
	writer_drop(writer);
	writer_drop(again);
	end(pid);
	(void)close(wake);
}

static void test_another_program_of_the_same_process_is_seen(void **state)
{
	int wake;
	pid_t pid = start(&wake);
	struct writer *writer =
	    process_book_find(*state, (uint32_t)pid, open_pidfd(pid));
	bool is_sleep = false;

	assert_null(strstr(writer->exe, "sleep"));
	writer_drop(writer);
	(void)close(wake);
	for (int i = 0; i < 2000 && !is_sleep; i++) {
		writer = process_book_find(*state, (uint32_t)pid, open_pidfd(pid));
		is_sleep = writer->exe &&
			   (strstr(writer->exe, "sleep") || strstr(writer->exe, "box"));
		writer_drop(writer);
		(void)usleep(5000);
	}
	assert_true(is_sleep);
	end(pid);
}

/* As when the number is another one's by now: what is read under it is not told. */
static void test_what_is_read_of_a_number_without_its_process_is_not_told(void **state)
{
	int wake;
	pid_t pid = start(&wake);
	int pidfd = open_pidfd(pid);

	end(pid);
	(void)close(wake);
	expect_number_alone(process_book_find(*state, (uint32_t)getpid(), pidfd),
			    getpid());
}

static void test_of_one_that_has_ended_is_the_number_alone(void **state)
{
	expect_number_alone(process_book_find(*state, 4000001, -1), 4000001);
	expect_number_alone(process_book_find(*state, 0, -1), 0);
}

static void test_a_known_one_that_has_ended_long_ago_is_not_told(void **state)
{
	struct process_book *book = *state;
	int wake;
	pid_t pid = start(&wake);
	struct writer *writer = process_book_find(book, (uint32_t)pid, open_pidfd(pid));

	assert_non_null(writer->exe);
	writer_drop(writer);
	end(pid);
	(void)close(wake);
	book->list[0].alive_ns -= 3600 * INT64_C(1000000000);
	expect_number_alone(process_book_find(book, (uint32_t)pid, -1), pid);
}

static void test_where_numbers_are_few_one_that_has_ended_is_not_told(void **state)
{
	struct process_book *book = *state;
	int wake;
	pid_t pid = start(&wake);
	struct writer *writer = process_book_find(book, (uint32_t)pid, open_pidfd(pid));

	writer_drop(writer);
	end(pid);
	(void)close(wake);
	book->is_wide = false;
	expect_number_alone(process_book_find(book, (uint32_t)pid, -1), pid);
}

static void test_more_processes_than_the_book_has_room_for(void **state)
{
	struct process_book *book = *state;
	pid_t pids[PROCESSES_KNOWN + 4];
	int wakes[PROCESSES_KNOWN + 4];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < PROCESSES_KNOWN + 4; i++) {
			struct writer *writer;

			if (round == 0) {
				pids[i] = start(&wakes[i]);
			}
			writer = process_book_find(book, (uint32_t)pids[i],
						   open_pidfd(pids[i]));
			assert_int_equal(writer->pid, pids[i]);
			assert_non_null(writer->exe);
			writer_drop(writer);
		}
	}
	assert_int_equal(book->total, PROCESSES_KNOWN);
	for (int i = 0; i < PROCESSES_KNOWN + 4; i++) {
		end(pids[i]);
		(void)close(wakes[i]);
	}
}

static void expect_unit(const char *cgroup, const char *unit)
{
	char text[512];
	const char *found;

	(void)snprintf(text, sizeof text, "%s", cgroup);
	found = process_unit(text);
	if (unit) {
		assert_non_null(found);
		assert_string_equal(found, unit);
	} else {
		assert_null(found);
	}
}

static void test_the_unit_is_what_systemd_made_and_not_what_a_user_named(void **state)
{
	(void)state;
	expect_unit("0::/system.slice/app.service\n", "app.service");
	expect_unit("0::/system.slice/system-app.slice/app@1.service/x\n",
		    "app@1.service");
	expect_unit("0::/user.slice/user-1000.slice/session-3.scope\n",
		    "session-3.scope");
	expect_unit("0::/user.slice/user-1000.slice/user@1000.service/app.slice/"
		    "app.service\n",
		    "user@1000.service");
	expect_unit("12:pids:/a.service\n1:name=systemd:/system.slice/b.service\n",
		    "b.service");
	expect_unit("1:name=systemd:/\n0::/system.slice/c.service\n", "c.service");
	expect_unit("0::/init.scope", "init.scope");
	expect_unit("0::/\n", NULL);
	expect_unit("0::/../../a.service\n", NULL);
	expect_unit("0::/docker/0123\n", NULL);
	expect_unit("0::/.service\n", NULL);
	expect_unit("nothing of it\n::\n:\n", NULL);
	expect_unit("", NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_process_has_its_program_and_user),
	    TEST(test_another_program_of_the_same_process_is_seen),
	    TEST(test_what_is_read_of_a_number_without_its_process_is_not_told),
	    TEST(test_of_one_that_has_ended_is_the_number_alone),
	    TEST(test_a_known_one_that_has_ended_long_ago_is_not_told),
	    TEST(test_where_numbers_are_few_one_that_has_ended_is_not_told),
	    TEST(test_more_processes_than_the_book_has_room_for),
	    TEST(test_the_unit_is_what_systemd_made_and_not_what_a_user_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
