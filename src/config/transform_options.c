/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/transform_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/utf8.h"

#define TRANSFORMS_MAX 16

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "the configuration");
}

/* ---- what was set ---- */

static void clear_option(struct transform_option *option)
{
	free(option->where);
	free(option->key);
	free(option->value);
}

void transform_options_clear(struct transform_options *options)
{
	free(options->list);
	for (size_t i = 0; i < options->count; i++) {
		clear_option(&options->options[i]);
	}
	free(options->options);
	*options = (struct transform_options){0};
}

/* The place of `key`, or where it belongs. */
static size_t place_of(const struct transform_options *options, const char *key,
		       bool *is_there)
{
	size_t i = 0;

	while (i < options->count && strcmp(options->options[i].key, key) < 0) {
		i++;
	}
	*is_there = i < options->count && strcmp(options->options[i].key, key) == 0;
	return i;
}

enum status transform_options_set(struct transform_options *options, int rank,
				  const char *where, const char *key, const char *value,
				  struct error *err)
{
	struct transform_option made = {.rank = rank};
	struct transform_option *grown;
	bool is_there;
	size_t i;

	key += strlen(TRANSFORMS_PREFIX);
	i = place_of(options, key, &is_there);
	if (is_there && options->options[i].rank > rank) {
		return ST_OK;
	}
	made.where = strdup(where);
	made.key = strdup(key);
	made.value = strdup(value);
	grown = reallocarray(options->options, options->count + 1, sizeof *grown);
	options->options = grown ? grown : options->options;
	if (!grown || !made.where || !made.key || !made.value) {
		clear_option(&made);
		return out_of_memory(err);
	}
	if (is_there) {
		clear_option(&grown[i]);
	} else {
		memmove(grown + i + 1, grown + i, (options->count - i) * sizeof *grown);
		options->count++;
	}
	grown[i] = made;
	return ST_OK;
}

/* ---- the types ---- */

static const struct transform_type {
	const char *name; /* behind the last dot of its class */
	const char *class_name;
	enum transform_kind kind;
	const char *options[12]; /* up to a NULL */
} types[] = {
    {"ExtractNewRecordState",
     "io.debezium.transforms.ExtractNewRecordState",
     TRANSFORM_FLAT,
     {"delete.tombstone.handling.mode", "add.fields", "add.fields.prefix",
      "add.headers", "add.headers.prefix", "replace.null.with.default",
      "drop.fields.header.name", "drop.fields.from.key",
      "drop.fields.keep.schema.compatible", "route.by.field", NULL}},
    {"RegexRouter",
     "org.apache.kafka.connect.transforms.RegexRouter",
     TRANSFORM_REGEX,
     {"regex", "replacement", NULL}},
    {"ByLogicalTableRouter",
     "io.debezium.transforms.ByLogicalTableRouter",
     TRANSFORM_LOGICAL_TABLE,
     {"topic.regex", "topic.replacement", "key.enforce.uniqueness", "key.field.name",
      "key.field.regex", "key.field.replacement", "schema.name.adjustment.mode",
      "logical.table.cache.size", NULL}},
};

#define TYPES (sizeof types / sizeof *types)

static enum status unknown_type(const struct transform_option *type, struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "%s" TRANSFORMS_PREFIX
			 "%s=%s is not built: built in are %s, %s and %s; run "
			 "another one on the consuming side, such as a sink connector",
			 type->where, type->key, SHORT_NAME(type->value),
			 types[0].class_name, types[1].class_name, types[2].class_name);
}

static const struct transform_type *find_type(const char *name)
{
	for (size_t i = 0; i < TYPES; i++) {
		if (strcmp(types[i].name, name) == 0 ||
		    strcmp(types[i].class_name, name) == 0) {
			return &types[i];
		}
	}
	return NULL;
}

static bool has_option(const struct transform_type *type, const char *option)
{
	for (const char *const *o = type->options; *o; o++) {
		if (strcmp(*o, option) == 0) {
			return true;
		}
	}
	return false;
}

static enum status unknown_option(const struct transform_type *type,
				  const struct transform_option *option,
				  struct error *err)
{
	char all[400] = "";

