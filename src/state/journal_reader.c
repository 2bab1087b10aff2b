/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/journal_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/array.h"
#include "src/base/buffer.h"
#include "src/base/fault.h"
#include "src/base/log.h"
#include "src/history/advice.h"

#define SCAN_BYTES (64u << 10)

#define HEAL STATE_MOVE_AWAY

/* The journal as it is read, from S on. */
struct reader {
	struct journal_files *files;
	const struct journal_read *how;

	uint64_t lsn; /* after the last record that is right */
	uint64_t chain;
	bool is_merged; /* that record */

	struct journal_segment *segment; /* that is being read */
	uint64_t offset;                 /* there, of the next record */
	uint64_t size;                   /* of its file */
	const char *torn; /* why what stands at offset is not right; NULL: it is */

	struct buffer bytes; /* a record */
	struct journal_page *pages;
	size_t page_cap;
};

/* What stands here may be what a power cut left: judge decides. */
static enum status torn(struct reader *reader, const char *why)
{
	reader->torn = why;
	return ST_END;
}

static enum status damaged(const struct reader *reader, const char *why,
			   struct error *err)
{
	return error_set(
	    err, ST_DAMAGED,
	    "%s/" JOURNAL_NAME_FORMAT " is damaged at byte %" PRIu64 " (%s): " HEAL,
	    reader->files->folder, reader->segment->start_lsn, reader->offset, why);
}

static enum status read_error(const struct reader *reader, int rc, struct error *err)
{
	return journal_file_error(reader->files, "read", reader->segment->start_lsn, rc,
				  err);
}

static enum status read_header(struct reader *reader, bool is_first, struct error *err)
{
	const struct journal_start *start = reader->how->start;
	uint8_t bytes[JOURNAL_HEADER_BYTES];
	struct journal_header header;
	int rc;

	if (reader->size < sizeof bytes) {
		return torn(reader, "its header is cut short");
	}
	rc = journal_file_read(reader->segment->fd, bytes, sizeof bytes, 0);
	if (rc != 0) {
		return read_error(reader, rc, err);
	}
	if (!journal_header_get(bytes, &header)) {
		return torn(reader, "its header is not right");
	}
	if (header.page_size != reader->files->page_size ||
	    header.start_lsn != reader->segment->start_lsn) {
		return damaged(reader, "its header is of another file", err);
	}
	if (is_first && header.start_lsn < start->lsn) {
		reader->lsn = header.start_lsn;
		reader->chain = header.start_chain;
	}
	if (is_first && header.start_lsn == start->lsn &&
	    header.start_chain != start->chain) {
		return damaged(reader, "it is not of this state directory", err);
	}
	if (header.start_lsn != reader->lsn || header.start_chain != reader->chain) {
		return torn(reader, "records before it are missing");
	}
	reader->offset = sizeof bytes;
	return ST_OK;
}

/* Read the record at `offset`, all of it, into reader->bytes. */
static enum status read_record(struct reader *reader, struct journal_head *head,
			       struct error *err)
{
	uint64_t left = reader->size - reader->offset;
	uint8_t bytes[JOURNAL_HEAD_BYTES];
	int rc;

	if (left < sizeof bytes) {
		return torn(reader, "a record is cut short");
	}
	rc =
	    journal_file_read(reader->segment->fd, bytes, sizeof bytes, reader->offset);
	if (rc != 0) {
		return read_error(reader, rc, err);
	}
	if (!journal_head_get(bytes, head)) {
		return torn(reader, "a record is not right");
	}
	if (head->length != journal_head_length(head)) {
		return damaged(reader, "a record has another length", err);
	}
	if (head->length > left) {
		return torn(reader, "a record is cut short");
	}
	buffer_reset(&reader->bytes);
	if (!buffer_reserve(&reader->bytes, head->length)) {
		return journal_no_memory(err);
	}
	rc = journal_file_read(reader->segment->fd, reader->bytes.bytes, head->length,
			       reader->offset);
	return rc == 0 ? ST_OK : read_error(reader, rc, err);
}

