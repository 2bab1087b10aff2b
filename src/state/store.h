/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/store.h -- a state directory in use: what capture journals into, what
 * decoding reads as its base, and how the one becomes the other.
 *
 *     S            A = decoded                D            C
 *     |  kept: decoded and acknowledged, |  journalled,   |  captured,
 *     |  waits to be folded              |  to be decoded |  not durable yet
 *   shadow                              sink             journal
 *
 * Folding (src/state/fold.h) writes the newest images of the kept transactions into the
 * shadow, makes it durable, moves S, and gives their slots back.
 *
 * OWNERSHIP  store_open / store_close; a captured_txn that is kept belongs to it.
 * THREADS    store_append: the capture thread. store_sync: one other. store_prepare and
 *            what reads the end: before there are threads. The rest: decoding.
 * ERRORS     as src/state/state_dir.h, src/state/shadow.h and src/state/journal.h.
 */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "src/history/history.h"
#include "src/history/transaction.h"
#include "src/history/view.h"
#include "src/state/state_dir.h"

struct store;

/* Take the directory and read it: what is journalled after S waits for
 * store_next_recovered. */
enum status store_open(const char *path, const char *database_path, bool follows_path,
		       struct store **out, struct error *err) MUST_CHECK;
void store_close(struct store *store); /* takes NULL */

/* The folder, for openat, and its path; borrowed. */
int store_folder(const struct store *store);
const char *store_path(const struct store *store);

/* Whose it is: 32 hexadecimal digits, and the real path of the database; borrowed. */
#define STORE_UUID_BYTES 33
void store_uuid(const struct store *store, char text[STORE_UUID_BYTES]);
const char *store_database(const struct store *store);

/* The journal's checksum at transaction `lsn`, if that is S or after it and at hand:
 * until decoding begins, and of what is kept. */
bool store_chain_at(const struct store *store, uint64_t lsn, uint64_t *chain);

/* What is in it counts no more: the next store_open finds it new. */
enum status store_forget(struct store *store, struct error *err) MUST_CHECK;

/* Nothing is in it yet: store_begin has not been called. */
bool store_is_new(const struct store *store);

/* Of a store that is not new. */
uint32_t store_page_size(const struct store *store);
/* The shadow with pages of another size is there (src/state/rebuild.h): from the next
 * opening on that is what the store has, and it is to be compared with the source. */
enum status store_put_rebuilt(struct store *store, uint32_t page_size, uint32_t pages,
			      struct error *err) MUST_CHECK;

/* The database's page size is known: ST_CONFIG if it is not the store's. */
enum status store_prepare(struct store *store, uint32_t page_size,
			  struct error *err) MUST_CHECK;
struct spool *store_spool(const struct store *store);

/* D at the start: the last transaction in the journal, or S. */
struct history_end store_end(const struct store *store);
/* Hash of page `page_no` as of D; false: there is no such page. Until decoding begins.
 */
bool store_hash_at_end(const struct store *store, uint32_t page_no, uint64_t *hash);

/* The database file is as the last clean stop left it, and the journal ends there. */
bool store_is_untouched(const struct store *store, const struct stat *database);
/* That is a clean stop: the file is the state as of `lsn`, all of which is durable. */
enum status store_put_clean(struct store *store, const struct stat *database,
			    uint64_t lsn, struct error *err) MUST_CHECK;

/* Journal a transaction: fills txn->chain. */
enum status store_append(struct store *store, struct captured_txn *txn,
			 struct error *err) MUST_CHECK;
/* What was appended before the call is durable. */
enum status store_sync(struct store *store, struct error *err) MUST_CHECK;

/* --- the queue -----------------------------------------------------------------------
 */

/* What is known of an earlier run: nothing from this LSN on was handed to a sink. 0:
 * not known. */
uint64_t store_unhanded(const struct store *store);
/* The same from now on, durable when it returns. THREAD: any. */
enum status store_put_unhanded(struct store *store, uint64_t lsn,
			       struct error *err) MUST_CHECK;

/* One transaction in place of several. */
struct store_merged {
	uint64_t start_lsn;       /* those after it, up to its own LSN */
	struct captured_txn *txn; /* the taker's */
	uint32_t *freed;          /* slots of theirs that it does not have */
	size_t freed_total;
};

/* Merge what is journalled after `from_lsn`, up to `end_lsn` at most, in whole segments
 * (journal_merge). ST_END: there is too little. THREAD: one other than the rest. */
enum status store_merge(struct store *store, uint64_t from_lsn, uint64_t end_lsn,
			struct store_merged *merged, struct error *err) MUST_CHECK;
/* Nobody can ask for what was merged any more. THREAD: as store_merge. */
void store_merged_done(struct store *store, struct store_merged *merged);
/* Merging should be possible in steps of so many bytes of images. */
void store_limit_segments(struct store *store, uint64_t bytes);

/* --- the first start ----------------------------------------------------------------
 */

struct store_copy {
	int source_fd;
	const struct captured_txn *first; /* of capture_open */
	const volatile int *stop;
	void (*progress)(void *context, uint32_t pages, uint32_t page_count);
	void *context;
};

/* Copy the database file while it is being followed. Only with everything that was
 * captured up to the end of the copy is it a state of the database: absorb that. */
enum status store_copy_base(struct store *store, const struct store_copy *copy,
			    struct error *err) MUST_CHECK;
/* Takes txn, and frees its slots. */
enum status store_absorb(struct store *store, struct captured_txn *txn,
			 struct error *err) MUST_CHECK;
/* The shadow is the database as of what was absorbed last: S, A and the epoch begin. */
enum status store_begin(struct store *store, const struct state_position *position,
			struct error *err) MUST_CHECK;

/* --- following ----------------------------------------------------------------------
 */

/* The shadow and its path; borrowed. */
int store_base_fd(const struct store *store);
const char *store_base_path(const struct store *store);
/* For view_use_copy: a page of the base is what was written there. */
enum status store_check_page(void *store, uint32_t page_no, const uint8_t *bytes,
			     struct error *err) MUST_CHECK;
uint32_t store_base_pages(const struct store *store);
uint64_t store_base_lsn(const struct store *store);
/* Wall clock of store_begin: the time of the initial snapshot. */
int64_t store_begun_ns(const struct store *store);

/* The transactions that open found, in order; NULL: no more. Then the hashes of the end
 * are forgotten. */
struct captured_txn *store_next_recovered(struct store *store);

const struct state_position *store_position(const struct store *store);
enum status store_put_position(struct store *store,
			       const struct state_position *position,
			       struct error *err) MUST_CHECK;
/* The position lasts, also over a power cut. */
enum status store_sync_position(struct store *store, struct error *err) MUST_CHECK;

/* Much is kept: flush the sink, so that it can be folded. */
bool store_wants_fold(const struct store *store);

/* `txn` is decoded past. */
void store_keep(struct store *store, struct captured_txn *txn);
/* Begin to fold what is kept, all of which is acknowledged, if it is much; or `now`,
 * which also waits for the end (src/state/fold.h). */
enum status store_fold(struct store *store, struct view *view, bool now,
		       struct error *err) MUST_CHECK;
/* If that has ended, what it freed is free. */
enum status store_fold_end(struct store *store, struct view *view,
			   struct error *err) MUST_CHECK;
/* The same, having waited for its end: the last one's errors are seen, too. */
enum status store_fold_finish(struct store *store, struct view *view,
			      struct error *err) MUST_CHECK;
/* Readable when store_fold_end has something to do. */
int store_fold_fd(const struct store *store);

#endif
