/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/durable.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "src/base/clock.h"
#include "src/base/event_fd.h"
#include "src/base/fault.h"
#include "src/base/quote.h"
#include "src/base/thread.h"
#include "src/state/queue.h"

#define SYNC_BYTES (8u << 20) /* as many are synced while the next are read */

struct durable {
	struct history history; /* first member */
	struct state *state;
	struct queue *queue;
	struct view_file shadow; /* under the view */
	struct shadow *base;     /* what the listener reads; NULL: nothing yet */
	uint32_t base_pages;     /* when it began */
	pthread_t thread;        /* syncs */
	bool is_syncing;

	pthread_mutex_t lock;          /* everything below */
	pthread_cond_t journalled;     /* `unsynced` has grown, or stop */
	pthread_cond_t synced;         /* `synced_lsn` has, or all has failed */
	struct captured_txn *unsynced; /* in the journal, not durable */
	struct captured_txn **unsynced_end;
	uint64_t synced_lsn; /* D */
	bool tells;          /* the listener has begun: it is told of what is synced */
	bool stops;
	bool has_failed;
	struct error failure;
};

static struct durable *durable_of(struct history *history)
{
	return (struct durable *)history;
}

static const struct durable *const_durable_of(const struct history *history)
{
	return (const struct durable *)history;
}

static enum status prepare(struct history *history, uint32_t page_size,
			   struct error *err)
{
	struct durable *d = durable_of(history);
	enum status status = state_prepare(d->state, page_size, err);

	history->spool = d->state->spool;
	return status;
}

/* ---- of an earlier run ---- */

static bool find_end(const struct history *history, struct history_end *end)
{
	const struct durable *d = const_durable_of(history);

	*end = d->state->end;
	return !d->state->kept.is_new;
}

static bool is_untouched(const struct history *history, const struct stat *database)
{
	return meta_is_untouched(&const_durable_of(history)->state->meta,
				 const_durable_of(history)->state->end.lsn, database);
}

static bool is_same_at_end(const struct history *history, uint32_t page_no,
			   const uint8_t *bytes)
{
	return state_is_same_at_end(const_durable_of(history)->state, page_no, bytes);
}

/* The journal begins with a record of the state at the start, without images: the base
 * will have them. */
static enum status begin(struct history *history, struct captured_txn *first,
			 struct error *err)
{
	struct durable *d = durable_of(history);
	struct captured_txn record = *first;
	enum status status = ST_OK;

	record.page_total = 0;
	if (first->lsn > 0) {
		status = state_append(d->state, &record, err);
		first->chain = record.chain;
	}
	d->synced_lsn = first->lsn;
	return status;
}

static enum status put_clean(struct history *history, const struct stat *database,
			     uint64_t lsn, struct error *err)
{
	return state_put_clean(durable_of(history)->state, database, lsn, err);
}

/* ---- capture ---- */

/* Always: what is too much is merged. */
static bool has_room(struct history *history)
{
	(void)history;
	return true;
}

static enum status append(struct history *history, struct captured_txn *txn,
			  struct error *err)
{
	struct durable *d = durable_of(history);
	enum status status = state_append(d->state, txn, err);

	if (status != ST_OK) {
		return status;
	}
	(void)pthread_mutex_lock(&d->lock);
	*d->unsynced_end = txn;
	d->unsynced_end = &txn->next;
	(void)pthread_cond_signal(&d->journalled);
	(void)pthread_mutex_unlock(&d->lock);
	return ST_OK;
}

static void fail(struct durable *d, const struct error *err)
{
	(void)pthread_mutex_lock(&d->lock);
	d->has_failed = true;
	d->failure = *err;
	(void)pthread_cond_broadcast(&d->synced);
	(void)pthread_mutex_unlock(&d->lock);
	event_fd_wake(d->history.wake_fd);
}

static void listener_failed(void *context, const struct error *err)
{
	fail(context, err);
}

static void merge_failed(void *context, const struct error *err)
{
	fail(context, err);
}

static void tell(struct durable *d, const struct captured_txn *first)
{
	for (const struct captured_txn *txn = first; txn; txn = txn->next) {
		d->history.listener->add(d->history.listener, txn);
	}
}

/* With the lock, which is let go of meanwhile: sync what has gathered, and list it to
 * be taken. */
static enum status sync_gathered(struct durable *d, struct error *err)
{
	struct captured_txn *first = d->unsynced;
	struct captured_txn *last = first;
	bool tells = d->tells;
	enum status status;

