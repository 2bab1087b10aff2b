/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All parts opened on a small database, with a state directory and without: where a
 * start goes on, what is due first, and that what fails is closed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "src/base/log.h"
#include "src/base/sqlite_guard.h"
#include "src/base/stop.h"
#include "src/cli.h"
#include "src/config/settings.h"
#include "src/page_size_change.h"
#include "src/pipeline.h"

struct rig {
	char folder[64];
	char database[80];
	struct config config;
	struct pipeline pipeline;
};

static const struct sink_floor no_floor;

static void check(enum status status, const struct error *err)
{
	if (status != ST_OK) {
		fail_msg("%s", err->text);
	}
}

static void execute(const struct rig *rig, const char *sql)
{
	sqlite3 *db = NULL;

	/* Here this process is the application: src/base/sqlite_guard.h is not for it.
	 */
	sqlite_guard_lift();
	assert_int_equal(sqlite3_open(rig->database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* `more`: of the command line. */
static void ask(struct rig *rig, const char *sink, bool has_state, const char *more)
{
	char state[100];
	char *argv[6] = {(char *)"rowtail", (char *)(uintptr_t)sink, rig->database};
	int argc = 3;
	struct error err;

	(void)snprintf(state, sizeof state, "--state=%s/state", rig->folder);
	if (has_state) {
		argv[argc++] = state;
	}
	if (more) {
		argv[argc++] = (char *)(uintptr_t)more;
	}
	config_init(&rig->config);
	check(cli_parse(argc, argv, &rig->config, &err), &err);
	check(config_finish(&rig->config, &err), &err);
}

static void make_database(struct rig *rig)
{
	*rig = (struct rig){.folder = "/tmp/rowtail-pipeline.XXXXXX"};
	assert_non_null(mkdtemp(rig->folder));
	(void)snprintf(rig->database, sizeof rig->database, "%s/db", rig->folder);
	execute(rig, "PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t "
		     "VALUES(1)");
}

static void make(struct rig *rig, bool has_state)
{
	make_database(rig);
	ask(rig, "--to=null:", has_state, NULL);
}

static void end(struct rig *rig)
{
	char command[128];

	config_clear(&rig->config);
	(void)snprintf(command, sizeof command, "rm -rf %s", rig->folder);
	assert_int_equal(system(command), 0);
}

static enum status start(struct rig *rig, struct error *err)
{
	rig->pipeline = (struct pipeline){.config = &rig->config};
	return pipeline_open(&rig->pipeline, no_floor, err);
}

static void stop(struct rig *rig)
{
	capture_stop_clean(rig->pipeline.capture);
	pipeline_close(&rig->pipeline);
}

static void finish(struct rig *rig)
{
	struct error err;

	if (delivery_in_snapshot(rig->pipeline.delivery)) {
		check(pipeline_snapshot(&rig->pipeline, &err), &err);
	}
	check(delivery_finish(rig->pipeline.delivery, ST_OK, &err), &err);
	check(rig->pipeline.history->finish(rig->pipeline.history, &err), &err);
	stop(rig);
}

static void test_without_a_state_directory_each_start_is_new(void **state)
{
	struct error err;
	struct rig rig;

	(void)state;
	make(&rig, false);
	for (int i = 0; i < 2; i++) {
		check(start(&rig, &err), &err);
		assert_true(rig.pipeline.kept->is_new);
		assert_false(rig.pipeline.history->goes_on);
		finish(&rig);
	}
	end(&rig);
}

static void test_a_second_start_goes_on_from_the_first(void **state)
{
	char uuid[KEPT_UUID_BYTES];
	struct error err;
	struct rig rig;

	(void)state;
	make(&rig, true);
	check(start(&rig, &err), &err);
	assert_true(delivery_in_snapshot(rig.pipeline.delivery));
	(void)snprintf(uuid, sizeof uuid, "%s", rig.pipeline.kept->uuid);
	finish(&rig);
	check(start(&rig, &err), &err);
	assert_false(delivery_in_snapshot(rig.pipeline.delivery));
	assert_string_equal(rig.pipeline.kept->uuid, uuid);
	finish(&rig);
	end(&rig);
}

static void test_another_page_size_is_due_first(void **state)
{
	struct error err;
	struct rig rig;

	(void)state;
	make(&rig, true);
	check(start(&rig, &err), &err);
	finish(&rig);
	execute(&rig, "PRAGMA journal_mode=DELETE; PRAGMA page_size=8192; VACUUM; "
		      "PRAGMA journal_mode=WAL");
	assert_int_equal(start(&rig, &err), ST_RETRY);
	assert_int_equal(rig.pipeline.page_size, 8192);
	assert_null(rig.pipeline.capture);
	pipeline_close(&rig.pipeline);
	check(page_size_change(&rig.config, 8192, &err), &err);
	check(start(&rig, &err), &err);
	assert_int_equal(rig.pipeline.kept->page_size, 8192);
	finish(&rig);
	end(&rig);
}

/* ---- each step can fail ---- */

/* What could not be opened is closed, and when its reason is gone it can be. */
static void fails_then_opens(struct rig *rig, enum status status, const char *says,
			     void (*mend)(struct rig *rig))
{
	struct error err;

	if (start(rig, &err) == ST_OK) {
		fail_msg("it was opened, in spite of: %s", says);
	}
	if (err.status != status || !strstr(err.text, says)) {
		fail_msg("status %d: %s", (int)err.status, err.text);
	}
	pipeline_close(&rig->pipeline);
	mend(rig);
	check(start(rig, &err), &err);
	finish(rig);
	end(rig);
}

static void ask_for_all(struct rig *rig)
{
	config_clear(&rig->config);
	ask(rig, "--to=null:", true, NULL);
}

static void test_a_filter_that_is_none(void **state)
{
	struct rig rig;

	(void)state;
	make_database(&rig);
	ask(&rig, "--to=null:", true, "-Dtable.include.list=(");
	fails_then_opens(&rig, ST_CONFIG, "table.include.list", ask_for_all);
}

static void test_a_rule_for_columns_that_is_none(void **state)
{
	struct rig rig;

	(void)state;
	make_database(&rig);
	ask(&rig, "--to=null:", true, "-Dcolumn.mask.with.3.chars=(");
	fails_then_opens(&rig, ST_CONFIG, "column.mask.with.3.chars", ask_for_all);
}

static void remove_state(struct rig *rig)
{
	char path[100];

	(void)snprintf(path, sizeof path, "%s/state", rig->folder);
	assert_int_equal(remove(path), 0);
}

static void test_a_file_in_the_place_of_the_state_directory(void **state)
{
	struct rig rig;
	char path[100];
	FILE *file;

	(void)state;
	make(&rig, true);
	(void)snprintf(path, sizeof path, "%s/state", rig.folder);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fclose(file);
	fails_then_opens(&rig, ST_CONFIG, path, remove_state);
}

static void set_wal(struct rig *rig)
{
	execute(rig, "PRAGMA journal_mode=WAL");
}

static void test_a_database_that_is_not_in_wal_mode(void **state)
{
	struct rig rig;

	(void)state;
	for (int has_state = 0; has_state < 2; has_state++) {
		make(&rig, has_state != 0);
		execute(&rig, "PRAGMA journal_mode=DELETE");
		fails_then_opens(&rig, ST_UNFIT, "WAL", set_wal);
	}
}

static void test_a_table_that_is_not_there(void **state)
{
	struct rig rig;

	(void)state;
	make_database(&rig);
	ask(&rig, "--to=null:", true, "-Dtable.include.list=nothing");
	fails_then_opens(&rig, ST_CONFIG, "table.include.list", ask_for_all);
}

static void set_root(struct rig *rig)
{
	execute(rig, "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET rootpage=2");
}

static void test_a_schema_that_is_corrupt(void **state)
{
	struct rig rig;

	(void)state;
	make(&rig, false);
	execute(&rig,
		"PRAGMA writable_schema=ON; UPDATE sqlite_schema SET rootpage=777");
	fails_then_opens(&rig, ST_UNFIT, "corrupt", set_root);
}

static void ask_to_go_on(struct rig *rig)
{
	(void)rig;
	stop_requested = 0;
}

static void test_a_stop_while_the_database_is_copied(void **state)
{
	struct rig rig;

	(void)state;
	make(&rig, true);
	stop_requested = 1;
	fails_then_opens(&rig, ST_STOPPED, "", ask_to_go_on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_without_a_state_directory_each_start_is_new),
	    cmocka_unit_test(test_a_second_start_goes_on_from_the_first),
	    cmocka_unit_test(test_another_page_size_is_due_first),
	    cmocka_unit_test(test_a_filter_that_is_none),
	    cmocka_unit_test(test_a_rule_for_columns_that_is_none),
	    cmocka_unit_test(test_a_file_in_the_place_of_the_state_directory),
	    cmocka_unit_test(test_a_database_that_is_not_in_wal_mode),
	    cmocka_unit_test(test_a_table_that_is_not_there),
	    cmocka_unit_test(test_a_schema_that_is_corrupt),
	    cmocka_unit_test(test_a_stop_while_the_database_is_copied),
	};
	struct error err;

	log_setup(LOG_ERROR, false);
	check(stop_setup(&err), &err);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
