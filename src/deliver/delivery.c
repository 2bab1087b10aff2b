/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schemas/encoder.h"
#include "sinks/sink_settings.h"
#include "src/base/array.h"
#include "src/base/clock.h"
#include "src/base/health.h"
#include "src/base/log.h"
#include "src/base/metrics.h"
#include "src/base/stop.h"
#include "src/config/shaping.h"
#include "src/deliver/encoder_config.h"
#include "src/deliver/notifications.h"
#include "src/deliver/other_settings.h"
#include "src/deliver/repeats.h"
#include "src/deliver/resume.h"
#include "src/deliver/waiting.h"

/* How long --once waits for room on a full disk, or for Kafka. */
#define ONCE_PATIENCE_NS (60 * NS_PER_S)

#define FLUSH_TXNS 1000 /* the position moves at least so often */

/* Where a transaction begins among the messages that a sink counts: when a run ends
 * because its reader stands still or is gone, this tells which transaction the last
 * acknowledged message is of. */
struct sent_mark {
	uint64_t put;
	struct state_position position; /* before it; .messages: of it, left out */
};

struct delivery {
	const struct config *config;
	struct buffer settings; /* src/config/shaping.h; a NUL behind its end */
	uint64_t settings_hash;
	struct kept_position *kept; /* from claim on */
	struct sink *sink;
	struct column_rules *rules;    /* NULL: none */
	struct transforms *transforms; /* NULL: none */
	struct encoder *encoder;
	struct publisher *publisher;
	struct notifications *notifications;
	uint64_t lsn;     /* put up to here */
	uint64_t chain;   /* the journal's checksum there */
	uint64_t txn_lsn; /* of the transaction at hand */
	uint64_t txn_chain;
	uint64_t least_change_id; /* was acknowledged in an earlier run */
	struct sink_floor floor;
	void (*waits)(void *context); /* of claim */
	void *waits_context;
	struct delivery_listener outages; /* of them */
	bool in_snapshot;                 /* the rows that are there are not all out */
	bool in_transaction;              /* between begin and end */
	bool in_chunk;                    /* which is a chunk, or the next one is */
	uint64_t chunks;                  /* put so far */
	struct repeats repeats;
	int64_t next_beat_ns; /* monotonic; with heartbeats only */
	struct waiting waiting;
	struct sent_mark *marks; /* transactions since the last flush */
	size_t mark_total, mark_cap;
};

/* ---- opening ---- */

static enum status acknowledged(void *context, bool durable, struct error *err);
static void tell_position(void *context, struct sink_position *out);
static void out_of_reach(void *context, const char *why);

static enum status open_sink(struct delivery *delivery, struct error *err)
{
	const struct config *config = delivery->config;
	const struct kafka_options *kafka = &config->kafka;
	struct sink_settings settings = {
	    .target = config->sink_target,
	    .output_fd = STDOUT_FILENO,
	    .database_path = config->database_path,
	    .state_path = config->state_path,
	    .record_lines = config->lines == LINES_RECORD,
	    .prefix = config->encoder.topic_prefix,
	    .delimiter = config->encoder.topic_delimiter,
	    .topics = {.may_make = kafka->may_make_topics,
		       .partitions = kafka->partitions,
		       .replication_factor = kafka->replication_factor,
		       .configs = kafka->topics.list,
		       .config_count = kafka->topics.count},
	    .properties = kafka->producer.list,
	    .property_count = kafka->producer.count,
	    .exactly_once = kafka->exactly_once,
	    .skips_too_large = kafka->skips_too_large,
	    .audit = {.redactable = config->audit_redactable,
		      .rotate_bytes = config->audit_rotate_bytes,
		      .rotate_ns = config->audit_rotate_hours * NS_PER_H,
		      .compresses = config->audit_compress,
		      .retention_ns = config->audit_retention_days * 24 * NS_PER_H,
		      .retention_bytes = config->audit_retention_bytes,
		      .retention_checkpoint = config->audit_retention_checkpoint},
	    .accepts_gap = config->accept_gap,
	    .stop = &stop_requested,
	    .reopen = &reopen_requested,
	    .patience_ns = config->once ? ONCE_PATIENCE_NS : 0,
	    .position = tell_position,
	    .acknowledged = acknowledged,
	    .on_outage = out_of_reach,
	    .context = delivery,
	};

	return config->sink->open(&settings, &delivery->sink, err);
}

