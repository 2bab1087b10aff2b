/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/state_dir.h -- the folder of --state: whose it is, and how far the sink is.
 *
 *     DIR/lock       held while a process runs (its pid inside, and "following")
 *     DIR/meta       identity and S: replaced whole (write, fsync, rename, fsync DIR)
 *     DIR/position   A: two records, written in turn; the newer valid one counts
 *     DIR/shadow     the database as of S          (src/state/shadow.h)
 *     DIR/hashes     a hash of each page of it     (src/state/shadow.h)
 *     DIR/frames     page images of the journal    (src/history/spool.h)
 *     DIR/log-LSN    records of the journal        (src/state/journal.h)
 *     DIR/error      why the last run ended        (src/base/last_error.h)
 *     DIR/outage     since when the sink is away   (the same)
 *     DIR/signals.sock  where signals come in      (src/deliver/signal_socket.h)
 *     DIR/settings   what shaped its messages      (src/state/last_settings.h)
 *     DIR/snapshots  those that were asked for     (src/state/snapshot_file.h)
 *
 * Integers are little-endian; every record ends with an XXH3 checksum of what is
 * before it. Mode 0700, files 0600: they hold the whole database, so folder and files
 * that are not ours alone are refused (src/base/owned_file.h). docs/state.md has the
 * format byte by byte.
 *
 * OWNERSHIP  state_dir_open / state_dir_close.
 * THREADS    state_dir_put_position: the decoding thread; state_dir_put_unhanded and
 *            state_dir_sync_position: any; the rest: one at
 * a time. ERRORS     ST_CONFIG: in use by another process, of another database, of an
 * unknown version, not ours alone (exit 2). ST_DAMAGED: a checksum is wrong (exit 1).
 * ST_IO. Each names the file and what to do.
 */
#ifndef STATE_DIR_H
#define STATE_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/history/advice.h"
#include "src/state/meta_record.h"
#include "src/state/position_record.h"
#include "src/state/snapshot_file.h"

struct state_dir;

/*
 * Open `path`, making the folder (but not its parents) if there is none, and take the
 * lock. `database_path` is real (resolved); another one in a directory that is in use
 * is ST_CONFIG, unless it is the same one at another path (src/state/same_database.h).
 * `*is_new`: there is no meta yet; state_dir_put_meta makes it.
 */
enum status state_dir_open(const char *path, const char *database_path,
			   struct state_dir **out, bool *is_new,
			   struct error *err) MUST_CHECK;
/* The same. `follows_path`: another database is taken, too: this process has followed
 * one by a path that leads to it now. */
enum status state_dir_open_for(const char *path, const char *database_path,
			       bool follows_path, struct state_dir **out, bool *is_new,
			       struct error *err) MUST_CHECK;
void state_dir_close(struct state_dir *dir); /* takes NULL; lets go of the lock */

/*
 * Open `path` to read what is there, whosever it is, and change nothing; nothing may be
 * put into it. With `shared` no process can take it until it is closed; ST_CONFIG if
 * one has it. Without, what is read is of some moment, and a process may go on with it.
 * A folder that never was a state directory is ST_CONFIG. `*is_new` as state_dir_open.
 */
enum status state_dir_read(const char *path, bool shared, struct state_dir **out,
			   bool *is_new, struct error *err) MUST_CHECK;

/*
 * What state_dir_open would find, and say: nothing is made, changed or taken, and a
 * process may work with it. `*out` is NULL: there is nothing yet, and it could be made.
 */
enum status state_dir_look(const char *path, const char *database_path,
			   struct state_dir **out, bool *is_new,
			   struct error *err) MUST_CHECK;
/* ST_CONFIG, if a process has taken it: what state_dir_open would say. */
enum status state_dir_check_free(const struct state_dir *dir,
				 struct error *err) MUST_CHECK;

/* The pid of the process that has taken it; 0: none has, -1: one whose pid is not
 * known. */
long state_dir_holder(const struct state_dir *dir);

/* And it has caught up with what is in the WAL: what it has not is still there. */
bool state_dir_is_following(const struct state_dir *dir);
/* We do, from now on. */
void state_dir_note_following(const struct state_dir *dir);

/* The real path of the database that it is of; NULL: not known yet. */
const char *state_dir_database(const struct state_dir *dir);

/* The folder, for openat; borrowed. */
int state_dir_fd(const struct state_dir *dir);
const char *state_dir_path(const struct state_dir *dir);

/* Synced with the position; NULL: it is open to be read only. */
struct snapshot_file *state_dir_snapshots(const struct state_dir *dir);
/* No run begins before that moment, after a power cut either. */
struct snapshot_moment state_dir_least(struct state_dir *dir);

/* What was read when it was opened (zeros: nothing yet); for meta, what was put since.
 */
const struct state_meta *state_dir_meta(const struct state_dir *dir);
const struct state_position *state_dir_position(const struct state_dir *dir);

/* S <= A <= D, whatever happened; else ST_DAMAGED. The journal ends at `end_lsn`;
 * `torn` says why, or is NULL. */
enum status state_dir_check_end(const struct state_dir *dir, uint64_t end_lsn,
				const char *torn, struct error *err) MUST_CHECK;

/* Durable when it returns, and with a first one the position. The uuid is drawn by the
 * first one and stays, whatever `meta` has; an `epoch` of 0 draws a new one. */
enum status state_dir_put_meta(struct state_dir *dir, const struct state_meta *meta,
			       struct error *err) MUST_CHECK;

/* Survives kill -9 when it returns, a power cut after state_dir_sync_position. */
enum status state_dir_put_position(struct state_dir *dir,
				   const struct state_position *position,
				   struct error *err) MUST_CHECK;
enum status state_dir_sync_position(struct state_dir *dir,
				    struct error *err) MUST_CHECK;

/* Its content counts no more: the next start begins anew. Durable when it returns. */
enum status state_dir_forget(struct state_dir *dir, struct error *err) MUST_CHECK;
/* Set unhanded_lsn alone; durable when it returns. */
enum status state_dir_put_unhanded(struct state_dir *dir, uint64_t lsn,
				   struct error *err) MUST_CHECK;

#endif
