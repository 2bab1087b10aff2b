/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/pages.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "btree/db_header.h"
#include "src/archive/ltx_index.h"
#include "src/archive/whole_index.h"
#include "src/base/stop.h"

#define TRIES        5            /* while files are compacted or removed by others */
#define OPEN_FILES   16           /* at a time; a plan may have thousands */
#define WINDOW_BYTES (256u << 10) /* that are read ahead at most; holds any frame */
#define AHEAD_LEAST  (16u << 10)
#define AHEAD_GAP    (64u << 10) /* to a frame that still counts as the next one */
#define CACHE_BYTES  (1u << 20)  /* of pages in memory */

/* Where a page lies: the offset of its frame, and behind that its length. */
#define LEN_BITS 17u
#define NOWHERE  0u /* no file has it */
#define ZEROS    1u /* one had it, before it was cut off */
_Static_assert(LTX_FRAME_MOST < 1u << LEN_BITS, "a length has its bits");
_Static_assert(LTX_FRAME_MOST <= WINDOW_BYTES, "a frame fits");

struct opened {
	struct storage_file *file; /* NULL: none */
	uint32_t index;            /* of the plan's files */
	uint64_t used;             /* when, as a count of uses */

	/* Bytes of the file, from `offset` on. */
	uint8_t *window; /* NULL: none yet */
	uint64_t offset;
	size_t len;
	size_t ahead; /* of the last read; 0: it was none of a row */
};

struct archive_pages {
	struct storage *storage;
	uint64_t txid;
	struct archive_file *files; /* of the plan, oldest first */
	size_t file_count;
	uint32_t page_size; /* 0: not known yet */
	uint32_t page_count;

	/* Of page n at n - 1. */
	uint64_t *frames;
	uint32_t *owners;         /* index of the file */
	uint32_t limit;           /* pages above it are cut off by a newer file */
	struct whole_index whole; /* of the first file, while it is read in pieces */

	struct opened opened[OPEN_FILES];
	uint64_t uses;
	struct ltx_unpacker unpacker;

	/* Page n may be at n % kept_count. */
	uint32_t *kept_no; /* 0: none */
	uint8_t *kept;
	uint32_t kept_count;
};

/* ---- where pages lie ---- */

static enum status make_room(struct archive_pages *p, struct error *err)
{
	enum status status;
	uint64_t bytes = 0;

	for (size_t i = 0; i < p->file_count; i++) {
		bytes += p->files[i].size;
	}
	status = ltx_check_count(archive_name(&p->files[p->file_count - 1]).text,
				 p->page_count, bytes, err);
	if (status != ST_OK) {
		return status;
	}
	p->frames = calloc((size_t)p->page_count + 1, sizeof *p->frames);
	p->owners = calloc((size_t)p->page_count + 1, sizeof *p->owners);
	return p->frames && p->owners
		   ? ST_OK
		   : error_no_memory(err, "%" PRIu32 " pages of an archive",
				     p->page_count);
}

/* The newest file comes first: it says what the database is like. */
static enum status take_header(struct archive_pages *p, const struct archive_file *file,
			       const struct ltx_header *header, struct error *err)
{
	if (!p->frames) {
		if (p->page_size != 0 && (p->page_size != header->page_size ||
					  p->page_count != header->page_count)) {
			return error_set(err, ST_CORRUPT,
					 "%s says that the database has another size "
					 "than what lay in its place; try again",
					 archive_name(file).text);
		}
		p->page_size = header->page_size;
		p->page_count = header->page_count;
		p->limit = header->page_count;
		return make_room(p, err);
	}
	if (header->page_count < p->limit) {
		p->limit = header->page_count;
	}
	return ltx_check_page_size(archive_name(file).text, header->page_size,
				   p->page_size, err);
}

