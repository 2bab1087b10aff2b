/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/kafka_signals.h -- the messages of a topic of signals, read by a thread of its
 * own.
 *
 * Only those with our key are given, one at a time: the next one is fetched when that
 * one is done with. A topic has one partition; of one with more the first is read.
 * Where an earlier run has kept a place of that topic, it goes on there: it is known by
 * the message before it. Else the offset that the group has committed counts, else
 * auto.offset.reset; a topic that was made anew is read from its beginning. The group's
 * offset follows what is done, so that others see it.
 *
 *     if (kafka_signals_next(signals, &value)) {
 *             … keep what it asks for, and kafka_signals_place …
 *             kafka_signals_done(signals);
 *     }
 *
 * OWNERSHIP  kafka_signals_open / kafka_signals_close (takes NULL). Settings are
 *            borrowed until then, a value until kafka_signals_done.
 * THREADS    One thread at a time, which never waits for Kafka, but for two seconds at
 *            most in kafka_signals_close: a library that does not let go of it by then
 *            is left to end by itself.
 * ERRORS     Of kafka_signals_check and kafka_signals_open: ST_CONFIG, a setting cannot
 *            be; ST_IO, ST_NOMEM. What is wrong later is a line in the log: a topic
 * that is not there, brokers out of reach, and when they are back.
 */
#ifndef SINKS_KAFKA_SIGNALS_H
#define SINKS_KAFKA_SIGNALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sinks/sink_settings.h"
#include "src/base/message.h"
#include "src/base/status.h"

/* How much of a topic was taken. */
struct kafka_signals_place {
	uint64_t topic; /* CRC-64 of its name */
	uint64_t next;  /* the offset behind the last one; 0: nothing was, and the rest
			 * is zeros */
	uint64_t hash;  /* CRC-64 of that last one */
};

struct kafka_signals_settings {
	const char *topic;   /* NULL: none, and the rest does not count */
	const char *brokers; /* HOST:PORT,… */
	const char *group;
	const char *key;                    /* of messages that are for us */
	const struct sink_property *shared; /* of the sink at the same brokers, */
	size_t shared_count;
	const struct sink_property *own; /* ... and signal.consumer.* */
	size_t own_count;
	struct kafka_signals_place taken; /* as an earlier run has kept it */
};

struct kafka_signals;

enum status kafka_signals_check(const struct kafka_signals_settings *settings,
				struct error *err) MUST_CHECK;

enum status kafka_signals_open(const struct kafka_signals_settings *settings,
			       struct kafka_signals **out,
			       struct error *err) MUST_CHECK;
void kafka_signals_close(struct kafka_signals *signals);

/* For poll: readable when kafka_signals_next has one. */
int kafka_signals_fd(const struct kafka_signals *signals);

/* The next one's value. False: there is none, or the last one is not done with. */
bool kafka_signals_next(struct kafka_signals *signals, struct span *value);
void kafka_signals_done(struct kafka_signals *signals);

/* Up to the last one that is done with, or `with_given` one that is given. */
struct kafka_signals_place kafka_signals_place(struct kafka_signals *signals,
					       bool with_given);

#endif
