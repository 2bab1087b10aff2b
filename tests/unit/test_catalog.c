/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/bytes.h"
#include "tests/lib/catalog_fixture.h"

static const char *const encodings[] = {"UTF-8", "UTF-16le", "UTF-16be"};

/* ---- what a catalog says ---- */

static void test_tables_stand_by_name_and_are_found_in_any_case(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, "CREATE TABLE Zebra(a);CREATE TABLE apple(a);"
			 "CREATE TABLE Mango(a);CREATE TABLE _x(a)");
	fixture_read(&f, NULL);
	assert_int_equal(f.catalog->table_count, 4);
	assert_string_equal(f.catalog->tables[0]->name, "_x");
	assert_string_equal(f.catalog->tables[1]->name, "apple");
	assert_string_equal(f.catalog->tables[2]->name, "Mango");
	assert_string_equal(f.catalog->tables[2]->sort_name, "mango");
	assert_string_equal(f.catalog->tables[3]->name, "Zebra");
	assert_ptr_equal(catalog_find(f.catalog, "MANGO"), f.catalog->tables[2]);
	assert_null(catalog_find(f.catalog, "mang"));
	assert_null(catalog_find(f.catalog, ""));
	assert_string_equal(f.catalog->tables[1]->sql, "CREATE TABLE apple(a)");
	fixture_close(&f);
}

static void test_columns_are_described(void **state)
{
	struct catalog_fixture f;
	struct column *c;

	(void)state;
	for (int i = 0; i < 3; i++) {
		fixture_open(&f, NULL);
		fixture_run(&f, "PRAGMA encoding='%s'", encodings[i]);
		fixture_run(&f, "CREATE TABLE \"b\xc3\xa4r\"(\"k\xf0\x9f\x98\x80\" "
				"VARCHAR(10) NOT NULL DEFAULT 'it''s',v AS (1),s AS "
				"(2) STORED,PRIMARY KEY(\"k\xf0\x9f\x98\x80\"))");
		fixture_read(&f, NULL);
		assert_int_equal(f.catalog->header.encoding, i + 1);
		c = fixture_column(&f, "b\xc3\xa4r", "k\xf0\x9f\x98\x80");
		assert_string_equal(c->declared_type, "VARCHAR(10)");
		assert_string_equal(c->default_sql, "'it''s'");
		assert_true(c->not_null);
		assert_false(c->is_rowid);
		assert_int_equal(c->key_position, 1);
		assert_int_equal(c->storage_index, 0);
		assert_int_equal(c->affinity, AFFINITY_TEXT);
		assert_int_equal(c->missing.class, VALUE_TEXT);
		assert_int_equal(c->missing.len, i == 0 ? 4 : 8);
		c++;
		assert_int_equal(c->generated, GENERATED_VIRTUAL);
		assert_int_equal(c->storage_index, -1);
		assert_null(c->default_sql);
		c++;
		assert_int_equal(c->generated, GENERATED_STORED);
		assert_int_equal(c->storage_index, 1);
		assert_true(fixture_table(&f, "b\xc3\xa4r")->has_virtual_columns);
		assert_int_equal(fixture_table(&f, "b\xc3\xa4r")->stored_count, 2);
		fixture_close(&f);
	}
}

/* SQLite's own answer: a column's affinity decides what a stored value becomes. */
static enum affinity sqlite_affinity(struct catalog_fixture *f, const char *column)
{
	char *sql = sqlite3_mprintf(
	    "SELECT typeof(\"%w\") FROM t WHERE k IN (1,2,3) ORDER BY k", column);
	sqlite3_stmt *s;
	char types[3];

	assert_int_equal(sqlite3_prepare_v2(f->db, sql, -1, &s, NULL), SQLITE_OK);
	sqlite3_free(sql);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sqlite3_step(s), SQLITE_ROW);
		types[i] = (char)sqlite3_column_text(s, 0)[0];
	}
	(void)sqlite3_finalize(s);
	/* '5.0', 5 and 5.5 went in. */
	if (memcmp(types, "ttt", 3) == 0) {
		return AFFINITY_TEXT;
	}
	if (memcmp(types, "rrr", 3) == 0) {
		return AFFINITY_REAL;
	}
	return memcmp(types, "tir", 3) == 0 ? AFFINITY_BLOB : AFFINITY_NUMERIC;
}

