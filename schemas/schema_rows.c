/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/schema_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "btree/cell.h"
#include "btree/overflow.h"
#include "btree/page.h"
#include "btree/page_set.h"
#include "btree/record.h"
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

struct reader {
	struct page_source *source;
	enum text_encoding encoding;
	struct page_set pages;
	struct buffer texts; /* each ends with NUL */
	struct buffer payload;
	struct raw_row *rows;
	size_t count;
	size_t cap;
};

void schema_rows_init(struct schema_rows *rows)
{
	*rows = (struct schema_rows){0};
}

void schema_rows_clear(struct schema_rows *rows)
{
	free(rows->rows);
	free(rows->pages);
	free(rows->texts);
	schema_rows_init(rows);
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

/* --- texts ------------------------------------------------------------------------ */

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

/* --- rows ------------------------------------------------------------------------- */

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
		return error_set(err, ST_NOMEM, "out of memory for the schema");
	}
	return keep_root(reader, &values[COLUMN_ROOT_PAGE], rowid, row, err);
}

static enum status add_row(struct reader *reader, const struct cell *cell,
			   struct error *err)
{
	const uint8_t *payload;

	if (reader->count == reader->cap) {
		size_t cap = reader->cap ? reader->cap * 2 : 64;
		struct raw_row *rows = realloc(reader->rows, cap * sizeof *rows);

		if (!rows) {
			return error_set(err, ST_NOMEM, "out of memory for the schema");
		}
		reader->rows = rows;
		reader->cap = cap;
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

/* --- pages ------------------------------------------------------------------------ */

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

static enum status read_leaf(struct reader *reader, const struct page *page,
			     struct error *err)
{
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
	return ST_OK;
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
	enum status st;

	if (depth > DEPTH_MAX) {
		return error_set(err, ST_CORRUPT, "the schema tree is too deep");
	}
	st = add_page(reader, page_no, err);
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

/* --- putting it in order ---------------------------------------------------------- */

static int compare_rows(const void *a, const void *b)
{
	const struct schema_row *left = a;
	const struct schema_row *right = b;
	int order = strcmp(left->type, right->type);

	return order ? order : schema_name_compare(left->name, right->name);
}

static int compare_pages(const void *a, const void *b)
{
	const uint32_t *left = a;
	const uint32_t *right = b;

	return (*left > *right) - (*left < *right);
}

/* What no single row shows: names that stand twice, roots inside the schema tree. */
static enum status check_rows(const struct schema_rows *rows,
			      const struct page_set *pages, struct error *err)
{
	for (size_t i = 0; i < rows->count; i++) {
		const struct schema_row *row = &rows->rows[i];

		if (i > 0 && compare_rows(row - 1, row) == 0) {
			return error_set(err, ST_CORRUPT,
					 "the schema has two rows for %s \"%s\"",
					 SHORT_NAME(row->type), SHORT_NAME(row->name));
		}
		if (page_set_has(pages, row->root_page)) {
			return error_set(err, ST_CORRUPT,
					 "%s \"%s\": root page %" PRIu32
					 " belongs to the schema",
					 SHORT_NAME(row->type), SHORT_NAME(row->name),
					 row->root_page);
		}
		if (row->root_page == 0 && strcmp(row->type, "index") == 0) {
			return error_set(err, ST_CORRUPT,
					 "index \"%s\" has no root page",
					 SHORT_NAME(row->name));
		}
	}
	return ST_OK;
}

static const char *text_at(const char *texts, size_t offset)
{
	return offset == NO_TEXT ? NULL : texts + offset;
}

/* Hand what was read over to `rows`. */
static enum status finish(struct reader *reader, struct schema_rows *rows,
			  struct error *err)
{
	rows->rows = calloc(reader->count + 1, sizeof *rows->rows);
	if (!rows->rows) {
		return error_set(err, ST_NOMEM, "out of memory for the schema");
	}
	rows->texts = reader->texts.bytes;
	buffer_init(&reader->texts);
	for (size_t i = 0; i < reader->count; i++) {
		const size_t *texts = reader->rows[i].texts;

		rows->rows[i] = (struct schema_row){
		    .type = text_at(rows->texts, texts[COLUMN_TYPE]),
		    .name = text_at(rows->texts, texts[COLUMN_NAME]),
		    .table_name = text_at(rows->texts, texts[COLUMN_TABLE_NAME]),
		    .sql = text_at(rows->texts, texts[COLUMN_SQL]),
		    .root_page = reader->rows[i].root_page,
		    .rowid = reader->rows[i].rowid,
		};
	}
	rows->count = reader->count;
	qsort(rows->rows, rows->count, sizeof *rows->rows, compare_rows);
	if (check_rows(rows, &reader->pages, err) != ST_OK) {
		return err->status;
	}
	rows->pages = reader->pages.pages;
	rows->page_count = reader->pages.count;
	reader->pages.pages = NULL;
	reader->pages.count = reader->pages.cap = 0;
	qsort(rows->pages, rows->page_count, sizeof *rows->pages, compare_pages);
	return ST_OK;
}

enum status schema_rows_read(struct schema_rows *rows, struct page_source *source,
			     struct error *err)
{
	struct reader reader = {.source = source};
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
	page_set_clear(&reader.pages);
	buffer_clear(&reader.texts);
	buffer_clear(&reader.payload);
	free(reader.rows);
	return st;
}