/* What shapes the messages, and the hash of it. */
static enum status read_settings(struct delivery *delivery, struct error *err)
{
	struct buffer *text = &delivery->settings;

	if (!shaping_add(delivery->config, text)) {
		return error_set(
		    err, ST_CONFIG,
		    "the library of OpenSSL has no SHA-256, which salts of "
		    "column.mask.hash.* need");
	}
	buffer_add_char(text, '\0');
	if (!buffer_ok(text)) {
		return error_set(err, ST_NOMEM, "out of memory for delivery");
	}
	text->len--;
	delivery->settings_hash = shaping_hash(text->bytes, text->len);
	return ST_OK;
}

enum status delivery_open(const struct config *config, struct delivery **out,
			  struct error *err)
{
	struct delivery *delivery = calloc(1, sizeof *delivery);
	enum status status;

	if (!delivery) {
		return error_set(err, ST_NOMEM, "out of memory for delivery");
	}
	delivery->config = config;
	buffer_init(&delivery->settings);
	repeats_init(&delivery->repeats);
	delivery->next_beat_ns = clock_mono_ns() + config->heartbeat_ms * NS_PER_MS;
	status = read_settings(delivery, err);
	if (status == ST_OK) {
		status = open_sink(delivery, err);
	}
	if (status == ST_OK) {
		status =
		    encoder_config_open(config, &delivery->rules, &delivery->transforms,
					&delivery->encoder, err);
	}
	if (status == ST_OK) {
		status = publisher_open(delivery->encoder, delivery->sink,
					config->database_path,
					sink_own_topic(delivery->sink), &stop_requested,
					&delivery->publisher, err);
	}
	if (status == ST_OK) {
		status = notifications_open(
		    config, encoder_notification_route(delivery->encoder),
		    delivery->sink, &delivery->notifications, err);
	}
	if (status != ST_OK) {
		delivery_close(delivery);
		return status;
	}
	*out = delivery;
	return ST_OK;
}

void delivery_close(struct delivery *delivery)
{
	if (!delivery) {
		return;
	}
	waiting_end(&delivery->waiting);
	notifications_close(delivery->notifications);
	publisher_close(delivery->publisher);
	encoder_close(delivery->encoder);
	column_rules_close(delivery->rules);
	transforms_close(delivery->transforms);
	sink_close(delivery->sink);
	free(delivery->marks);
	buffer_clear(&delivery->settings);
	repeats_clear(&delivery->repeats);
	free(delivery);
}

const struct column_rules *delivery_rules(const struct delivery *delivery)
{
	return delivery->rules;
}

struct publisher *delivery_publisher(struct delivery *delivery)
{
	return delivery->publisher;
}

bool delivery_in_snapshot(const struct delivery *delivery)
{
	return delivery->in_snapshot;
}

uint64_t delivery_lsn(const struct delivery *delivery)
{
	return delivery->lsn;
}

uint64_t delivery_chain(const struct delivery *delivery)
{
	return delivery->chain;
}

int delivery_watch_fd(const struct delivery *delivery)
{
	return sink_watch_fd(delivery->sink);
}

/* ---- the position ---- */

static void set_place(struct state_position *position, const struct sink *sink)
{
	struct sink_place place = sink->kind->place(sink);

	position->sink_inode = place.inode;
	position->sink_length = place.length;
	position->sink_start = place.start;
	position->sink_proof = place.proof;
}

/* The position of everything that was put up to this moment. */
static struct state_position position_now(const struct delivery *delivery)
{
	struct state_position position = {
	    .lsn = delivery->lsn,
	    .in_snapshot = delivery->in_snapshot,
	    .chunks = delivery->chunks,
	    .in_chunk = delivery->in_chunk,
	    .change_id = encoder_change_id(delivery->encoder),
	    .txn_change_id = encoder_change_id(delivery->encoder),
	    .previous_lsn = encoder_previous_lsn(delivery->encoder),
	    .settings_hash = delivery->settings_hash,
	    .in_sink = delivery->kept->position.in_sink,
	};

	if (delivery->in_transaction) {
		struct publisher_mark mark = publisher_mark(delivery->publisher);

		position.messages = mark.messages;
		position.txn_change_id = mark.change_id;
		position.previous_lsn = mark.previous_lsn;
	}
	if (position.change_id < delivery->least_change_id) {
		position.change_id = delivery->least_change_id;
	}
	/* A stop may come before the run has got to where it goes on from. */
	if (position.messages < publisher_skipped(delivery->publisher)) {
		position.messages = publisher_skipped(delivery->publisher);
	}
	return position;
}

