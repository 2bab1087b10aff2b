/* SPDX-License-Identifier: Apache-2.0 */
#include "src/decode/chunk.h"

#include <stdlib.h>

#include "btree/cell.h"
#include "btree/overflow.h"
#include "btree/record.h"
#include "btree/tree_walk.h"
#include "schemas/row.h"
#include "schemas/row_filter.h"
#include "src/base/utf8.h"

struct chunk {
	struct page_source *source;
	const struct chunk_ask *ask;
	const struct table *table;
	struct chunk_told *told;
	struct row_filter *filter; /* NULL: without `where` */
	uint64_t bytes;            /* read of rows */
	bool is_possible;
	bool is_ended;       /* by us, before the end of the tree */
	bool is_handed_on;   /* the error names the table, or is not ours */
	struct row_key last; /* of the rows looked at; first it is `after` */
	struct row_key next; /* of the row at hand */
	/* Of WITHOUT ROWID tables the values of last, of ask->until, and of the row at
	 * hand. */
	struct value *last_values;
	struct value *until_values;
	struct value *values;
	struct row row;
	struct buffer scratch; /* payload of the row at hand, if it overflows */
};

/* The row at hand, of which only as much is read as is needed. */
struct at_hand {
	struct cell cell;
	const uint8_t *payload;
	size_t len; /* less than cell.payload_len: the beginning */
};

bool chunk_is_possible(const struct table *table)
{
	return row_key_order_is_known(table);
}

static enum status no_memory(const struct table *table, struct error *err)
{
	return error_no_memory(err, "a key of %s", SHORT_NAME(table->name));
}

static enum status read_payload(struct chunk *chunk, struct at_hand *row,
				struct error *err)
{
	enum status status;

	if (row->len == row->cell.payload_len) {
		return ST_OK;
	}
	status = payload_read(chunk->source, &row->cell, &chunk->scratch, &row->payload,
			      err);
	row->len = status == ST_OK ? (size_t)row->cell.payload_len : row->len;
	return status;
}

/* Values of the key from as much of the record as is there. */
static bool read_values(struct chunk *chunk, const struct at_hand *row,
			struct error *err)
{
	uint32_t count = 0;

	if (record_read(row->payload, row->len, chunk->values,
			chunk->table->tree_key_count, &count, err) != ST_OK) {
		return false;
	}
	if (count < chunk->table->tree_key_count) {
		(void)error_set(err, ST_CORRUPT,
				"record: a value of the key is missing");
		return false;
	}
	return true;
}

/* The cell and its key: cell.rowid or chunk->values. Mostly the key lies on the page,
 * however long the row is. */
static enum status read_key(struct chunk *chunk, const struct page *page,
			    uint32_t index, struct at_hand *row, struct error *err)
{
	if (page->is_table == chunk->table->without_rowid) {
		return error_set(err, ST_CORRUPT,
				 "page %u is of kind %d, which does not fit its table",
				 page->page_no, (int)page->kind);
	}
	if (cell_read(page, index, &row->cell, err) != ST_OK) {
		return err->status;
	}
	row->payload = row->cell.local;
	row->len = row->cell.local_len;
	if (page->is_table || read_values(chunk, row, err) ||
	    (row->len < row->cell.payload_len &&
	     read_payload(chunk, row, err) == ST_OK && read_values(chunk, row, err))) {
		return ST_OK;
	}
	return err->status;
}

/* Order of the row at hand and `key`, whose values are `values`. */
static int order_of(const struct chunk *chunk, const struct at_hand *row,
		    const struct row_key *key, const struct value *values)
{
	int64_t rowid = row->cell.rowid;

	return chunk->table->without_rowid
		   ? row_key_order(chunk->table, chunk->values, values)
		   : (rowid > key->rowid) - (rowid < key->rowid);
}

/* `key` becomes that of the row at hand. */
static enum status keep_key(const struct chunk *chunk, const struct at_hand *row,
			    struct row_key *key, struct error *err)
{
	key->is_set = false;
	key->is_rowid = !chunk->table->without_rowid;
	key->rowid = row->cell.rowid;
	buffer_reset(&key->record);
	if (!key->is_rowid &&
	    record_cut(row->payload, row->len, chunk->table->tree_key_count,
		       &key->record, err) != ST_OK) {
		return err->status;
	}
	key->is_set = true;
	return ST_OK;
}

