/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/lock_bytes.h"
#include "src/capture/db_users.h"
#include "tests/lib/capture_rig.h"
#include "tests/lib/other_process.h"

struct fixture {
	struct rig_folder folder;
	const char *path;
	int db_fd;
	int shm_fd;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	char shm[320];

	rig_folder_init(&f->folder, 4096);
	f->path = f->folder.path;
	(void)snprintf(shm, sizeof shm, "%s-shm", f->path);
	f->db_fd = open(f->path, O_RDONLY | O_CLOEXEC);
	f->shm_fd = open(shm, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_true(f->db_fd >= 0 && f->shm_fd >= 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)close(f->db_fd);
	(void)close(f->shm_fd);
	rig_folder_clear(&f->folder);
	free(f);
	return 0;
}

static bool is_alone(const struct fixture *f)
{
	return db_is_alone(f->db_fd, f->shm_fd);
}

static void test_nobody_is_there(void **state)
{
	struct fixture *f = *state;

	assert_false(db_file_is_used(f->db_fd));
	assert_false(db_shm_is_used(f->shm_fd));
	assert_int_equal(db_shm_mapping(f->shm_fd), MAPPED_BY_NOBODY);
	assert_true(is_alone(f));
}

static bool lock_pending(const char *path)
{
	return other_lock(other_open(path, ""), F_WRLCK, LOCK_DB_PENDING, 1);
}

static bool lock_reserved(const char *path)
{
	return other_lock(other_open(path, ""), F_WRLCK, LOCK_DB_PENDING + 1, 1);
}

static bool lock_shared(const char *path)
{
	return other_lock(other_open(path, ""), F_RDLCK, LOCK_DB_SHARED,
			  LOCK_DB_SHARED_LEN);
}

static bool lock_open_byte(const char *path)
{
	return other_lock(other_open(path, "-shm"), F_RDLCK, LOCK_SHM_OPEN, 1);
}

static bool lock_what_says_nothing(const char *path)
{
	return other_lock(other_open(path, ""), F_WRLCK, 0, 4096) &&
	       other_lock(other_open(path, "-shm"), F_WRLCK, LOCK_SHM_OPEN + 1, 1000);
}

/* What another process that has locked something looks like. */
static void looks_like(const struct fixture *f, bool (*play)(const char *path),
		       bool file_is_used, bool shm_is_used)
{
	struct other_process other = other_start(play, f->path);

	assert_int_equal(db_file_is_used(f->db_fd), file_is_used);
	assert_int_equal(db_shm_is_used(f->shm_fd), shm_is_used);
	assert_int_equal(is_alone(f), !file_is_used && !shm_is_used);
	other_end(&other);
	assert_true(is_alone(f));
}

static void test_each_lock_of_another_process_shows(void **state)
{
	looks_like(*state, lock_pending, true, false);
	looks_like(*state, lock_reserved, true, false);
	looks_like(*state, lock_shared, true, false);
	looks_like(*state, lock_open_byte, false, true);
	looks_like(*state, lock_what_says_nothing, false, false);
}

static void test_locks_of_our_own_do_not_show(void **state)
{
	struct fixture *f = *state;

	assert_true(other_lock(f->db_fd, F_RDLCK, LOCK_DB_SHARED, LOCK_DB_SHARED_LEN));
	assert_true(other_lock(f->shm_fd, F_WRLCK, LOCK_SHM_OPEN, 1));
	assert_true(is_alone(f));
}

static bool open_with_sqlite(const char *path)
{
	sqlite3 *db;

	return sqlite3_open(path, &db) == SQLITE_OK &&
	       sqlite3_exec(db, "SELECT count(*) FROM t", NULL, NULL, NULL) ==
		   SQLITE_OK;
}

static bool open_with_sqlite_and_lose_both_locks(const char *path)
{
	return open_with_sqlite(path) && close(other_open(path, "")) == 0 &&
	       close(other_open(path, "-shm")) == 0;
}

static void test_an_application_shows_on_both_files(void **state)
{
	struct fixture *f = *state;
	struct other_process other = other_start(open_with_sqlite, f->path);

	assert_true(db_file_is_used(f->db_fd));
	assert_true(db_shm_is_used(f->shm_fd));
	assert_int_equal(db_shm_mapping(f->shm_fd), MAPPED_BY_OTHERS);
	assert_false(is_alone(f));
	other_end(&other);
	assert_true(is_alone(f));
}

static void test_an_application_that_lost_its_locks_shows_by_its_mapping(void **state)
{
	struct fixture *f = *state;
	struct other_process other =
	    other_start(open_with_sqlite_and_lose_both_locks, f->path);

	assert_false(db_file_is_used(f->db_fd));
	assert_false(db_shm_is_used(f->shm_fd));
	assert_int_equal(db_shm_mapping(f->shm_fd), MAPPED_BY_OTHERS);
	assert_false(is_alone(f));
	other_end(&other);
}

static bool map_the_database(const char *path)
{
	int fd = other_open(path, "");

	return fd >= 0 && mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED;
}

static void test_mappings_of_our_own_or_of_other_files_do_not_show(void **state)
{
	struct fixture *f = *state;
	struct other_process other = other_start(map_the_database, f->path);
	void *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, f->shm_fd, 0);

	assert_true(page != MAP_FAILED);
	assert_int_equal(db_shm_mapping(f->shm_fd), MAPPED_BY_NOBODY);
	assert_true(is_alone(f));
	assert_int_equal(munmap(page, 4096), 0);
	other_end(&other);
}

static void test_what_cannot_be_told_counts_as_somebody(void **state)
{
	struct fixture *f = *state;
	enum db_mapping mapping;
	bool alone;
	int reason;

	other_forbid_files();
	errno = 0;
	mapping = db_shm_mapping(f->shm_fd);
	reason = errno;
	alone = is_alone(f);
	other_allow_files();
	assert_int_equal(mapping, MAPPED_UNKNOWN);
	assert_int_equal(reason, EMFILE);
	assert_false(alone);
}

/* With one descriptor /proc can be listed, but nobody be looked at. */
static void
test_one_who_cannot_be_looked_at_for_want_of_descriptors_counts(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit = {.rlim_max = 1024};
	int next = dup(f->db_fd);
	enum db_mapping mapping;

	(void)close(next);
	limit.rlim_cur = (rlim_t)next + 1;
	assert_int_equal(prlimit(0, RLIMIT_NOFILE, &limit, NULL), 0);
	mapping = db_shm_mapping(f->shm_fd);
	other_allow_files();
	assert_int_equal(mapping, MAPPED_UNKNOWN);
}

static void test_no_descriptor_counts_as_somebody(void **state)
{
	struct fixture *f = *state;

	assert_true(db_file_is_used(-1));
	assert_true(db_shm_is_used(-1));
	assert_int_equal(db_shm_mapping(-1), MAPPED_UNKNOWN);
	assert_false(db_is_alone(f->db_fd, -1));
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_nobody_is_there),
	    CASE(test_each_lock_of_another_process_shows),
	    CASE(test_locks_of_our_own_do_not_show),
	    CASE(test_an_application_shows_on_both_files),
	    CASE(test_an_application_that_lost_its_locks_shows_by_its_mapping),
	    CASE(test_mappings_of_our_own_or_of_other_files_do_not_show),
	    CASE(test_what_cannot_be_told_counts_as_somebody),
	    CASE(test_one_who_cannot_be_looked_at_for_want_of_descriptors_counts),
	    CASE(test_no_descriptor_counts_as_somebody),
	};
#undef CASE

	if (argc > 1) {
		cmocka_set_test_filter(argv[1]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
