/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/state/snapshot_file.h"

#define FOREVER UINT64_MAX

static const struct snapshot_moment end = {FOREVER, FOREVER};
static const struct snapshot_moment beginning = {0, 0};

struct fixture {
	char folder[64];
	char path[100];
	int dir_fd;
	struct snapshot_file *file;
	struct snapshot_found found;
};

static void check(enum status status, const struct error *err)
{
	if (status != ST_OK) {
		fail_msg("%s", err->text);
	}
}

/* ---- a folder with a file in it ---- */

static void open_file(struct fixture *f)
{
	struct error err;

	check(snapshot_file_open(f->dir_fd, &f->file, &err), &err);
}

static void open_again(struct fixture *f)
{
	snapshot_file_close(f->file);
	open_file(f);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	(void)snprintf(f->folder, sizeof f->folder, "/tmp/rowtail-snapshots-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->path, sizeof f->path, "%s/snapshots", f->folder);
	f->dir_fd = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->dir_fd >= 0);
	snapshot_found_init(&f->found);
	open_file(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	snapshot_found_clear(&f->found);
	snapshot_file_close(f->file);
	(void)unlinkat(f->dir_fd, "snapshots", 0);
	(void)unlinkat(f->dir_fd, "snapshots.new", 0);
	(void)close(f->dir_fd);
	assert_int_equal(rmdir(f->folder), 0);
	free(f);
	return 0;
}

static struct snapshot_moment at(uint64_t lsn, uint64_t chunks)
{
	return (struct snapshot_moment){lsn, chunks};
}

/* What holds from there on; NULL: a chunk is begun. */
static void put_with(const struct fixture *f, struct snapshot_moment moment,
		     const char *text, bool is_new, struct snapshot_moment least)
{
	struct span span = {text, text ? strlen(text) : 0};
	struct error err;

	check(snapshot_file_put(f->file, moment, span, is_new, least, &err), &err);
}

static void put(const struct fixture *f, uint64_t lsn, uint64_t chunks,
		const char *text)
{
	put_with(f, at(lsn, chunks), text, false, beginning);
}

static void put_new(const struct fixture *f, uint64_t lsn, uint64_t chunks,
		    const char *text)
{
	put_with(f, at(lsn, chunks), text, true, beginning);
}

static void find(struct fixture *f, struct snapshot_moment moment, bool keeps_later)
{
	struct error err;

	check(snapshot_file_find(f->file, moment, keeps_later, &f->found, &err), &err);
}

/* That text holds at the moment; NULL: nothing does. */
static void assert_holds(struct fixture *f, struct snapshot_moment moment,
			 const char *text)
{
	find(f, moment, true);
	assert_int_equal(f->found.is_found, text != NULL);
	if (text) {
		assert_int_equal(f->found.text.len, strlen(text));
		assert_memory_equal(f->found.text.bytes, text, strlen(text));
	}
}

static void assert_begun(const struct fixture *f, size_t count, const uint64_t *lsns)
{
	assert_int_equal(f->found.begun.len, count * sizeof *lsns);
	if (count > 0) {
		assert_memory_equal(f->found.begun.bytes, lsns, count * sizeof *lsns);
	}
}

static off_t size_of(const struct fixture *f)
{
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	return st.st_size;
}

/* ---- what holds when ---- */

static void test_nothing_was_asked_for(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_holds(f, beginning, NULL);
	assert_holds(f, end, NULL);
	check(snapshot_file_sync(f->file, &err), &err);
	check(snapshot_file_forget(f->file, &err), &err);
	assert_int_equal(access(f->path, F_OK), -1); /* and no file is made */
}

static void test_the_last_record_that_is_not_after_the_moment(void **state)
{
	struct fixture *f = *state;

	put_new(f, 10, 0, "a");
	put(f, 10, 1, "b");
	put(f, 12, 2, "c");
	put(f, 20, 2, "d");
	for (int round = 0; round < 2; round++) {
		assert_holds(f, at(9, 0), NULL);
		assert_holds(f, at(10, 0), "a");
		assert_holds(f, at(11, 0), "a");
		assert_holds(f, at(10, 1), "b");
		assert_holds(f, at(11, 1), "b");
		assert_holds(f, at(12, 1), "b"); /* not all chunks of "c" */
		assert_holds(f, at(11, 2), "b"); /* nor its transactions */
		assert_holds(f, at(12, 2), "c");
		assert_holds(f, at(19, 2), "c");
		assert_holds(f, at(20, 2), "d");
		assert_holds(f, end, "d");
		open_again(f);
	}
	assert_holds(f, at(12, 7), "c");
	assert_int_equal(f->found.at.lsn, 12);
	assert_int_equal(f->found.at.chunks, 2);
}

static void test_of_two_at_one_moment_the_last_counts(void **state)
{
	struct fixture *f = *state;

	put_new(f, 10, 0, "first");
	put_new(f, 10, 0, "second");
	assert_holds(f, at(10, 0), "second");
	put_new(f, 10, 0, "");
	assert_holds(f, at(10, 0), "");
	open_again(f);
	assert_holds(f, at(10, 0), "");
}

static void test_texts_are_bytes(void **state)
{
	struct fixture *f = *state;
	const char bytes[] = "\0\xff\n\"RTSS\0";
	struct error err;

	check(snapshot_file_put(f->file, at(1, 1), (struct span){bytes, sizeof bytes},
				true, beginning, &err),
	      &err);
	open_again(f);
	find(f, end, true);
	assert_int_equal(f->found.text.len, sizeof bytes);
	assert_memory_equal(f->found.text.bytes, bytes, sizeof bytes);
}

/* ---- chunks that were begun ---- */

static void put_two_chunks(struct fixture *f)
{
	put_new(f, 10, 0, "a");
	put(f, 10, 1, NULL);
	put(f, 10, 1, "b");
	put(f, 14, 2, NULL);
	put(f, 14, 2, "c");
	put(f, 15, 3, NULL);
}

static void test_chunks_that_were_begun_behind_the_moment(void **state)
{
	struct fixture *f = *state;
	const uint64_t lsns[] = {10, 14, 15};

	put_two_chunks(f);
	open_again(f);
	assert_holds(f, at(10, 0), "a");
	assert_begun(f, 3, lsns);
	assert_holds(f, at(10, 1), "b");
	assert_begun(f, 2, lsns + 1);
	assert_holds(f, at(13, 1), "b");
	assert_begun(f, 2, lsns + 1);
	assert_holds(f, at(14, 1), "b"); /* the transaction before it alone */
	assert_begun(f, 2, lsns + 1);
	assert_holds(f, at(13, 2), "b"); /* the chunk alone */
	assert_begun(f, 1, lsns + 2);
	assert_holds(f, at(14, 2), "c");
	assert_begun(f, 1, lsns + 2);
	assert_holds(f, at(30, 3), "c");
	assert_begun(f, 0, NULL);
}

static void test_without_later_ones_they_are_cut(void **state)
{
	struct fixture *f = *state;
	off_t size;

	put_two_chunks(f);
	size = size_of(f);
	open_again(f);
	find(f, at(10, 1), false);
	assert_int_equal(f->found.text.len, 1);
	assert_int_equal(f->found.text.bytes[0], 'b');
	assert_begun(f, 0, NULL);
	assert_true(size_of(f) < size);
	open_again(f);
	assert_holds(f, end, "b");
	assert_begun(f, 0, NULL);
	/* And others come behind. */
	put(f, 11, 2, "other");
	open_again(f);
	assert_holds(f, end, "other");
	assert_holds(f, at(11, 1), "b");
}

/* ---- what is done again ---- */

static void test_what_is_there_is_not_written_twice(void **state)
{
	struct fixture *f = *state;
	const uint64_t lsns[] = {14, 15};
	off_t size;

	put_two_chunks(f);
	size = size_of(f);
	open_again(f);
	assert_holds(f, at(10, 0), "a");
	put(f, 10, 1, "b");
	put(f, 14, 2, "c");
	assert_int_equal(size_of(f), size);
	/* Behind the last of them it goes on. */
	put(f, 15, 3, "d");
	assert_true(size_of(f) > size);
	open_again(f);
	assert_holds(f, end, "d");
	assert_holds(f, at(10, 1), "b");
	assert_begun(f, 2, lsns);
}

static void test_one_that_is_new_ends_what_was_done_behind_it(void **state)
{
	struct fixture *f = *state;

	put_two_chunks(f);
	open_again(f);
	assert_holds(f, at(10, 1), "b");
	put_new(f, 12, 1, "new");
	assert_holds(f, end, "new");
	assert_begun(f, 0, NULL);
	open_again(f);
	assert_holds(f, end, "new");
	assert_begun(f, 0, NULL);
	assert_holds(f, at(14, 2), "new");
	assert_holds(f, at(12, 1), "new");
	assert_begun(f, 0, NULL);
	assert_holds(f, at(11, 1), "b");
	/* Nothing is behind it any more, so this is not there already. */
	put(f, 13, 2, "e");
	assert_holds(f, end, "e");
}

static void test_one_that_is_new_cuts_a_chunk_that_was_begun_behind_it(void **state)
{
	struct fixture *f = *state;
	const uint64_t lsns[] = {10, 14};

	put_two_chunks(f);
	put_new(f, 15, 2, "new");
	assert_holds(f, end, "new");
	assert_holds(f, at(10, 0), "a");
	assert_begun(f, 2, lsns);
}

/* ---- damage ---- */

static void write_part(const struct fixture *f, const char *bytes, size_t len)
{
	int fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	(void)close(fd);
}

static size_t read_all(const struct fixture *f, char *bytes, size_t most)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, bytes, most);

	assert_true(len > 0 && (size_t)len < most);
	(void)close(fd);
	return (size_t)len;
}