static void test_affinities_are_those_of_sqlite(void **state)
{
	static const char *const types[] = {"INT",
					    "integer",
					    "TINYINT",
					    "UNSIGNED BIG INT",
					    "INT2",
					    "CHARACTER(20)",
					    "varchar",
					    "nchar(5)",
					    "TEXT",
					    "CLOB",
					    "BLOB",
					    "",
					    "REAL",
					    "DOUBLE PRECISION",
					    "FLOAT",
					    "NUMERIC",
					    "DECIMAL(10,5)",
					    "BOOLEAN",
					    "DATE",
					    "DATETIME",
					    "FLOATING POINT",
					    "CHARINT",
					    "STRING",
					    "TEXTBLOB",
					    "BLOBTEXT",
					    "REALBLOB",
					    "BLOBREAL",
					    "DOUBTEXT",
					    "any",
					    "JSON",
					    "xREALINT",
					    "\"my type\"",
					    "[a b]",
					    "\"in t\"",
					    "TE XT"};
	struct catalog_fixture f;
	sqlite3_str *sql = sqlite3_str_new(NULL);
	const size_t count = sizeof types / sizeof types[0];
	char *text;

	(void)state;
	sqlite3_str_appendf(sql, "CREATE TABLE t(k");
	for (size_t i = 0; i < count; i++) {
		sqlite3_str_appendf(sql, ",c%d %s", (int)i, types[i]);
	}
	sqlite3_str_appendf(sql, ");");
	for (int row = 1; row <= 3; row++) {
		const char *value = row == 1 ? "'5.0'" : row == 2 ? "5" : "5.5";

		sqlite3_str_appendf(sql, "INSERT INTO t VALUES(%d", row);
		for (size_t i = 0; i < count; i++) {
			sqlite3_str_appendf(sql, ",%s", value);
		}
		sqlite3_str_appendf(sql, ");");
	}
	text = sqlite3_str_finish(sql);
	fixture_open(&f, text);
	sqlite3_free(text);
	fixture_read(&f, NULL);
	for (size_t i = 0; i < count; i++) {
		enum affinity ours = fixture_table(&f, "t")->columns[i + 1].affinity;
		char name[16];

		(void)snprintf(name, sizeof name, "c%zu", i);
		/* These two store alike. */
		ours = ours == AFFINITY_INTEGER ? AFFINITY_NUMERIC : ours;
		if (ours != sqlite_affinity(&f, name)) {
			print_error("type \"%s\"\n", types[i]);
			fail();
		}
	}
	fixture_close(&f);
}

static void test_strict_any_has_no_affinity(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, "CREATE TABLE s(a ANY,b INT) STRICT;CREATE TABLE n(a ANY)");
	fixture_read(&f, NULL);
	assert_true(fixture_table(&f, "s")->strict);
	assert_false(fixture_table(&f, "n")->strict);
	assert_int_equal(fixture_column(&f, "s", "a")->affinity, AFFINITY_BLOB);
	assert_int_equal(fixture_column(&f, "n", "a")->affinity, AFFINITY_NUMERIC);
	fixture_close(&f);
}

static void check_key(struct catalog_fixture *f, const char *name, const char *wanted)
{
	const struct table *t = fixture_table(f, name);
	char got[200] = "";

	for (uint32_t i = 0; i < t->key_count; i++) {
		const struct column *c = &t->columns[t->key_columns[i]];

		assert_int_equal(c->key_position, i + 1);
		(void)strcat(strcat(got, c->name), c->is_rowid ? "! " : " ");
	}
	assert_string_equal(got, wanted);
}

static void test_primary_keys(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(
	    &f, "CREATE TABLE t1(a,b,c);"
		"CREATE TABLE t2(a,b INTEGER PRIMARY KEY,c);"
		"CREATE TABLE t3(a INTEGER PRIMARY KEY DESC,b);"
		"CREATE TABLE t4(a,b,c,PRIMARY KEY(c,a));"
		"CREATE TABLE t5(a,b,c,PRIMARY KEY(c,a)) WITHOUT ROWID;"
		"CREATE TABLE t6(a,b,PRIMARY KEY(a COLLATE NOCASE,a,b)) WITHOUT ROWID;"
		"CREATE TABLE t7(a INTEGER PRIMARY KEY,b) WITHOUT ROWID;"
		"CREATE TABLE t8(a INT PRIMARY KEY,b);"
		"CREATE TABLE t9(a,b,PRIMARY KEY(a,a));");
	fixture_read(&f, NULL);
	check_key(&f, "t1", "");
	check_key(&f, "t2", "b! ");
	check_key(&f, "t3", "a ");
	check_key(&f, "t4", "c a ");
	check_key(&f, "t5", "c a ");
	check_key(&f, "t6", "a b ");
	check_key(&f, "t7", "a ");
	check_key(&f, "t8", "a ");
	check_key(&f, "t9", "a ");
	assert_int_equal(fixture_table(&f, "t6")->stored_count, 3);
	assert_int_equal(fixture_table(&f, "t6")->stored[0], 0);
	assert_int_equal(fixture_table(&f, "t6")->stored[1], 0);
	assert_int_equal(fixture_table(&f, "t6")->stored[2], 1);
	assert_int_equal(fixture_column(&f, "t6", "a")->storage_index, 0);
	assert_int_equal(fixture_column(&f, "t6", "b")->storage_index, 2);
	assert_int_equal(fixture_column(&f, "t5", "c")->storage_index, 0);
	assert_int_equal(fixture_column(&f, "t5", "b")->storage_index, 2);
	assert_false(fixture_table(&f, "t2")->has_index);
	assert_true(fixture_table(&f, "t3")->has_index);
	assert_true(fixture_table(&f, "t5")->has_index);
	fixture_close(&f);
}

