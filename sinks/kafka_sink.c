/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/kafka_sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "sinks/kafka_sink_parts.h"
#include "src/base/clock.h"
#include "src/base/log.h"

#define SEND_BYTES (128u << 10)       /* so much is sent without a flush */
#define LINGER_NS  (50 * NS_PER_MS)   /* an event waits for a flush so long at most */
#define IDLE_NS    NS_PER_S           /* between positions without events */
#define FENCED_NS  (1500 * NS_PER_MS) /* a new owner gets this to write its position */
#define CHECK_NS   (5 * NS_PER_S)     /* then a topic may be gone */
#define QUEUE_MS   5
#define CLOSE_MS   1000 /* the last position gets this without transactions */

static struct kafka_sink *sink_of(struct sink *sink)
{
	return (struct kafka_sink *)sink;
}

static bool is_stopping(const struct kafka_sink *s)
{
	return s->settings.stop && *s->settings.stop;
}

static bool is_same(const struct kafka_position *a, const struct kafka_position *b)
{
	return a->at.lsn == b->at.lsn && a->at.messages == b->at.messages &&
	       a->at.chunks == b->at.chunks && a->at.in_chunk == b->at.in_chunk &&
	       a->at.in_snapshot == b->at.in_snapshot && strcmp(a->run, b->run) == 0 &&
	       strcmp(a->uuid, b->uuid) == 0;
}

static void on_delivery(void *context, const rd_kafka_message_t *message)
{
	struct kafka_sink *s = context;

	if (message->_private) { /* not a position by itself */
		kafka_batch_delivered(&s->batch, message);
	}
}

/* ---- positions ---- */

static struct kafka_position position_now(const struct kafka_sink *s)
{
	struct kafka_position position = s->own;

	s->settings.position(s->settings.context, &position.at);
	return position;
}

/* Key and value behind each other in `text`. */
static enum status encode(const struct kafka_sink *s,
			  const struct kafka_position *position, struct buffer *text,
			  struct message *out, struct error *err)
{
	size_t key_len;

	buffer_init(text);
	if (!kafka_position_add_key(text, s->settings.prefix)) {
		return error_no_memory(err, "the position");
	}
	key_len = text->len;
	if (!kafka_position_add(text, position)) {
		return error_no_memory(err, "the position");
	}
	*out = (struct message){.key = {text->bytes, key_len},
				.value = {text->bytes + key_len, text->len - key_len}};
	return ST_OK;
}

/* The last message of a transaction. */
static enum status add_position(struct kafka_sink *s, struct error *err)
{
	struct message message;
	struct buffer text;
	enum status status;

	s->pending = position_now(s);
	status = encode(s, &s->pending, &text, &message, err);
	if (status == ST_OK) {
		status = kafka_batch_add(&s->batch, &message, s->own_topic, err);
	}
	buffer_clear(&text);
	return status;
}

/* Without transactions: behind the events, and nobody waits for it. */
static void write_position(struct kafka_sink *s)
{
	struct kafka_position position = position_now(s);
	struct message message;
	struct buffer text;
	struct error ignored;
	rd_kafka_topic_t *handle = kafka_topic_handle(s->own_topic, s->producer.rk);

	if (handle && encode(s, &position, &text, &message, &ignored) == ST_OK &&
	    rd_kafka_produce(handle, 0, RD_KAFKA_MSG_F_COPY,
			     (void *)(uintptr_t)message.value.bytes, message.value.len,
			     message.key.bytes, message.key.len, NULL) == 0) {
		s->committed.is_there = true;
		s->committed.position = position;
		s->committed_ns = clock_mono_ns();
	}
	buffer_clear(&text);
}

/* ---- what cannot be sent ---- */

/* Of its source block, so that it can be found; 0: a control message. */
static uint64_t change_id_of(const struct kafka_entry *entry)
{
	static const char name[] = "\"change_id\":";
	const char *end = entry->value.bytes + entry->value.len;
	const char *at = entry->value.bytes, *last = NULL;

	/* A row may have a column of that name; source comes behind rows. */
	while (at && (at = memmem(at, (size_t)(end - at), name, sizeof name - 1))) {
		at += sizeof name - 1;
		last = at;
	}
	return last ? strtoull(last, NULL, 10) : 0; /* there is a NUL: kafka_batch.c */
}

