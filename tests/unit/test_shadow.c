/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>

#include "src/state/shadow.h"

#define HEAD 24 /* bytes of `hashes` before the entries */

static const uint32_t page_sizes[] = {512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};

/* ---- a folder and a database file ---- */

struct fixture {
	char folder[64];
	int dir_fd;
	int source_fd;
	mode_t umask_before;
};

static int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	(void)snprintf(f->folder, sizeof f->folder, "/tmp/rowtail-shadow-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->dir_fd = open(f->folder, O_RDONLY | O_DIRECTORY);
	assert_true(f->dir_fd >= 0);
	f->source_fd = openat(f->dir_fd, "app.db", O_RDWR | O_CREAT, 0600);
	assert_true(f->source_fd >= 0);
	f->umask_before = umask(022);
	*state = f;
	return 0;
}

static int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	(void)umask(f->umask_before);
	(void)unlinkat(f->dir_fd, "app.db", 0);
	(void)unlinkat(f->dir_fd, "shadow", 0);
	(void)unlinkat(f->dir_fd, "hashes", 0);
	(void)close(f->source_fd);
	(void)close(f->dir_fd);
	assert_int_equal(rmdir(f->folder), 0);
	free(f);
	return 0;
}

/* The bytes of a page: the same for the same number and version, others otherwise. */
static void page_bytes(uint32_t page_no, uint32_t version, uint32_t page_size,
		       uint8_t *bytes)
{
	uint32_t x = page_no * 2654435761u + version * 40503u + 1;

	for (uint32_t i = 0; i < page_size; i++) {
		x = x * 1664525u + 1013904223u;
		bytes[i] = (uint8_t)(x >> 24);
	}
}

static void fill_source(const struct fixture *f, uint32_t page_size, uint32_t pages)
{
	uint8_t *bytes = malloc(page_size);

	assert_non_null(bytes);
	assert_int_equal(ftruncate(f->source_fd, 0), 0);
	for (uint32_t p = 1; p <= pages; p++) {
		page_bytes(p, 0, page_size, bytes);
		assert_int_equal(
		    pwrite(f->source_fd, bytes, page_size, (off_t)(p - 1) * page_size),
		    page_size);
	}
	free(bytes);
}

static struct shadow *create(const struct fixture *f, uint32_t page_size,
			     uint32_t pages)
{
	struct shadow_copy copy = {
	    .source_fd = f->source_fd, .page_size = page_size, .page_count = pages};
	struct shadow *shadow;
	struct error err;

	if (shadow_create(f->dir_fd, &copy, &shadow, &err) != ST_OK) {
		fail_msg("shadow_create: %s", err.text);
	}
	return shadow;
}

static struct shadow *reopen(const struct fixture *f, uint32_t page_size,
			     uint32_t pages)
{
	struct shadow *shadow;
	struct error err;

	if (shadow_open(f->dir_fd, page_size, pages, &shadow, &err) != ST_OK) {
		fail_msg("shadow_open: %s", err.text);
	}
	assert_int_equal(shadow_page_count(shadow), pages);
	return shadow;
}

static void verify(struct shadow *shadow)
{
	struct error err;

	if (shadow_verify(shadow, NULL, &err) != ST_OK) {
		fail_msg("shadow_verify: %s", err.text);
	}
}

static void write_page(struct shadow *shadow, uint32_t page_no, uint32_t version,
		       uint32_t page_size)
{
	uint8_t *bytes = malloc(page_size);
	struct error err;

	assert_non_null(bytes);
	page_bytes(page_no, version, page_size, bytes);
	if (shadow_write(shadow, page_no, bytes, &err) != ST_OK) {
		fail_msg("shadow_write: %s", err.text);
	}
	assert_int_equal(shadow_hash(shadow, page_no),
			 shadow_hash_of(page_no, bytes, page_size));
	free(bytes);
}

static void sync_shadow(struct shadow *shadow)
{
	struct error err;

	if (shadow_sync(shadow, &err) != ST_OK) {
		fail_msg("shadow_sync: %s", err.text);
	}
}

#define ZEROS UINT32_MAX /* as a version */

/* The page in the file is of that version, and its hash is right. */
static void assert_page(const struct shadow *shadow, uint32_t page_no, uint32_t version,
			uint32_t page_size)
{
	uint8_t *want = calloc(1, page_size);
	uint8_t *got = malloc(page_size);

	assert_non_null(want);
	assert_non_null(got);
	if (version != ZEROS) {
		page_bytes(page_no, version, page_size, want);
	}
	assert_int_equal(
	    pread(shadow_fd(shadow), got, page_size, (off_t)(page_no - 1) * page_size),
	    page_size);
	assert_memory_equal(got, want, page_size);
	assert_int_equal(shadow_hash(shadow, page_no),
			 shadow_hash_of(page_no, want, page_size));
	free(want);
	free(got);
}

static off_t size_of(const struct fixture *f, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(f->dir_fd, name, &st, 0), 0);
	return st.st_size;
}

static unsigned mode_of(const struct fixture *f, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(f->dir_fd, name, &st, 0), 0);
	return st.st_mode & 07777;
}

static void cut_file(const struct fixture *f, const char *name, off_t len)
{
	int fd = openat(f->dir_fd, name, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, len), 0);
	(void)close(fd);
}

