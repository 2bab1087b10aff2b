/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/asked_snapshot.h -- one snapshot that was asked for, and how far it is.
 *
 * OWNERSHIP  asked_snapshot_new / asked_snapshot_free, with all that it has.
 * THREADS    No shared state.
 */
#ifndef ASKED_SNAPSHOT_H
#define ASKED_SNAPSHOT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/decode/chunk.h"

struct asked_table {
	char *name;
	size_t condition; /* of the conditions, from 1; 0: all rows */
};

struct asked_snapshot {
	char *id;
	bool is_blocking;
	struct asked_table *tables;
	size_t table_count;
	char **conditions; /* each once, as several tables may have one that is long */
	size_t condition_count;
	size_t bytes;         /* of all these as JSON, at most */
	size_t at;            /* the table at hand */
	bool is_begun;        /* `until` of it is known */
	uint64_t shape;       /* and of what kind its keys are */
	struct row_key after; /* the last row that was read */
	struct row_key until; /* the last one that is */
	uint64_t rows;        /* of the table at hand, given */
	uint64_t total;       /* of all tables, given */
	struct asked_snapshot *next;
};

/* Without tables. NULL: no memory. */
struct asked_snapshot *asked_snapshot_new(const char *id, bool is_blocking);
void asked_snapshot_free(struct asked_snapshot *asked); /* takes NULL */

/* False: no memory. `where`: NULL is all rows. */
bool asked_snapshot_add(struct asked_snapshot *asked, const char *table,
			const char *where) MUST_CHECK;
/* The condition of that table; NULL: all rows. */
const char *asked_snapshot_where(const struct asked_snapshot *asked, size_t table);
/* A table has another name; false: it is none of these, or there is no memory. */
bool asked_snapshot_rename(struct asked_snapshot *asked, const char *from,
			   const char *to);
/* Take that one out of the list. */
void asked_snapshot_drop(struct asked_snapshot *asked, size_t table);
/* The table at hand from its beginning. */
void asked_snapshot_rewind(struct asked_snapshot *asked);

/* As JSON, the caller's; NULL: no memory. */
json_t *asked_snapshot_json(const struct asked_snapshot *asked);
/* NULL: no memory, or it is none of ours. */
struct asked_snapshot *asked_snapshot_take(const json_t *json);

#endif
