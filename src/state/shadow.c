/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/shadow.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#include "btree/db_header.h"
#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/owned_file.h"
#include "src/history/advice.h"
#include "src/state/page_hashes.h"

#define SHADOW_FILE "shadow"
#define HASHES_FILE PAGE_HASHES_FILE

#define CHUNK_BYTES (1u << 20) /* read, hashed, written at once: whole pages */
#define STEP_BYTES  (8u << 20) /* between two reports */

struct shadow {
	int fd;
	uint32_t page_size;
	uint32_t page_count;
	uint64_t file_pages; /* length of the file; past page_count: old content */
	struct page_hashes hashes;
	uint8_t *zeros; /* a page */
	/* The kernel reports a page that it could not write once, then forgets it: what
	 * follows a failed sync is never taken for durable. */
	int sync_errno;
};

/* ---- files ---- */

/* A new, empty file of mode 0600 whatever the umask, in place of an old one. */
static enum status make_file(int dir_fd, const char *name, int *fd, struct error *err)
{
	if (unlinkat(dir_fd, name, 0) != 0 && errno != ENOENT) {
		return error_set_errno(err, errno, "%s: the old file cannot be removed",
				       name);
	}
	*fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*fd < 0 || fchmod(*fd, 0600) != 0) {
		return error_set_errno(err, errno, "%s: cannot be made", name);
	}
	return ST_OK;
}

/* `mode` is O_RDWR or O_RDONLY. */
static enum status open_file(int dir_fd, const char *name, int mode, int *fd,
			     struct error *err)
{
	const struct owned_place place = {.dir_fd = dir_fd,
					  .name = name,
					  .path = name,
					  .instead = "use another --state",
					  .closed = OWNED_PRIVATE};

	if (mode == O_RDONLY) { /* by whoever may read it */
		*fd = openat(dir_fd, name, mode | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (*fd < 0) {
			(void)error_set_errno(err, errno, "%s: cannot be opened", name);
		}
	} else {
		(void)!owned_file_open(&place, mode, fd, NULL, err);
	}
	if (*fd < 0 && err->sys_errno == ENOENT) {
		return error_set(err, ST_DAMAGED, "%s: is missing; " STATE_MOVE_AWAY,
				 name);
	}
	return *fd < 0 ? err->status : ST_OK;
}

static off_t page_offset(const struct shadow *shadow, uint64_t page_no)
{
	return (off_t)((page_no - 1) * shadow->page_size);
}

/* ---- hashes ---- */

uint64_t shadow_hash_of(uint32_t page_no, const uint8_t *bytes, uint32_t page_size)
{
	return XXH3_64bits_withSeed(bytes, page_size, page_no);
}

uint64_t shadow_hash(const struct shadow *shadow, uint32_t page_no)
{
	if (page_no == 0 || page_no > shadow->page_count) {
		return 0;
	}
	return page_hashes_get(&shadow->hashes, page_no);
}

uint64_t shadow_known_hash(const struct shadow *shadow, uint32_t page_no)
{
	return page_hashes_get(&shadow->hashes, page_no);
}

/* Note the hash of a page that the table has room for. */
static void set_hash(struct shadow *shadow, uint32_t page_no, const uint8_t *bytes)
{
	page_hashes_set(&shadow->hashes, page_no,
			shadow_hash_of(page_no, bytes, shadow->page_size));
}

enum status shadow_reserve(struct shadow *shadow, uint32_t page_count,
			   struct error *err)
{
	return page_hashes_reserve(&shadow->hashes, page_count, err);
}

/* After one failure all later syncs fail, unless the disk was full: then everything is
 * written again. */
static enum status sync_file(struct shadow *shadow, int fd, const char *name,
			     struct error *err)
{
	if (shadow->sync_errno == 0 && !file_sync(fd)) {
		(void)error_set_errno(err, errno, "%s: cannot be synced", name);
		if (error_is_full(err)) {
			return ST_IO;
		}
		shadow->sync_errno = err->sys_errno;
	}
	if (shadow->sync_errno != 0) {
		return error_set_errno(err, shadow->sync_errno, "%s: cannot be synced",
				       name);
	}
	return ST_OK;
}

/* Pages first: a hash that is durable before its page would call that damaged. */
enum status shadow_sync(struct shadow *shadow, struct error *err)
{
	enum status status = sync_file(shadow, shadow->fd, SHADOW_FILE, err);

