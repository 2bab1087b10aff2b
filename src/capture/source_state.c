/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/source_state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"
#include "src/capture/wal_frame.h"

static bool is_same_life(const struct wal_index_header *header,
			 const struct wal_place *end)
{
	return end->frame > 0 && memcmp(header->salt, end->salt, sizeof end->salt) == 0;
}

/* Does the WAL go on from `end`: is the same frame still there? */
static bool continues(const struct db_handles *db,
		      const struct wal_index_header *header,
		      const struct wal_place *end, uint8_t *page)
{
	uint64_t proof;

	return is_same_life(header, end) && end->proof != 0 &&
	       header->frame_count >= end->frame &&
	       header->page_size == db->page_size &&
	       wal_frame_proof(db->wal_fd, db->page_size, end->frame, page, &proof) &&
	       proof == end->proof;
}

bool source_find_end(const struct db_handles *db, const struct wal_index_header *header,
		     const struct wal_place *end, bool is_untouched, uint8_t *page,
		     uint32_t *frame)
{
	if (continues(db, header, end, page)) {
		*frame = end->frame;
		return true;
	}
	*frame = 0;
	return is_untouched && !is_same_life(header, end);
}

enum status source_count_pages(const char *path, const uint8_t *head,
			       uint32_t page_size, uint64_t len, uint32_t *pages,
			       struct error *err)
{
	uint64_t in_file = (len + page_size - 1) / page_size;
	struct db_header header;

	if (db_header_read(head, &header, err) != ST_OK) {
		(void)error_wrap(err, "%s: is corrupt, restore it from a backup",
				 quote(path).text);
		return err->status = ST_UNFIT;
	}
	*pages = in_file > UINT32_MAX ? UINT32_MAX : (uint32_t)in_file;
	/* The count in page 1 holds if the same writer wrote both. */
	if (header.page_count == 0 || memcmp(head + 24, head + 92, 4) != 0) {
		return ST_OK;
	}
	if (header.page_count > in_file) {
		return error_set(err, ST_UNFIT,
				 "%s: is cut off, it should have %" PRIu32
				 " pages and has %" PRIu64 "; restore it from a backup",
				 quote(path).text, header.page_count, in_file);
	}
	*pages = header.page_count;
	return ST_OK;
}

enum status source_page_count(const struct db_handles *db, uint32_t *pages,
			      struct error *err)
{
	uint8_t bytes[DB_HEADER_SIZE];
	struct stat st;

	if (fstat(db->db_fd, &st) != 0 ||
	    !file_read_exactly(db->db_fd, bytes, sizeof bytes, 0)) {
		return error_set_errno(err, errno, "%s: cannot be read",
				       quote(db->path).text);
	}
	return source_count_pages(db->path, bytes, db->page_size, (uint64_t)st.st_size,
				  pages, err);
}
