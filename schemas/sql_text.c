/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/sql_text.h"

#include <inttypes.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/number_json.h"
#include "schemas/text_convert.h"
#include "src/base/utf8.h"

#define EXACT_INTEGERS 9007199254740992.0 /* 2^53: integers up to it are exact */
#define POWER_BITS     52                 /* of a factor at a time */

void sql_add_name(struct buffer *b, const char *name)
{
	buffer_add_char(b, '"');
	for (const char *p = name; *p; p++) {
		if (*p == '"') {
			buffer_add_char(b, '"');
		}
		buffer_add_char(b, *p);
	}
	buffer_add_char(b, '"');
}

/* ---- REAL ---- */

/* A decimal number: digits × 10^exponent. */
struct decimal {
	uint64_t digits;
	int exponent;
};

static bool read_decimal(const char *text, struct decimal *out)
{
	const char *p = *text == '-' ? text + 1 : text;
	bool is_behind = false;
	int count = 0;

	*out = (struct decimal){0};
	for (; (*p >= '0' && *p <= '9') || *p == '.'; p++) {
		if (*p == '.') {
			is_behind = true;
			continue;
		}
		if (count + (out->digits > 0) > 18) {
			return false;
		}
		count += out->digits > 0;
		out->digits = out->digits * 10 + (uint64_t)(*p - '0');
		out->exponent -= is_behind;
	}
	if (*p == 'e') {
		out->exponent += (int)strtol(p + 1, NULL, 10);
	}
	for (; out->digits > 0 && out->digits % 10 == 0; out->exponent++) {
		out->digits /= 10;
	}
	return true;
}

/* SQLite up to 3.42 multiplies or divides by a power of ten, in long double, which is
 * double with some compilers. */
static double by_long_double(const struct decimal *d)
{
	long double scale = 1.0L, ten = 10.0L;

	for (int e = abs(d->exponent); e > 0; e >>= 1) {
		scale *= e & 1 ? ten : 1.0L;
		ten *= ten;
	}
	return d->exponent < 0 ? (double)((long double)d->digits / scale)
			       : (double)((long double)d->digits * scale);
}

static double by_double(const struct decimal *d)
{
	double scale = 1.0, ten = 10.0;

	for (int e = abs(d->exponent); e > 0; e >>= 1) {
		scale *= e & 1 ? ten : 1.0;
		ten *= ten;
	}
	return d->exponent < 0 ? (double)d->digits / scale : (double)d->digits * scale;
}

static bool same_bits(double a, double b)
{
	return memcmp(&a, &b, sizeof a) == 0;
}

/* Powers of ten beyond 300 are made in two steps there: they are left to the other way.
 */
static bool is_read_back(const char *text, double v)
{
	struct decimal d;

	return read_decimal(text, &d) && abs(d.exponent) <= 300 &&
	       same_bits(by_long_double(&d), fabs(v)) &&
	       same_bits(by_double(&d), fabs(v)) && same_bits(strtod(text, NULL), v);
}

/* An integer, and factors or divisors of two: no step rounds. */
static void add_exact(struct buffer *b, double v)
{
	int exponent;
	double fraction = frexp(v, &exponent);
	int64_t digits = (int64_t)ldexp(fraction, 53);
	char text[32];

	exponent -= 53;
	for (; exponent < 0 && digits % 2 == 0; exponent++) {
		digits /= 2;
	}
	buffer_add_i64(b, digits);
	while (exponent != 0) {
		int bits = abs(exponent) < POWER_BITS ? abs(exponent) : POWER_BITS;

		buffer_add_char(b, exponent < 0 ? '/' : '*');
		(void)snprintf(text, sizeof text, "%" PRIu64 ".0", UINT64_C(1) << bits);
		buffer_add_str(b, text);
		exponent += exponent < 0 ? bits : -bits;
	}
}

static void add_real(struct buffer *b, double v)
{
	char text[JSON_NUMBER_MAX + 1];

	if (isnan(v)) { /* SQLite reads it as NULL */
		buffer_add_str(b, "NULL");
		return;
	}
	if (isinf(v)) {
		buffer_add_str(b, v > 0 ? "9e999" : "-9e999");
		return;
	}
	*json_put_double(text, v) = '\0';
	if ((v == floor(v) && fabs(v) < EXACT_INTEGERS) || is_read_back(text, v)) {
		buffer_add_str(b, text);
	} else {
		add_exact(b, v);
	}
}

