/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/table_rename.h"
#include "tests/lib/catalog_fixture.h"

/* Two states of one database, and what differs between them. */
struct rig {
	struct catalog_fixture f;
	struct memory_source *old_pages;
	struct catalog *old;
	struct page_set written;
	struct table_renames renames;
};

static void note_written(struct rig *rig)
{
	struct page_source *old = memory_source_pages(rig->old_pages);
	struct page_source *new = memory_source_pages(rig->f.source);
	struct error err;

	for (uint32_t i = 1; i <= new->page_count; i++) {
		struct page_ref a = {0}, b = {0};
		bool differs = true;

		assert_int_equal(page_get(new, i, &b, &err), ST_OK);
		if (i <= old->page_count) {
			assert_int_equal(page_get(old, i, &a, &err), ST_OK);
			differs = memcmp(a.bytes, b.bytes, old->page_size) != 0;
			page_put(old, &a);
		}
		page_put(new, &b);
		if (differs) {
			assert_int_equal(page_set_add(&rig->written, i, NULL, &err),
					 ST_OK);
		}
	}
}

/* `setup`, then `change`, and the renames between the two: of one transaction, or of
 * states that are any number of them apart. */
static void rig_open(struct rig *rig, const char *setup, const char *change,
		     bool one_transaction)
{
	struct error err;

	page_set_init(&rig->written);
	table_renames_init(&rig->renames);
	fixture_open(&rig->f, setup);
	fixture_read(&rig->f, NULL);
	rig->old_pages = rig->f.source;
	rig->old = rig->f.catalog;
	rig->f.source = NULL;
	rig->f.catalog = NULL;
	fixture_run(&rig->f, "%s", change);
	fixture_read(&rig->f, NULL);
	note_written(rig);
	assert_int_equal(table_renames_find(&rig->renames, rig->old, rig->f.catalog,
					    one_transaction ? &rig->written : NULL,
					    &err),
			 ST_OK);
}

static void rig_close(struct rig *rig)
{
	table_renames_clear(&rig->renames);
	page_set_clear(&rig->written);
	catalog_close(rig->old);
	memory_source_close(rig->old_pages);
	fixture_close(&rig->f);
}

static const char *old_name(const struct rig *rig, const char *name)
{
	const struct table *new_table = catalog_find(rig->f.catalog, name);
	const struct table *old_table = table_renames_old(&rig->renames, new_table);

	assert_non_null(new_table);
	return old_table ? old_table->name : "";
}

/* What `name` was called before, "" if it is not known to be a rename. */
static void check(const char *setup, const char *change, bool one_transaction,
		  const char *name, const char *expected)
{
	struct rig rig;

	rig_open(&rig, setup, change, one_transaction);
	if (strcmp(old_name(&rig, name), expected) != 0) {
		fail_msg("%s | %s: %s was \"%s\"", setup, change, name,
			 old_name(&rig, name));
	}
	rig_close(&rig);
}

#define T "CREATE TABLE t(a, b);"
#define Q "CREATE TABLE \"t\"(a, b);"

static void test_one_statement_cannot_drop_and_create(void **state)
{
	(void)state;
	check(T, "ALTER TABLE t RENAME TO u", true, "u", "t");
	check(Q, "ALTER TABLE t RENAME TO u", true, "u", "t");
	check(Q, "BEGIN;ALTER TABLE t RENAME TO u;CREATE INDEX i ON u(a);COMMIT", true,
	      "u", "t");
	check(Q "CREATE VIEW v AS SELECT 1",
	      "BEGIN;DROP VIEW v;ALTER TABLE t RENAME TO u;COMMIT", true, "u", "t");
	check(Q "CREATE INDEX i ON t(a);INSERT INTO t VALUES (1, 2);",
	      "BEGIN;UPDATE t SET a = 9;ALTER TABLE t RENAME TO u;COMMIT", true, "u",
	      "t");
}

static void test_a_row_above_that_stayed_tells_whatever_else_changed(void **state)
{
	(void)state;
	check(T "CREATE TABLE z(a)",
	      "BEGIN;ALTER TABLE t RENAME TO x;ALTER TABLE x RENAME TO u;"
	      "ALTER TABLE u ADD COLUMN c;ALTER TABLE u RENAME COLUMN a TO d;COMMIT",
	      true, "u", "t");
	check(Q "CREATE VIEW v AS SELECT 1",
	      "BEGIN;ALTER TABLE t RENAME TO x;ALTER TABLE x RENAME TO u;COMMIT", true,
	      "u", "t");
	/* Of three tables those at the end are made anew, one under another name. */
	check(Q "CREATE TABLE y(a);CREATE TABLE z(a)",
	      "BEGIN;DROP TABLE t;DROP TABLE y;DROP TABLE z;CREATE TABLE \"u\"(a, c);"
	      "CREATE TABLE y(a, b);CREATE TABLE z(a, b);COMMIT",
	      true, "u", "");
	check("CREATE TABLE y(a);" T, "BEGIN;DROP TABLE t;CREATE TABLE u(a, b);COMMIT",
	      true, "u", "");
}

