/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>

#include "src/state/state_dir.h"

#define DATABASE "/srv/shop/app.db"

/* ---- a folder with a state directory in it ---- */

struct fixture {
	char folder[64];
	char dir[80]; /* folder/state */
	mode_t umask_before;
};

static void remove_names(const char *path)
{
	DIR *names = opendir(path);
	const struct dirent *entry;

	while (names && (entry = readdir(names))) {
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0 &&
		    unlinkat(dirfd(names), entry->d_name, 0) != 0) {
			(void)unlinkat(dirfd(names), entry->d_name, AT_REMOVEDIR);
		}
	}
	if (names) {
		(void)closedir(names);
	}
}

static int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	(void)snprintf(f->folder, sizeof f->folder, "/tmp/rowtail-state-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->dir, sizeof f->dir, "%s/state", f->folder);
	f->umask_before = umask(022);
	*state = f;
	return 0;
}

static int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	(void)umask(f->umask_before);
	remove_names(f->dir);
	remove_names(f->folder);
	(void)rmdir(f->folder);
	free(f);
	return 0;
}

static struct state_dir *open_dir(const struct fixture *f, bool expect_new)
{
	struct state_dir *dir;
	struct error err;
	bool is_new;

	if (state_dir_open(f->dir, DATABASE, &dir, &is_new, &err) != ST_OK) {
		fail_msg("state_dir_open: %s", err.text);
	}
	assert_int_equal(is_new, expect_new);
	return dir;
}

static void expect_refusal(const char *path, const char *database, enum status status,
			   const char *text)
{
	struct state_dir *dir;
	struct error err;
	bool is_new;

	assert_int_equal(state_dir_open(path, database, &dir, &is_new, &err), status);
	assert_int_equal(err.status, status);
	assert_null(strchr(err.text, '\n'));
	if (!strstr(err.text, text)) {
		fail_msg("'%s' is not in: %s", text, err.text);
	}
}

static const struct state_meta sample_meta = {
    .page_size = 4096,
    .epoch = 0x1122334455667788,
    .base_lsn = 42,
    .base_pages = 77,
    .base_chain = 0xfedcba9876543210,
    .base_salt = {1, 2, 3, 4, 5, 6, 7, 8},
    .base_frame = 99,
    .base_proof = 0x0f1e2d3c4b5a6978,
    .is_clean = true,
    .clean_lsn = 41,
    .clean_device = 7,
    .clean_inode = 8,
    .clean_size = 77 * 4096,
    .clean_mtime_ns = -5,
    .clean_ctime_ns = 1700000000000000001,
};

static const struct state_position sample_position = {
    .lsn = 40,
    .messages = 3,
    .in_snapshot = true,
    .change_id = 1000,
    .txn_change_id = 997,
    .previous_lsn = 39,
    .settings_hash = 0xabcdef,
    .sink_inode = 12,
    .sink_length = 123456789012,
    .sink_start = 123456789000,
    .sink_proof = 0x123456789abcdef0,
};

static void put_meta(struct state_dir *dir, const struct state_meta *meta)
{
	struct error err;

	if (state_dir_put_meta(dir, meta, &err) != ST_OK) {
		fail_msg("state_dir_put_meta: %s", err.text);
	}
}

static void put_position(struct state_dir *dir, const struct state_position *position)
{
	struct error err;

	if (state_dir_put_position(dir, position, &err) != ST_OK) {
		fail_msg("state_dir_put_position: %s", err.text);
	}
}

/* A directory with a meta and two positions, LSN 1 and LSN 2; closed. */
static void make_dir(const struct fixture *f)
{
	struct state_dir *dir = open_dir(f, true);
	struct state_position position = sample_position;
	struct error err;

	put_meta(dir, &sample_meta);
	position.lsn = 1;
	put_position(dir, &position);
	position.lsn = 2;
	put_position(dir, &position);
	assert_int_equal(state_dir_sync_position(dir, &err), ST_OK);
	state_dir_close(dir);
}

static void file_path(const struct fixture *f, const char *name, char path[200])
{
	(void)snprintf(path, 200, "%s/%s", f->dir, name);
}

static size_t read_file(const struct fixture *f, const char *name, uint8_t *bytes,
			size_t cap)
{
	char path[200];
	ssize_t len;
	int fd;

	file_path(f, name, path);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	len = read(fd, bytes, cap);
	assert_true(len >= 0 && (size_t)len < cap);
	(void)close(fd);
	return (size_t)len;
}

