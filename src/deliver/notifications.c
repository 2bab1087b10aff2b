/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/notifications.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "schemas/connect_schema.h"
#include "schemas/message_heads.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"
#include "src/deliver/notification_file.h"

#define UUID_TEXT    37 /* with its NUL */
#define SHOWN_TABLES 5  /* names in a line of the log */

struct notifications {
	const struct config *config;
	const struct route *route;
	struct sink *sink;
	bool wants_keys;
	bool file_failed; /* and that was said */
	struct buffer key_head, value_head;
	struct buffer key, value;
};

/* ---- open and close ---- */

/* False when memory ran out. */
static bool make_heads(struct notifications *n)
{
	buffer_add_str(&n->value_head, "{\"schema\":");
	connect_schema_add_notification_value(&n->value_head);
	buffer_add_str(&n->value_head, ",\"payload\":");
	return message_heads_key(&n->key_head, CONTROL_NOTIFICATION, n->route) &&
	       buffer_ok(&n->value_head);
}

/* Nothing else may be in the topic that the sink reads its positions from. */
static enum status check_topic(const struct notifications *n, struct error *err)
{
	const char *own = sink_own_topic(n->sink);
	const char *topic = n->route->topic.bytes;

	return notifications_reach_sink(n) && own && strcmp(own, topic) == 0
		   ? error_set(err, ST_CONFIG,
			       "notification.sink.topic.name: %s is the topic of the "
			       "positions; name another one",
			       topic)
		   : ST_OK;
}

static void say_file_failed(struct notifications *n, const struct error *why)
{
	if (!n->file_failed) {
		log_warn("notification.file: %s; notifications are left out there "
			 "until it can be written",
			 why->text);
	}
	n->file_failed = true;
}

/* What may be over soon is no reason not to start. */
static enum status check_file(struct notifications *n, struct error *err)
{
	enum status status = ST_OK;

	if (n->config->notification_channels & NOTIFICATION_FILE) {
		status = notification_file_check(n->config, err);
	}
	if (status == ST_IO) {
		say_file_failed(n, err);
		status = ST_OK;
	}
	return status;
}

enum status notifications_open(const struct config *config, const struct route *route,
			       struct sink *sink, struct notifications **out,
			       struct error *err)
{
	struct notifications *n = calloc(1, sizeof *n);
	enum status status;

	if (!n) {
		return error_no_memory(err, "notifications");
	}
	n->config = config;
	n->route = route;
	n->sink = sink;
	n->wants_keys = sink_wants_keys(sink->kind, config->lines == LINES_RECORD);
	status = !config->encoder.schemas || make_heads(n)
		     ? check_topic(n, err)
		     : error_no_memory(err, "notifications");
	if (status == ST_OK) {
		status = check_file(n, err);
	}
	if (status != ST_OK) {
		notifications_close(n);
		return status;
	}
	*out = n;
	return ST_OK;
}

void notifications_close(struct notifications *notifications)
{
	if (notifications) {
		buffer_clear(&notifications->key_head);
		buffer_clear(&notifications->value_head);
		buffer_clear(&notifications->key);
		buffer_clear(&notifications->value);
		free(notifications);
	}
}

bool notifications_reach_sink(const struct notifications *notifications)
{
	return (notifications->config->notification_channels & NOTIFICATION_SINK) != 0;
}

/* ---- the log ---- */

static bool has_failed(const struct notification_of *of)
{
	static const char *const failures[] = {"NO_PRIMARY_KEY", "SQL_EXCEPTION",
					       "UNKNOWN_SCHEMA"};

	for (size_t i = 0; of->scan_status && i < sizeof failures / sizeof *failures;
	     i++) {
		if (strcmp(of->scan_status, failures[i]) == 0) {
			return true;
		}
	}
	return false;
}

static enum log_level level_of(enum notification_kind kind,
			       const struct notification_of *of)
{
	if (kind == NOTIFY_TABLE_SCAN_COMPLETED && has_failed(of)) {
		return LOG_WARN;
	}
	return kind != NOTIFY_IN_PROGRESS && (of->is_incremental || of->id) ? LOG_INFO
									    : LOG_DEBUG;
}

static void add_names(struct buffer *b, const struct notification_of *of)
{
	size_t shown = of->table_count < SHOWN_TABLES ? of->table_count : SHOWN_TABLES;

	for (size_t i = 0; i < shown; i++) {
		buffer_add_str(b, i == 0 ? ": " : ", ");
		buffer_add_str(b, SHORT_NAME(of->tables[i]));
	}
	if (of->table_count > shown) {
		buffer_add_str(b, " and ");
		buffer_add_u64(b, of->table_count - shown);
		buffer_add_str(b, " more");
	}
}

