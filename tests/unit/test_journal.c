/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "src/base/clock.h"
#include "src/state/journal.h"
#include "src/state/journal_record.h"

#define PAGE   512
#define LAST   4096 /* records that a fixture remembers */
#define LSN(i) ((uint64_t)(i)*10 + 10)

struct seen {
	struct journal_record record; /* pages NULL */
	uint64_t chain;
	uint64_t pages_sum;
};

struct fixture {
	char folder[64];
	int dir_fd;
	struct spool *spool;
	struct journal *journal;
	struct journal_start start;
	uint32_t next_page; /* of the images that are written */

	struct seen written[LAST];
	size_t written_total;
	struct seen replayed[LAST];
	size_t replayed_total;
	enum status replay_status;
	bool free_replayed;
	struct error err;
};

static uint64_t sum_of_pages(const struct journal_record *record)
{
	uint64_t sum = record->page_total;

	for (size_t i = 0; i < record->page_total; i++) {
		sum = sum * 31 + record->pages[i].page_no;
		sum = sum * 31 + record->pages[i].slot;
	}
	return sum;
}

static struct seen remember(const struct journal_record *record, uint64_t chain)
{
	struct seen seen = {*record, chain, sum_of_pages(record)};

	seen.record.pages = NULL;
	return seen;
}

static enum status replay(void *context, const struct journal_found *found,
			  struct error *err)
{
	struct fixture *f = context;
	const struct journal_record *record = &found->record;

	assert_true(f->replayed_total < LAST);
	f->replayed[f->replayed_total++] = remember(record, found->chain);
	for (size_t i = 0; f->free_replayed && i < record->page_total; i++) {
		spool_free(f->spool, &record->pages[i].slot, 1);
	}
	return f->replay_status == ST_OK ? ST_OK
					 : error_set(err, f->replay_status, "as told");
}

static void close_files(struct fixture *f)
{
	journal_close(f->journal);
	spool_close(f->spool);
	f->journal = NULL;
	f->spool = NULL;
}

static enum status try_open(struct fixture *f)
{
	close_files(f);
	f->replayed_total = 0;
	if (spool_open_at(f->dir_fd, PAGE, true, &f->spool, &f->err) != ST_OK) {
		fail_msg("spool_open_at: %s", f->err.text);
	}
	return journal_open(f->dir_fd, PAGE, f->spool, &f->start, replay, f,
			    &f->journal, &f->err);
}

static void reopen(struct fixture *f)
{
	if (try_open(f) != ST_OK) {
		fail_msg("journal_open: %s", f->err.text);
	}
}

static struct fixture *set_up_in(const char *folder)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	(void)snprintf(f->folder, sizeof f->folder, "%s/rowtail-journal-test-XXXXXX",
		       folder);
	assert_non_null(mkdtemp(f->folder));
	f->dir_fd = open(f->folder, O_RDONLY | O_DIRECTORY);
	assert_true(f->dir_fd >= 0);
	f->start = (struct journal_start){.lsn = 5, .chain = 77};
	reopen(f);
	return f;
}

static struct fixture *set_up(void)
{
	return set_up_in("/tmp");
}

/* For tests that open often: where a sync costs nothing, if there is such a place. */
static struct fixture *set_up_fast(void)
{
	return set_up_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

static bool is_segment(const char *name)
{
	return strncmp(name, "log-", 4) == 0;
}

/* Names of segments, in order; how many there are. */
static size_t list_segments(const struct fixture *f, char names[][32], size_t most)
{
	DIR *folder = opendir(f->folder);
	struct dirent *entry;
	size_t total = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder)) != NULL) {
		if (is_segment(entry->d_name)) {
			assert_true(total < most);
			(void)snprintf(names[total++], 32, "%.31s", entry->d_name);
		}
	}
	(void)closedir(folder);
	qsort(names, total, 32, (int (*)(const void *, const void *))strcmp);
	return total;
}

static void tear_down(struct fixture *f)
{
	DIR *folder = opendir(f->folder);
	struct dirent *entry;

	close_files(f);
	assert_non_null(folder);
	while ((entry = readdir(folder)) != NULL) {
		(void)unlinkat(f->dir_fd, entry->d_name, 0);
	}
	(void)closedir(folder);
	(void)close(f->dir_fd);
	assert_int_equal(rmdir(f->folder), 0);
	free(f);
}

/* A record of `total` pages with images of their own; the caller frees the pages. */
static struct journal_record make_record(struct fixture *f, uint64_t lsn, size_t total)
{
	struct journal_page *pages = calloc(total + 1, sizeof *pages);