static void write_file(const struct fixture *f, const char *name, const void *bytes,
		       size_t len)
{
	char path[200];
	int fd;

	file_path(f, name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	(void)close(fd);
}

static bool file_exists(const struct fixture *f, const char *name)
{
	char path[200];

	file_path(f, name, path);
	return access(path, F_OK) == 0;
}

static unsigned mode_of(const struct fixture *f, const char *name)
{
	char path[200];
	struct stat st;

	file_path(f, name, path);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

/* Put a right checksum at the end again, after a change to the bytes before. */
static void seal(uint8_t *bytes, size_t len)
{
	uint64_t hash = XXH3_64bits(bytes, len - 8);

	for (int i = 0; i < 8; i++) {
		bytes[len - 8 + (size_t)i] = (uint8_t)(hash >> (8 * i));
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

/* ---- the folder ---- */

static void test_state_dir_makes_a_private_folder_under_any_umask(void **state)
{
	static const mode_t masks[] = {0, 022, 077, 0777};
	struct fixture *f = *state;

	for (size_t i = 0; i < 4; i++) {
		(void)umask(masks[i]);
		make_dir(f);
		assert_int_equal(mode_of(f, "."), 0700);
		assert_int_equal(mode_of(f, "lock"), 0600);
		assert_int_equal(mode_of(f, "meta"), 0600);
		assert_int_equal(mode_of(f, "position"), 0600);
		assert_false(file_exists(f, "meta.new"));
		remove_names(f->dir);
		assert_int_equal(rmdir(f->dir), 0);
	}
}

static void test_state_dir_closes_a_new_folder_that_was_open_for_reading(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(f->dir, 0755), 0);
	make_dir(f);
	assert_int_equal(mode_of(f, "."), 0700);
	assert_int_equal(mode_of(f, "meta"), 0600);
	state_dir_close(open_dir(f, false));
}

static void test_state_dir_refuses_one_that_is_open_to_others(void **state)
{
	static const mode_t modes[] = {0755, 0750, 0777, 01777, 0710, 0702};
	struct fixture *f = *state;

	make_dir(f);
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		assert_int_equal(chmod(f->dir, modes[i]), 0);
		expect_refusal(f->dir, DATABASE, ST_CONFIG, "chmod -R go= /tmp/");
		assert_int_equal(mode_of(f, "."), modes[i]);
	}
	assert_int_equal(chmod(f->dir, 0700), 0);
	state_dir_close(open_dir(f, false));
}

static void test_state_dir_refuses_a_new_one_that_others_may_write_to(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(f->dir, 0700), 0);
	assert_int_equal(chmod(f->dir, 0777), 0);
	expect_refusal(f->dir, DATABASE, ST_CONFIG, "chmod -R go= /tmp/");
	assert_false(file_exists(f, "lock"));
}

static void test_state_dir_leaves_a_folder_of_something_else_as_it_is(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(f->dir, 0700), 0);
	assert_int_equal(chmod(f->dir, 0755), 0);
	write_file(f, "letters", "x", 1);
	expect_refusal(f->dir, DATABASE, ST_CONFIG, "letters");
	assert_int_equal(mode_of(f, "."), 0755);
}

static void test_state_dir_is_no_link(void **state)
{
	struct fixture *f = *state;
	char link[200];
	char slash[210];

	make_dir(f);
	(void)snprintf(link, sizeof link, "%s/link", f->folder);
	assert_int_equal(symlink(f->dir, link), 0);
	expect_refusal(link, DATABASE, ST_CONFIG, "symbolic link");
	(void)snprintf(slash, sizeof slash, "%s///", link);
	expect_refusal(slash, DATABASE, ST_CONFIG, "symbolic link");
	assert_int_equal(unlink(link), 0);
	(void)snprintf(slash, sizeof slash, "%s/", f->dir);
	expect_refusal(slash, "/another.db", ST_CONFIG, "/another.db");
}

/* Each of its files, as a link, a second name, open to others, another user's. */
static void test_state_dir_refuses_files_that_are_not_its_own(void **state)
{
	static const char *const names[] = {
	    "lock",   "meta",   "position", "shadow",
	    "hashes", "frames", "error",    "log-0000000000000000"};
	struct fixture *f = *state;
	char outside[200];
	char path[200];
	int fd;

	(void)snprintf(outside, sizeof outside, "%s/outside", f->folder);
	fd = open(outside, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "precious", 8), 8);
	(void)close(fd);
	make_dir(f);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char aside[210];
		bool is_there;

		file_path(f, names[i], path);
		(void)snprintf(aside, sizeof aside, "%s.aside", path);
		is_there = rename(path, aside) == 0;
		assert_int_equal(symlink(outside, path), 0);
		expect_refusal(f->dir, DATABASE, ST_CONFIG, "symbolic link");
		assert_int_equal(unlink(path), 0);
		assert_int_equal(link(outside, path), 0);
		expect_refusal(f->dir, DATABASE, ST_CONFIG, "hard link");
		assert_int_equal(unlink(path), 0);
		if (!is_there) {
			continue;
		}
		assert_int_equal(rename(aside, path), 0);
		assert_int_equal(chmod(path, 0644), 0);
		expect_refusal(f->dir, DATABASE, ST_CONFIG, "chmod go= ");
		assert_int_equal(chmod(path, 0600), 0);
		if (geteuid() == 0) {
			assert_int_equal(chown(path, 65534, 65534), 0);
			expect_refusal(f->dir, DATABASE, ST_CONFIG, "user 65534");
			assert_int_equal(chown(path, 0, 0), 0);
		}
	}
	state_dir_close(open_dir(f, false));
	fd = open(outside, O_RDONLY);
	assert_int_equal(read(fd, path, sizeof path), 8);
	assert_memory_equal(path, "precious", 8);
	(void)close(fd);
}

static void test_state_dir_names_what_cannot_be_a_folder(void **state)
{
	struct fixture *f = *state;
	char path[5000];

	(void)snprintf(path, sizeof path, "%s/none/state", f->folder);
	expect_refusal(path, DATABASE, ST_CONFIG, "none/state cannot be made");
	expect_refusal("", DATABASE, ST_CONFIG, "cannot be made");
	(void)snprintf(path, sizeof path, "%s/file", f->folder);
	(void)close(open(path, O_CREAT | O_WRONLY, 0600));
	expect_refusal(path, DATABASE, ST_CONFIG, "file is not a directory");
	(void)snprintf(path, sizeof path, "%s/file/state", f->folder);
	expect_refusal(path, DATABASE, ST_CONFIG, "is not a directory");
	(void)snprintf(path, sizeof path, "%s/loop", f->folder);
	assert_int_equal(symlink("loop", path), 0);
	expect_refusal(path, DATABASE, ST_CONFIG, "--state");
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	expect_refusal(path, DATABASE, ST_CONFIG, "xxx");
	expect_refusal(f->dir, path, ST_CONFIG, "too long");
	assert_int_not_equal(access(f->dir, F_OK), 0);
}

