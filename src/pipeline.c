/* SPDX-License-Identifier: Apache-2.0 */
#include "src/pipeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "btree/db_header.h"
#include "src/archive/archived.h"
#include "src/asked.h"
#include "src/base/clock.h"
#include "src/base/health.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/stop.h"
#include "src/capture/wal_events.h"
#include "src/decode/snapshot.h"
#include "src/history/temporary.h"
#include "src/state/durable.h"
#include "src/state/same_database.h"

#define ARCHIVE_POLL_NS NS_PER_S /* between two looks for new files */

/* ---- opening ---- */

/* Progress is neither a line of the log nor JSON. */
static bool shows_progress(const struct pipeline *pipeline)
{
	return pipeline->config->log_most >= LOG_INFO && !pipeline->config->log_json;
}

static void show_pages(struct pipeline *pipeline, const char *what, uint32_t pages,
		       uint32_t page_count)
{
	if (!pipeline->progress.what) {
		progress_start(&pipeline->progress, what, "pages",
			       shows_progress(pipeline));
	}
	progress_update(&pipeline->progress, pages, pages, page_count);
	if (pages >= page_count) {
		progress_end(&pipeline->progress);
		pipeline->progress.what = NULL;
	}
}

/* capture_open compares. */
static void show_comparison(void *context, uint32_t pages, uint32_t page_count)
{
	show_pages(context, "comparison", pages, page_count);
}

static enum status open_capture(struct pipeline *pipeline, struct error *err)
{
	enum status status;
	const struct config *config = pipeline->config;
	struct capture_settings settings = {
	    .path = config->database_path,
	    .stop = &stop_requested,
	    .is_once = config->once,
	    .escalate = config->hold_escalate,
	    .names_writers = config->encoder.audit_process,
	    .hold_max_wal_bytes = config->hold_max_wal_bytes,
	    .history = pipeline->history,
	    .progress = show_comparison,
	    .context = pipeline,
	    .least_lsn = delivery_floor(pipeline->delivery).lsn,
	};

	if (pipeline->archiver &&
	    archiver_least_lsn(pipeline->archiver) > settings.least_lsn) {
		settings.least_lsn = archiver_least_lsn(pipeline->archiver);
	}
	status = capture_open(&settings, &pipeline->capture, &pipeline->first, err);
	if (status == ST_OK) {
		pipeline->source = capture_source(pipeline->capture);
	}
	return status;
}

static enum status open_archive(struct pipeline *pipeline, struct error *err)
{
	const struct config *config = pipeline->config;
	struct archived_settings settings = {
	    .location = config->archive,
	    .storage = &config->storage,
	    .follows = config->follow,
	    .poll_ns = ARCHIVE_POLL_NS,
	    .history = pipeline->history,
	    .page_size = pipeline->kept->page_size,
	    .stop = &stop_requested,
	    .reads_all = config->snapshot_mode != SNAPSHOT_MODE_NO_DATA,
	    .is_after_turn = pipeline->turn_txid > 0 || pipeline->is_said,
	    .progress = &pipeline->progress,
	};
	int64_t now_ns = clock_wall_ns();
	enum status status =
	    when_parse_option("--from", config->from ? config->from : "first", now_ns,
			      &settings.from, err);

	if (status == ST_OK) {
		status = when_parse_option("--until",
					   config->until ? config->until : "latest",
					   now_ns, &settings.until, err);
	}
	if (status != ST_OK) {
		return status;
	}
	if (pipeline->turn_txid > 0) {
		settings.from = (struct when){
		    .kind = WHEN_TXID, .txid = pipeline->turn_txid, .option = "--from"};
	}
	if (config->from && !pipeline->kept->is_new && !pipeline->is_said) {
		log_warn("--from %s counts at the first start with a state directory; "
			 "%s goes on from where it is",
			 config->from, quote(config->state_path).text);
	}
	progress_start(&pipeline->progress, "restore", "MB", shows_progress(pipeline));
	status = archived_open(&settings, &pipeline->source, &pipeline->first, err);
	progress_end(&pipeline->progress);
	pipeline->progress.what = NULL;
	return status;
}

