/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/proof.h"

#include <assert.h>

/* The largest power of two below `size`, which is 2 or more: where a tree divides. */
static uint64_t left_of(uint64_t size)
{
	uint64_t left = 1;

	while (left < size - left) {
		left *= 2;
	}
	return left;
}

static void begin(struct audit_proof *proof, uint64_t size)
{
	proof->count = 0;
	proof->size = size;
	proof->whole = (struct audit_tree){0};
	proof->part = (struct audit_tree){0};
	proof->is_lost = false;
}

static void add_part(struct audit_proof *proof, uint64_t first, uint64_t end)
{
	assert(proof->count < AUDIT_PROOF_HASHES);
	proof->parts[proof->count++] =
	    (struct audit_proof_part){.first = first, .end = end};
}

/* They were found from the root down; a proof begins at the leaf. */
static void turn(struct audit_proof *proof)
{
	for (unsigned i = 0, j = proof->count; i + 1 < j; i++) {
		struct audit_proof_part part = proof->parts[i];

		proof->parts[i] = proof->parts[--j];
		proof->parts[j] = part;
	}
}

void audit_proof_of_line(struct audit_proof *proof, uint64_t n, uint64_t size)
{
	uint64_t first = 0, end = size;

	begin(proof, size);
	while (end - first > 1) {
		uint64_t middle = first + left_of(end - first);

		if (n < middle) {
			add_part(proof, middle, end);
			end = middle;
		} else {
			add_part(proof, first, middle);
			first = middle;
		}
	}
	turn(proof);
}

void audit_proof_of_growth(struct audit_proof *proof, uint64_t old, uint64_t size)
{
	uint64_t first = 0, end = size;

	begin(proof, size);
	if (old == 0) {
		return;
	}
	while (old < end) { /* the old tree ends within first..end */
		uint64_t middle = first + left_of(end - first);

		if (old <= middle) {
			add_part(proof, middle, end);
			end = middle;
		} else {
			add_part(proof, first, middle);
			first = middle;
		}
	}
	if (first > 0) { /* else it is the old tree itself, which the other side has */
		add_part(proof, first, end);
	}
	turn(proof);
}

/* What a part has of the lines that are gone. */
static void start_part(struct audit_proof *proof, struct audit_proof_part *part,
		       const struct audit_tree *gone)
{
	struct audit_tree *tree = &proof->part;
	uint64_t at = 0, left = gone->count;

	*tree = (struct audit_tree){0};
	for (unsigned i = 0; i < gone->root_count; i++) {
		uint64_t size = UINT64_C(1) << (63 - __builtin_clzll(left));

		if (at >= part->first && at + size <= part->end) {
			tree->roots[tree->root_count++] = gone->roots[i];
			tree->count += size;
		} else if (at < part->end && at + size > part->first) {
			proof->is_lost = true;
		}
		at += size;
		left -= size;
	}
}

void audit_proof_start(struct audit_proof *proof, const struct audit_tree *gone)
{
	struct audit_tree going_on = {0};

	proof->whole = *gone;
	for (unsigned i = 0; i < proof->count; i++) {
		struct audit_proof_part *part = &proof->parts[i];

		if (part->first >= gone->count) {
			continue;
		}
		start_part(proof, part, gone);
		if (part->end > gone->count) { /* and goes on with those there */
			going_on = proof->part;
			continue;
		}
		if (proof->part.root_count == 1) {
			part->root = proof->part.roots[0];
		} else {
			proof->is_lost = true;
		}
	}
	proof->part = going_on;
}

void audit_proof_add(struct audit_proof *proof, struct audit_hasher *hasher,
		     struct audit_hash leaf)
{
	uint64_t at = proof->whole.count;

	if (at >= proof->size) {
		return;
	}
	audit_tree_add_leaf(&proof->whole, hasher, leaf);
	for (unsigned i = 0; i < proof->count; i++) {
		struct audit_proof_part *part = &proof->parts[i];

		if (at < part->first || at >= part->end) {
			continue;
		}
		if (at == part->first) {
			proof->part = (struct audit_tree){0};
		}
		audit_tree_add_leaf(&proof->part, hasher, leaf);
		if (at + 1 == part->end) {
			part->root = audit_tree_root(&proof->part, hasher);
		}
	}
}

bool audit_proof_is_of(const struct audit_proof *proof, struct audit_hasher *hasher,
		       const struct audit_hash *root)
{
	struct audit_hash is = audit_tree_root(&proof->whole, hasher);

	return proof->whole.count == proof->size && audit_hash_is(&is, root);
}
