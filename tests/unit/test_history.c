/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What src/history/history.h promises, asked of each kind of history alike: who
 * captures and who decodes cannot tell which one they have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "btree/page_source.h"
#include "src/base/clock.h"
#include "src/base/event_fd.h"
#include "src/base/log.h"
#include "src/history/temporary.h"
#include "src/state/durable.h"

#define PAGE   512
#define PAGES  4
#define LSN(i) ((uint64_t)(i)*10)

/* A database of PAGES pages, page n filled with 100 + n, and its history. */
struct fixture {
	char folder[64];
	char state[80];
	char database[80];
	int fd;
	struct view_file file; /* the same */
	struct state *opened;
	struct history *history;
	int appended;
};

static const _Atomic int never;

static void check(enum status status, const struct error *err)
{
	if (status != ST_OK) {
		fail_msg("%s", err->text);
	}
}

static void open_temporary(struct fixture *f)
{
	struct error err;

	check(temporary_open(UINT64_C(1) << 30, &f->history, &err), &err);
}

static void open_durable(struct fixture *f)
{
	struct error err;

	check(state_open(f->state, f->database, false, &f->opened, &err), &err);
	check(durable_open(f->opened, UINT64_C(1) << 30, &f->history, &err), &err);
}

static void (*const openers[])(struct fixture *) = {open_temporary, open_durable};

