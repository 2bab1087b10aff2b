/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole database file: its catalog, then every row of every table, then the catalog
 * once more from the one before. Nothing may crash, hang, or leave a page pinned.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "btree/cell.h"
#include "btree/overflow.h"
#include "btree/tree_walk.h"
#include "schemas/catalog.h"
#include "schemas/row.h"
#include "src/base/log.h"
#include "tests/lib/memory_source.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Pages can be shared by many tables, and one page hold many rows of nothing. */
#define ROWS_MAX 2000

struct decoding {
	struct page_source *pages;
	const struct table *table;
	struct row row;
	struct buffer payload;
	size_t rows;
	uint64_t hash;
};

static enum status decode_row(void *context, const struct page *page,
			      uint32_t cell_index, struct error *err)
{
	struct decoding *d = context;
	const uint8_t *payload;
	struct cell cell;

	if (d->rows++ == ROWS_MAX) {
		return error_set(err, ST_STOPPED, "enough");
	}
	if (cell_read(page, cell_index, &cell, err) != ST_OK ||
	    payload_read(d->pages, &cell, &d->payload, &payload, err) != ST_OK ||
	    row_decode(&d->row, d->table, cell.rowid, payload, (size_t)cell.payload_len,
		       err) != ST_OK) {
		return err->status == ST_CORRUPT ? ST_OK : err->status;
	}
	d->hash ^= row_hash(d->table, d->row.values);
	d->hash ^= row_key_hash(d->table, d->row.values);
	if (row_has_key(d->table, d->row.values) &&
	    !row_same_key(d->table, d->row.values, d->row.values)) {
		abort();
	}
	return ST_OK;
}

static void decode_rows(struct page_source *pages, const struct catalog *catalog)
{
	struct decoding d = {.pages = pages};
	struct error err;

	row_init(&d.row);
	buffer_init(&d.payload);
	for (size_t i = 0; i < catalog->table_count; i++) {
		d.table = catalog->tables[i];
		if (d.table->root_page > 0 && d.table->column_count > 0) {
			(void)!tree_walk_rows(pages, d.table->root_page, decode_row, &d,
					      &err);
		}
	}
	row_clear(&d.row);
	buffer_clear(&d.payload);
}

static void read_catalog(struct page_source *pages)
{
	struct catalog *catalog = NULL;
	struct catalog *again = NULL;
	struct error err;

	if (catalog_read(pages, NULL, NULL, NULL, &catalog, &err) != ST_OK) {
		return;
	}
	decode_rows(pages, catalog);
	if (catalog_read(pages, NULL, catalog, NULL, &again, &err) != ST_OK ||
	    again->table_count != catalog->table_count) {
		abort();
	}
	catalog_close(catalog);
	decode_rows(pages, again);
	catalog_close(again);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_setup(LOG_ERROR, false);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct memory_source *source = NULL;
	struct error err;

	if (memory_source_from_bytes(bytes, len, &source, &err) != ST_OK) {
		return 0;
	}
	read_catalog(memory_source_pages(source));
	if (memory_source_pins(source) != 0) {
		abort();
	}
	memory_source_close(source);
	return 0;
}
