/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/archive/outbox.h"
#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/storage/fd_file.h"
#include "tests/lib/ltx_file.h"

#define PAGE  512u
#define PAGES 40u /* of a database of these tests, at most */
#define BASE  2u  /* TXID of the state that the archive has */

/* A database: of each page the byte that fills it. */
struct content {
	uint32_t page_count;
	uint8_t fills[PAGES + 1];
};

struct place {
	char folder[64];
	int fd;
	struct outbox *outbox;
	uint64_t txid; /* of the last file */
	struct content now;
	struct content kept[1000]; /* by TXID */
	uint32_t random;
	struct error err;
};

/* ---- the place ---- */

static void open_again(struct place *p)
{
	outbox_close(p->outbox);
	p->outbox = NULL;
	if (outbox_open(p->fd, p->folder, &p->outbox, &p->err) != ST_OK) {
		fail_msg("%s", p->err.text);
	}
}

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof *p);
	const char *tmp = getenv("TMPDIR");

	assert_non_null(p);
	(void)snprintf(p->folder, sizeof p->folder, "/tmp/rowtail-test-XXXXXX");
	if (tmp && strlen(tmp) < 30) {
		(void)snprintf(p->folder, sizeof p->folder, "%s/rowtail-test-XXXXXX",
			       tmp);
	}
	assert_non_null(mkdtemp(p->folder));
	p->fd = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->fd >= 0);
	p->random = 1;
	p->txid = BASE;
	p->now.page_count = 8;
	p->kept[BASE] = p->now;
	open_again(p);
	*state = p;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *walk)
{
	(void)st;
	(void)flag;
	(void)walk;
	return remove(path);
}

