/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/control_topics.h"

#include <string.h>

#include "schemas/topic_name.h"
#include "schemas/transforms.h"

/* The topic without transforms; none where there are no such messages. */
static void add_topic(struct buffer *b, const struct encoder_settings *settings,
		      enum control_message of)
{
	const char *prefix = settings->topic_prefix;
	const char *delimiter = settings->topic_delimiter;

	switch (of) {
	case CONTROL_TRANSACTION:
		if (settings->transaction_metadata) {
			topic_name_add(b, prefix, delimiter,
				       settings->topic_transaction);
		}
		break;
	case CONTROL_SCHEMA_CHANGE:
		if (settings->schema_changes) {
			topic_name_add(b, prefix, "", "");
		}
		break;
	case CONTROL_MESSAGE:
		if (settings->context_table && settings->context_alone) {
			topic_name_add(b, prefix, delimiter, "message");
		}
		break;
	case CONTROL_HEARTBEAT:
		if (settings->heartbeat_prefix) {
			topic_name_add(b, settings->heartbeat_prefix, delimiter,
				       prefix);
		}
		break;
	case CONTROL_NOTIFICATION:
	case CONTROL_MESSAGES:
		buffer_add_str(b, settings->notification_topic
				      ? settings->notification_topic
				      : "");
		break;
	}
}

enum status control_topics_make(struct control_topics *topics,
				const struct encoder_settings *settings,
				struct error *err)
{
	enum status status = ST_OK;
	struct buffer b;

	if (settings->audit_lines) {
		return ST_OK;
	}
	buffer_init(&b);
	for (int i = 0; status == ST_OK && i < CONTROL_MESSAGES; i++) {
		buffer_reset(&b);
		add_topic(&b, settings, (enum control_message)i);
		if (!buffer_ok(&b)) {
			status = error_no_memory(err, "an event");
		} else if (b.len > 0) {
			status = transforms_route(settings->transforms,
						  (struct span){b.bytes, b.len},
						  &topics->of[i], err);
		}
	}
	buffer_clear(&b);
	return status;
}

void control_topics_clear(struct control_topics *topics)
{
	for (int i = 0; i < CONTROL_MESSAGES; i++) {
		route_clear(&topics->of[i]);
	}
}