static int open_without_permission(const struct fixture *f)
{
	struct state_dir *dir;
	struct error err;
	bool is_new;

	if (setgid(65534) != 0 || setuid(65534) != 0) {
		return 77;
	}
	if (state_dir_open(f->dir, DATABASE, &dir, &is_new, &err) != ST_CONFIG ||
	    !strstr(err.text, f->dir) ||
	    (!strstr(err.text, "run rowtail as that user") &&
	     !strstr(err.text, "closed to that user") &&
	     !strstr(err.text, "user 65534 may not write in"))) {
		return 1;
	}
	return 0;
}

static void test_state_dir_names_a_folder_without_permission(void **state)
{
	struct fixture *f = *state;
	char path[200];

	if (geteuid() != 0) {
		skip();
	}
	make_dir(f);
	assert_int_equal(in_child(open_without_permission, f), 0); /* the folder */
	assert_int_equal(chmod(f->folder, 0755), 0);
	assert_int_equal(chmod(f->dir, 0755), 0);
	assert_int_equal(in_child(open_without_permission, f), 0); /* its lock */
	file_path(f, "lock", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(in_child(open_without_permission, f), 0); /* making one */
	remove_names(f->dir);
	assert_int_equal(rmdir(f->dir), 0);
	assert_int_equal(in_child(open_without_permission, f), 0); /* making all */
}

static int open_read_only(const struct fixture *f)
{
	struct state_dir *dir;
	struct error err;
	bool is_new;
	char path[200];

	if (unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", f->dir, "tmpfs", MS_RDONLY, NULL) != 0) {
		return 77;
	}
	if (state_dir_open(f->dir, DATABASE, &dir, &is_new, &err) != ST_CONFIG ||
	    !strstr(err.text, f->dir) || !strstr(err.text, "Read-only")) {
		return 1;
	}
	file_path(f, "deeper", path);
	return state_dir_open(path, DATABASE, &dir, &is_new, &err) == ST_CONFIG &&
		       strstr(err.text, path) && strstr(err.text, "Read-only")
		   ? 0
		   : 2;
}

static void test_state_dir_names_a_read_only_file_system(void **state)
{
	struct fixture *f = *state;
	int rc;

	assert_int_equal(mkdir(f->dir, 0700), 0);
	rc = in_child(open_read_only, f);
	if (rc == 77) { /* not root */
		skip();
	}
	assert_int_equal(rc, 0);
}

static void test_state_dir_refuses_a_folder_of_something_else(void **state)
{
	static const char *const foreign[] = {"app.db", "log-1", "log-00000000000000zz",
					      "log-00000000000000011", "meta2"};
	struct fixture *f = *state;

	assert_int_equal(mkdir(f->dir, 0700), 0);
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		write_file(f, "shadow", "x", 1);
		write_file(f, foreign[i], "x", 1);
		expect_refusal(f->dir, DATABASE, ST_CONFIG, foreign[i]);
		expect_refusal(f->dir, DATABASE, ST_CONFIG, "use another --state");
		assert_false(file_exists(f, "lock"));
		assert_true(file_exists(f, "shadow"));
		remove_names(f->dir);
	}
}

static void test_state_dir_removes_what_a_killed_first_start_left(void **state)
{
	static const char *const left[] = {"meta.new", "position",
					   "shadow",   "hashes",
					   "frames",   "log-0000000000000000",
					   "error",    "error.new",
					   "lock",     "log-00000000deadbeef"};
	struct fixture *f = *state;
	char path[200];

	assert_int_equal(mkdir(f->dir, 0700), 0);
	for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
		write_file(f, left[i], "something", 9);
	}
	write_file(f, "audit-key", "x", 1);
	file_path(f, "lost+found", path);
	assert_int_equal(mkdir(path, 0700), 0);
	file_path(f, "signals.sock", path);
	assert_int_equal(mknod(path, S_IFSOCK | 0600, 0), 0);
	state_dir_close(open_dir(f, true));
	assert_true(file_exists(f, "audit-key"));
	for (size_t i = 2; i < sizeof left / sizeof *left; i++) {
		assert_int_equal(file_exists(f, left[i]), strcmp(left[i], "lock") == 0);
	}
	assert_false(file_exists(f, "meta.new"));
	make_dir(f);
	/* With a meta nothing is removed, whatever else is there. */
	write_file(f, "shadow", "x", 1);
	write_file(f, "log-0000000000000000", "x", 1);
	write_file(f, "note", "x", 1);
	state_dir_close(open_dir(f, false));
	assert_true(file_exists(f, "shadow"));
	assert_true(file_exists(f, "log-0000000000000000"));
	assert_true(file_exists(f, "note"));
}

static void test_state_dir_names_a_leftover_that_is_no_file(void **state)
{
	struct fixture *f = *state;
	char path[200];

	assert_int_equal(mkdir(f->dir, 0700), 0);
	file_path(f, "shadow", path);
	assert_int_equal(mkdir(path, 0700), 0);
	expect_refusal(f->dir, DATABASE, ST_CONFIG,
		       "state/shadow is not a regular file");
}

/* ---- the lock ---- */