static void flip(const struct fixture *f, const char *name, off_t offset, uint8_t bits)
{
	int fd = openat(f->dir_fd, name, O_RDWR);
	uint8_t byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, offset), 1);
	byte ^= bits;
	assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
	(void)close(fd);
}

static void expect_open(const struct fixture *f, uint32_t page_size, uint32_t pages,
			enum status status, const char *text)
{
	struct shadow *shadow;
	struct error err;

	assert_int_equal(shadow_open(f->dir_fd, page_size, pages, &shadow, &err),
			 status);
	assert_int_equal(err.status, status);
	assert_null(strchr(err.text, '\n'));
	if (!strstr(err.text, text)) {
		fail_msg("'%s' is not in: %s", text, err.text);
	}
}

/* Run `act` in a process of its own; its result is the exit code. */
static int in_child(int (*act)(const struct fixture *f), const struct fixture *f)
{
	pid_t pid = fork();
	int status = 0;

	assert_true(pid >= 0);
	if (pid == 0) {
		_exit(act(f));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- the copy ---- */

static void test_shadow_is_the_database_page_for_page(void **state)
{
	static const uint32_t counts[] = {0, 1, 2, 15, 16, 17, 33};
	struct fixture *f = *state;

	for (size_t s = 0; s < sizeof page_sizes / sizeof *page_sizes; s++) {
		for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
			struct shadow *shadow;

			fill_source(f, page_sizes[s], counts[c]);
			shadow = create(f, page_sizes[s], counts[c]);
			assert_int_equal(shadow_page_count(shadow), counts[c]);
			for (int again = 0; again < 2; again++) {
				for (uint32_t p = 1; p <= counts[c]; p++) {
					assert_page(shadow, p, 0, page_sizes[s]);
				}
				verify(shadow);
				shadow_close(shadow);
				shadow = reopen(f, page_sizes[s], counts[c]);
			}
			shadow_close(shadow);
			assert_int_equal(size_of(f, "shadow"),
					 counts[c] * page_sizes[s]);
			assert_int_equal(size_of(f, "hashes"), HEAD + 8 * counts[c]);
		}
	}
}

static void test_shadow_files_are_private_under_any_umask(void **state)
{
	static const mode_t masks[] = {0, 022, 0777};
	struct fixture *f = *state;

	fill_source(f, 512, 3);
	for (size_t i = 0; i < 3; i++) {
		(void)umask(masks[i]);
		shadow_close(create(f, 512, 3));
		assert_int_equal(mode_of(f, "shadow"), 0600);
		assert_int_equal(mode_of(f, "hashes"), 0600);
		/* An old file of another mode does not hand it on. */
		assert_int_equal(fchmodat(f->dir_fd, "shadow", 0666, 0), 0);
		assert_int_equal(fchmodat(f->dir_fd, "hashes", 0666, 0), 0);
	}
}

static void test_hash_is_seeded_with_the_page_number(void **state)
{
	uint8_t bytes[65536];

	(void)state;
	page_bytes(5, 0, sizeof bytes, bytes);
	assert_int_equal(shadow_hash_of(5, bytes, 512),
			 XXH3_64bits_withSeed(bytes, 512, 5));
	assert_int_equal(shadow_hash_of(UINT32_MAX, bytes, 65536),
			 XXH3_64bits_withSeed(bytes, 65536, UINT32_MAX));
	assert_int_not_equal(shadow_hash_of(5, bytes, 512),
			     shadow_hash_of(6, bytes, 512));
}

static void test_hash_past_the_end_is_0(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;

	fill_source(f, 512, 3);
	shadow = create(f, 512, 3);
	assert_int_equal(shadow_hash(shadow, 0), 0);
	assert_int_not_equal(shadow_hash(shadow, 3), 0);
	assert_int_equal(shadow_hash(shadow, 4), 0);
	assert_int_equal(shadow_hash(shadow, UINT32_MAX), 0);
	shadow_close(shadow);
}

static void test_source_that_ends_early_is_zeros_from_there(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;
	uint8_t page[4096];
	uint8_t want[4096] = {0};

	fill_source(f, 4096, 10);
	assert_int_equal(ftruncate(f->source_fd, 6 * 4096 + 1000), 0);
	shadow = create(f, 4096, 700); /* more than two chunks past the end */
	page_bytes(7, 0, 4096, want);
	memset(want + 1000, 0, sizeof want - 1000);
	assert_page(shadow, 6, 0, 4096);
	assert_int_equal(pread(shadow_fd(shadow), page, 4096, 6 * 4096), 4096);
	assert_memory_equal(page, want, 4096);
	assert_int_equal(shadow_hash(shadow, 7), shadow_hash_of(7, want, 4096));
	for (uint32_t p = 8; p <= 700; p++) {
		assert_page(shadow, p, ZEROS, 4096);
	}
	verify(shadow);
	shadow_close(shadow);
	shadow_close(reopen(f, 4096, 700));
}

static void test_source_that_is_longer_is_cut(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;

	fill_source(f, 1024, 40);
	shadow = create(f, 1024, 30);
	assert_int_equal(size_of(f, "shadow"), 30 * 1024);
	verify(shadow);
	shadow_close(shadow);
}

static void test_source_with_holes_and_no_file_at_all(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;

	fill_source(f, 512, 2);
	assert_int_equal(ftruncate(f->source_fd, (off_t)9000 * 512), 0);
	assert_int_equal(pwrite(f->source_fd, "end", 3, (off_t)9000 * 512 - 3), 3);
	shadow = create(f, 512, 9000);
	assert_page(shadow, 2, 0, 512);
	assert_page(shadow, 3, ZEROS, 512);
	assert_page(shadow, 8999, ZEROS, 512);
	verify(shadow);
	shadow_close(shadow);
	assert_int_equal(ftruncate(f->source_fd, 0), 0);
	shadow = create(f, 512, 9000);
	assert_page(shadow, 1, ZEROS, 512);
	assert_page(shadow, 9000, ZEROS, 512);
	verify(shadow);
	shadow_close(shadow);
}

static void test_a_second_copy_takes_the_place_of_the_first(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;

	fill_source(f, 4096, 50);
	shadow_close(create(f, 4096, 50));
	fill_source(f, 512, 3);
	shadow = create(f, 512, 3);
	verify(shadow);
	shadow_close(shadow);
	assert_int_equal(size_of(f, "shadow"), 3 * 512);
	assert_int_equal(size_of(f, "hashes"), HEAD + 3 * 8);
	shadow_close(reopen(f, 512, 3));
}

struct reports {
	uint32_t last;
	uint32_t total;
	unsigned count;
	_Atomic int *stop; /* raised by report number `stop_at` */
	unsigned stop_at;
};

static void report(void *context, uint32_t pages, uint32_t page_count)
{
	struct reports *r = context;

	assert_true(pages > r->last);
	r->last = pages;
	r->total = page_count;
	r->count++;
	if (r->stop && r->count == r->stop_at) {
		*r->stop = 1;
	}
}

static void test_copy_reports_every_8_mib_and_the_end(void **state)
{
	struct fixture *f = *state;
	struct reports r = {0};
	struct shadow_copy copy = {.source_fd = f->source_fd,
				   .page_size = 65536,
				   .page_count = 3 * 128 + 5,
				   .progress = report,
				   .context = &r};
	struct shadow *shadow;
	struct error err;

	fill_source(f, 65536, copy.page_count);
	assert_int_equal(shadow_create(f->dir_fd, &copy, &shadow, &err), ST_OK);
	assert_int_equal(r.count, 4);
	assert_int_equal(r.last, copy.page_count);
	assert_int_equal(r.total, copy.page_count);
	verify(shadow);
	shadow_close(shadow);
	copy.page_count = 256;
	r = (struct reports){0};
	assert_int_equal(shadow_create(f->dir_fd, &copy, &shadow, &err), ST_OK);
	assert_int_equal(r.count, 2);
	shadow_close(shadow);
}

static void test_copy_that_is_stopped_leaves_nothing_to_open(void **state)
{
	struct fixture *f = *state;
	_Atomic int stop = 1;
	struct reports r = {.stop = &stop, .stop_at = 2};
	struct shadow_copy copy = {.source_fd = f->source_fd,
				   .page_size = 65536,
				   .page_count = 400,
				   .stop = &stop,
				   .progress = report,
				   .context = &r};
	struct shadow *shadow;
	struct error err;

	fill_source(f, 65536, 10);
	assert_int_equal(shadow_create(f->dir_fd, &copy, &shadow, &err), ST_STOPPED);
	assert_int_equal(r.count, 0);
	stop = 0;
	assert_int_equal(shadow_create(f->dir_fd, &copy, &shadow, &err), ST_STOPPED);
	assert_int_equal(r.count, 2);
	assert_int_equal(r.last, 256);
	assert_int_equal(faccessat(f->dir_fd, "shadow", F_OK, 0), -1);
	expect_open(f, 65536, 400, ST_DAMAGED, "shadow: is missing");
	stop = 0;
	r = (struct reports){0};
	assert_int_equal(shadow_create(f->dir_fd, &copy, &shadow, &err), ST_OK);
	shadow_close(shadow);
}

static int create_until_killed(const struct fixture *f)
{
	struct shadow_copy copy = {
	    .source_fd = f->source_fd, .page_size = 65536, .page_count = 100};
	struct shadow *shadow;
	struct error err;

	for (;;) {
		if (shadow_create(f->dir_fd, &copy, &shadow, &err) != ST_OK) {
			return 1;
		}
		shadow_close(shadow);
	}
}

static void test_copy_that_was_killed_is_whole_or_not_taken_for_one(void **state)
{
	struct fixture *f = *state;

	fill_source(f, 65536, 100);
	for (int i = 0; i < 30; i++) {
		pid_t pid = fork();
		struct shadow *shadow;
		struct error err;
		enum status status;

		assert_true(pid >= 0);
		if (pid == 0) {
			_exit(create_until_killed(f));
		}
		(void)usleep((useconds_t)(i * 997));
		(void)kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		status = shadow_open(f->dir_fd, 65536, 100, &shadow, &err);
		if (status == ST_OK) {
			verify(shadow);
			shadow_close(shadow);
		} else {
			assert_int_equal(status, ST_DAMAGED);
		}
	}
}

static void test_copy_needs_a_tenth_of_the_disk_left_free(void **state)
{
	struct fixture *f = *state;
	struct statvfs fs;
	uint64_t available;
	uint64_t total;
	struct shadow_copy copy = {.source_fd = f->source_fd, .page_size = 65536};
	struct shadow *shadow;
	struct error err;

	fill_source(f, 65536, 1);
	assert_int_equal(fstatvfs(f->dir_fd, &fs), 0);
	available = (uint64_t)fs.f_bavail * fs.f_frsize;
	total = (uint64_t)fs.f_blocks * fs.f_frsize;
	/* Room for it, but with 5 % of the disk left. */
	if (available < total / 5 || available / 65536 > UINT32_MAX) {
		skip();
	}
	copy.page_count = (uint32_t)((available - total / 20) / 65536);
	assert_int_equal(shadow_create(f->dir_fd, &copy, &shadow, &err), ST_IO);
	assert_int_equal(err.sys_errno, ENOSPC);
	assert_non_null(strstr(err.text, "10 % of the disk"));
	assert_non_null(strstr(err.text, "MiB"));
	assert_int_equal(faccessat(f->dir_fd, "shadow", F_OK, 0), -1);
	copy.page_count = 1;
	assert_int_equal(shadow_create(f->dir_fd, &copy, &shadow, &err), ST_OK);
	shadow_close(shadow);
}

static void test_copy_refuses_what_is_no_page_size(void **state)
{
	static const uint32_t sizes[] = {0, 1, 256, 513, 1000, 65535, 131072};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct shadow_copy copy = {
		    .source_fd = f->source_fd, .page_size = sizes[i], .page_count = 1};
		struct shadow *shadow;
		struct error err;

		assert_int_equal(shadow_create(f->dir_fd, &copy, &shadow, &err),
				 ST_DAMAGED);
		expect_open(f, sizes[i], 1, ST_DAMAGED, "pages of");
	}
}

