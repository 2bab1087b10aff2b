/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value is put together from pieces that change at different speeds:
 *
 *     {"before":ROW,"after":ROW                        each event
 *     ,"source":{ … "table":"t","change_id":           table and transaction
 *     7                                                each event
 *     ,"lsn":5,"rowid":                                transaction
 *     1                                                each event
 *     },"transaction":{"id":"5","total_order":         transaction; with metadata
 *     1,"data_collection_order":1                      each event;  only
 *     },"op":"c","ts_ms": … }                          each CLOCK_EVENTS events
 *
 * The room for all of it is reserved once; only TEXT and BLOB ask for more.
 */
#include "schemas/encoder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/topic_name.h"
#include "schemas/transaction_event.h"
#include "schemas/value_json.h"
#include "src/base/buffer.h"
#include "src/base/clock.h"

#define CLOCK_EVENTS 64 /* ts_ms, ts_us and ts_ns are at most as many events old */
#define HEADERS_MAX  3  /* newkey or oldkey, rowtail.catch_up, rowtail.merged */
/* Constant parts of a value, brackets and numbers between the pieces. */
#define VALUE_MARGIN 256

/* A column's name as it stands before its value: {"a":  or  ,"b": */
struct name_piece {
	uint32_t offset; /* in table_plan.text */
	uint32_t len;
};

struct table_plan {
	struct buffer text; /* the pieces; JSON_OVERRUN bytes behind the last */
	struct name_piece *columns;
	struct name_piece *keys;
	uint32_t *key_columns;
	uint32_t column_count;
	uint32_t key_count;
	enum text_encoding encoding;
	bool without_rowid;
	size_t row_room; /* bytes of a row, TEXT and BLOB apart */
	size_t key_room;
	struct buffer topic;
	struct buffer name; /* JSON string */

	/* Of the transaction `serial`: */
	uint64_t serial;
	enum snapshot_mark source_mark;
	struct buffer source; /* up to "change_id": */
	size_t collection;    /* index in encoder.collections */
};

struct encoder {
	char *topic_prefix;
	char *topic_delimiter;
	enum binary_mode binary_mode;
	bool tombstones;
	bool transaction_metadata;
	bool wants_keys;
	bool skip_create, skip_update, skip_delete;
	struct buffer transaction_topic;
	struct buffer source_head; /* ,"source":{ … "ts_ms": */
	struct buffer source_db;   /* ","db": … "sequence":"[ */

	uint64_t change_id;
	uint64_t previous_lsn; /* valid if has_previous */
	bool has_previous;

	/* Of the transaction since encoder_begin: */
	uint64_t serial; /* counts transactions; 0 before the first */
	struct encoder_transaction txn;
	uint64_t event_count;
	uint64_t message_count;
	struct buffer source_front;  /* up to "snapshot":" */
	struct buffer source_middle; /* from there to "table": */
	struct buffer source_end;    /* ,"lsn":5,"rowid": */
	struct buffer block;         /* },"transaction":{"id":"5","total_order": */
	struct transaction_collection *collections;
	size_t collection_count, collection_cap;
	struct buffer collection_names;

	/* Of the last look at the clock: */
	struct buffer tail; /* from behind source or the counts to the end */
	size_t tail_op;     /* offset of the operation's letter */

	/* The messages: */
	struct buffer value;
	struct buffer key;
	struct buffer other_key;
	struct buffer control_key;
	struct buffer control_value;
	struct buffer merged; /* the header's value */
	/* [0] is the event's own (newkey, oldkey), behind it those of the transaction.
	 */
	struct message_header headers[HEADERS_MAX];
	size_t transaction_header_count;
};

static const char *const mark_names[] = {
    [SNAPSHOT_FALSE] = "false",
    [SNAPSHOT_TRUE] = "true",
    [SNAPSHOT_FIRST] = "first",
    [SNAPSHOT_FIRST_IN_DATA_COLLECTION] = "first_in_data_collection",
    [SNAPSHOT_LAST_IN_DATA_COLLECTION] = "last_in_data_collection",
    [SNAPSHOT_LAST] = "last",
    [SNAPSHOT_INCREMENTAL] = "incremental",
};

static const struct span absent = {NULL, 0};

static struct span span_of(const struct buffer *b)
{
	return (struct span){b->bytes, b->len};
}

