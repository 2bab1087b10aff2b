/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/connect_schema.h -- schema blocks as Kafka Connect's JsonConverter writes
 * them (schemas.enable=true).
 *
 *     {"schema":S,"payload":P}
 *
 * S has its keys in this order, those that are unset left out: type, fields or items,
 * optional, name, version, parameters, default; in a struct's fields last of all
 * "field". A column's DEFAULT is left out: consumers would read a NULL as the default.
 *
 * THREADS  No shared state.
 * ERRORS   Out of memory shows in buffer_ok.
 */
#ifndef SCHEMAS_CONNECT_SCHEMA_H
#define SCHEMAS_CONNECT_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "schemas/column_type.h"
#include "src/base/buffer.h"
#include "src/base/message.h"

const char *connect_type_name(enum connect_type type); /* "int64" */

struct connect_field {
	const char *name; /* as it stands in the payload, UTF-8 */
	enum connect_type type;
	bool optional;
	const char *parameter; /* NULL: none */
	char parameter_value[24];
};

/* Append S of the messages of a table. `prefix` is what the names of its schemas begin
 * with: PREFIX.Envelope, PREFIX.Value, PREFIX.Key. `with_context`: they have the fields
 * of schemas/transaction_context.h. `more`: fields behind the columns, each as
 * connect_schema_add_member appends it. */
void connect_schema_add_envelope(struct buffer *b, const char *prefix,
				 const struct connect_field *columns, size_t count,
				 bool with_context);
/* `name` is the whole of it. */
void connect_schema_add_key(struct buffer *b, const char *name,
			    const struct connect_field *columns, size_t count,
			    struct span more);
/* Of a row without its envelope: PREFIX.Value, not optional. */
void connect_schema_add_flat(struct buffer *b, const char *prefix,
			     const struct connect_field *columns, size_t count,
			     struct span more);

/* What may be added to rows and keys. */
enum connect_member {
	MEMBER_STRING,
	MEMBER_INT64,
	MEMBER_SNAPSHOT_MARK, /* source.snapshot */
	MEMBER_JSON,          /* a string that holds it */
};

/* Append one as a field behind others, or with `name` NULL as S of a header. */
void connect_schema_add_member(struct buffer *b, enum connect_member type,
			       bool optional, const char *name);

/* S of the other messages, whose layout is in schemas/transaction_event.h, in
 * schemas/schema_change.h, in schemas/notification.h, and in schemas/encoder.h
 * (heartbeats). */
void connect_schema_add_transaction_value(struct buffer *b);
void connect_schema_add_schema_change_value(struct buffer *b);
void connect_schema_add_message_value(struct buffer *b);
void connect_schema_add_heartbeat_value(struct buffer *b);
void connect_schema_add_notification_value(struct buffer *b);

enum control_message {
	CONTROL_TRANSACTION,
	CONTROL_SCHEMA_CHANGE,
	CONTROL_HEARTBEAT,
	CONTROL_MESSAGE,
	CONTROL_NOTIFICATION,
	CONTROL_MESSAGES,
};

/* Of their keys; `name` NULL: their own. */
void connect_schema_add_control_key(struct buffer *b, enum control_message of,
				    const char *name, struct span more);

/* S of a header's value. */
void connect_schema_add_header(struct buffer *b, enum connect_type type);

#endif
