/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/writer.c -- an application that writes, and says how it fared.
 *
 *     writer DATABASE --fill ROWS [--big ROWS]     make the tables, no measuring
 *     writer DATABASE [options]                    write, then one line of JSON
 *
 *     --mode insert|update|blob   new rows (default); one column of random rows; a few
 *                                 bytes on an overflow page of a row of `big`
 *     --per-txn N                 rows a transaction; 1 is autocommit (default 1)
 *     --txns N, --seconds S       how long (default 1 s)
 *     --think-us N                sleep between transactions (default none)
 *     --sync NORMAL|FULL|OFF      PRAGMA synchronous (default NORMAL)
 *     --changesets PIPE           tell what each transaction changed (changesets.h)
 *
 * Written like any application with SQLite's defaults: prepared statements, automatic
 * checkpoints, busy_timeout 0. After SQLITE_BUSY it sleeps 1 ms, the first step of
 * SQLite's own busy handler, and tries again; each BUSY is counted. The time of a
 * commit is that of the whole transaction with its retries.
 */
#include <errno.h>
#include <getopt.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/lib/changesets.h"

#define NS_PER_S      INT64_C(1000000000)
#define WAL_LOOK_NS   INT64_C(5000000) /* between two looks at the WAL's size */
#define FILL_PER_TXN  20000
#define BIG_BODY_LEN  20000 /* bytes: several overflow pages */
#define BIG_OFFSET    15000 /* far from what lies on the leaf */
#define BUSY_SLEEP_NS 1000000

/* What a row has beside numbers: about 100 bytes in all. */
#define NAME "item-0000000000"
#define NOTE "in stock since 0000000000000000, third shelf on the left, no remark"

enum mode { MODE_INSERT, MODE_UPDATE, MODE_BLOB };

struct settings {
	const char *path;
	enum mode mode;
	int64_t fill_rows; /* -1: measure */
	int64_t big_rows;
	int64_t per_txn;
	int64_t txns; /* 0: by time */
	double seconds;
	int64_t think_us;
	const char *sync;
	const char *changesets; /* a named pipe; NULL: none */
};

/* Times of transactions in nanoseconds; those over 4 s count as 4 s. */
struct times {
	uint32_t *ns;
	size_t count;
	size_t room;
};

struct writer {
	struct settings settings;
	sqlite3 *db;
	struct changesets *changesets;
	sqlite3_stmt *begin;
	sqlite3_stmt *commit;
	sqlite3_stmt *change;
	char *wal_path;
	int64_t row_count; /* in table t at the start */
	int64_t next_id;
	uint64_t random;
	int64_t value;
	int64_t busy;
	int64_t wal_peak;
	int64_t wal_looked_ns;
	struct times times;
	char name[sizeof NAME];
	char note[sizeof NOTE];
};

static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "writer: %s: %s\n", what, why);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void sleep_ns(int64_t ns)
{
	struct timespec t = {ns / NS_PER_S, ns % NS_PER_S};

	while (nanosleep(&t, &t) != 0 && errno == EINTR) {
	}
}

