/* SPDX-License-Identifier: Apache-2.0 */
#include "src/pipeline.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "schemas/encoder.h"
#include "schemas/table_filter.h"
#include "schemas/topic_name.h"
#include "sinks/file_sink.h"
#include "sinks/stdout_sink.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/capture.h"
#include "src/decoder.h"
#include "src/last_error.h"
#include "src/progress.h"
#include "src/publisher.h"
#include "src/snapshot.h"
#include "src/stop.h"
#include "src/store.h"
#include "src/view.h"

/* So long --once waits for room on a full disk. */
#define ONCE_PATIENCE_NS (60 * NS_PER_S)

/* Where a transaction begins in the lines of stdout: a run that ends while its reader
 * stands still, or is gone, has to know which line was the last one. */
struct sent_mark {
	uint64_t lines;
	struct state_position position; /* before it; .messages: of it, left out */
};

#define FLUSH_TXNS 1000 /* the position moves at least so often */

struct pipeline {
	const struct config *config;
	struct table_filter *filter;
	struct store *store; /* NULL: no state directory */
	uint64_t settings_hash;
	struct capture *capture;
	struct captured_txn *first; /* NULL with a store */
	struct view *view;
	struct encoder *encoder;
	struct sink *sink;
	struct publisher *publisher;
	struct decoder *decoder;
	struct progress progress;
	struct captured_txn *recovered; /* the next of the store's, if any */
	uint64_t lsn;                   /* decoded and handed over up to here */
	bool is_restored;               /* the position is the store's */
	bool in_snapshot;               /* the rows that are there are not all out */
	bool in_transaction;            /* between publisher_begin and _end */
	struct sent_mark *marks;        /* transactions since the last flush */
	size_t mark_total, mark_cap;
};

/* ---- opening ---- */

static enum status file_acknowledged(void *context, bool durable, struct error *err);

static enum status open_file_sink(struct pipeline *pipeline, struct error *err)
{
	const struct config *config = pipeline->config;
	struct file_settings settings = {
	    .path = config->sink_path,
	    .database_path = config->database_path,
	    .record_lines = config->lines == LINES_RECORD,
	    .stop = &stop_requested,
	    .reopen = &reopen_requested,
	    .patience_ns = config->once ? ONCE_PATIENCE_NS : 0,
	    .acknowledged = file_acknowledged,
	    .context = pipeline,
	};
	enum status status = stop_catch_hangup(err);

	return status == ST_OK ? file_sink_open(&settings, &pipeline->sink, err)
			       : status;
}

static enum status store_written(void *context, struct error *err);

static enum status open_sink(struct pipeline *pipeline, struct error *err)
{
	struct stdout_settings settings = {
	    .fd = STDOUT_FILENO,
	    .record_lines = pipeline->config->lines == LINES_RECORD,
	    .stop = &stop_requested,
	    .written = pipeline->config->state_path ? store_written : NULL,
	    .context = pipeline,
	};

	if (pipeline->config->sink == SINK_FILE) {
		return open_file_sink(pipeline, err);
	}
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
	    .store = pipeline->store,
	};

	return capture_open(&settings, &pipeline->capture, &pipeline->first, err);
}

/* Without a store: over the database file. */
static enum status open_view(struct pipeline *pipeline, struct error *err)
{
	enum status status = view_open(capture_spool(pipeline->capture),
				       capture_database_fd(pipeline->capture),
				       capture_page_size(pipeline->capture),
				       pipeline->first, &pipeline->view, err);

	pipeline->lsn = pipeline->first->lsn;
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

/* ---- with a state directory ---- */

static void hash_text(XXH3_state_t *state, const char *text)
{
	const char *present = text ? text : "\x01";

	(void)XXH3_64bits_update(state, present, strlen(present) + 1);
}

/* Of all that shapes the sequence of messages. */
static uint64_t hash_settings(const struct config *config)
{
	XXH3_state_t *state = XXH3_createState();
	uint64_t hash = 0;
	const bool flags[] = {
	    config->transaction_metadata,  config->tombstones_on_delete,
	    config->lines == LINES_RECORD, config->skip_create,
	    config->skip_update,           config->skip_delete};

	if (!state) {
		return 0;
	}
	(void)XXH3_64bits_reset(state);
	hash_text(state, config->topic_prefix);
	hash_text(state, config->topic_delimiter);
	hash_text(state, config->topic_transaction);
	hash_text(state, config->table_include_list);
	hash_text(state, config->table_exclude_list);
	for (size_t i = 0; i < config->override_count; i++) {
		hash_text(state, config->overrides[i].table);
		hash_text(state, config->overrides[i].sql);
	}
	(void)XXH3_64bits_update(state, flags, sizeof flags);
	(void)XXH3_64bits_update(state, &config->binary_mode,
				 sizeof config->binary_mode);
	hash = XXH3_64bits_digest(state);
	(void)XXH3_freeState(state);
	return hash;
}

static enum status open_store(struct pipeline *pipeline, struct error *err)
{
	const struct config *config = pipeline->config;
	char *real = realpath(config->database_path, NULL);
	enum status status;

