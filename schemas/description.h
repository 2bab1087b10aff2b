/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/description.h -- what SQLite says of a table, shared by the catalogs that
 * have the table in common.
 *
 * A describer is a sandbox that holds the schema rows of the tables to be described,
 * of their indexes, and of all virtual tables (they make other tables shadow
 * tables); PRAGMA table_list, table_xinfo, index_list and index_xinfo are asked on it.
 *
 * OWNERSHIP  describer_open / describer_close (takes NULL). Descriptions are counted:
 *            description_open gives one reference, description_release drops one.
 * THREADS    A describer: one thread at a time. A description: any; it does not
 *            change, but for its `computed`, which locks for itself.
 * ERRORS     ST_NOMEM; ST_CORRUPT when SQLite can make nothing of the schema.
 */
#ifndef SCHEMAS_DESCRIPTION_H
#define SCHEMAS_DESCRIPTION_H

#include <stdatomic.h>
#include <stdbool.h>

#include "schemas/schema_row.h"
#include "schemas/table.h"

struct description {
	struct table table; /* but for root_page and left_out */
	bool is_listed;     /* false: SQLite cannot parse it; there are no columns */
	bool is_virtual;    /* no columns either */
	bool is_system;     /* sqlite_…, or a shadow table */
	atomic_uint references;
	struct chunk *memory; /* of everything the table points to */
};

struct description *description_retain(struct description *description);
void description_release(struct description *description); /* takes NULL */

struct describer;

/* `header` is the database's. */
enum status describer_open(const struct db_header *header, struct describer **out,
			   struct error *err) MUST_CHECK;
void describer_close(struct describer *describer);

/* Add a row of a table or an index, the table's first; borrowed until the load. */
enum status describer_add(struct describer *describer, const struct schema_row *row,
			  struct error *err) MUST_CHECK;

/* All rows are there: have them parsed. */
enum status describer_load(struct describer *describer, struct error *err) MUST_CHECK;

/* Describe the table of `row`, one of those added. */
enum status description_open(struct describer *describer, const struct schema_row *row,
			     struct description **out, struct error *err) MUST_CHECK;

#endif
