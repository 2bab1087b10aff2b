/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/resource.h>

#include "src/base/status.h"

static void test_every_status_has_a_text_of_its_own(void **state)
{
	(void)state;
	for (int s = ST_OK; s <= ST_UNFIT; s++) {
		assert_string_not_equal(status_text((enum status)s), "unknown status");
		for (int other = ST_OK; other < s; other++) {
			assert_string_not_equal(status_text((enum status)s),
						status_text((enum status)other));
		}
	}
	assert_int_equal(ST_OK, 0);
	assert_string_equal(status_text((enum status)(ST_UNFIT + 1)), "unknown status");
}

static void test_error_set_fills_all_and_returns_the_status(void **state)
{
	struct error err = {.sys_errno = 5};

	(void)state;
	assert_int_equal(error_set(&err, ST_CONFIG, "%s: %d", "limit", 12), ST_CONFIG);
	assert_int_equal(err.status, ST_CONFIG);
	assert_int_equal(err.sys_errno, 0);
	assert_string_equal(err.text, "limit: 12");
}

static void test_error_no_memory_says_what_the_memory_was_for(void **state)
{
	struct error err = {.sys_errno = 5};

	(void)state;
	assert_int_equal(error_no_memory(&err, "%u pages", 7U), ST_NOMEM);
	assert_int_equal(err.status, ST_NOMEM);
	assert_int_equal(err.sys_errno, 0);
	assert_string_equal(err.text, "out of memory for 7 pages");
}

static void test_error_set_errno_appends_the_reason(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(error_set_errno(&err, ENOENT, "shop.db"), ST_IO);
	assert_int_equal(err.status, ST_IO);
	assert_int_equal(err.sys_errno, ENOENT);
	assert_string_equal(err.text, "shop.db: No such file or directory");
}

static void test_reasons_say_which_limit_is_reached_and_how_it_is_raised(void **state)
{
	struct rlimit before;
	struct rlimit limit;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = 123;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_non_null(strstr(error_reason(EMFILE).text, "123"));
	assert_non_null(strstr(error_reason(EMFILE).text, "ulimit -n"));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_non_null(strstr(error_reason(ENFILE).text, "fs.file-max"));
	assert_non_null(strstr(error_reason(EFBIG).text, "ulimit -f"));
	assert_non_null(strstr(error_reason(ENOMEM).text, "ulimit -v"));
	assert_string_equal(error_reason(ENOSPC).text, "No space left on device");
}

static void test_error_wrap_puts_a_prefix_in_front(void **state)
{
	struct error err;

	(void)state;
	(void)error_set_errno(&err, EIO, "page 7");
	assert_int_equal(error_wrap(&err, "table %s", "orders"), ST_IO);
	assert_int_equal(err.sys_errno, EIO);
	assert_string_equal(
	    err.text, "table orders: page 7: Input/output error (the disk failed: "
		      "dmesg says more)");
}

static void test_long_texts_are_cut_and_stay_strings(void **state)
{
	char text[3000];
	struct error err;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	(void)error_set(&err, ST_LOST, "%s", text);
	assert_int_equal(strlen(err.text), sizeof err.text - 1);
	assert_int_equal(error_wrap(&err, "%s", text), ST_LOST);
	assert_true(strlen(err.text) < sizeof err.text);
	(void)error_set_errno(&err, ENOSPC, "%s", text);
	assert_true(strlen(err.text) < sizeof err.text);
	for (int i = 0; i < 50; i++) {
		(void)error_wrap(&err, "level %d", i);
	}
	assert_true(strlen(err.text) < sizeof err.text);
	assert_memory_equal(err.text, "level 49: level 48: ", 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_status_has_a_text_of_its_own),
	    cmocka_unit_test(test_error_set_fills_all_and_returns_the_status),
	    cmocka_unit_test(test_error_no_memory_says_what_the_memory_was_for),
	    cmocka_unit_test(test_error_set_errno_appends_the_reason),
	    cmocka_unit_test(
		test_reasons_say_which_limit_is_reached_and_how_it_is_raised),
	    cmocka_unit_test(test_error_wrap_puts_a_prefix_in_front),
	    cmocka_unit_test(test_long_texts_are_cut_and_stay_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
