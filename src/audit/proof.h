/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/proof.h -- proofs of RFC 6962: that a line is in the tree of a head, and
 * that a head's tree goes on from an older one.
 *
 * Both are lists of the roots of parts of the tree; the parts are known from the sizes
 * alone and never overlap, so that one reading of the leaves in their order makes them.
 *
 *     audit_proof_of_line(&proof, n, size);
 *     for each line: audit_proof_add(&proof, &hasher, leaf);
 *
 * OWNERSHIP The caller's storage.
 * THREADS   One thread at a time.
 * ERRORS    None of its own; a hasher that failed says so (src/audit/tree.h).
 */
#ifndef AUDIT_PROOF_H
#define AUDIT_PROOF_H

#include "src/audit/tree.h"

#define AUDIT_PROOF_HASHES 64 /* at most: a tree has not more levels */

struct audit_proof_part {
	uint64_t first, end; /* leaves, from 0; end is one past */
	struct audit_hash root;
};

struct audit_proof {
	struct audit_proof_part parts[AUDIT_PROOF_HASHES]; /* in the proof's order */
	unsigned count;
	uint64_t size; /* of the tree */
	struct audit_tree whole;
	struct audit_tree part; /* that the next leaf may belong to */
	bool is_lost;           /* it needs leaves that are not there any more */
};

/* Of line `n` in the tree of `size`; n < size (RFC 6962, section 2.1.1). */
void audit_proof_of_line(struct audit_proof *proof, uint64_t n, uint64_t size);
/* From the tree of `old` lines to that of `size`; old <= size (section 2.1.2). Of no
 * lines, and of as many, it is empty. */
void audit_proof_of_growth(struct audit_proof *proof, uint64_t old, uint64_t size);

/* The first lines are gone, and this is known of them: called before any is added. Of a
 * line behind them a proof can be made all the same; where not, `is_lost`. */
void audit_proof_start(struct audit_proof *proof, const struct audit_tree *gone);
/* The hash of the next line of the tree, from the first; those behind `size` are left
 * out. */
void audit_proof_add(struct audit_proof *proof, struct audit_hasher *hasher,
		     struct audit_hash leaf);
/* Has it all been added, with this root? */
bool audit_proof_is_of(const struct audit_proof *proof, struct audit_hasher *hasher,
		       const struct audit_hash *root);

#endif