	if (!real && config->state_is_default) { /* make no folder for a misspelling */
		return error_set(err, ST_UNFIT, "%s: %s; give the path of a database",
				 config->database_path,
				 errno == ENOENT ? "no such file" : strerror(errno));
	}
	status = store_open(config->state_path, real ? real : config->database_path,
			    &pipeline->store, err);

	free(real);
	return status;
}

static void show_copy(void *context, uint32_t pages, uint32_t page_count)
{
	struct pipeline *pipeline = context;

	progress_update(&pipeline->progress, pages, pages, page_count);
}

/* Bring what was captured up to `lsn` into the base. */
static enum status absorb_until(struct pipeline *pipeline, uint64_t lsn,
				struct error *err)
{
	enum status status = ST_OK;

	while (status == ST_OK && pipeline->lsn < lsn) {
		struct captured_txn *txn;
		struct pollfd fds[2] = {
		    {.fd = capture_wake_fd(pipeline->capture), .events = POLLIN},
		    {.fd = stop_fd(), .events = POLLIN},
		};

		status = capture_next(pipeline->capture, &txn, err);
		if (status == ST_END) {
			(void)poll(fds, 2, -1);
			status = stop_requested ? error_set(err, ST_STOPPED, "stopped")
						: ST_OK;
		} else if (status == ST_OK) {
			pipeline->lsn = txn->lsn;
			capture_done(pipeline->capture, txn);
			status = store_absorb(pipeline->store, txn, err);
		}
	}
	return status;
}

/* A first start: copy the database while capture runs, and add what came meanwhile. */
static enum status make_base(struct pipeline *pipeline, struct error *err)
{
	struct store_copy copy = {
	    .source_fd = capture_database_fd(pipeline->capture),
	    .first = pipeline->first,
	    .stop = &stop_requested,
	    .progress = show_copy,
	    .context = pipeline,
	};
	struct state_position position = {
	    .in_snapshot = pipeline->config->snapshot_mode != SNAPSHOT_MODE_NO_DATA,
	    .previous_lsn = ENCODER_NO_LSN,
	    .settings_hash = pipeline->settings_hash,
	};
	uint64_t lsn = 0;
	enum status status;

	pipeline->lsn = pipeline->first->lsn;
	progress_start(&pipeline->progress, "copy",
		       pipeline->config->log_most >= LOG_INFO);
	status = store_copy_base(pipeline->store, &copy, err);
	progress_end(&pipeline->progress);
	if (status == ST_OK) {
		status = store_absorb(pipeline->store, pipeline->first, err);
		pipeline->first = NULL;
	}
	if (status == ST_OK) {
		status =
		    capture_reach_now(pipeline->capture, &stop_requested, &lsn, err);
	}
	if (status == ST_OK) {
		status = absorb_until(pipeline, lsn, err);
	}
	position.lsn = pipeline->lsn;
	return status == ST_OK ? store_begin(pipeline->store, &position, err) : status;
}

/* The view as of A: over the base lie the transactions that were acknowledged. */
static enum status open_view_of_store(struct pipeline *pipeline, struct error *err)
{
	struct captured_txn base = {
	    .lsn = store_base_lsn(pipeline->store),
	    .page_count = store_base_pages(pipeline->store),
	};
	enum status status = view_open(
	    capture_spool(pipeline->capture), store_base_fd(pipeline->store),
	    capture_page_size(pipeline->capture), &base, &pipeline->view, err);

