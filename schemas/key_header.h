/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/key_header.h -- a key as the value of a header.
 *
 * A header goes through a converter of its own. Connect's default one,
 * SimpleHeaderConverter, writes a struct as JSON without its schema, and guesses types
 * when it reads: an object is a map whose values have one type. If they have several it
 * has none, and a sink that asks for it (Debezium's JDBC sink does) ends with "No
 * schema defined for value of map". A string that looks like a date, a time or a
 * timestamp is of a type of its own. JsonConverter with schemas.enable=false reads any
 * object.
 *
 * So a key of one column stays as it is. Of several columns, values become strings if
 * they are not all numbers or all booleans; and a string, or a name, that could be
 * taken for a date gets an escape in it, which JSON reads as the same string.
 *
 * THREADS  No shared state.
 * ERRORS   Out of memory shows in buffer_ok.
 */
#ifndef SCHEMAS_KEY_HEADER_H
#define SCHEMAS_KEY_HEADER_H

#include "src/base/buffer.h"
#include "src/base/message.h"

/* How headers are written. */
enum header_form {
	HEADER_PLAIN,       /* the payload */
	HEADER_FOR_CONNECT, /* the payload, as key_header_add makes it */
	HEADER_WITH_SCHEMA, /* as keys are: with their schema where those have one */
};

/* Append a key without its schema: one object of strings, numbers and booleans, as
 * schemas/table_plan.h prints it. */
void key_header_add(struct buffer *b, struct span payload);

#endif