static void test_the_text_of_a_rename_tells(void **state)
{
	static const char *const twice =
	    "BEGIN;ALTER TABLE t RENAME TO x;ALTER TABLE x RENAME TO u;COMMIT";

	(void)state;
	check(T, twice, true, "u", "t");
	check("CREATE TABLE [t] (a, b)", twice, true, "u", "t");
	check("CREATE TABLE 't'(a, b)", twice, true, "u", "t");
	check("CREATE TABLE `t`(a, b)", twice, true, "u", "t");
	check("CREATE TABLE t/* ( */(a, b)", twice, true, "u", "t");
	check(T,
	      "BEGIN;ALTER TABLE t RENAME TO x;ALTER TABLE x ADD COLUMN c;"
	      "ALTER TABLE x RENAME TO \"a \"\"b\";COMMIT",
	      true, "a \"b", "t");
	check(T, "BEGIN;ALTER TABLE t RENAME TO u;ALTER TABLE u DROP COLUMN b;COMMIT",
	      true, "u", "t");
	check(T, twice, false, "u", "t");
}

static void test_dropped_and_made_anew_is_no_rename(void **state)
{
	(void)state;
	check(T, "BEGIN;DROP TABLE t;CREATE TABLE u(a, b);COMMIT", true, "u", "");
	check(Q, "BEGIN;DROP TABLE t;CREATE TABLE \"u\"(a, b);COMMIT", true, "u", "");
	check(Q, "BEGIN;DROP TABLE t;CREATE TABLE \"u\"(a, b);COMMIT", false, "u", "");
	check(T, "BEGIN;DROP TABLE t;CREATE TABLE \"u\"(x, b, y);COMMIT", true, "u",
	      "");
	check(T,
	      "BEGIN;DROP TABLE t;CREATE TABLE \"u\"(a PRIMARY KEY, b) WITHOUT "
	      "ROWID;COMMIT",
	      true, "u", "");
}

static void test_states_far_apart_are_told_by_text_and_root_page(void **state)
{
	(void)state;
	check(Q "CREATE TABLE z(a)", "ALTER TABLE t RENAME TO u", false, "u", "t");
	check(Q "CREATE TABLE z(a)",
	      "ALTER TABLE t RENAME TO u;ALTER TABLE u ADD COLUMN c", false, "u", "");
	check(Q, "ALTER TABLE t RENAME TO u", false, "u", "");
}

static void test_several_renames_are_told_apart(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, "CREATE TABLE \"a\"(x);CREATE TABLE \"b\"(x);CREATE TABLE c(x)",
		 "BEGIN;ALTER TABLE a RENAME TO k;ALTER TABLE b RENAME TO i;"
		 "ALTER TABLE c RENAME TO j;COMMIT",
		 true);
	assert_string_equal(old_name(&rig, "k"), "a");
	assert_string_equal(old_name(&rig, "i"), "b");
	assert_string_equal(old_name(&rig, "j"), "c");
	rig_close(&rig);
	/* Two statements for one of them: neither is sure by their number, but the row
	 * of the last stayed. */
	rig_open(&rig, "CREATE TABLE \"a\"(x);CREATE TABLE \"b\"(x);CREATE TABLE c(x)",
		 "BEGIN;ALTER TABLE a RENAME TO k;DROP TABLE b;CREATE TABLE \"i\"(x);"
		 "COMMIT",
		 true);
	assert_string_equal(old_name(&rig, "k"), "a");
	assert_string_equal(old_name(&rig, "i"), "");
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_statement_cannot_drop_and_create),
	    cmocka_unit_test(test_a_row_above_that_stayed_tells_whatever_else_changed),
	    cmocka_unit_test(test_the_text_of_a_rename_tells),
	    cmocka_unit_test(test_dropped_and_made_anew_is_no_rename),
	    cmocka_unit_test(test_states_far_apart_are_told_by_text_and_root_page),
	    cmocka_unit_test(test_several_renames_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
