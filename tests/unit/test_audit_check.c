/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/audit/check.h"
#include "src/audit/reader.h"

#define TIME "\"time\":\"2026-11-07T13:37:55.200Z\""

/* ---- how a line begins ---- */

static struct audit_line read_line(const char *text)
{
	struct audit_line line;
	char *copy = malloc(strlen(text) + 1); /* so that a read past its end shows */

	assert_non_null(copy);
	memcpy(copy, text, strlen(text));
	audit_line_read(copy, strlen(text), &line);
	line.time.bytes = NULL;
	free(copy);
	return line;
}

static void test_a_line_is_told_by_its_beginning(void **state)
{
	struct audit_line line = read_line("{\"n\":12," TIME ",\"op\":\"checkpoint\"}");

	(void)state;
	assert_true(line.has_number);
	assert_int_equal(line.number, 12);
	assert_int_equal(line.kind, AUDIT_LINE_CHECKPOINT);
	line = read_line("{\"n\":0,\"salt\":\"abc+/\"," TIME ",\"op\":\"stop\"}");
	assert_int_equal(line.kind, AUDIT_LINE_STOP);
	/* A row, whatever stands in it. */
	line = read_line("{\"n\":3," TIME ",\"txn\":1,\"op\":\"checkpoint\"}");
	assert_int_equal(line.kind, AUDIT_LINE_ROW);
	assert_true(line.has_number);
	assert_int_equal(line.time.len, 24);
}

static void test_another_beginning_is_no_number(void **state)
{
	static const char *const others[] = {"",
					     "{",
					     "{\"n\":",
					     "{\"n\":x,",
					     "{\"n\":-1,",
					     "{\"n\":01,",
					     "{\"n\":1",
					     "{\"n\": 1,",
					     "{ \"n\":1,",
					     "{\"n\":1.0,",
					     "[{\"n\":1,",
					     "{\"m\":1,",
					     "{\"n\":\"1\"",
					     "{\"n\":9999999999999999999,"};

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		assert_false(read_line(others[i]).has_number);
		assert_int_equal(read_line(others[i]).kind, AUDIT_LINE_ROW);
	}
	assert_int_equal(read_line("{\"n\":1,\"salt\":\"").kind, AUDIT_LINE_ROW);
	assert_int_equal(
	    read_line("{\"n\":1,\"salt\":\"\\\"," TIME ",\"op\":\"stop\"").kind,
	    AUDIT_LINE_ROW);
	assert_int_equal(read_line("{\"n\":1," TIME ",\"op\":\"stop").kind,
			 AUDIT_LINE_ROW);
}

/* ---- a log in memory ---- */

#define MOST 32

struct log {
	struct audit_key key;
	struct audit_hasher hasher;
	struct audit_tree tree;
	char *lines[MOST];
	size_t count;
	struct audit_found found[MOST];
	size_t found_count;
	unsigned gaps;
};

static void add(struct log *log, const char *body)
{
	char *line;

	assert_true(log->count < MOST);
	assert_true(asprintf(&line, "{\"n\":%zu," TIME ",%s}", log->count, body) > 0);
	audit_tree_add(&log->tree, &log->hasher, line, strlen(line));
	log->lines[log->count++] = line;
}

/* The note's line ends as JSON has them. */
static void add_head(struct log *log)
{
	struct audit_head head = {log->tree.count,
				  audit_tree_root(&log->tree, &log->hasher)};
	struct buffer note, body;
	struct error err;

	buffer_init(&note);
	buffer_init(&body);
	assert_int_equal(audit_note_add(&note, &log->key, &head, &err), ST_OK);
	buffer_add_str(&body, "\"op\":\"checkpoint\",\"note\":\"");
	for (size_t i = 0; i < note.len; i++) {
		buffer_add_str(&body, note.bytes[i] == '\n' ? "\\n" : "");
		if (note.bytes[i] != '\n') {
			buffer_add_char(&body, note.bytes[i]);
		}
	}
	buffer_add(&body, "\"", 2);
	add(log, body.bytes);
	buffer_clear(&note);
	buffer_clear(&body);
}

static void add_keyed(struct log *log, const char *op)
{
	struct buffer body;

	buffer_init(&body);
	buffer_add_str(&body, "\"op\":\"");
	buffer_add_str(&body, op);
	buffer_add_str(&body, "\",\"key\":\"");
	audit_key_add(&body, &log->key, false);
	buffer_add_char(&body, '"');
	if (strcmp(op, "file") == 0) {
		buffer_add_str(&body, ",\"first\":0,\"frontier\":[]");
	}
	buffer_add_char(&body, '\0');
	add(log, body.bytes);
	buffer_clear(&body);
}

