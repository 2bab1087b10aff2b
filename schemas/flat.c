/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/flat.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/value_json.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "transforms");
}

/* ---- a list of fields ---- */

struct list {
	const char *where, *option; /* for messages */
	const char *prefix;
};

static struct span span_between(const char *begin, const char *end)
{
	while (begin < end && (*begin == ' ' || *begin == '\t')) {
		begin++;
	}
	while (end > begin && (end[-1] == ' ' || end[-1] == '\t')) {
		end--;
	}
	return (struct span){begin, (size_t)(end - begin)};
}

static enum status bad_field(const struct list *list, struct span item,
			     const char *what, struct error *err)
{
	char name[200];

	name[0] = '\0';
	strncat(name, item.bytes, item.len < sizeof name ? item.len : sizeof name - 1);
	return error_set(err, ST_CONFIG, "%s%s: %s: %s", list->where, list->option,
			 quote(SHORT_NAME(name)).text, what);
}

/* What it is called in the message. */
static char *make_name(const struct list *list, struct span parent, struct span name,
		       struct span other)
{
	struct buffer b;

	buffer_init(&b);
	buffer_add_str(&b, list->prefix);
	if (other.bytes) {
		buffer_add(&b, other.bytes, other.len);
	} else {
		buffer_add(&b, parent.bytes, parent.len);
		buffer_add_str(&b, parent.bytes ? "_" : "");
		buffer_add(&b, name.bytes, name.len);
	}
	buffer_add_char(&b, '\0');
	if (!buffer_ok(&b)) {
		buffer_clear(&b);
		return NULL;
	}
	return b.bytes;
}

static bool is_utf8(const char *text)
{
	const uint8_t *s = (const uint8_t *)text;
	const uint8_t *end = s + strlen(text);
	bool valid = true;

	while (valid && s < end) {
		s += utf8_step(s, end, &valid);
	}
	return valid;
}

/* NAME, PARENT.NAME, NAME:OTHER, PARENT.NAME:OTHER */
static enum status read_field(const struct list *list, struct span item,
			      struct flat_field *out, struct error *err)
{
	const char *end = item.bytes + item.len;
	const char *colon = memchr(item.bytes, ':', item.len);
	const char *left_end = colon ? colon : end;
	const char *dot = memchr(item.bytes, '.', (size_t)(left_end - item.bytes));
	struct span parent = {NULL, 0};
	struct span name = {item.bytes, (size_t)(left_end - item.bytes)};
	struct span other = {NULL, 0};

	if (dot) {
		parent = (struct span){item.bytes, (size_t)(dot - item.bytes)};
		name = (struct span){dot + 1, (size_t)(left_end - dot - 1)};
	}
	if (colon) {
		other = (struct span){colon + 1, (size_t)(end - colon - 1)};
		if (other.len == 0 || memchr(other.bytes, ':', other.len)) {
			return bad_field(list, item,
					 "one name belongs behind the colon", err);
		}
	}
	if (!event_field_find(parent, name, &out->field)) {
		return bad_field(list, item,
				 "events have no such field that could be added; "
				 "docs/transforms.md has those that they have",
				 err);
	}
	out->name = make_name(list, parent, name, other);
	if (!out->name) {
		return out_of_memory(err);
	}
	if (!is_utf8(out->name)) {
		return bad_field(list, item, "its name is no UTF-8", err);
	}
	buffer_add_char(&out->piece, ',');
	json_add_string(&out->piece, out->name, strlen(out->name));
	buffer_add_char(&out->piece, ':');
	return buffer_ok(&out->piece) ? ST_OK : out_of_memory(err);
}

