/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/config/config_provider.h"

#define SECRET "s3cr:et}"

static char folder[] = "/tmp/rowtail-test-reference-XXXXXX";
static char properties[64], plain[64];

static int write_files(void **state)
{
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(properties, sizeof properties, "%s/secrets.properties", folder);
	(void)snprintf(plain, sizeof plain, "%s/password", folder);
	file = fopen(properties, "we");
	assert_non_null(file);
	(void)fputs("user = anna\npassword=old\npassword=" SECRET "\n", file);
	(void)fclose(file);
	file = fopen(plain, "we");
	assert_non_null(file);
	(void)fputs(SECRET "\n", file);
	(void)fclose(file);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	(void)unlink(properties);
	(void)unlink(plain);
	return rmdir(folder);
}

static void expect_resolved(const char *text, const char *expected)
{
	struct error err = {0};
	char *value = NULL;

	if (config_provider_resolve("-D producer.x", text, &value, &err) != ST_OK) {
		fail_msg("%s: %s", text, err.text);
	}
	assert_string_equal(value, expected);
	free(value);
}

static void expect_refusal(const char *text, const char *expected)
{
	struct error err = {0};
	char *value = NULL;

	assert_int_equal(config_provider_resolve("-D producer.x", text, &value, &err),
			 ST_CONFIG);
	assert_non_null(strstr(err.text, "-D producer.x"));
	if (!strstr(err.text, expected)) {
		fail_msg("\"%s\" lacks \"%s\"", err.text, expected);
	}
	assert_null(strstr(err.text, SECRET));
}

static void test_values_without_references_stay(void **state)
{
	(void)state;
	expect_resolved("", "");
	expect_resolved("plain", "plain");
	expect_resolved("a$b{c}", "a$b{c}");
	expect_resolved("${open", "${open");
}

static void test_variables_of_the_environment(void **state)
{
	(void)state;
	assert_int_equal(setenv("ROWTAIL_TEST_SECRET", SECRET, 1), 0);
	expect_resolved("${env:ROWTAIL_TEST_SECRET}", SECRET);
	expect_resolved("a ${env:ROWTAIL_TEST_SECRET}, ${env:ROWTAIL_TEST_SECRET}.",
			"a " SECRET ", " SECRET ".");
	expect_refusal("${env:ROWTAIL_TEST_NOT_SET}", "ROWTAIL_TEST_NOT_SET");
}

static void test_keys_of_property_files(void **state)
{
	char text[256];

	(void)state;
	(void)snprintf(text, sizeof text, "${file:%s:user}/${file:%s:password}",
		       properties, properties);
	expect_resolved(text, "anna/" SECRET);
	(void)snprintf(text, sizeof text, "${file:%s:token}", properties);
	expect_refusal(text, "token");
	expect_refusal("${file:/nonexistent/file:key}", "/nonexistent/file");
}

static void test_whole_files(void **state)
{
	char text[256];

	(void)state;
	(void)snprintf(text, sizeof text, "${directory:%s:password}", folder);
	expect_resolved(text, SECRET);
	(void)snprintf(text, sizeof text, "${directory:%s:other}", folder);
	expect_refusal(text, "other");
}

static void test_unknown_providers_are_refused(void **state)
{
	(void)state;
	expect_refusal("${vault:path:key}", "${env:NAME}");
	expect_refusal("${nothing}", "${env:NAME}");
	expect_refusal("${file:only-one-part}", "${file:PATH:KEY}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values_without_references_stay),
	    cmocka_unit_test(test_variables_of_the_environment),
	    cmocka_unit_test(test_keys_of_property_files),
	    cmocka_unit_test(test_whole_files),
	    cmocka_unit_test(test_unknown_providers_are_refused),
	};

	return cmocka_run_group_tests(tests, write_files, remove_files);
}
