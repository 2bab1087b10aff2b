/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/temp_database.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check(struct temp_database *t, int rc, const char *what)
{
	if (rc != SQLITE_OK) {
		fprintf(stderr, "temp_database: %s: %s\n", what, sqlite3_errmsg(t->db));
		abort();
	}
}

struct database_shape database_shape(size_t index)
{
	static const int page_sizes[] = {512, 1024, 4096, 65536};

	return (struct database_shape){
	    .page_size = page_sizes[index / 6 % 4],
	    .reserved = index / 3 % 2 ? 32 : 0,
	    .auto_vacuum = (int)(index % 3),
	};
}

static void make_folder(struct temp_database *t)
{
	const char *parent = getenv("TMPDIR");

	(void)snprintf(t->folder, sizeof t->folder, "%s/rowtail-test-XXXXXX",
		       parent ? parent : "/tmp");
	if (!mkdtemp(t->folder)) {
		perror(t->folder);
		abort();
	}
	(void)snprintf(t->path, sizeof t->path, "%s/db", t->folder);
}

void temp_database_open(struct temp_database *t, const struct database_shape *shape)
{
	make_folder(t);
	check(t, sqlite3_open(t->path, &t->db), "open");
	if (shape->page_size) { /* before all else: reading the schema settles it */
		temp_database_sql(t, "pragma page_size=%d", shape->page_size);
	}
	if (shape->reserved) {
		int bytes = shape->reserved;

		check(t,
		      sqlite3_file_control(t->db, "main", SQLITE_FCNTL_RESERVE_BYTES,
					   &bytes),
		      "reserve bytes");
	}
	temp_database_sql(t, "pragma auto_vacuum=%d; pragma encoding='%s';",
			  shape->auto_vacuum,
			  shape->encoding ? shape->encoding : "UTF-8");
	temp_database_sql(t, "pragma synchronous=off; pragma journal_mode=memory;"
			     "pragma user_version=1");
}

void temp_database_close(struct temp_database *t)
{
	check(t, sqlite3_close(t->db), "close");
	(void)unlink(t->path);
	(void)rmdir(t->folder);
}

void temp_database_sql(struct temp_database *t, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = sqlite3_vmprintf(fmt, args);
	va_end(args);
	check(t, sqlite3_exec(t->db, text, NULL, NULL, NULL), text);
	sqlite3_free(text);
}

int64_t temp_database_number(struct temp_database *t, const char *query)
{
	sqlite3_stmt *statement;
	int64_t number;

	check(t, sqlite3_prepare_v2(t->db, query, -1, &statement, NULL), query);
	if (sqlite3_step(statement) != SQLITE_ROW) {
		check(t, SQLITE_ERROR, query);
	}
	number = sqlite3_column_int64(statement, 0);
	check(t, sqlite3_finalize(statement), query);
	return number;
}

struct memory_source *temp_database_read(struct temp_database *t)
{
	struct memory_source *source;
	struct error err;

	if (memory_source_open(t->path, &source, &err) != ST_OK) {
		fprintf(stderr, "temp_database: %s\n", err.text);
		abort();
	}
	return source;
}

void temp_database_fill(struct temp_database *t, int rows)
{
	int page = (int)temp_database_number(t, "pragma page_size");

	temp_database_sql(t, "create table t(a, b, c, d);"
			     "create index t_b on t(b, c);"
			     "create table w(k, v, primary key(k)) without rowid;");
	temp_database_sql(
	    t,
	    "begin;"
	    "with recursive n(i) as (select 1 union all select i+1 from n where i<%d)"
	    " insert into t select (i-%d)*(i*i*i*i*i*i), printf('%%.*c', i*7%%60, 'x'),"
	    " i*0.25, case i%%5 when 0 then null when 1 then i%%2"
	    " when 2 then zeroblob(i%%130) else 'text '||i end from n;"
	    "with recursive n(i) as (select 1 union all select i+1 from n where i<%d)"
	    " insert into w select printf('%%.*c%%d', i%%90, 'k', i), i from n;"
	    "commit",
	    rows, rows / 2, rows);
	/* Payloads around every number of bytes where the place of a byte changes. */
	temp_database_sql(
	    t,
	    "begin;"
	    "with recursive n(i) as (select 1 union all select i+1 from n where i<48)"
	    " insert into t(a, d) select i, zeroblob(%d + i - 16) from n;"
	    "with recursive n(i) as (select 1 union all select i+1 from n where i<48)"
	    " insert into t(a, b) select i,"
	    "  printf('%%.*c', (%d-12)*64/255 - 23 + i - 32, 'y') from n;"
	    "insert into t(a, d) values (-1, zeroblob(%d*3)), (-2, zeroblob(%d*9+7));"
	    "create table gone(x);"
	    "with recursive n(i) as (select 1 union all select i+1 from n where i<20)"
	    " insert into gone select zeroblob(%d) from n;"
	    "commit;"
	    "drop table gone;"
	    "delete from t where rowid %% 7 = 3",
	    page - 64, page, page, page, page);
}
