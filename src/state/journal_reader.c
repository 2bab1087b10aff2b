/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/journal_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/array.h"
#include "src/base/buffer.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"

struct reader {
	struct journal_files *files;
	const struct journal_reading *how;
	struct journal_end *end; /* after the last record that is right */
	bool is_merged;          /* that record */

	struct journal_segment *segment; /* that is being read */
	struct buffer bytes;             /* all of it */
	size_t offset;                   /* there, of the next record */

	struct journal_page *pages; /* of a record */
	size_t page_cap;
	int frames_fd;        /* -1: there are no images */
	uint64_t frames_size; /* as src/history/spool.h counts it */
	uint8_t *image;       /* scratch */
};

/* What is here may be what a power cut left: judge decides. */
static enum status torn(struct reader *reader, const char *why)
{
	reader->end->torn = why;
	return ST_END;
}

static enum status damaged(const struct reader *reader, const char *why,
			   struct error *err)
{
	return journal_file_damaged(reader->files, reader->segment->start_lsn,
				    reader->offset, why, err);
}

static enum status frames_error(const struct reader *reader, const char *verb,
				struct error *err)
{
	return error_set_errno(err, errno, "cannot %s %s/frames", verb,
			       quote(reader->files->folder).text);
}

static const uint8_t *bytes_at(const struct reader *reader, size_t offset)
{
	return (const uint8_t *)reader->bytes.bytes + offset;
}

/* ---- a record ---- */

static enum status check_head(const struct reader *reader,
			      const struct journal_head *head, struct error *err)
{
	const struct journal_record *record = &head->record;

	if (head->chain_before != reader->end->chain) {
		return damaged(reader, "a record does not follow the one before", err);
	}
	if (record->lsn <= reader->end->lsn) {
		return damaged(reader, "a record is older than the one before", err);
	}
	if (record->kind != JOURNAL_COMMIT && record->kind != JOURNAL_CATCH_UP &&
	    record->kind != JOURNAL_MERGED && record->kind != JOURNAL_NAMED) {
		return damaged(reader, "a record is of an unknown kind", err);
	}
	if (record->low_pages > record->page_count) {
		return damaged(reader, "a record has sizes that do not fit", err);
	}
	return ST_OK;
}

static enum status take_pages(struct reader *reader, struct journal_found *found,
			      struct error *err)
{
	struct journal_record *record = &found->record;
	uint32_t before = 0;

	if (!array_room(&reader->pages, &reader->page_cap, record->page_total,
			sizeof *reader->pages)) {
		return journal_no_memory(err);
	}
	for (size_t i = 0; i < record->page_total; i++) {
		struct journal_page page = journal_entry_get(found->bytes, i).page;

		if (page.page_no <= before || page.page_no > record->page_count) {
			return damaged(reader, "a record has pages in disorder", err);
		}
		before = page.page_no;
		reader->pages[i] = page;
	}
	record->pages = reader->pages;
	return ST_OK;
}

/* Slot n of DIR/frames lies at n times the page size. */
static enum status check_images(struct reader *reader,
				const struct journal_found *found, struct error *err)
{
	uint32_t page_size = reader->files->page_size;

	for (size_t i = 0; i < found->record.page_total; i++) {
		struct journal_entry entry = journal_entry_get(found->bytes, i);
		uint64_t offset = (uint64_t)entry.page.slot * page_size;
		ssize_t got;

		if (offset >= reader->frames_size) {
			return torn(reader, "an image is missing");
		}
		got = file_read_at(reader->frames_fd, reader->image, page_size,
				   (off_t)offset);
		if (got < 0) {
			return frames_error(reader, "read", err);
		}
		if ((size_t)got < page_size ||
		    journal_image_hash(entry.page.page_no, reader->image, page_size) !=
			entry.hash) {
			return torn(reader, "an image is not right");
		}
	}
	return ST_OK;
}

