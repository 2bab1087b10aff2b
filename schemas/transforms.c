/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/transforms.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/connect_schema.h"
#include "schemas/name_adjustment.h"
#include "schemas/topic_name.h"
#include "schemas/topic_pattern.h"
#include "schemas/value_json.h"
#include "src/base/log.h"

struct router {
	enum transform_kind kind;
	bool is_behind_flat; /* a row has no envelope whose schemas get new names */
	struct topic_pattern *topics;
	bool key_unique;
	char *key_field;
	struct topic_pattern *keys; /* NULL: the topic as it was */
	enum name_adjustment schema_names;
};

struct transforms {
	struct flat *flat; /* NULL: none */
	struct router *routers;
	size_t count;
};

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "transforms");
}

/* ---- open and close ---- */

static enum status open_pattern(const char *where, const char *const names[2],
				const char *regex, const char *replacement,
				struct topic_pattern **out, struct error *err)
{
	char of_regex[256], of_replacement[256];

	(void)snprintf(of_regex, sizeof of_regex, "%s%s", where, names[0]);
	(void)snprintf(of_replacement, sizeof of_replacement, "%s%s", where, names[1]);
	return topic_pattern_open(
	    (struct topic_pattern_text){of_regex, regex},
	    (struct topic_pattern_text){of_replacement, replacement}, out, err);
}

static enum status open_router(struct transforms *t, const struct transform_setting *of,
			       struct error *err)
{
	static const char *const plain[] = {"regex", "replacement"};
	static const char *const topic[] = {"topic.regex", "topic.replacement"};
	static const char *const key[] = {"key.field.regex", "key.field.replacement"};
	struct router *router = &t->routers[t->count++];
	bool is_logical = of->kind == TRANSFORM_LOGICAL_TABLE;
	enum status status;

	router->kind = of->kind;
	router->is_behind_flat = t->flat != NULL;
	status = open_pattern(of->where, is_logical ? topic : plain, of->regex,
			      of->replacement, &router->topics, err);
	if (status != ST_OK || !is_logical) {
		return status;
	}
	router->key_unique = of->key_unique;
	router->schema_names = of->schema_names;
	router->key_field = strdup(of->key_field);
	if (!router->key_field) {
		return out_of_memory(err);
	}
	return of->key_regex ? open_pattern(of->where, key, of->key_regex,
					    of->key_replacement, &router->keys, err)
			     : ST_OK;
}

enum status transforms_open(const struct transform_setting *settings, size_t count,
			    struct transforms **out, struct error *err)
{
	struct transforms *t = calloc(1, sizeof *t);
	enum status status = ST_OK;

	if (t) {
		t->routers = calloc(count + 1, sizeof *t->routers);
	}
	if (!t || !t->routers) {
		free(t);
		return out_of_memory(err);
	}
	for (size_t i = 0; status == ST_OK && i < count; i++) {
		if (settings[i].kind != TRANSFORM_FLAT) {
			status = open_router(t, &settings[i], err);
			continue;
		}
		assert(!t->flat);
		status = flat_open(&settings[i], &t->flat, err);
	}
	if (status != ST_OK) {
		transforms_close(t);
		return status;
	}
	*out = t;
	return ST_OK;
}

void transforms_close(struct transforms *transforms)
{
	if (!transforms) {
		return;
	}
	flat_close(transforms->flat);
	for (size_t i = 0; i < transforms->count; i++) {
		topic_pattern_close(transforms->routers[i].topics);
		topic_pattern_close(transforms->routers[i].keys);
		free(transforms->routers[i].key_field);
	}
	free(transforms->routers);
	free(transforms);
}

const struct flat *transforms_flat(const struct transforms *transforms)
{
	return transforms ? transforms->flat : NULL;
}

bool transforms_hide_deletes(const struct transforms *transforms)
{
	const struct flat *flat = transforms_flat(transforms);

	return flat && flat->deletes == FLAT_TOMBSTONE;
}

/* ---- routes ---- */

static void set_topic(struct route *route, struct span topic)
{
	buffer_reset(&route->topic);
	buffer_add(&route->topic, topic.bytes, topic.len);
	buffer_add_char(&route->topic, '\0');
	route->topic.len -= buffer_ok(&route->topic);
}

/* The schema's name, NUL included. */
static void set_name(struct buffer *name, const struct router *router,
		     const struct route *route, const char *suffix)
{
	buffer_reset(name);
	if (buffer_ok(&route->topic)) {
		name_adjustment_add(name, route->topic.bytes, router->schema_names,
				    false);
		buffer_add_str(name, suffix);
		buffer_add_char(name, '\0');
	}
}

