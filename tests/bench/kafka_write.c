/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/kafka_write.c -- a bare producer, to compare rowtail with.
 *
 *     kafka_write BROKER TOPIC FILE MESSAGES_PER_TRANSACTION
 *
 * Sends all messages of FILE (see kafka_read --dump) to partition 0 of TOPIC, in
 * transactions of that many messages; 0: without transactions, idempotent. It does
 * nothing else: the file is mapped and read beforehand, and librdkafka sends from
 * there. Prints one line of JSON: messages, bytes, and the monotonic clock at the first
 * message and when the last one was acknowledged.
 */
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 60000

struct file {
	char *bytes;
	size_t len;
};

static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "kafka_write: %s: %s\n", what, why);
	exit(1);
}

static void check(rd_kafka_error_t *error, const char *what)
{
	if (error != NULL) {
		fail(what, rd_kafka_error_string(error));
	}
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct file map_file(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	struct file file;

	if (fd < 0 || fstat(fd, &st) != 0) {
		fail(path, "cannot be read");
	}
	file.len = (size_t)st.st_size;
	file.bytes = mmap(NULL, file.len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (file.bytes == MAP_FAILED) {
		fail(path, "cannot be mapped");
	}
	close(fd);
	return file;
}

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message,
			void *opaque)
{
	(void)producer;
	(void)opaque;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		fail("delivery", rd_kafka_err2str(message->err));
	}
}

static rd_kafka_t *open_producer(const char *broker, const char *topic, int is_plain)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char error[256];
	rd_kafka_t *producer;

	if (rd_kafka_conf_set(conf, "bootstrap.servers", broker, error, sizeof error) !=
		RD_KAFKA_CONF_OK ||
	    rd_kafka_conf_set(conf, "enable.idempotence", "true", error,
			      sizeof error) != RD_KAFKA_CONF_OK ||
	    (!is_plain && rd_kafka_conf_set(conf, "transactional.id", topic, error,
					    sizeof error) != RD_KAFKA_CONF_OK)) {
		fail(broker, error);
	}
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
	if (producer == NULL) {
		fail(broker, error);
	}
	if (!is_plain) {
		check(rd_kafka_init_transactions(producer, WAIT_MS),
		      "init_transactions");
	}
	return producer;
}

/* Sends one message at `at`; returns where the next one begins. */
static size_t send_one(rd_kafka_t *producer, rd_kafka_topic_t *topic,
		       const struct file *file, size_t at)
{
	uint32_t lens[2];
	size_t key_len;
	size_t value_len;
	char *key;
	char *value;

	memcpy(lens, file->bytes + at, sizeof lens);
	key_len = lens[0] == UINT32_MAX ? 0 : lens[0];
	value_len = lens[1] == UINT32_MAX ? 0 : lens[1];
	key = file->bytes + at + sizeof lens;
	value = key + key_len;
	while (rd_kafka_produce(topic, 0, 0, lens[1] == UINT32_MAX ? NULL : value,
				value_len, lens[0] == UINT32_MAX ? NULL : key, key_len,
				NULL) != 0) {
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
			fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
		}
		rd_kafka_poll(producer, 1);
	}
	return at + sizeof lens + key_len + value_len;
}

static int64_t send_all(rd_kafka_t *producer, const char *name, const struct file *file,
			int64_t per_txn)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, name, NULL);
	int64_t count = 0;
	size_t at = 0;

	while (at < file->len) {
		if (per_txn > 0 && count % per_txn == 0) {
			check(rd_kafka_begin_transaction(producer), "begin");
		}
		at = send_one(producer, topic, file, at);
		count++;
		if (count % 256 == 0) {
			rd_kafka_poll(producer, 0);
		}
		if (per_txn > 0 && (count % per_txn == 0 || at == file->len)) {
			check(rd_kafka_commit_transaction(producer, WAIT_MS), "commit");
		}
	}
	if (rd_kafka_flush(producer, WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
		fail("flush", "not all delivered");
	}
	rd_kafka_topic_destroy(topic);
	return count;
}

int main(int argc, char **argv)
{
	struct file file;
	rd_kafka_t *producer;
	int64_t per_txn;
	int64_t start_ns;
	int64_t count;

	if (argc != 5) {
		fprintf(stderr, "usage: kafka_write BROKER TOPIC FILE PER_TXN\n");
		return 2;
	}
	per_txn = strtoll(argv[4], NULL, 10);
	file = map_file(argv[3]);
	producer = open_producer(argv[1], argv[2], per_txn == 0);
	start_ns = now_ns();
	count = send_all(producer, argv[2], &file, per_txn);
	printf("{\"messages\":%lld,\"bytes\":%zu,\"start_ns\":%lld,\"end_ns\":%lld}\n",
	       (long long)count, file.len, (long long)start_ns, (long long)now_ns());
	rd_kafka_destroy(producer);
	return 0;
}
