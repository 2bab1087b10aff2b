/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/transaction_context.h"

#include "schemas/table_plan.h"
#include "schemas/value_json.h"
#include "src/base/clock.h"

void transaction_context_clear(struct transaction_context *context)
{
	for (size_t i = 0; i < CONTEXT_CANDIDATES; i++) {
		buffer_clear(&context->list[i]);
	}
}

void transaction_context_begin(struct transaction_context *context)
{
	context->rows = 0;
}

bool transaction_context_add(struct transaction_context *context,
			     const struct table_plan *plan, const struct change *change)
{
	struct buffer *b = &context->list[context->rows % CONTEXT_CANDIDATES];
	char *p;

	if (!change->after) {
		return true;
	}
	buffer_reset(b);
	if (!buffer_reserve(b, plan->row_room)) {
		return false;
	}
	p = table_plan_put_plain_row(plan, b, b->bytes, change->after, plan->row_room);
	if (!p) {
		return false;
	}
	b->len = (size_t)(p - b->bytes);
	context->rows++;
	return true;
}

const struct buffer *transaction_context_row(const struct transaction_context *context)
{
	return context->rows > 0
		   ? &context->list[(context->rows - 1) % CONTEXT_CANDIDATES]
		   : NULL;
}

/* [ROW,…] of the last ones. */
static void add_candidates(const struct transaction_context *context, struct buffer *b)
{
	uint64_t first =
	    context->rows > CONTEXT_CANDIDATES ? context->rows - CONTEXT_CANDIDATES : 0;

	buffer_add_char(b, '[');
	for (uint64_t i = first; i < context->rows; i++) {
		if (i > first) {
			buffer_add_char(b, ',');
		}
		buffer_add_buffer(b, &context->list[i % CONTEXT_CANDIDATES]);
	}
	buffer_add_char(b, ']');
}

static void add_count(const struct transaction_context *context, struct buffer *b)
{
	buffer_add_str(b, ",\"context_rows\":");
	buffer_add_u64(b, context->rows);
}

/* JSON as a JSON string. */
static void add_quoted(const struct buffer *json, struct buffer *b)
{
	b->failed = b->failed || json->failed;
	json_add_string(b, json->bytes, json->len);
}

static void add_quoted_candidates(const struct transaction_context *context,
				  struct buffer *b)
{
	struct buffer list;

	buffer_init(&list);
	add_candidates(context, &list);
	add_quoted(&list, b);
	buffer_clear(&list);
}

/* What stands beside the row, where it is not the only one. */
static void add_others(const struct transaction_context *context, bool is_joined,
		       struct buffer *b)
{
	if (context->rows > 1) {
		add_count(context, b);
	}
	if (is_joined && context->rows > 0) {
		buffer_add_str(b, ",\"context_candidates\":");
		add_candidates(context, b);
	}
}

void transaction_context_add_by(const struct transaction_context *context,
				bool is_joined, struct buffer *b)
{
	if (context->rows > 0 && !is_joined) {
		buffer_add_str(b, ",\"by\":");
		buffer_add_buffer(b, transaction_context_row(context));
	}
	add_others(context, is_joined, b);
}

void transaction_context_add_one(const struct transaction_context *context,
				 enum context_part part, bool is_joined,
				 bool with_schemas, struct buffer *b)
{
	if (part == CONTEXT_ROWS) {
		buffer_add_u64(b, context->rows);
	} else if (context->rows == 0 || is_joined != (part == CONTEXT_LAST_ROWS)) {
		buffer_add_str(b, "null");
	} else if (part == CONTEXT_LAST_ROWS) {
		(with_schemas ? add_quoted_candidates : add_candidates)(context, b);
	} else if (with_schemas) {
		add_quoted(transaction_context_row(context), b);
	} else {
		buffer_add_buffer(b, transaction_context_row(context));
	}
}

/* The same with schemas: all fields, rows as strings. */
static void add_typed(const struct transaction_context *context, bool is_joined,
		      struct buffer *b)
{
	buffer_add_str(b, ",\"context\":");
	transaction_context_add_one(context, CONTEXT_ROW, is_joined, true, b);
	add_count(context, b);
	buffer_add_str(b, ",\"context_candidates\":");
	transaction_context_add_one(context, CONTEXT_LAST_ROWS, is_joined, true, b);
}

void transaction_context_add_fields(const struct transaction_context *context,
				    bool is_joined, bool with_schemas, struct buffer *b)
{
	if (with_schemas) {
		add_typed(context, is_joined, b);
		return;
	}
	buffer_add_str(b, ",\"context\":");
	if (context->rows > 0 && !is_joined) {
		buffer_add_buffer(b, transaction_context_row(context));
	} else {
		buffer_add_str(b, "null");
	}
	add_others(context, is_joined, b);
}

void transaction_context_add_key(const char *table, struct buffer *b)
{
	buffer_add_str(b, "{\"prefix\":");
	json_add_string(b, table, strlen(table));
	buffer_add_char(b, '}');
}

void transaction_context_add_message(const struct transaction_context *context,
				     const char *table, int64_t now_ns,
				     struct buffer *b)
{
	const struct buffer *row = transaction_context_row(context);
	struct value content = {.class = VALUE_BLOB,
				.len = (uint32_t)row->len,
				.bytes = (const uint8_t *)row->bytes};

	buffer_add_str(b, ",\"op\":\"m\",\"ts_ms\":");
	buffer_add_i64(b, now_ns / NS_PER_MS);
	buffer_add_str(b, ",\"ts_us\":");
	buffer_add_i64(b, now_ns / NS_PER_US);
	buffer_add_str(b, ",\"ts_ns\":");
	buffer_add_i64(b, now_ns);
	buffer_add_str(b, ",\"message\":{\"prefix\":");
	json_add_string(b, table, strlen(table));
	buffer_add_str(b, ",\"content\":");
	json_add_value(b, &content, TEXT_UTF8, BINARY_BYTES);
	buffer_add_str(b, "}}");
}
