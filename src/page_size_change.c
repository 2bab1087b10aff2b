/* SPDX-License-Identifier: Apache-2.0 */
#include "src/page_size_change.h"

#include "src/archive/outbox.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/stop.h"
#include "src/capture/source_wait.h"
#include "src/pipeline.h"
#include "src/state/rebuild.h"

#define SETTLE_NS (60 * NS_PER_S) /* how long to wait for the last acknowledgement */

/* Transactions without events move the sink's own position only now and then. */
static enum status flush_until(struct pipeline *pipeline, uint64_t lsn,
			       struct error *err)
{
	int64_t until = clock_mono_ns() + SETTLE_NS;
	enum status status = delivery_flush(pipeline->delivery, err);

	while (status == ST_OK && pipeline->kept->position.lsn < lsn &&
	       clock_mono_ns() < until) {
		status = source_pause(NS_PER_S / 10, err);
		if (status == ST_OK) {
			status = delivery_flush(pipeline->delivery, err);
		}
	}
	return status;
}

/* Hand over and fold all that is in the journal. */
static enum status drain(struct pipeline *pipeline, struct error *err)
{
	const struct state *state = state_of(pipeline->kept);
	uint64_t end_lsn = state->end.lsn;
	enum status status = delivery_in_snapshot(pipeline->delivery)
				 ? pipeline_snapshot(pipeline, err)
				 : ST_OK;

	while (status == ST_OK) {
		struct captured_txn *txn;

		status = stop_requested
			     ? error_set(err, ST_STOPPED, "stopped")
			     : pipeline->history->next(pipeline->history, &txn, err);
		if (status == ST_OK) {
			status = pipeline_apply(pipeline, txn, err);
		}
	}
	if (status == ST_END) {
		status = flush_until(pipeline, end_lsn, err);
	}
	if (status == ST_OK) {
		status = delivery_finish(pipeline->delivery, ST_OK, err);
	}
	if (status == ST_OK) {
		status = pipeline->history->acknowledged(pipeline->history, end_lsn,
							 true, err);
	}
	if (status == ST_OK && state->meta.base_lsn != end_lsn) {
		return error_set(err, ST_IO,
				 "%s cannot be brought up to date (see above)",
				 pipeline->config->state_path);
	}
	return status;
}

enum status page_size_change(const struct config *config, uint32_t page_size,
			     struct error *err)
{
	struct pipeline pipeline = {
	    .config = config, .is_said = true, .follows_path = true};
	enum status status = pipeline_open_to_drain(&pipeline, err);

	if (pipeline.starts_over) {
		pipeline_close(&pipeline);
		return ST_OK;
	}
	if (status == ST_OK) {
		log_info("%s has pages of %u bytes now, not %u: the copy in %s is made "
			 "anew",
			 config->archive ? config->archive : config->database_path,
			 (unsigned)page_size, (unsigned)pipeline.kept->page_size,
			 config->state_path);
		status = drain(&pipeline, err);
	}
	if (status == ST_OK) {
		/* Back to the old size with nothing archived in between, the archive
		 * would seem to have the state that the next file leads on from. */
		status = outbox_note_rebuilt(state_dir_fd(state_of(pipeline.kept)->dir),
					     config->state_path,
					     state_of(pipeline.kept)->end.lsn, err);
	}
	if (status == ST_OK) {
		status = rebuild_shadow(state_of(pipeline.kept), page_size,
					&stop_requested, err);
		if (status == ST_CONFIG) {
			(void)error_wrap(err,
					 "%s: its copy of the database cannot get "
					 "pages of %u bytes as that has now; move it "
					 "away and " STATE_BEGIN_ANEW,
					 quote(config->state_path).text,
					 (unsigned)page_size);
		}
	}
	pipeline_note_failure(&pipeline, status, err);
	pipeline_close(&pipeline);
	return status;
}
