/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/monitor/child_output.h"

#define FOREVER_S 600

static _Atomic bool stop;

/* What this program does as a child. */
static int be_child(const char *what)
{
	if (strcmp(what, "forever") == 0) {
		(void)sleep(FOREVER_S);
	}
	(void)printf("out\n");
	(void)fflush(stdout);
	(void)fprintf(stderr, "err\n");
	return strcmp(what, "fails") == 0 ? 3 : 0;
}

static bool ask(const char *what, int64_t ns, size_t bytes, struct buffer *out)
{
	const char *const args[] = {"test", what, NULL};
	const struct child_limits limits = {.ns = ns, .bytes = bytes, .stop = &stop};

	buffer_init(out);
	return child_output(args, &limits, out);
}

static void test_what_it_prints_is_taken(void **state)
{
	struct buffer out;

	(void)state;
	assert_true(ask("prints", NS_PER_H, 100, &out));
	assert_int_equal(out.len, strlen("out\nerr\n"));
	assert_memory_equal(out.bytes, "out\nerr\n", out.len);
	buffer_clear(&out);
	assert_false(ask("prints", NS_PER_H, 3, &out));
	buffer_clear(&out);
}

static void test_one_that_fails_is_seen(void **state)
{
	struct buffer out;

	(void)state;
	assert_false(ask("fails", NS_PER_H, 100, &out));
	assert_true(out.len > 0);
	buffer_clear(&out);
	/* Whoever started this process may have it so. */
	(void)signal(SIGCHLD, SIG_IGN);
	assert_false(ask("fails", NS_PER_H, 100, &out));
	(void)signal(SIGCHLD, SIG_DFL);
	buffer_clear(&out);
}

static void *stop_soon(void *context)
{
	(void)context;
	clock_sleep_ns(50 * NS_PER_MS);
	stop = true;
	return NULL;
}

static void test_one_that_does_not_end_is_killed(void **state)
{
	int64_t begun = clock_mono_ns();
	struct buffer out;
	pthread_t thread;

	(void)state;
	assert_false(ask("forever", 50 * NS_PER_MS, 100, &out));
	buffer_clear(&out);
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
	assert_false(ask("forever", NS_PER_H, 100, &out));
	(void)pthread_join(thread, NULL);
	stop = false;
	buffer_clear(&out);
	assert_true(clock_mono_ns() - begun < FOREVER_S * NS_PER_S);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_it_prints_is_taken),
	    cmocka_unit_test(test_one_that_fails_is_seen),
	    cmocka_unit_test(test_one_that_does_not_end_is_killed),
	};

	if (argc > 1) {
		return be_child(argv[1]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
