/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/line_batch.h"

#include <string.h>

enum status line_batch_flush(struct line_batch *batch, struct error *err)
{
	size_t len = batch->len;
	enum status status =
	    len > 0 ? batch->write(batch->context, batch->bytes, len, err) : ST_OK;

	batch->written += status == ST_OK ? batch->lines : 0;
	batch->len = 0;
	batch->lines = 0;
	return status;
}

/* Append to the batch; only a line longer than the batch does not fit. */
static enum status add_bytes(struct line_batch *batch, const char *bytes, size_t len,
			     struct error *err)
{
	if (len > sizeof batch->bytes - batch->len) {
		enum status status = line_batch_flush(batch, err);

		if (status != ST_OK) {
			return status;
		}
		if (len > sizeof batch->bytes) {
			return batch->write(batch->context, bytes, len, err);
		}
	}
	memcpy(batch->bytes + batch->len, bytes, len);
	batch->len += len;
	return ST_OK;
}

static enum status add_parts(struct line_batch *batch, const struct span *parts,
			     size_t count, struct error *err)
{
	enum status status = ST_OK;
	size_t i;

	for (i = 0; i < count && status == ST_OK; i++) {
		if (parts[i].len > 0) {
			status = add_bytes(batch, parts[i].bytes, parts[i].len, err);
		}
	}
	return status;
}

#define LITERAL(text)                    \
	(struct span)                    \
	{                                \
		(text), sizeof(text) - 1 \
	}

static struct span or_null(struct span json)
{
	return json.bytes ? json : LITERAL("null");
}

/* Upper bound of a record's line. */
static size_t record_len(const struct message *m)
{
	static const char frame[] =
	    "{\"topic\":\"\",\"key\":null,\"value\":null,\"headers\":{}}\n";
	size_t len = sizeof frame + m->topic.len + m->key.len + m->value.len;
	size_t i;

	for (i = 0; i < m->header_count; i++) {
		len += sizeof ",\"\":null" + m->headers[i].name.len +
		       m->headers[i].value.len;
	}
	return len;
}

static enum status put_record(struct line_batch *batch, const struct message *m,
			      struct error *err)
{
	const struct span parts[] = {
	    LITERAL("{\"topic\":\""),  m->topic,
	    LITERAL("\",\"key\":"),    or_null(m->key),
	    LITERAL(",\"value\":"),    or_null(m->value),
	    LITERAL(",\"headers\":{"),
	};
	const struct span end = LITERAL("}}\n");
	enum status status = add_parts(batch, parts, sizeof parts / sizeof *parts, err);
	size_t i;

	for (i = 0; i < m->header_count && status == ST_OK; i++) {
		const struct message_header *h = &m->headers[i];
		const struct span header[] = {
		    i > 0 ? LITERAL(",\"") : LITERAL("\""),
		    h->name,
		    LITERAL("\":"),
		    or_null(h->value),
		};

		status = add_parts(batch, header, sizeof header / sizeof *header, err);
	}
	return status == ST_OK ? add_parts(batch, &end, 1, err) : status;
}

static enum status put_value(struct line_batch *batch, const struct message *m,
			     struct error *err)
{
	const struct span parts[] = {m->value, LITERAL("\n")};

	return add_parts(batch, parts, sizeof parts / sizeof *parts, err);
}

enum status line_batch_put(struct line_batch *batch, const struct message *message,
			   struct error *err)
{
	enum status status;
	size_t len;

	if (!batch->record_lines && !message->value.bytes) {
		return ST_OK;
	}
	len = batch->record_lines ? record_len(message) : message->value.len + 1;
	if (len > sizeof batch->bytes - batch->len) {
		status = line_batch_flush(batch, err);
		if (status != ST_OK) {
			return status;
		}
	}
	status = batch->record_lines ? put_record(batch, message, err)
				     : put_value(batch, message, err);
	batch->lines += status == ST_OK;
	return status;
}
