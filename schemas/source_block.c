/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/source_block.h"

#include <assert.h>
#include <string.h>

#include "schemas/value_json.h"
#include "src/base/clock.h"

static const char *const mark_names[] = {
    [SNAPSHOT_FALSE] = "false",
    [SNAPSHOT_TRUE] = "true",
    [SNAPSHOT_FIRST] = "first",
    [SNAPSHOT_FIRST_IN_DATA_COLLECTION] = "first_in_data_collection",
    [SNAPSHOT_LAST_IN_DATA_COLLECTION] = "last_in_data_collection",
    [SNAPSHOT_LAST] = "last",
    [SNAPSHOT_INCREMENTAL] = "incremental",
};

const char *source_block_mark(enum snapshot_mark mark)
{
	return mark_names[mark];
}

static void add_json_str(struct buffer *b, const char *text)
{
	json_add_string(b, text, strlen(text));
}

void source_block_open(struct source_block *block,
		       const struct encoder_settings *settings)
{
	buffer_add_str(&block->head, ",\"source\":{\"version\":");
	add_json_str(&block->head, settings->version);
	buffer_add_str(&block->head, ",\"connector\":\"sqlite\",\"name\":");
	add_json_str(&block->head, settings->topic_prefix);
	buffer_add_str(&block->head, ",\"ts_ms\":");
	buffer_add_str(&block->db, "\",\"db\":");
	add_json_str(&block->db, settings->database_name);
	buffer_add_str(&block->db, ",\"sequence\":\"[");
}

void source_block_clear(struct source_block *block)
{
	buffer_clear(&block->head);
	buffer_clear(&block->db);
	buffer_clear(&block->front);
	buffer_clear(&block->middle);
	buffer_clear(&block->end);
}

bool source_block_ok(const struct source_block *block)
{
	return buffer_ok(&block->head) && buffer_ok(&block->db) &&
	       buffer_ok(&block->front) && buffer_ok(&block->middle) &&
	       buffer_ok(&block->end);
}

void source_block_begin(struct source_block *block,
			const struct encoder_transaction *txn,
			const uint64_t *previous_lsn)
{
	buffer_reset(&block->front);
	buffer_add_buffer(&block->front, &block->head);
	buffer_add_i64(&block->front, txn->captured_ns / NS_PER_MS);
	buffer_add_str(&block->front, ",\"snapshot\":\"");

	buffer_reset(&block->middle);
	buffer_add_buffer(&block->middle, &block->db);
	if (previous_lsn) {
		buffer_add_str(&block->middle, "\\\"");
		buffer_add_u64(&block->middle, *previous_lsn);
		buffer_add_str(&block->middle, "\\\"");
	} else {
		buffer_add_str(&block->middle, "null");
	}
	buffer_add_str(&block->middle, ",\\\"");
	buffer_add_u64(&block->middle, txn->lsn);
	buffer_add_str(&block->middle, "\\\"]\",\"ts_us\":");
	buffer_add_i64(&block->middle, txn->captured_ns / NS_PER_US);
	buffer_add_str(&block->middle, ",\"ts_ns\":");
	buffer_add_i64(&block->middle, txn->captured_ns);
	buffer_add_str(&block->middle, ",\"table\":");

	buffer_reset(&block->end);
	buffer_add_str(&block->end, ",\"lsn\":");
	buffer_add_u64(&block->end, txn->lsn);
	buffer_add_str(&block->end, ",\"rowid\":");
}

void source_block_add(const struct source_block *block, struct buffer *b,
		      enum snapshot_mark mark, const struct buffer *name)
{
	buffer_add_buffer(b, &block->front);
	buffer_add_str(b, mark_names[mark]);
	buffer_add_buffer(b, &block->middle);
	buffer_add_buffer(b, name);
	buffer_add_str(b, ",\"change_id\":");
}

void source_block_add_plain(const struct source_block *block, struct buffer *b,
			    bool is_snapshot, const char *table,
			    const uint64_t *change_id)
{
	assert(block->front.len > 0);
	buffer_add(b, block->front.bytes + 1, block->front.len - 1);
	buffer_add_str(b, mark_names[is_snapshot ? SNAPSHOT_TRUE : SNAPSHOT_FALSE]);
	buffer_add_buffer(b, &block->middle);
	add_json_str(b, table);
	buffer_add_str(b, ",\"change_id\":");
	if (change_id) {
		buffer_add_u64(b, *change_id);
	} else {
		buffer_add_str(b, "null");
	}
	buffer_add_buffer(b, &block->end);
	buffer_add_str(b, "null}");
}
