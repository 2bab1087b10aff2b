/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual generated columns that SQLite here cannot compute as the application would:
 * unknown functions and collations, errors in single rows, hostile definitions. What
 * can be computed is compared with SQLite in test_row.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "schemas/compute_child.h"
#include "schemas/compute_process.h"
#include "schemas/computed.h"
#include "tests/lib/catalog_fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* A row of one stored column `a`, and room for what is computed from it. */
struct computed_row {
	struct value values[8];
	struct buffer bytes;
};

static struct value integer(int64_t v)
{
	return (struct value){.class = VALUE_INTEGER, .integer = v};
}

static struct value text(const char *v)
{
	return (struct value){.class = VALUE_TEXT,
			      .len = (uint32_t)strlen(v),
			      .bytes = (const uint8_t *)v};
}

/* Give the database a table "t" of that definition, whether SQLite likes it or not. */
static void open_defined(struct catalog_fixture *f, const char *sql)
{
	fixture_open(f, "CREATE TABLE t(x)");
	fixture_run(f,
		    "PRAGMA writable_schema=ON;UPDATE sqlite_schema SET sql=%Q "
		    "WHERE name='t'",
		    sql);
	fixture_read(f, NULL);
}

static void fill(struct catalog_fixture *f, struct computed_row *row, struct value a)
{
	const struct table *t = fixture_table(f, "t");
	struct error err;

	assert_null(t->left_out);
	assert_non_null(t->computed);
	row->values[0] = a;
	assert_int_equal(computed_fill(t->computed, 1, row->values, &row->bytes, &err),
			 ST_OK);
}

static void check_text(const struct value *value, const char *wanted)
{
	assert_int_equal(value->class, VALUE_TEXT);
	assert_int_equal(value->len, strlen(wanted));
	assert_memory_equal(value->bytes, wanted, value->len);
}

/* ---- what is written to stderr while it lasts ---- */

struct caught {
	int saved;
	int pipe[2];
	char text[8000];
};

static void catch_start(struct caught *c)
{
	assert_int_equal(pipe(c->pipe), 0);
	c->saved = dup(2);
	assert_true(dup2(c->pipe[1], 2) >= 0);
}

/* Returns the number of lines. */
static int catch_end(struct caught *c)
{
	int lines = 0;
	ssize_t len;

	assert_true(dup2(c->saved, 2) >= 0);
	(void)close(c->saved);
	(void)close(c->pipe[1]);
	len = read(c->pipe[0], c->text, sizeof c->text - 1);
	(void)close(c->pipe[0]);
	c->text[len > 0 ? len : 0] = '\0';
	for (const char *p = c->text; *p; p++) {
		lines += *p == '\n';
	}
	return lines;
}

/* ---- tests ---- */

static void test_an_unknown_function_is_null_and_named_once(void **state)
{
	struct catalog_fixture f;
	struct computed_row row;
	struct caught caught;
	int lines;

	(void)state;
	open_defined(&f, "CREATE TABLE t(a,b AS (app_fn(a)),c AS (a+1),d AS (b))");
	buffer_init(&row.bytes);
	catch_start(&caught);
	for (int i = 0; i < 100; i++) {
		fill(&f, &row, integer(i));
	}
	lines = catch_end(&caught);
	assert_int_equal(row.values[1].class, VALUE_NULL);
	assert_int_equal(row.values[2].integer, 100);
	assert_int_equal(row.values[3].class, VALUE_NULL);
	assert_int_equal(lines, 2);
	assert_non_null(strstr(caught.text, "table \"t\""));
	assert_non_null(strstr(caught.text, "column \"b\""));
	assert_non_null(strstr(caught.text, "app_fn"));
	assert_non_null(strstr(caught.text, "column \"d\""));
	buffer_clear(&row.bytes);
	fixture_close(&f);
}

