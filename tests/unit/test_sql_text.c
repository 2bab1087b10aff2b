/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/sql_text.h"

static char *text_of(const struct value *value, enum text_encoding encoding)
{
	static struct buffer out, scratch;

	buffer_reset(&out);
	sql_add_value(&out, value, encoding, encoding, &scratch);
	buffer_add_char(&out, '\0');
	assert_true(buffer_ok(&out));
	return out.bytes;
}

static void assert_text(const struct value *value, const char *want)
{
	assert_string_equal(text_of(value, TEXT_UTF8), want);
}

static struct value real(double v)
{
	return (struct value){.class = VALUE_REAL, .real = v};
}

static struct value bytes(enum value_class class, const char *text, size_t len)
{
	return (struct value){
	    .class = class, .len = (uint32_t)len, .bytes = (const uint8_t *)text};
}

/* What SQLite makes of the text. */
static double read_back(sqlite3 *db, const char *text)
{
	sqlite3_stmt *statement;
	char *sql = sqlite3_mprintf("SELECT %s", text);
	double v;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_int_equal(sqlite3_column_type(statement, 0), SQLITE_FLOAT);
	v = sqlite3_column_double(statement, 0);
	(void)sqlite3_finalize(statement);
	sqlite3_free(sql);
	return v;
}

static void check_real(sqlite3 *db, double v)
{
	struct value value = real(v);
	double again = read_back(db, text_of(&value, TEXT_UTF8));

	if (memcmp(&again, &v, sizeof v) != 0) {
		print_error("%a reads as %a from %s\n", v, again,
			    text_of(&value, TEXT_UTF8));
		fail();
	}
}

static void test_reals_read_back_with_the_same_bits(void **state)
{
	static const double edges[] = {0.0,
				       -0.0,
				       0.1,
				       1.0 / 3,
				       1e15,
				       1e16,
				       9007199254740993.0,
				       1e22,
				       1e23,
				       1e300,
				       1.7976931348623157e308,
				       -1.7976931348623157e308,
				       5e-324,
				       -5e-324,
				       2.2250738585072014e-308,
				       2.225073858507201e-308,
				       123456789.123456789,
				       9223372036854775807.0,
				       18446744073709551616.0,
				       HUGE_VAL,
				       -HUGE_VAL};
	uint64_t bits = 1;
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
		check_real(db, edges[i]);
	}
	for (int i = 0; i < 40000; i++) {
		double v;

		bits = bits * UINT64_C(6364136223846793005) + 1442695040888963407;
		memcpy(&v, &bits, sizeof v);
		if (!isnan(v)) {
			check_real(db, v);
		}
		check_real(db, (double)(int64_t)(bits >> 20) / 1000);
	}
	(void)sqlite3_close(db);
}

static void test_reals_that_every_sqlite_reads_alike_are_decimal(void **state)
{
	struct value values[] = {real(12.5),     real(-0.1),  real(3.0),   real(NAN),
				 real(HUGE_VAL), real(1e300), real(5e-324)};
	const char *want[] = {"12.5", "-0.1", "3.0", "NULL", "9e999"};

	(void)state;
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		assert_text(&values[i], want[i]);
	}
	assert_non_null(strchr(text_of(&values[6], TEXT_UTF8), '/'));
}

static void test_integers_and_null_are_what_they_are(void **state)
{
	struct value least = {.class = VALUE_INTEGER, .integer = INT64_MIN};
	struct value null = {.class = VALUE_NULL};

	(void)state;
	assert_text(&least, "-9223372036854775808");
	assert_text(&null, "NULL");
}

static void test_text_that_could_change_on_the_way_is_hexadecimal(void **state)
{
	struct value plain = bytes(VALUE_TEXT, "it's\n\t\xc3\xbc", 8);
	struct value nul = bytes(VALUE_TEXT, "a\0b", 3);
	struct value carriage = bytes(VALUE_TEXT, "\r\n", 2);
	struct value broken = bytes(VALUE_TEXT, "\xc3(", 2);
	struct value c1 = bytes(VALUE_TEXT, "\xc2\x9b", 2);
	struct value blob = bytes(VALUE_BLOB, "\0\xff", 2);
	struct value empty = bytes(VALUE_TEXT, "", 0);

	(void)state;
	assert_text(&plain, "'it''s\n\t\xc3\xbc'");
	assert_text(&nul, "CAST(x'610062' AS TEXT)");
	assert_text(&carriage, "CAST(x'0d0a' AS TEXT)");
	assert_text(&broken, "CAST(x'c328' AS TEXT)");
	assert_text(&c1, "CAST(x'c29b' AS TEXT)");
	assert_text(&blob, "x'00ff'");
	assert_text(&empty, "''");
}

static void test_text_of_utf_16_is_text_or_its_own_bytes(void **state)
{
	struct value plain = bytes(VALUE_TEXT, "a\0\xfc\0", 4);
	struct value lone = bytes(VALUE_TEXT, "\x00\xd8", 2);

	(void)state;
	assert_string_equal(text_of(&plain, TEXT_UTF16LE), "'a\xc3\xbc'");
	assert_string_equal(text_of(&lone, TEXT_UTF16LE), "CAST(x'00d8' AS TEXT)");
}

static void test_names_are_quoted(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b);
	sql_add_name(&b, "a\"b");
	buffer_add_char(&b, '\0');
	assert_string_equal(b.bytes, "\"a\"\"b\"");
	buffer_clear(&b);
}

static void test_one_statement_is_told_from_more_and_less(void **state)
{
	(void)state;
	assert_true(sql_is_one_statement("CREATE TABLE t(a DEFAULT ';')"));
	assert_true(sql_is_one_statement("CREATE VIEW v AS SELECT 1 -- ;"));
	assert_true(sql_is_one_statement("CREATE TRIGGER r AFTER INSERT ON t BEGIN "
					 "SELECT 1; SELECT 2; END"));
	assert_false(sql_is_one_statement("CREATE TABLE t(a); DROP TABLE x"));
	assert_false(sql_is_one_statement("CREATE TABLE t(a) /* open"));
	assert_false(sql_is_one_statement("CREATE TABLE t(a DEFAULT 'open)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reals_read_back_with_the_same_bits),
	    cmocka_unit_test(test_reals_that_every_sqlite_reads_alike_are_decimal),
	    cmocka_unit_test(test_integers_and_null_are_what_they_are),
	    cmocka_unit_test(test_text_that_could_change_on_the_way_is_hexadecimal),
	    cmocka_unit_test(test_text_of_utf_16_is_text_or_its_own_bytes),
	    cmocka_unit_test(test_names_are_quoted),
	    cmocka_unit_test(test_one_statement_is_told_from_more_and_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
