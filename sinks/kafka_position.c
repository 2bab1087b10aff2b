/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/kafka_position.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/position_json.h"

#define VERSION    1
#define TAIL       200 /* offsets from the end, where the last record mostly is */
#define TAIL_TIMES 20  /* then so many times as far */

/* ---- the record ---- */

void kafka_position_path(char to[KAFKA_PATH_BYTES], const char *path)
{
	json_t *text = json_string(path); /* NULL: no UTF-8 */

	(void)snprintf(to, KAFKA_PATH_BYTES, "%s", path);
	for (size_t i = 0; !text && to[i]; i++) {
		to[i] = (unsigned char)to[i] < 0x80 ? to[i] : '?';
	}
	json_decref(text);
}

/* Takes `json`. */
static bool add_json(struct buffer *to, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	if (text) {
		buffer_add_str(to, text);
	}
	json_decref(json);
	free(text);
	return text && buffer_ok(to);
}

bool kafka_position_add(struct buffer *to, const struct kafka_position *p)
{
	json_t *json =
	    json_pack("{s:i, s:s, s:s%, s:s, s:b}", "version", VERSION, "uuid", p->uuid,
		      "database", p->database, strlen(p->database), "run", p->run,
		      "exactly_once", p->exactly_once);

	if (json_object_update_new(json, position_json(&p->at)) != 0) {
		json_decref(json);
		json = NULL;
	}
	return add_json(to, json);
}

bool kafka_position_add_key(struct buffer *to, const char *prefix)
{
	return add_json(to, json_pack("{s:s}", "prefix", prefix));
}

/* A text that fits in `cap` bytes with its NUL. */
static bool copy_text(char *to, size_t cap, const char *text)
{
	size_t len = text ? strlen(text) : cap;

	if (len >= cap) {
		return false;
	}
	memcpy(to, text, len + 1);
	return true;
}

static bool take_all(const json_t *json, struct kafka_position *p)
{
	const char *uuid = NULL, *database = NULL, *run = NULL;
	int exactly_once = 0;

	if (json_unpack((json_t *)(uintptr_t)json, "{s:s, s:s, s:s, s:b}", "uuid",
			&uuid, "database", &database, "run", &run, "exactly_once",
			&exactly_once) != 0) {
		return false;
	}
	p->exactly_once = exactly_once != 0;
	return copy_text(p->uuid, sizeof p->uuid, uuid) &&
	       copy_text(p->database, sizeof p->database, database) &&
	       copy_text(p->run, sizeof p->run, run) &&
	       position_json_take(json, &p->at);
}

enum status kafka_position_parse(const char *topic, const char *value, size_t len,
				 struct kafka_position *out, struct error *err)
{
	json_t *json = json_loadb(value, len, 0, NULL);
	json_int_t version = json_integer_value(json_object_get(json, "version"));
	enum status status = ST_OK;

	*out = (struct kafka_position){0};
	if (version > VERSION) {
		status =
		    error_set(err, ST_CONFIG,
			      "topic %s: its record has version %" JSON_INTEGER_FORMAT
			      ", of a newer rowtail; use that one",
			      topic, version);
	} else if (version != VERSION || !take_all(json, out)) {
		status = error_set(err, ST_CONFIG,
				   "topic %s: its last record is no position of "
				   "rowtail's; remove the topic, or choose another "
				   "topic.prefix",
				   topic);
	}
	json_decref(json);
	return status;
}

/* ---- reading the topic ---- */

struct reader {
	struct kafka_config *config;
	const char *name;
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	int64_t next; /* the offset behind what was read */
};

static enum status open_reader(struct reader *r, bool committed_only, struct error *err)
{
	enum status status =
	    kafka_config_reader(r->config, committed_only, &r->rk, err);

	if (status != ST_OK) {
		return status;
	}
	r->topic = rd_kafka_topic_new(r->rk, r->name, NULL);
	return r->topic ? ST_OK
			: error_set(err, ST_CONFIG, "topic %s: %s", r->name,
				    rd_kafka_err2str(rd_kafka_last_error()));
}

static void close_reader(struct reader *r)
{
	if (r->topic) {
		rd_kafka_topic_destroy(r->topic);
	}
	if (r->rk) {
		rd_kafka_destroy(r->rk);
	}
	r->topic = NULL;
	r->rk = NULL;
}

/* A slice has passed without a result. */
static enum status wait_more(struct reader *r, rd_kafka_resp_err_t why,
			     struct error *err)
{
	(void)rd_kafka_poll(r->rk, 0);
	if (why != RD_KAFKA_RESP_ERR__TRANSPORT &&
	    why != RD_KAFKA_RESP_ERR__TIMED_OUT) {
		kafka_wait_note(r->config->wait, rd_kafka_err2str(why), false);
	}
	(void)rd_kafka_poll(r->rk, KAFKA_SLICE_MS);
	return kafka_wait_more(r->config->wait, err);
}

