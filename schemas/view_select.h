/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/view_select.h -- a SELECT of the user's on a frozen view of the database.
 *
 * The one place where SQLite reads rows (snapshot.select.statement.overrides): it is
 * given the view through the read-only VFS (schemas/view_vfs.h), so that the result
 * is of the same moment as the rest of the snapshot and takes no lock.
 *
 * THREADS  One thread at a time; the page source is borrowed for the call.
 * ERRORS   ST_CONFIG: the statement cannot be run (SQLite's message), is not a single
 *          SELECT, or its result lacks a column of the table. ST_CORRUPT, ST_IO:
 *          the pages. ST_NOMEM.
 */
#ifndef SCHEMAS_VIEW_SELECT_H
#define SCHEMAS_VIEW_SELECT_H

#include "btree/page_source.h"
#include "schemas/table.h"

/*
 * Run `sql` and call `visit` with each row of its result, as values of the columns of
 * `table` (found by name, ASCII case ignored; result columns of other names are
 * dropped). TEXT is in the database's encoding. The values live until `visit`
 * returns; a status other than ST_OK ends the run and is handed on.
 */
enum status view_select_run(
    struct page_source *source, const struct table *table, const char *sql,
    enum status (*visit)(void *context, const struct value *values, struct error *err),
    void *context, struct error *err) MUST_CHECK;

#endif
