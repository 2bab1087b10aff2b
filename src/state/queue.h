/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/queue.h -- captured transactions that wait to be decoded.
 *
 * In commit order, and durable. Where the sink cannot keep up, the oldest of them that
 * no sink has seen become one, their net effect, so that what waits takes no more of
 * the disk than journal.max.bytes, or, where the database is larger, than the database
 * and a quarter of that.
 *
 *     A                H                                             D
 *     | handed over,   | merged: one   | not yet: whole segments ... |
 *
 * H, the last that may have been handed to the sink, must survive a kill: what a
 * consumer may have seen a part of has to come again as it was. While the queue is
 * short H is not written down: then all of it counts as handed over. Once it is
 * longer than its limit the gate is shut: H is made durable first, and from then on
 * before anything beyond it is handed over, in steps. When half of the limit waits it
 * is opened again.
 *
 * Durable and listed are two moments: the journal says that a transaction is durable
 * before the list has it. Only what is listed may be merged: the list and the journal
 * must lose the same transactions, or those that come late stand behind the record that
 * they are a part of, with slots that it has given back. So a merge is bounded by the
 * last one that was put, and what it took is what leaves the list (asserted).
 *
 * OWNERSHIP  queue_open / queue_close. State and descriptor are borrowed.
 * THREADS    put: one thread. put_back, next, done: the decoding thread. The rest: any.
 *            A thread of its own merges.
 * ERRORS     ST_IO, ST_DAMAGED: from the journal.
 */
#ifndef QUEUE_H
#define QUEUE_H

#include <stdint.h>

#include "src/base/status.h"
#include "src/history/listener.h"
#include "src/history/transaction.h"

struct queue;

struct queue_settings {
	struct state *state; /* NULL: nothing is merged */
	uint64_t max_bytes;  /* of page images: past it merging begins */
	int wake_fd;         /* an eventfd: readable when there may be more to take */
	/* Merging failed, for good. THREAD: the one that merges. */
	void (*fail)(void *context, const struct error *err);
	void *context;
};

enum status queue_open(const struct queue_settings *settings, struct queue **out,
		       struct error *err) MUST_CHECK;
/*
 * Once: H is where the last run left it, and merging begins with what is
 * put. What the journal has up to `start_lsn` is put back, or never comes.
 */
enum status queue_start(struct queue *queue, uint64_t start_lsn,
			struct error *err) MUST_CHECK;
/* Merge no more. */
void queue_stop(struct queue *queue);
void queue_close(struct queue *queue); /* takes NULL; frees what is in it */

/* Add a list of transactions, all durable, behind those that are there; their `bytes`
 * are set. */
void queue_put(struct queue *queue, struct captured_txn *first,
	       struct captured_txn *last);
/* Put one of an earlier run behind those that were put back before, in front of the
 * others. */
void queue_put_back(struct queue *queue, struct captured_txn *txn);
/* All of them are put back: they may be merged, too. */
void queue_is_back(struct queue *queue);

/* Tell `listener` of all that waits. A merge that is at work ends first; later ones ask
 * it to settle first what they take. */
void queue_tell(struct queue *queue, struct listener *listener);

/* The oldest one. ST_END: there is none; wake_fd is not readable any more. */
enum status queue_next(struct queue *queue, struct captured_txn **txn,
		       struct error *err) MUST_CHECK;
/* `txn` is decoded past. */
void queue_done(struct queue *queue, struct captured_txn *txn);

/* Bytes of images that wait behind the oldest one. */
uint64_t queue_bytes(struct queue *queue);

#endif
