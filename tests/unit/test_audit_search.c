/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_audit_search.c -- lines of all files of a log, searched at the same
 * time (src/audit/search.c), against those that one reader finds. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/audit/search.h"

#define MOST_FILES 9
#define HUGE_BYTES ((size_t)3 << 20) /* of a line that is not copied */

static const struct audit_needle needles[] = {{.bytes = {"\"key\":42,", 9}},
					      {.bytes = {"zz", 2}}};

static uint64_t seed_now;

static void rnd_seed(uint64_t seed)
{
	print_message("seed %llu\n", (unsigned long long)seed);
	seed_now = seed * 0x9E3779B97F4A7C15;
}

static size_t rnd(size_t below) /* xorshift64 */
{
	seed_now ^= seed_now << 13;
	seed_now ^= seed_now >> 7;
	seed_now ^= seed_now << 17;
	return (size_t)(seed_now % below);
}

struct log {
	char folder[64];
	struct audit_files files;
};

static void add_file(struct log *log, const struct buffer *content)
{
	struct error err;
	char *path;
	FILE *file;

	assert_true(asprintf(&path, "%s/log.%012zu", log->folder, log->files.count) >
		    0);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(content->bytes, 1, content->len, file), content->len);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(audit_files_add(&log->files, path, log->files.count, &err),
			 ST_OK);
}

static void make(struct log *log)
{
	*log = (struct log){.folder = "/tmp/test_audit_search.XXXXXX"};
	assert_non_null(mkdtemp(log->folder));
}

static void drop(struct log *log)
{
	for (size_t i = 0; i < log->files.count; i++) {
		(void)unlink(log->files.list[i].path);
	}
	assert_int_equal(rmdir(log->folder), 0);
	audit_files_clear(&log->files);
}

static void add_line(struct buffer *b, size_t len, bool has_it)
{
	const struct span *it = &needles[rnd(2)].bytes;

	assert_true(buffer_reserve(b, len));
	memset(b->bytes + b->len, (int)('a' + rnd(3)), len);
	b->len += len;
	if (has_it) {
		buffer_add(b, it->bytes, it->len);
	}
	buffer_add_char(b, '\n');
}

static bool wants_short(const void *context, struct span line)
{
	return line.len < *(const size_t *)context;
}

/* The next one that the reader finds and that is shorter than that. */
static enum status next_short(struct audit_reader *reader, struct audit_needle *own,
			      size_t shorter, struct span *line, bool *is_whole)
{
	struct error err;
	enum status status;

	do {
		status = audit_reader_find(reader, own, 2, line, is_whole, &err);
	} while (status == ST_OK && line->len >= shorter);
	return status;
}

/* Of the lines that are shorter than that what one reader finds, as long as the search
 * goes on. */
static void compare(const struct log *log, size_t shorter, size_t most, enum status end)
{
	struct audit_needle own[2] = {needles[0], needles[1]};
	struct audit_search_question question = {
	    .needles = needles,
	    .count = 2,
	    .wants = shorter < SIZE_MAX ? wants_short : NULL,
	    .context = &shorter,
	};
	struct audit_reader reader;
	struct audit_search *search;
	struct audit_search_line found;
	struct span line;
	struct error err;
	bool is_whole;
	enum status status = ST_OK;

	audit_reader_open_files(&reader, &log->files, 0);
	reader.most = AUDIT_ASKED_BYTES;
	assert_int_equal(audit_search_open(&log->files, &question, &search, &err),
			 ST_OK);
	for (size_t i = 0; status == ST_OK && i < most; i++) {
		status = next_short(&reader, own, shorter, &line, &is_whole);
		assert_int_equal(audit_search_next(search, &found, &err), status);
		if (status == ST_OK) {
			assert_int_equal(found.bytes.len, line.len);
			assert_memory_equal(found.bytes.bytes, line.bytes, line.len);
			assert_int_equal(found.is_whole, is_whole);
			assert_int_equal(found.is_long, reader.is_long);
		}
	}
	assert_int_equal(status, end);
	if (end != ST_OK) { /* once at its end it stays there */
		assert_int_equal(audit_search_next(search, &found, &err), end);
		assert_int_equal(audit_search_damaged(search), reader.damaged);
	}
	audit_search_close(search);
	audit_reader_close(&reader);
}

