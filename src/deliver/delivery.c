/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schemas/encoder.h"
#include "sinks/file_sink.h"
#include "sinks/kafka_sink.h"
#include "sinks/stdout_sink.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/base/stop.h"
#include "src/config/shaping.h"
#include "src/deliver/last_settings.h"

/* So long --once waits for room on a full disk, or for Kafka. */
#define ONCE_PATIENCE_NS (60 * NS_PER_S)

#define FLUSH_TXNS 1000 /* the position moves at least so often */

/* Where a transaction begins in the lines of stdout: a run that ends while its reader
 * stands still, or is gone, has to know which line was the last one. */
struct sent_mark {
	uint64_t lines;
	struct state_position position; /* before it; .messages: of it, left out */
};

struct delivery {
	const struct config *config;
	struct buffer settings; /* src/config/shaping.h; a NUL behind its end */
	uint64_t settings_hash;
	bool settings_kept;  /* in the state directory */
	struct store *store; /* NULL: no state directory, or not restored yet */
	struct sink *sink;
	struct column_rules *rules; /* NULL: none */
	struct encoder *encoder;
	struct publisher *publisher;
	uint64_t lsn;     /* put up to here */
	uint64_t chain;   /* the journal's checksum there */
	uint64_t txn_lsn; /* of the transaction at hand */
	uint64_t txn_chain;
	uint64_t least_change_id; /* was acknowledged in an earlier run */
	struct kafka_floor floor;
	void (*waits)(void *context); /* of claim */
	void *waits_context;
	bool in_snapshot;        /* the rows that are there are not all out */
	bool in_transaction;     /* between begin and end */
	int64_t next_beat_ns;    /* monotonic; with heartbeats only */
	struct sent_mark *marks; /* transactions since the last flush */
	size_t mark_total, mark_cap;
};

/* ---- opening ---- */

static enum status file_acknowledged(void *context, bool durable, struct error *err);
static enum status lines_written(void *context, struct error *err);
static void kafka_position(void *context, struct kafka_position *out);
static enum status kafka_acknowledged(void *context, struct error *err);
static void kafka_out_of_reach(void *context);

static enum status open_file_sink(struct delivery *delivery, struct error *err)
{
	const struct config *config = delivery->config;
	struct file_settings settings = {
	    .path = config->sink_path,
	    .database_path = config->database_path,
	    .state_path = config->state_path,
	    .record_lines = config->lines == LINES_RECORD,
	    .stop = &stop_requested,
	    .reopen = &reopen_requested,
	    .patience_ns = config->once ? ONCE_PATIENCE_NS : 0,
	    .acknowledged = file_acknowledged,
	    .context = delivery,
	};
	enum status status = stop_catch_hangup(err);

	return status == ST_OK ? file_sink_open(&settings, &delivery->sink, err)
			       : status;
}

static enum status open_kafka_sink(struct delivery *delivery, struct error *err)
{
	const struct config *config = delivery->config;
	const struct kafka_options *kafka = &config->kafka;
	struct kafka_settings settings = {
	    .brokers = config->sink_path,
	    .prefix = config->topic_prefix,
	    .delimiter = config->topic_delimiter,
	    .properties = kafka->producer.list,
	    .property_count = kafka->producer.count,
	    .topics = {.may_make = kafka->may_make_topics,
		       .partitions = kafka->partitions,
		       .replication_factor = kafka->replication_factor,
		       .configs = kafka->topics.list,
		       .config_count = kafka->topics.count},
	    .exactly_once = kafka->exactly_once,
	    .keeps_position = config->state_path != NULL,
	    .skips_too_large = kafka->skips_too_large,
	    .stop = &stop_requested,
	    .patience_ns = config->once ? ONCE_PATIENCE_NS : 0,
	    .position = kafka_position,
	    .acknowledged = kafka_acknowledged,
	    .on_outage = kafka_out_of_reach,
	    .context = delivery,
	};

	return kafka_sink_open(&settings, &delivery->sink, err);
}

static enum status open_sink(struct delivery *delivery, struct error *err)
{
	struct stdout_settings settings = {
	    .fd = STDOUT_FILENO,
	    .record_lines = delivery->config->lines == LINES_RECORD,
	    .stop = &stop_requested,
	    .written = delivery->config->state_path ? lines_written : NULL,
	    .context = delivery,
	};

