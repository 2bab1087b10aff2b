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

static void make(struct rig *rig, bool has_state)
{
	char state[100];
	char *argv[] = {(char *)"rowtail", (char *)"--to=null:", rig->database,
			has_state ? state : NULL, NULL};
	struct error err;

	*rig = (struct rig){.folder = "/tmp/rowtail-pipeline.XXXXXX"};
	log_setup(LOG_ERROR, false);
	check(stop_setup(&err), &err);
	assert_non_null(mkdtemp(rig->folder));
	(void)snprintf(rig->database, sizeof rig->database, "%s/db", rig->folder);
	(void)snprintf(state, sizeof state, "--state=%s/state", rig->folder);
	execute(rig, "PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t "
		     "VALUES(1)");
	config_init(&rig->config);
	check(cli_parse(has_state ? 4 : 3, argv, &rig->config, &err), &err);
	check(config_finish(&rig->config, &err), &err);
}

static void end(struct rig *rig)
{
	char command[128];

	config_clear(&rig->config);
	(void)snprintf(command, sizeof command, "rm -rf %s", rig->folder);
	assert_int_equal(system(command), 0);
}

/* A start, as it is said already: the log is not looked at. */
static enum status start(struct rig *rig, struct error *err)
{
	rig->pipeline = (struct pipeline){.config = &rig->config, .is_said = true};
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

static void test_what_fails_is_closed_and_can_be_opened_again(void **state)
{
	struct error err;
	struct rig rig;

	(void)state;
	make(&rig, true);
	execute(&rig, "PRAGMA journal_mode=DELETE");
	assert_int_equal(start(&rig, &err), ST_UNFIT);
	pipeline_close(&rig.pipeline);
	execute(&rig, "PRAGMA journal_mode=WAL");
	check(start(&rig, &err), &err);
	finish(&rig);
	end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_without_a_state_directory_each_start_is_new),
	    cmocka_unit_test(test_a_second_start_goes_on_from_the_first),
	    cmocka_unit_test(test_another_page_size_is_due_first),
	    cmocka_unit_test(test_what_fails_is_closed_and_can_be_opened_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
