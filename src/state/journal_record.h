/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/journal_record.h -- what stands in a segment of the journal, byte by byte.
 *
 * FORMAT  Integers are little-endian, checksums XXH3 of 64 bits with seed 0. Everything
 *         stands at a multiple of 8.
 *
 *     segment:  0  magic, "RTLOG\0\0\0"
 *               8  version (4), page size (4)
 *              16  LSN after which it begins
 *              24  chain there
 *              32  checksum of bytes 0 to 31
 *              40  records
 *
 *     record:   0  mark, "RTxn"
 *               4  kind (4)
 *               8  length of the record
 *              16  LSN
 *              24  durable LSN: all records up to there were synced before this one
 *                  was written
 *              32  captured_ns
 *              40  page count before (4), page count (4)
 *              48  salts (8)
 *              56  last frame (4), pages that follow (4)
 *              64  proof
 *              72  chain before this record
 *              80  checksum of bytes 0 to 79: the head can be told alone
 *              88  only in a merged record:
 *                      chain after it (8), transactions (8), lowest page count (4),
 *                      1 if one of them is a catch-up, else 0 (4)
 *               *  for each page: number (4), slot (4), hash of the image (8)
 *               *  only in one of JOURNAL_NAMED: src/state/journal_writers.h
 *            last  checksum of all before it: the chain after this record, but for a
 *                  merged one, which is followed by what followed the last that it
 *                  stands for
 *
 * The hash of an image is XXH3, seeded with the page number.
 *
 * THREADS  No shared state.
 */
#ifndef JOURNAL_RECORD_H
#define JOURNAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/buffer.h"
#include "src/base/status.h"
#include "src/base/writers.h"
#include "src/history/spool.h"

#define JOURNAL_VERSION      1
#define JOURNAL_HEADER_BYTES 40
#define JOURNAL_HEAD_BYTES   88
#define JOURNAL_MERGED_BYTES 24
#define JOURNAL_PAGE_BYTES   16
#define JOURNAL_SUM_BYTES    8

enum journal_kind {
	JOURNAL_COMMIT = 1,   /* a transaction of the application */
	JOURNAL_CATCH_UP = 2, /* what changed while nobody followed, as one */
	JOURNAL_MERGED = 3, /* the net effect of several, which it stands in place of */
	JOURNAL_NAMED = 4,  /* of the application, and who may have made it */
};

struct journal_page {
	uint32_t page_no;
	uint32_t slot;
};

struct journal_record {
	enum journal_kind kind;
	uint64_t lsn; /* greater than that of the record before */
	int64_t captured_ns;
	uint32_t page_count_before; /* database size, pages */
	uint32_t page_count;
	uint8_t salt[8];     /* of the application's WAL; zeros: it was empty */
	uint32_t last_frame; /* there; 0: it was empty */
	uint64_t proof;      /* hash of that frame, header and page */
	const struct journal_page *pages; /* by page number ascending */
	size_t page_total;

	/* To be written, with JOURNAL_NAMED; borrowed. */
	const struct writers *writers;

	/* Of a merged one; otherwise zeros. */
	uint64_t merged;    /* transactions of the application */
	uint32_t low_pages; /* the smallest size that the database had in between */
	bool has_catch_up;  /* one of them is a catch-up */
	uint64_t chain;     /* after it: that of the last */
};

struct journal_header {
	uint32_t page_size;
	uint64_t start_lsn;
	uint64_t start_chain;
};

/* All of a record but its pages. */
struct journal_head {
	struct journal_record record; /* `pages` is NULL; the kind is not checked */
	uint64_t length;              /* bytes of the whole record, not checked */
	uint64_t durable_lsn;
	uint64_t chain_before;
};

/* A page as it stands in a record. */
struct journal_entry {
	struct journal_page page;
	uint64_t hash;
};

/* `to` and `from` have JOURNAL_HEADER_BYTES. False: not a header of this version. */
void journal_header_put(uint8_t *to, const struct journal_header *header);
bool journal_header_get(const uint8_t *from, struct journal_header *header) MUST_CHECK;

/*
 * Write `record` to `to`, which is emptied first; its images are in their slots. False
 * when memory ran out. `*chain` is the one after it; of a merged record, which stands
 * in place of none here, it is made of its head.
 */
bool journal_record_put(struct buffer *to, const struct journal_record *record,
			uint64_t durable_lsn, uint64_t chain_before,
			const struct spool *spool, uint32_t page_size,
			uint64_t *chain) MUST_CHECK;

/* The same of a merged record whose entries come one by one: begin, JOURNAL_PAGE_BYTES
 * for each of record->page_total pages, end. */
uint64_t journal_merged_bytes(const struct journal_record *record);
bool journal_merged_begin(struct buffer *to, const struct journal_record *record,
			  uint64_t durable_lsn, uint64_t chain_before) MUST_CHECK;
void journal_merged_entry(struct buffer *to, const struct journal_entry *entry);
void journal_merged_end(struct buffer *to);

/* `from` has JOURNAL_HEAD_BYTES. False: not the head of a record. */
bool journal_head_get(const uint8_t *from, struct journal_head *head) MUST_CHECK;
/* The length that the record must have. */
uint64_t journal_head_length(const struct journal_head *head);
/* Whether its checksum is right, and the chain after it. */
bool journal_record_sum(const uint8_t *record, size_t length,
			uint64_t *chain) MUST_CHECK;
/* What only a merged record has, from the whole of any record whose checksum is right.
 */
void journal_merged_get(const uint8_t *from, struct journal_record *record);
/* Who may have made it, of any whole record: with one reference; NULL: nobody knows. */
struct writers *journal_record_writers(const uint8_t *record, size_t length);
/* Page `index` of a whole record. */
struct journal_entry journal_entry_get(const uint8_t *record, size_t index);

uint64_t journal_image_hash(uint32_t page_no, const uint8_t *image, uint32_t page_size);

#endif
