/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/schema_rows.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "btree/cell.h"
#include "btree/overflow.h"
#include "btree/page.h"
#include "btree/page_set.h"
#include "btree/record.h"
#include "src/base/array.h"
#include "src/base/buffer.h"
#include "src/base/utf8.h"

/* Deeper than any tree of 2^32 pages whose pages hold two cells or more. */
#define DEPTH_MAX 40

enum { COLUMN_TYPE, COLUMN_NAME, COLUMN_TABLE_NAME, COLUMN_ROOT_PAGE, COLUMN_SQL };
#define COLUMN_COUNT 5

/* A row whose texts are offsets into reader.texts; the root page stands apart. */
struct raw_row {
	size_t texts[COLUMN_COUNT];
	uint32_t root_page;
	int64_t rowid;
};

#define NO_TEXT SIZE_MAX

/* The rows of one page, shared by counted references. */
struct schema_leaf {
	atomic_uint references;
	bool is_kept; /* while readings are compared */
	uint32_t page_no;
	uint32_t *overflow; /* pages of its rows */
	size_t overflow_count;
	uint32_t greatest_root;
	struct schema_row *rows; /* in the order of schema_rows */
	size_t count;
	char *texts; /* every row's */
};

struct reader {
	struct page_source *source;
	enum text_encoding encoding;
	const struct schema_rows *previous;
	const struct page_set *changed;
	struct page_set pages;
	struct buffer payload;
	struct schema_leaf **leaves;
	size_t leaf_count;
	size_t leaf_cap;
	/* Of the page at hand: */
	struct buffer texts; /* each ends with NUL */
	struct raw_row *rows;
	size_t count;
	size_t cap;
	size_t overflow_from; /* index in pages.pages */
};

static void release_leaf(struct schema_leaf *leaf)
{
	if (leaf && atomic_fetch_sub(&leaf->references, 1) == 1) {
		free(leaf->overflow);
		free(leaf->rows);
		free(leaf->texts);
		free(leaf);
	}
}

void schema_rows_init(struct schema_rows *rows)
{
	*rows = (struct schema_rows){0};
}

void schema_rows_clear(struct schema_rows *rows)
{
	for (size_t i = 0; i < rows->leaf_count; i++) {
		release_leaf(rows->leaves[i]);
	}
	free(rows->leaves);
	free(rows->rows);
	free(rows->fresh);
	free(rows->stale);
	free(rows->pages);
	schema_rows_init(rows);
}

static enum status no_memory(struct error *err)
{
	(void)error_no_memory(err, "the schema");
	return ST_NOMEM;
}

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

int schema_name_compare(const char *a, const char *b)
{
	while (*a != '\0' && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return (int)lower(*a) - (int)lower(*b);
}

uint32_t schema_name_hash(const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *name != '\0'; name++) {
		hash = (hash ^ lower(*name)) * 16777619u;
	}
	return hash;
}

/* ---- texts ---- */

