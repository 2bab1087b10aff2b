/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/kafka_topics_parts.h -- what sinks/kafka_topics.c and kafka_topics_look.c
 * share; for nobody else.
 */
#ifndef SINKS_KAFKA_TOPICS_PARTS_H
#define SINKS_KAFKA_TOPICS_PARTS_H

#include "sinks/kafka_config.h"
#include "sinks/kafka_wait.h"

#define KAFKA_TOPICS_MAKE_MS     10000 /* what a broker gets to make topics */
#define KAFKA_TOPICS_NOT_ALLOWED "topic.creation.enable=false"

typedef int32_t partitioner(const rd_kafka_topic_t *handle, const void *key, size_t len,
			    int32_t partitions, void *opaque, void *message);

struct kafka_topic;

struct kafka_topics {
	struct sink_topics settings;
	struct kafka_wait *wait;
	partitioner *by_key;
	struct kafka_topic **list; /* by name */
	size_t count, cap;
	bool has_unchecked;
};

/* It may be another answer later. */
bool kafka_topics_may_pass(rd_kafka_resp_err_t why);

/* Wait for the answer to an admin request while the stop is watched. NULL: see *err. */
rd_kafka_event_t *kafka_topics_answer(struct kafka_topics *topics, rd_kafka_t *rk,
				      rd_kafka_queue_t *queue, struct error *err);

/* How it is to be made; the caller destroys it, also after an error. */
enum status kafka_topics_describe(const struct kafka_topics *topics,
				  const struct kafka_topic *topic,
				  rd_kafka_NewTopic_t **out,
				  struct error *err) MUST_CHECK;

/* Those that are not checked: can they take what will come? What cannot be found out is
 * left to the broker. */
enum status kafka_topics_check(struct kafka_topics *topics, rd_kafka_t *rk,
			       struct error *err) MUST_CHECK;

/* What is wrong with one; ST_CONFIG at the start, else ST_IO. */
enum status kafka_topics_cannot_make(const struct kafka_topics *topics,
				     const char *name, const char *text,
				     struct error *err);
enum status kafka_topics_is_missing(const struct kafka_topics *topics, const char *name,
				    const char *why_not_made, struct error *err);

#endif
