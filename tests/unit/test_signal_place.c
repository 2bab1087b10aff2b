/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/deliver/signal_place.h"

static const struct signal_places nothing;

static void check_comes_back(const char *before, const struct signal_places *places)
{
	struct signal_places back;
	struct buffer text;
	struct span rest;

	buffer_init(&text);
	buffer_add_str(&text, before);
	signal_places_add(places, &text);
	rest = signal_places_take((struct span){text.bytes, text.len}, &back);
	assert_true(signal_places_are_same(&back, places));
	assert_int_equal(rest.len, strlen(before));
	assert_true(rest.len == 0 || rest.bytes == text.bytes);
	buffer_clear(&text);
}

static void test_a_place_comes_back(void **state)
{
	static const struct signal_place least = {
	    .inode = 7, .taken = 1, .tail_len = 1, .tail_hash = 0};
	static const struct signal_place most = {.inode = UINT64_MAX,
						 .taken = INT64_MAX,
						 .tail_len = SIGNAL_TAIL_BYTES,
						 .tail_hash = UINT64_MAX};
	static const struct kafka_signals_place first = {.next = 1};
	static const struct kafka_signals_place last = {
	    .topic = UINT64_MAX, .next = INT64_MAX, .hash = UINT64_MAX};
	const struct signal_places places[] = {
	    {.file = {0}},
	    {.file = least},
	    {.file = most},
	    {.kafka = first},
	    {.kafka = last},
	    {.file = least, .kafka = first},
	    {.file = most, .kafka = last},
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
	signal_places_add(&nothing, &text);
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
	    "{}\nfile 1 0 0 ff",
	    "{}\nfile 1 2 0 ff",
	    "{}\nfile 1 2 3 ff",
	    "{}\nfile 1 9999 4097 ff",
	    "{}\nfile 1 9223372036854775808 1 ff",
	    "{}\nfile -1 -2 2 ff",
	    "{}\nfile x 2 2 ff",
	    "{}\nelif 1 2 2 ff",
	    "{}\nkafka 1 0 1",
	    "{}\nkafka 1 2",
	    "{}\nkafka 1 2 ff more",
	    "{}\nkafka 1 -2 ff",
	    "{}\nkafka 1 9223372036854775808 1",
	    "{}\n\n",
	    "{}\nfile 1                                                          "
	    "                                                                    "
	    "                                                         2 2 ff",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct span text = {lines[i], strlen(lines[i])};
		struct signal_places place = {.file = {.taken = 5}};
		struct span rest = signal_places_take(text, &place);

		assert_true(signal_places_are_same(&place, &nothing));
		assert_int_equal(rest.len, i == 0 ? 0 : 2);
	}
	assert_int_equal(signal_places_take((struct span){NULL, 0},
					    &(struct signal_places){.file = {0}})
			     .len,
			 0);
}

static void test_a_line_is_known_among_others(void **state)
{
	static const char text[] = "{}\nmore\nkafka a 3 b\n\nfile 1 2 2 ff\nkafka x";
	struct signal_places places;

	(void)state;
	assert_int_equal(
	    signal_places_take((struct span){text, sizeof text - 1}, &places).len, 2);
	assert_int_equal(places.file.inode, 1);
	assert_int_equal(places.file.tail_hash, 255);
	assert_int_equal(places.kafka.topic, 10);
	assert_int_equal(places.kafka.next, 3);
	assert_int_equal(places.kafka.hash, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_place_comes_back),
	    cmocka_unit_test(test_no_place_is_no_line),
	    cmocka_unit_test(test_another_line_says_that_nothing_was_taken),
	    cmocka_unit_test(test_a_line_is_known_among_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
