/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/status.c -- rowtail status: what can be told of a state directory and
 * its database, as lines, as one JSON object or as metrics; or whether that is well.
 *
 * ERRORS  As status_collect; ST_IO when stdout takes nothing, or it is not well.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/archive/policy_settings.h"
#include "src/base/clock.h"
#include "src/base/quote.h"
#include "src/command_table.h"
#include "src/commands/status_report.h"

#define LAG_NS  (10 * NS_PER_S) /* --max-lag, unless it is given */
#define SEE_NS  NS_PER_S        /* for what was just committed to be captured, */
#define MOST_NS (30 * NS_PER_S) /* ... with --check as long as that may take */
#define LIFE_NS (3 * NS_PER_S)  /* a process opens a database anew */

static enum status read_limits(const struct status_options *options,
			       struct status_limits *out, struct error *err)
{
	*out = (struct status_limits){.lag_ns = LAG_NS, .bytes = UINT64_MAX};
	if (options->max_lag) {
		out->lag_ns = policy_duration_ns(options->max_lag);
	}
	if (out->lag_ns == 0) {
		return error_set(err, ST_CONFIG,
				 "--max-lag=%s: must be a number and s, m, h, d or w, "
				 "as 30s",
				 options->max_lag);
	}
	if (options->max_bytes) {
		char *end;

		errno = 0;
		out->bytes = strtoull(options->max_bytes, &end, 10);
		if (errno != 0 || *end || end == options->max_bytes ||
		    *options->max_bytes < '0' || *options->max_bytes > '9') {
			return error_set(err, ST_CONFIG,
					 "--max-bytes=%s: must be a number of bytes",
					 options->max_bytes);
		}
	}
	return ST_OK;
}

static enum status check(const struct status_report *report,
			 const struct status_limits *limits, struct error *err)
{
	char why[1200];

	if (!status_is_healthy(report, limits, why, sizeof why)) {
		return error_set(err, ST_IO, "%s: not well: %s",
				 quote(report->path).text, why);
	}
	(void)printf("well: %s, lag %.1f s\n",
		     report->is_new ? "the first start is under way" : "it runs",
		     report->lag_seconds);
	return ST_OK;
}

static enum status print_json(const struct status_report *report, struct error *err)
{
	char *text = status_json(report);

	if (!text) {
		return error_no_memory(err, "the status");
	}
	(void)puts(text);
	free(text);
	return ST_OK;
}

static enum status print(const struct config *config,
			 const struct status_report *report,
			 const struct status_limits *limits, struct error *err)
{
	if (config->status.check) {
		return check(report, limits, err);
	}
	if (config->json) {
		return print_json(report, err);
	}
	if (config->status.prometheus) {
		status_print_metrics(report);
	} else {
		status_print(report);
	}
	return ST_OK;
}

/* With --check for as long as it may lag; and one that opens its database anew lets go
 * of the directory meanwhile. */
static enum status collect(const struct config *config,
			   const struct status_limits *limits,
			   struct status_report *report, struct error *err)
{
	const char *database = config->status.database;
	int64_t until_ns = clock_mono_ns() + LIFE_NS;
	int64_t wait_ns = SEE_NS;
	enum status status;

	if (config->status.check) {
		wait_ns = limits->lag_ns < MOST_NS ? limits->lag_ns : MOST_NS;
	}
	status = status_collect(config->state_path, database, wait_ns, report, err);
	while (status == ST_OK && config->status.check && report->holder == 0 &&
	       !report->is_clean && !report->has_error && clock_mono_ns() < until_ns) {
		status_clear(report);
		clock_sleep_ns(100 * NS_PER_MS);
		status =
		    status_collect(config->state_path, database, wait_ns, report, err);
	}
	return status;
}

static enum status run(const struct config *config, struct error *err)
{
	struct status_report report;
	struct status_limits limits;
	enum status status = read_limits(&config->status, &limits, err);

	if (status == ST_OK) {
		status = collect(config, &limits, &report, err);
	}
	if (status != ST_OK) {
		return status;
	}
	status = print(config, &report, &limits, err);
	if (status == ST_OK && fflush(stdout) != 0) {
		status = error_set(err, ST_IO, "stdout takes nothing");
	}
	status_clear(&report);
	return status;
}

static const char *const forms[] = {"DATABASE|--state DIR", NULL};

const struct command status_command = {
    .name = "status",
    .usage = "DATABASE|--state DIR [--json]",
    .forms = forms,
    .help = "print position, lag, sizes and health of a state\n"
	    "directory, also in use, and what the database has that\n"
	    "is not captured; --check: exit 0 if all is well\n",
    .takes_json = true,
    .takes_check = true,
    .run = run,
};
