/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "btree/tree_walk.h"
#include "src/decode/chunk.h"
#include "tests/lib/catalog_fixture.h"

#define ROUNDS   60
#define ROWS_MAX 4000 /* numbers of rows that a test hands out, at most */

/* ---- what chance gives ---- */

static uint64_t chance;

static uint32_t random_below(uint32_t limit)
{
	chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(chance >> 33) % limit;
}

static void seed(void)
{
	const char *given = getenv("SEED");

	chance = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
	print_message("SEED=%llu\n", (unsigned long long)chance);
}

/* ---- a table ---- */

/* Its column n numbers the rows, in no order. */
struct random_table {
	struct catalog_fixture f;
	char definition[500];
	char order[400]; /* of its tree, as ORDER BY */
	int keys;        /* columns k0, k1, …; 0: a rowid table */
	int next_n;
	int max_len; /* of texts and BLOBs */
};

static const char *pick(const char *const *list, uint32_t count)
{
	return list[random_below(count)];
}

static void make_key(struct random_table *t, char *columns, char *key)
{
	static const char *const types[] = {"", "text", "integer", "real", "blob"};
	static const char *const collations[] = {"", "", " collate nocase",
						 " collate rtrim"};
	static const char *const directions[] = {"", " desc"};

	columns[0] = key[0] = t->order[0] = '\0';
	t->keys = 1 + (int)random_below(3);
	for (int i = 0; i < t->keys; i++) {
		(void)sprintf(columns + strlen(columns), "k%d %s, ", i, pick(types, 5));
	}
	for (int i = 0; i < t->keys; i++) {
		char one[80];

		/* k2, k0, k1: not the order of the columns. */
		/* An INTEGER PRIMARY KEY is by the collation of its column, whatever
		 * the key says. */
		(void)sprintf(one, "%sk%d%s%s", i > 0 ? ", " : "", (i + 2) % t->keys,
			      t->keys == 1 && strstr(columns, "integer")
				  ? ""
				  : pick(collations, 4),
			      pick(directions, 2));
		strcat(key, one);
		strcat(t->order, one);
	}
}

static void open_table(struct random_table *t, int page_size)
{
	char columns[200], key[200];

	memset(t, 0, sizeof *t);
	t->max_len = random_below(3) == 0 ? 1500 : 6;
	switch (random_below(4)) {
	case 0:
		strcpy(t->definition, "create table t(v, n)");
		strcpy(t->order, "rowid");
		break;
	case 1:
		strcpy(t->definition, "create table t(v, id integer primary key, n)");
		strcpy(t->order, "rowid");
		break;
	default:
		make_key(t, columns, key);
		(void)sprintf(t->definition,
			      "create table t(v, %sn, primary key(%s)) without rowid",
			      columns, key);
	}
	fixture_open(&t->f, NULL);
	fixture_run(&t->f, "pragma page_size = %d", page_size);
	fixture_run(&t->f, "%s", t->definition);
	fixture_read(&t->f, NULL);
}

static void bind_bytes(sqlite3_stmt *insert, int index, int max_len, bool is_text)
{
	/* A NUL ends what NOCASE looks at; € is more than a byte. */
	static const char *const letters[] = {"a", "A", "b", "B",  "z",           " ",
					      " ", "[", "_", "\0", "\xe2\x82\xac"};
	char bytes[1600 + 4];
	int len = 0;
	int want = (int)random_below((uint32_t)max_len + 1);
	/* Long ones differ at their ends. */
	bool is_long = want > 20;

	while (len < want) {
		uint32_t i = is_long && len < want - 6 ? 0 : random_below(11);
		int size = i == 10 ? 3 : 1;

		memcpy(bytes + len, letters[i], (size_t)size);
		len += size;
	}
	if (is_text) {
		sqlite3_bind_text(insert, index, bytes, len, SQLITE_TRANSIENT);
	} else {
		sqlite3_bind_blob(insert, index, bytes, len, SQLITE_TRANSIENT);
	}
}

