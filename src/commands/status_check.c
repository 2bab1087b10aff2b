/* SPDX-License-Identifier: Apache-2.0 */
/* src/commands/status_check.c -- is all as it should be? */
#include <inttypes.h>
#include <stdio.h>

#include "src/base/clock.h"
#include "src/base/time_text.h"
#include "src/commands/status_report.h"

/* Since a time as last_error.h has it. */
static int64_t age_ns(const char *time)
{
	int64_t since_ns;

	return time_text_read(time, &since_ns) ? clock_wall_ns() - since_ns : INT64_MAX;
}

static bool lags(const struct status_report *report, const struct status_limits *limits,
		 char *why, size_t why_size)
{
	uint64_t bytes =
	    report->lag_bytes + (report->has_unseen ? report->unseen.bytes : 0);

	if (report->lag_seconds * (double)NS_PER_S > (double)limits->lag_ns) {
		(void)snprintf(why, why_size,
			       "%" PRIu64 " transactions wait for the sink, the oldest "
			       "for %.1f s",
			       report->lag_transactions, report->lag_seconds);
		return true;
	}
	if (bytes > limits->bytes) {
		(void)snprintf(why, why_size, "%" PRIu64 " bytes are not delivered",
			       bytes);
		return true;
	}
	return false;
}

/* There is something to capture, and nothing was, for as long as it was waited for. */
static bool is_stuck(const struct status_report *report, char *why, size_t why_size)
{
	if (!report->has_unseen) {
		(void)snprintf(why, why_size, "%s", report->unseen_why);
		return true;
	}
	if (report->known.is_held && report->unseen.transactions > 0 &&
	    report->is_still) {
		(void)snprintf(why, why_size,
			       "%" PRIu64 " transactions in the WAL are not captured",
			       report->unseen.transactions);
		return true;
	}
	return false;
}

bool status_is_healthy(const struct status_report *report,
		       const struct status_limits *limits, char *why, size_t why_size)
{
	if (report->holder == 0) {
		(void)snprintf(why, why_size, "no rowtail runs%s%s",
			       report->has_error ? ": " : "",
			       report->has_error ? report->error.text : "");
		return false;
	}
	if (report->has_outage && age_ns(report->outage.time) > limits->lag_ns) {
		(void)snprintf(why, why_size, "since %s: %s", report->outage.time,
			       report->outage.text);
		return false;
	}
	if (report->has_archive && report->away.time[0] &&
	    age_ns(report->away.time) > limits->lag_ns) {
		(void)snprintf(why, why_size, "since %s the archive is away: %s",
			       report->away.time, report->away.text);
		return false;
	}
	return report->is_new || (!lags(report, limits, why, why_size) &&
				  !is_stuck(report, why, why_size));
}
