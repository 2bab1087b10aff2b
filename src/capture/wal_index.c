/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/wal_index.h"

#include <string.h>
#include <sys/random.h>

#include "src/base/bytes.h"
#include "src/base/sqlite_guard.h"
#include "src/capture/wal_frame.h"

#define IS_INIT_AT     12
#define PAGE_SIZE_AT   14
#define FRAME_COUNT_AT 16
#define SALT_AT        32
#define SUM_AT         40
#define BACKFILL_AT    96
#define MARKS_AT       100
#define TRIED_AT       128
#define PAGES_AT       136 /* of block 0 */
#define PAGES_BLOCK_0  4062
#define PAGES_BLOCK    4096
#define MOST_BLOCKS    (INT32_MAX / WAL_INDEX_BLOCK_BYTES) /* SQLite's sum is an int */
#define INDEX_VERSION  3007000

enum status wal_index_init(struct wal_index *index, sqlite3 *db, struct error *err)
{
	index->file = NULL;
	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &index->file) !=
		SQLITE_OK ||
	    !index->file || !index->file->pMethods ||
	    index->file->pMethods->iVersion < 2) {
		return error_set(err, ST_IO, "SQLite gives no access to the wal-index");
	}
	return ST_OK;
}

/* Block `n` of the shared memory; NULL where there is none (yet). */
static const uint8_t *block_at(const struct wal_index *index, uint32_t n)
{
	void volatile *bytes = NULL;
	int rc;

	if (n >= MOST_BLOCKS) {
		return NULL;
	}
	rc = index->file->pMethods->xShmMap(index->file, (int)n, WAL_INDEX_BLOCK_BYTES,
					    0, &bytes);
	/* Read-only shared memory is mapped all the same. */
	if (rc != SQLITE_OK && rc != SQLITE_READONLY) {
		return NULL;
	}
	return (const uint8_t *)(uintptr_t)bytes;
}

bool wal_index_is_mapped(const struct wal_index *index)
{
	return block_at(index, 0) != NULL;
}

/* One aligned word of shared memory. */
static uint32_t load_u32(const uint8_t *at)
{
	return __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_ACQUIRE);
}

static uint32_t native_u32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof v);
	return v;
}

bool wal_index_parse(const uint8_t *copies, struct wal_index_header *out)
{
	uint32_t sum[2] = {0, 0};
	uint16_t size;

	if (memcmp(copies, copies + WAL_INDEX_HEADER_BYTES, WAL_INDEX_HEADER_BYTES) !=
		0 ||
	    copies[12] == 0 || native_u32(copies) != INDEX_VERSION) {
		return false;
	}
	wal_checksum(__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, copies, 40, sum);
	if (sum[0] != native_u32(copies + 40) || sum[1] != native_u32(copies + 44)) {
		return false;
	}
	memcpy(&size, copies + 14, sizeof size);
	*out = (struct wal_index_header){
	    .change = native_u32(copies + 8),
	    .big_endian_sums = copies[13] != 0,
	    .page_size = size == 1 ? 65536 : size,
	    .frame_count = native_u32(copies + 16),
	    .page_count = native_u32(copies + 20),
	    .frame_sum = {native_u32(copies + 24), native_u32(copies + 28)},
	};
	memcpy(out->salt, copies + 32, sizeof out->salt);
	return true;
}

bool wal_index_read(const struct wal_index *index, struct wal_index_header *out)
{
	uint8_t copies[2 * WAL_INDEX_HEADER_BYTES];
	const uint8_t *block = block_at(index, 0);

	if (!block) {
		return false;
	}
	/* Copy 1 is written first, so copy 0 is read first. */
	for (size_t i = 0; i < sizeof copies; i += 4) {
		uint32_t word = load_u32(block + i);

		memcpy(copies + i, &word, sizeof word);
	}
	return wal_index_parse(copies, out);
}

uint32_t wal_index_backfilled(const struct wal_index *index)
{
	const uint8_t *block = block_at(index, 0);

	return block ? load_u32(block + BACKFILL_AT) : 0;
}

void wal_index_place(uint32_t frame_no, uint32_t *block, uint32_t *at)
{
	if (frame_no <= PAGES_BLOCK_0) {
		*block = 0;
		*at = PAGES_AT / 4 + frame_no - 1;
	} else {
		*block = 1 + (frame_no - PAGES_BLOCK_0 - 1) / PAGES_BLOCK;
		*at = (frame_no - PAGES_BLOCK_0 - 1) % PAGES_BLOCK;
	}
}

uint32_t wal_index_frame_page(const struct wal_index *index, uint32_t frame_no)
{
	uint32_t block_no;
	uint32_t at;
	const uint8_t *block;

	if (frame_no == 0) {
		return 0;
	}
	wal_index_place(frame_no, &block_no, &at);
	block = block_at(index, block_no);
	return block ? load_u32(block + 4 * (size_t)at) : 0;
}