static void add_scan(struct buffer *b, enum notification_kind kind,
		     const struct notification_of *of)
{
	buffer_add_str(b, "table ");
	buffer_add_str(b, SHORT_NAME(of->table ? of->table : ""));
	if (kind == NOTIFY_TABLE_SCAN_COMPLETED) {
		buffer_add_str(b, ": ");
		buffer_add_u64(b, of->rows);
		buffer_add_str(b, of->rows == 1 ? " row" : " rows");
		if (of->scan_status && strcmp(of->scan_status, "SUCCEEDED") != 0) {
			buffer_add_str(b, ", ");
			buffer_add_str(b, SHORT_NAME(of->scan_status));
		}
	} else if (of->last_processed_key && of->maximum_key) {
		buffer_add_str(b, ": up to key ");
		buffer_add_str(b, SHORT_NAME(of->last_processed_key));
		buffer_add_str(b, " of ");
		buffer_add_str(b, SHORT_NAME(of->maximum_key));
	}
}

static void add_step(struct buffer *b, enum notification_kind kind,
		     const struct notification_of *of)
{
	static const char *const steps[] = {
	    [NOTIFY_STARTED] = "started", [NOTIFY_COMPLETED] = "completed",
	    [NOTIFY_ABORTED] = "aborted", [NOTIFY_PAUSED] = "paused",
	    [NOTIFY_RESUMED] = "resumed", [NOTIFY_STOPPED] = "stopped",
	    [NOTIFY_SKIPPED] = "skipped",
	};

	if (kind == NOTIFY_IN_PROGRESS || kind == NOTIFY_TABLE_SCAN_COMPLETED) {
		add_scan(b, kind, of);
		return;
	}
	buffer_add_str(b, steps[kind]);
	if (kind != NOTIFY_COMPLETED && kind != NOTIFY_SKIPPED) {
		add_names(b, of);
	}
}

static void write_log(const struct notifications *n, enum notification_kind kind,
		      const struct notification_of *of)
{
	enum log_level level = level_of(kind, of);
	struct buffer step;

	if (level > n->config->log_most) {
		return;
	}
	buffer_init(&step);
	add_step(&step, kind, of);
	buffer_add_char(&step, '\0');
	if (buffer_ok(&step)) {
		log_line(level, "%s%s%s: %s",
			 of->is_incremental || of->id ? "snapshot" : "initial snapshot",
			 of->id ? " " : "",
			 of->id ? quote(SHORT_NAME(of->id)).text : "", step.bytes);
	}
	buffer_clear(&step);
}

/* ---- the file and the sink ---- */

static void write_file(struct notifications *n, const struct notification *what)
{
	struct error err;

	buffer_reset(&n->value);
	notification_add_value(&n->value, what);
	if (!buffer_ok(&n->value)) {
		(void)error_no_memory(&err, "a notification");
		say_file_failed(n, &err);
	} else if (notification_file_add(n->config,
					 (struct span){n->value.bytes, n->value.len},
					 &err) != ST_OK) {
		say_file_failed(n, &err);
	} else if (n->file_failed) {
		n->file_failed = false;
		log_info("notification.file: %s is written again",
			 quote(n->config->notification_file).text);
	}
}

static enum status put_message(struct notifications *n, const struct notification *what,
			       struct error *err)
{
	struct message message = {.topic = route_topic(n->route),
				  .index = MESSAGE_NO_INDEX};

	message_begin(&n->key, &n->key_head);
	notification_add_key(&n->key, what);
	message_end_key(&n->key, &n->key_head, n->route);
	message_begin(&n->value, &n->value_head);
	notification_add_value(&n->value, what);
	message_end(&n->value, &n->value_head);
	if (!buffer_ok(&n->key) || !buffer_ok(&n->value)) {
		return error_no_memory(err, "a notification");
	}
	if (n->wants_keys) {
		message.key = (struct span){n->key.bytes, n->key.len};
	}
	message.value = (struct span){n->value.bytes, n->value.len};
	return sink_put(n->sink, &message, err);
}

/* RFC 9562 section 5.4: random, but for version and variant. */
static enum status make_uuid(char text[UUID_TEXT], struct error *err)
{
	uint8_t b[16];

	if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b) {
		return error_set_errno(err, errno,
				       "random bytes for a notification's id");
	}
	(void)snprintf(text, UUID_TEXT,
		       "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x"
		       "%02x%02x",
		       b[0], b[1], b[2], b[3], b[4], b[5], 0x40u | (b[6] & 15), b[7],
		       0x80u | (b[8] & 63), b[9], b[10], b[11], b[12], b[13], b[14],
		       b[15]);
	return ST_OK;
}

enum status notifications_send(struct notifications *notifications,
			       enum notification_kind kind,
			       const struct notification_of *of, struct error *err)
{
	struct notifications *n = notifications;
	unsigned channels = n->config->notification_channels;
	struct notification what = {.kind = kind,
				    .of = of,
				    .id = of->id,
				    .connector_name = n->config->encoder.topic_prefix,
				    .timestamp_ms = clock_wall_ns() / NS_PER_MS};
	char uuid[UUID_TEXT];

	if (channels & NOTIFICATION_LOG) {
		write_log(n, kind, of);
	}
	if (!(channels & (NOTIFICATION_FILE | NOTIFICATION_SINK))) {
		return ST_OK;
	}
	if (!what.id) {
		if (make_uuid(uuid, err) != ST_OK) {
			return err->status;
		}
		what.id = uuid;
	}
	if (channels & NOTIFICATION_FILE) {
		write_file(n, &what);
	}
	return channels & NOTIFICATION_SINK ? put_message(n, &what, err) : ST_OK;
}
