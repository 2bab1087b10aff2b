/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/fold.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/event_fd.h"
#include "src/base/fault.h"
#include "src/base/log.h"
#include "src/base/thread.h"

#ifndef FOLD_BYTES             /* tests have a smaller one */
#define FOLD_BYTES (16u << 20) /* of images that are kept: a batch */
#endif
#define FOLD_MOST     (16ull * FOLD_BYTES) /* the same: decoding waits */
#define FOLD_AGAIN_NS NS_PER_S             /* after a full disk */
#define RUN_MAX       64                   /* pages written at once */
#define FOLD_NICE     5 /* decoding comes first: what is kept can wait */

enum fold_state {
	FOLD_IDLE,
	FOLD_AT_WORK,
	FOLD_DONE,
};

/* A list of transactions, oldest first. */
struct txn_list {
	struct captured_txn *first;
	struct captured_txn **end;
	uint64_t bytes; /* of images */
};

struct fold {
	struct fold_settings settings;
	struct txn_list kept;
	struct txn_list batch;
	uint32_t base_pages;
	bool is_unseen;     /* fold_wait has not been called since a batch began */
	bool is_full;       /* it met a full disk, and said so */
	bool is_said;       /* the batch failed by who listens, who says it */
	int64_t not_before; /* monotonic */
	int done_fd;
	bool is_started;
	pthread_t thread;

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t changed;
	enum fold_state state;
	bool stops;
	enum status status;   /* how the last batch ended */
	struct error failure; /* if it did not end well */
};

/* ---- lists ---- */

static void list_init(struct txn_list *list)
{
	*list = (struct txn_list){0};
	list->end = &list->first;
}

static void list_add(struct txn_list *list, struct captured_txn *txn,
		     uint32_t page_size)
{
	txn->next = NULL;
	*list->end = txn;
	list->end = &txn->next;
	list->bytes += (uint64_t)txn->page_total * page_size;
}

/* Move all of `more` to the end of `list`. */
static void list_append(struct txn_list *list, struct txn_list *more)
{
	if (more->first) {
		*list->end = more->first;
		list->end = more->end;
		list->bytes += more->bytes;
		list_init(more);
	}
}

static struct captured_txn *list_take(struct txn_list *list)
{
	struct captured_txn *txn = list->first;

	if (txn) {
		list->first = txn->next;
		txn->next = NULL;
		if (!list->first) {
			list_init(list);
		}
	}
	return txn;
}

/* ---- writing a batch ---- */

/* The smallest size of the database since the transaction before. */
static uint32_t low_pages(const struct captured_txn *txn)
{
	return txn->merged > 0 ? txn->low_pages : txn->page_count;
}

enum status fold_cut(struct shadow *shadow, const struct captured_txn *txn,
		     struct error *err)
{
	return low_pages(txn) < shadow_page_count(shadow)
		   ? shadow_resize(shadow, low_pages(txn), err)
		   : ST_OK;
}

void fold_set_base(struct state_meta *meta, const struct captured_txn *end)
{
	meta->base_lsn = end->lsn;
	meta->base_pages = end->page_count;
	meta->base_chain = end->chain;
	meta->base_frame = end->place.frame;
	meta->base_proof = end->place.proof;
	memcpy(meta->base_salt, end->place.salt, sizeof meta->base_salt);
}

/* The largest size from `txn` on, until something is cut off: growing in one step costs
 * as much as growing by one page. */
static uint32_t highest_from(const struct captured_txn *txn)
{
	uint32_t highest = txn->page_count;

	while (txn->next && low_pages(txn->next) >= txn->page_count) {
		txn = txn->next;
		highest = txn->page_count;
	}
	return highest;
}

/* From page `at` on: how many follow each other, in the database and in the spool. */
static uint32_t run_length(const struct fold *fold, const struct captured_txn *txn,
			   size_t at)
{
	const struct captured_page *first = &txn->pages[at];
	const uint8_t *bytes = spool_bytes(fold->settings.spool, first->slot);
	uint32_t n = 1;

	while (at + n < txn->page_total && n < RUN_MAX &&
	       first[n].page_no == first->page_no + n &&
	       spool_bytes(fold->settings.spool, first[n].slot) ==
		   bytes + (size_t)n * fold->settings.page_size) {
		n++;
	}
	return n;
}

/* Write the images of `txn` that are the newest of their pages. */
static enum status write_images(struct fold *fold, const struct captured_txn *txn,
				struct error *err)
{
	enum status status = ST_OK;
	uint32_t n = 1;

	for (size_t i = 0; status == ST_OK && i < txn->page_total; i += n) {
		const struct captured_page *page = &txn->pages[i];

		n = 1;
		if (page->page_no != 0) {
			n = run_length(fold, txn, i);
			status = shadow_write_run(
			    fold->settings.shadow, page->page_no, n,
			    spool_bytes(fold->settings.spool, page->slot), err);
		}
	}
	return status;
}

static enum status write_batch(struct fold *fold, struct state_meta *next,
			       struct error *err)
{
	struct shadow *shadow = fold->settings.shadow;
	uint32_t pages = next->base_pages; /* after the transaction before */
	enum status status = ST_OK;

