/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btree/db_header.h -- the first 100 bytes of page 1.
 *
 * FORMAT   fileformat2.html section 1.3 "The Database Header".
 * THREADS  No shared state.
 */
#ifndef BTREE_DB_HEADER_H
#define BTREE_DB_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"

#define DB_HEADER_SIZE  100
#define DB_LOCK_BYTE    0x40000000u /* 1 GiB: the page that holds it is never used */
#define DB_READ_FORMAT  19          /* offset of the read version byte */
#define DB_WRITE_FORMAT 18

enum text_encoding { TEXT_UTF8 = 1, TEXT_UTF16LE = 2, TEXT_UTF16BE = 3 };

struct db_header {
	uint32_t page_size;   /* bytes */
	uint32_t usable_size; /* bytes */
	uint8_t write_format; /* 1 rollback journal, 2 WAL */
	uint8_t read_format;
	uint32_t page_count; /* in-header size; may be stale or 0 */
	uint32_t change_counter;
	uint32_t freelist_trunk; /* first trunk page; 0: none */
	uint32_t freelist_count; /* pages, trunks included */
	uint32_t schema_cookie;
	uint32_t schema_format;
	uint32_t largest_root; /* not 0: the database has ptrmap pages */
	uint32_t incremental_vacuum;
	enum text_encoding encoding; /* an empty database's 0 reads as TEXT_UTF8 */
};

/*
 * Decode the header from the first DB_HEADER_SIZE bytes of page 1. ST_CORRUPT
 * when the magic string, page size, usable size, the payload fractions or
 * the encoding are not what the format allows; the text says which.
 */
enum status db_header_read(const uint8_t *bytes, struct db_header *out,
			   struct error *err) MUST_CHECK;

/* The database is in WAL mode, by the bytes that the header begins with. */
static inline bool db_header_is_wal(const uint8_t *bytes)
{
	return bytes[DB_WRITE_FORMAT] == 2 && bytes[DB_READ_FORMAT] == 2;
}

/* A power of two from 512 to 65536. */
static inline bool db_page_size_is_valid(uint32_t page_size)
{
	return page_size >= 512 && page_size <= 65536 &&
	       (page_size & (page_size - 1)) == 0;
}

/* The page that holds the lock byte. */
static inline uint32_t db_lock_byte_page(uint32_t page_size)
{
	return DB_LOCK_BYTE / page_size + 1;
}

#endif
