/* SPDX-License-Identifier: Apache-2.0 */
#include "src/snapshot.h"

#include <string.h>

#include "btree/cell.h"
#include "btree/overflow.h"
#include "btree/tree_walk.h"
#include "schemas/row.h"

#define PROGRESS_PAGES 256

/* A row that waits for its marker. */
struct waiting {
	const struct table *table; /* NULL: none waits */
	int64_t rowid;
	struct buffer payload;
	bool is_first; /* of all */
	bool is_first_of_table;
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
	if (status == ST_OK) {
		status = row_decode(&snap->row, row->table, row->rowid,
				    (const uint8_t *)row->payload.bytes,
				    row->payload.len, err);
	}
	if (status != ST_OK) {
		return status;
	}
	change.after = snap->row.values;
	change.snapshot = mark_of(row, is_last, is_last_of_table);
	row->table = NULL;
	return snap->events->change(snap->events->context, &change, err);
}

/* Keep the payload; its page is let go. */
static enum status wait_for(struct snapshot *snap, int64_t rowid,
			    const uint8_t *payload, size_t len, struct error *err)
{
	struct waiting *row = &snap->waiting;

	buffer_reset(&row->payload);
	if (!buffer_reserve(&row->payload, len + 1)) {
		return error_set(err, ST_NOMEM, "out of memory for a row of %s",
				 snap->table->name);
	}
	buffer_add(&row->payload, payload, len);
	row->table = snap->table;
	row->rowid = rowid;
	row->is_first = snap->rows == 0;
	row->is_first_of_table = snap->table_rows == 0;
	snap->rows++;
	snap->table_rows++;
	return ST_OK;
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

enum status snapshot_run(struct page_source *source, const struct catalog *catalog,
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
		if (snap.table->left_out || snap.table->root_page == 0) {
			continue;
		}
		status = tree_walk_rows(source, snap.table->root_page, visit_row, &snap,
					err);
		if (status == ST_CORRUPT) {
			(void)error_wrap(err, "table %s", snap.table->name);
		}
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
	return status;
}