static void test_copy_of_a_source_that_cannot_be_read_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct shadow_copy copy = {.page_size = 512, .page_count = 1};
	struct shadow *shadow;
	struct error err;

	copy.source_fd = f->dir_fd; /* EISDIR */
	assert_int_equal(shadow_create(f->dir_fd, &copy, &shadow, &err), ST_IO);
	assert_int_equal(err.sys_errno, EISDIR);
	assert_non_null(strstr(err.text, "the database file"));
	copy.source_fd = f->source_fd;
	assert_int_equal(mkdirat(f->dir_fd, "shadow", 0700), 0);
	assert_int_equal(shadow_create(f->dir_fd, &copy, &shadow, &err), ST_IO);
	assert_non_null(strstr(err.text, "shadow: the old file cannot be removed"));
	assert_int_equal(unlinkat(f->dir_fd, "shadow", AT_REMOVEDIR), 0);
}

/* ---- writing ---- */

static void test_pages_written_come_back_after_a_sync(void **state)
{
	struct fixture *f = *state;

	for (size_t s = 0; s < sizeof page_sizes / sizeof *page_sizes; s += 7) {
		uint32_t size = page_sizes[s];
		struct shadow *shadow;

		fill_source(f, size, 20);
		shadow = create(f, size, 20);
		for (uint32_t p = 1; p <= 20; p += 3) {
			write_page(shadow, p, 1, size);
		}
		sync_shadow(shadow);
		shadow_close(shadow);
		shadow = reopen(f, size, 20);
		for (uint32_t p = 1; p <= 20; p++) {
			assert_page(shadow, p, p % 3 == 1 ? 1 : 0, size);
		}
		verify(shadow);
		shadow_close(shadow);
	}
}