static enum status out_of_memory(struct error *err)
{
	return error_set(err, ST_NOMEM, "out of memory while encoding an event");
}

static void add_buffer(struct buffer *b, const struct buffer *from)
{
	if (from->failed) {
		b->failed = true;
	}
	buffer_add(b, from->bytes, from->len);
}

static void add_json_str(struct buffer *b, const char *text)
{
	json_add_string(b, text, strlen(text));
}

/* ---- open and close ---- */

static void add_constants(struct encoder *e, const struct encoder_settings *settings)
{
	buffer_add_str(&e->source_head, ",\"source\":{\"version\":");
	add_json_str(&e->source_head, settings->version);
	buffer_add_str(&e->source_head, ",\"connector\":\"sqlite\",\"name\":");
	add_json_str(&e->source_head, settings->topic_prefix);
	buffer_add_str(&e->source_head, ",\"ts_ms\":");
	buffer_add_str(&e->source_db, "\",\"db\":");
	add_json_str(&e->source_db, settings->database_name);
	buffer_add_str(&e->source_db, ",\"sequence\":\"[");
	topic_name_add(&e->transaction_topic, settings->topic_prefix,
		       settings->topic_delimiter, settings->topic_transaction);
}

enum status encoder_open(const struct encoder_settings *settings, struct encoder **out,
			 struct error *err)
{
	struct encoder *e = calloc(1, sizeof *e);

	if (!e) {
		return out_of_memory(err);
	}
	e->topic_prefix = strdup(settings->topic_prefix);
	e->topic_delimiter = strdup(settings->topic_delimiter);
	e->binary_mode = settings->binary_mode;
	e->tombstones = settings->tombstones_on_delete;
	e->transaction_metadata = settings->transaction_metadata;
	e->wants_keys = settings->wants_keys;
	e->skip_create = settings->skip_create;
	e->skip_update = settings->skip_update;
	e->skip_delete = settings->skip_delete;
	add_constants(e, settings);
	if (!e->topic_prefix || !e->topic_delimiter || !buffer_ok(&e->source_head) ||
	    !buffer_ok(&e->source_db) || !buffer_ok(&e->transaction_topic)) {
		encoder_close(e);
		return out_of_memory(err);
	}
	*out = e;
	return ST_OK;
}

void encoder_close(struct encoder *encoder)
{
	if (!encoder) {
		return;
	}
	free(encoder->topic_prefix);
	free(encoder->topic_delimiter);
	buffer_clear(&encoder->transaction_topic);
	buffer_clear(&encoder->source_head);
	buffer_clear(&encoder->source_db);
	buffer_clear(&encoder->source_front);
	buffer_clear(&encoder->source_middle);
	buffer_clear(&encoder->source_end);
	buffer_clear(&encoder->block);
	free(encoder->collections);
	buffer_clear(&encoder->collection_names);
	buffer_clear(&encoder->tail);
	buffer_clear(&encoder->value);
	buffer_clear(&encoder->key);
	buffer_clear(&encoder->other_key);
	buffer_clear(&encoder->control_key);
	buffer_clear(&encoder->control_value);
	buffer_clear(&encoder->merged);
	free(encoder);
}

uint64_t encoder_change_id(const struct encoder *encoder)
{
	return encoder->change_id;
}

uint64_t encoder_previous_lsn(const struct encoder *encoder)
{
	if (encoder->event_count > 0) {
		return encoder->txn.lsn;
	}
	return encoder->has_previous ? encoder->previous_lsn : ENCODER_NO_LSN;
}

void encoder_restore(struct encoder *encoder, uint64_t change_id, uint64_t previous_lsn)
{
	encoder->change_id = change_id;
	encoder->previous_lsn = previous_lsn;
	encoder->has_previous = previous_lsn != ENCODER_NO_LSN;
	encoder->event_count = 0;
}

/* ---- plans ---- */

static struct name_piece add_piece(struct table_plan *plan, const char *name,
				   bool is_first)
{
	struct name_piece piece;

	piece.offset = (uint32_t)plan->text.len;
	buffer_add_char(&plan->text, is_first ? '{' : ',');
	add_json_str(&plan->text, name);
	buffer_add_char(&plan->text, ':');
	piece.len = (uint32_t)plan->text.len - piece.offset;
	return piece;
}

