/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/lock_bytes.h"
#include "src/capture/db_join.h"
#include "src/capture/wal_index.h"
#include "tests/lib/capture_rig.h"
#include "tests/lib/other_process.h"

#define HEADER_BYTES ((size_t)2 * WAL_INDEX_HEADER_BYTES)

/* After so many looks at an empty file somebody writes this to it, or removes it. */
static int looks_until_news;
static uint8_t news[WAL_INDEX_BLOCK_BYTES];
static const char *name_to_remove;

/* libc's, and what happens between it and the next step of who looks. */
int fstat(int fd, struct stat *st)
{
	int rc = fstatat(fd, "", st, AT_EMPTY_PATH);

	if (rc == 0 && st->st_size == 0 && looks_until_news > 0 &&
	    --looks_until_news == 0) {
		assert_int_equal(pwrite(fd, news, sizeof news, 0), sizeof news);
		assert_true(!name_to_remove || unlink(name_to_remove) == 0);
	}
	return rc;
}

static void expect_news(const char *remove)
{
	looks_until_news = 2; /* when it is opened, and when it is too short */
	memset(news, 0x5a, sizeof news);
	name_to_remove = remove;
}

struct fixture {
	struct rig_folder folder;
	const char *path;
	char shm[320];
	int db_fd;
	int shm_fd;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	rig_folder_init(&f->folder, 4096);
	f->path = f->folder.path;
	(void)snprintf(f->shm, sizeof f->shm, "%s-shm", f->path);
	f->db_fd = open(f->path, O_RDONLY | O_CLOEXEC);
	f->shm_fd = -1;
	assert_true(f->db_fd >= 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->shm_fd >= 0) {
		(void)close(f->shm_fd);
	}
	(void)close(f->db_fd);
	rig_folder_clear(&f->folder);
	free(f);
	return 0;
}

static enum status join(struct fixture *f)
{
	return db_join(f->path, f->db_fd, &f->shm_fd, &f->err);
}

