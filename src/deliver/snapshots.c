/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/snapshots.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/log.h"
#include "src/base/quote.h"
#include "src/base/utf8.h"
#include "src/config/shaping.h"
#include "src/deliver/asked_snapshot.h"
#include "src/deliver/signal_tables.h"
#include "src/deliver/stopped_tables.h"

struct snapshots {
	struct snapshots_events events;
	struct asked_snapshot *first; /* in their order; the one at hand */
	bool is_paused;               /* that one */
	bool is_changed; /* by what decoding has found; the text of before is not it */
};

/* ---- opening, and the text ---- */

static enum status read_text(struct snapshots *s, struct span text, struct error *err)
{
	json_t *json = json_loadb(text.bytes, text.len, 0, NULL);
	const json_t *all = json_object_get(json, "asked");
	struct asked_snapshot **end = &s->first;
	bool ok = json_is_array(all);

	s->is_paused = json_is_true(json_object_get(json, "paused"));
	for (size_t i = 0; ok && i < json_array_size(all); i++) {
		*end = asked_snapshot_take(json_array_get(all, i));
		ok = *end != NULL;
		end = ok ? &(*end)->next : end;
	}
	json_decref(json);
	return ok ? ST_OK
		  : error_set(err, ST_DAMAGED,
			      "what was asked for of snapshots cannot be read; stop "
			      "them all by removing the file snapshots of the state "
			      "directory, and ask again");
}

enum status snapshots_open(struct span text, const struct snapshots_events *events,
			   struct snapshots **out, struct error *err)
{
	struct snapshots *s = calloc(1, sizeof *s);
	enum status status;

	if (!s) {
		return error_no_memory(err, "snapshots");
	}
	s->events = *events;
	status = text.len > 0 ? read_text(s, text, err) : ST_OK;
	if (status != ST_OK) {
		snapshots_close(s);
		return status;
	}
	*out = s;
	return ST_OK;
}

void snapshots_close(struct snapshots *s)
{
	while (s && s->first) {
		struct asked_snapshot *next = s->first->next;

		asked_snapshot_free(s->first);
		s->first = next;
	}
	free(s);
}

static int add_bytes(const char *bytes, size_t len, void *context)
{
	buffer_add(context, bytes, len);
	return 0;
}

enum status snapshots_text(const struct snapshots *s, struct buffer *out,
			   struct error *err)
{
	json_t *all = json_array();
	json_t *json;
	bool ok = all != NULL;

	for (const struct asked_snapshot *a = s->first; ok && a; a = a->next) {
		ok = json_array_append_new(all, asked_snapshot_json(a)) == 0;
	}
	json = json_pack("{s:b, s:o}", "paused", s->is_paused, "asked", all);
	ok = ok && json &&
	     json_dump_callback(json, add_bytes, out, JSON_COMPACT) == 0 &&
	     buffer_ok(out);
	json_decref(json);
	return ok ? ST_OK : error_no_memory(err, "snapshots");
}

static bool is_utf8(const char *name)
{
	const uint8_t *at = (const uint8_t *)name;
	const uint8_t *end = at + strlen(name);
	bool is_valid = true;

	while (at < end && is_valid) {
		at += utf8_step(at, end, &is_valid);
	}
	return is_valid;
}

/* ---- telling ---- */

static struct notification_of about(const struct asked_snapshot *asked)
{
	return (struct notification_of){.is_incremental = !asked->is_blocking,
					.id = asked->id};
}

/* With the names of its tables. */
static enum status notify(const struct snapshots *s, enum notification_kind kind,
			  const struct asked_snapshot *asked,
			  const struct notification_of *more, struct error *err)
{
	struct notification_of what = *more;
	const char **names = calloc(asked->table_count + 1, sizeof *names);
	enum status status;

	if (!names) {
		return error_no_memory(err, "snapshots");
	}
	for (size_t i = 0; i < asked->table_count; i++) {
		names[i] = asked->tables[i].name;
	}
	what.tables = names;
	what.table_count = asked->table_count;
	status = s->events.notify(s->events.context, kind, &what, err);
	free(names);
	return status;
}