static void add_pieces(struct table_plan *plan, const struct table *table)
{
	static const char padding[JSON_OVERRUN] = {0};
	uint32_t i;

	plan->row_room = plan->key_room = 2 + JSON_OVERRUN;
	for (i = 0; i < table->column_count; i++) {
		plan->columns[i] = add_piece(plan, table->columns[i].name, i == 0);
		plan->row_room += plan->columns[i].len + JSON_NUMBER_MAX;
	}
	for (i = 0; i < table->key_count; i++) {
		plan->key_columns[i] = table->key_columns[i];
		plan->keys[i] =
		    add_piece(plan, table->columns[table->key_columns[i]].name, i == 0);
		plan->key_room += plan->keys[i].len + JSON_NUMBER_MAX;
	}
	buffer_add(&plan->text, padding, sizeof padding);
}

enum status encoder_plan(struct encoder *encoder, const struct table *table,
			 struct table_plan **out, struct error *err)
{
	struct table_plan *plan = calloc(1, sizeof *plan);

	if (!plan) {
		return out_of_memory(err);
	}
	plan->column_count = table->column_count;
	plan->key_count = table->key_count;
	plan->encoding = table->encoding;
	plan->without_rowid = table->without_rowid;
	/* One more than needed: an allocation of 0 bytes may be NULL. */
	plan->columns = calloc((size_t)table->column_count + 1, sizeof *plan->columns);
	plan->keys = calloc((size_t)table->key_count + 1, sizeof *plan->keys);
	plan->key_columns =
	    calloc((size_t)table->key_count + 1, sizeof *plan->key_columns);
	if (plan->columns && plan->keys && plan->key_columns) {
		add_pieces(plan, table);
		add_json_str(&plan->name, table->name);
		topic_name_add(&plan->topic, encoder->topic_prefix,
			       encoder->topic_delimiter, table->name);
	} else {
		plan->text.failed = true;
	}
	if (!buffer_ok(&plan->text) || !buffer_ok(&plan->name) ||
	    !buffer_ok(&plan->topic)) {
		table_plan_close(plan);
		return out_of_memory(err);
	}
	*out = plan;
	return ST_OK;
}

void table_plan_close(struct table_plan *plan)
{
	if (!plan) {
		return;
	}
	buffer_clear(&plan->text);
	free(plan->columns);
	free(plan->keys);
	free(plan->key_columns);
	buffer_clear(&plan->topic);
	buffer_clear(&plan->name);
	buffer_clear(&plan->source);
	free(plan);
}

struct span table_plan_topic(const struct table_plan *plan)
{
	return span_of(&plan->topic);
}

/* ---- pieces of a transaction ---- */

static void build_source(struct encoder *e)
{
	buffer_reset(&e->source_front);
	add_buffer(&e->source_front, &e->source_head);
	buffer_add_i64(&e->source_front, e->txn.captured_ns / NS_PER_MS);
	buffer_add_str(&e->source_front, ",\"snapshot\":\"");

	buffer_reset(&e->source_middle);
	add_buffer(&e->source_middle, &e->source_db);
	if (e->has_previous) {
		buffer_add_str(&e->source_middle, "\\\"");
		buffer_add_u64(&e->source_middle, e->previous_lsn);
		buffer_add_str(&e->source_middle, "\\\"");
	} else {
		buffer_add_str(&e->source_middle, "null");
	}
	buffer_add_str(&e->source_middle, ",\\\"");
	buffer_add_u64(&e->source_middle, e->txn.lsn);
	buffer_add_str(&e->source_middle, "\\\"]\",\"ts_us\":");
	buffer_add_i64(&e->source_middle, e->txn.captured_ns / NS_PER_US);
	buffer_add_str(&e->source_middle, ",\"ts_ns\":");
	buffer_add_i64(&e->source_middle, e->txn.captured_ns);
	buffer_add_str(&e->source_middle, ",\"table\":");

	buffer_reset(&e->source_end);
	buffer_add_str(&e->source_end, ",\"lsn\":");
	buffer_add_u64(&e->source_end, e->txn.lsn);
	buffer_add_str(&e->source_end, ",\"rowid\":");
}

static bool has_block(const struct encoder *e)
{
	return e->transaction_metadata && !e->txn.is_snapshot;
}

