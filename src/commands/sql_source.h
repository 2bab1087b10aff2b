/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/sql_source.h -- what a query asks: a connection of SQLite to a database
 * that is only read.
 *
 * An archive (src/archive/pages.h), at one of its states; a state directory
 * (src/state/state_pages.h), whose state is what is durable in it; or a database file
 * (src/capture/database_file.h), with what its WAL has. Each page is read when SQLite
 * wants it, by way of schemas/view_vfs.h. Nothing is written or locked anywhere, so
 * that a database file may be written meanwhile: sql_source_check finds that out, and
 * only what was read before it says ST_OK is of one state.
 *
 * OWNERSHIP  sql_source_open / sql_source_close; statements are finalized before.
 * THREADS    One.
 * ERRORS     ST_CONFIG: nothing that can be asked, or not the state that is asked for.
 *            ST_CORRUPT, ST_IO, ST_NOMEM. ST_STOPPED.
 */
#ifndef SQL_SOURCE_H
#define SQL_SOURCE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "src/config/config.h"

struct sql_source;

/* Is it the path of a state directory? */
bool sql_source_is_state(const char *location);

/* `location`: what the user gave, borrowed until the close. `at`: which state, NULL:
 * not said. */
enum status sql_source_open(const char *location, const char *at,
			    const struct config *config, struct sql_source **out,
			    struct error *err) MUST_CHECK;
void sql_source_close(struct sql_source *source);

/* Borrowed. */
sqlite3 *sql_source_db(const struct sql_source *source);

/* ST_RETRY: it was written since it was opened. */
enum status sql_source_check(const struct sql_source *source,
			     struct error *err) MUST_CHECK;

/* Why SQLite could not read, or that it may have read of two states; NULL: neither.
 * Borrowed until the next call. */
const struct error *sql_source_error(struct sql_source *source);

#endif
