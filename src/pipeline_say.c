/* SPDX-License-Identifier: Apache-2.0 */
/* src/pipeline_say.c -- what people, and the service manager, are told of a pipeline.
 */
#include <stdio.h>

#include "src/base/log.h"
#include "src/pipeline.h"

static void tell_ready(const struct pipeline *pipeline)
{
	const struct config *config = pipeline->config;
	char text[512];

	(void)snprintf(text, sizeof text, "following %.480s",
		       config->archive ? config->archive : config->database_path);
	supervisor_ready(pipeline->supervisor, text);
}

void pipeline_say_outage(void *context, const char *why)
{
	const struct pipeline *pipeline = context;

	if (why) {
		supervisor_status(pipeline->supervisor, why);
	} else {
		tell_ready(pipeline);
	}
}

void pipeline_say_following(struct pipeline *pipeline)
{
	const struct config *config = pipeline->config;

	if (!pipeline->is_said && (!config->archive || config->follow)) {
		log_always("following %s",
			   config->archive ? config->archive : config->database_path);
		tell_ready(pipeline);
	}
	pipeline->is_said = true;
}
