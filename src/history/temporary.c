/* SPDX-License-Identifier: Apache-2.0 */
#include "src/history/temporary.h"
#include "src/base/event_fd.h"

#include <pthread.h>
#include <stdlib.h>

#include "src/base/clock.h"

#define READ_BYTES (64u << 20)

struct temporary {
	struct history history; /* first member */
	uint64_t max_bytes;

	pthread_mutex_t lock; /* everything below */
	struct captured_txn *queue;
	struct captured_txn **end;
	uint64_t bytes; /* of the queue and of what is taken */
	uint64_t taken_total;
};

static struct temporary *temporary_of(struct history *history)
{
	return (struct temporary *)history;
}

static enum status prepare(struct history *history, uint32_t page_size,
			   struct error *err)
{
	return spool_open(page_size, &history->spool, err);
}

/* ---- there was no earlier run ---- */

static bool find_end(const struct history *history, struct history_end *end)
{
	(void)history;
	*end = (struct history_end){0};
	return false;
}

static bool is_untouched(const struct history *history, const struct stat *database)
{
	(void)history;
	(void)database;
	return false;
}

static bool is_same_at_end(const struct history *history, uint32_t page_no,
			   const uint8_t *bytes)
{
	(void)history;
	(void)page_no;
	(void)bytes;
	return false;
}

static enum status begin(struct history *history, struct captured_txn *first,
			 struct error *err)
{
	(void)history;
	(void)first;
	(void)err;
	return ST_OK;
}

static enum status put_clean(struct history *history, const struct stat *database,
			     uint64_t lsn, struct error *err)
{
	(void)history;
	(void)database;
	(void)lsn;
	(void)err;
	return ST_OK;
}

/* ---- capture ---- */

/* What waits behind the oldest one: that is wanted, however large it is. */
static bool has_room(struct history *history)
{
	struct temporary *t = temporary_of(history);
	uint64_t waiting;

	(void)pthread_mutex_lock(&t->lock);
	waiting = t->bytes - (t->taken_total == 0 && t->queue ? t->queue->bytes : 0);
	(void)pthread_mutex_unlock(&t->lock);
	return waiting <= t->max_bytes;
}

static enum status append(struct history *history, struct captured_txn *txn,
			  struct error *err)
{
	struct temporary *t = temporary_of(history);

	(void)err;
	(void)pthread_mutex_lock(&t->lock);
	t->bytes += txn->bytes;
	txn->next = NULL;
	*t->end = txn;
	t->end = &txn->next;
	(void)pthread_mutex_unlock(&t->lock);
	return ST_OK;
}

static enum status settle(struct history *history, uint64_t lsn, int64_t until_ns,
			  bool may_outrun, struct error *err)
{
	(void)history;
	(void)lsn;
	(void)until_ns;
	(void)may_outrun;
	(void)err;
	return ST_OK;
}

/* ---- decoding ---- */

static enum status start(struct history *history, struct error *err)
{
	(void)history;
	(void)err;
	return ST_OK;
}

static void stop(struct history *history)
{
	(void)history;
}

static enum status open_view(struct history *history, const struct history_base *base,
			     struct captured_txn *first, uint64_t *lsn,
			     struct error *err)
{
	enum status status = view_open(history->spool, &base->pages, base->page_size,
				       first, &history->view, err);

	*lsn = first->lsn;
	history->begun_ns = base->begun_ns > 0 ? base->begun_ns : clock_wall_ns();
	captured_txn_free(first);
	return status;
}

static enum status next(struct history *history, struct captured_txn **txn,
			struct error *err)
{
	struct temporary *t = temporary_of(history);
	struct captured_txn *oldest;

	(void)pthread_mutex_lock(&t->lock);
	oldest = t->queue;
	if (oldest) {
		t->queue = oldest->next;
		if (!t->queue) {
			t->end = &t->queue;
		}
		oldest->next = NULL;
		oldest->is_taken = true;
		t->taken_total++;
		*txn = oldest;
	} else {
		event_fd_clear(history->wake_fd);
	}
	(void)pthread_mutex_unlock(&t->lock);
	return oldest ? ST_OK : error_set(err, ST_END, "nothing committed");
}

static void done(struct history *history, struct captured_txn *txn)
{
	struct temporary *t = temporary_of(history);

	if (txn->is_taken) {
		(void)pthread_mutex_lock(&t->lock);
		t->taken_total--;
		t->bytes -= txn->bytes;
		(void)pthread_mutex_unlock(&t->lock);
	}
	atomic_store_explicit(&history->decoded_lsn, txn->lsn, memory_order_release);
	captured_txn_free(txn);
}

/* Nothing is kept. */
static bool is_full(const struct history *history)
{
	(void)history;
	return false;
}

static enum status acknowledged(struct history *history, uint64_t lsn, bool now,
				struct error *err)
{
	(void)history;
	(void)lsn;
	(void)now;
	(void)err;
	return ST_OK;
}

static enum status finish(struct history *history, struct error *err)
{
	(void)history;
	(void)err;
	return ST_OK;
}

static enum status check(struct history *history, struct error *err)
{
	(void)history;
	(void)err;
	return ST_OK;
}

static void close_temporary(struct history *history)
{
	struct temporary *t = temporary_of(history);

	captured_txn_free(t->queue);
	view_close(history->view);
	spool_close(history->spool);
	event_fd_close(history->wake_fd);
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

enum status temporary_open(uint64_t max_bytes, struct history **out, struct error *err)
{
	struct temporary *t = calloc(1, sizeof *t);
	enum status status;

	if (!t) {
		return error_no_memory(err, "transactions");
	}
	t->history = (struct history){
	    .read_bytes = READ_BYTES,
	    .saves_preimages = true,
	    .work_fd = -1,
	    .slow_advice = "; with --state DIR the output may be slow",
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
	    .close = close_temporary,
	};
	t->max_bytes = max_bytes;
	t->end = &t->queue;
	(void)pthread_mutex_init(&t->lock, NULL);
	status = event_fd_open(&t->history.wake_fd, err);
	if (status != ST_OK) {
		close_temporary(&t->history);
		return status;
	}
	*out = &t->history;
	return ST_OK;
}
