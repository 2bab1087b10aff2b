/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of capture, backfill and decoding in random order: whatever the interleaving,
 * the view must give every page as it was before and after the transaction at hand.
 */
#undef _FORTIFY_SOURCE /* its pread is inline; here is another */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/temp_file.h"
#include "src/history/view.h"

#define PAGE_SIZE 512
#define MAX_PAGES 40
#define MAX_TXNS  64

/* Content of a page is told by one number: the transaction that wrote it. */
struct state {
	uint32_t page_count;
	uint32_t stamp[MAX_PAGES + 1]; /* 0: never written, zeros */
};

struct model {
	struct spool *spool;
	struct view *view;
	struct view_file file;
	int fd;
	struct state states[MAX_TXNS + 1]; /* after transaction i; 0: at the start */
	struct captured_txn *txns[MAX_TXNS + 1];
	int captured; /* transactions in the spool */
	int decoded;
	int backfilled;            /* the file has these */
	int newest[MAX_PAGES + 1]; /* last transaction that wrote it; 0: none kept */
	uint32_t newest_slot[MAX_PAGES + 1];
	struct captured_page retired[MAX_PAGES];
	size_t retired_total;
};

static void fill_page(uint8_t *bytes, uint32_t page_no, uint32_t stamp)
{
	memset(bytes, 0, PAGE_SIZE);
	if (stamp != 0) {
		memset(bytes + 100, (int)(stamp * 7 + page_no), PAGE_SIZE - 100);
		memcpy(bytes + 32, &stamp, sizeof stamp);
		memcpy(bytes + 36, &page_no, sizeof page_no);
	}
}

static void write_file_page(struct model *m, uint32_t page_no, uint32_t stamp)
{
	uint8_t bytes[PAGE_SIZE];

	fill_page(bytes, page_no, stamp);
	assert_int_equal(
	    pwrite(m->fd, bytes, PAGE_SIZE, (off_t)(page_no - 1) * PAGE_SIZE),
	    PAGE_SIZE);
}

static uint32_t new_slot(struct model *m, uint32_t page_no, uint32_t stamp)
{
	uint8_t bytes[PAGE_SIZE];
	struct error err;
	uint32_t slot;

	assert_int_equal(spool_alloc(m->spool, &slot, &err), ST_OK);
	fill_page(bytes, page_no, stamp);
	assert_int_equal(spool_put(m->spool, slot, bytes, &err), ST_OK);
	return slot;
}

/* As capture does: what the transaction touches or cuts off and nobody keeps is saved
 * from the file first. */
static void save_pre_image(struct model *m, uint32_t page_no)
{
	uint8_t bytes[PAGE_SIZE] = {0};
	struct error err;
	uint32_t slot;

	if (page_no > m->states[m->captured].page_count || m->newest[page_no] != 0) {
		return;
	}
	assert_int_equal(spool_alloc(m->spool, &slot, &err), ST_OK);
	assert_true(pread(m->fd, bytes, PAGE_SIZE, (off_t)(page_no - 1) * PAGE_SIZE) >=
		    0);
	assert_int_equal(spool_put(m->spool, slot, bytes, &err), ST_OK);
	assert_int_equal(spool_preimage_put(m->spool, page_no, slot, &err), ST_OK);
	m->newest[page_no] =
	    -1; /* a pre-image stands for it until it is decoded past */
}

static void capture_one(struct model *m)
{
	int id = m->captured + 1;
	const struct state *before = &m->states[m->captured];
	struct state *after = &m->states[id];
	struct captured_txn *txn = calloc(1, sizeof *txn);
	uint32_t most;

	*after = *before;
	after->page_count = (uint32_t)(1 + rand() % MAX_PAGES);
	if (rand() % 3) {
		after->page_count = before->page_count;
	}
	txn->lsn = (uint64_t)id;
	txn->page_count_before = before->page_count;
	txn->page_count = after->page_count;
	txn->pages = calloc(MAX_PAGES, sizeof *txn->pages);
	most = after->page_count > before->page_count ? after->page_count
						      : before->page_count;
	for (uint32_t p = 1; p <= most; p++) {
		/* A page that a database grows by is always written. */
		bool writes = rand() % 6 == 0 || p > before->page_count;

		if (writes || p > after->page_count) {
			save_pre_image(m, p);
		}
		if (p > after->page_count) {
			after->stamp[p] = 0;
			m->newest[p] = 0;
		}
		if (writes) {
			uint32_t slot = new_slot(m, p, (uint32_t)id);

			txn->pages[txn->page_total++] = (struct captured_page){p, slot};
			if (p <= after->page_count) {
				after->stamp[p] = (uint32_t)id;
				m->newest[p] = id;
				m->newest_slot[p] = slot;
			}
		}
	}
	txn->retired = calloc(m->retired_total + 1, sizeof *txn->retired);
	memcpy(txn->retired, m->retired, m->retired_total * sizeof *txn->retired);
	txn->retired_total = m->retired_total;
	m->retired_total = 0;
	m->txns[id] = txn;
	m->captured = id;
}

