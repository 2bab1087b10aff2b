/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/deliver/repeats.h"

/* What find_snapshots answers, and was asked. */
static struct answer {
	bool is_found;
	struct snapshot_moment at;
	uint64_t begun[8];
	size_t begun_count;
	enum status status;
	struct snapshot_moment asked_at;
	bool asked_keeps_later;
} answer;

static enum status find_snapshots(struct kept_position *kept, struct snapshot_moment at,
				  bool keeps_later, struct snapshot_found *found,
				  struct error *err)
{
	(void)kept;
	answer.asked_at = at;
	answer.asked_keeps_later = keeps_later;
	if (answer.status != ST_OK) {
		return error_set(err, answer.status, "no");
	}
	found->is_found = answer.is_found;
	found->at = answer.at;
	buffer_reset(&found->begun);
	buffer_add(&found->begun, answer.begun,
		   answer.begun_count * sizeof *answer.begun);
	return ST_OK;
}

static struct kept_position kept_at(uint64_t lsn, uint64_t chunks, uint64_t found_lsn)
{
	return (struct kept_position){.position = {.lsn = lsn, .chunks = chunks},
				      .found_lsn = found_lsn,
				      .find_snapshots = find_snapshots};
}

static void begin(struct repeats *repeats, struct kept_position *kept)
{
	struct error err;

	repeats_init(repeats);
	assert_int_equal(repeats_find(repeats, kept, true, &err), ST_OK);
}

static void answer_begun(size_t count, const uint64_t *lsns)
{
	answer = (struct answer){.begun_count = count};
	memcpy(answer.begun, lsns, count * sizeof *lsns);
}

static void test_nothing_to_repeat(void **state)
{
	struct kept_position kept = kept_at(10, 0, 10);
	struct repeats repeats;

	(void)state;
	answer = (struct answer){.is_found = false};
	begin(&repeats, &kept);
	assert_int_equal(answer.asked_at.lsn, 10);
	assert_true(answer.asked_keeps_later);
	assert_false(repeats_has_chunk(&repeats));
	assert_false(repeats_owes_chunk(&repeats, UINT64_MAX));
	assert_false(repeats_go_on(&repeats, 10));
	assert_false(repeats.is_asked_lost);
	repeats_done_chunk(&repeats);
	repeats_drop_chunks(&repeats);
	assert_false(repeats_has_chunk(&repeats));
	repeats_clear(&repeats);
}

static void test_a_position_without_a_journal(void **state)
{
	struct kept_position kept = kept_at(10, 0, 0);
	struct repeats repeats;

	(void)state;
	answer = (struct answer){.is_found = false};
	begin(&repeats, &kept);
	assert_false(repeats_go_on(&repeats, 10));
	repeats_clear(&repeats);
}

static void test_transactions_up_to_the_last_captured(void **state)
{
	struct kept_position kept = kept_at(10, 0, 13);
	struct repeats repeats;

	(void)state;
	answer = (struct answer){.is_found = false};
	begin(&repeats, &kept);
	assert_true(repeats_go_on(&repeats, 10));
	assert_true(repeats_go_on(&repeats, 12));
	assert_false(repeats_go_on(&repeats, 13));
	assert_true(
	    repeats_end(&repeats, 11)); /* it is known that no more was handed over */
	assert_true(repeats_go_on(&repeats, 10));
	assert_false(repeats_go_on(&repeats, 11));
	repeats_clear(&repeats);
}

/* Of transactions that may have been merged since none was handed over. */
static void test_not_behind_what_was_handed_over(void **state)
{
	static const struct {
		uint64_t unhanded, to;
	} pairs[] = {{0, 20}, {13, 12}, {20, 19}, {21, 20}, {11, 10}};

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct kept_position kept = kept_at(10, 0, 20);
		struct repeats repeats;

		kept.position.unhanded_lsn = pairs[i].unhanded;
		answer = (struct answer){.is_found = false};
		begin(&repeats, &kept);
		assert_true(repeats_go_on(&repeats, pairs[i].to - 1));
		assert_false(repeats_go_on(&repeats, pairs[i].to));
		repeats_clear(&repeats);
	}
}