static int teardown(void **state)
{
	struct place *p = *state;

	outbox_close(p->outbox);
	(void)close(p->fd);
	(void)nftw(p->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(p);
	return 0;
}

static bool never(void *context)
{
	(void)context;
	return false;
}

static bool always(void *context)
{
	(void)context;
	return true;
}

static struct outbox_content look(struct place *p)
{
	struct outbox_content content;

	outbox_look(p->outbox, &content);
	return content;
}

/* ---- files ---- */

static void keep(struct place *p, const struct ltx_spec *spec)
{
	struct archive_file file = {.level = spec->level,
				    .min_txid = spec->min_txid,
				    .max_txid = spec->max_txid,
				    .time_ns = (int64_t)spec->max_txid * NS_PER_S};
	struct ltx_file made;
	const char *path;
	int fd;

	ltx_file_make(&made, spec);
	file.size = made.bytes.len;
	assert_int_equal(outbox_create(p->outbox, &fd, &path, &p->err), ST_OK);
	assert_true(file_write_at(fd, made.bytes.bytes, made.bytes.len, 0));
	assert_int_equal(outbox_keep(p->outbox, &file, fd, spec->page_size, &p->err),
			 ST_OK);
	(void)close(fd);
	ltx_file_clear(&made);
}

static uint32_t draw(struct place *p, uint32_t below)
{
	p->random = p->random * 1664525u + 1013904223u;
	return (p->random >> 8) % below;
}

/* A transaction: some pages change, the database may shrink or grow. What it gains is
 * in the file. `is_whole`: all of it is. */
static void commit(struct place *p, bool is_whole)
{
	struct ltx_fill fills[PAGES + 1];
	uint32_t before = p->now.page_count;
	size_t count = 0;

	if (draw(p, 3) == 0) {
		p->now.page_count = 1 + draw(p, PAGES);
	}
	for (uint32_t n = 1; n <= p->now.page_count; n++) {
		bool changes = draw(p, 6) == 0;

		if (n > before || changes) {
			p->now.fills[n] = (uint8_t)draw(p, 256);
		}
		if (n > before || changes || is_whole || n == 1) {
			fills[count++] =
			    (struct ltx_fill){.page_no = n, .fill = p->now.fills[n]};
		}
	}
	fills[count] = (struct ltx_fill){0};
	keep(p, &(struct ltx_spec){.level = is_whole ? ARCHIVE_SNAPSHOT_LEVEL : 0,
				   .min_txid = is_whole ? 1 : p->txid + 1,
				   .max_txid = p->txid + 1,
				   .page_size = PAGE,
				   .page_count = p->now.page_count,
				   .pages = fills});
	p->txid++;
	p->kept[p->txid] = p->now;
}

/* Put the pages of the first file that waits into `content`. */
static void apply(struct place *p, const struct archive_file *file,
		  struct content *content)
{
	struct ltx_reader *reader = NULL;
	struct ltx_page page;
	struct fd_file opened;
	enum status status;
	int fd;

	assert_int_equal(outbox_read(p->outbox, file, &fd, &p->err), ST_OK);
	fd_file_init(&opened, fd, file->size, "a file that waits");
	assert_int_equal(ltx_reader_open(&opened.base, file, &reader, &p->err), ST_OK);
	while ((status = ltx_reader_next(reader, &page, &p->err)) == ST_OK) {
		for (size_t i = 1; i < PAGE; i++) {
			assert_int_equal(page.bytes[i], page.bytes[0]);
		}
		content->fills[page.page_no] = page.bytes[0];
	}
	if (status != ST_END) {
		fail_msg("%s", p->err.text);
	}
	content->page_count = ltx_reader_header(reader)->page_count;
	ltx_reader_close(reader);
	(void)close(fd);
}

/* All that waits, in order, leads to the states that it names. How many there are. */
static size_t take_all(struct place *p)
{
	struct content content = p->kept[BASE];
	struct archive_file file;
	uint64_t txid = BASE;
	size_t count = 0;

	while (outbox_first(p->outbox, &file)) {
		assert_true(file.min_txid <= txid + 1 && file.max_txid > txid);
		assert_int_equal(file.time_ns, (int64_t)file.max_txid * NS_PER_S);
		apply(p, &file, &content);
		txid = file.max_txid;
		assert_int_equal(content.page_count, p->kept[txid].page_count);
		assert_memory_equal(content.fills + 1, p->kept[txid].fills + 1,
				    content.page_count);
		assert_int_equal(outbox_done(p->outbox, &file, &p->err), ST_OK);
		count++;
	}
	assert_int_equal(txid, p->txid);
	return count;
}

/* ---- tests ---- */

static void test_files_come_out_in_order_over_runs(void **state)
{
	struct place *p = *state;
	struct archive_file file;
	struct outbox_content content;

	for (int i = 0; i < 3; i++) {
		commit(p, false);
	}
	assert_true(outbox_first(p->outbox, &file));
	assert_int_equal(file.max_txid, BASE + 1);
	assert_int_equal(outbox_done(p->outbox, &file, &p->err), ST_OK);
	open_again(p);
	content = look(p);
	assert_int_equal(content.count, 2);
	assert_int_equal(content.done_txid, BASE + 1);
	assert_int_equal(content.min_txid, BASE + 2);
	assert_int_equal(content.max_txid, BASE + 3);
	assert_int_equal(content.time_ns, (BASE + 3) * NS_PER_S);
	assert_int_equal(content.page_size, PAGE);
	while (outbox_first(p->outbox, &file)) {
		assert_int_equal(outbox_done(p->outbox, &file, &p->err), ST_OK);
	}
	open_again(p);
	content = look(p);
	assert_int_equal(content.count, 0);
	assert_int_equal(content.done_txid, BASE + 3);
	assert_int_equal(content.time_ns, (BASE + 3) * NS_PER_S);
}

static void test_a_writer_is_drawn_once(void **state)
{
	struct place *p = *state;
	char writer[OUTBOX_WRITER_BYTES];

	(void)snprintf(writer, sizeof writer, "%s", outbox_writer(p->outbox));
	assert_int_equal(strlen(writer), OUTBOX_WRITER_BYTES - 1);
	open_again(p);
	assert_string_equal(outbox_writer(p->outbox), writer);
}

static void test_what_waits_stays_within_its_bound(void **state)
{
	struct place *p = *state;
	size_t merges = 0;
	size_t with_newest = 0; /* that left the newest as they were */

	for (int i = 0; i < 250; i++) {
		uint64_t database;
		size_t before;

		commit(p, false);
		before = look(p).count;
		if (outbox_bound(p->outbox, 0, never, NULL, &p->err) != ST_OK) {
			fail_msg("%s", p->err.text);
		}
		merges += look(p).count < before;
		with_newest += look(p).count < before && look(p).count > 1;
		database = (uint64_t)p->now.page_count * PAGE;
		/* Pages of one byte become small; a head and a frame do not. */
		assert_true(look(p).bytes <= database + database / 4 ||
			    look(p).count == 1 || database < 4096);
		if (i % 50 == 25) {
			open_again(p);
		}
	}
	assert_true(merges > 3 && with_newest > 0);
	assert_true(take_all(p) < 250);
}

static void test_small_files_are_left_as_they_are(void **state)
{
	struct place *p = *state;
	const struct ltx_fill fill[] = {{1, 7}, {0, 0}};

	for (uint64_t i = 0; i < 5; i++) {
		keep(p, &(struct ltx_spec){.min_txid = ++p->txid,
					   .max_txid = p->txid,
					   .page_size = PAGE,
					   .page_count = 1000,
					   .pages = fill});
	}
	assert_int_equal(outbox_bound(p->outbox, 0, never, NULL, &p->err), ST_OK);
	assert_int_equal(look(p).count, 5);
}

static void test_a_whole_database_is_merged_with_what_follows_only(void **state)
{
	struct place *p = *state;
	struct archive_file file;
	struct archive_file first;
	size_t before = 0;

	for (int i = 0; i < 300; i++) {
		commit(p, i == 150);
	}
	assert_int_equal(outbox_bound(p->outbox, 1 << 20, never, NULL, &p->err), ST_OK);
	assert_int_equal(look(p).count, 300);
	assert_int_equal(outbox_bound(p->outbox, 0, never, NULL, &p->err), ST_OK);
	assert_true(outbox_first(p->outbox, &first));
	assert_int_equal(first.level, 0);
	assert_true(first.max_txid <= BASE + 150);
	assert_int_equal(outbox_done(p->outbox, &first, &p->err), ST_OK);
	while (outbox_first(p->outbox, &file) && file.level == 0) {
		assert_true(++before < 20);
		assert_true(file.max_txid <= BASE + 150);
		assert_int_equal(outbox_done(p->outbox, &file, &p->err), ST_OK);
	}
	assert_int_equal(file.level, ARCHIVE_SNAPSHOT_LEVEL);
	assert_int_equal(file.min_txid, 1);
	assert_true(file.max_txid > BASE + 151);
	assert_true(take_all(p) > 0);
}

static void test_a_stop_leaves_all_as_it_is(void **state)
{
	struct place *p = *state;
	size_t before;

	for (int i = 0; i < 300; i++) {
		commit(p, false);
	}
	before = look(p).count;
	assert_int_equal(outbox_bound(p->outbox, 0, always, NULL, &p->err), ST_STOPPED);
	assert_int_equal(look(p).count, before);
	assert_int_equal(take_all(p), 300);
}

static void test_what_a_killed_merge_left_goes(void **state)
{
	struct place *p = *state;
	const struct ltx_fill fill[] = {{1, 7}, {0, 0}};
	const uint64_t ranges[][2] = {{3, 3}, {4, 6}, {7, 7}, {3, 7}, {8, 9}};
	struct archive_file file;

	for (size_t i = 0; i < 5; i++) {
		keep(p, &(struct ltx_spec){.min_txid = ranges[i][0],
					   .max_txid = ranges[i][1],
					   .page_size = PAGE,
					   .page_count = 1,
					   .pages = fill});
	}
	open_again(p);
	assert_int_equal(look(p).count, 2);
	assert_true(outbox_first(p->outbox, &file));
	assert_int_equal(file.min_txid, 3);
	assert_int_equal(file.max_txid, 7);
	open_again(p);
	assert_int_equal(look(p).count, 2);
}

static void test_the_first_reason_stays_until_the_archive_is_back(void **state)
{
	struct place *p = *state;
	struct outbox_content content;
	struct last_error away;

	outbox_away(p->outbox, "the first");
	outbox_away(p->outbox, "another");
	open_again(p);
	assert_true(outbox_peek(p->fd, &content, &away));
	assert_string_equal(away.text, "the first");
	outbox_back(p->outbox);
	assert_true(outbox_peek(p->fd, &content, &away));
	assert_string_equal(away.time, "");
}

static void test_others_see_what_waits(void **state)
{
	struct place *p = *state;
	struct outbox_content content;
	struct last_error away;

	commit(p, false);
	commit(p, true);
	assert_true(outbox_peek(p->fd, &content, &away));
	assert_int_equal(content.count, 2);
	assert_int_equal(content.bytes, look(p).bytes);
	assert_int_equal(outbox_drop(p->outbox, &p->err), ST_OK);
	assert_true(outbox_peek(p->fd, &content, &away));
	assert_int_equal(content.count, 0);
	assert_int_equal(look(p).count, 0);
}

/* ---- marks ---- */

static void make_mark(const struct place *p, unsigned txid)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof path, "%s/" OUTBOX_FOLDER "/%016x-%u.done",
		       p->folder, txid, PAGE);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
}

