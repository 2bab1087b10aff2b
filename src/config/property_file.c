/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/property_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "src/base/buffer.h"

#define FILE_MAX (16u << 20) /* bytes; more is a mistake in the path */

struct parser {
	const char *name;
	const char *p;
	const char *end;
	unsigned line;       /* of p, from 1 */
	unsigned start_line; /* of the property being read */
	struct buffer key;
	struct buffer value;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f';
}

static bool at_line_end(const struct parser *r)
{
	return r->p == r->end || *r->p == '\n' || *r->p == '\r';
}

static void skip_line_end(struct parser *r)
{
	if (r->p == r->end) {
		return;
	}
	if (*r->p == '\r' && r->end - r->p >= 2 && r->p[1] == '\n') {
		r->p++;
	}
	r->p++;
	r->line++;
}

static void skip_blanks(struct parser *r)
{
	while (r->p < r->end && is_blank(*r->p)) {
		r->p++;
	}
}

static void skip_comment(struct parser *r)
{
	while (!at_line_end(r)) {
		r->p++;
	}
	skip_line_end(r);
}

static enum status bad(const struct parser *r, const char *what, struct error *err)
{
	return error_set(err, ST_CONFIG, "%s:%u: %s", r->name, r->line, what);
}

/* The four digits behind \u, at p. */
static bool read_unit(struct parser *r, uint32_t *unit)
{
	int i;

	if (r->end - r->p < 4) {
		return false;
	}
	*unit = 0;
	for (i = 0; i < 4; i++) {
		char c = r->p[i];

		*unit <<= 4;
		if (c >= '0' && c <= '9') {
			*unit |= (uint32_t)(c - '0');
		} else if ((c | 32) >= 'a' && (c | 32) <= 'f') {
			*unit |= (uint32_t)((c | 32) - 'a' + 10);
		} else {
			return false;
		}
	}
	r->p += 4;
	return true;
}

static void add_code_point(struct buffer *b, uint32_t c)
{
	if (c < 0x80) {
		buffer_add_char(b, (char)c);
		return;
	}
	if (c < 0x800) {
		buffer_add_char(b, (char)(0xC0 | c >> 6));
	} else if (c < 0x10000) {
		buffer_add_char(b, (char)(0xE0 | c >> 12));
		buffer_add_char(b, (char)(0x80 | (c >> 6 & 0x3F)));
	} else {
		buffer_add_char(b, (char)(0xF0 | c >> 18));
		buffer_add_char(b, (char)(0x80 | (c >> 12 & 0x3F)));
		buffer_add_char(b, (char)(0x80 | (c >> 6 & 0x3F)));
	}
	buffer_add_char(b, (char)(0x80 | (c & 0x3F)));
}

/* Behind "\u". */
static enum status read_unicode(struct parser *r, struct buffer *b, struct error *err)
{
	uint32_t unit;
	uint32_t low;

	if (!read_unit(r, &unit)) {
		return bad(r, "\\u needs four hexadecimal digits", err);
	}
	if (unit == 0) {
		return bad(r, "\\u0000 cannot stand in a property", err);
	}
	if (unit >= 0xD800 && unit < 0xE000) {
		if (unit >= 0xDC00 || r->end - r->p < 2 || r->p[0] != '\\' ||
		    r->p[1] != 'u') {
			return bad(r, "half a surrogate pair", err);
		}
		r->p += 2;
		if (!read_unit(r, &low) || low < 0xDC00 || low > 0xDFFF) {
			return bad(r, "half a surrogate pair", err);
		}
		unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
	}
	add_code_point(b, unit);
	return ST_OK;
}

/* Behind '\': a character, or the line goes on. */
static enum status read_escape(struct parser *r, struct buffer *b, struct error *err)
{
	static const char letters[] = "tnrf";
	static const char meanings[] = "\t\n\r\f";
	const char *letter;
	char c;

	if (at_line_end(r)) {
		skip_line_end(r);
		skip_blanks(r);
		return ST_OK;
	}
	c = *r->p++;
	if (c == 'u') {
		return read_unicode(r, b, err);
	}
	letter = c ? strchr(letters, c) : NULL;
	if (letter) {
		c = meanings[letter - letters];
	}
	buffer_add_char(b, c);
	return ST_OK;
}