	assert_non_null(pages);
	for (size_t i = 0; i < total; i++) {
		uint8_t image[PAGE];
		uint32_t slot;

		if (spool_alloc(f->spool, &slot, &f->err) != ST_OK) {
			fail_msg("spool_alloc: %s", f->err.text);
		}
		memset(image, (int)(f->next_page % 251), PAGE);
		memcpy(image, &f->next_page, sizeof f->next_page);
		assert_int_equal(spool_put(f->spool, slot, image, &f->err), ST_OK);
		f->next_page++;
		pages[i] = (struct journal_page){(uint32_t)i * 3 + 1, slot};
	}
	return (struct journal_record){
	    .kind = lsn % 20 ? JOURNAL_COMMIT : JOURNAL_CATCH_UP,
	    .lsn = lsn,
	    .captured_ns = 1700000000000000000 + (int64_t)lsn,
	    .page_count_before = (uint32_t)(3 * total + 1),
	    .page_count = (uint32_t)(3 * total + 2),
	    .salt = {1, 2, 3, 4, 5, 6, 7, (uint8_t)lsn},
	    .last_frame = (uint32_t)lsn + 9,
	    .proof = lsn * UINT64_C(0x9e3779b97f4a7c15),
	    .pages = pages,
	    .page_total = total,
	};
}

/* No file may become longer than `most` bytes (0: than before) while it is appended. */
static enum status try_append(struct fixture *f, uint64_t lsn, size_t total,
			      rlim_t most)
{
	struct journal_record record = make_record(f, lsn, total);
	struct rlimit before;
	struct rlimit low;
	enum status status;
	uint64_t chain;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	low = before;
	low.rlim_cur = most > 0 ? most : before.rlim_cur;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	status = journal_append(f->journal, &record, &chain, &f->err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	if (status == ST_OK) {
		assert_true(f->written_total < LAST);
		f->written[f->written_total++] = remember(&record, chain);
	} else {
		for (size_t i = 0; i < total; i++) {
			spool_free(f->spool, &record.pages[i].slot, 1);
		}
	}
	free((void *)(uintptr_t)record.pages);
	return status;
}

static void append(struct fixture *f, uint64_t lsn, size_t total)
{
	if (try_append(f, lsn, total, 0) != ST_OK) {
		fail_msg("journal_append: %s", f->err.text);
	}
}

static void sync_all(struct fixture *f)
{
	if (journal_sync(f->journal, &f->err) != ST_OK) {
		fail_msg("journal_sync: %s", f->err.text);
	}
}

static void trim(struct fixture *f, uint64_t lsn)
{
	if (journal_trim(f->journal, lsn, &f->err) != ST_OK) {
		fail_msg("journal_trim: %s", f->err.text);
	}
}

static void expect_same(const struct journal_record *a, const struct journal_record *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->lsn, b->lsn);
	assert_int_equal(a->captured_ns, b->captured_ns);
	assert_int_equal(a->page_count_before, b->page_count_before);
	assert_int_equal(a->page_count, b->page_count);
	assert_memory_equal(a->salt, b->salt, sizeof a->salt);
	assert_int_equal(a->last_frame, b->last_frame);
	assert_int_equal(a->proof, b->proof);
	assert_int_equal(a->page_total, b->page_total);
}

/* What was replayed is what was written, from record `first` up to `end`. */
static void expect_replayed(const struct fixture *f, size_t first, size_t end)
{
	assert_int_equal(f->replayed_total, end - first);
	for (size_t i = 0; i < f->replayed_total; i++) {
		const struct seen *a = &f->replayed[i];
		const struct seen *b = &f->written[first + i];

		expect_same(&a->record, &b->record);
		assert_true(a->chain == b->chain);
		assert_true(a->pages_sum == b->pages_sum);
	}
}

static void expect_damaged(struct fixture *f, const char *name)
{
	assert_int_equal(try_open(f), ST_DAMAGED);
	assert_non_null(strstr(f->err.text, f->folder));
	assert_non_null(strstr(f->err.text, name));
	assert_non_null(strstr(f->err.text, "move the state directory away"));
}

/* A file of the folder in memory. */
struct copy {
	char name[32];
	uint8_t *bytes;
	size_t len;
};

static struct copy copy_of(const struct fixture *f, const char *name)
{
	struct copy copy;
	struct stat file;
	int fd = openat(f->dir_fd, name, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &file), 0);
	(void)snprintf(copy.name, sizeof copy.name, "%s", name);
	copy.len = (size_t)file.st_size;
	copy.bytes = malloc(copy.len + 1);
	assert_non_null(copy.bytes);
	assert_int_equal(read(fd, copy.bytes, copy.len), (ssize_t)copy.len);
	(void)close(fd);
	return copy;
}

static void put_copy(const struct fixture *f, const struct copy *copy, size_t len)
{
	int fd = openat(f->dir_fd, copy->name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, copy->bytes, len), (ssize_t)len);
	(void)close(fd);
}

