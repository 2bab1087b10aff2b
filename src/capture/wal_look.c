/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/wal_look.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file_io.h"
#include "src/base/quote.h"
#include "src/capture/db_users.h"
#include "src/capture/wal_committed.h"

static bool read_header(struct wal_look *wal)
{
	struct error ignored;
	struct stat st;

	if (fstat(wal->fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_size <= WAL_HEADER_BYTES ||
	    !file_read_exactly(wal->fd, wal->head, sizeof wal->head, 0) ||
	    wal_header_parse(wal->head, &wal->header, &ignored) != ST_OK) {
		return false;
	}
	wal->frames = wal_frames_in((uint64_t)st.st_size, wal->header.page_size);
	return true;
}

/* As SQLite's recovery: up to the last commit before the first frame that is none.
 * `bytes` has room for a frame. */
static void count_by_checksums(struct wal_look *wal, uint8_t *bytes)
{
	size_t len = WAL_FRAME_HEADER_BYTES + (size_t)wal->header.page_size;
	struct wal_frame frame;
	uint32_t sum[2];

	wal_first_sum(wal->head, &wal->header, sum);
	for (uint32_t i = 1; i <= wal->frames; i++) {
		off_t at = (off_t)wal_frame_offset(i, wal->header.page_size);

		if (!file_read_exactly(wal->fd, bytes, len, at) ||
		    !wal_frame_follows(&wal->header, bytes, sum, &frame)) {
			return;
		}
		if (frame.commit != 0) {
			wal->count = i;
			wal->page_count = frame.commit;
		}
	}
}

/* False: it is being written, or is of another life of the WAL. */
static bool count_by_index(struct wal_look *wal, int shm_fd)
{
	struct wal_index_header index;

	if (!wal_index_tells(shm_fd, &wal->header, wal->frames, &index)) {
		return false;
	}
	wal->count = index.frame_count;
	wal->page_count = index.frame_count > 0 ? index.page_count : 0;
	return true;
}

static enum status being_written(const char *path, struct error *err)
{
	return error_set(err, ST_RETRY, "%s-wal: is being written all the time",
			 quote(path).text);
}

static enum status count(const char *path, int db_fd, int shm_fd, uint8_t *bytes,
			 struct wal_look *wal, struct error *err)
{
	if (wal->fd < 0 || !read_header(wal)) {
		return ST_OK;
	}
	if (shm_fd < 0 || db_is_alone(db_fd, shm_fd)) {
		count_by_checksums(wal, bytes);
		return ST_OK;
	}
	return count_by_index(wal, shm_fd) ? ST_OK : being_written(path, err);
}

enum status wal_look_open(const char *path, int db_fd, uint8_t *bytes,
			  struct wal_look *out, struct error *err)
{
	enum status status;
	int shm_fd;

	*out = (struct wal_look){.fd = wal_open_beside(path, "-wal")};
	if (out->fd < 0 && errno != ENOENT) {
		return error_set_errno(err, errno, "%s-wal cannot be read",
				       quote(path).text);
	}
	shm_fd = wal_open_beside(path, "-shm");
	status = count(path, db_fd, shm_fd, bytes, out, err);
	if (shm_fd >= 0) {
		(void)close(shm_fd);
	}
	if (status != ST_OK) {
		wal_look_close(out);
	}
	return status;
}

void wal_look_close(struct wal_look *wal)
{
	if (wal->fd >= 0) {
		(void)close(wal->fd);
	}
	wal->fd = -1;
}

enum status wal_look_check(const char *path, const struct wal_look *wal,
			   struct error *err)
{
	return wal_still_is(wal->fd, wal->head, wal->header.page_size, wal->count)
		   ? ST_OK
		   : being_written(path, err);
}
