/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/catalog.h -- the tables and trees of a database as of one page source.
 *
 * The list of schema rows is read by our own decoder (schemas/schema_rows.h; SQLite
 * hides a corrupt schema leaf under WRITABLE_SCHEMA); what the rows mean is asked of
 * SQLite itself, on a private database in memory that holds copies of the rows
 * (schemas/sandbox.h): PRAGMA table_list, table_xinfo, index_list, index_xinfo. So
 * SQLite never sees a page of the database, and a schema change costs what changed.
 * A view or DEFAULT made by a newer SQLite does not stop the other tables. Unknown
 * collations and functions are no error.
 *
 * OWNERSHIP  catalog_read gives the caller a catalog; catalog_close frees it and
 *            everything in it (closing NULL does nothing). The page source and
 *            the filter are not kept. Two catalogs share what they have in common
 *            by counted references; either may be closed first.
 * THREADS    One thread at a time for each catalog.
 * ERRORS     ST_CORRUPT: the schema tree breaks the format, or holds a row that
 *            cannot be (a root page out of range, two rows of one name). ST_NOMEM.
 */
#ifndef SCHEMAS_CATALOG_H
#define SCHEMAS_CATALOG_H

#include <stddef.h>

#include "btree/page_set.h"
#include "btree/page_source.h"
#include "schemas/schema_row.h"
#include "schemas/table.h"

/* Says whether a table is wanted; see schemas/table_filter.h. */
struct table_filter;

/* A b-tree of the database. */
struct tree_root {
	uint32_t root_page;
	struct table *table; /* the table whose rows it holds; NULL: an index, or the
			      * schema itself, or a table SQLite does not list */
	bool is_table_tree;  /* table b-tree (not an index b-tree) */
	const char *name;    /* of the schema row, for messages */
};

struct catalog {
	struct db_header header;
	struct table **tables; /* by sort_name as bytes; left-out ones included */
	size_t table_count;
	struct tree_root *roots; /* ordered by root_page; page 1 included */
	size_t root_count;
	uint32_t *schema_pages; /* pages of the schema tree with overflow, ascending */
	size_t schema_page_count;
	/* Every row of sqlite_schema, by (type, name), names ASCII case-insensitive.
	 * What is one row in two catalogs may be one object. */
	const struct schema_row **rows;
	size_t row_count;
};

/*
 * Read the catalog of `source`. `previous` (may be NULL) is an older catalog of
 * the same database: tables whose schema rows (their own and their indexes',
 * root pages aside) did not change take their description from it without
 * asking SQLite again, and a table of which nothing changed is the same object in both;
 * the filter is asked about new ones only, if it is the same; `previous` stays the
 * caller's and stays valid. `changed` are the pages that differ from `previous` (NULL:
 * any may): of the schema only those are read.
 */
enum status catalog_read(struct page_source *source, const struct table_filter *filter,
			 const struct catalog *previous, const struct page_set *changed,
			 struct catalog **out, struct error *err) MUST_CHECK;
void catalog_close(struct catalog *catalog);

/* By name, ASCII case-insensitive. NULL when there is none. */
struct table *catalog_find(const struct catalog *catalog, const char *name);

/* The tree with that root page. NULL when there is none. */
const struct tree_root *catalog_root(const struct catalog *catalog, uint32_t root_page);

#endif
