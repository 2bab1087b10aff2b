/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/signal_tables.h -- which tables a signal names, and which of their rows.
 *
 * OWNERSHIP  signal_tables_find fills, signal_tables_clear frees; signal and names are
 *            borrowed by it.
 * THREADS    No shared state.
 * ERRORS     ST_CONFIG: a pattern gave up on a name, or all together take seconds.
 *            ST_NOMEM.
 */
#ifndef SIGNAL_TABLES_H
#define SIGNAL_TABLES_H

#include "src/deliver/signal.h"

struct signal_table {
	size_t index;       /* of the names */
	const char *filter; /* of the first condition that is its own; NULL: all rows */
};

struct signal_tables {
	struct signal_table *list; /* each once, as the patterns come, then by index */
	size_t count;
	const char **unmatched; /* patterns that name none of them */
	size_t unmatched_count;
};

/* The tables among `names` that the patterns name; a stop-snapshot without patterns
 * names all. Zeros after an error. */
enum status signal_tables_find(const struct signal *signal, const char *const *names,
			       size_t count, struct signal_tables *out,
			       struct error *err) MUST_CHECK;
void signal_tables_clear(struct signal_tables *tables);

/* Is that the table of signals? `collection` as signal.data.collection has it: what is
 * before a dot may be a schema's or a database's name. ASCII case is ignored. */
bool signal_collection_is(const char *collection, const char *table);

#endif
