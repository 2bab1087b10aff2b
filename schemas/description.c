/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/description.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/computed.h"
#include "schemas/sandbox.h"
#include "schemas/table_list.h"

/* ---- memory that lives as long as its description ---- */

#define CHUNK_SIZE 2000 /* bytes */

struct chunk {
	struct chunk *next;
	size_t used;
	size_t size;
	_Alignas(16) uint8_t bytes[];
};

/* `size` zeroed bytes, NULL when memory ran out. */
static void *allot(struct description *description, size_t size)
{
	struct chunk *chunk = description->memory;
	void *out;

	size = (size + 15) & ~(size_t)15;
	if (!chunk || chunk->size - chunk->used < size) {
		size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;

		chunk = calloc(1, sizeof *chunk + room);
		if (!chunk) {
			return NULL;
		}
		chunk->size = room;
		chunk->next = description->memory;
		description->memory = chunk;
	}
	out = chunk->bytes + chunk->used;
	chunk->used += size;
	return out;
}

static char *allot_text(struct description *description, const char *text)
{
	size_t size = strlen(text) + 1;
	char *out = allot(description, size);

	return out ? memcpy(out, text, size) : NULL;
}

static enum status no_memory(struct error *err)
{
	(void)error_no_memory(err, "a table's description");
	return ST_NOMEM;
}

struct description *description_retain(struct description *description)
{
	(void)atomic_fetch_add(&description->references, 1);
	return description;
}

void description_release(struct description *description)
{
	struct chunk *chunk;

	if (!description || atomic_fetch_sub(&description->references, 1) > 1) {
		return;
	}
	computed_close(description->table.computed);
	while ((chunk = description->memory)) {
		description->memory = chunk->next;
		free(chunk);
	}
	free(description);
}

/* ---- the sandbox that is asked ---- */

/* fileformat2.html section 1.3.8 "Schema format number" */
#define FORMAT_WITH_DESCENDING 4

struct describer {
	struct sandbox *sandbox;
	bool has_descending; /* older schema formats ignore DESC */
	struct table_list list;
};

enum status describer_open(const struct db_header *header, struct describer **out,
			   struct error *err)
{
	struct describer *describer = calloc(1, sizeof *describer);

	if (!describer) {
		return no_memory(err);
	}
	table_list_init(&describer->list);
	describer->has_descending = header->schema_format >= FORMAT_WITH_DESCENDING;
	if (sandbox_open(header->encoding, &describer->sandbox, err) != ST_OK) {
		free(describer);
		return err->status;
	}
	*out = describer;
	return ST_OK;
}

void describer_close(struct describer *describer)
{
	if (describer) {
		table_list_clear(&describer->list);
		sandbox_close(describer->sandbox);
		free(describer);
	}
}

enum status describer_add(struct describer *describer, const struct schema_row *row,
			  struct error *err)
{
	/* Virtual tables keep their 0. All others may share one page: which one
	 * matters only to read_missing, and there to rowid tables alone. */
	uint32_t root = row->root_page == 0 ? 0 : SANDBOX_TABLE_ROOT;

	return sandbox_add(describer->sandbox, row->type, row->name, row->table_name,
			   root, row->sql, err);
}

enum status describer_load(struct describer *describer, struct error *err)
{
	enum status st = sandbox_load(describer->sandbox, err);

	return st == ST_OK ? table_list_read(&describer->list, describer->sandbox, err)
			   : st;
}

/* ---- columns ---- */

/* `word` is in lower case. */
static bool contains(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (; *text != '\0'; text++) {
		if (sqlite3_strnicmp(text, word, (int)len) == 0) {
			return true;
		}
	}
	return false;
}

static enum affinity affinity_of(const char *type, bool strict)
{
	if (strict && sqlite3_stricmp(type, "any") == 0) {
		return AFFINITY_BLOB;
	}
	if (contains(type, "int")) {
		return AFFINITY_INTEGER;
	}
	if (contains(type, "char") || contains(type, "clob") ||
	    contains(type, "text")) {
		return AFFINITY_TEXT;
	}
	if (contains(type, "blob") || *type == '\0') {
		return AFFINITY_BLOB;
	}
	if (contains(type, "real") || contains(type, "floa") ||
	    contains(type, "doub")) {
		return AFFINITY_REAL;
	}
	return AFFINITY_NUMERIC;
}

