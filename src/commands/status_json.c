/* SPDX-License-Identifier: Apache-2.0 */
/* src/commands/status_json.c -- status as one JSON object (docs/state.md). */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/json_text.h"
#include "src/commands/status_report.h"

static json_t *json_number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *json_epoch(const struct status_report *report)
{
	char text[17];

	(void)snprintf(text, sizeof text, "%016" PRIx64, report->meta.epoch);
	return json_string(text);
}

static json_t *json_error(const struct status_report *report)
{
	return report->has_error ? json_pack("{s:s, s:o}", "time", report->error.time,
					     "text", json_text(report->error.text))
				 : json_null();
}

static json_t *json_outage(const struct status_report *report)
{
	return report->has_outage
		   ? json_pack("{s:s, s:o}", "since", report->outage.time, "text",
			       json_text(report->outage.text))
		   : json_null();
}

/* What the database has that is not captured. */
static json_t *json_unseen(const struct status_report *report)
{
	const struct wal_behind *unseen = &report->unseen;

	if (!report->has_unseen) {
		return json_pack("{s:n, s:n, s:b, s:o}", "transactions", "bytes",
				 "exact", 0, "text", json_text(report->unseen_why));
	}
	return json_pack("{s:o, s:o, s:b, s:o}", "transactions",
			 json_number(unseen->transactions), "bytes",
			 json_number(unseen->bytes), "exact", unseen->is_exact, "text",
			 json_text(unseen->why));
}

static json_t *json_snapshot(const struct status_report *report)
{
	const struct status_snapshot *s = &report->snapshot;

	return s->count == 0 ? json_null()
			     : json_pack("{s:o, s:o, s:o, s:o, s:b}", "id",
					 json_text(s->id), "table", json_text(s->table),
					 "rows", json_number(s->rows), "asked",
					 json_number(s->count), "paused", s->is_paused);
}

static json_t *json_archive(const struct status_report *report)
{
	const struct outbox_content *archive = &report->archive;
	bool has_state = archive->done_txid > 0;
	json_t *all = report->has_archive ? json_object() : json_null();
	char txid[17];

	if (!all || !report->has_archive) {
		return all;
	}
	(void)snprintf(txid, sizeof txid, "%016" PRIx64, archive->done_txid);
	if (json_object_set_new(all, "lsn",
				has_state ? json_number(archive->done_txid - 1)
					  : json_null()) |
	    json_object_set_new(all, "txid",
				has_state ? json_string(txid) : json_null()) |
	    json_object_set_new(all, "age_seconds",
				has_state ? json_real(status_archive_age(report))
					  : json_null()) |
	    json_object_set_new(all, "up_to_date",
				json_boolean(status_is_archived(report))) |
	    json_object_set_new(all, "waiting_files", json_number(archive->count)) |
	    json_object_set_new(all, "waiting_bytes", json_number(archive->bytes)) |
	    json_object_set_new(all, "away",
				report->away.time[0]
				    ? json_pack("{s:s, s:o}", "since",
						report->away.time, "text",
						json_text(report->away.text))
				    : json_null())) {
		json_decref(all);
		return NULL;
	}
	return all;
}

/* What there is once the first start has got that far. */
static int add_contents(json_t *all, const struct status_report *report)
{
	const struct state_position *at = &report->position;
	uint64_t backlog = report->lag_bytes - report->first_bytes;

	return json_object_set_new(all, "epoch", json_epoch(report)) |
	       json_object_set_new(all, "page_size",
				   json_number(report->meta.page_size)) |
	       json_object_set_new(all, "base_lsn",
				   json_number(report->meta.base_lsn)) |
	       json_object_set_new(all, "acknowledged_lsn", json_number(at->lsn)) |
	       json_object_set_new(all, "acknowledged_messages",
				   json_number(at->messages)) |
	       json_object_set_new(all, "journalled_lsn",
				   json_number(report->end_lsn)) |
	       json_object_set_new(all, "change_id", json_number(at->change_id)) |
	       json_object_set_new(all, "in_snapshot", json_boolean(at->in_snapshot)) |
	       json_object_set_new(all, "snapshot", json_snapshot(report)) |
	       json_object_set_new(all, "unseen", json_unseen(report)) |
	       json_object_set_new(all, "lag_transactions",
				   json_number(report->lag_transactions)) |
	       json_object_set_new(all, "lag_bytes", json_number(report->lag_bytes)) |
	       json_object_set_new(all, "lag_seconds", json_real(report->lag_seconds)) |
	       json_object_set_new(all, "backlog_bytes", json_number(backlog));
}

static json_t *to_json(const struct status_report *report)
{
	json_t *all = json_object();
	bool is_running = report->holder != 0;
	int failed =
	    json_object_set_new(all, "database", json_text(report->database)) |
	    json_object_set_new(all, "state_directory", json_text(report->path)) |
	    json_object_set_new(all, "running", json_boolean(is_running)) |
	    json_object_set_new(all, "pid",
				report->holder > 0 ? json_integer(report->holder)
						   : json_null()) |
	    json_object_set_new(all, "clean_stop", json_boolean(report->is_clean)) |
	    json_object_set_new(all, "ready", json_boolean(!report->is_new)) |
	    json_object_set_new(all, "following", json_boolean(report->known.is_held));

	if (!report->is_new) {
		failed |= add_contents(all, report);
	}
	failed |=
	    json_object_set_new(all, "shadow_bytes",
				json_number(report->sizes.shadow)) |
	    json_object_set_new(all, "frames_bytes",
				json_number(report->sizes.frames)) |
	    json_object_set_new(all, "log_bytes", json_number(report->sizes.log)) |
	    json_object_set_new(all, "archive", json_archive(report)) |
	    json_object_set_new(all, "sink_away", json_outage(report)) |
	    json_object_set_new(all, "last_error", json_error(report));
	if (failed) {
		json_decref(all);
		return NULL;
	}
	return all;
}

char *status_json(const struct status_report *report)
{
	json_t *all = to_json(report);
	char *text =
	    all ? json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;

	json_decref(all);
	return text;
}
