/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/new_tables.h -- tables that the lists of the last run left out, and those of this
 * one capture (snapshot.new.tables).
 *
 * OWNERSHIP  All is borrowed for the call.
 * THREADS    The decoding thread.
 * ERRORS     Those of the lists (schemas/table_filter.h) and of reading pages.
 * ST_NOMEM.
 */
#ifndef NEW_TABLES_H
#define NEW_TABLES_H

#include <stddef.h>

#include "btree/page_source.h"
#include "schemas/catalog.h"
#include "src/config/config.h"
#include "src/state/kept_position.h"

/*
 * Their names, of `catalog`, into `names`, which has room for all of its tables. None
 * where it is not known what the last run captured.
 */
enum status new_tables_find(const struct config *config,
			    const struct kept_position *kept,
			    const struct catalog *catalog, const char **names,
			    size_t *count, struct error *err) MUST_CHECK;

/* How many rows the table has. */
enum status new_tables_rows(struct page_source *source, const struct table *table,
			    uint64_t *rows, struct error *err) MUST_CHECK;

#endif
