/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/compute_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define COLUMNS_MAX 65535 /* more than SQLite can have */

/* ---- pieces ---- */

static void add_u32(struct buffer *b, uint32_t v)
{
	buffer_add(b, &v, sizeof v);
}

static void add_text(struct buffer *b, const char *text)
{
	buffer_add(b, text, strlen(text) + 1);
}

static const uint8_t *take(struct wire_reader *r, size_t len)
{
	const uint8_t *at = r->at;

	if (r->failed || (size_t)(r->end - r->at) < len) {
		r->failed = true;
		return NULL;
	}
	r->at += len;
	return at;
}

static uint32_t take_u32(struct wire_reader *r)
{
	const uint8_t *p = take(r, sizeof(uint32_t));
	uint32_t v = 0;

	if (p) {
		memcpy(&v, p, sizeof v);
	}
	return v;
}

static const char *take_text(struct wire_reader *r)
{
	const uint8_t *end =
	    r->failed ? NULL : memchr(r->at, '\0', (size_t)(r->end - r->at));
	const uint8_t *text = end ? take(r, (size_t)(end - r->at) + 1) : NULL;

	r->failed = r->failed || !text;
	return text ? (const char *)text : "";
}

/* ---- a table ---- */

void wire_add_table(struct buffer *b, const struct table *table, const bool *is_off,
		    uint32_t virtual_count)
{
	add_u32(b, (uint32_t)table->encoding);
	add_u32(b, table->without_rowid);
	add_text(b, table->name);
	add_text(b, table->sql);
	add_u32(b, table->column_count);
	for (uint32_t i = 0; i < table->column_count; i++) {
		add_u32(b, (uint32_t)table->columns[i].generated);
		add_text(b, table->columns[i].name);
	}
	add_u32(b, table->stored_count);
	for (uint32_t i = 0; i < table->stored_count; i++) {
		add_u32(b, table->stored[i]);
	}
	for (uint32_t i = 0; i < virtual_count; i++) {
		add_u32(b, is_off[i]);
	}
}

bool wire_take_table(struct wire_reader *r, struct table *table, bool **is_off)
{
	uint32_t virtual_count = 0;

	table->encoding = (enum text_encoding)take_u32(r);
	table->without_rowid = take_u32(r) != 0;
	table->name = take_text(r);
	table->sql = take_text(r);
	table->column_count = take_u32(r);
	if (r->failed || table->column_count > COLUMNS_MAX) {
		return false;
	}
	table->columns = calloc(table->column_count + 1, sizeof *table->columns);
	table->stored = calloc(COLUMNS_MAX, sizeof *table->stored);
	*is_off = calloc(table->column_count + 1, sizeof **is_off);
	if (!table->columns || !table->stored || !*is_off) {
		return false;
	}
	for (uint32_t i = 0; i < table->column_count; i++) {
		table->columns[i].generated = (enum generated)take_u32(r);
		table->columns[i].name = take_text(r);
		virtual_count += table->columns[i].generated == GENERATED_VIRTUAL;
	}
	table->stored_count = take_u32(r);
	for (uint32_t i = 0; i < table->stored_count && i < COLUMNS_MAX; i++) {
		table->stored[i] = take_u32(r);
		r->failed = r->failed || table->stored[i] >= table->column_count;
	}
	for (uint32_t i = 0; i < virtual_count; i++) {
		(*is_off)[i] = take_u32(r) != 0;
	}
	return !r->failed && table->stored_count < COLUMNS_MAX;
}

void wire_free_table(struct table *table, bool *is_off)
{
	free(table->columns);
	free(table->stored);
	free(is_off);
}

/* ---- values ---- */

void wire_add_value(struct buffer *b, const struct value *value, const char *bytes)
{
	bool has_bytes = value->class == VALUE_TEXT || value->class == VALUE_BLOB;

	add_u32(b, (uint32_t)value->class);
	if (has_bytes) {
		add_u32(b, value->len);
		buffer_add(b, bytes, value->len);
	} else if (value->class == VALUE_INTEGER) {
		buffer_add(b, &value->integer, sizeof value->integer);
	} else if (value->class == VALUE_REAL) {
		buffer_add(b, &value->real, sizeof value->real);
	}
}

void wire_take_value(struct wire_reader *r, struct value *value)
{
	const uint8_t *p;

	*value = (struct value){.class = VALUE_NULL};
	switch (take_u32(r)) {
	case VALUE_NULL:
		break;
	case VALUE_INTEGER:
		p = take(r, sizeof value->integer);
		if (p) {
			value->class = VALUE_INTEGER;
			memcpy(&value->integer, p, sizeof value->integer);
		}
		break;
	case VALUE_REAL:
		p = take(r, sizeof value->real);
		if (p) {
			value->class = VALUE_REAL;
			memcpy(&value->real, p, sizeof value->real);
		}
		break;
	case VALUE_TEXT:
		value->class = VALUE_TEXT;
		value->len = take_u32(r);
		value->bytes = take(r, value->len);
		break;
	case VALUE_BLOB:
		value->class = VALUE_BLOB;
		value->len = take_u32(r);
		value->bytes = take(r, value->len);
		break;
	default:
		r->failed = true;
		break;
	}
	if (r->failed) {
		*value = (struct value){.class = VALUE_NULL};
	}
}

/* ---- the socket ---- */

bool wire_send(int fd, const void *from, size_t len)
{
	const char *at = from;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return false;
		}
		at += n;
		len -= (size_t)n;
	}
	return true;
}
