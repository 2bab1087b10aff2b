/* SPDX-License-Identifier: Apache-2.0 */
/* src/pipeline_say.c -- what people, and the service manager, are told of a pipeline.
 */
#include <stdio.h>

#include "src/base/health.h"
#include "src/base/log.h"
#include "src/base/metrics.h"
#include "src/pipeline.h"

#define TEXT_BYTES 512

static const char *name_of(const struct pipeline *pipeline)
{
	const struct config *config = pipeline->config;

	return config->archive ? config->archive : config->database_path;
}

/* What it does, for the service manager. */
static void describe(const struct pipeline *pipeline, char text[TEXT_BYTES])
{
	(void)snprintf(text, TEXT_BYTES, "%s%.480s",
		       pipeline->is_said ? "following " : "starting ",
		       name_of(pipeline));
}

void pipeline_say_outage(void *context, const char *why)
{
	const struct pipeline *pipeline = context;
	char text[TEXT_BYTES];

	describe(pipeline, text);
	supervisor_status(pipeline->supervisor, why ? why : text);
}

void pipeline_say_following(struct pipeline *pipeline)
{
	const struct config *config = pipeline->config;
	bool is_first = !pipeline->is_said;
	char text[TEXT_BYTES];

	pipeline->is_said = true;
	health_say(HEALTH_RUN, NULL);
	metrics_set(METRIC_FOLLOWING, 1);
	if (is_first && (!config->archive || config->follow)) {
		log_always("following %s", name_of(pipeline));
		describe(pipeline, text);
		supervisor_ready(pipeline->supervisor, text);
	}
}
