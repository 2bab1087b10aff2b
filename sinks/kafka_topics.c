/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/kafka_topics.h"

#include <stdlib.h>
#include <string.h>

#include "sinks/kafka_topics_parts.h"
#include "src/base/log.h"

#define DESCRIBE_MS 3000 /* and to describe them */

/* ---- partitions ---- */

static partitioner *partitioner_of(const char *name)
{
	static const struct {
		const char *name;
		partitioner *call;
	} all[] = {
	    {"murmur2_random", rd_kafka_msg_partitioner_murmur2_random},
	    {"murmur2", rd_kafka_msg_partitioner_murmur2},
	    {"random", rd_kafka_msg_partitioner_random},
	    {"consistent", rd_kafka_msg_partitioner_consistent},
	    {"consistent_random", rd_kafka_msg_partitioner_consistent_random},
	    {"fnv1a", rd_kafka_msg_partitioner_fnv1a},
	    {"fnv1a_random", rd_kafka_msg_partitioner_fnv1a_random},
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (!name || strcmp(all[i].name, name) == 0) {
			return all[i].call;
		}
	}
	return NULL;
}

static int32_t choose(const rd_kafka_topic_t *handle, const void *key, size_t len,
		      int32_t partitions, void *opaque, void *message)
{
	const struct kafka_topic *topic = opaque;

	if (topic->kind != KAFKA_TABLE) {
		return 0;
	}
	if (!key) {
		return rd_kafka_msg_partitioner_murmur2(handle, topic->table,
							strlen(topic->table),
							partitions, NULL, message);
	}
	return topic->owner->by_key(handle, key, len, partitions, NULL, message);
}

/* ---- the list ---- */

enum status kafka_topics_open(const struct sink_topics *settings,
			      const char *partitioner_name, struct kafka_wait *wait,
			      struct kafka_topics **out, struct error *err)
{
	struct kafka_topics *topics = calloc(1, sizeof *topics);

	if (!topics) {
		return error_no_memory(err, "the topics");
	}
	topics->settings = *settings;
	topics->wait = wait;
	topics->by_key = partitioner_of(partitioner_name);
	if (!topics->by_key) {
		kafka_topics_close(topics);
		return error_set(err, ST_CONFIG,
				 "producer.partitioner=%s: must be one of murmur2, "
				 "murmur2_random, consistent, consistent_random, "
				 "fnv1a, fnv1a_random and random",
				 partitioner_name);
	}
	*out = topics;
	return ST_OK;
}

static void free_topic(struct kafka_topic *topic)
{
	if (topic) {
		free(topic->name);
		free(topic->table);
		free(topic);
	}
}

void kafka_topics_close(struct kafka_topics *topics)
{
	if (!topics) {
		return;
	}
	kafka_topics_release(topics);
	for (size_t i = 0; i < topics->count; i++) {
		free_topic(topics->list[i]);
	}
	free(topics->list);
	free(topics);
}

static int compare(const struct kafka_topic *topic, struct span name)
{
	size_t len = topic->name_len < name.len ? topic->name_len : name.len;
	int order = memcmp(topic->name, name.bytes, len);

	return order ? order
		     : (topic->name_len > name.len) - (topic->name_len < name.len);
}

