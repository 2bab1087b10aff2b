/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/audit_csv.h"

#include <string.h>

#include "src/commands/audit_text.h"

const char audit_csv_head[] =
    "n,time,since,txn,op,table,key,column,old,new,who,context,"
    "process\r\n";

static void add_cell(struct buffer *b, const char *text, size_t len)
{
	bool is_formula = len > 0 && strchr("=+-@\t\r", text[0]) && text[0] != '\0';
	bool quotes = len == 0;

	for (size_t i = 0; i < len; i++) {
		quotes |= strchr(",\"\r\n\t", text[i]) != NULL;
	}
	buffer_add_str(b, quotes ? "\"" : "");
	buffer_add_str(b, is_formula ? "'" : "");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f) {
			buffer_add_str(b, "\uFFFD");
			continue;
		}
		buffer_add_str(b, c == '"' ? "\"" : "");
		buffer_add_char(b, text[i]);
	}
	buffer_add_str(b, quotes ? "\"" : "");
}

/* A comma and a value; NULL and what is not there are an empty field. */
static void add_value(struct buffer *b, const json_t *value)
{
	struct buffer text;

	buffer_add_char(b, ',');
	if (!value || json_is_null(value)) {
		return;
	}
	buffer_init(&text);
	audit_text_add_plain(&text, value);
	if (json_is_number(value)) { /* also -5: it is no formula */
		buffer_add_buffer(b, &text);
	} else {
		b->failed |= text.failed;
		add_cell(b, text.bytes ? text.bytes : "", text.len);
	}
	buffer_clear(&text);
}

static void add_text(struct buffer *b, const char *text)
{
	buffer_add_char(b, ',');
	if (text && *text) {
		add_cell(b, text, strlen(text));
	}
}

/* What of a line is the same in all of its records. */
struct around {
	struct buffer before, behind;
};

static void add_made(struct buffer *b, void (*add)(struct buffer *, const json_t *),
		     const json_t *json)
{
	struct buffer text;

	buffer_add_char(b, ',');
	buffer_init(&text);
	if (json) {
		add(&text, json);
	}
	b->failed |= text.failed;
	if (text.len > 0) {
		add_cell(b, text.bytes, text.len);
	}
	buffer_clear(&text);
}

static void add_process(struct buffer *b, const struct audit_event *e)
{
	struct buffer text;

	buffer_add_char(b, ',');
	buffer_init(&text);
	audit_text_add_process(&text, e);
	b->failed |= text.failed;
	if (text.len > 0) {
		add_cell(b, text.bytes, text.len);
	}
	buffer_clear(&text);
}

static void add_around(struct around *a, const struct audit_event *e)
{
	buffer_add_u64(&a->before, e->number);
	add_text(&a->before, e->time);
	add_text(&a->before, e->since);
	add_value(&a->before, json_object_get(e->json, "txn"));
	add_text(&a->before, e->op);
	add_text(&a->before, e->table);
	add_made(&a->before, audit_text_add_key, e->key);
	if (e->candidates && !e->by) {
		struct buffer text;

		buffer_init(&text);
		buffer_add_str(&text, "one of ");
		audit_text_add_candidates(&text, e->candidates);
		a->behind.failed |= text.failed;
		buffer_add_char(&a->behind, ',');
		add_cell(&a->behind, text.bytes ? text.bytes : "", text.len);
		buffer_clear(&text);
	} else {
		add_made(&a->behind, audit_text_add_who, e->by);
	}
	add_made(&a->behind, audit_text_add_why, e->by);
	add_process(&a->behind, e);
	buffer_add_str(&a->behind, "\r\n");
}

static void add_record(struct buffer *b, const struct around *a, const char *column,
		       const json_t *old, const json_t *new)
{
	buffer_add_buffer(b, &a->before);
	add_text(b, column);
	add_value(b, old);
	add_value(b, new);
	buffer_add_buffer(b, &a->behind);
}

void audit_csv_add(struct buffer *b, const struct audit_event *event,
		   const char *column)
{
	json_t *all = event->changed   ? event->changed
		      : event->new_row ? event->new_row
				       : event->old_row;
	struct around a;
	const char *name;
	json_t *value;

	buffer_init(&a.before);
	buffer_init(&a.behind);
	add_around(&a, event);
	if (!audit_event_is_row(event)) {
		struct buffer rest;
		json_t *text;

		buffer_init(&rest);
		audit_text_add_rest(&rest, event);
		text = json_stringn_nocheck(rest.len > 0 ? rest.bytes : "", rest.len);
		b->failed |= rest.failed || !text;
		add_record(b, &a, "", NULL, text);
		json_decref(text);
		buffer_clear(&rest);
	} else if (json_object_size(all) == 0) {
		add_record(b, &a, "", NULL, NULL);
	}
	if (audit_event_is_row(event)) {
		json_object_foreach(all, name, value)
		{
			if (column && strcmp(name, column) != 0) {
				continue;
			}
			add_record(b, &a, name,
				   event->changed   ? audit_event_was(value)
				   : event->old_row ? value
						    : NULL,
				   event->changed   ? audit_event_is(value)
				   : event->new_row ? value
						    : NULL);
		}
	}
	buffer_clear(&a.before);
	buffer_clear(&a.behind);
}