enum { HIDDEN_VIRTUAL = 2, HIDDEN_STORED = 3 };

/* A row of PRAGMA table_xinfo: cid, name, type, notnull, dflt_value, pk, hidden. */
static enum status read_column(struct description *description, sqlite3_stmt *info,
			       struct column *column, struct error *err)
{
	const int hidden = sqlite3_column_int(info, 6);
	const bool has_default = sqlite3_column_type(info, 4) != SQLITE_NULL;

	column->name = allot_text(description, sandbox_text(info, 1));
	column->declared_type = allot_text(description, sandbox_text(info, 2));
	if (has_default) {
		column->default_sql = allot_text(description, sandbox_text(info, 4));
	}
	if (!column->name || !column->declared_type ||
	    (has_default && !column->default_sql)) {
		return no_memory(err);
	}
	column->affinity =
	    affinity_of(column->declared_type, description->table.strict);
	column->not_null = sqlite3_column_int(info, 3) != 0;
	column->key_position = sqlite3_column_int(info, 5);
	column->generated = hidden == HIDDEN_VIRTUAL  ? GENERATED_VIRTUAL
			    : hidden == HIDDEN_STORED ? GENERATED_STORED
						      : GENERATED_NO;
	column->storage_index = -1;
	column->missing.class = VALUE_NULL;
	return ST_OK;
}

static enum status unfit(struct error *err)
{
	return error_set(err, ST_CORRUPT, "a table cannot be described");
}

static enum status read_columns(struct describer *describer,
				struct description *description, uint32_t count,
				struct error *err)
{
	struct table *table = &description->table;
	sqlite3_stmt *info = NULL;
	enum status st;

	table->columns = allot(description, (count + 1) * sizeof *table->columns);
	if (!table->columns) {
		return no_memory(err);
	}
	st = sandbox_prepare(
	    describer->sandbox,
	    sqlite3_mprintf("PRAGMA main.table_xinfo(%Q)", table->name), &info, err);
	while (st == ST_OK) {
		st = sandbox_step(describer->sandbox, info, err);
		if (st == ST_OK && table->column_count == count) {
			st = unfit(err);
		}
		if (st == ST_OK) {
			struct column *column = &table->columns[table->column_count++];

			st = read_column(description, info, column, err);
			table->has_virtual_columns =
			    table->has_virtual_columns ||
			    column->generated == GENERATED_VIRTUAL;
		}
	}
	(void)sqlite3_finalize(info);
	if (st != ST_END) {
		return st;
	}
	return table->column_count == count && count > 0 ? ST_OK : unfit(err);
}

/* ---- key and storage order ---- */

/* Put the primary key's columns into its order, and number them without gaps. */
static enum status read_key(struct description *description, struct error *err)
{
	struct table *table = &description->table;
	uint32_t *keys;

	keys = allot(description, (table->column_count + 1) * sizeof *keys);
	if (!keys) {
		return no_memory(err);
	}
	table->key_columns = keys;
	for (uint32_t i = 0; i < table->column_count; i++) {
		uint32_t place = table->key_count;

		if (table->columns[i].key_position <= 0) {
			continue;
		}
		for (; place > 0 && table->columns[keys[place - 1]].key_position >
					table->columns[i].key_position;
		     place--) {
			keys[place] = keys[place - 1];
		}
		keys[place] = i;
		table->key_count++;
	}
	for (uint32_t i = 0; i < table->key_count; i++) {
		table->columns[keys[i]].key_position = (int)i + 1;
	}
	return ST_OK;
}

/* Mark column `column` of a UNIQUE index, or all if the index depends on others: what
 * is no column is an expression, and -1 the rowid. */
static void mark_column(struct table *table, int column, bool is_partial)
{
	bool is_known = column >= 0 && column < (int)table->column_count;
	bool is_all =
	    is_partial || column < -1 ||
	    (is_known && table->columns[column].generated == GENERATED_VIRTUAL);

	for (uint32_t i = 0; is_all && i < table->column_count; i++) {
		table->columns[i].is_unique = true;
	}
	if (is_known) {
		table->columns[column].is_unique = true;
	}
}

