/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real database; what SQLite made of its file between two moments is the transaction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schemas/table_filter.h"
#include "src/base/buffer.h"
#include "src/base/file_io.h"
#include "src/base/temp_file.h"
#include "src/decode/decoder.h"

#define PAGE_SIZE 512

struct image {
	uint8_t *bytes;
	uint32_t page_count;
};

struct rig {
	char path[64];
	sqlite3 *db;
	int base_fd; /* the database as it was at the start */
	struct view_file base;
	struct image now;
	struct spool *spool;
	struct view *view;
	struct table_filter *filter; /* tables named hidden are left out */
	struct decoder *decoder;
	struct buffer told; /* what the decoder told, piece by piece */
	enum status answer; /* to each change */
	uint64_t lsn;
};

/* ---- what the decoder tells ---- */

static void tell(struct rig *rig, const char *what, const char *name)
{
	buffer_add_str(&rig->told, what);
	buffer_add_str(&rig->told, name);
	buffer_add_char(&rig->told, '\n');
}

static enum status on_catalog(void *context, struct catalog *catalog,
			      const struct catalog *previous, struct error *err)
{
	struct table *who = catalog_find(catalog, "who");

	(void)err;
	if (who) {
		who->is_context = true;
	}
	tell(context, previous ? "catalog" : "first catalog", "");
	return ST_OK;
}

static enum status on_ddl(void *context, enum ddl what, const struct table *old_table,
			  const struct table *new_table, struct error *err)
{
	static const char *const names[] = {"created ", "dropped ", "renamed ",
					    "altered "};

	(void)err;
	tell(context, names[what], (new_table ? new_table : old_table)->name);
	return ST_OK;
}

static void on_damage(void *context, enum damaged_part part, const char *name,
		      const struct error *why)
{
	static const char *const parts[] = {"damaged index ", "damaged table ",
					    "damaged freelist", "damaged pointer map"};

	assert_int_equal(why->status, ST_CORRUPT);
	tell(context, parts[part], name);
}

static enum status on_table(void *context, const struct table *table, struct error *err)
{
	(void)err;
	tell(context, "table ", table->name);
	return ST_OK;
}

static enum status on_change(void *context, const struct change *change,
			     struct error *err)
{
	static const char *const ops[] = {
	    [CHANGE_CREATE] = "c ", [CHANGE_UPDATE] = "u ", [CHANGE_DELETE] = "d "};
	struct rig *rig = context;
	char rowid[32];

	(void)snprintf(rowid, sizeof rowid, "%" PRId64, change->rowid);
	tell(rig, ops[change->op], rowid);
	return rig->answer == ST_OK ? ST_OK : error_set(err, rig->answer, "no more");
}

static void expect(struct rig *rig, const char *told)
{
	buffer_add_char(&rig->told, '\0');
	assert_string_equal(rig->told.bytes, told);
	buffer_reset(&rig->told);
}

/* ---- databases and transactions ---- */

static void run(struct rig *rig, const char *sql)
{
	char *text = NULL;

	if (sqlite3_exec(rig->db, sql, NULL, NULL, &text) != SQLITE_OK) {
		fail_msg("%s: %s", sql, text);
	}
}

static struct image take_image(const struct rig *rig)
{
	int fd = open(rig->path, O_RDONLY | O_CLOEXEC);
	struct image image;
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	image.page_count = (uint32_t)(st.st_size / PAGE_SIZE);
	image.bytes = malloc((size_t)st.st_size);
	assert_non_null(image.bytes);
	assert_true(file_read_exactly(fd, image.bytes, (size_t)st.st_size, 0));
	(void)close(fd);
	return image;
}

static void rig_init(struct rig *rig, const char *sql)
{
	int fd;

	*rig = (struct rig){.path = "/tmp/rowtail-decoder.XXXXXX"};
	fd = mkstemp(rig->path);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(sqlite3_open(rig->path, &rig->db), SQLITE_OK);
	run(rig, "pragma page_size=512");
	run(rig, sql);
	buffer_init(&rig->told);
	rig->now = take_image(rig);
}

