/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/deliver/signal_place.h"

static const struct signal_place nothing;

static void check_comes_back(const char *before, const struct signal_place *place)
{
	struct signal_place back;
	struct buffer text;
	struct span rest;

	buffer_init(&text);
	buffer_add_str(&text, before);
	signal_place_add(place, &text);
	rest = signal_place_take((struct span){text.bytes, text.len}, &back);
	assert_true(signal_place_is_same(&back, place));
	assert_int_equal(rest.len, strlen(before));
	assert_true(rest.len == 0 || rest.bytes == text.bytes);
	buffer_clear(&text);
}

static void test_a_place_comes_back(void **state)
{
	static const struct signal_place places[] = {
	    {0},
	    {.inode = 7, .taken = 1, .tail_len = 1, .tail_hash = 0},
	    {.inode = UINT64_MAX,
	     .taken = INT64_MAX,
	     .tail_len = SIGNAL_TAIL_BYTES,
	     .tail_hash = UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		check_comes_back("{\"paused\":false,\"asked\":[]}", &places[i]);
		check_comes_back("", &places[i]);
	}
}

static void test_no_place_is_no_line(void **state)
{
	struct buffer text;

	(void)state;
	buffer_init(&text);
	signal_place_add(&nothing, &text);
	assert_int_equal(text.len, 0);
	buffer_clear(&text);
}

static void test_another_line_says_that_nothing_was_taken(void **state)
{
	static const char *const lines[] = {
	    "",
	    "{}",
	    "{}\n",
	    "{}\nfile",
	    "{}\nfile 1 2 2",
	    "{}\nfile 1 2 2 ff more",
	    "{}\nfile 1 2 2 ff\n",
	    "{}\nfile 1 0 0 ff",
	    "{}\nfile 1 2 0 ff",
	    "{}\nfile 1 2 3 ff",
	    "{}\nfile 1 9999 4097 ff",
	    "{}\nfile 1 9223372036854775808 1 ff",
	    "{}\nfile -1 -2 2 ff",
	    "{}\nfile x 2 2 ff",
	    "{}\nelif 1 2 2 ff",
	    "{}\nfile 1                                                          "
	    "                                                                    "
	    "                                                         2 2 ff",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct span text = {lines[i], strlen(lines[i])};
		struct signal_place place = {.taken = 5};
		struct span rest = signal_place_take(text, &place);

		assert_true(signal_place_is_same(&place, &nothing));
		assert_int_equal(rest.len, i == 0 ? 0 : 2);
	}
	assert_int_equal(
	    signal_place_take((struct span){NULL, 0}, &(struct signal_place){0}).len,
	    0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_place_comes_back),
	    cmocka_unit_test(test_no_place_is_no_line),
	    cmocka_unit_test(test_another_line_says_that_nothing_was_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