static void bind_random(sqlite3_stmt *insert, int index, int max_len)
{
	static const int64_t integers[] = {
	    INT64_MIN,        INT64_MAX,    0, 1, -1, 1LL << 53, (1LL << 53) + 1,
	    -(1LL << 53) - 1, INT64_MAX - 1};
	static const double reals[] = {0.5,
				       -0.0,
				       9007199254740992.0,
				       9007199254740994.0,
				       9.3e18,
				       -9.3e18,
				       1e300,
				       -1e300,
				       1.0,
				       9223372036854775807.0};

	/* SQLite compares the large ones with reals in 80 bits, valgrind has 64. */
	uint32_t first = getenv("ROWTAIL_TEST_WRAPPED") ? 2 : 0;
	uint32_t count = getenv("ROWTAIL_TEST_WRAPPED") ? 3 : 9;

	switch (random_below(6)) {
	case 0:
		sqlite3_bind_int64(insert, index,
				   integers[first + random_below(count)]);
		break;
	case 1:
		sqlite3_bind_int64(insert, index, (int64_t)random_below(2000) - 1000);
		break;
	case 2:
		sqlite3_bind_double(insert, index, reals[random_below(10)]);
		break;
	case 3:
		sqlite3_bind_double(insert, index, (double)random_below(2000) / 8);
		break;
	default:
		bind_bytes(insert, index, max_len, random_below(3) != 0);
	}
}

static int64_t random_rowid(void)
{
	int64_t any = (int64_t)((uint64_t)random_below(1u << 31) << 33 |
				(uint64_t)random_below(1u << 31) << 2);

	switch (random_below(5)) {
	case 0:
		return random_below(2) ? INT64_MIN : INT64_MAX;
	case 1:
		return any;
	default:
		return (int64_t)random_below(3000) - 1500;
	}
}

/* Rows with keys that are there already are left out. */
static void insert_rows(struct random_table *t, int count)
{
	sqlite3_stmt *insert;
	char sql[200] = "insert or ignore into t(v, n, ";

	strcat(sql, t->keys == 0   ? "rowid) values(?, ?, ?)"
		    : t->keys == 1 ? "k0) values(?, ?, ?)"
		    : t->keys == 2 ? "k0, k1) values(?, ?, ?, ?)"
				   : "k0, k1, k2) values(?, ?, ?, ?, ?)");
	assert_int_equal(sqlite3_prepare_v2(t->f.db, sql, -1, &insert, NULL),
			 SQLITE_OK);
	fixture_run(&t->f, "begin");
	for (int i = 0; i < count && t->next_n < ROWS_MAX; i++) {
		bind_random(insert, 1, 60);
		sqlite3_bind_int(insert, 2, t->next_n++);
		if (t->keys == 0) {
			sqlite3_bind_int64(insert, 3, random_rowid());
		}
		for (int k = 0; k < t->keys; k++) {
			bind_random(insert, 3 + k, t->max_len);
		}
		assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
		sqlite3_reset(insert);
	}
	fixture_run(&t->f, "commit");
	sqlite3_finalize(insert);
}

/* ---- what a chunk gives ---- */

struct got {
	int n[2 * ROWS_MAX];
	int count;
	int column;  /* n */
	int stop_at; /* with ST_STOPPED, before that many; 0: never */
};

static enum status take_row(void *context, const struct change *change,
			    struct error *err)
{
	struct got *got = context;

	assert_int_equal(change->op, CHANGE_READ);
	assert_int_equal(change->snapshot, SNAPSHOT_INCREMENTAL);
	assert_null(change->before);
	if (got->stop_at > 0 && got->count + 1 == got->stop_at) {
		return error_set(err, ST_STOPPED, "enough");
	}
	assert_true(got->count < 2 * ROWS_MAX);
	assert_int_equal(change->after[got->column].class, VALUE_INTEGER);
	got->n[got->count++] = (int)change->after[got->column].integer;
	return ST_OK;
}

static int column_of_n(const struct table *table)
{
	uint32_t i = 0;

	while (strcmp(table->columns[i].name, "n") != 0) {
		i++;
	}
	return (int)i;
}

/* One chunk behind told->last. */
static enum status read_chunk(struct catalog_fixture *f, const struct row_key *until,
			      size_t most_rows, const char *where,
			      struct chunk_told *told, struct got *got,
			      struct error *err)
{
	const struct table *table = fixture_table(f, "t");
	struct chunk_ask ask = {.table = table,
				.after = &told->last,
				.until = until,
				.most_rows = most_rows,
				.where = where,
				.change = take_row,
				.context = got};
	int before = got->count;
	enum status status;

	got->column = column_of_n(table);
	err->text[0] = '\0';
	status = chunk_read(memory_source_pages(f->source), &ask, told, err);
	assert_int_equal(memory_source_pins(f->source), 0);
	assert_int_equal(told->given, got->count - before);
	assert_true(told->given <= told->looked_at);
	if (chunk_is_possible(table)) {
		assert_true(told->looked_at <= most_rows);
	}
	return status;
}