static enum status check_head(const struct reader *reader,
			      const struct journal_head *head, struct error *err)
{
	if (head->chain_before != reader->chain) {
		return damaged(reader, "a record does not follow the one before", err);
	}
	if (head->record.lsn <= reader->lsn) {
		return damaged(reader, "a record is older than the one before", err);
	}
	if (head->record.kind != JOURNAL_COMMIT &&
	    head->record.kind != JOURNAL_CATCH_UP &&
	    head->record.kind != JOURNAL_MERGED) {
		return damaged(reader, "a record is of an unknown kind", err);
	}
	if (head->record.low_pages > head->record.page_count) {
		return damaged(reader, "a record has sizes that do not fit", err);
	}
	return ST_OK;
}

/* Room for the pages of a record. */
static bool page_room(struct reader *reader, size_t total)
{
	return array_room(&reader->pages, &reader->page_cap, total,
			  sizeof *reader->pages);
}

static enum status take_pages(struct reader *reader, struct journal_record *record,
			      struct error *err)
{
	const uint8_t *bytes = (const uint8_t *)reader->bytes.bytes;
	uint32_t before = 0;

	if (!page_room(reader, record->page_total)) {
		return journal_no_memory(err);
	}
	for (size_t i = 0; i < record->page_total; i++) {
		struct journal_page page = journal_entry_get(bytes, i).page;

		if (page.page_no <= before || page.page_no > record->page_count) {
			return damaged(reader, "a record has pages in disorder", err);
		}
		before = page.page_no;
		reader->pages[i] = page;
	}
	record->pages = reader->pages;
	return ST_OK;
}

static void unclaim(const struct reader *reader, size_t total)
{
	for (size_t i = 0; i < total; i++) {
		spool_free(reader->how->spool, &reader->pages[i].slot, 1);
	}
}

/* Mark the slots of a record as used, if what they have is what was recorded. */
static enum status claim_images(struct reader *reader,
				const struct journal_record *record, struct error *err)
{
	const uint8_t *bytes = (const uint8_t *)reader->bytes.bytes;
	struct spool *spool = reader->how->spool;

	for (size_t i = 0; i < record->page_total; i++) {
		struct journal_entry entry = journal_entry_get(bytes, i);
		enum status status = spool_claim(spool, entry.page.slot, err);

		if (status != ST_OK) {
			unclaim(reader, i);
			return status == ST_DAMAGED
				   ? torn(reader, "the slot of an image is not right")
				   : status;
		}
		if (journal_image_hash(entry.page.page_no,
				       spool_bytes(spool, entry.page.slot),
				       reader->files->page_size) != entry.hash) {
			unclaim(reader, i + 1);
			return torn(reader, "an image is not right");
		}
	}
	return ST_OK;
}

static enum status replay_record(struct reader *reader, struct journal_record *record,
				 uint64_t chain, struct error *err)
{
	enum status status = take_pages(reader, record, err);

	if (!reader->how->replay) {
		return damaged(reader, "there should be none", err);
	}
	if (status == ST_OK) {
		status = claim_images(reader, record, err);
	}
	return status == ST_OK
		   ? reader->how->replay(reader->how->context, record, chain, err)
		   : status;
}

/* Past a record that is right: at S, the chain must be that of meta. */
static enum status step(struct reader *reader, const struct journal_head *head,
			uint64_t chain, struct error *err)
{
	const struct journal_start *start = reader->how->start;

	if (head->record.lsn >= start->lsn && reader->lsn < start->lsn &&
	    (head->record.lsn > start->lsn || chain != start->chain)) {
		return damaged(reader, "it is not of this state directory", err);
	}
	reader->lsn = head->record.lsn;
	reader->chain = chain;
	reader->is_merged = head->record.kind == JOURNAL_MERGED;
	reader->offset += head->length;
	return ST_OK;
}

static enum status next_record(struct reader *reader, struct error *err)
{
	struct journal_head head;
	enum status status = read_record(reader, &head, err);
	uint64_t chain;

