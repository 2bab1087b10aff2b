/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/status_metrics.c -- status as metrics, in Prometheus' text format, for
 * its textfile collector.
 */
#include <stdio.h>

#include "src/base/buffer.h"
#include "src/base/metrics.h"
#include "src/commands/status_report.h"

static void add_gauge(struct buffer *out, const struct status_report *report,
		      const char *name, const char *help, double value)
{
	char full[64], text[64];

	(void)snprintf(full, sizeof full, "rowtail_%s", name);
	(void)snprintf(text, sizeof text, "} %.17g\n", value);
	metrics_add_head(out, full, help, "gauge");
	buffer_add_str(out, full);
	buffer_add_str(out, "{database=");
	metrics_add_label(out, report->database ? report->database : "");
	buffer_add_str(out, ",state=");
	metrics_add_label(out, report->path);
	buffer_add_str(out, text);
}

static void print_gauge(const struct status_report *report, const char *name,
			const char *help, double value)
{
	struct buffer out;

	buffer_init(&out);
	add_gauge(&out, report, name, help, value);
	if (buffer_ok(&out)) {
		(void)fwrite(out.bytes, 1, out.len, stdout);
	}
	buffer_clear(&out);
}

static void print_contents(const struct status_report *report)
{
	print_gauge(report, "acknowledged_lsn", "LSN that the sink has acknowledged.",
		    (double)report->position.lsn);
	print_gauge(report, "captured_lsn", "LSN of the last transaction captured.",
		    (double)report->end_lsn);
	print_gauge(report, "events", "Events acknowledged so far.",
		    (double)report->position.change_id);
	print_gauge(report, "lag_transactions",
		    "Transactions that are captured and wait for the sink.",
		    (double)report->lag_transactions);
	print_gauge(report, "lag_bytes", "Bytes of them.", (double)report->lag_bytes);
	print_gauge(report, "lag_seconds", "Age of the oldest of them.",
		    report->lag_seconds);
	if (report->has_unseen) {
		print_gauge(report, "not_captured_transactions",
			    "Transactions of the database that are not captured, at "
			    "least.",
			    (double)report->unseen.transactions);
		print_gauge(report, "not_captured_bytes", "Bytes of them in the WAL.",
			    (double)report->unseen.bytes);
		print_gauge(report, "not_captured_is_exact",
			    "1: those numbers are exact.", report->unseen.is_exact);
	}
	print_gauge(report, "snapshots_asked", "Snapshots on demand that are not over.",
		    (double)report->snapshot.count);
}

void status_print_metrics(const struct status_report *report)
{
	print_gauge(report, "running", "1: a process has the state directory.",
		    report->holder != 0);
	print_gauge(report, "following", "1: and it has caught up with the WAL.",
		    report->known.is_held);
	print_gauge(report, "sink_away", "1: the sink takes nothing.",
		    report->has_outage);
	print_gauge(report, "last_run_failed", "1: the last run ended with an error.",
		    report->has_error);
	if (!report->is_new) {
		print_contents(report);
	}
	print_gauge(report, "shadow_bytes", "Disk space of the shadow.",
		    (double)report->sizes.shadow);
	print_gauge(report, "frames_bytes", "Disk space of page images.",
		    (double)report->sizes.frames);
	print_gauge(report, "log_bytes", "Disk space of the journal's records.",
		    (double)report->sizes.log);
	if (report->has_archive) {
		print_gauge(report, "archive_age_seconds",
			    "Age of the newest state in the archive.",
			    status_archive_age(report));
		print_gauge(report, "archive_up_to_date",
			    "1: it has all that is captured.",
			    status_is_archived(report));
		print_gauge(report, "archive_waiting_bytes",
			    "Bytes of files that wait for the archive.",
			    (double)report->archive.bytes);
		print_gauge(report, "archive_away", "1: the archive is out of reach.",
			    report->away.time[0] != '\0');
	}
}