	for (const struct captured_txn *txn = fold->batch.first; status == ST_OK && txn;
	     txn = txn->next) {
		if (low_pages(txn) < pages) {
			status = fold_cut(shadow, txn, err);
		}
		pages = txn->page_count;
		if (status == ST_OK && pages > shadow_page_count(shadow)) {
			status = shadow_resize(shadow, highest_from(txn), err);
		}
		if (status == ST_OK) {
			status = write_images(fold, txn, err);
			fold_set_base(next, txn);
		}
	}
	if (status == ST_OK) {
		FAULT_POINT("fold-written");
		status = shadow_resize(shadow, pages, err);
	}
	return status == ST_OK ? shadow_sync(shadow, err) : status;
}

/* Who listens needs neither the batch's images nor the shadow before it any more. */
static enum status settle(const struct fold *fold, struct error *err)
{
	struct listener *listener = *fold->settings.listener;
	const struct captured_txn *last = fold->batch.first;

	if (!listener) {
		return ST_OK;
	}
	while (last->next) {
		last = last->next;
	}
	return listener->settle(listener, last->lsn, err);
}

/* Bring S forward: A on disk first, then the pages, then meta. */
static enum status run_batch(struct fold *fold, struct state_meta *next,
			     struct error *err)
{
	/* A power cut must not leave A before S. */
	enum status status = state_dir_sync_position(fold->settings.dir, err);

	fold->is_said = false;
	if (status == ST_OK) {
		status = settle(fold, err);
		fold->is_said = status != ST_OK;
	}
	if (status != ST_OK) {
		return status;
	}
	FAULT_POINT("fold-begins");
	status = write_batch(fold, next, err);
	if (status != ST_OK) {
		return error_wrap(err, "%s", state_dir_path(fold->settings.dir));
	}
	FAULT_POINT("fold-synced");
	return state_dir_put_meta(fold->settings.dir, next, err);
}

static void *run(void *context)
{
	struct fold *fold = context;

	(void)prctl(PR_SET_NAME, "fold");
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), FOLD_NICE);
	(void)pthread_mutex_lock(&fold->lock);
	while (!fold->stops) {
		struct error err = {0};
		struct state_meta next;
		enum status status;

		if (fold->state != FOLD_AT_WORK) {
			(void)pthread_cond_wait(&fold->changed, &fold->lock);
			continue;
		}
		next = *fold->settings.meta;
		(void)pthread_mutex_unlock(&fold->lock);
		status = run_batch(fold, &next, &err);
		FAULT_POINT("fold-meta");
		(void)pthread_mutex_lock(&fold->lock);
		fold->status = status;
		fold->failure = err;
		fold->state = FOLD_DONE;
		(void)pthread_cond_broadcast(&fold->changed);
		event_fd_wake(fold->done_fd);
	}
	(void)pthread_mutex_unlock(&fold->lock);
	return NULL;
}

/* ---- the decoding thread's side ---- */

enum status fold_open(const struct fold_settings *settings, struct fold **out,
		      struct error *err)
{
	struct fold *fold = calloc(1, sizeof *fold);
	enum status status;

	if (!fold) {
		return error_no_memory(err, "folding");
	}
	fold->settings = *settings;
	fold->base_pages = settings->meta->base_pages;
	list_init(&fold->kept);
	list_init(&fold->batch);
	(void)pthread_mutex_init(&fold->lock, NULL);
	(void)pthread_cond_init(&fold->changed, NULL);
	status = event_fd_open(&fold->done_fd, err);
	if (status != ST_OK) {
		fold_close(fold);
		return status;
	}
	*out = fold;
	return ST_OK;
}

void fold_close(struct fold *fold)
{
	if (!fold) {
		return;
	}
	if (fold->is_started) {
		(void)fold_wait(fold);
		(void)pthread_mutex_lock(&fold->lock);
		fold->stops = true;
		(void)pthread_cond_broadcast(&fold->changed);
		(void)pthread_mutex_unlock(&fold->lock);
		(void)pthread_join(fold->thread, NULL);
	}
	captured_txn_free(fold->kept.first);
	captured_txn_free(fold->batch.first);
	event_fd_close(fold->done_fd);
	(void)pthread_cond_destroy(&fold->changed);
	(void)pthread_mutex_destroy(&fold->lock);
	free(fold);
}

void fold_keep(struct fold *fold, struct captured_txn *txn)
{
	list_add(&fold->kept, txn, fold->settings.page_size);
}

bool fold_chain_at(const struct fold *fold, uint64_t lsn, uint64_t *chain)
{
	for (const struct captured_txn *txn = fold->kept.first; txn; txn = txn->next) {
		if (txn->lsn == lsn) {
			*chain = txn->chain;
			return true;
		}
	}
	return false;
}

static enum fold_state state_of(const struct fold *fold)
{
	struct fold *f = (struct fold *)(uintptr_t)fold;
	enum fold_state state;

	(void)pthread_mutex_lock(&f->lock);
	state = f->state;
	(void)pthread_mutex_unlock(&f->lock);
	return state;
}

