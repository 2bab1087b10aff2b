/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/record.h"

#include <string.h>

#include "btree/varint.h"
#include "src/base/bytes.h"

/* Serial types, the codes in a record's header. */
enum {
	SERIAL_NULL = 0,
	SERIAL_INT64 = 6, /* 1 to 6: integers of 1, 2, 3, 4, 6 and 8 bytes */
	SERIAL_REAL = 7,
	SERIAL_ZERO = 8,
	SERIAL_ONE = 9,
	SERIAL_BLOB = 12, /* even: BLOB, odd: TEXT, of (type - 12) / 2 bytes */
};

/* Bytes of the values with serial types below SERIAL_BLOB, but for 10 and 11. */
static const uint8_t fixed_size[10] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};

/* The signed integer in `size` bytes (1 to 8); `room` bytes may be read. */
static inline int64_t read_integer(const uint8_t *p, uint32_t size, size_t room)
{
	uint8_t padded[8] = {0};

	if (room < sizeof padded) {
		memcpy(padded, p, size);
		p = padded;
	}
	/* The shift of a negative number is arithmetic with the compilers we allow. */
	return (int64_t)get_u64be(p) >> (64 - 8 * size);
}

static inline void read_real(const uint8_t *p, struct value *out)
{
	uint64_t bits = get_u64be(p);

	memcpy(&out->real, &bits, sizeof out->real);
	out->class = out->real == out->real ? VALUE_REAL : VALUE_NULL;
}

/* Decode a value of a fixed size, `type` below 10. False: it leaves the payload. */
static inline bool read_fixed(uint32_t type, const uint8_t **p, const uint8_t *end,
			      struct value *out)
{
	uint32_t size = fixed_size[type];
	size_t room = (size_t)(end - *p);

	if (size > room) {
		return false;
	}
	out->len = 0;
	out->class = VALUE_INTEGER;
	if (size == 0) {
		out->integer = type == SERIAL_ONE;
		if (type == SERIAL_NULL) {
			out->class = VALUE_NULL;
		}
	} else if (type == SERIAL_REAL) {
		read_real(*p, out);
	} else {
		out->integer = read_integer(*p, size, room);
	}
	*p += size;
	return true;
}

/* Decode TEXT or BLOB. False: it leaves the payload. */
static inline bool read_bytes(uint64_t type, const uint8_t **p, const uint8_t *end,
			      struct value *out)
{
	uint64_t len = (type - SERIAL_BLOB) / 2;

	if (len > (size_t)(end - *p)) {
		return false;
	}
	out->class = type & 1 ? VALUE_TEXT : VALUE_BLOB;
	out->len = (uint32_t)len;
	out->bytes = *p;
	*p += len;
	return true;
}

static enum status record_corrupt(struct error *err, uint32_t column, const char *why)
{
	return error_set(err, ST_CORRUPT, "record: value %u: %s", column, why);
}

enum status record_read(const uint8_t *payload, size_t len, struct value *values,
			uint32_t max, uint32_t *count, struct error *err)
{
	const uint8_t *end = payload + len;
	const uint8_t *header = payload;
	const uint8_t *header_end;
	const uint8_t *body;
	uint64_t header_len;
	size_t took = varint_read(payload, end, &header_len);
	uint32_t n = 0;

	if (took == 0 || header_len < took || header_len > len || len > INT32_MAX) {
		return error_set(err, ST_CORRUPT,
				 "record: header does not fit a payload of %zu bytes",
				 len);
	}
	header_end = payload + header_len;
	body = header_end;
	for (header += took; header < header_end && n < max; n++) {
		uint64_t type;
		bool fits;

		took = varint_read(header, header_end, &type);
		if (took == 0) {
			return record_corrupt(err, n, "type leaves the header");
		}
		header += took;
		if (type >= SERIAL_BLOB) {
			fits = read_bytes(type, &body, end, &values[n]);
		} else if (type <= SERIAL_ONE) {
			fits = read_fixed((uint32_t)type, &body, end, &values[n]);
		} else {
			return record_corrupt(err, n, "reserved type");
		}
		if (!fits) {
			return record_corrupt(err, n, "leaves the payload");
		}
	}
	*count = n;
	return ST_OK;
}

bool value_same(const struct value *a, const struct value *b)
{
	if (a->class != b->class) {
		return false;
	}
	switch (a->class) {
	case VALUE_NULL:
		return true;
	case VALUE_INTEGER:
		return a->integer == b->integer;
	case VALUE_REAL:
		return memcmp(&a->real, &b->real, sizeof a->real) == 0;
	case VALUE_TEXT:
	case VALUE_BLOB:
		return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
	}
	return false;
}
