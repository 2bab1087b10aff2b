/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifications against those that Debezium's connectors wrote: the same bytes. The
 * order within additional_data is that of its MariaDB run and of the PostgreSQL run of
 * one engine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "schemas/connect_schema.h"
#include "schemas/notification.h"

#define MS 1795233609101

static const char *const customers[] = {"public.customers"};

static void check_bytes(struct buffer *b, const char *expected)
{
	buffer_add_char(b, '\0');
	assert_true(buffer_ok(b));
	assert_string_equal(b->bytes, expected);
	buffer_clear(b);
}

/* Of connector srv1. */
static void add_value(struct buffer *b, enum notification_kind kind, const char *id,
		      int64_t ms, const struct notification_of *of)
{
	const struct notification n = {.kind = kind,
				       .of = of,
				       .id = id,
				       .connector_name = "srv1",
				       .timestamp_ms = ms};

	buffer_init(b);
	notification_add_value(b, &n);
}

static void check_value(enum notification_kind kind, const char *id, int64_t ms,
			const struct notification_of *of, const char *expected)
{
	struct buffer b;

	add_value(&b, kind, id, ms, of);
	check_bytes(&b, expected);
}

static void test_incremental_ones_are_debeziums(void **state)
{
	struct notification_of of = {.is_incremental = true,
				     .id = "ad-hoc-1",
				     .tables = customers,
				     .table_count = 1,
				     .table = customers[0],
				     .rows = 6,
				     .maximum_key = "8",
				     .last_processed_key = "3"};

	(void)state;
	check_value(NOTIFY_STARTED, "ad-hoc-1", 1795233609076, &of,
		    "{\"id\":\"ad-hoc-1\",\"type\":\"STARTED\",\"aggregate_type\":"
		    "\"Incremental Snapshot\",\"additional_data\":{"
		    "\"connector_name\":\"srv1\","
		    "\"data_collections\":\"public.customers\"},"
		    "\"timestamp\":1795233609076}");
	check_value(NOTIFY_IN_PROGRESS, "ad-hoc-1", 1795233609101, &of,
		    "{\"id\":\"ad-hoc-1\",\"type\":\"IN_PROGRESS\",\"aggregate_type\":"
		    "\"Incremental Snapshot\",\"additional_data\":{"
		    "\"current_collection_in_progress\":\"public.customers\","
		    "\"connector_name\":\"srv1\",\"maximum_key\":\"8\","
		    "\"last_processed_key\":\"3\","
		    "\"data_collections\":\"public.customers\"},"
		    "\"timestamp\":1795233609101}");
	check_value(
	    NOTIFY_TABLE_SCAN_COMPLETED, "ad-hoc-1", 1795233609130, &of,
	    "{\"id\":\"ad-hoc-1\",\"type\":\"TABLE_SCAN_COMPLETED\","
	    "\"aggregate_type\":\"Incremental Snapshot\",\"additional_data\":{"
	    "\"scanned_collection\":\"public.customers\","
	    "\"connector_name\":\"srv1\",\"total_rows_scanned\":\"6\","
	    "\"status\":\"SUCCEEDED\",\"data_collections\":\"public.customers\"},"
	    "\"timestamp\":1795233609130}");
	check_value(NOTIFY_COMPLETED, "ad-hoc-1", 1795233609130, &of,
		    "{\"id\":\"ad-hoc-1\",\"type\":\"COMPLETED\",\"aggregate_type\":"
		    "\"Incremental Snapshot\",\"additional_data\":{"
		    "\"connector_name\":\"srv1\"},\"timestamp\":1795233609130}");
}

