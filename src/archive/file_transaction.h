/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/file_transaction.h -- a file of an archive as a transaction of its
 * database.
 *
 * The file leads on from a state. Its pages go to slots of the spool; that they are
 * right, by the checksum of the file, is known before the transaction is there. Pages
 * that the database gains, and that the file does not have, are zeros if there was a
 * page of that number before, else an error: a writer that leaves one out has lost it.
 * A whole database must have all pages: it counts for nothing what was before.
 *
 * A file that rowtail wrote says of how many transactions it is the net effect, and
 * whether one was a catch-up: `merged` and is_catch_up are as while it was captured.
 * One of others, or that counts in part, does not: then `merged` is how many TXIDs it
 * leads over, if it is of a level above 0 and that is more than one. is_catch_up is set
 * for one that has the whole database and leads on from a state, too: it is what lies
 * over a gap, and what happened in between is known by comparing only.
 *
 * A whole database may have pages of another size than the state has, which no spool
 * can mix. Then nothing of it is read.
 *
 * OWNERSHIP  The transaction is the caller's, with its slots.
 * THREADS    One at a time.
 * ERRORS     ST_CORRUPT: damage, or another page size in a file that is not whole; the
 *            text names the file. ST_RETRY: another page size, in a file that is:
 *            state->turn is filled, and the rest unchanged. ST_LOST: the file was
 * removed meanwhile. ST_STOPPED. ST_IO, ST_NOMEM.
 */
#ifndef FILE_TRANSACTION_H
#define FILE_TRANSACTION_H

#include "src/history/source.h"
#include "src/history/spool.h"
#include "src/history/transaction.h"
#include "src/storage/storage.h"

/* A state of the database. */
struct file_state {
	uint64_t txid;
	uint32_t page_size;         /* bytes */
	uint32_t page_count;        /* pages */
	uint32_t most_pages;        /* that it had, as far as that is known */
	int64_t time_ns;            /* since 1970 */
	bool spool_failed;          /* ST_IO of the last file was the spool's */
	struct page_size_turn turn; /* of ST_RETRY */
};

/* `file` leads on from `state`, which becomes what it leads to. `spool` has pages of
 * state->page_size. */
enum status file_transaction_read(struct storage *storage,
				  const struct archive_file *file,
				  struct file_state *state, struct spool *spool,
				  const _Atomic int *stop, struct captured_txn **out,
				  struct error *err) MUST_CHECK;

#endif
