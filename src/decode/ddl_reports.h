/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/decode/ddl_reports.h -- changes of tables' definitions in a transaction, kept
 * until they are told: after the rows of the context, before all others.
 *
 * OWNERSHIP  ddl_reports_clear; the storage is the caller's, all zero. Tables are
 *            borrowed until they are told.
 * THREADS    The decoding thread only.
 */
#ifndef DDL_REPORTS_H
#define DDL_REPORTS_H

#include <stddef.h>

#include "schemas/table.h"
#include "src/base/status.h"

/* DDL_ALTERED: another statement makes the table of this name. */
enum ddl { DDL_CREATED, DDL_DROPPED, DDL_RENAMED, DDL_ALTERED };

struct ddl_report {
	enum ddl what;
	const struct table *old_table; /* NULL: it was created */
	const struct table *new_table; /* NULL: it was dropped */
};

struct ddl_reports {
	struct ddl_report *list;
	size_t count, cap;
};

void ddl_reports_clear(struct ddl_reports *reports);

/* ST_NOMEM. */
enum status ddl_reports_add(struct ddl_reports *reports, enum ddl what,
			    const struct table *old_table,
			    const struct table *new_table,
			    struct error *err) MUST_CHECK;

/* As decoder_events.ddl. */
typedef enum status ddl_reports_taker(void *context, enum ddl what,
				      const struct table *old_table,
				      const struct table *new_table, struct error *err);

/* Tell all, in order; none is left. An error of `tell` ends it and is handed on. */
enum status ddl_reports_tell(struct ddl_reports *reports, ddl_reports_taker *tell,
			     void *context, struct error *err) MUST_CHECK;

#endif
