/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/audit_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/audit_line.h"
#include "schemas/number_json.h"
#include "schemas/value_json.h"
#include "src/archive/when.h"
#include "src/base/clock.h"
#include "src/base/utf8.h"

#define VALUE_BYTES 200 /* of a text that people read; a longer one is cut */

void audit_text_add_plain(struct buffer *b, const json_t *value)
{
	char *text;

	if (!value || json_is_null(value)) {
		return;
	}
	if (json_is_string(value)) {
		buffer_add(b, json_string_value(value), json_string_length(value));
	} else if (json_is_integer(value)) {
		buffer_add_i64(b, json_integer_value(value));
	} else if (json_is_real(value)) {
		char number[64];

		buffer_add(
		    b, number,
		    (size_t)(json_put_double(number, json_real_value(value)) - number));
	} else {
		text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		b->failed |= !text;
		buffer_add_str(b, text ? text : "");
		free(text);
	}
}

/* Would a text without quotes be taken for something else? */
static bool needs_quotes(const char *text, size_t len)
{
	char *end;

	if (len == 0 || strcmp(text, "NULL") == 0 || text[0] == ' ' ||
	    text[len - 1] == ' ' || strpbrk(text, ",;\"()") != NULL ||
	    strstr(text, "\u2192") || strstr(text, ": ")) {
		return true;
	}
	(void)strtod(text, &end);
	return end == text + len;
}

void audit_text_add_value(struct buffer *b, const json_t *value)
{
	const char *text = json_string_value(value);
	size_t len, shown;
	bool quotes;

	if (!value || json_is_null(value)) {
		buffer_add_str(b, "NULL");
		return;
	}
	if (!text) {
		audit_text_add_plain(b, value);
		return;
	}
	len = json_string_length(value);
	shown = utf8_cut(text, len, VALUE_BYTES);
	quotes = needs_quotes(text, len);
	buffer_add_str(b, quotes ? "\"" : "");
	buffer_add(b, text, shown);
	buffer_add_str(b, shown < len ? "\u2026" : "");
	buffer_add_str(b, quotes ? "\"" : "");
}

static void add_name(struct buffer *b, size_t *count, const char *name)
{
	buffer_add_str(b, (*count)++ > 0 ? ", " : "");
	buffer_add_str(b, name);
	buffer_add_str(b, ": ");
}

void audit_text_add_key(struct buffer *b, const json_t *key)
{
	const char *name;
	json_t *value;
	size_t count = 0;

	if (!key) {
		buffer_add_str(b, "without a key");
		return;
	}
	json_object_foreach((json_t *)key, name, value)
	{
		if (json_object_size(key) > 1) {
			add_name(b, &count, name);
		}
		audit_text_add_value(b, value);
	}
}

void audit_text_add_changes(struct buffer *b, const struct audit_event *event,
			    const char *column)
{
	json_t *all = event->changed   ? event->changed
		      : event->new_row ? event->new_row
				       : event->old_row;
	const char *name;
	json_t *value;
	size_t count = 0;

	json_object_foreach(all, name, value)
	{
		if (column && strcmp(column, name) != 0) {
			continue;
		}
		add_name(b, &count, name);
		if (event->changed) {
			audit_text_add_value(b, audit_event_was(value));
			buffer_add_str(b, " \u2192 ");
			value = audit_event_is(value);
		}
		audit_text_add_value(b, value);
	}
}

/* ---- who and why ---- */

static const char *name_of_actor(const json_t *by)
{
	static const char *const names[] = {"actor", "user", "who"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const json_t *value = json_object_get(by, names[i]);

		if (value && !json_is_null(value)) {
			return names[i];
		}
	}
	return NULL;
}

static void add_members(struct buffer *b, const json_t *by, const char *but)
{
	const char *name;
	json_t *value;
	size_t count = 0;

	json_object_foreach((json_t *)by, name, value)
	{
		if (json_is_null(value) || strcmp(name, "id") == 0 ||
		    strcmp(name, "seq") == 0 || (but && strcmp(name, but) == 0)) {
			continue;
		}
		add_name(b, &count, name);
		audit_text_add_value(b, value);
	}
}

void audit_text_add_who(struct buffer *b, const json_t *by)
{
	const char *actor = name_of_actor(by);

	if (actor) {
		audit_text_add_value(b, json_object_get(by, actor));
	} else {
		size_t before = b->len;

		add_members(b, by, NULL);
		buffer_add_str(b, b->len == before ? "nobody named" : "");
	}
}

void audit_text_add_why(struct buffer *b, const json_t *by)
{
	const char *actor = name_of_actor(by);

	if (actor) { /* else all of it is who */
		add_members(b, by, actor);
	}
}

