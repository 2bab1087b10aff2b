/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/sql_rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "schemas/value_json.h"
#include "src/base/stop.h"

#define WRITE_BYTES (64u << 10) /* are written at once */
#define HELD_ROWS   200         /* of a table, which say how wide it is */
#define HELD_BYTES  (256u << 10)

struct cell {
	size_t end; /* in `held` */
	size_t width;
	bool is_number;
};

struct sql_rows {
	enum sql_format format;
	struct sql_check check;
	uint32_t count;      /* of columns */
	struct buffer heads; /* of JSON: what is before each value; else the names */
	size_t *head_ends;   /* of column i in `heads` */
	struct buffer out;   /* not yet written */
	struct buffer scratch;

	/* Of a table. */
	bool is_laid_out; /* names are printed, rows are no longer held */
	struct buffer held;
	struct cell *cells; /* row by row */
	size_t held_rows;
	size_t *widths;
};

/* ---- names ---- */

static bool is_taken(const char *const *names, char *const *renamed, uint32_t count,
		     const char *name)
{
	for (uint32_t i = 0; i < count; i++) {
		if ((names[i] && strcasecmp(names[i], name) == 0) ||
		    (renamed[i] && strcasecmp(renamed[i], name) == 0)) {
			return true;
		}
	}
	return false;
}

static bool is_first(const char *const *names, uint32_t index)
{
	for (uint32_t i = 0; i < index; i++) {
		if (strcmp(names[i] ? names[i] : "",
			   names[index] ? names[index] : "") == 0) {
			return false;
		}
	}
	return true;
}

/* "name:1" where the name has been before; NULL in `renamed` where it has not. */
static bool rename_columns(const char *const *names, char **renamed, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		unsigned number = 1;

		while (!is_first(names, i) && !renamed[i]) {
			char *name;

			if (asprintf(&name, "%s:%u", names[i] ? names[i] : "",
				     number++) < 0) {
				return false;
			}
			if (is_taken(names, renamed, count, name)) {
				free(name);
			} else {
				renamed[i] = name;
			}
		}
	}
	return true;
}

static void add_heads(struct sql_rows *r, const char *const *names,
		      char *const *renamed)
{
	for (uint32_t i = 0; i < r->count; i++) {
		const char *name = renamed[i] ? renamed[i] : names[i];

		name = name ? name : "";
		if (r->format == SQL_JSON) {
			buffer_add_char(&r->heads, i == 0 ? '{' : ',');
			json_add_string(&r->heads, name, strlen(name));
			buffer_add_char(&r->heads, ':');
		} else {
			buffer_add_str(&r->heads, name);
		}
		r->head_ends[i] = r->heads.len;
	}
}

static bool make_heads(struct sql_rows *r, const char *const *names)
{
	char **renamed = calloc((size_t)r->count + 1, sizeof *renamed);
	bool is_ok = renamed && rename_columns(names, renamed, r->count);

	if (is_ok) {
		add_heads(r, names, renamed);
	}
	for (uint32_t i = 0; renamed && i < r->count; i++) {
		free(renamed[i]);
	}
	free(renamed);
	return is_ok && buffer_ok(&r->heads);
}

static const char *head_of(const struct sql_rows *r, uint32_t i, size_t *len)
{
	size_t start = i == 0 ? 0 : r->head_ends[i - 1];

	*len = r->head_ends[i] - start;
	return r->heads.bytes + start;
}

/* ---- stdout ---- */

static enum status write_out(struct sql_rows *r, struct error *err)
{
	enum status status = r->check.check(r->check.context, err);
	size_t done = 0;

	if (status != ST_OK) {
		return status;
	}
	if (!buffer_ok(&r->out) || !buffer_ok(&r->held) || !buffer_ok(&r->scratch)) {
		return error_no_memory(err, "a row");
	}
	while (done < r->out.len) {
		ssize_t n =
		    write(STDOUT_FILENO, r->out.bytes + done, r->out.len - done);

		if (n >= 0) {
			done += (size_t)n;
		} else if (errno == EPIPE) {
			return error_set(err, ST_CLOSED, "stdout was closed");
		} else if (errno != EINTR) {
			return error_set_errno(err, errno, "stdout takes nothing");
		} else if (stop_requested) {
			return error_set(err, ST_STOPPED, "interrupted");
		}
	}
	buffer_reset(&r->out);
	return ST_OK;
}

/* ---- text ---- */

