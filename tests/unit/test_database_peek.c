/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/capture/database_peek.h"
#include "src/capture/db_fit.h"
#include "tests/lib/capture_rig.h"

struct fixture {
	struct rig_folder folder;
	sqlite3 *db;
	struct database_peek *peek;
	struct error err;
};

static void sql(const struct fixture *f, const char *text)
{
	assert_int_equal(sqlite3_exec(f->db, text, NULL, NULL, NULL), SQLITE_OK);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	rig_folder_init(&f->folder, 4096);
	f->db = rig_open_with_wal(&f->folder);
	sql(f, "CREATE TABLE first(a)");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	database_peek_close(f->peek);
	(void)sqlite3_close(f->db);
	rig_folder_clear(&f->folder);
	free(f);
	return 0;
}

static void look(struct fixture *f)
{
	database_peek_close(f->peek);
	f->peek = NULL;
	assert_int_equal(database_peek_open(f->folder.path, &f->peek, &f->err), ST_OK);
}

/* Is the text anywhere in page 1, which has the schema of a small database? */
static bool has(struct fixture *f, const char *text)
{
	struct page_source *pages = database_peek_pages(f->peek);
	struct page_ref ref = {0};
	bool found;

	assert_int_equal(page_get(pages, 1, &ref, &f->err), ST_OK);
	found = memmem(ref.bytes, pages->page_size, text, strlen(text)) != NULL;
	page_put(pages, &ref);
	return found;
}

static void test_what_the_wal_has_is_there(void **state)
{
	struct fixture *f = *state;

	look(f);
	assert_int_equal(database_peek_pages(f->peek)->page_size, 4096);
	assert_true(has(f, "CREATE TABLE first"));
	sql(f, "PRAGMA wal_checkpoint(TRUNCATE)");
	look(f);
	assert_true(has(f, "CREATE TABLE first"));
	sql(f, "BEGIN; CREATE TABLE second(b)");
	look(f);
	assert_false(has(f, "CREATE TABLE second"));
	sql(f, "COMMIT");
	look(f);
	assert_true(has(f, "CREATE TABLE second"));
}

static void test_what_was_read_is_of_one_moment_if_it_stands_there_still(void **state)
{
	struct fixture *f = *state;

	look(f);
	assert_true(has(f, "CREATE TABLE first"));
	assert_int_equal(database_peek_check(f->peek, &f->err), ST_OK);
	/* Page 1 is written: the database has more pages. */
	sql(f, "INSERT INTO first VALUES (zeroblob(50000))");
	assert_int_equal(database_peek_check(f->peek, &f->err), ST_OK);
	sql(f, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_int_equal(database_peek_check(f->peek, &f->err), ST_OK);
	sql(f, "CREATE TABLE second(b)");
	assert_int_equal(database_peek_check(f->peek, &f->err), ST_RETRY);
}

static void test_pages_that_are_none_are_damage(void **state)
{
	struct fixture *f = *state;
	struct page_source *pages;
	struct page_ref ref = {0};

	look(f);
	pages = database_peek_pages(f->peek);
	assert_int_equal(page_get(pages, 0, &ref, &f->err), ST_CORRUPT);
	assert_int_equal(page_get(pages, pages->page_count + 1, &ref, &f->err),
			 ST_CORRUPT);
	assert_null(ref.bytes);
}

static void test_nothing_is_made_beside_the_file(void **state)
{
	struct fixture *f = *state;
	char shm[320];

	(void)sqlite3_close(f->db);
	f->db = NULL;
	(void)snprintf(shm, sizeof shm, "%s-shm", f->folder.path);
	(void)unlink(shm);
	look(f);
	assert_true(has(f, "CREATE TABLE first"));
	assert_int_equal(database_peek_check(f->peek, &f->err), ST_OK);
	assert_int_not_equal(access(shm, F_OK), 0);
}

static void test_network_file_systems_have_a_name(void **state)
{
	(void)state;
	assert_string_equal(db_fit_network(0x6969), "NFS");
	assert_string_equal(db_fit_network(0xff534d42), "CIFS");
	assert_null(db_fit_network(0xef53));     /* ext4 */
	assert_null(db_fit_network(0x01021994)); /* tmpfs */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_what_the_wal_has_is_there),
	    TEST(test_what_was_read_is_of_one_moment_if_it_stands_there_still),
	    TEST(test_pages_that_are_none_are_damage),
	    TEST(test_nothing_is_made_beside_the_file),
	    cmocka_unit_test(test_network_file_systems_have_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
