/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What signals do to the snapshots that were asked for; the rows are a matter of
 * tests/state/on_demand*.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/log.h"
#include "src/deliver/snapshots.h"
#include "tests/lib/catalog_fixture.h"

struct fixture {
	struct catalog_fixture tables;
	struct snapshots *snapshots;
	struct buffer told; /* "KIND id;" for each notification */
};

static enum status notify(void *context, enum notification_kind kind,
			  const struct notification_of *what, struct error *err)
{
	struct fixture *f = context;

	(void)err;
	buffer_add_str(&f->told, notification_type(kind));
	buffer_add_char(&f->told, ' ');
	buffer_add_str(&f->told, what->id);
	buffer_add_char(&f->told, ';');
	return ST_OK;
}

static enum status table(void *context, const struct table *table, struct error *err)
{
	(void)context;
	(void)table;
	(void)err;
	return ST_OK;
}

static enum status change(void *context, const struct change *change, struct error *err)
{
	(void)context;
	(void)change;
	(void)err;
	return ST_OK;
}

static void open_with(struct fixture *f, struct span text)
{
	const struct snapshots_events events = {
	    .context = f, .notify = notify, .table = table, .change = change};
	struct error err;

	assert_int_equal(snapshots_open(text, &events, &f->snapshots, &err), ST_OK);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	buffer_init(&f->told);
	fixture_open(&f->tables,
		     "create table a(id integer primary key); create table b(x);"
		     "create table c(x)");
	fixture_read(&f->tables, NULL);
	open_with(f, (struct span){NULL, 0});
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	snapshots_close(f->snapshots);
	buffer_clear(&f->told);
	fixture_close(&f->tables);
	free(f);
	return 0;
}

/* A later run, with what this one has kept. */
static void open_again(struct fixture *f)
{
	struct buffer text;
	struct error err;

	buffer_init(&text);
	assert_int_equal(snapshots_text(f->snapshots, &text, &err), ST_OK);
	snapshots_close(f->snapshots);
	f->snapshots = NULL;
	open_with(f, (struct span){text.bytes, text.len});
	buffer_clear(&text);
}

static enum status say(struct fixture *f, const char *id, const char *type,
		       const char *data, struct error *err)
{
	struct signal *signal;
	enum status status = signal_parse(
	    (struct span){id, strlen(id)}, (struct span){type, strlen(type)},
	    (struct span){data, strlen(data)}, &signal, err);

	assert_int_equal(status, ST_OK);
	status = snapshots_signal(f->snapshots, signal, f->tables.catalog, err);
	signal_free(signal);
	return status;
}

static void ask(struct fixture *f, const char *id, const char *tables)
{
	char data[256];
	struct error err;

	(void)snprintf(data, sizeof data, "{\"data-collections\":[%s]}", tables);
	assert_int_equal(say(f, id, "execute-snapshot", data, &err), ST_OK);
}

static void stop(struct fixture *f, const char *tables)
{
	char data[256] = "";
	struct error err;

	if (tables) {
		(void)snprintf(data, sizeof data, "{\"data-collections\":[%s]}",
			       tables);
	}
	assert_int_equal(say(f, "stop", "stop-snapshot", data, &err), ST_OK);
}

/* What it has told since the last time. */
static void assert_told(struct fixture *f, const char *expected)
{
	buffer_add_char(&f->told, '\0');
	assert_string_equal(f->told.bytes, expected);
	buffer_reset(&f->told);
}

static void chunk(struct fixture *f)
{
	struct error err;

	assert_true(snapshots_are_due(f->snapshots));
	assert_int_equal(snapshots_chunk(f->snapshots,
					 memory_source_pages(f->tables.source),
					 f->tables.catalog, 10, &err),
			 ST_OK);
}

/* ---- stop-snapshot ---- */

static void test_a_stop_without_names_is_of_all_that_wait(void **state)
{
	struct fixture *f = *state;
	struct error err;

	ask(f, "1", "\"a\",\"b\"");
	ask(f, "2", "\"b\"");
	ask(f, "3", "\"c\"");
	assert_int_equal(say(f, "p", "pause-snapshot", "", &err), ST_OK);
	buffer_reset(&f->told);
	stop(f, NULL);
	assert_told(f, "ABORTED 1;ABORTED 2;ABORTED 3;");
	assert_false(snapshots_are_due(f->snapshots));
	assert_int_equal(say(f, "s", "stop-snapshot", "{}", &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "no snapshot is being taken"));
	/* Nothing of it is paused. */
	ask(f, "4", "\"a\"");
	assert_true(snapshots_are_due(f->snapshots));
}

static void test_a_stop_with_names_is_of_these_in_all_that_wait(void **state)
{
	struct fixture *f = *state;

	ask(f, "1", "\"a\",\"b\"");
	ask(f, "2", "\"b\"");
	ask(f, "3", "\"c\",\"b\",\"a\"");
	buffer_reset(&f->told);
	stop(f, "\"B\"");
	assert_told(f, "ABORTED 2;");
	open_again(f); /* what is left is kept */
	chunk(f);
	assert_told(f, "IN_PROGRESS 1;TABLE_SCAN_COMPLETED 1;COMPLETED 1;");
	chunk(f);
	assert_told(f, "IN_PROGRESS 3;TABLE_SCAN_COMPLETED 3;");
	/* One that is over does not come back, nor is it stopped. */
	stop(f, "\"a\",\"nothing\"");
	assert_told(f, "ABORTED 3;");
	assert_false(snapshots_are_due(f->snapshots));
}

