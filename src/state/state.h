/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/state.h -- a state directory in use, all parts of it.
 *
 *     S            A = decoded                D            C
 *     |  kept: decoded and acknowledged, |  journalled,   |  captured,
 *     |  waits to be folded              |  to be decoded |  not durable yet
 *   shadow                              sink             journal
 *
 * Folding (src/state/fold.h) writes the newest images of the kept transactions into the
 * shadow, makes it durable, moves S, and gives their slots back.
 *
 * OWNERSHIP  state_open / state_close. The members are for all to read and for their
 *            own calls; only the calls here and of `kept` change meta, kept and end.
 * THREADS    state_append: the capture thread. state_merge and state_merged_done: one
 *            that merges. state_prepare and what reads the end: before there are
 *            threads. The rest: decoding. The parts: as their headers say.
 * ERRORS     As src/state/state_dir.h, src/state/shadow.h and src/state/journal.h.
 */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "src/history/history.h"
#include "src/history/page_versions.h"
#include "src/state/fold.h"
#include "src/state/journal.h"
#include "src/state/kept_position.h"
#include "src/state/shadow.h"
#include "src/state/state_dir.h"

struct state {
	struct kept_position kept; /* A; first member */
	struct state_dir *dir;
	struct state_meta meta; /* S; with a batch at work: fold_wait first */
	struct spool *spool;    /* from state_prepare on; of one that is not new
				 * from the beginning, as the rest */
	struct journal *journal;
	struct shadow *shadow;     /* of a new one: from state_copy_base on */
	char *base_path;           /* of the shadow, for messages */
	struct fold *fold;         /* of one that is not new */
	struct listener *listener; /* settles what is folded; NULL: none. Set before
				    * anything is folded */

	/* D at the start: the last transaction in the journal, or S. Later: what was
	 * absorbed. */
	struct history_end end;
	/* Wall clock: D at the start was not before it; 0: that is not known. */
	int64_t known_ns;

	struct page_versions versions; /* of what was found, the newest of each page */
	struct captured_txn *recovered;
	struct captured_txn **recovered_end;
	struct journal_page *pages; /* scratch of append */
	size_t page_cap;
};

/* Take the directory and read it: what is journalled after S waits for
 * state_next_recovered. */
enum status state_open(const char *path, const char *database_path, bool follows_path,
		       struct state **out, struct error *err) MUST_CHECK;
void state_close(struct state *state); /* takes NULL */

/* The one whose `kept` it is. */
struct state *state_of(struct kept_position *kept);

/* The journal's checksum at transaction `lsn`, if that is S or after it and at hand:
 * until decoding begins, and of what is kept. */
bool state_chain_at(const struct state *state, uint64_t lsn, uint64_t *chain);

/* The shadow with pages of another size is made (src/state/rebuild.h): the next opening
 * takes it for the state, and has to compare it with the source. */
enum status state_put_rebuilt(struct state *state, uint32_t page_size, uint32_t pages,
			      struct error *err) MUST_CHECK;

/* The database's page size is known: ST_CONFIG if it is not the shadow's. */
enum status state_prepare(struct state *state, uint32_t page_size,
			  struct error *err) MUST_CHECK;

/* As of D, page `page_no` is `bytes`, by its hash. Until decoding begins. */
bool state_is_same_at_end(const struct state *state, uint32_t page_no,
			  const uint8_t *bytes);

/* A clean stop: the file is the state as of `lsn`, all of which is durable. */
enum status state_put_clean(struct state *state, const struct stat *database,
			    uint64_t lsn, struct error *err) MUST_CHECK;

/* Journal a transaction: fills txn->chain. */
enum status state_append(struct state *state, struct captured_txn *txn,
			 struct error *err) MUST_CHECK;

/* ---- merging: for src/state/queue.h ---- */

/* One transaction in place of several. */
struct state_merged {
	uint64_t start_lsn;       /* those after it, up to its own LSN */
	struct captured_txn *txn; /* the taker's */
	uint32_t *freed;          /* slots of theirs that it does not have */
	size_t freed_total;
};

/* Merge what is journalled after `from_lsn`, up to `end_lsn` at most, in whole segments
 * (journal_merge). ST_END: there is too little. */
enum status state_merge(struct state *state, uint64_t from_lsn, uint64_t end_lsn,
			struct state_merged *merged, struct error *err) MUST_CHECK;
/* Nobody can ask for what was merged any more. */
void state_merged_done(struct state *state, struct state_merged *merged);

/* ---- the first start ---- */

/* Copy the database file while it is being followed; copy->page_size is set here. Only
 * with everything that was captured up to the end of the copy is it a state of the
 * database: absorb that. */
enum status state_copy_base(struct state *state, struct shadow_copy *copy,
			    struct error *err) MUST_CHECK;
/* Write `txn`, which it takes, into the shadow, and free its slots. meta.base_lsn is
 * its LSN then. */
enum status state_absorb(struct state *state, struct captured_txn *txn,
			 struct error *err) MUST_CHECK;
/* The shadow is the database as of what was absorbed last: S, the epoch and A, which
 * kept.position has but for its LSN, begin. */
enum status state_begin(struct state *state, struct error *err) MUST_CHECK;

/* ---- decoding ---- */

/* For view_use_copy: is a page of the base what its hash says? */
enum status state_check_page(void *state, uint32_t page_no, const uint8_t *bytes,
			     struct error *err) MUST_CHECK;

/* The next of the transactions that state_open found; NULL: no more, and the hashes as
 * of D are forgotten. */
struct captured_txn *state_next_recovered(struct state *state);

#endif