static void must(enum status status, const struct error *err)
{
	if (status != ST_OK) {
		print_error("%s: %s\n", status_text(status), err->text);
		fail();
	}
}

static void last_key(struct catalog_fixture *f, struct row_key *out)
{
	struct error err;

	must(chunk_last_key(memory_source_pages(f->source), fixture_table(f, "t"), out,
			    &err),
	     &err);
	assert_int_equal(memory_source_pins(f->source), 0);
}

/* From the first row up to the last one that is there now. */
static void begin_reading(struct catalog_fixture *f, struct chunk_told *told,
			  struct row_key *until)
{
	*told = (struct chunk_told){.is_done = false};
	row_key_init(&told->last);
	row_key_init(until);
	last_key(f, until);
}

static void end_reading(struct chunk_told *told, struct row_key *until)
{
	row_key_clear(&told->last);
	row_key_clear(until);
}

/* All chunks of what is there. */
static void read_all(struct catalog_fixture *f, size_t most_rows, const char *where,
		     struct got *got)
{
	struct chunk_told told;
	struct row_key until;
	struct error err;

	got->count = 0;
	begin_reading(f, &told, &until);
	while (!told.is_done) {
		must(read_chunk(f, &until, most_rows, where, &told, got, &err), &err);
		assert_true(told.is_done || told.looked_at == most_rows);
	}
	row_key_clear(&told.last);
	row_key_clear(&until);
}

/* What SQLite selects of n. */
static void select_n(struct catalog_fixture *f, const char *sql, struct got *out)
{
	sqlite3_stmt *select;

	out->count = 0;
	if (sqlite3_prepare_v2(f->db, sql, -1, &select, NULL) != SQLITE_OK) {
		print_error("%s: %s\n", sql, sqlite3_errmsg(f->db));
		fail();
	}
	while (sqlite3_step(select) == SQLITE_ROW) {
		out->n[out->count++] = sqlite3_column_int(select, 0);
	}
	sqlite3_finalize(select);
}

static void check_same(const struct got *got, const struct got *wanted, int count,
		       const char *what)
{
	assert_true(count <= wanted->count);
	for (int i = 0; i < got->count || i < count; i++) {
		if (i >= got->count || i >= count || got->n[i] != wanted->n[i]) {
			print_error("%s: row %d of %d: %d instead of %d\n", what, i,
				    count, i < got->count ? got->n[i] : -1,
				    i < count ? wanted->n[i] : -1);
			fail();
		}
	}
}

static void select_ordered(struct random_table *t, struct got *out)
{
	char sql[600];

	(void)sprintf(sql, "select n from t order by %s", t->order);
	select_n(&t->f, sql, out);
}

/* ---- tests ---- */

static struct got got, wanted;

static void test_chunks_of_any_size_are_the_table(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct random_table t;
		size_t most_rows;

		open_table(&t, random_below(2) ? 512 : 4096);
		insert_rows(&t, (int)random_below(round < 10 ? 5 : 1200));
		fixture_read(&t.f, NULL);
		(void)fixture_check_rows(&t.f, "t");
		select_ordered(&t, &wanted);
		for (int i = 0; i < 3; i++) {
			most_rows =
			    1 + random_below(i < 1 ? 3 : (uint32_t)wanted.count + 3);
			read_all(&t.f, most_rows, NULL, &got);
			check_same(&got, &wanted, wanted.count, t.definition);
		}
		fixture_close(&t.f);
	}
}

static void test_nothing_is_given_behind_the_last_key_asked_for(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS / 2; round++) {
		struct chunk_told told;
		struct row_key until;
		struct random_table t;
		struct error err;
		int most;

		open_table(&t, 512);
		insert_rows(&t, 600);
		fixture_read(&t.f, NULL);
		select_ordered(&t, &wanted);
		begin_reading(&t.f, &told, &until);
		most = 1 + (int)random_below((uint32_t)wanted.count);
		got.count = 0;
		must(read_chunk(&t.f, &until, (size_t)most, NULL, &told, &got, &err),
		     &err);
		check_same(&got, &wanted, most, t.definition);
		assert_true(row_key_copy(&until, &told.last));
		row_key_clear(&told.last);
		got.count = 0;
		must(read_chunk(&t.f, &until, 10000, NULL, &told, &got, &err), &err);
		assert_true(told.is_done);
		check_same(&got, &wanted, most, t.definition);
		/* The row itself is gone: no other one is the last. */
		if (most < wanted.count) {
			fixture_run(&t.f, "delete from t where n = %d",
				    wanted.n[most - 1]);
			fixture_read(&t.f, NULL);
			row_key_clear(&told.last);
			got.count = 0;
			must(read_chunk(&t.f, &until, 10000, NULL, &told, &got, &err),
			     &err);
			assert_true(told.is_done);
			check_same(&got, &wanted, most - 1, t.definition);
		}
		end_reading(&told, &until);
		fixture_close(&t.f);
	}
}

