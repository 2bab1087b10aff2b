/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/database_peek.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/base/array.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"
#include "src/capture/source_state.h"
#include "src/capture/wal_look.h"

/* Counters and sizes in page 1, which change with every commit. */
#define COUNTERS_START 24
#define COUNTERS_END   40
#define VERSIONS_START 92
#define VERSIONS_END   100

struct peeked {
	uint32_t page_no;
	uint8_t *bytes;
};

struct database_peek {
	struct page_source source; /* first member: the calls' object */
	const char *given;         /* as the user wrote it; borrowed */
	char *real;                /* links resolved */
	int fd;
	struct stat st; /* as it was opened */
	struct wal_look wal;
	uint32_t *page_of; /* of frame n at n - 1 */
	struct peeked *pages;
	size_t count, cap;
};

static enum status unreadable(const struct database_peek *peek, int reason,
			      struct error *err)
{
	return error_set_errno(err, reason, "%s cannot be read",
			       quote(peek->given).text);
}

/* ---- pages ---- */

/* The newest frame of a page; 0: it has none. */
static uint32_t newest_frame(const struct database_peek *peek, uint32_t page_no)
{
	for (uint32_t i = peek->wal.count; i > 0; i--) {
		if (peek->page_of[i - 1] == page_no) {
			return i;
		}
	}
	return 0;
}

static enum status read_page(const struct database_peek *peek, uint32_t page_no,
			     uint8_t *bytes, struct error *err)
{
	uint32_t page_size = peek->source.page_size;
	uint32_t frame = newest_frame(peek, page_no);

	if (frame == 0) {
		return file_read_padded(peek->fd, bytes, page_size,
					(off_t)(page_no - 1) * page_size)
			   ? ST_OK
			   : unreadable(peek, errno, err);
	}
	/* One that was cut meanwhile is another one: the check says so. */
	return file_read_padded(peek->wal.fd, bytes, page_size,
				(off_t)wal_frame_offset(frame, page_size) +
				    WAL_FRAME_HEADER_BYTES)
		   ? ST_OK
		   : unreadable(peek, errno, err);
}

static enum status get_page(struct page_source *source, uint32_t page_no,
			    struct page_ref *ref, struct error *err)
{
	struct database_peek *peek = (struct database_peek *)source;
	uint8_t *bytes;

	if (page_no == 0 || page_no > source->page_count) {
		return error_set(err, ST_CORRUPT,
				 "page %" PRIu32
				 " is asked for in a database of %" PRIu32 " pages",
				 page_no, source->page_count);
	}
	for (size_t i = 0; i < peek->count; i++) {
		if (peek->pages[i].page_no == page_no) {
			*ref = (struct page_ref){.bytes = peek->pages[i].bytes};
			return ST_OK;
		}
	}
	bytes = malloc(source->page_size);
	if (!bytes || !array_room(&peek->pages, &peek->cap, peek->count + 1,
				  sizeof *peek->pages)) {
		free(bytes);
		return error_no_memory(err, "the pages of a database");
	}
	if (read_page(peek, page_no, bytes, err) != ST_OK) {
		free(bytes);
		return err->status;
	}
	peek->pages[peek->count++] = (struct peeked){page_no, bytes};
	*ref = (struct page_ref){.bytes = bytes};
	return ST_OK;
}

static void put_page(struct page_source *source, struct page_ref *ref)
{
	(void)source;
	(void)ref;
}

struct page_source *database_peek_pages(struct database_peek *peek)
{
	return &peek->source;
}

/* ---- opening ---- */

static enum status open_file(struct database_peek *peek, struct error *err)
{
	peek->real = realpath(peek->given, NULL);
	peek->fd = peek->real
		       ? open(peek->real, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
		       : -1;
	if (peek->fd < 0 || fstat(peek->fd, &peek->st) != 0) {
		return unreadable(peek, errno, err);
	}
	return S_ISREG(peek->st.st_mode)
		   ? ST_OK
		   : error_set(err, ST_UNFIT,
			       "%s: is no file; give the path of a "
			       "database",
			       quote(peek->given).text);
}

/* Which pages the frames are of. */
static enum status list_frames(struct database_peek *peek, struct error *err)
{
	struct wal_look *wal = &peek->wal;

