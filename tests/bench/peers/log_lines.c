/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/peers/log_lines.c -- reads the table that triggers fill, as lines of
 * JSON.
 *
 *     log_lines DATABASE [--poll-us 1000] [--prune ROWS]
 *
 * As an application would do it that takes care: between two looks it asks only whether
 * anybody has committed (PRAGMA data_version), it reads a limited number of rows at a
 * time, so that it holds up no checkpoint, and with --prune it deletes, so many at a
 * time or each second, what it has printed, all but the last, whose number the next
 * row follows. Goes on until it is ended or nobody reads its lines.
 */
#include <errno.h>
#include <getopt.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S   INT64_C(1000000000)
#define BATCH_ROWS 10000
#define BUSY_MS    5000
#define OUT_LEN    (1 << 16)

struct reader {
	sqlite3 *db;
	sqlite3_stmt *version;
	sqlite3_stmt *select;
	sqlite3_stmt *prune;
	int64_t poll_us;
	int64_t prune_rows; /* 0: never */
	int64_t last_id;    /* printed */
	int64_t pruned_id;  /* up to here all is deleted */
	int64_t pruned_ns;
};

static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "log_lines: %s: %s\n", what, why);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static sqlite3_stmt *prepare(struct reader *r, const char *sql)
{
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(r->db, sql, -1, &stmt, NULL) != SQLITE_OK) {
		fail(sql, sqlite3_errmsg(r->db));
	}
	return stmt;
}

static int64_t data_version(struct reader *r)
{
	int64_t version = -1;

	if (sqlite3_step(r->version) == SQLITE_ROW) {
		version = sqlite3_column_int64(r->version, 0);
	}
	sqlite3_reset(r->version);
	return version;
}

static void put_column(sqlite3_stmt *stmt, int column)
{
	const void *text = sqlite3_column_text(stmt, column);
	int len = sqlite3_column_bytes(stmt, column);

	if (text == NULL) {
		fputs_unlocked("null", stdout);
	} else {
		fwrite_unlocked(text, 1, (size_t)len, stdout);
	}
}

/* Returns how many rows there were. */
static int print_batch(struct reader *r)
{
	int count = 0;
	int rc;

	sqlite3_bind_int64(r->select, 1, r->last_id);
	while ((rc = sqlite3_step(r->select)) == SQLITE_ROW) {
		r->last_id = sqlite3_column_int64(r->select, 0);
		fputs_unlocked("{\"op\":\"", stdout);
		put_column(r->select, 1);
		fputs_unlocked("\",\"table\":\"", stdout);
		put_column(r->select, 2);
		fputs_unlocked("\",\"before\":", stdout);
		put_column(r->select, 3);
		fputs_unlocked(",\"after\":", stdout);
		put_column(r->select, 4);
		fputs_unlocked("}\n", stdout);
		count++;
	}
	if (rc != SQLITE_DONE) {
		fail("change_log", sqlite3_errmsg(r->db));
	}
	sqlite3_reset(r->select);
	return count;
}

static void prune_when_due(struct reader *r)
{
	int64_t waiting = r->last_id - r->pruned_id;
	int64_t now = now_ns();

	if (r->prune_rows == 0 || waiting <= 1 ||
	    (waiting < r->prune_rows && now - r->pruned_ns < NS_PER_S)) {
		return;
	}
	sqlite3_bind_int64(r->prune, 1, r->last_id);
	if (sqlite3_step(r->prune) != SQLITE_DONE) {
		fail("DELETE", sqlite3_errmsg(r->db));
	}
	sqlite3_reset(r->prune);
	r->pruned_id = r->last_id - 1;
	r->pruned_ns = now;
}

static void follow(struct reader *r)
{
	struct timespec poll = {r->poll_us / 1000000, r->poll_us % 1000000 * 1000};
	int64_t seen = -1;
	int64_t version;

	for (;;) {
		version = data_version(r);
		if (version != seen) {
			/* Read until there is no more; what comes after the last look
			 * makes another version. */
			seen = version;
			while (print_batch(r) > 0 && fflush(stdout) == 0) {
				prune_when_due(r);
			}
			if (ferror(stdout)) {
				return;
			}
		}
		prune_when_due(r);
		nanosleep(&poll, NULL);
	}
}

static void parse_arguments(int argc, char **argv, struct reader *r)
{
	static const struct option options[] = {
	    {"poll-us", required_argument, NULL, 'u'},
	    {"prune", required_argument, NULL, 'p'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'u':
			r->poll_us = strtoll(optarg, NULL, 10);
			break;
		case 'p':
			r->prune_rows = strtoll(optarg, NULL, 10);
			break;
		default:
			exit(2);
		}
	}
	if (optind != argc - 1 || r->poll_us < 1 || r->prune_rows < 0) {
		fprintf(stderr,
			"usage: log_lines DATABASE [--poll-us N] [--prune N]\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static char out[OUT_LEN];
	struct reader r = {.poll_us = 1000};
	char sql[200];

	parse_arguments(argc, argv, &r);
	setvbuf(stdout, out, _IOFBF, sizeof out);
	if (sqlite3_open(argv[optind], &r.db) != SQLITE_OK ||
	    sqlite3_exec(r.db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL) !=
		SQLITE_OK) {
		fail(argv[optind], sqlite3_errmsg(r.db));
	}
	sqlite3_busy_timeout(r.db, BUSY_MS);
	snprintf(sql, sizeof sql,
		 "SELECT id, op, tbl, before, after FROM change_log WHERE id > ?"
		 " ORDER BY id LIMIT %d",
		 BATCH_ROWS);
	r.version = prepare(&r, "PRAGMA data_version");
	r.select = prepare(&r, sql);
	r.prune = prepare(&r, "DELETE FROM change_log WHERE id < ?");
	r.pruned_ns = now_ns();
	fprintf(stderr, "log_lines: reading\n");
	follow(&r);
	return 0;
}
