/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/deliver/resume.h"

static const struct sink_position theirs = {.lsn = 200,
					    .chain = 207,
					    .messages = 5,
					    .change_id = 60,
					    .txn_change_id = 55,
					    .previous_lsn = 100,
					    .settings_hash = 77};

static void test_an_adopted_record_is_the_position(void **state)
{
	struct state_position position = {.in_snapshot = true, .sink_inode = 9};

	(void)state;
	resume_adopt(&theirs, &position);
	assert_int_equal(position.lsn, 200);
	assert_false(position.in_snapshot);
	assert_int_equal(position.messages, 5);
	assert_int_equal(position.change_id, 60);
	assert_int_equal(position.txn_change_id, 55);
	assert_int_equal(position.previous_lsn, 100);
	assert_int_equal(position.settings_hash, 77);
	assert_int_equal(position.sink_inode, 9);
	assert_true(position.in_sink);
}

static void test_what_is_told_is_what_is_adopted(void **state)
{
	struct state_position position = {.in_snapshot = true};
	struct sink_position told;

	(void)state;
	memset(&told, 0xff, sizeof told);
	resume_adopt(&theirs, &position);
	resume_tell(&position, 207, &told);
	assert_int_equal(told.lsn, theirs.lsn);
	assert_int_equal(told.chain, theirs.chain);
	assert_int_equal(told.in_snapshot, theirs.in_snapshot);
	assert_int_equal(told.messages, theirs.messages);
	assert_int_equal(told.change_id, theirs.change_id);
	assert_int_equal(told.txn_change_id, theirs.txn_change_id);
	assert_int_equal(told.previous_lsn, theirs.previous_lsn);
	assert_int_equal(told.settings_hash, theirs.settings_hash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_adopted_record_is_the_position),
	    cmocka_unit_test(test_what_is_told_is_what_is_adopted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
