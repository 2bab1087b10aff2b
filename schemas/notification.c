/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/notification.h"

#include <string.h>

#include "schemas/value_json.h"

static const char *const types[] = {
    [NOTIFY_STARTED] = "STARTED",
    [NOTIFY_IN_PROGRESS] = "IN_PROGRESS",
    [NOTIFY_TABLE_SCAN_COMPLETED] = "TABLE_SCAN_COMPLETED",
    [NOTIFY_COMPLETED] = "COMPLETED",
    [NOTIFY_ABORTED] = "ABORTED",
    [NOTIFY_PAUSED] = "PAUSED",
    [NOTIFY_RESUMED] = "RESUMED",
    [NOTIFY_STOPPED] = "STOPPED",
    [NOTIFY_SKIPPED] = "SKIPPED",
};

const char *notification_type(enum notification_kind kind)
{
	return types[kind];
}

static void add_text(struct buffer *b, const char *text)
{
	json_add_string(b, text, strlen(text));
}

/* ---- additional_data ---- */

static void add_datum(struct buffer *b, const char *name, const char *value)
{
	if (b->len > 0 && b->bytes[b->len - 1] != '{') {
		buffer_add_char(b, ',');
	}
	add_text(b, name);
	buffer_add_char(b, ':');
	add_text(b, value);
}

static void add_tables(struct buffer *b, const struct notification_of *of)
{
	struct buffer list;

	buffer_init(&list);
	for (size_t i = 0; i < of->table_count; i++) {
		buffer_add_str(&list, i > 0 ? "," : "");
		buffer_add_str(&list, of->tables[i]);
	}
	buffer_add_char(&list, '\0');
	b->failed |= !buffer_ok(&list);
	add_datum(b, "data_collections", buffer_ok(&list) ? list.bytes : "");
	buffer_clear(&list);
}

static void add_progress(struct buffer *b, const struct notification *n)
{
	const struct notification_of *of = n->of;

	add_datum(b, "current_collection_in_progress", of->table ? of->table : "");
	add_datum(b, "connector_name", n->connector_name);
	if (of->is_incremental) {
		/* Debezium quotes this one when there is none. */
		add_datum(b, "maximum_key",
			  of->maximum_key ? of->maximum_key : "\"<null>\"");
		add_datum(b, "last_processed_key",
			  of->last_processed_key ? of->last_processed_key : "<null>");
	}
	add_tables(b, of);
}

static void add_scanned(struct buffer *b, const struct notification *n)
{
	const struct notification_of *of = n->of;
	const char *status = of->scan_status ? of->scan_status : "SUCCEEDED";
	bool has_rows = of->is_incremental || strcmp(status, "SQL_EXCEPTION") != 0;

	add_datum(b, "scanned_collection", of->table ? of->table : "");
	add_datum(b, "connector_name", n->connector_name);
	if (has_rows) {
		buffer_add_str(b, ",\"total_rows_scanned\":\"");
		buffer_add_u64(b, of->rows);
		buffer_add_char(b, '"');
	}
	add_datum(b, "status", status);
	if (has_rows) {
		add_tables(b, of);
	}
}

static void add_data(struct buffer *b, const struct notification *n)
{
	switch (n->kind) {
	case NOTIFY_IN_PROGRESS:
		add_progress(b, n);
		return;
	case NOTIFY_TABLE_SCAN_COMPLETED:
		add_scanned(b, n);
		return;
	case NOTIFY_STARTED:
	case NOTIFY_PAUSED:
	case NOTIFY_RESUMED:
		add_datum(b, "connector_name", n->connector_name);
		if (n->of->is_incremental) {
			add_tables(b, n->of);
		}
		return;
	case NOTIFY_ABORTED:
	case NOTIFY_STOPPED:
		add_datum(b, "connector_name", n->connector_name);
		if (n->of->is_incremental && n->of->table_count > 0) {
			add_tables(b, n->of);
		}
		return;
	case NOTIFY_COMPLETED:
	case NOTIFY_SKIPPED:
		add_datum(b, "connector_name", n->connector_name);
		return;
	}
}

/* ---- key and value ---- */

void notification_add_key(struct buffer *b, const struct notification *n)
{
	buffer_add_str(b, "{\"id\":");
	add_text(b, n->id);
	buffer_add_char(b, '}');
}

void notification_add_value(struct buffer *b, const struct notification *n)
{
	buffer_add_str(b, "{\"id\":");
	add_text(b, n->id);
	buffer_add_str(b, ",\"type\":");
	add_text(b, types[n->kind]);
	buffer_add_str(b, n->of->is_incremental
			      ? ",\"aggregate_type\":\"Incremental Snapshot\""
			      : ",\"aggregate_type\":\"Initial Snapshot\"");
	buffer_add_str(b, ",\"additional_data\":{");
	add_data(b, n);
	buffer_add_str(b, "},\"timestamp\":");
	buffer_add_i64(b, n->timestamp_ms);
	buffer_add_char(b, '}');
}
