/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/database_peek.h -- some pages of a database as it is now, its WAL
 * included, for who only looks: without SQLite, a lock or a mapping, and without a file
 * being written, created or removed. Who writes to it need not stop, nor may it be
 * large: only what is asked for is read, and kept.
 *
 * What was read is of one moment if the same stands there once all of it was read:
 * database_peek_check reads it again. (src/capture/database_file.h is for who reads all
 * pages of a database that rests.)
 *
 * OWNERSHIP  database_peek_open / database_peek_close; pages are borrowed until then.
 * THREADS    One; of a process that has nothing open on the database.
 * ERRORS     ST_RETRY: it is being written. ST_UNFIT, ST_IO name the file. ST_NOMEM.
 */
#ifndef DATABASE_PEEK_H
#define DATABASE_PEEK_H

#include "btree/page_source.h"
#include "src/base/status.h"

struct database_peek;

enum status database_peek_open(const char *path, struct database_peek **out,
			       struct error *err) MUST_CHECK;
void database_peek_close(struct database_peek *peek); /* takes NULL */

struct page_source *database_peek_pages(struct database_peek *peek);

/* ST_RETRY: some of what was read has changed (counters in page 1 apart). */
enum status database_peek_check(const struct database_peek *peek,
				struct error *err) MUST_CHECK;

#endif