/* One that this run has made. */
static enum status put_new(struct delivery *delivery,
			   const struct state_position *position, bool durable,
			   struct error *err)
{
	struct span settings = {delivery->settings.bytes, delivery->settings.len};

	waiting_acknowledged(&delivery->waiting, position->lsn,
			     !delivery->in_transaction && position->messages == 0 &&
				 position->lsn == delivery->lsn);
	return delivery->kept->put(delivery->kept, position, &settings, durable, err);
}

/* The sink has been flushed: move A to everything that was given to it. */
static enum status put_position(struct delivery *delivery, bool durable,
				struct error *err)
{
	struct state_position position = position_now(delivery);

	if (delivery->sink->kind->place) {
		set_place(&position, delivery->sink);
	}
	/* Without transactions nobody waits for the sink's position to be there; with a
	 * place that is stored beside it the place says whether there is one. */
	if (delivery->sink->kind->keeps_position && !delivery->sink->kind->place) {
		position.in_sink =
		    position.in_sink || delivery->config->kafka.exactly_once;
	}
	return put_new(delivery, &position, durable, err);
}

/* Note where a transaction begins. */
static enum status mark_start(struct delivery *delivery, struct error *err)
{
	if (!delivery->sink->kind->count) {
		return ST_OK;
	}
	if (!array_room(&delivery->marks, &delivery->mark_cap, delivery->mark_total + 1,
			sizeof *delivery->marks)) {
		return error_no_memory(err, "delivery");
	}
	delivery->marks[delivery->mark_total++] =
	    (struct sent_mark){.put = delivery->sink->kind->count(delivery->sink).put,
			       .position = position_now(delivery)};
	return ST_OK;
}

/* Move A where the sink counts: to the last message that is acknowledged. */
static enum status put_counted(struct delivery *delivery, bool durable,
			       struct error *err)
{
	uint64_t count = delivery->sink->kind->count(delivery->sink).acknowledged;
	const struct sent_mark *last = NULL;
	struct state_position position;

	for (size_t i = 0; i < delivery->mark_total; i++) {
		if (delivery->marks[i].put <= count) {
			last = &delivery->marks[i];
		}
	}
	if (!last) {
		return ST_OK;
	}
	position = last->position;
	position.messages += count - last->put;
	return put_new(delivery, &position, durable, err);
}

static enum status acknowledged(void *context, bool durable, struct error *err)
{
	struct delivery *delivery = context;

	return delivery->sink->kind->count ? put_counted(delivery, durable, err)
					   : put_position(delivery, durable, err);
}

static void tell_position(void *context, struct sink_position *out)
{
	const struct delivery *delivery = context;
	const struct state_position now = position_now(delivery);

	resume_tell(&now, delivery->chain, out);
}

static void out_of_reach(void *context, const char *why)
{
	const struct delivery *delivery = context;

	health_say(HEALTH_SINK, why);
	metrics_count(METRIC_SINK_OUTAGES, why != NULL);
	if (why && delivery->waits) {
		delivery->waits(delivery->waits_context);
	}
	if (delivery->kept) {
		delivery->kept->note_outage(delivery->kept, why);
	}
	if (delivery->outages.tell) {
		delivery->outages.tell(delivery->outages.context, why);
	}
}

void delivery_tell_outages(struct delivery *delivery, struct delivery_listener to)
{
	delivery->outages = to;
}

/* ---- a sink that keeps a position of its own ---- */

/* Say it once, though a directory that is in use comes here twice. */
static void say_new_snapshot(const struct delivery *delivery)
{
	if (delivery->floor.lsn > 0) {
		return;
	}
	log_warn("%s: a new snapshot is taken, as snapshot.mode=when_needed has it: "
		 "%s's position of topic.prefix %s and the state directory do not go "
		 "together; deletes made meanwhile are not announced",
		 delivery->config->state_path, delivery->config->sink->title,
		 delivery->config->encoder.topic_prefix);
}

/* What a new position begins with, but for its LSN. */
static struct state_position first_position(const struct delivery *delivery)
{
	return (struct state_position){
	    .in_snapshot = delivery->config->snapshot_mode != SNAPSHOT_MODE_NO_DATA,
	    .change_id = delivery->floor.change_id,
	    .txn_change_id = delivery->floor.change_id,
	    .previous_lsn = ENCODER_NO_LSN,
	    .settings_hash = delivery->settings_hash,
	};
}

