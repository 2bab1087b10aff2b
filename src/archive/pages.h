/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/pages.h -- any page of the database as it was, on demand.
 *
 * What src/archive/merge.h writes into a file, page by page and only those that are
 * asked for: of each file of a plan the index is read, and each page is then one range
 * of one file. The newest file that has a page counts, unless a file in between cuts
 * it off the end of the database: then it is zeros, as is the page that holds the lock
 * byte. A page that no file ever had is an error. The index of the first file, where it
 * is long, is read in pieces as they are needed (src/archive/whole_index.h); then that
 * error comes when the page is read, else at once.
 *
 * The checksums of whole files are not compared, as that would be to read them (rowtail
 * archive verify does). What is compared: the index with the file's layout, the
 * number that each page has, and its length. A page in an LZ4 frame has a checksum of
 * its own.
 *
 * Pages that are asked for in the order in which they lie in a file are read ahead of,
 * by up to 256 KiB. Some pages are kept in memory.
 *
 * A file that was removed since it was listed (compacted, or grown old) is no error:
 * the archive is listed and planned again for the same state, whose pages are the same.
 *
 * MEMORY     At most 12 bytes a page of the database, and about 5 MiB.
 * OWNERSHIP  archive_pages_open / archive_pages_close; the storage is the caller's and
 *            stays open until then. Of the plan nothing is kept.
 * THREADS    One at a time.
 * ERRORS     ST_CORRUPT: a file is damaged, or a page is missing; the text names it and
 *            what to do. ST_CONFIG: the state is not in the archive any more. ST_IO,
 *            ST_NOMEM; ST_LOST: files are removed faster than they are read.
 *            ST_STOPPED: a signal came while indexes were read.
 */
#ifndef PAGES_H
#define PAGES_H

#include "src/archive/plan.h"

struct archive_pages;

/* Reads the header and the index of each file of the plan. */
enum status archive_pages_open(struct storage *storage, const struct plan *plan,
			       struct archive_pages **out,
			       struct error *err) MUST_CHECK;
void archive_pages_close(struct archive_pages *pages);

/* Of a page, in bytes. */
uint32_t archive_pages_size(const struct archive_pages *pages);

/* Pages of the database: numbers from 1 to this. 0: the database is empty. */
uint32_t archive_pages_count(const struct archive_pages *pages);

/* Page `page_no` into archive_pages_size bytes; ST_CORRUPT also for a number that the
 * database does not have. */
enum status archive_pages_read(struct archive_pages *pages, uint32_t page_no,
			       uint8_t *bytes, struct error *err) MUST_CHECK;

#endif
