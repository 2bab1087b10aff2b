/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/audit_line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "schemas/table_plan.h"
#include "schemas/value_json.h"
#include "src/base/clock.h"

/* Names of fields, brackets and numbers between the pieces of a line. */
#define LINE_MARGIN 256

void audit_lines_clear(struct audit_lines *lines)
{
	buffer_clear(&lines->head);
	buffer_clear(&lines->tail);
}

void audit_line_add_time(struct buffer *b, int64_t time_ns)
{
	int64_t seconds = time_ns / NS_PER_S - (time_ns % NS_PER_S < 0);
	int64_t rest_ns = time_ns - seconds * NS_PER_S;
	time_t when = (time_t)seconds;
	char text[40];
	struct tm tm;
	size_t len;

	(void)gmtime_r(&when, &tm);
	len = strftime(text, sizeof text, "\"%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + len, sizeof text - len, ".%03dZ\"",
		       (int)(rest_ns / NS_PER_MS));
	buffer_add_str(b, text);
}

static void add_text(struct buffer *b, const char *name, const char *text)
{
	buffer_add_str(b, name);
	json_add_string(b, text, strlen(text));
}

static void add_begin(struct buffer *b, const struct encoder_transaction *txn)
{
	buffer_add_str(b, "\"time\":");
	audit_line_add_time(b, txn->captured_ns);
	buffer_add_str(b, ",\"txn\":");
	buffer_add_u64(b, txn->lsn);
}

static void add_since(struct buffer *b, const struct encoder_transaction *txn)
{
	if (encoder_transaction_is_joined(txn) && txn->since_ns != 0) {
		buffer_add_str(b, ",\"since\":");
		audit_line_add_time(b, txn->since_ns);
	}
}

static void add_id(struct buffer *b, const char *name, uint32_t id)
{
	if (id != WRITER_NO_ID) {
		buffer_add_str(b, name);
		buffer_add_u64(b, id);
	}
}

static void add_writer(struct buffer *b, const struct writer *writer)
{
	buffer_add_str(b, "{\"pid\":");
	buffer_add_u64(b, writer->pid);
	if (writer->exe) {
		add_text(b, ",\"exe\":", writer->exe);
	}
	add_id(b, ",\"uid\":", writer->uid);
	add_id(b, ",\"loginuid\":", writer->loginuid);
	if (writer->unit) {
		add_text(b, ",\"unit\":", writer->unit);
	}
	buffer_add_char(b, '}');
}

/* Of a transaction that is joined nobody knows. */
static void add_process(struct buffer *b, const struct encoder_transaction *txn)
{
	const struct writers *writers = txn->writers;

	if (!writers || encoder_transaction_is_joined(txn)) {
		return;
	}
	if (writers->total == 1) {
		buffer_add_str(b, ",\"process\":");
		add_writer(b, writers->list[0]);
		return;
	}
	for (size_t i = 0; i < writers->total; i++) {
		buffer_add_str(b, i == 0 ? ",\"process_candidates\":[" : ",");
		add_writer(b, writers->list[i]);
	}
	buffer_add_char(b, ']');
}

void audit_lines_begin(struct audit_lines *lines, const struct encoder_transaction *txn,
		       const struct transaction_context *context)
{
	buffer_reset(&lines->head);
	add_begin(&lines->head, txn);
	buffer_add_str(&lines->head, ",\"change_id\":");

	buffer_reset(&lines->tail);
	if (txn->is_catch_up) {
		buffer_add_str(&lines->tail, ",\"catch_up\":true");
	}
	if (txn->merged > 0) {
		buffer_add_str(&lines->tail, ",\"merged\":");
		buffer_add_u64(&lines->tail, txn->merged);
	}
	add_since(&lines->tail, txn);
	add_process(&lines->tail, txn);
	transaction_context_add_by(context, encoder_transaction_is_joined(txn),
				   &lines->tail);
	buffer_add_char(&lines->tail, '}');
}

/* ---- rows ---- */

static inline char *put_bytes(char *p, const char *bytes, size_t len)
{
	memcpy(p, bytes, len);
	return p + len;
}

#define PUT_LITERAL(p, text) put_bytes((p), (text), sizeof(text) - 1)

static char *put_op(char *p, enum change_op op)
{
	switch (op) {
	case CHANGE_CREATE:
		return PUT_LITERAL(p, ",\"op\":\"insert\",\"table\":");
	case CHANGE_UPDATE:
		return PUT_LITERAL(p, ",\"op\":\"update\",\"table\":");
	case CHANGE_DELETE:
		return PUT_LITERAL(p, ",\"op\":\"delete\",\"table\":");
	case CHANGE_READ:
		break;
	}
	return PUT_LITERAL(p, ",\"op\":\"read\",\"table\":");
}

static char *put_key(const struct table_plan *plan, struct buffer *b, char *p,
		     const struct change *change, size_t slack)
{
	const struct value *row = change->after ? change->after : change->before;

	p = PUT_LITERAL(p, ",\"key\":");
	if (table_plan_has_key(plan, row)) {
		return table_plan_put_key(plan, b, p, row, slack);
	}
	if (plan->table->without_rowid || change->has_no_rowid) {
		return PUT_LITERAL(p, "null");
	}
	p = PUT_LITERAL(p, "{\"rowid\":");
	p = json_put_i64(p, change->rowid);
	*p++ = '}';
	return p;
}

