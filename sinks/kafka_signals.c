/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/kafka_signals.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/kafka_config.h"
#include "src/base/clock.h"
#include "src/base/crc64.h"
#include "src/base/event_fd.h"
#include "src/base/log.h"
#include "src/base/thread.h"

#define ASK_MS      500             /* what a broker gets to answer */
#define PAUSE_NS    (NS_PER_S)      /* between two looks for what is not there */
#define SAY_NS      (3 * NS_PER_S)  /* an outage that is shorter is not worth a line */
#define COMMIT_NS   (5 * NS_PER_S)  /* between two, while nothing is ours */
#define LAST_MS     1000            /* for the last one, at the end */
#define CLOSE_NS    (2 * NS_PER_S)  /* for all that ends */
#define REFUSED_NS  (10 * NS_PER_S) /* and when we may not read */
#define REASON_SIZE 256

struct kafka_signals {
	struct kafka_signals_settings settings;
	uint64_t topic_id;
	struct kafka_wait wait; /* in which errors are noted */
	struct kafka_config config;
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *commits; /* their answers */
	pthread_t thread;
	bool has_thread;
	int fd;

	pthread_mutex_t lock;     /* of what follows */
	pthread_cond_t is_turned; /* one of those below is true by now: */
	bool is_stopping;
	bool is_ended;               /* the thread is, or */
	bool is_left;                /* ... has to free all by itself */
	rd_kafka_message_t *message; /* to be given, or given; NULL: none */
	bool is_given, is_done;
	struct kafka_signals_place place;      /* of the last one that is done with */
	struct kafka_signals_place next_place; /* with `message` */

	/* The thread's own. */
	bool is_assigned;
	bool is_proving; /* the next one should be the one that `place` knows */
	int64_t at;      /* the offset that is expected next */
	int64_t done;    /* all before is; 0: not known */
	int64_t committed, commit_due_ns;
	unsigned commits_open;
	int64_t look_ns;          /* not before */
	int64_t trouble_ns;       /* since when; 0: none */
	char reason[REASON_SIZE]; /* of it */
	bool is_trouble_said, is_missing_said, is_refused_said, is_many_said;
};

/* ---- what is wrong ---- */

static void note_trouble(struct kafka_signals *k, const char *reason)
{
	if (k->trouble_ns == 0) {
		k->trouble_ns = clock_mono_ns();
	}
	(void)snprintf(k->reason, sizeof k->reason, "%s", reason);
}

static void say_trouble(struct kafka_signals *k)
{
	if (k->trouble_ns > 0 && !k->is_trouble_said &&
	    clock_mono_ns() - k->trouble_ns >= SAY_NS) {
		k->is_trouble_said = true;
		log_warn("signals cannot be read from topic %s of Kafka at %s: %s; "
			 "trying again, all else goes on",
			 k->settings.topic, k->settings.brokers, k->reason);
	}
}

static void end_trouble(struct kafka_signals *k)
{
	if (k->is_trouble_said) {
		log_info("signals are read from topic %s again", k->settings.topic);
	}
	k->is_trouble_said = false;
	k->trouble_ns = 0;
	k->wait.reason[0] = '\0';
}

