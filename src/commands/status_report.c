/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/status_report.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/deliver/signal_place.h"
#include "src/state/known_journal.h"

#define TRIES    100 /* while a process folds and trims */
#define RETRY_NS (10 * NS_PER_MS)

/* journal_read's visit: what waits for the sink. */
static enum status count_lag(void *context, const struct journal_found *found,
			     struct error *err)
{
	struct status_report *report = context;
	const struct journal_record *record = &found->record;
	uint64_t bytes =
	    found->length + (uint64_t)record->page_total * report->meta.page_size;

	(void)err;
	report->known = (struct wal_known){.captured_ns = record->captured_ns};
	report->known.place.frame = record->last_frame;
	report->known.place.proof = record->proof;
	memcpy(report->known.place.salt, record->salt, sizeof record->salt);
	if (record->lsn <= report->position.lsn) {
		return ST_OK;
	}
	if (report->lag_transactions == 0) {
		report->first_bytes = bytes;
		report->oldest_ns = record->captured_ns;
	}
	report->lag_transactions += record->merged > 0 ? record->merged : 1;
	report->lag_bytes += bytes;
	return ST_OK;
}

static enum status read_journal(struct status_report *report,
				const struct state_dir *dir, struct error *err)
{
	/* What a power cut has torn is found by images, too. A process that runs has
	 * seen to that, and may use slots again meanwhile. */
	struct journal_reading how = {.checks_images = report->holder == 0,
				      .visit = count_lag,
				      .context = report};
	struct journal_end end;
	enum status status;

	report->known.place.frame = report->meta.base_frame;
	report->known.place.proof = report->meta.base_proof;
	memcpy(report->known.place.salt, report->meta.base_salt,
	       sizeof report->meta.base_salt);
	status = known_journal_read(dir, &how, &end, err);
	report->end_lsn = report->known.lsn = end.lsn;
	report->known.meta = &report->meta;
	report->known.is_held = state_dir_is_following(dir);
	return status;
}

/* ---- snapshots on demand ---- */

static char *copy_text(const char *text)
{
	return strdup(text ? text : "");
}

/* What src/deliver/snapshots.h keeps, as far as it is told here. */
static enum status take_snapshot(struct status_snapshot *out, struct span text,
				 struct error *err)
{
	struct signal_places ignored;
	struct span asked = signal_places_take(text, &ignored);
	json_t *json = json_loadb(asked.bytes, asked.len, 0, NULL);
	const json_t *all = json_object_get(json, "asked");
	const json_t *first = json_array_get(all, 0);
	const json_t *at = json_object_get(first, "at");
	const json_t *table = json_array_get(json_object_get(first, "tables"),
					     (size_t)json_integer_value(at));
	enum status status = ST_OK;

	out->count = json_array_size(all);
	if (out->count > 0) {
		out->is_paused = json_is_true(json_object_get(json, "paused"));
		out->rows =
		    (uint64_t)json_integer_value(json_object_get(first, "total"));
		out->id = copy_text(json_string_value(json_object_get(first, "id")));
		out->table = copy_text(json_string_value(json_array_get(table, 0)));
		status =
		    out->id && out->table ? ST_OK : error_no_memory(err, "the status");
	}
	json_decref(json);
	return status;
}

static enum status read_snapshot(struct status_report *report, int dir_fd,
				 struct error *err)
{
	struct snapshot_moment at = {report->position.lsn, report->position.chunks};
	struct snapshot_found found;
	enum status status;

	snapshot_found_init(&found);
	status = snapshot_file_peek(dir_fd, at, &found, err);
	if (status == ST_OK && found.is_found) {
		status =
		    take_snapshot(&report->snapshot,
				  (struct span){found.text.bytes, found.text.len}, err);
	}
	snapshot_found_clear(&found);
	return status;
}

/* ---- collecting ---- */

static enum status read_contents(struct status_report *report, struct state_dir *dir,
				 struct error *err)
{
	int fd = state_dir_fd(dir);
	enum status status = ST_OK;
	int64_t age;

