/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/peers/changeset_lines.c -- changesets out of a pipe, as lines of JSON.
 *
 *     changeset_lines DATABASE PIPE
 *
 * The names of columns, which a changeset has not, are taken from DATABASE at the
 * start. Of an update there are the columns of the key and those that changed, as that
 * is all the session extension tells. Goes on until it is ended or nobody reads its
 * lines.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/changesets.h"

#define TABLES_MAX  16
#define COLUMNS_MAX 16
#define NAME_LEN    64
#define OUT_LEN     (1 << 16)

struct table {
	char name[NAME_LEN];
	char columns[COLUMNS_MAX][NAME_LEN];
};

struct reader {
	sqlite3 *db;
	struct table tables[TABLES_MAX];
	int table_count;
	int fd;
};

static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "changeset_lines: %s: %s\n", what, why);
	exit(1);
}

static const struct table *table_of(struct reader *r, const char *name)
{
	struct table *table;
	sqlite3_stmt *stmt;

	for (int i = 0; i < r->table_count; i++) {
		if (strcmp(r->tables[i].name, name) == 0) {
			return &r->tables[i];
		}
	}
	if (r->table_count == TABLES_MAX ||
	    sqlite3_prepare_v2(r->db, "SELECT name FROM pragma_table_info(?)", -1,
			       &stmt, NULL) != SQLITE_OK) {
		fail(name, sqlite3_errmsg(r->db));
	}
	table = &r->tables[r->table_count++];
	snprintf(table->name, NAME_LEN, "%s", name);
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	for (int i = 0; i < COLUMNS_MAX && sqlite3_step(stmt) == SQLITE_ROW; i++) {
		snprintf(table->columns[i], NAME_LEN, "%s",
			 (const char *)sqlite3_column_text(stmt, 0));
	}
	sqlite3_finalize(stmt);
	return table;
}

static void put_text(const char *text, int len)
{
	putc_unlocked('"', stdout);
	for (int i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20) {
			printf("\\u%04x", c);
			continue;
		}
		if (c == '"' || c == '\\') {
			putc_unlocked('\\', stdout);
		}
		putc_unlocked(c, stdout);
	}
	putc_unlocked('"', stdout);
}

static void put_value(sqlite3_value *value)
{
	char number[40];

	switch (sqlite3_value_type(value)) {
	case SQLITE_INTEGER:
		sqlite3_snprintf(sizeof number, number, "%lld",
				 sqlite3_value_int64(value));
		fputs_unlocked(number, stdout);
		break;
	case SQLITE_FLOAT:
		sqlite3_snprintf(sizeof number, number, "%!.15g",
				 sqlite3_value_double(value));
		fputs_unlocked(number, stdout);
		break;
	case SQLITE_TEXT:
		put_text((const char *)sqlite3_value_text(value),
			 sqlite3_value_bytes(value));
		break;
	default: /* the tables of the figures have no BLOB that is changed */
		fputs_unlocked("null", stdout);
		break;
	}
}

typedef int value_of(sqlite3_changeset_iter *iter, int column, sqlite3_value **value);

static void put_row(sqlite3_changeset_iter *iter, const struct table *table,
		    int columns, value_of *get)
{
	bool is_first = true;
	sqlite3_value *value;

	putc_unlocked('{', stdout);
	for (int i = 0; i < columns && i < COLUMNS_MAX; i++) {
		if (get(iter, i, &value) != SQLITE_OK || value == NULL) {
			continue; /* did not change */
		}
		if (!is_first) {
			putc_unlocked(',', stdout);
		}
		is_first = false;
		putc_unlocked('"', stdout);
		fputs_unlocked(table->columns[i], stdout);
		fputs_unlocked("\":", stdout);
		put_value(value);
	}
	putc_unlocked('}', stdout);
}

static void put_change(struct reader *r, sqlite3_changeset_iter *iter)
{
	const char *name;
	int columns;
	int op;
	int is_indirect;
	const struct table *table;

	sqlite3changeset_op(iter, &name, &columns, &op, &is_indirect);
	table = table_of(r, name);
	fputs_unlocked("{\"op\":\"", stdout);
	putc_unlocked(op == SQLITE_INSERT   ? 'c'
		      : op == SQLITE_UPDATE ? 'u'
					    : 'd',
		      stdout);
	fputs_unlocked("\",\"table\":\"", stdout);
	fputs_unlocked(name, stdout);
	fputs_unlocked("\",\"before\":", stdout);
	if (op == SQLITE_INSERT) {
		fputs_unlocked("null", stdout);
	} else {
		put_row(iter, table, columns, sqlite3changeset_old);
	}
	fputs_unlocked(",\"after\":", stdout);
	if (op == SQLITE_DELETE) {
		fputs_unlocked("null", stdout);
	} else {
		put_row(iter, table, columns, sqlite3changeset_new);
	}
	fputs_unlocked("}\n", stdout);
}

static void put_changeset(struct reader *r, void *bytes, int len)
{
	sqlite3_changeset_iter *iter;

	if (sqlite3changeset_start(&iter, len, bytes) != SQLITE_OK) {
		fail("changeset", "cannot be read");
	}
	while (sqlite3changeset_next(iter) == SQLITE_ROW) {
		put_change(r, iter);
	}
	if (sqlite3changeset_finalize(iter) != SQLITE_OK) {
		fail("changeset", "is damaged");
	}
}

static void read_all(int fd, void *bytes, size_t len)
{
	char *at = bytes;

	while (len > 0) {
		ssize_t done = read(fd, at, len);

		if (done == 0 || (done < 0 && errno != EINTR)) {
			fail("pipe", done == 0 ? "ended" : strerror(errno));
		}
		at += done > 0 ? done : 0;
		len -= done > 0 ? (size_t)done : 0;
	}
}

int main(int argc, char **argv)
{
	static char out[OUT_LEN];
	struct reader r = {.table_count = 0};
	int64_t len;
	void *bytes = NULL;

	if (argc != 3) {
		fprintf(stderr, "usage: changeset_lines DATABASE PIPE\n");
		return 2;
	}
	if (sqlite3changeset_start == NULL) {
		fail("SQLite", "is without the session extension");
	}
	if (sqlite3_open_v2(argv[1], &r.db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK) {
		fail(argv[1], sqlite3_errmsg(r.db));
	}
	table_of(&r, "t");
	table_of(&r, "latency");
	sqlite3_close(r.db);
	r.db = NULL;
	setvbuf(stdout, out, _IOFBF, sizeof out);
	r.fd = open(argv[2], O_RDWR | O_CLOEXEC); /* so it does not end with a writer */
	if (r.fd < 0) {
		fail(argv[2], strerror(errno));
	}
	fprintf(stderr, "changeset_lines: reading\n");
	for (;;) {
		read_all(r.fd, &len, sizeof len);
		bytes = realloc(bytes, (size_t)len + 1);
		if (bytes == NULL) {
			fail("changeset", "out of memory");
		}
		read_all(r.fd, bytes, (size_t)len);
		put_changeset(&r, bytes, (int)len);
		if (fflush(stdout) != 0) {
			return 0;
		}
	}
}
