/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/varint.h"

#include "src/base/bytes.h"

#define VARINT_MAX 9 /* bytes */

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Eight groups of 7 bits, each in a byte of its own, pushed together to 56 bits. */
static inline uint64_t join_groups(uint64_t v)
{
	v = (v & UINT64_C(0x7f007f007f007f00)) >> 1 |
	    (v & UINT64_C(0x007f007f007f007f));
	v = (v & UINT64_C(0x3fff00003fff0000)) >> 2 |
	    (v & UINT64_C(0x00003fff00003fff));
	return (v & UINT64_C(0x0fffffff00000000)) >> 4 | (v & UINT64_C(0x0fffffff));
}

/* Byte by byte, near the end of the bytes. */
static size_t read_slowly(const uint8_t *p, size_t room, uint64_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < room; i++) {
		v = v << 7 | (p[i] & 0x7f);
		if (p[i] < 0x80) {
			*out = v;
			return i + 1;
		}
	}
	return 0;
}

size_t varint_read_long(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
	size_t room = (size_t)(end - p);
	uint64_t word;
	uint64_t stops; /* the high bit of each byte that ends a varint */

	if (room < VARINT_MAX) {
		return read_slowly(p, room, out);
	}
	word = get_u64be(p);
	stops = ~word & HIGH_BITS;
	if (stops == 0) {
		*out = join_groups(word) << 8 | p[VARINT_MAX - 1];
		return VARINT_MAX;
	}
	room = (size_t)__builtin_clzll(stops) / 8 + 1;
	*out = join_groups(word >> (64 - 8 * room));
	return room;
}
