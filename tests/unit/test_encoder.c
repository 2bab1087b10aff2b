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

#include "schemas/encoder.h"
#include "schemas/table_plan.h"
#include "src/base/clock.h"

#define CAPTURED_NS INT64_C(1795230263390907000)

/* ---- a table, an encoder ---- */

/* order_items of the reference records. */
static struct column order_columns[] = {
    {.name = "order_id",
     .declared_type = "INTEGER",
     .affinity = AFFINITY_INTEGER,
     .key_position = 1},
    {.name = "line_no",
     .declared_type = "INTEGER",
     .affinity = AFFINITY_INTEGER,
     .key_position = 2},
    {.name = "sku", .declared_type = "TEXT", .affinity = AFFINITY_TEXT},
    {.name = "qty", .declared_type = "INTEGER", .affinity = AFFINITY_INTEGER},
};
static uint32_t order_key[] = {0, 1};
static const struct table orders = {.name = "order_items",
				    .encoding = TEXT_UTF8,
				    .column_count = 4,
				    .columns = order_columns,
				    .key_count = 2,
				    .key_columns = order_key};

static struct column odd_columns[] = {
    {.name = "col-1 é", .key_position = 2},
    {.name = "a \"long\" name\\with more than sixteen bytes\n", .key_position = 1},
};
static uint32_t odd_key[] = {1, 0};
static const struct table odd = {.name = "Weird-Täble \"x\".$1",
				 .encoding = TEXT_UTF8,
				 .without_rowid = true,
				 .column_count = 2,
				 .columns = odd_columns,
				 .key_count = 2,
				 .key_columns = odd_key};

static const struct table keyless = {.name = "events_nopk",
				     .encoding = TEXT_UTF8,
				     .column_count = 4,
				     .columns = order_columns};

static struct value integer(int64_t v)
{
	return (struct value){.class = VALUE_INTEGER, .integer = v};
}

static struct value text(const char *s)
{
	return (struct value){.class = VALUE_TEXT,
			      .len = (uint32_t)strlen(s),
			      .bytes = (const uint8_t *)s};
}

#define ORDER(id, line, sku, qty)                                   \
	{                                                           \
		integer(id), integer(line), text(sku), integer(qty) \
	}

static struct encoder_settings default_settings(void)
{
	return (struct encoder_settings){.version = "3.6.1.Final",
					 .database_name = "app",
					 .topic_prefix = "srv1",
					 .topic_delimiter = ".",
					 .topic_transaction = "transaction",
					 .tombstones_on_delete = true,
					 .wants_keys = true};
}

struct fixture {
	struct encoder *encoder;
	struct table_plan *plan;
	struct message out[ENCODER_MESSAGES_MAX];
	size_t count;
	struct error err;
};

