/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "schemas/key_header.h"

static void check(const char *payload, const char *expected)
{
	struct span span = {payload, strlen(payload)};
	struct buffer b;

	buffer_init(&b);
	key_header_add(&b, span);
	buffer_add_char(&b, '\0');
	assert_true(buffer_ok(&b));
	assert_string_equal(b.bytes, expected);
	buffer_clear(&b);
}

static void check_same(const char *payload)
{
	check(payload, payload);
}

static void test_a_key_of_one_column_stays(void **state)
{
	(void)state;
	check_same("{\"id\":7}");
	check_same("{\"id\":true}");
	check_same("{\"id\":\"2024-01-02\"}");
	check_same("{\"2024-01-02\":1}");
}

static void test_a_key_of_one_type_stays(void **state)
{
	(void)state;
	check_same("{\"a\":1,\"b\":-2.5,\"c\":1e300}");
	check_same("{\"a\":true,\"b\":false}");
	check_same("{\"a\":\"x\",\"b\":\"1\",\"c\":\"\"}");
	check_same("{\"a\":\"say \\\"x\\\"\",\"b\":\"{},[]:\\\\\"}");
}

static void test_values_of_several_types_become_strings(void **state)
{
	(void)state;
	check("{\"a\":\"x\",\"b\":5}", "{\"a\":\"x\",\"b\":\"5\"}");
	check("{\"a\":5,\"b\":true}", "{\"a\":\"5\",\"b\":\"true\"}");
	check("{\"a\":-1.5,\"b\":\"\\\\\",\"c\":false}",
	      "{\"a\":\"-1.5\",\"b\":\"\\\\\",\"c\":\"false\"}");
	check("{\"a\":\",\\\"b\\\":1}\",\"b\":0}",
	      "{\"a\":\",\\\"b\\\":1}\",\"b\":\"0\"}");
}

static void test_a_string_like_a_date_gets_an_escape(void **state)
{
	(void)state;
	check("{\"a\":\"2024-01-02\",\"b\":\"x\"}",
	      "{\"a\":\"2024\\u002d01-02\",\"b\":\"x\"}");
	check("{\"a\":\"12:30:00.000Z\",\"b\":1}",
	      "{\"a\":\"12\\u003a30:00.000Z\",\"b\":\"1\"}");
	check("{\"a\":\"2024-01-02T03:04:05.678Z\",\"b\":\"2024-01-02\"}",
	      "{\"a\":\"2024\\u002d01-02T03:04:05.678Z\",\"b\":\"2024\\u002d01-02\"}");
	/* A name, too; a longer or shorter string is none. */
	check("{\"2024-01-02\":\"x\",\"b\":\"2024-01-023\",\"c\":\"2024-01-0\"}",
	      "{\"2024\\u002d01-02\":\"x\",\"b\":\"2024-01-023\",\"c\":\"2024-01-0\"}");
	check("{\"2024-01-02\":1,\"b\":2}", "{\"2024\\u002d01-02\":1,\"b\":2}");
	/* Counted as Java does: digits of other scripts, and pairs of surrogates. */
	check("{\"a\":\"٢٠٢٤-٠١-٠٢\",\"b\":\"1-1-1🎈abc\"}",
	      "{\"a\":\"٢٠٢٤\\u002d٠١-٠٢\",\"b\":\"1\\u002d1-1🎈abc\"}");
}

/* What was made reads as strings of the same text. */
static void test_it_is_the_same_in_json(void **state)
{
	static const char *const keys[] = {
	    "{\"a\":\"2024-01-02\",\"b\":-17}",
	    "{\"a\":\"\\u0001\\\\\\\"-:abcdef\",\"b\":\"03:04:05.678Z\"}",
	    "{\"a\\\"\":true,\"\":\"\",\"c\":0.1}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		struct buffer b;
		json_t *before = json_loads(keys[i], JSON_DECODE_ANY, NULL);
		json_t *after, *value;
		const char *name;

		buffer_init(&b);
		key_header_add(&b, (struct span){keys[i], strlen(keys[i])});
		after = json_loadb(b.bytes, b.len, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(after);
		assert_int_equal(json_object_size(before), json_object_size(after));
		json_object_foreach(before, name, value)
		{
			json_t *other = json_object_get(after, name);
			char *text = json_dumps(value, JSON_ENCODE_ANY);

			assert_true(json_is_string(other));
			if (json_is_string(value)) {
				assert_true(json_equal(value, other));
			} else if (!json_is_real(value)) {
				assert_string_equal(json_string_value(other), text);
			}
			free(text);
		}
		json_decref(before);
		json_decref(after);
		buffer_clear(&b);
	}
}

/* Never beyond its end. */
static void test_a_key_that_is_cut_off_is_left_there(void **state)
{
	static const char whole[] = "{\"a\":\"2024-01-02\\\\\",\"b\":-17,\"c\":true}";

	(void)state;
	for (size_t len = 0; len < sizeof whole - 1; len++) {
		char *part = malloc(len ? len : 1); /* no byte more */
		struct buffer b;

		assert_non_null(part);
		memcpy(part, whole, len);
		buffer_init(&b);
		key_header_add(&b, (struct span){part, len});
		assert_true(buffer_ok(&b));
		buffer_clear(&b);
		free(part);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_key_of_one_column_stays),
	    cmocka_unit_test(test_a_key_of_one_type_stays),
	    cmocka_unit_test(test_values_of_several_types_become_strings),
	    cmocka_unit_test(test_a_string_like_a_date_gets_an_escape),
	    cmocka_unit_test(test_it_is_the_same_in_json),
	    cmocka_unit_test(test_a_key_that_is_cut_off_is_left_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
