/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/connector_file.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "src/base/utf8.h"

#define NUMBER_BYTES 32

/* Of the mark that some editors put before UTF-8. */
static size_t mark_len(const char *text, size_t len)
{
	static const char mark[] = "\xef\xbb\xbf";
	size_t mark_bytes = sizeof mark - 1;

	return len >= mark_bytes && memcmp(text, mark, mark_bytes) == 0 ? mark_bytes
									: 0;
}

bool connector_file_is(const char *text, size_t len)
{
	size_t at = mark_len(text, len);

	while (at < len && memchr(" \t\r\n\f", text[at], 5)) {
		at++;
	}
	return at < len && text[at] == '{';
}

static enum status bad_value(const char *name, const char *key, struct error *err)
{
	(void)error_set(err, ST_CONFIG,
			"%s: %s must be a text, a number, true or false", name, key);
	utf8_make_safe(err->text);
	return ST_CONFIG;
}

/* NULL: it is none of these. */
static const char *text_of(const json_t *value, char number[NUMBER_BYTES])
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		return strlen(json_string_value(value)) == json_string_length(value)
			   ? json_string_value(value)
			   : NULL;
	case JSON_INTEGER:
		(void)snprintf(number, NUMBER_BYTES, "%" JSON_INTEGER_FORMAT,
			       json_integer_value(value));
		return number;
	case JSON_REAL:
		(void)snprintf(number, NUMBER_BYTES, "%.15g", json_real_value(value));
		return number;
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_OBJECT:
	case JSON_ARRAY:
	case JSON_NULL:
	default:
		return NULL;
	}
}

static enum status set_all(const char *name, const json_t *config, property_set *set,
			   void *context, struct error *err)
{
	enum status status = ST_OK;
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)config, key, value)
	{
		char number[NUMBER_BYTES];
		const char *text = text_of(value, number);

		if (json_is_null(value)) {
			continue;
		}
		status =
		    text ? set(context, key, text, 0, err) : bad_value(name, key, err);
		if (status != ST_OK) {
			return status;
		}
	}
	return ST_OK;
}

/* A setting that stands beside "config" would be none. */
static enum status check_beside(const char *name, const json_t *json, struct error *err)
{
	static const char *const known[] = {"name", "config", "initial_state", "tasks",
					    "type"};
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)json, key, value)
	{
		bool is_known = false;

		for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
			is_known = is_known || strcmp(key, known[i]) == 0;
		}
		if (!is_known) {
			(void)error_set(
			    err, ST_CONFIG,
			    "%s: %s stands beside \"config\"; put it inside", name,
			    key);
			utf8_make_safe(err->text);
			return ST_CONFIG;
		}
	}
	return ST_OK;
}

enum status connector_file_parse(const char *name, const char *text, size_t len,
				 property_set *set, void *context, struct error *err)
{
	json_error_t why;
	size_t mark = mark_len(text, len);
	json_t *json =
	    json_loadb(text + mark, len - mark, JSON_REJECT_DUPLICATES, &why);
	const json_t *config = json_object_get(json, "config");
	enum status status;

	if (!json) {
		(void)error_set(err, ST_CONFIG,
				"%s:%d: is no JSON object of a connector: %s", name,
				why.line, why.text);
		utf8_make_safe(err->text);
		return ST_CONFIG;
	}
	status =
	    set_all(name, json_is_object(config) ? config : json, set, context, err);
	if (status == ST_OK && json_is_object(config)) {
		status = check_beside(name, json, err);
	}
	json_decref(json);
	return status;
}

const char *connector_plain_key(const char *key)
{
	static const char *const prefixes[] = {"debezium.source.",
					       "debezium.sink.kafka."};

	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
		size_t len = strlen(prefixes[i]);

		if (strncmp(key, prefixes[i], len) == 0 && key[len]) {
			return key + len;
		}
	}
	if (strncmp(key, "debezium.transforms", 19) == 0 ||
	    strncmp(key, "debezium.predicates", 19) == 0) {
		return key + strlen("debezium.");
	}
	return key;
}