	if (delivery->config->sink == SINK_FILE) {
		return open_file_sink(delivery, err);
	}
	if (delivery->config->sink == SINK_KAFKA) {
		return open_kafka_sink(delivery, err);
	}
	return stdout_sink_open(&settings, &delivery->sink, err);
}

/* Only what goes to Kafka is read by Connect. */
static enum header_form header_form_of(const struct config *config)
{
	if (config->header_schemas) {
		return HEADER_WITH_SCHEMA;
	}
	return config->sink == SINK_KAFKA ? HEADER_FOR_CONNECT : HEADER_PLAIN;
}

static enum status open_encoder(struct delivery *delivery, struct error *err)
{
	const struct config *config = delivery->config;
	enum status status =
	    column_options_open(&config->columns, &delivery->rules, err);
	struct encoder_settings settings = {
	    .version = ROWTAIL_VERSION,
	    .database_name = config->database_name,
	    .topic_prefix = config->topic_prefix,
	    .topic_delimiter = config->topic_delimiter,
	    .topic_transaction = config->topic_transaction,
	    .binary_mode = config->binary_mode,
	    .schema_changes = config->schema_changes,
	    .heartbeat_prefix =
		config->heartbeat_ms > 0 ? config->heartbeat_prefix : NULL,
	    .context_headers = config->context_headers,
	    .header_form = header_form_of(config),
	    .schemas = config->schemas,
	    .type_mapping = config->type_mapping,
	    .decimal_mode = config->decimal_mode,
	    .on_conversion_failure = config->on_conversion_failure,
	    .field_names = config->field_names,
	    .rules = delivery->rules,
	    .schema_names = config->schema_names,
	    .tombstones_on_delete = config->tombstones_on_delete,
	    .transaction_metadata = config->transaction_metadata,
	    .wants_keys = delivery->sink->wants_keys,
	    .skip_create = (config->skipped_operations & SKIP_CREATE) != 0,
	    .skip_update = (config->skipped_operations & SKIP_UPDATE) != 0,
	    .skip_delete = (config->skipped_operations & SKIP_DELETE) != 0,
	};

	return status == ST_OK ? encoder_open(&settings, &delivery->encoder, err)
			       : status;
}

/* The caller frees it; NULL: no memory. */
static char *position_topic(const char *delimiter, const char *prefix)
{
	char *topic;

	return asprintf(&topic, KAFKA_POSITION_TOPIC "%s%s", delimiter, prefix) < 0
		   ? NULL
		   : topic;
}

static enum status open_publisher(struct delivery *delivery, struct error *err)
{
	char *positions = NULL; /* a topic that may not be a table's */
	enum status status;

	if (delivery->config->sink == SINK_KAFKA) {
		positions = position_topic(delivery->config->topic_delimiter,
					   delivery->config->topic_prefix);
		if (!positions) {
			return error_set(err, ST_NOMEM, "out of memory for delivery");
		}
	}
	status = publisher_open(delivery->encoder, delivery->sink, positions,
				&stop_requested, &delivery->publisher, err);
	free(positions);
	return status;
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
	delivery->next_beat_ns = clock_mono_ns() + config->heartbeat_ms * NS_PER_MS;
	status = read_settings(delivery, err);
	if (status == ST_OK) {
		status = open_sink(delivery, err);
	}
	if (status == ST_OK) {
		status = open_encoder(delivery, err);
	}
	if (status == ST_OK) {
		status = open_publisher(delivery, err);
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
	publisher_close(delivery->publisher);
	encoder_close(delivery->encoder);
	column_rules_close(delivery->rules);
	if (delivery->sink) {
		delivery->sink->close(delivery->sink);
	}
	free(delivery->marks);
	buffer_clear(&delivery->settings);
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
	return delivery->sink->watch_fd(delivery->sink);
}

/* ---- the position ---- */

static void set_place(struct state_position *position, const struct sink *sink)
{
	struct file_place place = file_sink_place(sink);

	position->sink_inode = place.inode;
	position->sink_length = place.length;
	position->sink_start = place.start;
	position->sink_proof = place.proof;
}

/* Everything that was put, up to this moment. */
static struct state_position position_now(const struct delivery *delivery)
{
	struct state_position position = {
	    .lsn = delivery->lsn,
	    .in_snapshot = delivery->in_snapshot,
	    .change_id = encoder_change_id(delivery->encoder),
	    .txn_change_id = encoder_change_id(delivery->encoder),
	    .previous_lsn = encoder_previous_lsn(delivery->encoder),
	    .settings_hash = delivery->settings_hash,
	};

