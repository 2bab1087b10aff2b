/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/kafka_wait.h"

#include <stdio.h>

#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/base/metrics.h"

#define SAY_NS (2 * NS_PER_S) /* an outage that is shorter is not worth a line */

void kafka_wait_begin(struct kafka_wait *wait)
{
	wait->since = clock_mono_ns();
	wait->is_refused = false;
}

int64_t kafka_wait_ns(const struct kafka_wait *wait)
{
	return clock_mono_ns() - wait->since;
}

void kafka_wait_note(struct kafka_wait *wait, const char *reason, bool is_refusal)
{
	metrics_count(METRIC_SINK_ERRORS, 1);
	(void)snprintf(wait->reason, sizeof wait->reason, "%s", reason);
	wait->is_refused = wait->is_refused || is_refusal;
}

static const char *reason_of(const struct kafka_wait *wait)
{
	return wait->reason[0] ? wait->reason : "no answer";
}

static enum status give_up(const struct kafka_wait *wait, struct error *err)
{
	if (wait->is_refused) {
		return error_set(err, wait->is_start ? ST_CONFIG : ST_IO,
				 "Kafka at %s refuses rowtail: %s; see producer.sasl.* "
				 "and producer.ssl.*",
				 wait->brokers, reason_of(wait));
	}
	return error_set(
	    err, ST_IO, "Kafka at %s is out of reach: %s; given up after %lld s",
	    wait->brokers, reason_of(wait), (long long)(wait->patience_ns / NS_PER_S));
}

static void say_outage(const struct kafka_wait *wait)
{
	char why[512];

	(void)snprintf(why, sizeof why, "Kafka at %.200s is out of reach: %.250s",
		       wait->brokers, reason_of(wait));
	if (wait->on_outage) {
		wait->on_outage(wait->context, why);
	}
	log_warn("%s; trying again, changes are kept meanwhile", why);
}

enum status kafka_wait_more(struct kafka_wait *wait, struct error *err)
{
	int64_t now = clock_mono_ns();
	int64_t lasted = now - wait->since;

	if (wait->stop && *wait->stop) {
		wait->stop_since = wait->stop_since ? wait->stop_since : now;
		if (now - wait->stop_since >= KAFKA_GRACE_NS) {
			return error_set(err, ST_STOPPED,
					 "stopped while Kafka at %s was out of reach",
					 wait->brokers);
		}
	}
	if ((wait->is_refused && lasted >= KAFKA_REFUSED_NS) ||
	    (wait->patience_ns > 0 && lasted >= wait->patience_ns)) {
		return give_up(wait, err);
	}
	if (!wait->is_said && lasted >= SAY_NS) {
		wait->is_said = true;
		say_outage(wait);
	}
	return ST_OK;
}

void kafka_wait_end(struct kafka_wait *wait)
{
	if (wait->is_said && wait->on_outage) {
		wait->on_outage(wait->context, NULL);
	}
	if (wait->is_said) {
		log_info("Kafka at %s is back", wait->brokers);
	}
	wait->is_said = false;
	wait->is_refused = false;
	wait->reason[0] = '\0';
}