static int open_in_use(const struct fixture *f)
{
	struct state_dir *dir;
	struct error err;
	bool is_new;
	char text[64];

	(void)snprintf(text, sizeof text, "is in use by process %ld; stop it",
		       (long)getppid());
	if (state_dir_open(f->dir, DATABASE, &dir, &is_new, &err) != ST_CONFIG) {
		return 1;
	}
	return strstr(err.text, text) && strstr(err.text, f->dir) ? 0 : 2;
}

static int open_and_die(const struct fixture *f)
{
	static struct state_dir *dir; /* never closed */
	struct error err;
	bool is_new;

	return state_dir_open(f->dir, DATABASE, &dir, &is_new, &err) == ST_OK ? 0 : 1;
}

static void test_state_dir_lets_in_one_process_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct state_dir *dir = open_dir(f, true);

	assert_int_equal(in_child(open_in_use, f), 0);
	put_meta(dir, &sample_meta);
	assert_int_equal(in_child(open_in_use, f), 0);
	expect_refusal(f->dir, DATABASE, ST_CONFIG, "is in use by process");
	state_dir_close(dir);
	/* A process that dies lets go, too. */
	assert_int_equal(in_child(open_and_die, f), 0);
	dir = open_dir(f, false);
	assert_int_equal(in_child(open_in_use, f), 0);
	state_dir_close(dir);
}

static void test_state_dir_lock_of_an_unreadable_pid_is_still_a_lock(void **state)
{
	struct fixture *f = *state;
	struct state_dir *dir = open_dir(f, true);

	write_file(f, "lock", "", 0);
	expect_refusal(f->dir, DATABASE, ST_CONFIG, "in use by another process");
	write_file(f, "lock", "\xff\xff", 2);
	expect_refusal(f->dir, DATABASE, ST_CONFIG, "in use by another process");
	state_dir_close(dir);
	/* A longer pid of before leaves nothing behind. */
	write_file(f, "lock", "12345678901\n", 12);
	dir = open_dir(f, true);
	assert_int_equal(in_child(open_in_use, f), 0);
	state_dir_close(dir);
}

/* ---- meta ---- */

static void assert_meta(const struct state_meta *got, const struct state_meta *want)
{
	assert_memory_equal(got->uuid, want->uuid, STATE_UUID_BYTES);
	assert_int_equal(got->page_size, want->page_size);
	assert_int_equal(got->epoch, want->epoch);
	assert_int_equal(got->base_lsn, want->base_lsn);
	assert_int_equal(got->base_pages, want->base_pages);
	assert_int_equal(got->base_chain, want->base_chain);
	assert_memory_equal(got->base_salt, want->base_salt, sizeof want->base_salt);
	assert_int_equal(got->base_frame, want->base_frame);
	assert_int_equal(got->base_proof, want->base_proof);
	assert_int_equal(got->is_clean, want->is_clean);
	assert_int_equal(got->clean_lsn, want->clean_lsn);
	assert_int_equal(got->clean_device, want->clean_device);
	assert_int_equal(got->clean_inode, want->clean_inode);
	assert_int_equal(got->clean_size, want->clean_size);
	assert_int_equal(got->clean_mtime_ns, want->clean_mtime_ns);
	assert_int_equal(got->clean_ctime_ns, want->clean_ctime_ns);
}

static void test_meta_comes_back_as_it_was_put(void **state)
{
	static const uint8_t zeros[STATE_UUID_BYTES];
	struct fixture *f = *state;
	struct state_dir *dir = open_dir(f, true);
	struct state_meta meta = sample_meta;

	assert_string_equal(state_dir_path(dir), f->dir);
	assert_true(state_dir_fd(dir) >= 0);
	put_meta(dir, &meta);
	memcpy(meta.uuid, state_dir_meta(dir)->uuid, STATE_UUID_BYTES);
	assert_memory_not_equal(meta.uuid, zeros, STATE_UUID_BYTES);
	assert_meta(state_dir_meta(dir), &meta);
	state_dir_close(dir);
	dir = open_dir(f, false);
	assert_meta(state_dir_meta(dir), &meta);
	meta.is_clean = false;
	meta.base_lsn = UINT64_MAX;
	meta.page_size = 65536;
	memset(meta.uuid, 1, STATE_UUID_BYTES); /* of no effect */
	put_meta(dir, &meta);
	memcpy(meta.uuid, state_dir_meta(dir)->uuid, STATE_UUID_BYTES);
	assert_int_not_equal(meta.uuid[0] + meta.uuid[1] + meta.uuid[2], 3);
	state_dir_close(dir);
	dir = open_dir(f, false);
	assert_meta(state_dir_meta(dir), &meta);
	state_dir_close(dir);
}

static void test_meta_draws_uuid_and_epoch(void **state)
{
	struct fixture *f = *state;
	struct state_meta meta = sample_meta;
	struct state_meta drawn[3];

	meta.epoch = 0;
	for (int i = 0; i < 3; i++) {
		struct state_dir *dir = open_dir(f, true);

		put_meta(dir, &meta);
		drawn[i] = *state_dir_meta(dir);
		assert_int_not_equal(drawn[i].epoch, 0);
		put_meta(dir, &meta);
		assert_int_not_equal(state_dir_meta(dir)->epoch, drawn[i].epoch);
		state_dir_close(dir);
		remove_names(f->dir);
	}
	assert_memory_not_equal(drawn[0].uuid, drawn[1].uuid, STATE_UUID_BYTES);
	assert_memory_not_equal(drawn[1].uuid, drawn[2].uuid, STATE_UUID_BYTES);
	assert_int_not_equal(drawn[0].epoch, drawn[1].epoch);
}

