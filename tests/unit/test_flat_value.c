/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/encoder.h"
#include "schemas/flat_value.h"
#include "schemas/table_plan.h"
#include "schemas/transforms.h"

/* What Debezium's own transforms make of the same is compared in tests/kafka. */

static struct column columns[] = {
    {.name = "id",
     .declared_type = "INTEGER",
     .affinity = AFFINITY_INTEGER,
     .key_position = 1},
    {.name = "name", .declared_type = "TEXT", .affinity = AFFINITY_TEXT},
};
static uint32_t key[] = {0};
static const struct table people = {.name = "people",
				    .encoding = TEXT_UTF8,
				    .column_count = 2,
				    .columns = columns,
				    .key_count = 1,
				    .key_columns = key};

static const struct value ann[] = {
    {.class = VALUE_INTEGER, .integer = 1},
    {.class = VALUE_TEXT, .len = 3, .bytes = (const uint8_t *)"Ann"}};
static const struct value ben[] = {
    {.class = VALUE_INTEGER, .integer = 2},
    {.class = VALUE_TEXT, .len = 3, .bytes = (const uint8_t *)"Ben"}};

struct fixture {
	struct encoder_settings settings;
	struct transforms *transforms;
	struct encoder *encoder;
	struct table_plan *plan;
	struct message out[ENCODER_MESSAGES_MAX];
	size_t count;
	struct error err;
};

static struct transform_setting flat_setting(enum flat_deletes deletes)
{
	return (struct transform_setting){.kind = TRANSFORM_FLAT,
					  .where = "transforms.u.",
					  .deletes = deletes,
					  .add_fields = "",
					  .fields_prefix = "__",
					  .add_headers = "",
					  .headers_prefix = "__"};
}

static void init(struct fixture *f)
{
	memset(f, 0, sizeof *f);
	f->settings = (struct encoder_settings){.version = "1",
						.database_name = "app",
						.topic_prefix = "srv",
						.topic_delimiter = ".",
						.topic_transaction = "transaction",
						.tombstones_on_delete = true,
						.wants_keys = true};
}

static enum status start(struct fixture *f, const struct transform_setting *settings,
			 size_t count)
{
	if (transforms_open(settings, count, &f->transforms, &f->err) != ST_OK) {
		return f->err.status;
	}
	f->settings.transforms = f->transforms;
	if (encoder_open(&f->settings, &f->encoder, &f->err) != ST_OK) {
		return f->err.status;
	}
	return encoder_plan(f->encoder, &people, &f->plan, &f->err);
}

static void start_ok(struct fixture *f, const struct transform_setting *setting)
{
	struct encoder_transaction txn = {.lsn = 5, .captured_ns = 7000000};

	if (start(f, setting, 1) != ST_OK) {
		fail_msg("%s", f->err.text);
	}
	encoder_begin(f->encoder, &txn);
}

static void stop(struct fixture *f)
{
	table_plan_close(f->plan);
	encoder_close(f->encoder);
	transforms_close(f->transforms);
}

static void change(struct fixture *f, enum change_op op, const struct value *before,
		   const struct value *after, const struct value *other_key)
{
	struct change c = {.op = op,
			   .rowid = 7,
			   .before = before,
			   .after = after,
			   .other_key_row = other_key};

	assert_int_equal(
	    encoder_change(f->encoder, f->plan, &c, f->out, &f->count, &f->err), ST_OK);
}

static void check(struct span got, const char *expected)
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

/* "NAME=VALUE|" of each. */
static void check_headers(const struct message *m, const char *expected)
{
	struct buffer all;

	buffer_init(&all);
	for (size_t i = 0; i < m->header_count; i++) {
		buffer_add(&all, m->headers[i].name.bytes, m->headers[i].name.len);
		buffer_add_char(&all, '=');
		buffer_add(&all, m->headers[i].value.bytes, m->headers[i].value.len);
		buffer_add_char(&all, '|');
	}
	buffer_add_char(&all, '\0');
	assert_string_equal(all.bytes, expected);
	buffer_clear(&all);
}

