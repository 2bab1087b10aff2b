/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/context_headers.h -- extended.headers.enabled: who sent a message.
 *
 *     __debezium.context.connectorLogicalName  topic.prefix
 *     __debezium.context.taskId                "0"
 *     __debezium.context.connectorName         "sqlite"
 *     __debezium.context.runId                 a UUID of version 7, new with each run
 *
 * Strings, with their schema where headers have one. As Debezium has it they are on
 * events, tombstones and schema changes, and on no other messages.
 *
 * OWNERSHIP  context_headers_clear; the storage of the struct is the caller's, all
 *            zero. The headers' bytes are the struct's.
 * ERRORS     ST_NOMEM; ST_IO: there are no random bytes.
 */
#ifndef SCHEMAS_CONTEXT_HEADERS_H
#define SCHEMAS_CONTEXT_HEADERS_H

#include "src/base/buffer.h"
#include "src/base/message.h"
#include "src/base/status.h"

#define CONTEXT_HEADERS 4

struct context_headers {
	struct buffer values[CONTEXT_HEADERS];
};

/* `head` is message_heads.string. */
enum status context_headers_make(struct context_headers *headers,
				 const char *topic_prefix, const struct buffer *head,
				 struct error *err) MUST_CHECK;
void context_headers_clear(struct context_headers *headers);

/* Put the four at `out`. */
void context_headers_get(const struct context_headers *headers,
			 struct message_header out[CONTEXT_HEADERS]);

#endif