static void test_meta_of_another_database_names_both(void **state)
{
	struct fixture *f = *state;
	char long_path[4000];

	make_dir(f);
	expect_refusal(f->dir, "/srv/other.db", ST_CONFIG, DATABASE);
	expect_refusal(f->dir, "/srv/other.db", ST_CONFIG, "/srv/other.db");
	expect_refusal(f->dir, DATABASE "x", ST_CONFIG, "use another --state");
	expect_refusal(f->dir, "/srv/shop/app.d", ST_CONFIG, "use another --state");
	memset(long_path, 'p', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = '\0';
	expect_refusal(f->dir, long_path, ST_CONFIG, "use another --state");
}

static void test_meta_keeps_the_longest_path(void **state)
{
	struct fixture *f = *state;
	char path[4097];
	struct state_dir *dir;
	struct error err;
	bool is_new;

	memset(path, 'p', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_int_equal(state_dir_open(f->dir, path, &dir, &is_new, &err), ST_OK);
	put_meta(dir, &sample_meta);
	state_dir_close(dir);
	assert_int_equal(state_dir_open(f->dir, path, &dir, &is_new, &err), ST_OK);
	assert_false(is_new);
	state_dir_close(dir);
}

static void test_meta_of_another_version_names_both(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[512];
	uint8_t short_meta[20] = "rowtailM\xc8";
	size_t len;

	make_dir(f);
	len = read_file(f, "meta", bytes, sizeof bytes);
	bytes[8] = 9;
	seal(bytes, len);
	write_file(f, "meta", bytes, len);
	expect_refusal(f->dir, DATABASE, ST_CONFIG, "version 9");
	expect_refusal(f->dir, DATABASE, ST_CONFIG, "needs 1");
	/* However little another version may have to say. */
	seal(short_meta, sizeof short_meta);
	write_file(f, "meta", short_meta, sizeof short_meta);
	expect_refusal(f->dir, DATABASE, ST_CONFIG, "version 200");
}

static void test_meta_finds_a_change_in_every_byte(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[512];
	size_t len;

	make_dir(f);
	len = read_file(f, "meta", bytes, sizeof bytes);
	for (size_t i = 0; i < len; i++) {
		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			bytes[i] ^= (uint8_t)bit;
			write_file(f, "meta", bytes, len);
			expect_refusal(f->dir, DATABASE, ST_DAMAGED,
				       "state/meta is damaged (checksum); move ");
			bytes[i] ^= (uint8_t)bit;
		}
	}
	write_file(f, "meta", bytes, len);
	state_dir_close(open_dir(f, false));
}

static void test_meta_finds_every_wrong_length(void **state)
{
	static uint8_t bytes[10000];
	struct fixture *f = *state;
	size_t len;

	make_dir(f);
	len = read_file(f, "meta", bytes, sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i += i < 300 ? 1 : 97) {
		if (i != len) {
			write_file(f, "meta", bytes, i);
			expect_refusal(f->dir, DATABASE, ST_DAMAGED, "is damaged");
		}
	}
	expect_refusal(f->dir, DATABASE, ST_DAMAGED, "a new snapshot will be taken");
}

/* A checksum keeps out accidents; a forged file must not do harm either. */
static void test_meta_refuses_nonsense_with_a_right_checksum(void **state)
{
	static const struct {
		size_t offset;
		size_t before_path; /* instead: so far before the path */
		uint8_t value;
		const char *text;
	} plants[] = {{0, 0, 'R', "not a file of rowtail"},
		      {13, 0, 0, "page size"},
		      {12, 0, 1, "page size"},
		      {14, 0, 2, "page size"},
		      {0, 4, sizeof DATABASE, "length"},
		      {0, 1, 0xff, "length"}};
	struct fixture *f = *state;
	uint8_t bytes[512];
	size_t path_start;
	size_t len;

	make_dir(f);
	len = read_file(f, "meta", bytes, sizeof bytes);
	path_start = len - 8 - strlen(DATABASE);
	assert_memory_equal(bytes + path_start, DATABASE, strlen(DATABASE));
	for (size_t i = 0; i < sizeof plants / sizeof *plants; i++) {
		size_t offset = plants[i].before_path
				    ? path_start - plants[i].before_path
				    : plants[i].offset;
		uint8_t kept = bytes[offset];

		bytes[offset] = plants[i].value;
		seal(bytes, len);
		write_file(f, "meta", bytes, len);
		expect_refusal(f->dir, DATABASE, ST_DAMAGED, plants[i].text);
		bytes[offset] = kept;
	}
	for (size_t i = 20; i < path_start + 8; i++) { /* without the path, and less */
		seal(bytes, i);
		write_file(f, "meta", bytes, i);
		expect_refusal(f->dir, DATABASE, ST_DAMAGED, "length");
	}
}

static void test_meta_that_is_a_folder_is_an_error(void **state)
{
	struct fixture *f = *state;
	char path[200];

	assert_int_equal(mkdir(f->dir, 0700), 0);
	file_path(f, "meta", path);
	assert_int_equal(mkdir(path, 0700), 0);
	expect_refusal(f->dir, DATABASE, ST_CONFIG, "state/meta is not a regular file");
}

static void test_meta_survives_a_kill_before_rename(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[512];
	struct state_dir *dir;
	size_t len;

	make_dir(f);
	len = read_file(f, "meta", bytes, sizeof bytes);
	for (size_t written = 0; written <= len; written += 17) {
		write_file(f, "meta.new", bytes, written);
		dir = open_dir(f, false);
		assert_int_equal(state_dir_meta(dir)->base_lsn, 42);
		if (written % 2) {
			put_meta(dir, &sample_meta);
			assert_false(file_exists(f, "meta.new"));
			assert_int_equal(mode_of(f, "meta"), 0600);
		}
		state_dir_close(dir);
	}
}

/* Both in step, as fast as they can, until killed. */
static int write_until_killed(const struct fixture *f)
{
	struct state_position position = sample_position;
	struct state_meta meta = sample_meta;
	struct state_dir *dir;
	struct error err;
	bool is_new;

	if (state_dir_open(f->dir, DATABASE, &dir, &is_new, &err) != ST_OK) {
		return 1;
	}
	position.messages = 0;
	position.lsn = is_new ? 100 : state_dir_position(dir)->lsn;
	for (;;) {
		position.lsn++;
		position.change_id = (position.lsn - 101) * 7; /* nothing before meta */
		;
		meta.base_lsn = position.lsn;
		meta.base_chain = position.lsn * 11;
		if (state_dir_put_position(dir, &position, &err) != ST_OK ||
		    state_dir_put_meta(dir, &meta, &err) != ST_OK) {
			return 2;
		}
	}
}

static void check_after_kill(const struct fixture *f, uint64_t *lsn)
{
	const struct state_position *position;
	const struct state_meta *meta;
	struct state_dir *dir;
	struct error err;
	bool is_new;

	if (state_dir_open(f->dir, DATABASE, &dir, &is_new, &err) != ST_OK) {
		fail_msg("after a kill: %s", err.text);
	}
	position = state_dir_position(dir);
	meta = state_dir_meta(dir);
	if (is_new) {
		assert_int_equal(*lsn, 0);
		assert_int_equal(position->lsn, 0);
	} else {
		assert_true(meta->base_lsn >= *lsn);
		assert_int_equal(meta->base_chain, meta->base_lsn * 11);
		assert_true(position->lsn >= meta->base_lsn);
		assert_int_equal(position->change_id, (position->lsn - 101) * 7);
		*lsn = meta->base_lsn;
	}
	state_dir_close(dir);
}

static void test_state_dir_survives_kills_at_any_instruction(void **state)
{
	struct fixture *f = *state;
	uint64_t lsn = 0;

	for (int i = 0; i < 60; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			_exit(write_until_killed(f));
		}
		(void)usleep((useconds_t)(i * i * 10));
		(void)kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		check_after_kill(f, &lsn);
	}
	assert_true(lsn > 100);
}