static void test_only_changed_hashes_are_written(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;
	struct error err;

	fill_source(f, 512, 2000);
	shadow = create(f, 512, 2000);
	/* Entries 513 to 1024 have a flag of their own. */
	flip(f, "hashes", HEAD + 8 * 599, 0xff);
	flip(f, "hashes", HEAD + 8 * 512, 0xff);
	write_page(shadow, 512, 1, 512);
	write_page(shadow, 1025, 1, 512);
	write_page(shadow, 2000, 1, 512);
	sync_shadow(shadow);
	shadow_close(shadow);
	shadow = reopen(f, 512, 2000);
	assert_int_equal(shadow_verify(shadow, NULL, &err), ST_DAMAGED);
	assert_non_null(strstr(err.text, "page 513 "));
	write_page(shadow, 1024, 1, 512); /* in that group: all of it */
	write_page(shadow, 513, 1, 512);
	write_page(shadow, 600, 1, 512);
	verify(shadow);
	sync_shadow(shadow);
	sync_shadow(shadow);
	shadow_close(shadow);
	shadow = reopen(f, 512, 2000);
	verify(shadow);
	assert_page(shadow, 512, 1, 512);
	assert_page(shadow, 1025, 1, 512);
	assert_page(shadow, 2000, 1, 512);
	shadow_close(shadow);
}

static void test_a_page_past_the_end_grows_the_shadow_with_zeros(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;

	fill_source(f, 4096, 2);
	shadow = create(f, 4096, 2);
	write_page(shadow, 3, 1, 4096);
	write_page(shadow, 1500, 1, 4096);
	assert_int_equal(shadow_page_count(shadow), 1500);
	for (uint32_t p = 4; p < 1500; p++) {
		assert_page(shadow, p, ZEROS, 4096);
	}
	verify(shadow);
	sync_shadow(shadow);
	shadow_close(shadow);
	shadow = reopen(f, 4096, 1500);
	verify(shadow);
	assert_page(shadow, 1, 0, 4096);
	assert_page(shadow, 3, 1, 4096);
	assert_page(shadow, 1500, 1, 4096);
	shadow_close(shadow);
}

