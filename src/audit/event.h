/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/event.h -- what a line of an audit log tells.
 *
 * FORMAT    schemas/audit_line.h, sinks/audit_log.h. The bytes are a stranger's: a
 * member that is not there, or of another kind, is NULL. OWNERSHIP audit_event_clear;
 * all members are borrowed from `json` until then. THREADS   No shared state.
 */
#ifndef AUDIT_EVENT_H
#define AUDIT_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/message.h"

struct audit_event {
	json_t *json;
	uint64_t number;
	const char *time, *since; /* as they stand; "": none */
	const char *op;           /* "": none */
	const char *table;        /* NULL: it is of none */
	json_t *key;              /* an object */
	json_t *changed;          /* an object */
	json_t *old_row, *new_row;
	json_t *by;         /* an object */
	json_t *candidates; /* an array */
	json_t *process;    /* an object: that wrote */
	json_t *processes;  /* an array: one of them did */
};

/* False: it is no JSON object, and there is nothing to clear. */
bool audit_event_read(struct span line, struct audit_event *out);
void audit_event_clear(struct audit_event *event);

/* Of a row: insert, update, delete or read. */
bool audit_event_is_row(const struct audit_event *event);

/* What an update made of a column, in `changed`; NULL: it is not so written. */
json_t *audit_event_was(json_t *pair);
json_t *audit_event_is(json_t *pair);

#endif
