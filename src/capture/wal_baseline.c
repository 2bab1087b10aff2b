/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/wal_hold_parts.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/file_io.h"
#include "src/base/file_time.h"

enum status hold_written_past(struct wal_hold *h, struct error *err)
{
	h->was_changed = true;
	return hold_lost(h, err,
			 "was written to past its WAL (by a copy over it, or under "
			 "another name)");
}

/* Decode the header of the last frame. False: a writer has begun the WAL anew, or left
 * no salt there. */
static bool read_header(const struct wal_hold *h, struct wal_frame *frame)
{
	uint8_t bytes[WAL_FRAME_HEADER_BYTES];
	uint64_t at = wal_frame_offset(h->header.frame_count, h->db->page_size);

	if (!file_read_exactly(h->db->wal_fd, bytes, sizeof bytes, (off_t)at)) {
		return false;
	}
	wal_frame_parse(bytes, frame);
	return memcmp(frame->salt, h->header.salt, sizeof frame->salt) == 0;
}

/* True: the last frame of the WAL, which is the newest of its page, is not what the
 * file has there. False also where that cannot be said. */
static bool is_other_page(const struct wal_hold *h, uint8_t *in_wal, uint8_t *in_file)
{
	uint32_t page_size = h->db->page_size;
	uint64_t at = wal_frame_offset(h->header.frame_count, page_size);
	struct wal_frame frame;

	return read_header(h, &frame) && frame.page_no > 0 &&
	       frame.page_no <= h->header.page_count &&
	       file_read_exactly(h->db->wal_fd, in_wal, page_size,
				 (off_t)at + WAL_FRAME_HEADER_BYTES) &&
	       file_read_exactly(h->db->db_fd, in_file, page_size,
				 (off_t)(frame.page_no - 1) * page_size) &&
	       memcmp(in_wal, in_file, page_size) != 0 &&
	       read_header(h, &frame); /* which is written before the page */
}

/* All of the WAL is in the file: was another file copied over it since? */
static bool is_other_file(const struct wal_hold *h)
{
	uint8_t *bytes =
	    h->header.frame_count > 0 ? malloc(2 * (size_t)h->db->page_size) : NULL;
	bool is_other = bytes && is_other_page(h, bytes, bytes + h->db->page_size);

	free(bytes);
	return is_other;
}

enum status hold_take_baseline(struct wal_hold *h, struct error *err)
{
	if (h->has_baseline && !h->is_baseline_fresh) {
		return ST_OK;
	}
	h->has_baseline = fstat(h->db->db_fd, &h->baseline) == 0;
	h->is_baseline_fresh = clock_wall_ns() - clock_ns_of(h->baseline.st_mtim) <=
			       file_time_tick_ns(&h->baseline.st_mtim);
	return is_other_file(h) ? hold_written_past(h, err) : ST_OK;
}

enum status hold_check_baseline(struct wal_hold *h, struct error *err)
{
	struct stat now;

	if (!h->has_baseline || fstat(h->db->db_fd, &now) != 0) {
		return ST_OK;
	}
	return now.st_size != h->baseline.st_size ||
		       !file_time_same(&now.st_mtim, &h->baseline.st_mtim)
		   ? hold_written_past(h, err)
		   : ST_OK;
}
