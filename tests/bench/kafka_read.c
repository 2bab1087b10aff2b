/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/kafka_read.c -- a read_committed consumer of one topic.
 *
 *     kafka_read BROKER TOPIC COUNT [--lines | --dump FILE]
 *
 * Reads all partitions from their beginning until it has COUNT messages, and prints
 * one line of JSON: messages, bytes of keys and values, transactions (gaps between
 * offsets: each transaction ends with a marker), and the monotonic clock at the first
 * and at the last message.
 *
 * --lines prints each value on stdout instead, as soon as it is there. --dump also
 * writes all keys and values to FILE, for kafka_write: for each message the lengths of
 * key and value (uint32_t, UINT32_MAX: null), then their bytes.
 */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_PARTITIONS 64
#define POLL_MS        100
#define PATIENCE_NS    INT64_C(60000000000) /* without a message */

struct reading {
	int64_t wanted;
	bool prints_lines;
	FILE *dump;
	int64_t messages;
	int64_t bytes;
	int64_t gaps;
	int64_t first_ns;
	int64_t last_ns;
	int64_t next_offset[MAX_PARTITIONS];
};

static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "kafka_read: %s: %s\n", what, why);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char error[256];

	if (rd_kafka_conf_set(conf, name, value, error, sizeof error) !=
	    RD_KAFKA_CONF_OK) {
		fail(name, error);
	}
}

static rd_kafka_t *open_consumer(const char *broker)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char error[256];
	rd_kafka_t *consumer;

	set(conf, "bootstrap.servers", broker);
	set(conf, "group.id", "bench");
	set(conf, "isolation.level", "read_committed");
	set(conf, "enable.auto.commit", "false");
	consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
	if (consumer == NULL) {
		fail(broker, error);
	}
	rd_kafka_poll_set_consumer(consumer);
	return consumer;
}

static void assign_all(rd_kafka_t *consumer, const char *name)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer, name, NULL);
	const struct rd_kafka_metadata *found;
	rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t err = rd_kafka_metadata(consumer, 0, topic, &found, 10000);

	if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		fail(name, rd_kafka_err2str(err));
	}
	if (found->topic_cnt != 1 || found->topics[0].err != 0 ||
	    found->topics[0].partition_cnt > MAX_PARTITIONS) {
		fail(name, "no such topic, or too many partitions");
	}
	for (int i = 0; i < found->topics[0].partition_cnt; i++) {
		rd_kafka_topic_partition_list_add(all, name, i)->offset =
		    RD_KAFKA_OFFSET_BEGINNING;
	}
	rd_kafka_metadata_destroy(found);
	rd_kafka_topic_destroy(topic);
	err = rd_kafka_assign(consumer, all);
	rd_kafka_topic_partition_list_destroy(all);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		fail(name, rd_kafka_err2str(err));
	}
}

static void dump_message(FILE *file, const rd_kafka_message_t *message)
{
	uint32_t lens[2] = {
	    message->key == NULL ? UINT32_MAX : (uint32_t)message->key_len,
	    message->payload == NULL ? UINT32_MAX : (uint32_t)message->len};

	fwrite(lens, sizeof lens, 1, file);
	fwrite(message->key, 1, message->key_len, file);
	fwrite(message->payload, 1, message->len, file);
}

static void take(struct reading *reading, const rd_kafka_message_t *message)
{
	int64_t *next = &reading->next_offset[message->partition];

	reading->last_ns = now_ns();
	reading->first_ns =
	    reading->messages == 0 ? reading->last_ns : reading->first_ns;
	reading->gaps += message->offset != *next;
	*next = message->offset + 1;
	reading->messages++;
	reading->bytes += (int64_t)(message->key_len + message->len);
	if (reading->dump != NULL) {
		dump_message(reading->dump, message);
	}
	if (reading->prints_lines && message->payload != NULL) {
		fwrite(message->payload, 1, message->len, stdout);
		putchar('\n');
		fflush(stdout);
	}
}

static void read_messages(struct reading *reading, rd_kafka_t *consumer)
{
	int64_t since_ns = now_ns();

	while (reading->messages < reading->wanted) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, POLL_MS);

		if (message == NULL) {
			if (now_ns() - since_ns > PATIENCE_NS) {
				fail("patience", "no message for a minute");
			}
			continue;
		}
		if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			take(reading, message);
			since_ns = reading->last_ns;
		}
		rd_kafka_message_destroy(message);
	}
}

static void parse_arguments(int argc, char **argv, struct reading *reading)
{
	if (argc < 4) {
		fprintf(stderr, "usage: kafka_read BROKER TOPIC COUNT"
				" [--lines | --dump FILE]\n");
		exit(2);
	}
	reading->wanted = strtoll(argv[3], NULL, 10);
	reading->prints_lines = argc == 5 && strcmp(argv[4], "--lines") == 0;
	if (argc == 6 && strcmp(argv[4], "--dump") == 0) {
		reading->dump = fopen(argv[5], "wb");
		if (reading->dump == NULL) {
			fail(argv[5], "cannot be written");
		}
	}
}

int main(int argc, char **argv)
{
	struct reading reading = {0};
	rd_kafka_t *consumer;

	parse_arguments(argc, argv, &reading);
	consumer = open_consumer(argv[1]);
	assign_all(consumer, argv[2]);
	read_messages(&reading, consumer);
	rd_kafka_consumer_close(consumer);
	rd_kafka_destroy(consumer);
	if (reading.dump != NULL && fclose(reading.dump) != 0) {
		fail(argv[5], "not written whole");
	}
	if (!reading.prints_lines) {
		printf("{\"messages\":%lld,\"bytes\":%lld,\"transactions\":%lld,"
		       "\"first_ns\":%lld,\"last_ns\":%lld}\n",
		       (long long)reading.messages, (long long)reading.bytes,
		       (long long)reading.gaps + 1, (long long)reading.first_ns,
		       (long long)reading.last_ns);
	}
	return 0;
}
