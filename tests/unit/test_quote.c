/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/quote.h"

static void test_plain_names_stand_as_they_are(void **state)
{
	(void)state;
	assert_string_equal(quote("/var/lib/app-1/a_b.db").text,
			    "/var/lib/app-1/a_b.db");
	assert_string_equal(quote("x").text, "x");
}

static void test_other_names_are_quoted_as_a_shell_reads_them(void **state)
{
	(void)state;
	assert_string_equal(quote("my app.db").text, "'my app.db'");
	assert_string_equal(quote("it's").text, "'it'\\''s'");
	assert_string_equal(quote("$(reboot)").text, "'$(reboot)'");
	assert_string_equal(quote("").text, "''");
	assert_string_equal(quote("f\xc3\xbcr.db").text, "'f\xc3\xbcr.db'");
}

static void test_a_name_is_no_option(void **state)
{
	(void)state;
	assert_string_equal(quote("-a.db").text, "./-a.db");
	assert_string_equal(quote("- a.db").text, "'./- a.db'");
}

static void test_a_long_name_is_cut_and_stays_one_word(void **state)
{
	char name[2 * QUOTED_BYTES];

	(void)state;
	for (size_t len = QUOTED_BYTES - 20; len < QUOTED_BYTES + 20; len++) {
		struct quoted out;

		memset(name, 'a', len);
		name[len] = '\0';
		out = quote(name);
		assert_true(strlen(out.text) < sizeof out.text);
		assert_true(strcmp(out.text, name) == 0 ||
			    (out.text[0] == '\'' &&
			     strcmp(out.text + strlen(out.text) - 4, "...'") == 0));
		memset(name, '\'', len);
		out = quote(name);
		assert_true(strlen(out.text) < sizeof out.text);
		assert_string_equal(out.text + strlen(out.text) - 4, "...'");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain_names_stand_as_they_are),
	    cmocka_unit_test(test_other_names_are_quoted_as_a_shell_reads_them),
	    cmocka_unit_test(test_a_name_is_no_option),
	    cmocka_unit_test(test_a_long_name_is_cut_and_stays_one_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
