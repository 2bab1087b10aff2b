/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/message_heads.h"

#include <string.h>

#include "schemas/connect_schema.h"
#include "schemas/value_json.h"

static void begin(struct buffer *head)
{
	buffer_reset(head);
	buffer_add_str(head, "{\"schema\":");
}

static bool end(struct buffer *head)
{
	buffer_add_str(head, ",\"payload\":");
	return buffer_ok(head);
}

static bool make(struct buffer *head, void (*add_schema)(struct buffer *b))
{
	begin(head);
	add_schema(head);
	return end(head);
}

static bool make_header(struct buffer *head, enum connect_type type)
{
	begin(head);
	connect_schema_add_header(head, type);
	return end(head);
}

bool message_heads_key(struct buffer *head, enum control_message of,
		       const struct route *route)
{
	const char *name = route->key_name.len > 0 ? route->key_name.bytes : NULL;

	begin(head);
	connect_schema_add_control_key(
	    head, of, name,
	    (struct span){route->key_fields.bytes, route->key_fields.len});
	return end(head);
}

bool message_heads_make(struct message_heads *heads,
			const struct control_topics *topics, bool with_headers)
{
	struct buffer *const keys[CONTROL_MESSAGES] = {
	    [CONTROL_TRANSACTION] = &heads->transaction_key,
	    [CONTROL_SCHEMA_CHANGE] = &heads->schema_change_key,
	    [CONTROL_HEARTBEAT] = &heads->heartbeat_key,
	    [CONTROL_MESSAGE] = &heads->message_key,
	};
	bool ok = true;

	for (int i = 0; ok && i < CONTROL_MESSAGES; i++) {
		ok = !keys[i] || message_heads_key(keys[i], (enum control_message)i,
						   &topics->of[i]);
	}
	return ok &&
	       make(&heads->transaction_value, connect_schema_add_transaction_value) &&
	       make(&heads->schema_change_value,
		    connect_schema_add_schema_change_value) &&
	       make(&heads->heartbeat_value, connect_schema_add_heartbeat_value) &&
	       make(&heads->message_value, connect_schema_add_message_value) &&
	       (!with_headers || (make_header(&heads->integer, CONNECT_INT64) &&
				  make_header(&heads->boolean, CONNECT_BOOLEAN) &&
				  make_header(&heads->string, CONNECT_STRING)));
}

void message_heads_clear(struct message_heads *heads)
{
	buffer_clear(&heads->transaction_key);
	buffer_clear(&heads->transaction_value);
	buffer_clear(&heads->schema_change_key);
	buffer_clear(&heads->schema_change_value);
	buffer_clear(&heads->heartbeat_key);
	buffer_clear(&heads->heartbeat_value);
	buffer_clear(&heads->message_key);
	buffer_clear(&heads->message_value);
	buffer_clear(&heads->integer);
	buffer_clear(&heads->boolean);
	buffer_clear(&heads->string);
}

void message_begin(struct buffer *b, const struct buffer *head)
{
	buffer_reset(b);
	buffer_add(b, head->bytes, head->len);
}

void message_end(struct buffer *b, const struct buffer *head)
{
	if (head->len > 0) {
		buffer_add_char(b, '}');
	}
}

void message_end_key(struct buffer *b, const struct buffer *head,
		     const struct route *route)
{
	route_end_key(route, b);
	message_end(b, head);
}

void message_heartbeat(const struct message_heads *heads, const struct route *route,
		       const char *topic_prefix, int64_t now_ms, struct buffer *key,
		       struct buffer *value)
{
	message_begin(key, &heads->heartbeat_key);
	buffer_add_str(key, "{\"serverName\":");
	json_add_string(key, topic_prefix, strlen(topic_prefix));
	buffer_add_char(key, '}');
	message_end_key(key, &heads->heartbeat_key, route);
	message_begin(value, &heads->heartbeat_value);
	buffer_add_str(value, "{\"ts_ms\":");
	buffer_add_i64(value, now_ms);
	buffer_add_char(value, '}');
	message_end(value, &heads->heartbeat_value);
}