enum status delivery_claim(struct delivery *delivery, struct kept_position *kept,
			   void (*waits)(void *context), void *context,
			   bool *starts_over, struct error *err)
{
	struct sink_claim claim = {.verdict = SINK_GO_ON};
	enum status status = ST_OK;

	*starts_over = false;
	delivery->kept = kept;
	delivery->waits = waits;
	delivery->waits_context = context;
	if (delivery->sink->kind->claim) {
		status =
		    resume_claim(delivery->sink, delivery->config, kept, &claim, err);
	}
	delivery->waits = NULL;
	if (status == ST_OK && claim.verdict == SINK_ADOPT) {
		status = resume_keep(delivery->sink, &claim.position, kept, err);
	}
	if (status == ST_OK && claim.verdict == SINK_START_OVER) {
		*starts_over = !kept->is_new;
		say_new_snapshot(delivery);
		delivery_raise_floor(delivery, claim.floor);
	}
	if (kept->is_new) {
		kept->position = first_position(delivery);
	}
	return status;
}

struct sink_floor delivery_floor(const struct delivery *delivery)
{
	return delivery->floor;
}

void delivery_raise_floor(struct delivery *delivery, struct sink_floor floor)
{
	struct sink_floor *f = &delivery->floor;

	f->lsn = floor.lsn > f->lsn ? floor.lsn : f->lsn;
	f->change_id = floor.change_id > f->change_id ? floor.change_id : f->change_id;
}

/* ---- going on after an earlier run ---- */

/* The next transaction is a chunk, and not the one that was begun. */
static bool is_other_chunk(const struct delivery *delivery)
{
	return delivery->kept->position.in_chunk && delivery->repeats.is_asked_lost;
}

const char *delivery_settings(const struct delivery *delivery)
{
	return delivery->settings.bytes;
}

enum status delivery_look(struct delivery *delivery, const struct kept_position *kept,
			  const struct sink_look *look, struct error *err)
{
	return resume_look(delivery->sink, delivery->config, kept, look, err);
}

/* Number events as before, and do not send again what was acknowledged. */
static void restore_position(struct delivery *delivery)
{
	const struct kept_position *kept = delivery->kept;
	const struct state_position *at = &kept->position;

	delivery->in_snapshot = at->in_snapshot;
	delivery->chunks = at->chunks;
	delivery->in_chunk = at->in_chunk;
	delivery->least_change_id = at->change_id;
	encoder_restore(delivery->encoder, at->txn_change_id, at->previous_lsn);
	if (at->settings_hash == delivery->settings_hash) {
		publisher_skip(delivery->publisher,
			       is_other_chunk(delivery) ? 0 : at->messages);
	} else {
		other_settings_say(delivery->config->state_path, kept,
				   delivery->settings.bytes);
	}
}

static enum status find_repeats(struct delivery *delivery, struct error *err)
{
	struct kept_position *kept = delivery->kept;
	enum status status =
	    repeats_find(&delivery->repeats, kept,
			 kept->position.settings_hash == delivery->settings_hash, err);

	return status == ST_OK && delivery->repeats.is_asked_lost
		   ? repeats_keep_rest(&delivery->repeats, kept,
				       delivery->config->state_path, err)
		   : status;
}

/* Bring the sink to what was acknowledged, and store where it stands. */
static enum status begin_sink(struct delivery *delivery, struct error *err)
{
	struct kept_position *kept = delivery->kept;
	struct state_position position = kept->position;
	struct sink_start start = {
	    .uuid = kept->uuid,
	    .database = kept->database,
	    .place = {.inode = position.sink_inode,
		      .length = position.sink_length,
		      .start = position.sink_start,
		      .proof = position.sink_proof},
	    .at_start = position.messages > 0 &&
			(position.settings_hash != delivery->settings_hash ||
			 is_other_chunk(delivery)),
	};
	enum status status = sink_begin(delivery->sink, &start, err);

	if (status != ST_OK || !delivery->sink->kind->place) {
		return status;
	}
	set_place(&position, delivery->sink);
	if (start.at_start) {
		position.messages = 0;
		position.change_id = position.txn_change_id;
	}
	return kept->put(kept, &position, NULL, true, err);
}