static enum status too_large(struct kafka_sink *s, struct kafka_entry *entry,
			     struct error *err)
{
	if (!entry->is_alone) {
		entry->is_alone = true;
		return ST_OK;
	}
	if (!s->settings.skips_too_large) {
		return error_set(err, ST_IO,
				 "topic %s: a message of %zu bytes is too large for "
				 "Kafka; raise producer.message.max.bytes and the "
				 "topic's max.message.bytes, or set "
				 "message.too.large=skip",
				 entry->topic->name, kafka_entry_bytes(entry));
	}
	log_warn("topic %s: a message of %zu bytes is too large for Kafka and skipped: "
		 "change_id %" PRIu64,
		 entry->topic->name, kafka_entry_bytes(entry), change_id_of(entry));
	entry->is_skipped = true;
	return ST_OK;
}

/* ST_OK: send the batch again. */
static enum status judge_problem(struct kafka_sink *s, struct error *err)
{
	struct kafka_entry *entry = s->batch.problem;
	const char *name = entry->topic->name;

	switch (s->batch.problem_code) {
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
	case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
		return too_large(s, entry, err);
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		return error_set(err, ST_IO,
				 "Kafka does not allow rowtail to write topic %s (any "
				 "more): allow it and start again; nothing is lost",
				 name);
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		return error_set(err, ST_IO,
				 "topic %s is gone from Kafka: what was in it is, too; "
				 "start rowtail again to have it made anew, nothing "
				 "later is lost",
				 name);
	case RD_KAFKA_RESP_ERR_INVALID_RECORD:
		return error_set(err, ST_IO,
				 "topic %s refuses a message%s; set the topic's "
				 "cleanup.policy=delete or leave the table out",
				 name,
				 entry->key.bytes ? ""
						  : " without a key, as it is "
						    "compacted");
	default:
		return error_set(err, ST_IO, "topic %s refuses a message: %s", name,
				 rd_kafka_err2str(s->batch.problem_code));
	}
}

/* ---- producers, one after the other ---- */

static void drop_producer(struct kafka_sink *s, bool abort)
{
	kafka_topics_release(s->topics);
	kafka_producer_close(&s->producer, abort);
	kafka_batch_rewind(&s->batch);
}

static enum status taken_over(const struct kafka_sink *s, struct error *err)
{
	return error_set(err, ST_IO,
			 "fenced: another rowtail has taken over topic.prefix %s (the "
			 "transactional.id %s), so this one ends; if both shall run, "
			 "give them different prefixes",
			 s->settings.prefix, s->transactional_id);
}

/* The coordinator does not know us any more. Because there is somebody else? */
static enum status check_owner(struct kafka_sink *s, struct error *err)
{
	int64_t end = clock_mono_ns() + FENCED_NS;
	struct kafka_found found;
	enum status status;

	while (clock_mono_ns() < end && !is_stopping(s)) {
		clock_sleep_ns(KAFKA_SLICE_MS * NS_PER_MS);
	}
	status = kafka_position_read(&s->config, s->position_topic, true, &found, err);
	if (status == ST_OK && found.is_there &&
	    strcmp(found.position.run, s->own.run) != 0) {
		status = taken_over(s, err);
	}
	return status;
}

/* What became of `pending`? ST_OK: it is not there. ST_END: it was committed. */
static enum status find_pending(struct kafka_sink *s, struct error *err)
{
	struct kafka_found found;
	enum status status =
	    kafka_position_read(&s->config, s->position_topic, false, &found, err);

	if (status != ST_OK) {
		return status;
	}
	if (found.is_there && is_same(&found.position, &s->pending)) {
		return ST_END;
	}
	if (found.is_there != s->committed.is_there ||
	    (found.is_there && !is_same(&found.position, &s->committed.position))) {
		return taken_over(s, err);
	}
	return ST_OK;
}

