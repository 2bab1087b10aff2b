/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/wal_watch.h -- sleep until the WAL may have grown.
 *
 * inotify tells of writes to the WAL and the database file, but *before* the
 * wal-index header is updated (with synchronous=FULL an fsync lies between): an event
 * means "look soon, and again", never "there is something". It tells as well when one
 * of the three files is removed, renamed or cut. Without inotify (too many watches)
 * every wait is a short sleep.
 *
 * OWNERSHIP  wal_watch_open / wal_watch_close.
 * THREADS    wal_watch_wake: any. The rest: the capture thread.
 * ERRORS     ST_IO only for the wake descriptor; a missing inotify is no error.
 */
#ifndef WAL_WATCH_H
#define WAL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"

struct wal_watch;

enum status wal_watch_open(const char *db_path, const char *wal_path,
			   const char *shm_path, struct wal_watch **out,
			   struct error *err) MUST_CHECK;
void wal_watch_close(struct wal_watch *watch); /* takes NULL */

/* Sleep `ns` whatever happens to the files; ends early only by wal_watch_wake. */
void wal_watch_sleep(struct wal_watch *watch, int64_t ns);

/* Sleep until something happens to a file, at most `ns`. True: something did. */
bool wal_watch_wait(struct wal_watch *watch, int64_t ns);

/* Forget what was written until now. */
void wal_watch_drain(struct wal_watch *watch);
/* Drains since the last wait have met something: perhaps the write of a commit that is
 * not to be seen yet, and will not be told of again. */
bool wal_watch_has_drained(const struct wal_watch *watch);

/* Has something other than a write happened to one of them, such as the removal of a
 * name, since this was last asked? As far as waits and drains have seen. */
bool wal_watch_names_changed(struct wal_watch *watch);
/* The same for a close of the database file by somebody. */
bool wal_watch_was_closed(struct wal_watch *watch);
/* When something was last told, of clock_mono_ns; at first, when the watch was opened.
 * As far as waits and drains have seen. */
int64_t wal_watch_heard_ns(const struct wal_watch *watch);
/* There is no inotify: nothing is told. */
bool wal_watch_is_blind(const struct wal_watch *watch);

/* End the current or the next sleep. */
void wal_watch_wake(struct wal_watch *watch);

#endif