/* What comes of a delete: two values, "-" for a tombstone, "" for nothing. */
static void check_delete(enum flat_deletes deletes, const char *first,
			 const char *second)
{
	struct transform_setting setting = flat_setting(deletes);
	const char *expected[] = {first, second};
	size_t count = (size_t)(*first != '\0') + (*second != '\0');
	struct fixture f;

	init(&f);
	start_ok(&f, &setting);
	change(&f, CHANGE_DELETE, ann, NULL, NULL);
	assert_int_equal(f.count, count);
	for (size_t i = 0; i < count; i++) {
		check(f.out[i].key, "{\"id\":1}");
		check(f.out[i].value, *expected[i] == '-' ? NULL : expected[i]);
		assert_int_equal(f.out[i].index, i);
	}
	change(&f, CHANGE_CREATE, NULL, ben, NULL);
	assert_int_equal(f.out[0].index, count);
	assert_int_equal(encoder_change_id(f.encoder), 2);
	stop(&f);
}

static void test_a_delete_becomes_what_the_mode_says(void **state)
{
	(void)state;
	check_delete(FLAT_DROP, "", "");
	check_delete(FLAT_TOMBSTONE, "-", "");
	check_delete(FLAT_REWRITE, "{\"id\":1,\"name\":\"Ann\",\"__deleted\":\"true\"}",
		     "");
	check_delete(FLAT_REWRITE_WITH_TOMBSTONE,
		     "{\"id\":1,\"name\":\"Ann\",\"__deleted\":\"true\"}", "-");
}

static void test_other_rows_are_as_they_are_after_the_change(void **state)
{
	struct transform_setting setting = flat_setting(FLAT_TOMBSTONE);
	struct fixture f;

	(void)state;
	init(&f);
	start_ok(&f, &setting);
	change(&f, CHANGE_UPDATE, ann, ben, NULL);
	assert_int_equal(f.count, 1);
	check(f.out[0].value, "{\"id\":2,\"name\":\"Ben\"}");
	change(&f, CHANGE_READ, NULL, ann, NULL);
	check(f.out[0].value, "{\"id\":1,\"name\":\"Ann\"}");
	stop(&f);
	setting.deletes = FLAT_REWRITE;
	init(&f);
	start_ok(&f, &setting);
	change(&f, CHANGE_UPDATE, ann, ben, NULL);
	check(f.out[0].value, "{\"id\":2,\"name\":\"Ben\",\"__deleted\":\"false\"}");
	stop(&f);
}

static void test_fields_of_the_event_are_added(void **state)
{
	struct transform_setting setting = flat_setting(FLAT_REWRITE);
	struct fixture f;

	(void)state;
	setting.add_fields =
	    " op , source.ts_ms:when,table,lsn,rowid,change_id,sequence,"
	    "version,name,db,connector,snapshot,transaction.id,,"
	    "total_order,source.ts_ns,source.op";
	setting.fields_prefix = "m_";
	init(&f);
	start_ok(&f, &setting);
	change(&f, CHANGE_DELETE, ann, NULL, NULL);
	check(
	    f.out[0].value,
	    "{\"id\":1,\"name\":\"Ann\",\"__deleted\":\"true\",\"m_op\":\"d\","
	    "\"m_when\":7,\"m_table\":\"people\",\"m_lsn\":5,\"m_rowid\":7,"
	    "\"m_change_id\":1,\"m_sequence\":\"[null,\\\"5\\\"]\",\"m_version\":\"1\","
	    "\"m_name\":\"srv\",\"m_db\":\"app\",\"m_connector\":\"sqlite\","
	    "\"m_snapshot\":\"false\",\"m_transaction_id\":null,"
	    "\"m_total_order\":null,\"m_source_ts_ns\":7000000,\"m_source_op\":\"d\"}");
	stop(&f);
}

static void test_headers_are_added_behind_those_that_are_there(void **state)
{
	struct transform_setting setting = flat_setting(FLAT_REWRITE_WITH_TOMBSTONE);
	struct encoder_transaction txn = {.lsn = 6, .captured_ns = 1, .merged = 3};
	struct fixture f;

	(void)state;
	setting.add_headers = "table,op,lsn:at";
	init(&f);
	start_ok(&f, &setting);
	encoder_begin(f.encoder, &txn);
	change(&f, CHANGE_DELETE, ann, NULL, ben);
	assert_int_equal(f.count, 2);
	check_headers(&f.out[0], "__debezium.newkey={\"id\":2}|rowtail.merged=3|"
				 "__table=\"people\"|__op=\"d\"|__at=6|");
	/* All that is known of a tombstone is what it is. */
	check_headers(&f.out[1], "__debezium.newkey={\"id\":2}|rowtail.merged=3|"
				 "__op=\"d\"|");
	change(&f, CHANGE_CREATE, NULL, ben, NULL);
	check_headers(&f.out[0],
		      "rowtail.merged=3|__table=\"people\"|__op=\"c\"|__at=6|");
	stop(&f);
}

