/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/config/kafka_options.h"

static void set(struct kafka_options *options, int rank, const char *key,
		const char *value)
{
	struct error err = {0};

	if (kafka_options_set(options, rank, "-D ", key, value, &err) != ST_OK) {
		fail_msg("%s: %s", key, err.text);
	}
}

static void expect_refusal(const char *key, const char *value, const char *text)
{
	struct kafka_options options;
	struct error err = {0};
	enum status status;

	kafka_options_init(&options);
	status = kafka_options_set(&options, 0, "-D ", key, value, &err);
	if (status == ST_OK) {
		status = kafka_options_finish(&options, &err);
	}
	assert_int_equal(status, ST_CONFIG);
	assert_non_null(strstr(err.text, key));
	if (!strstr(err.text, text)) {
		fail_msg("\"%s\" lacks \"%s\"", err.text, text);
	}
	kafka_options_clear(&options);
}

static void test_the_higher_rank_wins_and_then_the_later_one(void **state)
{
	struct kafka_options options;
	struct error err;

	(void)state;
	kafka_options_init(&options);
	set(&options, 1, "producer.linger.ms", "5");
	set(&options, 0, "producer.linger.ms", "6");
	set(&options, 0, "producer.acks", "1");
	set(&options, 0, "producer.acks", "all");
	assert_int_equal(kafka_options_finish(&options, &err), ST_OK);
	assert_int_equal(options.producer.count, 2);
	assert_string_equal(options.producer.list[0].name, "linger.ms");
	assert_string_equal(options.producer.list[0].value, "5");
	assert_string_equal(options.producer.list[0].where, "-D producer.");
	assert_string_equal(options.producer.list[1].value, "all");
	kafka_options_clear(&options);
}

static void test_the_consumer_of_signals_has_a_family_of_its_own(void **state)
{
	struct kafka_options options;
	struct error err;

	(void)state;
	kafka_options_init(&options);
	set(&options, 0, "producer.sasl.username", "a");
	set(&options, 0, "signal.consumer.sasl.username", "b");
	(void)setenv("ROWTAIL_TEST_SECRET", "c", 1);
	set(&options, 0, "signal.consumer.sasl.password", "${env:ROWTAIL_TEST_SECRET}");
	assert_int_equal(kafka_options_finish(&options, &err), ST_OK);
	assert_int_equal(options.producer.count, 1);
	assert_int_equal(options.signals.count, 2);
	assert_string_equal(options.signals.list[0].where, "-D signal.consumer.");
	assert_string_equal(options.signals.list[0].name, "sasl.username");
	assert_string_equal(options.signals.list[0].value, "b");
	assert_string_equal(options.signals.list[1].value, "c");
	kafka_options_clear(&options);
}

static void test_topics_are_made_as_connect_names_it(void **state)
{
	struct kafka_options options;
	struct error err;

	(void)state;
	kafka_options_init(&options);
	assert_true(options.may_make_topics);
	assert_int_equal(options.partitions, -1);
	set(&options, 0, "topic.creation.enable", "false");
	set(&options, 0, "topic.creation.default.cleanup.policy", "compact");
	set(&options, 0, "topic.creation.default.partitions", "12");
	set(&options, 0, "topic.creation.default.retention.ms", "-1");
	set(&options, 0, "topic.creation.default.replication.factor", "3");
	assert_int_equal(kafka_options_finish(&options, &err), ST_OK);
	assert_false(options.may_make_topics);
	assert_int_equal(options.partitions, 12);
	assert_int_equal(options.replication_factor, 3);
	assert_int_equal(options.topics.count, 2);
	assert_string_equal(options.topics.list[0].name, "cleanup.policy");
	assert_string_equal(options.topics.list[0].value, "compact");
	assert_string_equal(options.topics.list[1].name, "retention.ms");
	kafka_options_clear(&options);
}

static void test_what_cannot_be_is_refused(void **state)
{
	(void)state;
	expect_refusal("topic.creation.default.partitions", "0", "a number from 1");
	expect_refusal("topic.creation.default.partitions", "many", "a number from 1");
	expect_refusal("topic.creation.default.partitions", "99999", "a number from 1");
	expect_refusal("topic.creation.default.replication.factor", "-2",
		       "a number from 1");
	expect_refusal("topic.creation.enable", "yes", "true or false");
	expect_refusal("topic.creation.groups", "a,b", "not built yet");
	expect_refusal("topic.creation.a.include", "x", "not built yet");
	expect_refusal("signal.consumer.sasl.password", "${env:ROWTAIL_TEST_NOT_SET}",
		       "ROWTAIL_TEST_NOT_SET");
	expect_refusal("producer.sasl.password", "${env:ROWTAIL_TEST_NOT_SET}",
		       "ROWTAIL_TEST_NOT_SET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_higher_rank_wins_and_then_the_later_one),
	    cmocka_unit_test(test_the_consumer_of_signals_has_a_family_of_its_own),
	    cmocka_unit_test(test_topics_are_made_as_connect_names_it),
	    cmocka_unit_test(test_what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
