/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/kafka_topics.h -- the topics that are written to: made when missing, checked.
 *
 * MAKING      With CreateTopics, not by the broker's own auto-creation, which makes
 *             them with the broker's settings and may be off. Tables' topics have
 *             topic.creation.default.*; those of control messages (BEGIN and END,
 *             schema changes, heartbeats) have one partition; the position's has one
 *             and is compacted.
 * CHECKING    A compacted topic takes no message without a key, so it cannot be that of
 *             a table without one.
 * PARTITIONS  By the message's key as `partitioner` says (murmur2, as Java clients do);
 *             without a key by the table's name; control messages in partition 0.
 * OWNERSHIP   kafka_topics_open / kafka_topics_close. A kafka_topic lives as long.
 * THREADS     The decoding thread; the partitioner runs wherever librdkafka wants.
 * ERRORS      ST_CONFIG at the start, ST_IO later: a topic cannot be made, or cannot
 *             take what is to be written. Those of sinks/kafka_wait.h.
 */
#ifndef SINKS_KAFKA_TOPICS_H
#define SINKS_KAFKA_TOPICS_H

#include <stdbool.h>
#include <stddef.h>

#include "sinks/kafka_config.h"
#include "sinks/sink.h"
#include "src/base/message.h"

enum kafka_topic_kind { KAFKA_TABLE, KAFKA_CONTROL, KAFKA_POSITION };

struct kafka_topic {
	char *name;
	size_t name_len;
	enum kafka_topic_kind kind;
	char *table;     /* of KAFKA_TABLE */
	bool is_keyless; /* messages without a key will come */
	bool is_checked; /* it is there, and fit */
	const struct kafka_topics *owner;
	rd_kafka_topic_t *handle; /* NULL: none yet */
};

struct kafka_topics;

/* `partitioner_name` as librdkafka names it; NULL: murmur2_random. */
enum status kafka_topics_open(const struct sink_topics *settings,
			      const char *partitioner_name, struct kafka_wait *wait,
			      struct kafka_topics **out, struct error *err) MUST_CHECK;
void kafka_topics_close(struct kafka_topics *topics); /* takes NULL */

/* The topic of that name; noted if it is new. `table` is NULL for what is no table's.
 */
enum status kafka_topics_note(struct kafka_topics *topics, struct span name,
			      enum kafka_topic_kind kind, const char *table,
			      bool is_keyless, struct kafka_topic **out,
			      struct error *err) MUST_CHECK;
/* NULL: it is not noted. */
struct kafka_topic *kafka_topics_find(const struct kafka_topics *topics,
				      struct span name);

/* Make and check all that were noted and are not checked. */
enum status kafka_topics_prepare(struct kafka_topics *topics, rd_kafka_t *rk,
				 struct error *err) MUST_CHECK;

/*
 * In the place of kafka_topics_prepare: which of them are there, and which would be
 * made? `rk` is a reader (sinks/kafka_config.h): asked for one topic by a producer, a
 * broker may make it. Each is told; no error but those of waiting.
 */
enum status kafka_topics_look(struct kafka_topics *topics, rd_kafka_t *rk,
			      const struct sink_look *look,
			      struct error *err) MUST_CHECK;

/* kafka_topics_prepare has nothing to do. */
bool kafka_topics_are_ready(const struct kafka_topics *topics);

/* Is it still there? ST_IO if it is known not to be; asks once, and waits for nothing.
 */
enum status kafka_topic_still_there(struct kafka_topic *topic, rd_kafka_t *rk,
				    struct error *err) MUST_CHECK;

/* For rd_kafka_produce; NULL: out of memory. Valid until kafka_topics_release. */
rd_kafka_topic_t *kafka_topic_handle(struct kafka_topic *topic, rd_kafka_t *rk);
/* Before the producer is destroyed. */
void kafka_topics_release(struct kafka_topics *topics);

#endif
