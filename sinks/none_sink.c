/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/none_sink.c -- nobody wants messages: a run that only keeps a state directory,
 * for an archive.
 *
 * ERRORS  None but ST_NOMEM at open.
 */
#include <stdlib.h>

#include "sinks/sink_settings.h"
#include "sinks/sink_table.h"

static enum status none_open(const struct sink_settings *settings, struct sink **out,
			     struct error *err)
{
	struct sink *sink = calloc(1, sizeof *sink);

	(void)settings;
	if (!sink) {
		return error_no_memory(err, "a sink");
	}
	sink->kind = &none_kind;
	*out = sink;
	return ST_OK;
}

static enum status none_begin(struct sink *sink, const struct sink_start *start,
			      struct error *err)
{
	(void)sink;
	(void)start;
	(void)err;
	return ST_OK;
}

static enum status none_put(struct sink *sink, const struct message *message,
			    struct error *err)
{
	(void)sink;
	(void)message;
	(void)err;
	return ST_OK;
}

static enum status none_flush(struct sink *sink, struct error *err)
{
	(void)sink;
	(void)err;
	return ST_OK;
}

static void none_close(struct sink *sink)
{
	free(sink);
}

const struct sink_kind none_kind = {
    .name = "none",
    .title = "none",
    .scheme = "none",
    .help = "write no events, only the archive\n",
    .wants_nothing = true,
    .open = none_open,
    .close = none_close,
    .put = none_put,
    .flush = none_flush,
    .begin = none_begin,
};
