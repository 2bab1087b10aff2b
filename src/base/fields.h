/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/fields.h -- little-endian fields of records of our own, one behind another.
 *
 * A cursor never leaves its bytes: what does not fit is not written, what is not there
 * reads as zeros, and is_short stays true from then on. So a codec is written straight
 * through and asks once, at its end.
 *
 * OWNERSHIP  The bytes are the caller's.
 * THREADS    No shared state.
 */
#ifndef BASE_FIELDS_H
#define BASE_FIELDS_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct field_writer {
	uint8_t *at;
	uint8_t *end;
	bool is_short;
};

struct field_reader {
	const uint8_t *at;
	const uint8_t *end;
	bool is_short;
};

static inline struct field_writer field_writer(void *bytes, size_t len)
{
	return (struct field_writer){.at = bytes, .end = (uint8_t *)bytes + len};
}

static inline struct field_reader field_reader(const void *bytes, size_t len)
{
	return (struct field_reader){.at = bytes, .end = (const uint8_t *)bytes + len};
}

static inline void put_field(struct field_writer *w, const void *bytes, size_t len)
{
	if (w->is_short || len > (size_t)(w->end - w->at)) {
		w->is_short = true;
		return;
	}
	memcpy(w->at, bytes, len);
	w->at += len;
}

static inline void put_field_u32(struct field_writer *w, uint32_t v)
{
	v = htole32(v);
	put_field(w, &v, sizeof v);
}

static inline void put_field_u64(struct field_writer *w, uint64_t v)
{
	v = htole64(v);
	put_field(w, &v, sizeof v);
}

static inline void get_field(struct field_reader *r, void *bytes, size_t len)
{
	if (r->is_short || len > (size_t)(r->end - r->at)) {
		r->is_short = true;
		memset(bytes, 0, len);
		return;
	}
	memcpy(bytes, r->at, len);
	r->at += len;
}

static inline uint32_t get_field_u32(struct field_reader *r)
{
	uint32_t v;

	get_field(r, &v, sizeof v);
	return le32toh(v);
}

static inline uint64_t get_field_u64(struct field_reader *r)
{
	uint64_t v;

	get_field(r, &v, sizeof v);
	return le64toh(v);
}

#endif
