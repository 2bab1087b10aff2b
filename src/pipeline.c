/* SPDX-License-Identifier: Apache-2.0 */
#include "src/pipeline.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schemas/encoder.h"
#include "schemas/table_filter.h"
#include "schemas/topic_name.h"
#include "sinks/stdout_sink.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/capture.h"
#include "src/decoder.h"
#include "src/progress.h"
#include "src/publisher.h"
#include "src/snapshot.h"
#include "src/stop.h"
#include "src/view.h"

struct pipeline {
	const struct config *config;
	struct table_filter *filter;
	struct capture *capture;
	struct captured_txn *first;
	struct view *view;
	struct encoder *encoder;
	struct sink *sink;
	struct publisher *publisher;
	struct decoder *decoder;
	struct progress progress;
	uint64_t lsn; /* decoded and handed over up to here */
};

/* ---- opening ---- */

static enum status open_sink(struct pipeline *pipeline, struct error *err)
{
	struct stdout_settings settings = {
	    .fd = STDOUT_FILENO,
	    .record_lines = pipeline->config->lines == LINES_RECORD,
	    .stop = &stop_requested,
	};

	return stdout_sink_open(&settings, &pipeline->sink, err);
}

static enum status open_encoder(struct pipeline *pipeline, struct error *err)
{
	const struct config *config = pipeline->config;
	struct encoder_settings settings = {
	    .version = ROWTAIL_VERSION,
	    .database_name = config->database_name,
	    .topic_prefix = config->topic_prefix,
	    .topic_delimiter = config->topic_delimiter,
	    .topic_transaction = config->topic_transaction,
	    .binary_mode = config->binary_mode,
	    .tombstones_on_delete = config->tombstones_on_delete,
	    .transaction_metadata = config->transaction_metadata,
	    .wants_keys = pipeline->sink->wants_keys,
	    .skip_create = config->skip_create,
	    .skip_update = config->skip_update,
	    .skip_delete = config->skip_delete,
	};

	return encoder_open(&settings, &pipeline->encoder, err);
}

static enum status open_publisher(struct pipeline *pipeline, struct error *err)
{
	const struct config *config = pipeline->config;
	struct buffer topic;
	const char *reserved = NULL;
	enum status status;

	buffer_init(&topic);
	if (config->transaction_metadata) {
		buffer_add_str(&topic, config->topic_prefix);
		buffer_add_str(&topic, config->topic_delimiter);
		buffer_add_str(&topic, config->topic_transaction);
		buffer_add_char(&topic, '\0');
		reserved = buffer_ok(&topic) ? topic.bytes : NULL;
	}
	status = publisher_open(pipeline->encoder, pipeline->sink, reserved,
				&stop_requested, &pipeline->publisher, err);
	buffer_clear(&topic);
	return status;
}

static enum status open_capture(struct pipeline *pipeline, struct error *err)
{
	const struct config *config = pipeline->config;
	struct capture_settings settings = {
	    .path = config->database_path,
	    .stop = &stop_requested,
	    .escalate = config->hold_escalate,
	    .hold_max_wal_bytes = config->hold_max_wal_bytes,
	    .journal_max_bytes = config->journal_max_bytes,
	};
	enum status status =
	    capture_open(&settings, &pipeline->capture, &pipeline->first, err);

	if (status == ST_OK) {
		status = view_open(capture_spool(pipeline->capture),
				   capture_database_fd(pipeline->capture),
				   capture_page_size(pipeline->capture),
				   pipeline->first, &pipeline->view, err);
	}
	return status;
}

/* A database whose schema is broken at start cannot be followed. */
static enum status open_decoder(struct pipeline *pipeline, struct error *err)
{
	struct decoder_events events = {
	    .context = pipeline->publisher,
	    .catalog = publisher_catalog,
	    .ddl = publisher_ddl,
	    .table = publisher_table,
	    .change = publisher_change,
	};
	enum status status = decoder_open(pipeline->view, pipeline->filter, &events,
					  &pipeline->decoder, err);

	if (status == ST_CORRUPT) {
		err->status = ST_UNFIT;
		return error_wrap(err, "%s is corrupt",
				  pipeline->config->database_path);
	}
	return status;
}

static enum status open_all(struct pipeline *pipeline, struct error *err)
{
	const struct config *config = pipeline->config;
	enum status status =
	    table_filter_open(config->table_include_list, config->table_exclude_list,
			      &pipeline->filter, err);

	if (status == ST_OK) {
		status = open_sink(pipeline, err);
	}
	if (status == ST_OK) {
		status = open_encoder(pipeline, err);
	}
	if (status == ST_OK) {
		status = open_publisher(pipeline, err);
	}
	if (status == ST_OK) {
		status = open_capture(pipeline, err);
	}
	if (status == ST_OK) {
		status = open_decoder(pipeline, err);
	}
	if (status == ST_OK) {
		pipeline->lsn = pipeline->first->lsn;
		status = capture_start(pipeline->capture, err);
	}
	return status;
}

static void close_all(struct pipeline *pipeline)
{
	decoder_close(pipeline->decoder);
	publisher_close(pipeline->publisher);
	encoder_close(pipeline->encoder);
	if (pipeline->sink) {
		pipeline->sink->close(pipeline->sink);
	}
	view_close(pipeline->view);
	if (pipeline->first) {
		capture_done(pipeline->capture, pipeline->first);
	}
	capture_close(pipeline->capture);
	table_filter_close(pipeline->filter);
}

/* ---- snapshot ---- */

static void show_progress(void *context, uint64_t rows, uint64_t pages,
			  uint64_t page_count)
{
	struct pipeline *pipeline = context;

	progress_update(&pipeline->progress, rows, pages, page_count);
}