/* Which rows were there at every moment so far. */
static void mark_present(struct random_table *t, bool *always, bool is_first)
{
	static bool now[ROWS_MAX];

	memset(now, 0, sizeof now);
	select_n(&t->f, "select n from t", &wanted);
	for (int i = 0; i < wanted.count; i++) {
		now[wanted.n[i]] = true;
	}
	for (int n = 0; n < ROWS_MAX; n++) {
		always[n] = now[n] && (is_first || always[n]);
	}
}

static void change_table(struct random_table *t)
{
	insert_rows(t, (int)random_below(120));
	fixture_run(&t->f, "delete from t where n %% 23 = %d", (int)random_below(23));
	fixture_run(&t->f, "update t set v = zeroblob(%d) where n %% 17 = %d",
		    (int)random_below(700), (int)random_below(17));
	/* It may give rowids anew where nobody has named them. */
	if (random_below(8) == 0 &&
	    strcmp(t->definition, "create table t(v, n)") != 0) {
		fixture_run(&t->f, "vacuum");
	}
	fixture_read(&t->f, NULL);
}

static void check_once(const struct got *rows, const bool *always, const char *what)
{
	static int times[ROWS_MAX];

	memset(times, 0, sizeof times);
	for (int i = 0; i < rows->count; i++) {
		times[rows->n[i]]++;
	}
	for (int n = 0; n < ROWS_MAX; n++) {
		if (times[n] > 1 || (always[n] && times[n] != 1)) {
			print_error("%s: row %d came %d times\n", what, n, times[n]);
			fail();
		}
	}
}

static void test_a_row_that_is_there_all_the_time_comes_once(void **state)
{
	static bool always[ROWS_MAX];

	(void)state;
	for (int round = 0; round < ROUNDS / 2; round++) {
		struct chunk_told told;
		struct row_key until;
		struct random_table t;
		struct error err;

		open_table(&t, 512);
		insert_rows(&t, 800);
		fixture_read(&t.f, NULL);
		mark_present(&t, always, true);
		begin_reading(&t.f, &told, &until);
		got.count = 0;
		while (!told.is_done) {
			must(read_chunk(&t.f, &until, 1 + random_below(60), NULL, &told,
					&got, &err),
			     &err);
			if (!told.is_done) {
				change_table(&t);
				mark_present(&t, always, false);
			}
		}
		check_once(&got, always, t.definition);
		end_reading(&told, &until);
		fixture_close(&t.f);
	}
}

static void test_a_chunk_reads_no_page_that_lies_before_or_behind_it(void **state)
{
	static const char *const tables[] = {
	    "create table t(n integer primary key, v)",
	    "create table t(n primary key, v) without rowid"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct chunk_told told;
		struct catalog_fixture f;
		struct row_key until;
		struct error err;
		unsigned height;
		uint64_t gets;

		fixture_open(&f, "pragma page_size = 512");
		fixture_run(&f, "%s", tables[i]);
		fixture_run(&f, "with recursive c(i) as (select 0 union all select "
				"i + 1 from c where i < 3999) insert into t select i, "
				"zeroblob(80) from c");
		fixture_read(&f, NULL);
		must(tree_height(memory_source_pages(f.source),
				 fixture_table(&f, "t")->root_page, &height, &err),
		     &err);
		assert_true(height >= 2);
		begin_reading(&f, &told, &until);
		got.count = 0;
		must(read_chunk(&f, &until, 3000, NULL, &told, &got, &err), &err);
		gets = memory_source_gets(f.source);
		must(read_chunk(&f, &until, 2, NULL, &told, &got, &err), &err);
		assert_int_equal(got.n[3001], 3001);
		/* The height is looked for, then the row, then there may be one more
		 * way down to the next one. */
		assert_true(memory_source_gets(f.source) - gets <= 4 * height + 4);
		/* Nor one behind the last key asked for. */
		assert_true(row_key_copy(&until, &told.last));
		gets = memory_source_gets(f.source);
		must(read_chunk(&f, &until, 9999, NULL, &told, &got, &err), &err);
		assert_true(told.is_done);
		assert_true(memory_source_gets(f.source) - gets <= 4 * height + 4);
		gets = memory_source_gets(f.source);
		last_key(&f, &until);
		assert_int_equal(memory_source_gets(f.source) - gets, height + 1);
		end_reading(&told, &until);
		fixture_close(&f);
	}
}

