/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/audit_told.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/value_json.h"
#include "src/audit/line.h"

#define SHORT_BYTES 32 /* of a value that is kept as it is */
#define HASH_BYTES  16
#define HASH_MARK   255 /* the length of an entry that has a hash */

static enum status no_memory(struct error *err)
{
	return error_no_memory(err, "what the log tells of rows");
}

enum status audit_told_open(struct audit_told *told, struct error *err)
{
	*told = (struct audit_told){0};
	buffer_init(&told->key);
	buffer_init(&told->row);
	buffer_init(&told->had);
	buffer_init(&told->value);
	return audit_hasher_open(&told->hasher, err) == ST_OK
		   ? told_store_open(&told->store, err)
		   : err->status;
}

void audit_told_close(struct audit_told *told)
{
	told_tables_clear(&told->tables);
	told_store_close(told->store);
	audit_hasher_close(&told->hasher);
	buffer_clear(&told->key);
	buffer_clear(&told->row);
	buffer_clear(&told->had);
	buffer_clear(&told->value);
	*told = (struct audit_told){0};
}

static struct span span_of(const struct buffer *b)
{
	return (struct span){b->bytes ? b->bytes : "", b->len};
}

/* ---- values ---- */

static void add_json(struct buffer *b, const json_t *value)
{
	char number[JSON_NUMBER_MAX];

	if (json_is_string(value)) {
		json_add_string(b, json_string_value(value), json_string_length(value));
	} else if (json_is_integer(value)) {
		buffer_add_i64(b, json_integer_value(value));
	} else if (json_is_real(value)) {
		buffer_add(
		    b, number,
		    (size_t)(json_put_double(number, json_real_value(value)) - number));
	} else {
		buffer_add_str(b, json_is_true(value)    ? "true"
				  : json_is_false(value) ? "false"
							 : "null");
	}
}

/* A key with 1.0 is that with 1: an update from one to the other is one of the row. */
static void add_key_value(struct buffer *b, const json_t *value)
{
	double real = json_real_value(value);

	if (json_is_real(value) && real > -9e15 && real < 9e15 &&
	    real == (double)(int64_t)real) {
		buffer_add_i64(b, (int64_t)real);
	} else {
		add_json(b, value);
	}
}

/* Of a row without a key the log has the rowid. */
static bool is_rowid(const json_t *key)
{
	return json_object_size(key) == 1 &&
	       json_is_integer(json_object_get(key, "rowid"));
}

/* told->key becomes [42]; the table knows what its columns are called. */
static enum status make_key(struct audit_told *told, struct told_table *table,
			    json_t *key, struct error *err)
{
	const char *name, *between = "[";
	json_t *value;
	bool is_new = json_array_size(table->key_names) != json_object_size(key);

	if (is_new) {
		json_decref(table->key_names);
		table->key_names = json_array();
	}
	buffer_reset(&told->key);
	json_object_foreach(key, name, value)
	{
		buffer_add_str(&told->key, between);
		add_key_value(&told->key, value);
		between = ",";
		if (is_new &&
		    json_array_append_new(table->key_names, json_string(name)) != 0) {
			return no_memory(err);
		}
	}
	buffer_add_char(&told->key, ']');
	return buffer_ok(&told->key) ? ST_OK : no_memory(err);
}

/* ---- entries ---- */

static enum status add_entry(struct audit_told *told, struct buffer *b, uint32_t id,
			     const json_t *value, struct error *err)
{
	struct buffer *text = &told->value;

	buffer_reset(text);
	add_json(text, value);
	buffer_add(b, &id, sizeof id);
	if (text->len <= SHORT_BYTES) {
		buffer_add_char(b, (char)text->len);
		buffer_add_buffer(b, text);
	} else {
		struct audit_hash hash =
		    audit_hash_of(&told->hasher, text->bytes, text->len, NULL, 0);

		buffer_add_char(b, (char)HASH_MARK);
		buffer_add(b, hash.bytes, HASH_BYTES);
	}
	return buffer_ok(text) && buffer_ok(b) && !told->hasher.failed ? ST_OK
								       : no_memory(err);
}

struct entry {
	uint32_t id;
	const char *bytes; /* length and value */
	size_t len;
};

/* The entry at *at, which goes behind it; false: there are no more. */
static bool next_entry(struct span row, size_t *at, struct entry *out)
{
	const char *entry = row.bytes + *at;
	size_t len;

	if (row.len < *at + sizeof out->id + 1) {
		return false;
	}
	memcpy(&out->id, entry, sizeof out->id);
	len = (unsigned char)entry[sizeof out->id];
	len = len == HASH_MARK ? HASH_BYTES : len;
	out->bytes = entry + sizeof out->id;
	out->len = 1 + len;
	*at += sizeof out->id + out->len;
	return *at <= row.len;
}

