/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
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

#include "src/base/temp_file.h"

static size_t count_entries(const char *folder)
{
	DIR *dir = opendir(folder);
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir)) {
		count++;
	}
	(void)closedir(dir);
	return count;
}

static void test_temp_file_has_no_name_and_is_for_its_owner_alone(void **state)
{
	char folder[] = "/tmp/rowtail-test-XXXXXX";
	struct stat st;
	struct error err;
	char byte = 0;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)setenv("TMPDIR", folder, 1);
	assert_int_equal(temp_file_open(&fd, &err), ST_OK);
	assert_int_equal(count_entries(folder), 2); /* "." and ".." */
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 5000), 1);
	assert_int_equal(pread(fd, &byte, 1, 5000), 1);
	assert_int_equal(byte, 'x');
	(void)close(fd);
	assert_int_equal(rmdir(folder), 0);
}

static void test_temp_file_names_the_folder_that_cannot_be_used(void **state)
{
	struct error err;
	int fd;

	(void)state;
	(void)setenv("TMPDIR", "/nonexistent/folder", 1);
	assert_int_equal(temp_file_open(&fd, &err), ST_IO);
	assert_non_null(strstr(err.text, "/nonexistent/folder"));
	assert_non_null(strstr(err.text, "TMPDIR"));
}

static void test_temp_file_refuses_a_folder_of_endless_length(void **state)
{
	char folder[6000];
	struct error err;
	int fd;

	(void)state;
	memset(folder, 'x', sizeof folder - 1);
	folder[0] = '/';
	folder[sizeof folder - 1] = '\0';
	(void)setenv("TMPDIR", folder, 1);
	assert_int_equal(temp_file_open(&fd, &err), ST_IO);
	assert_non_null(strstr(err.text, "TMPDIR"));
}

static void test_temp_file_takes_an_empty_tmpdir_for_none(void **state)
{
	struct error err;
	int fd;

	(void)state;
	(void)setenv("TMPDIR", "", 1);
	if (temp_file_open(&fd, &err) == ST_OK) {
		(void)close(fd);
	} else { /* /var/tmp may lie in memory or not be there */
		assert_non_null(strstr(err.text, "/var/tmp"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_temp_file_has_no_name_and_is_for_its_owner_alone),
	    cmocka_unit_test(test_temp_file_names_the_folder_that_cannot_be_used),
	    cmocka_unit_test(test_temp_file_refuses_a_folder_of_endless_length),
	    cmocka_unit_test(test_temp_file_takes_an_empty_tmpdir_for_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