/* A row of PRAGMA index_xinfo: seqno, cid, name, desc, coll, key. */
static enum status mark_unique(struct sandbox *sandbox, struct table *table,
			       const char *index, bool is_partial, struct error *err)
{
	sqlite3_stmt *info = NULL;
	enum status st = sandbox_prepare(
	    sandbox, sqlite3_mprintf("PRAGMA main.index_xinfo(%Q)", index), &info, err);

	while (st == ST_OK) {
		st = sandbox_step(sandbox, info, err);
		if (st == ST_OK && sqlite3_column_int(info, 5)) {
			mark_column(table, sqlite3_column_int(info, 1), is_partial);
		}
	}
	(void)sqlite3_finalize(info);
	return st == ST_END ? ST_OK : st;
}

/* A row of PRAGMA index_list: seq, name, unique, origin, partial. `*key_index` is the
 * name of the primary key's index, NULL if it has none. */
static enum status read_indexes(struct describer *describer,
				struct description *description, const char **key_index,
				struct error *err)
{
	sqlite3_stmt *list = NULL;
	enum status st;

	*key_index = NULL;
	st = sandbox_prepare(
	    describer->sandbox,
	    sqlite3_mprintf("PRAGMA main.index_list(%Q)", description->table.name),
	    &list, err);
	while (st == ST_OK) {
		st = sandbox_step(describer->sandbox, list, err);
		if (st != ST_OK) {
			break;
		}
		description->table.has_index = true;
		if (strcmp(sandbox_text(list, 3), "pk") == 0) {
			*key_index = allot_text(description, sandbox_text(list, 1));
			st = *key_index ? ST_OK : no_memory(err);
		}
		if (st == ST_OK && sqlite3_column_int(list, 2)) {
			st = mark_unique(describer->sandbox, &description->table,
					 sandbox_text(list, 1),
					 sqlite3_column_int(list, 4) != 0, err);
		}
	}
	(void)sqlite3_finalize(list);
	return st == ST_END ? ST_OK : st;
}

static enum collation collation_of(const char *name)
{
	static const char *const names[] = {"BINARY", "NOCASE", "RTRIM"};
	int i = 0;

	while (i < COLLATION_OTHER && sqlite3_stricmp(name, names[i]) != 0) {
		i++;
	}
	return (enum collation)i;
}

/* Keep a column of an index, the next one of those stored. */
static void store_column(const struct describer *describer, sqlite3_stmt *info,
			 struct table *table, uint32_t column, uint32_t place)
{
	if (table->columns[column].storage_index < 0) {
		table->columns[column].storage_index = (int)place;
	}
	table->stored[place] = column;
	if (sqlite3_column_int(info, 5) && place == table->tree_key_count) {
		table->tree_key[table->tree_key_count++] = (struct key_order){
		    .collation = collation_of(sandbox_text(info, 4)),
		    .is_descending =
			describer->has_descending && sqlite3_column_int(info, 3) != 0};
	}
}

/* Keep the columns of an index, which may name one more than once. A row of PRAGMA
 * index_xinfo: seqno, cid, name, desc, coll, key. With table->stored NULL only
 * count. */
static enum status walk_index(const struct describer *describer, sqlite3_stmt *info,
			      struct table *table, uint32_t *count, struct error *err)
{
	enum status st;

	*count = 0;
	while ((st = sandbox_step(describer->sandbox, info, err)) == ST_OK) {
		int column = sqlite3_column_int(info, 1);

		if (column < 0 || (uint32_t)column >= table->column_count) {
			return unfit(err);
		}
		if (table->stored) {
			store_column(describer, info, table, (uint32_t)column, *count);
		}
		++*count;
	}
	return st == ST_END ? ST_OK : st;
}

/* WITHOUT ROWID: columns are stored as the primary key's index has them. */
static enum status read_index_order(struct describer *describer,
				    struct description *description,
				    const char *key_index, struct error *err)
{
	struct table *table = &description->table;
	sqlite3_stmt *info = NULL;
	enum status st;

	st = sandbox_prepare(describer->sandbox,
			     sqlite3_mprintf("PRAGMA main.index_xinfo(%Q)", key_index),
			     &info, err);
	if (st == ST_OK) {
		st = walk_index(describer, info, table, &table->stored_count, err);
	}
	if (st == ST_OK) {
		table->stored = allot(description, ((size_t)table->stored_count + 1) *
						       sizeof *table->stored);
		table->tree_key = allot(description, ((size_t)table->stored_count + 1) *
							 sizeof *table->tree_key);
		st = table->stored && table->tree_key ? ST_OK : no_memory(err);
	}
	if (st == ST_OK) {
		(void)sqlite3_reset(info);
		st = walk_index(describer, info, table, &table->stored_count, err);
	}
	(void)sqlite3_finalize(info);
	for (uint32_t i = 0; i < table->column_count && st == ST_OK; i++) {
		const struct column *column = &table->columns[i];
		bool is_virtual = column->generated == GENERATED_VIRTUAL;

		st = is_virtual == (column->storage_index < 0) ? ST_OK : unfit(err);
	}
	return st;
}

