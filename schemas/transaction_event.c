/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/transaction_event.h"

void transaction_event_add_key(struct buffer *b, uint64_t lsn)
{
	buffer_add_str(b, "{\"id\":\"");
	buffer_add_u64(b, lsn);
	buffer_add_str(b, "\"}");
}

static void add_start(struct buffer *b, const char *status, uint64_t lsn)
{
	buffer_add_str(b, "{\"status\":\"");
	buffer_add_str(b, status);
	buffer_add_str(b, "\",\"id\":\"");
	buffer_add_u64(b, lsn);
	buffer_add_str(b, "\",\"event_count\":");
}

static void add_time(struct buffer *b, int64_t ts_ms)
{
	buffer_add_str(b, ",\"ts_ms\":");
	buffer_add_i64(b, ts_ms);
	buffer_add_char(b, '}');
}

void transaction_event_add_begin(struct buffer *b, uint64_t lsn, int64_t ts_ms)
{
	add_start(b, "BEGIN", lsn);
	buffer_add_str(b, "null,\"data_collections\":null");
	add_time(b, ts_ms);
}

void transaction_event_add_end(struct buffer *b, uint64_t lsn, int64_t ts_ms,
			       const char *names,
			       const struct transaction_collection *collections,
			       size_t count)
{
	uint64_t total = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		total += collections[i].event_count;
	}
	add_start(b, "END", lsn);
	buffer_add_u64(b, total);
	buffer_add_str(b, ",\"data_collections\":[");
	for (i = 0; i < count; i++) {
		buffer_add_str(b, i > 0 ? ",{\"data_collection\":"
					: "{\"data_collection\":");
		buffer_add(b, names + collections[i].name_offset,
			   collections[i].name_len);
		buffer_add_str(b, ",\"event_count\":");
		buffer_add_u64(b, collections[i].event_count);
		buffer_add_char(b, '}');
	}
	buffer_add_char(b, ']');
	add_time(b, ts_ms);
}
