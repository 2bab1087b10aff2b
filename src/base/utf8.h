/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/utf8.h -- characters of UTF-8 text that may be broken.
 *
 * THREADS  No shared state.
 * ERRORS   None: what is broken is told of, or replaced.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT 0xFFFDu /* for what is broken */

/*
 * Look at the sequence that begins at `s` (s < end). Returns its bytes, 1 to 4; when it
 * is broken `*valid` is false and the result is the length of the maximal subpart
 * (Unicode section 3.9), 1 to 3. Never looks at `end` or past it.
 */
static inline size_t utf8_step(const uint8_t *s, const uint8_t *end, bool *valid)
{
	size_t have = (size_t)(end - s);
	size_t want;
	size_t i;
	uint8_t low = 0x80; /* bounds of the second byte: Unicode table 3-7 */
	uint8_t high = 0xBF;

	*valid = false;
	if (s[0] < 0x80) {
		*valid = true;
		return 1;
	}
	if (s[0] < 0xC2 || s[0] > 0xF4) {
		return 1;
	}
	want = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
	if (s[0] == 0xE0) {
		low = 0xA0; /* overlong */
	} else if (s[0] == 0xED) {
		high = 0x9F; /* surrogates */
	} else if (s[0] == 0xF0) {
		low = 0x90; /* overlong */
	} else if (s[0] == 0xF4) {
		high = 0x8F; /* past U+10FFFF */
	}
	for (i = 1; i < want; i++) {
		if (i >= have || s[i] < low || s[i] > high) {
			return i;
		}
		low = 0x80;
		high = 0xBF;
	}
	*valid = true;
	return want;
}

/* The code point of a valid sequence of `len` bytes, 1 to 4. */
static inline uint32_t utf8_code_point(const uint8_t *s, size_t len)
{
	static const uint8_t first_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
	uint32_t c = s[0] & first_bits[len];

	for (size_t i = 1; i < len; i++) {
		c = c << 6 | (s[i] & 0x3Fu);
	}
	return c;
}

/* The most bytes of `text`, at most `max` and `len`, that do not end in the middle of a
 * sequence. */
size_t utf8_cut(const char *text, size_t len, size_t max);

/*
 * Replace by '?', in place, what may not reach a terminal or a line of a log: controls
 * (C0, DEL and C1, so line ends and escapes too), line and paragraph separators, marks
 * that turn the direction of writing, other characters that only steer, and each broken
 * sequence. The text, which ends in NUL, becomes no longer.
 */
void utf8_make_safe(char *text);

#define UTF8_NAME_SIZE 128 /* bytes of a shown name with its end, at most */

/* A name for a message: `name` itself if it is short, else its beginning and "…", as it
 * stands in `out`. */
const char *utf8_short(const char *name, char out[UTF8_NAME_SIZE]);

/* The same; the storage is the enclosing block's. */
#define SHORT_NAME(name) utf8_short((name), (char[UTF8_NAME_SIZE]){0})

#endif