/* A new producer. ST_OK: send the batch again. ST_END: it was committed. */
static enum status replace_producer(struct kafka_sink *s, struct error *err)
{
	bool was_fenced = s->producer.is_fenced;
	enum status status = ST_RETRY;

	while (status == ST_RETRY) {
		drop_producer(s, false);
		status = was_fenced ? check_owner(s, err) : ST_OK;
		kafka_wait_begin(&s->wait);
		if (status == ST_OK) {
			status = kafka_producer_open(&s->producer, err);
		}
		if (status == ST_OK) {
			status = kafka_producer_init(&s->producer, err);
		}
		if (status == ST_RETRY && kafka_wait_more(&s->wait, err) != ST_OK) {
			return err->status;
		}
	}
	if (status == ST_OK && s->settings.exactly_once) {
		status = find_pending(s, err);
	}
	return status;
}

/* ---- one transaction ---- */

/* Time has passed. A topic that is gone does not come again by itself. */
static enum status wait_more(struct kafka_sink *s, size_t *outstanding,
			     struct error *err)
{
	enum status status = ST_OK;

	if (s->batch.outstanding != *outstanding) {
		*outstanding = s->batch.outstanding;
		kafka_wait_end(&s->wait);
		kafka_wait_begin(&s->wait);
		return ST_OK;
	}
	if (kafka_wait_ns(&s->wait) >= CHECK_NS && !is_stopping(s)) {
		for (size_t i = 0; status == ST_OK && i < s->batch.count; i++) {
			struct kafka_topic *topic = s->batch.entries[i].topic;

			if (i == 0 || topic != s->batch.entries[i - 1].topic) {
				status =
				    kafka_topic_still_there(topic, s->producer.rk, err);
			}
		}
	}
	return status == ST_OK ? kafka_wait_more(&s->wait, err) : status;
}

static enum status send_all(struct kafka_sink *s, struct error *err)
{
	size_t outstanding = s->batch.outstanding;
	enum status status = kafka_producer_begin(&s->producer, err);
	rd_kafka_resp_err_t why = RD_KAFKA_RESP_ERR_NO_ERROR;

	while (status == ST_OK && s->batch.failed == 0) {
		enum status sent = kafka_batch_send(&s->batch, s->producer.rk, &why);

		if (sent == ST_RETRY && s->batch.problem && s->batch.failed == 0) {
			status = judge_problem(s, err);
			s->batch.problem = NULL;
			continue;
		}
		if (sent != ST_END) {
			return sent;
		}
		(void)rd_kafka_poll(s->producer.rk, QUEUE_MS);
		status = wait_more(s, &outstanding, err);
	}
	return status == ST_OK ? ST_RETRY : status;
}

static enum status settle(struct kafka_sink *s, struct error *err)
{
	size_t outstanding = s->batch.outstanding;
	enum status status = ST_END;

	while (status == ST_END && s->batch.failed == 0) {
		if (s->settings.exactly_once) {
			status = kafka_producer_commit(&s->producer, err);
		} else {
			(void)rd_kafka_flush(s->producer.rk, KAFKA_SLICE_MS);
			status = s->batch.outstanding > 0 ? ST_END : ST_OK;
		}
		if (status == ST_END && wait_more(s, &outstanding, err) != ST_OK) {
			return err->status;
		}
	}
	return s->batch.failed > 0 ? ST_RETRY : status;
}

/* Send the batch until it is in Kafka. */
static enum status deliver(struct kafka_sink *s, struct error *err)
{
	enum status status = ST_RETRY;

	kafka_wait_begin(&s->wait);
	while (status == ST_RETRY) {
		status = kafka_topics_prepare(s->topics, s->producer.rk, err);
		if (status == ST_OK) {
			status = send_all(s, err);
		}
		if (status == ST_OK) {
			status = settle(s, err);
		}
		if (status != ST_RETRY) {
			break;
		}
		log_debug("kafka: the transaction failed: %s", s->producer.failure);
		status = s->batch.problem ? judge_problem(s, err) : ST_OK;
		if (status == ST_OK) {
			status = replace_producer(s, err);
			status = status == ST_OK    ? ST_RETRY
				 : status == ST_END ? ST_OK
						    : status;
		}
	}
	if (status == ST_OK) {
		kafka_wait_end(&s->wait);
	}
	return status;
}

