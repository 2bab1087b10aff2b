/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/page_hashes.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "src/base/bytes.h"
#include "src/base/fields.h"
#include "src/base/file_io.h"
#include "src/base/owned_file.h"
#include "src/history/advice.h"

/* The head of `hashes`: magic, version, page size, checksum. */
#define HASHES_MAGIC   "rowtailH"
#define HASHES_VERSION 1
#define HASHES_HEAD    24
#define AT_PAGE_SIZE   12

#define FLAG_HASHES 512 /* entries that one dirty flag stands for */
/* Entries by which the table grows: whole flags and whole pages of memory. */
#define TABLE_HASHES 65536

static off_t hash_offset(uint64_t page_no)
{
	return (off_t)(HASHES_HEAD + (page_no - 1) * sizeof(uint64_t));
}

/* What is mapped and not written takes no memory. */
enum status page_hashes_reserve(struct page_hashes *h, uint32_t page_count,
				struct error *err)
{
	size_t old_flags = h->cap / FLAG_HASHES;
	size_t cap = ((size_t)page_count / TABLE_HASHES + 1) * TABLE_HASHES;
	uint8_t *dirty;
	void *hashes;

	if (page_count <= h->cap) {
		return ST_OK;
	}
	dirty = realloc(h->dirty, cap / FLAG_HASHES);
	if (!dirty) {
		return error_no_memory(err, "the hashes of the shadow");
	}
	h->dirty = dirty;
	if (h->table) {
		hashes = mremap(h->table, h->cap * sizeof(uint64_t),
				cap * sizeof(uint64_t), MREMAP_MAYMOVE);
	} else {
		hashes = mmap(NULL, cap * sizeof(uint64_t), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	if (hashes == MAP_FAILED) {
		return error_no_memory(err, "the hashes of the shadow");
	}
	memset(dirty + old_flags, 0, cap / FLAG_HASHES - old_flags);
	h->table = hashes;
	h->cap = cap;
	return ST_OK;
}

static void head_encode(uint32_t page_size, uint8_t head[HASHES_HEAD])
{
	struct field_writer to = field_writer(head, HASHES_HEAD);

	put_field(&to, HASHES_MAGIC, 8);
	put_field_u32(&to, HASHES_VERSION);
	put_field_u32(&to, page_size);
	put_field_u64(&to, XXH3_64bits(head, HASHES_HEAD - 8));
	assert(!to.is_short);
}

/* All that is in the head is known: meta has said the version and the page size. */
static enum status check_head(const struct page_hashes *h, uint32_t page_size,
			      struct error *err)
{
	uint8_t expected[HASHES_HEAD];
	uint8_t head[HASHES_HEAD];
	ssize_t len = file_read_at(h->fd, head, sizeof head, 0);

	if (len < 0) {
		return error_set_errno(err, errno, PAGE_HASHES_FILE ": cannot be read");
	}
	head_encode(page_size, expected);
	if (len < HASHES_HEAD || memcmp(head, expected, HASHES_HEAD) != 0) {
		return error_set(err, ST_DAMAGED,
				 PAGE_HASHES_FILE
				 ": is damaged (head); " STATE_MOVE_AWAY);
	}
	return ST_OK;
}

static enum status too_few_hashes(size_t bytes, uint32_t page_count, struct error *err)
{
	return error_set(err, ST_DAMAGED,
			 PAGE_HASHES_FILE ": has %zu of %u pages; " STATE_MOVE_AWAY,
			 bytes / sizeof(uint64_t), page_count);
}

enum status page_hashes_read(struct page_hashes *h, uint32_t page_size,
			     uint32_t page_count, struct error *err)
{
	size_t len = page_count * sizeof(uint64_t);
	enum status status = check_head(h, page_size, err);
	struct stat st;
	ssize_t got;

	if (status != ST_OK) {
		return status;
	}
	if (fstat(h->fd, &st) != 0) {
		return error_set_errno(err, errno,
				       PAGE_HASHES_FILE ": cannot be examined");
	}
	if ((uint64_t)st.st_size < HASHES_HEAD + len) {
		return too_few_hashes((size_t)st.st_size - HASHES_HEAD, page_count,
				      err);
	}
	status = page_hashes_reserve(h, page_count, err);
	if (status != ST_OK) {
		return status;
	}
	got = file_read_at(h->fd, h->table, len, hash_offset(1));
	if (got < 0) {
		return error_set_errno(err, errno, PAGE_HASHES_FILE ": cannot be read");
	}
	return (size_t)got < len ? too_few_hashes((size_t)got, page_count, err) : ST_OK;
}

/* Write the entries under flags `start` up to, not including, `end`. */
static enum status write_flagged(const struct page_hashes *h, size_t start, size_t end,
				 uint32_t page_count, struct error *err)
{
	size_t from = start * FLAG_HASHES;
	size_t to = end * FLAG_HASHES;

	if (to > page_count) {
		to = page_count;
	}
	if (from < to &&
	    !file_write_at(h->fd, h->table + from, (to - from) * sizeof(uint64_t),
			   hash_offset(from + 1))) {
		return error_set_errno(err, errno,
				       PAGE_HASHES_FILE ": cannot be written");
	}
	return ST_OK;
}

enum status page_hashes_write(const struct page_hashes *h, uint32_t page_count,
			      struct error *err)
{
	size_t total = h->cap / FLAG_HASHES;
	enum status status = ST_OK;
	size_t start = 0;

	while (start < total && status == ST_OK) {
		size_t end = start;

		while (end < total && h->dirty[end]) {
			end++;
		}
		status = write_flagged(h, start, end, page_count, err);
		start = end + 1;
	}
	return status;
}

enum status page_hashes_write_head(const struct page_hashes *h, uint32_t page_size,
				   struct error *err)
{
	uint8_t head[HASHES_HEAD];

	head_encode(page_size, head);
	if (!file_write_at(h->fd, head, sizeof head, 0)) {
		return error_set_errno(err, errno,
				       PAGE_HASHES_FILE ": cannot be written");
	}
	return ST_OK;
}

enum status page_hashes_made_for(int dir_fd, uint32_t *page_size, struct error *err)
{
	uint8_t expected[HASHES_HEAD];
	uint8_t head[HASHES_HEAD];
	int fd = openat(dir_fd, PAGE_HASHES_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool is_read = fd >= 0 && file_read_exactly(fd, head, sizeof head, 0);
	int reason = errno;

	*page_size = 0;
	if (fd >= 0) {
		(void)close(fd);
	}
	if (!is_read) {
		return reason == ENOENT || reason == ENODATA
			   ? ST_OK
			   : error_set_errno(err, reason,
					     PAGE_HASHES_FILE ": cannot be read");
	}
	head_encode(get_u32le(head + AT_PAGE_SIZE), expected);
	if (memcmp(head, expected, sizeof head) == 0) {
		*page_size = get_u32le(head + AT_PAGE_SIZE);
	}
	return ST_OK;
}

uint64_t page_hashes_file_bytes(uint32_t page_count)
{
	return (uint64_t)hash_offset((uint64_t)page_count + 1);
}

void page_hashes_are_written(struct page_hashes *h)
{
	if (h->cap > 0) {
		memset(h->dirty, 0, h->cap / FLAG_HASHES);
	}
}

uint64_t page_hashes_get(const struct page_hashes *h, uint32_t page_no)
{
	assert(page_no > 0 && page_no <= h->cap);
	return le64toh(h->table[page_no - 1]);
}

void page_hashes_set(struct page_hashes *h, uint32_t page_no, uint64_t hash)
{
	assert(page_no > 0 && page_no <= h->cap);
	h->table[page_no - 1] = htole64(hash);
	h->dirty[(page_no - 1) / FLAG_HASHES] = 1;
}

void page_hashes_clear(struct page_hashes *h)
{
	if (h->table) {
		(void)munmap(h->table, h->cap * sizeof(uint64_t));
	}
	if (h->fd >= 0) {
		(void)close(h->fd);
	}
	free(h->dirty);
}