static void test_an_error_in_one_row_costs_its_column_alone(void **state)
{
	struct catalog_fixture f;
	struct computed_row row;
	struct caught caught;

	(void)state;
	open_defined(&f, "CREATE TABLE t(a,b AS (json_extract(a,'$.k')),"
			 "c AS (a||'!'),d AS (abs(a)))");
	buffer_init(&row.bytes);
	catch_start(&caught);
	fill(&f, &row, text("{\"k\":\"v\"}"));
	check_text(&row.values[1], "v");
	fill(&f, &row, text("no json"));
	assert_int_equal(row.values[1].class, VALUE_NULL);
	check_text(&row.values[2], "no json!");
	assert_int_equal(row.values[3].class, VALUE_REAL);
	fill(&f, &row, text("also none"));
	fill(&f, &row, integer(INT64_MIN)); /* abs overflows */
	assert_int_equal(row.values[3].class, VALUE_NULL);
	check_text(&row.values[2], "-9223372036854775808!");
	fill(&f, &row, text("{\"k\":\"w\"}"));
	check_text(&row.values[1], "w");
	assert_int_equal(catch_end(&caught), 2);
	buffer_clear(&row.bytes);
	fixture_close(&f);
}

/* The application may have functions of SQLite's names with more arguments. */
static void test_what_sqlite_does_not_take_is_null_with_a_warning(void **state)
{
	struct catalog_fixture f;
	struct computed_row row;
	struct caught caught;

	(void)state;
	open_defined(&f, "CREATE TABLE t(a,b AS (a+1),c AS (lower(a,a)))");
	buffer_init(&row.bytes);
	catch_start(&caught);
	fill(&f, &row, integer(1));
	fill(&f, &row, integer(2));
	assert_int_equal(catch_end(&caught), 1);
	assert_non_null(strstr(caught.text, "lower"));
	assert_int_equal(row.values[1].integer, 3);
	assert_int_equal(row.values[2].class, VALUE_NULL);
	buffer_clear(&row.bytes);
	fixture_close(&f);
}

static void test_constraints_and_affinities_do_not_touch_what_is_stored(void **state)
{
	struct catalog_fixture f;
	struct computed_row row;

	(void)state;
	open_defined(&f, "CREATE TABLE t(a TEXT NOT NULL UNIQUE CHECK(a<>'x')"
			 " REFERENCES nowhere(z),b AS (typeof(a)),c AS (a='x'))");
	buffer_init(&row.bytes);
	fill(&f, &row, integer(5));
	check_text(&row.values[1], "integer");
	fill(&f, &row, (struct value){.class = VALUE_NULL});
	check_text(&row.values[1], "null");
	fill(&f, &row, text("x"));
	assert_int_equal(row.values[2].integer, 1);
	fill(&f, &row, text("x"));
	assert_int_equal(row.values[2].integer, 1);
	buffer_clear(&row.bytes);
	fixture_close(&f);
}

static void test_unknown_collations_compare_bytes(void **state)
{
	struct catalog_fixture f;
	struct computed_row row;

	(void)state;
	open_defined(&f, "CREATE TABLE t(a COLLATE unheard_of,b AS (a='x'),"
			 "c AS (a<'a' COLLATE other))");
	buffer_init(&row.bytes);
	fill(&f, &row, text("X"));
	assert_int_equal(row.values[1].integer, 0);
	assert_int_equal(row.values[2].integer, 1);
	fill(&f, &row, text("x"));
	assert_int_equal(row.values[1].integer, 1);
	buffer_clear(&row.bytes);
	fixture_close(&f);
}

static void test_names_that_need_quoting(void **state)
{
	struct catalog_fixture f;
	struct error err;
	struct value values[3];
	struct buffer bytes;
	const struct table *t;

	(void)state;
	fixture_open(&f,
		     "CREATE TABLE \"a \"\"b\"\"; --\"(\"x'y\" TEXT,"
		     "[select] AS (upper(\"x'y\")),\"ROWID\" AS (length(\"x'y\")))");
	fixture_read(&f, NULL);
	t = fixture_table(&f, "a \"b\"; --");
	buffer_init(&bytes);
	values[0] = text("abc");
	assert_int_equal(computed_fill(t->computed, 1, values, &bytes, &err), ST_OK);
	check_text(&values[1], "ABC");
	assert_int_equal(values[2].integer, 3);
	buffer_clear(&bytes);
	fixture_close(&f);
}

