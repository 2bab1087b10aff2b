/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state directory, whose pages are all of one byte: what a transaction wrote into
 * page n is its own number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/state/queue.h"
#include "src/state/state.h"

#define PAGE   512
#define PAGES  12            /* of the database */
#define LIMIT  (64 * PAGE)   /* what may wait; a segment has 8 */
#define ALL    (1000 * PAGE) /* the same, never reached */
#define LSN(i) ((uint64_t)(i)*10)

struct fixture {
	char folder[64];
	char state[80];
	char database[80];
	struct state *opened;
	struct queue *queue;
	int wake_fd;
	uint32_t page_count;
	int written; /* transactions */
	int taken;
	uint8_t model[PAGES + 1]; /* the pages as of what was taken; 0: not written */
};

static void check(enum status status, const struct error *err)
{
	if (status != ST_OK) {
		fail_msg("%s", err->text);
	}
}

static void no_failure(void *context, const struct error *err)
{
	(void)context;
	fail_msg("merging failed: %s", err->text);
}

static void open_queue(struct fixture *f, uint64_t max_bytes)
{
	struct queue_settings settings = {.state = f->opened,
					  .max_bytes = max_bytes,
					  .wake_fd = f->wake_fd,
					  .fail = no_failure};
	struct captured_txn *txn;
	struct error err;

	check(queue_open(&settings, &f->queue, &err), &err);
	check(queue_start(f->queue, f->opened->end.lsn, &err), &err);
	while ((txn = state_next_recovered(f->opened)) != NULL) {
		if (txn->lsn > f->opened->kept.position.lsn) {
			queue_put_back(f->queue, txn);
		} else {
			fold_keep(f->opened->fold, txn);
		}
	}
	queue_is_back(f->queue);
}

static void open_state(struct fixture *f, uint64_t max_bytes)
{
	struct error err;

	check(state_open(f->state, f->database, false, &f->opened, &err), &err);
	check(state_prepare(f->opened, PAGE, &err), &err);
	if (f->opened->kept.is_new) {
		static const _Atomic int stop;
		struct shadow_copy copy = {.source_fd =
					       open(f->database, O_RDONLY | O_CLOEXEC),
					   .page_count = PAGES,
					   .stop = &stop};
		struct captured_txn *first = calloc(1, sizeof *first);

		first->page_count = PAGES;
		check(state_copy_base(f->opened, &copy, &err), &err);
		check(state_absorb(f->opened, first, &err), &err);
		check(state_begin(f->opened, &err), &err);
		(void)close(copy.source_fd);
	}
	open_queue(f, max_bytes);
}

