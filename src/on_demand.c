/* SPDX-License-Identifier: Apache-2.0 */
#include "src/on_demand.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schemas/number_json.h"
#include "schemas/table_filter.h"
#include "schemas/text_convert.h"
#include "src/base/array.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"
#include "src/deliver/publisher.h"
#include "src/deliver/signal_tables.h"
#include "src/deliver/signals.h"
#include "src/deliver/snapshots.h"
#include "src/new_tables.h"

/* Of what chunks have kept, before it is kept so that what is before it can go. */
#define TEXT_BYTES (16u << 20)

#define LOOK_NS (5 * NS_PER_MS) /* between two, while transactions come */
#define ASK_MS  1               /* between two, while one waits */

#define SIGNAL_COLUMNS 3 /* id, type, data, whatever their names are */

/* Of one transaction; what is more is left out. */
#define BEHIND_MAX       1000
#define BEHIND_MAX_BYTES (4u << 20) /* of data */

struct on_demand {
	const struct config *config;
	struct delivery *delivery;
	struct publisher *publisher;
	struct history *const *history; /* from start on */
	struct source *const *source;   /* the same; NULL in it: there is none */
	struct decoder *decoder;        /* the same */
	struct snapshots *snapshots;
	struct signals *signals;          /* NULL: none are taken */
	struct signal *next;              /* that came by a channel; NULL */
	bool is_asking;                   /* up to where is delivered before it, or */
	uint64_t due_lsn;                 /* ... that */
	int64_t looked_ns;                /* monotonic: when the channels were asked */
	bool asks_all;                    /* snapshot.mode=always: as soon as it may */
	struct buffer text;               /* what is asked for, and */
	struct signal_places places;      /* ... how much of file and topic is taken */
	bool is_place_due;                /* that is to be kept */
	const char *table;                /* the changes are of it */
	const struct table *signal_table; /* the changes are of it; NULL: of others */
	struct signal **behind;           /* that are rows of the transaction at hand */
	size_t behind_count, behind_cap;
	size_t behind_bytes;    /* of their data */
	bool is_full;           /* there are more, and it is said */
	bool is_asked_behind;   /* for a table that was renamed in it */
	size_t text_bytes;      /* that chunks have kept since the last sync */
	int64_t chunk_ended_ns; /* monotonic */
	int64_t chunk_ns;       /* what the last one took */
};

/* ---- opening ---- */

static struct kafka_signals_settings kafka_of(const struct config *config)
{
	const struct kafka_family *shared = &config->kafka.producer;
	bool shares = config->signal_shares_sink;

	return (struct kafka_signals_settings){
	    .topic = config->signal_topic,
	    .brokers = config->signal_brokers,
	    .group = config->signal_group,
	    .key = config->encoder.topic_prefix,
	    .shared = shares ? shared->list : NULL,
	    .shared_count = shares ? shared->count : 0,
	    .own = config->kafka.signals.list,
	    .own_count = config->kafka.signals.count};
}

static struct signals_settings settings_of(const struct config *config)
{
	return (struct signals_settings){.file = config->signal_file,
					 .database_path = config->database_path,
					 .output = config->sink_target,
					 .notifications = config->notification_file,
					 .state_path = config->state_path,
					 .poll_ns = config->signal_poll_ms * NS_PER_MS,
					 .kafka = kafka_of(config)};
}

enum status on_demand_check(const struct config *config, struct error *err)
{
	const struct signals_settings settings = settings_of(config);

	return signals_check(&settings, err);
}

enum status on_demand_open(const struct config *config, struct delivery *delivery,
			   struct on_demand **out, struct error *err)
{
	struct on_demand *o = calloc(1, sizeof *o);

	if (!o) {
		return error_no_memory(err, "snapshots");
	}
	o->config = config;
	o->delivery = delivery;
	o->publisher = delivery_publisher(delivery);
	buffer_init(&o->text);
	*out = o;
	return ST_OK;
}

static void forget_behind(struct on_demand *o)
{
	for (size_t i = 0; i < o->behind_count; i++) {
		signal_free(o->behind[i]);
	}
	o->behind_count = 0;
	o->behind_bytes = 0;
	o->is_full = false;
}

void on_demand_close(struct on_demand *o)
{
	if (!o) {
		return;
	}
	forget_behind(o);
	free(o->behind);
	signal_free(o->next);
	signals_close(o->signals);
	snapshots_close(o->snapshots);
	buffer_clear(&o->text);
	free(o);
}