static bool is_missing(rd_kafka_resp_err_t why)
{
	return why == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
	       why == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
	       why == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

static bool is_refusal(rd_kafka_resp_err_t why)
{
	return why == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
	       why == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
	       why == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
	       why == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION ||
	       why == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET;
}

static void say_missing(struct kafka_signals *k)
{
	end_trouble(k);
	if (!k->is_missing_said) {
		log_warn("Kafka at %s has no topic %s: signals are taken from it when "
			 "it is there",
			 k->settings.brokers, k->settings.topic);
	}
	k->is_missing_said = true;
}

static void say_refused(struct kafka_signals *k, rd_kafka_resp_err_t why)
{
	if (!k->is_refused_said) {
		log_warn("signals cannot be read from topic %s of Kafka at %s: %s; "
			 "allow rowtail to describe and read that topic, and to use "
			 "the group %s",
			 k->settings.topic, k->settings.brokers, rd_kafka_err2str(why),
			 k->settings.group);
	}
	k->is_refused_said = true;
	k->look_ns = clock_mono_ns() + REFUSED_NS;
}

static void judge(struct kafka_signals *k, rd_kafka_resp_err_t why)
{
	k->look_ns = clock_mono_ns() + PAUSE_NS;
	if (is_missing(why)) {
		say_missing(k);
	} else if (is_refusal(why)) {
		say_refused(k, why);
	} else if (k->trouble_ns == 0 || (why != RD_KAFKA_RESP_ERR__TRANSPORT &&
					  why != RD_KAFKA_RESP_ERR__TIMED_OUT)) {
		/* Those two say less than what was noted. */
		note_trouble(k, rd_kafka_err2str(why));
	}
}

/* ---- places ---- */

static uint64_t hash_of(const rd_kafka_message_t *message)
{
	int64_t time = rd_kafka_message_timestamp(message, NULL);
	uint64_t hash = crc64_add(0, &time, sizeof time);

	hash = crc64_add(hash, message->key, message->key_len);
	return crc64_add(hash, message->payload, message->len);
}

static struct kafka_signals_place place_now(struct kafka_signals *k)
{
	struct kafka_signals_place place;

	(void)pthread_mutex_lock(&k->lock);
	place = k->place;
	(void)pthread_mutex_unlock(&k->lock);
	return place;
}

/* It is none of this topic any more. */
static void forget_place(struct kafka_signals *k)
{
	if (place_now(k).topic == k->topic_id) {
		log_warn("topic %s is not the one that signals were taken from: it is "
			 "read from its beginning",
			 k->settings.topic);
	}
	(void)pthread_mutex_lock(&k->lock);
	k->place = (struct kafka_signals_place){0};
	(void)pthread_mutex_unlock(&k->lock);
	k->done = k->committed = 0;
	event_fd_wake(k->fd);
}

/* ---- commits ---- */

/* Take answers, for `ms` until there is one. */
static void take_answers(struct kafka_signals *k, int ms)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(k->commits, ms);

	while (event) {
		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT) {
			k->commits_open -= k->commits_open > 0;
		}
		if (rd_kafka_event_error(event)) {
			log_debug("kafka: group %s: %s", k->settings.group,
				  rd_kafka_event_error_string(event));
		}
		rd_kafka_event_destroy(event);
		event = rd_kafka_queue_poll(k->commits, 0);
	}
}

static void commit(struct kafka_signals *k)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, k->settings.topic, 0)->offset = k->done;
	if (rd_kafka_commit_queue(k->rk, list, k->commits, NULL, NULL) ==
	    RD_KAFKA_RESP_ERR_NO_ERROR) {
		k->commits_open++;
	}
	rd_kafka_topic_partition_list_destroy(list);
	k->committed = k->done;
	k->commit_due_ns = clock_mono_ns() + COMMIT_NS;
}

static void commit_last(struct kafka_signals *k)
{
	int64_t until_ns = clock_mono_ns() + LAST_MS * NS_PER_MS;

	if (k->trouble_ns > 0) {
		return;
	}
	if (k->done > k->committed) {
		commit(k);
	}
	while (k->commits_open > 0 && clock_mono_ns() < until_ns) {
		take_answers(k, KAFKA_SLICE_MS);
	}
}

/* ---- finding the topic ---- */

static rd_kafka_resp_err_t count_partitions(struct kafka_signals *k, int *count)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t why =
	    rd_kafka_metadata(k->rk, 0, k->topic, &metadata, ASK_MS);

	if (why != RD_KAFKA_RESP_ERR_NO_ERROR) {
		return why;
	}
	why = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	if (metadata->topic_cnt == 1) {
		why = metadata->topics[0].err;
		*count = metadata->topics[0].partition_cnt;
	}
	rd_kafka_metadata_destroy(metadata);
	return why;
}

/* Of the first message, or behind the last one. rd_kafka_query_watermark_offsets asks
 * for both, but waits for a minute where the broker goes away meanwhile. */
