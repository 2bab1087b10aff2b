/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/property_value.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/archive/policy_settings.h"
#include "src/base/clock.h"
#include "src/config/config.h"
#include "src/config/config_provider.h"

#define TOPIC_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

#define SET_MUST "none, or a list of "

static void *field_of(struct config *config, const struct property *property)
{
	return (char *)config + property->field;
}

static const void *const_field_of(const struct config *config,
				  const struct property *property)
{
	return (const char *)config + property->field;
}

bool property_is_text(const struct property *property)
{
	return property->type == TAKES_TEXT || property->type == TAKES_PATH ||
	       property->type == TAKES_SECRET || property->type == TAKES_TOPIC_PART;
}

/* ---- errors ---- */

static enum status bad_value(const struct given_value *given, const char *must,
			     struct error *err)
{
	return error_set(err, ST_CONFIG, "%s%s=%s: must be %s", given->where,
			 given->key, given->value, must);
}

/* "a, b or c", with `last` in the place of "or". */
static void add_choices(struct buffer *b, const struct property_choice *choices,
			const char *last)
{
	const char *between = "";

	for (size_t i = 0; choices[i].name; i++) {
		if (choices[i].refused) {
			continue;
		}
		buffer_add_str(b, between);
		buffer_add_str(b, choices[i].name);
		between = choices[i + 1].name && choices[i + 2].name &&
				  !choices[i + 2].refused
			      ? ", "
			      : last;
	}
}

static enum status bad_choice(const struct property *property,
			      const struct given_value *given, struct error *err)
{
	bool is_set = property->type == TAKES_SET;
	struct buffer must;
	enum status status;

	buffer_init(&must);
	buffer_add_str(&must, is_set ? SET_MUST : "");
	add_choices(&must, property->choices, is_set ? " and " : " or ");
	buffer_add_char(&must, '\0');
	status = buffer_ok(&must) ? bad_value(given, must.bytes, err)
				  : error_no_memory(err, "the configuration");
	buffer_clear(&must);
	return status;
}

static enum status refused_choice(const struct given_value *given,
				  const struct property_choice *choice,
				  struct error *err)
{
	return error_set(err, ST_CONFIG, "%s%s=%s: %s", given->where, given->key,
			 given->value, choice->refused);
}

/* ---- from text ---- */

static enum status set_text(struct config *config, const struct property *property,
			    const struct given_value *given, struct error *err)
{
	char **field = field_of(config, property);
	const char *value = given->value;

	if (property->type == TAKES_PATH && !value[0]) {
		return error_set(err, ST_CONFIG, "%s%s: the path is empty",
				 given->where, given->key);
	}
	if (property->type == TAKES_TOPIC_PART &&
	    (!value[0] || value[strspn(value, TOPIC_CHARS)])) {
		return bad_value(given,
				 "one or more of a-z, A-Z, 0-9, '_', '.' and '-'", err);
	}
	free(*field);
	*field = NULL;
	if (!value[0]) {
		return ST_OK;
	}
	*field = strdup(value);
	return *field ? ST_OK : error_no_memory(err, "the configuration");
}

/* On the command line anybody on the machine could read it. */
static enum status set_secret(struct config *config, const struct property *property,
			      const struct given_value *given, struct error *err)
{
	char **field = field_of(config, property);
	const char *reference = strstr(given->value, "${");
	char setting[256];

	if (strncmp(given->where, "-D", 2) == 0 && given->value[0] && !reference) {
		return error_set(
		    err, ST_CONFIG,
		    "%s%s: a secret on the command line is seen by all who "
		    "can run ps: give ${env:NAME}, ${file:PATH:KEY} or "
		    "${directory:PATH:NAME}, or use --config",
		    given->where, given->key);
	}
	free(*field);
	*field = NULL;
	if (!given->value[0]) {
		return ST_OK;
	}
	(void)snprintf(setting, sizeof setting, "%s%s", given->where, given->key);
	return config_provider_resolve(setting, given->value, field, err);
}

static enum status set_bool(struct config *config, const struct property *property,
			    const struct given_value *given, struct error *err)
{
	bool *field = field_of(config, property);
	bool is_true = strcasecmp(given->value, "true") == 0;

	if (!is_true && strcasecmp(given->value, "false") != 0) {
		return bad_value(given, "true or false", err);
	}
	*field = is_true;
	return ST_OK;
}

/* Digits alone, not more than `most`. */
static bool parse_digits(const char *text, unsigned long long most,
			 unsigned long long *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno && *out <= most;
}

static enum status set_number(struct config *config, const struct property *property,
			      const struct given_value *given, struct error *err)
{
	bool is_bytes = property->type == TAKES_BYTES;
	unsigned long long n;
	char must[128];

	if (!parse_digits(given->value,
			  is_bytes ? UINT64_MAX : (unsigned long long)property->most,
			  &n) ||
	    (!is_bytes && n < (unsigned long long)property->least)) {
		(void)snprintf(must, sizeof must, "a number of %s", property->unit);
		return bad_value(given, must, err);
	}
	if (is_bytes) {
		/* 0 is "no limit", as Debezium's limits in bytes have it. */
		*(uint64_t *)field_of(config, property) = n ? n : UINT64_MAX;
	} else {
		*(int *)field_of(config, property) = (int)n;
	}
	return ST_OK;
}

static enum status set_duration(struct config *config, const struct property *property,
				const struct given_value *given, struct error *err)
{
	int64_t ns = policy_duration_ns(given->value);

	if (ns == 0) {
		return bad_value(given, "a number and s, m, h, d or w, as 30s", err);
	}
	*(int64_t *)field_of(config, property) = ns;
	return ST_OK;
}

