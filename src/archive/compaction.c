/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/compaction.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/archive/ltx_writer.h"
#include "src/archive/merge.h"
#include "src/archive/plan.h"
#include "src/base/fault.h"
#include "src/storage/fd_file.h"

#define NO_PAGE UINT64_MAX

/* A file that is read. */
struct source {
	const struct archive_file *file;
	struct storage_file *opened;
	struct ltx_reader *reader;
	struct ltx_page page;
	uint64_t page_no;    /* of `page`; NO_PAGE: no more */
	uint32_t page_count; /* after it */
	uint32_t limit;      /* the least page_count of the files behind it */
};

/* Files that become one in `fd`. */
struct group {
	struct compaction *c;
	struct source *sources;
	size_t count;
	uint32_t size_before; /* pages before the first file; UINT32_MAX: not known */
	uint32_t least;       /* pages that the database had, and never fewer */
	uint32_t last_page;   /* that was written */
	int fd;
	const char *path;
	struct ltx_writer *writer;
	struct archive_file made;
};

/* ---- sources ---- */

static enum status next_page(struct source *s, struct error *err)
{
	enum status status = ltx_reader_next(s->reader, &s->page, err);

	s->page_no = status == ST_OK ? s->page.page_no : NO_PAGE;
	return status == ST_END ? ST_OK : status;
}

static enum status open_source(struct group *g, struct source *s, struct error *err)
{
	const struct ltx_header *header;
	enum status status = ltx_reader_open(s->opened, s->file, &s->reader, err);

	if (status != ST_OK) {
		return status;
	}
	header = ltx_reader_header(s->reader);
	s->page_count = header->page_count;
	if (s == g->sources) {
		g->c->page_size = header->page_size;
	}
	if (header->page_size != g->c->page_size) {
		return error_set(err, ST_CORRUPT,
				 "%s has pages of %" PRIu32 " bytes, the files before "
				 "it of %" PRIu32 ": they are not merged",
				 archive_name(s->file).text, header->page_size,
				 g->c->page_size);
	}
	return next_page(s, err);
}

static void close_sources(struct group *g)
{
	for (size_t i = 0; i < g->count; i++) {
		ltx_reader_close(g->sources[i].reader);
		storage_file_close(g->sources[i].opened);
	}
}

/* Sizes: which pages of each source count, and which must be there. */
static void set_limits(struct group *g)
{
	uint32_t limit = g->sources[g->count - 1].page_count;

	for (size_t i = g->count; i > 0; i--) {
		struct source *s = &g->sources[i - 1];

		s->limit = limit;
		limit = s->page_count < limit ? s->page_count : limit;
	}
	g->least = g->size_before < limit ? g->size_before : limit;
}

/* ---- pages ---- */

/* No source has an image of `page_no` that counts. Was it inside before the last time
 * that it was cut off? */
static bool was_cut_off(const struct group *g, uint32_t page_no)
{
	size_t cut = g->count;

	while (cut > 0 && g->sources[cut - 1].page_count >= page_no) {
		cut--;
	}
	if (cut == 0) {
		return false;
	}
	for (size_t i = 0; i < cut - 1; i++) {
		if (g->sources[i].page_count >= page_no) {
			return true;
		}
	}
	return g->size_before >= page_no;
}

/* Pages that must be there, and are not, before `page_no`: zeros. */
static enum status fill(struct group *g, uint64_t page_no, struct error *err)
{
	struct compaction *c = g->c;
	uint64_t first = (uint64_t)g->last_page + 1;
	enum status status = ST_OK;

	first = first > g->least ? first : (uint64_t)g->least + 1;
	for (uint64_t n = first; status == ST_OK && n < page_no; n++) {
		if (n == db_lock_byte_page(c->page_size)) {
			continue;
		}
		if (c->stops(c->context)) {
			return error_set(err, ST_STOPPED, "interrupted");
		}
		if (!was_cut_off(g, (uint32_t)n)) {
			return error_set(
			    err, ST_CORRUPT,
			    "page %" PRIu64
			    ", which the database gained, is in no file "
			    "from %s to %s: they are not merged",
			    n, archive_name(g->sources[0].file).text,
			    archive_name(g->sources[g->count - 1].file).text);
		}
		c->zero_count++;
		status = ltx_writer_page(g->writer, (uint32_t)n, NULL, err);
	}
	return status;
}

/* The newest of the sources that are at the lowest page; NULL: all are at their ends.
 */
static struct source *find_newest(struct group *g)
{
	struct source *found = NULL;
	uint64_t page_no = NO_PAGE;

	for (size_t i = 0; i < g->count; i++) {
		if (g->sources[i].page_no <= page_no &&
		    g->sources[i].page_no != NO_PAGE) {
			found = &g->sources[i];
			page_no = found->page_no;
		}
	}
	return found;
}

static enum status write_page(struct group *g, const struct source *s,
			      struct error *err)
{
	const struct ltx_page *page = &s->page;
	enum status status = fill(g, page->page_no, err);

