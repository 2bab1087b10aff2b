/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/event_fd.h"
#include "src/base/fault.h"
#include "src/base/log.h"
#include "src/base/thread.h"
#include "src/state/state.h"

#define SEGMENTS     8          /* of the journal in max_bytes */
#define MERGE_PART   4          /* of max_bytes is new before the next merge */
#define STEP_TXNS    1000       /* H goes ahead by so many transactions, */
#define STEP_BYTES   (1u << 20) /* or so many bytes */
#define FULL_DISK_NS NS_PER_S   /* until the next try */

struct queue {
	struct queue_settings settings;
	bool is_started;
	pthread_t thread;

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t
	    changed; /* there may be something to merge, or to take, or stop */
	bool stops;
	struct captured_txn *oldest;
	struct captured_txn **end;
	struct captured_txn **back; /* where the next one is put back */
	uint64_t found;       /* D at the start; 0: what is up to there was put back */
	uint64_t listed;      /* the last that was put: what may be merged ends there */
	uint64_t bytes;       /* of the queue and of what is taken */
	uint64_t taken_total; /* and not done */
	uint64_t taken_lsn;   /* the last */

	/* The gate: shut, nothing after `handed` is given out before that is durable.
	 */
	bool is_shut;
	uint64_t handed;
	bool is_merging;           /* what is after `handed` stays where it is */
	bool is_stepping;          /* `handed` is about to move */
	uint64_t fresh;            /* bytes that came since the last merge */
	bool has_said;             /* that it merges */
	struct listener *listener; /* settles what is merged; NULL: none */
};

/* ---- taking and putting ---- */

void queue_put(struct queue *queue, struct captured_txn *first,
	       struct captured_txn *last)
{
	(void)pthread_mutex_lock(&queue->lock);
	for (struct captured_txn *txn = first;; txn = txn->next) {
		assert(txn->lsn > queue->listed);
		queue->listed = txn->lsn;
		queue->bytes += txn->bytes;
		queue->fresh += txn->bytes;
		if (txn == last) {
			break;
		}
	}
	last->next = NULL;
	*queue->end = first;
	queue->end = &last->next;
	(void)pthread_cond_broadcast(&queue->changed);
	(void)pthread_mutex_unlock(&queue->lock);
}

void queue_put_back(struct queue *queue, struct captured_txn *txn)
{
	(void)pthread_mutex_lock(&queue->lock);
	assert(txn->lsn <= queue->found);
	queue->bytes += txn->bytes;
	txn->next = *queue->back;
	*queue->back = txn;
	if (queue->end == queue->back) {
		queue->end = &txn->next;
	}
	queue->back = &txn->next;
	(void)pthread_mutex_unlock(&queue->lock);
}

void queue_is_back(struct queue *queue)
{
	(void)pthread_mutex_lock(&queue->lock);
	queue->found = 0;
	(void)pthread_cond_broadcast(&queue->changed);
	(void)pthread_mutex_unlock(&queue->lock);
}

/* With the lock: bytes that wait behind the oldest one. */
static uint64_t waiting(const struct queue *b)
{
	return b->bytes - (b->taken_total == 0 && b->oldest ? b->oldest->bytes : 0);
}

void queue_tell(struct queue *queue, struct listener *listener)
{
	(void)pthread_mutex_lock(&queue->lock);
	while (queue->is_merging) {
		(void)pthread_cond_wait(&queue->changed, &queue->lock);
	}
	queue->listener = listener;
	for (struct captured_txn *txn = queue->oldest; txn; txn = txn->next) {
		listener->add(listener, txn);
	}
	(void)pthread_mutex_unlock(&queue->lock);
}

uint64_t queue_bytes(struct queue *queue)
{
	uint64_t bytes;

	(void)pthread_mutex_lock(&queue->lock);
	bytes = waiting(queue);
	(void)pthread_mutex_unlock(&queue->lock);
	return bytes;
}

/* With the lock: what H should be before the oldest one is handed over. */
static uint64_t step_from(const struct queue *b)
{
	const struct captured_txn *txn = b->oldest;
	uint64_t bytes = txn->bytes;

	for (int i = 1; i < STEP_TXNS && txn->next && bytes < STEP_BYTES; i++) {
		txn = txn->next;
		bytes += txn->bytes;
	}
	return txn->lsn;
}

/* With the lock, which is let go of meanwhile: have the gate let the oldest one
 * through. */
static enum status pass_gate(struct queue *b, struct error *err)
{
	enum status status = ST_OK;

