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
#include "schemas/control_topics.h"
#include "schemas/event_headers.h"
#include "schemas/flat_value.h"
#include "schemas/message_heads.h"
#include "schemas/source_block.h"
#include "schemas/table_heads.h"
#include "schemas/table_plan.h"
#include "schemas/topic_name.h"
#include "schemas/transaction_context.h"
#include "schemas/transaction_event.h"
#include "schemas/transforms.h"
#include "schemas/value_json.h"
#include "src/base/array.h"
#include "src/base/buffer.h"
#include "src/base/clock.h"

#define CLOCK_EVENTS 64 /* ts_ms, ts_us and ts_ns are at most as many events old */
/* Constant parts of a value, brackets and numbers between the pieces. */
#define VALUE_MARGIN 256

struct encoder {
	struct encoder_settings settings;
	const struct flat *flat; /* values are flat; NULL: they are not */
	struct control_topics topics;
	struct source_block source;
	struct message_heads heads;
	struct audit_lines audit;

	uint64_t change_id;
	uint64_t previous_lsn; /* valid if has_previous */
	bool has_previous;

	/* Of the transaction since encoder_begin: */
	uint64_t serial; /* counts transactions; 0 before the first */
	struct encoder_transaction txn;
	struct transaction_context who;
	bool who_is_new;       /* what follows, and the tail, do not have it yet */
	struct buffer context; /* fields behind the times; audit lines have their own */
	struct buffer context_parts[CONTEXT_PARTS]; /* each alone, where it is flat */
	uint64_t event_count;
	uint64_t message_count;
	struct buffer block; /* },"transaction":{"id":"5","total_order": */
	struct transaction_collection *collections;
	size_t collection_count, collection_cap;
	struct buffer collection_names;

	/* Of the last look at the clock: */
	int64_t now_ns;
	struct buffer tail; /* from behind source or the counts to the end */
	size_t tail_op;     /* offset of the operation's letter */

	/* The messages: */
	struct buffer value;
	struct buffer key;
	struct buffer other_key;
	struct buffer control_key;
	struct buffer control_value;
	struct event_headers headers;
};

static const struct span absent = {NULL, 0};

static struct span span_of(const struct buffer *b)
{
	return (struct span){b->bytes, b->len};
}

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "an event");
}

/* ---- open and close ---- */

/* Fields of the context are there only with a context. */
static enum status check_flat(const struct encoder *e, struct error *err)
{
	if (e->flat && !e->settings.context_table && flat_has_context(e->flat)) {
		return error_set(
		    err, ST_CONFIG,
		    "transforms add a field of the context, which needs "
		    "transaction.context.table; set it, or leave the field "
		    "out of add.fields and add.headers");
	}
	return ST_OK;
}

/* Fill the encoder from its settings. */
static enum status set_up(struct encoder *e, const struct encoder_settings *settings,
			  struct error *err)
{
	e->settings = *settings;
	e->audit.full_rows = settings->audit_full_rows;
	e->flat = settings->audit_lines ? NULL : transforms_flat(settings->transforms);
	source_block_open(&e->source, settings);
	if (check_flat(e, err) != ST_OK ||
	    control_topics_make(&e->topics, settings, err) != ST_OK) {
		return err->status;
	}
	if (!source_block_ok(&e->source) ||
	    (settings->schemas &&
	     !message_heads_make(&e->heads, &e->topics,
				 settings->header_form == HEADER_WITH_SCHEMA))) {
		return out_of_memory(err);
	}
	return event_headers_open(&e->headers, &e->settings, &e->heads, err);
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
	control_topics_clear(&encoder->topics);
	transaction_context_clear(&encoder->who);
	buffer_clear(&encoder->context);
	for (size_t i = 0; i < CONTEXT_PARTS; i++) {
		buffer_clear(&encoder->context_parts[i]);
	}
	source_block_clear(&encoder->source);
	buffer_clear(&encoder->block);
	free(encoder->collections);
	buffer_clear(&encoder->collection_names);
	buffer_clear(&encoder->tail);
	buffer_clear(&encoder->value);
	buffer_clear(&encoder->key);
	buffer_clear(&encoder->other_key);
	buffer_clear(&encoder->control_key);
	buffer_clear(&encoder->control_value);
	audit_lines_clear(&encoder->audit);
	message_heads_clear(&encoder->heads);
	event_headers_clear(&encoder->headers);
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
	int64_t now_ns = e->now_ns = clock_wall_ns();

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
	for (size_t i = 0; e->flat && e->settings.context_table && i < CONTEXT_PARTS;
	     i++) {
		buffer_reset(&e->context_parts[i]);
		transaction_context_add_one(&e->who, (enum context_part)i,
					    encoder_transaction_is_joined(&e->txn),
					    e->settings.schemas, &e->context_parts[i]);
	}
	if (e->settings.context_table) {
		transaction_context_add_fields(&e->who,
					       encoder_transaction_is_joined(&e->txn),
					       e->settings.schemas, &e->context);
	}
	build_tail(e);
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
	event_headers_begin(&encoder->headers, txn, &encoder->heads);
}