static void test_an_empty_shadow_grows(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;

	shadow = create(f, 65536, 0);
	verify(shadow);
	sync_shadow(shadow);
	shadow_close(shadow);
	shadow = reopen(f, 65536, 0);
	write_page(shadow, 2, 1, 65536);
	sync_shadow(shadow);
	shadow_close(shadow);
	shadow = reopen(f, 65536, 2);
	assert_page(shadow, 1, ZEROS, 65536);
	assert_page(shadow, 2, 1, 65536);
	shadow_close(shadow);
}

/* The table of hashes is mapped anew; the file stays sparse. */
static void test_shadow_grows_past_1_gib_with_nothing_special_there(void **state)
{
	struct fixture *f = *state;
	const uint32_t lock_page = (1u << 30) / 65536 + 1;
	struct shadow *shadow;
	struct stat st;

	fill_source(f, 65536, 1);
	shadow = create(f, 65536, 1);
	write_page(shadow, lock_page + 1, 1, 65536);
	assert_page(shadow, lock_page, ZEROS, 65536);
	write_page(shadow, lock_page, 1, 65536);
	assert_page(shadow, lock_page, 1, 65536);
	sync_shadow(shadow);
	assert_int_equal(fstat(shadow_fd(shadow), &st), 0);
	assert_true(st.st_blocks < 4096);
	shadow_close(shadow);
	shadow = reopen(f, 65536, lock_page + 1);
	assert_page(shadow, 1, 0, 65536);
	assert_page(shadow, lock_page, 1, 65536);
	assert_page(shadow, lock_page + 1, 1, 65536);
	shadow_close(shadow);
}

static void test_the_table_of_hashes_grows(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;

	fill_source(f, 512, 5);
	shadow = create(f, 512, 5);
	for (uint32_t p = 65530; p <= 300000; p += 13337) {
		write_page(shadow, p, 1, 512);
	}
	for (uint32_t p = 300000; p < 300100; p++) {
		write_page(shadow, p, 1, 512);
	}
	assert_page(shadow, 5, 0, 512);
	assert_page(shadow, 6, ZEROS, 512);
	assert_page(shadow, 65530, 1, 512);
	assert_page(shadow, 65536, ZEROS, 512);
	assert_page(shadow, 65537, ZEROS, 512);
	sync_shadow(shadow);
	shadow_close(shadow);
	shadow = reopen(f, 512, 300099);
	verify(shadow);
	shadow_close(shadow);
}

static void test_pages_that_were_cut_off_come_back_as_zeros(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;
	struct error err;

	fill_source(f, 4096, 100);
	shadow = create(f, 4096, 100);
	assert_int_equal(shadow_resize(shadow, 40, &err), ST_OK);
	assert_int_equal(shadow_page_count(shadow), 40);
	assert_int_equal(shadow_hash(shadow, 41), 0);
	verify(shadow);
	write_page(shadow, 60, 1, 4096); /* within the old length */
	assert_page(shadow, 40, 0, 4096);
	assert_page(shadow, 41, ZEROS, 4096);
	assert_page(shadow, 59, ZEROS, 4096);
	assert_int_equal(shadow_resize(shadow, 40, &err), ST_OK);
	assert_int_equal(shadow_resize(shadow, 120, &err), ST_OK); /* past it */
	for (uint32_t p = 41; p <= 120; p++) {
		assert_page(shadow, p, ZEROS, 4096);
	}
	assert_int_equal(shadow_resize(shadow, 0, &err), ST_OK);
	assert_int_equal(shadow_resize(shadow, 3, &err), ST_OK);
	assert_page(shadow, 1, ZEROS, 4096);
	verify(shadow);
	sync_shadow(shadow);
	shadow_close(shadow);
	shadow = reopen(f, 4096, 3);
	verify(shadow);
	shadow_close(shadow);
	assert_int_equal(size_of(f, "shadow"), 3 * 4096);
}

/* Until meta has the new size the old one counts. */
static void test_a_fold_that_shrinks_may_be_cut_short(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;
	struct error err;

	fill_source(f, 4096, 3000);
	shadow = create(f, 4096, 3000);
	assert_int_equal(shadow_resize(shadow, 10, &err), ST_OK);
	write_page(shadow, 1, 1, 4096);
	sync_shadow(shadow);
	shadow_close(shadow); /* killed before meta was put */
	shadow = reopen(f, 4096, 3000);
	assert_page(shadow, 1, 1, 4096);
	assert_page(shadow, 10, 0, 4096);
	/* Again, and to the end. */
	assert_int_equal(shadow_resize(shadow, 10, &err), ST_OK);
	write_page(shadow, 1, 1, 4096);
	sync_shadow(shadow);
	shadow_close(shadow);
	shadow = reopen(f, 4096, 10);
	verify(shadow);
	assert_int_equal(size_of(f, "shadow"), 10 * 4096);
	write_page(shadow, 20, 1, 4096);
	assert_page(shadow, 11, ZEROS, 4096);
	verify(shadow);
	shadow_close(shadow);
}

static void test_what_is_cut_off_gives_its_blocks_back(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;
	struct stat st;
	struct error err;

	fill_source(f, 65536, 100);
	shadow = create(f, 65536, 100);
	assert_int_equal(shadow_resize(shadow, 2, &err), ST_OK);
	assert_int_equal(fstat(shadow_fd(shadow), &st), 0);
	assert_int_equal(st.st_size, 100 * 65536);
	assert_true(st.st_blocks < 10 * 65536 / 512);
	shadow_close(shadow);
}

