/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/last_error.h"

struct fixture {
	char folder[64];
	int fd;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	(void)snprintf(f->folder, sizeof f->folder, "/tmp/rowtail-error-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->fd = open(f->folder, O_RDONLY | O_DIRECTORY);
	assert_true(f->fd >= 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	last_error_remove(f->fd, LAST_ERROR);
	assert_int_equal(rmdir(f->folder), 0); /* nothing else is left */
	(void)close(f->fd);
	free(f);
	return 0;
}

static void put(const struct fixture *f, const char *bytes)
{
	int fd = openat(f->fd, "error", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
	(void)close(fd);
}

static void test_what_was_written_is_read_until_it_is_removed(void **state)
{
	const struct fixture *f = *state;
	struct last_error error;
	struct stat st;

	assert_false(last_error_read(f->fd, LAST_ERROR, &error));
	last_error_write(f->fd, LAST_ERROR, "app.db: the first");
	last_error_write(f->fd, LAST_ERROR, "app.db: was replaced\nand more");
	assert_true(last_error_read(f->fd, LAST_ERROR, &error));
	assert_string_equal(error.text, "app.db: was replaced");
	assert_int_equal(strlen(error.time), LAST_ERROR_TIME_BYTES - 1);
	assert_int_equal(error.time[10], 'T');
	assert_int_equal(error.time[19], 'Z');
	assert_int_equal(fstatat(f->fd, "error", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	last_error_remove(f->fd, LAST_ERROR);
	assert_false(last_error_read(f->fd, LAST_ERROR, &error));
}

static void test_the_longest_text_is_cut_to_one_line(void **state)
{
	const struct fixture *f = *state;
	struct last_error error;
	char text[3000];

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	last_error_write(f->fd, LAST_ERROR, text);
	assert_true(last_error_read(f->fd, LAST_ERROR, &error));
	assert_true(strlen(error.text) > 1000);
	assert_true(strlen(error.text) < LAST_ERROR_TEXT_BYTES);
}

static void test_anything_else_in_its_place_is_none(void **state)
{
	static const char *const contents[] = {"", "\n", "2026", "no time and a text",
					       "2026-11-21T10:00:00Zmore"};
	const struct fixture *f = *state;
	struct last_error error;

	for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
		put(f, contents[i]);
		assert_false(last_error_read(f->fd, LAST_ERROR, &error));
	}
	put(f, "2026-11-21T10:00:00Z ");
	assert_true(last_error_read(f->fd, LAST_ERROR, &error));
	assert_string_equal(error.text, "");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_what_was_written_is_read_until_it_is_removed),
	    T(test_the_longest_text_is_cut_to_one_line),
	    T(test_anything_else_in_its_place_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