static void close_state(struct fixture *f)
{
	queue_close(f->queue);
	state_close(f->opened);
	f->queue = NULL;
	f->opened = NULL;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	uint8_t zeros[PAGES * PAGE] = {0};
	int fd;

	log_setup(LOG_ERROR, false);
	(void)snprintf(f->folder, sizeof f->folder, "/tmp/test-queue-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->state, sizeof f->state, "%s/state", f->folder);
	(void)snprintf(f->database, sizeof f->database, "%s/db", f->folder);
	fd = open(f->database, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, zeros, sizeof zeros), sizeof zeros);
	(void)close(fd);
	f->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	f->page_count = PAGES;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	close_state(f);
	(void)close(f->wake_fd);
	(void)snprintf(command, sizeof command, "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* A transaction that writes page `page_no` (0: none) and leaves `page_count` pages: not
 * durable yet. */
static struct captured_txn *write_one(struct fixture *f, uint32_t page_no,
				      uint32_t page_count)
{
	struct captured_txn *txn = calloc(1, sizeof *txn + sizeof *txn->pages);
	uint8_t image[PAGE];
	struct error err;

	txn->lsn = LSN(++f->written);
	txn->page_count_before = f->page_count;
	txn->page_count = f->page_count = page_count;
	txn->pages = (struct captured_page *)(void *)(txn + 1);
	if (page_no > 0) {
		txn->page_total = 1;
		txn->pages[0].page_no = page_no;
		check(spool_alloc(f->opened->spool, &txn->pages[0].slot, &err), &err);
		memset(image, f->written, PAGE);
		check(spool_put(f->opened->spool, txn->pages[0].slot, image, &err),
		      &err);
	}
	txn->bytes = txn->page_total * PAGE;
	check(state_append(f->opened, txn, &err), &err);
	return txn;
}

/* The same: it is durable, but not in the list. */
static struct captured_txn *append(struct fixture *f, uint32_t page_no,
				   uint32_t page_count)
{
	struct captured_txn *txn = write_one(f, page_no, page_count);
	struct error err;

	check(journal_sync(f->opened->journal, &err), &err);
	return txn;
}

static void commit(struct fixture *f, uint32_t page_no, uint32_t page_count)
{
	struct captured_txn *txn = append(f, page_no, page_count);

	queue_put(f->queue, txn, txn);
}

static void commit_many(struct fixture *f, int count)
{
	for (int i = 0; i < count; i++) {
		commit(f, (uint32_t)(i % PAGES) + 1, PAGES);
	}
}

/* Until what waits is no more than its limit; false: it stays more. */
static bool shrinks(struct fixture *f)
{
	for (int i = 0; i < 4000 && queue_bytes(f->queue) > LIMIT; i++) {
		clock_sleep_ns(5 * NS_PER_MS);
	}
	return queue_bytes(f->queue) <= LIMIT;
}

/* What a later run would know of H. */
static uint64_t durable_unhanded(const struct fixture *f)
{
	struct state_dir *dir;
	struct error err;
	bool is_new;
	uint64_t lsn;

	check(state_dir_read(f->state, false, &dir, &is_new, &err), &err);
	lsn = state_dir_position(dir)->unhanded_lsn;
	state_dir_close(dir);
	return lsn;
}

/* Take the next one into the model; the transactions that it is. 0: there is none. */
static uint64_t take(struct fixture *f)
{
	struct captured_txn *txn;
	struct error err;
	enum status status = queue_next(f->queue, &txn, &err);
	uint64_t merged;

	if (status == ST_END) {
		return 0;
	}
	check(status, &err);
	assert_true(durable_unhanded(f) == 0 || durable_unhanded(f) > txn->lsn);
	merged = txn->merged > 0 ? txn->merged : 1;
	f->taken += (int)merged;
	assert_int_equal(txn->lsn, LSN(f->taken));
	for (uint32_t p = (txn->merged ? txn->low_pages : txn->page_count) + 1;
	     p <= PAGES; p++) {
		f->model[p] = 0;
	}
	for (size_t i = 0; i < txn->page_total; i++) {
		const uint8_t *bytes =
		    spool_bytes(f->opened->spool, txn->pages[i].slot);

		assert_true(txn->pages[i].page_no <= txn->page_count);
		f->model[txn->pages[i].page_no] = bytes[0];
	}
	queue_done(f->queue, txn);
	fold_keep(f->opened->fold, txn);
	return merged;
}

/* Everything, in order; how many of them were several. */
static int take_all(struct fixture *f)
{
	int several = 0;
	uint64_t merged;

	while ((merged = take(f)) > 0) {
		several += merged > 1;
	}
	assert_int_equal(f->taken, f->written);
	return several;
}

/* ---- tests ---- */

static void test_a_short_queue_is_given_out_as_it_came(void **state)
{
	struct fixture *f = *state;

	open_state(f, LIMIT);
	commit_many(f, 60);
	clock_sleep_ns(50 * NS_PER_MS);
	assert_int_equal(take_all(f), 0);
	assert_int_equal(durable_unhanded(f), 0);
}

static void test_past_its_limit_it_becomes_its_net_effect(void **state)
{
	struct fixture *f = *state;

	open_state(f, LIMIT);
	for (int i = 0; i < 20; i++) {
		commit_many(f, 60);
		assert_true(shrinks(f));
	}
	assert_true(spool_used_bytes(f->opened->spool) < 2 * LIMIT + PAGES * PAGE);
	assert_true(take_all(f) > 0);
	for (uint32_t p = 1; p <= PAGES; p++) {
		assert_int_equal(f->model[p], (uint8_t)(1200 - PAGES + p));
	}
}

static void test_what_was_taken_is_merged_with_nothing(void **state)
{
	struct fixture *f = *state;
	struct captured_txn *txn;
	struct error err;

	open_state(f, LIMIT);
	commit_many(f, 20);
	check(queue_next(f->queue, &txn, &err), &err);
	commit_many(f, 100);
	assert_true(shrinks(f));
	assert_int_equal(txn->lsn, LSN(1));
	assert_int_equal(txn->merged, 0);
	assert_int_equal(durable_unhanded(f), LSN(1) + 1);
	queue_done(f->queue, txn);
	fold_keep(f->opened->fold, txn);
	f->taken = 1;
	assert_true(take_all(f) > 0);
}

/* Pages that were cut off and came again are zeros, not what they were before. */
static void test_pages_cut_off_in_between_are_not_kept(void **state)
{
	struct fixture *f = *state;

	open_state(f, LIMIT);
	commit(f, 12, PAGES);
	commit(f, 7, PAGES);
	commit(f, 1, 5);
	commit(f, 7, 8);
	commit(f, 2, PAGES);
	for (int i = 0; i < 100; i++) {
		commit(f, 3, PAGES);
	}
	assert_true(shrinks(f));
	assert_true(take_all(f) > 0);
	assert_int_equal(f->model[1], 3);
	assert_int_equal(f->model[2], 5);
	assert_int_equal(f->model[7], 4);
	assert_int_equal(f->model[12], 0);
}

static void test_a_merged_backlog_is_found_again(void **state)
{
	struct fixture *f = *state;

	open_state(f, LIMIT);
	commit_many(f, 120);
	assert_true(shrinks(f));
	for (int i = 0; i < 3; i++) {
		close_state(f);
		open_state(f, LIMIT);
		commit_many(f, 60);
		assert_true(shrinks(f));
	}
	assert_true(take_all(f) > 0);
	for (uint32_t p = 1; p <= PAGES; p++) {
		assert_int_equal(f->model[p], 300 - 256 - PAGES + p);
	}
}

/* Append `count` transactions; a list of them. */
static struct captured_txn *append_many(struct fixture *f, int count,
					struct captured_txn **last)
{
	struct captured_txn *first = NULL;

	for (int i = 0; i < count; i++) {
		struct captured_txn *txn = append(f, (uint32_t)(i % PAGES) + 1, PAGES);

		if (first) {
			(*last)->next = txn;
		} else {
			first = txn;
		}
		*last = txn;
	}
	return first;
}

/* The journal's sync has made all of them durable, and the list gets them in two parts:
 * a merge that comes in between leaves the second one alone. */
static void test_what_is_durable_and_not_listed_is_not_merged(void **state)
{
	struct fixture *f = *state;

	open_state(f, LIMIT);
	for (int round = 0; round < 5; round++) {
		struct captured_txn *last[2];
		struct captured_txn *first = append_many(f, 8 * PAGES, &last[0]);
		struct captured_txn *late = append_many(f, 4 * PAGES, &last[1]);

		queue_put(f->queue, first, last[0]);
		assert_true(shrinks(f));
		queue_put(f->queue, late, last[1]);
	}
	assert_true(take_all(f) > 0);
	for (uint32_t p = 1; p <= PAGES; p++) {
		assert_int_equal(f->model[p],
				 (uint8_t)(5 * 12 * PAGES - PAGES + (int)p));
	}
}

/* Nothing says what a run that was not at its limit has handed over: all of it comes
 * again as it was. */
static void test_what_may_have_been_handed_over_comes_again_as_it_was(void **state)
{
	struct fixture *f = *state;

	open_state(f, ALL);
	commit_many(f, 100);
	assert_int_equal(take_all(f), 0);
	close_state(f);
	f->taken = 0;
	open_state(f, LIMIT);
	commit_many(f, 100);
	clock_sleep_ns(100 * NS_PER_MS);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(take(f), 1);
	}
	assert_true(take_all(f) > 0);
}

/* The same with H on disk: only what is behind it may be merged by the next run, also
 * where that run has a limit that is never reached, and the one after it. */
static void test_what_was_handed_over_behind_the_gate_stays_as_it_was(void **state)
{
	struct fixture *f = *state;
	uint64_t merged[3];
	int taken;

	open_state(f, LIMIT);
	commit_many(f, 150);
	assert_true(shrinks(f));
	for (int i = 0; i < 3; i++) {
		merged[i] = take(f);
	}
	taken = f->taken;
	assert_true(merged[0] > 1 || merged[1] > 1);
	close_state(f);
	f->taken = 0;
	open_state(f, LIMIT);
	commit_many(f, 100);
	clock_sleep_ns(100 * NS_PER_MS);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(take(f), merged[i]);
	}
	assert_int_equal(f->taken, taken);
	(void)take_all(f);
	close_state(f);
	f->taken = 0;
	open_state(f, ALL);
	commit_many(f, 5);
	(void)take_all(f);
}

