/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/typed_json.h"

#include <math.h>
#include <string.h>

#define TWO_63 9223372036854775808.0

/* ---- what fits ---- */

static bool is_whole(double v)
{
	return v >= -TWO_63 && v < TWO_63 && v == trunc(v);
}

/* ASCII, any case; `word` is in lower case. */
static bool text_is(const struct value *value, enum text_encoding encoding,
		    const char *word)
{
	size_t len = strlen(word);
	size_t unit = encoding == TEXT_UTF8 ? 1 : 2;

	if (value->len != unit * len) {
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		const uint8_t *s = value->bytes + unit * i;
		uint8_t c = encoding == TEXT_UTF16BE ? s[1] : s[0];
		uint8_t rest = encoding == TEXT_UTF16BE ? s[0] : s[unit - 1];

		if ((c | 0x20) != word[i] || (unit == 2 && rest != 0)) {
			return false;
		}
	}
	return true;
}

/* 1, 0, or -1 for what is neither. Rails wrote 't' and 'f' for years. */
static int truth(const struct value *value, enum text_encoding encoding)
{
	switch (value->class) {
	case VALUE_INTEGER:
		return value->integer == 0 || value->integer == 1 ? (int)value->integer
								  : -1;
	case VALUE_REAL:
		return value->real == 0 ? 0 : value->real == 1 ? 1 : -1;
	case VALUE_TEXT:
		if (text_is(value, encoding, "t") || text_is(value, encoding, "true")) {
			return 1;
		}
		return text_is(value, encoding, "f") ||
			       text_is(value, encoding, "false")
			   ? 0
			   : -1;
	case VALUE_NULL:
	case VALUE_BLOB:
		break;
	}
	return -1;
}

bool typed_fits(const struct value *value, enum connect_type type,
		enum text_encoding encoding)
{
	if (value->class == VALUE_NULL) {
		return true;
	}
	switch (type) {
	case CONNECT_INT64:
		return value->class == VALUE_INTEGER ||
		       (value->class == VALUE_REAL && is_whole(value->real));
	case CONNECT_DOUBLE:
		return value->class == VALUE_INTEGER ||
		       (value->class == VALUE_REAL && isfinite(value->real));
	case CONNECT_BOOLEAN:
		return truth(value, encoding) >= 0;
	case CONNECT_STRING:
	case CONNECT_BYTES:
		break;
	}
	return true;
}

/* ---- JSON ---- */

static inline char *put_bytes(char *p, const char *bytes, size_t len)
{
	memcpy(p, bytes, len);
	return p + len;
}

/* A number's digits; the infinities by their JSON names. At most JSON_NUMBER_MAX. */
static size_t number_text(const struct value *value, char *text)
{
	char *end = value->class == VALUE_INTEGER ? json_put_i64(text, value->integer)
						  : json_put_double(text, value->real);
	size_t len = (size_t)(end - text);

	if (text[0] == '"') { /* "Infinity" has its quotes already */
		len -= 2;
		memmove(text, text + 1, len);
	}
	return len;
}

static bool is_number(const struct value *value)
{
	return value->class == VALUE_INTEGER || value->class == VALUE_REAL;
}

static char *put_string(struct buffer *b, char *p, const struct value *value,
			enum text_encoding encoding, enum binary_mode mode,
			size_t slack)
{
	char text[JSON_NUMBER_MAX];
	size_t len;

	if (!is_number(value)) {
		return json_put_value(b, p, value, encoding, mode, slack);
	}
	len = number_text(value, text);
	*p++ = '"';
	p = put_bytes(p, text, len);
	*p++ = '"';
	return p;
}

static char *put_binary(struct buffer *b, char *p, const struct value *value,
			enum text_encoding encoding, enum binary_mode mode,
			size_t slack)
{
	char text[JSON_NUMBER_MAX];
	struct value blob = *value;

	if (is_number(value)) {
		blob.len = (uint32_t)number_text(value, text);
		blob.bytes = (const uint8_t *)text;
	}
	blob.class = VALUE_BLOB;
	return json_put_value(b, p, &blob, encoding, mode, slack);
}

char *typed_put_value(struct buffer *b, char *p, const struct value *value,
		      enum connect_type type, enum text_encoding encoding,
		      enum binary_mode mode, size_t slack)
{
	if (value->class == VALUE_NULL || !typed_fits(value, type, encoding)) {
		return put_bytes(p, "null", 4);
	}
	switch (type) {
	case CONNECT_INT64:
		return json_put_i64(p, value->class == VALUE_REAL ? (int64_t)value->real
								  : value->integer);
	case CONNECT_DOUBLE:
		return json_put_double(p, value->class == VALUE_INTEGER
					      ? (double)value->integer
					      : value->real);
	case CONNECT_BOOLEAN:
		return truth(value, encoding) ? put_bytes(p, "true", 4)
					      : put_bytes(p, "false", 5);
	case CONNECT_STRING:
		return put_string(b, p, value, encoding, mode, slack);
	case CONNECT_BYTES:
		break;
	}
	return put_binary(b, p, value, encoding, mode, slack);
}

const char *typed_class_name(const struct value *value)
{
	switch (value->class) {
	case VALUE_INTEGER:
		return "INTEGER";
	case VALUE_REAL:
		return "REAL";
	case VALUE_TEXT:
		return "TEXT";
	case VALUE_BLOB:
		return "BLOB";
	case VALUE_NULL:
		break;
	}
	return "NULL";
}
