/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sinks/kafka_sink.h"
#include "sinks/sink_settings.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "tests/lib/mock_kafka.h"

#define POSITIONS "__rowtail-position.app"
#define CAP       2000

/* Of the Kafka protocol. */
enum { API_PRODUCE = 0, API_ADD_PARTITIONS = 24, API_END_TXN = 26 };

struct rig {
	struct mock_kafka mock;
	struct sink_settings settings;
	struct kafka_found found; /* of the start */
	struct sink *sink;
	_Atomic int stop;
	uint64_t put;          /* messages: the position's lsn */
	uint64_t acknowledged; /* the same when that was called last */
	unsigned acknowledgements;
	struct mock_record *records;
};

static void position_of(void *context, struct sink_position *out)
{
	const struct rig *rig = context;

	out->lsn = rig->put;
	out->chain = UINT64_C(0xfedcba9876543210);
	out->previous_lsn = SINK_NO_LSN;
	out->change_id = rig->put;
}

static enum status note_acknowledged(void *context, bool durable, struct error *err)
{
	struct rig *rig = context;

	(void)durable;
	(void)err;
	rig->acknowledged = rig->put;
	rig->acknowledgements++;
	return ST_OK;
}

static void rig_prepare(struct rig *rig)
{
	log_setup(getenv("ROWTAIL_TEST_VERBOSE") ? LOG_DEBUG : LOG_ERROR, false);
	*rig = (struct rig){.records = calloc(CAP, sizeof *rig->records)};
	assert_non_null(rig->records);
	mock_kafka_open(&rig->mock);
	rig->settings = (struct sink_settings){
	    .target = rig->mock.address,
	    .prefix = "app",
	    .delimiter = ".",
	    .topics = {.partitions = -1, .replication_factor = -1},
	    .exactly_once = true,
	    .state_path = "/data/state",
	    .stop = &rig->stop,
	    .patience_ns = 30 * NS_PER_S,
	    .position = position_of,
	    .acknowledged = note_acknowledged,
	    .context = rig,
	};
}

static void announce(struct rig *rig, const char *table)
{
	struct error err;
	char topic[64];
	int len = snprintf(topic, sizeof topic, "app.%s", table);

	assert_int_equal(kafka_kind.announce(rig->sink,
					     (struct span){topic, (size_t)len}, table,
					     false, &err),
			 ST_OK);
}