/* Valid UTF-8 of `bytes`; without what steers a terminal if `is_safe`. */
static void add_text(struct buffer *b, const uint8_t *bytes, size_t len, bool is_safe)
{
	const uint8_t *end = bytes + len;
	size_t start = b->len;

	while (bytes < end) {
		bool is_valid;
		size_t step = utf8_step(bytes, end, &is_valid);

		if (!is_valid) {
			buffer_add_str(b, "\xEF\xBF\xBD");
		} else if (is_safe && *bytes == '\0') {
			buffer_add_char(b, '?');
		} else {
			buffer_add(b, bytes, step);
		}
		bytes += step;
	}
	if (is_safe) {
		buffer_add_char(b, '\0');
		if (buffer_ok(b)) {
			utf8_make_safe(b->bytes + start);
			b->len = start + strlen(b->bytes + start);
		}
	}
}

/* A number, or base64, without the quotes that it may have in JSON. */
static void add_plain(struct sql_rows *r, struct buffer *b, const struct value *value)
{
	const char *bytes;
	size_t len;

	buffer_reset(&r->scratch);
	json_add_value(&r->scratch, value, TEXT_UTF8, BINARY_BASE64);
	bytes = r->scratch.bytes;
	len = r->scratch.len;
	if (len >= 2 && bytes[0] == '"') {
		bytes++;
		len -= 2;
	}
	if (buffer_ok(&r->scratch)) {
		buffer_add(b, bytes, len);
	}
}

/* ---- CSV ---- */

static void add_field(struct buffer *b, const uint8_t *bytes, size_t len)
{
	bool is_quoted = len == 0;
	size_t start = b->len;

	for (size_t i = 0; !is_quoted && i < len; i++) {
		is_quoted = strchr(",\"\r\n", bytes[i]) && bytes[i] != '\0';
	}
	is_quoted = is_quoted || bytes[0] == ' ' || bytes[len - 1] == ' ';
	if (!is_quoted) {
		add_text(b, bytes, len, false);
		return;
	}
	buffer_add_char(b, '"');
	for (size_t i = 0; i < len; i = start) {
		const uint8_t *quote = memchr(bytes + i, '"', len - i);

		start = quote ? (size_t)(quote - bytes) + 1 : len;
		add_text(b, bytes + i, start - i, false);
		if (quote) {
			buffer_add_char(b, '"');
		}
	}
	buffer_add_char(b, '"');
}

static void add_csv(struct sql_rows *r, const struct value *values)
{
	for (uint32_t i = 0; i < r->count; i++) {
		const struct value *v = &values[i];

		if (i > 0) {
			buffer_add_char(&r->out, ',');
		}
		if (v->class == VALUE_TEXT) {
			add_field(&r->out, v->bytes, v->len);
		} else if (v->class != VALUE_NULL) {
			add_plain(r, &r->out, v);
		}
	}
	buffer_add_char(&r->out, '\n');
}

static void add_csv_names(struct sql_rows *r)
{
	for (uint32_t i = 0; i < r->count; i++) {
		size_t len;
		const char *name = head_of(r, i, &len);

		if (i > 0) {
			buffer_add_char(&r->out, ',');
		}
		add_field(&r->out, (const uint8_t *)name, len);
	}
	buffer_add_char(&r->out, '\n');
}

/* ---- JSON ---- */

static void add_json(struct sql_rows *r, const struct value *values)
{
	for (uint32_t i = 0; i < r->count; i++) {
		size_t len;
		const char *head = head_of(r, i, &len);

		buffer_add(&r->out, head, len);
		json_add_value(&r->out, &values[i], TEXT_UTF8, BINARY_BASE64);
	}
	buffer_add_str(&r->out, "}\n");
}

/* ---- a table ---- */

static size_t width_of(const char *bytes, size_t len)
{
	size_t width = 0;

	for (size_t i = 0; i < len; i++) {
		width += ((uint8_t)bytes[i] & 0xC0) != 0x80;
	}
	return width;
}

static void add_blanks(struct buffer *b, size_t count)
{
	for (; count > 0; count--) {
		buffer_add_char(b, ' ');
	}
}

static void add_cell(struct sql_rows *r, uint32_t column, const char *bytes, size_t len,
		     size_t width, bool is_right)
{
	size_t blanks = width < r->widths[column] ? r->widths[column] - width : 0;
	bool is_last = column + 1 == r->count;

	if (column > 0) {
		buffer_add_str(&r->out, "  ");
	}
	add_blanks(&r->out, is_right ? blanks : 0);
	buffer_add(&r->out, bytes, len);
	add_blanks(&r->out, is_right || is_last ? 0 : blanks);
	if (is_last) {
		buffer_add_char(&r->out, '\n');
	}
}

