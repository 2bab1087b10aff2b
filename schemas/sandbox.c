/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/sandbox.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "btree/page.h"
#include "src/base/bytes.h"

#define PAGE_SIZE  4096
#define PAGE_COUNT 3

/* Virtual machine steps between two calls of is_hung, and how many calls are too many.
 * The longest honest statement here computes some thousand columns of one row. */
#define STEPS_PER_TICK 1000000
#define TICKS_MAX      50

static int compare_bytes(void *context, int a_len, const void *a, int b_len,
			 const void *b)
{
	int order = memcmp(a, b, (size_t)(a_len < b_len ? a_len : b_len));

	(void)context;
	return order ? order : (a_len > b_len) - (a_len < b_len);
}

static void add_collation(void *context, sqlite3 *db, int encoding, const char *name)
{
	(void)context;
	(void)sqlite3_create_collation_v2(db, name, encoding, NULL, compare_bytes,
					  NULL);
}

static int is_hung(void *context)
{
	struct sandbox *sandbox = context;

	return ++sandbox->ticks > TICKS_MAX;
}

enum status sandbox_error(sqlite3 *db, int rc, struct error *err)
{
	/* sqlite3_deserialize says SQLITE_ERROR when memory ran out. */
	if (rc == SQLITE_NOMEM || rc == SQLITE_IOERR_NOMEM || !db ||
	    sqlite3_errcode(db) == SQLITE_NOMEM) {
		return error_no_memory(err, "SQLite");
	}
	return error_set(err, ST_CORRUPT, "SQLite: %s", sqlite3_errmsg(db));
}

enum status sandbox_relax(sqlite3 *db, struct error *err)
{
	static const struct {
		int option, value;
	} settings[] = {
	    {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1},
	    {SQLITE_DBCONFIG_DEFENSIVE, 0},
	    /* Without trust SQLite 3.40 refuses its own "->>" in a generated column;
	     * functions that do more than compute are refused either way. */
	    {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1},
	    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
	    {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
	    {SQLITE_DBCONFIG_ENABLE_FKEY, 0},
	};
	int rc;

	for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
		rc = sqlite3_db_config(db, settings[i].option, settings[i].value, NULL);
		if (rc != SQLITE_OK) {
			return sandbox_error(db, rc, err);
		}
	}
	rc = sqlite3_collation_needed(db, NULL, add_collation);
	if (rc != SQLITE_OK) {
		return sandbox_error(db, rc, err);
	}
	return ST_OK;
}

/* A b-tree page with `cells` 0 or 1 cells of `size` bytes at its end. */
static void put_page(uint8_t *page, size_t header_offset, enum page_kind kind,
		     const uint8_t *cell, size_t size)
{
	uint8_t *p = page + header_offset;
	/* A cell takes at least 4 bytes. */
	uint16_t content = (uint16_t)(PAGE_SIZE - (size == 0 ? 0 : 4));

	p[0] = (uint8_t)kind;
	put_u16be(p + 3, size > 0);
	put_u16be(p + 5, content);
	if (size > 0) {
		put_u16be(p + 8, content);
		memcpy(page + content, cell, size);
	}
}

/* The three pages of the database; fileformat2.html section 1.3 and 1.6. */
static void put_image(uint8_t *image, enum text_encoding encoding)
{
	/* Payload bytes, then the rowid; a record whose header has no bytes at all is
	 * how SQLite takes one without columns. */
	static const uint8_t table_cell[] = {1, 1, 0};
	static const uint8_t index_cell[] = {1, 0};

	memset(image, 0, (size_t)PAGE_SIZE * PAGE_COUNT);
	memcpy(image, "SQLite format 3", 16);
	put_u16be(image + 16, PAGE_SIZE);
	image[DB_WRITE_FORMAT] = 1;
	image[DB_READ_FORMAT] = 1;
	image[21] = 64;
	image[22] = 32;
	image[23] = 32;
	put_u32be(image + 24, 1);          /* change counter */
	put_u32be(image + 28, PAGE_COUNT); /* pages */
	put_u32be(image + 40, 1);          /* schema cookie */
	put_u32be(image + 44, 4);          /* schema format */
	put_u32be(image + 56, (uint32_t)encoding);
	put_u32be(image + 92, 1); /* change counter that the size is valid for */
	put_u32be(image + 96, 3040001);
	put_page(image, DB_HEADER_SIZE, PAGE_TABLE_LEAF, NULL, 0);
	put_page(image + PAGE_SIZE, 0, PAGE_TABLE_LEAF, table_cell, sizeof table_cell);
	put_page(image + 2 * (size_t)PAGE_SIZE, 0, PAGE_INDEX_LEAF, index_cell,
		 sizeof index_cell);
}