/* Table k has no key, but the mock broker cannot be asked about topics. */
static void rig_start(struct rig *rig)
{
	const struct sink_start start = {.uuid = "00112233445566778899aabbccddeeff",
					 .database = "/data/app \"1\".db"};
	struct error err = {0};

	if (kafka_kind.open(&rig->settings, &rig->sink, &err) != ST_OK ||
	    kafka_sink_look(rig->sink, &rig->found, &err) != ST_OK ||
	    kafka_sink_take(rig->sink, &rig->found, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	announce(rig, "t");
	announce(rig, "k");
	if (sink_begin(rig->sink, &start, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
}

static void rig_open(struct rig *rig)
{
	rig_prepare(rig);
	rig_start(rig);
}

static void rig_close(struct rig *rig)
{
	if (rig->sink) {
		sink_close(rig->sink);
	}
	mock_kafka_close(&rig->mock);
	free(rig->records);
}

static struct span text(const char *bytes)
{
	return (struct span){bytes, bytes ? strlen(bytes) : 0};
}

static enum status put(struct rig *rig, const char *topic, const char *key,
		       const char *value, struct error *err)
{
	struct message message = {
	    .topic = text(topic), .key = text(key), .value = text(value)};
	enum status status = sink_put(rig->sink, &message, err);

	rig->put += status == ST_OK;
	return status;
}

static void put_ok(struct rig *rig, const char *topic, const char *key,
		   const char *value)
{
	struct error err = {0};

	if (put(rig, topic, key, value, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
}

static void flush_ok(struct rig *rig)
{
	struct error err = {0};

	if (sink_flush(rig->sink, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
	assert_int_equal(rig->acknowledged, rig->put);
}

static size_t read_topic(struct rig *rig, const char *topic)
{
	return mock_kafka_read(&rig->mock, topic, rig->records, CAP);
}

/* The last position in Kafka, as a later start finds it. */
static struct kafka_position last_position(struct rig *rig)
{
	struct kafka_found found;
	struct error err;

	assert_int_equal(kafka_sink_look(rig->sink, &found, &err), ST_OK);
	assert_true(found.is_there);
	return found.position;
}

/* ---- what arrives ---- */

static void test_messages_arrive_as_they_were_put(void **state)
{
	struct rig rig;
	struct error err;
	struct message_header headers[] = {{text("rowtail.catch_up"), text("true")},
					   {text("x"), text("\"\"")}};
	struct message message = {.topic = text("app.t"),
				  .key = text("{\"id\":1}"),
				  .value = text("{\"op\":\"c\"}"),
				  .headers = headers,
				  .header_count = 2};

	(void)state;
	rig_open(&rig);
	assert_int_equal(sink_put(rig.sink, &message, &err), ST_OK);
	rig.put++;
	put_ok(&rig, "app.t", "{\"id\":1}", NULL);
	put_ok(&rig, "app.t", "{\"id\":1}", "");
	flush_ok(&rig);
	assert_int_equal(read_topic(&rig, "app.t"), 3);
	assert_string_equal(rig.records[0].key, "{\"id\":1}");
	assert_string_equal(rig.records[0].value, "{\"op\":\"c\"}");
	assert_string_equal(rig.records[0].headers, "rowtail.catch_up=true; x=\"\"; ");
	assert_false(rig.records[1].has_value);
	assert_string_equal(rig.records[1].headers, "");
	assert_true(rig.records[2].partition == rig.records[0].partition);
	rig_close(&rig);
}

static void test_keys_choose_partitions_as_in_java(void **state)
{
	/* org.apache.kafka.common.utils.Utils.murmur2, masked, modulo 4: the hashes of
	 * "21", "foobar" and "" are -973932308, -790332482 and 275646681. */
	const struct {
		const char *key;
		int32_t partition;
	} known[] = {{"21", (-973932308 & 0x7fffffff) % 4},
		     {"foobar", (-790332482 & 0x7fffffff) % 4},
		     {"", 275646681 % 4}};
	struct rig rig;

	(void)state;
	rig_open(&rig);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		put_ok(&rig, "app.t", known[i].key, known[i].key);
	}
	flush_ok(&rig);
	assert_int_equal(read_topic(&rig, "app.t"), 3);
	for (size_t i = 0; i < 3; i++) {
		size_t j = 0;

		while (strcmp(rig.records[i].value, known[j].key) != 0) {
			j++;
		}
		assert_int_equal(rig.records[i].partition, known[j].partition);
	}
	rig_close(&rig);
}

static void test_another_partitioner_may_be_named(void **state)
{
	const struct sink_property crc = {"-D producer.", "partitioner", "consistent"};
	struct rig rig;

	(void)state;
	rig_prepare(&rig);
	rig.settings.properties = &crc;
	rig.settings.property_count = 1;
	rig_start(&rig);
	put_ok(&rig, "app.t", "foobar", "x");
	flush_ok(&rig);
	assert_int_equal(read_topic(&rig, "app.t"), 1);
	/* CRC-32 of "foobar" is 0x9ef61f95; murmur2 has 790332482's partition. */
	assert_int_equal(rig.records[0].partition, 0x9ef61f95u % 4);
	rig_close(&rig);
}

static void test_messages_without_keys_share_a_partition(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	for (unsigned i = 0; i < 20; i++) {
		char value[16];

		(void)snprintf(value, sizeof value, "%02u", i);
		put_ok(&rig, "app.k", NULL, value);
		put_ok(&rig, "app.transaction", "{\"id\":1}", value);
		put_ok(&rig, "app.transaction", NULL, value);
	}
	flush_ok(&rig);
	assert_int_equal(read_topic(&rig, "app.k"), 20);
	for (unsigned i = 0; i < 20; i++) {
		assert_false(rig.records[i].has_key);
		assert_int_equal(rig.records[i].partition, rig.records[0].partition);
		assert_int_equal(atoi(rig.records[i].value), i);
	}
	assert_int_equal(read_topic(&rig, "app.transaction"), 40);
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(rig.records[i].partition, 0);
	}
	rig_close(&rig);
}

static void test_the_position_is_written_with_the_messages(void **state)
{
	struct rig rig;
	struct kafka_position position;

	(void)state;
	rig_open(&rig);
	assert_false(rig.found.is_there);
	assert_int_equal(rig.acknowledgements, 1); /* the start's */
	put_ok(&rig, "app.t", "1", "a");
	put_ok(&rig, "app.t", "2", "b");
	assert_int_equal(rig.acknowledgements, 1);
	flush_ok(&rig);
	assert_int_equal(rig.acknowledgements, 2);
	position = last_position(&rig);
	assert_int_equal(position.at.lsn, 2);
	assert_int_equal(position.at.chain, UINT64_C(0xfedcba9876543210));
	assert_int_equal(position.at.previous_lsn, SINK_NO_LSN);
	assert_string_equal(position.database, "/data/app \"1\".db");
	assert_true(position.exactly_once);
	assert_int_equal(read_topic(&rig, POSITIONS), 2);
	assert_string_equal(rig.records[1].key, "{\"prefix\":\"app\"}");
	assert_int_equal(rig.records[1].partition, 0);
	flush_ok(&rig); /* nothing is new */
	assert_int_equal(read_topic(&rig, POSITIONS), 2);
	rig_close(&rig);
}

static void test_a_later_run_finds_the_position_among_many(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	for (unsigned i = 0; i < 300; i++) {
		put_ok(&rig, "app.t", "1", "a");
		flush_ok(&rig);
	}
	sink_close(rig.sink);
	rig_start(&rig);
	assert_true(rig.found.is_there);
	assert_int_equal(rig.found.position.at.lsn, 300);
	assert_string_not_equal(rig.found.position.run, last_position(&rig).run);
	rig_close(&rig);
}

static void test_a_batch_that_is_full_is_committed_by_put(void **state)
{
	struct rig rig;
	char *value = malloc(1 << 19);

	(void)state;
	assert_non_null(value);
	memset(value, 'x', (1 << 19) - 1);
	value[(1 << 19) - 1] = '\0';
	rig_open(&rig);
	for (unsigned i = 0; i < 40; i++) {
		put_ok(&rig, "app.t", "1", value);
		if (i == 20) {
			assert_true(sink_wants_flush(rig.sink));
		}
	}
	assert_true(rig.acknowledged > 25 && rig.acknowledged < 40);
	assert_int_equal(last_position(&rig).at.lsn, rig.acknowledged);
	flush_ok(&rig);
	assert_int_equal(last_position(&rig).at.lsn, 40);
	free(value);
	rig_close(&rig);
}

static void test_a_message_larger_than_the_batch_has_one_of_its_own(void **state)
{
	struct rig rig;
	const struct sink_property limit = {"-D producer.", "message.max.bytes",
					    "40000000"};
	const size_t len = 20u << 20;
	char *value = malloc(len + 1);

	(void)state;
	assert_non_null(value);
	memset(value, 'x', len);
	value[len] = '\0';
	rig_prepare(&rig);
	rig.settings.properties = &limit;
	rig.settings.property_count = 1;
	rig_start(&rig);
	put_ok(&rig, "app.t", "1", "small");
	put_ok(&rig, "app.t", "1", value);
	assert_int_equal(rig.acknowledged, 1);
	put_ok(&rig, "app.t", "1", "small");
	assert_int_equal(rig.acknowledged, 2);
	flush_ok(&rig); /* the mock broker has forgotten the large one by now */
	assert_int_equal(last_position(&rig).at.lsn, 3);
	free(value);
	rig_close(&rig);
}

/* ---- trouble ---- */

/* Every message is there, in order, from the last time on that it was sent. */
static void expect_all(struct rig *rig, unsigned count)
{
	size_t there = read_topic(rig, "app.t");

	assert_true(there >= count);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(atoi(rig->records[there - count + i].value), i);
	}
}

static void put_many(struct rig *rig, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char value[16];

		(void)snprintf(value, sizeof value, "%u", i);
		put_ok(rig, "app.t", "1", value);
	}
}

static void check_recovery(int16_t api, rd_kafka_resp_err_t code)
{
	struct rig rig;

	rig_open(&rig);
	put_many(&rig, 30);
	rd_kafka_mock_push_request_errors(rig.mock.cluster, api, 1, code);
	flush_ok(&rig);
	expect_all(&rig, 30);
	assert_int_equal(last_position(&rig).at.lsn, 30);
	put_ok(&rig, "app.t", "1", "more");
	flush_ok(&rig);
	assert_int_equal(last_position(&rig).at.lsn, 31);
	rig_close(&rig);
}

static void test_a_transaction_that_fails_is_sent_again(void **state)
{
	(void)state;
	check_recovery(API_ADD_PARTITIONS,
		       RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING);
	check_recovery(API_ADD_PARTITIONS, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE);
}

/* As after an outage that was longer than transaction.timeout.ms. */
static void test_fenced_by_nobody_goes_on(void **state)
{
	(void)state;
	check_recovery(API_ADD_PARTITIONS, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
}

/* The position is there (the mock broker shows it, committed or not): nothing is sent
 * again. */
static void test_a_commit_that_failed_is_looked_for(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	put_many(&rig, 30);
	rd_kafka_mock_push_request_errors(
	    rig.mock.cluster, API_END_TXN, 1,
	    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING);
	flush_ok(&rig);
	assert_int_equal(read_topic(&rig, "app.t"), 30);
	assert_int_equal(last_position(&rig).at.lsn, 30);
	rig_close(&rig);
}

static void test_fenced_by_another_run_ends(void **state)
{
	struct rig rig, second;
	struct error err = {0};

	(void)state;
	rig_open(&rig);
	second = rig;
	second.settings.context = &second;
	rig_start(&second);
	put_ok(&rig, "app.t", "1", "a");
	rd_kafka_mock_push_request_errors(rig.mock.cluster, API_ADD_PARTITIONS, 1,
					  RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
	assert_int_equal(sink_flush(rig.sink, &err), ST_IO);
	assert_non_null(strstr(err.text, "fenced"));
	assert_non_null(strstr(err.text, "app"));
	assert_int_equal(rig.acknowledged, 0);
	sink_close(second.sink);
	rig_close(&rig);
}

static void test_what_is_not_allowed_ends(void **state)
{
	struct rig rig;
	struct error err = {0};

	(void)state;
	rig_open(&rig);
	put_ok(&rig, "app.t", "1", "a");
	rd_kafka_mock_push_request_errors(rig.mock.cluster, API_PRODUCE, 2,
					  RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
					  RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	assert_int_equal(sink_flush(rig.sink, &err), ST_IO);
	assert_non_null(strstr(err.text, "allow"));
	assert_int_equal(rig.acknowledged, 0);
	assert_int_equal(sink_flush(rig.sink, &err), ST_IO); /* for good */
	rig_close(&rig);
}

static void check_too_large(bool skips)
{
	const struct sink_property limit = {"-D producer.", "message.max.bytes",
					    "2000"};
	struct rig rig;
	struct error err = {0};
	char value[3000];

	memset(value, 'x', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	rig_prepare(&rig);
	rig.settings.properties = &limit;
	rig.settings.property_count = 1;
	rig.settings.skips_too_large = skips;
	rig_start(&rig);
	put_ok(&rig, "app.t", "1", "0");
	put_ok(&rig, "app.t", "1", value);
	put_ok(&rig, "app.t", "1", "1");
	if (skips) {
		flush_ok(&rig);
		expect_all(&rig, 2);
		assert_int_equal(last_position(&rig).at.lsn, 3);
	} else {
		assert_int_equal(sink_flush(rig.sink, &err), ST_IO);
		assert_non_null(strstr(err.text, "message.too.large"));
		assert_non_null(strstr(err.text, "app.t"));
		assert_int_equal(rig.acknowledged, 0);
	}
	rig_close(&rig);
}

static void test_a_message_that_is_too_large_fails_or_is_skipped(void **state)
{
	(void)state;
	check_too_large(false);
	check_too_large(true);
}

/* The broker refuses requests, not messages: only alone it shows which one it is. */
static void test_a_request_that_is_too_large_is_sent_in_pieces(void **state)
{
	struct rig rig;

	(void)state;
	rig_prepare(&rig);
	rig.settings.exactly_once = false;
	rig_start(&rig);
	put_many(&rig, 10);
	rd_kafka_mock_push_request_errors(rig.mock.cluster, API_PRODUCE, 1,
					  RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	flush_ok(&rig);
	expect_all(&rig, 10);
	rig_close(&rig);
}

/* Without transactions nobody waits for the position; a failure may take it along. */
static void wait_for_position(struct rig *rig)
{
	int64_t end = clock_mono_ns() + 20 * NS_PER_S;
	struct error err = {0};

	rig->found.is_there = false;
	while (!rig->found.is_there && clock_mono_ns() < end) {
		assert_int_equal(kafka_sink_look(rig->sink, &rig->found, &err), ST_OK);
	}
	assert_true(rig->found.is_there);
}

static void test_without_transactions_all_arrives_at_least_once(void **state)
{
	struct rig rig;

	(void)state;
	rig_prepare(&rig);
	rig.settings.exactly_once = false;
	rig_start(&rig);
	wait_for_position(&rig);
	put_many(&rig, 30);
	rd_kafka_mock_push_request_errors(
	    rig.mock.cluster, API_PRODUCE, 1,
	    RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	flush_ok(&rig);
	expect_all(&rig, 30);
	sink_close(rig.sink);
	rig_start(&rig);
	assert_true(rig.found.is_there);
	assert_false(rig.found.position.exactly_once);
	rig_close(&rig);
}

/* ---- outages ---- */

static void test_patience_ends(void **state)
{
	struct rig rig;
	struct error err = {0};
	int64_t start;

	(void)state;
	rig_prepare(&rig);
	rig.settings.patience_ns = NS_PER_S;
	rig_start(&rig);
	put_ok(&rig, "app.t", "1", "a");
	rd_kafka_mock_broker_set_down(rig.mock.cluster, 1);
	start = clock_mono_ns();
	assert_int_equal(sink_flush(rig.sink, &err), ST_IO);
	assert_true(clock_mono_ns() - start >= NS_PER_S);
	assert_non_null(strstr(err.text, rig.mock.address));
	assert_int_equal(rig.acknowledged, 0);
	rig_close(&rig);
}

static void test_a_stop_ends_the_waiting(void **state)
{
	struct rig rig;
	struct error err = {0};
	int64_t start;

	(void)state;
	rig_open(&rig);
	put_ok(&rig, "app.t", "1", "a");
	rd_kafka_mock_broker_set_down(rig.mock.cluster, 1);
	start = clock_mono_ns();
	rig.stop = 1;
	assert_int_equal(sink_flush(rig.sink, &err), ST_STOPPED);
	assert_true(clock_mono_ns() - start < 30 * NS_PER_S);
	assert_int_equal(rig.acknowledged, 0);
	rig_close(&rig);
}

static void test_a_broker_that_is_not_there_at_the_start(void **state)
{
	struct rig rig;
	struct error err = {0};

	(void)state;
	rig_prepare(&rig);
	rig.settings.patience_ns = NS_PER_S;
	rd_kafka_mock_broker_set_down(rig.mock.cluster, 1);
	assert_int_equal(kafka_kind.open(&rig.settings, &rig.sink, &err), ST_OK);
	assert_int_equal(kafka_sink_look(rig.sink, &rig.found, &err), ST_IO);
	assert_non_null(strstr(err.text, "out of reach"));
	rig_close(&rig);
}

/* ---- settings ---- */

static void expect_refused(const char *name, const char *value, const char *expected)
{
	const struct sink_property property = {"-D producer.", name, value};
	struct rig rig;
	struct error err = {0};

	rig_prepare(&rig);
	rig.settings.properties = &property;
	rig.settings.property_count = 1;
	assert_int_equal(kafka_kind.open(&rig.settings, &rig.sink, &err), ST_CONFIG);
	if (!strstr(err.text, expected)) {
		fail_msg("\"%s\" lacks \"%s\"", err.text, expected);
	}
	assert_null(strstr(err.text, "pa55"));
	rig_close(&rig);
}

static void test_settings_are_checked_and_secrets_kept(void **state)
{
	(void)state;
	expect_refused("lingerms", "5", "-D producer.lingerms");
	expect_refused("linger.ms", "soon", "linger.ms");
	expect_refused("bootstrap.servers", "a:1", "--to");
	expect_refused("enable.idempotence", "false", "enable.idempotence");
	expect_refused("partitioner", "mine", "partitioner");
	expect_refused("sasl.oauthbearer.method", "pa55", "the value is not usable");
}

#ifdef __SANITIZE_THREAD__
/*
 * librdkafka starts its threads by C11's thrd_create, which the thread sanitizer of gcc
 * 12 does not know: it crashes in the first of them.
 */
static void test_none_under_the_thread_sanitizer(void **state)
{
	(void)state;
	skip();
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_messages_arrive_as_they_were_put),
	    cmocka_unit_test(test_keys_choose_partitions_as_in_java),
	    cmocka_unit_test(test_another_partitioner_may_be_named),
	    cmocka_unit_test(test_messages_without_keys_share_a_partition),
	    cmocka_unit_test(test_the_position_is_written_with_the_messages),
	    cmocka_unit_test(test_a_later_run_finds_the_position_among_many),
	    cmocka_unit_test(test_a_batch_that_is_full_is_committed_by_put),
	    cmocka_unit_test(test_a_message_larger_than_the_batch_has_one_of_its_own),
	    cmocka_unit_test(test_a_transaction_that_fails_is_sent_again),
	    cmocka_unit_test(test_fenced_by_nobody_goes_on),
	    cmocka_unit_test(test_a_commit_that_failed_is_looked_for),
	    cmocka_unit_test(test_fenced_by_another_run_ends),
	    cmocka_unit_test(test_what_is_not_allowed_ends),
	    cmocka_unit_test(test_a_message_that_is_too_large_fails_or_is_skipped),
	    cmocka_unit_test(test_a_request_that_is_too_large_is_sent_in_pieces),
	    cmocka_unit_test(test_without_transactions_all_arrives_at_least_once),
	    cmocka_unit_test(test_patience_ends),
	    cmocka_unit_test(test_a_stop_ends_the_waiting),
	    cmocka_unit_test(test_a_broker_that_is_not_there_at_the_start),
	    cmocka_unit_test(test_settings_are_checked_and_secrets_kept),
	};

#ifdef __SANITIZE_THREAD__
	const struct CMUnitTest none[] = {
	    cmocka_unit_test(test_none_under_the_thread_sanitizer),
	};

	(void)tests;
	return cmocka_run_group_tests(none, NULL, NULL);
#else
	return cmocka_run_group_tests(tests, NULL, NULL);
#endif
}