/* ---- position ---- */

static void test_position_is_zeros_at_first(void **state)
{
	static const struct state_position zeros;
	struct fixture *f = *state;
	struct state_dir *dir = open_dir(f, true);

	assert_memory_equal(state_dir_position(dir), &zeros, sizeof zeros);
	put_meta(dir, &sample_meta);
	state_dir_close(dir);
	dir = open_dir(f, false);
	assert_memory_equal(state_dir_position(dir), &zeros, sizeof zeros);
	state_dir_close(dir);
}

static void test_position_comes_back_as_it_was_put_last(void **state)
{
	struct fixture *f = *state;
	struct state_dir *dir = open_dir(f, true);
	struct state_position position = sample_position;

	put_meta(dir, &sample_meta);
	for (uint64_t i = 0; i < 9; i++) {
		const struct state_position *got;

		position.lsn = i;
		position.in_snapshot = i % 3 == 0;
		position.in_sink = i % 2 == 0;
		put_position(dir, &position);
		state_dir_close(dir);
		dir = open_dir(f, false);
		got = state_dir_position(dir);
		assert_int_equal(got->lsn, i);
		assert_int_equal(got->in_snapshot, i % 3 == 0);
		assert_int_equal(got->in_sink, i % 2 == 0);
		assert_int_equal(got->messages, position.messages);
		assert_int_equal(got->change_id, position.change_id);
		assert_int_equal(got->txn_change_id, position.txn_change_id);
		assert_int_equal(got->previous_lsn, position.previous_lsn);
		assert_int_equal(got->settings_hash, position.settings_hash);
		assert_int_equal(got->sink_inode, position.sink_inode);
		assert_int_equal(got->sink_length, position.sink_length);
		assert_int_equal(got->sink_start, position.sink_start);
		assert_int_equal(got->sink_proof, position.sink_proof);
	}
	state_dir_close(dir);
}

/* What stands in the file: LSN 1 in one record, LSN 2 in the other. */
static uint64_t position_lsn(const struct fixture *f)
{
	struct state_dir *dir = open_dir(f, false);
	uint64_t lsn = state_dir_position(dir)->lsn;

	state_dir_close(dir);
	return lsn;
}

static void test_position_falls_back_to_the_other_record(void **state)
{
	static uint8_t bytes[8192];
	struct fixture *f = *state;
	size_t newer;
	size_t record;
	size_t len;

	make_dir(f);
	len = read_file(f, "position", bytes, sizeof bytes);
	assert_in_range(len, 4096 + 16, 8192 - 1);
	record = len - 4096;
	newer = bytes[8] == 2 ? 0 : 4096;
	for (size_t i = 0; i < len; i++) {
		bool is_newer = i >= newer && i < newer + record;

		bytes[i] ^= 0x10;
		write_file(f, "position", bytes, len);
		assert_int_equal(position_lsn(f), is_newer ? 1 : 2);
		bytes[i] ^= 0x10;
	}
}