/* A -shm with these bytes at its start; no longer than them. */
static void make_shm(const struct fixture *f, const void *bytes, size_t len)
{
	int fd = open(f->shm, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_int_equal(pwrite(fd, bytes, len, 0), (ssize_t)len);
	assert_int_equal(close(fd), 0);
}

/* What somebody who died has left: a header that is right, and more behind it. */
static void make_old_shm(const struct fixture *f, uint8_t old[WAL_INDEX_BLOCK_BYTES])
{
	memset(old, 0x5a, WAL_INDEX_BLOCK_BYTES);
	wal_index_make_empty(old);
	make_shm(f, old, WAL_INDEX_BLOCK_BYTES);
}

static void write_wal(const struct fixture *f)
{
	FILE *wal = fopen(f->folder.wal, "wb");

	assert_non_null(wal);
	assert_true(fputs("frames", wal) >= 0);
	assert_int_equal(fclose(wal), 0);
}

static void read_shm(const struct fixture *f, uint8_t *bytes, size_t len)
{
	assert_int_equal(pread(f->shm_fd, bytes, len, 0), (ssize_t)len);
}

static bool is_all_zero(const uint8_t *bytes, size_t len)
{
	while (len > 0 && bytes[len - 1] == 0) {
		len--;
	}
	return len == 0;
}

/* ---- looks from another process ---- */

static bool both_are_shared(const char *path)
{
	int db_fd = other_open(path, "");

	return other_lock_type(db_fd, LOCK_DB_SHARED, LOCK_DB_SHARED_LEN) == F_RDLCK &&
	       other_lock_type(db_fd, LOCK_DB_PENDING, 1) == F_UNLCK &&
	       other_lock_type(other_open(path, "-shm"), LOCK_SHM_OPEN, 1) == F_RDLCK;
}

static bool file_is_free(const char *path)
{
	return other_lock_type(other_open(path, ""), LOCK_DB_START, LOCK_DB_LEN) ==
	       F_UNLCK;
}

static bool is_readable(const char *path)
{
	sqlite3 *db;

	return sqlite3_open(path, &db) == SQLITE_OK &&
	       sqlite3_exec(db, "INSERT INTO t(v) VALUES(1); PRAGMA integrity_check",
			    NULL, NULL, NULL) == SQLITE_OK;
}

/* ---- nobody is there ---- */

static void test_with_an_empty_wal_the_first_writes_its_index(void **state)
{
	struct fixture *f = *state;
	uint8_t start[WAL_INDEX_START_BYTES];
	struct wal_index_header header;

	assert_int_equal(join(f), ST_OK);
	assert_true(other_sees(both_are_shared, f->path));
	assert_int_equal(rig_file_size(f->shm), WAL_INDEX_BLOCK_BYTES);
	read_shm(f, start, sizeof start);
	assert_true(wal_index_parse(start, &header));
	assert_int_equal(header.frame_count, 0);
	assert_true(other_sees(is_readable, f->path));
}

static void test_what_a_dead_one_left_is_made_anew(void **state)
{
	struct fixture *f = *state;
	uint8_t old[WAL_INDEX_BLOCK_BYTES];
	uint8_t start[WAL_INDEX_START_BYTES];
	struct wal_index_header header;

	make_old_shm(f, old);
	old[40] ^= 1;
	make_shm(f, old, sizeof old);
	assert_int_equal(join(f), ST_OK);
	read_shm(f, start, sizeof start);
	assert_true(wal_index_parse(start, &header));
}

static void test_with_frames_the_header_becomes_unreadable(void **state)
{
	struct fixture *f = *state;
	uint8_t old[WAL_INDEX_BLOCK_BYTES];
	uint8_t now[WAL_INDEX_BLOCK_BYTES];

	write_wal(f);
	make_old_shm(f, old);
	assert_int_equal(join(f), ST_OK);
	read_shm(f, now, sizeof now);
	assert_true(is_all_zero(now, HEADER_BYTES));
	/* Never cut, nor written to behind its start: somebody may have it mapped. */
	assert_memory_equal(now + WAL_INDEX_START_BYTES, old + WAL_INDEX_START_BYTES,
			    sizeof now - WAL_INDEX_START_BYTES);
}

static void test_the_mode_of_the_database_is_that_of_its_index(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(chmod(f->path, 0666), 0);
	assert_int_equal(join(f), ST_OK);
	assert_int_equal(fstat(f->shm_fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
}

/* He who comes while -shm is made longer finds what he writes there. */
static void test_making_room_writes_over_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t now[WAL_INDEX_BLOCK_BYTES];

	expect_news(NULL);
	assert_int_equal(join(f), ST_OK);
	assert_int_equal(looks_until_news, 0);
	read_shm(f, now, sizeof now);
	assert_memory_equal(now + WAL_INDEX_START_BYTES, news + WAL_INDEX_START_BYTES,
			    sizeof now - WAL_INDEX_START_BYTES);
}

/* He has left an index that is right for the WAL that he has left. */
static void test_what_one_left_who_came_and_went_meanwhile_is_kept(void **state)
{
	struct fixture *f = *state;
	uint8_t now[WAL_INDEX_BLOCK_BYTES];

	write_wal(f);
	expect_news(NULL);
	wal_index_make_empty(news);
	assert_int_equal(join(f), ST_OK);
	read_shm(f, now, sizeof now);
	assert_memory_equal(now, news, sizeof now);
}

static void test_an_index_that_was_just_removed_is_opened_again(void **state)
{
	struct fixture *f = *state;

	expect_news(f->shm);
	assert_int_equal(join(f), ST_RETRY);
}

static void test_leaving_lets_go_of_the_file(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(join(f), ST_OK);
	assert_false(other_sees(file_is_free, f->path));
	db_leave(f->db_fd);
	assert_true(other_sees(file_is_free, f->path));
}

/* ---- somebody is there ---- */

static bool has_it_open(const char *path)
{
	return other_lock(other_open(path, ""), F_RDLCK, LOCK_DB_SHARED,
			  LOCK_DB_SHARED_LEN) &&
	       other_lock(other_open(path, "-shm"), F_RDLCK, LOCK_SHM_OPEN, 1);
}

static bool has_it_mapped(const char *path)
{
	int fd = other_open(path, "-shm");

	return fd >= 0 && mmap(NULL, WAL_INDEX_BLOCK_BYTES, PROT_READ, MAP_SHARED, fd,
			       0) != MAP_FAILED;
}

/* `play` may stay, and what is in -shm is his. */
static void nothing_is_written_beside(struct fixture *f, bool (*play)(const char *path))
{
	uint8_t old[WAL_INDEX_BLOCK_BYTES];
	uint8_t now[WAL_INDEX_BLOCK_BYTES];
	struct other_process other;

	make_old_shm(f, old);
	old[10] = 77; /* as it is while somebody writes it */
	make_shm(f, old, sizeof old);
	other = other_start(play, f->path);
	assert_int_equal(join(f), ST_OK);
	assert_true(other_sees(both_are_shared, f->path));
	read_shm(f, now, sizeof now);
	assert_memory_equal(now, old, sizeof now);
	other_end(&other);
}

static void test_beside_others_nothing_is_written(void **state)
{
	nothing_is_written_beside(*state, has_it_open);
}

static void test_beside_one_who_lost_his_locks_nothing_is_written(void **state)
{
	nothing_is_written_beside(*state, has_it_mapped);
}

static bool locks_the_file(const char *path)
{
	return other_lock(other_open(path, ""), F_WRLCK, LOCK_DB_SHARED,
			  LOCK_DB_SHARED_LEN);
}

static bool waits_for_the_file(const char *path)
{
	return other_lock(other_open(path, ""), F_WRLCK, LOCK_DB_PENDING, 1);
}

static bool makes_the_index(const char *path)
{
	return other_lock(other_open(path, "-shm"), F_WRLCK, LOCK_SHM_OPEN, 1);
}

static void stays_out_beside(struct fixture *f, bool (*play)(const char *path))
{
	uint8_t old[WAL_INDEX_BLOCK_BYTES];
	struct other_process other;

	make_old_shm(f, old);
	other = other_start(play, f->path);
	assert_int_equal(join(f), ST_RETRY);
	if (f->shm_fd >= 0) {
		(void)close(f->shm_fd);
	}
	db_leave(f->db_fd);
	other_end(&other);
	assert_int_equal(join(f), ST_OK);
}

static void test_who_has_it_exclusively_is_asked_again_later(void **state)
{
	stays_out_beside(*state, locks_the_file);
}

static void test_who_waits_for_it_is_let_go_first(void **state)
{
	stays_out_beside(*state, waits_for_the_file);
}

static void test_who_makes_the_index_is_asked_again_later(void **state)
{
	stays_out_beside(*state, makes_the_index);
}

/* ---- what we may not do ---- */

static void need_root(void)
{
	if (geteuid() != 0) {
		print_message("not run: only root can be two users\n");
		skip();
	}
}

static enum status join_at(const char *path, int *shm_fd)
{
	struct error err;

	return db_join(path, open(path, O_RDONLY | O_CLOEXEC), shm_fd, &err);
}

static bool nobody_makes_none(const char *path)
{
	int shm_fd;

	return other_become_nobody(65534) && join_at(path, &shm_fd) == ST_RETRY &&
	       shm_fd < 0 && other_open(path, "-shm") < 0 && errno == ENOENT;
}

static bool nobody_only_reads(const char *path)
{
	int shm_fd;

	return other_become_nobody(65534) && join_at(path, &shm_fd) == ST_OK &&
	       shm_fd < 0;
}

static bool root_without_chown(const char *path)
{
	struct __user_cap_header_struct header = {.version =
						      _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int shm_fd;

	if (syscall(SYS_capget, &header, data) != 0) {
		return false;
	}
	data[CAP_TO_INDEX(CAP_CHOWN)].effective &= ~CAP_TO_MASK(CAP_CHOWN);
	return syscall(SYS_capset, &header, data) == 0 &&
	       join_at(path, &shm_fd) == ST_RETRY && shm_fd < 0 &&
	       other_open(path, "-shm") < 0 && errno == ENOENT;
}

static void test_who_would_lock_the_owner_out_makes_no_index(void **state)
{
	struct fixture *f = *state;

	need_root();
	assert_int_equal(chmod(f->folder.folder, 0777), 0);
	assert_int_equal(chmod(f->path, 0666), 0);
	assert_true(other_sees(nobody_makes_none, f->path));
	assert_int_equal(chown(f->path, 65534, 65534), 0);
	assert_true(other_sees(root_without_chown, f->path));
}

static void test_an_index_that_we_may_only_read_is_left_to_sqlite(void **state)
{
	struct fixture *f = *state;
	uint8_t old[WAL_INDEX_BLOCK_BYTES];

	need_root();
	assert_int_equal(chmod(f->folder.folder, 0755), 0);
	make_old_shm(f, old);
	assert_true(other_sees(nobody_only_reads, f->path));
}

static void test_root_gives_the_index_to_the_owner(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	need_root();
	assert_int_equal(chown(f->path, 65534, 65533), 0);
	assert_int_equal(join(f), ST_OK);
	assert_int_equal(fstat(f->shm_fd, &st), 0);
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(st.st_gid, 65533);
}

/* ---- what runs out ---- */

static void test_want_of_descriptors_is_no_lock_of_others(void **state)
{
	struct fixture *f = *state;
	enum status status;

	other_forbid_files();
	status = join(f);
	other_allow_files();
	assert_int_equal(status, ST_IO);
	assert_int_equal(f->err.sys_errno, EMFILE);
}

/* One descriptor is left, for -shm: whether somebody has it mapped cannot be told. */
static void test_who_cannot_be_seen_is_not_thought_away(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit = {.rlim_cur = 0, .rlim_max = 1024};
	uint8_t old[WAL_INDEX_BLOCK_BYTES];
	uint8_t now[WAL_INDEX_BLOCK_BYTES];
	enum status status;
	int next = dup(f->db_fd);

	make_old_shm(f, old);
	old[8] = 1;
	make_shm(f, old, sizeof old);
	(void)close(next);
	limit.rlim_cur = (rlim_t)next + 1;
	assert_int_equal(prlimit(0, RLIMIT_NOFILE, &limit, NULL), 0);
	status = join(f);
	other_allow_files();
	assert_int_equal(status, ST_IO);
	assert_int_equal(f->err.sys_errno, EMFILE);
	read_shm(f, now, sizeof now);
	assert_memory_equal(now, old, sizeof now);
}

static void test_a_full_disk_is_no_lock_of_others(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
	enum status status;

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	status = join(f);
	limit.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(status, ST_IO);
	assert_int_equal(f->err.sys_errno, EFBIG);
	assert_non_null(strstr(f->err.text, "-shm"));
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_with_an_empty_wal_the_first_writes_its_index),
	    CASE(test_what_a_dead_one_left_is_made_anew),
	    CASE(test_with_frames_the_header_becomes_unreadable),
	    CASE(test_the_mode_of_the_database_is_that_of_its_index),
	    CASE(test_making_room_writes_over_nothing),
	    CASE(test_what_one_left_who_came_and_went_meanwhile_is_kept),
	    CASE(test_an_index_that_was_just_removed_is_opened_again),
	    CASE(test_leaving_lets_go_of_the_file),
	    CASE(test_beside_others_nothing_is_written),
	    CASE(test_beside_one_who_lost_his_locks_nothing_is_written),
	    CASE(test_who_has_it_exclusively_is_asked_again_later),
	    CASE(test_who_waits_for_it_is_let_go_first),
	    CASE(test_who_makes_the_index_is_asked_again_later),
	    CASE(test_who_would_lock_the_owner_out_makes_no_index),
	    CASE(test_an_index_that_we_may_only_read_is_left_to_sqlite),
	    CASE(test_root_gives_the_index_to_the_owner),
	    CASE(test_want_of_descriptors_is_no_lock_of_others),
	    CASE(test_who_cannot_be_seen_is_not_thought_away),
	    CASE(test_a_full_disk_is_no_lock_of_others),
	};
#undef CASE

	if (argc > 1) {
		cmocka_set_test_filter(argv[1]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
