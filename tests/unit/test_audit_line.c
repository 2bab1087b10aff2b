/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "schemas/audit_line.h"
#include "schemas/encoder.h"
#include "schemas/table_plan.h"

#define CAPTURED_NS INT64_C(1794058675200999999)
#define TIME        "\"time\":\"2026-11-07T13:37:55.200Z\""

/* ---- tables ---- */

static struct column shop_columns[] = {
    {.name = "id", .key_position = 1, .is_rowid = true},
    {.name = "status"},
    {.name = "price"},
    {.name = "picture"},
};
static uint32_t first_key[] = {0};
static const struct table shop = {.name = "orders",
				  .sql = "CREATE TABLE orders(id INTEGER PRIMARY KEY, "
					 "status, price, picture)",
				  .encoding = TEXT_UTF8,
				  .column_count = 4,
				  .columns = shop_columns,
				  .key_count = 1,
				  .key_columns = first_key};
static const struct table keyless = {
    .name = "log", .encoding = TEXT_UTF8, .column_count = 4, .columns = shop_columns};
static struct column odd_columns[] = {
    {.name = "é \"b\"", .key_position = 2},
    {.name = "a name\\with more than sixteen bytes\n", .key_position = 1},
    {.name = ""},
};
static uint32_t odd_key[] = {1, 0};
static const struct table odd = {.name = "Täble \"x\"\\",
				 .encoding = TEXT_UTF8,
				 .without_rowid = true,
				 .column_count = 3,
				 .columns = odd_columns,
				 .key_count = 2,
				 .key_columns = odd_key};

static struct value integer(int64_t v)
{
	return (struct value){.class = VALUE_INTEGER, .integer = v};
}

static struct value real(double v)
{
	return (struct value){.class = VALUE_REAL, .real = v};
}

static struct value text(const char *s)
{
	return (struct value){.class = VALUE_TEXT,
			      .len = (uint32_t)strlen(s),
			      .bytes = (const uint8_t *)s};
}

static struct value blob(const char *s, size_t len)
{
	return (struct value){
	    .class = VALUE_BLOB, .len = (uint32_t)len, .bytes = (const uint8_t *)s};
}

static struct value null(void)
{
	return (struct value){.class = VALUE_NULL};
}

/* ---- lines ---- */

struct fixture {
	struct encoder_settings settings;
	struct encoder *encoder;
	struct table_plan *plan;
	struct message out[ENCODER_MESSAGES_MAX];
	size_t count;
	struct error err;
};

static void open_fixture(struct fixture *f, const struct table *table, bool full_rows)
{
	memset(f, 0, sizeof *f);
	f->settings = (struct encoder_settings){.version = "1",
						.database_name = "app",
						.topic_prefix = "app",
						.topic_delimiter = ".",
						.topic_transaction = "transaction",
						.transaction_metadata = true,
						.tombstones_on_delete = true,
						.audit_full_rows = full_rows,
						.audit_lines = true};
	assert_int_equal(encoder_open(&f->settings, &f->encoder, &f->err), ST_OK);
	assert_int_equal(encoder_plan(f->encoder, table, &f->plan, &f->err), ST_OK);
}

static void close_fixture(struct fixture *f)
{
	table_plan_close(f->plan);
	encoder_close(f->encoder);
}

static void begin(struct fixture *f, uint64_t lsn)
{
	struct encoder_transaction txn = {.lsn = lsn, .captured_ns = CAPTURED_NS};

	encoder_begin(f->encoder, &txn);
}

/* The one message is the body `expected`, and nothing else. */
/* The line is JSON and ends so. */
static void check_end(const struct fixture *f, const char *expected)
{
	const struct span line = f->out[0].value;
	size_t len = strlen(expected);
	char *whole = NULL;
	json_t *json;

	assert_true(asprintf(&whole, "{%.*s", (int)line.len, line.bytes) > 0);
	json = json_loads(whole, 0, NULL);
	free(whole);
	assert_non_null(json);
	json_decref(json);
	assert_true(line.len > len);
	if (memcmp(line.bytes + line.len - len, expected, len) != 0) {
		fail_msg("got      %.*s\nexpected %s", (int)line.len, line.bytes,
			 expected);
	}
}