	if (status != ST_OK) {
		return status;
	}
	view_use_store(pipeline->view, store_check_page, pipeline->store);
	pipeline->lsn = base.lsn;
	while (status == ST_OK &&
	       (pipeline->recovered = store_next_recovered(pipeline->store)) != NULL &&
	       pipeline->recovered->lsn <= store_position(pipeline->store)->lsn) {
		struct captured_txn *txn = pipeline->recovered;

		pipeline->recovered = NULL;
		pipeline->lsn = txn->lsn;
		status = view_begin(pipeline->view, txn, err);
		if (status == ST_OK) {
			view_end(pipeline->view);
		}
		store_keep(pipeline->store, txn);
	}
	return status;
}

/* Number events as before, and do not send again what was acknowledged. */
static void restore_position(struct pipeline *pipeline)
{
	const struct state_position *at = store_position(pipeline->store);

	encoder_restore(pipeline->encoder, at->txn_change_id, at->previous_lsn);
	if (at->settings_hash == pipeline->settings_hash) {
		publisher_skip(pipeline->publisher, at->messages);
	} else {
		log_warn("%s: the settings differ from those of the last run%s",
			 pipeline->config->state_path,
			 at->messages > 0 ? "; the transaction that it was in is sent "
					    "again from its beginning"
					  : "");
	}
}

/* A: everything that was given to the sink, which has been flushed. */
static enum status store_acknowledged(struct pipeline *pipeline, struct error *err)
{
	struct state_position position = {
	    .lsn = pipeline->lsn,
	    .in_snapshot = pipeline->in_snapshot,
	    .change_id = encoder_change_id(pipeline->encoder),
	    .txn_change_id = encoder_change_id(pipeline->encoder),
	    .previous_lsn = encoder_previous_lsn(pipeline->encoder),
	    .settings_hash = pipeline->settings_hash,
	};

	if (!pipeline->store || !pipeline->is_restored) {
		return ST_OK;
	}
	if (pipeline->in_transaction) {
		struct publisher_mark mark = publisher_mark(pipeline->publisher);

		position.messages = mark.messages;
		position.txn_change_id = mark.change_id;
		position.previous_lsn = mark.previous_lsn;
	}
	/* A stop may come before the place is reached that the run goes on from. */
	if (position.messages < publisher_skipped(pipeline->publisher)) {
		position.messages = publisher_skipped(pipeline->publisher);
	}
	if (pipeline->config->sink == SINK_FILE) {
		struct file_place place = file_sink_place(pipeline->sink);

		position.sink_inode = place.inode;
		position.sink_length = place.length;
		position.sink_start = place.start;
		position.sink_proof = place.proof;
	}
	return store_put_position(pipeline->store, &position, err);
}

static enum status file_acknowledged(void *context, bool durable, struct error *err)
{
	struct pipeline *pipeline = context;
	enum status status = store_acknowledged(pipeline, err);

	return status == ST_OK && durable ? store_sync_position(pipeline->store, err)
					  : status;
}

/* At the beginning of a transaction. */
static enum status mark_start(struct pipeline *pipeline, struct error *err)
{
	const struct publisher_mark mark = publisher_mark(pipeline->publisher);

	if (!pipeline->store || pipeline->config->sink != SINK_STDOUT) {
		return ST_OK;
	}
	if (pipeline->mark_total == pipeline->mark_cap) {
		size_t cap = pipeline->mark_cap ? 2 * pipeline->mark_cap : 64;
		void *grown =
		    reallocarray(pipeline->marks, cap, sizeof *pipeline->marks);

		if (!grown) {
			return error_set(err, ST_NOMEM, "out of memory");
		}
		pipeline->marks = grown;
		pipeline->mark_cap = cap;
	}
	pipeline->marks[pipeline->mark_total++] = (struct sent_mark){
	    .lines = stdout_sink_put_lines(pipeline->sink),
	    .position = {.lsn = pipeline->lsn,
			 .messages = publisher_skipped(pipeline->publisher),
			 .in_snapshot = pipeline->in_snapshot,
			 .change_id = mark.change_id,
			 .txn_change_id = mark.change_id,
			 .previous_lsn = mark.previous_lsn,
			 .settings_hash = pipeline->settings_hash}};
	return ST_OK;
}

/* A when not everything that was put could be written: the last whole line. */
static enum status store_written(void *context, struct error *err)
{
	struct pipeline *pipeline = context;
	uint64_t written = stdout_sink_written_lines(pipeline->sink);
	const struct sent_mark *last = NULL;
	struct state_position position;

