/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/varint.h"

#define VARINT_MAX 9 /* bytes */

size_t varint_read_long(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
	size_t room = (size_t)(end - p);
	size_t groups = room < VARINT_MAX - 1 ? room : VARINT_MAX - 1;
	uint64_t v = 0;

	for (size_t i = 0; i < groups; i++) {
		v = v << 7 | (p[i] & 0x7f);
		if (p[i] < 0x80) {
			*out = v;
			return i + 1;
		}
	}
	if (room < VARINT_MAX) {
		return 0;
	}
	*out = v << 8 | p[VARINT_MAX - 1];
	return VARINT_MAX;
}
