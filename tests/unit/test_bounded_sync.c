/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/bounded_sync.h"
#include "src/base/clock.h"

/* The disk: in place of the C library's. */
static atomic_llong disk_ns; /* a sync takes so long */
static atomic_int disk_fails;
static atomic_int syncs;

int fdatasync(int fd)
{
	(void)fd;
	clock_sleep_ns(atomic_load(&disk_ns));
	(void)atomic_fetch_add(&syncs, 1);
	if (atomic_load(&disk_fails)) {
		errno = EIO;
		return -1;
	}
	return 0;
}

static struct bounded_sync *open_it(void)
{
	struct bounded_sync *sync;
	struct error err;

	atomic_store(&disk_ns, 0);
	atomic_store(&disk_fails, 0);
	atomic_store(&syncs, 0);
	if (bounded_sync_open(&sync, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	return sync;
}

static int64_t in_ms(int64_t ms)
{
	return clock_mono_ns() + ms * NS_PER_MS;
}

static void test_a_sync_in_time_is_done(void **state)
{
	struct bounded_sync *sync = open_it();
	int64_t took_ns;

	(void)state;
	assert_int_equal(bounded_sync_run(sync, 0, in_ms(60000), &took_ns), SYNC_DONE);
	assert_int_equal(atomic_load(&syncs), 1);
	assert_true(took_ns >= 0);
	bounded_sync_close(sync);
}

static void test_a_slow_sync_is_late_and_goes_on(void **state)
{
	struct bounded_sync *sync = open_it();
	int64_t took_ns;

	(void)state;
	atomic_store(&disk_ns, 200 * NS_PER_MS);
	assert_int_equal(bounded_sync_run(sync, 0, in_ms(5), &took_ns), SYNC_LATE);
	assert_int_equal(atomic_load(&syncs), 0);
	assert_true(took_ns >= 4 * NS_PER_MS);
	bounded_sync_close(sync);
	assert_int_equal(atomic_load(&syncs), 1);
}

static void test_a_sync_after_a_late_one_is_another_sync(void **state)
{
	struct bounded_sync *sync = open_it();
	int64_t took_ns;

	(void)state;
	atomic_store(&disk_ns, 100 * NS_PER_MS);
	assert_int_equal(bounded_sync_run(sync, 0, in_ms(5), &took_ns), SYNC_LATE);
	assert_int_equal(bounded_sync_run(sync, 0, in_ms(60000), &took_ns), SYNC_DONE);
	assert_int_equal(atomic_load(&syncs), 2);
	bounded_sync_close(sync);
}

static void test_behind_a_sync_that_is_still_at_work_it_is_late_too(void **state)
{
	struct bounded_sync *sync = open_it();
	int64_t took_ns;

	(void)state;
	atomic_store(&disk_ns, 500 * NS_PER_MS);
	assert_int_equal(bounded_sync_run(sync, 0, in_ms(5), &took_ns), SYNC_LATE);
	assert_int_equal(bounded_sync_run(sync, 0, in_ms(5), &took_ns), SYNC_LATE);
	bounded_sync_close(sync);
	assert_int_equal(atomic_load(&syncs), 1);
}

static void test_a_failure_is_for_good(void **state)
{
	struct bounded_sync *sync = open_it();
	int64_t took_ns;

	(void)state;
	atomic_store(&disk_ns, 50 * NS_PER_MS);
	atomic_store(&disk_fails, 1);
	assert_int_equal(bounded_sync_run(sync, 0, in_ms(1), &took_ns), SYNC_LATE);
	while (atomic_load(&syncs) == 0) {
		clock_sleep_ns(NS_PER_MS);
	}
	atomic_store(&disk_fails, 0);
	assert_int_equal(bounded_sync_run(sync, 0, in_ms(60000), &took_ns),
			 SYNC_FAILED);
	bounded_sync_close(sync);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_sync_in_time_is_done),
	    cmocka_unit_test(test_a_slow_sync_is_late_and_goes_on),
	    cmocka_unit_test(test_a_sync_after_a_late_one_is_another_sync),
	    cmocka_unit_test(test_behind_a_sync_that_is_still_at_work_it_is_late_too),
	    cmocka_unit_test(test_a_failure_is_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
