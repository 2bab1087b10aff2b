/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/audit_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "schemas/value_json.h"
#include "src/commands/audit_text.h"

void audit_row_open(struct audit_row *row, const char *at, const char *begin)
{
	*row = (struct audit_row){.at = at, .begin = begin};
}

void audit_row_close(struct audit_row *row)
{
	json_decref(row->columns);
	row->columns = NULL;
}

/* Columns that are not known yet are those of `from`. */
static bool fill_in(json_t *columns, json_t *from)
{
	return !from || json_object_update_missing(columns, from) == 0;
}

static bool take_changed(json_t *columns, json_t *changed)
{
	const char *name;
	json_t *pair;

	json_object_foreach(changed, name, pair)
	{
		json_t *value = audit_event_is(pair);

		if (value && json_object_set(columns, name, value) != 0) {
			return false;
		}
	}
	return true;
}

static bool fill_in_changed(json_t *columns, json_t *changed)
{
	const char *name;
	json_t *pair;

	json_object_foreach(changed, name, pair)
	{
		json_t *value = audit_event_was(pair);

		if (value && !json_object_get(columns, name) &&
		    json_object_set(columns, name, value) != 0) {
			return false;
		}
	}
	return true;
}

/* A line up to the time. */
static bool take_before(struct audit_row *row, const struct audit_event *event)
{
	row->line = event->number;
	row->has_line = true;
	if (strcmp(event->op, "delete") == 0) {
		row->state = ROW_NOT_THERE;
		return json_object_clear(row->columns) == 0;
	}
	row->state = ROW_THERE;
	if (event->new_row) {
		row->is_whole = true;
		row->is_altered = false;
		return json_object_clear(row->columns) == 0 &&
		       json_object_update(row->columns, event->new_row) == 0;
	}
	return take_changed(row->columns, event->changed);
}

/* One behind it. */
static bool take_behind(struct audit_row *row, const struct audit_event *event)
{
	bool is_update = strcmp(event->op, "update") == 0;

	if (event->since[0] && strcmp(event->since, row->at) <= 0 && !row->blurred[0]) {
		(void)snprintf(row->blurred, sizeof row->blurred, "%.24s", event->time);
	}
	row->is_settled = !is_update || row->state == ROW_NOT_THERE || row->is_whole;
	if (row->state == ROW_UNKNOWN && strcmp(event->op, "insert") == 0) {
		row->state = ROW_NOT_THERE;
	} else if (row->state == ROW_UNKNOWN && strcmp(event->op, "read") != 0) {
		row->state = ROW_THERE;
	}
	if (row->state != ROW_THERE || row->is_whole) {
		return true;
	}
	if (event->old_row) {
		row->is_whole = row->is_settled = true;
	}
	return fill_in_changed(row->columns, event->changed) &&
	       fill_in(row->columns, event->old_row);
}

/* A line of the table itself. */
static void take_schema(struct audit_row *row, const struct audit_event *event)
{
	const char *type = json_string_value(json_object_get(event->json, "type"));

	if (row->is_behind || !type) {
		return;
	}
	if (strcmp(type, "dropped") == 0 && row->state == ROW_THERE) {
		row->state = ROW_NOT_THERE;
		row->line = event->number;
	} else if (strcmp(type, "altered") == 0) {
		row->is_altered = row->has_line;
	}
}

enum status audit_row_take(struct audit_row *row, const struct audit_event *event,
			   struct error *err)
{
	bool ok;

	if (!row->columns) {
		row->columns = json_object();
	}
	if (!row->columns) {
		return error_no_memory(err, "the row");
	}
	row->is_behind = row->is_behind || strcmp(event->time, row->at) > 0;
	if (!audit_event_is_row(event)) {
		take_schema(row, event);
		return ST_OK;
	}
	ok = !row->is_behind    ? take_before(row, event)
	     : !row->is_settled ? take_behind(row, event)
				: true;
	return ok ? ST_OK : error_no_memory(err, "the row");
}

/* ---- result ---- */