	if (delivery->in_transaction) {
		struct publisher_mark mark = publisher_mark(delivery->publisher);

		position.messages = mark.messages;
		position.txn_change_id = mark.change_id;
		position.previous_lsn = mark.previous_lsn;
	}
	if (delivery->store) {
		position.in_kafka = store_position(delivery->store)->in_kafka;
	}
	if (position.change_id < delivery->least_change_id) {
		position.change_id = delivery->least_change_id;
	}
	/* A stop may come before the place is reached that the run goes on from. */
	if (position.messages < publisher_skipped(delivery->publisher)) {
		position.messages = publisher_skipped(delivery->publisher);
	}
	return position;
}

/* Before the first position that was made with them. Nothing depends on it. */
static void keep_settings(struct delivery *delivery)
{
	struct error failure;

	if (!delivery->settings_kept &&
	    last_settings_write(store_folder(delivery->store), delivery->settings.bytes,
				delivery->settings.len, &failure) != ST_OK) {
		log_warn("%s/%s; a later run cannot show which settings differ",
			 delivery->config->state_path, failure.text);
	}
	delivery->settings_kept = true;
}

static enum status store_new_position(struct delivery *delivery,
				      const struct state_position *position,
				      struct error *err)
{
	keep_settings(delivery);
	return store_put_position(delivery->store, position, err);
}

/* A: everything that was given to the sink, which has been flushed. */
static enum status put_position(struct delivery *delivery, struct error *err)
{
	struct state_position position;

	if (!delivery->store) {
		return ST_OK;
	}
	position = position_now(delivery);
	if (delivery->config->sink == SINK_FILE) {
		set_place(&position, delivery->sink);
	}
	return store_new_position(delivery, &position, err);
}

static enum status file_acknowledged(void *context, bool durable, struct error *err)
{
	struct delivery *delivery = context;
	enum status status = put_position(delivery, err);

	return status == ST_OK && durable && delivery->store
		   ? store_sync_position(delivery->store, err)
		   : status;
}

/* At the beginning of a transaction. */
static enum status mark_start(struct delivery *delivery, struct error *err)
{
	if (!delivery->store || delivery->config->sink != SINK_STDOUT) {
		return ST_OK;
	}
	if (delivery->mark_total == delivery->mark_cap) {
		size_t cap = delivery->mark_cap ? 2 * delivery->mark_cap : 64;
		void *grown =
		    reallocarray(delivery->marks, cap, sizeof *delivery->marks);

		if (!grown) {
			return error_set(err, ST_NOMEM, "out of memory");
		}
		delivery->marks = grown;
		delivery->mark_cap = cap;
	}
	delivery->marks[delivery->mark_total++] =
	    (struct sent_mark){.lines = stdout_sink_put_lines(delivery->sink),
			       .position = position_now(delivery)};
	return ST_OK;
}

/* A when not everything that was put could be written: the last whole line. */
static enum status lines_written(void *context, struct error *err)
{
	struct delivery *delivery = context;
	uint64_t written = stdout_sink_written_lines(delivery->sink);
	const struct sent_mark *last = NULL;
	struct state_position position;

	for (size_t i = 0; i < delivery->mark_total; i++) {
		if (delivery->marks[i].lines <= written) {
			last = &delivery->marks[i];
		}
	}
	if (!last || !delivery->store) {
		return ST_OK;
	}
	position = last->position;
	position.messages += written - last->lines;
	return store_new_position(delivery, &position, err);
}

static void kafka_position(void *context, struct kafka_position *out)
{
	const struct delivery *delivery = context;
	const struct state_position now = position_now(delivery);

	out->lsn = now.lsn;
	out->chain = delivery->chain;
	out->in_snapshot = now.in_snapshot;
	out->messages = now.messages;
	out->change_id = now.change_id;
	out->txn_change_id = now.txn_change_id;
	out->previous_lsn = now.previous_lsn;
	out->settings_hash = now.settings_hash;
	if (delivery->store) {
		store_uuid(delivery->store, out->uuid);
		kafka_position_path(out->database, store_database(delivery->store));
	}
}

static enum status kafka_acknowledged(void *context, struct error *err)
{
	struct delivery *delivery = context;
	struct state_position position;