static void test_roots_name_every_tree(void **state)
{
	struct catalog_fixture f;
	const struct tree_root *root;

	(void)state;
	fixture_open(&f, "CREATE TABLE t(a UNIQUE);CREATE INDEX i ON t(a);"
			 "CREATE TABLE w(a PRIMARY KEY) WITHOUT ROWID;"
			 "CREATE VIEW v AS SELECT 1;"
			 "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1;END");
	fixture_read(&f, NULL);
	assert_int_equal(f.catalog->root_count, 5);
	assert_int_equal(f.catalog->row_count, 6);
	for (size_t i = 1; i < 5; i++) {
		assert_true(f.catalog->roots[i - 1].root_page <
			    f.catalog->roots[i].root_page);
	}
	root = catalog_root(f.catalog, 1);
	assert_null(root->table);
	assert_true(root->is_table_tree);
	root = catalog_root(f.catalog, fixture_table(&f, "w")->root_page);
	assert_ptr_equal(root->table, fixture_table(&f, "w"));
	assert_false(root->is_table_tree);
	root = catalog_root(f.catalog, fixture_table(&f, "t")->root_page);
	assert_ptr_equal(root->table, fixture_table(&f, "t"));
	assert_true(root->is_table_tree);
	assert_null(catalog_root(f.catalog, 0));
	assert_null(catalog_root(f.catalog, 77));
	fixture_close(&f);
}

static void test_schema_pages_are_the_tree_with_overflow(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, "PRAGMA page_size=512");
	for (int i = 0; i < 50; i++) {
		fixture_run(&f, "CREATE TABLE t%d(a /* %*s */)", i, i * 40, "");
	}
	fixture_read(&f, NULL);
	/* All pages but the tables' 50 roots. */
	assert_int_equal(f.catalog->schema_page_count,
			 memory_source_pages(f.source)->page_count - 50);
	assert_int_equal(f.catalog->schema_pages[0], 1);
	for (size_t i = 1; i < f.catalog->schema_page_count; i++) {
		assert_true(f.catalog->schema_pages[i - 1] <
			    f.catalog->schema_pages[i]);
	}
	assert_int_equal(f.catalog->table_count, 50);
	fixture_close(&f);
}

static void test_an_empty_database(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, "CREATE TABLE t(a);DROP TABLE t");
	fixture_read(&f, NULL);
	assert_int_equal(f.catalog->table_count, 0);
	assert_int_equal(f.catalog->row_count, 0);
	assert_int_equal(f.catalog->root_count, 1);
	assert_null(catalog_find(f.catalog, "t"));
	catalog_close(NULL);
	fixture_close(&f);
}

/* ---- what is left out ---- */

static void check_left_out(struct catalog_fixture *f, const char *table,
			   const char *reason)
{
	const char *got = fixture_table(f, table)->left_out;

	if (!reason) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	if (!strstr(got, reason)) {
		print_error("%s: %s\n", table, got);
		fail();
	}
}

static void test_virtual_and_shadow_tables_are_left_out(void **state)
{
	struct catalog_fixture f;
	struct table_filter *filter;
	struct error err;

	(void)state;
	fixture_open(&f,
		     "CREATE TABLE docs_notes(a);CREATE TABLE seq(a INTEGER PRIMARY "
		     "KEY AUTOINCREMENT);"
		     "CREATE VIRTUAL TABLE docs USING fts5(body);"
		     "CREATE VIRTUAL TABLE old USING fts4(body);"
		     "CREATE VIRTUAL TABLE area USING rtree(id,a,b)");
	fixture_read(&f, NULL);
	check_left_out(&f, "docs", "virtual table");
	check_left_out(&f, "docs_content", "SQLite's own");
	check_left_out(&f, "docs_data", "SQLite's own");
	check_left_out(&f, "docs_config", "SQLite's own");
	check_left_out(&f, "old_segdir", "SQLite's own");
	check_left_out(&f, "area_node", "SQLite's own");
	check_left_out(&f, "sqlite_sequence", "SQLite's own");
	check_left_out(&f, "docs_notes", NULL);
	check_left_out(&f, "seq", NULL);
	assert_int_equal(fixture_table(&f, "docs")->column_count, 0);
	assert_false(
	    catalog_root(f.catalog, fixture_table(&f, "docs_config")->root_page)
		->is_table_tree);
	/* The filter is asked anew, also about tables that did not change. */
	assert_int_equal(
	    table_filter_open("docs_content,seq,sqlite_.*", NULL, &filter, &err),
	    ST_OK);
	fixture_read(&f, filter);
	check_left_out(&f, "docs_content", NULL);
	check_left_out(&f, "seq", NULL);
	check_left_out(&f, "docs_notes", "not in table.include.list");
	check_left_out(&f, "sqlite_sequence", "SQLite's own");
	table_filter_close(filter);
	fixture_close(&f);
}

static void test_shadow_tables_of_unknown_modules_by_their_suffix(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, "CREATE TABLE vec_chunks(a);CREATE TABLE vec_rowids(a);"
			 "CREATE TABLE vec_vector_chunks00(a);CREATE TABLE vec_mine(a);"
			 "CREATE TABLE vec_data(a);CREATE TABLE ve_data(a)");
	fixture_add_row(&f, "table", "Vec", "Vec", 0,
			"CREATE VIRTUAL TABLE Vec USING vec0(e float[3])");
	fixture_read(&f, NULL);
	check_left_out(&f, "vec", "virtual table");
	check_left_out(&f, "vec_chunks", "SQLite's own");
	check_left_out(&f, "vec_vector_chunks00", "SQLite's own");
	check_left_out(&f, "vec_data", "SQLite's own");
	check_left_out(&f, "vec_mine", NULL);
	check_left_out(&f, "ve_data", NULL);
	fixture_close(&f);
}

