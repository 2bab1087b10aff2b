/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/same_database.h -- is a database at another path the one that a state
 * directory is of, moved together with it or mounted elsewhere?
 *
 * It is, if it is the file as the last clean stop left it, or the file at the old path;
 * or if nothing is at the old path any more and at least half of the pages that tell
 * something are those of our copy. (Empty pages tell nothing, nor does page 1, which
 * has the schema and counters, unless it is all that there is.) A copy whose original
 * is still there is another database: two processes with one position would harm each
 * other.
 *
 * THREADS  One that has nothing of this process open on the databases.
 */
#ifndef SAME_DATABASE_H
#define SAME_DATABASE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/state/meta_record.h"

/* `shadow_fd` is the copy of the database, -1: there is none. `*is_copy`: the original
 * is still there. */
bool same_database(const struct state_meta *meta, int shadow_fd, const char *old_path,
		   const char *new_path, bool *is_copy);

/* `path` is the database itself, or named like the files that SQLite keeps beside it,
 * there or not. `real` has no links in it. */
bool same_database_owns(const char *real, const char *path);

/* ST_CONFIG if a state directory at `path` would have such a name. */
enum status same_database_check_place(const char *real, const char *path,
				      struct error *err) MUST_CHECK;

/* The page size of the database file at `path`; 0: it cannot be told. Nothing of this
 * process may be open on the file. */
uint32_t database_page_size(const char *path);

#endif
