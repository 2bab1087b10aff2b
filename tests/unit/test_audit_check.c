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
	bool starts[MOST]; /* the first line of a file */
	size_t count;
	size_t from; /* files before this line are gone */
	bool is_part;
	uint64_t trusted_from; /* the key that is given */
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

/* A note with its line ends as JSON has them. */
static void add_escaped(struct buffer *body, const struct buffer *note)
{
	for (size_t i = 0; i < note->len; i++) {
		buffer_add_str(body, note->bytes[i] == '\n' ? "\\n" : "");
		if (note->bytes[i] != '\n') {
			buffer_add_char(body, note->bytes[i]);
		}
	}
}

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
	add_escaped(&body, &note);
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

/* Another file with a key of its own, which `by` hands over to. */
static void add_turn(struct log *log, const struct audit_key *by)
{
	struct audit_head base = {log->tree.count,
				  audit_tree_root(&log->tree, &log->hasher)};
	struct audit_key old = by ? *by : log->key;
	struct buffer note, body;
	struct error err;

	buffer_init(&note);
	buffer_init(&body);
	assert_int_equal(audit_key_make("a/log", &log->key, &err), ST_OK);
	assert_int_equal(audit_note_add_handover(&note, &old, &base, &log->key, &err),
			 ST_OK);
	buffer_add_str(&body, "\"op\":\"file\",\"key\":\"");
	audit_key_add(&body, &log->key, false);
	buffer_add_str(&body, "\",\"first\":");
	buffer_add_u64(&body, base.size);
	buffer_add_str(&body, ",\"frontier\":[");
	for (unsigned i = 0; i < log->tree.root_count; i++) {
		buffer_add_str(&body, i > 0 ? ",\"" : "\"");
		audit_base64_add(&body, log->tree.roots[i].bytes, AUDIT_HASH_BYTES);
		buffer_add_char(&body, '"');
	}
	buffer_add(&body, "]", 2);
	log->starts[log->count] = true;
	add(log, body.bytes);
	buffer_reset(&body);
	buffer_add_str(&body, "\"op\":\"key\",\"key\":\"");
	audit_key_add(&body, &log->key, false);
	buffer_add_str(&body, "\",\"note\":\"");
	add_escaped(&body, &note);
	buffer_add(&body, "\"", 2);
	add(log, body.bytes);
	add_head(log);
	buffer_clear(&note);
	buffer_clear(&body);
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
	struct audit_trusted trusted;
	struct audit_check_settings settings = {.keys = &trusted,
						.key_count = key != NULL,
						.kept = kept,
						.kept_count = kept != NULL,
						.found = found,
						.on_gap = on_gap,
						.context = log};
	struct error err;

	trusted = key ? (struct audit_trusted){*key, log->trusted_from}
		      : (struct audit_trusted){.from = 0};
	log->found_count = log->gaps = 0;
	assert_int_equal(audit_check_open(check, &settings, &err), ST_OK);
	check->is_part = log->is_part;
	for (size_t i = log->from; i < log->count; i++) {
		struct span line = {log->lines[i], strlen(log->lines[i])};

		assert_int_equal(audit_check_line(check, line, NULL,
						  i == 0 || log->starts[i], true, &err),
				 ST_OK);
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

/* ---- files ---- */

/* Lines 0 to 9, 10 to 13, 14 on; the key of each is in `keys`. */
static void log_open_files(struct log *log, struct audit_key keys[3])
{
	log_open(log);
	keys[0] = log->key;
	add_turn(log, NULL);
	keys[1] = log->key;
	add(log, "\"txn\":5,\"op\":\"insert\"");
	add_turn(log, NULL);
	keys[2] = log->key;
	add(log, "\"txn\":6,\"op\":\"insert\"");
	add_head(log);
}

static void test_each_file_has_a_key_that_was_handed_over(void **state)
{
	struct audit_key keys[3];
	struct audit_check check;
	struct log log;

	(void)state;
	log_open_files(&log, keys);
	check_log(&log, &keys[0], NULL, &check);
	assert_int_equal(log.found_count, 0);
	assert_int_equal(check.files, 3);
	assert_int_equal(check.tree.count, log.count);
	assert_true(audit_key_is(&check.key, &keys[2]));
	check_log(&log, &keys[2], NULL, &check); /* it says nothing of those before */
	assert_int_equal(log.found_count, 1);
	expect_found(&log, 0, AUDIT_OTHER_KEY, 0, 0);
	log_close(&log);
}

static void test_a_key_of_a_file_that_another_one_hands_over_to(void **state)
{
	struct audit_key thief;
	struct audit_check check;
	struct error err;
	struct log log;

	(void)state;
	log_open(&log);
	assert_int_equal(audit_key_make("a/log", &thief, &err), ST_OK);
	add_turn(&log, &thief);
	check_log(&log, NULL, NULL, &check);
	assert_int_equal(log.found_count, 1);
	expect_found(&log, 0, AUDIT_OTHER_KEY, 11, 11);
	check_log(&log, &log.key, NULL,
		  &check); /* it is trusted, and the first is not */
	assert_int_equal(log.found_count, 1);
	expect_found(&log, 0, AUDIT_OTHER_KEY, 0, 0);
	/* Without a word of any. */
	log.lines[11][strlen("{\"n\":11," TIME ",\"op\":\"k")] = 'x';
	check_log(&log, NULL, NULL, &check);
	expect_found(&log, 0, AUDIT_OTHER_KEY, 11, 11);
	log_close(&log);
}

static void test_files_that_are_missing(void **state)
{
	struct audit_key keys[3];
	struct audit_check check;
	struct log log;

	(void)state;
	log_open_files(&log, keys);
	log.from = 10;
	check_log(&log, NULL, NULL, &check);
	assert_int_equal(log.found_count, 1);
	expect_found(&log, 0, AUDIT_MISSING, 0, 9);
	check_log(&log, &keys[0], NULL,
		  &check); /* it signs the hand-over that is there */
	assert_int_equal(log.found_count, 1);
	log.is_part = true;
	check_log(&log, NULL, NULL, &check);
	assert_int_equal(log.found_count, 0);
	assert_int_equal(check.begin, 10);
	log.is_part = false;
	/* The log says that they went: once that is signed. */
	add(&log, "\"op\":\"retention\",\"first\":0,\"last\":9");
	check_log(&log, NULL, NULL, &check);
	assert_int_equal(log.found_count, 1);
	add_head(&log);
	check_log(&log, NULL, NULL, &check);
	assert_int_equal(log.found_count, 0);
	log.from = 0;
	for (size_t i = 10; i < 14; i++) {
		free(log.lines[i]);
	}
	memmove(log.lines + 10, log.lines + 14, (log.count - 14) * sizeof *log.lines);
	memmove(log.starts + 10, log.starts + 14, log.count - 14);
	log.count -= 4; /* the second one */
	check_log(&log, NULL, NULL, &check);
	expect_found(&log, 0, AUDIT_MISSING, 10, 13);
	expect_found(&log, 1, AUDIT_OTHER_KEY, 15, 15);
	assert_int_equal(log.found_count, 2);
	log_close(&log);
}

static void test_each_byte_of_a_files_beginning_counts(void **state)
{
	struct audit_key keys[3];
	struct audit_check check;
	struct log log;

	(void)state;
	log_open_files(&log, keys);
	for (size_t i = 8; i < 12; i++) { /* with the last head of the file before */
		for (size_t at = 0; at < strlen(log.lines[i]); at++) {
			log.lines[i][at] ^= 1;
			check_log(&log, &keys[0], NULL, &check);
			if (log.found_count == 0) {
				fail_msg("line %zu, byte %zu", i, at);
			}
			log.lines[i][at] ^= 1;
		}
	}
	log_close(&log);
}

/* A file of its first line alone vouches for nobody: else its key could for the next.
 */
static void test_a_key_that_nobody_judged_hands_over_to_none(void **state)
{
	struct audit_key first;
	struct audit_check check;
	struct log log;

	(void)state;
	log_open(&log);
	first = log.key;
	add_turn(&log, NULL); /* lines 10 to 12 */
	free(log.lines[11]);
	free(log.lines[12]);
	log.count = 11;
	log.tree = (struct audit_tree){0};
	for (size_t i = 0; i < log.count; i++) {
		audit_tree_add(&log.tree, &log.hasher, log.lines[i],
			       strlen(log.lines[i]));
	}
	check_log(&log, &first, NULL, &check); /* as a kill may leave it */
	assert_int_equal(log.found_count, 0);
	add_turn(&log, NULL);
	check_log(&log, &first, NULL, &check);
	assert_int_equal(log.found_count, 1);
	expect_found(&log, 0, AUDIT_OTHER_KEY, 11, 11);
	log_close(&log);
}

/* Today's key says nothing of older files. */
static void test_a_key_is_trusted_from_a_line_on(void **state)
{
	struct audit_key keys[3];
	struct audit_check check;
	struct log log;

	(void)state;
	log_open_files(&log, keys);
	log.from = 14;
	log.is_part = true;
	log.trusted_from = 14;
	check_log(&log, &keys[2], NULL, &check);
	assert_int_equal(log.found_count, 0);
	log.trusted_from = 15;
	check_log(&log, &keys[2], NULL, &check);
	assert_true(log.found_count > 0);
	assert_int_equal(log.found[0].finding, AUDIT_OTHER_KEY);
	log.trusted_from = 15; /* and hands over to nothing before that */
	check_log(&log, &keys[1], NULL, &check);
	assert_true(log.found_count > 0);
	log.trusted_from = 14;
	check_log(&log, &keys[1], NULL, &check);
	assert_int_equal(log.found_count, 0);
	log_close(&log);
}

/* ---- redactions ---- */

static void take_out(struct log *log, size_t n)
{
	struct audit_hash leaf;
	struct buffer line;

	audit_leaf_begin(&log->hasher);
	audit_leaf_more(&log->hasher, log->lines[n], strlen(log->lines[n]));
	leaf = audit_leaf_end(&log->hasher);
	buffer_init(&line);
	buffer_add_str(&line, "{\"n\":");
	buffer_add_u64(&line, n);
	buffer_add_str(&line, ",\"op\":\"redacted\",\"leaf\":\"");
	audit_base64_add(&line, leaf.bytes, sizeof leaf.bytes);
	buffer_add(&line, "\"}", 3);
	free(log->lines[n]);
	log->lines[n] = line.bytes;
}

static void test_lines_that_were_taken_out(void **state)
{
	struct audit_check check;
	struct log log;

	(void)state;
	log_open(&log);
	take_out(&log, 2);
	take_out(&log, 3);
	take_out(&log, 6);
	check_log(&log, &log.key, NULL, &check);
	assert_int_equal(log.found_count, 2);
	expect_found(&log, 0, AUDIT_TAKEN_OUT, 2, 3);
	expect_found(&log, 1, AUDIT_TAKEN_OUT, 6, 6);
	assert_int_equal(check.redacted_lines, 3);
	add(&log, "\"op\":\"redaction\",\"lines\":[[6,7],[3,3]]");
	check_log(&log, &log.key, NULL, &check); /* nobody signed that */
	assert_int_equal(log.found_count, 2);
	add_head(&log);
	check_log(&log, &log.key, NULL, &check);
	assert_int_equal(log.found_count, 1);
	expect_found(&log, 0, AUDIT_TAKEN_OUT, 2, 2);
	add(&log, "\"op\":\"redaction\",\"lines\":[[0,2]]");
	add_head(&log);
	check_log(&log, &log.key, NULL, &check);
	assert_int_equal(log.found_count, 0);
	assert_int_equal(check.redactions, 2);
	/* Another hash in its place. */
	log.lines[6][strlen("{\"n\":6,\"op\":\"redacted\",\"leaf\":\"")] ^= 2;
	check_log(&log, &log.key, NULL, &check);
	assert_true(log.found_count > 0);
	assert_int_equal(log.found[0].finding, AUDIT_ALTERED);
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
	    cmocka_unit_test(test_each_file_has_a_key_that_was_handed_over),
	    cmocka_unit_test(test_a_key_of_a_file_that_another_one_hands_over_to),
	    cmocka_unit_test(test_files_that_are_missing),
	    cmocka_unit_test(test_each_byte_of_a_files_beginning_counts),
	    cmocka_unit_test(test_a_key_that_nobody_judged_hands_over_to_none),
	    cmocka_unit_test(test_a_key_is_trusted_from_a_line_on),
	    cmocka_unit_test(test_lines_that_were_taken_out),
	    cmocka_unit_test(test_a_line_of_any_length_has_its_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