static void test_what_sqlite_cannot_parse_stops_no_others(void **state)
{
	struct catalog_fixture f;
	const struct tree_root *root;

	(void)state;
	for (int i = 0; i < 3; i++) {
		fixture_open(&f, NULL);
		fixture_run(&f, "PRAGMA encoding='%s'", encodings[i]);
		fixture_run(&f,
			    "CREATE TABLE good(a DEFAULT 7);CREATE TABLE n(a);"
			    "CREATE TABLE w(a PRIMARY KEY) WITHOUT ROWID;"
			    "PRAGMA writable_schema=ON;"
			    "UPDATE sqlite_schema SET sql='CREATE TABLE n(a DEFAULT "
			    "1_000)' WHERE name='n';"
			    "UPDATE sqlite_schema SET sql='CREATE TABLE w(a PRIMARY "
			    "KEY, b DEFAULT 0x1_0) WITHOUT ROWID' WHERE name='w'");
		fixture_add_row(&f, "view", "v", "v", 0,
				"CREATE VIEW v AS SELECT group_concat(a ORDER BY a) "
				"FROM good");
		fixture_add_row(&f, "trigger", "g", "good", 0,
				"CREATE TRIGGER nonsense");
		fixture_read(&f, NULL);
		check_left_out(&f, "good", NULL);
		check_left_out(&f, "n", "cannot be parsed by SQLite 3");
		assert_string_equal(fixture_table(&f, "n")->name, "n");
		assert_int_equal(fixture_column(&f, "good", "a")->missing.integer, 7);
		root = catalog_root(f.catalog, fixture_table(&f, "n")->root_page);
		assert_null(root->table);
		assert_true(root->is_table_tree);
		root = catalog_root(f.catalog, fixture_table(&f, "w")->root_page);
		assert_null(root->table);
		assert_false(root->is_table_tree);
		/* And so it stays when nothing changed. */
		fixture_read(&f, NULL);
		check_left_out(&f, "n", "cannot be parsed by SQLite 3");
		fixture_close(&f);
	}
}

/* ---- a catalog from the one before ---- */

static void test_unchanged_tables_keep_their_description(void **state)
{
	struct catalog_fixture f;
	const struct column *same, *other;

	(void)state;
	fixture_open(&f, "CREATE TABLE a(x DEFAULT 'dflt',v AS (x||1));"
			 "CREATE TABLE b(x);CREATE TABLE gone(x)");
	fixture_read(&f, NULL);
	same = fixture_table(&f, "a")->columns;
	other = fixture_table(&f, "b")->columns;
	/* A page goes in between, and the roots move. */
	fixture_run(&f, "INSERT INTO a(x) VALUES('v');DROP TABLE gone;"
			"CREATE TABLE new(x DEFAULT 3);ALTER TABLE b ADD COLUMN y;"
			"VACUUM");
	fixture_read(&f, NULL);
	assert_ptr_equal(fixture_table(&f, "a")->columns, same);
	assert_ptr_not_equal(fixture_table(&f, "b")->columns, other);
	assert_int_equal(fixture_table(&f, "b")->column_count, 2);
	assert_null(catalog_find(f.catalog, "gone"));
	assert_int_equal(fixture_column(&f, "new", "x")->missing.integer, 3);
	/* The catalog before is closed; what is shared lives on. */
	assert_int_equal(fixture_check_rows(&f, "a"), 1);
	assert_memory_equal(fixture_column(&f, "a", "x")->missing.bytes, "dflt", 4);
	fixture_close(&f);
}

static void test_an_index_changes_its_table(void **state)
{
	struct catalog_fixture f;
	const struct column *columns;

	(void)state;
	fixture_open(&f, "CREATE TABLE a(x)");
	fixture_read(&f, NULL);
	columns = fixture_table(&f, "a")->columns;
	assert_false(fixture_table(&f, "a")->has_index);
	fixture_run(&f, "CREATE INDEX i ON a(x)");
	fixture_read(&f, NULL);
	assert_true(fixture_table(&f, "a")->has_index);
	assert_ptr_not_equal(fixture_table(&f, "a")->columns, columns);
	fixture_run(&f, "DROP INDEX i");
	fixture_read(&f, NULL);
	assert_false(fixture_table(&f, "a")->has_index);
	fixture_close(&f);
}

static void test_a_virtual_table_makes_others_shadows(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, "CREATE TABLE vec_chunks(a)");
	fixture_read(&f, NULL);
	check_left_out(&f, "vec_chunks", NULL);
	fixture_add_row(&f, "table", "vec", "vec", 0,
			"CREATE VIRTUAL TABLE vec USING vec0(e float[3])");
	fixture_read(&f, NULL);
	check_left_out(&f, "vec_chunks", "SQLite's own");
	fixture_close(&f);
}

static void test_names_and_roots_are_those_of_the_new_schema(void **state)
{
	struct catalog_fixture f;
	uint32_t root;

	(void)state;
	fixture_open(&f, "CREATE TABLE a(x);CREATE TABLE b(x)");
	fixture_read(&f, NULL);
	root = fixture_table(&f, "a")->root_page;
	fixture_run(&f, "ALTER TABLE a RENAME TO c;ALTER TABLE b RENAME TO a;"
			"ALTER TABLE c RENAME TO B");
	fixture_read(&f, NULL);
	assert_string_equal(fixture_table(&f, "b")->name, "B");
	assert_int_equal(fixture_table(&f, "b")->root_page, root);
	fixture_close(&f);
}

/* ---- hostile databases ---- */

