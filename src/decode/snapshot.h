/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/decode/snapshot.h -- every row of the captured tables as of one moment, as op
 * "r".
 *
 * Tables by name, rows in the order of their tree. Debezium's markers (first,
 * first_in_data_collection, true, last_in_data_collection, last) need to know
 * what follows, so each row is kept until the next one is seen.
 *
 * THREADS  The decoding thread only.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <stdint.h>

#include "btree/page_source.h"
#include "schemas/catalog.h"
#include "schemas/change.h"

struct snapshot_events {
	void *context;
	/* The rows that follow are of this table. */
	enum status (*table)(void *context, const struct table *table,
			     struct error *err);
	enum status (*change)(void *context, const struct change *change,
			      struct error *err);
	/* Now and then: rows given so far, and pages read of all the database has. */
	void (*progress)(void *context, uint64_t rows, uint64_t pages,
			 uint64_t page_count);
};

/* A statement of the user's that gives the rows of a table instead of its tree
 * (snapshot.select.statement.overrides). */
struct snapshot_select {
	const char *table; /* ASCII case ignored */
	const char *sql;
};

/* Read all captured tables of `catalog` from `source`. A status other than ST_OK of an
 * event ends it and is handed on; ST_CORRUPT names the table. */
enum status snapshot_run(struct page_source *source, const struct catalog *catalog,
			 const struct snapshot_select *selects, size_t select_count,
			 const struct snapshot_events *events,
			 struct error *err) MUST_CHECK;

#endif
