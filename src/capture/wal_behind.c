/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/wal_behind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/file_time.h"
#include "src/base/quote.h"
#include "src/capture/wal_frames.h"

#define MODE_AT  18 /* bytes of the header: 2 and 2 in WAL mode */
#define MODE_WAL 2

static enum status open_database(const char *path, int *fd, struct stat *st,
				 uint8_t head[DB_HEADER_SIZE], struct error *err)
{
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (*fd < 0 || fstat(*fd, st) != 0) {
		return error_set_errno(err, errno, "%s cannot be read",
				       quote(path).text);
	}
	if (!S_ISREG(st->st_mode)) {
		return error_set(err, ST_UNFIT, "%s: is no file", quote(path).text);
	}
	memset(head, 0, DB_HEADER_SIZE);
	return file_read_at(*fd, (char *)head, DB_HEADER_SIZE, 0) >= 0
		   ? ST_OK
		   : error_set_errno(err, errno, "%s cannot be read", quote(path).text);
}

static bool is_in_wal_mode(const uint8_t *head)
{
	return head[MODE_AT] == MODE_WAL && head[MODE_AT + 1] == MODE_WAL;
}

static void later(int64_t *at, int64_t ns)
{
	*at = ns > *at ? ns : *at;
}

/* Is the frame of the place still there? */
static bool goes_on(const struct wal_frames *wal, const struct wal_place *place)
{
	uint8_t *page = malloc(wal->page_size);
	uint64_t proof;
	bool is_same =
	    page && place->proof != 0 && wal->count >= place->frame &&
	    wal_frame_proof(wal->fd, wal->page_size, place->frame, page, &proof) &&
	    proof == place->proof;

	free(page);
	return is_same;
}

static bool is_same_life(const struct wal_frames *wal, const struct wal_place *place)
{
	struct wal_header header;
	struct error ignored;

	return place->frame > 0 &&
	       wal_header_parse(wal->head, &header, &ignored) == ST_OK &&
	       memcmp(header.salt, place->salt, sizeof header.salt) == 0;
}

static void doubt(struct wal_behind *out, const char *why)
{
	out->is_exact = false;
	out->why = why;
}

static void count_behind(const struct wal_frames *wal, uint32_t after,
			 struct wal_behind *out)
{
	if (wal->count > after) {
		out->transactions = wal_frames_commits(wal, after);
		out->bytes = wal_frame_offset(wal->count + 1, wal->page_size) -
			     wal_frame_offset(after + 1, wal->page_size);
	}
}

/* Nothing is known of a time between the place and what is there now. */
static void judge_gap(const struct wal_known *known, const struct stat *database,
		      bool has_frames, struct wal_behind *out)
{
	const struct timespec *written = &database->st_mtim;

	if (known->is_held || meta_is_untouched(known->meta, known->lsn, database)) {
		return;
	}
	/* What was in a WAL that is begun anew, or gone, is in the file now. */
	if (known->captured_ns > 0 &&
	    clock_ns_of(*written) + file_time_tick_ns(written) < known->captured_ns &&
	    !has_frames) {
		return;
	}
	doubt(out, has_frames ? "the WAL was begun anew since"
			      : "the database file was written to since, and the WAL "
				"is empty");
}

static void judge(const struct wal_frames *wal, const struct wal_known *known,
		  const struct stat *database, struct wal_behind *out)
{
	if (wal->count == 0) {
		judge_gap(known, database, false, out);
		return;
	}
	if (!is_same_life(wal, &known->place)) {
		count_behind(wal, 0, out);
		judge_gap(known, database, true, out);
		return;
	}
	count_behind(wal, known->place.frame, out);
	if (!goes_on(wal, &known->place)) {
		doubt(out, "the WAL is not the one that was read");
	}
}

/* No page is smaller than 512 bytes. */
static uint32_t most_pages(const struct stat *st)
{
	return st->st_size / 512 > UINT32_MAX ? UINT32_MAX
					      : (uint32_t)(st->st_size / 512);
}

enum status wal_behind_find(const char *path, const struct wal_known *known,
			    struct wal_behind *out, struct error *err)
{
	struct wal_frames wal = {.fd = -1};
	uint8_t head[DB_HEADER_SIZE];
	struct stat st, wal_st;
	int fd = -1;
	enum status status = open_database(path, &fd, &st, head, err);

	*out = (struct wal_behind){.is_exact = true};
	if (status == ST_OK) {
		status = wal_frames_open(&wal, path, fd, most_pages(&st), err);
	}
	if (status == ST_OK) {
		later(&out->changed_ns, clock_ns_of(st.st_mtim));
		if (wal.fd >= 0 && fstat(wal.fd, &wal_st) == 0 && wal.count > 0) {
			later(&out->changed_ns, clock_ns_of(wal_st.st_mtim));
		}
		judge(&wal, known, &st, out);
		if (st.st_size > 0 && wal.count == 0 && !is_in_wal_mode(head)) {
			doubt(out, "it is not in WAL mode any more");
		}
		wal_frames_close(&wal);
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	return status;
}
