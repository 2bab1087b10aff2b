/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/buffer.h -- bytes that grow at the end.
 *
 * Appending never fails visibly: when memory runs out the buffer is `failed` until it
 * is reset, and the one check at the end of a message (buffer_ok) sees it. That keeps
 * formatting code free of checks.
 *
 * OWNERSHIP  buffer_init / buffer_clear; the storage of the struct is the caller's.
 * THREADS    One thread at a time.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buffer {
	char *bytes; /* NULL while cap is 0 */
	size_t len;
	size_t cap;
	bool failed;
};

void buffer_init(struct buffer *b);
void buffer_clear(struct buffer *b); /* frees; the buffer is empty and usable again */

/* Make room for `more` bytes past len. False (and failed) when memory ran out. */
bool buffer_grow(struct buffer *b, size_t more);

static inline bool buffer_reserve(struct buffer *b, size_t more)
{
	return b->cap - b->len >= more || buffer_grow(b, more);
}

static inline void buffer_reset(struct buffer *b)
{
	b->len = 0;
	b->failed = false;
}

static inline bool buffer_ok(const struct buffer *b)
{
	return !b->failed;
}

static inline void buffer_add(struct buffer *b, const void *bytes, size_t len)
{
	if (len > 0 && buffer_reserve(b, len)) {
		memcpy(b->bytes + b->len, bytes, len);
		b->len += len;
	}
}

static inline void buffer_add_char(struct buffer *b, char c)
{
	if (buffer_reserve(b, 1)) {
		b->bytes[b->len++] = c;
	}
}

static inline void buffer_add_str(struct buffer *b, const char *text)
{
	buffer_add(b, text, strlen(text));
}

/* What `from` has; a buffer that failed makes this one fail, too. */
static inline void buffer_add_buffer(struct buffer *b, const struct buffer *from)
{
	if (from->failed) {
		b->failed = true;
	}
	buffer_add(b, from->bytes, from->len);
}

/* Decimal, no leading zeros. */
void buffer_add_u64(struct buffer *b, uint64_t v);
void buffer_add_i64(struct buffer *b, int64_t v);

#endif
