/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/kafka_resume.h -- what a start does: the state directory against the
 * record in Kafka's position topic. docs/kafka.md has the table of all cases.
 *
 * THREADS  No shared state.
 */
#ifndef KAFKA_RESUME_H
#define KAFKA_RESUME_H

#include <stdbool.h>
#include <stdint.h>

#include "sinks/kafka_position.h"
#include "src/state/state_dir.h"

/* What the state directory says. */
struct kafka_own {
	bool is_new; /* there is nothing in it yet: uuid and position mean nothing */
	const char *uuid;
	const char *database; /* real path */
	struct state_position position;
	/* Does its history have this transaction, with this checksum? */
	bool (*has)(const void *context, uint64_t lsn, uint64_t chain);
	const void *context;

	const char *prefix; /* topic.prefix, for messages */
	/* Topic of positions: this run's, and that of the run which wrote `position`,
	 * if that wrote to Kafka and it is known; else NULL. */
	const char *topic;
	const char *last_topic;
	bool exactly_once;
	bool when_needed; /* snapshot.mode */
};

enum kafka_verdict {
	KAFKA_GO_ON,      /* from the state directory's position */
	KAFKA_ADOPT,      /* from Kafka's, which is ahead of it */
	KAFKA_START_OVER, /* with a new snapshot, in an empty state directory */
};

/* ST_CONFIG: none of these without losing or repeating something, or Kafka has the
 * position of another database. */
enum status kafka_resume_decide(const struct kafka_own *own,
				const struct kafka_found *found,
				enum kafka_verdict *verdict,
				struct error *err) MUST_CHECK;

/* What Kafka has, as a position of the state directory. */
void kafka_resume_adopt(const struct kafka_position *from, struct state_position *to);

/* Greater than every LSN, and not less than any change_id, that either has seen. */
struct kafka_floor {
	uint64_t lsn;
	uint64_t change_id;
};
struct kafka_floor kafka_resume_floor(const struct kafka_own *own,
				      const struct kafka_found *found);

#endif