static bool find_entry(struct span row, uint32_t id, struct entry *out)
{
	size_t at = 0;

	while (next_entry(row, &at, out)) {
		if (out->id == id) {
			return true;
		}
	}
	return false;
}

/* `b` becomes the entries of a row. */
static enum status make_row(struct audit_told *told, struct told_table *table,
			    json_t *row, bool may_add, struct buffer *b,
			    struct error *err)
{
	const char *name;
	json_t *value;

	buffer_reset(b);
	json_object_foreach(row, name, value)
	{
		uint32_t id = told_table_column(&told->tables, table, name, may_add);

		if (id == 0 && may_add) {
			return no_memory(err);
		}
		if (id != 0 && add_entry(told, b, id, value, err) != ST_OK) {
			return err->status;
		}
	}
	return ST_OK;
}

/* told->row becomes what an update makes of the entries `was`. */
static enum status make_updated(struct audit_told *told, struct told_table *table,
				const struct audit_event *event, struct span was,
				struct error *err)
{
	struct buffer *b = &told->row;
	struct entry entry, other;
	size_t changed, at = 0;
	const char *name;
	json_t *pair;

	buffer_reset(b);
	json_object_foreach(event->changed, name, pair)
	{
		uint32_t id = told_table_column(&told->tables, table, name, true);
		json_t *value = audit_event_is(pair);

		if (id == 0) {
			return no_memory(err);
		}
		if (value && add_entry(told, b, id, value, err) != ST_OK) {
			return err->status;
		}
	}
	changed = b->len;
	while (was.bytes && next_entry(was, &at, &entry)) {
		if (!find_entry((struct span){b->bytes, changed}, entry.id, &other)) {
			buffer_add(b, &entry.id, sizeof entry.id);
			buffer_add(b, entry.bytes, entry.len);
		}
	}
	return buffer_ok(b) ? ST_OK : no_memory(err);
}

/* Does the database have what was told? */
static bool is_equal(struct span told, struct span had)
{
	struct entry a, b;
	size_t at = 0;

	while (told.bytes && next_entry(told, &at, &a)) {
		if (had.bytes && find_entry(had, a.id, &b) &&
		    (a.len != b.len || memcmp(a.bytes, b.bytes, a.len) != 0)) {
			return false;
		}
	}
	return true;
}

/* ---- rows with a key ---- */

/* A row that differed may be told by now. */
static enum status settle(struct audit_told *told, const struct told_table *table,
			  struct error *err)
{
	struct span key = span_of(&told->key);
	struct told_row row;
	enum status status = told_store_get(told->store, table->id, key, &row, err);
	bool is_told;

	if (status != ST_OK || row.bad == TOLD_EQUAL) {
		return status == ST_END ? ST_OK : status;
	}
	is_told = row.bad == TOLD_MISSING
		      ? row.state == TOLD_REMOVED
		      : row.state != TOLD_REMOVED && is_equal(row.told, row.had);
	return is_told ? told_store_mark(told->store, table->id, key, TOLD_EQUAL,
					 (struct span){NULL, 0}, err)
		       : ST_OK;
}

/* There was no row of that key. */
static bool is_new(const struct audit_event *event)
{
	return strcmp(event->op, "insert") == 0 || strcmp(event->op, "read") == 0;
}

static enum status take_update(struct audit_told *told, struct told_table *table,
			       const struct audit_event *event, struct error *err)
{
	struct told_row was = {0};
	enum status status =
	    told_store_get(told->store, table->id, span_of(&told->key), &was, err);

	if (status != ST_OK && status != ST_END) {
		return status;
	}
	return make_updated(told, table, event, was.told, err);
}

static enum status take_keyed(struct audit_told *told, struct told_table *table,
			      const struct audit_event *event, struct error *err)
{
	bool is_there = strcmp(event->op, "delete") != 0;
	enum status status = make_key(told, table, event->key, err);

	if (status == ST_OK && is_there) {
		status = event->new_row ? make_row(told, table, event->new_row, true,
						   &told->row, err)
					: take_update(told, table, event, err);
	}
	if (status == ST_OK) {
		status = told_store_put(
		    told->store, table->id, span_of(&told->key),
		    is_there ? TOLD_WHOLE : TOLD_REMOVED, is_new(event),
		    is_there ? span_of(&told->row) : (struct span){NULL, 0}, err);
	}
	return status == ST_OK && told->is_settling ? settle(told, table, err) : status;
}

