/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/kafka_wait.h -- how long to wait for Kafka, and what to say meanwhile.
 *
 * Everything that needs a broker is tried in slices of KAFKA_SLICE_MS. Between two,
 * kafka_wait_more says whether to go on: for ever while following, until patience ends
 * otherwise. An outage is one line in the log when it has lasted for a while, and one
 * when it is over. After a stop there is KAFKA_GRACE_NS left.
 *
 *     kafka_wait_begin ─► try ─► failed: kafka_wait_more ─► try … ─► kafka_wait_end
 *
 * Brokers that refuse who we are get KAFKA_REFUSED_NS: they may be starting.
 *
 * THREADS  The decoding thread only.
 * ERRORS   ST_STOPPED; ST_IO: patience has ended, or the brokers refuse us; in the
 *          second case ST_CONFIG at the start.
 */
#ifndef SINKS_KAFKA_WAIT_H
#define SINKS_KAFKA_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"

#define KAFKA_SLICE_MS   100
#define KAFKA_GRACE_NS   INT64_C(2500000000)
#define KAFKA_REFUSED_NS INT64_C(10000000000)

struct kafka_wait {
	const char *brokers;     /* borrowed; for messages */
	const _Atomic int *stop; /* borrowed; may be NULL */
	int64_t patience_ns;     /* of one wait; 0: no end */
	bool is_start;           /* nothing is followed yet */
	/* As settings have it (sinks/sink_settings.h); may be NULL. */
	void (*on_outage)(void *context, const char *why);
	void *context;

	int64_t since;      /* of the wait at hand (monotonic) */
	int64_t stop_since; /* 0: no stop was seen */
	bool is_refused;    /* noted in this wait */
	bool is_said;       /* the outage is in the log */
	char reason[256];   /* what the library said last, if it did */
};

void kafka_wait_begin(struct kafka_wait *wait);
enum status kafka_wait_more(struct kafka_wait *wait, struct error *err) MUST_CHECK;
void kafka_wait_end(struct kafka_wait *wait); /* it went well */

/* Why it does not go on; `is_refusal`: waiting does not help. */
void kafka_wait_note(struct kafka_wait *wait, const char *reason, bool is_refusal);

/* How long the wait at hand has lasted. */
int64_t kafka_wait_ns(const struct kafka_wait *wait);

#endif
