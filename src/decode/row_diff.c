/* SPDX-License-Identifier: Apache-2.0 */
#include "src/decode/row_diff.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "btree/overflow.h"
#include "btree/record.h"
#include "schemas/computed.h"
#include "schemas/text_convert.h"
#include "src/base/array.h"
#include "src/base/utf8.h"
#include "src/decode/row_cursor.h"

/* What makes two rows the same row. */
enum identity { IDENTITY_ROWID, IDENTITY_KEY, IDENTITY_CONTENT };

void row_diff_init(struct row_diff *rows)
{
	*rows = (struct row_diff){0};
	row_init(&rows->old_row.row);
	row_init(&rows->new_row.row);
	buffer_init(&rows->old_row.payload);
	buffer_init(&rows->new_row.payload);
	buffer_init(&rows->old_row.text);
	buffer_init(&rows->new_row.text);
	buffer_init(&rows->old_row.computed);
	buffer_init(&rows->new_row.computed);
	row_match_init(&rows->match);
}

static void side_row_clear(struct side_row *side)
{
	row_clear(&side->row);
	buffer_clear(&side->payload);
	buffer_clear(&side->text);
	buffer_clear(&side->computed);
	free(side->mapped);
	*side = (struct side_row){0};
}

void row_diff_clear(struct row_diff *rows)
{
	side_row_clear(&rows->old_row);
	side_row_clear(&rows->new_row);
	row_match_clear(&rows->match);
	free(rows->column_map);
	row_diff_init(rows);
}

/* ---- decoding ---- */

static void copy_mapped(const struct row_diff *rows, struct side_row *side)
{
	const struct table *table = rows->pair.new_table;

	for (uint32_t i = 0; i < table->column_count; i++) {
		int32_t from = rows->column_map[i];

		if (from >= 0) {
			side->mapped[i] = side->row.values[from];
		}
	}
}

/* The old row in the new table's columns: a column that it lacks has its default, or,
 * virtual, what it would have computed. */
static enum status map_row(struct row_diff *rows, struct side_row *side, int64_t rowid,
			   struct error *err)
{
	const struct table *table = rows->pair.new_table;
	enum status status = ST_OK;

	if (!array_room(&side->mapped, &side->mapped_cap, table->column_count,
			sizeof *side->mapped)) {
		return error_no_memory(err, "a row of %s", SHORT_NAME(table->name));
	}
	for (uint32_t i = 0; i < table->column_count; i++) {
		side->mapped[i] = table->columns[i].missing;
	}
	copy_mapped(rows, side);
	if (table->computed) {
		status = computed_fill(table->computed, rowid, side->mapped,
				       &side->computed, err);
		copy_mapped(rows, side);
	}
	side->values = side->mapped;
	return status;
}

static enum status decode(struct row_diff *rows, bool is_new, const struct cell *cell,
			  struct error *err)
{
	struct side_row *side = is_new ? &rows->new_row : &rows->old_row;
	const struct table *table =
	    is_new ? rows->pair.new_table : rows->pair.old_table;
	struct page_source *source =
	    is_new ? rows->diff->new_side.source : rows->diff->old_side.source;
	const uint8_t *payload;
	enum status status;

	status = payload_read(source, cell, &side->payload, &payload, err);
	if (status == ST_OK) {
		status = row_decode(&side->row, table, cell->rowid, payload,
				    (size_t)cell->payload_len, err);
	}
	if (status != ST_OK) {
		return error_wrap(err, "table %s", SHORT_NAME(table->name));
	}
	side->values = side->row.values;
	if (!is_new && table->encoding != rows->pair.new_table->encoding &&
	    !text_convert(side->row.values, table->column_count, table->encoding,
			  rows->pair.new_table->encoding, &side->text)) {
		return error_no_memory(err, "a row of %s", SHORT_NAME(table->name));
	}
	return rows->is_mapped && !is_new ? map_row(rows, side, cell->rowid, err)
					  : ST_OK;
}

