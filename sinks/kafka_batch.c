/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/kafka_batch.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define RESERVED 65536 /* for the position */

enum status kafka_batch_init(struct kafka_batch *batch, struct error *err)
{
	*batch = (struct kafka_batch){
	    .block = malloc(KAFKA_BATCH_BYTES),
	    .entries = calloc(KAFKA_BATCH_MESSAGES, sizeof *batch->entries),
	};
	if (!batch->block || !batch->entries) {
		kafka_batch_clear(batch);
		return error_no_memory(err, "messages to Kafka");
	}
	return ST_OK;
}

void kafka_batch_clear(struct kafka_batch *batch)
{
	free(batch->block);
	free(batch->extra);
	free(batch->entries);
	*batch = (struct kafka_batch){0};
}

/* ---- copying ---- */

static size_t header_bytes(const struct message *message)
{
	size_t bytes = message->header_count * sizeof(struct message_header);

	for (size_t i = 0; i < message->header_count; i++) {
		bytes += message->headers[i].name.len + message->headers[i].value.len;
	}
	return bytes;
}

/* Each text with a byte behind it, the list of headers at its alignment. */
static size_t needed(const struct message *message)
{
	return message->key.len + message->value.len + header_bytes(message) + 2 +
	       2 * message->header_count + alignof(struct message_header);
}

bool kafka_batch_fits(const struct kafka_batch *batch, const struct message *message)
{
	return batch->count == 0 ||
	       (batch->count + 1 < KAFKA_BATCH_MESSAGES && !batch->extra &&
		KAFKA_BATCH_BYTES - batch->block_len >= needed(message) + RESERVED);
}

/* NULL stays NULL; an empty text has an address. */
static struct span copy_span(char **to, struct span from)
{
	struct span copy = {.bytes = NULL, .len = from.len};

	if (from.bytes) {
		memcpy(*to, from.bytes, from.len);
		copy.bytes = *to;
		*to += from.len;
		*(*to)++ = '\0'; /* names of headers are C strings */
	}
	return copy;
}

static void copy_headers(struct kafka_entry *entry, char **to,
			 const struct message *message)
{
	const size_t align = alignof(struct message_header);
	struct message_header *headers;

	if (message->header_count == 0) {
		return;
	}
	*to += (align - (uintptr_t)*to % align) % align;
	headers = (struct message_header *)(void *)*to;
	*to += message->header_count * sizeof *headers;
	for (size_t i = 0; i < message->header_count; i++) {
		headers[i].name = copy_span(to, message->headers[i].name);
		headers[i].value = copy_span(to, message->headers[i].value);
	}
	entry->headers = headers;
	entry->header_count = (uint32_t)message->header_count;
}

enum status kafka_batch_add(struct kafka_batch *batch, const struct message *message,
			    struct kafka_topic *topic, struct error *err)
{
	struct kafka_entry *entry = &batch->entries[batch->count];
	size_t len = needed(message);
	char *to = batch->block + batch->block_len;

	if (KAFKA_BATCH_BYTES - batch->block_len < len) {
		batch->extra = malloc(len);
		if (!batch->extra) {
			return error_no_memory(err, "a message of %zu bytes", len);
		}
		to = batch->extra;
	}
	*entry = (struct kafka_entry){.topic = topic};
	copy_headers(entry, &to, message);
	entry->key = copy_span(&to, message->key);
	entry->value = copy_span(&to, message->value);
	if (!batch->extra) {
		batch->block_len = (size_t)(to - batch->block);
	}
	batch->bytes += len;
	batch->count++;
	return ST_OK;
}

void kafka_batch_reset(struct kafka_batch *batch)
{
	free(batch->extra);
	batch->extra = NULL;
	batch->block_len = 0;
	batch->count = 0;
	batch->bytes = 0;
	kafka_batch_rewind(batch);
}

void kafka_batch_rewind(struct kafka_batch *batch)
{
	batch->sent = 0;
	batch->outstanding = 0;
	batch->failed = 0;
	batch->problem = NULL;
}

size_t kafka_entry_bytes(const struct kafka_entry *entry)
{
	return entry->key.len + entry->value.len;
}