static enum status open_source(struct pipeline *pipeline, struct error *err)
{
	return pipeline->config->archive ? open_archive(pipeline, err)
					 : open_capture(pipeline, err);
}

/* A database whose schema is broken at start cannot be followed. */
static enum status open_decoder(struct pipeline *pipeline, struct error *err)
{
	struct decoder_events events;
	enum status status = on_demand_open(pipeline->config, pipeline->delivery,
					    &pipeline->on_demand, err);

	if (status == ST_OK) {
		events = on_demand_events(pipeline->on_demand);
		status = decoder_open(pipeline->history->view, pipeline->filter,
				      &events, &pipeline->decoder, err);
	}
	return status == ST_CORRUPT ? asked_unfit(pipeline->config, err) : status;
}

/* ---- with a state directory, or without ---- */

static enum status open_state(struct pipeline *pipeline, struct state **state,
			      struct error *err)
{
	const struct config *config = pipeline->config;
	char *real = config->archive ? strdup(config->archive_place)
				     : realpath(config->database_path, NULL);
	enum status status;

	if (!real) {
		return error_set(err, ST_UNFIT, "%s: %s; give the path of a database",
				 config->database_path,
				 errno == ENOENT ? "no such file" : strerror(errno));
	}
	status = same_database_check_place(real, config->state_path, err);
	if (status == ST_OK) {
		status = state_open(config->state_path, real, pipeline->follows_path,
				    state, err);
	}
	free(real);
	return status;
}

static enum status open_archiver(struct pipeline *pipeline, const struct state *state,
				 struct error *err)
{
	const struct config *config = pipeline->config;
	struct archiver_settings settings = {
	    .location = config->archive_to,
	    .storage = &config->storage,
	    .database = config->database_name,
	    .state_fd = state_dir_fd(state->dir),
	    .state_path = config->state_path,
	    .is_new = state->kept.is_new,
	    .takes_over = config->archive_take_over,
	    .interval_ms = config->archive_interval_ms,
	    .policy = &config->policy,
	    .stop = &stop_requested,
	};
	enum status status = archiver_open(&settings, &pipeline->archiver, err);

	if (status == ST_OK) {
		pipeline->history->listener = archiver_listener(pipeline->archiver);
	}
	return status;
}

static enum status open_durable(struct pipeline *pipeline, uint64_t max_bytes,
				struct error *err)
{
	const struct config *config = pipeline->config;
	struct state *state;
	enum status status = open_state(pipeline, &state, err);

	if (status != ST_OK) {
		return status;
	}
	pipeline->kept = &state->kept;
	status = durable_open(state, max_bytes, &pipeline->history, err);
	return status == ST_OK && config->archive_to
		   ? open_archiver(pipeline, state, err)
		   : status;
}

static enum status open_temporary(struct pipeline *pipeline, uint64_t max_bytes,
				  struct error *err)
{
	enum status status = kept_nowhere_open(&pipeline->kept, err);

	return status == ST_OK ? temporary_open(max_bytes, &pipeline->history, err)
			       : status;
}

/* ---- the first view ---- */

static void show_copy(void *context, uint32_t pages, uint32_t page_count)
{
	show_pages(context, "copy", pages, page_count);
}

static enum status reach_copied(void *context, uint64_t *lsn, struct error *err)
{
	const struct pipeline *pipeline = context;

	return pipeline->source->reach_copied(pipeline->source, &stop_requested, lsn,
					      err);
}

static enum status open_view(struct pipeline *pipeline, struct error *err)
{
	struct history_base base = {
	    .pages = pipeline->source->pages,
	    .source_fd = pipeline->source->fd,
	    .page_size = pipeline->source->page_size,
	    .begun_ns = pipeline->source->begun_ns,
	    .stop = &stop_requested,
	    .stop_fd = stop_fd(),
	    .progress = show_copy,
	    .reach = reach_copied,
	    .context = pipeline,
	};
	struct captured_txn *first = pipeline->first;
	enum status status;