/* Lines 0 to 9; heads are 4 and 8. */
static void log_open(struct log *log)
{
	struct error err;

	*log = (struct log){0};
	assert_int_equal(audit_hasher_open(&log->hasher, &err), ST_OK);
	assert_int_equal(audit_key_make("a/log", &log->key, &err), ST_OK);
	add_keyed(log, "file");
	add(log, "\"op\":\"start\"");
	add(log, "\"txn\":1,\"op\":\"insert\"");
	add(log, "\"txn\":2,\"op\":\"insert\"");
	add_head(log);
	add(log, "\"op\":\"gap\",\"why\":\"w\"");
	add(log, "\"txn\":3,\"op\":\"insert\"");
	add(log, "\"op\":\"stop\"");
	add_head(log);
	add(log, "\"txn\":4,\"op\":\"insert\"");
}

static void log_close(struct log *log)
{
	for (size_t i = 0; i < log->count; i++) {
		free(log->lines[i]);
	}
	audit_hasher_close(&log->hasher);
}

static void found(void *context, const struct audit_found *what)
{
	struct log *log = context;

	assert_true(log->found_count < MOST);
	log->found[log->found_count++] = *what;
}

static void on_gap(void *context, uint64_t number, struct span line)
{
	struct log *log = context;

	(void)line;
	assert_int_equal(number, 5);
	log->gaps++;
}

static void check_log(struct log *log, const struct audit_key *key,
		      const struct audit_kept_head *kept, struct audit_check *check)
{
	struct audit_check_settings settings = {.keys = key,
						.key_count = key != NULL,
						.kept = kept,
						.kept_count = kept != NULL,
						.found = found,
						.on_gap = on_gap,
						.context = log};
	struct error err;

	log->found_count = log->gaps = 0;
	assert_int_equal(audit_check_open(check, &settings, &err), ST_OK);
	for (size_t i = 0; i < log->count; i++) {
		struct span line = {log->lines[i], strlen(log->lines[i])};

		assert_int_equal(
		    audit_check_line(check, line, NULL, i == 0, true, &err), ST_OK);
	}
	assert_int_equal(audit_check_end(check, &err), ST_OK);
	audit_check_close(check);
}

static void expect_found(const struct log *log, size_t index,
			 enum audit_finding finding, uint64_t first, uint64_t last)
{
	assert_true(index < log->found_count);
	assert_int_equal(log->found[index].finding, finding);
	assert_int_equal(log->found[index].first, first);
	assert_int_equal(log->found[index].last, last);
}

static void test_a_log_that_is_as_it_was_written(void **state)
{
	struct audit_check check;
	struct log log;

	(void)state;
	log_open(&log);
	check_log(&log, &log.key, NULL, &check);
	assert_int_equal(log.found_count, 0);
	assert_int_equal(log.gaps, 1);
	assert_int_equal(check.heads, 2);
	assert_int_equal(check.head.size, 8);
	assert_int_equal(check.covered, 9);
	assert_int_equal(check.tree.count, 10);
	assert_false(check.is_stopped); /* a row came behind it */
	log_close(&log);
}

static void test_each_byte_of_a_signed_line_counts(void **state)
{
	struct audit_check check;
	struct log log;

	(void)state;
	log_open(&log);
	for (size_t i = 0; i < 8; i++) { /* 8 is the last head */
		for (size_t at = 0; at < strlen(log.lines[i]); at++) {
			log.lines[i][at] ^= 1;
			check_log(&log, &log.key, NULL, &check);
			if (log.found_count == 0) {
				fail_msg("line %zu, byte %zu", i, at);
			}
			log.lines[i][at] ^= 1;
		}
	}
	log_close(&log);
}

static void test_only_the_first_head_that_does_not_fit_is_told(void **state)
{
	struct audit_check check;
	struct log log;

	(void)state;
	log_open(&log);
	log.lines[2][strlen(log.lines[2]) - 2] = 'x';
	check_log(&log, &log.key, NULL, &check);
	assert_int_equal(log.found_count, 1);
	expect_found(&log, 0, AUDIT_ALTERED, 0, 3);
	log_close(&log);
}