/* Rowid tables: columns are stored as they were declared. */
static enum status read_declaration_order(struct description *description,
					  struct error *err)
{
	struct table *table = &description->table;

	table->stored = allot(description, ((size_t)table->column_count + 1) *
					       sizeof *table->stored);
	if (!table->stored) {
		return no_memory(err);
	}
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].generated != GENERATED_VIRTUAL) {
			table->columns[i].storage_index = (int)table->stored_count;
			table->stored[table->stored_count++] = i;
		}
	}
	return ST_OK;
}

static enum status read_storage(struct describer *describer,
				struct description *description, struct error *err)
{
	struct table *table = &description->table;
	const char *key_index;

	if (read_indexes(describer, description, &key_index, err) != ST_OK) {
		return err->status;
	}
	if (table->without_rowid) {
		return key_index
			   ? read_index_order(describer, description, key_index, err)
			   : unfit(err);
	}
	/* A primary key without an index of its own is the rowid. */
	if (table->key_count == 1 && !key_index) {
		struct column *key = &table->columns[table->key_columns[0]];
		int autoincrement = 0;

		key->is_rowid = true;
		if (sqlite3_table_column_metadata(
			describer->sandbox->db, "main", table->name, key->name, NULL,
			NULL, NULL, NULL, &autoincrement) == SQLITE_OK) {
			table->has_autoincrement = autoincrement != 0;
		}
	}
	return read_declaration_order(description, err);
}

/* ---- what short records read as ---- */

static bool has_default(const struct column *column)
{
	return column->default_sql && column->generated == GENERATED_NO &&
	       !column->is_rowid;
}

static char *defaults_select(const struct table *table)
{
	sqlite3_str *sql = sqlite3_str_new(NULL);
	const char *comma = "";

	sqlite3_str_appendf(sql, "SELECT ");
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (has_default(&table->columns[i])) {
			sqlite3_str_appendf(sql, "%st.\"%w\"", comma,
					    table->columns[i].name);
			comma = ",";
		}
	}
	sqlite3_str_appendf(sql, " FROM main.\"%w\" AS t NOT INDEXED", table->name);
	return sqlite3_str_finish(sql);
}

static enum status keep_value(struct description *description, struct sandbox *sandbox,
			      const struct value *value, struct value *to,
			      struct error *err)
{
	uint8_t *bytes;

	*to = *value;
	if (value->class != VALUE_TEXT && value->class != VALUE_BLOB) {
		return ST_OK;
	}
	bytes = allot(description, (size_t)value->len + 1);
	if (!bytes) {
		return no_memory(err);
	}
	sandbox_copy(sandbox, value, bytes);
	to->bytes = bytes;
	return ST_OK;
}

/* Read the one row of the sandbox, whose record has no columns. */
static enum status read_defaults(struct description *description,
				 struct sandbox *sandbox, struct error *err)
{
	struct table *table = &description->table;
	sqlite3_stmt *select = NULL;
	int index = 0;
	enum status st;

	sandbox->ticks = 0;
	st = sandbox_prepare(sandbox, defaults_select(table), &select, err);
	if (st == ST_OK) {
		st = sandbox_step(sandbox, select, err);
	}
	for (uint32_t i = 0; i < table->column_count && st == ST_OK; i++) {
		struct column *column = &table->columns[i];
		struct value value;

		if (!has_default(column)) {
			continue;
		}
		st = sandbox_value(sandbox, select, index++, &value, err);
		if (st == ST_OK) {
			st = keep_value(description, sandbox, &value, &column->missing,
					err);
		}
	}
	(void)sqlite3_finalize(select);
	/* What SQLite cannot read reads as NULL. */
	return st == ST_NOMEM ? st : ST_OK;
}

