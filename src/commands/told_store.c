/* SPDX-License-Identifier: Apache-2.0 */
#include "src/commands/told_store.h"

#include <stdlib.h>

enum statement {
	GET,
	PUT,
	MARK,
	TELL_BAG,
	HAVE_BAG,
	BEGIN_ROWS,
	BEGIN_BAGS,
	END_ROWS,
	END_BAGS,
	UNTOLD_BAGS,
	COUNT,
	NEXT,
	EACH,
	STATEMENTS,
};

/* ?1 is the table, ?2 the key or the content. */
static const char *const texts[STATEMENTS] = {
    [GET] = "SELECT is_there, bad, told, had, pass FROM rows"
	    " WHERE t = ?1 AND k = ?2",
    [PUT] = "INSERT INTO rows(t, k, is_there, told) VALUES (?1, ?2, ?3, ?4)"
	    " ON CONFLICT DO UPDATE SET told = ?4,"
	    " is_there = iif(is_there = 3 OR (?5 AND is_there), 3, ?3)",
    [MARK] = "INSERT INTO rows(t, k, is_there, pass, bad, had)"
	     " VALUES (?1, ?2, 0, ?3, ?4, ?5)"
	     " ON CONFLICT DO UPDATE SET pass = ?3, bad = ?4, had = ?5",
    [TELL_BAG] = "INSERT INTO bags(t, k, told, rowid_told)"
		 " VALUES (?1, ?2, max(?4, 0), ?3)"
		 " ON CONFLICT DO UPDATE SET told = max(told + ?4, 0),"
		 " rowid_told = ?3, bad = bad AND max(told + ?4, 0) <> had",
    [HAVE_BAG] =
	"INSERT INTO bags(t, k, told, had, rowid_had) VALUES (?1, ?2, 0, 1, ?3)"
	" ON CONFLICT DO UPDATE SET had = had + 1, rowid_had = ?3",
    [BEGIN_ROWS] = "UPDATE rows SET bad = 0, had = NULL WHERE bad",
    [BEGIN_BAGS] = "DELETE FROM bags",
    [END_ROWS] =
	"UPDATE rows SET bad = ?3 WHERE t = ?1 AND is_there IN (1, 2) AND pass <> ?2",
    [END_BAGS] = "UPDATE bags SET bad = 1 WHERE t = ?1"
		 " AND (told > had OR (?2 AND told < had))",
    [UNTOLD_BAGS] = "SELECT total(had - told) FROM bags WHERE t = ?1 AND had > told",
    [COUNT] = "SELECT count(*) FROM rows WHERE t = ?1 AND is_there IN (1, 2)",
    [EACH] = "SELECT k, 0, 0, is_there, bad, told, had FROM rows WHERE t = ?1"
	     " AND is_there",
    [NEXT] = "SELECT k, 0, 0, is_there, bad, told, had FROM rows WHERE t = ?1 AND bad"
	     " UNION ALL SELECT NULL, iif(told > had, rowid_told, rowid_had),"
	     " told - had, 0, bad, NULL, NULL FROM bags WHERE t = ?1 AND bad",
};

struct told_store {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	int64_t pass;
};

static enum status failed(const struct told_store *store, struct error *err)
{
	int rc = sqlite3_errcode(store->db);

	return rc == SQLITE_NOMEM
		   ? error_no_memory(err, "rows")
		   : error_set(err, ST_IO,
			       "what the log tells of rows needs a temporary file: %s; "
			       "SQLITE_TMPDIR names a folder with room",
			       sqlite3_errmsg(store->db));
}

/* It vanishes with the process, whatever ends that. */
enum status told_store_open(struct told_store **out, struct error *err)
{
	static const char start[] =
	    "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode="
	    "EXCLUSIVE; PRAGMA cache_size=-65536; PRAGMA page_size=8192;"
	    "CREATE TABLE rows(t INT, k BLOB, is_there INT, told BLOB,"
	    " pass INT NOT NULL DEFAULT 0, bad INT NOT NULL DEFAULT 0, had BLOB,"
	    " PRIMARY KEY(t, k)) WITHOUT ROWID;"
	    "CREATE TABLE bags(t INT, k BLOB, told INT, rowid_told INT,"
	    " had INT NOT NULL DEFAULT 0, rowid_had INT, bad INT NOT NULL DEFAULT 0,"
	    " PRIMARY KEY(t, k)) WITHOUT ROWID;"
	    "BEGIN";
	struct told_store *store = calloc(1, sizeof *store);
	int rc;