static enum status tell(const struct snapshots *s, enum notification_kind kind,
			const struct asked_snapshot *asked, struct error *err)
{
	struct notification_of what = about(asked);

	return notify(s, kind, asked, &what, err);
}

/* ---- the one at hand ---- */

bool snapshots_are_due(const struct snapshots *s)
{
	return s->first && !s->is_paused;
}

bool snapshots_block(const struct snapshots *s)
{
	return snapshots_are_due(s) && s->first->is_blocking;
}

/* It is over; the next one is at hand. */
static void remove_first(struct snapshots *s)
{
	struct asked_snapshot *asked = s->first;

	s->first = asked->next;
	s->is_paused = false;
	asked_snapshot_free(asked);
}

/* The table at hand is over; with the last one the snapshot is. */
static enum status end_table(struct snapshots *s, const char *scan_status,
			     struct error *err)
{
	struct asked_snapshot *asked = s->first;
	struct notification_of what = about(asked);
	enum status status;

	what.table = asked->tables[asked->at].name;
	what.rows = asked->rows;
	what.scan_status = scan_status;
	status = notify(s, NOTIFY_TABLE_SCAN_COMPLETED, asked, &what, err);
	if (status != ST_OK) {
		return status;
	}
	asked->total += asked->rows;
	asked_snapshot_rewind(asked);
	asked->at++;
	if (asked->at < asked->table_count) {
		return ST_OK;
	}
	status = tell(s, NOTIFY_COMPLETED, asked, err);
	remove_first(s);
	return status;
}

/* ---- chunks ---- */

/* A chunk that is being read. */
struct reading {
	const struct snapshots *s;
	struct asked_snapshot *asked;
	bool is_last_table; /* no table with rows follows */
	bool at_until;      /* the row is the last one of its table */
	bool is_announced;
	const struct table *table;
};

/* What a blocking snapshot says of a row, as the initial one does. */
static enum snapshot_mark mark_of(const struct reading *r)
{
	const struct asked_snapshot *asked = r->asked;

	if (r->at_until) {
		return r->is_last_table ? SNAPSHOT_LAST
					: SNAPSHOT_LAST_IN_DATA_COLLECTION;
	}
	if (asked->total + asked->rows == 0) {
		return SNAPSHOT_FIRST;
	}
	return asked->rows == 0 ? SNAPSHOT_FIRST_IN_DATA_COLLECTION : SNAPSHOT_TRUE;
}

static enum status give(void *context, const struct change *change, struct error *err)
{
	struct reading *r = context;
	const struct snapshots_events *events = &r->s->events;
	struct change row = *change;
	enum status status = ST_OK;

	if (!r->is_announced) {
		status = events->table(events->context, r->table, err);
		r->is_announced = true;
	}
	if (r->asked->is_blocking) {
		row.snapshot = mark_of(r);
	}
	if (status == ST_OK) {
		status = events->change(events->context, &row, err);
	}
	r->asked->rows += status == ST_OK;
	return status;
}

/* By what rows are told apart in the tree of the table, as a number: a table that was
 * made anew under its name may have other keys. */
static bool key_shape(const struct table *table, uint64_t *shape)
{
	struct buffer text;
	bool ok;

	buffer_init(&text);
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].is_rowid) {
			buffer_add_str(&text, table->columns[i].name);
		}
	}
	for (uint32_t i = 0; i < table->tree_key_count; i++) {
		const struct key_order *order = &table->tree_key[i];

		buffer_add_str(&text, table->columns[table->stored[i]].name);
		buffer_add_char(&text, '\0');
		buffer_add_char(&text, (char)('0' + order->collation));
		buffer_add_char(&text, order->is_descending ? '-' : '+');
	}
	buffer_add_char(&text, table->without_rowid ? 'k' : 'r');
	ok = buffer_ok(&text);
	*shape = ok ? shaping_hash(text.bytes, text.len) : 0;
	buffer_clear(&text);
	return ok;
}

static bool has_rows(struct page_source *source, const struct table *table)
{
	struct row_key last;
	struct error unused;
	bool has;

	row_key_init(&last);
	has = chunk_last_key(source, table, &last, &unused) == ST_OK && last.is_set;
	row_key_clear(&last);
	return has;
}