static void test_initial_ones_are_debeziums(void **state)
{
	static const char *const all[] = {"app.customers", "app.order_items",
					  "app.events_nopk"};
	struct notification_of of = {
	    .tables = all, .table_count = 3, .table = all[0], .rows = 2};

	(void)state;
	check_value(NOTIFY_STARTED, "5b55fee4-590f-40f6-af5a-154f05961476",
		    1795230868499, &of,
		    "{\"id\":\"5b55fee4-590f-40f6-af5a-154f05961476\","
		    "\"type\":\"STARTED\",\"aggregate_type\":\"Initial Snapshot\","
		    "\"additional_data\":{\"connector_name\":\"srv1\"},"
		    "\"timestamp\":1795230868499}");
	check_value(NOTIFY_IN_PROGRESS, "a6a7634e-bd8f-43a8-ba73-f8dc2bf748ff",
		    1795230869520, &of,
		    "{\"id\":\"a6a7634e-bd8f-43a8-ba73-f8dc2bf748ff\","
		    "\"type\":\"IN_PROGRESS\",\"aggregate_type\":\"Initial Snapshot\","
		    "\"additional_data\":{\"current_collection_in_progress\":"
		    "\"app.customers\",\"connector_name\":\"srv1\","
		    "\"data_collections\":"
		    "\"app.customers,app.order_items,app.events_nopk\"},"
		    "\"timestamp\":1795230869520}");
	check_value(NOTIFY_TABLE_SCAN_COMPLETED, "8c407f9a-d4b3-484d-93ac-8e235e083d3b",
		    1795230869551, &of,
		    "{\"id\":\"8c407f9a-d4b3-484d-93ac-8e235e083d3b\","
		    "\"type\":\"TABLE_SCAN_COMPLETED\","
		    "\"aggregate_type\":\"Initial Snapshot\",\"additional_data\":{"
		    "\"scanned_collection\":\"app.customers\","
		    "\"connector_name\":\"srv1\",\"total_rows_scanned\":\"2\","
		    "\"status\":\"SUCCEEDED\",\"data_collections\":"
		    "\"app.customers,app.order_items,app.events_nopk\"},"
		    "\"timestamp\":1795230869551}");
	check_value(NOTIFY_COMPLETED, "5c74740b-15cf-4143-b94c-4c4f33d0fc30",
		    1795230869558, &of,
		    "{\"id\":\"5c74740b-15cf-4143-b94c-4c4f33d0fc30\","
		    "\"type\":\"COMPLETED\",\"aggregate_type\":\"Initial Snapshot\","
		    "\"additional_data\":{\"connector_name\":\"srv1\"},"
		    "\"timestamp\":1795230869558}");
	check_value(NOTIFY_SKIPPED, "319f0baf-18be-40b8-a038-e3ef43d0f73e",
		    1795233602586, &of,
		    "{\"id\":\"319f0baf-18be-40b8-a038-e3ef43d0f73e\","
		    "\"type\":\"SKIPPED\",\"aggregate_type\":\"Initial Snapshot\","
		    "\"additional_data\":{\"connector_name\":\"srv1\"},"
		    "\"timestamp\":1795233602586}");
}

/* What is in additional_data besides the name of the connector. */
static void check_data(enum notification_kind kind, const struct notification_of *of,
		       const char *type, const char *data)
{
	char expected[1024];

	(void)snprintf(expected, sizeof expected,
		       "{\"id\":\"x\",\"type\":\"%s\",\"aggregate_type\":\"%s\","
		       "\"additional_data\":{%s},\"timestamp\":1}",
		       type,
		       of->is_incremental ? "Incremental Snapshot" : "Initial Snapshot",
		       data);
	check_value(kind, "x", 1, of, expected);
	assert_string_equal(notification_type(kind), type);
}

static void test_the_others_have_what_debeziums_source_gives_them(void **state)
{
	static const char both[] = "\"connector_name\":\"srv1\",\"data_collections\":"
				   "\"public.customers\"";
	static const char alone[] = "\"connector_name\":\"srv1\"";
	struct notification_of of = {
	    .is_incremental = true, .tables = customers, .table_count = 1};

	(void)state;
	check_data(NOTIFY_PAUSED, &of, "PAUSED", both);
	check_data(NOTIFY_RESUMED, &of, "RESUMED", both);
	check_data(NOTIFY_ABORTED, &of, "ABORTED", both);
	check_data(NOTIFY_STOPPED, &of, "STOPPED", both);
	of.table_count = 0;
	check_data(NOTIFY_ABORTED, &of, "ABORTED", alone);
	check_data(NOTIFY_STOPPED, &of, "STOPPED", alone);
	check_data(NOTIFY_STARTED, &of, "STARTED",
		   "\"connector_name\":\"srv1\",\"data_collections\":\"\"");
	of.is_incremental = false;
	of.table_count = 1;
	check_data(NOTIFY_ABORTED, &of, "ABORTED", alone);
	check_data(NOTIFY_PAUSED, &of, "PAUSED", alone);
}

static void test_a_table_without_a_key_or_that_failed(void **state)
{
	struct notification_of of = {.is_incremental = true,
				     .tables = customers,
				     .table_count = 1,
				     .table = "t",
				     .scan_status = "UNKNOWN_SCHEMA"};

	(void)state;
	check_data(NOTIFY_IN_PROGRESS, &of, "IN_PROGRESS",
		   "\"current_collection_in_progress\":\"t\","
		   "\"connector_name\":\"srv1\",\"maximum_key\":\"\\\"<null>\\\"\","
		   "\"last_processed_key\":\"<null>\","
		   "\"data_collections\":\"public.customers\"");
	check_data(NOTIFY_TABLE_SCAN_COMPLETED, &of, "TABLE_SCAN_COMPLETED",
		   "\"scanned_collection\":\"t\",\"connector_name\":\"srv1\","
		   "\"total_rows_scanned\":\"0\",\"status\":\"UNKNOWN_SCHEMA\","
		   "\"data_collections\":\"public.customers\"");
	of.is_incremental = false;
	of.scan_status = "SQL_EXCEPTION";
	check_data(NOTIFY_TABLE_SCAN_COMPLETED, &of, "TABLE_SCAN_COMPLETED",
		   "\"scanned_collection\":\"t\",\"connector_name\":\"srv1\","
		   "\"status\":\"SQL_EXCEPTION\"");
}