static void hold_cell(struct sql_rows *r, struct cell *cell, const struct value *value)
{
	size_t start = r->held.len;

	cell->is_number = value->class == VALUE_INTEGER || value->class == VALUE_REAL;
	if (value->class == VALUE_NULL) {
		buffer_add_str(&r->held, "NULL");
	} else if (value->class == VALUE_TEXT) {
		add_text(&r->held, value->bytes, value->len, true);
	} else {
		add_plain(r, &r->held, value);
	}
	cell->end = r->held.len;
	cell->width = width_of(r->held.bytes + start, r->held.len - start);
}

static void print_held(struct sql_rows *r)
{
	size_t start = 0;

	for (size_t i = 0; i < r->held_rows * r->count; i++) {
		const struct cell *cell = &r->cells[i];

		add_cell(r, (uint32_t)(i % r->count), r->held.bytes + start,
			 cell->end - start, cell->width, cell->is_number);
		start = cell->end;
	}
	buffer_reset(&r->held);
	r->held_rows = 0;
}

/* Name, then a line below it. */
static void print_names(struct sql_rows *r)
{
	for (uint32_t i = 0; i < r->count; i++) {
		size_t len;
		const char *name = head_of(r, i, &len);

		buffer_reset(&r->scratch);
		add_text(&r->scratch, (const uint8_t *)name, len, true);
		if (buffer_ok(&r->scratch)) {
			add_cell(r, i, r->scratch.bytes, r->scratch.len,
				 width_of(r->scratch.bytes, r->scratch.len), false);
		}
	}
	for (uint32_t i = 0; i < r->count; i++) {
		buffer_reset(&r->scratch);
		for (size_t k = 0; k < r->widths[i]; k++) {
			buffer_add_char(&r->scratch, '-');
		}
		add_cell(r, i, r->scratch.bytes, r->scratch.len, r->widths[i], false);
	}
}

static void lay_out(struct sql_rows *r)
{
	for (uint32_t i = 0; i < r->count; i++) {
		size_t len;
		const char *name = head_of(r, i, &len);

		r->widths[i] = width_of(name, len);
	}
	for (size_t i = 0; i < r->held_rows * r->count; i++) {
		size_t *width = &r->widths[i % r->count];

		*width = r->cells[i].width > *width ? r->cells[i].width : *width;
	}
	print_names(r);
	print_held(r);
	r->is_laid_out = true;
}

static void add_row(struct sql_rows *r, const struct value *values)
{
	for (uint32_t i = 0; i < r->count; i++) {
		hold_cell(r, &r->cells[r->held_rows * r->count + i], &values[i]);
	}
	r->held_rows++;
	if (!buffer_ok(&r->held)) {
		return;
	}
	if (r->is_laid_out) {
		print_held(r);
	} else if (r->held_rows == HELD_ROWS || r->held.len > HELD_BYTES) {
		lay_out(r);
	}
}

/* ---- rows ---- */

enum status sql_rows_open(enum sql_format format, const char *const *names,
			  uint32_t count, struct sql_check check, struct sql_rows **out,
			  struct error *err)
{
	struct sql_rows *r = calloc(1, sizeof *r);

	if (!r) {
		return error_no_memory(err, "rows");
	}
	r->format = format;
	r->check = check;
	r->count = count;
	r->head_ends = calloc((size_t)count + 1, sizeof *r->head_ends);
	r->widths = calloc((size_t)count + 1, sizeof *r->widths);
	r->cells = calloc((size_t)count + 1, HELD_ROWS * sizeof *r->cells);
	if (!r->head_ends || !r->widths || !r->cells || !make_heads(r, names)) {
		sql_rows_close(r);
		return error_no_memory(err, "rows");
	}
	if (format == SQL_CSV) {
		add_csv_names(r);
	}
	*out = r;
	return ST_OK;
}

void sql_rows_close(struct sql_rows *r)
{
	if (!r) {
		return;
	}
	buffer_clear(&r->heads);
	buffer_clear(&r->out);
	buffer_clear(&r->scratch);
	buffer_clear(&r->held);
	free(r->head_ends);
	free(r->widths);
	free(r->cells);
	free(r);
}

enum status sql_rows_put(struct sql_rows *r, const struct value *values,
			 struct error *err)
{
	switch (r->format) {
	case SQL_JSON:
		add_json(r, values);
		break;
	case SQL_CSV:
		add_csv(r, values);
		break;
	case SQL_TABLE:
		add_row(r, values);
		break;
	}
	return r->out.len >= WRITE_BYTES || r->out.failed || r->held.failed
		   ? write_out(r, err)
		   : ST_OK;
}

enum status sql_rows_end(struct sql_rows *r, struct error *err)
{
	if (r->format == SQL_TABLE && !r->is_laid_out) {
		lay_out(r);
	}
	return write_out(r, err);
}
