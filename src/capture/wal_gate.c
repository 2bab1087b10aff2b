/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/wal_gate.h"

#include <assert.h>

#define FIRST_SLOT 1u
#define LAST_SLOT  (WAL_INDEX_MARKS - 1u)

static enum wal_lock lock_of(unsigned slot)
{
	return (enum wal_lock)(WAL_LOCK_READ0 + slot);
}

bool wal_gate_push(struct wal_gate *gate)
{
	bool is_first = gate->slots == 0;
	bool all = true;

	for (unsigned slot = FIRST_SLOT; slot <= LAST_SLOT; slot++) {
		if (!(gate->slots & 1u << slot)) {
			if (wal_index_lock(gate->index, lock_of(slot))) {
				gate->slots |= 1u << slot;
			} else {
				all = false;
			}
		}
	}
	if (is_first) {
		gate->first = gate->slots & (~gate->slots + 1); /* the lowest */
	}
	return all;
}

bool wal_gate_holds(const struct wal_gate *gate)
{
	return gate->slots != 0;
}

static void mark_slots(const struct wal_gate *gate, unsigned slots, uint32_t frame_no)
{
	for (unsigned slot = FIRST_SLOT; slot <= LAST_SLOT; slot++) {
		if (slots & 1u << slot) {
			wal_index_set_mark(gate->index, slot, frame_no);
		}
	}
}

void wal_gate_mark(const struct wal_gate *gate, uint32_t frame_no)
{
	mark_slots(gate, gate->slots, frame_no);
}

static void open_slots(struct wal_gate *gate, unsigned slots)
{
	for (unsigned slot = FIRST_SLOT; slot <= LAST_SLOT; slot++) {
		if (slots & 1u << slot) {
			wal_index_unlock(gate->index, lock_of(slot));
			gate->slots &= ~(1u << slot);
		}
	}
}

void wal_gate_open_most(struct wal_gate *gate)
{
	assert(gate->first != 0 && (gate->slots & gate->first) == gate->first);
	mark_slots(gate, gate->first, 0);
	open_slots(gate, gate->slots & ~gate->first);
}

void wal_gate_open(struct wal_gate *gate)
{
	open_slots(gate, gate->slots);
}