	if (status != ST_OK) {
		return status;
	}
	if (!journal_record_sum((const uint8_t *)reader->bytes.bytes, head.length,
				&chain)) {
		return torn(reader, "a record is not right");
	}
	journal_merged_get((const uint8_t *)reader->bytes.bytes, &head.record);
	status = check_head(reader, &head, err);
	if (status == ST_OK && reader->lsn >= reader->how->start->lsn) {
		status = replay_record(reader, &head.record, chain, err);
	}
	return status == ST_OK ? step(reader, &head, chain, err) : status;
}

static enum status open_segment(struct reader *reader, size_t index, struct error *err)
{
	struct journal_files *files = reader->files;
	struct journal_segment *segment = &files->segments[index];
	struct stat file;

	reader->segment = segment;
	reader->offset = 0;
	reader->size = 0;
	if (segment->fd < 0) {
		segment->fd = journal_file_open(files, segment->start_lsn);
	}
	if (segment->fd < 0 || fstat(segment->fd, &file) < 0) {
		return journal_file_error(files, "open", segment->start_lsn, errno,
					  err);
	}
	if (!S_ISREG(file.st_mode)) {
		return damaged(reader, "it is no file", err);
	}
	reader->size = (uint64_t)file.st_size;
	return ST_OK;
}

/* ST_END: not all of it is right. */
static enum status read_segment(struct reader *reader, size_t index, bool is_first,
				struct error *err)
{
	enum status status = open_segment(reader, index, err);

	if (status == ST_OK) {
		status = read_header(reader, is_first, err);
	}
	while (status == ST_OK && reader->offset < reader->size) {
		status = next_record(reader, err);
	}
	if (status == ST_OK) {
		reader->segment->length = reader->size;
	}
	return status;
}

/* Does a record at or after `offset` say that one after `lsn` was durable? */
static enum status find_witness(struct reader *reader, uint64_t lsn, bool *found,
				struct error *err)
{
	uint64_t at = reader->offset;

	*found = false;
	buffer_reset(&reader->bytes);
	if (!buffer_reserve(&reader->bytes, SCAN_BYTES)) {
		return journal_no_memory(err);
	}
	while (reader->size - at >= JOURNAL_HEAD_BYTES && !*found) {
		uint64_t left = (reader->size - at) & ~UINT64_C(7);
		size_t len = left < SCAN_BYTES ? (size_t)left : SCAN_BYTES;
		const uint8_t *bytes = (const uint8_t *)reader->bytes.bytes;
		int rc = journal_file_read(reader->segment->fd, reader->bytes.bytes,
					   len, at);

		if (rc != 0) {
			return read_error(reader, rc, err);
		}
		for (size_t i = 0; i + JOURNAL_HEAD_BYTES <= len; i += 8) {
			struct journal_head head;

			*found |= journal_head_get(bytes + i, &head) &&
				  head.durable_lsn > lsn;
		}
		at += len - JOURNAL_HEAD_BYTES + 8;
	}
	return ST_OK;
}

/* The journal ends at `offset` of segment `index`. */
static enum status cut(struct reader *reader, size_t index, uint64_t offset,
		       struct error *err)
{
	struct journal_files *files = reader->files;
	struct journal_segment *segment = &files->segments[index];
	int rc;

	log_debug("%s/" JOURNAL_NAME_FORMAT " ends at byte %" PRIu64 " of %" PRIu64
		  ": %s, and was not synced",
		  files->folder, segment->start_lsn, offset, reader->size,
		  reader->torn);
	FAULT_POINT("journal-before-cut");
	if (offset == 0) {
		return journal_files_drop(files, index, files->total, err);
	}
	rc = journal_file_cut(segment->fd, offset);
	if (rc != 0) {
		return journal_file_error(files, "cut", segment->start_lsn, rc, err);
	}
	FAULT_POINT("journal-cut");
	segment->length = offset;
	return journal_files_drop(files, index + 1, files->total, err);
}

/*
 * What is not right from here on may be what was under way when the power went: nothing
 * of it was durable, as far as any later record knows. Then the journal ends here.
 */
static enum status judge(struct reader *reader, size_t index, struct error *err)
{
	struct journal_files *files = reader->files;
	uint64_t lsn = reader->lsn > reader->how->start->lsn ? reader->lsn
							     : reader->how->start->lsn;
	const struct reader here = *reader;
	enum status status = ST_OK;
	bool found = false;