static enum status notify(void *context, enum notification_kind kind,
			  const struct notification_of *what, struct error *err)
{
	struct on_demand *o = context;

	return delivery_notify(o->delivery, kind, what, err);
}

static enum status give_table(void *context, const struct table *table,
			      struct error *err)
{
	struct on_demand *o = context;

	return publisher_table(o->publisher, table, err);
}

static enum status give_change(void *context, const struct change *change,
			       struct error *err)
{
	struct on_demand *o = context;

	return publisher_change(o->publisher, change, err);
}

enum status on_demand_start(struct on_demand *o, struct history *const *history,
			    struct source *const *source, struct decoder *decoder,
			    struct error *err)
{
	const struct snapshots_events events = {
	    .context = o, .notify = notify, .table = give_table, .change = give_change};
	struct signals_settings settings = settings_of(o->config);
	struct span asked = signal_places_take(delivery_asked(o->delivery), &o->places);
	enum status status = snapshots_open(asked, &events, &o->snapshots, err);

	o->history = history;
	o->source = source;
	o->decoder = decoder;
	settings.taken = o->places;
	return status == ST_OK && *source ? signals_open(&settings, &o->signals, err)
					  : status;
}

/* ---- the text ---- */

static struct span text_of(const struct on_demand *o)
{
	return (struct span){o->text.bytes, o->text.len};
}

static enum status write_text(struct on_demand *o, struct error *err)
{
	enum status status;

	buffer_reset(&o->text);
	status = snapshots_text(o->snapshots, &o->text, err);
	if (status != ST_OK) {
		return status;
	}
	signal_places_add(&o->places, &o->text);
	return buffer_ok(&o->text) ? ST_OK : error_no_memory(err, "snapshots");
}

static enum status keep_text(struct on_demand *o, struct error *err)
{
	enum status status = write_text(o, err);

	o->text_bytes = 0;
	return status == ST_OK ? delivery_keep_asked(o->delivery, text_of(o), err)
			       : status;
}

/* ---- what the settings ask for ---- */

#define ID_NEW_TABLES "new-tables"
#define ID_AT_START   "at-start"

static enum status say_new_table(struct on_demand *o, const char *name,
				 struct error *err)
{
	const struct table *table = catalog_find(decoder_catalog(o->decoder), name);
	uint64_t rows;
	enum status status =
	    new_tables_rows(view_old((*o->history)->view), table, &rows, err);

	if (status == ST_CORRUPT) {
		log_line(LOG_WARN, "table %s, which the last run left out: %s",
			 SHORT_NAME(name), err->text);
		return ST_OK;
	}
	if (status == ST_OK && rows > 0) {
		log_line(LOG_WARN,
			 "table %s, which the last run left out, has %" PRIu64
			 " rows that nobody has seen: %s",
			 SHORT_NAME(name), rows,
			 o->config->new_tables == NEW_TABLES_INITIAL
			     ? "a snapshot of it follows"
			     : "rowtail signal execute-snapshot asks for them");
	}
	return status;
}

static enum status find_new_tables(struct on_demand *o,
				   const struct kept_position *kept, const char **names,
				   size_t *count, struct error *err)
{
	enum status status = new_tables_find(
	    o->config, kept, decoder_catalog(o->decoder), names, count, err);

	for (size_t i = 0; status == ST_OK && i < *count; i++) {
		status = say_new_table(o, names[i], err);
	}
	if (o->config->new_tables != NEW_TABLES_INITIAL) {
		*count = 0;
	}
	return status;
}

static size_t find_all(const struct on_demand *o, const char **names)
{
	const struct catalog *catalog = decoder_catalog(o->decoder);
	size_t count = 0;

	for (size_t i = 0; i < catalog->table_count; i++) {
		const struct table *table = catalog->tables[i];

		if (!table->left_out && !table->is_context) {
			names[count++] = table->name;
		}
	}
	return count;
}

static enum status ask_and_keep(struct on_demand *o, const char *id, bool is_blocking,
				const char *const *names, size_t count,
				struct error *err)
{
	enum status status =
	    snapshots_ask(o->snapshots, id, is_blocking, names, count, err);

	return status == ST_OK ? keep_text(o, err) : status;
}

