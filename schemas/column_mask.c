/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/column_mask.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/number_json.h"
#include "schemas/value_json.h"

#define CHARS_MAX 1000000

#define MASK_PREFIX     "column.mask.with."
#define TRUNCATE_PREFIX "column.truncate.to."
#define HASH_PREFIX     "column.mask.hash."
#define V2_PREFIX       "v2."
#define CHARS_SUFFIX    ".chars"
#define SALT_INFIX      ".with.salt."

struct column_mask {
	enum mask_kind kind;
	size_t chars;
	bool is_v2;
	char *salt;
	EVP_MD *digest;
	EVP_MD_CTX *context;
	struct buffer text; /* what is hashed, but for the salt */
};

/* ---- open and close ---- */

static bool begins_with(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "a mask");
}

/* "N.chars" */
static enum status read_chars(const char *property, const char *rest, size_t *chars,
			      struct error *err)
{
	size_t digits = strspn(rest, "0123456789");

	*chars = digits > 0 && digits < 8 ? (size_t)atol(rest) : CHARS_MAX + 1;
	if (*chars > CHARS_MAX || strcmp(rest + digits, CHARS_SUFFIX) != 0) {
		return error_set(err, ST_CONFIG,
				 "%s: must end in N.chars, N a number up to %d",
				 property, CHARS_MAX);
	}
	return ST_OK;
}

/* "ALGORITHM.with.salt.SALT" */
static enum status read_hash(struct column_mask *mask, const char *rest,
			     struct error *err)
{
	size_t len = strcspn(rest, ".");
	char algorithm[64];

	if (len == 0 || len >= sizeof algorithm ||
	    !begins_with(rest + len, SALT_INFIX) || !rest[len + strlen(SALT_INFIX)]) {
		return error_set(err, ST_CONFIG,
				 "column.mask.hash.*: must be column.mask.hash."
				 "ALGORITHM.with.salt.SALT");
	}
	memcpy(algorithm, rest, len);
	algorithm[len] = '\0';
	mask->digest = EVP_MD_fetch(NULL, algorithm, NULL);
	if (!mask->digest || EVP_MD_get_size(mask->digest) <= 0) {
		return error_set(err, ST_CONFIG,
				 "column.mask.hash.%s: there is no such algorithm; "
				 "SHA-256 is one",
				 algorithm);
	}
	mask->salt = strdup(rest + len + strlen(SALT_INFIX));
	mask->context = EVP_MD_CTX_new();
	return mask->salt && mask->context ? ST_OK : out_of_memory(err);
}

static enum status read_property(struct column_mask *mask, const char *property,
				 struct error *err)
{
	const char *rest;

	if (begins_with(property, MASK_PREFIX)) {
		mask->kind = MASK_CHARS;
		return read_chars(property, property + strlen(MASK_PREFIX),
				  &mask->chars, err);
	}
	if (begins_with(property, TRUNCATE_PREFIX)) {
		mask->kind = MASK_TRUNCATE;
		return read_chars(property, property + strlen(TRUNCATE_PREFIX),
				  &mask->chars, err);
	}
	mask->kind = MASK_HASH;
	rest = property + strlen(HASH_PREFIX);
	mask->is_v2 = begins_with(rest, V2_PREFIX);
	return read_hash(mask, mask->is_v2 ? rest + strlen(V2_PREFIX) : rest, err);
}

enum status column_mask_open(const char *property, struct column_mask **out,
			     struct error *err)
{
	struct column_mask *mask = calloc(1, sizeof *mask);
	enum status status;

	if (!mask) {
		return out_of_memory(err);
	}
	buffer_init(&mask->text);
	status = read_property(mask, property, err);
	if (status != ST_OK) {
		column_mask_close(mask);
		return status;
	}
	*out = mask;
	return ST_OK;
}

void column_mask_close(struct column_mask *mask)
{
	if (mask) {
		EVP_MD_free(mask->digest);
		EVP_MD_CTX_free(mask->context);
		buffer_clear(&mask->text);
		free(mask->salt);
		free(mask);
	}
}

enum mask_kind column_mask_kind(const struct column_mask *mask)
{
	return mask->kind;
}

size_t column_mask_chars(const struct column_mask *mask)
{
	return mask->chars;
}

/* ---- characters ---- */

/* The character at `*s`, which goes behind it; U+FFFD for a broken one. */
static uint32_t next_char(const uint8_t **s, const uint8_t *end,
			  enum text_encoding encoding)
{
	bool valid;
	size_t len;
	uint32_t c;

	if (encoding == TEXT_UTF8) {
		len = utf8_step(*s, end, &valid);
		c = valid ? utf8_code_point(*s, len) : UTF8_REPLACEMENT;
		*s += len;
		return c;
	}
	if (end - *s < 2) {
		*s = end;
		return UTF8_REPLACEMENT;
	}
	c = utf16_unit(*s, encoding == TEXT_UTF16BE);
	*s += 2;
	if (c >= 0xD800 && c < 0xDC00 && end - *s >= 2) {
		uint32_t low = utf16_unit(*s, encoding == TEXT_UTF16BE);

		if (low >= 0xDC00 && low < 0xE000) {
			*s += 2;
			return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
		}
	}
	return c >= 0xD800 && c < 0xE000 ? UTF8_REPLACEMENT : c;
}

struct value column_mask_cut(const struct column_mask *mask, const struct value *value,
			     enum text_encoding encoding)
{
	struct value left = *value;
	const uint8_t *s = value->bytes;