static bool is_captured(const struct table *table)
{
	return !table->left_out && !table->is_context && table->root_page > 0;
}

static const struct table *find_table(const struct catalog *catalog, const char *name)
{
	const struct table *table = catalog_find(catalog, name);

	return table && is_captured(table) ? table : NULL;
}

static bool is_last_table(const struct asked_snapshot *asked,
			  struct page_source *source, const struct catalog *catalog)
{
	for (size_t i = asked->at + 1; asked->is_blocking && i < asked->table_count;
	     i++) {
		const struct table *table = find_table(catalog, asked->tables[i].name);

		if (table && has_rows(source, table)) {
			return false;
		}
	}
	return true;
}

/* A key as notifications have it: without the brackets. */
static void add_key(const struct row_key *key, const struct table *table,
		    struct buffer *out)
{
	row_key_text(key, table->encoding, out);
	if (buffer_ok(out) && out->len >= 2) {
		out->len--;
		memmove(out->bytes, out->bytes + 1, --out->len);
	}
	buffer_add_char(out, '\0');
}

/* How far an incremental one is; of a blocking one that its table has begun. */
static enum status tell_progress(const struct snapshots *s, const struct table *table,
				 struct error *err)
{
	const struct asked_snapshot *asked = s->first;
	struct notification_of what = about(asked);
	struct buffer until, after;
	enum status status;

	buffer_init(&until);
	buffer_init(&after);
	add_key(&asked->until, table, &until);
	add_key(&asked->after, table, &after);
	if (!buffer_ok(&until) || !buffer_ok(&after)) {
		status = error_no_memory(err, "snapshots");
	} else {
		what.table = asked->tables[asked->at].name;
		what.rows = asked->rows;
		what.maximum_key = asked->until.is_set ? until.bytes : NULL;
		what.last_processed_key = asked->after.is_set ? after.bytes : NULL;
		status = notify(s, NOTIFY_IN_PROGRESS, asked, &what, err);
	}
	buffer_clear(&until);
	buffer_clear(&after);
	return status;
}

static void say_again(const struct asked_snapshot *asked, const char *why)
{
	if (asked->after.is_set) {
		log_info("snapshot %s: table %s is read from its beginning once more: "
			 "%s",
			 quote(asked->id).text,
			 quote(asked->tables[asked->at].name).text, why);
	}
}

/* Find out where the table at hand ends. */
static enum status begin_table(struct snapshots *s, struct page_source *source,
			       const struct table *table, uint64_t shape,
			       struct error *err)
{
	struct asked_snapshot *asked = s->first;
	enum status status;

	asked_snapshot_rewind(asked);
	status = chunk_last_key(source, table, &asked->until, err);
	asked->shape = shape;
	asked->is_begun = status == ST_OK;
	return status == ST_OK && asked->is_blocking ? tell_progress(s, table, err)
						     : status;
}

/* The user's condition does not fit the table as it is now, or the table is damaged:
 * that ends the table. */
static enum status end_unfit(struct snapshots *s, struct error *err)
{
	log_warn("snapshot %s: table %s: %s", quote(s->first->id).text,
		 quote(s->first->tables[s->first->at].name).text, err->text);
	return end_table(s, "SQL_EXCEPTION", err);
}

static enum status read_rows(struct snapshots *s, struct page_source *source,
			     const struct catalog *catalog, const struct table *table,
			     size_t most_rows, struct error *err)
{
	struct asked_snapshot *asked = s->first;
	struct reading reading = {.s = s, .asked = asked, .table = table};
	struct chunk_told told = {.is_done = false};
	struct chunk_ask ask = {.table = table,
				.after = &asked->after,
				.until = &asked->until,
				.most_rows = most_rows,
				.where = asked_snapshot_where(asked, asked->at),
				.at_until = &reading.at_until,
				.change = give,
				.context = &reading};
	enum status status;

	reading.is_last_table = is_last_table(asked, source, catalog);
	row_key_init(&told.last);
	status = chunk_read(source, &ask, &told, err);
	if (status == ST_OK && told.looked_at > 0 &&
	    !row_key_copy(&asked->after, &told.last)) {
		status = error_no_memory(err, "snapshots");
	}
	row_key_clear(&told.last);
	if (status == ST_CONFIG || status == ST_CORRUPT) {
		return end_unfit(s, err);
	}
	if (status == ST_LOST) { /* it was made anew with other keys */
		asked_snapshot_rewind(asked);
		return ST_OK;
	}
	if (status != ST_OK) {
		return status;
	}
	if (!asked->is_blocking) {
		status = tell_progress(s, table, err);
	}
	return status == ST_OK && told.is_done
		   ? end_table(s, asked->until.is_set ? "SUCCEEDED" : "EMPTY", err)
		   : status;
}