static void test_long_rows_end_a_chunk_early_and_at_the_same_one_each_time(void **state)
{
	static const char *const tables[] = {
	    "create table t(n integer primary key, v)",
	    "create table t(n primary key, v) without rowid"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct chunk_told told;
		struct catalog_fixture f;
		struct row_key until;
		struct error err;

		fixture_open(&f, tables[i]);
		fixture_run(&f, "with recursive c(i) as (select 0 union all select "
				"i + 1 from c where i < 7) insert into t select i, "
				"zeroblob(400000) from c");
		fixture_read(&f, NULL);
		begin_reading(&f, &told, &until);
		for (int again = 0; again < 2; again++) {
			told.last.is_set = false;
			got.count = 0;
			for (size_t want = 3; want < 8; want += 3) {
				must(read_chunk(&f, &until, 100, NULL, &told, &got,
						&err),
				     &err);
				assert_int_equal(got.count, want);
				assert_false(told.is_done);
			}
			must(read_chunk(&f, &until, 100, NULL, &told, &got, &err),
			     &err);
			assert_true(told.is_done);
			assert_int_equal(got.count, 8);
			assert_int_equal(got.n[7], 7);
		}
		/* What is not given is not read, as far as it lies elsewhere. */
		told.last.is_set = false;
		must(read_chunk(&f, &until, 100, "n = 7", &told, &got, &err), &err);
		assert_int_equal(told.looked_at, 8);
		assert_int_equal(told.given, 1);
		end_reading(&told, &until);
		fixture_close(&f);
	}
}

static void test_an_empty_table_gives_nothing(void **state)
{
	static const char *const tables[] = {"create table t(n)",
					     "create table t(n primary key) without "
					     "rowid"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct chunk_told told;
		struct catalog_fixture f;
		struct row_key until;
		struct error err;

		fixture_open(&f, tables[i]);
		fixture_read(&f, NULL);
		begin_reading(&f, &told, &until);
		assert_false(until.is_set);
		/* Rows that come later are events. */
		fixture_run(&f, "insert into t values(1)");
		fixture_read(&f, NULL);
		got.count = 0;
		must(read_chunk(&f, &until, 5, NULL, &told, &got, &err), &err);
		assert_int_equal(got.count, 0);
		assert_true(told.is_done);
		assert_false(told.last.is_set);
		/* All rows gone in between. */
		last_key(&f, &until);
		assert_true(until.is_set);
		fixture_run(&f, "delete from t");
		fixture_read(&f, NULL);
		must(read_chunk(&f, &until, 5, NULL, &told, &got, &err), &err);
		assert_int_equal(got.count, 0);
		assert_true(told.is_done);
		row_key_clear(&until);
		fixture_close(&f);
	}
}

static void test_who_takes_the_rows_may_end_it_and_nothing_is_lost(void **state)
{
	(void)state;
	for (int round = 0; round < 10; round++) {
		struct chunk_told told;
		struct row_key until;
		struct random_table t;
		struct error err;

		open_table(&t, 512);
		insert_rows(&t, 300);
		fixture_read(&t.f, NULL);
		select_ordered(&t, &wanted);
		begin_reading(&t.f, &told, &until);
		got.count = 0;
		got.stop_at = 1;
		assert_int_equal(
		    read_chunk(&t.f, &until, 9999, NULL, &told, &got, &err),
		    ST_STOPPED);
		assert_string_equal(err.text, "enough");
		assert_false(told.last.is_set);
		got.stop_at = 1 + wanted.count / 2;
		assert_int_equal(
		    read_chunk(&t.f, &until, 9999, NULL, &told, &got, &err),
		    ST_STOPPED);
		assert_int_equal(told.looked_at, wanted.count / 2);
		assert_false(told.is_done);
		got.stop_at = 0;
		must(read_chunk(&t.f, &until, 9999, NULL, &told, &got, &err), &err);
		check_same(&got, &wanted, wanted.count, t.definition);
		end_reading(&told, &until);
		fixture_close(&t.f);
	}
}

