/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sinks/audit_resume.h"

#define UUID "00112233445566778899aabbccddeeff"

/* A history of transactions up to 200, whose checksums are their LSN plus 7. */
static bool has(const void *context, uint64_t lsn, uint64_t chain)
{
	(void)context;
	return lsn <= 200 && chain == lsn + 7;
}

/* What a test begins with: all is well, and nothing was told twice. */
struct world {
	struct sink_own here;
	struct audit_own own;
	struct audit_seen seen;
};

static void world_init(struct world *w)
{
	*w = (struct world){
	    .here = {.uuid = UUID, .position = {.lsn = 100, .chain = 0}, .has = has},
	    .own = {.path = "/log/app.audit", .remembered = 50},
	    .seen = {.lines = 51,
		     .has_head = true,
		     .covered = 51,
		     .uuid = UUID,
		     .position = {.lsn = 100, .chain = 107},
		     .is_remembered = true,
		     .is_first = true,
		     .was_stopped = true}};
	w->own.here = &w->here;
}

static struct audit_decision decide(const struct world *w)
{
	struct audit_decision out;
	struct error err = {0};

	assert_int_equal(audit_resume_decide(&w->own, &w->seen, &out, &err), ST_OK);
	return out;
}

/* Refused with a line that has `text`; with --accept-gap it is told of, and nothing is
 * cut. */
static void check_refused(struct world *w, enum status status, const char *text)
{
	struct audit_decision out;
	struct error err = {0};

	w->own.accepts_gap = false;
	assert_int_equal(audit_resume_decide(&w->own, &w->seen, &out, &err), status);
	assert_non_null(strstr(err.text, text));
	assert_non_null(strstr(err.text, "--accept-gap"));
	w->own.accepts_gap = true;
	out = decide(w);
	assert_int_equal(out.verdict, SINK_GO_ON);
	assert_false(out.is_sound);
	assert_true(out.gap[0] != '\0');
}

static void test_a_run_goes_on_where_both_are(void **state)
{
	struct audit_decision out;
	struct world w;

	(void)state;
	world_init(&w);
	out = decide(&w);
	assert_int_equal(out.verdict, SINK_GO_ON);
	assert_true(out.is_sound);
	assert_false(out.starts_over);
	assert_string_equal(out.gap, "");
	w.seen.was_stopped = false;
	out = decide(&w);
	assert_non_null(strstr(out.gap, "no stop before this start"));
	assert_true(out.is_sound);
	/* The state directory is ahead: lines behind the last head are remembered. */
	w.here.position.lsn = 150;
	assert_int_equal(decide(&w).verdict, SINK_GO_ON);
}

static void test_a_log_that_is_ahead_is_gone_on_from(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.seen.lines = w.seen.covered = 60;
	w.seen.position = (struct sink_position){.lsn = 150, .chain = 157};
	assert_int_equal(decide(&w).verdict, SINK_ADOPT);
	w.seen.position =
	    (struct sink_position){.lsn = 100, .chain = 107, .messages = 3};
	assert_int_equal(decide(&w).verdict, SINK_ADOPT);
	/* But not where the history does not lead. */
	w.seen.position = (struct sink_position){.lsn = 150, .chain = 158};
	check_refused(&w, ST_CONFIG, "is older than");
	w.seen.position = (struct sink_position){.lsn = 300, .chain = 307};
	check_refused(&w, ST_CONFIG, "is older than");
}

/* Of the last head's line nobody knows whether it was altered. */
static void
test_the_position_of_a_head_that_nobody_vouches_for_is_not_asked(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.seen.position =
	    (struct sink_position){.lsn = 100, .chain = 107, .messages = 1000000};
	assert_int_equal(decide(&w).verdict, SINK_GO_ON);
	w.own.remembered = 51;
	assert_int_equal(decide(&w).verdict, SINK_GO_ON);
}

static void test_a_new_log_needs_nothing(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.seen = (struct audit_seen){0};
	check_refused(&w, ST_IO, "is not there or empty, but had 50 lines");
	w.own.remembered = 0;
	w.own.accepts_gap = false;
	assert_string_equal(decide(&w).gap, "");
	w.here.is_new = true;
	assert_int_equal(decide(&w).verdict, SINK_GO_ON);
}

static void test_a_first_start_that_ended_early_begins_again(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.own.remembered = 0;
	w.seen.has_head = false;
	w.seen.lines = 2;
	assert_true(decide(&w).starts_over);
	/* Once lines are remembered they stay. */
	w.own.remembered = 2;
	w.seen.position = (struct sink_position){0};
	assert_false(decide(&w).starts_over);
	assert_int_equal(decide(&w).verdict, SINK_GO_ON);
}

static void test_a_log_of_another_is_not_gone_on_with(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	(void)strcpy(w.seen.uuid, "another");
	check_refused(&w, ST_CONFIG, "another state directory");
	w.own.accepts_gap = false;
	w.own.remembered = w.seen.covered; /* it was accepted, and no head came since */
	assert_int_equal(decide(&w).verdict, SINK_GO_ON);
	w.seen.is_remembered = false;
	check_refused(&w, ST_CONFIG, "another state directory");
	world_init(&w);
	w.here.is_new = true;
	w.own.remembered = 0;
	check_refused(&w, ST_CONFIG, "another state directory");
}

static void test_a_log_that_was_changed_is_not_gone_on_with(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.seen.wrong = "of lines 3 to 9 some are altered";
	check_refused(&w, ST_IO, "of lines 3 to 9 some are altered");
	world_init(&w);
	w.seen.is_remembered = false;
	check_refused(&w, ST_IO, "among its first 50 lines some were altered");
	w.seen.lines = 40;
	check_refused(&w, ST_IO, "it was shortened: 40 lines of 50 are there");
}

static void test_changes_that_went_elsewhere_are_told_of(void **state)
{
	struct audit_decision out;
	struct world w;

	(void)state;
	world_init(&w);
	w.own.remembered = 0; /* another sink took its place */
	w.here.position.lsn = 180;
	out = decide(&w);
	assert_int_equal(out.verdict, SINK_GO_ON);
	assert_non_null(strstr(out.gap, "went elsewhere"));
	assert_false(out.is_sound); /* nobody knows what was acknowledged */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_run_goes_on_where_both_are),
	    cmocka_unit_test(test_a_log_that_is_ahead_is_gone_on_from),
	    cmocka_unit_test(
		test_the_position_of_a_head_that_nobody_vouches_for_is_not_asked),
	    cmocka_unit_test(test_a_new_log_needs_nothing),
	    cmocka_unit_test(test_a_first_start_that_ended_early_begins_again),
	    cmocka_unit_test(test_a_log_of_another_is_not_gone_on_with),
	    cmocka_unit_test(test_a_log_that_was_changed_is_not_gone_on_with),
	    cmocka_unit_test(test_changes_that_went_elsewhere_are_told_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
