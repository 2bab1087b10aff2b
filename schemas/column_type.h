/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/column_type.h -- the Kafka Connect type of a column (schemas.enable=true).
 *
 * type.mapping=declared, in this order; the declared type is taken without "(…)" and
 * in any case:
 *
 *     affinity INTEGER, REAL, TEXT           int64, double, string
 *     affinity BLOB with a declared type     bytes
 *     BOOL, BOOLEAN                          boolean
 *     DATE…, TIME…                           string
 *     NUMERIC, DECIMAL, NUMBER, MONEY        double, or string (decimal.handling.mode)
 *     every other type, none, STRICT ANY     string
 *
 * type.mapping=affinity: NUMERIC is double whatever is declared, and no type is
 * affinity BLOB, thus bytes.
 *
 * THREADS  No shared state.
 */
#ifndef SCHEMAS_COLUMN_TYPE_H
#define SCHEMAS_COLUMN_TYPE_H

#include <stdbool.h>
#include <stddef.h>

#include "schemas/table.h"

enum connect_type {
	CONNECT_STRING,
	CONNECT_INT64,
	CONNECT_DOUBLE,
	CONNECT_BOOLEAN,
	CONNECT_BYTES,
};

enum type_mapping { TYPES_DECLARED, TYPES_AFFINITY };

enum decimal_mode { DECIMAL_DOUBLE, DECIMAL_STRING };

/* A declared type taken apart: "DECIMAL (10, 2) UNSIGNED". */
struct declared_type {
	const char *name; /* borrowed */
	size_t name_len;  /* up to the "(", spaces before it not counted */
	int length;       /* 10; -1: none */
	int scale;        /* 2; -1: none */
};

struct declared_type declared_type_read(const char *text);

enum connect_type column_type(const struct table *table, const struct column *column,
			      enum type_mapping mapping, enum decimal_mode decimals);

/* The values of the column are never NULL, and SQLite sees to it. */
bool column_is_required(const struct table *table, const struct column *column);

#endif