static enum status visit(struct reader *reader, struct journal_found *found,
			 struct error *err)
{
	enum status status = take_pages(reader, found, err);

	if (!reader->how->visit) {
		return damaged(reader, "there should be none", err);
	}
	if (status == ST_OK && reader->how->checks_images) {
		status = check_images(reader, found, err);
	}
	return status == ST_OK ? reader->how->visit(reader->how->context, found, err)
			       : status;
}

/* The record at `offset`. */
static enum status next_record(struct reader *reader, struct error *err)
{
	const struct journal_start *start = &reader->how->start;
	size_t left = reader->bytes.len - reader->offset;
	struct journal_found found = {.bytes = bytes_at(reader, reader->offset)};
	struct journal_head head;
	enum status status;

	if (left < JOURNAL_HEAD_BYTES) {
		return torn(reader, "a record is cut short");
	}
	if (!journal_head_get(found.bytes, &head)) {
		return torn(reader, "a record is not right");
	}
	if (head.length != journal_head_length(&head)) {
		return damaged(reader, "a record has another length", err);
	}
	if (head.length > left) {
		return torn(reader, "a record is cut short");
	}
	if (!journal_record_sum(found.bytes, head.length, &found.chain)) {
		return torn(reader, "a record is not right");
	}
	journal_merged_get(found.bytes, &head.record);
	found.record = head.record;
	found.length = head.length;
	status = check_head(reader, &head, err);
	if (status == ST_OK && reader->end->lsn >= start->lsn) {
		status = visit(reader, &found, err);
	} else if (status == ST_OK && head.record.lsn >= start->lsn &&
		   (head.record.lsn > start->lsn || found.chain != start->chain)) {
		return damaged(reader, "it is not of this state directory", err);
	}
	if (status == ST_OK) {
		reader->end->lsn = head.record.lsn;
		reader->end->chain = found.chain;
		reader->is_merged = head.record.kind == JOURNAL_MERGED;
		reader->offset += head.length;
	}
	return status;
}

/* ---- a segment ---- */

static enum status read_header(struct reader *reader, bool is_first, struct error *err)
{
	const struct journal_start *start = &reader->how->start;
	struct journal_segment *segment = reader->segment;
	struct journal_header header;

	if (reader->bytes.len < JOURNAL_HEADER_BYTES) {
		return torn(reader, "its header is cut short");
	}
	if (!journal_header_get(bytes_at(reader, 0), &header)) {
		return torn(reader, "its header is not right");
	}
	if (header.page_size != reader->files->page_size ||
	    header.start_lsn != segment->start_lsn) {
		return damaged(reader, "its header is of another file", err);
	}
	if (is_first && header.start_lsn < start->lsn) {
		reader->end->lsn = header.start_lsn;
		reader->end->chain = header.start_chain;
	}
	if (is_first && header.start_lsn == start->lsn &&
	    header.start_chain != start->chain) {
		return damaged(reader, "it is not of this state directory", err);
	}
	if (header.start_lsn != reader->end->lsn ||
	    header.start_chain != reader->end->chain) {
		return torn(reader, "records before it are missing");
	}
	segment->start_chain = header.start_chain;
	reader->offset = JOURNAL_HEADER_BYTES;
	return ST_OK;
}

static enum status load(struct reader *reader, size_t index, struct error *err)
{
	reader->segment = &reader->files->segments[index];
	reader->offset = 0;
	return journal_file_load(reader->files, reader->segment->start_lsn,
				 &reader->bytes, err);
}

/* ST_END: not all of it is right. */
static enum status read_segment(struct reader *reader, size_t index, bool is_first,
				struct error *err)
{
	enum status status = load(reader, index, err);

	if (status == ST_OK) {
		status = read_header(reader, is_first, err);
	}
	while (status == ST_OK && reader->offset < reader->bytes.len) {
		status = next_record(reader, err);
	}
	reader->segment->length = reader->offset;
	return status;
}

