/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/table_rename.h -- which tables were renamed, as sqlite_schema itself tells.
 *
 * ALTER TABLE RENAME changes a row of sqlite_schema and leaves its rowid. DROP and
 * CREATE delete one and add another, with a rowid above all that are there: the old
 * one's can come again only if nothing stands above it. So a table whose name is new
 * on the rowid of one whose name is gone was renamed,
 *
 *   1. whatever else changed in it, where it was one transaction and either a row above
 *      it stayed where it was (its tree's root page was not even written), or the
 *      schema cookie grew by too little: each statement that changes the schema adds
 *      at least one, so DROP and CREATE need two.
 *   2. else where root page and SQL are the old ones but for the name, which stands as
 *      SQLite writes it, in double quotes, and where either a row above it is still
 *      what it was, or the old name did not stand so: a program that makes a table
 *      anew writes it the way it wrote the old one. (Then a column may have been added
 *      or dropped, too.)
 *
 * Under auto_vacuum root pages move, so they are not compared. What is left (the last
 * table of the schema, its name in double quotes before, dropped and made again, or
 * renamed twice) the schema cannot tell.
 *
 * OWNERSHIP  table_renames_init / table_renames_clear. The tables are the catalogs'.
 * THREADS    One thread at a time.
 * ERRORS     ST_NOMEM.
 */
#ifndef SCHEMAS_TABLE_RENAME_H
#define SCHEMAS_TABLE_RENAME_H

#include "btree/page_set.h"
#include "schemas/catalog.h"

struct table_rename {
	const struct table *old_table;
	const struct table *new_table;
};

struct table_renames {
	struct table_rename *list;
	size_t count;
	size_t cap;
};

void table_renames_init(struct table_renames *renames);
void table_renames_clear(struct table_renames *renames); /* frees */

/*
 * Into an emptied list. `written` are the pages that were written between the two
 * catalogs; NULL: not known (two states were compared, with any number of transactions
 * between them), so that only the second rule holds.
 */
enum status table_renames_find(struct table_renames *renames, const struct catalog *old,
			       const struct catalog *new,
			       const struct page_set *written,
			       struct error *err) MUST_CHECK;

/* What `new_table` was called before; NULL if it is not in the list. */
const struct table *table_renames_old(const struct table_renames *renames,
				      const struct table *new_table);

#endif
