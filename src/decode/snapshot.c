/* SPDX-License-Identifier: Apache-2.0 */
#include "src/decode/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "btree/cell.h"
#include "btree/overflow.h"
#include "btree/tree_walk.h"
#include "schemas/row.h"
#include "schemas/view_select.h"
#include "src/base/array.h"
#include "src/base/utf8.h"

#define PROGRESS_PAGES 256

/* A row that waits for its marker. */
struct waiting {
	const struct table *table; /* NULL: none waits */
	int64_t rowid;
	struct buffer payload; /* its record; of a SELECT the bytes of its values */
	struct value *values;  /* of a SELECT */
	size_t value_cap;
	bool is_values; /* they are the row; else decode the record */
	bool is_first;  /* of all */
	bool is_first_of_table;
	bool has_no_rowid;
};

struct snapshot {
	struct page_source *source;
	const struct snapshot_events *events;
	const struct table *table;     /* being read */
	const struct table *announced; /* last one given to events->table */
	struct waiting waiting;
	struct row row;
	struct buffer scratch;
	uint64_t rows;
	uint64_t table_rows;
	uint64_t pages;
	uint32_t last_page;
};

static enum snapshot_mark mark_of(const struct waiting *row, bool is_last,
				  bool is_last_of_table)
{
	if (is_last) {
		return SNAPSHOT_LAST;
	}
	if (row->is_first) {
		return SNAPSHOT_FIRST;
	}
	if (is_last_of_table) {
		return SNAPSHOT_LAST_IN_DATA_COLLECTION;
	}
	return row->is_first_of_table ? SNAPSHOT_FIRST_IN_DATA_COLLECTION
				      : SNAPSHOT_TRUE;
}

/* Emit the row that waits; `is_last` when no row follows in any table. */
static enum status emit_waiting(struct snapshot *snap, bool is_last,
				bool is_last_of_table, struct error *err)
{
	struct waiting *row = &snap->waiting;
	struct change change = {.op = CHANGE_READ, .rowid = row->rowid};
	enum status status = ST_OK;

	if (!row->table) {
		return ST_OK;
	}
	if (row->table != snap->announced) {
		status = snap->events->table(snap->events->context, row->table, err);
		snap->announced = row->table;
	}
	if (status == ST_OK && !row->is_values) {
		status = row_decode(&snap->row, row->table, row->rowid,
				    (const uint8_t *)row->payload.bytes,
				    row->payload.len, err);
	}
	if (status != ST_OK) {
		return status;
	}
	change.after = row->is_values ? row->values : snap->row.values;
	change.has_no_rowid = row->has_no_rowid;
	change.snapshot = mark_of(row, is_last, is_last_of_table);
	row->table = NULL;
	return snap->events->change(snap->events->context, &change, err);
}

static void count_row(struct snapshot *snap)
{
	struct waiting *row = &snap->waiting;

	row->table = snap->table;
	row->is_first = snap->rows == 0;
	row->is_first_of_table = snap->table_rows == 0;
	snap->rows++;
	snap->table_rows++;
}

/* Keep the payload; its page is let go. */
static enum status wait_for(struct snapshot *snap, int64_t rowid,
			    const uint8_t *payload, size_t len, struct error *err)
{
	struct waiting *row = &snap->waiting;

	buffer_reset(&row->payload);
	if (!buffer_reserve(&row->payload, len + 1)) {
		return error_no_memory(err, "a row of %s",
				       SHORT_NAME(snap->table->name));
	}
	buffer_add(&row->payload, payload, len);
	row->rowid = rowid;
	row->has_no_rowid = false;
	row->is_values = false;
	count_row(snap);
	return ST_OK;
}

static bool has_bytes(const struct value *value)
{
	return value->class == VALUE_TEXT || value->class == VALUE_BLOB;
}

/* Keep the values of a row that a SELECT gave, and their bytes. */
static enum status wait_for_values(struct snapshot *snap, const struct value *values,
				   struct error *err)
{
	struct waiting *row = &snap->waiting;
	uint32_t count = snap->table->column_count;
	size_t at = 0;