static void test_huge_results_are_refused(void **state)
{
	struct catalog_fixture f;
	struct computed_row row;
	struct caught caught;

	(void)state;
	open_defined(&f, "CREATE TABLE t(a,b AS (zeroblob(a)),c AS (a))");
	buffer_init(&row.bytes);
	catch_start(&caught);
	fill(&f, &row, integer(900000000));
	assert_int_equal(catch_end(&caught), 1);
	assert_int_equal(row.values[1].class, VALUE_NULL);
	assert_int_equal(row.values[2].integer, 900000000);
	fill(&f, &row, integer(1000000));
	assert_int_equal(row.values[1].len, 1000000);
	buffer_clear(&row.bytes);
	fixture_close(&f);
}

/* A row larger than what any value may have still has its columns computed. */
static void test_large_rows_may_have_large_results(void **state)
{
	const uint32_t len = 70 << 20;
	struct catalog_fixture f;
	struct computed_row row;
	uint8_t *bytes = calloc(1, len);

	(void)state;
	assert_non_null(bytes);
	open_defined(&f, "CREATE TABLE t(a,b AS (length(a)),c AS (a))");
	buffer_init(&row.bytes);
	fill(&f, &row, (struct value){.class = VALUE_BLOB, .len = len, .bytes = bytes});
	assert_int_equal(row.values[1].integer, len);
	assert_int_equal(row.values[2].len, len);
	buffer_clear(&row.bytes);
	free(bytes);
	fixture_close(&f);
}

