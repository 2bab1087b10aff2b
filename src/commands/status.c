/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/status.c -- rowtail status: what a state directory says, as lines
 * "name: value" or one JSON object.
 *
 * Nothing is taken or changed: a process may go on with the directory meanwhile.
 *
 * ERRORS  As state_dir_read and known_journal_read; ST_IO when stdout takes nothing.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/archive/outbox.h"
#include "src/base/clock.h"
#include "src/base/last_error.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"
#include "src/command_table.h"
#include "src/state/known_journal.h"
#include "src/state/state_dir.h"

#define TRIES    100 /* while a process folds and trims */
#define RETRY_NS (10 * NS_PER_MS)

struct report {
	const char *path;
	char *database; /* NULL: not known yet */
	bool is_new;
	long holder; /* as state_dir_holder */
	struct state_meta meta;
	struct state_position position;
	uint64_t end_lsn; /* D */
	uint64_t lag_transactions;
	uint64_t lag_bytes;
	uint64_t first_bytes; /* of the oldest of them */
	int64_t oldest_ns;    /* when it was captured */
	double lag_seconds;
	uint64_t shadow_bytes; /* on the disk; with the hashes */
	uint64_t frames_bytes;
	uint64_t log_bytes;
	bool is_clean;
	bool has_error;
	struct last_error error;
	bool has_archive;
	struct outbox_content archive;
	struct last_error away; /* since when, and why; no time: it is not */
};

/* ---- collecting ---- */

/* journal_read's visit: what waits for the sink. */
static enum status count_lag(void *context, const struct journal_found *found,
			     struct error *err)
{
	struct report *report = context;
	const struct journal_record *record = &found->record;
	uint64_t bytes =
	    found->length + (uint64_t)record->page_total * report->meta.page_size;

	(void)err;
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

static uint64_t size_of(int dir_fd, const char *name)
{
	struct stat file;

	return fstatat(dir_fd, name, &file, AT_SYMLINK_NOFOLLOW) == 0
		   ? (uint64_t)file.st_blocks * 512
		   : 0;
}

/* All segments, whatever is in them. */
static enum status size_log(struct report *report, int dir_fd, struct error *err)
{
	struct journal_files files = {.dir_fd = dir_fd, .folder = report->path};
	enum status status = journal_files_list(&files, err);

	for (size_t i = 0; i < files.total; i++) {
		char name[JOURNAL_NAME_BYTES];

		journal_file_name(name, files.segments[i].start_lsn);
		report->log_bytes += size_of(dir_fd, name);
	}
	journal_files_clear(&files);
	return status;
}

static enum status read_journal(struct report *report, const struct state_dir *dir,
				struct error *err)
{
	/* What a power cut has torn is found by images, too. A process that runs has
	 * seen to that, and may use slots again meanwhile. */
	struct journal_reading how = {.checks_images = report->holder == 0,
				      .visit = count_lag,
				      .context = report};
	struct journal_end end;
	enum status status = known_journal_read(dir, &how, &end, err);

	report->end_lsn = end.lsn;
	return status == ST_OK ? size_log(report, state_dir_fd(dir), err) : status;
}

static enum status read_contents(struct report *report, struct state_dir *dir,
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
	age = clock_wall_ns() - report->oldest_ns;
	if (report->lag_transactions > 0 && age > 0) {
		report->lag_seconds = (double)age / (double)NS_PER_S;
	}
	report->shadow_bytes = size_of(fd, "shadow") + size_of(fd, "hashes");
	report->frames_bytes = size_of(fd, "frames");
	report->is_clean = !report->is_new && report->holder == 0 &&
			   report->meta.is_clean &&
			   report->meta.clean_lsn == report->end_lsn;
	report->has_error = last_error_read(fd, &report->error);
	report->has_archive = outbox_peek(fd, &report->archive, &report->away);
	return status;
}

/* Beside a process that works with the directory an error may be a step half done: try
 * again. */
static enum status collect(struct report *report, struct error *err)
{
	const char *path = report->path;
	enum status status = ST_OK;

	for (int i = 0; i < TRIES; i++) {
		struct state_dir *dir;

		free(report->database);
		*report = (struct report){.path = path};
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

/* ---- JSON ---- */

/* Text of any bytes. */
static json_t *json_text(const char *text)
{
	json_t *json = text ? json_string(text) : json_null();
	char *safe;

	if (json) {
		return json;
	}
	safe = strdup(text);
	if (safe) {
		utf8_make_safe(safe);
	}
	json = safe ? json_string(safe) : NULL;
	free(safe);
	return json;
}

static json_t *json_number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *json_epoch(const struct report *report)
{
	char text[17];

	(void)snprintf(text, sizeof text, "%016" PRIx64, report->meta.epoch);
	return json_string(text);
}

static json_t *json_error(const struct report *report)
{
	return report->has_error ? json_pack("{s:s, s:o}", "time", report->error.time,
					     "text", json_text(report->error.text))
				 : json_null();
}

static bool is_archived(const struct report *report)
{
	return report->archive.done_txid > report->end_lsn;
}

/* Of the newest state that the archive has, seconds. */
static double archive_age(const struct report *report)
{
	int64_t age = clock_wall_ns() - report->archive.time_ns;

	return age > 0 ? (double)age / (double)NS_PER_S : 0;
}

static json_t *json_archive(const struct report *report)
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
				has_state ? json_real(archive_age(report))
					  : json_null()) |
	    json_object_set_new(all, "up_to_date", json_boolean(is_archived(report))) |
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
static int add_contents(json_t *all, const struct report *report)
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
	       json_object_set_new(all, "lag_transactions",
				   json_number(report->lag_transactions)) |
	       json_object_set_new(all, "lag_bytes", json_number(report->lag_bytes)) |
	       json_object_set_new(all, "lag_seconds", json_real(report->lag_seconds)) |
	       json_object_set_new(all, "backlog_bytes", json_number(backlog));
}

static json_t *to_json(const struct report *report)
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
	    json_object_set_new(all, "ready", json_boolean(!report->is_new));

