/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/record.h"

#include <string.h>

#include "btree/varint.h"
#include "src/base/bytes.h"

/* Serial types, the codes in a record's header. */
enum {
	SERIAL_NULL = 0,
	/* 1 to 6: integers of 1, 2, 3, 4, 6 and 8 bytes */
	SERIAL_REAL = 7,
	SERIAL_ONE = 9,   /* and 8: the integers 1 and 0, in no bytes */
	SERIAL_BLOB = 12, /* even: BLOB, odd: TEXT, of (type - 12) / 2 bytes */
};

/* Bytes of the values with serial types below SERIAL_BLOB, but for 10 and 11. */
static const uint8_t fixed_size[10] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};

/*
 * The `size` bytes (0 to 8) that end at `end`, in the low bits of the result. The
 * bits above them are anything. Eight bytes at once where the payload has them.
 */
static inline uint64_t read_word(const uint8_t *payload, const uint8_t *end,
				 uint32_t size)
{
	uint64_t v = 0;

	if ((size_t)(end - payload) >= sizeof v) {
		return get_u64be(end - sizeof v);
	}
	for (const uint8_t *p = end - size; p < end; p++) {
		v = v << 8 | *p;
	}
	return v;
}

/* The signed integer in the low `size` bytes (1 to 8) of `v`. */
static inline int64_t sign_extend(uint64_t v, uint32_t size)
{
	uint32_t above = 64 - 8 * size;

	/* gcc and clang shift a negative number arithmetically. */
	return (int64_t)(v << above) >> above;
}

static inline void set_real(uint64_t bits, struct value *out)
{
	memcpy(&out->real, &bits, sizeof out->real);
	if (out->real != out->real) { /* SQLite has no NaN: it reads as NULL */
		out->class = VALUE_NULL;
		out->integer = 0;
	} else {
		out->class = VALUE_REAL;
	}
}

/* Decode a value of a fixed size, `type` below 10. False: it leaves the payload. */
static inline bool read_fixed(uint32_t type, const uint8_t *payload, const uint8_t **p,
			      const uint8_t *end, struct value *out)
{
	uint32_t size = fixed_size[type];

	if (size > (size_t)(end - *p)) {
		return false;
	}
	*p += size;
	out->len = 0;
	out->class = VALUE_INTEGER;
	if (size == 0) {
		out->class = type == SERIAL_NULL ? VALUE_NULL : VALUE_INTEGER;
		out->integer = type == SERIAL_ONE;
	} else if (type == SERIAL_REAL) {
		set_real(read_word(payload, *p, size), out);
	} else {
		out->integer = sign_extend(read_word(payload, *p, size), size);
	}
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

__attribute__((cold, noinline)) static enum status
record_corrupt(struct error *err, uint32_t column, const char *why)
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
			fits =
			    read_fixed((uint32_t)type, payload, &body, end, &values[n]);
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

/* Append a varint below 2^31, as lengths of headers are. */
static void add_varint(struct buffer *out, uint64_t v)
{
	for (int shift = 28; shift > 0; shift -= 7) {
		if (v >> shift) {
			buffer_add_char(out, (char)(0x80 | (v >> shift & 0x7f)));
		}
	}
	buffer_add_char(out, (char)(v & 0x7f));
}

/* Append the header of a record whose types take `len` bytes; its length counts
 * itself. */
static void add_header(struct buffer *out, const uint8_t *types, size_t len)
{
	size_t own = 1;

	while ((len + own) >> (7 * own)) {
		own++;
	}
	add_varint(out, len + own);
	buffer_add(out, types, len);
}

enum status record_cut(const uint8_t *payload, size_t len, uint32_t count,
		       struct buffer *out, struct error *err)
{
	const uint8_t *types, *p, *header_end;
	uint64_t header_len;
	uint64_t body_len = 0;
	size_t took = varint_read(payload, payload + len, &header_len);

	if (took == 0 || header_len < took || header_len > len) {
		return error_set(err, ST_CORRUPT,
				 "record: header does not fit a payload of %zu bytes",
				 len);
	}
	types = payload + took;
	header_end = payload + header_len;
	p = types;
	for (uint32_t n = 0; n < count; n++) {
		uint64_t type;

		took = varint_read(p, header_end, &type);
		if (took == 0) {
			return record_corrupt(err, n, "is missing");
		}
		p += took;
		if (type > SERIAL_ONE && type < SERIAL_BLOB) {
			return record_corrupt(err, n, "reserved type");
		}
		body_len +=
		    type >= SERIAL_BLOB ? (type - SERIAL_BLOB) / 2 : fixed_size[type];
		if (body_len > len - header_len) {
			return record_corrupt(err, n, "leaves the payload");
		}
	}
	add_header(out, types, (size_t)(p - types));
	buffer_add(out, header_end, (size_t)body_len);
	return buffer_ok(out) ? ST_OK : error_no_memory(err, "a key");
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
		return a->len == b->len &&
		       (a->len == 0 || memcmp(a->bytes, b->bytes, a->len) == 0);
	}
	return false;
}