/* A fold that grew the shadow, and is done again from the old size. */
static void test_a_fold_that_was_cut_short_is_done_again(void **state)
{
	struct fixture *f = *state;

	fill_source(f, 1024, 30);
	shadow_close(create(f, 1024, 30));
	for (uint32_t done = 0; done <= 20; done++) {
		struct shadow *shadow = reopen(f, 1024, 30);

		for (uint32_t p = 1; p <= done; p++) {
			write_page(shadow, p * 5, 1, 1024); /* to page 100 */
		}
		if (done % 2) {
			sync_shadow(shadow);
		}
		shadow_close(shadow);
		shadow = reopen(f, 1024, 30);
		assert_int_equal(size_of(f, "shadow"), 30 * 1024);
		for (uint32_t p = 1; p <= 20; p++) {
			write_page(shadow, p * 5, 1, 1024);
		}
		verify(shadow);
		assert_page(shadow, 31, ZEROS, 1024);
		assert_page(shadow, 99, ZEROS, 1024);
		shadow_close(shadow);
	}
}

/* Any order of writes and sizes gives what a model in memory has. */
static void test_random_writes_and_sizes_follow_a_model(void **state)
{
	enum { MOST = 1200, SIZE = 512 };
	static uint32_t model[MOST + 1]; /* versions */
	struct fixture *f = *state;
	struct shadow *shadow;
	struct error err;
	uint32_t count = 100;
	unsigned seed = 11;

	fill_source(f, SIZE, count);
	memset(model, 0, sizeof model);
	shadow = create(f, SIZE, count);
	for (uint32_t i = 1; i <= 3000; i++) {
		unsigned what = (unsigned)rand_r(&seed) % 100;
		uint32_t p = (uint32_t)rand_r(&seed) % MOST + 1;

		if (what < 90) {
			p = what < 80 && count > 0 ? p % count + 1 : p;
			for (; count < p; count++) {
				model[count + 1] = ZEROS;
			}
			write_page(shadow, p, i, SIZE);
			model[p] = i;
		} else if (what < 97) {
			assert_int_equal(shadow_resize(shadow, p, &err), ST_OK);
			for (; count < p; count++) {
				model[count + 1] = ZEROS;
			}
			count = p;
		} else {
			sync_shadow(shadow);
			shadow_close(shadow);
			shadow = reopen(f, SIZE, count);
		}
		assert_int_equal(shadow_page_count(shadow), count);
		if (i % 500 == 0) {
			verify(shadow);
			for (uint32_t q = 1; q <= count; q++) {
				assert_page(shadow, q, model[q], SIZE);
			}
		}
	}
	shadow_close(shadow);
}

/* ---- damage ---- */

static void test_verify_finds_a_change_in_every_byte_of_the_shadow(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;
	struct error err;
	char text[64];

	fill_source(f, 512, 9);
	shadow = create(f, 512, 9);
	for (off_t i = 0; i < 9 * 512; i++) {
		flip(f, "shadow", i, (uint8_t)(1u << (i % 8)));
		assert_int_equal(shadow_verify(shadow, NULL, &err), ST_DAMAGED);
		(void)snprintf(text, sizeof text, "shadow: page %u is damaged",
			       (unsigned)(i / 512) + 1);
		assert_non_null(strstr(err.text, text));
		assert_non_null(strstr(err.text, "a new snapshot will be taken"));
		flip(f, "shadow", i, (uint8_t)(1u << (i % 8)));
	}
	verify(shadow);
	shadow_close(shadow);
}

static void test_a_change_in_every_byte_of_the_hashes_is_found(void **state)
{
	struct fixture *f = *state;

	fill_source(f, 65536, 5);
	shadow_close(create(f, 65536, 5));
	for (off_t i = 0; i < HEAD + 5 * 8; i++) {
		struct shadow *shadow;
		struct error err;
		char text[64];

		flip(f, "hashes", i, 0x40);
		if (i < HEAD) {
			expect_open(f, 65536, 5, ST_DAMAGED,
				    "hashes: is damaged (head)");
		} else {
			shadow = reopen(f, 65536, 5);
			assert_int_equal(shadow_verify(shadow, NULL, &err), ST_DAMAGED);
			(void)snprintf(text, sizeof text, "page %u is damaged",
				       (unsigned)(i - HEAD) / 8 + 1);
			assert_non_null(strstr(err.text, text));
			shadow_close(shadow);
		}
		flip(f, "hashes", i, 0x40);
	}
	shadow_close(reopen(f, 65536, 5));
}

static void test_verify_finds_two_pages_that_changed_places(void **state)
{
	struct fixture *f = *state;
	uint8_t zeros[1024] = {0};
	struct shadow *shadow;
	struct error err;
	int fd;

	fill_source(f, 512, 2);
	shadow = create(f, 512, 2);
	fd = shadow_fd(shadow);
	assert_int_equal(pread(fd, zeros, 512, 512), 512);
	assert_int_equal(pread(fd, zeros + 512, 512, 0), 512);
	assert_int_equal(pwrite(fd, zeros, 1024, 0), 1024);
	assert_int_equal(shadow_verify(shadow, NULL, &err), ST_DAMAGED);
	assert_non_null(strstr(err.text, "page 1 "));
	shadow_close(shadow);
}