	d->unsynced = NULL;
	d->unsynced_end = &d->unsynced;
	(void)pthread_mutex_unlock(&d->lock);
	status = journal_sync(d->state->journal, err);
	/* They are durable, and maybe more that was appended meanwhile; but not in the
	 * list yet. */
	FAULT_POINT("capture-synced");
	if (status != ST_OK) {
		captured_txn_free(first);
		(void)pthread_mutex_lock(&d->lock);
		return status;
	}
	while (last->next) {
		last = last->next;
	}
	if (tells) {
		tell(d, first);
	}
	(void)pthread_mutex_lock(&d->lock);
	if (!tells && d->tells) { /* since then, and what is listed is told */
		tell(d, first);
	}
	d->synced_lsn = last->lsn;
	queue_put(d->queue, first, last);
	(void)pthread_cond_broadcast(&d->synced);
	event_fd_wake(d->history.wake_fd);
	return ST_OK;
}

static void *run_sync(void *context)
{
	struct durable *d = context;
	enum status status = ST_OK;
	struct error err;

	(void)prctl(PR_SET_NAME, "journal");
	(void)pthread_mutex_lock(&d->lock);
	while (status == ST_OK && (d->unsynced || !d->stops)) {
		if (d->unsynced) {
			status = sync_gathered(d, &err);
		} else {
			(void)pthread_cond_wait(&d->journalled, &d->lock);
		}
	}
	(void)pthread_mutex_unlock(&d->lock);
	if (status != ST_OK) {
		fail(d, &err);
	}
	return NULL;
}

static enum status settle(struct history *history, uint64_t lsn, int64_t until_ns,
			  bool may_outrun, struct error *err)
{
	struct durable *d = durable_of(history);
	struct timespec until = clock_timespec(until_ns);
	enum status status = ST_OK;

	if (!d->is_syncing) {
		return journal_sync(d->state->journal, err);
	}
	(void)pthread_mutex_lock(&d->lock);
	while (d->synced_lsn < lsn && !d->has_failed && clock_mono_ns() < until_ns) {
		(void)pthread_cond_timedwait(&d->synced, &d->lock, &until);
	}
	if (d->has_failed) {
		*err = d->failure;
		status = err->status;
	} else if (d->synced_lsn < lsn && !may_outrun) {
		status = error_set(err, ST_RETRY, "the journal is not synced yet");
	}
	(void)pthread_mutex_unlock(&d->lock);
	return status;
}

/* ---- decoding ---- */

static enum status start(struct history *history, struct error *err)
{
	struct durable *d = durable_of(history);
	/* D at the start: what was captured since is not durable yet. */
	enum status status = queue_start(d->queue, d->synced_lsn, err);

	if (status == ST_OK) {
		status = thread_start(&d->thread, run_sync, d, "journal", err);
		d->is_syncing = status == ST_OK;
	}
	return status;
}

static void stop(struct history *history)
{
	struct durable *d = durable_of(history);

	queue_stop(d->queue);
	if (d->is_syncing) {
		(void)pthread_mutex_lock(&d->lock);
		d->stops = true;
		(void)pthread_cond_signal(&d->journalled);
		(void)pthread_mutex_unlock(&d->lock);
		(void)pthread_join(d->thread, NULL);
		d->is_syncing = false;
	}
}

static enum status check(struct history *history, struct error *err)
{
	struct durable *d = durable_of(history);
	enum status status = ST_OK;

	(void)pthread_mutex_lock(&d->lock);
	if (d->has_failed) {
		*err = d->failure;
		status = err->status;
	}
	(void)pthread_mutex_unlock(&d->lock);
	return status;
}

static enum status next(struct history *history, struct captured_txn **txn,
			struct error *err)
{
	struct durable *d = durable_of(history);
	enum status status = queue_next(d->queue, txn, err);
	struct error failure;

	if (status == ST_END && check(history, &failure) != ST_OK) {
		*err = failure;
		return failure.status;
	}
	return status;
}

/* It does not wait to be decoded any more, whatever becomes of it. */
static void leave_queue(struct durable *d, struct captured_txn *txn)
{
	queue_done(d->queue, txn);
	atomic_store_explicit(&d->history.decoded_lsn, txn->lsn, memory_order_release);
}

static void done(struct history *history, struct captured_txn *txn)
{
	struct durable *d = durable_of(history);

	leave_queue(d, txn);
	fold_keep(d->state->fold, txn);
}

/* ---- the base ---- */