static void test_a_stop_of_what_nobody_waits_for_is_refused(void **state)
{
	struct fixture *f = *state;
	struct error err;

	ask(f, "1", "\"a\",\"b\"");
	chunk(f);
	buffer_reset(&f->told);
	assert_int_equal(
	    say(f, "s", "stop-snapshot", "{\"data-collections\":[\"c\",\"a\"]}", &err),
	    ST_CONFIG);
	assert_non_null(strstr(err.text, "has such a name"));
	assert_told(f, "");
	chunk(f);
	assert_told(f, "IN_PROGRESS 1;TABLE_SCAN_COMPLETED 1;COMPLETED 1;");
}

static void test_a_pause_outlives_the_stop_of_another_one(void **state)
{
	struct fixture *f = *state;
	struct error err;

	ask(f, "1", "\"a\"");
	ask(f, "2", "\"b\"");
	ask(f, "3", "\"c\"");
	assert_int_equal(say(f, "p", "pause-snapshot", "", &err), ST_OK);
	stop(f, "\"b\"");
	assert_false(snapshots_are_due(f->snapshots));
	open_again(f);
	assert_false(snapshots_are_due(f->snapshots));
	stop(f, "\"a\""); /* and not its own */
	chunk(f);
	buffer_reset(&f->told);
}

/* ---- limits ---- */

static void test_not_more_than_a_thousand_wait(void **state)
{
	struct fixture *f = *state;
	struct error err;
	char id[16];

	for (int i = 0; i < SNAPSHOTS_MAX; i++) {
		(void)snprintf(id, sizeof id, "%d", i);
		ask(f, id, "\"a\"");
	}
	buffer_reset(&f->told);
	assert_int_equal(
	    say(f, "more", "execute-snapshot", "{\"data-collections\":[\"a\"]}", &err),
	    ST_CONFIG);
	assert_non_null(strstr(err.text, "1000 snapshots wait"));
	assert_told(f, "");
	ask(f, "7", "\"a\""); /* that one is there */
	open_again(f);
	assert_int_equal(
	    say(f, "more", "execute-snapshot", "{\"data-collections\":[\"a\"]}", &err),
	    ST_CONFIG);
	chunk(f);
	ask(f, "more", "\"a\"");
	/* What the settings ask for is. */
	assert_int_equal(snapshots_ask(f->snapshots, "settings", false,
				       (const char *const[]){"b"}, 1, &err),
			 ST_OK);
}

static enum status ask_with(struct fixture *f, const char *id, size_t len,
			    struct error *err)
{
	char *data = malloc(len + 256);
	enum status status;
	size_t at;

	assert_non_null(data);
	at = (size_t)sprintf(data, "{\"data-collections\":[\"a\",\"b\",\"c\"],"
				   "\"additional-conditions\":[{\"data-collection\":"
				   "\".*\",\"filter\":\"1/*");
	memset(data + at, 'x', len);
	(void)strcpy(data + at + len, "*/\"}]}");
	status = say(f, id, "execute-snapshot", data, err);
	free(data);
	return status;
}

static void test_what_waits_has_four_megabytes_at_most(void **state)
{
	struct fixture *f = *state;
	struct buffer text;
	struct error err;

	/* A condition of three tables counts once. */
	assert_int_equal(ask_with(f, "1", 1000000, &err), ST_OK);
	assert_int_equal(ask_with(f, "2", 1000000, &err), ST_OK);
	assert_int_equal(ask_with(f, "3", 1000000, &err), ST_OK);
	assert_int_equal(ask_with(f, "4", 1000000, &err), ST_OK);
	buffer_reset(&f->told);
	assert_int_equal(ask_with(f, "5", 1000000, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, "4 MiB"));
	assert_told(f, "");
	buffer_init(&text);
	assert_int_equal(snapshots_text(f->snapshots, &text, &err), ST_OK);
	assert_in_range(text.len, 4000000, SNAPSHOTS_MAX_BYTES);
	buffer_clear(&text);
	open_again(f);
	assert_int_equal(ask_with(f, "5", 1000000, &err), ST_CONFIG);
	ask(f, "small", "\"a\"");
	stop(f, NULL);
	assert_int_equal(ask_with(f, "5", 1000000, &err), ST_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_stop_without_names_is_of_all_that_wait),
	    TEST(test_a_stop_with_names_is_of_these_in_all_that_wait),
	    TEST(test_a_stop_of_what_nobody_waits_for_is_refused),
	    TEST(test_a_pause_outlives_the_stop_of_another_one),
	    TEST(test_not_more_than_a_thousand_wait),
	    TEST(test_what_waits_has_four_megabytes_at_most),
	};

	log_setup(LOG_ERROR, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
