/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/waiting.h -- since when the oldest transaction waits for the sink, for
 * src/base/health.h and src/base/metrics.h.
 *
 * OWNERSHIP  The caller's struct; zeros: nothing waits.
 * THREADS    The decoding thread.
 */
#ifndef DELIVER_WAITING_H
#define DELIVER_WAITING_H

#include <stdbool.h>
#include <stdint.h>

struct waiting {
	int64_t oldest_ns; /* wall clock of its capture; 0: nothing waits */
	bool in_snapshot;  /* rows of one wait */
};

/* One is put that was captured then; the first of them is the oldest. */
void waiting_begin(struct waiting *waiting, int64_t captured_ns);
/* Rows of a snapshot are put next, which are as old as they are. */
void waiting_begin_snapshot(struct waiting *waiting);
/* The sink has acknowledged all up to `lsn`; `is_all`: all that was put. */
void waiting_acknowledged(struct waiting *waiting, uint64_t lsn, bool is_all);
/* It has all messages that were put. A position of its own may lag behind transactions
 * that have none. */
void waiting_flushed(struct waiting *waiting);
/* Nobody puts anything any more. */
void waiting_end(struct waiting *waiting);

#endif
