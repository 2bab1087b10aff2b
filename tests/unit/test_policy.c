/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/archive/policy.h"

#define S 1000000000LL

/* ---- a table of archives ---- */

/* Levels of 10 s and 60 s, a snapshot each 600 s, kept for 1,200 s, level 0 for 100 s,
 * a grace of 20 s. */
static const struct policy small = {
    .level_ns = {10 * S, 60 * S},
    .level_count = 2,
    .snapshot_ns = 600 * S,
    .retention_ns = 1200 * S,
    .l0_retention_ns = 100 * S,
    .grace_ns = 20 * S,
};

/* "0:5-5@17 9:1-4@12/600": level, TXIDs (decimal), time in s, and when it was stored.
 */
static void read_list(const char *text, struct archive_list *list)
{
	struct error err;

	*list = (struct archive_list){0};
	while (*text) {
		struct archive_file file = {.size = 1000};
		long long time;
		int used;

		assert_int_equal(sscanf(text, "%u:%lu-%lu@%lld%n", &file.level,
					&file.min_txid, &file.max_txid, &time, &used),
				 4);
		text += used;
		file.time_ns = time * S;
		file.stored_ns = time * S + 1;
		if (sscanf(text, "/%lld%n", &time, &used) == 1) {
			text += used;
			file.stored_ns = time * S;
		}
		assert_int_equal(archive_list_add(list, &file, &err), ST_OK);
		text += *text == ' ';
	}
	archive_list_sort(list);
}

static void add_text(char *text, size_t size, const struct archive_file *file)
{
	size_t len = strlen(text);

	(void)snprintf(text + len, size - len, "%s%u:%d-%d", len > 0 ? " " : "",
		       file->level, (int)file->min_txid, (int)file->max_txid);
}

/* "1: 0:2-2 0:3-3": the level, and what becomes one file; "": nothing. */
static void check_next(const char *files, int64_t now, const char *expected)
{
	struct archive_list list;
	struct policy_step step;
	struct error err;
	char text[400] = "";

	read_list(files, &list);
	assert_int_equal(policy_next(&small, &list, now * S, &step, &err), ST_OK);
	if (step.input_count > 0) {
		(void)snprintf(text, sizeof text, "%u:", step.level);
	}
	for (size_t i = 0; i < step.input_count; i++) {
		add_text(text, sizeof text, step.inputs[i]);
	}
	assert_string_equal(text, expected);
	policy_step_clear(&step);
	archive_list_clear(&list);
}

static enum status removable(const char *files, int64_t now, char *text, size_t size)
{
	struct archive_list list;
	struct archive_list gone = {0};
	struct error err;
	enum status status;

	read_list(files, &list);
	*text = '\0';
	status = policy_removable(&small, &list, now * S, &gone, &err);
	for (size_t i = 0; i < gone.count; i++) {
		add_text(text, size, &gone.files[i]);
	}
	archive_list_clear(&gone);
	archive_list_clear(&list);
	return status;
}

static void check_removable(const char *files, int64_t now, const char *expected)
{
	char text[400];

	assert_int_equal(removable(files, now, text, sizeof text), ST_OK);
	assert_string_equal(text, expected);
}

/* ---- compaction ---- */

static void test_files_of_an_interval_are_merged_when_it_is_over(void **state)
{
	const char *files = "9:1-1@1000 0:2-2@1001 0:3-3@1005 0:4-4@1010";

	(void)state;
	check_next(files, 1009, "");
	check_next(files, 1010, "1: 0:2-2 0:3-3");
	check_next("9:1-1@1000 0:2-2@1001 0:3-3@1005 0:4-4@1010 1:2-3@1005", 1030, "");
}

static void test_a_file_is_never_merged_alone(void **state)
{
	(void)state;
	check_next("9:1-1@1000 0:2-2@1001", 1100, "");
	/* It waits for the next one, and the end of that one's interval. */
	check_next("9:1-1@1000 0:2-2@1001 0:3-3@1042 0:4-4@1043", 1049, "");
	check_next("9:1-1@1000 0:2-2@1001 0:3-3@1042 0:4-4@1043 0:5-5@1050", 1050,
		   "1: 0:2-2 0:3-3 0:4-4");
}

static void test_what_waited_is_merged_interval_by_interval(void **state)
{
	(void)state;
	check_next("9:1-1@1000 0:2-2@1001 0:3-3@1005 0:4-4@1011 0:5-5@1012", 5000,
		   "1: 0:2-2 0:3-3");
	check_next("9:1-1@1000 0:2-2@1001 0:3-3@1005 0:4-4@1011 0:5-5@1012 1:2-3@1005",
		   1100, "1: 0:4-4 0:5-5");
}