/* ---- identity ---- */

static bool has_identity(const struct row_diff *rows, const struct value *values)
{
	return rows->identity == IDENTITY_CONTENT ||
	       row_has_key(rows->pair.new_table, values);
}

static uint64_t identity_hash(const struct row_diff *rows, const struct value *values)
{
	return rows->identity == IDENTITY_CONTENT
		   ? row_hash(rows->pair.new_table, values)
		   : row_key_hash(rows->pair.new_table, values);
}

static bool same_identity(const struct row_diff *rows, const struct value *a,
			  const struct value *b)
{
	return rows->identity == IDENTITY_CONTENT
		   ? row_same(rows->pair.new_table, a, b)
		   : row_same_key(rows->pair.new_table, a, b);
}

static bool same_place(struct row_place a, struct row_place b)
{
	return a.page_no == b.page_no && a.cell == b.cell;
}

/* The entry of the row that is decoded in `values` and stands at `place`: of the old
 * row that it was made of, or of the new one that it was matched to. */
static struct row_match_entry *entry_of(struct row_diff *rows,
					const struct value *values,
					struct row_place place, bool is_old)
{
	uint64_t hash;
	size_t at = 0;
	struct row_match_entry *entry;

	if (rows->match.count == 0 || !has_identity(rows, values)) {
		return NULL;
	}
	hash = identity_hash(rows, values);
	while ((entry = row_match_next(&rows->match, hash, &at))) {
		if (same_place(is_old ? entry->old_place : entry->new_place, place)) {
			return entry;
		}
	}
	return NULL;
}

static struct row_match_entry *entry_of_old(struct row_diff *rows,
					    struct row_place place)
{
	return entry_of(rows, rows->old_row.values, place, true);
}

static struct row_match_entry *entry_of_new(struct row_diff *rows,
					    struct row_place place)
{
	return entry_of(rows, rows->new_row.values, place, false);
}

/* ---- the steps of a pass ---- */

/* One step: an old row, a new row, or both under one rowid. */
struct step {
	struct row_cursor *old; /* NULL: no old row in this step */
	struct row_cursor *new;
	bool old_decoded;
	bool new_decoded;
	bool in_place; /* both, and they are the same row */
	bool is_equal; /* in place and nothing changed */
};

typedef enum status step_visit(struct row_diff *rows, struct step *step,
			       struct error *err);

static enum status step_decode(struct row_diff *rows, struct step *step,
			       struct error *err)
{
	enum status status = ST_OK;

	if (step->old && !step->old_decoded) {
		status = decode(rows, false, &step->old->cell, err);
		step->old_decoded = status == ST_OK;
	}
	if (status == ST_OK && step->new && !step->new_decoded) {
		status = decode(rows, true, &step->new->cell, err);
		step->new_decoded = status == ST_OK;
	}
	return status;
}

/* Is there a UNIQUE index of which the two rows that are decoded have other values? */
static bool changes_unique(const struct row_diff *rows)
{
	const struct table *table = rows->pair.new_table;

	for (uint32_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].is_unique &&
		    !value_same(&rows->old_row.values[i], &rows->new_row.values[i])) {
			return true;
		}
	}
	return false;
}

/* Find out whether the two rows under one rowid are the same row. */
static enum status step_compare(struct row_diff *rows, struct step *step,
				struct error *err)
{
	enum status status;

	if (rows->bytes_tell &&
	    tree_diff_cell_same(rows->diff, &step->old->cell, &step->new->cell)) {
		step->in_place = true;
		step->is_equal = true;
		return ST_OK;
	}
	if (rows->identity == IDENTITY_ROWID && !rows->pair.for_statements) {
		step->in_place = true;
		return ST_OK;
	}
	status = step_decode(rows, step, err);
	if (status != ST_OK) {
		return status;
	}
	if (rows->identity == IDENTITY_ROWID) {
		step->in_place = !changes_unique(rows);
		return ST_OK;
	}
	if (has_identity(rows, rows->old_row.values) !=
	    has_identity(rows, rows->new_row.values)) {
		return ST_OK;
	}
	step->in_place =
	    !has_identity(rows, rows->new_row.values) ||
	    same_identity(rows, rows->old_row.values, rows->new_row.values);
	return ST_OK;
}

