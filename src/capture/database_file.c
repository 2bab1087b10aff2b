/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/database_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/base/bytes.h"
#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/file_time.h"
#include "src/base/quote.h"
#include "src/capture/source_state.h"
#include "src/capture/wal_frames.h"

#define WAITS    20
#define WAIT_NS  (20 * NS_PER_MS)
#define NO_PAGES "; compare when nobody writes to it, or a copy (VACUUM INTO)"

struct database_file {
	struct page_source source; /* first member: the calls' object */
	const char *given;         /* as the user wrote it; borrowed */
	char *path;                /* links resolved */
	int fd;
	struct stat st; /* as it was opened */
	struct wal_frames wal;
	const uint8_t *bytes; /* the file, mapped; NULL: it is empty */
	size_t len;
	uint8_t *tail;    /* page tail_no, which the file has only in part */
	uint32_t tail_no; /* 0: none */
	uint8_t *zeros;   /* a page past the end of the file */
	uint8_t *first;   /* the page of an empty one; else NULL */
};

static enum status unfit(const struct database_file *file, const char *what,
			 struct error *err)
{
	return error_set(err, ST_UNFIT, "%s: %s", quote(file->given).text, what);
}

static enum status unreadable(const struct database_file *file, struct error *err)
{
	return error_set_errno(err, errno, "%s cannot be read",
			       quote(file->given).text);
}

/* ---- pages ---- */

static enum status get_page(struct page_source *source, uint32_t page_no,
			    struct page_ref *ref, struct error *err)
{
	struct database_file *file = (struct database_file *)source;
	uint64_t offset = (uint64_t)(page_no - 1) * source->page_size;

	if (page_no == 0 || page_no > source->page_count) {
		return error_set(err, ST_CORRUPT,
				 "page %" PRIu32
				 " is asked for in a database of %" PRIu32 " pages",
				 page_no, source->page_count);
	}
	ref->pin = NULL;
	ref->bytes = file->first ? file->first : wal_frames_page(&file->wal, page_no);
	if (!ref->bytes) {
		ref->bytes = page_no == file->tail_no ? file->tail
			     : offset >= file->len    ? file->zeros
						      : file->bytes + offset;
	}
	return ST_OK;
}

static void put_page(struct page_source *source, struct page_ref *ref)
{
	(void)source;
	(void)ref;
}

struct page_source *database_file_pages(struct database_file *file)
{
	return &file->source;
}

bool database_file_is_empty(const struct database_file *file)
{
	return file->source.page_count == 0;
}

enum status database_file_read(struct database_file *file, uint32_t first,
			       uint32_t count, uint8_t *bytes, struct error *err)
{
	uint32_t page_size = file->source.page_size;

	if (file->first) {
		memcpy(bytes, file->first, page_size);
		return ST_OK;
	}
	if (!file_read_padded(file->fd, bytes, (size_t)count * page_size,
			      (off_t)(first - 1) * page_size)) {
		return unreadable(file, err);
	}
	for (uint32_t i = 0; file->wal.count > 0 && i < count; i++) {
		const uint8_t *image = wal_frames_page(&file->wal, first + i);

		if (image) {
			memcpy(bytes + (size_t)i * page_size, image, page_size);
		}
	}
	return ST_OK;
}

/* ---- opening ---- */

static enum status open_file(struct database_file *file, struct error *err)
{
	file->path = realpath(file->given, NULL);
	file->fd = file->path
		       ? open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
		       : -1;
	if (file->fd < 0) {
		return error_set(err, ST_UNFIT, "%s: %s; give the path of a database",
				 quote(file->given).text,
				 errno == ENOENT ? "no such file" : strerror(errno));
	}
	if (fstat(file->fd, &file->st) != 0) {
		return unreadable(file, err);
	}
	if (!S_ISREG(file->st.st_mode)) {
		return unfit(file, "is no file; give the path of a database", err);
	}
	return ST_OK;
}

/* Wait until what was written last is so old that whatever comes has another time. */
static enum status settle(struct database_file *file, struct error *err)
{
	for (int i = 0; i < WAITS; i++) {
		int64_t age_ns;

		if (fstat(file->fd, &file->st) != 0) {
			return unreadable(file, err);
		}
		age_ns = clock_wall_ns() - clock_ns_of(file->st.st_ctim);
		if (age_ns < 0 || age_ns > FILE_TICK_NS) {
			return ST_OK;
		}
		clock_sleep_ns(WAIT_NS);
	}
	return error_set(err, ST_RETRY, "%s: is being written" NO_PAGES,
			 quote(file->given).text);
}

/* A journal with a header is of a transaction that is open, or that was interrupted:
 * the file has some of it. */
