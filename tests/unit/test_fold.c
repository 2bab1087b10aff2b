/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state directory and a view over it. What a transaction wrote into a page is its
 * own number; one that writes many pages is a batch for the fold thread.
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
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "src/base/log.h"
#include "src/history/view.h"
#include "src/state/state.h"

#define PAGE  65536
#define PAGES 300 /* of the database */
#define MANY  256 /* pages that are folded at once */
#define BASE  0xAA

struct fixture {
	char folder[64];
	char state[80];
	char database[80];
	struct state *opened;
	struct view_file shadow;
	struct view *view;
	uint32_t page_count;
	uint64_t lsn;
};

static void check(enum status status, const struct error *err)
{
	if (status != ST_OK) {
		fail_msg("%s", err->text);
	}
}

static void make_database(const char *path)
{
	uint8_t *page = malloc(PAGE);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	memset(page, BASE, PAGE);
	for (int i = 0; i < PAGES; i++) {
		assert_int_equal(write(fd, page, PAGE), PAGE);
	}
	(void)close(fd);
	free(page);
}

static void open_state(struct fixture *f)
{
	static const _Atomic int stop;
	struct captured_txn base = {.page_count = PAGES};
	struct captured_txn *first = calloc(1, sizeof *first);
	struct view_base under;
	struct shadow_copy copy = {.source_fd = open(f->database, O_RDONLY | O_CLOEXEC),
				   .page_count = PAGES,
				   .stop = &stop};
	struct error err;

	first->page_count = PAGES;
	check(state_open(f->state, f->database, false, &f->opened, &err), &err);
	check(state_prepare(f->opened, PAGE, &err), &err);
	check(state_copy_base(f->opened, &copy, &err), &err);
	check(state_absorb(f->opened, first, &err), &err);
	check(state_begin(f->opened, &err), &err);
	f->shadow = (struct view_file){.fd = shadow_fd(f->opened->shadow),
				       .path = f->opened->base_path,
				       .page_size = PAGE};
	under = view_base_of_file(&f->shadow);
	check(view_open(f->opened->spool, &under, PAGE, &base, &f->view, &err), &err);
	view_use_copy(f->view, state_check_page, f->opened);
	(void)close(copy.source_fd);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	log_setup(LOG_ERROR, false);
	(void)snprintf(f->folder, sizeof f->folder, "/tmp/test-fold-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->state, sizeof f->state, "%s/state", f->folder);
	(void)snprintf(f->database, sizeof f->database, "%s/db", f->folder);
	f->page_count = PAGES;
	make_database(f->database);
	open_state(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	view_close(f->view);
	state_close(f->opened);
	(void)snprintf(command, sizeof command, "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* A transaction that writes pages 1 to `total` and leaves `page_count`, decoded past
 * and acknowledged. */
static void commit(struct fixture *f, uint32_t total, uint32_t page_count)
{
	struct captured_txn *txn = calloc(1, sizeof *txn + total * sizeof *txn->pages);
	struct state_position position = {.lsn = ++f->lsn};
	uint8_t *image = malloc(PAGE);
	struct error err;

	txn->lsn = f->lsn;
	txn->page_count_before = f->page_count;
	txn->page_count = f->page_count = page_count;
	txn->pages = (struct captured_page *)(void *)(txn + 1);
	txn->page_total = total;
	memset(image, (int)f->lsn, PAGE);
	for (uint32_t i = 0; i < total; i++) {
		struct captured_page *page = &txn->pages[i];

		page->page_no = i + 1;
		check(spool_alloc(f->opened->spool, &page->slot, &err), &err);
		check(spool_put(f->opened->spool, page->slot, image, &err), &err);
	}
	free(image);
	check(view_begin(f->view, txn, &err), &err);
	view_end(f->view);
	check(f->opened->kept.put(&f->opened->kept, &position, NULL, false, &err),
	      &err);
	fold_keep(f->opened->fold, txn);
}

/* Begin a batch, and sleep until it is done, without being told so. */
static void fold_behind_the_back(struct fixture *f)
{
	struct pollfd done = {.fd = fold_fd(f->opened->fold), .events = POLLIN};
	struct error err;

	check(fold_begin(f->opened->fold, f->view, false, &err), &err);
	assert_int_equal(f->opened->meta.base_lsn, 0);
	assert_int_equal(poll(&done, 1, 20000), 1);
}

static enum status finish_fold(struct fixture *f, struct error *err)
{
	(void)fold_wait(f->opened->fold);
	return fold_end(f->opened->fold, f->view, err);
}

static enum status look(struct fixture *f, uint32_t page_no, int *byte,
			struct error *err)
{
	struct page_ref ref = {0};
	enum status status = page_get(view_old(f->view), page_no, &ref, err);

	if (status == ST_OK) {
		*byte = ref.bytes[PAGE - 1];
		page_put(view_old(f->view), &ref);
	}
	return status;
}

static void expect_page(struct fixture *f, uint32_t page_no, int byte)
{
	struct error err;
	int found = -1;

	check(look(f, page_no, &found, &err), &err);
	assert_int_equal(found, byte);
}

/* Pages that no frame brought back are zeros; the overlay has none of them. */
static void test_a_page_that_a_batch_cut_off_is_not_damage(void **state)
{
	struct fixture *f = *state;
	struct error err;

	commit(f, MANY, PAGES);
	commit(f, 1, 1);
	fold_behind_the_back(f);
	commit(f, 1, PAGES);
	expect_page(f, PAGES - 1, 0);
	expect_page(f, 1, 3);
	check(finish_fold(f, &err), &err);
	assert_int_equal(f->opened->meta.base_pages, 1);
	expect_page(f, PAGES - 2, 0);
}

static void test_a_page_that_is_damaged_is_found_after_a_batch(void **state)
{
	struct fixture *f = *state;
	struct error err;
	int unused;

	commit(f, MANY, PAGES);
	fold_behind_the_back(f);
	expect_page(f, PAGES - 1, BASE);
	assert_int_equal(
	    pwrite(shadow_fd(f->opened->shadow), "x", 1, (PAGES - 2) * (off_t)PAGE), 1);
	assert_int_equal(look(f, PAGES - 1, &unused, &err), ST_OK); /* kept in memory */
	assert_int_equal(
	    pwrite(shadow_fd(f->opened->shadow), "x", 1, (PAGES - 1) * (off_t)PAGE), 1);
	assert_int_equal(look(f, PAGES, &unused, &err), ST_DAMAGED);
}

static void limit_files(rlim_t most)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = most;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The batch cuts the shadow down, and then cannot make it longer than it was. */
static void test_a_batch_that_is_put_off_leaves_no_damage(void **state)
{
	struct fixture *f = *state;
	struct error err;

	(void)signal(SIGXFSZ, SIG_IGN);
	commit(f, 1, 1);
	commit(f, 1, 2 * PAGES);
	limit_files(PAGES * (rlim_t)PAGE);
	check(fold_begin(f->opened->fold, f->view, true, &err), &err);
	limit_files(RLIM_INFINITY);
	assert_int_equal(f->opened->meta.base_lsn, 0);
	expect_page(f, PAGES - 1, 0);
	check(fold_begin(f->opened->fold, f->view, true, &err), &err);
	assert_int_equal(f->opened->meta.base_lsn, 2);
	assert_int_equal(f->opened->meta.base_pages, 2 * PAGES);
	expect_page(f, 1, 2);
	expect_page(f, PAGES - 2, 0);
	expect_page(f, 2 * PAGES, 0);
}

static void test_now_waits_for_a_batch_that_took_all(void **state)
{
	struct fixture *f = *state;
	struct error err;

	commit(f, MANY, PAGES);
	check(fold_begin(f->opened->fold, f->view, false, &err), &err);
	check(fold_begin(f->opened->fold, f->view, true, &err), &err);
	assert_int_equal(f->opened->meta.base_lsn, 1);
	assert_int_equal(spool_used_bytes(f->opened->spool), 0);
}

/* Without this the run would end as if all were well. */
static void test_the_last_batch_says_how_it_failed(void **state)
{
	struct fixture *f = *state;
	struct error err;
	int kept = dup(shadow_fd(f->opened->shadow));
	int read_only = open(f->opened->base_path, O_RDONLY | O_CLOEXEC);

	commit(f, MANY, PAGES);
	assert_true(dup2(read_only, shadow_fd(f->opened->shadow)) >= 0);
	check(fold_begin(f->opened->fold, f->view, false, &err), &err);
	assert_int_equal(finish_fold(f, &err), ST_IO);
	assert_non_null(strstr(err.text, "shadow"));
	assert_int_equal(f->opened->meta.base_lsn, 0);
	(void)close(read_only);
	(void)close(kept);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_a_page_that_a_batch_cut_off_is_not_damage),
	    TEST(test_a_page_that_is_damaged_is_found_after_a_batch),
	    TEST(test_a_batch_that_is_put_off_leaves_no_damage),
	    TEST(test_now_waits_for_a_batch_that_took_all),
	    TEST(test_the_last_batch_says_how_it_failed),
	};

	return cmocka_run_group_tests_name("fold", tests, NULL, NULL);
}