static const struct property_choice *find_choice(const struct property *property,
						 const char *word, size_t len)
{
	for (const struct property_choice *c = property->choices; c->name; c++) {
		if (strlen(c->name) == len && strncasecmp(word, c->name, len) == 0) {
			return c;
		}
	}
	return NULL;
}

static enum status set_choice(struct config *config, const struct property *property,
			      const struct given_value *given, struct error *err)
{
	const struct property_choice *choice =
	    find_choice(property, given->value, strlen(given->value));

	if (!choice) {
		return bad_choice(property, given, err);
	}
	if (choice->refused) {
		return refused_choice(given, choice, err);
	}
	if (property->field_size == sizeof(bool)) {
		*(bool *)field_of(config, property) = choice->value != 0;
	} else {
		assert(property->field_size == sizeof choice->value);
		memcpy(field_of(config, property), &choice->value,
		       sizeof choice->value);
	}
	return ST_OK;
}

static enum status set_set(struct config *config, const struct property *property,
			   const struct given_value *given, struct error *err)
{
	unsigned *field = field_of(config, property);
	const char *p = given->value + strspn(given->value, " ");

	*field = 0;
	if (strcasecmp(p, "none") == 0) {
		return ST_OK;
	}
	for (;;) {
		size_t len = strcspn(p, ", ");
		const struct property_choice *choice = find_choice(property, p, len);

		p += len;
		p += strspn(p, " ");
		if (!choice || (*p && *p != ',')) {
			return bad_choice(property, given, err);
		}
		if (choice->refused) {
			return refused_choice(given, choice, err);
		}
		*field |= (unsigned)choice->value;
		if (!*p) {
			return ST_OK;
		}
		p++;
		p += strspn(p, " ");
	}
}

/* The kind alone: what stands behind its scheme is taken by src/cli.c. */
static enum status set_sink(struct config *config, const struct property *property,
			    const struct given_value *given, struct error *err)
{
	const struct sink_kind **field = field_of(config, property);
	const char *target;

	return sink_table_find(given->value, field, &target, err);
}

enum status property_value_set(struct config *config, const struct property *property,
			       const struct given_value *given, struct error *err)
{
	switch (property->type) {
	case TAKES_BOOL:
		return set_bool(config, property, given, err);
	case TAKES_TEXT:
	case TAKES_PATH:
	case TAKES_TOPIC_PART:
		return set_text(config, property, given, err);
	case TAKES_SECRET:
		return set_secret(config, property, given, err);
	case TAKES_BYTES:
	case TAKES_NUMBER:
		return set_number(config, property, given, err);
	case TAKES_DURATION:
		return set_duration(config, property, given, err);
	case TAKES_CHOICE:
		return set_choice(config, property, given, err);
	case TAKES_SINK:
		return set_sink(config, property, given, err);
	case TAKES_SET:
		return set_set(config, property, given, err);
	case TAKES_NONE:
	case TAKES_FAMILY:
		break;
	}
	assert(false && "a property without a field");
	return ST_OK;
}

enum status property_value_fall_back(struct config *config,
				     const struct property *property, struct error *err)
{
	struct given_value given = {
	    .where = "", .key = property->name, .value = property->fallback};

	if (!property->fallback ||
	    (property_is_text(property) && *(char **)field_of(config, property))) {
		return ST_OK;
	}
	return property_value_set(config, property, &given, err);
}

/* ---- to text ---- */

static void add_choice(const void *field, const struct property *property,
		       struct buffer *out)
{
	int value;

	if (property->field_size == sizeof(bool)) {
		value = *(const bool *)field;
	} else {
		memcpy(&value, field, sizeof value);
	}
	for (const struct property_choice *c = property->choices; c->name; c++) {
		if (c->value == value && !c->refused) {
			buffer_add_str(out, c->name);
			return;
		}
	}
	assert(false && "a value that is no choice");
}

static void add_set(unsigned value, const struct property *property, struct buffer *out)
{
	const char *between = "";

	for (const struct property_choice *c = property->choices; c->name; c++) {
		if (value & (unsigned)c->value) {
			buffer_add_str(out, between);
			buffer_add_str(out, c->name);
			between = ",";
		}
	}
	buffer_add_str(out, *between ? "" : "none");
}

bool property_value_add(const struct config *config, const struct property *property,
			struct buffer *out)
{
	const void *field = const_field_of(config, property);
	uint64_t bytes;

	switch (property->type) {
	case TAKES_BOOL:
		buffer_add_str(out, *(const bool *)field ? "true" : "false");
		return true;
	case TAKES_TEXT:
	case TAKES_PATH:
	case TAKES_TOPIC_PART:
		buffer_add_str(out, *(char *const *)field ? *(char *const *)field : "");
		return *(char *const *)field != NULL;
	case TAKES_BYTES:
		bytes = *(const uint64_t *)field;
		buffer_add_u64(out, bytes == UINT64_MAX ? 0 : bytes);
		return true;
	case TAKES_NUMBER:
		buffer_add_u64(out, (uint64_t) * (const int *)field);
		return true;
	case TAKES_DURATION:
		buffer_add_i64(out, *(const int64_t *)field / NS_PER_S);
		buffer_add_char(out, 's');
		return true;
	case TAKES_CHOICE:
		add_choice(field, property, out);
		return true;
	case TAKES_SINK:
		buffer_add_str(out, (*(const struct sink_kind *const *)field)->name);
		return true;
	case TAKES_SET:
		add_set(*(const unsigned *)field, property, out);
		return true;
	case TAKES_SECRET:
	case TAKES_NONE:
	case TAKES_FAMILY:
		break;
	}
	return false;
}

void property_value_clear(struct config *config, const struct property *property)
{
	if (property_is_text(property)) {
		char **field = field_of(config, property);

		free(*field);
		*field = NULL;
	}
}
