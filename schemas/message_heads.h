/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/message_heads.h -- what stands before the payload of messages that are of no
 * table, and of headers: {"schema":…,"payload":  with schemas.enable (of headers with
 * header.converter.schemas.enable), nothing without.
 *
 * OWNERSHIP  message_heads_clear; the storage of the struct is the caller's, all zero.
 * THREADS    Read-only once made.
 */
#ifndef SCHEMAS_MESSAGE_HEADS_H
#define SCHEMAS_MESSAGE_HEADS_H

#include <stdbool.h>
#include <stdint.h>

#include "schemas/control_topics.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

struct message_heads {
	struct buffer transaction_key, transaction_value;
	struct buffer schema_change_key, schema_change_value;
	struct buffer heartbeat_key, heartbeat_value;
	struct buffer message_key, message_value;
	struct buffer integer, boolean, string; /* values of headers */
};

/* Fill them, those of headers only if asked. False when memory ran out. */
bool message_heads_make(struct message_heads *heads,
			const struct control_topics *topics,
			bool with_headers) MUST_CHECK;
void message_heads_clear(struct message_heads *heads);

/* Fill `head` with that of keys whose messages take the route. */
bool message_heads_key(struct buffer *head, enum control_message of,
		       const struct route *route) MUST_CHECK;

/* Begin a message, or a header's value, in `b`, and end it. */
void message_begin(struct buffer *b, const struct buffer *head);
void message_end(struct buffer *b, const struct buffer *head);
/* The same of a key whose message takes the route. */
void message_end_key(struct buffer *b, const struct buffer *head,
		     const struct route *route);

/* The whole of a heartbeat's key and value. */
void message_heartbeat(const struct message_heads *heads, const struct route *route,
		       const char *topic_prefix, int64_t now_ms, struct buffer *key,
		       struct buffer *value);

#endif
