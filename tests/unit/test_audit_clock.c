/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sinks/audit_clock.h"
#include "src/base/clock.h"

#define THEN (INT64_C(1794058675) * NS_PER_S) /* 2026-11-07T13:37:55Z */

static void test_a_clock_that_goes_on_is_no_gap(void **state)
{
	struct audit_clock clock = {0};
	int64_t was;

	(void)state;
	assert_false(audit_clock_is_back(&clock, THEN, 5, &was));
	assert_false(audit_clock_is_back(&clock, THEN, 6, &was));
	assert_false(audit_clock_is_back(&clock, THEN + NS_PER_S, NS_PER_S, &was));
	/* Set ahead; a machine that slept; slowed down by a tenth for an hour. */
	assert_false(
	    audit_clock_is_back(&clock, THEN + 900 * NS_PER_S, 2 * NS_PER_S, &was));
	assert_false(audit_clock_is_back(&clock, THEN + (900 + 3240) * NS_PER_S,
					 3602 * NS_PER_S, &was));
}

static void test_earlier_than_before_is_back(void **state)
{
	struct audit_clock clock = {0};
	int64_t was;

	(void)state;
	assert_false(audit_clock_is_back(&clock, THEN, NS_PER_S, &was));
	assert_true(audit_clock_is_back(&clock, THEN - NS_PER_MS, 2 * NS_PER_S, &was));
	assert_int_equal(was, THEN + NS_PER_S);
	assert_false(audit_clock_is_back(&clock, THEN + NS_PER_S, 3 * NS_PER_S,
					 &was)); /* once */
}

static void test_set_back_by_less_than_went_by_is_back(void **state)
{
	struct audit_clock clock = {0};
	int64_t was;

	(void)state;
	assert_false(audit_clock_is_back(&clock, THEN, NS_PER_S, &was));
	assert_true(
	    audit_clock_is_back(&clock, THEN + 2 * NS_PER_S, 11 * NS_PER_S, &was));
	assert_int_equal(was, THEN + 10 * NS_PER_S);
}

/* What a log that ends so says of its time; 0: nothing. */
static int64_t opened(const char *bytes, size_t len)
{
	char path[] = "/tmp/rowtail-test-XXXXXX";
	struct audit_clock clock;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(write(fd, bytes, len), len);
	audit_clock_open(&clock, fd);
	(void)close(fd);
	assert_int_equal(clock.mono_ns, 0);
	return clock.wall_ns;
}

static void test_the_last_line_of_another_run_has_its_time(void **state)
{
	static const char last[] =
	    "{\"n\":7,\"time\":\"2026-11-07T13:37:55.000Z\",\"op\":\"stop\"}\n";
	char *large = malloc(100000);
	int64_t was;
	struct audit_clock clock = {.wall_ns = THEN};

	(void)state;
	assert_non_null(large);
	assert_int_equal(opened(last, strlen(last)), THEN);
	memset(large, 'x', 100000);
	large[90000] = '\n';
	memcpy(large + 90001, last, strlen(last));
	assert_int_equal(opened(large, 90001 + strlen(last)), THEN);
	assert_int_equal(opened(large, 90001), 0); /* too long to be read */
	assert_int_equal(opened(large, 100000), 0);
	assert_int_equal(opened("", 0), 0);
	assert_int_equal(opened("\n", 1), 0);
	assert_int_equal(opened(last, strlen(last) - 1), 0);
	assert_int_equal(
	    opened("{\"n\":7,\"time\":\"2026-99-07T13:37:55.000Z\"}\n", 42), 0);
	free(large);
	assert_true(audit_clock_is_back(&clock, THEN - NS_PER_S, 99 * NS_PER_S, &was));
	assert_int_equal(was, THEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_clock_that_goes_on_is_no_gap),
	    cmocka_unit_test(test_earlier_than_before_is_back),
	    cmocka_unit_test(test_set_back_by_less_than_went_by_is_back),
	    cmocka_unit_test(test_the_last_line_of_another_run_has_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
