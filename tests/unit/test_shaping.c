/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/config/settings.h"
#include "src/config/shaping.h"

#define HASH "column.mask.hash.SHA-256.with.salt."

/* The text of a config with these properties, pairs of key and value up to a NULL. */
static void text_of(struct buffer *out, const char *const *pairs)
{
	struct config config;
	struct error err;

	buffer_init(out);
	config_init(&config);
	assert_int_equal(config_set(&config, CONFIG_DEFINE, "-D ", "database.file.path",
				    "/data/app.db", &err),
			 ST_OK);
	for (; *pairs; pairs += 2) {
		if (config_set(&config, CONFIG_DEFINE, "-D ", pairs[0], pairs[1],
			       &err) != ST_OK) {
			fail_msg("%s", err.text);
		}
	}
	if (config_finish(&config, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	assert_true(shaping_add(&config, out));
	buffer_add_char(out, '\0');
	assert_true(buffer_ok(out));
	config_clear(&config);
}

#define TEXT_OF(out, ...) text_of((out), (const char *const[]){__VA_ARGS__, NULL})

static void add_difference(void *context, const char *name, const char *was,
			   const char *is)
{
	struct buffer *b = context;

	buffer_add_str(b, name);
	buffer_add_str(b, ":");
	buffer_add_str(b, was ? was : "-");
	buffer_add_str(b, ">");
	buffer_add_str(b, is ? is : "-");
	buffer_add_str(b, "|");
}

static void check_differences(const char *was, const char *is, const char *expected)
{
	struct buffer b;

	buffer_init(&b);
	(void)shaping_compare(was, is, add_difference, &b);
	buffer_add_char(&b, '\0');
	assert_string_equal(b.bytes, expected);
	buffer_clear(&b);
}

static void check_same(const struct buffer *a, const struct buffer *b, bool same)
{
	assert_int_equal(strcmp(a->bytes, b->bytes) == 0, same);
	assert_int_equal(
	    shaping_hash(a->bytes, a->len) == shaping_hash(b->bytes, b->len), same);
}

static void test_defaults_and_spellings_make_no_difference(void **state)
{
	struct buffer plain, spelt;

	(void)state;
	TEXT_OF(&plain, NULL);
	TEXT_OF(&spelt, "tombstones.on.delete", "TRUE", "binary.handling.mode", "Bytes",
		"topic.delimiter", ".", "skipped.operations", "t", "topic.prefix",
		"app", "hold.escalate", "false", "table.include.list", "");
	check_same(&plain, &spelt, true);
	assert_non_null(strstr(plain.bytes, "\ntopic.prefix=app\n"));
	assert_non_null(strstr(plain.bytes, "\ndatabase.file.path=app.db\n"));
	assert_null(strstr(plain.bytes, "hold."));
	buffer_clear(&plain);
	buffer_clear(&spelt);
}

static void test_transforms_are_told_option_by_option(void **state)
{
	struct buffer was, is;

	(void)state;
	TEXT_OF(&was, "transforms", "u", "transforms.u.type", "ExtractNewRecordState",
		"transforms.u.add.fields", "op");
	TEXT_OF(&is, "transforms.u.delete.tombstone.handling.mode", "drop",
		"transforms.u.type", "ExtractNewRecordState", "transforms", "u");
	check_differences(was.bytes, is.bytes,
			  "transforms.u.add.fields:op>-|"
			  "transforms.u.delete.tombstone.handling.mode:->drop|");
	assert_non_null(strstr(is.bytes,
			       "\ntransforms=u\n"
			       "transforms.u.delete.tombstone.handling.mode=drop\n"
			       "transforms.u.type=ExtractNewRecordState\n"));
	buffer_clear(&was);
	buffer_clear(&is);
}

static void test_differences_are_told_by_name(void **state)
{
	struct buffer was, is;

	(void)state;
	TEXT_OF(&was, "include.schema.changes", "true", "table.include.list", "a");
	TEXT_OF(&is, "skipped.operations", "d,c", "table.exclude.list", "a");
	check_same(&was, &is, false);
	check_differences(was.bytes, is.bytes,
			  "table.include.list:a>-|include.schema.changes:true>false|"
			  "skipped.operations:none>c,d|table.exclude.list:->a|");
	check_differences(was.bytes, was.bytes, "");
	/* Of another version, or damaged. */
	check_differences("a\n=\nb=1", "b=2\n", "a:>-|:>-|b:1>2|");
	check_differences("", "x=1\n", "x:->1|");
	buffer_clear(&was);
	buffer_clear(&is);
}

static void test_salts_are_told_apart_and_not_told(void **state)
{
	struct buffer was, is, both, told;

	(void)state;
	TEXT_OF(&was, HASH "pepper", "t.a");
	TEXT_OF(&is, HASH "cumin", "t.a");
	TEXT_OF(&both, HASH "pepper", "t.a", HASH "cumin", "t.b");
	check_same(&was, &is, false);
	assert_null(strstr(both.bytes, "pepper"));
	assert_null(strstr(both.bytes, "cumin"));
	assert_non_null(strstr(both.bytes, HASH "*=t.a (salt #"));
	/* One of them is new: the other is the one that was. */
	buffer_init(&told);
	assert_int_equal(shaping_compare(was.bytes, both.bytes, add_difference, &told),
			 1);
	buffer_add_char(&told, '\0');
	assert_non_null(strstr(told.bytes, HASH "*:->t.b (salt #"));
	buffer_clear(&told);
	buffer_clear(&was);
	buffer_clear(&is);
	buffer_clear(&both);
}

static void test_the_order_of_masks_counts_and_that_of_statements_does_not(void **state)
{
	struct buffer one, other;

	(void)state;
	TEXT_OF(&one, "column.mask.with.1.chars", "t.a", "column.truncate.to.2.chars",
		"t.a");
	TEXT_OF(&other, "column.truncate.to.2.chars", "t.a", "column.mask.with.1.chars",
		"t.a");
	check_same(&one, &other, false);
	check_differences(one.bytes, other.bytes, "");
	buffer_clear(&one);
	buffer_clear(&other);

#define OVERRIDE "snapshot.select.statement.overrides"
	TEXT_OF(&one, OVERRIDE, "a,b", OVERRIDE ".a", "SELECT\n1", OVERRIDE ".b",
		"SELECT '\\'");
	TEXT_OF(&other, OVERRIDE, "a,b", OVERRIDE ".b", "SELECT '\\'", OVERRIDE ".a",
		"SELECT\n1");
	check_same(&one, &other, true);
	assert_non_null(strstr(one.bytes, OVERRIDE ".a=SELECT\\n1\n"));
	assert_non_null(strstr(one.bytes, OVERRIDE ".b=SELECT '\\\\'\n"));
	buffer_clear(&one);
	buffer_clear(&other);
}

static void test_a_value_is_found_by_its_name(void **state)
{
	struct buffer value;

	(void)state;
	buffer_init(&value);
	assert_false(shaping_find("topic.prefix.x=1\n", "topic.prefix", &value));
	assert_true(shaping_find("a=1\ntopic.prefix=p=q\n", "topic.prefix", &value));
	assert_int_equal(value.len, 3);
	assert_memory_equal(value.bytes, "p=q", 3);
	buffer_clear(&value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults_and_spellings_make_no_difference),
	    cmocka_unit_test(test_differences_are_told_by_name),
	    cmocka_unit_test(test_transforms_are_told_option_by_option),
	    cmocka_unit_test(test_salts_are_told_apart_and_not_told),
	    cmocka_unit_test(
		test_the_order_of_masks_counts_and_that_of_statements_does_not),
	    cmocka_unit_test(test_a_value_is_found_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