static bool pieces_ok(const struct encoder *e)
{
	return source_block_ok(&e->source) && buffer_ok(&e->block) &&
	       buffer_ok(&e->headers.merged) && buffer_ok(&e->tail);
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
	if (!table_heads_make(plan)) {
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

/* Which messages a change gives. Without `value` the event itself is a tombstone, and
 * there are none of those without keys: sinks count lines. */
struct shown {
	bool event, value, tombstone;
};

static struct shown what_is_shown(const struct encoder *e, enum change_op op)
{
	struct shown shown = {.event = true, .value = true};

	if (op != CHANGE_DELETE) {
		return shown;
	}
	shown.tombstone = e->settings.tombstones_on_delete && e->settings.wants_keys;
	if (e->flat) {
		shown.value = flat_rewrites(e->flat);
		shown.event = shown.value ||
			      (e->flat->deletes != FLAT_DROP && e->settings.wants_keys);
		shown.tombstone =
		    shown.tombstone && e->flat->deletes == FLAT_REWRITE_WITH_TOMBSTONE;
	}
	return shown;
}

/* The value as a transform leaves it, and its headers. */
static bool build_flat(struct encoder *e, const struct table_plan *plan,
		       const struct change *change)
{
	bool has_rowid = !plan->table->without_rowid && !change->has_no_rowid;
	const struct event_facts facts = {
	    .settings = &e->settings,
	    .txn = &e->txn,
	    .context = e->context_parts,
	    .previous_lsn = e->has_previous ? &e->previous_lsn : NULL,
	    .now_ns = e->now_ns,
	    .op = change->op,
	    .mark = change->snapshot,
	    .table = &plan->name,
	    .change_id = e->change_id,
	    .rowid = has_rowid ? &change->rowid : NULL,
	    .has_block = has_block(e),
	    .total_order = e->event_count,
	    .collection_order =
		has_block(e) ? e->collections[plan->collection].event_count : 0,
	};

	return event_headers_add(&e->headers, &facts) &&
	       (!what_is_shown(e, change->op).value ||
		flat_build(e->flat, plan,
			   change->after ? change->after : change->before, &facts,
			   &e->value));
}

/* ---- messages ---- */

static void fill_message(struct encoder *e, struct message *m, struct span topic,
			 struct span key, struct span value, enum headers_of headers,
			 bool has_own)
{
	m->topic = topic;
	m->key = key;
	m->value = value;
	event_headers_get(&e->headers, headers, has_own, m);
	m->lsn = e->txn.lsn;
	m->index = e->message_count++;
}

/* The message whose key and value are in control_key and control_value. */
static bool fill_control(struct encoder *e, struct message *m, enum control_message of,
			 enum headers_of headers)
{
	fill_message(e, m, control_topic(&e->topics, of),
		     e->settings.wants_keys ? span_of(&e->control_key) : absent,
		     span_of(&e->control_value), headers, false);
	return buffer_ok(&e->control_key) && buffer_ok(&e->control_value);
}

/* The audit line in control_value. */
static bool fill_line(struct encoder *e, struct message *m)
{
	fill_message(e, m, absent, absent, span_of(&e->control_value),
		     HEADERS_OF_CONTROL, false);
	return buffer_ok(&e->control_value);
}

/* BEGIN or END, whose value is in control_value. */
static bool fill_transaction(struct encoder *e, struct message *m)
{
	message_begin(&e->control_key, &e->heads.transaction_key);
	transaction_event_add_key(&e->control_key, e->txn.lsn);
	message_end_key(&e->control_key, &e->heads.transaction_key,
			&e->topics.of[CONTROL_TRANSACTION]);
	return fill_control(e, m, CONTROL_TRANSACTION, HEADERS_OF_CONTROL);
}

static bool fill_begin(struct encoder *e, struct message *m)
{
	message_begin(&e->control_value, &e->heads.transaction_value);
	transaction_event_add_begin(&e->control_value, e->txn.lsn,
				    e->txn.captured_ns / NS_PER_MS);
	message_end(&e->control_value, &e->heads.transaction_value);
	return fill_transaction(e, m);
}

/* The key of the event, and the other one as a header. */
static bool build_keys(struct encoder *e, const struct table_plan *plan,
		       const struct change *change, struct span *key, bool *has_other)
{
	const struct value *row = change->after ? change->after : change->before;
	struct span other = absent;

	*key = absent;
	*has_other = false;
	if (!e->settings.wants_keys) {
		return true;
	}
	if (change->other_key_row &&
	    (!table_plan_build_key(plan, KEY_OF_HEADER, &e->other_key,
				   change->other_key_row, &other) ||
	     !table_plan_build_key(plan, KEY_OF_HEADER, &e->key, row, key))) {
		return false;
	}
	if (plan->has_own_key && other.bytes && key->bytes && other.len == key->len &&
	    memcmp(other.bytes, key->bytes, key->len) == 0) {
		other = absent; /* message.key.columns has none that changed */
	}
	*has_other = other.bytes != NULL;
	return table_plan_build_key(plan, KEY_OF_MESSAGE, &e->key, row, key) &&
	       (!*has_other || event_headers_set_own(&e->headers, change->op, other,
						     plan->header_head.len));
}

/* The event and its tombstone, whose value is ready. */
static bool fill_event(struct encoder *e, const struct table_plan *plan,
		       const struct change *change, struct message *out, size_t *count)
{
	struct span topic = e->settings.audit_lines ? absent : table_plan_topic(plan);
	struct shown shown = what_is_shown(e, change->op);
	struct span key;
	bool has_own;

	if (!build_keys(e, plan, change, &key, &has_own)) {
		return false;
	}
	if (shown.event) {
		fill_message(e, &out[(*count)++], topic, key,
			     shown.value ? span_of(&e->value) : absent,
			     HEADERS_OF_EVENT, has_own);
	}
	if (shown.tombstone) {
		fill_message(e, &out[(*count)++], topic, key, absent,
			     HEADERS_OF_TOMBSTONE, has_own);
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
		 : pieces_ok(e) && (e->flat ? build_flat(e, plan, change)
					    : build_value(e, plan, change));
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
	       e->event_count == 0 && !e->txn.is_snapshot &&
	       !encoder_transaction_is_joined(&e->txn);
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
	message_end_key(&e->control_key, &e->heads.message_key,
			&e->topics.of[CONTROL_MESSAGE]);
	return pieces_ok(e) && fill_control(e, m, CONTROL_MESSAGE, HEADERS_OF_CONTROL);
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
	message_end_key(&e->control_key, &e->heads.schema_change_key,
			&e->topics.of[CONTROL_SCHEMA_CHANGE]);
	if (!pieces_ok(e) ||
	    !fill_control(e, out, CONTROL_SCHEMA_CHANGE, HEADERS_COMMON)) {
		return out_of_memory(err);
	}
	*count = 1;
	return ST_OK;
}

enum status encoder_heartbeat(struct encoder *encoder, struct message *out,
			      struct error *err)
{
	struct encoder *e = encoder;

	message_heartbeat(&e->heads, &e->topics.of[CONTROL_HEARTBEAT],
			  e->settings.topic_prefix, clock_wall_ns() / NS_PER_MS,
			  &e->control_key, &e->control_value);
	if (!buffer_ok(&e->control_key) || !buffer_ok(&e->control_value)) {
		return out_of_memory(err);
	}
	*out = (struct message){.topic = control_topic(&e->topics, CONTROL_HEARTBEAT),
				.key = e->settings.wants_keys ? span_of(&e->control_key)
							      : absent,
				.value = span_of(&e->control_value),
				.lsn = e->txn.lsn,
				.index = MESSAGE_NO_INDEX};
	return ST_OK;
}

struct encoder_topics encoder_topics(const struct encoder *encoder)
{
	const struct control_topics *topics = &encoder->topics;

	return (struct encoder_topics){
	    .transaction = control_topic(topics, CONTROL_TRANSACTION),
	    .schema_change = control_topic(topics, CONTROL_SCHEMA_CHANGE),
	    .heartbeat = control_topic(topics, CONTROL_HEARTBEAT),
	    .message = control_topic(topics, CONTROL_MESSAGE),
	    .notification = control_topic(topics, CONTROL_NOTIFICATION)};
}

const struct route *encoder_notification_route(const struct encoder *encoder)
{
	return &encoder->topics.of[CONTROL_NOTIFICATION];
}