	if (!array_room(&row->values, &row->value_cap, count, sizeof *row->values)) {
		return error_no_memory(err, "a row of %s",
				       SHORT_NAME(snap->table->name));
	}
	buffer_reset(&row->payload);
	buffer_add_char(&row->payload, 0);
	row->is_values = true;
	row->has_no_rowid = true;
	for (uint32_t i = 0; i < count; i++) {
		row->values[i] = values[i];
		if (has_bytes(&values[i])) {
			buffer_add(&row->payload, values[i].bytes, values[i].len);
		}
		if (snap->table->columns[i].is_rowid &&
		    values[i].class == VALUE_INTEGER) {
			row->rowid = values[i].integer;
			row->has_no_rowid = false;
		}
	}
	if (!buffer_ok(&row->payload)) {
		return error_no_memory(err, "a row of %s",
				       SHORT_NAME(snap->table->name));
	}
	for (uint32_t i = 0; i < count; i++) {
		if (has_bytes(&row->values[i])) {
			row->values[i].bytes =
			    (const uint8_t *)row->payload.bytes + 1 + at;
			at += row->values[i].len;
		}
	}
	count_row(snap);
	return ST_OK;
}

static enum status visit_values(void *context, const struct value *values,
				struct error *err)
{
	struct snapshot *snap = context;
	enum status status = emit_waiting(snap, false, snap->table_rows == 0, err);

	return status == ST_OK ? wait_for_values(snap, values, err) : status;
}

static enum status visit_row(void *context, const struct page *page,
			     uint32_t cell_index, struct error *err)
{
	struct snapshot *snap = context;
	struct cell cell;
	const uint8_t *payload;
	enum status status;

	if (page->page_no != snap->last_page) {
		snap->last_page = page->page_no;
		if (++snap->pages % PROGRESS_PAGES == 0) {
			snap->events->progress(snap->events->context, snap->rows,
					       snap->pages, snap->source->page_count);
		}
	}
	status = cell_read(page, cell_index, &cell, err);
	if (status == ST_OK) {
		status =
		    payload_read(snap->source, &cell, &snap->scratch, &payload, err);
	}
	if (status == ST_OK) {
		status = emit_waiting(snap, false, snap->table_rows == 0, err);
	}
	if (status == ST_OK) {
		status =
		    wait_for(snap, cell.rowid, payload, (size_t)cell.payload_len, err);
	}
	return status;
}

static const struct snapshot_select *find_select(const struct snapshot_select *selects,
						 size_t count, const char *table)
{
	for (size_t i = 0; i < count; i++) {
		if (strcasecmp(selects[i].table, table) == 0) {
			return &selects[i];
		}
	}
	return NULL;
}

/* All rows of the table at hand: of its tree, or of what the user selects. */
static enum status read_table(struct snapshot *snap,
			      const struct snapshot_select *select, struct error *err)
{
	enum status status;

	if (select) {
		return view_select_run(snap->source, snap->table, select->sql,
				       visit_values, snap, err);
	}
	status =
	    tree_walk_rows(snap->source, snap->table->root_page, visit_row, snap, err);
	return status == ST_CORRUPT
		   ? error_wrap(err, "table %s", SHORT_NAME(snap->table->name))
		   : status;
}

enum status snapshot_run(struct page_source *source, const struct catalog *catalog,
			 const struct snapshot_select *selects, size_t select_count,
			 const struct snapshot_events *events, struct error *err)
{
	struct snapshot snap = {.source = source, .events = events};
	enum status status = ST_OK;

	row_init(&snap.row);
	buffer_init(&snap.scratch);
	buffer_init(&snap.waiting.payload);
	for (size_t i = 0; status == ST_OK && i < catalog->table_count; i++) {
		snap.table = catalog->tables[i];
		snap.table_rows = 0;
		if (snap.table->left_out || snap.table->is_context ||
		    snap.table->root_page == 0) {
			continue;
		}
		status = read_table(
		    &snap, find_select(selects, select_count, snap.table->name), err);
	}
	if (status == ST_OK) {
		status = emit_waiting(&snap, true, true, err);
	}
	if (status == ST_OK) {
		events->progress(events->context, snap.rows, source->page_count,
				 source->page_count);
	}
	row_clear(&snap.row);
	buffer_clear(&snap.scratch);
	buffer_clear(&snap.waiting.payload);
	free(snap.waiting.values);
	return status;
}
