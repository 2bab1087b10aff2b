/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_audit_proof.c -- proofs of every line and between all sizes of small
 * trees, checked as RFC 9162 has it (2.1.3.2 and 2.1.4.2), which is another way than
 * the one in which they are made. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/audit/proof.h"

#define LEAVES 70

static struct audit_hasher hasher;
static struct audit_hash leaves[LEAVES], roots[LEAVES + 1];

static int set_up(void **state)
{
	struct audit_tree tree = {0};
	struct error err;

	(void)state;
	if (audit_hasher_open(&hasher, &err) != ST_OK) {
		return -1;
	}
	roots[0] = audit_tree_root(&tree, &hasher);
	for (unsigned i = 0; i < LEAVES; i++) {
		leaves[i] = audit_hash_of(&hasher, "leaf", 4, &i, sizeof i);
		audit_tree_add_leaf(&tree, &hasher, leaves[i]);
		roots[i + 1] = audit_tree_root(&tree, &hasher);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	audit_hasher_close(&hasher);
	return 0;
}

static struct audit_hash node(const struct audit_hash *left,
			      const struct audit_hash *right)
{
	uint8_t begin[1 + AUDIT_HASH_BYTES] = {1};

	memcpy(begin + 1, left->bytes, AUDIT_HASH_BYTES);
	return audit_hash_of(&hasher, begin, sizeof begin, right->bytes,
			     AUDIT_HASH_BYTES);
}

static void make(struct audit_proof *proof, unsigned size)
{
	for (unsigned i = 0; i < LEAVES; i++) { /* more than it is of */
		audit_proof_add(proof, &hasher, leaves[i]);
	}
	assert_true(audit_proof_is_of(proof, &hasher, &roots[size]));
	assert_false(audit_proof_is_of(proof, &hasher, &roots[size - 1]));
}

static bool is_line(const struct audit_proof *p, uint64_t fn, uint64_t sn)
{
	struct audit_hash r = leaves[fn];
	uint64_t size = sn--;

	for (unsigned i = 0; i < p->count; i++) {
		if (sn == 0) {
			return false;
		}
		if ((fn & 1) || fn == sn) {
			r = node(&p->parts[i].root, &r);
			while (!(fn & 1) && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			r = node(&r, &p->parts[i].root);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && audit_hash_is(&r, &roots[size]);
}

static bool is_growth(const struct audit_proof *p, uint64_t old, uint64_t size)
{
	uint64_t fn = old - 1, sn = size - 1;
	bool is_power = (old & (old - 1)) == 0;
	unsigned i = is_power ? 0 : 1;
	struct audit_hash fr, sr;

	if (!is_power && p->count == 0) {
		return false;
	}
	fr = sr = is_power ? roots[old] : p->parts[0].root;
	for (; fn & 1; fn >>= 1) {
		sn >>= 1;
	}
	for (; i < p->count; i++) {
		const struct audit_hash *c = &p->parts[i].root;

		if (sn == 0) {
			return false;
		}
		if ((fn & 1) || fn == sn) {
			fr = node(c, &fr);
			sr = node(c, &sr);
			while (!(fn & 1) && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			sr = node(&sr, c);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && audit_hash_is(&fr, &roots[old]) &&
	       audit_hash_is(&sr, &roots[size]);
}

static void test_every_line_of_every_tree_is_proven(void **state)
{
	struct audit_proof proof;

	(void)state;
	for (unsigned size = 1; size <= LEAVES; size++) {
		for (unsigned n = 0; n < size; n++) {
			audit_proof_of_line(&proof, n, size);
			make(&proof, size);
			assert_true(is_line(&proof, n, size));
			if (proof.count > 0) {
				proof.parts[proof.count - 1].root.bytes[3] ^= 1;
				assert_false(is_line(&proof, n, size));
			}
		}
	}
}

static void test_every_tree_goes_on_from_every_smaller_one(void **state)
{
	struct audit_proof proof;

	(void)state;
	for (unsigned size = 1; size <= LEAVES; size++) {
		audit_proof_of_growth(&proof, 0, size);
		assert_int_equal(proof.count, 0);
		audit_proof_of_growth(&proof, size, size);
		assert_int_equal(proof.count, 0);
		for (unsigned old = 1; old < size; old++) {
			audit_proof_of_growth(&proof, old, size);
			make(&proof, size);
			assert_true(is_growth(&proof, old, size));
			proof.parts[0].root.bytes[3] ^= 1;
			assert_false(is_growth(&proof, old, size));
		}
	}
}

static void
test_the_largest_tree_has_no_more_hashes_than_there_is_room_for(void **state)
{
	struct audit_proof proof;

	(void)state;
	audit_proof_of_line(&proof, 0, UINT64_MAX);
	assert_int_equal(proof.count, 64);
	audit_proof_of_line(&proof, UINT64_MAX - 1, UINT64_MAX);
	assert_int_equal(proof.count, 63);
	audit_proof_of_growth(&proof, 1, UINT64_MAX);
	assert_int_equal(proof.count, 64);
	audit_proof_of_growth(&proof, UINT64_MAX - 1, UINT64_MAX);
	assert_in_range(proof.count, 60, 64);
}

/* The first lines are gone, and only the roots of their trees are known. */
static void test_where_the_first_lines_are_gone(void **state)
{
	unsigned step = getenv("ROWTAIL_TEST_WRAPPED") ? 11 : 1; /* valgrind */

	(void)state;
	for (unsigned gone = 1; gone < LEAVES; gone += step) {
		struct audit_tree before = {0};

		for (unsigned i = 0; i < gone; i++) {
			audit_tree_add_leaf(&before, &hasher, leaves[i]);
		}
		for (unsigned size = gone + 1; size <= LEAVES; size++) {
			for (unsigned n = gone; n < size; n++) {
				struct audit_proof proof;

				audit_proof_of_line(&proof, n, size);
				audit_proof_start(&proof, &before);
				assert_false(proof.is_lost);
				for (unsigned i = gone; i < LEAVES; i++) {
					audit_proof_add(&proof, &hasher, leaves[i]);
				}
				assert_true(
				    audit_proof_is_of(&proof, &hasher, &roots[size]));
				assert_true(is_line(&proof, n, size));
			}
		}
	}
}

/* What needs more than that is said to be lost, and all else holds. */
static void test_growth_where_the_first_lines_are_gone(void **state)
{
	unsigned lost = 0, held = 0;

	(void)state;
	for (unsigned gone = 1; gone < LEAVES; gone += 3) {
		struct audit_tree before = {0};

		for (unsigned i = 0; i < gone; i++) {
			audit_tree_add_leaf(&before, &hasher, leaves[i]);
		}
		for (unsigned old = 1; old < LEAVES; old++) {
			struct audit_proof proof;

			audit_proof_of_growth(&proof, old, LEAVES);
			audit_proof_start(&proof, &before);
			if (proof.is_lost) {
				assert_true(old < gone);
				lost++;
				continue;
			}
			for (unsigned i = gone; i < LEAVES; i++) {
				audit_proof_add(&proof, &hasher, leaves[i]);
			}
			assert_true(audit_proof_is_of(&proof, &hasher, &roots[LEAVES]));
			assert_true(is_growth(&proof, old, LEAVES));
			held++;
		}
	}
	assert_true(lost > 0 && held > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_line_of_every_tree_is_proven),
	    cmocka_unit_test(test_every_tree_goes_on_from_every_smaller_one),
	    cmocka_unit_test(
		test_the_largest_tree_has_no_more_hashes_than_there_is_room_for),
	    cmocka_unit_test(test_where_the_first_lines_are_gone),
	    cmocka_unit_test(test_growth_where_the_first_lines_are_gone),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