/* The field that says which topic it would have been. */
static enum status add_key_field(const struct router *router, struct span was,
				 struct route *route, struct error *err)
{
	struct buffer text;
	bool matches = false;
	enum status status = ST_OK;

	buffer_init(&text);
	if (router->keys) {
		status = topic_pattern_apply(router->keys, was, &matches, &text, err);
	}
	if (status == ST_OK && !matches) {
		buffer_add(&text, was.bytes, was.len);
	}
	if (status == ST_OK && buffer_ok(&text)) {
		buffer_add_char(&route->key_end, ',');
		json_add_string(&route->key_end, router->key_field,
				strlen(router->key_field));
		buffer_add_char(&route->key_end, ':');
		json_add_string(&route->key_end, text.bytes ? text.bytes : "",
				text.len);
		connect_schema_add_member(&route->key_fields, MEMBER_STRING, false,
					  router->key_field);
	}
	route->key_end.failed |= text.failed;
	buffer_clear(&text);
	return status;
}

/* `topic` is what it becomes, `was` what it is. */
static enum status add_step(const struct router *router, struct span was,
			    struct span topic, struct route *route, struct error *err)
{
	enum status status = ST_OK;

	if (router->kind == TRANSFORM_LOGICAL_TABLE && topic.len == 0) {
		log_warn("transforms: ByLogicalTableRouter makes an empty topic of "
			 "%.*s, which stays as it is",
			 (int)was.len, was.bytes);
		return ST_OK;
	}
	if (router->kind == TRANSFORM_LOGICAL_TABLE && router->key_unique) {
		status = add_key_field(router, was, route, err);
	}
	set_topic(route, topic);
	if (status == ST_OK && router->kind == TRANSFORM_LOGICAL_TABLE) {
		set_name(&route->key_name, router, route, ".Key");
		if (!router->is_behind_flat) {
			set_name(&route->value_prefix, router, route, "");
		}
	}
	return status;
}

static enum status apply(const struct router *router, struct route *route,
			 struct error *err)
{
	struct buffer topic, was;
	bool matches = false;
	enum status status;

	buffer_init(&topic);
	buffer_init(&was);
	buffer_add_buffer(&was, &route->topic);
	status = topic_pattern_apply(router->topics, route_topic(route), &matches,
				     &topic, err);
	if (status == ST_OK && (!buffer_ok(&topic) || !buffer_ok(&was))) {
		status = out_of_memory(err);
	}
	if (status == ST_OK && matches) {
		status = add_step(router, (struct span){was.bytes, was.len},
				  (struct span){topic.bytes, topic.len}, route, err);
	}
	buffer_clear(&topic);
	buffer_clear(&was);
	return status;
}

/* Can a topic be called so? */
static bool is_topic(struct span name)
{
	struct buffer clean;
	bool ok;

	if (name.len == 0 || name.len > TOPIC_NAME_MAX ||
	    strlen(name.bytes) != name.len) {
		return false;
	}
	buffer_init(&clean);
	topic_name_add(&clean, name.bytes, "", "");
	ok = clean.len == name.len && memcmp(clean.bytes, name.bytes, name.len) == 0;
	buffer_clear(&clean);
	return ok;
}

enum status transforms_route(const struct transforms *transforms, struct span topic,
			     struct route *out, struct error *err)
{
	enum status status = ST_OK;

	set_topic(out, topic);
	for (size_t i = 0; transforms && status == ST_OK && i < transforms->count;
	     i++) {
		status = buffer_ok(&out->topic)
			     ? apply(&transforms->routers[i], out, err)
			     : out_of_memory(err);
	}
	if (status != ST_OK) {
		return status;
	}
	if (!buffer_ok(&out->topic) || !buffer_ok(&out->key_name) ||
	    !buffer_ok(&out->value_prefix) || !buffer_ok(&out->key_end) ||
	    !buffer_ok(&out->key_fields)) {
		return out_of_memory(err);
	}
	out->is_other = out->topic.len != topic.len ||
			memcmp(out->topic.bytes, topic.bytes, topic.len) != 0;
	if (out->is_other && !is_topic(route_topic(out))) {
		return error_set(err, ST_CONFIG,
				 "transforms make \"%.*s\" of the topic %.*s: no topic "
				 "can be called so (1 to %d of a-z, A-Z, 0-9, '_', '.' "
				 "and '-', neither . nor ..)",
				 (int)out->topic.len, out->topic.bytes, (int)topic.len,
				 topic.bytes, TOPIC_NAME_MAX);
	}
	return ST_OK;
}
