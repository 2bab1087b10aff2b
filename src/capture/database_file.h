/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/database_file.h -- the pages of a database file as it is now, with what
 * its WAL has, for who only looks: without SQLite, without a lock, and without a file
 * being written, created or removed.
 *
 * So nobody waits for it, and it waits for nobody: who writes to the database may
 * change it meanwhile. database_file_check finds that out.
 *
 * OWNERSHIP  database_file_open / database_file_close.
 * THREADS    One thread at a time.
 * ERRORS     ST_UNFIT names the file and says what to do. ST_RETRY: it is being
 *            written. ST_IO, ST_NOMEM. A file that is cut while it is mapped:
 *            src/base/bus_error.h.
 */
#ifndef DATABASE_FILE_H
#define DATABASE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "btree/page_source.h"
#include "src/base/status.h"

struct database_file;

/* Waits for some milliseconds if it was written just now. */
enum status database_file_open(const char *path, struct database_file **out,
			       struct error *err) MUST_CHECK;
void database_file_close(struct database_file *file); /* takes NULL */

/* It has no page: its file is empty. */
bool database_file_is_empty(const struct database_file *file);

/* Give an empty one a first page without a table, of the geometry and the encoding that
 * `like` has; a database that is empty, too, counts as one of 4096 bytes a page. */
enum status database_file_fill(struct database_file *file,
			       const struct database_file *like,
			       struct error *err) MUST_CHECK;

/* Its pages; of one that is empty after database_file_fill. Pinned pages are borrowed
 * until the close. */
struct page_source *database_file_pages(struct database_file *file);

/* Copy `count` pages from `first` on into `bytes`, in one read but for the WAL's. */
enum status database_file_read(struct database_file *file, uint32_t first,
			       uint32_t count, uint8_t *bytes,
			       struct error *err) MUST_CHECK;

/* ST_RETRY: it was written since it was opened, what was read may be of two states. */
enum status database_file_check(const struct database_file *file,
				struct error *err) MUST_CHECK;

/* When it was written last, ns since 1970. */
int64_t database_file_time_ns(const struct database_file *file);

#endif