static void check_line(const struct fixture *f, const char *expected)
{
	const struct message *m = &f->out[0];
	char *line = NULL;
	json_t *json;

	assert_int_equal(f->count, 1);
	assert_null(m->key.bytes);
	assert_null(m->topic.bytes);
	assert_int_equal(m->header_count, 0);
	if (m->value.len != strlen(expected) ||
	    memcmp(m->value.bytes, expected, m->value.len) != 0) {
		fail_msg("got      %.*s\nexpected %s", (int)m->value.len,
			 m->value.bytes, expected);
	}
	assert_true(
	    asprintf(&line, "{\"n\":1,%.*s", (int)m->value.len, m->value.bytes) > 0);
	json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	json_decref(json);
	free(line);
}

static void change(struct fixture *f, enum change_op op, int64_t rowid,
		   const struct value *before, const struct value *after)
{
	struct change c = {.op = op, .rowid = rowid, .before = before, .after = after};

	assert_int_equal(
	    encoder_change(f->encoder, f->plan, &c, f->out, &f->count, &f->err), ST_OK);
}

/* ---- tests ---- */

static void test_an_insert_has_the_new_row_with_values_of_all_classes(void **state)
{
	struct value row[] = {integer(42), text("n\xc3\xa9w \"q\"\\\n"), real(1.5),
			      blob("\x00\xff\x10", 3)};
	struct fixture f;

	(void)state;
	open_fixture(&f, &shop, false);
	begin(&f, 1451);
	change(&f, CHANGE_CREATE, 42, NULL, row);
	check_line(&f,
		   TIME ",\"txn\":1451,\"change_id\":1,\"op\":\"insert\",\"table\":"
			"\"orders\",\"key\":{\"id\":42},\"new\":{\"id\":42,\"status\":"
			"\"n\xc3\xa9w \\\"q\\\"\\\\\\n\",\"price\":1.5,\"picture\":"
			"\"AP8Q\"}}");
	row[1] = text("\xff"
		      "a\xc3");
	row[2] = null();
	row[3] = blob("", 0);
	change(&f, CHANGE_CREATE, 42, NULL, row);
	check_line(&f,
		   TIME ",\"txn\":1451,\"change_id\":2,\"op\":\"insert\",\"table\":"
			"\"orders\",\"key\":{\"id\":42},\"new\":{\"id\":42,\"status\":"
			"\"\xef\xbf\xbd"
			"a\xef\xbf\xbd\",\"price\":null,\"picture\":\"\"}}");
	close_fixture(&f);
}

static void test_an_update_has_what_changed_and_nothing_else(void **state)
{
	struct value was[] = {integer(42), text("new"), integer(1), null()};
	struct value is[] = {integer(42), text("paid"), integer(1), null()};
	struct fixture f;

	(void)state;
	open_fixture(&f, &shop, false);
	begin(&f, 7);
	change(&f, CHANGE_UPDATE, 42, was, is);
	check_line(&f, TIME ",\"txn\":7,\"change_id\":1,\"op\":\"update\",\"table\":"
			    "\"orders\",\"key\":{\"id\":42},\"changed\":{\"status\":"
			    "[\"new\",\"paid\"]}}");
	is[1] = was[1];
	is[2] = real(1.0); /* another class is another value */
	is[3] = blob("x", 1);
	change(&f, CHANGE_UPDATE, 42, was, is);
	check_line(&f, TIME ",\"txn\":7,\"change_id\":2,\"op\":\"update\",\"table\":"
			    "\"orders\",\"key\":{\"id\":42},\"changed\":{\"price\":"
			    "[1,1.0],\"picture\":[null,\"eA==\"]}}");
	close_fixture(&f);
}

static void test_full_rows_stand_behind_what_changed(void **state)
{
	struct value was[] = {integer(1), text("a"), null(), null()};
	struct value is[] = {integer(1), text("b"), null(), null()};
	struct fixture f;

	(void)state;
	open_fixture(&f, &shop, true);
	begin(&f, 7);
	change(&f, CHANGE_UPDATE, 1, was, is);
	check_line(&f, TIME ",\"txn\":7,\"change_id\":1,\"op\":\"update\",\"table\":"
			    "\"orders\",\"key\":{\"id\":1},\"changed\":{\"status\":"
			    "[\"a\",\"b\"]},\"old\":{\"id\":1,\"status\":\"a\","
			    "\"price\":null,\"picture\":null},\"new\":{\"id\":1,"
			    "\"status\":\"b\",\"price\":null,\"picture\":null}}");
	close_fixture(&f);
}