/* The last record is torn: the one before it holds, and what is put next is found. */
static void assert_torn(struct fixture *f, off_t kept)
{
	open_again(f);
	assert_holds(f, end, "two");
	assert_int_equal(size_of(f), kept);
	put(f, 30, 2, "three, once more");
	open_again(f);
	assert_holds(f, end, "three, once more");
	assert_holds(f, at(29, 2), "two");
}

static void test_a_tail_that_is_torn_at_every_byte(void **state)
{
	struct fixture *f = *state;
	char bytes[1000];
	off_t kept;
	size_t len;

	put_new(f, 10, 0, "one");
	put(f, 20, 1, "two");
	kept = size_of(f);
	put(f, 30, 2, "three");
	len = read_all(f, bytes, sizeof bytes);
	for (size_t part = (size_t)kept; part < len; part++) {
		write_part(f, bytes, part);
		assert_torn(f, kept);
	}
	for (size_t i = (size_t)kept; i < len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			bytes[i] = (char)(bytes[i] ^ 1 << bit);
			write_part(f, bytes, len);
			assert_torn(f, kept);
			bytes[i] = (char)(bytes[i] ^ 1 << bit);
		}
	}
	write_part(f, bytes, len);
	open_again(f);
	assert_holds(f, end, "three");
}