/* An audit log says what it was told to do otherwise than before. */
static enum status put_settings(struct delivery *delivery, struct error *err)
{
	const struct kept_position *kept = delivery->kept;
	const char *was = kept->position.settings_hash == kept->last_hash
			      ? kept->last_settings.bytes
			      : NULL;

	return other_settings_put(delivery->sink, delivery->lsn, was,
				  delivery->settings.bytes, err);
}

enum status delivery_restore(struct delivery *delivery, uint64_t lsn, uint64_t chain,
			     struct error *err)
{
	bool is_other =
	    delivery->kept->position.settings_hash != delivery->settings_hash;
	enum status status;

	delivery->lsn = lsn;
	delivery->chain = chain;
	status = find_repeats(delivery, err);
	if (status != ST_OK) {
		return status;
	}
	restore_position(delivery);
	status = begin_sink(delivery, err);
	return status == ST_OK && is_other && delivery->config->sink->form == FORM_AUDIT
		   ? put_settings(delivery, err)
		   : status;
}

/* ---- transactions ---- */

enum status delivery_begin(struct delivery *delivery,
			   const struct encoder_transaction *txn, uint64_t chain,
			   struct error *err)
{
	publisher_begin(delivery->publisher, txn);
	delivery->txn_lsn = txn->lsn;
	delivery->txn_chain = chain;
	delivery->in_transaction = true;
	if (txn->is_snapshot) {
		waiting_begin_snapshot(&delivery->waiting);
	} else {
		waiting_begin(&delivery->waiting, txn->captured_ns);
	}
	return mark_start(delivery, err);
}

enum status delivery_end(struct delivery *delivery, struct error *err)
{
	enum status status = publisher_end(delivery->publisher, err);

	if (status == ST_OK) {
		delivery->lsn = delivery->txn_lsn;
		delivery->chain = delivery->txn_chain;
		delivery->in_transaction = false;
		delivery->in_snapshot = false;
		metrics_count(METRIC_DECODED_TRANSACTIONS, 1);
	}
	return status;
}

/* ---- snapshots on demand ---- */

bool delivery_repeats(const struct delivery *delivery)
{
	return repeats_go_on(&delivery->repeats, delivery->lsn);
}

bool delivery_end_repeats(struct delivery *delivery)
{
	return repeats_end(&delivery->repeats, delivery->lsn);
}

bool delivery_owes_chunk(const struct delivery *delivery)
{
	return !delivery->in_transaction &&
	       (delivery->in_chunk ||
		repeats_owes_chunk(&delivery->repeats, delivery->lsn));
}

struct span delivery_asked(const struct delivery *delivery)
{
	const struct buffer *text = &delivery->repeats.asked.text;

	return (struct span){text->bytes, text->len};
}

static enum status keep_asked(struct delivery *delivery, uint64_t lsn, uint64_t chunks,
			      struct span asked, bool durable, struct error *err)
{
	struct kept_position *kept = delivery->kept;

	return kept->put_snapshots(kept, (struct snapshot_moment){lsn, chunks}, asked,
				   durable, err);
}

/* Before anything of it is handed over: at which LSN it is. */
static enum status note_begun(struct delivery *delivery, struct error *err)
{
	return repeats_has_chunk(&delivery->repeats)
		   ? ST_OK
		   : keep_asked(delivery, delivery->lsn, delivery->chunks + 1,
				(struct span){NULL, 0}, false, err);
}

enum status delivery_begin_chunk(struct delivery *delivery, struct error *err)
{
	const struct encoder_transaction txn = {
	    .lsn = delivery->lsn, .captured_ns = clock_wall_ns(), .is_snapshot = true};
	enum status status = note_begun(delivery, err);

	if (status != ST_OK) {
		return status;
	}
	delivery->in_chunk = true;
	return delivery_begin(delivery, &txn, delivery->chain, err);
}

enum status delivery_end_chunk(struct delivery *delivery, struct span asked,
			       struct error *err)
{
	/* Before a position can stand behind it. The same may be there already. */
	enum status status = keep_asked(delivery, delivery->lsn, delivery->chunks + 1,
					asked, false, err);

	if (status == ST_OK) {
		status = delivery_end(delivery, err);
	}
	if (status == ST_OK) {
		delivery->chunks++;
		delivery->in_chunk = false;
		repeats_done_chunk(&delivery->repeats);
	}
	return status;
}

