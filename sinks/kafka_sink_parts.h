/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/kafka_sink_parts.h -- what sinks/kafka_sink.c and kafka_look.c share; for
 * nobody else.
 */
#ifndef SINKS_KAFKA_SINK_PARTS_H
#define SINKS_KAFKA_SINK_PARTS_H

#include "sinks/kafka_batch.h"
#include "sinks/kafka_producer.h"
#include "sinks/kafka_resume.h"
#include "sinks/kafka_topics.h"
#include "sinks/sink_settings.h"

struct kafka_sink {
	struct sink sink; /* first */
	struct sink_settings settings;
	struct kafka_position own; /* whose positions are, once it has begun */
	char *transactional_id, *position_topic;
	struct kafka_wait wait;
	struct kafka_config config;
	struct kafka_producer producer;
	struct kafka_topics *topics;
	struct kafka_topic *last_topic; /* of the last put */
	struct kafka_topic *own_topic;  /* the position's */
	struct kafka_batch batch;
	size_t unsent_bytes;           /* put since the last send */
	struct kafka_found committed;  /* the last position in Kafka */
	struct kafka_position pending; /* the one that is being committed */
	int64_t committed_ns;          /* when, monotonic */
	int64_t first_ns;              /* the oldest message in the batch */
	int64_t limit_ns;              /* how long a transaction may be open */
};

/* The topic of positions; the caller frees it. NULL: no memory. */
char *kafka_sink_position_topic(const char *delimiter, const char *prefix);

/* What the state directory says, with the topics that it would be found in; `database`
 * is scratch, `*last_topic` is the caller's to free, and both are borrowed. */
struct kafka_own kafka_sink_own(const struct kafka_sink *s, const struct sink_own *here,
				char database[KAFKA_PATH_BYTES], char **last_topic);

/* sink_kind.look */
enum status kafka_look_at_start(struct sink *sink, const struct sink_own *here,
				const struct sink_look *look, struct error *err);

#endif