static void flip_image(const struct fixture *f, uint32_t slot, uint32_t at)
{
	int fd = openat(f->dir_fd, "frames", O_RDWR);
	off_t offset = (off_t)slot * PAGE + at;
	uint8_t byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, offset), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
	(void)close(fd);
}

#define FIRST_NAME "log-0000000000000005"

static void test_new_journal_has_no_segments(void **state)
{
	struct fixture *f = set_up();
	char names[4][32];

	(void)state;
	assert_int_equal(f->replayed_total, 0);
	assert_int_equal(journal_bytes(f->journal), 0);
	assert_int_equal(list_segments(f, names, 4), 0);
	sync_all(f);
	trim(f, 100);
	reopen(f);
	assert_int_equal(f->replayed_total, 0);
	tear_down(f);
}

static void test_records_come_back_as_they_were(void **state)
{
	struct fixture *f = set_up();
	static const size_t pages[] = {1, 0, 7, 400, 2};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		append(f, LSN(i), pages[i]);
	}
	assert_int_equal(journal_bytes(f->journal), 5 * 96 + 410 * 16);
	reopen(f); /* as after kill -9: nothing was synced */
	expect_replayed(f, 0, 5);
	assert_int_equal(spool_used_bytes(f->spool), 410 * PAGE);
	assert_int_equal(journal_bytes(f->journal), 5 * 96 + 410 * 16);
	tear_down(f);
}

static void test_many_records_over_many_openings(void **state)
{
	struct fixture *f = set_up();
	size_t total = 0;

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 100; i++, total++) {
			append(f, LSN(total), total % 5);
		}
		if (round % 3 == 0) {
			sync_all(f);
		}
		reopen(f);
		expect_replayed(f, 0, total);
	}
	tear_down(f);
}