static enum status take_step(struct row_diff *rows, struct row_cursor *old,
			     struct row_cursor *new, step_visit *visit,
			     struct error *err)
{
	struct step step = {.old = old, .new = new};
	enum status status = ST_OK;

	if (old && new) {
		status = step_compare(rows, &step, err);
	}
	if (status == ST_OK && !step.is_equal) {
		status = visit(rows, &step, err);
	}
	if (status == ST_OK && old) {
		status = row_cursor_next(old, err);
	}
	if (status == ST_OK && new) {
		status = row_cursor_next(new, err);
	}
	return status;
}

/* Which rows a pass is about: it ends with the last of them. */
enum pass_over { OVER_OLD, OVER_NEW };

/* Both sides in rowid order, merged; or all old rows, then all new ones. Steps of
 * equal rows are left out. */
static enum status pass(struct row_diff *rows, enum pass_over over, step_visit *visit,
			struct error *err)
{
	struct row_cursor old, new;
	enum status status;

	row_cursor_open(&old, rows->diff, false, rows->bytes_tell);
	row_cursor_open(&new, rows->diff, true, rows->bytes_tell);
	status = row_cursor_next(&old, err);
	if (status == ST_OK) {
		status = row_cursor_next(&new, err);
	}
	while (status == ST_OK && (over == OVER_OLD ? old.has : new.has)) {
		if (!new.has || (old.has && !rows->by_rowid)) {
			status = take_step(rows, &old, NULL, visit, err);
		} else if (!old.has) {
			status = take_step(rows, NULL, &new, visit, err);
		} else if (old.cell.rowid == new.cell.rowid) {
			status = take_step(rows, &old, &new, visit, err);
		} else if (old.cell.rowid < new.cell.rowid) {
			status = take_step(rows, &old, NULL, visit, err);
		} else {
			status = take_step(rows, NULL, &new, visit, err);
		}
	}
	row_cursor_close(&old);
	row_cursor_close(&new);
	return status;
}

/* ---- pass: old rows whose identity is not in its place any more ---- */

static enum status visit_leftover(struct row_diff *rows, struct step *step,
				  struct error *err)
{
	uint64_t hash;
	size_t at = 0;
	enum status status;

	if (step->in_place || !step->old) {
		return ST_OK;
	}
	status = step_decode(rows, step, err);
	if (status != ST_OK || !has_identity(rows, rows->old_row.values)) {
		return status;
	}
	hash = identity_hash(rows, rows->old_row.values);
	/* A key that the old table, where it was none, had many times stands at most
	 * once in the new one: one row of it is enough. */
	if (rows->identity == IDENTITY_KEY && row_match_next(&rows->match, hash, &at)) {
		return ST_OK;
	}
	return row_match_add(&rows->match, hash, step->old->place, err);
}

/* ---- pass: new rows that have the identity of one of these ---- */

static enum status visit_match(struct row_diff *rows, struct step *step,
			       struct error *err)
{
	struct row_match_entry *entry;
	uint64_t hash;
	size_t at = 0;
	enum status status;

