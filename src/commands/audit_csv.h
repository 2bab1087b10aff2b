/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/audit_csv.h -- lines of an audit log as CSV, for spreadsheets.
 *
 * FORMAT   RFC 4180: a record ends in CR LF, a field with a comma, a quote or a line
 * end stands in quotes. A record for each column that a line tells of, one for a line
 * that tells of none. NULL is an empty field, an empty text "". A field that a
 * spreadsheet would take for a formula, as it begins with = + - @, a tab or a CR, gets
 * a ' before it (a number like -5 does not). Control characters become U+FFFD. THREADS
 * No shared state.
 */
#ifndef AUDIT_CSV_H
#define AUDIT_CSV_H

#include "src/audit/event.h"
#include "src/base/buffer.h"

/* The names of the fields, with the line end. */
extern const char audit_csv_head[];

/* Append the records of a line; of `column` alone where that is not NULL. */
void audit_csv_add(struct buffer *b, const struct audit_event *event,
		   const char *column);

#endif