enum status snapshots_chunk(struct snapshots *s, struct page_source *source,
			    const struct catalog *catalog, size_t most_rows,
			    struct error *err)
{
	const char *name = s->first->tables[s->first->at].name;
	const struct table *table = find_table(catalog, name);
	uint64_t shape;
	enum status status = ST_OK;

	if (!table) {
		log_warn("snapshot %s: table %s is not there any more, or not captured",
			 quote(s->first->id).text, quote(name).text);
		return end_table(s, "UNKNOWN_SCHEMA", err);
	}
	if (!key_shape(table, &shape)) {
		return error_no_memory(err, "snapshots");
	}
	if (s->first->is_begun && s->first->shape != shape) {
		say_again(s->first, "it was made anew with other keys");
	}
	if (!s->first->is_begun || s->first->shape != shape) {
		status = begin_table(s, source, table, shape, err);
	}
	return status == ST_OK ? read_rows(s, source, catalog, table, most_rows, err)
			       : status;
}

void snapshots_moved(struct snapshots *s, const char *table, int64_t from, int64_t to)
{
	struct asked_snapshot *asked = s->first;

	if (!asked || !asked->is_begun || !asked->until.is_rowid ||
	    strcmp(asked->tables[asked->at].name, table) != 0) {
		return;
	}
	if (asked->after.is_set && from <= asked->after.rowid) {
		return; /* it was read */
	}
	if (asked->after.is_set && to <= asked->after.rowid) {
		say_again(asked, "rows of it have other rowids now");
		asked_snapshot_rewind(asked);
		s->is_changed = true;
	} else if (to > asked->until.rowid) {
		asked->until.rowid = to;
		s->is_changed = true;
	}
}

void snapshots_renamed(struct snapshots *s, const char *from, const char *to)
{
	for (struct asked_snapshot *asked = s->first; asked; asked = asked->next) {
		s->is_changed |= is_utf8(to) && asked_snapshot_rename(asked, from, to);
	}
}

bool snapshots_have_changed(struct snapshots *s)
{
	bool have_changed = s->is_changed;

	s->is_changed = false;
	return have_changed;
}

/* ---- signals ---- */

static bool has_id(const struct snapshots *s, const char *id)
{
	const struct asked_snapshot *asked = s->first;

	while (asked && strcmp(asked->id, id) != 0) {
		asked = asked->next;
	}
	return asked != NULL;
}

/* Names of tables, for signal_tables_find. */
struct names {
	const char **list;
	size_t count;
};

static enum status names_open(struct names *names, size_t most, struct error *err)
{
	*names = (struct names){.list = calloc(most + 1, sizeof *names->list)};
	return names->list ? ST_OK : error_no_memory(err, "snapshots");
}

/* What can be asked for. A name that is no UTF-8 cannot be kept in a text. */
static enum status captured_names(const struct catalog *catalog, struct names *names,
				  struct error *err)
{
	enum status status = names_open(names, catalog->table_count, err);

	for (size_t i = 0; status == ST_OK && i < catalog->table_count; i++) {
		const char *name = catalog->tables[i]->name;

		if (is_captured(catalog->tables[i]) && is_utf8(name)) {
			names->list[names->count++] = name;
		}
	}
	return status;
}

