/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/topic_name.h"
#include "src/config/transform_options.h"

#define FLAT    "io.debezium.transforms.ExtractNewRecordState"
#define REGEX   "org.apache.kafka.connect.transforms.RegexRouter"
#define LOGICAL "io.debezium.transforms.ByLogicalTableRouter"

/* `pairs`: options without their beginning and values, up to a NULL. */
static enum status open_options(const char *list, const char *const *pairs, bool flat,
				struct transforms **out, struct error *err)
{
	struct transform_options options = {.list = list ? strdup(list) : NULL};
	enum status status;

	*out = NULL;
	for (; *pairs; pairs += 2) {
		char key[128];

		(void)snprintf(key, sizeof key, "transforms.%s", pairs[0]);
		assert_int_equal(
		    transform_options_set(&options, 0, "-D ", key, pairs[1], err),
		    ST_OK);
	}
	status = transform_options_open(&options, flat, out, err);
	transform_options_clear(&options);
	return status;
}

static struct transforms *open_ok(const char *list, const char *const *pairs)
{
	struct transforms *transforms;
	struct error err;

	if (open_options(list, pairs, false, &transforms, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	return transforms;
}

#define OPEN(list, ...) open_ok(list, (const char *const[]){__VA_ARGS__, NULL})

static void check_refused_with(const char *text, bool flat, const char *list,
			       const char *const *pairs)
{
	struct transforms *transforms;
	struct error err = {.text = ""};

	assert_int_equal(open_options(list, pairs, flat, &transforms, &err), ST_CONFIG);
	assert_null(transforms);
	if (!strstr(err.text, text)) {
		fail_msg("\"%s\" has no \"%s\"", err.text, text);
	}
}

#define REFUSED(text, list, ...) \
	check_refused_with(text, false, list, (const char *const[]){__VA_ARGS__, NULL})

/* What becomes of a topic: the topic, and the end of keys. */
static void check_route(const struct transforms *transforms, const char *topic,
			const char *expected, const char *key_end)
{
	struct route route = {0};
	struct error err;

	if (transforms_route(transforms, (struct span){topic, strlen(topic)}, &route,
			     &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	assert_string_equal(route.topic.bytes, expected);
	assert_int_equal(route.is_other, strcmp(topic, expected) != 0);
	buffer_add_char(&route.key_end, '\0');
	assert_string_equal(route.key_end.bytes, key_end);
	route_clear(&route);
}

static void test_without_a_list_there_are_none(void **state)
{
	struct transforms *transforms = OPEN(NULL, NULL, NULL);

	(void)state;
	assert_null(transforms);
	assert_null(OPEN(" , ", NULL, NULL));
	assert_null(transforms_flat(NULL));
	check_route(NULL, "a.b", "a.b", "");
}

static void test_they_are_done_in_the_order_of_the_list(void **state)
{
	struct transforms *transforms;

	(void)state;
	transforms = OPEN(" one, two ", "two.type", REGEX, "two.regex", "b(.*)",
			  "two.replacement", "c$1", "one.type", "RegexRouter",
			  "one.regex", "a(.*)", "one.replacement", "b$1");
	check_route(transforms, "ax", "cx", "");
	check_route(transforms, "bx", "cx", "");
	check_route(transforms, "dx", "dx", "");
	transforms_close(transforms);
	transforms = OPEN("two,one", "two.type", REGEX, "two.regex", "b(.*)",
			  "two.replacement", "c$1", "one.type", "RegexRouter",
			  "one.regex", "a(.*)", "one.replacement", "b$1");
	check_route(transforms, "ax", "bx", "");
	transforms_close(transforms);
}

static void test_keys_say_which_topic_it_was(void **state)
{
	static const char id[] = ",\"__dbz__physicalTableIdentifier\":";
	struct transforms *transforms;
	char expected[100];

	(void)state;
	transforms = OPEN("l", "l.type", LOGICAL, "l.topic.regex", "s_(.*)",
			  "l.topic.replacement", "all");
	(void)snprintf(expected, sizeof expected, "%s\"s_a\"", id);
	check_route(transforms, "s_a", "all", expected);
	check_route(transforms, "a", "a", "");
	transforms_close(transforms);
	transforms =
	    OPEN("l", "l.type", LOGICAL, "l.topic.regex", "(.*)", "l.topic.replacement",
		 "all", "l.key.field.regex", "s_(.*)", "l.key.field.replacement", "$1",
		 "l.key.field.name", "where \"\xc3\xa9\"");
	check_route(transforms, "s_a", "all", ",\"where \\\"\xc3\xa9\\\"\":\"a\"");
	check_route(transforms, "a", "all", ",\"where \\\"\xc3\xa9\\\"\":\"a\"");
	transforms_close(transforms);
	transforms =
	    OPEN("l", "l.type", LOGICAL, "l.topic.regex", "(.*)", "l.topic.replacement",
		 "all", "l.key.enforce.uniqueness", "False");
	check_route(transforms, "s_a", "all", "");
	transforms_close(transforms);
}

static void test_a_name_that_no_topic_can_have_is_an_error(void **state)
{
	static const char *const bad[] = {"", "a/b", "..", ".", "a b", "\xc3\xa9"};
	struct route route;
	struct error err;
	char value[TOPIC_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
		struct transforms *transforms;
		bool is_long = i == sizeof bad / sizeof *bad;

		memset(value, 'x', sizeof value - 1);
		value[sizeof value - 1] = '\0';
		transforms = OPEN("r", "r.type", REGEX, "r.regex", "a", "r.replacement",
				  is_long ? value : bad[i]);
		memset(&route, 0, sizeof route);
		assert_int_equal(
		    transforms_route(transforms, (struct span){"a", 1}, &route, &err),
		    ST_CONFIG);
		assert_non_null(strstr(err.text, "no topic can be called so"));
		route_clear(&route);
		transforms_close(transforms);
	}
}

static void test_types_and_options_that_are_not_there_are_named(void **state)
{
	(void)state;
	REFUSED("transforms names u, but transforms.u.type is not set", "u", NULL);
	REFUSED("-D transforms.u.type=x.Y is not built: built in are " FLAT ", " REGEX
		" and " LOGICAL,
		"u", "u.type", "x.Y");
	REFUSED("-D transforms.u.drop.tombstones: ExtractNewRecordState has no such "
		"option; it has delete.tombstone.handling.mode, add.fields",
		"u", "u.type", FLAT, "u.drop.tombstones", "true");
	REFUSED("RegexRouter has no such option; it has regex, replacement", "u",
		"u.type", REGEX, "u.regex", "a", "u.replacement", "b", "u.x", "");
	REFUSED("transforms.u.regex is not set", "u", "u.type", REGEX, "u.replacement",
		"b");
	REFUSED("transforms.u.replacement is not set", "u", "u.type", REGEX, "u.regex",
		"a");
	REFUSED("transforms.u.topic.replacement is not set", "u", "u.type", LOGICAL,
		"u.topic.regex", "a", "u.topic.replacement", " ");
	REFUSED("transforms.u.key.field.replacement is not set", "u", "u.type", LOGICAL,
		"u.topic.regex", "a", "u.topic.replacement", "b", "u.key.field.regex",
		"c");
	REFUSED("-D transforms.u.predicate: predicates are not built", "u", "u.type",
		FLAT, "u.predicate", "p");
	REFUSED("-D transforms.u.negate: ", "u", "u.type", FLAT, "u.negate", "true");
	REFUSED("-D transforms.v.type is set, but the list transforms", "u", "u.type",
		FLAT, "v.type", FLAT);
	REFUSED("-D transforms.u.type is set, but the list transforms", NULL, "u.type",
		FLAT);
	REFUSED("u is named twice", "u,u", "u.type", FLAT);
}

static void test_values_that_cannot_be_are_refused(void **state)
{
	(void)state;
	REFUSED("must be drop, tombstone, rewrite, rewrite-with-tombstone or "
		"delete-to-tombstone",
		"u", "u.type", FLAT, "u.delete.tombstone.handling.mode", "none");
	REFUSED("transforms.u.replace.null.with.default=x: must be true or false", "u",
		"u.type", FLAT, "u.replace.null.with.default", "x");
	REFUSED("no event has a header", "u", "u.type", FLAT,
		"u.drop.fields.header.name", "h");
	REFUSED("depend on a row's values", "u", "u.type", FLAT, "u.route.by.field",
		"name");
	REFUSED("must be none, avro or avro_unicode", "u", "u.type", LOGICAL,
		"u.topic.regex", "a", "u.topic.replacement", "b",
		"u.schema.name.adjustment.mode", "x");
	REFUSED("transforms.u.add.fields: before: events have no such field", "u",
		"u.type", FLAT, "u.add.fields", "op,before");
	REFUSED("transforms.u.add.headers: transaction.op: ", "u", "u.type", FLAT,
		"u.add.headers", "transaction.op");
	REFUSED("one name belongs behind the colon", "u", "u.type", FLAT,
		"u.add.fields", "op:a:b");
	REFUSED("two have this name", "u", "u.type", FLAT, "u.add.fields", "op,lsn:op");
	REFUSED("__deleted is there anyway", "u", "u.type", FLAT, "u.add.fields",
		"op:deleted", "u.delete.tombstone.handling.mode", "rewrite");
	REFUSED("transforms.u.regex: \"(a\" does not compile", "u", "u.type", REGEX,
		"u.regex", "(a", "u.replacement", "x");
}

static void test_two_that_add_the_same_exclude_each_other(void **state)
{
	(void)state;
	REFUSED("rows are flat after the first", "a,b", "a.type", FLAT, "b.type", FLAT);
	REFUSED("transforms.a.key.field.name and transforms.b.key.field.name are the "
		"same, __dbz__physicalTableIdentifier",
		"a,b", "a.type", LOGICAL, "a.topic.regex", "a", "a.topic.replacement",
		"b", "b.type", LOGICAL, "b.topic.regex", "a", "b.topic.replacement",
		"b");
	check_refused_with("--lines=flat and transforms.a.type", true, "a",
			   (const char *const[]){"a.type", FLAT, NULL});
}

static void test_an_option_of_a_higher_rank_counts(void **state)
{
	struct transform_options options = {0};
	struct error err;

	(void)state;
	assert_int_equal(
	    transform_options_set(&options, 1, "-D ", "transforms.u.b", "1", &err),
	    ST_OK);
	assert_int_equal(
	    transform_options_set(&options, 0, "f:1: ", "transforms.u.b", "0", &err),
	    ST_OK);
	assert_int_equal(
	    transform_options_set(&options, 0, "f:1: ", "transforms.u.a", "2", &err),
	    ST_OK);
	assert_int_equal(
	    transform_options_set(&options, 0, "f:2: ", "transforms.u.a", "3", &err),
	    ST_OK);
	assert_int_equal(options.count, 2);
	assert_string_equal(options.options[0].key, "u.a");
	assert_string_equal(options.options[0].value, "3");
	assert_string_equal(options.options[1].value, "1");
	transform_options_clear(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_without_a_list_there_are_none),
	    cmocka_unit_test(test_they_are_done_in_the_order_of_the_list),
	    cmocka_unit_test(test_keys_say_which_topic_it_was),
	    cmocka_unit_test(test_a_name_that_no_topic_can_have_is_an_error),
	    cmocka_unit_test(test_types_and_options_that_are_not_there_are_named),
	    cmocka_unit_test(test_values_that_cannot_be_are_refused),
	    cmocka_unit_test(test_two_that_add_the_same_exclude_each_other),
	    cmocka_unit_test(test_an_option_of_a_higher_rank_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