/* A checkpoint up to a captured transaction, as the hold allows. */
static void backfill_one(struct model *m)
{
	const struct state *state = &m->states[++m->backfilled];

	for (uint32_t p = 1; p <= state->page_count; p++) {
		write_file_page(m, p, state->stamp[p]);
	}
	assert_int_equal(ftruncate(m->fd, (off_t)state->page_count * PAGE_SIZE), 0);
}

/* Versions that are decoded past and in the file. */
static void retire_some(struct model *m)
{
	for (uint32_t p = 1; p <= MAX_PAGES; p++) {
		if (m->newest[p] > 0 && m->newest[p] <= m->decoded &&
		    m->newest[p] <= m->backfilled && rand() % 2) {
			m->retired[m->retired_total++] =
			    (struct captured_page){p, m->newest_slot[p]};
			m->newest[p] = 0;
		}
	}
}

static void check(struct page_source *source, const struct state *state)
{
	struct error err;

	assert_int_equal(source->page_count, state->page_count);
	for (uint32_t p = 1; p <= state->page_count; p++) {
		uint8_t want[PAGE_SIZE];
		struct page_ref ref = {0};

		fill_page(want, p, state->stamp[p]);
		assert_int_equal(page_get(source, p, &ref, &err), ST_OK);
		if (memcmp(ref.bytes, want, PAGE_SIZE) != 0) {
			uint32_t have;

			memcpy(&have, ref.bytes + 32, sizeof have);
			print_error("page %u: of transaction %u, should be %u\n", p,
				    have, state->stamp[p]);
			fail();
		}
		page_put(source, &ref);
	}
}

static void capture_or_backfill(struct model *m)
{
	switch (rand() % 3) {
	case 0:
		if (m->captured < MAX_TXNS) {
			capture_one(m);
		}
		break;
	case 1:
		if (m->backfilled < m->captured) {
			backfill_one(m);
		}
		break;
	default:
		retire_some(m);
		break;
	}
}

static void decode_one(struct model *m)
{
	int id = m->decoded + 1;
	struct error err;
	struct captured_txn *txn = m->txns[id];

	assert_int_equal(view_begin(m->view, txn, &err), ST_OK);
	for (int i = rand() % 4; i > 0; i--) {
		check(view_old(m->view), &m->states[id - 1]);
		check(view_new(m->view), &m->states[id]);
		capture_or_backfill(m);
	}
	check(view_old(m->view), &m->states[id - 1]);
	check(view_new(m->view), &m->states[id]);
	view_end(m->view);
	m->decoded = id;
	for (uint32_t p = 1; p <= MAX_PAGES; p++) {
		/* Its pre-image is dropped with the transaction it was saved for. */
		if (m->newest[p] == -1 && m->captured == m->decoded) {
			m->newest[p] = 0;
		}
	}
	free(txn->pages);
	free(txn->retired);
	free(txn);
}

static void open_model_view(struct model *m, const struct captured_txn *first)
{
	struct view_base base;
	struct error err;

	m->file =
	    (struct view_file){.fd = m->fd, .path = "file", .page_size = PAGE_SIZE};
	base = view_base_of_file(&m->file);
	assert_int_equal(view_open(m->spool, &base, PAGE_SIZE, first, &m->view, &err),
			 ST_OK);
}

