/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/history/view.h -- every page of the database as of two moments: before and after
 * the transaction that is being decoded.
 *
 * The base is the application's database file, or whatever else gives pages by their
 * number; the overlay is what capture put into the spool. Page N of the old view is, in
 * this order:
 *
 *   1. the newest decoded version in the spool;
 *   2. its pre-image, saved with the first later transaction that touches it or
 *      cuts it off;
 *   3. the base; and then look for the pre-image again, because it may have been
 *      saved, and the page been overwritten, during the read.
 *
 * The new view is the transaction's own frames over the old view. Pages read from
 * the base are kept in a small cache; a transaction's pages leave it.
 *
 * OWNERSHIP  view_open / view_close. Pages are pinned as page_source.h says.
 * THREADS    The decoding thread only; the spool is shared with capture.
 */
#ifndef VIEW_H
#define VIEW_H

#include <stdbool.h>

#include "btree/page_source.h"
#include "src/history/spool.h"
#include "src/history/transaction.h"

struct view;

/* What lies under everything that was captured. */
struct view_base {
	/* Page `page_no` (from 1), whole, into `bytes`. Its errors are handed on; the
	 * text names the base and the page. Called on the view's thread. */
	enum status (*read)(void *context, uint32_t page_no, uint8_t *bytes,
			    struct error *err);
	/*
	 * NULL: what lies over the base stays until it is retired or replaced. Else
	 * this is asked behind a transaction, now and then: when `move_bytes` of pages
	 * were laid over the base since the last time. True: from now on `read` gives
	 * pages as they are after the transaction `lsn`, the last one; then nothing is
	 * kept of it and of those before it.
	 */
	bool (*move)(void *context, uint64_t lsn);
	uint64_t move_bytes;
	void *context; /* borrowed until view_close */
};

/* A file with all pages in their order. What lies past its end reads as zeros. */
struct view_file {
	int fd;
	const char *path;   /* for messages */
	uint32_t page_size; /* bytes */
};
struct view_base view_base_of_file(struct view_file *file);

/*
 * `first` is what capture_open gave: the state to start from. Its slots become the
 * view's. `spool` is borrowed, `base` copied. `usable_size` comes from page 1.
 */
enum status view_open(struct spool *spool, const struct view_base *base,
		      uint32_t page_size, const struct captured_txn *first,
		      struct view **out, struct error *err) MUST_CHECK;
/* Two states that are whole already, whose pages lie anywhere: nothing is laid over
 * the old one, and view_begin and view_end change nothing. Their page sizes may differ.
 * Both are borrowed. */
enum status view_open_pair(struct page_source *old_state, struct page_source *new_state,
			   struct view **out, struct error *err) MUST_CHECK;
void view_close(struct view *view); /* takes NULL */

/* Page sources of the two moments; outside view_begin and view_end they are the same.
 */
struct page_source *view_old(struct view *view);
struct page_source *view_new(struct view *view);

/*
 * The base is a copy of our own, not the application's file: slots belong to the
 * transactions, nothing is freed here, and each page that is read from the base is
 * given to `check`, which may ask with ST_RETRY to read it again.
 */
typedef enum status (*view_check)(void *context, uint32_t page_no, const uint8_t *bytes,
				  struct error *err);
void view_use_copy(struct view *view, view_check check, void *context);

/* `slot` is the newest decoded version of the page. */
bool view_is_newest(const struct view *view, uint32_t page_no, uint32_t slot);
/* If it is: forget it, the base has it now. */
void view_forget(struct view *view, uint32_t page_no, uint32_t slot);

/* Forget the versions that `txn` retires and lay its pages over the old view. `txn` is
 * borrowed until view_end. */
enum status view_begin(struct view *view, const struct captured_txn *txn,
		       struct error *err) MUST_CHECK;

/* The transaction is decoded past: the new view becomes the old one, and what nobody
 * can ask for any more returns to the spool. No page may be pinned. */
void view_end(struct view *view);

#endif