static int load_image(sqlite3 *db, enum text_encoding encoding)
{
	sqlite3_int64 size = (sqlite3_int64)PAGE_SIZE * PAGE_COUNT;
	unsigned char *image = sqlite3_malloc64((sqlite3_uint64)size);

	if (!image) {
		return SQLITE_NOMEM;
	}
	put_image(image, encoding);
	/* From here on SQLite frees the image, also when it fails. */
	return sqlite3_deserialize(db, "main", image, size, size,
				   SQLITE_DESERIALIZE_FREEONCLOSE |
				       SQLITE_DESERIALIZE_RESIZEABLE);
}

static enum status open_database(struct sandbox *sandbox, struct error *err)
{
	static const char start[] = "PRAGMA journal_mode=MEMORY;"
				    "PRAGMA temp_store=MEMORY;"
				    "PRAGMA synchronous=OFF;"
				    "PRAGMA cache_spill=OFF;"
				    "PRAGMA ignore_check_constraints=ON;"
				    "BEGIN";
	int rc = sqlite3_open_v2(
	    ":memory:", &sandbox->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK) {
		sqlite3_progress_handler(sandbox->db, STEPS_PER_TICK, is_hung, sandbox);
		rc = load_image(sandbox->db, sandbox->encoding);
	}
	if (rc != SQLITE_OK) {
		return sandbox_error(sandbox->db, rc, err);
	}
	if (sandbox_relax(sandbox->db, err) != ST_OK) {
		return err->status;
	}
	rc = sqlite3_exec(sandbox->db, start, NULL, NULL, NULL);
	if (rc == SQLITE_OK) {
		rc = sqlite3_prepare_v2(sandbox->db,
					"INSERT INTO sqlite_schema"
					"(type, name, tbl_name, rootpage, sql)"
					" VALUES(?1, ?2, ?3, ?4, ?5)",
					-1, &sandbox->add, NULL);
	}
	return rc == SQLITE_OK ? ST_OK : sandbox_error(sandbox->db, rc, err);
}

enum status sandbox_open(enum text_encoding encoding, struct sandbox **out,
			 struct error *err)
{
	struct sandbox *sandbox = calloc(1, sizeof *sandbox);

	if (!sandbox) {
		return error_no_memory(err, "a schema");
	}
	sandbox->encoding = encoding;
	if (open_database(sandbox, err) != ST_OK) {
		sandbox_close(sandbox);
		return err->status;
	}
	*out = sandbox;
	return ST_OK;
}

void sandbox_close(struct sandbox *sandbox)
{
	if (sandbox) {
		(void)sqlite3_finalize(sandbox->add);
		(void)sqlite3_close(sandbox->db);
		free(sandbox);
	}
}

enum status sandbox_add(struct sandbox *sandbox, const char *type, const char *name,
			const char *table_name, uint32_t root_page, const char *sql,
			struct error *err)
{
	const char *texts[] = {type, name, table_name, NULL, sql};
	sqlite3_stmt *add = sandbox->add;
	int rc = SQLITE_OK;

	for (int i = 0; i < 5 && rc == SQLITE_OK; i++) {
		if (i == 3) {
			rc = sqlite3_bind_int64(add, i + 1, root_page);
		} else {
			rc = sqlite3_bind_text(add, i + 1, texts[i], -1, SQLITE_STATIC);
		}
	}
	if (rc == SQLITE_OK) {
		(void)sqlite3_step(add);
		rc = sqlite3_reset(add);
	}
	return rc == SQLITE_OK ? ST_OK : sandbox_error(sandbox->db, rc, err);
}

/* Bound to an open sandbox; see sandbox_load. */
static int authorize(void *context, int action, const char *first, const char *second,
		     const char *database, const char *trigger)
{
	static const char *const pragmas[] = {"table_list", "table_xinfo", "index_list",
					      "index_xinfo"};

	(void)context;
	(void)database;
	(void)trigger;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_INSERT:
	case SQLITE_DELETE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		return sqlite3_stricmp(second, "load_extension") == 0 ? SQLITE_DENY
								      : SQLITE_OK;
	case SQLITE_PRAGMA:
		for (size_t i = 0; i < sizeof pragmas / sizeof pragmas[0]; i++) {
			if (sqlite3_stricmp(first, pragmas[i]) == 0) {
				return SQLITE_OK;
			}
		}
		return SQLITE_DENY;
	default:
		return SQLITE_DENY;
	}
}

/* End the adding, and forget what was parsed so far. WRITABLE_SCHEMA is off then. */
static int reset_schema(struct sandbox *sandbox)
{
	int rc = SQLITE_OK;

	(void)sqlite3_finalize(sandbox->add);
	sandbox->add = NULL;
	if (!sqlite3_get_autocommit(sandbox->db)) {
		rc = sqlite3_exec(sandbox->db, "COMMIT", NULL, NULL, NULL);
	}
	if (rc == SQLITE_OK) {
		rc = sqlite3_exec(sandbox->db, "PRAGMA writable_schema=RESET", NULL,
				  NULL, NULL);
	}
	return rc;
}