static void test_position_with_both_records_wrong_is_damage(void **state)
{
	static uint8_t bytes[8192];
	struct fixture *f = *state;
	size_t record;
	size_t len;

	make_dir(f);
	len = read_file(f, "position", bytes, sizeof bytes);
	record = len - 4096;
	for (size_t i = 0; i < record; i++) {
		bytes[i] ^= 1;
		bytes[len - 1 - i] ^= 1;
		write_file(f, "position", bytes, len);
		expect_refusal(f->dir, DATABASE, ST_DAMAGED,
			       "state/position is damaged (checksum); move ");
		bytes[i] ^= 1;
		bytes[len - 1 - i] ^= 1;
	}
	memset(bytes, 0, len);
	write_file(f, "position", bytes, len);
	expect_refusal(f->dir, DATABASE, ST_DAMAGED, "is damaged");
}

static void test_position_in_the_wrong_place_does_not_count(void **state)
{
	static uint8_t bytes[8192];
	struct fixture *f = *state;
	size_t older;
	size_t record;
	size_t len;

	make_dir(f);
	len = read_file(f, "position", bytes, sizeof bytes);
	record = len - 4096;
	older = bytes[8] == 1 ? 0 : 4096;
	memcpy(bytes + (4096 - older), bytes + older, record);
	write_file(f, "position", bytes, len);
	assert_int_equal(position_lsn(f), 1);
}

