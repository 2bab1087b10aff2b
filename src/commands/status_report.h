/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/status_report.h -- what can be told of a state directory and of the
 * database that it is of, whether a process works with them or not.
 *
 * Nothing is taken or changed: a process may go on with the directory meanwhile.
 *
 * OWNERSHIP  status_collect / status_clear; the caller's struct.
 * THREADS    One; of a process that has nothing open on the database.
 * ERRORS     As state_dir_read and known_journal_read. What cannot be told of the
 *            database is a text in the report.
 */
#ifndef STATUS_REPORT_H
#define STATUS_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "src/archive/outbox.h"
#include "src/base/last_error.h"
#include "src/capture/wal_behind.h"
#include "src/state/state_dir.h"
#include "src/state/state_sizes.h"

/* A snapshot that was asked for, and how far it is. */
struct status_snapshot {
	size_t count; /* that were asked for and are not over; 0: none */
	bool is_paused;
	char *id; /* of the first; never NULL where there is one */
	char *table;
	uint64_t rows; /* given, of all its tables */
};

struct status_report {
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
	struct wal_known known; /* D in the database's WAL */
	struct wal_behind unseen;
	bool has_unseen;
	bool is_still; /* and nothing of it was captured while it was waited for */
	char unseen_why[256]; /* why it cannot be told what nobody has seen, or "" */
	struct state_sizes sizes;
	bool is_clean;
	bool has_error;
	struct last_error error;
	bool has_outage; /* the sink takes nothing, or did not when it ran last */
	struct last_error outage;
	struct status_snapshot snapshot;
	bool has_archive;
	struct outbox_content archive;
	struct last_error away; /* since when, and why; no time: it is not */
};

/* `database`: where it is looked for, NULL: where the directory says. What a process
 * that follows has not captured is waited for, `wait_ns` at most. */
enum status status_collect(const char *path, const char *database, int64_t wait_ns,
			   struct status_report *report, struct error *err) MUST_CHECK;
void status_clear(struct status_report *report);

/* All that is committed is archived, as far as it is captured. */
bool status_is_archived(const struct status_report *report);
/* Of the newest state that the archive has, seconds. */
double status_archive_age(const struct status_report *report);

/* ---- forms ---- */

/* Lines "name: value" to stdout. */
void status_print(const struct status_report *report);
/* One JSON object; the caller's. NULL: no memory. */
char *status_json(const struct status_report *report);
/* Metrics as Prometheus reads them, to stdout. */
void status_print_metrics(const struct status_report *report);

struct status_limits {
	int64_t lag_ns;
	uint64_t bytes; /* UINT64_MAX: none */
};

/* Is all as it should be? Else why not, in `why`. */
bool status_is_healthy(const struct status_report *report,
		       const struct status_limits *limits, char *why, size_t why_size);

#endif
