/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/owned_file.h"

#define NOBODY 65534

struct bench {
	char folder[64];
	int dir_fd;
	struct error err;
};

static int bench_open(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	assert_non_null(b);
	(void)strcpy(b->folder, "/tmp/rowtail-owned-XXXXXX");
	assert_non_null(mkdtemp(b->folder));
	b->dir_fd = open(b->folder, O_RDONLY | O_DIRECTORY);
	assert_true(b->dir_fd >= 0);
	*state = b;
	return 0;
}

static int bench_close(void **state)
{
	struct bench *b = *state;
	char command[100];

	(void)close(b->dir_fd);
	(void)snprintf(command, sizeof command, "rm -rf %s", b->folder);
	assert_int_equal(system(command), 0);
	free(b);
	return 0;
}

static struct owned_place place(const struct bench *b, const char *name)
{
	return (struct owned_place){.dir_fd = b->dir_fd,
				    .name = name,
				    .path = name,
				    .instead = "use another",
				    .closed = OWNED_PRIVATE};
}

static void put_file(const struct bench *b, const char *name, mode_t mode)
{
	int fd = openat(b->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	(void)close(fd);
}

/* What opening and looking say of `name`: both the same. */
static void refused(struct bench *b, const char *name, const char *text)
{
	struct owned_place at = place(b, name);
	int fd;

	assert_int_equal(owned_file_open(&at, O_RDWR | O_CREAT, &fd, NULL, &b->err),
			 ST_CONFIG);
	assert_int_equal(fd, -1);
	assert_non_null(strstr(b->err.text, text));
	assert_non_null(strstr(b->err.text, "use another"));
	assert_int_equal(owned_file_look(&at, &b->err), ST_CONFIG);
	assert_non_null(strstr(b->err.text, text));
}

static void test_what_is_made_is_closed_whatever_the_umask(void **state)
{
	struct bench *b = *state;
	struct owned_place at = place(b, "new");
	mode_t before = umask(0277);
	struct stat st;
	bool made;
	int fd;

	assert_int_equal(owned_file_open(&at, O_RDWR | O_CREAT, &fd, &made, &b->err),
			 ST_OK);
	(void)umask(before);
	assert_true(made);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	(void)close(fd);
	assert_int_equal(owned_file_open(&at, O_RDWR | O_CREAT, &fd, &made, &b->err),
			 ST_OK);
	assert_false(made);
	(void)close(fd);
}

static void test_what_is_not_there_is_said_and_not_made(void **state)
{
	struct bench *b = *state;
	struct owned_place at = place(b, "none");
	int fd;

	assert_int_equal(owned_file_open(&at, O_RDONLY, &fd, NULL, &b->err), ST_IO);
	assert_int_equal(b->err.sys_errno, ENOENT);
	assert_int_equal(owned_file_look(&at, &b->err), ST_OK);
}

static void test_links_are_refused(void **state)
{
	struct bench *b = *state;

	put_file(b, "target", 0600);
	assert_int_equal(symlinkat("target", b->dir_fd, "link"), 0);
	assert_int_equal(symlinkat("nothing", b->dir_fd, "dangling"), 0);
	refused(b, "link", "symbolic link");
	refused(b, "dangling", "symbolic link");
	assert_int_equal(linkat(b->dir_fd, "target", b->dir_fd, "second", 0), 0);
	refused(b, "target", "2 names");
	refused(b, "second", "2 names");
}

static void test_what_is_no_file_is_refused_and_waited_for_by_nobody(void **state)
{
	struct bench *b = *state;

	assert_int_equal(mkfifoat(b->dir_fd, "fifo", 0600), 0);
	refused(b, "fifo", "not a regular file");
}

static void test_modes_that_let_others_in_are_refused(void **state)
{
	static const mode_t modes[] = {0604, 0602, 0640, 0620, 0666, 0644};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		put_file(b, "file", modes[i]);
		refused(b, "file", "chmod go= file");
		assert_int_equal(unlinkat(b->dir_fd, "file", 0), 0);
	}
}

static void test_a_file_may_be_readable_where_that_is_asked(void **state)
{
	struct bench *b = *state;
	struct owned_place at = place(b, "file");
	int fd;

	at.closed = OWNED_READABLE;
	put_file(b, "file", 0644);
	assert_int_equal(owned_file_open(&at, O_RDWR, &fd, NULL, &b->err), ST_OK);
	assert_int_equal(fchmod(fd, 0664), 0);
	assert_int_equal(owned_file_check(&at, fd, &b->err), ST_CONFIG);
	assert_non_null(strstr(b->err.text, "chmod go-w file"));
	(void)close(fd);
}

struct acl_entry {
	uint16_t tag;
	uint16_t perm;
	uint32_t id;
};

/* u::rwx, u:nobody:rwx, g::---, m::rwx, o::---; false: there are none here. */
static bool give_nobody(const char *path, const char *kind)
{
	const uint32_t version = 2;
	const struct acl_entry entries[] = {{0x01, 7, UINT32_MAX},
					    {0x02, 7, NOBODY},
					    {0x04, 0, UINT32_MAX},
					    {0x10, 7, UINT32_MAX},
					    {0x20, 0, UINT32_MAX}};
	char acl[sizeof version + sizeof entries];

	memcpy(acl, &version, sizeof version);
	memcpy(acl + sizeof version, entries, sizeof entries);
	return setxattr(path, kind, acl, sizeof acl, 0) == 0;
}

