/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/ltx_index.h -- where each page lies in a file of an archive, and the page
 * out of what lies there.
 *
 * For who wants some pages of a file and not all: it reads the header, the end of the
 * file, and the index, and then each page's frame by its own range. The format is
 * drawn in src/archive/ltx.h.
 *
 * What is read is not trusted, and less is known of it than src/archive/ltx.h knows:
 * the checksum of the file is over all of it, so it is not compared here. The index
 * must name pages in ascending order, within the database, none that of the lock byte;
 * their frames must follow each other without a gap from the header to the end mark,
 * none longer than a page can be. A frame must have the page number that the index
 * says, and decompress to exactly a page. Memory depends on nothing that is read.
 *
 * OWNERSHIP  ltx_index_open / ltx_index_close; the file is the caller's and stays open
 *            until then. ltx_unpacker_init / ltx_unpacker_clear.
 * THREADS    One at a time.
 * ERRORS     ST_CORRUPT: the bytes break the format or the name; the text names the
 *            file and what to do. ST_IO, ST_LOST, ST_NOMEM.
 */
#ifndef LTX_INDEX_H
#define LTX_INDEX_H

#include <lz4frame.h>

#include "src/archive/ltx.h"

#define LTX_FRAME_MOST 0x1ffffu /* bytes of a frame: more than any page needs */

struct ltx_entry {
	uint32_t page_no;
	uint32_t len;    /* of the frame, with its head; LTX_FRAME_MOST at most */
	uint64_t offset; /* of the frame, in the file */
};

struct ltx_index;

/* `expected`: the file as it is named in its archive; the header must say the same. */
enum status ltx_index_open(struct storage_file *file,
			   const struct archive_file *expected, struct ltx_index **out,
			   struct error *err) MUST_CHECK;
void ltx_index_close(struct ltx_index *index);

const struct ltx_header *ltx_index_header(const struct ltx_index *index);

/* Where the index begins in the file, and its bytes up to and with its last zero. */
uint64_t ltx_index_start(const struct ltx_index *index);
uint64_t ltx_index_length(const struct ltx_index *index);

/* The next page; ST_END after the last one. */
enum status ltx_index_next(struct ltx_index *index, struct ltx_entry *entry,
			   struct error *err) MUST_CHECK;

/* What decompresses pages. */
struct ltx_unpacker {
	LZ4F_dctx *frames; /* made for the first LZ4 frame; NULL before */
};

static inline void ltx_unpacker_init(struct ltx_unpacker *unpacker)
{
	*unpacker = (struct ltx_unpacker){0};
}
void ltx_unpacker_clear(struct ltx_unpacker *unpacker);

/* The page that `entry` tells of, out of the bytes of its frame, into page_size bytes
 * at `page`. `name`: of the file, for messages. */
enum status ltx_unpack(struct ltx_unpacker *unpacker, const char *name,
		       const struct ltx_entry *entry, const uint8_t *frame,
		       uint8_t *page, uint32_t page_size, struct error *err) MUST_CHECK;

#endif
