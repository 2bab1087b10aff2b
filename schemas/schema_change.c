/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/schema_change.h"

#include "schemas/value_json.h"

/* java.sql.Types */
static const int jdbc_types[] = {
    [CONNECT_STRING] = 12,  /* VARCHAR */
    [CONNECT_INT64] = -5,   /* BIGINT */
    [CONNECT_DOUBLE] = 8,   /* DOUBLE */
    [CONNECT_BOOLEAN] = 16, /* BOOLEAN */
    [CONNECT_BYTES] = 2004, /* BLOB */
};

static void add_string(struct buffer *b, const char *text)
{
	json_add_string(b, text, strlen(text));
}

/* `text` within double quotes, those in it doubled. */
static void add_quoted(struct buffer *b, const char *text)
{
	buffer_add_char(b, '"');
	for (; *text; text++) {
		buffer_add_char(b, *text);
		if (*text == '"') {
			buffer_add_char(b, '"');
		}
	}
	buffer_add_char(b, '"');
}

/* Make a JSON string of `text`, which is cleared. */
static void add_taken(struct buffer *b, struct buffer *text)
{
	json_add_string(b, text->bytes ? text->bytes : "", text->len);
	b->failed = b->failed || text->failed;
	buffer_clear(text);
}

static void add_bool(struct buffer *b, const char *name, bool value)
{
	buffer_add_str(b, name);
	buffer_add_str(b, value ? "true" : "false");
}

static void add_number_or_null(struct buffer *b, const char *name, int n)
{
	buffer_add_str(b, name);
	if (n < 0) {
		buffer_add_str(b, "null");
	} else {
		buffer_add_i64(b, n);
	}
}

void schema_change_add_key(struct buffer *b, const char *database_name)
{
	buffer_add_str(b, "{\"databaseName\":");
	add_string(b, database_name);
	buffer_add_char(b, '}');
}

/* ---- the table ---- */

static void add_type_name(struct buffer *b, const struct declared_type *type)
{
	struct buffer name;

	buffer_init(&name);
	for (size_t i = 0; i < type->name_len; i++) {
		char c = type->name[i];

		if (c >= 'a' && c <= 'z') {
			c = (char)(c - ('a' - 'A'));
		}
		buffer_add_char(&name, c);
	}
	add_taken(b, &name);
}

static void add_column(struct buffer *b, const struct table *table, uint32_t index,
		       enum connect_type type)
{
	const struct column *column = &table->columns[index];
	struct declared_type declared = declared_type_read(column->declared_type);
	bool never_null = column->not_null || column->is_rowid ||
			  (column->key_position > 0 && table->without_rowid);

	buffer_add_str(b, index > 0 ? ",{\"name\":" : "{\"name\":");
	add_string(b, column->name);
	buffer_add_str(b, ",\"jdbcType\":");
	buffer_add_i64(b, jdbc_types[type]);
	buffer_add_str(b, ",\"nativeType\":null,\"typeName\":");
	add_type_name(b, &declared);
	buffer_add_str(b, ",\"typeExpression\":");
	add_type_name(b, &declared);
	buffer_add_str(b, ",\"charsetName\":null");
	add_number_or_null(b, ",\"length\":", declared.length);
	add_number_or_null(b, ",\"scale\":", declared.scale);
	buffer_add_str(b, ",\"position\":");
	buffer_add_u64(b, (uint64_t)index + 1);
	add_bool(b, ",\"optional\":", !never_null);
	add_bool(b,
		 ",\"autoIncremented\":", column->is_rowid && table->has_autoincrement);
	add_bool(b, ",\"generated\":", column->generated != GENERATED_NO);
	buffer_add_str(b, ",\"comment\":null,\"defaultValueExpression\":");
	if (column->default_sql && column->generated == GENERATED_NO) {
		add_string(b, column->default_sql);
	} else {
		buffer_add_str(b, "null");
	}
	buffer_add_str(b, ",\"enumValues\":null}");
}

static void add_table(struct buffer *b, const struct table *table,
		      enum type_mapping mapping, enum decimal_mode decimals)
{
	buffer_add_str(b, "{\"defaultCharsetName\":null,\"primaryKeyColumnNames\":[");
	for (uint32_t i = 0; i < table->key_count; i++) {
		if (i > 0) {
			buffer_add_char(b, ',');
		}
		add_string(b, table->columns[table->key_columns[i]].name);
	}
	buffer_add_str(b, "],\"columns\":[");
	for (uint32_t i = 0; i < table->column_count; i++) {
		add_column(b, table, i,
			   column_type(table, &table->columns[i], mapping, decimals));
	}
	buffer_add_str(b, "],\"comment\":null}");
}

/* ---- the change ---- */

void schema_change_add_ddl(struct buffer *b, const struct schema_change *change)
{
	struct buffer ddl;

	buffer_init(&ddl);
	switch (change->type) {
	case SCHEMA_CREATED:
	case SCHEMA_ALTERED:
		buffer_add_str(&ddl, change->table->sql);
		break;
	case SCHEMA_RENAMED:
		buffer_add_str(&ddl, "ALTER TABLE ");
		add_quoted(&ddl, change->old_name);
		buffer_add_str(&ddl, " RENAME TO ");
		add_quoted(&ddl, change->table->name);
		break;
	case SCHEMA_DROPPED:
		buffer_add_str(&ddl, "DROP TABLE ");
		add_quoted(&ddl, change->table->name);
		break;
	}
	add_taken(b, &ddl);
}

static void add_id(struct buffer *b, const char *database_name, const char *table_name)
{
	struct buffer id;

	buffer_init(&id);
	add_quoted(&id, database_name);
	buffer_add_char(&id, '.');
	add_quoted(&id, table_name);
	add_taken(b, &id);
}

void schema_change_add(struct buffer *b, const struct schema_change *change,
		       const char *database_name, int64_t ts_ms,
		       enum type_mapping mapping, enum decimal_mode decimals)
{
	static const char *const types[] = {
	    [SCHEMA_CREATED] = "CREATE",
	    [SCHEMA_ALTERED] = "ALTER",
	    [SCHEMA_RENAMED] = "ALTER",
	    [SCHEMA_DROPPED] = "DROP",
	};

	buffer_add_str(b, ",\"ts_ms\":");
	buffer_add_i64(b, ts_ms);
	buffer_add_str(b, ",\"databaseName\":");
	add_string(b, database_name);
	buffer_add_str(b, ",\"schemaName\":null,\"ddl\":");
	schema_change_add_ddl(b, change);
	buffer_add_str(b, ",\"tableChanges\":[{\"type\":\"");
	buffer_add_str(b, types[change->type]);
	buffer_add_str(b, "\",\"id\":");
	add_id(b, database_name, change->table->name);
	buffer_add_str(b, ",\"table\":");
	if (change->type == SCHEMA_DROPPED) {
		buffer_add_str(b, "null");
	} else {
		add_table(b, change->table, mapping, decimals);
	}
	buffer_add_str(b, "}]}");
}
