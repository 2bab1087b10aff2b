/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/signal.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "src/base/log.h"
#include "src/base/utf8.h"
#include "src/deliver/signal_pattern.h"

#define SHOWN_ID   64 /* bytes of each that messages show */
#define SHOWN_TYPE 40
#define SHOWN_DATA 200

static const char *const type_names[] = {
    [SIGNAL_LOG] = "log",
    [SIGNAL_EXECUTE_SNAPSHOT] = "execute-snapshot",
    [SIGNAL_STOP_SNAPSHOT] = "stop-snapshot",
    [SIGNAL_PAUSE_SNAPSHOT] = "pause-snapshot",
    [SIGNAL_RESUME_SNAPSHOT] = "resume-snapshot",
};
#define TYPE_COUNT (sizeof type_names / sizeof *type_names)

/* What is parsed, for messages. */
struct raw {
	struct span id, type, data;
	struct span line; /* the whole of it; absent: it is not known */
};

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "a signal");
}

/* ---- what is wrong ---- */

struct shown {
	char text[SHOWN_DATA + sizeof "…"];
};

/* The beginning of it, and nothing that steers a terminal. */
static struct shown show(struct span bytes, size_t most)
{
	struct shown shown = {"none"};
	size_t len = bytes.len < most ? bytes.len : most;

	if (!bytes.bytes) {
		return shown;
	}
	len = len < bytes.len ? utf8_cut(bytes.bytes, bytes.len, len) : len;
	for (size_t i = 0; i < len; i++) {
		shown.text[i] = bytes.bytes[i] ? bytes.bytes[i] : '?';
	}
	shown.text[len] = '\0';
	utf8_make_safe(shown.text);
	if (len < bytes.len) {
		(void)strcat(shown.text, "…");
	}
	return shown;
}

/* ST_CONFIG, or what `err` has that has nothing to do with the signal. */
static enum status wrong(const struct raw *raw, const char *what, struct error *err)
{
	if (raw->line.bytes) {
		(void)error_set(err, ST_CONFIG, "the signal %s: %s",
				show(raw->line, SHOWN_DATA).text, what);
	} else {
		(void)error_set(err, ST_CONFIG, "the signal %s of type %s with %s: %s",
				show(raw->id, SHOWN_ID).text,
				show(raw->type, SHOWN_TYPE).text,
				show(raw->data, SHOWN_DATA).text, what);
	}
	utf8_make_safe(err->text); /* `what` may quote bytes of it, too */
	return ST_CONFIG;
}

static enum status wrong_member(const struct raw *raw, const char *member,
				const char *must, struct error *err)
{
	char what[160];

	(void)snprintf(what, sizeof what, "\"%s\" in its data must be %s", member,
		       must);
	return wrong(raw, what, err);
}

/* ---- id and type ---- */

enum status signal_make_id(char id[SIGNAL_ID_BYTES], struct error *err)
{
	unsigned char bytes[(SIGNAL_ID_BYTES - 1) / 2];
	ssize_t got;

	do {
		got = getrandom(bytes, sizeof bytes, 0);
	} while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof bytes) {
		return error_set_errno(err, errno, "no random numbers to be had");
	}
	for (size_t i = 0; i < sizeof bytes; i++) {
		(void)snprintf(id + 2 * i, 3, "%02x", bytes[i]);
	}
	return ST_OK;
}

/* Text that stands in messages, logs and on terminals as it is. */
static bool is_fit(struct span text, char *copy)
{
	memcpy(copy, text.bytes, text.len);
	copy[text.len] = '\0';
	utf8_make_safe(copy);
	return strlen(copy) == text.len && memcmp(copy, text.bytes, text.len) == 0;
}

static enum status take_id(const struct raw *raw, struct signal *signal,
			   struct error *err)
{
	char copy[SIGNAL_MAX_ID + 1];

	if (!raw->id.bytes || raw->id.len == 0) {
		if (signal_make_id(copy, err) != ST_OK) {
			return err->status;
		}
	} else if (raw->id.len > SIGNAL_MAX_ID) {
		return wrong(raw, "its id is longer than 256 bytes", err);
	} else if (!is_fit(raw->id, copy)) {
		return wrong(raw, "its id is no text (UTF-8 without controls)", err);
	}
	signal->id = strdup(copy);
	return signal->id ? ST_OK : out_of_memory(err);
}

const char *signal_type_name(enum signal_type type)
{
	return type_names[type];
}

static enum status take_type(const struct raw *raw, struct signal *signal,
			     struct error *err)
{
	for (size_t i = 0; raw->type.bytes && i < TYPE_COUNT; i++) {
		if (strlen(type_names[i]) == raw->type.len &&
		    memcmp(type_names[i], raw->type.bytes, raw->type.len) == 0) {
			signal->type = (enum signal_type)i;
			return ST_OK;
		}
	}
	return wrong(raw,
		     raw->type.bytes
			 ? "there is no such type here; use log, execute-snapshot, "
			   "stop-snapshot, pause-snapshot or resume-snapshot"
			 : "it has no type",
		     err);
}

