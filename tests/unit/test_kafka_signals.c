/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals by a topic of Kafka: who reads it, and the channel over it. A test plays the
 * run that takes them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <unistd.h>

#include "sinks/kafka_signals.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/deliver/signals.h"
#include "tests/lib/mock_kafka.h"

#define TOPIC  "app-signal"
#define KEY    "app"
#define GROUP  "kafka-signal"
#define LONG_S 60 /* that nothing here takes */

struct rig {
	struct mock_kafka mock;
	rd_kafka_t *producer;
	struct kafka_signals_settings settings;
	struct kafka_signals *reader; /* of the tests below the channel */
	struct kafka_signals_place kept;
	struct signals *signals; /* of the others */
	char folder[64];
	int stderr_fd; /* while what is logged is caught; -1 */
	FILE *caught;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);
	char text[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	assert_non_null(rig);
	log_setup(getenv("ROWTAIL_TEST_VERBOSE") ? LOG_DEBUG : LOG_INFO, false);
	mock_kafka_open(&rig->mock);
	assert_int_equal(rd_kafka_mock_topic_create(rig->mock.cluster, TOPIC, 1, 1),
			 RD_KAFKA_RESP_ERR_NO_ERROR);
	assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", rig->mock.address,
					   text, sizeof text),
			 RD_KAFKA_CONF_OK);
	rd_kafka_conf_set_log_cb(conf, NULL);
	rig->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
	assert_non_null(rig->producer);
	rig->settings = (struct kafka_signals_settings){
	    .topic = TOPIC, .brokers = rig->mock.address, .group = GROUP, .key = KEY};
	rig->stderr_fd = -1;
	(void)strcpy(rig->folder, "/tmp/kafka-signals-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	*state = rig;
	return 0;
}

static void catch_log(struct rig *rig)
{
	(void)fflush(stderr);
	rig->caught = tmpfile();
	assert_non_null(rig->caught);
	rig->stderr_fd = dup(STDERR_FILENO);
	(void)dup2(fileno(rig->caught), STDERR_FILENO);
}

/* How often it was logged by now. */
static int count_logged(const struct rig *rig, const char *text)
{
	static char all[1 << 16];
	ssize_t len = pread(fileno(rig->caught), all, sizeof all - 1, 0);
	int count = 0;

	assert_true(len >= 0);
	all[len] = '\0';
	for (const char *at = all; (at = strstr(at, text)) != NULL; at++) {
		count++;
	}
	return count;
}

static void wait_logged(const struct rig *rig, const char *text)
{
	int64_t until_ns = clock_mono_ns() + LONG_S * NS_PER_S;

	while (count_logged(rig, text) == 0) {
		assert_true(clock_mono_ns() < until_ns);
		clock_sleep_ns(10 * NS_PER_MS);
	}
}

static void leave_log(struct rig *rig)
{
	if (rig->stderr_fd >= 0) {
		(void)dup2(rig->stderr_fd, STDERR_FILENO);
		(void)close(rig->stderr_fd);
		(void)fclose(rig->caught);
	}
	rig->stderr_fd = -1;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	char socket[96];

	leave_log(rig);
	kafka_signals_close(rig->reader);
	signals_close(rig->signals);
	rd_kafka_destroy(rig->producer);
	mock_kafka_close(&rig->mock);
	(void)snprintf(socket, sizeof socket, "%s/signals.sock", rig->folder);
	(void)unlink(socket);
	(void)rmdir(rig->folder);
	free(rig);
	return 0;
}