/* Of a file that is older than those before. */
static void take_entry(struct archive_pages *p, uint32_t owner,
		       const struct ltx_entry *entry)
{
	uint32_t i = entry->page_no - 1;

	if (i >= p->page_count || p->frames[i] != NOWHERE) {
		return;
	}
	p->frames[i] =
	    entry->page_no > p->limit ? ZEROS : entry->offset << LEN_BITS | entry->len;
	p->owners[i] = owner;
}

static enum status take_entries(struct archive_pages *p, struct ltx_index *index,
				uint32_t owner, struct error *err)
{
	struct ltx_entry entry;
	enum status status;

	/* What no other file has is in the first one, or nowhere. */
	if (owner == 0 && whole_index_is_long(index)) {
		return whole_index_init(&p->whole, index, err);
	}
	while ((status = ltx_index_next(index, &entry, err)) == ST_OK) {
		take_entry(p, owner, &entry);
	}
	return status == ST_END ? ST_OK : status;
}

static void take_first(void *context, const struct ltx_entry *entry)
{
	take_entry(context, 0, entry);
}

static enum status take_file(struct archive_pages *p, uint32_t owner, struct error *err)
{
	const struct archive_file *file = &p->files[owner];
	struct storage_file *opened;
	struct ltx_index *index = NULL;
	enum status status = storage_file_open(p->storage, file, &opened, err);

	if (status != ST_OK) {
		return status;
	}
	if (opened->size >> (64 - LEN_BITS) != 0) {
		status = ltx_corrupt(opened->name, "is too long", opened->size, err);
	}
	if (status == ST_OK) {
		status = ltx_index_open(opened, file, &index, err);
	}
	if (status == ST_OK) {
		status = take_header(p, file, ltx_index_header(index), err);
	}
	if (status == ST_OK) {
		status = take_entries(p, index, owner, err);
	}
	ltx_index_close(index);
	storage_file_close(opened);
	return status;
}

static enum status no_page(const struct archive_pages *p, uint32_t page_no,
			   struct error *err)
{
	return error_set(err, ST_CORRUPT,
			 "page %" PRIu32 " of %" PRIu32
			 " is in no file from %s to %s; " LTX_ADVICE,
			 page_no, p->page_count, archive_name(&p->files[0]).text,
			 archive_name(&p->files[p->file_count - 1]).text);
}

/* Is a page missing? Of one that the first file may have it is seen when it is read. */
static enum status check_pages(struct archive_pages *p, struct error *err)
{
	for (uint32_t i = p->whole.page_count; i < p->page_count; i++) {
		if (p->frames[i] == NOWHERE &&
		    i + 1 != db_lock_byte_page(p->page_size)) {
			return no_page(p, i + 1, err);
		}
	}
	return ST_OK;
}

/* ---- the files of a plan ---- */

static void close_files(struct archive_pages *p)
{
	for (size_t i = 0; i < OPEN_FILES; i++) {
		storage_file_close(p->opened[i].file);
		free(p->opened[i].window);
		p->opened[i] = (struct opened){0};
	}
	whole_index_clear(&p->whole);
	free(p->files);
	free(p->frames);
	free(p->owners);
	p->files = NULL;
	p->frames = NULL;
	p->owners = NULL;
	p->file_count = 0;
}

/* The newest comes first. */
static void expect_files(const struct archive_pages *p)
{
	const struct archive_file **files = calloc(p->file_count + 1, sizeof *files);

	for (size_t i = 0; files && i < p->file_count; i++) {
		files[i] = &p->files[p->file_count - 1 - i];
	}
	if (files) {
		storage_expect(p->storage, files, p->file_count, STORAGE_INDEXES);
	}
	free(files);
}

/* Read the indexes of a plan for the same state; without a plan before. */
static enum status take_plan(struct archive_pages *p, const struct plan *plan,
			     struct error *err)
{
	enum status status = ST_OK;

