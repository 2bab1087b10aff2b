/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/audit/tree.h"

static void check_hash(const struct audit_hash *hash, const char *hex)
{
	char text[2 * AUDIT_HASH_BYTES + 1];

	for (size_t i = 0; i < AUDIT_HASH_BYTES; i++) {
		(void)snprintf(text + 2 * i, 3, "%02x", hash->bytes[i]);
	}
	assert_string_equal(text, hex);
}

/* The leaves and roots that implementations of Certificate Transparency test with. */
static void test_roots_are_those_of_rfc_6962(void **state)
{
	static const char *const leaves[] = {
	    "",
	    "\x00",
	    "\x10",
	    "\x20\x21",
	    "\x30\x31",
	    "\x40\x41\x42\x43",
	    "\x50\x51\x52\x53\x54\x55\x56\x57",
	    "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f"};
	static const size_t lens[] = {0, 1, 1, 2, 2, 4, 8, 16};
	static const char *const roots[] = {
	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
	    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
	    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
	    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
	    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
	struct audit_tree tree = {0};
	struct audit_hasher hasher;
	struct audit_hash root;
	struct error err;

	(void)state;
	assert_int_equal(audit_hasher_open(&hasher, &err), ST_OK);
	for (size_t i = 0; i <= 8; i++) {
		assert_int_equal(tree.count, i);
		root = audit_tree_root(&tree, &hasher);
		check_hash(&root, roots[i]);
		if (i < 8) {
			audit_tree_add(&tree, &hasher, leaves[i], lens[i]);
		}
	}
	assert_int_equal(tree.root_count, 1); /* eight leaves are one perfect tree */
	assert_false(hasher.failed);
	audit_hasher_close(&hasher);
}

static void test_a_copy_of_a_tree_goes_its_own_way(void **state)
{
	struct audit_tree tree = {0}, copy;
	struct audit_hasher hasher;
	struct audit_hash one, other;
	struct error err;

	(void)state;
	assert_int_equal(audit_hasher_open(&hasher, &err), ST_OK);
	for (int i = 0; i < 1000; i++) {
		audit_tree_add(&tree, &hasher, "line", 4);
	}
	copy = tree;
	audit_tree_add(&tree, &hasher, "a", 1);
	audit_tree_add(&copy, &hasher, "b", 1);
	one = audit_tree_root(&tree, &hasher);
	other = audit_tree_root(&copy, &hasher);
	assert_false(audit_hash_is(&one, &other));
	assert_true(audit_hash_is(&one, &one));
	audit_hasher_close(&hasher);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_roots_are_those_of_rfc_6962),
	    cmocka_unit_test(test_a_copy_of_a_tree_goes_its_own_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
