/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/wal_look.h -- a WAL as it is now, for who only looks and maps nothing: so
 * whoever cuts it meanwhile costs no more than another look.
 *
 * What is committed is found as src/capture/wal_committed.h has it. Nothing is written,
 * created or locked.
 *
 * OWNERSHIP  wal_look_open / wal_look_close, of the caller's struct.
 * THREADS    No shared state; of a process that has nothing open on the database.
 * ERRORS     ST_RETRY: it is being written. ST_IO: it cannot be read.
 */
#ifndef WAL_LOOK_H
#define WAL_LOOK_H

#include <stdint.h>

#include "src/base/status.h"
#include "src/capture/wal_frame.h"

/* Room for two of the largest pages, or for one and its header. */
#define WAL_LOOK_BYTES (2u << 16)

struct wal_look {
	int fd; /* of the WAL; -1: there is none */
	uint8_t head[WAL_HEADER_BYTES];
	struct wal_header header;
	uint32_t frames;     /* that the file has room for; 0: or it has no header */
	uint32_t count;      /* that are committed */
	uint32_t page_count; /* of the database after them; 0: there are none */
};

/* `path`: that of the database, links resolved, and `db_fd` is open on it; `bytes` are
 * WAL_LOOK_BYTES of scratch. Nothing is open after an error. */
enum status wal_look_open(const char *path, int db_fd, uint8_t *bytes,
			  struct wal_look *out, struct error *err) MUST_CHECK;
void wal_look_close(struct wal_look *wal);

/* ST_RETRY: it was begun anew or cut since. */
enum status wal_look_check(const char *path, const struct wal_look *wal,
			   struct error *err) MUST_CHECK;

#endif