static void test_an_acl_that_lets_others_in_is_refused(void **state)
{
	struct bench *b = *state;
	struct owned_place at = place(b, "file");
	char path[100];
	int fd;

	put_file(b, "file", 0600);
	(void)snprintf(path, sizeof path, "%s/file", b->folder);
	if (!give_nobody(path, "system.posix_acl_access")) {
		skip();
	}
	refused(b, "file", "mode 0770");
	assert_int_equal(owned_file_open(&at, O_RDONLY, &fd, NULL, &b->err), ST_CONFIG);
	assert_non_null(strstr(b->err.text, "an ACL"));
}

static void test_what_belongs_to_another_is_refused(void **state)
{
	struct bench *b = *state;

	if (geteuid() != 0) {
		skip();
	}
	put_file(b, "file", 0600);
	assert_int_equal(fchownat(b->dir_fd, "file", NOBODY, NOBODY, 0), 0);
	refused(b, "file", "belongs to user 65534");
}

/* Open `name` as a folder, and close it to others. */
static enum status take_folder(struct bench *b, const char *name, bool make,
			       bool may_close)
{
	struct owned_place at = place(b, name);
	int fd;
	enum status status = owned_folder_open(&at, make, &fd, NULL, &b->err);

	if (status == ST_OK) {
		status = owned_folder_close(&at, fd, may_close, &b->err);
		(void)close(fd);
	}
	return status;
}

static mode_t mode_of(const struct bench *b, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(b->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static void test_a_folder_is_made_closed_whatever_the_umask(void **state)
{
	struct bench *b = *state;
	mode_t before = umask(0777);

	assert_int_equal(take_folder(b, "new", true, false), ST_OK);
	(void)umask(before);
	assert_int_equal(mode_of(b, "new"), 0700);
	assert_int_equal(take_folder(b, "new", true, false), ST_OK);
	assert_int_equal(take_folder(b, "none", false, false), ST_IO);
	assert_int_equal(b->err.sys_errno, ENOENT);
}

static void test_a_folder_that_others_may_write_to_is_never_closed(void **state)
{
	static const mode_t modes[] = {0777, 0770, 0702, 01777, 0720};
	struct bench *b = *state;

	assert_int_equal(mkdirat(b->dir_fd, "folder", 0700), 0);
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		assert_int_equal(fchmodat(b->dir_fd, "folder", modes[i], 0), 0);
		assert_int_equal(take_folder(b, "folder", true, true), ST_CONFIG);
		assert_non_null(strstr(b->err.text, "chmod -R go= folder"));
		assert_int_equal(mode_of(b, "folder"), modes[i]);
	}
}

static void test_a_folder_that_others_may_read_is_closed_if_that_is_asked(void **state)
{
	struct bench *b = *state;

	assert_int_equal(mkdirat(b->dir_fd, "folder", 0700), 0);
	assert_int_equal(fchmodat(b->dir_fd, "folder", 0755, 0), 0);
	assert_int_equal(take_folder(b, "folder", true, false), ST_CONFIG);
	assert_int_equal(mode_of(b, "folder"), 0755);
	assert_int_equal(take_folder(b, "folder", true, true), ST_OK);
	assert_int_equal(mode_of(b, "folder"), 0700);
}

static void test_folders_that_are_none_or_anothers_are_refused(void **state)
{
	struct bench *b = *state;

	assert_int_equal(mkdirat(b->dir_fd, "folder", 0700), 0);
	assert_int_equal(symlinkat("folder", b->dir_fd, "link"), 0);
	assert_int_equal(take_folder(b, "link", true, true), ST_CONFIG);
	assert_non_null(strstr(b->err.text, "symbolic link"));
	put_file(b, "file", 0600);
	assert_int_equal(take_folder(b, "file", true, true), ST_IO);
	assert_int_equal(b->err.sys_errno, ENOTDIR);
	if (geteuid() == 0) {
		assert_int_equal(fchownat(b->dir_fd, "folder", NOBODY, NOBODY, 0), 0);
		assert_int_equal(take_folder(b, "folder", true, true), ST_CONFIG);
		assert_non_null(strstr(b->err.text, "belongs to user 65534"));
	}
}

static void test_a_default_acl_goes_when_a_folder_is_closed(void **state)
{
	struct bench *b = *state;
	char path[100];

	assert_int_equal(mkdirat(b->dir_fd, "folder", 0700), 0);
	(void)snprintf(path, sizeof path, "%s/folder", b->folder);
	if (!give_nobody(path, "system.posix_acl_default")) {
		skip();
	}
	assert_int_equal(take_folder(b, "folder", true, true), ST_OK);
	assert_int_equal(getxattr(path, "system.posix_acl_default", NULL, 0), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_what_is_made_is_closed_whatever_the_umask),
	    TEST(test_what_is_not_there_is_said_and_not_made),
	    TEST(test_links_are_refused),
	    TEST(test_what_is_no_file_is_refused_and_waited_for_by_nobody),
	    TEST(test_modes_that_let_others_in_are_refused),
	    TEST(test_a_file_may_be_readable_where_that_is_asked),
	    TEST(test_an_acl_that_lets_others_in_is_refused),
	    TEST(test_what_belongs_to_another_is_refused),
	    TEST(test_a_folder_is_made_closed_whatever_the_umask),
	    TEST(test_a_folder_that_others_may_write_to_is_never_closed),
	    TEST(test_a_folder_that_others_may_read_is_closed_if_that_is_asked),
	    TEST(test_folders_that_are_none_or_anothers_are_refused),
	    TEST(test_a_default_acl_goes_when_a_folder_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
