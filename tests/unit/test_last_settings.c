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

#include "src/config/shaping.h"
#include "src/state/last_settings.h"

#define TEXT "a=1\nb=2\n"

struct fixture {
	char folder[64];
	int fd;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	(void)snprintf(f->folder, sizeof f->folder, "/tmp/rowtail-test-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->fd = open(f->folder, O_RDONLY | O_DIRECTORY);
	assert_true(f->fd >= 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)unlinkat(f->fd, "settings", 0);
	assert_int_equal(rmdir(f->folder), 0); /* nothing else is left */
	(void)close(f->fd);
	free(f);
	return 0;
}

static void write_text(const struct fixture *f, const char *text)
{
	struct error err;

	if (last_settings_write(f->fd, text, strlen(text), &err) != ST_OK) {
		fail_msg("%s", err.text);
	}
}

static bool reads(const struct fixture *f, const char *text)
{
	struct buffer b;
	uint64_t hash = 0;
	bool ok;

	buffer_init(&b);
	ok = last_settings_read(f->fd, &b, &hash);
	if (ok && text) {
		assert_string_equal(b.bytes, text);
		assert_true(hash == shaping_hash(text, strlen(text)));
	}
	buffer_clear(&b);
	return ok;
}

static void put(const struct fixture *f, const char *bytes, size_t len)
{
	int fd = openat(f->fd, "settings", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, len), len);
	(void)close(fd);
}

static void test_what_was_written_is_read(void **state)
{
	const struct fixture *f = *state;
	struct stat st;
	mode_t mask = umask(0777);

	assert_false(reads(f, NULL));
	write_text(f, TEXT);
	(void)umask(mask);
	assert_true(reads(f, TEXT));
	assert_int_equal(fstatat(f->fd, "settings", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	write_text(f, "");
	assert_true(reads(f, ""));
}

static void test_what_a_kill_left_is_in_nobodys_way(void **state)
{
	const struct fixture *f = *state;
	int fd = openat(f->fd, "settings.new", O_WRONLY | O_CREAT, 0400);

	(void)close(fd);
	write_text(f, TEXT);
	assert_true(reads(f, TEXT));
}

static void test_a_file_that_does_not_fit_is_as_good_as_none(void **state)
{
	const struct fixture *f = *state;
	char bytes[256];
	ssize_t len;
	int fd;

	write_text(f, TEXT);
	fd = openat(f->fd, "settings", O_RDONLY);
	len = read(fd, bytes, sizeof bytes);
	(void)close(fd);
	assert_true(len > 0);
	for (ssize_t i = 0; i < len; i++) {
		put(f, bytes, (size_t)i);
		assert_false(reads(f, NULL));
		bytes[i] ^= 1;
		put(f, bytes, (size_t)len);
		assert_false(reads(f, NULL));
		bytes[i] ^= 1;
	}
	put(f, bytes, (size_t)len);
	assert_true(reads(f, TEXT));
}

static void test_only_a_file_is_read(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(symlinkat("/etc/passwd", f->fd, "settings"), 0);
	assert_false(reads(f, NULL));
	write_text(f, TEXT); /* in the place of the link */
	assert_true(reads(f, TEXT));
	assert_int_equal(unlinkat(f->fd, "settings", 0), 0);
	assert_int_equal(mkfifoat(f->fd, "settings", 0600), 0);
	assert_false(reads(f, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_what_was_written_is_read, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_what_a_kill_left_is_in_nobodys_way,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_a_file_that_does_not_fit_is_as_good_as_none, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_only_a_file_is_read, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