	if (step->in_place || !step->new) {
		return ST_OK;
	}
	step->old_decoded = true; /* old_row is needed for the candidates below */
	status = step_decode(rows, step, err);
	if (status != ST_OK || !has_identity(rows, rows->new_row.values)) {
		return status;
	}
	hash = identity_hash(rows, rows->new_row.values);
	while ((entry = row_match_next(&rows->match, hash, &at))) {
		struct page_ref ref = {0};
		struct cell cell;
		bool same;

		if (entry->new_place.page_no != 0) {
			continue;
		}
		status = row_cell_get(&rows->diff->old_side, entry->old_place, &ref,
				      &cell, err);
		if (status != ST_OK) {
			return status;
		}
		status = decode(rows, false, &cell, err);
		same =
		    status == ST_OK &&
		    same_identity(rows, rows->old_row.values, rows->new_row.values) &&
		    !(rows->pair.for_statements && changes_unique(rows));
		page_put(rows->diff->old_side.source, &ref);
		if (status != ST_OK) {
			return status;
		}
		if (same) {
			entry->new_place = step->new->place;
			return ST_OK;
		}
	}
	return ST_OK;
}

/* ---- pass: deletes ---- */

/* Does a column outside the key have the same value before and after? Then the rows
 * under one rowid are presumably one row whose key changed. */
static bool kept_a_value(const struct row_diff *rows)
{
	const struct table *table = rows->pair.new_table;

	for (uint32_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].key_position == 0 &&
		    value_same(&rows->old_row.values[i], &rows->new_row.values[i])) {
			return true;
		}
	}
	return false;
}

/* Both rows of the step are left over with differing keys, and unmatched. */
static bool is_key_change(struct row_diff *rows, const struct step *step)
{
	return step->old && step->new &&
	       rows->identity ==
		   IDENTITY_KEY &&has_identity(rows, rows->old_row.values) &&
	       has_identity(rows, rows->new_row.values) && kept_a_value(rows);
}

static bool is_matched_old(struct row_diff *rows, const struct step *step)
{
	struct row_match_entry *entry = entry_of_old(rows, step->old->place);

	return entry && entry->new_place.page_no != 0;
}

static enum status visit_delete(struct row_diff *rows, struct step *step,
				struct error *err)
{
	struct change change = {.op = CHANGE_DELETE};
	enum status status;

	if (step->in_place || !step->old) {
		return ST_OK;
	}
	status = step_decode(rows, step, err);
	if (status != ST_OK || is_matched_old(rows, step)) {
		return status;
	}
	change.rowid = step->old->cell.rowid;
	change.before = rows->old_row.values;
	if (is_key_change(rows, step) && !entry_of_new(rows, step->new->place)) {
		change.other_key_row = rows->new_row.values;
	}
	return rows->emit(rows->context, &change, err);
}

/* ---- pass: updates and creates ---- */

static enum status emit_update(struct row_diff *rows, int64_t rowid, struct error *err)
{
	struct change change = {.op = CHANGE_UPDATE,
				.rowid = rowid,
				.before = rows->old_row.values,
				.after = rows->new_row.values};

	if (row_same(rows->pair.new_table, change.before, change.after)) {
		return ST_OK;
	}
	return rows->emit(rows->context, &change, err);
}

/* The new row at hand had its identity elsewhere before. */
static enum status emit_moved(struct row_diff *rows,
			      const struct row_match_entry *entry, int64_t rowid,
			      struct error *err)
{
	struct page_ref ref = {0};
	struct cell cell;
	enum status status =
	    row_cell_get(&rows->diff->old_side, entry->old_place, &ref, &cell, err);

	if (status != ST_OK) {
		return status;
	}
	status = decode(rows, false, &cell, err);
	if (status == ST_OK && cell.rowid != rowid && rows->moved &&
	    row_same(rows->pair.new_table, rows->old_row.values,
		     rows->new_row.values)) {
		rows->moved(rows->context, cell.rowid, rowid);
	} else if (status == ST_OK) {
		status = emit_update(rows, rowid, err);
	}
	page_put(rows->diff->old_side.source, &ref);
	return status;
}

static enum status visit_create_update(struct row_diff *rows, struct step *step,
				       struct error *err)
{
	struct change change = {.op = CHANGE_CREATE};
	struct row_match_entry *entry;
	enum status status;