/* Where it is, or would be. */
static size_t place_of(const struct kafka_topics *topics, struct span name)
{
	size_t low = 0, high = topics->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(topics->list[middle], name) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

struct kafka_topic *kafka_topics_find(const struct kafka_topics *topics,
				      struct span name)
{
	size_t i = place_of(topics, name);

	return i < topics->count && compare(topics->list[i], name) == 0
		   ? topics->list[i]
		   : NULL;
}

static struct kafka_topic *insert(struct kafka_topics *topics, struct span name)
{
	size_t i = place_of(topics, name);
	struct kafka_topic *topic = calloc(1, sizeof *topic);

	if (topics->count == topics->cap) {
		size_t cap = topics->cap ? 2 * topics->cap : 64;
		struct kafka_topic **grown =
		    reallocarray(topics->list, cap, sizeof(struct kafka_topic *));

		if (!grown) {
			free_topic(topic);
			return NULL;
		}
		topics->list = grown;
		topics->cap = cap;
	}
	if (topic) {
		topic->name = malloc(name.len + 1);
		topic->name_len = name.len;
		topic->owner = topics;
	}
	if (!topic || !topic->name) {
		free_topic(topic);
		return NULL;
	}
	memcpy(topic->name, name.bytes, name.len); /* a span has no end mark */
	topic->name[name.len] = '\0';
	memmove(topics->list + i + 1, topics->list + i,
		(topics->count - i) * sizeof(struct kafka_topic *));
	topics->list[i] = topic;
	topics->count++;
	return topic;
}

enum status kafka_topics_note(struct kafka_topics *topics, struct span name,
			      enum kafka_topic_kind kind, const char *table,
			      bool is_keyless, struct kafka_topic **out,
			      struct error *err)
{
	struct kafka_topic *topic = kafka_topics_find(topics, name);
	char *copy = NULL;

	topic = topic ? topic : insert(topics, name);
	if (table && topic && (!topic->table || strcmp(topic->table, table) != 0)) {
		copy = strdup(table);
	}
	if (!topic || (table && !copy && !topic->table)) {
		return error_no_memory(err, "the topics");
	}
	if (copy) {
		free(topic->table);
		topic->table = copy;
	}
	topic->is_checked = topic->is_checked && topic->is_keyless == is_keyless;
	topic->is_keyless = is_keyless;
	topic->kind = kind;
	topics->has_unchecked = topics->has_unchecked || !topic->is_checked;
	if (out) {
		*out = topic;
	}
	return ST_OK;
}

/* ---- handles ---- */

rd_kafka_topic_t *kafka_topic_handle(struct kafka_topic *topic, rd_kafka_t *rk)
{
	rd_kafka_topic_conf_t *conf;

	if (topic->handle) {
		return topic->handle;
	}
	conf = rd_kafka_default_topic_conf_dup(rk);
	rd_kafka_topic_conf_set_partitioner_cb(conf, choose);
	rd_kafka_topic_conf_set_opaque(conf, topic);
	topic->handle = rd_kafka_topic_new(rk, topic->name, conf);
	if (!topic->handle) {
		rd_kafka_topic_conf_destroy(conf);
	}
	return topic->handle;
}

void kafka_topics_release(struct kafka_topics *topics)
{
	for (size_t i = 0; i < topics->count; i++) {
		if (topics->list[i]->handle) {
			rd_kafka_topic_destroy(topics->list[i]->handle);
			topics->list[i]->handle = NULL;
		}
	}
}

/* ---- making ---- */

static enum status refuse(const struct kafka_topics *topics, struct error *err)
{
	err->status = topics->wait->is_start ? ST_CONFIG : ST_IO;
	return err->status;
}

bool kafka_topics_may_pass(rd_kafka_resp_err_t why)
{
	return why == RD_KAFKA_RESP_ERR__TRANSPORT ||
	       why == RD_KAFKA_RESP_ERR__TIMED_OUT ||
	       why == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE ||
	       why == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT ||
	       why == RD_KAFKA_RESP_ERR_NOT_CONTROLLER ||
	       why == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
	       why == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
}

/* Wait for the answer to an admin request while the stop is watched. NULL: see *err. */
rd_kafka_event_t *kafka_topics_answer(struct kafka_topics *topics, rd_kafka_t *rk,
				      rd_kafka_queue_t *queue, struct error *err)
{
	for (;;) {
		rd_kafka_event_t *event = rd_kafka_queue_poll(queue, KAFKA_SLICE_MS);

		(void)rd_kafka_poll(rk, 0);
		if (event) {
			return event;
		}
		if (kafka_wait_more(topics->wait, err) != ST_OK) {
			return NULL;
		}
	}
}

static rd_kafka_AdminOptions_t *admin_options(rd_kafka_t *rk, int timeout_ms)
{
	rd_kafka_AdminOptions_t *options =
	    rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_ANY);
	char text[128];

	(void)rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text,
							sizeof text);
	return options;
}

