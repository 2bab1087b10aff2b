/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/position_record.h"

#include <assert.h>
#include <xxhash.h>

#include "src/base/bytes.h"
#include "src/base/fields.h"

#define SUM_BYTES         8
#define POSITION_IN_SINK  1u
#define POSITION_IN_CHUNK 2u

size_t position_encode(const struct state_position *position, uint64_t sequence,
		       uint8_t *bytes)
{
	struct field_writer w = field_writer(bytes, POSITION_BYTES);
	size_t len = POSITION_BEFORE;

	put_field_u64(&w, sequence);
	put_field_u64(&w, position->lsn);
	put_field_u64(&w, position->messages);
	put_field_u64(&w, position->change_id);
	put_field_u64(&w, position->txn_change_id);
	put_field_u64(&w, position->previous_lsn);
	put_field_u64(&w, position->settings_hash);
	put_field_u64(&w, position->sink_inode);
	put_field_u64(&w, position->sink_length);
	put_field_u64(&w, position->sink_start);
	put_field_u64(&w, position->sink_proof);
	put_field_u32(&w, position->in_snapshot);
	put_field_u32(&w, (position->in_sink ? POSITION_IN_SINK : 0) |
			      (position->in_chunk ? POSITION_IN_CHUNK : 0));
	put_field_u64(&w, position->unhanded_lsn);
	if (position->chunks > 0 || position->in_chunk) {
		put_field_u64(&w, position->chunks);
		len = POSITION_BYTES;
	}
	assert(w.at == bytes + len - SUM_BYTES);
	put_field_u64(&w, XXH3_64bits(bytes, len - SUM_BYTES));
	assert(!w.is_short);
	return len;
}

/* Returns the sequence number. */
static uint64_t decode(const uint8_t *bytes, size_t len,
		       struct state_position *position)
{
	struct field_reader reader = field_reader(bytes, len - SUM_BYTES);
	struct field_reader *r = &reader;
	uint64_t sequence = get_field_u64(r);
	uint32_t flags;

	position->lsn = get_field_u64(r);
	position->messages = get_field_u64(r);
	position->change_id = get_field_u64(r);
	position->txn_change_id = get_field_u64(r);
	position->previous_lsn = get_field_u64(r);
	position->settings_hash = get_field_u64(r);
	position->sink_inode = get_field_u64(r);
	position->sink_length = get_field_u64(r);
	position->sink_start = get_field_u64(r);
	position->sink_proof = get_field_u64(r);
	position->in_snapshot = get_field_u32(r) != 0;
	flags = get_field_u32(r);
	position->in_sink = flags & POSITION_IN_SINK;
	position->in_chunk = flags & POSITION_IN_CHUNK;
	position->unhanded_lsn = get_field_u64(r);
	position->chunks = len == POSITION_BYTES ? get_field_u64(r) : 0;
	return sequence;
}

static bool is_right(const uint8_t *record, size_t len)
{
	size_t sum_at = len - SUM_BYTES;

	return get_u64le(record + sum_at) == XXH3_64bits(record, sum_at);
}

/* The length of the record at `record`, of which `len` bytes are there; 0: none is
 * right. */
static size_t length_of(const uint8_t *record, size_t len)
{
	if (len >= POSITION_BYTES && is_right(record, POSITION_BYTES)) {
		return POSITION_BYTES;
	}
	return len >= POSITION_BEFORE && is_right(record, POSITION_BEFORE)
		   ? POSITION_BEFORE
		   : 0;
}

bool position_pick(const uint8_t *bytes, size_t len, struct state_position *position,
		   uint64_t *sequence)
{
	bool is_found = false;

	for (uint64_t slot = 0; slot < 2 && len > slot * POSITION_STRIDE; slot++) {
		const uint8_t *record = bytes + slot * POSITION_STRIDE;
		size_t record_len = length_of(record, len - slot * POSITION_STRIDE);
		struct state_position found;
		uint64_t number;

		if (record_len == 0) {
			continue;
		}
		number = decode(record, record_len, &found);
		if (number % 2 == slot && (!is_found || number >= *sequence)) {
			*position = found;
			*sequence = number;
			is_found = true;
		}
	}
	return is_found;
}
