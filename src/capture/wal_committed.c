/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/wal_committed.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/file_io.h"

#define INDEX_COPIES_BYTES 96 /* of both headers of -shm */
#define SUMMED_BYTES       24 /* of the WAL's header */

int wal_open_beside(const char *path, const char *suffix)
{
	char name[PATH_MAX];

	if (snprintf(name, sizeof name, "%s%s", path, suffix) >= (int)sizeof name) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

uint32_t wal_frames_in(uint64_t wal_bytes, uint32_t page_size)
{
	uint64_t frames = wal_bytes < WAL_HEADER_BYTES
			      ? 0
			      : (wal_bytes - WAL_HEADER_BYTES) /
				    ((uint64_t)page_size + WAL_FRAME_HEADER_BYTES);

	return frames > UINT32_MAX ? UINT32_MAX : (uint32_t)frames;
}

bool wal_index_tells(int shm_fd, const struct wal_header *header, uint32_t frames,
		     struct wal_index_header *out)
{
	uint8_t copies[INDEX_COPIES_BYTES];

	if (!file_read_exactly(shm_fd, copies, sizeof copies, 0) ||
	    !wal_index_parse(copies, out)) {
		return false;
	}
	return out->frame_count == 0 ||
	       (header && out->frame_count <= frames &&
		out->page_size == header->page_size &&
		memcmp(out->salt, header->salt, sizeof out->salt) == 0);
}

void wal_first_sum(const uint8_t *head, const struct wal_header *header,
		   uint32_t sum[2])
{
	sum[0] = sum[1] = 0;
	wal_checksum(header->big_endian_sums, head, SUMMED_BYTES, sum);
}

bool wal_frame_follows(const struct wal_header *header, const uint8_t *bytes,
		       uint32_t sum[2], struct wal_frame *frame)
{
	bool big = header->big_endian_sums;

	wal_frame_parse(bytes, frame);
	if (frame->page_no == 0 ||
	    memcmp(frame->salt, header->salt, sizeof frame->salt) != 0) {
		return false;
	}
	wal_checksum(big, bytes, 8, sum);
	wal_checksum(big, bytes + WAL_FRAME_HEADER_BYTES, header->page_size, sum);
	return sum[0] == frame->sum[0] && sum[1] == frame->sum[1];
}

bool wal_still_is(int fd, const uint8_t *head, uint32_t page_size, uint32_t frames)
{
	uint8_t now[WAL_HEADER_BYTES];
	struct stat st;

	return frames == 0 ||
	       (fstat(fd, &st) == 0 &&
		(uint64_t)st.st_size >= wal_frame_offset(frames + 1, page_size) &&
		file_read_exactly(fd, now, sizeof now, 0) &&
		memcmp(now, head, sizeof now) == 0);
}
