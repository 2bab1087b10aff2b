/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/latency.c -- how long from a commit to its line.
 *
 *     rowtail DATABASE | latency DATABASE [--rate 200] [--count 2000] [--changesets
 * PIPE]
 *
 * One thread inserts rows into the table `latency`, each with the monotonic clock at
 * its INSERT; the other reads the lines and takes the clock when a line is complete. So
 * the time includes the commit itself. A little jitter keeps the writer from falling
 * into step with anybody's timer. With --changesets the writer tells what it changed
 * (changesets.h), and what reads that makes the lines. Prints one line of JSON; exit 1
 * if a row is missing.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/changesets.h"

#define NS_PER_S      INT64_C(1000000000)
#define READ_LEN      65536
#define LINE_LEN      8192
#define PATIENCE_MS   5000 /* without a line */
#define BUSY_SLEEP_NS 1000000

struct run {
	const char *path;
	const char *changesets; /* a named pipe; NULL: none */
	int64_t rate;           /* commits a second */
	int64_t count;
	int64_t *returned_ns; /* by id: when the commit had returned; 0 before */
	int64_t *line_ns;     /* by id: when the line was complete; 0 if none came */
	int64_t *stamp_ns;    /* by id: as the line has it */
	int64_t busy;
};

static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "latency: %s: %s\n", what, why);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void sleep_until(int64_t ns)
{
	struct timespec t = {ns / NS_PER_S, ns % NS_PER_S};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
	}
}

static void insert_stamp(struct run *run, sqlite3_stmt *insert, int64_t id)
{
	int rc;

	sqlite3_bind_int64(insert, 1, id);
	sqlite3_bind_int64(insert, 2, now_ns());
	while ((rc = sqlite3_step(insert)) != SQLITE_DONE) {
		if ((rc & 0xff) != SQLITE_BUSY) {
			fail("INSERT", sqlite3_errmsg(sqlite3_db_handle(insert)));
		}
		run->busy++;
		sqlite3_reset(insert);
		sleep_until(now_ns() + BUSY_SLEEP_NS);
	}
	sqlite3_reset(insert);
	run->returned_ns[id] = now_ns();
}

static void *write_rows(void *arg)
{
	struct run *run = arg;
	sqlite3 *db;
	sqlite3_stmt *insert;
	struct changesets *sets = NULL;
	unsigned seed = 7;
	int64_t step = NS_PER_S / run->rate;
	int64_t next = now_ns();

	if (sqlite3_open(run->path, &db) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA synchronous=NORMAL; DELETE FROM latency", NULL,
			 NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "INSERT INTO latency VALUES(?,?)", -1, &insert,
			       NULL) != SQLITE_OK) {
		fail(run->path, sqlite3_errmsg(db));
	}
	if (run->changesets != NULL) {
		sets = changesets_open(db, run->changesets);
	}
	for (int64_t id = 1; id <= run->count; id++) {
		next += step;
		sleep_until(next - step / 4 + rand_r(&seed) % (step / 2 + 1));
		changesets_begin(sets);
		insert_stamp(run, insert, id);
		changesets_send(sets);
	}
	changesets_close(sets);
	sqlite3_finalize(insert);
	sqlite3_close(db);
	return NULL;
}

/* The number after `name` in the line's new row; -1 if there is none. */
static int64_t number_after(const char *line, const char *name)
{
	const char *after = strstr(line, "\"after\":{");
	const char *at;

	after = after ? after : strstr(line, "\"new\":{"); /* of an audit log */
	at = after == NULL ? NULL : strstr(after, name);
	return at == NULL ? -1 : strtoll(at + strlen(name), NULL, 10);
}

/* Returns true for a line of ours that was not there before. */
static bool take_line(struct run *run, const char *line, int64_t now)
{
	int64_t id = number_after(line, "\"id\":");
	int64_t stamp = number_after(line, "\"stamp\":");

	if (id < 1 || id > run->count || stamp < 0 || run->line_ns[id] != 0) {
		return false;
	}
	run->line_ns[id] = now;
	run->stamp_ns[id] = stamp;
	return true;
}

