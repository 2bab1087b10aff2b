/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoded rows against what SQLite selects, over tables of many shapes and in every
 * text encoding; identity and hashes of rows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "btree/record.h"
#include "schemas/compute_child.h"
#include "schemas/row.h"
#include "tests/lib/catalog_fixture.h"

static const char *const encodings[] = {"UTF-8", "UTF-16le", "UTF-16be"};

#define FOR_EACH_ENCODING(f, sql)         \
	for (size_t e_ = 0; e_ < 3; e_++) \
		if (open_encoded(&(f), encodings[e_], sql))

static int open_encoded(struct catalog_fixture *f, const char *encoding,
			const char *sql)
{
	fixture_open(f, NULL);
	fixture_run(f, "PRAGMA encoding='%s'", encoding);
	fixture_run(f, "%s", sql);
	return 1;
}

/* Read the catalog and compare every row of every table; there must be some. */
static void check_all(struct catalog_fixture *f, size_t rows)
{
	fixture_read(f, NULL);
	assert_int_equal(fixture_check_all(f), rows);
	fixture_close(f);
}

static void test_values_of_every_class(void **state)
{
	struct catalog_fixture f;

	(void)state;
	FOR_EACH_ENCODING(f, "CREATE TABLE t(a,b TEXT,c BLOB,d REAL,e NUMERIC);"
			     "INSERT INTO t VALUES(NULL,NULL,NULL,NULL,NULL),"
			     "(1,'one',x'01',1,1),(-1,'',x'',-1.5,'abc'),"
			     "(9223372036854775807,'\xc3\xa4\xf0\x9f\x98\x80',"
			     "zeroblob(3000),1e300,'1e3'),"
			     "(0,hex(zeroblob(5000)),NULL,-0.0,9e999),"
			     "(1.0,char(0),x'00',3,-9e999),"
			     "(-9223372036854775808,'x','y',9007199254740993,'7')")
	{
		check_all(&f, 7);
	}
}

static void test_integer_primary_key_is_the_rowid(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, "CREATE TABLE a(x, id INTEGER PRIMARY KEY, y);"
			 "CREATE TABLE b(id INTEGER PRIMARY KEY AUTOINCREMENT, y);"
			 "CREATE TABLE c(id INTEGER PRIMARY KEY DESC, y);"
			 "CREATE TABLE d(id INT PRIMARY KEY, y);"
			 "CREATE TABLE e(x, \"rowid\" TEXT, id INTEGER,"
			 " PRIMARY KEY(id));"
			 "CREATE TABLE g(id INTEGER, x, PRIMARY KEY(id DESC));"
			 "INSERT INTO a VALUES(1,-5,2),(3,9223372036854775807,4);"
			 "INSERT INTO b VALUES(10,1),(20,2);"
			 "INSERT INTO c VALUES(10,1),(NULL,2);"
			 "INSERT INTO d VALUES(10,1),(NULL,2);"
			 "INSERT INTO e VALUES(10,1,2);"
			 "INSERT INTO g VALUES(10,1);");
	check_all(&f, 10);
}

static void test_without_rowid_orders(void **state)
{
	struct catalog_fixture f;

	(void)state;
	FOR_EACH_ENCODING(
	    f, "CREATE TABLE a(x,y,z,PRIMARY KEY(z,x)) WITHOUT ROWID;"
	       "CREATE TABLE b(a,b,PRIMARY KEY(a COLLATE NOCASE,a)) WITHOUT ROWID;"
	       "CREATE TABLE c(v AS (a||b),a,b REAL,w AS (v||'!') STORED,"
	       "u AS (w||v),PRIMARY KEY(b DESC,a)) WITHOUT ROWID;"
	       "CREATE TABLE d(id INTEGER PRIMARY KEY,x) WITHOUT ROWID;"
	       "CREATE TABLE e(a,b,c,PRIMARY KEY(a,a,b COLLATE RTRIM,b,a COLLATE "
	       "NOCASE)) WITHOUT ROWID;"
	       "INSERT INTO a VALUES(1,2,3),('x','y','z'),(1,2,zeroblob(4000));"
	       "INSERT INTO b VALUES('A',1),('a',2),('b',3);"
	       "INSERT INTO c(a,b) VALUES('k',1),('l',2.5),('m',3);"
	       "INSERT INTO d VALUES(7,'x'),(-7,'y');"
	       "INSERT INTO e VALUES(1,2,3),('a','b','c');")
	{
		check_all(&f, 13);
	}
}

