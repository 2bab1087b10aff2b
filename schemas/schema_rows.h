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
#include "btree/page_set.h"
#include "btree/page_source.h"
#include "schemas/schema_row.h"

struct schema_leaf; /* a page of rows; readings of one database share them */

struct schema_rows {
	struct db_header header;
	const struct schema_row **rows; /* by type as bytes, then name, ASCII
					 * case-insensitive; no two agree in both */
	size_t count;
	uint32_t *pages; /* of the tree, with overflow pages; ascending */
	size_t page_count;
	struct schema_leaf **leaves; /* by page number */
	size_t leaf_count;
	/* What was read anew (without a previous reading: all), in the same order, and
	 * what stood there before, until the previous one is cleared. */
	const struct schema_row **fresh;
	size_t fresh_count;
	const struct schema_row **stale;
	size_t stale_count;
};

void schema_rows_init(struct schema_rows *rows);
void schema_rows_clear(struct schema_rows *rows);

/*
 * Read them all. A row's root_page is 0 (views, triggers, virtual tables) or a page of
 * the database past page 1; an index always has one. UTF-16 is converted. Of pages that
 * `previous` has (may be NULL) and that are not in `changed` (NULL: all are) the rows
 * are taken from there.
 */
enum status schema_rows_read(struct schema_rows *rows, struct page_source *source,
			     const struct schema_rows *previous,
			     const struct page_set *changed,
			     struct error *err) MUST_CHECK;

/* By type, then name. */
int schema_rows_compare(const struct schema_row *a, const struct schema_row *b);

/* Order of two names, ASCII case-insensitive: that of their lower case as bytes. */
int schema_name_compare(const char *a, const char *b);

/* Equal for names that are, ASCII case-insensitive, equal. */
uint32_t schema_name_hash(const char *name);

#endif