/* ---- rows without a key ---- */

/* The hash of a row, whatever the order of its entries. */
static enum status content_of(struct audit_told *told, struct span row,
			      struct audit_hash *out, struct error *err)
{
	struct buffer *b = &told->value;
	uint32_t above = 0; /* ids begin with 1 */

	buffer_reset(b);
	for (;;) {
		struct entry entry, next = {.id = 0};
		size_t at = 0;

		while (next_entry(row, &at, &entry)) {
			if (entry.id > above && (next.id == 0 || entry.id < next.id)) {
				next = entry;
				if (entry.id == above + 1) {
					break;
				}
			}
		}
		if (next.id == 0) {
			break;
		}
		buffer_add(b, &next.id, sizeof next.id);
		buffer_add(b, next.bytes, next.len);
		above = next.id;
	}
	*out = audit_hash_of(&told->hasher, span_of(b).bytes, b->len, NULL, 0);
	return buffer_ok(b) && !told->hasher.failed ? ST_OK : no_memory(err);
}

/* One row more or less of that content. */
static enum status tell_bag(struct audit_told *told, const struct told_table *table,
			    struct span row, int64_t rowid, int more, struct error *err)
{
	struct audit_hash content;

	return content_of(told, row, &content, err) == ST_OK
		   ? told_store_tell_bag(told->store, table->bag_id, content.bytes,
					 rowid, more, err)
		   : err->status;
}

/* Was the row that was told the one that the line is of? Else VACUUM has given it this
 * rowid, without a line. */
static enum status is_that_row(struct audit_told *told, struct told_table *table,
			       const struct audit_event *event,
			       const struct told_row *was, bool *is_it,
			       struct error *err)
{
	const char *name;
	json_t *pair;
	enum status status = ST_OK;

	if (is_new(event)) {
		*is_it = was->state == TOLD_REMOVED;
		return ST_OK;
	}
	buffer_reset(&told->had);
	if (event->old_row) {
		status = make_row(told, table, event->old_row, false, &told->had, err);
	}
	json_object_foreach(event->changed, name, pair)
	{
		uint32_t id = told_table_column(&told->tables, table, name, false);
		json_t *value = audit_event_was(pair);

		if (status == ST_OK && id != 0 && value && !event->old_row) {
			status = add_entry(told, &told->had, id, value, err);
		}
	}
	*is_it = was->state != TOLD_REMOVED && is_equal(was->told, span_of(&told->had));
	return status;
}

/* told->row becomes what the line makes of it, if it leaves one. */
static enum status make_bag_row(struct audit_told *told, struct told_table *table,
				const struct audit_event *event,
				const struct told_row *was, enum told_state *state,
				struct error *err)
{
	*state = event->new_row ? TOLD_WHOLE : TOLD_REMOVED;
	buffer_reset(&told->row);
	if (event->new_row) {
		return make_row(told, table, event->new_row, true, &told->row, err);
	}
	if (strcmp(event->op, "delete") == 0) {
		return ST_OK;
	}
	*state = was->state == TOLD_WHOLE ? TOLD_WHOLE : TOLD_IN_PART;
	return make_updated(told, table, event, was->told, err);
}

static enum status take_bag(struct audit_told *told, struct told_table *table,
			    const struct audit_event *event, struct error *err)
{
	int64_t rowid = json_integer_value(json_object_get(event->key, "rowid"));
	struct told_row was = {0};
	enum told_state state;
	bool is_it = true;
	enum status status;

	buffer_reset(&told->key);
	buffer_add_i64(&told->key, rowid);
	status =
	    told_store_get(told->store, table->bag_id, span_of(&told->key), &was, err);
	if (status == ST_OK || status == ST_END) {
		status = is_that_row(told, table, event, &was, &is_it, err);
	}
	if (status == ST_OK && !is_it) {
		told_table_forget_bags(&told->tables, table);
		was = (struct told_row){0};
	}
	if (status == ST_OK) {
		status = make_bag_row(told, table, event, &was, &state, err);
	}
	if (status == ST_OK && told->is_settling && was.state == TOLD_WHOLE) {
		status = tell_bag(told, table, was.told, rowid, -1, err);
	}
	if (status == ST_OK && told->is_settling && state == TOLD_WHOLE) {
		status = tell_bag(told, table, span_of(&told->row), rowid, 1, err);
	}
	return status == ST_OK
		   ? told_store_put(told->store, table->bag_id, span_of(&told->key),
				    state, false, span_of(&told->row), err)
		   : status;
}

