/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/typed_json.h -- SQLite values as JSON of the type that a column's schema
 * says (schemas/column_type.h).
 *
 * SQLite keeps any storage class in (nearly) any column. What becomes of a value:
 *
 *     type      INTEGER         REAL              TEXT             BLOB
 *     int64     as it is        if it is whole    -                -
 *     double    nearest         if it is finite   -                -
 *     boolean   0, 1            0.0, 1.0          t f true false   -
 *     string    decimal text    decimal text      as it is         base64 (or hex …)
 *     bytes     decimal text    decimal text      as stored        as it is
 *
 * "-" and every other value would be lost: it does not fit. NULL fits every type.
 *
 * THREADS  No shared state.
 */
#ifndef SCHEMAS_TYPED_JSON_H
#define SCHEMAS_TYPED_JSON_H

#include "schemas/column_type.h"
#include "schemas/value_json.h"

/* Can `value` be shown as a `type` without losing anything? */
bool typed_fits(const struct value *value, enum connect_type type,
		enum text_encoding encoding);

/* As json_put_value, but as a `type`; null for what does not fit. */
char *typed_put_value(struct buffer *b, char *p, const struct value *value,
		      enum connect_type type, enum text_encoding encoding,
		      enum binary_mode mode, size_t slack);

/* "TEXT value", for messages. */
const char *typed_class_name(const struct value *value);

#endif