static void test_higher_levels_are_made_of_the_level_below(void **state)
{
	const char *files = "9:1-1@1200 1:2-3@1205 1:4-6@1211 1:7-9@1262";

	(void)state;
	check_next(files, 1259, "");
	check_next(files, 1260, "2: 1:2-3 1:4-6");
}

static void test_nothing_is_merged_across_a_break_or_with_a_whole_database(void **state)
{
	(void)state;
	/* The page size changed at 4: a new base, and no file of level 0. */
	check_next("0:1-1@1000 0:2-2@1001 0:3-3@1002 9:1-4@1003 0:5-5@1004 "
		   "0:6-6@1005",
		   1010, "1: 0:2-2 0:3-3");
	check_next("0:1-1@1000 0:2-2@1001 0:3-3@1002 9:1-4@1003 0:5-5@1004 "
		   "0:6-6@1005 1:2-3@1002",
		   1010, "1: 0:5-5 0:6-6");
	check_next("9:1-2@1000 0:3-3@1001 9:1-4@1002 0:5-5@1003 0:6-6@1004", 1010,
		   "1: 0:5-5 0:6-6");
}

static void test_many_files_are_merged_before_their_time(void **state)
{
	struct archive_list list = {0};
	struct policy_step step;
	struct error err;

	(void)state;
	for (unsigned level = 0; level < POLICY_LEVELS; level++) {
		for (uint64_t i = 0; i < POLICY_FILES + 5; i++) {
			const struct archive_file file = {.level = level,
							  .min_txid = i + 2,
							  .max_txid = i + 2,
							  .time_ns = 1001 * S,
							  .size = 1};

			assert_int_equal(
			    policy_next(&small, &list, 1002 * S, &step, &err), ST_OK);
			assert_int_equal(step.input_count,
					 i < POLICY_FILES ? 0 : POLICY_FILES);
			assert_true(step.input_count == 0 || step.level == level + 1);
			policy_step_clear(&step);
			assert_int_equal(archive_list_add(&list, &file, &err), ST_OK);
		}
		archive_list_clear(&list);
	}
}

/* ---- snapshots ---- */

static void test_a_snapshot_is_of_the_newest_state_before_its_time(void **state)
{
	const char *files = "9:1-1@1000 0:2-2@1190 0:3-3@1210";

	(void)state;
	check_next(files, 1199, "");
	check_next(files, 1211, "9: 9:1-1 0:2-2");
	check_next("9:1-1@1000 0:2-2@1190 0:3-3@1210 9:1-2@1190", 1215, "");
	/* Nothing has changed: none is made. */
	check_next("9:1-1@1000", 9000, "");
}

static void test_an_archive_without_a_snapshot_gets_one(void **state)
{
	(void)state;
	check_next("0:1-1@1000 0:2-2@1001", 1205, "9: 0:1-1 0:2-2");
	/* What cannot be reached is no state. */
	check_next("0:2-2@1001 0:4-4@1002", 1205, "");
}

/* ---- retention ---- */

static void test_level_0_goes_when_it_is_old_and_covered(void **state)
{
	const char *files = "9:1-1@1000 0:2-2@1001 0:3-3@1005 0:4-4@1010 0:5-5@1011 "
			    "1:2-3@1005/1010";

	(void)state;
	check_removable(files, 1105, "");
	check_removable(files, 1106, "0:3-3 0:2-2");
	check_removable(files, 1500, "0:3-3 0:2-2");
	/* The grace of what covers it. */
	check_removable("9:1-1@1000 0:2-2@1001 0:3-3@1005 0:4-4@1010 1:2-3@1005/1490",
			1500, "");
	check_removable("9:1-1@1000 0:2-2@1001 0:3-3@1005 0:4-4@1010 1:2-3@1005/0",
			1500, "");
	/* The last one stays. */
	check_removable("9:1-1@1000 0:2-2@1001 0:3-3@1005 1:2-3@1005", 1500, "0:2-2");
}

static void test_what_is_before_old_snapshots_goes_but_one(void **state)
{
	const char *files = "9:1-1@1000 0:2-2@1001 1:2-3@1002 0:3-3@1002 9:1-3@1300 "
			    "0:4-4@1301 9:1-4@1600 0:5-5@1900";

	(void)state;
	check_removable(files, 2750, "0:3-3 0:2-2");
	/* 1-3 is the spare one of 1-4. */
	check_removable(files, 2801, "0:3-3 1:2-3 0:2-2 9:1-1");
	check_removable("9:1-1@1000 9:1-3@1300 9:1-4@1600/2790", 2801, "");
	/* The newest snapshots stay, however old they are. */
	check_removable("9:1-1@1000 9:1-3@1300", 99999, "");
	check_removable("9:1-1@1000 9:1-3@1300 9:1-4@1600", 99999, "9:1-1");
}

