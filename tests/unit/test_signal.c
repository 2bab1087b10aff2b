/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/log.h"
#include "src/deliver/signal.h"
#include "src/deliver/signal_tables.h"

static struct span text(const char *bytes)
{
	return (struct span){bytes, bytes ? strlen(bytes) : 0};
}

static struct signal *parse(const char *id, const char *type, const char *data)
{
	struct signal *signal;
	struct error err;

	if (signal_parse(text(id), text(type), text(data), &signal, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	return signal;
}

static void check_bad(const char *type, const char *data, const char *what)
{
	struct signal *signal;
	struct error err;

	assert_int_equal(
	    signal_parse(text("an-id"), text(type), text(data), &signal, &err),
	    ST_CONFIG);
	if (!strstr(err.text, what)) {
		fail_msg("\"%s\" is not in: %s", what, err.text);
	}
	assert_non_null(strstr(err.text, "an-id"));
	for (const char *c = err.text; *c; c++) {
		assert_true((unsigned char)*c >= ' ');
	}
}

/* ---- what is taken ---- */

static void test_a_snapshot_has_its_tables_and_their_conditions(void **state)
{
	struct signal *s =
	    parse("ad-hoc-1", "execute-snapshot",
		  "{\"data-collections\":[\"a\",\"b.*\"],\"type\":\"INCREMENTAL\","
		  "\"additional-conditions\":[{\"data-collection\":\"a\","
		  "\"filter\":\"x > 1\"}],\"unknown\":[1]}");

	(void)state;
	assert_string_equal(s->id, "ad-hoc-1");
	assert_int_equal(s->type, SIGNAL_EXECUTE_SNAPSHOT);
	assert_false(s->is_blocking);
	assert_int_equal(s->pattern_count, 2);
	assert_string_equal(s->patterns[1], "b.*");
	assert_int_equal(s->condition_count, 1);
	assert_string_equal(s->conditions[0].table, "a");
	assert_string_equal(s->conditions[0].filter, "x > 1");
	signal_free(s);
}

static void test_the_kind_of_a_snapshot_is_written_in_any_case(void **state)
{
	struct signal *s =
	    parse("1", "execute-snapshot",
		  "{\"data-collections\":[\"a\"],\"type\":\"bLocking\"}");

	(void)state;
	assert_true(s->is_blocking);
	signal_free(s);
	s = parse("1", "execute-snapshot", "{\"data-collections\":[\"a\"]}");
	assert_false(s->is_blocking);
	signal_free(s);
}

static void test_the_old_condition_is_one_of_all_tables(void **state)
{
	const char *const names[] = {"t", "with\nline"};
	struct signal *s = parse("1", "execute-snapshot",
				 "{\"data-collections\":[\".*\"],"
				 "\"additional-condition\":\"id<9\"}");
	struct signal_tables tables;
	struct error err;

	(void)state;
	assert_int_equal(signal_tables_find(s, names, 2, &tables, &err), ST_OK);
	assert_int_equal(tables.count, 2);
	assert_string_equal(tables.list[0].filter, "id<9");
	assert_string_equal(tables.list[1].filter, "id<9");
	signal_tables_clear(&tables);
	signal_free(s);
}

static void test_what_needs_no_data_needs_none(void **state)
{
	static const char *const empty[] = {NULL, "", "  \n", "{}"};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct signal *s = parse("1", "pause-snapshot", empty[i]);

		assert_int_equal(s->type, SIGNAL_PAUSE_SNAPSHOT);
		signal_free(s);
		s = parse("1", "resume-snapshot", empty[i]);
		assert_int_equal(s->type, SIGNAL_RESUME_SNAPSHOT);
		signal_free(s);
		s = parse("1", "stop-snapshot", empty[i]);
		assert_int_equal(s->type, SIGNAL_STOP_SNAPSHOT);
		assert_int_equal(s->pattern_count, 0);
		signal_free(s);
	}
}

static void test_a_message_is_kept(void **state)
{
	struct signal *s = parse("log-1", "log", "{\"message\":\"offset is {}\"}");

	(void)state;
	assert_int_equal(s->type, SIGNAL_LOG);
	assert_string_equal(s->message, "offset is {}");
	signal_free(s);
}

static void test_a_missing_id_gets_one_that_nobody_else_has(void **state)
{
	struct signal *a = parse(NULL, "pause-snapshot", NULL);
	struct signal *b = parse("", "pause-snapshot", NULL);

	(void)state;
	assert_int_equal(strlen(a->id), 32);
	assert_int_equal(strspn(a->id, "0123456789abcdef"), 32);
	assert_int_equal(strlen(b->id), 32);
	assert_string_not_equal(a->id, b->id);
	signal_free(a);
	signal_free(b);
}

/* ---- what is not ---- */

static void test_what_is_wrong_is_said_with_the_signal(void **state)
{
	static const char *const bad[][3] = {
	    {"execute-snapshot", "{", "its data is no JSON object"},
	    {"execute-snapshot", "[]", "its data is no JSON object"},
	    {"execute-snapshot", "{\\\n\x1b", "its data is no JSON object"},
	    {"execute-snapshot", "{\"data-collections\":[\"a\\n(\"]}",
	     "does not compile"},
	    {"execute-snapshot", "{} x", "its data is no JSON object"},
	    {"execute-snapshot", "{}", "data-collections"},
	    {"execute-snapshot", "{\"data-collections\":[]}", "data-collections"},
	    {"execute-snapshot", "{\"data-collections\":\"a\"}", "data-collections"},
	    {"execute-snapshot", "{\"data-collections\":[1]}", "data-collections"},
	    {"execute-snapshot", "{\"data-collections\":[\"a\",null]}",
	     "data-collections"},
	    {"execute-snapshot", "{\"data-collections\":[\" \"]}", "is empty"},
	    {"execute-snapshot", "{\"data-collections\":[\"a(\"]}", "does not compile"},
	    {"execute-snapshot", "{\"data-collections\":[\"a\\\\\"]}",
	     "does not compile"},
	    {"execute-snapshot", "{\"data-collections\":[\"a\"],\"type\":\"full\"}",
	     "incremental or blocking"},
	    {"execute-snapshot", "{\"data-collections\":[\"a\"],\"type\":1}",
	     "incremental or blocking"},
	    {"execute-snapshot",
	     "{\"data-collections\":[\"a\"],\"additional-conditions\":{}}",
	     "additional-conditions"},
	    {"execute-snapshot",
	     "{\"data-collections\":[\"a\"],\"additional-conditions\":[1]}",
	     "additional-conditions"},
	    {"execute-snapshot",
	     "{\"data-collections\":[\"a\"],\"additional-conditions\":"
	     "[{\"data-collection\":\"a\",\"filter\":\" \"}]}",
	     "additional-conditions"},
	    {"execute-snapshot",
	     "{\"data-collections\":[\"a\"],\"additional-conditions\":"
	     "[{\"data-collection\":\"a)\",\"filter\":\"1\"}]}",
	     "does not compile"},
	    {"execute-snapshot",
	     "{\"data-collections\":[\"a\"],\"additional-condition\":7}",
	     "additional-condition"},
	    {"execute-snapshot", "{\"data-collections\":[\"a\\u0000b\"]}",
	     "no JSON object"},
	    {"stop-snapshot", "{\"data-collections\":3}", "data-collections"},
	    {"log", "{}", "message"},
	    {"log", "{\"message\":{}}", "message"},
	    {"log", "{\"message\":\"\xff\"}", "no JSON object"},
	    {"schema-changes", "{}", "no such type"},
	    {"Log", "{}", "no such type"},
	    {"", "{}", "no such type"},
	    {NULL, "{}", "no type"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		check_bad(bad[i][0], bad[i][1], bad[i][2]);
	}
}

static void test_sizes_and_depths_have_bounds(void **state)
{
	size_t len = SIGNAL_MAX_BYTES + 1;
	char *data = malloc(len + 1);
	char id[SIGNAL_MAX_ID + 2];
	struct signal *signal;
	struct error err;

	(void)state;
	assert_non_null(data);
	memset(data, ' ', len);
	data[len] = '\0';
	memcpy(data, "{}", 2);
	check_bad("pause-snapshot", data, "larger than 1 MiB");
	data[len - 1] = '\0';
	signal_free(parse("1", "pause-snapshot", data));
	memset(data, '[', len);
	memcpy(data, "{\"a\":", 5);
	check_bad("pause-snapshot", data, "larger than 1 MiB");
	data[len - 1] = '\0';
	check_bad("pause-snapshot", data, "no JSON object");
	free(data);
	memset(id, 'i', sizeof id);
	assert_int_equal(signal_parse((struct span){id, SIGNAL_MAX_ID + 1}, text("log"),
				      text("{\"message\":\"m\"}"), &signal, &err),
			 ST_CONFIG);
	id[SIGNAL_MAX_ID] = '\0';
	signal_free(parse(id, "pause-snapshot", NULL));
}

static void test_lists_have_bounds(void **state)
{
	char *data = malloc(64 << 10);
	size_t len = (size_t)sprintf(data, "{\"data-collections\":[\"a\"");

	(void)state;
	for (int i = 1; i < SIGNAL_MAX_LIST; i++) {
		len += (size_t)sprintf(data + len, ",\"a%d\"", i);
	}
	(void)strcpy(data + len, "]}");
	signal_free(parse("1", "execute-snapshot", data));
	(void)strcpy(data + len, ",\"b\"]}");
	check_bad("execute-snapshot", data, "1000 at most");
	free(data);
}

static void test_an_id_is_text_that_can_be_shown(void **state)
{
	static const struct span bad[] = {{"a\nb", 3},
					  {"a\0b", 3},
					  {"\xc3", 1},
					  {"\x1b[2J", 4},
					  {"a\xe2\x80\xae", 4}};
	struct signal *signal;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(signal_parse(bad[i], text("pause-snapshot"), text(""),
					      &signal, &err),
				 ST_CONFIG);
		assert_null(strpbrk(err.text, "\n\x1b"));
	}
	signal = parse("größe 1", "pause-snapshot", NULL);
	assert_string_equal(signal->id, "größe 1");
	signal_free(signal);
}

/* ---- lines ---- */

static void check_line(const char *line, enum status expected, bool expects_like)
{
	struct signal *signal = NULL;
	struct error err;
	bool is_like;

	assert_int_equal(signal_parse_line(text(line), &signal, &is_like, &err),
			 expected);
	assert_int_equal(is_like, expects_like);
	if (expected == ST_OK) {
		assert_int_equal(signal->type, SIGNAL_LOG);
		assert_string_equal(signal->message, "m");
	}
	signal_free(signal);
}

static void test_a_line_has_all_three(void **state)
{
	(void)state;
	check_line("{\"id\":\"1\",\"type\":\"log\",\"data\":{\"message\":\"m\"}}",
		   ST_OK, true);
	check_line("{\"type\":\"log\",\"data\":\"{\\\"message\\\":\\\"m\\\"}\"}", ST_OK,
		   true);
	check_line("{\"id\":null,\"type\":\"log\",\"data\":{\"message\":\"m\"}}", ST_OK,
		   true);
	check_line("{\"id\":1,\"type\":\"log\",\"data\":{\"message\":\"m\"}}",
		   ST_CONFIG, true);
	check_line("{\"id\":\"1\",\"type\":\"log\",\"data\":[]}", ST_CONFIG, true);
	check_line("{\"id\":\"1\",\"type\":\"log\"}", ST_CONFIG, true);
	check_line("{\"id\":\"1\",\"type\":{}}", ST_CONFIG, true);
	check_line("{\"before\":null,\"op\":\"c\"}", ST_CONFIG, false);
	check_line("one line of a log", ST_CONFIG, false);
	check_line("[1]", ST_CONFIG, false);
	check_line("", ST_CONFIG, false);
}

/* ---- tables ---- */

static const char *const names[] = {"orders", "order_lines", "Customers", "a,b", "x"};

static void check_tables(const char *data, const char *expected, size_t unmatched)
{
	struct signal *s = parse("1", "execute-snapshot", data);
	struct signal_tables tables;
	struct error err;
	char all[256] = "";

	assert_int_equal(signal_tables_find(s, names, 5, &tables, &err), ST_OK);
	for (size_t i = 0; i < tables.count; i++) {
		const struct signal_table *table = &tables.list[i];

		(void)sprintf(all + strlen(all), "%s%s%s%s", i > 0 ? " " : "",
			      names[table->index], table->filter ? ":" : "",
			      table->filter ? table->filter : "");
	}
	assert_string_equal(all, expected);
	assert_int_equal(tables.unmatched_count, unmatched);
	signal_tables_clear(&tables);
	signal_free(s);
}

static void test_tables_come_as_the_patterns_do_and_once(void **state)
{
	(void)state;
	check_tables("{\"data-collections\":[\"x\",\"order.*\",\".*\"]}",
		     "x orders order_lines Customers a,b", 0);
	check_tables("{\"data-collections\":[\"order\",\"rders\",\"customers\"]}",
		     "Customers", 2);
	check_tables("{\"data-collections\":[\"a,b\"]}", "a,b", 0);
	check_tables("{\"data-collections\":[\"a\\\\,b\"]}", "a,b", 0);
	check_tables("{\"data-collections\":[\"a[,]b|x{1,2}\"]}", "a,b x", 0);
}

static void test_the_first_condition_of_a_table_counts(void **state)
{
	(void)state;
	check_tables("{\"data-collections\":[\"order.*\",\"x\"],"
		     "\"additional-conditions\":["
		     "{\"data-collection\":\"orders\",\"filter\":\"1\"},"
		     "{\"data-collection\":\"ORDER.*\",\"filter\":\"2\"}]}",
		     "orders:1 order_lines:2 x", 0);
}

static void test_a_stop_without_patterns_is_of_all(void **state)
{
	struct signal *s = parse("1", "stop-snapshot", NULL);
	struct signal_tables tables;
	struct error err;

	(void)state;
	assert_int_equal(signal_tables_find(s, names, 5, &tables, &err), ST_OK);
	assert_int_equal(tables.count, 5);
	signal_tables_clear(&tables);
	signal_free(s);
}

static void test_a_pattern_that_gives_up_is_an_error(void **state)
{
	const char *const hard[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"};
	struct signal *s = parse("1", "execute-snapshot",
				 "{\"data-collections\":[\"(a*)*b\",\"(a|aa)+\"]}");
	struct signal_tables tables;
	struct error err;

	(void)state;
	assert_int_equal(signal_tables_find(s, hard, 1, &tables, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "cannot be decided"));
	assert_null(tables.list);
	signal_free(s);
}

static void test_a_collection_may_have_a_schema(void **state)
{
	(void)state;
	assert_true(signal_collection_is("debezium_signal", "debezium_signal"));
	assert_true(signal_collection_is("public.debezium_signal", "Debezium_Signal"));
	assert_true(signal_collection_is("db.public.s", "s"));
	assert_true(signal_collection_is("a.b", "a.b"));
	assert_false(signal_collection_is("xs", "s"));
	assert_false(signal_collection_is("s.t", "s"));
	assert_false(signal_collection_is("s", "public.s"));
	assert_false(signal_collection_is("s.", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_snapshot_has_its_tables_and_their_conditions),
	    cmocka_unit_test(test_the_kind_of_a_snapshot_is_written_in_any_case),
	    cmocka_unit_test(test_the_old_condition_is_one_of_all_tables),
	    cmocka_unit_test(test_what_needs_no_data_needs_none),
	    cmocka_unit_test(test_a_message_is_kept),
	    cmocka_unit_test(test_a_missing_id_gets_one_that_nobody_else_has),
	    cmocka_unit_test(test_what_is_wrong_is_said_with_the_signal),
	    cmocka_unit_test(test_sizes_and_depths_have_bounds),
	    cmocka_unit_test(test_lists_have_bounds),
	    cmocka_unit_test(test_an_id_is_text_that_can_be_shown),
	    cmocka_unit_test(test_a_line_has_all_three),
	    cmocka_unit_test(test_tables_come_as_the_patterns_do_and_once),
	    cmocka_unit_test(test_the_first_condition_of_a_table_counts),
	    cmocka_unit_test(test_a_stop_without_patterns_is_of_all),
	    cmocka_unit_test(test_a_pattern_that_gives_up_is_an_error),
	    cmocka_unit_test(test_a_collection_may_have_a_schema),
	};

	log_setup(LOG_ERROR, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
