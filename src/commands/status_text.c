/* SPDX-License-Identifier: Apache-2.0 */
/* src/commands/status_text.c -- status as lines "name: value". */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/utf8.h"
#include "src/commands/status_report.h"

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

static void print_process(const struct status_report *report)
{
	const char *how = report->known.is_held ? "following" : "starting";

	print_name("process");
	if (report->holder > 0) {
		(void)printf("running, pid %ld, %s\n", report->holder, how);
	} else if (report->holder) {
		(void)printf("running, %s\n", how);
	} else {
		(void)puts("none");
	}
	print_text("clean stop", report->is_clean ? "yes" : "no");
}

/* What nobody has seen yet. */
static void print_unseen(const struct status_report *report)
{
	const struct wal_behind *unseen = &report->unseen;

	if (!report->has_unseen) {
		print_text("not captured", report->unseen_why);
		return;
	}
	print_name("not captured");
	(void)printf("%s%" PRIu64 " transactions, %" PRIu64 " bytes%s%s\n",
		     unseen->is_exact ? "" : "at least ", unseen->transactions,
		     unseen->bytes, unseen->is_exact ? "" : ": ",
		     unseen->is_exact ? "" : unseen->why);
}

static void print_snapshot(const struct status_snapshot *s)
{
	char table[600];

	(void)snprintf(table, sizeof table, "%s of %s: %" PRIu64 " rows%s", s->id,
		       s->table, s->rows, s->is_paused ? ", paused" : "");
	print_text("snapshot", table);
	if (s->count > 1) {
		print_number("snapshots", s->count, " asked for");
	}
}

static void print_contents(const struct status_report *report)
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
	print_unseen(report);
	if (report->snapshot.count > 0) {
		print_snapshot(&report->snapshot);
	}
}

static void print_archive(const struct status_report *report)
{
	const struct outbox_content *archive = &report->archive;

	print_name("archive");
	if (archive->done_txid > 0) {
		(void)printf("LSN %" PRIu64 ", txid:%016" PRIx64 ", %.1f s old%s\n",
			     archive->done_txid - 1, archive->done_txid,
			     status_archive_age(report),
			     status_is_archived(report) ? ", up to date" : "");
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

void status_print(const struct status_report *report)
{
	print_text("database", report->database
				   ? report->database
				   : "not known, the first start has not got that far");
	print_text("state directory", report->path);
	print_process(report);
	if (!report->is_new) {
		print_contents(report);
	}
	print_number("shadow", report->sizes.shadow, " bytes");
	print_number("frames", report->sizes.frames, " bytes");
	print_number("log", report->sizes.log, " bytes");
	if (report->has_archive) {
		print_archive(report);
	}
	print_name("sink away");
	if (report->has_outage) {
		(void)printf("since %s: ", report->outage.time);
	}
	(void)puts(report->has_outage ? report->outage.text : "no");
	print_name("last error");
	if (report->has_error) {
		(void)printf("%s ", report->error.time);
	}
	(void)puts(report->has_error ? report->error.text : "none");
}