static enum status is_not_there(const struct audit_row *row, struct error *err)
{
	if (row->state == ROW_NOT_THERE && row->has_line) {
		return error_set(err, ST_END,
				 "the row was not there at %s: line %" PRIu64
				 " told last of it",
				 row->at, row->line);
	}
	if (!row->has_line && strcmp(row->at, row->begin) < 0) {
		return error_set(err, ST_END,
				 "nothing is told of %s: the log begins later",
				 row->at);
	}
	if (row->state == ROW_NOT_THERE) {
		return error_set(err, ST_END,
				 "the row was not there at %s: it was inserted later",
				 row->at);
	}
	return error_set(err, ST_END,
			 "what the row was at %s cannot be told: the log's first word "
			 "of it is later",
			 row->at);
}

/* A value as JSON. */
static void add_json(struct buffer *b, const json_t *value)
{
	if (json_is_string(value)) {
		json_add_string(b, json_string_value(value), json_string_length(value));
	} else if (!value || json_is_null(value)) {
		buffer_add_str(b, "null");
	} else {
		audit_text_add_plain(b, value);
	}
}

static enum status print_json(const struct audit_row *row, bool is_there,
			      struct error *err)
{
	const char *name, *between = "{";
	struct buffer b;
	json_t *value;
	bool is_ok;

	buffer_init(&b);
	buffer_add_str(&b, "\"at\":");
	json_add_string(&b, row->at, strlen(row->at));
	buffer_add_str(&b, ",\"row\":");
	if (is_there) {
		json_object_foreach(row->columns, name, value)
		{
			buffer_add_str(&b, between);
			json_add_string(&b, name, strlen(name));
			buffer_add_char(&b, ':');
			add_json(&b, value);
			between = ",";
		}
		buffer_add_str(&b, *between == '{' ? "{}" : "}");
	} else {
		buffer_add_str(&b, "null");
	}
	buffer_add_str(&b, row->is_whole ? ",\"whole\":true" : ",\"whole\":false");
	buffer_add_str(&b, row->is_altered ? ",\"columns_changed\":true" : "");
	if (row->blurred[0]) {
		buffer_add_str(&b, ",\"perhaps_changed_by\":");
		json_add_string(&b, row->blurred, strlen(row->blurred));
	}
	is_ok = buffer_ok(&b);
	if (is_ok) {
		(void)fwrite(b.bytes, 1, b.len, stdout);
	}
	buffer_clear(&b);
	return is_ok ? ST_OK : error_no_memory(err, "the row");
}

static enum status print_text(const struct audit_row *row, struct error *err)
{
	enum status status = ST_OK;
	const char *name;
	struct buffer b;
	json_t *value;

	buffer_init(&b);
	json_object_foreach(row->columns, name, value)
	{
		buffer_reset(&b);
		buffer_add_str(&b, name);
		buffer_add_str(&b, ": ");
		audit_text_add_value(&b, value);
		if (status == ST_OK) {
			status = audit_text_print(&b, err);
		}
	}
	buffer_clear(&b);
	if (!row->is_whole) {
		(void)puts(
		    "(no line tells what its other columns were, if it has any)");
	}
	if (row->is_altered) {
		(void)puts(
		    "(columns of the table were added, removed or renamed on the "
		    "way: see the schema lines of rowtail audit history)");
	}
	if (row->blurred[0]) {
		buffer_reset(&b);
		buffer_add_str(&b, "(perhaps not: a change was found only at ");
		buffer_add_str(&b, row->blurred);
		buffer_add_str(&b, " that may have been made before)");
		status = status == ST_OK ? audit_text_print(&b, err) : status;
		buffer_clear(&b);
	}
	return status;
}

enum status audit_row_print(const struct audit_row *row, bool as_json,
			    struct error *err)
{
	bool is_there = row->state == ROW_THERE && row->columns &&
			(row->has_line || strcmp(row->at, row->begin) >= 0);
	enum status status = as_json    ? print_json(row, is_there, err)
			     : is_there ? print_text(row, err)
					: ST_OK;

	return status == ST_OK && !is_there ? is_not_there(row, err) : status;
}