/* The first statement that reads a table makes SQLite parse the schema. */
static const char parse_schema[] = "SELECT 1 FROM sqlite_schema LIMIT 1";

enum status sandbox_check(struct sandbox *sandbox, struct error *err)
{
	int rc = reset_schema(sandbox);

	if (rc == SQLITE_OK) {
		rc = sqlite3_exec(sandbox->db, parse_schema, NULL, NULL, NULL);
	}
	return rc == SQLITE_OK ? ST_OK : sandbox_error(sandbox->db, rc, err);
}

enum status sandbox_load(struct sandbox *sandbox, struct error *err)
{
	sqlite3 *db = sandbox->db;
	int rc = reset_schema(sandbox);

	if (rc != SQLITE_OK) {
		return sandbox_error(db, rc, err);
	}
	if (sandbox_relax(db, err) != ST_OK) {
		return err->status;
	}
	rc = sqlite3_exec(db, parse_schema, NULL, NULL, NULL);
	if (rc == SQLITE_OK) {
		rc = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
	}
	if (rc == SQLITE_OK) {
		/* The modules' shadow tables are marked by now; without the modules
		 * no virtual table is ever connected to. */
		rc = sqlite3_drop_modules(db, NULL);
	}
	if (rc == SQLITE_OK) {
		rc = sqlite3_set_authorizer(db, authorize, NULL);
	}
	return rc == SQLITE_OK ? ST_OK : sandbox_error(db, rc, err);
}

enum status sandbox_prepare(struct sandbox *sandbox, char *sql, sqlite3_stmt **out,
			    struct error *err)
{
	int rc;

	if (!sql) {
		return error_no_memory(err, "a statement");
	}
	rc = sqlite3_prepare_v2(sandbox->db, sql, -1, out, NULL);
	sqlite3_free(sql);
	return rc == SQLITE_OK ? ST_OK : sandbox_error(sandbox->db, rc, err);
}

enum status sandbox_step(struct sandbox *sandbox, sqlite3_stmt *statement,
			 struct error *err)
{
	int rc = sqlite3_step(statement);

	if (rc == SQLITE_ROW) {
		return ST_OK;
	}
	return rc == SQLITE_DONE ? ST_END : sandbox_error(sandbox->db, rc, err);
}

const char *sandbox_text(sqlite3_stmt *statement, int index)
{
	const unsigned char *text = sqlite3_column_text(statement, index);

	return text ? (const char *)text : "";
}

/* TEXT in the encoding nearest to the database's that a column can be had in. */
static void text_value(struct sandbox *sandbox, sqlite3_stmt *statement, int index,
		       struct value *out)
{
	if (sandbox->encoding == TEXT_UTF8) {
		out->bytes = sqlite3_column_text(statement, index);
		out->len = (uint32_t)sqlite3_column_bytes(statement, index);
	} else {
		out->bytes = sqlite3_column_text16(statement, index);
		out->len = (uint32_t)sqlite3_column_bytes16(statement, index);
	}
}

enum status sandbox_value(struct sandbox *sandbox, sqlite3_stmt *statement, int index,
			  struct value *out, struct error *err)
{
	struct value v = {.class = VALUE_NULL};

	switch (sqlite3_column_type(statement, index)) {
	case SQLITE_INTEGER:
		v.class = VALUE_INTEGER;
		v.integer = sqlite3_column_int64(statement, index);
		break;
	case SQLITE_FLOAT:
		v.class = VALUE_REAL;
		v.real = sqlite3_column_double(statement, index);
		break;
	case SQLITE_TEXT:
		v.class = VALUE_TEXT;
		text_value(sandbox, statement, index, &v);
		break;
	case SQLITE_BLOB:
		v.class = VALUE_BLOB;
		v.bytes = sqlite3_column_blob(statement, index);
		v.len = (uint32_t)sqlite3_column_bytes(statement, index);
		if (v.len == 0) {
			v.bytes = (const uint8_t *)"";
		}
		break;
	default:
		break;
	}
	if ((v.class == VALUE_TEXT || v.class == VALUE_BLOB) && !v.bytes) {
		return error_no_memory(err, "a value");
	}
	*out = v;
	return ST_OK;
}

void sandbox_copy(const struct sandbox *sandbox, const struct value *value, uint8_t *to)
{
	const bool is_little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
	const enum text_encoding native = is_little ? TEXT_UTF16LE : TEXT_UTF16BE;

	if (value->class != VALUE_TEXT || sandbox->encoding == TEXT_UTF8 ||
	    sandbox->encoding == native) {
		memcpy(to, value->bytes, value->len);
		return;
	}
	for (uint32_t i = 0; i + 1 < value->len; i += 2) {
		to[i] = value->bytes[i + 1];
		to[i + 1] = value->bytes[i];
	}
}
