/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/connect_schema.h"

#include "schemas/value_json.h"

#define SNAPSHOT_MARKS                                                            \
	"true,first,first_in_data_collection,last_in_data_collection,last,false," \
	"incremental"

static const char *const type_names[] = {
    [CONNECT_STRING] = "string", [CONNECT_INT64] = "int64",
    [CONNECT_DOUBLE] = "double", [CONNECT_BOOLEAN] = "boolean",
    [CONNECT_BYTES] = "bytes",
};

const char *connect_type_name(enum connect_type type)
{
	return type_names[type];
}

/* ---- pieces ---- */

/* `b` ends with '[' or behind a field. */
static void add_comma(struct buffer *b)
{
	if (b->len > 0 && b->bytes[b->len - 1] != '[') {
		buffer_add_char(b, ',');
	}
}

static void add_optional(struct buffer *b, bool optional)
{
	buffer_add_str(b, optional ? ",\"optional\":true" : ",\"optional\":false");
}

static void add_field_name(struct buffer *b, const char *name)
{
	buffer_add_str(b, ",\"field\":");
	json_add_string(b, name, strlen(name));
	buffer_add_char(b, '}');
}

static void add_type(struct buffer *b, const char *type, bool optional)
{
	buffer_add_str(b, "{\"type\":\"");
	buffer_add_str(b, type);
	buffer_add_char(b, '"');
	add_optional(b, optional);
}

/* One of a struct's fields that is no struct or array. */
static void add_field(struct buffer *b, const char *type, bool optional,
		      const char *name)
{
	add_comma(b);
	add_type(b, type, optional);
	add_field_name(b, name);
}

static void begin_struct(struct buffer *b)
{
	add_comma(b);
	buffer_add_str(b, "{\"type\":\"struct\",\"fields\":[");
}

/* Up to where "field" or '}' follows. `version` 0: none. */
static void end_struct(struct buffer *b, bool optional, const char *name,
		       const char *name_end, unsigned version)
{
	buffer_add_char(b, ']');
	add_optional(b, optional);
	buffer_add_str(b, ",\"name\":\"");
	buffer_add_str(b, name);
	buffer_add_str(b, name_end);
	buffer_add_char(b, '"');
	if (version > 0) {
		buffer_add_str(b, ",\"version\":");
		buffer_add_u64(b, version);
	}
}

static void add_columns(struct buffer *b, const struct connect_field *columns,
			size_t count)
{
	for (size_t i = 0; i < count; i++) {
		add_comma(b);
		add_type(b, type_names[columns[i].type], columns[i].optional);
		if (columns[i].parameter) {
			buffer_add_str(b, ",\"parameters\":{\"");
			buffer_add_str(b, columns[i].parameter);
			buffer_add_str(b, "\":\"");
			buffer_add_str(b, columns[i].parameter_value);
			buffer_add_str(b, "\"}");
		}
		add_field_name(b, columns[i].name);
	}
}

/* ---- events ---- */

static void add_row(struct buffer *b, const char *prefix,
		    const struct connect_field *columns, size_t count, const char *name)
{
	begin_struct(b);
	add_columns(b, columns, count);
	end_struct(b, true, prefix, ".Value", 0);
	add_field_name(b, name);
}

/* The field "source" of events and of schema changes. */
static void add_source(struct buffer *b)
{
	begin_struct(b);
	add_field(b, "string", false, "version");
	add_field(b, "string", false, "connector");
	add_field(b, "string", false, "name");
	add_field(b, "int64", false, "ts_ms");
	buffer_add_str(b, ",{\"type\":\"string\",\"optional\":true,"
			  "\"name\":\"io.debezium.data.Enum\",\"version\":1,"
			  "\"parameters\":{\"allowed\":\"" SNAPSHOT_MARKS "\"},"
			  "\"default\":\"false\",\"field\":\"snapshot\"}");
	add_field(b, "string", false, "db");
	add_field(b, "string", true, "sequence");
	add_field(b, "int64", true, "ts_us");
	add_field(b, "int64", true, "ts_ns");
	add_field(b, "string", false, "table");
	add_field(b, "int64", true, "change_id");
	add_field(b, "int64", true, "lsn");
	add_field(b, "int64", true, "rowid");
	end_struct(b, false, "io.debezium.connector.sqlite.Source", "", 1);
	add_field_name(b, "source");
}

/* A string that holds JSON, as Debezium has it. */
static void add_json_field(struct buffer *b, const char *name)
{
	buffer_add_str(b, ",{\"type\":\"string\",\"optional\":true,\"name\":"
			  "\"io.debezium.data.Json\",\"version\":1");
	add_field_name(b, name);
}

static void add_times(struct buffer *b)
{
	add_field(b, "int64", true, "ts_ms");
	add_field(b, "int64", true, "ts_us");
	add_field(b, "int64", true, "ts_ns");
}

