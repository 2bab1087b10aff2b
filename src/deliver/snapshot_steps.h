/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/snapshot_steps.h -- the notifications of a snapshot of all tables at one
 * moment (src/decode/snapshot.h): STARTED, for each table IN_PROGRESS and
 * TABLE_SCAN_COMPLETED, then COMPLETED; or ABORTED at whatever ended it.
 *
 *     begin ─► table ─► row … ─► table ─► … ─► end
 *
 * A table without rows is not given to snapshot_steps_table; it is told of all the
 * same, in its place by name.
 *
 * OWNERSHIP  snapshot_steps_begin / snapshot_steps_end, which is called whatever begin
 *            said. Delivery, catalog and id are borrowed.
 * THREADS    The decoding thread only.
 * ERRORS     Those of delivery_notify.
 */
#ifndef SNAPSHOT_STEPS_H
#define SNAPSHOT_STEPS_H

#include "schemas/catalog.h"
#include "src/deliver/delivery.h"

struct snapshot_steps {
	struct delivery *delivery;
	const struct catalog *catalog;
	size_t next;               /* tables of the catalog before it are told of */
	const char **names;        /* of the tables that are read */
	struct notification_of of; /* the table at hand, and its rows so far */
};

/* `id`: of the signal that asked for it; NULL: none did. */
enum status snapshot_steps_begin(struct snapshot_steps *steps,
				 struct delivery *delivery,
				 const struct catalog *catalog, const char *id,
				 struct error *err) MUST_CHECK;

/* The rows that follow are of `table`. */
enum status snapshot_steps_table(struct snapshot_steps *steps,
				 const struct table *table,
				 struct error *err) MUST_CHECK;

static inline void snapshot_steps_row(struct snapshot_steps *steps)
{
	steps->of.rows++;
}

/* The rows are put, or `status`, with `*err`, ended it: then that is given back. */
enum status snapshot_steps_end(struct snapshot_steps *steps, enum status status,
			       struct error *err) MUST_CHECK;

#endif