	close_files(p);
	p->files = calloc(plan->count, sizeof *p->files);
	if (!p->files || plan->count > UINT32_MAX) {
		return error_no_memory(err, "the files of an archive");
	}
	p->file_count = plan->count;
	for (size_t i = 0; i < plan->count; i++) {
		p->files[i] = *plan->files[i];
	}
	expect_files(p);
	for (size_t i = plan->count; status == ST_OK && i > 0; i--) {
		status = stop_requested ? error_set(err, ST_STOPPED, "interrupted")
					: take_file(p, (uint32_t)(i - 1), err);
	}
	if (status == ST_OK) {
		status = check_pages(p, err);
	}
	if (status != ST_OK) {
		close_files(p);
	}
	return status;
}

/* A file has gone: find other ones that lead to the same state. */
static enum status plan_again(struct archive_pages *p, struct error *err)
{
	const struct when when = {.kind = WHEN_TXID, .txid = p->txid};
	struct archive_list list = {0};
	struct plan plan = {0};
	enum status status = storage_list(p->storage, &list, err);

	if (status == ST_OK) {
		status = plan_init(&plan, &list, &when, err);
	}
	if (status == ST_OK) {
		status = take_plan(p, &plan, err);
		plan_clear(&plan);
	}
	archive_list_clear(&list);
	return status;
}

/* ---- open and close ---- */

static enum status make_kept(struct archive_pages *p, struct error *err)
{
	p->kept_count = CACHE_BYTES / p->page_size;
	p->kept_no = calloc(p->kept_count, sizeof *p->kept_no);
	p->kept = malloc(CACHE_BYTES);
	return p->kept_no && p->kept ? ST_OK
				     : error_no_memory(err, "pages of an archive");
}

enum status archive_pages_open(struct storage *storage, const struct plan *plan,
			       struct archive_pages **out, struct error *err)
{
	struct archive_pages *p = calloc(1, sizeof *p);
	enum status status;

	if (!p) {
		return error_no_memory(err, "pages of an archive");
	}
	p->storage = storage;
	p->txid = plan->txid;
	ltx_unpacker_init(&p->unpacker);
	status = take_plan(p, plan, err);
	for (int i = 1; status == ST_LOST && i < TRIES; i++) {
		status = plan_again(p, err);
	}
	if (status == ST_OK) {
		status = make_kept(p, err);
	}
	if (status != ST_OK) {
		archive_pages_close(p);
		return status;
	}
	*out = p;
	return ST_OK;
}

void archive_pages_close(struct archive_pages *p)
{
	if (!p) {
		return;
	}
	close_files(p);
	ltx_unpacker_clear(&p->unpacker);
	free(p->kept_no);
	free(p->kept);
	free(p);
}

uint32_t archive_pages_size(const struct archive_pages *p)
{
	return p->page_size;
}

uint32_t archive_pages_count(const struct archive_pages *p)
{
	return p->page_count;
}

/* ---- pages ---- */

/* The file, opened; of those that are open the one that was used longest ago makes
 * room. */
static enum status open_owner(struct archive_pages *p, uint32_t owner,
			      struct opened **out, struct error *err)
{
	struct opened *oldest = &p->opened[0];
	uint8_t *window;
	enum status status;

	for (size_t i = 0; i < OPEN_FILES; i++) {
		struct opened *o = &p->opened[i];

		if (o->file && o->index == owner) {
			o->used = ++p->uses;
			*out = o;
			return ST_OK;
		}
		if (o->used < oldest->used) {
			oldest = o;
		}
	}
	window = oldest->window;
	storage_file_close(oldest->file);
	*oldest = (struct opened){.window = window, .index = owner, .used = ++p->uses};
	status = storage_file_open(p->storage, &p->files[owner], &oldest->file, err);
	if (status != ST_OK) {
		*oldest = (struct opened){.window = window};
		return status;
	}
	*out = oldest;
	return ST_OK;
}

/* The bytes of a frame in the window; with those behind it when frames are asked for
 * one after the other. */
static enum status load_frame(struct opened *o, const struct ltx_entry *entry,
			      struct error *err)
{
	uint64_t end = o->offset + o->len;
	size_t want = entry->len;
	enum status status;