static void build_tail(struct encoder *e)
{
	int64_t now_ns = clock_wall_ns();

	buffer_reset(&e->tail);
	buffer_add_str(&e->tail, has_block(e) ? "},\"op\":\""
					      : "},\"transaction\":null,\"op\":\"");
	e->tail_op = e->tail.len;
	buffer_add_str(&e->tail, "?\",\"ts_ms\":");
	buffer_add_i64(&e->tail, now_ns / NS_PER_MS);
	buffer_add_str(&e->tail, ",\"ts_us\":");
	buffer_add_i64(&e->tail, now_ns / NS_PER_US);
	buffer_add_str(&e->tail, ",\"ts_ns\":");
	buffer_add_i64(&e->tail, now_ns);
	buffer_add_char(&e->tail, '}');
}

static void add_transaction_header(struct encoder *e, const char *name,
				   struct span value)
{
	struct message_header *h = &e->headers[1 + e->transaction_header_count++];

	h->name = (struct span){name, strlen(name)};
	h->value = value;
}

static void build_transaction_headers(struct encoder *e)
{
	e->transaction_header_count = 0;
	buffer_reset(&e->merged);
	if (!e->wants_keys) {
		return;
	}
	if (e->txn.is_catch_up) {
		add_transaction_header(e, "rowtail.catch_up", (struct span){"true", 4});
	}
	if (e->txn.merged > 0) {
		buffer_add_u64(&e->merged, e->txn.merged);
		add_transaction_header(e, "rowtail.merged", span_of(&e->merged));
	}
}

void encoder_begin(struct encoder *encoder, const struct encoder_transaction *txn)
{
	if (encoder->event_count > 0) {
		encoder->previous_lsn = encoder->txn.lsn;
		encoder->has_previous = true;
	}
	encoder->txn = *txn;
	encoder->serial++;
	encoder->event_count = 0;
	encoder->message_count = 0;
	encoder->collection_count = 0;
	buffer_reset(&encoder->collection_names);
	build_source(encoder);
	build_tail(encoder);
	buffer_reset(&encoder->block);
	if (has_block(encoder)) {
		buffer_add_str(&encoder->block, "},\"transaction\":{\"id\":\"");
		buffer_add_u64(&encoder->block, txn->lsn);
		buffer_add_str(&encoder->block, "\",\"total_order\":");
	}
	build_transaction_headers(encoder);
}

static bool pieces_ok(const struct encoder *e)
{
	return buffer_ok(&e->source_front) && buffer_ok(&e->source_middle) &&
	       buffer_ok(&e->source_end) && buffer_ok(&e->block) &&
	       buffer_ok(&e->merged) && buffer_ok(&e->tail);
}

/* ---- pieces of a table in a transaction ---- */

static bool collection_new(struct encoder *e, struct table_plan *plan)
{
	struct transaction_collection *c;

	if (e->collection_count == e->collection_cap) {
		size_t cap = e->collection_cap ? 2 * e->collection_cap : 16;

		c = reallocarray(e->collections, cap, sizeof *c);
		if (!c) {
			return false;
		}
		e->collections = c;
		e->collection_cap = cap;
	}
	plan->collection = e->collection_count++;
	c = &e->collections[plan->collection];
	c->name_offset = e->collection_names.len;
	c->name_len = plan->name.len;
	c->event_count = 0;
	add_buffer(&e->collection_names, &plan->name);
	return buffer_ok(&e->collection_names);
}

static bool plan_enter(struct encoder *e, struct table_plan *plan,
		       enum snapshot_mark mark)
{
	if (plan->serial == e->serial && plan->source_mark == mark) {
		return true;
	}
	if (plan->serial != e->serial && has_block(e) && !collection_new(e, plan)) {
		return false;
	}
	buffer_reset(&plan->source);
	add_buffer(&plan->source, &e->source_front);
	buffer_add_str(&plan->source, mark_names[mark]);
	add_buffer(&plan->source, &e->source_middle);
	add_buffer(&plan->source, &plan->name);
	buffer_add_str(&plan->source, ",\"change_id\":");
	plan->serial = e->serial;
	plan->source_mark = mark;
	return buffer_ok(&plan->source);
}

/* ---- one event ---- */

static inline char *put_bytes(char *p, const char *bytes, size_t len)
{
	memcpy(p, bytes, len);
	return p + len;
}

