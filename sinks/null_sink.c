/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/null_sink.c -- messages are counted and written nowhere: what it costs to make
 * them, without what it costs to send them.
 *
 * COUNTED  Messages, and the bytes of their keys, values and headers; the total is one
 *          line of the log when a sink that was begun is closed. With --lines=record
 *          there are keys, headers and tombstones to count, as on standard output.
 * ERRORS   None but ST_NOMEM at open.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "sinks/sink_settings.h"
#include "sinks/sink_table.h"
#include "src/base/log.h"

struct null_sink {
	struct sink sink; /* first */
	bool has_begun;
	bool record_lines; /* else only values count */
	uint64_t messages, bytes;
};

static enum status null_open(const struct sink_settings *settings, struct sink **out,
			     struct error *err)
{
	struct null_sink *s = calloc(1, sizeof *s);

	if (!s) {
		return error_no_memory(err, "the count of messages");
	}
	s->sink.kind = &null_kind;
	s->record_lines = settings->record_lines;
	*out = &s->sink;
	return ST_OK;
}

static enum status null_begin(struct sink *sink, const struct sink_start *start,
			      struct error *err)
{
	(void)start;
	(void)err;
	((struct null_sink *)sink)->has_begun = true;
	return ST_OK;
}

static enum status null_put(struct sink *sink, const struct message *message,
			    struct error *err)
{
	struct null_sink *s = (struct null_sink *)sink;

	(void)err;
	if (!s->record_lines && !message->value.bytes) {
		return ST_OK;
	}
	s->messages++;
	s->bytes += message->value.len;
	if (s->record_lines) {
		s->bytes += message->key.len;
		for (size_t i = 0; i < message->header_count; i++) {
			s->bytes += message->headers[i].name.len +
				    message->headers[i].value.len;
		}
	}
	return ST_OK;
}

static enum status null_flush(struct sink *sink, struct error *err)
{
	(void)sink;
	(void)err;
	return ST_OK;
}

static void null_close(struct sink *sink)
{
	struct null_sink *s = (struct null_sink *)sink;

	if (s->has_begun) {
		log_info("null: %" PRIu64 " messages, %" PRIu64 " bytes", s->messages,
			 s->bytes);
	}
	free(s);
}

const struct sink_kind null_kind = {
    .name = "null",
    .title = "null:",
    .scheme = "null:",
    .help = "count them, write nothing and say how many at the end\n",
    .open = null_open,
    .close = null_close,
    .put = null_put,
    .flush = null_flush,
    .begin = null_begin,
};
