/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/wal_index.h -- the wal-index: what is committed, and who may do what.
 *
 * The shared memory beside a database in WAL mode ("-shm") is the only authority
 * on what is committed: not the size of the WAL, not its checksums. It is reached
 * through SQLite's own file handle, never by opening the file (closing it would
 * drop this process's locks).
 *
 * FORMAT  walformat.html section 2. Native byte order but for the salts.
 *
 *      0 +-----------------+ copy 0 of the header
 *        |  0 version      |   3007000
 *        |  8 change       |   + 1 with each commit; 0 after a recovery
 *        | 12 initialised  |   u8 (isInit), then u8: checksums are big-endian
 *        | 14 page size    |   u16; 1 means 65536
 *        | 16 frame_count  |   frames that are committed (mxFrame)
 *        | 20 page_count   |   database size after the last commit (nPage)
 *        | 24 frame sum    |   2 x u32: the checksum in the last frame's header
 *        | 32 salt         |   8 bytes as in the WAL's header
 *        | 40 checksum     |   2 x u32 over bytes 0 to 39
 *     48 +-----------------+ copy 1, written first
 *     96 +-----------------+
 *        | backfilled      |   frames that are in the database file (nBackfill)
 *    100 | read marks      |   5 x u32; 0xffffffff: not used
 *    120 | lock bytes      |   8: write, checkpoint, recover, read 0 to 4
 *    128 | tried           |   frames that a checkpoint tries or tried to backfill
 *    132 | (u32)           |
 *    136 +-----------------+
 *        | page numbers    |   4062 x u32 in block 0 (the rest of 32 KiB is a hash
 *        | of frames       |   table); 4096 x u32 in each later block
 *        +-----------------+
 *
 * OWNERSHIP  wal_index_init borrows the connection; the mapping is SQLite's.
 * THREADS    The thread that uses the connection.
 * ERRORS     Hostile contents give wrong numbers, never a read outside the blocks.
 */
#ifndef WAL_INDEX_H
#define WAL_INDEX_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/lock_bytes.h"
#include "src/base/status.h"

#define WAL_INDEX_BLOCK_BYTES 32768
#define WAL_INDEX_START_BYTES 136
#define WAL_INDEX_MARKS       5
#define WAL_INDEX_NO_MARK     UINT32_MAX

/* Lock bytes, as xShmLock numbers them. */
enum wal_lock {
	WAL_LOCK_WRITE = 0,
	WAL_LOCK_CHECKPOINT = 1,
	WAL_LOCK_RECOVER = 2,
	WAL_LOCK_READ0 = 3
};

struct wal_index_header {
	uint32_t change;
	bool big_endian_sums;
	uint32_t page_size;   /* bytes; 0 in a WAL that was never written */
	uint32_t frame_count; /* committed frames: the last one is a commit frame */
	uint32_t page_count;  /* pages; may be 0 while frame_count is 0 */
	uint32_t frame_sum[2];
	uint8_t salt[8];
};

struct wal_index {
	sqlite3_file *file; /* borrowed */
};

/*
 * Take the database's file handle from `db`, which must have read once since it was
 * opened (SQLite maps the wal-index then). ST_IO when SQLite does not give it.
 */
enum status wal_index_init(struct wal_index *index, sqlite3 *db,
			   struct error *err) MUST_CHECK;

/* What a recovery makes of a WAL that is empty, up to the page numbers. */
void wal_index_make_empty(uint8_t start[WAL_INDEX_START_BYTES]);

/* Is the first block of the shared memory there, so that it can be read at all? */
bool wal_index_is_mapped(const struct wal_index *index);

/*
 * Decode both copies of the header (96 bytes). False when they differ, are not
 * initialised, or the checksum is wrong: someone is writing it, or died writing.
 */
bool wal_index_parse(const uint8_t *copies, struct wal_index_header *out) MUST_CHECK;

/* The header now; false as wal_index_parse, or when it cannot be mapped. */
bool wal_index_read(const struct wal_index *index,
		    struct wal_index_header *out) MUST_CHECK;

/* Frames that are in the database file; 0 when it cannot be mapped. */
uint32_t wal_index_backfilled(const struct wal_index *index);

/* The page in frame `frame_no` (1-based) according to the index; 0: not known. */
uint32_t wal_index_frame_page(const struct wal_index *index, uint32_t frame_no);

/* The block and the u32 in it that hold the page number of `frame_no`. */
void wal_index_place(uint32_t frame_no, uint32_t *block, uint32_t *at);

/* Same life of the WAL: equal salts. */
bool wal_index_same_salt(const struct wal_index_header *a,
			 const struct wal_index_header *b);
/* Nothing at all happened between the two: every field is equal. */
bool wal_index_same(const struct wal_index_header *a, const struct wal_index_header *b);

/* Take one lock byte exclusively, without waiting; false when it is not to be had. */
bool wal_index_lock(const struct wal_index *index, enum wal_lock lock) MUST_CHECK;
void wal_index_unlock(const struct wal_index *index, enum wal_lock lock);
/* Take all eight locks at once: nobody is within a transaction, a checkpoint or a
 * recovery. This process must have none of them. */
bool wal_index_lock_all(const struct wal_index *index) MUST_CHECK;
void wal_index_unlock_all(const struct wal_index *index);

/* Set the read mark of `slot` (1 to 4); the caller has locked it exclusively. */
void wal_index_set_mark(const struct wal_index *index, unsigned slot,
			uint32_t frame_no);

/*
 * Begin a new life of the WAL, without frames, as SQLite does when it restarts the WAL:
 * the first word of the salt + 1, the second one random. Page size and page count are
 * left to the file, as after a recovery of an empty WAL. The header is valid all the
 * time. The caller holds all locks, except perhaps that of recovery, and everything is
 * in the database file. False: there is no random number, and nothing was done.
 */
bool wal_index_restart(const struct wal_index *index) MUST_CHECK;

#endif
