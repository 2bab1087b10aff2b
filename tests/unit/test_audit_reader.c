/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_audit_reader.c -- lines of a file that have something in them
 * (src/audit/line.c). */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/audit/reader.h"

#define NEEDLE ((struct span){"\"key\":42,", 9})
#define OTHER  ((struct span){"zz", 2})

static int file_of(const struct buffer *content)
{
	FILE *file = tmpfile();
	int fd;

	assert_non_null(file);
	assert_int_equal(fwrite(content->bytes, 1, content->len, file), content->len);
	assert_int_equal(fflush(file), 0);
	fd = dup(fileno(file));
	assert_true(fd >= 0);
	(void)fclose(file);
	return fd;
}

static void add_line(struct buffer *b, size_t before, bool has_it, size_t behind)
{
	for (size_t i = 0; i < before; i++) {
		buffer_add_char(b, "\"key\":42;"[i % 9]); /* nearly */
	}
	buffer_add(b, NEEDLE.bytes, has_it ? NEEDLE.len : NEEDLE.len - 1);
	for (size_t i = 0; i < behind; i++) {
		buffer_add_char(b, 'x');
	}
	buffer_add_char(b, '\n');
}

/* Those that line after line are found to have it, and no others. */
static size_t check_found(const struct buffer *content)
{
	struct audit_needle needles[] = {{.bytes = NEEDLE}, {.bytes = OTHER}};
	struct audit_reader all, found;
	struct span line, hit;
	struct error err;
	bool is_whole, hit_is_whole;
	size_t count = 0;
	int fd = file_of(content);

	audit_reader_open(&all, fd, "all");
	audit_reader_open(&found, fd, "found");
	all.most = found.most = (size_t)16 << 20;
	while (audit_reader_next(&all, &line, &is_whole, &err) == ST_OK) {
		if (!memmem(line.bytes, line.len, NEEDLE.bytes, NEEDLE.len) &&
		    !memmem(line.bytes, line.len, OTHER.bytes, OTHER.len)) {
			continue;
		}
		assert_int_equal(
		    audit_reader_find(&found, needles, 2, &hit, &hit_is_whole, &err),
		    ST_OK);
		assert_int_equal(hit.len, line.len);
		assert_memory_equal(hit.bytes, line.bytes, line.len);
		assert_int_equal(hit_is_whole, is_whole);
		assert_int_equal(found.offset, all.offset);
		count++;
	}
	assert_int_equal(
	    audit_reader_find(&found, needles, 2, &hit, &hit_is_whole, &err), ST_END);
	audit_reader_close(&all);
	audit_reader_close(&found);
	(void)close(fd);
	return count;
}

static void test_what_is_in_a_line_is_found_wherever_a_read_ends(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	srand(7);
	for (int i = 0; i < 400; i++) {
		add_line(&b, (size_t)(rand() % 20000), i % 5 == 0,
			 (size_t)(rand() % 3000));
	}
	assert_int_equal(check_found(&b), 80);
	for (int i = 0; i < 300; i++) { /* and the other one, thick and thin */
		buffer_add_str(&b, i % 7 == 0 || i > 200 ? "zz\n" : "z\n");
		add_line(&b, (size_t)(rand() % 20000), i % 5 == 0 && i < 100,
			 (size_t)(rand() % 3000));
	}
	assert_int_equal(check_found(&b), 80 + 20 + 29 + 99);
	for (size_t at = ((size_t)1 << 20) - 12; at < ((size_t)1 << 20) + 3; at++) {
		buffer_reset(&b);
		add_line(&b, at, true, 5);
		add_line(&b, 3, false, 5);
		add_line(&b, 0, true, 0);
		b.len--; /* the last one has no end */
		assert_int_equal(check_found(&b), 2);
	}
	buffer_clear(&b);
}

static void test_a_line_that_is_longer_than_a_read_is_found(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	add_line(&b, 3000000, false, 0);
	add_line(&b, 3000001, true, 2000000);
	add_line(&b, 1, true, 1);
	assert_int_equal(check_found(&b), 2);
	buffer_clear(&b);
}

static void test_a_line_longer_than_what_is_held_is_given_as_one(void **state)
{
	struct audit_needle needle = {.bytes = NEEDLE};
	struct audit_reader reader;
	struct buffer b;
	struct span line;
	struct error err;
	bool is_whole;
	int fd;

	(void)state;
	buffer_init(&b);
	add_line(&b, 10, false, 10);
	add_line(&b, 3 * AUDIT_LONG_BYTES, true, 10);
	add_line(&b, 10, true, 10);
	fd = file_of(&b);
	audit_reader_open(&reader, fd, "lines");
	assert_int_equal(audit_reader_find(&reader, &needle, 1, &line, &is_whole, &err),
			 ST_OK);
	assert_true(reader.is_long);
	assert_true(reader.bytes.cap < 3 * AUDIT_LONG_BYTES);
	assert_int_equal(audit_reader_find(&reader, &needle, 1, &line, &is_whole, &err),
			 ST_OK);
	assert_false(reader.is_long);
	assert_int_equal(line.len, 10 + NEEDLE.len + 10);
	assert_int_equal(audit_reader_find(&reader, &needle, 1, &line, &is_whole, &err),
			 ST_END);
	audit_reader_close(&reader);
	(void)close(fd);
	buffer_clear(&b);
}

static void test_without_a_needle_every_line_is_given(void **state)
{
	struct audit_reader reader;
	struct buffer b;
	struct span line;
	struct error err;
	bool is_whole;
	int fd, count = 0;

	(void)state;
	buffer_init(&b);
	buffer_add_str(&b, "\na\n\nb\n");
	fd = file_of(&b);
	audit_reader_open(&reader, fd, "lines");
	while (audit_reader_find(&reader, NULL, 0, &line, &is_whole, &err) == ST_OK) {
		count++;
	}
	assert_int_equal(count, 4);
	audit_reader_close(&reader);
	(void)close(fd);
	buffer_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_in_a_line_is_found_wherever_a_read_ends),
	    cmocka_unit_test(test_a_line_that_is_longer_than_a_read_is_found),
	    cmocka_unit_test(test_a_line_longer_than_what_is_held_is_given_as_one),
	    cmocka_unit_test(test_without_a_needle_every_line_is_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
