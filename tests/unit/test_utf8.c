/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/status.h"
#include "src/base/utf8.h"

static void check_safe(const char *text, const char *expected)
{
	char copy[100];

	(void)snprintf(copy, sizeof copy, "%s", text);
	utf8_make_safe(copy);
	assert_string_equal(copy, expected);
}

static void test_what_steers_a_terminal_is_a_question_mark(void **state)
{
	(void)state;
	check_safe("", "");
	check_safe("plain \"text\" \\", "plain \"text\" \\");
	check_safe("a\nb\rc\td", "a?b?c?d");
	check_safe("\033[2J\177", "?[2J?");
	check_safe("\xc2\x85\xc2\x9b", "??");         /* NEL, CSI */
	check_safe("\xe2\x80\xa8\xe2\x80\xa9", "??"); /* U+2028, U+2029 */
	check_safe("a\xe2\x80\xae"
		   "b",
		   "a?b");                              /* U+202E */
	check_safe("\xe2\x81\xa6x\xe2\x81\xa9", "?x?"); /* U+2066, U+2069 */
	check_safe("\xd8\x9c\xe2\x80\x8f\xef\xbb\xbf", "???");
	check_safe("\xf3\xa0\x81\x81", "?"); /* a tag */
	check_safe("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac"
							   "\xf0\x9f\x98\x80");
}

static void test_what_is_no_text_is_a_question_mark(void **state)
{
	(void)state;
	check_safe("\xff", "?");
	check_safe("a\xe2\x82", "a?");
	check_safe("\xe2\x82z", "?z");
	check_safe("\xed\xa0\x80", "???");
	check_safe("\xc0\x80", "??");
	check_safe("\x9b"
		   "1m",
		   "?1m");
}

static void test_no_cut_goes_through_a_character(void **state)
{
	static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z";
	static const size_t ends[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};

	(void)state;
	for (size_t max = 0; max < sizeof ends / sizeof *ends; max++) {
		assert_int_equal(utf8_cut(text, sizeof text - 1, max), ends[max]);
	}
	/* What is broken is no reason to cut more. */
	assert_int_equal(utf8_cut("\x80\x80\x80\x80\x80", 5, 4), 4);
	assert_int_equal(utf8_cut("abc\xe2\x82", 5, 5), 3);
}

static void test_a_long_name_is_shown_as_its_beginning(void **state)
{
	char name[1000];
	const char *shown;

	(void)state;
	assert_string_equal(SHORT_NAME("orders"), "orders");
	for (size_t i = 0; i + 2 < sizeof name; i += 2) {
		memcpy(name + i, "\xc3\xa4", 3);
	}
	shown = SHORT_NAME(name);
	assert_true(strlen(shown) < UTF8_NAME_SIZE);
	assert_memory_equal(shown, name, strlen(shown) - 3);
	assert_string_equal(shown + strlen(shown) - 3, "\xe2\x80\xa6");
	memset(name, 'x', UTF8_NAME_SIZE - 1);
	name[UTF8_NAME_SIZE - 1] = '\0';
	assert_ptr_equal(SHORT_NAME(name), name);
}

/* However long, and wherever the end falls. */
static void test_errors_are_cut_between_characters(void **state)
{
	char name[3000] = "";
	struct error err;

	(void)state;
	for (size_t i = 0; i + 3 < sizeof name; i += 3) {
		memcpy(name + i, "\xe2\x82\xac", 4);
	}
	for (int pad = 0; pad < 3; pad++) {
		char safe[sizeof err.text];

		(void)error_set(&err, ST_IO, "%.*s%s", pad, "xyz", name);
		strcpy(safe, err.text);
		utf8_make_safe(safe);
		assert_string_equal(safe, err.text);
		(void)error_wrap(&err, "%.*s%s", pad, "xyz", name);
		strcpy(safe, err.text);
		utf8_make_safe(safe);
		assert_string_equal(safe, err.text);
		(void)error_add(&err, name);
		(void)error_set_errno(&err, 2, "%.*s%s", pad, "xyz", name);
		strcpy(safe, err.text);
		utf8_make_safe(safe);
		assert_string_equal(safe, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_steers_a_terminal_is_a_question_mark),
	    cmocka_unit_test(test_what_is_no_text_is_a_question_mark),
	    cmocka_unit_test(test_no_cut_goes_through_a_character),
	    cmocka_unit_test(test_a_long_name_is_shown_as_its_beginning),
	    cmocka_unit_test(test_errors_are_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
