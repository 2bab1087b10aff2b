/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/schema_row.h -- a row of sqlite_schema.
 *
 * OWNERSHIP  Of the leaf that it was read from (schemas/schema_rows.h).
 */
#ifndef SCHEMAS_SCHEMA_ROW_H
#define SCHEMAS_SCHEMA_ROW_H

#include <stdint.h>

struct schema_leaf;

struct schema_row {
	const char *type; /* UTF-8 */
	const char *name;
	const char *table_name;
	const char *sql; /* NULL for automatic indexes */
	uint32_t root_page;
	uint32_t table_hash; /* schema_name_hash of table_name */
	int64_t rowid;
	const struct schema_leaf *leaf; /* of schemas/schema_rows.c */
};

#endif
