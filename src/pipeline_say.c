/* SPDX-License-Identifier: Apache-2.0 */
/* src/pipeline_say.c -- what people, and the service manager, are told of a pipeline.
 */
#include <stdio.h>

#include "src/base/log.h"
#include "src/pipeline.h"

#define TEXT_BYTES 512

static const char *name_of(const struct pipeline *pipeline)
{
	const struct config *config = pipeline->config;

	return config->archive ? config->archive : config->database_path;
}

void pipeline_say_outage(void *context, const char *why)
{
	const struct pipeline *pipeline = context;

	char text[TEXT_BYTES];

	if (!why) {
		(void)snprintf(text, sizeof text, "%s%.480s",
			       pipeline->is_said ? "following " : "starting ",
			       name_of(pipeline));
	}
	supervisor_status(pipeline->supervisor, why ? why : text);
}

void pipeline_say_following(struct pipeline *pipeline)
{
	const struct config *config = pipeline->config;

	if (!pipeline->is_said && (!config->archive || config->follow)) {
		char text[TEXT_BYTES];

		log_always("following %s", name_of(pipeline));
		(void)snprintf(text, sizeof text, "following %.480s",
			       name_of(pipeline));
		supervisor_ready(pipeline->supervisor, text);
	}
	pipeline->is_said = true;
}