	pipeline->first = NULL;
	status = pipeline->history->open_view(pipeline->history, &base, first,
					      &pipeline->lsn, err);
	progress_end(&pipeline->progress);
	pipeline->progress.what = NULL;
	return status;
}

/* ---- opening and closing all ---- */

static void say_so(void *context)
{
	pipeline_say_following(context);
}

/* Settle with the sink where to go on. */
static enum status claim(struct pipeline *pipeline, struct error *err)
{
	/* A new position holds nothing yet. */
	void (*waits)(void *context) = pipeline->kept->is_new ? NULL : say_so;
	enum status status = delivery_claim(pipeline->delivery, pipeline->kept, waits,
					    pipeline, &pipeline->starts_over, err);

	if (status == ST_OK && pipeline->starts_over) {
		status = state_dir_forget(state_of(pipeline->kept)->dir, err);
		if (status == ST_OK) {
			status = error_set(err, ST_RETRY, "starting over");
		}
	}
	return status;
}

/* ST_RETRY: the state directory is to be brought to the database's page size first. */
static enum status check_page_size(struct pipeline *pipeline, struct error *err)
{
	uint32_t kept = pipeline->kept->page_size;
	/* Of an archive it is asked file by file. */
	uint32_t page_size = kept > 0 && !pipeline->config->archive
				 ? database_page_size(pipeline->config->database_path)
				 : 0;

	if (page_size == 0 || page_size == kept) {
		return ST_OK;
	}
	pipeline->page_size = page_size;
	return error_set(err, ST_RETRY, "the database has another page size");
}

static struct asked asked_of(const struct pipeline *pipeline)
{
	return (struct asked){.config = pipeline->config,
			      .filter = pipeline->filter,
			      .rules = delivery_rules(pipeline->delivery)};
}

/* Check what was asked for before the first copy of a database is made. */
static enum status check_first(struct pipeline *pipeline, struct error *err)
{
	struct asked asked = asked_of(pipeline);

	if (!pipeline->history->copies || pipeline->is_said) {
		return ST_OK;
	}
	return asked_check_first(&asked, pipeline->history->spool, pipeline->source,
				 pipeline->first, &pipeline->is_checked, err);
}

/* Check what was asked for against what is there, when it is opened for the first
 * time. */
static enum status check_asked(const struct pipeline *pipeline, struct error *err)
{
	const struct config *config = pipeline->config;
	struct asked asked = asked_of(pipeline);

	if (pipeline->is_said) {
		return ST_OK;
	}
	asked_warn_of_snapshot(config, pipeline->kept);
	return pipeline->is_checked
		   ? ST_OK
		   : asked_check(&asked, decoder_catalog(pipeline->decoder), err);
}

static enum status restore(struct pipeline *pipeline, struct error *err)
{
	enum status status = delivery_restore(pipeline->delivery, pipeline->lsn,
					      pipeline->history->chain, err);

	return status == ST_OK
		   ? on_demand_start(pipeline->on_demand, &pipeline->history,
				     &pipeline->source, pipeline->decoder, err)
		   : status;
}

/* What this run asks for otherwise than the last one. */
static enum status ask_first(struct pipeline *pipeline, struct error *err)
{
	return pipeline->is_said
		   ? ST_OK
		   : on_demand_ask_first(pipeline->on_demand, pipeline->kept, err);
}

static enum status open_filter(struct pipeline *pipeline, struct error *err)
{
	return asked_filter_open(pipeline->config, &pipeline->filter, err);
}

enum status pipeline_open(struct pipeline *pipeline, struct sink_floor floor,
			  struct error *err)
{
	const struct config *config = pipeline->config;
	enum status status =
	    config->encoder.audit_process ? wal_events_check(err) : ST_OK;

