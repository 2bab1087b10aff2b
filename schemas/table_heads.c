/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/table_heads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/connect_schema.h"
#include "schemas/flat.h"
#include "schemas/transforms.h"

/* As Debezium tells of masks. */
static void set_parameter(struct connect_field *field, const struct column_mask *mask)
{
	if (mask && column_mask_kind(mask) == MASK_TRUNCATE) {
		field->parameter = "truncateLength";
		(void)snprintf(field->parameter_value, sizeof field->parameter_value,
			       "%zu", column_mask_chars(mask));
	} else if (mask) {
		field->parameter = "masked";
		(void)snprintf(field->parameter_value, sizeof field->parameter_value,
			       "true");
	}
}

/* The names of `count` columns, each with a NUL; false when memory ran out. */
static bool list_fields(const struct table_plan *plan,
			const struct plan_column *columns, uint32_t count,
			struct buffer *names, struct connect_field *fields)
{
	size_t at = 0;

	for (uint32_t i = 0; i < count; i++) {
		table_plan_add_name(plan, names, columns[i].index);
		buffer_add_char(names, '\0');
	}
	if (!buffer_ok(names)) {
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		enum connect_type type = columns[i].type;

		if (type == CONNECT_BYTES &&
		    plan->settings->binary_mode != BINARY_BYTES) {
			type = CONNECT_STRING;
		}
		fields[i] = (struct connect_field){.name = names->bytes + at,
						   .type = type,
						   .optional = !columns[i].is_required};
		set_parameter(&fields[i], columns[i].mask);
		at += strlen(fields[i].name) + 1;
	}
	return true;
}

/* What the names of the schemas begin with, and a NUL. */
static void add_prefix(const struct table_plan *plan, struct buffer *b)
{
	struct buffer topic;

	buffer_init(&topic);
	buffer_add(&topic, plan->topic.bytes, plan->topic.len);
	buffer_add_char(&topic, '\0');
	if (buffer_ok(&topic)) {
		name_adjustment_add(b, topic.bytes, plan->settings->schema_names,
				    false);
		buffer_add_char(b, '\0');
	}
	b->failed = b->failed || !buffer_ok(&topic);
	buffer_clear(&topic);
}

static struct span span_of(const struct buffer *b)
{
	return (struct span){b->bytes, b->len};
}

enum head { HEAD_VALUE, HEAD_KEY, HEAD_KEY_AS_IT_WAS };

static void add_value_schema(const struct table_plan *plan, struct buffer *head,
			     const char *prefix, const struct connect_field *fields)
{
	const struct flat *flat = transforms_flat(plan->settings->transforms);

	if (plan->route.value_prefix.len > 0) {
		prefix = plan->route.value_prefix.bytes;
	}
	if (flat) {
		connect_schema_add_flat(head, prefix, fields, plan->column_count,
					span_of(&flat->members));
	} else {
		connect_schema_add_envelope(head, prefix, fields, plan->column_count,
					    plan->settings->context_table != NULL);
	}
}

static void add_key_schema(const struct table_plan *plan, struct buffer *head,
			   const char *prefix, const struct connect_field *fields,
			   bool as_it_was)
{
	const struct route *route = &plan->route;
	struct buffer name;

	buffer_init(&name);
	if (!as_it_was && route->key_name.len > 0) {
		buffer_add_buffer(&name, &route->key_name);
	} else {
		buffer_add_str(&name, prefix);
		buffer_add_str(&name, ".Key");
		buffer_add_char(&name, '\0');
	}
	if (buffer_ok(&name)) {
		connect_schema_add_key(head, name.bytes, fields, plan->key_count,
				       as_it_was ? (struct span){NULL, 0}
						 : span_of(&route->key_fields));
	}
	head->failed |= name.failed;
	buffer_clear(&name);
}

/* {"schema":S,"payload": */
static bool make_head(const struct table_plan *plan, struct buffer *head,
		      enum head what)
{
	bool is_key = what != HEAD_VALUE;
	uint32_t count = is_key ? plan->key_count : plan->column_count;
	struct connect_field *fields = calloc((size_t)count + 1, sizeof *fields);
	struct buffer names;
	struct buffer prefix;
	bool ok;

	buffer_init(&names);
	buffer_init(&prefix);
	add_prefix(plan, &prefix);
	ok = fields && buffer_ok(&prefix) &&
	     list_fields(plan, is_key ? plan->keys : plan->columns, count, &names,
			 fields);
	if (ok) {
		buffer_add_str(head, "{\"schema\":");
		if (is_key) {
			add_key_schema(plan, head, prefix.bytes, fields,
				       what == HEAD_KEY_AS_IT_WAS);
		} else {
			add_value_schema(plan, head, prefix.bytes, fields);
		}
		buffer_add_str(head, ",\"payload\":");
	}
	free(fields);
	buffer_clear(&names);
	buffer_clear(&prefix);
	return ok && buffer_ok(head);
}

bool table_heads_make(struct table_plan *plan)
{
	if (!plan->settings->schemas || plan->value_head.len > 0) {
		return true;
	}
	return make_head(plan, &plan->key_head, HEAD_KEY) &&
	       make_head(plan, &plan->header_head, HEAD_KEY_AS_IT_WAS) &&
	       make_head(plan, &plan->value_head, HEAD_VALUE);
}
