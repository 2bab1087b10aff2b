/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/sql_source.h -- what a query asks: a connection of SQLite to a database that is
 * only read.
 *
 * Of an archive (src/archive/location.h) it has the pages of one state, each read when
 * SQLite wants it (src/archive/pages.h) by way of schemas/view_vfs.h.
 *
 * OWNERSHIP  sql_source_open / sql_source_close; statements are finalized before.
 * THREADS    One.
 * ERRORS     ST_CONFIG: nothing that can be asked, or not the state that is asked for.
 *            ST_CORRUPT, ST_IO, ST_NOMEM. ST_STOPPED.
 */
#ifndef SQL_SOURCE_H
#define SQL_SOURCE_H

#include <sqlite3.h>

#include "src/config/config.h"

struct sql_source;

/* `location`: what the user gave. `at`: which state, NULL: not said. */
enum status sql_source_open(const char *location, const char *at,
			    const struct config *config, struct sql_source **out,
			    struct error *err) MUST_CHECK;
void sql_source_close(struct sql_source *source);

/* Borrowed. */
sqlite3 *sql_source_db(const struct sql_source *source);

/* Why SQLite could not read; NULL: it could. */
const struct error *sql_source_error(const struct sql_source *source);

#endif