static void test_before_a_gap_nothing_goes(void **state)
{
	char text[400];

	(void)state;
	assert_int_equal(removable("9:1-1@1000 9:1-3@1300 9:1-4@1600 0:6-6@1700", 99999,
				   text, sizeof text),
			 ST_CORRUPT);
	assert_string_equal(text, "");
	check_removable("9:1-1@1000 9:1-3@1300 9:1-4@1600 9:1-6@1700", 99999,
			"9:1-3 9:1-1");
}

static void test_what_would_cost_a_state_does_not_go(void **state)
{
	char text[400];

	(void)state;
	/* 2:2-5 covers 0:2-2, but 1:3-4 needs it. */
	assert_int_equal(removable("9:1-1@1000 0:2-2@1001 1:3-4@1003 2:2-5@1004 "
				   "0:6-6@1005",
				   1500, text, sizeof text),
			 ST_CORRUPT);
	assert_string_equal(text, "");
}

static void test_what_is_kept_for_ever_stays(void **state)
{
	struct policy policy = small;
	struct archive_list list;
	struct archive_list gone = {0};
	struct error err;

	(void)state;
	policy.retention_ns = 0;
	policy.l0_retention_ns = 0;
	read_list("9:1-1@1000 0:2-2@1001 0:3-3@1002 1:2-3@1002 9:1-3@1300 9:1-4@1600",
		  &list);
	assert_int_equal(policy_removable(&policy, &list, 99999 * S, &gone, &err),
			 ST_OK);
	assert_int_equal(gone.count, 0);
	archive_list_clear(&list);
}

/* ---- a random walk ---- */

#define STATES 6000u

struct walk {
	struct archive_list list;
	int64_t now_ns;
	uint64_t txid;
	int64_t times[STATES + 1];  /* of each state; 0: there is none */
	bool is_level1[STATES + 1]; /* it is the end of a compacted file */
	uint32_t random;
	struct error err;
};

static uint32_t draw(struct walk *w, uint32_t below)
{
	w->random = w->random * 1664525u + 1013904223u;
	return (w->random >> 8) % below;
}

static void add(struct walk *w, unsigned level, uint64_t min, uint64_t max)
{
	const struct archive_file file = {.level = level,
					  .min_txid = min,
					  .max_txid = max,
					  .time_ns = w->times[max],
					  .stored_ns = w->now_ns,
					  .size = 1000};

	assert_int_equal(archive_list_add(&w->list, &file, &w->err), ST_OK);
	archive_list_sort(&w->list);
}

static bool can_plan(struct walk *w, uint64_t txid, size_t *files)
{
	const struct when when = {.kind = WHEN_TXID, .txid = txid};
	struct plan plan;

	if (plan_init(&plan, &w->list, &when, &w->err) != ST_OK) {
		return false;
	}
	*files = plan.count;
	plan_clear(&plan);
	return true;
}

/* Each state that is promised can be planned, or one of a sample of them. */
static void check_promises(struct walk *w, uint32_t one_of)
{
	size_t files = 0;

	for (uint64_t txid = 1; txid <= w->txid; txid++) {
		int64_t age_ns = w->now_ns - w->times[txid];
		bool is_promised =
		    w->times[txid] > 0 && (txid == w->txid || age_ns <= 100 * S ||
					   (w->is_level1[txid] && age_ns <= 1200 * S));

		if (is_promised && (txid == w->txid || draw(w, one_of) == 0)) {
			if (!can_plan(w, txid, &files)) {
				fail_msg("at %d s: %s", (int)(w->now_ns / S),
					 w->err.text);
			}
			assert_true(files < 500);
		}
	}
}

static void check_no_gap(struct walk *w)
{
	struct moments moments;

	assert_int_equal(moments_init(&moments, &w->list, &w->err), ST_OK);
	for (size_t i = 0; i < moments.count; i++) {
		assert_true(moments.all[i].is_reachable);
	}
	moments_clear(&moments);
}

static void commit(struct walk *w)
{
	uint64_t first = w->txid + 1;

	/* One file may have several transactions. */
	w->txid += 1 + (draw(w, 8) == 0 ? draw(w, 5) : 0);
	w->times[w->txid] = w->now_ns;
	if (draw(w, 200) == 0) {
		add(w, 9, 1, w->txid); /* another page size */
	} else {
		add(w, 0, first, w->txid);
	}
}

