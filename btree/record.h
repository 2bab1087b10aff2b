/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/record.h -- payload bytes to values.
 *
 * FORMAT   fileformat2.html section 2.1 "Record Format".
 * THREADS  No shared state.
 */
#ifndef BTREE_RECORD_H
#define BTREE_RECORD_H

#include <stdbool.h>

#include "btree/value.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

/*
 * Decode up to `max` values of the record in [payload, payload + len) into
 * `values`; `*count` is how many the record has, at most `max` (a record may be
 * shorter than its table is wide, after ADD COLUMN). Values past `max` are not
 * looked at. ST_CORRUPT when header or a value leaves the payload, or a serial
 * type is a reserved one (10, 11).
 */
enum status record_read(const uint8_t *payload, size_t len, struct value *values,
			uint32_t max, uint32_t *count, struct error *err) MUST_CHECK;

/*
 * Append to `out` a record of the first `count` values of the record in [payload,
 * payload + len). ST_CORRUPT as record_read, and when it has fewer; `out` may then have
 * failed or hold a part.
 */
enum status record_cut(const uint8_t *payload, size_t len, uint32_t count,
		       struct buffer *out, struct error *err) MUST_CHECK;

/* Same storage class and same value (REAL: same bits but for -0.0 == 0.0 being unequal;
 * TEXT and BLOB: same bytes). The identity of keys and the test for "unchanged". */
bool value_same(const struct value *a, const struct value *b);

#endif