static void open_fixture(struct fixture *f, const struct encoder_settings *settings,
			 const struct table *table)
{
	memset(f, 0, sizeof *f);
	assert_int_equal(encoder_open(settings, &f->encoder, &f->err), ST_OK);
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

static void change(struct fixture *f, enum change_op op, const struct value *row)
{
	struct change c = {.op = op, .rowid = 7};

	c.before = op == CHANGE_UPDATE || op == CHANGE_DELETE ? row : NULL;
	c.after = op == CHANGE_DELETE ? NULL : row;
	assert_int_equal(
	    encoder_change(f->encoder, f->plan, &c, f->out, &f->count, &f->err), ST_OK);
}

static void end(struct fixture *f)
{
	assert_int_equal(encoder_end(f->encoder, f->out, &f->count, &f->err), ST_OK);
}

/* ---- comparisons ---- */

static void check_span(struct span got, const char *expected)
{
	if (!expected) {
		assert_null(got.bytes);
		return;
	}
	assert_non_null(got.bytes);
	if (got.len != strlen(expected) || memcmp(got.bytes, expected, got.len) != 0) {
		fail_msg("got      %.*s\nexpected %s", (int)got.len, got.bytes,
			 expected);
	}
}

/* The value is `expected` and then the times of its making, which are now. */
static void check_event(struct span value, const char *expected)
{
	size_t len = strlen(expected);
	long long ms;
	long long us;
	long long ns;
	char tail[128];
	char again[128];
	json_t *json;

	assert_true(value.len > len && value.len - len < sizeof tail);
	check_span((struct span){value.bytes, len}, expected);
	memcpy(tail, value.bytes + len, value.len - len);
	tail[value.len - len] = '\0';
	assert_int_equal(sscanf(tail, ",\"ts_ms\":%lld,\"ts_us\":%lld,\"ts_ns\":%lld}",
				&ms, &us, &ns),
			 3);
	(void)snprintf(again, sizeof again,
		       ",\"ts_ms\":%lld,\"ts_us\":%lld,\"ts_ns\":%lld}", ns / NS_PER_MS,
		       ns / NS_PER_US, ns);
	assert_string_equal(tail, again);
	assert_true(ns <= clock_wall_ns() && ns > clock_wall_ns() - 60 * NS_PER_S);
	json = json_loadb(value.bytes, value.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	json_decref(json);
}

static bool contains(struct span value, const char *part)
{
	return memmem(value.bytes, value.len, part, strlen(part)) != NULL;
}

/* ---- tests ---- */

/* The expected texts of these are what Debezium's PostgreSQL connector wrote; source
 * has our connector's name, and behind ts_ns our own fields. */

static void test_create_is_debeziums_bytes(void **state)
{
	struct encoder_settings settings = default_settings();
	struct value row[] = ORDER(12, 2, "D", 4);
	struct fixture f;

	(void)state;
	settings.transaction_metadata = true;
	open_fixture(&f, &settings, &orders);
	begin(&f, 26789088);
	change(&f, CHANGE_CREATE, row);
	assert_int_equal(f.count, 2);
	check_span(f.out[0].topic, "srv1.transaction");
	check_span(f.out[0].key, "{\"id\":\"26789088\"}");
	check_span(f.out[0].value,
		   "{\"status\":\"BEGIN\",\"id\":\"26789088\",\"event_count\":null,"
		   "\"data_collections\":null,\"ts_ms\":1795230263390}");
	check_span(f.out[1].topic, "srv1.order_items");
	check_span(f.out[1].key, "{\"order_id\":12,\"line_no\":2}");
	check_event(
	    f.out[1].value,
	    "{\"before\":null,\"after\":{\"order_id\":12,\"line_no\":2,\"sku\":\"D\","
	    "\"qty\":4},\"source\":{\"version\":\"3.6.1.Final\",\"connector\":"
	    "\"sqlite\",\"name\":\"srv1\",\"ts_ms\":1795230263390,\"snapshot\":"
	    "\"false\",\"db\":\"app\",\"sequence\":\"[null,\\\"26789088\\\"]\",\"ts_"
	    "us\":"
	    "1795230263390907,\"ts_ns\":1795230263390907000,\"table\":\"order_items\","
	    "\"change_id\":1,\"lsn\":26789088,\"rowid\":7},\"transaction\":{\"id\":"
	    "\"26789088\",\"total_order\":1,\"data_collection_order\":1},\"op\":\"c\"");
	assert_int_equal(f.out[1].header_count, 0);
	end(&f);
	assert_int_equal(f.count, 1);
	check_span(f.out[0].topic, "srv1.transaction");
	check_span(f.out[0].key, "{\"id\":\"26789088\"}");
	check_span(f.out[0].value,
		   "{\"status\":\"END\",\"id\":\"26789088\",\"event_count\":1,"
		   "\"data_collections\":[{\"data_collection\":\"order_items\","
		   "\"event_count\":1}],\"ts_ms\":1795230263390}");
	close_fixture(&f);
}

static void test_snapshot_row_is_debeziums_bytes(void **state)
{
	struct encoder_settings settings = default_settings();
	struct encoder_transaction txn = {
	    .lsn = 26786304, .captured_ns = CAPTURED_NS, .is_snapshot = true};
	struct value row[] = ORDER(10, 1, "A", 2);
	struct change c = {.op = CHANGE_READ,
			   .snapshot = SNAPSHOT_FIRST_IN_DATA_COLLECTION,
			   .rowid = INT64_MIN,
			   .after = row};
	struct fixture f;

	(void)state;
	settings.transaction_metadata = true; /* without effect on snapshots */
	open_fixture(&f, &settings, &orders);
	encoder_begin(f.encoder, &txn);
	assert_int_equal(encoder_change(f.encoder, f.plan, &c, f.out, &f.count, &f.err),
			 ST_OK);
	assert_int_equal(f.count, 1);
	check_event(
	    f.out[0].value,
	    "{\"before\":null,\"after\":{\"order_id\":10,\"line_no\":1,\"sku\":\"A\","
	    "\"qty\":2},\"source\":{\"version\":\"3.6.1.Final\",\"connector\":"
	    "\"sqlite\",\"name\":\"srv1\",\"ts_ms\":1795230263390,\"snapshot\":"
	    "\"first_in_data_collection\",\"db\":\"app\",\"sequence\":\"[null,"
	    "\\\"26786304\\\"]\",\"ts_us\":1795230263390907,\"ts_ns\":"
	    "1795230263390907000,\"table\":\"order_items\",\"change_id\":1,\"lsn\":"
	    "26786304,\"rowid\":-9223372036854775808},\"transaction\":null,\"op\":"
	    "\"r\"");
	end(&f);
	assert_int_equal(f.count, 0);
	close_fixture(&f);
}

static void test_update_has_both_rows(void **state)
{
	struct encoder_settings settings = default_settings();
	struct value before[] = ORDER(1, 1, "A", 2);
	struct value after[] = ORDER(1, 1, "B", 3);
	struct change c = {
	    .op = CHANGE_UPDATE, .rowid = 1, .before = before, .after = after};
	struct fixture f;

	(void)state;
	after[3].class = VALUE_NULL;
	open_fixture(&f, &settings, &orders);
	begin(&f, 5);
	assert_int_equal(encoder_change(f.encoder, f.plan, &c, f.out, &f.count, &f.err),
			 ST_OK);
	assert_int_equal(f.count, 1);
	assert_true(contains(
	    f.out[0].value,
	    "{\"before\":{\"order_id\":1,\"line_no\":1,\"sku\":\"A\",\"qty\":2},"
	    "\"after\":{\"order_id\":1,\"line_no\":1,\"sku\":\"B\",\"qty\":null},"
	    "\"source\":{"));
	assert_true(contains(f.out[0].value, "},\"transaction\":null,\"op\":\"u\","));
	close_fixture(&f);
}

static void test_delete_is_followed_by_a_tombstone(void **state)
{
	struct encoder_settings settings = default_settings();
	struct value row[] = ORDER(1, 2, "A", 2);
	struct fixture f;

	(void)state;
	open_fixture(&f, &settings, &orders);
	begin(&f, 5);
	change(&f, CHANGE_DELETE, row);
	assert_int_equal(f.count, 2);
	assert_true(contains(f.out[0].value, "\"qty\":2},\"after\":null,\"source\":{"));
	check_span(f.out[1].topic, "srv1.order_items");
	check_span(f.out[1].key, "{\"order_id\":1,\"line_no\":2}");
	check_span(f.out[1].value, NULL);
	assert_int_equal(f.out[0].index, 0);
	assert_int_equal(f.out[1].index, 1);
	assert_int_equal(f.out[1].lsn, 5);
	assert_int_equal(encoder_change_id(f.encoder), 1);
	close_fixture(&f);
}

static void test_tombstones_can_be_turned_off(void **state)
{
	struct encoder_settings settings = default_settings();
	struct value row[] = ORDER(1, 2, "A", 2);
	struct fixture f;

	(void)state;
	settings.tombstones_on_delete = false;
	open_fixture(&f, &settings, &orders);
	begin(&f, 5);
	change(&f, CHANGE_DELETE, row);
	assert_int_equal(f.count, 1);
	close_fixture(&f);
}

static void test_without_keys_there_are_values_alone(void **state)
{
	struct encoder_settings settings = default_settings();
	struct encoder_transaction txn = {.lsn = 5, .is_catch_up = true, .merged = 2};
	struct value row[] = ORDER(1, 2, "A", 2);
	struct change c = {
	    .op = CHANGE_DELETE, .rowid = 1, .before = row, .other_key_row = row};
	struct fixture f;

	(void)state;
	settings.wants_keys = false;
	settings.transaction_metadata = true;
	open_fixture(&f, &settings, &orders);
	encoder_begin(f.encoder, &txn);
	assert_int_equal(encoder_change(f.encoder, f.plan, &c, f.out, &f.count, &f.err),
			 ST_OK);
	assert_int_equal(f.count, 2); /* BEGIN, d */
	for (size_t i = 0; i < 2; i++) {
		check_span(f.out[i].key, NULL);
		assert_non_null(f.out[i].value.bytes);
		assert_int_equal(f.out[i].header_count, 0);
	}
	close_fixture(&f);
}

static void check_header(const struct message *m, size_t i, const char *name,
			 const char *value)
{
	assert_true(i < m->header_count);
	check_span(m->headers[i].name, name);
	check_span(m->headers[i].value, value);
}

static void test_changed_key_has_headers_on_all_three_messages(void **state)
{
	struct encoder_settings settings = default_settings();
	struct value old_row[] = ORDER(12, 1, "A", 2);
	struct value new_row[] = ORDER(12, 2, "A", 2);
	struct change d = {.op = CHANGE_DELETE,
			   .rowid = 1,
			   .before = old_row,
			   .other_key_row = new_row};
	struct change c = {.op = CHANGE_CREATE,
			   .rowid = 1,
			   .after = new_row,
			   .other_key_row = old_row};
	struct fixture f;

	(void)state;
	settings.skipped_operations = SKIP_UPDATE; /* without effect on these */
	settings.transaction_metadata = true;
	open_fixture(&f, &settings, &orders);
	begin(&f, 5);
	assert_int_equal(encoder_change(f.encoder, f.plan, &d, f.out, &f.count, &f.err),
			 ST_OK);
	assert_int_equal(f.count, 3);
	assert_int_equal(f.out[0].header_count, 0); /* BEGIN */
	for (size_t i = 1; i < 3; i++) {
		check_span(f.out[i].key, "{\"order_id\":12,\"line_no\":1}");
		assert_int_equal(f.out[i].header_count, 1);
		check_header(&f.out[i], 0, "__debezium.newkey",
			     "{\"order_id\":12,\"line_no\":2}");
	}
	assert_int_equal(encoder_change(f.encoder, f.plan, &c, f.out, &f.count, &f.err),
			 ST_OK);
	assert_int_equal(f.count, 1);
	check_span(f.out[0].key, "{\"order_id\":12,\"line_no\":2}");
	check_header(&f.out[0], 0, "__debezium.oldkey",
		     "{\"order_id\":12,\"line_no\":1}");
	assert_int_equal(f.out[0].index, 3);
	close_fixture(&f);
}

/* The three forms, of a key with two types and of headers that are the same for all. */
static void check_forms(enum header_form form, const char *key, const char *catch_up)
{
	struct encoder_settings settings = default_settings();
	struct encoder_transaction txn = {
	    .lsn = 5, .captured_ns = CAPTURED_NS, .is_catch_up = true};
	struct value row[] = ORDER(7, 1, "A", 2);
	struct change d = {
	    .op = CHANGE_DELETE, .rowid = 1, .before = row, .other_key_row = row};
	struct fixture f;

	settings.schemas = true;
	settings.header_form = form;
	open_fixture(&f, &settings, &orders);
	encoder_begin(f.encoder, &txn);
	assert_int_equal(encoder_change(f.encoder, f.plan, &d, f.out, &f.count, &f.err),
			 ST_OK);
	assert_int_equal(f.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(f.out[i].header_count, 2);
		check_header(&f.out[i], 0, "__debezium.newkey", key);
		check_header(&f.out[i], 1, "rowtail.catch_up", catch_up);
	}
	close_fixture(&f);
}

static void test_headers_have_a_schema_only_if_asked(void **state)
{
	(void)state;
	check_forms(HEADER_PLAIN, "{\"order_id\":7,\"line_no\":1}", "true");
	check_forms(HEADER_FOR_CONNECT, "{\"order_id\":7,\"line_no\":1}", "true");
	check_forms(HEADER_WITH_SCHEMA,
		    "{\"schema\":{\"type\":\"struct\",\"fields\":["
		    "{\"type\":\"int64\",\"optional\":false,\"field\":\"order_id\"},"
		    "{\"type\":\"int64\",\"optional\":false,\"field\":\"line_no\"}],"
		    "\"optional\":false,\"name\":\"srv1.order_items.Key\"},"
		    "\"payload\":{\"order_id\":7,\"line_no\":1}}",
		    "{\"schema\":{\"type\":\"boolean\",\"optional\":false},"
		    "\"payload\":true}");
}

static void test_transaction_headers_come_behind_the_keys(void **state)
{
	struct encoder_settings settings = default_settings();
	struct encoder_transaction txn = {
	    .lsn = 5, .captured_ns = CAPTURED_NS, .is_catch_up = true, .merged = 17};
	struct value row[] = ORDER(1, 1, "A", 2);
	struct change d = {
	    .op = CHANGE_DELETE, .rowid = 1, .before = row, .other_key_row = row};
	struct fixture f;

	(void)state;
	settings.transaction_metadata = true;
	open_fixture(&f, &settings, &orders);
	encoder_begin(f.encoder, &txn);
	assert_int_equal(encoder_change(f.encoder, f.plan, &d, f.out, &f.count, &f.err),
			 ST_OK);
	assert_int_equal(f.count, 3);
	assert_int_equal(f.out[0].header_count, 2);
	check_header(&f.out[0], 0, "rowtail.catch_up", "true");
	check_header(&f.out[0], 1, "rowtail.merged", "17");
	for (size_t i = 1; i < 3; i++) {
		assert_int_equal(f.out[i].header_count, 3);
		check_header(&f.out[i], 0, "__debezium.newkey",
			     "{\"order_id\":1,\"line_no\":1}");
		check_header(&f.out[i], 1, "rowtail.catch_up", "true");
		check_header(&f.out[i], 2, "rowtail.merged", "17");
	}
	/* The next transaction has none of it. */
	begin(&f, 6);
	change(&f, CHANGE_CREATE, row);
	assert_int_equal(f.out[0].header_count, 0);
	assert_int_equal(f.out[1].header_count, 0);
	close_fixture(&f);
}

static void test_keys_are_null_without_a_key_or_with_a_null_in_it(void **state)
{
	struct encoder_settings settings = default_settings();
	struct value row[] = ORDER(1, 1, "A", 2);
	struct fixture f;

	(void)state;
	open_fixture(&f, &settings, &keyless);
	begin(&f, 5);
	change(&f, CHANGE_DELETE, row);
	assert_int_equal(f.count, 2);
	check_span(f.out[0].key, NULL);
	check_span(f.out[1].key, NULL);
	check_span(f.out[1].value, NULL);
	close_fixture(&f);

	row[1].class = VALUE_NULL;
	open_fixture(&f, &settings, &orders);
	begin(&f, 5);
	change(&f, CHANGE_CREATE, row);
	check_span(f.out[0].key, NULL);
	close_fixture(&f);
}

static void test_names_are_escaped_and_keys_are_in_key_order(void **state)
{
	struct encoder_settings settings = default_settings();
	struct value row[] = {integer(1), text("x\"y")};
	struct fixture f;

	(void)state;
	settings.transaction_metadata = true;
	settings.topic_delimiter = "_";
	settings.database_name = "a\"b.db";
	open_fixture(&f, &settings, &odd);
	check_span(table_plan_topic(f.plan), "srv1_Weird-T_ble__x_._1");
	begin(&f, 5);
	change(&f, CHANGE_CREATE, row);
	check_span(f.out[0].topic, "srv1_transaction");
	check_span(f.out[1].topic, "srv1_Weird-T_ble__x_._1");
	check_span(
	    f.out[1].key,
	    "{\"a \\\"long\\\" name\\\\with more than sixteen bytes\\n\":\"x\\\"y\","
	    "\"col-1 é\":1}");
	assert_true(
	    contains(f.out[1].value,
		     "\"after\":{\"col-1 é\":1,\"a \\\"long\\\" name\\\\with more "
		     "than sixteen bytes\\n\":\"x\\\"y\"},"));
	assert_true(contains(f.out[1].value, "\"db\":\"a\\\"b.db\""));
	assert_true(contains(f.out[1].value, "\"table\":\"Weird-Täble \\\"x\\\".$1\""));
	assert_true(contains(f.out[1].value, "\"rowid\":null},\"transaction\":{"));
	end(&f);
	assert_true(contains(f.out[0].value,
			     "[{\"data_collection\":\"Weird-Täble \\\"x\\\".$1\","));
	close_fixture(&f);
}

static void test_sequence_has_the_previous_transaction_with_events(void **state)
{
	struct encoder_settings settings = default_settings();
	struct encoder_transaction snapshot = {.lsn = 3, .is_snapshot = true};
	struct value row[] = ORDER(1, 1, "A", 2);
	struct fixture f;

	(void)state;
	settings.skipped_operations = SKIP_DELETE;
	open_fixture(&f, &settings, &orders);
	encoder_begin(f.encoder, &snapshot);
	change(&f, CHANGE_READ, row);
	assert_true(contains(f.out[0].value, "\"sequence\":\"[null,\\\"3\\\"]\""));
	change(&f, CHANGE_READ, row);
	assert_true(contains(f.out[0].value, "\"sequence\":\"[null,\\\"3\\\"]\""));
	end(&f);
	begin(&f, 5);
	change(&f, CHANGE_CREATE, row);
	assert_true(contains(f.out[0].value, "\"sequence\":\"[\\\"3\\\",\\\"5\\\"]\""));
	end(&f);
	begin(&f, 8); /* gives no event */
	change(&f, CHANGE_DELETE, row);
	assert_int_equal(f.count, 0);
	end(&f);
	begin(&f, 9);
	end(&f);
	begin(&f, 18446744073709551615u);
	change(&f, CHANGE_CREATE, row);
	assert_true(contains(f.out[0].value, "\"sequence\":\"[\\\"5\\\","
					     "\\\"18446744073709551615\\\"]\""));
	close_fixture(&f);
}

static void test_skipped_operations_take_no_number(void **state)
{
	struct encoder_settings settings = default_settings();
	struct value row[] = ORDER(1, 1, "A", 2);
	struct fixture f;

	(void)state;
	settings.transaction_metadata = true;
	settings.skipped_operations = SKIP_CREATE | SKIP_UPDATE;
	open_fixture(&f, &settings, &orders);
	begin(&f, 5);
	change(&f, CHANGE_CREATE, row);
	assert_int_equal(f.count, 0);
	change(&f, CHANGE_UPDATE, row);
	assert_int_equal(f.count, 0);
	change(&f, CHANGE_DELETE, row);
	assert_int_equal(f.count, 3); /* BEGIN, d, tombstone */
	assert_true(contains(f.out[1].value, "\"change_id\":1,"));
	assert_true(contains(f.out[1].value, "\"total_order\":1,"));
	change(&f, CHANGE_CREATE, row);
	end(&f);
	assert_true(contains(f.out[0].value, "\"event_count\":1,\"data_coll"));
	assert_int_equal(encoder_change_id(f.encoder), 1);
	close_fixture(&f);
}

static void test_transaction_without_events_gives_nothing(void **state)
{
	struct encoder_settings settings = default_settings();
	struct fixture f;

	(void)state;
	settings.transaction_metadata = true;
	open_fixture(&f, &settings, &orders);
	begin(&f, 5);
	end(&f);
	assert_int_equal(f.count, 0);
	close_fixture(&f);
}

static void test_orders_count_by_transaction_and_table(void **state)
{
	struct encoder_settings settings = default_settings();
	struct value row[] = ORDER(1, 1, "A", 2);
	struct table_plan *other;
	struct table_plan *first;
	struct fixture f;

	(void)state;
	settings.transaction_metadata = true;
	open_fixture(&f, &settings, &orders);
	first = f.plan;
	assert_int_equal(encoder_plan(f.encoder, &keyless, &other, &f.err), ST_OK);
	for (uint64_t lsn = 1; lsn < 3; lsn++) {
		begin(&f, lsn);
		f.plan = other;
		change(&f, CHANGE_CREATE, row);
		change(&f, CHANGE_DELETE, row);
		assert_true(contains(f.out[0].value,
				     "\"total_order\":2,\"data_collection_order\":2}"));
		f.plan = first;
		change(&f, CHANGE_CREATE, row);
		assert_true(contains(f.out[0].value,
				     "\"total_order\":3,\"data_collection_order\":1}"));
		f.plan = other;
		change(&f, CHANGE_CREATE, row);
		assert_true(contains(f.out[0].value,
				     "\"total_order\":4,\"data_collection_order\":3}"));
		assert_int_equal(f.out[0].index, 5);
		end(&f);
		assert_int_equal(f.out[0].index, 6);
		assert_true(contains(
		    f.out[0].value,
		    "\"event_count\":4,\"data_collections\":["
		    "{\"data_collection\":\"events_nopk\",\"event_count\":3},"
		    "{\"data_collection\":\"order_items\",\"event_count\":1}],"));
	}
	f.plan = first;
	table_plan_close(other);
	close_fixture(&f);
}

static void test_every_snapshot_mark_is_printed(void **state)
{
	static const char *const names[] = {"false",
					    "true",
					    "first",
					    "first_in_data_collection",
					    "last_in_data_collection",
					    "last",
					    "incremental"};
	struct encoder_settings settings = default_settings();
	struct encoder_transaction txn = {.lsn = 5, .is_snapshot = true};
	struct value row[] = ORDER(1, 1, "A", 2);
	struct fixture f;

	(void)state;
	open_fixture(&f, &settings, &orders);
	encoder_begin(f.encoder, &txn);
	for (int mark = SNAPSHOT_FALSE; mark <= SNAPSHOT_INCREMENTAL; mark++) {
		struct change c = {.op = CHANGE_READ,
				   .snapshot = (enum snapshot_mark)mark,
				   .after = row};
		char expected[64];

		assert_int_equal(
		    encoder_change(f.encoder, f.plan, &c, f.out, &f.count, &f.err),
		    ST_OK);
		(void)snprintf(expected, sizeof expected, "\"snapshot\":\"%s\",",
			       names[mark]);
		assert_true(contains(f.out[0].value, expected));
	}
	close_fixture(&f);
}

static void test_utf16_rows_have_utf8_names(void **state)
{
	struct encoder_settings settings = default_settings();
	struct table utf16 = orders;
	struct value row[] = ORDER(1, 1, "", 2);
	struct fixture f;

	(void)state;
	utf16.encoding = TEXT_UTF16LE;
	row[2].bytes = (const uint8_t *)"\xEB\0\"\0";
	row[2].len = 4;
	open_fixture(&f, &settings, &utf16);
	begin(&f, 5);
	change(&f, CHANGE_CREATE, row);
	assert_true(contains(f.out[0].value, "\"sku\":\"ë\\\"\",\"qty\":2}"));
	close_fixture(&f);
}

static void test_times_are_refreshed_in_long_transactions(void **state)
{
	struct encoder_settings settings = default_settings();
	struct value row[] = ORDER(1, 1, "A", 2);
	char first[32];
	struct fixture f;
	bool changed = false;

	(void)state;
	open_fixture(&f, &settings, &orders);
	begin(&f, 5);
	change(&f, CHANGE_CREATE, row);
	memcpy(first, f.out[0].value.bytes + f.out[0].value.len - 20, 20);
	clock_sleep_ns(NS_PER_MS);
	for (int i = 0; i < 64 && !changed; i++) {
		change(&f, CHANGE_CREATE, row);
		changed = memcmp(first, f.out[0].value.bytes + f.out[0].value.len - 20,
				 20) != 0;
	}
	assert_true(changed);
	close_fixture(&f);
}

/* Columns of every kind and size, so that what is reserved is used up. */
static void test_rows_of_all_shapes_parse(void **state)
{
	enum { COLUMNS = 40 };
	struct encoder_settings settings = default_settings();
	static struct column columns[COLUMNS];
	static char names[COLUMNS][300];
	struct table wide = {.name = "wide",
			     .encoding = TEXT_UTF8,
			     .column_count = COLUMNS,
			     .columns = columns};
	struct value row[COLUMNS];
	uint8_t *bytes = malloc(20000);
	uint32_t seed = 1;
	struct fixture f;
	int rounds =
	    getenv("ROWTAIL_TEST_WRAPPED") ? 200 : 2000; /* valgrind: minutes */

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < COLUMNS; i++) {
		memset(names[i], i % 3 ? 'n' : '\x01', sizeof names[i]);
		(void)snprintf(names[i] + i * 7, 8, "%zu", i);
		columns[i].name = names[i];
	}
	memset(bytes, 1, 20000);
	settings.binary_mode = BINARY_HEX;
	open_fixture(&f, &settings, &wide);
	for (int round = 0; round < rounds; round++) {
		json_t *json;

		for (size_t i = 0; i < COLUMNS; i++) {
			seed = seed * 1664525 + 1013904223;
			row[i].class = (enum value_class)((seed >> 16) % 5);
			row[i].len = (seed >> 20) % ((seed >> 8) % 64 ? 40 : 20000);
			row[i].bytes = bytes;
			if (row[i].class == VALUE_INTEGER) {
				row[i].integer = INT64_MIN;
			} else if (row[i].class == VALUE_REAL) {
				row[i].real = -1.2345678901234567e-305;
			}
		}
		begin(&f, INT64_MAX);
		change(&f, CHANGE_UPDATE, row);
		json = json_loadb(f.out[0].value.bytes, f.out[0].value.len,
				  JSON_ALLOW_NUL, NULL);
		assert_non_null(json);
		json_decref(json);
	}
	free(bytes);
	close_fixture(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_create_is_debeziums_bytes),
	    cmocka_unit_test(test_snapshot_row_is_debeziums_bytes),
	    cmocka_unit_test(test_update_has_both_rows),
	    cmocka_unit_test(test_delete_is_followed_by_a_tombstone),
	    cmocka_unit_test(test_tombstones_can_be_turned_off),
	    cmocka_unit_test(test_without_keys_there_are_values_alone),
	    cmocka_unit_test(test_changed_key_has_headers_on_all_three_messages),
	    cmocka_unit_test(test_headers_have_a_schema_only_if_asked),
	    cmocka_unit_test(test_transaction_headers_come_behind_the_keys),
	    cmocka_unit_test(test_keys_are_null_without_a_key_or_with_a_null_in_it),
	    cmocka_unit_test(test_names_are_escaped_and_keys_are_in_key_order),
	    cmocka_unit_test(test_sequence_has_the_previous_transaction_with_events),
	    cmocka_unit_test(test_skipped_operations_take_no_number),
	    cmocka_unit_test(test_transaction_without_events_gives_nothing),
	    cmocka_unit_test(test_orders_count_by_transaction_and_table),
	    cmocka_unit_test(test_every_snapshot_mark_is_printed),
	    cmocka_unit_test(test_utf16_rows_have_utf8_names),
	    cmocka_unit_test(test_times_are_refreshed_in_long_transactions),
	    cmocka_unit_test(test_rows_of_all_shapes_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