static void test_verify_finds_a_file_that_became_shorter(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;
	struct error err;

	fill_source(f, 4096, 600);
	shadow = create(f, 4096, 600);
	cut_file(f, "shadow", 590 * 4096 + 1);
	assert_int_equal(shadow_verify(shadow, NULL, &err), ST_DAMAGED);
	assert_non_null(strstr(err.text, "page 591 "));
	shadow_close(shadow);
}

static void test_verify_can_be_stopped(void **state)
{
	struct fixture *f = *state;
	_Atomic int stop = 0;
	struct shadow *shadow;
	struct error err;

	fill_source(f, 4096, 3);
	shadow = create(f, 4096, 3);
	assert_int_equal(shadow_verify(shadow, &stop, &err), ST_OK);
	stop = 1;
	assert_int_equal(shadow_verify(shadow, &stop, &err), ST_STOPPED);
	shadow_close(shadow);
}

static void test_open_finds_files_that_are_too_short(void **state)
{
	struct fixture *f = *state;
	off_t len;

	fill_source(f, 512, 20);
	shadow_close(create(f, 512, 20));
	expect_open(f, 512, 21, ST_DAMAGED, "hashes: has 20 of 21 pages");
	expect_open(f, 512, UINT32_MAX, ST_DAMAGED, "hashes: has 20 of");
	for (len = HEAD + 20 * 8 - 1; len >= 0; len--) {
		cut_file(f, "hashes", len);
		expect_open(f, 512, 20, ST_DAMAGED, "hashes: ");
	}
	shadow_close(create(f, 512, 20));
	for (len = 20 * 512 - 1; len >= 0; len -= 100) {
		cut_file(f, "shadow", len);
		expect_open(f, 512, 20, ST_DAMAGED, "shadow: has ");
	}
	assert_int_equal(unlinkat(f->dir_fd, "shadow", 0), 0);
	expect_open(f, 512, 20, ST_DAMAGED, "shadow: is missing");
	shadow_close(create(f, 512, 20));
	assert_int_equal(unlinkat(f->dir_fd, "hashes", 0), 0);
	expect_open(f, 512, 20, ST_DAMAGED, "hashes: is missing");
}

static void test_open_refuses_another_page_size_and_what_is_no_file(void **state)
{
	struct fixture *f = *state;

	fill_source(f, 512, 20);
	shadow_close(create(f, 512, 20));
	expect_open(f, 1024, 10, ST_DAMAGED, "hashes: is damaged (head)");
	assert_int_equal(unlinkat(f->dir_fd, "shadow", 0), 0);
	assert_int_equal(symlinkat("app.db", f->dir_fd, "shadow"), 0);
	expect_open(f, 512, 20, ST_CONFIG, "shadow is a symbolic link");
	assert_int_equal(unlinkat(f->dir_fd, "shadow", 0), 0);
	assert_int_equal(mkfifoat(f->dir_fd, "shadow", 0600), 0);
	expect_open(f, 512, 20, ST_CONFIG, "shadow is not a regular file");
}

static void test_open_takes_a_longer_file_and_cuts_it(void **state)
{
	struct fixture *f = *state;
	struct shadow *shadow;
	struct error err;

	fill_source(f, 512, 20);
	shadow_close(create(f, 512, 20));
	shadow = reopen(f, 512, 12);
	assert_int_equal(size_of(f, "shadow"), 12 * 512);
	verify(shadow);
	write_page(shadow, 14, 1, 512);
	assert_page(shadow, 13, ZEROS, 512);
	sync_shadow(shadow);
	shadow_close(shadow);
	cut_file(f, "shadow", 14 * 512 + 7);
	if (shadow_open_read(f->dir_fd, 512, 14, &shadow, &err) != ST_OK) {
		fail_msg("shadow_open_read: %s", err.text);
	}
	verify(shadow);
	shadow_close(shadow);
	assert_int_equal(size_of(f, "shadow"), 14 * 512 + 7); /* not when it reads */
	shadow = reopen(f, 512, 14);
	assert_int_equal(size_of(f, "shadow"), 14 * 512);
	verify(shadow);
	shadow_close(shadow);
}

/* ---- a full disk ---- */

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Past a limit on file sizes writing fails as on a full disk (EFBIG). */
static void test_copy_that_does_not_fit_is_removed(void **state)
{
	struct fixture *f = *state;
	struct shadow_copy copy = {
	    .source_fd = f->source_fd, .page_size = 512, .page_count = 20};
	struct shadow *shadow;
	struct error err;

	fill_source(f, 512, 20);
	for (rlim_t limit = 0; limit < 20 * 512; limit += 500) {
		limit_files(limit);
		assert_int_equal(shadow_create(f->dir_fd, &copy, &shadow, &err), ST_IO);
		limit_files(RLIM_INFINITY);
		assert_int_equal(err.sys_errno, EFBIG);
		assert_non_null(strstr(err.text, "cannot be written"));
		assert_int_equal(faccessat(f->dir_fd, "shadow", F_OK, 0), -1);
		expect_open(f, 512, 20, ST_DAMAGED, "is missing");
	}
	/* The shadow is empty and fits, its hashes do not. */
	copy.page_count = 0;
	limit_files(HEAD - 1);
	assert_int_equal(shadow_create(f->dir_fd, &copy, &shadow, &err), ST_IO);
	limit_files(RLIM_INFINITY);
	assert_non_null(strstr(err.text, "hashes: cannot be written"));
}

