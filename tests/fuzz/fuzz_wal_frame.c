/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WAL that anybody wrote, with a wal-index header that vouches for all of it: its
 * frames are read into transactions and accepted, over a small database file. The first
 * bytes of the input choose the header; the rest is the frames.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/capture/txn_builder.h"
#include "src/capture/wal_frame.h"
#include "src/capture/wal_index.h"
#include "src/history/spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define PAGE_SIZE  512
#define FRAME_SIZE (PAGE_SIZE + WAL_FRAME_HEADER_BYTES)
#define FRAMES_MAX 60

static int no_map(sqlite3_file *file, int n, int size, int extend,
		  void volatile **bytes)
{
	(void)file;
	(void)n;
	(void)size;
	(void)extend;
	*bytes = NULL;
	return SQLITE_OK;
}

static int memory_file(const void *bytes, size_t len, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len ||
	    ftruncate(fd, (off_t)size)) {
		abort();
	}
	return fd;
}

static void release(struct spool *spool, struct captured_txn *txn)
{
	for (size_t i = 0; i < txn->page_total; i++) {
		if (i > 0 && txn->pages[i].page_no <= txn->pages[i - 1].page_no) {
			abort();
		}
		if (txn->pages[i].page_no == 0 ||
		    txn->pages[i].page_no > txn->page_count) {
			abort();
		}
		spool_free(spool, &txn->pages[i].slot, 1);
		spool_preimage_drop(spool, &txn->pages[i].page_no, 1);
	}
	for (uint32_t p = txn->page_count + 1;
	     p <= txn->page_count_before && p <= txn->page_count + 100; p++) {
		spool_preimage_drop(spool, &p, 1);
	}
	free(txn);
}

/* Frames shrunk to fit an input: each is 24 bytes of header and one byte of content. */
static size_t unfold(const uint8_t *bytes, size_t len, uint8_t *wal,
		     const struct wal_index_header *header)
{
	size_t frames = 0;

	memset(wal, 0, WAL_HEADER_BYTES);
	while (len >= 10 && frames < FRAMES_MAX) {
		uint8_t *frame = wal + WAL_HEADER_BYTES + frames * FRAME_SIZE;

		memset(frame, bytes[9], FRAME_SIZE);
		memset(frame, 0, 8);
		frame[3] = bytes[0] % 40;
		frame[2] = bytes[0] > 240;
		memcpy(frame + 4, bytes + 1, 4);
		if (bytes[5] < 200) {
			memset(frame + 4, 0, 3);
			frame[7] %= 4;
		}
		memcpy(frame + 8, header->salt, 8);
		frame[8] ^= bytes[6] == 255;
		frames++;
		bytes += 10;
		len -= 10;
	}
	return frames;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const sqlite3_io_methods methods = {.iVersion = 2, .xShmMap = no_map};
	static struct spool *spool; /* opening one costs more than all the rest */
	static uint8_t wal[WAL_HEADER_BYTES + FRAMES_MAX * FRAME_SIZE];
	static const uint8_t pages[20 * PAGE_SIZE];
	sqlite3_file file = {.pMethods = &methods};
	struct wal_index index = {.file = &file};
	struct wal_index_header header = {.page_size = PAGE_SIZE, .salt = "saltsal"};
	struct txn_builder builder;
	struct wal_header ignored;
	struct error err;
	uint64_t before;
	size_t frames;
	int wal_fd;
	int db_fd;

	if (len < WAL_HEADER_BYTES) {
		return 0;
	}
	if (!spool && spool_open(PAGE_SIZE, &spool, &err) != ST_OK) {
		abort();
	}
	(void)!wal_header_parse(bytes, &ignored, &err);
	before = spool_used_bytes(spool);
	frames = unfold(bytes, len, wal, &header);
	header.frame_count = (uint32_t)frames + (bytes[0] == 7);
	if (frames > 0) {
		struct wal_frame last;

		wal_frame_parse(wal + WAL_HEADER_BYTES + (frames - 1) * FRAME_SIZE,
				&last);
		header.frame_sum[0] = last.sum[0];
		header.frame_sum[1] = last.sum[1];
		header.page_count = last.commit;
	}
	wal_fd = memory_file(wal, WAL_HEADER_BYTES + frames * FRAME_SIZE,
			     WAL_HEADER_BYTES + frames * FRAME_SIZE - (bytes[1] == 7));
	db_fd = memory_file(pages, sizeof pages, sizeof pages - bytes[2]);
	if (txn_builder_init(&builder, spool, &index, PAGE_SIZE, wal_fd, db_fd, &err) !=
	    ST_OK) {
		abort();
	}
	builder.page_count = bytes[3] % 40;
	if (txn_builder_read(&builder, &header, 0, bytes[4] < 128 ? 2000 : UINT64_MAX,
			     bytes[5] % 2, &err) == ST_OK) {
		while (txn_builder_draft(&builder)) {
			struct captured_txn *txn;
			uint64_t saved;

			if (txn_builder_accept(&builder, &txn, &saved, &err) != ST_OK) {
				abort();
			}
			release(spool, txn);
		}
	}
	txn_builder_discard(&builder);
	txn_builder_clear(&builder);
	for (uint32_t p = 1; p < 600; p++) {
		spool_preimage_drop(spool, &p, 1);
	}
	if (spool_used_bytes(spool) != before) {
		abort(); /* a slot was lost */
	}
	(void)close(wal_fd);
	(void)close(db_fd);
	return 0;
}