	for (const char *const *o = type->options; *o; o++) {
		size_t len = strlen(all);

		(void)snprintf(all + len, sizeof all - len, "%s%s", len ? ", " : "",
			       *o);
	}
	return error_set(err, ST_CONFIG,
			 "%s" TRANSFORMS_PREFIX "%s: %s has no such option; it has %s",
			 option->where, option->key, type->name, all);
}

/* ---- one transform ---- */

/* What it is made of while it is read. */
struct reading {
	const struct transform_options *options;
	const char *name;
	const struct transform_type *type;
	char where[200]; /* transforms.NAME. */
};

/* NULL: it is not set. */
static const struct transform_option *option_of(const struct reading *r,
						const char *option)
{
	char key[256];
	bool is_there;
	size_t i;

	(void)snprintf(key, sizeof key, "%s.%s", r->name, option);
	i = place_of(r->options, key, &is_there);
	return is_there ? &r->options->options[i] : NULL;
}

static const char *text_of(const struct reading *r, const char *option,
			   const char *fallback)
{
	const struct transform_option *o = option_of(r, option);

	return o ? o->value : fallback;
}

static enum status bad_value(const struct transform_option *o, const char *must,
			     struct error *err)
{
	return error_set(err, ST_CONFIG, "%s" TRANSFORMS_PREFIX "%s=%s: %s", o->where,
			 o->key, SHORT_NAME(o->value), must);
}

static enum status bool_of(const struct reading *r, const char *option, bool fallback,
			   bool *out, struct error *err)
{
	const struct transform_option *o = option_of(r, option);

	*out = o ? strcasecmp(o->value, "true") == 0 : fallback;
	return !o || *out || strcasecmp(o->value, "false") == 0
		   ? ST_OK
		   : bad_value(o, "must be true or false", err);
}

static enum status read_deletes(const struct reading *r, enum flat_deletes *out,
				struct error *err)
{
	static const struct {
		const char *name;
		enum flat_deletes deletes;
	} modes[] = {{"drop", FLAT_DROP},
		     {"tombstone", FLAT_TOMBSTONE},
		     {"delete-to-tombstone", FLAT_TOMBSTONE},
		     {"rewrite", FLAT_REWRITE},
		     {"rewrite-with-tombstone", FLAT_REWRITE_WITH_TOMBSTONE}};
	const struct transform_option *o =
	    option_of(r, "delete.tombstone.handling.mode");

	*out = FLAT_TOMBSTONE;
	if (!o) {
		return ST_OK;
	}
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (strcasecmp(o->value, modes[i].name) == 0) {
			*out = modes[i].deletes;
			return ST_OK;
		}
	}
	return bad_value(o,
			 "must be drop, tombstone, rewrite, rewrite-with-tombstone or "
			 "delete-to-tombstone",
			 err);
}

static enum status read_flat(const struct reading *r, struct transform_setting *out,
			     struct error *err)
{
	static const char *const switches[] = {"replace.null.with.default",
					       "drop.fields.from.key",
					       "drop.fields.keep.schema.compatible"};
	const struct transform_option *dropped =
	    option_of(r, "drop.fields.header.name");
	const struct transform_option *route = option_of(r, "route.by.field");
	bool ignored;

	out->add_fields = text_of(r, "add.fields", "");
	out->fields_prefix = text_of(r, "add.fields.prefix", "__");
	out->add_headers = text_of(r, "add.headers", "");
	out->headers_prefix = text_of(r, "add.headers.prefix", "__");
	if (dropped && *dropped->value) {
		return bad_value(dropped,
				 "no event has a header that lists fields; leave it "
				 "out, and see column.exclude.list",
				 err);
	}
	if (route && *route->value) {
		return bad_value(route,
				 "topics that depend on a row's values are not built; "
				 "leave it out, or route on the consuming side",
				 err);
	}
	/* Schemas have no defaults, and there is no such header: these mean nothing. */
	for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
		if (bool_of(r, switches[i], false, &ignored, err) != ST_OK) {
			return err->status;
		}
	}
	return read_deletes(r, &out->deletes, err);
}

static bool is_blank(const char *text)
{
	return !text || !text[strspn(text, " \t")];
}

static enum status needed(const struct reading *r, const char *option, const char **out,
			  struct error *err)
{
	*out = text_of(r, option, NULL);
	if (r->type->kind == TRANSFORM_LOGICAL_TABLE && is_blank(*out)) {
		*out = NULL;
	}
	return *out ? ST_OK
		    : error_set(err, ST_CONFIG, "%s%s is not set, and %s needs it",
				r->where, option, r->type->name);
}