static void send_to(struct rig *rig, const char *topic, int32_t partition,
		    const char *key, const char *value, size_t len)
{
	const rd_kafka_vu_t all[] = {
	    {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
	    {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
	    {.vtype = RD_KAFKA_VTYPE_KEY,
	     .u.mem = {(void *)(uintptr_t)key, key ? strlen(key) : 0}},
	    {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value, len}},
	    {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY}};
	rd_kafka_error_t *error =
	    rd_kafka_produceva(rig->producer, all, sizeof all / sizeof *all);

	if (error) {
		fail_msg("%s", rd_kafka_error_string(error));
	}
	assert_int_equal(rd_kafka_flush(rig->producer, LONG_S * 1000),
			 RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void send_keyed(struct rig *rig, const char *key, const char *value)
{
	send_to(rig, TOPIC, 0, key, value, value ? strlen(value) : 0);
}

static void send_ours(struct rig *rig, const char *value)
{
	send_keyed(rig, KEY, value);
}

/* ---- who reads the topic ---- */

static void open_reader(struct rig *rig)
{
	struct error err;

	rig->settings.taken = rig->kept;
	if (kafka_signals_open(&rig->settings, &rig->reader, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
}

static void next_run(struct rig *rig)
{
	kafka_signals_close(rig->reader);
	rig->reader = NULL;
	open_reader(rig);
}

/* Until its descriptor says so. */
static struct span wait_for(struct rig *rig)
{
	int64_t until_ns = clock_mono_ns() + LONG_S * NS_PER_S;
	struct span value = {NULL, 0};

	while (!kafka_signals_next(rig->reader, &value)) {
		struct pollfd fd = {.fd = kafka_signals_fd(rig->reader),
				    .events = POLLIN};

		assert_true(clock_mono_ns() < until_ns);
		(void)poll(&fd, 1, 1000);
	}
	return value;
}

static void await(struct rig *rig, const char *text)
{
	struct span value = wait_for(rig);

	assert_int_equal(value.len, strlen(text));
	assert_memory_equal(value.bytes, text, value.len);
}

/* As a run does that keeps what it asks for. */
static void take(struct rig *rig, const char *text)
{
	struct kafka_signals_place after;

	await(rig, text);
	rig->kept = kafka_signals_place(rig->reader, true);
	kafka_signals_done(rig->reader);
	after = kafka_signals_place(rig->reader, true);
	assert_memory_equal(&after, &rig->kept, sizeof after);
}

static void test_messages_with_our_key_are_given_in_order(void **state)
{
	struct rig *rig = *state;

	open_reader(rig);
	send_ours(rig, "1");
	send_keyed(rig, "apple", "other");
	send_keyed(rig, "ap", "other");
	send_keyed(rig, "App", "other");
	send_keyed(rig, NULL, "other");
	send_keyed(rig, "", "other");
	send_ours(rig, NULL);
	send_ours(rig, "");
	send_ours(rig, "2");
	take(rig, "1");
	take(rig, "2");
	send_ours(rig, "3");
	take(rig, "3");
	assert_int_equal(rig->kept.next, 10);
}

static void test_there_is_no_other_one_before_the_last_is_done_with(void **state)
{
	struct rig *rig = *state;
	struct kafka_signals_place place;
	struct span value;

	open_reader(rig);
	send_ours(rig, "1");
	send_ours(rig, "2");
	await(rig, "1");
	clock_sleep_ns(300 * NS_PER_MS);
	assert_false(kafka_signals_next(rig->reader, &value));
	place = kafka_signals_place(rig->reader, false);
	assert_int_equal(place.next, 0);
	place = kafka_signals_place(rig->reader, true);
	assert_int_equal(place.next, 1);
	kafka_signals_done(rig->reader);
	place = kafka_signals_place(rig->reader, false);
	assert_int_equal(place.next, 1);
	take(rig, "2");
}

static void test_a_later_run_goes_on_behind_what_was_kept(void **state)
{
	struct rig *rig = *state;

	send_ours(rig, "1");
	send_ours(rig, "2");
	send_ours(rig, "3");
	open_reader(rig);
	take(rig, "1");
	await(rig, "2"); /* killed before it is kept */
	next_run(rig);
	take(rig, "2");
	await(rig, "3"); /* killed when it was kept, and not told so */
	rig->kept = kafka_signals_place(rig->reader, true);
	next_run(rig);
	send_keyed(rig, "other", "other");
	send_ours(rig, "4");
	take(rig, "4");
	next_run(rig);
	send_ours(rig, "5");
	take(rig, "5");
}

/* The group's offset, which librdkafka's own call tells; -1: none. */
static int64_t committed(struct rig *rig)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[256];
	rd_kafka_t *rk;
	int64_t offset;

	(void)rd_kafka_conf_set(conf, "bootstrap.servers", rig->mock.address, text,
				sizeof text);
	(void)rd_kafka_conf_set(conf, "group.id", GROUP, text, sizeof text);
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
	assert_non_null(rk);
	rd_kafka_topic_partition_list_add(list, TOPIC, 0);
	assert_int_equal(rd_kafka_committed(rk, list, LONG_S * 1000),
			 RD_KAFKA_RESP_ERR_NO_ERROR);
	offset = list->elems[0].offset;
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_destroy(rk);
	return offset < 0 ? -1 : offset;
}

static void test_without_a_place_the_offset_of_the_group_counts(void **state)
{
	struct rig *rig = *state;

	send_ours(rig, "1");
	send_ours(rig, "2");
	open_reader(rig);
	take(rig, "1");
	await(rig, "2");
	rig->kept = (struct kafka_signals_place){0};
	next_run(rig);
	assert_int_equal(committed(rig), 1);
	take(rig, "2");
	rig->kept = (struct kafka_signals_place){0};
	next_run(rig);
	assert_int_equal(committed(rig), 2);
	send_keyed(rig, "other", "other");
	send_ours(rig, "3");
	take(rig, "3");
}

static void test_a_place_counts_more_than_the_group(void **state)
{
	struct rig *rig = *state;
	struct kafka_signals_place first;

	send_ours(rig, "1");
	send_ours(rig, "2");
	open_reader(rig);
	take(rig, "1");
	first = rig->kept;
	take(rig, "2");
	rig->kept = first;
	next_run(rig);
	take(rig, "2");
}

static void test_a_topic_that_was_made_anew_is_read_from_its_beginning(void **state)
{
	struct rig *rig = *state;

	send_ours(rig, "1");
	send_ours(rig, "2");
	open_reader(rig);
	take(rig, "1");
	take(rig, "2");
	/* Another message where the last one was. */
	rig->kept.hash++;
	catch_log(rig);
	next_run(rig);
	take(rig, "1");
	assert_int_equal(count_logged(rig, "is not the one that signals were taken"),
			 1);
	take(rig, "2");
	/* None is there. */
	rig->kept.next = 7;
	next_run(rig);
	take(rig, "1");
	take(rig, "2");
	assert_int_equal(count_logged(rig, "is not the one that signals were taken"),
			 2);
	/* It was of a topic of another name: the group's offset counts. */
	rig->kept.topic++;
	rig->kept.hash++;
	next_run(rig);
	send_ours(rig, "3");
	take(rig, "3");
	assert_int_equal(count_logged(rig, "is not the one that signals were taken"),
			 2);
}

static void test_a_topic_that_is_missing_is_waited_for(void **state)
{
	struct rig *rig = *state;

	rd_kafka_mock_topic_set_error(rig->mock.cluster, TOPIC,
				      RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	catch_log(rig);
	open_reader(rig);
	wait_logged(rig, "has no topic app-signal");
	clock_sleep_ns(1500 * NS_PER_MS); /* it is looked for again */
	rd_kafka_mock_topic_set_error(rig->mock.cluster, TOPIC,
				      RD_KAFKA_RESP_ERR_NO_ERROR);
	send_ours(rig, "1");
	take(rig, "1");
	assert_int_equal(count_logged(rig, "has no topic app-signal"), 1);
	assert_int_equal(count_logged(rig, "is there: signals are taken"), 1);
}

static void test_an_outage_is_said_once_and_is_survived(void **state)
{
	struct rig *rig = *state;
	int64_t begun_ns;

	open_reader(rig);
	send_ours(rig, "1");
	take(rig, "1");
	catch_log(rig);
	rd_kafka_mock_broker_set_down(rig->mock.cluster, 1);
	wait_logged(rig, "signals cannot be read from topic app-signal");
	clock_sleep_ns(1500 * NS_PER_MS);
	rd_kafka_mock_broker_set_up(rig->mock.cluster, 1);
	wait_logged(rig, "signals are read from topic app-signal again");
	send_ours(rig, "2");
	take(rig, "2");
	assert_int_equal(count_logged(rig, "signals cannot be read"), 1);
	assert_int_equal(count_logged(rig, "app-signal again"), 1);
	/* And one at the start. */
	rd_kafka_mock_broker_set_down(rig->mock.cluster, 1);
	next_run(rig);
	clock_sleep_ns(500 * NS_PER_MS);
	rd_kafka_mock_broker_set_up(rig->mock.cluster, 1);
	send_ours(rig, "3");
	take(rig, "3");
	/* And one at the end, when a commit is under way. */
	send_ours(rig, "4");
	await(rig, "4");
	rd_kafka_mock_broker_set_down(rig->mock.cluster, 1);
	kafka_signals_done(rig->reader);
	begun_ns = clock_mono_ns();
	kafka_signals_close(rig->reader);
	rig->reader = NULL;
	assert_true(clock_mono_ns() - begun_ns < LONG_S / 3 * NS_PER_S);
}

static void test_who_may_not_read_is_told_once(void **state)
{
	struct rig *rig = *state;

	rd_kafka_mock_topic_set_error(rig->mock.cluster, TOPIC,
				      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	catch_log(rig);
	open_reader(rig);
	wait_logged(rig, "allow rowtail to describe and read that topic");
	assert_int_equal(count_logged(rig, "kafka-signal"), 1);
}

static void test_of_more_partitions_the_first_is_read(void **state)
{
	struct rig *rig = *state;

	rig->settings.topic = "many";
	assert_int_equal(rd_kafka_mock_topic_create(rig->mock.cluster, "many", 3, 1),
			 RD_KAFKA_RESP_ERR_NO_ERROR);
	send_to(rig, "many", 1, KEY, "other", 5);
	send_to(rig, "many", 0, KEY, "1", 1);
	catch_log(rig);
	open_reader(rig);
	take(rig, "1");
	assert_int_equal(count_logged(rig, "topic many has 3 partitions"), 1);
}

static void check_refused(struct rig *rig, const char *name, const char *value,
			  const char *part)
{
	const struct sink_property property = {
	    .where = "-D signal.consumer.", .name = name, .value = value};
	struct error err;

	rig->settings.own = &property;
	rig->settings.own_count = 1;
	assert_int_equal(kafka_signals_check(&rig->settings, &err), ST_CONFIG);
	assert_int_equal(kafka_signals_open(&rig->settings, &rig->reader, &err),
			 ST_CONFIG);
	if (!strstr(err.text, name) || !strstr(err.text, part)) {
		fail_msg("\"%s\" lacks \"%s\"", err.text, part);
	}
	assert_null(strstr(err.text, "s3cret"));
}

static void test_settings_that_cannot_be_are_refused(void **state)
{
	struct rig *rig = *state;

	check_refused(rig, "no.such", "1", "No such configuration property");
	check_refused(rig, "fetch.wait.max.ms", "x", "fetch.wait.max.ms");
	check_refused(rig, "bootstrap.servers", "h:1", "signal.kafka.bootstrap");
	check_refused(rig, "enable.auto.commit", "true", "leave it out");
	check_refused(rig, "ssl.key.password.x", "s3cret", "property");
}

static void test_settings_of_the_consumer_count(void **state)
{
	struct rig *rig = *state;
	const struct sink_property own[] = {
	    {.where = "", .name = "auto.offset.reset", .value = "latest"},
	    {.where = "", .name = "group.id", .value = "mine"}};
	const struct sink_property shared[] = {
	    {.where = "", .name = "linger.ms", .value = "5"},
	    {.where = "", .name = "auto.offset.reset", .value = "earliest"},
	    {.where = "", .name = "transactional.id", .value = "t"}};
	int64_t until_ns = clock_mono_ns() + LONG_S * NS_PER_S;
	struct span value;

	rig->settings.own = own;
	rig->settings.own_count = 2;
	rig->settings.shared = shared;
	rig->settings.shared_count = 3;
	send_ours(rig, "1");
	open_reader(rig);
	while (!kafka_signals_next(rig->reader, &value)) {
		/* Until it has found the end. */
		assert_true(clock_mono_ns() < until_ns);
		send_ours(rig, "2");
		clock_sleep_ns(100 * NS_PER_MS);
	}
	assert_int_equal(value.len, 1);
	assert_int_equal(value.bytes[0], '2');
	kafka_signals_done(rig->reader);
	next_run(rig);
	assert_int_equal(committed(rig), -1);
}

/* ---- the channel ---- */

#define LINE "{\"id\":\"%s\",\"type\":\"log\",\"data\":{\"message\":\"m\"}}"

static void open_channel(struct rig *rig, bool has_socket)
{
	struct signals_settings settings = {.kafka = rig->settings,
					    .state_path =
						has_socket ? rig->folder : NULL,
					    .poll_ns = NS_PER_MS,
					    .taken = {.kafka = rig->kept}};
	struct error err;

	if (signals_open(&settings, &rig->signals, &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
}

static struct signal *wait_for_signal(struct rig *rig)
{
	int64_t until_ns = clock_mono_ns() + LONG_S * NS_PER_S;
	struct signal *signal;

	while ((signal = signals_next(rig->signals)) == NULL) {
		struct pollfd fd = {.fd = signals_fd(rig->signals), .events = POLLIN};

		assert_true(clock_mono_ns() < until_ns);
		/* Nothing but the descriptor tells. */
		assert_int_equal(signals_wake_ms(rig->signals), -1);
		(void)poll(&fd, 1, LONG_S * 1000);
	}
	return signal;
}

static void take_signal(struct rig *rig, const char *id, const struct error *refused)
{
	struct signal_places places = {.file = {.taken = 5}}, after = places;
	struct signal *signal = wait_for_signal(rig);

	assert_string_equal(signal->id, id);
	signals_places(rig->signals, &places);
	assert_int_equal(places.file.taken, 5);
	rig->kept = places.kafka;
	signals_taken(rig->signals, signal, refused);
	signals_places(rig->signals, &after);
	assert_true(signal_places_are_same(&after, &places));
}

static void send_signal(struct rig *rig, const char *id)
{
	char line[256];

	(void)snprintf(line, sizeof line, LINE, id);
	send_ours(rig, line);
}

static void test_values_are_signals(void **state)
{
	struct rig *rig = *state;
	const struct error refused = {.text = "because"};
	struct signal *signal;

	open_channel(rig, false);
	catch_log(rig);
	send_signal(rig, "1");
	take_signal(rig, "1", &refused);
	assert_int_equal(count_logged(rig, "the signal 1 is refused: because"), 1);
	send_ours(rig, "{\"type\":\"execute-snapshot\",\"data\":"
		       "{\"data-collections\":[\"a\"],\"type\":\"INCREMENTAL\"}}");
	signal = wait_for_signal(rig);
	assert_int_equal(strlen(signal->id), SIGNAL_ID_BYTES - 1);
	assert_int_equal(signal->type, SIGNAL_EXECUTE_SNAPSHOT);
	signals_taken(rig->signals, signal, NULL);
}

static void test_what_is_no_signal_is_quoted_and_left_out(void **state)
{
	static const char hostile[] = "{\"id\":\"a\0b\",\"type\":\"log\"}\x1b[2J\xff";
	struct rig *rig = *state;
	struct signal_places places = {.file = {0}};
	char *large = malloc(900000);
	int64_t until_ns = clock_mono_ns() + LONG_S * NS_PER_S;

	assert_non_null(large);
	memset(large, 'x', 900000);
	catch_log(rig);
	send_ours(rig, "no signal");
	send_ours(rig, "[]");
	send_ours(rig, "{\"type\":\"stop\"}");
	send_to(rig, TOPIC, 0, KEY, hostile, sizeof hostile - 1);
	send_to(rig, TOPIC, 0, KEY, large, 900000);
	send_signal(rig, "1");
	send_ours(rig, "behind");
	free(large);
	open_channel(rig, true);
	take_signal(rig, "1", NULL);
	assert_int_equal(count_logged(rig, "the signal no signal: it is no JSON"), 1);
	assert_int_equal(count_logged(rig, "it is left out"), 5);
	assert_int_equal(count_logged(rig, "\x1b"), 0);
	/* It is done with, and told of once. */
	while (places.kafka.next < 7) {
		assert_null(signals_next(rig->signals));
		signals_places(rig->signals, &places);
		assert_true(clock_mono_ns() < until_ns);
		clock_sleep_ns(NS_PER_MS);
	}
	rig->kept = places.kafka;
	signals_close(rig->signals);
	rig->signals = NULL;
	rig->settings.group = "others"; /* which knows nothing */
	open_channel(rig, true);
	send_signal(rig, "2");
	take_signal(rig, "2", NULL);
	assert_int_equal(count_logged(rig, "it is left out"), 6);
}

static void test_many_that_are_none_are_told_of_once(void **state)
{
	struct rig *rig = *state;

	catch_log(rig);
	for (int i = 0; i < 30; i++) {
		send_ours(rig, "none");
	}
	send_signal(rig, "1");
	open_channel(rig, false);
	take_signal(rig, "1", NULL);
	assert_int_equal(count_logged(rig, "it is left out"), 10);
	assert_int_equal(count_logged(rig, "more of them are not told of"), 1);
}

static void test_a_value_that_is_too_large_is_none(void **state)
{
	const struct sink_property property = {
	    .where = "", .name = "message.max.bytes", .value = "4000000"};
	struct rig *rig = *state;
	char *large = malloc(SIGNAL_MAX_BYTES + 100);
	char text[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	assert_non_null(large);
	memset(large, ' ', SIGNAL_MAX_BYTES + 100);
	(void)rd_kafka_conf_set(conf, property.name, property.value, text, sizeof text);
	(void)rd_kafka_conf_set(conf, "bootstrap.servers", rig->mock.address, text,
				sizeof text);
	rd_kafka_destroy(rig->producer);
	rig->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
	assert_non_null(rig->producer);
	(void)memcpy(large, "{\"type\":\"pause-snapshot\"}", 25);
	catch_log(rig);
	send_to(rig, TOPIC, 0, KEY, large, SIGNAL_MAX_BYTES + 1);
	(void)memcpy(large, "{\"id\":\"fits\",\"type\":\"pause-snapshot\"}", 37);
	send_to(rig, TOPIC, 0, KEY, large, SIGNAL_MAX_BYTES);
	free(large);
	open_channel(rig, false);
	take_signal(rig, "fits", NULL);
	assert_int_equal(count_logged(rig, "larger than 1 MiB"), 1);
}

static void test_both_descriptors_are_one(void **state)
{
	struct rig *rig = *state;
	struct pollfd fd = {.events = POLLIN};

	open_channel(rig, true);
	fd.fd = signals_fd(rig->signals);
	assert_true(fd.fd >= 0);
	send_signal(rig, "1");
	take_signal(rig, "1", NULL);
	send_signal(rig, "2");
	assert_int_equal(poll(&fd, 1, LONG_S * 1000), 1);
	take_signal(rig, "2", NULL);
}

#define TEST(which) cmocka_unit_test_setup_teardown(which, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_messages_with_our_key_are_given_in_order),
	    TEST(test_there_is_no_other_one_before_the_last_is_done_with),
	    TEST(test_a_later_run_goes_on_behind_what_was_kept),
	    TEST(test_without_a_place_the_offset_of_the_group_counts),
	    TEST(test_a_place_counts_more_than_the_group),
	    TEST(test_a_topic_that_was_made_anew_is_read_from_its_beginning),
	    TEST(test_a_topic_that_is_missing_is_waited_for),
	    TEST(test_an_outage_is_said_once_and_is_survived),
	    TEST(test_who_may_not_read_is_told_once),
	    TEST(test_of_more_partitions_the_first_is_read),
	    TEST(test_settings_that_cannot_be_are_refused),
	    TEST(test_settings_of_the_consumer_count),
	    TEST(test_values_are_signals),
	    TEST(test_what_is_no_signal_is_quoted_and_left_out),
	    TEST(test_many_that_are_none_are_told_of_once),
	    TEST(test_a_value_that_is_too_large_is_none),
	    TEST(test_both_descriptors_are_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