static void test_the_gate_opens_when_the_queue_is_short(void **state)
{
	struct fixture *f = *state;

	open_state(f, LIMIT);
	commit_many(f, 200);
	assert_true(shrinks(f));
	assert_int_equal(durable_unhanded(f), 1);
	(void)take_all(f);
	commit_many(f, 5);
	(void)take_all(f);
	assert_int_equal(durable_unhanded(f), 0);
}

/* take checks that it lasts before anything behind it is given out. */
static void test_the_gate_lets_through_in_steps(void **state)
{
	struct fixture *f = *state;
	uint64_t step;

	open_state(f, LIMIT);
	commit_many(f, 200);
	assert_true(shrinks(f));
	commit_many(f, 25);
	assert_true(take(f) > 0);
	step = durable_unhanded(f);
	assert_int_equal(step, LSN(225) + 1);
	commit_many(f, 5);
	while (f->taken < 225) {
		assert_true(take(f) > 0);
	}
	assert_int_equal(durable_unhanded(f), step);
	(void)take_all(f);
}

/* Somebody who listens, and takes its time until it may go on. */
struct slow {
	struct listener listener; /* first member */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int asked; /* to settle */
	bool may_go_on;
};

static void add_nothing(struct listener *listener, const struct captured_txn *txn)
{
	(void)listener;
	(void)txn;
}

