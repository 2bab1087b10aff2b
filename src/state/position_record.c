/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/position_record.h"

#include <assert.h>
#include <xxhash.h>

#include "src/base/bytes.h"
#include "src/base/fields.h"

#define SUM_AT           (POSITION_BYTES - 8)
#define POSITION_IN_SINK 1u

void position_encode(const struct state_position *position, uint64_t sequence,
		     uint8_t *bytes)
{
	struct field_writer w = field_writer(bytes, POSITION_BYTES);

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
	put_field_u32(&w, position->in_sink);
	put_field_u64(&w, position->unhanded_lsn);
	assert(w.at == bytes + SUM_AT);
	put_field_u64(&w, XXH3_64bits(bytes, SUM_AT));
	assert(!w.is_short);
}

/* Returns the sequence number. */
static uint64_t decode(const uint8_t *bytes, struct state_position *position)
{
	struct field_reader reader = field_reader(bytes, POSITION_BYTES);
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
	position->unhanded_lsn = get_field_u64(r);
	return sequence;
}

static bool is_right(const uint8_t *record)
{
	return get_u64le(record + SUM_AT) == XXH3_64bits(record, SUM_AT);
}

bool position_pick(const uint8_t *bytes, size_t len, struct state_position *position,
		   uint64_t *sequence)
{
	bool is_found = false;

	for (uint64_t slot = 0; slot < 2; slot++) {
		const uint8_t *record = bytes + slot * POSITION_STRIDE;
		struct state_position found;
		uint64_t number;

		if (len < slot * POSITION_STRIDE + POSITION_BYTES ||
		    !is_right(record)) {
			continue;
		}
		number = decode(record, &found);
		if (number % 2 == slot && (!is_found || number >= *sequence)) {
			*position = found;
			*sequence = number;
			is_found = true;
		}
	}
	return is_found;
}
