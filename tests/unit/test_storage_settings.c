/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/storage/storage_settings.h"

static void test_a_folder_is_told_from_a_bucket(void **state)
{
	(void)state;
	assert_string_equal(storage_folder("/backup/app"), "/backup/app");
	assert_string_equal(storage_folder("file:/backup/app"), "/backup/app");
	assert_string_equal(storage_folder("file:"), "");
	assert_string_equal(storage_folder("a:b"), "a:b");
	assert_string_equal(storage_folder("./s3://b/x"), "./s3://b/x");
	assert_string_equal(storage_folder("://x"), "://x");
	assert_null(storage_folder("s3://b/x"));
	assert_null(storage_folder("ftp://b/x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_folder_is_told_from_a_bucket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