static enum status snapshot_table(void *context, const struct table *table,
				  struct error *err)
{
	struct pipeline *pipeline = context;

	return publisher_table(pipeline->publisher, table, err);
}

static enum status snapshot_change(void *context, const struct change *change,
				   struct error *err)
{
	struct pipeline *pipeline = context;

	return publisher_change(pipeline->publisher, change, err);
}

static enum status read_rows(struct pipeline *pipeline,
			     const struct snapshot_events *events, struct error *err)
{
	const struct config *config = pipeline->config;
	struct snapshot_select *selects =
	    calloc(config->override_count + 1, sizeof *selects);
	enum status status;

	if (!selects) {
		return error_set(err, ST_NOMEM, "out of memory for the snapshot");
	}
	for (size_t i = 0; i < config->override_count; i++) {
		selects[i] = (struct snapshot_select){config->overrides[i].table,
						      config->overrides[i].sql};
	}
	status =
	    snapshot_run(view_old(pipeline->view), decoder_catalog(pipeline->decoder),
			 selects, config->override_count, events, err);
	free(selects);
	return status;
}

static enum status take_snapshot(struct pipeline *pipeline, struct error *err)
{
	struct snapshot_events events = {.context = pipeline,
					 .table = snapshot_table,
					 .change = snapshot_change,
					 .progress = show_progress};
	struct encoder_transaction txn = {
	    .lsn = pipeline->lsn, .captured_ns = clock_wall_ns(), .is_snapshot = true};
	enum status status;

	progress_start(&pipeline->progress, "snapshot",
		       pipeline->config->log_most >= LOG_INFO);
	publisher_begin(pipeline->publisher, &txn);
	status = read_rows(pipeline, &events, err);
	progress_end(&pipeline->progress);
	if (status == ST_OK) {
		status = publisher_end(pipeline->publisher, err);
	}
	if (status == ST_OK) {
		status = pipeline->sink->flush(pipeline->sink, err);
	}
	return status;
}

/* ---- following ---- */

static enum status apply(struct pipeline *pipeline, struct captured_txn *captured,
			 struct error *err)
{
	struct encoder_transaction txn = {.lsn = captured->lsn,
					  .captured_ns = captured->captured_ns};
	enum status status;

	publisher_begin(pipeline->publisher, &txn);
	status = decoder_apply(pipeline->decoder, captured, err);
	if (status == ST_OK) {
		status = publisher_end(pipeline->publisher, err);
	}
	if (status == ST_OK) {
		pipeline->lsn = captured->lsn;
	}
	capture_done(pipeline->capture, captured);
	return status;
}

/* Sleep until capture, a signal or the reader has something to say. */
static enum status wait_for_more(struct pipeline *pipeline, struct error *err)
{
	struct pollfd fds[3] = {
	    {.fd = capture_wake_fd(pipeline->capture), .events = POLLIN},
	    {.fd = stop_fd(), .events = POLLIN},
	    {.fd = pipeline->sink->watch_fd(pipeline->sink), .events = 0},
	};

	if (poll(fds, sizeof fds / sizeof *fds, -1) < 0 && errno != EINTR) {
		return error_set_errno(err, errno, "waiting for transactions");
	}
	if (fds[2].revents & (POLLERR | POLLHUP | POLLNVAL)) {
		return error_set(err, ST_CLOSED, "the reader went away");
	}
	return ST_OK;
}

static enum status follow(struct pipeline *pipeline, uint64_t until_lsn,
			  struct error *err)
{
	enum status status = ST_OK;

	while (status == ST_OK) {
		struct captured_txn *txn;

		if (stop_requested) {
			return error_set(err, ST_STOPPED, "stopped");
		}
		status = capture_next(pipeline->capture, &txn, err);
		if (status == ST_OK) {
			status = apply(pipeline, txn, err);
			continue;
		}
		if (status != ST_END) {
			break;
		}
		if (pipeline->lsn >= until_lsn) {
			return ST_OK;
		}
		status = pipeline->sink->flush(pipeline->sink, err);
		if (status == ST_OK) {
			status = wait_for_more(pipeline, err);
		}
	}
	return status;
}

static enum status run(struct pipeline *pipeline, struct error *err)
{
	const struct config *config = pipeline->config;
	uint64_t until_lsn = UINT64_MAX;
	enum status status = ST_OK;

	log_plain("following %s", config->database_path);
	if (config->snapshot_mode != SNAPSHOT_MODE_NO_DATA) {
		status = take_snapshot(pipeline, err);
	}
	if (status != ST_OK || config->snapshot_mode == SNAPSHOT_MODE_INITIAL_ONLY) {
		return status;
	}
	if (config->once) {
		status = capture_reach_now(pipeline->capture, &stop_requested,
					   &until_lsn, err);
	}
	return status == ST_OK ? follow(pipeline, until_lsn, err) : status;
}

enum status pipeline_run(const struct config *config, struct error *err)
{
	struct pipeline pipeline = {.config = config};
	struct error ignored;
	enum status status = open_all(&pipeline, err);

	if (status == ST_OK) {
		status = run(&pipeline, err);
		/* What was made goes out, whatever ended the run. */
		if (status != ST_CLOSED && status != ST_IO &&
		    pipeline.sink->flush(pipeline.sink, &ignored) != ST_OK &&
		    status == ST_OK) {
			status = ignored.status;
			*err = ignored;
		}
	}
	close_all(&pipeline);
	return status == ST_STOPPED || status == ST_CLOSED ? ST_OK : status;
}
