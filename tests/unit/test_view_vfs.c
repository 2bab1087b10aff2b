/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/view_vfs.h"
#include "tests/lib/catalog_fixture.h"

static void open_view(struct catalog_fixture *f, struct view_vfs **vfs, sqlite3 **db)
{
	struct error err;

	fixture_take(f);
	assert_int_equal(view_vfs_open(memory_source_pages(f->source), vfs, &err),
			 ST_OK);
	assert_int_equal(view_vfs_connect(*vfs, db, &err), ST_OK);
}

static void close_view(struct view_vfs *vfs, sqlite3 *db)
{
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	view_vfs_close(vfs);
}

/* The one value that `sql` gives, -1 if it fails. */
static int64_t ask(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	int64_t out = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW) {
		out = sqlite3_column_int64(statement, 0);
	}
	(void)sqlite3_finalize(statement);
	return out;
}

#define THOUSAND                                                                      \
	"CREATE TABLE t(a INTEGER PRIMARY KEY,b);CREATE INDEX i ON t(b);"             \
	"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<1000) " \
	"INSERT INTO t SELECT i,randomblob(i) FROM n;"

static void test_a_database_reads_as_it_is(void **state)
{
	static const int sizes[] = {512, 4096, 65536};
	struct catalog_fixture f;
	struct view_vfs *vfs;
	sqlite3 *db;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		fixture_open(&f, NULL);
		fixture_run(&f, "PRAGMA page_size=%d", sizes[i]);
		fixture_run(&f, THOUSAND);
		open_view(&f, &vfs, &db);
		assert_int_equal(ask(db, "SELECT count(*) FROM t"), 1000);
		assert_int_equal(ask(db, "SELECT sum(length(b)) FROM t"), 500500);
		assert_int_equal(ask(db, "SELECT count(*) FROM pragma_integrity_check "
					 "WHERE integrity_check='ok'"),
				 1);
		/* Sorting needs no file. */
		assert_int_equal(ask(db, "SELECT a FROM t ORDER BY hex(b)||a DESC") > 0,
				 1);
		assert_null(view_vfs_error(vfs));
		close_view(vfs, db);
		fixture_close(&f);
	}
}

