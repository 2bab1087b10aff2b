/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/event_field.h"

#include <string.h>

#include "schemas/source_block.h"
#include "schemas/value_json.h"
#include "src/base/clock.h"

static const struct {
	const char *parent; /* "": the envelope itself */
	const char *name;
	enum connect_member type;
} fields[EVENT_FIELDS] = {
    [EVENT_OP] = {"", "op", MEMBER_STRING},
    [EVENT_TS_MS] = {"", "ts_ms", MEMBER_INT64},
    [EVENT_TS_US] = {"", "ts_us", MEMBER_INT64},
    [EVENT_TS_NS] = {"", "ts_ns", MEMBER_INT64},
    [EVENT_CONTEXT] = {"", "context", MEMBER_JSON},
    [EVENT_CONTEXT_ROWS] = {"", "context_rows", MEMBER_INT64},
    [EVENT_CONTEXT_CANDIDATES] = {"", "context_candidates", MEMBER_JSON},
    [SOURCE_VERSION] = {"source", "version", MEMBER_STRING},
    [SOURCE_CONNECTOR] = {"source", "connector", MEMBER_STRING},
    [SOURCE_NAME] = {"source", "name", MEMBER_STRING},
    [SOURCE_TS_MS] = {"source", "ts_ms", MEMBER_INT64},
    [SOURCE_SNAPSHOT] = {"source", "snapshot", MEMBER_SNAPSHOT_MARK},
    [SOURCE_DB] = {"source", "db", MEMBER_STRING},
    [SOURCE_SEQUENCE] = {"source", "sequence", MEMBER_STRING},
    [SOURCE_TS_US] = {"source", "ts_us", MEMBER_INT64},
    [SOURCE_TS_NS] = {"source", "ts_ns", MEMBER_INT64},
    [SOURCE_TABLE] = {"source", "table", MEMBER_STRING},
    [SOURCE_CHANGE_ID] = {"source", "change_id", MEMBER_INT64},
    [SOURCE_LSN] = {"source", "lsn", MEMBER_INT64},
    [SOURCE_ROWID] = {"source", "rowid", MEMBER_INT64},
    [TRANSACTION_ID] = {"transaction", "id", MEMBER_STRING},
    [TRANSACTION_TOTAL_ORDER] = {"transaction", "total_order", MEMBER_INT64},
    [TRANSACTION_COLLECTION_ORDER] = {"transaction", "data_collection_order",
				      MEMBER_INT64},
};

static bool is_text(struct span span, const char *text)
{
	return span.len == strlen(text) && memcmp(span.bytes, text, span.len) == 0;
}

static bool find(struct span parent, struct span name, enum event_field *out)
{
	for (int i = 0; i < EVENT_FIELDS; i++) {
		if (is_text(parent, fields[i].parent) &&
		    is_text(name, fields[i].name)) {
			*out = (enum event_field)i;
			return true;
		}
	}
	return false;
}

/* Debezium looks for a name without a parent in the envelope if it is op or a time, in
 * transaction if it is there, else in source; what source has not, in the envelope. */
bool event_field_find(struct span parent, struct span name, enum event_field *out)
{
	static const struct span envelope = {"", 0};
	static const struct span source = {"source", 6};
	static const struct span transaction = {"transaction", 11};

	if (parent.bytes) {
		return find(parent, name, out) ||
		       (is_text(parent, "source") && find(envelope, name, out));
	}
	return find(envelope, name, out) || find(transaction, name, out) ||
	       find(source, name, out);
}

enum connect_member event_field_type(enum event_field field)
{
	return fields[field].type;
}

static void add_json_str(struct buffer *b, const char *text)
{
	json_add_string(b, text, strlen(text));
}

static void add_sequence(struct buffer *b, const struct event_facts *facts)
{
	buffer_add_str(b, "\"[");
	if (facts->previous_lsn) {
		buffer_add_str(b, "\\\"");
		buffer_add_u64(b, *facts->previous_lsn);
		buffer_add_str(b, "\\\"");
	} else {
		buffer_add_str(b, "null");
	}
	buffer_add_str(b, ",\\\"");
	buffer_add_u64(b, facts->txn->lsn);
	buffer_add_str(b, "\\\"]\"");
}

static void add_source(struct buffer *b, enum event_field field,
		       const struct event_facts *facts)
{
	int64_t captured_ns = facts->txn->captured_ns;

	switch (field) {
	case SOURCE_VERSION:
		add_json_str(b, facts->settings->version);
		break;
	case SOURCE_CONNECTOR:
		buffer_add_str(b, "\"sqlite\"");
		break;
	case SOURCE_NAME:
		add_json_str(b, facts->settings->topic_prefix);
		break;
	case SOURCE_TS_MS:
		buffer_add_i64(b, captured_ns / NS_PER_MS);
		break;
	case SOURCE_SNAPSHOT:
		buffer_add_char(b, '"');
		buffer_add_str(b, source_block_mark(facts->mark));
		buffer_add_char(b, '"');
		break;
	case SOURCE_DB:
		add_json_str(b, facts->settings->database_name);
		break;
	case SOURCE_SEQUENCE:
		add_sequence(b, facts);
		break;
	case SOURCE_TS_US:
		buffer_add_i64(b, captured_ns / NS_PER_US);
		break;
	case SOURCE_TS_NS:
		buffer_add_i64(b, captured_ns);
		break;
	case SOURCE_TABLE:
		buffer_add_buffer(b, facts->table);
		break;
	case SOURCE_CHANGE_ID:
		buffer_add_u64(b, facts->change_id);
		break;
	case SOURCE_LSN:
		buffer_add_u64(b, facts->txn->lsn);
		break;
	case SOURCE_ROWID:
	default:
		if (facts->rowid) {
			buffer_add_i64(b, *facts->rowid);
		} else {
			buffer_add_str(b, "null");
		}
		break;
	}
}

static void add_transaction(struct buffer *b, enum event_field field,
			    const struct event_facts *facts)
{
	if (!facts->has_block) {
		buffer_add_str(b, "null");
	} else if (field == TRANSACTION_ID) {
		buffer_add_char(b, '"');
		buffer_add_u64(b, facts->txn->lsn);
		buffer_add_char(b, '"');
	} else {
		buffer_add_u64(b, field == TRANSACTION_TOTAL_ORDER
				      ? facts->total_order
				      : facts->collection_order);
	}
}

void event_field_add(struct buffer *b, enum event_field field,
		     const struct event_facts *facts)
{
	switch (field) {
	case EVENT_OP:
		buffer_add_char(b, '"');
		buffer_add_char(b, (char)facts->op);
		buffer_add_char(b, '"');
		break;
	case EVENT_TS_MS:
		buffer_add_i64(b, facts->now_ns / NS_PER_MS);
		break;
	case EVENT_TS_US:
		buffer_add_i64(b, facts->now_ns / NS_PER_US);
		break;
	case EVENT_TS_NS:
		buffer_add_i64(b, facts->now_ns);
		break;
	case EVENT_CONTEXT:
	case EVENT_CONTEXT_ROWS:
	case EVENT_CONTEXT_CANDIDATES:
		buffer_add_buffer(b, &facts->context[field - EVENT_CONTEXT]);
		break;
	case TRANSACTION_ID:
	case TRANSACTION_TOTAL_ORDER:
	case TRANSACTION_COLLECTION_ORDER:
		add_transaction(b, field, facts);
		break;
	default:
		add_source(b, field, facts);
		break;
	}
}