static void check_refused(struct catalog_fixture *f, const char *text)
{
	struct error err;

	assert_int_equal(fixture_read_fails(f, &err), ST_CORRUPT);
	if (!strstr(err.text, text)) {
		print_error("%s\n", err.text);
		fail();
	}
}

static void test_rows_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *type, *name;
		int64_t root;
		const char *sql, *text;
	} rows[] = {
	    {"table", "x", 99, "CREATE TABLE x(a)", "\"x\": root page 99"},
	    {"table", "x", -1, "CREATE TABLE x(a)", "root page -1"},
	    {"table", "x", 1, "CREATE TABLE x(a)", "root page 1"},
	    {"table", "x", 4294967298, "CREATE TABLE x(a)", "root page 4294967298"},
	    {"table", "x", 0, "CREATE TABLE x(a)", "\"x\" has no root page"},
	    {"table", "x", 2, "CREATE TABLE x(a)", "is the root of"},
	    {"table", "T", 3, "CREATE TABLE T(a)", "two rows for table \"T\""},
	    {"table", "t", 3, "CREATE TABLE t(a)", "two rows for table \"t\""},
	    {"index", "i", 0, "CREATE INDEX i ON t(a)", "index \"i\" has no root page"},
	    {"index", "i", 77, "CREATE INDEX i ON t(a)", "root page 77"},
	    {NULL, "x", 3, "CREATE TABLE x(a)", "type or name is NULL"},
	    {"table", NULL, 3, "CREATE TABLE x(a)", "type or name is NULL"},
	};
	struct catalog_fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fixture_open(&f, "CREATE TABLE t(a);CREATE TABLE u(a);DROP TABLE u");
		fixture_add_row(&f, rows[i].type, rows[i].name, "t", rows[i].root,
				rows[i].sql);
		fixture_take(&f);
		check_refused(&f, rows[i].text);
		fixture_close(&f);
	}
}

static void test_wrong_classes_in_rows_are_refused(void **state)
{
	static const char *const updates[] = {"name=x'74'",    "type=5",
					      "tbl_name=NULL", "sql=7",
					      "rootpage='2'",  "rootpage=2.5"};
	struct catalog_fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof updates / sizeof updates[0]; i++) {
		fixture_open(&f, "CREATE TABLE t(a)");
		/* The schema's own columns would turn numbers into text. */
		fixture_run(&f,
			    "PRAGMA writable_schema=ON;"
			    "UPDATE sqlite_schema SET %s",
			    updates[i]);
		fixture_take(&f);
		if (strcmp(updates[i], "type=5") == 0 ||
		    strcmp(updates[i], "sql=7") == 0 ||
		    strcmp(updates[i], "rootpage='2'") == 0) {
			struct catalog *catalog;
			struct error err;

			/* Converted on the way in: no harm, whatever it means. */
			if (catalog_read(memory_source_pages(f.source), NULL, NULL,
					 NULL, &catalog, &err) == ST_OK) {
				catalog_close(catalog);
			}
		} else {
			check_refused(&f, "schema row 1");
		}
		fixture_close(&f);
	}
}

static void open_deep_schema(struct catalog_fixture *f)
{
	fixture_open(f, "PRAGMA page_size=512");
	for (int i = 0; i < 60; i++) {
		fixture_run(f, "CREATE TABLE t%d(a /* %*s */)", i, i * 20, "");
	}
	fixture_take(f);
	assert_int_equal(memory_source_edit(f->source, 1)[100], 5);
}

static void test_looping_schema_pages_are_refused(void **state)
{
	struct catalog_fixture f;
	uint8_t *page;
	uint32_t child;

	(void)state;
	open_deep_schema(&f);
	page = memory_source_edit(f.source, 1);
	/* The right-most child is page 1 itself. */
	put_u32be(page + 108, 1);
	check_refused(&f, "twice");
	fixture_close(&f);

	open_deep_schema(&f);
	page = memory_source_edit(f.source, 1);
	child = get_u32be(page + get_u16be(page + 112));
	put_u32be(page + 108, child);
	check_refused(&f, "twice");
	fixture_close(&f);

	open_deep_schema(&f);
	put_u32be(memory_source_edit(f.source, 1) + 108, 100000);
	check_refused(&f, "100000");
	fixture_close(&f);
}

static void test_damaged_schema_pages_are_refused_or_read(void **state)
{
	struct catalog_fixture f;
	struct catalog *catalog;
	struct error err;
	uint32_t seed = 1;
	int rounds =
	    getenv("ROWTAIL_TEST_WRAPPED") ? 300 : 3000; /* valgrind: minutes */

	(void)state;
	open_deep_schema(&f);
	for (int round = 0; round < rounds; round++) {
		uint32_t page_no, offset, bit;
		uint8_t *byte;

		seed = seed * 1664525 + 1013904223;
		page_no = 1 + (seed >> 8) % memory_source_pages(f.source)->page_count;
		seed = seed * 1664525 + 1013904223;
		offset = (seed >> 8) % 512;
		bit = seed >> 29;
		byte = memory_source_edit(f.source, page_no) + offset;
		*byte = (uint8_t)(*byte ^ 1u << bit);
		if (catalog_read(memory_source_pages(f.source), NULL, NULL, NULL,
				 &catalog, &err) == ST_OK) {
			catalog_close(catalog);
		}
		assert_int_equal(memory_source_pins(f.source), 0);
		*byte = (uint8_t)(*byte ^ 1u << bit);
	}
	fixture_close(&f);
}

