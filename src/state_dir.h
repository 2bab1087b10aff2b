/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state_dir.h -- the folder of --state: whose it is, and how far the sink is.
 *
 *     DIR/lock       held while a process runs (its pid inside)
 *     DIR/meta       identity and S: replaced whole (write, fsync, rename, fsync DIR)
 *     DIR/position   A: two records, written in turn; the newer valid one counts
 *     DIR/shadow     the database as of S          (src/shadow.h)
 *     DIR/hashes     a hash of each page of it     (src/shadow.h)
 *     DIR/frames     page images of the journal    (src/spool.h)
 *     DIR/log-LSN    records of the journal        (src/journal.h)
 *     DIR/error      why the last run ended        (src/last_error.h)
 *     DIR/settings   what shaped its messages      (src/last_settings.h)
 *
 * Integers are little-endian; every record ends with an XXH3 checksum of what is
 * before it. Mode 0700, files 0600: they hold the whole database, so folder and files
 * that are not ours alone are refused (src/base/owned_file.h). docs/state.md has the
 * format byte by byte.
 *
 * OWNERSHIP  state_dir_open / state_dir_close.
 * THREADS    state_dir_put_position: the decoding thread; state_dir_put_unhanded and
 *            state_dir_sync_position: any; the rest: one at a time.
 * ERRORS     ST_CONFIG: in use by another process, of another database, of an unknown
 *            version, not ours alone (exit 2). ST_DAMAGED: a checksum is wrong (exit
 * 1). ST_IO. Each names the file and what to do.
 */
#ifndef STATE_DIR_H
#define STATE_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"

#define STATE_VERSION    1
#define STATE_UUID_BYTES 16

/* For messages about damage: what to do, and what that costs. */
#define STATE_BEGIN_ANEW                                                       \
	"start again: a new snapshot will be taken, all rows come again, and " \
	"deletions that were not delivered yet are not told"
#define STATE_MOVE_AWAY "move the state directory away and " STATE_BEGIN_ANEW

/* File `meta`. */
struct state_meta {
	uint8_t uuid[STATE_UUID_BYTES];
	uint32_t page_size;   /* of the database, bytes */
	uint64_t epoch;       /* a random number of each copy and catch-up */
	int64_t begun_ns;     /* wall clock when the copy was complete */
	uint64_t base_lsn;    /* S: the shadow is the database as of here */
	uint32_t base_pages;  /* its size, pages */
	uint64_t base_chain;  /* the journal's checksum there */
	uint8_t base_salt[8]; /* where S stands in the application's WAL: its salts, */
	uint32_t base_frame;  /* the commit frame, 0: none, */
	uint64_t base_proof;  /* and the hash of that frame */
	/* The last clean stop (zeros: none since): the database's stat while nobody
	 * could change it, and the LSN that it is the state of. */
	bool is_clean;
	uint64_t clean_lsn;
	uint64_t clean_device, clean_inode, clean_size;
	int64_t clean_mtime_ns, clean_ctime_ns;
};

/* File `position`: what the sink has acknowledged. */
struct state_position {
	uint64_t lsn;       /* A: all of the transactions up to here */
	uint64_t messages;  /* and so many of the next one's */
	bool in_snapshot;   /* the next one is the initial snapshot, at lsn itself */
	uint64_t change_id; /* of the last event acknowledged */
	uint64_t txn_change_id; /* the same where the next transaction begins */
	uint64_t previous_lsn;  /* of the last transaction that gave an event */
	uint64_t settings_hash; /* of what shapes the sequence of messages */
	uint64_t sink_inode;    /* file sink: the file, and how long it is */
	uint64_t sink_length;
	uint64_t sink_start; /* how long it was where the next transaction begins */
	uint64_t sink_proof; /* a hash of what is before sink_length */
	bool in_kafka;       /* Kafka has, or had, a position of this directory */
	/* Nothing from this LSN on was handed to the sink; 0: that is not known. Set by
	 * state_dir_put_unhanded only. */
	uint64_t unhanded_lsn;
};

struct state_dir;

/*
 * Open `path`, making the folder (but not its parents) if there is none, and take the
 * lock. `database_path` is real (resolved); another one in a directory that is in use
 * is ST_CONFIG, unless it is the same one at another path (src/same_database.h).
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
 * Open `path` to read what is there, whose ever it is, and change nothing; nothing may
 * be put into it.
 * With `shared` no process can take it until it is closed: one that has is ST_CONFIG.
 * Without, it is as it was at some moment, and a process may go on with it. A folder
 * that no process ever had as its own is ST_CONFIG. `*is_new` as state_dir_open.
 */
enum status state_dir_read(const char *path, bool shared, struct state_dir **out,
			   bool *is_new, struct error *err) MUST_CHECK;

/* The process that has taken it: 0 is none, -1 one that is not known. */
long state_dir_holder(const struct state_dir *dir);

/* The real path of the database that it is of; NULL: not known yet. */
const char *state_dir_database(const struct state_dir *dir);

/* The folder, for openat; borrowed. */
int state_dir_fd(const struct state_dir *dir);
const char *state_dir_path(const struct state_dir *dir);

/* What open read (zeros: nothing yet); of meta, what was put since. */
const struct state_meta *state_dir_meta(const struct state_dir *dir);
const struct state_position *state_dir_position(const struct state_dir *dir);

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

/* What is in it counts no more: the next start begins anew. Durable. */
enum status state_dir_forget(struct state_dir *dir, struct error *err) MUST_CHECK;
/* That one; durable when it returns. The rest of the position stays. */
enum status state_dir_put_unhanded(struct state_dir *dir, uint64_t lsn,
				   struct error *err) MUST_CHECK;

#endif
