/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/column_rules.h"

static struct column_rules *open_rules(const struct column_rules_settings *settings)
{
	struct column_rules *rules;
	struct error err;

	if (column_rules_open(settings, &rules, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	return rules;
}

static struct column_rule find(const struct column_rules *rules, const char *table,
			       const char *column)
{
	struct column_rule rule;
	struct error err;

	assert_int_equal(column_rules_find(rules, table, column, &rule, &err), ST_OK);
	return rule;
}

static void test_no_rules_say_nothing(void **state)
{
	struct column_rule rule = find(NULL, "t", "a");

	(void)state;
	assert_false(rule.is_left_out);
	assert_false(rule.is_key);
	assert_null(rule.mask);
}

static void test_lists_choose_whole_names_in_any_case(void **state)
{
	struct column_rules_settings include = {.include_list = "t.a , u\\..*"};
	struct column_rules_settings exclude = {.exclude_list = "T.A"};
	struct column_rules *rules = open_rules(&include);

	(void)state;
	assert_false(find(rules, "t", "A").is_left_out);
	assert_true(find(rules, "t", "ab").is_left_out);
	assert_true(find(rules, "tt", "a").is_left_out);
	assert_false(find(rules, "u", "anything").is_left_out);
	column_rules_close(rules);
	rules = open_rules(&exclude);
	assert_true(find(rules, "t", "a").is_left_out);
	assert_false(find(rules, "t", "b").is_left_out);
	column_rules_close(rules);
}

static void test_keys_are_columns_of_tables(void **state)
{
	struct column_rules_settings settings = {.key_columns =
						     " t:a, b ; (u|v\\d{1,2}):c.*|d;"};
	struct column_rules *rules = open_rules(&settings);

	(void)state;
	assert_true(find(rules, "t", "a").is_key);
	assert_true(find(rules, "T", "B").is_key);
	assert_false(find(rules, "t", "c").is_key);
	assert_true(find(rules, "u", "cc").is_key);
	assert_true(find(rules, "v12", "d").is_key);
	assert_false(find(rules, "v123", "d").is_key);
	assert_false(find(rules, "u", "a").is_key);
	column_rules_close(rules);
}

static void test_of_several_masks_the_first_counts(void **state)
{
	const struct column_mask_setting masks[] = {
	    {"column.mask.with.3.chars", "t.a,t.b"},
	    {"column.truncate.to.2.chars", "t.b,t.c"},
	};
	struct column_rules_settings settings = {.masks = masks, .mask_count = 2};
	struct column_rules *rules = open_rules(&settings);

	(void)state;
	assert_int_equal(column_mask_kind(find(rules, "t", "b").mask), MASK_CHARS);
	assert_int_equal(column_mask_kind(find(rules, "t", "c").mask), MASK_TRUNCATE);
	assert_null(find(rules, "t", "d").mask);
	column_rules_close(rules);
}

static void check_refused(const struct column_rules_settings *settings,
			  const char *part)
{
	struct column_rules *rules;
	struct error err;

	assert_int_equal(column_rules_open(settings, &rules, &err), ST_CONFIG);
	if (!strstr(err.text, part) || strstr(err.text, "PEPPER")) {
		fail_msg("%s", err.text);
	}
}

static void test_settings_that_cannot_be_are_refused(void **state)
{
	const struct column_mask_setting hash[] = {
	    {"column.mask.hash.MD5.with.salt.PEPPER", "("}};

	(void)state;
	check_refused(
	    &(struct column_rules_settings){.include_list = "a", .exclude_list = "b"},
	    "exclude each other");
	check_refused(&(struct column_rules_settings){.exclude_list = "t.("},
		      "column.exclude.list");
	check_refused(&(struct column_rules_settings){.key_columns = "t"},
		      "TABLE:COLUMN");
	check_refused(&(struct column_rules_settings){.key_columns = "t:"},
		      "TABLE:COLUMN");
	check_refused(&(struct column_rules_settings){.key_columns = ":a"},
		      "TABLE:COLUMN");
	check_refused(&(struct column_rules_settings){.key_columns = "t:a,,b"},
		      "TABLE:COLUMN");
	check_refused(&(struct column_rules_settings){.key_columns = "t:("},
		      "message.key.columns");
	check_refused(&(struct column_rules_settings){.masks = hash, .mask_count = 1},
		      "column.mask.hash");
}

/* Each list and family, with a pattern that gives up. */
static void test_a_match_that_is_given_up_is_an_error_of_its_property(void **state)
{
	static const char hopeless[] = "t\\.(([a-z]+_?)+[0-9]|.*password)";
	static const char column[] =
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_password";
	const struct column_mask_setting masks[] = {
	    {"column.mask.with.4.chars", hopeless},
	    {"column.mask.hash.SHA-256.with.salt.pepper", hopeless},
	    {"column.truncate.to.4.chars", hopeless},
	};
	const struct {
		struct column_rules_settings settings;
		const char *property;
	} cases[] = {
	    {{.include_list = hopeless}, "column.include.list"},
	    {{.exclude_list = hopeless}, "column.exclude.list"},
	    {{.key_columns = "t:(([a-z]+_?)+[0-9]|.*password)"}, "message.key.columns"},
	    {{.masks = &masks[0], .mask_count = 1}, "column.mask.with.4.chars"},
	    {{.masks = &masks[1], .mask_count = 1}, "column.mask.hash.*"},
	    {{.masks = &masks[2], .mask_count = 1}, "column.truncate.to.4.chars"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct column_rules *rules = open_rules(&cases[i].settings);
		struct column_rule rule;
		struct error err = {.text = ""};

		assert_int_equal(column_rules_find(rules, "t", column, &rule, &err),
				 ST_CONFIG);
		assert_non_null(strstr(err.text, cases[i].property));
		assert_non_null(strstr(err.text, column));
		assert_null(strstr(err.text, "pepper"));
		column_rules_close(rules);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_rules_say_nothing),
	    cmocka_unit_test(test_lists_choose_whole_names_in_any_case),
	    cmocka_unit_test(test_keys_are_columns_of_tables),
	    cmocka_unit_test(test_of_several_masks_the_first_counts),
	    cmocka_unit_test(test_settings_that_cannot_be_are_refused),
	    cmocka_unit_test(test_a_match_that_is_given_up_is_an_error_of_its_property),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