static void test_position_that_is_short_or_absent_is_zeros(void **state)
{
	static uint8_t bytes[8192];
	struct fixture *f = *state;
	char path[200];
	size_t full;

	make_dir(f);
	full = read_file(f, "position", bytes, sizeof bytes);
	for (size_t len = 0; len < full - 4096; len++) {
		write_file(f, "position", bytes, len);
		assert_int_equal(position_lsn(f), 0);
	}
	file_path(f, "position", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(position_lsn(f), 0);
	assert_int_equal(mode_of(f, "position"), 0600);
	assert_int_equal(read_file(f, "position", bytes, sizeof bytes), full);
	/* One whole record is enough, whatever the length of the file. */
	remove_names(f->dir);
	make_dir(f);
	(void)read_file(f, "position", bytes, sizeof bytes);
	for (size_t len = full - 4096; len < full; len += 131) {
		write_file(f, "position", bytes, len);
		assert_int_equal(position_lsn(f), bytes[8]);
	}
}

static void test_position_goes_on_after_a_torn_record(void **state)
{
	static uint8_t bytes[8192];
	struct fixture *f = *state;
	struct state_position position = sample_position;
	struct state_dir *dir;
	size_t newer;
	size_t len;

	make_dir(f);
	len = read_file(f, "position", bytes, sizeof bytes);
	newer = bytes[8] == 2 ? 0 : 4096;
	memset(bytes + newer + 40, 0xff, 20);
	write_file(f, "position", bytes, len);
	dir = open_dir(f, false);
	position.lsn = 3;
	put_position(dir, &position);
	state_dir_close(dir);
	assert_int_equal(position_lsn(f), 3);
	(void)read_file(f, "position", bytes, sizeof bytes);
	assert_int_equal(bytes[newer + 8], 3);
	assert_int_equal(bytes[4096 - newer + 8], 1);
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

/* Past a limit on file sizes write fails as on a full disk (EFBIG). */
static void test_full_disk_leaves_the_old_meta_and_position(void **state)
{
	struct fixture *f = *state;
	struct state_position position = sample_position;
	struct state_meta meta = sample_meta;
	struct state_dir *dir;
	struct error err;

	make_dir(f);
	dir = open_dir(f, false);
	position.lsn = 3;
	meta.base_lsn = 43;
	for (rlim_t limit = 0; limit < 104; limit += 29) {
		limit_files(limit);
		assert_int_equal(state_dir_put_meta(dir, &meta, &err), ST_IO);
		assert_int_equal(err.sys_errno, EFBIG);
		assert_non_null(strstr(err.text, "state/meta.new cannot be written"));
		assert_int_equal(state_dir_put_position(dir, &position, &err), ST_IO);
		assert_non_null(strstr(err.text, "state/position cannot be written"));
		limit_files(RLIM_INFINITY);
		assert_false(file_exists(f, "meta.new"));
		assert_int_equal(state_dir_meta(dir)->base_lsn, 42);
	}
	state_dir_close(dir);
	assert_int_equal(position_lsn(f), 2);
	dir = open_dir(f, false);
	assert_int_equal(state_dir_meta(dir)->base_lsn, 42);
	put_position(dir, &position); /* with room it goes on */
	put_meta(dir, &meta);
	state_dir_close(dir);
	assert_int_equal(position_lsn(f), 3);
}

static void test_full_disk_at_a_first_start_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct state_dir *dir;
	struct error err;
	bool is_new;

	for (rlim_t limit = 0; limit <= 4096; limit += 500) {
		limit_files(limit);
		assert_int_equal(state_dir_open(f->dir, DATABASE, &dir, &is_new, &err),
				 ST_IO);
		limit_files(RLIM_INFINITY);
		assert_non_null(strstr(err.text, "state/position cannot be written"));
	}
	make_dir(f);
}

/* ---- reading ---- */

static struct state_dir *read_dir(const struct fixture *f, bool shared)
{
	struct state_dir *dir;
	struct error err;
	bool is_new;

	if (state_dir_read(f->dir, shared, &dir, &is_new, &err) != ST_OK) {
		fail_msg("state_dir_read: %s", err.text);
	}
	assert_false(is_new);
	return dir;
}

static void test_reading_takes_nothing_and_makes_nothing(void **state)
{
	struct fixture *f = *state;
	struct state_dir *reader;
	struct state_dir *dir;
	struct error err;
	bool is_new;

	assert_int_equal(state_dir_read(f->dir, false, &reader, &is_new, &err),
			 ST_CONFIG);
	assert_int_not_equal(access(f->dir, F_OK), 0);
	assert_int_equal(mkdir(f->dir, 0700), 0);
	assert_int_equal(state_dir_read(f->dir, false, &reader, &is_new, &err),
			 ST_CONFIG);
	assert_non_null(strstr(err.text, "no state directory"));
	assert_false(file_exists(f, "lock"));
	make_dir(f);
	dir = open_dir(f, false);
	reader = read_dir(f, false);
	assert_int_equal(state_dir_holder(reader), getpid());
	assert_string_equal(state_dir_database(reader), DATABASE);
	assert_meta(state_dir_meta(reader), state_dir_meta(dir));
	assert_int_equal(state_dir_position(reader)->lsn, 2);
	state_dir_close(reader);
	assert_int_equal(state_dir_read(f->dir, true, &reader, &is_new, &err),
			 ST_CONFIG);
	assert_non_null(strstr(err.text, "in use by process"));
	state_dir_close(dir);
	reader = read_dir(f, false);
	assert_int_equal(state_dir_holder(reader), 0);
	state_dir_close(open_dir(f, false));
	state_dir_close(reader);
}

static void test_a_shared_reader_keeps_others_from_taking_it(void **state)
{
	struct fixture *f = *state;
	struct state_dir *first;
	struct state_dir *second;

	make_dir(f);
	first = read_dir(f, true);
	second = read_dir(f, true);
	state_dir_close(first);
	expect_refusal(f->dir, DATABASE, ST_CONFIG, "in use by");
	state_dir_close(second);
	state_dir_close(open_dir(f, false));
}

/* It was in use; without the position's numbers being reset this would be a meta that
 * was lost. */
static void test_a_directory_that_is_forgotten_is_new_again(void **state)
{
	struct fixture *f = *state;
	struct state_dir *dir = open_dir(f, true);
	struct error err;
	uint8_t uuid[STATE_UUID_BYTES];

	assert_int_equal(state_dir_put_position(dir, &sample_position, &err), ST_OK);
	assert_int_equal(state_dir_put_meta(dir, &sample_meta, &err), ST_OK);
	memcpy(uuid, state_dir_meta(dir)->uuid, sizeof uuid);
	assert_int_equal(state_dir_forget(dir, &err), ST_OK);
	state_dir_close(dir);
	dir = open_dir(f, true);
	assert_int_equal(state_dir_position(dir)->change_id, 0);
	assert_int_equal(state_dir_put_meta(dir, &sample_meta, &err), ST_OK);
	assert_memory_not_equal(state_dir_meta(dir)->uuid, uuid, sizeof uuid);
	state_dir_close(dir);
}

static void test_state_dir_close_takes_null(void **state)
{
	(void)state;
	state_dir_close(NULL);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(state_dir_makes_a_private_folder_under_any_umask),
	    TEST(state_dir_closes_a_new_folder_that_was_open_for_reading),
	    TEST(state_dir_refuses_one_that_is_open_to_others),
	    TEST(state_dir_refuses_a_new_one_that_others_may_write_to),
	    TEST(state_dir_leaves_a_folder_of_something_else_as_it_is),
	    TEST(state_dir_is_no_link),
	    TEST(state_dir_refuses_files_that_are_not_its_own),
	    TEST(state_dir_names_what_cannot_be_a_folder),
	    TEST(state_dir_names_a_folder_without_permission),
	    TEST(state_dir_names_a_read_only_file_system),
	    TEST(state_dir_refuses_a_folder_of_something_else),
	    TEST(state_dir_removes_what_a_killed_first_start_left),
	    TEST(state_dir_names_a_leftover_that_is_no_file),
	    TEST(state_dir_lets_in_one_process_at_a_time),
	    TEST(state_dir_lock_of_an_unreadable_pid_is_still_a_lock),
	    TEST(meta_comes_back_as_it_was_put),
	    TEST(meta_draws_uuid_and_epoch),
	    TEST(meta_of_another_database_names_both),
	    TEST(meta_keeps_the_longest_path),
	    TEST(meta_of_another_version_names_both),
	    TEST(meta_finds_a_change_in_every_byte),
	    TEST(meta_finds_every_wrong_length),
	    TEST(meta_refuses_nonsense_with_a_right_checksum),
	    TEST(meta_that_is_a_folder_is_an_error),
	    TEST(meta_survives_a_kill_before_rename),
	    TEST(state_dir_survives_kills_at_any_instruction),
	    TEST(position_is_zeros_at_first),
	    TEST(position_comes_back_as_it_was_put_last),
	    TEST(position_falls_back_to_the_other_record),
	    TEST(position_with_both_records_wrong_is_damage),
	    TEST(position_in_the_wrong_place_does_not_count),
	    TEST(position_that_is_short_or_absent_is_zeros),
	    TEST(position_goes_on_after_a_torn_record),
	    TEST(full_disk_leaves_the_old_meta_and_position),
	    TEST(full_disk_at_a_first_start_is_an_error),
	    TEST(reading_takes_nothing_and_makes_nothing),
	    TEST(a_shared_reader_keeps_others_from_taking_it),
	    TEST(a_directory_that_is_forgotten_is_new_again),
	    TEST(state_dir_close_takes_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