/* What was told of rows without a key, by what is in them. */
static enum status fill_bags(struct audit_told *told, struct error *err)
{
	enum status status = ST_END;

	for (size_t i = 0; status == ST_END && i < told->tables.count; i++) {
		const struct told_table *table = told->tables.list[i];
		struct told_bad row;

		while ((status = told_store_next_told(told->store, table->bag_id, &row,
						      err)) == ST_OK) {
			char rowid[24] = "";

			memcpy(rowid, row.key.bytes,
			       row.key.len < sizeof rowid ? row.key.len : 0);
			if (row.row.state == TOLD_WHOLE) {
				status = tell_bag(told, table, row.row.told,
						  strtoll(rowid, NULL, 10), 1, err);
			}
			if (status != ST_OK) {
				break;
			}
		}
	}
	told_store_reset(told->store);
	return status == ST_END ? ST_OK : status;
}

/* ---- lines ---- */

static enum status take_event(struct audit_told *told, const struct audit_event *event,
			      struct error *err)
{
	struct told_table *table;

	if (event->table && strcmp(event->op, "schema") == 0) {
		return told_tables_schema(&told->tables, event, err);
	}
	if (strcmp(event->op, "settings") == 0) {
		told_tables_settings(&told->tables, event);
	}
	told->redacted += strcmp(event->op, "redacted") == 0;
	if (!audit_event_is_row(event)) {
		return ST_OK;
	}
	table = told_tables_get(&told->tables, event->table);
	if (!table) {
		return no_memory(err);
	}
	if (!event->key) {
		table->is_whole = false; /* nobody can tell which row it is */
		return ST_OK;
	}
	return is_rowid(event->key) ? take_bag(told, table, event, err)
				    : take_keyed(told, table, event, err);
}

enum status audit_told_take(struct audit_told *told, struct span line,
			    struct error *err)
{
	static const char in_snapshot[] = "\"snapshot\":true";
	struct audit_event event;
	struct audit_line what;
	enum status status;

	told->lines++;
	audit_line_read(line.bytes, line.len, &what);
	if (what.kind == AUDIT_LINE_CHECKPOINT) {
		told->in_baseline = memmem(line.bytes, line.len, in_snapshot,
					   strlen(in_snapshot)) != NULL;
	}
	if (what.kind != AUDIT_LINE_ROW) {
		return ST_OK;
	}
	if (!audit_event_read(line, &event)) {
		told->unreadable++;
		return ST_OK;
	}
	status = take_event(told, &event, err);
	audit_event_clear(&event);
	return status;
}

/* ---- comparing ---- */

enum status audit_told_begin(struct audit_told *told, struct error *err)
{
	for (size_t i = 0; i < told->tables.count; i++) {
		told->tables.list[i]->is_compared = false;
		told->tables.list[i]->is_left_out = false;
	}
	told->rows = told->untold = 0;
	told->is_settling = false;
	return told_store_begin(told->store, err) == ST_OK ? fill_bags(told, err)
							   : err->status;
}

static bool is_whole(const struct audit_told *told, bool table)
{
	return table && !told->in_baseline;
}

static enum status compare_bag(struct audit_told *told, struct told_table *table,
			       const struct audit_event *row, struct error *err)
{
	struct audit_hash content;

	if (make_row(told, table, row->new_row, false, &told->had, err) != ST_OK) {
		return err->status;
	}
	if (content_of(told, span_of(&told->had), &content, err) != ST_OK) {
		return err->status;
	}
	return told_store_have_bag(
	    told->store, table->bag_id, content.bytes,
	    json_integer_value(json_object_get(row->key, "rowid")), err);
}

enum status audit_told_compare(struct audit_told *told, struct told_table *table,
			       const struct audit_event *row, struct error *err)
{
	struct told_row was = {0};
	enum status status;
	int bad;

	told->rows++;
	if (is_rowid(row->key)) {
		return compare_bag(told, table, row, err);
	}
	status = make_key(told, table, row->key, err);
	if (status == ST_OK) {
		status = make_row(told, table, row->new_row, false, &told->had, err);
	}
	if (status == ST_OK) {
		status = told_store_get(told->store, table->id, span_of(&told->key),
					&was, err);
	}
	if (status == ST_END && !is_whole(told, table->is_whole)) {
		told->untold++;
		return ST_OK;
	}
	if (status != ST_OK && status != ST_END) {
		return status;
	}
	if (was.state == TOLD_TWICE) {
		told->untold++;
		was = (struct told_row){.state = TOLD_WHOLE};
	}
	bad = was.state == TOLD_REMOVED || was.is_seen  ? TOLD_ADDED
	      : is_equal(was.told, span_of(&told->had)) ? TOLD_EQUAL
							: TOLD_DIFFERS;
	return told_store_mark(told->store, table->id, span_of(&told->key), bad,
			       span_of(&told->had), err);
}

