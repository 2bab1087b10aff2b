/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/sql_text.h -- names and values as SQL that SQLite reads back exactly, of
 * whatever version.
 *
 * INTEGER  decimal.
 * REAL     the shortest decimal number, if every way in which a SQLite has parsed one
 *          gives the same bits; else what has no rounding: an integer and powers of
 *          two, 6004799503160661/18014398509481984.0. Infinities are 9e999 and -9e999.
 * TEXT     'it''s', or CAST(x'610062' AS TEXT) where that could be changed on the way:
 *          a NUL, controls but tab and newline, what is not valid in its encoding.
 * BLOB     x'00ff'
 *
 * THREADS  No shared state.
 * ERRORS   Out of memory shows in buffer_ok.
 */
#ifndef SCHEMAS_SQL_TEXT_H
#define SCHEMAS_SQL_TEXT_H

#include <stdbool.h>

#include "btree/db_header.h"
#include "btree/value.h"
#include "src/base/buffer.h"

/* Append `name` in double quotes. */
void sql_add_name(struct buffer *b, const char *name);

/* Append `value`, whose TEXT is in `from`, for a database whose encoding is `into`.
 * `scratch` is emptied. */
void sql_add_value(struct buffer *b, const struct value *value, enum text_encoding from,
		   enum text_encoding into, struct buffer *scratch);

/* `sql`, with a semicolon behind it, is one whole statement, and no more than one. A
 * schema's text may say anything. */
bool sql_is_one_statement(const char *sql);

#endif