	if (!delivery->store) {
		return ST_OK;
	}
	position = position_now(delivery);
	/* Without transactions nobody waits for the record to be there. */
	position.in_kafka = position.in_kafka || delivery->config->kafka.exactly_once;
	return store_new_position(delivery, &position, err);
}

static void kafka_out_of_reach(void *context)
{
	const struct delivery *delivery = context;

	if (delivery->waits) {
		delivery->waits(delivery->waits_context);
	}
}

/* ---- where to go on with Kafka ---- */

static bool has_transaction(const void *context, uint64_t lsn, uint64_t chain)
{
	const struct store *store = context;
	uint64_t ours;

	return store_chain_at(store, lsn, &ours) && ours == chain;
}

/* Look first, without disturbing whoever writes there; then claim, and look again. */
static enum status settle_with_kafka(struct delivery *delivery,
				     const struct kafka_own *own,
				     struct kafka_found *found,
				     enum kafka_verdict *verdict, struct error *err)
{
	enum status status = kafka_sink_look(delivery->sink, found, err);

	if (status == ST_OK) {
		status = kafka_resume_decide(own, found, verdict, err);
	}
	if (status == ST_OK && (*verdict != KAFKA_START_OVER || own->is_new)) {
		status = kafka_sink_claim(delivery->sink, found, err);
		if (status == ST_OK) {
			status = kafka_resume_decide(own, found, verdict, err);
		}
	}
	return status;
}

static enum status adopt(const struct kafka_position *from, struct store *store,
			 struct error *err)
{
	struct state_position position = *store_position(store);
	enum status status;

	kafka_resume_adopt(from, &position);
	status = store_put_position(store, &position, err);
	return status == ST_OK ? store_sync_position(store, err) : status;
}

/* Once, though a directory that is in use comes here twice. */
static void say_new_snapshot(const struct delivery *delivery)
{
	if (delivery->floor.lsn > 0) {
		return;
	}
	log_warn(
	    "%s: a new snapshot is taken, as snapshot.mode=when_needed has it: "
	    "Kafka's position of topic.prefix %s and the state directory do not go "
	    "together; deletes made meanwhile are not announced",
	    delivery->config->state_path, delivery->config->topic_prefix);
}

/* Where the last run had its position in Kafka; NULL: it had none there, or it is not
 * known. The caller frees it. */
static char *last_topic(const struct store *store)
{
	struct buffer kept, sink, delimiter, prefix;
	char *topic = NULL;
	uint64_t hash;

	buffer_init(&kept);
	buffer_init(&sink);
	buffer_init(&delimiter);
	buffer_init(&prefix);
	if (last_settings_read(store_folder(store), &kept, &hash) &&
	    hash == store_position(store)->settings_hash &&
	    shaping_find(kept.bytes, "--to", &sink) &&
	    shaping_find(kept.bytes, "topic.delimiter", &delimiter) &&
	    shaping_find(kept.bytes, "topic.prefix", &prefix)) {
		buffer_add_char(&sink, '\0');
		buffer_add_char(&delimiter, '\0');
		buffer_add_char(&prefix, '\0');
		if (buffer_ok(&sink) && buffer_ok(&delimiter) && buffer_ok(&prefix) &&
		    strcmp(sink.bytes, "kafka") == 0) {
			topic = position_topic(delimiter.bytes, prefix.bytes);
		}
	}
	buffer_clear(&kept);
	buffer_clear(&sink);
	buffer_clear(&delimiter);
	buffer_clear(&prefix);
	return topic;
}

/* As settle_with_kafka, with the names of topics for messages. */
static enum status settle_by_name(struct delivery *delivery, struct kafka_own *own,
				  struct kafka_found *found,
				  enum kafka_verdict *verdict, struct error *err)
{
	char *topic = position_topic(delivery->config->topic_delimiter,
				     delivery->config->topic_prefix);
	char *last = own->is_new ? NULL : last_topic(own->context);
	enum status status;

