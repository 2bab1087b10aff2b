/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory that anybody wrote: the first two blocks of the wal-index. A header
 * that is taken as valid must be what a writer could have written; nothing outside the
 * blocks may be read.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/capture/wal_frame.h"
#include "src/capture/wal_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* A file whose shared memory is `blocks`. */
struct fake_file {
	sqlite3_file file; /* first member: what SQLite knows */
	uint8_t *blocks[2];
};

static int fake_map(sqlite3_file *file, int n, int size, int extend,
		    void volatile **bytes)
{
	struct fake_file *fake = (struct fake_file *)file;

	(void)size;
	(void)extend;
	*bytes = n >= 0 && n < 2 ? fake->blocks[n] : NULL;
	return n < 0 ? SQLITE_IOERR : SQLITE_OK;
}

static void look(const struct wal_index *index, const uint8_t *bytes, size_t len)
{
	struct wal_index_header header;
	uint32_t frame_no;

	if (wal_index_read(index, &header) && !wal_index_same(&header, &header)) {
		abort();
	}
	(void)wal_index_backfilled(index);
	for (size_t i = 0; i + 4 <= len && i < 256; i += 4) {
		memcpy(&frame_no, bytes + i, 4);
		(void)wal_index_frame_page(index, frame_no);
		(void)wal_index_frame_page(index, frame_no % 9000);
	}
}

/* With both copies alike and their checksum right, as a hostile writer would. */
static void look_signed(struct fake_file *fake, const struct wal_index *index)
{
	struct wal_index_header header;
	uint8_t *block = fake->blocks[0];
	uint32_t version = 3007000;
	uint32_t sum[2] = {0, 0};

	memcpy(block, &version, sizeof version);
	block[12] |= 1;
	wal_checksum(__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, block, 40, sum);
	memcpy(block + 40, sum, sizeof sum);
	memcpy(block + 48, block, 48);
	if (!wal_index_read(index, &header)) {
		abort();
	}
	(void)wal_index_frame_page(index, header.frame_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const sqlite3_io_methods methods = {.iVersion = 2, .xShmMap = fake_map};
	struct fake_file fake = {.file = {.pMethods = &methods}};
	struct wal_index index = {.file = &fake.file};

	/* Of their true size and no larger, so that a sanitizer sees each read outside.
	 */
	fake.blocks[0] = calloc(1, WAL_INDEX_BLOCK_BYTES);
	fake.blocks[1] = len % 2 ? calloc(1, WAL_INDEX_BLOCK_BYTES) : NULL;
	if (fake.blocks[0]) {
		memcpy(fake.blocks[0], bytes,
		       len < WAL_INDEX_BLOCK_BYTES ? len : WAL_INDEX_BLOCK_BYTES);
		look(&index, bytes, len);
		look_signed(&fake, &index);
	}
	free(fake.blocks[0]);
	free(fake.blocks[1]);
	return 0;
}
