/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/value_json.h"

#include <string.h>

/* Input bytes of one reservation: a large TEXT does not ask for six times its size. */
#define CHUNK 4096
/* A chunk may end in a sequence that runs past it, and words are stored whole. */
#define CHUNK_MARGIN ((size_t)2 * JSON_OVERRUN)
/* No input byte makes more than this: U+0001 is \u0001. */
#define ESCAPE_MAX 6

/* ---- text ---- */

static inline char *put_bytes(char *p, const char *bytes, size_t len)
{
	memcpy(p, bytes, len);
	return p + len;
}

/* Eight bytes in memory order from the lowest bits up, on every machine. */
static inline uint64_t word_order(uint64_t w)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	return w;
}

/* The high bit of each byte that cannot be copied as it is: below 0x20, '"', '\\',
 * above 0x7F. Exact up to and including the lowest bit set. */
static inline uint64_t word_special(uint64_t w)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const uint64_t highs = UINT64_C(0x8080808080808080);
	uint64_t quote = w ^ ones * '"';
	uint64_t backslash = w ^ ones * '\\';

	return (((w - ones * 0x20) | (quote - ones) | (backslash - ones)) | w) & highs;
}

/* The 1 to 7 bytes at `s`, spaces above them. */
static inline uint64_t load_rest(const uint8_t *s, size_t len)
{
	uint64_t w = UINT64_C(0x2020202020202020) << 8 * len;

	while (len > 0) {
		len--;
		w |= (uint64_t)s[len] << 8 * len;
	}
	return w;
}

/* Copy up to the first byte that cannot be copied as it is, or to `end`. */
static inline char *put_clean_run(char *p, const uint8_t **from, const uint8_t *end)
{
	const uint8_t *s = *from;

	while (end - s >= 8) {
		uint64_t w;
		uint64_t special;

		memcpy(&w, s, 8);
		memcpy(p, &w, 8);
		special = word_special(word_order(w));
		if (special) {
			unsigned len = (unsigned)__builtin_ctzll(special) >> 3;

			*from = s + len;
			return p + len;
		}
		s += 8;
		p += 8;
	}
	if (end > s) {
		size_t len = (size_t)(end - s);
		uint64_t w = load_rest(s, len);
		uint64_t special = word_special(w);
		uint64_t stored = word_order(w);

		memcpy(p, &stored, 8);
		if (special) {
			len = (unsigned)__builtin_ctzll(special) >> 3;
		}
		s += len;
		p += len;
	}
	*from = s;
	return p;
}

