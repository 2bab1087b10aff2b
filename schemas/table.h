/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/table.h -- what rowtail knows of one table at one moment.
 *
 * Filled by schemas/catalog.c from SQLite's own PRAGMAs; everything that reads
 * or prints rows works from it.
 *
 * OWNERSHIP  All pointers belong to the catalog the table came from.
 * THREADS    Read-only after catalog_read.
 */
#ifndef SCHEMAS_TABLE_H
#define SCHEMAS_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "btree/db_header.h"
#include "btree/value.h"

/* fileformat2.html / datatype3.html section 3.1 "Determination Of Column Affinity" */
enum affinity {
	AFFINITY_BLOB, /* also: no type */
	AFFINITY_TEXT,
	AFFINITY_NUMERIC,
	AFFINITY_INTEGER,
	AFFINITY_REAL,
};

enum generated { GENERATED_NO, GENERATED_VIRTUAL, GENERATED_STORED };

struct column {
	const char *name;          /* UTF-8, as declared */
	const char *declared_type; /* UTF-8, "" if none */
	const char *default_sql;   /* text of the DEFAULT expression; NULL if none */
	enum affinity affinity;
	enum generated generated;
	bool not_null;
	bool is_unique;    /* a UNIQUE index is on it, or may be: one with an expression
			    * or a WHERE counts for every column */
	int key_position;  /* 1-based place in the primary key; 0: not in it */
	int storage_index; /* place in the stored record; -1: not stored
			    * (virtual generated column) */
	bool is_rowid;     /* INTEGER PRIMARY KEY: stored as NULL, value is the rowid */
	struct value missing; /* what a record too short to have it reads as: the
			       * DEFAULT evaluated by SQLite with affinity, or NULL;
			       * TEXT in the database's encoding; bytes owned by the
			       * catalog */
};

enum collation {
	COLLATION_BINARY,
	COLLATION_NOCASE,
	COLLATION_RTRIM,
	COLLATION_OTHER, /* not built in: the application's */
};

/* How one value of a key is ordered in the tree of a WITHOUT ROWID table. */
struct key_order {
	enum collation collation;
	bool is_descending;
};

struct computed; /* schemas/computed.h: evaluates virtual generated columns */

struct table {
	const char *name;      /* UTF-8, as declared */
	const char *sort_name; /* ASCII lower case */
	const char *sql;       /* CREATE TABLE statement as stored */
	uint32_t root_page;
	bool without_rowid;
	bool strict;
	bool has_virtual_columns;
	bool has_autoincrement; /* its INTEGER PRIMARY KEY is AUTOINCREMENT */
	bool has_index;         /* any index, the automatic ones included */
	enum text_encoding encoding;
	uint32_t column_count;
	struct column *columns; /* declaration order */
	uint32_t stored_count;  /* columns in a full record */
	uint32_t *stored;       /* storage_index -> column; stored_count of them */
	uint32_t key_count;     /* 0: no primary key */
	uint32_t *key_columns; /* column numbers in primary key order; a column that the
				* key names twice stands once */
	uint32_t tree_key_count; /* WITHOUT ROWID: the tree is ordered by so many of the
				  * first stored values; else 0. May be more than
				  * key_count: one column by two collations */
	struct key_order *tree_key; /* tree_key_count of them */
	const char *left_out; /* why no events come from it; NULL: it is captured */
	bool is_undecided;    /* left out as nobody knows whether it is wanted: an error
			       * at start */
	bool is_context; /* of transaction.context.table: its rows are no events; set by
			  * who delivers */
	struct computed *computed; /* NULL without virtual generated columns */
};

#endif
