/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/kafka_config.h -- the settings of librdkafka, and handles made of them.
 *
 * All of producer.* goes to librdkafka as it is, to the producer and to the readers of
 * the position topic alike (TLS and SASL are needed by both), and signal.consumer.* to
 * who reads signals. Our defaults come first, so that they can be overridden; what the
 * guarantees rest on comes last.
 *
 * SECRETS  No value of a setting is ever printed; librdkafka's own text for a bad one
 *          is, but not if the name is that of a password, key or token.
 * LOG      librdkafka's lines are ours with --verbose. Its errors are noted in the
 *          kafka_wait, which says an outage once.
 * THREADS  One at a time for each kafka_config; lines of the log come from librdkafka's
 *          threads.
 * ERRORS   ST_CONFIG: a setting is not known or not possible (exit 2). ST_NOMEM.
 */
#ifndef SINKS_KAFKA_CONFIG_H
#define SINKS_KAFKA_CONFIG_H

#include <librdkafka/rdkafka.h>
#include <stddef.h>

#include "sinks/kafka_wait.h"
#include "sinks/sink_settings.h"
#include "src/base/status.h"

struct kafka_config {
	const char *brokers; /* HOST:PORT,… */
	const struct sink_property *properties;
	size_t property_count;
	const char *transactional_id; /* NULL: no transactions */
	struct kafka_wait *wait;
	/* A message was delivered, or was not (message->err); in rd_kafka_poll. */
	void (*delivered)(void *context, const rd_kafka_message_t *message);
	void *context; /* borrowed, as all of this, until the handles are destroyed */
};

/* A producer; connects by and by. The caller destroys it. */
enum status kafka_config_producer(struct kafka_config *config, rd_kafka_t **out,
				  struct error *err) MUST_CHECK;

/* A consumer without a group that shows the end of a partition. `committed_only`: it
 * does not see the messages of aborted and open transactions. */
enum status kafka_config_reader(struct kafka_config *config, bool committed_only,
				rd_kafka_t **out, struct error *err) MUST_CHECK;

/* Who reads a topic as one of a group. */
struct kafka_group {
	const char *id; /* unless the properties have another one */
	const struct sink_property *properties; /* signal.consumer.* */
	size_t property_count;
};

/* A consumer that commits nothing by itself. Of the config only brokers, properties
 * (before those of the group) and wait count. */
enum status kafka_config_member(struct kafka_config *config,
				const struct kafka_group *group, rd_kafka_t **out,
				struct error *err) MUST_CHECK;

/* The value of a producer's setting that is in effect; `text` has room for `len`
 * bytes. */
void kafka_config_get(rd_kafka_t *rk, const char *name, char *text, size_t len);

#endif