/* Bytes of the address space that are used. */
static size_t used_bytes(void)
{
	FILE *statm = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%lu", &pages), 1);
	(void)fclose(statm);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

enum { FILL_RIGHT, FILL_REFUSED, FILL_WRONG };

/* In a process of its own: fill a row with so many bytes more than are used now. */
static int fill_with(struct catalog_fixture *f, struct value a, size_t more)
{
	struct rlimit limit = {.rlim_cur = used_bytes() + more,
			       .rlim_max = RLIM_INFINITY};
	struct computed_row row = {.values = {a}};
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		struct error err;
		enum status st;

		buffer_init(&row.bytes);
		(void)close(2); /* what it says of it */
		(void)setrlimit(RLIMIT_AS, &limit);
		st = computed_fill(fixture_table(f, "t")->computed, 1, row.values,
				   &row.bytes, &err);
		_exit(st != ST_OK ? FILL_REFUSED
		      : row.values[1].class == VALUE_TEXT && row.values[1].len == a.len
			  ? FILL_RIGHT
			  : FILL_WRONG);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Memory that this process, or the one that computes, cannot have is no reason for a
 * value to be NULL: somebody would take that for what the row has. */
static void test_memory_that_is_not_to_be_had_is_no_reason_for_null(void **state)
{
	enum { LEN = 3 << 20, STEP = 1 << 20, STEPS = 48 };
	struct catalog_fixture f;
	char *bytes;
	struct value a = {.class = VALUE_TEXT, .len = LEN};
	int counts[3] = {0, 0, 0};

	(void)state;
	if (getenv("ROWTAIL_TEST_WRAPPED") || SANITIZED) {
		skip(); /* they need more than these limits */
	}
	bytes = malloc(LEN);
	assert_non_null(bytes);
	memset(bytes, 'b', LEN);
	a.bytes = (const uint8_t *)bytes;
	open_defined(&f, "CREATE TABLE t(a,v AS (upper(a)))");
	for (int i = 0; i < STEPS; i++) {
		counts[fill_with(&f, a, (size_t)i * STEP)]++;
	}
	assert_int_equal(counts[FILL_WRONG], 0);
	assert_true(counts[FILL_REFUSED] > 0 && counts[FILL_RIGHT] > 0);
	free(bytes);
	fixture_close(&f);
}

/* Neither a function that is quadratic nor columns that name each other hold anything
 * up: the others of the row, and the next rows, have their values. */
static void test_a_column_that_takes_for_ever_is_null_and_told_once(void **state)
{
	static const char *const slow[] = {
	    "instr(zeroblob(8000000),zeroblob(4000000)||x'01')",
	    "replace(hex(zeroblob(4000000)),hex(zeroblob(2000000))||'1','')",
	    "hex(zeroblob(4000000)) LIKE replace(hex(zeroblob(20000)),'0','%0')||'1'",
	    "trim(hex(zeroblob(4000000)),printf('%.*c',4000000,'x')||'0')",
	};
	struct catalog_fixture f;
	struct computed_row row;
	struct caught caught;

	(void)state;
	for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
		char sql[300];

		(void)snprintf(sql, sizeof sql,
			       "CREATE TABLE t(a,b AS (%s),c AS (upper(a)))", slow[i]);
		open_defined(&f, sql);
		buffer_init(&row.bytes);
		catch_start(&caught);
		for (int k = 0; k < 3; k++) {
			fill(&f, &row, text("x"));
			assert_int_equal(row.values[1].class, VALUE_NULL);
			check_text(&row.values[2], "X");
		}
		assert_int_equal(catch_end(&caught), 1);
		assert_non_null(strstr(caught.text, "\"b\""));
		buffer_clear(&row.bytes);
		fixture_close(&f);
	}
}

static void test_columns_that_double_each_other_end(void **state)
{
	char sql[2000] = "CREATE TABLE t(a,g0 AS (a||a)";
	struct catalog_fixture f;
	struct value values[64];
	struct buffer bytes;
	struct caught caught;
	struct error err;

	(void)state;
	for (int i = 1; i < 60; i++) {
		(void)snprintf(sql + strlen(sql), sizeof sql - strlen(sql),
			       ",g%d AS (g%d||g%d)", i, i - 1, i - 1);
	}
	strcat(sql, ")");
	open_defined(&f, sql);
	buffer_init(&bytes);
	catch_start(&caught);
	for (int k = 0; k < 2; k++) {
		values[0] = text("x");
		assert_int_equal(computed_fill(fixture_table(&f, "t")->computed, 1,
					       values, &bytes, &err),
				 ST_OK);
		assert_int_equal(values[60].class, VALUE_NULL);
	}
	assert_in_range(catch_end(&caught), 1, 11);
	buffer_clear(&bytes);
	fixture_close(&f);
}

static void test_all_that_is_computed_of_a_row_has_a_limit(void **state)
{
	static char sql[100000] = "CREATE TABLE t(a";
	struct catalog_fixture f;
	static struct value values[1991];
	struct buffer bytes;
	struct caught caught;
	struct error err;

	(void)state;
	for (int i = 0; i < 1990; i++) {
		(void)snprintf(sql + strlen(sql), 50, ",c%d AS (zeroblob(1000000))", i);
	}
	strcat(sql, ")");
	open_defined(&f, sql);
	buffer_init(&bytes);
	catch_start(&caught);
	values[0] = text("x");
	assert_int_equal(
	    computed_fill(fixture_table(&f, "t")->computed, 1, values, &bytes, &err),
	    ST_OK);
	assert_int_equal(values[1].len, 1000000);
	assert_int_equal(values[1990].class, VALUE_NULL);
	assert_true(bytes.len < 32 << 20);
	assert_int_equal(catch_end(&caught), 1);
	buffer_clear(&bytes);
	fixture_close(&f);
}

/* Each is a definition of "t" that must neither be executed nor do any harm. */
static void test_hostile_definitions(void **state)
{
	static const char *const definitions[] = {
	    "CREATE TABLE t(a,b AS (a)); ATTACH '/tmp/rowtail-evil' AS e; DROP TABLE t",
	    "CREATE TABLE t(a,b AS (load_extension('x')))",
	    "CREATE TABLE t(a,b AS (writefile('/tmp/rowtail-evil',a)))",
	    "CREATE TABLE t(a,b AS (fts3_tokenizer('x',a)))",
	    "CREATE TABLE t(a,b AS ((SELECT count(*) FROM t)))",
	    "CREATE TABLE t(a,b AS (b))",
	    "CREATE TABLE t(a,b AS (c),c AS (b))",
	    "CREATE TABLE t(a,b AS (count(a)))",
	    "CREATE TABLE t(a,b AS (?1))",
	    "CREATE TABLE t(a,b AS (RAISE(ABORT,'x')))",
	    "CREATE TABLE t(a,b AS (printf('%.*c',a,'x')))",
	    "CREATE TABLE t(a,b AS (hex(hex(hex(hex(zeroblob(60000000)))))))",
	    "CREATE TABLE other(a,b AS (a))",
	    "CREATE TABLE t AS SELECT 1 AS a",
	    "CREATE VIEW t AS WITH RECURSIVE n AS (SELECT 1 UNION ALL SELECT * FROM n)",
	    "CREATE TABLE sqlite_schema(a,b AS (a))",
	    "CREATE VIRTUAL TABLE t USING fts5(a)",
	    "CREATE TABLE t(a PRIMARY KEY,b AS (a)) WITHOUT ROWID",
	    "CREATE TEMP TABLE t(a,b AS (a))",
	    "CREATE TABLE other.t(a,b AS (a))",
	    "CREATE TABLE t(a,b AS (a)",
	    "CREATE TABLE t(a,b AS ('",
	    "CREATE",
	    "",
	};
	struct catalog_fixture f;
	struct computed_row row;
	struct caught caught;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof definitions / sizeof definitions[0]; i++) {
		const struct table *t;

		buffer_init(&row.bytes);
		catch_start(&caught);
		open_defined(&f, definitions[i]);
		t = fixture_table(&f, "t");
		if (t->computed) {
			assert_true(t->column_count <= 3);
			row.values[0] = integer(1000000000);
			assert_int_equal(
			    computed_fill(t->computed, 1, row.values, &row.bytes, &err),
			    ST_OK);
		}
		(void)catch_end(&caught);
		buffer_clear(&row.bytes);
		fixture_close(&f);
	}
	assert_int_not_equal(access("/tmp/rowtail-evil", F_OK), 0);
}