/* ---- sending ---- */

static rd_kafka_headers_t *headers_of(const struct kafka_entry *entry)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(entry->header_count);

	for (uint32_t i = 0; headers && i < entry->header_count; i++) {
		const struct message_header *h = &entry->headers[i];

		(void)rd_kafka_header_add(headers, h->name.bytes, (ssize_t)h->name.len,
					  h->value.bytes, (ssize_t)h->value.len);
	}
	return headers;
}

static rd_kafka_resp_err_t send_with_headers(rd_kafka_t *rk, rd_kafka_topic_t *handle,
					     struct kafka_entry *entry)
{
	rd_kafka_headers_t *headers = headers_of(entry);
	rd_kafka_vu_t all[] = {
	    {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = handle},
	    {.vtype = RD_KAFKA_VTYPE_VALUE,
	     .u.mem = {(void *)(uintptr_t)entry->value.bytes, entry->value.len}},
	    {.vtype = RD_KAFKA_VTYPE_KEY,
	     .u.mem = {(void *)(uintptr_t)entry->key.bytes, entry->key.len}},
	    {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
	    {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = entry},
	};
	rd_kafka_error_t *error = rd_kafka_produceva(rk, all, sizeof all / sizeof *all);
	rd_kafka_resp_err_t why = rd_kafka_error_code(error);

	if (error) {
		rd_kafka_headers_destroy(headers);
		rd_kafka_error_destroy(error);
	}
	return why;
}

static rd_kafka_resp_err_t send_one(rd_kafka_t *rk, struct kafka_entry *entry)
{
	rd_kafka_topic_t *handle = kafka_topic_handle(entry->topic, rk);

	if (!handle) {
		return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
	}
	if (entry->header_count > 0) {
		return send_with_headers(rk, handle, entry);
	}
	if (rd_kafka_produce(handle, RD_KAFKA_PARTITION_UA, 0,
			     (void *)(uintptr_t)entry->value.bytes, entry->value.len,
			     entry->key.bytes, entry->key.len, entry) != 0) {
		return rd_kafka_last_error();
	}
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Kafka will not take it, however often it is sent. */
static bool is_final(rd_kafka_resp_err_t why)
{
	return why == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
	       why == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
	       why == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE ||
	       why == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
	       why == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
	       why == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
	       why == RD_KAFKA_RESP_ERR_INVALID_MSG ||
	       why == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION ||
	       why == RD_KAFKA_RESP_ERR_POLICY_VIOLATION ||
	       why == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
	       why == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

static void note_problem(struct kafka_batch *batch, struct kafka_entry *entry,
			 rd_kafka_resp_err_t why)
{
	batch->failed++;
	if (!batch->problem && is_final(why)) {
		batch->problem = entry;
		batch->problem_code = why;
	}
}

enum status kafka_batch_send(struct kafka_batch *batch, rd_kafka_t *rk,
			     rd_kafka_resp_err_t *why)
{
	while (batch->sent < batch->count) {
		struct kafka_entry *entry = &batch->entries[batch->sent];
		bool after_alone =
		    batch->sent > 0 && batch->entries[batch->sent - 1].is_alone;

		if ((entry->is_alone || after_alone) && batch->outstanding > 0) {
			return ST_END;
		}
		*why = entry->is_skipped ? RD_KAFKA_RESP_ERR_NO_ERROR
					 : send_one(rk, entry);
		if (*why == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
			return ST_END;
		}
		if (*why != RD_KAFKA_RESP_ERR_NO_ERROR) {
			if (is_final(*why)) { /* of this message alone */
				entry->is_alone = true;
				batch->problem = entry;
				batch->problem_code = *why;
			}
			return ST_RETRY;
		}
		batch->outstanding += !entry->is_skipped;
		batch->sent++;
	}
	return ST_OK;
}

void kafka_batch_delivered(struct kafka_batch *batch, const rd_kafka_message_t *message)
{
	batch->outstanding -= batch->outstanding > 0;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		note_problem(batch, message->_private, message->err);
	}
}
