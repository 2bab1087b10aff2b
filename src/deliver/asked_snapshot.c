/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/asked_snapshot.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_MOST       256 /* of what is no text, but for keys */
#define TABLE_BYTES_MOST 32  /* the same of a table, and of a condition */

/* As JSON, at most. */
static size_t bytes_of(const char *text)
{
	size_t bytes = TABLE_BYTES_MOST;

	for (const char *at = text; *at; at++) {
		bytes += (unsigned char)*at < ' '    ? 6
			 : *at == '"' || *at == '\\' ? 2
						     : 1;
	}
	return bytes;
}

struct asked_snapshot *asked_snapshot_new(const char *id, bool is_blocking)
{
	struct asked_snapshot *asked = calloc(1, sizeof *asked);

	if (!asked) {
		return NULL;
	}
	asked->is_blocking = is_blocking;
	row_key_init(&asked->after);
	row_key_init(&asked->until);
	asked->id = strdup(id);
	if (!asked->id) {
		asked_snapshot_free(asked);
		return NULL;
	}
	asked->bytes = BYTES_MOST + bytes_of(id);
	return asked;
}

void asked_snapshot_free(struct asked_snapshot *asked)
{
	if (!asked) {
		return;
	}
	for (size_t i = 0; i < asked->table_count; i++) {
		free(asked->tables[i].name);
	}
	for (size_t i = 0; i < asked->condition_count; i++) {
		free(asked->conditions[i]);
	}
	free(asked->tables);
	free(asked->conditions);
	row_key_clear(&asked->after);
	row_key_clear(&asked->until);
	free(asked->id);
	free(asked);
}

/* The last one of the conditions. */
static bool add_condition(struct asked_snapshot *asked, const char *where)
{
	char **grown =
	    realloc(asked->conditions, (asked->condition_count + 1) * sizeof *grown);

	asked->conditions = grown ? grown : asked->conditions;
	if (!grown) {
		return false;
	}
	grown[asked->condition_count] = strdup(where);
	if (!grown[asked->condition_count]) {
		return false;
	}
	asked->condition_count++;
	asked->bytes += bytes_of(where);
	return true;
}

static bool add_table(struct asked_snapshot *asked, const char *name, size_t condition)
{
	struct asked_table *grown =
	    realloc(asked->tables, (asked->table_count + 1) * sizeof *grown);
	struct asked_table added = {.name = strdup(name), .condition = condition};

	asked->tables = grown ? grown : asked->tables;
	if (!grown || !added.name) {
		free(added.name);
		return false;
	}
	grown[asked->table_count++] = added;
	asked->bytes += bytes_of(name);
	return true;
}

bool asked_snapshot_rename(struct asked_snapshot *asked, const char *from,
			   const char *to)
{
	bool is_renamed = false;

	for (size_t i = asked->at; i < asked->table_count; i++) {
		char *name =
		    strcmp(asked->tables[i].name, from) == 0 ? strdup(to) : NULL;

		if (name) {
			asked->bytes += bytes_of(to);
			asked->bytes -= bytes_of(from);
			free(asked->tables[i].name);
			asked->tables[i].name = name;
			is_renamed = true;
		}
	}
	return is_renamed;
}

bool asked_snapshot_add(struct asked_snapshot *asked, const char *table,
			const char *where)
{
	size_t condition = where ? 1 : 0;

	while (where && condition <= asked->condition_count &&
	       strcmp(asked->conditions[condition - 1], where) != 0) {
		condition++;
	}
	if (condition > asked->condition_count && !add_condition(asked, where)) {
		return false;
	}
	return add_table(asked, table, condition);
}

const char *asked_snapshot_where(const struct asked_snapshot *asked, size_t table)
{
	size_t condition = asked->tables[table].condition;

	return condition > 0 ? asked->conditions[condition - 1] : NULL;
}

void asked_snapshot_drop(struct asked_snapshot *asked, size_t table)
{
	if (table == asked->at) {
		asked_snapshot_rewind(asked);
	}
	asked->bytes -= bytes_of(asked->tables[table].name);
	free(asked->tables[table].name);
	asked->table_count--;
	memmove(asked->tables + table, asked->tables + table + 1,
		(asked->table_count - table) * sizeof *asked->tables);
}

void asked_snapshot_rewind(struct asked_snapshot *asked)
{
	asked->is_begun = false;
	asked->rows = 0;
	row_key_clear(&asked->after);
	row_key_clear(&asked->until);
	row_key_init(&asked->after);
	row_key_init(&asked->until);
}

/* ---- as JSON ---- */

/* Bytes of a record as hexadecimal digits. */
static json_t *hex(const struct buffer *bytes)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2 * bytes->len + 1);
	json_t *json;

	if (!text) {
		return NULL;
	}
	for (size_t i = 0; i < bytes->len; i++) {
		uint8_t byte = (uint8_t)bytes->bytes[i];

		text[2 * i] = digits[byte >> 4];
		text[2 * i + 1] = digits[byte & 15];
	}
	json = json_stringn(text, 2 * bytes->len);
	free(text);
	return json;
}