	if (!store) {
		return error_no_memory(err, "rows");
	}
	rc = sqlite3_open_v2("", &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
			     NULL);
	if (rc == SQLITE_OK) {
		rc = sqlite3_exec(store->db, start, NULL, NULL, NULL);
	}
	for (int i = 0; rc == SQLITE_OK && i < STATEMENTS; i++) {
		rc = sqlite3_prepare_v3(store->db, texts[i], -1,
					SQLITE_PREPARE_PERSISTENT,
					&store->statements[i], NULL);
	}
	if (rc != SQLITE_OK) {
		enum status status =
		    store->db ? failed(store, err) : error_no_memory(err, "rows");

		told_store_close(store);
		return status;
	}
	*out = store;
	return ST_OK;
}

void told_store_close(struct told_store *store)
{
	if (!store) {
		return;
	}
	for (int i = 0; i < STATEMENTS; i++) {
		(void)sqlite3_finalize(store->statements[i]);
	}
	(void)sqlite3_close(store->db);
	free(store);
}

/* Reset, with the table as ?1, and `key`, if it is there, as ?2. */
static sqlite3_stmt *use(struct told_store *store, enum statement which, uint32_t table,
			 struct span key)
{
	sqlite3_stmt *statement = store->statements[which];

	(void)sqlite3_reset(statement);
	(void)sqlite3_bind_int64(statement, 1, table);
	if (key.bytes) {
		(void)sqlite3_bind_blob64(statement, 2, key.bytes, key.len,
					  SQLITE_STATIC);
	}
	return statement;
}

static void bind_span(sqlite3_stmt *statement, int index, struct span span)
{
	(void)(span.bytes ? sqlite3_bind_blob64(statement, index, span.bytes, span.len,
						SQLITE_STATIC)
			  : sqlite3_bind_null(statement, index));
}

static struct span span_at(sqlite3_stmt *statement, int index)
{
	const char *bytes = sqlite3_column_blob(statement, index);
	int len = sqlite3_column_bytes(statement, index);
	bool is_null = sqlite3_column_type(statement, index) == SQLITE_NULL;

	return is_null ? (struct span){NULL, 0}
		       : (struct span){bytes ? bytes : "", (size_t)len};
}

static enum status run(struct told_store *store, sqlite3_stmt *statement,
		       struct error *err)
{
	int rc = sqlite3_step(statement);
	enum status status = rc == SQLITE_DONE ? ST_OK : failed(store, err);

	(void)sqlite3_reset(statement);
	return status;
}

enum status told_store_get(struct told_store *store, uint32_t table, struct span key,
			   struct told_row *out, struct error *err)
{
	sqlite3_stmt *statement = use(store, GET, table, key);
	int rc = sqlite3_step(statement);

	if (rc != SQLITE_ROW) {
		return rc == SQLITE_DONE ? ST_END : failed(store, err);
	}
	*out = (struct told_row){
	    .state = (enum told_state)sqlite3_column_int(statement, 0),
	    .bad = sqlite3_column_int(statement, 1),
	    .told = span_at(statement, 2),
	    .had = span_at(statement, 3),
	    .is_seen = sqlite3_column_int64(statement, 4) == store->pass};
	return ST_OK;
}

enum status told_store_put(struct told_store *store, uint32_t table, struct span key,
			   enum told_state state, bool is_new, struct span told,
			   struct error *err)
{
	sqlite3_stmt *statement = use(store, PUT, table, key);

	(void)sqlite3_bind_int(statement, 3, (int)state);
	bind_span(statement, 4, told);
	(void)sqlite3_bind_int(statement, 5, is_new);
	return run(store, statement, err);
}

enum status told_store_mark(struct told_store *store, uint32_t table, struct span key,
			    int bad, struct span had, struct error *err)
{
	sqlite3_stmt *statement = use(store, MARK, table, key);

	(void)sqlite3_bind_int64(statement, 3, store->pass);
	(void)sqlite3_bind_int(statement, 4, bad);
	bind_span(statement, 5, bad ? had : (struct span){NULL, 0});
	return run(store, statement, err);
}

