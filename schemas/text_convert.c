/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/text_convert.h"

#include "schemas/value_json.h"

#define GROWTH 3 /* times as long, at most: a broken byte becomes U+FFFD */

/* The next code point; `*at` < `end` moves behind it. */
static uint32_t next_utf8(const uint8_t **at, const uint8_t *end)
{
	const uint8_t *s = *at;
	bool valid;
	size_t len = utf8_step(s, end, &valid);

	*at = s + len;
	if (!valid) {
		return UTF8_REPLACEMENT;
	}
	switch (len) {
	case 1:
		return s[0];
	case 2:
		return (s[0] & 0x1Fu) << 6 | (s[1] & 0x3Fu);
	case 3:
		return (s[0] & 0x0Fu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
	default:
		return (s[0] & 0x07u) << 18 | (s[1] & 0x3Fu) << 12 |
		       (s[2] & 0x3Fu) << 6 | (s[3] & 0x3Fu);
	}
}

static uint32_t unit_of(const uint8_t *s, bool big_endian)
{
	return big_endian ? (uint32_t)s[0] << 8 | s[1] : (uint32_t)s[1] << 8 | s[0];
}

static uint32_t next_utf16(const uint8_t **at, const uint8_t *end, bool big_endian)
{
	const uint8_t *s = *at;
	uint32_t c;

	if (end - s < 2) {
		*at = end;
		return UTF8_REPLACEMENT;
	}
	c = unit_of(s, big_endian);
	*at = s + 2;
	if (c < 0xD800 || c >= 0xE000) {
		return c;
	}
	if (c < 0xDC00 && end - s >= 4) {
		uint32_t low = unit_of(s + 2, big_endian);

		if (low >= 0xDC00 && low < 0xE000) {
			*at = s + 4;
			return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
		}
	}
	return UTF8_REPLACEMENT;
}

static uint8_t *put_utf8(uint8_t *p, uint32_t c)
{
	if (c < 0x80) {
		*p++ = (uint8_t)c;
		return p;
	}
	if (c < 0x800) {
		*p++ = (uint8_t)(0xC0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*p++ = (uint8_t)(0xE0 | c >> 12);
		} else {
			*p++ = (uint8_t)(0xF0 | c >> 18);
			*p++ = (uint8_t)(0x80 | (c >> 12 & 0x3F));
		}
		*p++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
	}
	*p++ = (uint8_t)(0x80 | (c & 0x3F));
	return p;
}

static uint8_t *put_unit(uint8_t *p, uint32_t unit, bool big_endian)
{
	p[big_endian ? 0 : 1] = (uint8_t)(unit >> 8);
	p[big_endian ? 1 : 0] = (uint8_t)unit;
	return p + 2;
}

static uint8_t *put_utf16(uint8_t *p, uint32_t c, bool big_endian)
{
	if (c < 0x10000) {
		return put_unit(p, c, big_endian);
	}
	c -= 0x10000;
	p = put_unit(p, 0xD800 | c >> 10, big_endian);
	return put_unit(p, 0xDC00 | (c & 0x3FF), big_endian);
}

static void convert(struct value *value, enum text_encoding from,
		    enum text_encoding into, struct buffer *to)
{
	const uint8_t *s = value->bytes;
	const uint8_t *end = s + value->len;
	uint8_t *start = (uint8_t *)to->bytes + to->len;
	uint8_t *p = start;

	while (s < end) {
		uint32_t c = from == TEXT_UTF8
				 ? next_utf8(&s, end)
				 : next_utf16(&s, end, from == TEXT_UTF16BE);

		p = into == TEXT_UTF8 ? put_utf8(p, c)
				      : put_utf16(p, c, into == TEXT_UTF16BE);
	}
	value->bytes = start;
	value->len = (uint32_t)(p - start);
	to->len += value->len;
}

bool text_convert(struct value *values, uint32_t count, enum text_encoding from,
		  enum text_encoding into, struct buffer *to)
{
	size_t most = 1;

	for (uint32_t i = 0; i < count; i++) {
		if (values[i].class == VALUE_TEXT) {
			most += GROWTH * (size_t)values[i].len;
		}
	}
	buffer_reset(to);
	if (!buffer_reserve(to, most)) {
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (values[i].class == VALUE_TEXT) {
			convert(&values[i], from, into, to);
		}
	}
	return true;
}