static void check_text(const json_t *object, const char *name, const char *expected)
{
	const json_t *value = json_object_get(object, name);

	assert_non_null(value);
	assert_true(json_is_string(value));
	assert_string_equal(json_string_value(value), expected);
}

static void test_hostile_names_and_ids_stay_texts(void **state)
{
	static const char *const names[] = {"a\",\"b\":{", "n\n\x01l", "\xFF\xC0\x80x",
					    "comma,\\"};
	static const char all[] = "a\",\"b\":{,n\n\x01l,\xEF\xBF\xBD\xEF\xBF\xBD"
				  "\xEF\xBF\xBDx,comma,\\";
	static const char id[] = "\"}{\\\n\xED\xA0\x80";
	static const char shown_id[] = "\"}{\\\n\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD";
	struct notification_of of = {.is_incremental = true,
				     .tables = names,
				     .table_count = 4,
				     .table = names[0],
				     .maximum_key = names[1],
				     .last_processed_key = "{"};
	const struct notification n = {.of = &of, .id = id, .connector_name = "srv1"};
	struct buffer b;
	const json_t *data;
	json_t *json;

	(void)state;
	add_value(&b, NOTIFY_IN_PROGRESS, id, INT64_MIN, &of);
	assert_true(buffer_ok(&b));
	assert_null(memchr(b.bytes, '\n', b.len));
	json = json_loadb(b.bytes, b.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	assert_int_equal(json_object_size(json), 5);
	check_text(json, "id", shown_id);
	assert_int_equal(json_integer_value(json_object_get(json, "timestamp")),
			 INT64_MIN);
	data = json_object_get(json, "additional_data");
	assert_int_equal(json_object_size(data), 5);
	check_text(data, "current_collection_in_progress", names[0]);
	check_text(data, "maximum_key", names[1]);
	check_text(data, "last_processed_key", "{");
	check_text(data, "data_collections", all);
	json_decref(json);
	buffer_reset(&b);
	notification_add_key(&b, &n);
	json = json_loadb(b.bytes, b.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	assert_int_equal(json_object_size(json), 1);
	check_text(json, "id", shown_id);
	json_decref(json);
	buffer_clear(&b);
}

static void test_the_key_is_the_id(void **state)
{
	const struct notification_of of = {.is_incremental = false};
	const struct notification n = {
	    .of = &of, .id = "ad-hoc-1", .connector_name = "srv1", .timestamp_ms = MS};
	struct buffer b;

	(void)state;
	buffer_init(&b);
	notification_add_key(&b, &n);
	check_bytes(&b, "{\"id\":\"ad-hoc-1\"}");
}

static void test_schemas_are_debeziums(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	connect_schema_add_control_key(&b, CONTROL_NOTIFICATION, NULL,
				       (struct span){NULL, 0});
	check_bytes(
	    &b,
	    "{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":false,"
	    "\"field\":\"id\"}],\"optional\":false,"
	    "\"name\":\"io.debezium.connector.common.NotificationKey\",\"version\":1}");
	connect_schema_add_notification_value(&b);
	check_bytes(
	    &b,
	    "{\"type\":\"struct\",\"fields\":["
	    "{\"type\":\"string\",\"optional\":false,\"field\":\"id\"},"
	    "{\"type\":\"string\",\"optional\":false,\"field\":\"type\"},"
	    "{\"type\":\"string\",\"optional\":false,\"field\":\"aggregate_type\"},"
	    "{\"type\":\"map\",\"keys\":{\"type\":\"string\",\"optional\":false},"
	    "\"values\":{\"type\":\"string\",\"optional\":false},\"optional\":true,"
	    "\"field\":\"additional_data\"},"
	    "{\"type\":\"int64\",\"optional\":false,\"field\":\"timestamp\"}],"
	    "\"optional\":false,"
	    "\"name\":\"io.debezium.connector.common.Notification\",\"version\":1}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_incremental_ones_are_debeziums),
	    cmocka_unit_test(test_initial_ones_are_debeziums),
	    cmocka_unit_test(test_the_others_have_what_debeziums_source_gives_them),
	    cmocka_unit_test(test_a_table_without_a_key_or_that_failed),
	    cmocka_unit_test(test_hostile_names_and_ids_stay_texts),
	    cmocka_unit_test(test_the_key_is_the_id),
	    cmocka_unit_test(test_schemas_are_debeziums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