static void say_unmatched(const struct signal *signal,
			  const struct signal_tables *tables)
{
	for (size_t i = 0; i < tables->unmatched_count; i++) {
		log_warn("signal %s: no table that is captured has a name like %s",
			 quote(signal->id).text, quote(tables->unmatched[i]).text);
	}
}

static enum status add_tables(struct asked_snapshot *asked, const struct signal *signal,
			      const struct names *names, struct error *err)
{
	struct signal_tables tables = {0};
	enum status status =
	    signal_tables_find(signal, names->list, names->count, &tables, err);

	for (size_t i = 0; status == ST_OK && i < tables.count; i++) {
		const struct signal_table *table = &tables.list[i];

		if (!asked_snapshot_add(asked, names->list[table->index],
					table->filter)) {
			status = error_no_memory(err, "snapshots");
		}
	}
	if (status == ST_OK && tables.count == 0) {
		status = error_set(err, ST_CONFIG,
				   "no table that is captured has such a name");
	} else if (status == ST_OK) {
		say_unmatched(signal, &tables);
	}
	signal_tables_clear(&tables);
	return status;
}

static enum status make_asked(const struct signal *signal,
			      const struct catalog *catalog,
			      struct asked_snapshot **out, struct error *err)
{
	struct names names;
	enum status status = captured_names(catalog, &names, err);

	*out = NULL;
	if (status == ST_OK) {
		*out = asked_snapshot_new(signal->id, signal->is_blocking);
		status = *out ? add_tables(*out, signal, &names, err)
			      : error_no_memory(err, "snapshots");
	}
	free(names.list);
	if (status != ST_OK) {
		asked_snapshot_free(*out);
	}
	return status;
}

/* The last of those that are asked for; takes `asked`. */
static enum status append(struct snapshots *s, struct asked_snapshot *asked,
			  struct error *err)
{
	struct asked_snapshot **end = &s->first;
	enum status status = tell(s, NOTIFY_STARTED, asked, err);

	if (status != ST_OK) {
		asked_snapshot_free(asked);
		return status;
	}
	while (*end) {
		end = &(*end)->next;
	}
	*end = asked;
	return ST_OK;
}

/* It is stopped, the one at hand or one that waits. */
static enum status abort_one(struct snapshots *s, struct asked_snapshot **place,
			     struct error *err)
{
	struct asked_snapshot *asked = *place;
	enum status status = tell(s, NOTIFY_ABORTED, asked, err);

	s->is_paused = s->is_paused && asked != s->first;
	*place = asked->next;
	asked_snapshot_free(asked);
	return status;
}

/* Is the table waited for under that id? */
static bool waits_for(const struct snapshots *s, const char *id, const char *table)
{
	for (const struct asked_snapshot *a = s->first; a; a = a->next) {
		for (size_t i = a->at; strcmp(a->id, id) == 0 && i < a->table_count;
		     i++) {
			if (strcmp(a->tables[i].name, table) == 0) {
				return true;
			}
		}
	}
	return false;
}

enum status snapshots_ask(struct snapshots *s, const char *id, bool is_blocking,
			  const char *const *tables, size_t count, struct error *err)
{
	struct asked_snapshot *asked = asked_snapshot_new(id, is_blocking);
	bool ok = asked != NULL;

	for (size_t i = 0; ok && i < count; i++) {
		/* What is no UTF-8 cannot be kept in a text. */
		ok = !is_utf8(tables[i]) || waits_for(s, id, tables[i]) ||
		     asked_snapshot_add(asked, tables[i], NULL);
	}
	if (!ok) {
		asked_snapshot_free(asked);
		return error_no_memory(err, "snapshots");
	}
	if (asked->table_count == 0) {
		asked_snapshot_free(asked);
		return ST_OK;
	}
	return append(s, asked, err);
}

enum status snapshots_give_up(struct snapshots *s, const char *id, struct error *err)
{
	struct asked_snapshot **place = &s->first;
	enum status status = ST_OK;

	while (status == ST_OK && *place) {
		if (strcmp((*place)->id, id) != 0) {
			place = &(*place)->next;
		} else {
			status = abort_one(s, place, err);
		}
	}
	return status;
}