	if (status == ST_OK) {
		FAULT_POINT("shadow-pages-synced");
		status = page_hashes_write(&shadow->hashes, shadow->page_count, err);
	}
	if (status == ST_OK) {
		FAULT_POINT("shadow-hashes-written");
		status = sync_file(shadow, shadow->hashes.fd, HASHES_FILE, err);
	}
	if (status == ST_OK) {
		page_hashes_are_written(&shadow->hashes);
	}
	return status;
}

/* ---- pages ---- */

static enum status write_error(struct error *err)
{
	return error_set_errno(err, errno, SHADOW_FILE ": cannot be written");
}

static enum status set_length(struct shadow *shadow, uint32_t page_count,
			      struct error *err)
{
	if (!file_set_length(shadow->fd,
			     page_offset(shadow, (uint64_t)page_count + 1))) {
		return write_error(err);
	}
	FAULT_POINT("shadow-length-set");
	shadow->file_pages = page_count;
	return ST_OK;
}

/* Give the blocks of pages `first` up to `last` back; they read as zeros. */
static bool punch(const struct shadow *shadow, uint64_t first, uint64_t last)
{
	return fallocate(shadow->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 page_offset(shadow, first),
			 page_offset(shadow, last + 1) - page_offset(shadow, first)) ==
	       0;
}

/* Make zeros of what was left past the end, in pages `first` up to `last`. */
static enum status clear_pages(struct shadow *shadow, uint64_t first, uint64_t last,
			       struct error *err)
{
	if (punch(shadow, first, last)) {
		return ST_OK;
	}
	for (uint64_t page_no = first; page_no <= last; page_no++) {
		if (!file_write_at(shadow->fd, shadow->zeros, shadow->page_size,
				   page_offset(shadow, page_no))) {
			return write_error(err);
		}
	}
	return ST_OK;
}

static enum status grow(struct shadow *shadow, uint32_t page_count, struct error *err)
{
	uint64_t old_end =
	    shadow->file_pages < page_count ? shadow->file_pages : page_count;
	enum status status = shadow_reserve(shadow, page_count, err);