static void test_a_file_of_other_bytes_is_none(void **state)
{
	struct fixture *f = *state;
	char bytes[3000];

	for (int byte = 0; byte < 256; byte += 51) {
		memset(bytes, byte, sizeof bytes);
		for (size_t len = 0; len < sizeof bytes; len += 71) {
			write_part(f, bytes, len);
			open_again(f);
			assert_holds(f, end, NULL);
			assert_int_equal(size_of(f), 0);
		}
	}
	/* A right beginning, and a length that the file does not have. */
	memset(bytes, 0, sizeof bytes);
	for (uint32_t len = UINT32_MAX; len > 2; len /= 3) {
		memcpy(bytes, "RTSS", 4);
		memcpy(bytes + 4, &len, sizeof len);
		write_part(f, bytes, sizeof bytes);
		open_again(f);
		assert_holds(f, end, NULL);
	}
}

static void test_what_is_no_file_of_ours_is_not_opened(void **state)
{
	struct fixture *f = *state;
	struct snapshot_file *file = NULL;
	struct error err;

	assert_int_equal(symlink("elsewhere", f->path), 0);
	assert_int_equal(snapshot_file_open(f->dir_fd, &file, &err), ST_IO);
	assert_non_null(strstr(err.text, "snapshots"));
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(mkdir(f->path, 0700), 0);
	assert_int_equal(snapshot_file_open(f->dir_fd, &file, &err), ST_IO);
	assert_int_equal(rmdir(f->path), 0);
	assert_int_equal(mkfifo(f->path, 0600), 0);
	if (snapshot_file_open(f->dir_fd, &file, &err) ==
	    ST_OK) { /* nor does it wait */
		assert_int_not_equal(
		    snapshot_file_find(file, end, true, &f->found, &err), ST_OK);
		snapshot_file_close(file);
	}
}

