/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/value_json.h -- SQLite values as JSON.
 *
 * INTEGER, REAL  schemas/number_json.h.
 * TEXT     a string; bytes that are not valid in the database's encoding become
 *          U+FFFD, one for each maximal subpart of a broken sequence (Unicode
 *          section 3.9), one for each lone surrogate or odd last byte of UTF-16.
 *          Escaped are '"', '\' and U+0000 … U+001F only.
 * BLOB     a string of base64 (with padding) or hexadecimal digits.
 *
 * The json_put_* functions write at a position into space that the caller has
 * reserved, and return the position behind what they wrote; they may scribble
 * over JSON_OVERRUN bytes behind that. The json_add_* functions append to a
 * buffer and reserve what they need.
 *
 * THREADS  No shared state.
 * ERRORS   Out of memory shows in buffer_ok; nothing else can fail.
 */
#ifndef SCHEMAS_VALUE_JSON_H
#define SCHEMAS_VALUE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "btree/db_header.h"
#include "btree/value.h"
#include "schemas/encoder_settings.h"
#include "schemas/number_json.h"
#include "src/base/buffer.h"
#include "src/base/utf8.h"

#define JSON_OVERRUN 16 /* bytes */

/*
 * Put `value` at `p`, which lies in `b` with at least JSON_NUMBER_MAX bytes
 * reserved behind it. Reserves more for TEXT and BLOB, so that the buffer may
 * move: b->len is then taken from `p`, and the result is the new position with
 * at least `slack` bytes reserved behind it. NULL when memory ran out.
 */
char *json_put_value(struct buffer *b, char *p, const struct value *value,
		     enum text_encoding encoding, enum binary_mode mode, size_t slack);

/* Append `value`. */
void json_add_value(struct buffer *b, const struct value *value,
		    enum text_encoding encoding, enum binary_mode mode);

/* Append the UTF-8 text as a string with its quotes. */
void json_add_string(struct buffer *b, const char *text, size_t len);

/* The UTF-16 code unit at `s`. */
static inline uint32_t utf16_unit(const uint8_t *s, bool big_endian)
{
	return big_endian ? (uint32_t)s[0] << 8 | s[1] : (uint32_t)s[1] << 8 | s[0];
}

#endif