static void test_chunks_between_transactions(void **state)
{
	struct kept_position kept = kept_at(10, 0, 12);
	struct repeats repeats;

	(void)state;
	answer_begun(4, (const uint64_t[]){10, 10, 12, 12});
	begin(&repeats, &kept);
	assert_true(repeats_has_chunk(&repeats));
	assert_false(repeats_end(&repeats, 10));
	assert_true(repeats_go_on(&repeats, 11));
	assert_false(repeats_owes_chunk(&repeats, 9));
	assert_true(repeats_owes_chunk(&repeats, 10));
	repeats_done_chunk(&repeats);
	assert_true(repeats_owes_chunk(&repeats, 10));
	repeats_done_chunk(&repeats);
	assert_false(repeats_owes_chunk(&repeats, 10));
	assert_false(repeats_owes_chunk(&repeats, 11));
	assert_true(repeats_go_on(&repeats, 11));
	assert_true(repeats_owes_chunk(&repeats, 12));
	repeats_done_chunk(&repeats);
	assert_true(repeats_go_on(&repeats, 12)); /* the last chunk */
	repeats_done_chunk(&repeats);
	assert_false(repeats_has_chunk(&repeats));
	assert_false(repeats_go_on(&repeats, 12));
	repeats_done_chunk(&repeats); /* one that is new */
	assert_false(repeats_has_chunk(&repeats));
	repeats_clear(&repeats);
}

/* A power cut has taken the transactions that they came behind. */
static void test_chunks_behind_the_end_of_the_journal(void **state)
{
	struct kept_position kept = kept_at(10, 0, 12);
	struct repeats repeats;

	(void)state;
	answer_begun(4, (const uint64_t[]){11, 12, 13, 14});
	begin(&repeats, &kept);
	repeats_done_chunk(&repeats);
	assert_true(repeats_has_chunk(&repeats));
	repeats_done_chunk(&repeats);
	assert_false(repeats_has_chunk(&repeats));
	assert_false(repeats_owes_chunk(&repeats, UINT64_MAX));
	repeats_clear(&repeats);

	/* All of the journal, behind a position that stands. */
	kept = kept_at(10, 0, 0);
	answer_begun(2, (const uint64_t[]){10, 11});
	begin(&repeats, &kept);
	assert_true(repeats_owes_chunk(&repeats, 10));
	repeats_done_chunk(&repeats);
	assert_false(repeats_has_chunk(&repeats));
	repeats_clear(&repeats);
}

static void test_dropping_all(void **state)
{
	struct kept_position kept = kept_at(10, 0, 12);
	struct repeats repeats;

	(void)state;
	answer_begun(3, (const uint64_t[]){10, 11, 12});
	begin(&repeats, &kept);
	repeats_done_chunk(&repeats);
	repeats_drop_chunks(&repeats);
	assert_false(repeats_has_chunk(&repeats));
	assert_true(repeats_go_on(&repeats, 11)); /* the transactions are to come */
	assert_false(repeats_go_on(&repeats, 12));
	repeats_clear(&repeats);
}

static void test_what_was_asked_for_is_lost(void **state)
{
	struct repeats repeats;

	(void)state;
	for (int i = 0; i < 6; i++) {
		bool is_found = i % 2 == 1;
		uint64_t of_file = is_found ? (uint64_t)i / 2 : 0;
		struct kept_position kept = kept_at(10, 1, 12);

		answer = (struct answer){.is_found = is_found, .at = {10, of_file}};
		begin(&repeats, &kept);
		assert_int_equal(repeats.is_asked_lost, of_file != 1);
		repeats_clear(&repeats);
	}
}

static void test_other_settings_and_errors(void **state)
{
	struct kept_position kept = kept_at(10, 0, 12);
	struct repeats repeats;
	struct error err;

	(void)state;
	answer = (struct answer){.is_found = false};
	repeats_init(&repeats);
	assert_int_equal(repeats_find(&repeats, &kept, false, &err), ST_OK);
	assert_false(answer.asked_keeps_later);
	repeats_clear(&repeats);
	repeats_init(&repeats);
	answer.status = ST_IO;
	assert_int_equal(repeats_find(&repeats, &kept, true, &err), ST_IO);
	assert_false(repeats_has_chunk(&repeats));
	repeats_clear(&repeats);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_to_repeat),
	    cmocka_unit_test(test_a_position_without_a_journal),
	    cmocka_unit_test(test_transactions_up_to_the_last_captured),
	    cmocka_unit_test(test_not_behind_what_was_handed_over),
	    cmocka_unit_test(test_chunks_between_transactions),
	    cmocka_unit_test(test_chunks_behind_the_end_of_the_journal),
	    cmocka_unit_test(test_dropping_all),
	    cmocka_unit_test(test_what_was_asked_for_is_lost),
	    cmocka_unit_test(test_other_settings_and_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