/* Does a record at or after `offset` say that one after `lsn` was durable? */
static bool has_witness(const struct reader *reader, size_t offset, uint64_t lsn)
{
	struct journal_head head;

	for (size_t at = offset; at + JOURNAL_HEAD_BYTES <= reader->bytes.len;
	     at += 8) {
		if (journal_head_get(bytes_at(reader, at), &head) &&
		    head.durable_lsn > lsn) {
			return true;
		}
	}
	return false;
}

/*
 * What is not right from here on may be what was under way when the power went: nothing
 * of it was durable, as far as any later record knows. Then the journal ends here.
 */
static enum status judge(struct reader *reader, size_t index, struct error *err)
{
	const struct journal_end *end = reader->end;
	uint64_t start_lsn = reader->how->start.lsn;
	uint64_t lsn = end->lsn > start_lsn ? end->lsn : start_lsn;
	struct journal_segment *segment = reader->segment;
	size_t offset = reader->offset;
	bool found = has_witness(reader, offset, lsn);

	for (size_t i = index + 1; i < reader->files->total && !found; i++) {
		enum status status = load(reader, i, err);

		if (status != ST_OK) {
			return status;
		}
		found = has_witness(reader, 0, lsn);
	}
	reader->segment = segment;
	reader->offset = offset;
	return found ? damaged(reader, end->torn, err) : ST_OK;
}

/* ---- all of it ---- */

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

static enum status read_segments(struct reader *reader, struct error *err)
{
	const struct journal_files *files = reader->files;
	size_t first = find_first(files, reader->how->start.lsn);

	for (size_t i = first; i < files->total; i++) {
		enum status status;

		if (reader->is_merged &&
		    files->segments[i].start_lsn < reader->end->lsn) {
			continue; /* a kill has kept it from being removed */
		}
		status = read_segment(reader, i, i == first, err);
		if (status == ST_END && reader->end->torn) {
			return judge(reader, i, err);
		}
		if (status != ST_OK) {
			return status;
		}
	}
	return ST_OK;
}

/* Nothing in it is later than S. */
static void end_at_start(struct reader *reader)
{
	reader->end->lsn = reader->how->start.lsn;
	reader->end->chain = reader->how->start.chain;
	for (size_t i = 0; i < reader->files->total; i++) {
		reader->files->segments[i].length = 0;
	}
}

static enum status open_frames(struct reader *reader, struct error *err)
{
	struct stat file;

	if (!reader->how->checks_images) {
		return ST_OK;
	}
	reader->image = malloc(reader->files->page_size);
	if (!reader->image) {
		return journal_no_memory(err);
	}
	reader->frames_fd = openat(reader->files->dir_fd, "frames",
				   O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (reader->frames_fd < 0) {
		return errno == ENOENT ? ST_OK : frames_error(reader, "open", err);
	}
	if (fstat(reader->frames_fd, &file) < 0) {
		return frames_error(reader, "open", err);
	}
	reader->frames_size =
	    (uint64_t)file.st_size / SPOOL_SEGMENT_BYTES * SPOOL_SEGMENT_BYTES;
	return ST_OK;
}

enum status journal_read(struct journal_files *files, const struct journal_reading *how,
			 struct journal_end *end, struct error *err)
{
	struct reader reader = {
	    .files = files, .how = how, .end = end, .frames_fd = -1};
	enum status status;

	*end = (struct journal_end){.lsn = how->start.lsn, .chain = how->start.chain};
	for (size_t i = 0; i < files->total; i++) {
		files->segments[i].length = 0;
	}
	buffer_init(&reader.bytes);
	status = open_frames(&reader, err);
	if (status == ST_OK) {
		status = read_segments(&reader, err);
	}
	if (end->lsn < how->start.lsn) {
		end_at_start(&reader);
	}
	if (reader.frames_fd >= 0) {
		(void)close(reader.frames_fd);
	}
	buffer_clear(&reader.bytes);
	free(reader.image);
	free(reader.pages);
	return status;
}
