/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "schemas/catalog.h"
#include "schemas/view_select.h"
#include "tests/lib/memory_source.h"

struct fixture {
	struct memory_source *source;
	struct catalog *catalog;
};

static void open_fixture(struct fixture *f, const char *encoding)
{
	char path[] = "/tmp/rowtail-select-XXXXXX";
	char sql[512];
	int fd = mkstemp(path);
	struct error err;
	sqlite3 *db;

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	(void)snprintf(sql, sizeof sql,
		       "pragma encoding='%s'; create table t(a text, b int, c);"
		       "insert into t values('\xc3\xa4x', 1, x'00ff'), ('b', 2, 1.5), "
		       "(null, 3, null)",
		       encoding);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(memory_source_open(path, &f->source, &err), ST_OK);
	unlink(path);
	assert_int_equal(catalog_read(memory_source_pages(f->source), NULL, NULL, NULL,
				      &f->catalog, &err),
			 ST_OK);
}

static void close_fixture(struct fixture *f)
{
	catalog_close(f->catalog);
	memory_source_close(f->source);
}

struct seen {
	int rows;
	int64_t sum;
	uint8_t text[64];
	uint32_t text_len;
	enum status answer;
};

static enum status look(void *context, const struct value *values, struct error *err)
{
	struct seen *seen = context;

	seen->rows++;
	if (values[1].class == VALUE_INTEGER) {
		seen->sum += values[1].integer;
	}
	if (values[0].class == VALUE_TEXT && seen->text_len == 0) {
		assert_true(values[0].len <= sizeof seen->text);
		memcpy(seen->text, values[0].bytes, values[0].len);
		seen->text_len = values[0].len;
	}
	return seen->answer == ST_OK ? ST_OK : error_set(err, seen->answer, "enough");
}

static enum status run(const char *encoding, const char *sql, struct seen *seen,
		       struct error *err)
{
	struct fixture f;
	enum status status;

	open_fixture(&f, encoding);
	status = view_select_run(memory_source_pages(f.source),
				 catalog_find(f.catalog, "t"), sql, look, seen, err);
	close_fixture(&f);
	return status;
}

static void test_rows_come_in_the_tables_columns(void **state)
{
	struct seen seen = {0};
	struct error err;

	(void)state;
	assert_int_equal(
	    run("UTF-8", "select c, B, a, 7 as other from t where b < 3", &seen, &err),
	    ST_OK);
	assert_int_equal(seen.rows, 2);
	assert_int_equal(seen.sum, 3);
	assert_memory_equal(seen.text, "\xc3\xa4x", 3);
}

static void test_text_is_in_the_databases_encoding(void **state)
{
	struct seen le = {0}, be = {0};
	struct error err;

	(void)state;
	assert_int_equal(run("UTF-16le", "select * from t", &le, &err), ST_OK);
	assert_int_equal(run("UTF-16be", "select * from t", &be, &err), ST_OK);
	assert_int_equal(le.text_len, 4);
	assert_memory_equal(le.text, "\xe4\0x\0", 4);
	assert_memory_equal(be.text, "\0\xe4\0x", 4);
}

static void refused(const char *sql, const char *part)
{
	struct seen seen = {0};
	struct error err;

	assert_int_equal(run("UTF-8", sql, &seen, &err), ST_CONFIG);
	assert_non_null(strstr(err.text, part));
	assert_int_equal(seen.rows, 0);
}

static void test_what_is_no_single_select_is_refused(void **state)
{
	(void)state;
	refused("select a, b from t", "lacks the column c");
	refused("select a, b, c from nowhere", "no such table");
	refused("delete from t", "");
	refused("select a, b, c from t; drop table t", "not a single SELECT");
	refused("", "not a single SELECT");
}

static void test_the_visitors_end_is_handed_on(void **state)
{
	struct seen seen = {.answer = ST_STOPPED};
	struct error err;

	(void)state;
	assert_int_equal(run("UTF-8", "select * from t", &seen, &err), ST_STOPPED);
	assert_int_equal(seen.rows, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows_come_in_the_tables_columns),
	    cmocka_unit_test(test_text_is_in_the_databases_encoding),
	    cmocka_unit_test(test_what_is_no_single_select_is_refused),
	    cmocka_unit_test(test_the_visitors_end_is_handed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
