/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/journal_record.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "src/base/bytes.h"
#include "src/state/journal_writers.h"

static const uint8_t magic[8] = "RTLOG\0\0";
static const uint8_t mark[4] = {'R', 'T', 'x', 'n'};

void journal_header_put(uint8_t *to, const struct journal_header *header)
{
	memcpy(to, magic, sizeof magic);
	put_u32le(to + 8, JOURNAL_VERSION);
	put_u32le(to + 12, header->page_size);
	put_u64le(to + 16, header->start_lsn);
	put_u64le(to + 24, header->start_chain);
	put_u64le(to + 32, XXH3_64bits(to, 32));
}

bool journal_header_get(const uint8_t *from, struct journal_header *header)
{
	*header = (struct journal_header){
	    .page_size = get_u32le(from + 12),
	    .start_lsn = get_u64le(from + 16),
	    .start_chain = get_u64le(from + 24),
	};
	return memcmp(from, magic, sizeof magic) == 0 &&
	       get_u32le(from + 8) == JOURNAL_VERSION &&
	       get_u64le(from + 32) == XXH3_64bits(from, 32);
}

uint64_t journal_image_hash(uint32_t page_no, const uint8_t *image, uint32_t page_size)
{
	return XXH3_64bits_withSeed(image, page_size, page_no);
}

static void put_head(uint8_t *to, const struct journal_record *record, size_t length,
		     uint64_t durable_lsn, uint64_t chain_before)
{
	memcpy(to, mark, sizeof mark);
	put_u32le(to + 4, (uint32_t)record->kind);
	put_u64le(to + 8, length);
	put_u64le(to + 16, record->lsn);
	put_u64le(to + 24, durable_lsn);
	put_u64le(to + 32, (uint64_t)record->captured_ns);
	put_u32le(to + 40, record->page_count_before);
	put_u32le(to + 44, record->page_count);
	memcpy(to + 48, record->salt, sizeof record->salt);
	put_u32le(to + 56, record->last_frame);
	put_u32le(to + 60, (uint32_t)record->page_total);
	put_u64le(to + 64, record->proof);
	put_u64le(to + 72, chain_before);
	put_u64le(to + 80, XXH3_64bits(to, 80));
}

static void put_entry(uint8_t *to, const struct journal_entry *entry)
{
	put_u32le(to, entry->page.page_no);
	put_u32le(to + 4, entry->page.slot);
	put_u64le(to + 8, entry->hash);
}

/* Bytes before the first page. */
static size_t head_bytes(enum journal_kind kind)
{
	return JOURNAL_HEAD_BYTES + (kind == JOURNAL_MERGED ? JOURNAL_MERGED_BYTES : 0);
}

/* All of it, but for who made it. */
static size_t plain_bytes(const struct journal_record *record)
{
	return head_bytes(record->kind) + record->page_total * JOURNAL_PAGE_BYTES +
	       JOURNAL_SUM_BYTES;
}

static size_t record_bytes(const struct journal_record *record)
{
	return plain_bytes(record) + (record->kind == JOURNAL_NAMED
					  ? journal_writers_bytes(record->writers)
					  : 0);
}

/* Room for all of it, and its head. Where the rest goes; NULL when memory ran out. */
static uint8_t *begin_record(struct buffer *to, const struct journal_record *record,
			     size_t length, uint64_t durable_lsn, uint64_t chain_before)
{
	buffer_reset(to);
	if (!buffer_reserve(to, length)) {
		return NULL;
	}
	put_head((uint8_t *)to->bytes, record, length, durable_lsn, chain_before);
	return (uint8_t *)to->bytes + JOURNAL_HEAD_BYTES;
}

/* What only a merged record has; `chain` is the one after it. */
static void put_merged(uint8_t *to, const struct journal_record *record, uint64_t chain)
{
	put_u64le(to, chain);
	put_u64le(to + 8, record->merged);
	put_u32le(to + 16, record->low_pages);
	put_u32le(to + 20, record->has_catch_up);
}

bool journal_record_put(struct buffer *to, const struct journal_record *record,
			uint64_t durable_lsn, uint64_t chain_before,
			const struct spool *spool, uint32_t page_size, uint64_t *chain)
{
	size_t length = record_bytes(record);
	uint8_t *at = begin_record(to, record, length, durable_lsn, chain_before);
	bool is_merged = record->kind == JOURNAL_MERGED;
	uint64_t after = 0;
	uint64_t sum;

	if (!at) {
		return false;
	}
	if (is_merged) {
		after = XXH3_64bits(to->bytes, JOURNAL_HEAD_BYTES);
		put_merged(at, record, after);
		at += JOURNAL_MERGED_BYTES;
	}
	for (size_t i = 0; i < record->page_total; i++) {
		const struct journal_page *page = &record->pages[i];
		const struct journal_entry entry = {
		    .page = *page,
		    .hash = journal_image_hash(
			page->page_no, spool_bytes(spool, page->slot), page_size)};

		put_entry(at, &entry);
		at += JOURNAL_PAGE_BYTES;
	}
	if (record->kind == JOURNAL_NAMED) {
		journal_writers_put(at, record->writers);
		at += journal_writers_bytes(record->writers);
	}
	assert(at + JOURNAL_SUM_BYTES == (uint8_t *)to->bytes + length);
	sum = XXH3_64bits(to->bytes, length - JOURNAL_SUM_BYTES);
	put_u64le(at, sum);
	to->len = length;
	*chain = is_merged ? after : sum;
	return true;
}

