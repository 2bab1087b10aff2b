/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/control_topics.h -- the topics of messages that are of no table, and what
 * transforms make of them.
 *
 * OWNERSHIP  control_topics_clear; the storage of the struct is the caller's, all zero.
 * THREADS    Read-only once made.
 * ERRORS     Those of schemas/transforms.h.
 */
#ifndef SCHEMAS_CONTROL_TOPICS_H
#define SCHEMAS_CONTROL_TOPICS_H

#include "schemas/connect_schema.h"
#include "schemas/encoder_settings.h"
#include "schemas/route.h"
#include "src/base/status.h"

struct control_topics {
	struct route of[CONTROL_MESSAGES]; /* no topic: there are no such messages */
};

static inline struct span control_topic(const struct control_topics *topics,
					enum control_message of)
{
	return route_topic(&topics->of[of]);
}

enum status control_topics_make(struct control_topics *topics,
				const struct encoder_settings *settings,
				struct error *err) MUST_CHECK;
void control_topics_clear(struct control_topics *topics);

#endif
