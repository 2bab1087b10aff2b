/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/wal_frames.h -- what a WAL has that is committed, found without SQLite
 * and without a lock, for who only looks.
 *
 * While somebody has the database open, the header in -shm says how far the WAL is
 * committed. Else the WAL does, as SQLite's recovery reads it: frames with the header's
 * salt and checksums that go on from one to the next, up to the last commit. (A process
 * that keeps the WAL for itself, locking_mode=EXCLUSIVE, has no -shm, and its WAL is
 * read in the same way.)
 *
 * Nothing is written, created or locked. Whether it stays true while it is read is for
 * the caller to find out: wal_frames_same.
 *
 * OWNERSHIP  wal_frames_open / wal_frames_close; the caller's struct, zeros before.
 * THREADS    One thread at a time.
 * ERRORS     ST_RETRY: it is being written. ST_UNFIT names the file. ST_IO, ST_NOMEM.
 */
#ifndef WAL_FRAMES_H
#define WAL_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/capture/wal_frame.h"

struct wal_frames {
	int fd;               /* of the WAL; -1: there is none */
	const uint8_t *bytes; /* it, mapped; NULL: it has no header */
	size_t len;
	uint8_t head[WAL_HEADER_BYTES]; /* as it was read */
	uint32_t page_size;             /* bytes; 0: nothing is committed in it */
	uint32_t count;                 /* frames that are committed */
	uint32_t page_count;            /* of the database after them, pages */
	/* Of page n at n - 1: its newest frame, or 0; page_count of them. */
	uint32_t *frames;
};

/* `path` is that of the database, links resolved; `db_fd` is open on it, and file_pages
 * are how many pages its file has. */
enum status wal_frames_open(struct wal_frames *wal, const char *path, int db_fd,
			    uint32_t file_pages, struct error *err) MUST_CHECK;
void wal_frames_close(struct wal_frames *wal);

/* The image of `page_no`; NULL: the WAL has none. Borrowed until the close. */
const uint8_t *wal_frames_page(const struct wal_frames *wal, uint32_t page_no);

/* The WAL was not begun anew or cut: what was found in it still stands there. Frames
 * behind it do not matter. */
bool wal_frames_same(const struct wal_frames *wal);

#endif