uint64_t journal_merged_bytes(const struct journal_record *record)
{
	return record_bytes(record);
}

bool journal_merged_begin(struct buffer *to, const struct journal_record *record,
			  uint64_t durable_lsn, uint64_t chain_before)
{
	size_t length = record_bytes(record);
	uint8_t *at = begin_record(to, record, length, durable_lsn, chain_before);

	if (!at) {
		return false;
	}
	put_merged(at, record, record->chain);
	to->len = JOURNAL_HEAD_BYTES + JOURNAL_MERGED_BYTES;
	return true;
}

void journal_merged_entry(struct buffer *to, const struct journal_entry *entry)
{
	assert(to->cap - to->len >= JOURNAL_PAGE_BYTES + JOURNAL_SUM_BYTES);
	put_entry((uint8_t *)to->bytes + to->len, entry);
	to->len += JOURNAL_PAGE_BYTES;
}

void journal_merged_end(struct buffer *to)
{
	put_u64le((uint8_t *)to->bytes + to->len, XXH3_64bits(to->bytes, to->len));
	to->len += JOURNAL_SUM_BYTES;
}

bool journal_head_get(const uint8_t *from, struct journal_head *head)
{
	if (memcmp(from, mark, sizeof mark) != 0 ||
	    get_u64le(from + 80) != XXH3_64bits(from, 80)) {
		return false;
	}
	*head = (struct journal_head){
	    .length = get_u64le(from + 8),
	    .durable_lsn = get_u64le(from + 24),
	    .chain_before = get_u64le(from + 72),
	    .record = {.kind = (enum journal_kind)get_u32le(from + 4),
		       .lsn = get_u64le(from + 16),
		       .captured_ns = (int64_t)get_u64le(from + 32),
		       .page_count_before = get_u32le(from + 40),
		       .page_count = get_u32le(from + 44),
		       .last_frame = get_u32le(from + 56),
		       .page_total = get_u32le(from + 60),
		       .proof = get_u64le(from + 64)},
	};
	memcpy(head->record.salt, from + 48, sizeof head->record.salt);
	return true;
}

uint64_t journal_head_length(const struct journal_head *head)
{
	uint64_t plain = plain_bytes(&head->record);
	uint64_t more = head->length - plain;

	if (head->record.kind != JOURNAL_NAMED || head->length < plain) {
		return plain;
	}
	return more >= JOURNAL_WRITERS_LEAST && more <= JOURNAL_WRITERS_MOST &&
		       more % 8 == 0
		   ? head->length
		   : plain;
}

static enum journal_kind kind_of(const uint8_t *record)
{
	return (enum journal_kind)get_u32le(record + 4);
}

bool journal_record_sum(const uint8_t *record, size_t length, uint64_t *chain)
{
	uint64_t sum = XXH3_64bits(record, length - JOURNAL_SUM_BYTES);

	*chain = kind_of(record) == JOURNAL_MERGED
		     ? get_u64le(record + JOURNAL_HEAD_BYTES)
		     : sum;
	return sum == get_u64le(record + length - JOURNAL_SUM_BYTES);
}

void journal_merged_get(const uint8_t *from, struct journal_record *record)
{
	const uint8_t *at = from + JOURNAL_HEAD_BYTES;

	if (record->kind == JOURNAL_MERGED) {
		record->chain = get_u64le(at);
		record->merged = get_u64le(at + 8);
		record->low_pages = get_u32le(at + 16);
		record->has_catch_up = get_u32le(at + 20) != 0;
	}
}

struct writers *journal_record_writers(const uint8_t *record, size_t length)
{
	size_t pages = (size_t)get_u32le(record + 60) * JOURNAL_PAGE_BYTES;
	const uint8_t *at = record + JOURNAL_HEAD_BYTES + pages;

	return kind_of(record) == JOURNAL_NAMED
		   ? journal_writers_get(at, length - JOURNAL_HEAD_BYTES - pages -
						 JOURNAL_SUM_BYTES)
		   : NULL;
}

struct journal_entry journal_entry_get(const uint8_t *record, size_t index)
{
	const uint8_t *at =
	    record + head_bytes(kind_of(record)) + index * JOURNAL_PAGE_BYTES;

	return (struct journal_entry){
	    .page = {.page_no = get_u32le(at), .slot = get_u32le(at + 4)},
	    .hash = get_u64le(at + 8),
	};
}
