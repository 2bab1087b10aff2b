/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/varint.h -- SQLite's variable-length integers, 1 to 9 bytes.
 *
 * FORMAT  fileformat2.html section 1.6 "varint": big-endian groups of 7 bits, high
 *         bit set on all but the last; a ninth byte gives all its 8 bits.
 */
#ifndef BTREE_VARINT_H
#define BTREE_VARINT_H

#include <stddef.h>
#include <stdint.h>

/* As varint_read, of which it is the part that is not inlined. */
size_t varint_read_long(const uint8_t *p, const uint8_t *end, uint64_t *out);

/*
 * Read one varint from [p, end). Returns the bytes it took, 0 when it does not
 * end before `end` (`*out` is then untouched).
 */
static inline size_t varint_read(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
	if (p < end && p[0] < 0x80) {
		*out = p[0];
		return 1;
	}
	return varint_read_long(p, end, out);
}

#endif
