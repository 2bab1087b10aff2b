/* SPDX-License-Identifier: Apache-2.0 */
#include "src/follow.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/health.h"
#include "src/base/log.h"
#include "src/base/metrics.h"
#include "src/base/quote.h"
#include "src/base/stop.h"
#include "src/capture/database_wait.h"
#include "src/capture/source_wait.h"
#include "src/config/settings.h"
#include "src/monitor/metrics_server.h"
#include "src/page_size_change.h"
#include "src/pipeline.h"

#define AGAIN_NS       (60 * NS_PER_S) /* for how long a lost database is tried again */
#define AGAIN_PAUSE_NS NS_PER_S

static int wake_ms(const struct pipeline *pipeline)
{
	int delivery = delivery_wake_ms(pipeline->delivery);
	int on_demand = on_demand_wake_ms(pipeline->on_demand);

	return delivery < 0 || (on_demand >= 0 && on_demand < delivery) ? on_demand
									: delivery;
}

/* Sleep until capture, a signal or the reader has something to say. */
static enum status wait_for_more(struct pipeline *pipeline, struct error *err)
{
	struct pollfd fds[6] = {
	    {.fd = pipeline->history->wake_fd, .events = POLLIN},
	    {.fd = stop_fd(), .events = POLLIN},
	    {.fd = delivery_watch_fd(pipeline->delivery), .events = 0},
	    {.fd = reopen_fd(), .events = POLLIN},
	    {.fd = pipeline->history->work_fd, .events = POLLIN},
	    {.fd = on_demand_fd(pipeline->on_demand), .events = POLLIN},
	};

	if (poll(fds, sizeof fds / sizeof *fds, wake_ms(pipeline)) < 0 &&
	    errno != EINTR) {
		/* More descriptors than there may be, even of those that are open. */
		return error_set_errno(err, errno == EINVAL ? EMFILE : errno,
				       "waiting for transactions");
	}
	if (fds[2].revents & (POLLERR | POLLHUP | POLLNVAL)) {
		return error_set(err, ST_CLOSED, "the reader went away");
	}
	if (fds[3].revents & POLLIN) {
		reopen_seen();
	}
	on_demand_woken(pipeline->on_demand);
	return ST_OK;
}

static enum status flush_if_full(struct pipeline *pipeline, struct error *err)
{
	return delivery_wants_flush(pipeline->delivery) ||
		       pipeline->history->is_full(pipeline->history)
		   ? pipeline_flush(pipeline, err)
		   : ST_OK;
}

/* A signal is kept with a position, so all before it goes out first. */
static enum status take_signal(struct pipeline *pipeline, struct error *err)
{
	enum status status = pipeline_flush(pipeline, err);

	return status == ST_OK ? on_demand_take(pipeline->on_demand, err) : status;
}

/* Deliver a chunk of a snapshot. */
static enum status deliver_chunk(struct pipeline *pipeline, struct error *err)
{
	int64_t begun_ns = clock_mono_ns();
	enum status status = on_demand_chunk(pipeline->on_demand, err);

	if (status == ST_OK) {
		status = flush_if_full(pipeline, err);
	}
	on_demand_took(pipeline->on_demand, begun_ns);
	return status;
}

/* The next transaction, and what its turn leaves room for. */
static enum status apply(struct pipeline *pipeline, struct captured_txn *txn,
			 struct error *err)
{
	enum status status = pipeline_apply(pipeline, txn, err);