static void fill(struct buffer *b)
{
	size_t lines = rnd(4) == 0 ? 0 : rnd(3000);

	buffer_reset(b);
	for (size_t i = 0; i < lines; i++) {
		size_t len = rnd(1000) == 0 ? rnd(300000) : rnd(1200);

		add_line(b, len, rnd(rnd(2) == 0 ? 2 : 40) == 0);
	}
	if (rnd(4) == 0) {
		buffer_add_str(b, "zz torn"); /* its end is not there */
	}
}

static void test_all_files_in_their_order(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	for (unsigned seed = 1; seed <= 6; seed++) {
		struct log log;

		rnd_seed(seed);
		make(&log);
		for (size_t i = 1 + rnd(MOST_FILES); i > 0; i--) {
			fill(&b);
			add_file(&log, &b);
		}
		compare(&log, SIZE_MAX, SIZE_MAX, ST_END);
		compare(&log, 300, SIZE_MAX, ST_END);
		drop(&log);
	}
	buffer_clear(&b);
}

static void test_lines_that_are_not_copied(void **state)
{
	struct buffer b;
	struct log log;

	(void)state;
	rnd_seed(7);
	buffer_init(&b);
	make(&log);
	for (size_t i = 0; i < 5; i++) {
		buffer_reset(&b);
		for (size_t n = 0; n < i; n++) {
			add_line(&b, rnd(100), true);
			add_line(&b, HUGE_BYTES + rnd(1000), n != 1);
		}
		add_line(&b, rnd(100), i % 2 == 0);
		add_file(&log, &b);
	}
	compare(&log, SIZE_MAX, SIZE_MAX, ST_END);
	compare(&log, SIZE_MAX, 4, ST_OK); /* and in the middle of one it is left */
	compare(&log, SIZE_MAX, 5, ST_OK);
	drop(&log);
	buffer_clear(&b);
}

static void test_left_before_its_end(void **state)
{
	struct buffer b;
	struct log log;

	(void)state;
	rnd_seed(8);
	buffer_init(&b);
	make(&log);
	for (size_t i = 0; i < MOST_FILES; i++) {
		buffer_reset(&b);
		for (size_t n = 0; n < 4000; n++) {
			add_line(&b, 1000, true); /* more than what is handed over */
		}
		add_file(&log, &b);
	}
	compare(&log, SIZE_MAX, 0, ST_OK);
	compare(&log, SIZE_MAX, 1, ST_OK);
	compare(&log, SIZE_MAX, 6000, ST_OK);
	drop(&log);
	buffer_clear(&b);
}

/* Five small files. */
static void make_small(struct log *log)
{
	struct buffer b;

	buffer_init(&b);
	make(log);
	for (size_t i = 0; i < 5; i++) {
		buffer_reset(&b);
		for (size_t n = 0; n < 100; n++) {
			add_line(&b, rnd(100), n % 3 == 0);
		}
		add_file(log, &b);
	}
	buffer_clear(&b);
}

static void test_a_damaged_file_between_others(void **state)
{
	struct log log;

	(void)state;
	rnd_seed(9);
	make_small(&log);
	log.files.list[1].is_compressed = log.files.list[3].is_compressed =
	    true; /* no */
	compare(&log, SIZE_MAX, SIZE_MAX, ST_END);
	drop(&log);
}

static void test_a_file_that_has_gone(void **state)
{
	struct log log;

	(void)state;
	rnd_seed(10);
	make_small(&log);
	assert_int_equal(unlink(log.files.list[3].path), 0);
	compare(&log, SIZE_MAX, SIZE_MAX, ST_IO);
	drop(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_files_in_their_order),
	    cmocka_unit_test(test_lines_that_are_not_copied),
	    cmocka_unit_test(test_left_before_its_end),
	    cmocka_unit_test(test_a_damaged_file_between_others),
	    cmocka_unit_test(test_a_file_that_has_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