/* Follow it as `now` is. */
static enum status start(struct rig *rig, struct error *err)
{
	const struct captured_txn first = {.page_count = rig->now.page_count,
					   .page_count_before = rig->now.page_count};
	const struct decoder_events events = {.context = rig,
					      .catalog = on_catalog,
					      .ddl = on_ddl,
					      .damaged = on_damage,
					      .table = on_table,
					      .change = on_change};
	struct view_base base;

	assert_int_equal(temp_file_open(&rig->base_fd, err), ST_OK);
	assert_true(file_write_at(rig->base_fd, rig->now.bytes,
				  (size_t)rig->now.page_count * PAGE_SIZE, 0));
	assert_int_equal(spool_open(PAGE_SIZE, &rig->spool, err), ST_OK);
	rig->base = (struct view_file){
	    .fd = rig->base_fd, .path = rig->path, .page_size = PAGE_SIZE};
	base = view_base_of_file(&rig->base);
	assert_int_equal(
	    view_open(rig->spool, &base, PAGE_SIZE, &first, &rig->view, err), ST_OK);
	assert_int_equal(table_filter_open(NULL, "hidden", &rig->filter, err), ST_OK);
	return decoder_open(rig->view, rig->filter, &events, &rig->decoder, err);
}

static void rig_open(struct rig *rig, const char *sql)
{
	struct error err;

	rig_init(rig, sql);
	if (start(rig, &err) != ST_OK) {
		fail_msg("decoder_open: %s", err.text);
	}
	expect(rig, "first catalog\n");
}

static void rig_close(struct rig *rig)
{
	decoder_close(rig->decoder);
	table_filter_close(rig->filter);
	view_close(rig->view);
	spool_close(rig->spool);
	(void)close(rig->base_fd);
	free(rig->now.bytes);
	buffer_clear(&rig->told);
	assert_int_equal(sqlite3_close(rig->db), SQLITE_OK);
	assert_int_equal(unlink(rig->path), 0);
}

static bool is_same_page(const struct image *a, const struct image *b, uint32_t page_no)
{
	size_t at = (size_t)(page_no - 1) * PAGE_SIZE;

	return page_no <= a->page_count && page_no <= b->page_count &&
	       memcmp(a->bytes + at, b->bytes + at, PAGE_SIZE) == 0;
}

static void add_page(struct rig *rig, struct captured_txn *txn, uint32_t page_no,
		     const struct image *after)
{
	struct error err;
	uint32_t slot;

	assert_int_equal(spool_alloc(rig->spool, &slot, &err), ST_OK);
	assert_int_equal(spool_put(rig->spool, slot,
				   after->bytes + (size_t)(page_no - 1) * PAGE_SIZE,
				   &err),
			 ST_OK);
	txn->pages[txn->page_total++] = (struct captured_page){page_no, slot};
}

/* Decode what `sql`, a transaction, does. */
static enum status apply(struct rig *rig, const char *sql, struct error *err)
{
	struct captured_txn txn = {.lsn = ++rig->lsn,
				   .page_count_before = rig->now.page_count};
	struct image after;
	enum status status;

	run(rig, sql);
	after = take_image(rig);
	txn.page_count = after.page_count;
	txn.pages = calloc(after.page_count, sizeof *txn.pages);
	assert_non_null(txn.pages);
	for (uint32_t page_no = 1; page_no <= after.page_count; page_no++) {
		if (!is_same_page(&rig->now, &after, page_no)) {
			add_page(rig, &txn, page_no, &after);
		}
	}
	status = decoder_apply(rig->decoder, &txn, err);
	free(txn.pages);
	free(rig->now.bytes);
	rig->now = after;
	return status;
}

static void apply_and_expect(struct rig *rig, const char *sql, const char *told)
{
	struct error err;

	if (apply(rig, sql, &err) != ST_OK) {
		fail_msg("decoder_apply: %s", err.text);
	}
	expect(rig, told);
}

