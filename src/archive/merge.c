/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/merge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "btree/db_header.h"
#include "src/archive/ltx.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"

#define RUN_BYTES (1u << 20) /* pages that follow each other are written at once */

struct merging {
	struct merge *m;
	uint8_t *has;   /* a bit for each page: its image is written */
	uint8_t *was;   /* a bit for each page: it had one, before it was cut off */
	uint32_t limit; /* pages above it are cut off by a newer file */

	bool sums;         /* the newest file has a checksum of the database, */
	uint64_t expected; /* this one; */
	uint64_t sum;      /* and this is that of the pages so far */

	/* Pages not yet written, from `run_page` on. */
	uint8_t *run;
	size_t run_len;
	uint32_t run_page;

	uint64_t bytes_done; /* of files */
	uint64_t bytes_total;
};

static bool bit_is_set(const uint8_t *bits, uint32_t page_no)
{
	return bits[page_no / 8] >> page_no % 8 & 1;
}

static void bit_set(uint8_t *bits, uint32_t page_no)
{
	bits[page_no / 8] |= (uint8_t)(1u << page_no % 8);
}

/* ---- writing ---- */

static enum status write_run(struct merging *w, struct error *err)
{
	const struct merge *m = w->m;
	off_t offset = (off_t)(w->run_page - 1) * m->page_size;

	if (w->run_len > 0 && !file_write_at(m->fd, w->run, w->run_len, offset)) {
		return error_set_errno(err, errno, "%s cannot be written",
				       quote(m->path).text);
	}
	w->run_len = 0;
	return ST_OK;
}

static enum status write_page(struct merging *w, const struct ltx_page *page,
			      struct error *err)
{
	uint32_t page_size = w->m->page_size;
	enum status status = ST_OK;

	if (w->m->fd < 0) {
		return ST_OK;
	}
	if (w->run_len == RUN_BYTES ||
	    page->page_no != w->run_page + w->run_len / page_size) {
		status = write_run(w, err);
		w->run_page = page->page_no;
	}
	memcpy(w->run + w->run_len, page->bytes, page_size);
	w->run_len += page_size;
	return status;
}

/* A page of the result, with zeros where it has no image. */
static enum status see_page(struct merging *w, uint32_t page_no, const uint8_t *bytes,
			    struct error *err)
{
	const struct merge *m = w->m;

	if (w->sums) {
		w->sum =
		    ltx_database_checksum_add(w->sum, page_no, bytes, m->page_size);
	}
	return m->page ? m->page(m->context, page_no, bytes, err) : ST_OK;
}

/* An image of a page, from a file that is older than all that came before. */
static enum status take_page(struct merging *w, const struct ltx_page *page,
			     struct error *err)
{
	enum status status;

	if (page->page_no > w->m->page_count || bit_is_set(w->has, page->page_no)) {
		return ST_OK;
	}
	if (page->page_no > w->limit) {
		bit_set(w->was, page->page_no);
		return ST_OK;
	}
	bit_set(w->has, page->page_no);
	status = see_page(w, page->page_no, page->bytes, err);
	if (status != ST_OK) {
		return status;
	}
	return write_page(w, page, err);
}

/* ---- the size ---- */

/* Memory and disk for what the newest file says that the database has. */
static enum status make_room(struct merging *w, struct error *err)
{
	struct merge *m = w->m;
	size_t bits = (size_t)m->page_count / 8 + 1;
	uint64_t bytes = (uint64_t)m->page_count * m->page_size;
	struct statvfs fs;
	enum status status =
	    ltx_check_count(archive_name(m->plan->files[m->plan->count - 1]).text,
			    m->page_count, w->bytes_total, err);

	if (status != ST_OK) {
		return status;
	}
	w->has = calloc(bits, 1);
	w->was = calloc(bits, 1);
	w->run = malloc(RUN_BYTES);
	if (!w->has || !w->was || !w->run) {
		return error_no_memory(err, "restoring %" PRIu32 " pages",
				       m->page_count);
	}
	if (m->fd < 0) {
		return ST_OK;
	}
	/* A file system without a size of its own says that it has none at all. */
	if (fstatvfs(m->fd, &fs) == 0 && fs.f_blocks > 0 &&
	    bytes / fs.f_frsize > fs.f_bavail) {
		return error_set_errno(
		    err, ENOSPC,
		    "%s needs %" PRIu64 " bytes, the disk has %" PRIu64
		    " left; make room, or choose another disk",
		    quote(m->path).text, bytes, (uint64_t)fs.f_bavail * fs.f_frsize);
	}
	return file_set_length(m->fd, (off_t)bytes)
		   ? ST_OK
		   : error_set_errno(err, errno,
				     "%s cannot be made %" PRIu64 " bytes long",
				     quote(m->path).text, bytes);
}

static enum status take_header(struct merging *w, const struct archive_file *file,
			       const struct ltx_header *header, struct error *err)
{
	struct merge *m = w->m;

	if (m->page_size == 0) {
		m->page_size = header->page_size;
		m->page_count = header->page_count;
		w->limit = header->page_count;
		w->sums = !(header->flags & LTX_NO_CHECKSUM);
		w->sum = LTX_CHECKSUM_BIT;
		return make_room(w, err);
	}
	if (header->page_count < w->limit) {
		w->limit = header->page_count;
	}
	return ltx_check_page_size(archive_name(file).text, header->page_size,
				   m->page_size, err);
}

