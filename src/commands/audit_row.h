/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/audit_row.h -- a row as it was at a time, put together from the lines
 * that an audit log has of it.
 *
 * Lines up to that time lead to it; of those behind it the first that tell what a
 * column was before fill in what no earlier one tells, as in a log that has no
 * baseline.
 *
 * OWNERSHIP audit_row_open / audit_row_close; the times are borrowed.
 * THREADS   No shared state.
 * ERRORS    ST_NOMEM; ST_END: the row was not there, or nobody can tell.
 */
#ifndef AUDIT_ROW_H
#define AUDIT_ROW_H

#include "src/audit/event.h"
#include "src/base/status.h"

struct audit_row {
	const char *at;    /* the time */
	const char *begin; /* of the log */
	json_t *columns;
	enum { ROW_UNKNOWN, ROW_THERE, ROW_NOT_THERE } state;
	bool is_whole;   /* all columns are known */
	bool is_behind;  /* lines are behind the time */
	bool is_settled; /* and have no more to tell */
	bool is_altered; /* the table's columns were changed on the way */
	uint64_t line;   /* that told last, up to the time */
	bool has_line;
	char blurred[25]; /* a line told later of a change at an unknown time; "": none
			   */
};

void audit_row_open(struct audit_row *row, const char *at, const char *begin);
void audit_row_close(struct audit_row *row);

/* The row's lines and those of its table's schema, in their order. */
enum status audit_row_take(struct audit_row *row, const struct audit_event *event,
			   struct error *err) MUST_CHECK;

/* On stdout: for people, or members of a JSON object. ST_END after it: there is no row
 * to be printed. */
enum status audit_row_print(const struct audit_row *row, bool as_json,
			    struct error *err) MUST_CHECK;

#endif