	if (status == ST_OK && old_end > shadow->page_count) {
		status =
		    clear_pages(shadow, (uint64_t)shadow->page_count + 1, old_end, err);
	}
	if (status == ST_OK && shadow->file_pages < page_count) {
		status = set_length(shadow, page_count, err);
	}
	if (status != ST_OK) {
		return status;
	}
	for (uint64_t page_no = (uint64_t)shadow->page_count + 1; page_no <= page_count;
	     page_no++) {
		set_hash(shadow, (uint32_t)page_no, shadow->zeros);
	}
	assert(page_count <= shadow->file_pages);
	shadow->page_count = page_count;
	return ST_OK;
}

/*
 * A smaller database leaves the file as long as it is, with its blocks given back:
 * until the new size stands in meta the old one counts, and a file shorter than that
 * would be damage. shadow_open cuts it.
 */
enum status shadow_resize(struct shadow *shadow, uint32_t page_count, struct error *err)
{
	if (page_count > shadow->page_count) {
		return grow(shadow, page_count, err);
	}
	if (page_count < shadow->page_count) {
		(void)punch(shadow, (uint64_t)page_count + 1, shadow->file_pages);
		FAULT_POINT("shadow-punched");
	}
	shadow->page_count = page_count;
	return ST_OK;
}

enum status shadow_write_run(struct shadow *shadow, uint32_t first, uint32_t count,
			     const uint8_t *bytes, struct error *err)
{
	uint32_t last = first + count - 1;
	enum status status = ST_OK;

	assert(first > 0 && count > 0 && count - 1 <= UINT32_MAX - first);
	if (last > shadow->page_count) {
		status = grow(shadow, last, err);
	}
	if (status != ST_OK) {
		return status;
	}
	if (!file_write_at(shadow->fd, bytes, (size_t)count * shadow->page_size,
			   page_offset(shadow, first))) {
		return write_error(err);
	}
	FAULT_POINT("shadow-page");
	for (uint32_t i = 0; i < count; i++) {
		set_hash(shadow, first + i, bytes + (size_t)i * shadow->page_size);
	}
	return ST_OK;
}

enum status shadow_write(struct shadow *shadow, uint32_t page_no, const uint8_t *bytes,
			 struct error *err)
{
	return shadow_write_run(shadow, page_no, 1, bytes, err);
}

/* ---- a walk over all pages ---- */

/* Pages `first` on, `count` of them, at most CHUNK_BYTES. */
struct chunk {
	uint8_t *bytes;
	uint32_t first;
	uint32_t count;
	size_t got; /* bytes that the file had; zeros follow */
};

/* Read what stands after `chunk`, or the first pages. False at the end. */
static bool next_chunk(const struct shadow *shadow, struct chunk *chunk)
{
	uint32_t most = CHUNK_BYTES / shadow->page_size;

	if (chunk->count >= shadow->page_count - chunk->first + 1) {
		return false;
	}
	chunk->first += chunk->count;
	chunk->count = shadow->page_count - chunk->first + 1;
	if (chunk->count > most) {
		chunk->count = most;
	}
	return true;
}

static enum status read_chunk(const struct shadow *shadow, int fd, struct chunk *chunk,
			      const char *name, struct error *err)
{
	size_t len = (size_t)chunk->count * shadow->page_size;
	ssize_t got =
	    file_read_at(fd, chunk->bytes, len, page_offset(shadow, chunk->first));

	if (got < 0) {
		return error_set_errno(err, errno, "%s: page %u cannot be read", name,
				       chunk->first);
	}
	memset(chunk->bytes + got, 0, len - (size_t)got);
	chunk->got = (size_t)got;
	return ST_OK;
}

/* `chunk` before the first call of next_chunk. */
static enum status chunk_init(struct chunk *chunk, struct error *err)
{
	*chunk = (struct chunk){.first = 1, .bytes = malloc(CHUNK_BYTES)};
	if (!chunk->bytes) {
		return error_no_memory(err, "reading the shadow");
	}
	return ST_OK;
}

static enum status compare_chunk(const struct shadow *shadow, const struct chunk *chunk,
				 struct error *err)
{
	for (uint32_t i = 0; i < chunk->count; i++) {
		uint32_t page_no = chunk->first + i;
		const uint8_t *page = chunk->bytes + (size_t)i * shadow->page_size;

		if (shadow_hash_of(page_no, page, shadow->page_size) !=
		    shadow_hash(shadow, page_no)) {
			return error_set(err, ST_DAMAGED,
					 SHADOW_FILE
					 ": page %u is damaged (it is not what "
					 "its hash says); " STATE_MOVE_AWAY,
					 page_no);
		}
	}
	return ST_OK;
}

enum status shadow_read(const struct shadow *shadow, uint32_t first, uint32_t count,
			uint8_t *bytes, struct error *err)
{
	struct chunk chunk = {.first = first, .count = count, .bytes = bytes};
	enum status status = read_chunk(shadow, shadow->fd, &chunk, SHADOW_FILE, err);

	return status == ST_OK ? compare_chunk(shadow, &chunk, err) : status;
}

enum status shadow_verify(struct shadow *shadow, const _Atomic int *stop,
			  struct error *err)
{
	struct chunk chunk;
	enum status status = chunk_init(&chunk, err);