void connect_schema_add_envelope(struct buffer *b, const char *prefix,
				 const struct connect_field *columns, size_t count,
				 bool with_context)
{
	buffer_add_str(b, "{\"type\":\"struct\",\"fields\":[");
	add_row(b, prefix, columns, count, "before");
	add_row(b, prefix, columns, count, "after");
	add_source(b);
	begin_struct(b);
	add_field(b, "string", false, "id");
	add_field(b, "int64", false, "total_order");
	add_field(b, "int64", false, "data_collection_order");
	end_struct(b, true, "event.block", "", 1);
	add_field_name(b, "transaction");
	add_field(b, "string", false, "op");
	add_times(b);
	if (with_context) {
		add_json_field(b, "context");
		add_field(b, "int64", true, "context_rows");
		add_json_field(b, "context_candidates");
	}
	end_struct(b, false, prefix, ".Envelope", 2);
	buffer_add_char(b, '}');
}

/* Behind those that are there. */
static void add_more(struct buffer *b, struct span more)
{
	if (more.len > 0 && b->len > 0 && b->bytes[b->len - 1] == '[') {
		more.bytes++; /* the comma */
		more.len--;
	}
	buffer_add(b, more.bytes, more.len);
}

static void add_row_alone(struct buffer *b, const char *prefix, const char *suffix,
			  const struct connect_field *columns, size_t count,
			  struct span more)
{
	buffer_add_str(b, "{\"type\":\"struct\",\"fields\":[");
	add_columns(b, columns, count);
	add_more(b, more);
	end_struct(b, false, prefix, suffix, 0);
	buffer_add_char(b, '}');
}

void connect_schema_add_key(struct buffer *b, const char *name,
			    const struct connect_field *columns, size_t count,
			    struct span more)
{
	add_row_alone(b, name, "", columns, count, more);
}

void connect_schema_add_flat(struct buffer *b, const char *prefix,
			     const struct connect_field *columns, size_t count,
			     struct span more)
{
	add_row_alone(b, prefix, ".Value", columns, count, more);
}

void connect_schema_add_member(struct buffer *b, enum connect_member type,
			       bool optional, const char *name)
{
	static const char *const more[] = {
	    [MEMBER_STRING] = "",
	    [MEMBER_INT64] = "",
	    [MEMBER_SNAPSHOT_MARK] =
		",\"name\":\"io.debezium.data.Enum\",\"version\":1,\"parameters\":{"
		"\"allowed\":\"" SNAPSHOT_MARKS "\"}",
	    [MEMBER_JSON] = ",\"name\":\"io.debezium.data.Json\",\"version\":1",
	};

	buffer_add_str(b, name ? "," : "");
	add_type(b, type == MEMBER_INT64 ? "int64" : "string", optional);
	buffer_add_str(b, more[type]);
	if (name) {
		add_field_name(b, name);
	} else {
		buffer_add_char(b, '}');
	}
}

/* ---- other messages ---- */

void connect_schema_add_control_key(struct buffer *b, enum control_message of,
				    const char *name, struct span more)
{
	static const struct {
		const char *field, *name;
	} keys[CONTROL_MESSAGES] = {
	    [CONTROL_TRANSACTION] =
		{"id", "io.debezium.connector.common.TransactionMetadataKey"},
	    [CONTROL_SCHEMA_CHANGE] = {"databaseName",
				       "io.debezium.connector.sqlite.SchemaChangeKey"},
	    [CONTROL_HEARTBEAT] = {"serverName",
				   "io.debezium.connector.common.ServerNameKey"},
	    [CONTROL_MESSAGE] = {"prefix", "io.debezium.connector.sqlite.MessageKey"},
	    [CONTROL_NOTIFICATION] = {"id",
				      "io.debezium.connector.common.NotificationKey"},
	};

	buffer_add_str(b, "{\"type\":\"struct\",\"fields\":[");
	add_field(b, "string", false, keys[of].field);
	add_more(b, more);
	end_struct(b, false, name ? name : keys[of].name, "", 1);
	buffer_add_char(b, '}');
}

void connect_schema_add_transaction_value(struct buffer *b)
{
	buffer_add_str(b, "{\"type\":\"struct\",\"fields\":[");
	add_field(b, "string", false, "status");
	add_field(b, "string", false, "id");
	add_field(b, "int64", true, "event_count");
	buffer_add_str(b, ",{\"type\":\"array\",\"items\":{\"type\":\"struct\","
			  "\"fields\":[");
	add_field(b, "string", false, "data_collection");
	add_field(b, "int64", false, "event_count");
	end_struct(b, true, "event.collection", "", 1);
	buffer_add_char(b, '}');
	add_optional(b, true);
	add_field_name(b, "data_collections");
	add_field(b, "int64", false, "ts_ms");
	end_struct(b, false, "io.debezium.connector.common.TransactionMetadataValue",
		   "", 1);
	buffer_add_char(b, '}');
}

