/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/mock_kafka.h -- librdkafka's own broker in this process, and what is in it.
 *
 * It knows no topic administration, makes topics when they are asked for, keeps some
 * 16,000 messages a partition, and shows messages of aborted transactions to all:
 * exactly-once is proven with a real broker only (tests/kafka).
 */
#ifndef TESTS_LIB_MOCK_KAFKA_H
#define TESTS_LIB_MOCK_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mock_kafka {
	rd_kafka_t *owner;
	rd_kafka_mock_cluster_t *cluster;
	const char *address; /* of its one broker */
};

/* Fails the test if it cannot be had. */
void mock_kafka_open(struct mock_kafka *mock);
void mock_kafka_close(struct mock_kafka *mock);

struct mock_record {
	int32_t partition;
	bool has_key, has_value;
	char key[256];
	char value[2048];
	char headers[256]; /* NAME=VALUE; … */
};

/* All records of a topic, partition by partition; at most `cap`. Returns how many. */
size_t mock_kafka_read(const struct mock_kafka *mock, const char *topic,
		       struct mock_record *records, size_t cap);

#endif