	(void)posix_fadvise(shadow->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	while (status == ST_OK && next_chunk(shadow, &chunk)) {
		if (stop && *stop) {
			status = error_set(err, ST_STOPPED, "stopped");
			break;
		}
		status = read_chunk(shadow, shadow->fd, &chunk, SHADOW_FILE, err);
		if (status == ST_OK) {
			status = compare_chunk(shadow, &chunk, err);
		}
	}
	(void)posix_fadvise(shadow->fd, 0, 0, POSIX_FADV_NORMAL);
	free(chunk.bytes);
	return status;
}

/* ---- copy ---- */

/* Would `bytes` more leave a tenth of the disk free? */
static enum status check_room(int fd, uint64_t bytes, struct error *err)
{
	struct statvfs fs;
	uint64_t available;
	uint64_t total;

	if (fstatvfs(fd, &fs) != 0) {
		return error_set_errno(err, errno,
				       SHADOW_FILE ": cannot ask for free space");
	}
	available = (uint64_t)fs.f_bavail * fs.f_frsize;
	total = (uint64_t)fs.f_blocks * fs.f_frsize;
	if (available >= total / 10 && available - total / 10 >= bytes) {
		return ST_OK;
	}
	(void)error_set(err, ST_IO,
			"the copy of the database takes %llu MiB and would leave less "
			"than 10 %% of the disk free (%llu of %llu MiB are); free some "
			"space or use another --state",
			(unsigned long long)(bytes >> 20),
			(unsigned long long)(available >> 20),
			(unsigned long long)(total >> 20));
	err->sys_errno = ENOSPC;
	return ST_IO;
}

enum status shadow_check_room(int fd, uint32_t page_size, uint64_t page_count,
			      struct error *err)
{
	uint32_t pages = page_count > UINT32_MAX ? UINT32_MAX : (uint32_t)page_count;

	return check_room(fd, page_count * page_size + page_hashes_file_bytes(pages),
			  err);
}

/*
 * Have the kernel write what was copied up to `end` and let go of it in the page cache
 * one step later: neither our dirty pages nor our clean ones crowd out the
 * application's.
 */
static enum status drain(const struct shadow *shadow, uint64_t end, struct error *err)
{
	off_t before = (off_t)end - 2 * (off_t)STEP_BYTES;

	if (!file_write_out(shadow->fd, (off_t)end, STEP_BYTES)) {
		return write_error(err);
	}
	if (before >= 0) {
		(void)posix_fadvise(shadow->fd, before, STEP_BYTES,
				    POSIX_FADV_DONTNEED);
	}
	return ST_OK;
}

/* Write a chunk, but for what is past the end of the source, and hash it. */
static enum status take_chunk(struct shadow *shadow, const struct chunk *chunk,
			      bool is_clone, struct error *err)
{
	if (!is_clone && !file_write_at(shadow->fd, chunk->bytes, chunk->got,
					page_offset(shadow, chunk->first))) {
		return write_error(err);
	}
	for (uint32_t i = 0; i < chunk->count; i++) {
		set_hash(shadow, chunk->first + i,
			 chunk->bytes + (size_t)i * shadow->page_size);
	}
	return ST_OK;
}

/* After a chunk: what is due every STEP_BYTES, and at the end. */
static enum status end_step(const struct shadow *shadow, const struct shadow_copy *copy,
			    uint32_t pages, bool is_clone, struct error *err)
{
	uint64_t end = (uint64_t)pages * shadow->page_size;
	bool is_step = end % STEP_BYTES == 0;

	if (copy->progress && (is_step || pages == shadow->page_count)) {
		copy->progress(copy->context, pages, shadow->page_count);
	}
	return is_step && !is_clone ? drain(shadow, end, err) : ST_OK;
}

/* Copy and hash; of a clone, read it and hash. */
static enum status copy_pages(struct shadow *shadow, const struct shadow_copy *copy,
			      bool is_clone, struct error *err)
{
	int from = is_clone ? shadow->fd : copy->source_fd;
	struct chunk chunk;
	enum status status = chunk_init(&chunk, err);

	(void)posix_fadvise(from, 0, 0, POSIX_FADV_SEQUENTIAL);
	while (status == ST_OK && next_chunk(shadow, &chunk)) {
		if (copy->stop && *copy->stop) {
			status = error_set(err, ST_STOPPED, "stopped");
			break;
		}
		status = read_chunk(shadow, from, &chunk,
				    is_clone ? SHADOW_FILE : "the database file", err);
		if (status == ST_OK) {
			status = take_chunk(shadow, &chunk, is_clone, err);
			FAULT_POINT("copy-chunk");
		}
		if (status == ST_OK) {
			status = end_step(shadow, copy, chunk.first + chunk.count - 1,
					  is_clone, err);
		}
	}
	(void)posix_fadvise(from, 0, 0, POSIX_FADV_NORMAL);
	free(chunk.bytes);
	return status;
}

static enum status fill(struct shadow *shadow, const struct shadow_copy *copy,
			struct error *err)
{
	bool is_clone = ioctl(shadow->fd, FICLONE, copy->source_fd) == 0;
	uint64_t bytes =
	    is_clone ? 0 : (uint64_t)shadow->page_count * shadow->page_size;
	enum status status = check_room(
	    shadow->fd, bytes + page_hashes_file_bytes(shadow->page_count), err);