	peek->page_of = calloc((size_t)wal->count + 1, sizeof *peek->page_of);
	if (!peek->page_of) {
		return error_no_memory(err, "the frames of a WAL");
	}
	for (uint32_t i = 1; i <= wal->count; i++) {
		uint8_t head[WAL_FRAME_HEADER_BYTES];
		struct wal_frame frame;

		if (!file_read_exactly(
			wal->fd, head, sizeof head,
			(off_t)wal_frame_offset(i, wal->header.page_size))) {
			return error_set(err, ST_RETRY, "%s-wal: is being written",
					 quote(peek->given).text);
		}
		wal_frame_parse(head, &frame);
		peek->page_of[i - 1] = frame.page_no;
	}
	return ST_OK;
}

static enum status read_geometry(struct database_peek *peek, struct error *err)
{
	struct page_source *source = &peek->source;
	struct db_header header;
	uint8_t head[DB_HEADER_SIZE];
	struct page_ref ref = {0};
	enum status status;

	if (!file_read_padded(peek->fd, head, sizeof head, 0)) {
		return unreadable(peek, errno, err);
	}
	status = db_header_read(head, &header, err);
	if (status != ST_OK) {
		return status;
	}
	source->page_size = header.page_size;
	if (peek->wal.count > 0 && peek->wal.header.page_size != header.page_size) {
		return error_set(err, ST_RETRY, "%s: is being written",
				 quote(peek->given).text);
	}
	source->page_count = peek->wal.count > 0 ? peek->wal.page_count : 1;
	status = get_page(source, 1, &ref, err);
	if (status == ST_OK) {
		status = db_header_read(ref.bytes, &header, err);
	}
	if (status != ST_OK) {
		return status;
	}
	source->usable_size = header.usable_size;
	return peek->wal.count > 0
		   ? ST_OK
		   : source_count_pages(peek->given, ref.bytes, source->page_size,
					(uint64_t)peek->st.st_size, &source->page_count,
					err);
}

static enum status open_pages(struct database_peek *peek, struct error *err)
{
	uint8_t *bytes = malloc(WAL_LOOK_BYTES);
	enum status status =
	    bytes ? wal_look_open(peek->real, peek->fd, bytes, &peek->wal, err)
		  : error_no_memory(err, "a frame of a WAL");

	free(bytes);
	if (status == ST_OK) {
		status = list_frames(peek, err);
	}
	return status == ST_OK ? read_geometry(peek, err) : status;
}

enum status database_peek_open(const char *path, struct database_peek **out,
			       struct error *err)
{
	struct database_peek *peek = calloc(1, sizeof *peek);
	enum status status;

	if (!peek) {
		return error_no_memory(err, "a database");
	}
	peek->source = (struct page_source){.get = get_page, .put = put_page};
	peek->given = path;
	peek->fd = -1;
	peek->wal.fd = -1;
	status = open_file(peek, err);
	if (status == ST_OK) {
		status = open_pages(peek, err);
	}
	if (status != ST_OK) {
		database_peek_close(peek);
		return status;
	}
	*out = peek;
	return ST_OK;
}

void database_peek_close(struct database_peek *peek)
{
	if (!peek) {
		return;
	}
	wal_look_close(&peek->wal);
	if (peek->fd >= 0) {
		(void)close(peek->fd);
	}
	for (size_t i = 0; i < peek->count; i++) {
		free(peek->pages[i].bytes);
	}
	free(peek->pages);
	free(peek->page_of);
	free(peek->real);
	free(peek);
}

/* ---- the check ---- */

static bool is_same(const struct peeked *page, uint8_t *now, size_t page_size)
{
	if (page->page_no == 1) {
		memcpy(now + COUNTERS_START, page->bytes + COUNTERS_START,
		       COUNTERS_END - COUNTERS_START);
		memcpy(now + VERSIONS_START, page->bytes + VERSIONS_START,
		       VERSIONS_END - VERSIONS_START);
	}
	return memcmp(page->bytes, now, page_size) == 0;
}

static enum status compare(const struct database_peek *peek,
			   const struct database_peek *now, uint8_t *bytes,
			   struct error *err)
{
	bool same = peek->source.page_size == now->source.page_size;

	for (size_t i = 0; same && i < peek->count; i++) {
		if (read_page(now, peek->pages[i].page_no, bytes, err) != ST_OK) {
			return err->status;
		}
		same = is_same(&peek->pages[i], bytes, peek->source.page_size);
	}
	return same ? ST_OK
		    : error_set(err, ST_RETRY, "%s: is being written",
				quote(peek->given).text);
}

enum status database_peek_check(const struct database_peek *peek, struct error *err)
{
	struct database_peek *now = NULL;
	uint8_t *bytes = malloc(peek->source.page_size);
	enum status status = bytes ? database_peek_open(peek->given, &now, err)
				   : error_no_memory(err, "a page");

	if (status == ST_OK) {
		status = compare(peek, now, bytes, err);
	}
	database_peek_close(now);
	free(bytes);
	return status;
}