static void add_utf8(struct buffer *to, uint32_t c)
{
	if (c < 0x80) {
		buffer_add_char(to, (char)c);
	} else if (c < 0x800) {
		buffer_add_char(to, (char)(0xc0 | c >> 6));
		buffer_add_char(to, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buffer_add_char(to, (char)(0xe0 | c >> 12));
		buffer_add_char(to, (char)(0x80 | (c >> 6 & 0x3f)));
		buffer_add_char(to, (char)(0x80 | (c & 0x3f)));
	} else {
		buffer_add_char(to, (char)(0xf0 | c >> 18));
		buffer_add_char(to, (char)(0x80 | (c >> 12 & 0x3f)));
		buffer_add_char(to, (char)(0x80 | (c >> 6 & 0x3f)));
		buffer_add_char(to, (char)(0x80 | (c & 0x3f)));
	}
}

static uint32_t get_unit(const uint8_t *p, enum text_encoding encoding)
{
	return encoding == TEXT_UTF16LE ? (uint32_t)p[1] << 8 | p[0] : get_u16be(p);
}

/* UTF-16 to UTF-8; half a pair becomes U+FFFD, an odd last byte is dropped. */
static void add_utf16(struct buffer *to, const uint8_t *p, size_t len,
		      enum text_encoding encoding)
{
	for (size_t i = 0; i + 1 < len; i += 2) {
		uint32_t c = get_unit(p + i, encoding);

		if (c >= 0xd800 && c < 0xdc00 && i + 3 < len) {
			uint32_t next = get_unit(p + i + 2, encoding);

			if (next >= 0xdc00 && next < 0xe000) {
				c = 0x10000 + ((c - 0xd800) << 10) + (next - 0xdc00);
				i += 2;
			}
		}
		add_utf8(to, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
	}
}

/* Keep a TEXT or NULL value; returns false for another class. */
static bool keep_text(struct reader *reader, const struct value *value, size_t *offset)
{
	*offset = NO_TEXT;
	if (value->class == VALUE_NULL) {
		return true;
	}
	if (value->class != VALUE_TEXT) {
		return false;
	}
	*offset = reader->texts.len;
	if (reader->encoding == TEXT_UTF8) {
		buffer_add(&reader->texts, value->bytes, value->len);
	} else {
		add_utf16(&reader->texts, value->bytes, value->len, reader->encoding);
	}
	buffer_add_char(&reader->texts, '\0');
	return true;
}

/* ---- rows ---- */

static enum status row_corrupt(struct error *err, int64_t rowid, const char *why)
{
	return error_set(err, ST_CORRUPT, "schema row %" PRId64 ": %s", rowid, why);
}

static enum status keep_root(struct reader *reader, const struct value *value,
			     int64_t rowid, struct raw_row *row, struct error *err)
{
	row->root_page = 0;
	row->rowid = rowid;
	if (value->class == VALUE_NULL) {
		return ST_OK;
	}
	if (value->class != VALUE_INTEGER) {
		return row_corrupt(err, rowid, "rootpage is no integer");
	}
	if (value->integer < 0 || value->integer == 1 ||
	    value->integer > reader->source->page_count) {
		return error_set(
		    err, ST_CORRUPT,
		    "schema row %" PRId64 ", \"%s\": root page %" PRId64
		    " is none of 2 to %" PRIu32,
		    rowid, SHORT_NAME(reader->texts.bytes + row->texts[COLUMN_NAME]),
		    value->integer, reader->source->page_count);
	}
	row->root_page = (uint32_t)value->integer;
	return ST_OK;
}

static enum status decode_row(struct reader *reader, int64_t rowid,
			      const uint8_t *payload, size_t len, struct raw_row *row,
			      struct error *err)
{
	struct value values[COLUMN_COUNT];
	uint32_t count;

	if (record_read(payload, len, values, COLUMN_COUNT, &count, err) != ST_OK) {
		return error_wrap(err, "schema row %" PRId64, rowid);
	}
	if (count < COLUMN_COUNT) {
		return row_corrupt(err, rowid, "columns are missing");
	}
	for (int i = 0; i < COLUMN_COUNT; i++) {
		if (i == COLUMN_ROOT_PAGE) {
			continue;
		}
		if (!keep_text(reader, &values[i], &row->texts[i])) {
			return row_corrupt(err, rowid, "a text column has no text");
		}
		if (i != COLUMN_SQL && row->texts[i] == NO_TEXT) {
			return row_corrupt(err, rowid, "type or name is NULL");
		}
	}
	if (!buffer_ok(&reader->texts)) {
		return error_no_memory(err, "the schema");
	}
	return keep_root(reader, &values[COLUMN_ROOT_PAGE], rowid, row, err);
}

static enum status add_row(struct reader *reader, const struct cell *cell,
			   struct error *err)
{
	const uint8_t *payload;

	if (!array_room(&reader->rows, &reader->cap, reader->count + 1,
			sizeof *reader->rows)) {
		return error_no_memory(err, "the schema");
	}
	if (payload_read(reader->source, cell, &reader->payload, &payload, err) !=
	    ST_OK) {
		return error_wrap(err, "schema row %" PRId64, cell->rowid);
	}
	if (decode_row(reader, cell->rowid, payload, (size_t)cell->payload_len,
		       &reader->rows[reader->count], err) != ST_OK) {
		return err->status;
	}
	reader->count++;
	return ST_OK;
}

/* ---- pages ---- */

static enum status add_page(struct reader *reader, uint32_t page_no, struct error *err)
{
	bool is_new;

	if (page_set_add(&reader->pages, page_no, &is_new, err) != ST_OK) {
		return err->status;
	}
	return is_new ? ST_OK
		      : error_set(err, ST_CORRUPT,
				  "page %" PRIu32 " stands in the schema tree twice",
				  page_no);
}

static enum status add_overflow_page(void *context, uint32_t page_no, uint32_t previous,
				     struct error *err)
{
	(void)previous;
	return add_page(context, page_no, err);
}

static int compare_rows(const void *a, const void *b)
{
	return schema_rows_compare(a, b);
}

static const char *text_at(const char *texts, size_t offset)
{
	return offset == NO_TEXT ? NULL : texts + offset;
}

/* Hand the rows of the page over to `leaf`. */
static enum status fill_leaf(struct reader *reader, struct schema_leaf *leaf,
			     struct error *err)
{
	const struct page_set *pages = &reader->pages;
	size_t overflow_count = pages->count - reader->overflow_from;

	leaf->rows = calloc(reader->count + 1, sizeof *leaf->rows);
	leaf->overflow = calloc(overflow_count + 1, sizeof *leaf->overflow);
	if (!leaf->rows || !leaf->overflow) {
		return no_memory(err);
	}
	leaf->overflow_count = overflow_count;
	for (size_t i = 0; i < overflow_count; i++) {
		leaf->overflow[i] = pages->pages[reader->overflow_from + i];
	}
	leaf->texts = reader->texts.bytes;
	buffer_init(&reader->texts);
	leaf->count = reader->count;
	for (size_t i = 0; i < leaf->count; i++) {
		const struct raw_row *raw = &reader->rows[i];

		leaf->rows[i] = (struct schema_row){
		    .type = text_at(leaf->texts, raw->texts[COLUMN_TYPE]),
		    .name = text_at(leaf->texts, raw->texts[COLUMN_NAME]),
		    .table_name = text_at(leaf->texts, raw->texts[COLUMN_TABLE_NAME]),
		    .sql = text_at(leaf->texts, raw->texts[COLUMN_SQL]),
		    .root_page = raw->root_page,
		    .rowid = raw->rowid,
		    .leaf = leaf,
		};
		leaf->rows[i].table_hash = schema_name_hash(leaf->rows[i].table_name);
		if (raw->root_page > leaf->greatest_root) {
			leaf->greatest_root = raw->root_page;
		}
	}
	qsort(leaf->rows, leaf->count, sizeof *leaf->rows, compare_rows);
	return ST_OK;
}

/* Add a leaf, which is the reader's from here on. */
static enum status take_leaf(struct reader *reader, struct schema_leaf *leaf,
			     struct error *err)
{
	if (!array_room(&reader->leaves, &reader->leaf_cap, reader->leaf_count + 1,
			sizeof(struct schema_leaf *))) {
		release_leaf(leaf);
		return no_memory(err);
	}
	reader->leaves[reader->leaf_count++] = leaf;
	return ST_OK;
}

static enum status read_leaf(struct reader *reader, const struct page *page,
			     struct error *err)
{
	struct schema_leaf *leaf;

	reader->count = 0;
	reader->overflow_from = reader->pages.count;
	for (uint32_t i = 0; i < page->cell_count; i++) {
		struct cell cell;

		if (cell_read(page, i, &cell, err) != ST_OK) {
			return err->status;
		}
		/* First of all: a chain met twice is not read twice. */
		if (cell.overflow_page &&
		    overflow_walk(reader->source, &cell, add_overflow_page, reader,
				  err) != ST_OK) {
			return error_wrap(err, "schema row %" PRId64, cell.rowid);
		}
		if (add_row(reader, &cell, err) != ST_OK) {
			return err->status;
		}
	}
	leaf = calloc(1, sizeof *leaf);
	if (!leaf) {
		return no_memory(err);
	}
	atomic_init(&leaf->references, 1);
	leaf->page_no = page->page_no;
	return take_leaf(reader, leaf, err) == ST_OK ? fill_leaf(reader, leaf, err)
						     : err->status;
}

static int compare_leaves(const void *a, const void *b)
{
	const struct schema_leaf *const *left = a;
	const struct schema_leaf *const *right = b;

	return ((*left)->page_no > (*right)->page_no) -
	       ((*left)->page_no < (*right)->page_no);
}

/* The previous reading's rows of a page that did not change; NULL if there are none. */
static struct schema_leaf *unchanged_leaf(const struct reader *reader, uint32_t page_no)
{
	const struct schema_rows *previous = reader->previous;
	struct schema_leaf key = {.page_no = page_no};
	struct schema_leaf *wanted = &key;
	struct schema_leaf **found;

	if (!previous || !reader->changed || page_set_has(reader->changed, page_no) ||
	    previous->header.encoding != reader->encoding) {
		return NULL;
	}
	found = bsearch(&wanted, previous->leaves, previous->leaf_count,
			sizeof(struct schema_leaf *), compare_leaves);
	if (!found || (*found)->greatest_root > reader->source->page_count) {
		return NULL;
	}
	for (size_t i = 0; i < (*found)->overflow_count; i++) {
		if (page_set_has(reader->changed, (*found)->overflow[i])) {
			return NULL;
		}
	}
	return *found;
}

static enum status keep_leaf(struct reader *reader, struct schema_leaf *leaf,
			     struct error *err)
{
	for (size_t i = 0; i < leaf->overflow_count; i++) {
		if (add_page(reader, leaf->overflow[i], err) != ST_OK) {
			return err->status;
		}
	}
	(void)atomic_fetch_add(&leaf->references, 1);
	return take_leaf(reader, leaf, err);
}

static enum status read_tree(struct reader *reader, uint32_t page_no, int depth,
			     struct error *err);

static enum status read_page(struct reader *reader, uint32_t page_no,
			     const uint8_t *bytes, int depth, struct error *err)
{
	struct page page;

	if (page_parse(bytes, page_no, reader->source->usable_size, &page, err) !=
	    ST_OK) {
		return err->status;
	}
	if (!page.is_table) {
		return error_set(err, ST_CORRUPT,
				 "page %" PRIu32 " of the schema is an index page",
				 page_no);
	}
	if (page.is_leaf) {
		return read_leaf(reader, &page, err);
	}
	for (uint32_t i = 0; i <= page.cell_count; i++) {
		uint32_t child;

		if (page_child(&page, i, &child, err) != ST_OK ||
		    read_tree(reader, child, depth + 1, err) != ST_OK) {
			return err->status;
		}
	}
	return ST_OK;
}

static enum status read_tree(struct reader *reader, uint32_t page_no, int depth,
			     struct error *err)
{
	struct page_ref ref = {NULL, NULL};
	struct schema_leaf *leaf;
	enum status st;

	if (depth > DEPTH_MAX) {
		return error_set(err, ST_CORRUPT, "the schema tree is too deep");
	}
	st = add_page(reader, page_no, err);
	if (st == ST_OK && (leaf = unchanged_leaf(reader, page_no))) {
		return keep_leaf(reader, leaf, err);
	}
	if (st == ST_OK) {
		st = page_get(reader->source, page_no, &ref, err);
	}
	if (st == ST_OK) {
		st = read_page(reader, page_no, ref.bytes, depth, err);
	}
	page_put(reader->source, &ref);
	return st;
}

static enum status read_header(struct schema_rows *rows, struct page_source *source,
			       struct error *err)
{
	struct page_ref ref = {NULL, NULL};
	enum status st = page_get(source, 1, &ref, err);

	if (st == ST_OK) {
		st = db_header_read(ref.bytes, &rows->header, err);
	}
	page_put(source, &ref);
	if (st == ST_OK && (rows->header.page_size != source->page_size ||
			    rows->header.usable_size != source->usable_size)) {
		st = error_set(err, ST_CORRUPT,
			       "page 1 says pages of %" PRIu32 " bytes, %" PRIu32
			       " of them usable; they have %" PRIu32 " and %" PRIu32,
			       rows->header.page_size, rows->header.usable_size,
			       source->page_size, source->usable_size);
	}
	return st;
}

/* ---- putting it in order ---- */

int schema_rows_compare(const struct schema_row *a, const struct schema_row *b)
{
	int order = strcmp(a->type, b->type);

	return order ? order : schema_name_compare(a->name, b->name);
}

static int compare_row_pointers(const void *a, const void *b)
{
	const struct schema_row *const *left = a;
	const struct schema_row *const *right = b;

	return schema_rows_compare(*left, *right);
}

static int compare_pages(const void *a, const void *b)
{
	const uint32_t *left = a;
	const uint32_t *right = b;

	return (*left > *right) - (*left < *right);
}

static void mark_leaves(struct schema_leaf **leaves, size_t count, bool is_kept)
{
	for (size_t i = 0; i < count; i++) {
		leaves[i]->is_kept = is_kept;
	}
}

/* The rows of leaves that the previous reading does not have. */
static enum status list_fresh(struct schema_rows *rows,
			      const struct schema_rows *previous, struct error *err)
{
	size_t total = 0;

	mark_leaves(rows->leaves, rows->leaf_count, false);
	if (previous) {
		mark_leaves(previous->leaves, previous->leaf_count, true);
	}
	for (size_t i = 0; i < rows->leaf_count; i++) {
		total += rows->leaves[i]->is_kept ? 0 : rows->leaves[i]->count;
	}
	rows->fresh = calloc(total + 1, sizeof(struct schema_row *));
	if (!rows->fresh) {
		return no_memory(err);
	}
	for (size_t i = 0; i < rows->leaf_count; i++) {
		const struct schema_leaf *leaf = rows->leaves[i];

		for (size_t k = 0; !leaf->is_kept && k < leaf->count; k++) {
			rows->fresh[rows->fresh_count++] = &leaf->rows[k];
		}
	}
	if (total > 1) {
		qsort(rows->fresh, total, sizeof(struct schema_row *),
		      compare_row_pointers);
	}
	return ST_OK;
}

/* Index of the first row of the previous reading, from `low` on, that does not come
 * before `row`. */
static size_t place_of(const struct schema_rows *previous, const struct schema_row *row,
		       size_t low)
{
	size_t high = previous ? previous->count : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (schema_rows_compare(previous->rows[middle], row) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

/* Rows of the previous reading that were read anew, and where they stood. */
static enum status list_stale(struct schema_rows *rows,
			      const struct schema_rows *previous, size_t **places,
			      struct error *err)
{
	size_t old_count = previous ? previous->count : 0;
	size_t total = 0;

	if (previous) {
		mark_leaves(previous->leaves, previous->leaf_count, false);
	}
	mark_leaves(rows->leaves, rows->leaf_count, true);
	for (size_t i = 0; previous && i < previous->leaf_count; i++) {
		const struct schema_leaf *leaf = previous->leaves[i];

		total += leaf->is_kept ? 0 : leaf->count;
	}
	rows->stale = calloc(total + 1, sizeof(struct schema_row *));
	*places = calloc(total + rows->fresh_count + 1, sizeof **places);
	if (!rows->stale || !*places) {
		return no_memory(err);
	}
	for (size_t i = 0; i < old_count && rows->stale_count < total; i++) {
		if (!previous->rows[i]->leaf->is_kept) {
			(*places)[rows->stale_count] = i;
			rows->stale[rows->stale_count++] = previous->rows[i];
		}
	}
	return ST_OK;
}

/* Where the fresh rows come in: most in the place of a stale one. */
static void find_places(const struct schema_rows *rows,
			const struct schema_rows *previous, const size_t *stale_places,
			size_t *places)
{
	size_t stale = 0;
	size_t place = 0;

	for (size_t i = 0; i < rows->fresh_count; i++) {
		int order = 1;

		while (stale < rows->stale_count) {
			order = schema_rows_compare(rows->stale[stale], rows->fresh[i]);
			if (order >= 0) {
				break;
			}
			stale++;
		}
		place = order == 0 && stale < rows->stale_count
			    ? stale_places[stale]
			    : place_of(previous, rows->fresh[i], place);
		places[i] = place;
	}
}

/* Put the previous reading's rows, less those that are read anew, and the fresh ones
 * into one list. */
static enum status merge_rows(struct schema_rows *rows,
			      const struct schema_rows *previous, struct error *err)
{
	size_t old_count = previous ? previous->count : 0;
	size_t *places = NULL;
	size_t next = 0;

	rows->rows =
	    calloc(old_count + rows->fresh_count + 1, sizeof(struct schema_row *));
	if (!rows->rows || list_stale(rows, previous, &places, err) != ST_OK) {
		free(places);
		return no_memory(err);
	}
	find_places(rows, previous, places, places + rows->stale_count);
	for (size_t i = 0; i <= old_count; i++) {
		while (next < rows->fresh_count &&
		       places[rows->stale_count + next] <= i) {
			rows->rows[rows->count++] = rows->fresh[next++];
		}
		if (i < old_count && previous->rows[i]->leaf->is_kept) {
			rows->rows[rows->count++] = previous->rows[i];
		}
	}
	free(places);
	return ST_OK;
}

static enum status stands_twice(const struct schema_row *row, struct error *err)
{
	return error_set(err, ST_CORRUPT, "the schema has two rows for %s \"%s\"",
			 SHORT_NAME(row->type), SHORT_NAME(row->name));
}

/* What no single row shows: names that stand twice. Among rows that were together
 * before none do. */
static enum status check_fresh(const struct schema_rows *rows, struct error *err)
{
	size_t at = 0;

	for (size_t i = 0; i < rows->fresh_count; i++) {
		const struct schema_row *row = rows->fresh[i];

		while (rows->rows[at] != row) {
			at++;
		}
		if (at > 0 && schema_rows_compare(rows->rows[at - 1], row) == 0) {
			return stands_twice(row, err);
		}
		if (at + 1 < rows->count &&
		    schema_rows_compare(row, rows->rows[at + 1]) == 0) {
			return stands_twice(rows->rows[at + 1], err);
		}
		if (row->root_page == 0 && strcmp(row->type, "index") == 0) {
			return error_set(err, ST_CORRUPT,
					 "index \"%s\" has no root page",
					 SHORT_NAME(row->name));
		}
	}
	return ST_OK;
}

/* Hand what was read over to `rows`. */
static enum status finish(struct reader *reader, struct schema_rows *rows,
			  struct error *err)
{
	rows->leaves = reader->leaves;
	rows->leaf_count = reader->leaf_count;
	reader->leaves = NULL;
	reader->leaf_count = 0;
	if (rows->leaf_count > 1) {
		qsort(rows->leaves, rows->leaf_count, sizeof(struct schema_leaf *),
		      compare_leaves);
	}
	if (list_fresh(rows, reader->previous, err) != ST_OK ||
	    merge_rows(rows, reader->previous, err) != ST_OK ||
	    check_fresh(rows, err) != ST_OK) {
		return err->status;
	}
	rows->pages = reader->pages.pages;
	rows->page_count = reader->pages.count;
	reader->pages.pages = NULL;
	reader->pages.count = reader->pages.cap = 0;
	qsort(rows->pages, rows->page_count, sizeof *rows->pages, compare_pages);
	return ST_OK;
}

static void clear_reader(struct reader *reader)
{
	page_set_clear(&reader->pages);
	buffer_clear(&reader->texts);
	buffer_clear(&reader->payload);
	for (size_t i = 0; i < reader->leaf_count; i++) {
		release_leaf(reader->leaves[i]);
	}
	free(reader->leaves);
	free(reader->rows);
}

enum status schema_rows_read(struct schema_rows *rows, struct page_source *source,
			     const struct schema_rows *previous,
			     const struct page_set *changed, struct error *err)
{
	struct reader reader = {
	    .source = source, .previous = previous, .changed = changed};
	enum status st = read_header(rows, source, err);

	if (st != ST_OK) {
		return st;
	}
	reader.encoding = rows->header.encoding;
	page_set_init(&reader.pages);
	buffer_init(&reader.texts);
	buffer_init(&reader.payload);
	st = read_tree(&reader, 1, 0, err);
	if (st == ST_OK) {
		st = finish(&reader, rows, err);
	}
	clear_reader(&reader);
	return st;
}