static void test_events_without_a_message_are_counted(void **state)
{
	struct transform_setting setting = flat_setting(FLAT_DROP);
	struct fixture f;

	(void)state;
	init(&f);
	f.settings.transaction_metadata = true;
	start_ok(&f, &setting);
	change(&f, CHANGE_DELETE, ann, NULL, NULL);
	assert_int_equal(f.count, 1); /* BEGIN */
	assert_int_equal(encoder_end(f.encoder, f.out, &f.count, &f.err), ST_OK);
	assert_int_equal(f.count, 1);
	check(f.out[0].value,
	      "{\"status\":\"END\",\"id\":\"5\",\"event_count\":1,\"data_collections\":"
	      "[{\"data_collection\":\"people\",\"event_count\":1}],\"ts_ms\":7}");
	assert_int_equal(encoder_previous_lsn(f.encoder), 5);
	stop(&f);
}

static void test_without_keys_there_are_values_alone(void **state)
{
	struct transform_setting setting = flat_setting(FLAT_REWRITE_WITH_TOMBSTONE);
	struct fixture f;

	(void)state;
	setting.add_headers = "op";
	init(&f);
	f.settings.wants_keys = false;
	start_ok(&f, &setting);
	change(&f, CHANGE_DELETE, ann, NULL, NULL);
	assert_int_equal(f.count, 1);
	check(f.out[0].key, NULL);
	assert_int_equal(f.out[0].header_count, 0);
	stop(&f);
	/* A message is a line: of a tombstone there would be none. */
	setting.deletes = FLAT_TOMBSTONE;
	init(&f);
	f.settings.wants_keys = false;
	start_ok(&f, &setting);
	change(&f, CHANGE_DELETE, ann, NULL, NULL);
	assert_int_equal(f.count, 0);
	change(&f, CHANGE_CREATE, NULL, ann, NULL);
	assert_int_equal(f.out[0].index, 0);
	stop(&f);
}

static void check_not_started(const struct transform_setting *settings, size_t count,
			      const char *text)
{
	struct fixture f;

	init(&f);
	assert_int_equal(start(&f, settings, count), ST_CONFIG);
	if (!strstr(f.err.text, text)) {
		fail_msg("\"%s\" has no \"%s\"", f.err.text, text);
	}
	stop(&f);
}

static void test_names_that_columns_have_are_refused(void **state)
{
	struct transform_setting setting = flat_setting(FLAT_TOMBSTONE);
	struct transform_setting logical = {.kind = TRANSFORM_LOGICAL_TABLE,
					    .where = "transforms.l.",
					    .regex = ".*",
					    .replacement = "all",
					    .key_unique = true,
					    .key_field = "id"};

	(void)state;
	setting.add_fields = "op:name";
	setting.fields_prefix = "";
	check_not_started(&setting, 1,
			  "table people: column name has the name of a field that "
			  "transforms add");
	check_not_started(&logical, 1,
			  "table people: key column id has the name of the field");
	setting.add_fields = "context";
	check_not_started(&setting, 1, "needs transaction.context.table");
}