/* The root of a table or an index. */
static uint32_t root_of(struct rig *rig, const char *name)
{
	sqlite3_stmt *stmt;
	uint32_t root;

	assert_int_equal(sqlite3_prepare_v2(
			     rig->db, "select rootpage from sqlite_schema where name=?",
			     -1, &stmt, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	root = (uint32_t)sqlite3_column_int(stmt, 0);
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	return root;
}

/* In what is followed, not in SQLite's file: its page begins with 0x07, a kind that
 * there is not. */
static void damage(struct rig *rig, uint32_t page_no)
{
	rig->now.bytes[(size_t)(page_no - 1) * PAGE_SIZE] = 7;
}

/* ---- tests ---- */

static void test_tables_come_by_name_whatever_the_order_of_writing(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, "create table B(x); create table c(x); create table a(x);"
		       "insert into c values(1)");
	apply_and_expect(&rig,
			 "begin; insert into c values(2); insert into a values(1);"
			 "insert into B values(1); commit",
			 "table a\nc 1\ntable B\nc 1\ntable c\nc 2\n");
	rig_close(&rig);
}

static void test_a_transaction_gives_its_net_change(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, "create table t(x); insert into t values(1),(2),(3)");
	apply_and_expect(&rig,
			 "begin; update t set x=9 where rowid=1;"
			 "update t set x=1 where rowid=1; delete from t where rowid=2;"
			 "insert into t values(4); delete from t where x=4;"
			 "update t set x=8 where rowid=3; commit",
			 "table t\nd 2\nu 3\n");
	rig_close(&rig);
}

/* Each transaction is compared with the one before, not with the start. */
static void test_transactions_follow_each_other(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, "create table t(x)");
	for (int i = 1; i <= 50; i++) {
		char told[32];

		(void)snprintf(told, sizeof told, "table t\nc %d\n", i);
		apply_and_expect(&rig, "insert into t values(randomblob(100))", told);
	}
	rig_close(&rig);
}

static void test_the_schema_is_told_before_the_rows(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, "create table t(x); insert into t values(1)");
	apply_and_expect(&rig,
			 "begin; create table n(x); insert into n values(1);"
			 "insert into t values(2); commit",
			 "catalog\ncreated n\ntable n\nc 1\ntable t\nc 2\n");
	apply_and_expect(&rig, "insert into n values(2)", "table n\nc 2\n");
	rig_close(&rig);
}

/* Nothing else has to wait until it is known. */
static void test_the_context_is_told_before_all_others(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, "create table a(x); create table who(x); create table z(x);"
		       "insert into who values(1)");
	apply_and_expect(&rig,
			 "begin; insert into z values(1); insert into a values(1);"
			 "update who set x = 2; commit",
			 "table who\nu 1\ntable a\nc 1\ntable z\nc 1\n");
	apply_and_expect(&rig,
			 "begin; create table n(x); insert into a values(2);"
			 "update who set x = 3; drop table z; commit",
			 "catalog\ntable who\nu 1\ncreated n\ndropped z\ntable a\nc "
			 "2\ntable n\n");
	apply_and_expect(&rig, "drop table who", "catalog\ndropped who\n");
	rig_close(&rig);
}

static void test_names_that_go_and_come_are_told_apart(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, "create table t(x); insert into t values(1);"
		       "create table gone(x); insert into gone values(1)");
	apply_and_expect(&rig, "alter table t rename to u", "catalog\nrenamed u\n");
	apply_and_expect(&rig, "alter table u add column y default 3",
			 "catalog\naltered u\n");
	apply_and_expect(&rig, "drop table gone", "catalog\ndropped gone\n");
	apply_and_expect(&rig, "insert into u values(2, 2)", "table u\nc 2\n");
	rig_close(&rig);
}

/* SQLite gives the rows of a table without keys other rowids. */
static void test_a_vacuum_changes_no_row(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, "create table t(x);"
		       "with recursive n(i) as (select 1 union all select i+1 from n "
		       "where i<200) insert into t select randomblob(60) from n;"
		       "delete from t where rowid % 2 = 0");
	apply_and_expect(&rig, "vacuum", "catalog\ntable t\n");
	apply_and_expect(&rig, "insert into t values(1)", "table t\nc 101\n");
	rig_close(&rig);
}

