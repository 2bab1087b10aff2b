/* SPDX-License-Identifier: Apache-2.0 */
/* sinks/kafka_topics_look.c -- topics that nobody makes: which are there? */
#include <stdio.h>
#include <string.h>

#include "sinks/kafka_topics.h"
#include "sinks/kafka_topics_parts.h"
#include "src/base/clock.h"

#define SHOWN_NS (3 * NS_PER_S) /* for a new topic to be in the list */

/* The names of all topics; a broker makes none for that. */
static enum status list_topics(const struct kafka_topics *topics, rd_kafka_t *rk,
			       const struct rd_kafka_metadata **out, struct error *err)
{
	for (;;) {
		rd_kafka_resp_err_t why =
		    rd_kafka_metadata(rk, 1, NULL, out, 5 * KAFKA_SLICE_MS);

		if (why == RD_KAFKA_RESP_ERR_NO_ERROR) {
			return ST_OK;
		}
		if (!kafka_topics_may_pass(why)) {
			kafka_wait_note(topics->wait, rd_kafka_err2str(why), false);
		}
		(void)rd_kafka_poll(rk, KAFKA_SLICE_MS);
		if (kafka_wait_more(topics->wait, err) != ST_OK) {
			return err->status;
		}
	}
}

/* How many partitions it has; 0: it is not there. */
static int partitions_of(const struct rd_kafka_metadata *all, const char *name)
{
	for (int i = 0; i < all->topic_cnt; i++) {
		const struct rd_kafka_metadata_topic *t = &all->topics[i];

		if (strcmp(t->topic, name) == 0 &&
		    t->err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
			return t->partition_cnt > 0 ? t->partition_cnt : 1;
		}
	}
	return 0;
}

static void tell_there(const struct sink_look *look, const char *name, int partitions)
{
	char text[512];

	(void)snprintf(text, sizeof text, "topic %s is there, partitions: %d", name,
		       partitions);
	look->tell(look->context, ST_OK, text);
}

/* ---- those that are missing ---- */

/* One that is asked for. */
struct asking {
	struct kafka_topics *topics;
	rd_kafka_t *rk;
	const struct kafka_topic *topic;
	const struct sink_look *look;
	bool again;     /* the answer may be another one soon */
	bool is_hidden; /* it is there, but was not in the list */
};

static void tell_missing(const struct asking *a, const char *why)
{
	struct error err;
	enum status status =
	    kafka_topics_is_missing(a->topics, a->topic->name, why, &err);

	a->look->tell(a->look->context, status, err.text);
}

static void tell_makeable(const struct asking *a)
{
	char line[512];

	(void)snprintf(line, sizeof line, "topic %s is not there, and would be made",
		       a->topic->name);
	a->look->tell(a->look->context, ST_OK, line);
}

static void tell_hidden(const struct asking *a)
{
	char line[512];

	(void)snprintf(line, sizeof line,
		       "topic %s is there, and Kafka does not show it to rowtail: "
		       "allow rowtail to describe and write it",
		       a->topic->name);
	a->look->tell(a->look->context, ST_IO, line);
}

static void take_answer(struct asking *a, rd_kafka_resp_err_t why, const char *text)
{
	struct error err;
	enum status status;

	text = text ? text : rd_kafka_err2str(why);
	switch (why) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		tell_makeable(a);
		return;
	case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
		a->is_hidden = true;
		return;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		tell_missing(a, text);
		return;
	default:
		break;
	}
	a->again = kafka_topics_may_pass(why);
	if (!a->again) {
		status =
		    kafka_topics_cannot_make(a->topics, a->topic->name, text, &err);
		a->look->tell(a->look->context, status, err.text);
	}
}

static void take_event(struct asking *a, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t why = rd_kafka_event_error(event);
	const rd_kafka_topic_result_t **list;
	size_t count = 0;

	if (why != RD_KAFKA_RESP_ERR_NO_ERROR) { /* a broker that cannot be asked */
		a->again = kafka_topics_may_pass(why);
		if (!a->again) {
			tell_missing(a, rd_kafka_event_error_string(event));
		}
		return;
	}
	list = rd_kafka_CreateTopics_result_topics(
	    rd_kafka_event_CreateTopics_result(event), &count);
	for (size_t i = 0; i < count; i++) {
		take_answer(a, rd_kafka_topic_result_error(list[i]),
			    rd_kafka_topic_result_error_string(list[i]));
	}
}

