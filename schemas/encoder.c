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

#include "schemas/audit_line.h"
#include "schemas/context_headers.h"
#include "schemas/key_header.h"
#include "schemas/message_heads.h"
#include "schemas/source_block.h"
#include "schemas/table_plan.h"
#include "schemas/topic_name.h"
#include "schemas/transaction_context.h"
#include "schemas/transaction_event.h"
#include "schemas/value_json.h"
#include "src/base/array.h"
#include "src/base/buffer.h"
#include "src/base/clock.h"

#define CLOCK_EVENTS 64 /* ts_ms, ts_us and ts_ns are at most as many events old */
/* newkey or oldkey, rowtail.catch_up, rowtail.merged, and who sent it */
#define HEADERS_MAX (3 + CONTEXT_HEADERS)
/* Constant parts of a value, brackets and numbers between the pieces. */
#define VALUE_MARGIN 256

struct encoder {
	struct encoder_settings settings;
	struct buffer transaction_topic;
	struct buffer schema_topic;
	struct buffer message_topic;
	struct buffer heartbeat_topic; /* empty: no heartbeats */
	struct source_block source;
	struct message_heads heads;
	struct audit_lines audit;
	struct context_headers sender; /* with extended.headers.enabled */
	bool has_context;

	uint64_t change_id;
	uint64_t previous_lsn; /* valid if has_previous */
	bool has_previous;

	/* Of the transaction since encoder_begin: */
	uint64_t serial; /* counts transactions; 0 before the first */
	struct encoder_transaction txn;
	struct transaction_context who;
	bool who_is_new;       /* the next two do not have it yet */
	struct buffer context; /* fields behind the times; audit lines have their own */
	uint64_t event_count;
	uint64_t message_count;
	struct buffer block; /* },"transaction":{"id":"5","total_order": */
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
	struct buffer other_header; /* the same for Connect's header converter */
	struct buffer control_key;
	struct buffer control_value;
	struct buffer catch_up; /* values of headers */
	struct buffer merged;
	/* [0] is the event's own (newkey, oldkey), behind it those of the transaction.
	 */
	struct message_header headers[HEADERS_MAX];
	size_t transaction_header_count;
};

static const struct span absent = {NULL, 0};

static struct span span_of(const struct buffer *b)
{
	return (struct span){b->bytes, b->len};
}

static struct span text_span(const char *text)
{
	return (struct span){text, text ? strlen(text) : 0};
}

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "an event");
}

/* ---- open and close ---- */

static void add_constants(struct encoder *e, const struct encoder_settings *settings)
{
	source_block_open(&e->source, settings);
	topic_name_add(&e->transaction_topic, settings->topic_prefix,
		       settings->topic_delimiter, settings->topic_transaction);
	topic_name_add(&e->schema_topic, settings->topic_prefix, "", "");
	topic_name_add(&e->message_topic, settings->topic_prefix,
		       settings->topic_delimiter, "message");
	if (settings->heartbeat_prefix) {
		topic_name_add(&e->heartbeat_topic, settings->heartbeat_prefix,
			       settings->topic_delimiter, settings->topic_prefix);
	}
}

/* Schemas, and headers that are always the same. */
static enum status make_heads(struct encoder *e, const char *topic_prefix,
			      struct error *err)
{
	if (e->settings.schemas &&
	    !message_heads_make(&e->heads,
				e->settings.header_form == HEADER_WITH_SCHEMA)) {
		return out_of_memory(err);
	}
	message_begin(&e->catch_up, &e->heads.boolean);
	buffer_add_str(&e->catch_up, "true");
	message_end(&e->catch_up, &e->heads.boolean);
	return e->has_context ? context_headers_make(&e->sender, topic_prefix,
						     &e->heads.string, err)
			      : ST_OK;
}

static bool constants_ok(const struct encoder *e)
{
	return source_block_ok(&e->source) && buffer_ok(&e->transaction_topic) &&
	       buffer_ok(&e->schema_topic) && buffer_ok(&e->heartbeat_topic) &&
	       buffer_ok(&e->message_topic) && buffer_ok(&e->catch_up);
}

/* Fill the encoder from its settings. */
static enum status set_up(struct encoder *e, const struct encoder_settings *settings,
			  struct error *err)
{
	enum status status;

	e->settings = *settings;
	e->audit.full_rows = settings->audit_full_rows;
	e->has_context = settings->context_headers && settings->wants_keys;
	add_constants(e, settings);
	status = make_heads(e, settings->topic_prefix, err);
	return status != ST_OK || constants_ok(e) ? status : out_of_memory(err);
}