/* `*time_ns` follows what is absorbed. */
static enum status absorb_until(struct durable *d, const struct history_base *base,
				uint64_t lsn, int64_t *time_ns, struct error *err)
{
	enum status status = ST_OK;

	while (status == ST_OK && d->state->meta.base_lsn < lsn) {
		struct captured_txn *txn;
		struct pollfd fds[2] = {
		    {.fd = d->history.wake_fd, .events = POLLIN},
		    {.fd = base->stop_fd, .events = POLLIN},
		};

		status = next(&d->history, &txn, err);
		if (status == ST_END) {
			(void)poll(fds, 2, -1);
			status =
			    *base->stop ? error_set(err, ST_STOPPED, "stopped") : ST_OK;
		} else if (status == ST_OK) {
			leave_queue(d, txn);
			*time_ns = txn->captured_ns;
			status = state_absorb(d->state, txn, err);
		}
	}
	return status;
}

/* Copy the database while it is captured, and add what came meanwhile. `*time_ns`: wall
 * clock of that state; 0: not known. */
static enum status make_base(struct durable *d, const struct history_base *base,
			     struct captured_txn *first, int64_t *time_ns,
			     struct error *err)
{
	struct shadow_copy copy = {.source_fd = base->source_fd,
				   .page_count = first->page_count,
				   .stop = base->stop,
				   .progress = base->progress,
				   .context = base->context};
	uint64_t lsn;
	enum status status = state_copy_base(d->state, &copy, err);

	if (status != ST_OK) {
		captured_txn_free(first);
		return status;
	}
	*time_ns = first->captured_ns;
	status = state_absorb(d->state, first, err);
	if (status == ST_OK) {
		status = base->reach(base->context, &lsn, err);
	}
	if (status == ST_OK) {
		status = absorb_until(d, base, lsn, time_ns, err);
	}
	if (status != ST_OK) {
		return status;
	}
	d->state->meta.begun_ns = base->begun_ns;
	return state_begin(d->state, err);
}

/* ---- who listens ---- */

/* Through a reader of its own: the hashes of the shadow in use may be moved meanwhile.
 * Nothing writes to it before the listener has settled the first batch. */
static enum status read_base(void *context, uint32_t first, uint32_t count,
			     uint8_t *bytes, struct error *err)
{
	struct durable *d = context;
	enum status status = d->base ? ST_OK
				     : shadow_open_read(state_dir_fd(d->state->dir),
							d->state->meta.page_size,
							d->base_pages, &d->base, err);

	if (status == ST_OK) {
		status = shadow_read(d->base, first, count, bytes, err);
	}
	return status == ST_OK
		   ? ST_OK
		   : error_wrap(err, "%s", quote(state_dir_path(d->state->dir)).text);
}

static void read_base_done(void *context)
{
	struct durable *d = context;

	shadow_close(d->base);
	d->base = NULL;
}

/* What the directory had, what came since then, and from now on what comes. */
static enum status begin_to_tell(struct durable *d, int64_t time_ns, struct error *err)
{
	struct listener *listener = d->history.listener;
	struct state *state = d->state;
	struct listener_base base = {
	    .spool = state->spool,
	    .page_size = state->meta.page_size,
	    .page_count = state->meta.base_pages,
	    .lsn = state->meta.base_lsn,
	    .end_lsn = state->end.lsn,
	    .time_ns = time_ns,
	    .read = read_base,
	    .read_done = read_base_done,
	    .fail = listener_failed,
	    .context = d,
	};
	enum status status;

	d->base_pages = state->meta.base_pages;
	status = listener->begin(listener, &base, err);
	if (status != ST_OK) {
		return status;
	}
	state->listener = listener;
	tell(d, state->recovered);
	(void)pthread_mutex_lock(&d->lock);
	queue_tell(d->queue, listener);
	d->tells = true;
	(void)pthread_mutex_unlock(&d->lock);
	return listener->run(listener, err);
}

/* What was acknowledged lies over the base; the rest is to be taken. */
static enum status replay(struct durable *d, uint64_t *lsn, struct error *err)
{
	struct view *view = d->history.view;
	enum status status = ST_OK;
	struct captured_txn *txn;

	while (status == ST_OK && (txn = state_next_recovered(d->state)) != NULL) {
		if (txn->lsn > d->state->kept.position.lsn) {
			queue_put_back(d->queue, txn);
			continue;
		}
		*lsn = txn->lsn;
		status = view_begin(view, txn, err);
		if (status == ST_OK) {
			view_end(view);
		}
		fold_keep(d->state->fold, txn);
	}
	queue_is_back(d->queue);
	return status;
}

/* Of the shadow as it is. */
static enum status view_shadow(struct durable *d, struct error *err)
{
	const struct state *state = d->state;
	struct captured_txn first = {.lsn = state->meta.base_lsn,
				     .page_count = state->meta.base_pages};
	struct view_base base = view_base_of_file(&d->shadow);

