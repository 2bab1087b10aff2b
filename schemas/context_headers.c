/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/context_headers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "schemas/message_heads.h"
#include "schemas/value_json.h"
#include "src/base/clock.h"

#define UUID_TEXT 37 /* with its NUL */

static const char *const names[CONTEXT_HEADERS] = {
    "__debezium.context.connectorLogicalName",
    "__debezium.context.taskId",
    "__debezium.context.connectorName",
    "__debezium.context.runId",
};

/* RFC 9562 section 5.7: 48 bits of milliseconds, version, variant, random bits. */
static enum status make_uuid(char text[UUID_TEXT], struct error *err)
{
	const uint64_t ms = (uint64_t)(clock_wall_ns() / NS_PER_MS);
	uint8_t b[10];

	if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b) {
		return error_set_errno(err, errno, "random bytes for a run's id");
	}
	(void)snprintf(text, UUID_TEXT,
		       "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		       (unsigned)(ms >> 16 & 0xFFFFFFFF), (unsigned)(ms & 0xFFFF),
		       0x7000u | (unsigned)(b[0] & 15) << 8 | b[1], 0x80u | (b[2] & 63),
		       b[3], b[4], b[5], b[6], b[7], b[8], b[9]);
	return ST_OK;
}

enum status context_headers_make(struct context_headers *headers,
				 const char *topic_prefix, const struct buffer *head,
				 struct error *err)
{
	char uuid[UUID_TEXT];
	const char *const values[CONTEXT_HEADERS] = {topic_prefix, "0", "sqlite", uuid};

	if (make_uuid(uuid, err) != ST_OK) {
		return err->status;
	}
	for (size_t i = 0; i < CONTEXT_HEADERS; i++) {
		struct buffer *b = &headers->values[i];

		message_begin(b, head);
		json_add_string(b, values[i], strlen(values[i]));
		message_end(b, head);
		if (!buffer_ok(b)) {
			return error_no_memory(err, "headers");
		}
	}
	return ST_OK;
}

void context_headers_clear(struct context_headers *headers)
{
	for (size_t i = 0; i < CONTEXT_HEADERS; i++) {
		buffer_clear(&headers->values[i]);
	}
}

void context_headers_get(const struct context_headers *headers,
			 struct message_header out[CONTEXT_HEADERS])
{
	for (size_t i = 0; i < CONTEXT_HEADERS; i++) {
		const struct buffer *value = &headers->values[i];

		out[i] = (struct message_header){.name = {names[i], strlen(names[i])},
						 .value = {value->bytes, value->len}};
	}
}
