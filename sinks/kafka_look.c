/* SPDX-License-Identifier: Apache-2.0 */
/* sinks/kafka_look.c -- who wrote to Kafka here last, and what a start would do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/kafka_sink.h"
#include "sinks/kafka_sink_parts.h"

char *kafka_sink_position_topic(const char *delimiter, const char *prefix)
{
	char *topic;

	return asprintf(&topic, KAFKA_POSITION_TOPIC "%s%s", delimiter, prefix) < 0
		   ? NULL
		   : topic;
}

struct kafka_own kafka_sink_own(const struct kafka_sink *s, const struct sink_own *here,
				char database[KAFKA_PATH_BYTES], char **last_topic)
{
	bool was_here =
	    here->last_kind && strcmp(here->last_kind, kafka_kind.name) == 0;
	struct kafka_own own = {.here = *here,
				.prefix = s->settings.prefix,
				.topic = s->position_topic,
				.exactly_once = s->settings.exactly_once};

	*last_topic = was_here ? kafka_sink_position_topic(here->last_delimiter,
							   here->last_prefix)
			       : NULL;
	kafka_position_path(database, here->database);
	own.here.database = database;
	own.last_topic = *last_topic;
	return own;
}

enum status kafka_sink_look(struct sink *sink, struct kafka_found *found,
			    struct error *err)
{
	struct kafka_sink *s = (struct kafka_sink *)sink;

	return kafka_position_read(&s->config, s->position_topic, true, found, err);
}

static enum status look_at_position(struct kafka_sink *s, const struct sink_own *here,
				    const struct sink_look *look, struct error *err)
{
	char database[KAFKA_PATH_BYTES];
	struct kafka_own own;
	struct kafka_found found;
	enum sink_verdict verdict = SINK_GO_ON;
	char *last;
	enum status status = kafka_sink_look(&s->sink, &found, err);

	if (status != ST_OK || look->is_in_use) {
		return status;
	}
	own = kafka_sink_own(s, here, database, &last);
	status = kafka_resume_decide(&own, &found, &verdict, err);
	free(last);
	if (status == ST_OK && verdict == SINK_START_OVER) {
		look->tell(look->context, ST_OK,
			   "Kafka's position is of no use: a new snapshot is taken "
			   "(snapshot.mode=when_needed)");
	}
	return status;
}

enum status kafka_look_at_start(struct sink *sink, const struct sink_own *here,
				const struct sink_look *look, struct error *err)
{
	struct kafka_sink *s = (struct kafka_sink *)sink;
	rd_kafka_t *reader = NULL;
	enum status status;

	s->wait.patience_ns = look->patience_ns;
	s->wait.is_said = true; /* who looks is told when it is given up */
	s->wait.on_outage = NULL;
	status = kafka_config_reader(&s->config, true, &reader, err);
	if (status == ST_OK) {
		status = s->settings.state_path ? look_at_position(s, here, look, err)
						: ST_OK;
	}
	/* What is wrong with the position says nothing of the topics. */
	if (status == ST_CONFIG && !s->wait.is_refused) {
		look->tell(look->context, status, err->text);
		status = ST_OK;
	}
	if (status == ST_OK && look->knows_topics) {
		status = kafka_topics_look(s->topics, reader, look, err);
	}
	if (reader) {
		rd_kafka_destroy(reader);
	}
	return status;
}
