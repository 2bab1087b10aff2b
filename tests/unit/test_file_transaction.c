/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/archive/file_transaction.h"
#include "tests/lib/ltx_file.h"

#define PAGE 512u

static const _Atomic int never;

/* A file that leads on from a state of TXID 3, and what it gives. */
struct fixture {
	struct file_state state;
	struct spool *spool;
	struct captured_txn *txn; /* NULL: none */
	struct error err;
};

static enum status read(struct fixture *f, uint64_t min_txid, uint32_t page_count,
			const struct ltx_fill *pages)
{
	struct memory_storage *memory = memory_storage_open();
	const struct ltx_spec spec = {
	    .min_txid = min_txid,
	    .max_txid = 4,
	    .page_size = PAGE,
	    .page_count = page_count,
	    .pages = pages,
	};
	const struct archive_file file = {.min_txid = min_txid, .max_txid = 4};
	enum status status;

	memory_storage_make(memory, &spec);
	f->txn = NULL;
	assert_int_equal(spool_open(PAGE, &f->spool, &f->err), ST_OK);
	status = file_transaction_read(memory_storage_base(memory), &file, &f->state,
				       f->spool, &never, &f->txn, &f->err);
	assert_int_equal(memory_storage_opened(memory), 0);
	storage_close(memory_storage_base(memory));
	return status;
}

/* The bytes that fill each page, '.' for zeros, by "number+byte". */
static void expect_pages(const struct fixture *f, const char *expected)
{
	char text[128] = "";
	size_t len = 0;

	for (size_t i = 0; i < f->txn->page_total; i++) {
		const uint8_t *bytes = spool_bytes(f->spool, f->txn->pages[i].slot);

		len += (size_t)snprintf(
		    text + len, sizeof text - len, "%s%u%c", i > 0 ? " " : "",
		    (unsigned)f->txn->pages[i].page_no, bytes[0] ? bytes[0] : '.');
		assert_true(len < sizeof text);
	}
	assert_string_equal(text, expected);
}

static void clear(struct fixture *f)
{
	captured_txn_free(f->txn);
	spool_close(f->spool);
}

static struct fixture of_state(uint32_t page_count, uint32_t most_pages)
{
	return (struct fixture){.state = {.txid = 3,
					  .page_size = PAGE,
					  .page_count = page_count,
					  .most_pages = most_pages}};
}

static void test_pages_that_were_cut_off_come_back_as_zeros(void **state)
{
	static const struct ltx_fill pages[] = {{2, 'b'}, {5, 'e'}, {0, 0}};
	struct fixture f = of_state(2, 5);

	(void)state;
	assert_int_equal(read(&f, 4, 5, pages), ST_OK);
	expect_pages(&f, "2b 3. 4. 5e");
	assert_int_equal(f.txn->page_count_before, 2);
	assert_int_equal(f.txn->page_count, 5);
	assert_int_equal(f.state.txid, 4);
	assert_int_equal(f.state.page_count, 5);
	clear(&f);
}

static void test_a_page_that_never_was_there_must_be_in_the_file(void **state)
{
	static const struct ltx_fill pages[] = {{2, 'b'}, {5, 'e'}, {0, 0}};
	struct fixture f = of_state(2, 3);

	(void)state;
	assert_int_equal(read(&f, 4, 5, pages), ST_CORRUPT);
	assert_non_null(strstr(f.err.text, "page 4 of 5 is missing in 0/"));
	assert_int_equal(f.state.txid, 3);
	clear(&f);
}

/* Else it would stay as it was, and a restore of that moment would say that it is in no
 * file. */
static void test_a_whole_database_without_a_page_is_damaged(void **state)
{
	static const struct ltx_fill pages[] = {{1, 'a'}, {3, 'c'}, {0, 0}};
	static const struct ltx_fill all[] = {{1, 'a'}, {2, 'b'}, {3, 'c'}, {0, 0}};
	static const struct ltx_fill last[] = {{1, 'a'}, {2, 'b'}, {0, 0}};
	struct fixture f = of_state(3, 3);

	(void)state;
	assert_int_equal(read(&f, 1, 3, pages), ST_CORRUPT);
	assert_non_null(strstr(f.err.text, "page 2 of 3 is missing in 0/"));
	clear(&f);
	assert_int_equal(read(&f, 1, 3, last), ST_CORRUPT);
	clear(&f);
	f = of_state(2, 9);
	assert_int_equal(read(&f, 1, 3, last), ST_CORRUPT);
	clear(&f);
	assert_int_equal(read(&f, 1, 3, all), ST_OK);
	expect_pages(&f, "1a 2b 3c");
	assert_true(f.txn->is_catch_up);
	clear(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pages_that_were_cut_off_come_back_as_zeros),
	    cmocka_unit_test(test_a_page_that_never_was_there_must_be_in_the_file),
	    cmocka_unit_test(test_a_whole_database_without_a_page_is_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