static enum status commit(struct kafka_sink *s, struct error *err)
{
	enum status status = s->settings.exactly_once ? add_position(s, err) : ST_OK;

	if (status == ST_OK) {
		status = deliver(s, err);
	}
	if (status != ST_OK) {
		return status;
	}
	kafka_batch_reset(&s->batch);
	s->unsent_bytes = 0;
	if (s->settings.exactly_once) {
		s->committed.is_there = true;
		s->committed.position = s->pending;
		s->committed_ns = clock_mono_ns();
	}
	status = s->settings.acknowledged(s->settings.context, false, err);
	if (status == ST_OK && !s->settings.exactly_once && s->settings.state_path &&
	    clock_mono_ns() - s->committed_ns >= IDLE_NS) {
		write_position(s);
	}
	return status;
}

/* Positions move without events, too, but that is not worth many transactions. */
static bool is_worth_it(const struct kafka_sink *s)
{
	struct kafka_position now;

	if (s->batch.count > 0 || !s->settings.exactly_once) {
		return true;
	}
	now = position_now(s);
	return !is_same(&now, &s->committed.position) &&
	       clock_mono_ns() - s->committed_ns >= IDLE_NS;
}

/* ---- the calls of a sink ---- */

static enum status kafka_flush(struct sink *sink, struct error *err)
{
	struct kafka_sink *s = sink_of(sink);

	if (!s->producer.rk || !is_worth_it(s)) {
		return ST_OK;
	}
	return commit(s, err);
}

static enum status find_topic(struct kafka_sink *s, struct span name, struct error *err)
{
	if (s->last_topic && s->last_topic->name_len == name.len &&
	    memcmp(s->last_topic->name, name.bytes, name.len) == 0) {
		return ST_OK;
	}
	s->last_topic = kafka_topics_find(s->topics, name);
	if (s->last_topic) {
		return ST_OK;
	}
	return kafka_topics_note(s->topics, name, KAFKA_CONTROL, NULL, false,
				 &s->last_topic, err);
}

/* Let it go on its way while more is put. What goes wrong is met by flush. */
static void send_some(struct kafka_sink *s)
{
	rd_kafka_resp_err_t why;
	struct error ignored;

	s->unsent_bytes = 0;
	if (kafka_topics_are_ready(s->topics) && s->batch.failed == 0 &&
	    kafka_producer_is_rested(&s->producer) &&
	    kafka_producer_begin(&s->producer, &ignored) == ST_OK) {
		(void)!kafka_batch_send(&s->batch, s->producer.rk, &why);
		if (s->batch.failed == 0) { /* one that flush meets again */
			s->batch.problem = NULL;
		}
	}
	(void)rd_kafka_poll(s->producer.rk, 0);
}

static enum status kafka_put(struct sink *sink, const struct message *message,
			     struct error *err)
{
	struct kafka_sink *s = sink_of(sink);
	enum status status = find_topic(s, message->topic, err);
	int64_t now = clock_mono_ns();

	if (status == ST_OK &&
	    (!kafka_batch_fits(&s->batch, message) ||
	     (s->batch.count > 0 && now - s->first_ns >= s->limit_ns))) {
		status = kafka_flush(sink, err);
	}
	if (status == ST_OK) {
		s->first_ns = s->batch.count == 0 ? now : s->first_ns;
		status = kafka_batch_add(&s->batch, message, s->last_topic, err);
	}
	if (status != ST_OK) {
		return status;
	}
	s->unsent_bytes += message->key.len + message->value.len;
	if (s->unsent_bytes >= SEND_BYTES) {
		send_some(s);
	}
	return ST_OK;
}

