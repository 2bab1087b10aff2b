/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/decode/chunk.h -- the rows of one table, some at a time, as op "r".
 *
 * Rows come in the order of the table's tree. A chunk begins behind a key and does not
 * read what lies before it, so that it costs what it gives; the next one may be read
 * from another moment of the database. A row that is there all the time then comes
 * exactly once, one that comes or goes between chunks at most once.
 *
 * How far a chunk goes is a matter of its rows alone, so that the same one can be read
 * from the same moment once more.
 *
 * A table whose order is not known (row_key_order_is_known) is read whole.
 *
 * OWNERSHIP  What a struct chunk_ask points to is borrowed for the call.
 * THREADS    One thread per page source.
 * ERRORS     ST_CORRUPT names the table; also rows that are not in the order of their
 *            keys. ST_LOST: a key does not fit the table, which was made anew; its rows
 *            must be read from the first one. ST_CONFIG: the filter (schemas/
 *            row_filter.h). The page source's own, those of `change`.
 */
#ifndef CHUNK_H
#define CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "btree/page_source.h"
#include "schemas/change.h"
#include "schemas/row_key.h"

/* A chunk ends with the row that makes it so long: transactions wait meanwhile. */
#define CHUNK_BYTES (1u << 20)

/* Can its rows be read some at a time? */
bool chunk_is_possible(const struct table *table);

/* The key of the last row; not set: the table is empty. `out` is initialised. */
enum status chunk_last_key(struct page_source *source, const struct table *table,
			   struct row_key *out, struct error *err) MUST_CHECK;

struct chunk_ask {
	const struct table *table;
	const struct row_key *after; /* not set: from the first row */
	const struct row_key *until; /* the last key that is read; not set: no row is */
	size_t
	    most_rows; /* looked at, whether they fulfil `where` or not; at least 1 */
	const char *where; /* SQL expression that a row must fulfil; NULL: all do */
	/* NULL, or set before each call of `change`: the row is that of `until`. */
	bool *at_until;
	/* Gets each row (CHANGE_READ, SNAPSHOT_INCREMENTAL). A status other than ST_OK
	 * ends the chunk before that row and is handed on. */
	enum status (*change)(void *context, const struct change *change,
			      struct error *err);
	void *context;
};

struct chunk_told {
	struct row_key last; /* of the rows looked at; `after` if there was none */
	uint64_t looked_at;
	uint64_t given;
	bool is_done; /* no row up to `until` is left */
};

/*
 * Read rows. `told->last` is initialised, and may be the `after` of the same call; the
 * rest of `told` is set here. After an error `told` tells of the rows before it.
 *
 * Where chunk_is_possible says no, `after` must not be set (ST_LOST), most_rows and the
 * value of `until` do not count, and `told->last` is set when all rows have been given.
 */
enum status chunk_read(struct page_source *source, const struct chunk_ask *ask,
		       struct chunk_told *told, struct error *err) MUST_CHECK;

#endif
