/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/storage/location.h"

#define CONTENT "not LTX, but nobody asks here"

static const struct archive_file file = {.level = 3,
					 .min_txid = 0x2b,
					 .max_txid = 0x31,
					 .time_ns = 1700000000123456789,
					 .size = sizeof CONTENT - 1};
#define FILE_NAME "ltx/3/000000000000002b-0000000000000031.ltx"

static const struct storage_settings settings;

struct place {
	char folder[64];
	char root[80];
	struct storage *storage;
	struct error err;
};

/* ---- the place ---- */

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
	(void)snprintf(p->root, sizeof p->root, "%s/root", p->folder);
	assert_int_equal(
	    location_open_to_write(p->root, &settings, true, &p->storage, &p->err),
	    ST_OK);
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

	storage_close(p->storage);
	(void)nftw(p->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(p);
	return 0;
}

static const char *path_of(const struct place *p, const char *name)
{
	static char path[200];

	(void)snprintf(path, sizeof path, "%s/%s", p->root, name);
	return path;
}

/* A file with that content: on the archive's file system, or on none that is. */
static int source(const struct place *p, bool is_near, const char *content)
{
	char path[] = "/root-XXXXXX";
	char near[sizeof p->folder + sizeof path];
	int fd;

	(void)snprintf(near, sizeof near, "%s%s", p->folder, path);
	fd = is_near ? mkstemp(near) : memfd_create("far", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(file_write_at(fd, content, strlen(content), 0));
	return fd;
}

static enum status put(struct place *p, bool is_near, const char *content)
{
	struct archive_file f = file;
	int fd = source(p, is_near, content);
	enum status status;

	f.size = strlen(content);
	status = storage_put(p->storage, &f, fd, &p->err);
	(void)close(fd);
	return status;
}

static void check_content(const struct place *p, const char *name, const char *content)
{
	char bytes[200] = {0};
	int fd = open(path_of(p, name), O_RDONLY);

	assert_true(fd >= 0);
	assert_true(file_read_at(fd, bytes, sizeof bytes - 1, 0) >= 0);
	assert_string_equal(bytes, content);
	(void)close(fd);
}

static void write_file(const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_true(file_write_at(fd, content, strlen(content), 0));
	(void)close(fd);
}

static size_t listed(struct place *p, struct archive_file *first)
{
	struct archive_list list = {0};
	size_t count;

	assert_int_equal(storage_list(p->storage, &list, &p->err), ST_OK);
	count = list.count;
	if (count > 0) {
		*first = list.files[0];
		assert_true(first->stored_ns > file.time_ns);
		first->stored_ns = 0; /* not one of what was put */
	}
	archive_list_clear(&list);
	return count;
}

/* ---- tests ---- */

static void test_a_file_that_is_put_is_listed_with_its_time(void **state)
{
	struct place *p = *state;

	for (int is_near = 0; is_near < 2; is_near++) {
		struct archive_file found;
		struct stat st;

		assert_int_equal(listed(p, &found), 0);
		if (put(p, is_near, CONTENT) != ST_OK) {
			fail_msg("%s", p->err.text);
		}
		assert_int_equal(listed(p, &found), 1);
		assert_memory_equal(&found, &file, sizeof file);
		check_content(p, FILE_NAME, CONTENT);
		assert_int_equal(stat(path_of(p, FILE_NAME), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(st.st_nlink, 1 + is_near);
		assert_int_equal(stat(path_of(p, "ltx/3"), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
		assert_int_equal(access(path_of(p, FILE_NAME ".tmp"), F_OK), -1);
		assert_int_equal(storage_remove(p->storage, &file, &p->err), ST_OK);
	}
}

static void test_the_same_again_is_well_and_another_content_is_not(void **state)
{
	struct place *p = *state;
	struct timespec times[2] = {{0}, {0}};
	struct archive_file found;

	for (int is_near = 0; is_near < 2; is_near++) {
		assert_int_equal(put(p, is_near, CONTENT), ST_OK);
		/* A time that was spoilt is mended. */
		assert_int_equal(utimensat(AT_FDCWD, path_of(p, FILE_NAME), times, 0),
				 0);
		assert_int_equal(put(p, !is_near, CONTENT), ST_OK);
		assert_int_equal(listed(p, &found), 1);
		assert_memory_equal(&found, &file, sizeof file);
		assert_int_equal(put(p, is_near, CONTENT "!"), ST_CONFIG);
		assert_non_null(strstr(p->err.text, "somebody else writes"));
		assert_int_equal(put(p, is_near, "something else of one length."),
				 ST_CONFIG);
		check_content(p, FILE_NAME, CONTENT);
		assert_int_equal(storage_remove(p->storage, &file, &p->err), ST_OK);
		assert_int_equal(storage_remove(p->storage, &file, &p->err), ST_OK);
	}
}

static void test_what_a_killed_writer_left_is_replaced(void **state)
{
	struct place *p = *state;
	char victim[200];
	struct archive_file found;

	(void)snprintf(victim, sizeof victim, "%s", path_of(p, "victim"));
	write_file(victim, "mine");
	assert_int_equal(mkdir(path_of(p, "ltx/3"), 0700), 0);
	write_file(path_of(p, FILE_NAME ".tmp"), "half of someth");
	assert_int_equal(listed(p, &found), 0);
	assert_int_equal(put(p, false, CONTENT), ST_OK);
	check_content(p, FILE_NAME, CONTENT);
	assert_int_equal(storage_remove(p->storage, &file, &p->err), ST_OK);
	/* A link is not followed, but replaced. */
	assert_int_equal(symlink(victim, path_of(p, FILE_NAME ".tmp")), 0);
	assert_int_equal(put(p, false, CONTENT), ST_OK);
	check_content(p, "victim", "mine");
	check_content(p, FILE_NAME, CONTENT);
}

static void test_links_and_files_in_the_place_of_folders_are_refused(void **state)
{
	struct place *p = *state;

	assert_int_equal(mkdir(path_of(p, "elsewhere"), 0700), 0);
	assert_int_equal(symlink("../elsewhere", path_of(p, "ltx/3")), 0);
	assert_int_equal(put(p, true, CONTENT), ST_CONFIG);
	assert_non_null(strstr(p->err.text, "/ltx/3"));
	assert_non_null(strstr(p->err.text, "use another archive"));
	assert_int_equal(storage_remove(p->storage, &file, &p->err), ST_CONFIG);
	assert_int_equal(unlink(path_of(p, "ltx/3")), 0);
	write_file(path_of(p, "ltx/3"), "");
	assert_true(put(p, true, CONTENT) != ST_OK);
	assert_non_null(strstr(p->err.text, "/ltx/3"));
	assert_int_equal(unlink(path_of(p, "ltx/3")), 0);
	assert_int_equal(mkdir(path_of(p, "ltx/3"), 0700), 0);
	assert_int_equal(mkdir(path_of(p, FILE_NAME), 0700), 0);
	assert_int_equal(put(p, true, CONTENT), ST_CONFIG);
	assert_non_null(strstr(p->err.text, "is no regular file"));
	assert_int_equal(rmdir(path_of(p, FILE_NAME)), 0);
	assert_int_equal(symlink("/dev/null", path_of(p, FILE_NAME)), 0);
	assert_int_equal(put(p, true, CONTENT), ST_CONFIG);
	assert_non_null(strstr(p->err.text, "is no regular file"));
}

/* Made where the archive lies it needs no copy. */
static void test_a_temporary_file_becomes_one_of_the_archive(void **state)
{
	struct place *p = *state;
	struct archive_file found;
	int fd;

	assert_int_equal(storage_temp(p->storage, &fd, &p->err), ST_OK);
	assert_true(file_write_at(fd, CONTENT, file.size, 0));
	assert_int_equal(listed(p, &found), 0);
	assert_int_equal(storage_put(p->storage, &file, fd, &p->err), ST_OK);
	(void)close(fd);
	assert_int_equal(listed(p, &found), 1);
	check_content(p, FILE_NAME, CONTENT);
}

static void test_a_file_of_another_length_is_refused(void **state)
{
	struct place *p = *state;
	int fd = source(p, true, "short");
	struct archive_file found;

	assert_int_equal(storage_put(p->storage, &file, fd, &p->err), ST_IO);
	assert_non_null(strstr(p->err.text, "would have 5 bytes and not"));
	assert_int_equal(listed(p, &found), 0);
	(void)close(fd);
}

/* A limit is as good as a full disk: the file is cut in the middle. */
static void test_a_full_disk_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct rlimit limit;
	struct rlimit small;
	struct archive_file found;
	struct archive_file big = file;
	int fd = memfd_create("far", MFD_CLOEXEC);

	big.size = 300000;
	assert_int_equal(ftruncate(fd, (off_t)big.size), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = (struct rlimit){.rlim_cur = 100000, .rlim_max = limit.rlim_max};
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(storage_put(p->storage, &big, fd, &p->err), ST_IO);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(error_is_full(&p->err) || p->err.sys_errno == EFBIG);
	assert_int_equal(listed(p, &found), 0);
	assert_int_equal(access(path_of(p, FILE_NAME ".tmp"), F_OK), -1);
	assert_int_equal(storage_put(p->storage, &big, fd, &p->err), ST_OK);
	assert_int_equal(listed(p, &found), 1);
	(void)close(fd);
}

/* In the place of the system's. */
static struct {
	uint64_t end; /* of what was asked for last */
	unsigned calls;
	bool fails;
} range;

int sync_file_range(int fd, off_t offset, off_t len, unsigned flags)
{
	(void)fd;
	range.calls++;
	if (!(flags & SYNC_FILE_RANGE_WAIT_AFTER)) {
		assert_int_equal(offset, range.end);
		range.end += (uint64_t)len;
	}
	errno = EIO;
	return range.fails ? -1 : 0;
}

static void test_what_is_copied_goes_to_the_disk_by_and_by(void **state)
{
	struct place *p = *state;
	struct archive_file large = file;
	int fd = memfd_create("far", MFD_CLOEXEC);

	large.size = 20u << 20;
	assert_true(fd >= 0 && ftruncate(fd, (off_t)large.size) == 0);
	range.fails = true;
	assert_int_equal(storage_put(p->storage, &large, fd, &p->err), ST_IO);
	assert_int_equal(p->err.sys_errno, EIO);
	memset(&range, 0, sizeof range);
	assert_int_equal(storage_put(p->storage, &large, fd, &p->err), ST_OK);
	assert_int_equal(range.end, 16u << 20);
	assert_int_equal(range.calls, 3);
	(void)close(fd);
}

static void test_an_archive_that_went_away_is_an_error(void **state)
{
	struct place *p = *state;

	assert_int_equal(rmdir(path_of(p, "ltx")), 0);
	assert_int_equal(put(p, true, CONTENT), ST_IO);
	assert_int_equal(access(path_of(p, "ltx"), F_OK), -1);
}

static void test_without_permission_nothing_is_written(void **state)
{
	struct place *p = *state;

	if (geteuid() == 0) {
		skip();
	}
	assert_int_equal(chmod(path_of(p, "ltx"), 0500), 0);
	assert_int_equal(put(p, true, CONTENT), ST_IO);
	assert_non_null(strstr(p->err.text, "/ltx/3"));
	assert_int_equal(chmod(path_of(p, "ltx"), 0700), 0);
}

static void test_notes_are_kept_as_they_were_first(void **state)
{
	struct place *p = *state;
	char bytes[5];
	size_t len;

	assert_int_equal(storage_get_note(p->storage, "rowtail.json", bytes,
					  sizeof bytes, &len, &p->err),
			 ST_END);
	assert_int_equal(
	    storage_put_note(p->storage, "rowtail.json", "12345", 5, &p->err), ST_OK);
	assert_int_equal(
	    storage_put_note(p->storage, "rowtail.json", "12345", 5, &p->err), ST_OK);
	assert_int_equal(
	    storage_put_note(p->storage, "rowtail.json", "12346", 5, &p->err),
	    ST_CONFIG);
	assert_non_null(strstr(p->err.text, "root/rowtail.json is there already"));
	assert_int_equal(storage_get_note(p->storage, "rowtail.json", bytes,
					  sizeof bytes, &len, &p->err),
			 ST_OK);
	assert_int_equal(len, 5);
	assert_memory_equal(bytes, "12345", 5);
	assert_int_equal(
	    storage_get_note(p->storage, "rowtail.json", bytes, 4, &len, &p->err),
	    ST_CONFIG);
	assert_non_null(strstr(p->err.text, "too long"));
}

static void test_who_reads_writes_nothing(void **state)
{
	struct place *p = *state;
	struct storage *storage;
	char bytes[5];
	size_t len;
	int fd = source(p, true, CONTENT);

	assert_int_equal(storage_put_note(p->storage, "note", "1", 1, &p->err), ST_OK);
	assert_int_equal(location_open(p->root, &settings, &storage, &p->err), ST_OK);
	assert_int_equal(storage_put(storage, &file, fd, &p->err), ST_CONFIG);
	assert_int_equal(storage_remove(storage, &file, &p->err), ST_CONFIG);
	assert_int_equal(storage_put_note(storage, "note2", "1", 1, &p->err),
			 ST_CONFIG);
	assert_int_equal(
	    storage_get_note(storage, "note", bytes, sizeof bytes, &len, &p->err),
	    ST_OK);
	(void)close(fd);
	storage_close(storage);
}

static void test_an_archive_is_made_only_if_it_shall_be(void **state)
{
	struct place *p = *state;
	char path[200];
	struct storage *storage;

	(void)snprintf(path, sizeof path, "%s/other", p->folder);
	assert_int_equal(
	    location_open_to_write(path, &settings, false, &storage, &p->err),
	    ST_CONFIG);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(
	    location_open_to_write(path, &settings, false, &storage, &p->err),
	    ST_CONFIG);
	assert_int_equal(
	    location_open_to_write(path, &settings, true, &storage, &p->err), ST_OK);
	storage_close(storage);
	assert_int_equal(
	    location_open_to_write(path, &settings, false, &storage, &p->err), ST_OK);
	storage_close(storage);
	(void)snprintf(path, sizeof path, "%s/no/folder", p->folder);
	assert_int_equal(
	    location_open_to_write(path, &settings, true, &storage, &p->err),
	    ST_CONFIG);
	assert_non_null(strstr(p->err.text, "make the folder above it first"));
	(void)snprintf(path, sizeof path, "%s/old/", p->folder);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/old/generations", p->folder);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/old/", p->folder);
	assert_int_equal(
	    location_open_to_write(path, &settings, true, &storage, &p->err),
	    ST_CONFIG);
	assert_non_null(strstr(p->err.text, "give another folder"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_a_file_that_is_put_is_listed_with_its_time),
	    TEST(test_the_same_again_is_well_and_another_content_is_not),
	    TEST(test_what_a_killed_writer_left_is_replaced),
	    TEST(test_links_and_files_in_the_place_of_folders_are_refused),
	    TEST(test_a_temporary_file_becomes_one_of_the_archive),
	    TEST(test_a_file_of_another_length_is_refused),
	    TEST(test_a_full_disk_leaves_nothing),
	    TEST(test_what_is_copied_goes_to_the_disk_by_and_by),
	    TEST(test_an_archive_that_went_away_is_an_error),
	    TEST(test_without_permission_nothing_is_written),
	    TEST(test_notes_are_kept_as_they_were_first),
	    TEST(test_who_reads_writes_nothing),
	    TEST(test_an_archive_is_made_only_if_it_shall_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