static void do_steps(struct walk *w)
{
	for (;;) {
		struct policy_step step;

		if (policy_next(&small, &w->list, w->now_ns, &step, &w->err) != ST_OK) {
			fail_msg("at %d s: %s", (int)(w->now_ns / S), w->err.text);
		}
		if (step.input_count == 0) {
			policy_step_clear(&step);
			return;
		}
		assert_true(step.input_count > 1);
		assert_true(step.input_count <= POLICY_FILES || step.level == 9);
		w->is_level1[step.inputs[step.input_count - 1]->max_txid] = true;
		add(w, step.level, step.inputs[0]->min_txid,
		    step.inputs[step.input_count - 1]->max_txid);
		policy_step_clear(&step);
		if (draw(w, 10) == 0) {
			return; /* it was killed */
		}
	}
}

static void remove_file(struct walk *w, const struct archive_file *file)
{
	for (size_t i = 0; i < w->list.count; i++) {
		if (memcmp(&w->list.files[i], file, sizeof *file) == 0) {
			memmove(w->list.files + i, w->list.files + i + 1,
				(--w->list.count - i) * sizeof *file);
			return;
		}
	}
	fail_msg("it is not there");
}

static void remove_some(struct walk *w)
{
	struct archive_list gone = {0};

	if (policy_removable(&small, &w->list, w->now_ns, &gone, &w->err) != ST_OK) {
		fail_msg("at %d s: %s", (int)(w->now_ns / S), w->err.text);
	}
	for (size_t i = 0; i < gone.count; i++) {
		remove_file(w, &gone.files[i]);
		check_no_gap(w);
		check_promises(w, 50);
		if (draw(w, 100) == 0) {
			break; /* it was killed */
		}
	}
	archive_list_clear(&gone);
}

static void walk(uint32_t seed, size_t *removed)
{
	struct walk *w = calloc(1, sizeof *w);
	size_t added = 0;

	assert_non_null(w);
	w->random = seed;
	w->now_ns = 100000 * S;
	w->txid = 1 + draw(w, 3);
	w->times[w->txid] = w->now_ns;
	add(w, 9, 1, w->txid);
	while (w->txid < STATES - 200) {
		uint32_t kind = draw(w, 40);
		uint32_t count = kind == 0 ? draw(w, 150) : 1;

		/* A burst, a pause, a long one; else one after the other. */
		for (uint32_t i = 0; i < count; i++) {
			w->now_ns += draw(w, 20) * S / (kind == 0 ? 1000 : 10);
			commit(w);
		}
		w->now_ns += kind == 1 ? draw(w, 100) * S : 0;
		w->now_ns += kind == 2 && draw(w, 20) == 0 ? draw(w, 5000) * S : 0;
		added += w->list.count;
		do_steps(w);
		check_promises(w, 50);
		if (draw(w, 10) == 0) {
			remove_some(w);
		}
	}
	check_no_gap(w);
	*removed += w->list.count < STATES / 2;
	archive_list_clear(&w->list);
	free(w);
	assert_true(added > 0);
}

static void test_after_each_step_what_is_promised_can_be_planned(void **state)
{
	size_t removed = 0;

	(void)state;
	for (uint32_t seed = 1; seed <= 3; seed++) {
		print_message("seed %u\n", (unsigned)seed);
		walk(seed, &removed);
		if (getenv("ROWTAIL_TEST_WRAPPED")) { /* a minute of valgrind */
			return;
		}
	}
	assert_true(removed > 0);
}

static void test_the_defaults_are_those_of_the_manual(void **state)
{
	const struct policy policy = policy_default();

	(void)state;
	assert_int_equal(policy.level_count, 3);
	assert_int_equal(policy.level_ns[2] / S, 3600);
	assert_int_equal(policy.snapshot_ns / S, 24 * 3600);
	assert_true(policy.grace_ns >= POLICY_GRACE_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_files_of_an_interval_are_merged_when_it_is_over),
	    cmocka_unit_test(test_a_file_is_never_merged_alone),
	    cmocka_unit_test(test_what_waited_is_merged_interval_by_interval),
	    cmocka_unit_test(test_higher_levels_are_made_of_the_level_below),
	    cmocka_unit_test(
		test_nothing_is_merged_across_a_break_or_with_a_whole_database),
	    cmocka_unit_test(test_many_files_are_merged_before_their_time),
	    cmocka_unit_test(test_a_snapshot_is_of_the_newest_state_before_its_time),
	    cmocka_unit_test(test_an_archive_without_a_snapshot_gets_one),
	    cmocka_unit_test(test_level_0_goes_when_it_is_old_and_covered),
	    cmocka_unit_test(test_what_is_before_old_snapshots_goes_but_one),
	    cmocka_unit_test(test_before_a_gap_nothing_goes),
	    cmocka_unit_test(test_what_would_cost_a_state_does_not_go),
	    cmocka_unit_test(test_what_is_kept_for_ever_stays),
	    cmocka_unit_test(test_after_each_step_what_is_promised_can_be_planned),
	    cmocka_unit_test(test_the_defaults_are_those_of_the_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
