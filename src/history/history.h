/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/history/history.h -- the transactions of one database, from the one who captures
 * them to the one who decodes them.
 *
 *     capture: prepare ─► [find_end] ─► append … ─► [put_clean] ─► stop
 *     decoding:  start ─► open_view ─► next ─► done ─► … acknowledged … finish ─► close
 *
 * A history is temporary (src/history/temporary.h: as long as the run) or durable
 * (src/state/durable.h: a state directory, from which a later run goes on). What is
 * different about them is said by the fields and calls below; nobody asks which one it
 * is.
 *
 * LSN D is the last transaction that next may give: of a temporary history the last one
 * that was appended, of a durable one the last that a power cut cannot take away.
 *
 * OWNERSHIP  Whoever opened it calls close. A transaction is the history's from append
 *            on, its taker's from next to done. captured_txn_free: one that was not
 *            appended, or is not given to done.
 * THREADS    The calls up to settle: the capture thread; while there is none, and all
 *            others: the decoding thread. check: any.
 * ERRORS     ST_IO (error_is_full: may be tried again), ST_DAMAGED, ST_NOMEM.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "src/base/status.h"
#include "src/history/listener.h"
#include "src/history/spool.h"
#include "src/history/transaction.h"
#include "src/history/view.h"

/* Where an earlier run has come to: D. */
struct history_end {
	uint64_t lsn;
	uint32_t page_count;
	struct wal_place place;
};

/* What the first view is made with. */
struct history_base {
	struct view_base pages;  /* under everything that is appended */
	int source_fd;           /* the same as a file, for who copies it; borrowed */
	uint32_t page_size;      /* bytes */
	int64_t begun_ns;        /* wall clock of its state; 0: it is that of now */
	const _Atomic int *stop; /* ends a copy of the database: ST_STOPPED */
	int stop_fd;             /* for poll: readable when *stop becomes true */
	/* Of such a copy, now and then. */
	void (*progress)(void *context, uint32_t pages, uint32_t page_count);
	/* Wait until all that is committed now was appended, and give its LSN. */
	enum status (*reach)(void *context, uint64_t *lsn, struct error *err);
	void *context;
};

struct history {
	/* What it is like; does not change. */
	uint64_t read_bytes;  /* most images that are read before they are appended */
	bool saves_preimages; /* pages that no transaction has are read from the
			       * database file: they are saved before it may change,
			       * and versions that it has are not kept */
	bool keeps_places;    /* wants captured_txn.place */
	bool goes_on;         /* what a stop captures is of use to a later run */
	bool copies;          /* open_view copies the database, which may take long */
	const char *slow_advice; /* ends a message that the output is too slow */

	/* Of a durable one: who is told of what becomes D; NULL: nobody. Set before
	 * start, borrowed until close. */
	struct listener *listener;

	struct spool *spool; /* from prepare on; the history's */
	int wake_fd;         /* an eventfd: readable when next may have something new */
	struct view *view;   /* from open_view on; the history's */
	int64_t begun_ns;    /* wall clock of the state at the start; from there on */
	int64_t known_ns;    /* wall clock: what an earlier run has captured is not all
			      * older; 0: not known; from there on */
	uint64_t chain;      /* the journal's checksum at the first view; from there on;
			      * 0: there is no journal */
	int work_fd;         /* readable when acknowledged has something to do; -1 */
	_Atomic uint64_t decoded_lsn; /* what was given to done last */

	/* The page size is known. ST_CONFIG: it is not the one that the history has. */
	enum status (*prepare)(struct history *history, uint32_t page_size,
			       struct error *err);

	/* ---- of an earlier run; before start ---- */

	/* False: there was none, the state at the start is given to begin. */
	bool (*find_end)(const struct history *history, struct history_end *end);
	/* The database file is as its clean stop has left it. */
	bool (*is_untouched)(const struct history *history,
			     const struct stat *database);
	/* As of D, page `page_no` is `bytes`. */
	bool (*is_same_at_end)(const struct history *history, uint32_t page_no,
			       const uint8_t *bytes);
	/* `first`: where it begins. It stays the caller's; its `chain` is filled. */
	enum status (*begin)(struct history *history, struct captured_txn *first,
			     struct error *err);

	/* ---- capture ---- */

	/* False: what waits to be decoded has reached journal.max.bytes. */
	bool (*has_room)(struct history *history);
	/* On failure the transaction is still the caller's. It does not wake who waits
	 * for wake_fd: the caller does (event_fd_wake), once for all that come
	 * together. */
	enum status (*append)(struct history *history, struct captured_txn *txn,
			      struct error *err);
	/*
	 * Wait until D is `lsn`. At `until_ns` (clock_mono_ns) ST_RETRY, or ST_OK with
	 * `may_outrun`: then a kill cannot take it away, but a power cut could.
	 */
	enum status (*settle)(struct history *history, uint64_t lsn, int64_t until_ns,
			      bool may_outrun, struct error *err);
	/* The file is the state as of `lsn`, and nobody can change it now. */
	enum status (*put_clean)(struct history *history, const struct stat *database,
				 uint64_t lsn, struct error *err);

	/* ---- decoding ---- */

	/* From now on next has what was appended, as it becomes D. */
	enum status (*start)(struct history *history, struct error *err);
	/* No thread of its own runs any more; all that was appended is D. */
	void (*stop)(struct history *history);
	/*
	 * The view as of what was acknowledged, `*lsn`. `first` is what capture_open
	 * gave (NULL, and `base` is not asked: an earlier run has come to an end), and
	 * the history's from now on. What is after `*lsn` comes out of next.
	 */
	enum status (*open_view)(struct history *history,
				 const struct history_base *base,
				 struct captured_txn *first, uint64_t *lsn,
				 struct error *err);
	/* The oldest one that was not taken. ST_END: none yet. Other errors: nothing
	 * will come any more, for that reason. */
	enum status (*next)(struct history *history, struct captured_txn **txn,
			    struct error *err);
	/* It is decoded past, or is the state at the start. The history's from now on:
	 * the taker keeps nothing of it but slots (src/history/view.h). */
	void (*done)(struct history *history, struct captured_txn *txn);
	/* So much is kept that it should be acknowledged. */
	bool (*is_full)(const struct history *history);
	/* The sink has acknowledged all up to `lsn`: what was kept for it may be given
	 * up, with `now` before this returns, else some of it at some time. */
	enum status (*acknowledged)(struct history *history, uint64_t lsn, bool now,
				    struct error *err);
	/* Wait for what `acknowledged` has begun, so that its errors are seen. */
	enum status (*finish)(struct history *history, struct error *err);
	/* The error that next would give behind the last one; ST_OK: none. */
	enum status (*check)(struct history *history, struct error *err);

	void (*close)(struct history *history);
};

#endif
