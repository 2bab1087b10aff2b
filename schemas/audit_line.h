/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/audit_line.h -- the lines of an audit log, but for their beginning.
 *
 * Who writes the log puts {"n":N,"salt":"…", before each and a line end behind it. The
 * order of the fields never changes:
 *
 *     "time":"2026-11-07T13:37:55.200Z","txn":1451,"change_id":1480,"op":"update",
 *     "table":"orders","key":{"id":42},"changed":{"status":["new","paid"]}}
 *
 * time      of capture, UTC
 * txn       LSN
 * op        insert, update, delete, read (a row that was there at the start)
 * key       the primary key's columns (those of message.key.columns if it names some);
 *           {"rowid":N} of a row without one; null where that is not known, either
 * then      changed of an update: {COLUMN:[OLD,NEW]}, behind it with audit.row=full old
 *           and new; new of insert and read; old of delete: whole rows
 * then      where it stands for several of the application's transactions:
 *           "catch_up":true, "merged":N, "since":TIME
 * then      with audit.process, the processes that can have written it: "process" where
 *           it can be one alone, "process_candidates":[…] where it is one of several,
 *           nothing where nobody knows. {"pid":N,"exe":…,"uid":N,"loginuid":N,"unit":…}
 *           without what is not known; pid 0: any of another PID namespace
 * last      who did it: schemas/transaction_context.h
 *
 * Lines that rowtail adds of itself, from the pipeline; their other fields are below:
 *
 *     "time":…,"txn":…,"change_id":…,"op":"message","by":ROW}    a context alone
 *     "time":…,"txn":…,"op":"schema","table":…,…}
 *     "time":…,"txn":…,"op":"catch_up",…}          or merged, behind its rows
 *     "time":…,"op":"settings",…}
 *
 * Values are those of schemas/value_json.h.
 *
 * OWNERSHIP  audit_lines_clear; the storage of the struct is the caller's, all zero.
 * THREADS    One thread at a time.
 * ERRORS     Out of memory: false, or as in buffer_ok.
 */
#ifndef SCHEMAS_AUDIT_LINE_H
#define SCHEMAS_AUDIT_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "schemas/change.h"
#include "schemas/encoder_transaction.h"
#include "schemas/schema_change.h"
#include "schemas/transaction_context.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

struct table_plan;

struct audit_lines {
	bool full_rows;     /* audit.row=full */
	struct buffer head; /* of the transaction: up to ,"op": */
	struct buffer tail; /* ,"catch_up":true … } */
};

void audit_lines_clear(struct audit_lines *lines);

/* A transaction begins, or more is known of its context. */
void audit_lines_begin(struct audit_lines *lines, const struct encoder_transaction *txn,
		       const struct transaction_context *context);

/* Make `b` the line of a change. False when memory ran out. */
bool audit_lines_change(const struct audit_lines *lines, const struct table_plan *plan,
			const struct change *change, uint64_t change_id,
			struct buffer *b) MUST_CHECK;

/* Append the line of a transaction that has a context and nothing else. */
void audit_lines_message(const struct audit_lines *lines, uint64_t change_id,
			 struct buffer *b);

/* Append a line of a table: "type" is created, altered, renamed, dropped, or read (it
 * was there at the start); "was" is the old name of a renamed one, "ddl" a statement as
 * in schemas/schema_change.h. */
void audit_lines_schema(const struct audit_lines *lines,
			const struct encoder_transaction *txn,
			const struct schema_change *change, struct buffer *b);

/* Append the line of a transaction that stands for several, with `rows` lines before
 * it: "pages" (that were compared) and "changed_pages" of a catch-up, "merged"
 * (commits) of a merged one, "rows", "since", candidates of the context. */
void audit_lines_joined(const struct encoder_transaction *txn,
			const struct transaction_context *context, uint64_t rows,
			struct buffer *b);

/* Append a line of other settings than those of the run before, outside of
 * transactions: begin, one call for each that differs, end. NULL: it had, or has, no
 * value. */
void audit_line_settings_begin(struct buffer *b, int64_t now_ns);
void audit_line_setting(struct buffer *b, const char *name, const char *was,
			const char *is);
void audit_line_settings_end(struct buffer *b);

/* Append "2026-11-07T13:37:55.200Z", quotes included. */
void audit_line_add_time(struct buffer *b, int64_t time_ns);

#endif