/* In a database with a pointer map every tree has its parents looked up. */
static void test_tables_left_out_give_nothing(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, "pragma auto_vacuum=full; vacuum; create table hidden(x);"
		       "create table t(x)");
	apply_and_expect(&rig,
			 "begin; insert into hidden values(2);"
			 "insert into t values(1); commit",
			 "table t\nc 1\n");
	apply_and_expect(&rig, "alter table hidden add column y", "catalog\n");
	rig_close(&rig);
}

static void test_tables_left_out_are_not_read(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, "create table hidden(x); insert into hidden values(1);"
		       "create table t(x)");
	damage(&rig, root_of(&rig, "hidden"));
	assert_int_equal(start(&rig, &(struct error){0}), ST_OK);
	expect(&rig, "damaged table hidden\nfirst catalog\n");
	apply_and_expect(&rig,
			 "begin; insert into hidden values(2);"
			 "insert into t values(1); commit",
			 "table t\nc 1\n");
	rig_close(&rig);
}

static void test_a_damaged_index_is_told_once_and_stops_nothing(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, "create table t(x); create index i on t(x);"
		       "insert into t values(1)");
	damage(&rig, root_of(&rig, "i"));
	assert_int_equal(start(&rig, &(struct error){0}), ST_OK);
	expect(&rig, "damaged index i\nfirst catalog\n");
	apply_and_expect(&rig, "insert into t values(2)", "table t\nc 2\n");
	apply_and_expect(&rig, "insert into t values(3)", "table t\nc 3\n");
	rig_close(&rig);
}

static void test_a_damaged_table_is_named_at_start(void **state)
{
	struct error err;
	struct rig rig;

	(void)state;
	rig_init(&rig, "create table t(x); insert into t values(1)");
	damage(&rig, root_of(&rig, "t"));
	assert_int_equal(start(&rig, &err), ST_CORRUPT);
	assert_non_null(strstr(err.text, "table t"));
	rig_close(&rig);
}

/* Its entries are not believed then: the parents of pages are found by reading. */
static void test_a_damaged_pointer_map_is_told_and_done_without(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, "pragma auto_vacuum=full; vacuum;"
		       "create table t(x); with recursive n(i) as (select 1 union all "
		       "select i+1 from n where i<200) insert into t "
		       "select randomblob(60) from n");
	/* Page 2 is the map: 5 bytes for each page from 3 on. */
	memset(rig.now.bytes + PAGE_SIZE, 0xEE, PAGE_SIZE / 5 * 5);
	assert_int_equal(start(&rig, &(struct error){0}), ST_OK);
	expect(&rig, "first catalog\n");
	apply_and_expect(&rig, "update t set x=1 where rowid=150",
			 "damaged pointer map\ntable t\nu 150\n");
	apply_and_expect(&rig, "delete from t where rowid=7", "table t\nd 7\n");
	rig_close(&rig);
}

static void test_the_status_of_an_event_is_handed_on(void **state)
{
	struct error err;
	struct rig rig;

	(void)state;
	rig_open(&rig, "create table t(x)");
	rig.answer = ST_CLOSED;
	assert_int_equal(apply(&rig, "insert into t values(1),(2)", &err), ST_CLOSED);
	assert_string_equal(err.text, "no more");
	expect(&rig, "table t\nc 1\n");
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tables_come_by_name_whatever_the_order_of_writing),
	    cmocka_unit_test(test_the_context_is_told_before_all_others),
	    cmocka_unit_test(test_a_transaction_gives_its_net_change),
	    cmocka_unit_test(test_transactions_follow_each_other),
	    cmocka_unit_test(test_the_schema_is_told_before_the_rows),
	    cmocka_unit_test(test_names_that_go_and_come_are_told_apart),
	    cmocka_unit_test(test_a_vacuum_changes_no_row),
	    cmocka_unit_test(test_tables_left_out_give_nothing),
	    cmocka_unit_test(test_tables_left_out_are_not_read),
	    cmocka_unit_test(test_a_damaged_index_is_told_once_and_stops_nothing),
	    cmocka_unit_test(test_a_damaged_table_is_named_at_start),
	    cmocka_unit_test(test_a_damaged_pointer_map_is_told_and_done_without),
	    cmocka_unit_test(test_the_status_of_an_event_is_handed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