static enum status refuse_journal(const struct database_file *file, struct error *err)
{
	static const uint8_t magic[8] = {0xd9, 0xd5, 0x05, 0xf9,
					 0x20, 0xa1, 0x63, 0xd7};
	uint8_t head[sizeof magic];
	char name[PATH_MAX];
	bool is_hot, is_read;
	int reason;
	int fd;

	if (snprintf(name, sizeof name, "%s-journal", file->path) >= PATH_MAX) {
		return unfit(file, "has too long a path", err);
	}
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		return errno == ENOENT
			   ? ST_OK
			   : error_set_errno(err, errno, "%s cannot be read",
					     quote(name).text);
	}
	is_read = file_read_exactly(fd, head, sizeof head, 0);
	reason = errno;
	(void)close(fd);
	if (!is_read && reason != ENODATA) {
		return error_set_errno(err, reason, "%s cannot be read",
				       quote(name).text);
	}
	is_hot = is_read && memcmp(head, magic, sizeof magic) == 0;
	return is_hot ? error_set(err, ST_UNFIT,
				  "%s: has a transaction that is open or was "
				  "interrupted; compare when nobody writes to it, or, "
				  "if nobody does, let sqlite3 open it once, which "
				  "rolls that back",
				  quote(file->given).text)
		      : ST_OK;
}

static enum status map_file(struct database_file *file, struct error *err)
{
	void *mapped;

	if ((uint64_t)file->st.st_size > SIZE_MAX) {
		return unfit(file, "is larger than this machine's memory can map", err);
	}
	file->len = (size_t)file->st.st_size;
	mapped = mmap(NULL, file->len, PROT_READ, MAP_SHARED, file->fd, 0);
	if (mapped == MAP_FAILED) {
		return unreadable(file, err);
	}
	file->bytes = mapped;
	return ST_OK;
}

/* A page that the file has in part, and one that it has not, are zeros there. */
static enum status make_ends(struct database_file *file, struct error *err)
{
	uint32_t page_size = file->source.page_size;
	size_t part = file->len % page_size;

	file->tail = calloc(1, page_size);
	file->zeros = calloc(1, page_size);
	if (!file->tail || !file->zeros) {
		return error_no_memory(err, "a page");
	}
	if (part > 0) {
		file->tail_no = (uint32_t)(file->len / page_size + 1);
		memcpy(file->tail, file->bytes + file->len - part, part);
	}
	return ST_OK;
}

static enum status count_pages(struct database_file *file, struct error *err)
{
	struct page_source *source = &file->source;
	struct db_header header;
	struct page_ref ref = {0};
	enum status status;

	source->page_count = file->wal.count > 0 ? file->wal.page_count : 1;
	if (source->page_count == 0) {
		return unfit(file, "is corrupt: its WAL says that it has no page", err);
	}
	status = get_page(source, 1, &ref, err);
	if (status == ST_OK) {
		status = db_header_read(ref.bytes, &header, err);
	}
	if (status != ST_OK || header.page_size != source->page_size) {
		return unfit(file, "is corrupt: page 1 is not that of a database", err);
	}
	source->usable_size = header.usable_size;
	return file->wal.count > 0
		   ? ST_OK
		   : source_count_pages(file->given, ref.bytes, source->page_size,
					file->len, &source->page_count, err);
}

static enum status read_head(struct database_file *file, struct error *err)
{
	uint8_t bytes[DB_HEADER_SIZE];
	struct db_header header;
	struct error why;

	if (file->st.st_size < DB_HEADER_SIZE) {
		return unfit(file, "is no SQLite database, it is too short", err);
	}
	if (!file_read_exactly(file->fd, bytes, sizeof bytes, 0)) {
		return unreadable(file, err);
	}
	if (db_header_read(bytes, &header, &why) != ST_OK) {
		return error_set(err, ST_UNFIT,
				 "%s: is no SQLite database (%s); if it is encrypted: "
				 "rowtail cannot read encrypted databases",
				 quote(file->given).text, why.text);
	}
	file->source.page_size = header.page_size;
	return ST_OK;
}

static enum status open_pages(struct database_file *file, struct error *err)
{
	uint64_t in_file;
	enum status status = read_head(file, err);

	if (status == ST_OK) {
		status = map_file(file, err);
	}
	if (status == ST_OK) {
		status = make_ends(file, err);
	}
	if (status != ST_OK) {
		return status;
	}
	in_file = file->len / file->source.page_size + 1;
	status =
	    wal_frames_open(&file->wal, file->path, file->fd,
			    in_file > UINT32_MAX ? UINT32_MAX : (uint32_t)in_file, err);
	if (status == ST_RETRY) {
		(void)error_add(err, NO_PAGES);
	}
	if (status == ST_OK && file->wal.count > 0 &&
	    file->wal.page_size != file->source.page_size) {
		return unfit(file,
			     "and its WAL have different page sizes; let sqlite3 open "
			     "a copy of both to see which is right",
			     err);
	}
	return status == ST_OK ? count_pages(file, err) : status;
}