	own->topic = topic;
	own->last_topic = last;
	status = topic ? settle_with_kafka(delivery, own, found, verdict, err)
		       : error_set(err, ST_NOMEM, "out of memory for delivery");
	own->topic = own->last_topic = NULL;
	free(topic);
	free(last);
	return status;
}

enum status delivery_claim(struct delivery *delivery, struct store *store,
			   void (*waits)(void *context), void *context,
			   bool *starts_over, struct error *err)
{
	const struct config *config = delivery->config;
	char uuid[STORE_UUID_BYTES];
	char database[KAFKA_PATH_BYTES];
	struct kafka_own own = {.uuid = uuid,
				.database = database,
				.has = has_transaction,
				.context = store,
				.prefix = config->topic_prefix,
				.exactly_once = config->kafka.exactly_once,
				.when_needed =
				    config->snapshot_mode == SNAPSHOT_MODE_WHEN_NEEDED};
	struct kafka_found found;
	enum kafka_verdict verdict;
	enum status status;

	*starts_over = false;
	if (config->sink != SINK_KAFKA || !store) {
		return ST_OK;
	}
	store_uuid(store, uuid);
	own.is_new = store_is_new(store);
	kafka_position_path(database, store_database(store));
	own.position = *store_position(store);
	delivery->waits = waits;
	delivery->waits_context = context;
	status = settle_by_name(delivery, &own, &found, &verdict, err);
	delivery->waits = NULL;
	if (status == ST_OK && verdict == KAFKA_ADOPT) {
		status = adopt(&found.position, store, err);
	}
	if (status == ST_OK && verdict == KAFKA_START_OVER) {
		*starts_over = !own.is_new;
		say_new_snapshot(delivery);
		delivery_raise_floor(delivery, kafka_resume_floor(&own, &found));
	}
	return status;
}

struct kafka_floor delivery_floor(const struct delivery *delivery)
{
	return delivery->floor;
}

void delivery_raise_floor(struct delivery *delivery, struct kafka_floor floor)
{
	struct kafka_floor *f = &delivery->floor;

	f->lsn = floor.lsn > f->lsn ? floor.lsn : f->lsn;
	f->change_id = floor.change_id > f->change_id ? floor.change_id : f->change_id;
}

/* ---- going on after an earlier run ---- */

struct state_position delivery_first_position(const struct delivery *delivery,
					      uint64_t lsn)
{
	return (struct state_position){
	    .lsn = lsn,
	    .in_snapshot = delivery->config->snapshot_mode != SNAPSHOT_MODE_NO_DATA,
	    .change_id = delivery->floor.change_id,
	    .txn_change_id = delivery->floor.change_id,
	    .previous_lsn = ENCODER_NO_LSN,
	    .settings_hash = delivery->settings_hash,
	};
}

/* A value of a setting as people read it: the whole, or so much of it. */
#define SHOWN_BYTES 60

static int shown_len(const char *text)
{
	size_t len = strnlen(text, SHOWN_BYTES + 1);

	if (len > SHOWN_BYTES) {
		for (len = SHOWN_BYTES; ((unsigned char)text[len] & 0xC0) == 0x80;) {
			len--;
		}
	}
	return (int)len;
}

static void add_value(struct buffer *line, const char *value)
{
	int len = shown_len(value ? value : "");

	if (!value) {
		buffer_add_str(line, "not set");
		return;
	}
	buffer_add(line, value, (size_t)len);
	buffer_add_str(line, value[len] ? "..." : "");
}

static void add_difference(void *context, const char *name, const char *was,
			   const char *is)
{
	struct buffer *line = context;

	buffer_add_str(line, line->len > 0 ? ", " : "");
	buffer_add_str(line, name);
	buffer_add_char(line, ' ');
	add_value(line, was);
	buffer_add_str(line, " -> ");
	add_value(line, is);
}

/* The position was made with other settings: `was`, if that is known. */
static void say_other_settings(const struct delivery *delivery,
			       const struct state_position *at, const char *was)
{
	const char *path = delivery->config->state_path;
	const char *again =
	    at->messages == 0 ? ""
	    : at->in_snapshot ? "; the snapshot that it was in is sent again from its "
				"beginning"
			      : "; the transaction that it was in is sent again from "
				"its beginning";
	struct buffer line;

	if (!was) {
		/* Earlier versions did not keep them; or a kill came in between. */
		if (at->messages > 0) {
			log_warn("%s does not say which settings it was made with%s",
				 path, again);
		}
		return;
	}
	buffer_init(&line);
	if (shaping_compare(was, delivery->settings.bytes, add_difference, &line) ==
	    0) {
		buffer_add_str(&line, "the order of column.mask.* and "
				      "column.truncate.*");
	}
	buffer_add_char(&line, '\0');
	log_warn("%s: the settings differ from those of the last run: %s%s", path,
		 buffer_ok(&line) ? line.bytes : "", again);
	buffer_clear(&line);
}

/* Number events as before, and do not send again what was acknowledged. */
static void restore_position(struct delivery *delivery)
{
	const struct state_position *at = store_position(delivery->store);
	uint64_t kept_hash = 0;
	struct buffer kept;
	bool has_kept;

	buffer_init(&kept);
	has_kept = last_settings_read(store_folder(delivery->store), &kept, &kept_hash);
	delivery->settings_kept = has_kept && kept_hash == delivery->settings_hash;
	delivery->in_snapshot = at->in_snapshot;
	delivery->least_change_id = at->change_id;
	(void)store_chain_at(delivery->store, delivery->lsn, &delivery->chain);
	encoder_restore(delivery->encoder, at->txn_change_id, at->previous_lsn);
	if (at->settings_hash == delivery->settings_hash) {
		publisher_skip(delivery->publisher, at->messages);
	} else {
		bool is_of_it = has_kept && kept_hash == at->settings_hash;

		say_other_settings(delivery, at, is_of_it ? kept.bytes : NULL);
	}
	buffer_clear(&kept);
}

/* Bring the file to what was acknowledged, and store where it stands. */
static enum status resume_file(struct delivery *delivery, struct error *err)
{
	struct state_position position = *store_position(delivery->store);
	struct file_place place = {.inode = position.sink_inode,
				   .length = position.sink_length,
				   .start = position.sink_start,
				   .proof = position.sink_proof};
	bool at_start =
	    position.messages > 0 && position.settings_hash != delivery->settings_hash;
	enum status status = file_sink_resume(delivery->sink, &place, at_start, err);