void connect_schema_add_message_value(struct buffer *b)
{
	buffer_add_str(b, "{\"type\":\"struct\",\"fields\":[");
	add_source(b);
	add_field(b, "string", false, "op");
	add_times(b);
	begin_struct(b);
	add_field(b, "string", false, "prefix");
	add_field(b, "bytes", false, "content");
	end_struct(b, false, "io.debezium.connector.sqlite.Message", "", 1);
	add_field_name(b, "message");
	end_struct(b, false, "io.debezium.connector.sqlite.MessageValue", "", 1);
	buffer_add_char(b, '}');
}

void connect_schema_add_heartbeat_value(struct buffer *b)
{
	buffer_add_str(b, "{\"type\":\"struct\",\"fields\":[");
	add_field(b, "int64", false, "ts_ms");
	end_struct(b, false, "io.debezium.connector.common.Heartbeat", "", 1);
	buffer_add_char(b, '}');
}

void connect_schema_add_notification_value(struct buffer *b)
{
	buffer_add_str(b, "{\"type\":\"struct\",\"fields\":[");
	add_field(b, "string", false, "id");
	add_field(b, "string", false, "type");
	add_field(b, "string", false, "aggregate_type");
	buffer_add_str(b, ",{\"type\":\"map\",\"keys\":{\"type\":\"string\","
			  "\"optional\":false},\"values\":{\"type\":\"string\","
			  "\"optional\":false}");
	add_optional(b, true);
	add_field_name(b, "additional_data");
	add_field(b, "int64", false, "timestamp");
	end_struct(b, false, "io.debezium.connector.common.Notification", "", 1);
	buffer_add_char(b, '}');
}

/* ---- schema changes ---- */

static void add_string_array(struct buffer *b, const char *name)
{
	buffer_add_str(b, ",{\"type\":\"array\",\"items\":{\"type\":\"string\","
			  "\"optional\":false}");
	add_optional(b, true);
	add_field_name(b, name);
}

/* The fields of a column. */
static void add_table_columns(struct buffer *b)
{
	buffer_add_str(b, ",{\"type\":\"array\",\"items\":{\"type\":\"struct\","
			  "\"fields\":[");
	add_field(b, "string", false, "name");
	add_field(b, "int32", false, "jdbcType");
	add_field(b, "int32", true, "nativeType");
	add_field(b, "string", false, "typeName");
	add_field(b, "string", true, "typeExpression");
	add_field(b, "string", true, "charsetName");
	add_field(b, "int32", true, "length");
	add_field(b, "int32", true, "scale");
	add_field(b, "int32", false, "position");
	add_field(b, "boolean", true, "optional");
	add_field(b, "boolean", true, "autoIncremented");
	add_field(b, "boolean", true, "generated");
	add_field(b, "string", true, "comment");
	add_field(b, "string", true, "defaultValueExpression");
	add_string_array(b, "enumValues");
	end_struct(b, false, "io.debezium.connector.schema.Column", "", 1);
	buffer_add_char(b, '}');
	add_optional(b, false);
	add_field_name(b, "columns");
}

static void add_table_changes(struct buffer *b)
{
	buffer_add_str(b, ",{\"type\":\"array\",\"items\":{\"type\":\"struct\","
			  "\"fields\":[");
	add_field(b, "string", false, "type");
	add_field(b, "string", false, "id");
	begin_struct(b);
	add_field(b, "string", true, "defaultCharsetName");
	add_string_array(b, "primaryKeyColumnNames");
	add_table_columns(b);
	add_field(b, "string", true, "comment");
	end_struct(b, true, "io.debezium.connector.schema.Table", "", 1);
	add_field_name(b, "table");
	end_struct(b, false, "io.debezium.connector.schema.Change", "", 1);
	buffer_add_char(b, '}');
	add_optional(b, false);
	add_field_name(b, "tableChanges");
}

void connect_schema_add_schema_change_value(struct buffer *b)
{
	buffer_add_str(b, "{\"type\":\"struct\",\"fields\":[");
	add_source(b);
	add_field(b, "int64", false, "ts_ms");
	add_field(b, "string", true, "databaseName");
	add_field(b, "string", true, "schemaName");
	add_field(b, "string", true, "ddl");
	add_table_changes(b);
	end_struct(b, false, "io.debezium.connector.sqlite.SchemaChangeValue", "", 1);
	buffer_add_char(b, '}');
}

/* ---- headers ---- */

void connect_schema_add_header(struct buffer *b, enum connect_type type)
{
	buffer_add_str(b, "{\"type\":\"");
	buffer_add_str(b, type_names[type]);
	buffer_add_str(b, "\",\"optional\":false}");
}
