/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/capture.h -- committed transactions out of the WAL, none missed.
 *
 * One thread of its own holds the WAL (src/capture/wal_hold.h), copies committed frames
 * and pre-images into the spool, runs the checkpoints that it keeps others from,
 * and never waits for anything else: not for decoding, not for a sink.
 *
 * OWNERSHIP  capture_open gives the caller a handle, capture_close frees it; a
 *            transaction taken with capture_next is given to the history's done.
 * THREADS    All calls from the one decoding thread; the capture thread is inside.
 * ERRORS     ST_UNFIT: cannot be followed (exit 3). ST_CONFIG: the kernel names no
 *            writers to us. ST_STOPPED: capture_open waited
 *            and was asked to stop, or interrupted by a signal. ST_LOST: the file was
 *            replaced, changed past SQLite, or a cap was reached (exit 1). ST_IO,
 *            ST_NOMEM.
 */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/capture/source_wait.h"
#include "src/history/history.h"
#include "src/history/source.h"

struct capture_settings {
	const char *path;            /* as the user gave it; borrowed until close */
	const _Atomic int *stop;     /* may be NULL: ends the waits of capture_open */
	bool is_once;                /* waits for an application 4 s at most */
	bool escalate;               /* hold.escalate: may take the write lock */
	bool names_writers;          /* audit.process: transactions have `writers` */
	uint64_t hold_max_wal_bytes; /* hold.max.wal.bytes */
	struct history *history;     /* borrowed; closed after capture_close */
	/* While capture_open compares, every MiB; may be NULL. */
	void (*progress)(void *context, uint32_t pages, uint32_t page_count);
	void *context;
	uint64_t least_lsn; /* of a new history: LSNs begin there */
};

struct capture;

/*
 * Open the database, check that it can be followed, take the hold, and read what
 * the WAL has: afterwards nothing that is committed is missed. A database that
 * another process has locked exclusively is tried for 4 s, saying so.
 * `*first` is the state at which following starts, in the form of a transaction:
 * lsn L0, page counts, the last frame of each page in the WAL; to be given to the
 * history's done. Where an earlier run has come to an end there is none (NULL): what
 * was committed since then comes out of capture_next, as the transactions that they
 * were where that can be proven, else as one made by comparing.
 */
enum status capture_open(const struct capture_settings *settings, struct capture **out,
			 struct captured_txn **first, struct error *err) MUST_CHECK;

/* Start the history, and the capture thread (signals blocked in it). */
enum status capture_start(struct capture *capture, struct error *err) MUST_CHECK;

/*
 * Before capture_close of a run that ends well. Where all that is committed can be
 * brought into the database file within 500 ms, it is, and if nobody else has the
 * database open, the WAL is emptied; else the WAL stays as it is. Where a later run
 * goes on, all of it is appended first, and the file's stat is noted while nobody can
 * change it (meta.clean_*). Takes at most about 3 s.
 */
void capture_stop_clean(struct capture *capture);

/* Let go of everything, in the order that keeps locks right, and free. After a run that
 * failed the file is made complete as above, but nothing is noted. No file of the
 * database is removed. Takes NULL. */
void capture_close(struct capture *capture);

/* The history's next, and where that has none: why the capture thread has stopped. */
enum status capture_next(struct capture *capture, struct captured_txn **txn,
			 struct error *err) MUST_CHECK;

/*
 * Wait until everything that was committed when this was called is captured, and give
 * the LSN of the last such transaction. ST_STOPPED when `*stop` becomes true.
 */
enum status capture_reach_now(struct capture *capture, const _Atomic int *stop,
			      uint64_t *lsn, struct error *err) MUST_CHECK;

/* The same calls, and the database's file, for who takes any source. */
struct source *capture_source(struct capture *capture);

/* A descriptor on the database file (borrowed; never close it, that would drop SQLite's
 * locks). */
int capture_database_fd(const struct capture *capture);
uint32_t capture_page_size(const struct capture *capture);
/* What is still open of a database whose hold was lost, for source_wait. */
struct source_left capture_left(const struct capture *capture);

#endif
