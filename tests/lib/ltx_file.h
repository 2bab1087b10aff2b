/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/ltx_file.h -- files of an archive, made in memory, and a storage of them.
 *
 * A page is filled with one byte, or has an image. What a test then changes in the
 * bytes of a file of filled pages it may sign again, as a hostile writer would.
 *
 * OWNERSHIP  ltx_file_make / ltx_file_clear; a storage copies what it is given.
 * THREADS    One.
 * ERRORS     Fails the test (assert).
 */
#ifndef TESTS_LIB_LTX_FILE_H
#define TESTS_LIB_LTX_FILE_H

#include "src/archive/ltx.h"
#include "src/base/buffer.h"

struct ltx_fill {
	uint32_t page_no; /* 0: no more */
	uint8_t fill;
};

struct ltx_spec {
	unsigned level;
	uint64_t min_txid;
	uint64_t max_txid;
	uint32_t page_size;
	uint32_t page_count;
	const struct ltx_fill *pages; /* ends with page number 0 */
	/* Of the same pages their bytes, where not NULL; NULL: all are filled. */
	const uint8_t *const *images;
	bool has_frames;    /* LZ4 frames, not blocks */
	bool has_checksums; /* of the database, */
	uint64_t checksum;  /* this one; 0: one that is made up */
	int64_t time_ns;
	uint64_t wal_size; /* of the header */
	uint64_t node;     /* of the header */
};

struct ltx_file {
	struct ltx_spec spec;
	struct buffer bytes;
	size_t frames[64]; /* offsets of the first frames */
	size_t end;        /* offset of the zeros behind the last frame */
	size_t index;
};

void ltx_file_make(struct ltx_file *file, const struct ltx_spec *spec);
void ltx_file_clear(struct ltx_file *file);
uint8_t *ltx_file_at(struct ltx_file *file, size_t offset);

/* Make the checksum right for what the bytes are now, where they are laid out the same;
 * of one with 64 pages at most. */
void ltx_file_sign(struct ltx_file *file);

struct memory_storage;
struct memory_storage *memory_storage_open(void);
struct storage *memory_storage_base(struct memory_storage *storage);
void memory_storage_add(struct memory_storage *storage, const struct ltx_spec *spec,
			const void *bytes, size_t len);
/* ltx_file_make and memory_storage_add. */
void memory_storage_make(struct memory_storage *storage, const struct ltx_spec *spec);
/* So many files are open. */
size_t memory_storage_opened(const struct memory_storage *storage);

#endif
