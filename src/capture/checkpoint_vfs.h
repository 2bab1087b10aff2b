/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/checkpoint_vfs.h -- SQLite's own VFS, with a deadline for the syncs of a
 * checkpoint.
 *
 * A checkpoint syncs the WAL, copies pages into the database file, syncs that, and only
 * then says in the wal-index how far it came. Where a sync fails the last step is left
 * out: all that has happened is that pages were copied which will be copied again. So a
 * sync that is not done by the deadline is reported as SQLITE_BUSY and goes on in the
 * background (src/base/bounded_sync.h), and writers at the gate wait no longer.
 *
 * FORMAT     SQLite's wal.c, walCheckpoint: an error of xSync keeps nBackfill.
 * OWNERSHIP  checkpoint_vfs_open / checkpoint_vfs_close, after the last connection that
 *            uses it; the descriptors are borrowed.
 * THREADS    The thread of the connection.
 * ERRORS     ST_NOMEM, ST_IO.
 */
#ifndef CHECKPOINT_VFS_H
#define CHECKPOINT_VFS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"

struct checkpoint_vfs;

enum status checkpoint_vfs_open(struct checkpoint_vfs **out,
				struct error *err) MUST_CHECK;
void checkpoint_vfs_close(struct checkpoint_vfs *vfs); /* takes NULL */

/* For sqlite3_open_v2; borrowed. */
const char *checkpoint_vfs_name(const struct checkpoint_vfs *vfs);

/* Descriptors of ours on the files that SQLite syncs. */
void checkpoint_vfs_use(struct checkpoint_vfs *vfs, int db_fd, int wal_fd);

/* From now on syncs end by this time of clock_mono_ns; 0: they take their time. */
void checkpoint_vfs_limit(struct checkpoint_vfs *vfs, int64_t until_ns);
/* Was a sync since the last checkpoint_vfs_limit not done in time? */
bool checkpoint_vfs_was_late(const struct checkpoint_vfs *vfs);

/* About how many nanoseconds a sync takes, by those that there were; 0: none. */
int64_t checkpoint_vfs_sync_ns(const struct checkpoint_vfs *vfs);
/* The same of those with a deadline: mostly little is left for them to write. */
int64_t checkpoint_vfs_bounded_ns(const struct checkpoint_vfs *vfs);
/* Count a sync that was made elsewhere. */
void checkpoint_vfs_count(struct checkpoint_vfs *vfs, int64_t took_ns);

#endif
