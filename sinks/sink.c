/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/sink.h"

#include <stddef.h>

#include "src/base/health.h"
#include "src/base/metrics.h"

#define MESSAGES_PER_LOOK 64 /* at the clock */

bool sink_wants_keys(const struct sink_kind *kind, bool record_lines)
{
	return kind->wants_keys || record_lines;
}

/* The error that there was; ST_OK: there was none. */
static enum status failed_before(const struct sink *sink, struct error *err)
{
	if (sink->failure.status != ST_OK) {
		*err = sink->failure;
	}
	return sink->failure.status;
}

static enum status keep_failure(struct sink *sink, enum status status,
				const struct error *err)
{
	if (status != ST_OK) {
		sink->failure = *err;
		sink->failure.status = status;
	}
	return status;
}

enum status sink_begin(struct sink *sink, const struct sink_start *start,
		       struct error *err)
{
	enum status status = failed_before(sink, err);

	if (status == ST_OK && sink->kind->begin) {
		status = keep_failure(sink, sink->kind->begin(sink, start, err), err);
	}
	return status;
}

enum status sink_put(struct sink *sink, const struct message *message,
		     struct error *err)
{
	enum status status = failed_before(sink, err);

	metrics_count_alone(METRIC_MESSAGES, 1);
	metrics_count_alone(METRIC_MESSAGE_BYTES,
			    message->key.len + message->value.len);
	if (status == ST_OK) {
		status = keep_failure(sink, sink->kind->put(sink, message, err), err);
	}
	if (metrics_get(METRIC_MESSAGES) % MESSAGES_PER_LOOK == 0) {
		health_goes_on();
	}
	return status;
}

enum status sink_flush(struct sink *sink, struct error *err)
{
	enum status status = failed_before(sink, err);

	return status == ST_OK ? keep_failure(sink, sink->kind->flush(sink, err), err)
			       : status;
}

enum status sink_finish(struct sink *sink, const char *reason, struct error *err)
{
	enum status status = failed_before(sink, err);

	return status == ST_OK && sink->kind->finish
		   ? keep_failure(sink, sink->kind->finish(sink, reason, err), err)
		   : status;
}

int sink_wake_ms(const struct sink *sink)
{
	return sink->kind->wake_ms ? sink->kind->wake_ms(sink) : -1;
}

bool sink_wants_flush(const struct sink *sink)
{
	return sink->kind->wants_flush && sink->kind->wants_flush(sink);
}

int sink_watch_fd(const struct sink *sink)
{
	return sink->kind->watch_fd ? sink->kind->watch_fd(sink) : -1;
}

const char *sink_own_topic(const struct sink *sink)
{
	return sink->kind->own_topic ? sink->kind->own_topic(sink) : NULL;
}

void sink_close(struct sink *sink)
{
	if (sink) {
		sink->kind->close(sink);
	}
}
