/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/history/history.h -- the transactions of one database, from the one who captures
 * them to the one who decodes them.
 *
 *     capture: prepare ─► [find_end] ─► append … ─► [put_clean] ─► stop
 *     decoding:                 start ─► next ─► done ─► …              close
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
 * THREADS    Up to settle: the capture thread, or who opens, before there is one.
 *            The rest: the decoding thread. check: any.
 * ERRORS     ST_IO (error_is_full: may be tried again), ST_DAMAGED, ST_NOMEM.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "src/base/status.h"
#include "src/history/spool.h"
#include "src/history/transaction.h"

/* Where an earlier run has come to: D. */
struct history_end {
	uint64_t lsn;
	uint32_t page_count;
	struct wal_place place;
};

struct history {
	/* What it is like; does not change. */
	uint64_t read_bytes;  /* most images that are read before they are appended */
	bool saves_preimages; /* pages that no transaction has are read from the
			       * database file: before that may change, they are
			       * saved, and what it has need not be kept twice */
	bool keeps_places;    /* wants captured_txn.place */
	bool goes_on;         /* what a stop captures is of use to a later run */
	const char *slow_advice; /* behind a message that the output is too slow */

	struct spool *spool; /* from prepare on; the history's */
	int wake_fd;         /* an eventfd: readable when next may have something new */
	_Atomic uint64_t decoded_lsn; /* what was given to done last */

	/* The page size is known. ST_CONFIG: it is not the one that the history has. */
	enum status (*prepare)(struct history *history, uint32_t page_size,
			       struct error *err);

	/* --- of an earlier run; before start --- */

	/* False: there was none, the state at the start is given to begin. */
	bool (*find_end)(const struct history *history, struct history_end *end);
	/* The database file is as its clean stop has left it. */
	bool (*is_untouched)(const struct history *history,
			     const struct stat *database);
	/* Hash (shadow_hash_of) of page `page_no` as of D; false: there is none. */
	bool (*hash_at_end)(const struct history *history, uint32_t page_no,
			    uint64_t *hash);
	/* `first`: where it begins. It stays the caller's; its `chain` is filled. */
	enum status (*begin)(struct history *history, struct captured_txn *first,
			     struct error *err);

	/* --- capture --- */

	/* False: what waits to be decoded has reached journal.max.bytes. */
	bool (*has_room)(struct history *history);
	/* On failure the transaction is still the caller's. Who waits for wake_fd is
	 * not woken: history_wake, once for all that come together. */
	enum status (*append)(struct history *history, struct captured_txn *txn,
			      struct error *err);
	/*
	 * Until D is `lsn`, or the time is `until_ns` (clock_mono_ns): then ST_RETRY,
	 * or with `may_outrun` ST_OK: a kill cannot take it away, a power cut could.
	 */
	enum status (*settle)(struct history *history, uint64_t lsn, int64_t until_ns,
			      bool may_outrun, struct error *err);
	/* The file is the state as of `lsn`, and nobody can change it now. */
	enum status (*put_clean)(struct history *history, const struct stat *database,
				 uint64_t lsn, struct error *err);

	/* --- decoding --- */

	/* From now on next has what was appended, as it becomes D. */
	enum status (*start)(struct history *history, struct error *err);
	/* No thread of its own runs any more; all that was appended is D. */
	void (*stop)(struct history *history);
	/* The oldest one. ST_END: none yet. Other errors: nothing will come any more,
	 * for that reason. */
	enum status (*next)(struct history *history, struct captured_txn **txn,
			    struct error *err);
	/* It is decoded past, or is the state at the start. The history's from now on:
	 * the taker keeps nothing of it but slots (src/history/view.h). */
	void (*done)(struct history *history, struct captured_txn *txn);
	/* The error that next would give behind the last one; ST_OK: none. */
	enum status (*check)(struct history *history, struct error *err);

	void (*close)(struct history *history);
};

/* Opens wake_fd; ST_IO. `history` is zeros but for what it is like, and its calls. */
enum status history_init(struct history *history, struct error *err) MUST_CHECK;
void history_clear(struct history *history);

void history_wake(const struct history *history);
/* Until the next wake, wake_fd is not readable. */
void history_slept(const struct history *history);

#endif