static void test_files_are_private_and_others_are_left_alone(void **state)
{
	struct fixture *f = set_up();
	static const struct copy other = {.name = "log-00000000000000zz"};
	struct stat file;

	(void)state;
	put_copy(f, &other, 0);
	append(f, LSN(0), 1);
	assert_int_equal(fstatat(f->dir_fd, FIRST_NAME, &file, 0), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
	assert_int_equal(fstatat(f->dir_fd, "frames", &file, 0), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
	reopen(f);
	expect_replayed(f, 0, 1);
	assert_int_equal(fstatat(f->dir_fd, other.name, &file, 0), 0);
	tear_down(f);
}

/* Three records, each synced before the next; their ends in the file. */
static struct copy three_records(struct fixture *f, size_t ends[3])
{
	size_t end = JOURNAL_HEADER_BYTES;

	for (size_t i = 0; i < 3; i++) {
		append(f, LSN(i), i + 1);
		sync_all(f);
		end += 96 + (i + 1) * 16;
		ends[i] = end;
	}
	close_files(f);
	return copy_of(f, FIRST_NAME);
}

static void test_cut_at_any_byte_of_the_last_record_ends_before_it(void **state)
{
	struct fixture *f = set_up_fast();
	size_t ends[3];
	struct copy log = three_records(f, ends);
	struct stat file;

	(void)state;
	assert_int_equal(log.len, ends[2]);
	for (size_t len = ends[1]; len < ends[2]; len++) {
		put_copy(f, &log, len);
		reopen(f);
		expect_replayed(f, 0, 2);
		assert_int_equal(spool_used_bytes(f->spool), 3 * PAGE);
		assert_int_equal(fstatat(f->dir_fd, FIRST_NAME, &file, 0), 0);
		assert_int_equal(file.st_size, ends[1]);
	}
	f->written_total = 2;
	append(f, LSN(2), 4);
	reopen(f);
	expect_replayed(f, 0, 3);
	free(log.bytes);
	tear_down(f);
}

static void test_cut_in_the_header_leaves_nothing(void **state)
{
	struct fixture *f = set_up_fast();
	size_t ends[3];
	struct copy log = three_records(f, ends);
	char names[4][32];

	(void)state;
	for (size_t len = 0; len <= JOURNAL_HEADER_BYTES; len++) {
		put_copy(f, &log, len);
		reopen(f);
		expect_replayed(f, 0, 0);
		assert_int_equal(list_segments(f, names, 4),
				 len == JOURNAL_HEADER_BYTES);
	}
	f->written_total = 0;
	append(f, LSN(0), 4);
	reopen(f);
	expect_replayed(f, 0, 1);
	free(log.bytes);
	tear_down(f);
}

static void test_any_flipped_byte_of_the_last_record_ends_before_it(void **state)
{
	struct fixture *f = set_up_fast();
	size_t ends[3];
	struct copy log = three_records(f, ends);

	(void)state;
	for (size_t at = ends[1]; at < ends[2]; at++) {
		log.bytes[at] ^= 0x40;
		put_copy(f, &log, log.len);
		log.bytes[at] ^= 0x40;
		reopen(f);
		expect_replayed(f, 0, 2);
	}
	free(log.bytes);
	tear_down(f);
}

static void test_any_flipped_byte_before_it_is_damage(void **state)
{
	struct fixture *f = set_up_fast();
	size_t ends[3];
	struct copy log = three_records(f, ends);

	(void)state;
	for (size_t at = 0; at < ends[1]; at++) {
		log.bytes[at] ^= 0x01;
		put_copy(f, &log, log.len);
		log.bytes[at] ^= 0x01;
		expect_damaged(f, FIRST_NAME);
	}
	put_copy(f, &log, log.len); /* and nothing was removed or cut off */
	reopen(f);
	expect_replayed(f, 0, 3);
	free(log.bytes);
	tear_down(f);
}

static void test_flipped_image_is_damage_but_in_the_last_record(void **state)
{
	struct fixture *f = set_up_fast();
	size_t ends[3];
	struct copy log = three_records(f, ends);
	uint32_t slot;

	(void)state;
	for (uint32_t at = 0; at < PAGE; at += 73) {
		for (size_t i = 0; i < 6; i++) {
			slot =
			    journal_entry_get(log.bytes + (i < 1 ? JOURNAL_HEADER_BYTES
							   : i < 3 ? ends[0]
								   : ends[1]),
					      i < 1   ? i
					      : i < 3 ? i - 1
						      : i - 3)
				.page.slot;
			flip_image(f, slot, at);
			if (i < 3) {
				expect_damaged(f, FIRST_NAME);
			} else {
				reopen(f);
				expect_replayed(f, 0, 2);
				assert_int_equal(spool_used_bytes(f->spool), 3 * PAGE);
			}
			flip_image(f, slot, at);
			put_copy(f, &log, log.len);
		}
	}
	reopen(f);
	expect_replayed(f, 0, 3);
	free(log.bytes);
	tear_down(f);
}

/* A power cut may keep the later of two records that no sync covers. */
static void test_unsynced_records_behind_a_wrong_one_prove_nothing(void **state)
{
	struct fixture *f = set_up();
	struct copy log;

	(void)state;
	append(f, LSN(0), 1);
	sync_all(f);
	append(f, LSN(1), 1);
	append(f, LSN(2), 1);
	append(f, LSN(3), 1);
	close_files(f);
	log = copy_of(f, FIRST_NAME);
	flip_image(f, 1, 5);
	reopen(f);
	expect_replayed(f, 0, 1);
	flip_image(f, 1, 5);
	log.bytes[JOURNAL_HEADER_BYTES + 112 + 30] ^= 1;
	put_copy(f, &log, log.len);
	reopen(f);
	expect_replayed(f, 0, 1);
	f->written_total = 1;
	append(f, LSN(1), 2);
	reopen(f);
	expect_replayed(f, 0, 2);
	free(log.bytes);
	tear_down(f);
}

static void test_frames_that_are_cut_off_end_the_journal(void **state)
{
	struct fixture *f = set_up();

	(void)state;
	append(f, LSN(0), 8192); /* a whole segment of frames */
	sync_all(f);
	append(f, LSN(1), 1);
	close_files(f);
	{
		int fd = openat(f->dir_fd, "frames", O_RDWR);

		assert_int_equal(ftruncate(fd, (4 << 20) + 4096), 0);
		(void)close(fd);
	}
	reopen(f);
	expect_replayed(f, 0, 1);
	f->written_total = 1;
	append(f, LSN(1), 1);
	sync_all(f);
	append(f, LSN(2), 1);
	reopen(f);
	expect_replayed(f, 0, 3);
	tear_down(f);
}

static void test_what_a_failed_append_left_behind_is_cut_off(void **state)
{
	struct fixture *f = set_up_fast();
	struct copy log;

	(void)state;
	append(f, LSN(0), 1);
	append(f, LSN(1), 50);
	log = copy_of(f, FIRST_NAME);
	close_files(f);
	put_copy(f, &log, log.len - 100);
	reopen(f);
	expect_replayed(f, 0, 1);
	for (size_t extra = 1; extra < 200; extra += 3) {
		log.bytes = realloc(log.bytes, log.len + 200);
		assert_non_null(log.bytes);
		memset(log.bytes + log.len, 0, 200);
		put_copy(f, &log, log.len + extra);
		reopen(f);
		expect_replayed(f, 0, 2);
	}
	free(log.bytes);
	tear_down(f);
}

/* Records of `pages` each, slots given back at once, so that only the log grows. */
static void append_light(struct fixture *f, uint64_t lsn, size_t pages)
{
	struct journal_record record = make_record(f, lsn, 1);
	struct journal_page *many = calloc(pages, sizeof *many);
	uint64_t chain;

	assert_non_null(many);
	for (size_t i = 0; i < pages; i++) {
		many[i] = (struct journal_page){(uint32_t)i + 1, record.pages[0].slot};
	}
	free((void *)(uintptr_t)record.pages);
	record.pages = many;
	record.page_total = pages;
	record.page_count = (uint32_t)pages;
	assert_int_equal(journal_append(f->journal, &record, &chain, &f->err), ST_OK);
	f->written[f->written_total++] = remember(&record, chain);
	spool_free(f->spool, &many[0].slot, 1);
	free(many);
}

static void test_segments_begin_anew_when_they_are_large(void **state)
{
	struct fixture *f = set_up();
	char names[16][32];
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < 10; i++) {
		append_light(f, LSN(i), 300000); /* 4.8 MB */
	}
	bytes = journal_bytes(f->journal);
	assert_int_equal(list_segments(f, names, 16), 3);
	assert_string_equal(names[0], FIRST_NAME);
	assert_string_equal(names[1], "log-0000000000000028"); /* 40: after 4 */
	assert_string_equal(names[2], "log-0000000000000050");
	trim(f, LSN(3)); /* not synced: nothing is removed */
	assert_int_equal(list_segments(f, names, 16), 3);
	sync_all(f);
	trim(f, LSN(3) - 1);
	assert_int_equal(list_segments(f, names, 16), 3);
	trim(f, LSN(3));
	assert_int_equal(list_segments(f, names, 16), 2);
	trim(f, LSN(9)); /* the last one stays */
	assert_int_equal(list_segments(f, names, 16), 1);
	assert_int_equal(journal_bytes(f->journal), bytes / 5);
	append_light(f, LSN(10), 10); /* and ends now, for a trim waits */
	assert_int_equal(list_segments(f, names, 16), 2);
	append_light(f, LSN(11), 10);
	sync_all(f);
	trim(f, LSN(9));
	assert_int_equal(list_segments(f, names, 16), 1);
	assert_string_equal(names[0], "log-0000000000000064");
	tear_down(f);
}

/*
 * Segments of three records each (they are over 1 MiB), with slots in true use. All but
 * the last record are synced; a trim before that removes nothing.
 */
static void append_segments(struct fixture *f, size_t total)
{
	for (size_t i = 0; i < total; i++) {
		if (i + 1 == total) {
			sync_all(f);
		}
		append(f, LSN(i), i % 3 == 1 ? 66000 : 2);
		if (i % 3 == 2) {
			trim(f, LSN(i - 2));
		}
	}
}

static void test_start_within_the_journal_skips_what_is_before(void **state)
{
	struct fixture *f = set_up();
	char names[16][32];

	(void)state;
	append_segments(f, 7);
	assert_int_equal(list_segments(f, names, 16), 3);
	for (size_t i = 0; i < 7; i++) {
		uint64_t used = 0;

		f->start.lsn = f->written[i].record.lsn;
		f->start.chain = f->written[i].chain;
		reopen(f);
		expect_replayed(f, i + 1, 7);
		for (size_t k = i + 1; k < 7; k++) {
			used += f->written[k].record.page_total;
		}
		assert_int_equal(spool_used_bytes(f->spool), used * PAGE);
		assert_int_equal(list_segments(f, names, 16), i < 2   ? 3
							      : i < 5 ? 2
								      : 1);
	}
	f->start.lsn = LSN(100); /* past the end: all of it is in the base */
	f->start.chain = 5;
	reopen(f);
	expect_replayed(f, 0, 0);
	assert_int_equal(list_segments(f, names, 16), 0);
	append(f, LSN(101), 3);
	reopen(f);
	expect_replayed(f, 7, 8);
	tear_down(f);
}

/* A kill came after the header of a new one was written. The next record goes into that
 * segment, and a trim takes away the one before it, not it. */
static void test_a_segment_without_records_is_gone_on_with(void **state)
{
	struct fixture *f = set_up();
	char names[16][32];
	char path[128];

	(void)state;
	append(f, LSN(0), 2);
	reopen(f);
	append(f, LSN(1), 2);
	sync_all(f);
	assert_int_equal(list_segments(f, names, 16), 2);
	(void)snprintf(path, sizeof path, "%s/%s", f->folder, names[1]);
	assert_int_equal(truncate(path, JOURNAL_HEADER_BYTES), 0);
	reopen(f);
	expect_replayed(f, 0, 1);
	f->written_total = 1;
	append(f, LSN(2), 2);
	sync_all(f);
	f->start.lsn = LSN(0);
	f->start.chain = f->written[0].chain;
	trim(f, LSN(0));
	reopen(f);
	expect_replayed(f, 1, 2);
	tear_down(f);
}

static void test_start_that_the_journal_does_not_have_is_damage(void **state)
{
	struct fixture *f = set_up();

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		append(f, LSN(i), 1);
		sync_all(f);
	}
	f->start.chain++;
	expect_damaged(f, FIRST_NAME);
	f->start.lsn = LSN(1);
	expect_damaged(f, FIRST_NAME);
	f->start.chain = f->written[1].chain;
	f->start.lsn = LSN(1) + 1; /* between two records */
	expect_damaged(f, FIRST_NAME);
	f->start.lsn = LSN(2); /* with the chain of another */
	expect_damaged(f, FIRST_NAME);
	f->start.lsn = LSN(1);
	reopen(f);
	expect_replayed(f, 2, 3);
	f->start.lsn = 4; /* what was before is missing */
	expect_damaged(f, FIRST_NAME);
	tear_down(f);
}