/* The row at hand is done with. */
static enum status turn_to_next(struct chunk *chunk, struct error *err)
{
	struct row_key last = chunk->last;

	chunk->last = chunk->next;
	chunk->next = last;
	return row_key_values(&chunk->last, chunk->table, chunk->last_values, err);
}

static enum status is_passed(void *context, const struct page *page, uint32_t index,
			     bool *passed, struct error *err)
{
	struct chunk *chunk = context;
	struct at_hand row;

	if (read_key(chunk, page, index, &row, err) != ST_OK) {
		return err->status;
	}
	*passed = order_of(chunk, &row, &chunk->last, chunk->last_values) <= 0;
	return ST_OK;
}

/* ---- rows ---- */

static enum status out_of_order(const struct chunk *chunk, const struct page *page,
				struct error *err)
{
	struct buffer text;

	buffer_init(&text);
	row_key_text(&chunk->last, chunk->table->encoding, &text);
	buffer_add_char(&text, '\0');
	(void)error_set(err, ST_CORRUPT,
			"page %u: the row behind %s is not in the order of its key "
			"(has an application its own collation by the name of one of "
			"SQLite's?)",
			page->page_no, buffer_ok(&text) ? text.bytes : "a row");
	buffer_clear(&text);
	return err->status;
}

static enum status give(struct chunk *chunk, struct at_hand *row, struct error *err)
{
	struct change change = {.op = CHANGE_READ,
				.snapshot = SNAPSHOT_INCREMENTAL,
				.rowid = row->cell.rowid};
	enum status status = read_payload(chunk, row, err);

	if (status != ST_OK) {
		return status;
	}
	chunk->is_handed_on = true;
	status = row_decode(&chunk->row, chunk->table, row->cell.rowid, row->payload,
			    row->len, err);
	if (status == ST_OK) {
		change.after = chunk->row.values;
		status = chunk->ask->change(chunk->ask->context, &change, err);
	}
	if (status == ST_OK) {
		chunk->is_handed_on = false;
		chunk->told->given++;
	}
	return status;
}

/* Its key is kept before the row is given: no error afterwards leaves a row given that
 * is not told of. */
static enum status look_at(struct chunk *chunk, struct at_hand *row, struct error *err)
{
	bool is_wanted = true;
	enum status status = keep_key(chunk, row, &chunk->next, err);

	if (status == ST_OK && chunk->filter) {
		status = row_filter_ask(chunk->filter, row->cell.rowid, chunk->values,
					&is_wanted, err);
		chunk->is_handed_on = status != ST_OK;
	}
	if (status == ST_OK && is_wanted) {
		status = give(chunk, row, err);
	}
	if (status != ST_OK) {
		return status;
	}
	chunk->bytes += row->len;
	chunk->told->looked_at++;
	return turn_to_next(chunk, err);
}

/* By what was read, not by time: whoever reads it again ends at the same row. */
static bool is_enough(const struct chunk *chunk)
{
	return chunk->told->looked_at >= chunk->ask->most_rows ||
	       chunk->bytes >= CHUNK_BYTES;
}

static enum status visit(void *context, const struct page *page, uint32_t index,
			 struct error *err)
{
	struct chunk *chunk = context;
	struct at_hand row;
	int order;

	if (read_key(chunk, page, index, &row, err) != ST_OK) {
		return err->status;
	}
	if (!chunk->is_possible) {
		return look_at(chunk, &row, err);
	}
	if (chunk->last.is_set &&
	    order_of(chunk, &row, &chunk->last, chunk->last_values) <= 0) {
		return out_of_order(chunk, page, err);
	}
	order = order_of(chunk, &row, chunk->ask->until, chunk->until_values);
	if (chunk->ask->at_until) {
		*chunk->ask->at_until = order == 0;
	}
	if (order <= 0) {
		enum status status = look_at(chunk, &row, err);

		if (status != ST_OK) {
			return status;
		}
	}
	chunk->told->is_done = order >= 0;
	chunk->is_ended = order >= 0 || is_enough(chunk);
	return chunk->is_ended ? ST_END : ST_OK;
}

/* ---- a chunk ---- */

static void clear(struct chunk *chunk)
{
	row_filter_close(chunk->filter);
	row_key_clear(&chunk->last);
	row_key_clear(&chunk->next);
	free(chunk->last_values);
	free(chunk->until_values);
	free(chunk->values);
	row_clear(&chunk->row);
	buffer_clear(&chunk->scratch);
}