static enum status set_config(rd_kafka_NewTopic_t *made, const char *name,
			      const char *value, struct error *err)
{
	if (rd_kafka_NewTopic_set_config(made, name, value) !=
	    RD_KAFKA_RESP_ERR_NO_ERROR) {
		return error_set(err, ST_CONFIG,
				 "topic.creation.default.%s: cannot be set", name);
	}
	return ST_OK;
}

/* How it is to be made. */
enum status kafka_topics_describe(const struct kafka_topics *topics,
				  const struct kafka_topic *topic,
				  rd_kafka_NewTopic_t **out, struct error *err)
{
	const struct sink_topics *settings = &topics->settings;
	int partitions = topic->kind == KAFKA_TABLE ? settings->partitions : 1;
	char text[256];
	enum status status = ST_OK;

	*out = rd_kafka_NewTopic_new(topic->name, partitions,
				     settings->replication_factor, text, sizeof text);
	if (!*out) {
		return error_set(err, ST_CONFIG, "topic %s cannot be made: %s",
				 topic->name, text);
	}
	if (topic->kind == KAFKA_POSITION) {
		status = set_config(*out, "cleanup.policy", "compact", err);
		if (status == ST_OK) { /* only closed segments are compacted */
			status = set_config(*out, "segment.bytes", "16777216", err);
		}
	}
	for (size_t i = 0; status == ST_OK && topic->kind == KAFKA_TABLE &&
			   i < settings->config_count;
	     i++) {
		status = set_config(*out, settings->configs[i].name,
				    settings->configs[i].value, err);
	}
	return status;
}

enum status kafka_topics_cannot_make(const struct kafka_topics *topics,
				     const char *name, const char *text,
				     struct error *err)
{
	(void)error_set(err, ST_CONFIG,
			"topic %s cannot be made: %s; see topic.creation.*", name,
			text);
	return refuse(topics, err);
}

enum status kafka_topics_is_missing(const struct kafka_topics *topics, const char *name,
				    const char *why_not_made, struct error *err)
{
	(void)error_set(err, ST_CONFIG,
			"topic %s is not there and cannot be made: %s; make it, or "
			"allow rowtail to",
			name, why_not_made);
	return refuse(topics, err);
}

/* Does it exist, when it could not be made? */
static enum status must_exist(struct kafka_topics *topics, rd_kafka_t *rk,
			      struct kafka_topic *topic, const char *why_not_made,
			      struct error *err)
{
	for (;;) {
		const struct rd_kafka_metadata *metadata = NULL;
		rd_kafka_topic_t *handle = kafka_topic_handle(topic, rk);
		rd_kafka_resp_err_t why =
		    handle ? rd_kafka_metadata(rk, 0, handle, &metadata,
					       5 * KAFKA_SLICE_MS)
			   : RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;

		if (why == RD_KAFKA_RESP_ERR_NO_ERROR) {
			why = metadata->topic_cnt == 1
				  ? metadata->topics[0].err
				  : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
			rd_kafka_metadata_destroy(metadata);
		}
		if (why == RD_KAFKA_RESP_ERR_NO_ERROR) {
			return ST_OK;
		}
		if (!kafka_topics_may_pass(why)) {
			return kafka_topics_is_missing(topics, topic->name,
						       why_not_made, err);
		}
		(void)rd_kafka_poll(rk, KAFKA_SLICE_MS);
		if (kafka_wait_more(topics->wait, err) != ST_OK) {
			return err->status;
		}
	}
}

/* The answer for one topic. `*again`: ask once more. */
static enum status take_made(struct kafka_topics *topics, rd_kafka_t *rk,
			     const rd_kafka_topic_result_t *result, bool *again,
			     struct error *err)
{
	const char *name = rd_kafka_topic_result_name(result);
	rd_kafka_resp_err_t why = rd_kafka_topic_result_error(result);
	const char *text = rd_kafka_topic_result_error_string(result);
	struct span span = {.bytes = name, .len = strlen(name)};
	struct kafka_topic *topic = kafka_topics_find(topics, span);