/* The broker only says whether it could be made (validate_only). */
static enum status ask_for(struct asking *a, rd_kafka_NewTopic_t *made,
			   rd_kafka_AdminOptions_t *options, struct error *err)
{
	rd_kafka_queue_t *queue;
	rd_kafka_event_t *event;
	char text[128];

	if (rd_kafka_AdminOptions_set_request_timeout(options, KAFKA_TOPICS_MAKE_MS,
						      text, sizeof text) !=
		RD_KAFKA_RESP_ERR_NO_ERROR ||
	    rd_kafka_AdminOptions_set_validate_only(options, 1, text, sizeof text) !=
		RD_KAFKA_RESP_ERR_NO_ERROR) {
		return error_set(err, ST_IO, "topic %s cannot be asked for: %s",
				 a->topic->name, text);
	}
	queue = rd_kafka_queue_new(a->rk);
	rd_kafka_CreateTopics(a->rk, &made, 1, options, queue);
	event = kafka_topics_answer(a->topics, a->rk, queue, err);
	if (event) {
		take_event(a, event);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_queue_destroy(queue);
	return event ? ST_OK : err->status;
}

static enum status ask_once(struct asking *a, struct error *err)
{
	rd_kafka_NewTopic_t *made = NULL;
	rd_kafka_AdminOptions_t *options =
	    rd_kafka_AdminOptions_new(a->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	enum status status = kafka_topics_describe(a->topics, a->topic, &made, err);

	if (status == ST_OK) {
		status = ask_for(a, made, options, err);
	} else {
		a->look->tell(a->look->context, status, err->text);
		status = ST_OK;
	}
	if (made) {
		rd_kafka_NewTopic_destroy(made);
	}
	rd_kafka_AdminOptions_destroy(options);
	return status;
}

/* One that was just made is not in all lists yet. */
static enum status await_shown(const struct asking *a, struct error *err)
{
	int64_t until_ns = clock_mono_ns() + SHOWN_NS;
	enum status status = ST_OK;
	int partitions = 0;

	while (status == ST_OK && partitions == 0 && clock_mono_ns() < until_ns) {
		const struct rd_kafka_metadata *all = NULL;

		(void)rd_kafka_poll(a->rk, KAFKA_SLICE_MS);
		status = list_topics(a->topics, a->rk, &all, err);
		if (status == ST_OK) {
			partitions = partitions_of(all, a->topic->name);
			rd_kafka_metadata_destroy(all);
		}
	}
	if (status == ST_OK && partitions > 0) {
		tell_there(a->look, a->topic->name, partitions);
	} else if (status == ST_OK) {
		tell_hidden(a);
	}
	return status;
}

static enum status look_at_missing(struct kafka_topics *topics, rd_kafka_t *rk,
				   const struct kafka_topic *topic,
				   const struct sink_look *look, struct error *err)
{
	struct asking a = {.topics = topics, .rk = rk, .topic = topic, .look = look};
	enum status status;

	if (!topics->settings.may_make) {
		tell_missing(&a, KAFKA_TOPICS_NOT_ALLOWED);
		return ST_OK;
	}
	status = ask_once(&a, err);
	while (status == ST_OK && a.again) {
		(void)rd_kafka_poll(rk, KAFKA_SLICE_MS);
		status = kafka_wait_more(topics->wait, err);
		a.again = false;
		if (status == ST_OK) {
			status = ask_once(&a, err);
		}
	}
	return status == ST_OK && a.is_hidden ? await_shown(&a, err) : status;
}

/* ---- all ---- */

enum status kafka_topics_look(struct kafka_topics *topics, rd_kafka_t *rk,
			      const struct sink_look *look, struct error *err)
{
	const struct rd_kafka_metadata *all = NULL;
	enum status status;

	kafka_wait_begin(topics->wait);
	status = list_topics(topics, rk, &all, err);
	for (size_t i = 0; status == ST_OK && i < topics->count; i++) {
		struct kafka_topic *topic = topics->list[i];
		int partitions = partitions_of(all, topic->name);

		topic->is_checked = partitions == 0; /* the others are asked about */
		if (partitions > 0) {
			tell_there(look, topic->name, partitions);
		} else {
			status = look_at_missing(topics, rk, topic, look, err);
		}
	}
	if (all) {
		rd_kafka_metadata_destroy(all);
	}
	return status == ST_OK ? kafka_topics_check(topics, rk, err) : status;
}
