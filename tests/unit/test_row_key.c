/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "schemas/row_key.h"
#include "tests/lib/catalog_fixture.h"

#define PAIRS 20000

static uint64_t chance;

static uint32_t random_below(uint32_t limit)
{
	chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(chance >> 33) % limit;
}

/* ---- order ---- */

struct random_value {
	struct value value;
	uint8_t bytes[16];
};

static void make_bytes(struct random_value *v)
{
	static const char letters[] = "aAbBzZ  [_`@\0\x7f\xc3\xa4\xc3\x84";

	v->value.class = random_below(3) ? VALUE_TEXT : VALUE_BLOB;
	v->value.len = random_below(6);
	for (uint32_t i = 0; i < v->value.len; i++) {
		v->bytes[i] = (uint8_t)letters[random_below(sizeof letters - 1)];
	}
	v->value.bytes = v->bytes;
}

static void make_value(struct random_value *v)
{
	static const double reals[] = {-0.0,
				       0.5,
				       -0.5,
				       9007199254740992.0,
				       9007199254740994.0,
				       9223372036854775807.0,
				       -9223372036854775808.0,
				       -9223372036854777856.0,
				       9223372036854774784.0,
				       1e308,
				       -1e308};
	static const int64_t integers[] = {INT64_MIN,
					   INT64_MIN + 1,
					   INT64_MAX,
					   INT64_MAX - 1023,
					   INT64_MAX - 1,
					   (1LL << 53) + 1,
					   1LL << 53,
					   -(1LL << 53) - 1,
					   0,
					   -9007199254740993,
					   1,
					   -1};

	v->value = (struct value){.class = VALUE_NULL};
	switch (random_below(8)) {
	case 0:
		break;
	case 1:
		v->value.class = VALUE_INTEGER;
		v->value.integer = integers[random_below(12)];
		break;
	case 2:
		v->value.class = VALUE_REAL;
		v->value.real = reals[random_below(11)];
		break;
	case 3:
		v->value.class = VALUE_REAL;
		v->value.real =
		    (double)integers[random_below(12)] + (random_below(2) ? 0.5 : 0);
		break;
	default:
		make_bytes(v);
	}
}

static void bind(sqlite3_stmt *statement, int index, const struct value *value)
{
	switch (value->class) {
	case VALUE_INTEGER:
		sqlite3_bind_int64(statement, index, value->integer);
		break;
	case VALUE_REAL:
		sqlite3_bind_double(statement, index, value->real);
		break;
	case VALUE_TEXT:
		sqlite3_bind_text(statement, index, (const char *)value->bytes,
				  (int)value->len, SQLITE_STATIC);
		break;
	case VALUE_BLOB:
		sqlite3_bind_blob(statement, index, value->bytes, (int)value->len,
				  SQLITE_STATIC);
		break;
	default:
		sqlite3_bind_null(statement, index);
	}
}

static int sign(int order)
{
	return (order > 0) - (order < 0);
}

/* SQLite's order of two values, NULL included, which is below all others. */
static sqlite3_stmt *prepare_order(sqlite3 *db, const char *collation)
{
	sqlite3_stmt *statement;
	char *sql = sqlite3_mprintf("select case when a is b collate %s then 0 when a "
				    "is null then -1 when b is "
				    "null then 1 when a < b collate %s then -1 else 1 "
				    "end from (select ?1 as a, "
				    "?2 as b)",
				    collation, collation);

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	sqlite3_free(sql);
	return statement;
}

/* SQLite compares a large integer with a real in 80 bits, valgrind has 64. */
static bool is_beyond_valgrind(const struct value *a, const struct value *b)
{
	const struct value *integer = a->class == VALUE_INTEGER ? a : b;
	const struct value *other = integer == a ? b : a;

	return getenv("ROWTAIL_TEST_WRAPPED") && integer->class == VALUE_INTEGER &&
	       other->class == VALUE_REAL &&
	       (integer->integer > (1LL << 53) || integer->integer < -(1LL << 53));
}

static void test_order_is_sqlites_own(void **state)
{
	static const char *const names[] = {"binary", "nocase", "rtrim"};
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	for (int c = 0; c < 3; c++) {
		struct key_order place = {.collation = (enum collation)c};
		struct table table = {.name = "t",
				      .without_rowid = true,
				      .encoding = TEXT_UTF8,
				      .tree_key_count = 1,
				      .tree_key = &place};
		sqlite3_stmt *statement = prepare_order(db, names[c]);
		int equal = 0;

		for (int i = 0; i < PAIRS; i++) {
			struct random_value a, b;
			int order;

			make_value(&a);
			make_value(&b);
			if (is_beyond_valgrind(&a.value, &b.value)) {
				continue;
			}
			bind(statement, 1, &a.value);
			bind(statement, 2, &b.value);
			assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
			order = sqlite3_column_int(statement, 0);
			sqlite3_reset(statement);
			place.is_descending = false;
			assert_int_equal(
			    sign(row_key_order(&table, &a.value, &b.value)), order);
			place.is_descending = true;
			assert_int_equal(
			    sign(row_key_order(&table, &a.value, &b.value)), -order);
			equal += order == 0;
		}
		assert_true(equal > 100);
		sqlite3_finalize(statement);
	}
	sqlite3_close(db);
}