static int count_marks(const struct place *p)
{
	char path[128];
	const struct dirent *entry;
	int count = 0;
	DIR *folder;

	(void)snprintf(path, sizeof path, "%s/" OUTBOX_FOLDER, p->folder);
	folder = opendir(path);
	assert_non_null(folder);
	while ((entry = readdir(folder)) != NULL) {
		count += strstr(entry->d_name, ".done") != NULL;
	}
	(void)closedir(folder);
	return count;
}

/* In whichever order the file system lists them: so many that some come behind a newer
 * one, and some before. */
static void make_old_marks(const struct place *p)
{
	for (unsigned txid = 1; txid <= 100; txid++) {
		make_mark(p, txid);
	}
	assert_true(count_marks(p) >= 100);
}

static void test_of_marks_only_the_newest_stays(void **state)
{
	struct place *p = *state;
	struct archive_file file;

	make_old_marks(p);
	open_again(p);
	assert_int_equal(count_marks(p), 1);
	assert_int_equal(look(p).done_txid, 100);
	p->txid = 100;
	commit(p, false);
	make_old_marks(p);
	assert_true(outbox_first(p->outbox, &file));
	assert_int_equal(outbox_done(p->outbox, &file, &p->err), ST_OK);
	assert_int_equal(count_marks(p), 1);
	assert_int_equal(look(p).done_txid, 101);
}