/* A character below U+0080 that may need an escape. */
static char *put_ascii(char *p, unsigned c)
{
	static const char hex[] = "0123456789abcdef";
	static const char letters[] = "btn\0fr"; /* U+0008 … U+000D; U+000B has none */

	if (c >= 0x20 && c != '"' && c != '\\') {
		*p++ = (char)c;
		return p;
	}
	*p++ = '\\';
	if (c >= 0x20) {
		*p++ = (char)c;
	} else if (c >= 8 && c <= 13 && letters[c - 8]) {
		*p++ = letters[c - 8];
	} else {
		p = put_bytes(p, "u00", 3);
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	return p;
}

static char *put_code_point(char *p, uint32_t c)
{
	if (c < 0x80) {
		return put_ascii(p, c);
	}
	if (c < 0x800) {
		*p++ = (char)(0xC0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*p++ = (char)(0xE0 | c >> 12);
		} else {
			*p++ = (char)(0xF0 | c >> 18);
			*p++ = (char)(0x80 | (c >> 12 & 0x3F));
		}
		*p++ = (char)(0x80 | (c >> 6 & 0x3F));
	}
	*p++ = (char)(0x80 | (c & 0x3F));
	return p;
}

/* One that is not ASCII. */
static char *put_sequence(char *p, const uint8_t **from, const uint8_t *end)
{
	bool valid;
	size_t len = utf8_step(*from, end, &valid);

	p = valid ? put_bytes(p, (const char *)*from, len)
		  : put_code_point(p, UTF8_REPLACEMENT);
	*from += len;
	return p;
}

/* From `*from` to `stop`; a sequence that begins before `stop` may go on to `end`. */
static char *put_utf8(char *p, const uint8_t **from, const uint8_t *stop,
		      const uint8_t *end)
{
	for (;;) {
		p = put_clean_run(p, from, stop);
		if (*from >= stop) {
			return p;
		}
		if (**from < 0x80) {
			p = put_ascii(p, **from);
			(*from)++;
		} else {
			do {
				p = put_sequence(p, from, end);
			} while (*from < stop && **from >= 0x80);
			if (*from >= stop) {
				return p;
			}
		}
	}
}

/* As put_utf8; one byte left over at the end is broken, too. */
static char *put_utf16(char *p, const uint8_t **from, const uint8_t *stop,
		       const uint8_t *end, bool big_endian)
{
	const uint8_t *s = *from;

	while (s < stop) {
		uint32_t c = UTF8_REPLACEMENT;

		if (end - s >= 2) {
			c = utf16_unit(s, big_endian);
		}
		s += end - s >= 2 ? 2 : 1;
		if (c >= 0xD800 && c < 0xE000) {
			uint32_t low = end - s >= 2 ? utf16_unit(s, big_endian) : 0;

			if (c < 0xDC00 && low >= 0xDC00 && low < 0xE000) {
				c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
				s += 2;
			} else {
				c = UTF8_REPLACEMENT;
			}
		}
		p = put_code_point(p, c);
	}
	*from = s;
	return p;
}

/* Reserve `more` behind `p`; the position in the buffer, which may have moved. */
static inline char *room_for(struct buffer *b, char *p, size_t more)
{
	b->len = (size_t)(p - b->bytes);
	return buffer_reserve(b, more) ? b->bytes + b->len : NULL;
}

static char *put_text(struct buffer *b, char *p, const uint8_t *text, size_t len,
		      enum text_encoding encoding, size_t slack)
{
	const uint8_t *s = text;
	const uint8_t *end = text + len;

	*p++ = '"';
	do {
		const uint8_t *stop = end - s > CHUNK ? s + CHUNK : end;

		p = room_for(b, p,
			     ESCAPE_MAX * (size_t)(stop - s) + CHUNK_MARGIN + slack);
		if (!p) {
			return NULL;
		}
		p = encoding == TEXT_UTF8
			? put_utf8(p, &s, stop, end)
			: put_utf16(p, &s, stop, end, encoding == TEXT_UTF16BE);
	} while (s < end);
	*p++ = '"';
	return p;
}

/* ---- blobs ---- */

static char *put_base64(char *p, const uint8_t *s, size_t len, const char *alphabet)
{
	while (len >= 3) {
		uint32_t group = (uint32_t)s[0] << 16 | (uint32_t)s[1] << 8 | s[2];

		p[0] = alphabet[group >> 18];
		p[1] = alphabet[group >> 12 & 63];
		p[2] = alphabet[group >> 6 & 63];
		p[3] = alphabet[group & 63];
		p += 4;
		s += 3;
		len -= 3;
	}
	if (len > 0) {
		uint32_t group = (uint32_t)s[0] << 16;

		if (len == 2) {
			group |= (uint32_t)s[1] << 8;
		}
		p[0] = alphabet[group >> 18];
		p[1] = alphabet[group >> 12 & 63];
		p[2] = p[3] = '=';
		if (len == 2) {
			p[2] = alphabet[group >> 6 & 63];
		}
		p += 4;
	}
	return p;
}

static char *put_hex(char *p, const uint8_t *s, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < len; i++) {
		*p++ = hex[s[i] >> 4];
		*p++ = hex[s[i] & 15];
	}
	return p;
}

static char *put_blob(struct buffer *b, char *p, const uint8_t *bytes, size_t len,
		      enum binary_mode mode, size_t slack)
{
	size_t digits = mode == BINARY_HEX ? 2 * len : (len + 2) / 3 * 4;

	p = room_for(b, p, digits + 2 + slack);
	if (!p) {
		return NULL;
	}
	*p++ = '"';
	switch (mode) {
	case BINARY_BYTES:
	case BINARY_BASE64:
		p = put_base64(p, bytes, len,
			       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			       "0123456789+/");
		break;
	case BINARY_BASE64_URL_SAFE:
		p = put_base64(p, bytes, len,
			       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			       "0123456789-_");
		break;
	case BINARY_HEX:
		p = put_hex(p, bytes, len);
		break;
	}
	*p++ = '"';
	return p;
}

/* ---- values ---- */

char *json_put_value(struct buffer *b, char *p, const struct value *value,
		     enum text_encoding encoding, enum binary_mode mode, size_t slack)
{
	switch (value->class) {
	case VALUE_NULL:
		break;
	case VALUE_INTEGER:
		return json_put_i64(p, value->integer);
	case VALUE_REAL:
		return json_put_double(p, value->real);
	case VALUE_TEXT:
		return put_text(b, p, value->bytes, value->len, encoding, slack);
	case VALUE_BLOB:
		return put_blob(b, p, value->bytes, value->len, mode, slack);
	}
	return put_bytes(p, "null", 4);
}

void json_add_value(struct buffer *b, const struct value *value,
		    enum text_encoding encoding, enum binary_mode mode)
{
	char *p;

	if (!buffer_reserve(b, JSON_NUMBER_MAX)) {
		return;
	}
	p = json_put_value(b, b->bytes + b->len, value, encoding, mode, 0);
	if (p) {
		b->len = (size_t)(p - b->bytes);
	}
}

void json_add_string(struct buffer *b, const char *text, size_t len)
{
	char *p;

	if (!buffer_reserve(b, JSON_NUMBER_MAX)) {
		return;
	}
	p = put_text(b, b->bytes + b->len, (const uint8_t *)text, len, TEXT_UTF8, 0);
	if (p) {
		b->len = (size_t)(p - b->bytes);
	}
}
