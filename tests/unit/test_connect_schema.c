/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "schemas/connect_schema.h"

/* The expected texts have the structure that Debezium's connectors write, byte for
 * byte; their source block ends after "ts_ns", ours goes on. */

static const struct connect_field columns[] = {
    {.name = "order_id", .type = CONNECT_INT64},
    {.name = "sku",
     .type = CONNECT_STRING,
     .optional = true,
     .parameter = "truncateLength",
     .parameter_value = "5"},
    {.name = "price", .type = CONNECT_DOUBLE, .optional = true},
    {.name = "paid", .type = CONNECT_BOOLEAN, .optional = true},
    {.name = "scan-1", .type = CONNECT_BYTES, .optional = true},
};

/* Quotes are ' in these texts. */
#define FIELD(type, optional, name) \
	"{'type':'" type "','optional':" optional ",'field':'" name "'}"

#define COLUMNS                                                                   \
	FIELD("int64", "false", "order_id")                                       \
	",{'type':'string','optional':true,'parameters':{'truncateLength':'5'},'" \
	"field':'sku'}"                                                           \
	"," FIELD("double", "true", "price") "," FIELD(                           \
	    "boolean", "true", "paid") "," FIELD("bytes", "true", "scan-1")

#define ROW(name)                                            \
	"{'type':'struct','fields':[" COLUMNS                \
	"],'optional':true,'name':'srv.items.Value','field'" \
	":'" name "'}"

#define SOURCE                                                             \
	"{'type':'struct','fields':["                                      \
	"{'type':'string','optional':false,'field':'version'},"            \
	"{'type':'string','optional':false,'field':'connector'},"          \
	"{'type':'string','optional':false,'field':'name'},"               \
	"{'type':'int64','optional':false,'field':'ts_ms'},"               \
	"{'type':'string','optional':true,'name':'io.debezium.data.Enum'," \
	"'version':1,'parameters':{'allowed':'true,first,"                 \
	"first_in_data_collection,last_in_data_collection,last,false,"     \
	"incremental'},'default':'false','field':'snapshot'},"             \
	"{'type':'string','optional':false,'field':'db'},"                 \
	"{'type':'string','optional':true,'field':'sequence'},"            \
	"{'type':'int64','optional':true,'field':'ts_us'},"                \
	"{'type':'int64','optional':true,'field':'ts_ns'},"                \
	"{'type':'string','optional':false,'field':'table'},"              \
	"{'type':'int64','optional':true,'field':'change_id'},"            \
	"{'type':'int64','optional':true,'field':'lsn'},"                  \
	"{'type':'int64','optional':true,'field':'rowid'}],"               \
	"'optional':false,'name':'io.debezium.connector.sqlite.Source',"   \
	"'version':1,'field':'source'}"