enum status database_file_open(const char *path, struct database_file **out,
			       struct error *err)
{
	struct database_file *file = calloc(1, sizeof *file);
	enum status status;

	if (!file) {
		return error_no_memory(err, "a database");
	}
	file->source = (struct page_source){.get = get_page, .put = put_page};
	file->given = path;
	file->fd = -1;
	file->wal.fd = -1;
	status = open_file(file, err);
	if (status == ST_OK) {
		status = settle(file, err);
	}
	if (status == ST_OK) {
		status = refuse_journal(file, err);
	}
	/* Of a database without a page SQLite reads no WAL. */
	if (status == ST_OK && file->st.st_size > 0) {
		status = open_pages(file, err);
	}
	if (status != ST_OK) {
		database_file_close(file);
		return status;
	}
	*out = file;
	return ST_OK;
}

void database_file_close(struct database_file *file)
{
	if (!file) {
		return;
	}
	wal_frames_close(&file->wal);
	if (file->bytes) {
		(void)munmap((void *)(uintptr_t)file->bytes, file->len);
	}
	if (file->fd >= 0) {
		(void)close(file->fd);
	}
	free(file->tail);
	free(file->zeros);
	free(file->first);
	free(file->path);
	free(file);
}

/* ---- an empty one ---- */

/* The header and an empty leaf: what CREATE TABLE and DROP TABLE leave. */
static void make_first(uint8_t *page, uint32_t page_size, uint32_t reserved,
		       enum text_encoding encoding)
{
	memcpy(page, "SQLite format 3", 16);
	put_u16be(page + 16, page_size == 65536 ? 1 : (uint16_t)page_size);
	page[DB_WRITE_FORMAT] = page[DB_READ_FORMAT] = 1;
	page[20] = (uint8_t)reserved;
	page[21] = 64; /* payload fractions, which are fixed */
	page[22] = page[23] = 32;
	page[31] = 1; /* pages */
	page[47] = 4; /* schema format */
	page[59] = (uint8_t)encoding;
	page[DB_HEADER_SIZE] = 13; /* leaf of a table */
	put_u16be(page + DB_HEADER_SIZE + 5, (uint16_t)(page_size - reserved));
}

enum status database_file_fill(struct database_file *file,
			       const struct database_file *like, struct error *err)
{
	uint32_t page_size = like->source.page_size ? like->source.page_size : 4096;
	uint32_t usable_size =
	    like->source.usable_size ? like->source.usable_size : page_size;
	enum text_encoding encoding = TEXT_UTF8;

	if (!database_file_is_empty(like) && !like->first) {
		struct page_ref ref = {0};
		struct db_header header;
		struct page_source *source = (struct page_source *)(uintptr_t)like;
		enum status status = get_page(source, 1, &ref, err);

		if (status == ST_OK) {
			status = db_header_read(ref.bytes, &header, err);
		}
		if (status != ST_OK) {
			return status;
		}
		encoding = header.encoding;
	}
	file->first = calloc(1, page_size);
	if (!file->first) {
		return error_no_memory(err, "a page");
	}
	make_first(file->first, page_size, page_size - usable_size, encoding);
	file->source.page_size = page_size;
	file->source.usable_size = usable_size;
	file->source.page_count = 1;
	return ST_OK;
}

/* ---- was it written meanwhile? ---- */

enum status database_file_check(const struct database_file *file, struct error *err)
{
	struct stat now;

	if (fstat(file->fd, &now) != 0) {
		return unreadable(file, err);
	}
	if (now.st_size == file->st.st_size &&
	    file_time_same(&now.st_mtim, &file->st.st_mtim) &&
	    file_time_same(&now.st_ctim, &file->st.st_ctim) &&
	    wal_frames_same(&file->wal)) {
		return ST_OK;
	}
	return error_set(err, ST_RETRY, "%s: was written while it was read" NO_PAGES,
			 quote(file->given).text);
}

int64_t database_file_time_ns(const struct database_file *file)
{
	struct stat wal;
	int64_t time_ns = clock_ns_of(file->st.st_mtim);

	if (file->wal.count > 0 && fstat(file->wal.fd, &wal) == 0 &&
	    clock_ns_of(wal.st_mtim) > time_ns) {
		time_ns = clock_ns_of(wal.st_mtim);
	}
	return time_ns;
}
