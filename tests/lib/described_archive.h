/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/described_archive.h -- an archive that any bytes describe, for fuzzing.
 *
 * The bytes are one file after the other, of at most DESCRIBED_FILES; what is missing
 * at the end is zeros:
 *
 *   0  1  level, in the low 4 bits; flags: FRAMES and so on, below
 *   1  2  first TXID, and by how much the last one is above it
 *   3  1  page size in the low 4 bits: 512 << N; and when it appears, in the others
 *   4  1  when it vanishes; 0: never
 *   5  2  pages of the database after it
 *   7  2  its time, seconds, with a sign
 *   9  1  the note in its header: a catch-up, and so many transactions; 0: none
 *  10  1  how many pages follow, of which each is
 *         0  1  its number, less the one before it and 1; 255: that of the lock byte
 *         1  1  RAW: four bytes follow, how many its beginning and its end have, and
 *               these. Else what it is filled with
 *   with DAMAGED: an offset, 2 bytes, and what is changed there, 1 byte
 *
 * They are made with right checksums. Such an archive is a stranger's: ranges overlap,
 * contradict each other or are missing, page sizes and sizes change. An honest one is
 * what a writer and those who merge make of the same bytes: files of level 0 lead from
 * one TXID to the next and have all that they must, and a file of another level has
 * what those of level 0 that it leads over come to.
 *
 * TIME  Passes by calls of the storages: each one that lists or opens is a tick.
 * OWNERSHIP  described_archive_open / described_archive_close, after all storages.
 * THREADS    Open and close: one. Any number of storages, each of one thread.
 * ERRORS     Fails (assert).
 */
#ifndef TESTS_LIB_DESCRIBED_ARCHIVE_H
#define TESTS_LIB_DESCRIBED_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/storage/storage.h"

#define DESCRIBED_FILES 48u
#define DESCRIBED_PAGES 2048u      /* of all files, */
#define DESCRIBED_BYTES (4u << 20) /* ... and their bytes */

#define DESCRIBED_FRAMES  0x10u /* LZ4 frames, not blocks */
#define DESCRIBED_DAMAGED 0x20u
#define DESCRIBED_LAST    0x40u /* TXIDs near the last one that there is */
#define DESCRIBED_RAW     0x80u

struct described_page {
	uint32_t page_no;
	const uint8_t *bytes; /* page_size of them */
};

struct described_file {
	struct archive_file file;
	uint32_t page_size;
	uint32_t page_count;
	struct described_page *pages; /* by page number ascending */
	size_t page_total;
	bool is_sound;   /* the pages are some that it may have */
	bool is_damaged; /* its bytes were changed */

	unsigned flags;
	unsigned appears;  /* tick */
	unsigned vanishes; /* tick; 0: never */
	unsigned note;
	unsigned damage_at;
	unsigned damage;
	unsigned range[2]; /* as described */
	char *bytes;       /* file.size of them */
};

struct described_archive {
	struct described_file files[DESCRIBED_FILES];
	size_t count;
	bool is_honest;
	bool is_far;   /* as one in a bucket: each read is a request, times are rough */
	bool is_still; /* no file appears or vanishes */
	bool is_damaged; /* one of them */

	/* Calls from `fault_at` on give ST_IO, so many; set before the first storage.
	 */
	unsigned fault_at;
	unsigned fault_total;

	_Atomic unsigned ticks;
	_Atomic unsigned calls;
	_Atomic unsigned lists;    /* of level 0 */
	_Atomic unsigned storages; /* open */

	void **kept; /* bytes of pages */
	size_t kept_total;
	size_t page_bytes;
};

struct described_archive *described_archive_open(const uint8_t *bytes, size_t len,
						 bool is_honest, bool is_far);
void described_archive_close(struct described_archive *archive);

/* One more storage of it, which whoever asked closes. */
struct storage *described_archive_storage(struct described_archive *archive);

/* The page of a file; NULL: it does not have it. */
const uint8_t *described_file_page(const struct described_file *file, uint32_t page_no);

#endif