	if (!step->new) {
		return ST_OK;
	}
	status = step_decode(rows, step, err);
	if (status != ST_OK) {
		return status;
	}
	change.rowid = step->new->cell.rowid;
	if (step->in_place) {
		return emit_update(rows, change.rowid, err);
	}
	entry = entry_of_new(rows, step->new->place);
	if (entry) {
		return emit_moved(rows, entry, change.rowid, err);
	}
	change.after = rows->new_row.values;
	if (is_key_change(rows, step) && !is_matched_old(rows, step)) {
		change.other_key_row = rows->old_row.values;
	}
	return rows->emit(rows->context, &change, err);
}

/* ---- columns of the two sides ---- */

static int32_t find_column(const struct table *table, const char *name)
{
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (strcasecmp(table->columns[i].name, name) == 0) {
			return (int32_t)i;
		}
	}
	return -1;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Was column `i` of the new table renamed: is the name in its place of the old one
 * gone, and the declaration the same? */
static bool is_renamed(const struct table_pair *pair, uint32_t i)
{
	const struct column *new_column = &pair->new_table->columns[i];
	const struct column *old_column;

	if (i >= pair->old_table->column_count) {
		return false;
	}
	old_column = &pair->old_table->columns[i];
	return find_column(pair->new_table, old_column->name) < 0 &&
	       strcmp(old_column->declared_type, new_column->declared_type) == 0 &&
	       same_text(old_column->default_sql, new_column->default_sql) &&
	       old_column->not_null == new_column->not_null &&
	       old_column->key_position == new_column->key_position &&
	       old_column->generated == new_column->generated;
}

/* How much of a row lies in its leaf depends on the size of pages. */
static bool same_geometry(const struct tree_diff *diff)
{
	const struct page_source *a = diff->old_side.source;
	const struct page_source *b = diff->new_side.source;

	return a->page_size == b->page_size && a->usable_size == b->usable_size;
}

static enum status map_columns(struct row_diff *rows, struct error *err)
{
	const struct table *new_table = rows->pair.new_table;
	const struct table *old_table = rows->pair.old_table;
	bool same_columns =
	    old_table &&
	    (old_table == new_table || (strcmp(old_table->sql, new_table->sql) == 0 &&
					old_table->encoding == new_table->encoding));

	rows->is_mapped = false;
	rows->bytes_tell = same_columns && same_geometry(rows->diff);
	if (!old_table || same_columns) {
		return ST_OK;
	}
	if (!array_room(&rows->column_map, &rows->column_map_cap,
			new_table->column_count, sizeof *rows->column_map)) {
		return error_no_memory(err, "the columns of %s",
				       SHORT_NAME(new_table->name));
	}
	rows->is_mapped = true;
	for (uint32_t i = 0; i < new_table->column_count; i++) {
		rows->column_map[i] =
		    find_column(old_table, new_table->columns[i].name);
		if (rows->column_map[i] < 0 && is_renamed(&rows->pair, i)) {
			rows->column_map[i] = (int32_t)i;
		}
	}
	return ST_OK;
}

/* The column that stands for the rowid, or -1. */
static int32_t rowid_column(const struct table *table)
{
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].is_rowid) {
			return (int32_t)i;
		}
	}
	return -1;
}

/* Every key column of the new table has values on the old side, too. */
static bool key_is_mapped(const struct row_diff *rows)
{
	const struct table *table = rows->pair.new_table;

	for (uint32_t i = 0; rows->is_mapped && i < table->key_count; i++) {
		if (rows->column_map[table->key_columns[i]] < 0) {
			return false;
		}
	}
	return true;
}