	if (status != ST_OK) {
		return status;
	}
	set_place(&position, delivery->sink);
	if (at_start) {
		position.messages = 0;
		position.change_id = position.txn_change_id;
	}
	status = store_put_position(delivery->store, &position, err);
	return status == ST_OK ? store_sync_position(delivery->store, err) : status;
}

enum status delivery_restore(struct delivery *delivery, struct store *store,
			     uint64_t lsn, struct error *err)
{
	delivery->lsn = lsn;
	delivery->in_snapshot =
	    delivery->config->snapshot_mode != SNAPSHOT_MODE_NO_DATA;
	if (store) {
		delivery->store = store;
		restore_position(delivery);
	}
	if (delivery->config->sink == SINK_KAFKA) {
		return kafka_sink_begin(delivery->sink, err);
	}
	return store && delivery->config->sink == SINK_FILE ? resume_file(delivery, err)
							    : ST_OK;
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
	}
	return status;
}

bool delivery_wants_flush(const struct delivery *delivery)
{
	return delivery->mark_total >= FLUSH_TXNS ||
	       (delivery->sink->wants_flush &&
		delivery->sink->wants_flush(delivery->sink));
}

enum status delivery_flush(struct delivery *delivery, struct error *err)
{
	enum status status = delivery->sink->flush(delivery->sink, err);

	if (status == ST_OK && delivery->config->sink != SINK_KAFKA) {
		delivery->mark_total = 0;
		status = put_position(delivery, err);
	}
	return status;
}

enum status delivery_finish(struct delivery *delivery, enum status ended,
			    struct error *err)
{
	enum status status = ST_OK;

	if (ended != ST_CLOSED && ended != ST_IO) {
		status = delivery->sink->flush(delivery->sink, err);
	}
	if (!delivery->store) {
		return status;
	}
	if (delivery->config->sink == SINK_STDOUT) {
		struct error ignored;
		enum status stored = lines_written(delivery, &ignored);

		return status == ST_OK ? stored : status;
	}
	/* What was put and could not be flushed is not acknowledged. */
	return status == ST_OK && ended != ST_IO && delivery->config->sink == SINK_FILE
		   ? put_position(delivery, err)
		   : status;
}

/* ---- heartbeats ---- */

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

int delivery_beat_ms(const struct delivery *delivery)
{
	int64_t left_ns;

	if (delivery->config->heartbeat_ms == 0 ||
	    publisher_skipped(delivery->publisher) > 0) {
		return -1;
	}
	left_ns = delivery->next_beat_ns - clock_mono_ns();
	return left_ns > 0 ? (int)(left_ns / NS_PER_MS) + 1 : 0;
}
