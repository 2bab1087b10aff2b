/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/ltx_writer.h -- writing one file of an archive.
 *
 * What is written is drawn in src/archive/ltx.h: pages as LZ4 blocks, no checksums of
 * the database, nothing of the WAL. Litestream 0.5.16 and newer read it. Pages go
 * straight to the file, and by and by to the disk, so that the sync of a large one at
 * its end is short; of each of them about three bytes stay in memory for the index.
 *
 * Who writes sees to it that every page that the database gained is there, as zeros if
 * it has no image (bytes NULL), also those that were cut off in between: a file that
 * lacks one lets a restore fail for good. A file that begins at TXID 1 has all pages;
 * that is checked here.
 *
 * OWNERSHIP  ltx_writer_open / ltx_writer_close; `fd`, an empty file, and `path`, for
 *            messages, are borrowed until then.
 * THREADS    One at a time.
 * ERRORS     ST_CORRUPT: a page is missing. ST_IO, ST_NOMEM. After an error nothing but
 *            the file's removal makes sense.
 */
#ifndef LTX_WRITER_H
#define LTX_WRITER_H

#include "src/archive/ltx.h"

struct ltx_writer;

/* Of `header`, flags are not looked at. The rest must be what a reader accepts. */
enum status ltx_writer_open(int fd, const char *path, const struct ltx_header *header,
			    struct ltx_writer **out, struct error *err) MUST_CHECK;
void ltx_writer_close(struct ltx_writer *writer);

/* A page of page_size bytes; NULL: zeros. Page numbers ascend, page_count is the
 * highest, and the page of the lock byte is never given. */
enum status ltx_writer_page(struct ltx_writer *writer, uint32_t page_no,
			    const uint8_t *bytes, struct error *err) MUST_CHECK;

/* The same page with the LZ4 block that it was read from, which is copied. */
enum status ltx_writer_block(struct ltx_writer *writer, uint32_t page_no,
			     const uint8_t *bytes, const uint8_t *block,
			     uint32_t block_len, struct error *err) MUST_CHECK;

/* Index and trailer are written, `*size` bytes are in the file. Nothing is synced. */
enum status ltx_writer_finish(struct ltx_writer *writer, uint64_t *size,
			      struct error *err) MUST_CHECK;

#endif