static enum status init(struct chunk *chunk, struct page_source *source,
			const struct table *table, struct error *err)
{
	size_t count = (size_t)table->tree_key_count + 1;

	*chunk = (struct chunk){
	    .source = source, .table = table, .is_possible = chunk_is_possible(table)};
	row_key_init(&chunk->last);
	row_key_init(&chunk->next);
	row_init(&chunk->row);
	buffer_init(&chunk->scratch);
	chunk->last_values = calloc(count, sizeof(struct value));
	chunk->until_values = calloc(count, sizeof(struct value));
	chunk->values = calloc(count, sizeof(struct value));
	return chunk->last_values && chunk->until_values && chunk->values
		   ? ST_OK
		   : no_memory(table, err);
}

static enum status walk(struct chunk *chunk, struct error *err)
{
	uint32_t root = chunk->table->root_page;
	enum status status;

	if (chunk->last.is_set) {
		status = tree_walk_rows_after(chunk->source, root, is_passed, visit,
					      chunk, err);
	} else {
		status = tree_walk_rows(chunk->source, root, visit, chunk, err);
	}
	if (status == ST_END && chunk->is_ended) {
		return ST_OK;
	}
	chunk->told->is_done = status == ST_OK;
	return status == ST_CORRUPT && !chunk->is_handed_on
		   ? error_wrap(err, "table %s", SHORT_NAME(chunk->table->name))
		   : status;
}

/* `chunk->last` is the key to begin behind. */
static enum status read_rows(struct chunk *chunk, struct error *err)
{
	const struct chunk_ask *ask = chunk->ask;

	if (chunk->last.is_set && !chunk->is_possible) {
		return error_set(err, ST_LOST,
				 "table %s: the order of its rows is the "
				 "application's, so they are read from the first one "
				 "on",
				 SHORT_NAME(chunk->table->name));
	}
	if (chunk->last.is_set && row_key_values(&chunk->last, chunk->table,
						 chunk->last_values, err) != ST_OK) {
		return err->status;
	}
	if (chunk->is_possible && row_key_values(ask->until, chunk->table,
						 chunk->until_values, err) != ST_OK) {
		return err->status;
	}
	if (ask->where && row_filter_open(chunk->source, chunk->table, ask->where,
					  &chunk->filter, err) != ST_OK) {
		return err->status;
	}
	return walk(chunk, err);
}

/* Tell the key, which is good for nothing if rows are left of a table that is read
 * whole. */
static void tell_last(struct chunk *chunk, struct row_key *last, enum status status)
{
	struct row_key was = *last;

	*last = chunk->last;
	chunk->last = was;
	if (!chunk->is_possible && status != ST_OK) {
		last->is_set = false;
	}
}

enum status chunk_read(struct page_source *source, const struct chunk_ask *ask,
		       struct chunk_told *told, struct error *err)
{
	struct chunk chunk;
	enum status status = init(&chunk, source, ask->table, err);

	chunk.ask = ask;
	chunk.told = told;
	told->looked_at = told->given = 0;
	told->is_done = false;
	if (status == ST_OK && !row_key_copy(&chunk.last, ask->after)) {
		status = no_memory(chunk.table, err);
	}
	if (status == ST_OK) {
		told->is_done = !ask->until->is_set;
		status = told->is_done ? ST_OK : read_rows(&chunk, err);
		tell_last(&chunk, &told->last, status);
	}
	clear(&chunk);
	return status;
}

/* ---- the last key ---- */

static enum status visit_last(void *context, const struct page *page, uint32_t index,
			      struct error *err)
{
	struct chunk *chunk = context;
	struct at_hand row;

	return read_key(chunk, page, index, &row, err) == ST_OK
		   ? keep_key(chunk, &row, &chunk->last, err)
		   : err->status;
}

enum status chunk_last_key(struct page_source *source, const struct table *table,
			   struct row_key *out, struct error *err)
{
	struct chunk chunk;
	enum status status = init(&chunk, source, table, err);

	if (status == ST_OK) {
		status =
		    tree_last_row(source, table->root_page, visit_last, &chunk, err);
	}
	if (status == ST_OK && !row_key_copy(out, &chunk.last)) {
		status = no_memory(table, err);
	}
	clear(&chunk);
	return status == ST_CORRUPT
		   ? error_wrap(err, "table %s", SHORT_NAME(table->name))
		   : status;
}