static bool is_refusal(rd_kafka_resp_err_t why)
{
	return why == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
	       why == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

/* Is there a topic? */
static enum status look_for_topic(struct reader *r, bool *is_there, struct error *err)
{
	for (;;) {
		const struct rd_kafka_metadata *metadata = NULL;
		rd_kafka_resp_err_t why = rd_kafka_metadata(
		    r->rk, 0, r->topic, &metadata, 5 * KAFKA_SLICE_MS);
		enum status status;

		if (why == RD_KAFKA_RESP_ERR_NO_ERROR) {
			why = metadata->topic_cnt == 1
				  ? metadata->topics[0].err
				  : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
			rd_kafka_metadata_destroy(metadata);
		}
		if (why == RD_KAFKA_RESP_ERR_NO_ERROR ||
		    why == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
			*is_there = why == RD_KAFKA_RESP_ERR_NO_ERROR;
			return ST_OK;
		}
		if (is_refusal(why)) {
			return error_set(err, ST_CONFIG,
					 "Kafka refuses to show topic %s: %s; allow "
					 "rowtail to describe, read and write it",
					 r->name, rd_kafka_err2str(why));
		}
		status = wait_more(r, why, err);
		if (status != ST_OK) {
			return status;
		}
	}
}

static enum status find_ends(struct reader *r, int64_t *low, int64_t *high,
			     struct error *err)
{
	for (;;) {
		rd_kafka_resp_err_t why = rd_kafka_query_watermark_offsets(
		    r->rk, r->name, 0, low, high, 5 * KAFKA_SLICE_MS);
		enum status status;

		if (why == RD_KAFKA_RESP_ERR_NO_ERROR) {
			return ST_OK;
		}
		status = wait_more(r, why, err);
		if (status != ST_OK) {
			return status;
		}
	}
}

/* One that was read: a record, the end, or trouble that may pass. */
static enum status take_message(struct reader *r, const rd_kafka_message_t *message,
				struct kafka_found *found, bool *at_end,
				struct error *err)
{
	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		*at_end = true;
		r->next = message->offset;
		return ST_OK;
	}
	if (is_refusal(message->err)) {
		return error_set(err, ST_CONFIG,
				 "Kafka refuses to have topic %s read: %s; allow "
				 "rowtail to describe, read and write it",
				 r->name, rd_kafka_err2str(message->err));
	}
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		return wait_more(r, message->err, err);
	}
	if (!message->payload) {
		return ST_OK;
	}
	found->is_there = true;
	return kafka_position_parse(r->name, message->payload, message->len,
				    &found->position, err);
}

/* From `offset` to the end; the last record counts. */
static enum status read_from(struct reader *r, int64_t offset,
			     struct kafka_found *found, struct error *err)
{
	bool at_end = false;
	enum status status = ST_OK;

	if (rd_kafka_consume_start(r->topic, 0, offset) != 0) {
		return error_set(err, ST_IO, "topic %s cannot be read: %s", r->name,
				 rd_kafka_err2str(rd_kafka_last_error()));
	}
	while (status == ST_OK && !at_end) {
		rd_kafka_message_t *message =
		    rd_kafka_consume(r->topic, 0, KAFKA_SLICE_MS);

		if (!message) {
			status = wait_more(r, RD_KAFKA_RESP_ERR__TIMED_OUT, err);
			continue;
		}
		status = take_message(r, message, found, &at_end, err);
		rd_kafka_message_destroy(message);
	}
	(void)rd_kafka_consume_stop(r->topic, 0);
	return status;
}

/* Most of it is old: from the end backwards. */
static enum status read_tail(struct reader *r, struct kafka_found *found,
			     struct error *err)
{
	int64_t low = 0, high = 0, tail = TAIL;
	enum status status = find_ends(r, &low, &high, err);

	while (status == ST_OK) {
		int64_t from = high - tail > low ? high - tail : low;

		status = read_from(r, from, found, err);
		if (found->is_there || from == low) {
			break;
		}
		tail *= TAIL_TIMES;
	}
	return status;
}

static enum status read_open(struct reader *r, struct kafka_found *found,
			     struct error *err)
{
	int64_t from = r->next;
	enum status status;

	close_reader(r);
	status = open_reader(r, false, err);
	return status == ST_OK ? read_from(r, from, found, err) : status;
}

enum status kafka_position_read(struct kafka_config *config, const char *topic,
				bool open_too, struct kafka_found *out,
				struct error *err)
{
	struct reader reader = {.config = config, .name = topic};
	bool is_there = false;
	enum status status = open_reader(&reader, true, err);

	*out = (struct kafka_found){0};
	kafka_wait_begin(config->wait);
	if (status == ST_OK) {
		status = look_for_topic(&reader, &is_there, err);
	}
	if (status == ST_OK && is_there) {
		status = read_tail(&reader, out, err);
	}
	if (status == ST_OK && is_there && open_too) {
		status = read_open(&reader, out, err);
	}
	if (status == ST_OK) {
		kafka_wait_end(config->wait);
	}
	close_reader(&reader);
	return status;
}