#define PUT_LITERAL(p, text) put_bytes((p), (text), sizeof(text) - 1)

/* Most names are short: one copy of a constant size, JSON_OVERRUN bytes are allowed. */
static inline char *put_piece(char *p, const char *text, struct name_piece piece)
{
	if (piece.len <= JSON_OVERRUN) {
		memcpy(p, text + piece.offset, JSON_OVERRUN);
	} else {
		memcpy(p, text + piece.offset, piece.len);
	}
	return p + piece.len;
}

/* The row at `p`, with `slack` bytes reserved there and behind the result. */
static char *put_row(const struct encoder *e, const struct table_plan *plan,
		     struct buffer *b, char *p, const struct value *values,
		     size_t slack)
{
	uint32_t i;

	for (i = 0; i < plan->column_count; i++) {
		p = put_piece(p, plan->text.bytes, plan->columns[i]);
		p = json_put_value(b, p, &values[i], plan->encoding, e->binary_mode,
				   slack);
		if (!p) {
			return NULL;
		}
	}
	if (plan->column_count == 0) {
		*p++ = '{';
	}
	*p++ = '}';
	return p;
}

static char *put_rows(const struct encoder *e, const struct table_plan *plan,
		      struct buffer *b, const struct change *change, size_t slack)
{
	char *p = b->bytes;

	p = PUT_LITERAL(p, "{\"before\":");
	if (change->before) {
		p = put_row(e, plan, b, p, change->before, slack);
		if (!p) {
			return NULL;
		}
	} else {
		p = PUT_LITERAL(p, "null");
	}
	p = PUT_LITERAL(p, ",\"after\":");
	return change->after ? put_row(e, plan, b, p, change->after, slack)
			     : PUT_LITERAL(p, "null");
}

static bool build_value(struct encoder *e, const struct table_plan *plan,
			const struct change *change)
{
	struct buffer *b = &e->value;
	size_t room = 2 * plan->row_room + plan->source.len + e->source_end.len +
		      e->block.len + e->tail.len + VALUE_MARGIN;
	char *p;

	buffer_reset(b);
	if (!buffer_reserve(b, room)) {
		return false;
	}
	p = put_rows(e, plan, b, change, room);
	if (!p) {
		return false;
	}
	p = put_bytes(p, plan->source.bytes, plan->source.len);
	p = json_put_u64(p, e->change_id);
	p = put_bytes(p, e->source_end.bytes, e->source_end.len);
	p = plan->without_rowid || change->has_no_rowid
		? PUT_LITERAL(p, "null")
		: json_put_i64(p, change->rowid);
	if (has_block(e)) {
		p = put_bytes(p, e->block.bytes, e->block.len);
		p = json_put_u64(p, e->event_count);
		p = PUT_LITERAL(p, ",\"data_collection_order\":");
		p = json_put_u64(p, e->collections[plan->collection].event_count);
	}
	memcpy(p, e->tail.bytes, e->tail.len);
	p[e->tail_op] = (char)change->op;
	b->len = (size_t)(p - b->bytes) + e->tail.len;
	return true;
}

/* The key of `values` in `b`, or absent. False when memory ran out. */
static bool build_key(const struct encoder *e, const struct table_plan *plan,
		      struct buffer *b, const struct value *values, struct span *key)
{
	uint32_t i;
	char *p;

	*key = absent;
	if (plan->key_count == 0) {
		return true;
	}
	for (i = 0; i < plan->key_count; i++) {
		if (values[plan->key_columns[i]].class == VALUE_NULL) {
			return true;
		}
	}
	buffer_reset(b);
	if (!buffer_reserve(b, plan->key_room)) {
		return false;
	}
	p = b->bytes;
	for (i = 0; i < plan->key_count; i++) {
		p = put_piece(p, plan->text.bytes, plan->keys[i]);
		p = json_put_value(b, p, &values[plan->key_columns[i]], plan->encoding,
				   e->binary_mode, plan->key_room);
		if (!p) {
			return false;
		}
	}
	*p++ = '}';
	b->len = (size_t)(p - b->bytes);
	*key = span_of(b);
	return true;
}

/* ---- messages ---- */