	for (size_t i = 0; i < pipeline->mark_total; i++) {
		if (pipeline->marks[i].lines <= written) {
			last = &pipeline->marks[i];
		}
	}
	if (!last || !pipeline->is_restored) {
		return ST_OK;
	}
	position = last->position;
	position.messages += written - last->lines;
	return store_put_position(pipeline->store, &position, err);
}

/* Bring the file to what was acknowledged, and store where it stands. */
static enum status resume_file(struct pipeline *pipeline, struct error *err)
{
	struct state_position position = *store_position(pipeline->store);
	struct file_place place = {.inode = position.sink_inode,
				   .length = position.sink_length,
				   .start = position.sink_start,
				   .proof = position.sink_proof};
	bool at_start =
	    position.messages > 0 && position.settings_hash != pipeline->settings_hash;
	enum status status = file_sink_resume(pipeline->sink, &place, at_start, err);

	if (status != ST_OK) {
		return status;
	}
	place = file_sink_place(pipeline->sink);
	position.sink_inode = place.inode;
	position.sink_length = place.length;
	position.sink_start = place.start;
	position.sink_proof = place.proof;
	if (at_start) {
		position.messages = 0;
		position.change_id = position.txn_change_id;
	}
	status = store_put_position(pipeline->store, &position, err);
	return status == ST_OK ? store_sync_position(pipeline->store, err) : status;
}

/* Everything that was put is out: the position moves, and the base may. */
static enum status flush(struct pipeline *pipeline, struct error *err)
{
	enum status status = pipeline->sink->flush(pipeline->sink, err);

	if (status == ST_OK) {
		pipeline->mark_total = 0;
		status = store_acknowledged(pipeline, err);
	}
	if (status == ST_OK && pipeline->store && !pipeline->in_transaction) {
		status = store_fold(pipeline->store, pipeline->view, false, err);
	}
	return status;
}

/* ---- opening and closing all ---- */

static enum status open_base(struct pipeline *pipeline, struct error *err)
{
	enum status status;

	if (!pipeline->store) {
		return open_view(pipeline, err);
	}
	status = capture_start(pipeline->capture, err);
	if (status == ST_OK && store_is_new(pipeline->store)) {
		status = make_base(pipeline, err);
	}
	if (status == ST_OK) {
		status = open_view_of_store(pipeline, err);
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
	if (status == ST_OK && config->state_path) {
		pipeline->settings_hash = hash_settings(config);
		status = open_store(pipeline, err);
	}
	if (status == ST_OK) {
		status = open_capture(pipeline, err);
	}
	if (status == ST_OK) {
		status = open_base(pipeline, err);
	}
	if (status == ST_OK) {
		status = open_decoder(pipeline, err);
	}
	if (status == ST_OK && config->sink == SINK_FILE) {
		restore_position(pipeline);
		status = resume_file(pipeline, err);
	} else if (status == ST_OK && pipeline->store) {
		restore_position(pipeline);
	}
	if (status == ST_OK && pipeline->store) {
		pipeline->in_snapshot = store_position(pipeline->store)->in_snapshot;
		pipeline->is_restored = true;
	} else if (status == ST_OK) {
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
	if (pipeline->store) {
		free(pipeline->first);
	}
	free(pipeline->recovered);
	capture_close(pipeline->capture);
	store_close(pipeline->store);
	table_filter_close(pipeline->filter);
	free(pipeline->marks);
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
	    .lsn = pipeline->lsn,
	    .captured_ns =
		pipeline->store ? store_begun_ns(pipeline->store) : clock_wall_ns(),
	    .is_snapshot = true};
	enum status status;

	progress_start(&pipeline->progress, "snapshot",
		       pipeline->config->log_most >= LOG_INFO);
	publisher_begin(pipeline->publisher, &txn);
	pipeline->in_transaction = true;
	status = mark_start(pipeline, err);
	if (status != ST_OK) {
		return status;
	}
	status = read_rows(pipeline, &events, err);
	progress_end(&pipeline->progress);
	if (status == ST_OK) {
		status = publisher_end(pipeline->publisher, err);
	}
	if (status == ST_OK) {
		pipeline->in_transaction = false;
		pipeline->in_snapshot = false;
		status = flush(pipeline, err);
	}
	return status;
}

/* ---- following ---- */

static enum status apply(struct pipeline *pipeline, struct captured_txn *captured,
			 struct error *err)
{
	struct encoder_transaction txn = {.lsn = captured->lsn,
					  .captured_ns = captured->captured_ns,
					  .is_catch_up = captured->is_catch_up};
	enum status status;

