/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/tree.h -- the Merkle tree of RFC 6962 over the lines of an audit log.
 *
 * A leaf is the bytes of a line without its LF: SHA-256(0x00 || line). A node is
 * SHA-256(0x01 || left || right). Of a tree only the roots of its perfect subtrees are
 * kept, largest first, of which there is one for each bit of the count.
 *
 * OWNERSHIP  audit_hasher_open / audit_hasher_close; a tree is the caller's storage and
 *            may be copied.
 * THREADS    A hasher: one thread at a time.
 * ERRORS     A hash that cannot be made (no memory) makes the hasher `failed`, for
 *            good: ask before a result is used. ST_CONFIG: libcrypto has no SHA-256.
 */
#ifndef AUDIT_TREE_H
#define AUDIT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

#define AUDIT_HASH_BYTES 32
#define AUDIT_TREE_ROOTS 64

struct audit_hash {
	uint8_t bytes[AUDIT_HASH_BYTES];
};

struct audit_hasher {
	void *state; /* SHA256_CTX */
	bool failed;
};

struct audit_tree {
	uint64_t count; /* of leaves */
	unsigned root_count;
	struct audit_hash roots[AUDIT_TREE_ROOTS];
};

enum status audit_hasher_open(struct audit_hasher *hasher,
			      struct error *err) MUST_CHECK;
void audit_hasher_close(struct audit_hasher *hasher); /* one of zeros, too */

/* SHA-256 of two pieces behind each other; either may be empty. */
struct audit_hash audit_hash_of(struct audit_hasher *hasher, const void *a,
				size_t a_len, const void *b, size_t b_len);

/* Add the leaf of one line, without its LF. */
void audit_tree_add(struct audit_tree *tree, struct audit_hasher *hasher,
		    const void *line, size_t len);
/* Add a leaf whose hash is known. */
void audit_tree_add_leaf(struct audit_tree *tree, struct audit_hasher *hasher,
			 struct audit_hash leaf);

/* The hash of a leaf whose line comes in pieces: begin, more, end. Nothing else is
 * hashed meanwhile. */
void audit_leaf_begin(struct audit_hasher *hasher);
void audit_leaf_more(struct audit_hasher *hasher, const void *bytes, size_t len);
struct audit_hash audit_leaf_end(struct audit_hasher *hasher);

/* The root as of now. */
struct audit_hash audit_tree_root(const struct audit_tree *tree,
				  struct audit_hasher *hasher);

static inline bool audit_hash_is(const struct audit_hash *a, const struct audit_hash *b)
{
	unsigned differ = 0;

	for (size_t i = 0; i < AUDIT_HASH_BYTES; i++) {
		differ |= (unsigned)(a->bytes[i] ^ b->bytes[i]);
	}
	return differ == 0;
}

#endif
