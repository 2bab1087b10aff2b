/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/clock.h"
#include "src/base/health.h"
#include "src/base/metrics.h"

/* The whole text, which the caller frees. */
static char *text_now(void)
{
	struct buffer out;

	buffer_init(&out);
	metrics_add_text(&out);
	buffer_add_char(&out, '\0');
	assert_true(buffer_ok(&out));
	return out.bytes;
}

static bool text_has(const char *line)
{
	char *text = text_now();
	bool has = strstr(text, line) != NULL;

	free(text);
	return has;
}

static void test_counters_add_up_and_gauges_are_set(void **state)
{
	(void)state;
	assert_true(text_has("\nrowtail_messages_total 0\n"));
	metrics_count(METRIC_MESSAGES, 3);
	metrics_count_alone(METRIC_MESSAGES, 4);
	metrics_set(METRIC_WAL_BYTES, 12);
	metrics_set(METRIC_WAL_BYTES, 11);
	assert_true(text_has("# TYPE rowtail_messages_total counter\n"
			     "rowtail_messages_total 7\n"));
	assert_true(text_has("# TYPE rowtail_wal_bytes gauge\nrowtail_wal_bytes 11\n"));
	assert_int_equal(metrics_get(METRIC_MESSAGES), 7);
}

static void test_a_time_is_in_the_first_bucket_that_holds_it_and_all_above(void **state)
{
	(void)state;
	metrics_took(METRIC_GATE_TIME, 10 * NS_PER_US); /* a bound is in its bucket */
	metrics_took(METRIC_GATE_TIME, 10 * NS_PER_US + 1);
	metrics_took(METRIC_GATE_TIME, -5);
	metrics_took(METRIC_GATE_TIME, 3000 * NS_PER_S);
	assert_true(text_has("rowtail_gate_seconds_bucket{le=\"1e-05\"} 2\n"));
	assert_true(text_has("rowtail_gate_seconds_bucket{le=\"2.5e-05\"} 3\n"));
	assert_true(text_has("rowtail_gate_seconds_bucket{le=\"300\"} 3\n"));
	assert_true(text_has("rowtail_gate_seconds_bucket{le=\"+Inf\"} 4\n"));
	assert_true(text_has("rowtail_gate_seconds_sum 3000.000020001\n"));
	assert_true(text_has("rowtail_gate_seconds_count 4\n"));
}

static void test_events_are_counted_where_they_are_wanted_alone(void **state)
{
	(void)state;
	assert_null(metrics_events_of("t"));
	metrics_event(NULL, METRICS_CREATE);
	metrics_want_events();
	metrics_event(metrics_events_of("t"), METRICS_CREATE);
	metrics_event(metrics_events_of("t"), METRICS_CREATE);
	metrics_event(metrics_events_of("t"), METRICS_READ);
	assert_true(text_has("\nrowtail_events_total{table=\"t\",op=\"c\"} 2\n"));
	assert_true(text_has("\nrowtail_events_total{table=\"t\",op=\"r\"} 1\n"));
	assert_false(text_has("table=\"t\",op=\"d\""));
}

static void test_names_that_are_shown_alike_are_counted_together(void **state)
{
	(void)state;
	assert_ptr_equal(metrics_events_of("a\nb"), metrics_events_of("a\tb"));
	assert_ptr_not_equal(metrics_events_of("a\\b"), metrics_events_of("a\"b"));
	metrics_event(metrics_events_of("a\"\\b"), METRICS_DELETE);
	assert_true(text_has("{table=\"a\\\"\\\\b\",op=\"d\"} 1\n"));
}

static void test_tables_past_the_most_are_one(void **state)
{
	const struct metrics_events *other;
	char name[32];

	(void)state;
	for (int i = 0; i < METRICS_TABLES; i++) {
		(void)snprintf(name, sizeof name, "many%d", i);
		assert_non_null(metrics_events_of(name));
	}
	other = metrics_events_of("too many");
	assert_ptr_equal(other, metrics_events_of("and another"));
	assert_ptr_not_equal(other, metrics_events_of("many0"));
	metrics_event(metrics_events_of("too many"), METRICS_UPDATE);
	assert_true(text_has("\nrowtail_events_total{op=\"u\"} 1\n"));
}

