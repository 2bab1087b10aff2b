/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/kafka_resume.h -- what a start does: the state directory against the record in
 * Kafka's position topic. docs/kafka.md has the table of all cases.
 *
 * THREADS  No shared state.
 */
#ifndef SINKS_KAFKA_RESUME_H
#define SINKS_KAFKA_RESUME_H

#include <stdbool.h>
#include <stdint.h>

#include "sinks/kafka_position.h"
#include "sinks/sink.h"

struct kafka_own {
	struct sink_own here; /* what the state directory says */
	const char *prefix;   /* topic.prefix, for messages */
	/* Topic of positions: this run's, and that of the run which wrote `position`,
	 * if that wrote to Kafka and it is known; else NULL. */
	const char *topic;
	const char *last_topic;
	bool exactly_once;
};

/* ST_CONFIG: none of these without losing or repeating something, or Kafka has the
 * position of another database. */
enum status kafka_resume_decide(const struct kafka_own *own,
				const struct kafka_found *found,
				enum sink_verdict *verdict,
				struct error *err) MUST_CHECK;

/* Of a new snapshot, above all that either has seen. */
struct sink_floor kafka_resume_floor(const struct kafka_own *own,
				     const struct kafka_found *found);

#endif