static void run_model(unsigned seed)
{
	struct model m = {0};
	struct captured_txn first = {0};
	struct error err;

	srand(seed);
	assert_int_equal(spool_open(PAGE_SIZE, &m.spool, &err), ST_OK);
	assert_int_equal(temp_file_open(&m.fd, &err), ST_OK);
	m.states[0].page_count = 20;
	first.page_count = first.page_count_before = 20;
	for (uint32_t p = 1; p <= 20; p++) {
		m.states[0].stamp[p] = 1000 + p;
		write_file_page(&m, p, 1000 + p);
	}
	open_model_view(&m, &first);
	while (m.decoded < MAX_TXNS) {
		if (m.decoded < m.captured && rand() % 3 == 0) {
			decode_one(&m);
		} else {
			capture_or_backfill(&m);
			check(view_old(m.view), &m.states[m.decoded]);
		}
	}
	view_close(m.view);
	spool_close(m.spool);
	close(m.fd);
}

static void test_view_gives_every_page_in_any_interleaving(void **state)
{
	const char *text = getenv("SEED");
	unsigned seed = text ? (unsigned)strtoul(text, NULL, 10) : 1;

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		if (i % 100 == 0) {
			print_message("SEED=%u\n", seed + i);
		}
		run_model(seed + i);
	}
}

/* ---- a pre-image is saved, and the page overwritten, just before it is read ---- */

/* What happens between the view's first look for a pre-image and its read of the file;
 * NULL: nothing. Of this program alone, for the pread below. */
static struct model *overtaken;

#define OVERTAKEN_PAGE 3u

static void overtake(struct model *m)
{
	save_pre_image(m, OVERTAKEN_PAGE);
	write_file_page(m, OVERTAKEN_PAGE, 2000);
}

/* Stands in for the library's in this program. */
ssize_t pread(int fd, void *bytes, size_t len, off_t offset)
{
	struct iovec vec = {bytes, len};
	struct model *m = overtaken;

	overtaken = NULL;
	if (m) {
		overtake(m);
	}
	return preadv(fd, &vec, 1, offset);
}

static void test_page_overwritten_before_it_is_read_is_the_old_one(void **state)
{
	struct model m = {0};
	struct captured_txn first = {.page_count = 20, .page_count_before = 20};
	struct error err;

	(void)state;
	assert_int_equal(spool_open(PAGE_SIZE, &m.spool, &err), ST_OK);
	assert_int_equal(temp_file_open(&m.fd, &err), ST_OK);
	m.states[0].page_count = 20;
	for (uint32_t p = 1; p <= 20; p++) {
		m.states[0].stamp[p] = 1000 + p;
		write_file_page(&m, p, 1000 + p);
	}
	open_model_view(&m, &first);
	for (int i = 0; i < 2; i++) {
		struct page_ref ref = {0};
		uint8_t expected[PAGE_SIZE];

		overtaken = i == 0 ? &m : NULL;
		fill_page(expected, OVERTAKEN_PAGE, 1000 + OVERTAKEN_PAGE);
		assert_int_equal(page_get(view_old(m.view), OVERTAKEN_PAGE, &ref, &err),
				 ST_OK);
		assert_memory_equal(ref.bytes, expected, PAGE_SIZE);
		page_put(view_old(m.view), &ref);
		assert_null(overtaken);
		assert_int_equal(m.newest[OVERTAKEN_PAGE], -1); /* it was */
	}
	view_close(m.view);
	spool_close(m.spool);
	close(m.fd);
}

/* ---- a base that is no file ---- */

#define MISSING_PAGE 7u

static enum status make_page(void *context, uint32_t page_no, uint8_t *bytes,
			     struct error *err)
{
	int *reads = context;

	++*reads;
	if (page_no == MISSING_PAGE) {
		return error_set(err, ST_LOST, "page %u has gone", (unsigned)page_no);
	}
	memset(bytes, (int)page_no, PAGE_SIZE);
	return ST_OK;
}

static void test_a_base_may_make_its_pages_and_is_asked_for_each_once(void **state)
{
	struct captured_txn first = {.page_count = 9, .page_count_before = 9};
	int reads = 0;
	struct view_base base = {.read = make_page, .context = &reads};
	struct page_ref ref = {0};
	struct spool *spool;
	struct view *view;
	struct error err;

	(void)state;
	assert_int_equal(spool_open(PAGE_SIZE, &spool, &err), ST_OK);
	assert_int_equal(view_open(spool, &base, PAGE_SIZE, &first, &view, &err),
			 ST_OK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(page_get(view_old(view), 5, &ref, &err), ST_OK);
		assert_int_equal(ref.bytes[0], 5);
		assert_int_equal(ref.bytes[PAGE_SIZE - 1], 5);
		page_put(view_old(view), &ref);
	}
	assert_int_equal(reads, 2); /* page 1 when it was opened */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(page_get(view_new(view), MISSING_PAGE, &ref, &err),
				 ST_LOST);
		assert_string_equal(err.text, "page 7 has gone");
	}
	assert_int_equal(reads, 4); /* what failed is not kept */
	view_close(view);
	spool_close(spool);
}