/* ---- src/base/health.h ---- */

#define SHORT_NS (5 * NS_PER_MS)

static const char *ill(int64_t most_ns)
{
	static char why[512];

	return health_is_well(most_ns, why, sizeof why) ? "" : why;
}

static void test_a_part_that_stands_still_is_ill_after_a_while(void **state)
{
	(void)state;
	assert_string_equal(ill(SHORT_NS), "");
	for (enum health_part part = HEALTH_CAPTURE; part < HEALTH_PARTS; part++) {
		health_say(part, "no\nroom");
		assert_string_equal(ill(NS_PER_H), "");
		clock_sleep_ns(2 * SHORT_NS);
		health_say(part, "no\nroom"); /* does not begin anew */
		assert_non_null(strstr(ill(SHORT_NS), "s: no?room"));
		health_say(part, NULL);
		assert_string_equal(ill(SHORT_NS), "");
	}
}

static void test_a_run_that_does_not_follow_is_ill_at_once(void **state)
{
	(void)state;
	health_say(HEALTH_RUN, "starting");
	assert_non_null(strstr(ill(NS_PER_H), "not following"));
	health_say(HEALTH_RUN, NULL);
	assert_string_equal(ill(NS_PER_H), "");
}

static void test_a_beat_that_stops_is_ill_and_none_at_all_is_not(void **state)
{
	(void)state;
	health_beat_on(); /* of nobody who looks */
	assert_int_equal(health_beat_age_ns(), 0);
	health_beat();
	assert_string_equal(ill(NS_PER_H), "");
	clock_sleep_ns(2 * SHORT_NS);
	assert_true(health_beat_age_ns() >= SHORT_NS);
	assert_non_null(strstr(ill(SHORT_NS), "capture thread"));
	health_no_beat();
	assert_string_equal(ill(SHORT_NS), "");
}

static void test_what_waits_too_long_is_ill(void **state)
{
	(void)state;
	health_oldest(clock_wall_ns() - 10 * NS_PER_S);
	assert_true(health_lag_ns() >= 10 * NS_PER_S);
	assert_non_null(strstr(ill(NS_PER_S), "oldest transaction"));
	assert_string_equal(ill(NS_PER_H), "");
	health_oldest(0);
	assert_int_equal(health_lag_ns(), 0);
	assert_string_equal(ill(NS_PER_S), "");
	health_oldest(clock_wall_ns() + NS_PER_H); /* a clock that was set back */
	assert_true(health_lag_ns() < NS_PER_H);
	clock_sleep_ns(SHORT_NS);
	assert_true(health_lag_ns() >= SHORT_NS);
	health_oldest(0);
}

static void test_a_snapshot_that_does_not_go_on_is_ill(void **state)
{
	(void)state;
	health_goes_on(); /* there is none */
	clock_sleep_ns(2 * SHORT_NS);
	assert_string_equal(ill(SHORT_NS), "");
	health_snapshot(true);
	assert_string_equal(ill(NS_PER_H), "");
	clock_sleep_ns(2 * SHORT_NS);
	assert_non_null(strstr(ill(SHORT_NS), "the snapshot has not gone on"));
	health_goes_on();
	assert_string_equal(ill(NS_PER_H), "");
	health_snapshot(false);
	clock_sleep_ns(2 * SHORT_NS);
	assert_string_equal(ill(SHORT_NS), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_counters_add_up_and_gauges_are_set),
	    cmocka_unit_test(
		test_a_time_is_in_the_first_bucket_that_holds_it_and_all_above),
	    cmocka_unit_test(test_events_are_counted_where_they_are_wanted_alone),
	    cmocka_unit_test(test_names_that_are_shown_alike_are_counted_together),
	    cmocka_unit_test(test_tables_past_the_most_are_one),
	    cmocka_unit_test(test_a_part_that_stands_still_is_ill_after_a_while),
	    cmocka_unit_test(test_a_run_that_does_not_follow_is_ill_at_once),
	    cmocka_unit_test(test_a_beat_that_stops_is_ill_and_none_at_all_is_not),
	    cmocka_unit_test(test_what_waits_too_long_is_ill),
	    cmocka_unit_test(test_a_snapshot_that_does_not_go_on_is_ill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
