/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/txn_builder.h -- committed frames become transactions.
 *
 *   read    frames of the WAL into slots of the spool, cut into drafts at commit
 *           frames; nothing is visible to anybody else, txn_builder_discard undoes it
 *   accept  the oldest draft becomes a transaction: first the pre-image of every page
 *           that it touches or cuts off and that has no version in the spool is saved
 *           from the database file, which the hold keeps as it was
 *
 * A page has a version here while the newest frame captured of it lies in the spool.
 * Versions that are decoded past and in the database file are dropped (`retired`),
 * so that the spool stays small.
 *
 * OWNERSHIP  txn_builder_init / txn_builder_clear. Slots of accepted transactions
 *            belong to their taker.
 * THREADS    The capture thread.
 */
#ifndef TXN_BUILDER_H
#define TXN_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/capture/wal_index.h"
#include "src/history/page_versions.h"
#include "src/history/spool.h"
#include "src/history/transaction.h"

struct draft_page {
	uint32_t page_no;
	uint32_t slot;
	uint32_t frame_no;
};

/* One transaction that is read but not accepted. */
struct draft {
	size_t page_start; /* its pages: txn_builder.pages from here */
	size_t page_total;
	uint32_t page_count;   /* of the database after it */
	uint32_t last_frame;   /* its commit frame (the last, where repeated) */
	uint32_t commit_total; /* commit frames: more than one where repeated */
};

struct txn_builder {
	struct spool *spool;
	const struct wal_index *index;
	uint32_t page_size;
	int wal_fd;
	int db_fd;
	bool saves_preimages; /* unless the base is a copy of our own */

	uint32_t generation; /* of the frames that are being read */
	uint32_t page_count; /* after the last accepted transaction */
	uint64_t lsn;        /* of the last accepted transaction */
	uint32_t last_frame; /* of it, in its generation */

	struct page_versions versions;
	uint64_t frames_since_sweep;
	struct captured_page *retired; /* of the next transaction */
	size_t retired_total;
	size_t retired_cap;

	struct draft *drafts; /* the first `draft_next` are accepted */
	size_t draft_next;
	size_t draft_total;
	size_t draft_cap;
	struct draft_page *pages;
	size_t page_total;
	size_t page_cap;
	struct page_versions
	    open_pages; /* of the transaction being read: index in pages */
	size_t open_start;
	uint8_t *images;   /* scratch: `at_once` pages on their way to the file */
	size_t at_once;    /* frames that are read with one system call */
	uint32_t *scratch; /* free slots at hand */
	size_t scratch_total;
	size_t scratch_cap;
};

enum status txn_builder_init(struct txn_builder *builder, struct spool *spool,
			     const struct wal_index *index, uint32_t page_size,
			     int wal_fd, int db_fd, struct error *err) MUST_CHECK;
void txn_builder_clear(struct txn_builder *builder);

/*
 * Read the frames after `from` up to header->frame_count into drafts; no drafts are
 * left over from before. Stops at a commit once `most_bytes` of images are read.
 * With `as_one`, all is one draft (the state at the start), whatever commits it has.
 * ST_RETRY when the frames are not what the header says (read it again);
 * ST_IO (sys_errno ENOSPC: the spool is full). Drafts are discarded on failure.
 */
enum status txn_builder_read(struct txn_builder *builder,
			     const struct wal_index_header *header, uint32_t from,
			     uint64_t most_bytes, bool as_one,
			     struct error *err) MUST_CHECK;

/* The oldest draft that is not accepted; NULL: none. */
const struct draft *txn_builder_draft(const struct txn_builder *builder);

/* Free the slots of all drafts that are not accepted, and forget them. */
void txn_builder_discard(struct txn_builder *builder);

/*
 * Make a transaction of the oldest draft; free(*txn) frees it with its arrays.
 * `*preimage_bytes`: what was saved for it. On failure (as txn_builder_read) the draft
 * stays and the call may be repeated.
 */
enum status txn_builder_accept(struct txn_builder *builder, struct captured_txn **txn,
			       uint64_t *preimage_bytes, struct error *err) MUST_CHECK;

/*
 * Now and then, have versions that are decoded (lsn <= decoded_lsn) and backfilled
 * retire with the next transaction. Call it only when everything is accepted up to a
 * header that was read after `backfilled`: an older frame counts as backfilled, but is
 * not in the file, if the checkpoint saw a newer one of the same page beyond its end.
 */
void txn_builder_retire(struct txn_builder *builder, uint32_t backfilled,
			uint64_t decoded_lsn);

#endif