/* The describer's own sandbox has only rowid tables' pages. */
static enum status read_index_defaults(struct description *description,
				       struct error *err)
{
	const struct table *table = &description->table;
	struct sandbox *sandbox = NULL;
	enum status st = sandbox_open(table->encoding, &sandbox, err);

	if (st == ST_OK) {
		st = sandbox_add(sandbox, "table", table->name, table->name,
				 SANDBOX_INDEX_ROOT, table->sql, err);
	}
	if (st == ST_OK) {
		st = sandbox_load(sandbox, err);
	}
	if (st == ST_OK) {
		st = read_defaults(description, sandbox, err);
	}
	sandbox_close(sandbox);
	return st == ST_NOMEM ? st : ST_OK;
}

static enum status read_missing(struct describer *describer,
				struct description *description, struct error *err)
{
	const struct table *table = &description->table;
	bool any = false;

	for (uint32_t i = 0; i < table->column_count; i++) {
		any = any || has_default(&table->columns[i]);
	}
	if (!any) {
		return ST_OK;
	}
	return table->without_rowid
		   ? read_index_defaults(description, err)
		   : read_defaults(description, describer->sandbox, err);
}

/* ---- one table ---- */

/* ST_CORRUPT: SQLite's answers make no table. */
static enum status read_table(struct describer *describer,
			      struct description *description, uint32_t column_count,
			      struct error *err)
{
	struct table *table = &description->table;

	if (read_columns(describer, description, column_count, err) != ST_OK ||
	    read_key(description, err) != ST_OK ||
	    read_storage(describer, description, err) != ST_OK ||
	    read_missing(describer, description, err) != ST_OK) {
		return err->status;
	}
	return table->has_virtual_columns ? computed_open(table, &table->computed, err)
					  : ST_OK;
}

static enum status name_table(struct description *description,
			      const struct schema_row *row, enum text_encoding encoding,
			      struct error *err)
{
	struct table *table = &description->table;
	char *sort_name = allot_text(description, row->name);

	for (char *p = sort_name; p && *p != '\0'; p++) {
		if (*p >= 'A' && *p <= 'Z') {
			*p = (char)(*p + ('a' - 'A'));
		}
	}
	table->sort_name = sort_name;
	table->name = allot_text(description, row->name);
	table->sql = allot_text(description, row->sql ? row->sql : "");
	table->encoding = encoding;
	return table->sort_name && table->name && table->sql ? ST_OK : no_memory(err);
}

/* A table without columns, of which only the name is known. */
static void forget_columns(struct table *table)
{
	computed_close(table->computed);
	*table = (struct table){.name = table->name,
				.sort_name = table->sort_name,
				.sql = table->sql,
				.without_rowid = table->without_rowid,
				.encoding = table->encoding};
}

static enum status fill_description(struct describer *describer,
				    const struct schema_row *row,
				    struct description *description, struct error *err)
{
	const struct listed_table *listed =
	    table_list_find(&describer->list, row->name);
	enum status st;

	if (name_table(description, row, describer->sandbox->encoding, err) != ST_OK) {
		return err->status;
	}
	description->is_system =
	    strncmp(description->table.sort_name, "sqlite_", 7) == 0 ||
	    table_list_is_shadow(&describer->list, row->name);
	if (!listed || listed->is_view) {
		return ST_OK;
	}
	description->is_listed = true;
	description->is_virtual = listed->is_virtual;
	description->table.without_rowid = listed->without_rowid;
	description->table.strict = listed->strict;
	if (listed->is_virtual) {
		return ST_OK;
	}
	describer->sandbox->ticks = 0;
	st = read_table(describer, description, listed->column_count, err);
	if (st == ST_CORRUPT) {
		description->is_listed = false;
		forget_columns(&description->table);
		st = ST_OK;
	}
	return st;
}

enum status description_open(struct describer *describer, const struct schema_row *row,
			     struct description **out, struct error *err)
{
	struct description *description = calloc(1, sizeof *description);

	if (!description) {
		return no_memory(err);
	}
	atomic_init(&description->references, 1);
	if (fill_description(describer, row, description, err) != ST_OK) {
		description_release(description);
		return err->status;
	}
	*out = description;
	return ST_OK;
}