void audit_text_add_candidates(struct buffer *b, const json_t *candidates)
{
	struct buffer one, before;

	buffer_init(&one);
	buffer_init(&before);
	for (size_t i = 0; i < json_array_size(candidates); i++) {
		buffer_reset(&one);
		audit_text_add_who(&one, json_array_get(candidates, i));
		if (i > 0 && one.len == before.len &&
		    memcmp(one.bytes, before.bytes, one.len) == 0) {
			continue;
		}
		buffer_add_str(b, i > 0 ? " or " : "");
		buffer_add_buffer(b, &one);
		buffer_reset(&before);
		buffer_add_buffer(&before, &one);
	}
	buffer_clear(&one);
	buffer_clear(&before);
}

static void add_id(struct buffer *b, const json_t *process, const char *name)
{
	const json_t *id = json_object_get(process, name);

	if (json_is_integer(id)) {
		buffer_add_str(b, ", ");
		buffer_add_str(b, name);
		buffer_add_char(b, ' ');
		buffer_add_i64(b, json_integer_value(id));
	}
}

static void add_process(struct buffer *b, const json_t *process)
{
	const json_t *exe = json_object_get(process, "exe");
	const json_t *unit = json_object_get(process, "unit");

	buffer_add_str(b, "process ");
	if (json_is_string(exe)) {
		audit_text_add_value(b, exe);
		buffer_add_char(b, ' ');
	}
	buffer_add_str(b, "(pid ");
	audit_text_add_plain(b, json_object_get(process, "pid"));
	add_id(b, process, "uid");
	add_id(b, process, "loginuid");
	if (json_is_string(unit)) {
		buffer_add_str(b, ", ");
		audit_text_add_value(b, unit);
	}
	buffer_add_char(b, ')');
}

void audit_text_add_process(struct buffer *b, const struct audit_event *event)
{
	if (event->process) {
		add_process(b, event->process);
		return;
	}
	for (size_t i = 0; i < json_array_size(event->processes); i++) {
		buffer_add_str(b, i == 0 ? "one of " : " or ");
		add_process(b, json_array_get(event->processes, i));
	}
}

void audit_text_add_program(struct buffer *b, const struct audit_event *event)
{
	const json_t *exe = json_object_get(event->process, "exe");

	if (json_is_string(exe)) {
		audit_text_add_value(b, exe);
	} else if (event->process) {
		buffer_add_str(b, "of unknown name");
	} else if (json_array_size(event->processes) > 0) {
		buffer_add_str(b, "one of several");
	}
}

void audit_text_add_rest(struct buffer *b, const struct audit_event *event)
{
	static const char *const common[] = {
	    "n",     "salt", "time",      "txn",     "op",
	    "table", "by",   "change_id", "process", "process_candidates"};
	const char *name;
	json_t *value;
	size_t count = 0;

	json_object_foreach(event->json, name, value)
	{
		bool is_common = false;

		for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
			is_common |= strcmp(name, common[i]) == 0;
		}
		if (!is_common) {
			add_name(b, &count, name);
			audit_text_add_value(b, value);
		}
	}
}

/* ---- in and out ---- */

enum status audit_text_print(struct buffer *b, struct error *err)
{
	for (size_t i = 0; i < b->len; i++) {
		b->bytes[i] = b->bytes[i] ? b->bytes[i] : '?';
	}
	buffer_add_char(b, '\0');
	if (!buffer_ok(b)) {
		return error_no_memory(err, "a line");
	}
	utf8_make_safe(b->bytes);
	(void)puts(b->bytes);
	return ST_OK;
}

void audit_text_add_needle(struct buffer *b, const char *text)
{
	struct buffer quoted;

	buffer_init(&quoted);
	json_add_string(&quoted, text, strlen(text));
	b->failed |= quoted.failed;
	if (quoted.len >= 2) {
		buffer_add(b, quoted.bytes + 1, quoted.len - 2);
	}
	buffer_clear(&quoted);
}

enum status audit_text_time(const char *option, const char *given, char out[25],
			    struct error *err)
{
	struct buffer text;
	struct when when;
	bool is_ok;

	if (when_parse_option(option, given, clock_wall_ns(), &when, err) != ST_OK ||
	    when.kind != WHEN_TIME) {
		return error_set(err, ST_CONFIG,
				 "%s %s: must be a time like 2026-11-28T10:00:00Z, or "
				 "one ago like -10m (s, m, h, d, w)",
				 option, given);
	}
	buffer_init(&text);
	audit_line_add_time(&text, when.time_ns);
	is_ok = buffer_ok(&text) && text.len > 24;
	if (is_ok) {
		(void)snprintf(out, 25, "%.24s", text.bytes + 1);
	}
	buffer_clear(&text);
	return is_ok ? ST_OK : error_no_memory(err, "a time");
}

enum status audit_text_flush(struct error *err)
{
	return fflush(stdout) == 0 ? ST_OK
				   : error_set(err, ST_IO, "stdout takes nothing");
}
