/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/signal_kafka.h"

#include <stdlib.h>

#include "src/base/clock.h"
#include "src/base/log.h"

#define WARNINGS_MAX 10       /* of messages, between two signals */
#define AGAIN_NS     NS_PER_S /* between two tries, without memory */

struct signal_kafka {
	struct kafka_signals *messages;
	const char *topic;
	struct span value; /* of the message at hand; NULL: there is none */
	bool is_given;     /* as a signal */
	int64_t again_ns;  /* monotonic: that one is tried again */
	unsigned warnings;
};

static void warn_of_message(struct signal_kafka *k, const char *what)
{
	if (k->warnings < WARNINGS_MAX) {
		log_warn("topic %s: %s; it is left out", k->topic, what);
	} else if (k->warnings == WARNINGS_MAX) {
		log_warn("topic %s has many messages that are no signals; more of them "
			 "are not told of",
			 k->topic);
	}
	k->warnings++;
}

static void forget_message(struct signal_kafka *k)
{
	k->value = (struct span){NULL, 0};
	k->is_given = false;
	k->again_ns = 0;
	kafka_signals_done(k->messages);
}

struct signal *signal_kafka_next(struct signal_kafka *k)
{
	struct signal *signal;
	struct error err;
	enum status status;
	bool is_like;

	if (k->is_given || clock_mono_ns() < k->again_ns ||
	    (!k->value.bytes && !kafka_signals_next(k->messages, &k->value))) {
		return NULL;
	}
	status = signal_parse_line(k->value, &signal, &is_like, &err);
	if (status == ST_OK) {
		k->is_given = true;
		k->warnings = 0;
		return signal;
	}
	if (status == ST_CONFIG) {
		warn_of_message(k, err.text);
		forget_message(k);
	} else {
		log_warn("topic %s: %s; it is tried again", k->topic, err.text);
		k->again_ns = clock_mono_ns() + AGAIN_NS;
	}
	return NULL;
}

void signal_kafka_taken(struct signal_kafka *k)
{
	forget_message(k);
}

int signal_kafka_fd(const struct signal_kafka *k)
{
	return kafka_signals_fd(k->messages);
}

int64_t signal_kafka_due_ns(const struct signal_kafka *k)
{
	return k->again_ns > 0 ? k->again_ns : INT64_MAX;
}

struct kafka_signals_place signal_kafka_place(const struct signal_kafka *k)
{
	return kafka_signals_place(k->messages, k->is_given);
}

enum status signal_kafka_open(const struct kafka_signals_settings *settings,
			      struct signal_kafka **out, struct error *err)
{
	struct signal_kafka *k = calloc(1, sizeof *k);
	enum status status;

	if (!k) {
		return error_no_memory(err, "signals by Kafka");
	}
	k->topic = settings->topic;
	status = kafka_signals_open(settings, &k->messages, err);
	if (status != ST_OK) {
		free(k);
		return status;
	}
	*out = k;
	return ST_OK;
}

void signal_kafka_close(struct signal_kafka *k)
{
	if (!k) {
		return;
	}
	kafka_signals_close(k->messages);
	free(k);
}