/* There is room for one more. */
static enum status check_room(const struct snapshots *s,
			      const struct asked_snapshot *more, struct error *err)
{
	size_t count = 0, bytes = more->bytes;

	for (const struct asked_snapshot *a = s->first; a; a = a->next) {
		count++;
		bytes += a->bytes;
	}
	if (count >= SNAPSHOTS_MAX) {
		return error_set(err, ST_CONFIG,
				 "%d snapshots wait already; ask again when they are "
				 "over, or stop them",
				 SNAPSHOTS_MAX);
	}
	return bytes <= SNAPSHOTS_MAX_BYTES
		   ? ST_OK
		   : error_set(err, ST_CONFIG,
			       "the names and conditions of all snapshots that wait "
			       "have 4 MiB at most; ask again when some are over, or "
			       "for less");
}

static enum status ask(struct snapshots *s, const struct signal *signal,
		       const struct catalog *catalog, struct error *err)
{
	struct asked_snapshot *asked;
	enum status status;

	if (has_id(s, signal->id)) {
		/* A channel may give one twice, after a kill. */
		log_info("snapshot %s is asked for already", quote(signal->id).text);
		return ST_OK;
	}
	status = make_asked(signal, catalog, &asked, err);
	if (status == ST_OK) {
		status = check_room(s, asked, err);
		if (status != ST_OK) {
			asked_snapshot_free(asked);
		}
	}
	return status == ST_OK ? append(s, asked, err) : status;
}

static enum status need_one(const struct snapshots *s, struct error *err)
{
	return s->first ? ST_OK
			: error_set(err, ST_CONFIG, "no snapshot is being taken");
}

static enum status stop_all(struct snapshots *s, struct error *err)
{
	enum status status = ST_OK;

	while (status == ST_OK && s->first) {
		status = abort_one(s, &s->first, err);
	}
	return status;
}

/* Take the tables out of all snapshots; one without any more is stopped. */
static enum status stop_tables(struct snapshots *s,
			       const struct stopped_tables *stopped, struct error *err)
{
	struct asked_snapshot **place = &s->first;
	enum status status = ST_OK;

	while (status == ST_OK && *place) {
		stopped_tables_drop(stopped, *place);
		if ((*place)->at < (*place)->table_count) {
			place = &(*place)->next;
		} else {
			status = abort_one(s, place, err);
		}
	}
	return status;
}

/* Without names all that is asked for. */
static enum status stop(struct snapshots *s, const struct signal *signal,
			struct error *err)
{
	struct stopped_tables stopped;
	enum status status = need_one(s, err);

	if (status != ST_OK || signal->pattern_count == 0) {
		return status == ST_OK ? stop_all(s, err) : status;
	}
	status = stopped_tables_find(s->first, signal, &stopped, err);
	if (status == ST_OK && stopped.count == 0) {
		status = error_set(err, ST_CONFIG,
				   "no table of a snapshot that is being taken, or "
				   "waits, has such a name");
	} else if (status == ST_OK) {
		status = stop_tables(s, &stopped, err);
	}
	stopped_tables_clear(&stopped);
	return status;
}

static enum status set_paused(struct snapshots *s, bool is_paused, struct error *err)
{
	enum status status = need_one(s, err);

	if (status != ST_OK || s->is_paused == is_paused) {
		return status;
	}
	s->is_paused = is_paused;
	return tell(s, is_paused ? NOTIFY_PAUSED : NOTIFY_RESUMED, s->first, err);
}

enum status snapshots_signal(struct snapshots *s, const struct signal *signal,
			     const struct catalog *catalog, struct error *err)
{
	switch (signal->type) {
	case SIGNAL_EXECUTE_SNAPSHOT:
		return ask(s, signal, catalog, err);
	case SIGNAL_STOP_SNAPSHOT:
		return stop(s, signal, err);
	case SIGNAL_PAUSE_SNAPSHOT:
		return set_paused(s, true, err);
	case SIGNAL_RESUME_SNAPSHOT:
		return set_paused(s, false, err);
	case SIGNAL_LOG:
		break;
	}
	log_line(LOG_INFO, "%s", signal->message); /* each was asked for */
	return ST_OK;
}
