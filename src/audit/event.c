/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/event.h"

#include <string.h>

static json_t *object_at(const json_t *json, const char *name)
{
	json_t *member = json_object_get(json, name);

	return json_is_object(member) ? member : NULL;
}

static json_t *array_at(const json_t *json, const char *name)
{
	json_t *member = json_object_get(json, name);

	return json_is_array(member) ? member : NULL;
}

static const char *text_at(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text ? text : "";
}

bool audit_event_read(struct span line, struct audit_event *out)
{
	json_t *json = json_loadb(line.bytes, line.len, JSON_ALLOW_NUL, NULL);
	json_int_t number;

	if (!json_is_object(json)) {
		json_decref(json);
		return false;
	}
	number = json_integer_value(json_object_get(json, "n"));
	*out = (struct audit_event){
	    .json = json,
	    .number = number > 0 ? (uint64_t)number : 0,
	    .time = text_at(json, "time"),
	    .since = text_at(json, "since"),
	    .op = text_at(json, "op"),
	    .table = json_string_value(json_object_get(json, "table")),
	    .key = object_at(json, "key"),
	    .changed = object_at(json, "changed"),
	    .old_row = object_at(json, "old"),
	    .new_row = object_at(json, "new"),
	    .by = object_at(json, "by"),
	    .candidates = array_at(json, "context_candidates"),
	    .process = object_at(json, "process"),
	    .processes = array_at(json, "process_candidates"),
	};
	return true;
}

void audit_event_clear(struct audit_event *event)
{
	json_decref(event->json);
	*event = (struct audit_event){0};
}

bool audit_event_is_row(const struct audit_event *event)
{
	return event->table &&
	       (strcmp(event->op, "insert") == 0 || strcmp(event->op, "update") == 0 ||
		strcmp(event->op, "delete") == 0 || strcmp(event->op, "read") == 0);
}

json_t *audit_event_was(json_t *pair)
{
	return json_array_size(pair) == 2 ? json_array_get(pair, 0) : NULL;
}

json_t *audit_event_is(json_t *pair)
{
	return json_array_size(pair) == 2 ? json_array_get(pair, 1) : NULL;
}