static enum status kafka_announce(struct sink *sink, struct span topic,
				  const char *table, bool is_keyless, struct error *err)
{
	return kafka_topics_note(sink_of(sink)->topics, topic,
				 table ? KAFKA_TABLE : KAFKA_CONTROL, table, is_keyless,
				 NULL, err);
}

static bool kafka_wants_flush(const struct sink *sink)
{
	const struct kafka_sink *s = (const struct kafka_sink *)sink;

	return s->batch.count > 0 && (s->batch.bytes >= KAFKA_BATCH_BYTES / 2 ||
				      s->batch.count >= KAFKA_BATCH_MESSAGES / 2 ||
				      clock_mono_ns() - s->first_ns >= LINGER_NS);
}

static const char *kafka_own_topic(const struct sink *sink)
{
	return ((const struct kafka_sink *)sink)->position_topic;
}

static void kafka_close(struct sink *sink)
{
	struct kafka_sink *s = sink_of(sink);

	if (s->producer.rk && !s->settings.exactly_once) {
		(void)rd_kafka_flush(s->producer.rk, CLOSE_MS);
	}
	if (s->topics) {
		drop_producer(s, true);
	}
	kafka_topics_close(s->topics);
	kafka_batch_clear(&s->batch);
	free(s->transactional_id);
	free(s->position_topic);
	free(s);
}

/* ---- the start ---- */

static bool draw_run(struct kafka_sink *s)
{
	uint64_t random;

	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
		return false;
	}
	(void)snprintf(s->own.run, sizeof s->own.run, "%016" PRIx64, random);
	return true;
}

/* Half of what the coordinator allows, for there must be time for the rest. */
static int64_t transaction_limit(rd_kafka_t *rk)
{
	char text[32];
	long long ms;

	kafka_config_get(rk, "transaction.timeout.ms", text, sizeof text);
	ms = strtoll(text, NULL, 10);
	return (ms > 0 ? ms : 60000) * NS_PER_MS / 2;
}

/* It is librdkafka's setting, but choosing partitions is ours. */
static const char *find_partitioner(const struct kafka_sink *s)
{
	const char *partitioner = NULL;

	for (size_t i = 0; i < s->settings.property_count; i++) {
		if (strcmp(s->settings.properties[i].name, "partitioner") == 0) {
			partitioner = s->settings.properties[i].value;
		}
	}
	return partitioner;
}

static enum status open_parts(struct kafka_sink *s, struct error *err)
{
	struct span name;
	enum status status = kafka_topics_open(&s->settings.topics, find_partitioner(s),
					       &s->wait, &s->topics, err);

	if (status == ST_OK) {
		status = kafka_batch_init(&s->batch, err);
	}
	if (status == ST_OK) { /* checks the settings, too */
		status = kafka_producer_open(&s->producer, err);
	}
	if (status == ST_OK) {
		s->limit_ns = transaction_limit(s->producer.rk);
	}
	if (status == ST_OK && s->settings.state_path) {
		name = (struct span){s->position_topic, strlen(s->position_topic)};
		status = kafka_topics_note(s->topics, name, KAFKA_POSITION, NULL, false,
					   &s->own_topic, err);
	}
	return status;
}

static enum status kafka_open(const struct sink_settings *settings, struct sink **out,
			      struct error *err)
{
	struct kafka_sink *s = calloc(1, sizeof *s);
	enum status status;

	if (!s) {
		return error_no_memory(err, "the Kafka sink");
	}
	s->sink.kind = &kafka_kind;
	s->settings = *settings;
	s->own.exactly_once = settings->exactly_once;
	s->position_topic =
	    kafka_sink_position_topic(settings->delimiter, settings->prefix);
	if (asprintf(&s->transactional_id, "rowtail.%s", settings->prefix) < 0) {
		s->transactional_id = NULL;
	}
	if (!s->position_topic || !s->transactional_id || !draw_run(s)) {
		kafka_close(&s->sink);
		return error_no_memory(err, "the Kafka sink");
	}
	s->wait = (struct kafka_wait){.brokers = settings->target,
				      .stop = settings->stop,
				      .patience_ns = settings->patience_ns,
				      .is_start = true,
				      .on_outage = settings->on_outage,
				      .context = settings->context};
	s->config = (struct kafka_config){
	    .brokers = settings->target,
	    .properties = settings->properties,
	    .property_count = settings->property_count,
	    .transactional_id = settings->exactly_once ? s->transactional_id : NULL,
	    .wait = &s->wait,
	    .delivered = on_delivery,
	    .context = s,
	};
	s->producer.config = &s->config;
	status = open_parts(s, err);
	if (status != ST_OK) {
		kafka_close(&s->sink);
		return status;
	}
	*out = &s->sink;
	return ST_OK;
}