static int64_t read_lines(struct run *run)
{
	static char bytes[READ_LEN];
	static char line[LINE_LEN];
	size_t line_len = 0;
	int64_t taken = 0;
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

	while (taken < run->count && poll(&in, 1, PATIENCE_MS) > 0) {
		ssize_t len = read(STDIN_FILENO, bytes, sizeof bytes);
		int64_t now = now_ns();

		if (len <= 0) {
			break;
		}
		for (ssize_t i = 0; i < len; i++) {
			if (bytes[i] != '\n') {
				line[line_len] = bytes[i];
				line_len += line_len < LINE_LEN - 1;
				continue;
			}
			line[line_len] = '\0';
			line_len = 0;
			taken += take_line(run, line, now);
		}
	}
	return taken;
}

static int compare_ns(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double at_part(const int64_t *ns, int64_t count, double part)
{
	int64_t i = (int64_t)((double)count * part);

	return count == 0 ? 0 : (double)ns[i < count ? i : count - 1] / 1e6;
}

static void report(struct run *run, int64_t taken)
{
	int64_t *begun = calloc((size_t)taken + 1, sizeof *begun);
	int64_t *done = calloc((size_t)taken + 1, sizeof *done);
	int64_t n = 0;

	if (begun == NULL || done == NULL) {
		fail("report", "out of memory");
	}
	for (int64_t id = 1; id <= run->count; id++) {
		if (run->line_ns[id] != 0) {
			begun[n] = run->line_ns[id] - run->stamp_ns[id];
			done[n++] = run->line_ns[id] - run->returned_ns[id];
		}
	}
	qsort(begun, (size_t)n, sizeof *begun, compare_ns);
	qsort(done, (size_t)n, sizeof *done, compare_ns);
	printf("{\"commits\":%lld,\"lines\":%lld,\"p50_ms\":%.4f,\"p99_ms\":%.4f,"
	       "\"max_ms\":%.4f,\"returned_p50_ms\":%.4f,\"returned_p99_ms\":%.4f,"
	       "\"busy\":%lld}\n",
	       (long long)run->count, (long long)n, at_part(begun, n, 0.5),
	       at_part(begun, n, 0.99), at_part(begun, n, 1.0), at_part(done, n, 0.5),
	       at_part(done, n, 0.99), (long long)run->busy);
	free(begun);
	free(done);
}

static void parse_arguments(int argc, char **argv, struct run *run)
{
	static const struct option options[] = {
	    {"rate", required_argument, NULL, 'r'},
	    {"count", required_argument, NULL, 'c'},
	    {"changesets", required_argument, NULL, 's'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			run->rate = strtoll(optarg, NULL, 10);
			break;
		case 'c':
			run->count = strtoll(optarg, NULL, 10);
			break;
		case 's':
			run->changesets = optarg;
			break;
		default:
			exit(2);
		}
	}
	if (optind != argc - 1 || run->rate < 1 || run->count < 1) {
		fprintf(stderr, "usage: latency DATABASE [--rate N] [--count N]\n");
		exit(2);
	}
	run->path = argv[optind];
}

int main(int argc, char **argv)
{
	struct run run = {.rate = 200, .count = 2000};
	pthread_t writer;
	int64_t taken;
	size_t room;

	parse_arguments(argc, argv, &run);
	room = (size_t)run.count + 1;
	run.returned_ns = calloc(room, sizeof *run.returned_ns);
	run.line_ns = calloc(room, sizeof *run.line_ns);
	run.stamp_ns = calloc(room, sizeof *run.stamp_ns);
	if (run.returned_ns == NULL || run.line_ns == NULL || run.stamp_ns == NULL ||
	    pthread_create(&writer, NULL, write_rows, &run) != 0) {
		fail("start", strerror(errno));
	}
	taken = read_lines(&run);
	pthread_join(writer, NULL);
	report(&run, taken);
	free(run.returned_ns);
	free(run.line_ns);
	free(run.stamp_ns);
	return taken == run.count ? 0 : 1;
}