	if (status != ST_OK) {
		return status;
	}
	g->last_page = page->page_no;
	return page->block
		   ? ltx_writer_block(g->writer, page->page_no, page->bytes,
				      page->block, page->block_len, err)
		   : ltx_writer_page(g->writer, page->page_no, page->bytes, err);
}

static enum status write_pages(struct group *g, struct error *err)
{
	const struct source *newest;
	enum status status = ST_OK;

	while (status == ST_OK && (newest = find_newest(g)) != NULL) {
		uint64_t page_no = newest->page_no;

		if (g->c->stops(g->c->context)) {
			return error_set(err, ST_STOPPED, "interrupted");
		}
		if (page_no <= newest->limit) {
			status = write_page(g, newest, err);
		}
		for (size_t i = 0; status == ST_OK && i < g->count; i++) {
			if (g->sources[i].page_no == page_no) {
				status = next_page(&g->sources[i], err);
			}
		}
	}
	return status == ST_OK
		   ? fill(g, (uint64_t)g->sources[g->count - 1].page_count + 1, err)
		   : status;
}

/* ---- a group ---- */

/* Each page but that of the lock byte was in a file once: a size that the archive
 * cannot have would be filled with zeros until the disk is full. */
static enum status check_size(const struct group *g, struct error *err)
{
	const struct archive_list *list = g->c->list;
	uint32_t page_count = g->sources[g->count - 1].page_count;
	uint64_t bytes = 0;

	for (size_t i = 0; i < list->count; i++) {
		bytes += list->files[i].size;
	}
	if (g->c->is_excerpt || page_count <= bytes / LTX_HEAD_BYTES + 1) {
		return ST_OK;
	}
	return error_set(err, ST_CORRUPT,
			 "%s says that the database has %" PRIu32
			 " pages, but the archive has fewer; " LTX_ADVICE,
			 archive_name(g->sources[g->count - 1].file).text, page_count);
}

/* What was written, as anybody will read it. */
static enum status read_again(const struct group *g, struct error *err)
{
	struct ltx_reader *reader = NULL;
	struct ltx_page page;
	struct fd_file file;
	enum status status;

	fd_file_init(&file, g->fd, g->made.size, g->path);
	status = ltx_reader_open(&file.base, &g->made, &reader, err);
	while (status == ST_OK) {
		status = g->c->stops(g->c->context)
			     ? error_set(err, ST_STOPPED, "interrupted")
			     : ltx_reader_next(reader, &page, err);
	}
	ltx_reader_close(reader);
	return status == ST_END ? ST_OK : status;
}

/* What all of them hold; where one does not say it, nothing is said. */
static void add_note(const struct group *g, struct ltx_header *to)
{
	const struct ltx_header *last =
	    ltx_reader_header(g->sources[g->count - 1].reader);
	uint64_t transactions = 0;
	bool is_known = to->min_txid > 1;

	to->has_note = last->has_note;
	to->rest_ns = last->rest_ns;
	if (!to->has_note) {
		return;
	}
	for (size_t i = 0; i < g->count; i++) {
		const struct ltx_header *h = ltx_reader_header(g->sources[i].reader);

		is_known =
		    is_known && h->transactions > 0 &&
		    (i == 0 || h->min_txid - 1 == g->sources[i - 1].file->max_txid);
		transactions += h->transactions;
		to->has_catch_up |= h->has_catch_up;
	}
	if (is_known) {
		to->transactions = transactions < LTX_TRANSACTIONS_MOST
				       ? (uint32_t)transactions
				       : LTX_TRANSACTIONS_MOST;
	}
}

static enum status write_file(struct group *g, struct error *err)
{
	const struct source *last = &g->sources[g->count - 1];
	struct ltx_header header = {
	    .page_size = g->c->page_size,
	    .page_count = last->page_count,
	    .min_txid = g->sources[0].file->min_txid,
	    .max_txid = last->file->max_txid,
	    .time_ms = ltx_reader_header(last->reader)->time_ms,
	};
	enum status status;

	add_note(g, &header);
	status = ltx_writer_open(g->fd, g->path, &header, &g->writer, err);
	if (status == ST_OK) {
		status = write_pages(g, err);
	}
	if (status == ST_OK) {
		status = ltx_writer_finish(g->writer, &g->made.size, err);
	}
	ltx_writer_close(g->writer);
	g->c->page_count = header.page_count;
	return status;
}

/* All sources have a file, and some are opened. */
static enum status merge_group(struct group *g, struct error *err)
{
	const struct archive_file *last = g->sources[g->count - 1].file;
	enum status status;

	g->made = (struct archive_file){
	    .level = g->c->level,
	    .min_txid = g->sources[0].file->min_txid,
	    .max_txid = last->max_txid,
	};
	status = storage_time(g->c->storage, last, &g->made.time_ns, err);
	for (size_t i = 0; status == ST_OK && i < g->count; i++) {
		struct source *s = &g->sources[i];

		if (!s->opened) {
			status =
			    storage_file_open(g->c->storage, s->file, &s->opened, err);
		}
		if (status == ST_OK) {
			status = open_source(g, s, err);
		}
	}
	if (status == ST_OK) {
		set_limits(g);
		status = check_size(g, err);
	}
	if (status == ST_OK) {
		status = write_file(g, err);
	}
	close_sources(g);
	FAULT_POINT("compaction-written");
	return status == ST_OK ? read_again(g, err) : status;
}