	while (b->is_merging && !b->stops) {
		(void)pthread_cond_wait(&b->changed, &b->lock);
	}
	if (b->is_shut && b->oldest->lsn > b->handed) {
		bool opens = b->bytes < b->settings.max_bytes / 2;
		uint64_t lsn = step_from(b);

		b->is_stepping = true;
		(void)pthread_mutex_unlock(&b->lock);
		status = state_dir_put_unhanded(b->settings.state->dir,
						opens ? 0 : lsn + 1, err);
		(void)pthread_mutex_lock(&b->lock);
		b->is_stepping = false;
		if (status == ST_OK) {
			b->is_shut = !opens;
			b->handed = lsn;
			b->has_said = b->has_said && !opens;
		}
		(void)pthread_cond_broadcast(&b->changed);
	}
	return status;
}

static void take(struct queue *b, struct captured_txn **txn)
{
	struct captured_txn *taken = b->oldest;

	assert(taken->lsn > b->taken_lsn);
	b->oldest = taken->next;
	if (b->end == &taken->next) {
		b->end = &b->oldest;
	}
	if (b->back == &taken->next) {
		b->back = &b->oldest;
	}
	taken->next = NULL;
	taken->is_taken = true;
	b->taken_total++;
	b->taken_lsn = taken->lsn;
	*txn = taken;
}

enum status queue_next(struct queue *queue, struct captured_txn **txn,
		       struct error *err)
{
	enum status status = ST_OK;

	(void)pthread_mutex_lock(&queue->lock);
	if (!queue->oldest) {
		status = error_set(err, ST_END, "nothing committed");
		event_fd_clear(queue->settings.wake_fd);
	} else if (queue->is_shut && queue->oldest->lsn > queue->handed) {
		status = pass_gate(queue, err);
	}
	if (status == ST_OK) {
		take(queue, txn);
	}
	(void)pthread_mutex_unlock(&queue->lock);
	return status;
}

void queue_done(struct queue *queue, struct captured_txn *txn)
{
	(void)pthread_mutex_lock(&queue->lock);
	if (txn->is_taken) {
		txn->is_taken = false;
		queue->taken_total--;
		queue->bytes -= txn->bytes;
	}
	(void)pthread_mutex_unlock(&queue->lock);
}

/* ---- merging ---- */

/* With the lock. */
static bool wants_work(const struct queue *b)
{
	uint64_t most = b->settings.max_bytes;

	return !b->is_stepping && waiting(b) > most &&
	       (!b->is_shut || b->fresh >= most / MERGE_PART);
}

static uint64_t total_of(const struct captured_txn *txn)
{
	return txn->merged > 0 ? txn->merged : 1;
}

/* With the lock: the transactions after merged->start_lsn, up to that one, make way
 * for it: the very ones that it is made of. */
static void replace(struct queue *b, const struct state_merged *merged)
{
	struct captured_txn **at = &b->oldest;
	struct captured_txn *txn;
	uint64_t total = 0;
	uint64_t lsn = 0;

	while (*at && (*at)->lsn <= merged->start_lsn) {
		at = &(*at)->next;
	}
	while ((txn = *at) != NULL && txn->lsn <= merged->txn->lsn) {
		*at = txn->next;
		b->bytes -= txn->bytes;
		total += total_of(txn);
		lsn = txn->lsn;
		captured_txn_free_one(txn);
	}
	assert(lsn == merged->txn->lsn && total == merged->txn->merged);
	merged->txn->next = *at;
	*at = merged->txn;
	b->bytes += merged->txn->bytes;
	if (!merged->txn->next) {
		b->end = &merged->txn->next;
	}
}

static void say_merged(struct queue *b, const struct captured_txn *txn)
{
	if (!b->has_said) {
		log_warn(
		    "the output is slow: journal.max.bytes is reached, and changes "
		    "that wait are merged into their net effect from now on");
		b->has_said = true;
	}
	log_debug("%llu transactions up to %llu are one now, of %zu pages",
		  (unsigned long long)txn->merged, (unsigned long long)txn->lsn,
		  txn->page_total);
}

/* With the lock, which is let go of meanwhile. */
static enum status shut_gate(struct queue *b, struct error *err)
{
	uint64_t lsn = b->taken_lsn > b->handed ? b->taken_lsn : b->handed;
	enum status status;

	b->is_merging = true;
	b->is_shut = true;
	b->handed = lsn;
	(void)pthread_mutex_unlock(&b->lock);
	status = state_dir_put_unhanded(b->settings.state->dir, lsn + 1, err);
	(void)pthread_mutex_lock(&b->lock);
	b->is_merging = false;
	b->is_shut = status == ST_OK;
	return status;
}

/* With the lock, which is let go of meanwhile: who listens has read what may be merged
 * now. Nothing else waits for that: what is behind H may have been taken, and the gate
 * be open. ST_RETRY: begin again. */
static enum status settle(struct queue *b, uint64_t lsn, struct error *err)
{
	struct listener *listener = b->listener;
	enum status status = ST_OK;

	if (listener) {
		(void)pthread_mutex_unlock(&b->lock);
		status = listener->settle(listener, lsn, err);
		(void)pthread_mutex_lock(&b->lock);
	}
	return status == ST_OK && (b->stops || !b->is_shut || !wants_work(b))
		   ? error_set(err, ST_RETRY, "the queue has changed")
		   : status;
}

