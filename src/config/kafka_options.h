/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/kafka_options.h -- what the user asked for of Kafka: the properties
 * producer.* and topic.creation.*, the few others that only --to kafka: has, and
 * signal.consumer.*.
 *
 * Values of producer.* and signal.consumer.* may have references
 * (src/config/config_provider.h).
 *
 * OWNERSHIP  kafka_options_init / kafka_options_clear; all texts are its own.
 * ERRORS     ST_CONFIG: names the property, and never a value of producer.* or
 *            signal.consumer.*. ST_NOMEM.
 */
#ifndef KAFKA_OPTIONS_H
#define KAFKA_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "sinks/sink_settings.h"
#include "src/base/status.h"

/* All properties of one family, each once. */
struct kafka_family {
	struct sink_property *list; /* texts are ours */
	int *ranks;                 /* that each was set with */
	size_t count;
};

struct kafka_options {
	bool exactly_once;            /* exactly.once.support */
	bool skips_too_large;         /* message.too.large */
	bool may_make_topics;         /* topic.creation.enable */
	int partitions;               /* of tables' topics; -1: the broker's default */
	int replication_factor;       /* -1: the broker's default */
	struct kafka_family producer; /* of producer.*, without that */
	struct kafka_family signals;  /* of signal.consumer.*, likewise */
	struct kafka_family topics;   /* of topic.creation.default.*, the rest */
};

void kafka_options_init(struct kafka_options *options);
void kafka_options_clear(struct kafka_options *options);

/* Note one of a family; of two with the same key the one of higher rank, else the
 * later one, counts. `where` stands in front of the key in messages. */
enum status kafka_options_set(struct kafka_options *options, int rank,
			      const char *where, const char *key, const char *value,
			      struct error *err) MUST_CHECK;

/* Check what was set, and replace references. */
enum status kafka_options_finish(struct kafka_options *options,
				 struct error *err) MUST_CHECK;

#endif
