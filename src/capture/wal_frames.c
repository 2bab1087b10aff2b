/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/wal_frames.h"

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
#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"
#include "src/capture/db_users.h"
#include "src/capture/wal_committed.h"

#define TRIES    100
#define PAUSE_NS (5 * NS_PER_MS)

static enum status cannot_read(const char *name, struct error *err)
{
	return error_set_errno(err, errno, "%s cannot be read", quote(name).text);
}

/* For messages: "<path><suffix>", cut where it is longer than any. */
static void name_beside(const char *path, const char *suffix, char name[PATH_MAX])
{
	(void)snprintf(name, PATH_MAX, "%s%s", path, suffix);
}

/* ---- how many frames are committed ---- */

static const uint8_t *frame_at(const struct wal_frames *wal, uint32_t page_size,
			       uint32_t frame_no)
{
	return wal->bytes + wal_frame_offset(frame_no, page_size);
}

/* As SQLite's recovery: up to the last commit before the first frame that is none. */
static void find_by_checksums(struct wal_frames *wal, const struct wal_header *header)
{
	uint32_t total = wal_frames_in(wal->len, header->page_size);
	struct wal_frame frame;
	uint32_t sum[2];

	wal_first_sum(wal->head, header, sum);
	for (uint32_t i = 1;
	     i <= total &&
	     wal_frame_follows(header, frame_at(wal, header->page_size, i), sum,
			       &frame);
	     i++) {
		if (frame.commit != 0) {
			wal->page_size = header->page_size;
			wal->page_count = frame.commit;
			wal->count = i;
		}
	}
}

/* What the index says; false: it is being written, or is of another life of the WAL. */
static bool find_by_index(struct wal_frames *wal, const struct wal_header *header,
			  int shm_fd)
{
	uint32_t total = header ? wal_frames_in(wal->len, header->page_size) : 0;
	struct wal_index_header index;

	if (!wal_index_tells(shm_fd, header, total, &index)) {
		return false;
	}
	if (index.frame_count > 0) {
		wal->page_size = header->page_size;
		wal->page_count = index.page_count;
		wal->count = index.frame_count;
	}
	return true;
}

/* ---- opening ---- */

static enum status map_wal(struct wal_frames *wal, const char *name, struct error *err)
{
	struct stat st;
	void *mapped;

	if (fstat(wal->fd, &st) != 0) {
		return cannot_read(name, err);
	}
	if (!S_ISREG(st.st_mode)) {
		return error_set(err, ST_UNFIT, "%s: is no file", quote(name).text);
	}
	if (st.st_size <= WAL_HEADER_BYTES) {
		return ST_OK;
	}
	if (!file_read_exactly(wal->fd, wal->head, sizeof wal->head, 0)) {
		return cannot_read(name, err);
	}
	mapped = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, wal->fd, 0);
	if (mapped == MAP_FAILED) {
		return cannot_read(name, err);
	}
	wal->bytes = mapped;
	wal->len = (size_t)st.st_size;
	return ST_OK;
}

static void unmap_wal(struct wal_frames *wal)
{
	if (wal->bytes) {
		(void)munmap((void *)(uintptr_t)wal->bytes, wal->len);
	}
	wal->bytes = NULL;
	wal->len = 0;
	wal->page_size = wal->count = wal->page_count = 0;
}

/* Once; ST_RETRY: the index is being written. `shm_fd` -1: there is none. */
static enum status find_committed(struct wal_frames *wal, const char *name, int db_fd,
				  int shm_fd, struct error *err)
{
	struct wal_header header;
	struct error ignored;
	bool has_header;
	enum status status = map_wal(wal, name, err);

	if (status != ST_OK) {
		return status;
	}
	/* A header that is none is that of a WAL without frames, SQLite has it so. */
	has_header =
	    wal->bytes && wal_header_parse(wal->head, &header, &ignored) == ST_OK;
	if (shm_fd >= 0 && !db_is_alone(db_fd, shm_fd)) {
		return find_by_index(wal, has_header ? &header : NULL, shm_fd)
			   ? ST_OK
			   : error_set(err, ST_RETRY, "%s: is being written",
				       quote(name).text);
	}
	if (has_header) {
		find_by_checksums(wal, &header);
	}
	return ST_OK;
}

static enum status find_with_patience(struct wal_frames *wal, const char *name,
				      int db_fd, int shm_fd, struct error *err)
{
	enum status status = ST_RETRY;

	for (int i = 0; status == ST_RETRY && i < TRIES; i++) {
		if (i > 0) {
			clock_sleep_ns(PAUSE_NS);
			unmap_wal(wal);
		}
		status = find_committed(wal, name, db_fd, shm_fd, err);
	}
	return status;
}

static enum status list_frames(struct wal_frames *wal, const char *name,
			       uint32_t file_pages, struct error *err)
{
	if (wal->page_count > (uint64_t)file_pages + wal->count) {
		return error_set(err, ST_UNFIT,
				 "%s: is corrupt, it speaks of %" PRIu32
				 " pages, which are nowhere; restore the database and "
				 "it from a backup",
				 quote(name).text, wal->page_count);
	}
	wal->frames = calloc((size_t)wal->page_count + 1, sizeof *wal->frames);
	if (!wal->frames) {
		return error_no_memory(err, "the frames of a WAL");
	}
	for (uint32_t i = 1; i <= wal->count; i++) {
		struct wal_frame frame;

		wal_frame_parse(frame_at(wal, wal->page_size, i), &frame);
		if (frame.page_no > 0 && frame.page_no <= wal->page_count) {
			wal->frames[frame.page_no - 1] = i;
		}
	}
	return ST_OK;
}

enum status wal_frames_open(struct wal_frames *wal, const char *path, int db_fd,
			    uint32_t file_pages, struct error *err)
{
	char name[PATH_MAX], shm_name[PATH_MAX];
	int shm_fd;
	enum status status;

	name_beside(path, "-wal", name);
	name_beside(path, "-shm", shm_name);
	*wal = (struct wal_frames){.fd = wal_open_beside(path, "-wal")};
	if (wal->fd < 0) {
		return errno == ENOENT ? ST_OK : cannot_read(name, err);
	}
	shm_fd = wal_open_beside(path, "-shm");
	if (shm_fd < 0 && errno != ENOENT) {
		status = cannot_read(shm_name, err);
	} else {
		status = find_with_patience(wal, name, db_fd, shm_fd, err);
	}
	if (shm_fd >= 0) {
		(void)close(shm_fd);
	}
	if (status == ST_OK && wal->count > 0) {
		status = list_frames(wal, name, file_pages, err);
	}
	if (status != ST_OK) {
		wal_frames_close(wal);
	}
	return status;
}

void wal_frames_close(struct wal_frames *wal)
{
	unmap_wal(wal);
	free(wal->frames);
	wal->frames = NULL;
	if (wal->fd >= 0) {
		(void)close(wal->fd);
	}
	wal->fd = -1;
}

const uint8_t *wal_frames_page(const struct wal_frames *wal, uint32_t page_no)
{
	uint32_t frame =
	    wal->count > 0 && page_no <= wal->page_count ? wal->frames[page_no - 1] : 0;

	return frame > 0 ? frame_at(wal, wal->page_size, frame) + WAL_FRAME_HEADER_BYTES
			 : NULL;
}

bool wal_frames_same(const struct wal_frames *wal)
{
	return wal_still_is(wal->fd, wal->head, wal->page_size, wal->count);
}
