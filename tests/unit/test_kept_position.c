/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What src/state/kept_position.h promises, asked of one that is kept nowhere and of one
 * in a state directory; and what a later run finds of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "src/base/file_io.h"
#include "src/base/last_error.h"
#include "src/base/log.h"
#include "src/state/state.h"

#define PAGE 512

static const struct state_position made = {
    .lsn = 7, .messages = 3, .change_id = 9, .settings_hash = 55};
static const struct span settings = {"a=1\n", 4};

struct fixture {
	char folder[64];
	char state[80];
	char database[80];
	struct kept_position *kept;
};

static void check(enum status status, const struct error *err)
{
	if (status != ST_OK) {
		fail_msg("%s", err->text);
	}
}

static void open_nowhere(struct fixture *f)
{
	struct error err;

	check(kept_nowhere_open(&f->kept, &err), &err);
}

static void open_state(struct fixture *f)
{
	struct state *state;
	struct error err;

	check(state_open(f->state, f->database, false, &state, &err), &err);
	f->kept = &state->kept;
}

static void (*const openers[])(struct fixture *) = {open_nowhere, open_state};

static void make(struct fixture *f)
{
	static const uint8_t page[PAGE];
	int fd;

	*f = (struct fixture){.folder = "/tmp/rowtail-kept.XXXXXX"};
	log_setup(LOG_ERROR, false);
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->state, sizeof f->state, "%s/state", f->folder);
	(void)snprintf(f->database, sizeof f->database, "%s/db", f->folder);
	fd = open(f->database, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(file_write_at(fd, page, PAGE, 0));
	(void)close(fd);
}

static void end(struct fixture *f)
{
	char command[128];

	f->kept->close(f->kept);
	(void)snprintf(command, sizeof command, "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0);
}

static void again(struct fixture *f)
{
	f->kept->close(f->kept);
	open_state(f);
}

/* The first view of a state directory is there: the database of one page, at LSN 0. */
static void begin(struct fixture *f)
{
	static const _Atomic int stop;
	struct state *state = state_of(f->kept);
	struct captured_txn *first = calloc(1, sizeof *first);
	struct shadow_copy copy = {.page_count = 1, .stop = &stop};
	struct error err;

	copy.source_fd = open(f->database, O_RDONLY | O_CLOEXEC);
	first->page_count = 1;
	check(state_prepare(state, PAGE, &err), &err);
	check(state_copy_base(state, &copy, &err), &err);
	check(state_absorb(state, first, &err), &err);
	check(state_begin(state, &err), &err);
	(void)close(copy.source_fd);
}

static void put(struct fixture *f, const struct state_position *position,
		const struct span *by)
{
	struct error err;

	check(f->kept->put(f->kept, position, by, false, &err), &err);
}

static void test_a_new_one_is_nobodys(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof openers / sizeof *openers; i++) {
		struct fixture f;

		make(&f);
		openers[i](&f);
		assert_true(f.kept->is_new);
		assert_string_equal(f.kept->uuid, "");
		assert_int_equal(f.kept->page_size, 0);
		assert_null(f.kept->last_settings.bytes);
		assert_false(f.kept->has(f.kept, 0, 0));
		end(&f);
	}
}

static void test_what_was_put_is_the_position(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof openers / sizeof *openers; i++) {
		struct fixture f;

		make(&f);
		openers[i](&f);
		if (openers[i] == open_state) {
			begin(&f);
		}
		put(&f, &made, &settings);
		assert_memory_equal(&f.kept->position, &made, sizeof made);
		f.kept->note(f.kept, "why");
		f.kept->note(f.kept, NULL);
		end(&f);
	}
}

static void test_a_state_directory_begins_with_what_was_filled_in(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	open_state(&f);
	f.kept->position = made; /* but for the LSN */
	begin(&f);
	again(&f);
	assert_false(f.kept->is_new);
	assert_int_equal(strlen(f.kept->uuid), KEPT_UUID_BYTES - 1);
	assert_int_equal(f.kept->page_size, PAGE);
	assert_int_equal(f.kept->position.lsn, 0);
	assert_int_equal(f.kept->position.change_id, made.change_id);
	assert_true(f.kept->has(f.kept, 0, 0));
	assert_false(f.kept->has(f.kept, 0, 1));
	end(&f);
}

static void test_a_later_run_finds_position_and_settings(void **state)
{
	struct state_position position = made;
	struct fixture f;

	(void)state;
	make(&f);
	open_state(&f);
	begin(&f);
	position.lsn = 0;
	put(&f, &position, &settings);
	again(&f);
	assert_memory_equal(&f.kept->position, &position, sizeof position);
	assert_int_equal(f.kept->last_settings.len, settings.len + 1);
	assert_string_equal(f.kept->last_settings.bytes, settings.bytes);
	end(&f);
}

static void test_settings_that_did_not_make_it_are_not_kept(void **state)
{
	struct state_position position = made;
	struct fixture f;

	(void)state;
	make(&f);
	open_state(&f);
	begin(&f);
	position.lsn = 0;
	put(&f, &position, NULL);
	again(&f);
	assert_int_equal(f.kept->position.change_id, made.change_id);
	assert_null(f.kept->last_settings.bytes);
	end(&f);
}

static void test_the_last_error_is_there_until_a_run_begins_well(void **state)
{
	struct last_error last;
	struct fixture f;
	int dir_fd;

	(void)state;
	make(&f);
	open_state(&f);
	dir_fd = state_dir_fd(state_of(f.kept)->dir);
	f.kept->note(f.kept, "the disk is gone");
	assert_true(last_error_read(dir_fd, LAST_ERROR, &last));
	assert_string_equal(last.text, "the disk is gone");
	f.kept->note(f.kept, NULL);
	assert_false(last_error_read(dir_fd, LAST_ERROR, &last));
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_new_one_is_nobodys),
	    cmocka_unit_test(test_what_was_put_is_the_position),
	    cmocka_unit_test(test_a_state_directory_begins_with_what_was_filled_in),
	    cmocka_unit_test(test_a_later_run_finds_position_and_settings),
	    cmocka_unit_test(test_settings_that_did_not_make_it_are_not_kept),
	    cmocka_unit_test(test_the_last_error_is_there_until_a_run_begins_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