static enum status read_names(const struct reading *r, enum name_adjustment *out,
			      struct error *err)
{
	static const char *const names[] = {[NAMES_AS_THEY_ARE] = "none",
					    [NAMES_AVRO] = "avro",
					    [NAMES_AVRO_UNICODE] = "avro_unicode"};
	const struct transform_option *o = option_of(r, "schema.name.adjustment.mode");

	*out = NAMES_AS_THEY_ARE;
	for (int i = 0; o && i < 3; i++) {
		if (strcasecmp(o->value, names[i]) == 0) {
			*out = (enum name_adjustment)i;
			return ST_OK;
		}
	}
	return o ? bad_value(o, "must be none, avro or avro_unicode", err) : ST_OK;
}

static enum status read_logical(const struct reading *r, struct transform_setting *out,
				struct error *err)
{
	if (needed(r, "topic.regex", &out->regex, err) != ST_OK ||
	    needed(r, "topic.replacement", &out->replacement, err) != ST_OK ||
	    bool_of(r, "key.enforce.uniqueness", true, &out->key_unique, err) !=
		ST_OK ||
	    read_names(r, &out->schema_names, err) != ST_OK) {
		return err->status;
	}
	out->key_field = text_of(r, "key.field.name", "__dbz__physicalTableIdentifier");
	out->key_regex = text_of(r, "key.field.regex", NULL);
	out->key_replacement = text_of(r, "key.field.replacement", NULL);
	if (is_blank(out->key_regex)) {
		out->key_regex = NULL;
	} else if (is_blank(out->key_replacement)) {
		return error_set(err, ST_CONFIG,
				 "%skey.field.replacement is not set, and "
				 "key.field.regex needs it",
				 r->where);
	}
	return ST_OK;
}

static enum status read_settings(const struct reading *r, struct transform_setting *out,
				 struct error *err)
{
	*out = (struct transform_setting){.kind = r->type->kind, .where = r->where};
	switch (r->type->kind) {
	case TRANSFORM_FLAT:
		return read_flat(r, out, err);
	case TRANSFORM_LOGICAL_TABLE:
		return read_logical(r, out, err);
	case TRANSFORM_REGEX:
		break;
	}
	return needed(r, "regex", &out->regex, err) == ST_OK
		   ? needed(r, "replacement", &out->replacement, err)
		   : err->status;
}

static bool is_of(const struct transform_option *option, const char *name)
{
	size_t len = strlen(name);

	return strncmp(option->key, name, len) == 0 && option->key[len] == '.';
}

/* Those of the transform are of its type. */
static enum status check_options(const struct reading *r, struct error *err)
{
	size_t len = strlen(r->name);

	for (size_t i = 0; i < r->options->count; i++) {
		const struct transform_option *o = &r->options->options[i];
		const char *option = o->key + len + 1;

		if (!is_of(o, r->name)) {
			continue;
		}
		if (strcmp(option, "predicate") == 0 || strcmp(option, "negate") == 0) {
			return error_set(err, ST_CONFIG,
					 "%s" TRANSFORMS_PREFIX
					 "%s: predicates are not built; a router's own "
					 "expression says which topics it takes",
					 o->where, o->key);
		}
		if (strcmp(option, "type") != 0 && !has_option(r->type, option)) {
			return unknown_option(r->type, o, err);
		}
	}
	return ST_OK;
}

static enum status read_one(struct reading *r, struct transform_setting *out,
			    struct error *err)
{
	const struct transform_option *type = option_of(r, "type");

	(void)snprintf(r->where, sizeof r->where, TRANSFORMS_PREFIX "%s.", r->name);
	if (!type) {
		return error_set(err, ST_CONFIG,
				 "transforms names %s, but %stype is not set",
				 SHORT_NAME(r->name), r->where);
	}
	r->type = find_type(type->value);
	if (!r->type) {
		return unknown_type(type, err);
	}
	return check_options(r, err) == ST_OK ? read_settings(r, out, err)
					      : err->status;
}

/* ---- all of them ---- */

struct all {
	struct reading readings[TRANSFORMS_MAX];
	struct transform_setting settings[TRANSFORMS_MAX + 1];
	size_t count;
};