/* ---- a base that moves on ---- */

struct moving {
	int asked;
	bool may; /* it has the last state */
	uint64_t lsn;
	int stamp; /* of all pages, as of the state that it has */
};

static enum status moving_page(void *context, uint32_t page_no, uint8_t *bytes,
			       struct error *err)
{
	const struct moving *m = context;

	(void)err;
	(void)page_no;
	memset(bytes, m->stamp, PAGE_SIZE);
	return ST_OK;
}

static bool move_on(void *context, uint64_t lsn)
{
	struct moving *m = context;

	m->asked++;
	m->lsn = lsn;
	m->stamp += m->may;
	return m->may;
}

/* A transaction that fills pages 2 and 3. */
static void decode_two(struct spool *spool, struct view *view, uint64_t lsn, int stamp)
{
	struct captured_page pages[] = {{.page_no = 2}, {.page_no = 3}};
	struct captured_txn txn = {.lsn = lsn,
				   .page_count = 9,
				   .page_count_before = 9,
				   .pages = pages,
				   .page_total = 2};
	uint8_t bytes[PAGE_SIZE];
	struct error err;

	memset(bytes, stamp, sizeof bytes);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(spool_alloc(spool, &pages[i].slot, &err), ST_OK);
		assert_int_equal(spool_put(spool, pages[i].slot, bytes, &err), ST_OK);
	}
	assert_int_equal(view_begin(view, &txn, &err), ST_OK);
	view_end(view);
}

static int byte_of(struct view *view, uint32_t page_no)
{
	struct page_ref ref = {0};
	struct error err;
	int byte;

	assert_int_equal(page_get(view_old(view), page_no, &ref, &err), ST_OK);
	byte = ref.bytes[1];
	page_put(view_old(view), &ref);
	return byte;
}

static void test_what_lies_over_a_base_that_moves_on_is_given_back(void **state)
{
	struct captured_txn first = {.page_count = 9, .page_count_before = 9};
	struct moving moving = {.stamp = 50};
	struct view_base base = {.read = moving_page,
				 .move = move_on,
				 .move_bytes = 4 * PAGE_SIZE,
				 .context = &moving};
	struct spool *spool;
	struct view *view;
	struct error err;

	(void)state;
	assert_int_equal(spool_open(PAGE_SIZE, &spool, &err), ST_OK);
	assert_int_equal(view_open(spool, &base, PAGE_SIZE, &first, &view, &err),
			 ST_OK);
	decode_two(spool, view, 1, 60);
	assert_int_equal(moving.asked, 0);
	decode_two(spool, view, 2, 61);
	assert_int_equal(moving.asked, 1);
	assert_int_equal(moving.lsn, 2);
	assert_int_equal(spool_used_bytes(spool), 2 * PAGE_SIZE); /* it could not */
	assert_int_equal(byte_of(view, 2), 61);
	moving.may = true;
	decode_two(spool, view, 3, 51);
	decode_two(spool, view, 4, 51);
	assert_int_equal(moving.asked, 2);
	assert_int_equal(moving.lsn, 4);
	assert_int_equal(spool_used_bytes(spool), 0);
	assert_int_equal(byte_of(view, 2), 51); /* of the base */
	assert_int_equal(byte_of(view, 3), 51);
	decode_two(spool, view, 5, 62);
	assert_int_equal(byte_of(view, 3), 62);
	assert_int_equal(spool_used_bytes(spool), 2 * PAGE_SIZE);
	view_close(view);
	spool_close(spool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_view_gives_every_page_in_any_interleaving),
	    cmocka_unit_test(test_page_overwritten_before_it_is_read_is_the_old_one),
	    cmocka_unit_test(test_a_base_may_make_its_pages_and_is_asked_for_each_once),
	    cmocka_unit_test(test_what_lies_over_a_base_that_moves_on_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