static void check(struct buffer *b, const char *expected)
{
	char *text = strdup(expected);
	json_t *json;

	assert_non_null(text);
	for (char *p = text; *p; p++) {
		*p = *p == '\'' ? '"' : *p;
	}
	assert_true(buffer_ok(b));
	buffer_add_char(b, '\0');
	assert_string_equal(b->bytes, text);
	json = json_loads(b->bytes, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	json_decref(json);
	buffer_clear(b);
	free(text);
}

static void test_envelope_is_debeziums(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	connect_schema_add_envelope(&b, "srv.items", columns,
				    sizeof columns / sizeof *columns, false);
	check(&b,
	      "{'type':'struct','fields':[" ROW("before") "," ROW(
		  "after") "," SOURCE ",{'type':'struct','fields':["
			   "{'type':'string','optional':false,'field':'id'},"
			   "{'type':'int64','optional':false,'field':'total_order'},"
			   "{'type':'int64','optional':false,'field':'data_collection_"
			   "order'}],"
			   "'optional':true,'name':'event.block','version':1,"
			   "'field':'transaction'},"
			   "{'type':'string','optional':false,'field':'op'},"
			   "{'type':'int64','optional':true,'field':'ts_ms'},"
			   "{'type':'int64','optional':true,'field':'ts_us'},"
			   "{'type':'int64','optional':true,'field':'ts_ns'}],"
			   "'optional':false,'name':'srv.items.Envelope','version':2}");
}

static void test_a_context_is_three_fields_more_at_the_end(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	connect_schema_add_envelope(&b, "srv.items", columns,
				    sizeof columns / sizeof *columns, true);
	buffer_add_char(&b, '\0');
	assert_non_null(
	    strstr(b.bytes,
		   "\"field\":\"ts_ns\"},"
		   "{\"type\":\"string\",\"optional\":true,\"name\":"
		   "\"io.debezium.data.Json\",\"version\":1,\"field\":\"context\"},"
		   "{\"type\":\"int64\",\"optional\":true,\"field\":\"context_rows\"},"
		   "{\"type\":\"string\",\"optional\":true,\"name\":"
		   "\"io.debezium.data.Json\",\"version\":1,\"field\":"
		   "\"context_candidates\"}],\"optional\":false,"));
	buffer_clear(&b);
}

static void test_messages_of_a_context_have_a_prefix_and_bytes(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	connect_schema_add_control_key(&b, CONTROL_MESSAGE, NULL,
				       (struct span){NULL, 0});
	check(&b, "{'type':'struct','fields':["
		  "{'type':'string','optional':false,'field':'prefix'}],"
		  "'optional':false,'name':'io.debezium.connector.sqlite.MessageKey',"
		  "'version':1}");
	buffer_init(&b);
	connect_schema_add_message_value(&b);
	check(&b, "{'type':'struct','fields':[" SOURCE
		  ",{'type':'string','optional':false,'field':'op'},"
		  "{'type':'int64','optional':true,'field':'ts_ms'},"
		  "{'type':'int64','optional':true,'field':'ts_us'},"
		  "{'type':'int64','optional':true,'field':'ts_ns'},"
		  "{'type':'struct','fields':["
		  "{'type':'string','optional':false,'field':'prefix'},"
		  "{'type':'bytes','optional':false,'field':'content'}],"
		  "'optional':false,'name':'io.debezium.connector.sqlite.Message',"
		  "'version':1,'field':'message'}],'optional':false,"
		  "'name':'io.debezium.connector.sqlite.MessageValue','version':1}");
}

static void test_key_is_debeziums(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	connect_schema_add_key(&b, "srv.items.Key", columns, 1, (struct span){NULL, 0});
	check(&b, "{'type':'struct','fields':["
		  "{'type':'int64','optional':false,'field':'order_id'}],"
		  "'optional':false,'name':'srv.items.Key'}");
}

static void test_transaction_messages_are_debeziums(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	connect_schema_add_control_key(&b, CONTROL_TRANSACTION, NULL,
				       (struct span){NULL, 0});
	check(&b, "{'type':'struct','fields':["
		  "{'type':'string','optional':false,'field':'id'}],'optional':false,"
		  "'name':'io.debezium.connector.common.TransactionMetadataKey',"
		  "'version':1}");
	connect_schema_add_transaction_value(&b);
	check(&b, "{'type':'struct','fields':["
		  "{'type':'string','optional':false,'field':'status'},"
		  "{'type':'string','optional':false,'field':'id'},"
		  "{'type':'int64','optional':true,'field':'event_count'},"
		  "{'type':'array','items':{'type':'struct','fields':["
		  "{'type':'string','optional':false,'field':'data_collection'},"
		  "{'type':'int64','optional':false,'field':'event_count'}],"
		  "'optional':true,'name':'event.collection','version':1},"
		  "'optional':true,'field':'data_collections'},"
		  "{'type':'int64','optional':false,'field':'ts_ms'}],"
		  "'optional':false,"
		  "'name':'io.debezium.connector.common.TransactionMetadataValue',"
		  "'version':1}");
}

static void test_heartbeats_are_debeziums(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	connect_schema_add_control_key(&b, CONTROL_HEARTBEAT, NULL,
				       (struct span){NULL, 0});
	check(&b, "{'type':'struct','fields':["
		  "{'type':'string','optional':false,'field':'serverName'}],"
		  "'optional':false,"
		  "'name':'io.debezium.connector.common.ServerNameKey','version':1}");
	connect_schema_add_heartbeat_value(&b);
	check(&b, "{'type':'struct','fields':["
		  "{'type':'int64','optional':false,'field':'ts_ms'}],"
		  "'optional':false,"
		  "'name':'io.debezium.connector.common.Heartbeat','version':1}");
}

static void test_schema_changes_are_debeziums(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	connect_schema_add_control_key(&b, CONTROL_SCHEMA_CHANGE, NULL,
				       (struct span){NULL, 0});
	check(&b, "{'type':'struct','fields':["
		  "{'type':'string','optional':false,'field':'databaseName'}],"
		  "'optional':false,"
		  "'name':'io.debezium.connector.sqlite.SchemaChangeKey','version':1}");
	connect_schema_add_schema_change_value(&b);
	check(&b,
	      "{'type':'struct','fields':[" SOURCE
	      ",{'type':'int64','optional':false,'field':'ts_ms'},"
	      "{'type':'string','optional':true,'field':'databaseName'},"
	      "{'type':'string','optional':true,'field':'schemaName'},"
	      "{'type':'string','optional':true,'field':'ddl'},"
	      "{'type':'array','items':{'type':'struct','fields':["
	      "{'type':'string','optional':false,'field':'type'},"
	      "{'type':'string','optional':false,'field':'id'},"
	      "{'type':'struct','fields':["
	      "{'type':'string','optional':true,'field':'defaultCharsetName'},"
	      "{'type':'array','items':{'type':'string','optional':false},"
	      "'optional':true,'field':'primaryKeyColumnNames'},"
	      "{'type':'array','items':{'type':'struct','fields':["
	      "{'type':'string','optional':false,'field':'name'},"
	      "{'type':'int32','optional':false,'field':'jdbcType'},"
	      "{'type':'int32','optional':true,'field':'nativeType'},"
	      "{'type':'string','optional':false,'field':'typeName'},"
	      "{'type':'string','optional':true,'field':'typeExpression'},"
	      "{'type':'string','optional':true,'field':'charsetName'},"
	      "{'type':'int32','optional':true,'field':'length'},"
	      "{'type':'int32','optional':true,'field':'scale'},"
	      "{'type':'int32','optional':false,'field':'position'},"
	      "{'type':'boolean','optional':true,'field':'optional'},"
	      "{'type':'boolean','optional':true,'field':'autoIncremented'},"
	      "{'type':'boolean','optional':true,'field':'generated'},"
	      "{'type':'string','optional':true,'field':'comment'},"
	      "{'type':'string','optional':true,'field':'defaultValueExpression'},"
	      "{'type':'array','items':{'type':'string','optional':false},"
	      "'optional':true,'field':'enumValues'}],'optional':false,"
	      "'name':'io.debezium.connector.schema.Column','version':1},"
	      "'optional':false,'field':'columns'},"
	      "{'type':'string','optional':true,'field':'comment'}],"
	      "'optional':true,'name':'io.debezium.connector.schema.Table',"
	      "'version':1,'field':'table'}],'optional':false,"
	      "'name':'io.debezium.connector.schema.Change','version':1},"
	      "'optional':false,'field':'tableChanges'}],'optional':false,"
	      "'name':'io.debezium.connector.sqlite.SchemaChangeValue','version':1}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_envelope_is_debeziums),
	    cmocka_unit_test(test_a_context_is_three_fields_more_at_the_end),
	    cmocka_unit_test(test_messages_of_a_context_have_a_prefix_and_bytes),
	    cmocka_unit_test(test_key_is_debeziums),
	    cmocka_unit_test(test_transaction_messages_are_debeziums),
	    cmocka_unit_test(test_heartbeats_are_debeziums),
	    cmocka_unit_test(test_schema_changes_are_debeziums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
