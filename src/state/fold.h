/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/fold.h -- how the shadow goes forward: the newest page images of
 * transactions that the sink has acknowledged are written into it, and S moves.
 *
 *     fold_keep ─► kept ─ fold_begin ─► at work ─► done ─ fold_end ─► slots are free
 *                                      (a thread)
 *
 * While a batch is at work, decoding goes on: the view has each page of it in its
 * overlay, and asks the shadow for others only. When it is done, the images may leave
 * the overlay.
 *
 * OWNERSHIP  fold_open / fold_close; what is kept belongs to it, the rest of the
 *            settings is borrowed. While a batch is at work, shadow and meta are the
 *            thread's.
 * THREADS    The decoding thread; the batches are written by a thread of its own.
 * ERRORS     ST_IO, ST_NOMEM; of a batch: by fold_end. A full disk is no error: it says
 *            so, once, and the batch is kept and tried again later; nor is a listener
 *            that ends before it has settled the batch.
 */
#ifndef FOLD_H
#define FOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/history/listener.h"
#include "src/history/spool.h"
#include "src/history/transaction.h"
#include "src/history/view.h"
#include "src/state/journal.h"
#include "src/state/shadow.h"
#include "src/state/state_dir.h"

struct fold_settings {
	struct state_dir *dir;
	struct shadow *shadow;
	struct spool *spool;
	struct journal *journal;
	struct state_meta *meta;          /* S; follows each batch */
	struct listener *const *listener; /* settles a batch first; NULL: none */
	uint32_t page_size;
};

struct fold;

enum status fold_open(const struct fold_settings *settings, struct fold **out,
		      struct error *err) MUST_CHECK;
/* Waits for a batch that is at work. Takes NULL. */
void fold_close(struct fold *fold);

/* `txn` is decoded past. */
void fold_keep(struct fold *fold, struct captured_txn *txn);
/* The journal's checksum after transaction `lsn`, if that is kept. */
bool fold_chain_at(const struct fold *fold, uint64_t lsn, uint64_t *chain);

/* So much is kept that fold_begin would take it, or, with a batch at work, wait for
 * that one; or a batch is done. */
bool fold_is_due(const struct fold *fold);

/*
 * Give all that is kept to the thread, if it is much; with `now` in any case, and wait
 * for it. All of it has been acknowledged, and `view` is as of its end. With a batch at
 * work nothing is done, unless too much is kept: then wait for that batch first.
 */
enum status fold_begin(struct fold *fold, struct view *view, bool now,
		       struct error *err) MUST_CHECK;

/* If a batch is done: its images are forgotten, their slots free, and the journal
 * begins after it. */
enum status fold_end(struct fold *fold, struct view *view,
		     struct error *err) MUST_CHECK;

/* Wait for a batch that is at work. S has moved when it returns; the rest is
 * fold_end's. True: one has begun since the last call, so that what was read of the
 * shadow before this one, and its hash, may be of two moments. */
bool fold_wait(struct fold *fold);

/* Readable when a batch is done, until fold_end. */
int fold_fd(const struct fold *fold);

/* Pages of the shadow that have a hash, as of the last fold_wait. */
uint32_t fold_base_pages(const struct fold *fold);

/* For the first copy, as a batch does it: `txn` cut the database down in between; what
 * was cut off and has grown again without a frame is zeros. */
enum status fold_cut(struct shadow *shadow, const struct captured_txn *txn,
		     struct error *err) MUST_CHECK;

/* Set S of `meta` to the end of a transaction. */
void fold_set_base(struct state_meta *meta, const struct captured_txn *end);

#endif
