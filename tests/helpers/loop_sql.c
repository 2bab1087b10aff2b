/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/helpers/loop_sql.c -- an application that runs transactions until it is killed.
 *
 *     loop_sql DATABASE SQL COUNT PAUSE_US
 *
 * SQL is a file with one transaction a line: they are run in turn, again and again,
 * with a pause of PAUSE_US after each. How many were committed stands in the file
 * COUNT, eight bytes of this machine, written after each commit: what is counted there
 * may not be lost. The same program is written in other languages in tests/chaos.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX 4096
#define BUSY_MS   20000
#define US_PER_S  1000000
#define NS_PER_US 1000

static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "loop_sql: %s: %s\n", what, why);
	exit(1);
}

/* Into `lines`; how many there are. */
static size_t read_lines(const char *path, char **lines)
{
	FILE *source = fopen(path, "r");
	size_t total = 0;
	size_t cap = 0;

	if (!source) {
		fail(path, strerror(errno));
	}
	while (total < LINES_MAX) {
		lines[total] = NULL;
		cap = 0;
		if (getline(&lines[total], &cap, source) <= 0) {
			free(lines[total]);
			break;
		}
		total++;
	}
	(void)fclose(source);
	if (total == 0) {
		fail(path, "no transactions");
	}
	return total;
}

int main(int argc, char **argv)
{
	static char *lines[LINES_MAX];
	struct timespec pause = {0};
	uint64_t count = 0;
	long pause_us;
	size_t total;
	sqlite3 *db;
	int fd;

	if (argc != 5) {
		fail("usage", "loop_sql DATABASE SQL COUNT PAUSE_US");
	}
	total = read_lines(argv[2], lines);
	fd = open(argv[3], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	pause_us = strtol(argv[4], NULL, 10);
	pause.tv_sec = pause_us / US_PER_S;
	pause.tv_nsec = pause_us % US_PER_S * NS_PER_US;
	if (fd < 0 || sqlite3_open(argv[1], &db) != SQLITE_OK) {
		fail(argv[1], "cannot be opened");
	}
	(void)sqlite3_busy_timeout(db, BUSY_MS);
	for (size_t i = 0;; i = (i + 1) % total) {
		if (sqlite3_exec(db, lines[i], NULL, NULL, NULL) == SQLITE_OK) {
			count++;
			if (pwrite(fd, &count, sizeof count, 0) != sizeof count) {
				fail(argv[3], strerror(errno));
			}
		} else if (!sqlite3_get_autocommit(db)) {
			(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
		}
		(void)nanosleep(&pause, NULL);
	}
}