/* ---- files ---- */

static enum status take_pages(struct merging *w, struct ltx_reader *reader,
			      struct error *err)
{
	const struct merge *m = w->m;
	struct ltx_page page;
	enum status status;

	while ((status = ltx_reader_next(reader, &page, err)) == ST_OK) {
		status = take_page(w, &page, err);
		if (status == ST_OK && *m->stop) {
			status = error_set(err, ST_STOPPED, "interrupted");
		}
		if (status != ST_OK) {
			return status;
		}
	}
	if (status != ST_END) {
		return status;
	}
	return write_run(w, err);
}

static enum status take_file(struct merging *w, const struct archive_file *file,
			     struct error *err)
{
	struct merge *m = w->m;
	struct storage_file *opened;
	struct ltx_reader *reader = NULL;
	enum status status = storage_file_open(m->storage, file, &opened, err);

	if (status != ST_OK) {
		return status;
	}
	status = ltx_reader_open(opened, file, &reader, err);
	if (status == ST_OK) {
		status = take_header(w, file, ltx_reader_header(reader), err);
	}
	/* The limit of a file counts for those that are older. */
	if (status == ST_OK) {
		status = take_pages(w, reader, err);
	}
	if (status == ST_OK && w->expected == 0 && w->sums) {
		w->expected = ltx_reader_database_checksum(reader);
	}
	w->bytes_done += opened->size;
	if (m->progress) {
		progress_update(m->progress, w->bytes_done >> 20, w->bytes_done,
				w->bytes_total);
	}
	ltx_reader_close(reader);
	storage_file_close(opened);
	return status;
}

static enum status check_pages(struct merging *w, struct error *err)
{
	struct merge *m = w->m;
	enum status status = ST_OK;

	m->zero_count = 0;
	if (w->run) {
		memset(w->run, 0, m->page_size); /* nothing waits there any more */
	}
	for (uint32_t n = 0; status == ST_OK && n < m->page_count; n++) {
		uint32_t page_no = n + 1;

		if (bit_is_set(w->has, page_no) ||
		    page_no == db_lock_byte_page(m->page_size)) {
			continue;
		}
		if (!bit_is_set(w->was, page_no)) {
			return error_set(
			    err, ST_CORRUPT,
			    "page %" PRIu32 " of %" PRIu32
			    " is in no file from %s to %s; " LTX_ADVICE,
			    page_no, m->page_count,
			    archive_name(m->plan->files[0]).text,
			    archive_name(m->plan->files[m->plan->count - 1]).text);
		}
		m->zero_count++;
		status = see_page(w, page_no, w->run, err);
	}
	return status;
}

/* What the newest file says of the whole database. */
static enum status check_sum(const struct merging *w, struct error *err)
{
	const struct plan *plan = w->m->plan;

	if (!w->sums || w->sum == w->expected) {
		return ST_OK;
	}
	return error_set(err, ST_CORRUPT,
			 "the files from %s to %s give another database than the "
			 "checksum in the last one says; " LTX_ADVICE,
			 archive_name(plan->files[0]).text,
			 archive_name(plan->files[plan->count - 1]).text);
}

/* The newest comes first. */
static void expect_files(const struct merge *m)
{
	size_t count = m->plan->count;
	const struct archive_file **files = calloc(count + 1, sizeof *files);

	for (size_t i = 0; files && i < count; i++) {
		files[i] = m->plan->files[count - 1 - i];
	}
	if (files) {
		storage_expect(m->storage, files, count, STORAGE_WHOLE);
	}
	free(files);
}

enum status merge_run(struct merge *m, struct error *err)
{
	struct merging w = {.m = m};
	enum status status = ST_OK;

	m->page_size = 0;
	for (size_t i = 0; i < m->plan->count; i++) {
		w.bytes_total += m->plan->files[i]->size;
	}
	expect_files(m);
	for (size_t i = m->plan->count; status == ST_OK && i > 0; i--) {
		status = take_file(&w, m->plan->files[i - 1], err);
	}
	if (status == ST_OK) {
		status = check_pages(&w, err);
	}
	if (status == ST_OK) {
		status = check_sum(&w, err);
	}
	free(w.has);
	free(w.was);
	free(w.run);
	return status;
}

enum status merge_verify_file(struct storage *storage, const struct archive_file *file,
			      const _Atomic int *stop, struct error *err)
{
	struct storage_file *opened;
	struct ltx_reader *reader = NULL;
	struct ltx_page page;
	enum status status = storage_file_open(storage, file, &opened, err);

	if (status != ST_OK) {
		return status;
	}
	status = ltx_reader_open(opened, file, &reader, err);
	while (status == ST_OK) {
		status = *stop ? error_set(err, ST_STOPPED, "interrupted")
			       : ltx_reader_next(reader, &page, err);
	}
	ltx_reader_close(reader);
	storage_file_close(opened);
	return status == ST_END ? ST_OK : status;
}