	if (entry->offset >= o->offset && entry->offset + entry->len <= end) {
		return ST_OK;
	}
	if (!o->window && !(o->window = malloc(WINDOW_BYTES))) {
		return error_no_memory(err, "pages of an archive");
	}
	if (o->len > 0 && entry->offset >= o->offset &&
	    entry->offset < end + AHEAD_GAP) {
		o->ahead = o->ahead == 0 ? AHEAD_LEAST : 2 * o->ahead;
		o->ahead = o->ahead < WINDOW_BYTES ? o->ahead : WINDOW_BYTES;
	} else {
		o->ahead = 0;
	}
	want = want > o->ahead ? want : o->ahead;
	o->len = 0;
	o->offset = entry->offset;
	status =
	    storage_file_read(o->file, o->window, want, entry->offset, &o->len, err);
	if (status != ST_OK) {
		o->len = 0;
		return status;
	}
	return o->len >= entry->len ? ST_OK
				    : ltx_corrupt(o->file->name, "ends too early",
						  entry->offset + o->len, err);
}

/* Where the first file has the page, if no other one has. */
static enum status find_frame(struct archive_pages *p, uint32_t page_no,
			      struct error *err)
{
	const struct whole_visit visit = {take_first, p};
	struct opened *o;
	enum status status;

	if (p->frames[page_no - 1] != NOWHERE ||
	    page_no == db_lock_byte_page(p->page_size)) {
		return ST_OK;
	}
	status = open_owner(p, 0, &o, err);
	if (status == ST_OK) {
		status = whole_index_find(&p->whole, o->file, page_no, visit, err);
	}
	if (status == ST_END ||
	    (status == ST_OK && p->frames[page_no - 1] == NOWHERE)) {
		status = no_page(p, page_no, err);
	}
	return status;
}

static enum status read_frame(struct archive_pages *p, uint32_t page_no, uint8_t *bytes,
			      struct error *err)
{
	uint64_t frame = p->frames[page_no - 1];
	const struct ltx_entry entry = {
	    .page_no = page_no,
	    .offset = frame >> LEN_BITS,
	    .len = frame & ((1u << LEN_BITS) - 1),
	};
	struct opened *o;
	enum status status;

	if (frame == NOWHERE || frame == ZEROS) {
		memset(bytes, 0, p->page_size);
		return ST_OK;
	}
	status = open_owner(p, p->owners[page_no - 1], &o, err);
	if (status == ST_OK) {
		status = load_frame(o, &entry, err);
	}
	return status == ST_OK ? ltx_unpack(&p->unpacker, o->file->name, &entry,
					    o->window + (entry.offset - o->offset),
					    bytes, p->page_size, err)
			       : status;
}

static enum status read_page(struct archive_pages *p, uint32_t page_no, uint8_t *bytes,
			     struct error *err)
{
	enum status status = find_frame(p, page_no, err);

	return status == ST_OK ? read_frame(p, page_no, bytes, err) : status;
}

enum status archive_pages_read(struct archive_pages *p, uint32_t page_no,
			       uint8_t *bytes, struct error *err)
{
	uint32_t place = page_no % p->kept_count;
	uint8_t *kept = p->kept + (size_t)place * p->page_size;
	enum status status;

	if (page_no == 0 || page_no > p->page_count) {
		return error_set(err, ST_CORRUPT,
				 "page %" PRIu32 " is asked for, the database has "
				 "%" PRIu32 "; " LTX_ADVICE,
				 page_no, p->page_count);
	}
	if (p->kept_no[place] == page_no) {
		memcpy(bytes, kept, p->page_size);
		return ST_OK;
	}
	status = p->frames ? read_page(p, page_no, bytes, err) : ST_LOST;
	for (int i = 1; status == ST_LOST && i < TRIES; i++) {
		status = plan_again(p, err);
		if (status == ST_OK) {
			status = read_page(p, page_no, bytes, err);
		}
	}
	if (status == ST_OK) {
		memcpy(kept, bytes, p->page_size);
		p->kept_no[place] = page_no;
	}
	return status;
}