void delivery_drop_chunk(struct delivery *delivery)
{
	delivery->in_chunk = false;
	repeats_drop_chunks(&delivery->repeats);
	publisher_skip(delivery->publisher, 0);
}

enum status delivery_keep_asked(struct delivery *delivery, struct span asked,
				struct error *err)
{
	const struct state_position *at = &delivery->kept->position;
	bool is_whole = at->messages == 0 && !at->in_chunk;

	/* Transactions without messages do not move the position of every sink: what is
	 * kept must hold where a later run begins. */
	return keep_asked(delivery, is_whole ? at->lsn : delivery->lsn,
			  is_whole ? at->chunks : delivery->chunks, asked, true, err);
}

enum status delivery_keep_asked_behind(struct delivery *delivery, struct span asked,
				       struct error *err)
{
	return keep_asked(delivery, delivery->txn_lsn, delivery->chunks, asked, false,
			  err);
}

/* ---- flushing ---- */

bool delivery_wants_flush(const struct delivery *delivery)
{
	return delivery->mark_total >= FLUSH_TXNS || sink_wants_flush(delivery->sink);
}

enum status delivery_flush(struct delivery *delivery, struct error *err)
{
	enum status status = sink_flush(delivery->sink, err);

	if (status == ST_OK && !delivery->in_transaction) {
		waiting_flushed(&delivery->waiting);
	}
	if (status == ST_OK && !delivery->sink->kind->keeps_position) {
		delivery->mark_total = 0;
		status = put_position(delivery, false, err);
	}
	return status;
}

/* For people who read of it later. */
static const char *why_ended(enum status ended)
{
	return ended == ST_OK ? "done" : status_text(ended);
}

enum status delivery_finish(struct delivery *delivery, enum status ended,
			    struct error *err)
{
	const struct sink_kind *kind = delivery->sink->kind;
	enum status status = ST_OK;

	if (ended != ST_CLOSED && ended != ST_IO) {
		status = sink_flush(delivery->sink, err);
		if (status == ST_OK) {
			status = sink_finish(delivery->sink, why_ended(ended), err);
		}
	}
	if (kind->keeps_position) {
		return status;
	}
	if (kind->count) {
		struct error ignored;
		enum status stored = put_counted(delivery, false, &ignored);

		return status == ST_OK ? stored : status;
	}
	/* After an error of the sink what was put is not acknowledged. */
	return status == ST_OK && ended != ST_IO ? put_position(delivery, false, err)
						 : status;
}

/* ---- notifications and heartbeats ---- */

enum status delivery_notify(struct delivery *delivery, enum notification_kind kind,
			    const struct notification_of *of, struct error *err)
{
	bool is_put = notifications_reach_sink(delivery->notifications);
	enum status status = is_put ? mark_start(delivery, err) : ST_OK;

	if (status == ST_OK) {
		status = notifications_send(delivery->notifications, kind, of, err);
	}
	/* Its line is not one of a transaction. */
	return status == ST_OK && is_put ? mark_start(delivery, err) : status;
}

enum status delivery_beat(struct delivery *delivery, struct error *err)
{
	int64_t interval_ns = delivery->config->heartbeat_ms * NS_PER_MS;
	int64_t now_ns;
	enum status status;

	if (interval_ns == 0) {
		return ST_OK;
	}
	now_ns = clock_mono_ns();
	/* Not before what a stop left of a transaction is out. */
	if (now_ns < delivery->next_beat_ns ||
	    publisher_skipped(delivery->publisher) > 0) {
		return ST_OK;
	}
	delivery->next_beat_ns = now_ns + interval_ns;
	status = mark_start(delivery, err);
	if (status == ST_OK) {
		status = publisher_heartbeat(delivery->publisher, err);
	}
	/* Its line is not one of the next transaction. */
	return status == ST_OK ? mark_start(delivery, err) : status;
}

static int beat_ms(const struct delivery *delivery)
{
	int64_t left_ns;

	if (delivery->config->heartbeat_ms == 0 ||
	    publisher_skipped(delivery->publisher) > 0) {
		return -1;
	}
	left_ns = delivery->next_beat_ns - clock_mono_ns();
	return left_ns > 0 ? (int)(left_ns / NS_PER_MS) + 1 : 0;
}

int delivery_wake_ms(const struct delivery *delivery)
{
	int beat = beat_ms(delivery), wake = sink_wake_ms(delivery->sink);

	return beat < 0 || (wake >= 0 && wake < beat) ? wake : beat;
}