/* ---- its length ---- */

static char *long_text(size_t len, unsigned number)
{
	char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, 'x', len);
	(void)snprintf(text, 20, "%019u", number);
	text[19] = 'x';
	text[len] = '\0';
	return text;
}

#define TEXT_BYTES 40000

/* As a later run will see it. */
static void assert_kept(struct fixture *f, unsigned number)
{
	struct snapshot_file *writing = f->file;
	char *text = long_text(TEXT_BYTES, number);

	open_file(f);
	assert_holds(f, at(number, number), text);
	snapshot_file_close(f->file);
	f->file = writing;
	free(text);
}

static void test_what_no_position_needs_goes(void **state)
{
	struct fixture *f = *state;
	off_t most = 0;

	for (unsigned i = 1; i <= 200; i++) {
		char *text = long_text(TEXT_BYTES, i);
		/* Five of them may still be asked for. */
		struct snapshot_moment least = i > 5 ? at(i - 5, i - 5) : beginning;

		put_with(f, at(i, i), NULL, false, least);
		put_with(f, at(i, i), text, false, least);
		most = size_of(f) > most ? size_of(f) : most;
		assert_kept(f, i > 5 ? i - 5 : 1);
		free(text);
	}
	assert_true(most < 2 << 20);
	assert_int_equal(access(f->path, F_OK), 0);
	for (unsigned i = 195; i <= 200; i++) {
		char *text = long_text(TEXT_BYTES, i);

		if (i % 2 == 0) {
			open_again(f);
		}
		assert_holds(f, at(i, i), text);
		assert_int_equal(f->found.begun.len, (200 - i) * sizeof(uint64_t));
		free(text);
	}
	assert_int_equal(faccessat(f->dir_fd, "snapshots.new", F_OK, 0), -1);
}

static void test_what_a_position_needs_stays(void **state)
{
	struct fixture *f = *state;

	put_new(f, 1, 0, "the first");
	for (unsigned i = 1; i <= 60; i++) {
		char *text = long_text(TEXT_BYTES, i);

		put_with(f, at(i, i), text, false, at(1, 0));
		free(text);
	}
	assert_true(size_of(f) > (off_t)60 * TEXT_BYTES);
	open_again(f);
	assert_holds(f, at(1, 0), "the first");
}

static void test_forgetting(void **state)
{
	struct fixture *f = *state;
	struct error err;

	put_two_chunks(f);
	check(snapshot_file_forget(f->file, &err), &err);
	assert_int_equal(size_of(f), 0);
	put_new(f, 1, 0, "anew");
	check(snapshot_file_sync(f->file, &err), &err);
	open_again(f);
	assert_holds(f, end, "anew");
	assert_holds(f, at(0, 0), NULL);
}

static void test_the_file_is_for_its_user_alone(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	put_new(f, 1, 0, "a");
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_nothing_was_asked_for),
	    TEST(test_the_last_record_that_is_not_after_the_moment),
	    TEST(test_of_two_at_one_moment_the_last_counts),
	    TEST(test_texts_are_bytes),
	    TEST(test_chunks_that_were_begun_behind_the_moment),
	    TEST(test_without_later_ones_they_are_cut),
	    TEST(test_what_is_there_is_not_written_twice),
	    TEST(test_one_that_is_new_ends_what_was_done_behind_it),
	    TEST(test_one_that_is_new_cuts_a_chunk_that_was_begun_behind_it),
	    TEST(test_a_tail_that_is_torn_at_every_byte),
	    TEST(test_a_file_of_other_bytes_is_none),
	    TEST(test_what_is_no_file_of_ours_is_not_opened),
	    TEST(test_what_no_position_needs_goes),
	    TEST(test_what_a_position_needs_stays),
	    TEST(test_forgetting),
	    TEST(test_the_file_is_for_its_user_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