static int digit_of(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

static bool take_hex(const char *text, size_t len, struct buffer *out)
{
	for (size_t i = 0; i + 1 < len; i += 2) {
		int high = digit_of(text[i]), low = digit_of(text[i + 1]);

		if (high < 0 || low < 0) {
			return false;
		}
		buffer_add_char(out, (char)(16 * high + low));
	}
	return len % 2 == 0 && buffer_ok(out);
}

/* A rowid is a number, a record a text. */
static json_t *key_json(const struct row_key *key)
{
	if (!key->is_set) {
		return json_null();
	}
	return key->is_rowid ? json_integer(key->rowid) : hex(&key->record);
}

static bool take_key(const json_t *json, struct row_key *key)
{
	key->is_set = !json_is_null(json);
	key->is_rowid = json_is_integer(json);
	if (key->is_rowid) {
		key->rowid = json_integer_value(json);
	}
	return !key->is_set || key->is_rowid ||
	       (json_is_string(json) &&
		take_hex(json_string_value(json), json_string_length(json),
			 &key->record));
}

static json_t *tables_json(const struct asked_snapshot *asked)
{
	json_t *all = json_array();

	for (size_t i = 0; all && i < asked->table_count; i++) {
		const struct asked_table *table = &asked->tables[i];

		if (json_array_append_new(
			all, json_pack("[s, I]", table->name,
				       (json_int_t)table->condition)) != 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

static json_t *conditions_json(const struct asked_snapshot *asked)
{
	json_t *all = json_array();

	for (size_t i = 0; all && i < asked->condition_count; i++) {
		if (json_array_append_new(all, json_string(asked->conditions[i])) !=
		    0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

json_t *asked_snapshot_json(const struct asked_snapshot *asked)
{
	return json_pack("{s:s, s:b, s:o, s:o, s:I, s:b, s:I, s:o, s:o, s:I, s:I}",
			 "id", asked->id, "blocking", asked->is_blocking, "conditions",
			 conditions_json(asked), "tables", tables_json(asked), "at",
			 (json_int_t)asked->at, "begun", asked->is_begun, "shape",
			 (json_int_t)asked->shape, "after", key_json(&asked->after),
			 "until", key_json(&asked->until), "rows",
			 (json_int_t)asked->rows, "total", (json_int_t)asked->total);
}

static bool take_conditions(const json_t *conditions, struct asked_snapshot *asked)
{
	for (size_t i = 0; i < json_array_size(conditions); i++) {
		const char *where = json_string_value(json_array_get(conditions, i));

		if (!where || !add_condition(asked, where)) {
			return false;
		}
	}
	return json_is_array(conditions);
}

static bool take_tables(const json_t *tables, struct asked_snapshot *asked)
{
	size_t count = json_array_size(tables);

	for (size_t i = 0; i < count; i++) {
		const json_t *table = json_array_get(tables, i);
		const char *name = json_string_value(json_array_get(table, 0));
		const json_t *place = json_array_get(table, 1);
		json_int_t condition = json_integer_value(place);

		if (!name || !json_is_integer(place) || condition < 0 ||
		    (uint64_t)condition > asked->condition_count ||
		    !add_table(asked, name, (size_t)condition)) {
			return false;
		}
	}
	return count > 0;
}

struct asked_snapshot *asked_snapshot_take(const json_t *json)
{
	const char *id = NULL;
	json_t *conditions = NULL, *tables = NULL, *after = NULL, *until = NULL;
	json_int_t shape = 0, at = 0, rows = 0, total = 0;
	int is_blocking = 0, is_begun = 0;
	struct asked_snapshot *asked;

	if (json_unpack((json_t *)(uintptr_t)json,
			"{s:s, s:b, s:o, s:o, s:I, s:b, s:I, s:o, s:o, s:I, s:I}", "id",
			&id, "blocking", &is_blocking, "conditions", &conditions,
			"tables", &tables, "at", &at, "begun", &is_begun, "shape",
			&shape, "after", &after, "until", &until, "rows", &rows,
			"total", &total) != 0) {
		return NULL;
	}
	asked = asked_snapshot_new(id, is_blocking != 0);
	if (!asked) {
		return NULL;
	}
	asked->is_begun = is_begun != 0;
	asked->shape = (uint64_t)shape;
	asked->at = (size_t)at;
	asked->rows = (uint64_t)rows;
	asked->total = (uint64_t)total;
	if (!take_conditions(conditions, asked) || !take_tables(tables, asked) ||
	    at < 0 || asked->at >= asked->table_count ||
	    !take_key(after, &asked->after) || !take_key(until, &asked->until)) {
		asked_snapshot_free(asked);
		return NULL;
	}
	return asked;
}