/* ---- more files than can be open at once ---- */

/* A group that was merged for the time being. */
struct part {
	struct archive_file file;
	struct fd_file opened;
	int fd;
};

/* The files from `first` on, COMPACTION_INPUTS at most, into a part. What it gains
 * without an image is seen in the last merge, which knows more. */
static enum status make_part(struct compaction *c, size_t first, struct part *part,
			     struct error *err)
{
	struct source sources[COMPACTION_INPUTS] = {0};
	struct group g = {.c = c,
			  .sources = sources,
			  .size_before = UINT32_MAX,
			  .path = "a temporary file"};
	enum status status = storage_temp(c->storage, &part->fd, err);

	if (status != ST_OK) {
		part->fd = -1;
		return status;
	}
	for (size_t i = first; i < c->input_count && g.count < COMPACTION_INPUTS; i++) {
		sources[g.count++].file = c->inputs[i];
	}
	g.fd = part->fd;
	status = merge_group(&g, err);
	part->file = g.made;
	fd_file_init(&part->opened, part->fd, g.made.size, g.path);
	return status;
}

/* A whole database is not written twice: it is left for the last merge. */
static enum status merge_parts(struct compaction *c, struct group *g,
			       struct part *parts, struct error *err)
{
	size_t first = c->inputs[0]->min_txid == 1 ? 1 : 0;
	enum status status = ST_OK;

	if (first == 1) {
		g->sources[g->count++].file = c->inputs[0];
	}
	for (; status == ST_OK && first < c->input_count; first += COMPACTION_INPUTS) {
		struct part *part = &parts[g->count];

		if (g->count == COMPACTION_INPUTS) {
			return error_set(err, ST_CONFIG,
					 "%zu files are too many to be merged at once",
					 c->input_count);
		}
		status = make_part(c, first, part, err);
		g->sources[g->count].file = &part->file;
		g->sources[g->count++].opened = &part->opened.base;
	}
	return status == ST_OK ? merge_group(g, err) : status;
}

static enum status merge_many(struct compaction *c, struct group *g, struct error *err)
{
	struct part *parts = calloc(COMPACTION_INPUTS, sizeof *parts);
	enum status status;

	if (!parts) {
		return error_no_memory(err, "files of an archive");
	}
	for (size_t i = 0; i < COMPACTION_INPUTS; i++) {
		parts[i].fd = -1;
	}
	status = merge_parts(c, g, parts, err);
	for (size_t i = 0; i < COMPACTION_INPUTS; i++) {
		if (parts[i].fd >= 0) {
			(void)close(parts[i].fd);
		}
	}
	free(parts);
	return status;
}

/* ---- all ---- */

/* How many pages were there before the first file? UINT32_MAX: no file says so. */
static enum status read_size_before(const struct compaction *c, uint32_t *pages,
				    struct error *err)
{
	uint64_t txid = c->inputs[0]->min_txid - 1;

	*pages = txid == 0 ? 0 : UINT32_MAX;
	for (size_t i = 0; txid > 0 && i < c->list->count; i++) {
		const struct archive_file *file = &c->list->files[i];
		struct ltx_header header;
		enum status status;

		if (file->max_txid != txid) {
			continue;
		}
		status = ltx_header_of(c->storage, file, &header, err);
		if (status == ST_OK) {
			*pages = header.page_count;
		}
		return status;
	}
	return ST_OK;
}

enum status compaction_run(struct compaction *c, struct error *err)
{
	struct source sources[COMPACTION_INPUTS] = {0};
	struct group g = {.c = c, .sources = sources};
	char path[64];
	enum status status;

	assert(c->input_count > 0);
	c->zero_count = 0;
	status = read_size_before(c, &g.size_before, err);
	if (status == ST_OK) {
		status = storage_temp(c->storage, &g.fd, err);
	}
	if (status != ST_OK) {
		return status;
	}
	c->file =
	    (struct archive_file){.level = c->level,
				  .min_txid = c->inputs[0]->min_txid,
				  .max_txid = c->inputs[c->input_count - 1]->max_txid};
	(void)snprintf(path, sizeof path, "the new %s", archive_name(&c->file).text);
	g.path = path;
	if (c->input_count > COMPACTION_INPUTS) {
		status = merge_many(c, &g, err);
	} else {
		while (g.count < c->input_count) {
			sources[g.count].file = c->inputs[g.count];
			g.count++;
		}
		status = merge_group(&g, err);
	}
	if (status == ST_OK) {
		c->file = g.made;
		FAULT_POINT("compaction-before-put");
		status = storage_put(c->storage, &c->file, g.fd, err);
	}
	(void)close(g.fd);
	return status;
}