static void test_an_index_page_is_no_schema(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, "CREATE TABLE t(a)");
	fixture_take(&f);
	memory_source_edit(f.source, 1)[100] = 10;
	check_refused(&f, "page 1");
	fixture_close(&f);
}

static void test_a_wrong_page_size_is_refused(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, "CREATE TABLE t(a)");
	fixture_take(&f);
	put_u16be(memory_source_edit(f.source, 1) + 16, 1024);
	check_refused(&f, "1024");
	fixture_close(&f);
}

static void test_huge_names_and_many_columns(void **state)
{
	struct catalog_fixture f;
	sqlite3_str *sql = sqlite3_str_new(NULL);
	char *name = malloc(100001);
	char *text;

	(void)state;
	assert_non_null(name);
	memset(name, 'n', 100000);
	name[100000] = '\0';
	sqlite3_str_appendf(sql, "CREATE TABLE wide(");
	for (int i = 0; i < 2000; i++) {
		sqlite3_str_appendf(sql, "%sc%d DEFAULT %d", i ? "," : "", i, i);
	}
	sqlite3_str_appendf(sql, ")");
	text = sqlite3_str_finish(sql);
	fixture_open(&f, text);
	sqlite3_free(text);
	fixture_run(&f, "CREATE TABLE \"%w\"(\"%w\" \"%w\" DEFAULT '%s')", name, name,
		    name, name);
	fixture_read(&f, NULL);
	assert_int_equal(fixture_table(&f, "wide")->column_count, 2000);
	assert_int_equal(fixture_column(&f, "wide", "c1999")->missing.integer, 1999);
	assert_int_equal(fixture_table(&f, name)->column_count, 1);
	assert_int_equal(fixture_column(&f, name, name)->missing.len, 100000);
	fixture_close(&f);
	free(name);
}

/* Names that mean something to SQLite, or end a statement in the wrong place. */
static void test_names_that_need_quoting(void **state)
{
	static const char *const names[] = {"pragma_table_xinfo",
					    "pragma_table_list",
					    "select",
					    "a'b",
					    "a\"b",
					    "a;b",
					    "a -- b",
					    "[x]",
					    "rowid",
					    "t",
					    "\x01\x02",
					    " ",
					    "%s%n",
					    "\xff\xfe",
					    "main",
					    "sqlite_",
					    "temp",
					    "rootpage"};
	const size_t count = sizeof names / sizeof names[0];
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, NULL);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], "sqlite_") != 0) {
			fixture_run(&f,
				    "CREATE TABLE \"%w\"(\"%w\" DEFAULT %d,PRIMARY "
				    "KEY(\"%w\")) %s",
				    names[i], names[i], (int)i, names[i],
				    i % 2 ? "WITHOUT ROWID" : "");
			fixture_run(&f, "INSERT INTO \"%w\" VALUES('x')", names[i]);
		}
	}
	fixture_read(&f, NULL);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], "sqlite_") != 0) {
			assert_null(fixture_table(&f, names[i])->left_out);
			assert_int_equal(
			    fixture_column(&f, names[i], names[i])->missing.integer, i);
			assert_int_equal(fixture_table(&f, names[i])->without_rowid,
					 i % 2);
			assert_int_equal(fixture_check_rows(&f, names[i]), 1);
		}
	}
	fixture_close(&f);
}

/* Texts of the schema that say something else than their row. */
static void test_rows_with_foreign_definitions_do_no_harm(void **state)
{
	static const char *const definitions[] = {
	    "CREATE TABLE u(b)",
	    "CREATE VIEW t AS SELECT 1",
	    "CREATE TABLE t(a",
	    "CREATE INDEX t ON u(b)",
	    "DROP TABLE u",
	    "",
	    "CREATE TABLE t(a);DROP",
	    "CREATE TABLE t(a DEFAULT (randomblob(1000000000)))",
	    "CREATE TABLE t(a DEFAULT ((SELECT 1)))",
	    "CREATE TABLE t(a DEFAULT (b))",
	    "CREATE TABLE t(a DEFAULT 1 /* ) */",
	    "CREATE TABLE t(a,b PRIMARY KEY,c AS (c)) WITHOUT ROWID",
	    "CREATE TABLE sqlite_stat1(tbl,idx,stat)",
	    "CREATE TABLE sqlite_sequence(name,seq)",
	    "CREATE VIRTUAL TABLE t USING fts5(a)",
	    "CREATE TABLE t(a) STRICT",
	    "CREATE TABLE t(a INT PRIMARY KEY) WITHOUT "};
	struct catalog_fixture f;
	struct catalog *catalog;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof definitions / sizeof definitions[0]; i++) {
		fixture_open(&f, "CREATE TABLE t(a);CREATE TABLE u(b);"
				 "PRAGMA writable_schema=ON");
		fixture_run(&f, "UPDATE sqlite_schema SET sql=%Q WHERE name='t'",
			    definitions[i]);
		fixture_take(&f);
		if (catalog_read(memory_source_pages(f.source), NULL, NULL, NULL,
				 &catalog, &err) == ST_OK) {
			assert_non_null(catalog_find(catalog, "t"));
			assert_non_null(catalog_find(catalog, "u"));
			catalog_close(catalog);
		} else {
			assert_int_equal(err.status, ST_CORRUPT);
		}
		fixture_close(&f);
	}
}

