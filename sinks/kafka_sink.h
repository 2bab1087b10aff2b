/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/kafka_sink.h -- messages into Kafka, with the position that they lead to.
 *
 * EXACTLY ONCE   What is put is gathered (sinks/kafka_batch.h) and sent in a Kafka
 *                transaction, whose last message is the position of all that was put
 *                (sinks/kafka_position.h). It is committed by flush, and by a put that
 *                finds the batch full or the transaction half its time old. If it
 * fails, a new producer takes over, reads the position, and so learns whether it was
 * committed after all; if not, the batch is sent again. Memory is bounded by the batch.
 * AT LEAST ONCE  Without transactions; flush waits until all is delivered. What failed
 *                is sent again. The position is written afterwards, at most once a
 *                second: it says whose the topics are.
 * OUTAGES        are waited for, sinks/kafka_wait.h. A stop leaves 2.5 s.
 * START          open ─► look (whose topics are they? disturbs nobody) ─► claim (an
 *                earlier producer ends) ─► the caller settles its position ─► begin
 * (the topics that were announced are made, and the position is written). THREADS The
 * decoding thread. ERRORS         ST_CONFIG at the start; ST_IO: what cannot be
 * retried. Nothing that was not acknowledged is lost. As any sink, closed after an
 * error.
 */
#ifndef SINKS_KAFKA_SINK_H
#define SINKS_KAFKA_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "sinks/kafka_position.h"
#include "sinks/kafka_topics.h"
#include "sinks/sink.h"

struct kafka_settings {
	const char *brokers; /* borrowed, as all of these */
	const char *prefix;  /* topic.prefix */
	const char *delimiter;
	const struct kafka_property *properties;
	size_t property_count;
	struct kafka_topics_settings topics;
	bool exactly_once;
	bool keeps_position; /* false: there is no state directory */
	bool skips_too_large;
	const volatile int *stop;
	int64_t patience_ns; /* 0: no end */
	/* What was put up to this moment leads to: all but `run` and `exactly_once`. */
	void (*position)(void *context, struct kafka_position *out);
	/* It is in Kafka. */
	enum status (*acknowledged)(void *context, struct error *err);
	/* Kafka is out of reach, and that is going to be said. */
	void (*on_outage)(void *context);
	void *context;
};

enum status kafka_sink_open(const struct kafka_settings *settings, struct sink **out,
			    struct error *err) MUST_CHECK;

/* Who wrote here last. */
enum status kafka_sink_look(struct sink *sink, struct kafka_found *found,
			    struct error *err) MUST_CHECK;
/* End whoever did, and read what they committed. */
enum status kafka_sink_claim(struct sink *sink, struct kafka_found *found,
			     struct error *err) MUST_CHECK;
enum status kafka_sink_begin(struct sink *sink, struct error *err) MUST_CHECK;

#endif