/* ---- data ---- */

static enum status take_message(const struct raw *raw, const json_t *data,
				struct signal *signal, struct error *err)
{
	const char *text = json_string_value(json_object_get(data, "message"));

	if (!text) {
		return wrong_member(raw, "message", "a text", err);
	}
	signal->message = strdup(text);
	return signal->message ? ST_OK : out_of_memory(err);
}

static enum status take_kind(const struct raw *raw, const json_t *data,
			     struct signal *signal, struct error *err)
{
	const json_t *kind = json_object_get(data, "type");
	const char *text = json_string_value(kind);

	if (!kind || json_is_null(kind)) {
		return ST_OK;
	}
	signal->is_blocking = text && strcasecmp(text, "blocking") == 0;
	return text && (signal->is_blocking || strcasecmp(text, "incremental") == 0)
		   ? ST_OK
		   : wrong_member(raw, "type", "incremental or blocking", err);
}

/* A pattern of `member`, which must compile. */
static enum status copy_pattern(const struct raw *raw, const char *member,
				const char *text, char **out, struct error *err)
{
	struct error why;
	enum status status = signal_pattern_check(member, text, &why);

	*out = NULL;
	if (status == ST_CONFIG) {
		return wrong(raw, why.text, err);
	}
	if (status != ST_OK) {
		*err = why;
		return status;
	}
	*out = strdup(text);
	return *out ? ST_OK : out_of_memory(err);
}

/* `needs`: at least one of them. */
static enum status take_patterns(const struct raw *raw, const json_t *data, bool needs,
				 struct signal *signal, struct error *err)
{
	static const char member[] = "data-collections";
	static const char must[] =
	    "a list of regular expressions of tables' names, 1000 at most";
	const json_t *list = json_object_get(data, member);
	size_t count = json_array_size(list);

	if (!needs && (!list || json_is_null(list))) {
		return ST_OK;
	}
	if (!json_is_array(list) || count > SIGNAL_MAX_LIST || (needs && count == 0)) {
		return wrong_member(raw, member, must, err);
	}
	signal->patterns = calloc(count + 1, sizeof *signal->patterns);
	if (!signal->patterns) {
		return out_of_memory(err);
	}
	for (size_t i = 0; i < count; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text) {
			return wrong_member(raw, member, must, err);
		}
		if (copy_pattern(raw, member, text, &signal->patterns[i], err) !=
		    ST_OK) {
			return err->status;
		}
		signal->pattern_count++;
	}
	return ST_OK;
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '\0';
}

/* Both texts are copied; there is room. */
static enum status add_condition(const struct raw *raw, const char *table,
				 const char *filter, struct signal *signal,
				 struct error *err)
{
	struct signal_condition *condition =
	    &signal->conditions[signal->condition_count];

	if (copy_pattern(raw, "data-collection", table, &condition->table, err) !=
	    ST_OK) {
		return err->status;
	}
	signal->condition_count++;
	condition->filter = strdup(filter);
	return condition->filter ? ST_OK : out_of_memory(err);
}

static enum status take_conditions(const struct raw *raw, const json_t *data,
				   struct signal *signal, struct error *err)
{
	static const char member[] = "additional-conditions";
	static const char must[] =
	    "a list of {\"data-collection\":\"…\",\"filter\":\"…\"}, 1000 at most";
	const json_t *list = json_object_get(data, member);
	const json_t *old = json_object_get(data, "additional-condition");
	size_t count = json_array_size(list);

	if ((list && !json_is_null(list) && !json_is_array(list)) ||
	    count > SIGNAL_MAX_LIST) {
		return wrong_member(raw, member, must, err);
	}
	if (old && !json_is_null(old) && !json_is_string(old)) {
		return wrong_member(raw, "additional-condition", "a text", err);
	}
	signal->conditions = calloc(count + 1, sizeof *signal->conditions);
	if (!signal->conditions) {
		return out_of_memory(err);
	}
	for (size_t i = 0; i < count; i++) {
		const json_t *one = json_array_get(list, i);
		const char *table =
		    json_string_value(json_object_get(one, "data-collection"));
		const char *filter = json_string_value(json_object_get(one, "filter"));

		if (!table || !filter || is_blank(filter)) {
			return wrong_member(raw, member, must, err);
		}
		if (add_condition(raw, table, filter, signal, err) != ST_OK) {
			return err->status;
		}
	}
	return json_is_string(old) && !is_blank(json_string_value(old))
		   ? add_condition(raw, ".*", json_string_value(old), signal, err)
		   : ST_OK;
}

static void warn_of_surrogate(const struct signal *signal, const json_t *data)
{
	const json_t *key = json_object_get(data, "surrogate-key");

	if (key && !json_is_null(key)) {
		log_warn("the signal %s has a surrogate-key, which is not needed here "
			 "and ignored",
			 signal->id);
	}
}

static enum status take_data(const struct raw *raw, const json_t *data,
			     struct signal *signal, struct error *err)
{
	enum status status = ST_OK;