	text = text ? text : rd_kafka_err2str(why);
	switch (why) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		log_info("topic %s was made", name);
		return ST_OK;
	case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
		return ST_OK;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		return topic ? must_exist(topics, rk, topic, text, err) : ST_OK;
	default:
		break;
	}
	if (kafka_topics_may_pass(why)) {
		*again = true;
		return ST_OK;
	}
	return kafka_topics_cannot_make(topics, name, text, err);
}

static enum status take_all_made(struct kafka_topics *topics, rd_kafka_t *rk,
				 rd_kafka_event_t *event, bool *again,
				 struct error *err)
{
	rd_kafka_resp_err_t why = rd_kafka_event_error(event);
	const rd_kafka_CreateTopics_result_t *result =
	    rd_kafka_event_CreateTopics_result(event);
	const rd_kafka_topic_result_t **list;
	enum status status = ST_OK;
	size_t count = 0;

	if (kafka_topics_may_pass(why)) {
		kafka_wait_note(topics->wait, rd_kafka_event_error_string(event),
				false);
		*again = true;
		return ST_OK;
	}
	if (why != RD_KAFKA_RESP_ERR_NO_ERROR) { /* a broker that cannot be asked */
		for (size_t i = 0; status == ST_OK && i < topics->count; i++) {
			if (!topics->list[i]->is_checked) {
				status =
				    must_exist(topics, rk, topics->list[i],
					       rd_kafka_event_error_string(event), err);
			}
		}
		return status;
	}
	list = rd_kafka_CreateTopics_result_topics(result, &count);
	for (size_t i = 0; status == ST_OK && i < count; i++) {
		status = take_made(topics, rk, list[i], again, err);
	}
	return status;
}

/* Ask for all that are unchecked, once. */
static enum status make_once(struct kafka_topics *topics, rd_kafka_t *rk, bool *again,
			     struct error *err)
{
	rd_kafka_NewTopic_t **made =
	    calloc(topics->count, sizeof(rd_kafka_NewTopic_t *));
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_AdminOptions_t *options = admin_options(rk, KAFKA_TOPICS_MAKE_MS);
	enum status status = made ? ST_OK : error_no_memory(err, "the topics");
	size_t count = 0;

	for (size_t i = 0; status == ST_OK && i < topics->count; i++) {
		if (!topics->list[i]->is_checked) {
			status = kafka_topics_describe(topics, topics->list[i],
						       &made[count], err);
			count += made[count] != NULL;
		}
	}
	if (status == ST_OK && count > 0) {
		rd_kafka_event_t *event;

		rd_kafka_CreateTopics(rk, made, count, options, queue);
		event = kafka_topics_answer(topics, rk, queue, err);
		status =
		    event ? take_all_made(topics, rk, event, again, err) : err->status;
		rd_kafka_event_destroy(event);
	}
	rd_kafka_NewTopic_destroy_array(made, count);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	free(made);
	return status;
}

/* ---- checking ---- */

static enum status check_policy(struct kafka_topics *topics,
				const rd_kafka_ConfigResource_t *resource,
				struct error *err)
{
	const char *name = rd_kafka_ConfigResource_name(resource);
	size_t count = 0;
	const rd_kafka_ConfigEntry_t **entries =
	    rd_kafka_ConfigResource_configs(resource, &count);

	for (size_t i = 0; i < count; i++) {
		const char *value = rd_kafka_ConfigEntry_value(entries[i]);

		if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "cleanup.policy") !=
			0 ||
		    !value || !strstr(value, "compact")) {
			continue;
		}
		(void)error_set(err, ST_CONFIG,
				"topic %s is compacted (cleanup.policy=%s) and takes "
				"no messages without a key, but its table has no "
				"primary key: give it one, leave the table out, or "
				"set the topic's cleanup.policy=delete",
				name, value);
		return refuse(topics, err);
	}
	return ST_OK;
}

/* What cannot be found out is left to the broker. */
static enum status take_described(struct kafka_topics *topics, rd_kafka_event_t *event,
				  struct error *err)
{
	const rd_kafka_DescribeConfigs_result_t *result =
	    rd_kafka_event_DescribeConfigs_result(event);
	const rd_kafka_ConfigResource_t **list;
	enum status status = ST_OK;
	size_t count = 0;