	if (!report->is_new) {
		failed |= add_contents(all, report);
	}
	failed |=
	    json_object_set_new(all, "shadow_bytes",
				json_number(report->shadow_bytes)) |
	    json_object_set_new(all, "frames_bytes",
				json_number(report->frames_bytes)) |
	    json_object_set_new(all, "log_bytes", json_number(report->log_bytes)) |
	    json_object_set_new(all, "archive", json_archive(report)) |
	    json_object_set_new(all, "last_error", json_error(report));
	if (failed) {
		json_decref(all);
		return NULL;
	}
	return all;
}

static enum status print_json(const struct report *report, struct error *err)
{
	json_t *all = to_json(report);
	char *text =
	    all ? json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;

	json_decref(all);
	if (!text) {
		return error_no_memory(err, "the status");
	}
	(void)puts(text);
	free(text);
	return ST_OK;
}

/* ---- lines ---- */

/* "name:" and blanks up to where all values begin. */
static void print_name(const char *name)
{
	(void)printf("%s:%*s", name, (int)(18 - strlen(name)), "");
}

/* Print one line, and nothing of a path that steers a terminal. */
static void print_text(const char *name, const char *text)
{
	char *safe = strdup(text);

	print_name(name);
	if (safe) {
		utf8_make_safe(safe);
	}
	(void)puts(safe ? safe : "?");
	free(safe);
}

static void print_number(const char *name, uint64_t n, const char *unit)
{
	print_name(name);
	(void)printf("%" PRIu64 "%s\n", n, unit);
}

static void print_process(const struct report *report)
{
	print_name("process");
	if (report->holder > 0) {
		(void)printf("running, pid %ld\n", report->holder);
	} else {
		(void)puts(report->holder ? "running" : "none");
	}
	print_text("clean stop", report->is_clean ? "yes" : "no");
}

static void print_contents(const struct report *report)
{
	const struct state_position *at = &report->position;

	print_name("epoch");
	(void)printf("%016" PRIx64 "\n", report->meta.epoch);
	print_number("base LSN", report->meta.base_lsn, "");
	print_number("acknowledged LSN", at->lsn, "");
	print_number("journalled LSN", report->end_lsn, "");
	print_number("events", at->change_id, "");
	print_name("position");
	if (at->messages > 0 || at->in_snapshot) {
		(void)printf("in %s, %" PRIu64 " messages of it acknowledged\n",
			     at->in_snapshot ? "the snapshot" : "a transaction",
			     at->messages);
	} else {
		(void)puts("between transactions");
	}
	print_name("lag");
	(void)printf("%" PRIu64 " transactions, %" PRIu64 " bytes, %.1f s\n",
		     report->lag_transactions, report->lag_bytes, report->lag_seconds);
	print_number("backlog", report->lag_bytes - report->first_bytes, " bytes");
}

static void print_archive(const struct report *report)
{
	const struct outbox_content *archive = &report->archive;

	print_name("archive");
	if (archive->done_txid > 0) {
		(void)printf("LSN %" PRIu64 ", txid:%016" PRIx64 ", %.1f s old%s\n",
			     archive->done_txid - 1, archive->done_txid,
			     archive_age(report),
			     is_archived(report) ? ", up to date" : "");
	} else {
		(void)puts("nothing yet");
	}
	print_name("archive waits");
	(void)printf("%zu files, %" PRIu64 " bytes\n", archive->count, archive->bytes);
	print_name("archive away");
	if (report->away.time[0]) {
		(void)printf("since %s: ", report->away.time);
	}
	(void)puts(report->away.time[0] ? report->away.text : "no");
}

static void print_lines(const struct report *report)
{
	print_text("database", report->database
				   ? report->database
				   : "not known, the first start has not got that far");
	print_text("state directory", report->path);
	print_process(report);
	if (!report->is_new) {
		print_contents(report);
	}
	print_number("shadow", report->shadow_bytes, " bytes");
	print_number("frames", report->frames_bytes, " bytes");
	print_number("log", report->log_bytes, " bytes");
	if (report->has_archive) {
		print_archive(report);
	}
	print_name("last error");
	if (report->has_error) {
		(void)printf("%s ", report->error.time);
	}
	(void)puts(report->has_error ? report->error.text : "none");
}

static enum status run(const struct config *config, struct error *err)
{
	struct report report = {.path = config->state_path};
	enum status status = collect(&report, err);

	if (status == ST_OK && config->json) {
		status = print_json(&report, err);
	} else if (status == ST_OK) {
		print_lines(&report);
	}
	if (status == ST_OK && fflush(stdout) != 0) {
		status = error_set(err, ST_IO, "stdout takes nothing");
	}
	free(report.database);
	return status;
}

const struct command status_command = {
    .name = "status",
    .usage = "--state DIR [--json]",
    .help = "print its position, lag, sizes and health, also in use\n",
    .takes_json = true,
    .run = run,
};