	if (status == ST_OK) {
		status = flush_if_full(pipeline, err);
	}
	return status == ST_OK && on_demand_is_due(pipeline->on_demand, true)
		   ? deliver_chunk(pipeline, err)
		   : status;
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
		status = delivery_beat(pipeline->delivery, err);
		if (status != ST_OK) {
			break;
		}
		if (on_demand_has_signal(pipeline->on_demand)) {
			status = take_signal(pipeline, err);
			continue;
		}
		if (on_demand_is_first(pipeline->on_demand)) {
			status = deliver_chunk(pipeline, err);
			continue;
		}
		status = pipeline->source->next(pipeline->source, &txn, err);
		if (status == ST_OK) {
			status = apply(pipeline, txn, err);
			continue;
		}
		if (status == ST_RETRY && !pipeline->history->goes_on) {
			status = pipeline_turn(pipeline, err);
			continue;
		}
		if (status != ST_END) {
			break;
		}
		if (on_demand_is_due(pipeline->on_demand, false)) {
			status = deliver_chunk(pipeline, err);
			continue;
		}
		status = pipeline_flush(pipeline, err);
		if (delivery_lsn(pipeline->delivery) >= until_lsn) {
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
	static const struct notification_of no_snapshot;
	const struct config *config = pipeline->config;
	uint64_t until_lsn = UINT64_MAX;
	enum status status = ST_OK;

	if (delivery_in_snapshot(pipeline->delivery)) {
		status = pipeline_snapshot(pipeline, err);
	} else {
		status = delivery_notify(pipeline->delivery, NOTIFY_SKIPPED,
					 &no_snapshot, err);
	}
	if (status != ST_OK || config->snapshot_mode == SNAPSHOT_MODE_INITIAL_ONLY) {
		return status;
	}
	if (config->once) {
		status = pipeline->source->reach_now(pipeline->source, &stop_requested,
						     &until_lsn, err);
	}
	return status == ST_OK ? follow(pipeline, until_lsn, err) : status;
}

static bool ends_well(enum status status)
{
	return status == ST_OK || status == ST_STOPPED || status == ST_CLOSED;
}

/* Wait for what the fold thread is doing, so that its errors are seen; before the
 * capture thread lets the database go. */
static enum status finish_fold(struct pipeline *pipeline, enum status status,
			       struct error *err)
{
	struct error failure;

	if (ends_well(status) &&
	    pipeline->history->finish(pipeline->history, &failure) != ST_OK) {
		*err = failure;
		return failure.status;
	}
	return status;
}

/* All that was captured goes into the archive. Of --once that is a part of its work; a
 * run that was stopped leaves to the next one what cannot be uploaded now. */
static enum status finish_archive(struct pipeline *pipeline, enum status status,
				  struct error *err)
{
	bool is_once = pipeline->config->once && !stop_requested;
	struct error failure;
	enum status finished =
	    pipeline->archiver ? archiver_finish(pipeline->archiver, is_once, &failure)
			       : ST_OK;

	if (finished == ST_OK || (finished == ST_RETRY && !is_once)) {
		if (finished == ST_RETRY) {
			log_warn("%s", failure.text);
		}
		return status;
	}
	*err = failure;
	return failure.status;
}

/* One life of all parts, from their opening to their end. */
struct life {
	bool is_again;     /* it is not the first one */
	bool was_open;     /* it got as far as following */
	bool goes_on;      /* another one can go on from where it ends */
	uint32_t turns_to; /* bytes: another one goes on with pages of that size; 0 */
	struct source_left left;
	struct sink_floor floor; /* of the numbers of a new snapshot that Kafka needs */
	struct supervisor *supervisor; /* NULL: nobody is told */
};

static void say_not_following(const char *why)
{
	health_say(HEALTH_RUN, why);
	metrics_set(METRIC_FOLLOWING, 0);
}

/* Live one life. */
static enum status live(const struct config *config, struct life *life,
			struct error *err)
{
	struct pipeline pipeline = {.config = config,
				    .supervisor = life->supervisor,
				    .is_said = life->is_again,
				    .follows_path = life->is_again};
	struct error ignored;
	enum status status = pipeline_open(&pipeline, life->floor, err);

	if (pipeline.page_size > 0 && status == ST_RETRY) {
		pipeline_close(&pipeline);
		status = page_size_change(config, pipeline.page_size, err);
		return status == ST_OK ? live(config, life, err) : status;
	}
	if (pipeline.starts_over && status == ST_RETRY) {
		life->floor = delivery_floor(pipeline.delivery);
		pipeline_close(&pipeline);
		return live(config, life, err);
	}

	life->was_open = status == ST_OK;
	life->turns_to = 0;
	if (status == ST_OK) {
		life->goes_on = pipeline.history->goes_on && pipeline.capture;
		pipeline.kept->note(pipeline.kept, NULL);
		pipeline_say_following(&pipeline);
		status = run(&pipeline, err);
		/* What comes next may take a while. */
		say_not_following(ends_well(status) ? "it ends" : err->text);
		if (stop_requested) {
			supervisor_stopping(life->supervisor);
		}
		if (status == ST_RETRY && pipeline.source->turn.txid > 0) {
			life->turns_to = pipeline.source->turn.page_size;
			status = ST_OK;
		}
		if (delivery_finish(pipeline.delivery, status, &ignored) != ST_OK &&
		    status == ST_OK) {
			status = ignored.status;
			*err = ignored;
		}
		status = finish_fold(&pipeline, status, err);
	}
	if (ends_well(status) && pipeline.source) {
		pipeline.source->stop_clean(pipeline.source);
		status = finish_archive(&pipeline, status, err);
	}
	if (life->was_open && status == ST_LOST && pipeline.capture) {
		life->left = capture_left(pipeline.capture);
	}
	pipeline_note_failure(&pipeline, status, err);
	pipeline_close(&pipeline);
	return status;
}

/* Does the error keep the database from being followed again, but may pass by itself?
 */
static bool may_pass(enum status status, const struct error *err)
{
	return status == ST_LOST || status == ST_UNFIT || error_is_full(err);
}

/* With a state directory a hold that was lost is taken anew, as at a start: what
 * happened in between is found by comparing. */
static enum status live_again(const struct config *config, struct life *life,
			      struct error *err)
{
	int64_t until = clock_mono_ns() + AGAIN_NS;
	struct error inner;
	enum status status;