/* Ask for tables that the lists newly include; without `kept` for all. */
static enum status ask_for(struct on_demand *o, const struct kept_position *kept,
			   struct error *err)
{
	const struct catalog *catalog = decoder_catalog(o->decoder);
	const char **names = calloc(catalog->table_count + 1, sizeof *names);
	size_t count = 0;
	enum status status = ST_OK;

	if (!names) {
		return error_no_memory(err, "snapshots");
	}
	if (kept) {
		status = find_new_tables(o, kept, names, &count, err);
	} else {
		count = find_all(o, names);
	}
	if (status == ST_OK && !kept) {
		/* What is left of that of an earlier start. */
		status = snapshots_give_up(o->snapshots, ID_AT_START, err);
	}
	if (status == ST_OK && count > 0) {
		status = ask_and_keep(o, kept ? ID_NEW_TABLES : ID_AT_START, !kept,
				      names, count, err);
	}
	free(names);
	return status;
}

enum status on_demand_ask_first(struct on_demand *o, const struct kept_position *kept,
				struct error *err)
{
	if (kept->position.in_snapshot) {
		return ST_OK;
	}
	o->asks_all = o->config->snapshot_mode == SNAPSHOT_MODE_ALWAYS;
	return o->asks_all ? ST_OK : ask_for(o, kept, err);
}

/* ---- signals ---- */

int on_demand_fd(const struct on_demand *o)
{
	/* There is no other one before it is taken. */
	return o->signals && !o->next ? signals_fd(o->signals) : -1;
}

int on_demand_wake_ms(const struct on_demand *o)
{
	if (o->next) {
		return ASK_MS;
	}
	return o->signals ? signals_wake_ms(o->signals) : -1;
}

/* Ask how far what is committed now goes: a signal is of the database as its sender
 * has seen it. */
static bool begins_to_ask(const struct on_demand *o)
{
	struct source *source = *o->source;

	if (!source->ask_reach) {
		return false;
	}
	source->ask_reach(source);
	return true;
}

/* All that was committed before the signal is delivered, or cannot be for now. */
static bool has_arrived(struct on_demand *o)
{
	struct source *source = *o->source;

	if (o->is_asking) {
		o->is_asking = !source->is_reached(source, &o->due_lsn);
	}
	return !o->is_asking && (delivery_lsn(o->delivery) >= o->due_lsn ||
				 snapshots_block(o->snapshots));
}

void on_demand_woken(struct on_demand *o)
{
	o->looked_ns = 0;
}

/* More of file or topic is taken than is kept, or less: the file was cut. */
static bool has_new_place(const struct on_demand *o)
{
	struct signal_places places = o->places;

	signals_places(o->signals, &places);
	return !signal_places_are_same(&places, &o->places);
}

static enum status keep_place(struct on_demand *o, struct error *err)
{
	o->is_place_due = false;
	if (!has_new_place(o)) {
		return ST_OK;
	}
	signals_places(o->signals, &o->places);
	return keep_text(o, err);
}

static void look_at_channels(struct on_demand *o)
{
	int64_t now_ns = clock_mono_ns();

	if (o->next || !o->signals || now_ns - o->looked_ns < LOOK_NS) {
		return;
	}
	o->looked_ns = now_ns;
	o->next = signals_next(o->signals);
	o->is_asking = o->next && begins_to_ask(o);
	o->due_lsn = 0;
	o->is_place_due = !o->next && has_new_place(o);
}

bool on_demand_has_signal(struct on_demand *o)
{
	if (delivery_repeats(o->delivery) || delivery_owes_chunk(o->delivery)) {
		return false;
	}
	look_at_channels(o);
	return (o->next && has_arrived(o)) || o->asks_all || o->is_place_due ||
	       o->text_bytes >= TEXT_BYTES;
}

enum status on_demand_take(struct on_demand *o, struct error *err)
{
	struct signal *signal = o->next;
	struct error why;
	enum status status;

	if (o->asks_all) {
		o->asks_all = false;
		return ask_for(o, NULL, err);
	}
	if (o->text_bytes >= TEXT_BYTES) {
		return keep_text(o, err);
	}
	if (o->is_place_due) {
		return keep_place(o, err);
	}
	status =
	    snapshots_signal(o->snapshots, signal, decoder_catalog(o->decoder), &why);
	if (status != ST_OK && status != ST_CONFIG) {
		*err = why;
		return status;
	}
	if (status == ST_OK) {
		signals_places(o->signals, &o->places);
		if (keep_text(o, err) != ST_OK) {
			return err->status;
		}
	}
	o->next = NULL;
	signals_taken(o->signals, signal, status == ST_CONFIG ? &why : NULL);
	return keep_place(o, err);
}

