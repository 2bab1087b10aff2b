/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/history/listener.h -- who wants to know what a durable history has, and keeps it
 * elsewhere: an archive.
 *
 *     begin ─► add … ─► run ─► add … settle … ─► the history is closed
 *
 * A transaction is told of when it is durable, before it may be taken. What it says is
 * copied; its images stay in their slots until the listener has settled it.
 *
 * OWNERSHIP  Everything is borrowed: the listener until the history is closed, the base
 *            and the spool until then, a transaction for the call.
 * THREADS    begin, run: the decoding thread. add: that one up to run, then the one
 *            that syncs the journal. settle: those that fold and merge, at the same
 *            time. read: one of the listener's.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include <stdint.h>

#include "src/base/status.h"
#include "src/history/spool.h"
#include "src/history/transaction.h"

/* The copy of the database that the history has, when the listener begins. Where a fold
 * was cut short pages of transactions behind `lsn`, all of which are added before run,
 * may be newer. */
struct listener_base {
	struct spool *spool;
	uint32_t page_size;  /* bytes */
	uint32_t page_count; /* pages */
	uint64_t lsn;        /* S */
	uint64_t end_lsn;    /* D of an earlier run; S where there was none */
	int64_t time_ns;     /* wall clock of the state at S; 0: not known */

	/* `count` pages from `first` on, of those that nothing behind S has changed,
	 * compared with their hashes. Until the first settle has returned. ST_DAMAGED.
	 */
	enum status (*read)(void *context, uint32_t first, uint32_t count,
			    uint8_t *bytes, struct error *err);
	/* What read has opened is not needed any more. */
	void (*read_done)(void *context);
	/* The listener cannot go on: the history's next and check say so. */
	void (*fail)(void *context, const struct error *err);
	void *context;
};

struct listener {
	enum status (*begin)(struct listener *listener,
			     const struct listener_base *base, struct error *err);
	void (*add)(struct listener *listener, const struct captured_txn *txn);
	/* All that the history had was added. */
	enum status (*run)(struct listener *listener, struct error *err);
	/*
	 * Wait until the listener needs no image up to `lsn`, and no base before it,
	 * any more, whatever happens to this process or machine. ST_STOPPED: it ends
	 * before that. An error that error_is_full may pass; the listener says it.
	 */
	enum status (*settle)(struct listener *listener, uint64_t lsn,
			      struct error *err);
};

#endif