static void test_missing_segment_is_damage_when_a_later_one_was_synced(void **state)
{
	struct fixture *f = set_up();
	char names[16][32];
	struct copy first;
	struct copy middle;
	struct copy last;

	(void)state;
	append_segments(f, 8);
	assert_int_equal(list_segments(f, names, 16), 3);
	close_files(f);
	first = copy_of(f, names[0]);
	middle = copy_of(f, names[1]);
	last = copy_of(f, names[2]);
	assert_int_equal(unlinkat(f->dir_fd, middle.name, 0), 0);
	expect_damaged(f, last.name);
	put_copy(f, &middle, middle.len - 1);
	expect_damaged(f, middle.name);
	put_copy(f, &middle, JOURNAL_HEADER_BYTES);
	expect_damaged(f, last.name);
	put_copy(f, &middle, 3);
	expect_damaged(f, middle.name);
	put_copy(f, &middle, middle.len);
	assert_int_equal(unlinkat(f->dir_fd, first.name, 0), 0);
	expect_damaged(f, middle.name);
	put_copy(f, &first, first.len);
	reopen(f);
	expect_replayed(f, 0, 8);
	free(first.bytes);
	free(middle.bytes);
	free(last.bytes);
	tear_down(f);
}

/* Have syncs of the file `name` fail from now on. */
static void break_syncs_of(const char *name)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* fdatasync: EINVAL */
	size_t found = 0;

	assert_true(null_fd >= 0);
	for (int fd = 3; fd < 256; fd++) {
		char link[64];
		char path[512];
		ssize_t len;

		(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		len = readlink(link, path, sizeof path - 1);
		path[len > 0 ? len : 0] = '\0';
		if (len > 0 && strstr(path, name)) {
			assert_int_equal(dup2(null_fd, fd), fd);
			found++;
		}
	}
	(void)close(null_fd);
	assert_int_equal(found, 1);
}

