/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/event_headers.h"

#include <string.h>

#include "schemas/connect_schema.h"
#include "schemas/key_header.h"
#include "schemas/transforms.h"

static struct span span_of(const struct buffer *b)
{
	return (struct span){b->bytes, b->len};
}

static struct span text_span(const char *text)
{
	return (struct span){text, strlen(text)};
}

static bool has_schemas(const struct event_headers *h)
{
	return h->settings->schemas && h->settings->header_form == HEADER_WITH_SCHEMA;
}

/* ---- open and close ---- */

/* The operation is all that is known of a tombstone. */
static void make_deleted(struct event_headers *h)
{
	if (has_schemas(h)) {
		buffer_add_str(&h->deleted, "{\"schema\":");
		connect_schema_add_member(&h->deleted, MEMBER_STRING, false, NULL);
		buffer_add_str(&h->deleted, ",\"payload\":");
	}
	buffer_add_str(&h->deleted, "\"d\"");
	buffer_add_str(&h->deleted, has_schemas(h) ? "}" : "");
}

enum status event_headers_open(struct event_headers *headers,
			       const struct encoder_settings *settings,
			       const struct message_heads *heads, struct error *err)
{
	headers->settings = settings;
	headers->flat = transforms_flat(settings->transforms);
	headers->has_sender = settings->context_headers && settings->wants_keys;
	message_begin(&headers->catch_up, &heads->boolean);
	buffer_add_str(&headers->catch_up, "true");
	message_end(&headers->catch_up, &heads->boolean);
	make_deleted(headers);
	if (!buffer_ok(&headers->catch_up) || !buffer_ok(&headers->deleted)) {
		return error_no_memory(err, "an event");
	}
	return headers->has_sender
		   ? context_headers_make(&headers->sender, settings->topic_prefix,
					  &heads->string, err)
		   : ST_OK;
}

void event_headers_clear(struct event_headers *headers)
{
	buffer_clear(&headers->catch_up);
	buffer_clear(&headers->merged);
	buffer_clear(&headers->other);
	buffer_clear(&headers->added);
	buffer_clear(&headers->deleted);
	context_headers_clear(&headers->sender);
}

/* ---- of a transaction ---- */

static void add_transaction_header(struct event_headers *h, const char *name,
				   struct span value)
{
	h->list[1 + h->transaction_count++] =
	    (struct message_header){.name = text_span(name), .value = value};
}

static void add_transaction_headers(struct event_headers *h,
				    const struct encoder_transaction *txn,
				    const struct message_heads *heads)
{
	if (txn->is_catch_up) {
		add_transaction_header(h, "rowtail.catch_up", span_of(&h->catch_up));
	}
	if (txn->merged > 0) {
		buffer_add_u64(&h->merged, txn->merged);
		message_end(&h->merged, &heads->integer);
		add_transaction_header(h, "rowtail.merged", span_of(&h->merged));
	}
	if (h->has_sender) {
		context_headers_get(&h->sender, h->list + 1 + h->transaction_count);
	}
}

void event_headers_begin(struct event_headers *headers,
			 const struct encoder_transaction *txn,
			 const struct message_heads *heads)
{
	struct event_headers *h = headers;
	size_t common;

	h->transaction_count = 0;
	message_begin(&h->merged, &heads->integer);
	if (h->settings->wants_keys) {
		add_transaction_headers(h, txn, heads);
	}
	common = h->transaction_count + (h->has_sender ? CONTEXT_HEADERS : 0);
	h->counts[HEADERS_OF_CONTROL] = h->transaction_count;
	h->counts[HEADERS_COMMON] = common;
	h->counts[HEADERS_OF_EVENT] = h->counts[HEADERS_OF_TOMBSTONE] = common;
}

/* ---- of an event ---- */

bool event_headers_set_own(struct event_headers *headers, enum change_op op,
			   struct span other, size_t head_len)
{
	struct event_headers *h = headers;
	struct message_header *own = &h->list[0];

	own->name =
	    text_span(op == CHANGE_DELETE ? "__debezium.newkey" : "__debezium.oldkey");
	own->value = other;
	if (h->settings->schemas && h->settings->header_form != HEADER_WITH_SCHEMA) {
		own->value.bytes += head_len;
		own->value.len -= head_len + 1; /* and the '}' behind it */
	}
	if (h->settings->schemas && h->settings->header_form == HEADER_FOR_CONNECT) {
		buffer_reset(&h->other);
		key_header_add(&h->other, own->value);
		own->value = span_of(&h->other);
	}
	h->of_tombstone[0] = *own;
	return buffer_ok(&h->other);
}

/* Their values stand one behind the other; a buffer that grows may move. */
static void add_values(struct event_headers *h, const struct event_facts *facts,
		       size_t ends[FLAT_HEADERS_MAX])
{
	buffer_reset(&h->added);
	for (size_t i = 0; i < h->flat->header_count; i++) {
		enum event_field field = h->flat->headers[i].field;

		if (has_schemas(h)) {
			buffer_add_str(&h->added, "{\"schema\":");
			connect_schema_add_member(&h->added, event_field_type(field),
						  true, NULL);
			buffer_add_str(&h->added, ",\"payload\":");
		}
		event_field_add(&h->added, field, facts);
		buffer_add_str(&h->added, has_schemas(h) ? "}" : "");
		ends[i] = h->added.len;
	}
}

bool event_headers_add(struct event_headers *headers, const struct event_facts *facts)
{
	struct event_headers *h = headers;
	struct message_header *event = h->list + 1 + h->counts[HEADERS_COMMON];
	struct message_header *tombstone = h->of_tombstone + (event - h->list);
	size_t ends[FLAT_HEADERS_MAX];
	size_t begin = 0;

	if (!h->flat || !h->settings->wants_keys) {
		return true;
	}
	add_values(h, facts, ends);
	if (!buffer_ok(&h->added)) {
		return false;
	}
	memcpy(h->of_tombstone, h->list, (size_t)(event - h->list) * sizeof *event);
	for (size_t i = 0; i < h->flat->header_count; i++) {
		const struct flat_field *field = &h->flat->headers[i];
		struct span name = text_span(field->name);

		*event++ = (struct message_header){
		    name, {h->added.bytes + begin, ends[i] - begin}};
		if (field->field == EVENT_OP) {
			*tombstone++ =
			    (struct message_header){name, span_of(&h->deleted)};
		}
		begin = ends[i];
	}
	h->counts[HEADERS_OF_EVENT] = (size_t)(event - h->list) - 1;
	h->counts[HEADERS_OF_TOMBSTONE] = (size_t)(tombstone - h->of_tombstone) - 1;
	return true;
}