static void test_the_first_place_that_differs_decides(void **state)
{
	struct key_order places[] = {{COLLATION_BINARY, false},
				     {COLLATION_BINARY, true}};
	struct table table = {.without_rowid = true,
			      .encoding = TEXT_UTF8,
			      .tree_key_count = 2,
			      .tree_key = places};
	struct value one_two[] = {{.class = VALUE_INTEGER, .integer = 1},
				  {.class = VALUE_INTEGER, .integer = 2}};
	struct value one_three[] = {{.class = VALUE_INTEGER, .integer = 1},
				    {.class = VALUE_INTEGER, .integer = 3}};
	struct value two_three[] = {{.class = VALUE_INTEGER, .integer = 2},
				    {.class = VALUE_INTEGER, .integer = 3}};

	(void)state;
	assert_true(row_key_order(&table, one_two, one_three) > 0);
	assert_true(row_key_order(&table, one_two, two_three) < 0);
	assert_int_equal(row_key_order(&table, one_two, one_two), 0);
}

/* ---- what the catalog says of keys ---- */

static void check_key(struct catalog_fixture *f, const char *name, const char *expected)
{
	static const char *const names[] = {"binary", "nocase", "rtrim", "other"};
	const struct table *table = fixture_table(f, name);
	char text[200] = "";

	for (uint32_t i = 0; i < table->tree_key_count; i++) {
		strcat(text, table->columns[table->stored[i]].name);
		strcat(text, " ");
		strcat(text, names[table->tree_key[i].collation]);
		strcat(text, table->tree_key[i].is_descending ? " desc, " : ", ");
	}
	assert_string_equal(text, expected);
}

static void test_the_catalog_knows_the_order_of_a_tree(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, "create table r(a primary key, b);"
			 "create table w(a text collate nocase, b, c, primary key(c "
			 "desc, a)) without rowid;"
			 "create table twice(a, b, primary key(a, b, a)) without rowid;"
			 "create table two(a text, b, primary key(a, b, a collate "
			 "NoCase desc)) without rowid;"
			 "create table i(a integer primary key desc) without rowid;"
			 "create table x(a text collate rtrim primary key, b) without "
			 "rowid; create unique index xb on x(b collate nocase)");
	fixture_read(&f, NULL);
	check_key(&f, "r", "");
	check_key(&f, "w", "c binary desc, a nocase, ");
	check_key(&f, "twice", "a binary, b binary, ");
	check_key(&f, "two", "a binary, b binary, a nocase desc, ");
	check_key(&f, "i", "a binary desc, ");
	check_key(&f, "x", "a rtrim, ");
	assert_true(row_key_order_is_known(fixture_table(&f, "two")));
	fixture_run(&f, "insert into w values('x', 2, 3), ('y', 3, 3)");
	fixture_run(&f, "insert into two values('x', 2), ('y', 3)");
	fixture_read(&f, NULL);
	check_key(&f, "w", "c binary desc, a nocase, ");
	(void)fixture_check_all(&f);
	fixture_close(&f);
}

static void test_orders_that_need_the_application_are_not_known(void **state)
{
	struct key_order places[] = {{COLLATION_BINARY, false},
				     {COLLATION_OTHER, false}};
	struct table table = {.without_rowid = true,
			      .encoding = TEXT_UTF8,
			      .tree_key_count = 2,
			      .tree_key = places};

	(void)state;
	assert_false(row_key_order_is_known(&table));
	places[1].collation = COLLATION_RTRIM;
	assert_true(row_key_order_is_known(&table));
	table.encoding = TEXT_UTF16BE;
	assert_false(row_key_order_is_known(&table));
	places[1].collation = COLLATION_BINARY;
	assert_true(row_key_order_is_known(&table));
	table.tree_key_count = 0;
	assert_false(row_key_order_is_known(&table));
	table.without_rowid = false;
	assert_true(row_key_order_is_known(&table));
}

/* ---- copies and text ---- */

