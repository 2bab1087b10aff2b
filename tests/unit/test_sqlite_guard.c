/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/clock.h"
#include "src/base/lock_bytes.h"
#include "src/base/sqlite_guard.h"
#include "tests/lib/capture_rig.h"
#include "tests/lib/other_process.h"

#define NOBODY 65534

typedef int (*fcntl_call)(int fd, int cmd, ...);
typedef int (*open_call)(const char *path, int flags, int mode);

struct fixture {
	struct rig_folder folder;
	const char *path;
	char shm[320];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct error err;

	rig_folder_init(&f->folder, 4096);
	f->path = f->folder.path;
	(void)snprintf(f->shm, sizeof f->shm, "%s-shm", f->path);
	assert_int_equal(sqlite_guard(&err), ST_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	sqlite_guard_lift();
	rig_folder_clear(&f->folder);
	free(f);
	return 0;
}

static sqlite3_syscall_ptr call_of(const char *name)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find("unix");

	return vfs->xGetSystemCall(vfs, name);
}

static sqlite3 *open_db(const char *path)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

static int run_sql(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void close_after_a_commit(const char *path)
{
	sqlite3 *db = open_db(path);

	sqlite_guard_let_write(true);
	assert_int_equal(run_sql(db, "INSERT INTO t(v) VALUES(1)"), SQLITE_OK);
	sqlite_guard_let_write(false);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_the_last_close_removes_nothing(void **state)
{
	struct fixture *f = *state;

	close_after_a_commit(f->path);
	assert_true(rig_file_size(f->folder.wal) > 0);
	assert_true(rig_file_size(f->shm) > 0);
	sqlite_guard_lift();
	close_after_a_commit(f->path);
	assert_int_equal(rig_file_size(f->folder.wal), -1);
}

static void test_only_temporary_files_are_removed(void **state)
{
	static const char *const kept[] = {"-wal", "-shm", "-journal"};
	struct fixture *f = *state;
	char name[320];
	int (*remove_file)(const char *) = (int (*)(const char *))call_of("unlink");

	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
		(void)snprintf(name, sizeof name, "%s%s", f->path, kept[i]);
		assert_int_equal(close(open(name, O_CREAT | O_WRONLY, 0600)), 0);
		assert_int_equal(remove_file(name), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(rig_file_size(name), 0);
	}
	(void)snprintf(name, sizeof name, "%s/etilqs_1", f->folder.folder);
	assert_int_equal(close(open(name, O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(remove_file(name), 0);
}

static void test_the_file_is_never_locked_exclusively(void **state)
{
	struct fixture *f = *state;
	sqlite3 *db = open_db(f->path);

	assert_int_equal(run_sql(db, "PRAGMA locking_mode=EXCLUSIVE"), SQLITE_OK);
	sqlite_guard_let_write(true); /* it is not for want of the write lock */
	assert_int_equal(run_sql(db, "INSERT INTO t(v) VALUES(1)"), SQLITE_BUSY);
	sqlite_guard_let_write(false);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_an_index_that_is_there_is_not_cut(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->shm, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	sqlite3 *db;

	assert_int_equal(ftruncate(fd, 3 * 32768), 0);
	db = open_db(f->path);
	assert_int_equal(run_sql(db, "SELECT count(*) FROM t"), SQLITE_OK);
	assert_int_equal(rig_file_size(f->shm), 3 * 32768);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	(void)close(fd);
}

static void test_nothing_is_written(void **state)
{
	struct fixture *f = *state;
	sqlite3 *db = open_db(f->path);

	assert_int_equal(run_sql(db, "SELECT count(*) FROM t"), SQLITE_OK);
	assert_int_equal(run_sql(db, "INSERT INTO t(v) VALUES(1)"), SQLITE_BUSY);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- locks, one by one ---- */

static bool open_byte_is_shared(const char *path)
{
	return other_lock_type(other_open(path, "-shm"), LOCK_SHM_OPEN, 1) == F_RDLCK;
}

static bool all_but_recovery_is_exclusive(const char *path)
{
	int fd = other_open(path, "-shm");

	return other_lock_type(fd, LOCK_SHM_RECOVER - 1, 1) == F_WRLCK &&
	       other_lock_type(fd, LOCK_SHM_RECOVER, 1) == F_UNLCK;
}

static bool nothing_is_locked(const char *path)
{
	return other_lock_type(other_open(path, "-shm"), 0, 0) == F_UNLCK &&
	       other_lock_type(other_open(path, ""), 0, 0) == F_UNLCK;
}

static bool all_eight_are_exclusive(const char *path)
{
	int fd = other_open(path, "-shm");

	for (off_t at = LOCK_SHM_START; at < LOCK_SHM_START + LOCK_SHM_LEN; at++) {
		if (other_lock_type(fd, at, 1) != F_WRLCK) {
			return false;
		}
	}
	return true;
}

static bool shared_bytes_are_shared(const char *path)
{
	return other_lock_type(other_open(path, ""), LOCK_DB_SHARED,
			       LOCK_DB_SHARED_LEN) == F_RDLCK;
}

/* SQLite asks for a lock; what it is told, and what others see then. */
static void asks(const struct fixture *f, const char *suffix, struct flock lock,
		 int answer, bool (*look)(const char *path))
{
	fcntl_call ask = (fcntl_call)call_of("fcntl");
	int fd;

	assert_int_equal(close(open(f->shm, O_RDWR | O_CREAT, 0644)), 0);
	fd = other_open(f->path, suffix);
	lock.l_whence = SEEK_SET;
	errno = 0;
	assert_int_equal(ask(fd, F_SETLK, &lock), answer);
	assert_int_equal(errno, answer < 0 ? EAGAIN : 0);
	assert_true(other_sees(look, f->path));
	(void)close(fd);
}

static struct flock bytes(short type, off_t at, off_t len)
{
	return (struct flock){.l_type = type, .l_start = at, .l_len = len};
}

static void test_each_lock_is_what_it_may_be(void **state)
{
	struct fixture *f = *state;

	asks(f, "", bytes(F_WRLCK, LOCK_DB_PENDING, 1), -1, nothing_is_locked);
	asks(f, "", bytes(F_WRLCK, LOCK_DB_PENDING + 1, 1), -1, nothing_is_locked);
	asks(f, "", bytes(F_WRLCK, LOCK_DB_SHARED, LOCK_DB_SHARED_LEN), -1,
	     nothing_is_locked);
	asks(f, "", bytes(F_RDLCK, LOCK_DB_SHARED, LOCK_DB_SHARED_LEN), 0,
	     shared_bytes_are_shared);
	asks(f, "-shm", bytes(F_WRLCK, LOCK_SHM_OPEN, 1), 0, open_byte_is_shared);
	asks(f, "-shm", bytes(F_WRLCK, LOCK_SHM_RECOVER - 1, 2), 0,
	     all_but_recovery_is_exclusive);
	asks(f, "-shm", bytes(F_WRLCK, LOCK_SHM_RECOVER, 1), 0, nothing_is_locked);
	asks(f, "-shm", bytes(F_WRLCK, LOCK_SHM_START, LOCK_SHM_LEN), 0,
	     all_eight_are_exclusive);
}

static bool write_is_exclusive(const char *path)
{
	return other_lock_type(other_open(path, "-shm"), LOCK_SHM_START, 1) == F_WRLCK;
}

static void put_header(const struct fixture *f, const char *text)
{
	int fd = open(f->shm, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	assert_int_equal(pwrite(fd, text, 8, 40), 8); /* in its first copy */
	(void)close(fd);
}

/* It asks again and again, as SQLite does; a busy machine may have let it wait. */
static bool gets(const struct fixture *f, struct flock lock)
{
	fcntl_call ask = (fcntl_call)call_of("fcntl");
	int fd = other_open(f->path, "-shm");
	int answer = -1;

	lock.l_whence = SEEK_SET;
	for (int i = 0; i < 1000 && answer < 0; i++) {
		clock_sleep_ns(NS_PER_MS);
		answer = ask(fd, F_SETLK, &lock);
	}
	(void)close(fd);
	return answer == 0;
}

/* SQLite asks where it cannot read the header; who writes it is done in a moment. */
static void test_the_write_lock_is_for_a_header_that_stays_unreadable(void **state)
{
	struct fixture *f = *state;
	struct flock exclusive = bytes(F_WRLCK, LOCK_SHM_START, 1);
	struct flock shared = bytes(F_RDLCK, LOCK_SHM_START, 1);

	put_header(f, "one half");
	asks(f, "-shm", exclusive, -1, nothing_is_locked);
	put_header(f, "and more");
	asks(f, "-shm", shared, -1, nothing_is_locked);
	put_header(f, "the rest");
	asks(f, "-shm", exclusive, -1, nothing_is_locked);
	assert_true(gets(f, shared));
	assert_true(gets(f, exclusive));
	clock_sleep_ns(1100 * NS_PER_MS); /* that was another time */
	asks(f, "-shm", exclusive, -1, nothing_is_locked);
	sqlite_guard_let_write(true);
	asks(f, "-shm", exclusive, 0, write_is_exclusive);
	sqlite_guard_let_write(false);
}

/* ---- who may make files ---- */

static bool may_make(const char *path)
{
	return sqlite_guard_may_make(path);
}

static bool nobody_may_make(const char *path)
{
	return other_become_nobody(NOBODY) && sqlite_guard_may_make(path);
}

static bool nobody_opens_what_is_missing(const char *path)
{
	open_call open_file = (open_call)call_of("open");
	char name[320];
	bool is_refused;

	(void)snprintf(name, sizeof name, "%s-wal", path);
	is_refused = other_become_nobody(NOBODY) &&
		     open_file(name, O_RDWR | O_CREAT, 0644) < 0 && errno == ENOENT;
	(void)snprintf(name, sizeof name, "%s-other", path);
	return is_refused && open_file(name, O_RDWR | O_CREAT, 0644) >= 0;
}

static void test_who_may_make_files_beside_the_database(void **state)
{
	struct fixture *f = *state;
	const struct {
		mode_t folder;
		mode_t file;
		bool nobody;
	} all[] = {
	    {0777, 0666, false}, /* they would be nobody's */
	    {02777, 0666, true},
	    {02777, 0644, false}, /* it may not write the database */
	    {02755, 0660, false}, /* not in its group */
	};

	if (geteuid() != 0) {
		print_message("not run: only root can be two users\n");
		skip();
	}
	assert_true(may_make(f->path));
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		assert_int_equal(chmod(f->folder.folder, all[i].folder), 0);
		assert_int_equal(chmod(f->path, all[i].file), 0);
		assert_int_equal(other_sees(nobody_may_make, f->path), all[i].nobody);
	}
	assert_int_equal(chmod(f->folder.folder, 0777), 0);
	assert_true(other_sees(nobody_opens_what_is_missing, f->path));
	assert_int_equal(chown(f->path, NOBODY, NOBODY), 0);
	assert_true(other_sees(nobody_may_make, f->path));
	/* In the group that gets the files. */
	assert_int_equal(chown(f->path, 65000, NOBODY), 0);
	assert_int_equal(chown(f->folder.folder, 0, NOBODY), 0);
	assert_int_equal(chmod(f->folder.folder, 02775), 0);
	assert_int_equal(chmod(f->path, 0660), 0);
	assert_true(other_sees(nobody_may_make, f->path));
	assert_int_equal(chmod(f->path, 0620), 0);
	assert_false(other_sees(nobody_may_make, f->path));
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_the_last_close_removes_nothing),
	    CASE(test_only_temporary_files_are_removed),
	    CASE(test_the_file_is_never_locked_exclusively),
	    CASE(test_an_index_that_is_there_is_not_cut),
	    CASE(test_nothing_is_written),
	    CASE(test_each_lock_is_what_it_may_be),
	    CASE(test_the_write_lock_is_for_a_header_that_stays_unreadable),
	    CASE(test_who_may_make_files_beside_the_database),
	};
#undef CASE

	if (argc > 1) {
		cmocka_set_test_filter(argv[1]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
