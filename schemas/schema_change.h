/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/schema_change.h -- messages that tell of a table's structure
 * (include.schema.changes), behind their source block.
 *
 *     key    {"databaseName":DB}
 *     value  {"source":{…},"ts_ms":N,"databaseName":DB,"schemaName":null,"ddl":SQL,
 *             "tableChanges":[{"type":"CREATE|ALTER|DROP","id":"\"DB\".\"TABLE\"",
 *              "table":null|{"defaultCharsetName":null,
 *                "primaryKeyColumnNames":[NAME,…],"columns":[COLUMN,…],
 *                "comment":null}}]}
 *     COLUMN {"name":NAME,"jdbcType":N,"nativeType":null,"typeName":TYPE,
 *             "typeExpression":TYPE,"charsetName":null,"length":N|null,
 *             "scale":N|null,"position":N,"optional":B,"autoIncremented":B,
 *             "generated":B,"comment":null,"defaultValueExpression":SQL|null,
 *             "enumValues":null}
 *
 * SQLite keeps the statement that makes a table as it is now, not the one that changed
 * it: ddl of CREATE and ALTER is that statement. RENAME TO is an ALTER under the new
 * name; its ddl, and that of DROP, is made up.
 *
 * THREADS  No shared state.
 * ERRORS   Out of memory shows in buffer_ok.
 */
#ifndef SCHEMAS_SCHEMA_CHANGE_H
#define SCHEMAS_SCHEMA_CHANGE_H

#include <stdint.h>

#include "schemas/column_type.h"
#include "schemas/table.h"
#include "src/base/buffer.h"

enum schema_change_type {
	SCHEMA_CREATED,
	SCHEMA_ALTERED,
	SCHEMA_RENAMED,
	SCHEMA_DROPPED,
};

struct schema_change {
	enum schema_change_type type;
	const struct table *table; /* as it is now; of a dropped one as it was */
	const char *old_name;      /* of a renamed one */
};

void schema_change_add_key(struct buffer *b, const char *database_name);

/* The statement, as a JSON string. */
void schema_change_add_ddl(struct buffer *b, const struct schema_change *change);

/* From ,"ts_ms": to the end. */
void schema_change_add(struct buffer *b, const struct schema_change *change,
		       const char *database_name, int64_t ts_ms,
		       enum type_mapping mapping, enum decimal_mode decimals);

#endif
