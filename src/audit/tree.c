/* SPDX-License-Identifier: Apache-2.0 */
#define OPENSSL_SUPPRESS_DEPRECATED /* see the header */

#include "src/audit/tree.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t leaf_prefix = 0x00, node_prefix = 0x01;

enum status audit_hasher_open(struct audit_hasher *hasher, struct error *err)
{
	*hasher = (struct audit_hasher){.state = malloc(sizeof(SHA256_CTX))};
	return hasher->state ? ST_OK : error_no_memory(err, "hashing");
}

void audit_hasher_close(struct audit_hasher *hasher)
{
	if (hasher->state) { /* a secret may have gone through it */
		OPENSSL_cleanse(hasher->state, sizeof(SHA256_CTX));
		free(hasher->state);
	}
	*hasher = (struct audit_hasher){0};
}

/* Three pieces behind each other. */
static struct audit_hash hash(struct audit_hasher *h, const uint8_t *prefix,
			      const void *a, size_t a_len, const void *b, size_t b_len)
{
	struct audit_hash out = {{0}};

	if (SHA256_Init(h->state) != 1 ||
	    SHA256_Update(h->state, prefix, prefix ? 1 : 0) != 1 ||
	    SHA256_Update(h->state, a, a_len) != 1 ||
	    SHA256_Update(h->state, b, b_len) != 1 ||
	    SHA256_Final(out.bytes, h->state) != 1) {
		h->failed = true;
	}
	return out;
}

struct audit_hash audit_hash_of(struct audit_hasher *hasher, const void *a,
				size_t a_len, const void *b, size_t b_len)
{
	return hash(hasher, NULL, a, a_len, b, b_len);
}

void audit_leaf_begin(struct audit_hasher *h)
{
	if (SHA256_Init(h->state) != 1) {
		h->failed = true;
	}
	audit_leaf_more(h, &leaf_prefix, 1);
}

void audit_leaf_more(struct audit_hasher *h, const void *bytes, size_t len)
{
	if (SHA256_Update(h->state, bytes, len) != 1) {
		h->failed = true;
	}
}

struct audit_hash audit_leaf_end(struct audit_hasher *h)
{
	struct audit_hash out = {{0}};

	if (SHA256_Final(out.bytes, h->state) != 1) {
		h->failed = true;
	}
	return out;
}

static struct audit_hash node_of(struct audit_hasher *hasher,
				 const struct audit_hash *left,
				 const struct audit_hash *right)
{
	return hash(hasher, &node_prefix, left->bytes, AUDIT_HASH_BYTES, right->bytes,
		    AUDIT_HASH_BYTES);
}

void audit_tree_add_leaf(struct audit_tree *tree, struct audit_hasher *hasher,
			 struct audit_hash leaf)
{
	/* Each bit that is set from below is a perfect subtree of that size. */
	for (uint64_t count = tree->count; count & 1; count >>= 1) {
		leaf = node_of(hasher, &tree->roots[--tree->root_count], &leaf);
	}
	assert(tree->root_count < AUDIT_TREE_ROOTS);
	tree->roots[tree->root_count++] = leaf;
	tree->count++;
}

void audit_tree_add(struct audit_tree *tree, struct audit_hasher *hasher,
		    const void *line, size_t len)
{
	audit_tree_add_leaf(tree, hasher,
			    hash(hasher, &leaf_prefix, line, len, NULL, 0));
}

struct audit_hash audit_tree_root(const struct audit_tree *tree,
				  struct audit_hasher *hasher)
{
	struct audit_hash root;
	unsigned i = tree->root_count;

	if (i == 0) {
		return hash(hasher, NULL, NULL, 0, NULL, 0);
	}
	for (root = tree->roots[--i]; i > 0; i--) {
		root = node_of(hasher, &tree->roots[i - 1], &root);
	}
	return root;
}
