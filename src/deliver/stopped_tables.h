/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/stopped_tables.h -- which tables a stop-snapshot takes out of the
 * snapshots that were asked for.
 *
 * OWNERSHIP  stopped_tables_find fills, stopped_tables_clear frees, also after an
 * error. The names are copies: dropping frees those of the snapshots. THREADS    No
 * shared state. ERRORS     Those of signal_tables_find.
 */
#ifndef STOPPED_TABLES_H
#define STOPPED_TABLES_H

#include "src/deliver/asked_snapshot.h"
#include "src/deliver/signal.h"

struct stopped_tables {
	char **names; /* sorted, each once */
	size_t count;
};

/* Of the tables of `first` and those behind it that are not over, those that the signal
 * names. */
enum status stopped_tables_find(const struct asked_snapshot *first,
				const struct signal *signal, struct stopped_tables *out,
				struct error *err) MUST_CHECK;
void stopped_tables_clear(struct stopped_tables *stopped);

/* Take them out of a snapshot, if they are not over. */
void stopped_tables_drop(const struct stopped_tables *stopped,
			 struct asked_snapshot *asked);

#endif
