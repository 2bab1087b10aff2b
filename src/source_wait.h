/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/source_wait.h -- a database file that was replaced or written over: wait until it
 * is whole.
 *
 * Who copies a file into the place of another takes none of SQLite's locks. It is taken
 * for whole when it has stood still for a second and has the pages that its header
 * speaks of; or has them, and another process has it open through SQLite, which then
 * keeps it from standing still.
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

/* The WAL of a file that was replaced by another one: SQLite would take it for the new
 * one's. */
struct source_left {
	bool is_known;
	dev_t device;
	ino_t inode;
};

/* ST_LOST: it is gone for 5 s; or was no whole database, or had the WAL that is left
 * over beside it, for a minute without changing. ST_STOPPED when a stop is asked for
 * (src/stop.h). */
enum status source_wait(const char *path, const struct source_left *left,
			struct error *err) MUST_CHECK;

/* Sleep, unless a stop is asked for: ST_STOPPED. */
enum status source_pause(int64_t ns, struct error *err) MUST_CHECK;

#endif