/* changed, old and new as they apply; NULL when memory ran out. */
static char *put_rows(const struct audit_lines *lines, const struct table_plan *plan,
		      struct buffer *b, char *p, const struct change *change,
		      size_t slack)
{
	bool is_update = change->op == CHANGE_UPDATE;

	if (is_update) {
		p = PUT_LITERAL(p, ",\"changed\":");
		p = table_plan_put_changed(plan, b, p, change, slack);
	}
	if (p && change->before && (!is_update || lines->full_rows)) {
		p = PUT_LITERAL(p, ",\"old\":");
		p = table_plan_put_row(plan, b, p, change->before, slack);
	}
	if (p && change->after && (!is_update || lines->full_rows)) {
		p = PUT_LITERAL(p, ",\"new\":");
		p = table_plan_put_row(plan, b, p, change->after, slack);
	}
	return p;
}

bool audit_lines_change(const struct audit_lines *lines, const struct table_plan *plan,
			const struct change *change, uint64_t change_id,
			struct buffer *b)
{
	size_t room = lines->head.len + plan->name.len + plan->key_room +
		      CHANGED_ROOM(plan) + 2 * plan->row_room + lines->tail.len +
		      LINE_MARGIN;
	char *p;

	buffer_reset(b);
	if (!buffer_ok(&lines->head) || !buffer_ok(&lines->tail) ||
	    !buffer_reserve(b, room)) {
		return false;
	}
	p = put_bytes(b->bytes, lines->head.bytes, lines->head.len);
	p = json_put_u64(p, change_id);
	p = put_op(p, change->op);
	p = put_bytes(p, plan->name.bytes, plan->name.len);
	p = put_key(plan, b, p, change, room);
	if (p) {
		p = put_rows(lines, plan, b, p, change, room);
	}
	if (!p) {
		return false;
	}
	p = put_bytes(p, lines->tail.bytes, lines->tail.len);
	b->len = (size_t)(p - b->bytes);
	return true;
}

void audit_lines_message(const struct audit_lines *lines, uint64_t change_id,
			 struct buffer *b)
{
	buffer_add_buffer(b, &lines->head);
	buffer_add_u64(b, change_id);
	buffer_add_str(b, ",\"op\":\"message\"");
	buffer_add_buffer(b, &lines->tail);
}

/* ---- what rowtail says of itself ---- */

void audit_lines_schema(const struct audit_lines *lines,
			const struct encoder_transaction *txn,
			const struct schema_change *change, struct buffer *b)
{
	static const char *const types[] = {
	    [SCHEMA_CREATED] = "created",
	    [SCHEMA_ALTERED] = "altered",
	    [SCHEMA_RENAMED] = "renamed",
	    [SCHEMA_DROPPED] = "dropped",
	};

	add_begin(b, txn);
	add_text(b, ",\"op\":\"schema\",\"table\":", change->table->name);
	add_text(b, ",\"type\":", txn->is_snapshot ? "read" : types[change->type]);
	if (change->type == SCHEMA_RENAMED) {
		add_text(b, ",\"was\":", change->old_name);
	}
	buffer_add_str(b, ",\"ddl\":");
	schema_change_add_ddl(b, change);
	buffer_add_buffer(b, &lines->tail);
}

void audit_lines_joined(const struct encoder_transaction *txn,
			const struct transaction_context *context, uint64_t rows,
			struct buffer *b)
{
	add_begin(b, txn);
	buffer_add_str(b, txn->is_catch_up ? ",\"op\":\"catch_up\""
					   : ",\"op\":\"merged\"");
	if (txn->is_catch_up && txn->page_count > 0) {
		buffer_add_str(b, ",\"pages\":");
		buffer_add_u64(b, txn->page_count);
		buffer_add_str(b, ",\"changed_pages\":");
		buffer_add_u64(b, txn->pages_differ);
	}
	if (txn->merged > 0) {
		buffer_add_str(b, ",\"merged\":");
		buffer_add_u64(b, txn->merged);
	}
	buffer_add_str(b, ",\"rows\":");
	buffer_add_u64(b, rows);
	add_since(b, txn);
	transaction_context_add_by(context, true, b);
	buffer_add_char(b, '}');
}

void audit_line_settings_begin(struct buffer *b, int64_t now_ns)
{
	buffer_add_str(b, "\"time\":");
	audit_line_add_time(b, now_ns);
	buffer_add_str(b, ",\"op\":\"settings\",\"changed\":{");
}

static void add_text_or_null(struct buffer *b, const char *text)
{
	if (text) {
		json_add_string(b, text, strlen(text));
	} else {
		buffer_add_str(b, "null");
	}
}

void audit_line_setting(struct buffer *b, const char *name, const char *was,
			const char *is)
{
	if (b->len > 0 && b->bytes[b->len - 1] != '{') {
		buffer_add_char(b, ',');
	}
	json_add_string(b, name, strlen(name));
	buffer_add_str(b, ":[");
	add_text_or_null(b, was);
	buffer_add_char(b, ',');
	add_text_or_null(b, is);
	buffer_add_char(b, ']');
}

void audit_line_settings_end(struct buffer *b)
{
	buffer_add_str(b, "}}");
}