/* The kernel may show what a failed sync has lost: the next process must not see it. */
static void test_after_a_failed_sync_only_what_was_durable_stays(void **state)
{
	struct fixture *f = set_up();

	(void)state;
	append(f, LSN(0), 2);
	append(f, LSN(1), 2);
	sync_all(f);
	append(f, LSN(2), 2);
	break_syncs_of("/frames");
	assert_int_equal(journal_sync(f->journal, &f->err), ST_IO);
	assert_int_equal(journal_sync(f->journal, &f->err), ST_IO);
	reopen(f);
	expect_replayed(f, 0, 2);
	f->written_total = 2;
	append(f, LSN(3), 2);
	sync_all(f);
	reopen(f);
	expect_replayed(f, 0, 3);
	tear_down(f);
}

/* The same where no sync has covered what is missing: a power cut may do that. */
static void test_unsynced_segments_may_be_missing(void **state)
{
	struct fixture *f = set_up();
	char names[16][32];

	(void)state;
	append(f, LSN(0), 66000);
	trim(f, LSN(0));
	append(f, LSN(1), 66000);
	trim(f, LSN(1));
	append(f, LSN(2), 66000);
	append(f, LSN(3), 1);
	assert_int_equal(list_segments(f, names, 16), 3);
	close_files(f);
	assert_int_equal(unlinkat(f->dir_fd, names[1], 0), 0);
	reopen(f);
	expect_replayed(f, 0, 1);
	assert_int_equal(list_segments(f, names, 16), 1);
	f->written_total = 1;
	append(f, LSN(1), 5);
	reopen(f);
	expect_replayed(f, 0, 2);
	tear_down(f);
}

