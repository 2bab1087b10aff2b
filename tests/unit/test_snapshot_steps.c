/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a snapshot at start tells of itself, to a file and between the rows of the
 * output, and that what ends it is told, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>
#include <sqlite3.h>

#include "src/base/buffer.h"
#include "src/base/log.h"
#include "src/base/sqlite_guard.h"
#include "src/cli.h"
#include "src/config/settings.h"
#include "src/follow.h"

static const char tables[] =
    "PRAGMA journal_mode=WAL;"
    "CREATE TABLE empty_a(x); CREATE TABLE b(x); CREATE TABLE empty_c(x);"
    "CREATE TABLE d(x); CREATE TABLE left_out(x); CREATE TABLE who(x);"
    "CREATE TABLE z_empty(x);"
    "INSERT INTO b VALUES (1), (2); INSERT INTO d VALUES (1);"
    "INSERT INTO left_out VALUES (1); INSERT INTO who VALUES (1)";

struct rig {
	char folder[64];
	char database[80];
	struct buffer told; /* TYPE TABLE ROWS; and so on */
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);
	sqlite3 *db;

	assert_non_null(rig);
	(void)strcpy(rig->folder, "/tmp/rowtail-steps-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	(void)snprintf(rig->database, sizeof rig->database, "%s/app.db", rig->folder);
	/* Here this process is the application: src/base/sqlite_guard.h is not for it.
	 */
	sqlite_guard_lift();
	assert_int_equal(sqlite3_open(rig->database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, tables, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	buffer_init(&rig->told);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	char command[100];

	buffer_clear(&rig->told);
	(void)snprintf(command, sizeof command, "rm -rf %s", rig->folder);
	assert_int_equal(system(command), 0);
	free(rig);
	return 0;
}

/* rowtail with --once; `more` ends with NULL. */
static enum status follow(const struct rig *rig, const char *channel,
			  const char *const *more, struct error *err)
{
	char to[100], state[100], file[100];
	const char *argv[24] = {"rowtail",
				rig->database,
				"--once",
				"--quiet",
				"--lines=record",
				to,
				state,
				"-Dtransaction.context.table=who",
				"-Dtable.exclude.list=left_out",
				channel,
				file};
	int argc = 11;
	struct config config;
	enum status status;

	(void)snprintf(to, sizeof to, "--to=file:%s/out", rig->folder);
	(void)snprintf(state, sizeof state, "--state=%s/state", rig->folder);
	(void)snprintf(file, sizeof file, "-Dnotification.file=%s/notes", rig->folder);
	if (!strstr(channel, "file")) {
		(void)strcpy(file, "-Dnotification.sink.topic.name=notes");
	}
	while (*more) {
		argv[argc++] = *more++;
	}
	config_init(&config);
	status = cli_parse(argc, (char **)(uintptr_t)argv, &config, err);
	if (status != ST_OK) {
		fail_msg("%s", err->text);
	}
	log_setup(LOG_ERROR, false);
	status = follow_run(&config, err);
	config_clear(&config);
	return status;
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

/* One line: what it tells. */
static void add_told(struct buffer *told, const json_t *value)
{
	const json_t *data = json_object_get(value, "additional_data");
	const char *tables_told = text_of(data, "data_collections");

	buffer_add_str(told, text_of(value, "type"));
	assert_string_equal(text_of(value, "aggregate_type"), "Initial Snapshot");
	assert_string_equal(text_of(data, "connector_name"), "app");
	if (json_object_get(data, "current_collection_in_progress")) {
		assert_string_equal(tables_told, "b,d,empty_a,empty_c,z_empty");
		buffer_add_char(told, ' ');
		buffer_add_str(told, text_of(data, "current_collection_in_progress"));
	}
	if (json_object_get(data, "scanned_collection")) {
		assert_string_equal(text_of(data, "status"), "SUCCEEDED");
		assert_string_equal(tables_told, "b,d,empty_a,empty_c,z_empty");
		buffer_add_char(told, ' ');
		buffer_add_str(told, text_of(data, "scanned_collection"));
		buffer_add_char(told, ' ');
		buffer_add_str(told, text_of(data, "total_rows_scanned"));
	}
	buffer_add_str(told, "; ");
}

/* All lines of a file; of records also the rows' tables. */
static const char *told_in(struct rig *rig, const char *name)
{
	char path[100];
	char line[8192];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", rig->folder, name);
	f = fopen(path, "re");
	assert_non_null(f);
	buffer_reset(&rig->told);
	while (fgets(line, sizeof line, f)) {
		json_t *json = json_loads(line, 0, NULL);
		const json_t *record = json_object_get(json, "value");

		assert_non_null(json);
		if (!record) {
			add_told(&rig->told, json);
		} else if (strcmp(text_of(json, "topic"), "notes") == 0) {
			assert_string_equal(text_of(json_object_get(json, "key"), "id"),
					    text_of(record, "id"));
			add_told(&rig->told, record);
		} else {
			buffer_add_str(&rig->told, text_of(json, "topic"));
			buffer_add_str(&rig->told, "; ");
		}
		json_decref(json);
	}
	(void)fclose(f);
	buffer_add_char(&rig->told, '\0');
	assert_true(buffer_ok(&rig->told));
	return rig->told.bytes;
}

static const char *const nothing[] = {NULL};

static void test_each_table_is_told_of_also_empty_ones(void **state)
{
	static const char first[] =
	    "STARTED; IN_PROGRESS b; TABLE_SCAN_COMPLETED b 2; IN_PROGRESS d; "
	    "TABLE_SCAN_COMPLETED d 1; IN_PROGRESS empty_a; TABLE_SCAN_COMPLETED "
	    "empty_a 0; IN_PROGRESS empty_c; TABLE_SCAN_COMPLETED empty_c 0; "
	    "IN_PROGRESS z_empty; TABLE_SCAN_COMPLETED z_empty 0; COMPLETED; ";
	struct rig *rig = *state;
	char expected[1000];
	struct error err;

	assert_int_equal(
	    follow(rig, "-Dnotification.enabled.channels=file", nothing, &err), ST_OK);
	assert_string_equal(told_in(rig, "notes"), first);
	/* A later run takes none. */
	assert_int_equal(
	    follow(rig, "-Dnotification.enabled.channels=file", nothing, &err), ST_OK);
	(void)snprintf(expected, sizeof expected, "%sSKIPPED; ", first);
	assert_string_equal(told_in(rig, "notes"), expected);
	assert_string_equal(told_in(rig, "out"), "app.b; app.b; app.d; ");
}

static void test_in_the_output_they_stand_around_the_rows(void **state)
{
	struct rig *rig = *state;
	struct error err;

	assert_int_equal(
	    follow(rig, "-Dnotification.enabled.channels=sink", nothing, &err), ST_OK);
	assert_string_equal(
	    told_in(rig, "out"),
	    "STARTED; IN_PROGRESS b; app.b; app.b; TABLE_SCAN_COMPLETED b 2; "
	    "IN_PROGRESS d; app.d; TABLE_SCAN_COMPLETED d 1; IN_PROGRESS empty_a; "
	    "TABLE_SCAN_COMPLETED empty_a 0; IN_PROGRESS empty_c; "
	    "TABLE_SCAN_COMPLETED empty_c 0; IN_PROGRESS z_empty; "
	    "TABLE_SCAN_COMPLETED z_empty 0; COMPLETED; ");
}

static void test_what_ends_a_snapshot_aborts_it(void **state)
{
	static const char *const wrong[] = {"-Dsnapshot.select.statement.overrides=d",
					    "-Dsnapshot.select.statement.overrides.d="
					    "SELECT x, abs(-9223372036854775807 "
					    "- x) AS y FROM d",
					    NULL};
	struct rig *rig = *state;
	struct error err;

	assert_int_not_equal(
	    follow(rig, "-Dnotification.enabled.channels=file", wrong, &err), ST_OK);
	assert_int_equal(strncmp(told_in(rig, "notes"), "STARTED; ", 9), 0);
	assert_non_null(strstr(rig->told.bytes, "ABORTED; "));
	assert_null(strstr(rig->told.bytes, "COMPLETED; "));
	assert_non_null(strstr(err.text, "d"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_each_table_is_told_of_also_empty_ones),
	    TEST(test_in_the_output_they_stand_around_the_rows),
	    TEST(test_what_ends_a_snapshot_aborts_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