	for (size_t i = index; i < files->total && !found; i++) {
		if (i > index) {
			status = open_segment(reader, i, err);
		}
		if (status == ST_OK) {
			status = find_witness(reader, lsn, &found, err);
		}
		if (status != ST_OK) {
			return status;
		}
		if (i > index) {
			journal_segment_close(reader->segment);
		}
	}
	reader->segment = here.segment;
	reader->offset = here.offset;
	reader->size = here.size;
	return found ? damaged(reader, here.torn, err)
		     : cut(reader, index, here.offset, err);
}

/* Segments after `index` that a merged record stands in place of: a kill has kept them
 * from being removed. */
static enum status drop_merged(struct reader *reader, size_t index, struct error *err)
{
	struct journal_files *files = reader->files;
	size_t end = index + 1;

	while (reader->is_merged && end < files->total &&
	       files->segments[end].start_lsn < reader->lsn) {
		end++;
	}
	return journal_files_drop(files, index + 1, end, err);
}

/* Read all segments from `first` on; those that stay are durable when it returns. */
static enum status read_segments(struct reader *reader, size_t first, struct error *err)
{
	struct journal_files *files = reader->files;

	for (size_t i = first; i < files->total; i++) {
		enum status status = read_segment(reader, i, i == first, err);
		struct journal_segment *segment;
		int rc;

		if (status == ST_END && reader->torn) {
			status = judge(reader, i, err);
		}
		if (status == ST_OK) {
			status = drop_merged(reader, i, err);
		}
		if (status != ST_OK) {
			return status;
		}
		if (i == files->total) {
			break; /* it was cut off as a whole */
		}
		segment = &files->segments[i];
		rc = journal_file_sync(segment->fd);
		if (rc != 0) {
			return journal_file_error(files, "sync", segment->start_lsn, rc,
						  err);
		}
		segment->durable_length = segment->length;
		if (i + 1 < files->total) {
			journal_segment_close(segment);
		}
	}
	return ST_OK;
}

/* The segment that has the record after `lsn`. */
static size_t find_first(const struct journal_files *files, uint64_t lsn)
{
	size_t first = 0;

	while (first + 1 < files->total &&
	       files->segments[first + 1].start_lsn <= lsn) {
		first++;
	}
	return first;
}

/* The last segment that stays is open, for the next append. */
static enum status open_last(struct reader *reader, struct error *err)
{
	size_t total = reader->files->total;

	if (total == 0 || reader->files->segments[total - 1].fd >= 0) {
		return ST_OK;
	}
	return open_segment(reader, total - 1, err);
}

static enum status recover(struct reader *reader, struct error *err)
{
	struct journal_files *files = reader->files;
	const struct journal_start *start = reader->how->start;
	size_t first = find_first(files, start->lsn);
	enum status status = read_segments(reader, first, err);

	FAULT_POINT("journal-read");
	if (status == ST_OK && reader->lsn < start->lsn) {
		/* Nothing in it is later than S. */
		reader->lsn = start->lsn;
		reader->chain = start->chain;
		first = files->total;
	}
	if (status == ST_OK) {
		status = journal_files_drop(files, 0, first, err);
	}
	if (status == ST_OK) {
		status = open_last(reader, err);
	}
	if (status == ST_OK) {
		status = spool_sync(reader->how->spool, err);
	}
	if (status == ST_OK) {
		status = journal_files_sync(files, err);
	}
	return status;
}

enum status journal_read(struct journal_files *files, const struct journal_read *how,
			 uint64_t *lsn, uint64_t *chain, struct error *err)
{
	struct reader reader = {
	    .files = files,
	    .how = how,
	    .lsn = how->start->lsn,
	    .chain = how->start->chain,
	};
	enum status status;

	buffer_init(&reader.bytes);
	status = recover(&reader, err);
	buffer_clear(&reader.bytes);
	free(reader.pages);
	*lsn = reader.lsn;
	*chain = reader.chain;
	return status;
}
