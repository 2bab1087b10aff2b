/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/wal_frame.h -- the WAL file: its header, its frames, reading many at
 * once.
 *
 * FORMAT  fileformat2.html section 4. All integers big-endian.
 *
 *      0 +--------------------+
 *        |  0 magic           |  0x377f0682, or ...83: checksums read big-endian
 *        |  4 version         |  3007000
 *        |  8 page size       |  bytes
 *        | 12 checkpoint no.  |
 *        | 16 salt            |  8 bytes, new in each generation
 *        | 24 checksum        |  2 x u32 over bytes 0 to 23
 *     32 +--------------------+  frame 1
 *        |  0 page number     |
 *        |  4 commit          |  pages in the database after it; 0: no commit frame
 *        |  8 salt            |  the header's
 *        | 16 checksum        |  2 x u32, chained from the frame before
 *        | 24 page            |
 *        +--------------------+  frame 2 ...
 *
 * Checksums decide nothing here: SQLite 3.40.1 can commit frames whose salt and
 * checksum are zero. The wal-index (src/capture/wal_index.h) says what is committed.
 *
 * THREADS  No shared state.
 */
#ifndef WAL_FRAME_H
#define WAL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

#define WAL_HEADER_BYTES       32
#define WAL_FRAME_HEADER_BYTES 24
#define WAL_FRAMES_AT_ONCE     256 /* most that wal_frames_read takes */

struct wal_header {
	bool big_endian_sums;
	uint32_t page_size;
	uint32_t checkpoint_no;
	uint8_t salt[8];
};

struct wal_frame {
	uint32_t page_no;
	uint32_t commit; /* pages after the commit; 0 unless a commit frame */
	uint8_t salt[8];
	uint32_t sum[2];
};

/* ST_CORRUPT when magic, version, page size or checksum are wrong. */
enum status wal_header_parse(const uint8_t *bytes, struct wal_header *out,
			     struct error *err) MUST_CHECK;

/* Decode WAL_FRAME_HEADER_BYTES. Any bytes decode. */
void wal_frame_parse(const uint8_t *bytes, struct wal_frame *out);

/* Salt and checksum are all zero: what SQLite leaves where it forgot them. */
bool wal_frame_is_blank(const struct wal_frame *frame);

/* SQLite's checksum: goes on from `sum`. `len` is a multiple of 8. */
void wal_checksum(bool big_endian, const uint8_t *bytes, size_t len, uint32_t sum[2]);

/* Where frame `frame_no` (1-based) begins in the file. */
uint64_t wal_frame_offset(uint32_t frame_no, uint32_t page_size);

/*
 * Read `count` frames (at most WAL_FRAMES_AT_ONCE) from `first` on: page images to
 * pages[i] (page_size bytes each), headers to headers[i]. ST_END when the file ends
 * before them; ST_IO.
 */
enum status wal_frames_read(int fd, uint32_t page_size, uint32_t first, size_t count,
			    uint8_t *const pages[],
			    uint8_t headers[][WAL_FRAME_HEADER_BYTES],
			    struct error *err) MUST_CHECK;

/*
 * A hash of frame `frame_no`, header and page, by which it is known again; `page` is
 * page_size bytes of scratch. False when it cannot be read, or is blank: a blank one
 * proves nothing about the frames before it, which the checksums of others do.
 */
bool wal_frame_proof(int fd, uint32_t page_size, uint32_t frame_no, uint8_t *page,
		     uint64_t *proof) MUST_CHECK;

#endif
