/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/bytes.h"
#include "src/state/journal_record.h"
#include "src/state/journal_writers.h"

static const struct writer some[] = {
    {.pid = 12, .uid = 1000, .loginuid = 0, .exe = "/bin/a \xff", .unit = "b.scope"},
    {.pid = 0, .uid = WRITER_NO_ID, .loginuid = WRITER_NO_ID},
    {.pid = 13, .uid = 0, .loginuid = 7, .unit = "c.service"}};

static struct writers *make(const struct writer *from, size_t total)
{
	struct writer *list[WRITERS_MOST] = {NULL};
	struct writers *writers;

	for (size_t i = 0; i < total; i++) {
		list[i] = writer_new(&from[i]);
		assert_non_null(list[i]);
	}
	writers = writers_new(list, total);
	assert_non_null(writers);
	for (size_t i = 0; i < total; i++) {
		writer_drop(list[i]);
	}
	return writers;
}

static void expect_same(const struct writers *a, const struct writers *b)
{
	assert_non_null(b);
	assert_int_equal(a->total, b->total);
	for (size_t i = 0; i < a->total; i++) {
		assert_true(writer_same(a->list[i], b->list[i]));
	}
}

static void test_they_come_back_as_they_were(void **state)
{
	(void)state;
	for (size_t total = 1; total <= 3; total++) {
		struct writers *writers = make(some, total);
		size_t bytes = journal_writers_bytes(writers);
		uint8_t *block = malloc(bytes);
		struct writers *back;

		assert_non_null(block);
		assert_int_equal(bytes % 8, 0);
		assert_true(bytes >= JOURNAL_WRITERS_LEAST);
		journal_writers_put(block, writers);
		back = journal_writers_get(block, bytes);
		expect_same(writers, back);
		writers_drop(back);
		writers_drop(writers);
		free(block);
	}
}

/* In a block of its own, so that a sanitizer sees what is read past the end. */
static void test_what_is_cut_or_not_right_is_nobody(void **state)
{
	struct writers *writers = make(some, 3);
	size_t bytes = journal_writers_bytes(writers);
	uint8_t *whole = malloc(bytes);

	(void)state;
	assert_non_null(whole);
	journal_writers_put(whole, writers);
	for (size_t len = 0; len < bytes; len++) {
		uint8_t *block = malloc(len + 1);

		assert_non_null(block);
		memcpy(block, whole, len);
		if (len < bytes - 7) {
			assert_null(journal_writers_get(block, len));
		}
		free(block);
	}
	for (size_t i = 0; i < bytes; i++) {
		uint8_t was = whole[i];

		for (unsigned bit = 0; bit < 8; bit++) {
			whole[i] = (uint8_t)(was ^ 1u << bit);
			writers_drop(journal_writers_get(whole, bytes));
		}
		whole[i] = was;
	}
	put_u32le(whole, WRITERS_MOST + 1);
	assert_null(journal_writers_get(whole, bytes));
	put_u32le(whole, 0);
	assert_null(journal_writers_get(whole, bytes));
	free(whole);
	writers_drop(writers);
}

static void test_a_record_has_them_behind_its_pages(void **state)
{
	struct writers *writers = make(some, 3);
	struct journal_record record = {
	    .kind = JOURNAL_NAMED, .lsn = 5, .page_count = 9, .writers = writers};
	struct journal_head head;
	struct buffer b;
	uint64_t chain, after;
	uint8_t *bytes;
	struct writers *back;

	(void)state;
	buffer_init(&b);
	assert_true(journal_record_put(&b, &record, 4, 3, NULL, 512, &chain));
	bytes = (uint8_t *)b.bytes;
	assert_true(journal_head_get(bytes, &head));
	assert_int_equal(head.length, b.len);
	assert_int_equal(journal_head_length(&head), b.len);
	assert_true(journal_record_sum(bytes, b.len, &after));
	assert_int_equal(after, chain);
	back = journal_record_writers(bytes, b.len);
	expect_same(writers, back);
	writers_drop(back);

	head.length = b.len + 4;
	assert_int_not_equal(journal_head_length(&head), head.length);
	head.length = JOURNAL_HEAD_BYTES + JOURNAL_SUM_BYTES;
	assert_int_not_equal(journal_head_length(&head), b.len);
	head.length += 8;
	assert_int_not_equal(journal_head_length(&head), head.length);
	head.length += JOURNAL_WRITERS_MOST;
	assert_int_not_equal(journal_head_length(&head), head.length);
	head.length = 8;
	assert_int_not_equal(journal_head_length(&head), head.length);
	head.length = b.len;
	head.record.kind = JOURNAL_COMMIT;
	assert_int_not_equal(journal_head_length(&head), head.length);

	record.kind = JOURNAL_COMMIT;
	assert_true(journal_record_put(&b, &record, 4, 3, NULL, 512, &chain));
	assert_int_equal(b.len, JOURNAL_HEAD_BYTES + JOURNAL_SUM_BYTES);
	assert_null(journal_record_writers((uint8_t *)b.bytes, b.len));
	buffer_clear(&b);
	writers_drop(writers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_they_come_back_as_they_were),
	    cmocka_unit_test(test_what_is_cut_or_not_right_is_nobody),
	    cmocka_unit_test(test_a_record_has_them_behind_its_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