static void test_a_delete_has_the_old_row_and_a_baseline_the_new_one(void **state)
{
	struct value row[] = {integer(1), null(), null(), null()};
	struct encoder_transaction txn = {
	    .lsn = 3, .captured_ns = CAPTURED_NS, .is_snapshot = true};
	struct fixture f;

	(void)state;
	open_fixture(&f, &shop, false);
	encoder_begin(f.encoder, &txn);
	change(&f, CHANGE_READ, 1, NULL, row);
	check_line(&f, TIME ",\"txn\":3,\"change_id\":1,\"op\":\"read\",\"table\":"
			    "\"orders\",\"key\":{\"id\":1},\"new\":{\"id\":1,"
			    "\"status\":null,\"price\":null,\"picture\":null}}");
	begin(&f, 4);
	change(&f, CHANGE_DELETE, 1, row, NULL);
	check_line(&f, TIME ",\"txn\":4,\"change_id\":2,\"op\":\"delete\",\"table\":"
			    "\"orders\",\"key\":{\"id\":1},\"old\":{\"id\":1,"
			    "\"status\":null,\"price\":null,\"picture\":null}}");
	assert_int_equal(encoder_end(f.encoder, f.out, &f.count, &f.err), ST_OK);
	assert_int_equal(f.count, 0);
	close_fixture(&f);
}

static void test_a_row_without_a_key_is_known_by_its_rowid(void **state)
{
	struct value row[] = {integer(1), null(), null(), null()};
	struct change c = {.op = CHANGE_READ, .has_no_rowid = true, .after = row};
	struct fixture f;

	(void)state;
	open_fixture(&f, &keyless, false);
	begin(&f, 4);
	change(&f, CHANGE_UPDATE, INT64_MIN, row, row);
	check_line(&f, TIME ",\"txn\":4,\"change_id\":1,\"op\":\"update\",\"table\":"
			    "\"log\",\"key\":{\"rowid\":-9223372036854775808},"
			    "\"changed\":{}}");
	assert_int_equal(encoder_change(f.encoder, f.plan, &c, f.out, &f.count, &f.err),
			 ST_OK);
	check_line(&f, TIME ",\"txn\":4,\"change_id\":2,\"op\":\"read\",\"table\":"
			    "\"log\",\"key\":null,\"new\":{\"id\":1,\"status\":null,"
			    "\"price\":null,\"picture\":null}}");
	close_fixture(&f);
}

static void test_a_null_in_the_key_leaves_the_rowid(void **state)
{
	struct value row[] = {null(), null(), null(), null()};
	struct fixture f;

	(void)state;
	open_fixture(&f, &shop, false);
	begin(&f, 4);
	change(&f, CHANGE_DELETE, 9, row, NULL);
	check_line(&f, TIME ",\"txn\":4,\"change_id\":1,\"op\":\"delete\",\"table\":"
			    "\"orders\",\"key\":{\"rowid\":9},\"old\":{\"id\":null,"
			    "\"status\":null,\"price\":null,\"picture\":null}}");
	close_fixture(&f);
}

static void test_composite_keys_and_odd_names_are_written_as_they_are(void **state)
{
	struct value was[] = {text("k"), integer(-1), text("")};
	struct value is[] = {text("k"), integer(-1), text("x")};
	struct fixture f;

	(void)state;
	open_fixture(&f, &odd, false);
	begin(&f, INT64_MAX);
	change(&f, CHANGE_UPDATE, 0, was, is);
	check_line(&f, TIME
		   ",\"txn\":9223372036854775807,\"change_id\":1,\"op\":\"update\","
		   "\"table\":\"T\xc3\xa4"
		   "ble \\\"x\\\"\\\\\",\"key\":{\"a name\\\\with more than sixteen "
		   "bytes\\n\":-1,\"\xc3\xa9 \\\"b\\\"\":\"k\"},\"changed\":{\"\":"
		   "[\"\",\"x\"]}}");
	close_fixture(&f);
}