	d->shadow = (struct view_file){.fd = shadow_fd(state->shadow),
				       .path = state->base_path,
				       .page_size = state->meta.page_size};
	return view_open(state->spool, &base, state->meta.page_size, &first,
			 &d->history.view, err);
}

static enum status open_view(struct history *history, const struct history_base *base,
			     struct captured_txn *first, uint64_t *lsn,
			     struct error *err)
{
	struct durable *d = durable_of(history);
	struct state *state = d->state;
	int64_t time_ns = 0;
	enum status status = first ? make_base(d, base, first, &time_ns, err) : ST_OK;

	if (status == ST_OK && history->listener) {
		status = begin_to_tell(d, time_ns, err);
	}
	if (status == ST_OK) {
		status = view_shadow(d, err);
	}
	if (status != ST_OK) {
		return status;
	}
	view_use_copy(history->view, state_check_page, state);
	history->begun_ns = state->meta.begun_ns;
	history->known_ns = state->known_ns;
	history->work_fd = fold_fd(state->fold);
	*lsn = state->meta.base_lsn;
	status = replay(d, lsn, err);
	(void)state_chain_at(state, *lsn, &history->chain);
	return status;
}

/* ---- what is acknowledged ---- */

static bool is_full(const struct history *history)
{
	return fold_is_due(const_durable_of(history)->state->fold);
}

static enum status acknowledged(struct history *history, uint64_t lsn, bool now,
				struct error *err)
{
	struct state *state = durable_of(history)->state;
	enum status status = fold_end(state->fold, history->view, err);

	/* Not all that was acknowledged needs to be noted at once. */
	return status == ST_OK && state->kept.position.lsn == lsn
		   ? fold_begin(state->fold, history->view, now, err)
		   : status;
}

static enum status finish(struct history *history, struct error *err)
{
	struct fold *fold = durable_of(history)->state->fold;

	(void)fold_wait(fold);
	return fold_end(fold, history->view, err);
}

/* ---- open and close ---- */

static void close_durable(struct history *history)
{
	struct durable *d = durable_of(history);

	stop(history);
	if (d->state->fold) { /* the listener is not asked any more */
		(void)fold_wait(d->state->fold);
	}
	view_close(history->view);
	queue_close(d->queue);
	captured_txn_free(d->unsynced);
	event_fd_close(history->wake_fd);
	(void)pthread_cond_destroy(&d->journalled);
	(void)pthread_cond_destroy(&d->synced);
	(void)pthread_mutex_destroy(&d->lock);
	free(d);
}

static void init_locks(struct durable *d)
{

	(void)pthread_mutex_init(&d->lock, NULL);
	thread_cond_init(&d->synced);
	(void)pthread_cond_init(&d->journalled, NULL);
}

enum status durable_open(struct state *state, uint64_t journal_max_bytes,
			 struct history **out, struct error *err)
{
	struct durable *d = calloc(1, sizeof *d);
	struct queue_settings queue = {.state = state,
				       .max_bytes = journal_max_bytes,
				       .fail = merge_failed,
				       .context = d};
	enum status status;

	if (!d) {
		return error_no_memory(err, "the journal");
	}
	d->history = (struct history){
	    .read_bytes = SYNC_BYTES,
	    .keeps_places = true,
	    .goes_on = true,
	    .copies = state->kept.is_new,
	    .slow_advice = "",
	    .work_fd = -1,
	    .spool = state->spool,
	    .prepare = prepare,
	    .find_end = find_end,
	    .is_untouched = is_untouched,
	    .is_same_at_end = is_same_at_end,
	    .begin = begin,
	    .has_room = has_room,
	    .append = append,
	    .settle = settle,
	    .put_clean = put_clean,
	    .start = start,
	    .stop = stop,
	    .open_view = open_view,
	    .next = next,
	    .done = done,
	    .is_full = is_full,
	    .acknowledged = acknowledged,
	    .finish = finish,
	    .check = check,
	    .close = close_durable,
	};
	d->state = state;
	d->unsynced_end = &d->unsynced;
	d->synced_lsn = state->end.lsn;
	init_locks(d);
	status = event_fd_open(&d->history.wake_fd, err);
	queue.wake_fd = d->history.wake_fd;
	if (status == ST_OK) {
		status = queue_open(&queue, &d->queue, err);
	}
	if (status != ST_OK) {
		close_durable(&d->history);
		return status;
	}
	*out = &d->history;
	return ST_OK;
}