static void test_another_key_is_told_where_it_begins(void **state)
{
	struct audit_check check;
	struct audit_key first, other;
	struct error err;
	struct log log;

	(void)state;
	log_open(&log);
	first = log.key;
	assert_int_equal(audit_key_make("a/log", &other, &err), ST_OK);
	check_log(&log, &other, NULL, &check);
	expect_found(&log, 0, AUDIT_OTHER_KEY, 0, 0);
	log.key = other;
	add_keyed(&log, "key");
	add_head(&log);
	check_log(&log, &first, NULL, &check);
	assert_int_equal(log.found_count, 1);
	expect_found(&log, 0, AUDIT_OTHER_KEY, 10, 10);
	assert_int_equal(check.heads, 3);
	log_close(&log);
}

static void test_a_head_that_was_kept_elsewhere(void **state)
{
	struct audit_kept_head kept = {.head = {.size = 8}};
	struct audit_check check;
	struct log log;

	(void)state;
	log_open(&log);
	check_log(&log, NULL, NULL, &check);
	kept.head = check.head;
	check_log(&log, NULL, &kept, &check);
	assert_int_equal(log.found_count, 0);
	kept.head.root.bytes[0] ^= 1;
	check_log(&log, NULL, &kept, &check);
	expect_found(&log, 0, AUDIT_REMADE, 0, 7);
	kept.head.size = 20;
	check_log(&log, NULL, &kept, &check);
	expect_found(&log, 0, AUDIT_SHORTER, 10, 19);
	log_close(&log);
}

/* ---- lines of a file ---- */

/* A line of `len` bytes, then a short one; the last LF only where `has_end`. */
static void read_lengths(size_t len, bool is_first, bool has_end)
{
	FILE *file = tmpfile();
	char *bytes = malloc(len + 1);
	struct audit_reader reader;
	struct audit_hasher hasher;
	struct audit_tree tree = {0}, expected = {0};
	struct span line;
	struct error err;
	bool is_whole;

	assert_true(file && bytes);
	memset(bytes, 'x', len);
	assert_int_equal(audit_hasher_open(&hasher, &err), ST_OK);
	audit_reader_open(&reader, fileno(file), "file");
	for (int i = 0; i < 2; i++) {
		size_t n = (i == 0) == is_first ? len : 3;

		audit_tree_add(&expected, &hasher, bytes, n);
		assert_int_equal(fwrite(bytes, 1, n, file), n);
		assert_true(i == 1 && !has_end ? true : putc('\n', file) == '\n');
	}
	assert_int_equal(fflush(file), 0);
	for (int i = 0; i < 2; i++) {
		size_t n = (i == 0) == is_first ? len : 3;

		assert_int_equal(audit_reader_next(&reader, &line, &is_whole, &err),
				 ST_OK);
		assert_int_equal(is_whole, i == 0 || has_end);
		if (reader.is_long) {
			assert_int_equal(line.len, AUDIT_LONG_BYTES);
			audit_tree_add_leaf(&tree, &hasher, reader.leaf);
		} else {
			assert_int_equal(line.len, n);
			audit_tree_add(&tree, &hasher, line.bytes, line.len);
		}
		assert_int_equal(*line.bytes, 'x');
	}
	assert_int_equal(reader.offset, (size_t)ftell(file));
	assert_int_equal(audit_reader_next(&reader, &line, &is_whole, &err), ST_END);
	assert_memory_equal(tree.roots, expected.roots, sizeof tree.roots);
	audit_reader_close(&reader);
	audit_hasher_close(&hasher);
	free(bytes);
	(void)fclose(file);
}

static void test_a_line_of_any_length_has_its_hash(void **state)
{
	static const size_t around[] = {1, 2, 3};

	(void)state;
	for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
		for (int by = -1; by <= 1; by++) {
			size_t len =
			    (size_t)((int64_t)(around[i] * AUDIT_LONG_BYTES) + by);

			read_lengths(len, by % 2 == 0, i % 2 == 0);
			read_lengths(len, by % 2 != 0, i % 2 == 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_line_is_told_by_its_beginning),
	    cmocka_unit_test(test_another_beginning_is_no_number),
	    cmocka_unit_test(test_a_log_that_is_as_it_was_written),
	    cmocka_unit_test(test_each_byte_of_a_signed_line_counts),
	    cmocka_unit_test(test_only_the_first_head_that_does_not_fit_is_told),
	    cmocka_unit_test(test_another_key_is_told_where_it_begins),
	    cmocka_unit_test(test_a_head_that_was_kept_elsewhere),
	    cmocka_unit_test(test_a_line_of_any_length_has_its_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