/* ---- what decoding finds ---- */

static enum status see_catalog(void *context, struct catalog *catalog,
			       const struct catalog *previous, struct error *err)
{
	struct on_demand *o = context;

	return publisher_catalog(o->publisher, catalog, previous, err);
}

/* A table that the lists left out has a name that they include: its rows are no events
 * of this transaction. */
static enum status ask_renamed(struct on_demand *o, const struct table *table,
			       struct error *err)
{
	const char *name = table->name;

	if (o->config->new_tables != NEW_TABLES_INITIAL) {
		return ST_OK;
	}
	o->is_asked_behind = true;
	return snapshots_ask(o->snapshots, ID_NEW_TABLES, false, &name, 1, err);
}

static enum status see_ddl(void *context, enum ddl what, const struct table *old_table,
			   const struct table *new_table, struct error *err)
{
	struct on_demand *o = context;

	enum status status = ST_OK;

	if (o->snapshots && what == DDL_RENAMED) {
		snapshots_renamed(o->snapshots, old_table->name, new_table->name);
	}
	if (o->snapshots && old_table && new_table && !new_table->left_out &&
	    old_table->left_out && table_filter_is_reason(old_table->left_out)) {
		status = ask_renamed(o, new_table, err);
	}
	return status == ST_OK
		   ? publisher_ddl(o->publisher, what, old_table, new_table, err)
		   : status;
}

static void see_damaged(void *context, enum damaged_part part, const char *name,
			const struct error *why)
{
	struct on_demand *o = context;

	publisher_damaged(o->publisher, part, name, why);
}

static enum status see_table(void *context, const struct table *table,
			     struct error *err)
{
	struct on_demand *o = context;
	const char *name = o->config->signal_collection;

	o->table = table->name;
	o->signal_table = name && signal_collection_is(name, table->name) &&
				  table->column_count >= SIGNAL_COLUMNS
			      ? table
			      : NULL;
	return publisher_table(o->publisher, table, err);
}

/* The first values of a row. */
struct texts {
	struct span of[SIGNAL_COLUMNS]; /* in UTF-8; NULL is absent */
	char numbers[SIGNAL_COLUMNS][JSON_NUMBER_MAX];
	struct buffer converted;
};

static struct span text_of_value(const struct value *value, char *number)
{
	switch (value->class) {
	case VALUE_INTEGER:
		return (struct span){
		    number, (size_t)(json_put_i64(number, value->integer) - number)};
	case VALUE_REAL:
		return (struct span){
		    number, (size_t)(json_put_double(number, value->real) - number)};
	case VALUE_TEXT:
	case VALUE_BLOB:
		return (struct span){(const char *)value->bytes, value->len};
	case VALUE_NULL:
	default:
		return (struct span){NULL, 0};
	}
}

static bool read_texts(const struct table *table, const struct value *row,
		       struct texts *texts)
{
	struct value values[SIGNAL_COLUMNS];

	memcpy(values, row, sizeof values);
	if (!text_convert(values, SIGNAL_COLUMNS, table->encoding, TEXT_UTF8,
			  &texts->converted)) {
		return false;
	}
	for (size_t i = 0; i < SIGNAL_COLUMNS; i++) {
		texts->of[i] = text_of_value(&values[i], texts->numbers[i]);
	}
	return true;
}

static bool has_room(struct on_demand *o, struct span data)
{
	if (o->behind_count == 0 ||
	    (o->behind_count < BEHIND_MAX && data.len < BEHIND_MAX_BYTES &&
	     o->behind_bytes < BEHIND_MAX_BYTES - data.len)) {
		return true;
	}
	if (!o->is_full) {
		log_warn("%s: a transaction has more than %d signals, or 4 MiB of "
			 "them; the others are left out: insert them again",
			 o->config->signal_collection, BEHIND_MAX);
	}
	o->is_full = true;
	return false;
}

static enum status add_behind(struct on_demand *o, const struct span *texts,
			      struct error *err)
{
	struct signal *signal;
	struct error why;