/* Longer than what is reserved for a row: the buffer moves in between. */
static void test_long_texts_on_both_sides_fit(void **state)
{
	struct value was[] = {integer(1), null(), null(), null()};
	struct value is[] = {integer(1), null(), null(), null()};
	char *a = calloc(1, 100001), *b = calloc(1, 300001);
	json_t *json, *pair;
	char *line = NULL;
	struct fixture f;

	(void)state;
	assert_true(a && b);
	memset(a, 'a', 100000);
	memset(b, 'b', 300000);
	was[1] = was[2] = text(a);
	is[1] = is[2] = text(b);
	open_fixture(&f, &shop, true);
	begin(&f, 4);
	change(&f, CHANGE_UPDATE, 1, was, is);
	assert_true(asprintf(&line, "{%.*s", (int)f.out[0].value.len,
			     f.out[0].value.bytes) > 0);
	json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	pair = json_object_get(json_object_get(json, "changed"), "price");
	assert_string_equal(json_string_value(json_array_get(pair, 0)), a);
	assert_string_equal(json_string_value(json_array_get(pair, 1)), b);
	json_decref(json);
	free(line);
	free(a);
	free(b);
	close_fixture(&f);
}

static void test_what_stands_for_several_transactions_says_so_in_each_line(void **state)
{
	struct encoder_transaction txn = {.lsn = 9,
					  .captured_ns = CAPTURED_NS,
					  .is_catch_up = true,
					  .merged = 3,
					  .since_ns = INT64_C(1794000000000000000),
					  .page_count = 100,
					  .pages_differ = 7};
	struct value row[] = {integer(1), null(), null(), null()};
	struct fixture f;

	(void)state;
	open_fixture(&f, &keyless, false);
	encoder_begin(f.encoder, &txn);
	change(&f, CHANGE_UPDATE, 1, row, row);
	check_line(&f,
		   TIME ",\"txn\":9,\"change_id\":1,\"op\":\"update\",\"table\":"
			"\"log\",\"key\":{\"rowid\":1},\"changed\":{},\"catch_up\":"
			"true,\"merged\":3,\"since\":\"2026-11-06T21:20:00.000Z\"}");
	assert_int_equal(f.out[0].index, 0);
	assert_int_equal(encoder_end(f.encoder, f.out, &f.count, &f.err), ST_OK);
	check_line(&f, TIME ",\"txn\":9,\"op\":\"catch_up\",\"pages\":100,"
			    "\"changed_pages\":7,\"merged\":3,\"rows\":1,\"since\":"
			    "\"2026-11-06T21:20:00.000Z\"}");
	assert_int_equal(f.out[0].index, 1);
	txn.is_catch_up = false;
	txn.since_ns = 0;
	encoder_begin(f.encoder, &txn);
	assert_int_equal(encoder_end(f.encoder, f.out, &f.count, &f.err), ST_OK);
	check_line(&f, TIME ",\"txn\":9,\"op\":\"merged\",\"merged\":3,\"rows\":0}");
	close_fixture(&f);
}

static struct writers *writers_of(const struct writer *from, size_t total)
{
	struct writer *list[4] = {NULL};
	struct writers *writers;

	for (size_t i = 0; i < total; i++) {
		list[i] = writer_new(&from[i]);
		assert_non_null(list[i]);
	}
	writers = writers_new(list, total);
	assert_non_null(writers);
	for (size_t i = 0; i < total; i++) {
		writer_drop(list[i]);
	}
	return writers;
}

static void test_the_process_stands_behind_the_rows(void **state)
{
	const struct writer known = {.pid = 12,
				     .uid = 1000,
				     .loginuid = 0,
				     .exe = "/x\"\n\xff (deleted)",
				     .unit = "a.service"};
	const struct writer several[] = {
	    {.pid = 12, .uid = WRITER_NO_ID, .loginuid = WRITER_NO_ID},
	    {.pid = 0, .uid = WRITER_NO_ID, .loginuid = WRITER_NO_ID}};
	struct encoder_transaction txn = {.lsn = 9, .captured_ns = CAPTURED_NS};
	struct value row[] = {integer(1), null(), null(), null()};
	struct writers *writers = writers_of(&known, 1);
	struct fixture f;

	(void)state;
	open_fixture(&f, &keyless, false);
	txn.writers = writers;
	encoder_begin(f.encoder, &txn);
	change(&f, CHANGE_CREATE, 1, NULL, row);
	check_end(&f,
		  "},\"process\":{\"pid\":12,\"exe\":\"/x\\\"\\n\xEF\xBF\xBD (deleted)"
		  "\",\"uid\":1000,\"loginuid\":0,\"unit\":\"a.service\"}}");
	assert_int_equal(encoder_end(f.encoder, f.out, &f.count, &f.err), ST_OK);
	txn.merged = 2; /* nobody knows */
	encoder_begin(f.encoder, &txn);
	change(&f, CHANGE_CREATE, 1, NULL, row);
	check_end(&f, "},\"merged\":2}");
	assert_int_equal(encoder_end(f.encoder, f.out, &f.count, &f.err), ST_OK);
	writers_drop(writers);
	txn.merged = 0;
	txn.writers = writers = writers_of(several, 2);
	encoder_begin(f.encoder, &txn);
	change(&f, CHANGE_CREATE, 1, NULL, row);
	check_end(&f, "},\"process_candidates\":[{\"pid\":12},{\"pid\":0}]}");
	assert_int_equal(encoder_end(f.encoder, f.out, &f.count, &f.err), ST_OK);
	writers_drop(writers);
	close_fixture(&f);
}

