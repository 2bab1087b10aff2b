/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/signal_kafka.h -- signals that are messages of a Kafka topic.
 *
 * FORMAT     A message whose key is topic.prefix, and nothing else, is for us; its
 * value is a line of src/deliver/signal.h. Others' are left alone. OWNERSHIP
 * signal_kafka_open / signal_kafka_close (takes NULL). Settings are borrowed until
 * then. THREADS    One thread at a time; see sinks/kafka_signals.h, where who reads the
 * topic is. ERRORS     Of opening those of kafka_signals_open. Later a value that is no
 * signal is a warning.
 */
#ifndef SIGNAL_KAFKA_H
#define SIGNAL_KAFKA_H

#include <stdint.h>

#include "sinks/kafka_signals.h"
#include "src/base/status.h"
#include "src/deliver/signal.h"

struct signal_kafka;

enum status signal_kafka_open(const struct kafka_signals_settings *settings,
			      struct signal_kafka **out, struct error *err) MUST_CHECK;
void signal_kafka_close(struct signal_kafka *kafka);

/* For poll: readable when signal_kafka_next has something to do. */
int signal_kafka_fd(const struct signal_kafka *kafka);
/* When it has something to do anyway, on the monotonic clock: 0 is now, INT64_MAX
 * never. */
int64_t signal_kafka_due_ns(const struct signal_kafka *kafka);

/* The next one, the caller's, or NULL. None until the last one is taken. */
struct signal *signal_kafka_next(struct signal_kafka *kafka);
void signal_kafka_taken(struct signal_kafka *kafka);

/* Up to the last message that was taken, that is given, or that is none. */
struct kafka_signals_place signal_kafka_place(const struct signal_kafka *kafka);

#endif