static rd_kafka_resp_err_t ask_offset(struct kafka_signals *k, int64_t which,
				      int64_t *offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t why;

	rd_kafka_topic_partition_list_add(list, k->settings.topic, 0)->offset = which;
	why = rd_kafka_offsets_for_times(k->rk, list, ASK_MS);
	if (why == RD_KAFKA_RESP_ERR_NO_ERROR) {
		why = list->elems[0].err;
		*offset = list->elems[0].offset;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return why;
}

static void assign(struct kafka_signals *k, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t why;

	rd_kafka_topic_partition_list_add(list, k->settings.topic, 0)->offset = offset;
	why = rd_kafka_assign(k->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	k->is_assigned = why == RD_KAFKA_RESP_ERR_NO_ERROR;
	if (!k->is_assigned) {
		judge(k, why);
	}
}

/* Where to go on behind `place`, by the offsets that the topic has. */
static int64_t resume(struct kafka_signals *k, const struct kafka_signals_place *place,
		      int64_t low, int64_t high)
{
	int64_t next = (int64_t)place->next;

	if (high < next) {
		forget_place(k);
		return RD_KAFKA_OFFSET_BEGINNING;
	}
	/* What was before may have gone by its age. */
	k->is_proving = low < next;
	k->at = k->is_proving ? next - 1 : low;
	return k->at;
}

static void begin(struct kafka_signals *k)
{
	struct kafka_signals_place place = place_now(k);
	int64_t low = 0, high = 0, offset = RD_KAFKA_OFFSET_STORED;
	rd_kafka_resp_err_t why = RD_KAFKA_RESP_ERR_NO_ERROR;

	k->is_proving = false;
	k->at = k->done = k->committed = 0;
	if (place.next > 0 && place.topic == k->topic_id) {
		why = ask_offset(k, RD_KAFKA_OFFSET_BEGINNING, &low);
		if (why == RD_KAFKA_RESP_ERR_NO_ERROR) {
			why = ask_offset(k, RD_KAFKA_OFFSET_END, &high);
		}
		offset = why == RD_KAFKA_RESP_ERR_NO_ERROR
			     ? resume(k, &place, low, high)
			     : offset;
	}
	if (why == RD_KAFKA_RESP_ERR_NO_ERROR) {
		assign(k, offset);
	} else {
		judge(k, why);
	}
}

static void find(struct kafka_signals *k)
{
	int partitions = 0;
	rd_kafka_resp_err_t why = count_partitions(k, &partitions);

	if (why != RD_KAFKA_RESP_ERR_NO_ERROR) {
		judge(k, why);
		return;
	}
	end_trouble(k);
	if (k->is_missing_said) {
		log_info("topic %s is there: signals are taken from it",
			 k->settings.topic);
	}
	k->is_missing_said = false;
	if (partitions > 1 && !k->is_many_said) {
		log_warn("topic %s has %d partitions: signals are taken from the first "
			 "one only; send them there, or make the topic with one",
			 k->settings.topic, partitions);
		k->is_many_said = true;
	}
	begin(k);
}

static void leave(struct kafka_signals *k)
{
	(void)rd_kafka_assign(k->rk, NULL);
	k->is_assigned = false;
}

/* ---- reading ---- */

/* For somebody else, or nothing at all. */
static bool is_ours(const struct kafka_signals *k, const rd_kafka_message_t *message)
{
	size_t len = strlen(k->settings.key);

	return message->key && message->key_len == len &&
	       memcmp(message->key, k->settings.key, len) == 0 && message->payload &&
	       message->len > 0;
}

/* Returns when it is done with, or when we are to stop. */
static void hand_over(struct kafka_signals *k, rd_kafka_message_t *message)
{
	struct kafka_signals_place place = {.topic = k->topic_id,
					    .next = (uint64_t)message->offset + 1,
					    .hash = hash_of(message)};

	(void)pthread_mutex_lock(&k->lock);
	k->next_place = place;
	k->message = message;
	k->is_given = k->is_done = false;
	event_fd_wake(k->fd);
	while (!k->is_done && !k->is_stopping) {
		(void)pthread_cond_wait(&k->is_turned, &k->lock);
	}
	k->message = NULL;
	if (k->is_done) {
		k->done = k->at;
	}
	(void)pthread_mutex_unlock(&k->lock);
}

/* The message that `place` knows should be there; it was taken. */
static bool is_proven(struct kafka_signals *k, const rd_kafka_message_t *message)
{
	struct kafka_signals_place place = place_now(k);

	if ((uint64_t)message->offset + 1 == place.next &&
	    hash_of(message) != place.hash) {
		forget_place(k);
		k->at = 0;
		assign(k, RD_KAFKA_OFFSET_BEGINNING);
		return true;
	}
	return (uint64_t)message->offset + 1 == place.next;
}

static void take(struct kafka_signals *k, rd_kafka_message_t *message)
{
	bool is_proving = k->is_proving;

	if (k->is_refused_said) {
		log_info("signals are read from topic %s again", k->settings.topic);
	}
	k->is_refused_said = false;
	k->is_proving = false;
	if (message->offset < k->at) { /* the topic is shorter than it was */
		forget_place(k);
		is_proving = false;
	}
	k->at = message->offset + 1;
	if (is_proving && is_proven(k, message)) {
		return;
	}
	if (!is_ours(k, message)) {
		k->done = k->at;
		return;
	}
	hand_over(k, message);
	if (k->done > k->committed) {
		commit(k);
	}
}

static void read_one(struct kafka_signals *k)
{
	rd_kafka_message_t *message = rd_kafka_consumer_poll(k->rk, KAFKA_SLICE_MS);

	if (!message || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		/* Nothing more for now. */
	} else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		end_trouble(k);
		take(k, message);
	} else {
		judge(k, message->err);
		if (is_missing(message->err) || is_refusal(message->err)) {
			leave(k);
		}
	}
	if (message) {
		rd_kafka_message_destroy(message);
	}
	if (k->done > k->committed && clock_mono_ns() >= k->commit_due_ns) {
		commit(k);
	}
}

/* Is the topic to be had again? Where nothing comes nobody else tells. */
static void probe(struct kafka_signals *k)
{
	int partitions;
	rd_kafka_resp_err_t why = count_partitions(k, &partitions);

	if (why == RD_KAFKA_RESP_ERR_NO_ERROR) {
		end_trouble(k);
		return;
	}
	judge(k, why);
	if (is_missing(why) || is_refusal(why)) {
		leave(k);
	}
}

static void pause_a_bit(struct kafka_signals *k)
{
	rd_kafka_message_t *message = rd_kafka_consumer_poll(k->rk, KAFKA_SLICE_MS);

	if (message) {
		rd_kafka_message_destroy(message);
	}
}

static bool is_stopping(struct kafka_signals *k)
{
	bool is;

	(void)pthread_mutex_lock(&k->lock);
	is = k->is_stopping;
	(void)pthread_mutex_unlock(&k->lock);
	return is;
}

/* ---- the thread ---- */

static void free_all(struct kafka_signals *k)
{
	if (k->topic) {
		rd_kafka_topic_destroy(k->topic);
	}
	if (k->commits) {
		rd_kafka_queue_destroy(k->commits);
	}
	if (k->rk) {
		/* Nothing is left to be committed, and no group to be left. */
		rd_kafka_destroy_flags(k->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	}
	k->topic = NULL;
	k->commits = NULL;
	k->rk = NULL;
}

static void free_rest(struct kafka_signals *k)
{
	event_fd_close(k->fd);
	(void)pthread_cond_destroy(&k->is_turned);
	(void)pthread_mutex_destroy(&k->lock);
	free(k);
}

/* Where brokers are away the library may take its time. */
static void end(struct kafka_signals *k)
{
	bool is_left;

	commit_last(k);
	free_all(k);
	(void)pthread_mutex_lock(&k->lock);
	k->is_ended = true;
	is_left = k->is_left;
	(void)pthread_cond_broadcast(&k->is_turned);
	(void)pthread_mutex_unlock(&k->lock);
	if (is_left) {
		free_rest(k);
	}
}

static void *run(void *context)
{
	struct kafka_signals *k = context;

	while (!is_stopping(k)) {
		bool is_time = clock_mono_ns() >= k->look_ns;

		if (k->is_assigned) {
			read_one(k);
		} else if (is_time) {
			find(k);
		} else {
			pause_a_bit(k);
		}
		if (k->wait.reason[0]) {
			note_trouble(k, k->wait.reason);
			k->wait.reason[0] = '\0';
		}
		if (k->is_assigned && k->trouble_ns > 0 && is_time) {
			probe(k);
		}
		say_trouble(k);
		take_answers(k, 0);
	}
	end(k);
	return NULL;
}

/* ---- what is given ---- */

int kafka_signals_fd(const struct kafka_signals *k)
{
	return k->fd;
}

bool kafka_signals_next(struct kafka_signals *k, struct span *value)
{
	bool has;

	event_fd_clear(k->fd);
	(void)pthread_mutex_lock(&k->lock);
	has = k->message && !k->is_given;
	if (has) {
		k->is_given = true;
		*value = (struct span){k->message->payload, k->message->len};
	}
	(void)pthread_mutex_unlock(&k->lock);
	return has;
}

void kafka_signals_done(struct kafka_signals *k)
{
	(void)pthread_mutex_lock(&k->lock);
	k->place = k->next_place;
	k->is_done = true;
	(void)pthread_cond_broadcast(&k->is_turned);
	(void)pthread_mutex_unlock(&k->lock);
}

struct kafka_signals_place kafka_signals_place(struct kafka_signals *k, bool with_given)
{
	struct kafka_signals_place place;

	(void)pthread_mutex_lock(&k->lock);
	place = with_given && k->is_given && !k->is_done ? k->next_place : k->place;
	(void)pthread_mutex_unlock(&k->lock);
	return place;
}

/* ---- open and close ---- */

static void prepare(struct kafka_signals *k,
		    const struct kafka_signals_settings *settings)
{
	k->settings = *settings;
	k->place = settings->taken;
	k->topic_id = crc64_add(0, settings->topic, strlen(settings->topic));
	k->fd = -1;
	k->wait = (struct kafka_wait){.brokers = settings->brokers};
	k->config = (struct kafka_config){.brokers = settings->brokers,
					  .properties = settings->shared,
					  .property_count = settings->shared_count,
					  .wait = &k->wait};
	(void)pthread_mutex_init(&k->lock, NULL);
	thread_cond_init(&k->is_turned);
}

static enum status make_consumer(struct kafka_signals *k, struct error *err)
{
	const struct kafka_group group = {.id = k->settings.group,
					  .properties = k->settings.own,
					  .property_count = k->settings.own_count};
	enum status status = kafka_config_member(&k->config, &group, &k->rk, err);

	if (status != ST_OK) {
		return status;
	}
	(void)rd_kafka_poll_set_consumer(k->rk);
	k->commits = rd_kafka_queue_new(k->rk);
	k->topic = rd_kafka_topic_new(k->rk, k->settings.topic, NULL);
	return k->topic ? ST_OK
			: error_set(err, ST_CONFIG, "signal.kafka.topic=%s: %s",
				    k->settings.topic,
				    rd_kafka_err2str(rd_kafka_last_error()));
}

/* All but its thread. */
static enum status make(const struct kafka_signals_settings *settings,
			struct kafka_signals **out, struct error *err)
{
	struct kafka_signals *k = calloc(1, sizeof *k);

	if (!k) {
		return error_no_memory(err, "signals by Kafka");
	}
	prepare(k, settings);
	if (make_consumer(k, err) != ST_OK) {
		kafka_signals_close(k);
		return err->status;
	}
	*out = k;
	return ST_OK;
}

enum status kafka_signals_open(const struct kafka_signals_settings *settings,
			       struct kafka_signals **out, struct error *err)
{
	struct kafka_signals *k;

	if (make(settings, &k, err) != ST_OK) {
		return err->status;
	}
	if (event_fd_open(&k->fd, err) != ST_OK ||
	    thread_start(&k->thread, run, k, "signals", err) != ST_OK) {
		kafka_signals_close(k);
		return err->status;
	}
	k->has_thread = true;
	*out = k;
	return ST_OK;
}

enum status kafka_signals_check(const struct kafka_signals_settings *settings,
				struct error *err)
{
	struct kafka_signals *k;

	if (make(settings, &k, err) != ST_OK) {
		return err->status;
	}
	kafka_signals_close(k);
	return ST_OK;
}

/* False: it goes on alone, and frees all. */
static bool stop_thread(struct kafka_signals *k)
{
	int64_t until_ns = clock_mono_ns() + CLOSE_NS;
	const struct timespec until = {.tv_sec = until_ns / NS_PER_S,
				       .tv_nsec = until_ns % NS_PER_S};
	bool is_ended;
	int rc = 0;

	(void)pthread_mutex_lock(&k->lock);
	k->is_stopping = true;
	(void)pthread_cond_broadcast(&k->is_turned);
	while (!k->is_ended && rc == 0) {
		rc = pthread_cond_timedwait(&k->is_turned, &k->lock, &until);
	}
	is_ended = k->is_ended;
	k->is_left = !is_ended;
	if (!is_ended) {
		(void)pthread_detach(k->thread);
	}
	(void)pthread_mutex_unlock(&k->lock);
	if (is_ended) {
		(void)pthread_join(k->thread, NULL);
	}
	return is_ended;
}

void kafka_signals_close(struct kafka_signals *k)
{
	if (!k || (k->has_thread && !stop_thread(k))) {
		return;
	}
	free_all(k);
	free_rest(k);
}
