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

#include "src/base/clock.h"
#include "src/state/same_database.h"
#include "tests/lib/capture_rig.h"

#define PAGE  4096
#define PAGES 40

/* A database, the copy of it in a state directory, and a path where nothing is. */
struct fixture {
	struct rig_folder folder;
	const char *path;
	char gone[320];
	char copy[320];
	int shadow_fd;
	struct state_meta meta;
	bool is_copy;
};

static void copy_file(const char *from, const char *to)
{
	char command[1000];

	(void)snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
	assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	rig_folder_init(&f->folder, PAGE);
	f->path = f->folder.path;
	assert_int_equal(rig_sql(f->path, "INSERT INTO t(v) WITH RECURSIVE n(i) AS"
					  " (SELECT 1 UNION ALL SELECT i + 1 FROM n"
					  " WHERE i < 100) SELECT randomblob(3000)"
					  " FROM n"),
			 0);
	(void)snprintf(f->gone, sizeof f->gone, "%s/gone.db", f->folder.folder);
	(void)snprintf(f->copy, sizeof f->copy, "%s/shadow", f->folder.folder);
	copy_file(f->path, f->copy);
	f->shadow_fd = open(f->copy, O_RDONLY | O_CLOEXEC);
	f->meta.page_size = PAGE;
	f->meta.base_pages = (uint32_t)(rig_file_size(f->path) / PAGE);
	assert_true(f->meta.base_pages > PAGES);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)close(f->shadow_fd);
	rig_folder_clear(&f->folder);
	free(f);
	return 0;
}

/* Is what is at the path now the database that was at `gone`? */
static bool is_same(struct fixture *f)
{
	return same_database(&f->meta, f->shadow_fd, f->gone, f->path, &f->is_copy);
}

static void note_clean_stop(struct fixture *f)
{
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	f->meta.is_clean = true;
	f->meta.clean_device = st.st_dev;
	f->meta.clean_inode = st.st_ino;
	f->meta.clean_size = (uint64_t)st.st_size;
	f->meta.clean_mtime_ns =
	    (int64_t)st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
}

/* Noise in so many pages from page 2 on. */
static void change_pages(const struct fixture *f, uint32_t count)
{
	int fd = open(f->path, O_WRONLY | O_CLOEXEC);

	for (uint32_t i = 0; i < count; i++) {
		uint8_t page[PAGE];

		memset(page, (int)(i % 200 + 7), sizeof page);
		assert_int_equal(pwrite(fd, page, sizeof page, PAGE * (off_t)(i + 1)),
				 PAGE);
	}
	assert_int_equal(close(fd), 0);
}

static void test_the_same_pages_are_the_same_database(void **state)
{
	struct fixture *f = *state;

	assert_true(is_same(f));
	assert_false(f->is_copy);
}

static void test_half_of_the_pages_are_enough(void **state)
{
	struct fixture *f = *state;

	change_pages(f, f->meta.base_pages / 2 - 2);
	assert_true(is_same(f));
	change_pages(f, f->meta.base_pages / 2 + 2);
	assert_false(is_same(f));
}

static void test_another_page_size_is_another_database(void **state)
{
	struct fixture *f = *state;

	f->meta.page_size = 1024;
	f->meta.base_pages *= 4;
	assert_false(is_same(f));
}

static void test_without_a_copy_or_a_file_it_is_not(void **state)
{
	struct fixture *f = *state;

	assert_false(same_database(&f->meta, -1, f->gone, f->path, &f->is_copy));
	assert_int_equal(unlink(f->path), 0);
	assert_false(is_same(f));
	assert_int_equal(mkdir(f->path, 0700), 0);
	assert_false(is_same(f));
}

static void test_while_the_original_is_there_it_is_a_copy(void **state)
{
	struct fixture *f = *state;

	copy_file(f->path, f->gone);
	assert_false(is_same(f));
	assert_true(f->is_copy);
}

static void test_the_same_file_by_two_paths_is_no_copy(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(link(f->path, f->gone), 0);
	assert_true(is_same(f));
	assert_false(f->is_copy);
}

static void test_the_file_of_a_clean_stop_needs_no_copy(void **state)
{
	struct fixture *f = *state;

	note_clean_stop(f);
	assert_true(same_database(&f->meta, -1, f->gone, f->path, &f->is_copy));
	f->meta.is_clean = false;
	assert_false(same_database(&f->meta, -1, f->gone, f->path, &f->is_copy));
}

/* A file that was removed leaves its inode to the next one. */
static void test_the_inode_of_a_clean_stop_alone_proves_nothing(void **state)
{
	struct fixture *f = *state;

	change_pages(f, f->meta.base_pages - 1);
	note_clean_stop(f);
	f->meta.clean_mtime_ns--;
	assert_false(is_same(f));
	note_clean_stop(f);
	f->meta.clean_size--;
	assert_false(is_same(f));
	note_clean_stop(f);
	assert_true(is_same(f));
}

/* Pages without contents say nothing; where there are no others, the schema does. */
static void test_an_empty_database_is_known_by_its_schema(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rig_sql(f->path, "DELETE FROM t; VACUUM; PRAGMA "
					  "wal_checkpoint(TRUNCATE)"),
			 0);
	copy_file(f->path, f->copy);
	f->meta.base_pages = (uint32_t)(rig_file_size(f->path) / PAGE);
	assert_true(is_same(f));
	assert_int_equal(rig_sql(f->path, "CREATE TABLE more(a); PRAGMA "
					  "wal_checkpoint(TRUNCATE)"),
			 0);
	assert_false(is_same(f));
}

static void owns(const struct fixture *f, const char *suffix, bool is_owned)
{
	char name[640];

	(void)snprintf(name, sizeof name, "%s%s", f->path, suffix);
	assert_int_equal(same_database_owns(f->path, name), is_owned);
	(void)snprintf(name, sizeof name, "%s/../%s/./app.db%s", f->folder.folder,
		       strrchr(f->folder.folder, '/') + 1, suffix);
	assert_int_equal(same_database_owns(f->path, name), is_owned);
}

static void test_the_files_that_sqlite_keeps_beside_it_are_its_own(void **state)
{
	struct fixture *f = *state;

	owns(f, "", true);
	owns(f, "-wal", true);
	owns(f, "-shm", true);
	owns(f, "-journal", true);
	owns(f, "-wal/", true);
	owns(f, "-shm///", true);
	owns(f, "-rowtail", false);
	owns(f, "-wal2", false);
	owns(f, "-wal/state", false);
	assert_false(same_database_owns(f->path, "app.db-wal"));
	assert_false(same_database_owns(f->path, ""));
	assert_false(same_database_owns(f->path, "/"));
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_the_same_pages_are_the_same_database),
	    CASE(test_half_of_the_pages_are_enough),
	    CASE(test_another_page_size_is_another_database),
	    CASE(test_without_a_copy_or_a_file_it_is_not),
	    CASE(test_while_the_original_is_there_it_is_a_copy),
	    CASE(test_the_same_file_by_two_paths_is_no_copy),
	    CASE(test_the_file_of_a_clean_stop_needs_no_copy),
	    CASE(test_the_inode_of_a_clean_stop_alone_proves_nothing),
	    CASE(test_an_empty_database_is_known_by_its_schema),
	    CASE(test_the_files_that_sqlite_keeps_beside_it_are_its_own),
	};
#undef CASE

	if (rig_is_child(argc, argv)) {
		return rig_child(argc, argv);
	}
	rig_set_program(argv[0]);
	if (argc > 1) {
		cmocka_set_test_filter(argv[1]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