static void test_nothing_can_be_written(void **state)
{
	struct catalog_fixture f;
	struct view_vfs *vfs;
	sqlite3 *db;

	(void)state;
	fixture_open(&f, THOUSAND);
	open_view(&f, &vfs, &db);
	assert_int_equal(sqlite3_exec(db, "DELETE FROM t", NULL, NULL, NULL),
			 SQLITE_READONLY);
	assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_not_equal(sqlite3_exec(db, "CREATE TABLE x(a)", NULL, NULL, NULL),
			     SQLITE_OK);
	assert_int_not_equal(sqlite3_exec(db, "VACUUM", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(ask(db, "SELECT count(*) FROM t"), 1000);
	close_view(vfs, db);
	fixture_close(&f);
}

/* A database in WAL mode has 2 in bytes 18 and 19; here no WAL is looked for. */
static void test_a_wal_database_needs_no_wal(void **state)
{
	struct catalog_fixture f;
	struct view_vfs *vfs;
	sqlite3 *db;
	struct error err;

	(void)state;
	fixture_open(&f, THOUSAND);
	fixture_take(&f);
	memset(memory_source_edit(f.source, 1) + 18, 2, 2);
	assert_int_equal(view_vfs_open(memory_source_pages(f.source), &vfs, &err),
			 ST_OK);
	assert_int_equal(view_vfs_connect(vfs, &db, &err), ST_OK);
	assert_int_equal(ask(db, "SELECT count(*) FROM t"), 1000);
	close_view(vfs, db);
	fixture_close(&f);
}

static void test_views_live_side_by_side(void **state)
{
	struct catalog_fixture f[2];
	struct view_vfs *vfs[2];
	sqlite3 *db[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		fixture_open(&f[i], NULL);
		fixture_run(&f[i], "CREATE TABLE t(a);INSERT INTO t VALUES(%d)", i);
		open_view(&f[i], &vfs[i], &db[i]);
	}
	assert_string_not_equal(view_vfs_name(vfs[0]), view_vfs_name(vfs[1]));
	assert_int_equal(ask(db[0], "SELECT a FROM t"), 0);
	assert_int_equal(ask(db[1], "SELECT a FROM t"), 1);
	close_view(vfs[0], db[0]);
	assert_int_equal(ask(db[1], "SELECT a+1 FROM t"), 2);
	assert_non_null(sqlite3_vfs_find(view_vfs_name(vfs[1])));
	close_view(vfs[1], db[1]);
	fixture_close(&f[0]);
	fixture_close(&f[1]);
	view_vfs_close(NULL);
}

/* ---- a source that fails ---- */

struct failing_source {
	struct page_source pages;
	struct page_source *under;
	uint32_t bad_page;
};

static enum status failing_get(struct page_source *source, uint32_t page_no,
			       struct page_ref *ref, struct error *err)
{
	struct failing_source *failing = (struct failing_source *)(void *)source;

	if (page_no == failing->bad_page) {
		return error_set_errno(err, 5, "page %u", page_no);
	}
	return page_get(failing->under, page_no, ref, err);
}

static void failing_put(struct page_source *source, struct page_ref *ref)
{
	struct failing_source *failing = (struct failing_source *)(void *)source;

	page_put(failing->under, ref);
}

static void test_errors_of_the_source_are_kept(void **state)
{
	struct catalog_fixture f;
	struct failing_source failing;
	struct view_vfs *vfs;
	sqlite3 *db;
	struct error err;

	(void)state;
	fixture_open(&f, THOUSAND);
	fixture_take(&f);
	failing.under = memory_source_pages(f.source);
	failing.pages = *failing.under;
	failing.pages.get = failing_get;
	failing.pages.put = failing_put;
	failing.bad_page = 2;
	assert_int_equal(view_vfs_open(&failing.pages, &vfs, &err), ST_OK);
	assert_int_equal(view_vfs_connect(vfs, &db, &err), ST_OK);
	assert_null(view_vfs_error(vfs));
	assert_int_equal(
	    sqlite3_exec(db, "SELECT sum(a) FROM t NOT INDEXED", NULL, NULL, NULL),
	    SQLITE_IOERR);
	assert_int_equal(sqlite3_extended_errcode(db), SQLITE_IOERR_READ);
	assert_int_equal(view_vfs_error(vfs)->status, ST_IO);
	assert_int_equal(view_vfs_error(vfs)->sys_errno, 5);
	close_view(vfs, db);
	failing.bad_page = 1;
	assert_int_equal(view_vfs_open(&failing.pages, &vfs, &err), ST_OK);
	assert_int_equal(view_vfs_connect(vfs, &db, &err), ST_IO);
	view_vfs_close(vfs);
	fixture_close(&f);
}

static void test_objects_of_a_newer_sqlite_stop_no_others(void **state)
{
	struct catalog_fixture f;
	struct view_vfs *vfs;
	sqlite3 *db;

	(void)state;
	fixture_open(&f, THOUSAND);
	fixture_add_row(&f, "view", "v", "v", 0,
			"CREATE VIEW v AS SELECT group_concat(b ORDER BY a) FROM t");
	fixture_add_row(&f, "table", "n", "n", 2, "CREATE TABLE n(a DEFAULT 1_000)");
	open_view(&f, &vfs, &db);
	assert_int_equal(ask(db, "SELECT count(*) FROM t"), 1000);
	close_view(vfs, db);
	fixture_close(&f);
}

static void test_unknown_collations_compare_bytes(void **state)
{
	static const char *const encodings[] = {"UTF-8", "UTF-16le", "UTF-16be"};
	struct catalog_fixture f;
	struct view_vfs *vfs;
	sqlite3 *db;

	(void)state;
	for (int i = 0; i < 3; i++) {
		fixture_open(&f, NULL);
		fixture_run(&f, "PRAGMA encoding='%s'", encodings[i]);
		fixture_run(&f, "CREATE TABLE t(a);"
				"INSERT INTO t VALUES('b'),('B'),('a');"
				"PRAGMA writable_schema=ON;UPDATE sqlite_schema SET "
				"sql='CREATE TABLE t(a COLLATE unheard_of)'");
		open_view(&f, &vfs, &db);
		assert_int_equal(ask(db, "SELECT count(DISTINCT a) FROM t"), 3);
		assert_int_equal(ask(db, "SELECT unicode(a) FROM t ORDER BY a"), 'B');
		close_view(vfs, db);
		fixture_close(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_database_reads_as_it_is),
	    cmocka_unit_test(test_nothing_can_be_written),
	    cmocka_unit_test(test_a_wal_database_needs_no_wal),
	    cmocka_unit_test(test_views_live_side_by_side),
	    cmocka_unit_test(test_errors_of_the_source_are_kept),
	    cmocka_unit_test(test_objects_of_a_newer_sqlite_stop_no_others),
	    cmocka_unit_test(test_unknown_collations_compare_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