/* Up to the end of the line, in a key also up to a separator. */
static enum status read_text(struct parser *r, struct buffer *b, bool is_key,
			     struct error *err)
{
	buffer_reset(b);
	while (!at_line_end(r)) {
		char c = *r->p;

		if (is_key && (c == '=' || c == ':' || is_blank(c))) {
			break;
		}
		r->p++;
		if (c == '\0') {
			return bad(r, "a NUL byte cannot stand in a property", err);
		}
		if (c == '\\') {
			enum status status = read_escape(r, b, err);

			if (status != ST_OK) {
				return status;
			}
		} else {
			buffer_add_char(b, c);
		}
	}
	buffer_add_char(b, '\0');
	return buffer_ok(b) ? ST_OK : error_no_memory(err, "%s", r->name);
}

/* White space, at most one '=' or ':', white space; over continued lines, too. */
static void skip_separator(struct parser *r)
{
	bool seen = false;

	for (;;) {
		skip_blanks(r);
		if (r->end - r->p >= 2 && r->p[0] == '\\' &&
		    (r->p[1] == '\n' || r->p[1] == '\r')) {
			r->p++;
			skip_line_end(r);
		} else if (!seen && r->p < r->end && (*r->p == '=' || *r->p == ':')) {
			seen = true;
			r->p++;
		} else {
			return;
		}
	}
}

static enum status read_property(struct parser *r, property_set *set, void *context,
				 struct error *err)
{
	enum status status;

	r->start_line = r->line;
	status = read_text(r, &r->key, true, err);
	if (status != ST_OK) {
		return status;
	}
	skip_separator(r);
	status = read_text(r, &r->value, false, err);
	if (status != ST_OK) {
		return status;
	}
	skip_line_end(r);
	return set(context, r->key.bytes, r->value.bytes, r->start_line, err);
}

enum status property_file_parse(const char *name, const char *text, size_t len,
				property_set *set, void *context, struct error *err)
{
	struct parser r = {.name = name, .p = text, .end = text + len, .line = 1};
	enum status status = ST_OK;

	buffer_init(&r.key);
	buffer_init(&r.value);
	if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
		r.p += 3; /* byte order mark */
	}
	while (r.p < r.end && status == ST_OK) {
		skip_blanks(&r);
		if (at_line_end(&r)) {
			skip_line_end(&r);
		} else if (*r.p == '#' || *r.p == '!') {
			skip_comment(&r);
		} else {
			status = read_property(&r, set, context, err);
		}
	}
	buffer_clear(&r.key);
	buffer_clear(&r.value);
	return status;
}

static enum status read_file(const char *path, FILE *file, struct buffer *b,
			     struct error *err)
{
	char chunk[4096];
	size_t n;

	while ((n = fread(chunk, 1, sizeof chunk, file)) > 0) {
		buffer_add(b, chunk, n);
		if (b->len > FILE_MAX) {
			return error_set(err, ST_CONFIG,
					 "%s: larger than %u bytes, not a file of "
					 "properties",
					 path, FILE_MAX);
		}
	}
	if (ferror(file)) {
		(void)error_set_errno(err, errno, "%s", path);
		err->status = ST_CONFIG;
		return ST_CONFIG;
	}
	return buffer_ok(b) ? ST_OK : error_no_memory(err, "%s", path);
}

enum status property_file_read(const char *path, struct buffer *out, struct error *err)
{
	FILE *file = fopen(path, "re");
	enum status status;

	if (!file) {
		(void)error_set_errno(err, errno, "%s", path);
		err->status = ST_CONFIG;
		return ST_CONFIG;
	}
	status = read_file(path, file, out, err);
	(void)fclose(file);
	return status;
}

enum status property_file_load(const char *path, property_set *set, void *context,
			       struct error *err)
{
	struct buffer b;
	enum status status;

	buffer_init(&b);
	status = property_file_read(path, &b, err);
	if (status == ST_OK) {
		status = property_file_parse(path, b.bytes ? b.bytes : "", b.len, set,
					     context, err);
	}
	buffer_clear(&b);
	return status;
}