enum status kafka_sink_take(struct sink *sink, struct kafka_found *found,
			    struct error *err)
{
	struct kafka_sink *s = sink_of(sink);
	enum status status;

	kafka_wait_begin(&s->wait);
	status = kafka_producer_init(&s->producer, err);
	if (status == ST_RETRY) {
		err->status = status = ST_IO;
	}
	if (status == ST_OK) {
		kafka_wait_end(&s->wait);
		status = kafka_position_read(&s->config, s->position_topic, false,
					     found, err);
	}
	if (status == ST_OK) {
		s->committed = *found;
	}
	return status;
}

/* Look first, without disturbing whoever writes there; then take, and look again. */
static enum status settle_position(struct sink *sink, const struct kafka_own *own,
				   struct sink_claim *out, struct error *err)
{
	struct kafka_found found;
	enum status status = kafka_sink_look(sink, &found, err);

	if (status == ST_OK) {
		status = kafka_resume_decide(own, &found, &out->verdict, err);
	}
	if (status == ST_OK && (out->verdict != SINK_START_OVER || own->here.is_new)) {
		status = kafka_sink_take(sink, &found, err);
		if (status == ST_OK) {
			status = kafka_resume_decide(own, &found, &out->verdict, err);
		}
	}
	if (status == ST_OK) {
		out->position = found.position.at;
		out->floor = kafka_resume_floor(own, &found);
	}
	return status;
}

static enum status kafka_claim(struct sink *sink, const struct sink_own *here,
			       struct sink_claim *out, struct error *err)
{
	const struct kafka_sink *s = sink_of(sink);
	char database[KAFKA_PATH_BYTES];
	struct kafka_own own;
	char *last;
	enum status status;

	if (!s->settings.state_path) { /* nothing that it could be compared with */
		out->verdict = SINK_GO_ON;
		return ST_OK;
	}
	own = kafka_sink_own(s, here, database, &last);
	status = settle_position(sink, &own, out, err);
	free(last);
	return status;
}

static enum status kafka_begin(struct sink *sink, const struct sink_start *start,
			       struct error *err)
{
	struct kafka_sink *s = sink_of(sink);
	enum status status;

	(void)snprintf(s->own.uuid, sizeof s->own.uuid, "%s", start->uuid);
	kafka_position_path(s->own.database, start->database);
	status = kafka_topics_prepare(s->topics, s->producer.rk, err);
	if (status == ST_OK && s->settings.exactly_once) {
		status = commit(s, err);
	} else if (status == ST_OK && s->settings.state_path) {
		write_position(s);
	}
	s->wait.is_start = false;
	return status;
}

const struct sink_kind kafka_kind = {
    .name = "kafka",
    .title = "Kafka",
    .scheme = "kafka://",
    .target = "HOST:PORT[,HOST:PORT...]",
    .not_in_target = "/ \t@",
    .help = "write them to Kafka, each once; state as with file:\n"
	    "(--state=none with exactly.once.support=disabled)\n",
    .has_state = true,
    .can_lack_state = true,
    .keeps_position = true,
    .wants_keys = true,
    .tells_structure = true,
    .is_for_connect = true,
    .open = kafka_open,
    .close = kafka_close,
    .put = kafka_put,
    .flush = kafka_flush,
    .claim = kafka_claim,
    .announce = kafka_announce,
    .begin = kafka_begin,
    .look = kafka_look_at_start,
    .wants_flush = kafka_wants_flush,
    .own_topic = kafka_own_topic,
};