	/* A clone is as long as the source, which may be more or less. */
	if (status == ST_OK) {
		status = set_length(shadow, shadow->page_count, err);
	}
	if (status == ST_OK) {
		status = shadow_reserve(shadow, shadow->page_count, err);
	}
	if (status == ST_OK) {
		status = copy_pages(shadow, copy, is_clone, err);
	}
	return status;
}

enum status shadow_made_for(int dir_fd, uint32_t *page_size, struct error *err)
{
	return page_hashes_made_for(dir_fd, page_size, err);
}

/* ---- open and close ---- */

static enum status shadow_alloc(uint32_t page_size, uint32_t page_count,
				struct shadow **out, struct error *err)
{
	struct shadow *shadow;

	if (!db_page_size_is_valid(page_size)) {
		return error_set(err, ST_DAMAGED,
				 SHADOW_FILE ": pages of %u bytes; " STATE_MOVE_AWAY,
				 page_size);
	}
	shadow = calloc(1, sizeof *shadow);
	if (!shadow) {
		return error_no_memory(err, "the shadow");
	}
	shadow->fd = shadow->hashes.fd = -1;
	shadow->page_size = page_size;
	shadow->page_count = page_count;
	shadow->zeros = calloc(1, page_size);
	if (!shadow->zeros) {
		shadow_close(shadow);
		return error_no_memory(err, "the shadow");
	}
	*out = shadow;
	return ST_OK;
}

static enum status sync_new(const struct shadow *shadow, int dir_fd, struct error *err)
{
	if (!file_sync_all(shadow->fd) || !file_sync_all(shadow->hashes.fd) ||
	    !file_sync_all(dir_fd)) {
		return error_set_errno(err, errno, SHADOW_FILE ": cannot be synced");
	}
	return ST_OK;
}

/*
 * `hashes` is made first, empty, and gets its head and entries last: without them
 * nobody takes for whole what a copy that was cut short left behind.
 */
static enum status create_files(struct shadow *shadow, int dir_fd,
				const struct shadow_copy *copy, struct error *err)
{
	enum status status = make_file(dir_fd, HASHES_FILE, &shadow->hashes.fd, err);

	if (status == ST_OK) {
		status = make_file(dir_fd, SHADOW_FILE, &shadow->fd, err);
	}
	if (status == ST_OK) {
		FAULT_POINT("copy-files-made");
		status = sync_new(shadow, dir_fd, err);
	}
	if (status == ST_OK) {
		FAULT_POINT("copy-files-synced");
		status = fill(shadow, copy, err);
	}
	if (status != ST_OK) {
		return status;
	}
	FAULT_POINT("copy-before-head");
	status = page_hashes_write_head(&shadow->hashes, shadow->page_size, err);
	return status == ST_OK ? shadow_sync(shadow, err) : status;
}

enum status shadow_create(int dir_fd, const struct shadow_copy *copy,
			  struct shadow **out, struct error *err)
{
	struct shadow *shadow;
	enum status status =
	    shadow_alloc(copy->page_size, copy->page_count, &shadow, err);