	if (!has_room(o, texts[2])) {
		return ST_OK;
	}
	if (!array_room(&o->behind, &o->behind_cap, o->behind_count + 1,
			sizeof *o->behind)) {
		return error_no_memory(err, "a signal");
	}
	if (signal_parse(texts[0], texts[1], texts[2], &signal, &why) == ST_OK) {
		o->behind[o->behind_count++] = signal;
		o->behind_bytes += texts[2].len;
	} else {
		log_warn("%s: %s", o->config->signal_collection, why.text);
	}
	return ST_OK;
}

/* A row was inserted into the table of signals. */
static enum status see_signal(struct on_demand *o, const struct value *row,
			      struct error *err)
{
	struct texts texts;
	enum status status;

	buffer_init(&texts.converted);
	status = read_texts(o->signal_table, row, &texts)
		     ? add_behind(o, texts.of, err)
		     : error_no_memory(err, "a signal");
	buffer_clear(&texts.converted);
	return status;
}

static enum status see_change(void *context, const struct change *change,
			      struct error *err)
{
	struct on_demand *o = context;
	enum status status = publisher_change(o->publisher, change, err);

	return status == ST_OK && o->signal_table && change->op == CHANGE_CREATE
		   ? see_signal(o, change->after, err)
		   : status;
}

static void see_moved(void *context, int64_t from, int64_t to)
{
	struct on_demand *o = context;

	if (o->snapshots) {
		snapshots_moved(o->snapshots, o->table, from, to);
	}
}

struct decoder_events on_demand_events(struct on_demand *o)
{
	return (struct decoder_events){.context = o,
				       .catalog = see_catalog,
				       .ddl = see_ddl,
				       .damaged = see_damaged,
				       .table = see_table,
				       .change = see_change,
				       .moved = see_moved};
}

enum status on_demand_behind(struct on_demand *o, struct error *err)
{
	enum status status = ST_OK;

	o->signal_table = NULL;
	if (!snapshots_have_changed(o->snapshots) && !o->is_asked_behind &&
	    o->behind_count == 0) {
		return ST_OK;
	}
	o->is_asked_behind = false;
	for (size_t i = 0; status == ST_OK && i < o->behind_count; i++) {
		status = snapshots_signal(o->snapshots, o->behind[i],
					  decoder_catalog(o->decoder), err);
		if (status == ST_CONFIG) {
			log_warn("signal %s of %s: %s", quote(o->behind[i]->id).text,
				 o->config->signal_collection, err->text);
			status = ST_OK;
		}
	}
	forget_behind(o);
	if (status == ST_OK) {
		status = write_text(o, err);
	}
	return status == ST_OK
		   ? delivery_keep_asked_behind(o->delivery, text_of(o), err)
		   : status;
}

/* ---- chunks ---- */

bool on_demand_is_first(struct on_demand *o)
{
	/* Nor has an earlier run handed over any. */
	return delivery_owes_chunk(o->delivery) ||
	       (snapshots_block(o->snapshots) && delivery_end_repeats(o->delivery));
}

bool on_demand_is_due(const struct on_demand *o, bool txn_waits)
{
	return snapshots_are_due(o->snapshots) && !delivery_repeats(o->delivery) &&
	       (!txn_waits || clock_mono_ns() - o->chunk_ended_ns >= o->chunk_ns);
}

enum status on_demand_chunk(struct on_demand *o, struct error *err)
{
	enum status status;

	if (!snapshots_are_due(o->snapshots)) {
		log_warn("a part of a snapshot was begun, and nobody knows of which");
		delivery_drop_chunk(o->delivery);
		return ST_OK;
	}
	status = delivery_begin_chunk(o->delivery, err);
	if (status == ST_OK) {
		status =
		    snapshots_chunk(o->snapshots, view_old((*o->history)->view),
				    decoder_catalog(o->decoder),
				    (size_t)o->config->incremental_snapshot_rows, err);
	}
	if (status == ST_OK) {
		status = write_text(o, err);
	}
	o->text_bytes += o->text.len;
	return status == ST_OK ? delivery_end_chunk(o->delivery, text_of(o), err)
			       : status;
}

void on_demand_took(struct on_demand *o, int64_t begun_ns)
{
	o->chunk_ended_ns = clock_mono_ns();
	o->chunk_ns = o->chunk_ended_ns - begun_ns;
}