static void set_record(struct row_key *key, const void *bytes, size_t len)
{
	row_key_clear(key);
	key->is_set = true;
	buffer_add(&key->record, bytes, len);
}

static void test_a_copy_is_its_own(void **state)
{
	struct row_key from, to;

	(void)state;
	row_key_init(&from);
	row_key_init(&to);
	set_record(&from, "\x02\x01\x05", 3);
	assert_true(row_key_copy(&to, &from));
	assert_true(row_key_copy(&to, &to));
	from.record.bytes[2] = 9;
	assert_true(to.is_set);
	assert_false(to.is_rowid);
	assert_int_equal(to.record.len, 3);
	assert_memory_equal(to.record.bytes, "\x02\x01\x05", 3);
	from = (struct row_key){
	    .is_set = true, .is_rowid = true, .rowid = -7, .record = from.record};
	assert_true(row_key_copy(&to, &from));
	assert_true(to.is_rowid);
	assert_int_equal(to.rowid, -7);
	row_key_clear(&from);
	assert_true(row_key_copy(&to, &from));
	assert_false(to.is_set);
	row_key_clear(&to);
}

static void check_text(const struct row_key *key, enum text_encoding encoding,
		       const char *expected)
{
	struct buffer text;

	buffer_init(&text);
	row_key_text(key, encoding, &text);
	assert_true(text.len <= ROW_KEY_TEXT_MAX);
	buffer_add_char(&text, '\0');
	assert_string_equal(text.bytes, expected);
	buffer_clear(&text);
}

static void test_keys_as_text(void **state)
{
	struct row_key key;

	(void)state;
	row_key_init(&key);
	check_text(&key, TEXT_UTF8, "[]");
	key.is_set = key.is_rowid = true;
	key.rowid = INT64_MIN;
	check_text(&key, TEXT_UTF8, "[-9223372036854775808]");
	set_record(&key,
		   "\x06\x0f\x01\x00\x10\x07"
		   "a\x02\xff\x00\x3f\xf8\0\0\0\0\0\0",
		   6 + 1 + 1 + 2 + 8);
	check_text(&key, TEXT_UTF8, "['a', 2, NULL, x'ff00', 1.5]");
	set_record(&key,
		   "\x02\x17"
		   "i'\0\x1b\xff",
		   7);
	check_text(&key, TEXT_UTF8,
		   "['i''?"
		   "?"
		   "?']");
	set_record(&key, "\x02\x11\x00\xe4", 4);
	check_text(&key, TEXT_UTF16BE, "['\xc3\xa4']");
	set_record(&key, "\x02\x11\xe4\x00", 4);
	check_text(&key, TEXT_UTF16LE, "['\xc3\xa4']");
	set_record(&key, "\x05\x01", 2);
	check_text(&key, TEXT_UTF8, "[?]");
	set_record(&key, "\x0a\x08\x08\x08\x08\x08\x08\x08\x08\x08", 10);
	check_text(&key, TEXT_UTF8, "[0, 0, 0, 0, 0, 0, 0, 0, \xe2\x80\xa6]");
	row_key_clear(&key);
}

static void test_the_text_of_a_long_key_is_short(void **state)
{
	struct row_key key;
	struct buffer text;

	(void)state;
	for (int encoding = TEXT_UTF8; encoding <= TEXT_UTF16BE; encoding++) {
		row_key_init(&key);
		key.is_set = true;
		buffer_init(&text);
		/* Eight texts of 5001 bytes, then a BLOB of 100. */
		buffer_add_char(&key.record, 26);
		for (int i = 0; i < 8; i++) {
			buffer_add(&key.record, "\x80\xce\x1f", 3);
		}
		buffer_add(&key.record, "\x0c", 1);
		for (int i = 0; i < 8 * 5001; i++) {
			buffer_add_char(&key.record, '\'');
		}
		row_key_text(&key, (enum text_encoding)encoding, &text);
		assert_true(buffer_ok(&text));
		assert_in_range(text.len, 300, ROW_KEY_TEXT_MAX);
		buffer_clear(&text);
		row_key_clear(&key);
	}
}

static int setup(void **state)
{
	const char *given = getenv("SEED");

	(void)state;
	chance = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
	print_message("SEED=%llu\n", (unsigned long long)chance);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order_is_sqlites_own),
	    cmocka_unit_test(test_the_first_place_that_differs_decides),
	    cmocka_unit_test(test_the_catalog_knows_the_order_of_a_tree),
	    cmocka_unit_test(test_orders_that_need_the_application_are_not_known),
	    cmocka_unit_test(test_a_copy_is_its_own),
	    cmocka_unit_test(test_keys_as_text),
	    cmocka_unit_test(test_the_text_of_a_long_key_is_short),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