static void test_schema_changes_are_always_told(void **state)
{
	struct schema_change c = {
	    .type = SCHEMA_RENAMED, .table = &shop, .old_name = "a\"b"};
	struct encoder_transaction snapshot = {
	    .lsn = 3, .captured_ns = CAPTURED_NS, .is_snapshot = true};
	struct fixture f;

	(void)state;
	open_fixture(&f, &shop, false);
	begin(&f, 4);
	assert_int_equal(encoder_schema_change(f.encoder, &c, f.out, &f.count, &f.err),
			 ST_OK);
	check_line(&f,
		   TIME ",\"txn\":4,\"op\":\"schema\",\"table\":\"orders\",\"type\":"
			"\"renamed\",\"was\":\"a\\\"b\",\"ddl\":\"ALTER TABLE "
			"\\\"a\\\"\\\"b\\\" RENAME TO \\\"orders\\\"\"}");
	encoder_begin(f.encoder, &snapshot);
	c.type = SCHEMA_CREATED;
	assert_int_equal(encoder_schema_change(f.encoder, &c, f.out, &f.count, &f.err),
			 ST_OK);
	check_line(&f,
		   TIME ",\"txn\":3,\"op\":\"schema\",\"table\":\"orders\",\"type\":"
			"\"read\",\"ddl\":\"CREATE TABLE orders(id INTEGER PRIMARY "
			"KEY, status, price, picture)\"}");
	assert_int_equal(encoder_change_id(f.encoder), 0);
	close_fixture(&f);
}

static void test_other_settings_are_pairs_of_old_and_new(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	audit_line_settings_begin(&b, CAPTURED_NS);
	audit_line_setting(&b, "table.include.list", NULL, "a\"b");
	audit_line_setting(&b, "audit.row", "changed", "full");
	audit_line_settings_end(&b);
	buffer_add_char(&b, '\0');
	assert_true(buffer_ok(&b));
	assert_string_equal(b.bytes, TIME
			    ",\"op\":\"settings\",\"changed\":{\"table.include.list\":"
			    "[null,\"a\\\"b\"],\"audit.row\":[\"changed\",\"full\"]}}");
	buffer_clear(&b);
}

static void test_times_have_one_width(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	audit_line_add_time(&b, 0);
	audit_line_add_time(&b, -1);
	audit_line_add_time(&b, 1000000);
	buffer_add_char(&b, '\0');
	assert_string_equal(b.bytes, "\"1970-01-01T00:00:00.000Z\""
				     "\"1969-12-31T23:59:59.999Z\""
				     "\"1970-01-01T00:00:00.001Z\"");
	buffer_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_insert_has_the_new_row_with_values_of_all_classes),
	    cmocka_unit_test(test_an_update_has_what_changed_and_nothing_else),
	    cmocka_unit_test(test_full_rows_stand_behind_what_changed),
	    cmocka_unit_test(test_a_delete_has_the_old_row_and_a_baseline_the_new_one),
	    cmocka_unit_test(test_a_row_without_a_key_is_known_by_its_rowid),
	    cmocka_unit_test(test_a_null_in_the_key_leaves_the_rowid),
	    cmocka_unit_test(test_composite_keys_and_odd_names_are_written_as_they_are),
	    cmocka_unit_test(test_long_texts_on_both_sides_fit),
	    cmocka_unit_test(
		test_what_stands_for_several_transactions_says_so_in_each_line),
	    cmocka_unit_test(test_the_process_stands_behind_the_rows),
	    cmocka_unit_test(test_schema_changes_are_always_told),
	    cmocka_unit_test(test_other_settings_are_pairs_of_old_and_new),
	    cmocka_unit_test(test_times_have_one_width),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