static void test_short_records_read_defaults(void **state)
{
	struct catalog_fixture f;

	(void)state;
	FOR_EACH_ENCODING(f,
			  "CREATE TABLE t(a);"
			  "CREATE TABLE w(a PRIMARY KEY) WITHOUT ROWID;"
			  "INSERT INTO t VALUES(1),(2);INSERT INTO w VALUES('x'),('y');"
			  "ALTER TABLE t ADD COLUMN b TEXT DEFAULT 5;"
			  "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT '17';"
			  "ALTER TABLE t ADD COLUMN d REAL DEFAULT 3;"
			  "ALTER TABLE t ADD COLUMN e DEFAULT x'00ff';"
			  "ALTER TABLE t ADD COLUMN f DEFAULT 'it''s \xc3\xa4';"
			  "ALTER TABLE t ADD COLUMN g;"
			  "ALTER TABLE t ADD COLUMN h DEFAULT (-1);"
			  "ALTER TABLE t ADD COLUMN i NUMERIC DEFAULT '1e2';"
			  "ALTER TABLE t ADD COLUMN j DEFAULT TRUE;"
			  "ALTER TABLE t ADD COLUMN k DEFAULT (CAST('12' AS INTEGER));"
			  "ALTER TABLE t ADD COLUMN l DEFAULT abc;"
			  "ALTER TABLE t ADD COLUMN m AS (a+c);"
			  "ALTER TABLE t ADD COLUMN n TEXT NOT NULL DEFAULT '';"
			  "ALTER TABLE t ADD COLUMN o DEFAULT 9223372036854775808;"
			  "ALTER TABLE t ADD COLUMN p DEFAULT -9223372036854775808;"
			  "INSERT INTO t(a) VALUES(3);"
			  "ALTER TABLE t ADD COLUMN q TEXT DEFAULT x'4142';"
			  "ALTER TABLE w ADD COLUMN b TEXT DEFAULT 'dflt';"
			  "INSERT INTO w VALUES('z','own');"
			  "ALTER TABLE w ADD COLUMN c REAL DEFAULT 1;"
			  "ALTER TABLE w ADD COLUMN d AS (b||c);")
	{
		check_all(&f, 6);
	}
}

static void test_generated_columns(void **state)
{
	struct catalog_fixture f;

	(void)state;
	FOR_EACH_ENCODING(
	    f, "CREATE TABLE t(v AS (a+b),a INT,b REAL,w TEXT AS (v*2),"
	       "s AS (w||'x') STORED,z BLOB AS (zeroblob(a)),n AS (NULL),"
	       "r REAL AS (a));"
	       "CREATE TABLE u(id INTEGER PRIMARY KEY,a,v AS (id||a) UNIQUE,"
	       "l AS (length(a)),j AS (a->>'$.k'),CHECK(a<>'bad'));"
	       "CREATE TABLE bare(a,v AS (upper(a)));"
	       "INSERT INTO t(a,b) VALUES(1,2),(3,0.5),(0,0),(NULL,1);"
	       "INSERT INTO u(id,a) VALUES(5,'{\"k\":\"v\"}'),(6,'{}'),"
	       "(7,'{\"k\":\"'||char(0xfeff,0x41,0x1f600)||'\"}');"
	       "INSERT INTO bare VALUES('abc'),(char(0xfeff)||'b'),(char(0xfffe)||'b')")
	{
		check_all(&f, 10);
	}
}

static void test_strict_tables(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, "CREATE TABLE s(a INT,b INTEGER,c REAL,d TEXT,e BLOB,f ANY,"
			 "v REAL AS (a)) STRICT;"
			 "INSERT INTO s VALUES(1,2,3,'4',x'05','006'),"
			 "(NULL,NULL,NULL,NULL,NULL,6.0)");
	check_all(&f, 2);
}