static enum status settle_slowly(struct listener *listener, uint64_t lsn,
				 struct error *err)
{
	struct slow *slow = (struct slow *)listener;

	(void)lsn;
	(void)err;
	(void)pthread_mutex_lock(&slow->lock);
	slow->asked++;
	(void)pthread_cond_broadcast(&slow->changed);
	while (!slow->may_go_on) {
		(void)pthread_cond_wait(&slow->changed, &slow->lock);
	}
	(void)pthread_mutex_unlock(&slow->lock);
	return ST_OK;
}

static void let_go_on(struct slow *slow)
{
	(void)pthread_mutex_lock(&slow->lock);
	slow->may_go_on = true;
	(void)pthread_cond_broadcast(&slow->changed);
	(void)pthread_mutex_unlock(&slow->lock);
}

static void wait_until_asked(struct slow *slow, int times)
{
	(void)pthread_mutex_lock(&slow->lock);
	while (slow->asked < times) {
		(void)pthread_cond_wait(&slow->changed, &slow->lock);
	}
	(void)pthread_mutex_unlock(&slow->lock);
}

/* More than two steps; short enough behind the first one for the gate to open. */
#define LONG 2200

static void commit_long(struct fixture *f)
{
	struct captured_txn *first = NULL;
	struct captured_txn **end = &first;
	struct captured_txn *last = NULL;
	struct error err;

	for (int i = 0; i < LONG; i++) {
		bool writes = i < 80 || (i >= 2000 && i % 8 == 0);

		last = write_one(f, writes ? (uint32_t)(i % PAGES) + 1 : 0, PAGES);
		*end = last;
		end = &last->next;
	}
	check(journal_sync(f->opened->journal, &err), &err);
	queue_put(f->queue, first, last);
}

/* The merge that was decided before the listener settled is not made of what was taken
 * since behind a gate that is open again. */
static void test_what_is_taken_while_a_listener_settles_is_not_merged(void **state)
{
	struct fixture *f = *state;
	struct slow slow = {
	    .listener = {.add = add_nothing, .settle = settle_slowly},
	    .lock = PTHREAD_MUTEX_INITIALIZER,
	    .changed = PTHREAD_COND_INITIALIZER,
	};

	open_state(f, LIMIT);
	queue_tell(f->queue, &slow.listener);
	commit_long(f);
	wait_until_asked(&slow, 1);
	while (f->taken < LONG - 50) {
		assert_int_equal(take(f), 1);
	}
	assert_int_equal(durable_unhanded(f), 0);
	let_go_on(&slow);
	commit_many(f, 200);
	wait_until_asked(&slow, 2);
	assert_true(shrinks(f));
	assert_true(take_all(f) > 0);
	queue_stop(f->queue);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_a_short_queue_is_given_out_as_it_came),
	    TEST(test_past_its_limit_it_becomes_its_net_effect),
	    TEST(test_what_was_taken_is_merged_with_nothing),
	    TEST(test_pages_cut_off_in_between_are_not_kept),
	    TEST(test_a_merged_backlog_is_found_again),
	    TEST(test_what_is_durable_and_not_listed_is_not_merged),
	    TEST(test_what_is_taken_while_a_listener_settles_is_not_merged),
	    TEST(test_what_may_have_been_handed_over_comes_again_as_it_was),
	    TEST(test_what_was_handed_over_behind_the_gate_stays_as_it_was),
	    TEST(test_the_gate_lets_through_in_steps),
	    TEST(test_the_gate_opens_when_the_queue_is_short),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