	report->holder = state_dir_holder(dir);
	report->meta = *state_dir_meta(dir);
	report->position = *state_dir_position(dir);
	if (!report->is_new) {
		report->database = strdup(state_dir_database(dir));
		status = report->database ? read_journal(report, dir, err)
					  : error_no_memory(err, "the status");
	}
	if (status == ST_OK) {
		status = read_snapshot(report, fd, err);
	}
	if (status == ST_OK) {
		status = state_sizes_read(fd, report->path, &report->sizes, err);
	}
	age = clock_wall_ns() - report->oldest_ns;
	if (report->lag_transactions > 0 && age > 0) {
		report->lag_seconds = (double)age / (double)NS_PER_S;
	}
	report->is_clean = !report->is_new && report->holder == 0 &&
			   report->meta.is_clean &&
			   report->meta.clean_lsn == report->end_lsn;
	report->has_error = last_error_read(fd, LAST_ERROR, &report->error);
	report->has_outage = last_error_read(fd, LAST_OUTAGE, &report->outage);
	report->has_archive = outbox_peek(fd, &report->archive, &report->away);
	return status;
}

/* Beside a process that works with the directory an error may be a step half done: try
 * again. */
static enum status collect_state(struct status_report *report, struct error *err)
{
	const char *path = report->path;
	enum status status = ST_OK;

	for (int i = 0; i < TRIES; i++) {
		struct state_dir *dir;

		status_clear(report);
		*report = (struct status_report){.path = path};
		status = state_dir_read(path, false, &dir, &report->is_new, err);
		if (status != ST_OK) {
			return status;
		}
		status = read_contents(report, dir, err);
		state_dir_close(dir);
		/* It may have ended, or begun, since it was asked for. */
		if (status == ST_OK || (report->holder == 0 && i > 2)) {
			return status;
		}
		clock_sleep_ns(RETRY_NS);
	}
	return status;
}

/* ---- the database ---- */

/* What nobody has seen of it. */
static void look_at_database(struct status_report *report, const char *path)
{
	char *real = path ? realpath(path, NULL) : NULL;
	struct error err;

	if (report->is_new) {
		free(real);
		return;
	}
	report->has_unseen =
	    wal_behind_find(real ? real : report->database, &report->known,
			    &report->unseen, &err) == ST_OK;
	if (!report->has_unseen) {
		(void)snprintf(report->unseen_why, sizeof report->unseen_why, "%.255s",
			       err.text);
	} else if (real && strcmp(real, report->database) != 0) {
		report->unseen.is_exact = false;
		report->unseen.why = "the directory is of a database at another path";
	}
	free(real);
}

/* Has the journal come to `end`, or into another life of the WAL? */
static bool is_captured(const struct wal_place *place, const struct wal_place *end)
{
	return memcmp(place->salt, end->salt, sizeof place->salt) != 0 ||
	       place->frame >= end->frame;
}

/* A process takes what is committed at once, and writes it to its directory then: what
 * was there at the first look is waited for. */
static enum status await_capture(struct status_report *report, const char *database,
				 int64_t wait_ns, struct error *err)
{
	int64_t until_ns = clock_mono_ns() + wait_ns;
	struct wal_place end = report->unseen.end;
	uint64_t lsn = report->end_lsn;
	enum status status = ST_OK;

	while (status == ST_OK && report->known.is_held && report->has_unseen &&
	       report->unseen.transactions > 0 && clock_mono_ns() < until_ns &&
	       (report->end_lsn == lsn || !is_captured(&report->known.place, &end))) {
		clock_sleep_ns(RETRY_NS);
		status = collect_state(report, err);
		if (status == ST_OK) {
			look_at_database(report, database);
		}
	}
	report->is_still = report->end_lsn == lsn;
	return status;
}

enum status status_collect(const char *path, const char *database, int64_t wait_ns,
			   struct status_report *report, struct error *err)
{
	enum status status;

	*report = (struct status_report){.path = path};
	status = collect_state(report, err);
	if (status == ST_OK) {
		look_at_database(report, database);
		status = await_capture(report, database, wait_ns, err);
	}
	if (status != ST_OK) {
		status_clear(report);
	}
	return status;
}

void status_clear(struct status_report *report)
{
	free(report->database);
	free(report->snapshot.id);
	free(report->snapshot.table);
	*report = (struct status_report){.path = report->path};
}

/* ---- the archive ---- */

bool status_is_archived(const struct status_report *report)
{
	return report->archive.done_txid > report->end_lsn;
}

double status_archive_age(const struct status_report *report)
{
	int64_t age = clock_wall_ns() - report->archive.time_ns;

	return age > 0 ? (double)age / (double)NS_PER_S : 0;
}