static void test_large_rows_and_small_pages(void **state)
{
	static const int sizes[] = {512, 1024, 4096, 65536};
	struct catalog_fixture f;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		fixture_open(&f, NULL);
		fixture_run(&f, "PRAGMA page_size=%d", sizes[i]);
		fixture_run(&f, "CREATE TABLE t(a INTEGER PRIMARY KEY,b,c AS "
				"(length(b)),d AS (b));"
				"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
				"i+1 FROM n WHERE i<200) INSERT INTO t SELECT "
				"i,zeroblob(i*i) FROM n");
		check_all(&f, 200);
	}
}

static void test_a_wide_table(void **state)
{
	struct catalog_fixture f;
	sqlite3_str *sql = sqlite3_str_new(NULL);
	char *text;

	(void)state;
	sqlite3_str_appendf(sql, "CREATE TABLE t(c0 INTEGER PRIMARY KEY");
	for (int i = 1; i < 1999; i++) {
		sqlite3_str_appendf(sql, i % 2 ? ",c%d DEFAULT %d" : ",c%d AS (c%d+1)",
				    i, i - 1);
	}
	sqlite3_str_appendf(sql, ")");
	text = sqlite3_str_finish(sql);
	fixture_open(&f, text);
	sqlite3_free(text);
	fixture_run(&f, "INSERT INTO t DEFAULT VALUES;INSERT INTO t DEFAULT VALUES");
	check_all(&f, 2);
}

/* ---- decoding of records made here ---- */

static void test_a_record_that_breaks_the_format_is_named(void **state)
{
	static const uint8_t broken[] = {3, 12, 200, 1};
	struct catalog_fixture f;
	struct error err;
	struct row row;

	(void)state;
	fixture_open(&f, "CREATE TABLE t(a,b)");
	fixture_read(&f, NULL);
	row_init(&row);
	assert_int_equal(
	    row_decode(&row, fixture_table(&f, "t"), 77, broken, sizeof broken, &err),
	    ST_CORRUPT);
	assert_non_null(strstr(err.text, "\"t\""));
	assert_non_null(strstr(err.text, "77"));
	row_clear(&row);
	fixture_close(&f);
}

static void test_the_rowid_wins_over_what_is_stored(void **state)
{
	static const uint8_t record[] = {3, 1, 1, 42, 43};
	struct catalog_fixture f;
	struct error err;
	struct row row;

	(void)state;
	fixture_open(&f, "CREATE TABLE t(a INTEGER PRIMARY KEY,b)");
	fixture_read(&f, NULL);
	row_init(&row);
	assert_int_equal(
	    row_decode(&row, fixture_table(&f, "t"), -3, record, sizeof record, &err),
	    ST_OK);
	assert_int_equal(row.values[0].integer, -3);
	assert_int_equal(row.values[1].integer, 43);
	/* An empty record, and values past the table's last column. */
	assert_int_equal(row_decode(&row, fixture_table(&f, "t"), 9,
				    (const uint8_t *)"\x01", 1, &err),
			 ST_OK);
	assert_int_equal(row.values[0].integer, 9);
	assert_int_equal(row.values[1].class, VALUE_NULL);
	assert_int_equal(row_decode(&row, fixture_table(&f, "t"), 9,
				    (const uint8_t *)"\x05\x08\x09\x08\x08", 5, &err),
			 ST_OK);
	assert_int_equal(row.values[1].integer, 1);
	row_clear(&row);
	fixture_close(&f);
}

/* ---- identity ---- */

static struct value text(enum value_class class, const char *bytes)
{
	return (struct value){.class = class,
			      .len = (uint32_t)strlen(bytes),
			      .bytes = (const uint8_t *)bytes};
}

static void check_identity(const struct table *table, const struct value *a,
			   const struct value *b, int same_key, int same)
{
	assert_int_equal(row_same_key(table, a, b), same_key);
	assert_int_equal(row_key_hash(table, a) == row_key_hash(table, b), same_key);
	assert_int_equal(row_same(table, a, b), same);
	assert_int_equal(row_hash(table, a) == row_hash(table, b), same);
}