/* ---- a catalog from the one before ---- */

static void note_changed(struct page_source *old, struct page_source *new,
			 struct page_set *changed)
{
	struct error err;

	page_set_empty(changed);
	for (uint32_t i = 1; i <= new->page_count; i++) {
		struct page_ref a = {0}, b = {0};
		bool differs = true;

		assert_int_equal(page_get(new, i, &b, &err), ST_OK);
		if (i <= old->page_count) {
			assert_int_equal(page_get(old, i, &a, &err), ST_OK);
			differs = memcmp(a.bytes, b.bytes, new->page_size) != 0;
			page_put(old, &a);
		}
		page_put(new, &b);
		if (differs) {
			assert_int_equal(page_set_add(changed, i, NULL, &err), ST_OK);
		}
	}
}

static void check_same_text(const char *a, const char *b)
{
	assert_int_equal(a == NULL, b == NULL);
	if (a) {
		assert_string_equal(a, b);
	}
}

static void check_same_table(const struct table *a, const struct table *b)
{
	assert_string_equal(a->name, b->name);
	assert_string_equal(a->sort_name, b->sort_name);
	assert_string_equal(a->sql, b->sql);
	check_same_text(a->left_out, b->left_out);
	assert_int_equal(a->root_page, b->root_page);
	assert_int_equal(a->has_index, b->has_index);
	assert_int_equal(a->without_rowid, b->without_rowid);
	assert_int_equal(a->column_count, b->column_count);
	for (uint32_t i = 0; i < a->column_count; i++) {
		assert_string_equal(a->columns[i].name, b->columns[i].name);
	}
}

static void check_same_catalog(const struct catalog *a, const struct catalog *b)
{
	assert_int_equal(a->table_count, b->table_count);
	for (size_t i = 0; i < a->table_count; i++) {
		check_same_table(a->tables[i], b->tables[i]);
	}
	assert_int_equal(a->root_count, b->root_count);
	for (size_t i = 0; i < a->root_count; i++) {
		const struct table *table = a->roots[i].table;

		assert_int_equal(a->roots[i].root_page, b->roots[i].root_page);
		assert_int_equal(a->roots[i].is_table_tree, b->roots[i].is_table_tree);
		assert_string_equal(a->roots[i].name, b->roots[i].name);
		assert_int_equal(table == NULL, b->roots[i].table == NULL);
		assert_true(!table || catalog_find(a, table->name) == table);
	}
	assert_int_equal(a->row_count, b->row_count);
	for (size_t i = 0; i < a->row_count; i++) {
		assert_string_equal(a->rows[i]->type, b->rows[i]->type);
		assert_string_equal(a->rows[i]->name, b->rows[i]->name);
		assert_string_equal(a->rows[i]->table_name, b->rows[i]->table_name);
		check_same_text(a->rows[i]->sql, b->rows[i]->sql);
		assert_int_equal(a->rows[i]->root_page, b->rows[i]->root_page);
		assert_int_equal(a->rows[i]->rowid, b->rows[i]->rowid);
	}
	assert_int_equal(a->schema_page_count, b->schema_page_count);
	assert_memory_equal(a->schema_pages, b->schema_pages,
			    a->schema_page_count * sizeof *a->schema_pages);
}

/* Statements that may fail: what they name need not be there. */
static void change_schema(sqlite3 *db, unsigned n)
{
	static const char *const changes[] = {
	    "CREATE TABLE t%u(id INTEGER PRIMARY KEY, a, b DEFAULT 5)",
	    "CREATE TABLE T%u(a PRIMARY KEY, b UNIQUE) WITHOUT ROWID",
	    "CREATE INDEX i%u ON t%u(a)",
	    "DROP INDEX i%u",
	    "DROP TABLE t%u",
	    "ALTER TABLE t%u RENAME TO r%u",
	    "ALTER TABLE r%u RENAME TO t%u",
	    "ALTER TABLE t%u ADD COLUMN c%u AS (a || 'x')",
	    "ALTER TABLE t%u ADD COLUMN d DEFAULT (1 /* a comment that makes the row "
	    "of "
	    "the schema longer than a page of five hundred and twelve bytes ..........."
	    ".........................................................................."
	    ".."
	    ".........................................................................."
	    ". "
	    ".........................................................................."
	    ".."
	    ".........................................................................."
	    ".."
	    ".........................................................................."
	    ".."
	    "........................................................................ "
	    "*/)",
	    "CREATE VIRTUAL TABLE t%u USING fts5(x)",
	    "DROP TABLE IF EXISTS t%u",
	    "CREATE VIEW v%u AS SELECT * FROM t%u",
	    "CREATE TABLE t%u_data(x)",
	    "INSERT INTO t%u(a) VALUES (1)",
	    "VACUUM",
	};
	unsigned k = (unsigned)(rand() >> 4) % (sizeof changes / sizeof changes[0]);
	char *sql = sqlite3_mprintf(changes[k], n, n);

	if (strcmp(changes[k], "VACUUM") != 0 || rand() % 8 == 0) {
		(void)sqlite3_exec(db, sql, NULL, NULL, NULL);
	}
	sqlite3_free(sql);
}