/* ---- TEXT and BLOB ---- */

static void add_hex(struct buffer *b, const uint8_t *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *p;

	buffer_add_str(b, "x'");
	if (buffer_reserve(b, 2 * len)) {
		p = b->bytes + b->len;
		for (size_t i = 0; i < len; i++) {
			*p++ = digits[bytes[i] >> 4];
			*p++ = digits[bytes[i] & 15];
		}
		b->len += 2 * len;
	}
	buffer_add_char(b, '\'');
}

/* UTF-8 that nothing on the way to a database changes; `is_converted`: neither does a
 * conversion that came before or comes behind. */
static bool is_plain(const uint8_t *s, size_t len, bool is_converted)
{
	const uint8_t *end = s + len;

	while (s < end) {
		bool valid;
		size_t step = utf8_step(s, end, &valid);
		uint32_t c = valid ? utf8_code_point(s, step) : 0;

		if ((c < 0x20 && c != '\t' && c != '\n') || (c >= 0x7f && c < 0xa0)) {
			return false;
		}
		if (is_converted && c >= 0xfffd && c <= 0xffff) {
			return false;
		}
		s += step;
	}
	return true;
}

static void add_quoted(struct buffer *b, const uint8_t *s, size_t len)
{
	const uint8_t *end = s + len;

	buffer_add_char(b, '\'');
	while (s < end) {
		const uint8_t *mark = memchr(s, '\'', (size_t)(end - s));
		size_t part = mark ? (size_t)(mark - s) + 1 : (size_t)(end - s);

		buffer_add(b, s, part);
		if (mark) {
			buffer_add_char(b, '\'');
		}
		s += part;
	}
	buffer_add_char(b, '\'');
}

/* Into another encoding; false: no memory, and the buffer says so. */
static bool convert(struct buffer *b, struct value *text, enum text_encoding from,
		    enum text_encoding into, struct buffer *scratch)
{
	if (from != into && !text_convert(text, 1, from, into, scratch)) {
		b->failed = true;
		return false;
	}
	return true;
}

static void add_text(struct buffer *b, const struct value *value,
		     enum text_encoding from, enum text_encoding into,
		     struct buffer *scratch)
{
	struct value text = *value;

	if (!convert(b, &text, from, TEXT_UTF8, scratch)) {
		return;
	}
	if (is_plain(text.bytes, text.len, from != TEXT_UTF8 || into != TEXT_UTF8)) {
		add_quoted(b, text.bytes, text.len);
		return;
	}
	text = *value;
	if (convert(b, &text, from, into, scratch)) {
		buffer_add_str(b, "CAST(");
		add_hex(b, text.bytes, text.len);
		buffer_add_str(b, " AS TEXT)");
	}
}

void sql_add_value(struct buffer *b, const struct value *value, enum text_encoding from,
		   enum text_encoding into, struct buffer *scratch)
{
	switch (value->class) {
	case VALUE_INTEGER:
		buffer_add_i64(b, value->integer);
		break;
	case VALUE_REAL:
		add_real(b, value->real);
		break;
	case VALUE_TEXT:
		add_text(b, value, from, into, scratch);
		break;
	case VALUE_BLOB:
		add_hex(b, value->bytes, value->len);
		break;
	case VALUE_NULL:
	default:
		buffer_add_str(b, "NULL");
		break;
	}
}

/* ---- statements of a schema ---- */

bool sql_is_one_statement(const char *sql)
{
	size_t len = strlen(sql);
	char *copy = malloc(len + 3);
	bool is_one;

	if (!copy) {
		return false;
	}
	memcpy(copy, sql, len + 1);
	is_one = true;
	for (size_t i = 0; is_one && i < len; i++) {
		if (copy[i] == ';') {
			char next = copy[i + 1];

			copy[i + 1] = '\0';
			is_one = !sqlite3_complete(copy);
			copy[i + 1] = next;
		}
	}
	memcpy(copy + len, "\n;", 3);
	is_one = is_one && sqlite3_complete(copy);
	free(copy);
	return is_one;
}
