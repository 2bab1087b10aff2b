/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/audit_text.h -- lines of an audit log as people read them.
 *
 * The bytes are a stranger's: audit_text_print lets nothing through that steers a
 * terminal, and values are cut where they are long.
 *
 * THREADS  No shared state.
 * ERRORS   Memory runs out: as in buffer_ok.
 */
#ifndef AUDIT_TEXT_H
#define AUDIT_TEXT_H

#include "src/audit/event.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

/* Append a value as it is, a number as it was: what cells of CSV have. NULL: nothing.
 */
void audit_text_add_plain(struct buffer *b, const json_t *value);
/* Append a value to be read: NULL by name, a text that could be taken for something
 * else in quotes, a long one cut. */
void audit_text_add_value(struct buffer *b, const json_t *value);
/* Append a key: its value; of several columns "a: 1, b: 2". */
void audit_text_add_key(struct buffer *b, const json_t *key);
/* Append "status: new → paid, price: 5 → 6"; of `column` alone where that is not NULL.
 */
void audit_text_add_changes(struct buffer *b, const struct audit_event *event,
			    const char *column);
/* Append who a context names: its column actor, user or who; else all of it. */
void audit_text_add_who(struct buffer *b, const json_t *by);
/* Append the rest of a context, "reason: refund, request: r-17"; nothing: there is
 * none.
 */
void audit_text_add_why(struct buffer *b, const json_t *by);
/* Append "alice or bob", each once: those who may have done it. */
void audit_text_add_candidates(struct buffer *b, const json_t *candidates);
/* Append the process that wrote, "process /usr/bin/sqlite3 (pid 12, uid 1000)", or
 * those that may have, "one of process A (pid 12) or process B (pid 13)"; nothing: the
 * line does not tell. */
void audit_text_add_process(struct buffer *b, const struct audit_event *event);
/* Append "/usr/bin/sqlite3", "one of several", "of unknown name"; nothing likewise. */
void audit_text_add_program(struct buffer *b, const struct audit_event *event);
/* Append what is in a line that is of no row, but for what all lines have. */
void audit_text_add_rest(struct buffer *b, const struct audit_event *event);

/* Print the text and a line end on stdout. ST_NOMEM. */
enum status audit_text_print(struct buffer *b, struct error *err) MUST_CHECK;

/* Append a JSON text to be looked for in lines: a string without its quotes. */
void audit_text_add_needle(struct buffer *b, const char *text);

/* "2026-11-07T13:37:55.200Z" of what was given with an option; ST_CONFIG: no time. */
enum status audit_text_time(const char *option, const char *given, char out[25],
			    struct error *err) MUST_CHECK;

/* stdout took it all; else ST_IO. */
enum status audit_text_flush(struct error *err) MUST_CHECK;

#endif