static void make(struct fixture *f)
{
	uint8_t page[PAGE];

	*f = (struct fixture){.fd = -1};
	log_setup(LOG_ERROR, false);
	(void)snprintf(f->folder, sizeof f->folder, "/tmp/test-history-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->state, sizeof f->state, "%s/state", f->folder);
	(void)snprintf(f->database, sizeof f->database, "%s/db", f->folder);
	f->fd = open(f->database, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(f->fd >= 0);
	f->file =
	    (struct view_file){.fd = f->fd, .path = f->database, .page_size = PAGE};
	for (int i = 1; i <= PAGES; i++) {
		memset(page, 100 + i, sizeof page);
		assert_int_equal(write(f->fd, page, PAGE), PAGE);
	}
}

static void end(struct fixture *f)
{
	char command[128];

	if (f->history) {
		f->history->close(f->history);
	}
	state_close(f->opened);
	(void)close(f->fd);
	(void)snprintf(command, sizeof command, "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0);
}

static struct captured_txn *new_txn(struct fixture *f, uint32_t page_no, int byte)
{
	struct captured_txn *txn = calloc(1, sizeof *txn + sizeof *txn->pages);
	uint8_t image[PAGE];
	struct error err;

	assert_non_null(txn);
	*txn = (struct captured_txn){.page_count_before = PAGES,
				     .page_count = PAGES,
				     .bytes = PAGE,
				     .place = {.frame = 1}};
	txn->pages = (struct captured_page *)(void *)(txn + 1);
	if (page_no > 0) {
		txn->page_total = 1;
		txn->pages[0].page_no = page_no;
		memset(image, byte, sizeof image);
		check(spool_alloc(f->history->spool, &txn->pages[0].slot, &err), &err);
		check(spool_put(f->history->spool, txn->pages[0].slot, image, &err),
		      &err);
	}
	return txn;
}

/* A transaction that fills page `page_no` with `byte`. */
static void append(struct fixture *f, uint32_t page_no, int byte)
{
	struct captured_txn *txn = new_txn(f, page_no, byte);
	struct error err;

	txn->lsn = LSN(++f->appended);
	check(f->history->append(f->history, txn, &err), &err);
	event_fd_wake(f->history->wake_fd);
}

static enum status reach(void *context, uint64_t *lsn, struct error *err)
{
	const struct fixture *f = context;

	(void)err;
	*lsn = LSN(f->appended);
	return ST_OK;
}

/* As src/follow.c and src/capture/capture.c open one that is new. */
static void begin(struct fixture *f, uint64_t *lsn)
{
	struct history_base base = {.pages = view_base_of_file(&f->file),
				    .source_fd = f->fd,
				    .page_size = PAGE,
				    .stop = &never,
				    .stop_fd = -1,
				    .reach = reach,
				    .context = f};
	struct history_end found;
	struct captured_txn *first;
	struct error err;

	check(f->history->prepare(f->history, PAGE, &err), &err);
	assert_false(f->history->find_end(f->history, &found));
	first = new_txn(f, 0, 0);
	first->lsn = LSN(++f->appended);
	check(f->history->begin(f->history, first, &err), &err);
	check(f->history->start(f->history, &err), &err);
	check(f->history->open_view(f->history, &base, first, lsn, &err), &err);
}

/* The next one, waited for. */
static struct captured_txn *take(struct fixture *f)
{
	struct captured_txn *txn;
	struct error err;
	enum status status;

	while ((status = f->history->next(f->history, &txn, &err)) == ST_END) {
		struct pollfd fd = {.fd = f->history->wake_fd, .events = POLLIN};

		assert_int_equal(poll(&fd, 1, 60000), 1);
	}
	check(status, &err);
	return txn;
}

static int byte_of(struct page_source *source, uint32_t page_no)
{
	struct page_ref ref = {0};
	struct error err;
	int byte;

	check(page_get(source, page_no, &ref, &err), &err);
	byte = ref.bytes[100];
	page_put(source, &ref);
	return byte;
}

/* ---- tests ---- */

static void transactions_come_in_order(struct fixture *f)
{
	uint64_t lsn;
	struct error err;
	struct captured_txn *txn;

	begin(f, &lsn);
	assert_int_equal(lsn, LSN(1));
	for (int i = 0; i < 100; i++) {
		append(f, 2, i);
	}
	for (int i = 0; i < 100; i++) {
		txn = take(f);
		assert_int_equal(txn->lsn, LSN(2 + i));
		check(view_begin(f->history->view, txn, &err), &err);
		assert_int_equal(byte_of(view_old(f->history->view), 2),
				 i > 0 ? i - 1 : 102);
		assert_int_equal(byte_of(view_new(f->history->view), 2), i);
		assert_int_equal(byte_of(view_new(f->history->view), 3), 103);
		view_end(f->history->view);
		lsn = txn->lsn;
		f->history->done(f->history, txn);
		assert_int_equal(f->history->decoded_lsn, lsn);
	}
	assert_int_equal(f->history->next(f->history, &txn, &err), ST_END);
	check(f->history->acknowledged(f->history, lsn, true, &err), &err);
	check(f->history->finish(f->history, &err), &err);
}

static void what_is_settled_can_be_taken(struct fixture *f)
{
	uint64_t lsn;
	struct error err;

	begin(f, &lsn);
	append(f, 1, 7);
	check(f->history->settle(f->history, LSN(f->appended),
				 clock_mono_ns() + 60 * NS_PER_S, false, &err),
	      &err);
	f->history->done(f->history, take(f));
	check(f->history->check(f->history, &err), &err);
}

static void what_nobody_takes_is_freed(struct fixture *f)
{
	uint64_t lsn;

	begin(f, &lsn);
	for (int i = 0; i < 10; i++) {
		append(f, 3, i);
	}
	captured_txn_free(take(f));
	f->history->stop(f->history);
}

/* next gives nothing before it is there, whatever came during the first copy. */
static void what_comes_before_the_view_is_in_it_or_behind_it(struct fixture *f)
{
	struct history_base base = {.pages = view_base_of_file(&f->file),
				    .source_fd = f->fd,
				    .page_size = PAGE,
				    .stop = &never,
				    .stop_fd = -1,
				    .reach = reach,
				    .context = f};
	struct captured_txn *first;
	struct error err;
	uint64_t lsn;

	check(f->history->prepare(f->history, PAGE, &err), &err);
	first = new_txn(f, 0, 0);
	first->lsn = LSN(++f->appended);
	check(f->history->begin(f->history, first, &err), &err);
	check(f->history->start(f->history, &err), &err);
	append(f, 4, 9);
	check(f->history->open_view(f->history, &base, first, &lsn, &err), &err);
	if (lsn == LSN(1)) {
		struct captured_txn *txn = take(f);

		assert_int_equal(byte_of(view_old(f->history->view), 4), 104);
		check(view_begin(f->history->view, txn, &err), &err);
		view_end(f->history->view);
		f->history->done(f->history, txn);
	}
	assert_int_equal(byte_of(view_old(f->history->view), 4), 9);
}

static void of_each_kind(void (*test)(struct fixture *))
{
	for (size_t i = 0; i < sizeof openers / sizeof *openers; i++) {
		struct fixture f;

		make(&f);
		openers[i](&f);
		test(&f);
		end(&f);
	}
}

#define OF_EACH_KIND(name)                    \
	static void test_##name(void **state) \
	{                                     \
		(void)state;                  \
		of_each_kind(name);           \
	}

OF_EACH_KIND(transactions_come_in_order)
OF_EACH_KIND(what_is_settled_can_be_taken)
OF_EACH_KIND(what_nobody_takes_is_freed)
OF_EACH_KIND(what_comes_before_the_view_is_in_it_or_behind_it)

static void test_only_what_waits_fills_a_temporary_one(void **state)
{
	struct fixture f;
	struct error err;
	uint64_t lsn;

	(void)state;
	make(&f);
	check(temporary_open(2 * PAGE, &f.history, &err), &err);
	begin(&f, &lsn);
	assert_true(f.history->has_room(f.history));
	for (int i = 0; i < 4; i++) { /* the oldest one is not counted */
		append(&f, 1, i);
	}
	assert_false(f.history->has_room(f.history));
	f.history->done(f.history, take(&f));
	assert_true(f.history->has_room(f.history));
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_transactions_come_in_order),
	    cmocka_unit_test(test_what_is_settled_can_be_taken),
	    cmocka_unit_test(test_what_nobody_takes_is_freed),
	    cmocka_unit_test(test_what_comes_before_the_view_is_in_it_or_behind_it),
	    cmocka_unit_test(test_only_what_waits_fills_a_temporary_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
