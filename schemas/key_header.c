/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/key_header.h"

#include <stdbool.h>
#include <string.h>

enum kind { KIND_STRING, KIND_NUMBER, KIND_BOOLEAN };

static enum kind kind_of(const char *value)
{
	return *value == '"'                    ? KIND_STRING
	       : *value == 't' || *value == 'f' ? KIND_BOOLEAN
						: KIND_NUMBER;
}

/* Behind the string or the scalar that begins at `p`. */
static const char *token_end(const char *p, const char *end)
{
	if (*p != '"') {
		while (p < end && *p != ',' && *p != '}') {
			p++;
		}
		return p;
	}
	for (p++; p < end && *p != '"'; p++) {
		p += *p == '\\' && end - p > 1;
	}
	return p < end ? p + 1 : end;
}

/* The next name and value of an object. False at its end. */
static bool next_member(const char **at, const char *end, struct span *name,
			struct span *value)
{
	const char *p = *at;

	if (end - p < 2 || p[1] != '"') { /* behind '{' or ',' */
		return false;
	}
	name->bytes = p + 1;
	p = token_end(name->bytes, end);
	name->len = (size_t)(p - name->bytes);
	if (end - p < 2) {
		return false;
	}
	value->bytes = p + 1; /* behind ':' */
	p = token_end(value->bytes, end);
	value->len = (size_t)(p - value->bytes);
	*at = p;
	return true;
}

/* How many members there are, and whether their values are of one kind. */
static size_t count_members(struct span payload, bool *one_kind)
{
	const char *at = payload.bytes;
	const char *end = at + payload.len;
	enum kind first = KIND_STRING;
	size_t count = 0;
	struct span name, value;

	*one_kind = true;
	while (next_member(&at, end, &name, &value)) {
		first = count == 0 ? kind_of(value.bytes) : first;
		*one_kind = *one_kind && kind_of(value.bytes) == first;
		count++;
	}
	return count;
}

/* 2024-01-02, 03:04:05.678Z and 2024-01-02T03:04:05.678Z: by their length, as Connect
 * counts it, and a '-' or ':', which they must have. The place of that, or NULL. */
static const char *date_mark(struct span string)
{
	const char *mark = NULL;
	size_t units = 0; /* of UTF-16; escapes are not undone */

	for (size_t i = 1; i + 1 < string.len; i++) {
		unsigned char c = (unsigned char)string.bytes[i];

		units += (c & 0xC0) != 0x80;
		units += c >= 0xF0;
		mark = !mark && (c == '-' || c == ':') ? string.bytes + i : mark;
	}
	return units == 10 || units == 13 || units == 24 ? mark : NULL;
}

static void add_string(struct buffer *b, struct span string)
{
	const char *mark = date_mark(string);

	if (!mark) {
		buffer_add(b, string.bytes, string.len);
		return;
	}
	buffer_add(b, string.bytes, (size_t)(mark - string.bytes));
	buffer_add_str(b, *mark == '-' ? "\\u002d" : "\\u003a");
	buffer_add(b, mark + 1, (size_t)(string.bytes + string.len - mark - 1));
}

static void add_value(struct buffer *b, struct span value, bool one_kind)
{
	if (kind_of(value.bytes) == KIND_STRING) {
		add_string(b, value);
	} else if (one_kind) {
		buffer_add(b, value.bytes, value.len);
	} else {
		buffer_add_char(b, '"');
		buffer_add(b, value.bytes, value.len);
		buffer_add_char(b, '"');
	}
}

void key_header_add(struct buffer *b, struct span payload)
{
	const char *at = payload.bytes;
	const char *end = at + payload.len;
	char before = '{';
	bool one_kind;
	struct span name, value;

	if (count_members(payload, &one_kind) < 2) {
		buffer_add(b, payload.bytes, payload.len);
		return;
	}
	while (next_member(&at, end, &name, &value)) {
		buffer_add_char(b, before);
		add_string(b, name);
		buffer_add_char(b, ':');
		add_value(b, value, one_kind);
		before = ',';
	}
	buffer_add_char(b, '}');
}
