/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/buffer.h"

#include <stdlib.h>

void buffer_init(struct buffer *b)
{
	*b = (struct buffer){0};
}

void buffer_clear(struct buffer *b)
{
	free(b->bytes);
	buffer_init(b);
}

bool buffer_grow(struct buffer *b, size_t more)
{
	size_t want;
	size_t cap = b->cap ? b->cap : 256;
	char *bytes;

	if (b->failed || __builtin_add_overflow(b->len, more, &want)) {
		b->failed = true;
		return false;
	}
	while (cap < want) {
		if (__builtin_mul_overflow(cap, (size_t)2, &cap)) {
			cap = want;
		}
	}
	if (cap == b->cap) {
		return true;
	}
	bytes = realloc(b->bytes, cap);
	if (!bytes) {
		b->failed = true;
		return false;
	}
	b->bytes = bytes;
	b->cap = cap;
	return true;
}

static const char digit_pairs[] = "00010203040506070809"
				  "10111213141516171819"
				  "20212223242526272829"
				  "30313233343536373839"
				  "40414243444546474849"
				  "50515253545556575859"
				  "60616263646566676869"
				  "70717273747576777879"
				  "80818283848586878889"
				  "90919293949596979899";

void buffer_add_u64(struct buffer *b, uint64_t v)
{
	char text[20];
	char *p = text + sizeof text;

	while (v >= 100) {
		uint64_t q = v / 100;

		p -= 2;
		memcpy(p, digit_pairs + 2 * (v - q * 100), 2);
		v = q;
	}
	if (v >= 10) {
		p -= 2;
		memcpy(p, digit_pairs + 2 * v, 2);
	} else {
		*--p = (char)('0' + v);
	}
	buffer_add(b, p, (size_t)(text + sizeof text - p));
}

void buffer_add_i64(struct buffer *b, int64_t v)
{
	if (v < 0) {
		buffer_add_char(b, '-');
		buffer_add_u64(b, 0 - (uint64_t)v);
	} else {
		buffer_add_u64(b, (uint64_t)v);
	}
}