static void choose_identity(struct row_diff *rows)
{
	const struct table *new_table = rows->pair.new_table;
	const struct table *old_table =
	    rows->pair.old_table ? rows->pair.old_table : new_table;
	int32_t new_rowid = rowid_column(new_table);
	int32_t old_rowid = rowid_column(old_table);

	rows->by_rowid = !new_table->without_rowid && !old_table->without_rowid;
	if (rows->by_rowid && rows->pair.for_statements) {
		rows->identity = IDENTITY_ROWID;
	} else if (new_table->key_count == 0) {
		rows->identity = rows->by_rowid && !rows->pair.rowids_may_move
				     ? IDENTITY_ROWID
				     : IDENTITY_CONTENT;
	} else if (new_rowid >= 0 && rows->by_rowid &&
		   (rows->is_mapped ? rows->column_map[new_rowid] : new_rowid) ==
		       old_rowid) {
		rows->identity = IDENTITY_ROWID;
	} else if (key_is_mapped(rows)) {
		rows->identity = IDENTITY_KEY;
	} else {
		rows->identity = rows->by_rowid ? IDENTITY_ROWID : IDENTITY_CONTENT;
	}
}

/* ---- content in sequence ---- */

/* VACUUM renumbers rows but keeps their order: when both sides have equal rows in equal
 * sequence, nothing happened. */
static enum status same_sequence(struct row_diff *rows, bool *same, struct error *err)
{
	struct row_cursor old, new;
	bool have_moved = false;
	enum status status;

	*same = true;
	row_cursor_open(&old, rows->diff, false, rows->bytes_tell);
	row_cursor_open(&new, rows->diff, true, rows->bytes_tell);
	status = row_cursor_next(&old, err);
	if (status == ST_OK) {
		status = row_cursor_next(&new, err);
	}
	while (status == ST_OK && *same && old.has && new.has) {
		status = decode(rows, false, &old.cell, err);
		if (status == ST_OK) {
			status = decode(rows, true, &new.cell, err);
		}
		if (status == ST_OK) {
			*same = row_same(rows->pair.new_table, rows->old_row.values,
					 rows->new_row.values);
			have_moved |= old.cell.rowid != new.cell.rowid;
			status = row_cursor_next(&old, err);
		}
		if (status == ST_OK) {
			status = row_cursor_next(&new, err);
		}
	}
	*same = *same && !old.has && !new.has;
	if (status == ST_OK && *same && have_moved && rows->moved) {
		rows->moved(rows->context, INT64_MAX, INT64_MIN);
	}
	row_cursor_close(&old);
	row_cursor_close(&new);
	return status;
}

/* ---- the run ---- */

/* Find the old row of every new row that has its identity elsewhere. */
static enum status match_rows(struct row_diff *rows, struct error *err)
{
	enum status status;

	row_match_empty(&rows->match);
	if (rows->identity == IDENTITY_ROWID || rows->diff->old_side.rows.count == 0) {
		return ST_OK;
	}
	status = pass(rows, OVER_OLD, visit_leftover, err);
	if (status == ST_OK && rows->match.count > 0) {
		status = pass(rows, OVER_NEW, visit_match, err);
	}
	return status;
}

enum status row_diff_run(struct row_diff *rows, struct tree_diff *diff,
			 const struct table_pair *pair,
			 enum status (*emit)(void *context, const struct change *change,
					     struct error *err),
			 void *context, struct error *err)
{
	enum status status;
	bool same = false;

	rows->diff = diff;
	rows->pair = *pair;
	rows->emit = emit;
	rows->context = context;
	status = map_columns(rows, err);
	if (status != ST_OK) {
		return status;
	}
	choose_identity(rows);
	if (rows->identity == IDENTITY_CONTENT) {
		rows->by_rowid = false;
		status = same_sequence(rows, &same, err);
		if (status != ST_OK || same) {
			return status;
		}
	}
	status = match_rows(rows, err);
	if (status == ST_OK && diff->old_side.rows.count > 0) {
		status = pass(rows, OVER_OLD, visit_delete, err);
	}
	if (status == ST_OK && diff->new_side.rows.count > 0) {
		status = pass(rows, OVER_NEW, visit_create_update, err);
	}
	return status;
}
