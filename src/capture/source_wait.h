/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/source_wait.h -- a database file that was replaced or written over: wait
 * until it is whole.
 *
 * Copying a file into the place of another takes none of SQLite's locks. The file
 * counts as whole when it has the pages that its header speaks of, and either has not
 * changed for a second, or another process has it open through SQLite, and so keeps
 * changing it.
 *
 * THREADS  One that has nothing of this process open on the file: closing a descriptor
 *          on it would drop SQLite's locks.
 */
#ifndef SOURCE_WAIT_H
#define SOURCE_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "src/base/status.h"

/*
 * What was open when the hold was lost. Descriptors, -1 where there is none, may be
 * asked who else has the file open, and source_wait closes them.
 */
struct source_left {
	int db_fd;
	int shm_fd;
	bool was_replaced; /* another file was at the name of the database */
	/* Its WAL. SQLite would take it for that of a file that is put in its place. */
	dev_t wal_device;
	ino_t wal_inode;
	bool had_frames; /* then */
};

struct source_left source_left_none(void);

/*
 * Waits also while another process uses a -wal or -shm that has lost its name: only its
 * close brings what it commits into the file, if nobody else has that open. Says so.
 * ST_LOST: the file is gone for 5 s; or was no whole database, or had the WAL that is
 * left over beside it, for a minute without changing. ST_STOPPED when a stop is asked
 * for (src/base/stop.h). `*left` is closed whatever comes of it.
 */
enum status source_wait(const char *path, struct source_left *left,
			struct error *err) MUST_CHECK;

/* Sleep, unless a stop is asked for: ST_STOPPED. */
enum status source_pause(int64_t ns, struct error *err) MUST_CHECK;

#endif