	life->is_again = true;
	life->was_open = false;
	log_warn("%s; opening it again", err->text);
	say_not_following(err->text);
	do {
		status = source_wait(config->database_path, &life->left, err);
		if (status != ST_OK) {
			return status;
		}
		status = live(config, life, err);
		if (life->was_open || !may_pass(status, err)) {
			return status;
		}
		log_debug("not yet: %s", err->text);
		if (error_is_full(err)) {
			until = clock_mono_ns() + AGAIN_NS;
		}
		if (source_pause(AGAIN_PAUSE_NS, &inner) != ST_OK) {
			return ST_STOPPED;
		}
	} while (clock_mono_ns() < until);
	return status;
}

/* All lives of a run. */
static enum status live_on(const struct config *config, struct supervisor *supervisor,
			   struct error *err)
{
	struct life life = {.left = source_left_none(), .supervisor = supervisor};
	enum status status = live(config, &life, err);

	while (status == ST_OK && life.turns_to > 0) {
		life.is_again = true;
		status = page_size_change(config, life.turns_to, err);
		if (status == ST_OK) {
			status = live(config, &life, err);
		}
	}
	while (life.was_open && status == ST_LOST && life.goes_on) {
		status = live_again(config, &life, err);
	}
	return status;
}

/* What was waited for is a link now, to where the state directory would be next time.
 */
static enum status check_place(const struct config *config, struct error *err)
{
	char *place = config_default_state(config->database_path);
	bool is_same = place && strcmp(place, config->state_path) == 0;

	free(place);
	return is_same ? ST_OK
		       : error_set(err, ST_UNFIT,
				   "%s leads elsewhere than when it was waited for; "
				   "start rowtail again",
				   quote(config->database_path).text);
}

/* Wait for the database, if that is asked for, and follow it. */
static enum status wait_and_live(const struct config *config,
				 struct supervisor *supervisor, struct error *err)
{
	enum status status = ST_OK;

	if (config->wait) {
		supervisor_status(supervisor, "waiting for the database");
		health_say(HEALTH_RUN, "waiting for the database");
		status = database_wait(config->database_path, err);
		if (status == ST_OK && config->state_is_default) {
			status = check_place(config, err);
		}
		health_say(HEALTH_RUN, "starting");
	}
	if (status == ST_OK) {
		status = live_on(config, supervisor, err);
	}
	if (stop_requested) { /* before it followed */
		supervisor_stopping(supervisor);
	}
	return status;
}

static enum status open_metrics(const struct config *config,
				struct metrics_server **out, struct error *err)
{
	struct metrics_server_settings settings = {
	    .listen = config->metrics_listen,
	    .max_lag_ns = config->health_max_lag_ns,
	    .database = config->archive ? config->archive_place : config->database_path,
	    .state = config->state_path,
	    .sink = config->sink->name,
	};

	health_say(HEALTH_RUN, "starting");
	return metrics_server_open(&settings, out, err);
}

enum status follow_run(const struct config *config, struct error *err)
{
	struct supervisor *supervisor;
	struct metrics_server *metrics = NULL;
	/* Before an archive is asked, which may take a while. */
	enum status status = config->sink->reopens ? stop_catch_hangup(err) : ST_OK;

	if (status == ST_OK) {
		status = supervisor_open(&supervisor, err);
	}
	if (status == ST_OK && supervisor && !config->sink->reopens) {
		status = stop_ignore_hangup(err);
	}
	if (status != ST_OK) {
		return status;
	}
	status = open_metrics(config, &metrics, err);
	if (status == ST_OK) {
		status = wait_and_live(config, supervisor, err);
	}
	metrics_server_close(metrics);
	supervisor_close(supervisor);
	if (status == ST_LOST && !config->archive) {
		(void)error_add(err, "; start rowtail again");
	}
	return status == ST_STOPPED || status == ST_CLOSED ? ST_OK : status;
}