	if (status == ST_OK) {
		status = on_demand_check(config, err);
	}
	if (status == ST_OK) {
		status = open_filter(pipeline, err);
	}
	if (status == ST_OK) {
		status = delivery_open(config, &pipeline->delivery, err);
	}
	if (status == ST_OK) {
		delivery_tell_outages(
		    pipeline->delivery,
		    (struct delivery_listener){pipeline_say_outage, pipeline});
		delivery_raise_floor(pipeline->delivery, floor);
		status = config->state_path
			     ? open_durable(pipeline, config->journal_max_bytes, err)
			     : open_temporary(pipeline, config->journal_max_bytes, err);
	}
	if (status == ST_OK) {
		status = check_page_size(pipeline, err);
	}
	if (status == ST_OK && pipeline->kept->is_new) {
		status = claim(pipeline, err);
	}
	if (status == ST_OK) {
		status = open_source(pipeline, err);
	}
	if (status == ST_OK) {
		status = check_first(pipeline, err);
	}
	if (status == ST_OK) {
		status = pipeline->source->start(pipeline->source, err);
	}
	/* From here on changes are captured, whatever the sink is doing. */
	if (status == ST_OK && !pipeline->kept->is_new) {
		status = claim(pipeline, err);
	}
	if (status == ST_OK) {
		status = open_view(pipeline, err);
	}
	if (status == ST_OK) {
		status = open_decoder(pipeline, err);
	}
	if (status == ST_OK) {
		status = check_asked(pipeline, err);
	}
	if (status == ST_OK) {
		status = restore(pipeline, err);
	}
	return status == ST_OK ? ask_first(pipeline, err) : status;
}

void pipeline_close(struct pipeline *pipeline)
{
	progress_end(&pipeline->progress);
	decoder_close(pipeline->decoder);
	on_demand_close(pipeline->on_demand);
	delivery_close(pipeline->delivery);
	captured_txn_free(pipeline->first);
	if (pipeline->source) {
		pipeline->source->close(pipeline->source);
	}
	if (pipeline->history) {
		pipeline->history->close(pipeline->history);
	}
	archiver_close(pipeline->archiver);
	if (pipeline->kept) {
		pipeline->kept->close(pipeline->kept);
	}
	table_filter_close(pipeline->filter);
}

enum status pipeline_open_to_drain(struct pipeline *pipeline, struct error *err)
{
	const struct config *config = pipeline->config;
	enum status status = open_filter(pipeline, err);

	if (status == ST_OK) {
		status = delivery_open(config, &pipeline->delivery, err);
	}
	if (status == ST_OK) {
		status = open_durable(pipeline, UINT64_MAX, err);
	}
	if (status == ST_OK) {
		status = claim(pipeline, err);
	}
	if (status == ST_OK) {
		/* All of it is handed over now, whatever was before. */
		status = state_dir_put_unhanded(state_of(pipeline->kept)->dir, 0, err);
	}
	if (status == ST_OK) {
		status = pipeline->history->start(pipeline->history, err);
	}
	if (status == ST_OK) {
		status = pipeline->history->open_view(pipeline->history, NULL, NULL,
						      &pipeline->lsn, err);
	}
	if (status == ST_OK) {
		status = open_decoder(pipeline, err);
	}
	if (status == ST_OK) {
		status = restore(pipeline, err);
	}
	/* Before positions have the settings of this run. */
	return status == ST_OK
		   ? on_demand_ask_first(pipeline->on_demand, pipeline->kept, err)
		   : status;
}

enum status pipeline_flush(struct pipeline *pipeline, struct error *err)
{
	enum status status = delivery_flush(pipeline->delivery, err);

	return status == ST_OK
		   ? pipeline->history->acknowledged(pipeline->history,
						     delivery_lsn(pipeline->delivery),
						     false, err)
		   : status;
}

/* ---- snapshot ---- */