static void test_rows_that_do_not_fulfil_the_condition_count_as_looked_at(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS / 2; round++) {
		struct random_table t;
		char sql[700];

		open_table(&t, 512);
		insert_rows(&t, 400);
		fixture_run(&t.f, "create table o(x); insert into o select n from t "
				  "where n %% 3 = 0");
		fixture_read(&t.f, NULL);
		(void)sprintf(sql,
			      "select n from t where n in (select x from o) or v = "
			      "1 order by %s",
			      t.order);
		select_n(&t.f, sql, &wanted);
		read_all(&t.f, 1 + random_below(50),
			 "n in (select x from o) or v = 1 -- why", &got);
		check_same(&got, &wanted, wanted.count, t.definition);
		fixture_close(&t.f);
	}
}

static void test_a_wrong_condition_gives_no_row(void **state)
{
	struct chunk_told told;
	struct catalog_fixture f;
	struct row_key until;
	struct error err;

	(void)state;
	fixture_open(&f, "create table t(n); insert into t values(1)");
	fixture_read(&f, NULL);
	begin_reading(&f, &told, &until);
	got.count = 0;
	assert_int_equal(read_chunk(&f, &until, 5, "m = 1", &told, &got, &err),
			 ST_CONFIG);
	assert_non_null(strstr(err.text, "no such column: m"));
	assert_false(told.last.is_set);
	assert_int_equal(got.count, 0);
	fixture_close(&f);
}

/* ---- orders that we do not know ---- */

static int compare_backwards(void *context, int a_len, const void *a, int b_len,
			     const void *b)
{
	int order = memcmp(b, a, (size_t)(a_len < b_len ? a_len : b_len));

	(void)context;
	return order ? order : b_len - a_len;
}

static void fill_texts(struct catalog_fixture *f, const char *table)
{
	fixture_run(f, "%s", table);
	fixture_run(f, "with recursive c(i) as (select 100 union all select i + 1 from "
		       "c where i < 600) insert into t select printf('A%%d', i), i "
		       "from c");
	fixture_read(f, NULL);
}

static void check_whole(struct catalog_fixture *f)
{
	struct chunk_told told;
	struct row_key until;
	struct error err;

	begin_reading(f, &told, &until);
	assert_false(chunk_is_possible(fixture_table(f, "t")));
	got.count = 0;
	got.stop_at = 100;
	assert_int_equal(read_chunk(f, &until, 7, NULL, &told, &got, &err), ST_STOPPED);
	assert_false(told.last.is_set);
	got.stop_at = 0;
	got.count = 0;
	must(read_chunk(f, &until, 7, NULL, &told, &got, &err), &err);
	assert_true(told.is_done);
	assert_true(told.last.is_set);
	assert_int_equal(got.count, 501);
	assert_int_equal(read_chunk(f, &until, 7, NULL, &told, &got, &err), ST_LOST);
	assert_int_equal(got.count, 501);
	row_key_clear(&told.last);
	row_key_clear(&until);
}

static void test_a_table_in_an_order_of_the_applications_is_read_whole(void **state)
{
	struct catalog_fixture f;

	(void)state;
	fixture_open(&f, "pragma page_size = 512");
	sqlite3_create_collation(f.db, "mine", SQLITE_UTF8, NULL, compare_backwards);
	fill_texts(&f, "create table t(a text collate mine primary key, n) without "
		       "rowid");
	check_whole(&f);
	fixture_close(&f);
	fixture_open(&f, "pragma encoding = 'UTF-16le'; pragma page_size = 512");
	fill_texts(&f, "create table t(a text collate nocase primary key, n) without "
		       "rowid");
	check_whole(&f);
	fixture_close(&f);
}

static void test_an_order_that_is_not_what_it_is_called_is_told(void **state)
{
	struct chunk_told told = {.is_done = false};
	struct catalog_fixture f;
	struct row_key until;
	struct error err;

	(void)state;
	fixture_open(&f, "pragma page_size = 512");
	sqlite3_create_collation(f.db, "nocase", SQLITE_UTF8, NULL, compare_backwards);
	fill_texts(&f, "create table t(a text collate nocase primary key, n) without "
		       "rowid");
	row_key_init(&told.last);
	row_key_init(&until);
	until.is_set = true;
	buffer_add(&until.record, "\x02\x0fz", 3);
	got.count = 0;
	assert_int_equal(read_chunk(&f, &until, 7, NULL, &told, &got, &err),
			 ST_CORRUPT);
	assert_non_null(strstr(err.text, "table t: page"));
	assert_non_null(strstr(err.text, "behind ['A600']"));
	end_reading(&told, &until);
	fixture_close(&f);
}