static void test_identity_is_class_and_bytes(void **state)
{
	struct catalog_fixture f;
	const struct table *t;
	struct value a[3] = {{.class = VALUE_NULL}};
	struct value b[3];

	(void)state;
	fixture_open(&f, "CREATE TABLE t(x,a,b,PRIMARY KEY(b,a))");
	fixture_read(&f, NULL);
	t = fixture_table(&f, "t");
	assert_int_equal(t->key_count, 2);
	assert_int_equal(t->key_columns[0], 2);
	assert_int_equal(t->key_columns[1], 1);
	a[1] = text(VALUE_TEXT, "abc");
	a[2] = (struct value){.class = VALUE_INTEGER, .integer = 1};
	memcpy(b, a, sizeof a);
	check_identity(t, a, b, 1, 1);
	b[0] = text(VALUE_TEXT, "");
	check_identity(t, a, b, 1, 0);
	memcpy(b, a, sizeof a);
	b[1] = text(VALUE_BLOB, "abc");
	check_identity(t, a, b, 0, 0);
	b[1] = text(VALUE_TEXT, "abC");
	check_identity(t, a, b, 0, 0);
	b[1] = a[1];
	b[2] = (struct value){.class = VALUE_REAL, .real = 1};
	check_identity(t, a, b, 0, 0);
	/* 0.0 and -0.0 are not the same. */
	a[2] = (struct value){.class = VALUE_REAL, .real = 0.0};
	b[2] = (struct value){.class = VALUE_REAL, .real = -0.0};
	check_identity(t, a, b, 0, 0);
	fixture_close(&f);
}

static void test_a_key_with_a_null_is_no_key(void **state)
{
	struct catalog_fixture f;
	struct value values[2] = {{.class = VALUE_INTEGER}, {.class = VALUE_INTEGER}};

	(void)state;
	fixture_open(&f, "CREATE TABLE t(a,b,PRIMARY KEY(b,a));CREATE TABLE n(a,b)");
	fixture_read(&f, NULL);
	assert_true(row_has_key(fixture_table(&f, "t"), values));
	assert_false(row_has_key(fixture_table(&f, "n"), values));
	values[1].class = VALUE_NULL;
	assert_false(row_has_key(fixture_table(&f, "t"), values));
	fixture_close(&f);
}

static void test_hashes_tell_where_a_value_ends(void **state)
{
	struct catalog_fixture f;
	struct value a[2], b[2];

	(void)state;
	fixture_open(&f, "CREATE TABLE t(a,b,PRIMARY KEY(a,b))");
	fixture_read(&f, NULL);
	a[0] = text(VALUE_TEXT, "ab");
	a[1] = text(VALUE_TEXT, "c");
	b[0] = text(VALUE_TEXT, "a");
	b[1] = text(VALUE_TEXT, "bc");
	check_identity(fixture_table(&f, "t"), a, b, 0, 0);
	a[0] = text(VALUE_TEXT, "");
	b[0] = (struct value){.class = VALUE_NULL};
	a[1] = b[1];
	check_identity(fixture_table(&f, "t"), a, b, 0, 0);
	fixture_close(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values_of_every_class),
	    cmocka_unit_test(test_integer_primary_key_is_the_rowid),
	    cmocka_unit_test(test_without_rowid_orders),
	    cmocka_unit_test(test_short_records_read_defaults),
	    cmocka_unit_test(test_generated_columns),
	    cmocka_unit_test(test_strict_tables),
	    cmocka_unit_test(test_large_rows_and_small_pages),
	    cmocka_unit_test(test_a_wide_table),
	    cmocka_unit_test(test_a_record_that_breaks_the_format_is_named),
	    cmocka_unit_test(test_the_rowid_wins_over_what_is_stored),
	    cmocka_unit_test(test_identity_is_class_and_bytes),
	    cmocka_unit_test(test_a_key_with_a_null_is_no_key),
	    cmocka_unit_test(test_hashes_tell_where_a_value_ends),
	};

	if (compute_child_is(argc, argv)) {
		return compute_child_run();
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
