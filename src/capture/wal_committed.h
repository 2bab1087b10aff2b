/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/wal_committed.h -- the rules by which who only looks finds what a WAL has
 * that is committed, whatever way its bytes are read in.
 *
 * While somebody has the database open, the header in -shm says how far the WAL is
 * committed. Else the WAL does, as SQLite's recovery reads it: frames with the header's
 * salt and checksums that go on from one to the next, up to the last commit.
 *
 * OWNERSHIP  Descriptors are the caller's.
 * THREADS    No shared state.
 */
#ifndef WAL_COMMITTED_H
#define WAL_COMMITTED_H

#include <stdbool.h>
#include <stdint.h>

#include "src/capture/wal_frame.h"
#include "src/capture/wal_index.h"

/* Open "<path><suffix>" to be read; -1 with errno, ENOENT if it is not there. */
int wal_open_beside(const char *path, const char *suffix);

/* Frames that a WAL of `wal_bytes` has room for. */
uint32_t wal_frames_in(uint64_t wal_bytes, uint32_t page_size);

/*
 * What the index says, of a WAL with this header (NULL: it has none) and room for
 * `frames`. False: it is being written, or is of another life of the WAL.
 */
bool wal_index_tells(int shm_fd, const struct wal_header *header, uint32_t frames,
		     struct wal_index_header *out) MUST_CHECK;

/* The checksum that the first frame goes on from; `head` is the WAL's header. */
void wal_first_sum(const uint8_t *head, const struct wal_header *header,
		   uint32_t sum[2]);
/* Is the frame at `bytes` the one that follows? Then `sum` is its own. */
bool wal_frame_follows(const struct wal_header *header, const uint8_t *bytes,
		       uint32_t sum[2], struct wal_frame *frame) MUST_CHECK;

/* A WAL of which `frames` were committed was not begun anew or cut since its header was
 * read. */
bool wal_still_is(int fd, const uint8_t *head, uint32_t page_size,
		  uint32_t frames) MUST_CHECK;

#endif