	if (value->class == VALUE_TEXT) {
		const uint8_t *end = s + value->len;

		for (size_t i = 0; i < mask->chars && s < end; i++) {
			(void)next_char(&s, end, encoding);
		}
		left.len = (uint32_t)(s - value->bytes);
	}
	return left;
}

/* ---- what is hashed ---- */

/* U+0080 and above, as UTF-8. */
static void add_sequence(struct buffer *b, uint32_t c)
{
	if (c < 0x800) {
		buffer_add_char(b, (char)(0xC0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buffer_add_char(b, (char)(0xE0 | c >> 12));
		} else {
			buffer_add_char(b, (char)(0xF0 | c >> 18));
			buffer_add_char(b, (char)(0x80 | (c >> 12 & 0x3F)));
		}
		buffer_add_char(b, (char)(0x80 | (c >> 6 & 0x3F)));
	}
	buffer_add_char(b, (char)(0x80 | (c & 0x3F)));
}

/* Java's modified UTF-8 has no zero bytes, and surrogates where others have four
 * bytes. */
static void add_char(struct buffer *b, uint32_t c, bool is_modified)
{
	if (is_modified && c == 0) {
		buffer_add(b, "\xC0\x80", 2);
	} else if (is_modified && c >= 0x10000) {
		add_sequence(b, 0xD800 + ((c - 0x10000) >> 10));
		add_sequence(b, 0xDC00 + (c & 0x3FF));
	} else if (c < 0x80) {
		buffer_add_char(b, (char)c);
	} else {
		add_sequence(b, c);
	}
}

static void add_value(struct buffer *b, const struct value *value,
		      enum text_encoding encoding, bool is_modified)
{
	char digits[JSON_NUMBER_MAX];
	const uint8_t *s = value->bytes;

	switch (value->class) {
	case VALUE_INTEGER:
		buffer_add(b, digits,
			   (size_t)(json_put_i64(digits, value->integer) - digits));
		break;
	case VALUE_REAL:
		buffer_add(b, digits,
			   (size_t)(json_put_double(digits, value->real) - digits));
		break;
	case VALUE_TEXT:
		for (const uint8_t *end = s + value->len; s < end;) {
			add_char(b, next_char(&s, end, encoding), is_modified);
		}
		break;
	case VALUE_BLOB:
		buffer_add(b, value->bytes, value->len);
		break;
	case VALUE_NULL:
		break;
	}
}

#define HEAD_MAX 13 /* stream header (4), tag (1), length (2 or 8) */

/* The head of a serialised string of `len` bytes; returns its length. */
static size_t make_head(uint8_t head[HEAD_MAX], size_t len)
{
	static const uint8_t start[] = {0xAC, 0xED, 0x00, 0x05};
	const bool is_long = len > 0xFFFF;
	const size_t digits = is_long ? 8 : 2;

	memcpy(head, start, sizeof start);
	head[4] = is_long ? 0x7C : 0x74; /* TC_LONGSTRING, TC_STRING */
	for (size_t i = 0; i < digits; i++) {
		head[5 + i] = (uint8_t)((uint64_t)len >> 8 * (digits - 1 - i));
	}
	return 5 + digits;
}

/* ---- what is seen ---- */

/* The bytes of the hash; 0 when memory ran out. */
static unsigned make_hash(struct column_mask *mask, const struct value *value,
			  enum text_encoding encoding, uint8_t *hash)
{
	uint8_t head[HEAD_MAX];
	size_t head_len = 0;
	unsigned len = 0;

	buffer_reset(&mask->text);
	add_value(&mask->text, value, encoding, !mask->is_v2);
	if (!mask->is_v2) {
		head_len = make_head(head, mask->text.len);
	}
	if (!buffer_ok(&mask->text) ||
	    !EVP_DigestInit_ex(mask->context, mask->digest, NULL) ||
	    !EVP_DigestUpdate(mask->context, mask->salt, strlen(mask->salt)) ||
	    !EVP_DigestUpdate(mask->context, head, head_len) ||
	    !EVP_DigestUpdate(mask->context, mask->text.bytes, mask->text.len) ||
	    !EVP_DigestFinal_ex(mask->context, hash, &len)) {
		return 0;
	}
	return len;
}

static inline char *room_for(struct buffer *b, char *p, size_t more)
{
	b->len = (size_t)(p - b->bytes);
	return buffer_reserve(b, more) ? b->bytes + b->len : NULL;
}

char *column_mask_put(struct column_mask *mask, struct buffer *b, char *p,
		      const struct value *value, enum text_encoding encoding,
		      size_t limit, size_t slack)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t hash[EVP_MAX_MD_SIZE];
	size_t digits;

	if (mask->kind == MASK_CHARS) {
		p = room_for(b, p, mask->chars + 2 + slack);
		if (p) {
			*p++ = '"';
			memset(p, '*', mask->chars);
			p += mask->chars;
			*p++ = '"';
		}
		return p;
	}
	if (value->class == VALUE_NULL) {
		memcpy(p, "null", 4);
		return p + 4;
	}
	digits = 2 * (size_t)make_hash(mask, value, encoding, hash);
	p = digits > 0 ? room_for(b, p, digits + 2 + slack) : NULL;
	if (!p) {
		return NULL;
	}
	digits = limit > 0 && limit < digits ? limit : digits;
	*p++ = '"';
	for (size_t i = 0; i < digits; i++) {
		*p++ = hex[i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4];
	}
	*p++ = '"';
	return p;
}
