/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/history/source.h -- where the transactions of a history come from: a live
 * database (src/capture/capture.h) or an archive (src/archive/archived.h).
 *
 *     opened ─► start ─► next … ─► [stop_clean] ─► close
 *
 * Who opens one gives it a history that is prepared and begun by it, and gets the state
 * at which following starts, in the form of a transaction.
 *
 * OWNERSHIP  Whoever opened it calls close, before that of its history.
 * THREADS    All calls from the one decoding thread.
 * ERRORS     Those of the kind of source.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/history/transaction.h"
#include "src/history/view.h"

/* Where the database gets another page size. */
struct page_size_turn {
	uint64_t txid;      /* of the state that has it first; 0: nowhere */
	uint32_t page_size; /* bytes */
};

struct source {
	struct view_base pages; /* the database, under everything that is appended */
	uint32_t page_size;     /* bytes */
	int fd;           /* the same as a file; -1: there is none, and the history
			   * does not copy it */
	int64_t begun_ns; /* wall clock of its state; 0: it is that of now */

	/* Start the history, and append to it. */
	enum status (*start)(struct source *source, struct error *err);
	struct page_size_turn turn; /* why next gave ST_RETRY */

	/* The history's next, and where that has none: why nothing will come. ST_RETRY:
	 * the history cannot have what comes next, whose pages have another size. */
	enum status (*next)(struct source *source, struct captured_txn **txn,
			    struct error *err);
	/* The LSN where a run that does not follow ends, once what is committed now was
	 * appended. ST_STOPPED when `*stop` becomes true. */
	enum status (*reach_now)(struct source *source, const _Atomic int *stop,
				 uint64_t *lsn, struct error *err);
	/* The same without waiting: begin to find it out, and is it known? NULL: it is
	 * not asked for of this kind. */
	void (*ask_reach)(struct source *source);
	bool (*is_reached)(struct source *source, uint64_t *lsn);
	/* The same of what a copy of the file that was made since start may have a
	 * part of. */
	enum status (*reach_copied)(struct source *source, const _Atomic int *stop,
				    uint64_t *lsn, struct error *err);
	/* Before close, of a run that ends well. */
	void (*stop_clean)(struct source *source);
	void (*close)(struct source *source);
};

#endif