	if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
		return ST_OK;
	}
	list = rd_kafka_DescribeConfigs_result_resources(result, &count);
	for (size_t i = 0; status == ST_OK && i < count; i++) {
		if (rd_kafka_ConfigResource_error(list[i]) ==
		    RD_KAFKA_RESP_ERR_NO_ERROR) {
			status = check_policy(topics, list[i], err);
		}
	}
	return status;
}

enum status kafka_topics_check(struct kafka_topics *topics, rd_kafka_t *rk,
			       struct error *err)
{
	rd_kafka_ConfigResource_t **asked =
	    calloc(topics->count, sizeof(rd_kafka_ConfigResource_t *));
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_AdminOptions_t *options = admin_options(rk, DESCRIBE_MS);
	enum status status = asked ? ST_OK : error_no_memory(err, "the topics");
	size_t count = 0;

	for (size_t i = 0; status == ST_OK && i < topics->count; i++) {
		const struct kafka_topic *topic = topics->list[i];

		if (!topic->is_checked && topic->is_keyless) {
			asked[count++] = rd_kafka_ConfigResource_new(
			    RD_KAFKA_RESOURCE_TOPIC, topic->name);
		}
	}
	if (status == ST_OK && count > 0) {
		rd_kafka_event_t *event;

		rd_kafka_DescribeConfigs(rk, asked, count, options, queue);
		event = kafka_topics_answer(topics, rk, queue, err);
		status = event ? take_described(topics, event, err) : err->status;
		rd_kafka_event_destroy(event);
	}
	rd_kafka_ConfigResource_destroy_array(asked, count);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	free(asked);
	return status;
}

static enum status make(struct kafka_topics *topics, rd_kafka_t *rk, struct error *err)
{
	bool again = true;
	enum status status = ST_OK;

	while (status == ST_OK && again) {
		again = false;
		status = make_once(topics, rk, &again, err);
		if (status == ST_OK && again) {
			(void)rd_kafka_poll(rk, KAFKA_SLICE_MS);
			status = kafka_wait_more(topics->wait, err);
		}
	}
	return status;
}

static enum status all_must_exist(struct kafka_topics *topics, rd_kafka_t *rk,
				  struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < topics->count; i++) {
		if (!topics->list[i]->is_checked) {
			status = must_exist(topics, rk, topics->list[i],
					    KAFKA_TOPICS_NOT_ALLOWED, err);
		}
	}
	return status;
}

enum status kafka_topics_prepare(struct kafka_topics *topics, rd_kafka_t *rk,
				 struct error *err)
{
	enum status status;

	if (!topics->has_unchecked) {
		return ST_OK;
	}
	kafka_wait_begin(topics->wait);
	status = topics->settings.may_make ? make(topics, rk, err)
					   : all_must_exist(topics, rk, err);
	if (status == ST_OK) {
		status = kafka_topics_check(topics, rk, err);
	}
	if (status != ST_OK) {
		return status;
	}
	for (size_t i = 0; i < topics->count; i++) {
		topics->list[i]->is_checked = true;
	}
	topics->has_unchecked = false;
	kafka_wait_end(topics->wait);
	return ST_OK;
}

bool kafka_topics_are_ready(const struct kafka_topics *topics)
{
	return !topics->has_unchecked;
}

enum status kafka_topic_still_there(struct kafka_topic *topic, rd_kafka_t *rk,
				    struct error *err)
{
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_topic_t *handle = kafka_topic_handle(topic, rk);
	rd_kafka_resp_err_t why = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (handle && rd_kafka_metadata(rk, 0, handle, &metadata, KAFKA_SLICE_MS) ==
			  RD_KAFKA_RESP_ERR_NO_ERROR) {
		why = metadata->topic_cnt == 1 ? metadata->topics[0].err : why;
		rd_kafka_metadata_destroy(metadata);
	}
	if (why != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
		return ST_OK;
	}
	return error_set(err, ST_IO,
			 "topic %s is gone from Kafka: what was in it is, too; start "
			 "rowtail again to have it made anew, nothing later is lost",
			 topic->name);
}