static uint64_t next_random(struct writer *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

static void times_add(struct times *times, int64_t ns)
{
	if (times->count == times->room) {
		times->room = times->room == 0 ? 1 << 16 : times->room * 2;
		times->ns = realloc(times->ns, times->room * sizeof *times->ns);
		if (times->ns == NULL) {
			fail("times", "out of memory");
		}
	}
	times->ns[times->count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int compare_ns(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* `part` of all times are at most this, in microseconds; the times are sorted. */
static double times_at(const struct times *times, double part)
{
	size_t i = (size_t)((double)times->count * part);

	if (times->count == 0) {
		return 0;
	}
	return times->ns[i < times->count ? i : times->count - 1] / 1000.0;
}

static void run_sql(struct writer *w, const char *sql)
{
	if (sqlite3_exec(w->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
		fail(sql, sqlite3_errmsg(w->db));
	}
}

static sqlite3_stmt *prepare(struct writer *w, const char *sql)
{
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(w->db, sql, -1, &stmt, NULL) != SQLITE_OK) {
		fail(sql, sqlite3_errmsg(w->db));
	}
	return stmt;
}

static int64_t query_number(struct writer *w, const char *sql)
{
	sqlite3_stmt *stmt = prepare(w, sql);
	int64_t number =
	    sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;

	sqlite3_finalize(stmt);
	return number;
}

/* Step a statement that gives no rows until it is not refused for being busy. */
static void step_until_done(struct writer *w, sqlite3_stmt *stmt)
{
	for (;;) {
		int rc = sqlite3_step(stmt);

		sqlite3_reset(stmt);
		if (rc == SQLITE_DONE) {
			return;
		}
		if ((rc & 0xff) != SQLITE_BUSY) {
			fail(sqlite3_sql(stmt), sqlite3_errmsg(w->db));
		}
		w->busy++;
		sleep_ns(BUSY_SLEEP_NS);
	}
}

/* The last digits of `number`, written over `text`. Made by hand, as printf would cost
 * more than the INSERT that is to be measured. */
static void put_digits(char *text, int count, uint64_t number, uint64_t base)
{
	while (count-- > 0) {
		text[count] = "0123456789abcdef"[number % base];
		number /= base;
	}
}

static void bind_new_row(struct writer *w)
{
	put_digits(w->name + 5, 10, (uint64_t)w->next_id, 10);
	put_digits(w->note + 15, 16, next_random(w), 16);
	sqlite3_bind_int64(w->change, 1, w->next_id++);
	sqlite3_bind_text(w->change, 2, w->name, (int)sizeof w->name - 1,
			  SQLITE_STATIC);
	sqlite3_bind_int64(w->change, 3, w->value % 1000);
	sqlite3_bind_double(w->change, 4, (double)(w->value % 9999) / 100);
	sqlite3_bind_text(w->change, 5, w->note, (int)sizeof w->note - 1,
			  SQLITE_STATIC);
}

static void change_row(struct writer *w)
{
	w->value++;
	if (w->settings.mode == MODE_UPDATE) {
		int64_t row = (int64_t)(next_random(w) % (uint64_t)w->row_count) + 1;

		sqlite3_bind_int64(w->change, 1, w->value);
		sqlite3_bind_int64(w->change, 2, row);
	} else {
		bind_new_row(w);
	}
	step_until_done(w, w->change);
}

/* Overwrite 8 bytes far inside a row of `big`: one overflow page changes, no leaf. */
static void change_blob(struct writer *w)
{
	sqlite3_blob *blob;
	int64_t bytes = now_ns(); /* other than any run before wrote */

	if (sqlite3_blob_open(w->db, "main", "big", "body", 1, 1, &blob) != SQLITE_OK ||
	    sqlite3_blob_write(blob, &bytes, sizeof bytes, BIG_OFFSET) != SQLITE_OK) {
		fail("blob", sqlite3_errmsg(w->db));
	}
	sqlite3_blob_close(blob);
}

static void run_txn(struct writer *w)
{
	if (w->settings.mode == MODE_BLOB) {
		change_blob(w);
		return;
	}
	if (w->settings.per_txn == 1) {
		change_row(w);
		return;
	}
	step_until_done(w, w->begin);
	for (int64_t i = 0; i < w->settings.per_txn; i++) {
		change_row(w);
	}
	step_until_done(w, w->commit);
}

static void look_at_wal(struct writer *w, int64_t now)
{
	struct stat st;

	if (now - w->wal_looked_ns < WAL_LOOK_NS) {
		return;
	}
	w->wal_looked_ns = now;
	if (stat(w->wal_path, &st) == 0 && st.st_size > w->wal_peak) {
		w->wal_peak = st.st_size;
	}
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void report(struct writer *w, double seconds, double cpu, int64_t end_ns)
{
	double commits = (double)w->times.count;
	double rows = commits * (double)w->settings.per_txn;

	qsort(w->times.ns, w->times.count, sizeof *w->times.ns, compare_ns);
	printf("{\"commits\":%.0f,\"rows\":%.0f,\"seconds\":%.6f,\"commits_s\":%.1f,"
	       "\"rows_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
	       "\"max_us\":%.1f,\"cpu_s\":%.6f,\"busy\":%lld,\"wal_peak\":%lld,"
	       "\"end_ns\":%lld}\n",
	       commits, rows, seconds, commits / seconds, rows / seconds,
	       times_at(&w->times, 0.5), times_at(&w->times, 0.99),
	       times_at(&w->times, 0.999), times_at(&w->times, 1.0), cpu,
	       (long long)w->busy, (long long)w->wal_peak, (long long)end_ns);
}

static void measure(struct writer *w)
{
	const struct settings *s = &w->settings;
	double cpu = cpu_seconds();
	int64_t start = now_ns();
	int64_t stop = s->txns > 0 ? INT64_MAX : start + (int64_t)(s->seconds * 1e9);
	int64_t now = start;

	while (now < stop && (s->txns == 0 || (int64_t)w->times.count < s->txns)) {
		int64_t before = now;

		changesets_begin(w->changesets);
		run_txn(w);
		changesets_send(w->changesets);
		now = now_ns();
		times_add(&w->times, now - before);
		look_at_wal(w, now);
		if (s->think_us > 0) {
			sleep_ns(s->think_us * 1000);
			now = now_ns();
		}
	}
	w->wal_looked_ns = 0;
	look_at_wal(w, now);
	report(w, (double)(now - start) / 1e9, cpu_seconds() - cpu, now);
}

static void fill(struct writer *w)
{
	int64_t rows = w->settings.fill_rows;

	run_sql(w, "PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=50000");
	for (int64_t i = 0; i < rows; i++) {
		if (i % FILL_PER_TXN == 0) {
			step_until_done(w, w->begin);
		}
		change_row(w);
		if (i % FILL_PER_TXN == FILL_PER_TXN - 1 || i == rows - 1) {
			step_until_done(w, w->commit);
		}
	}
	step_until_done(w, w->begin);
	for (int64_t i = 0; i < w->settings.big_rows; i++) {
		char *sql = sqlite3_mprintf(
		    "INSERT INTO big(body) VALUES(randomblob(%d))", BIG_BODY_LEN);

		run_sql(w, sql);
		sqlite3_free(sql);
	}
	step_until_done(w, w->commit);
	run_sql(w, "PRAGMA wal_checkpoint(TRUNCATE)");
}

static void writer_open(struct writer *w)
{
	const struct settings *s = &w->settings;
	char *sql = sqlite3_mprintf("PRAGMA synchronous=%s", s->sync);

	memcpy(w->name, NAME, sizeof NAME);
	memcpy(w->note, NOTE, sizeof NOTE);
	w->random = UINT64_C(0x9e3779b97f4a7c15);
	w->wal_path = sqlite3_mprintf("%s-wal", s->path);
	if (sqlite3_open(s->path, &w->db) != SQLITE_OK) {
		fail(s->path, sqlite3_errmsg(w->db));
	}
	sqlite3_extended_result_codes(w->db, 1);
	if (s->fill_rows >= 0) {
		run_sql(w, "PRAGMA journal_mode=WAL;"
			   "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY,"
			   " name TEXT NOT NULL, qty INTEGER, price REAL, note TEXT);"
			   "CREATE TABLE IF NOT EXISTS big(id INTEGER PRIMARY KEY,"
			   " body BLOB);"
			   "CREATE TABLE IF NOT EXISTS latency(id INTEGER PRIMARY KEY,"
			   " stamp INTEGER)");
	}
	run_sql(w, sql);
	w->row_count = query_number(w, "SELECT max(id) FROM t");
	w->next_id = w->row_count + 1;
	w->value = now_ns() / 1000 % INT64_C(1000000000);
	w->begin = prepare(w, "BEGIN IMMEDIATE");
	w->commit = prepare(w, "COMMIT");
	w->change =
	    prepare(w, s->mode == MODE_UPDATE ? "UPDATE t SET qty=? WHERE id=?"
					      : "INSERT INTO t VALUES(?,?,?,?,?)");
	if (s->changesets != NULL) {
		w->changesets = changesets_open(w->db, s->changesets);
	}
	if (s->mode == MODE_UPDATE && w->row_count == 0) {
		fail("--mode update", "table t is empty");
	}
	sqlite3_free(sql);
}

static void writer_close(struct writer *w)
{
	sqlite3_finalize(w->begin);
	sqlite3_finalize(w->commit);
	sqlite3_finalize(w->change);
	sqlite3_free(w->wal_path);
	changesets_close(w->changesets);
	sqlite3_close(w->db);
	free(w->times.ns);
}

static int64_t parse_number(const char *text)
{
	char *end;
	long long number = strtoll(text, &end, 10);

	if (*text == '\0' || *end != '\0' || number < 0) {
		fail(text, "not a number");
	}
	return number;
}

static enum mode parse_mode(const char *text)
{
	static const char *const names[] = {"insert", "update", "blob"};

	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(text, names[i]) == 0) {
			return (enum mode)i;
		}
	}
	fail(text, "unknown mode");
}

static void parse_arguments(int argc, char **argv, struct settings *s)
{
	static const struct option options[] = {
	    {"fill", required_argument, NULL, 'f'},
	    {"big", required_argument, NULL, 'b'},
	    {"mode", required_argument, NULL, 'm'},
	    {"per-txn", required_argument, NULL, 'p'},
	    {"txns", required_argument, NULL, 'n'},
	    {"seconds", required_argument, NULL, 's'},
	    {"think-us", required_argument, NULL, 't'},
	    {"sync", required_argument, NULL, 'y'},
	    {"changesets", required_argument, NULL, 'c'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			s->fill_rows = parse_number(optarg);
			break;
		case 'b':
			s->big_rows = parse_number(optarg);
			break;
		case 'm':
			s->mode = parse_mode(optarg);
			break;
		case 'p':
			s->per_txn = parse_number(optarg);
			break;
		case 'n':
			s->txns = parse_number(optarg);
			break;
		case 's':
			s->seconds = (double)parse_number(optarg);
			break;
		case 't':
			s->think_us = parse_number(optarg);
			break;
		case 'y':
			s->sync = optarg;
			break;
		case 'c':
			s->changesets = optarg;
			break;
		default:
			exit(2);
		}
	}
	if (optind != argc - 1 || s->per_txn < 1) {
		fprintf(stderr, "usage: writer DATABASE [options]\n");
		exit(2);
	}
	s->path = argv[optind];
}

int main(int argc, char **argv)
{
	struct writer writer = {
	    .settings = {.fill_rows = -1, .per_txn = 1, .seconds = 1, .sync = "NORMAL"},
	};

	parse_arguments(argc, argv, &writer.settings);
	writer_open(&writer);
	if (writer.settings.fill_rows >= 0) {
		fill(&writer);
	} else {
		measure(&writer);
	}
	writer_close(&writer);
	return 0;
}