static void test_what_is_dropped_leaves_no_mark(void **state)
{
	struct place *p = *state;

	make_old_marks(p);
	open_again(p);
	make_old_marks(p);
	assert_int_equal(outbox_drop(p->outbox, &p->err), ST_OK);
	assert_int_equal(count_marks(p), 0);
	assert_int_equal(look(p).done_txid, 0);
	open_again(p);
	assert_int_equal(look(p).done_txid, 0);
}

/* ---- a copy that was made anew ---- */

static void test_a_new_copy_is_noted_until_a_file_is_kept(void **state)
{
	struct place *p = *state;

	assert_int_equal(outbox_note_rebuilt(p->fd, p->folder, 77, &p->err), ST_OK);
	open_again(p);
	assert_true(look(p).is_rebuilt);
	assert_int_equal(look(p).rebuilt_lsn, 77);
	commit(p, false);
	open_again(p);
	assert_false(look(p).is_rebuilt);
}

static void test_only_without_a_folder_nothing_is_to_be_noted(void **state)
{
	struct place *p = *state;
	int nowhere;

	assert_int_equal(mkdirat(p->fd, "empty", 0700), 0);
	nowhere = openat(p->fd, "empty", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(outbox_note_rebuilt(nowhere, p->folder, 77, &p->err), ST_OK);
	(void)close(nowhere);
	assert_int_equal(outbox_note_rebuilt(-1, p->folder, 77, &p->err), ST_IO);
}

/* What is there and cannot be read might say that nothing leads on. */
static void test_a_note_that_cannot_be_read_is_an_error(void **state)
{
	struct place *p = *state;

	outbox_close(p->outbox);
	p->outbox = NULL;
	assert_int_equal(symlinkat("elsewhere", p->fd, OUTBOX_FOLDER "/rebuilt"), 0);
	assert_int_equal(outbox_open(p->fd, p->folder, &p->outbox, &p->err), ST_IO);
	assert_non_null(
	    strstr(p->err.text, "/" OUTBOX_FOLDER "/rebuilt cannot be read"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_files_come_out_in_order_over_runs,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_writer_is_drawn_once, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_what_waits_stays_within_its_bound,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(test_small_files_are_left_as_they_are,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_a_whole_database_is_merged_with_what_follows_only, setup,
		teardown),
	    cmocka_unit_test_setup_teardown(test_a_stop_leaves_all_as_it_is, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_what_a_killed_merge_left_goes, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(
		test_the_first_reason_stays_until_the_archive_is_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_others_see_what_waits, setup,
					    teardown),
	    TEST(test_of_marks_only_the_newest_stays),
	    TEST(test_what_is_dropped_leaves_no_mark),
	    TEST(test_a_new_copy_is_noted_until_a_file_is_kept),
	    TEST(test_only_without_a_folder_nothing_is_to_be_noted),
	    TEST(test_a_note_that_cannot_be_read_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
