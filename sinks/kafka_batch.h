/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/kafka_batch.h -- messages that Kafka has not acknowledged, to be sent again.
 *
 * Copies of messages in one block of KAFKA_BATCH_BYTES, given to librdkafka without a
 * further copy: they stay where they are until all of them were reported on or the
 * producer is destroyed. A message larger than the block gets one of its own, and the
 * batch is full. What a batch holds is all of rowtail's own memory for Kafka.
 *
 * SENDING    kafka_batch_send hands over what was not handed over yet. After a failure
 *            (a transaction was aborted) kafka_batch_rewind makes it send all of it
 *            again.
 * PROBLEM    The first message that Kafka will never take is kept, with why.
 * TOO LARGE  A broker refuses a request as a whole. So what was refused is marked and
 *            goes in a request of its own the next time; only one that is refused there
 *            is too large.
 * THREADS    The decoding thread.
 */
#ifndef SINKS_KAFKA_BATCH_H
#define SINKS_KAFKA_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sinks/kafka_topics.h"
#include "src/base/message.h"

#define KAFKA_BATCH_BYTES    (16u << 20)
#define KAFKA_BATCH_MESSAGES 50000

struct kafka_entry {
	struct kafka_topic *topic;
	struct span key, value;
	const struct message_header *headers;
	uint32_t header_count;
	bool is_alone;   /* in a request of its own */
	bool is_skipped; /* too large, and that is allowed */
};

struct kafka_batch {
	char *block;
	size_t block_len;
	char *extra; /* for one large message; NULL: none */
	struct kafka_entry *entries;
	size_t count, bytes;
	size_t sent;                 /* of them, handed to librdkafka */
	size_t outstanding;          /* of these, not reported on */
	size_t failed;               /* reported as failed since the last rewind */
	struct kafka_entry *problem; /* NULL: none */
	rd_kafka_resp_err_t problem_code;
};

enum status kafka_batch_init(struct kafka_batch *batch, struct error *err) MUST_CHECK;
void kafka_batch_clear(struct kafka_batch *batch);

/* Is there room for `message`, and a position behind it? An empty batch has room for
 * any. */
bool kafka_batch_fits(const struct kafka_batch *batch, const struct message *message);
/* Copy it. ST_NOMEM. */
enum status kafka_batch_add(struct kafka_batch *batch, const struct message *message,
			    struct kafka_topic *topic, struct error *err) MUST_CHECK;
/* All were acknowledged. */
void kafka_batch_reset(struct kafka_batch *batch);

/*
 * Hand over what was not. ST_OK, ST_END: librdkafka's queue is full, or a message must
 * be reported on first: poll and call again. ST_RETRY: the next one is not taken;
 * `*why`. If that is its own fault it is the problem, though nothing has failed.
 */
enum status kafka_batch_send(struct kafka_batch *batch, rd_kafka_t *rk,
			     rd_kafka_resp_err_t *why) MUST_CHECK;
/* The report of librdkafka, kafka_config.delivered. */
void kafka_batch_delivered(struct kafka_batch *batch,
			   const rd_kafka_message_t *message);
/* Nothing is outstanding, or the producer was destroyed: send all of it again. */
void kafka_batch_rewind(struct kafka_batch *batch);

/* Bytes of key and value, as brokers count a message, nearly. */
size_t kafka_entry_bytes(const struct kafka_entry *entry);

#endif
