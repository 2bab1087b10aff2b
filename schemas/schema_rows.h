/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/schema_rows.h -- the rows of sqlite_schema, read by our own decoder.
 *
 * FORMAT     fileformat2.html section 2.6 "Storage Of The SQL Database Schema": the
 *            table b-tree with root page 1, columns type, name, tbl_name,
 *            rootpage, sql.
 * OWNERSHIP  schema_rows_init / schema_rows_clear.
 * THREADS    One thread at a time.
 * ERRORS     ST_CORRUPT: the tree breaks the format, or a row of it cannot be.
 *            ST_NOMEM, and what the page source gives.
 */
#ifndef SCHEMAS_SCHEMA_ROWS_H
#define SCHEMAS_SCHEMA_ROWS_H

#include "btree/db_header.h"
#include "btree/page_source.h"
#include "schemas/catalog.h"
#include "src/base/buffer.h"

struct schema_rows {
	struct db_header header;
	struct schema_row *rows; /* by type as bytes, then name, ASCII case-insensitive;
				  * no two agree in both */
	size_t count;
	uint32_t *pages; /* of the tree, with overflow pages; ascending */
	size_t page_count;
	char *texts; /* every row's */
};

void schema_rows_init(struct schema_rows *rows);
void schema_rows_clear(struct schema_rows *rows);

/*
 * Read them all. A row's root_page is 0 (views, triggers, virtual tables) or a page of
 * the database past page 1 and outside of the schema tree; an index always has one.
 * UTF-16 is converted.
 */
enum status schema_rows_read(struct schema_rows *rows, struct page_source *source,
			     struct error *err) MUST_CHECK;

/* Order of two names, ASCII case-insensitive: that of their lower case as bytes. */
int schema_name_compare(const char *a, const char *b);

#endif
