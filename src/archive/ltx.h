/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/ltx.h -- reading one file of an archive, from its beginning to its end.
 *
 * FORMAT  LTX version 3, big-endian: a header, page frames, a frame head of zeros, an
 *         index, a trailer. What Litestream's own description says of checksum and
 *         frames is not what it writes.
 *
 *   header   0  4  "LTX1"                      40  8  checksum of the database before
 *            4  4  flags: 2, no checksums of   48  8  offset in the WAL
 *                  the database                56  8  size in the WAL
 *            8  4  page size                   64  8  salts of the WAL
 *           12  4  pages of the database       72  8  node
 *           16  8  first TXID                  80 20  reserved
 *           24  8  last TXID
 *           32  8  time, ms since 1970
 *   node     where rowtail wrote the file, and nothing of the WAL is in the header:
 *           0  2  "RT"            bits 47-28  time, ns behind the ms
 *                                 bit  27     1: a catch-up is in it
 *                                 bits 26-0   transactions in it; 0: not known
 *   frame    0  4  page number, ascending       6  4  with flag 1: bytes that follow,
 *            4  2  flags                              an LZ4 block; with flag 0 an LZ4
 *                                                     frame follows at once
 *   index    of each frame, in order, three LEB128: page number, offset in the file,
 *            bytes with its head; then a zero, and all this length in 8 bytes
 *   trailer  0  8  checksum of the database     8  8  checksum of the file
 *
 * The checksum of the file is CRC-64/GO-ISO with the highest bit set, over the header,
 * the head of each frame and its page *decompressed*, the zeros, the index and its
 * length, and the database's checksum. The page that holds the lock byte is in no file.
 * A file may hold many transactions: of each page it has the last image.
 *
 * What is read is not trusted: each length is compared with what it can be at most
 * before anything is done with it, and memory depends on the page size alone. A page
 * is given before the checksum of the file is known; who uses it waits for ST_END.
 *
 * OWNERSHIP  ltx_reader_open / ltx_reader_close; the file is the caller's and stays
 *            open until then. A page is borrowed until the next call.
 * THREADS    One at a time.
 * ERRORS     ST_CORRUPT: the bytes break the format, the name or the checksum; the text
 *            names the file and what to do. ST_IO, ST_NOMEM.
 */
#ifndef LTX_H
#define LTX_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/storage/storage.h"

#define LTX_HEADER_BYTES  100u
#define LTX_TRAILER_BYTES 16u
#define LTX_HEAD_BYTES    6u /* of a frame */
#define LTX_NO_CHECKSUM   2u /* flag of the header */
#define LTX_BLOCK         1u /* flag of a frame */
#define LTX_NOTE_MARK     0x5254u
#define LTX_CHECKSUM_BIT  0x8000000000000000u

/* For messages about a file that is damaged. */
#define LTX_ADVICE                                                                   \
	"the archive is damaged there: a moment that other files lead to can still " \
	"be restored with --at (rowtail archive list shows the files)"

struct ltx_header {
	uint32_t flags;
	uint32_t page_size;  /* bytes, 512 to 65536 */
	uint32_t page_count; /* of the database after it */
	uint64_t min_txid;
	uint64_t max_txid;
	int64_t time_ms; /* since 1970; what the writer said */

	/* Of files that rowtail wrote; else zeros. Readers of LTX pass over it, and a
	 * merge by others drops it. */
	bool has_note;
	uint32_t rest_ns;      /* of the time, behind time_ms */
	uint32_t transactions; /* that are in it, LTX_TRANSACTIONS_MOST: or more; 0: it
				* is not known how many */
	bool has_catch_up;     /* one of them is what was found by comparing */
};

#define LTX_TRANSACTIONS_MOST ((1u << 27) - 1)

struct ltx_page {
	uint32_t page_no;     /* 1 to page_count, never the lock page's */
	const uint8_t *bytes; /* page_size of them */
	const uint8_t
	    *block; /* the LZ4 block that they were read from; NULL: a frame */
	uint32_t block_len;
};

/* Of the first LTX_HEADER_BYTES of the file that `name` is for messages, which must say
 * what `expected` is named. */
enum status ltx_header_read(const uint8_t *bytes, const char *name,
			    const struct archive_file *expected, struct ltx_header *out,
			    struct error *err) MUST_CHECK;

/* The same of a file of an archive; nothing else of it is read. ST_LOST: it has gone.
 */
enum status ltx_header_of(struct storage *storage, const struct archive_file *file,
			  struct ltx_header *out, struct error *err) MUST_CHECK;

/* The time of the state that a file leads to, since 1970. Where its header has only
 * milliseconds what its storage says may be finer, or another time. */
int64_t ltx_time_ns(const struct ltx_header *header, const struct archive_file *file);

/* Is a database of so many pages what files of `bytes` bytes in all can make? `name`
 * says so, for messages. ST_CORRUPT. */
enum status ltx_check_count(const char *name, uint32_t page_count, uint64_t bytes,
			    struct error *err) MUST_CHECK;
/* Has the file the page size of the later ones? ST_CORRUPT. */
enum status ltx_check_page_size(const char *name, uint32_t page_size, uint32_t later,
				struct error *err) MUST_CHECK;

/* ST_CORRUPT: "NAME: what at byte N", and what to do. */
enum status ltx_corrupt(const char *name, const char *what, uint64_t offset,
			struct error *err);

struct ltx_reader;

/* `expected`: the file as it is named in its archive; the header must say the same. */
enum status ltx_reader_open(struct storage_file *file,
			    const struct archive_file *expected,
			    struct ltx_reader **out, struct error *err) MUST_CHECK;
void ltx_reader_close(struct ltx_reader *reader);

const struct ltx_header *ltx_reader_header(const struct ltx_reader *reader);

/* Of the whole database after the file, as ltx_database_checksum_add makes it; 0: the
 * file has none. After ST_END of ltx_reader_next. */
uint64_t ltx_reader_database_checksum(const struct ltx_reader *reader);

/* Begin with LTX_CHECKSUM_BIT and add each page of the database but that of the lock
 * byte, in any order. */
uint64_t ltx_database_checksum_add(uint64_t sum, uint32_t page_no, const uint8_t *bytes,
				   uint32_t page_size);

/* The next page; ST_END after the last one, when index, trailer and checksum are read
 * and right. */
enum status ltx_reader_next(struct ltx_reader *reader, struct ltx_page *page,
			    struct error *err) MUST_CHECK;

#endif