	if (status != ST_OK) {
		return status;
	}
	status = create_files(shadow, dir_fd, copy, err);
	if (status != ST_OK) {
		/* A part is of no use, and the disk may be full of it. */
		if (shadow->fd >= 0) {
			(void)unlinkat(dir_fd, SHADOW_FILE, 0);
		}
		shadow_close(shadow);
		return status;
	}
	*out = shadow;
	return ST_OK;
}

static enum status check_length(struct shadow *shadow, int mode, struct error *err)
{
	uint64_t needed = (uint64_t)shadow->page_count * shadow->page_size;
	struct stat st;

	if (fstat(shadow->fd, &st) != 0) {
		return error_set_errno(err, errno, SHADOW_FILE ": cannot be examined");
	}
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < needed) {
		return error_set(
		    err, ST_DAMAGED,
		    SHADOW_FILE
		    ": has %llu bytes, not the %llu of %u pages; " STATE_MOVE_AWAY,
		    (unsigned long long)st.st_size, (unsigned long long)needed,
		    shadow->page_count);
	}
	if ((uint64_t)st.st_size > needed && mode == O_RDWR) {
		return set_length(shadow, shadow->page_count, err);
	}
	shadow->file_pages = shadow->page_count;
	return ST_OK;
}

static enum status open_files(struct shadow *shadow, int dir_fd, int mode,
			      struct error *err)
{
	enum status status = open_file(dir_fd, SHADOW_FILE, mode, &shadow->fd, err);

	if (status == ST_OK) {
		status = open_file(dir_fd, HASHES_FILE, mode, &shadow->hashes.fd, err);
	}
	if (status == ST_OK) {
		status = page_hashes_read(&shadow->hashes, shadow->page_size,
					  shadow->page_count, err);
	}
	if (status == ST_OK) {
		status = check_length(shadow, mode, err);
	}
	return status;
}

static enum status open_shadow(int dir_fd, uint32_t page_size, uint32_t page_count,
			       int mode, struct shadow **out, struct error *err)
{
	struct shadow *shadow;
	enum status status = shadow_alloc(page_size, page_count, &shadow, err);

	if (status != ST_OK) {
		return status;
	}
	status = open_files(shadow, dir_fd, mode, err);
	if (status != ST_OK) {
		shadow_close(shadow);
		return status;
	}
	*out = shadow;
	return ST_OK;
}

enum status shadow_open(int dir_fd, uint32_t page_size, uint32_t page_count,
			struct shadow **out, struct error *err)
{
	return open_shadow(dir_fd, page_size, page_count, O_RDWR, out, err);
}

enum status shadow_open_read(int dir_fd, uint32_t page_size, uint32_t page_count,
			     struct shadow **out, struct error *err)
{
	return open_shadow(dir_fd, page_size, page_count, O_RDONLY, out, err);
}

void shadow_close(struct shadow *shadow)
{
	if (!shadow) {
		return;
	}
	if (shadow->fd >= 0) {
		(void)close(shadow->fd);
	}
	page_hashes_clear(&shadow->hashes);
	free(shadow->zeros);
	free(shadow);
}

int shadow_fd(const struct shadow *shadow)
{
	return shadow->fd;
}

uint32_t shadow_page_count(const struct shadow *shadow)
{
	return shadow->page_count;
}