enum status audit_told_end(struct audit_told *told, struct error *err)
{
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < told->tables.count; i++) {
		const struct told_table *table = told->tables.list[i];

		if (!table->is_compared) {
			continue;
		}
		status = told_store_end_rows(told->store, table->id, err);
		if (status == ST_OK) {
			status = told_store_end_bags(
			    told->store, table->bag_id,
			    is_whole(told, table->is_bag_whole), &told->untold, err);
		}
	}
	told->is_settling = true;
	return status;
}

/* ---- what differs ---- */

static json_t *key_of(const struct told_table *table, const struct told_bad *bad)
{
	json_t *values, *key = json_object();

	if (!bad->key.bytes) {
		(void)json_object_set_new(key, "rowid", json_integer(bad->rowid));
		return key;
	}
	values = json_loadb(bad->key.bytes, bad->key.len, JSON_ALLOW_NUL, NULL);
	for (size_t i = 0; i < json_array_size(values); i++) {
		const char *name =
		    json_string_value(json_array_get(table->key_names, i));

		(void)json_object_set(key, name ? name : "", json_array_get(values, i));
	}
	json_decref(values);
	return key;
}

/* Names of the columns that differ. */
static json_t *columns_of(const struct told_table *table, const struct told_row *row)
{
	json_t *names = json_array();
	struct entry a, b;
	size_t at = 0;

	while (row->told.bytes && row->had.bytes && next_entry(row->told, &at, &a)) {
		if (find_entry(row->had, a.id, &b) &&
		    (a.len != b.len || memcmp(a.bytes, b.bytes, a.len) != 0)) {
			(void)json_array_append_new(
			    names, json_string(told_table_column_name(table, a.id)));
		}
	}
	return names;
}

typedef void told_tell(void *context, const struct audit_told_found *found);

static enum status each_of(struct audit_told *told, const struct told_table *table,
			   uint32_t id, told_tell *tell, void *context, uint64_t *count,
			   struct error *err)
{
	struct told_bad bad;
	enum status status;

	told_store_reset(told->store);
	while ((status = told_store_next(told->store, id, &bad, err)) == ST_OK) {
		struct audit_told_found found = {
		    .finding = bad.key.bytes  ? (enum told_finding)bad.row.bad
			       : bad.more > 0 ? TOLD_MISSING
					      : TOLD_ADDED,
		    .table = table,
		    .rows = bad.key.bytes
				? 1
				: (uint64_t)(bad.more > 0 ? bad.more : -bad.more),
		};

		*count += found.rows;
		if (!tell) {
			continue;
		}
		found.key = key_of(table, &bad);
		if (found.finding == TOLD_DIFFERS) {
			found.columns = columns_of(table, &bad.row);
		}
		tell(context, &found);
		json_decref(found.key);
		json_decref(found.columns);
	}
	told_store_reset(told->store);
	return status == ST_END ? ST_OK : status;
}

/* The database does not have the table. */
static enum status tell_gone(struct audit_told *told, const struct told_table *table,
			     told_tell *tell, void *context, uint64_t *count,
			     struct error *err)
{
	struct audit_told_found found = {.finding = TOLD_GONE, .table = table};
	uint64_t bags;
	enum status status = told_store_count(told->store, table->id, &found.rows, err);

	if (status == ST_OK) {
		status = told_store_count(told->store, table->bag_id, &bags, err);
	}
	if (status != ST_OK) {
		return status;
	}
	found.rows += bags;
	*count += found.rows;
	if (found.rows > 0 && tell) {
		tell(context, &found);
	}
	return ST_OK;
}

enum status audit_told_each(struct audit_told *told, told_tell *tell, void *context,
			    uint64_t *count, struct error *err)
{
	enum status status = ST_OK;

	*count = 0;
	for (size_t i = 0; status == ST_OK && i < told->tables.count; i++) {
		const struct told_table *table = told->tables.list[i];

		if (!table->is_compared && !table->is_left_out) {
			status = tell_gone(told, table, tell, context, count, err);
		} else if (table->is_compared) {
			status =
			    each_of(told, table, table->id, tell, context, count, err);
			if (status == ST_OK) {
				status = each_of(told, table, table->bag_id, tell,
						 context, count, err);
			}
		}
	}
	return status;
}
