/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/kafka_producer.h -- librdkafka's producer and its transaction, in slices.
 *
 *     open ─► init ─► [begin ─► … ─► commit] … ─► close
 *
 * After any ST_RETRY the handle is of no more use: whether a commit that failed was one
 * is known only to Kafka. Close it, open another one, init, and read the position.
 *
 * THREADS  The decoding thread.
 * ERRORS   ST_RETRY: see `failure`; `is_fenced`: the transactional.id has another
 *          owner, or the coordinator ended a transaction that took too long. ST_CONFIG
 *          at the start, else ST_IO: Kafka does not allow it. And those of
 *          sinks/kafka_wait.h.
 */
#ifndef SINKS_KAFKA_PRODUCER_H
#define SINKS_KAFKA_PRODUCER_H

#include <stdbool.h>
#include <stdint.h>

#include "sinks/kafka_config.h"

struct kafka_producer {
	struct kafka_config *config;
	rd_kafka_t *rk; /* NULL: closed */
	bool is_open;   /* a transaction is */
	bool is_fenced;
	int64_t begun_ns;   /* monotonic, of the transaction that is open */
	int64_t rest_until; /* monotonic: the last transaction may not be settled */
	char failure[256];
};

enum status kafka_producer_open(struct kafka_producer *producer,
				struct error *err) MUST_CHECK;
/* What is in an open transaction is aborted within a second, or left to the broker. */
void kafka_producer_close(struct kafka_producer *producer, bool abort);

/* Become the owner of transactional.id: transactions of an earlier owner end, and that
 * one is fenced. Without transactions: nothing. */
enum status kafka_producer_init(struct kafka_producer *producer,
				struct error *err) MUST_CHECK;

/*
 * Begin a transaction if none is open. The broker refuses one while it still settles
 * the last one, and librdkafka then tries again only after 20 ms: so this first waits
 * some milliseconds since the last commit, unless kafka_producer_is_rested.
 */
bool kafka_producer_is_rested(const struct kafka_producer *producer);
enum status kafka_producer_begin(struct kafka_producer *producer,
				 struct error *err) MUST_CHECK;

/* One slice of a commit. ST_END: call again. */
enum status kafka_producer_commit(struct kafka_producer *producer,
				  struct error *err) MUST_CHECK;

#endif