static void test_a_shadow_that_cannot_grow_stays_as_it_is(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[512] = {1};
	struct shadow *shadow;
	struct error err;

	fill_source(f, 512, 20);
	shadow = create(f, 512, 20);
	limit_files(20 * 512);
	assert_int_equal(shadow_write(shadow, 21, bytes, &err), ST_IO);
	assert_int_equal(shadow_resize(shadow, 1000, &err), ST_IO);
	limit_files(RLIM_INFINITY);
	assert_int_equal(err.sys_errno, EFBIG);
	assert_int_equal(shadow_page_count(shadow), 20);
	verify(shadow);
	/* A page within, and the hashes. */
	limit_files(10);
	assert_int_equal(shadow_write(shadow, 20, bytes, &err), ST_IO);
	limit_files(RLIM_INFINITY);
	verify(shadow);
	write_page(shadow, 20, 1, 512);
	limit_files(10);
	assert_int_equal(shadow_sync(shadow, &err), ST_IO);
	limit_files(RLIM_INFINITY);
	assert_non_null(strstr(err.text, "hashes: cannot be written"));
	sync_shadow(shadow); /* nothing counts as written */
	shadow_close(shadow);
	shadow = reopen(f, 512, 20);
	verify(shadow);
	shadow_close(shadow);
}

/* On a disk of 1 MiB; 77: none to be had. */
static int fill_small_disk(const struct fixture *f)
{
	struct shadow_copy copy = {
	    .source_fd = f->source_fd, .page_size = 4096, .page_count = 100};
	static uint8_t bytes[4096] = {7};
	struct shadow *shadow;
	struct error err;
	uint32_t page_no = 100;
	int dir_fd;

	if (unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", f->folder, "tmpfs", 0, "size=1m") != 0) {
		return 77;
	}
	dir_fd = open(f->folder, O_RDONLY | O_DIRECTORY);
	copy.page_count = 235; /* 92 % */
	if (shadow_create(dir_fd, &copy, &shadow, &err) != ST_IO ||
	    err.sys_errno != ENOSPC) {
		return 1;
	}
	copy.page_count = 100;
	if (shadow_create(dir_fd, &copy, &shadow, &err) != ST_OK) {
		return 2;
	}
	while (shadow_write(shadow, ++page_no, bytes, &err) == ST_OK) {
		if (page_no > 300) {
			return 3;
		}
	}
	if (err.status != ST_IO || err.sys_errno != ENOSPC || page_no < 200) {
		return 4;
	}
	/* The page that did not fit is zeros: the caller takes it back. */
	if (shadow_resize(shadow, page_no - 1, &err) != ST_OK ||
	    shadow_verify(shadow, NULL, &err) != ST_OK) {
		return 5;
	}
	shadow_close(shadow);
	return 0;
}

static void test_a_full_disk_is_told_by_its_errno(void **state)
{
	struct fixture *f = *state;
	int rc;

	fill_source(f, 4096, 100);
	rc = in_child(fill_small_disk, f);
	if (rc == 77) { /* not root */
		skip();
	}
	assert_int_equal(rc, 0);
}

static void test_shadow_close_takes_null(void **state)
{
	(void)state;
	shadow_close(NULL);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(shadow_is_the_database_page_for_page),
	    TEST(shadow_files_are_private_under_any_umask),
	    TEST(hash_is_seeded_with_the_page_number),
	    TEST(hash_past_the_end_is_0),
	    TEST(source_that_ends_early_is_zeros_from_there),
	    TEST(source_that_is_longer_is_cut),
	    TEST(source_with_holes_and_no_file_at_all),
	    TEST(a_second_copy_takes_the_place_of_the_first),
	    TEST(copy_reports_every_8_mib_and_the_end),
	    TEST(copy_that_is_stopped_leaves_nothing_to_open),
	    TEST(copy_that_was_killed_is_whole_or_not_taken_for_one),
	    TEST(copy_needs_a_tenth_of_the_disk_left_free),
	    TEST(copy_refuses_what_is_no_page_size),
	    TEST(copy_of_a_source_that_cannot_be_read_is_an_error),
	    TEST(pages_written_come_back_after_a_sync),
	    TEST(only_changed_hashes_are_written),
	    TEST(a_page_past_the_end_grows_the_shadow_with_zeros),
	    TEST(an_empty_shadow_grows),
	    TEST(shadow_grows_past_1_gib_with_nothing_special_there),
	    TEST(the_table_of_hashes_grows),
	    TEST(pages_that_were_cut_off_come_back_as_zeros),
	    TEST(a_fold_that_shrinks_may_be_cut_short),
	    TEST(what_is_cut_off_gives_its_blocks_back),
	    TEST(a_fold_that_was_cut_short_is_done_again),
	    TEST(random_writes_and_sizes_follow_a_model),
	    TEST(verify_finds_a_change_in_every_byte_of_the_shadow),
	    TEST(a_change_in_every_byte_of_the_hashes_is_found),
	    TEST(verify_finds_two_pages_that_changed_places),
	    TEST(verify_finds_a_file_that_became_shorter),
	    TEST(verify_can_be_stopped),
	    TEST(open_finds_files_that_are_too_short),
	    TEST(open_refuses_another_page_size_and_what_is_no_file),
	    TEST(open_takes_a_longer_file_and_cuts_it),
	    TEST(copy_that_does_not_fit_is_removed),
	    TEST(a_shadow_that_cannot_grow_stays_as_it_is),
	    TEST(a_full_disk_is_told_by_its_errno),
	    TEST(shadow_close_takes_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