static void show_progress(void *context, uint64_t rows, uint64_t pages,
			  uint64_t page_count)
{
	struct pipeline *pipeline = context;

	health_goes_on();
	progress_update(&pipeline->progress, rows, pages, page_count);
}

static enum status snapshot_table(void *context, const struct table *table,
				  struct error *err)
{
	struct pipeline *pipeline = context;
	enum status status = snapshot_steps_table(&pipeline->steps, table, err);

	return status == ST_OK
		   ? publisher_table(delivery_publisher(pipeline->delivery), table, err)
		   : status;
}

static enum status snapshot_change(void *context, const struct change *change,
				   struct error *err)
{
	struct pipeline *pipeline = context;

	snapshot_steps_row(&pipeline->steps);
	return publisher_change(delivery_publisher(pipeline->delivery), change, err);
}

static enum status read_rows(struct pipeline *pipeline,
			     const struct snapshot_events *events, struct error *err)
{
	const struct config *config = pipeline->config;
	struct snapshot_select *selects =
	    calloc(config->overrides.count + 1, sizeof *selects);
	enum status status;

	if (!selects) {
		return error_set(err, ST_NOMEM, "out of memory for the snapshot");
	}
	for (size_t i = 0; i < config->overrides.count; i++) {
		selects[i] = (struct snapshot_select){config->overrides.list[i].table,
						      config->overrides.list[i].sql};
	}
	status = snapshot_run(view_old(pipeline->history->view),
			      decoder_catalog(pipeline->decoder), selects,
			      config->overrides.count, events, err);
	free(selects);
	return status;
}

enum status pipeline_snapshot(struct pipeline *pipeline, struct error *err)
{
	struct snapshot_events events = {.context = pipeline,
					 .table = snapshot_table,
					 .change = snapshot_change,
					 .progress = show_progress};
	struct encoder_transaction txn = {.lsn = pipeline->lsn,
					  .captured_ns = pipeline->history->begun_ns,
					  .is_snapshot = true};
	enum status status;

	progress_start(&pipeline->progress, "snapshot", "rows",
		       shows_progress(pipeline));
	status = delivery_begin(pipeline->delivery, &txn,
				delivery_chain(pipeline->delivery), err);
	if (status != ST_OK) {
		return status;
	}
	status = snapshot_steps_begin(&pipeline->steps, pipeline->delivery,
				      decoder_catalog(pipeline->decoder), NULL, err);
	if (status == ST_OK) {
		status =
		    publisher_structure(delivery_publisher(pipeline->delivery), err);
	}
	if (status == ST_OK) {
		status = read_rows(pipeline, &events, err);
	}
	progress_end(&pipeline->progress);
	status = snapshot_steps_end(&pipeline->steps, status, err);
	if (status == ST_OK) {
		status = delivery_end(pipeline->delivery, err);
	}
	if (status == ST_OK) {
		status = pipeline_flush(pipeline, err);
	}
	return status;
}

/* ---- transactions ---- */

/* After when what a transaction stands for was committed. */
static int64_t since_of(const struct pipeline *pipeline,
			const struct captured_txn *captured)
{
	const struct history *history = pipeline->history;
	int64_t since_ns =
	    pipeline->known_ns > 0 ? pipeline->known_ns : history->known_ns;

	/* A clock that went back; or what is known is of a later one in the journal. */
	return since_ns > history->begun_ns && since_ns <= captured->captured_ns
		   ? since_ns
		   : history->begun_ns;
}

enum status pipeline_apply(struct pipeline *pipeline, struct captured_txn *captured,
			   struct error *err)
{
	struct encoder_transaction txn = {.lsn = captured->lsn,
					  .captured_ns = captured->captured_ns,
					  .is_catch_up = captured->is_catch_up,
					  .merged = captured->merged,
					  .since_ns = since_of(pipeline, captured),
					  .page_count = captured->page_count,
					  .pages_differ =
					      (uint32_t)captured->page_total,
					  .writers = captured->writers};
	enum status status = ST_OK;