static void test_slots_are_reused_after_a_trim(void **state)
{
	struct fixture *f = set_up();
	struct stat file;

	(void)state;
	f->free_replayed = true;
	for (size_t round = 0; round < 12; round++) {
		append(f, LSN(round), 40000);
		sync_all(f);
		f->start.lsn = LSN(round) - 10; /* all but this one is in the base */
		f->start.chain = round > 0 ? f->written[round - 1].chain : 77;
		if (round == 0) {
			f->start.lsn = 5;
		}
		trim(f, f->start.lsn);
		reopen(f);
		expect_replayed(f, round, round + 1);
		assert_int_equal(spool_used_bytes(f->spool), 0);
	}
	assert_int_equal(fstatat(f->dir_fd, "frames", &file, 0), 0);
	assert_in_range(file.st_size, 20 << 20, 44 << 20);
	assert_true(journal_bytes(f->journal) < 3u << 20);
	tear_down(f);
}

static void test_append_on_a_full_disk_changes_nothing(void **state)
{
	struct fixture *f = set_up();
	struct stat file;
	size_t total = 0;

	(void)state;
	append(f, LSN(total++), 4);
	/* Past a limit on file sizes a write is short, then fails, as on a full disk.
	 */
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	for (rlim_t room = 1; room < 800; room += 7) {
		assert_int_equal(fstatat(f->dir_fd, FIRST_NAME, &file, 0), 0);
		assert_int_equal(
		    try_append(f, LSN(total), 50, (rlim_t)file.st_size + room), ST_IO);
		assert_true(f->err.sys_errno != 0);
		assert_non_null(strstr(f->err.text, FIRST_NAME));
		assert_int_equal(fstatat(f->dir_fd, FIRST_NAME, &file, 0), 0);
		assert_int_equal((uint64_t)file.st_size,
				 journal_bytes(f->journal) + JOURNAL_HEADER_BYTES);
		append(f, LSN(total++), 3);
	}
	reopen(f);
	expect_replayed(f, 0, total);
	tear_down(f);
}

static void test_segment_that_cannot_be_made_changes_nothing(void **state)
{
	struct fixture *f = set_up();
	char names[4][32];

	(void)state;
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(try_append(f, LSN(0), 1, 20), ST_IO);
		assert_int_equal(list_segments(f, names, 4), 0);
	}
	append(f, LSN(0), 1);
	reopen(f);
	expect_replayed(f, 0, 1);
	tear_down(f);
}

static void test_status_of_replay_is_passed_on(void **state)
{
	struct fixture *f = set_up();
	static const enum status told[] = {ST_END, ST_STOPPED, ST_DAMAGED, ST_NOMEM};

	(void)state;
	append(f, LSN(0), 1);
	append(f, LSN(1), 1);
	for (size_t i = 0; i < 4; i++) {
		f->replay_status = told[i];
		assert_int_equal(try_open(f), told[i]);
		assert_string_equal(f->err.text, "as told");
		assert_int_equal(f->replayed_total, 1);
	}
	f->replay_status = ST_OK;
	reopen(f);
	expect_replayed(f, 0, 2);
	tear_down(f);
}

static void test_new_journal_that_is_not_empty_is_damage(void **state)
{
	struct fixture *f = set_up();
	struct journal *journal;

	(void)state;
	append(f, LSN(0), 1);
	assert_int_equal(journal_open(f->dir_fd, PAGE, f->spool, &f->start, NULL, NULL,
				      &journal, &f->err),
			 ST_DAMAGED);
	tear_down(f);
}

/* A length that nothing stands behind must not become memory. */
static void test_lengths_are_not_believed(void **state)
{
	struct fixture *f = set_up();
	size_t ends[3];
	struct copy log = three_records(f, ends);
	static const uint32_t totals[] = {0x7fffffff, 0xffffffff, 4, 100000};
	uint8_t *head = log.bytes + ends[1];

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		uint64_t length = 96 + 16 * (uint64_t)totals[i % 4];
		uint64_t sum;

		memcpy(head + 60, &totals[i % 4], 4);
		memcpy(head + 8, &length, 8);
		head[8] ^= i >= 4 ? 8 : 0; /* not even that of its pages */
		sum = XXH3_64bits(head, 80);
		memcpy(head + 80, &sum, 8);
		put_copy(f, &log, log.len);
		if (i >= 4) {
			expect_damaged(f, FIRST_NAME);
		} else {
			reopen(f);
			expect_replayed(f, 0, 2);
		}
	}
	free(log.bytes);
	tear_down(f);
}

static void test_page_size_of_another_journal_is_damage(void **state)
{
	struct fixture *f = set_up();
	struct spool *spool;
	struct journal *journal;

	(void)state;
	append(f, LSN(0), 1);
	close_files(f);
	assert_int_equal(spool_open_at(f->dir_fd, 1024, true, &spool, &f->err), ST_OK);
	assert_int_equal(journal_open(f->dir_fd, 1024, spool, &f->start, replay, f,
				      &journal, &f->err),
			 ST_DAMAGED);
	spool_close(spool);
	tear_down(f);
}