static void test_a_logical_table_names_schemas_and_keys(void **state)
{
	struct transform_setting logical = {.kind = TRANSFORM_LOGICAL_TABLE,
					    .where = "transforms.l.",
					    .regex = "srv\\.p.*",
					    .replacement = "a-b",
					    .key_unique = true,
					    .key_field = "was",
					    .schema_names = NAMES_AVRO};
	struct fixture f;

	(void)state;
	init(&f);
	f.settings.schemas = true;
	f.settings.header_form = HEADER_WITH_SCHEMA;
	start_ok(&f, &logical);
	change(&f, CHANGE_DELETE, ann, NULL, ben);
	assert_int_equal(f.count, 2);
	check(f.out[0].topic, "a-b");
	check(f.out[1].topic, "a-b");
	check(f.out[0].key,
	      "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int64\","
	      "\"optional\":false,\"field\":\"id\"},{\"type\":\"string\",\"optional\":"
	      "false,\"field\":\"was\"}],\"optional\":false,\"name\":\"a_b.Key\"},"
	      "\"payload\":{\"id\":1,\"was\":\"srv.people\"}}");
	/* The other key is as the connector made it. */
	check_headers(&f.out[0],
		      "__debezium.newkey={\"schema\":{\"type\":\"struct\",\"fields\":[{"
		      "\"type\":\"int64\",\"optional\":false,\"field\":\"id\"}],"
		      "\"optional\":false,\"name\":\"srv.people.Key\"},\"payload\":"
		      "{\"id\":2}}|");
	assert_non_null(memmem(f.out[0].value.bytes, f.out[0].value.len,
			       "\"name\":\"a_b.Envelope\"", 21));
	assert_non_null(memmem(f.out[0].value.bytes, f.out[0].value.len,
			       "\"name\":\"a_b.Value\"", 18));
	assert_true(table_plan_is_routed(f.plan));
	check(table_plan_own_topic(f.plan), "srv.people");
	stop(&f);
}

static void test_messages_of_no_table_are_routed_too(void **state)
{
	struct transform_setting logical = {.kind = TRANSFORM_LOGICAL_TABLE,
					    .where = "transforms.l.",
					    .regex = "beat.*",
					    .replacement = "all",
					    .key_unique = true,
					    .key_field = "was"};
	struct fixture f;

	(void)state;
	init(&f);
	f.settings.schemas = true;
	f.settings.heartbeat_prefix = (char *)"beat";
	start_ok(&f, &logical);
	assert_int_equal(encoder_heartbeat(f.encoder, &f.out[0], &f.err), ST_OK);
	check(f.out[0].topic, "all");
	check(f.out[0].key,
	      "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"string\","
	      "\"optional\":false,\"field\":\"serverName\"},{\"type\":\"string\","
	      "\"optional\":false,\"field\":\"was\"}],\"optional\":false,\"name\":"
	      "\"all.Key\",\"version\":1},\"payload\":{\"serverName\":\"srv\",\"was\":"
	      "\"beat.srv\"}}");
	check(encoder_topics(f.encoder).heartbeat, "all");
	stop(&f);
}

static void test_flat_rows_have_the_schema_of_their_table(void **state)
{
	struct transform_setting setting = flat_setting(FLAT_REWRITE);
	struct fixture f;

	(void)state;
	setting.add_fields = "lsn,snapshot";
	init(&f);
	f.settings.schemas = true;
	start_ok(&f, &setting);
	change(&f, CHANGE_CREATE, NULL, ann, NULL);
	check(
	    f.out[0].value,
	    "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int64\","
	    "\"optional\":true,\"field\":\"id\"},{\"type\":\"string\",\"optional\":"
	    "true,"
	    "\"field\":\"name\"},{\"type\":\"string\",\"optional\":true,\"field\":"
	    "\"__deleted\"},{\"type\":\"int64\",\"optional\":true,\"field\":\"__lsn\"},"
	    "{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data.Enum\","
	    "\"version\":1,\"parameters\":{\"allowed\":\"true,first,"
	    "first_in_data_collection,last_in_data_collection,last,false,incremental\"}"
	    ",\"field\":\"__snapshot\"}],\"optional\":false,\"name\":"
	    "\"srv.people.Value\"},\"payload\":{\"id\":1,\"name\":\"Ann\","
	    "\"__deleted\":\"false\",\"__lsn\":5,\"__snapshot\":\"false\"}}");
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_delete_becomes_what_the_mode_says),
	    cmocka_unit_test(test_other_rows_are_as_they_are_after_the_change),
	    cmocka_unit_test(test_fields_of_the_event_are_added),
	    cmocka_unit_test(test_headers_are_added_behind_those_that_are_there),
	    cmocka_unit_test(test_events_without_a_message_are_counted),
	    cmocka_unit_test(test_without_keys_there_are_values_alone),
	    cmocka_unit_test(test_names_that_columns_have_are_refused),
	    cmocka_unit_test(test_a_logical_table_names_schemas_and_keys),
	    cmocka_unit_test(test_messages_of_no_table_are_routed_too),
	    cmocka_unit_test(test_flat_rows_have_the_schema_of_their_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