enum status told_store_tell_bag(struct told_store *store, uint32_t table,
				const uint8_t content[16], int64_t rowid, int more,
				struct error *err)
{
	sqlite3_stmt *statement =
	    use(store, TELL_BAG, table, (struct span){(const char *)content, 16});

	(void)sqlite3_bind_int64(statement, 3, rowid);
	(void)sqlite3_bind_int(statement, 4, more);
	return run(store, statement, err);
}

enum status told_store_have_bag(struct told_store *store, uint32_t table,
				const uint8_t content[16], int64_t rowid,
				struct error *err)
{
	sqlite3_stmt *statement =
	    use(store, HAVE_BAG, table, (struct span){(const char *)content, 16});

	(void)sqlite3_bind_int64(statement, 3, rowid);
	return run(store, statement, err);
}

enum status told_store_begin(struct told_store *store, struct error *err)
{
	enum status status = run(store, store->statements[BEGIN_ROWS], err);

	store->pass++;
	return status == ST_OK ? run(store, store->statements[BEGIN_BAGS], err)
			       : status;
}

enum status told_store_end_rows(struct told_store *store, uint32_t table,
				struct error *err)
{
	sqlite3_stmt *statement = use(store, END_ROWS, table, (struct span){NULL, 0});

	(void)sqlite3_bind_int64(statement, 2, store->pass);
	(void)sqlite3_bind_int(statement, 3, TOLD_MISSING);
	return run(store, statement, err);
}

enum status told_store_end_bags(struct told_store *store, uint32_t table, bool is_whole,
				uint64_t *untold, struct error *err)
{
	const struct span none = {NULL, 0};
	sqlite3_stmt *statement = use(store, END_BAGS, table, none);

	(void)sqlite3_bind_int(statement, 2, is_whole);
	if (run(store, statement, err) != ST_OK) {
		return err->status;
	}
	if (is_whole) {
		return ST_OK;
	}
	statement = use(store, UNTOLD_BAGS, table, none);
	if (sqlite3_step(statement) != SQLITE_ROW) {
		return failed(store, err);
	}
	*untold += (uint64_t)sqlite3_column_int64(statement, 0);
	(void)sqlite3_reset(statement);
	return ST_OK;
}

enum status told_store_count(struct told_store *store, uint32_t table, uint64_t *count,
			     struct error *err)
{
	sqlite3_stmt *statement = use(store, COUNT, table, (struct span){NULL, 0});

	if (sqlite3_step(statement) != SQLITE_ROW) {
		return failed(store, err);
	}
	*count = (uint64_t)sqlite3_column_int64(statement, 0);
	(void)sqlite3_reset(statement);
	return ST_OK;
}

static enum status next(struct told_store *store, enum statement which, uint32_t table,
			struct told_bad *out, struct error *err)
{
	sqlite3_stmt *statement = store->statements[which];
	int rc;

	if (!sqlite3_stmt_busy(statement)) {
		statement = use(store, which, table, (struct span){NULL, 0});
	}
	rc = sqlite3_step(statement);
	if (rc != SQLITE_ROW) {
		(void)sqlite3_reset(statement);
		return rc == SQLITE_DONE ? ST_END : failed(store, err);
	}
	*out = (struct told_bad){
	    .key = span_at(statement, 0),
	    .rowid = sqlite3_column_int64(statement, 1),
	    .more = sqlite3_column_int64(statement, 2),
	    .row = {.state = (enum told_state)sqlite3_column_int(statement, 3),
		    .bad = sqlite3_column_int(statement, 4),
		    .told = span_at(statement, 5),
		    .had = span_at(statement, 6)},
	};
	return ST_OK;
}

enum status told_store_next(struct told_store *store, uint32_t table,
			    struct told_bad *out, struct error *err)
{
	return next(store, NEXT, table, out, err);
}

enum status told_store_next_told(struct told_store *store, uint32_t table,
				 struct told_bad *out, struct error *err)
{
	return next(store, EACH, table, out, err);
}

void told_store_reset(struct told_store *store)
{
	(void)sqlite3_reset(store->statements[NEXT]);
	(void)sqlite3_reset(store->statements[EACH]);
}