static void test_huge_transaction_takes_no_time_beyond_its_size(void **state)
{
	struct fixture *f = set_up();
	int64_t begun = clock_mono_ns();

	(void)state;
	append(f, LSN(0), 3);
	append(f, LSN(1), 300000);
	append(f, LSN(2), 3);
	reopen(f);
	expect_replayed(f, 0, 3);
	assert_true(clock_mono_ns() - begun < 60 * NS_PER_S);
	tear_down(f);
}

/* Appending on one thread, syncing on a second, trimming on a third. */
struct together {
	struct fixture *f;
	_Atomic uint64_t appended;
	_Atomic uint64_t synced;
	atomic_bool done;
};

static void *sync_thread(void *context)
{
	struct together *t = context;
	struct error err;

	while (!atomic_load(&t->done)) {
		uint64_t lsn = atomic_load(&t->appended);

		if (journal_sync(t->f->journal, &err) != ST_OK) {
			abort();
		}
		atomic_store(&t->synced, lsn);
	}
	return NULL;
}

static void *trim_thread(void *context)
{
	struct together *t = context;
	struct error err;

	while (!atomic_load(&t->done)) {
		uint64_t lsn = atomic_load(&t->synced);

		if (lsn > 50 && journal_trim(t->f->journal, lsn - 50, &err) != ST_OK) {
			abort();
		}
		(void)journal_bytes(t->f->journal);
		clock_sleep_ns(NS_PER_MS);
	}
	return NULL;
}

static void test_append_sync_and_trim_at_the_same_time(void **state)
{
	struct together t = {.f = set_up()};
	struct fixture *f = t.f;
	pthread_t threads[2];
	size_t total = 300;
	size_t first;

	(void)state;
	assert_int_equal(pthread_create(&threads[0], NULL, sync_thread, &t), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, trim_thread, &t), 0);
	for (size_t i = 0; i < total; i++) {
		if (i + 20 < total) {
			append_light(f, LSN(i), i % 4 == 0 ? 20000 : 10);
		} else {
			append(f, LSN(i), 5);
		}
		atomic_store(&t.appended, LSN(i));
	}
	atomic_store(&t.done, true);
	(void)pthread_join(threads[0], NULL);
	(void)pthread_join(threads[1], NULL);
	first = total - 20; /* of those before the slots were not in true use */
	f->start.lsn = f->written[first - 1].record.lsn;
	f->start.chain = f->written[first - 1].chain;
	reopen(f);
	expect_replayed(f, first, total);
	tear_down(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_new_journal_has_no_segments),
	    cmocka_unit_test(test_records_come_back_as_they_were),
	    cmocka_unit_test(test_many_records_over_many_openings),
	    cmocka_unit_test(test_files_are_private_and_others_are_left_alone),
	    cmocka_unit_test(test_cut_at_any_byte_of_the_last_record_ends_before_it),
	    cmocka_unit_test(test_cut_in_the_header_leaves_nothing),
	    cmocka_unit_test(test_any_flipped_byte_of_the_last_record_ends_before_it),
	    cmocka_unit_test(test_any_flipped_byte_before_it_is_damage),
	    cmocka_unit_test(test_flipped_image_is_damage_but_in_the_last_record),
	    cmocka_unit_test(test_unsynced_records_behind_a_wrong_one_prove_nothing),
	    cmocka_unit_test(test_frames_that_are_cut_off_end_the_journal),
	    cmocka_unit_test(test_what_a_failed_append_left_behind_is_cut_off),
	    cmocka_unit_test(test_segments_begin_anew_when_they_are_large),
	    cmocka_unit_test(test_start_within_the_journal_skips_what_is_before),
	    cmocka_unit_test(test_a_segment_without_records_is_gone_on_with),
	    cmocka_unit_test(test_start_that_the_journal_does_not_have_is_damage),
	    cmocka_unit_test(
		test_missing_segment_is_damage_when_a_later_one_was_synced),
	    cmocka_unit_test(test_after_a_failed_sync_only_what_was_durable_stays),
	    cmocka_unit_test(test_unsynced_segments_may_be_missing),
	    cmocka_unit_test(test_slots_are_reused_after_a_trim),
	    cmocka_unit_test(test_append_on_a_full_disk_changes_nothing),
	    cmocka_unit_test(test_segment_that_cannot_be_made_changes_nothing),
	    cmocka_unit_test(test_status_of_replay_is_passed_on),
	    cmocka_unit_test(test_new_journal_that_is_not_empty_is_damage),
	    cmocka_unit_test(test_lengths_are_not_believed),
	    cmocka_unit_test(test_page_size_of_another_journal_is_damage),
	    cmocka_unit_test(test_huge_transaction_takes_no_time_beyond_its_size),
	    cmocka_unit_test(test_append_sync_and_trim_at_the_same_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