enum status encoder_open(const struct encoder_settings *settings, struct encoder **out,
			 struct error *err)
{
	struct encoder *e = calloc(1, sizeof *e);
	enum status status;

	if (!e) {
		return out_of_memory(err);
	}
	status = set_up(e, settings, err);
	if (status != ST_OK) {
		encoder_close(e);
		return status;
	}
	*out = e;
	return ST_OK;
}

void encoder_close(struct encoder *encoder)
{
	if (!encoder) {
		return;
	}
	buffer_clear(&encoder->schema_topic);
	buffer_clear(&encoder->message_topic);
	transaction_context_clear(&encoder->who);
	buffer_clear(&encoder->context);
	buffer_clear(&encoder->heartbeat_topic);
	buffer_clear(&encoder->transaction_topic);
	source_block_clear(&encoder->source);
	buffer_clear(&encoder->block);
	free(encoder->collections);
	buffer_clear(&encoder->collection_names);
	buffer_clear(&encoder->tail);
	buffer_clear(&encoder->value);
	buffer_clear(&encoder->key);
	buffer_clear(&encoder->other_key);
	buffer_clear(&encoder->other_header);
	buffer_clear(&encoder->control_key);
	buffer_clear(&encoder->control_value);
	buffer_clear(&encoder->merged);
	buffer_clear(&encoder->catch_up);
	audit_lines_clear(&encoder->audit);
	message_heads_clear(&encoder->heads);
	context_headers_clear(&encoder->sender);
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

enum status encoder_plan(struct encoder *encoder, const struct table *table,
			 struct table_plan **out, struct error *err)
{
	struct buffer topic;
	enum status status;

	buffer_init(&topic);
	topic_name_add(&topic, encoder->settings.topic_prefix,
		       encoder->settings.topic_delimiter, table->name);
	status = buffer_ok(&topic) ? table_plan_open(table, &encoder->settings,
						     span_of(&topic), out, err)
				   : out_of_memory(err);
	buffer_clear(&topic);
	return status;
}

/* ---- pieces of a transaction ---- */

static bool has_block(const struct encoder *e)
{
	return e->settings.transaction_metadata && !e->txn.is_snapshot &&
	       !e->settings.audit_lines;
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
	buffer_add_buffer(&e->tail, &e->context);
	buffer_add_str(&e->tail, e->settings.schemas ? "}}" : "}");
}

/* What messages say of the context. */
static void build_context(struct encoder *e)
{
	buffer_reset(&e->context);
	e->who_is_new = false;
	if (e->settings.audit_lines) {
		audit_lines_begin(&e->audit, &e->txn, &e->who);
		return;
	}
	if (e->settings.context_table) {
		transaction_context_add_fields(&e->who,
					       encoder_transaction_is_joined(&e->txn),
					       e->settings.schemas, &e->context);
	}
	build_tail(e);
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
	message_begin(&e->merged, &e->heads.integer);
	if (!e->settings.wants_keys) {
		return;
	}
	if (e->txn.is_catch_up) {
		add_transaction_header(e, "rowtail.catch_up", span_of(&e->catch_up));
	}
	if (e->txn.merged > 0) {
		buffer_add_u64(&e->merged, e->txn.merged);
		message_end(&e->merged, &e->heads.integer);
		add_transaction_header(e, "rowtail.merged", span_of(&e->merged));
	}
	if (e->has_context) {
		context_headers_get(&e->sender,
				    e->headers + 1 + e->transaction_header_count);
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
	source_block_begin(&encoder->source, txn,
			   encoder->has_previous ? &encoder->previous_lsn : NULL);
	transaction_context_begin(&encoder->who);
	build_context(encoder);
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
	return source_block_ok(&e->source) && buffer_ok(&e->block) &&
	       buffer_ok(&e->merged) && buffer_ok(&e->tail);
}

/* ---- pieces of a table in a transaction ---- */

static bool collection_new(struct encoder *e, struct table_plan *plan)
{
	struct transaction_collection *c;

	if (!array_room(&e->collections, &e->collection_cap, e->collection_count + 1,
			sizeof *c)) {
		return false;
	}
	plan->collection = e->collection_count++;
	c = &e->collections[plan->collection];
	c->name_offset = e->collection_names.len;
	c->name_len = plan->name.len;
	c->event_count = 0;
	buffer_add_buffer(&e->collection_names, &plan->name);
	return buffer_ok(&e->collection_names);
}

static bool plan_enter(struct encoder *e, struct table_plan *plan,
		       enum snapshot_mark mark)
{
	if (plan->serial == e->serial && plan->source_mark == mark) {
		return true;
	}
	if (!table_plan_make_heads(plan)) {
		return false;
	}
	if (plan->serial != e->serial && has_block(e) && !collection_new(e, plan)) {
		return false;
	}
	buffer_reset(&plan->source);
	source_block_add(&e->source, &plan->source, mark, &plan->name);
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

static char *put_rows(const struct table_plan *plan, struct buffer *b, char *p,
		      const struct change *change, size_t slack)
{

	p = PUT_LITERAL(p, "{\"before\":");
	if (change->before) {
		p = table_plan_put_row(plan, b, p, change->before, slack);
		if (!p) {
			return NULL;
		}
	} else {
		p = PUT_LITERAL(p, "null");
	}
	p = PUT_LITERAL(p, ",\"after\":");
	return change->after ? table_plan_put_row(plan, b, p, change->after, slack)
			     : PUT_LITERAL(p, "null");
}

static bool build_value(struct encoder *e, const struct table_plan *plan,
			const struct change *change)
{
	struct buffer *b = &e->value;
	size_t room = plan->value_head.len + 2 * plan->row_room + plan->source.len +
		      e->source.end.len + e->block.len + e->tail.len + VALUE_MARGIN;
	char *p;

	buffer_reset(b);
	if (!buffer_reserve(b, room)) {
		return false;
	}
	p = b->bytes;
	if (plan->value_head.len > 0) {
		p = put_bytes(p, plan->value_head.bytes, plan->value_head.len);
	}
	p = put_rows(plan, b, p, change, room - plan->value_head.len);
	if (!p) {
		return false;
	}
	p = put_bytes(p, plan->source.bytes, plan->source.len);
	p = json_put_u64(p, e->change_id);
	p = put_bytes(p, e->source.end.bytes, e->source.end.len);
	p = plan->table->without_rowid || change->has_no_rowid
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

/* ---- messages ---- */

enum own_headers {
	HEADERS_OF_CONTROL, /* those of the transaction */
	HEADERS_COMMON,     /* and who sent it */
	HEADERS_OWN,        /* and headers[0] */
};

static void fill_message(struct encoder *e, struct message *m, struct span topic,
			 struct span key, struct span value, enum own_headers headers)
{
	m->topic = topic;
	m->key = key;
	m->value = value;
	m->headers = e->headers + (headers == HEADERS_OWN ? 0 : 1);
	m->header_count =
	    e->transaction_header_count +
	    (headers != HEADERS_OF_CONTROL && e->has_context ? CONTEXT_HEADERS : 0) +
	    (headers == HEADERS_OWN ? 1 : 0);
	m->lsn = e->txn.lsn;
	m->index = e->message_count++;
}

/* The message whose key and value are in control_key and control_value. */
static bool fill_control(struct encoder *e, struct message *m,
			 const struct buffer *topic, enum own_headers headers)
{
	fill_message(e, m, span_of(topic),
		     e->settings.wants_keys ? span_of(&e->control_key) : absent,
		     span_of(&e->control_value), headers);
	return buffer_ok(&e->control_key) && buffer_ok(&e->control_value);
}

/* The audit line in control_value. */
static bool fill_line(struct encoder *e, struct message *m)
{
	fill_message(e, m, absent, absent, span_of(&e->control_value),
		     HEADERS_OF_CONTROL);
	return buffer_ok(&e->control_value);
}

/* BEGIN or END, whose value is in control_value. */
static bool fill_transaction(struct encoder *e, struct message *m)
{
	message_begin(&e->control_key, &e->heads.transaction_key);
	transaction_event_add_key(&e->control_key, e->txn.lsn);
	message_end(&e->control_key, &e->heads.transaction_key);
	return fill_control(e, m, &e->transaction_topic, HEADERS_OF_CONTROL);
}

static bool fill_begin(struct encoder *e, struct message *m)
{
	message_begin(&e->control_value, &e->heads.transaction_value);
	transaction_event_add_begin(&e->control_value, e->txn.lsn,
				    e->txn.captured_ns / NS_PER_MS);
	message_end(&e->control_value, &e->heads.transaction_value);
	return fill_transaction(e, m);
}

/* The other key, which is in e->other_key, as the event's own header. */
static bool set_own_header(struct encoder *e, const struct table_plan *plan,
			   enum change_op op, struct span other)
{
	struct message_header *header = &e->headers[0];
	const char *name =
	    op == CHANGE_DELETE ? "__debezium.newkey" : "__debezium.oldkey";

	header->name = (struct span){name, strlen(name)};
	header->value = other;
	if (!e->settings.schemas || e->settings.header_form == HEADER_WITH_SCHEMA) {
		return true;
	}
	header->value.bytes += plan->key_head.len;
	header->value.len -= plan->key_head.len + 1; /* and the '}' behind it */
	if (e->settings.header_form == HEADER_FOR_CONNECT) {
		buffer_reset(&e->other_header);
		key_header_add(&e->other_header, header->value);
		header->value = span_of(&e->other_header);
	}
	return buffer_ok(&e->other_header);
}

/* The event and its tombstone, whose value is ready. */
static bool fill_event(struct encoder *e, const struct table_plan *plan,
		       const struct change *change, struct message *out, size_t *count)
{
	struct span topic = e->settings.audit_lines ? absent : span_of(&plan->topic);
	struct span key = absent;
	struct span other = absent;
	enum own_headers headers;

	if (e->settings.wants_keys) {
		const struct value *row =
		    change->after ? change->after : change->before;

		if (!table_plan_build_key(plan, &e->key, row, &key) ||
		    (change->other_key_row &&
		     !table_plan_build_key(plan, &e->other_key, change->other_key_row,
					   &other))) {
			return false;
		}
	}
	if (plan->has_own_key && other.bytes && key.bytes && other.len == key.len &&
	    memcmp(other.bytes, key.bytes, key.len) == 0) {
		other = absent; /* message.key.columns has none that changed */
	}
	if (other.bytes && !set_own_header(e, plan, change->op, other)) {
		return false;
	}
	headers = other.bytes ? HEADERS_OWN : HEADERS_COMMON;
	fill_message(e, &out[(*count)++], topic, key, span_of(&e->value), headers);
	if (change->op == CHANGE_DELETE && e->settings.tombstones_on_delete &&
	    e->settings.wants_keys) {
		fill_message(e, &out[(*count)++], topic, key, absent, headers);
	}
	return true;
}

static bool is_skipped(const struct encoder *e, enum change_op op)
{
	switch (op) {
	case CHANGE_CREATE:
		return (e->settings.skipped_operations & SKIP_CREATE) != 0;
	case CHANGE_UPDATE:
		return (e->settings.skipped_operations & SKIP_UPDATE) != 0;
	case CHANGE_DELETE:
		return (e->settings.skipped_operations & SKIP_DELETE) != 0;
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
	bool ok;

	assert(e->serial > 0);
	*count = 0;
	if (is_skipped(e, change->op)) {
		return ST_OK;
	}
	if (e->settings.schemas) {
		bool skip;
		enum status status = table_plan_check(plan, change, &skip, err);

		if (status != ST_OK || skip) {
			return status;
		}
	}
	if (e->who_is_new) {
		build_context(e);
	}
	if (!e->settings.audit_lines && !plan_enter(e, plan, change->snapshot)) {
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
	if (e->event_count % CLOCK_EVENTS == 0 && !e->settings.audit_lines) {
		build_tail(e);
	}
	ok = e->settings.audit_lines
		 ? audit_lines_change(&e->audit, plan, change, e->change_id, &e->value)
		 : pieces_ok(e) && build_value(e, plan, change);
	if (!ok || !fill_event(e, plan, change, out, count)) {
		return out_of_memory(err);
	}
	return ST_OK;
}

/* ---- a context ---- */

enum status encoder_context(struct encoder *encoder, const struct table_plan *plan,
			    const struct change *change, struct error *err)
{
	encoder->who_is_new = true;
	return transaction_context_add(&encoder->who, plan, change)
		   ? ST_OK
		   : out_of_memory(err);
}

const char *encoder_context_table(const struct encoder *encoder)
{
	return encoder->settings.context_table;
}

/* The transaction has a context and gave no message, and that is told. */
static bool is_context_alone(const struct encoder *e)
{
	return e->settings.context_alone && e->who.rows > 0 && e->message_count == 0 &&
	       !e->txn.is_snapshot && !encoder_transaction_is_joined(&e->txn);
}

/* It is an event, with a number. */
static bool fill_context_message(struct encoder *e, struct message *m)
{
	const char *table = e->settings.context_table;

	build_context(e);
	e->event_count++;
	e->change_id++;
	if (e->settings.audit_lines) {
		buffer_reset(&e->control_value);
		audit_lines_message(&e->audit, e->change_id, &e->control_value);
		return fill_line(e, m);
	}
	message_begin(&e->control_value, &e->heads.message_value);
	buffer_add_char(&e->control_value, '{');
	source_block_add_plain(&e->source, &e->control_value, false, table,
			       &e->change_id);
	transaction_context_add_message(&e->who, table, clock_wall_ns(),
					&e->control_value);
	message_end(&e->control_value, &e->heads.message_value);
	message_begin(&e->control_key, &e->heads.message_key);
	transaction_context_add_key(table, &e->control_key);
	message_end(&e->control_key, &e->heads.message_key);
	return pieces_ok(e) &&
	       fill_control(e, m, &e->message_topic, HEADERS_OF_CONTROL);
}

enum status encoder_end(struct encoder *encoder, struct message *out, size_t *count,
			struct error *err)
{
	struct encoder *e = encoder;

	*count = 0;
	if (e->settings.audit_lines && encoder_transaction_is_joined(&e->txn)) {
		buffer_reset(&e->control_value);
		audit_lines_joined(&e->txn, &e->who, e->event_count, &e->control_value);
		*count = 1;
		return fill_line(e, out) ? ST_OK : out_of_memory(err);
	}
	if (is_context_alone(e)) {
		*count = 1;
		return fill_context_message(e, out) ? ST_OK : out_of_memory(err);
	}
	if (!has_block(e) || e->event_count == 0) {
		return ST_OK;
	}
	message_begin(&e->control_value, &e->heads.transaction_value);
	transaction_event_add_end(
	    &e->control_value, e->txn.lsn, e->txn.captured_ns / NS_PER_MS,
	    e->collection_names.bytes, e->collections, e->collection_count);
	message_end(&e->control_value, &e->heads.transaction_value);
	if (!fill_transaction(e, out)) {
		return out_of_memory(err);
	}
	*count = 1;
	return ST_OK;
}

/* ---- schema changes and heartbeats ---- */

enum status encoder_schema_change(struct encoder *encoder,
				  const struct schema_change *change,
				  struct message *out, size_t *count, struct error *err)
{
	struct encoder *e = encoder;
	const struct encoder_settings *settings = &e->settings;

	assert(e->serial > 0);
	*count = 0;
	if (e->who_is_new) {
		build_context(e);
	}
	if (e->settings.audit_lines) {
		buffer_reset(&e->control_value);
		audit_lines_schema(&e->audit, &e->txn, change, &e->control_value);
		*count = 1;
		return fill_line(e, out) ? ST_OK : out_of_memory(err);
	}
	if (!e->settings.schema_changes) {
		return ST_OK;
	}
	message_begin(&e->control_value, &e->heads.schema_change_value);
	buffer_add_char(&e->control_value, '{');
	source_block_add_plain(&e->source, &e->control_value, e->txn.is_snapshot,
			       change->table->name, NULL);
	schema_change_add(&e->control_value, change, e->settings.database_name,
			  clock_wall_ns() / NS_PER_MS, settings->type_mapping,
			  settings->decimal_mode);
	message_end(&e->control_value, &e->heads.schema_change_value);
	message_begin(&e->control_key, &e->heads.schema_change_key);
	schema_change_add_key(&e->control_key, e->settings.database_name);
	message_end(&e->control_key, &e->heads.schema_change_key);
	if (!pieces_ok(e) || !fill_control(e, out, &e->schema_topic, HEADERS_COMMON)) {
		return out_of_memory(err);
	}
	*count = 1;
	return ST_OK;
}

enum status encoder_heartbeat(struct encoder *encoder, struct message *out,
			      struct error *err)
{
	struct encoder *e = encoder;

	message_heartbeat(&e->heads, e->settings.topic_prefix,
			  clock_wall_ns() / NS_PER_MS, &e->control_key,
			  &e->control_value);
	if (!buffer_ok(&e->control_key) || !buffer_ok(&e->control_value)) {
		return out_of_memory(err);
	}
	*out = (struct message){.topic = span_of(&e->heartbeat_topic),
				.key = e->settings.wants_keys ? span_of(&e->control_key)
							      : absent,
				.value = span_of(&e->control_value),
				.lsn = e->txn.lsn,
				.index = MESSAGE_NO_INDEX};
	return ST_OK;
}

struct encoder_topics encoder_topics(const struct encoder *encoder)
{
	if (encoder->settings.audit_lines) {
		return (struct encoder_topics){0};
	}
	return (struct encoder_topics){
	    .transaction = encoder->settings.transaction_metadata
			       ? span_of(&encoder->transaction_topic)
			       : absent,
	    .schema_change = encoder->settings.schema_changes
				 ? span_of(&encoder->schema_topic)
				 : absent,
	    .message =
		encoder->settings.context_table && encoder->settings.context_alone
		    ? span_of(&encoder->message_topic)
		    : absent,
	    .heartbeat = encoder->heartbeat_topic.len > 0
			     ? span_of(&encoder->heartbeat_topic)
			     : absent,
	    .notification = text_span(encoder->settings.notification_topic)};
}
