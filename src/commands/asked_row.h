/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/asked_row.h -- a row that somebody asks an audit log about, by its table
 * and its key as they were typed: which lines are of it?
 *
 * By their bytes, so that only what is found is parsed: "table":"…" and the key right
 * behind it. `42` is the number and the text, `'42'` the text, `{"a":1,"b":2}` a key of
 * several columns.
 *
 * OWNERSHIP asked_row_open / asked_row_close; the words are borrowed.
 * THREADS   Several may match lines of one at a time.
 * ERRORS    ST_CONFIG: no such key. ST_NOMEM.
 */
#ifndef ASKED_ROW_H
#define ASKED_ROW_H

#include <jansson.h>

#include "src/base/buffer.h"
#include "src/base/message.h"
#include "src/base/status.h"

struct asked_row {
	const char *table, *typed;
	json_t *columns;    /* of a key typed as a JSON object; else NULL */
	struct span number; /* as it would stand in the log; bytes NULL: it is none */
	struct buffer text;
	struct buffer needle; /* "table":"TABLE", */
};

enum asked_match {
	ASKED_NO,
	ASKED_ROW,   /* of the row */
	ASKED_TABLE, /* of the making of its table */
};

enum status asked_row_open(struct asked_row *row, const char *table, const char *typed,
			   struct error *err) MUST_CHECK;
void asked_row_close(struct asked_row *row); /* one of zeros, too */

enum asked_match asked_row_match(const struct asked_row *row, struct span line);

/* What stands in every line of the row, and in few others. Borrowed. */
struct span asked_row_needle(const struct asked_row *row);

#endif