	switch (signal->type) {
	case SIGNAL_LOG:
		return take_message(raw, data, signal, err);
	case SIGNAL_EXECUTE_SNAPSHOT:
	case SIGNAL_STOP_SNAPSHOT:
		status = take_kind(raw, data, signal, err);
		if (status == ST_OK) {
			status = take_patterns(raw, data,
					       signal->type == SIGNAL_EXECUTE_SNAPSHOT,
					       signal, err);
		}
		break;
	case SIGNAL_PAUSE_SNAPSHOT:
	case SIGNAL_RESUME_SNAPSHOT:
		break;
	}
	if (status == ST_OK && signal->type == SIGNAL_EXECUTE_SNAPSHOT) {
		status = take_conditions(raw, data, signal, err);
		if (status == ST_OK) {
			warn_of_surrogate(signal, data);
		}
	}
	return status;
}

/* ---- the whole ---- */

static enum status build(const struct raw *raw, const json_t *data, struct signal **out,
			 struct error *err)
{
	struct signal *signal = calloc(1, sizeof *signal);
	enum status status = signal ? take_type(raw, signal, err) : out_of_memory(err);

	if (status == ST_OK) {
		status = take_id(raw, signal, err);
	}
	if (status == ST_OK) {
		status = take_data(raw, data, signal, err);
	}
	if (status != ST_OK) {
		signal_free(signal);
		return status;
	}
	*out = signal;
	return ST_OK;
}

static bool is_space(struct span bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		if (!memchr(" \t\r\n", bytes.bytes[i], 4)) {
			return false;
		}
	}
	return true;
}

/* An object; nothing at all is an empty one. NULL: `err` says why. */
static json_t *load_object(const struct raw *raw, struct span bytes, const char *which,
			   struct error *err)
{
	json_error_t why;
	json_t *json;
	char what[JSON_ERROR_TEXT_LENGTH + 64];

	if (bytes.len > SIGNAL_MAX_BYTES) {
		(void)snprintf(what, sizeof what, "%s is larger than 1 MiB", which);
		(void)wrong(raw, what, err);
		return NULL;
	}
	json = is_space(bytes) ? json_object()
			       : json_loadb(bytes.bytes, bytes.len, 0, &why);
	if (!json &&
	    (is_space(bytes) || json_error_code(&why) == json_error_out_of_memory)) {
		(void)out_of_memory(err);
		return NULL;
	}
	if (!json_is_object(json)) {
		(void)snprintf(what, sizeof what, "%s is no JSON object%s%s%s", which,
			       json ? "" : " (", json ? "" : why.text, json ? "" : ")");
		(void)wrong(raw, what, err);
		json_decref(json);
		return NULL;
	}
	return json;
}

static enum status parse(const struct raw *raw, struct signal **out, struct error *err)
{
	json_t *data = load_object(raw, raw->data, "its data", err);
	enum status status = data ? build(raw, data, out, err) : err->status;

	json_decref(data);
	return status;
}

enum status signal_parse(struct span id, struct span type, struct span data,
			 struct signal **out, struct error *err)
{
	struct raw raw = {.id = id, .type = type, .data = data};

	return parse(&raw, out, err);
}

/* A text, or absent; false: it is something else. */
static bool text_of(const json_t *object, const char *member, struct span *out)
{
	const json_t *json = json_object_get(object, member);

	*out = (struct span){json_string_value(json), json_string_length(json)};
	return !json || json_is_null(json) || json_is_string(json);
}

static enum status parse_object(const struct raw *line, const json_t *object,
				struct signal **out, struct error *err)
{
	const json_t *data = json_object_get(object, "data");
	struct raw raw = *line;

	if (!text_of(object, "id", &raw.id) || !text_of(object, "type", &raw.type)) {
		return wrong(line, "its id and type must be texts", err);
	}
	if (json_is_object(data)) {
		return build(&raw, data, out, err);
	}
	if (!text_of(object, "data", &raw.data)) {
		return wrong(line, "its data must be an object, or a text with one",
			     err);
	}
	return parse(&raw, out, err);
}

enum status signal_parse_line(struct span line, struct signal **out, bool *is_like,
			      struct error *err)
{
	struct raw raw = {.line = line};
	json_t *object;
	enum status status;

	*is_like = false;
	object = load_object(&raw, line, "it", err);
	if (!object) {
		return err->status;
	}
	*is_like = json_object_get(object, "type") != NULL;
	status = parse_object(&raw, object, out, err);
	json_decref(object);
	return status;
}

void signal_free(struct signal *signal)
{
	if (!signal) {
		return;
	}
	for (size_t i = 0; i < signal->pattern_count; i++) {
		free(signal->patterns[i]);
	}
	for (size_t i = 0; i < signal->condition_count; i++) {
		free(signal->conditions[i].table);
		free(signal->conditions[i].filter);
	}
	free(signal->patterns);
	free(signal->conditions);
	free(signal->message);
	free(signal->id);
	free(signal);
}
