/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/column_type.h"
#include "tests/lib/catalog_fixture.h"

/* What a column declared so is, with type.mapping declared and affinity. */
struct declaration {
	const char *type;
	enum connect_type declared;
	enum connect_type affinity;
};

/* The column types that Django, Rails, SQLAlchemy and Prisma declare, and others seen
 * in the wild. */
static const struct declaration declarations[] = {
    /* Django */
    {"integer", CONNECT_INT64, CONNECT_INT64},
    {"bigint", CONNECT_INT64, CONNECT_INT64},
    {"smallint unsigned", CONNECT_INT64, CONNECT_INT64},
    {"integer unsigned", CONNECT_INT64, CONNECT_INT64},
    {"bool", CONNECT_BOOLEAN, CONNECT_DOUBLE},
    {"varchar(100)", CONNECT_STRING, CONNECT_STRING},
    {"char(32)", CONNECT_STRING, CONNECT_STRING},
    {"text", CONNECT_STRING, CONNECT_STRING},
    {"date", CONNECT_STRING, CONNECT_DOUBLE},
    {"datetime", CONNECT_STRING, CONNECT_DOUBLE},
    {"time", CONNECT_STRING, CONNECT_DOUBLE},
    {"decimal", CONNECT_DOUBLE, CONNECT_DOUBLE},
    {"real", CONNECT_DOUBLE, CONNECT_DOUBLE},
    {"BLOB", CONNECT_BYTES, CONNECT_BYTES},
    /* Rails */
    {"varchar", CONNECT_STRING, CONNECT_STRING},
    {"float", CONNECT_DOUBLE, CONNECT_DOUBLE},
    {"decimal(10,2)", CONNECT_DOUBLE, CONNECT_DOUBLE},
    {"datetime(6)", CONNECT_STRING, CONNECT_DOUBLE},
    {"boolean", CONNECT_BOOLEAN, CONNECT_DOUBLE},
    {"json", CONNECT_STRING, CONNECT_DOUBLE},
    {"uuid", CONNECT_STRING, CONNECT_DOUBLE},
    {"blob", CONNECT_BYTES, CONNECT_BYTES},
    /* SQLAlchemy */
    {"INTEGER", CONNECT_INT64, CONNECT_INT64},
    {"BIGINT", CONNECT_INT64, CONNECT_INT64},
    {"SMALLINT", CONNECT_INT64, CONNECT_INT64},
    {"VARCHAR(30)", CONNECT_STRING, CONNECT_STRING},
    {"NVARCHAR(30)", CONNECT_STRING, CONNECT_STRING},
    {"CLOB", CONNECT_STRING, CONNECT_STRING},
    {"FLOAT", CONNECT_DOUBLE, CONNECT_DOUBLE},
    {"DOUBLE_PRECISION", CONNECT_DOUBLE, CONNECT_DOUBLE},
    {"NUMERIC(10, 2)", CONNECT_DOUBLE, CONNECT_DOUBLE},
    {"DECIMAL", CONNECT_DOUBLE, CONNECT_DOUBLE},
    {"BOOLEAN", CONNECT_BOOLEAN, CONNECT_DOUBLE},
    {"TIMESTAMP", CONNECT_STRING, CONNECT_DOUBLE},
    {"JSON", CONNECT_STRING, CONNECT_DOUBLE},
    /* Prisma */
    {"TEXT", CONNECT_STRING, CONNECT_STRING},
    {"REAL", CONNECT_DOUBLE, CONNECT_DOUBLE},
    {"DATETIME", CONNECT_STRING, CONNECT_DOUBLE},
    {"JSONB", CONNECT_STRING, CONNECT_DOUBLE},
    /* others */
    {"", CONNECT_STRING, CONNECT_BYTES},
    {"DOUBLE PRECISION", CONNECT_DOUBLE, CONNECT_DOUBLE},
    {"TIMESTAMP WITH TIME ZONE", CONNECT_STRING, CONNECT_DOUBLE},
    {"DECIMAL UNSIGNED (10,2)", CONNECT_DOUBLE, CONNECT_DOUBLE},
    {"NUMBER", CONNECT_DOUBLE, CONNECT_DOUBLE},
    {"MONEY", CONNECT_DOUBLE, CONNECT_DOUBLE},
    {"STRING", CONNECT_STRING, CONNECT_DOUBLE},
    {"INET", CONNECT_STRING, CONNECT_DOUBLE},
    {"BOOLISH", CONNECT_STRING, CONNECT_DOUBLE},
    {"NUMERICAL", CONNECT_STRING, CONNECT_DOUBLE},
    {"ANY", CONNECT_STRING, CONNECT_DOUBLE},
    {"POINT", CONNECT_INT64, CONNECT_INT64}, /* SQLite finds INT in it */
};

