/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/mock_kafka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void no_log(const rd_kafka_t *rk, int level, const char *facility,
		   const char *text)
{
	(void)rk;
	(void)level;
	(void)facility;
	(void)text;
}

static rd_kafka_t *make(rd_kafka_type_t type, const char *address)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[256];
	rd_kafka_t *rk;

	rd_kafka_conf_set_log_cb(conf, no_log);
	if (address) {
		assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", address,
						   text, sizeof text),
				 RD_KAFKA_CONF_OK);
		assert_int_equal(rd_kafka_conf_set(conf, "enable.partition.eof", "true",
						   text, sizeof text),
				 RD_KAFKA_CONF_OK);
		assert_int_equal(rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10",
						   text, sizeof text),
				 RD_KAFKA_CONF_OK);
	}
	rk = rd_kafka_new(type, conf, text, sizeof text);
	assert_non_null(rk);
	return rk;
}

void mock_kafka_open(struct mock_kafka *mock)
{
	mock->owner = make(RD_KAFKA_PRODUCER, NULL);
	mock->cluster = rd_kafka_mock_cluster_new(mock->owner, 1);
	assert_non_null(mock->cluster);
	mock->address = rd_kafka_mock_cluster_bootstraps(mock->cluster);
}

void mock_kafka_close(struct mock_kafka *mock)
{
	rd_kafka_mock_cluster_destroy(mock->cluster);
	rd_kafka_destroy(mock->owner);
}

static void copy_text(char *to, size_t cap, const void *from, size_t len)
{
	assert_true(len < cap);
	memcpy(to, from, len);
	to[len] = '\0';
}

static void take_headers(struct mock_record *record, const rd_kafka_message_t *message)
{
	rd_kafka_headers_t *headers;
	const char *name;
	const void *value;
	size_t len, used = 0;

	if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
		return;
	}
	for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) ==
			   RD_KAFKA_RESP_ERR_NO_ERROR;
	     i++) {
		used += (size_t)snprintf(record->headers + used,
					 sizeof record->headers - used, "%s=%.*s; ",
					 name, (int)len, (const char *)value);
		assert_true(used < sizeof record->headers);
	}
}

static void take(struct mock_record *record, const rd_kafka_message_t *message)
{
	*record = (struct mock_record){.partition = message->partition};
	record->has_key = message->key != NULL;
	record->has_value = message->payload != NULL;
	if (message->key) {
		copy_text(record->key, sizeof record->key, message->key,
			  message->key_len);
	}
	if (message->payload && message->len < sizeof record->value) {
		copy_text(record->value, sizeof record->value, message->payload,
			  message->len);
	}
	take_headers(record, message);
}

static size_t read_partition(rd_kafka_topic_t *topic, int32_t partition,
			     struct mock_record *records, size_t cap)
{
	size_t count = 0;
	bool at_end = false;

	assert_int_equal(
	    rd_kafka_consume_start(topic, partition, RD_KAFKA_OFFSET_BEGINNING), 0);
	while (!at_end) {
		rd_kafka_message_t *message = rd_kafka_consume(topic, partition, 10000);

		assert_non_null(message);
		at_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
		if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			assert_true(count < cap);
			take(&records[count++], message);
		}
		rd_kafka_message_destroy(message);
	}
	(void)rd_kafka_consume_stop(topic, partition);
	return count;
}

size_t mock_kafka_read(const struct mock_kafka *mock, const char *topic,
		       struct mock_record *records, size_t cap)
{
	rd_kafka_t *rk = make(RD_KAFKA_CONSUMER, mock->address);
	rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
	const struct rd_kafka_metadata *metadata;
	size_t count = 0;
	int partitions;

	assert_int_equal(rd_kafka_metadata(rk, 0, handle, &metadata, 10000),
			 RD_KAFKA_RESP_ERR_NO_ERROR);
	partitions = metadata->topics[0].partition_cnt;
	rd_kafka_metadata_destroy(metadata);
	for (int i = 0; i < partitions; i++) {
		count += read_partition(handle, i, records + count, cap - count);
	}
	rd_kafka_topic_destroy(handle);
	rd_kafka_destroy(rk);
	return count;
}