bool fold_is_due(const struct fold *fold)
{
	if (fold->kept.bytes < FOLD_BYTES) {
		return false;
	}
	switch (state_of(fold)) {
	case FOLD_AT_WORK:
		return fold->kept.bytes >= FOLD_MOST;
	case FOLD_IDLE:
		return clock_mono_ns() >= fold->not_before;
	default:
		return true;
	}
}

/* Tell the images that are not the newest of their pages; have room for the hashes of
 * all pages. */
static enum status prepare(struct fold *fold, const struct view *view,
			   struct error *err)
{
	uint32_t most = 0;

	for (struct captured_txn *txn = fold->kept.first; txn; txn = txn->next) {
		most = txn->page_count > most ? txn->page_count : most;
		for (size_t i = 0; i < txn->page_total; i++) {
			struct captured_page *page = &txn->pages[i];

			if (!view_is_newest(view, page->page_no, page->slot)) {
				page->page_no = 0;
			}
		}
	}
	return shadow_reserve(fold->settings.shadow, most, err);
}

static enum status start(struct fold *fold, struct view *view, struct error *err)
{
	enum status status = prepare(fold, view, err);

	if (status == ST_OK && !fold->is_started) {
		status = thread_start(&fold->thread, run, fold, "fold", err);
		fold->is_started = status == ST_OK;
	}
	if (status != ST_OK) {
		return status;
	}
	list_append(&fold->batch, &fold->kept);
	fold->is_unseen = true;
	(void)pthread_mutex_lock(&fold->lock);
	fold->state = FOLD_AT_WORK;
	(void)pthread_cond_broadcast(&fold->changed);
	(void)pthread_mutex_unlock(&fold->lock);
	return ST_OK;
}

enum status fold_begin(struct fold *fold, struct view *view, bool now,
		       struct error *err)
{
	enum status status = ST_OK;

	if (!now && !fold_is_due(fold)) {
		return ST_OK;
	}
	(void)fold_wait(fold);
	status = fold_end(fold, view, err);
	if (status != ST_OK || !fold->kept.first ||
	    (!now && clock_mono_ns() < fold->not_before)) {
		return status;
	}
	status = start(fold, view, err);
	if (status == ST_OK && now) {
		(void)fold_wait(fold);
		status = fold_end(fold, view, err);
	}
	return status;
}

bool fold_wait(struct fold *fold)
{
	const struct captured_txn *last = fold->batch.first;

	if (!fold->is_unseen) {
		return false;
	}
	fold->is_unseen = false;
	(void)pthread_mutex_lock(&fold->lock);
	while (fold->state == FOLD_AT_WORK) {
		(void)pthread_cond_wait(&fold->changed, &fold->lock);
	}
	(void)pthread_mutex_unlock(&fold->lock);
	if (fold->status == ST_OK) {
		/* Not all of meta: other threads read its page size. */
		while (last->next) {
			last = last->next;
		}
		fold_set_base(fold->settings.meta, last);
	}
	/* A batch that failed has left its mark there, too. */
	fold->base_pages = shadow_page_count(fold->settings.shadow);
	return true;
}

/* A full disk is waited for, and so is a later run where this one ends: all of it is in
 * the journal. The batch is tried again. */
static enum status put_off(struct fold *fold, struct error *err)
{
	*err = fold->failure;
	if (!error_is_full(err) && err->status != ST_STOPPED) {
		return err->status;
	}
	if (!fold->is_full && !fold->is_said && err->status != ST_STOPPED) {
		log_warn("%s; trying again", err->text);
		fold->is_full = true;
	}
	fold->not_before = clock_mono_ns() + FOLD_AGAIN_NS;
	list_append(&fold->batch, &fold->kept);
	list_append(&fold->kept, &fold->batch);
	return ST_OK;
}

static void forget_batch(struct fold *fold, struct view *view)
{
	struct captured_txn *txn;

	while ((txn = list_take(&fold->batch)) != NULL) {
		for (size_t i = 0; i < txn->page_total; i++) {
			view_forget(view, txn->pages[i].page_no, txn->pages[i].slot);
			spool_free(fold->settings.spool, &txn->pages[i].slot, 1);
		}
		captured_txn_free_one(txn);
	}
}

enum status fold_end(struct fold *fold, struct view *view, struct error *err)
{
	if (state_of(fold) != FOLD_DONE) {
		return ST_OK;
	}
	(void)fold_wait(fold);
	event_fd_clear(fold->done_fd);
	(void)pthread_mutex_lock(&fold->lock);
	fold->state = FOLD_IDLE;
	(void)pthread_mutex_unlock(&fold->lock);
	if (fold->status != ST_OK) {
		return put_off(fold, err);
	}
	fold->is_full = false;
	forget_batch(fold, view);
	FAULT_POINT("fold-slots-free");
	return journal_trim(fold->settings.journal, fold->settings.meta->base_lsn, err);
}

int fold_fd(const struct fold *fold)
{
	return fold->done_fd;
}

uint32_t fold_base_pages(const struct fold *fold)
{
	return fold->base_pages;
}