/* A start that fails has its cost, or rows would not pay for it. */
static void test_what_a_process_used_is_known_after_its_end(void **state)
{
	const struct compute_budget budget = {
	    .cpu_ns = 10000000000, .length = 1000000, .answer = 0, .memory = 100000000};
	const bool is_off[1] = {false};
	struct compute_process *process;
	struct catalog_fixture f;
	enum computation result;
	struct error complaint;
	struct caught caught;

	(void)state;
	catch_start(&caught);
	open_defined(&f, "CREATE TABLE t(a,b AS (lower(a,a)))");
	(void)catch_end(&caught);
	/* What it says of lower is more than it may. */
	process = compute_process_open(fixture_table(&f, "t"), is_off, &budget, &result,
				       &complaint);
	assert_non_null(process);
	assert_int_equal(result, COMPUTING_ENDED);
	assert_true(compute_process_cpu_ns(process) > 0);
	compute_process_close(process);
	fixture_close(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_unknown_function_is_null_and_named_once),
	    cmocka_unit_test(test_an_error_in_one_row_costs_its_column_alone),
	    cmocka_unit_test(test_what_sqlite_does_not_take_is_null_with_a_warning),
	    cmocka_unit_test(
		test_constraints_and_affinities_do_not_touch_what_is_stored),
	    cmocka_unit_test(test_unknown_collations_compare_bytes),
	    cmocka_unit_test(test_names_that_need_quoting),
	    cmocka_unit_test(test_huge_results_are_refused),
	    cmocka_unit_test(test_large_rows_may_have_large_results),
	    cmocka_unit_test(test_memory_that_is_not_to_be_had_is_no_reason_for_null),
	    cmocka_unit_test(test_a_column_that_takes_for_ever_is_null_and_told_once),
	    cmocka_unit_test(test_columns_that_double_each_other_end),
	    cmocka_unit_test(test_all_that_is_computed_of_a_row_has_a_limit),
	    cmocka_unit_test(test_hostile_definitions),
	    cmocka_unit_test(test_what_a_process_used_is_known_after_its_end),
	};

	if (compute_child_is(argc, argv)) {
		return compute_child_run();
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