static void test_declared_types_of_frameworks(void **state)
{
	struct catalog_fixture f;
	const struct table *table;
	size_t count = sizeof declarations / sizeof *declarations;

	(void)state;
	fixture_open(&f, NULL);
	for (size_t i = 0; i < count; i++) {
		fixture_run(&f, "create table t%d(x %s)", (int)i, declarations[i].type);
	}
	fixture_read(&f, NULL);
	for (size_t i = 0; i < count; i++) {
		const struct declaration *d = &declarations[i];
		char name[32];

		(void)snprintf(name, sizeof name, "t%zu", i);
		table = fixture_table(&f, name);
		if (column_type(table, table->columns, TYPES_DECLARED,
				DECIMAL_DOUBLE) != d->declared ||
		    column_type(table, table->columns, TYPES_AFFINITY,
				DECIMAL_DOUBLE) != d->affinity) {
			fail_msg("%s", d->type);
		}
	}
	fixture_close(&f);
}

static void test_types_of_strict_tables(void **state)
{
	static const enum connect_type expected[] = {CONNECT_INT64,  CONNECT_INT64,
						     CONNECT_DOUBLE, CONNECT_STRING,
						     CONNECT_BYTES,  CONNECT_STRING};
	struct catalog_fixture f;
	const struct table *table;

	(void)state;
	fixture_open(&f, "create table t(a int, b integer, c real, d text, e blob, "
			 "f any) strict");
	fixture_read(&f, NULL);
	table = fixture_table(&f, "t");
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		assert_int_equal(column_type(table, &table->columns[i], TYPES_DECLARED,
					     DECIMAL_DOUBLE),
				 expected[i]);
		assert_int_equal(column_type(table, &table->columns[i], TYPES_AFFINITY,
					     DECIMAL_DOUBLE),
				 expected[i]);
	}
	fixture_close(&f);
}

static void test_decimals_may_be_strings(void **state)
{
	struct catalog_fixture f;
	const struct table *table;

	(void)state;
	fixture_open(&f, "create table t(a decimal(5,2), b real, c numeric, d bool)");
	fixture_read(&f, NULL);
	table = fixture_table(&f, "t");
	assert_int_equal(
	    column_type(table, &table->columns[0], TYPES_DECLARED, DECIMAL_STRING),
	    CONNECT_STRING);
	assert_int_equal(
	    column_type(table, &table->columns[1], TYPES_DECLARED, DECIMAL_STRING),
	    CONNECT_DOUBLE);
	assert_int_equal(
	    column_type(table, &table->columns[2], TYPES_DECLARED, DECIMAL_STRING),
	    CONNECT_STRING);
	assert_int_equal(
	    column_type(table, &table->columns[3], TYPES_DECLARED, DECIMAL_STRING),
	    CONNECT_BOOLEAN);
	fixture_close(&f);
}

static void check_required(const char *sql, const char *column, bool expected)
{
	struct catalog_fixture f;

	fixture_open(&f, sql);
	fixture_read(&f, NULL);
	if (column_is_required(fixture_table(&f, "t"),
			       fixture_column(&f, "t", column)) != expected) {
		fail_msg("%s of %s", column, sql);
	}
	fixture_close(&f);
}

static void test_required_is_what_sqlite_keeps_from_being_null(void **state)
{
	(void)state;
	check_required("create table t(id integer primary key, a not null)", "id",
		       true);
	check_required("create table t(id integer primary key, a not null)", "a",
		       false);
	check_required("create table t(k text primary key)", "k", false);
	check_required("create table t(k text not null primary key)", "k", true);
	check_required("create table t(k text primary key) without rowid", "k", true);
	check_required("create table t(a int not null, b int) strict", "a", true);
	check_required("create table t(a int not null, b int) strict", "b", false);
	check_required("create table t(a int, b int as (a+1) not null) strict", "b",
		       false);
}

static void check_declared(const char *text, const char *name, int length, int scale)
{
	struct declared_type type = declared_type_read(text);

	assert_int_equal(type.name_len, strlen(name));
	assert_memory_equal(type.name, name, type.name_len);
	assert_int_equal(type.length, length);
	assert_int_equal(type.scale, scale);
}

static void test_declared_type_is_taken_apart(void **state)
{
	(void)state;
	check_declared("", "", -1, -1);
	check_declared("TEXT", "TEXT", -1, -1);
	check_declared("varchar(20)", "varchar", 20, -1);
	check_declared("DECIMAL ( 10 , 2 ) UNSIGNED", "DECIMAL", 10, 2);
	check_declared("DOUBLE PRECISION", "DOUBLE PRECISION", -1, -1);
	check_declared("x(", "x", -1, -1);
	check_declared("x(99999999999999999999,-1)", "x", -1, -1);
	check_declared("x(1,", "x", 1, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_declared_types_of_frameworks),
	    cmocka_unit_test(test_types_of_strict_tables),
	    cmocka_unit_test(test_decimals_may_be_strings),
	    cmocka_unit_test(test_required_is_what_sqlite_keeps_from_being_null),
	    cmocka_unit_test(test_declared_type_is_taken_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