static void test_utf16_is_ordered_by_its_bytes(void **state)
{
	static const char *const encodings[] = {"UTF-16le", "UTF-16be"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct catalog_fixture f;

		fixture_open(&f, NULL);
		fixture_run(&f, "pragma encoding = '%s'; pragma page_size = 512",
			    encodings[i]);
		fixture_run(&f, "create table t(a text primary key desc, n) without "
				"rowid; with recursive c(i) as (select 1 union all "
				"select i + 1 from c where i < 700) insert into t "
				"select char(i * 71), i from c");
		fixture_read(&f, NULL);
		select_n(&f, "select n from t order by a desc", &wanted);
		read_all(&f, 13, NULL, &got);
		check_same(&got, &wanted, wanted.count, encodings[i]);
		read_all(&f, 13, "length(a) = 1", &got);
		check_same(&got, &wanted, wanted.count, encodings[i]);
		fixture_close(&f);
	}
}

static void test_schema_formats_before_4_know_no_desc(void **state)
{
	struct catalog_fixture f;
	int is_legacy = 0;

	(void)state;
	fixture_open(&f, NULL);
	assert_int_equal(
	    sqlite3_db_config(f.db, SQLITE_DBCONFIG_LEGACY_FILE_FORMAT, 1, &is_legacy),
	    SQLITE_OK);
	fixture_run(&f, "create table t(a primary key desc, n) without rowid;"
			"insert into t values(1, 1), (2, 2), (3, 3)");
	fixture_read(&f, NULL);
	assert_true(f.catalog->header.schema_format < 4);
	assert_false(fixture_table(&f, "t")->tree_key[0].is_descending);
	read_all(&f, 1, NULL, &got);
	assert_int_equal(got.count, 3);
	assert_int_equal(got.n[0], 1);
	/* From here on it is meant. */
	sqlite3_db_config(f.db, SQLITE_DBCONFIG_LEGACY_FILE_FORMAT, 0, NULL);
	fixture_run(&f, "vacuum");
	fixture_read(&f, NULL);
	assert_int_equal(f.catalog->header.schema_format, 4);
	read_all(&f, 1, NULL, &got);
	assert_int_equal(got.count, 3);
	assert_int_equal(got.n[0], 3);
	fixture_close(&f);
}

/* ---- what does not fit ---- */

static void test_a_key_of_another_table_is_lost(void **state)
{
	struct chunk_told told;
	struct catalog_fixture f;
	struct row_key until;
	struct error err;

	(void)state;
	fixture_open(&f, "create table t(n integer primary key); insert into t "
			 "values(1), (2)");
	fixture_read(&f, NULL);
	begin_reading(&f, &told, &until);
	got.count = 0;
	must(read_chunk(&f, &until, 1, NULL, &told, &got, &err), &err);
	fixture_run(&f, "drop table t; create table t(n primary key) without rowid;"
			"insert into t values(1), (2)");
	fixture_read(&f, NULL);
	assert_int_equal(read_chunk(&f, &until, 1, NULL, &told, &got, &err), ST_LOST);
	assert_non_null(strstr(err.text, "table t:"));
	assert_true(told.last.is_set);
	/* A record of two values, and one that is none. */
	row_key_clear(&told.last);
	last_key(&f, &until);
	told.last.is_set = true;
	buffer_add(&told.last.record, "\x03\x08\x08", 3);
	assert_int_equal(read_chunk(&f, &until, 1, NULL, &told, &got, &err), ST_LOST);
	buffer_reset(&told.last.record);
	buffer_add(&told.last.record, "\x09\x7f", 2);
	assert_int_equal(read_chunk(&f, &until, 1, NULL, &told, &got, &err), ST_LOST);
	buffer_reset(&told.last.record);
	assert_int_equal(read_chunk(&f, &until, 1, NULL, &told, &got, &err), ST_LOST);
	assert_int_equal(got.count, 1);
	end_reading(&told, &until);
	fixture_close(&f);
}