/* With the lock, which is let go of meanwhile. */
static enum status merge(struct queue *b, struct error *err)
{
	struct state_merged merged = {0};
	uint64_t end = b->listed;
	enum status status = settle(b, end, err);
	uint64_t from = b->handed > b->found ? b->handed : b->found;

	if (status != ST_OK) {
		return status == ST_RETRY ? ST_OK : status;
	}
	b->is_merging = true;
	(void)pthread_mutex_unlock(&b->lock);
	status = state_merge(b->settings.state, from, end, &merged, err);
	(void)pthread_mutex_lock(&b->lock);
	b->is_merging = false;
	if (status == ST_OK) {
		replace(b, &merged);
		b->fresh = 0;
		say_merged(b, merged.txn);
		(void)pthread_mutex_unlock(&b->lock);
		FAULT_POINT("merge-done");
		state_merged_done(b->settings.state, &merged);
		(void)pthread_mutex_lock(&b->lock);
	} else if (status == ST_END) {
		b->fresh = 0;
		status = ST_OK;
	}
	return status;
}

/* With the lock. */
static void wait_for_work(struct queue *b, int64_t until)
{
	struct timespec t = clock_timespec(until);

	if (until == 0) {
		(void)pthread_cond_wait(&b->changed, &b->lock);
	} else {
		(void)pthread_cond_timedwait(&b->changed, &b->lock, &t);
	}
}

static void *run(void *context)
{
	struct queue *b = context;
	enum status status = ST_OK;
	int64_t until = 0; /* the disk is full */
	struct error err;

	(void)prctl(PR_SET_NAME, "merge");
	(void)pthread_mutex_lock(&b->lock);
	while (!b->stops && status == ST_OK) {
		if (!wants_work(b) || until > clock_wall_ns()) {
			wait_for_work(b, until);
			continue;
		}
		until = 0;
		status = b->is_shut ? merge(b, &err) : shut_gate(b, &err);
		if (status == ST_STOPPED || (status != ST_OK && error_is_full(&err))) {
			until = clock_wall_ns() + FULL_DISK_NS;
			status = ST_OK;
		}
		(void)pthread_cond_broadcast(&b->changed);
	}
	(void)pthread_mutex_unlock(&b->lock);
	if (status != ST_OK) {
		b->settings.fail(b->settings.context, &err);
	}
	return NULL;
}

/* ---- open and close ---- */

enum status queue_open(const struct queue_settings *settings, struct queue **out,
		       struct error *err)
{
	struct queue *queue = calloc(1, sizeof *queue);

	if (!queue) {
		return error_no_memory(err, "the queue");
	}
	queue->settings = *settings;
	queue->end = &queue->oldest;
	queue->back = &queue->oldest;
	(void)pthread_mutex_init(&queue->lock, NULL);
	(void)pthread_cond_init(&queue->changed, NULL);
	*out = queue;
	return ST_OK;
}

/* Set H to what an earlier run may have handed over. */
static void recall_handed(struct queue *b, uint64_t start_lsn)
{
	uint64_t unhanded = state_dir_position(b->settings.state->dir)->unhanded_lsn;

	b->found = start_lsn;
	b->listed = start_lsn;
	b->handed = unhanded > 0 ? unhanded - 1 : b->found;
	b->is_shut = unhanded > 0;
}

enum status queue_start(struct queue *queue, uint64_t start_lsn, struct error *err)
{
	enum status status;

	(void)pthread_mutex_lock(&queue->lock);
	recall_handed(queue, start_lsn);
	(void)pthread_mutex_unlock(&queue->lock);
	if (queue->settings.max_bytes == UINT64_MAX) {
		return ST_OK; /* nothing is too much */
	}
	journal_limit_segments(queue->settings.state->journal,
			       queue->settings.max_bytes / SEGMENTS);
	status = thread_start(&queue->thread, run, queue, "merge", err);
	queue->is_started = status == ST_OK;
	return status;
}

void queue_stop(struct queue *queue)
{
	if (!queue || !queue->is_started) {
		return;
	}
	(void)pthread_mutex_lock(&queue->lock);
	queue->stops = true;
	(void)pthread_cond_broadcast(&queue->changed);
	(void)pthread_mutex_unlock(&queue->lock);
	(void)pthread_join(queue->thread, NULL);
	queue->is_started = false;
}

void queue_close(struct queue *queue)
{
	if (!queue) {
		return;
	}
	queue_stop(queue);
	while (queue->oldest) {
		struct captured_txn *txn = queue->oldest;

		queue->oldest = txn->next;
		captured_txn_free_one(txn);
	}
	(void)pthread_cond_destroy(&queue->changed);
	(void)pthread_mutex_destroy(&queue->lock);
	free(queue);
}