/* One after the other adds something: what two cannot add. */
static enum status check_pair(const struct transform_setting *a,
			      const struct transform_setting *b, struct error *err)
{
	if (a->kind == TRANSFORM_FLAT && b->kind == TRANSFORM_FLAT) {
		return error_set(err, ST_CONFIG,
				 "%stype and %stype: rows are flat after the first "
				 "ExtractNewRecordState; leave one out",
				 a->where, b->where);
	}
	if (a->kind == TRANSFORM_LOGICAL_TABLE && b->kind == TRANSFORM_LOGICAL_TABLE &&
	    a->key_unique && b->key_unique && strcmp(a->key_field, b->key_field) == 0) {
		return error_set(err, ST_CONFIG,
				 "%skey.field.name and %skey.field.name are the same, "
				 "%s; name one otherwise",
				 a->where, b->where, SHORT_NAME(a->key_field));
	}
	return ST_OK;
}

static enum status check_pairs(const struct all *all, struct error *err)
{
	for (size_t i = 0; i < all->count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (check_pair(&all->settings[j], &all->settings[i], err) !=
			    ST_OK) {
				return err->status;
			}
		}
	}
	return ST_OK;
}

static enum status check_listed(const struct transform_options *options,
				const struct all *all, struct error *err)
{
	for (size_t i = 0; i < options->count; i++) {
		const struct transform_option *o = &options->options[i];
		size_t of = 0;

		while (of < all->count && !is_of(o, all->readings[of].name)) {
			of++;
		}
		if (of == all->count) {
			return error_set(err, ST_CONFIG,
					 "%s" TRANSFORMS_PREFIX
					 "%s is set, but the list transforms names no "
					 "transform that it is of",
					 o->where, o->key);
		}
	}
	return ST_OK;
}

/* `names` is cut into its names. */
static enum status read_all(const struct transform_options *options, char *names,
			    struct all *all, struct error *err)
{
	char *rest = names;
	char *name;

	while ((name = strtok_r(rest, ", \t", &rest)) != NULL) {
		struct reading *r = &all->readings[all->count];

		if (all->count == TRANSFORMS_MAX || strlen(name) > 100) {
			return error_set(err, ST_CONFIG,
					 "transforms=%s: at most %d names of at most "
					 "100 characters",
					 SHORT_NAME(options->list), TRANSFORMS_MAX);
		}
		*r = (struct reading){.options = options, .name = name};
		for (size_t i = 0; i < all->count; i++) {
			if (strcmp(all->readings[i].name, name) == 0) {
				return error_set(err, ST_CONFIG,
						 "transforms=%s: %s is named twice",
						 SHORT_NAME(options->list), name);
			}
		}
		if (read_one(r, &all->settings[all->count], err) != ST_OK) {
			return err->status;
		}
		all->count++;
	}
	return check_listed(options, all, err) == ST_OK ? check_pairs(all, err)
							: err->status;
}

/* --lines=flat: a delete is to be told from other rows, and tables from each other. */
static enum status add_flat_lines(struct all *all, struct error *err)
{
	for (size_t i = 0; i < all->count; i++) {
		if (all->settings[i].kind == TRANSFORM_FLAT) {
			return error_set(err, ST_CONFIG,
					 "--lines=flat and %stype: rows are flat by "
					 "either; leave one out",
					 all->settings[i].where);
		}
	}
	all->settings[all->count++] =
	    (struct transform_setting){.kind = TRANSFORM_FLAT,
				       .where = "--lines=flat: ",
				       .deletes = FLAT_REWRITE,
				       .add_fields = "table",
				       .fields_prefix = "__",
				       .headers_prefix = "__"};
	return ST_OK;
}

enum status transform_options_open(const struct transform_options *options,
				   bool flat_lines, struct transforms **out,
				   struct error *err)
{
	struct all *all = calloc(1, sizeof *all);
	char *names = strdup(options->list ? options->list : "");
	enum status status =
	    all && names ? read_all(options, names, all, err) : out_of_memory(err);

	*out = NULL;
	if (status == ST_OK && flat_lines) {
		status = add_flat_lines(all, err);
	}
	if (status == ST_OK && all->count > 0) {
		status = transforms_open(all->settings, all->count, out, err);
	}
	free(all);
	free(names);
	return status;
}