	publisher_begin(pipeline->publisher, &txn);
	pipeline->in_transaction = true;
	status = mark_start(pipeline, err);
	if (status == ST_OK) {
		status = decoder_apply(pipeline->decoder, captured, err);
	}
	if (status == ST_OK) {
		status = publisher_end(pipeline->publisher, err);
	}
	if (status == ST_OK) {
		pipeline->lsn = captured->lsn;
		pipeline->in_transaction = false;
	}
	capture_done(pipeline->capture, captured);
	if (pipeline->store && status == ST_OK) {
		store_keep(pipeline->store, captured);
	} else if (pipeline->store) {
		free(captured);
	}
	return status;
}

/* From the last run first, then what is captured. */
static enum status next_txn(struct pipeline *pipeline, struct captured_txn **txn,
			    struct error *err)
{
	if (pipeline->recovered) {
		*txn = pipeline->recovered;
		pipeline->recovered = store_next_recovered(pipeline->store);
		return ST_OK;
	}
	return capture_next(pipeline->capture, txn, err);
}

/* Sleep until capture, a signal or the reader has something to say. */
static enum status wait_for_more(struct pipeline *pipeline, struct error *err)
{
	struct pollfd fds[4] = {
	    {.fd = capture_wake_fd(pipeline->capture), .events = POLLIN},
	    {.fd = stop_fd(), .events = POLLIN},
	    {.fd = pipeline->sink->watch_fd(pipeline->sink), .events = 0},
	    {.fd = reopen_fd(), .events = POLLIN},
	};

	if (poll(fds, sizeof fds / sizeof *fds, -1) < 0 && errno != EINTR) {
		return error_set_errno(err, errno, "waiting for transactions");
	}
	if (fds[2].revents & (POLLERR | POLLHUP | POLLNVAL)) {
		return error_set(err, ST_CLOSED, "the reader went away");
	}
	if (fds[3].revents & POLLIN) {
		reopen_seen();
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
		status = next_txn(pipeline, &txn, err);
		if (status == ST_OK) {
			status = apply(pipeline, txn, err);
			if (status == ST_OK && pipeline->store &&
			    (store_wants_fold(pipeline->store) ||
			     pipeline->mark_total >= FLUSH_TXNS)) {
				status = flush(pipeline, err);
			}
			continue;
		}
		if (status != ST_END) {
			break;
		}
		status = flush(pipeline, err);
		if (pipeline->lsn >= until_lsn) {
			return status;
		}
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
	if (pipeline->store ? pipeline->in_snapshot
			    : config->snapshot_mode != SNAPSHOT_MODE_NO_DATA) {
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

/* What was made goes out, whatever ended the run, and the position is stored. */
static enum status finish(struct pipeline *pipeline, enum status ended,
			  struct error *err)
{
	enum status status = ST_OK;

	if (ended != ST_CLOSED && ended != ST_IO) {
		status = pipeline->sink->flush(pipeline->sink, err);
	}
	if (!pipeline->store) {
		return status;
	}
	if (pipeline->config->sink == SINK_STDOUT) {
		struct error ignored;
		enum status stored = store_written(pipeline, &ignored);

		return status == ST_OK ? stored : status;
	}
	return status == ST_OK ? store_acknowledged(pipeline, err) : status;
}

/* For rowtail status: why the run ended. */
static void note_failure(const struct pipeline *pipeline, enum status status,
			 const struct error *err)
{
	if (pipeline->store && status != ST_OK && status != ST_STOPPED &&
	    status != ST_CLOSED) {
		last_error_write(store_folder(pipeline->store), err->text);
	}
}

enum status pipeline_run(const struct config *config, struct error *err)
{
	struct pipeline pipeline = {.config = config};
	struct error ignored;
	enum status status = open_all(&pipeline, err);

	if (status == ST_OK) {
		if (pipeline.store) {
			last_error_remove(store_folder(pipeline.store));
		}
		status = run(&pipeline, err);
		if (finish(&pipeline, status, &ignored) != ST_OK && status == ST_OK) {
			status = ignored.status;
			*err = ignored;
		}
	}
	if (status == ST_OK || status == ST_STOPPED || status == ST_CLOSED) {
		capture_stop_clean(pipeline.capture);
	}
	note_failure(&pipeline, status, err);
	close_all(&pipeline);
	return status == ST_STOPPED || status == ST_CLOSED ? ST_OK : status;
}