/* `has_own_header`: headers[0] is this message's. */
static void fill_message(struct encoder *e, struct message *m, struct span topic,
			 struct span key, struct span value, bool has_own_header)
{
	m->topic = topic;
	m->key = key;
	m->value = value;
	m->headers = e->headers + (has_own_header ? 0 : 1);
	m->header_count = e->transaction_header_count + (has_own_header ? 1 : 0);
	m->lsn = e->txn.lsn;
	m->index = e->message_count++;
}

/* BEGIN or END, whose value is in control_value. */
static bool fill_control(struct encoder *e, struct message *m)
{
	struct span key = absent;

	if (e->wants_keys) {
		buffer_reset(&e->control_key);
		transaction_event_add_key(&e->control_key, e->txn.lsn);
		key = span_of(&e->control_key);
	}
	fill_message(e, m, span_of(&e->transaction_topic), key,
		     span_of(&e->control_value), false);
	return buffer_ok(&e->control_key) && buffer_ok(&e->control_value);
}

static bool fill_begin(struct encoder *e, struct message *m)
{
	buffer_reset(&e->control_value);
	transaction_event_add_begin(&e->control_value, e->txn.lsn,
				    e->txn.captured_ns / NS_PER_MS);
	return fill_control(e, m);
}

/* The event and its tombstone, whose value is ready. */
static bool fill_event(struct encoder *e, const struct table_plan *plan,
		       const struct change *change, struct message *out, size_t *count)
{
	struct span topic = span_of(&plan->topic);
	struct span key = absent;
	struct span other = absent;

	if (e->wants_keys) {
		const struct value *row =
		    change->after ? change->after : change->before;

		if (!build_key(e, plan, &e->key, row, &key) ||
		    (change->other_key_row &&
		     !build_key(e, plan, &e->other_key, change->other_key_row,
				&other))) {
			return false;
		}
	}
	if (other.bytes) {
		const char *name = change->op == CHANGE_DELETE ? "__debezium.newkey"
							       : "__debezium.oldkey";

		e->headers[0].name = (struct span){name, strlen(name)};
		e->headers[0].value = other;
	}
	fill_message(e, &out[(*count)++], topic, key, span_of(&e->value),
		     other.bytes != NULL);
	if (change->op == CHANGE_DELETE && e->tombstones && e->wants_keys) {
		fill_message(e, &out[(*count)++], topic, key, absent,
			     other.bytes != NULL);
	}
	return true;
}

static bool is_skipped(const struct encoder *e, enum change_op op)
{
	switch (op) {
	case CHANGE_CREATE:
		return e->skip_create;
	case CHANGE_UPDATE:
		return e->skip_update;
	case CHANGE_DELETE:
		return e->skip_delete;
	case CHANGE_READ:
		break;
	}
	return false;
}

enum status encoder_change(struct encoder *encoder, struct table_plan *plan,
			   const struct change *change,
			   struct message out[ENCODER_MESSAGES_MAX], size_t *count,
			   struct error *err)
{
	struct encoder *e = encoder;

	assert(e->serial > 0);
	*count = 0;
	if (is_skipped(e, change->op)) {
		return ST_OK;
	}
	if (!plan_enter(e, plan, change->snapshot)) {
		return out_of_memory(err);
	}
	if (e->event_count == 0 && has_block(e) && !fill_begin(e, &out[(*count)++])) {
		return out_of_memory(err);
	}
	e->event_count++;
	e->change_id++;
	if (has_block(e)) {
		e->collections[plan->collection].event_count++;
	}
	if (e->event_count % CLOCK_EVENTS == 0) {
		build_tail(e);
	}
	if (!pieces_ok(e) || !build_value(e, plan, change) ||
	    !fill_event(e, plan, change, out, count)) {
		return out_of_memory(err);
	}
	return ST_OK;
}

enum status encoder_end(struct encoder *encoder, struct message *out, size_t *count,
			struct error *err)
{
	struct encoder *e = encoder;

	*count = 0;
	if (!has_block(e) || e->event_count == 0) {
		return ST_OK;
	}
	buffer_reset(&e->control_value);
	transaction_event_add_end(
	    &e->control_value, e->txn.lsn, e->txn.captured_ns / NS_PER_MS,
	    e->collection_names.bytes, e->collections, e->collection_count);
	if (!fill_control(e, out)) {
		return out_of_memory(err);
	}
	*count = 1;
	return ST_OK;
}
