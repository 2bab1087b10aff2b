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
#include "src/capture/wal_look.h"

#define TRIES    100
#define PAUSE_NS (5 * NS_PER_MS)

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

/* ---- the WAL ---- */

static bool is_same_page(const struct wal_look *wal, uint32_t frame_no, uint8_t *bytes)
{
	size_t len = wal->header.page_size;
	off_t at = (off_t)wal_frame_offset(frame_no, wal->header.page_size);
	off_t before = (off_t)wal_frame_offset(frame_no - 1, wal->header.page_size);

	return file_read_exactly(wal->fd, bytes, len, at + WAL_FRAME_HEADER_BYTES) &&
	       file_read_exactly(wal->fd, bytes + len, len,
				 before + WAL_FRAME_HEADER_BYTES) &&
	       memcmp(bytes, bytes + len, len) == 0;
}

/* Transactions behind frame `after`. A commit frame that SQLite has repeated, to fill a
 * sector, is none of its own. `bytes` has room for two pages. */
static uint64_t count_commits(const struct wal_look *wal, uint32_t after,
			      uint8_t *bytes)
{
	struct wal_frame before = {0};
	uint64_t commits = 0;

	for (uint32_t i = after + 1; i <= wal->count; i++) {
		uint8_t head[WAL_FRAME_HEADER_BYTES];
		struct wal_frame frame;

		if (!file_read_exactly(
			wal->fd, head, sizeof head,
			(off_t)wal_frame_offset(i, wal->header.page_size))) {
			return commits;
		}
		wal_frame_parse(head, &frame);
		commits += frame.commit != 0 &&
			   !(before.commit != 0 && before.page_no == frame.page_no &&
			     is_same_page(wal, i, bytes));
		before = frame;
	}
	return commits;
}

static void doubt(struct wal_behind *out, const char *why)
{
	out->is_exact = false;
	out->why = why;
}

/* Is the frame of the place still there? */
static bool goes_on(const struct wal_look *wal, const struct wal_place *place,
		    uint8_t *bytes)
{
	uint64_t proof;

	return place->proof != 0 && wal->count >= place->frame &&
	       wal_frame_proof(wal->fd, wal->header.page_size, place->frame, bytes,
			       &proof) &&
	       proof == place->proof;
}

static bool is_same_life(const struct wal_look *wal, const struct wal_place *place)
{
	return place->frame > 0 &&
	       memcmp(wal->header.salt, place->salt, sizeof place->salt) == 0;
}

static void count_behind(const struct wal_look *wal, uint32_t after, uint8_t *bytes,
			 struct wal_behind *out)
{
	if (wal->count > after) {
		out->transactions = count_commits(wal, after, bytes);
		out->bytes = wal_frame_offset(wal->count + 1, wal->header.page_size) -
			     wal_frame_offset(after + 1, wal->header.page_size);
	}
}

/* ---- what came after ---- */

/* When it was written to, moved or given these times. */
static int64_t changed_ns(const struct stat *st)
{
	int64_t written = clock_ns_of(st->st_mtim) + file_time_tick_ns(&st->st_mtim);
	int64_t changed = clock_ns_of(st->st_ctim) + file_time_tick_ns(&st->st_ctim);

	return written > changed ? written : changed;
}

/* Nothing is known of a time between the place and what is there now. */
static void judge_gap(const struct wal_known *known, const struct stat *database,
		      bool has_frames, struct wal_behind *out)
{
	if (known->is_held || meta_is_untouched(known->meta, known->lsn, database)) {
		return;
	}
	/* What was in a WAL that is begun anew, or gone, is in the file now. */
	if (known->captured_ns > 0 && changed_ns(database) < known->captured_ns &&
	    !has_frames) {
		return;
	}
	doubt(out, has_frames ? "the WAL was begun anew since"
			      : "the database file was written to since, and the WAL "
				"is empty");
}

static void judge(const struct wal_look *wal, const struct wal_known *known,
		  const struct stat *database, uint8_t *bytes, struct wal_behind *out)
{
	*out = (struct wal_behind){.is_exact = true, .end.frame = wal->count};
	memcpy(out->end.salt, wal->header.salt, sizeof out->end.salt);
	if (wal->count == 0) {
		judge_gap(known, database, false, out);
		return;
	}
	if (!is_same_life(wal, &known->place)) {
		count_behind(wal, 0, bytes, out);
		judge_gap(known, database, true, out);
		return;
	}
	count_behind(wal, known->place.frame, bytes, out);
	if (!goes_on(wal, &known->place, bytes)) {
		doubt(out, "the WAL is not the one that was read");
	}
}

/* Once; ST_RETRY: it is being written. */
static enum status look(const char *path, int db_fd, const struct wal_known *known,
			const struct stat *st, struct wal_behind *out,
			struct error *err)
{
	struct wal_look wal;
	uint8_t *bytes = malloc(WAL_LOOK_BYTES);
	enum status status = bytes ? wal_look_open(path, db_fd, bytes, &wal, err)
				   : error_no_memory(err, "a frame of a WAL");

	if (status == ST_OK) {
		judge(&wal, known, st, bytes, out);
		status = wal_look_check(path, &wal, err);
		wal_look_close(&wal);
	}
	free(bytes);
	return status;
}

enum status wal_behind_find(const char *path, const struct wal_known *known,
			    struct wal_behind *out, struct error *err)
{
	enum status status = ST_RETRY;

	for (int i = 0; status == ST_RETRY && i < TRIES; i++) {
		uint8_t head[DB_HEADER_SIZE];
		struct stat st;
		int fd = -1;

		if (i > 0) {
			clock_sleep_ns(PAUSE_NS);
		}
		status = open_database(path, &fd, &st, head, err);
		if (status == ST_OK) {
			status = look(path, fd, known, &st, out, err);
		}
		if (status == ST_OK && out->end.frame == 0 && st.st_size > 0 &&
		    !db_header_is_wal(head)) {
			doubt(out, "it is not in WAL mode any more");
		}
		if (fd >= 0) {
			(void)close(fd);
		}
	}
	return status;
}