static void test_a_tree_of_the_other_kind_is_corrupt(void **state)
{
	struct chunk_told told;
	struct row_key until;
	struct catalog_fixture f;
	struct error err;

	(void)state;
	fixture_open(&f, "create table t(n integer primary key); insert into t "
			 "values(1), (2); create table w(n primary key) without rowid;"
			 "insert into w values(1), (2)");
	fixture_read(&f, NULL);
	begin_reading(&f, &told, &until);
	for (int i = 0; i < 2; i++) {
		struct table table = *fixture_table(&f, i == 0 ? "t" : "w");
		struct chunk_ask ask = {.table = &table,
					.after = &told.last,
					.until = &until,
					.most_rows = 9,
					.change = take_row,
					.context = &got};

		table.root_page = fixture_table(&f, i == 0 ? "w" : "t")->root_page;
		assert_int_equal(chunk_last_key(memory_source_pages(f.source), &table,
						&told.last, &err),
				 ST_CORRUPT);
		row_key_clear(&until);
		until.is_set = true;
		until.is_rowid = i == 0;
		buffer_add(&until.record, "\x02\x09", i == 0 ? 0 : 2);
		assert_int_equal(
		    chunk_read(memory_source_pages(f.source), &ask, &told, &err),
		    ST_CORRUPT);
		assert_non_null(strstr(err.text, "does not fit its table"));
		assert_int_equal(memory_source_pins(f.source), 0);
	}
	row_key_clear(&until);
	fixture_close(&f);
}

static void break_pages(struct memory_source *source, int count)
{
	struct page_source *pages = memory_source_pages(source);

	for (int i = 0; i < count; i++) {
		uint32_t page_no = 2 + random_below(pages->page_count - 1);
		uint8_t *page = memory_source_edit(source, page_no);
		/* Mostly where it hurts. */
		uint32_t at = random_below(random_below(2) ? 40 : pages->page_size);

		page[at] = (uint8_t)random_below(256);
	}
}

static enum status take_any_row(void *context, const struct change *change,
				struct error *err)
{
	(void)context;
	(void)change;
	(void)err;
	return ST_OK;
}

static void test_broken_pages_end_in_an_error(void **state)
{
	(void)state;
	for (int round = 0; round < 2 * ROUNDS; round++) {
		struct chunk_told told = {.is_done = false};
		struct row_key until, last;
		struct random_table t;
		struct error err;

		open_table(&t, 512);
		insert_rows(&t, 200 + (int)random_below(400));
		fixture_read(&t.f, NULL);
		row_key_init(&told.last);
		row_key_init(&until);
		row_key_init(&last);
		last_key(&t.f, &until);
		break_pages(t.f.source, 1 + (int)random_below(30));
		(void)!chunk_last_key(memory_source_pages(t.f.source),
				      fixture_table(&t.f, "t"), &last, &err);
		for (int i = 0; i < 200 && !told.is_done; i++) {
			struct chunk_ask ask = {.table = fixture_table(&t.f, "t"),
						.after = &told.last,
						.until = &until,
						.most_rows = 1 + random_below(50),
						.where =
						    random_below(4) ? NULL : "n > 100",
						.change = take_any_row};
			enum status status = chunk_read(memory_source_pages(t.f.source),
							&ask, &told, &err);

			assert_int_equal(memory_source_pins(t.f.source), 0);
			if (status != ST_OK) {
				assert_true(status == ST_CORRUPT ||
					    (ask.where && status == ST_CONFIG));
				assert_non_null(strchr(err.text, 't'));
				break;
			}
		}
		row_key_clear(&told.last);
		row_key_clear(&until);
		row_key_clear(&last);
		fixture_close(&t.f);
	}
}

static int setup(void **state)
{
	(void)state;
	seed();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_chunks_of_any_size_are_the_table),
	    cmocka_unit_test(test_nothing_is_given_behind_the_last_key_asked_for),
	    cmocka_unit_test(test_a_row_that_is_there_all_the_time_comes_once),
	    cmocka_unit_test(test_a_chunk_reads_no_page_that_lies_before_or_behind_it),
	    cmocka_unit_test(test_an_empty_table_gives_nothing),
	    cmocka_unit_test(
		test_long_rows_end_a_chunk_early_and_at_the_same_one_each_time),
	    cmocka_unit_test(test_who_takes_the_rows_may_end_it_and_nothing_is_lost),
	    cmocka_unit_test(
		test_rows_that_do_not_fulfil_the_condition_count_as_looked_at),
	    cmocka_unit_test(test_a_wrong_condition_gives_no_row),
	    cmocka_unit_test(
		test_a_table_in_an_order_of_the_applications_is_read_whole),
	    cmocka_unit_test(test_an_order_that_is_not_what_it_is_called_is_told),
	    cmocka_unit_test(test_utf16_is_ordered_by_its_bytes),
	    cmocka_unit_test(test_schema_formats_before_4_know_no_desc),
	    cmocka_unit_test(test_a_key_of_another_table_is_lost),
	    cmocka_unit_test(test_a_tree_of_the_other_kind_is_corrupt),
	    cmocka_unit_test(test_broken_pages_end_in_an_error),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
