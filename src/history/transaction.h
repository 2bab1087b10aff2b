/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/history/transaction.h -- a transaction of the followed database: which pages it
 * has, and where they lie.
 *
 * LSN  docs/design.md, Words; a transaction's is that of its commit frame.
 */
#ifndef TRANSACTION_H
#define TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/writers.h"

struct captured_page {
	uint32_t page_no;
	uint32_t slot; /* in the spool */
};

/* A commit in the application's WAL. */
struct wal_place {
	uint8_t salt[8];
	uint32_t frame; /* the commit frame; 0: the WAL was empty */
	uint64_t proof; /* hash of that frame, header and page: the same one later? */
};

struct captured_txn {
	struct captured_txn *next;
	uint64_t lsn;
	int64_t captured_ns; /* wall clock at capture */
	uint32_t page_count_before;
	uint32_t page_count; /* database size after the commit, pages */
	/* The last frame of each page, by page number ascending, each once. The slots
	 * go over to the taker: freed (spool_free) when a newer decoded version exists.
	 */
	struct captured_page *pages;
	size_t page_total;
	/* Versions of older transactions that the taker forgets before it decodes this
	 * one, freeing the slot: they are backfilled, so the database file has them. */
	struct captured_page *retired;
	size_t retired_total;

	bool is_catch_up;        /* made by comparing, not by one commit */
	uint64_t merged;         /* net effect of so many; 0: it is one */
	uint32_t low_pages;      /* merged: the smallest size in between */
	uint64_t bytes;          /* that it takes in the spool, pre-images too */
	bool is_taken;           /* by history.next */
	struct wal_place place;  /* where it stands, if the history wants that */
	uint64_t chain;          /* and the journal's checksum after it */
	struct writers *writers; /* its own reference; NULL: nobody knows */
};

/* One with room for so many pages and retired ones, both counts set, the rest zeros;
 * their contents are the caller's to fill. NULL: no memory. */
struct captured_txn *captured_txn_alloc(size_t page_total, size_t retired_total);

/* Did it write the page? */
bool captured_txn_has_page(const struct captured_txn *txn, uint32_t page_no);

struct spool;

/* Give the slots of `total` pages back. */
void captured_pages_drop(const struct captured_page *pages, size_t total,
			 struct spool *spool);

/* Free a transaction and all that are linked behind it, but not their slots; takes
 * NULL. */
void captured_txn_free(struct captured_txn *first);
/* The same of one alone. */
void captured_txn_free_one(struct captured_txn *txn);

#endif
