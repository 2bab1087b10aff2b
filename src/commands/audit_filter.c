/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/audit_filter.h"

#include <stdlib.h>
#include <string.h>

#include "src/commands/audit_text.h"

#define VALUE_DEPTH 8 /* of arrays and objects that a value is looked for in */

/* The rarest of what a line must have. */
static void add_needle(struct buffer *b, const struct report_options *o)
{
	if (o->value) {
		audit_text_add_needle(b, o->value);
	} else if (o->by) {
		audit_text_add_needle(b, o->by);
	} else if (o->column || o->table || o->op) {
		buffer_add_str(b, o->column  ? "\""
				  : o->table ? "\"table\":\""
					     : "\"op\":\"");
		audit_text_add_needle(b, o->column  ? o->column
					 : o->table ? o->table
						    : o->op);
		buffer_add_str(b, o->column ? "\":" : "\"");
	}
}

enum status audit_filter_open(struct audit_filter *filter, const struct config *config,
			      struct error *err)
{
	const struct report_options *o = &config->report;

	*filter = (struct audit_filter){.options = o};
	buffer_init(&filter->needle);
	add_needle(&filter->needle, o);
	if (!buffer_ok(&filter->needle)) {
		return error_no_memory(err, "the question");
	}
	if (o->since &&
	    audit_text_time("--since", o->since, filter->since, err) != ST_OK) {
		return err->status;
	}
	return config->until
		   ? audit_text_time("--until", config->until, filter->until, err)
		   : ST_OK;
}

void audit_filter_close(struct audit_filter *filter)
{
	buffer_clear(&filter->needle);
}

/* Is a number, written as it is, this text? */
static bool is_number(const json_t *value, const char *text)
{
	struct buffer b;
	bool is_it;

	buffer_init(&b);
	audit_text_add_plain(&b, value);
	is_it =
	    buffer_ok(&b) && b.len == strlen(text) && memcmp(b.bytes, text, b.len) == 0;
	buffer_clear(&b);
	return is_it;
}

/* A text that has it in it, a number that is it, in what may be an array or an object.
 */
static bool has_value(json_t *json, const char *text, unsigned depth)
{
	const char *name;
	json_t *member;

	if (json_is_string(json)) {
		return memmem(json_string_value(json), json_string_length(json), text,
			      strlen(text)) != NULL;
	}
	if (json_is_number(json)) {
		return is_number(json, text);
	}
	for (size_t i = 0; depth > 0 && i < json_array_size(json); i++) {
		if (has_value(json_array_get(json, i), text, depth - 1)) {
			return true;
		}
	}
	json_object_foreach(json, name, member)
	{
		if (depth > 0 && has_value(member, text, depth - 1)) {
			return true;
		}
	}
	return false;
}

static bool event_has_value(const struct audit_event *e, const char *text)
{
	json_t *const parts[] = {e->key, e->changed,    e->old_row, e->new_row,
				 e->by,  e->candidates, e->process, e->processes};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		if (parts[i] && has_value(parts[i], text, VALUE_DEPTH)) {
			return true;
		}
	}
	return false;
}

/* Does a context name them, in any of its columns? */
static bool names(json_t *by, const char *who)
{
	const char *name;
	json_t *value;

	json_object_foreach(by, name, value)
	{
		if (strcmp(name, "id") == 0 || strcmp(name, "seq") == 0) {
			continue;
		}
		if (json_is_string(value)
			? strcmp(json_string_value(value), who) == 0
			: json_is_number(value) && is_number(value, who)) {
			return true;
		}
	}
	return false;
}

static enum audit_match match_who(const struct audit_event *event, const char *who)
{
	if (names(event->by, who)) {
		return AUDIT_YES;
	}
	for (size_t i = 0; i < json_array_size(event->candidates); i++) {
		if (names(json_array_get(event->candidates, i), who)) {
			return AUDIT_PERHAPS;
		}
	}
	return AUDIT_NO;
}

/* It was, or may have been, in that time: some lines have an interval. */
static bool is_in_time(const struct audit_filter *f, const struct audit_event *event)
{
	const char *from = event->since[0] ? event->since : event->time;

	return !(f->since[0] && strcmp(event->time, f->since) < 0) &&
	       !(f->until[0] && strcmp(from, f->until) > 0);
}

/* Without a question rows that were there at the start, and heads, are left out. */
static bool is_asked_for(const struct report_options *o, const struct audit_event *e)
{
	if (o->op) {
		return strcmp(o->op, e->op) == 0;
	}
	return strcmp(e->op, "checkpoint") != 0 &&
	       (strcmp(e->op, "read") != 0 || o->value);
}

enum audit_match audit_filter_match(const struct audit_filter *filter,
				    const struct audit_event *event)
{
	const struct report_options *o = filter->options;
	const json_t *columns = event->changed   ? event->changed
				: event->new_row ? event->new_row
						 : event->old_row;

	if (!is_asked_for(o, event) || !is_in_time(filter, event) ||
	    (o->table && (!event->table || strcmp(o->table, event->table) != 0)) ||
	    (o->column && !json_object_get(columns, o->column)) ||
	    (o->no_context && (event->by || !audit_event_is_row(event) ||
			       strcmp(event->op, "read") == 0)) ||
	    (o->value && !event_has_value(event, o->value))) {
		return AUDIT_NO;
	}
	return o->by ? match_who(event, o->by) : AUDIT_YES;
}