static bool is_repeated(const struct flat_field *fields, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(fields[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

static enum status read_list(const struct list *list, const char *text,
			     struct flat_field **fields, size_t *count,
			     struct error *err)
{
	for (const char *p = text ? text : ""; *p; p += *p == ',') {
		size_t len = strcspn(p, ",");
		struct span item = span_between(p, p + len);
		struct flat_field *grown;

		p += len;
		if (item.len == 0) {
			continue;
		}
		grown = reallocarray(*fields, *count + 1, sizeof *grown);
		if (!grown) {
			return out_of_memory(err);
		}
		*fields = grown;
		grown += (*count)++;
		*grown = (struct flat_field){0};
		if (read_field(list, item, grown, err) != ST_OK) {
			return err->status;
		}
		if (is_repeated(*fields, *count - 1, grown->name)) {
			return bad_field(list, item, "two have this name", err);
		}
	}
	return ST_OK;
}

/* ---- open and close ---- */

static enum status read_lists(struct flat *flat, const struct transform_setting *of,
			      struct error *err)
{
	struct list fields = {of->where, "add.fields", of->fields_prefix};
	struct list headers = {of->where, "add.headers", of->headers_prefix};

	if (read_list(&fields, of->add_fields, &flat->fields, &flat->field_count,
		      err) != ST_OK ||
	    read_list(&headers, of->add_headers, &flat->headers, &flat->header_count,
		      err) != ST_OK) {
		return err->status;
	}
	if (flat->header_count > FLAT_HEADERS_MAX) {
		return error_set(err, ST_CONFIG, "%sadd.headers: more than %d headers",
				 of->where, FLAT_HEADERS_MAX);
	}
	if (flat_rewrites(flat)) {
		if (is_repeated(flat->fields, flat->field_count, FLAT_DELETED)) {
			return error_set(err, ST_CONFIG,
					 "%sadd.fields: " FLAT_DELETED
					 " is there anyway; call it otherwise",
					 of->where);
		}
		connect_schema_add_member(&flat->members, MEMBER_STRING, true,
					  FLAT_DELETED);
	}
	for (size_t i = 0; i < flat->field_count; i++) {
		connect_schema_add_member(&flat->members,
					  event_field_type(flat->fields[i].field), true,
					  flat->fields[i].name);
	}
	return buffer_ok(&flat->members) ? ST_OK : out_of_memory(err);
}

enum status flat_open(const struct transform_setting *setting, struct flat **out,
		      struct error *err)
{
	struct flat *flat = calloc(1, sizeof *flat);

	if (!flat) {
		return out_of_memory(err);
	}
	flat->deletes = setting->deletes;
	if (read_lists(flat, setting, err) != ST_OK) {
		flat_close(flat);
		return err->status;
	}
	*out = flat;
	return ST_OK;
}

static void clear_fields(struct flat_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(fields[i].name);
		buffer_clear(&fields[i].piece);
	}
	free(fields);
}

void flat_close(struct flat *flat)
{
	if (!flat) {
		return;
	}
	clear_fields(flat->fields, flat->field_count);
	clear_fields(flat->headers, flat->header_count);
	buffer_clear(&flat->members);
	free(flat);
}

bool flat_rewrites(const struct flat *flat)
{
	return flat->deletes == FLAT_REWRITE ||
	       flat->deletes == FLAT_REWRITE_WITH_TOMBSTONE;
}

static bool lists_context(const struct flat_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fields[i].field >= EVENT_CONTEXT &&
		    fields[i].field <= EVENT_CONTEXT_CANDIDATES) {
			return true;
		}
	}
	return false;
}

bool flat_has_context(const struct flat *flat)
{
	return lists_context(flat->fields, flat->field_count) ||
	       lists_context(flat->headers, flat->header_count);
}

bool flat_has_field(const struct flat *flat, struct span name)
{
	if (flat_rewrites(flat) && name.len == strlen(FLAT_DELETED) &&
	    memcmp(name.bytes, FLAT_DELETED, name.len) == 0) {
		return true;
	}
	for (size_t i = 0; i < flat->field_count; i++) {
		if (strlen(flat->fields[i].name) == name.len &&
		    memcmp(flat->fields[i].name, name.bytes, name.len) == 0) {
			return true;
		}
	}
	return false;
}
