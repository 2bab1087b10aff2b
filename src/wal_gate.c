/* SPDX-License-Identifier: Apache-2.0 */
#include "src/wal_gate.h"

#define FIRST_SLOT 1u
#define LAST_SLOT  (WAL_INDEX_MARKS - 1u)

static enum wal_lock lock_of(unsigned slot)
{
	return (enum wal_lock)(WAL_LOCK_READ0 + slot);
}

bool wal_gate_push(struct wal_gate *gate)
{
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
	return all;
}

bool wal_gate_holds(const struct wal_gate *gate)
{
	return gate->slots != 0;
}

void wal_gate_mark(const struct wal_gate *gate, uint32_t frame_no)
{
	for (unsigned slot = FIRST_SLOT; slot <= LAST_SLOT; slot++) {
		if (gate->slots & 1u << slot) {
			wal_index_set_mark(gate->index, slot, frame_no);
		}
	}
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
	unsigned lowest = gate->slots & (~gate->slots + 1);

	open_slots(gate, gate->slots & ~lowest);
}

void wal_gate_open(struct wal_gate *gate)
{
	open_slots(gate, gate->slots);
}