static void run_changes(int auto_vacuum, int page_size, int rounds)
{
	struct catalog_fixture f;
	struct memory_source *old_pages;
	struct catalog *old, *fresh, *whole;
	struct page_set changed;
	struct error err;

	page_set_init(&changed);
	fixture_open(&f, NULL);
	fixture_run(&f, "PRAGMA page_size=%d;PRAGMA auto_vacuum=%d", page_size,
		    auto_vacuum);
	for (unsigned i = 0; i < 40; i++) {
		fixture_run(&f, "CREATE TABLE t%u(a);CREATE INDEX i%u ON t%u(a)", i, i,
			    i);
	}
	fixture_read(&f, NULL);
	for (int round = 0; round < rounds; round++) {
		old_pages = f.source;
		old = f.catalog;
		f.source = NULL;
		f.catalog = NULL;
		for (int i = rand() % 3; i >= 0; i--) {
			change_schema(f.db, (unsigned)(rand() >> 4) % 60);
		}
		fixture_take(&f);
		note_changed(memory_source_pages(old_pages),
			     memory_source_pages(f.source), &changed);
		assert_int_equal(catalog_read(memory_source_pages(f.source), NULL, old,
					      &changed, &fresh, &err),
				 ST_OK);
		assert_int_equal(catalog_read(memory_source_pages(f.source), NULL, NULL,
					      NULL, &whole, &err),
				 ST_OK);
		catalog_close(old);
		check_same_catalog(fresh, whole);
		catalog_close(whole);
		memory_source_close(old_pages);
		f.catalog = fresh;
	}
	page_set_clear(&changed);
	fixture_close(&f);
}

static void test_a_catalog_from_the_one_before_is_that_of_its_pages(void **state)
{
	unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : 7;
	int changes = getenv("ROWTAIL_TEST_WRAPPED") ? 20 : 120;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		print_message("SEED=%u\n", seed + i);
		srand(seed + i);
		run_changes(i % 3 == 2, i % 2 ? 4096 : 512, changes);
	}
}

/* What did not change is the same object; of the schema only changed pages are read. */
static void test_a_change_costs_what_changed(void **state)
{
	struct catalog_fixture f;
	struct memory_source *old_pages;
	struct catalog *old;
	struct page_set changed;
	struct error err;
	size_t same = 0;
	uint64_t gets;

	(void)state;
	page_set_init(&changed);
	fixture_open(&f, NULL);
	for (unsigned i = 0; i < 1000; i++) {
		fixture_run(&f, "CREATE TABLE t%u(a, b DEFAULT 5)", i);
	}
	fixture_read(&f, NULL);
	old_pages = f.source;
	old = f.catalog;
	f.source = NULL;
	fixture_run(&f, "CREATE INDEX i ON t500(a)");
	fixture_take(&f);
	note_changed(memory_source_pages(old_pages), memory_source_pages(f.source),
		     &changed);
	gets = memory_source_gets(f.source);
	assert_int_equal(catalog_read(memory_source_pages(f.source), NULL, old,
				      &changed, &f.catalog, &err),
			 ST_OK);
	assert_true(old->schema_page_count > 15);
	assert_true(memory_source_gets(f.source) - gets < 8);
	for (size_t i = 0; i < f.catalog->table_count; i++) {
		same += f.catalog->tables[i] == old->tables[i];
	}
	assert_int_equal(same, 999);
	assert_true(fixture_table(&f, "t500")->has_index);
	catalog_close(old);
	memory_source_close(old_pages);
	page_set_clear(&changed);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tables_stand_by_name_and_are_found_in_any_case),
	    cmocka_unit_test(test_columns_are_described),
	    cmocka_unit_test(test_affinities_are_those_of_sqlite),
	    cmocka_unit_test(test_strict_any_has_no_affinity),
	    cmocka_unit_test(test_primary_keys),
	    cmocka_unit_test(test_roots_name_every_tree),
	    cmocka_unit_test(test_schema_pages_are_the_tree_with_overflow),
	    cmocka_unit_test(test_an_empty_database),
	    cmocka_unit_test(test_virtual_and_shadow_tables_are_left_out),
	    cmocka_unit_test(test_shadow_tables_of_unknown_modules_by_their_suffix),
	    cmocka_unit_test(test_what_sqlite_cannot_parse_stops_no_others),
	    cmocka_unit_test(test_unchanged_tables_keep_their_description),
	    cmocka_unit_test(test_an_index_changes_its_table),
	    cmocka_unit_test(test_a_virtual_table_makes_others_shadows),
	    cmocka_unit_test(test_names_and_roots_are_those_of_the_new_schema),
	    cmocka_unit_test(test_rows_that_cannot_be_are_refused),
	    cmocka_unit_test(test_wrong_classes_in_rows_are_refused),
	    cmocka_unit_test(test_looping_schema_pages_are_refused),
	    cmocka_unit_test(test_damaged_schema_pages_are_refused_or_read),
	    cmocka_unit_test(test_an_index_page_is_no_schema),
	    cmocka_unit_test(test_a_wrong_page_size_is_refused),
	    cmocka_unit_test(test_huge_names_and_many_columns),
	    cmocka_unit_test(test_names_that_need_quoting),
	    cmocka_unit_test(test_rows_with_foreign_definitions_do_no_harm),
	    cmocka_unit_test(test_a_catalog_from_the_one_before_is_that_of_its_pages),
	    cmocka_unit_test(test_a_change_costs_what_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