bool wal_index_same_salt(const struct wal_index_header *a,
			 const struct wal_index_header *b)
{
	return memcmp(a->salt, b->salt, sizeof a->salt) == 0;
}

bool wal_index_same(const struct wal_index_header *a, const struct wal_index_header *b)
{
	return a->change == b->change && a->big_endian_sums == b->big_endian_sums &&
	       a->page_size == b->page_size && a->frame_count == b->frame_count &&
	       a->page_count == b->page_count && a->frame_sum[0] == b->frame_sum[0] &&
	       a->frame_sum[1] == b->frame_sum[1] && wal_index_same_salt(a, b);
}

bool wal_index_lock(const struct wal_index *index, enum wal_lock lock)
{
	int rc;

	sqlite_guard_let_write(lock == WAL_LOCK_WRITE);
	rc = index->file->pMethods->xShmLock(index->file, (int)lock, 1,
					     SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE);
	sqlite_guard_let_write(false);
	return rc == SQLITE_OK;
}

void wal_index_unlock(const struct wal_index *index, enum wal_lock lock)
{
	(void)index->file->pMethods->xShmLock(index->file, (int)lock, 1,
					      SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
}

bool wal_index_lock_all(const struct wal_index *index)
{
	return index->file->pMethods->xShmLock(index->file, 0, SQLITE_SHM_NLOCK,
					       SQLITE_SHM_LOCK |
						   SQLITE_SHM_EXCLUSIVE) == SQLITE_OK;
}

void wal_index_unlock_all(const struct wal_index *index)
{
	(void)index->file->pMethods->xShmLock(index->file, 0, SQLITE_SHM_NLOCK,
					      SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
}

void wal_index_set_mark(const struct wal_index *index, unsigned slot, uint32_t frame_no)
{
	uint8_t *block = (uint8_t *)(uintptr_t)block_at(index, 0);

	if (block) {
		__atomic_store_n((uint32_t *)(void *)(block + MARKS_AT + 4 * slot),
				 frame_no, __ATOMIC_SEQ_CST);
	}
}

static void store_u32(const struct wal_index *index, uint32_t at, uint32_t value)
{
	uint8_t *block = (uint8_t *)(uintptr_t)block_at(index, 0);

	__atomic_store_n((uint32_t *)(void *)(block + at), value, __ATOMIC_SEQ_CST);
}

static void store_header(const struct wal_index *index, uint32_t copy,
			 const uint8_t *header)
{
	for (uint32_t i = 0; i < WAL_INDEX_HEADER_BYTES; i += 4) {
		store_u32(index, copy * WAL_INDEX_HEADER_BYTES + i,
			  native_u32(header + i));
	}
}

static void put_sum(uint8_t header[WAL_INDEX_HEADER_BYTES])
{
	uint32_t sum[2] = {0, 0};

	wal_checksum(__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, header, SUM_AT, sum);
	memcpy(header + SUM_AT, sum, sizeof sum);
}

void wal_index_make_empty(uint8_t start[WAL_INDEX_START_BYTES])
{
	const uint32_t version = INDEX_VERSION;

	memset(start, 0, WAL_INDEX_START_BYTES);
	memcpy(start, &version, sizeof version);
	start[IS_INIT_AT] = 1;
	put_sum(start);
	memcpy(start + WAL_INDEX_HEADER_BYTES, start, WAL_INDEX_HEADER_BYTES);
	memset(start + MARKS_AT + 4, 0xff, (size_t)4 * (WAL_INDEX_MARKS - 1));
}

/* The header of a WAL without frames that follows `header`. */
static void restart_header(uint8_t header[WAL_INDEX_HEADER_BYTES], uint32_t salt)
{
	memset(header + PAGE_SIZE_AT, 0, 2);
	memset(header + FRAME_COUNT_AT, 0, 8); /* and the page count */
	put_u32be(header + SALT_AT, get_u32be(header + SALT_AT) + 1);
	memcpy(header + SALT_AT + 4, &salt, sizeof salt);
	put_sum(header);
}

bool wal_index_restart(const struct wal_index *index)
{
	const uint8_t *block = block_at(index, 0);
	uint8_t header[WAL_INDEX_HEADER_BYTES];
	uint32_t salt;

	if (!block || getrandom(&salt, sizeof salt, GRND_NONBLOCK) != sizeof salt) {
		return false;
	}
	memcpy(header, block, sizeof header);
	restart_header(header, salt);
	/* As readers expect it: the second copy first, then what is backfilled. */
	store_header(index, 1, header);
	index->file->pMethods->xShmBarrier(index->file);
	store_header(index, 0, header);
	index->file->pMethods->xShmBarrier(index->file);
	store_u32(index, BACKFILL_AT, 0);
	store_u32(index, TRIED_AT, 0);
	store_u32(index, MARKS_AT + 4, 0);
	for (uint32_t slot = 2; slot < WAL_INDEX_MARKS; slot++) {
		store_u32(index, MARKS_AT + 4 * slot, WAL_INDEX_NO_MARK);
	}
	return true;
}