	while (status == ST_OK && delivery_owes_chunk(pipeline->delivery)) {
		status = on_demand_chunk(pipeline->on_demand, err);
	}
	if (status == ST_OK) {
		status = delivery_begin(pipeline->delivery, &txn, captured->chain, err);
	}
	if (status == ST_OK) {
		status = decoder_apply(pipeline->decoder, captured, err);
	}
	if (status == ST_OK) {
		status = on_demand_behind(pipeline->on_demand, err);
	}
	if (status == ST_OK) {
		status = delivery_end(pipeline->delivery, err);
	}
	if (status == ST_OK) {
		pipeline->known_ns = captured->captured_ns;
		pipeline->history->done(pipeline->history, captured);
	} else {
		captured_txn_free(captured);
	}
	return status;
}

/* ---- another page size in an archive ---- */

/* All pages of `is`, as they would be of a transaction that wrote them. NULL: no
 * memory. */
static struct captured_txn *whole_txn(const struct page_source *was,
				      const struct page_source *is)
{
	struct captured_txn *txn = captured_txn_alloc(is->page_count, 0);
	uint32_t lock_page = db_lock_byte_page(is->page_size);
	size_t total = 0;

	for (uint32_t page_no = 1; txn && page_no <= is->page_count; page_no++) {
		if (page_no != lock_page) {
			txn->pages[total++] =
			    (struct captured_page){.page_no = page_no};
		}
	}
	if (txn) {
		txn->page_total = total;
		txn->page_count_before = was->page_count;
		txn->page_count = is->page_count;
		txn->is_catch_up = true;
	}
	return txn;
}

/* Deliver what differs between `was` and the state that the view is as of now. */
static enum status deliver_turn(struct pipeline *pipeline, struct page_source *was,
				struct error *err)
{
	struct page_source *is = view_old(pipeline->history->view);
	struct captured_txn *txn = whole_txn(was, is);
	struct view *pair = NULL;
	enum status status = txn ? view_open_pair(was, is, &pair, err)
				 : error_no_memory(err, "a comparison");

	if (status != ST_OK) {
		captured_txn_free(txn);
		return status;
	}
	txn->lsn = pipeline->lsn;
	txn->captured_ns = pipeline->history->begun_ns;
	decoder_use_view(pipeline->decoder, pair);
	status = pipeline_apply(pipeline, txn, err);
	decoder_use_view(pipeline->decoder, pipeline->history->view);
	view_close(pair);
	return status;
}

enum status pipeline_turn(struct pipeline *pipeline, struct error *err)
{
	const struct config *config = pipeline->config;
	struct source *source = pipeline->source;
	struct history *history = pipeline->history;
	enum status status;

	log_info("%s has pages of %u bytes from txid:%" PRIx64 " on: what changed then "
		 "is found by comparing",
		 quote(config->archive).text, (unsigned)source->turn.page_size,
		 source->turn.txid);
	pipeline->source = NULL;
	pipeline->history = NULL;
	pipeline->turn_txid = source->turn.txid;
	status = temporary_open(config->journal_max_bytes, &pipeline->history, err);
	if (status == ST_OK) {
		status = open_archive(pipeline, err);
	}
	if (status == ST_OK) {
		status = pipeline->source->start(pipeline->source, err);
	}
	if (status == ST_OK) {
		status = open_view(pipeline, err);
	}
	if (status == ST_OK) {
		status = deliver_turn(pipeline, view_old(history->view), err);
	}
	source->close(source);
	history->close(history);
	return status;
}

void pipeline_note_failure(const struct pipeline *pipeline, enum status status,
			   struct error *err)
{
	if (status == ST_CORRUPT) {
		asked_name_damage(pipeline->config, err);
	}
	if (pipeline->kept && status != ST_OK && status != ST_STOPPED &&
	    status != ST_CLOSED) {
		pipeline->kept->note(pipeline->kept, err->text);
	}
}
